"""Studies on their way to Label Studio: designed once, then sent as they are, however often."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from d2midi_build.annotate.clips import lengths
from d2midi_build.annotate.studio.addresses import LOCAL_MEDIA, PEOPLE, media_url
from d2midi_build.annotate.studio.addresses import title as named
from d2midi_build.annotate.study import design
from d2midi_build.annotate.study.design import NOTES, ORIGINAL, Dance, Study
from d2midi_build.annotate.study.stimuli import folder_of, music_in
from d2midi_build.digests import sha256_file
from d2midi_build.errors import UsageError
from d2midi_build.resources import resource
from d2midi_build.workspace import Workspace

if TYPE_CHECKING:
    from d2midi_build.annotate.studio.importing import NewTask
    from d2midi_build.annotate.studio.projects import Project
    from d2midi_build.annotate.studio.tasks import Task


class Studio(Protocol):
    """What is needed of `studio.client.Studio`."""

    def project(
        self, title: str, config: str, *, description: str = "", storage: Path | None = None, people: int = 1
    ) -> Project: ...
    def create(self, project_id: int, tasks: Sequence[NewTask]) -> int: ...
    def tasks(self, project_id: int, *, with_annotations: bool = True) -> Iterable[Task]: ...


@dataclass(frozen=True)
class Asked:
    """What a person asks for.

    Attributes
    ----------
    name : str
        Of the study.
    methods : mapping of str to str
        Folder of music by method, or ``@original`` or ``@notes``.
    only : tuple of str, or None
        Clips that may be shown; None: all.
    most : int or None
        Dances to draw at random, at most; None: all.
    seconds : float
        The most that is shown of a dance.
    seed : int
        Of that draw, and of the order.
    """

    name: str
    methods: Mapping[str, str]
    only: tuple[str, ...] | None = None
    most: int | None = None
    seconds: float = 30.0
    seed: int = 0


@dataclass(frozen=True)
class Designed:
    """A study, its files of music, and the dances left out since some methods have no music for them."""

    study: Study
    music: Mapping[tuple[str, str], Path]
    left_out: Mapping[str, Sequence[str]]
    known: bool


def designed(workspace: Workspace, asked: Asked) -> Designed:
    """The study of a name: as it was sent, or a new one, which is written down.

    A dance is shown if every method has music for it, since methods are compared on the same dances.

    Raises
    ------
    UsageError
        If something asked for cannot be, or a study of this name shows other music: ratings of different things must
        not be mixed.
    """
    folders = {
        method: music_in(Path(where)) for method, where in asked.methods.items() if not where.startswith("@")
    }
    for method, where in asked.methods.items():
        if where.startswith("@") and where not in (ORIGINAL, NOTES):
            raise UsageError(f"--method {method}={where}: it can be a folder, {ORIGINAL} or {NOTES}")
    dances, left_out = _dances(workspace, asked, folders)
    music = {
        (dance.name, method): folder[dance.name] for method, folder in folders.items() for dance in dances
    }
    digests = {each: sha256_file(path) for each, path in music.items()}
    before = design.read(workspace, asked.name)
    study = design.plan(
        asked.name, dances, asked.methods, digests, asked.seed, before.secret if before else None
    )
    if before is None:
        design.write(workspace, study)
        return Designed(study, music, left_out, known=False)
    if not before.same_as(study):
        raise UsageError(
            f"the study {asked.name!r} was made with other dances or music: take another name, so that ratings of "
            f"different things are not mixed (or remove {design.path_in(workspace, asked.name)} if nobody has rated)"
        )
    return Designed(before, music, left_out, known=True)


def push(
    studio: Studio, workspace: Workspace, study: Study, media: str = LOCAL_MEDIA, title: str = ""
) -> tuple[str, int]:
    """Send a study whose videos are there; again, and nothing changes.

    Parameters
    ----------
    studio : Studio
    workspace : Workspace
    study : Study
    media : str, optional
        Address of the workspace's media; by default that of a server that `d2midi annotate serve` runs.
    title : str, optional
        Of the project; default `title_of`.

    Returns
    -------
    str
        Address of the project.
    int
        Tasks made.

    Raises
    ------
    UsageError, TransientError, PermanentError
        As `studio.client.Studio`.
    """
    from d2midi_build.annotate.studio.importing import NewTask

    project = studio.project(
        title or title_of(study.name),
        resource("annotation/study.xml").read_text(encoding="utf-8"),
        description="How good is this music for this dance? Rate every sample, with sound, in one go if you can.",
        storage=workspace.media if media == LOCAL_MEDIA else None,
        people=PEOPLE,
    )
    return project.url, studio.create(project.id, [NewTask(data) for data in tasks_of(study, media)])


def tasks_of(study: Study, media: str = LOCAL_MEDIA) -> list[dict[str, Any]]:
    """The data of a study's tasks, in order: nothing in them tells the method or the dance."""
    return [
        {
            "task_key": study.key(stimulus),
            "title": f"Sample {stimulus.place} of {len(study.stimuli)}",
            "video": media_url(folder_of(study) / f"{stimulus.token}.mp4", media),
        }
        for stimulus in study.stimuli
    ]


def title_of(name: str) -> str:
    """Title of a study's project."""
    return named("study", name)


def _dances(
    workspace: Workspace, asked: Asked, folders: Mapping[str, Mapping[str, Path]]
) -> tuple[list[Dance], dict[str, list[str]]]:
    """The dances to show, by name, and those left out with the methods that have no music for them."""
    frames = lengths(workspace)
    if not frames:
        raise UsageError(
            f"{workspace.root} has no clips with notes yet: run `d2midi build -w {workspace.root}`"
        )
    named = set().union(*(folder.keys() for folder in folders.values())) or set(frames)
    if asked.only is not None:
        named = {name for name in named if _clip(name, frames) in asked.only}
    lacking = {
        dance: [method for method, folder in folders.items() if dance not in folder]
        for dance in sorted(named)
    }
    left_out = {dance: methods for dance, methods in lacking.items() if methods}
    names = [dance for dance, methods in lacking.items() if not methods]
    if not names:
        raise UsageError(
            f"no dance has music of all {len(asked.methods)} methods ({len(left_out)} have some): name files "
            "<clip_id> or <clip_id>_<start_frame> alike in all folders"
        )
    if asked.most is not None and asked.most < len(names):
        drawn = np.random.default_rng([asked.seed, 1]).choice(len(names), asked.most, replace=False)
        names = [names[place] for place in sorted(drawn.tolist())]
    return [design.dance_named(name, frames, asked.seconds) for name in names], left_out


def _clip(name: str, frames: Mapping[str, int]) -> str:
    return name if name in frames else name.rpartition("_")[0]
