"""Coordinate systems and smoothing, against formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.motion.skeleton import BODY_NAMES, N_BODY, N_FACE, N_HAND
from d2midi_build.release.coordinates import (
    Picture,
    attach,
    metres_per_pixel,
    normalise,
    smooth,
    smoothing_kernel,
    to_pixels,
)

PICTURE = Picture(width=640, height=360, centre_x=0.5, centre_y=0.6, torso=0.25)


def test_a_normalised_torso_has_length_one_whichever_way_it_points() -> None:
    # A quarter of 360 pixels is 90 of them, and 90 of 640 a share of 0.140625.
    hips = [0.5, 0.6, 0.0]
    points = np.array(
        [hips, [0.5, 0.35, 0.0], [0.5 + 0.140625, 0.6, 0.0], [0.5, 0.6, 0.140625]], dtype=np.float32
    )
    assert normalise(points, PICTURE) == pytest.approx(
        np.array([[0, 0, 0], [0, -1, 0], [1, 0, 0], [0, 0, 1]]), abs=1e-6
    )


def test_there_are_no_normalised_coordinates_without_a_torso() -> None:
    assert np.isnan(normalise(np.full((2, 3), 0.5, np.float32), Picture(640, 360))[:, :2]).all()


def a_body(seed: int, frames: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.4, (frames, N_BODY, 3)).astype(np.float32)


def seen(world: np.ndarray, scale: float) -> np.ndarray:
    """World points as a picture at so many metres per pixel shows them, somewhere in it."""
    image = world / scale / [640, 360, 640] + [0.4, 0.55, 0]
    return image.astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**20), scale=st.floats(0.001, 0.05))
def test_the_scale_of_a_body_without_perspective_is_found(seed: int, scale: float) -> None:
    world = a_body(seed)
    assert metres_per_pixel(world, seen(world, scale), PICTURE) == pytest.approx(scale, rel=1e-4)


def test_the_scale_is_the_least_squares_one() -> None:
    rng = np.random.default_rng(1)
    world, image = a_body(1), rng.normal(0.5, 0.2, (4, N_BODY, 3)).astype(np.float32)
    found = metres_per_pixel(world, image, PICTURE)
    for frame in range(4):
        pixels = (image[frame, :, :2] * [640, 360]).astype(np.float64)
        a = (pixels - pixels.mean(axis=0)).reshape(-1, 1)
        b = (world[frame, :, :2] - world[frame, :, :2].mean(axis=0)).reshape(-1)
        assert found[frame] == pytest.approx(np.linalg.lstsq(a, b, rcond=None)[0][0], rel=1e-5)


def test_a_body_in_one_point_and_a_missing_one_have_no_scale() -> None:
    world = a_body(2, frames=2)
    image = np.full_like(world, 0.5)
    world[1], image[1] = np.nan, np.nan
    assert np.isnan(metres_per_pixel(world, image, PICTURE)).all()


@pytest.mark.parametrize(
    ("part", "own", "on_body", "count"),
    [
        ("left_hand", 0, BODY_NAMES.index("left_wrist"), N_HAND),
        ("right_hand", 0, BODY_NAMES.index("right_wrist"), N_HAND),
        ("face", 1, BODY_NAMES.index("nose"), N_FACE),
    ],
)
def test_attached_parts_hang_on_the_body_and_keep_their_shape_in_metres(
    part: str, own: int, on_body: int, count: int
) -> None:
    body = a_body(3)
    shape = np.random.default_rng(3).normal(0, 0.1, (4, count, 3)).astype(np.float32)  # metres
    points = (seen(shape, 0.005) * to_pixels(PICTURE)).astype(np.float32)
    attach(points, part, body, np.full(4, 0.005, np.float32))
    assert points[:, own] == pytest.approx(body[:, on_body], abs=1e-6)
    assert points - points[:, [own]] == pytest.approx(shape - shape[:, [own]], abs=1e-5)


def test_the_kernel_is_a_gaussian_up_to_four_deviations() -> None:
    assert smoothing_kernel(1.0) == pytest.approx(np.exp([0, -0.5, -2, -4.5, -8]))
    assert len(smoothing_kernel(2.2)) == 1 + 9


def test_smoothing_is_a_weighted_mean_over_the_frames_that_are_there() -> None:
    points = np.array([[1.0], [np.nan], [4.0], [2.0]], dtype=np.float32)
    missing = np.isnan(points)
    kernel = np.array([1.0, 0.5, 0.25], dtype=np.float32)
    found = smooth(points, missing, (1,), kernel)
    assert np.isnan(found[1, 0])
    assert found[[0, 2, 3], 0] == pytest.approx(
        [(1 * 1 + 0.25 * 4) / 1.25, (0.25 * 1 + 4 + 0.5 * 2) / 1.75, (0.5 * 4 + 2) / 1.5]
    )


def test_a_part_that_is_missing_says_nothing_about_another() -> None:
    points = np.arange(12, dtype=np.float32).reshape(4, 3)
    missing = np.zeros((4, 2), dtype=np.bool_)
    missing[1, 0], points[1, :2] = True, np.nan
    kernel = np.array([1.0, 1.0], dtype=np.float32)
    found = smooth(points, missing, (2, 1), kernel)
    assert found[:, 2] == pytest.approx([3.5, 5, 8, 9.5])
    assert found[0] == pytest.approx([0, 1, 3.5])


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    frames=st.integers(1, 90),
    deviation=st.floats(0.3, 4),
    found=st.floats(0.2, 1),
)
def test_smoothing_has_no_lag_and_leaves_a_still_point_alone(
    seed: int, frames: int, deviation: float, found: float
) -> None:
    rng = np.random.default_rng(seed)
    missing = rng.random((frames, 1)) > found
    kernel = smoothing_kernel(deviation)
    still = np.where(missing, np.nan, 0.75).astype(np.float32)
    assert smooth(still, missing, (1,), kernel)[~missing] == pytest.approx(0.75, rel=1e-5)
    moving = np.where(missing, np.nan, rng.normal(size=(frames, 1))).astype(np.float32)
    backwards = smooth(moving[::-1].copy(), missing[::-1], (1,), kernel)[::-1]
    assert smooth(moving, missing, (1,), kernel) == pytest.approx(backwards, nan_ok=True, rel=1e-5, abs=1e-6)
