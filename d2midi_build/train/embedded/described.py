"""What the second network learns from: candidates as the first one hears them in examples, beside what is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build.train.embedded.crops import curve, transposed
from d2midi_build.train.embedded.data import Example, Stored
from d2midi_build.transcribers.embedded.decode import INSTRUMENT_CLASSES
from d2midi_build.transcribers.embedded.description import N_LONG, N_SHORT, SEMITONES
from d2midi_build.transcribers.embedded.features import BINS_PER_SEMITONE, FRAME_S, LOWEST_PITCH
from d2midi_build.transcribers.embedded.model import Ear

TOLERANCE_S: Final = 0.05
_STRETCH_FRAMES: Final = 896
"""Candidates of 21 s are seen together, as in use."""

_MOST: Final = 900
_EQUALISER: Final = 0.15

Batch = dict[str, npt.NDArray[Any]]
"""``description`` (batch, n, columns), ``time_s``, ``pitch``, ``absent``, ``right`` (batch, n) and ``plays`` (batch, n,
12): a row that is not absent is a note or not, and played by some instruments."""


@dataclass(frozen=True)
class Described(Stored):
    """The candidates of an example, rows of equal length.

    Attributes
    ----------
    description : np.ndarray, shape (n, columns), float16
    frame, pitch : np.ndarray, shape (n,)
        As in `Candidates`.
    right : np.ndarray, shape (n,), bool
        Whether it is a note: one candidate per note of the same pitch within `TOLERANCE_S`.
    plays : np.ndarray, shape (n, 12), bool
        Which instruments play that pitch then.
    """

    description: npt.NDArray[np.float16]
    frame: npt.NDArray[np.float64]
    pitch: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]
    plays: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, ear: Ear, example: Example) -> Described:
        """Hear an example and compare."""
        chunks = list(ear.chunks(example.features(), 0, example.spectra.shape[1]))
        frame = np.concatenate([chunk.peaks.at + chunk.begin for chunk in chunks])
        pitch = np.concatenate([chunk.peaks.row + LOWEST_PITCH for chunk in chunks])
        strength = np.concatenate([chunk.peaks.strength for chunk in chunks])
        description = np.concatenate([chunk.description for chunk in chunks]).astype(np.float16)
        onsets = example.onsets()
        right = matched(frame * FRAME_S, pitch, strength, onsets[:, 0], onsets[:, 1])
        return cls(description, frame, pitch, right, played(example.notes, frame, pitch))


def describe_example(weights: Path, examples: Sequence[Path], seed: int, number: int, path: Path) -> None:
    """Describe an example, every other time transposed and coloured at random, and write it to ``path``."""
    example = Example.load(examples[number])
    rng = np.random.default_rng((seed, number))
    if rng.random() < 0.5:
        example = transposed(example, int(rng.integers(-3, 4)))
        colour = curve(rng, example.spectra.shape[2], _EQUALISER).astype(np.float16)
        example = replace(example, spectra=example.spectra + colour)
    Described.of(_ear(weights), example).save(path)


@cache
def _ear(weights: Path) -> Ear:
    return Ear(weights)


def stretches(described: Sequence[Described], seed: int, size: int, first: int = 0) -> Iterator[Batch]:
    """Endless batches of random stretches; batch ``i`` is the same whatever was drawn before."""
    number = first
    while True:
        rng = np.random.default_rng((seed, number))
        yield _filled([_stretch(rng, described[rng.integers(len(described))]) for _ in range(size)])
        number += 1


def _stretch(rng: np.random.Generator, whole: Described) -> Batch:
    """Candidates of some 21 s, the spectra in their descriptions coloured as by an equaliser."""
    start = rng.uniform(
        whole.frame.min() - 10, max(whole.frame.max() - _STRETCH_FRAMES / 2, whole.frame.min() + 1)
    )
    mine = np.flatnonzero((whole.frame >= start) & (whole.frame < start + _STRETCH_FRAMES))[:_MOST]
    if not len(mine):
        mine = np.arange(min(len(whole.frame), _MOST))
        start = whole.frame.min()
    description = whole.description[mine].astype(np.float32)
    pitch = whole.pitch[mine]
    gain = curve(rng, 140, _EQUALISER)[
        np.clip(pitch[:, None] - LOWEST_PITCH + np.array(SEMITONES) - min(SEMITONES), 0, 139)
    ]
    description[:, :N_SHORT] += np.tile(gain, N_SHORT // len(SEMITONES))
    description[:, N_SHORT : N_SHORT + N_LONG] += np.tile(
        np.repeat(gain, BINS_PER_SEMITONE, axis=1), N_LONG // (len(SEMITONES) * BINS_PER_SEMITONE)
    )
    return {
        "description": description,
        "time_s": ((whole.frame[mine] - start) * FRAME_S).astype(np.float32),
        "pitch": pitch.astype(np.float32),
        "absent": np.zeros(len(mine), np.bool_),
        "right": whole.right[mine].astype(np.float32),
        "plays": whole.plays[mine].astype(np.float32),
    }


def _filled(rows: Sequence[Batch]) -> Batch:
    """Stacked, the shorter ones filled up with absent rows."""
    n = max(len(each["pitch"]) for each in rows)
    out = {}
    for name, like in rows[0].items():
        out[name] = np.full((len(rows), n, *like.shape[1:]), name == "absent", like.dtype)
        for place, each in enumerate(rows):
            out[name][place, : len(each[name])] = each[name]
    return out


def played(
    notes: npt.NDArray[np.float32], frame: npt.NDArray[np.float64], pitch: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Which instruments start a note at each candidate's pitch within `TOLERANCE_S`: shape (n, 12)."""
    out = np.zeros((len(frame), len(INSTRUMENT_CLASSES)), np.bool_)
    for i, j in np.argwhere(near(notes, frame, pitch)):
        out[i, int(notes[j, 3])] = True
    return out


def near(
    notes: npt.NDArray[np.float32], frame: npt.NDArray[np.float64], pitch: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Which candidates could be which notes: shape (candidates, notes)."""
    close = np.abs(frame[:, None] * FRAME_S - notes[:, 0]) <= TOLERANCE_S
    return np.asarray(close & (pitch[:, None] == notes[:, 2]))


def matched(
    time_s: npt.NDArray[Any],
    kind: npt.NDArray[Any],
    strength: npt.NDArray[Any],
    true_s: npt.NDArray[Any],
    true_kind: npt.NDArray[Any],
) -> npt.NDArray[np.bool_]:
    """Which candidates find a truth of their kind, one to one, the strongest first and the nearest truth."""
    taken = np.zeros(len(true_s), np.bool_)
    right = np.zeros(len(time_s), np.bool_)
    for i in np.argsort(-strength, kind="stable"):
        free = np.flatnonzero((true_kind == kind[i]) & ~taken & (np.abs(true_s - time_s[i]) <= TOLERANCE_S))
        if len(free):
            taken[free[np.argmin(np.abs(true_s[free] - time_s[i]))]] = right[i] = True
    return right
