"""Addresses of the Listen page: a task's key names it within its project only, so both are in them."""

from __future__ import annotations

from urllib.parse import quote


def page_of(listen: str, project_id: int, task_key: str) -> str:
    """Address of a task's Listen page, below that of the page's server."""
    return f"{listen.rstrip('/')}/task/{quote(f'{project_id}.{task_key}')}"


def task_of(name: str) -> tuple[int, str]:
    """The project's id and the task's key that `page_of` put together.

    Raises
    ------
    ValueError
        If it is something else.
    """
    project, _, key = name.partition(".")
    if not (project.isascii() and project.isdigit() and len(project) < 19 and key):
        raise ValueError(f"{name[:80]!r} names no task: a project's number, a dot and a task's key")
    return int(project), key
