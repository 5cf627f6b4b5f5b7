"""The notes of clips in formats that other programs read: a file per clip."""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow.compute as pc
import pyarrow.csv

from d2midi_build import clock
from d2midi_build.errors import D2midiError, PermanentError, SchemaError, UsageError
from d2midi_build.report.clips import clip_ids, clip_of, find_clip, notes_of, rows_of
from d2midi_build.workspace import VIEWS, Workspace

Format = Literal["midi", "csv", "jams", "musicxml"]
Programs = Literal["dataset", "original"]

SUFFIXES: Final[dict[Format, str]] = {"midi": ".mid", "csv": ".csv", "jams": ".jams", "musicxml": ".musicxml"}
"""The ending of each format's files."""

_LIBRARIES: Final = {"jams": "jams", "musicxml": "music21"}
"""What a format needs beyond what is always installed."""

_KEPT: Final = (*VIEWS, "ledger", "store", "partial", "tmp", "manifests")
"""Folders of a workspace that only a build may write to."""


@dataclass(frozen=True)
class Exported:
    """What became of one clip: its file and number of notes, or the message that says why there is no file."""

    clip_id: str
    file: Path | None
    n_notes: int = 0
    message: str = ""


def chosen_clips(workspace: Path, names: Iterable[str]) -> list[str]:
    """The ids of the clips that a person names, each once; of all clips if none is named.

    Raises
    ------
    UsageError
        If there is no such workspace, no clip at all, or a name is not known; see `find_clip`.
    """
    ids = list(dict.fromkeys(find_clip(workspace, name) for name in names)) or clip_ids(workspace)
    if not ids:
        raise UsageError(f"{workspace} has no clips yet: run `d2midi build -w {workspace}`")
    return ids


def export(
    workspace: Path, ids: Iterable[str], form: Format, out: Path, programs: Programs = "dataset"
) -> Iterator[Exported]:
    """Write the notes of clips as ``<clip id><suffix>`` into a folder; a clip that fails does not stop the rest.

    A file appears whole or not at all; one of the same name is replaced, others are left alone. The same notes
    and beats give the same bytes.

    Parameters
    ----------
    workspace : Path
    ids : iterable of str
        Whole clip ids; see `chosen_clips`.
    form : {"midi", "csv", "jams", "musicxml"}
        csv has the columns of the table of notes; jams and musicxml also hold the clip's beats where they are known.
    out : Path
        Made if its parent exists.
    programs : {"dataset", "original"}, optional
        Of MIDI files: the 13 of the dataset (default), or those that notes were transcribed with.

    Raises
    ------
    UsageError
        Before anything is written: if a library is missing, or ``out`` cannot be a folder to write to.
    """
    _need(form)
    _folder(workspace, out)
    return (_exported(workspace, clip_id, form, out, programs) for clip_id in ids)


def _exported(workspace: Path, clip_id: str, form: Format, out: Path, programs: Programs) -> Exported:
    path = out / f"{clip_id}{SUFFIXES[form]}"
    try:
        data, n_notes = _made(workspace, clip_id, form, programs)
        _write(path, data)
    except D2midiError as error:
        return Exported(clip_id, None, message=str(error))
    except OSError as error:
        return Exported(clip_id, None, message=f"{path} cannot be written: {error.strerror or error}")
    return Exported(clip_id, path, n_notes)


def _made(workspace: Path, clip_id: str, form: Format, programs: Programs) -> tuple[bytes, int]:
    """The file's bytes and the number of notes behind it."""
    clip = clip_of(workspace, clip_id, ("transcribe",))
    notes = notes_of(workspace, clip_id)
    end_s = clock.frame_time_s(clip["n_frames"])
    if form == "midi":
        from d2midi_build.music.midi import to_midi_bytes

        return to_midi_bytes(notes.as_dataset() if programs == "dataset" else notes), len(notes)
    if form == "csv":
        buffer = io.BytesIO()
        pyarrow.csv.write_csv(rows_of(workspace, "notes", clip_id), buffer)
        return buffer.getvalue(), len(notes)
    beats = _beats(workspace, clip_id)
    if form == "jams":
        from d2midi_build.music.jams_file import to_jams

        provenance = {name: clip[name] for name in ("clip_id", "video_id", "source_start_s", "made_by")}
        about = {name: clip.get(name) for name in ("tempo_bpm", "metre", "beats_method")}
        return to_jams(notes, end_s, clip_id, provenance, **beats, about_beats=about).encode(), len(notes)
    from d2midi_build.music.musicxml import grid_of, to_musicxml

    try:
        grid = grid_of(end_s, beats["beats_s"], beats["positions"])
    except ValueError as error:
        raise PermanentError(
            f"clip {clip_id}: its beats are damaged ({error}); `d2midi validate` tells more"
        ) from error
    return to_musicxml(notes, grid, clip_id), len(notes)


def _beats(workspace: Path, clip_id: str) -> dict[str, Any]:
    """Musical beats of a clip: times, places in the bar (0 unknown), confidences; empty where unknown."""
    if not (Workspace(workspace).manifests / "beats.parquet").exists():  # made before there were beats
        return {"beats_s": [], "positions": [], "confidences": []}
    rows = rows_of(workspace, "beats", clip_id)
    try:
        rows = rows.filter(pc.equal(rows.column("kind"), "musical")).sort_by("time_s")
        return {
            "beats_s": rows.column("time_s").to_pylist(),
            "positions": [place or 0 for place in rows.column("position").to_pylist()],
            "confidences": rows.column("confidence").to_pylist(),
        }
    except KeyError as error:
        raise SchemaError(
            f"the table of beats is of another version ({error}): run `d2midi build -w {workspace}`"
        ) from error


def _need(form: Format) -> None:
    """Refuse a format whose library is not installed, or broken."""
    try:
        if form in _LIBRARIES:
            importlib.import_module(_LIBRARIES[form])
    except ImportError as error:
        raise UsageError(
            f"--format {form} needs {_LIBRARIES[form]}, which cannot be imported ({error}): install d2midi with the "
            "extra 'export' (`uv sync --inexact --extra export`), or choose --format midi or csv"
        ) from error


def _folder(workspace: Path, out: Path) -> None:
    """Make the folder to write to, unless it is one that builds keep."""
    root, wanted = workspace.resolve(), out.resolve()
    for name in _KEPT:
        if wanted.is_relative_to(root / name):
            raise UsageError(f"--out {out}: builds keep {root / name} themselves; choose another folder")
    try:
        out.mkdir(exist_ok=True)
    except FileNotFoundError:
        raise UsageError(f"--out {out}: there is no folder {out.parent}; make it first") from None
    except FileExistsError:
        raise UsageError(f"--out {out} is a file; name a folder") from None
    except OSError as error:
        raise UsageError(
            f"--out {out}: cannot make this folder ({error.strerror}); choose another"
        ) from error


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
