"""Events from notes: by hand, there and back, and as the reference says them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.errors import UsageError
from d2midi_build.transcribers.mt3.codec import CodedNote, Tokens, decode
from d2midi_build.transcribers.mt3.notes_to_events import Granularity, encode, trimmed
from d2midi_build.transcribers.mt3.vocabulary import EOS, Vocabulary
from tests.transcribers.mt3.reference import reference
from tests.transcribers.mt3.test_codec import (
    MT3,
    OFF,
    ON,
    PIANO,
    TIE,
    assert_notes,
    coded,
    drum,
    hit,
    note,
    pitch,
    program,
    shift,
)


def events(segment: Tokens, vocabulary: Vocabulary = MT3) -> list[tuple[str, int]]:
    return [vocabulary.decode(index) for index in segment.tokens.tolist()]


def test_a_note_over_three_segments() -> None:
    segments = encode([note(0.1, 4.3, 60, program=5)], 750, 256, MT3, True)
    assert [segment.start_s for segment in segments] == pytest.approx([0.0, 2.04, 4.09], abs=1e-9)
    assert [events(segment) for segment in segments] == [
        [TIE, shift(10), program(5), ON, pitch(60)],
        [program(5), pitch(60), TIE],
        [program(5), pitch(60), TIE, shift(21), OFF, pitch(60)],  # the ties have said the program
    ]


def test_without_ties_only_what_happens_is_said() -> None:
    segments = encode([note(0.1, 4.3, 60, 100)], 750, 256, PIANO, False)
    assert [events(segment, PIANO) for segment in segments] == [
        [shift(10), program(0), ("velocity", 100), pitch(60)],
        [],
        [shift(21), program(0), ("velocity", 0), pitch(60)],
    ]


def test_at_one_time_offsets_come_first_and_drums_last() -> None:
    notes = [hit(0.1, 36), note(0.1, 0.2, 62), note(0.1, 0.2, 60, program=1), note(0.05, 0.1, 62)]
    (segment,) = encode(notes, 100, 256, MT3, True)
    assert events(segment) == [
        TIE,
        *(shift(5), program(0), ON, pitch(62)),
        *(shift(10), OFF, pitch(62), ON, pitch(62), program(1), pitch(60), drum(36)),
        *(shift(20), program(0), OFF, pitch(62), program(1), pitch(60)),
    ]


def test_times_are_rounded_to_steps_half_to_even() -> None:
    (segment,) = encode([hit(0.005, 36), hit(0.0151, 37), hit(0.125, 38)], 100, 256, MT3, True)
    assert events(segment) == [TIE, ON, drum(36), shift(2), drum(37), shift(12), drum(38)]


def test_more_than_10_s_are_several_shifts() -> None:
    (segment,) = encode([hit(12.5, 36), hit(20.0, 37)], 3_000, 3_000, MT3, False)
    assert events(segment) == [shift(1000), shift(250), ON, drum(36), shift(1000), shift(1000), drum(37)]


def test_what_comes_after_the_last_frame_is_said_in_the_last_segment() -> None:
    segments = encode([hit(1.0, 36), hit(9.0, 37)], 300, 256, MT3, True)
    assert [events(segment) for segment in segments] == [
        [TIE, shift(100), ON, drum(36)],
        [TIE, shift(696), ON, drum(37)],  # from 2.04 s on
    ]


def test_segments_after_the_last_event_tie_what_sounded_before_it() -> None:
    segments = encode([note(0.5, 1.0, 60)], 750, 256, MT3, True)
    assert [events(segment) for segment in segments[1:]] == [[program(0), pitch(60), TIE]] * 2
    found = decode(segments, MT3, True)
    assert_notes(found.notes, [note(0.5, 1.0, 60)])
    assert found.n_invalid == 2


def test_ties_are_said_by_program_and_pitch() -> None:
    notes = [
        note(0.1 * i, 3.0, key, program=number) for i, (key, number) in enumerate([(64, 9), (70, 1), (60, 9)])
    ]
    segment = encode(notes, 300, 256, MT3, True)[1]
    assert events(segment)[:6] == [program(1), pitch(70), program(9), pitch(60), pitch(64), TIE]


def test_no_notes() -> None:
    assert [events(segment) for segment in encode([], 300, 256, MT3, True)] == [[TIE], [TIE]]
    assert [events(segment) for segment in encode([], 300, 256, MT3, False)] == [[], []]


@pytest.mark.parametrize(
    ("granularity", "said"),
    [
        ("full", [program(57), ON, pitch(60), program(63), pitch(60)]),
        ("midi_class", [program(56), ON, pitch(60), pitch(60)]),
        ("flat", [ON, pitch(60), pitch(60)]),
    ],
)
def test_granularity(granularity: Granularity, said: list[tuple[str, int]]) -> None:
    notes = [note(0.0, 9.0, 60, program=57), note(0.0, 9.0, 60, program=63)]
    assert events(encode(notes, 300, 256, MT3, True, granularity)[0]) == [TIE, *said]


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (note(0.0, 1.0, 128), "no event for pitch 128: MT3 knows pitch 0-127"),
        (note(0.0, 1.0, -1), "no event for pitch -1"),
        (hit(0.0, 200), "no event for drum 200"),
        (note(0.0, 1.0, 60, program=128), "no event for program 128"),
        (note(0.0, 1.0, 60, velocity=0), "its velocity has to be 1-127"),
        (note(0.0, 1.0, 60, velocity=128), "its velocity has to be 1-127"),
        (note(1.0, 1.0, 60), "to end after that"),
        (note(-0.1, 1.0, 60), "start at 0 s or later"),
        (note(0.0, math.inf, 60), "to end after that"),
        (note(math.nan, 1.0, 60), "start at 0 s or later"),
    ],
)
def test_notes_that_no_events_can_say(broken: CodedNote, says: str) -> None:
    with pytest.raises(UsageError, match=rf"no events for CodedNote\(onset_s=.*{says}"):
        encode([note(0.0, 1.0, 60), broken], 300, 256, MT3, True)


def test_overlaps_are_trimmed() -> None:
    notes = [
        note(1.0, 2.0, 60),
        note(0.5, 1.5, 60),  # cut at 1.0
        note(0.5, 1.5, 60, program=1),
        note(0.7, 1.5, 61),
        note(2.0, 2.5, 61),
        note(2.0, 3.0, 60),  # touches only
        note(2.0, 4.0, 60),  # the one before has nothing left
        CodedNote(0.5, 1.5, 60, 127, 0, True),
    ]
    cut = [notes[0], note(0.5, 1.0, 60), *notes[2:5], *notes[6:]]
    assert trimmed(notes) == cut
    assert trimmed(cut) == cut
    assert trimmed([]) == []


@st.composite
def songs(draw: st.DrawFn, vocabulary: Vocabulary) -> list[CodedNote]:
    """Notes on steps of 10 ms up to 12 s, no two of a pitch, program and kind at a time."""
    kept: list[tuple[int, int, int, int, bool]] = []
    velocity = draw(st.integers(1, vocabulary.num_velocity_bins).map(vocabulary.velocity_of_bin))
    drawn = st.tuples(
        st.integers(0, 1_000), st.integers(1, 200), st.integers(58, 61), st.integers(0, 2), st.booleans()
    )
    for start, length, key, number, is_drum in draw(st.lists(drawn, max_size=40)):
        new = (start, start + (1 if is_drum else length), key, 0 if is_drum else number, is_drum)
        if all(new[2:] != each[2:] or new[1] <= each[0] or each[1] <= new[0] for each in kept):
            kept.append(new)
    return [
        CodedNote(start / 100, stop / 100, key, velocity, number, is_drum)
        for start, stop, key, number, is_drum in kept
    ]


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("vocabulary", [MT3, PIANO], ids=["mt3", "piano"])
@settings(deadline=None)
@given(data=st.data(), n_frames=st.integers(1, 1_700), segment_frames=st.sampled_from([256, 512]))
def test_there_and_back(
    vocabulary: Vocabulary, ties: bool, data: st.DataObject, n_frames: int, segment_frames: int
) -> None:
    notes = data.draw(songs(vocabulary))
    segments = encode(notes, n_frames, segment_frames, vocabulary, ties)
    assert len(segments) == math.ceil(n_frames / segment_frames)
    found = decode(segments, vocabulary, ties)
    assert_notes(sorted(found.notes, key=_step_and_what), sorted(notes, key=_step_and_what))
    assert found.n_dropped == 0
    last_s = max((each.onset_s if each.is_drum else each.offset_s for each in notes), default=0.0)
    if not ties or segments[-1].start_s <= last_s or not notes:
        assert found.n_invalid == 0


def _step_and_what(note: CodedNote) -> tuple[Any, ...]:
    return round(100 * note.onset_s), *note[2:6]


def _said(case: dict[str, Any]) -> tuple[list[CodedNote], list[Tokens], Vocabulary]:
    """Notes as they go in, and what we say."""
    vocabulary = Vocabulary.of(case["num_velocity_bins"])
    notes = [coded(each) for each in case["input_notes"]]
    notes = trimmed(notes) if case["trim_overlapping_notes"] else notes
    ties = case["encoding_spec"] == "ties"
    sizes = case["n_frames"], case["segment_frames"]
    return notes, encode(notes, *sizes, vocabulary, ties, case["program_granularity"]), vocabulary


@pytest.mark.real_data
def test_the_reference_s_round_trips() -> None:
    cases = [each for each in reference().json("codec_cases")["cases"] if each["kind"] == "round_trip"]
    assert cases
    for case in cases:
        notes, segments, vocabulary = _said(case)
        assert notes == [coded(each) for each in case["encoded_notes"]]
        ids = [[*vocabulary.ids_of(segment.tokens).tolist(), EOS] for segment in segments]
        assert ids == [each["model_ids"] for each in case["segments"]], case["name"]
        starts = [segment.start_s for segment in segments]
        np.testing.assert_allclose(starts, [each["start_time"] for each in case["segments"]], atol=1e-6)
        found = decode(segments, vocabulary, case["encoding_spec"] == "ties")
        assert_notes(found.notes, [coded(each) for each in case["notes"]])
