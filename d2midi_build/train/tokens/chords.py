"""One chord for each nominal measure, for its header.

A plain estimate, not analysis: nominal measures do not follow the music's own. It tells a model which pitch
classes to expect, and nothing reads it back.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.train.tokens.vocabulary import FIRST_CHORD, NO_CHORD, QUALITIES, STEPS_PER_BAR

IntArray = npt.NDArray[np.int64]

_QUARTER: Final = STEPS_PER_BAR // 4

_HEARD: Final = 4
"""A pitch class is heard if it has at least a fourth of the time of the one that sounds longest."""

_CLASSES: Final = np.array(
    [
        [(pitch_class - root) % 12 in intervals for pitch_class in range(12)]
        for root in range(12)
        for intervals in QUALITIES.values()
    ],
    dtype=np.int64,
)
"""Pitch classes of each chord, shape (132, 12), in the order of ids."""

_ROOT: Final = np.repeat(np.arange(12), len(QUALITIES))


def chords(onset: IntArray, offset: IntArray, pitch: IntArray, n_bars: int) -> IntArray:
    """Id of the chord of each measure, shape (n_bars,).

    The time that each pitch class sounds in the first quarter (8 steps; notes that began earlier count, and
    each of several octaves) decides. Of the chords whose classes are all heard, the one that takes the largest
    share of the time; of several, one whose root is the lowest note, then the first in order of ids. HNA
    if none is heard in full or the best takes less than two thirds of the time.

    Parameters
    ----------
    onset, offset : int64, shape (n,)
        Of pitched notes, in steps.
    pitch : int64, shape (n,)
        MIDI pitches.
    n_bars : int
    """
    first = (onset + STEPS_PER_BAR - _QUARTER) // STEPS_PER_BAR
    count = np.maximum((offset - 1) // STEPS_PER_BAR - first + 1, 0)
    note = np.repeat(np.arange(len(onset)), count)
    bar = first[note] + np.arange(len(note)) - np.repeat(np.cumsum(count) - count, count)
    note, bar = note[bar < n_bars], bar[bar < n_bars]
    starts = bar * STEPS_PER_BAR
    time = np.minimum(offset[note], starts + _QUARTER) - np.maximum(onset[note], starts)
    sounding = np.zeros((n_bars, 12), dtype=np.int64)
    np.add.at(sounding, (bar, pitch[note] % 12), time)
    lowest = np.full(n_bars, 128, dtype=np.int64)
    np.minimum.at(lowest, bar, pitch[note])

    heard = (sounding > 0) & (sounding * _HEARD >= sounding.max(axis=1, keepdims=True, initial=0))
    whole = heard.astype(np.int64) @ _CLASSES.T == _CLASSES.sum(axis=1)
    taken = sounding @ _CLASSES.T
    on_lowest = _ROOT[None, :] == (lowest % 12)[:, None]
    best = np.where(whole, 2 * taken + on_lowest, -1).argmax(axis=1)
    every = np.arange(n_bars)
    clear = whole[every, best] & (3 * taken[every, best] >= 2 * sounding.sum(axis=1))
    return np.where(clear, FIRST_CHORD + best, NO_CHORD)
