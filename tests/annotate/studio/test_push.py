"""Sheets become tasks once, untouched ones are brought up to date, and people's work stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from d2midi_build.annotate.audit.excerpts import Excerpt
from d2midi_build.annotate.corrections import Corrections
from d2midi_build.annotate.studio import push as pushing
from d2midi_build.annotate.studio.blind import blind
from d2midi_build.annotate.studio.client import Studio
from d2midi_build.annotate.studio.preparing import (
    Opened,
    Prepared,
    Wishes,
    kept_layers,
    kept_task,
    prepared,
)
from d2midi_build.annotate.studio.push import Places, Pushed, config, push
from d2midi_build.annotate.studio.regions import regions
from d2midi_build.annotate.studio.tasks import VERSION_KEY
from d2midi_build.annotate.studio.transport import Patience, Transport
from d2midi_build.errors import TransientError, UsageError
from d2midi_build.workspace import Workspace
from tests.annotate.making import band
from tests.annotate.studio.pushing import clip, filmed, workspace_of
from tests.annotate.studio.stub import TOKEN, Fault, Running, Stub, running

CLIPS = [clip(name, 4, seed=seed) for seed, name in enumerate("abc")]
LONG = clip("long", 60)
TITLE = "notes"
KEYS = [f"{each.clip_id}_s000.all" for each in CLIPS]


class Trial:
    """A workspace, a server, and pushes of sheets to it."""

    def __init__(self, root: Path, server: Running) -> None:
        self.stub = server.stub
        self.workspace = workspace_of(root, *CLIPS, LONG)
        self.done: list[int] = []
        passed = [0.0]

        def sleep(_seconds: float) -> None:
            passed[0] += 1.0

        patience = Patience(8.0, None, sleep, lambda: passed[0])
        self.studio = Studio(Transport(self.stub.url, TOKEN, patience=patience))

    def tasks(self, *numbers: int, commands: str = "") -> list[Prepared]:
        wishes = Wishes(commands=commands)
        found = [
            task
            for number in numbers or (0, 1, 2)
            for task in prepared(Opened.of(CLIPS[number], Corrections([])), 0, wishes)
        ]
        filmed(self.workspace, found)
        return found

    def push(self, tasks: list[Prepared], where: Places | None = None) -> Pushed:
        self.done.clear()
        return push(
            self.workspace,
            self.studio,
            TITLE,
            tasks,
            where or Places(),
            workers=1,
            on_done=self.done.append,
        )

    def of(self, key: str) -> dict[str, Any]:
        """The task of a key, which is there once."""
        [found] = [task for task in self.stub.tasks.values() if task["data"]["task_key"] == key]
        return found

    def predictions(self, key: str) -> list[dict[str, Any]]:
        number = self.of(key)["id"]
        return [each for each in self.stub.predictions.values() if each["task"] == number]

    def submitted(self, key: str) -> None:
        self.of(key)["annotations"].append({"id": 1, "was_cancelled": False})

    def right(self, each: Prepared) -> bool:
        """Whether the server has the task whole: its data, one prediction, its pictures and its video."""
        task, [made] = self.of(each.task.key), self.predictions(each.task.key)
        shown = [*task["data"]["rolls"], task["data"]["video"]]
        files = [self.workspace.media / path.split("?d=media/")[1] for path in shown]
        return (
            task["data"]["version"] == each.task.version
            and task["meta"] == {VERSION_KEY: f"d2midi-{each.task.version}"}
            and made["result"] == regions(each.task)
            and all(file.is_file() for file in files)
        )


@pytest.fixture
def server() -> Iterator[Running]:
    with running(Stub()) as it:
        yield it


@pytest.fixture
def trial(tmp_path: Path, server: Running) -> Iterator[Trial]:
    it = Trial(tmp_path / "w", server)
    yield it
    it.studio.close()


def test_sheets_become_tasks_of_a_project_that_shows_the_workspaces_media(trial: Trial) -> None:
    tasks = trial.tasks()
    found = trial.push(tasks)
    assert (found.made, found.renewed, found.same, found.kept, found.failed) == (3, 0, 0, [], [])
    assert sum(trial.done) == 3
    assert trial.stub.keys() == KEYS
    assert all(trial.right(each) for each in tasks)
    [project] = trial.stub.projects.values()
    assert (project["title"], project["label_config"]) == (TITLE, config())
    assert [each["path"] for each in trial.stub.storages] == [str(trial.workspace.media.resolve())]
    assert all(kept_task(trial.workspace, each.task.key, each.task.version) == each.task for each in tasks)


def test_pushing_again_changes_nothing(trial: Trial) -> None:
    trial.push(trial.tasks())
    before = [task["data"] for task in trial.stub.tasks.values()], dict(trial.stub.predictions)
    trial.stub.seen.clear()
    found = trial.push(trial.tasks())
    assert (found.made, found.renewed, found.same) == (0, 0, 3)
    assert sum(trial.done) == 3
    assert ([task["data"] for task in trial.stub.tasks.values()], trial.stub.predictions) == before
    assert [line for line in trial.stub.seen if not line.startswith("GET ")] == []


def test_only_what_is_missing_is_made(trial: Trial) -> None:
    trial.push(trial.tasks(1))
    found = trial.push(trial.tasks())
    assert (found.made, found.same) == (2, 1)
    assert sorted(trial.stub.keys()) == KEYS


def test_untouched_tasks_are_brought_up_to_date(trial: Trial) -> None:
    trial.push(trial.tasks())
    numbers = {task["id"] for task in trial.stub.tasks.values()}
    newer = trial.tasks(commands="shift all +20ms")
    found = trial.push(newer)
    assert (found.made, found.renewed, found.same) == (0, 3, 0)
    assert {task["id"] for task in trial.stub.tasks.values()} == numbers
    assert all(trial.right(each) for each in newer)


@pytest.mark.parametrize("how", ["submitted", "skipped", "draft"])
def test_what_somebody_has_worked_on_is_left_alone(trial: Trial, how: str) -> None:
    trial.push(trial.tasks())
    if how == "draft":
        trial.stub.drafts[1] = {"task": trial.of(KEYS[1])["id"]}
    else:
        trial.submitted(KEYS[1])
        trial.of(KEYS[1])["annotations"][0]["was_cancelled"] = how == "skipped"
    before = dict(trial.of(KEYS[1])["data"]), trial.predictions(KEYS[1])
    found = trial.push(trial.tasks(commands="shift all +20ms"))
    assert (found.renewed, found.kept) == (2, [KEYS[1]])
    assert sum(trial.done) == 3
    assert (trial.of(KEYS[1])["data"], trial.predictions(KEYS[1])) == before


def test_work_on_what_is_still_shown_is_no_reason_to_say_anything(trial: Trial) -> None:
    trial.push(trial.tasks())
    trial.submitted(KEYS[0])
    found = trial.push(trial.tasks())
    assert (found.same, found.kept) == (3, [])


def test_work_that_begins_while_others_are_renewed_is_left_alone(trial: Trial) -> None:
    trial.push(trial.tasks(0))
    number = trial.of(KEYS[0])["id"]
    trial.stub.before_answer[f"GET /api/tasks/{number}/"] = lambda: trial.submitted(KEYS[0])
    found = trial.push(trial.tasks(0, commands="shift all +20ms"))
    assert (found.renewed, found.kept) == (0, [KEYS[0]])


def test_a_task_that_is_deleted_while_others_are_renewed_is_made_again(trial: Trial) -> None:
    trial.push(trial.tasks(0))
    number = trial.of(KEYS[0])["id"]
    trial.stub.before_answer[f"GET /api/tasks/{number}/"] = lambda: trial.stub.tasks.clear()
    [newer] = trial.tasks(0, commands="shift all +20ms")
    assert trial.push([newer]).made == 1
    assert trial.right(newer)


def _old_prediction(trial: Trial, newer: Prepared) -> None:
    """Killed after the data was replaced."""
    trial.of(newer.task.key)["data"]["version"] = newer.task.version


def _both_predictions(trial: Trial, newer: Prepared) -> None:
    """Killed before the old prediction was removed."""
    trial.of(newer.task.key)["data"]["version"] = newer.task.version
    trial.stub.add_prediction(trial.of(newer.task.key)["id"], f"d2midi-{newer.task.version}")


def _no_prediction(trial: Trial, newer: Prepared) -> None:
    trial.stub.predictions.clear()


@pytest.mark.parametrize("half", [_old_prediction, _both_predictions, _no_prediction])
def test_a_task_that_a_killed_push_left_half_renewed_is_completed(trial: Trial, half: Any) -> None:
    trial.push(trial.tasks(1))
    [newer] = trial.tasks(1, commands="shift all +20ms")
    half(trial, newer)
    assert trial.push([newer]).renewed == 1
    assert trial.right(newer)
    assert trial.push([newer]).same == 1


def test_other_addresses_of_the_same_task_are_brought_up_to_date(trial: Trial) -> None:
    trial.push(trial.tasks(0))
    found = trial.push(trial.tasks(0), Places("https://media.example.org/m", "http://127.0.0.1:9"))
    assert found.renewed == 1
    data = trial.of(KEYS[0])["data"]
    assert data["video"].startswith("https://media.example.org/m/yt-a_00000000_s000/")
    assert "http://127.0.0.1:9/task/" in data["about"]


def test_media_elsewhere_need_no_folder_of_the_server(trial: Trial) -> None:
    trial.push(trial.tasks(0), Places("s3://bucket/media"))
    assert trial.stub.storages == []
    assert all(url.startswith("s3://bucket/media/") for url in trial.of(KEYS[0])["data"]["rolls"])


def test_copies_of_a_task_go_and_those_with_work_stay(trial: Trial) -> None:
    trial.push(trial.tasks(0, 1))
    [project] = trial.stub.projects
    for key in (KEYS[0], KEYS[1]):
        number = trial.stub.add_task(project, key, data=dict(trial.of(key)["data"]))
        trial.stub.add_prediction(number, "d2midi-x")
    trial.stub.tasks[number]["annotations"].append({"id": 1, "was_cancelled": False})
    found = trial.push(trial.tasks(0, 1))
    assert (found.made, found.same) == (0, 2)
    assert trial.right(trial.tasks(0)[0])
    assert trial.of(KEYS[1])["id"] == number


# ---- parts of a sheet ----


def dense(trial: Trial) -> list[Prepared]:
    """The first clip's only sheet with so many notes that it has parts."""
    crowd = replace(CLIPS[0], notes=band(4, 60.0))
    found = list(prepared(Opened.of(crowd, Corrections([])), 0, Wishes()))
    filmed(trial.workspace, found)
    assert [each.task.part for each in found] == ["drums", "bass", "rest"]
    return found


