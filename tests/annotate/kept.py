"""A Label Studio that keeps what it is sent, and nothing else of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from d2midi_build.annotate.studio.importing import HumanWork, NewTask
from d2midi_build.annotate.studio.projects import Project
from d2midi_build.annotate.studio.tasks import Task
from tests.annotate.filled import PEOPLE


@dataclass
class Kept:
    """One project; ``begun`` are keys of tasks that somebody begins to work on once they have been listed."""

    there: dict[str, Task] = field(default_factory=dict)
    title: str = ""
    config: str = ""
    storage: Path | None = None
    begun: set[str] = field(default_factory=set)
    url: str = "http://studio"

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def people(self) -> dict[int, str]:
        return PEOPLE

    def find_project(self, title: str) -> Project | None:
        return Project(1, title, "http://studio/projects/1/") if title == self.title else None

    def leave(self, key: str, *annotations: dict[str, Any]) -> None:
        """People leave something in a task."""
        before = self.there[key]
        made = (*before.annotations, *annotations)
        self.there[key] = replace(before, annotations=made, n_annotations=len(made))

    def project(
        self, title: str, config: str, *, description: str = "", storage: Path | None = None, people: int = 1
    ) -> Project:
        self.title, self.config, self.storage = title, config, storage
        return Project(1, title, "http://studio/projects/1/")

    def create(self, project_id: int, tasks: Sequence[NewTask]) -> int:
        new = [task for task in tasks if task.key not in self.there]
        for task in new:
            self.there[task.key] = Task(len(self.there) + 1, task.key, dict(task.data))
        return len(new)

    def tasks(self, project_id: int, *, with_annotations: bool = True) -> Iterable[Task]:
        return list(self.there.values())

    def renew(self, task: Task, data: Mapping[str, Any], result: Sequence[Any], model_version: str) -> None:
        if task.key in self.begun:
            raise HumanWork("somebody has begun")
        self.there[task.key] = replace(task, data=dict(data))
