"""Projects and tasks of Label Studio through a server that breaks, races and lies."""

from __future__ import annotations

import json
import logging
import math
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from d2midi_build.annotate.studio.client import HumanWork, NewTask, NotFound, Studio, Task
from d2midi_build.annotate.studio.transport import Patience, Transport
from d2midi_build.errors import PermanentError, TransientError, UsageError
from tests.annotate.studio.stub import EMAIL, PERSONAL, TOKEN, Fault, Running, Stub, running

CONFIG = (
    '<View><RectangleLabels name="note" toName="roll"><Label value="Bass"/><Label value="Drums"/></RectangleLabels>'
    '<Image name="roll" valueList="$rolls"/></View>'
)
ITEM = {"id": "a", "type": "rectanglelabels", "value": {"x": 1.0}}


@pytest.fixture
def server() -> Iterator[Running]:
    stub = Stub()
    stub.projects[7] = {"title": "notes", "label_config": CONFIG}
    with running(stub) as it:
        yield it


@pytest.fixture
def stub(server: Running) -> Stub:
    return server.stub


@pytest.fixture
def studio(server: Running) -> Iterator[Studio]:
    """Waits for nothing, but counts its pauses against a patience of eight."""
    passed = [0.0]

    def sleep(_seconds: float) -> None:
        passed[0] += 1.0

    patience = Patience(8.0, None, sleep, lambda: passed[0])
    with Studio(Transport(server.stub.url, TOKEN, patience=patience)) as it:
        yield it


def new(*keys: str, version: str = "v1") -> list[NewTask]:
    return [NewTask({"task_key": key, "title": key}, [ITEM], version) for key in keys]


# Reaching it


def test_connecting_checks_the_token_and_knows_its_owner(stub: Stub) -> None:
    with Studio.connect(stub.url + "/", TOKEN) as studio:
        assert studio.whoami() == EMAIL
        assert studio.url == stub.url
    with Studio.connect(stub.url, PERSONAL) as studio:
        assert studio.people() == {1: EMAIL}


@pytest.mark.parametrize("release", [None, 5, {}])
def test_a_server_that_is_no_label_studio_is_told_so(stub: Stub, release: object) -> None:
    stub.release = release
    with pytest.raises(UsageError, match="is no Label Studio: give the URL"):
        Studio.connect(stub.url, TOKEN)


def test_a_server_without_its_paths_is_told_so(stub: Stub) -> None:
    with pytest.raises(UsageError, match="is no Label Studio"):
        Studio.connect(stub.url + "/elsewhere", TOKEN)


def test_no_token_and_a_wrong_one_say_what_to_do(stub: Stub) -> None:
    with pytest.raises(UsageError, match="LABEL_STUDIO_API_KEY"):
        Studio.connect(stub.url, "")
    with pytest.raises(UsageError, match="does not accept this token"):
        Studio.connect(stub.url, "wrong")


def test_nothing_that_answers_is_not_waited_for_longer_than_asked() -> None:
    with running() as server:
        url = server.stub.url
    with pytest.raises(TransientError, match="given up after 0 s"):
        Studio.connect(url, TOKEN, patience_s=0.0)


@pytest.mark.parametrize(
    ("release", "warned"), [("1.23.2", 0), ("1.24.0", 0), ("1.9.9", 1), ("1.23.1.dev", 1)]
)
def test_an_older_one_than_tested_is_warned_of(
    stub: Stub, caplog: pytest.LogCaptureFixture, release: str, warned: int
) -> None:
    stub.release = release
    with caplog.at_level(logging.WARNING), Studio.connect(stub.url, TOKEN):
        assert len(caplog.records) == warned


def test_a_studio_does_not_show_its_token(studio: Studio) -> None:
    assert TOKEN not in repr(studio) + repr(vars(studio)) + repr(vars(studio._http))


# Projects


def test_a_project_is_made_once(stub: Stub, studio: Studio, tmp_path: Path) -> None:
    first = studio.project("screening", CONFIG, description="d", storage=tmp_path)
    again = studio.project("screening", CONFIG, storage=tmp_path)
    assert first == again == studio.find_project("screening")
    assert first.url == f"{stub.url}/projects/{first.id}/"
    assert [each["path"] for each in stub.storages] == [str(tmp_path)]
    assert stub.projects[first.id]["description"] == "d"


def test_a_title_within_another_is_another_project(stub: Stub, studio: Studio) -> None:
    assert studio.find_project("note") is None
    assert studio.project("Notes", CONFIG).id != 7
    assert studio.find_project("notes") is not None


