"""What the embedded network sees: sound as log-frequency spectra, drum bands and basic-pitch's activations.

Everything lies on one grid of `FRAME_S` (23.2 ms); the drum bands have two rows per frame. Frame ``k``
is centred on sample ``k * HOP`` at `RATE_HZ`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.sparse

RATE_HZ: Final = 22_050
"""Rate of the sound the features are made of; basic-pitch's."""

HOP: Final = 512
FRAME_S: Final = HOP / RATE_HZ
DRUM_HOP: Final = HOP // 2

N_PITCHES: Final = 88
LOWEST_PITCH: Final = 21
"""The piano's range, which is basic-pitch's."""

BINS_PER_SEMITONE: Final = 3
N_SEMITONES: Final = 104
"""Rows of the log-frequency spectra: from A0 to 10.9 kHz, so that overtones of high notes are seen."""

N_BINS: Final = BINS_PER_SEMITONE * N_SEMITONES
N_DRUM_BANDS: Final = 64

_LONG: Final = 8192
_SHORT: Final = 2048
_DRUM: Final = 1024
_LEVEL_RMS: Final = 0.1
_FLOOR: Final = 1e-5
_BLOCK: Final = 512
"""Frames transformed at a time, to bound memory."""


@dataclass(frozen=True)
class Features:
    """Input of the network for ``n`` frames.

    Attributes
    ----------
    spectra : np.ndarray, shape (2, n, N_BINS), float32
        Log magnitudes with a long window (0.37 s, fine in pitch) and a short one (93 ms, fine in time).
    activations : np.ndarray, shape (2, n, N_PITCHES), float32
        basic-pitch's note and onset activations, the larger of two of its frames.
    drums : np.ndarray, shape (2 * n, N_DRUM_BANDS), float32
        Log energies of mel bands (46 ms window), 86 times a second.
    """

    spectra: npt.NDArray[np.float32]
    activations: npt.NDArray[np.float32]
    drums: npt.NDArray[np.float32]


def features(
    audio: npt.NDArray[np.float32],
    note: npt.NDArray[np.float32],
    onset: npt.NDArray[np.float32],
    times_s: npt.NDArray[np.float64],
    rms: float,
) -> Features:
    """Features of a mono recording.

    Parameters
    ----------
    audio : np.ndarray, shape (n_samples,), float32
        At `RATE_HZ`.
    note, onset : np.ndarray, shape (m, N_PITCHES), float32
        basic-pitch's activations.
    times_s : np.ndarray, shape (m,)
        Their times.
    rms : float
        Root mean square of the whole recording this is a part of, positive: spectra are relative to it.
    """
    n_frames = frames_of(len(audio))
    scaled = audio * np.float32(_LEVEL_RMS / rms)
    frame = np.round(times_s / FRAME_S).astype(np.int64)
    inside = (frame >= 0) & (frame < n_frames)
    activations = np.zeros((2, n_frames, N_PITCHES), np.float32)
    for place, values in enumerate((note, onset)):
        np.maximum.at(activations[place], frame[inside], values[inside])
    return Features(
        np.stack(
            [_bands(scaled, length, HOP, n_frames, _log_frequency(length)) for length in (_LONG, _SHORT)]
        ),
        activations,
        _bands(scaled, _DRUM, DRUM_HOP, 2 * n_frames, _mel()),
    )


def frames_of(n_samples: int) -> int:
    """Frames that cover so many samples at `RATE_HZ`."""
    return -(-n_samples // HOP)


def _bands(
    audio: npt.NDArray[np.float32], length: int, hop: int, n_frames: int, bank: scipy.sparse.csr_array
) -> npt.NDArray[np.float32]:
    """Log magnitude per band, shape (n_frames, bands): about 0 for silence, 2.5 for a sine at full scale."""
    padded = np.pad(audio, (length // 2, length // 2 + hop * n_frames - len(audio) + length))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop][:n_frames]
    window = _hann(length)
    out = np.empty((n_frames, bank.shape[0]), np.float32)
    for first in range(0, n_frames, _BLOCK):
        spectrum = scipy.fft.rfft(frames[first : first + _BLOCK] * window, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        out[first : first + _BLOCK] = (bank @ power.T).T
    return np.asarray((np.log10(np.sqrt(out) + _FLOOR) - np.log10(_FLOOR)) / 2, dtype=np.float32)


@cache
def _hann(length: int) -> npt.NDArray[np.float32]:
    """A Hann window whose sum is 2: a sine of amplitude 1 gives a peak of 1."""
    window = np.hanning(length + 1)[:-1]
    return np.asarray(2 * window / window.sum(), dtype=np.float32)


@cache
def _log_frequency(length: int) -> scipy.sparse.csr_array:
    """Triangular bands, three per semitone from A0, from the power spectrum of ``length`` samples."""
    steps = np.arange(N_BINS) - (BINS_PER_SEMITONE // 2)
    centre_hz = 27.5 * 2.0 ** (steps / (12 * BINS_PER_SEMITONE))
    # At least as wide as a bin on either side, or low bands would fall between two bins.
    half_hz = np.maximum(centre_hz * (2.0 ** (1 / (12 * BINS_PER_SEMITONE)) - 1), RATE_HZ / length)
    return _triangles(centre_hz, half_hz, length)


def drum_band_hz() -> npt.NDArray[np.float64]:
    """Centres of the drum bands: mel bands from 30 Hz to 11 kHz."""
    return _mel_edges_hz()[1:-1]


def _mel_edges_hz() -> npt.NDArray[np.float64]:
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (30.0, 11_000.0))
    mel = np.linspace(low, high, N_DRUM_BANDS + 2)
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


@cache
def _mel() -> scipy.sparse.csr_array:
    """Triangular mel bands."""
    edges_hz = _mel_edges_hz()
    half_hz = np.maximum((edges_hz[2:] - edges_hz[:-2]) / 2, RATE_HZ / _DRUM)
    return _triangles(edges_hz[1:-1], half_hz, _DRUM)


def _triangles(
    centre_hz: npt.NDArray[np.float64], half_hz: npt.NDArray[np.float64], length: int
) -> scipy.sparse.csr_array:
    hz = np.fft.rfftfreq(length, 1 / RATE_HZ)
    weights = np.maximum(0.0, 1.0 - np.abs(hz - centre_hz[:, None]) / half_hz[:, None])
    return scipy.sparse.csr_array(weights.astype(np.float32))
