"""How clear the music of a video is: bandwidth, noise floor, and whether it is music, speech or neither.

Everything is measured on what `d2midi_build.media.sound_scan` leaves of one decode. `hear` listens to a whole
video once, `clarity` answers for a take of it. Windows of four seconds, one a second, are judged by a small
multinomial logistic model over eight measures (``sound_measures``); it was fitted on synthetic sound by
``benchmarks/fit_clarity.py``. No recording went into its weights, but which measures it has was chosen with the
recordings in view that the benchmark reports on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.media.sound_scan import BAND_HZ, BAND_STEP_S, BandPower, SoundScan
from d2midi_build.music.sound_measures import (
    FLOOR_EDGES,
    HOP,
    PER_S,
    SILENCE,
    STEP,
    TINY,
    WINDOW,
    WINDOW_S,
    Curve,
    floor_and_loud,
    spectrogram,
    window_measures,
)

MODEL: Final = Path(__file__).with_name("clarity.json")

_PIECE_WINDOWS: Final = 60

_FURTHEST: Final = 3.0
"""Standard deviations: what lies beyond anything learned from is no more certain."""


_CONTENT: Final = 1e-5
"""50 dB, chosen on the real files: at 60 what a codec left above the 4 kHz of one of them counts."""

_SILENT_BAND: Final = 1e-8


_WHITE: Final = 10**0.17
"""What quiet moments of white noise lack: with it white noise alone has 0 dB."""


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
    n_frames = len(scan.mono) // HOP
    n_windows = max(1, (n_frames - WINDOW) // STEP + 1)
    for first in range(0, n_windows, _PIECE_WINDOWS):
        end = min(first + _PIECE_WINDOWS, n_windows)
        last = end == n_windows
        stop = n_frames if last else (end - 1) * STEP + WINDOW
        power = spectrogram(scan.mono, first * STEP, stop)
        rows += list(window_measures(power))
        mine = power if last else power[: (end - first) * STEP]
        for step in range(0, len(mine), STEP):
            floor, loud = floor_and_loud(mine[step : step + STEP])
            floors.append(floor)
            louds.append(loud)
    music, speech = np.full((2, n_windows), np.nan)
    sounds = np.array([row is not None for row in rows], dtype=np.bool_)
    if sounds.any():
        music[sounds], speech[sounds] = model().likely(np.array([row for row in rows if row is not None]))
    middle = min(n_frames, WINDOW) / 2 + STEP * np.arange(n_windows)
    return Heard(
        bands=scan.bands,
        floor=np.array(floors, dtype=np.float32).reshape(-1, len(FLOOR_EDGES)),
        loud=np.array(louds, dtype=np.float32),
        middle_s=middle / PER_S,
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
    steps = slice(*(round(x * PER_S / STEP) for x in (max(0.0, start_s), max(0.0, end_s))))
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
    sounding = loud >= SILENCE
    if not sounding.any():
        return None
    left = float(np.percentile(floor[sounding], 10, axis=0).sum()) * _WHITE
    return float(np.clip(10 * np.log10((left + TINY) / np.percentile(loud[sounding], 90)), -80.0, 0.0))


def _windows_in(middle_s: npt.NDArray[np.float64], start_s: float, end_s: float) -> slice:
    """The windows that lie in a range; if none does, the nearest one that is partly in it; else none."""
    half_s = WINDOW_S / 2 - 0.05
    first, end = np.searchsorted(middle_s, (start_s + half_s, end_s - half_s))
    if end > first:
        return slice(int(first), int(end))
    nearest = int(np.argmin(np.abs(middle_s - (start_s + end_s) / 2)))
    overlaps = start_s < middle_s[nearest] + WINDOW_S / 2 and middle_s[nearest] - WINDOW_S / 2 < end_s
    return slice(nearest, nearest + int(overlaps))


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
