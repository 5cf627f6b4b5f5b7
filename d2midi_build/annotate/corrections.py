"""The corrections of a workspace: what people left in each sheet, and which of it counts.

``overlays/corrections.jsonl`` is appended to and never made again from anything: a line per correction, with who, when,
with what tool and why, all notes of the sheet in all three layers, and the digest of what the person was shown. A line
that a power cut tore is ignored, as in all overlays.

Which of a sheet's corrections counts:

1. The newest of each person, by when they saved it; if that withdraws, none of theirs.
2. Whoever was shown somebody's correction and changed it goes on from it: the earlier one is done with.
3. A reviewer's counts, whoever else corrected the sheet; the newest if there are several.
4. Without one, corrections that agree count (the newest of them). Those that do not are a conflict, and then *none*
   counts until a reviewer settles it or one is withdrawn: the machine's notes stay. Taking the later one would make a
   release depend on who saved last, and would pass off as corrected what two professionals dispute. Nothing is lost,
   since both are kept.
5. One carried over from another clip, the newest of several, counts only where nobody has corrected the sheet itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from d2midi_build import clock, overlays
from d2midi_build.annotate.layering import (
    REASONS,
    Layer,
    Layered,
    Reason,
    decode,
    encode,
)
from d2midi_build.annotate.sheets import clip_of_sheet
from d2midi_build.errors import UsageError
from d2midi_build.workspace import Workspace

ONSET_S: Final = 0.01
"""Corrections agree where onsets differ by no more: two pixels of Label Studio's grid (5 ms, facts/label-studio.md)."""

OFFSET_S: Final = 0.05
"""And offsets: mir_eval's tolerance; where a note ends is hard to hear."""

VELOCITY: Final = 8
"""And velocities."""

_NOTHING: Final = Layered({}, {}, {})


@dataclass(frozen=True)
class Correction:
    """What one person left in one sheet.

    Attributes
    ----------
    sheet_id, by : str
    at : str
        UTC, ISO 8601.
    reason : {"heard", "aligned", "pleasant"}
        The default; single notes may have others, see ``layered``.
    tool : str
        What they worked with, e.g. ``midi``.
    shown : str
        Digest of what they were shown (`Layered.said`).
    layered : Layered
        The sheet's notes; its layer ``machine`` is what the machine said at that time.
    reviewer : bool
        Whether they settle what others dispute.
    withdrawn : bool
        Takes their earlier corrections of the sheet back; then ``layered`` is empty.
    carried_from : str
        Sheets of another clip with the same recording that this was made from, with commas; empty if none.
    end_frame : int or None
        Where the sheet ended, which is the last of its clip if that has become longer since; None in older lines.
    lead_s : float or None
        Seconds that they worked on it, as their tool measured; None where it does not.
    """

    sheet_id: str
    by: str
    at: str
    reason: Reason
    tool: str
    shown: str
    layered: Layered
    reviewer: bool = False
    withdrawn: bool = False
    carried_from: str = ""
    end_frame: int | None = None
    lead_s: float | None = None

    @property
    def machine(self) -> str:
        """Digest of the machine's notes it was made from."""
        return self.layered.transcribed

    @property
    def said(self) -> str:
        """Digest of what it says."""
        return self.layered.said

    def repeats(self, other: Correction) -> bool:
        """Whether it says the same as another, time and tool aside."""
        same = person(self.by) == person(other.by)
        here = replace(self, by=other.by, at=other.at, tool=other.tool, lead_s=other.lead_s)
        return same and here == other


@dataclass(frozen=True)
class Standing:
    """What counts in a sheet.

    Attributes
    ----------
    sheet_id : str
    applied : Correction or None
        None where nobody corrected it, or a conflict is not settled.
    others : tuple of Correction
        Newest ones of other people that say something else: those in conflict, or those that a reviewer overruled.
    """

    sheet_id: str
    applied: Correction | None = None
    others: tuple[Correction, ...] = ()

    @property
    def conflict(self) -> bool:
        """Whether people dispute it and nobody has settled it."""
        return self.applied is None and bool(self.others)

    def told(self) -> str:
        """A conflict in words; empty where there is none."""
        if not self.conflict:
            return ""
        people = " and ".join(f"{each.by} ({each.at[:10]})" for each in self.others)
        return (
            f"{self.sheet_id}: {people} disagree, so the machine's notes stay. A correction by a reviewer "
            "settles it, or one of them withdraws theirs"
        )


