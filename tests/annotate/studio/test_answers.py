"""Answers to the tasks of a sheet put together are what the same hands would have made of the whole sheet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from d2midi_build import clock
from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.corrections import Corrections
from d2midi_build.annotate.edits import edits, revised
from d2midi_build.annotate.layering import REASONS, Reason, Row
from d2midi_build.annotate.studio.answers import TOOL, Answer, correction, found_errors
from d2midi_build.annotate.studio.preparing import Opened, Prepared, Wishes, prepared
from d2midi_build.annotate.studio.regions import left
from tests.annotate.making import band
from tests.annotate.studio.sending import Editor

CLIP = ClipNotes("yt-a_00000000", 900, band(45, 15.0))
PARTS = prepared(Opened.of(CLIP, Corrections([])), 0, Wishes())
PLANTED = prepared(Opened.of(CLIP, Corrections([])), 0, Wishes(plant=0.05, seed=3))
SHOWN = PARTS[0].shown

# Reading the items of a part takes some 20 ms; the database of examples would be written for each.
_SOME = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def answer(
    of: Prepared, editor: Editor | None = None, by: str = "ada@example.org", minute: int = 0
) -> Answer:
    items = (editor or Editor(of.task)).items
    at = f"2026-11-26T12:{minute:02d}:00+00:00"
    return Answer(of.task, left(items, of.task), by, at, 60.0)


def drawn(editor: Editor, name: str, key: int, at_px: int, instrument: str) -> Row:
    """A note that somebody draws, and what it is to be: by hand from where it lies."""
    laid, page = editor.sent.layout, 1
    kind = "drum" if instrument == "Drum" else "pitch"
    lane = next(each for each in laid.lanes if key in each.keys and each.kind == kind)
    editor.draw(name, page, (at_px, lane.top_px), (200, lane.height_px), instrument)
    [row] = [row for n, row in left(editor.items, editor.sent).rows.items() if n < 0 and row.pitch == key]
    return row


@st.composite
def hands(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    """What is done to notes of a part: the deed, which note, how much."""
    deeds = st.sampled_from(["drop", "velocity", "label", "pitch", "why"])
    return draw(st.lists(st.tuples(deeds, st.integers(0, 1000), st.integers(1, 120)), max_size=6))


def edited(
    of: Prepared, deeds: Sequence[tuple[str, int, int]], wanted: dict[int, Row], why: dict[int, Reason]
) -> Editor:
    """Do deeds in a part's editor, and by hand to the rows and reasons of the whole sheet."""
    editor, there = Editor(of.task), sorted(of.task.rows)
    for deed, which, amount in deeds:
        if not there:
            break
        number = there[which % len(there)]
        if deed == "drop":
            editor.drop(number)
            there.remove(number)
            del wanted[number]
            why.pop(number, None)
        elif deed == "velocity":
            editor.fill(number, "velocity", amount)
            wanted[number] = wanted[number]._replace(velocity=amount)
        elif deed == "pitch" and not wanted[number].is_drum:
            editor.fill(number, "pitch", amount)
            wanted[number] = wanted[number]._replace(pitch=amount)
        elif deed == "label" and not wanted[number].is_drum:
            editor.label(number, "Piccolo")
            if wanted[number].instrument != "Piccolo":
                wanted[number] = wanted[number]._replace(program=72)
        elif deed == "why" and number not in why:
            why[number] = REASONS[amount % 3]
            editor.why(number, why[number])
    return editor


def test_the_sheet_has_three_parts() -> None:
    assert [each.task.part for each in PARTS] == ["drums", "bass", "rest"]
    assert all(each.task.notes for each in PARTS)


@_SOME
@given(st.tuples(hands(), hands(), hands()), st.permutations(range(3)), st.sampled_from(REASONS))
def test_parts_together_are_the_edits_done_by_hand_in_any_order(
    deeds: tuple[list[tuple[str, int, int]], ...], order: list[int], reason: Reason
) -> None:
    wanted, why = dict(SHOWN.final), dict[int, Reason]()
    answers = []
    for of, done in zip(PARTS, deeds, strict=True):
        editor = edited(of, done, wanted, why)
        if reason != "heard":
            editor.answer("reason", reason)
        answers.append(answer(of, editor))
    made = correction(SHOWN, [answers[place] for place in order])
    by_hand = revised(SHOWN, wanted, reason, why)
    assert made.layered == by_hand
    assert [*edits(made.layered)] == [*edits(by_hand)]
    assert (made.sheet_id, made.by, made.tool, made.lead_s) == (
        "yt-a_00000000_s000",
        "ada@example.org",
        TOOL,
        180.0,
    )


