"""Tasks put into Label Studio: each once, whatever breaks on the way, and never over what people left in them.

Label Studio opens a task with a prediction in it only if that has the ``model_version`` which the project names;
otherwise whoever goes from task to task gets an empty picture (tried with 1.23.2: "Label All Tasks", not the list). So
all predictions have the same one, and what it is of is kept beside the task, in its ``meta``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from d2midi_build.annotate.studio.projects import as_object, as_objects, remove
from d2midi_build.annotate.studio.tasks import VERSION_KEY, Task, listed, task_now
from d2midi_build.annotate.studio.transport import Busy, NotFound, Transport
from d2midi_build.errors import PermanentError

MODEL: Final = "d2midi"
"""``model_version`` of all predictions."""

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
        What its prediction was made with; `Task.versions` says it again.
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
        if not self.predictions:
            return {"data": dict(self.data), "predictions": []}
        return {"data": dict(self.data), "meta": self.meta(), "predictions": [self.prediction()]}

    def meta(self) -> dict[str, Any]:
        """What is kept beside it."""
        return {VERSION_KEY: self.model_version}

    def prediction(self) -> dict[str, Any]:
        """Its prediction as Label Studio wants it."""
        told: dict[str, Any] = {"result": list(self.predictions), "model_version": MODEL}
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
    for new in tasks:
        _complete(http, _best(there[new.key]), new)
    if any(task.predictions for task in tasks):
        show_predictions(http, project_id)
    return n_made


def _complete(http: Transport, task: Task, new: NewTask) -> None:
    """Give a task its prediction if an import lost it.

    Where SQLite is locked Label Studio 1.23.2 tries the import again, by then without its predictions.
    """
    if new.predictions and not task.versions and not task.touched:
        with suppress(NotFound, HumanWork):
            renew(http, task, new)


def remove_copies(http: Transport, project_id: int) -> None:
    """Remove copies of tasks that nobody worked on; see `Studio.remove_copies`."""
    _remove_copies(http, list(_by_key(http, project_id).values()))


def renew(http: Transport, task: Task, new: NewTask) -> None:
    """Replace what was sent in a task; see `Studio.renew`."""
    now = task_now(http, task.id)
    if now is None or now.key != task.key:  # SQLite gives numbers of deleted tasks to new ones
        raise NotFound(f"task {task.id} ({task.key}) is not in {http.url} any more")
    if now.touched:
        raise HumanWork(f"task {task.id} ({task.key}) of {http.url} holds somebody's work: it stays as it is")
    path = f"/api/tasks/{task.id}/"
    http.call("PATCH", path, body={"data": dict(new.data), "meta": {VERSION_KEY: ""}})
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
    if new.predictions:
        http.call("PATCH", path, body={"meta": new.meta()})  # last: until then it is of no version


def show_predictions(http: Transport, project_id: int) -> None:
    """Let a project open its tasks with our predictions, whatever its settings were."""
    path = f"/api/projects/{project_id}/"
    told = as_object(http.call("GET", path), "a project")
    if told.get("total_predictions_number") == 0:
        return
    if told.get("model_version") != MODEL or told.get("show_collab_predictions") is not True:
        http.call("PATCH", path, body={"show_collab_predictions": True, "model_version": MODEL})


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


def _best(copies: Sequence[Task]) -> Task:
    """Of tasks with the same key one that people worked on, or else a whole one, the oldest: two pushes agree on it."""
    return min(copies, key=lambda each: (not each.touched, not each.versions, each.id))


def remove_untouched(http: Transport, tasks: Iterable[Task]) -> None:
    """Delete tasks that nobody has worked on until now; see `Studio.remove_untouched`."""
    for task in tasks:
        now = None if task.touched else task_now(http, task.id)
        # SQLite gives numbers of deleted tasks to new ones.
        if now is not None and now.key == task.key and not now.touched:
            remove(http, f"/api/tasks/{task.id}/")


def _remove_copies(http: Transport, groups: Sequence[list[Task]]) -> None:
    """Of tasks with the same key keep the best and those that people worked on."""
    for copies in groups:
        remove_untouched(http, [task for task in copies if task is not _best(copies)])


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
