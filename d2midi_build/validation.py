"""Check a workspace against its schemas and against itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from d2midi_build import clock, manifests, tables
from d2midi_build.digests import sha256_file
from d2midi_build.errors import SchemaError
from d2midi_build.workspace import Workspace

_MEDIA = {"video.mp4": "video_sha256", "audio.flac": "audio_sha256", "original.flac": "original_sha256"}


@dataclass(frozen=True)
class Problem:
    """Something wrong: in which table or file, at which row, and what."""

    where: str
    row: str
    what: str


def validate(workspace: Workspace, *, deep: bool = False) -> list[Problem]:
    """Everything wrong with a workspace's tables and files; empty if nothing is.

    Parameters
    ----------
    workspace : Workspace
    deep : bool
        Also read every media file and compare its SHA-256.
    """
    found: dict[str, pa.Table] = {}
    problems: list[Problem] = []
    for name in manifests.NAMES:
        try:
            table = tables.read(workspace.manifests / f"{name}.parquet")
            tables.check(name, table)
            found[name] = table
            problems += _repeated_keys(name, table)
        except SchemaError as error:
            problems.append(Problem(name, "", str(error)))
    if len(found) < len(manifests.NAMES):
        return problems
    problems += _missing_parents(found)
    problems += _lengths(found)
    problems += _files(workspace, found["clips"], deep=deep)
    return problems


def _repeated_keys(name: str, table: pa.Table) -> Iterator[Problem]:
    key = list(tables.schema(name).key)
    counts = table.group_by(key).aggregate([([], "count_all")])
    for row in counts.filter(pc.greater(counts.column("count_all"), 1)).to_pylist():
        yield Problem(
            name, "/".join(str(row[column]) for column in key), f"{row['count_all']} rows with this key"
        )


def _missing_parents(found: dict[str, pa.Table]) -> Iterator[Problem]:
    for child, parent, column in (
        ("takes", "videos", "video_id"),
        ("clips", "takes", "take_id"),
        ("stems", "clips", "clip_id"),
        ("notes", "clips", "clip_id"),
        ("windows", "clips", "clip_id"),
    ):
        known = set(found[parent].column(column).to_pylist())
        for value in sorted(set(pc.unique(found[child].column(column)).to_pylist()) - known):
            yield Problem(child, value, f"{column} is not in table {parent}")


def _lengths(found: dict[str, pa.Table]) -> Iterator[Problem]:
    n_frames: dict[str, int] = {}
    for clip in found["clips"].to_pylist():
        n_frames[clip["clip_id"]] = clip["n_frames"]
        if clip["n_samples"] != clock.frames_to_samples(clip["n_frames"]):
            yield Problem(
                "clips", clip["clip_id"], f"{clip['n_samples']} samples for {clip['n_frames']} frames"
            )
    last = found["notes"].group_by("clip_id").aggregate([("onset_s", "min"), ("offset_s", "max")])
    for row in last.to_pylist():
        end_s = clock.frame_time_s(n_frames.get(row["clip_id"], 0))
        if row["onset_s_min"] < 0 or row["offset_s_max"] > end_s:
            yield Problem("notes", row["clip_id"], f"notes lie outside the clip's {end_s} s")
    for row in found["windows"].select(["clip_id", "start_frame", "n_frames"]).to_pylist():
        if not 0 <= row["start_frame"] <= n_frames.get(row["clip_id"], 0) - row["n_frames"]:
            yield Problem("windows", f"{row['clip_id']}/{row['start_frame']}", "reaches beyond its clip")


def _files(workspace: Workspace, clips: pa.Table, *, deep: bool) -> Iterator[Problem]:
    for clip in clips.to_pylist():
        name = clip["clip_id"]
        if clip["status"] != "done":
            continue
        for file, column in _MEDIA.items():
            path = workspace.root / "clips" / name / file
            if not path.is_file():
                yield Problem(
                    _below(workspace, path), name, "missing: `d2midi build` links it again from the store"
                )
            elif deep and sha256_file(path) != clip[column]:
                yield Problem(_below(workspace, path), name, f"changed since it was made ({column} differs)")
        path = workspace.root / "frames" / f"{name}.parquet"
        try:
            frames = pq.ParquetFile(path)
            tables.check("frames", frames.schema_arrow.empty_table())
            if frames.metadata.num_rows != clip["n_frames"]:
                yield Problem(
                    _below(workspace, path),
                    name,
                    f"{frames.metadata.num_rows} rows for {clip['n_frames']} frames",
                )
        except (OSError, pa.ArrowInvalid, SchemaError) as error:
            yield Problem(_below(workspace, path), name, str(error))
        if not (workspace.root / "midi" / f"{name}.mid").is_file():
            yield Problem(f"midi/{name}.mid", name, "missing: `d2midi build` links it again from the store")


def _below(workspace: Workspace, path: Path) -> str:
    return str(path.relative_to(workspace.root))
