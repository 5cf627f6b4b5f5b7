"""What became of planted errors, and the notes without those that people did not find.

An error counts as found when people changed what is wrong: the onset, the pitch or the instrument of that note, or
deleted it; when they put a note in where one was missing; when they deleted the note too many or made another of it. To
change something else of the note (its velocity, say) is not to have found it. It counts as mended when the note is then
right: onset within 50 ms, pitch and instrument as they were.

Whoever puts in a missing note may not put in quite that one. A note of its pitch class within 200 ms stands in its
place, whatever plays it; of drums one of its key within 200 ms, or of any within 50 ms. The error is found then, but
not mended, and the note that was taken out does not come back beside theirs. If they only delete a note whose onset or
pitch is wrong, the true one comes back: they have never seen it. One whose instrument alone is wrong stays away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from d2midi_build import clock
from d2midi_build.annotate.audit.planting import ErrorKind, Planted, PlantedError
from d2midi_build.annotate.corrections import ONSET_S
from d2midi_build.annotate.edits import untouched
from d2midi_build.annotate.layering import Reason, Row
from d2midi_build.music.scores import ONSET_TOLERANCE_S

_TOLERANCE: Final = clock.seconds_to_sample(ONSET_S)
"""Samples by which an onset or offset may be off without that anybody meant it."""

_PLACE_S: Final = 0.2
"""How far off a note may be that people put in for a missing one: as far as planted onsets are moved at most."""

_HALF_SAMPLE_S: Final = 0.5 / clock.SAMPLE_RATE_HZ

_OCTAVE: Final = 12

_UNSEEN: Final[tuple[ErrorKind, ...]] = ("deleted", "onset", "pitch")
"""Of these people never saw the true note, so that they deleted the wrong one says nothing of it."""


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
        where one had been taken out has the number of that one if it is that note, up to 50 ms.
    outcomes : tuple of Outcome
        Of all errors, by number.
    renamed : mapping of int to int or None
        Numbers in what they left that are others here; None where the note is gone with the error.
    replaced : mapping of int to int
        Notes that are not in ``rows`` because another one there stands in their place, and the number of that one.
    """

    rows: Mapping[int, Row]
    outcomes: tuple[Outcome, ...]
    renamed: Mapping[int, int | None]
    replaced: Mapping[int, int] = field(default_factory=dict)

    @property
    def found(self) -> dict[int, bool]:
        """Which errors were found, by number."""
        return {each.number: each.found for each in self.outcomes}

    def reasons(self, given: Mapping[int, Reason]) -> dict[int, Reason]:
        """Reasons of single notes by the numbers of `rows`, given by those of what they left.

        A note goes for the reason for which the one in its place came: else, if that came because it pleases, what is
        heard would have neither.
        """
        found = {number: reason for number, reason in given.items() if number not in self.renamed}
        for number, reason in given.items():
            if (now := self.renamed.get(number)) is not None:
                found[now] = reason
        return found | {gone: found[number] for gone, number in self.replaced.items() if number in found}


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
        as they left it. No true note comes back where people put one in for it.
    """
    rows, outcomes = dict(left), dict[int, Outcome]()
    renamed: dict[int, int | None] = {}
    for error in planted.errors:
        if error.kind == "added":
            outcomes[error.number] = _without(error, rows, renamed)
        elif error.number in rows:
            outcomes[error.number] = _righted(error, rows)
    missing = [error for error in planted.errors if error.number not in outcomes]
    unseen = [error for error in planted.errors if error.number in rows and not outcomes[error.number].found]
    again = _put_in_again(planted, [*missing, *unseen], rows)
    gone = [error for error in missing if error.kind in _UNSEEN and error.number not in again]
    replaced = _put_in_place(gone, {number: rows[number] for number in {*rows} - {*again.values()}})
    rows |= {error.number: _true(error) for error in gone if error.number not in replaced}
    for error in missing:
        mended = error.number in again
        found = mended or error.number in replaced or error.kind != "deleted"
        outcomes[error.number] = Outcome(error.number, error.kind, found, mended)
    for error in [*missing, *unseen]:
        if error.number in again:
            _become(error, again[error.number], rows, renamed, replaced)
    return Undone(rows, tuple(outcomes[error.number] for error in planted.errors), renamed, replaced)


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
    true, sent, mine = _true(error), error.sent, rows[error.number]
    assert sent is not None
    found = _differs(mine, sent, error.kind)
    if not found:
        mine = _as_true(mine, sent, true, error.kind)
    rows[error.number] = mine = _exactly(mine, true)
    return Outcome(error.number, error.kind, found, found and _is(mine, true))


def _put_in_again(
    planted: Planted, errors: Iterable[PlantedError], rows: Mapping[int, Row]
) -> dict[int, int]:
    """Numbers of notes that people put in for those of errors: the same ones, whether added or made of another note.

    They do so also where they leave the wrong note as it is: they could not see that it is meant to be that one.
    """
    before = {**planted.rows, **{each.number: each.true for each in planted.errors if each.true is not None}}
    wanted = {each.number: rows.get(each.number, _true(each)) for each in errors}
    put = {n: row for n, row in rows.items() if n < 0 or (n not in wanted and row.seen != before[n].seen)}

    def same(number: int, mine: Row, true: Row) -> bool:
        return _is(mine, true) and (number < 0 or not _is(before[number], true))

    return _nearest(wanted, put, same)


def _put_in_place(gone: Iterable[PlantedError], rows: Mapping[int, Row]) -> dict[int, int]:
    """Numbers of notes that people added in the place of those that were taken out, without being quite those."""

    def alike(_: int, mine: Row, true: Row) -> bool:
        near = _apart_s(mine, true) <= _PLACE_S + _HALF_SAMPLE_S
        if true.is_drum or mine.is_drum:
            at_once = _apart_s(mine, true) <= ONSET_TOLERANCE_S + _HALF_SAMPLE_S
            return mine.is_drum == true.is_drum and (at_once or (near and mine.pitch == true.pitch))
        return near and mine.pitch % _OCTAVE == true.pitch % _OCTAVE

    added = {number: row for number, row in rows.items() if number < 0}
    return _nearest({each.number: _true(each) for each in gone}, added, alike)


def _nearest(
    wanted: Mapping[int, Row], put: Mapping[int, Row], suits: Callable[[int, Row, Row], bool]
) -> dict[int, int]:
    """Which note is meant for which, one to one: the nearest in time first, then by number."""
    pairs = sorted(
        (_apart_s(mine, true), place, number)
        for place, true in wanted.items()
        for number, mine in put.items()
        if suits(number, mine, true)
    )
    found: dict[int, int] = {}
    for _, place, number in pairs:
        if place not in found and number not in found.values():
            found[place] = number
    return found


def _become(
    error: PlantedError,
    number: int,
    rows: dict[int, Row],
    renamed: dict[int, int | None],
    replaced: dict[int, int],
) -> None:
    """Make one note of that of an error and the one that people put in for it."""
    if number >= 0:  # made of another note, whose number it keeps
        rows.pop(error.number, None)
        replaced[error.number] = number
        return
    rows[error.number] = _exactly(rows.pop(number), _true(error))
    # What they made of a note too many has been renamed before; they know it by its first number.
    first = next((old for old, new in renamed.items() if new == number), number)
    renamed[first] = error.number


def _true(error: PlantedError) -> Row:
    assert error.true is not None, "a note too many has no true one"
    return error.true


def _exactly(mine: Row, true: Row) -> Row:
    """The true note where theirs looks like it up to what can be seen; else theirs."""
    mine = untouched(true, mine, _TOLERANCE)
    return true if mine.seen == true.seen else mine


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
    start = max(0, onset + by)
    # An end that they dragged is where they hear it, wherever the note begins; but a note must not end before that.
    dragged = abs(offset - sent.span[1]) > _TOLERANCE and offset > start
    return mine._replace(
        onset_s=clock.sample_to_seconds(start),
        offset_s=clock.sample_to_seconds(offset if dragged else max(0, offset + by)),
    )


def _apart_s(mine: Row, true: Row) -> float:
    return abs(mine.onset_s - true.onset_s)


def _is(mine: Row, true: Row) -> bool:
    near = _apart_s(mine, true) <= ONSET_TOLERANCE_S + _HALF_SAMPLE_S
    return near and (mine.pitch, mine.instrument) == (true.pitch, true.instrument)
