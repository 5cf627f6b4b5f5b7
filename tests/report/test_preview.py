"""The preview video: decoded again and compared with what went in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import correlate

from d2midi_build import clock
from d2midi_build.errors import PermanentError, UsageError
from d2midi_build.music.synthesis import synthesise
from d2midi_build.report.clips import find_clip
from d2midi_build.report.preview import Layout, render_preview
from d2midi_build.report.roll import Roll
from tests.report.clips import RATE_HZ, Clip, make_clip, make_workspace, some_notes

N_FRAMES = 60


@dataclass(frozen=True)
class Rendered:
    """A clip, its preview, and the preview decoded: frames (T, height, width, 3) rgb, sound (n, 2)."""

    clip: Clip
    workspace: Path
    path: Path
    shares: list[float]
    frames: npt.NDArray[np.uint8]
    sound: npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rendered]:
    """Three seconds, upright, the person missing in the second half."""
    root = tmp_path_factory.mktemp("preview")
    clip = make_clip(N_FRAMES)
    gone = np.arange(N_FRAMES) >= N_FRAMES // 2
    assert clip.keypoints is not None
    arrays: dict[str, Any] = {
        name: np.where(gone.reshape(-1, *[1] * (points.ndim - 1)), np.float32(np.nan), points)
        for name, points in vars(clip.keypoints).items()
        if points.dtype == np.float32
    }
    arrays |= {name: ~gone for name in vars(clip.keypoints) if name.startswith("present_")}
    clip = replace(clip, keypoints=replace(clip.keypoints, **arrays))
    workspace = make_workspace(root / "workspace", clip)
    out, shares = root / "clip.mp4", []
    render_preview(workspace, clip.clip_id, out, progress=shares.append)
    with av.open(str(out)) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    with av.open(str(out)) as container:
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1).T
    yield Rendered(clip, workspace, out, shares, frames, sound)


def lag(reference: npt.NDArray[np.float32], heard: npt.NDArray[np.float32]) -> tuple[int, float]:
    """By how many samples `heard` is late, and the correlation there."""
    n = min(len(reference), len(heard))
    a, b = reference[:n].astype(np.float64), heard[:n].astype(np.float64)
    products = correlate(b, a, mode="full", method="fft")
    best = int(np.argmax(np.abs(products)))
    return best - (n - 1), float(products[best] / (np.linalg.norm(a) * np.linalg.norm(b)))


def test_a_frame_of_the_preview_is_a_frame_of_the_clip(rendered: Rendered) -> None:
    assert len(rendered.frames) == N_FRAMES
    # Every frame has its own shade of grey; a corner of the picture shows it without the skeleton.
    shown = rendered.frames[:, 4:40, 4:40].mean(axis=(1, 2, 3))
    given = rendered.clip.pictures[:, 0, 0, 0].astype(float)
    assert np.abs(shown - given).max() < 5
    assert rendered.shares == sorted(rendered.shares)
    assert rendered.shares[-1] == 1.0


def test_the_file_plays_everywhere(rendered: Rendered) -> None:
    with av.open(str(rendered.path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec.name, video.pix_fmt, video.average_rate) == ("h264", "yuv420p", clock.FPS)
        assert (video.width, video.height) == (1280, 720)
        assert (audio.codec.name, audio.layout.name, audio.rate) == ("aac", "stereo", RATE_HZ)
        first = next(container.decode(video=0))
        assert first.time == 0
        assert video.duration * video.time_base == clock.frame_time_s(N_FRAMES)
    content = rendered.path.read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")


def test_the_playhead_moves_with_the_frames(rendered: Rendered) -> None:
    layout = Layout.of(96, 128)
    roll = Roll(some_notes(), N_FRAMES, layout.roll.right - layout.roll.left, 720)
    for frame in (0, 1, 13, 30, 59):
        rows = rendered.frames[frame, 150:500, layout.roll.left :].mean(axis=(0, 2))
        assert int(np.argmax(rows)) == roll.playhead_column(frame)


def test_the_skeleton_is_there_only_while_the_person_is(rendered: Rendered) -> None:
    picture = Layout.of(96, 128).picture
    inside = rendered.frames[:, picture.top : picture.bottom, picture.left : picture.right].astype(float)
    spread = inside.reshape(N_FRAMES, -1).std(axis=1)
    assert (spread[: N_FRAMES // 2] > 10).all()
    assert (spread[N_FRAMES // 2 + 1 :] < 2).all()


def test_left_is_the_original_and_right_the_notes_to_the_sample(rendered: Rendered) -> None:
    n = N_FRAMES * RATE_HZ // clock.FPS
    assert n <= len(rendered.sound) < n + 1024
    original = rendered.clip.sound.mean(axis=1)
    notes = synthesise(some_notes(), RATE_HZ, n).mean(axis=1)
    late, alike = lag(original, rendered.sound[:, 0])
    assert (late, alike > 0.95) == (0, True)
    late, alike = lag(notes, rendered.sound[:, 1])
    assert (late, alike > 0.95) == (0, True)
    assert abs(lag(original, rendered.sound[:, 1])[1]) < 0.3


def test_same_clip_same_bytes_and_an_old_file_is_replaced(rendered: Rendered, tmp_path: Path) -> None:
    out = tmp_path / "again.mp4"
    out.write_bytes(b"something old")
    render_preview(rendered.workspace, rendered.clip.clip_id, out)
    assert out.read_bytes() == rendered.path.read_bytes()
    assert list(tmp_path.iterdir()) == [out]


def test_a_wide_clip_with_odd_rate_and_no_notes(tmp_path: Path) -> None:
    clip = make_clip(10, width=160, height=90)
    clip = replace(clip, notes=some_notes().starting_in(9, 10))
    workspace = make_workspace(tmp_path / "w", clip)
    path = workspace / "clips" / clip.clip_id / "original.flac"
    soundfile.write(path, clip.sound[::2], RATE_HZ // 2)
    clips = replace(clip, changes={"original_samples": len(clip.sound[::2])})
    make_workspace(tmp_path / "w2", clips)
    (tmp_path / "w2" / "clips" / clip.clip_id / "original.flac").write_bytes(path.read_bytes())
    render_preview(tmp_path / "w2", clip.clip_id, tmp_path / "wide.mp4")
    with av.open(str(tmp_path / "wide.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.frames, video.width, video.height) == (10, 960, 1000)
        assert audio.rate == 48_000
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert np.abs(sound[0]).max() > 0.05
    assert np.abs(sound[1]).max() < 1e-3


@given(width=st.integers(2, 8000), height=st.integers(2, 8000))
def test_every_layout_is_bounded_even_and_inside(width: int, height: int) -> None:
    layout = Layout.of(width, height)
    assert (layout.width, layout.height) <= (1280, 720) or (layout.width == 960 and layout.height <= 1000)
    for box in (layout.picture, layout.roll):
        assert 0 <= box.left < box.right <= layout.width
        assert 0 <= box.top < box.bottom <= layout.height
    assert layout.width % 2 == layout.height % 2 == 0
    assert layout.roll.right - layout.roll.left >= 640
    assert layout.roll.bottom - layout.roll.top >= 460
    w, h = layout.picture.right - layout.picture.left, layout.picture.bottom - layout.picture.top
    assert abs(w - h * width / height) <= 2 + 2 * width / height


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """A workspace with three clips of which the last two lack something."""
    return make_workspace(
        tmp_path / "workspace",
        make_clip(5, clip_id="kmRZ0mBd_00000000"),
        replace(make_clip(5, clip_id="kmRZ0mBd_00031000"), keypoints=None),
        replace(make_clip(5, clip_id="zz_00000000"), notes=None),
    )


def test_a_clip_is_found_by_id_number_or_beginning(several: Path) -> None:
    assert find_clip(several, "zz_00000000") == "zz_00000000"
    assert find_clip(several, "2") == "kmRZ0mBd_00031000"
    assert find_clip(several, "z") == "zz_00000000"
    with pytest.raises(UsageError, match="2 clips begin with 'km': kmRZ0mBd_00000000, kmRZ0mBd_00031000"):
        find_clip(several, "km")


@pytest.mark.parametrize("name", ["kmRZ0mbd_00000000", "kmRZomB", "4", "0", ""])
def test_an_unknown_clip_is_told_how_to_find_one(several: Path, name: str) -> None:
    with pytest.raises(
        UsageError, match=r"has no clip .* there are 3: kmRZ0mBd.*`ls .*clips` lists them"
    ) as told:
        find_clip(several, name)
    near = "Near: kmRZ0mBd_00000000, kmRZ0mBd_00031000." in str(told.value)
    assert near == name.startswith("km")
    with pytest.raises(UsageError, match="has no clip"):
        render_preview(several, name, several.parent / "x.mp4")


def test_no_workspace_and_no_clips(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no workspace"):
        find_clip(tmp_path, "1")
    with pytest.raises(UsageError, match="no clips yet: run `d2midi build"):
        find_clip(make_workspace(tmp_path / "empty"), "1")


@pytest.mark.parametrize(
    ("clip_id", "stage"), [("kmRZ0mBd_00031000", "keypoints"), ("zz_00000000", "transcribe")]
)
def test_what_is_not_done_yet_names_its_stage(several: Path, clip_id: str, stage: str) -> None:
    with pytest.raises(UsageError, match=f"yet: run `d2midi {stage} -w"):
        render_preview(several, clip_id, several.parent / "x.mp4")
    assert not (several.parent / "x.mp4").exists()


def test_a_failed_stage_tells_why(tmp_path: Path) -> None:
    failed = {"failed_stage": "keypoints", "reason": "crash", "message": "the worker died"}
    clip = replace(make_clip(5), keypoints=None, changes=failed)
    workspace = make_workspace(tmp_path / "w", clip)
    with pytest.raises(UsageError, match=r"keypoints failed \(crash\): the worker died.*`d2midi retry"):
        render_preview(workspace, clip.clip_id, tmp_path / "x.mp4")


def test_places_that_cannot_be_written(several: Path, tmp_path: Path) -> None:
    clip_id = "kmRZ0mBd_00000000"
    with pytest.raises(UsageError, match=r"there is no folder .*nowhere"):
        render_preview(several, clip_id, tmp_path / "nowhere" / "x.mp4")
    with pytest.raises(UsageError, match=r"ends in \.mp4"):
        render_preview(several, clip_id, tmp_path / "x.avi")
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        render_preview(several, clip_id, tmp_path / "folder.mp4")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if os.access(locked, os.W_OK):  # root writes everywhere, except in what is no real folder
        locked = Path("/proc/self")
    with pytest.raises(UsageError, match="cannot write in"):
        render_preview(several, clip_id, locked / "x.mp4")


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("clips/{}/original.flac", None, "original.flac is missing; `d2midi build`"),
        ("clips/{}/original.flac", b"no sound", "original.flac cannot be read"),
        ("clips/{}/video.mp4", b"no video", "ffmpeg failed reading"),
        ("frames/{}.parquet", None, "parquet is missing"),
    ],
)
def test_damaged_files_are_named_and_leave_nothing(
    several: Path, tmp_path: Path, file: str, damage: bytes | None, message: str
) -> None:
    path = several / file.format("kmRZ0mBd_00000000")
    path.unlink()
    if damage:
        path.write_bytes(damage)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(PermanentError, match=message):
        render_preview(several, "kmRZ0mBd_00000000", tmp_path / "x.mp4")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_frames": 6}, "parquet has 5 frames, the table of clips says 6"),
        ({"original_samples": 10}, "original.flac has 11025 samples, the table of clips says 10"),
    ],
)
def test_lengths_that_disagree_are_an_error(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    clip = replace(make_clip(5), changes=changes)
    workspace = make_workspace(tmp_path / "w", clip)
    with pytest.raises(PermanentError, match=message):
        render_preview(workspace, clip.clip_id, tmp_path / "x.mp4")


@pytest.mark.parametrize("shown", [4, 6])
def test_a_video_of_another_length_is_an_error(tmp_path: Path, shown: int) -> None:
    clip = make_clip(5)
    other = make_workspace(tmp_path / "other", make_clip(shown))
    workspace = make_workspace(tmp_path / "w", clip)
    video = f"clips/{clip.clip_id}/video.mp4"
    (workspace / video).write_bytes((other / video).read_bytes())
    with pytest.raises(PermanentError, match=f"video.mp4 has {shown} frames, the table of clips says 5"):
        render_preview(workspace, clip.clip_id, tmp_path / "x.mp4")
    assert not (tmp_path / "x.mp4").exists()
