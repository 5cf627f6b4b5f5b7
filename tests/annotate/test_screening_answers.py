"""From answers about takes to verdicts."""

from __future__ import annotations

import csv
import io
import itertools
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from d2midi_build.annotate.excerpt import excerpt_of
from d2midi_build.annotate.screening import GENRES, QUESTIONS, Asked, Read, Settled, read
from d2midi_build.annotate.screening_pull import COLUMNS, record, verdicts
from d2midi_build.resources import resource
from d2midi_build.screening.verdicts import Verdict, Verdicts
from d2midi_build.synthetic.releases.genres import GENRES as DRAWN
from tests.annotate.filled import PEOPLE, annotation, choice, number, task, text

GOOD = {name: values[0] for name, values in QUESTIONS.items()} | {"genre": "house"}
TAKES = {
    name: Asked(name, "v", "s-1", "list/v.mp4", "latin", excerpt_of(start_s, start_s + length_s))
    for name, start_s, length_s in (("v_0", 0.0, 20.0), ("v_1", 100.0, 300.0))
}


def form(**changed: str) -> list[dict[str, Any]]:
    return [choice(name, value) for name, value in (GOOD | changed).items()]


def read_one(*annotations: dict[str, Any], take: str = "v_0", reviewer: str = "") -> Read:
    return read([task(f"screen/{take}", *annotations)], PEOPLE, TAKES, reviewer)


def settled(*annotations: dict[str, Any], reviewer: str = "") -> Settled:
    found = read_one(*annotations, reviewer=reviewer)
    assert not found.problems
    return found.settled[0]


def test_the_form_that_people_see_has_these_questions_and_answers() -> None:
    root = ET.fromstring(resource("annotation/screening.xml").read_text(encoding="utf-8"))
    shown = {
        each.attrib["name"]: tuple(one.attrib["value"] for one in each.findall("Choice"))
        for each in root.iter("Choices")
    }
    assert shown == dict(QUESTIONS)
    assert all(each.attrib["required"] == "true" for each in root.iter("Choices"))
    keys = [each.attrib["hotkey"] for each in root.iter("Choice")]
    assert len(set(keys)) == len(keys) == 22
    names = {each.attrib["name"] for tag in ("Number", "TextArea") for each in root.iter(tag)}
    assert names == {"usable_from", "usable_to", "genre_other", "remark"}
    video = next(root.iter("Video"))
    assert video.attrib["frameRate"] == "25"


def test_the_genres_are_the_dataset_s() -> None:
    assert tuple(each.name for each in DRAWN) == GENRES


def test_all_good_accepts() -> None:
    found = settled(annotation(1, form()))
    assert (found.outcome, found.why, found.by) == ("accept", "all good", "ada@x.org")


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("background", "not pure", "the background is not pure"),
        ("dancers", "several", "several dancers"),
        ("dancers", "none", "no dancer"),
        ("body", "no", "the body is not in view"),
        ("sync", "not synchronised", "the dance does not go with the music"),
        ("music", "noisy or talking", "noise or talking"),
        ("music", "no music", "no music"),
    ],
)
def test_one_bad_answer_rejects_and_says_why(name: str, value: str, why: str) -> None:
    found = settled(annotation(1, form(**{name: value})))
    assert (found.outcome, found.why) == ("reject", why)


def test_one_doubt_is_forgiven_and_told_and_two_are_not() -> None:
    doubts = {"background": "light clutter", "body": "partly", "sync": "loosely"}
    for name, value in doubts.items():
        found = settled(annotation(1, form(**{name: value})))
        assert found.outcome == "accept" and found.why.startswith("good but for")
    for pair in itertools.combinations(doubts, 2):
        found = settled(annotation(1, form(**{name: doubts[name] for name in pair})))
        assert found.outcome == "review" and found.why.startswith("in doubt:")


def test_bad_answers_of_several_people_are_joined_and_no_genre_changes_anything() -> None:
    found = settled(
        annotation(1, [*form(dancers="several", genre="ballet"), text("remark", "twins")]),
        annotation(2, form(music="no music", dancers="several", genre="other"), 5),
    )
    assert (found.outcome, found.by) == ("reject", "ada@x.org, bob@x.org")
    assert found.why == "several dancers, no music; ada@x.org: twins"


def test_people_who_disagree_settle_nothing_until_a_reviewer_is_named() -> None:
    two = annotation(1, form()), annotation(2, form(body="no"), 5)
    assert settled(*two).outcome == "conflict"
    assert settled(*two).why == "ada@x.org says accept, bob@x.org says reject"
    assert settled(*two, reviewer="nobody@x.org").outcome == "conflict"
    reviewed = settled(*two, reviewer="BOB@x.org")
    assert (reviewed.outcome, reviewed.by, reviewed.by_reviewer) == ("reject", "bob@x.org", True)


def test_a_reviewer_changes_nothing_where_people_agree() -> None:
    two = annotation(1, form()), annotation(2, form(), 5)
    assert settled(*two, reviewer="bob@x.org") == settled(*two)


def test_of_one_person_the_newest_answer_counts() -> None:
    assert settled(annotation(1, form(body="no"), 0), annotation(1, form(), 1)).outcome == "accept"


