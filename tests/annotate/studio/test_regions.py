"""Rectangles: notes come back as they were sent, edits as they were made, and nothing else gets through."""

from __future__ import annotations

import copy
import json
import pickle
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.annotate.edits import edits, revised
from d2midi_build.annotate.layering import Layered, Row, notes_of
from d2midi_build.annotate.studio.items import MOST_REMARK
from d2midi_build.annotate.studio.regions import Left, RegionsError, left, readable, regions
from d2midi_build.annotate.studio.sent import SentTask, region_id
from tests.annotate.making import RATE, band, labelled, later, row, some_rows
from tests.annotate.studio.sending import Editor, task

ROWS = {
    0: row(1.001, 60, instrument="Violin", velocity=50)._replace(program=41),  # a viola
    1: row(2.0, 64, instrument="Violin", velocity=70),
    2: row(3.0, 36, length_s=0.002, instrument="Drum", velocity=90),
    3: row(4.5, 62, length_s=4.0, instrument="Piccolo", velocity=60),  # longer than its page shows
    4: row(7.003, 67, instrument="Violin", velocity=60),
    5: row(12.0, 67, instrument="Violin", velocity=61),
}
SENT = task(ROWS)
WIDTH, HEIGHT, PX = SENT.layout.width_px, SENT.layout.height_px, SENT.layout.px_per_s
ROW_PX = next(lane.height_px for lane in SENT.layout.lanes if lane.kind == "pitch")
FLAT = 0.8 * ROW_PX
"""Height of a note drawn by hand."""
HIT_PX = SENT.notes[2].place.width * WIDTH / 100
"""How wide a drum hit of 2 ms is drawn."""


def _left(editor: Editor) -> Left:
    return left(json.loads(json.dumps(editor.items)), editor.sent)


def _row_px(pitch: int, sent: SentTask = SENT) -> float:
    """The middle of a row."""
    lane = next(each for each in sent.layout.lanes if each.kind == "pitch" and each.key == pitch)
    return lane.top_px + lane.height_px / 2


def _problems(editor: Editor) -> tuple[str, ...]:
    with pytest.raises(RegionsError) as caught:
        _left(editor)
    return caught.value.problems


@settings(deadline=None)
@given(some_rows())
def test_what_nobody_touched_comes_back_to_the_last_bit(rows: list[Row]) -> None:
    sent = task(dict(enumerate(rows)))
    same = dict(enumerate(rows))
    assert _left(Editor(sent)) == Left(same, same, (), {}, "heard", (), "", "")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 2))
def test_a_dense_sheet_comes_back_to_the_last_bit_whatever_the_order(seed: int, number: int) -> None:
    notes = Layered.untouched(band(90.0, 4.0, seed)).final
    inside = {n: row for n, row in notes.items() if 30 * number <= row.onset_s < 30 * number + 30}
    editor = Editor(task(inside, number=number))
    random.Random(seed).shuffle(editor.items)
    found = _left(editor)
    assert (found.rows, found.reasons, found.flags) == (inside, {}, ())


def test_a_note_is_two_items_as_label_studio_stores_them() -> None:
    [note, velocity] = regions(SENT)[:2]
    shape, numbered = note.pop("value"), velocity.pop("value")
    assert (shape.pop("rectanglelabels"), numbered.pop("number")) == (["Violin"], 50)
    assert shape == numbered == SENT.notes[0].place._asdict() | {"rotation": 0}
    assert shape["x"] == pytest.approx(100 * (SENT.layout.left_px + PX * ROWS[0].onset_s) / WIDTH, abs=1e-9)
    assert shape["width"] == pytest.approx(100 * 0.5 * PX / WIDTH, abs=1e-9)
    assert shape["y"] + shape["height"] / 2 == pytest.approx(100 * _row_px(60) / HEIGHT, abs=1e-9)
    rest = {
        "id": region_id(0, "made/1"),
        "to_name": "roll",
        "original_width": WIDTH,
        "original_height": HEIGHT,
    }
    rest |= {"image_rotation": 0, "item_index": 0}
    assert note == rest | {"type": "rectanglelabels", "from_name": "note"}
    assert velocity == rest | {"type": "number", "from_name": "velocity"}