def test_the_oldest_of_two_of_the_same_title_counts(stub: Stub, studio: Studio) -> None:
    stub.projects |= {5: {"title": "notes", "label_config": CONFIG}}
    found = studio.find_project("notes")
    assert found is not None and found.id == 5


def test_a_project_whose_making_was_not_answered_is_not_made_again(stub: Stub, studio: Studio) -> None:
    stub.faults.append(Fault("POST /api/projects/", "after"))
    made = studio.project("screening", CONFIG)
    assert [each["title"] for each in stub.projects.values()] == ["notes", "screening"]
    assert made.id in stub.projects


def test_a_project_that_another_push_made_meanwhile_wins(stub: Stub, studio: Studio) -> None:
    def other() -> None:
        stub.projects[3] = {"title": "screening", "label_config": CONFIG}

    stub.faults.append(Fault("POST /api/projects/", 503, then=other))
    assert studio.project("screening", CONFIG).id == 3
    assert [each["title"] for each in stub.projects.values()] == ["notes", "screening"]


def test_of_two_projects_made_at_the_same_time_the_older_stays(stub: Stub, studio: Studio) -> None:
    def other() -> None:
        stub.projects[0] = {"title": "screening", "label_config": CONFIG}

    stub.before_answer["POST /api/projects/"] = other
    assert studio.project("screening", CONFIG).id == 0
    assert [each["title"] for each in stub.projects.values()] == ["notes", "screening"]


def test_a_configuration_that_differs_is_replaced(stub: Stub, studio: Studio) -> None:
    studio.project("notes", CONFIG.replace("><", ">\n  <"))
    assert stub.count_seen("PATCH") == 0
    more = CONFIG.replace('<Label value="Bass"/>', '<Label value="Bass"/><Label value="Organ"/>')
    studio.project("notes", more)
    assert stub.projects[7]["label_config"] == more


def test_a_configuration_that_would_break_peoples_work_is_refused(stub: Stub, studio: Studio) -> None:
    less = CONFIG.replace('<Label value="Bass"/>', "")
    number = stub.add_task(7, "a")
    stub.drafts[1] = {"task": number, "user": EMAIL, "result": [], "updated_at": "2026"}
    with pytest.raises(
        UsageError, match="holds people's work, and its new configuration lacks Bass of note: pull"
    ):
        studio.project("notes", less)
    assert stub.projects[7]["label_config"] == CONFIG
    stub.drafts.clear()
    studio.project("notes", less)
    assert stub.projects[7]["label_config"] == less


def test_a_configuration_that_is_no_xml_is_not_sent(stub: Stub, studio: Studio) -> None:
    with pytest.raises(UsageError, match="no XML"):
        studio.project("notes", "<View>")
    assert stub.projects[7]["label_config"] == CONFIG


# Tasks read


def test_all_pages_are_read_and_the_one_past_the_end_is_no_error(stub: Stub, studio: Studio) -> None:
    ids = [stub.add_task(7, f"k{number}") for number in range(101)]
    assert [task.id for task in studio.tasks(7)] == ids
    assert stub.count_seen("GET /api/tasks/") == 4
    assert [task.id for task in studio.tasks(7, with_annotations=False)] == ids


def test_a_project_that_is_not_there_is_an_error(studio: Studio) -> None:
    with pytest.raises(NotFound, match="No Project"):
        list(studio.tasks(99))


def test_a_task_is_read_as_it_is(stub: Stub, studio: Studio) -> None:
    left = {
        "id": 5,
        "result": [ITEM],
        "completed_by": 2,
        "updated_at": "2026-11-26T15:42:58.319448Z",
        "lead_time": 3.5,
        "was_cancelled": False,
        "ground_truth": False,
    }
    number = stub.add_task(
        7, "k", annotations=[left, left | {"id": 6, "was_cancelled": True, "lead_time": None}]
    )
    stub.add_prediction(number, "v1")
    stub.add_prediction(number, "v2")
    (task,) = studio.tasks(7)
    assert task.key == "k"
    assert task.data == {"task_key": "k"}
    assert task.annotations[0] == left
    assert (task.n_annotations, task.n_drafts, task.versions, task.problem) == (2, 0, ("v1", "v2"), "")
    assert task.touched
    (short,) = studio.tasks(7, with_annotations=False)
    assert (short.annotations, short.n_annotations, short.touched) == ((), 2, True)


