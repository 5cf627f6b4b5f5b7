"""Putting a release together from its shards: whole tables, schema, vocabulary, and what it says of itself.

The latter, manifest, card and checksums, is written again when a check has looked at the release.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from d2midi_build import clock, tables
from d2midi_build.digests import sha256_file
from d2midi_build.recipe import Recipe
from d2midi_build.release import card, shards
from d2midi_build.release import format as layout
from d2midi_build.release.checking import Checked
from d2midi_build.release.contents import Contents
from d2midi_build.release.planning import Shard, has_audio
from d2midi_build.workspace import link_or_copy

VERSION: Final = importlib.metadata.version("d2midi")


@dataclass(frozen=True)
class Assembled:
    """A release whose files are all there, but for what `tell` writes.

    Attributes
    ----------
    folder : Path
    manifest : dict
        What ``manifest.json`` says, apart from what a check found.
    whole : dict
        Tables ``clips``, ``videos`` and ``windows`` by split.
    """

    folder: Path
    manifest: Mapping[str, Any]
    whole: Mapping[str, Mapping[str, pa.Table]]


def assemble(
    folder: Path,
    made: Mapping[str, Path],
    planned: Sequence[Shard],
    contents: Contents,
    recipe: Recipe,
    plan: Mapping[str, Any],
) -> Assembled:
    """Put a release together from its shards."""
    files: dict[str, dict[str, Any]] = {}
    found: list[dict[str, Any]] = []
    for shard in planned:
        facts = json.loads((made[shard.name] / shards.FACTS).read_text(encoding="utf-8"))
        found.append(facts)
        for file, told in sorted(facts["files"].items()):
            path = layout.table_file(Path(file).stem, shard.split, shard.number)
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(made[shard.name] / file, folder / path)
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
        "made_by": {"d2midi": VERSION, "pyarrow": pa.__version__, "inputs": plan["digest"]},
        "recipe": plan["recipe"],
        "shards": {split: sum(shard.split == split for shard in planned) for split in counted},
        "splits": counted,
        "totals": {key: sum(each[key] for each in counted.values()) for key in next(iter(counted.values()))},
        "left_out": plan["left_out"],
        "audit": plan["audit"],
        "agreement": plan["agreement"],
        "files": files,
    }
    described = layout.description(shards.merged(facts["quantisation"] for facts in found))
    (folder / layout.SCHEMA).write_text(layout.to_json(described), encoding="utf-8")
    (folder / layout.VOCABULARY).write_bytes(layout.vocabulary())
    return Assembled(folder, manifest, whole)


def tell(assembled: Assembled, checked: Checked | None = None) -> dict[str, Any]:
    """Write what a release says of itself, with what a check found if there was one; what its manifest says."""
    folder = assembled.folder
    manifest = {**assembled.manifest, "gate": None if checked is None else checked.data()}
    if checked is not None:
        checked.write(folder)
    (folder / layout.MANIFEST).write_text(layout.to_json(manifest), encoding="utf-8")
    (folder / layout.CARD).write_text(card.card(manifest, assembled.whole), encoding="utf-8")
    _write_sums(folder, manifest["files"])
    return manifest


def _clip_rows(
    planned: Sequence[Shard], found: Sequence[dict[str, Any]], recipe: Recipe
) -> dict[str, pa.Table]:
    by_split: dict[str, list[dict[str, Any]]] = {}
    for shard, facts in zip(planned, found, strict=True):
        for clip, seen in zip(shard.clips, facts["clips"], strict=True):
            row = dict(clip.row) | seen | {"split": shard.split, "shard": shard.number}
            by_split.setdefault(shard.split, []).append(row | {"has_audio": has_audio(clip, recipe)})
    return {split: tables.from_rows("release/clips", rows) for split, rows in by_split.items()}


def _window_rows(planned: Sequence[Shard], made: Mapping[str, Path]) -> dict[str, pa.Table]:
    wanted = layout.schema("windows").arrow()
    by_split: dict[str, list[pa.Table]] = {}
    for shard in planned:
        windows = tables.read(made[shard.name] / shards.WINDOWS)
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
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    names = sorted(there - {layout.SUMS})
    lines = [
        f"{known[name]['sha256'] if name in known else sha256_file(folder / name)}  {name}\n"
        for name in names
    ]
    (folder / layout.SUMS).write_text("".join(lines), encoding="utf-8")
