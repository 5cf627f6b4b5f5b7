"""What several transcribers make of the same sound: which notes they share, and which only one of them heard.

Notes are the same as `music.scores` has it: onsets within 50 ms, and of pitched notes pitch and instrument, of drums
the class. Who names no instruments is asked about onset and pitch only; who hears no drums is not asked about drums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.music.instruments import DRUM_CLASSES
from d2midi_build.music.notes import Notes, to_samples
from d2midi_build.music.scores import ONSET_TOLERANCE_S

_TOLERANCE: Final = int(to_samples(ONSET_TOLERANCE_S))
"""In samples of the one clock, on which all onsets lie."""

_NO_CLASS: Final = -1
"""Kind of a drum in none of `DRUM_CLASSES`, such as a clap: nobody is asked about it."""

_KIND_OF_KEY: Final = np.full(128, _NO_CLASS)
for _place, _keys in enumerate(DRUM_CLASSES.values()):
    _KIND_OF_KEY[list(_keys)] = 128 + _place

_FAR: Final = 1 << 40
"""Between the notes of two kinds, in samples: more than any recording has."""


@dataclass(frozen=True, eq=False)
class Opinion:
    """What one transcriber heard.

    Attributes
    ----------
    notes : Notes
    names_instruments, hears_drums : bool
        Of the `Transcriber`.
    """

    notes: Notes
    names_instruments: bool = True
    hears_drums: bool = True

    def judges(self, notes: Notes) -> npt.NDArray[np.bool_]:
        """Whether it could have heard each of ``n`` notes, shape ``(n,)``."""
        return np.asarray((_kinds(notes) != _NO_CLASS) & (self.hears_drums | ~notes.is_drum))


def shared(ours: Opinion, theirs: Opinion) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which notes two transcribers have in common.

    Notes are matched one to one, as many as can be; equal notes at one time are one, as are hits of a drum class.
    Where one of the two names no instruments, a note of it may stand for one of each instrument: it cannot tell how
    many play it.

    Returns
    -------
    ours, theirs : np.ndarray, shape (n,) and (m,), bool
        Whether the other heard each note, too.
    """
    found = np.zeros(len(ours.notes), np.bool_), np.zeros(len(theirs.notes), np.bool_)
    for name, mine in _voices(ours).items():
        for other, its in _voices(theirs).items():
            if name == other or "" in (name, other):
                both = _matched(ours.notes.where(mine), theirs.notes.where(its))
                found[0][mine] |= both[0]
                found[1][its] |= both[1]
    return found


def agreement(primary: Opinion, others: Sequence[Opinion]) -> npt.NDArray[np.float32]:
    """How far other transcribers agree with the notes of one.

    Returns
    -------
    np.ndarray, shape (n,), float32
        Share of the others that heard each note, of those that could have (0-1); NaN where none could.
    """
    asked, heard = np.zeros((2, len(primary.notes)))
    for other in others:
        judged = other.judges(primary.notes)
        asked += judged
        heard += judged & shared(primary, other)[0]
    share = np.divide(heard, asked, out=np.full(len(asked), np.nan), where=asked > 0)
    return share.astype(np.float32)


def sureness(
    p_note: npt.ArrayLike, p_instrument: npt.ArrayLike, agreed: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """How sure notes are by their own probabilities and by what other transcribers say.

    A note that nobody else heard is half as sure as one that all heard: not above a half, whatever its transcriber says
    of it.

    Parameters
    ----------
    p_note, p_instrument : array_like, shape (n,)
        0-1, as `Notes` has them. Where ``p_instrument`` is 0 no instrument was named, and it says nothing.
    agreed : array_like, shape (n,)
        As `agreement` gives it.

    Returns
    -------
    np.ndarray, shape (n,), float64
        ``p_note * p_instrument * (1 + agreed) / 2``; the last factor is 1 where nobody was asked (NaN).
    """
    share, named = np.asarray(agreed, np.float64), np.asarray(p_instrument, np.float64)
    weight = np.where(np.isnan(share), 1.0, (1 + share) / 2)
    return np.asarray(np.asarray(p_note, np.float64) * np.where(named > 0, named, 1.0) * weight)


def _voices(opinion: Opinion) -> dict[str, npt.NDArray[np.int64]]:
    """Places of the notes of each instrument; of all notes under no name where it names none."""
    notes = opinion.notes
    if not opinion.names_instruments:
        return {"": np.arange(len(notes))}
    return {str(name): np.flatnonzero(notes.instrument == name) for name in np.unique(notes.instrument)}


def _kinds(notes: Notes) -> npt.NDArray[np.int64]:
    """Pitch (0-127) or class of drum (from 128), shape ``(n,)``."""
    return np.where(notes.is_drum, _KIND_OF_KEY[notes.pitch], notes.pitch)


def _matched(ours: Notes, theirs: Notes) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which notes find one of their kind in time, whatever plays them.

    How many is certain, which is not: of two that are near enough to one, the earlier has it.

    Taking the earliest of both that are near enough gives the most pairs there can be, since all reach equally far.
    """
    keys, places = zip(
        *(np.unique(_keys_of(each), return_inverse=True) for each in (ours, theirs)), strict=True
    )
    a, b = (each.tolist() for each in keys)
    hits = np.zeros(len(a), np.bool_), np.zeros(len(b), np.bool_)
    i = j = 0
    while i < len(a) and j < len(b):
        if abs(a[i] - b[j]) <= _TOLERANCE:
            hits[0][i] = hits[1][j] = a[i] >= 0
            i, j = i + 1, j + 1
        elif a[i] < b[j]:
            i += 1
        else:
            j += 1
    return hits[0][places[0]], hits[1][places[1]]


def _keys_of(notes: Notes) -> npt.NDArray[np.int64]:
    """Onsets in samples, far apart for notes of different kinds; below 0 for drums of no class."""
    return np.asarray(_kinds(notes) * _FAR + to_samples(notes.onset_s), dtype=np.int64)
