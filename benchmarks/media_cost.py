"""What making clips and scanning costs, beside ffmpeg decoding the same file and throwing it away.

    uv run --all-extras python benchmarks/media_cost.py

Per kind of source: CPU milliseconds per clip frame of a clip (20 frames/s, 640 lines), per source frame of a
scan with shot detection (360 lines), and both as ratios to the bare decode.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import ffmpeg
from cpu_time import cpu_s

from d2midi_build.media.clip import make_clip
from d2midi_build.media.ffmpeg import run
from d2midi_build.media.scan import scan_frames
from d2midi_build.media.shots import ShotDetector

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_SECONDS = 12


def _scan(path: Path) -> int:
    detector, number = ShotDetector(), 0
    for number, time_s, image in scan_frames(path, 360):  # noqa: B007
        detector.add(time_s, image)
    detector.shots()
    return number + 1


def _make(path: Path, fps: int, **options: Any) -> None:
    """A 1080p file with camera noise, from the dancer in the shared data."""
    dancer = ffmpeg.input(str(_DATA / "TMElyralab+MusePose/assets/videos/dance.mp4"), t=_SECONDS)
    picture = dancer.video.filter("transpose", 1).filter("fps", fps).filter("noise", alls=4, allf="t")
    run(
        ffmpeg.output(picture, dancer.audio, str(path), preset="veryfast", crf=23, acodec="aac", **options),
        "making",
    )


def main() -> None:
    print(
        "source             decode ms/source frame | clip ms/clip frame  ratio | scan ms/source frame  ratio"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, fps, options in (
            ("1080p 30 h264", 30, {"vcodec": "libx264", "pix_fmt": "yuv420p"}),
            ("1080p 60 h264", 60, {"vcodec": "libx264", "pix_fmt": "yuv420p"}),
            (
                "1080p 30 hevc PQ",
                30,
                {"vcodec": "libx265", "pix_fmt": "yuv420p10le", "color_trc": "smpte2084", "colorspace": "bt2020nc",
                 "color_primaries": "bt2020", "x265-params": "log-level=none"},
            ),
        ):  # fmt: skip
            path = Path(folder) / "source.mp4"
            _make(path, fps, **options)
            decode_s, _ = cpu_s(
                lambda p=path: run(ffmpeg.input(str(p)).video.output("-", f="null"), "decoding")
            )
            clip_s, clip = cpu_s(lambda p=path: make_clip(p, 0.0, 1e9, Path(folder), height=640, crf=20))
            scan_s, n = cpu_s(lambda p=path: _scan(p))
            decode_ms, clip_ms, scan_ms = (
                1000 * decode_s / n,
                1000 * clip_s / clip.n_frames,
                1000 * scan_s / n,
            )
            print(
                f"{name:18s} {decode_ms:22.1f} | {clip_ms:18.1f} {clip_s / decode_s:6.1f}"
                f" | {scan_ms:20.1f} {scan_s / decode_s:6.1f}"
            )


if __name__ == "__main__":
    main()
