"""Short descriptions of windows of music that stay the same when pitch and beginning move a little.

The magnitude of a two-dimensional Fourier transform does not know where in its window things are (used for cover
songs by Bertin-Mahieux and Ellis, ISMIR 2012). Here it is taken at modulations scaled by the assumed speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.ndimage import uniform_filter

from d2midi_build.music.fingerprints.spectrum import FRAMES_PER_S, LEAST_CONTENT, N_BINS, FloatArray, content

WINDOW_S: Final = 6.0
STEP_S: Final = 1.5
FINE_STEP_S: Final = 0.75
SPEEDS: Final = (0.95, 0.975, 1.0, 1.025, 1.05)

_MODULATIONS_HZ: Final = np.arange(1, 10) / WINDOW_S
_RIPPLES: Final = (
    24  # of 128: down to ripples of 3.6 semitones' width, wide enough to survive another font or codec
)
_PADDED: Final = 256
_EDGE: Final = 40
_SURROUNDINGS: Final = (0, 5, 5)

N_NUMBERS: Final = len(_MODULATIONS_HZ) * (2 * _RIPPLES + 1)


@dataclass(frozen=True, eq=False)
class Outlines:
    """Windows of one or more items.

    Attributes
    ----------
    numbers : np.ndarray, shape=(n, 441), float32
        Rows of length 1: their products say how alike windows are.
    item : np.ndarray, shape=(n,), int
    frame : np.ndarray, shape=(n,), int
        The window's first frame.
    speed : np.ndarray, shape=(n,), float
        The speed at which the window is taken: it has ``WINDOW_S / speed`` seconds.
    """

    numbers: FloatArray
    item: npt.NDArray[np.int64]
    frame: npt.NDArray[np.int64]
    speed: npt.NDArray[np.float64]

    @classmethod
    def concat(cls, parts: list[Outlines]) -> Outlines:
        """All windows of several."""
        return cls(
            np.concatenate([part.numbers for part in parts] or [np.zeros((0, N_NUMBERS), np.float32)]),
            np.concatenate([part.item for part in parts] or [np.zeros(0, np.int64)]),
            np.concatenate([part.frame for part in parts] or [np.zeros(0, np.int64)]),
            np.concatenate([part.speed for part in parts] or [np.zeros(0)]),
        )

    def where(self, keep: npt.NDArray[np.bool_]) -> Outlines:
        """Some of the windows."""
        return Outlines(self.numbers[keep], self.item[keep], self.frame[keep], self.speed[keep])


def outlines(contrast: FloatArray, item: int, step_s: float, speed: float) -> Outlines:
    """Outlines of an item's windows, those with little in them left out.

    Parameters
    ----------
    contrast : np.ndarray, shape=(n, 156)
    item : int
        Number to remember.
    step_s : float
        From one window to the next.
    speed : float
        Assumed speed of this item against the one it will be compared with.
    """
    size = round(WINDOW_S * FRAMES_PER_S / speed)
    starts = (
        np.arange(0, max(0.0, len(contrast) - size + 1e-6), step_s * FRAMES_PER_S).round().astype(np.int64)
    )
    starts = starts[starts + size <= len(contrast)]
    if not len(starts):
        return Outlines.concat([])
    parts = np.lib.stride_tricks.sliding_window_view(contrast, size, axis=0)[starts].swapaxes(1, 2)
    keep = content(parts) >= LEAST_CONTENT
    starts, parts = starts[keep], parts[keep]
    time_s = np.arange(size) / FRAMES_PER_S * speed
    waves = np.exp(-2j * np.pi * np.outer(_MODULATIONS_HZ, time_s)) * np.hanning(size + 2)[1:-1]
    moved = np.einsum("mf,kfb->kmb", waves.astype(np.complex64), parts * _taper(), optimize=True)
    ripples = fft.fftshift(fft.fft(moved, _PADDED, axis=2), axes=2)
    middle = _PADDED // 2
    size_of = np.sqrt(np.abs(ripples[:, :, middle - _RIPPLES : middle + _RIPPLES + 1]))
    shape = (size_of - uniform_filter(size_of, _SURROUNDINGS, mode="nearest")).reshape(len(starts), N_NUMBERS)
    length = np.linalg.norm(shape, axis=1, keepdims=True)
    numbers = (shape / np.maximum(length, 1e-9)).astype(np.float32)
    return Outlines(numbers, np.full(len(starts), item), starts, np.full(len(starts), speed))


def _taper() -> FloatArray:
    """Fades the lowest and highest bins out: a change of pitch moves some of them out of view."""
    taper = np.ones(N_BINS, np.float32)
    rise = np.sin(np.linspace(0, np.pi / 2, _EDGE + 2)[1:-1]) ** 2
    taper[:_EDGE], taper[-_EDGE:] = rise, rise[::-1]
    return taper
