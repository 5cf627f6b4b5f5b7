"""A voice made of formulas, sung or spoken: known to the sample, different with every seed, nobody's.

It is the source-filter picture of speech: a buzz whose pitch glides, trembles and drifts, through the
formants of vowels and consonants that follow each other (vowels after Peterson and Barney, "Control
methods used in a study of the vowels", 1952). `strings` is its counterpart: a pitch that does all that
with a timbre that never changes, as bowed and blown instruments have. `d2midi_build.music.vocals`
learned on both what a voice is; no recording of a person went into it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, lfilter, sosfilt

Samples = npt.NDArray[np.float32]
_Curve = npt.NDArray[np.float64]
_Loudness = Callable[[_Curve, int], _Curve]

_VOWELS: Final = np.array(
    [
        [270, 2290, 3010, 3600],
        [390, 1990, 2550, 3600],
        [530, 1840, 2480, 3500],
        [660, 1720, 2410, 3500],
        [730, 1090, 2440, 3400],
        [570, 840, 2410, 3300],
        [440, 1020, 2240, 3300],
        [300, 870, 2240, 3200],
        [640, 1190, 2390, 3400],
        [490, 1350, 1690, 3300],
    ],
    dtype=np.float64,
)
"""Formants of ten vowels in Hz, for a man; other voices scale them. The fourth is the usual one."""

_GLIDES: Final = (0, 7)
_NASAL: Final = np.array([280.0, 1100.0, 2300.0, 3300.0])
_BANDWIDTH: Final = np.array([80.0, 100.0, 130.0, 200.0])
_STEPS: Final = np.array([-5, -3, -2, -2, -1, 0, 0, 1, 2, 2, 3, 4, 5, 7, -7])
_CONSONANTS: Final = ("none", "fricative", "stop", "nasal", "glide")

_CURVE_HZ: Final = 200
"""How often pitch, loudness and formants are given a value."""

_TOP_HZ: Final = 4_800.0
"""No harmonics above: nothing here listens beyond the clip's 10,240 Hz."""


