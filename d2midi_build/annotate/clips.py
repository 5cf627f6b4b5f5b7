"""The clips of a workspace as correction needs them: length, the machine's notes, beats."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from d2midi_build import tables
from d2midi_build.annotate.sheets import Sheet, sheets
from d2midi_build.errors import PermanentError, UsageError
from d2midi_build.music.notes import Notes
from d2midi_build.workspace import Workspace


@dataclass(frozen=True, eq=False)
class ClipNotes:
    """A clip on its way to people.

    Attributes
    ----------
    clip_id : str
    n_frames : int
    notes : Notes
        The machine's.
    beats_s : np.ndarray, shape (n,), float64
        Musical beats in seconds, ascending; empty where unknown.
    positions : np.ndarray, shape (n,), int64
        Place of each beat in its bar, from 1.
    agreed : np.ndarray, shape (m,), float32, optional
        Share of other transcribers that heard each note, NaN where none was asked; None if none was about any.
    """

    clip_id: str
    n_frames: int
    notes: Notes
    beats_s: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    positions: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    agreed: npt.NDArray[np.float32] | None = None

    def sheets(self) -> list[Sheet]:
        """Its sheets."""
        return sheets(self.clip_id, self.n_frames)


def read_clip(workspace: Workspace, clip_id: str) -> ClipNotes:
    """A clip of a workspace.

    Raises
    ------
    UsageError
        If there is no such clip, or its notes are not there yet.
    SchemaError
        If a table is missing or damaged.
    PermanentError
        If the table of notes holds what cannot be notes.
    """
    found = tables.read_where(_table(workspace, "clips"), "clip_id", clip_id).to_pylist()
    if not found:
        raise UsageError(
            f"{workspace.root} has no clip {clip_id!r}: `ls {workspace.root / 'clips'}` lists them"
        )
    if found[0]["n_notes"] is None:
        raise UsageError(f"clip {clip_id} has no notes yet: run `d2midi transcribe -w {workspace.root}`")
    return _clip(workspace, clip_id, found[0]["n_frames"])


def lengths(workspace: Workspace) -> dict[str, int]:
    """Frames of all clips of a workspace that have notes, by id.

    Raises
    ------
    SchemaError
        If the table of clips is missing or damaged.
    """
    rows = tables.read(_table(workspace, "clips"), ["clip_id", "n_frames", "n_notes"]).to_pylist()
    return {row["clip_id"]: row["n_frames"] for row in rows if row["n_notes"] is not None}


def _clip(workspace: Workspace, clip_id: str, n_frames: int) -> ClipNotes:
    rows = tables.read_where(_table(workspace, "notes"), "clip_id", clip_id)
    try:
        notes = Notes.from_table(rows)
    except ValueError as error:
        raise PermanentError(
            f"clip {clip_id}: its rows of the table of notes are damaged ({error}); `d2midi validate` tells more"
        ) from error
    beats = _musical(workspace, clip_id)
    positions = pc.fill_null(beats.column("position"), 1).to_numpy()
    return ClipNotes(
        clip_id,
        n_frames,
        notes,
        beats.column("time_s").to_numpy(),
        positions.astype(np.int64),
        agreed_in(rows),
    )


def agreed_in(notes: pa.Table) -> npt.NDArray[np.float32] | None:
    """Column ``agreement`` of rows of the table of notes, NaN for null; None where all are, as in old workspaces."""
    if "agreement" not in notes.column_names:
        return None
    column = notes.column("agreement")
    return None if column.null_count == len(column) else tables.to_numpy(pc.fill_null(column, np.nan))


def _musical(workspace: Workspace, clip_id: str) -> pa.Table:
    """A clip's musical beats, by time; none where there is no such table, as in old workspaces."""
    path = _table(workspace, "beats")
    if not path.exists():
        return tables.schema("beats").arrow().empty_table()
    rows = tables.read_where(path, "clip_id", clip_id)
    return rows.filter(pc.equal(rows.column("kind"), "musical")).sort_by("time_s")


def _table(workspace: Workspace, name: str) -> Path:
    return workspace.manifests / f"{name}.parquet"
