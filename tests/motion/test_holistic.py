"""Tracking with MediaPipe Holistic."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from d2midi_build.errors import PermanentError
from d2midi_build.motion.holistic import HolisticTracker, decode_landmarks
from d2midi_build.motion.keypoints import PARTS, PRESENCES, Keypoints
from d2midi_build.motion.models import HOLISTIC_FILES, digests

landmark_pb2 = pytest.importorskip("mediapipe.framework.formats.landmark_pb2")


def noise(height: int, width: int, n_frames: int) -> list[npt.NDArray[np.uint8]]:
    rng = np.random.default_rng(height * 10_000 + width)
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(n_frames)]


def landmark_list(n_points: int, **fields: bool) -> Any:
    rng = np.random.default_rng(n_points)
    message = landmark_pb2.NormalizedLandmarkList()
    for _ in range(n_points):
        point = message.landmark.add(x=rng.normal(), y=0.0, z=-0.0)
        for name in fields:
            setattr(point, name, rng.random())
    return message


@pytest.mark.parametrize("n_points", [33, 21, 478])
def test_decoding_equals_protobufs_own(n_points: int) -> None:
    message = landmark_list(n_points)
    expected = np.array([(p.x, p.y, p.z) for p in message.landmark], dtype=np.float32)
    assert np.array_equal(decode_landmarks(message.SerializeToString(), n_points), expected)

    message = landmark_list(n_points, visibility=True, presence=True)
    expected = np.array(
        [(p.x, p.y, p.z, p.visibility, p.presence) for p in message.landmark], dtype=np.float32
    )
    assert np.array_equal(decode_landmarks(message.SerializeToString(), n_points), expected)


def test_decoding_refuses_what_is_no_regular_list() -> None:
    message = landmark_list(21)
    with pytest.raises(ValueError, match="33"):
        decode_landmarks(message.SerializeToString(), 33)
    message.landmark[3].ClearField("x")
    message.landmark[4].visibility = 0.5  # same length in all, another layout
    with pytest.raises(ValueError, match="lack"):
        decode_landmarks(message.SerializeToString(), 21)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (37, 41), (2, 500), (500, 2)])
def test_nobody_in_the_picture_is_missing_everywhere(height: int, width: int) -> None:
    counted: list[int] = []
    keypoints = HolisticTracker().track(noise(height, width, 3), progress=counted.append)
    assert len(keypoints) == 3
    assert counted == [1, 2, 3]
    for name in PRESENCES:
        assert not keypoints.present(name).any()
    for name in PARTS:
        assert np.isnan(keypoints.points(name)).all()


def test_no_frames_is_an_empty_track() -> None:
    assert len(HolisticTracker().track([], n_frames=100)) == 0


def test_more_frames_than_hinted_are_kept() -> None:
    assert len(HolisticTracker().track(noise(8, 8, 70), n_frames=2)) == 70


def test_wrong_pictures_are_named() -> None:
    tracker = HolisticTracker()
    with pytest.raises(PermanentError, match="frame 1 is 9x8 pixels, the first was 8x8"):
        tracker.track([*noise(8, 8, 1), *noise(8, 9, 1)])
    with pytest.raises(PermanentError, match="uint8 RGB"):
        tracker.track([np.zeros((8, 8), dtype=np.uint8)])
    with pytest.raises(PermanentError, match="uint8 RGB"):
        tracker.track([np.zeros((0, 8, 3), dtype=np.uint8)])


def test_an_error_inside_mediapipe_is_permanent_and_keeps_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from mediapipe.python.solution_base import SolutionBase

    def fail(self: object, image: object) -> None:
        raise RuntimeError("CalculatorGraph::Run() failed")

    monkeypatch.setattr(SolutionBase, "process", fail)
    with pytest.raises(PermanentError, match="frame 0 of 8x6 pixels") as caught:
        HolisticTracker().track(noise(6, 8, 1))
    assert caught.value.tool_message == "CalculatorGraph::Run() failed"


def test_model_digests_name_every_file() -> None:
    found = digests(HOLISTIC_FILES)
    assert set(found) == set(HOLISTIC_FILES)
    assert all(len(digest) == 64 for digest in found.values())


def test_chatter_is_sifted_and_other_lines_come_through() -> None:
    code = """
