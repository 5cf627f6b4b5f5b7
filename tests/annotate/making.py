"""Notes of sheets and what people do with them, for tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from d2midi_build.annotate.layering import Row
from d2midi_build.clock import SAMPLE_RATE_HZ
from d2midi_build.music.instruments import INSTRUMENTS, instrument_named
from d2midi_build.music.notes import Notes

RATE = SAMPLE_RATE_HZ


def band(seconds: float = 30.0, per_s: float = 10.0, seed: int = 0) -> Notes:
    """A dense made-up piece: several instruments of several programs, drums, doubtful and certain notes."""
    rng = np.random.default_rng(seed)
    n = int(seconds * per_s)
    onset = rng.integers(0, int(seconds * RATE), n)
    length = rng.integers(300, 8000, n)
    drum = rng.random(n) < 0.3
    end = int(seconds * RATE)
    return Notes.create(
        onset / RATE,
        np.minimum(onset + length, end) / RATE,
        np.where(drum, rng.choice([36, 38, 42, 46, 49], n), rng.integers(36, 85, n)),
        rng.integers(30, 120, n),
        rng.choice([0, 4, 33, 40, 62, 81], n),
        drum,
        rng.random(n).astype(np.float32),
        rng.random(n).astype(np.float32),
        "made/up",
    )


def row(
    onset_s: float, pitch: int = 60, length_s: float = 0.5, instrument: str = "Violin", velocity: int = 80
) -> Row:
    """A note as a person would write it."""
    which = instrument_named(instrument)
    onset, length = round(onset_s * RATE), round(length_s * RATE)
    return Row(
        onset / RATE, (onset + length) / RATE, pitch, velocity, which.program, which.is_drum, 0.5, 0.5, "x"
    )


def labelled(of: Row, instrument: str) -> Row:
    """A note with another instrument."""
    which = instrument_named(instrument)
    return of._replace(program=which.program, is_drum=which.is_drum)


def later(of: Row, by_s: float, longer_by_s: float = 0.0) -> Row:
    """A note moved, and made longer."""
    onset, offset = of.span
    by = round(by_s * RATE)
    return of._replace(onset_s=(onset + by) / RATE, offset_s=(offset + by + round(longer_by_s * RATE)) / RATE)


@st.composite
def some_rows(draw: st.DrawFn, most: int = 12) -> list[Row]:
    """A few notes close to each other."""
    found = draw(
        st.lists(
            st.tuples(
                st.integers(0, 20),
                st.integers(1, 8),
                st.sampled_from([60, 62, 64, 72]),
                st.sampled_from([64, 100]),
                st.sampled_from([INSTRUMENTS[0], INSTRUMENTS[5], INSTRUMENTS[12]]),
            ),
            max_size=most,
        )
    )
    return [
        Row(
            onset * 2000 / RATE,
            (onset + length) * 2000 / RATE,
            pitch,
            velocity,
            which.program,
            which.is_drum,
            0.5,
            0.5,
            "made",
        )
        for onset, length, pitch, velocity, which in found
    ]