def test_the_editor_adds_fields_and_labels_of_its_own_and_that_changes_nothing() -> None:
    editor = Editor(SENT)
    for item in editor.items:
        item |= {"origin": "prediction-changed", "score": 0.5, "readonly": False, "meta": {"text": ["?"]}}
        item["parentID"] = "x"
        if item["type"] == "number":  # as of a page that nobody opened
            item["value"]["rectanglelabels"] = ["Violin"]
    assert _left(editor).rows == ROWS


def test_what_a_real_editor_left_is_read_as_it_was_done_there() -> None:
    """Done in Chromium: notes 0 and 2 to other rows, 3 earlier, 1 pasted, its velocity emptied and then set to 90, its
    pitch filled in and emptied, a reason; a Celesta drawn; verdict, command, remark; pages 2 and 3 never opened."""
    recorded = json.loads(Path(__file__).with_name("recorded.json").read_text(encoding="utf-8"))
    sent = SentTask.from_data(recorded["sent"])
    found = left(recorded["result"], sent)
    moved = later(sent.rows[3], -61 / 400)  # pixels
    changed = {0: sent.rows[0]._replace(pitch=61), 1: sent.rows[1]._replace(velocity=90)}
    changed |= {2: sent.rows[2]._replace(pitch=38), 3: moved}
    assert {n: each for n, each in found.rows.items() if n >= 0} == sent.rows | changed
    drawn, pasted = found.rows[-1], found.rows[-2]
    assert pasted.seen == sent.rows[1].seen
    assert (drawn.instrument, drawn.pitch, drawn.velocity) == ("Drawbar Organ", 62, 80)
    assert drawn.span == (round((481 - 180) / 400 * RATE), round((600 - 180) / 400 * RATE))
    assert (found.verdict, found.reason, found.reasons) == ("corrected", "heard", {1: "pleasant"})
    assert (found.remark, found.flags) == ("a <b>bold</b> remark", ())


def test_the_six_edits_come_back_and_nothing_else() -> None:
    editor = Editor(SENT)
    editor.drag(0, right=0.25 * PX)
    editor.stretch(1, right=0.1 * PX)
    editor.label(4, "Piccolo")
    editor.fill(5, "velocity", 99)
    editor.drop(2)
    editor.draw("Qajj9KNkLl", 1, (1000, _row_px(65) - FLAT / 2), (80, FLAT))
    editor.answer("verdict", "Corrected")
    found = _left(editor)
    shown = Layered(ROWS, ROWS, ROWS)
    made = edits(revised(shown, found.rows, found.reason, found.reasons))
    assert [(edit.number, edit.kind) for edit in made] == [
        (0, "moved"),
        (1, "resized"),
        (2, "deleted"),
        (4, "instrument"),
        (5, "velocity"),
        (6, "added"),
    ]
    assert found.rows[0].onset_s == pytest.approx(ROWS[0].onset_s + 0.25, abs=0.5 / PX + 1 / RATE)
    assert found.rows[1] == later(ROWS[1], 0.0, 0.1)
    assert found.rows[4] == labelled(ROWS[4], "Piccolo")
    assert found.rows[3] == ROWS[3]
    assert (found.verdict, found.flags, found.reasons) == ("corrected", (), {})


def test_a_note_moved_to_another_row_keeps_times_that_the_pixel_grid_cannot_say() -> None:
    editor = Editor(SENT)
    for number, rows_down in ((0, -1), (2, -1), (3, 1), (4, 2)):
        editor.drag(number, down=rows_down * ROW_PX)
    found = _left(editor).rows
    assert found == {
        **ROWS,
        0: ROWS[0]._replace(pitch=61),
        2: ROWS[2]._replace(pitch=38),
        3: ROWS[3]._replace(pitch=61),
        4: ROWS[4]._replace(pitch=65),
    }


def test_a_moved_note_keeps_its_length_also_one_that_its_page_cuts_or_draws_wider() -> None:
    editor = Editor(SENT)
    for number in (0, 2, 3):
        editor.drag(number, right=-0.05 * PX)
    found = _left(editor).rows
    for number in (0, 2, 3):
        (onset, offset), (first, last) = found[number].span, ROWS[number].span
        assert offset - onset == last - first
        assert onset == pytest.approx(first - 0.05 * RATE, abs=0.5 / PX * RATE + 1)


