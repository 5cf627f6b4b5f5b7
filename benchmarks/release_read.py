"""How large a release is and how fast random windows come out of it, beside other layouts of the same keypoints.

    python benchmarks/release_read.py [--frames WORKSPACE/frames] [--videos 50] [--lerobot PYTHON] [--json]

Every layout holds the same clips and gives the same windows, float32 of shape (600, 553, 3): 33 body, 2 x 21 hand and
478 face points in the image. Files are warm in the page cache. Layouts take turns in rounds; milliseconds are medians
over all windows of all rounds, and ratios are to the floor, which copies a window from a memory-mapped float32 array.
Releases are read from Parquet by two threads: other load on the machine spoils it, and p10 (the quickest tenth) tells.

Keypoints are those of a workspace, chained to the wanted length, or made up (see ``release_contents.py``); float32
layouts get random digits below the integer step, which those of a tracker have and integers have lost.

- bytes / raw: of the layout's files; raw is float32 of MediaPipe's 543 classic points, as in the literature. Releases
  also hold body points in metres and visibilities (132 more numbers per frame), times and presence: for ``release``
  all of table frames counts. Layouts with a row or sample per window are written in part: their size is that of the
  part times (windows / windows written).
- bars: release bytes at most .35 of raw, at most 1/30 of a row per window; a window at most 30 times the floor from
  Parquet and twice after conversion; body and hands at most a quarter of the time of all parts.

WebDataset has no random access: its row is the time per window when read in order.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import release_contents
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader

from d2midi_build import clock
from d2midi_build.motion.keypoints import PARTS
from d2midi_build.recipe import Recipe
from d2midi_build.release import format as layout
from d2midi_build.release.build import build
from d2midi_build.release.reader import Release, open_release
from d2midi_build.train.data import WindowDataset, collate

IMAGE: Final = ("body_image", "left_hand", "right_hand", "face")
PARTS_ASKED: Final = ("body", "left_hand", "right_hand", "face")
POINTS: Final = sum(PARTS[name].shape[0] for name in IMAGE)
CLASSIC_POINTS: Final = 543
LENGTH, STRIDE = clock.WINDOW_FRAMES, clock.WINDOW_STRIDE
SAMPLE_WINDOWS: Final = 24
"""Written by layouts with a row per window: 4 MB each before compression."""

LOADED: Final = 400
"""Windows that go through a DataLoader."""

PEER_VIDEOS: Final = 4
"""Of LeRobotDataset, which writes them slowly."""

FloatArray = npt.NDArray[np.float32]
Window = tuple[int, int]
Read = Callable[[int, int], FloatArray]


@dataclass
class Layout:
    """One way to keep the clips.

    Attributes
    ----------
    name : str
    read : callable or None
        Gives the window of a clip (by number) that starts at a frame.
    n_bytes : float or None
        Of its files.
    only : sequence of windows or None
        The windows it holds, where it does not hold all of them.
    points : int
        How many points its windows have.
    """

    name: str
    read: Read | None
    n_bytes: float | None
    only: Sequence[Window] | None = None
    points: int = POINTS
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Data:
    """The clips in the layouts that the others are made from: (clips, frames, points, 3)."""

    real: npt.NDArray[np.float32]
    integers: npt.NDArray[np.int16]
    scales: FloatArray
    windows: tuple[Window, ...]
    """All windows, at the usual stride."""


def size(path: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


def make_data(clips: Sequence[release_contents.Files], folder: Path) -> Data:
    """Both arrays, memory-mapped, with NaN and ``MISSING`` where a part was not found."""
    rng = np.random.default_rng(0)
    shape = (len(clips), clips[0].n_frames, POINTS, 3)
    real = np.lib.format.open_memmap(folder / "floor.npy", mode="w+", dtype=np.float32, shape=shape)
    integers = np.lib.format.open_memmap(folder / "integers.npy", mode="w+", dtype=np.int16, shape=shape)
    scales = np.repeat([PARTS[name].scale for name in IMAGE], [PARTS[name].shape[0] for name in IMAGE])
    scales = scales.astype(np.float32)[:, None]
    for number, files in enumerate(clips):
        table = pq.read_table(files.frames, columns=list(IMAGE))
        place = 0
        for name in IMAGE:
            column = table.column(name).combine_chunks()
            there = column.is_valid().to_numpy(zero_copy_only=False)
            points = np.full((len(table), *PARTS[name].shape), layout.MISSING, dtype=np.int16)
            points[there] = column.flatten().to_numpy().reshape(-1, *PARTS[name].shape)
            integers[number, :, place : place + points.shape[1]] = points
            place += points.shape[1]
        steps = integers[number] + rng.uniform(-0.5, 0.5, shape[1:]).astype(np.float32)
        real[number] = np.where(integers[number] == layout.MISSING, np.float32(np.nan), steps * scales)
    del real, integers  # writes them out
    starts = clock.window_starts(shape[1], LENGTH, STRIDE)
    return Data(
        np.load(folder / "floor.npy", mmap_mode="r"),
        np.load(folder / "integers.npy", mmap_mode="r"),
        scales,
        tuple((number, start) for number in range(shape[0]) for start in starts),
    )


# ---- the layouts ----


def arrays(data: Data) -> list[Layout]:
    """The floor, and the same as integers."""

    return [
        Layout(
            "float32 memmap (floor)", lambda c, s: np.array(data.real[c, s : s + LENGTH]), data.real.nbytes
        ),
        Layout(
            "int16 memmap", lambda c, s: points_of(data.integers[c, s : s + LENGTH]), data.integers.nbytes
        ),
    ]


def points_of(integers: npt.NDArray[np.int16]) -> FloatArray:
    """Float32 from the integers of all parts, (frames, 553, 3): NaN where a part is missing."""
    ends = np.cumsum([PARTS[name].shape[0] for name in IMAGE])
    return fill(np.split(integers, ends[:-1], axis=1))


def fill(parts: Sequence[npt.NDArray[np.int16]]) -> FloatArray:
    """The same from the integers of each part, (frames, points, 3)."""
    out, place = np.empty((len(parts[0]), POINTS, 3), dtype=np.float32), 0
    for name, part in zip(IMAGE, parts, strict=True):
        target = out[:, place : place + part.shape[1]]
        np.multiply(part, np.float32(PARTS[name].scale), out=target)
        target[part[:, 0, 0] == layout.MISSING] = np.nan
        place += part.shape[1]
    return out


def releases(path: Path, cache: Path) -> list[Layout]:
    """The release read from Parquet and after conversion, with and without the face."""
    made = []
    for name, mapped in (("Parquet", False), ("converted", True)):
        for parts in (PARTS_ASKED, PARTS_ASKED[:3]):
            opened = open_release(path, coords="image", parts=parts, cache=cache, memory_map=mapped)
            n_bytes = size(cache) if mapped else size(path / "data" / "frames")
            place = {window: row for row, window in enumerate(windows_of(opened.windows))}
            made.append(
                Layout(
                    f"release, {name}" + ("" if parts == PARTS_ASKED else ": body and hands"),
                    partial(_of_release, opened, place),
                    n_bytes,
                    points=len(opened.joints),
                )
            )
    return made


def _of_release(opened: Release, place: Mapping[Window, int], clip: int, start: int) -> FloatArray:
    return opened[place[clip, start]].keypoints


def windows_of(table: pa.Table) -> list[Window]:
    """Number of the clip and first frame of each row of a release's table of windows."""
    numbers = [release_contents.number_of(clip) for clip in table.column("clip_id").to_pylist()]
    return list(zip(numbers, table.column("start_frame").to_pylist(), strict=True))


