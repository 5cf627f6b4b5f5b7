"""Notes of a sheet as lines of JSON: read as they were written, refused where they cannot be notes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.annotate.edits import revised
from d2midi_build.annotate.layering import Layered, Row, decode, encode, notes_of
from tests.annotate.making import band, later, row, some_rows

SHOWN = Layered.untouched(band(10))


def as_read(layered: Layered) -> Any:
    """What a file holds of them."""
    return json.loads(json.dumps(encode(layered)))


def test_what_was_written_is_read_to_the_last_bit() -> None:
    left = {
        number: later(each, 0.013) if number % 3 else each
        for number, each in SHOWN.final.items()
        if number % 7
    }
    made = revised(SHOWN, {**left, -1: row(3.0)}, "aligned", {5: "heard", 8: "pleasant"})
    again = decode(as_read(made))
    assert again == made
    assert (again.said, again.transcribed) == (made.said, made.transcribed)
    assert {type(value) for each in again.final.values() for value in each} == {float, int, bool, str}


def test_probabilities_are_of_single_precision_as_in_tables_of_notes() -> None:
    read = decode(as_read(Layered({0: row(1.0)._replace(p_note=0.3)}, {}, {})))
    assert read.machine[0].p_note == 0.30000001192092896


_ODD: dict[str, list[Any]] = {
    "onset_s": [-0.1, 1e9, float("nan"), float("inf"), True, "1", None, 10**400],
    "offset_s": [-1, 0.0, float("nan"), None],
    "pitch": [-1, 0, 127, 128, 1.0, True, None],
    "velocity": [0, 1, 127, 128, 64.5],
    "program": [-1, 127, 128, "0"],
    "is_drum": [0, 1, None, "no"],
    "p_note": [-0.01, 0, 1, 1.01, float("nan"), None],
    "p_instrument": [1.5, 0.25, "x"],
    "origin": ["", 3, None],
}


@given(some_rows(6).filter(bool), st.sampled_from(sorted(_ODD)), st.data())
@settings(deadline=None, max_examples=300)
def test_rows_are_refused_exactly_where_they_cannot_be_notes(
    made: list[Row], name: str, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(made) - 1))
    value = data.draw(st.sampled_from(_ODD[name]))
    columns = encode(Layered(dict(enumerate(made)), {}, {}))
    columns[name][place] = value
    rows = [Row(*each) for each in zip(*(columns[field] for field in Row._fields), strict=True)]
    typed = isinstance(
        value, (float, int) if isinstance(getattr(made[0], name), float) else type(getattr(made[0], name))
    ) and isinstance(value, bool) == (name == "is_drum")
    if typed:
        try:
            notes_of(rows)
        except (ValueError, OverflowError):
            typed = False
    if typed:
        assert list(decode(columns).machine.values()) == rows
    else:
        with pytest.raises(ValueError):
            decode(columns)


@pytest.mark.parametrize(
    ("name", "column", "told"),
    [
        ("pitch", [], "pitch is no column of as many values"),
        ("pitch", {"0": 60}, "pitch is no column"),
        ("number", ["0"], "number holds str"),
        ("layers", [1.5], "layers holds float"),
        ("reasons", [[0, "sung", "heard"]], "unknown kinds of edits"),
        ("reasons", [[0, "moved", "bored"]], "unknown kinds of edits or reasons"),
    ],
)
def test_damage_is_named(name: str, column: object, told: str) -> None:
    columns = encode(Layered({0: row(1.0)}, {}, {}))
    with pytest.raises(ValueError, match=told):
        decode({**columns, name: column})


def test_a_number_twice_in_a_layer_is_damage() -> None:
    columns = encode(Layered({0: row(1.0), 1: row(2.0)}, {}, {}))
    with pytest.raises(ValueError, match="note 0 twice in layer machine"):
        decode({**columns, "number": [0, 0]})
