"""Sound that is no music, made of formulas: somebody talks, many talk at once, people clap.

For tests and for fitting `d2midi_build.music.clarity`; no recording of a person went into it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, oaconvolve, sosfilt

from d2midi_build.synthetic.singer import sing

Samples = npt.NDArray[np.float32]

_LEAST_HZ: Final = 8_000
"""Rate that the singer needs at least."""

_CLAP_S: Final = 0.05


def talk(rng: np.random.Generator, seconds: float, sample_rate_hz: int) -> Samples:
    """One person talking, with pauses of up to a few seconds between what is said.

    Parameters
    ----------
    rng : np.random.Generator
        Decides who talks, and what.
    seconds : float
        Length, at least 1.
    sample_rate_hz : int
        At least 8,000.

    Returns
    -------
    np.ndarray, shape=(seconds * sample_rate_hz,), float32
        Mono; a root mean square of about 1 while the voice sounds.
    """
    n = round(seconds * sample_rate_hz)
    # The singer talks as a man does; played faster, others do.
    faster = min(rng.uniform(1.0, 1.3), sample_rate_hz / _LEAST_HZ)
    said = sing(rng, seconds * faster, round(sample_rate_hz / faster), speech=True)
    sound = np.zeros(n, dtype=np.float32)
    at = taken = 0
    while at < n:
        length = min(int(rng.uniform(0.8, 4.0) * sample_rate_hz), n - at)
        fade = min(int(0.03 * sample_rate_hz), length // 2)
        phrase = said[taken : taken + length].copy()
        phrase[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
        phrase[len(phrase) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        sound[at : at + len(phrase)] = phrase
        at += length + int(rng.exponential(0.5) * sample_rate_hz)
        taken += length
    return sound


def babble(rng: np.random.Generator, seconds: float, sample_rate_hz: int, talkers: int) -> Samples:
    """Several people talking at once, some nearer than others: float32, mono, a root mean square of 1."""
    sound = np.zeros(round(seconds * sample_rate_hz), dtype=np.float32)
    for _ in range(talkers):
        sound += np.float32(rng.uniform(0.4, 1.0)) * talk(rng, seconds, sample_rate_hz)
    return np.asarray(sound / (np.sqrt(np.mean(sound**2)) + 1e-9), dtype=np.float32)


def applause(rng: np.random.Generator, seconds: float, sample_rate_hz: int, claps_per_s: float) -> Samples:
    """Claps at random instants: float32, mono, a root mean square of 1.

    A clap is noise that rings off within a few hundredths of a second, most of it between 0.7 and 3 kHz.
    """
    n = round(seconds * sample_rate_hz)
    struck = np.zeros(n)
    at = rng.integers(0, n, rng.poisson(claps_per_s * seconds))
    np.add.at(struck, at, rng.lognormal(0, 0.6, len(at)) * rng.choice([-1, 1], len(at)))
    time_s = np.arange(int(_CLAP_S * sample_rate_hz)) / sample_rate_hz
    clap = rng.normal(0, 1, len(time_s)) * np.exp(-time_s / rng.uniform(0.004, 0.012))
    band = butter(1, (700.0, min(3000.0, 0.45 * sample_rate_hz)), "band", fs=sample_rate_hz, output="sos")
    sound = oaconvolve(struck, sosfilt(band, clap))[:n]
    return np.asarray(sound / (np.sqrt(np.mean(sound**2)) + 1e-9), dtype=np.float32)