def zarrs(data: Data, folder: Path) -> list[Layout]:
    """Zarr, a chunk per 600 frames of a clip, its own compression."""
    import zarr

    made = []
    for name, source in (("float32", data.real), ("int16", data.integers)):
        place = folder / f"zarr-{name}"
        chunks = (1, LENGTH, *source.shape[2:])
        array = zarr.create_array(place, shape=source.shape, chunks=chunks, dtype=source.dtype)
        for number, clip in enumerate(source):
            array[number] = clip
        made.append((f"Zarr {name}", array, place))

    def read(array: Any, clip: int, start: int) -> FloatArray:
        found = array[clip, start : start + LENGTH]
        return np.asarray(found) if found.dtype == np.float32 else points_of(found)

    return [Layout(name, lambda c, s, a=array: read(a, c, s), size(place)) for name, array, place in made]


def row_per_window(data: Data, folder: Path, sample: Sequence[Window]) -> Layout:
    """Parquet with a row per window, as nested lists; a row group per window, so that one can be read alone."""
    path = folder / "rows.parquet"
    kind = pa.list_(pa.list_(pa.float32()))
    with pq.ParquetWriter(
        path, pa.schema([("keypoints", kind)]), compression="zstd", use_dictionary=False
    ) as out:
        for clip, start in sample:
            flat = pa.array(data.real[clip, start : start + LENGTH].reshape(-1))
            frames = pa.ListArray.from_arrays(
                pa.array(np.arange(LENGTH + 1, dtype=np.int32) * POINTS * 3), flat
            )
            window = pa.ListArray.from_arrays(pa.array([0, LENGTH], pa.int32()), frames)
            out.write_table(pa.table({"keypoints": window}))
    file, place = pq.ParquetFile(path, memory_map=True), {window: row for row, window in enumerate(sample)}

    def read(clip: int, start: int) -> FloatArray:
        column = file.read_row_group(place[clip, start]).column("keypoints").combine_chunks()
        return np.array(column.flatten().flatten().to_numpy().reshape(LENGTH, POINTS, 3))

    total = size_of_all(data, path.stat().st_size, len(sample))
    return Layout("Parquet, a row per window", read, total, sample)


