"""Takes that need a human eye, as tasks of Label Studio."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final, Protocol

from d2midi_build import manifests
from d2midi_build.annotate.excerpt import Excerpt, excerpt_of, render_excerpt
from d2midi_build.annotate.screening import KEY, Asked
from d2midi_build.annotate.studio.addresses import LOCAL_MEDIA, PEOPLE, media_url
from d2midi_build.annotate.studio.addresses import title as named
from d2midi_build.errors import ItemError, UsageError
from d2midi_build.flow import EntryNode, TakeNode
from d2midi_build.media.probe import probe
from d2midi_build.recipe import Recipe
from d2midi_build.resources import resource
from d2midi_build.rows import clip_review
from d2midi_build.standing import state
from d2midi_build.workspace import Workspace

if TYPE_CHECKING:
    from d2midi_build.annotate.studio.importing import NewTask
    from d2midi_build.annotate.studio.projects import Project
    from d2midi_build.annotate.studio.tasks import Task

FOLDER: Final = "screen"
"""Where the videos lie, below the workspace's media."""

_LENGTH_S: Final = 0.1
"""A video whose length differs by more is of another excerpt."""


class Studio(Protocol):
    """What is needed of `studio.client.Studio`."""

    def project(
        self, title: str, config: str, *, description: str = "", storage: Path | None = None, people: int = 1
    ) -> Project: ...
    def tasks(self, project_id: int, *, with_annotations: bool = True) -> Iterable[Task]: ...
    def create(self, project_id: int, tasks: Sequence[NewTask]) -> int: ...
    def renew(self, task: Task, data: dict[str, Any], result: Sequence[Any], model_version: str) -> None: ...


@dataclass(frozen=True)
class Candidate:
    """A take to ask about: its video, and what people are told of it."""

    asked: Asked
    video: Path
    title: str
    machine: str
    about: str

    @property
    def file(self) -> str:
        """Name of the video that people see."""
        return f"{self.asked.take_id}.mp4"

    def data(self, media: str = LOCAL_MEDIA) -> dict[str, Any]:
        """The task's data; ``media`` is the address of the workspace's media."""
        return {
            "task_key": KEY + self.asked.take_id,
            "title": self.title,
            "video": media_url(PurePath(FOLDER, self.file), media),
            "machine": self.machine,
            "about": self.about,
        }


@dataclass(frozen=True)
class Pushed:
    """What came of sending takes.

    Attributes
    ----------
    url : str
        Of the project.
    new, renewed, known : int
        Tasks made, tasks told anew (nobody had worked on them), and tasks that were there.
    failed : tuple of str
        Takes whose video could not be made, and why.
    """

    url: str
    new: int
    renewed: int
    known: int
    failed: tuple[str, ...]


def media_of(workspace: Workspace) -> Path:
    """The workspace's folder of media, made if need be."""
    folder = workspace.media
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def title_of(workspace: Path) -> str:
    """Title of the workspace's project."""
    return named("screening", workspace.resolve().name)


def takes(workspace: Workspace) -> dict[str, Asked]:
    """All takes by id.

    Raises
    ------
    WorkspaceError
        If nothing was built.
    """
    nodes = manifests.videos(state(workspace))
    found = (_asked(entry, take) for entry in nodes for take in entry.takes)
    return {asked.take_id: asked for asked in found if asked is not None}


def candidates(workspace: Workspace, *, noticed: bool = False) -> list[Candidate]:
    """The takes that screening leaves to people.

    Parameters
    ----------
    workspace : Workspace
    noticed : bool, optional
        Also takes that were accepted, where nobody has decided yet and a later stage noticed something (mostly
        singing, a dance that does not go with the music). Default is False.

    Raises
    ------
    WorkspaceError
        If nothing was built.
    """
    recipe = manifests.remembered(workspace)[1]
    found = []
    for entry in manifests.videos(state(workspace)):
        for take in entry.takes:
            why = _why(take, recipe, noticed)
            asked = _asked(entry, take)
            if why and asked is not None:
                found.append(_candidate(entry, take, asked, why))
    return found


