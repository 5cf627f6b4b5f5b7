"""What an annotator has on the screen: the draft that Label Studio saves by itself, read as that annotator.

A browser sends the cookies of a host to all its ports. So a page of ours on the same host name gets the session of
Label Studio, and can ask it on behalf of whoever looks at the page, and nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final, Literal

from d2midi_build.annotate.studio.transport import Patience, Transport
from d2midi_build.errors import PermanentError, UsageError

SESSION_COOKIE: Final = "sessionid"
"""Django's, which Label Studio keeps."""

_PATIENCE_S: Final = 5.0


class NotLoggedIn(UsageError):
    """The browser has no session of Label Studio, or an old one."""


@dataclass(frozen=True)
class Draft:
    """What somebody has left in a task without submitting it, or what stands for that.

    Attributes
    ----------
    email : str
        Whose.
    result : list or None
        Its result items as they are; None if there is nothing.
    saved_at : str
        UTC, ISO 8601; empty for what nobody saved.
    source : {"draft", "annotation", "prediction", ""}
        What it is: an unsubmitted draft, what was submitted last, or what the machine said.
    """

    email: str
    result: list[Any] | None
    saved_at: str
    source: Literal["draft", "annotation", "prediction", ""] = "draft"


def draft_of(url: str, cookie: str, task_id: int) -> Draft:
    """What a logged-in annotator sees in a task: their newest draft, else what they submitted, else the prediction.

    Parameters
    ----------
    url : str
        Of Label Studio.
    cookie : str
        Header ``Cookie`` of the annotator's browser.
    task_id : int

    Raises
    ------
    NotLoggedIn
        If the cookies hold no session that Label Studio accepts.
    NotFound
        If there is no such task.
    PermanentError, TransientError
        If Label Studio refuses, or does not answer within 5 s.
    """
    session = session_of(cookie)
    if not session:
        raise NotLoggedIn(f"log in to Label Studio first, at {url}")
    http = Transport(url, cookie=f"{SESSION_COOKIE}={session}", patience=Patience(_PATIENCE_S))
    try:
        try:
            me = http.call("GET", "/api/current-user/whoami")
        except UsageError as error:
            raise NotLoggedIn(f"your session has ended: log in to Label Studio again, at {url}") from error
        if not isinstance(me, dict) or not isinstance(me.get("email"), str):
            raise PermanentError(f"{url} does not say who is logged in")
        drafts = newest_first(http.call("GET", f"/api/tasks/{task_id}/drafts"))
        mine = [draft for draft in drafts if draft.email.lower() == me["email"].lower()]
        return mine[0] if mine else _left(http.call("GET", f"/api/tasks/{task_id}/"), me)
    finally:
        http.close()


def newest_first(told: object) -> tuple[Draft, ...]:
    """The drafts of a task from what the server tells of them; odd ones are left out."""
    found = [
        Draft(each["user"], each["result"], each["updated_at"])
        for each in (told if isinstance(told, list) else [])
        if isinstance(each, dict)
        and isinstance(each.get("user"), str)
        and isinstance(each.get("result"), list)
        and isinstance(each.get("updated_at"), str)
    ]
    return tuple(sorted(found, key=lambda draft: draft.saved_at, reverse=True))


def _left(task: object, me: dict[str, Any]) -> Draft:
    """What a person submitted last in a task, or else its newest prediction."""
    told = task if isinstance(task, dict) else {}
    mine = [
        each
        for each in _dicts(told.get("annotations"))
        if _user_id(each.get("completed_by")) == me.get("id") and each.get("was_cancelled") is False
    ]
    if mine:
        last = max(mine, key=lambda each: str(each.get("updated_at")))
        return Draft(me["email"], _list(last.get("result")), str(last.get("updated_at")), "annotation")
    predictions = [each for each in _dicts(told.get("predictions")) if isinstance(each.get("id"), int)]
    if predictions:
        newest = max(predictions, key=lambda each: each["id"])
        return Draft(me["email"], _list(newest.get("result")), "", "prediction")
    return Draft(me["email"], None, "", "")


def _user_id(told: object) -> object:
    """A task alone tells people as objects, a list as numbers."""
    return told.get("id") if isinstance(told, dict) else told


def _dicts(told: object) -> list[dict[str, Any]]:
    return [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []


def _list(told: object) -> list[Any] | None:
    return told if isinstance(told, list) else None


def session_of(cookie: str) -> str:
    """Label Studio's session in a browser's cookies; empty if there is none."""
    try:
        found = SimpleCookie(cookie).get(SESSION_COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
