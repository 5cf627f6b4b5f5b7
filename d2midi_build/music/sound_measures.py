"""What windows of sound are like: measures that tell music, speech and other sounds apart, each with its source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.media.sound_scan import MONO_HZ

Curve = npt.NDArray[np.float32]

WINDOW_S: Final = 4.0
"""Length of a window that is judged as a whole: some bars of a song, a sentence or two."""

STEP_S: Final = 1.0
"""From one window to the next."""

_FRAME: Final = 1024
HOP: Final = 256
PER_S: Final = MONO_HZ / HOP
"""Frames of 93 ms, 43 a second: those of Seyerlehner et al. (2007)."""

_BINS: Final = _FRAME // 2
_HZ: Final = np.arange(_BINS) * MONO_HZ / _FRAME
WINDOW: Final = round(WINDOW_S * PER_S)
STEP: Final = round(STEP_S * PER_S)

_ACTIVE_DB: Final = 0.1
_BARS: Final = 5
_NEIGHBOURS: Final = 21
"""Of Seyerlehner et al. (2007)."""

_HELD: Final = round(0.28 * PER_S)
TINY: Final = 1e-12

_BASS_HZ: Final = 80
"""Few voices go lower: men talk at 85-155 Hz."""

_OCTAVES_HZ: Final = (30, 100, 200, 400, 800, 1600, 3200)
"""Where the bands begin in which onsets and syllables are looked for."""

_DIGITAL_SILENCE: Final = 1e-9

FLOOR_EDGES: Final = np.unique(np.round(np.geomspace(4, _BINS, 25)).astype(np.int64))[:-1]
"""First bins of some twenty bands from 43 Hz to 5.5 kHz in which noise is looked for."""

SILENCE: Final = 1e-6
"""A window whose loud moments have less power than this (-60 dB of full scale) is silent."""

MEASURES: Final = ("bars", "dips", "swing", "pulse", "syllables", "bass", "held", "lines")
"""What a window is judged by, in the order of `measures`; each has a function of its own below."""


def bars(lines: Curve) -> float:
    """How many lines of the spectrogram stand still, about .8 (white noise) to 5 (held chords).

    Continuous frequency activation: the share of time in which a bin stands out from its 21 neighbours, and
    of that curve over the bins the five highest peaks, added up. Seyerlehner, Pohle, Schedl, Widmer, "Automatic
    music detection in television productions", DAFx 2007; there 1.24 and more is music, under speech too.
    Lines of any level count, so a hum does as well. Cost: .1 ms.

    Parameters
    ----------
    lines : np.ndarray, shape (n, 512)
        As `local_lines` gives them.
    """
    activation = (lines > _ACTIVE_DB).mean(axis=0)
    rising = np.diff(activation, prepend=-1, append=-1)
    rising = np.sign(rising[rising != 0])
    kept = activation[np.diff(activation, append=-1) != 0]  # plateaus become one value
    peaks = np.flatnonzero((rising[:-1] > 0) & (rising[1:] < 0))
    valleys = np.flatnonzero((rising[:-1] < 0) & (rising[1:] > 0))
    edges = np.concatenate([[0], valleys, [len(kept) - 1]])
    after = np.searchsorted(edges, peaks, side="right")
    left, right = kept[edges[after - 1]], kept[edges[np.minimum(after, len(edges) - 1)]]
    heights = np.minimum(kept[peaks] - left, kept[peaks] - right)
    return float(np.sort(heights)[-_BARS:].sum())


def dips(power: Curve) -> float:
    """Share of frames with less than half of the mean amplitude, 0-1: words have pauses between them.

    After the low-energy frames of Scheirer and Slaney, "Construction and evaluation of a robust multifeature
    speech/music discriminator", ICASSP 1997. Speech .3-.5, compressed songs 0-.1. Cost: none to speak of.

    Parameters
    ----------
    power : np.ndarray, shape (n,)
    """
    amplitude = np.sqrt(power)
    return float(np.mean(amplitude < 0.5 * amplitude.mean()))


def swing(power: Curve) -> float:
    """Standard deviation of the level in dB, no frame counted lower than 40 dB below the loud ones: 0-20.

    Speech 6-14, compressed songs 1-4, steady noise .5. Cost: none to speak of.

    Parameters
    ----------
    power : np.ndarray, shape (n,)
    """
    level_db = 10 * np.log10(power + TINY)
    return float(np.maximum(level_db, np.percentile(level_db, 95) - 40).std())


def pulse(bands: Curve) -> float:
    """How well the onsets repeat after some time between .25 and 1.1 s, about 0 (never) to 1 (a machine).

    Onsets are rises of the bands' loudness (the fourth root of power), each band beside its own mean; what is told
    is the highest value of their autocorrelation, as in Lartillot, Eerola, Toiviainen, Fornari, "Multi-feature
    modeling of pulse clarity", ISMIR 2008. Speech .1-.3, songs with drums .3-1, others less. Cost: .2 ms.

    Parameters
    ----------
    bands : np.ndarray, shape (n, k)
        Power per frame and octave, as `octaves` gives it.
    """
    loudness = np.sqrt(np.sqrt(bands))
    rise = np.maximum(np.diff(loudness, axis=0, prepend=loudness[:1]), 0) / (loudness.mean(axis=0) + TINY)
    onset = rise.sum(axis=1)
    n = len(onset)
    first, last = round(0.25 * PER_S), min(round(1.1 * PER_S), n // 2)
    onset = onset - onset.mean()
    size = float(onset @ onset)
    if size <= 0 or last <= first:
        return 0.0
    return max(0.0, *(float(onset[lag:] @ onset[:-lag]) / size * n / (n - lag) for lag in range(first, last)))


def syllables(bands: Curve) -> float:
    """Share of the envelopes' movement below 15 Hz that lies at 2.5-6.5 Hz, 0-1: syllables come at about 4 Hz.

    After the 4 Hz modulation energy of Scheirer and Slaney (1997). Songs with fast drums have it too.
    Cost: none to speak of.

    Parameters
    ----------
    bands : np.ndarray, shape (n, 7)
        As `octaves` gives them; those from 200 Hz to 3.2 kHz count.
    """
    from scipy.fft import rfft

    envelope = np.sqrt(bands[:, 2:6])
    envelope = envelope / (envelope.mean(axis=0) + TINY) - 1
    moved = np.abs(rfft(envelope * np.hanning(len(envelope))[:, None], axis=0)) ** 2
    hz = np.arange(len(moved)) * PER_S / len(envelope)
    total = moved[hz < 15].sum(axis=0) + TINY
    return float(np.mean(moved[(hz >= 2.5) & (hz <= 6.5)].sum(axis=0) / total))


def bass(mean: Curve) -> float:
    """Power below 80 Hz beside all of it, in dB, -40 to 0: voices have little, kicks and basses much.

    Parameters
    ----------
    mean : np.ndarray, shape (512,)
        Mean power per bin.
    """
    return max(-40.0, 10 * float(np.log10((mean[_HZ < _BASS_HZ].sum() + TINY) / (mean.sum() + TINY))))


def held(lines: Curve) -> float:
    """How much of the lines is still there .28 s later, in dB per bin: noise .5-.8, speech .6-.9, songs .7-1.5.

    Voices glide, notes stay. Cost: .2 ms.
    """
    later = min(_HELD, len(lines) - 1)
    return float(np.clip(np.minimum(lines[:-later], lines[later:]), 0, None).mean()) if later > 0 else 0.0


def standing_out(lines: Curve) -> float:
    """How far bins stand out from their neighbours on average, in dB: noise 1.8, tones 2-3. Cost: .1 ms."""
    return float(np.clip(lines, 0, None).mean())


def spectrogram(mono: npt.NDArray[np.int16], first: int = 0, end: int | None = None) -> Curve:
    """Power per frame and bin, shape (n, 512), of whole frames: row ``i`` lies around sample ``(i + 1/2) * 256``.

    Scaled so that a sine's bins add up to about its mean square; full scale is 1.

    Parameters
    ----------
    mono : np.ndarray, shape (m,), int16
        At `MONO_HZ`.
    first, end : int, optional
        The rows asked for; by default all ``m // 256``.
    """
    from scipy.fft import rfft

    end = len(mono) // HOP if end is None else end
    if end <= first:
        return np.zeros((0, _BINS), dtype=np.float32)
    margin = (_FRAME - HOP) // 2
    start, stop = first * HOP - margin, end * HOP + margin
    part = mono[max(0, start) : stop].astype(np.float32) / 32768
    sound = np.pad(part, (max(0, -start), max(0, stop - len(mono))))
    bell = np.hanning(_FRAME + 1)[:-1]
    bell *= np.sqrt(2 / (_FRAME * np.sum(bell**2)))
    frames = np.lib.stride_tricks.sliding_window_view(sound, _FRAME)[::HOP]
    spectrum = rfft(frames * bell.astype(np.float32), axis=1)[:, :_BINS]
    return np.asarray(spectrum.real**2 + spectrum.imag**2, dtype=np.float32)


def local_lines(power: Curve) -> Curve:
    """By how many dB each bin stands out from the mean of its 21 neighbours, shape as given."""
    from scipy.ndimage import uniform_filter1d

    level_db = 10 * np.log10(power + np.float32(1e-10))  # what 16 bits resolve
    return np.asarray(level_db - uniform_filter1d(level_db, _NEIGHBOURS, axis=1, mode="nearest"))


def octaves(power: Curve) -> Curve:
    """Power per frame in seven bands of about an octave from 30 Hz on, shape (n, 7)."""
    return np.add.reduceat(power, np.searchsorted(_HZ, _OCTAVES_HZ), axis=1)


def measures(power: Curve) -> npt.NDArray[np.float64]:
    """All measures of one window.

    Parameters
    ----------
    power : np.ndarray, shape (n, 512)
        Rows of a spectrogram. None of the measures but `bars` depends on the level.

    Returns
    -------
    np.ndarray, shape (8,), float64
        In the order of `MEASURES`.
    """
    return _measures(power, local_lines(power), octaves(power))


def _measures(power: Curve, lines: Curve, bands: Curve) -> npt.NDArray[np.float64]:
    total, mean = power.sum(axis=1), power.mean(axis=0)
    return np.array(
        [
            bars(lines),
            dips(total),
            swing(total),
            pulse(bands),
            syllables(bands),
            bass(mean),
            held(lines),
            standing_out(lines),
        ]
    )


def window_measures(power: Curve) -> Iterator[npt.NDArray[np.float64] | None]:
    """Measures of every window of a spectrogram, in order; None for silent ones.

    Sound shorter than a window is one window, if there is at least half of one.
    """
    lines, bands = local_lines(power), octaves(power)
    for first in range(0, max(1, len(power) - WINDOW + 1), STEP):
        rows = slice(first, first + WINDOW)
        short = len(power[rows]) < WINDOW // 2
        if short or np.percentile(power[rows].sum(axis=1), 95) < SILENCE:
            yield None
        else:
            yield _measures(power[rows], lines[rows], bands[rows])


def floor_and_loud(power: Curve) -> tuple[Curve, float]:
    """Power in the quiet moments of a step per band, shape (k,), and in its loud moments."""
    from scipy.ndimage import uniform_filter1d

    total = power[:, FLOOR_EDGES[0] :].sum(axis=1)
    sounds = total > _DIGITAL_SILENCE  # cut or faded out, by an editor: not what the room sounds like
    if not sounds.any():
        return np.zeros(len(FLOOR_EDGES), dtype=np.float32), 0.0
    bands = uniform_filter1d(np.add.reduceat(power, FLOOR_EDGES, axis=1), 3, axis=0, mode="nearest")
    return np.percentile(bands[sounds], 10, axis=0).astype(np.float32), float(
        np.percentile(total[sounds], 95)
    )
