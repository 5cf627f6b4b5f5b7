"""Examples with known answers: random arrangements played with several soundfonts, mixed and made worse."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import scipy.signal

from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import synthesise
from d2midi_build.synthetic.arrangement import Part, arrange
from d2midi_build.synthetic.band import compose
from d2midi_build.transcribers.basic_pitch import PitchModel
from d2midi_build.transcribers.embedded.decode import INSTRUMENT_CLASSES, drum_class
from d2midi_build.transcribers.embedded.features import Features, features

PIECE_S: Final = 23.8
"""Length of a piece: two crops of the network's length."""

_RENDER_HZ: Final = 44_100
_ONE_FONT: Final = 0.6
"""Share of pieces played with one soundfont; in the others every part has its own."""

_TAPS: Final = 1024
_MOST_BODY: Final = 5


class Stored:
    """A dataclass of arrays, kept in a file."""

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        partial = path.with_suffix(f".{os.getpid()}.partial")
        with partial.open("wb") as file:
            np.savez(file, **vars(self))
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read one."""
        with np.load(path) as stored:
            return cls(**{name: stored[name] for name in stored.files})


@dataclass(frozen=True)
class Example(Stored):
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

    @classmethod
    def load_drums(cls, path: Path) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float32]]:
        """Read ``drums`` and ``hits`` of one."""
        with np.load(path) as stored:
            return stored["drums"], stored["hits"]

    def features(self) -> Features:
        """What the network is shown."""
        return Features(
            self.spectra.astype(np.float32),
            self.activations.astype(np.float32) / 255,
            self.drums.astype(np.float32),
        )

    def onsets(self) -> npt.NDArray[np.float32]:
        """Onset (s) and pitch of pitched notes, two instruments in unison being one: shape (k, 2)."""
        once = {(round(float(note[0]) / 0.02), int(note[2])): i for i, note in enumerate(self.notes)}
        return self.notes[sorted(once.values())][:, [0, 2]]


def example(
    seed: Sequence[int], fonts: Sequence[Path], other_bodies: bool = False, usual: bool = False
) -> Example:
    """Compose, play, mix and analyse one piece.

    Parameters
    ----------
    seed : sequence of int
        Decides everything.
    fonts : sequence of Path
        General MIDI soundfonts.
    other_bodies : bool
        Whether instruments are made larger or smaller than the soundfont's, so that there are more than it has.
    usual : bool
        Whether it is as `arrange` says, or every other time a song of the synthetic band: to ask how often an answer is
        right, not to learn.
    """
    rng = np.random.default_rng(seed)
    parts: list[Part] = []
    while not parts:
        parts = _band(rng) if usual and rng.random() < 0.5 else arrange(rng, PIECE_S, usual)
    return _heard(worsened(rng, mixed(rng, parts, fonts, other_bodies)), *_answers(parts))


def _band(rng: np.random.Generator) -> list[Part]:
    """A song of `synthetic.band` by parts."""
    notes = compose(rng, float(rng.uniform(70, 160)), PIECE_S).notes
    return [
        Part(notes.where(notes.instrument == name), 0, float(rng.uniform(-6, 0)))
        for name in dict.fromkeys(notes.instrument.tolist())
    ]


def noise(seed: Sequence[int]) -> Example:
    """Noise of some colour, steady, pulsing or in clicks, in which there is no note."""
    rng = np.random.default_rng(seed)
    sound = _tilted(rng, rng.standard_normal(round(PIECE_S * _RENDER_HZ)).astype(np.float32), 18.0)
    time_s = np.arange(len(sound)) / _RENDER_HZ
    period_s = rng.uniform(0.1, 2.0)
    kind = rng.integers(3)
    if kind == 1:
        sound *= (time_s % period_s < rng.uniform(0.1, 0.9) * period_s).astype(np.float32)
    elif kind == 2:
        sound *= np.exp(-(time_s % period_s) / rng.uniform(0.001, 0.05)).astype(np.float32)
    nothing = np.empty((0, 4), np.float32), np.empty((0, 2), np.float32)
    return _heard(worsened(rng, sound), *nothing)


def _heard(
    sound: npt.NDArray[np.float32], notes: npt.NDArray[np.float32], hits: npt.NDArray[np.float32]
) -> Example:
    audio = scipy.signal.resample_poly(sound, 1, 2).astype(np.float32)
    note, onset, times_s = _pitch_model().activations(audio)
    seen = features(audio, note, onset, times_s, float(np.sqrt(np.mean(audio**2))) + 1e-9)
    return Example(
        seen.spectra.astype(np.float16),
        np.round(255 * np.clip(seen.activations, 0, 1)).astype(np.uint8),
        seen.drums.astype(np.float16),
        notes,
        hits,
    )


def mixed(
    rng: np.random.Generator, parts: Sequence[Part], fonts: Sequence[Path], other_bodies: bool
) -> npt.NDArray[np.float32]:
    """The parts played and mixed: mono at 44.1 kHz."""
    one = fonts[rng.integers(len(fonts))] if rng.random() < _ONE_FONT else None
    mix = np.zeros(round(PIECE_S * _RENDER_HZ), np.float32)
    for part in parts:
        font = one or fonts[rng.integers(len(fonts))]
        body = int(rng.integers(-_MOST_BODY, _MOST_BODY + 1)) if other_bodies and rng.random() < 0.7 else 0
        played = _played(part, len(mix), font, body)
        if rng.random() < 0.5:
            played = _tilted(rng, played, 6.0)
        loud = float(np.sqrt(np.mean(played**2))) + 1e-6
        # Half towards equal loudness, so that no part drowns and none is always heard.
        mix += played * np.float32(10 ** (part.level_db / 20) * (0.05 / loud) ** 0.5)
    return mix


def _played(part: Part, n_samples: int, font: Path, body: int) -> npt.NDArray[np.float32]:
    """A part as an instrument ``body`` semitones smaller would play it: played as much higher and faster, then slowed
    down as a tape is, so that pitches are right and formants and attacks are another instrument's."""
    notes = part.notes
    if not body or notes.is_drum.any():
        return np.asarray(synthesise(notes, _RENDER_HZ, n_samples, part.kit, font).mean(axis=1))
    slower = 2.0 ** (body / 12)
    moved = Notes.create(
        notes.onset_s / slower,
        notes.offset_s / slower,
        np.clip(notes.pitch.astype(np.int64) + body, 0, 127),
        notes.velocity,
        notes.program,
    )
    tape = synthesise(moved, _RENDER_HZ, round(n_samples / slower), 0, font).mean(axis=1)
    return np.asarray(scipy.signal.resample(tape, n_samples), dtype=np.float32)


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
