"""What Label Studio tells of a task, read with care: anybody who can log in may have written it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeGuard

from d2midi_build.annotate.studio.transport import NotFound, Transport
from d2midi_build.errors import PermanentError

VERSION_KEY: Final = "model_version"
"""What in a task's ``meta`` says what its prediction was made with; empty while that is replaced."""

_LISTED: Final = (
    "id",
    "data",
    "meta",
    "draft_exists",
    "total_annotations",
    "cancelled_annotations",
    "predictions_model_versions",
)
"""Fields of a task to ask for."""

_LISTED_ANNOTATIONS: Final = (
    "annotations",
    "result",
    "completed_by",
    "updated_by",
    "created_at",
    "updated_at",
    "lead_time",
    "was_cancelled",
    "ground_truth",
)
"""And those of its annotations: the server applies one list to both."""


_PAGE: Final = 50


@dataclass(frozen=True)
class Task:
    """A task as Label Studio has it.

    Attributes
    ----------
    id : int
        0 where it has none.
    key : str
        ``task_key`` of its data; empty for tasks that others made.
    data : dict
    annotations : tuple of dict
        What people submitted or skipped, as it is: ``id`` and ``completed_by`` (user id) are whole numbers,
        ``updated_by`` is the user who saved it last, or None; ``updated_at`` is text, ``was_cancelled`` and
        ``ground_truth`` are true or false, ``lead_time`` is seconds or None; ``result`` may be anything. Empty where
        only whether there are any was asked for.
    n_annotations, n_drafts : int
        How many there are. Of drafts it is only known whether there is one: 0 or 1.
    versions : tuple of str
        What its prediction was made with (`NewTask.model_version`); of tasks that others made, the ``model_version`` of
        its predictions. Empty if it has none, or `Studio.renew` did not come to its end.
    problem : str
        What is odd about it; empty if nothing. Then ``annotations`` holds only those that could be read.
    """

    id: int
    key: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    annotations: tuple[dict[str, Any], ...] = ()
    n_annotations: int = 0
    n_drafts: int = 0
    versions: tuple[str, ...] = ()
    problem: str = ""

    @property
    def touched(self) -> bool:
        """Whether somebody has left something in it, or that cannot be told."""
        return bool(self.n_annotations or self.n_drafts or self.problem)


def listed(http: Transport, project_id: int, *, with_annotations: bool) -> Iterator[Task]:
    """All tasks of a project, page by page; see `Studio.tasks`.

    Raises
    ------
    NotFound
        If there is no such project.
    """
    page, seen = 1, set[int]()
    include = ",".join(_LISTED + _LISTED_ANNOTATIONS if with_annotations else _LISTED)
    params: dict[str, str | int] = {"project": project_id, "fields": "all", "resolve_uri": "false"}
    params |= {"include": include, "page_size": _PAGE}
    while True:
        try:
            answer = http.call("GET", "/api/tasks/", params=params | {"page": page})
        except NotFound:  # so it says past the last page, too
            if page == 1:
                raise
            return
        told = answer.get("tasks") if isinstance(answer, dict) else None
        if not isinstance(told, list):
            raise PermanentError(f"{http.url} lists no tasks of project {project_id}: is it another version?")
        read = [read_task(each, with_annotations) for each in told]
        fresh = {task.id: task for task in read if task.id not in seen}  # deletions meanwhile shift the pages
        yield from (task for task in read if task.id == 0)
        yield from (task for number, task in fresh.items() if number != 0)
        if not fresh:
            return
        seen |= set(fresh)
        page += 1


def task_now(http: Transport, task_id: int) -> Task | None:
    """A task as it is at this moment; None if it is gone."""
    try:
        return read_task(http.call("GET", f"/api/tasks/{task_id}/", params={"resolve_uri": "false"}), False)
    except NotFound:
        return None


def read_task(told: object, with_annotations: bool) -> Task:
    """A task from what the server tells of it.

    Parameters
    ----------
    told : object
        From JSON.
    with_annotations : bool
        Whether that must tell its annotations.
    """
    if not isinstance(told, dict):
        return Task(0, problem=f"a task is no object but {_shown(told)}")
    number = told.get("id")
    if not _is_whole(number) or number < 1:
        return Task(0, problem=f"a task's id is {_shown(number)}")
    problems = []
    data = told.get("data")
    if not isinstance(data, dict):
        problems.append(f"its data is {_shown(data)}")
        data = {}
    key = data.get("task_key", "")
    if not isinstance(key, str):
        problems.append(f"its task_key is {_shown(key)}")
        key = ""
    said = [told.get("total_annotations"), told.get("cancelled_annotations")]
    counts = [count for count in said if _is_whole(count)]
    if len(counts) < len(said):
        problems.append(f"its numbers of annotations are {_shown(said)}")
    annotations: tuple[dict[str, Any], ...] = ()
    if with_annotations:
        annotations, more = _read_annotations(told.get("annotations"))
        problems += more
    return Task(
        number,
        key,
        data,
        annotations,
        max(sum(counts), len(annotations)),
        int(told.get("draft_exists") is not False),
        _versions(told),
        "; ".join(problems),
    )


def _versions(told: dict[str, Any]) -> tuple[str, ...]:
    of_predictions, meta = told.get("predictions_model_versions"), told.get("meta")
    if not isinstance(of_predictions, str) or not of_predictions:
        return ()
    ours = meta.get(VERSION_KEY) if isinstance(meta, dict) else None
    return tuple(filter(None, [ours] if isinstance(ours, str) else of_predictions.split(",")))


def _read_annotations(told: object) -> tuple[tuple[dict[str, Any], ...], list[str]]:
    if not isinstance(told, list):
        return (), [f"its annotations are {_shown(told)}"]
    read, problems = [], []
    for each in told:
        if wrong := _wrong(each):
            problems.append(f"an annotation {wrong}")
        else:
            read.append(each)
    return tuple(read), problems


def _wrong(annotation: object) -> str:
    if not isinstance(annotation, dict):
        return f"is {_shown(annotation)}"
    for name in ("id", "completed_by"):
        if not _is_whole(annotation.get(name)):
            return f"has {name} {_shown(annotation.get(name))}"
    for name in ("was_cancelled", "ground_truth"):
        if not isinstance(annotation.get(name), bool):
            return f"{annotation['id']} has {name} {_shown(annotation.get(name))}"
    if not isinstance(annotation.get("updated_at"), str):
        return f"{annotation['id']} has updated_at {_shown(annotation.get('updated_at'))}"
    lead_time = annotation.get("lead_time")
    if lead_time is not None and (isinstance(lead_time, bool) or not isinstance(lead_time, int | float)):
        return f"{annotation['id']} has lead_time {_shown(lead_time)}"
    return ""


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _shown(value: object) -> str:
    return "missing" if value is None else ascii(value)[:60]