def test_parts_that_a_sheet_has_no_more_go_and_come_back(trial: Trial) -> None:
    trial.push(trial.tasks(1) + dense(trial))
    assert len(trial.stub.keys()) == 4
    found = trial.push(trial.tasks(0))
    assert found.made == 1
    assert sorted(trial.stub.keys()) == KEYS[:2], "and none of other sheets"
    assert trial.push(dense(trial)).made == 3
    assert len(trial.stub.keys()) == 4
    assert all(trial.right(each) for each in dense(trial))


def test_a_sheet_keeps_its_parts_while_somebody_works_on_one(trial: Trial) -> None:
    parts = dense(trial)
    trial.push(parts)
    trial.submitted(parts[0].task.key)
    found = trial.push(trial.tasks(0))
    assert (found.made, found.kept) == (0, [KEYS[0]])
    assert trial.stub.keys() == [each.task.key for each in parts]
    assert trial.push(dense(trial)).same == 3


def test_work_that_begins_in_a_part_before_it_goes_is_kept(trial: Trial) -> None:
    parts = dense(trial)
    trial.push(parts)
    key = parts[1].task.key
    number = trial.of(key)["id"]
    trial.stub.before_answer[f"GET /api/tasks/{number}/"] = lambda: trial.submitted(key)
    assert trial.push(trial.tasks(0)).kept == [KEYS[0]]
    assert trial.stub.keys() == [each.task.key for each in parts], "nor is any other part changed"
    assert trial.of(key)["annotations"]


