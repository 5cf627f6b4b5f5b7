"""What screening a video costs beside tracking its dancer, in CPU seconds per second of video.

    python benchmarks/filter_cost.py [--data ../shared/data] [--seconds 6] [--json]

Per video, with models open:

- decode: ffmpeg decodes it on one thread and throws it away; the floor
- scan: every picture at 360 lines, and small for the shots, with its time
- shots: finding the cuts in those
- looks: looking at a sample a second
- filter: the stage's own function, sound included
- keypoints: the stage's own function on a clip of the video, at most ``--seconds`` long, less what a clip of one
  second costs (MediaPipe opens its models for every clip)

The last column is filter over keypoints (bar: at most 0.2, over all videos and for each). The row "1080p" is a
360-line video made larger and noisy: no landscape video of that size with sound is at hand.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ffmpeg
from cpu_time import cpu_s
from rich.console import Console
from rich.table import Table

from d2midi_build import clock
from d2midi_build.media.ffmpeg import run
from d2midi_build.media.probe import probe
from d2midi_build.media.scan import ScannedPicture, scan_pictures
from d2midi_build.media.shots import LINES, ShotDetector
from d2midi_build.motion.looks import PictureJudge, Seen
from d2midi_build.recipe import Recipe
from d2midi_build.stages.base import Made, Work, stage

VIDEOS = (
    "olincollege+just-dance/test/test.mp4",
    "MiryalaNarayanaReddy+Multiperson-Pose-detection-and-Segmentation/dance_video.mp4",
    "google+aichoreographer/assets/gen_results_1.mp4",
    "TMElyralab+MusePose/assets/videos/dance.mp4",
    "karthikcsq+FORMulator/dance.mov",
    "antgroup+animate-x/data/videos/dance_3.mp4",
    "researchmm+MM-Diffusion/fig/aist++.mp4",
)
ENLARGED = VIDEOS[0]
BEFORE_S = 0.1
Row = dict[str, Any]


def enlarge(source: Path, target: Path) -> None:
    """A 1080p version with the noise of a camera."""
    given = ffmpeg.input(str(source))
    picture = given.video.filter("scale", -2, 1080).filter("noise", alls=4, allf="t")
    output = ffmpeg.output(
        picture, given.audio, str(target), vcodec="libx264", preset="veryfast", crf=23, acodec="copy"
    )
    run(output, "making a 1080p video")


def scan(path: Path, used: Callable[[ScannedPicture], None] = lambda picture: None) -> int:
    """A scan as the stage does it; the number of pictures."""
    number = -1
    for picture in scan_pictures(path, 360):
        picture.bgr(LINES)
        used(picture)
        number = picture.number
    return number + 1


def shots(path: Path) -> None:
    """A scan with its cuts found."""
    detector = ShotDetector()
    scan(path, lambda picture: detector.add(picture.time_s, picture.bgr(LINES)))
    detector.shots()


def looks(path: Path, judge: PictureJudge) -> None:
    """A scan with a look at a sample a second."""
    recent: list[ScannedPicture] = []
    last: Seen | None = None
    due_s = 0.0

    def used(picture: ScannedPicture) -> None:
        nonlocal last, due_s
        recent[:] = [other for other in recent if picture.time_s - other.time_s <= BEFORE_S + 1e-6]
        if picture.time_s >= due_s:
            due_s = picture.time_s + 1
            before = recent[0] if recent else None
            last = judge.look(
                picture.bgr(),
                before.bgr() if before else None,
                picture.time_s - before.time_s if before else 0.0,
                last,
            )
        recent.append(picture)

    scan(path, used)


def run_stage(name: str, inputs: dict[str, Any], state: dict[str, Any], out: Path) -> Made:
    """A stage's function with the default recipe, in this process."""
    out.mkdir()
    params = stage(name).params(Recipe())
    return stage(name).run(Work(params, inputs, out, out / "scratch", lambda share: None, state))


def keypoints_cost(video: Path, seconds: float, folder: Path) -> float:
    """CPU seconds per second of clip."""
    spent: list[tuple[float, float]] = []
    for length_s in (1.0, seconds):
        clip = folder / f"clip-{length_s}"
        made = run_stage("resample", {"video": str(video), "start_s": 0.0, "end_s": length_s}, {}, clip)
        inputs = {
            "video": str(next(clip.glob("video*"))),
            "timing": str(clip / "timing.npy"),
            "n_frames": made.facts["n_frames"],
        }
        cost_s, _ = cpu_s(
            lambda inputs=inputs, n=length_s: run_stage("keypoints", inputs, {}, folder / f"keypoints-{n}")
        )
        spent.append((clock.frame_time_s(made.facts["n_frames"]), cost_s))
    (short_s, short_cost), (long_s, long_cost) = spent
    return (long_cost - short_cost) / (long_s - short_s)


def measure(video: Path, name: str, seconds: float, judge: PictureJudge, state: dict[str, Any]) -> Row:
    """One row."""
    info = probe(video)
    source = ffmpeg.input(str(video), threads=1)[str(info.video.index)]
    decode_s, _ = cpu_s(lambda: run(source.output("-", f="null"), "decoding"))
    scan_s, _ = cpu_s(lambda: scan(video))
    shots_s, _ = cpu_s(lambda: shots(video))
    looks_s, _ = cpu_s(lambda: looks(video, judge))
    with tempfile.TemporaryDirectory() as folder:
        inputs = {"video": str(video), "media": info.to_facts()}
        filter_s, made = cpu_s(lambda: run_stage("filter", inputs, state, Path(folder) / "filter"))
        length_s = made.facts["media_s"]
        tracked = keypoints_cost(video, min(seconds, length_s), Path(folder))
    return {
        "video": name,
        "size": f"{info.video.display_width}x{info.video.display_height}",
        "fps": round(info.video.average_fps or 0.0, 1),
        "seconds": length_s,
        "decode": decode_s / length_s,
        "scan": scan_s / length_s,
        "shots": (shots_s - scan_s) / length_s,
        "looks": (looks_s - scan_s) / length_s,
        "filter": filter_s / length_s,
        "keypoints": tracked,
        "filter/keypoints": filter_s / length_s / tracked,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, help="folder with the real files")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of the clips tracked, at most")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # as a worker of the engine
    judge, state, rows = PictureJudge(), {}, []
    with tempfile.TemporaryDirectory() as folder:
        # Imports, models and page cache.
        first = options.data / VIDEOS[-2]
        inputs = {"video": str(first), "media": probe(first).to_facts()}
        run_stage("filter", inputs, state, Path(folder) / "warm")
        looks(first, judge)
        large = Path(folder) / "large.mp4"
        enlarge(options.data / ENLARGED, large)
        videos = [(options.data / name, "/".join(Path(name).parts[-2:])) for name in VIDEOS]
        for video, name in [*videos, (large, "1080p")]:
            rows.append(measure(video, name, options.seconds, judge, state))
    cost, base = (sum(row[name] * row["seconds"] for row in rows) for name in ("filter", "keypoints"))
    found = {"rows": rows, "filter_over_keypoints": cost / base}
    if options.json:
        print(json.dumps(found))
        return
    table = Table(*rows[0], title="CPU seconds per second of video")
    for row in rows:
        table.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()))
    console = Console(width=160)
    console.print(table)
    console.print(f"filter / keypoints over all of them: {found['filter_over_keypoints']:.3f}")


if __name__ == "__main__":
    main()
