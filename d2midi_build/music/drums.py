"""Kick, snare and hi-hat from the energy of 24 frequency bands around each onset.

Spectral flux finds moments where something starts; a linear rule per drum then weighs how each band
rises, falls and stands there. The weights lie in ``drum_weights.json`` and are fitted by
``benchmarks/fit_drums.py`` on synthesised songs with eight drum kits, for two bandwidths: wide
(32 kHz and more) and narrow (what is left at 10,240 Hz, where most of the hi-hat is gone).
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.music.notes import Notes

KICK: Final = 36
SNARE: Final = 38
CLOSED_HAT: Final = 42
DRUM_KEYS: Final = (KICK, SNARE, CLOSED_HAT)
"""General MIDI percussion keys this module tells apart."""

WEIGHTS: Final = Path(__file__).with_name("drum_weights.json")

_FRAMES_PER_S: Final = 100
_WINDOW_S: Final = 0.0464
"""2,046 samples at 44.1 kHz: short enough for onsets, long enough to part kick from bass."""

_EDGES_HZ: Final = np.geomspace(40.0, 16_000.0, 25)
_FLOOR: Final = 1e-4
"""Band energy below this share of the loud frames' energy counts as silence (1e-3 and 1e-5 did worse)."""

_SILENCE: Final = 1e-7
"""Frames below this energy (a sine at about -64 dB of full scale) are never loud."""

_CANDIDATE_FLUX: Final = 0.6
_WIDE_FROM_HZ: Final = 32_000
_MIN_GAP_S: Final = 0.05
_LENGTH_S: Final = 0.1
_VELOCITY: Final = 90
"""Velocity of a drum's median hit."""

_LEVEL_BANDS_HZ: Final = {KICK: (40.0, 150.0), SNARE: (150.0, 5_000.0), CLOSED_HAT: (5_000.0, 16_000.0)}


def detect_drums(audio: npt.NDArray[np.float32], sample_rate_hz: int, threshold: float = 0.5) -> Notes:
    """Drum hits.

    Parameters
    ----------
    audio : np.ndarray, shape (n,) or (n, channels), float32
        Finite samples at their native rate; channels are averaged.
    sample_rate_hz : int
        Below 32 kHz the narrow weights are used. At 10,240 Hz hi-hats are often missed or made up: F1 0.48
        (General MIDI songs) and 0.62 (synthetic band) against 0.90 and 0.97 at 44.1 kHz.
    threshold : float, optional
        Least confidence of a hit. Default is 0.5.

    Returns
    -------
    Notes
        Drums of pitch 36, 38 or 42, each 0.1 s long, origin ``"drum-bands"``. ``confidence`` is the
        logistic rule's probability, uncalibrated on real recordings. Other drums and loud plucked
        notes may be taken for one of the three: busy songs without their drums gave 30 hits a minute
        (``benchmarks/transcription.py --transcriber basic-pitch`` prints such figures). Velocity
        follows the hit's level in the drum's range of frequency, the median hit of each drum being 90.
    """
    times_s, features, levels = drum_features(audio, sample_rate_hz)
    if not len(times_s):
        return Notes.empty()
    weights, bias = _weights("wide" if sample_rate_hz >= _WIDE_FROM_HZ else "narrow")
    probability = 1.0 / (1.0 + np.exp(-(features @ weights.T + bias)))
    parts = []
    for column, key in enumerate(DRUM_KEYS):
        hits = _apart(times_s, probability[:, column], threshold)
        if not len(hits):
            continue
        level = levels[hits, column]
        # Amplitude goes with the square of velocity in General MIDI, so energy with its fourth power.
        velocity = _VELOCITY * (level / max(float(np.median(level)), 1e-12)) ** 0.25
        onset_s = times_s[hits]
        parts.append(
            Notes.create(
                onset_s,
                onset_s + _LENGTH_S,
                key,
                np.clip(np.round(velocity), 1, 127).astype(np.int64),
                is_drum=True,
                p_note=probability[hits, column],
                origin="drum-bands",
            )
        )
    return Notes.concat(parts)


