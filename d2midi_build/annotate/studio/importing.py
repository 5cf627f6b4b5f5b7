"""Tasks put into Label Studio: each once, whatever breaks on the way, and never over what people left in them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from d2midi_build.annotate.studio.projects import as_object, as_objects, remove
from d2midi_build.annotate.studio.tasks import Task, listed, task_now
from d2midi_build.annotate.studio.transport import Busy, Transport
from d2midi_build.errors import PermanentError

_BATCH_TASKS: Final = 25
_BATCH_BYTES: Final = 8_000_000


class HumanWork(PermanentError):
    """Somebody has begun to work on what should have been replaced."""


@dataclass(frozen=True)
class NewTask:
    """A task to make.

    Attributes
    ----------
    data : mapping
        What its configuration reads, as JSON; ``task_key`` names it within its project.
    predictions : sequence of mapping
        Result items of its one prediction; empty: no prediction.
    model_version : str
        Of the prediction.
    score : float or None
        Of the prediction.
    """

    data: Mapping[str, Any]
    predictions: Sequence[Mapping[str, Any]] = ()
    model_version: str = ""
    score: float | None = None

    @property
    def key(self) -> str:
        """Its name."""
        return str(self.data["task_key"])

    def sent(self) -> dict[str, Any]:
        """As Label Studio imports it."""
        return {"data": dict(self.data), "predictions": [self.prediction()] if self.predictions else []}

    def prediction(self) -> dict[str, Any]:
        """Its prediction as Label Studio wants it."""
        told: dict[str, Any] = {"result": list(self.predictions), "model_version": self.model_version}
        return told if self.score is None else told | {"score": self.score}


def create(http: Transport, project_id: int, tasks: Sequence[NewTask]) -> int:
    """Make those tasks that a project lacks; see `Studio.create`."""
    keys = [task.key for task in tasks]
    if len(set(keys)) < len(keys) or "" in keys:
        raise ValueError("tasks without a key, or with the same")
    there = _by_key(http, project_id)
    missing = [task for task in tasks if task.key not in there]
    waiting, n_made = http.waiting(), len(missing)
    while missing:
        trouble = _import(http, project_id, missing)
        there = _by_key(http, project_id)
        left = [task for task in missing if task.key not in there]
        if left and trouble is None:
            raise PermanentError(f"{http.url} took the task {left[0].key!r}, but does not list it")
        if left and trouble is not None:
            waiting = http.waiting() if len(left) < len(missing) else waiting
            waiting.pause(trouble)
        missing = left
    _remove_copies(http, [there.get(key, []) for key in keys])
    return n_made


def renew(http: Transport, task: Task, new: NewTask) -> None:
    """Replace what was sent in a task; see `Studio.renew`."""
    now = task_now(http, task.id)
    if now is not None and now.touched:
        raise HumanWork(f"task {task.id} ({task.key}) of {http.url} holds somebody's work: it stays as it is")
    http.call("PATCH", f"/api/tasks/{task.id}/", body={"data": dict(new.data)})
    before = _predictions(http, task.id)
    keep: set[int] = set()
    if new.predictions:
        body = new.prediction() | {"task": task.id}
        made = as_object(http.call("POST", "/api/predictions/", body=body), "a new prediction").get("id")
        if not isinstance(made, int):
            raise PermanentError(f"{http.url} does not say which prediction it made for task {task.id}")
        keep = {made}
        before |= _predictions(http, task.id)  # a request that was sent twice may have made two
    for number in sorted(before - keep):
        remove(http, f"/api/predictions/{number}/")


def _predictions(http: Transport, task_id: int) -> set[int]:
    told = as_objects(http.call("GET", "/api/predictions/", params={"task": task_id}))
    return {each["id"] for each in told if isinstance(each.get("id"), int)}


def _import(http: Transport, project_id: int, tasks: Sequence[NewTask]) -> Busy | None:
    for batch in _batches(tasks):
        try:
            http.once("POST", f"/api/projects/{project_id}/import", body=batch)
        except Busy as trouble:
            return trouble
    return None


def _by_key(http: Transport, project_id: int) -> dict[str, list[Task]]:
    there = defaultdict[str, list[Task]](list)
    for task in listed(http, project_id, with_annotations=False):
        if task.key:
            there[task.key].append(task)
    return dict(there)


def _remove_copies(http: Transport, groups: Sequence[list[Task]]) -> None:
    """Of tasks with the same key keep those that people worked on, or else the oldest: two pushes agree on which."""
    for copies in groups:
        for task in sorted(copies, key=lambda each: (not each.touched, each.id))[1:]:
            now = None if task.touched else task_now(http, task.id)
            if now is not None and not now.touched:
                remove(http, f"/api/tasks/{task.id}/")


def _batches(tasks: Sequence[NewTask]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for task in tasks:
        sent = task.sent()
        more = len(json.dumps(sent, allow_nan=False))
        if batch and (len(batch) == _BATCH_TASKS or size + more > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(sent)
        size += more
    if batch:
        yield batch
