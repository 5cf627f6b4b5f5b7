"""Figures of sums with intervals over sources."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.annotate.figures import Figure, Resampling, f1, kappa, ratio
from d2midi_build.train.metrics.aggregate import Bootstrap


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_counts_are_added_up_before_they_are_divided() -> None:
    found = Resampling(["a", "a", "b"], rng()).figure([(1, 1), (0, 3), (2, 4)], ratio)
    assert (found.value, found.n, found.n_sources) == (3 / 8, 3, 2)
    # Draws are aa, ab, bb: 2 of 8, 3 of 8, 4 of 8.
    assert (found.low, found.high) == (0.25, 0.5)


def test_of_one_source_nothing_is_known_of_how_sources_differ() -> None:
    assert Resampling(["a", "a"], rng()).figure([(1, 2), (3, 4)], ratio) == Figure(4 / 6, None, None, 2, 1)
    assert Resampling([], rng()).figure(np.empty((0, 2)), ratio) == Figure(None, None, None, 0, 0)
    assert Resampling(["a", "b"], rng()).figure([(0, 0), (0, 0)], ratio) == Figure(None, None, None, 2, 2)
    with pytest.raises(ValueError, match=r"counts have shape \(1, 2\) for 2 sheets"):
        Resampling(["a", "b"], rng()).figure([(0, 0)], ratio)


def test_where_all_sheets_weigh_the_same_it_is_the_mean_that_evaluation_reports() -> None:
    sources = [f"v{k % 7}" for k in range(40)]
    values = np.random.default_rng(1).random(40)
    mine = Resampling(sources, rng()).figure(np.stack([values, np.ones(40)], axis=1), ratio)
    other = Bootstrap(sources, rng()).mean(values.tolist())
    assert (mine.value, mine.low, mine.high) == pytest.approx((other.mean, other.low, other.high))


def test_f1_is_of_matched_and_both_counts() -> None:
    assert f1(np.array([[3, 4, 6], [0, 0, 0]])).tolist()[0] == 0.6
    assert np.isnan(f1(np.array([[0.0, 0, 0]])))[0]


def test_kappa_is_cohens() -> None:
    # Two raters of 50 with yes/no: 20 both yes, 15 both no, 5 and 10 apart: .7 observed, .5 by chance.
    assert kappa(np.array([[20.0, 5, 10, 15]]))[0] == pytest.approx(0.4)
    assert kappa(np.array([[30.0, 0, 0, 20]]))[0] == 1
    assert kappa(np.array([[0.0, 25, 25, 0]]))[0] == -1
    assert np.isnan(kappa(np.array([[7.0, 0, 0, 0]])))[0], "both know one class only"
    assert kappa(np.array([[0.0, 7, 0, 0]]))[0] == 0, "one each, and not the same"
    assert np.isnan(kappa(np.zeros((1, 9))))[0]


@given(st.lists(st.integers(0, 12), min_size=2, max_size=60), st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_kappa_is_that_of_scikit_learn(labels: list[int], seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    mine = np.array(labels)
    theirs = np.where(np.random.default_rng(seed).random(len(mine)) < 0.5, mine, mine[::-1])
    table = np.zeros((13, 13))
    np.add.at(table, (mine, theirs), 1)
    found = kappa(table.reshape(1, -1))[0]
    if len({*mine.tolist(), *theirs.tolist()}) == 1:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(metrics.cohen_kappa_score(mine, theirs))


def test_it_is_told_with_its_interval() -> None:
    assert Figure(0.82, 0.75, 0.881, 9, 4).told() == "82% (75%-88%)"
    assert Figure(12.34, None, None, 9, 1).told(".1f") == "12.3"
    assert Figure(None, None, None, 0, 0).told() == "-"
