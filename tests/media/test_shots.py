from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from d2midi_build.media.scan import scan_pictures
from d2midi_build.media.shots import LINES, Shot, ShotDetector

Image = npt.NDArray[np.uint8]


def scene(seed: int, n: int, step_px: int = 6) -> list[Image]:
    """A noisy room of its own with a figure that walks through it."""
    rng = np.random.default_rng(seed)
    room = cv2.resize(
        rng.integers(60, 220, (12, 16, 3)).astype(np.uint8), (320, 180), interpolation=cv2.INTER_CUBIC
    )
    frames = []
    for k in range(n):
        image = room.copy()
        x = 40 + step_px * k % 220
        cv2.rectangle(image, (x, 50), (x + 30, 160), (30, 40, 60), -1)
        cv2.circle(image, (x + 15, 35), 15, (120, 150, 200), -1)
        frames.append(np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8))
    return frames


def shots_of(frames: list[Image], fps: float = 30.0) -> list[Shot]:
    detector = ShotDetector()
    for k, frame in enumerate(frames):
        detector.add(k / fps, frame)
    return detector.shots()


def test_hard_cuts_are_found_to_the_frame() -> None:
    lengths = (40, 25, 60, 18, 33)
    found = shots_of([frame for seed, n in enumerate(lengths) for frame in scene(seed, n)])
    edges = np.cumsum([0, *lengths])
    assert [(shot.start_frame, shot.end_frame) for shot in found] == list(itertools.pairwise(edges))
    assert [shot.start_s for shot in found] == pytest.approx(edges[:-1] / 30)
    assert [shot.end_s for shot in found] == pytest.approx(edges[1:] / 30)


def test_a_single_shot_stays_whole() -> None:
    assert len(shots_of(scene(7, 120))) == 1


def test_a_flash_is_no_cut() -> None:
    frames = scene(3, 90, step_px=2)
    for k, strength in zip(range(40, 60), np.linspace(1, 0, 20), strict=True):
        frames[k] = np.clip(frames[k] + 110 * strength, 0, 255).astype(np.uint8)
    frames[75] = np.full_like(frames[75], 250)
    assert len(shots_of(frames)) == 1


def test_repeated_frames_make_no_cuts() -> None:
    """Ten frames a second stored as thirty: two stand still, then the picture jumps."""
    assert len(shots_of([frame for frame in scene(5, 40) for _ in range(3)])) == 1


def test_a_scene_of_a_moment_is_no_shot() -> None:
    """An animated end card: what follows a cut within 0.4 s belongs to it."""
    frames = scene(0, 40) + scene(1, 8) + scene(2, 40)
    assert [shot.start_frame for shot in shots_of(frames)] == [0, 40]
    assert [shot.start_frame for shot in shots_of(frames, fps=10)] == [0, 40, 48]


def test_still_and_black_pictures() -> None:
    assert len(shots_of([np.zeros((90, 160, 3), np.uint8)] * 30)) == 1
    assert len(shots_of([np.zeros((180, 320, 3), np.uint8)] * 20 + scene(1, 20))) == 2


def test_few_frames() -> None:
    assert ShotDetector().shots() == []
    assert shots_of(scene(1, 1)) == [Shot(0.0, pytest.approx(1 / 30), 0, 1)]
    assert len(shots_of(scene(1, 4))) == 1
    assert len(shots_of([np.zeros((1, 1, 3), np.uint8)] * 5)) == 1


@pytest.mark.real_data
def test_cuts_between_dancers_in_one_studio(shared_data: Path) -> None:
    """A montage of 30 dancers of 17 frames each, all before the same white wall."""
    small, large = ShotDetector(), ShotDetector()
    for picture in scan_pictures(shared_data / "researchmm+MM-Diffusion/fig/aist++.mp4", 360):
        small.add(picture.time_s, picture.bgr(LINES))
        large.add(picture.time_s, picture.bgr())
    for detector in (small, large):
        assert [shot.start_frame for shot in detector.shots()] == list(range(0, 510, 17))


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("path", "cuts"),
    [
        ("olincollege+just-dance/test/test.mp4", []),
        ("TMElyralab+MusePose/assets/videos/dance.mp4", []),
        ("antgroup+animate-x/data/videos/dance_3.mp4", []),
        ("antgroup+animate-x/data/videos/ubc.mp4", []),
        ("google+aichoreographer/assets/gen_results_1.mp4", []),
        ("karthikcsq+FORMulator/dance.mov", [295]),  # flashes of light, then an end card
    ],
)
def test_solos_stay_whole(path: str, cuts: list[int], shared_data: Path) -> None:
    small, large = ShotDetector(), ShotDetector()
    for picture in scan_pictures(shared_data / path, 360):
        small.add(picture.time_s, picture.bgr(LINES))
        large.add(picture.time_s, picture.bgr())
    for detector in (small, large):
        assert [shot.start_frame for shot in detector.shots()[1:]] == cuts
