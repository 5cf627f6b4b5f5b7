"""Projects of Label Studio: found by their title, made once, never changed under people's work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from d2midi_build.annotate.studio.transport import Busy, NotFound, Transport
from d2midi_build.errors import PermanentError, UsageError


@dataclass(frozen=True)
class Project:
    """A project.

    Attributes
    ----------
    id : int
    title, url : str
    """

    id: int
    title: str
    url: str


def find_project(http: Transport, title: str) -> Project | None:
    """The project of a title; the oldest if there are several."""
    page, ids = 1, list[int]()
    while True:
        params: dict[str, str | int] = {"title": title, "include": "id,title", "page": page, "page_size": 100}
        told = as_object(http.call("GET", "/api/projects/", params=params), "projects")
        found = [each for each in as_objects(told.get("results")) if each.get("title") == title]
        ids += [each["id"] for each in found if isinstance(each.get("id"), int)]
        if not told.get("next") or not told.get("results"):
            return Project(min(ids), title, f"{http.url}/projects/{min(ids)}/") if ids else None
        page += 1


def make_project(http: Transport, title: str, config: str, description: str) -> Project:
    """Make a project, unless somebody else does at the same time: then there is one in the end, too."""
    waiting = http.waiting()
    body = {
        "title": title,
        "label_config": config,
        "description": description,
        "show_collab_predictions": True,
    }
    while True:
        try:
            made = as_object(http.once("POST", "/api/projects/", body=body), "a new project").get("id")
            break
        except Busy as trouble:
            waiting.pause(trouble)
            if found := find_project(http, title):
                return found
    first = find_project(http, title)
    if first is None or not isinstance(made, int):
        raise PermanentError(f"{http.url} has made the project {title!r}, but does not list it")
    if made != first.id:
        remove(http, f"/api/projects/{made}/")
    return first


def connect_storage(http: Transport, project_id: int, folder: Path) -> None:
    """Let a project show the media of a folder, without importing them as tasks."""
    path = str(folder.resolve())
    waiting = http.waiting()
    body = {"project": project_id, "path": path, "title": "d2midi media", "use_blob_urls": True}
    while True:
        known = http.call("GET", "/api/storages/localfiles/", params={"project": project_id})
        if any(each.get("path") == path for each in as_objects(known)):
            return
        try:
            http.once("POST", "/api/storages/localfiles/", body=body)
            return
        except PermanentError as error:
            raise UsageError(
                f"{http.url} does not show the media of this workspace ({path}): start `d2midi annotate serve` for it, "
                f"or say with --media where the server finds them. It says: {error}"
            ) from error
        except Busy as trouble:
            waiting.pause(trouble)


def remove(http: Transport, path: str) -> None:
    """Delete a thing; one that is gone is gone."""
    try:
        http.call("DELETE", path)
    except NotFound:
        return


def as_object(answer: object, what: str) -> dict[str, Any]:
    """An answer that must be a JSON object.

    Raises
    ------
    PermanentError
        If it is none.
    """
    if not isinstance(answer, dict):
        raise PermanentError(f"Label Studio's answer about {what} is no object: is it another version?")
    return answer


def as_objects(answer: object) -> list[dict[str, Any]]:
    """The objects of an answer that should be a list of them."""
    return [each for each in answer if isinstance(each, dict)] if isinstance(answer, list) else []
