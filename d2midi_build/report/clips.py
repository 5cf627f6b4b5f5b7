"""The clips of a workspace: finding the one that a person means, and what there is of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from d2midi_build import tables
from d2midi_build.errors import PermanentError, UsageError
from d2midi_build.music.notes import Notes
from d2midi_build.workspace import Workspace

_NEAR: Final = 5
_ALIKE: Final = 0.75

_PARTS: Final[dict[str, tuple[str, Callable[[dict[str, Any]], bool]]]] = {
    "resample": ("media", lambda clip: clip["n_frames"] > 0),
    "keypoints": ("keypoints", lambda clip: clip["body_share"] is not None),
    "transcribe": ("notes", lambda clip: clip["n_notes"] is not None),
}
"""What a stage adds to a clip, in words, and whether a row of the table of clips says that it is there."""


def find_clip(workspace: Path, name: str) -> str:
    """The id of the clip that a person means.

    Parameters
    ----------
    workspace : Path
    name : str
        A clip's id, or its number in the table of clips (from 1), or the beginning of one id only.

    Raises
    ------
    UsageError
        If there is no such clip, or several; the message names near ones.
    """
    ids = clip_ids(workspace)
    if name in ids:
        return name
    if name.isdecimal() and 1 <= int(name) <= len(ids):
        return str(ids[int(name) - 1])
    begin = [clip_id for clip_id in ids if name and clip_id.startswith(name)]
    if len(begin) == 1:
        return str(begin[0])
    if begin:
        raise UsageError(f"{len(begin)} clips begin with {name!r}: {_some(begin)}. Write more of the id.")
    raise _unknown(workspace, name, ids)


def clip_ids(workspace: Path) -> list[str]:
    """The ids of all clips of a workspace, in the order of the table.

    Raises
    ------
    UsageError
        If there is no such workspace.
    """
    ids: list[str] = _clips(workspace).column("clip_id").to_pylist()
    return ids


def clip_of(workspace: Path, clip_id: str, stages: Sequence[str] = ()) -> dict[str, Any]:
    """A clip's row of the table of clips.

    Parameters
    ----------
    workspace : Path
    clip_id : str
        The whole id.
    stages : sequence of str, optional
        Of ``resample``, ``keypoints`` and ``transcribe``: those whose results must be there.

    Raises
    ------
    UsageError
        If there is no such workspace or clip, or a stage has not made its part.
    """
    rows = _clips(workspace)
    found = rows.filter(pc.equal(rows.column("clip_id"), clip_id)).to_pylist()
    if not found:
        raise _unknown(workspace, clip_id, rows.column("clip_id").to_pylist())
    clip: dict[str, Any] = found[0]
    for stage in stages:
        what, there = _PARTS[stage]
        if there(clip):
            continue
        if clip["failed_stage"] == stage:
            raise UsageError(
                f"clip {clip_id} has no {what}: {stage} failed ({clip['reason']}): {clip['message']}. "
                f"`d2midi retry -w {workspace}` tries again."
            )
        raise UsageError(f"clip {clip_id} has no {what} yet: run `d2midi {stage} -w {workspace}`")
    return clip


def rows_of(workspace: Path, table: str, clip_id: str) -> pa.Table:
    """A clip's rows of a table, in its order.

    Raises
    ------
    SchemaError
        If the table is missing or damaged.
    """
    return tables.read_where(Workspace(workspace).manifests / f"{table}.parquet", "clip_id", clip_id)


def notes_of(workspace: Path, clip_id: str) -> Notes:
    """A clip's notes.

    Raises
    ------
    SchemaError
        If the table is missing or damaged.
    PermanentError
        If it holds what cannot be notes.
    """
    rows = rows_of(workspace, "notes", clip_id)
    try:
        return Notes.from_table(rows)
    except ValueError as error:
        raise PermanentError(
            f"clip {clip_id}: its rows of the table of notes are damaged ({error}); `d2midi validate` tells more"
        ) from error


def _clips(workspace: Path) -> pa.Table:
    return tables.read(Workspace.open(workspace).manifests / "clips.parquet")


def _unknown(workspace: Path, name: str, ids: list[str]) -> UsageError:
    if not ids:
        return UsageError(f"{workspace} has no clips yet: run `d2midi build -w {workspace}`")
    # A name may be the beginning of an id, mistyped: compare as much of each id as was written.
    likeness = {
        clip_id: SequenceMatcher(None, name.lower(), clip_id[: len(name)].lower()).ratio() for clip_id in ids
    }
    near = sorted((i for i in ids if name and likeness[i] >= _ALIKE), key=lambda i: -likeness[i])[:_NEAR]
    meant = f" Near: {', '.join(near)}." if near else ""
    return UsageError(
        f"{workspace} has no clip {name!r}; there are {len(ids)}: {_some(ids)}.{meant} "
        f"`ls {workspace / 'clips'}` lists them, and numbers 1 to {len(ids)} do too."
    )


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:_NEAR]) + (", ..." if len(ids) > _NEAR else "")
