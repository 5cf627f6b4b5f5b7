"""The same pictures twice, and two dances that only look alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from d2midi_build.media.likeness import MotionCollector, MotionSignature, find_copies
from d2midi_build.synthetic.dancer import choreograph
from d2midi_build.synthetic.render import Camera, render

Picture = npt.NDArray[np.uint8]

SECONDS = 9.0


def pictures(
    seed: int, fps: float = 12.5, start_s: float = 0.0, end_s: float = SECONDS
) -> list[tuple[float, Picture]]:
    times_s = np.arange(start_s, end_s - 1e-9, 1 / fps)
    dance = choreograph(np.random.default_rng(seed), 100.0, SECONDS)
    drawn = render([dance], times_s, Camera.framing(320, 180))
    return [
        (float(t - start_s), np.ascontiguousarray(p[:, :, ::-1])) for t, p in zip(times_s, drawn, strict=True)
    ]


def signature(
    shown: list[tuple[float, Picture]], change: Callable[[Picture], Picture] = lambda picture: picture
) -> MotionSignature:
    collector = MotionCollector()
    for time_s, picture in shown:
        collector.add(time_s, change(picture))
    return collector.finish()


@pytest.fixture(scope="module")
def dance() -> list[tuple[float, Picture]]:
    return pictures(11)


@pytest.fixture(scope="module")
def original(dance: list[tuple[float, Picture]]) -> MotionSignature:
    return signature(dance)


def encoded(picture: Picture) -> Picture:
    """As a bad JPEG: coding noise."""
    return np.asarray(
        cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 25])[1], 1), np.uint8
    )


def bordered(picture: Picture) -> Picture:
    return np.asarray(cv2.copyMakeBorder(picture, 30, 30, 50, 50, cv2.BORDER_CONSTANT), np.uint8)


def darker(picture: Picture) -> Picture:
    return np.asarray(picture * 0.7, np.uint8)


@pytest.mark.parametrize(
    ("change", "mirrored"),
    [
        (encoded, False),
        (lambda picture: np.ascontiguousarray(picture[:, ::-1]), True),
        (lambda picture: np.ascontiguousarray(picture[18:-18, 32:-32]), False),
        (lambda picture: np.ascontiguousarray(picture[10:-20, 50:-10]), False),
        (bordered, False),
        (darker, False),
    ],
    ids=["encoded", "mirrored", "middle", "off the middle", "bordered", "darker"],
)
def test_changed_pictures_are_found(
    dance: list[tuple[float, Picture]],
    original: MotionSignature,
    change: Callable[[Picture], Picture],
    mirrored: bool,
) -> None:
    (found,) = find_copies([original, signature(dance, change)])
    assert (found.first, found.second, found.mirrored) == (0, 1, mirrored)
    assert found.offset_s == pytest.approx(0, abs=0.06)
    assert found.overlap_s == pytest.approx(SECONDS, abs=0.7)
    assert found.score > 0.7


def test_another_frame_rate_and_beginning(original: MotionSignature) -> None:
    (found,) = find_copies([original, signature(pictures(11, 10.0, 1.25))])
    assert found.offset_s == pytest.approx(-1.25, abs=0.1)
    assert found.overlap_s == pytest.approx(SECONDS - 1.25, abs=0.7)


def test_other_dances_of_the_same_look_room_and_tempo_are_no_copies(original: MotionSignature) -> None:
    others = [signature(pictures(seed)) for seed in range(12, 15)]
    assert not find_copies([original, *others])


def test_two_parts_of_one_video_are_no_copies(original: MotionSignature) -> None:
    assert not find_copies([original.between(0, 6), original.between(5, 9)])
    (found,) = find_copies([original.between(0, 8), original.between(1, 9)])
    assert found.offset_s == pytest.approx(-1)


def test_still_pictures_and_cuts_are_no_copies(dance: list[tuple[float, Picture]]) -> None:
    still = [(time_s, dance[0][1]) for time_s, _ in dance]
    flashing = [(time_s, np.full_like(p, 200 if int(time_s / 1.5) % 2 else 20)) for time_s, p in dance]
    items = [signature(shown) for shown in (still, still, flashing, flashing)]
    assert not items[0].cells.any()
    assert items[2].cells.any()
    assert not find_copies(items)


def test_only_pairs_with_an_unknown_item_are_compared(original: MotionSignature) -> None:
    told: list[tuple[int, int]] = []
    found = find_copies([original] * 3, known={0, 2}, progress=lambda done, total: told.append((done, total)))
    assert [(copy.first, copy.second) for copy in found] == [(0, 1), (1, 2)]
    assert told == [(1, 1)]


def test_nothing_can_be_compared() -> None:
    nothing = MotionCollector().finish()
    assert nothing.cells.shape == (0, 0, 0)
    assert not find_copies([nothing, nothing])
    assert not find_copies([])


def test_cells_say_where_something_changes() -> None:
    collector = MotionCollector()
    for number in range(11):
        picture = np.zeros((180, 315, 3), np.uint8)
        picture[:15, :15] = 64 if number % 2 else 0  # the first of 12 x 21 cells, 15 pixels to a side
        collector.add(number / 10, picture)
    cells = collector.finish().cells
    assert cells.shape == (10, 12, 21)
    assert (cells[:, 0, 0] == 127).all()  # 16 * sqrt(64 - 1)
    assert not cells[:, 1:].any()
    assert not cells[:, :, 1:].any()


def test_arrays_hold_everything(original: MotionSignature, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "picture.npz", **original.to_arrays())
    with np.load(tmp_path / "picture.npz") as stored:
        back = MotionSignature.from_arrays(stored)
    np.testing.assert_array_equal(back.cells, original.cells)
    assert back.aspect == original.aspect == pytest.approx(320 / 180)
