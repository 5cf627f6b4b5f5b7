from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
import pytest

from d2midi_build.errors import PermanentError, TransientError
from d2midi_build.media import ffmpeg as ours


def _pictures(seconds: float) -> Any:
    source = ffmpeg.input(f"color=c=0x0000ff:s=64x48:r=25:d={seconds}", f="lavfi")
    return lambda name, **options: source.output(name, **options)


def test_version_is_what_the_binary_says() -> None:
    said = subprocess.run([ours.ffmpeg_exe(), "-version"], capture_output=True, text=True, check=True).stdout
    assert f"ffmpeg version {ours.ffmpeg_version()} " in said


def test_the_environment_chooses_the_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("D2MIDI_FFMPEG", "/nowhere/ffmpeg")
    with pytest.raises(PermanentError, match="D2MIDI_FFMPEG"):
        ours.ffmpeg_exe.__wrapped__()
    monkeypatch.setenv("D2MIDI_FFMPEG", "/bin/true")
    assert ours.ffmpeg_exe.__wrapped__() == "/bin/true"


def test_frames_have_their_times_and_colours() -> None:
    frames = list(ours.read_frames(_pictures(2), 64, 48, "bgr24", "testing"))
    assert [t for t, _ in frames] == pytest.approx(np.arange(50) / 25)
    assert frames[7][1].shape == (48, 64, 3)
    blue, green, red = frames[7][1][20, 20].tolist()
    assert blue > 245 and green < 10 and red < 10
    planar = list(ours.read_frames(_pictures(0.2), 64, 48, "yuv420p", "testing"))
    assert [frame.shape for _, frame in planar] == [(72, 64)] * 5


def test_stopping_early_kills_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    popen = subprocess.Popen

    def remember(*args: Any, **options: Any) -> Any:
        started.append(popen(*args, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", remember)
    frames = ours.read_frames(_pictures(100_000), 64, 48, "rgb24", "testing")
    next(frames)
    assert started[0].poll() is None
    frames.close()  # type: ignore[attr-defined]
    assert started[0].returncode == -signal.SIGKILL


def test_failures_carry_the_tools_words(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="copying") as caught:
        ours.run(
            ffmpeg.input(ours.file_url(tmp_path / "none.mp4")).output(ours.file_url(tmp_path / "b.mp4")),
            "copying",
        )
    assert "No such file or directory" in caught.value.tool_message
    with pytest.raises(PermanentError, match="reading"):
        list(
            ours.read_frames(
                lambda name, **o: ffmpeg.input("/none").output(name, **o), 64, 48, "rgb24", "reading"
            )
        )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_worth_another_try() -> None:
    full = ffmpeg.input("sine=d=20", f="lavfi").output("/dev/full", f="wav")
    with pytest.raises(TransientError, match="disk is full"):
        ours.run(full, "writing")
    pictures = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="yuv420p", video_size=(64, 48)).output(
        "/dev/full", f="rawvideo"
    )
    with pytest.raises(TransientError, match="disk is full"), ours.FrameWriter(pictures, "writing") as writer:
        for _ in range(20_000):
            writer.write(np.zeros((72, 64), np.uint8))
        writer.finish()


def test_a_flood_of_messages_stops_nothing(tmp_path: Path) -> None:
    """More words than a pipe holds: every packet of noise is an error."""
    path = tmp_path / "noise.mpg"
    ours.run(
        ffmpeg.input("testsrc=s=320x240:d=8", f="lavfi").output(
            ours.file_url(path), vcodec="mpeg2video", g=1
        ),
        "making",
    )
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    rng = np.random.default_rng(1)
    places = rng.integers(4000, len(content), len(content) // 40)
    content[places] = rng.integers(0, 256, len(places))
    path.write_bytes(content.tobytes())
    source = ffmpeg.input(ours.file_url(path), max_error_rate=1)
    frames = list(
        ours.read_frames(lambda n, **o: source.output(n, vf="scale=64:48", **o), 64, 48, "rgb24", "reading")
    )
    assert len(frames) > 50


def test_children_die_with_their_parent(tmp_path: Path) -> None:
    script = (
        "import sys, time, ffmpeg\n"
        "from d2midi_build.media import ffmpeg as ours\n"
        "source = ffmpeg.input('color=s=64x48:r=25', f='lavfi', re=None)\n"
        "child = ours._Child(source.output(sys.argv[1], f='rawvideo'), 'testing')\n"
        "print(child._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 60
    while _running(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _running(child)


def _running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_sound_comes_whole() -> None:
    source = ffmpeg.input("aevalsrc=0.5|-0.25:s=8000:d=40", f="lavfi")
    parts = list(ours.read_samples(lambda name, **o: source.output(name, **o), 2, "testing"))
    samples = np.concatenate(parts)
    assert samples.shape == (320_000, 2)
    assert len(parts) > 1
    assert np.all(samples == np.float32([0.5, -0.25]))