def test_an_edge_that_was_pulled_is_read_off_the_picture_and_the_other_stays() -> None:
    editor = Editor(SENT)
    editor.stretch(0, left=8)
    editor.stretch(3, right=-PX)
    editor.stretch(2, right=10)
    found = _left(editor).rows
    x = round(SENT.layout.column(ROWS[0].onset_s, 0) + 8)
    assert found[0].span == (round((x - SENT.layout.left_px) / PX * RATE), ROWS[0].span[1])
    assert found[3].span == (ROWS[3].span[0], round((SENT.layout.pages[0].end_s - 1.0) * RATE))
    assert found[2].span[0] == ROWS[2].span[0]
    assert found[2].offset_s == pytest.approx(3.0 + (HIT_PX + 10) / PX, abs=1 / RATE)


def test_a_short_note_whose_beginning_is_pulled_past_its_end_ends_where_it_is_drawn() -> None:
    editor = Editor(SENT)
    editor.stretch(2, left=9)
    assert _left(editor).rows[2].span == (round((3 + 9 / PX) * RATE), round((3 + HIT_PX / PX) * RATE))


def test_a_new_note_has_the_usual_velocity_of_its_instrument_and_times_to_the_sample() -> None:
    editor = Editor(SENT)
    left_px = SENT.layout.left_px
    editor.draw("aaaaaaaaaa", 0, (left_px + 101, _row_px(62) - FLAT / 2), (41, FLAT))
    editor.draw("bbbbbbbbbb", 0, (left_px + 301, _row_px(62) - FLAT / 2), (41, FLAT), "Celesta")
    found = _left(editor).rows
    onset, offset = round(101 / PX * RATE), round(142 / PX * RATE)
    assert found[-1] == Row(onset / RATE, offset / RATE, 62, 60, 40, False, 1.0, 1.0, "human/heard")
    assert (found[-2].instrument, found[-2].velocity) == ("Celesta", 80)
    editor.answer("reason", "pleasant")
    assert _left(editor).rows[-1].origin == "human/pleasant"


def test_a_pasted_note_is_new_though_it_says_it_was_predicted() -> None:
    editor = Editor(SENT)
    pasted = [copy.deepcopy(editor.item(4, name)) for name in ("note", "velocity")]
    editor.items += [item | {"id": "Zajj9KNkLl", "origin": "prediction"} for item in pasted]
    found = _left(editor).rows
    assert set(found) == {*ROWS, -1}
    assert found[-1].seen == ROWS[4].seen


def test_what_an_earlier_version_of_the_task_left_is_not_taken_for_another_note() -> None:
    editor = Editor(SENT)
    for item in editor.items:
        if item["id"] == region_id(1, "made/1"):
            item["id"] = region_id(1, "made/0")
    [problem] = _problems(editor)
    assert "was not sent with this version of the task" in problem


def test_added_notes_are_numbered_by_their_times_and_not_by_the_order_of_the_result() -> None:
    editor = Editor(SENT)
    for place, region in enumerate(("cccccccccc", "aaaaaaaaaa", "bbbbbbbbbb")):
        editor.draw(
            region, 0, (SENT.layout.left_px + (2.25 - place / 4) * PX, _row_px(62) - FLAT / 2), (41, FLAT)
        )
    found = _left(editor).rows
    editor.items.reverse()
    assert _left(editor).rows == found
    assert [found[n].onset_s for n in (-1, -2, -3)] == [1.75, 2.0, 2.25]


def test_a_note_pulled_two_rows_high_keeps_its_pitch_and_is_flagged() -> None:
    editor = Editor(SENT)
    editor.stretch(1, top=-ROW_PX)
    found = _left(editor)
    assert found.rows == ROWS
    assert [(flag.kind, flag.number) for flag in found.flags] == [("rows", 1)]
    assert "Violin 64 at 2.000 s is 1.9 rows high and was taken to be in row E4" in found.flags[0].message