class Corrections:
    """The corrections of a workspace, as far as they have been made.

    Parameters
    ----------
    lines : iterable of Correction
        In the order in which they were made.
    """

    def __init__(self, lines: Iterable[Correction] = ()) -> None:
        self.lines = tuple(lines)
        self._of: dict[str, list[Correction]] = {}
        # By time, not by line: what was saved in Label Studio before something else may be read after it.
        for line in sorted(self.lines, key=lambda line: line.at):
            self._of.setdefault(line.sheet_id, []).append(line)

    @classmethod
    def read(cls, path: Path, clip_id: str = "", *, strictly: bool = False) -> Corrections:
        """Those that a file holds, or of them those of one clip; a damaged line is ignored with a warning.

        Notes of other clips are not looked at, whether damaged or not.

        Raises
        ------
        WorkspaceError
            If the file cannot be read.
        UsageError
            If ``strictly`` and a line is damaged, but for a last one that a power cut tore.
        """
        damaged = partial(_not_ignored, path) if strictly else overlays.ignored
        found = overlays.read(path, partial(_decoded, clip_id=clip_id), damaged)
        return cls(each for each in found if each is not None)

    def sheet_ids(self) -> list[str]:
        """The sheets that have been corrected at some time, sorted."""
        return sorted(self._of)

    def earlier(self) -> Iterable[Corrections]:
        """As they were before the last line, before the one before it, and so on, down to none."""
        for n in range(len(self.lines) - 1, -1, -1):
            yield Corrections(self.lines[:n])

    def of(self, sheet_id: str) -> tuple[Correction, ...]:
        """All lines for a sheet, by time."""
        return tuple(self._of.get(sheet_id, ()))

    def current(self, sheet_id: str) -> list[Correction]:
        """The newest of each person for a sheet, in order, without those that are withdrawn.

        What was carried over under somebody's name is not what they say of this sheet: it is counted apart.
        """
        lines = self._of.get(sheet_id, [])
        newest = {(person(line.by), bool(line.carried_from)): place for place, line in enumerate(lines)}
        return [lines[place] for place in sorted(newest.values()) if not lines[place].withdrawn]

    def newest_of(self, sheet_id: str, by: str, *, carried: bool = False) -> Correction | None:
        """A person's newest line for a sheet, one that withdraws included; or that carried over under their name."""
        mine = [
            line
            for line in self._of.get(sheet_id, ())
            if person(line.by) == person(by) and bool(line.carried_from) == carried
        ]
        return mine[-1] if mine else None

    def after(self, at: str) -> str:
        """A time, or one just after the last line where that is later: what is said now counts, whatever clocks say."""
        last = max((line.at for line in self.lines), default="")
        if last < at:
            return at
        return (datetime.fromisoformat(last) + timedelta(microseconds=1)).isoformat()

    def since_withdrawal(self, sheet_id: str, by: str) -> list[Correction]:
        """A person's own lines for a sheet, in order, without those that they have withdrawn."""
        found: list[Correction] = []
        for line in self._of.get(sheet_id, ()):
            if person(line.by) == person(by) and not line.carried_from:
                found = [] if line.withdrawn else [*found, line]
        return found

    def required(self, sheet_id: str, by: str) -> Correction:
        """A person's newest correction of a sheet.

        Raises
        ------
        UsageError
            If there is none, or it was withdrawn; names who has one.
        """
        found = self.newest_of(sheet_id, by)
        if found is None or found.withdrawn:
            found = self.newest_of(sheet_id, by, carried=True)
        if found is None or found.withdrawn:
            others = sorted((line.by for line in self.current(sheet_id)), key=person)
            raise UsageError(
                f"{by} has no correction of {sheet_id!r}; corrected by: {', '.join(others) or 'nobody'}. "
                "`d2midi annotate status` names sheets and people"
            )
        return found

    def disputed(self) -> list[Standing]:
        """The sheets in which nothing counts, because people dispute them."""
        return [found for found in map(self.standing, self.sheet_ids()) if found.conflict]

    def standing(self, sheet_id: str) -> Standing:
        """What counts in a sheet, by the rules in the module's docstring."""
        active = self.current(sheet_id)
        own = [line for line in active if not line.carried_from] or active[-1:]
        current = [
            line
            for place, line in enumerate(own)
            if line.reviewer or not any(goes_on(later, line) for later in own[place + 1 :])
        ]
        if not current:
            return Standing(sheet_id)
        reviewed = [line for line in current if line.reviewer]
        last = (reviewed or current)[-1]
        others = tuple(line for line in current if not agree(line.layered, last.layered))
        if others and not reviewed:
            return Standing(sheet_id, None, tuple(current))
        return Standing(sheet_id, last, others)


def path_in(workspace: Workspace) -> Path:
    """The file of a workspace."""
    return workspace.root / "overlays" / "corrections.jsonl"


