"""Known answers for the measures of keypoint accuracy."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.clock import FPS
from d2midi_build.motion.skeleton import BODY_NAMES, LIMBS
from d2midi_build.synthetic.accuracy import left_right_swap_rate, motion_lag_ms, pa_mpjpe_cm, pck
from d2midi_build.synthetic.anatomy import Array
from d2midi_build.synthetic.dancer import choreograph
from d2midi_build.synthetic.render import Camera

TIMES = np.arange(10 * FPS) / FPS


@pytest.fixture(scope="module")
def stage() -> Array:
    return choreograph(np.random.default_rng(5), 110, 12).landmarks(TIMES)


def _figure() -> Array:
    """One frame with a torso of exactly 100 pixels."""
    xy = np.zeros((1, 33, 2))
    xy[0, [11, 12]] = [(130, 0), (70, 0)]
    xy[0, [23, 24]] = [(115, 100), (85, 100)]
    return xy


def test_pck_counts_joints_within_a_tenth_of_the_torso() -> None:
    true = _figure()
    pred = true.copy()
    pred[0, BODY_NAMES.index("left_wrist")] += (6, 8)  # exactly 10: in
    pred[0, BODY_NAMES.index("right_knee")] += (6.1, 8)  # just over: out
    pred[0, BODY_NAMES.index("nose")] += 500  # not scored
    assert pck(pred, true) == pytest.approx(11 / 12)
    assert pck(pred, true, alpha=0.09) == pytest.approx(10 / 12)


def test_pck_counts_a_missing_frame_as_missed() -> None:
    true = np.concatenate([_figure(), _figure()])
    pred = true.copy()
    pred[1] = np.nan
    assert pck(pred, true) == 0.5


def test_pa_mpjpe_forgives_position_size_and_direction(stage: Array) -> None:
    angle = 0.7
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    assert pa_mpjpe_cm(0.8 * stage @ turn + [1, 2, 3], stage) == pytest.approx(0, abs=1e-9)


def test_pa_mpjpe_does_not_forgive_a_mirror_image(stage: Array) -> None:
    assert pa_mpjpe_cm(stage * [-1, 1, 1], stage) > 3


def test_pa_mpjpe_of_a_hand_computed_case() -> None:
    # A square of side 2 whose corners are pushed alternately up and down by 3 cm: by symmetry no rotation
    # or shift helps; the best scale is 2 / (2 + .0009) of the flat square, so the error is sqrt(...).
    true = np.zeros((1, 33, 3))
    pred = np.zeros((1, 33, 3))
    corners = np.array([(1, 1, 0), (-1, 1, 0), (-1, -1, 0), (1, -1, 0)], dtype=float)
    true[0, :4] = corners
    pred[0, :4] = corners + 0.03 * np.array([(0, 0, 1), (0, 0, -1), (0, 0, 1), (0, 0, -1)])
    scale = 2 / (2 + 0.03**2)
    by_hand = 100 * np.sqrt(2 * (1 - scale) ** 2 + (0.03 * scale) ** 2)
    assert pa_mpjpe_cm(pred, true, joints=(0, 1, 2, 3)) == pytest.approx(by_hand, rel=1e-6)


def test_pa_mpjpe_leaves_missing_frames_out(stage: Array) -> None:
    pred = stage.copy()
    pred[3:9] = np.nan
    assert pa_mpjpe_cm(pred, stage) == pytest.approx(0, abs=1e-9)
    assert np.isnan(pa_mpjpe_cm(np.full_like(stage, np.nan), stage))


def test_swapped_sides_are_seen(stage: Array) -> None:
    joints = np.array(LIMBS)
    pred = stage + np.random.default_rng(0).normal(0, 0.02, stage.shape)
    assert left_right_swap_rate(pred, stage) == 0
    wrong = np.arange(len(stage)) % 4 == 0
    swapped = joints.reshape(-1, 2)[:, ::-1].ravel()
    for frame in np.flatnonzero(wrong):
        pred[frame, joints] = pred[frame, swapped]
    assert left_right_swap_rate(pred, stage) == 0.25


@pytest.mark.parametrize("lag_ms", [-120.0, -33.0, 0.0, 7.0, 25.0, 90.0])
def test_planted_lags_are_recovered_within_two_milliseconds(lag_ms: float) -> None:
    dance = choreograph(np.random.default_rng(8), 120, 12)
    camera = Camera.framing(640, 480)
    true = camera.project(dance.landmarks(TIMES))
    late = camera.project(dance.landmarks(TIMES - lag_ms / 1000))
    # Constant placement errors, damping and gaps do not move it.
    pred = 0.8 * late + np.random.default_rng(0).normal(0, 5, (1, 33, 2))
    pred[50:60] = np.nan
    assert motion_lag_ms(pred, true) == pytest.approx(lag_ms, abs=2.0)


def test_noise_hardly_moves_the_lag(stage: Array) -> None:
    pred = stage + np.random.default_rng(0).normal(0, 0.02, stage.shape)
    assert motion_lag_ms(pred, stage) == pytest.approx(0, abs=2.0)


def test_nothing_moves_is_an_error() -> None:
    still = np.ones((100, 33, 2))
    with pytest.raises(ValueError, match="constant"):
        motion_lag_ms(still, still)
    with pytest.raises(ValueError, match="same frames"):
        pck(still, still[:50])
