"""Errors planted in the notes of a sheet before people see them, to measure how many of such they find.

Each is one that a professional must hear or see: an onset 80-200 ms off, a pitch one or two semitones or an octave off
(of drums, another key of the sheet's), another of the sheet's instruments, a note missing, a note too many. Whatever
they do not find is taken back before anything is kept, so that no planted error enters the dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np

from d2midi_build import clock
from d2midi_build.annotate.layering import Row
from d2midi_build.music.instruments import instrument_named

ErrorKind = Literal["onset", "pitch", "instrument", "deleted", "added"]

KINDS: Final[tuple[ErrorKind, ...]] = get_args(ErrorKind)

SHARE: Final = 0.05
"""Of a sheet's notes: enough to count, too few to spoil a sheet's work."""

_NEAREST_S: Final = 0.08
_FARTHEST_S: Final = 0.2
"""How far an onset is moved: more than the 50 ms within which notes count as found, and more than people mistake."""

_STEPS: Final = (-12, -2, -1, 1, 2, 12)
"""Semitones by which a pitch is changed."""

_APART_S: Final = 0.3
"""A wrong note lies so far from every note of its pitch and instrument: else it would be a right one, or a double."""

_NEW_STEPS: Final = (-4, -3, -2, -1, 1, 2, 3, 4)
"""Semitones between a note that is too many and the one that it imitates."""


@dataclass(frozen=True)
class PlantedError:
    """One error.

    Attributes
    ----------
    number : int
        The note's; of a note too many the one it was given.
    kind : {"onset", "pitch", "instrument", "deleted", "added"}
    true, sent : Row or None
        The note as it is, and as people are shown it; None where it is not there.
    """

    number: int
    kind: ErrorKind
    true: Row | None
    sent: Row | None

    def data(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "number": self.number,
            "kind": self.kind,
            "true": None if self.true is None else list(self.true),
            "sent": None if self.sent is None else list(self.sent),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> PlantedError:
        """From what `data` made.

        Raises
        ------
        KeyError, TypeError
            If it is something else.
        ValueError
            If the kind is none of `KINDS`.
        """
        if data["kind"] not in KINDS:
            raise ValueError(f"kind {data['kind']!r} is none of {', '.join(KINDS)}")
        true, sent = (None if data[name] is None else Row(*data[name]) for name in ("true", "sent"))
        return cls(int(data["number"]), data["kind"], true, sent)


@dataclass(frozen=True)
class Planted:
    """The notes of a sheet with errors in them.

    Attributes
    ----------
    rows : mapping of int to Row
        What to send, by number.
    errors : tuple of PlantedError
        By number; never two of one note.
    """

    rows: Mapping[int, Row]
    errors: tuple[PlantedError, ...]


def planted(
    rows: Mapping[int, Row], share: float, rng: np.random.Generator, *, following: int | None = None
) -> Planted:
    """Plant errors in the notes of a sheet.

    Parameters
    ----------
    rows : mapping of int to Row
        The notes by number.
    share : float
        Of the notes, 0-1; rounded, but one error at least where there are notes and ``share`` is not 0.
    rng : np.random.Generator
    following : int, optional
        First number for notes that are too many. Default: the first after those of ``rows``; where these are a part of
        a sheet only, give the sheet's (`Layered.next_number`).

    Raises
    ------
    ValueError
        If ``share`` is outside 0-1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}, allowed is 0-1")
    free = max(rows, default=-1) + 1 if following is None else following
    wanted = max(1, round(share * len(rows))) if rows and share else 0
    sent, errors = dict(rows), list[PlantedError]()
    untouched = set(rows)
    order: list[ErrorKind] = []
    while len(errors) < wanted:  # comes to an end, since any note can be deleted
        order = order or [KINDS[place] for place in rng.permutation(len(KINDS))]
        found = _planted(order.pop(), rows, sent, sorted(untouched), free, rng)
        if found is None:
            continue
        errors.append(found)
        untouched.discard(found.number)
        free += found.kind == "added"
        if found.sent is None:
            del sent[found.number]
        else:
            sent[found.number] = found.sent
    return Planted(sent, tuple(sorted(errors, key=lambda each: each.number)))


def _planted(
    kind: ErrorKind,
    rows: Mapping[int, Row],
    sent: Mapping[int, Row],
    untouched: list[int],
    free: int,
    rng: np.random.Generator,
) -> PlantedError | None:
    """An error of a kind in one of the notes that have none; None where no note can have one."""
    for place in rng.permutation(len(untouched)):
        number = untouched[place]
        true = rows[number]
        if kind == "deleted":
            return PlantedError(number, kind, true, None)
        taken = [row for k, row in [*rows.items(), *sent.items()] if k != number or kind == "added"]
        for wrong in _WRONG[kind](true, list(rows.values()), rng):
            if not any(_double(wrong, row) for row in taken):
                if kind == "added":
                    return PlantedError(free, kind, None, wrong)
                return PlantedError(number, kind, true, wrong)
    return None


def _double(one: Row, other: Row) -> bool:
    """Whether one would pass for the other."""
    near = one.pitch == other.pitch and abs(one.onset_s - other.onset_s) < _APART_S
    return near and one.instrument == other.instrument


def _moved(true: Row, rows: list[Row], rng: np.random.Generator) -> list[Row]:
    """Earlier or later, within what the sheet's notes span, the length kept."""
    first, last = min(row.span[0] for row in rows), max(row.span[0] for row in rows)
    onset, offset = true.span
    # Whole samples, and not less than 80 ms or more than 200 when rounded.
    by = int(rng.integers(_samples(_NEAREST_S) + 1, _samples(_FARTHEST_S)))
    return [
        true._replace(
            onset_s=clock.sample_to_seconds(onset + step), offset_s=clock.sample_to_seconds(offset + step)
        )
        for step in rng.permutation([-by, by]).tolist()
        if first <= onset + step <= last
    ]


def _retuned(true: Row, rows: list[Row], rng: np.random.Generator) -> list[Row]:
    if true.is_drum:
        pitches = sorted({row.pitch for row in rows if row.is_drum} - {true.pitch})
    else:
        pitches = [true.pitch + step for step in _STEPS if 0 <= true.pitch + step <= 127]
    return [true._replace(pitch=int(pitch)) for pitch in rng.permutation(pitches)]


def _relabelled(true: Row, rows: list[Row], rng: np.random.Generator) -> list[Row]:
    """Of drums none: their pitches are names of drums."""
    if true.is_drum:
        return []
    others = sorted({row.instrument for row in rows if not row.is_drum} - {true.instrument})
    return [true._replace(program=instrument_named(str(name)).program) for name in rng.permutation(others)]


def _imitated(true: Row, rows: list[Row], rng: np.random.Generator) -> list[Row]:
    """A note like one of the sheet's, at the time of another: a few semitones beside, or the same drum."""
    at = rows[int(rng.integers(len(rows)))].span[0]
    onset, offset = true.span
    there = true._replace(
        onset_s=clock.sample_to_seconds(at), offset_s=clock.sample_to_seconds(at + offset - onset)
    )
    if true.is_drum:
        return [there]
    pitches = [true.pitch + step for step in _NEW_STEPS if 0 <= true.pitch + step <= 127]
    return [there._replace(pitch=int(pitch)) for pitch in rng.permutation(pitches)]


_WRONG: Final[dict[ErrorKind, Callable[[Row, list[Row], np.random.Generator], list[Row]]]] = {
    "onset": _moved,
    "pitch": _retuned,
    "instrument": _relabelled,
    "added": _imitated,
}


def _samples(time_s: float) -> int:
    return clock.seconds_to_sample(time_s)