def size_of_all(data: Data, n_bytes: int, written: int) -> float:
    """What all windows would take, from the size of some."""
    return n_bytes * len(data.windows) / written


def huggingface(data: Data, folder: Path) -> list[Layout]:
    """A row per frame in `datasets`' own Arrow files, read through its NumPy format and through its table."""
    features = datasets.Features(
        {"clip": datasets.Value("int32"), "keypoints": datasets.Array2D((POINTS, 3), "float32")}
    )

    def rows() -> Any:
        for number, clip in enumerate(data.real):
            for frame in clip:
                yield {"clip": number, "keypoints": frame}

    made = datasets.Dataset.from_generator(rows, features=features, cache_dir=str(folder / "hf"))
    made = made.with_format("numpy")
    n_frames = data.real.shape[1]

    def formatted(clip: int, start: int) -> FloatArray:
        return np.asarray(made[clip * n_frames + start : clip * n_frames + start + LENGTH]["keypoints"])

    def direct(clip: int, start: int) -> FloatArray:
        rows = made.data.table.slice(clip * n_frames + start, LENGTH).column("keypoints").combine_chunks()
        return np.array(rows.storage.flatten().flatten().to_numpy()).reshape(LENGTH, POINTS, 3)

    n_bytes = size(folder / "hf")
    return [
        Layout("datasets, float32 rows, numpy format", formatted, n_bytes),
        Layout("datasets, float32 rows, its table", direct, n_bytes),
    ]


def webdataset(data: Data, folder: Path, sample: Sequence[Window]) -> Layout:
    """A tar with a sample per window, read in order: there is no other way."""
    import webdataset as wds

    path = folder / "windows.tar"
    with tarfile.open(path, "w") as tar:
        for clip, start in sample:
            buffer = io.BytesIO()
            np.save(buffer, data.real[clip, start : start + LENGTH])
            info = tarfile.TarInfo(f"{clip:05d}-{start:06d}.npy")
            info.size = buffer.tell()
            buffer.seek(0)
            tar.addfile(info, buffer)
    found = Layout(
        "WebDataset, a window each, in order", None, size_of_all(data, path.stat().st_size, len(sample))
    )
    for _ in range(3):
        began = time.perf_counter()
        for _ in wds.WebDataset(str(path), shardshuffle=False).decode().to_tuple("npy"):
            found.seconds.append(time.perf_counter() - began)
            began = time.perf_counter()
    found.seconds = found.seconds[len(sample) :]  # the first pass warms
    return found


