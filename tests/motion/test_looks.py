"""What a sample shows and what the samples of a take come to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from d2midi_build.media.scan import ScannedPicture, scan_pictures
from d2midi_build.motion.looks import Look, LookScores, PictureJudge, over, painted_over
from d2midi_build.synthetic.dancer import choreograph
from d2midi_build.synthetic.render import Camera, render
from tests.motion.test_background import room

Image = npt.NDArray[np.uint8]
ONE = Look(1, None, 0.7, 0.95, 0.0, 0.01, 5.0, 0.3, 0.0)
TWO = replace(ONE, people=2, nearest=2.0)


@pytest.fixture(scope="module")
def judge() -> PictureJudge:
    return PictureJudge()


def stage(*places: tuple[float, float], width: int = 640, times_s: Sequence[float] = (0.6,)) -> list[Image]:
    dances = [
        choreograph(np.random.default_rng(i), 120, 3, place=place, look=i) for i, place in enumerate(places)
    ]
    pictures = render(dances, np.array(times_s), Camera.framing(width, 360))
    return [np.ascontiguousarray(rgb[:, :, ::-1]) for rgb in pictures]


def test_a_dancer_in_a_plain_room(judge: PictureJudge) -> None:
    before, first, later = stage((0, 0), times_s=(0.5, 0.6, 1.6))
    seen = judge.look(first, before, 0.1)
    look = seen.look
    assert (look.people, look.nearest, look.motion) == (1, None, None)
    assert look.height is not None
    assert look.completeness is not None
    assert 0.6 < look.height < 1  # 0.7 of the picture, and the arms are up
    assert look.completeness > 0.8
    assert look.camera is None or look.camera < 0.02
    second = judge.look(later, first, 1.0, seen).look
    assert second.motion is not None
    assert second.motion < 0.5
    scores = over([look, second])
    assert scores.whole_share == 1
    assert scores.clutter is not None
    assert scores.clutter < 0.4
    assert json.loads(json.dumps(asdict(look))) == asdict(look)


def test_nobody(judge: PictureJudge) -> None:
    (empty,) = stage()
    look = judge.look(empty).look
    assert (look.people, look.height, look.completeness, look.cut) == (0, None, None, None)
    scores = over([look])
    assert (scores.nobody_share, scores.whole_share, scores.clutter) == (1, None, None)


def test_a_busy_room_behind_the_dancer_shows(judge: PictureJudge) -> None:
    (picture,), (empty,) = stage((0, 0)), stage()
    behind = np.abs(picture.astype(int) - empty).max(axis=2) < 12
    picture[behind] = room()[behind]
    look = judge.look(picture).look
    assert look.people >= 1
    clutter = over([look]).clutter
    assert clutter is not None
    assert clutter > 1.3


def test_two_side_by_side_and_two_that_overlap(judge: PictureJudge) -> None:
    apart = judge.look(stage((-1.2, 0), (1.2, 0))[0]).look
    assert apart.people == 2
    assert apart.nearest is not None
    assert apart.nearest > 1.5
    touching = judge.look(stage((-0.38, 0), (0.38, 0))[0]).look
    assert touching.people == 2
    assert touching.nearest is not None
    assert touching.nearest < 1.2


def test_somebody_small_in_the_background_is_no_rival(judge: PictureJudge) -> None:
    (near,), (far,) = stage((-0.9, 0.6)), stage((0, 0))
    small = cv2.resize(far[:, 200:440], (96, 144), interpolation=cv2.INTER_AREA)
    near[100:244, 500:596] = small
    look = judge.look(near).look
    assert look.nearest is None


def test_two_in_an_upright_picture(judge: PictureJudge) -> None:
    """Each 56 % of the height, as in the pairs the detector alone misses."""
    wide = cv2.resize(stage((-0.62, 0), (0.62, 0), width=480)[0][:, 90:390], (240, 288))
    upright = np.concatenate([np.broadcast_to(wide[:1], (72, 240, 3)), wide])
    assert judge.look(np.ascontiguousarray(upright)).look.people == 2


def test_paint_has_the_colour_of_the_rest() -> None:
    picture = np.full((40, 40, 3), 90, np.uint8)
    picture[10:20, 10:20] = 250
    taken = np.zeros((40, 40), np.bool_)
    taken[8:22, 8:22] = True
    assert (painted_over(picture, taken) == 90).all()
    assert np.array_equal(painted_over(picture, np.ones((40, 40), np.bool_)), picture)


def test_scores_by_hand() -> None:
    cut = replace(ONE, completeness=0.5, cut=0.7, height=1.3)
    nobody = Look(0, None, None, None, None, 0.5, 50.0, 9.0, None)
    looks = [replace(ONE, motion=8.0), ONE, cut, TWO, nobody]
    scores = over(looks)
    assert (scores.samples, scores.nobody_share, scores.several_share) == (5, 0.2, 0.2)
    assert scores.whole_share == 0.75
    assert scores.completeness == pytest.approx(0.95)
    assert scores.person_height == pytest.approx(0.7)
    assert (scores.edges, scores.colours) == (0.01, 5.0)  # the picture without anybody does not count
    assert scores.clutter == pytest.approx(np.sqrt(0.01 / 0.03 * 5 / 9))
    assert scores.motion == pytest.approx(0.3)  # the first one's is across the cut
    assert scores.camera == 0


def test_overlaps_by_hand() -> None:
    over_it, close = replace(TWO, nearest=0.6), replace(TWO, nearest=1.3)
    assert over([ONE, TWO, ONE]).overlap_share == 0
    assert over([ONE, over_it, TWO, TWO]).overlap_share == 0.5  # one may be hidden in the first
    assert over([close, ONE, close]).overlap_share == pytest.approx(1 / 3)
    assert over([close, TWO, close]).overlap_share == 0


def test_camera_motion_is_the_upper_quarter_and_needs_half_of_the_looks() -> None:
    looks = [replace(ONE, camera=speed) for speed in (0.0, 0.0, 0.1, 0.2, 0.3)]
    assert over(looks).camera == pytest.approx(0.2)
    assert over([replace(ONE, camera=None)] * 2 + [ONE]).camera is None


def test_nothing_comes_of_nothing() -> None:
    assert over([]) == LookScores(0, *[None] * 11)


REAL = {
    "olincollege+just-dance/test/test.mp4": "dancer, quiet",
    "antgroup+animate-x/data/videos/dance_3.mp4": "dancer, quiet",
    "antgroup+animate-x/data/videos/ubc.mp4": "dancer, quiet",
    "google+aichoreographer/assets/gen_results_1.mp4": "dancer, quiet",
    "TMElyralab+MusePose/assets/videos/dance.mp4": "dancer, busy",
    "antgroup+animate-x/data/videos/dance_3_right.mp4": "dancer, busy",
    "karthikcsq+FORMulator/dance.mov": "dancer, busy",
    "MooreThreads+Moore-AnimateAnyone/configs/inference/talkinghead_videos/3.mp4": "part, quiet",
    "intel-iot-devkit+sample-videos/asl_gestures/walk.mkv": "part, quiet",
    "open-mmlab+mmaction2/tests/data/test.avi": "part, busy",
    "dmlc+decord/examples/flipping_a_pancake.mkv": "part, busy",
}


def scores_of(judge: PictureJudge, path: Path, end_s: float = 9.0) -> LookScores:
    looks: list[Look] = []
    recent: list[ScannedPicture] = []
    last = None
    for picture in scan_pictures(path, 360):
        if picture.time_s >= end_s:
            break
        if picture.time_s >= len(looks):
            recent = [other for other in recent if picture.time_s - other.time_s < 0.101]
            before = recent[0] if recent else None
            last = judge.look(
                picture.bgr(),
                before.bgr() if before else None,
                picture.time_s - before.time_s if before else 0,
                last,
            )
            looks.append(last.look)
        recent = [*recent, picture][-7:]
    return over(looks)


@pytest.mark.real_data
@pytest.mark.parametrize("path", REAL)
def test_real_pictures(path: str, judge: PictureJudge, shared_data: Path) -> None:
    what, where = REAL[path].split(", ")
    scores = scores_of(judge, shared_data / path)
    assert scores.whole_share is not None
    assert scores.whole_share >= 0.85 if what == "dancer" else scores.whole_share <= 0.1
    assert scores.clutter is not None
    assert scores.clutter > 1.1 if where == "busy" else scores.clutter < 0.95
    assert scores.several_share is not None
    assert scores.several_share <= 0.15


@pytest.mark.real_data
def test_real_cameras(judge: PictureJudge, shared_data: Path) -> None:
    stage_pan = scores_of(
        judge,
        shared_data / "MiryalaNarayanaReddy+Multiperson-Pose-detection-and-Segmentation/dance_video.mp4",
        14.0,
    )
    drift = scores_of(judge, shared_data / "olincollege+just-dance/test/test.mp4")
    fixed = scores_of(judge, shared_data / "karthikcsq+FORMulator/dance.mov")
    plain = scores_of(judge, shared_data / "google+aichoreographer/assets/gen_results_1.mp4")
    assert stage_pan.camera is not None
    assert drift.camera is not None
    assert fixed.camera is not None
    assert stage_pan.camera > 0.06 > drift.camera > 0.02 > fixed.camera
    assert plain.camera is None
    assert stage_pan.several_share == 1
