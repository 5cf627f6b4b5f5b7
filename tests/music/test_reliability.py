"""Calibration and intervals on hand-counted cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2midi_build.music.reliability import Mean, calibration, mean_with_interval


def test_calibration_by_hand() -> None:
    curve = calibration([0.2, 0.3 - 1e-3, 0.9, 1.0], [True, False, True, True])
    assert curve.n.tolist() == [0, 0, 2, 0, 0, 0, 0, 0, 0, 2]
    assert curve.error == pytest.approx((abs(0.2495 - 0.5) * 2 + abs(0.95 - 1) * 2) / 4)
    assert curve.share[2] == 0.5
    assert math.isnan(curve.mean[0])
    assert calibration(np.float32([0.3, 0.7]), [True, True]).n[[3, 7]].tolist() == [1, 1]
    assert calibration([], []).error is None
    with pytest.raises(ValueError, match="0-1"):
        calibration([1.5], [True])
    with pytest.raises(ValueError, match="shape"):
        calibration([0.5], [True, False])


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_calibration_counts_everything_and_errs_by_one_at_most(pairs: list[tuple[float, bool]]) -> None:
    curve = calibration([p for p, _ in pairs], [right for _, right in pairs])
    assert curve.n.sum() == len(pairs)
    assert curve.error is not None
    assert 0 <= curve.error <= 1


def test_the_interval_holds_the_mean_and_is_the_same_every_time() -> None:
    values = [0.2, None, 0.4, 0.9, 0.5]
    mean = mean_with_interval(values, np.random.default_rng(1))
    assert mean == mean_with_interval(values, np.random.default_rng(1))
    assert (mean.value, mean.n) == (pytest.approx(0.5), 4)
    assert mean.low is not None
    assert mean.high is not None
    assert 0.2 <= mean.low < 0.5 < mean.high <= 0.9
    assert mean_with_interval([None], np.random.default_rng(1)) == Mean(None, None, None, 0)
    one = mean_with_interval([0.3], np.random.default_rng(1))
    assert (one.low, one.high) == (pytest.approx(0.3), pytest.approx(0.3))
