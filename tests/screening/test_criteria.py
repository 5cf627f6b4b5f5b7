from __future__ import annotations

import pytest

from d2midi_build.recipe import FilterRecipe, Recipe
from d2midi_build.screening.criteria import CRITERIA, decide
from d2midi_build.screening.truth import LABELS
from d2midi_build.stages.filter import SCORES

GOOD = {
    "start_s": 0.0, "end_s": 30.0, "n_samples": 30, "nobody_share": 0.0, "several_share": 0.0, "overlap_share": 0.0,
    "person_height": 0.8, "whole_share": 1.0, "completeness": 0.95, "clutter": 0.1, "edges": 0.0, "colours": 1.0,
    "background_motion": 0.1, "camera_motion": None, "change": 3.0, "loudness_db": -18.0, "silent_share": 0.0,
    "clipped_share": 0.0, "bandwidth_hz": 16_000.0, "noise_db": -20.0, "music": 0.9, "speech": 0.0, "music_share": 1.0,
    "speech_share": 0.0, "neither_share": 0.0,
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
        ({"several_share": 0.08}, "accept", None),
        ({"nobody_share": 0.51}, "reject", "no_person"),
        ({"nobody_share": 0.21}, "review", "no_person"),
        ({"change": 0.01}, "reject", "still_picture"),
        ({"change": None}, "accept", None),
        ({"loudness_db": None, "silent_share": None, "clipped_share": None}, "reject", "no_audio"),
        ({"silent_share": 0.9}, "reject", "silent"),
        ({"clipped_share": 0.02}, "review", "clipped"),
        ({"clipped_share": 0.05}, "reject", "clipped"),
        ({"overlap_share": 0.2}, "review", "overlapped"),
        ({"person_height": 0.3}, "review", "small_person"),
        ({"person_height": 0.15}, "reject", "small_person"),
        ({"whole_share": 0.7}, "review", "body_not_in_view"),
        ({"whole_share": 0.4}, "reject", "body_not_in_view"),
        ({"clutter": 0.8}, "review", "busy_background"),
        ({"clutter": 1.8}, "reject", "busy_background"),
        ({"background_motion": 20.0}, "reject", "moving_background"),
        ({"camera_motion": 0.2}, "review", "camera_moves"),
        ({"camera_motion": 0.6}, "reject", "camera_moves"),
        ({"loudness_db": -45.0}, "review", "quiet"),
        ({"music_share": 0.5}, "review", "not_music"),
        ({"speech_share": 0.4}, "review", "speech"),
        ({"noise_db": -3.0}, "review", "noisy"),
        ({"bandwidth_hz": 2000.0}, "review", "narrow_band"),
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


def test_every_criterion_has_its_thresholds_in_order_and_its_score() -> None:
    for criterion in CRITERIA:
        review, reject = criterion.thresholds(Recipe().filter)
        assert criterion.beyond(reject, review), criterion.name
        assert criterion.score in SCORES
        assert all(label in LABELS[criterion.truth] for label in criterion.bad_labels + criterion.good_labels)
    thresholds = {f"{criterion.name}_{side}" for criterion in CRITERIA for side in ("review", "reject")}
    others = {"scan_height", "samples_per_s", "silent_below_db", "review"}
    assert {*FilterRecipe.model_fields} == thresholds | others
