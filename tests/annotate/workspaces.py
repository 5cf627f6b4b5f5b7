"""Workspaces with clips that have notes and beats, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from d2midi_build import tables
from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.workspace import Workspace

_ZERO: dict[str, Any] = {
    "string": "",
    "int8": 0,
    "int32": 0,
    "int64": 0,
    "float32": 0.0,
    "float64": 0.0,
    "bool": False,
    "list<string>": [],
}


def write_tables(root: Path, *clips: ClipNotes, waiting: tuple[str, ...] = ()) -> Workspace:
    """Write the tables of clips, and of some that wait to be transcribed; earlier tables are replaced."""
    workspace = Workspace.create(root)
    rows, notes, beats = [], [], []
    for clip in clips:
        rows.append(_row("clips", clip_id=clip.clip_id, n_frames=clip.n_frames, n_notes=len(clip.notes)))
        for number, note in enumerate(clip.notes.to_table().to_pylist()):
            notes.append(_row("notes", clip_id=clip.clip_id, note=number, **note))
        for number, (time_s, place) in enumerate(zip(clip.beats_s, clip.positions, strict=True)):
            here = {"clip_id": clip.clip_id, "beat": number, "time_s": float(time_s)}
            beats.append(_row("beats", kind="musical", position=int(place), **here))
            beats.append(_row("beats", kind="kinematic", **(here | {"time_s": float(time_s) + 0.2})))
    rows += [_row("clips", clip_id=clip_id, n_frames=600) for clip_id in waiting]
    for name, made in (("clips", rows), ("notes", notes), ("beats", beats)):
        tables.write(workspace.manifests / f"{name}.parquet", tables.from_rows(name, made))
    return workspace


def _row(table: str, **known: Any) -> dict[str, Any]:
    columns = tables.schema(table).columns
    return {each.name: None if each.nullable else _ZERO[each.type] for each in columns} | known
