from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from d2midi_build.recipe import Recipe
from d2midi_build.screening.calibration import Calibration, Case, ClipNotes, Share, calibrate, suggest
from d2midi_build.screening.criteria import CRITERIA
from d2midi_build.screening.page import data, page
from d2midi_build.screening.truth import LABELS, Truth
from tests.screening.test_criteria import GOOD

SEVERAL = next(criterion for criterion in CRITERIA if criterion.name == "several")
STILL = next(criterion for criterion in CRITERIA if criterion.name == "still")


def case(
    source: str, verdict: str, people: str, *takes: dict[str, Any], cuts_s: tuple[float, ...] = (),
    found_s: tuple[float, ...] = (),
) -> Case:  # fmt: skip
    labels = dict.fromkeys(LABELS, "") | {"people": people}
    truth = Truth(Path("v.mp4"), f"{source}.mp4", source, None, None, verdict, labels, cuts_s, "line 2")  # type: ignore[arg-type]
    return Case(truth, tuple(GOOD | take for take in takes or ({},)), (), found_s, 1 / 25)


def test_intervals_are_clopper_and_pearson_s() -> None:
    # The classic table values: 0 of 10 has the upper limit 1 - .025 ** (1 / 10); 5 of 10 is symmetric.
    low, high = Share(0, 10).interval
    assert (low, round(high, 6)) == (0.0, round(1 - 0.025**0.1, 6))
    low, high = Share(5, 10).interval
    assert (round(low, 4), round(high, 4)) == (0.1871, 0.8129)
    assert Share(0, 0).interval == (0.0, 1.0) and Share(0, 0).value is None
    assert str(Share(1, 4)) == "1 of 4 (1%-81%)"


def test_a_gap_is_parted_in_thirds() -> None:
    assert suggest(SEVERAL, [0.9, 0.6], [0.0, 0.3]) == pytest.approx((0.4, 0.5))
    assert suggest(STILL, [0.1], [0.7, 4.0]) == pytest.approx((0.5, 0.3))  # bad below
    assert suggest(SEVERAL, [0.2], []) is None


def test_where_they_overlap_no_good_row_is_rejected_and_few_are_reviewed() -> None:
    # From .1 to .2 one more bad row would be flagged, and a good one of four, which weighs five times as much.
    limits = suggest(SEVERAL, [0.2, 0.8, 0.9], [0.0, 0.1, 0.1, 0.3])
    assert limits == pytest.approx((0.3 + 0.5 / 3, 0.3 + 0.5 * 2 / 3))
    # No bad row beyond the worst good one: nothing is flagged.
    assert suggest(SEVERAL, [0.2, 0.3], [0.0, 1.0]) == pytest.approx((1.0, 1.0))


def test_the_decision_is_that_of_the_best_take_whatever_its_length() -> None:
    recipe = Recipe()
    assert case("a", "bad", "several", {"several_share": 0.9, "end_s": 9.0}).status(recipe) == "reject"
    two = case("a", "bad", "several", {"several_share": 0.9}, {"several_share": 0.2, "end_s": 5.0})
    assert two.status(recipe) == "review"
    # A flash of a second between two others decides nothing.
    brief = case("a", "bad", "several", {"several_share": 0.9}, {"end_s": 1.0})
    assert brief.status(recipe) == "reject"


def test_what_a_clip_s_stages_notice_makes_it_a_review() -> None:
    base = case("a", "good", "one")
    noticed = Case(base.truth, base.takes, (ClipNotes(("not_synchronised",), "not_synchronised"),))
    assert (base.status(Recipe()), noticed.status(Recipe()), noticed.sync) == (
        "accept",
        "review",
        "not_synchronised",
    )


@pytest.fixture
def found() -> Calibration:
    return calibrate(
        [
            case("one", "good", "one", {"several_share": 0.0}),
            case("two", "good", "one", {"several_share": 0.3}),
            case("three", "bad", "several", {"several_share": 0.9}),
            case("four", "bad", "several", {"several_share": 0.05}),
            case("five", "unclear", "one", {"several_share": 0.2}, cuts_s=(2.0, 4.0), found_s=(2.08, 3.0)),
        ],
        Recipe(),
    )


def test_confusion_and_criteria_are_counted(found: Calibration) -> None:
    assert found.decision.counts == {
        "good": {"accept": 1, "review": 0, "reject": 1},
        "unclear": {"accept": 0, "review": 1, "reject": 0},
        "bad": {"accept": 1, "review": 0, "reject": 1},
    }
    assert str(found.decision.share("bad", "accept")).startswith("1 of 2")
    assert [line.partition(":")[0] for line in found.decision.wrong] == ["two.mp4", "four.mp4"]
    assert (found.decision.review.k, found.decision.review.n) == (1, 5)
    several = next(result for result in found.criteria if result.criterion is SEVERAL)
    # Bad .9 and .05 against good 0, .3, .2: pairs in the right order 3 + 1 of 6.
    assert several.auc == pytest.approx(4 / 6)
    assert (several.recall_review.k, several.recall_review.n) == (1, 2)
    assert (several.false_review.k, several.false_review.n) == (2, 3)
    assert (several.precision.k, several.precision.n) == (1, 3)


def test_each_source_is_judged_by_what_the_others_chose(found: Calibration) -> None:
    # Without "four", bad .9 and good to .3: review above .5, so its .05 passes. Without "two", bad .05 and .9 and
    # good 0 and .2: review above .43, so its .3, which the recipe rejects, passes.
    assert found.held_out.counts["bad"] == {"accept": 1, "review": 0, "reject": 1}
    assert found.held_out.counts["good"] == {"accept": 2, "review": 0, "reject": 0}


def test_cuts_count_within_two_frames(found: Calibration) -> None:
    assert (found.cuts.found.k, found.cuts.found.n) == (
        1,
        2,
    )  # 2.08 is two frames of 1/25 s late, 4.0 is missed
    assert found.cuts.invented == ("five.mp4 at 3.00 s",)


def test_the_page_and_the_data_say_the_same(found: Calibration) -> None:
    text = page(found, Recipe(), "Title", "d2midi screen calibrate")
    assert "| bad | 1 of 2 (1%-99%) |" in text
    assert "four.mp4: bad, but accept" in text
    plain = data(found)
    assert plain["decision"]["bad_accepted"]["k"] == 1
    assert plain["criteria"]["several"]["suggested"] == pytest.approx((0.5, 0.7))
