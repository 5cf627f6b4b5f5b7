"""What models see of a dance, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from d2midi_build.motion.skeleton import BODY_NAMES
from d2midi_build.train.gate.dances import JOINTS, N_FEATURES, features

FRAMES = 12
NOSE, WRIST = 0, BODY_NAMES.index("right_wrist")
SPEED = 2 * len(JOINTS)
"""Column of the first joint's speed."""


def standing(n_frames: int = FRAMES) -> npt.NDArray[Any]:
    """A body that does not move: its shoulders 0.3 of the picture's height above its hips."""
    body = np.full((n_frames, len(BODY_NAMES), 3), 0.5)
    for name, down in (("shoulder", 0.3), ("hip", 0.6)):
        for side, across in (("left", 0.4), ("right", 0.6)):
            body[:, BODY_NAMES.index(f"{side}_{name}"), :2] = across, down
    return body


def drifting() -> npt.NDArray[Any]:
    """One whose nose goes 0.01 of the picture's width to the right and 0.006 of its height up, each frame."""
    body = standing()
    body[:, NOSE, 0] += 0.01 * np.arange(FRAMES)
    body[:, NOSE, 1] -= 0.006 * np.arange(FRAMES)
    return body


ALL = np.ones(FRAMES, np.bool_)


def test_velocity_is_in_thirds_of_torso_lengths_per_second() -> None:
    found = features(drifting(), ALL, 2.0)
    # In heights of the picture 0.02 a frame and 0.4 a second across, 0.12 up; the torso is 0.3 of them.
    across, up = 0.4 / 0.3 / 3, 0.12 / 0.3 / 3
    assert found.shape == (FRAMES, N_FEATURES) == (12, 39) and found.dtype == np.float16
    assert found[:, 0] == pytest.approx(across, rel=2e-3)
    assert found[:, 1] == pytest.approx(-up, rel=2e-3)
    assert found[:, SPEED] == pytest.approx(np.hypot(across, up), rel=2e-3)
    assert not np.delete(found, [0, 1, SPEED], axis=1).any()


def test_columns_are_of_joints_in_their_order_velocities_first() -> None:
    body = standing()
    body[:, WRIST, 1] += 0.003 * np.arange(FRAMES)
    place = JOINTS.index(WRIST)
    moved = np.flatnonzero(features(body, ALL, 1.0).any(axis=0))
    assert moved.tolist() == [2 * place + 1, SPEED + place]


def test_a_jump_is_spread_over_four_frames() -> None:
    body = standing()
    body[5:, NOSE, 0] += 0.09
    found = features(body, ALL, 1.0)[:, 0]
    # Half of it in frames 4 and 5 each, then a quarter, a half and a quarter of those: 0.09 * 20 / 0.3 / 3 = 2.
    assert found[3:7] == pytest.approx([0.25, 0.75, 0.75, 0.25], rel=2e-3)
    assert not np.delete(found, [3, 4, 5, 6]).any()


def test_size_and_place_of_the_body_change_nothing() -> None:
    far = drifting() * 0.5 + 0.2
    assert features(far, ALL, 1.5) == pytest.approx(features(drifting(), ALL, 1.5), abs=2e-3)


@pytest.mark.parametrize("junk", [np.nan, 7.0])
def test_frames_without_a_body_are_bridged_whatever_they_hold(junk: float) -> None:
    body, present = drifting(), ALL.copy()
    present[[4, 5, 8]] = False
    body[~present] = junk
    assert features(body, present, 2.0) == pytest.approx(features(drifting(), ALL, 2.0), abs=1e-3)


def test_a_joint_that_is_no_number_is_bridged_though_the_body_is_there() -> None:
    body = drifting()
    body[6, WRIST, 1] = np.nan
    assert features(body, ALL, 2.0) == pytest.approx(features(drifting(), ALL, 2.0), abs=1e-3)


def test_before_the_body_is_seen_and_after_it_stands_still() -> None:
    present = ALL.copy()
    present[:4] = present[9:] = False
    found = features(drifting(), present, 2.0)
    # Velocity lives in frames 4 to 8, and by smoothing and central differences two frames beyond.
    assert not found[:2].any() and not found[11:].any()
    assert found[6] == pytest.approx(features(drifting(), ALL, 2.0)[6], abs=1e-3)


def test_what_is_faster_than_limbs_are_is_cut() -> None:
    body = standing()
    body[6:, NOSE, 0] -= 5.0
    found = features(body, ALL, 1.0)
    assert found.min() == -4.0 and found.max() == 4.0
    assert found[5, 0] == -4.0 and found[5, SPEED] == 4.0


@pytest.mark.parametrize("seen", [[], [3]])
def test_without_two_frames_of_a_body_there_is_nothing(seen: list[int]) -> None:
    present = np.zeros(FRAMES, np.bool_)
    present[seen] = True
    found = features(np.full((FRAMES, 33, 2), np.nan), present, 1.0)
    assert found.shape == (FRAMES, 39) and not found.any()
    assert not features(drifting(), present, 1.0).any()


def test_of_a_body_without_size_and_of_no_frames_there_is_nothing() -> None:
    assert not features(np.full((FRAMES, 33, 2), 0.5), ALL, 1.0).any()
    assert features(np.empty((0, 33, 2)), np.empty(0, np.bool_), 1.0).shape == (0, 39)
