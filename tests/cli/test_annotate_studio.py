"""``d2midi annotate push`` and ``pull`` as whoever runs them meets them, with a server that answers as the real one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from d2midi_build.annotate.corrections import Corrections, path_in
from d2midi_build.annotate.studio import credentials
from d2midi_build.annotate.studio.choosing import sheet_tasks
from d2midi_build.annotate.studio.client import Studio
from d2midi_build.annotate.studio.preparing import Wishes
from d2midi_build.annotate.studio.selection import candidates
from d2midi_build.cli.annotate import app
from d2midi_build.cli.annotate import studio as commands
from d2midi_build.errors import TransientError, UsageError
from d2midi_build.workspace import Workspace
from tests.annotate.studio.pushing import clip, filmed, workspace_of
from tests.annotate.studio.shelf import Shelf
from tests.annotate.studio.stub import EMAIL, TOKEN, Running, Stub, running

CLIPS = [clip("a", 4), clip("b", 4, seed=1)]
PUSHED = {"project", "made", "renewed", "same", "kept", "failed"}
PULLED = {
    "tasks", "answered", "drafts", "kept", "repeated", "sheets", "conflicts", "partly", "flags", "remarks", "dropped",
    "planted", "blind", "problems",
}  # fmt: skip

Run = Callable[..., Result]


@pytest.fixture
def server() -> Iterator[Running]:
    with running(Stub()) as it:
        yield it


@pytest.fixture
def stub(server: Running) -> Stub:
    return server.stub


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two sheets whose videos are there."""
    made = workspace_of(tmp_path / "w", *CLIPS)
    filmed(made, sheet_tasks(made, candidates(made), Wishes(), []))
    return made