def test_a_new_note_over_several_rows_is_where_its_middle_is_and_is_flagged() -> None:
    editor = Editor(SENT)
    high = 3 * ROW_PX
    editor.draw("aaaaaaaaaa", 0, (600, _row_px(64) - high / 2), (40, high - 4))
    found = _left(editor)
    assert (found.rows[-1].pitch, [flag.number for flag in found.flags]) == (64, [-1])


def test_notes_drawn_by_hand_are_not_flagged_for_being_a_little_flat() -> None:
    editor = Editor(SENT)
    height = ROW_PX
    for part in (0.3, 0.8, 0.9):
        at = (SENT.layout.left_px + 1000 * part, _row_px(66) - part * height / 2 + 0.1 * height)
        editor.draw(f"by-hand-{part:.0%}", 0, at, (40, part * height))
    found = _left(editor)
    assert [found.rows[n].pitch for n in (-1, -2, -3)] == [66, 66, 66] and not found.flags


def test_a_drum_among_pitches_and_a_pitch_among_drums_need_a_number() -> None:
    editor = Editor(SENT)
    editor.label(0, "Drum")
    editor.label(2, "Celesta")
    way_out = "give it the right instrument, drag it, or fill in its 'pitch'"
    assert [re.sub(r"^.*?: ", "", problem) for problem in _problems(editor)] == [
        f"it is Drum and lies in row C4, which is no drum: {way_out}",
        f"it is Celesta and lies in 'kick', a drum's lane: {way_out}",
    ]
    editor.fill(0, "pitch", 38)
    editor.fill(2, "pitch", 72)
    found = _left(editor)
    assert [(found.rows[n].instrument, found.rows[n].pitch) for n in (0, 2)] == [
        ("Drum", 38),
        ("Celesta", 72),
    ]
    assert found.rows[0].program == 0 and not found.flags


def test_a_note_in_a_fold_needs_a_number_and_says_so() -> None:
    fold = SENT.layout.lanes[0]
    assert fold.kind == "fold"
    editor = Editor(SENT)
    editor.draw("aaaaaaaaaa", 0, (600, fold.top_px + 2), (40, fold.height_px - 4))
    [problem] = _problems(editor)
    assert "the rows A#4 - G9 are folded away here: fill in its 'pitch'" in problem
    item = editor.items[-1]
    value = {key: value for key, value in item["value"].items() if key != "rectanglelabels"}
    editor.items.append({**item, "from_name": "pitch", "type": "number", "value": value | {"number": 100}})
    assert _left(editor).rows[-1].pitch == 100


def test_the_number_counts_before_the_row_and_a_difference_is_flagged() -> None:
    editor = Editor(SENT)
    editor.fill(0, "pitch", 60)
    editor.fill(1, "pitch", 59)
    found = _left(editor)
    assert (found.rows[0].pitch, found.rows[1].pitch) == (60, 59)
    assert [(flag.kind, flag.number) for flag in found.flags] == [("pitch", 1)]


def test_the_overlap_of_a_page_is_as_good_as_the_page_that_owns_it() -> None:
    editor = Editor(SENT)
    editor.draw("aaaaaaaaaa", 0, (SENT.layout.left_px + 5.2 * PX, _row_px(62) - FLAT / 2), (40, FLAT))
    editor.draw(
        "bbbbbbbbbb",
        1,
        (SENT.layout.left_px + (5.2 - SENT.layout.pages[1].start_s) * PX, _row_px(62) - FLAT / 2),
        (40, FLAT),
    )
    found = _left(editor).rows
    assert found[-1].seen == found[-2].seen and found[-1].onset_s == 5.2


def test_what_begins_outside_of_the_sheet_is_a_problem_unless_it_was_sent_from_there() -> None:
    strayed = row(30.2, 62)
    sent = task({0: row(29.0, 62), 1: strayed})
    editor = Editor(sent)
    assert _left(editor).rows[1] == strayed
    editor.drag(0, right=1.25 * PX)
    [problem] = _problems(editor)
    assert "begins at 30.250 s, outside of its sheet of 0 to 30 s" in problem
    editor.drag(0, right=-1.25 * PX)
    editor.stretch(1, right=-0.05 * PX)
    assert _left(editor).rows[1] == later(strayed, 0.0, -0.05)


