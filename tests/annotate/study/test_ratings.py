"""Ratings as people, and hostile servers, leave them."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ET

import pytest

from d2midi_build.annotate.study.ratings import COLUMNS, HEARD, QUESTIONS, SCALE, read, table
from d2midi_build.resources import resource
from tests.annotate.filled import PEOPLE, annotation, choice, task
from tests.annotate.study.making import form, study

STUDY = study()
KEYS = [STUDY.key(each) for each in STUDY.stimuli]


def test_the_form_that_people_see_has_these_questions_and_answers() -> None:
    root = ET.fromstring(resource("annotation/study.xml").read_text(encoding="utf-8"))
    shown = {each.attrib["name"]: each for each in root.iter("Choices")}
    assert set(shown) == {*QUESTIONS, HEARD} and all(
        each.attrib["required"] == "true" for each in shown.values()
    )
    for question in QUESTIONS:
        choices = shown[question].findall("Choice")
        assert tuple(one.attrib["alias"] for one in reversed(choices)) == SCALE
        assert all(one.attrib["value"].startswith(one.attrib["alias"] + ":") for one in choices)
    assert [one.attrib["alias"] for one in shown[HEARD].findall("Choice")] == [HEARD]
    keys = [each.attrib["hotkey"] for each in root.iter("Choice")]
    assert len(set(keys)) == len(keys) == 11


def test_the_form_tells_nothing_of_methods() -> None:
    root = ET.fromstring(resource("annotation/study.xml").read_text(encoding="utf-8"))
    used = {each.attrib["value"] for each in root.iter() if each.attrib.get("value", "").startswith("$")}
    assert used == {"$title", "$video"}


def test_ratings_are_read_with_who_and_when() -> None:
    found = read([task(KEYS[0], annotation(1, form("5", "1", remark="fine")))], PEOPLE, STUDY)
    (rating,) = found.ratings
    assert (rating.stimulus, rating.consistency, rating.noise) == (STUDY.stimuli[0], 5, 1)
    assert (rating.rated_at, rating.seconds, rating.remark) == ("2026-11-26T10:00:00+00:00", 12.5, "fine")
    assert rating.rater == STUDY.pseudonym("ada@x.org")
    assert (found.unrated, found.missing, found.problems) == (5, 5, ())


def test_a_person_s_newest_answer_counts_and_if_it_is_bad_none_of_theirs() -> None:
    twice = task(KEYS[0], annotation(1, form("5"), 0), annotation(1, form("2"), 1), annotation(2, form("3")))
    found = read([twice], PEOPLE, STUDY)
    assert sorted(each.consistency for each in found.ratings) == [2, 3] and found.superseded == 1
    worse = task(KEYS[0], annotation(1, form("5"), 0), annotation(1, form("9"), 1))
    assert read([worse], PEOPLE, STUDY).ratings == ()


@pytest.mark.parametrize(
    "result",
    [
        form("9"), form("0"), form("4.5"), form("five"), form(heard=False), form()[1:], form() + form(), [], None,
        [choice("consistency", "4", "5"), *form()[1:]],
        [{"from_name": "consistency", "type": "rating", "value": {"rating": 4}}, *form()[1:]],
    ],
)  # fmt: skip
def test_hostile_ratings_are_told_and_never_counted(result: object) -> None:
    found = read([task(KEYS[0], annotation(1, result), annotation(2, form("3")))], PEOPLE, STUDY)
    assert [each.consistency for each in found.ratings] == [3]
    assert found.problems and all(problem.startswith("task 7, rater-") for problem in found.problems)
    assert "ada" not in " ".join(found.problems)


def test_foreign_doubled_and_odd_tasks_are_told() -> None:
    tasks = [
        task("study/other/0123456789abcdef", annotation(1, form()), number=1),
        task("", annotation(1, form()), number=2),
        task(KEYS[0], annotation(1, form("4")), number=3),
        task(KEYS[0], annotation(1, form("1")), number=4),
        task(KEYS[1], annotation(1, form("2")), number=5, problem="an annotation is 3"),
        task(KEYS[2], annotation(1, [], was_cancelled=True), number=6),
    ]
    found = read(tasks, PEOPLE, STUDY)
    assert [each.consistency for each in found.ratings] == [4, 2]
    assert len(found.problems) == 4 and found.skipped == 1
    assert (found.unrated, found.missing) == (4, 3)


def test_the_table_is_the_same_whatever_the_order_of_tasks_and_names_nobody() -> None:
    tasks = [
        task(key, annotation(user, form(str(user + 1), remark="=1+1"), number=user))
        for key in KEYS
        for user in (1,)
    ] + [task("x", number=99)]
    one, other = read(tasks, PEOPLE, STUDY), read(tasks[::-1], PEOPLE, STUDY)
    made = table(one.ratings)
    assert made == table(other.ratings)
    rows = list(csv.DictReader(io.StringIO(made.decode())))
    assert tuple(rows[0]) == COLUMNS and [int(row["place"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert {row["method"] for row in rows} == {"ours", "truth"} and rows[0]["remark"] == "'=1+1"
    assert "@" not in made.decode()
