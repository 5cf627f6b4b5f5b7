"""Examples with known answers: random arrangements played with several soundfonts, mixed and made worse."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy.signal

from d2midi_build.music.synthesis import synthesise
from d2midi_build.synthetic.arrangement import Part, arrange
from d2midi_build.transcribers.basic_pitch import PitchModel
from d2midi_build.transcribers.embedded.decode import INSTRUMENT_CLASSES, drum_class
from d2midi_build.transcribers.embedded.features import features

PIECE_S: Final = 23.8
"""Length of a piece: two crops of the network's length."""

_RENDER_HZ: Final = 44_100
_ONE_FONT: Final = 0.6
"""Share of pieces played with one soundfont; in the others every part has its own."""

_TAPS: Final = 1024


@dataclass(frozen=True)
class Example:
    """What is kept of a piece: features (half precision) and notes.

    Attributes
    ----------
    spectra, activations, drums : np.ndarray
        As in `Features`; activations in 255ths.
    notes : np.ndarray, shape (n, 4), float32
        Onset (s), offset (s), pitch and instrument class of pitched notes.
    hits : np.ndarray, shape (m, 2), float32
        Onset (s) and drum class; drums without a class are left out.
    """

    spectra: npt.NDArray[np.float16]
    activations: npt.NDArray[np.uint8]
    drums: npt.NDArray[np.float16]
    notes: npt.NDArray[np.float32]
    hits: npt.NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        partial = path.with_suffix(f".{os.getpid()}.partial")
        with partial.open("wb") as file:
            np.savez(file, **vars(self))
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Example:
        """Read one."""
        with np.load(path) as stored:
            return cls(**{name: stored[name] for name in stored.files})


def example(seed: Sequence[int], fonts: Sequence[Path]) -> Example:
    """Compose, play, mix and analyse one piece.

    Parameters
    ----------
    seed : sequence of int
        Decides everything.
    fonts : sequence of Path
        General MIDI soundfonts.
    """
    rng = np.random.default_rng(seed)
    parts: list[Part] = []
    while not parts:
        parts = arrange(rng, PIECE_S)
    sound = worsened(rng, mixed(rng, parts, fonts))
    audio = scipy.signal.resample_poly(sound, 1, 2).astype(np.float32)
    note, onset, times_s = _pitch_model().activations(audio)
    seen = features(audio, note, onset, times_s, float(np.sqrt(np.mean(audio**2))) + 1e-9)
    notes, hits = _answers(parts)
    return Example(
        seen.spectra.astype(np.float16),
        np.round(255 * np.clip(seen.activations, 0, 1)).astype(np.uint8),
        seen.drums.astype(np.float16),
        notes,
        hits,
    )


def mixed(rng: np.random.Generator, parts: Sequence[Part], fonts: Sequence[Path]) -> npt.NDArray[np.float32]:
    """The parts played and mixed: mono at 44.1 kHz."""
    one = fonts[rng.integers(len(fonts))] if rng.random() < _ONE_FONT else None
    mix = np.zeros(round(PIECE_S * _RENDER_HZ), np.float32)
    for part in parts:
        font = one or fonts[rng.integers(len(fonts))]
        played = synthesise(part.notes, _RENDER_HZ, len(mix), part.kit, font).mean(axis=1)
        if rng.random() < 0.5:
            played = _tilted(rng, played, 6.0)
        loud = float(np.sqrt(np.mean(played**2))) + 1e-6
        # Half towards equal loudness, so that no part drowns and none is always heard.
        mix += played * np.float32(10 ** (part.level_db / 20) * (0.05 / loud) ** 0.5)
    return mix


def worsened(rng: np.random.Generator, sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The same with some of what recordings go through: room, equaliser, limiter, noise, lost treble."""
    if rng.random() < 0.45:
        seconds = rng.uniform(0.15, 1.6)
        t = np.arange(int(seconds * _RENDER_HZ)) / _RENDER_HZ
        room = rng.standard_normal(len(t)) * 10 ** (-3 * t / seconds)
        room[: int(rng.uniform(0, 0.02) * _RENDER_HZ)] = 0
        wet = scipy.signal.oaconvolve(sound, room)[: len(sound)]
        share = rng.uniform(0.05, 0.5)
        sound = sound + wet * (share * _rms(sound) / (_rms(wet) + 1e-9))
    if rng.random() < 0.5:
        sound = _tilted(rng, sound, 9.0)
    sound = sound / (np.abs(sound).max() + 1e-9)
    if rng.random() < 0.35:
        sound = np.tanh(sound * rng.uniform(1.0, 5.0))
    if rng.random() < 0.35:
        noise = rng.standard_normal(len(sound))
        if rng.random() < 0.6:
            noise = scipy.signal.lfilter([1], [1, -0.95], noise)
        sound = sound + noise * (_rms(sound) * 10 ** (-rng.uniform(22, 55) / 20) / _rms(noise))
    if rng.random() < 0.25:
        edge_hz = float(rng.choice([5_000, 5_000, 7_500, 11_000, 15_000]))
        sound = scipy.signal.sosfilt(scipy.signal.cheby2(8, 50, edge_hz, fs=_RENDER_HZ, output="sos"), sound)
    return np.asarray(sound, np.float32)


def _tilted(rng: np.random.Generator, sound: npt.NDArray[np.float32], db: float) -> npt.NDArray[np.float32]:
    """A smooth random equaliser of up to ``db`` either way."""
    octaves = np.log2(np.maximum(np.fft.rfftfreq(_TAPS, 1 / _RENDER_HZ), 20) / 20)
    gain_db = np.interp(octaves, np.linspace(0, 10, 5), rng.uniform(-db, db, 5))
    filter_ = np.roll(np.fft.irfft(10 ** (gain_db / 20)), _TAPS // 2) * np.hanning(_TAPS)
    wet = scipy.signal.oaconvolve(sound, filter_.astype(np.float32), mode="same")
    return np.asarray(wet, dtype=np.float32)


def _rms(sound: npt.NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(sound**2)))


def _answers(parts: Sequence[Part]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    notes, hits = [np.empty((0, 4), np.float32)], [np.empty((0, 2), np.float32)]
    for part in parts:
        played = part.notes
        if played.is_drum[0]:
            classes = np.array([drum_class(int(key)) for key in played.pitch])
            hits.append(np.stack([played.onset_s, classes], axis=1)[classes >= 0])
        else:
            classes = np.full(len(played), INSTRUMENT_CLASSES.index(str(played.instrument[0])))
            notes.append(np.stack([played.onset_s, played.offset_s, played.pitch, classes], axis=1))
    return np.concatenate(notes).astype(np.float32), np.concatenate(hits).astype(np.float32)


@cache
def _pitch_model() -> PitchModel:
    return PitchModel()
