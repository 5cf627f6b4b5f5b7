"""What a release's table of frames weighs and how fast it reads, by encoding, zstd level and row group.

    python benchmarks/release_encoding.py [--frames WORKSPACE/frames] [--clips 6] [--json]

Every file holds the same clips of 3,600 frames. A read gives a random window of 600 frames at a stride of 40 as
float32, one thread, warm page cache: only the row groups it lies in are read, so short ones read fewer rows that are
thrown away, and long ones have less overhead and compress better. Columns: bytes over raw float32 of 543 points;
megabytes of integers written per CPU second; CPU milliseconds of a window of all parts in the image, and of body and
hands. Few real clips chained to long ones repeat within row groups of 3,600: made-up ones do not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import release_contents
from rich.console import Console
from rich.table import Table

from d2midi_build import clock
from d2midi_build.motion.keypoints import PARTS
from d2midi_build.release.format import MISSING, schema

IMAGE: Final = ("body_image", "left_hand", "right_hand", "face")
LENGTH: Final = clock.WINDOW_FRAMES


@dataclass(frozen=True)
class Encoding:
    """How integers lie in a file."""

    encoding: str
    level: int
    rows: int


TRIED: Final = (
    Encoding("PLAIN", 12, 200),
    Encoding("DELTA_BINARY_PACKED", 12, 200),
    *(Encoding("BYTE_STREAM_SPLIT", level, 200) for level in (3, 6, 9, 12, 19)),
    *(Encoding("BYTE_STREAM_SPLIT", 12, rows) for rows in (100, 300, 600, 3600)),
)


def released(table: pa.Table) -> pa.Table:
    """The list columns as a release has them."""
    wanted = schema("frames").arrow()
    columns = {}
    for name, part in PARTS.items():
        column = table.column(name).combine_chunks()
        there = column.is_valid().to_numpy(zero_copy_only=False)
        points = np.full((len(table), part.size), MISSING, dtype=np.int16)
        points[there] = column.flatten().to_numpy().reshape(-1, part.size)
        columns[name] = pa.FixedSizeListArray.from_arrays(
            pa.array(points.reshape(-1)), type=wanted.field(name).type
        )
    return pa.Table.from_arrays(
        list(columns.values()), schema=pa.schema([wanted.field(name) for name in columns])
    )


def write(path: Path, clips: Sequence[pa.Table], tried: Encoding) -> float:
    """Write the clips; CPU seconds."""
    began = time.process_time()
    encodings = {f"{name}.list.element": tried.encoding for name in PARTS}
    with pq.ParquetWriter(
        path,
        clips[0].schema,
        compression="zstd",
        compression_level=tried.level,
        use_dictionary=False,
        column_encoding=encodings,
        write_statistics=False,
    ) as out:
        for clip in clips:
            out.write_table(clip, row_group_size=tried.rows)
    return time.process_time() - began


def read(file: pq.ParquetFile, n_frames: int, clip: int, start: int, rows: int, parts: Sequence[str]) -> Any:
    """One window, float32, (600, numbers)."""
    per_clip = -(-n_frames // rows)
    first, last = start // rows, (start + LENGTH - 1) // rows
    groups = [clip * per_clip + group for group in range(first, last + 1)]
    table = file.read_row_groups(groups, columns=list(parts), use_threads=False)
    table = table.slice(start - first * rows, LENGTH)
    window = np.empty((LENGTH, sum(PARTS[name].size for name in parts)), dtype=np.float32)
    place = 0
    for name in parts:
        row = 0
        for chunk in table.column(name).chunks:
            integers = chunk.flatten().to_numpy().reshape(len(chunk), -1)
            inside = window[row : row + len(chunk), place : place + PARTS[name].size]
            np.multiply(integers, np.float32(PARTS[name].scale), out=inside)
            row += len(chunk)
        place += PARTS[name].size
    return window


def measure(path: Path, clips: Sequence[pa.Table], tried: Encoding, n_windows: int) -> dict[str, Any]:
    """A row."""
    n_frames, rng = len(clips[0]), np.random.default_rng(0)
    write_s = write(path, clips, tried)
    raw = len(clips) * n_frames * 543 * 3 * 4
    integers = len(clips) * n_frames * sum(part.size for part in PARTS.values()) * 2
    starts = clock.window_starts(n_frames)
    windows = [
        (int(rng.integers(len(clips))), starts[int(rng.integers(len(starts)))]) for _ in range(n_windows)
    ]
    taken: dict[str, list[float]] = {"all": [], "body_hands": []}
    with pq.ParquetFile(path, memory_map=True) as file:
        for name, parts in (("all", IMAGE), ("body_hands", IMAGE[:3])):
            for clip, start in [*windows[:10], *windows]:
                began = time.thread_time()
                read(file, n_frames, clip, start, tried.rows, parts)
                taken[name].append(time.thread_time() - began)
    return {
        "encoding": tried.encoding,
        "zstd": tried.level,
        "row group": tried.rows,
        "bytes/raw": path.stat().st_size / raw,
        "write MB/s": integers / 1e6 / write_s,
        "all ms": 1e3 * statistics.median(taken["all"][10:]),
        "body+hands ms": 1e3 * statistics.median(taken["body_hands"][10:]),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--frames", type=Path, help="folder of keypoints of a workspace; default: made up")
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--windows", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    clips = [released(each) for each in release_contents.keypoints(options.frames, [3600] * options.clips)]
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(Path(folder) / "frames.parquet", clips, tried, options.windows) for tried in TRIED]
    if options.json:
        print(json.dumps(rows))
        return
    table = Table(*rows[0], title="A release's table of frames by encoding")
    for row in rows:
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
