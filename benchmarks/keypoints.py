"""What tracking costs beside a plain MediaPipe loop, on the same frames, in the same run.

    python benchmarks/keypoints.py --video CLIP.mp4 [--frames 200] [--json]

CPU time per frame of ``HolisticTracker`` over that of a loop that only calls ``process``; both pinned to
one core, in turns, each with a graph of its own (bar: at most 1.05).

``benchmarks/engine.py`` measures the whole stage in the engine, with two workers.

Without ``--video`` the frames are those of a drawn dancer with known joints.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from d2midi_build import clock
from d2midi_build.motion.holistic import HolisticTracker
from d2midi_build.synthetic.dancer import choreograph
from d2midi_build.synthetic.render import Camera, render

MAX_HEIGHT_PX = 640
Frames = list[npt.NDArray[np.uint8]]


def decode(path: Path, n_frames: int) -> Frames:
    """The first frames of a video on the one clock, at most 640 px high, RGB."""
    frames: Frames = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time is None or frame.time + 1e-6 < clock.frame_time_s(len(frames)):
                continue
            image = frame.to_ndarray(format="rgb24")
            if image.shape[0] > MAX_HEIGHT_PX:
                width = round(image.shape[1] * MAX_HEIGHT_PX / image.shape[0] / 2) * 2
                image = cv2.resize(image, (width, MAX_HEIGHT_PX), interpolation=cv2.INTER_AREA)
            frames.append(image)
            if len(frames) == n_frames:
                break
    return frames


def drawn(n_frames: int) -> Frames:
    """Pictures of a drawn dancer on the one clock."""
    times_s = np.arange(n_frames) / clock.FPS
    dance = choreograph(np.random.default_rng(0), 120, max(1.0, n_frames / clock.FPS))
    return list(render([dance], times_s, Camera.framing(640, 360)))


def plain_loop(frames: Frames) -> None:
    """MediaPipe as its documentation shows it, results thrown away."""
    from mediapipe.python.solutions.holistic import Holistic

    with Holistic(smooth_landmarks=False, refine_face_landmarks=True) as holistic:
        for frame in frames:
            holistic.process(frame)


def tracker_loop(frames: Frames) -> None:
    """The same through the tracker."""
    HolisticTracker().track(frames, len(frames))


def cpu_per_frame_ms(loop: Callable[[Frames], None], frames: Frames) -> float:
    """CPU milliseconds per frame of one pass."""
    start = time.process_time()
    loop(frames)
    return (time.process_time() - start) / len(frames) * 1e3


def compare(frames: Frames, repeats: int) -> dict[str, Any]:
    """Plain loop and tracker in turns on one core; medians, and the median ratio of neighbours."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        plain_loop(frames[:5])  # imports, page cache
        pairs = [
            (cpu_per_frame_ms(plain_loop, frames), cpu_per_frame_ms(tracker_loop, frames))
            for _ in range(repeats)
        ]
    finally:
        os.sched_setaffinity(0, allowed)
    return {
        "plain_cpu_ms": statistics.median(plain for plain, _ in pairs),
        "tracker_cpu_ms": statistics.median(ours for _, ours in pairs),
        "tracker_over_plain": statistics.median(ours / plain for plain, ours in pairs),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--video", type=Path, help="a video with one dancer; default: a drawn dancer")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    frames = decode(options.video, options.frames) if options.video else drawn(options.frames)
    found = {
        "video": options.video.name if options.video else "drawn dancer",
        "frames": len(frames),
        "size": f"{frames[0].shape[1]}x{frames[0].shape[0]}",
        **compare(frames, options.repeats),
    }
    if options.json:
        print(json.dumps(found))
        return
    table = Table("measure", "value", title="Tracking beside a plain MediaPipe loop")
    for name, value in found.items():
        table.add_row(name, f"{value:.3f}" if isinstance(value, float) else str(value))
    Console().print(table)


if __name__ == "__main__":
    main()