def render(
    workspace: Workspace,
    found: Sequence[Candidate],
    workers: int = 1,
    done: Callable[[int, int], None] = lambda n, of: None,
) -> tuple[list[Candidate], list[str]]:
    """Make the videos that are missing; a take that fails does not stop the rest.

    Returns
    -------
    list of Candidate
        Those with a video.
    list of str
        The others, and why.
    """
    folder = media_of(workspace) / FOLDER

    def one(candidate: Candidate) -> str:
        try:
            out = folder / candidate.file
            if not _holds(out, candidate.asked.excerpt):
                render_excerpt(candidate.video, candidate.asked.excerpt, out)
        except ItemError as error:
            return f"{candidate.asked.take_id}: {error}"
        return ""

    with ThreadPoolExecutor(max_workers=workers) as pool:
        failures = []
        for number, failure in enumerate(pool.map(one, found), 1):
            failures.append(failure)
            done(number, len(found))
    made = [candidate for candidate, failure in zip(found, failures, strict=True) if not failure]
    return made, [failure for failure in failures if failure]


def push(
    studio: Studio,
    workspace: Workspace,
    found: Sequence[Candidate],
    failed: Sequence[str] = (),
    media: str = LOCAL_MEDIA,
    title: str = "",
) -> Pushed:
    """Send takes whose videos are there. Doing it again changes nothing; what people have worked on stays.

    Parameters
    ----------
    studio : Studio
    workspace : Workspace
    found : sequence of Candidate
    failed : sequence of str, optional
        Takes without a video, to be told.
    media : str, optional
        Address of the workspace's media; by default that of a server that `d2midi annotate serve` runs.
    title : str, optional
        Of the project; default `title_of`.

    Raises
    ------
    UsageError, TransientError, PermanentError
        As `studio.client.Studio`.
    """
    from d2midi_build.annotate.studio.importing import HumanWork, NewTask

    project = studio.project(
        title or title_of(workspace.root),
        resource("annotation/screening.xml").read_text(encoding="utf-8"),
        description="Is a take fit for the dataset?",
        storage=media_of(workspace) if media == LOCAL_MEDIA else None,
        people=PEOPLE,
    )
    there = {task.key: task for task in studio.tasks(project.id, with_annotations=False) if task.key}
    wanted = {data["task_key"]: data for data in (candidate.data(media) for candidate in found)}
    renewed = 0
    for key, data in wanted.items():
        task = there.get(key)
        if task is not None and not task.touched and task.data != data:
            with suppress(HumanWork):  # begun since they were listed
                studio.renew(task, data, (), "")
                renewed += 1
    new = studio.create(project.id, [NewTask(data) for data in wanted.values()])
    return Pushed(project.url, new, renewed, len(wanted) - new - renewed, tuple(failed))


def chosen(found: Sequence[Candidate], names: Sequence[str]) -> list[Candidate]:
    """Those that a person names: takes or videos, by their ids; all if none is named.

    Raises
    ------
    UsageError
        If a name is of none of them.
    """
    known = {each.asked.take_id for each in found} | {each.asked.video_id for each in found}
    for name in names:
        if name not in known:
            raise UsageError(f"{name!r} is no take or video under review: `d2midi screen list` shows those")
    return [each for each in found if not names or {each.asked.take_id, each.asked.video_id} & set(names)]


def _why(take: TakeNode, recipe: Recipe, noticed: bool) -> str:
    if take.decision.status == "review":
        return take.decision.explanation
    if noticed and take.decision.status == "accept" and take.judgement.verdict is None:
        return clip_review(take, recipe).explanation
    return ""


def _asked(entry: EntryNode, take: TakeNode) -> Asked | None:
    try:
        excerpt = excerpt_of(take.start_s, take.end_s)
    except ValueError:  # shorter than a frame: nothing to show
        return None
    source = entry.entry.source
    return Asked(take.take_id, take.video_id, source.source_id, source.url, source.genre, excerpt)


def _candidate(entry: EntryNode, take: TakeNode, asked: Asked, why: str) -> Candidate:
    assert entry.crawl is not None
    info, source = entry.crawl.facts["info"], entry.entry.source
    about = [
        info["title"],
        f"by {info['uploader']}" if info["uploader"] else "",
        info["webpage_url"] or (source.url if source.kind == "url" else Path(source.url).name),
        f"licence: {source.licence or info['licence'] or 'not known'}",
        asked.excerpt.told(),
    ]
    return Candidate(
        asked,
        Path(take.video["video"]),
        f"{take.take_id}: {take.start_s:.1f}-{take.end_s:.1f} s of the video",
        f"Why you are asked: {why}",
        " · ".join(each for each in about if each),
    )


def _holds(path: Path, excerpt: Excerpt) -> bool:
    """Whether a video is there already and as long as it must be."""
    if not path.exists():
        return False
    try:
        length_s = probe(path).duration_s
    except ItemError:
        return False
    return length_s is not None and abs(length_s - excerpt.length_s) < _LENGTH_S