def append(path: Path, new: Sequence[Correction]) -> list[Correction]:
    """Keep corrections, all or none, but those that repeat their author's newest for the sheet; which were kept.

    Raises
    ------
    UsageError
        If the file cannot be read or written.
    """
    kept = news(Corrections.read(path), new)
    if kept:
        overlays.append(path, map(_encoded, kept))
    return kept


def news(known: Corrections, new: Iterable[Correction]) -> list[Correction]:
    """Those that do not repeat their author's newest for the sheet."""
    kept = []
    for correction in new:
        carried = bool(correction.carried_from)
        before = known.newest_of(correction.sheet_id, correction.by, carried=carried)
        if correction.withdrawn if before is None else correction.repeats(before):
            continue
        kept.append(correction)
    return kept


def withdrawal(correction: Correction, at: str) -> Correction:
    """The line that takes a correction back."""
    return replace(
        correction, at=at, withdrawn=True, layered=_NOTHING, shown="", tool="withdraw", lead_s=None
    )


def settlement(correction: Correction, by: str, at: str) -> Correction:
    """A reviewer's line that says what somebody else's correction says."""
    return replace(correction, by=by, at=at, tool="settle", reviewer=True, carried_from="", lead_s=None)


def agree(one: Layered, other: Layered) -> bool:
    """Whether two people left the same in a sheet, in both layers, up to small differences of time and velocity."""
    return one.said == other.said or (_alike(one.heard, other.heard) and _alike(one.final, other.final))


def _alike(one: Layer, other: Layer) -> bool:
    if len(one) != len(other):
        return False
    ours, theirs = (
        sorted(layer.values(), key=lambda row: (row.instrument, row.pitch, row.onset_s, row.offset_s))
        for layer in (one, other)
    )
    slack = 0.5 / clock.SAMPLE_RATE_HZ
    return all(
        (a.instrument, a.pitch) == (b.instrument, b.pitch)
        and abs(a.onset_s - b.onset_s) <= ONSET_S + slack
        and abs(a.offset_s - b.offset_s) <= OFFSET_S + slack
        and abs(a.velocity - b.velocity) <= VELOCITY
        for a, b in zip(ours, theirs, strict=True)
    )


def goes_on(later: Correction, earlier: Correction) -> bool:
    """Whether a correction was made from what an earlier one says, and not only from the same machine's notes."""
    machine = later.layered.machine
    return (
        later.shown == earlier.said != earlier.shown
        and later.shown != Layered(machine, machine, machine).said
    )


def person(by: str) -> str:
    """A name as names are compared: people write theirs with capitals and without."""
    return by.strip().casefold()


def _not_ignored(path: Path, told: str) -> None:
    """What becomes of a damaged line where all corrections are needed."""
    data = path.read_bytes()
    last = data.count(b"\n") + 1
    if not data.endswith(b"\n") and told.startswith(f"{path} line {last} "):
        overlays.ignored(told)
    else:
        raise UsageError(f"{told}: mend or delete it, since what it corrects would not be in the release")


def _encoded(correction: Correction) -> dict[str, Any]:
    return {
        "sheet": correction.sheet_id,
        "by": correction.by,
        "at": correction.at,
        "reason": correction.reason,
        "tool": correction.tool,
        "reviewer": correction.reviewer,
        "withdrawn": correction.withdrawn,
        "carried_from": correction.carried_from,
        "end_frame": correction.end_frame,
        "lead_s": correction.lead_s,
        "shown": correction.shown,
        "machine": correction.machine,
        "notes": encode(correction.layered),
    }


def _decoded(data: dict[str, Any], clip_id: str = "") -> Correction | None:
    """Of a line; a newer d2midi may have written more into it. None if it is of another clip than asked for."""
    try:
        if clip_id and clip_of_sheet(data["sheet"])[0] != clip_id:
            return None
        correction = Correction(
            data["sheet"],
            str(data["by"]),
            str(data["at"]),
            data["reason"],
            str(data["tool"]),
            str(data["shown"]),
            decode(data["notes"]),
            bool(data["reviewer"]),
            bool(data["withdrawn"]),
            str(data["carried_from"]),
            None if data.get("end_frame") is None else int(data["end_frame"]),
            None if data.get("lead_s") is None else float(data["lead_s"]),
        )
        if correction.machine != data["machine"]:
            raise ValueError("its notes of the machine do not have the digest it names")
    except KeyError as error:
        raise ValueError(f"no {error}") from error
    except OverflowError as error:
        raise ValueError(str(error)) from error
    if correction.reason not in REASONS:
        raise ValueError(f"reason {correction.reason!r} is none of {', '.join(REASONS)}")
    if correction.lead_s is not None and not 0 <= correction.lead_s < math.inf:
        raise ValueError(f"lead_s {correction.lead_s} is no length of time")
    clip_of_sheet(correction.sheet_id)
    return correction
