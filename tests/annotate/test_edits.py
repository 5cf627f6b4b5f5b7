"""Edits: which layers they reach, that they are read off as they were made, and that nothing else moves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.annotate.edits import counts, edits, revised
from d2midi_build.annotate.layering import (
    REASONS,
    Layered,
    Reason,
    Row,
    decode,
    digest,
    encode,
    notes_of,
    rows,
)
from d2midi_build.music.notes import Notes
from tests.annotate.making import RATE, band, labelled, later, row, some_rows

MACHINE = Layered.untouched(
    Notes.create(
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        [1.5, 2.5, 3.5, 4.5, 5.5, 6.5],
        [60, 61, 62, 63, 64, 36],
        [50, 51, 52, 53, 54, 55],
        [41, 41, 41, 41, 41, 0],  # viola, which is among the violins
        [False] * 5 + [True],
        p_note=0.25,
        origin="machine",
    )
)


def _six(shown: Layered) -> dict[int, Row]:
    """One edit of each kind on notes 0 to 4, and an added note; note 5 stays."""
    left = dict(shown.final)
    left[0] = later(left[0], 0.25)
    left[1] = later(left[1], 0.0, 0.125)
    left[2] = labelled(left[2], "Piccolo")
    left[3] = left[3]._replace(velocity=100)
    del left[4]
    left[-1] = row(7.0, 72)
    return left


def test_the_six_changes_are_read_off_and_nothing_else() -> None:
    found = revised(MACHINE, _six(MACHINE), "heard")
    assert [(edit.number, edit.kind, edit.reason) for edit in edits(found)] == [
        (0, "moved", "heard"),
        (1, "resized", "heard"),
        (2, "instrument", "heard"),
        (3, "velocity", "heard"),
        (4, "deleted", "heard"),
        (6, "added", "heard"),
    ]
    assert found.final[5] is MACHINE.machine[5]
    assert found.heard == found.final
    assert found.final[0] == Row(1.25, 1.75, 60, 50, 41, False, 1.0, 1.0, "human/heard")
    assert found.final[2].program == 72, "who names an instrument names the program of the dataset"
    assert found.final[3].program == 41, "who does not, leaves it"


@pytest.mark.parametrize("reason", ["aligned", "pleasant"])
def test_what_was_not_heard_reaches_the_final_layer_alone(reason: Reason) -> None:
    found = revised(MACHINE, _six(MACHINE), reason)
    assert found.heard == MACHINE.machine
    assert {(edit.kind, edit.reason) for edit in edits(found)} == {
        (kind, reason) for kind in ("moved", "resized", "instrument", "velocity", "deleted", "added")
    }
    assert (found.final[0].onset_s, found.heard[0].onset_s) == (1.25, 1.0)
    assert 4 in found.heard and 4 not in found.final
    assert 6 not in found.heard and found.final[6].origin == f"human/{reason}"


def test_single_notes_have_reasons_of_their_own() -> None:
    overrides: dict[int, Reason] = {0: "aligned", 4: "pleasant", -1: "pleasant"}
    found = revised(MACHINE, _six(MACHINE), "heard", overrides)
    assert [(edit.number, edit.kind, edit.reason) for edit in edits(found)] == [
        (0, "moved", "aligned"),
        (1, "resized", "heard"),
        (2, "instrument", "heard"),
        (3, "velocity", "heard"),
        (4, "deleted", "pleasant"),
        (6, "added", "pleasant"),
    ]
    assert sorted(found.heard) == [0, 1, 2, 3, 4, 5]
    assert found.heard[0] == MACHINE.machine[0]
    assert found.heard[2].instrument == "Piccolo"


def test_who_aligns_what_was_heard_before_keeps_both() -> None:
    """First the pitch and length as heard, then the time to the dance, then a length that pleases."""
    first = dict(MACHINE.final)
    first[0] = later(first[0]._replace(pitch=65), 0.0, 0.5)
    heard = revised(MACHINE, first, "heard")
    second = dict(heard.final)
    second[0] = later(second[0], 0.1)
    aligned = revised(heard, second, "aligned")
    third = dict(aligned.final)
    third[0] = later(third[0], 0.0, -0.25)
    pleasant = revised(aligned, third, "pleasant")
    assert [(edit.kind, edit.reason) for edit in edits(pleasant)] == [
        ("resized", "heard"),
        ("pitch", "heard"),
        ("moved", "aligned"),
        ("resized", "pleasant"),
    ]
    assert (pleasant.heard[0].onset_s, pleasant.heard[0].offset_s, pleasant.heard[0].pitch) == (1.0, 2.0, 65)
    tenth = round(0.1 * RATE) / RATE
    assert (pleasant.final[0].onset_s, pleasant.final[0].offset_s) == (1.0 + tenth, 1.75 + tenth)


def test_what_is_heard_later_counts_in_both_layers() -> None:
    left = dict(MACHINE.final)
    left[0] = later(left[0], 0.5)
    aligned = revised(MACHINE, left, "aligned")
    left[0] = later(left[0], -0.25)._replace(velocity=99)
    found = revised(aligned, left, "heard")
    assert (
        found.heard[0].seen
        == found.final[0].seen
        == later(MACHINE.machine[0], 0.25)._replace(velocity=99).seen
    )
    assert {edit.reason for edit in edits(found)} == {"heard"}


def test_a_length_that_is_heard_does_not_bring_the_time_of_the_dance_along() -> None:
    left = dict(MACHINE.final)
    left[0] = later(left[0], 0.25)
    aligned = revised(MACHINE, left, "aligned")
    left[0] = later(left[0], 0.0, 0.125)
    found = revised(aligned, left, "heard")
    assert (found.heard[0].onset_s, found.heard[0].offset_s) == (1.0, 1.625)
    assert (found.final[0].onset_s, found.final[0].offset_s) == (1.25, 1.875)
    assert [(edit.kind, edit.reason) for edit in edits(found)] == [("resized", "heard"), ("moved", "aligned")]


def test_only_adding_brings_a_note_into_what_was_heard() -> None:
    left = dict(MACHINE.final) | {-5: row(8.0)}
    pleasing = revised(MACHINE, left, "pleasant")
    moved = dict(pleasing.final)
    moved[6] = later(moved[6], 0.1)
    found = revised(pleasing, moved, "heard")
    assert 6 not in found.heard
    assert found.final[6].onset_s == pytest.approx(8.1, abs=1e-4)
    assert [(edit.number, edit.kind) for edit in edits(found)] == [(6, "added")]


def test_a_note_resized_at_its_beginning_was_not_moved() -> None:
    left = dict(MACHINE.final)
    left[0] = left[0]._replace(onset_s=0.75)
    found = revised(MACHINE, left, "heard")
    assert [edit.kind for edit in edits(found)] == ["resized"]
    assert (found.heard[0].onset_s, found.heard[0].offset_s) == (0.75, 1.5)


def test_an_edit_that_is_taken_back_leaves_no_trace() -> None:
    found = revised(MACHINE, _six(MACHINE), "pleasant")
    back = {number: found.final.get(number, MACHINE.machine[number]) for number in range(6)}
    back |= {number: MACHINE.machine[number] for number in range(4)}
    del back[4]
    again = revised(found, back, "heard")
    assert [(edit.number, edit.kind, edit.reason) for edit in edits(again)] == [(4, "deleted", "pleasant")]
    assert {number: again.final[number] for number in (0, 1, 2, 3, 5)} == {
        number: MACHINE.machine[number] for number in (0, 1, 2, 3, 5)
    }, "origin and probabilities are the machine's again"


@pytest.mark.parametrize("deleted", REASONS)
@pytest.mark.parametrize("back", REASONS)
def test_a_deleted_note_that_is_put_back_is_that_note(deleted: Reason, back: Reason) -> None:
    left = {number: each for number, each in MACHINE.final.items() if number != 2}
    gone = revised(MACHINE, left, deleted)
    found = revised(gone, {**gone.final, -1: MACHINE.final[2]._replace(p_note=1.0)}, back)
    assert found.final == MACHINE.machine
    if deleted == "heard" != back:
        assert 2 not in found.heard, "the recording does not have it, the dance does"
        assert [(each.number, each.kind, each.reason) for each in edits(found)] == [
            (2, "deleted", "heard"),
            (2, "added", back),
        ]
    else:
        assert (found.heard, edits(found)) == (MACHINE.machine, [])
    other = revised(gone, {**gone.final, -1: MACHINE.final[2]._replace(velocity=99)}, "heard")
    assert other.final[6].velocity == 99, "one that looks otherwise is another"


def test_times_within_the_tolerance_were_not_touched() -> None:
    left = {number: later(each, 0.001, -0.0005) for number, each in MACHINE.final.items()}
    assert revised(MACHINE, left, "heard", tolerance_s=0.002) == MACHINE
    left[0] = later(left[0], 0.25)  # moved, and both ends rounded by the editor
    found = revised(MACHINE, left, "heard", tolerance_s=0.002)
    assert [edit.kind for edit in edits(found)] == ["moved"]
    assert found.final[0].offset_s - found.final[0].onset_s == 0.5


def test_times_are_put_on_the_sample_grid() -> None:
    left = dict(MACHINE.final)
    left[0] = left[0]._replace(onset_s=1.23456789, offset_s=1.7654321)
    left[-1] = row(7.0)._replace(onset_s=7.00001, offset_s=7.3333333)
    for each in revised(MACHINE, left, "heard").final.values():
        assert each == each.snapped()
        assert round(each.onset_s * RATE) / RATE == each.onset_s


@pytest.mark.parametrize(
    "changes",
    [
        {"pitch": 200},
        {"pitch": -1},
        {"velocity": 0},
        {"onset_s": -1.0},
        {"onset_s": float("nan")},
        {"offset_s": float("inf")},
        {"offset_s": 0.5},
        {"program": 128},
    ],
)
def test_what_cannot_be_a_note_is_refused(changes: dict[str, Any]) -> None:
    for number in (0, -1):
        with pytest.raises(ValueError):
            revised(MACHINE, {**MACHINE.final, number: MACHINE.final[0]._replace(**changes)}, "heard")


def test_notes_that_nobody_was_shown_are_refused() -> None:
    with pytest.raises(ValueError, match=r"notes \[17\] were not shown"):
        revised(MACHINE, {17: row(1.0)}, "heard")
    with pytest.raises(ValueError, match=r"reason for notes \[-3\]"):
        revised(MACHINE, MACHINE.final, "heard", {-3: "aligned"})


@settings(deadline=None)
@given(before=some_rows(), after=some_rows(), data=st.data())
def test_any_correction_is_made_of_its_edits(
    before: list[Row], after: list[Row], data: st.DataObject
) -> None:
    """Final is what the person left; heard has what was heard; each layer tells the next by the edits alone."""
    shown = Layered.untouched(notes_of(before).sorted())
    numbers = data.draw(st.permutations([*shown.final, *range(-1, -1 - len(after), -1)]))
    left = dict(zip(numbers, after, strict=False))
    overrides = data.draw(
        st.dictionaries(st.sampled_from(sorted({*left, *shown.final})), st.sampled_from(REASONS))
        if left or shown.final
        else st.just({})
    )
    found = revised(shown, left, "aligned", overrides)
    assert sorted(each.seen for each in found.final.values()) == sorted(each.seen for each in after)
    made = edits(found)
    assert {edit.number for edit in made if edit.reason == "heard"} == {
        number
        for number in {*found.machine, *found.heard}
        if number not in found.machine
        or number not in found.heard
        or found.machine[number].seen != found.heard[number].seen
    }
    for number in {*found.machine} & {*left}:
        reason = overrides.get(number, "aligned")
        assert {edit.reason for edit in made if edit.number == number} <= {reason}
        if left[number].seen == shown.machine[number].seen:
            assert found.heard[number] is found.final[number] is found.machine[number]
    assert decode(encode(found)) == found
    assert revised(found, found.final, "heard") == found, "to change nothing changes nothing"


def test_layers_survive_json_to_the_bit() -> None:
    import json

    shown = Layered.untouched(band())
    left = {number: later(each, 0.1) if number % 7 == 0 else each for number, each in shown.final.items()}
    found = revised(shown, left, "aligned")
    again = decode(json.loads(json.dumps(encode(found))))
    assert again == found
    assert notes_of(again.machine.values()) == band()
    assert counts(edits(again)) == {("moved", "aligned"): 43}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pitch", [200]),
        ("number", []),
        ("velocity", [0]),
        ("onset_s", ["soon"]),
        ("layers", ["x"]),
        ("reasons", [[0, "moved", "boring"]]),
        ("reasons", [[0, "painted", "heard"]]),
        ("reasons", 3),
    ],
)
def test_damaged_layers_are_refused(name: str, value: object) -> None:
    data = encode(Layered.untouched(notes_of([row(1.0)])))
    with pytest.raises(ValueError):
        decode(data | {name: value})


def test_the_digest_is_of_what_people_see() -> None:
    notes = band(3)
    surer = notes_of(each._replace(p_note=1.0, origin="other") for each in rows(notes))
    assert digest(surer) == digest(notes)
    louder = notes_of(each._replace(velocity=each.velocity + 1) for each in rows(notes))
    assert digest(louder) != digest(notes)