def test_a_draft_alone_is_work(stub: Stub, studio: Studio) -> None:
    number = stub.add_task(7, "k")
    assert not next(iter(studio.tasks(7))).touched
    stub.drafts[1] = {"task": number, "user": EMAIL, "result": [], "updated_at": "2026"}
    task = next(iter(studio.tasks(7)))
    assert (task.n_drafts, task.touched) == (1, True)


GOOD: dict[str, Any] = {
    "id": 900,
    "data": {"task_key": "odd"},
    "annotations": [],
    "draft_exists": False,
    "total_annotations": 0,
    "cancelled_annotations": 0,
    "predictions_model_versions": "",
}
LEFT: dict[str, Any] = {
    "id": 1,
    "result": None,
    "completed_by": 1,
    "updated_at": "2026",
    "lead_time": 1.0,
    "was_cancelled": False,
    "ground_truth": False,
}


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (None, "a task is no object but missing"),
        ([], "a task is no object"),
        (GOOD | {"id": None}, "a task's id is missing"),
        (GOOD | {"id": True}, "a task's id is True"),
        (GOOD | {"id": "9"}, "a task's id is '9'"),
        (GOOD | {"data": [1]}, "its data is"),
        (GOOD | {"data": {"task_key": 5}}, "its task_key is 5"),
        (GOOD | {"annotations": {}}, "its annotations are {}"),
        (GOOD | {"total_annotations": "many"}, "its numbers of annotations"),
        (GOOD | {"annotations": ["x"]}, "an annotation is 'x'"),
        (GOOD | {"annotations": [LEFT | {"completed_by": None}]}, "an annotation has completed_by missing"),
        (GOOD | {"annotations": [LEFT | {"completed_by": {"id": 1}}]}, "an annotation has completed_by"),
        (GOOD | {"annotations": [LEFT | {"id": 2**70}]}, "an annotation has id"),
        (GOOD | {"annotations": [LEFT | {"was_cancelled": "no"}]}, "an annotation 1 has was_cancelled 'no'"),
        (GOOD | {"annotations": [LEFT | {"updated_at": 5}]}, "an annotation 1 has updated_at 5"),
        (GOOD | {"annotations": [LEFT | {"lead_time": "long"}]}, "an annotation 1 has lead_time 'long'"),
        (GOOD | {"annotations": [LEFT | {"lead_time": "\x1b[2J" + "z" * 999}]}, r"\\x1b\[2Jz{1,60}$"),
    ],
)
def test_an_odd_task_is_told_and_hides_no_other(stub: Stub, studio: Studio, odd: Any, said: str) -> None:
    stub.odd_tasks.append(odd)
    good = stub.add_task(7, "good")
    first, second = studio.tasks(7)
    assert first.problem and first.touched and first.annotations == ()
    _match(said, first.problem)
    assert (second.id, second.problem) == (good, "")


def _match(pattern: str, text: str) -> None:
    plain = pattern if "\\" in pattern else re.escape(pattern)
    assert re.search(plain, text), text


def test_annotations_that_can_be_read_stay_beside_those_that_cannot(stub: Stub, studio: Studio) -> None:
    stub.odd_tasks.append(GOOD | {"annotations": [LEFT, "x"], "total_annotations": 2})
    (task,) = studio.tasks(7)
    assert task.annotations == (LEFT,)
    assert task.problem == "an annotation is 'x'"


def test_a_server_that_shows_the_same_page_for_ever_is_left(stub: Stub, studio: Studio) -> None:
    stub.add_task(7, "k")
    page = json.dumps({"tasks": [stub.task_data(each) for each in stub.tasks.values()]})
    stub.faults.append(Fault("GET /api/tasks/", page, times=10**6))
    assert [task.key for task in studio.tasks(7)] == ["k"]


def test_an_answer_without_tasks_is_refused(stub: Stub, studio: Studio) -> None:
    stub.faults.append(Fault("GET /api/tasks/", "[]"))
    with pytest.raises(PermanentError, match="lists no tasks of project 7"):
        list(studio.tasks(7))


# Tasks made


def test_tasks_are_made_once_with_their_predictions(stub: Stub, studio: Studio) -> None:
    assert studio.create(7, new("a", "b")) == 2
    assert studio.create(7, new("b", "c", "a")) == 1
    assert stub.keys() == ["a", "b", "c"]
    assert [task.versions for task in studio.tasks(7)] == [("v1",)] * 3
    assert [each["result"] for each in stub.predictions.values()] == [[ITEM]] * 3


