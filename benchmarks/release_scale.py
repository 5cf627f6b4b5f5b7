"""A release as large as the paper's dataset: 71,754 windows over 40 hours, built, opened, filtered and read.

    python benchmarks/release_scale.py --out FOLDER [--frames WORKSPACE/frames] [--windows 71754] [--workers 2] [--json]

Contents are made up: a video, a song and a dancer for each of 997 clips of 172 s, 8 notes and 2 beats a second, whose
files are a few shared ones, so that no 10 GB of inputs are needed; what is written is as large as the real thing.
Keypoints are those of a workspace or made up (see ``release_contents.py``). All clips together have that many windows
at the usual stride; of test a release only has those that don't overlap. Needs about 9 GB below ``--out``, removed
afterwards.

- memory: proportional set size (PSS) of the process that builds and of its workers, sampled every .2 s (bar: 2 GB
  in all)
- open: ``open_release`` in a fresh process (bar: 1 s) and once more; pyarrow imports pandas when it is first used
- filter: by genre and by instrument
- window: random windows of all splits, all parts in the image, float32
- verify: the gates again, on the finished release
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import release_contents
from rich.console import Console
from rich.table import Table

from d2midi_build import clock
from d2midi_build.recipe import Recipe
from d2midi_build.release import format as layout
from d2midi_build.release.build import build
from d2midi_build.release.reader import open_release
from d2midi_build.release.verify import verify

WINDOWS: Final = 71_754
CLIP_FRAMES: Final = 3_440
"""172 s: 72 windows."""

SHARED: Final = 8
"""Different clips among all."""

SAMPLE_S: Final = 0.2


def lengths(windows: int) -> list[int]:
    """Lengths in frames of clips that have so many windows in all."""
    per_clip = len(clock.window_starts(CLIP_FRAMES))
    whole, rest = divmod(windows, per_clip)
    last = [clock.WINDOW_FRAMES + (rest - 1) * clock.WINDOW_STRIDE] if rest else []
    return [CLIP_FRAMES] * whole + last


def made(folder: Path, frames: Path | None, windows: int) -> list[release_contents.Files]:
    """The files of every clip, most of them shared."""
    folder.mkdir(parents=True)
    wanted, rng = lengths(windows), np.random.default_rng(0)
    kept = [CLIP_FRAMES] * SHARED + sorted({each for each in wanted if each != CLIP_FRAMES})
    files = [
        release_contents.write(folder, str(number), table, rng)
        for number, table in enumerate(release_contents.keypoints(frames, kept))
    ]
    shared, last = files[:SHARED], {each.n_frames: each for each in files[SHARED:]}
    return [last.get(n_frames, shared[number % SHARED]) for number, n_frames in enumerate(wanted)]


# ---- memory ----


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in family(int(child)))]


def pss_mb(pid: int) -> float:
    """Proportional set size in megabytes; 0 for a process that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


def watched(command: Sequence[str]) -> tuple[dict[str, Any], dict[str, float]]:
    """What a command prints as JSON, and the most memory it and its workers had."""
    largest, workers, together = 0.0, 0.0, 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            used = [pss_mb(pid) for pid in family(process.pid)]
            together = max(together, sum(used))
            largest, workers = max([largest, *used[:1]]), max([workers, *used[1:]])
            time.sleep(SAMPLE_S)
        assert process.stdout is not None
        told = process.stdout.read()
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed")
    return json.loads(told), {"main_pss_mb": largest, "worker_pss_mb": workers, "all_pss_mb": together}


# ---- stages, each in a process of its own ----


def stage_inputs(options: argparse.Namespace) -> dict[str, Any]:
    """Write the shared files."""
    clips = made(options.out / "inputs", options.frames, options.windows)
    hours = sum(clip.n_frames for clip in clips) / clock.FPS / 3600
    kept = [[each.n_frames, *map(str, (each.frames, each.notes, each.beats))] for each in clips]
    (options.out / "inputs" / "clips.json").write_text(json.dumps(kept), encoding="utf-8")
    return {"clips": len(clips), "hours": hours, "windows_at_stride": options.windows}


