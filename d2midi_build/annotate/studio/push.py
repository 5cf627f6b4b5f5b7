"""Sheets to Label Studio, so that people can correct them.

Pushing again does only what is missing: a task has a key that names its sheet and part for good, and a version, which
changes with anything it shows. What nobody has worked on is brought up to date, its addresses included; what somebody
has worked on stays as it is. Pictures, videos and records of tasks that are not here any more are made again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path, PurePath
from typing import Any, Final, Literal

from d2midi_build.annotate.studio.addresses import LOCAL_MEDIA, media_url, page_of
from d2midi_build.annotate.studio.addresses import title as title_of
from d2midi_build.annotate.studio.client import HumanWork, NewTask, NotFound, Project, Studio
from d2midi_build.annotate.studio.preparing import Prepared, data_of, keep
from d2midi_build.annotate.studio.regions import regions
from d2midi_build.annotate.studio.rendering import Rendered, places, render_all
from d2midi_build.annotate.studio.tasks import Task
from d2midi_build.resources import resource
from d2midi_build.workspace import Workspace, write_whole

Purpose = Literal["notes", "planted", "blind"]

CONFIG: Final = "annotation/note_correction.xml"

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


def titles(workspace: Workspace) -> dict[Purpose, str]:
    """Usual titles of a workspace's projects. Audits have their own: nobody is to meet a sheet twice in one."""
    name = workspace.root.resolve().name
    return {
        "notes": title_of("notes", name),
        "planted": title_of("notes 2", name),  # who works there is not to read what is special about it
        "blind": title_of("from scratch", name),
    }


def push(
    workspace: Workspace,
    studio: Studio,
    title: str,
    tasks: Iterable[Prepared],
    where: Places,
    *,
    workers: int,
    people: int = 1,
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
    people : int, optional
        How many people correct each task, without seeing each other's work.
    on_done : callable
        Is told now and then how many tasks more are done.

    Raises
    ------
    D2midiError
        As `Studio`, `render_all` and `keep`.
    """
    storage = workspace.media if where.media == LOCAL_MEDIA else None
    if storage is not None:
        storage.mkdir(parents=True, exist_ok=True)
    project = studio.project(title, config(), description=_DESCRIPTION, storage=storage, people=people)
    found, there = Pushed(project), _There.of(studio, project.id)
    for batch in _batches(tasks):
        wanted = [
            _wanted(each, video, where, project.id)
            for each, video in zip(batch, places(workspace, [each.wanted for each in batch]), strict=True)
        ]
        _send(workspace, studio, found, wanted, there, workers, on_done)
    return found


def _batches(tasks: Iterable[Prepared]) -> Iterator[list[Prepared]]:
    """Tasks together, all of a sheet in the same batch."""
    batch: list[Prepared] = []
    for _, of_sheet in groupby(tasks, key=lambda each: _sheet(each.task.key)):
        batch += of_sheet
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _sheet(key: str) -> str:
    """What a task's key names besides its part."""
    return key.rpartition(".")[0]


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
    rolls = [media_url(PurePath(name), where.media) for name in prepared.pictures]
    shown = media_url(PurePath(prepared.task.sheet_id, video.name), where.media)
    listen = where.listen and page_of(where.listen, project_id, prepared.task.key)
    return _Wanted(prepared, video, data_of(prepared, rolls, shown, listen))


@dataclass(frozen=True)
class _There:
    """The tasks of a project: one by key, and all by sheet."""

    by_key: Mapping[str, Task]
    by_sheet: Mapping[str, Sequence[Task]]

    @classmethod
    def of(cls, studio: Studio, project_id: int) -> _There:
        """Of copies that nobody worked on one is left; of those that people worked on one is found by key."""

        def listed() -> list[Task]:
            return [task for task in studio.tasks(project_id, with_annotations=False) if task.key]

        tasks = listed()
        if len({task.key for task in tasks}) < len(tasks):
            studio.remove_copies(project_id)
            tasks = listed()
        by_key = {task.key: task for task in sorted(tasks, key=lambda task: (task.touched, -task.id))}
        by_sheet: dict[str, list[Task]] = defaultdict(list)
        for task in tasks:
            by_sheet[_sheet(task.key)].append(task)
        return cls(by_key, by_sheet)


def _send(
    workspace: Workspace,
    studio: Studio,
    found: Pushed,
    batch: Sequence[_Wanted],
    there: _There,
    workers: int,
    on_done: Callable[[int], None],
) -> None:
    """Render, keep and send some tasks, in this order: nobody is shown what could not be read back."""
    versions: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for each in batch:
        versions[_sheet(each.key)].add((each.key, each.prepared.task.version))
    stay = {
        sheet
        for sheet, new in versions.items()
        if _stays(there.by_sheet.get(sheet, ()), new)
        or _begun_since(studio, there.by_sheet.get(sheet, ()), new)
    }
    todo = [each for each in batch if _sheet(each.key) not in stay]
    found.kept += [each.key for each in batch if _sheet(each.key) in stay]
    if len(todo) < len(batch):
        on_done(len(batch) - len(todo))
    failed = _render(workspace, todo, found, workers)
    new: list[NewTask] = []
    for each in todo:
        if each.video in failed:
            on_done(1)
            continue
        keep(workspace, each.prepared)
        _draw(workspace, each.prepared)
        old = there.by_key.get(each.key)
        if old is None or not _renewed(studio, found, old, each):
            new.append(each.new_task())
        else:
            on_done(1)
    if new:
        found.made += studio.create(found.project.id, new)
        on_done(len(new))
    keys = {each.key for each in batch}
    sent = {_sheet(each.key) for each in todo if each.video not in failed}
    for sheet in sorted(sent):
        studio.remove_untouched(task for task in there.by_sheet.get(sheet, ()) if task.key not in keys)


def _stays(old: Sequence[Task], new: AbstractSet[tuple[str, str]]) -> bool:
    """Whether a sheet holds somebody's work on other versions or parts: then none of its tasks is changed."""
    return any(task.touched and (task.key, task.data.get("version")) not in new for task in old)


def _begun_since(studio: Studio, old: Sequence[Task], new: AbstractSet[tuple[str, str]]) -> bool:
    """Whether a sheet of several tasks that would be renewed has been begun since they were listed."""
    same = {(task.key, task.data.get("version")) for task in old} == new
    return len(old) > 1 and not same and studio.begun(old)


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
        path = workspace.media / name
        if not path.exists():
            write_whole(path, prepared.draw(page))
