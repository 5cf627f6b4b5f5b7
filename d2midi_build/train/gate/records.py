"""What the stages of the gate say, and what follows from it: the publish rule of facts/baselines.md, section 3.4."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from d2midi_build.errors import SchemaError

if TYPE_CHECKING:
    from d2midi_build.release.reader import Release

Stage = Literal["A", "B", "C", "D", "E", "F", "G", "H"]
Verdict = Literal["pass", "fail", "not-testable", "info"]
Overall = Literal["pass", "fail", "not-testable", "invalid"]

STAGES: Final[Mapping[Stage, str]] = {
    "A": "static checks of the whole release",
    "B": "statistics",
    "C": "overfit: can a small model learn eight clips by heart",
    "D": "learnability: does a small model predict held-out sources",
    "E": "association: does the dance tell which music of its genre belongs to it",
    "F": "alignment: does the dance tell when the music's beats are",
    "G": "negative control: do E and F fail, as they should, on pairs made wrong on purpose",
    "H": "generation",
}
"""Name of each stage and what it asks, in order."""

DECIDING: Final = "ACDEFG"
"""Stages that decide; B and H inform."""

TOKENS: Final = "tokens"
"""How names of those records of stage D begin that decide; its others inform."""

LEAST_TEST_SOURCES: Final = 8
"""Sources in the test split below which alignment is not tested."""

LEAST_GENRES: Final = 2
"""Genres below which it is not: with one, pairs of the same genre and pairs of any are the same."""

TEST_SHARE: Final = 0.1
"""Of all sources, by the paper's 8:1:1."""

VERSION: Final = 1
"""Of the JSON of a report."""


@dataclass(frozen=True)
class Record:
    """One thing that a stage found.

    Attributes
    ----------
    stage : str
        ``"A"`` to ``"H"``, see `STAGES`.
    name : str
        Unique within the report: ``"lag.offset_ms"``, ``"notes_per_s genre=house"``.
    value : float or None
        None where there is none; its unit is in the name or in ``why``.
    n : int
        How many sources (stage A: items, as ``why`` says) it rests on.
    ci : (float, float) or None
        95 % interval over sources.
    threshold : float or None
        What ``value`` was held against.
    verdict : str
        ``"info"`` decides nothing.
    why : str
        In words for a reader who knows nothing of the gate; names the items and the way out where something is wrong.
    seconds : float
        Time it took; of things found together, on the first.
    p : float or None
        One-sided p value, before any correction.

    Raises
    ------
    ValueError
        If a stage or verdict is unknown, or a number is not finite (JSON has no other).
    """

    stage: Stage
    name: str
    value: float | None
    n: int
    ci: tuple[float, float] | None
    threshold: float | None
    verdict: Verdict
    why: str
    seconds: float
    p: float | None = None

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise ValueError(f"record {self.name!r}: stage is {self.stage!r}, none of {', '.join(STAGES)}")
        if self.verdict not in get_args(Verdict):
            raise ValueError(
                f"record {self.name!r}: verdict is {self.verdict!r}, none of {', '.join(get_args(Verdict))}"
            )
        for number in (self.value, *(self.ci or ()), self.threshold, self.seconds, self.p):
            if number is not None and not math.isfinite(number):
                raise ValueError(
                    f"record {self.name!r}: {number} is no finite number; where none is known give None"
                )


@dataclass(frozen=True)
class Decision:
    """What follows from all records.

    Attributes
    ----------
    verdict : str
        ``"pass"``; ``"fail"``; ``"not-testable"``: the release may only be a ``preview``; ``"invalid"``: the check
        itself is broken and says nothing of the release.
    why : tuple of str
        Sentences, the reasons that decided.
    """

    verdict: Overall
    why: tuple[str, ...]

    @property
    def preview_only(self) -> bool:
        """Whether the release must not be called more than a preview."""
        return self.verdict != "pass"


def timed(make: Callable[[], Record]) -> Record:
    """The record that is made, with the time it took."""
    begun = perf_counter()
    record = make()
    return replace(record, seconds=round(perf_counter() - begun, 3))


def decide(records: Iterable[Record], explained: str = "") -> Decision:
    """The publish rule: A, C, F and G pass, D passes for tokens, E passes or is explained.

    What is certain comes first: an A that fails, fails. Then the negative control: where it fails, or lacks though E
    and F were run, nothing that was trained says anything, and the verdict is ``invalid``. Then whatever fails; then
    whatever could not be tested or was not run.

    Parameters
    ----------
    records : iterable of Record
        A stage may have several: it passes if all that are not ``info`` do, and at least one is not.
    explained : str, optional
        Why E may fail (a genre danced to no beat, say): then it does not decide, and this is part of the reasons.
    """
    found = list(records)
    deciding = {
        stage: [each for each in found if each.stage == stage and decides(each)] for stage in DECIDING
    }
    failed = {stage: [each for each in mine if each.verdict == "fail"] for stage, mine in deciding.items()}
    if failed["A"]:
        return Decision("fail", _said(failed["A"]))
    if failed["G"]:
        return Decision("invalid", ("The check itself is broken.", *_said(failed["G"])))
    explained = explained.strip()
    waived = bool(explained) and bool(failed["E"])
    excuse = (f"E does not pass, which is explained: {explained}",) if waived else ()
    wrong = [each for stage in "CDEF" if stage != "E" or not waived for each in failed[stage]]
    untested = [each for mine in deciding.values() for each in mine if each.verdict == "not-testable"]
    missing = [stage for stage, mine in deciding.items() if not mine]
    if missing == ["G"] and not untested:
        return Decision(
            "invalid",
            (
                "The negative control (G) was not run: nothing shows that E and F can fail. Run the gate with it.",
            ),
        )
    if wrong:
        return Decision("fail", (*_said(wrong), *excuse))
    if untested or missing:
        # What cannot be tested keeps other stages from being run: that is the reason then.
        lacking = (f"Not run: stage {', '.join(missing)}. Run the whole gate.",) if not untested else ()
        return Decision("not-testable", (*_said(untested), *lacking, *excuse))
    told = (
        "Files are whole, models learn from it, dances tell when the beats of their music are"
        f"{'' if waived else ' and which music is theirs'}, in sources that the models had not seen; and they find "
        "nothing in music that was mixed up on purpose."
    )
    return Decision("pass", (told, *excuse))


