"""Does the release gate pass good releases, fail bad ones for their own reasons, and how many sources does it need?

    python benchmarks/gate.py sabotage [--good 20] [--bad 10] [--kinds swapped,leak] [--sources 120] [--out FILE]
    python benchmarks/gate.py power [--seeds 3] [--sources 120] [--effects 1,0.5,0.35,0.25] [--out FILE]

`sabotage` makes synthetic releases in memory (motion, notes and beats as the reader gives them, but for rounding;
`pytest tests/train/gate/test_run.py` has files), runs the stages that decide but those on files, with --all the others
too, and says for each kind how many seeds got which verdict, and which records failed. Finished rows are kept in --out:
a run that was stopped goes on.

`power` trains the beat heads alone and says, for such an effect, how many of the seeds pass stage F, and how likely so
many test sources pass it: mean and spread of the gaps, gains and losses of all test sources of all seeds, put into the
noncentral t of `train.gate.statistics.power`; the least of the three counts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from d2midi_build import clock
from d2midi_build.motion.keypoints import Keypoints
from d2midi_build.synthetic.releases import SABOTAGES, Sabotage, Source, spoiled_plan
from d2midi_build.train.gate.heard import Heard, assembled, grouped

Row = dict[str, Any]
TEST_SOURCES = (8, 12, 24, 48)
PARTS = ("body", "left_hand", "right_hand", "face")


def seen(source: Source, split: str, keypoints: Keypoints) -> Heard:
    """A source as the gate reads it from a release."""
    notes, beats_s, _ = source.song.heard(source.song_start_s, clock.frame_time_s(source.n_frames))
    row = {
        "clip_id": source.clip_id,
        "video_id": source.video_id,
        "genre": source.genre,
        "music_group": source.music_group,
        "video_group": source.clip_id,
        "tempo_bpm": source.song.bpm,
        "width": 1,
        "height": 1,
        **{f"{part}_share": float(keypoints.present(part).mean()) for part in PARTS},
    }
    return assembled(
        row=row,
        split=split,
        body_world=keypoints.body_world,
        body_image=keypoints.body_image,
        visibility=keypoints.body_visibility,
        notes=notes,
        beats_s=beats_s,
    )


def made(
    seed: int, kind: Sabotage | None, sources: int, effect: float, kept: dict[str, Keypoints]
) -> list[Heard]:
    """All clips of a synthetic release; dances that an earlier call made are taken from ``kept``."""
    planned, split_of = spoiled_plan(seed, sources=sources, effect=effect, sabotage=kind)
    clips = []
    for source in planned:
        name = f"{source.clip_id} {source.noise} {source.tracker}"
        if name not in kept:
            kept[name] = source.keypoints()
        clips.append(seen(source, split_of[source.clip_id], kept[name]))
    return grouped(clips)


def of_seed(task: tuple[int, tuple[str, ...], int, bool]) -> list[Row]:
    """Rows of one seed: the gate on each kind."""
    import torch

    from d2midi_build.train.gate import lag, static
    from d2midi_build.train.gate.records import decide
    from d2midi_build.train.gate.run import trained_records

    torch.set_num_threads(1)
    seed, kinds, sources, informing = task
    kept: dict[str, Keypoints] = {}
    rows = []
    for kind in kinds:
        clips = made(seed, None if kind == "good" else kind, sources, 1.0, kept)  # type: ignore[arg-type]
        begun, cpu = time.perf_counter(), time.process_time()
        rng = np.random.default_rng(0)
        records = [*static.clip_records(clips), *lag.lag_records(clips, rng).records]
        if not any(each.verdict == "fail" for each in records if each.stage == "A"):
            with TemporaryDirectory() as folder:
                records += trained_records(clips, Path(folder), rng, informing=informing)
        found = decide(records)
        failed = [each.name for each in records if each.verdict in ("fail", "not-testable")]
        p = {each.name: each.p for each in records if each.p is not None and "=" not in each.name}
        offset = next(each.value for each in records if each.name == "lag.offset_ms")
        rows.append(
            {
                "seed": seed,
                "kind": kind,
                "verdict": found.verdict,
                "failed": failed,
                "p": p,
                "offset_ms": offset,
                "why": found.why,
                "values": {each.name: each.value for each in records if each.stage in "CDEFGH"},
                "wall_s": round(time.perf_counter() - begun, 1),
                "cpu_s": round(time.process_time() - cpu, 1),
            }
        )
    return rows


def of_cell(task: tuple[int, int, float]) -> Row:
    """Stage F of one release."""
    import torch

    from d2midi_build.train.gate import alignment, pairs

    torch.set_num_threads(1)
    seed, sources, effect = task
    clips = made(seed, None, sources, effect, {})
    with TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        found = alignment.gains(pairs.real(clips), clips, Path(folder), (0, 1, 2), rng)
        p = found.p(rng)
    return {
        "seed": seed,
        "sources": sources,
        "effect": effect,
        "p": 1.0 if p is None else p,
        "lost": found.lost(0)[0].tolist(),
        "gaps": found.gaps()[0].tolist(),
        "gains": found.over_prior()[0].tolist(),
        "f1": found.f1,
        "f1_chance": found.f1_chance,
    }


def kept_rows(out: Path | None) -> list[Row]:
    """Rows of an earlier run."""
    if out is None or not out.exists():
        return []
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines() if line.endswith("}")]


def run(
    tasks: Sequence[Any], work: Callable[[Any], Any], out: Path | None, workers: int, rows: list[Row]
) -> list[Row]:
    """Do all tasks, and keep each row as soon as it is there."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for found in pool.map(work, tasks):
            new = found if isinstance(found, list) else [found]
            rows += new
            if out is not None:
                with out.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(row) + "\n" for row in new)
    return rows


