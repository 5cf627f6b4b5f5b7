"""Notes from MT3's events: by hand, whatever the tokens, and as the reference reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.transcribers.mt3.codec import CodedNote, Decoded, Decoder, Tokens, decode
from d2midi_build.transcribers.mt3.vocabulary import INVALID, Vocabulary
from tests.transcribers.mt3.reference import reference

MT3 = Vocabulary.of(1)
PIANO = Vocabulary.of(127)
TIE, ON, OFF = ("tie", 0), ("velocity", 1), ("velocity", 0)
UNKNOWN = ("none", INVALID)


def shift(steps: int) -> tuple[str, int]:
    return "shift", steps


def pitch(value: int) -> tuple[str, int]:
    return "pitch", value


def program(value: int) -> tuple[str, int]:
    return "program", value


def drum(value: int) -> tuple[str, int]:
    return "drum", value


def said(
    start_s: float, *events: tuple[str, int], vocabulary: Vocabulary = MT3, p: list[float] | None = None
) -> Tokens:
    indices = [INVALID if event == UNKNOWN else vocabulary.encode(*event) for event in events]
    return Tokens(start_s, np.array(indices, np.int32), None if p is None else np.array(p, np.float32))


def note(onset_s: float, offset_s: float, pitch: int, velocity: int = 127, program: int = 0) -> CodedNote:
    return CodedNote(onset_s, offset_s, pitch, velocity, program, False)


def hit(onset_s: float, pitch: int, velocity: int = 127) -> CodedNote:
    return CodedNote(onset_s, onset_s + 0.01, pitch, velocity, 0, True)


def assert_notes(found: list[CodedNote], expected: list[CodedNote]) -> None:
    assert [each[2:6] for each in found] == [each[2:6] for each in expected]
    ours, theirs = ([each[:2] for each in some] for some in (found, expected))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def assert_decoded(
    found: Decoded, expected: list[CodedNote], *, n_invalid: int = 0, n_dropped: int = 0
) -> None:
    assert_notes(found.notes, expected)
    assert found.total_s == pytest.approx(max((each.offset_s for each in expected), default=0.0), abs=1e-6)
    assert (found.n_invalid, found.n_dropped) == (n_invalid, n_dropped)


def test_nothing_is_said() -> None:
    assert decode([], MT3, True) == ([], 0.0, 0, 0)
    assert decode([said(0.0), said(2.04, TIE)], MT3, True) == ([], 0.0, 0, 0)


def test_a_note() -> None:
    events = (TIE, shift(10), program(5), ON, pitch(60), shift(50), OFF, pitch(60))
    assert_decoded(decode([said(2.04, *events)], MT3, True), [note(2.14, 2.54, 60, program=5)])


def test_velocities_of_a_model_that_knows_them() -> None:
    events = (("velocity", 64), pitch(60), ("velocity", 3), drum(40), shift(20), ("velocity", 0), pitch(60))
    segment = said(0.0, *events, vocabulary=PIANO)
    assert_decoded(decode([segment], PIANO, False), [hit(0.0, 40, 3), note(0.0, 0.2, 60, 64)])


def test_before_anything_is_said_the_program_is_0_and_the_velocity_100() -> None:
    assert_decoded(
        decode([said(0.0, TIE, pitch(60), shift(3), OFF, pitch(60))], MT3, True), [note(0.0, 0.03, 60, 100)]
    )


def test_program_and_velocity_hold_in_the_next_segment() -> None:
    first = said(0.0, TIE, program(5), ON, pitch(60))
    second = said(2.0, TIE, shift(10), pitch(62), shift(20), OFF, pitch(62))
    expected = [note(0.0, 2.0, 60, program=5), note(2.1, 2.2, 62, program=5)]
    assert_decoded(decode([first, second], MT3, True), expected)


def test_tied_notes_go_on_and_others_end_where_the_segment_starts() -> None:
    first = said(0.0, TIE, ON, pitch(60), program(5), pitch(60), pitch(64))
    second = said(2.0, program(5), pitch(60), TIE, shift(50), OFF, pitch(60))
    expected = [note(0.0, 2.0, 60), note(0.0, 2.0, 64, program=5), note(0.0, 2.5, 60, program=5)]
    assert_decoded(decode([first, second], MT3, True), expected)


def test_without_ties_notes_sound_until_they_are_ended() -> None:
    first, second = said(0.0, ON, pitch(60)), said(2.0, shift(50), OFF, pitch(60))
    assert_decoded(decode([first, second], MT3, False), [note(0.0, 2.5, 60)])


def test_without_a_tie_event_the_whole_segment_is_about_ties() -> None:
    first = said(0.0, TIE, ON, pitch(60))
    second = said(2.0, shift(20), pitch(60), shift(30), pitch(62))  # 62 does not sound
    third = said(4.0, pitch(60), TIE, shift(10), OFF, pitch(60))
    assert_decoded(decode([first, second, third], MT3, True), [note(0.0, 4.1, 60)], n_invalid=1)


def test_shifts_add_up_until_another_event_comes() -> None:
    events = (TIE, ON, shift(10), shift(10), drum(36), shift(30), UNKNOWN, shift(20), drum(38))
    assert_decoded(decode([said(1.0, *events)], MT3, True), [hit(1.2, 36), hit(1.5, 38)], n_invalid=1)


def test_a_segment_is_dropped_from_a_shift_beyond_the_next_one_s_start() -> None:
    first = said(0.0, TIE, ON, shift(200), drum(36), shift(201), drum(38), shift(10), drum(40))
    second = said(2.0, TIE, drum(42))
    assert_decoded(decode([first, second], MT3, True), [hit(2.0, 36), hit(2.0, 42)], n_dropped=4)
    # The last one has no end, but 0.1 s is back in time.
    assert_decoded(decode([first], MT3, True), [hit(2.0, 36), hit(2.01, 38)], n_invalid=1)


def test_a_next_segment_at_0_s_drops_nothing() -> None:
    segments = [said(0.0, TIE, ON, shift(50), drum(36)), said(0.0, shift(60), drum(38))]
    assert_decoded(decode(segments, MT3, True), [hit(0.5, 36), hit(0.6, 38)])


def test_segments_in_any_order() -> None:
    first, second = said(0.0, TIE, ON, pitch(60)), said(2.0, pitch(60), TIE, shift(1), OFF, pitch(60))
    assert_decoded(decode([second, first], MT3, True), [note(0.0, 2.01, 60)])
    decoder = Decoder(MT3, True)
    decoder.feed(second)
    with pytest.raises(ValueError, match=r"0\.0 s after one at 2\.0 s: sort"):
        decoder.feed(first)


def test_a_note_of_no_length_gets_10_ms() -> None:
    events = (TIE, ON, shift(5), pitch(60), OFF, pitch(60))
    assert_decoded(decode([said(0.0, *events)], MT3, True), [note(0.05, 0.06, 60)])


def test_a_pitch_that_sounds_already_ends_and_starts_again() -> None:
    events = (TIE, ON, pitch(60), shift(5), pitch(60), shift(9), OFF, pitch(60))
    assert_decoded(decode([said(0.0, *events)], MT3, True), [note(0.0, 0.05, 60), note(0.05, 0.09, 60)])


def test_notes_that_never_end_do_so_with_the_last_event() -> None:
    events = (TIE, ON, shift(5), pitch(60), shift(30), pitch(55), program(1), shift(40), drum(36))
    expected = [hit(0.4, 36), note(0.05, 0.4, 60), note(0.3, 0.4, 55)]
    assert_decoded(decode([said(0.0, *events)], MT3, True), expected)
    # ... or 10 ms after the last of them began, all at once
    assert_decoded(decode([said(0.0, *events[:6])], MT3, True), [note(0.05, 0.31, 60), note(0.3, 0.31, 55)])


@pytest.mark.parametrize(
    ("events", "n_invalid"),
    [
        ((TIE, OFF, pitch(60)), 1),  # ends what does not sound
        ((TIE, OFF, drum(36)), 1),  # a drum without velocity
        ((TIE, TIE, TIE), 2),  # ties are over
        ((pitch(60), TIE), 1),  # ties what does not sound
        ((shift(50), TIE, shift(40), ON, program(1), pitch(60), drum(36)), 4),  # goes back in time
        ((UNKNOWN, UNKNOWN), 2),
    ],
)
def test_events_that_make_no_sense_are_counted(events: tuple[tuple[str, int], ...], n_invalid: int) -> None:
    assert_decoded(decode([said(0.0, *events)], MT3, True), [], n_invalid=n_invalid)


def test_a_tie_said_twice_and_a_tie_of_a_model_without() -> None:
    first = said(0.0, TIE, ON, pitch(60))
    second = said(2.0, pitch(60), pitch(60), TIE, shift(1), OFF, pitch(60))
    assert_decoded(decode([first, second], MT3, True), [note(0.0, 2.01, 60)], n_invalid=1)
    assert_decoded(decode([first], MT3, False), [note(0.0, 0.01, 60)], n_invalid=1)


def test_an_event_that_makes_no_sense_changes_nothing_but_the_time() -> None:
    events = (TIE, ON, pitch(60), shift(30), program(3), OFF, pitch(60), shift(20), program(0), pitch(60))
    # pitch 60 of program 3 does not sound; what is said at 0.2 s is too late, so program 3 holds
    assert_decoded(decode([said(0.0, *events)], MT3, True), [note(0.0, 0.3, 60)], n_invalid=3)


def test_probabilities_are_those_of_the_events_that_started_a_note() -> None:
    first = said(0.0, TIE, ON, pitch(60), program(5), pitch(64), drum(36), p=[0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    second = said(2.0, pitch(64), TIE, pitch(67), OFF, pitch(64), p=[0.35, 0.3, 0.25, 0.2, 0.15])
    found = {each.pitch: (each.p_note, each.p_program) for each in decode([first, second], MT3, True).notes}
    expected = {60: (0.7, 1.0), 64: (0.5, 0.6), 36: (0.4, 1.0), 67: (0.25, 0.6)}
    assert found == {key: pytest.approx(value, abs=1e-6) for key, value in expected.items()}


def test_probabilities_of_other_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        decode([said(0.0, TIE, ON, p=[1.0])], MT3, True)


TOKENS = st.lists(st.integers(-3, 1_600) | st.sampled_from([5, 9, 1_061, 1_129, 1_130, 1_131, 1_133, 1_300]))
SEGMENTS = st.lists(st.tuples(st.floats(0, 10), TOKENS), max_size=5)


@settings(deadline=None)
@given(said=SEGMENTS, bins=st.sampled_from([1, 4, 127]), ties=st.booleans())
def test_any_tokens_are_read(said: list[tuple[float, list[int]]], bins: int, ties: bool) -> None:
    segments = [Tokens(start_s, np.array(tokens, np.int64)) for start_s, tokens in said]
    found = decode(segments, Vocabulary.of(bins), ties)
    n_tokens = sum(len(segment.tokens) for segment in segments)
    assert 0 <= found.n_invalid + found.n_dropped <= n_tokens - len(found.notes)
    starts = [start_s for start_s, _ in said]
    for each in found.notes:
        assert min(starts) <= each.onset_s <= each.offset_s - 0.0099
        assert 0 <= each.pitch <= 127
        assert 1 <= each.velocity <= 127
        assert each.offset_s <= found.total_s


@settings(deadline=None)
@given(said=SEGMENTS, ties=st.booleans(), data=st.data())
def test_tokens_without_an_event_are_counted_and_nothing_else(
    said: list[tuple[float, list[int]]], ties: bool, data: st.DataObject
) -> None:
    segments, mixed, n_more = [], [], 0
    for start_s, tokens in said:
        segments.append(Tokens(start_s, np.array(tokens, np.int64)))
        places = data.draw(st.lists(st.integers(0, len(tokens))))
        mixed.append(Tokens(start_s, np.insert(segments[-1].tokens, places, INVALID)))
        n_more += len(places)
    clean, found = decode(segments, MT3, ties), decode(mixed, MT3, ties)
    assert found.notes == clean.notes
    assert found.n_invalid + found.n_dropped == clean.n_invalid + clean.n_dropped + n_more


def coded(given: dict[str, Any]) -> CodedNote:
    """A note of the reference's files."""
    fields = ("onset", "offset", "pitch", "velocity", "program", "is_drum")
    return CodedNote(*(given[field] for field in fields))