def sing(rng: np.random.Generator, seconds: float, sample_rate_hz: int, speech: bool = False) -> Samples:
    """A voice alone.

    Parameters
    ----------
    rng : np.random.Generator
        Decides who sings, and what.
    seconds : float
        Length.
    sample_rate_hz : int
        At least 8,000.
    speech : bool, optional
        Speak rather than sing: short syllables, no notes. Default is False.

    Returns
    -------
    np.ndarray, shape (seconds * sample_rate_hz,), float32
        Mono; a root mean square of 1 while the voice sounds.
    """
    n = int(seconds * _CURVE_HZ)
    size = rng.uniform(0.95, 1.3)
    base = rng.uniform(38, 52) if speech else rng.uniform(45, 74)
    pitch, loud, noise, bright, vibrato = np.full(n, base), *np.zeros((4, n))
    formants = np.tile(_VOWELS[4], (n, 1))
    vibrato_hz = rng.uniform(4.5, 6.8)
    depth = 0.0 if speech else rng.choice([rng.uniform(0.05, 0.3), rng.uniform(0.2, 0.9)])
    slide_s = rng.uniform(0.05, 0.12) if speech else rng.uniform(0.03, 0.14)
    i, note, pace_s = int(rng.uniform(0, 0.5) * _CURVE_HZ), base, rng.uniform(0.13, 0.5)
    while i < n:
        for _ in range(rng.integers(3, 12)):  # the syllables of a phrase
            if speech:
                length_s = rng.uniform(0.1, 0.28)
                note = base + rng.normal(0, 2.5)
            else:
                beats = rng.choice([0.5, 1, 1, 2, 3, 4], p=[0.2, 0.3, 0.2, 0.15, 0.1, 0.05])
                length_s = pace_s * beats * rng.uniform(0.9, 1.1)
                note = float(np.clip(note + rng.choice(_STEPS), base - 7, base + 9))
            end = min(i + max(int(length_s * _CURVE_HZ), 10), n)
            k = end - i
            if k <= 5:
                break
            pitch[i:end] = note + rng.normal(0, 0.12)
            if not speech and rng.random() < 0.3:  # come from below
                pitch[i : i + int(0.08 * _CURVE_HZ)] -= rng.uniform(0.5, 2.5)
            vowel = _VOWELS[rng.integers(len(_VOWELS))]
            after = _VOWELS[rng.integers(len(_VOWELS))] if rng.random() < 0.3 else vowel
            formants[i:end] = vowel + (after - vowel) * np.linspace(0, 1, k)[:, None]
            level = rng.uniform(0.5, 1)
            loud[i:end] = level
            if k > 0.25 * _CURVE_HZ:
                vibrato[i:end] = depth * np.clip(
                    (np.arange(k) / _CURVE_HZ - rng.uniform(0.1, 0.3)) / 0.2, 0, 1
                )
            kind = rng.choice(_CONSONANTS, p=[0.2, 0.25, 0.25, 0.2, 0.1])
            c = min(int(rng.uniform(0.04, 0.12) * _CURVE_HZ), k // 2)
            if kind == "fricative":
                loud[i : i + c] *= rng.choice([0, 0.3])
                noise[i : i + c] = rng.uniform(0.1, 0.6) * level
                bright[i : i + c] = rng.uniform(0, 1)
            elif kind == "stop":
                loud[i : i + c] = 0
                noise[max(i + c - 3, i) : i + c + 2] = rng.uniform(0.2, 0.7) * level
                bright[i : i + c + 2] = rng.uniform(0, 1)
            elif kind == "nasal":
                loud[i : i + c] *= 0.5
                formants[i : i + c] = _NASAL
            elif kind == "glide":
                formants[i : i + c] = _VOWELS[rng.choice(_GLIDES)]
            i = end
        i += int((rng.uniform(0.1, 0.5) if speech else rng.exponential(0.7)) * _CURVE_HZ) + 1
    tremble = _smooth(vibrato, 0.1) * _wave(rng, n, vibrato_hz, 0.08)
    pitch = _smooth(pitch, slide_s) + tremble * rng.uniform(0.6, 1)
    pitch += _smooth(rng.normal(0, 1, n), 0.15) * rng.uniform(0.1, 0.5)
    if speech:
        pitch += _smooth(rng.normal(0, 8, n), 0.25)
    loud = _smooth(loud, rng.uniform(0.02, 0.05)) * (1 + 0.15 * tremble)
    formants = _smooth(formants, 0.06) * size
    widths = _BANDWIDTH * rng.uniform(0.8, 1.6)
    slope = rng.uniform(6, 13) / 6.02  # dB an octave as a power

    def heard(hz: _Curve, k: int) -> _Curve:
        resonance = np.ones(n)
        for formant_hz, width_hz in zip(formants.T, widths, strict=True):
            resonance *= formant_hz**2 / np.hypot(formant_hz**2 - hz**2, width_hz * hz)
        return np.asarray(loud * np.minimum(resonance, 30) * k**-slope)

    roughness = rng.uniform(0.001, 0.006)
    voiced = _harmonics(rng, pitch, heard, round(seconds * sample_rate_hz), sample_rate_hz, roughness)
    voiced /= np.sqrt(np.mean(voiced**2)) + 1e-9
    at = np.arange(len(voiced)) * _CURVE_HZ / sample_rate_hz
    white = rng.normal(0, 1, len(voiced))
    edges_hz = (800.0, min(3000.0, 0.45 * sample_rate_hz))
    low = sosfilt(butter(2, edges_hz, "band", fs=sample_rate_hz, output="sos"), white)
    high = sosfilt(
        butter(2, min(2500.0, 0.3 * sample_rate_hz), "high", fs=sample_rate_hz, output="sos"), white
    )
    grid = np.arange(n)
    colour = np.interp(at, grid, bright)
    hiss = np.interp(at, grid, _smooth(noise, 0.015)) * rng.uniform(0.3, 1.2)
    breath = rng.uniform(0.005, 0.06) * np.interp(at, grid, loud)
    sound = voiced + hiss * (colour * high + (1 - colour) * low) + breath * low
    sounding = np.interp(at, grid, loud + noise) > 0.1
    return np.asarray(sound / (np.sqrt(np.mean(sound[sounding] ** 2)) + 1e-9), dtype=np.float32)


def strings(rng: np.random.Generator, seconds: float, sample_rate_hz: int) -> Samples:
    """A bowed or blown instrument: vibrato, slides and swells, and one timbre throughout.

    Returns
    -------
    np.ndarray, shape (seconds * sample_rate_hz,), float32
        Mono; a root mean square of 1.
    """
    n = int(seconds * _CURVE_HZ)
    base = rng.uniform(48, 84)
    pitch, loud, vibrato = np.full(n, base), *np.zeros((2, n))
    i, note = int(rng.uniform(0, 1) * _CURVE_HZ), base
    while i < n:
        length_s = rng.choice([0.15, 0.3, 0.6, 1.2, 2.0]) * rng.uniform(0.8, 1.2)
        note = float(np.clip(note + rng.choice([-5, -3, -2, -1, 1, 2, 3, 5]), base - 10, base + 10))
        end = min(i + int(length_s * _CURVE_HZ), n)
        pitch[i:end] = note
        loud[i:end] = rng.uniform(0.5, 1)
        vibrato[i:end] = np.clip((np.arange(end - i) / _CURVE_HZ - 0.1) / 0.2, 0, 1)
        i = end + (int(rng.uniform(0.1, 0.8) * _CURVE_HZ) if rng.random() < 0.25 else 0)
    depth = rng.choice([0, 0.1, 0.25, 0.5])
    pitch = _smooth(pitch, rng.choice([0.01, 0.03, 0.1]))
    pitch += depth * _smooth(vibrato, 0.05) * _wave(rng, n, rng.uniform(4.5, 7), 0.05)
    pitch += _smooth(rng.normal(0, 1, n), 0.15) * rng.uniform(0, 0.15)
    loud = _smooth(loud, rng.uniform(0.01, 0.06))
    body_hz, width_hz, gain = rng.uniform(300, 3000, 5), rng.uniform(80, 500, 5), rng.uniform(0, 3, 5)
    even, slope = rng.choice([1.0, 1.0, 0.1]), rng.uniform(3, 12) / 6.02

    def heard(hz: _Curve, k: int) -> _Curve:
        body = 1 + (gain / (1 + ((hz[:, None] - body_hz) / width_hz) ** 2)).sum(axis=1)
        return np.asarray(loud * body * k**-slope * (even if k % 2 == 0 else 1.0))

    sound = _harmonics(rng, pitch, heard, round(seconds * sample_rate_hz), sample_rate_hz, 0.0)
    bow = rng.uniform(0, 0.05) * rng.normal(0, 1, len(sound)) * np.abs(sound)
    sound += bow
    return np.asarray(sound / (np.sqrt(np.mean(sound**2)) + 1e-9), dtype=np.float32)


def _harmonics(
    rng: np.random.Generator,
    pitch: _Curve,
    heard: _Loudness,
    n_samples: int,
    sample_rate_hz: int,
    roughness: float,
) -> _Curve:
    """Sines at the multiples of a pitch curve (MIDI), each as loud as ``heard(its hz, its number)``."""
    at = np.arange(n_samples) * _CURVE_HZ / sample_rate_hz
    grid = np.arange(len(pitch))
    hz = 440.0 * 2 ** ((np.interp(at, grid, pitch) - 69) / 12)
    if roughness:
        hz *= 1 + roughness * lfilter([1], [1, -0.98], rng.normal(0, 0.2, n_samples))
    phase = 2 * np.pi * np.cumsum(hz) / sample_rate_hz
    curve_hz = 440.0 * 2 ** ((pitch - 69) / 12)
    top_hz = min(0.475 * sample_rate_hz, _TOP_HZ)
    sound = np.zeros(n_samples)
    for k in range(1, int(top_hz / max(float(curve_hz.min()), 60.0)) + 1):
        amplitude = np.where(k * curve_hz < top_hz, heard(k * curve_hz, k), 0.0)
        if amplitude.max() > 1e-6:
            sound += np.interp(at, grid, amplitude) * np.sin(k * phase)
    return sound


def _wave(rng: np.random.Generator, n: int, hz: float, unsteady: float) -> _Curve:
    """A sine of n values whose frequency wanders."""
    rate = hz * (1 + unsteady * _smooth(rng.normal(0, 3, n), 0.2))
    return np.asarray(np.sin(2 * np.pi * np.cumsum(rate) / _CURVE_HZ))


def _smooth(curve: _Curve, over_s: float) -> _Curve:
    """A curve, or several beside each other (n, k), averaged over a bell of that length."""
    half = int(over_s * _CURVE_HZ)
    if half < 2:
        return curve
    bell = np.hanning(half + 2)[1:-1]
    padded = np.pad(curve, [(half, half)] + [(0, 0)] * (curve.ndim - 1), mode="edge")
    columns = padded[:, None] if curve.ndim == 1 else padded
    smoothed = np.stack([np.convolve(each, bell / bell.sum(), "same") for each in columns.T], axis=1)
    return np.asarray(smoothed[half:-half].reshape(curve.shape))