@pytest.mark.parametrize(
    "result",
    [
        form()[:-1],
        form(genre="polka"),
        form(background="<script>"),
        [*form(), choice("background", "pure")],
        [*form(), number("usable_from", 200)],
        [*form(), number("usable_from", 12), number("usable_to", 3)],
        [*form(), number("usable_from", 30)],
        [*form(), choice("extra", "x")],
        None,
        [],
    ],
)
def test_a_form_that_cannot_be_is_told_with_its_task_and_counts_for_nothing(result: object) -> None:
    found = read_one(annotation(1, result))
    assert found.settled == () and found.problems
    assert all(problem.startswith("task 7 (v_0), ada@x.org: ") for problem in found.problems)


def test_a_bad_form_does_not_hide_a_good_one_of_somebody_else() -> None:
    found = read_one(annotation(1, form()), annotation(2, form(genre="polka")))
    assert len(found.settled) == 1 and len(found.problems) == 1


def test_unknown_takes_odd_tasks_and_skipped_ones_are_told() -> None:
    tasks = [
        task("screen/gone", annotation(1, form()), number=1),
        task("screen/v_0", annotation(1, form()), number=2, problem="its data is 3"),
        task("screen/v_1", annotation(1, [], was_cancelled=True), number=3),
        task("", annotation(1, form()), number=4),
        task("screen/v_0", number=5),
    ]
    found = read(tasks, PEOPLE, TAKES)
    assert found.settled == () and found.skipped == 1 and found.unanswered == 1
    assert found.problems == (
        "task 1 (gone): the workspace has no such take any more",
        "task 2 (v_0): its data is 3",
    )


def pull(path: Path, found: Settled) -> list[Verdict]:
    new, _ = verdicts([found], path)
    Verdicts(path).append(new)
    return new


def test_a_second_pull_adds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "screening.jsonl"
    found = settled(annotation(1, form(body="no")))
    assert [(each.verdict, each.why) for each in pull(path, found)] == [
        ("reject", "the body is not in view (Label Studio)")
    ]
    before = path.read_bytes()
    assert pull(path, found) == [] and path.read_bytes() == before


def test_a_conflict_takes_back_what_came_of_earlier_answers_once(tmp_path: Path) -> None:
    path = tmp_path / "screening.jsonl"
    first = annotation(1, form())
    pull(path, settled(first))
    both = settled(first, annotation(2, form(body="no"), 5))
    assert [each.verdict for each in pull(path, both)] == ["withdraw"]
    assert pull(path, both) == []
    assert Verdicts(path).of("v_0", "v") is None


def test_a_conflict_alone_writes_nothing(tmp_path: Path) -> None:
    assert (
        pull(tmp_path / "screening.jsonl", settled(annotation(1, form()), annotation(2, form(body="no"))))
        == []
    )


def test_what_a_reviewer_settled_stays_until_somebody_answers_again(tmp_path: Path) -> None:
    path = tmp_path / "screening.jsonl"
    two = annotation(1, form()), annotation(2, form(body="no"), 5)
    assert [each.verdict for each in pull(path, settled(*two, reviewer="bob@x.org"))] == ["reject"]
    assert pull(path, settled(*two)) == []
    assert pull(path, settled(*two, reviewer="bob@x.org")) == []
    later = settled(*two, annotation(3, form(), 9))
    assert [each.verdict for each in pull(path, later)] == ["withdraw"]


def test_answers_that_agree_again_count_again(tmp_path: Path) -> None:
    path = tmp_path / "screening.jsonl"
    first = annotation(1, form())
    pull(path, settled(first))
    pull(path, settled(first, annotation(2, form(body="no"), 5)))
    new = pull(path, settled(first, annotation(2, form(), 8)))
    assert [(each.verdict, each.by) for each in new] == [("accept", "ada@x.org, bob@x.org")]


@pytest.mark.parametrize("item", ["v_0", "v"])
@pytest.mark.parametrize(("at", "stays"), [("10:00:00", True), ("11:00:00", True), ("09:59:59", False)])
def test_who_decided_by_hand_since_is_not_overruled(tmp_path: Path, item: str, at: str, stays: bool) -> None:
    path = tmp_path / "screening.jsonl"
    Verdicts(path).append([Verdict(item, "reject", "too dark", "ada", f"2026-11-26T{at}+00:00")])
    new, decided_since = verdicts([settled(annotation(1, form()))], path)
    assert (len(new), len(decided_since)) == ((0, 1) if stays else (1, 0))


def test_review_takes_nothing_back_that_people_decided_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "screening.jsonl"
    Verdicts(path).append([Verdict("v_0", "reject", "too dark", "ada", "2026-11-26T09:00:00+00:00")])
    assert pull(path, settled(annotation(1, form(body="partly", sync="loosely")))) == []


def test_the_table_has_everybody_s_answers_in_the_video_s_time() -> None:
    usable = [number("usable_from", 15), number("usable_to", 45)]
    found = [
        *read_one(annotation(1, [*form(), *usable, text("remark", "=cmd()")]), take="v_1").settled,
        settled(
            annotation(1, form(genre="latin")),
            annotation(2, [*form(genre="other"), text("genre_other", "Tango")]),
        ),
    ]
    rows = list(csv.DictReader(io.StringIO(record(found).decode())))
    assert tuple(rows[0]) == COLUMNS and len(rows) == 3
    # 300 s from 100 s: shown are 100-120, 240-260 and 380-400 s; 45 s into that is 5 s into the last piece.
    assert (rows[0]["usable_from_s"], rows[0]["usable_to_s"]) == ("115.00", "385.00")
    assert rows[0]["remark"] == "'=cmd()" and rows[0]["genre_differs"] == "yes"
    assert [(row["genre"], row["genre_differs"]) for row in rows[1:]] == [("latin", ""), ("tango", "yes")]
    assert record(found) == record(found)
