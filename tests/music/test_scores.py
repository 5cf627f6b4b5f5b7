"""Note scores on hand-counted cases."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.notes import Notes
from d2midi_build.music.scores import (
    drum_class_score,
    drum_pairs,
    drum_score,
    in_drum_classes,
    instrument_confusion,
    instrument_pairs,
    instrument_score,
    multi_instrument_score,
    note_pairs,
    octave_error_rate,
    onset_offset_score,
    onset_score,
    summed,
)

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


def test_worked_example_k_of_the_facts() -> None:
    truth = Notes.create([0.0, 0.5, 1.0], [0.5, 1.0, 1.5], [60, 62, 64])
    found = Notes.create([0.03, 0.56, 1.02], [0.5, 1.0, 1.3], [60, 62, 64])
    assert onset_score(truth, found).f1 == pytest.approx(2 / 3)
    assert onset_offset_score(truth, found).f1 == pytest.approx(1 / 3)


def drums(*hits: tuple[float, int]) -> Notes:
    onset_s = np.array([hit[0] for hit in hits])
    return Notes.create(onset_s, onset_s + 0.1, np.array([hit[1] for hit in hits]), is_drum=True)


def test_keys_of_one_class_are_the_same_drum() -> None:
    truth = drums((0.0, 35), (1.0, 40), (2.0, 46), (3.0, 57))
    found = drums((0.0, 36), (1.0, 38), (2.0, 42), (3.0, 49))
    assert drum_score(truth, found).f1 == 0.0
    assert drum_class_score(truth, found).n_matched == 3
    assert drum_class_score(truth, found, ("kick", "snare", "hat", "cymbal")).f1 == 1.0


def test_a_clap_is_not_asked_for_but_taking_it_for_a_snare_is_wrong() -> None:
    truth = drums((0.0, 36), (1.0, 39))
    score = drum_class_score(truth, drums((0.0, 36), (1.0, 38)))
    assert (score.n_matched, score.n_reference, score.n_estimated) == (1, 1, 2)
    assert drum_class_score(truth, drums((0.0, 36), (1.0, 49))).f1 == 1.0  # cymbals are not scored here


def test_two_kicks_at_once_are_one() -> None:
    assert in_drum_classes(drums((0.0, 35), (0.0, 36), (0.0, 38))).pitch.tolist() == [36, 38]


def test_all_instruments_and_drums_are_summed() -> None:
    truth = Notes.concat([Notes.create([0.0, 1.0], [0.5, 1.5], [60, 62], program=[0, 40]), drums((0.0, 35))])
    found = Notes.concat([Notes.create([0.0, 1.0], [0.5, 1.5], [60, 62], program=[0, 0]), drums((0.0, 36))])
    assert instrument_score(truth, found).f1 == pytest.approx(1 / 2)
    assert multi_instrument_score(truth, found).f1 == pytest.approx(2 / 3)
    both = summed([instrument_score(truth, found), drum_class_score(truth, found)])
    assert (both.n_matched, both.n_reference, both.n_estimated) == (2, 3, 3)


def test_unison_of_two_instruments_is_not_paired_crosswise() -> None:
    truth = Notes.create([1.0, 1.0], [2.0, 2.0], [60, 60], program=[0, 40])
    found = Notes.create([1.01, 1.02, 1.03], [2.0, 2.0, 2.0], [60, 60, 60], program=[72, 40, 0])
    assert len(note_pairs(truth, found)) == 2
    for i, j in instrument_pairs(truth, found):
        assert truth.instrument[i] == found.instrument[j]
    confusion = instrument_confusion(truth, found)
    assert confusion[0, 0] == confusion[5, 5] == 1
    assert confusion.sum() == 2


def test_confusion_has_what_it_was_called_in_the_column() -> None:
    truth = Notes.concat([Notes.create([0.0, 1.0], [0.5, 1.5], [60, 62], program=40), drums((0.0, 60))])
    found = Notes.create([0.0, 1.0], [0.5, 1.5], [60, 63], program=64)
    row, column = [i.name for i in INSTRUMENTS].index("Violin"), [i.program for i in INSTRUMENTS].index(64)
    confusion = instrument_confusion(truth, found)
    assert confusion[row, column] == confusion.sum() == 1


def test_drums_are_never_paired_with_pitched_notes() -> None:
    assert not len(note_pairs(drums((0.0, 60)), Notes.create([0.0], [0.1], [60])))
    assert not len(instrument_pairs(drums((0.0, 60)), drums((0.0, 60))))
    both = Notes.concat([Notes.create([0.0, 0.5], [1.0, 1.0], [36, 40]), drums((1.0, 36), (2.0, 38))])
    assert drum_pairs(both, drums((0.0, 36), (1.04, 36), (2.06, 38))).tolist() == [[2, 1]]


def test_octave_errors_start_together_and_have_no_note_of_their_own() -> None:
    truth = Notes.create([0.0, 1.0, 2.0], [0.5, 1.5, 2.5], [60, 62, 64])
    # An octave up; right, with its octave also played; two octaves; late; a fifth.
    found = Notes.create([0.0, 1.0, 2.0, 1.06, 2.0], [0.5, 1.5, 2.5, 1.5, 2.5], [72, 62, 88, 50, 71])
    assert octave_error_rate(truth, found) == pytest.approx(1 / 5)
    octaves = Notes.create([0.0, 0.0], [1.0, 1.0], [60, 72])
    assert octave_error_rate(octaves, octaves) == 0.0
    assert octave_error_rate(truth, Notes.empty()) is None