def lerobot(python: Path, data: Data, folder: Path, windows: Sequence[Window]) -> Layout:
    """LeRobotDataset in the environment of another Python (see ``lerobot_peer.py``), some of the clips."""
    few = data.real[:PEER_VIDEOS]
    np.save(folder / "few.npy", few.reshape(*few.shape[:2], -1))
    chosen = [window for window in windows if window[0] < len(few)]
    (folder / "few.json").write_text(json.dumps(chosen), encoding="utf-8")
    done = subprocess.run(
        [
            python,
            Path(__file__).with_name("lerobot_peer.py"),
            folder / "few.npy",
            folder / "few.json",
            folder / "lr",
        ],
        env={**os.environ, "HF_HOME": str(folder / "hf_home"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return Layout(f"LeRobotDataset: {done.stderr.strip().splitlines()[-1][:60]}", None, None)
    told = json.loads(done.stdout)
    n_bytes = told["bytes"] * len(data.real) / len(few)
    return Layout(f"LeRobotDataset ({len(few)} clips)", None, n_bytes, seconds=told["seconds"])


# ---- measuring ----


def check(one: Layout, data: Data, windows: Sequence[Window]) -> None:
    """That a layout gives the right numbers, float32, to within half an integer step and the random digits."""
    assert one.read is not None
    for clip, start in windows:
        found, real = one.read(clip, start), data.real[clip, start : start + LENGTH, : one.points]
        assert found.shape == real.shape, (one.name, found.shape)
        assert found.dtype == np.float32, (one.name, found.dtype)
        same = np.allclose(found, real, rtol=0, atol=1.01 * float(data.scales.max()) / 2, equal_nan=True)
        assert same, f"{one.name}: window {clip}, {start} holds other numbers"


def measure(layouts: Sequence[Layout], windows: Sequence[Window], rounds: int) -> None:
    """Time every layout on the same windows, in rounds."""
    for _ in range(rounds):
        for one in layouts:
            if one.read is None:
                continue
            held = windows if one.only is None else [each for each in windows if each in set(one.only)]
            for clip, start in held:
                began = time.perf_counter()
                one.read(clip, start)
                one.seconds.append(time.perf_counter() - began)


def summary(layouts: Sequence[Layout], raw: float) -> list[dict[str, Any]]:
    """A row per layout."""
    floor = statistics.median(layouts[0].seconds)
    return [
        {
            "layout": one.name,
            "MB": one.n_bytes / 1e6 if one.n_bytes else None,
            "bytes/raw": one.n_bytes / raw if one.n_bytes else None,
            "ms": 1e3 * statistics.median(one.seconds) if one.seconds else None,
            "x floor": statistics.median(one.seconds) / floor if one.seconds else None,
            "ms, p10": 1e3 * float(np.percentile(one.seconds, 10)) if one.seconds else None,
            "windows": len(one.seconds),
        }
        for one in layouts
    ]


def through_datasets(path: Path, folder: Path, clips: pa.Table) -> list[Layout]:
    """The release's own frames through ``datasets.load_dataset``: its NumPy format, and its table by hand.

    Only the split train, which its windows are taken from.
    """
    loaded = datasets.load_dataset(str(path), "frames", split="train", cache_dir=str(folder / "hf_release"))
    loaded = loaded.select_columns(list(IMAGE))
    train = clips.filter(pc.equal(clips.column("split"), "train")).sort_by(
        [("shard", "ascending"), ("clip_id", "ascending")]
    )
    ends = np.cumsum(train.column("n_frames").to_numpy())
    numbers = map(release_contents.number_of, train.column("clip_id").to_pylist())
    begins = dict(zip(numbers, (ends - train.column("n_frames").to_numpy()).tolist(), strict=True))

    def formatted(clip: int, start: int) -> FloatArray:
        rows = loaded.with_format("numpy")[begins[clip] + start : begins[clip] + start + LENGTH]
        return fill([rows[name].reshape(LENGTH, -1, 3) for name in IMAGE])

    def by_hand(clip: int, start: int) -> FloatArray:
        rows = loaded.data.table.slice(begins[clip] + start, LENGTH)
        columns = [rows.column(name).combine_chunks().flatten().to_numpy() for name in IMAGE]
        return fill([each.reshape(LENGTH, -1, 3) for each in columns])

    only = [(clip, start) for clip in begins for start in clock.window_starts(int(ends[0]))]
    n_bytes = size(folder / "hf_release")
    return [
        Layout("release, datasets, numpy format", formatted, n_bytes, only),
        Layout("release, datasets, its table", by_hand, n_bytes, only),
    ]


def opening(path: Path, cache: Path) -> float:
    """Median seconds of ``open_release``."""
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        open_release(path, cache=cache, memory_map=False)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def loading(path: Path, cache: Path, mapped: bool) -> float:
    """Windows per second through a DataLoader of two workers, batches of 8, all parts in the default coordinates."""
    opened = open_release(path, cache=cache, memory_map=mapped)
    loader = DataLoader(
        WindowDataset(opened[:LOADED]), batch_size=8, shuffle=True, num_workers=2, collate_fn=collate
    )
    began, seen = 0.0, 0
    for number, batch in enumerate(loader):
        if number == 0:  # workers have started
            began = time.perf_counter()
        else:
            seen += len(batch["clip_id"])
    return seen / (time.perf_counter() - began)


def make(
    folder: Path, options: argparse.Namespace
) -> tuple[list[Layout], Data, list[Window], dict[str, Any]]:
    """Write all layouts; the windows to read from each and what else was found."""
    rng = np.random.default_rng(0)
    tables = release_contents.keypoints(options.frames, [options.length] * options.videos)
    clips = [release_contents.write(folder, str(number), table, rng) for number, table in enumerate(tables)]
    data = make_data(clips, folder)
    began = time.perf_counter()
    contents = release_contents.contents(clips)
    path = build(contents, folder / "release", "1.0.0", "benchmark", Recipe(), before={}, workers=2).folder
    build_s = time.perf_counter() - began
    opened = open_release(path, memory_map=False)
    train = windows_of(opened.filter(split="train").windows)
    windows = [train[row] for row in rng.choice(len(train), min(options.windows, len(train)), replace=False)]
    layouts = [
        *arrays(data),
        *releases(path, folder / "cache"),
        *through_datasets(path, folder, opened.clips),
        *huggingface(data, folder),
        *zarrs(data, folder),
        row_per_window(data, folder, windows[:SAMPLE_WINDOWS]),
        webdataset(data, folder, windows[:SAMPLE_WINDOWS]),
    ]
    if options.lerobot:
        layouts.append(lerobot(options.lerobot, data, folder, windows))
    facts = {
        "clips": len(clips),
        "frames": len(clips) * options.length,
        "windows": len(data.windows),
        "input_bytes_per_frame": sum(each.frames.stat().st_size for each in clips)
        / len(clips)
        / options.length,
        "build_s": build_s,
        "open_release_ms": 1e3 * opening(path, folder / "cache"),
        "DataLoader windows/s, Parquet": loading(path, folder / "cache", False),
        "DataLoader windows/s, converted": loading(path, folder / "cache", True),
    }
    return layouts, data, windows, facts


def bars(layouts: Sequence[Layout], rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The figures that have a bar."""
    by_name = {row["layout"]: row for row in rows}
    parquet, hands = by_name["release, Parquet"], by_name["release, Parquet: body and hands"]
    whole = by_name["Parquet, a row per window"]
    return {
        "release bytes / raw (<= .35)": parquet["bytes/raw"],
        "a row per window / release bytes (>= 30)": whole["MB"] / parquet["MB"],
        "Parquet x floor (<= 30)": parquet["x floor"],
        "converted x floor (<= 2)": by_name["release, converted"]["x floor"],
        "body and hands / all parts, time (<= .25)": hands["ms"] / parquet["ms"],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--frames", type=Path, help="folder of keypoints of a workspace; default: made up")
    parser.add_argument("--videos", type=int, default=50)
    parser.add_argument("--length", type=int, default=3600, help="frames of each")
    parser.add_argument("--windows", type=int, default=100, help="random ones, the same for all layouts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lerobot", type=Path, help="a Python that has lerobot; default: leave it out")
    parser.add_argument("--scratch", type=Path, help="folder for about 8 GB; default: the system's")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    options = parser.parse_args()
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        layouts, data, windows, facts = make(Path(name), options)
        readable = [one for one in layouts if one.read is not None]
        for one in readable:
            check(one, data, one.only[:2] if one.only else windows[:2])
        measure(readable, windows, 1)  # warms
        for one in readable:
            one.seconds.clear()
        measure(readable, windows, options.rounds)
        raw = facts["frames"] * CLASSIC_POINTS * 3 * 4
        rows = summary(layouts, raw)
        facts |= bars(layouts, rows)
    if options.json:
        print(json.dumps({"layouts": rows, **facts}))
        return
    table = Table(*rows[0], title="Random windows, float32 (600, 553, 3)")
    for row in rows:
        table.add_row(
            *("-" if v is None else f"{v:,.3f}" if isinstance(v, float) else str(v) for v in row.values())
        )
    console = Console(width=120)
    console.print(table)
    for key, value in facts.items():
        console.print(f"{key}: {value:,.3f}" if isinstance(value, float) else f"{key}: {value}")


if __name__ == "__main__":
    main()
