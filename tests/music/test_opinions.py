"""What transcribers have in common, by hand and beside mir_eval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.music.instruments import DRUM_CLASSES
from d2midi_build.music.notes import Notes
from d2midi_build.music.opinions import Opinion, agreement, shared, sureness
from d2midi_build.music.scores import multi_instrument_score, onset_score

PIANO, BASS = 0, 32


def notes(*rows: tuple[float, int, int]) -> Notes:
    """From onset, pitch and program, -1 for drums; in canonical order, so give them by onset."""
    onset_s, pitch, program = np.array(rows or np.empty((0, 3))).T
    drum = program < 0
    return Notes.create(
        onset_s, onset_s + 0.1, pitch.astype(int), 80, np.where(drum, 0, program).astype(int), drum
    )


def said(primary: Notes, *others: Opinion, **facts: Any) -> list[float | None]:
    found = agreement(Opinion(primary, **facts), others)
    assert found.dtype == np.float32
    return [None if np.isnan(each) else round(float(each), 3) for each in found]


def test_a_note_is_shared_by_onset_pitch_and_instrument() -> None:
    ours = notes((1.0, 60, PIANO), (2.0, 60, PIANO), (3.0, 60, PIANO), (4.0, 60, PIANO), (5.0, 60, PIANO))
    theirs = notes((1.05, 60, PIANO), (2.0501, 60, PIANO), (3.0, 61, PIANO), (4.0, 60, BASS), (4.95, 60, 7))
    assert said(ours, Opinion(theirs)) == [1.0, 0.0, 0.0, 0.0, 1.0]
    assert shared(Opinion(ours), Opinion(theirs))[1].tolist() == [True, False, False, False, True]


def test_every_other_has_one_voice() -> None:
    ours = notes((1.0, 60, PIANO), (2.0, 60, PIANO), (3.0, 60, PIANO))
    one, two, three = notes((1.0, 60, PIANO), (2.0, 60, PIANO)), notes((1.0, 60, PIANO)), notes()
    assert said(ours, Opinion(one), Opinion(two), Opinion(three)) == [0.667, 0.333, 0.0]
    assert said(ours) == [None, None, None]
    assert said(notes(), Opinion(one)) == []


def test_a_note_is_matched_once() -> None:
    ours = notes((1.0, 60, PIANO), (1.03, 60, PIANO))
    assert sum(shared(Opinion(ours), Opinion(notes((1.01, 60, PIANO))))[0]) == 1
    assert said(ours, Opinion(notes((1.04, 60, PIANO), (1.06, 60, PIANO)))) == [1.0, 1.0]


def test_who_names_no_instruments_is_asked_about_pitch_and_onset() -> None:
    ours = notes((1.0, 60, PIANO), (1.02, 60, BASS), (2.0, 60, BASS))
    theirs = Opinion(notes((1.01, 60, PIANO)), names_instruments=False)
    assert said(ours, theirs) == [1.0, 1.0, 0.0]  # one of its notes may be both: it cannot tell
    assert shared(Opinion(ours), theirs)[1].tolist() == [True]
    # The other way round: one of ours is what two instruments played.
    plain = Opinion(theirs.notes, names_instruments=False)
    assert shared(plain, Opinion(ours))[1].tolist() == [True, True, False]
    twice = Opinion(notes((1.0, 60, PIANO), (1.02, 60, PIANO)), names_instruments=False)
    assert sum(shared(plain, twice)[1]) == 1  # neither of the two names any: one to one


def test_who_hears_no_drums_has_no_opinion_on_them() -> None:
    ours = notes((1.0, 36, -1), (2.0, 60, PIANO))
    deaf = Opinion(notes((1.0, 36, PIANO), (2.0, 60, PIANO)), names_instruments=False, hears_drums=False)
    assert said(ours, deaf) == [None, 1.0]
    assert said(ours, deaf, Opinion(notes((1.0, 35, -1)))) == [1.0, 0.5]
    assert said(ours, deaf, Opinion(notes())) == [0.0, 0.5]


def test_drums_are_compared_by_class_and_others_by_nobody() -> None:
    kick, snare, clap = DRUM_CLASSES["kick"], DRUM_CLASSES["snare"], 39
    ours = notes(
        (1.0, kick[0], -1), (2.0, snare[0], -1), (3.0, clap, -1), (4.0, kick[0], -1), (4.0, kick[1], -1)
    )
    theirs = notes((1.02, kick[1], -1), (2.0, kick[0], -1), (3.0, clap, -1), (4.0, kick[0], -1))
    found = said(ours, Opinion(theirs))
    assert found == [1.0, 0.0, None, 1.0, 1.0]  # hits of one class at one time are one
    assert shared(Opinion(ours), Opinion(theirs))[1].tolist() == [True, False, False, True]
    pitched = notes((1.0, kick[0], PIANO))
    assert said(ours, Opinion(pitched))[0] == 0.0  # pitch 36 is no kick


NOTE = st.tuples(
    st.integers(0, 60).map(lambda step: step * 0.025),
    st.integers(59, 61),
    st.sampled_from([PIANO, BASS]),
)
DRUM = st.tuples(
    st.integers(0, 60).map(lambda step: step * 0.025),
    st.sampled_from([36, 38, 42, 49]),
    st.just(-1),
)


@settings(deadline=None)  # mir_eval is imported in the first
@given(ours=st.lists(NOTE | DRUM, unique=True), theirs=st.lists(NOTE | DRUM, unique=True))
def test_as_many_are_shared_as_mir_eval_matches(
    ours: list[tuple[float, int, int]], theirs: list[tuple[float, int, int]]
) -> None:
    one, other = notes(*ours), notes(*theirs)
    mine, its = shared(Opinion(one), Opinion(other))
    assert mine.sum() == its.sum() == multi_instrument_score(one, other).n_matched
    backwards = shared(Opinion(other), Opinion(one))
    assert backwards[0].sum() == mine.sum()


@settings(deadline=None)  # mir_eval is imported in the first
@given(
    ours=st.lists(NOTE, unique_by=lambda note: note[:2]),
    theirs=st.lists(NOTE, unique_by=lambda note: note[:2]),
)
def test_without_instruments_as_many_as_by_onset_and_pitch(
    ours: list[tuple[float, int, int]], theirs: list[tuple[float, int, int]]
) -> None:
    one, other = (notes(*((onset_s, pitch, PIANO) for onset_s, pitch, _ in some)) for some in (ours, theirs))
    plain = Opinion(one, names_instruments=False), Opinion(other, names_instruments=False)
    assert shared(*plain)[0].sum() == onset_score(one, other).n_matched


def test_ten_thousand_notes_in_any_order() -> None:
    rng = np.random.default_rng(0)
    onset_s, pitch = rng.uniform(0, 600, 10_000), rng.integers(30, 90, 10_000)
    ours = Notes.create(onset_s, onset_s + 0.2, pitch, program=rng.choice([0, 32, 40], 10_000))
    moved = ours.shifted(0.02)
    order = rng.permutation(10_000)
    assert shared(Opinion(ours), Opinion(moved))[0].all()
    mine, its = shared(Opinion(ours.where(order)), Opinion(moved))
    assert mine.all() and its.all()


def test_disagreement_lowers_sureness() -> None:
    assert sureness([0.9, 0.9, 0.9, 0.9], 1.0, [np.nan, 1.0, 0.5, 0.0]).tolist() == pytest.approx(
        [0.9, 0.9, 0.675, 0.45]
    )
    assert sureness(1.0, 1.0, 0.0) == 0.5
    assert sureness(0.8, 0.5, np.nan) == pytest.approx(0.4)
    assert sureness(0.8, 0.0, [np.nan, 0.0]).tolist() == pytest.approx([0.8, 0.4])  # no instrument was named
