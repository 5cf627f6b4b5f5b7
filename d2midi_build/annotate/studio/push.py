"""Sheets to Label Studio, so that people can correct them.

Pushing again does only what is missing: a task has a key that names its sheet and part for good, and a version, which
changes with anything it shows. What nobody has worked on is brought up to date; what somebody has stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from d2midi_build.annotate.studio.client import HumanWork, NewTask, Project, Studio
from d2midi_build.annotate.studio.preparing import Prepared, data_of, keep, media_in
from d2midi_build.annotate.studio.regions import regions
from d2midi_build.annotate.studio.rendering import Rendered, render_all
from d2midi_build.annotate.studio.tasks import Task
from d2midi_build.errors import WorkspaceError
from d2midi_build.resources import resource
from d2midi_build.workspace import Workspace

CONFIG: Final = "annotation/note_correction.xml"

LOCAL_MEDIA: Final = "/data/local-files/?d=media"
"""Address of the workspace's media on a Label Studio that `serve` started."""

_DESCRIPTION: Final = "Notes of dance videos to correct. How: annotation/GUIDE.md of d2midi."

_BATCH: Final = 200
"""Tasks rendered and sent together: what a kill can cost is rendering, and that is kept."""


@dataclass
class Pushed:
    """What became of the tasks that were to be there.

    Attributes
    ----------
    project : Project
    made, renewed, same : int
        Tasks that are new, that were brought up to date, and that were so already.
    kept : list of str
        Keys of tasks of another version that hold somebody's work, which stay as they are.
    failed : list of (str, str)
        Sheets without a video, and why; their tasks were not sent.
    """

    project: Project
    made: int = 0
    renewed: int = 0
    same: int = 0
    kept: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Places:
    """Where annotators find what tasks show.

    Attributes
    ----------
    media : str
        What the addresses of pictures and videos begin with: `LOCAL_MEDIA`, or a bucket's.
    listen : str
        Address of the Listen page; empty if there is none.
    """

    media: str = LOCAL_MEDIA
    listen: str = ""


def config() -> str:
    """The labelling configuration of note correction, XML."""
    return resource(CONFIG).read_text(encoding="utf-8")


def push(
    workspace: Workspace,
    studio: Studio,
    title: str,
    tasks: Iterable[Prepared],
    where: Places,
    *,
    workers: int,
    on_done: Callable[[int], None],
) -> Pushed:
    """Make or renew the tasks of a project.

    Parameters
    ----------
    workspace : Workspace
        Keeps what was sent and what it shows, below ``annotation/``.
    studio : Studio
    title : str
        Of the project, made if it is not there.
    tasks : iterable of Prepared
    where : Places
    workers : int
        Processes that render videos.
    on_done : callable
        Is told now and then how many tasks more are done.

    Raises
    ------
    D2midiError
        As `Studio`, `render_all` and `keep`.
    """
    storage = media_in(workspace) if where.media == LOCAL_MEDIA else None
    if storage is not None:
        storage.mkdir(parents=True, exist_ok=True)
    project = studio.project(title, config(), description=_DESCRIPTION, storage=storage)
    there = {task.key: task for task in studio.tasks(project.id, with_annotations=False) if task.key}
    found, todo = Pushed(project), list[Prepared]()
    for each in tasks:
        old = there.get(each.task.key)
        if old is None or not (old.touched or _is_current(old, each)):
            todo.append(each)
            if len(todo) == _BATCH:
                _send(workspace, studio, found, todo, there, where, workers, on_done)
                todo = []
            continue
        if old.data.get("version") == each.task.version:
            found.same += 1
        else:
            found.kept.append(each.task.key)
        on_done(1)
    _send(workspace, studio, found, todo, there, where, workers, on_done)
    return found


def _is_current(old: Task, new: Prepared) -> bool:
    """Whether a task shows what it is to show; a push that was killed may have changed half of it."""
    versions = (_model_version(new),) if new.task.notes else ()
    return old.data.get("version") == new.task.version and old.versions == versions


def _send(
    workspace: Workspace,
    studio: Studio,
    found: Pushed,
    todo: Sequence[Prepared],
    there: Mapping[str, Task],
    where: Places,
    workers: int,
    on_done: Callable[[int], None],
) -> None:
    """Render, keep and send some tasks, in this order: nobody is shown what could not be read back."""
    videos = _rendered(workspace, todo, found, workers)
    new = []
    for each in todo:
        if each.task.sheet_id not in videos:
            on_done(1)
            continue
        keep(workspace, each)
        _draw(workspace, each)
        made = _new_task(each, videos[each.task.sheet_id], where)
        old = there.get(each.task.key)
        if old is None:
            new.append(made)
            continue
        try:
            studio.renew(old, made.data, made.predictions, made.model_version)
            found.renewed += 1
        except HumanWork:
            found.kept.append(each.task.key)
        on_done(1)
    if new:
        found.made += studio.create(found.project.id, new)
        on_done(len(new))


def _rendered(workspace: Workspace, todo: Sequence[Prepared], found: Pushed, workers: int) -> dict[str, Path]:
    """The video of each sheet that could be rendered; parts of a sheet share one."""
    wanted = {each.task.sheet_id: each.wanted for each in todo}
    videos: dict[str, Path] = {}

    def note(done: Rendered) -> None:
        if done.message:
            found.failed.append((done.sheet_id, done.message))
        else:
            videos[done.sheet_id] = done.path

    if wanted:
        render_all(workspace, list(wanted.values()), workers, note)
    return videos


def _draw(workspace: Workspace, prepared: Prepared) -> None:
    """The pictures of a task's pages, those that are not there yet."""
    for page, name in enumerate(prepared.pictures):
        path = media_in(workspace) / name
        if path.exists():
            continue
        partial = path.with_name(f".{path.name}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(prepared.draw(page))
            partial.replace(path)
        except OSError as error:
            raise WorkspaceError(f"{path} cannot be written: {error.strerror or error}") from error


def _new_task(prepared: Prepared, video: Path, where: Places) -> NewTask:
    sheet_id = prepared.task.sheet_id
    data = data_of(
        prepared,
        [f"{where.media}/{name}" for name in prepared.pictures],
        f"{where.media}/{sheet_id}/{video.name}",
        where.listen,
    )
    return NewTask(data, regions(prepared.task), _model_version(prepared))


def _model_version(prepared: Prepared) -> str:
    return f"d2midi-{prepared.task.version}"
