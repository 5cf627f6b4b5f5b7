"""MediaPipe, as the pipeline runs it, agrees with the dancer's known joints."""

from __future__ import annotations

import pytest

from d2midi_build.synthetic.accuracy import left_right_swap_rate, pa_mpjpe_cm, pck
from tests.synthetic.holistic import compare


def test_mediapipe_finds_a_frontal_dancer_where_it_is() -> None:
    result = compare(seed=12, bpm=96, duration_s=3.0, yaw_deg=0, look=1)
    body, left, right, face = result.found
    assert body == 1
    assert min(left, right, face) > 0.8
    assert pck(result.pred_xy, result.true_xy) >= 0.95
    assert pa_mpjpe_cm(result.pred_world, result.true_world) <= 6
    assert left_right_swap_rate(result.pred_xy, result.true_xy) <= 0.01


@pytest.mark.slow
@pytest.mark.parametrize("yaw", [-45, 45])
def test_mediapipe_still_works_from_the_side(yaw: float) -> None:
    result = compare(seed=12, bpm=96, duration_s=10.0, yaw_deg=yaw, look=1)
    assert pck(result.pred_xy, result.true_xy, 0.2) >= 0.95
    assert left_right_swap_rate(result.pred_xy, result.true_xy) <= 0.02