def test_a_task_without_prediction_gets_none(stub: Stub, studio: Studio) -> None:
    studio.create(7, [NewTask({"task_key": "a"})])
    assert stub.keys() == ["a"]
    assert stub.predictions == {}


def test_many_tasks_go_in_batches(stub: Stub, studio: Studio) -> None:
    assert studio.create(7, new(*(f"k{number}" for number in range(60)))) == 60
    assert stub.count_seen("POST /api/projects/7/import") == 3


def test_large_tasks_go_in_smaller_batches(stub: Stub, studio: Studio) -> None:
    large = [NewTask({"task_key": key, "text": "x" * 5_000_000}) for key in "abc"]
    studio.create(7, large)
    assert stub.count_seen("POST /api/projects/7/import") == 3
    assert stub.keys() == ["a", "b", "c"]


def test_two_tasks_of_the_same_key_are_a_mistake(stub: Stub, studio: Studio) -> None:
    with pytest.raises(ValueError, match="same"):
        studio.create(7, new("a", "a"))
    assert stub.seen == []


def test_what_is_no_json_is_not_sent(stub: Stub, studio: Studio) -> None:
    with pytest.raises(ValueError, match="JSON"):
        studio.create(7, [NewTask({"task_key": "a", "x": math.inf})])
    assert stub.keys() == []


@pytest.mark.parametrize("how", ["before", "after", 503, 429])
@pytest.mark.parametrize("line", ["POST /api/projects/7/import", "GET /api/tasks/"])
def test_a_break_in_the_middle_makes_nothing_twice(
    stub: Stub, studio: Studio, line: str, how: int | str
) -> None:
    stub.faults.append(Fault(line, how, times=3))
    keys = [f"k{number}" for number in range(60)]
    assert studio.create(7, new(*keys)) == 60
    assert sorted(stub.keys()) == sorted(keys)


@pytest.mark.parametrize("how", ["before", "after"])
def test_every_single_request_of_a_push_may_break(stub: Stub, studio: Studio, how: str) -> None:
    keys = sorted(f"k{number}" for number in range(55))
    studio.create(7, new(*keys))
    n_requests = len(stub.seen)
    assert n_requests == 8
    for skip in range(n_requests):
        stub.tasks.clear()
        stub.predictions.clear()
        stub.faults[:] = [Fault("", how, skip=skip)]
        studio.create(7, new(*keys))
        assert stub.faults[0].times == 0
        assert sorted(stub.keys()) == keys
        assert len(stub.predictions) == 55


def test_a_server_that_stays_away_is_given_up_and_the_next_push_goes_on(stub: Stub, studio: Studio) -> None:
    stub.faults.append(Fault("POST /api/projects/7/import", 503, times=10**6))
    with pytest.raises(TransientError, match="run the command again"):
        studio.create(7, new("a", "b"))
    stub.faults.clear()
    assert studio.create(7, new("a", "b")) == 2


def test_a_server_that_takes_tasks_and_shows_none_is_not_asked_for_ever(stub: Stub, studio: Studio) -> None:
    stub.faults.append(Fault("POST /api/projects/7/import", "{}", times=10**6))
    with pytest.raises(PermanentError, match="took the task 'a', but does not list it"):
        studio.create(7, new("a"))


def test_predictions_that_an_import_loses_are_sent_again(stub: Stub, studio: Studio) -> None:
    stub.loses_predictions = True
    assert studio.create(7, [*new("a", "b"), NewTask({"task_key": "c"})]) == 3
    assert [task.versions for task in studio.tasks(7)] == [("v1",), ("v1",), ()]
    assert [each["result"] for each in stub.predictions.values()] == [[ITEM], [ITEM]]


def test_a_task_without_its_prediction_that_somebody_works_on_stays(stub: Stub, studio: Studio) -> None:
    stub.add_task(7, "a", annotations=[LEFT])
    studio.create(7, new("a"))
    assert stub.predictions == {}


def test_of_copies_a_whole_one_stays(stub: Stub, studio: Studio) -> None:
    _, whole, _ = (stub.add_task(7, "a", meta={"model_version": "v1"}) for _ in range(3))
    stub.add_prediction(whole, "d2midi")
    studio.create(7, new("a"))
    assert list(stub.tasks) == [whole]
    assert len(stub.predictions) == 1