def assert_as_reference(found: Decoded, expected: dict[str, Any]) -> None:
    assert_notes(found.notes, [coded(each) for each in expected["notes"]])
    assert found.total_s == pytest.approx(expected["total_time"], abs=1e-6)
    assert (found.n_invalid, found.n_dropped) == (expected["invalid_events"], expected["dropped_events"])


@pytest.mark.real_data
def test_the_reference_s_cases() -> None:
    cases = reference().json("codec_cases")["cases"]
    assert cases
    for case in cases:
        vocabulary = Vocabulary.of(case["num_velocity_bins"])
        segments = [
            Tokens(segment["start_time"], vocabulary.indices_of_ids(np.array(segment["model_ids"])))
            for segment in case["segments"]
        ]
        assert_as_reference(decode(segments, vocabulary, case["encoding_spec"] == "ties"), case)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["tokens", "tokens_greedy"])
def test_the_reference_s_notes(name: str) -> None:
    notes = reference().json("notes")
    preset = reference().preset
    vocabulary = Vocabulary.of(preset.num_velocity_bins)
    starts = [segment["start_time"] for segment in reference().json("segments")["segments"]]
    segments = [
        Tokens(start_s, vocabulary.indices_of_ids(ids))
        for start_s, ids in zip(starts, reference().array(name), strict=True)
    ]
    found = decode(segments, vocabulary, preset.ties)
    assert_as_reference(found, notes if name == "tokens" else notes["from_greedy"])
