"""What an annotator has on the screen, asked for with the cookies of their browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from d2midi_build.annotate.studio.drafts import Draft, NotLoggedIn, draft_of
from d2midi_build.annotate.studio.transport import NotFound
from tests.annotate.studio.stub import EMAIL, Fault, Stub, running

COOKIE = "theme=dark; sessionid=good; csrftoken=x"
ITEM = {"id": "a"}


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running() as server:
        server.stub.sessions = {"good": EMAIL, "bobs": "bob@example.org"}
        yield server.stub


def draft(task: int, user: str, saved_at: str, *result: Any) -> dict[str, Any]:
    return {"task": task, "user": user, "updated_at": saved_at, "result": list(result)}


def annotation(user: int, saved_at: str, *result: Any, was_cancelled: bool = False) -> dict[str, Any]:
    return {
        "id": 1,
        "completed_by": {"id": user},
        "updated_at": saved_at,
        "result": list(result),
        "was_cancelled": was_cancelled,
    }


def test_the_newest_draft_of_the_one_who_asks_is_shown_and_nobody_elses(stub: Stub) -> None:
    task = stub.add_task(7, "k")
    stub.drafts = {
        1: draft(task, EMAIL, "2026-11-26T10:00:00Z", "old"),
        2: draft(task, EMAIL.upper(), "2026-11-26T11:00:00Z", ITEM),
        3: draft(task, "bob@example.org", "2026-11-26T12:00:00Z", "bobs"),
    }
    assert draft_of(stub.url, COOKIE, task) == Draft(EMAIL.upper(), [ITEM], "2026-11-26T11:00:00Z", "draft")
    assert draft_of(stub.url, "sessionid=bobs", task).result == ["bobs"]


def test_without_a_draft_it_is_what_they_submitted_last(stub: Stub) -> None:
    task = stub.add_task(7, "k")
    stub.tasks[task]["annotations"] = [
        annotation(1, "2026-11-26T10:00:00Z", "old"),
        annotation(1, "2026-11-26T11:00:00Z", ITEM),
        annotation(1, "2026-11-26T12:00:00Z", "skipped", was_cancelled=True),
        annotation(2, "2026-11-26T13:00:00Z", "bobs"),
    ]
    assert draft_of(stub.url, COOKIE, task) == Draft(EMAIL, [ITEM], "2026-11-26T11:00:00Z", "annotation")


def test_without_either_it_is_the_newest_prediction(stub: Stub) -> None:
    task = stub.add_task(7, "k")
    assert draft_of(stub.url, COOKIE, task) == Draft(EMAIL, None, "", "")
    stub.add_prediction(task, "v1", ["old"])
    stub.add_prediction(task, "v2", [ITEM])
    assert draft_of(stub.url, COOKIE, task) == Draft(EMAIL, [ITEM], "", "prediction")


@pytest.mark.parametrize("cookie", ["", "theme=dark", "sessionid=", "sessionid", "sessionid=ended"])
def test_who_is_not_logged_in_is_told_to(stub: Stub, cookie: str) -> None:
    task = stub.add_task(7, "k")
    with pytest.raises(NotLoggedIn, match=f"log in to Label Studio .*{stub.url}"):
        draft_of(stub.url, cookie, task)
    assert not any("/api/tasks/" in line for line in stub.seen)


def test_only_the_session_is_passed_on(stub: Stub) -> None:
    draft_of(stub.url, COOKIE, stub.add_task(7, "k"))
    assert {each["Cookie"] for each in stub.headers} == {"sessionid=good"}
    assert not any("Authorization" in each for each in stub.headers)


def test_a_task_that_is_not_there_is_its_own_error(stub: Stub) -> None:
    with pytest.raises(NotFound):
        draft_of(stub.url, COOKIE, 99)


def test_a_draft_that_is_no_list_is_left_out(stub: Stub) -> None:
    task = stub.add_task(7, "k")
    stub.drafts = {1: draft(task, EMAIL, "2026") | {"result": {"x": 1}}}
    assert draft_of(stub.url, COOKIE, task).source == ""


def test_sessions_do_not_get_into_errors(stub: Stub) -> None:
    stub.faults.append(Fault("GET /api/tasks/", 404, words="sessionid=good is unknown"))
    with pytest.raises(NotFound) as caught:
        draft_of(stub.url, COOKIE, stub.add_task(7, "k"))
    assert "sessionid=good" not in str(caught.value)