def test_copies_that_nobody_touched_are_removed_the_oldest_stays(stub: Stub, studio: Studio) -> None:
    first, *_ = [stub.add_task(7, "a") for _ in range(3)]
    other = stub.add_task(7, "b")
    assert studio.create(7, new("a", "b")) == 0
    assert sorted(stub.tasks) == [first, other]


def test_a_copy_that_somebody_worked_on_stays(stub: Stub, studio: Studio) -> None:
    ids = [stub.add_task(7, "a") for _ in range(3)]
    stub.drafts[1] = {"task": ids[1], "user": EMAIL, "result": [], "updated_at": "2026"}
    studio.create(7, new("a"))
    assert list(stub.tasks) == [ids[1]]


def test_two_copies_with_work_both_stay(stub: Stub, studio: Studio) -> None:
    ids = [stub.add_task(7, "a", annotations=[LEFT]) for _ in range(2)]
    stub.add_task(7, "a")
    studio.create(7, new("a"))
    assert sorted(stub.tasks) == ids


def test_a_copy_that_somebody_opens_meanwhile_stays(stub: Stub, studio: Studio) -> None:
    ids = [stub.add_task(7, "a") for _ in range(2)]

    def work() -> None:
        stub.tasks[ids[1]]["annotations"] = [LEFT]

    stub.faults.append(Fault(f"GET /api/tasks/{ids[1]}/", 503, then=work))
    studio.create(7, new("a"))
    assert sorted(stub.tasks) == ids


def test_tasks_of_others_are_left_alone(stub: Stub, studio: Studio) -> None:
    for _ in range(2):
        stub.add_task(7, "", data={"text": "not ours"})
        stub.add_task(7, "old")
    studio.create(7, new("a"))
    assert len(stub.tasks) == 5


def test_two_pushes_at_once_leave_one_of_each(stub: Stub, server: Running) -> None:
    keys = [f"k{number}" for number in range(30)]
    errors: list[BaseException] = []

    def push() -> None:
        try:
            with Studio.connect(server.stub.url, TOKEN) as studio:
                studio.create(7, new(*keys))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=push) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(stub.keys()) == sorted(keys)


# Tasks renewed and removed


def renewed(studio: Studio, task: Task) -> None:
    studio.renew(task, {"task_key": "k", "title": "new"}, [ITEM, ITEM], "v2")


def test_a_task_is_renewed_whole(stub: Stub, studio: Studio) -> None:
    number = stub.add_task(7, "k")
    other = stub.add_prediction(stub.add_task(7, "other"), "v1")
    for version in ("v0", "v1"):
        stub.add_prediction(number, version)
    renewed(studio, next(iter(studio.tasks(7))))
    assert stub.tasks[number]["data"] == {"task_key": "k", "title": "new"}
    assert [len(each["result"]) for each in stub.predictions.values() if each["task"] == number] == [2]
    assert next(iter(studio.tasks(7))).versions == ("v2",)
    assert other in stub.predictions


def test_work_is_never_renewed_even_if_it_came_after_the_task_was_read(stub: Stub, studio: Studio) -> None:
    number = stub.add_task(7, "k")
    task = next(iter(studio.tasks(7)))
    stub.drafts[1] = {"task": number, "user": EMAIL, "result": [], "updated_at": "2026"}
    with pytest.raises(HumanWork, match="holds somebody's work"):
        renewed(studio, task)
    assert stub.tasks[number]["data"] == {"task_key": "k"}
    assert stub.predictions == {}


def test_a_task_that_is_gone_cannot_be_renewed(stub: Stub, studio: Studio) -> None:
    with pytest.raises(NotFound, match=r"not in .* any more"):
        renewed(studio, Task(99, "k"))


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("line", ["PATCH", "POST /api/predictions/", "DELETE", "GET /api/predictions/"])
def test_a_break_while_renewing_leaves_one_prediction(
    stub: Stub, studio: Studio, line: str, how: str
) -> None:
    number = stub.add_task(7, "k")
    stub.add_prediction(number, "v1")
    stub.faults.append(Fault(line, how))
    renewed(studio, next(iter(studio.tasks(7))))
    assert len(stub.predictions) == 1
    assert next(iter(studio.tasks(7))).versions == ("v2",)


def test_renewing_again_after_a_kill_leaves_one_prediction(stub: Stub, studio: Studio) -> None:
    number = stub.add_task(7, "k")
    stub.add_prediction(number, "v1")
    stub.faults.append(Fault("DELETE", 400))
    task = next(iter(studio.tasks(7)))
    with pytest.raises(PermanentError):
        renewed(studio, task)
    assert len(stub.predictions) == 2
    assert next(iter(studio.tasks(7))).versions == ()
    renewed(studio, task)
    assert len(stub.predictions) == 1
    assert next(iter(studio.tasks(7))).versions == ("v2",)


