"""The skeleton over the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from d2midi_build.motion.keypoints import PRESENCES, Keypoints
from d2midi_build.motion.skeleton import BODY_NAMES
from d2midi_build.report.skeleton import FACE, LEFT, RIGHT, draw_skeleton
from tests.report.clips import standing


def only(presence: str, keypoints: Keypoints) -> Keypoints:
    """The keypoints with one part left."""
    changes: dict[str, npt.NDArray[np.generic]] = {}
    for name in PRESENCES:
        if name != presence:
            changes[f"present_{name}"] = np.zeros(len(keypoints), np.bool_)
            parts = ("body_image", "body_world", "body_visibility") if name == "body" else (name,)
            changes |= {part: np.full_like(keypoints.points(part), np.nan) for part in parts}
    return replace(keypoints, **changes)  # type: ignore[arg-type]


def colours(image: npt.NDArray[np.uint8]) -> set[tuple[int, ...]]:
    return {tuple(int(value) for value in colour) for colour in np.unique(image.reshape(-1, 3), axis=0)}


def test_a_missing_part_is_not_drawn() -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    draw_skeleton(image, standing(3, missing=[1]), 1)
    assert not image.any()


@pytest.mark.parametrize(("presence", "colour"), [("left_hand", LEFT), ("right_hand", RIGHT), ("face", FACE)])
def test_each_part_is_drawn_alone_in_its_colour(presence: str, colour: tuple[int, int, int]) -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    draw_skeleton(image, only(presence, standing(1)), 0)
    found = colours(image)
    assert colour in found
    assert not {LEFT, RIGHT, FACE} - {colour} & found


def test_a_limb_lies_between_its_joints() -> None:
    keypoints = standing(1)
    body = np.full((1, 33, 3), 0.02, np.float32)
    body[0, 13], body[0, 15] = (0.5, 0.25, 0), (0.5, 0.75, 0)  # left elbow above left wrist
    body[0, 17], body[0, 19], body[0, 21] = body[0, 15], body[0, 15], body[0, 15]
    body[0, 11] = body[0, 13]
    visible = np.ones((1, 33), np.float32)
    keypoints = only("body", replace(keypoints, body_image=body, body_visibility=visible))
    image = np.zeros((660, 1001, 3), np.uint8)
    draw_skeleton(image, keypoints, 0)
    full = (image == LEFT).all(axis=2)[180:480]  # between the joints' dots, away from other edges
    columns = np.flatnonzero(full.any(axis=0))
    assert columns.min() + columns.max() == 2 * 500  # about the middle of 1001 columns
    assert 3 <= len(columns) <= 5
    assert full[:, 500].all()
    below = (image == LEFT).all(axis=2)[505:]  # three quarters down the limb ends
    assert not below.any()


def test_left_is_the_dancers_left() -> None:
    keypoints = standing(1)
    body = keypoints.body_image.copy()
    left = [i for i, name in enumerate(BODY_NAMES) if name.startswith("left_")]
    body[0, :, 0] = 0.25
    body[0, left, 0] = 0.75  # a dancer who faces the camera
    visible = np.ones((1, 33), np.float32)
    image = np.zeros((660, 660, 3), np.uint8)
    draw_skeleton(image, only("body", replace(keypoints, body_image=body, body_visibility=visible)), 0)
    assert LEFT in colours(image[:, 400:])
    assert RIGHT not in colours(image[:, 400:])
    assert RIGHT in colours(image[:, :260])
    assert LEFT not in colours(image[:, :260])


def test_points_outside_the_picture_stay_outside() -> None:
    keypoints = standing(1)
    body = keypoints.body_image.copy()
    body[0, ::2, :2] = 7.9
    body[0, 1::2, :2] = -7.9
    canvas = np.zeros((300, 400, 3), np.uint8)
    view = canvas[50:250, 100:300]
    draw_skeleton(view, replace(keypoints, body_image=body), 0)
    assert view.any()
    view[:] = 0
    assert not canvas.any()
