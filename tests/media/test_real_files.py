"""The odd files in ../shared/data, each with the fact that makes it odd."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from d2midi_build import clock
from d2midi_build.errors import PermanentError
from d2midi_build.media.clip import make_clip
from d2midi_build.media.probe import probe
from d2midi_build.media.scan import scan_frames

pytestmark = pytest.mark.real_data


@pytest.mark.parametrize(
    ("path", "n_frames", "size", "rate_hz"),
    [
        ("TMElyralab+MusePose/assets/videos/dance.mp4", 240, (180, 320), 44_100),
        ("olincollege+just-dance/test/test.mp4", 199, (568, 320), 44_100),
        ("Zulko+moviepy/media/no_duration.webm", 98, (568, 320), 48_000),
        ("Zulko+moviepy/media/fire2.mp4", 47, (568, 320), 48_000),  # varying rate, upside down
        ("Zulko+moviepy/media/video_with_failing_audio.mp4", 224, (568, 320), 44_100),
        ("open-mmlab+mmaction2/tests/data/test.avi", 131, (320, 240), 44_100),
        ("dmlc+decord/examples/flipping_a_pancake.mkv", 206, (426, 240), 48_000),
        (
            "pytorch+torchcodec/test/resources/nasa_13013.mp4",
            260,
            (480, 270),
            16_000,
        ),  # of six streams, these two
        (
            "MooreThreads+Moore-AnimateAnyone/configs/inference/talkinghead_videos/2.mp4",
            234,
            (274, 320),
            44_100,
        ),
        ("researchmm+MM-Diffusion/fig/aist++.mp4", 1020, (256, 256), 16_000),  # picture starts at 0.069 s
    ],
)
def test_clips(
    path: str, n_frames: int, size: tuple[int, int], rate_hz: int, shared_data: Path, tmp_path: Path
) -> None:
    info = make_clip(shared_data / path, 0.0, float("inf"), tmp_path, height=320, crf=30)
    assert (info.n_frames, (info.width, info.height), info.original_rate_hz) == (n_frames, size, rate_hz)
    assert abs(info.picture_shift_ms) < 26
    assert soundfile.info(tmp_path / info.audio).frames == clock.frames_to_samples(n_frames)
    with av.open(str(tmp_path / info.video)) as container:
        assert container.streams.video[0].frames == n_frames
    assert np.all(np.diff(info.source_times_s) >= 0)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("Zulko+moviepy/media/doc_medias/result.webm", "empty"),
        ("Zulko+moviepy/media/bitmap.mp4", "no sound"),
        ("open-mmlab+mmpose/demo/resources/demo.mp4", "no sound"),
    ],
)
def test_files_that_make_no_clip(path: str, words: str, shared_data: Path, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=words):
        make_clip(shared_data / path, 0.0, 1.0, tmp_path, height=320, crf=30)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "n_frames", "shape"),
    [
        ("dmlc+decord/tests/test_data/unordered.mov", 4, (50, 50)),
        ("Zulko+moviepy/media/bitmap.mp4", 5, (2, 2)),
        ("pytorch+torchcodec/test/resources/av1_video.mkv", 125, (180, 320)),
        ("pytorch+torchcodec/test/resources/h265_10bits.mp4", 30, (180, 180)),
        ("dmlc+decord/tests/test_data/video_90.mov", 3, (180, 102)),
    ],
)
def test_scans(path: str, n_frames: int, shape: tuple[int, int], shared_data: Path) -> None:
    frames = list(scan_frames(shared_data / path, 180))
    assert len(frames) == n_frames
    assert {image.shape[:2] for _, _, image in frames} == {shape}
    times = [time_s for _, time_s, _ in frames]
    assert times == sorted(times)


def test_a_damaged_file_is_told_after_its_pictures(shared_data: Path) -> None:
    frames = scan_frames(shared_data / "dmlc+decord/tests/test_data/corrupted.mp4", 180)
    seen = []
    with pytest.raises(PermanentError, match="damaged"):
        for number, _, _ in frames:
            seen.append(number)
    assert 40 <= len(seen) <= 50


def test_rotation_tags_are_obeyed(shared_data: Path) -> None:
    for clockwise in (0, 90, 180, 270):
        path = shared_data / f"dmlc+decord/tests/test_data/video_{clockwise}.mov"
        assert probe(path).video.rotation == clockwise
        with av.open(str(path)) as container:
            stored = next(container.decode(video=0)).to_ndarray(format="bgr24")
        upright = np.rot90(stored, -clockwise // 90)
        _, _, image = next(scan_frames(path, 568))
        assert image.shape == upright.shape
        assert np.abs(image.astype(float) - upright).mean() < 3
