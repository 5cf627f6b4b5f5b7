"""What kinds of quads there are, and which may follow which."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build.errors import UsageError
from d2midi_build.train.tokens.vocabulary import (
    FIRST_POSITION,
    FIRST_TRACK,
    NEW_TRACK,
    PAD,
    STEPS_PER_BAR,
    VOCABULARY,
)

Quads = npt.NDArray[np.int16]

_PAD, _BOS, _EOS, _MASK, NOTE, _MEASURE, POSITION, CHORD, TRACK = range(9)

KINDS: Final = np.repeat(
    [_PAD, _BOS, _EOS, _MASK, NOTE, _MEASURE, POSITION, CHORD, TRACK],
    [1, 1, 1, 1, 128, 1, STEPS_PER_BAR, NEW_TRACK - FIRST_POSITION - STEPS_PER_BAR, 1],
)
"""Kind of each event, shape (299,)."""

_FOLLOWS: Final = {
    _PAD: (_PAD,),
    _BOS: (_MEASURE, _EOS),
    _EOS: (_PAD,),
    _MASK: (),
    NOTE: (NOTE, POSITION, TRACK, _MEASURE, _EOS),
    _MEASURE: (CHORD,),
    POSITION: (NOTE,),
    CHORD: (TRACK, _MEASURE, _EOS),
    TRACK: (POSITION,),
}
"""What kinds may follow each kind."""

_MAY_FOLLOW: Final = np.array([[kind in _FOLLOWS[before] for kind in range(9)] for before in range(9)])


def check(quads: Quads) -> None:
    """See that quads of shape (n, 4) are the beginning of a sequence, or all of one.

    Nothing is asked of the order of tracks, of positions or of pitches: tokens that were filled in have their own.

    Raises
    ------
    UsageError
        At a quad that cannot stand where it does; the message names it.
    """
    if not len(quads):
        return
    event, rest = quads[:, 0], quads[:, 1:]
    kind = KINDS[event]
    if kind[0] not in (_BOS, _MEASURE):
        raise UsageError(f"quad 0 is {VOCABULARY.spell(quads[0])}; tokens begin with BOS or a measure")
    _refuse(quads, kind == _MASK, "masked: fill masks before decoding")
    out_of_place = np.zeros(len(quads), dtype=np.bool_)
    out_of_place[1:] = ~_MAY_FOLLOW[kind[:-1], kind[1:]]
    _refuse(quads, out_of_place, "of a kind that cannot follow the one before it")
    ends = (kind == _BOS) | (kind == _EOS)
    needed = np.where(ends, event, PAD)[:, None]
    note = kind == NOTE
    _refuse(
        quads, ~note & (rest != needed).any(axis=1), "no note, so the rest must be PAD (or BOS, EOS as it is)"
    )
    _refuse(quads, note & (rest < FIRST_TRACK).any(axis=1), "a note without duration, track or instrument")
    block = np.cumsum(kind == TRACK)
    _one_each(quads, note, block, quads[:, 2], "of another track than the notes before it: NT is missing")
    _one_each(quads, note, quads[:, 2], quads[:, 3], "of another instrument than its track had before")


def _one_each(
    quads: Quads, note: npt.NDArray[np.bool_], group: npt.NDArray[Any], value: npt.NDArray[Any], what: str
) -> None:
    """Refuse notes whose value is not that of the first note of their group."""
    rows = np.flatnonzero(note)
    _, first, which = np.unique(group[rows], return_index=True, return_inverse=True)
    wrong = np.zeros(len(quads), dtype=np.bool_)
    wrong[rows] = value[rows] != value[rows][first][which]
    _refuse(quads, wrong, what)


def _refuse(quads: Quads, wrong: npt.NDArray[np.bool_], what: str) -> None:
    if wrong.any():
        row = int(wrong.argmax())
        raise UsageError(f"quad {row} is {VOCABULARY.spell(quads[row])}: {what}.")
