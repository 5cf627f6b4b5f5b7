"""Building a release: everything is made beside its place, checked, and moved there in one step.

    .<name>.building/           beside the release; a lock, the plan, and what is done
      plan.json                 digest of everything the release depends on
      shards/<split>-<shard>/   shards that are done; kept when a build is killed, used by the next
      work/                     shards in the making
      release/                  the release, put together and checked here

Nothing under the release's own name exists before it is complete.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from d2midi_build import clock, tables
from d2midi_build.digests import sha256_data, sha256_file
from d2midi_build.engine.base import Event, Finished, Job
from d2midi_build.engine.local import LocalEngine
from d2midi_build.errors import ReleaseError, UsageError
from d2midi_build.recipe import Recipe
from d2midi_build.release import card, shards, splits
from d2midi_build.release import format as layout
from d2midi_build.release.contents import FILES, Clip, Contents
from d2midi_build.release.gates import Gate, Policy, gates
from d2midi_build.release.licences import allowed

BUILDER: Final = 1
"""Raised whenever the same contents would give other bytes."""

_VERSION: Final = importlib.metadata.version("d2midi")

_SEMANTIC: Final = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")

_BYTES_PER_FRAME: Final = 1_300
"""Of real keypoints in a shard; only sizes of shards follow from it."""

Progress = Callable[[float, float], None]
"""Takes frames done and frames in all."""


@dataclass(frozen=True)
class Built:
    """A release as it was built.

    Attributes
    ----------
    folder : Path
    manifest : dict
        What ``manifest.json`` says.
    split_of : dict
        Split of each clip in it.
    left_out : dict
        Clips that are not in it, and why.
    n_reused : int
        Shards that an earlier build which was stopped had finished.
    existed : bool
        Whether it was there already, complete, with the same contents.
    """

    folder: Path
    manifest: Mapping[str, Any]
    split_of: Mapping[str, str]
    left_out: Mapping[str, str]
    n_reused: int = 0
    existed: bool = False


@dataclass(frozen=True)
class _Shard:
    split: str
    number: int
    clips: tuple[Clip, ...]

    @property
    def name(self) -> str:
        return f"{self.split}-{self.number:05d}"

    @property
    def n_frames(self) -> int:
        return sum(clip.row["n_frames"] for clip in self.clips)


def build(
    contents: Contents,
    out: Path,
    version: str,
    name: str,
    recipe: Recipe,
    *,
    before: Mapping[str, str],
    workers: int,
    progress: Progress | None = None,
) -> Built:
    """Build a release; go on where an earlier build of the same was stopped.

    Parameters
    ----------
    contents : Contents
    out : Path
        The release's folder; must not exist, unless it is this very release.
    version : str
        Semantic version.
    name : str
        Of the dataset.
    recipe : Recipe
        Its sections ``release`` and ``window``.
    before : dict
        Splits of clips in an earlier release, which they keep.
    workers : int
        Processes; they do not change a byte.
    progress : callable, optional

    Raises
    ------
    UsageError
        If ``out`` is something else, cannot be written, or is being built by somebody else.
    ReleaseError
        If a gate finds something; it names the gates and their offenders. Nothing is visible then.
    """
    if not _SEMANTIC.fullmatch(version):
        raise UsageError(
            f"--version {version!r} is no semantic version: write it as 1.2.3, see https://semver.org"
        )
    chosen = _choose(contents, recipe, before)
    planned = _plan(chosen.clips, chosen.split_of, recipe)
    plan = {
        "builder": [BUILDER, layout.FORMAT, pa.__version__, _VERSION],
        "name": name,
        "version": version,
        "recipe": recipe.published(),
        "videos": sorted((dict(row) for row in contents.videos), key=lambda row: str(row["video_id"])),
        "clips": {
            shard.name: [[dict(clip.row), dict(clip.digests)] for clip in shard.clips] for shard in planned
        },
        "removals": sorted((vars(removal) for removal in contents.removals), key=str),
        "left_out": dict(sorted(Counter(chosen.left_out.values()).items())),
    }
    digest = sha256_data(plan)
    if (there := _existing(out, digest, version)) is not None:
        shutil.rmtree(_staging(out), ignore_errors=True)
        return Built(out, there, chosen.split_of, chosen.left_out, existed=True)
    with _staged(out, digest) as staging:
        reused = _make_shards(planned, staging, recipe, workers, progress)
        folder = staging / "release"
        shutil.rmtree(folder, ignore_errors=True)
        manifest = _assemble(folder, staging / "shards", planned, contents, recipe, plan | {"digest": digest})
        failed = [gate for gate in gates(folder, policy(recipe)) if not gate.passed]
        if failed:
            raise ReleaseError(_told(failed))
        _sync(folder)
        folder.rename(out)
        _sync_folder(out.parent)
    return Built(out, manifest, chosen.split_of, chosen.left_out, reused)


def policy(recipe: Recipe) -> Policy:
    """What the recipe demands of a release."""
    section = recipe.release
    return Policy(
        licences=section.licences,
        audio_licences=section.audio_licences,
        least_body_share=section.least_body_share,
        keep_apart=section.keep_apart,
    )


# ---- what goes in, and where ----


@dataclass(frozen=True)
class _Chosen:
    clips: tuple[Clip, ...]
    split_of: Mapping[str, str]
    left_out: Mapping[str, str]


def _choose(contents: Contents, recipe: Recipe, before: Mapping[str, str]) -> _Chosen:
    """The clips that go in with their splits, and why others do not."""
    left_out = dict(contents.left_out or {})
    usable = []
    for clip in sorted(contents.clips, key=lambda each: each.clip_id):
        if any(removal.covers(clip.row["video_id"], clip.clip_id) for removal in contents.removals):
            left_out[clip.clip_id] = "removed"
        elif clip.row["n_frames"] < recipe.window.frames:
            left_out[clip.clip_id] = "shorter than a window"
        else:
            usable.append(clip)
    if not usable:
        raise UsageError(
            "there is no clip to release"
            + (f": {_counted(left_out)}" if left_out else "")
            + ". `d2midi status` tells how far the workspace has come"
        )
    section = recipe.release
    found = splits.assign(
        [
            splits.Item(
                clip.clip_id,
                clip.row["video_id"],
                clip.row["genre"],
                clip.row["n_frames"],
                {
                    kind: clip.row[f"{kind}_group"]
                    for kind in ("music", "performer", "video")
                    if clip.row[f"{kind}_group"] is not None
                },
            )
            for clip in usable
        ],
        before,
        seed=section.seed,
        shares={
            "train": 1 - section.validation_share - section.test_share,
            "validation": section.validation_share,
            "test": section.test_share,
        },
        kinds=section.keep_apart,
        strategy=section.split,
    )
    kept = tuple(clip for clip in usable if clip.clip_id in found.split_of)
    return _Chosen(kept, found.split_of, left_out | dict(found.left_out))


def _plan(clips: Iterable[Clip], split_of: Mapping[str, str], recipe: Recipe) -> list[_Shard]:
    """Cut each split into shards of about the wanted size, by the clips alone."""
    per_shard = recipe.release.shard_mb * 1e6 / _BYTES_PER_FRAME
    planned = []
    for split in layout.SPLITS:
        mine = [clip for clip in clips if split_of[clip.clip_id] == split]
        n_shards = max(1, round(sum(clip.row["n_frames"] for clip in mine) / per_shard))
        share = sum(clip.row["n_frames"] for clip in mine) / n_shards
        bins: list[list[Clip]] = [[] for _ in range(n_shards)]
        before = 0
        for clip in mine:
            bins[min(int((before + clip.row["n_frames"] / 2) / share), n_shards - 1)].append(clip)
            before += clip.row["n_frames"]
        full = [tuple(each) for each in bins if each]
        planned += [_Shard(split, number, each) for number, each in enumerate(full)]
    return planned


def _has_audio(clip: Clip, recipe: Recipe) -> bool:
    return recipe.release.audio == "allowed" and allowed(clip.row["licence"], recipe.release.audio_licences)


# ---- shards ----


def _make_shards(
    planned: Sequence[_Shard], staging: Path, recipe: Recipe, workers: int, progress: Progress | None
) -> int:
    """Make the shards that are not there yet; how many were."""
    total = sum(shard.n_frames for shard in planned)
    done = {
        shard.name: float(shard.n_frames) for shard in planned if (staging / "shards" / shard.name).is_dir()
    }
    missing = [shard for shard in planned if shard.name not in done]
    reused = len(done)
    if missing:
        _check_space(staging, sum(shard.n_frames for shard in missing))
    with LocalEngine(min(workers, len(missing)), 0, staging / "logs", recipe.run.item_timeout_s) as engine:
        for shard in missing:
            engine.submit(_job(shard, staging, recipe))
        while engine.unfinished or missing:
            for event in engine.wait(1.0):
                if isinstance(event, Event):
                    done[event.job.item] = event.share * event.job.cost if event.kind == "progressed" else 0.0
                elif isinstance(event, Finished):
                    _commit(event, staging)
                    done[event.job.item] = event.job.cost
                    missing = [shard for shard in missing if shard.name != event.job.item]
            if progress is not None:
                progress(sum(done.values()), total)
    if progress is not None:
        progress(total, total)
    return reused


def _job(shard: _Shard, staging: Path, recipe: Recipe) -> Job:
    work = staging / "work" / shard.name
    work.mkdir(parents=True)
    stride = recipe.window.stride
    if shard.split == "test":
        stride = recipe.release.test_stride or recipe.window.frames
    clips = [
        {
            **{name: clip.row[name] for name in ("clip_id", "n_frames", "n_samples", "width", "height")},
            **{name: str(clip.files[name]) for name in FILES},
            "has_audio": _has_audio(clip, recipe),
        }
        for clip in shard.clips
    ]
    return Job(
        stage="release",
        item=shard.name,
        key="",
        function=shards.FUNCTION,
        params={"frames": recipe.window.frames, "stride": stride},
        inputs={"clips": clips},
        out=str(work),
        cost=float(shard.n_frames),
        priority=float(shard.n_frames),
    )


def _commit(finished: Finished, staging: Path) -> None:
    outcome = finished.outcome
    if outcome.status != "done":
        raise ReleaseError(
            f"shard {finished.job.item} cannot be written ({outcome.reason}): {outcome.message}. "
            f"What is done is kept: run the same command again once this is mended.\n{outcome.tool_message}".rstrip()
        )
    work = Path(finished.job.out)
    _sync(work)
    work.rename(staging / "shards" / finished.job.item)
    _sync_folder(staging / "shards")


def _check_space(folder: Path, n_frames: int) -> None:
    needed, free = n_frames * _BYTES_PER_FRAME, shutil.disk_usage(folder).free
    if needed > free:
        raise UsageError(
            f"the release needs about {needed / 1e9:.1f} GB, {folder.parent} has {free / 1e9:.1f} GB free: "
            "make room or choose another --out"
        )


# ---- putting it together ----


def _assemble(
    folder: Path,
    made: Path,
    planned: Sequence[_Shard],
    contents: Contents,
    recipe: Recipe,
    plan: Mapping[str, Any],
) -> dict[str, Any]:
    """Put a release together from its shards; what its manifest says."""
    files: dict[str, dict[str, Any]] = {}
    found: list[dict[str, Any]] = []
    for shard in planned:
        facts = json.loads((made / shard.name / shards.FACTS).read_text(encoding="utf-8"))
        found.append(facts)
        for file, told in sorted(facts["files"].items()):
            path = layout.table_file(Path(file).stem, shard.split, shard.number)
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            os.link(made / shard.name / file, folder / path)
            files[path] = told
    whole = {
        "clips": _clip_rows(planned, found, recipe),
        "windows": _window_rows(planned, made),
    }
    whole["videos"] = _video_rows(contents, whole["clips"])
    for table, by_split in whole.items():
        for split, rows in by_split.items():
            path = layout.table_file(table, split)
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            tables.write(folder / path, rows)
            files[path] = _described(folder / path, len(rows))
    removed = tables.from_rows("release/removed", [vars(removal) for removal in contents.removals])
    tables.write(folder / layout.REMOVED, removed)
    files[layout.REMOVED] = _described(folder / layout.REMOVED, len(removed))
    counted = {
        split: _counts(*(whole[table].get(split) for table in ("videos", "clips", "windows")))
        for split in layout.SPLITS
        if split in whole["clips"]
    }
    manifest = {
        "format": layout.FORMAT,
        "name": plan["name"],
        "version": plan["version"],
        "made_by": {"d2midi": _VERSION, "pyarrow": pa.__version__, "inputs": plan["digest"]},
        "recipe": plan["recipe"],
        "shards": {split: sum(shard.split == split for shard in planned) for split in counted},
        "splits": counted,
        "totals": {key: sum(each[key] for each in counted.values()) for key in next(iter(counted.values()))},
        "left_out": plan["left_out"],
        "files": files,
    }
    described = layout.description(shards.merged(facts["quantisation"] for facts in found))
    for file, text in (
        (layout.MANIFEST, layout.to_json(manifest)),
        (layout.SCHEMA, layout.to_json(described)),
        (layout.CARD, card.card(manifest, whole)),
    ):
        (folder / file).write_text(text, encoding="utf-8")
    _write_sums(folder, files)
    return manifest


def _clip_rows(
    planned: Sequence[_Shard], found: Sequence[dict[str, Any]], recipe: Recipe
) -> dict[str, pa.Table]:
    by_split: dict[str, list[dict[str, Any]]] = {}
    for shard, facts in zip(planned, found, strict=True):
        for clip, seen in zip(shard.clips, facts["clips"], strict=True):
            row = dict(clip.row) | seen | {"split": shard.split, "shard": shard.number}
            by_split.setdefault(shard.split, []).append(row | {"has_audio": _has_audio(clip, recipe)})
    return {split: tables.from_rows("release/clips", rows) for split, rows in by_split.items()}


def _window_rows(planned: Sequence[_Shard], made: Path) -> dict[str, pa.Table]:
    wanted = layout.schema("windows").arrow()
    by_split: dict[str, list[pa.Table]] = {}
    for shard in planned:
        windows = tables.read(made / shard.name / shards.WINDOWS)
        genre = {clip.clip_id: clip.row["genre"] for clip in shard.clips}
        added = {
            "split": pa.repeat(pa.scalar(shard.split), len(windows)),
            "genre": pa.array([genre[each] for each in windows.column("clip_id").to_pylist()], pa.string()),
        }
        columns = [
            added[field.name] if field.name in added else windows.column(field.name).cast(field.type)
            for field in wanted
        ]
        by_split.setdefault(shard.split, []).append(pa.Table.from_arrays(columns, schema=wanted))
    return {split: pa.concat_tables(parts).combine_chunks() for split, parts in by_split.items()}


def _video_rows(contents: Contents, clips: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    known = {row["video_id"]: row for row in contents.videos}
    return {
        split: tables.from_rows(
            "release/videos",
            [
                dict(known[video]) | {"split": split, "n_clips": count}
                for video, count in Counter(rows.column("video_id").to_pylist()).items()
            ],
        )
        for split, rows in clips.items()
    }


def _counts(videos: pa.Table, clips: pa.Table, windows: pa.Table) -> dict[str, Any]:
    per_hour = clock.FPS * 3600
    return {
        "videos": len(videos),
        "clips": len(clips),
        "windows": len(windows),
        "notes": pc.sum(clips.column("n_notes")).as_py(),
        "window_hours": pc.sum(windows.column("n_frames")).as_py() / per_hour,
        "unique_hours": pc.sum(clips.column("n_frames")).as_py() / per_hour,
    }


def _described(path: Path, rows: int) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "rows": rows, "sha256": sha256_file(path)}


def _write_sums(folder: Path, known: Mapping[str, Mapping[str, Any]]) -> None:
    """The digests of all files, in the format of ``sha256sum``; big files were read when they were written."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    lines = [
        f"{known[name]['sha256'] if name in known else sha256_file(folder / name)}  {name}\n"
        for name in names
    ]
    (folder / layout.SUMS).write_text("".join(lines), encoding="utf-8")


