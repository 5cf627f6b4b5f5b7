"""What Label Studio would answer, built from JSON as it sends it, for tests that need no server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from d2midi_build.annotate.studio.client import Project, Task
from d2midi_build.annotate.studio.preparing import Prepared
from d2midi_build.annotate.studio.tasks import read_task

PEOPLE = {1: "ada@example.org", 2: "bob@example.org", 3: "rita@example.org"}


class Shelf:
    """Tasks with annotations; has what `pull` asks a `Studio` for."""

    url = "http://127.0.0.1:1"

    def __init__(self) -> None:
        self.told: list[Any] = []
        self._minutes = 0

    def add(self, prepared: Prepared) -> dict[str, Any]:
        """A task that nobody has touched."""
        told: dict[str, Any] = {
            "id": len(self.told) + 1,
            "data": {"task_key": prepared.task.key, "version": prepared.task.version},
            "total_annotations": 0,
            "cancelled_annotations": 0,
            "draft_exists": False,
            "predictions_model_versions": f"d2midi-{prepared.task.version}",
            "annotations": [],
        }
        self.told.append(told)
        return told

    def submit(
        self,
        told: dict[str, Any],
        items: list[dict[str, Any]],
        verdict: str = "Corrected",
        by: int = 1,
        **answers: str,
    ) -> dict[str, Any]:
        """Somebody submits a task, a minute after whatever was submitted last."""
        self._minutes += 1
        said = [_choice("verdict", verdict)] if verdict else []
        said += [
            _choice(name, text) if name == "reason" else _text(name, text) for name, text in answers.items()
        ]
        annotation = {
            "id": 100 + self._minutes,
            "completed_by": by,
            "created_at": "2026-11-26T12:00:00Z",
            "updated_at": f"2026-11-26T13:{self._minutes:02d}:00.250000Z",
            "lead_time": 60.5,
            "was_cancelled": False,
            "ground_truth": False,
            "result": [*items, *said],
        }
        told["annotations"].append(annotation)
        told["total_annotations"] += 1
        return annotation

    def find_project(self, title: str) -> Project | None:
        return Project(1, title, f"{self.url}/projects/1/") if title == "notes" else None

    def people(self) -> dict[int, str]:
        return PEOPLE

    def tasks(self, project_id: int) -> Iterator[Task]:
        return iter([read_task(each, True) for each in self.told])


def _choice(name: str, text: str) -> dict[str, Any]:
    return {"id": name, "type": "choices", "from_name": name, "to_name": "roll", "value": {"choices": [text]}}


def _text(name: str, text: str) -> dict[str, Any]:
    return {"id": name, "type": "textarea", "from_name": name, "to_name": "roll", "value": {"text": [text]}}