def test_notes_added_in_several_parts_are_all_added() -> None:
    editors = [Editor(each.task) for each in PARTS]
    added = [
        drawn(editors[0], "added00001", 38, 400, "Drum"),
        drawn(editors[2], "added00001", 60, 400, "Violin"),
        drawn(editors[2], "added00002", 62, 700, "Violin"),
    ]
    made = correction(SHOWN, [answer(of, editor) for of, editor in zip(PARTS, editors, strict=True)])
    assert {row.seen for number, row in made.layered.final.items() if number not in SHOWN.final} == {
        row.seen for row in added
    }
    assert len(made.layered.final) == len(SHOWN.final) + 3


def test_each_part_has_the_reason_that_was_given_in_it() -> None:
    editors = [Editor(each.task) for each in PARTS]
    gone = [each.task.notes[0].number for each in PARTS]
    for editor, number, reason in zip(editors, gone, ("pleasant", "", "aligned"), strict=True):
        editor.drop(number)
        if reason:
            editor.answer("reason", reason)
    made = correction(SHOWN, [answer(of, editor) for of, editor in zip(PARTS, editors, strict=True)])
    assert {(edit.number, edit.kind, edit.reason) for edit in edits(made.layered)} == {
        (gone[0], "deleted", "pleasant"),
        (gone[1], "deleted", "heard"),
        (gone[2], "deleted", "aligned"),
    }


def test_it_is_dated_by_the_last_part_and_has_a_time_only_if_all_parts_have_one() -> None:
    answers = [answer(of, minute=minute) for of, minute in zip(PARTS, (5, 9, 2), strict=True)]
    assert correction(SHOWN, answers).at == "2026-11-26T12:09:00+00:00"
    untimed = [*answers[:2], Answer(PARTS[2].task, answers[2].left, answers[2].by, answers[2].at)]
    assert correction(SHOWN, untimed).lead_s is None


def test_answers_that_do_not_belong_together_are_refused() -> None:
    whole = [answer(of) for of in PARTS]
    with pytest.raises(ValueError, match="several people"):
        correction(SHOWN, [*whole[:2], answer(PARTS[2], by="bob@example.org")])
    with pytest.raises(ValueError, match="other parts than drums, bass, rest"):
        correction(SHOWN, whole[:2])
    with pytest.raises(ValueError, match="other parts"):
        correction(SHOWN, [*whole, whole[0]])


# ---- planted errors ----


def test_nobody_planted_anything_here() -> None:
    assert [found_errors(answer(of)) for of in PARTS] == [None] * 3


def test_errors_that_nobody_found_leave_the_sheet_as_it_was() -> None:
    answers = [answer(of) for of in PLANTED]
    assert any(
        of.task.rows != {n: SHOWN.final[n] for n in of.task.rows if n in SHOWN.final} for of in PLANTED
    )
    assert correction(SHOWN, answers).layered == SHOWN
    results = [found_errors(each) for each in answers]
    for result, of in zip(results, PLANTED, strict=True):
        assert result is not None
        assert [(each.number, each.found) for each in result.outcomes] == [
            (error.number, False) for error in of.task.planted
        ]


def test_commands_that_shift_everything_find_no_error_and_hold_for_what_was_hidden() -> None:
    answers = []
    for of in PLANTED:
        editor = Editor(of.task)
        editor.answer("commands", "shift all +30ms")
        answers.append(answer(of, editor))
    made = correction(SHOWN, answers)
    moved = [row.span[0] - SHOWN.final[number].span[0] for number, row in made.layered.final.items()]
    assert made.layered.final.keys() == SHOWN.final.keys()
    assert {*moved} == {clock.seconds_to_sample(0.03)}
    for each in answers:
        result = found_errors(each)
        assert result is not None
        assert not any(outcome.found for outcome in result.outcomes)


@_SOME
@given(st.data())
def test_edits_elsewhere_count_and_planted_errors_never_enter(data: st.DataObject) -> None:
    wanted, answers = dict(SHOWN.final), []
    for of in PLANTED:
        wrong = {error.number for error in of.task.planted}
        fair = sorted(number for number in of.task.rows if number not in wrong)
        gone = data.draw(st.lists(st.sampled_from(fair), max_size=4, unique=True))
        editor = Editor(of.task)
        for number in gone:
            editor.drop(number)
            del wanted[number]
        answers.append(answer(of, editor))
    assert correction(SHOWN, answers).layered == revised(SHOWN, wanted, "heard")


def test_an_error_that_was_found_is_the_true_note_again_to_the_bit() -> None:
    of = PLANTED[2]
    error = next(each for each in of.task.planted if each.kind == "pitch")
    assert error.true is not None
    editor = Editor(of.task)
    editor.fill(error.number, "pitch", error.true.pitch)
    answers = [answer(PLANTED[0]), answer(PLANTED[1]), answer(of, editor)]
    assert correction(SHOWN, answers).layered == SHOWN
    result = found_errors(answers[2])
    assert result is not None
    assert {each.number for each in result.outcomes if each.found and each.mended} == {error.number}
    assert np.isclose(len(result.outcomes) / len(of.task.rows), 0.05, atol=0.01)
