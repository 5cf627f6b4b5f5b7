"""What people leave in a form of Label Studio (choices, numbers, texts), checked: nothing of a bad answer gets through.

Label Studio's API validates nothing and lets anybody write anything (facts/label-studio.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

_LONGEST: Final = 500
"""Characters of a text that are kept."""

_TOLD: Final = 60
_LONGEST_S: Final = 1e7


class AnsweredTask(Protocol):
    """What is asked of a task (`studio.client.Task`)."""

    @property
    def id(self) -> int: ...
    @property
    def key(self) -> str: ...
    @property
    def data(self) -> Mapping[str, Any]: ...
    @property
    def annotations(self) -> Sequence[Any]: ...
    @property
    def problem(self) -> str: ...


class AnswersError(ValueError):
    """A form is not filled in as it can be; ``problems`` names everything that is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Given:
    """The newest that a person left in a task.

    Attributes
    ----------
    by : str
        Email, or ``user 7`` where the server does not tell it.
    at : datetime
        UTC.
    result : object
        As the server has it, unchecked.
    skipped : bool
        Whether they passed the task over.
    seconds : float or None
        How long they had it open, as Label Studio says.
    """

    by: str
    at: datetime
    result: object
    skipped: bool = False
    seconds: float | None = None


@dataclass(frozen=True)
class Newest:
    """What counts of a task's annotations: a person's newest; and what is wrong with others."""

    given: tuple[Given, ...]
    superseded: int
    problems: tuple[str, ...]


class Form:
    """A filled-in form, read field by field.

    Each reader returns what stands there, or nothing where that cannot be; `check` then says all that was wrong.

    Parameters
    ----------
    result : object
        ``result`` of an annotation.
    """

    def __init__(self, result: object) -> None:
        self._problems: list[str] = []
        self._fields: dict[str, list[tuple[object, Mapping[str, Any]]]] = {}
        self._asked: set[str] = set()
        if not isinstance(result, list):
            self._problems.append(f"the result is no list but {_short(result)}")
            return
        for item in result:
            if (
                isinstance(item, dict)
                and isinstance(item.get("from_name"), str)
                and isinstance(item.get("value"), dict)
            ):
                self._fields.setdefault(item["from_name"], []).append((item.get("type"), item["value"]))
            else:
                self._problems.append(f"{_short(item)} is no answer")

    def one_of(self, name: str, allowed: Sequence[str]) -> str:
        """The one choice of a required question."""
        chosen = self._chosen(name)
        if chosen is None:
            return ""
        if len(chosen) != 1 or not isinstance(chosen[0], str) or chosen[0] not in allowed:
            self._problems.append(f"{name} is {_short(chosen)}: one of {', '.join(allowed)} is needed")
            return ""
        return chosen[0]

    def ticked(self, name: str, choice: str) -> bool:
        """Whether a box is ticked."""
        return name in self._fields and self._chosen(name) == [choice]

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number that need not be given."""
        value = self._only(name, "number")
        if value is None:
            return None
        number = value.get("number")
        if isinstance(number, bool) or not isinstance(number, int | float):
            self._problems.append(f"{name} is {_short(number)}: a number is needed")
        elif not low <= number <= high:  # nor what is no number
            self._problems.append(f"{name} is {_short(number)}: it can be {low:g} to {high:g}")
        else:
            return float(number)
        return None

    def text(self, name: str) -> str:
        """A text that need not be given, in one line of at most 500 characters."""
        value = self._only(name, "textarea")
        if value is None:
            return ""
        said = value.get("text")
        lines = [said] if isinstance(said, str) else said
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            self._problems.append(f"{name} is {_short(said)}: a text is needed")
            return ""
        printable = "".join(each if each.isprintable() else " " for each in " ".join(lines))
        return " ".join(printable.split())[:_LONGEST]

    def check(self) -> None:
        """Be done with reading.

        Raises
        ------
        AnswersError
            If anything that was read could not be, or the form has fields that were not asked for.
        """
        unknown = sorted(set(self._fields) - self._asked)
        unknown = [f"there is an answer to {name!r}, which nobody asked" for name in unknown]
        if problems := [*self._problems, *unknown]:
            raise AnswersError(problems)

    def _chosen(self, name: str) -> list[object] | None:
        if name not in self._fields:
            self._asked.add(name)
            self._problems.append(f"{name} is not answered")
            return None
        value = self._only(name, "choices")
        if value is None:
            return None
        chosen = value.get("choices")
        if not isinstance(chosen, list):
            self._problems.append(f"{name} is {_short(chosen)}: no list of choices")
            return None
        return chosen

    def _only(self, name: str, kind: str) -> Mapping[str, Any] | None:
        self._asked.add(name)
        found = self._fields.get(name, [])
        if len(found) > 1:
            self._problems.append(f"{name} is answered {len(found)} times")
        elif found and found[0][0] != kind:
            self._problems.append(f"{name} is of type {_short(found[0][0])}, not {kind}")
        elif found:
            return found[0][1]
        return None


def newest(annotations: Sequence[Any], people: Mapping[int, str]) -> Newest:
    """Of each person's annotations of a task the newest one, in order of their names.

    Parameters
    ----------
    annotations : sequence
        As the server has them: ``id``, ``result``, ``completed_by``, ``updated_at``, ``was_cancelled``, ``lead_time``.
        One without a person or a time counts for nothing and is a problem.
    people : mapping of int to str
        Email by user id.
    """
    best: dict[str, tuple[datetime, int, Given]] = {}
    problems, read = [], 0
    for annotation in annotations:
        if not isinstance(annotation, Mapping):
            problems.append(f"{_short(annotation)} is no annotation")
            continue
        number = annotation.get("id")
        by, at = _person(annotation.get("completed_by"), people), _time(annotation.get("updated_at"))
        if not by or at is None:
            problems.append(
                f"annotation {_short(number)} does not say {'when' if by else 'by whom'} it was made"
            )
            continue
        changed_by = annotation.get("updated_by")
        if changed_by is not None and changed_by != _id(annotation.get("completed_by")):
            problems.append(
                f"annotation {_short(number)} of {by} was changed by somebody else: each answers for themselves"
            )
            continue
        read += 1
        skipped, seconds = bool(annotation.get("was_cancelled")), _seconds(annotation.get("lead_time"))
        given = Given(by, at, annotation.get("result"), skipped, seconds)
        order = (at, number if isinstance(number, int) else 0)
        if by not in best or order > best[by][:2]:
            best[by] = (*order, given)
    return Newest(tuple(best[by][2] for by in sorted(best)), read - len(best), tuple(problems))


def stamp(at: datetime) -> str:
    """A time as overlays have it: UTC, ISO 8601, seconds."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def cell(text: str) -> str:
    """A text for a CSV that people open in a spreadsheet, which must not take it for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text


def _id(completed_by: object) -> object:
    return completed_by.get("id") if isinstance(completed_by, Mapping) else completed_by


def _person(completed_by: object, people: Mapping[int, str]) -> str:
    email: object = None
    if isinstance(completed_by, Mapping):
        email, completed_by = completed_by.get("email"), completed_by.get("id")
    if not isinstance(completed_by, int) or isinstance(completed_by, bool):
        return ""
    return people.get(completed_by) or (email if isinstance(email, str) and email else f"user {completed_by}")


def _time(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
        if found is None:
            return None
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LONGEST_S:
        return None
    return float(value)


def _short(value: object) -> str:
    told = repr(value)
    return told if len(told) <= _TOLD else told[: _TOLD - 3] + "..."
