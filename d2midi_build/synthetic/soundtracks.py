"""Sounds that screening has to tell from clear music: babble, noise, a crowd, music that was spoilt.

The babble is a source and three resonators (Klatt, "Software for a cascade/parallel formant
synthesizer", JASA 67, 1980) with syllables, glides and pauses drawn at random. It shares nothing with
`d2midi_build.synthetic.singer`, which networks of this project learned from.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.signal import butter, lfilter, resample_poly, sosfiltfilt

from d2midi_build.synthetic.anatomy import Array

RATE_HZ: Final = 44_100

_SPEECH_HZ: Final = 14_700  # a third of the rate: speech has little above 7 kHz
_BLOCK: Final = 147  # samples, 10 ms: formants are constant within
_WIDTHS_HZ: Final = (90.0, 110.0, 160.0)


def babble(rng: np.random.Generator, seconds: float, sample_rate_hz: int = RATE_HZ) -> Array:
    """A voice that says nothing: about four syllables a second, phrases of one to three seconds, pauses.

    Parameters
    ----------
    rng : np.random.Generator
        Decides voice and syllables.
    seconds : float
        Length.
    sample_rate_hz : int
        A multiple of 14,700. Default is 44,100.

    Returns
    -------
    np.ndarray, shape=(seconds * sample_rate_hz,)
        Mono; a root mean square of 1 while the voice sounds.
    """
    blocks = int(np.ceil(seconds * _SPEECH_HZ / _BLOCK))
    pitch_hz, voiced, hiss, formants = _utterances(rng, blocks)
    n = blocks * _BLOCK
    at = np.arange(n) / _BLOCK
    grid = np.arange(blocks)
    phase = np.cumsum(np.interp(at, grid, pitch_hz)) / _SPEECH_HZ
    # A pulse per period, softened: 12 dB an octave less, as a glottis has.
    pulses = np.diff(np.floor(phase), prepend=0.0)
    source = lfilter([1.0], [1.0, -1.6, 0.64], pulses) * np.interp(at, grid, voiced)
    breath = rng.normal(size=n)
    source += 0.05 * breath * np.interp(at, grid, voiced)
    spoken = np.diff(_through(source, formants), prepend=0.0)
    spoken /= spoken.std() + 1e-12
    fricatives = np.diff(breath, 2, prepend=[0.0, 0.0]) * np.interp(at, grid, hiss)  # bright: 12 dB an octave
    sound = resample_poly(spoken + 0.12 * fricatives, sample_rate_hz // _SPEECH_HZ, 1)
    sound = sound[: round(seconds * sample_rate_hz)]
    loud = np.interp(np.arange(len(sound)) * _SPEECH_HZ / sample_rate_hz / _BLOCK, grid, voiced + hiss) > 0.1
    return np.asarray(sound / (np.sqrt(np.mean(sound[loud] ** 2)) + 1e-12))


def _utterances(rng: np.random.Generator, blocks: int) -> tuple[Array, Array, Array, Array]:
    """Pitch (Hz), loudness of voice and hiss (0-1) and three formants (Hz), a value per block."""
    base_hz, size = rng.uniform(95, 220), rng.uniform(0.95, 1.15)
    pitch, voiced, hiss = np.full(blocks, base_hz), np.zeros(blocks), np.zeros(blocks)
    formants = np.tile([500.0, 1500.0, 2500.0], (blocks, 1))
    k = int(rng.uniform(0, 40))
    while k < blocks:
        syllables = int(rng.integers(4, 13))
        level = np.linspace(1.25, 0.85, syllables)  # pitch falls over a phrase
        for share in level:
            consonant, vowel = int(rng.uniform(4, 9)), int(rng.uniform(9, 22))
            target = size * np.array([rng.uniform(280, 780), rng.uniform(850, 2300), rng.uniform(2350, 3000)])
            begin, end = k + consonant, min(k + consonant + vowel, blocks)
            hiss[k:begin] = rng.choice([0.0, 0.0, 0.5, 0.9])
            voiced[begin:end] = rng.uniform(0.6, 1.0)
            glide = np.linspace(1.0, rng.uniform(0.8, 1.2), max(end - begin, 0))
            pitch[begin:end] = base_hz * share * rng.uniform(0.92, 1.1) * glide
            formants[k:end] = target
            k = begin + vowel
            if k >= blocks:
                break
        k += int(rng.uniform(25, 80))  # 0.25 to 0.8 s of silence
    moved = np.stack([_smooth(column, 15) for column in formants.T], axis=1)
    return _smooth(pitch, 7), _smooth(voiced, 5), _smooth(hiss, 5), moved


def _smooth(curve: Array, blocks: int) -> Array:
    """A curve averaged over an odd number of blocks with a bell; the ends are held."""
    bell = np.hanning(blocks + 2)[1:-1]
    padded = np.pad(curve, blocks // 2, mode="edge")
    return np.convolve(padded, bell / bell.sum(), "valid")


def _through(source: Array, formants: Array) -> Array:
    """A source through resonators that change from block to block."""
    sound = source
    for column, width_hz in zip(formants.T, _WIDTHS_HZ, strict=True):
        state = np.zeros(2)
        out = np.empty_like(sound)
        radius = np.exp(-np.pi * width_hz / _SPEECH_HZ)
        for b, hz in enumerate(np.maximum(column, 150.0)):
            cosine = 2 * radius * np.cos(2 * np.pi * hz / _SPEECH_HZ)
            part = slice(b * _BLOCK, (b + 1) * _BLOCK)
            gain = 1 - cosine + radius**2
            out[part], state = lfilter([gain], [1.0, -cosine, radius**2], sound[part], zi=state)
        sound = out
    return sound


def noise(rng: np.random.Generator, seconds: float, kind: str) -> Array:
    """Sound without notes or words.

    Parameters
    ----------
    rng : np.random.Generator
    seconds : float
        Length.
    kind : str
        ``white``, ``pink`` (3 dB an octave less towards the treble) or ``crowd`` (many voices at once,
        claps, and pink noise that swells).

    Returns
    -------
    np.ndarray, shape=(seconds * RATE_HZ,)
        Mono, a root mean square of 1.

    Raises
    ------
    ValueError
        For an unknown kind.
    """
    n = round(seconds * RATE_HZ)
    white = rng.normal(size=n)
    if kind == "white":
        return white
    pink = _pink(white)
    if kind == "pink":
        return pink
    if kind != "crowd":
        raise ValueError(f"no noise {kind!r}")
    voices = sum((babble(rng, seconds) for _ in range(12)), np.zeros(n))
    times = np.arange(n) / RATE_HZ
    swell = 0.7 + 0.3 * np.sin(2 * np.pi * times / rng.uniform(4, 7) + rng.uniform(0, 6))
    claps = np.zeros(n)
    for at in rng.integers(0, n - 2000, int(40 * seconds)):
        claps[at : at + 1500] += rng.normal(size=1500) * np.exp(-np.arange(1500) / 250) * rng.uniform(0.2, 1)
    mixed = swell * (voices / voices.std() + 0.8 * pink + 0.8 * claps / claps.std())
    return np.asarray(mixed / mixed.std())


def _pink(white: Array) -> Array:
    """White noise with power that falls as 1 / frequency, a root mean square of 1."""
    spectrum = np.fft.rfft(white)
    hz = np.fft.rfftfreq(len(white), 1 / RATE_HZ)
    spectrum /= np.sqrt(np.maximum(hz, 20.0))
    pink = np.fft.irfft(spectrum, len(white))
    return np.asarray(pink / pink.std())


def low_passed(sound: Array, top_hz: float) -> Array:
    """Sound, shape (n, 2), without what lies above ``top_hz`` (60 dB less an octave on)."""
    return np.asarray(sosfiltfilt(butter(8, top_hz, fs=RATE_HZ, output="sos"), sound, axis=0))


def clipped(sound: Array, gain_db: float) -> Array:
    """Sound that was recorded too loud: raised, and cut off at full scale."""
    return np.clip(sound * 10 ** (gain_db / 20), -1.0, 1.0)