def stage_build(options: argparse.Namespace) -> dict[str, Any]:
    """Build the release."""
    kept = json.loads((options.out / "inputs" / "clips.json").read_text(encoding="utf-8"))
    contents = release_contents.contents(
        [release_contents.Files(n_frames, *map(Path, paths)) for n_frames, *paths in kept]
    )
    began, release = time.monotonic(), options.out / "release"
    built = build(contents, release, "1.0.0", "scale", Recipe(), before={}, workers=options.workers)
    build_s = time.monotonic() - began
    files = {path: path.stat().st_size for path in release.rglob("*") if path.is_file()}
    by_table = {
        f"{table}_mb": sum(size for path, size in files.items() if path.parent.name == table) / 1e6
        for table in layout.TABLES
    }
    return {
        "windows_released": built.manifest["totals"]["windows"],
        "notes": built.manifest["totals"]["notes"],
        "build_s": build_s,
        "release_mb": sum(files.values()) / 1e6,
        "files": len(files),
        **by_table,
    }


def stage_read(options: argparse.Namespace) -> dict[str, Any]:
    """Open, filter, and read windows from Parquet."""
    path, cache, rng = options.out / "release", options.out / "cache", np.random.default_rng(0)
    open_s, opened = timed(lambda: open_release(path, coords="image", cache=cache, memory_map=False))
    again_s, _ = timed(lambda: open_release(path, coords="image", cache=cache, memory_map=False))
    genre_s, by_genre = timed(lambda: opened.filter(split="train", genre="house"))
    piano = opened.windows.column("instruments")[0].as_py()[0]
    instrument_s, by_instrument = timed(lambda: opened.filter(instrument=piano))
    rows = rng.choice(len(opened), min(200, len(opened)), replace=False).tolist()
    for row in rows:  # warms
        opened[row].keypoints  # noqa: B018
    windows_s = [timed(lambda row=row: opened[row].keypoints)[0] for row in rows]
    notes_s = [timed(lambda row=row: opened[row].notes)[0] for row in rows]
    return {
        "open_release_s": open_s,
        "open_release_again_s": again_s,
        "filter_genre_ms": 1e3 * genre_s,
        "filter_instrument_ms": 1e3 * instrument_s,
        "windows_of_genre": len(by_genre),
        "windows_of_instrument": len(by_instrument),
        "window_ms": 1e3 * statistics.median(windows_s),
        "notes_ms": 1e3 * statistics.median(notes_s),
    }


def stage_verify(options: argparse.Namespace) -> dict[str, Any]:
    """Check all files and gates of the finished release."""
    verify_s, found = timed(lambda: verify(options.out / "release"))
    return {"verify_s": verify_s, "verify_ok": found.ok}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Wall seconds of some work, and what it returned."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


STAGES: Final[Mapping[str, Callable[[argparse.Namespace], dict[str, Any]]]] = {
    "inputs": stage_inputs,
    "build": stage_build,
    "read": stage_read,
    "verify": stage_verify,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="new folder, removed at the end")
    parser.add_argument("--frames", type=Path, help="folder of keypoints of a workspace; default: made up")
    parser.add_argument("--windows", type=int, default=WINDOWS)
    parser.add_argument("--workers", type=int, default=min(2, len(os.sched_getaffinity(0))))
    parser.add_argument("--keep", action="store_true", help="do not remove what was built")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        print(json.dumps(STAGES[options.stage](options)))
        return
    if options.out.exists():
        parser.error(f"--out {options.out} exists")
    found: dict[str, Any] = {}
    try:
        for stage in STAGES:
            told, memory = watched([sys.executable, *sys.argv, "--stage", stage])
            found |= told | {f"{stage}_{name}": value for name, value in memory.items()}
    finally:
        if not options.keep:
            shutil.rmtree(options.out, ignore_errors=True)
    if options.json:
        print(json.dumps(found))
        return
    table = Table("measure", "value", title="A release of the paper's size")
    for name, value in found.items():
        table.add_row(name, f"{value:,.3f}" if isinstance(value, float) else f"{value}")
    Console().print(table)


if __name__ == "__main__":
    main()
