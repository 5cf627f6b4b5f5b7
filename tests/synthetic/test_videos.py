"""The files are as odd as they claim, and no odder: timestamps, rotation, pixel aspect, sound in time."""

from __future__ import annotations

import hashlib
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
import scenedetect
import soundfile

from d2midi_build.clock import FPS, SAMPLE_RATE_HZ
from d2midi_build.errors import PermanentError
from d2midi_build.synthetic import slate
from d2midi_build.synthetic.anatomy import Array
from d2midi_build.synthetic.dancer import choreograph
from d2midi_build.synthetic.videos import SHAPES, Shape, frame_times_s, write_truncated, write_video

RATE_HZ = 44_100
DURATION_S = 3.0


def _write(path: Path, shape: Shape, *, sound: bool = True, **options: float) -> Path:
    dance = choreograph(np.random.default_rng(0), 120, DURATION_S, first_beat_s=2.1)
    music = 0.1 * np.random.default_rng(1).normal(size=(RATE_HZ, 2))
    audio = music if sound else None
    write_video(path, shape, [dance], audio, RATE_HZ, DURATION_S, np.random.default_rng(2), **options)
    return path


def _shrunk(name: str) -> Shape:
    """The named shape at half the size: faster."""
    shape = SHAPES[name]
    values = {k: getattr(shape, k) for k in shape.__dataclass_fields__}
    return Shape(**{**values, "size_px": (shape.size_px[0] // 2, shape.size_px[1] // 2)})


@pytest.mark.parametrize("name", sorted(SHAPES))
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_each_shape_is_in_its_container_and_in_time(name: str, suffix: str, tmp_path: Path) -> None:
    shape = _shrunk(name)
    path = _write(tmp_path / f"{name}{suffix}", shape)
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        frames = list(container.decode(video=0))
        assert video.codec_context.name == "h264"
        assert audio.codec_context.name == "aac"
        if not shape.irregular:
            assert float(video.average_rate or 0) == pytest.approx(float(shape.fps), rel=1e-4)
        assert {frame.rotation % 360 for frame in frames} == ({270} if shape.rotated else {0})
        assert (video.sample_aspect_ratio or Fraction(1)) == shape.pixel_aspect
        stored = (round(shape.size_px[0] / shape.pixel_aspect), shape.size_px[1])
        assert (video.width, video.height) == (stored[::-1] if shape.rotated else stored)
    times = np.array([frame.time for frame in frames])
    wanted = frame_times_s(shape, DURATION_S, np.random.default_rng(2))
    # Matroska counts in milliseconds.
    assert times == pytest.approx(wanted, abs=1e-6 if suffix == ".mp4" else 6e-4)
    assert times[0] == pytest.approx(shape.video_late_s, abs=1 / 30)
    assert slate.source_av_offset_ms(path) == pytest.approx(0, abs=2.0)


def test_late_sound_starts_late(tmp_path: Path) -> None:
    path = _write(tmp_path / "late.mp4", _shrunk("late-audio"))
    with av.open(str(path)) as container:
        first = next(container.decode(audio=0))
        assert first.time == pytest.approx(0.5, abs=0.025)


def test_irregular_frames_are_irregular() -> None:
    times = frame_times_s(SHAPES["vfr"], 20, np.random.default_rng(0))
    gaps = np.diff(times)
    assert gaps.min() > 0
    assert gaps.max() > 1.5 * gaps.min()
    assert len(times) < 20 * 30
    assert not np.array_equal(times, frame_times_s(SHAPES["vfr"], 20, np.random.default_rng(1)))


def test_ntsc_frames_are_exact() -> None:
    times = frame_times_s(SHAPES["29.97fps"], 2, np.random.default_rng(0))
    assert times == pytest.approx(np.arange(len(times)) * 1001 / 30_000, abs=1e-12)


def test_ffmpeg_agrees_that_sound_and_picture_are_together(tmp_path: Path) -> None:
    """Another decoder, through to a clip: 20 fps needs no resampling, so the offset stays 0."""
    source = _write(tmp_path / "source.mp4", Shape(fps=Fraction(FPS), size_px=(320, 320)))
    clip, sound = tmp_path / "clip.mp4", tmp_path / "clip.flac"
    resample = f"aresample={SAMPLE_RATE_HZ}:async=1:first_pts=0"
    subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(source)),
            *("-map", "0:v", "-vf", f"fps={FPS}", str(clip)),
            *("-map", "0:a", "-af", resample, "-ac", "1", str(sound)),
        ],
        check=True,
        timeout=60,
    )
    assert slate.clip_av_offset_ms(clip, sound) == pytest.approx(0, abs=2.0)
    samples, rate_hz = soundfile.read(sound)
    late = tmp_path / "late.flac"
    soundfile.write(late, np.concatenate([np.zeros(round(0.035 * rate_hz)), samples]), rate_hz)
    assert slate.clip_av_offset_ms(clip, late) == pytest.approx(35, abs=2.0)


