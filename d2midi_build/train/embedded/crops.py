"""Excerpts of examples as the network is trained on them: features, varied a little, and what it should answer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from d2midi_build.clock import SAMPLE_RATE_HZ
from d2midi_build.train.embedded.data import Example
from d2midi_build.transcribers.embedded.decode import (
    CHUNK_FRAMES,
    DRUM_NAMES,
    DRUM_SPREAD,
    FRAMES_PER_STEP,
    INSTRUMENT_CLASSES,
    NOTE_SPREAD,
)
from d2midi_build.transcribers.embedded.features import (
    BINS_PER_SEMITONE,
    FRAME_S,
    LOWEST_PITCH,
    N_BINS,
    N_PITCHES,
    drum_band_hz,
)

_MOST_SEMITONES: Final = 3

Number = TypeVar("Number", bound=np.generic)

Crop = dict[str, npt.NDArray[np.float32]]
"""``spectra, activations, drums`` as the network takes them, and its targets: ``onset, frame`` of shape
(frames, pitches), ``instrument`` (classes, frames / 2, pitches), ``starts`` (frames / 2, pitches) where notes start,
``hits`` (2 * frames, drum classes)."""


def batches(
    files: Sequence[Path], seed: int, size: int, first: int = 0
) -> Iterator[dict[str, npt.NDArray[np.float32]]]:
    """Endless batches of random crops; batch ``i`` is the same whatever was drawn before.

    Parameters
    ----------
    first : int
        Number of the first batch, to go on where an earlier run stopped.
    """
    for number in itertools.count(first):
        rng = np.random.default_rng((seed, number))
        crops = [crop(rng, Example.load(files[rng.integers(len(files))])) for _ in range(size)]
        yield {name: np.stack([each[name] for each in crops]) for name in crops[0]}


def drum_batches(
    files: Sequence[Path], seed: int, size: int, first: int = 0
) -> Iterator[dict[str, npt.NDArray[np.float32]]]:
    """The same for ``drums`` and ``hits`` alone, in three of ten with the treble gone as at a lower sample rate."""
    for number in itertools.count(first):
        rng = np.random.default_rng((seed, number))
        crops = []
        for _ in range(size):
            drums, hits = Example.load_drums(files[rng.integers(len(files))])
            start = int(rng.integers(0, len(drums) // 2 - CHUNK_FRAMES + 1))
            seen = drums[2 * start : 2 * (start + CHUNK_FRAMES)].astype(np.float32)
            if rng.random() < 0.5:
                seen = np.maximum(seen + curve(rng, seen.shape[1], 0.15), 0)
            if rng.random() < 0.3:
                half_hz = float(rng.choice([SAMPLE_RATE_HZ / 2, rng.uniform(3_800, 9_000)]))
                seen[:, drum_band_hz() > half_hz * rng.uniform(0.9, 1.0)] = 0
            crops.append({"drums": seen, "hits": _hits(hits, start)})
        yield {name: np.stack([each[name] for each in crops]) for name in crops[0]}


def crop(rng: np.random.Generator, example: Example) -> Crop:
    """A random excerpt, transposed and coloured at random."""
    n = example.spectra.shape[1]
    first = int(rng.integers(0, n - CHUNK_FRAMES + 1))
    up = int(rng.integers(-_MOST_SEMITONES, _MOST_SEMITONES + 1)) if rng.random() < 0.6 else 0
    spectra = _moved(
        example.spectra[:, first : first + CHUNK_FRAMES].astype(np.float32), up * BINS_PER_SEMITONE
    )
    activations = example.activations[:, first : first + CHUNK_FRAMES].astype(np.float32) / 255
    drums = example.drums[2 * first : 2 * (first + CHUNK_FRAMES)].astype(np.float32)
    if rng.random() < 0.5:
        spectra += curve(rng, N_BINS, 0.15)
    if rng.random() < 0.5:
        drums += curve(rng, drums.shape[1], 0.15)
    notes = example.notes.copy()
    notes[:, 2] += up
    return {
        "spectra": spectra,
        "activations": _moved(activations, up) * np.float32(rng.random() > 0.08),
        "drums": drums,
        **_targets(notes, first),
        "hits": _hits(example.hits, first),
    }


def _targets(notes: npt.NDArray[np.float32], first: int) -> Crop:
    onset = np.zeros((CHUNK_FRAMES, N_PITCHES), np.float32)
    frame = np.zeros((CHUNK_FRAMES, N_PITCHES), np.float32)
    steps = CHUNK_FRAMES // FRAMES_PER_STEP
    instrument = np.zeros((len(INSTRUMENT_CLASSES), steps, N_PITCHES), np.float32)
    starts = np.zeros((steps, N_PITCHES), np.float32)
    for onset_s, offset_s, pitch, name in notes:
        row = int(pitch) - LOWEST_PITCH
        start, end = onset_s / FRAME_S - first, offset_s / FRAME_S - first
        if not 0 <= row < N_PITCHES or end < 0 or start > CHUNK_FRAMES:
            continue
        frame[max(0, round(start)) : max(round(start) + 1, round(end), 0), row] = 1
        for k in _around(start, NOTE_SPREAD, CHUNK_FRAMES):
            onset[k, row] = max(onset[k, row], 1 - abs(k - start) / NOTE_SPREAD)
            instrument[int(name), k // FRAMES_PER_STEP, row] = 1
            starts[k // FRAMES_PER_STEP, row] = 1
    return {"onset": onset, "frame": frame, "instrument": instrument, "starts": starts}


def _hits(hits: npt.NDArray[np.float32], first: int) -> npt.NDArray[np.float32]:
    out = np.zeros((2 * CHUNK_FRAMES, len(DRUM_NAMES)), np.float32)
    for onset_s, name in hits:
        at = 2 * (onset_s / FRAME_S - first)
        for k in _around(at, DRUM_SPREAD, len(out)):
            out[k, int(name)] = max(out[k, int(name)], 1 - abs(k - at) / DRUM_SPREAD)
    return out


def _around(at: float, spread: float, end: int) -> range:
    """Rows less than ``spread`` away."""
    return range(max(0, int(np.floor(at - spread)) + 1), min(end, int(np.ceil(at + spread))))


def transposed(example: Example, up: int) -> Example:
    """The example ``up`` semitones higher, with nothing coming in below."""
    notes = example.notes.copy()
    notes[:, 2] += up
    return Example(
        _moved(example.spectra, up * BINS_PER_SEMITONE),
        _moved(example.activations, up),
        example.drums,
        notes,
        example.hits,
    )


def _moved(values: npt.NDArray[Number], up: int) -> npt.NDArray[Number]:
    """The last axis moved up, with zeros coming in."""
    out = np.zeros_like(values)
    if up >= 0:
        out[..., up:] = values[..., : values.shape[-1] - up]
    else:
        out[..., :up] = values[..., -up:]
    return out


def curve(rng: np.random.Generator, n: int, size: float) -> npt.NDArray[np.float32]:
    """A smooth random curve, as an equaliser adds to log magnitudes."""
    knots = int(rng.integers(2, 9))
    return np.interp(np.linspace(0, 1, n), np.linspace(0, 1, knots), rng.uniform(-size, size, knots)).astype(
        np.float32
    )