def sabotage(args: argparse.Namespace) -> list[Row]:
    """All kinds and seeds."""
    rows = kept_rows(args.out)
    done = {(row["seed"], row["kind"]) for row in rows}
    tasks = []
    for seed in range(max(args.good, args.bad)):
        kinds = ("good",) * (seed < args.good) + tuple(args.kinds) * (seed < args.bad)
        missing = tuple(kind for kind in kinds if (seed, kind) not in done)
        tasks += [(seed, missing, args.sources, args.all)] if missing else []
    return run(tasks, of_seed, args.out, args.workers, rows)


def power(args: argparse.Namespace) -> list[Row]:
    """All numbers of sources and effects."""
    rows = kept_rows(args.out)
    done = {(row["seed"], row["sources"], row["effect"]) for row in rows}
    cells = [(seed, n, effect) for effect in args.effects for n in args.sources for seed in range(args.seeds)]
    return run([cell for cell in cells if cell not in done], of_cell, args.out, args.workers, rows)


def print_sabotage(rows: Iterable[Row], console: Console) -> None:
    """Verdicts and reasons by kind."""
    table = Table("release", "seeds", "verdicts", "records that fail (seeds)", "offset ms", "wall s", "CPU s")
    by_kind: dict[str, list[Row]] = {}
    for row in rows:
        by_kind.setdefault(row["kind"], []).append(row)
    for kind, mine in by_kind.items():
        failed = Counter(name for row in mine for name in row["failed"])
        offsets = [row["offset_ms"] for row in mine if row["offset_ms"] is not None]
        table.add_row(
            kind,
            str(len(mine)),
            told(Counter(row["verdict"] for row in mine)),
            told(failed),
            f"{min(offsets):.0f} to {max(offsets):.0f}" if offsets else "",
            f"{np.mean([row['wall_s'] for row in mine]):.0f}",
            f"{np.mean([row['cpu_s'] for row in mine]):.0f}",
        )
    console.print(table)


def print_power(rows: Sequence[Row], console: Console) -> None:
    """Seeds that pass, and how likely so many test sources show gaps as they were seen."""
    from d2midi_build.train.gate.alignment import LEVEL
    from d2midi_build.train.gate.statistics import power as power_of

    heads = [f"{n} in test" for n in TEST_SOURCES]
    table = Table("effect", "sources", "pass F", *heads, "gap", "gain", "lost", "F1 (chance)")
    cells: dict[tuple[float, int], list[Row]] = {}
    for row in rows:
        cells.setdefault((row["effect"], row["sources"]), []).append(row)
    for (effect, sources), mine in sorted(cells.items(), reverse=True):
        parts = []
        for name in ("gaps", "gains", "lost"):
            every = np.concatenate([row[name] for row in mine])
            parts.append((float(every.mean()), float(every.std(ddof=1))))
        likely = [min(power_of(mean, spread, n, LEVEL / 2) for mean, spread in parts) for n in TEST_SOURCES]
        table.add_row(
            f"{effect:g}",
            str(sources),
            f"{sum(row['p'] < LEVEL / 2 for row in mine)} of {len(mine)}",
            *(f"{each:.2f}" for each in likely),
            *(f"{mean:.4f}" for mean, _ in parts),
            f"{np.mean([row['f1'] for row in mine]):.2f} ({np.mean([row['f1_chance'] for row in mine]):.2f})",
        )
    console.print(table)


def told(counts: Mapping[str, int]) -> str:
    """Counts in words."""
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    modes = parser.add_subparsers(required=True)
    numbers = partial(_list, int)
    one = modes.add_parser("sabotage")
    one.add_argument("--good", type=int, default=20)
    one.add_argument("--bad", type=int, default=10)
    one.add_argument("--kinds", type=partial(_list, str), default=list(SABOTAGES))
    one.add_argument("--sources", type=int, default=120)
    one.add_argument(
        "--all", action="store_true", help="also what decides nothing: genres, masked tokens, generation"
    )
    one.set_defaults(work=sabotage, show=print_sabotage)
    other = modes.add_parser("power")
    other.add_argument("--seeds", type=int, default=3)
    other.add_argument("--sources", type=numbers, default=[120])
    other.add_argument("--effects", type=partial(_list, float), default=[1.0, 0.5, 0.35, 0.25])
    other.set_defaults(work=power, show=print_power)
    for mode in (one, other):
        mode.add_argument("--out", type=Path, help="JSON lines of finished rows, to go on from")
        mode.add_argument("--workers", type=int, default=2)
        mode.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = args.work(args)
    if args.json:
        print(json.dumps(rows))
    else:
        args.show(rows, Console(width=150))


def _list(kind: Callable[[str], Any], text: str) -> list[Any]:
    return [kind(each) for each in text.split(",")]


if __name__ == "__main__":
    main()
