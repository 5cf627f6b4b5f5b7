"""How clear the music of a video is: bandwidth, noise floor, and whether it is music, speech or neither.

Everything is measured on what `d2midi_build.media.sound_scan` leaves of one decode. `hear` listens to a whole
video once, `clarity` answers for a take of it. Windows of four seconds, one a second, are judged by a small
multinomial logistic model over eight measures, each with its source below; it was fitted on synthetic sound by
``benchmarks/fit_clarity.py``. No recording went into its weights, but which measures it has was chosen with the
recordings in view that the benchmark reports on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.media.sound_scan import BAND_HZ, BAND_STEP_S, MONO_HZ, BandPower, SoundScan

Curve = npt.NDArray[np.float32]

MODEL: Final = Path(__file__).with_name("clarity.json")

WINDOW_S: Final = 4.0
"""Length of a window that is judged as a whole: some bars of a song, a sentence or two."""

STEP_S: Final = 1.0
"""From one window to the next."""

_FRAME: Final = 1024
_HOP: Final = 256
_PER_S: Final = MONO_HZ / _HOP
"""Frames of 93 ms, 43 a second: those of Seyerlehner et al. (2007)."""

_BINS: Final = _FRAME // 2
_HZ: Final = np.arange(_BINS) * MONO_HZ / _FRAME
_WINDOW: Final = round(WINDOW_S * _PER_S)
_STEP: Final = round(STEP_S * _PER_S)
_PIECE_WINDOWS: Final = 60

_ACTIVE_DB: Final = 0.1
_BARS: Final = 5
_NEIGHBOURS: Final = 21
"""Of Seyerlehner et al. (2007)."""

_HELD: Final = round(0.28 * _PER_S)
_TINY: Final = 1e-12

_FURTHEST: Final = 3.0
"""Standard deviations: what lies beyond anything learned from is no more certain."""

_BASS_HZ: Final = 80
"""Few voices go lower: men talk at 85-155 Hz."""

_OCTAVES_HZ: Final = (30, 100, 200, 400, 800, 1600, 3200)
"""Where the bands begin in which onsets and syllables are looked for."""

_CONTENT: Final = 1e-5
"""50 dB, chosen on the real files: at 60 what a codec left above the 4 kHz of one of them counts."""

_SILENT_BAND: Final = 1e-8
_DIGITAL_SILENCE: Final = 1e-9

_FLOOR_EDGES: Final = np.unique(np.round(np.geomspace(4, _BINS, 25)).astype(np.int64))[:-1]
"""First bins of some twenty bands from 43 Hz to 5.5 kHz in which noise is looked for."""

_WHITE: Final = 10**0.17
"""What quiet moments of white noise lack: with it white noise alone has 0 dB."""

_SILENCE: Final = 1e-6
"""A window whose loud moments have less power than this (-60 dB of full scale) is silent."""


@dataclass(frozen=True)
class SoundScores:
    """What can be said of the sound of a range; None where it cannot be.

    Attributes
    ----------
    bandwidth_hz : float or None
        Up to where there is content, see `bandwidth_hz`. None for silence.
    noise_db : float or None
        The most that steady noise can be, beside the loud moments, see `noise_db`. None for silence.
    music, speech : float or None
        How likely a window holds music (with speech over it or without), and speech without music, 0-1, on average
        over the windows that sound; together at most 1, the rest is neither. None if no window sounds. A voice that
        sings alone counts as speech.
    music_share, speech_share, neither_share : float
        Shares of the windows whose likeliest is music, speech, and neither (noise, hum, applause, ticks, silence);
        they add up to 1. Sound of under two seconds is neither.
    """

    bandwidth_hz: float | None
    noise_db: float | None
    music: float | None
    speech: float | None
    music_share: float
    speech_share: float
    neither_share: float


@dataclass(frozen=True, eq=False)
class Heard:
    """What `hear` keeps of a video.

    Attributes
    ----------
    bands : BandPower
    floor : np.ndarray, shape (n, k), float32
        Power in the quiet moments of every step, per band.
    loud : np.ndarray, shape (n,), float32
        Power in the loud moments of every step; 0 for silent ones.
    middle_s : np.ndarray, shape (m,), float64
        Middles of the windows, in seconds on the source clock.
    music, speech : np.ndarray, shape (m,), float64
        How likely each window holds music, and speech without it; NaN for silent ones.
    """

    bands: BandPower
    floor: Curve
    loud: Curve
    middle_s: npt.NDArray[np.float64]
    music: npt.NDArray[np.float64]
    speech: npt.NDArray[np.float64]


def hear(scan: SoundScan) -> Heard:
    """Listen to a whole video, a minute at a time: once, for any number of takes. Cost: 1 ms per second of sound."""
    floors, louds, rows = [], [], []
    n_frames = len(scan.mono) // _HOP
    n_windows = max(1, (n_frames - _WINDOW) // _STEP + 1)
    for first in range(0, n_windows, _PIECE_WINDOWS):
        end = min(first + _PIECE_WINDOWS, n_windows)
        last = end == n_windows
        stop = n_frames if last else (end - 1) * _STEP + _WINDOW
        power = spectrogram(scan.mono, first * _STEP, stop)
        rows += list(window_measures(power))
        mine = power if last else power[: (end - first) * _STEP]
        for step in range(0, len(mine), _STEP):
            floor, loud = _floor_and_loud(mine[step : step + _STEP])
            floors.append(floor)
            louds.append(loud)
    music, speech = np.full((2, n_windows), np.nan)
    sounds = np.array([row is not None for row in rows], dtype=np.bool_)
    if sounds.any():
        music[sounds], speech[sounds] = model().likely(np.array([row for row in rows if row is not None]))
    middle = min(n_frames, _WINDOW) / 2 + _STEP * np.arange(n_windows)
    return Heard(
        bands=scan.bands,
        floor=np.array(floors, dtype=np.float32).reshape(-1, len(_FLOOR_EDGES)),
        loud=np.array(louds, dtype=np.float32),
        middle_s=middle / _PER_S,
        music=music,
        speech=speech,
    )


def clarity(heard: Heard, start_s: float, end_s: float) -> SoundScores:
    """Scores of a range of a video. Cost: .3 ms.

    Parameters
    ----------
    heard : Heard
        From `hear`.
    start_s, end_s : float
        In seconds on the source clock, ``start_s < end_s``. Of windows those count that lie inside; of a range that
        holds none, the one nearest to its middle. After the end of the sound there is neither.
    """
    steps = slice(*(round(x * _PER_S / _STEP) for x in (max(0.0, start_s), max(0.0, end_s))))
    steps = slice(steps.start, max(steps.start + 1, steps.stop))
    seconds = slice(*(round(x / BAND_STEP_S) for x in (max(0.0, start_s), max(0.0, end_s))))
    seconds = slice(seconds.start, max(seconds.start + 1, seconds.stop))
    windows = _windows_in(heard.middle_s, start_s, end_s)
    music, speech = heard.music[windows], heard.speech[windows]
    sounds = np.isfinite(music)
    judged = max(1, len(music))
    neither = 1 - music - speech
    is_music = sounds & (music >= speech) & (music >= neither)
    is_speech = sounds & ~is_music & (speech >= neither)
    return SoundScores(
        bandwidth_hz=bandwidth_hz(heard.bands.power[seconds], heard.bands.rate_hz),
        noise_db=noise_db(heard.floor[steps], heard.loud[steps]),
        music=float(music[sounds].mean()) if sounds.any() else None,
        speech=float(speech[sounds].mean()) if sounds.any() else None,
        music_share=float(is_music.sum()) / judged,
        speech_share=float(is_speech.sum()) / judged,
        neither_share=1 - float((is_music | is_speech).sum()) / judged,
    )


def bandwidth_hz(power: Curve, rate_hz: int) -> float | None:
    """Up to where sound has content, to 250 Hz; None for silence.

    The upper edge of the highest band within 50 dB of the loudest, each taken at its loud moments (the 90th
    percentile over seconds), if three of the four bands up to it are: a whistle of a screen alone is not content,
    unless nothing else is. Songs that were never narrowed reach 14-20 kHz, a song whose highest instrument is a
    bass drum 3 kHz, what came through 8 kHz is below 4. Hiss within 50 dB counts as content.

    Parameters
    ----------
    power : np.ndarray, shape (n, n_bands)
        Rows of `BandPower.power`.
    rate_hz : int
        The sound's own rate: half of it is the most.
    """
    if not len(power):
        return None
    loud = np.percentile(power, 90, axis=0)
    if loud.max() < _SILENT_BAND:
        return None
    counts = loud >= _CONTENT * loud.max()
    padded = np.concatenate([np.zeros(3, dtype=np.int64), counts])
    crowded = np.convolve(padded, np.ones(4, dtype=np.int64), "valid") >= 3
    highest = np.flatnonzero(counts & crowded)
    if not len(highest):
        highest = np.flatnonzero(counts)
    top = int(highest[-1]) + 1
    return rate_hz / 2 if top == len(counts) else top * BAND_HZ


def noise_db(floor: Curve, loud: Curve) -> float | None:
    """The most that steady hiss and hum can be, in dB beside the loud moments, about -60 to 0; None for silence.

    What is left in each band of the spectrum in its quiet moments (the tenth percentile within a second, and over the
    seconds), added up, after the minimum statistics of Martin, "Noise power spectral density estimation based on
    optimal smoothing and minimum statistics", IEEE Trans. Speech and Audio Processing 9(5), 2001. Only below 5.5 kHz.

    It is an upper bound: music without gaps fills every band, and reads -11 to -30 without any noise; a note held
    throughout is as good as hum. Noise above that shows: white noise 10 dB below a song reads -9 to -16, alone 0.

    Parameters
    ----------
    floor : np.ndarray, shape (n, k)
    loud : np.ndarray, shape (n,)
        As in `Heard`.
    """
    sounding = loud >= _SILENCE
    if not sounding.any():
        return None
    left = float(np.percentile(floor[sounding], 10, axis=0).sum()) * _WHITE
    return float(np.clip(10 * np.log10((left + _TINY) / np.percentile(loud[sounding], 90)), -80.0, 0.0))


def _floor_and_loud(power: Curve) -> tuple[Curve, float]:
    """Power in the quiet moments of a step per band, shape (k,), and in its loud moments."""
    from scipy.ndimage import uniform_filter1d

    total = power[:, _FLOOR_EDGES[0] :].sum(axis=1)
    sounds = total > _DIGITAL_SILENCE  # cut or faded out, by an editor: not what the room sounds like
    if not sounds.any():
        return np.zeros(len(_FLOOR_EDGES), dtype=np.float32), 0.0
    bands = uniform_filter1d(np.add.reduceat(power, _FLOOR_EDGES, axis=1), 3, axis=0, mode="nearest")
    return np.percentile(bands[sounds], 10, axis=0).astype(np.float32), float(
        np.percentile(total[sounds], 95)
    )


def _windows_in(middle_s: npt.NDArray[np.float64], start_s: float, end_s: float) -> slice:
    """The windows that lie in a range; if none does, the nearest one that is partly in it; else none."""
    half_s = WINDOW_S / 2 - 0.05
    first, end = np.searchsorted(middle_s, (start_s + half_s, end_s - half_s))
    if end > first:
        return slice(int(first), int(end))
    nearest = int(np.argmin(np.abs(middle_s - (start_s + end_s) / 2)))
    overlaps = start_s < middle_s[nearest] + WINDOW_S / 2 and middle_s[nearest] - WINDOW_S / 2 < end_s
    return slice(nearest, nearest + int(overlaps))


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
    level_db = 10 * np.log10(power + _TINY)
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
    rise = np.maximum(np.diff(loudness, axis=0, prepend=loudness[:1]), 0) / (loudness.mean(axis=0) + _TINY)
    onset = rise.sum(axis=1)
    n = len(onset)
    first, last = round(0.25 * _PER_S), min(round(1.1 * _PER_S), n // 2)
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
    envelope = envelope / (envelope.mean(axis=0) + _TINY) - 1
    moved = np.abs(rfft(envelope * np.hanning(len(envelope))[:, None], axis=0)) ** 2
    hz = np.arange(len(moved)) * _PER_S / len(envelope)
    total = moved[hz < 15].sum(axis=0) + _TINY
    return float(np.mean(moved[(hz >= 2.5) & (hz <= 6.5)].sum(axis=0) / total))


def bass(mean: Curve) -> float:
    """Power below 80 Hz beside all of it, in dB, -40 to 0: voices have little, kicks and basses much.

    Parameters
    ----------
    mean : np.ndarray, shape (512,)
        Mean power per bin.
    """
    return max(-40.0, 10 * float(np.log10((mean[_HZ < _BASS_HZ].sum() + _TINY) / (mean.sum() + _TINY))))


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

    end = len(mono) // _HOP if end is None else end
    if end <= first:
        return np.zeros((0, _BINS), dtype=np.float32)
    margin = (_FRAME - _HOP) // 2
    start, stop = first * _HOP - margin, end * _HOP + margin
    part = mono[max(0, start) : stop].astype(np.float32) / 32768
    sound = np.pad(part, (max(0, -start), max(0, stop - len(mono))))
    bell = np.hanning(_FRAME + 1)[:-1]
    bell *= np.sqrt(2 / (_FRAME * np.sum(bell**2)))
    frames = np.lib.stride_tricks.sliding_window_view(sound, _FRAME)[::_HOP]
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
    for first in range(0, max(1, len(power) - _WINDOW + 1), _STEP):
        rows = slice(first, first + _WINDOW)
        short = len(power[rows]) < _WINDOW // 2
        if short or np.percentile(power[rows].sum(axis=1), 95) < _SILENCE:
            yield None
        else:
            yield _measures(power[rows], lines[rows], bands[rows])


@dataclass(frozen=True, eq=False)
class Model:
    """A multinomial logistic model over kinds of sound; ``clarity.json``, written by ``benchmarks/fit_clarity.py``.

    Attributes
    ----------
    centre, scale : np.ndarray, shape (8,)
        Measures are brought to 0 and 1 by these, and cut at -3 and 3.
    weights : np.ndarray, shape (kinds, 8)
    bias : np.ndarray, shape (kinds,)
    music, speech : np.ndarray, shape (kinds,), bool
        Which kinds are music, speech over it or not, and which speech without music.
    """

    centre: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]
    music: npt.NDArray[np.bool_]
    speech: npt.NDArray[np.bool_]

    def likely(
        self, rows: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """How likely windows hold music, and speech without it, shape (n,) each; what is missing to 1 is neither.

        Parameters
        ----------
        rows : np.ndarray, shape (n, 8)
            As `measures` gives them.
        """
        scaled = np.clip((rows - self.centre) / self.scale, -_FURTHEST, _FURTHEST)
        score = scaled @ self.weights.T + self.bias
        odds = np.exp(score - score.max(axis=1, keepdims=True))
        share = odds / odds.sum(axis=1, keepdims=True)
        return share[:, self.music].sum(axis=1), share[:, self.speech].sum(axis=1)


@cache
def model() -> Model:
    """The model that comes with the package."""
    stored = json.loads(MODEL.read_text(encoding="utf-8"))
    kinds = stored["kinds"]
    return Model(
        **{name: np.array(stored[name], dtype=np.float64) for name in ("centre", "scale", "weights", "bias")},
        music=np.isin(kinds, stored["music"]),
        speech=np.isin(kinds, stored["speech"]),
    )
