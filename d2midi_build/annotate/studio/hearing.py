"""The Listen page's tasks and drafts: from Label Studio, asked as the annotator who listens, and the workspace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from d2midi_build import clock
from d2midi_build.annotate.clips import ClipNotes, read_clip
from d2midi_build.annotate.layering import Row
from d2midi_build.annotate.listen.app import LOOPBACK, make
from d2midi_build.annotate.listen.serving import serving
from d2midi_build.annotate.listen.source import Draft, Heard, NotLoggedIn, UnknownTask
from d2midi_build.annotate.sheets import Sheet, clip_of_sheet
from d2midi_build.annotate.studio import drafts
from d2midi_build.annotate.studio.addresses import task_of
from d2midi_build.annotate.studio.blind import PART
from d2midi_build.annotate.studio.preparing import kept_task
from d2midi_build.annotate.studio.regions import RegionsError, left, readable
from d2midi_build.annotate.studio.sent import SentTask
from d2midi_build.annotate.studio.tasks import Task, read_task
from d2midi_build.annotate.studio.transport import NotFound, Patience, Transport
from d2midi_build.errors import UsageError
from d2midi_build.workspace import Workspace

PORT: Final = 8081

_PATIENCE_S: Final = 5.0
_CLIPS: Final = 16


class Drafts:
    """What the Listen page plays; a `listen.source.Source`.

    Parameters
    ----------
    workspace : Workspace
        The one that pushed.
    url, login : str
        Label Studio's address from here, and the page at which annotators log in.
    """

    def __init__(self, workspace: Workspace, url: str, login: str) -> None:
        self._workspace = workspace
        self._url = url
        self._login = login
        self._sent: dict[str, SentTask] = {}
        self._clip = lru_cache(_CLIPS)(lambda clip_id: read_clip(workspace, clip_id))

    def draft(self, task_key: str, ls_task_id: int, cookie: str) -> Draft:
        """See `Source.draft`. Without an id the task is looked up by its key."""
        try:
            task = self._task(task_key, ls_task_id, cookie)
            found = drafts.draft_of(self._url, cookie, task.id)
        except drafts.NotLoggedIn as error:
            raise NotLoggedIn(self._login) from error
        sent = self._kept(task, found.result)
        self._sent[task_key] = sent
        rows, problems = _read(found.result, sent)
        touched = {note.number for note in sent.notes if note.region in _ids(found.result)}
        unread = touched - rows.keys() if problems else ()
        return Draft(rows, sent.rows, problems, found.saved_at, unread)

    def sheet(self, task_key: str) -> Heard:
        """See `Source.sheet`."""
        sent = self._sent.get(task_key)
        if sent is None:
            raise UnknownTask(f"There is no task {task_key}.")
        clip = self._clip(clip_of_sheet(sent.sheet_id)[0])
        media = self._workspace.root / "clips" / clip.clip_id
        return Heard(
            sheet=_sheet(sent, clip),
            title=f"{sent.span_s[0]:g}-{sent.span_s[1]:g} s of {clip.clip_id}",
            video=media / "video.mp4",
            original=media / "original.flac",
            context=sent.context,
            beats_s=tuple(clip.beats_s.tolist()),
            positions=tuple(clip.positions.tolist()),
            note="" if sent.part in ("all", PART) else f"part: {sent.part}",
        )

    def _task(self, name: str, number: int, cookie: str) -> Task:
        """The task as Label Studio shows it to whoever has the cookie."""
        session = drafts.session_of(cookie)
        if not session:
            raise NotLoggedIn(self._login)
        with closing(_browser(self._url, session)) as http:
            try:
                http.call("GET", "/api/current-user/whoami")
            except UsageError as error:
                raise NotLoggedIn(self._login) from error
            try:
                project_id, key = task_of(name)
                listed = _listed(http, project_id, key)
            except (ValueError, NotFound) as error:
                raise UnknownTask(f"Label Studio has no such task: {error}") from error
            found = [task for task in listed if task.key == key and number in (0, task.id)]
        if not found:
            raise UnknownTask(f"Label Studio has no task {key}; open this page from the task.")
        return min(found, key=lambda task: task.id)

    def _kept(self, task: Task, result: object) -> SentTask:
        try:
            return kept_task(self._workspace, task.key, str(task.data.get("version")), result)
        except UsageError as error:
            raise UnknownTask(f"This workspace does not know task {task.key}: {error}") from error


def _browser(url: str, session: str) -> Transport:
    """Of a browser's cookies Label Studio gets its own and no other."""
    return Transport(url, cookie=f"{drafts.SESSION_COOKIE}={session}", patience=Patience(_PATIENCE_S))


def _listed(http: Transport, project_id: int, key: str) -> list[Task]:
    """Tasks of a project whose key is this one."""
    one = {"filter": "filter:tasks:data.task_key", "operator": "equal", "value": key, "type": "String"}
    query = json.dumps({"filters": {"conjunction": "and", "items": [one]}})
    params: dict[str, str | int] = {
        "project": project_id,
        "query": query,
        "fields": "all",
        "resolve_uri": "false",
        "page_size": 10,
    }
    told = http.call("GET", "/api/tasks/", params=params)
    tasks = told.get("tasks") if isinstance(told, dict) else None
    return [read_task(each, False) for each in tasks] if isinstance(tasks, list) else []


def _read(result: object, sent: SentTask) -> tuple[dict[int, Row], tuple[str, ...]]:
    """The notes of a draft and what is wrong with it; of a draft that cannot be read whole, all notes that can."""
    if result is None:
        return {}, ()
    try:
        return left(result, sent).rows, ()
    except RegionsError as error:
        return readable(result, sent), error.problems


def _ids(result: object) -> set[str]:
    items = result if isinstance(result, list) else []
    return {str(item.get("id")) for item in items if isinstance(item, dict)}


def _sheet(sent: SentTask, clip: ClipNotes) -> Sheet:
    """The sheet of a task, or the excerpt."""
    first, last = (clock.whole_frames(each) for each in sent.span_s)
    return Sheet(clip.clip_id, clip_of_sheet(sent.sheet_id)[1], first, last, clip.n_frames)


@contextmanager
def listening(
    workspace: Workspace,
    url: str,
    public_url: str,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    listen_url: str = "",
) -> Iterator[str]:
    """The Listen page beside a Label Studio, for as long as the context lasts.

    Parameters
    ----------
    workspace : Workspace
        The one that pushed.
    url, public_url : str
        Label Studio's address from here, and as annotators reach it. The page must be reached under the same host name:
        browsers give it the session of that host.
    host : str, optional
        Address to listen at.
    port : int, optional
    listen_url : str, optional
        How annotators reach the page, if not at this port of Label Studio's host.

    Yields
    ------
    str
        Its address, as annotators reach it.

    Raises
    ------
    UsageError
        If the port cannot be had.
    """
    name = urlsplit(public_url).hostname or host
    where = listen_url.rstrip("/") or f"http://{f'[{name}]' if ':' in name else name}:{port}"
    hosts = {*LOOPBACK, name, urlsplit(where).hostname or name}
    with serving(make(Drafts(workspace, url, public_url), hosts=hosts), host, port):
        yield where
