"""Ids of quads: sizes, places, and what of a stored vocabulary is believed."""

from __future__ import annotations

import json

import pytest

from d2midi_build.errors import SchemaError
from d2midi_build.train.tokens import vocabulary as ids
from d2midi_build.train.tokens.vocabulary import VOCABULARY, Vocabulary


def test_sizes_are_those_of_the_specification() -> None:
    # 4 specials each; 128 pitches, one measure, 32 positions, 12 x 11 chords and none, NT; 32; 40; 129.
    assert VOCABULARY.sizes == (4 + 128 + 1 + 32 + 133 + 1, 36, 44, 133)


def test_names_stand_at_the_ids_the_module_says() -> None:
    event = VOCABULARY.event
    assert [event[i] for i in (0, 1, 2, 3)] == ["PAD", "BOS", "EOS", "MASK"]
    assert (event[4], event[4 + 127], event[132]) == ("n0", "n127", "m32")
    assert (event[133], event[164]) == ("p0", "p31")
    assert (event[165], event[176], event[296], event[297], event[298]) == (
        "HC:maj",
        "HC#:maj",
        "HB:sus4",
        "HNA",
        "NT",
    )
    assert (event[ids.NEW_TRACK], event[ids.NO_CHORD], event[ids.MEASURE]) == ("NT", "HNA", "m32")
    assert VOCABULARY.duration[ids.FIRST_DURATION + 32] == "R32"
    assert VOCABULARY.duration[4] == "R1"
    assert VOCABULARY.track[43] == "T39"
    assert VOCABULARY.instrument[ids.FIRST_INSTRUMENT + ids.DRUMS] == "Y128"


def test_no_table_names_anything_twice() -> None:
    for table in (VOCABULARY.event, VOCABULARY.duration, VOCABULARY.track, VOCABULARY.instrument):
        assert len(set(table)) == len(table)


def test_ids_of_version_1_are_frozen() -> None:
    # Changes with any id: a new digest needs a new version.
    assert VOCABULARY.digest == "e00aea04cc3d5caeb4e9d04570a9307776853ba83ad5441c51340ec1059aa042"


def test_json_comes_back() -> None:
    text = VOCABULARY.to_json()
    assert Vocabulary.from_json(text) == VOCABULARY
    assert json.loads(text)["digest"] == VOCABULARY.digest


def test_grid_of_the_vocabulary_is_the_nominal_measure() -> None:
    assert (ids.SAMPLES_PER_STEP, ids.FRAMES_PER_BAR) == (640, 40)


def _changed(**fields: object) -> str:
    return json.dumps({**json.loads(VOCABULARY.to_json()), **fields})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "no vocabulary of quads"),
        ('{"format": "remi"}', "no vocabulary of quads"),
        (_changed(version=2), "has version 2, this d2midi knows version 1"),
        (_changed(tables={}), "not what its digest"),
        (_changed(digest="0"), "not what its digest '0' says"),
    ],
)
def test_what_is_no_vocabulary_of_this_version_is_refused(text: str, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Vocabulary.from_json(text)


def test_other_ids_under_the_same_version_are_refused() -> None:
    swapped = Vocabulary(VOCABULARY.event[::-1], VOCABULARY.duration, VOCABULARY.track, VOCABULARY.instrument)
    with pytest.raises(SchemaError, match="has other ids than version 1"):
        Vocabulary.from_json(swapped.to_json())


def test_quads_are_spelt_with_dashes_for_what_they_do_not_need() -> None:
    assert VOCABULARY.spell((64, 7, 5, 132)) == "(n60, R4, T1, Y128)"
    assert VOCABULARY.spell((298, 0, 0, 0)) == "(NT, -, -, -)"
