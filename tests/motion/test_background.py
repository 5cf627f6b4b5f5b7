"""How quiet a background is, on pictures whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from d2midi_build.motion.background import (
    background,
    background_motion,
    clutter,
    colour_variety,
    edge_density,
)

Image = npt.NDArray[np.uint8]
NOBODY = np.zeros((360, 640), dtype=np.bool_)


def plain() -> Image:
    return np.full((360, 640, 3), (180, 120, 90), np.uint8)


def gradient() -> Image:
    ramp = np.linspace(70, 220, 640)[None, :, None]
    return np.broadcast_to(ramp, (360, 640, 3)).astype(np.uint8).copy()


def panels() -> Image:
    """A wall with upright joints above a floor."""
    image = plain()
    image[:, ::64] = image[:, 1::64] = (60, 60, 60)
    image[260:] = (90, 80, 70)
    return image


def room(seed: int = 0, n: int = 150) -> Image:
    """Things of all colours at all angles."""
    rng = np.random.default_rng(seed)
    image = plain()
    for _ in range(n):
        centre = (int(rng.integers(640)), int(rng.integers(360)))
        size = tuple(float(s) for s in rng.uniform(10, 70, 2))
        corners = cv2.boxPoints((centre, size, float(rng.uniform(0, 90))))
        colour = tuple(int(c) for c in rng.integers(20, 240, 3))
        cv2.fillConvexPoly(image, corners.astype(np.int32), colour)
    return image


def clutter_of(image: Image) -> float:
    seen = background(image, NOBODY)
    edges, colours = edge_density(seen), colour_variety(seen)
    assert edges is not None
    assert colours is not None
    return clutter(edges, colours)


def test_a_wall_a_gradient_and_panels_are_quiet_and_a_room_is_not() -> None:
    assert clutter_of(plain()) == 0
    assert clutter_of(gradient()) < 0.2
    assert clutter_of(panels()) < 0.7
    assert clutter_of(room()) > 1.5


def test_film_grain_is_no_clutter() -> None:
    noise = np.random.default_rng(1).normal(0, 6, (360, 640, 3))
    assert clutter_of(np.clip(plain() + noise, 0, 255).astype(np.uint8)) < 0.1


def test_lines_in_one_direction_count_less_than_in_all() -> None:
    lines = panels()
    edges = background(lines, NOBODY), background(room(n=25), NOBODY)
    grey = [cv2.GaussianBlur(cv2.cvtColor(seen.picture, cv2.COLOR_BGR2GRAY), (0, 0), 1) for seen in edges]
    shares = [float(np.mean(cv2.Canny(image, 40, 80) > 0)) for image in grey]
    one_way, all_ways = (edge_density(seen) for seen in edges)
    assert one_way is not None
    assert all_ways is not None
    assert one_way < 0.4 * shares[0]
    assert all_ways > 0.8 * shares[1]


def test_three_colours_are_no_variety() -> None:
    image = plain()
    image[200:], image[:, :80] = (40, 40, 200), (0, 0, 0)
    variety = colour_variety(background(image, NOBODY))
    assert variety is not None
    assert variety < 3


def test_who_is_taken_out_does_not_count() -> None:
    image, taken = plain(), NOBODY.copy()
    image[100:300, 200:400] = room()[100:300, 200:400]
    assert edge_density(background(image, taken)) > 0.01
    taken[100:300, 200:400] = True
    assert edge_density(background(image, taken)) == 0
    later = plain()
    assert background_motion(background(image, taken), background(later, NOBODY)) == 0


def test_motion_is_in_grey_levels_and_brightness_is_none() -> None:
    still = background(plain(), NOBODY)
    changed = plain()
    changed[:, :160] += 40  # a quarter of the picture
    assert background_motion(still, still) == 0
    assert background_motion(still, background(changed, NOBODY)) == pytest.approx(10, rel=0.1)
    assert background_motion(still, background(plain() + np.uint8(20), NOBODY)) == pytest.approx(0, abs=0.1)


def test_nothing_is_said_of_no_background() -> None:
    all_taken = background(room(), np.ones((360, 640), dtype=np.bool_))
    assert edge_density(all_taken) is colour_variety(all_taken) is None
    assert background_motion(all_taken, all_taken) is None
    narrow = background(plain()[:, :300], NOBODY[:, :300])
    assert background_motion(narrow, background(plain(), NOBODY)) is None


def test_upright_and_wide_pictures_are_measured_at_one_size() -> None:
    for height, width in ((360, 640), (640, 360), (360, 360), (2, 2)):
        seen = background(np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.bool_))
        assert seen.picture.shape[0] * seen.picture.shape[1] <= 256 * 256 * 1.01
        assert seen.picture.shape[:2] == seen.free.shape
