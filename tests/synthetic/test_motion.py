"""A made-up tracker: its points are where the dancer's are, and its tracks weigh what real ones do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from d2midi_build.motion.keypoints import Keypoints, write_frames
from d2midi_build.motion.skeleton import BODY_NAMES, HIPS
from d2midi_build.synthetic.dancer import Dance, choreograph
from d2midi_build.synthetic.motion import PRESENT, tracked
from d2midi_build.synthetic.render import Camera

CAMERA = Camera.framing(640, 360)
TIMES_S = np.arange(600) / 20
NOSE = BODY_NAMES.index("nose")


@pytest.fixture(scope="module")
def dance() -> Dance:
    return choreograph(np.random.default_rng(0), 110, 60)


@pytest.fixture(scope="module")
def found(dance: Dance) -> Keypoints:
    return tracked(dance, TIMES_S, CAMERA, np.random.default_rng(1))


def test_points_in_the_image_are_near_the_projected_joints(dance: Dance, found: Keypoints) -> None:
    pixels = found.body_image[..., :2] * (640, 360)
    error = np.abs(pixels - CAMERA.project(dance.landmarks(TIMES_S)))
    assert np.median(error) < 0.5
    assert error.max() < 5


def test_world_points_are_metres_from_the_hips(dance: Dance, found: Keypoints) -> None:
    assert np.abs(found.body_world[:, HIPS].mean(axis=(0, 1))).max() < 0.001
    height = np.median(found.body_world[:, NOSE, 1])
    assert -0.75 < height < -0.55  # the nose is up, y is down


def test_hands_and_face_lie_where_the_body_has_them(found: Keypoints) -> None:
    there = found.present_left_hand
    wrist = found.body_image[there, BODY_NAMES.index("left_wrist"), :2]
    assert np.median(np.abs(found.left_hand[there, 0, :2] - wrist)) < 0.005
    middle = found.face[..., :2].mean(axis=1)
    assert np.median(np.abs(middle - found.body_image[:, NOSE, :2])) < 0.03


def test_hands_are_lost_as_often_as_measured(dance: Dance) -> None:
    long_s = np.arange(4_000) / 20
    present = tracked(dance, long_s, CAMERA, np.random.default_rng(2)).present_left_hand
    share, changes = PRESENT["left_hand"]
    assert present.mean() == pytest.approx(share, abs=0.03)
    assert np.mean(present[1:] != present[:-1]) == pytest.approx(changes, abs=0.01)


def test_the_same_seed_gives_the_same_track(dance: Dance, found: Keypoints) -> None:
    again = tracked(dance, TIMES_S, CAMERA, np.random.default_rng(1))
    assert np.array_equal(again.face, found.face)
    assert np.array_equal(again.right_hand, found.right_hand, equal_nan=True)


def test_a_track_weighs_what_real_ones_do(dance: Dance, tmp_path: Path) -> None:
    seen = tracked(dance, TIMES_S, Camera.framing(640, 640), np.random.default_rng(3))
    write_frames(tmp_path / "frames.parquet", seen.to_table(TIMES_S))
    weight = (tmp_path / "frames.parquet").stat().st_size / len(TIMES_S)
    assert weight == pytest.approx(2_390, rel=0.1)  # bytes per frame of the demo's three clips