def test_a_note_dragged_over_the_keys_is_a_problem_and_one_at_their_edge_is_not() -> None:
    editor = Editor(SENT)
    x = SENT.layout.left_px
    editor.draw("aaaaaaaaaa", 0, (x - 0.4, _row_px(62) - FLAT / 2), (40, FLAT))
    assert _left(editor).rows[-1].onset_s == 0.0
    editor.draw("bbbbbbbbbb", 0, (x - 1, _row_px(62) - FLAT / 2), (40, FLAT))
    [problem] = _problems(editor)
    assert problem.startswith("note 'bbbbbbbbbb' on page 1: it begins left of where time begins")


def test_a_note_ends_with_what_its_page_shows() -> None:
    editor = Editor(SENT)
    editor.draw("aaaaaaaaaa", 5, (WIDTH - 200, _row_px(62) - FLAT / 2), (199, FLAT))
    [problem] = _problems(editor)
    assert "outside of its sheet" in problem
    editor.items[-1]["value"] |= {"x": 100 * (WIDTH - 600) / WIDTH, "width": 100 * 600 / WIDTH}
    assert _left(editor).rows[-1].offset_s == SENT.layout.pages[5].end_s


def test_commands_are_done_upon_what_is_left() -> None:
    editor = Editor(SENT)
    editor.label(5, "Celesta")
    editor.answer("commands", "shift all +0.05\nrelabel Celesta to Drawbar Organ; delete drums")
    found = _left(editor).rows
    expected = {number: later(each, 0.05) for number, each in ROWS.items() if number != 2}
    assert found == expected | {5: labelled(expected[5], "Drawbar Organ")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shift some +1", "commands: line 1, column 7: 'some' is no instrument"),
        (
            "shift violin -2",
            "commands: line 1, column 1: 'shift violin -2': Violin 60 at 1.001 s would start",
        ),
        ("x" * 5000, "commands: 5000 characters of commands"),
    ],
)
def test_a_command_that_cannot_be_done_is_a_problem(text: str, words: str) -> None:
    editor = Editor(SENT)
    editor.answer("commands", text)
    [problem] = _problems(editor)
    assert problem.startswith(words)


def test_no_change_needed_is_refused_where_something_was_changed() -> None:
    editor = Editor(SENT)
    editor.answer("verdict", "No change needed")
    assert _left(editor).verdict == "no_change"
    editor.why(1, "aligned")
    assert _left(editor).reasons == {1: "aligned"}
    editor.drag(1, down=ROW_PX)
    [problem] = _problems(editor)
    assert '"No change needed", but 1 notes were changed, Violin 63 at 2.000 s the first' in problem
    editor = Editor(SENT)
    editor.answer("verdict", "No change needed")
    editor.answer("commands", "delete drums")
    assert "but 1 notes were changed, Drum 36" in _problems(editor)[0]


def test_reasons_are_those_of_the_task_unless_the_annotator_says_otherwise() -> None:
    editor = Editor(SENT)
    assert (_left(editor).reason, _left(editor).verdict) == ("heard", "")
    editor.answer("reason", "aligned")
    editor.answer("verdict", "Drop clip")
    editor.why(0, "pleasant")
    found = _left(editor)
    assert (found.reason, found.reasons, found.verdict) == ("aligned", {0: "pleasant"}, "drop")


def test_reasons_of_added_notes_go_with_notes_that_commands_delete() -> None:
    editor = Editor(SENT)
    item = editor.draw("aaaaaaaaaa", 0, (600, _row_px(62) - FLAT / 2), (40, FLAT), "Celesta")
    value = {key: value for key, value in item["value"].items() if key != "rectanglelabels"}
    editor.items.append(
        {**item, "from_name": "why", "type": "choices", "value": value | {"choices": ["aligned"]}}
    )
    assert _left(editor).reasons == {-1: "aligned"} and _left(editor).rows[-1].origin == "human/aligned"
    editor.answer("commands", "delete celesta")
    assert _left(editor).reasons == {}


def test_a_note_without_velocity_has_the_one_it_was_sent_with() -> None:
    editor = Editor(SENT)
    editor.items = [item for item in editor.items if item["type"] != "number"]
    assert _left(editor).rows == ROWS
    editor.items = Editor(SENT).items
    for emptied in (0, None):
        editor.fill(0, "velocity", emptied)
        editor.fill(1, "pitch", emptied)
        assert _left(editor).rows == ROWS