@pytest.mark.parametrize("broken", range(7))
def test_a_kill_at_any_request_leaves_a_task_that_is_not_taken_for_renewed(
    stub: Stub, studio: Studio, broken: int
) -> None:
    number = stub.add_task(7, "k", meta={"model_version": "v1"})
    stub.add_prediction(number, "d2midi")
    task = next(iter(studio.tasks(7)))
    assert task.versions == ("v1",)
    stub.faults.append(Fault("", 400, skip=broken))
    with pytest.raises(PermanentError):
        renewed(studio, task)
    stub.faults.clear()
    assert next(iter(studio.tasks(7))).versions in ((), ("v1",))
    renewed(studio, task)
    assert next(iter(studio.tasks(7))).versions == ("v2",)
    assert len(stub.predictions) == 1


def test_a_number_that_another_task_has_got_meanwhile_is_not_renewed(stub: Stub, studio: Studio) -> None:
    number = stub.add_task(7, "other")
    with pytest.raises(NotFound, match=r"not in .* any more"):
        renewed(studio, Task(number, "k"))
    assert stub.tasks[number]["data"] == {"task_key": "other"}


# What annotators are shown


def test_all_predictions_of_a_project_are_shown_whatever_they_were_made_with(
    stub: Stub, studio: Studio
) -> None:
    studio.create(7, new("a", version="v1"))
    studio.create(7, new("b", version="v2"))
    renewed(studio, next(iter(studio.tasks(7))))
    shown = stub.projects[7]["model_version"]
    assert {each["model_version"] for each in stub.predictions.values()} == {shown}
    assert [task.versions for task in studio.tasks(7)] == [("v2",), ("v2",)]


@pytest.mark.parametrize("setting", [{"model_version": ""}, {"show_collab_predictions": False}])
def test_a_project_that_hides_them_shows_them_again(
    stub: Stub, studio: Studio, setting: dict[str, Any]
) -> None:
    studio.create(7, new("a"))
    before = dict(stub.projects[7])
    stub.projects[7].update(setting)
    studio.project("notes", CONFIG)
    assert stub.projects[7] == before | {"show_collab_predictions": True}
    stub.projects[7].update(setting)
    studio.create(7, new("a"))
    assert stub.projects[7] == before | {"show_collab_predictions": True}


def test_a_task_renewed_without_prediction_has_none(stub: Stub, studio: Studio) -> None:
    number = stub.add_task(7, "k")
    stub.add_prediction(number, "v1")
    studio.renew(Task(number, "k"), {"task_key": "k"}, [], "")
    assert stub.predictions == {}


def test_tasks_are_deleted_and_those_that_are_gone_are_no_error(stub: Stub, studio: Studio) -> None:
    ids = [stub.add_task(7, key) for key in "abc"]
    studio.delete([ids[0], 99, ids[2], ids[0]])
    assert list(stub.tasks) == [ids[1]]


# People and drafts


def test_people_are_known_by_id_and_odd_ones_are_left_out(stub: Stub, studio: Studio) -> None:
    stub.users = [{"id": 1, "email": EMAIL}, {"id": "2", "email": "x"}, {"id": 3}, None]
    assert studio.people() == {1: EMAIL}


def test_drafts_of_all_people_come_newest_first(stub: Stub, studio: Studio) -> None:
    number = stub.add_task(7, "k")
    stub.drafts = {
        1: {"task": number, "user": EMAIL, "result": [ITEM], "updated_at": "2026-11-26T10:00:00Z"},
        2: {"task": number, "user": "bob@example.org", "result": [], "updated_at": "2026-11-26T11:00:00Z"},
        3: {"task": number, "user": None, "result": [], "updated_at": "2026-11-26T12:00:00Z"},
        4: {"task": number, "user": EMAIL, "result": "x", "updated_at": "2026-11-26T12:00:00Z"},
    }
    assert [(draft.email, draft.result) for draft in studio.drafts(number)] == [
        ("bob@example.org", []),
        (EMAIL, [ITEM]),
    ]


def test_the_invitation_is_a_whole_link(stub: Stub, studio: Studio) -> None:
    assert studio.invite_url() == f"{stub.url}/user/signup/?token=abc"
