"""Notes on the grid of 62.5 ms: rounding, what gives way, and the errors that are told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from d2midi_build.errors import UsageError
from d2midi_build.music.notes import Notes
from d2midi_build.train.tokens.grid import bars_of, grid, grid_errors
from tests.train.tokens.making import STEP_S, crowded_notes, note, onsets_lengths, some


def test_onsets_and_offsets_go_to_the_nearest_step() -> None:
    notes = Notes.create([0.030, 1.0, 2.035], [0.1, 1.29, 2.2], [60, 62, 64])
    # In steps 0.48-1.6, 16-20.64 and 32.56-35.2.
    assert onsets_lengths(grid(notes)) == [(0, 2), (16, 5), (33, 2)]


def test_a_time_between_two_steps_goes_to_the_later() -> None:
    assert onsets_lengths(grid(note(2.5, 2))) == [(3, 2)]


def test_short_and_empty_notes_get_one_step() -> None:
    notes = some(note(4, 0, 60), note(4.1, 0.2, 61))
    assert onsets_lengths(grid(notes)) == [(4, 1), (4, 1)]


def test_leading_silence_stays() -> None:
    assert onsets_lengths(grid(note(32 * 50 + 3, 1))) == [(1603, 1)]


def test_of_notes_that_begin_together_the_longest_stays() -> None:
    notes = some(note(0, 2), note(0.2, 7), note(0, 3), note(0, 9, program=40), note(0, 5, drum=True))
    on_grid = grid(notes)
    assert sorted(onsets_lengths(on_grid)) == [(0, 5), (0, 7), (0, 9)]
    assert grid_errors(notes).n_merged == 2


def test_a_pitch_that_is_struck_again_ends_there() -> None:
    notes = some(note(0, 10), note(4, 2), note(0, 10, pitch=61), note(4, 2, program=8))
    assert sorted(onsets_lengths(grid(notes))) == [(0, 4), (0, 10), (4, 2), (4, 2)]
    assert grid_errors(notes).n_cut == 1


def test_notes_end_with_the_last_measure_and_start_before_it() -> None:
    notes = some(note(31.7, 1, 60), note(30, 9, 61))
    assert onsets_lengths(grid(notes, n_bars=1)) == [(30, 2), (31, 1)]
    assert onsets_lengths(grid(notes)) == [(30, 9), (32, 1)]


def test_a_note_after_the_last_measure_is_an_error_that_says_where() -> None:
    with pytest.raises(UsageError, match=r"starts at 2\.000 s, but 1 measures end at 2\.000 s"):
        grid(note(32, 1), n_bars=1)


def test_music_of_more_measures_than_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="more than 10,000 measures"):
        grid(note(32 * 10_000, 1))


def test_velocity_probabilities_and_origin_are_stated_values() -> None:
    notes = grid(Notes.create([0.0], [1.0], 60, 33, p_note=0.2, p_instrument=0.3, origin="someone"))
    assert (notes.velocity[0], notes.p_note[0], notes.p_instrument[0], notes.origin[0]) == (90, 1, 1, "quads")


def test_errors_are_measured_in_milliseconds() -> None:
    # 10 and 20 ms late; ends 5 ms early and 25 ms late, of a note 5 steps and one 4 steps long.
    notes = Notes.create([0.010, 1.020], [0.3125 - 0.005, 1.25 + 0.025], [60, 61])
    errors = grid_errors(notes)
    assert errors.n_notes == 2
    assert errors.onset_max_ms == pytest.approx(20, abs=0.1)
    assert errors.onset_mean_ms == pytest.approx(15, abs=0.1)
    assert errors.offset_max_ms == pytest.approx(25, abs=0.1)
    assert errors.offset_mean_ms == pytest.approx(15, abs=0.1)


def test_without_notes_there_are_no_errors() -> None:
    assert grid_errors(Notes.empty()).onset_max_ms == 0
    assert len(grid(Notes.empty(), n_bars=3)) == 0


@settings(max_examples=100, deadline=None)
@given(notes=crowded_notes())
def test_the_grid_moves_no_onset_more_than_half_a_step_and_changes_nothing_twice(notes: Notes) -> None:
    on_grid = grid(notes)
    assert grid(on_grid) == on_grid
    errors = grid_errors(notes)
    assert errors.onset_max_ms <= 31.25
    assert (
        errors.offset_max_ms <= 31.25 + 62.5
    )  # an empty note: moved by half a step, then made one step long
    assert errors.n_notes - errors.n_merged == len(on_grid)
    lengths = np.round((on_grid.offset_s - on_grid.onset_s) / STEP_S, 9)
    assert (lengths >= 1).all()
    assert (lengths % 1 == 0).all()


def test_measures_of_frames_count_the_one_that_is_begun() -> None:
    assert [bars_of(n) for n in (0, 1, 40, 41, 160, 600)] == [0, 1, 1, 2, 4, 15]
