"""Forms that people, or hostile servers, filled in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

import pytest

from d2midi_build.annotate.forms import AnswersError, Form, cell, newest, stamp
from d2midi_build.annotate.studio.addresses import LOCAL_MEDIA, media_url
from tests.annotate.filled import PEOPLE, annotation, choice, number, text


def problems_of(form: Form) -> tuple[str, ...]:
    with pytest.raises(AnswersError) as caught:
        form.check()
    return caught.value.problems


def test_a_well_filled_form_is_read_as_it_stands() -> None:
    form = Form(
        [choice("music", "clear"), number("from", 3.5), text("remark", "two", "lines"), choice("box", "yes")]
    )
    assert form.one_of("music", ("clear", "none")) == "clear"
    assert form.number("from", 0, 60) == 3.5
    assert form.number("to", 0, 60) is None
    assert form.text("remark") == "two lines"
    assert form.ticked("box", "yes") and not form.ticked("other", "yes")
    form.check()


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (choice("music", "loud"), "one of clear, none is needed"),
        (choice("music", "clear", "none"), "one of clear, none is needed"),
        (choice("music"), "one of clear, none is needed"),
        ({"from_name": "music", "type": "rating", "value": {"rating": 9}}, "of type 'rating', not choices"),
        ({"from_name": "music", "type": "choices", "value": {"choices": "clear"}}, "no list of choices"),
        ({"from_name": "music", "type": "choices", "value": {"choices": [["clear"]]}}, "is needed"),
        ({"from_name": "music", "type": "choices"}, "is no answer"),
        ({"from_name": ["music"], "type": "choices", "value": {}}, "is no answer"),
        ("music", "is no answer"),
        (None, "is no answer"),
    ],
)
def test_a_bad_choice_is_no_answer_and_named(item: Any, told: str) -> None:
    form = Form([item])
    assert form.one_of("music", ("clear", "none")) == ""
    assert any(told in problem for problem in problems_of(form))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 60.1, True, "3", None, [3], 10**400])
def test_numbers_that_cannot_be_are_none(value: object) -> None:
    form = Form([number("from", value)])
    assert form.number("from", 0, 60) is None
    assert len(problems_of(form)) == 1


def test_every_problem_is_told_at_once() -> None:
    form = Form([choice("a", "x"), choice("a", "y"), choice("unasked", "z")])
    form.one_of("a", ("x", "y"))
    form.one_of("b", ("x",))
    assert problems_of(form) == (
        "a is answered 2 times",
        "b is not answered",
        "there is an answer to 'unasked', which nobody asked",
    )


@pytest.mark.parametrize("result", [None, {}, "[]", 3])
def test_a_result_that_is_no_list_is_told(result: object) -> None:
    assert "is no list" in problems_of(Form(result))[0]


def test_texts_lose_line_ends_and_controls_and_what_is_too_long() -> None:
    form = Form([text("remark", "<b>a\u202e\x00b</b>\n\r\tc", "d" * 600)])
    said = form.text("remark")
    assert said.startswith("<b>a b</b> c ddd") and len(said) == 500 and said.isprintable()
    strange = Form([{"from_name": "remark", "type": "textarea", "value": {"text": [1, {}]}}])
    assert strange.text("remark") == "" and problems_of(strange)


def test_of_a_person_the_newest_counts_and_at_one_time_the_later_id() -> None:
    first, second, third = (annotation(1, [i], 0, i) for i in (3, 5, 4))
    found = newest([first, second, third, annotation(2, ["b"], 9, 1), annotation(2, ["a"], 8, 9)], PEOPLE)
    assert [(each.by, each.result) for each in found.given] == [("ada@x.org", [5]), ("bob@x.org", ["b"])]
    assert found.superseded == 3 and found.problems == ()


def test_a_newest_that_was_skipped_still_counts_as_the_newest() -> None:
    found = newest([annotation(1, ["old"], 0), annotation(1, [], 1, was_cancelled=True)], PEOPLE)
    assert [each.skipped for each in found.given] == [True]


def test_annotations_of_nobody_or_of_no_time_are_told_and_left_out() -> None:
    odd = [
        annotation(1, [], completed_by=None),
        annotation(1, [], completed_by=True),
        annotation(1, [], updated_at="yesterday"),
        annotation(1, [], updated_at=None),
        "annotation",
    ]
    found = newest(odd, PEOPLE)
    assert found.given == () and len(found.problems) == 5


def test_people_are_named_as_well_as_the_server_can() -> None:
    nested = annotation(0, [], completed_by={"id": 8, "email": "eve@x.org"})
    found = newest([annotation(9, []), nested, annotation(2, [])], PEOPLE)
    assert [each.by for each in found.given] == ["bob@x.org", "eve@x.org", "user 9"]


def test_times_are_utc_to_the_second() -> None:
    zoned = annotation(1, [], updated_at="2026-11-26T11:00:00.9+01:00")
    found = newest([zoned], PEOPLE).given[0]
    assert stamp(found.at) == "2026-11-26T10:00:00+00:00"
    assert stamp(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00+00:00"


def test_no_cell_is_a_formula_to_a_spreadsheet() -> None:
    assert [cell(each) for each in ("=1+1", "@x", "-1", "+1", "a=1", "")] == [
        "'=1+1",
        "'@x",
        "'-1",
        "'+1",
        "a=1",
        "",
    ]


def test_addresses_of_media_are_quoted() -> None:
    assert (
        media_url(PurePath("screen", "a b&c.mp4"), LOCAL_MEDIA)
        == "/data/local-files/?d=media/screen/a%20b%26c.mp4"
    )
