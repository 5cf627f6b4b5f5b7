"""Which part of a body is in view: a drawn dancer, whole and cut."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from d2midi_build.motion.body_view import BodyView, PersonMask, body_view, outlines, region
from d2midi_build.motion.people import PersonDetector, main_person
from d2midi_build.synthetic.dancer import choreograph
from d2midi_build.synthetic.render import Camera, render

Image = npt.NDArray[np.uint8]
CAMERA = Camera.framing(1280, 720)


@pytest.fixture(scope="module")
def detector() -> PersonDetector:
    return PersonDetector()


@pytest.fixture(scope="module")
def masks() -> PersonMask:
    return PersonMask()


@pytest.fixture(scope="module")
def picture() -> Image:
    dance = choreograph(np.random.default_rng(3), 120, 3)
    (rgb,) = render([dance], np.array([1.3]), CAMERA)
    return np.ascontiguousarray(rgb[:, :, ::-1])


def row_of(height_m: float) -> int:
    """The row of the picture that shows a height above the floor at the dancer."""
    return round(float(CAMERA.project(np.array([0.0, height_m, 0.0]))[1]))


def view(detector: PersonDetector, masks: PersonMask, image: Image) -> BodyView:
    people = detector.people(image)
    person = people[main_person(people, image.shape[0])]
    return body_view(person, masks.mask(image, person))


def test_a_whole_dancer_is_in_view(detector: PersonDetector, masks: PersonMask, picture: Image) -> None:
    seen = view(detector, masks, picture)
    assert seen.whole
    assert seen.completeness > 0.85
    assert seen.cut == 0
    assert seen.height == pytest.approx(1.75 / 2.55, abs=0.12)  # the picture is 2.55 m high at the dancer


@pytest.mark.parametrize(("down_to_m", "at_most"), [(1.35, 0.45), (0.9, 0.7), (0.6, 0.8)])
def test_cut_at_the_chest_the_waist_and_above_the_knee(
    detector: PersonDetector, masks: PersonMask, picture: Image, down_to_m: float, at_most: float
) -> None:
    cut = picture[: row_of(down_to_m), 320:960]
    seen = view(detector, masks, np.ascontiguousarray(cut))
    assert not seen.whole
    assert seen.completeness < at_most
    assert seen.cut > 0.15


def test_the_mask_covers_the_dancer_and_little_else(
    detector: PersonDetector, masks: PersonMask, picture: Image
) -> None:
    (empty,) = render([], np.array([0.0]), CAMERA)
    truth = np.abs(picture.astype(int) - empty[:, :, ::-1]).max(axis=2) > 25
    found = masks.mask(picture, detector.people(picture)[0])
    assert np.count_nonzero(found & truth) / np.count_nonzero(found | truth) > 0.8


def test_pictures_do_not_influence_each_other(
    detector: PersonDetector, masks: PersonMask, picture: Image
) -> None:
    person = detector.people(picture)[0]
    alone = masks.mask(picture, person)
    masks.mask(np.ascontiguousarray(picture[::-1]), person)
    assert np.array_equal(masks.mask(picture, person), alone)


def person(x: float, y: float, radius: float) -> npt.NDArray[np.float64]:
    """Hips at (x, y), a body circle of a radius, head and shoulders where they would be."""
    head = [x - radius / 4, y - radius, x + radius / 4, y - radius / 2]
    return np.array([0.9, *head, x, y, x, y - radius, x, y - radius / 2, x, y - radius])


def test_views_by_hand() -> None:
    mask = np.zeros((200, 300), dtype=np.bool_)
    mask[20:180, 130:170] = True
    free = body_view(person(150, 100, 80), mask)
    assert (free.height, free.completeness, free.cut) == (pytest.approx(0.8), pytest.approx(1.0), 0)
    assert free.whole
    # Hips on the lower edge: half of the circle is outside, and the trunk reaches the edge.
    mask[:] = False
    mask[60:200, 120:180] = True
    half = body_view(person(150, 200, 140), mask)
    assert half.completeness == pytest.approx(0.5)
    assert half.cut == pytest.approx(60 / np.sqrt(60 * 140))
    assert not half.whole
    # Somebody who lies is wide instead of high.
    mask[:] = False
    mask[130:160, 60:240] = True
    assert body_view(person(150, 145, 90), mask).whole
    # The detector saw somebody where nobody is.
    assert body_view(person(150, 100, 80), np.zeros((200, 300), np.bool_)) == BodyView(0.8, 0.0, 0.0)


def test_feet_on_the_lower_edge_do_no_harm() -> None:
    mask = np.zeros((200, 300), dtype=np.bool_)
    mask[40:130, 125:175] = True
    mask[130:200, 130:142] = mask[130:200, 158:170] = True
    assert body_view(person(150, 120, 80), mask).whole


def test_a_region_is_one_body_within_reach() -> None:
    mask = np.zeros((200, 300), dtype=np.bool_)
    mask[20:180, 130:170] = mask[20:180, 215:255] = True  # two bodies apart
    mask[60:70, 130:210] = True  # an arm that does not touch the other
    found = region(person(150, 100, 80), mask)
    assert found[100, 150]
    assert not found[:, 215:].any()
    assert found[65, 200]
    assert not found[65, 208]  # beyond 0.7 radii


def test_outlines_are_as_large_as_bodies() -> None:
    drawn = outlines(np.array([person(150, 100, 80)]), (200, 300))
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    assert (rows[0], rows[-1]) == (16, 184)
    assert (columns[0], columns[-1]) == (110, 190)
    assert not outlines(np.empty((0, 13)), (200, 300)).any()
