"""Tasks of Label Studio as people leave them."""

from __future__ import annotations

from typing import Any

from d2midi_build.annotate.studio.tasks import Task

PEOPLE = {1: "ada@x.org", 2: "bob@x.org", 3: "cy@x.org"}


def choice(name: str, *values: str) -> dict[str, Any]:
    """An answered question."""
    return {"from_name": name, "to_name": "video", "type": "choices", "value": {"choices": list(values)}}


def number(name: str, value: object) -> dict[str, Any]:
    """A filled-in number."""
    return {"from_name": name, "to_name": "video", "type": "number", "value": {"number": value}}


def text(name: str, *lines: str) -> dict[str, Any]:
    """A filled-in text."""
    return {"from_name": name, "to_name": "video", "type": "textarea", "value": {"text": list(lines)}}


def annotation(user: int, result: object, minute: int = 0, number: int = 1, **more: Any) -> dict[str, Any]:
    """What somebody submitted at a minute past ten."""
    return {
        "id": number,
        "completed_by": user,
        "result": result,
        "updated_at": f"2026-11-26T10:{minute:02d}:00.500000Z",
        "was_cancelled": False,
        "ground_truth": False,
        "lead_time": 12.5,
    } | more


def task(key: str, *annotations: dict[str, Any], number: int = 7, problem: str = "") -> Task:
    """A task with these annotations."""
    return Task(number, key, {"task_key": key}, annotations, len(annotations), problem=problem)