def test_the_slate_is_no_shot_cut(tmp_path: Path) -> None:
    path = _write(tmp_path / "slate.mp4", _shrunk("30fps"))
    assert scenedetect.detect(str(path), scenedetect.ContentDetector()) == []
    assert scenedetect.detect(str(path), scenedetect.AdaptiveDetector()) == []


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    shape = _shrunk("vfr")
    digests = {
        hashlib.sha256(_write(tmp_path / f"{k}.mp4", shape).read_bytes()).hexdigest() for k in range(2)
    }
    assert len(digests) == 1


def test_a_file_without_sound_has_no_sound_track(tmp_path: Path) -> None:
    path = _write(tmp_path / "silent.mp4", _shrunk("30fps"), sound=False)
    with av.open(str(path)) as container:
        assert not container.streams.audio


def test_a_still_picture_does_not_move(tmp_path: Path) -> None:
    path = _write(tmp_path / "still.mp4", _shrunk("30fps"), frozen_at_s=2.5)
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="gray").astype(int) for frame in container.decode(video=0)]
    below = slice(40, None)  # without the slate
    assert max(np.abs(frame[below] - frames[0][below]).mean() for frame in frames) < 1


def test_a_truncated_file_cannot_be_opened(tmp_path: Path) -> None:
    whole = _write(tmp_path / "whole.mp4", _shrunk("30fps"))
    write_truncated(tmp_path / "cut.mp4", whole)
    with pytest.raises(av.error.InvalidDataError):
        av.open(str(tmp_path / "cut.mp4"))


def test_ffmpegs_own_words_are_kept(tmp_path: Path) -> None:
    with pytest.raises(PermanentError) as caught:
        _write(tmp_path / "missing" / "folder.mp4", _shrunk("30fps"))
    assert "No such file" in caught.value.tool_message


def _levels(times_s: Array) -> Array:
    return np.array([slate.level(float(t)) for t in times_s])


@pytest.mark.parametrize("offset_ms", [0.0, 20.0, -35.0])
@pytest.mark.parametrize("rate_hz", [SAMPLE_RATE_HZ, RATE_HZ])
def test_planted_offsets_are_measured(offset_ms: float, rate_hz: int) -> None:
    times = np.arange(3 * FPS) / FPS
    audio = slate.with_clicks(np.zeros(rate_hz), rate_hz)
    # Sound that is late against the picture starts later.
    measured = slate.measure_av_offset_ms(_levels(times), audio, rate_hz, audio_start_s=offset_ms / 1000)
    assert measured == pytest.approx(offset_ms, abs=0.5)
    # A picture that is early by the same amount: every frame shows what comes later.
    early = _levels(times + offset_ms / 1000)
    assert slate.measure_av_offset_ms(early, audio, rate_hz) == pytest.approx(offset_ms, abs=0.5)


def test_nearest_frame_resampling_averages_out() -> None:
    """30 to 20 fps by nearest frame errs by up to half a source frame in single frames."""
    times = np.arange(3 * FPS) / FPS
    shown = np.floor(times * 30 + 1e-9) / 30  # always the earlier one: late by 0 or 16.7 ms in turn
    audio = slate.with_clicks(np.zeros(SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    assert slate.measure_av_offset_ms(_levels(shown), audio, SAMPLE_RATE_HZ) == pytest.approx(-8.3, abs=1.0)


def test_a_slate_without_clicks_is_an_error() -> None:
    times = np.arange(3 * FPS) / FPS
    with pytest.raises(ValueError, match="no click"):
        slate.measure_av_offset_ms(_levels(times), np.zeros(3 * RATE_HZ), RATE_HZ)
    audio = slate.with_clicks(np.zeros(RATE_HZ), RATE_HZ)
    with pytest.raises(ValueError, match="0 of 4 flashes"):
        slate.measure_av_offset_ms(np.zeros(60), audio, RATE_HZ)


def test_music_comes_after_the_slate() -> None:
    music = np.ones((10, 2))
    audio = slate.with_clicks(music, RATE_HZ)
    assert audio.shape == (round(slate.SLATE_S * RATE_HZ) + 10, 2)
    assert np.array_equal(audio[-10:], music)
    assert np.abs(audio[:-10]).argmax() // 2 == pytest.approx(slate.FLASHES_S[0] * RATE_HZ, abs=1)
