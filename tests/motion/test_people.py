"""Counting people, and telling a still picture from a moving one."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from d2midi_build.errors import PermanentError
from d2midi_build.motion.people import (
    SAMPLE_HEIGHT_PX,
    PersonDetector,
    apart,
    circles,
    frame_motion,
    main_person,
    nearest_other,
    once,
    people_over_time,
    square_starts,
)
from d2midi_build.synthetic.dancer import choreograph
from d2midi_build.synthetic.render import Camera, render

Image = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def detector() -> PersonDetector:
    return PersonDetector()


def stage(*places_m: float, width: int = 640) -> Image:
    """A drawn room with a dancer at each place along the wall; BGR."""
    dances = [
        choreograph(np.random.default_rng(i), 120, 2, place=(place, 0.0), look=i)
        for i, place in enumerate(places_m)
    ]
    camera = Camera.framing(width, SAMPLE_HEIGHT_PX)
    (rgb,) = render(dances, np.array([0.6]), camera)
    return np.ascontiguousarray(rgb[:, :, ::-1])


def person(score: float, x: float, y: float = 100.0, size: float = 40.0) -> list[float]:
    """Head and shoulders at (x, y), hips 1.5 sizes below, body circle of 2.5 sizes."""
    half = size / 2
    hips = (x, y + 1.5 * size)
    return [score, x - half, y - half, x + half, y + half,
            *hips, hips[0], hips[1] - 2.5 * size, x, y + half, x, y - size]  # fmt: skip


def test_drawn_dancers_are_counted_where_they_stand(detector: PersonDetector) -> None:
    assert detector.detect(stage()).shape == (0, 5)
    (one,) = detector.detect(stage(0.0))
    assert 0.5 <= one[4] <= 1
    assert abs((one[0] + one[2]) / 2 - 0.5) < 0.05
    assert one[3] - one[1] > 0.6
    two = detector.detect(stage(-1.1, 1.1))
    camera = Camera.framing(640, SAMPLE_HEIGHT_PX)
    expected = camera.project(np.array([[-1.1, 1.0, 0.0], [1.1, 1.0, 0.0]]))[:, 0] / 640
    assert np.abs(np.sort((two[:, 0] + two[:, 2]) / 2) - expected).max() < 0.05
    assert detector.count(stage(-1.1, 1.1)) == 2


def test_pictures_do_not_influence_each_other(detector: PersonDetector) -> None:
    first, second = stage(0.0), stage(-1.1, 1.1)
    alone = detector.detect(first)
    detector.detect(second)
    assert np.array_equal(detector.detect(first), alone)


@pytest.mark.parametrize("shape", [(1, 1, 3), (360, 1, 3), (1, 640, 3), (37, 41, 3)])
def test_odd_sizes_hold_nobody(detector: PersonDetector, shape: tuple[int, ...]) -> None:
    assert detector.count(np.full(shape, 128, dtype=np.uint8)) == 0


def test_what_is_no_picture_is_refused(detector: PersonDetector) -> None:
    with pytest.raises(PermanentError, match=r"float64 \(8, 8\)"):
        detector.detect(np.zeros((8, 8)))  # type: ignore[arg-type]


def test_squares_cover_a_wide_picture_and_overlap_by_half() -> None:
    assert square_starts(360, 640) == [0, 140, 280]
    assert (
        square_starts(360, 360)
        == square_starts(640, 360)
        == square_starts(360, 400)
        == square_starts(1, 640)
        == []
    )
    for width in range(420, 2000, 37):
        starts = square_starts(360, width)
        assert starts[0] == 0
        assert starts[-1] + 360 == width
        assert max(np.diff(starts)) <= 181


def test_one_person_seen_twice_counts_once() -> None:
    rows = np.array([person(0.7, 103), person(0.9, 100), person(0.8, 260)])
    kept = once(rows, min_height=0)
    assert kept[:, 0].tolist() == [0.9, 0.8]


def test_boxes_apart_but_hips_together_are_one_person() -> None:
    bent = person(0.6, 100)
    bent[1:5] = [200, 200, 240, 240]
    assert len(once(np.array([person(0.9, 100), bent]), min_height=0)) == 1


def test_the_small_do_not_count() -> None:
    rows = np.array([person(0.9, 100), person(0.95, 300, size=10)])
    assert len(once(rows, min_height=0)) == 2
    assert once(rows, min_height=60)[:, 0].tolist() == [0.9]  # the circle of size 10 is 50 pixels wide


def test_the_circle_is_not_cut_by_the_picture(detector: PersonDetector) -> None:
    """From the waist up, hips are near the lower edge and the circle reaches far below."""
    image = stage(0.0)
    waist = round(float(Camera.framing(640, SAMPLE_HEIGHT_PX).project(np.array([0.0, 0.95, 0.0]))[1]))
    people = detector.people(np.ascontiguousarray(image[:waist]))
    ((_, y, radius),) = circles(people[:1])
    assert y + radius > 1.25 * waist
    assert detector.detect(image[:waist])[0, 3] == 1


def test_the_dancer_is_the_highest_in_the_picture_not_in_the_circle() -> None:
    near, far = person(0.9, 100, size=60), person(0.9, 300, y=200, size=20)
    assert main_person(np.array([far, near]), 360) == 1
    fist = person(0.6, 200, y=300, size=400)  # a circle of 2,000 pixels, mostly below the picture
    assert main_person(np.array([fist, near]), 360) == 1


def test_distances_in_body_widths_by_hand() -> None:
    rows = np.array([person(0.9, 100), person(0.8, 190), person(0.7, 145, size=10)])  # radii 100, 100, 25
    assert apart(rows, 0) == pytest.approx([0, 1, 45 / (0.45 * 125)])
    assert nearest_other(rows, 0) == pytest.approx(1)  # the small one is no rival
    assert nearest_other(rows[:1], 0) is None
    above = np.array([person(0.9, 100, y=300), person(0.8, 100, y=20)])
    assert nearest_other(above, 0) is None


def test_scores_by_hand() -> None:
    box = [0.4, 0.1, 0.6, 0.9, 0.8]
    low = [0.1, 0.5, 0.2, 0.7, 0.7]
    samples = [np.empty((0, 5)), np.array([box]), np.array([box, low]), np.array([low])]
    scores = people_over_time(samples)
    assert (scores.samples, scores.share_none, scores.share_one, scores.share_several) == (4, 0.25, 0.5, 0.25)
    assert scores.most == 2
    assert scores.main_height == pytest.approx(0.8)
    nothing = people_over_time([])
    assert (nothing.samples, nothing.share_none, nothing.main_height) == (0, 0, 0)


def test_motion_of_a_still_a_grainy_and_a_changing_picture() -> None:
    rng = np.random.default_rng(0)
    still = rng.integers(0, 256, (360, 640, 3), dtype=np.uint8)
    assert frame_motion([still, still, still]).tolist() == [0, 0]
    grey = np.full((360, 640, 3), 120, dtype=np.uint8)
    grainy = [np.clip(grey + rng.normal(0, 2, grey.shape), 0, 255).astype(np.uint8) for _ in range(3)]
    unaveraged = np.abs(grainy[1].astype(float) - grainy[0]).mean()
    assert frame_motion(grainy).max() < 0.15 * unaveraged
    assert frame_motion([grey, grey + np.uint8(10)]) == pytest.approx([10], rel=1e-5)
    assert len(frame_motion([grey])) == len(frame_motion([])) == 0


def samples(path: Path, n_samples: int) -> list[Image]:
    images: list[Image] = []
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % 15 == 0:
                image = frame.to_ndarray(format="bgr24")
                size = (round(image.shape[1] * SAMPLE_HEIGHT_PX / image.shape[0]), SAMPLE_HEIGHT_PX)
                images.append(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
            if len(images) == n_samples:
                break
    return images


@pytest.mark.real_data
def test_real_solos_groups_and_an_empty_stage(shared_data: Path, detector: PersonDetector) -> None:
    def several(name: str) -> float:
        return people_over_time(detector.detect(i) for i in samples(shared_data / name, 8)).share_several

    assert several("olincollege+just-dance/test/test.mp4") == 0
    assert several("TMElyralab+MusePose/assets/videos/dance.mp4") == 0
    assert several("google+aichoreographer/assets/gen_results_1.mp4") == 0
    assert several("MiryalaNarayanaReddy+Multiperson-Pose-detection-and-Segmentation/dance_video.mp4") > 0.7
    assert several("open-mmlab+mmaction2/demo/demo_skeleton.mp4") > 0.25
    slides = samples(shared_data / "iejMac+video2dataset/tests/test_files/test_video.mp4", 8)
    assert people_over_time(detector.detect(image) for image in slides).share_none == 1
    assert np.median(frame_motion(slides)) < 0.05
    dance = samples(shared_data / "olincollege+just-dance/test/test.mp4", 8)
    assert np.median(frame_motion(dance)) > 1
