"""The study's statistics: by hand, against published figures, and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import PermutationMethod, wilcoxon

from d2midi_build.annotate.study.statistics import (
    interval,
    krippendorff_alpha,
    signed_rank_p,
    summarise,
)
from tests.annotate.study.making import ratings


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_alpha_of_krippendorff_s_own_example_is_his() -> None:
    # "Computing Krippendorff's alpha-reliability" (2011), example C, for ordinal data: .815. 0 is "not observed".
    observers = (
        (1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0),
        (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3),
        (0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0),
        (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0),
    )
    units = [[value for value in unit if value] for unit in zip(*observers, strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(0.815, abs=0.0005)


def test_alpha_of_two_raters_is_counted_by_hand() -> None:
    # Units 1-1, 1-2, 2-2: o_11 = 2, o_22 = 2, o_12 = o_21 = 1; n_1 = n_2 = 3. With two ranks the distance cancels:
    # 1 - 5 * 2 / (2 * 9) = 4 / 9.
    assert krippendorff_alpha([[1, 1], [1, 2], [2, 2]]) == pytest.approx(4 / 9)


def test_alpha_is_one_where_all_agree_and_undefined_where_nothing_varies() -> None:
    assert krippendorff_alpha([[1, 1, 1], [5, 5], [3, 3]]) == 1
    assert krippendorff_alpha([[3, 3], [3, 3]]) is None
    assert krippendorff_alpha([[1], [2], []]) is None


def test_alpha_of_raters_at_random_is_about_zero() -> None:
    assert krippendorff_alpha(rng().integers(1, 6, (2000, 3)).tolist()) == pytest.approx(0, abs=0.03)


def test_signed_ranks_of_four_are_counted_by_hand() -> None:
    # Ranks 1-4 all positive: one of 16 signs is as high, doubled.
    assert signed_rank_p(np.array([0.1, 0.2, 0.3, 0.4, 0.0])) == 2 / 16
    # 1, 2, 3 against 4: sums up of at most 4 are {}, 1, 2, 3, 4, 1+2, 1+3: 7 of 16.
    assert signed_rank_p(np.array([-0.1, -0.2, -0.3, 0.4])) == 14 / 16


@pytest.mark.parametrize("n", [5, 14, 50])
def test_signed_ranks_without_ties_agree_with_scipy(n: int) -> None:
    gaps = rng(n).normal(0.3, 1, n)
    assert signed_rank_p(gaps) == pytest.approx(wilcoxon(gaps, method="exact").pvalue)


def test_signed_ranks_with_ties_agree_with_scipy_s_permutations() -> None:
    gaps = np.array([1, 1, -1, 2, 2, 3, -0.5, 0.5])
    assert signed_rank_p(gaps) == pytest.approx(
        wilcoxon(gaps, method=PermutationMethod(n_resamples=10_000)).pvalue
    )


def test_signed_ranks_of_nothing_are_no_evidence() -> None:
    assert signed_rank_p(np.zeros(4)) == 1 and signed_rank_p(np.array([])) == 1


def test_differences_that_rounding_parts_are_ties() -> None:
    assert signed_rank_p(np.array([0.1 + 0.2, -0.3, 0.3, 0.3])) == signed_rank_p(np.array([1, -1, 1, 1]))


def test_many_differences_are_tested_too() -> None:
    assert signed_rank_p(np.full(201, 1.0) + np.arange(201) / 1000) < 1e-9


def test_the_interval_of_one_rater_is_the_bootstrap_over_dances() -> None:
    values = rng(1).integers(1, 6, (40, 1)).astype(float)
    low, high = interval(values, rng()) or (0, 0)
    half = 1.96 * values.std() / np.sqrt(40)
    assert low == pytest.approx(values.mean() - half, abs=0.05)
    assert high == pytest.approx(values.mean() + half, abs=0.05)


def test_the_interval_knows_that_raters_are_few() -> None:
    # 100 dances rated alike by everybody, but one rater is severe: over dances alone nothing would vary.
    values = np.repeat([[2.0, 4.0, 4.0]], 100, axis=0)
    low, high = interval(values, rng()) or (0, 0)
    # Means of three draws of 2, 4, 4: all are 2 with 1 / 27, more than a fortieth.
    assert low == pytest.approx(2) and high == pytest.approx(4)


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    hits = 0
    for trial in range(120):
        noise = rng(trial)
        values = (
            3 + noise.normal(0, 0.5, (20, 1)) + noise.normal(0, 0.5, (1, 12)) + noise.normal(0, 0.5, (20, 12))
        )
        low, high = interval(values, noise, draws=500) or (0, 0)
        hits += low <= 3 <= high
    assert 104 <= hits <= 120  # 95 % of 120 is 114; few raters make a bootstrap a little narrow


def test_of_one_dance_and_one_rater_there_is_no_interval() -> None:
    assert interval(np.array([[3.0]]), rng()) is None
    assert interval(np.full((3, 3), np.nan), rng()) is None
    assert interval(np.array([[3.0, np.nan], [np.nan, np.nan]]), rng()) is None


def test_an_interval_is_told_from_five_dances_and_raters_on() -> None:
    for n_dances, n_raters, told in ((5, 5, True), (4, 9, False), (9, 4, False)):
        rows = rng(2).integers(1, 6, (n_dances, n_raters)).tolist()
        found = summarise(ratings({"ours": rows, "truth": rows}), ("ours", "truth"), rng())
        assert all((each.low is not None) == told for each in found.scores)


def test_means_spreads_and_counts_are_those_of_the_ratings() -> None:
    found = summarise(
        ratings({"ours": [[1, 3], [5, None]], "truth": [[4, 4], [5, 5]]}), ("ours", "truth"), rng()
    )
    ours = next(each for each in found.scores if each.method == "ours" and each.question == "consistency")
    assert (ours.mean, ours.spread, ours.n_ratings, ours.n_raters, ours.n_dances) == (3.0, 2.0, 3, 2, 2)
    assert (ours.low, ours.high) == (None, None), "two dances and two raters are too few"
    noise = [each for each in found.scores if each.question == "noise"]
    assert [(each.mean, each.spread, each.low) for each in noise] == [(3.0, 0.0, None)] * 2


def test_methods_are_compared_where_the_same_person_rated_both() -> None:
    # Dance 0: 1-4 and 3-4; dance 1: 5-5 by the first rater alone, whatever the second gives truth.
    found = summarise(
        ratings({"ours": [[1, 3], [5, None]], "truth": [[4, 4], [5, 1]]}), ("ours", "truth"), rng()
    )
    consistency = found.comparisons[0]
    assert (consistency.one, consistency.other, consistency.n_dances) == ("ours", "truth", 2)
    assert consistency.difference == pytest.approx((-2 + 0) / 2)
    assert consistency.p == 1.0


def test_a_difference_on_many_dances_is_found_and_adjusted_for_all_pairs() -> None:
    scores: dict[str, list[list[int | None]]] = {"a": [[1, 2]] * 8, "b": [[4, 5]] * 8, "c": [[4, 5]] * 8}
    found = {
        (each.one, each.other): each for each in summarise(ratings(scores), "abc", rng()).comparisons[:3]
    }
    assert found["a", "b"].p == 2 / 256 and found["a", "b"].p_holm == pytest.approx(6 / 256)
    assert found["b", "c"].p_holm == 1


def test_methods_without_a_rating_are_left_out_and_agreement_needs_two_raters() -> None:
    found = summarise(ratings({"ours": [[1], [2]], "truth": [[None], [None]]}), ("ours", "truth"), rng())
    assert {each.method for each in found.scores} == {"ours"} and not found.comparisons
    assert [(each.alpha, each.n_stimuli) for each in found.agreement] == [(None, 0), (None, 0)]


def test_the_same_seed_gives_the_same_intervals() -> None:
    made = ratings({"ours": [[1, 3], [5, 2]], "truth": [[4, 4], [5, 5]]})
    assert summarise(made, ("ours", "truth"), rng(3)) == summarise(made, ("ours", "truth"), rng(3))
