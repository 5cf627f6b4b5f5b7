"""What is kept of a video's music, to find it again: chromaprint's fingerprint and a map of levels over pitch and time.

The map has bins of a third of a semitone, so that a change of pitch is a shift of the map, and its levels are
compared after ``contrast`` has removed loudness, timbre's slow slopes, steady tones and broadband noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

FloatArray = npt.NDArray[np.float32]

RATE_HZ: Final = 11_025
HOP: Final = 1365
"""Samples from one frame to the next; chromaprint's own step, so that both have one clock."""
SPAN: Final = 4096
"""Samples of a frame: 372 ms, which tells semitones apart from about 150 Hz on."""
FRAMES_PER_S: Final = RATE_HZ / HOP
ITEM_SPAN: Final = SPAN + 19 * HOP
"""Samples an item of a chromaprint fingerprint is made of (measured: media/sound_scan.py)."""

BINS_PER_SEMITONE: Final = 3
N_BINS: Final = 156
_LOWEST_HZ: Final = 150.0  # 156 bins: 4.3 octaves, up to 3 kHz

LEAST_CONTENT: Final = 10.0
"""Stretches with less of ``content`` are not compared."""
LEAST_VARIETY: Final = 2.0

_FLOOR_DB: Final = -80.0  # of a bin, against a full-scale sine; noise of -60 dB in all lies below
_STEP_DB: Final = 0.4
_CLIP_DB: Final = 12.0
_LOCAL_BINS: Final = 19
_LOCAL_FRAMES: Final = 25  # 3.1 s
_BLOCK: Final = 512


