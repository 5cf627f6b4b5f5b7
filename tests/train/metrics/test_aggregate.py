"""Means over clips, intervals over sources."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.train.metrics.aggregate import Bootstrap


def _bootstrap(sources: list[str], seed: int = 0) -> Bootstrap:
    return Bootstrap(sources, np.random.default_rng(seed))


def test_the_mean_is_over_clips_and_none_is_counted() -> None:
    found = _bootstrap(["a", "a", "a", "b", "c"]).mean([1.0, 1.0, None, 0.0, None])
    assert (found.mean, found.n, found.n_none, found.n_sources) == (pytest.approx(2 / 3), 3, 2, 2)


def test_many_clips_of_one_source_are_not_many_sources() -> None:
    # Two videos, one always right and one never: half of the draws hold one of them twice.
    values = [1.0] * 50 + [0.0] * 50
    wide = _bootstrap(["a"] * 50 + ["b"] * 50).mean(values)
    assert (wide.low, wide.high) == (0.0, 1.0)
    narrow = _bootstrap([str(i) for i in range(100)]).mean(values)
    assert narrow.low == pytest.approx(0.4, abs=0.03) and narrow.high == pytest.approx(0.6, abs=0.03)


def test_one_source_gives_no_interval() -> None:
    found = _bootstrap(["a", "a", "b"]).mean([0.2, 0.4, None])
    assert (found.mean, found.low, found.high, found.n_sources) == (pytest.approx(0.3), None, None, 1)


def test_nothing_has_no_mean() -> None:
    found = _bootstrap(["a", "b"]).mean([None, None])
    assert (found.mean, found.low, found.n, found.n_none) == (None, None, 0, 2)
    assert _bootstrap([]).mean([]).mean is None


def test_the_interval_holds_the_truth_about_95_times_in_100() -> None:
    rng = np.random.default_rng(5)
    sources = [str(i // 3) for i in range(90)]
    held = 0
    for seed in range(300):
        # Three clips of each of 30 sources, alike within a source.
        values = np.repeat(rng.normal(0.5, 0.2, 30), 3) + rng.normal(0, 0.05, 90)
        found = Bootstrap(sources, np.random.default_rng(seed), 400).mean(values.tolist())
        assert found.low is not None and found.high is not None
        held += found.low <= 0.5 <= found.high
    assert 0.89 <= held / 300 <= 0.98


def test_the_same_seed_gives_the_same_interval() -> None:
    sources, values = [str(i) for i in range(20)], np.random.default_rng(1).random(20).tolist()
    assert _bootstrap(sources).mean(values) == _bootstrap(sources).mean(values)
    assert _bootstrap(sources).mean(values) != _bootstrap(sources, 1).mean(values)


def test_f1_of_means_is_not_the_mean_of_f1() -> None:
    # F1 of each clip is 2/3 and 2/3; of the means 0.75 and 0.75 it is 0.75.
    found = _bootstrap(["a", "b"]).f1_of_means([1.0, 0.5], [0.5, 1.0])
    assert (found.mean, found.n) == (0.75, 2)
    assert found.low == pytest.approx(2 / 3) and found.high == pytest.approx(0.75)
    assert _bootstrap(["a", "b"]).f1_of_means([0.0, 0.0], [0.0, 0.0]).mean == 0.0
    assert _bootstrap(["a", "b"]).f1_of_means([0.5, 0.5], [None, None]).mean is None


def test_one_value_per_clip_is_asked_for() -> None:
    with pytest.raises(ValueError, match="3 values for 2 clips"):
        _bootstrap(["a", "b"]).mean([1.0, 1.0, 1.0])
