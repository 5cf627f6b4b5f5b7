"""A small web server that answers as Label Studio 1.23.2 does, and breaks when told to."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

TOKEN = "0123456789abcdef0123456789abcdef01234567"
PERSONAL = "eyJh.eyJl.c2ln"
EMAIL = "ada@example.org"


@dataclass
class Fault:
    """What goes wrong with requests whose line begins so, after the first ``skip`` of them.

    ``how`` is a status to answer with, ``before`` or ``after`` to break the connection without an answer, before or
    after the request is done, or text to answer instead of JSON.
    """

    line: str
    how: int | str
    times: int = 1
    words: str = "try later"
    headers: dict[str, str] = field(default_factory=dict)
    then: Callable[[], None] | None = None
    skip: int = 0

    def strikes(self, line: str) -> bool:
        """Whether it breaks this request; counts it."""
        if not line.startswith(self.line) or self.times == 0:
            return False
        self.skip -= 1
        if self.skip >= 0:
            return False
        self.times -= 1
        return True


@dataclass
class Stub:
    """The server's state, open to tests."""

    url: str = ""
    token: str = TOKEN
    release: object = "1.23.2"
    root: str = "/media"
    access: list[str] = field(default_factory=list)
    sessions: dict[str, str] = field(default_factory=dict)
    projects: dict[int, dict[str, Any]] = field(default_factory=dict)
    tasks: dict[int, dict[str, Any]] = field(default_factory=dict)
    predictions: dict[int, dict[str, Any]] = field(default_factory=dict)
    drafts: dict[int, dict[str, Any]] = field(default_factory=dict)
    storages: list[dict[str, Any]] = field(default_factory=list)
    users: list[Any] = field(default_factory=lambda: [{"id": 1, "email": EMAIL}])
    faults: list[Fault] = field(default_factory=list)
    before_answer: dict[str, Callable[[], None]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    loses_predictions: bool = False
    odd_tasks: list[Any] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: count(1))
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def add_task(self, project: int, key: str, **more: Any) -> int:
        """A task that is there."""
        number = next(self._ids)
        self.tasks[number] = {
            "id": number,
            "project": project,
            "data": {"task_key": key},
            "annotations": [],
        } | more
        return number

    def add_prediction(self, task: int, version: str, result: list[Any] | None = None) -> int:
        """A prediction that is there."""
        number = next(self._ids)
        self.predictions[number] = {
            "id": number,
            "task": task,
            "model_version": version,
            "result": result or [],
        }
        return number

    def keys(self) -> list[str]:
        """Keys of all tasks, in order of their ids."""
        return [task["data"]["task_key"] for _, task in sorted(self.tasks.items())]

    def count_seen(self, line: str) -> int:
        """How many requests began so."""
        return sum(each.startswith(line) for each in self.seen)

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """Do a request."""
        with self._lock:
            for pattern, do in _ROUTES:
                verb, _, rest = pattern.partition(" ")
                if verb == method and (match := re.fullmatch(rest, path)):
                    return do(self, [int(each) for each in match.groups()], query, body)
        return 404, {"detail": "nothing here"}

    def task_data(self, task: dict[str, Any]) -> dict[str, Any]:
        versions = [each["model_version"] for each in self.predictions.values() if each["task"] == task["id"]]
        counts = [bool(each.get("was_cancelled")) for each in task["annotations"]]
        return {
            "id": task["id"],
            "data": task["data"],
            "meta": task.get("meta", {}),
            "annotations": task["annotations"],
            "draft_exists": any(each["task"] == task["id"] for each in self.drafts.values()),
            "total_annotations": counts.count(False),
            "cancelled_annotations": counts.count(True),
            "predictions_model_versions": ",".join(versions),
        }


def _version(stub: Stub, _ids: list[int], _query: dict[str, str], _body: Any) -> tuple[int, Any]:
    return 200, {"release": stub.release}


def _list_projects(stub: Stub, _ids: list[int], query: dict[str, str], _body: Any) -> tuple[int, Any]:
    wanted = query.get("title", "").lower()
    found = [
        {"id": number, "title": each["title"]}
        for number, each in stub.projects.items()
        if wanted in each["title"].lower()
    ]
    return 200, {"count": len(found), "next": None, "results": found}


def _new_project(stub: Stub, _ids: list[int], _query: dict[str, str], body: Any) -> tuple[int, Any]:
    number = next(stub._ids)
    stub.projects[number] = dict(body)
    return 201, {"id": number}


def _project(stub: Stub, ids: list[int], _query: dict[str, str], _body: Any) -> tuple[int, Any]:
    found = stub.projects.get(ids[0])
    if found is None:
        return 404, {"detail": "No Project matches the given query."}
    mine = [number for number, task in stub.tasks.items() if task["project"] == ids[0]]
    n_predictions = sum(each["task"] in mine for each in stub.predictions.values())
    return 200, {"show_collab_predictions": True} | found | {
        "id": ids[0],
        "total_predictions_number": n_predictions,
    }


