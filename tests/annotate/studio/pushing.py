"""Workspaces whose sheets can be sent without rendering anything, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from d2midi_build import tables
from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.studio.preparing import Prepared
from d2midi_build.annotate.studio.rendering import places
from d2midi_build.workspace import Workspace
from tests.annotate.making import band
from tests.annotate.workspaces import write_tables


def clip(name: str, seconds: int, per_s: float = 2.0, seed: int = 0) -> ClipNotes:
    """A clip with few enough pitches for one task a sheet, and a beat each half second."""
    notes = band(seconds, per_s, seed)
    low = np.where(notes.is_drum, notes.pitch, 48 + notes.pitch % 24)
    beats_s = np.arange(0.5, seconds, 0.5)
    positions = np.arange(len(beats_s)) % 4 + 1
    notes = replace(notes, pitch=low.astype(notes.pitch.dtype))
    return ClipNotes(f"yt-{name}_00000000", 20 * seconds, notes, beats_s, positions)


def workspace_of(root: Path, *clips: ClipNotes) -> Workspace:
    """A workspace with the tables that sheets are chosen from."""
    workspace = write_tables(root, *clips)
    empty = tables.schema("videos").arrow().empty_table()
    tables.write(workspace.manifests / "videos.parquet", empty)
    return workspace


def filmed(workspace: Workspace, tasks: Iterable[Prepared]) -> list[Path]:
    """Put something where the videos of tasks lie, so that nobody renders them."""
    paths = places(workspace, [each.wanted for each in tasks])
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"a video")
    return paths