def test_a_remark_stays_text_without_what_is_not_to_be_seen() -> None:
    editor = Editor(SENT)
    editor.answer("remark", " a <b>loud</b>\x00 \u202ebass\ud800\r\n\tsecond\x1b[31m line ")
    assert _left(editor).remark == "a <b>loud</b> bass\n second[31m line"
    editor = Editor(SENT)
    editor.answer("remark", "x" * 100_000)
    remark = _left(editor).remark
    assert len(remark) == MOST_REMARK and remark.endswith("x [the rest was cut off]")


def _set(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda item: item.update(fields)


def _value(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda item: item["value"].update(fields)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_value(x=200), "it lies outside of its picture: 200 to 20"),
        (_value(x=-1e-3), "it lies outside of its picture"),
        (_value(width=99.0), "it lies outside of its picture"),
        (_value(y=99.0), "it lies outside of its picture"),
        (_value(width=-3.0), "it is -3 wide"),
        (_value(height=0), "0 high"),
        (_value(x=float("nan")), "its x is nan, and not a sensible number"),
        (_value(y=float("inf")), "its y is inf"),
        (_value(y=True), "its y is True"),
        (_value(x="12"), "its x is '12'"),
        (_value(width=None), "its width is missing"),
        (_value(x=10**400), "its x is a int"),
        (_value(rotation=5), "its rotation is 5: turn it back"),
        (_set(image_rotation=90), "its image_rotation is 90"),
        (_value(rectanglelabels=["Flute"]), "'Flute' is not one of the 13 instruments"),
        (_value(rectanglelabels=["Violin", "Piccolo"]), "it has 2 instruments"),
        (_value(rectanglelabels=[]), "it has no instrument"),
        (_value(rectanglelabels="Violin"), "it has no instrument"),
        (_value(rectanglelabels=[["Violin"]]), "1 of them is not one of the 13"),
        (_set(item_index=6), "item_index 6 is none of this task's 6 pages"),
        (_set(item_index=True), "item_index True"),
        (_set(item_index=None), "item_index missing"),
        (_set(original_width=1200), "made on a picture of 1200 x"),
        (_set(original_width=None), "made on a picture of missing x"),
        (_set(type="polygonlabels"), "note has type 'polygonlabels', it must be 'rectanglelabels'"),
        (_set(type="relation"), "a relation between notes says nothing here"),
        (_set(from_name="brush"), "from_name 'brush' is none of note, velocity"),
        (_set(from_name=["note"]), "from_name 1 of them is none of"),
        (_set(to_name="other"), "it belongs to 'other'"),
        (_set(value=[]), "its value is 0 of them and not an object"),
        (_set(id=None), "its id is missing"),
        (_set(id=""), "its id is ''"),
        (_set(id="x" * 65), "its id is 'xxx"),
    ],
)
def test_a_bad_field_is_named_and_holds_everything_back(
    spoil: Callable[[dict[str, Any]], None], words: str
) -> None:
    editor = Editor(SENT)
    spoil(editor.item(1))
    with pytest.raises(RegionsError) as caught:
        left(editor.items, SENT)
    assert words in caught.value.problems[0]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (-1, "its number is -1, allowed is 1-127"),
        (128, "allowed is 1-127"),
        (64.5, "must be whole"),
        (True, "its number is True"),
        ("64", "its number is '64'"),
        (float("nan"), "its number is nan"),
        (-(10**400), "its number is a int"),
        ([64], "its number is 1 of them"),
    ],
)
def test_a_bad_velocity_is_named(number: object, words: str) -> None:
    editor = Editor(SENT)
    editor.item(1, "velocity")["value"]["number"] = number
    with pytest.raises(RegionsError, match=re.escape(words)):
        left(editor.items, SENT)


@pytest.mark.parametrize("result", [None, {}, "[]", 5, [None], [[]], ["x"], [{}]])
def test_what_is_no_list_of_items_is_a_problem(result: object) -> None:
    with pytest.raises(RegionsError):
        left(result, SENT)


