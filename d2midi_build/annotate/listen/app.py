"""The Listen page's server.

Label Studio alone decides who may listen: every request is let in by the browser's cookie for the same host, which
`Source.draft` shows to Label Studio. That a browser was let in to a task is remembered for a while, since a page asks
for a dozen sounds at once. Nothing is written, and nothing but the page's own files is sent to anybody else.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from d2midi_build.annotate.layering import Row
from d2midi_build.annotate.listen.score import Score, described, score
from d2midi_build.annotate.listen.sound import SPEEDS, Balance, Sound, Sounds, balance, digest
from d2midi_build.annotate.listen.source import Draft, Heard, NotLoggedIn, Source, UnknownTask
from d2midi_build.digests import sha256_data
from d2midi_build.errors import D2midiError, PermanentError, TransientError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")

GAIN_HEADER: Final = "d2midi-gain"
"""Header that says what a sound's samples have to be multiplied by."""

_STATIC: Final = Path(__file__).resolve().parent / "static"
_LET_IN_S: Final = 300.0
_MOST_VISITS: Final = 256
_MOST_SOUNDS: Final = 200
"""Digests that a visit remembers: some dozens of drafts."""

_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

_log = logging.getLogger(__name__)


@dataclass
class _Visit:
    """A browser that was let in to a task."""

    heard: Heard
    until: float
    sounds: OrderedDict[str, tuple[Row, ...]] = field(default_factory=OrderedDict)

    def remember(self, sounds: Mapping[str, tuple[Row, ...]]) -> None:
        for name, rows in sounds.items():
            self.sounds[name] = rows
            self.sounds.move_to_end(name)
        while len(self.sounds) > _MOST_SOUNDS:
            self.sounds.popitem(last=False)


def make(source: Source, *, hosts: Collection[str] = LOOPBACK, let_in_s: float = _LET_IN_S) -> Starlette:
    """The application: the page at ``/task/TASK_KEY`` and all it asks for; ``?id=`` may add Label Studio's id.

    Parameters
    ----------
    source : Source
    hosts : collection of str, optional
        Names by which a browser may ask, without port; anything else gets 400, lest a foreign site that points a name
        at this machine reads what is here. Default is the loopback's.
    let_in_s : float, optional
        For how many seconds a browser that was let in may fetch sounds and video before Label Studio is asked again.
        Drafts ask always.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    pages = _Pages(source, let_in_s)
    task = "/task/{key}"
    return Starlette(
        routes=[
            Route(task, pages.page),
            Route(f"{task}/draft", pages.draft),
            Route(f"{task}/video", pages.video),
            Route(f"{task}/original/{{speed}}.flac", pages.original),
            Route(f"{task}/notes/{{digest}}/{{speed}}.flac", pages.notes),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ],
        middleware=[Middleware(_Guarded, hosts=hosts)],
        exception_handlers={D2midiError: _refused, Exception: _failed},
    )


class _Pages:
    """What answers requests; every method runs in a thread of its own."""

    def __init__(self, source: Source, let_in_s: float) -> None:
        self._source = source
        self._let_in_s = let_in_s
        self._sounds = Sounds()
        self._visits: OrderedDict[tuple[str, int, str], _Visit] = OrderedDict()
        self._balances: OrderedDict[tuple[Any, ...], Balance] = OrderedDict()
        self._lock = Lock()

    def page(self, request: Request) -> Response:
        from starlette.responses import FileResponse

        return FileResponse(_STATIC / "listen.html", headers={"cache-control": "no-cache"})

    def draft(self, request: Request) -> Response:
        from starlette.responses import JSONResponse

        visit, draft, found = self._ask(request)
        data = described(found, draft, visit.heard)
        loud = Balance(1.0, 1.0)
        data["original"] = True
        try:
            loud = self._balance(visit.heard, draft)
        except PermanentError as error:
            data["original"] = False
            data["problems"].append(f"The recording is missing: {error}")
        data["loudness"] = {"notes": loud.notes, "all": loud.headroom}
        return JSONResponse(data, headers={"cache-control": "no-store"})

    def video(self, request: Request) -> Response:
        from starlette.responses import FileResponse

        file = self._visit(request).heard.video
        if not file.is_file():
            raise UnknownTask(f"There is no video at {file}; `d2midi build` puts it back.")
        return FileResponse(file, media_type="video/mp4", headers={"cache-control": "private, no-cache"})

    def original(self, request: Request) -> Response:
        visit = self._visit(request)
        heard = visit.heard
        sound = self._sounds.original(heard.original, heard.original_start_s, heard.shown_s, _speed(request))
        return _flac(sound)

    def notes(self, request: Request) -> Response:
        visit = self._visit(request)
        rows = visit.sounds.get(request.path_params["digest"])
        if rows is None:
            raise UnknownTask("This sound is of a draft that has gone; reload the draft.")
        return _flac(self._sounds.notes(rows, visit.heard.shown_s, _speed(request)))

    def _balance(self, heard: Heard, draft: Draft) -> Balance:
        """Of what was sent, so that nothing gets louder because something else was deleted."""
        rows = [*(draft.sent or draft.rows).values(), *heard.context]
        key = (str(heard.original), heard.original_start_s, digest(rows, heard.shown_s))
        found = self._balances.get(key)
        if found is None:
            found = balance(rows, heard.original, heard.original_start_s, heard.shown_s)
            with self._lock:
                self._balances[key] = found
                while len(self._balances) > _MOST_VISITS:
                    self._balances.popitem(last=False)
        return found

    def _visit(self, request: Request) -> _Visit:
        """The visit of a browser, which Label Studio is asked about unless it was lately."""
        visit = self._visits.get(_visitor(request))
        if visit is not None and time.monotonic() < visit.until:
            return visit
        return self._ask(request)[0]

    def _ask(self, request: Request) -> tuple[_Visit, Draft, Score]:
        who = _visitor(request)
        key, ls_task_id, _ = who
        try:
            draft = self._source.draft(key, ls_task_id, request.headers.get("cookie", ""))
        except D2midiError:
            with self._lock:
                self._visits.pop(who, None)
            raise
        heard = self._source.sheet(key)
        found = score(draft, heard)
        until = time.monotonic() + self._let_in_s
        with self._lock:
            visit = self._visits.setdefault(who, _Visit(heard, until))
            visit.heard, visit.until = heard, until
            visit.remember({digest(rows, heard.shown_s): rows for rows in found.sounds.values()})
            self._visits.move_to_end(who)
            while len(self._visits) > _MOST_VISITS:
                self._visits.popitem(last=False)
        return visit, draft, found


class _Guarded:
    """Refuses requests by foreign names, and tells browsers what this page needs and who may embed it: nobody."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.datastructures import Headers, MutableHeaders
        from starlette.responses import PlainTextResponse

        if scope["type"] != "http":  # starting and stopping: there are no web sockets here
            await self._app(scope, receive, send)
            return
        host = _host(Headers(scope=scope).get("host", ""))
        if host not in self._hosts:
            names = ", ".join(sorted(self._hosts))
            await PlainTextResponse(f"No such host here; use one of: {names}.", 400)(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, answer)