def drum_features(
    audio: npt.NDArray[np.float32], sample_rate_hz: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Moments where something may start, and what the bands do there.

    Returns
    -------
    times_s : np.ndarray, shape (n,)
        Seconds, on a grid of 10 ms, at least 30 ms apart.
    features : np.ndarray, shape (n, 96)
        Per band (24, low to high) in log10 of energy over the floor: rise from 40 ms before, fall
        within 50 ms after, fall from there to 120 ms after, and level just after.
    levels : np.ndarray, shape (n, 3)
        Energy just after, in the ranges of kick, snare and hi-hat.
    """
    # Here, since it takes a third of a second, which a build with nothing to do can save.
    from scipy.ndimage import maximum_filter1d

    energy = _band_energy(audio, sample_rate_hz)
    loud = max(float(np.percentile(energy.sum(axis=1), 95)), _SILENCE)
    level = np.log10(energy / loud + _FLOOR) - np.log10(_FLOOR)
    flux = np.zeros(len(level))
    flux[2:] = np.maximum(level[2:] - level[:-2], 0.0).sum(axis=1)
    peaks = np.flatnonzero((flux == maximum_filter1d(flux, 5)) & (flux > _CANDIDATE_FLUX))

    last = len(level) - 1

    def at(frames: int) -> npt.NDArray[np.int64]:
        return np.clip(peaks + frames, 0, last)

    struck = np.maximum(level[at(1)], level[at(2)])
    rise = np.maximum(struck - np.minimum(level[at(-4)], level[at(-3)]), 0.0)
    features = np.concatenate([rise, struck - level[at(5)], level[at(5)] - level[at(12)], struck], axis=1)
    after = np.maximum(energy[at(1)], energy[at(2)])
    levels = [
        after[:, (low - 1e-6 <= _EDGES_HZ[:-1]) & (_EDGES_HZ[:-1] < high)].sum(axis=1)
        for low, high in _LEVEL_BANDS_HZ.values()
    ]
    return peaks / _FRAMES_PER_S, features, np.stack(levels, axis=1)


def _band_energy(audio: npt.NDArray[np.float32], sample_rate_hz: int) -> npt.NDArray[np.float64]:
    """Energy of 24 bands, 100 times a second: shape (frames, 24)."""
    mono = audio.mean(axis=1) if audio.ndim == 2 else audio
    length = round(_WINDOW_S * sample_rate_hz)
    n_frames = int(len(mono) * _FRAMES_PER_S / sample_rate_hz) + 1
    starts = np.round(np.arange(n_frames) * sample_rate_hz / _FRAMES_PER_S).astype(np.int64)
    padded = np.pad(mono, (length // 2, length))
    window = np.hanning(length)
    # No padding to a power of two: bins are as wide at every rate, so bands hold the same bins.
    hz = np.fft.rfftfreq(length, 1 / sample_rate_hz)
    member = (hz[:, None] >= _EDGES_HZ[:-1]) & (hz[:, None] < _EDGES_HZ[1:])
    for band in np.flatnonzero(~member.any(axis=0)):  # narrower than a bin: take the nearest one
        if _EDGES_HZ[band] < sample_rate_hz / 2:
            member[np.argmin(np.abs(hz - np.sqrt(_EDGES_HZ[band] * _EDGES_HZ[band + 1]))), band] = True
    energy = np.zeros((n_frames, len(_EDGES_HZ) - 1))
    for first in range(0, n_frames, 1000):  # ten seconds at a time, to bound memory
        frames = padded[starts[first : first + 1000, None] + np.arange(length)] * window
        spectrum = np.abs(np.fft.rfft(frames, axis=1)) / window.sum()
        energy[first : first + 1000] = spectrum**2 @ member
    return energy


def _apart(
    times_s: npt.NDArray[np.float64], probability: npt.NDArray[np.float64], threshold: float
) -> npt.NDArray[np.int64]:
    """Indices of hits above the threshold, of any two closer than 50 ms the surer one."""
    kept: list[int] = []
    for i in np.flatnonzero(probability >= threshold):
        if kept and times_s[i] - times_s[kept[-1]] < _MIN_GAP_S:
            if probability[i] > probability[kept[-1]]:
                kept[-1] = int(i)
        else:
            kept.append(int(i))
    return np.array(kept, dtype=np.int64)


@cache
def _weights(bandwidth: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Weights of shape (3, 96) and biases of shape (3,), in the order of `DRUM_KEYS`."""
    stored = json.loads(WEIGHTS.read_text(encoding="utf-8"))[bandwidth]
    return np.array(stored["weights"]), np.array(stored["bias"])