def test_items_that_say_the_same_thing_twice_are_problems() -> None:
    editor = Editor(SENT)
    editor.items += [copy.deepcopy(editor.item(1)), copy.deepcopy(editor.item(2, "velocity"))]
    editor.answer("verdict", "Corrected")
    editor.answer("verdict", "Drop clip")
    problems = _problems(editor)
    assert [re.sub(r"^.*: ", "", each) for each in problems] == [
        "there is note twice with this id",
        "there is velocity twice with this id",
        "there is verdict twice",
    ]
    assert "(Violin 64 at 2.000 s) on page 1" in problems[0]


def test_a_number_without_its_rectangle_is_a_problem() -> None:
    editor = Editor(SENT)
    editor.items.remove(editor.item(1))
    [problem] = _problems(editor)
    assert "not its rectangle" in problem


@pytest.mark.parametrize(
    ("name", "value"), [("verdict", "Fine"), ("reason", "Heard"), ("verdict", "<script>")]
)
def test_an_answer_that_nobody_offered_is_a_problem(name: str, value: str) -> None:
    editor = Editor(SENT)
    editor.answer(name, value)
    [problem] = _problems(editor)
    assert problem.startswith(f"{name}: '{value}' is none of ")


def test_all_problems_are_told_up_to_twenty_and_the_rest_is_counted() -> None:
    editor = Editor(task({number: row(1.0 + number / 4, 60) for number in range(30)}))
    for number in range(0, 30, 2):
        editor.item(number)["value"]["x"] = 200
        editor.fill(number + 1, "velocity", -1)
    problems = _problems(editor)
    assert len(problems) == 21 and problems[-1] == "and 10 more"
    assert len(set(problems)) == 21


def test_problems_survive_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(RegionsError(("one", "two"))))
    assert error.problems == ("one", "two") and str(error) == "one; two"


_JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.sampled_from(
        ["note", "velocity", "number", "Violin", "Drum", "roll", region_id(1, "made/1"), 0, 1, 50.0]
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_spoilt_result_is_an_error_or_notes(data: st.DataObject) -> None:
    editor = Editor(SENT)
    editor.answer("verdict", "Corrected")
    editor.answer("commands", "shift violin +0.01")
    items: list[Any] = editor.items
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(items) - 1))
        item = items[place]
        of = item
        if isinstance(item, dict) and isinstance(item.get("value"), dict) and data.draw(st.booleans()):
            of = item["value"]
        match data.draw(st.sampled_from(["replace", "delete", "set", "swap", "copy"])):
            case "replace":
                items[place] = data.draw(_JUNK)
            case "copy":
                items.append(copy.deepcopy(item))
            case "delete" if isinstance(of, dict) and of:
                del of[data.draw(st.sampled_from(sorted(of)))]
            case "set" if isinstance(of, dict) and of:
                of[data.draw(st.sampled_from(sorted(of)))] = data.draw(_JUNK)
            case "swap" if isinstance(of, dict) and of:
                of[data.draw(st.sampled_from(sorted(of)))] = data.draw(st.floats(0, 100))
    try:
        found = left(items, SENT)
    except RegionsError as error:
        assert 1 <= len(error.problems) <= 21 and all(each.isprintable() for each in error.problems)
    else:
        notes_of(found.rows.values())
        assert all(0 <= each.onset_s < 31 for each in found.rows.values())
        assert {*found.reasons} <= {*found.rows, *ROWS}


def test_of_a_result_that_is_refused_what_can_be_read_is_read() -> None:
    """The Listen page plays it, whatever else is wrong."""
    sent = task({0: row(1.0), 1: row(2.0, 62), 2: row(3.0, 64)})
    editor = Editor(sent)
    editor.item(1)["value"]["x"] = 200
    editor.draw("drawn00001", 0, (600, 400), (100, 40))
    editor.answer("commands", "no command at all")
    assert len(_problems(editor)) == 2
    found = readable(editor.items, sent)
    assert {n: found[n] for n in (0, 2)} == {n: sent.rows[n] for n in (0, 2)}
    assert set(found) == {-1, 0, 2}
    assert readable("no list", sent) == {}
    assert readable([editor.items[0]], sent) == {0: sent.rows[0]}