def _told(failed: Sequence[Gate]) -> str:
    """What gates found, in words."""
    lines = []
    for gate in failed:
        lines.append(f"{gate.name}: {gate.meaning}. {gate.n_offenders} do not fit:")
        lines += [f"  {offender}" for offender in gate.offenders[:10]]
        if gate.n_offenders > 10:
            lines.append(f"  ... and {gate.n_offenders - 10} more")
    return "the release is not made, since it did not pass:\n" + "\n".join(lines)


def _counted(left_out: Mapping[str, str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in Counter(left_out.values()).most_common())


# ---- the place ----


def _staging(out: Path) -> Path:
    return out.parent / f".{out.name}.building"


def _existing(out: Path, digest: str, version: str) -> dict[str, Any] | None:
    """The manifest of the release that is there already; None if nothing is there."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    try:
        manifest: dict[str, Any] = json.loads((out / layout.MANIFEST).read_text(encoding="utf-8"))
        same = manifest["made_by"]["inputs"] == digest
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{out} exists and is no release: choose another --out") from None
    if not same:
        raise UsageError(
            f"{out} holds release {manifest['version']} with other contents, and a release is never changed: "
            f"choose another --out for {version}"
        )
    return manifest


@contextmanager
def _staged(out: Path, digest: str) -> Iterator[Path]:
    """Hold the folder in which the release is made; it is removed once the release is in its place."""
    staging = _staging(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir(exist_ok=True)
        handle = (staging / "lock").open("a+")
    except OSError as error:
        raise UsageError(f"cannot write to {out.parent}: {error.strerror}. Choose another --out") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"another process is building {out}: wait for it, or choose another --out"
            ) from None
        plan = staging / "plan.json"
        if not plan.exists() or plan.read_text(encoding="utf-8") != digest:
            for path in staging.iterdir():
                if path.name != "lock":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            (staging / "shards").mkdir()
            plan.write_text(digest, encoding="utf-8")
        shutil.rmtree(staging / "work", ignore_errors=True)
        (staging / "shards").mkdir(exist_ok=True)
        yield staging
        shutil.rmtree(staging)


def _sync(folder: Path) -> None:
    """Have everything below a folder on the disk before its name says that it is complete."""
    for path in folder.rglob("*"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
