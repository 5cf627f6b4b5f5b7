"""How loud, how silent and how clipped the sound of a video is, in blocks of a tenth of a second.

One pass over the sound of the whole file gives numbers per block; any range is scored from them later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.media.ffmpeg import Samples

BLOCK_S: Final = 0.1
"""Length of a block in seconds."""

FLOOR_DB: Final = -120.0
"""Level given to digital silence; below what 16 bits can hold."""

_FULL_SCALE: Final = 0.999  # 32,735 of 32,768
_CLIPPED_RUN: Final = 3  # samples: a peak of clean sound touches full scale in one or two


@dataclass(frozen=True)
class RangeLevels:
    """Levels of a range: RMS and peak in dB relative to full scale, and two shares, 0 to 1."""

    loudness_db: float
    peak_db: float
    silent_share: float
    clipped_share: float


@dataclass(frozen=True)
class AudioLevels:
    """Levels per block on the source clock: block ``i`` is ``i * BLOCK_S`` to ``(i + 1) * BLOCK_S`` seconds
    from the file's first picture.

    ``power`` is the mean square over samples and channels, ``peak`` the greatest absolute sample,
    ``clipped`` the share of samples in runs at full scale; each shape=(n_blocks,), float64.
    """

    power: npt.NDArray[np.float64]
    peak: npt.NDArray[np.float64]
    clipped: npt.NDArray[np.float64]

    def over(self, start_s: float, end_s: float, silent_below_db: float) -> RangeLevels:
        """Levels of a range.

        Parameters
        ----------
        start_s, end_s : float
            In seconds on the source clock; the blocks whose middles lie in it count, at least one. Where
            there is no sound (any more) there is silence.
        silent_below_db : float
            RMS level under which a block is silent.
        """
        first = max(0, round(start_s / BLOCK_S))
        last = max(first + 1, round(end_s / BLOCK_S))
        missing = last - max(first, min(last, len(self.power)))
        power, peak, clipped = (
            np.pad(x[first:last], (0, missing)) for x in (self.power, self.peak, self.clipped)
        )
        return RangeLevels(
            loudness_db=decibels(float(power.mean())),
            peak_db=decibels(float(peak.max()) ** 2),
            silent_share=float(np.mean([decibels(value) < silent_below_db for value in power])),
            clipped_share=float(clipped.mean()),
        )


def decibels(power: float) -> float:
    """Level of a mean square relative to full scale, at least ``FLOOR_DB``."""
    return max(FLOOR_DB, 10 * float(np.log10(power))) if power > 0 else FLOOR_DB


def clipped_samples(samples: Samples) -> int:
    """Number of samples that lie in runs of at least three at full scale, over all channels.

    Parameters
    ----------
    samples : np.ndarray, shape=(n, channels)
        Full scale is 1.
    """
    full = np.zeros((len(samples) + 2, samples.shape[1]), dtype=bool)
    full[1:-1] = np.abs(samples) >= _FULL_SCALE
    if not full.any():
        return 0
    # Channel after channel; the False at both ends keep runs of neighbouring channels apart.
    steps = np.diff(full.T.ravel().astype(np.int8))
    runs = np.flatnonzero(steps == -1) - np.flatnonzero(steps == 1)
    return int(runs[runs >= _CLIPPED_RUN].sum())


def blocks_of(parts: Iterable[Samples], rate_hz: int) -> Iterator[Samples]:
    """Sound that comes in parts of any length, cut into blocks of ``BLOCK_S``; the last may be shorter.

    Parameters
    ----------
    parts : iterable of np.ndarray, shape=(n, channels)
    rate_hz : int

    Yields
    ------
    np.ndarray, shape=(m, channels)
        Block ``i`` begins at sample ``round(i * BLOCK_S * rate_hz)``, so that none drifts.
    """
    rest: Samples | None = None
    begin = number = 0  # of `rest`, in samples; of the next block
    for part in parts:
        rest = part if rest is None or not len(rest) else np.concatenate([rest, part])
        done = 0
        while len(rest) >= (end := round((number + 1) * BLOCK_S * rate_hz) - begin):
            yield rest[done:end]
            done, number = end, number + 1
        rest, begin = rest[done:], begin + done
    if rest is not None and len(rest):
        yield rest


class LevelMeter:
    """Takes blocks one after the other and keeps three numbers of each."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, float, float]] = []

    def add(self, block: Samples) -> None:
        """Measure the next block, shape=(n, channels), n > 0; full scale is 1."""
        self._rows.append(_levels(block))

    def levels(self) -> AudioLevels:
        """What was measured so far."""
        power, peak, clipped = np.array(self._rows, dtype=np.float64).reshape(-1, 3).T
        return AudioLevels(power, peak, clipped)


def block_levels(parts: Iterable[Samples], rate_hz: int) -> AudioLevels:
    """Levels of sound that comes in parts of any length; an unfinished last block counts as one.

    Parameters
    ----------
    parts : iterable of np.ndarray, shape=(n, channels)
        Full scale is 1.
    rate_hz : int
    """
    meter = LevelMeter()
    for block in blocks_of(parts, rate_hz):
        meter.add(block)
    return meter.levels()


def _levels(block: Samples) -> tuple[float, float, float]:
    return (
        float(np.mean(np.square(block, dtype=np.float64))),
        float(np.abs(block).max()),
        clipped_samples(block) / block.size,
    )
