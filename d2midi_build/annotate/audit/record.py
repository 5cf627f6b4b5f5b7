"""What audits found, kept as lines of ``overlays/audits.jsonl``: appended, never made again from anything.

There are two kinds of lines: what became of the errors planted in a task, and an excerpt as somebody wrote it down. Of
a person's several lines for one task or excerpt the newest counts. A sheet that was given out with other errors planted
in it is another task.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from d2midi_build import overlays
from d2midi_build.annotate.audit.excerpts import Excerpt
from d2midi_build.annotate.audit.planting import KINDS
from d2midi_build.annotate.audit.undoing import Outcome
from d2midi_build.annotate.corrections import person
from d2midi_build.annotate.layering import Layered, Row, decode, encode, notes_of
from d2midi_build.annotate.sheets import clip_of_sheet
from d2midi_build.music.notes import Notes
from d2midi_build.workspace import Workspace


@dataclass(frozen=True)
class PlantedResult:
    """What became of the errors planted in a part of a sheet ("all", "drums", ...), as one person left it.

    ``at`` is UTC, ISO 8601; ``version`` is the task's, which says what was sent. It is empty in older lines.
    """

    sheet_id: str
    part: str
    by: str
    at: str
    outcomes: tuple[Outcome, ...]
    version: str = ""

    @property
    def clip_id(self) -> str:
        """The clip it is of."""
        return clip_of_sheet(self.sheet_id)[0]

    @property
    def of(self) -> tuple[str, ...]:
        """What there is one newest result of."""
        return "planted", self.sheet_id, self.part, self.version, person(self.by)


@dataclass(frozen=True)
class BlindResult:
    """An excerpt as somebody wrote it down, who had not seen the machine's notes.

    Attributes
    ----------
    clip_id : str
    start_s, end_s : int
        The excerpt, seconds from the clip's first frame.
    by, at : str
        Who, and when: UTC, ISO 8601.
    rows : tuple of Row
        Times from the clip's first frame. Notes whose onset is outside the excerpt do not count.
    """

    clip_id: str
    start_s: int
    end_s: int
    by: str
    at: str
    rows: tuple[Row, ...]

    @property
    def excerpt(self) -> Excerpt:
        """What it is of."""
        return Excerpt(self.clip_id, self.start_s, self.end_s)

    @property
    def notes(self) -> Notes:
        """The notes of the excerpt, in canonical order."""
        return notes_of(self.rows).starting_in(self.start_s, self.end_s).sorted()

    @property
    def of(self) -> tuple[str, ...]:
        """What there is one newest result of."""
        return "blind", self.clip_id, str(self.start_s), str(self.end_s), person(self.by)


Result: TypeAlias = PlantedResult | BlindResult


@dataclass(frozen=True)
class Audits:
    """The results that count: of each person and task, or excerpt, the newest."""

    planted: tuple[PlantedResult, ...] = ()
    blind: tuple[BlindResult, ...] = ()

    @classmethod
    def of(cls, lines: Iterable[Result]) -> Audits:
        """Of lines in the order in which they were made."""
        newest = {line.of: line for line in lines}
        return cls(
            tuple(each for each in newest.values() if isinstance(each, PlantedResult)),
            tuple(each for each in newest.values() if isinstance(each, BlindResult)),
        )

    @classmethod
    def read(cls, path: Path) -> Audits:
        """Of a file; a damaged line is ignored with a warning.

        Raises
        ------
        WorkspaceError
            If the file cannot be read.
        """
        return cls.of(overlays.read(path, _decoded))

    def within(self, clip_ids: Iterable[str]) -> Audits:
        """Those of some clips."""
        kept = {*clip_ids}
        return Audits(
            tuple(each for each in self.planted if each.clip_id in kept),
            tuple(each for each in self.blind if each.clip_id in kept),
        )


def path_in(workspace: Workspace) -> Path:
    """The file of a workspace."""
    return workspace.root / "overlays" / "audits.jsonl"


def append(path: Path, new: Sequence[Result]) -> list[Result]:
    """Keep results, all or none, but those that are known; which were kept.

    Known is what is there already of the same person and time, however much came after it, and what says the same as
    their newest, whenever it was. So answers of several projects that are fetched in turn are kept once.

    Raises
    ------
    UsageError
        If the file cannot be read or written.
    """
    lines = list(overlays.read(path, _decoded))
    known = {_saying(line) for line in lines}
    newest = {line.of: line for line in lines}
    kept: list[Result] = []
    for result in new:
        before = newest.get(result.of)
        if {_saying(result), _saying(_as_older(result))} & known:
            continue
        if before is not None and replace(before, at=result.at, by=result.by) == result:
            continue
        kept.append(result)
        known.add(_saying(result))
        newest[result.of] = result
    if kept:
        overlays.append(path, map(_encoded, kept))
    return kept


def _saying(result: Result) -> tuple[Any, ...]:
    return result.of, result.at, result.outcomes if isinstance(result, PlantedResult) else result.rows


def _as_older(result: Result) -> Result:
    """As it would have been written before lines named versions."""
    return replace(result, version="") if isinstance(result, PlantedResult) else result


def _encoded(result: Result) -> dict[str, Any]:
    if isinstance(result, PlantedResult):
        return {"kind": "planted"} | asdict(result)
    told = {name: getattr(result, name) for name in ("clip_id", "start_s", "end_s", "by", "at")}
    return {"kind": "blind", **told, "notes": encode(Layered(dict(enumerate(result.rows)), {}, {}))}


def _decoded(data: dict[str, Any]) -> Result:
    """Of a line; a newer d2midi may have written more into it."""
    try:
        kind, by, at = data["kind"], str(data["by"]), str(data["at"])
        if kind == "planted":
            outcomes = tuple(_outcome(each) for each in data["outcomes"])
            clip_of_sheet(data["sheet_id"])
            version = str(data.get("version", ""))
            return PlantedResult(data["sheet_id"], str(data["part"]), by, at, outcomes, version)
        if kind == "blind":
            rows = tuple(decode(data["notes"]).machine.values())
            start_s, end_s = int(data["start_s"]), int(data["end_s"])
            if not 0 <= start_s < end_s:
                raise ValueError(f"an excerpt from {start_s} to {end_s} s")
            return BlindResult(str(data["clip_id"]), start_s, end_s, by, at, rows)
    except (KeyError, OverflowError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    raise ValueError(f"kind {kind!r} is neither planted nor blind")


def _outcome(data: dict[str, Any]) -> Outcome:
    if data["kind"] not in KINDS:
        raise ValueError(f"kind {data['kind']!r} is none of {', '.join(KINDS)}")
    return Outcome(int(data["number"]), data["kind"], bool(data["found"]), bool(data["mended"]))
