"""Excerpts of takes: what is shown, and that picture and sound stay together."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2midi_build.annotate.excerpt import FPS, Excerpt, Piece, excerpt_of, render_excerpt
from d2midi_build.errors import PermanentError
from d2midi_build.media.ffmpeg import ffmpeg_exe
from d2midi_build.media.probe import probe


def flashing(
    path: Path, seconds: float, at_s: list[float], *options: str, size: str = "96x54", fps: int = 30
) -> Path:
    """A black and silent video with white flashes and beeps of 0.12 s at the same times."""
    on = "+".join(f"between(t,{time_s},{time_s + 0.12})" for time_s in at_s)
    subprocess.run(
        [
            ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y",
            "-f", "lavfi", "-i", f"color=black:s={size}:r={fps}:d={seconds}",
            "-f", "lavfi", "-i", f"aevalsrc='0.5*sin(2*PI*1000*t)*({on})':s=44100:d={seconds}",
            "-vf", f"drawbox=color=white:t=fill:enable='{on}'",
            "-c:v", "libx264", "-preset", "ultrafast", "-g", "60", "-c:a", "aac", *options, str(path),
        ],
        check=True,
    )  # fmt: skip
    return path


def flashes_and_beeps(path: Path) -> tuple[list[float], list[float]]:
    """When the picture turns bright, and when the sound begins, in seconds."""
    with av.open(str(path)) as container:
        frames = [
            (frame.time or 0.0, frame.to_ndarray(format="gray")[:20].mean())
            for frame in container.decode(video=0)
        ]
    with av.open(str(path)) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    bright = [now > 128 for _, now in frames]
    seen = [
        time_s
        for (time_s, _), now, was in zip(frames, bright, [False, *bright], strict=False)
        if now and not was
    ]
    loud = np.flatnonzero(np.abs(sound) > 0.1) / 48_000
    heard = loud[np.concatenate([[True], np.diff(loud) > 0.2])] if len(loud) else loud
    return seen, heard.tolist()


@given(st.floats(0, 1000), st.floats(0.05, 2000))
def test_an_excerpt_is_the_whole_take_or_its_beginning_middle_and_end(
    start_s: float, length_s: float
) -> None:
    excerpt = excerpt_of(start_s, start_s + length_s)
    first, last = excerpt.pieces[0], excerpt.pieces[-1]
    assert first.start_s == start_s
    assert start_s + length_s - 1 / FPS - 1e-6 <= last.end_s <= start_s + length_s + 1e-6
    assert excerpt.length_s <= 60 + 1e-6
    if length_s <= 60:
        assert len(excerpt.pieces) == 1 and excerpt.told() == ""
    if length_s > 60.1:
        assert [round(piece.length_s, 6) for piece in excerpt.pieces] == [20, 20, 20]
        gaps = [b.start_s - a.end_s for a, b in zip(excerpt.pieces, excerpt.pieces[1:], strict=False)]
        assert min(gaps) > 0 and max(gaps) - min(gaps) <= 2 / FPS


def test_a_take_shorter_than_a_frame_has_no_excerpt() -> None:
    with pytest.raises(ValueError, match="shorter than a frame"):
        excerpt_of(1.0, 1.01)


def test_times_in_an_excerpt_lead_back_into_the_video() -> None:
    excerpt = Excerpt((Piece(10, 30), Piece(50, 70), Piece(90, 110)))
    asked = (-1, 0, 5, 20, 20.04, 45, 60, 99)
    assert [excerpt.source_s(time_s) for time_s in asked] == pytest.approx(
        [10, 10, 15, 30, 50.04, 95, 110, 110]
    )
    assert "10-30 s, 50-70 s, 90-110 s" in excerpt.told()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_picture_and_sound_stay_together_wherever_a_take_begins(tmp_path: Path, name: str) -> None:
    video = flashing(tmp_path / name, 8, [1.0, 4.0, 6.5])
    out = tmp_path / "media" / "out.mp4"
    render_excerpt(video, excerpt_of(3.2, 8.0), out)
    seen, heard = flashes_and_beeps(out)
    assert seen == pytest.approx([0.8, 3.3], abs=0.045)
    assert heard == pytest.approx([0.8, 3.3], abs=0.015)
    info = probe(out)
    assert info.duration_s == pytest.approx(4.8, abs=0.03) and info.video.average_fps == pytest.approx(25)
    assert [path.name for path in out.parent.iterdir()] == ["out.mp4"]


def test_pieces_are_joined_without_drift_and_told_apart(tmp_path: Path) -> None:
    video = flashing(tmp_path / "a.mp4", 31, [1.0, 15.5, 30.0])
    excerpt = excerpt_of(0.5, 30.5, most_s=6)
    assert [piece.start_s for piece in excerpt.pieces] == pytest.approx([0.5, 14.5, 28.5], abs=0.021)
    render_excerpt(video, excerpt, tmp_path / "out.mp4")
    seen, heard = flashes_and_beeps(tmp_path / "out.mp4")
    assert seen == pytest.approx([0.5, 3.0, 5.5], abs=0.06) and heard == pytest.approx(
        [0.5, 3.0, 5.5], abs=0.03
    )
    with av.open(str(tmp_path / "out.mp4")) as container:
        bars = [frame.to_ndarray(format="gray")[-4:].mean(axis=0) for frame in container.decode(video=0)]
    thirds = [
        [float(part.mean()) > 128 for part in np.array_split(bars[place], 3)] for place in (25, 70, 130)
    ]
    assert thirds == [[True, False, False], [False, True, False], [False, False, True]]


def test_large_and_upright_pictures_become_small_and_sound_may_lack(tmp_path: Path) -> None:
    video = flashing(tmp_path / "a.mp4", 1, [0.5], "-an", size="500x1000")
    render_excerpt(video, excerpt_of(0, 1), tmp_path / "out.mp4")
    info = probe(tmp_path / "out.mp4")
    assert (info.video.width, info.video.height, info.audio) == (320, 640, None)


def test_what_ends_early_is_continued(tmp_path: Path) -> None:
    video = flashing(tmp_path / "a.mp4", 2, [0.5])
    render_excerpt(video, excerpt_of(1, 5), tmp_path / "out.mp4")
    assert probe(tmp_path / "out.mp4").duration_s == pytest.approx(4.0, abs=0.03)


def test_the_same_take_gives_the_same_bytes(tmp_path: Path) -> None:
    video = flashing(tmp_path / "a.mp4", 2, [0.5])
    for name in ("one.mp4", "two.mp4"):
        render_excerpt(video, excerpt_of(0.5, 2), tmp_path / name)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_a_broken_video_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(PermanentError):
        render_excerpt(tmp_path / "a.mp4", excerpt_of(0, 2), tmp_path / "media" / "out.mp4")
    assert not (tmp_path / "media").exists() or not list((tmp_path / "media").iterdir())
