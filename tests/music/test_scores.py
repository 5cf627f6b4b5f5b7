"""Note scores on hand-counted cases."""

from __future__ import annotations

import pytest

from d2midi_build.music.notes import Notes
from d2midi_build.music.scores import drum_score, instrument_score, onset_offset_score, onset_score

TRUTH = Notes.create([0.0, 1.0, 2.0], [0.5, 1.5, 2.5], [60, 62, 64])


def test_onsets_within_fifty_milliseconds_count() -> None:
    # Right; 40 ms late; 60 ms late; wrong pitch.
    found = Notes.create([0.0, 1.04, 2.06, 1.0], [0.5, 1.5, 2.5, 1.5], [60, 62, 64, 63])
    score = onset_score(TRUTH, found)
    assert (score.precision, score.recall) == pytest.approx((2 / 4, 2 / 3))
    assert score.f1 == pytest.approx(2 * 2 / 7)


def test_offsets_are_allowed_a_fifth_of_the_length() -> None:
    found = Notes.create([0.0, 1.0, 2.0], [0.59, 1.65, 2.41], [60, 62, 64])
    assert onset_offset_score(TRUTH, found).f1 == pytest.approx(2 / 3)


def test_instrument_must_be_right_too() -> None:
    found = Notes.create([0.0, 1.0, 2.0], [0.5, 1.5, 2.5], [60, 62, 64], program=[0, 40, 0])
    assert onset_score(TRUTH, found).f1 == 1.0
    assert instrument_score(TRUTH, found).f1 == pytest.approx(2 / 3)


def test_drums_are_scored_by_key() -> None:
    truth = Notes.create([0.0, 1.0, 2.0], [0.1, 1.1, 2.1], [36, 38, 36], is_drum=True)
    found = Notes.create([0.0, 1.0], [0.1, 1.1], [36, 42], is_drum=True)
    assert drum_score(truth, found).f1 == pytest.approx(2 / 5)
    assert drum_score(truth, found, (36,)).f1 == pytest.approx(2 / 3)
    assert drum_score(truth, found, (42,)).f1 == 0.0


def test_nothing_to_find_and_nothing_found_is_right() -> None:
    assert onset_score(Notes.empty(), Notes.empty()).f1 == 1.0
    assert onset_score(Notes.empty(), TRUTH).f1 == 0.0
    assert drum_score(TRUTH, TRUTH).n_reference == 0
