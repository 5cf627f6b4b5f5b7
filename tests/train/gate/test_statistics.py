"""The gate's statistics: by hand, against published figures, and on simulated sources."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binom

from d2midi_build.train.gate.statistics import (
    Gap,
    cluster_means,
    holm,
    mean_gap,
    power,
    power_told,
    sign_flip_p,
    smallest_gap,
    sources_needed,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_p_of_three_gaps_is_counted_by_hand() -> None:
    # Sums of +-1 +-2 +-3: 6, 4, 2, 0, 0, -2, -4, -6.
    assert sign_flip_p([1, 2, 3], rng()) == 1 / 8
    assert sign_flip_p([-1, 2, 3], rng()) == 2 / 8
    assert sign_flip_p([1, 2, -3], rng()) == 5 / 8
    assert sign_flip_p([-1, -2, -3], rng()) == 1.0


def test_gaps_of_nothing_have_a_p_of_one() -> None:
    assert sign_flip_p([0.0, 0.0, 0.0], rng()) == 1.0
    assert sign_flip_p(np.zeros(30), rng()) == 1.0


def test_the_exact_p_is_that_of_trying_every_sign() -> None:
    gaps = rng(1).normal(0.2, 1, 9)
    sums = [np.dot(signs, gaps) for signs in itertools.product((1, -1), repeat=9)]
    assert sign_flip_p(gaps, rng()) == np.mean(np.array(sums) >= gaps.sum() - 1e-12)


def test_equal_sums_count_though_their_last_bits_differ() -> None:
    assert sign_flip_p([0.1, 0.2, 0.3], rng()) == sign_flip_p([1, 2, 3], rng())
    assert sign_flip_p([0.1, 0.2, -0.3], rng()) == 5 / 8


def test_with_many_sources_p_is_drawn_never_zero_and_near_the_exact_one() -> None:
    assert sign_flip_p(np.ones(40), rng()) == 1 / 20_001
    gaps = rng(2).normal(0.4, 1, 15)
    sums = np.array([np.dot(signs, gaps) for signs in itertools.product((1.0, -1.0), repeat=15)])
    assert sign_flip_p(gaps, rng()) == pytest.approx(np.mean(sums >= gaps.sum() - 1e-12), abs=0.01)
    assert sign_flip_p(gaps, rng(5)) == sign_flip_p(gaps, rng(5))


@pytest.mark.parametrize("n", [8, 18])
def test_sources_without_any_gap_are_called_significant_no_more_often_than_the_level(n: int) -> None:
    runs, level, draw = 300, 0.05, rng(11)
    # Skewed sizes, symmetric signs: what the test supposes, and no more.
    gaps = draw.exponential(size=(runs, n)) * draw.choice([-1.0, 1.0], (runs, n))
    found = sum(sign_flip_p(each, draw) <= level for each in gaps)
    low, high = binom.ppf([0.001, 0.999], runs, level)
    assert low <= found <= high


def test_holm_is_computed_by_hand() -> None:
    # .01 x 3; then .03 x 2 = .06; then .04 x 1, at least the .06 before it.
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}
    with pytest.raises(ValueError, match=r"p of b is 1\.5"):
        holm({"a": 0.1, "b": 1.5})


def test_clips_are_averaged_within_their_source() -> None:
    means, names = cluster_means([1.0, 3.0, 5.0], ["b", "b", "a"])
    assert means.tolist() == [5.0, 2.0]
    assert names == ("a", "b")
    with pytest.raises(ValueError, match="1 sources"):
        cluster_means([1.0, 2.0], ["a"])


def test_a_mean_gap_has_the_interval_of_its_bootstrap() -> None:
    found = mean_gap([1.0, 2.0, 3.0, 4.0], rng())
    assert (found.mean, found.n) == (2.5, 4)
    assert found.spread == pytest.approx(np.sqrt(5 / 3))
    assert found.ci is not None
    assert 1.0 <= found.ci[0] < 2.5 < found.ci[1] <= 4.0
    alone = mean_gap([0.3], rng())
    assert (alone.ci, alone.spread) == (None, None)


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    draw, hits = rng(3), 0
    for _ in range(200):
        low, high = mean_gap(draw.normal(1.0, 1.0, 30), draw).ci or (0.0, 0.0)
        hits += low <= 1.0 <= high
    assert binom.ppf(0.001, 200, 0.91) <= hits <= binom.ppf(0.9999, 200, 0.96)


def test_half_a_standard_deviation_takes_27_sources_as_every_table_of_power_says() -> None:
    # One-sided one-sample t test, d = .5, alpha .05, power .80: 27 (two-sided, as most tables print it, 34).
    assert sources_needed(0.5, 1.0, 0.05) == 27
    assert power(0.5, 1.0, 27, 0.05) >= 0.8 > power(0.5, 1.0, 26, 0.05)
    assert sources_needed(5.0, 10.0, 0.05) == 27


def test_with_many_sources_the_smallest_gap_is_that_of_the_normal_distribution() -> None:
    # (1.6449 + 0.8416) x spread / sqrt(n)
    assert smallest_gap(2.0, 400, 0.05) == pytest.approx(2.4865 * 2 / 20, rel=0.01)


def test_gap_and_number_of_sources_are_each_other_inverse() -> None:
    for n in (8, 12, 30, 100):
        gap = smallest_gap(0.7, n, 0.01)
        assert gap is not None
        assert sources_needed(gap * 1.0001, 0.7, 0.01) == n


def test_fewer_sources_than_their_signs_need_show_nothing() -> None:
    assert smallest_gap(1.0, 6, 0.01) is None  # 2^-6 = .0156
    assert smallest_gap(1.0, 7, 0.01) is not None  # 2^-7 = .0078
    assert power(100.0, 1.0, 6, 0.01) == 0.0
    assert power(100.0, 1.0, 7, 0.01) == 1.0
    assert sources_needed(100.0, 1.0, 0.01) == 7
    assert sources_needed(0.0, 1.0, 0.01) is None
    assert sources_needed(1e-9, 1.0, 0.01) is None
    assert sources_needed(1.0, 0.0, 0.01) == 7


def test_the_smallest_gap_is_found_in_about_four_of_five_simulated_releases() -> None:
    draw, n, alpha, runs = rng(4), 12, 0.05, 250
    gap = smallest_gap(1.0, n, alpha)
    found = sum(sign_flip_p(draw.normal(gap, 1.0, n), draw) <= alpha for _ in range(runs))
    assert binom.ppf(0.001, runs, 0.77) <= found <= binom.ppf(0.999, runs, 0.83)


def test_power_is_told_with_the_number_of_sources_needed() -> None:
    told = power_told(Gap(0.5, 0.1, 0.9, 12, 1.0), 0.05)
    smallest = smallest_gap(1.0, 12, 0.05)
    assert told == (
        f"with 12 sources a gap of {smallest:.3g} would be detected with 80% (level 0.05); "
        "if the gap seen, 0.5, is real, 27 sources would show it"
    )
    assert power_told(Gap(-0.5, -0.9, -0.1, 12, 1.0), 0.05).endswith("none that more sources would show")
    few = power_told(Gap(5.0, 4.0, 6.0, 5, 1.0), 0.01)
    assert few.startswith("5 sources show no gap at a level of 0.01, 7 are needed at least")
    assert "nothing is known" in power_told(Gap(0.5, None, None, 1, None), 0.05)


@pytest.mark.parametrize("gaps", [[], [1.0, float("nan")], [[1.0]]])
def test_gaps_that_are_none_are_refused(gaps: list[float]) -> None:
    with pytest.raises(ValueError, match="one finite gap per source"):
        sign_flip_p(gaps, rng())
    with pytest.raises(ValueError, match="one finite gap per source"):
        mean_gap(gaps, rng())


def test_power_without_spread_is_refused() -> None:
    with pytest.raises(ValueError, match="spread is 0"):
        power(1.0, 0.0, 10, 0.05)