def enough(test_genres: Mapping[str, str], genres: Iterable[str]) -> Record:
    """Whether alignment (F) can be tested at all, and how many sources that takes.

    Parameters
    ----------
    test_genres : dict
        Genre by source, of the test split.
    genres : iterable of str
        Genres of the whole release; the empty one is no genre.
    """
    n, known = sum(map(bool, test_genres.values())), sorted(set(genres) - {""})
    lacking = []
    if n < LEAST_TEST_SOURCES:
        whole = math.ceil(LEAST_TEST_SOURCES / TEST_SHARE)
        lacking.append(
            f"{n} sources with a genre are in test, {LEAST_TEST_SOURCES} are needed: {LEAST_TEST_SOURCES - n} more "
            f"there, or about {whole} sources in all when split 8:1:1"
        )
    if len(known) < LEAST_GENRES:
        which = f"all of it is {known[0]}" if known else "it has no label"
        lacking.append(
            f"the release has {len(known)} genres ({which}), {LEAST_GENRES} are needed: with one, music of the same "
            "genre is any music. Add sources of others, or the right labels"
        )
    why = (
        f"not testable: {'; '.join(lacking)}"
        if lacking
        else f"{n} sources in test, {len(known)} genres: enough to test"
    )
    verdict: Verdict = "not-testable" if lacking else "pass"
    return Record("F", "sources.test", n, n, None, LEAST_TEST_SOURCES, verdict, why, 0.0)


@dataclass(frozen=True)
class Report:
    """A run of the gate; made by `decided`.

    Attributes
    ----------
    name, version, digest : str
        Of the release.
    seeds : tuple of int
    settings : dict
        Whatever else it was run with, plain data.
    records : tuple of Record
    verdict : str
        As of `Decision`.
    why : tuple of str
        The reasons.
    """

    name: str
    version: str
    digest: str
    seeds: tuple[int, ...]
    settings: Mapping[str, Any]
    records: tuple[Record, ...]
    verdict: Overall
    why: tuple[str, ...]

    @classmethod
    def decided(
        cls,
        release: Release,
        records: Sequence[Record],
        *,
        seeds: Sequence[int],
        settings: Mapping[str, Any],
        explained: str = "",
    ) -> Report:
        """A report of the release with the verdict that `decide` gives.

        Raises
        ------
        ValueError
            If two records have the same name.
        """
        names = Counter((each.stage, each.name) for each in records)
        twice = sorted(f"{stage} {name}" for (stage, name), count in names.items() if count > 1)
        if twice:
            raise ValueError(f"records need names of their own, several are called {', '.join(twice)}")
        found = decide(records, explained)
        return cls(
            release.name,
            release.version,
            release.digest,
            tuple(seeds),
            dict(settings),
            tuple(records),
            found.verdict,
            found.why,
        )

    def to_json(self) -> str:
        """All of it as text; the same report gives the same bytes."""
        data = asdict(self) | {"format": VERSION}
        return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Report:
        """What `to_json` wrote.

        Raises
        ------
        SchemaError
            If it is no report, or one of another version.
        """
        try:
            data = json.loads(text)
            if data.pop("format") != VERSION:
                raise ValueError(f"it is not of version {VERSION}")
            records = tuple(
                Record(**{**each, "ci": None if each["ci"] is None else tuple(each["ci"])})
                for each in data.pop("records")
            )
            if {*data} != {each.name for each in fields(cls)} - {"records"}:
                raise ValueError(f"its fields are {', '.join(sorted(data))}")
            if data["verdict"] not in get_args(Overall):
                raise ValueError(f"its verdict is {data['verdict']!r}")
            return cls(
                **{**data, "records": records, "seeds": tuple(data["seeds"]), "why": tuple(data["why"])}
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SchemaError(
                f"this is no report of a gate that this d2midi reads ({error!r}). Run `d2midi gate` again."
            ) from error


def decides(record: Record) -> bool:
    """Whether the verdict on the release depends on this."""
    if record.stage == "D" and not record.name.startswith(TOKENS):
        return False
    return record.verdict != "info" and record.stage in DECIDING


def _said(records: Sequence[Record]) -> tuple[str, ...]:
    return tuple(f"{each.why[:1].upper()}{each.why[1:]} [{each.stage}, {each.name}]" for each in records)
