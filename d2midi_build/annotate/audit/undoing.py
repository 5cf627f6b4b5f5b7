"""What became of planted errors, and the notes without those that people did not find.

An error counts as found when people changed what is wrong: the onset, the pitch or the instrument of that note, or
deleted it; when they put a note in where one was missing; when they deleted the note too many or made another of it. To
change something else of the note (its velocity, say) is not to have found it. It counts as mended when the note is then
right: onset within 50 ms, pitch and instrument as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from d2midi_build import clock
from d2midi_build.annotate.audit.planting import ErrorKind, Planted, PlantedError
from d2midi_build.annotate.corrections import ONSET_S
from d2midi_build.annotate.edits import untouched
from d2midi_build.annotate.layering import Reason, Row
from d2midi_build.music.scores import ONSET_TOLERANCE_S

_TOLERANCE: Final = clock.seconds_to_sample(ONSET_S)
"""Samples by which an onset may be off without that anybody meant it."""


@dataclass(frozen=True)
class Outcome:
    """What became of an error: ``found`` and perhaps ``mended``; see the module's docstring."""

    number: int
    kind: ErrorKind
    found: bool
    mended: bool


@dataclass(frozen=True)
class Undone:
    """The notes that people left, without the planted errors that they did not find.

    Attributes
    ----------
    rows : mapping of int to Row
        By number, as `edits.revised` takes them: notes that people added have negative numbers. A note that they put in
        where one had been taken out has the number of that one.
    outcomes : tuple of Outcome
        Of all errors, by number.
    renamed : mapping of int to int or None
        Numbers in what they left that are others here; None where the note is gone with the error.
    """

    rows: Mapping[int, Row]
    outcomes: tuple[Outcome, ...]
    renamed: Mapping[int, int | None]

    @property
    def found(self) -> dict[int, bool]:
        """Which errors were found, by number."""
        return {each.number: each.found for each in self.outcomes}

    def reasons(self, given: Mapping[int, Reason]) -> dict[int, Reason]:
        """Reasons of single notes by the numbers of `rows`, given by those of what they left."""
        renamed = {self.renamed.get(number, number): reason for number, reason in given.items()}
        return {number: reason for number, reason in renamed.items() if number is not None}


def undone(planted: Planted, left: Mapping[int, Row]) -> Undone:
    """Take back the planted errors that people did not find.

    Parameters
    ----------
    planted : Planted
        What they were shown.
    left : mapping of int to Row
        All notes as they left them, by the numbers they were shown with; notes they added have negative numbers. Bulk
        commands must not have been applied to them yet: a command that shifts everything finds no error.

    Returns
    -------
    Undone
        A note that they mended to within 10 ms (what they can see) is the true note again to the bit; any other stays
        as they left it.
    """
    rows, outcomes = dict(left), []
    renamed: dict[int, int | None] = {}
    for error in planted.errors:
        if error.kind == "added":
            outcomes.append(_without(error, rows, renamed))
        elif error.number in rows:
            outcomes.append(_righted(error, rows))
        else:
            outcomes.append(_put_back(error, rows, renamed))
    return Undone(rows, tuple(outcomes), renamed)


def _without(error: PlantedError, rows: dict[int, Row], renamed: dict[int, int | None]) -> Outcome:
    """A note too many: it goes, unless people made another of it, which is then theirs."""
    mine = rows.pop(error.number, None)
    renamed[error.number] = None
    if mine is None:
        return Outcome(error.number, error.kind, found=True, mended=True)
    assert error.sent is not None
    changed = _differs(mine, error.sent, "onset") or (mine.pitch, mine.instrument) != (
        error.sent.pitch,
        error.sent.instrument,
    )
    if changed:
        renamed[error.number] = number = min([0, *rows]) - 1
        rows[number] = mine
    return Outcome(error.number, error.kind, found=changed, mended=False)


def _righted(error: PlantedError, rows: dict[int, Row]) -> Outcome:
    """A note that is wrong: what is wrong of it is made right again where nobody touched it."""
    true, sent, mine = error.true, error.sent, rows[error.number]
    assert true is not None and sent is not None
    found = _differs(mine, sent, error.kind)
    if not found:
        mine = _as_true(mine, sent, true, error.kind)
    mine = untouched(true, mine, _TOLERANCE)
    rows[error.number] = true if mine.seen == true.seen else mine
    return Outcome(error.number, error.kind, found, found and _is(mine, true))


def _put_back(error: PlantedError, rows: dict[int, Row], renamed: dict[int, int | None]) -> Outcome:
    """A note that is not there, because it was taken out or because people deleted it as wrong.

    What they added in its place is that note. Else a note that was taken out comes back; one that they deleted
    themselves stays away.
    """
    true = error.true
    assert true is not None
    added = {number: row for number, row in rows.items() if number < 0 and _is(row, true)}
    if added:
        nearest = min(added, key=lambda number: (abs(added[number].onset_s - true.onset_s), number))
        mine = untouched(true, rows.pop(nearest), _TOLERANCE)
        renamed[nearest] = error.number
        rows[error.number] = true if mine.seen == true.seen else mine
        return Outcome(error.number, error.kind, found=True, mended=True)
    if error.kind != "deleted":
        return Outcome(error.number, error.kind, found=True, mended=False)
    rows[error.number] = true
    return Outcome(error.number, error.kind, found=False, mended=False)


def _differs(mine: Row, sent: Row, kind: ErrorKind) -> bool:
    """Whether people changed that of a note."""
    if kind == "onset":
        return abs(mine.span[0] - sent.span[0]) > _TOLERANCE
    if kind == "pitch":
        return mine.pitch != sent.pitch
    return mine.instrument != sent.instrument


def _as_true(mine: Row, sent: Row, true: Row, kind: ErrorKind) -> Row:
    """A note with what was wrong of it made right, and all else as people left it."""
    if kind == "pitch":
        return mine._replace(pitch=true.pitch)
    if kind == "instrument":
        return mine._replace(program=true.program, is_drum=true.is_drum)
    onset, offset = mine.span
    by = true.span[0] - sent.span[0]
    return mine._replace(
        onset_s=clock.sample_to_seconds(max(0, onset + by)),
        offset_s=clock.sample_to_seconds(max(0, offset + by)),
    )


def _is(mine: Row, true: Row) -> bool:
    near = abs(mine.onset_s - true.onset_s) <= ONSET_TOLERANCE_S + 0.5 / clock.SAMPLE_RATE_HZ
    return near and (mine.pitch, mine.instrument) == (true.pitch, true.instrument)
