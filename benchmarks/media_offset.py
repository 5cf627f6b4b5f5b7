"""How far sound and picture of a clip are apart, by flash and click, beside ffmpeg's own ``fps`` filter.

    uv run --all-extras python benchmarks/media_offset.py

Per odd shape of source file: sound minus picture in milliseconds in the source as a perfect player would
show it, in our clip, and in what ``fps=20`` with ``aresample=10240:async=1:first_pts=0`` makes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import ffmpeg
import numpy as np

from d2midi_build import clock
from d2midi_build.media.clip import make_clip
from d2midi_build.media.ffmpeg import run
from d2midi_build.synthetic.slate import clip_av_offset_ms, source_av_offset_ms
from d2midi_build.synthetic.videos import SHAPES, write_video

_RATE_HZ = 48_000
_DURATION_S = 4.0


def _by_fps_filter(source: Path, folder: Path) -> tuple[Path, Path]:
    video, audio = folder / "peer.mp4", folder / "peer.flac"
    file = ffmpeg.input(str(source))
    picture = file.video.filter("fps", clock.FPS).filter("setsar", 1)
    sound = file.audio.filter("aresample", clock.SAMPLE_RATE_HZ, **{"async": 1, "first_pts": 0})
    run(
        ffmpeg.merge_outputs(ffmpeg.output(picture, str(video)), ffmpeg.output(sound, str(audio), ac=1)),
        "comparing",
    )
    return video, audio


def main() -> None:
    rng = np.random.default_rng(7)
    silence = np.zeros(round(_DURATION_S * _RATE_HZ))
    print("source          source ms   ours ms   fps filter ms")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for shape_name, shape in SHAPES.items():
            source = folder / f"{shape_name}.mp4"
            write_video(source, shape, [], silence, _RATE_HZ, _DURATION_S, rng)
            clip = make_clip(source, 0.0, float("inf"), folder, height=640, crf=20)
            ours = clip_av_offset_ms(folder / clip.video, folder / clip.audio)
            peer = clip_av_offset_ms(*_by_fps_filter(source, folder))
            print(f"{shape_name:14s} {source_av_offset_ms(source):10.2f} {ours:9.2f} {peer:15.2f}")


if __name__ == "__main__":
    main()