def _host(header: str) -> str:
    """The name in a ``Host`` header, without port and brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def _visitor(request: Request) -> tuple[str, int, str]:
    """Task, Label Studio's id of it, and a digest of the cookie, which itself is kept nowhere."""
    ls_task_id = request.query_params.get("id") or "0"
    if not (ls_task_id.isascii() and ls_task_id.isdigit()) or len(ls_task_id) > 18:
        raise UnknownTask(f"{ls_task_id!r} is no task's id; open this page from the task in Label Studio.")
    return request.path_params["key"], int(ls_task_id), sha256_data(request.headers.get("cookie", ""))


def _speed(request: Request) -> float:
    said = request.path_params["speed"]
    found = next((speed for speed in SPEEDS if f"{speed:g}" == said), None)
    if found is None:
        raise UnknownTask(
            f"There is no speed {said!r}; there are {', '.join(f'{each:g}' for each in SPEEDS)}."
        )
    return found


def _flac(sound: Sound) -> Response:
    from starlette.responses import Response

    headers = {"cache-control": "no-store", GAIN_HEADER: repr(sound.gain)}
    return Response(sound.flac, media_type="audio/flac", headers=headers)


def _refused(request: Request, error: Exception) -> Response:
    """An error that somebody can do something about."""
    kind, status, more = "failed", 500, {}
    if isinstance(error, NotLoggedIn):
        kind, status, more = "login", 401, {"login": error.login}
    elif isinstance(error, UnknownTask):
        kind, status = "unknown", 404
    elif isinstance(error, TransientError):
        kind, status = "later", 503
    return _told(kind, status, str(error), more)


def _failed(request: Request, error: Exception) -> Response:
    _log.error("listening to %s failed", request.url.path, exc_info=error)
    return _told("failed", 500, "The server failed; its log tells why.", {})


def _told(kind: str, status: int, message: str, more: dict[str, str]) -> Response:
    from starlette.responses import JSONResponse

    data = {"kind": kind, "message": message, **more}
    return JSONResponse(data, status, headers={"cache-control": "no-store"})