def _patch_project(stub: Stub, ids: list[int], _query: dict[str, str], body: Any) -> tuple[int, Any]:
    stub.projects[ids[0]].update(body)
    return 200, stub.projects[ids[0]]


def _drop_project(stub: Stub, ids: list[int], _query: dict[str, str], _body: Any) -> tuple[int, Any]:
    return (204, None) if stub.projects.pop(ids[0], None) else (404, {"detail": "gone"})


def _import(stub: Stub, ids: list[int], _query: dict[str, str], body: Any) -> tuple[int, Any]:
    for each in body:
        number = stub.add_task(ids[0], "", data=each["data"], meta=each.get("meta", {}))
        for prediction in [] if stub.loses_predictions else each["predictions"]:
            project = stub.projects[ids[0]]
            project["model_version"] = project.get("model_version") or prediction["model_version"]
            stub.add_prediction(number, prediction["model_version"], prediction["result"])
    return 201, {"task_count": len(body)}


def _list_tasks(stub: Stub, _ids: list[int], query: dict[str, str], _body: Any) -> tuple[int, Any]:
    project, page, size = (int(query[name]) for name in ("project", "page", "page_size"))
    if project not in stub.projects:
        return 404, {"detail": "No Project matches the given query."}
    found = [stub.task_data(each) for _, each in sorted(stub.tasks.items()) if each["project"] == project]
    found = [*stub.odd_tasks, *found]
    shown = found[(page - 1) * size : page * size]
    if not shown and page > 1:
        return 404, {"detail": "Invalid page."}
    if "annotations" not in query["include"].split(","):
        shown = [
            {k: v for k, v in each.items() if k != "annotations"} if isinstance(each, dict) else each
            for each in shown
        ]
    return 200, {"tasks": shown, "total": len(found)}


def _task(stub: Stub, ids: list[int], _query: dict[str, str], _body: Any) -> tuple[int, Any]:
    found = stub.tasks.get(ids[0])
    if found is None:
        return 404, {"detail": "No Task matches the given query."}
    mine = [each for each in stub.predictions.values() if each["task"] == ids[0]]
    return 200, stub.task_data(found) | {"predictions": mine}


def _patch_task(stub: Stub, ids: list[int], _query: dict[str, str], body: Any) -> tuple[int, Any]:
    if ids[0] not in stub.tasks:
        return 404, {"detail": "No Task matches the given query."}
    stub.tasks[ids[0]].update(body)
    return 200, stub.tasks[ids[0]]


def _drop_task(stub: Stub, ids: list[int], _query: dict[str, str], _body: Any) -> tuple[int, Any]:
    for number in [number for number, each in stub.predictions.items() if each["task"] == ids[0]]:
        del stub.predictions[number]
    return (
        (204, None) if stub.tasks.pop(ids[0], None) else (404, {"detail": "No Task matches the given query."})
    )


def _task_drafts(stub: Stub, ids: list[int], _query: dict[str, str], _body: Any) -> tuple[int, Any]:
    return 200, [each for each in stub.drafts.values() if each["task"] == ids[0]]


def _list_predictions(stub: Stub, _ids: list[int], query: dict[str, str], _body: Any) -> tuple[int, Any]:
    return 200, [each for each in stub.predictions.values() if each["task"] == int(query["task"])]


def _new_prediction(stub: Stub, _ids: list[int], _query: dict[str, str], body: Any) -> tuple[int, Any]:
    return 201, {"id": stub.add_prediction(body["task"], body["model_version"], body["result"])}


def _drop_prediction(stub: Stub, ids: list[int], _query: dict[str, str], _body: Any) -> tuple[int, Any]:
    return (204, None) if stub.predictions.pop(ids[0], None) else (404, {"detail": "gone"})


def _list_storages(stub: Stub, _ids: list[int], query: dict[str, str], _body: Any) -> tuple[int, Any]:
    return 200, [each for each in stub.storages if each["project"] == int(query["project"])]


def _new_storage(stub: Stub, _ids: list[int], _query: dict[str, str], body: Any) -> tuple[int, Any]:
    stub.storages.append(body)
    return 201, body


def _users(stub: Stub, _ids: list[int], _query: dict[str, str], _body: Any) -> tuple[int, Any]:
    return 200, stub.users


def _invite(_stub: Stub, _ids: list[int], _query: dict[str, str], _body: Any) -> tuple[int, Any]:
    return 200, {"invite_url": "/user/signup/?token=abc"}


