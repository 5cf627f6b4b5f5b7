"""Camera motion: known shifts and zooms, and things that move before a camera that does not."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from d2midi_build.motion.background import background
from d2midi_build.motion.camera import camera_motion
from tests.motion.test_background import plain, room

Image = npt.NDArray[np.uint8]
NOBODY = np.zeros((360, 640), dtype=np.bool_)
STEP_S = 0.1


def moved(image: Image, x: float = 0, y: float = 0, zoom: float = 1) -> Image:
    by = np.array([[zoom, 0, (1 - zoom) * 320 + x], [0, zoom, (1 - zoom) * 180 + y]], dtype=np.float64)
    return np.asarray(cv2.warpAffine(image, by, (640, 360), borderMode=cv2.BORDER_REFLECT), np.uint8)


def speed(before: Image, now: Image, people: npt.NDArray[np.bool_] = NOBODY) -> float | None:
    return camera_motion(background(before, people), background(now, people), STEP_S)


@pytest.mark.parametrize(("x", "y"), [(1.8, 0), (7.2, 0), (0, -18), (36, 0)])
def test_a_pan_has_its_speed(x: float, y: float) -> None:
    expected = np.hypot(x, y) / 360 / STEP_S
    assert speed(room(), moved(room(), x, y)) == pytest.approx(expected, rel=0.1, abs=0.005)


def test_a_zoom_moves_what_is_far_from_the_middle() -> None:
    found = speed(room(), moved(room(), zoom=1.02))
    # The mean square distance from the middle over the 5 x 5 points that are measured.
    x, y = np.meshgrid(np.linspace(-320, 320, 5), np.linspace(-180, 180, 5))
    expected = 0.02 * np.sqrt(np.mean(x**2 + y**2)) / 360 / STEP_S
    assert found == pytest.approx(expected, rel=0.1)


def test_a_camera_that_stands_still() -> None:
    noise = np.random.default_rng(0).normal(0, 3, (2, 360, 640, 3))
    before, now = np.clip(room() + noise, 0, 255).astype(np.uint8)
    assert speed(before, now) == pytest.approx(0, abs=0.01)


def test_a_dancer_before_a_fixed_camera_is_no_camera_motion() -> None:
    """A third of the picture's width moves by a tenth of its height; masked, and once not masked."""
    before, now, dancer = room(), room(), room(9)[40:340, 100:310]
    before[40:340, 200:410], now[40:340, 236:446] = dancer, dancer
    people = NOBODY.copy()
    people[40:340, 200:446] = True
    assert speed(before, now, people) == pytest.approx(0, abs=0.01)
    assert speed(before, now) == pytest.approx(0, abs=0.01)


def test_what_cannot_be_said() -> None:
    assert speed(plain(), plain()) is None
    assert speed(room(1), room(2)) is None  # a cut
    assert camera_motion(background(room(), NOBODY), background(room(), NOBODY), 0.0) is None
    narrow = background(room()[:, :300], NOBODY[:, :300])
    assert camera_motion(narrow, background(room(), NOBODY), STEP_S) is None
