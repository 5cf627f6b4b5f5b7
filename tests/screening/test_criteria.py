from __future__ import annotations

import pytest

from d2midi_build.recipe import Recipe
from d2midi_build.screening.criteria import decide

GOOD = {
    "start_s": 0.0, "end_s": 30.0, "n_samples": 30, "nobody_share": 0.0, "several_share": 0.0, "person_height": 0.8,
    "change": 3.0, "loudness_db": -18.0, "silent_share": 0.0, "clipped_share": 0.0,
}  # fmt: skip


def test_a_good_take_is_accepted_without_words() -> None:
    decision = decide(GOOD, Recipe())
    assert (decision.status, decision.reasons, decision.explanation) == ("accept", (), "")


@pytest.mark.parametrize(
    ("scores", "status", "reason"),
    [
        ({"end_s": 29.9}, "reject", "too_short"),
        ({"several_share": 0.26}, "reject", "several_people"),
        ({"several_share": 0.20}, "review", "several_people"),
        ({"several_share": 0.15}, "accept", None),
        ({"nobody_share": 0.51}, "reject", "no_person"),
        ({"nobody_share": 0.21}, "review", "no_person"),
        ({"change": 0.01}, "reject", "still_picture"),
        ({"change": None}, "accept", None),
        ({"loudness_db": None, "silent_share": None, "clipped_share": None}, "reject", "no_audio"),
        ({"silent_share": 0.9}, "reject", "silent"),
        ({"clipped_share": 0.02}, "review", "clipped"),
    ],
)
def test_each_criterion_at_its_thresholds(scores: dict[str, float], status: str, reason: str | None) -> None:
    decision = decide(GOOD | scores, Recipe())
    assert decision.status == status
    assert decision.reasons == ((reason,) if reason else ())


def test_the_worst_criterion_decides_and_all_are_told_with_their_numbers() -> None:
    decision = decide(GOOD | {"several_share": 0.2, "silent_share": 0.75}, Recipe())
    assert decision.status == "reject"
    assert decision.reasons == ("several_people", "silent")
    assert "20%" in decision.explanation
    assert "75%" in decision.explanation


def test_the_recipe_moves_the_thresholds() -> None:
    assert decide(GOOD | {"end_s": 6.0}, Recipe().with_field("window.frames", 120)).status == "accept"
    review = decide(GOOD | {"several_share": 0.2}, Recipe())
    assert not review.goes_on(Recipe())
    assert review.goes_on(Recipe().with_field("filter.review", "keep"))
