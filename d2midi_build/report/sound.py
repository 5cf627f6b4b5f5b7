"""Two sounds to compare by ear: one on the left, one on the right, equally loud."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

PEAK: Final = 0.95
"""Nothing gets louder than this; AAC overshoots a little."""

_BLOCK_S: Final = 0.05
_GATE: Final = 0.1
_SILENCE: Final = 1e-5


def side_by_side(left: FloatArray, right: FloatArray, sample_rate_hz: int) -> FloatArray:
    """Two sounds as the channels of one, with matched levels and nothing clipped.

    The right one is scaled to be as loud as the left one; both are scaled down together if either would
    pass ``PEAK``. Times are not touched.

    Parameters
    ----------
    left, right : np.ndarray, shape=(n,) or (n, channels), float32
        Channels are averaged.
    sample_rate_hz : int

    Returns
    -------
    np.ndarray, shape=(n, 2), float32

    Raises
    ------
    ValueError
        If lengths differ.
    """
    if len(left) != len(right):
        raise ValueError(f"{len(left)} samples on the left, {len(right)} on the right")
    both = np.stack([_mono(left), _mono(right)], axis=1)
    here, there = level(both[:, 0], sample_rate_hz), level(both[:, 1], sample_rate_hz)
    if here > 0 and there > 0:
        both[:, 1] *= here / there
    loudest = float(np.abs(both).max(initial=0.0))
    if loudest > PEAK:
        both *= PEAK / loudest
    return both


def level(sound: FloatArray, sample_rate_hz: int) -> float:
    """Root mean square of a sound where it sounds.

    Blocks of 50 ms that are more than 20 dB below the loudest are left out, so that a few notes in long
    silence are not taken for soft ones.

    Parameters
    ----------
    sound : np.ndarray, shape=(n,)
    sample_rate_hz : int

    Returns
    -------
    float
        0 for silence.
    """
    if not len(sound):
        return 0.0
    starts = np.arange(0, len(sound), max(1, round(_BLOCK_S * sample_rate_hz)))
    lengths = np.diff(np.append(starts, len(sound)))
    squares = np.add.reduceat(np.square(sound, dtype=np.float64), starts) / lengths
    loudest = squares.max()
    return float(np.sqrt(squares[squares >= loudest * _GATE**2].mean())) if loudest > _SILENCE**2 else 0.0


def _mono(sound: FloatArray) -> FloatArray:
    return sound if sound.ndim == 1 else sound.mean(axis=1, dtype=np.float32)