@dataclass(frozen=True, eq=False)
class MusicFeatures:
    """A stretch of music, to be compared.

    Attributes
    ----------
    levels : np.ndarray, shape=(n, 156), uint8
        Level of each third of a semitone from 150 Hz to 3 kHz, in steps of 0.4 dB above -80 dB; row ``i`` is made
        of the 372 ms from ``lead_s + i / FRAMES_PER_S``. 76 kB a minute, about 45 kB compressed.
    hashes : np.ndarray, shape=(m,), uint32
        Chromaprint's raw fingerprint (algorithm 1); item ``i`` is made of the 2.7 s from
        ``lead_s + i / FRAMES_PER_S``. 2 kB a minute.
    lead_s : float
        Time of the first row, from the beginning of the stretch; 0-0.12 s.
    """

    levels: npt.NDArray[np.uint8]
    hashes: npt.NDArray[np.uint32]
    lead_s: float = 0.0

    def between(self, start_s: float, end_s: float) -> MusicFeatures:
        """A part of it, times in seconds from its own beginning; what is only partly inside is left out."""
        first = max(0, int(np.ceil((start_s - self.lead_s) * FRAMES_PER_S - 1e-6)))

        def stop(span: int) -> int:
            samples = (end_s - self.lead_s) * RATE_HZ - span
            return max(first, int(np.floor(samples / HOP + 1e-6)) + 1)

        lead_s = max(0.0, self.lead_s + first / FRAMES_PER_S - start_s)
        return MusicFeatures(self.levels[first : stop(SPAN)], self.hashes[first : stop(ITEM_SPAN)], lead_s)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For ``np.savez_compressed``."""
        return {"levels": self.levels, "hashes": self.hashes, "lead_s": np.array(self.lead_s)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> MusicFeatures:
        """From what ``to_arrays`` gave."""
        return cls(arrays["levels"], arrays["hashes"], float(arrays["lead_s"]))


def music_features(mono: npt.NDArray[np.int16], fingerprint: npt.NDArray[np.uint32]) -> MusicFeatures:
    """Features of a whole recording.

    Parameters
    ----------
    mono : np.ndarray, shape=(n,), int16
        At 11,025 Hz; read block by block, so it may be mapped from a file.
    fingerprint : np.ndarray, shape=(m,), uint32
        Chromaprint's raw fingerprint of the same sound; empty if there is none.

    Returns
    -------
    MusicFeatures
        Sound shorter than 372 ms has no rows.

    Notes
    -----
    About 15 ms of CPU per minute of sound, without decoding (``benchmarks/repeats.py`` prints it).
    """
    n_frames = max(0, (len(mono) - SPAN) // HOP + 1)
    window = np.hanning(SPAN + 1)[:-1].astype(np.float32)
    full_scale = np.float32((32768 * SPAN / 4) ** 2)
    levels = np.zeros((n_frames, N_BINS), np.uint8)
    for first in range(0, n_frames, _BLOCK):
        last = min(n_frames, first + _BLOCK)
        part = np.asarray(mono[first * HOP : (last - 1) * HOP + SPAN], np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(part, SPAN)[::HOP]
        spectrum = np.fft.rfft(frames * window, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) / full_scale @ _bands()
        level_db = 10 * np.log10(np.maximum(power, 10 ** (_FLOOR_DB / 10)))
        levels[first:last] = np.clip((level_db - _FLOOR_DB) / _STEP_DB + 0.5, 0, 255)
    return MusicFeatures(levels, np.asarray(fingerprint, np.uint32))


def contrast(levels: npt.NDArray[np.uint8]) -> FloatArray:
    """Levels against their surroundings, in dB: what tells one piece from another.

    Parameters
    ----------
    levels : np.ndarray, shape=(n, 156), uint8
        Of ``MusicFeatures``.

    Returns
    -------
    np.ndarray, shape=(n, 156), float32
        Level minus the mean over 6 semitones around (which drums and equalisers move as a whole), minus the mean
        over 3 s around (which holds drones and hum), clipped to -12..12 dB. All 0 for silence.
    """
    level_db = levels.astype(np.float32) * np.float32(_STEP_DB)
    level_db -= uniform_filter1d(level_db, _LOCAL_BINS, axis=1, mode="nearest")
    if len(level_db):
        level_db -= uniform_filter1d(level_db, _LOCAL_FRAMES, axis=0, mode="nearest")
    clipped: FloatArray = np.clip(level_db, -_CLIP_DB, _CLIP_DB)
    return clipped


def content(parts: FloatArray) -> npt.NDArray[np.float64]:
    """How much there is to recognise in a stretch of ``contrast``.

    Parameters
    ----------
    parts : np.ndarray, shape=(..., n, 156)

    Returns
    -------
    np.ndarray, shape=(...)
        How strong the contrasts are (root mean square, dB) times how many different things there are (participation
        ratio of the frames' principal components, 1 to n); 0 where the latter is below ``LEAST_VARIETY`` and for
        silence. Measured over 6 s: clicks 1-3, bare drum loops up to 6, songs 15-60.
    """
    gram = parts @ np.swapaxes(parts, -1, -2)
    total = np.trace(gram, axis1=-2, axis2=-1).astype(np.float64)
    squares = np.square(gram).sum(axis=(-2, -1), dtype=np.float64)
    variety = np.divide(total**2, squares, out=np.zeros_like(total), where=squares > 0)
    strength = np.sqrt(total / max(1, parts.shape[-2] * parts.shape[-1]))
    found: npt.NDArray[np.float64] = np.where(variety >= LEAST_VARIETY, strength * variety, 0.0)
    return found


@cache
def _bands() -> FloatArray:
    """Triangles of three bins' width, at least 1.5 lines of the spectrum to each side; shape (2049, 156)."""
    line_hz = np.fft.rfftfreq(SPAN, 1 / RATE_HZ)
    bins_per_octave = 12 * BINS_PER_SEMITONE
    centre_hz = _LOWEST_HZ * 2.0 ** (np.arange(N_BINS) / bins_per_octave)
    half_hz = np.maximum(centre_hz * (2 ** (1.5 / bins_per_octave) - 1), 1.5 * line_hz[1])
    weights = np.maximum(0.0, 1 - np.abs(line_hz[:, None] - centre_hz) / half_hz)
    bands: FloatArray = (weights / weights.sum(axis=0)).astype(np.float32)
    return bands
