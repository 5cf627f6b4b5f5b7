"""Addresses that people get: of media, of a project's tasks, of the Listen page."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final
from urllib.parse import quote

from d2midi_build.digests import sha256_data

LOCAL_MEDIA: Final = "/data/local-files/?d=media"
"""Address of a workspace's media on a Label Studio that serves its folder ``annotation``, as `serve` makes it do."""

PEOPLE: Final = 50
"""How many may answer a task that is to be answered by many."""


MOST_TITLE: Final = 50
"""Characters of a project's title, at most, in Label Studio."""


def title(what: str, name: str) -> str:
    """Title of a project. A name that is too long is cut, and ends with a digest of all of it.

    >>> title("notes", "my-workspace")
    'd2midi notes: my-workspace'
    """
    whole = f"d2midi {what}: {name}"
    if len(whole) <= MOST_TITLE:
        return whole
    mark = sha256_data(name)[:6]
    return f"{whole[: MOST_TITLE - len(mark) - 1]} {mark}"


def media_url(name: PurePath, base: str) -> str:
    """Address of a file that people see.

    Parameters
    ----------
    name : PurePath
        Below the workspace's folder ``annotation/served/media``.
    base : str
        Address of that folder, without a slash at the end; `LOCAL_MEDIA` on a server that `d2midi annotate serve` runs.
    """
    return f"{base}/{quote(name.as_posix())}"


def stream_of(project_url: str) -> str:
    """Where people get a project's tasks one by one, without seeing each other's answers.

    The list of tasks shows everybody's answers, and lets everybody change them.
    """
    return f"{project_url}data?labeling=1"


def page_of(listen: str, project_id: int, task_key: str) -> str:
    """Address of a task's Listen page. A task's key names it within its project only, so both are in it."""
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
