"""The videos of many sheets, in processes beside each other."""

from __future__ import annotations

import fcntl
import shutil
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from d2midi_build import tables
from d2midi_build.annotate.layering import Row, notes_of, rows
from d2midi_build.annotate.sheets import Sheet
from d2midi_build.annotate.studio.footage import SIZE, VERSION, near, render_footage
from d2midi_build.digests import sha256_data
from d2midi_build.engine.base import Finished, Job, Outcome, Report
from d2midi_build.engine.local import LocalEngine
from d2midi_build.errors import D2midiError, UsageError, WorkspaceLocked
from d2midi_build.media.ffmpeg import os_error
from d2midi_build.music.notes import Notes
from d2midi_build.workspace import Workspace, sync_path

FUNCTION: Final = f"{__name__}:run"
"""What workers call."""

_FILE: Final = "footage.mp4"
_TIMEOUT_S: Final = 600.0
"""Rendering takes 5-10 s; whatever takes minutes hangs."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """A sheet and the notes to show in it and in its context; further notes of its clip do not matter."""

    sheet: Sheet
    notes: Notes


@dataclass(frozen=True)
class Rendered:
    """How the rendering of a sheet ended.

    Attributes
    ----------
    sheet_id : str
    path : Path
        The video; not there if ``message`` says why.
    message : str
        Empty if all went well.
    fresh : bool
        Whether it was rendered now, and not there already.
    """

    sheet_id: str
    path: Path
    message: str = ""
    fresh: bool = True


def places(workspace: Workspace, wanted: Sequence[Wanted]) -> list[Path]:
    """Where the videos of sheets lie, whether they are there or not.

    Their names hold a digest of everything they are made of: another transcription or another clip has others.

    Raises
    ------
    UsageError
        If the workspace has no such clip.
    SchemaError
        If the table of clips is missing or damaged.
    """
    columns = ["clip_id", "video_sha256", "original_sha256"]
    table = tables.read(workspace.manifests / "clips.parquet", columns).to_pylist()
    clips = {row["clip_id"]: [row[name] for name in columns[1:]] for row in table}
    return [
        workspace.media / each.sheet.sheet_id / f"{_digest(workspace, each, clips)}.mp4" for each in wanted
    ]


def render_all(
    workspace: Workspace, wanted: Sequence[Wanted], workers: int, on_done: Callable[[Rendered], None]
) -> None:
    """Render the videos of sheets that are not there yet, each to its place, in processes beside each other.

    What fails is told and stops no other. A process that dies is started again; a video that kills it twice has failed.
    Whatever ends this process ends the others, and half a video never has a video's name.

    Parameters
    ----------
    workspace : Workspace
    wanted : sequence of Wanted
        The same sheet with the same notes is rendered once.
    workers : int
        Processes.
    on_done : callable
        Is told of each video, once, as soon as it is there or has failed; in any order.

    Raises
    ------
    UsageError, SchemaError
        As `places`.
    WorkspaceLocked
        If another process renders footage of this workspace.
    PermanentError, TransientError
        If a finished video cannot be moved to its place.
    """
    missing: dict[Path, Wanted] = {}
    for path, each in dict(zip(places(workspace, wanted), wanted, strict=True)).items():
        if path.exists():
            on_done(Rendered(each.sheet.sheet_id, path, fresh=False))
        else:
            missing[path] = each
    if not missing:
        return
    with (
        _private_folder(workspace) as folder,
        LocalEngine(max(1, min(workers, len(missing))), 0, folder / "logs", _TIMEOUT_S) as engine,
    ):
        for number, (path, each) in enumerate(missing.items()):
            engine.submit(_job(workspace, each, path, folder / str(number)))
        while engine.unfinished:
            for event in engine.wait(1.0):
                if isinstance(event, Finished):
                    on_done(_commit(event))


def run(job: Job, report: Report, state: dict[str, Any]) -> Outcome:
    """Render the video that a job describes; a function of `engine.base.JobFunction`."""
    try:
        notes = notes_of(Row(*row) for row in job.inputs["notes"])
        render_footage(
            Workspace(Path(job.inputs["workspace"])),
            Sheet(**job.inputs["sheet"]),
            notes,
            Path(job.out) / _FILE,
            progress=report,
        )
    except (D2midiError, OSError, ValueError) as error:
        return Outcome("failed", "permanent", str(error), traceback=traceback.format_exc())
    return Outcome("done")


def _digest(workspace: Workspace, wanted: Wanted, clips: Mapping[str, list[str]]) -> str:
    sheet = wanted.sheet
    if sheet.clip_id not in clips:
        raise UsageError(
            f"{workspace.root} has no clip {sheet.clip_id!r}: `ls {workspace.root / 'clips'}` lists them"
        )
    bounds = [sheet.start_frame, sheet.end_frame, sheet.clip_frames]
    notes = [list(row) for row in rows(near(sheet, wanted.notes))]
    return sha256_data([VERSION, SIZE, clips[sheet.clip_id], bounds, notes])[:16]


def _job(workspace: Workspace, wanted: Wanted, path: Path, out: Path) -> Job:
    out.mkdir()
    sheet = wanted.sheet
    return Job(
        stage="footage",
        item=sheet.sheet_id,
        key=path.stem,
        function=FUNCTION,
        params={},
        inputs={
            "workspace": str(workspace.root),
            "sheet": dict(vars(sheet)),
            "notes": [tuple(row) for row in rows(near(sheet, wanted.notes))],
            "path": str(path),
        },
        out=str(out),
        cost=float(sheet.shown_frames[1] - sheet.shown_frames[0]),
    )


def _commit(finished: Finished) -> Rendered:
    """Move a finished video to its place."""
    job, outcome = finished.job, finished.outcome
    path = Path(job.inputs["path"])
    if outcome.status != "done":
        said = f"{outcome.message}\n{outcome.tool_message}".rstrip()
        return Rendered(job.item, path, said)
    made = Path(job.out) / _FILE
    try:
        sync_path(made)
        path.parent.mkdir(parents=True, exist_ok=True)
        made.replace(path)
    except OSError as error:
        raise os_error(error, f"writing {path}") from error
    return Rendered(job.item, path)


@contextmanager
def _private_folder(workspace: Workspace) -> Iterator[Path]:
    """An empty folder for what is in the making; what a killed process left in it goes."""
    folder = workspace.annotation / ".rendering"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise WorkspaceLocked(
                f"another process renders footage of {workspace.root}: wait for it"
            ) from None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