import os, numpy as np
from mediapipe.python.solution_base import SolutionBase
from d2midi_build.motion.holistic import HolisticTracker
process = SolutionBase.process
def noisy(self, image):
    os.write(2, b"E0000 something real\\n")
    result = process(self, image)
    if dies:
        os.write(2, b"F0000 a last word\\n"); os.abort()
    return result
SolutionBase.process = noisy
dies = False
HolisticTracker().track([np.zeros((8, 8, 3), np.uint8)])
dies = True
HolisticTracker().track([np.zeros((8, 8, 3), np.uint8)])
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode < 0
    assert run.stderr.splitlines() == ["E0000 something real", "E0000 something real", "F0000 a last word"]


def decode(path: Path, n_frames: int, step: int) -> list[npt.NDArray[np.uint8]]:
    frames: list[npt.NDArray[np.uint8]] = []
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % step == 0:
                frames.append(frame.to_ndarray(format="rgb24"))
            if len(frames) == n_frames:
                break
    return frames


def same(first: Keypoints, second: Keypoints) -> bool:
    return all(np.array_equal(first.points(p), second.points(p), equal_nan=True) for p in PARTS)


@pytest.mark.real_data
def test_a_real_dancer_bit_by_bit(shared_data: Path) -> None:
    frames = decode(shared_data / "antgroup+animate-x/data/videos/dance_3.mp4", 20, 1)
    tracker = HolisticTracker()
    first = tracker.track(frames)
    assert first.present_body.all()
    assert first.present_face.mean() > 0.5
    assert 0 < first.present_left_hand.mean() < 1  # gaps are the norm
    assert ((first.body_visibility >= 0) & (first.body_visibility <= 1)).all()
    nose, ankle = first.body_image[:, 0, 1], first.body_image[:, 27, 1]
    assert (nose < ankle).all()
    assert np.abs(first.body_world[:, 23:25].mean(axis=1)).max() < 0.005  # hip-centred
    assert same(first, tracker.track(frames))


@pytest.mark.real_data
def test_points_equal_those_of_the_plain_api(shared_data: Path) -> None:
    from mediapipe.python.solutions.holistic import Holistic

    frames = decode(shared_data / "antgroup+animate-x/data/videos/dance_3.mp4", 8, 2)
    ours = HolisticTracker().track(iter(frames))
    fields: dict[str, Callable[[Any], Any]] = {
        "body_image": lambda r: r.pose_landmarks,
        "body_world": lambda r: r.pose_world_landmarks,
        "left_hand": lambda r: r.left_hand_landmarks,
        "right_hand": lambda r: r.right_hand_landmarks,
        "face": lambda r: r.face_landmarks,
    }
    with Holistic(smooth_landmarks=False, refine_face_landmarks=True) as plain:
        for index, frame in enumerate(frames):
            result = plain.process(frame)
            for name, field in fields.items():
                message = field(result)
                points = ours.points(name)[index]
                if message is None:
                    assert np.isnan(points).all()
                else:
                    expected = np.array([(p.x, p.y, p.z) for p in message.landmark], dtype=np.float32)
                    assert np.array_equal(points, expected)
            visibility = [p.visibility for p in result.pose_landmarks.landmark]
            assert np.array_equal(ours.body_visibility[index], np.array(visibility, dtype=np.float32))


def test_stderr_is_itself_again_after_a_track() -> None:
    before = os.fstat(2)
    HolisticTracker().track(noise(4, 4, 1))
    after = os.fstat(2)
    assert (before.st_dev, before.st_ino) == (after.st_dev, after.st_ino)
