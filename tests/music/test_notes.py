"""Columns of notes: checks, order, selection, tables, playability."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.clock import SAMPLE_RATE_HZ
from d2midi_build.music.notes import NOTES_SCHEMA, Notes, to_samples


@st.composite
def many_notes(draw: st.DrawFn) -> Notes:
    """Any notes: overlapping, simultaneous, empty in length, of every program."""
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 3000),
                st.integers(0, 500),
                st.integers(0, 127),
                st.integers(1, 127),
                st.sampled_from([0, 1, 8, 40, 41, 62, 110, 127]),
                st.booleans(),
                st.floats(0, 1, width=32),
                st.sampled_from(["a", "model/bass-by-pitch"]),
            ),
            max_size=40,
        )
    )
    if not rows:
        return Notes.empty()
    onset, length, pitch, velocity, program, is_drum, p_note, origin = (
        np.array(c) for c in zip(*rows, strict=True)
    )
    start_s, end_s = onset / SAMPLE_RATE_HZ, (onset + length) / SAMPLE_RATE_HZ
    return Notes.create(start_s, end_s, pitch, velocity, program, is_drum, p_note, origin=origin)


def test_times_are_snapped_to_samples() -> None:
    notes = Notes.create([0.50001], [0.90004], 60)
    assert notes.onset_s[0] == 5120 / SAMPLE_RATE_HZ
    assert notes.offset_s[0] == 9216 / SAMPLE_RATE_HZ  # 9216.4096 samples


@settings(max_examples=50, deadline=None)
@given(notes=many_notes(), seed=st.integers(0, 9))
def test_canonical_order_forgets_the_order_it_came_in(notes: Notes, seed: int) -> None:
    shuffled = notes.where(np.random.default_rng(seed).permutation(len(notes)))
    assert shuffled.sorted() == notes.sorted()
    assert (np.diff(notes.sorted().onset_s) >= 0).all()


@settings(max_examples=50, deadline=None)
@given(notes=many_notes())
def test_table_round_trip_is_exact(notes: Notes) -> None:
    table = notes.to_table()
    assert table.schema == NOTES_SCHEMA
    assert Notes.from_table(table) == notes


@settings(max_examples=50, deadline=None)
@given(notes=many_notes())
def test_playable_notes_never_overlap_and_keep_every_onset(notes: Notes) -> None:
    playable = notes.playable()
    assert playable.playable() == playable
    keys = {(i, p, o) for i, p, o in zip(notes.instrument, notes.pitch, notes.onset_s, strict=True)}
    assert keys == set(zip(playable.instrument, playable.pitch, playable.onset_s, strict=True))
    for key in {(i, p) for i, p, _ in keys}:
        mine = playable.where((playable.instrument == key[0]) & (playable.pitch == key[1]))
        assert (mine.offset_s[:-1] <= mine.onset_s[1:]).all()
        assert (to_samples(mine.offset_s) > to_samples(mine.onset_s)).all()


def test_overlap_cuts_the_first_note_at_the_second_onset() -> None:
    notes = Notes.create([0.0, 1.0, 1.0], [2.0, 1.5, 3.0], 60).playable()
    assert notes.onset_s.tolist() == [0.0, 1.0]
    assert notes.offset_s.tolist() == [1.0, 3.0]


def test_selection_by_time() -> None:
    notes = Notes.create([0.0, 1.0, 2.0], [1.5, 1.2, 2.5], [60, 61, 62])
    assert notes.starting_in(1.0, 2.0).pitch.tolist() == [61]
    assert notes.sounding_in(1.2, 2.0).pitch.tolist() == [60]
    assert notes.shifted(0.25).onset_s.tolist() == [0.25, 1.25, 2.25]
    with pytest.raises(ValueError, match="start at 0 s"):
        notes.shifted(-1)


def test_columns_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Notes.create([0.0], [1.0], 60).onset_s[0] = 3.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pitch": 128}, "pitch goes from 128"),
        ({"velocity": 0}, "velocity 0"),
        ({"program": 200}, "program goes"),
        ({"p_note": 1.5}, "p_note"),
        ({"p_instrument": np.nan}, "p_instrument"),
        ({"offset_s": 0.5}, "end before"),
        ({"onset_s": np.nan}, "finite"),
    ],
)
def test_impossible_values_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Notes.create(**{"onset_s": 1.0, "offset_s": 2.0, "pitch": 60, **change})


def test_instrument_must_match_its_program() -> None:
    notes = Notes.create([0.0], [1.0], 60, program=41)
    assert notes.instrument[0] == "Violin"
    columns = {name: notes.to_table().column(name).to_numpy() for name in NOTES_SCHEMA.names}
    columns["instrument"] = np.array(["Piccolo"])
    with pytest.raises(ValueError, match="'Piccolo' does not match program 41"):
        Notes(**columns)


def test_concat_of_nothing_is_empty() -> None:
    assert len(Notes.concat([])) == 0
    assert Notes.concat([Notes.empty(), Notes.create([1.0], [2.0], 3)]).pitch.tolist() == [3]
