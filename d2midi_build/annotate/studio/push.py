"""Sheets to Label Studio, so that people can correct them.

Pushing again does only what is missing: a task has a key that names its sheet and part for good, and a version, which
changes with anything it shows. What nobody has worked on is brought up to date, its addresses included; what somebody
has worked on stays as it is. Pictures, videos and records of tasks that are not here any more are made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from d2midi_build.annotate.studio.addresses import page_of
from d2midi_build.annotate.studio.client import HumanWork, NewTask, NotFound, Project, Studio
from d2midi_build.annotate.studio.preparing import Prepared, data_of, keep, media_in
from d2midi_build.annotate.studio.regions import regions
from d2midi_build.annotate.studio.rendering import Rendered, places, render_all
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
    found, there, waiting = Pushed(project), _there(studio, project.id), iter(tasks)
    while batch := list(islice(waiting, _BATCH)):
        wanted = [
            _wanted(each, video, where, project.id)
            for each, video in zip(batch, places(workspace, [each.wanted for each in batch]), strict=True)
        ]
        _send(workspace, studio, found, wanted, there, workers, on_done)
    return found


@dataclass(frozen=True, eq=False)
class _Wanted:
    """A task as it is to be: what it shows, where its video is to lie, and its data in Label Studio."""

    prepared: Prepared
    video: Path
    data: dict[str, Any]

    @property
    def key(self) -> str:
        return self.prepared.task.key

    @property
    def model_version(self) -> str:
        return f"d2midi-{self.prepared.task.version}"

    def new_task(self) -> NewTask:
        return NewTask(self.data, regions(self.prepared.task), self.model_version)

    def is_current(self, old: Task) -> bool:
        """Whether a task is so already; a push that was killed may have changed half of it."""
        versions = (self.model_version,) if self.prepared.task.notes else ()
        return old.data == self.data and old.versions == versions


def _wanted(prepared: Prepared, video: Path, where: Places, project_id: int) -> _Wanted:
    rolls = [f"{where.media}/{name}" for name in prepared.pictures]
    shown = f"{where.media}/{prepared.task.sheet_id}/{video.name}"
    listen = where.listen and page_of(where.listen, project_id, prepared.task.key)
    return _Wanted(prepared, video, data_of(prepared, rolls, shown, listen))


def _there(studio: Studio, project_id: int) -> dict[str, Task]:
    """The tasks of a project by key; of copies that people worked on, one of them."""

    def listed() -> list[Task]:
        return [task for task in studio.tasks(project_id, with_annotations=False) if task.key]

    tasks = listed()
    if len({task.key for task in tasks}) < len(tasks):
        studio.remove_copies(project_id)
        tasks = listed()
    return {task.key: task for task in sorted(tasks, key=lambda task: (task.touched, -task.id))}


def _send(
    workspace: Workspace,
    studio: Studio,
    found: Pushed,
    batch: Sequence[_Wanted],
    there: Mapping[str, Task],
    workers: int,
    on_done: Callable[[int], None],
) -> None:
    """Render, keep and send some tasks, in this order: nobody is shown what could not be read back."""
    todo = [each for each in batch if not _stays(there.get(each.key), each)]
    if len(todo) < len(batch):
        found.kept += [each.key for each in batch if _stays(there.get(each.key), each)]
        on_done(len(batch) - len(todo))
    failed = _render(workspace, todo, found, workers)
    new: list[NewTask] = []
    for each in todo:
        if each.video in failed:
            on_done(1)
            continue
        keep(workspace, each.prepared)
        _draw(workspace, each.prepared)
        old = there.get(each.key)
        if old is None or not _renewed(studio, found, old, each):
            new.append(each.new_task())
        else:
            on_done(1)
    if new:
        found.made += studio.create(found.project.id, new)
        on_done(len(new))


def _stays(old: Task | None, new: _Wanted) -> bool:
    """Whether a task holds somebody's work on another version."""
    return old is not None and old.touched and old.data.get("version") != new.prepared.task.version


def _renewed(studio: Studio, found: Pushed, old: Task, new: _Wanted) -> bool:
    """Bring a task up to date if it needs that and may be; False if it is gone."""
    if old.touched or new.is_current(old):
        found.same += 1
        return True
    try:
        made = new.new_task()
        studio.renew(old, made.data, made.predictions, made.model_version)
        found.renewed += 1
    except HumanWork:
        found.kept.append(new.key)
    except NotFound:
        return False
    return True


def _render(workspace: Workspace, todo: Sequence[_Wanted], found: Pushed, workers: int) -> set[Path]:
    """Render the videos that are not there, parts of a sheet share one; gives those that could not be."""
    failed: set[Path] = set()

    def note(done: Rendered) -> None:
        if done.message:
            found.failed.append((done.sheet_id, done.message))
            failed.add(done.path)

    render_all(workspace, [each.prepared.wanted for each in todo], workers, note)
    return failed


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
