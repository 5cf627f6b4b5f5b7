"""Random windows of a LeRobotDataset, which the reader of releases is measured beside.

LeRobot 0.4 needs NumPy 2 and this project NumPy 1, so it lives in an environment of its own (about 8 GB):

    uv venv --python 3.11 /tmp/lerobot
    uv pip install --python /tmp/lerobot/bin/python lerobot==0.4.4
    python benchmarks/release_read.py --lerobot /tmp/lerobot/bin/python

Runs there, by itself, without the package: takes keypoints as a NumPy file of (videos, frames, numbers) float32,
windows as a JSON list of [video, start], and prints one JSON object: bytes, frames and seconds of each window.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

FEATURE = "observation.keypoints"


def write(keypoints: Path, folder: Path, fps: int) -> int:
    """Write every video as an episode; the number of bytes."""
    import numpy as np
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    videos = np.load(keypoints, mmap_mode="r")
    shape = (videos.shape[2],)
    dataset = LeRobotDataset.create(
        "d2midi/benchmark",
        fps=fps,
        features={FEATURE: {"dtype": "float32", "shape": shape, "names": None}},
        root=folder,
        use_videos=False,
    )
    for video in videos:
        for frame in video:
            dataset.add_frame({FEATURE: np.array(frame), "task": "dance"})
        dataset.save_episode()
    dataset.finalize()
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def read(keypoints: Path, folder: Path, windows: list[tuple[int, int]], length: int, fps: int) -> list[float]:
    """Seconds that each window takes as a float32 array, by its own way of reading windows (``delta_timestamps``)."""
    import numpy as np
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    videos = np.load(keypoints, mmap_mode="r")
    deltas = [number / fps for number in range(length)]
    dataset = LeRobotDataset("d2midi/benchmark", root=folder, delta_timestamps={FEATURE: deltas})
    taken = []
    for video, start in windows:
        began = time.perf_counter()
        found = dataset[video * videos.shape[1] + start][FEATURE].numpy()
        taken.append(time.perf_counter() - began)
        if not np.array_equal(found, videos[video, start : start + length], equal_nan=True):
            raise SystemExit(f"window {video}, {start} came back with other numbers")
    return taken


def main() -> None:
    """Write, read and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("keypoints", type=Path)
    parser.add_argument("windows", type=Path)
    parser.add_argument("folder", type=Path, help="written, and removed at the end")
    parser.add_argument("--length", type=int, default=600)
    parser.add_argument("--fps", type=int, default=20)
    options = parser.parse_args()
    windows = json.loads(options.windows.read_text())
    try:
        n_bytes = write(options.keypoints, options.folder, options.fps)
        read(options.keypoints, options.folder, windows[:3], options.length, options.fps)  # page cache
        seconds = read(options.keypoints, options.folder, windows, options.length, options.fps)
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)
    json.dump({"bytes": n_bytes, "seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    main()
