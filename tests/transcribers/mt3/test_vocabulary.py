"""MT3's ids: the published layout, the id rule, velocities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.errors import UsageError
from d2midi_build.transcribers.mt3.vocabulary import EOS, INVALID, PAD, UNK, Vocabulary
from tests.transcribers.mt3.reference import reference

BINS = st.integers(1, 127)


def test_the_published_sizes() -> None:
    mt3, piano = Vocabulary.of(1), Vocabulary.of(127)
    # 1001 shifts + 128 pitches + 2 velocities + tie + 128 programs + 128 drums, as the MT3 paper's code counts them
    assert (mt3.n_classes, mt3.n_ids, mt3.n_embeddings) == (1_388, 1_491, 1_536)
    assert (piano.n_classes, piano.n_ids, piano.n_embeddings) == (1_514, 1_617, 1_664)
    assert [each.first for each in mt3.ranges] == [0, 1_001, 1_129, 1_131, 1_132, 1_260]


def test_events_of_indices() -> None:
    vocabulary = Vocabulary.of(1)
    assert vocabulary.decode(0) == ("shift", 0)
    assert vocabulary.decode(1_000) == ("shift", 1_000)
    assert vocabulary.decode(1_061) == ("pitch", 60)
    assert vocabulary.decode(1_387) == ("drum", 127)
    assert vocabulary.encode("tie", 0) == 1_131
    assert vocabulary.encode("program", 33) == 1_165


@settings(deadline=None)
@given(bins=BINS)
def test_encode_and_decode_are_inverse(bins: int) -> None:
    vocabulary = Vocabulary.of(bins)
    assert [vocabulary.encode(*vocabulary.decode(i)) for i in range(vocabulary.n_classes)] == list(
        range(vocabulary.n_classes)
    )


def test_ids_are_cut_at_the_first_eos_and_unknown_ones_marked() -> None:
    vocabulary = Vocabulary.of(1)
    ids = np.array([3, PAD, UNK, 1_390, 1_391, 1_535, -7, EOS, 4, EOS])
    assert vocabulary.indices_of_ids(ids).tolist() == [0, *[INVALID] * 2, 1_387, *[INVALID] * 3]
    assert vocabulary.indices_of_ids(np.array([EOS, 3])).tolist() == []
    assert vocabulary.indices_of_ids(np.array([3, 4])).tolist() == [0, 1]
    assert vocabulary.indices_of_ids(np.array([], np.int32)).dtype == np.int32


@settings(deadline=None)
@given(bins=BINS, data=st.data())
def test_ids_and_indices_are_inverse(bins: int, data: st.DataObject) -> None:
    vocabulary = Vocabulary.of(bins)
    indices = np.array(data.draw(st.lists(st.integers(0, vocabulary.n_classes - 1))), dtype=np.int64)
    ids = vocabulary.ids_of(indices)
    assert vocabulary.indices_of_ids(np.append(ids, EOS)).tolist() == indices.tolist()


def test_velocities() -> None:
    on_off, four = Vocabulary.of(1), Vocabulary.of(4)
    assert [on_off.velocity_bin(v) for v in (0, 1, 127)] == [0, 1, 1]
    assert [on_off.velocity_of_bin(b) for b in (0, 1)] == [0, 127]
    assert [four.velocity_bin(v) for v in (0, 1, 31, 32, 63, 64, 127)] == [0, 1, 1, 2, 2, 3, 4]
    assert [four.velocity_of_bin(b) for b in range(5)] == [0, 31, 63, 95, 127]
    full = Vocabulary.of(127)
    assert [full.velocity_of_bin(full.velocity_bin(v)) for v in range(128)] == list(range(128))


@settings(deadline=None)
@given(bins=BINS)
def test_a_bin_s_velocity_lies_in_it(bins: int) -> None:
    vocabulary = Vocabulary.of(bins)
    velocities = [vocabulary.velocity_of_bin(i) for i in range(bins + 1)]
    assert [vocabulary.velocity_bin(v) for v in velocities] == list(range(bins + 1))


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        ("pitch", 128, "no event for pitch 128: MT3 knows pitch 0-127"),
        ("pitch", -1, "no event for pitch -1"),
        ("velocity", 2, "MT3 knows velocity 0-1"),
        ("tie", 1, "MT3 knows tie 0-0"),
        ("pedal", 0, "no event is called 'pedal': MT3 knows shift, pitch, velocity, tie, program, drum"),
    ],
)
def test_events_there_are_not(kind: str, value: int, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Vocabulary.of(1).encode(kind, value)


def test_indices_there_are_not() -> None:
    vocabulary = Vocabulary.of(1)
    for index in (-1, INVALID, 1_388):
        with pytest.raises(UsageError, match=f"no event has the index {index}: they are 0-1387"):
            vocabulary.decode(index)
        with pytest.raises(UsageError, match=f"no event has the index {index}"):
            vocabulary.ids_of(np.array([5, index]))
    with pytest.raises(UsageError, match="num_velocity_bins is 0"):
        Vocabulary.of(0)


@pytest.mark.real_data
def test_the_reference_s_layout() -> None:
    there = reference().model["vocabulary"]
    vocabulary = Vocabulary.of(reference().preset.num_velocity_bins)
    assert [each._asdict() for each in vocabulary.ranges] == [
        {"kind": each["type"], "max_value": each["max_value"], "first": each["first_codec_index"]}
        for each in there["event_ranges"]
    ]
    assert vocabulary.n_classes == there["num_codec_classes"]
    assert vocabulary.n_ids == there["vocab_size"]
    assert vocabulary.n_embeddings == there["num_embeddings"] == reference().dimensions.vocab_size
    assert there["special_tokens"] == {"PAD": PAD, "EOS": EOS, "UNK": UNK}


@pytest.mark.real_data
def test_the_reference_s_id_rule() -> None:
    for case in reference().json("codec_cases")["cases"]:
        vocabulary = Vocabulary.of(case["num_velocity_bins"])
        for segment in case["segments"]:
            assert vocabulary.indices_of_ids(np.array(segment["model_ids"])).tolist() == segment["tokens"]
    notes = reference().json("notes")
    vocabulary = Vocabulary.of(reference().preset.num_velocity_bins)
    for name, said in (("tokens", notes), ("tokens_greedy", notes["from_greedy"])):
        indices = [vocabulary.indices_of_ids(ids).tolist() for ids in reference().array(name)]
        assert indices == [segment["tokens"] for segment in said["segments"]]
