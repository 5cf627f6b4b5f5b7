"""How many people the detector sees in every video of a folder, and what a sample costs.

    python benchmarks/people.py --data ../shared/data [--rate 2] [--json]

The folder has an ``index.csv`` with a category and a description per file. The last rows are pictures made
of two solos: side by side, one smaller, one far behind, and side by side in an upright picture.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from d2midi_build.motion.people import SAMPLE_HEIGHT_PX, PersonDetector, frame_motion, people_over_time

Image = npt.NDArray[np.uint8]
SOLOS = {
    "dance_3": "antgroup+animate-x/data/videos/dance_3.mp4",
    "musepose": "TMElyralab+MusePose/assets/videos/dance.mp4",
    "ubc": "antgroup+animate-x/data/videos/ubc.mp4",
    "path": "antgroup+animate-x/data/videos/dance_3_right.mp4",
    "studio": "olincollege+just-dance/test/test.mp4",
    "dark room": "karthikcsq+FORMulator/dance.mov",
}
PAIRS = [
    ("dance_3", "musepose"),
    ("dance_3", "ubc"),
    ("musepose", "path"),
    ("ubc", "musepose"),
    ("path", "dance_3"),
    ("studio", "dance_3"),
    ("dark room", "ubc"),
]
# Name -> width of the picture, then left edge and height of each dancer; height is SAMPLE_HEIGHT_PX.
LAYOUTS = {
    "side by side": (640, (40, 360), (340, 360)),
    "one at 61 %": (640, (0, 360), (400, 220)),
    "one at 42 %": (640, (200, 360), (20, 150)),
    "upright, 56 %": (240, (0, 200), (100, 200)),
}


def samples(path: Path, rate_hz: float, most: int) -> Iterator[Image]:
    """Pictures of a video at a steady rate, upright as shown, 360 px high, BGR; ends where decoding fails."""
    with av.open(str(path)) as container:
        due_s, count = 0.0, 0
        try:
            for frame in container.decode(video=0):
                if frame.time is None or frame.time + 1e-6 < due_s:
                    continue
                due_s = frame.time + 1 / rate_hz
                image = np.rot90(frame.to_ndarray(format="bgr24"), k=(frame.rotation // 90) % 4)
                height, width = image.shape[:2]
                size = (max(1, round(width * SAMPLE_HEIGHT_PX / height)), SAMPLE_HEIGHT_PX)
                yield cv2.resize(image, size, interpolation=cv2.INTER_AREA)
                count += 1
                if count == most:
                    return
        except av.error.InvalidDataError:
            return


def measure(detector: PersonDetector, name: str, category: str, images: list[Image]) -> dict[str, Any]:
    """One row."""
    start = time.process_time()
    found = [detector.detect(image) for image in images]
    cpu_ms = (time.process_time() - start) / max(1, len(images)) * 1e3
    scores = people_over_time(found)
    motion = frame_motion(images)
    return {
        "category": category,
        "video": name,
        "samples": scores.samples,
        "none": scores.share_none,
        "one": scores.share_one,
        "several": scores.share_several,
        "most": scores.most,
        "main_height": scores.main_height,
        "motion": float(np.median(motion)) if len(motion) else 0.0,
        "cpu_ms": cpu_ms,
    }


def together(
    first: Image, second: Image, width: int, places: tuple[tuple[int, int], tuple[int, int]]
) -> Image:
    """Two pictures, the middle of each, on one grey ground."""
    canvas = np.full((SAMPLE_HEIGHT_PX, width, 3), 200, dtype=np.uint8)
    for image, (left, height) in zip((first, second), places, strict=True):
        middle = (image.shape[1] - min(image.shape[1], 243)) // 2
        cut = image[:, middle : middle + 243]
        size = (round(cut.shape[1] * height / cut.shape[0]), height)
        small = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)[:, : width - left]
        canvas[SAMPLE_HEIGHT_PX - height :, left : left + small.shape[1]] = small
    return canvas


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv")
    parser.add_argument("--rate", type=float, default=2.0, help="samples per second")
    parser.add_argument("--most", type=int, default=60, help="samples per video at most")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    detector = PersonDetector()
    rows = []
    with (options.data / "index.csv").open(newline="", encoding="utf-8") as handle:
        videos = [row for row in csv.DictReader(handle) if row["vcodec"] and row["width"]]
    for row in sorted(videos, key=lambda row: (row["category"], row["repo"], row["path"])):
        path = options.data / row["repo"].replace("/", "+") / row["path"]
        images = list(samples(path, options.rate, options.most))
        rows.append(measure(detector, "/".join(path.parts[-2:]), row["category"], images))
    solos = {name: list(samples(options.data / path, options.rate, 8)) for name, path in SOLOS.items()}
    for layout, (width, *places) in LAYOUTS.items():
        for left, right in PAIRS:
            images = [
                together(one, other, width, (places[0], places[1]))
                for one, other in zip(solos[left], solos[right], strict=False)
            ]
            rows.append(measure(detector, f"{layout}: {left} + {right}", "two solos", images))
    if options.json:
        print(json.dumps(rows))
        return
    table = Table(*rows[0], title="People per sample")
    for row in rows:
        table.add_row(*(f"{v:.2f}" if isinstance(v, float) else str(v) for v in row.values()))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