def test_a_sheet_that_cannot_be_sent_keeps_what_is_there(trial: Trial) -> None:
    parts = dense(trial)
    trial.push(parts)
    [whole] = trial.tasks(0)
    for path in filmed(trial.workspace, [whole]):
        path.unlink()
    assert [sheet for sheet, _ in trial.push([whole]).failed] == [whole.task.sheet_id]
    assert trial.stub.keys() == [each.task.key for each in parts]


def test_all_parts_of_a_sheet_are_sent_together(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else those of the next piece would look like parts that the sheet has no more."""
    monkeypatch.setattr(pushing, "_BATCH", 2)
    tasks = trial.tasks(1) + dense(trial) + trial.tasks(2)
    assert trial.push(tasks).made == 5
    found = trial.push(tasks)
    assert (found.same, found.made) == (5, 0)
    assert all(trial.right(each) for each in tasks)


# ---- files ----


def test_everything_is_here_before_a_task_is_sent(trial: Trial) -> None:
    """Else somebody could work on what cannot be shown or read back."""
    tasks = trial.tasks()
    seen: list[int] = []

    def look() -> None:
        for each in tasks:
            found = kept_task(trial.workspace, each.task.key, each.task.version)
            assert kept_layers(trial.workspace, found) == each.shown
            assert all((trial.workspace.media / name).is_file() for name in each.pictures)
        seen.append(1)

    trial.stub.projects[1] = {"title": TITLE, "label_config": config()}
    trial.stub.before_answer["POST /api/projects/1/import"] = look
    assert trial.push(tasks).made == 3
    assert seen == [1]


def test_what_was_lost_here_is_made_again(trial: Trial) -> None:
    [one] = trial.tasks(0)
    trial.push([one])
    picture = trial.workspace.media / one.pictures[0]
    before = picture.read_bytes()
    picture.unlink()
    for record in (trial.workspace.root / "annotation" / "sent").iterdir():
        record.unlink()
    assert trial.push([one]).same == 1
    assert picture.read_bytes() == before
    assert (
        kept_layers(trial.workspace, kept_task(trial.workspace, one.task.key, one.task.version)) == one.shown
    )


def test_a_sheet_without_video_is_told_and_not_sent(trial: Trial) -> None:
    tasks = trial.tasks()
    for path in (trial.workspace.media / tasks[1].task.sheet_id).glob("*.mp4"):
        path.unlink()  # and there is nothing here to render it from
    found = trial.push(tasks)
    assert found.made == 2
    [(sheet, message)] = found.failed
    assert sheet == tasks[1].task.sheet_id
    assert message
    assert trial.stub.keys() == [KEYS[0], KEYS[2]]
    assert sum(trial.done) == 3


def test_excerpts_of_one_sheet_show_a_video_each(trial: Trial) -> None:
    tasks = [blind(Excerpt(LONG.clip_id, at, at + 10), LONG) for at in (30, 45)]
    filmed(trial.workspace, tasks)
    assert trial.push(tasks).made == 2
    videos = {task["data"]["video"] for task in trial.stub.tasks.values()}
    assert len(videos) == 2
    assert trial.stub.predictions == {}
    assert trial.push(tasks).same == 2


def test_tasks_are_sent_in_pieces_and_those_before_a_mistake_stay(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "_BATCH", 1)

    def tasks() -> Iterator[Prepared]:
        yield from trial.tasks(0, 1)
        raise UsageError("no more")

    with pytest.raises(UsageError, match="no more"):
        push(trial.workspace, trial.studio, TITLE, tasks(), Places(), workers=1, on_done=lambda _: None)
    assert trial.stub.keys() == KEYS[:1]
    assert trial.push(trial.tasks()).made == 2


def test_an_import_that_the_server_finished_unheard_makes_nothing_twice(trial: Trial) -> None:
    trial.stub.projects[1] = {"title": TITLE, "label_config": config()}
    trial.stub.faults.append(Fault("POST /api/projects/1/import", "after"))
    trial.push(trial.tasks())
    assert trial.stub.keys() == KEYS


def test_a_server_that_stays_away_ends_the_push_and_the_next_one_goes_on(trial: Trial) -> None:
    tasks = trial.tasks()
    trial.stub.projects[1] = {"title": TITLE, "label_config": config()}
    fault = Fault("POST /api/projects/1/import", 503, times=1000)
    trial.stub.faults.append(fault)
    with pytest.raises(TransientError, match="run the command again"):
        trial.push(tasks)
    fault.times = 0
    assert trial.push(tasks).made == 3
    assert all(trial.right(each) for each in tasks)


def test_a_workspace_opens_as_before(trial: Trial) -> None:
    trial.push(trial.tasks(0))
    assert Workspace.open(trial.workspace.root).root == trial.workspace.root


def _dense(trial: Trial, commands: str = "", part_of: str = "abc") -> list[Prepared]:
    """The parts of a dense sheet; or the same sheet with few notes, which is one task."""
    notes = band(30, 150.0) if part_of == "abc" else CLIPS[0].notes
    opened = Opened.of(replace(CLIPS[0], notes=notes), Corrections([]))
    found = prepared(opened, 0, Wishes(commands=commands))
    filmed(trial.workspace, found)
    return found


def test_parts_of_a_sheet_are_renewed_together_or_not_at_all(trial: Trial) -> None:
    """Else whoever has submitted two of three parts could never submit the third of the same notes."""
    first, later = _dense(trial), _dense(trial, "octave Violin +1")
    keys = [each.task.key for each in first]
    assert [key.rpartition(".")[2] for key in keys] == ["drums", "bass", "rest"]
    trial.push(first)
    trial.submitted(keys[0])
    found = trial.push(later)
    assert (found.kept, found.renewed, found.made) == (keys, 0, 0)
    assert all(trial.right(each) for each in first)


def test_a_sheet_that_is_sent_otherwise_is_not_given_out_twice(trial: Trial) -> None:
    parts, whole = _dense(trial), _dense(trial, part_of="one")
    trial.push(parts)
    trial.push(whole)
    assert trial.stub.keys() == [whole[0].task.key]
    trial.submitted(whole[0].task.key)
    assert trial.push(parts).kept == [each.task.key for each in parts]
    assert trial.stub.keys() == [whole[0].task.key]
