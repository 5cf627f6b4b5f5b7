"""What the local engine makes of the machine: the stage keypoints on equal clips, beside a plain loop.

    python benchmarks/engine.py [--clips 16] [--seconds 10] [--workers 2] [--json]

The plain loop is what a script would be: OpenCV reads the clip, MediaPipe processes it, on one pinned core,
imports and start-up included, nothing kept. The stage also reads every point, writes and digests.

- throughput: frames per second of all workers over those of the plain loop (bar: at least 1.8 with two workers).
- cpu per frame: the stage's over the plain loop's (bar: at most 1.05).
- busy: CPU seconds of the run / (wall seconds x cores used) (bar: at least .85).

The plain loop runs before and after the engine, and the mean counts. Other load on the machine spoils it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from d2midi_build.engine.base import Finished, Job
from d2midi_build.engine.local import LocalEngine
from d2midi_build.media.clip import make_clip
from d2midi_build.synthetic.dancer import choreograph
from d2midi_build.synthetic.videos import SHAPES, write_video

_PLAIN = """
import os, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import cv2
from mediapipe.python.solutions.holistic import Holistic
for _ in range(int(sys.argv[2])):
    capture = cv2.VideoCapture(sys.argv[1])
    with Holistic(smooth_landmarks=False, refine_face_landmarks=True) as holistic:
        while True:
            got, frame = capture.read()
            if not got:
                break
            holistic.process(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
"""


def clip_of(folder: Path, seconds: float) -> int:
    """A clip of a drawn dancer on the one clock; its number of frames."""
    rng = np.random.default_rng(0)
    dance = choreograph(rng, 120, seconds + 1)
    video = folder / "source.mp4"
    write_video(video, SHAPES["25fps"], [dance], np.zeros(44_100), 44_100, seconds, rng)
    info = make_clip(video, 0.0, float("inf"), folder, height=640, crf=20)
    np.save(folder / "timing.npy", info.source_times_s)
    return info.n_frames


def plain(folder: Path, n_frames: int, n_clips: int) -> tuple[float, float]:
    """Frames per second and CPU ms per frame of the plain loop over some clips."""
    command = [sys.executable, "-c", _PLAIN, str(folder / "video.mp4"), str(n_clips)]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, capture_output=True, check=True)
    wall_s, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return n_frames * n_clips / wall_s, cpu_s / (n_frames * n_clips) * 1e3


def engine(folder: Path, n_frames: int, n_clips: int, workers: int) -> tuple[float, float]:
    """Wall and CPU seconds of all clips; workers start and load their models within them."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with LocalEngine(workers, 0, folder / "logs", 3600.0) as running:
        for number in range(n_clips):
            out = folder / f"out-{number}"
            out.mkdir(exist_ok=True)
            inputs = {
                "video": str(folder / "video.mp4"),
                "timing": str(folder / "timing.npy"),
                "n_frames": n_frames,
            }
            running.submit(
                Job("keypoints", str(number), "k", "d2midi_build.stages.base:run_job", {}, inputs, str(out))
            )
        while running.unfinished:
            for event in running.wait(1.0):
                if isinstance(event, Finished):
                    assert event.outcome.status == "done", event.outcome
        wall_s = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # the workers have ended
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=min(2, len(os.sched_getaffinity(0))))
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n_frames = clip_of(folder, options.seconds)
        share = max(1, options.clips // 4)
        before = plain(folder, n_frames, share)
        wall_s, cpu_s = engine(folder, n_frames, options.clips, options.workers)
        after = plain(folder, n_frames, share)
    rate, cpu_ms = (statistics.mean(pair) for pair in zip(before, after, strict=True))
    total = n_frames * options.clips
    found = {
        "clips": options.clips,
        "frames_per_clip": n_frames,
        "workers": options.workers,
        "plain_frames_per_s": rate,
        "plain_cpu_ms_per_frame": cpu_ms,
        "engine_frames_per_s": total / wall_s,
        "engine_cpu_ms_per_frame": cpu_s / total * 1e3,
        "throughput_over_plain": total / wall_s / rate,
        "cpu_over_plain": cpu_s / total * 1e3 / cpu_ms,
        "busy": cpu_s / (wall_s * options.workers),
    }
    if options.json:
        print(json.dumps(found))
        return
    table = Table("measure", "value", title="The stage keypoints in the local engine beside a plain loop")
    for key, value in found.items():
        table.add_row(key, f"{value:.3f}" if isinstance(value, float) else str(value))
    Console().print(table)


if __name__ == "__main__":
    main()