@pytest.fixture
def run(workspace: Workspace, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command of somebody whose only token is in the environment."""
    monkeypatch.setattr(credentials, "_keyring", lambda: None)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABEL_STUDIO_URL", stub.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", TOKEN)

    def command(*arguments: object) -> Result:
        return CliRunner().invoke(app, [*map(str, arguments), "-w", str(workspace.root)])

    return command


def told(result: Result) -> Any:
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


def refused(result: Result, kind: type[Exception] = UsageError) -> str:
    assert isinstance(result.exception, kind), (result.output, result.exception)
    return str(result.exception)


def submitted(stub: Stub, key: str, verdict: str, *more: dict[str, Any]) -> None:
    """The notes of a task as they were sent, with a verdict."""
    [task] = [each for each in stub.tasks.values() if each["data"]["task_key"] == key]
    [prediction] = [each for each in stub.predictions.values() if each["task"] == task["id"]]
    made = Shelf().submit(
        {"annotations": task["annotations"], "total_annotations": 0}, prediction["result"], verdict
    )
    made["result"] += more


# ---- what push and pull say ----


def test_a_push_and_a_pull_print_one_json_object_each(run: Run, stub: Stub, workspace: Workspace) -> None:
    pushed = told(run("push", "--json"))
    assert {*pushed} == PUSHED
    assert (pushed["made"], pushed["same"], pushed["failed"]) == (2, 0, [])
    assert pushed["project"]["url"] == f"{stub.url}/projects/{pushed['project']['id']}/"
    assert told(run("push", "--json"))["same"] == 2
    submitted(stub, "yt-a_00000000_s000.all", "No change needed")
    found = told(run("pull", "--json"))
    assert {*found} == PULLED
    assert (found["tasks"], found["answered"], found["kept"], found["problems"]) == (2, 1, 1, [])
    assert found["sheets"] == [{"sheet": "yt-a_00000000_s000", "by": EMAIL, "edits": {}, "suspicions": []}]
    [line] = Corrections.read(path_in(workspace)).lines
    assert (line.by, line.sheet_id) == (EMAIL, "yt-a_00000000_s000")


def test_a_person_reads_what_became_of_it_and_where_to_go(run: Run, stub: Stub) -> None:
    said = run("push").stdout
    assert "2 tasks made, 0 renewed, 0 as they were" in said
    assert f"Annotate at {stub.url}/projects/" in said
    remark = {
        "type": "textarea",
        "from_name": "remark",
        "to_name": "roll",
        "id": "r",
        "value": {"text": ["<b>hm</b>"]},
    }
    submitted(stub, "yt-a_00000000_s000.all", "No change needed", remark)
    said = run("pull").stdout
    assert "1 of 2 tasks submitted, 0 begun. 1 corrections kept" in said
    assert f"yt-a_00000000_s000.all: {EMAIL} remarks: <b>hm</b>" in said
    assert "1 were there already" in run("pull").stdout


def test_work_that_was_left_alone_is_named(run: Run, stub: Stub, workspace: Workspace) -> None:
    run("push")
    earlier = Wishes(commands="shift all +20ms")
    filmed(workspace, sheet_tasks(workspace, candidates(workspace), earlier, []))
    submitted(stub, "yt-a_00000000_s000.all", "Corrected")
    said = run("push", "--command", "shift all +20ms").stdout
    assert "left alone, since somebody has worked on it: yt-a_00000000_s000.all" in said
    assert "0 tasks made, 1 renewed, 0 as they were" in said


def test_a_dry_run_keeps_nothing(run: Run, stub: Stub, workspace: Workspace) -> None:
    run("push")
    submitted(stub, "yt-a_00000000_s000.all", "Corrected")
    assert "1 corrections would be kept" in run("pull", "--dry-run").stdout
    assert not path_in(workspace).exists()


def test_what_cannot_be_used_ends_with_a_failure(run: Run, stub: Stub) -> None:
    run("push")
    submitted(stub, "yt-a_00000000_s000.all", "Corrected", {"nonsense": 1})
    submitted(stub, "yt-b_00000000_s000.all", "Corrected")
    result = run("pull", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["kept"], [each["task"] for each in found["problems"]]) == (1, ["yt-a_00000000_s000.all"])


def test_a_sheet_that_was_not_sent_ends_with_a_failure(run: Run, workspace: Workspace) -> None:
    for path in (workspace.root / "annotation" / "served" / "media" / "yt-b_00000000_s000").glob("*.mp4"):
        path.unlink()
    result = run("push", "--json", "--workers", 1)
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["made"], [each["sheet"] for each in found["failed"]]) == (1, ["yt-b_00000000_s000"])


# ---- which sheets, and how ----


def test_only_the_sheets_that_were_asked_for_are_sent(run: Run, stub: Stub) -> None:
    assert told(run("push", "yt-b", "--json"))["made"] == 1
    assert stub.keys() == ["yt-b_00000000_s000.all"]


def test_what_is_sent_is_as_wished(run: Run, stub: Stub) -> None:
    told(run("push", "yt-a", "--media", "s3://bucket/m/", "--listen", "http://127.0.0.1:9", "--json"))
    [task] = stub.tasks.values()
    assert task["data"]["rolls"][0].startswith("s3://bucket/m/yt-a_00000000_s000/all.")
    assert "http://127.0.0.1:9/task/" in task["data"]["about"]
    assert stub.storages == []


def test_clips_too_short_for_an_excerpt_give_none(run: Run, stub: Stub) -> None:
    assert told(run("push", "--blind", 2, "--json"))["made"] == 0
    assert stub.tasks == {}


# ---- mistakes ----


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--split", "train"], "none has a split yet: build a release first"),
        (["--genre", "waltz"], "none has a genre yet"),
        (["--below", "1.5"], "over 0 and at most 1"),
        (["yt-z"], "no clip"),
        (["--command", "shove all"], "--command: line 1, column 1"),
        (["--blind", "2", "--plant", "0.05"], "--blind shows nothing of the machine's"),
        (["--blind", "2", "--command", "shift all +1ms"], "--blind shows nothing"),
        (["--blind", "2", "--kinematic-beats"], "--blind shows nothing"),
        (["--url", "ftp://x"], "is no URL"),
    ],
)
def test_a_mistake_is_told_before_anything_is_made(
    run: Run, stub: Stub, options: list[str], words: str
) -> None:
    assert words in refused(run("push", *options))
    assert stub.tasks == {}


def test_without_a_server_both_say_how_to_start_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABEL_STUDIO_URL")
    for command in ("push", "pull"):
        assert "Start one with `d2midi annotate serve`" in refused(run(command))


def test_without_a_token_both_say_where_to_get_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABEL_STUDIO_API_KEY")
    for command in ("push", "pull"):
        assert "d2midi annotate login" in refused(run(command))


def test_a_wrong_token_is_told_without_showing_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = "f" * 40
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", wrong)
    message = refused(run("push"))
    assert "does not accept this token" in message
    assert wrong not in message


def test_a_server_that_is_away_is_waited_for_and_told(
    run: Run, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impatient(access: credentials.Credentials) -> Studio:
        return Studio.connect(access.url, access.token, patience_s=0.0)

    monkeypatch.setattr(commands, "studio_of", impatient)
    server.stop()
    assert "Is Label Studio running" in refused(run("push"), TransientError)


def test_a_project_that_was_never_pushed_is_told(run: Run) -> None:
    assert "`d2midi annotate push` makes it" in refused(run("pull", "--project", "nothing"))


def test_a_server_that_is_none_is_told(run: Run, stub: Stub) -> None:
    stub.release = None
    assert "is no Label Studio" in refused(run("push"))
