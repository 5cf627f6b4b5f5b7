"""Notes for tests of tokens."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from d2midi_build.clock import SAMPLE_RATE_HZ
from d2midi_build.music.notes import Notes
from d2midi_build.train.tokens.vocabulary import SAMPLES_PER_STEP

STEP_S = 0.0625


@st.composite
def crowded_notes(draw: st.DrawFn) -> Notes:
    """Notes of few pitches and instruments that overlap, touch, coincide and last long, on the grid and beside it."""
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from([0, 1, 31, 32, 33, 63, 64, 65, 96, 128, 160]) | st.integers(0, 200),
                st.sampled_from([0, 1, 31, 32, 33, 63, 64, 65, 96, 97]) | st.integers(0, 120),
                st.sampled_from([0, 0, 0, -320, -319, 319, 320, 17]),
                st.integers(60, 62),
                st.sampled_from([0, 1, 40]),
                st.booleans(),
            ),
            max_size=25,
        )
    )
    if not rows:
        return Notes.empty()
    onset, length, beside, pitch, program, drum = (np.array(column) for column in zip(*rows, strict=True))
    start = np.maximum(onset * SAMPLES_PER_STEP + beside, 0)
    end = start + length * SAMPLES_PER_STEP
    return Notes.create(start / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ, pitch, 100, program, drum)


def note(onset: float, length: float, pitch: int = 60, program: int = 0, drum: bool = False) -> Notes:
    """One note; onset and length in steps."""
    return Notes.create([onset * STEP_S], [(onset + length) * STEP_S], pitch, 100, program, drum)


def some(*notes: Notes) -> Notes:
    """All of them."""
    return Notes.concat(notes)


def onsets_lengths(notes: Notes) -> list[tuple[float, float]]:
    """Onset and length of each note in steps."""
    return [
        (float(start / STEP_S), float((end - start) / STEP_S))
        for start, end in zip(notes.onset_s, notes.offset_s, strict=True)
    ]