_ROUTES: list[tuple[str, Callable[..., tuple[int, Any]]]] = [
    ("GET /api/version", _version),
    ("GET /api/projects/", _list_projects),
    ("POST /api/projects/", _new_project),
    (r"GET /api/projects/(\d+)/", _project),
    (r"PATCH /api/projects/(\d+)/", _patch_project),
    (r"DELETE /api/projects/(\d+)/", _drop_project),
    (r"POST /api/projects/(\d+)/import", _import),
    ("GET /api/tasks/", _list_tasks),
    (r"GET /api/tasks/(\d+)/", _task),
    (r"PATCH /api/tasks/(\d+)/", _patch_task),
    (r"DELETE /api/tasks/(\d+)/", _drop_task),
    (r"GET /api/tasks/(\d+)/drafts", _task_drafts),
    ("GET /api/predictions/", _list_predictions),
    ("POST /api/predictions/", _new_prediction),
    (r"DELETE /api/predictions/(\d+)/", _drop_prediction),
    ("GET /api/storages/localfiles/", _list_storages),
    ("POST /api/storages/localfiles/", _new_storage),
    ("GET /api/users", _users),
    ("GET /api/invite", _invite),
]


class _Handler(BaseHTTPRequestHandler):
    stub: ClassVar[Stub]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_args: object) -> None:
        """Say nothing."""

    def _do(self) -> None:
        stub = self.stub
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        line = f"{self.command} {parts.path}"
        with stub._lock:
            stub.seen.append(line)
            stub.headers.append(dict(self.headers))
            fault = next(
                (each for each in stub.faults if line.startswith(each.line) and each.times > 0), None
            )
            if fault:
                fault.times -= 1
        if fault and fault.how == "before":
            return self._break(fault)
        if fault and fault.how != "after":
            words = {"detail": fault.words} if isinstance(fault.how, int) else None
            status = fault.how if isinstance(fault.how, int) else 200
            return self._send(status, json.dumps(words) if words else str(fault.how), fault)
        if meanwhile := stub.before_answer.get(line):
            meanwhile()
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status, answer = self._allowed(line, json.loads(body) if body else None) or stub.answer(
            self.command, parts.path, query, json.loads(body) if body else None
        )
        if fault:
            return self._break(fault)
        return self._send(status, "" if answer is None else json.dumps(answer), None)

    def _allowed(self, line: str, body: Any) -> tuple[int, Any] | None:
        """What is answered before anything is done: a login that fails, or that is all that was asked for."""
        stub = self.stub
        if line == "POST /api/token/refresh/":
            if body == {"refresh": PERSONAL}:
                stub.access.append(f"access.{len(stub.access)}.x")
                return 200, {"access": stub.access[-1]}
            return 401, {"detail": "Token is invalid"}
        said = self.headers.get("Authorization", "")
        session = (self.headers.get("Cookie") or "").removeprefix("sessionid=")
        email = stub.sessions.get(session, EMAIL)
        good = said == f"Token {stub.token}" or said in {f"Bearer {each}" for each in stub.access[-1:]}
        if line != "GET /api/version" and not good and session not in stub.sessions:
            return 401, {"detail": "Invalid token."}
        if line == "GET /api/current-user/whoami":
            return 200, {"id": 1 if email == EMAIL else 2, "email": email}
        return None

    do_GET = do_POST = do_PATCH = do_DELETE = _do

    def _break(self, fault: Fault) -> None:
        """A reset, not an orderly end."""
        if fault.then:
            fault.then()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _send(self, status: int, text: str, fault: Fault | None) -> None:
        if fault and fault.then:
            fault.then()
        data = text.encode()
        self.send_response(status)
        for name, value in (fault.headers if fault else {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.open: list[socket.socket] = []

    def get_request(self) -> tuple[socket.socket, Any]:
        """Remember the connection, which clients keep open."""
        connection, address = super().get_request()
        self.open.append(connection)
        return connection, address

    def handle_error(self, *_args: object) -> None:
        """Connections are meant to break."""


class Running:
    """A stub that can be stopped and started again at the same place."""

    def __init__(self, stub: Stub, port: int = 0) -> None:
        self.stub = stub
        self._port = port
        self._server: _Server | None = None

    def start(self) -> None:
        """Listen."""
        handler = type("Handler", (_Handler,), {"stub": self.stub})
        self._server = _Server(("127.0.0.1", self._port), handler)
        self._port = self._server.server_address[1]
        self.stub.url = f"http://127.0.0.1:{self._port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections."""
        if self._server:
            self._server.shutdown()
            for connection in self._server.open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._server.server_close()
            self._server = None


@contextmanager
def running(stub: Stub | None = None) -> Iterator[Running]:
    """A stub that listens."""
    it = Running(stub or Stub())
    it.start()
    try:
        yield it
    finally:
        it.stop()
