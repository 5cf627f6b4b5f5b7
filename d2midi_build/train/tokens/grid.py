"""Notes on the grid of tokens: steps of 62.5 ms from the clip's first frame, whatever the music's tempo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build import clock
from d2midi_build.errors import UsageError
from d2midi_build.music.notes import Notes, to_samples
from d2midi_build.release.catalogue import WindowNotes
from d2midi_build.train.tokens.vocabulary import (
    DRUMS,
    FRAMES_PER_BAR,
    SAMPLES_PER_STEP,
    STEPS_PER_BAR,
    VELOCITY,
)

IntArray = npt.NDArray[np.int64]

MAX_BARS: Final = 10_000
"""More measures than this (5.5 hours) do not fit the int16 of positions."""

ORIGIN: Final = "quads"
"""Origin of notes that come from the grid."""

_MS_PER_SAMPLE: Final = 1000 / clock.SAMPLE_RATE_HZ


def bars_of(n_frames: int) -> int:
    """Number of measures of 40 frames that ``n_frames`` frames need; the last may be begun only.

    >>> bars_of(600), bars_of(601)
    (15, 16)
    """
    return -(-n_frames // FRAMES_PER_BAR)


@dataclass(frozen=True, eq=False)
class Steps:
    """Notes in steps, columns of shape (n,); see `to_steps`.

    Attributes
    ----------
    onset, offset : int64
        Steps from the clip's first frame, ``offset > onset``.
    pitch : int64
    instrument : int64
        General MIDI program, 128 for drums.
    """

    onset: IntArray
    offset: IntArray
    pitch: IntArray
    instrument: IntArray

    def __len__(self) -> int:
        return len(self.onset)

    def settled(self) -> tuple[Steps, IntArray]:
        """The notes as one keyboard per instrument can play them, and which of the given ones they are.

        By instrument, pitch and onset. Of several notes of one instrument, pitch and onset the longest stays
        (the first given of equals). A note that still sounds when its pitch is struck again ends there.
        """
        order = np.lexsort((-self.offset, self.onset, self.pitch, self.instrument))
        onset, offset = self.onset[order], self.offset[order]
        key = self.instrument[order] * 128 + self.pitch[order]
        keep = np.ones(len(order), dtype=np.bool_)
        keep[1:] = (key[1:] != key[:-1]) | (onset[1:] != onset[:-1])
        order, onset, offset, key = order[keep], onset[keep], offset[keep], key[keep]
        again = key[1:] == key[:-1]
        offset[:-1] = np.where(again, np.minimum(offset[:-1], onset[1:]), offset[:-1])
        return Steps(onset, offset, self.pitch[order], self.instrument[order]), order

    def to_notes(self) -> Notes:
        """The notes in seconds, of velocity 90, in canonical order."""
        drums = self.instrument == DRUMS
        return Notes.create(
            onset_s=self.onset * SAMPLES_PER_STEP / clock.SAMPLE_RATE_HZ,
            offset_s=self.offset * SAMPLES_PER_STEP / clock.SAMPLE_RATE_HZ,
            pitch=self.pitch,
            velocity=VELOCITY,
            program=np.where(drums, 0, self.instrument),
            is_drum=drums,
            origin=ORIGIN,
        )


def to_steps(notes: Notes, n_bars: int | None = None) -> tuple[Steps, IntArray]:
    """Notes on the grid, settled (`Steps.settled`), and which of ``notes`` they are.

    Onset and offset each go to the nearest step (between two, to the later), and a note has at least one step. What
    lasts beyond the last measure ends with it; a note that rounding would start there starts one step earlier.

    Parameters
    ----------
    notes : Notes
    n_bars : int, optional
        Number of measures. Default is as many as the notes need.

    Raises
    ------
    UsageError
        If a note starts after the last measure, or there are more than 10,000 measures.
    """
    ends = None if n_bars is None else n_bars * STEPS_PER_BAR
    onset_samples, offset_samples = to_samples(notes.onset_s), to_samples(notes.offset_s)
    if ends is not None and len(notes) and onset_samples.max() >= ends * SAMPLES_PER_STEP:
        raise UsageError(
            f"a note starts at {float(notes.onset_s.max()):.3f} s, but {n_bars} measures end at "
            f"{ends * SAMPLES_PER_STEP / clock.SAMPLE_RATE_HZ:.3f} s. Take those before with notes.starting_in(), "
            "or more measures."
        )
    onset, offset = _nearest(onset_samples), _nearest(offset_samples)
    if ends is not None:
        onset, offset = np.minimum(onset, ends - 1), np.minimum(offset, ends)
    offset = np.maximum(offset, onset + 1)
    if max(n_bars or 0, -(-int(offset.max(initial=0)) // STEPS_PER_BAR)) > MAX_BARS:
        raise UsageError(
            f"music of more than {MAX_BARS:,} measures of 2 s cannot be written as tokens. Cut it."
        )
    instrument = np.where(notes.is_drum, DRUMS, notes.program.astype(np.int64))
    return Steps(onset, offset, notes.pitch.astype(np.int64), instrument).settled()


def grid(notes: Notes, n_bars: int | None = None) -> Notes:
    """The notes as tokens can say them: ``decode(encode(notes)) == grid(notes)``, exactly.

    As `to_steps`, with the velocity 90, probabilities 1 and origin ``"quads"``. Doing it twice changes nothing.

    Raises
    ------
    UsageError
        As `to_steps`.
    """
    return to_steps(notes, n_bars)[0].to_notes()


@dataclass(frozen=True)
class GridErrors:
    """What the grid does to notes.

    Attributes
    ----------
    n_notes : int
        Notes given.
    n_merged : int
        Left out beside a longer one of the same instrument, pitch and step.
    n_cut : int
        Of the rest, those that end a step or more earlier: their pitch is struck again, or the last measure ends.
    onset_max_ms, onset_mean_ms : float
        Absolute error of onsets, over the notes that stay.
    offset_max_ms, offset_mean_ms : float
        Absolute error of offsets, over the notes that stay and are not cut. More than half a step (31.25 ms) only
        where a note was shorter than a step, never more than 93.75 ms.
    """

    n_notes: int
    n_merged: int
    n_cut: int
    onset_max_ms: float
    onset_mean_ms: float
    offset_max_ms: float
    offset_mean_ms: float


def grid_errors(notes: Notes, n_bars: int | None = None) -> GridErrors:
    """How far the grid moves notes; all 0 without notes.

    Raises
    ------
    UsageError
        As `to_steps`.
    """
    steps, which = to_steps(notes, n_bars)
    samples = to_samples(notes.onset_s)[which], to_samples(notes.offset_s)[which]
    onset_ms = np.abs(steps.onset * SAMPLES_PER_STEP - samples[0]) * _MS_PER_SAMPLE
    cut = steps.offset < np.maximum(_nearest(samples[1]), steps.onset + 1)
    offset_ms = np.abs(steps.offset * SAMPLES_PER_STEP - samples[1])[~cut] * _MS_PER_SAMPLE
    return GridErrors(
        n_notes=len(notes),
        n_merged=len(notes) - len(steps),
        n_cut=int(cut.sum()),
        onset_max_ms=float(onset_ms.max(initial=0)),
        onset_mean_ms=float(onset_ms.mean()) if len(steps) else 0.0,
        offset_max_ms=float(offset_ms.max(initial=0)),
        offset_mean_ms=float(offset_ms.mean()) if len(offset_ms) else 0.0,
    )


def notes_of(found: WindowNotes) -> Notes:
    """The notes of a release's clip or window (`release.reader.Window.notes`) as `Notes`."""
    return Notes.create(
        found.onset_s,
        found.offset_s,
        found.pitch,
        found.velocity,
        found.program,
        found.is_drum,
        found.p_note,
        found.p_instrument,
    )


def _nearest(samples: IntArray) -> IntArray:
    return (samples + SAMPLES_PER_STEP // 2) // SAMPLES_PER_STEP
