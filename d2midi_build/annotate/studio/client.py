"""Label Studio's projects, tasks, drafts and people, and nothing else of it: the only module that talks to its API.

Written against 1.23.2 with plain HTTP. Its Python client parses whole pages of answers at once, so that one odd task
would hide all others, and does not say what a failing server said.

What others may have done meanwhile is expected everywhere: projects and tasks are looked up before they are made, and
made again only where they are still missing; tasks that are there twice (two pushes at once, or an import that the
server finished after its client was killed) lose the copies that nobody has worked on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from d2midi_build.annotate.studio.config import broken_by, same
from d2midi_build.annotate.studio.drafts import Draft, draft_of, newest_first
from d2midi_build.annotate.studio.importing import (
    HumanWork,
    NewTask,
    create,
    remove_copies,
    remove_untouched,
    renew,
    show_predictions,
)
from d2midi_build.annotate.studio.projects import (
    Project,
    as_object,
    as_objects,
    connect_storage,
    find_project,
    make_project,
    remove,
)
from d2midi_build.annotate.studio.tasks import Task, listed, task_now
from d2midi_build.annotate.studio.transport import NotFound, Patience, Transport
from d2midi_build.errors import PermanentError, UsageError

__all__ = ["VERSION", "Draft", "HumanWork", "NewTask", "NotFound", "Project", "Studio", "Task", "draft_of"]

VERSION: Final = "1.23.2"
"""The Label Studio that this was tested with, and that `serve` starts."""

FIRST_S: Final = 15.0
"""Longest wait, in seconds, for a server that has not answered yet."""

_log = logging.getLogger(__name__)


class Studio:
    """A Label Studio that accepts a token.

    Make it with `Studio.connect`. All calls wait for a server that is starting again, and raise

    - `UsageError` where the token is not accepted (any more), or another server answers,
    - `TransientError` where it does not answer within patience,
    - `PermanentError` where it refuses, in its own words; `NotFound` where the thing is gone.
    """

    def __init__(self, transport: Transport) -> None:
        self._http = transport
        self._email = ""
        self.url = transport.url

    @classmethod
    def connect(
        cls, url: str, token: str, *, patience_s: float = 120.0, on_wait: Callable[[str], None] | None = None
    ) -> Studio:
        """Reach a Label Studio and check the token.

        Parameters
        ----------
        url : str
        token : str
            A legacy or personal access token.
        patience_s : float
            Seconds to wait for it in each later call; here not more than `FIRST_S`, since it may not be there at all.
        on_wait : callable, optional
            Told in words before each pause.

        Raises
        ------
        UsageError
            If there is no Label Studio, or it does not accept the token.
        TransientError
            If nothing answers.
        """
        if not token:
            raise UsageError(
                "no token for Label Studio: set LABEL_STUDIO_API_KEY or use `d2midi annotate login`"
            )
        studio = cls(Transport(url, token, patience=Patience(min(patience_s, FIRST_S), on_wait)))
        try:
            studio._check()
            studio._http.patience = Patience(patience_s, on_wait)
        except BaseException:
            studio.close()
            raise
        return studio

    def _check(self) -> None:
        nothing = f"{self.url} is no Label Studio: give the URL that you open in the browser to log in"
        try:
            found = self._http.call("GET", "/api/version")
        except PermanentError as error:
            raise UsageError(f"{nothing} ({error})") from error
        release = found.get("release") if isinstance(found, dict) else None
        if not isinstance(release, str):
            raise UsageError(nothing)
        if _numbers(release) < _numbers(VERSION):
            _log.warning(
                "%s runs Label Studio %s, older than %s, which d2midi was tested with",
                self.url,
                release[:20],
                VERSION,
            )
        try:
            self._email = str(
                as_object(self._http.call("GET", "/api/current-user/whoami"), "you").get("email")
            )
        except PermanentError as error:
            raise UsageError(f"{nothing} ({error})") from error

    def whoami(self) -> str:
        """E-mail address of the token's owner."""
        return self._email

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def find_project(self, title: str) -> Project | None:
        """The project of a title; the oldest if there are several."""
        return find_project(self._http, title)

    def project(
        self,
        title: str,
        config: str,
        *,
        description: str = "",
        storage: Path | None = None,
        people: int = 1,
    ) -> Project:
        """The project of a title, made if it is not there.

        Parameters
        ----------
        title : str
        config : str
            Its labelling configuration, XML. One that differs is replaced.
        description : str
            For a project that is made.
        storage : Path, optional
            Folder on the server's machine that holds the media: it is connected, without importing its files. Must lie
            below the server's root of local files.
        people : int, optional
            How many people are given each task in turn ("Label All Tasks"), which none of them sees the others' answers
            to. Raised where a project has fewer, never lowered.

        Raises
        ------
        UsageError
            If people have worked in the project and the configuration lacks what they used.
        """
        project = self.find_project(title) or make_project(self._http, title, config, description)
        told = as_object(self._http.call("GET", f"/api/projects/{project.id}/"), "a project")
        old = told.get("label_config")
        if not isinstance(old, str) or not same(old, config):
            self._replace_config(project, old if isinstance(old, str) else "", config)
        show_predictions(self._http, project.id)
        given = told.get("maximum_annotations")
        if people > (given if isinstance(given, int) else 1):
            self._http.call("PATCH", f"/api/projects/{project.id}/", body={"maximum_annotations": people})
        if storage is not None:
            connect_storage(self._http, project.id, storage)
        return project

    def _replace_config(self, project: Project, old: str, new: str) -> None:
        lost = broken_by(old, new)
        if lost and any(task.touched for task in self.tasks(project.id, with_annotations=False)):
            raise UsageError(
                f"the project {project.title!r} on {self.url} holds people's work, and its new configuration lacks "
                f"{', '.join(lost[:5])}: pull that work and use another title"
            )
        self._http.call("PATCH", f"/api/projects/{project.id}/", body={"label_config": new})

    def tasks(self, project_id: int, *, with_annotations: bool = True) -> Iterator[Task]:
        """All tasks of a project, page by page.

        What is odd about one is told in its ``problem``; nothing odd about one hides another.

        Parameters
        ----------
        project_id : int
        with_annotations : bool
            Whether to read what people left; without, only whether they left anything is known.
        """
        return listed(self._http, project_id, with_annotations=with_annotations)

    def create(self, project_id: int, tasks: Sequence[NewTask]) -> int:
        """Make those tasks that the project lacks, by their key, and remove copies that nobody worked on.

        Returns
        -------
        int
            How many were made.

        Raises
        ------
        ValueError
            If two of ``tasks`` have the same key, or one holds what is no JSON.
        """
        return create(self._http, project_id, tasks)

    def remove_copies(self, project_id: int) -> None:
        """Of tasks with the same key leave those that people worked on, or else the oldest."""
        remove_copies(self._http, project_id)

    def renew(
        self,
        task: Task,
        data: Mapping[str, Any],
        predictions: Sequence[Mapping[str, Any]],
        model_version: str,
        score: float | None = None,
    ) -> None:
        """Replace what was sent in a task that nobody has worked on. Killed half-way, doing it again completes it.

        Raises
        ------
        HumanWork
            If somebody has: then nothing is changed.
        """
        renew(self._http, task, NewTask(data, predictions, model_version, score))

    def remove_untouched(self, tasks: Iterable[Task]) -> None:
        """Delete those of some tasks that are still there and that nobody has worked on."""
        remove_untouched(self._http, tasks)

    def begun(self, tasks: Iterable[Task]) -> bool:
        """Whether somebody has left something in one of the tasks by now."""
        return any((now := task_now(self._http, task.id)) is not None and now.touched for task in tasks)

    def delete(self, task_ids: Iterable[int]) -> None:
        """Delete tasks with all that people left in them; those that are gone are gone."""
        for task_id in task_ids:
            remove(self._http, f"/api/tasks/{task_id}/")

    def delete_project(self, project_id: int) -> None:
        """Delete a project with all that people left in it."""
        remove(self._http, f"/api/projects/{project_id}/")

    def people(self) -> dict[int, str]:
        """E-mail addresses of all who can log in, by user id."""
        return {
            each["id"]: each["email"]
            for each in as_objects(self._http.call("GET", "/api/users"))
            if isinstance(each.get("id"), int) and isinstance(each.get("email"), str)
        }

    def drafts(self, task_id: int) -> tuple[Draft, ...]:
        """What anybody has left in a task without submitting it, newest first."""
        return newest_first(self._http.call("GET", f"/api/tasks/{task_id}/drafts"))

    def invite_url(self) -> str:
        """Where new annotators sign up; whoever knows it can."""
        path = as_object(self._http.call("GET", "/api/invite"), "an invitation").get("invite_url")
        if not isinstance(path, str) or not path.startswith("/"):
            raise PermanentError(f"{self.url} gives no link to invite people with")
        return self.url + path


def _numbers(version: str) -> list[int]:
    return [int(part) if part.isdigit() else 0 for part in version.split(".")[:3]]
