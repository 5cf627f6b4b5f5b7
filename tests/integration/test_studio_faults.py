"""Push and pull with a real Label Studio under kills, restarts and lies: each task once, work whole, nothing false."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from d2midi_build import tables
from d2midi_build.annotate.corrections import Corrections, path_in
from d2midi_build.annotate.edits import edits
from d2midi_build.annotate.studio import importing
from d2midi_build.annotate.studio.choosing import sheet_tasks
from d2midi_build.annotate.studio.client import Studio
from d2midi_build.annotate.studio.preparing import Prepared, Wishes, kept_task
from d2midi_build.annotate.studio.pull import Pulled, pull
from d2midi_build.annotate.studio.push import Places, Pushed, push
from d2midi_build.annotate.studio.regions import regions
from d2midi_build.annotate.studio.selection import candidates
from d2midi_build.annotate.studio.tasks import Task
from d2midi_build.workspace import Workspace
from tests.annotate.making import band
from tests.annotate.studio.pushing import filmed
from tests.annotate.studio.sending import Editor
from tests.integration.label_studio import Live, live
from tests.report.clips import make_clip, make_workspace

pytestmark = pytest.mark.browser

KILLS = 5
CLIPS = 30
RENDERED = 3
"""Clips whose videos push renders itself; of all others they are there."""

SECONDS = 2
COMMAND, OTHER = "delete Violin", "delete Piccolo"
EMAIL = "ada@faults.example"


@dataclass(frozen=True)
class Trial:
    """A workspace and a project of its own on a server."""

    workspace: Workspace
    server: Live
    studio: Studio
    title: str

    def tasks(self, commands: str = "") -> list[Prepared]:
        """What its sheets are to become."""
        chosen = candidates(self.workspace)
        return list(sheet_tasks(self.workspace, chosen, Wishes(commands=commands), []))

    def push(self, tasks: Sequence[Prepared], on_done: Any = lambda _: None) -> Pushed:
        return push(self.workspace, self.studio, self.title, tasks, Places(), workers=1, on_done=on_done)

    def pull(self, **options: Any) -> Pulled:
        return pull(self.workspace, self.studio, [self.title], **options)

    def there(self) -> list[Task]:
        """The project's tasks."""
        project = self.studio.find_project(self.title)
        return [] if project is None else list(self.studio.tasks(project.id))

    def results(self, task: Task) -> list[Any]:
        """Items of each prediction of a task."""
        return [each["result"] for each in self.api("GET", f"/api/predictions/?task={task.id}")]

    def api(self, method: str, path: str, body: Any = None, cookie: str = "") -> Any:
        """What the server answers to anybody who knows how to ask."""
        token = self.server.served.admin.token
        headers = {"Cookie": cookie} if cookie else {"Authorization": f"Token {token}"}
        with httpx.Client(base_url=self.server.url, trust_env=False, timeout=60, headers=headers) as client:
            answer = client.request(method, path, json=body)
        assert answer.status_code < 400, answer.text[:500]
        return answer.json() if answer.content else None

    def submit(self, task: Task, items: Any, verdict: str = "Corrected", cookie: str = "") -> None:
        said = {"id": "verdict", "type": "choices", "from_name": "verdict", "to_name": "roll"}
        whole = [*items, said | {"value": {"choices": [verdict]}}] if verdict else items
        self.api("POST", f"/api/tasks/{task.id}/annotations/", {"result": whole, "lead_time": 60.0}, cookie)

    def corrections(self) -> Corrections:
        return Corrections.read(path_in(self.workspace))

    def start(self, command: str, *options: str) -> subprocess.Popen[bytes]:
        """The command as a user types it, in a process group of its own."""
        told = [
            "annotate",
            command,
            "--project",
            self.title,
            "-w",
            str(self.workspace.root),
            "--quiet",
            *options,
        ]
        environment = os.environ | {
            "LABEL_STUDIO_URL": self.server.url,
            "LABEL_STUDIO_API_KEY": self.server.served.admin.token,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }
        program = [sys.executable, "-c", "from d2midi_build.cli import main; main()"]
        return subprocess.Popen(
            [*program, *told],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )

    def finish(self, command: str, *options: str) -> float:
        """Run it to its end; seconds that it took."""
        begun = time.monotonic()
        run = self.start(command, *options)
        output, errors = run.communicate(timeout=300)
        assert run.returncode == 0, (output + errors).decode()
        return time.monotonic() - begun

    def killed(self, command: str, *options: str, after_s: float) -> bool:
        """Run it and kill it; False if it was faster."""
        run = self.start(command, *options)
        try:
            run.communicate(timeout=after_s)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
            return True
        return False


def workspace_with_media(root: Path) -> Workspace:
    """Clips of a second or two, of which a few have videos to render."""
    clips = [
        replace(
            make_clip(20 * SECONDS, clip_id=f"yt-{number:02d}_00000000"),
            keypoints=None,
            notes=band(SECONDS, 8.0, number),
        )
        for number in range(CLIPS)
    ]
    workspace = Workspace(make_workspace(root, *clips))
    tables.write(workspace.manifests / "videos.parquet", tables.schema("videos").arrow().empty_table())
    for command in ("", COMMAND, OTHER):
        wishes = Wishes(commands=command)
        filmed(workspace, sheet_tasks(workspace, candidates(workspace)[RENDERED:], wishes, []))
    return workspace


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, label_studio_seed: Path) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("faults")
    with live(workspace_with_media(folder / "w").root, folder / "private", label_studio_seed) as it:
        yield it


@pytest.fixture
def trial(server: Live, request: pytest.FixtureRequest) -> Iterator[Trial]:
    """The workspace as it was, and a project that nobody has used."""
    workspace = Workspace.open(server.workspace)
    with server.studio() as studio:
        it = Trial(workspace, server, studio, request.node.name[:50])
        yield it
        if project := studio.find_project(it.title):
            studio.delete_project(project.id)
    for each in candidates(workspace)[:RENDERED]:
        shutil.rmtree(workspace.media / each.sheet.sheet_id, ignore_errors=True)
    shutil.rmtree(workspace.root / "annotation" / "sent", ignore_errors=True)
    path_in(workspace).unlink(missing_ok=True)


def assert_whole(trial: Trial, tasks: Sequence[Prepared]) -> None:
    """Each task is there once, with its one prediction, its files, and what reading it needs."""
    there = trial.there()
    assert Counter(task.key for task in there) == Counter(each.task.key for each in tasks)
    by_key = {task.key: task for task in there}
    for each in tasks:
        task = by_key[each.task.key]
        assert task.data["version"] == each.task.version
        assert task.versions == (f"d2midi-{each.task.version}",)
        assert trial.results(task) == [regions(each.task)]
        assert kept_task(trial.workspace, task.key, each.task.version) == each.task
        for page, name in enumerate(each.pictures):
            assert (trial.workspace.media / name).read_bytes() == each.draw(page)
        video = trial.workspace.media / task.data["video"].split("?d=media/")[1]
        assert video.is_file()
    media = [
        path for folder in ("served", "sent") for path in (trial.workspace.annotation / folder).rglob(".*")
    ]
    assert media == []  # nothing half written


# ---- kills ----


def test_a_push_killed_at_random_moments_makes_each_task_once_and_whole(trial: Trial) -> None:
    tasks, rng = trial.tasks(), random.Random(1)
    whole_s, kills = 12.0, 0
    while kills < KILLS:
        if trial.killed("push", after_s=rng.uniform(1.0, whole_s)):
            kills += 1
            continue
        whole_s = min(whole_s, 8.0)
        trial.studio.delete([task.id for task in trial.there()])
    trial.finish("push")
    assert_whole(trial, tasks)


def test_a_push_of_other_notes_killed_at_random_moments_renews_what_nobody_worked_on(trial: Trial) -> None:
    before, after = trial.tasks(), trial.tasks(COMMAND)
    trial.push(before)
    touched = {task.key: task for task in trial.there() if int(task.key[3:5]) % 5 == 0}
    worked_on = [each for each in before if each.task.key in touched]
    for each in worked_on:
        trial.submit(touched[each.task.key], Editor(each.task).items)
    answers = {task.key: task.annotations for task in trial.there() if task.annotations}
    assert answers.keys() == touched.keys()
    rng, kills, whole_s = random.Random(2), 0, 10.0
    while kills < KILLS:
        command = COMMAND if kills % 2 == 0 else OTHER
        kills += trial.killed("push", "--command", command, after_s=rng.uniform(1.5, whole_s))
    run = trial.start("push", "--command", COMMAND)
    output, errors = run.communicate(timeout=300)
    assert run.returncode == 0, errors.decode()
    assert output.decode().count("left alone") == len(touched) == CLIPS // 5
    assert {task.key: task.annotations for task in trial.there() if task.annotations} == answers
    wanted = {each.task.key: each for each in after} | {each.task.key: each for each in worked_on}
    assert_whole(trial, list(wanted.values()))


def test_a_pull_killed_at_random_moments_keeps_each_correction_once_and_whole(trial: Trial) -> None:
    tasks = {each.task.key: each for each in trial.tasks()}
    trial.push(list(tasks.values()))
    gone: dict[str, int] = {}
    for task in trial.there():
        editor = Editor(tasks[task.key].task)
        gone[tasks[task.key].task.sheet_id] = number = tasks[task.key].task.notes[0].number
        editor.drop(number)
        trial.submit(task, editor.items)
    whole_s = trial.finish("pull", "--dry-run")
    rng, kills = random.Random(3), 0
    while kills < KILLS:
        if trial.killed("pull", after_s=rng.uniform(whole_s / 3, whole_s)):
            kills += 1
        else:
            path_in(trial.workspace).unlink()
    trial.finish("pull")
    lines = trial.corrections().lines
    assert sorted(line.sheet_id for line in lines) == sorted(gone)
    found = {(line.sheet_id, edit.number, edit.kind) for line in lines for edit in edits(line.layered)}
    assert found == {(sheet_id, number, "deleted") for sheet_id, number in gone.items()}
    before = path_in(trial.workspace).read_bytes()
    again = trial.pull()
    assert (again.corrections, again.repeated, again.problems) == ([], CLIPS, [])
    assert path_in(trial.workspace).read_bytes() == before


# ---- restarts ----


class Restarted:
    """A server that is stopped and started again by the main thread while another works with it."""

    def __init__(self, stack: ExitStack, workspace: Path, private: Path) -> None:
        self._stack, self._workspace, self._private = stack, workspace, private
        self._reached, self._stopped = threading.Event(), threading.Event()
        self._running = ExitStack()
        stack.callback(self._running.close)
        self.server = self._running.enter_context(live(workspace, private))

    def here(self) -> None:
        """Called where the server is to be gone: returns once it is."""
        if not self._reached.is_set():
            self._reached.set()
            assert self._stopped.wait(60)

    def around(self, work: Any) -> Any:
        """Do some work in another thread and restart the server once it has come `here`."""
        port = int(self.server.url.rpartition(":")[2])
        with ThreadPoolExecutor(1) as pool:
            doing = pool.submit(work)
            assert self._reached.wait(60)
            self._running.close()
            self._stopped.set()
            self._running.enter_context(live(self._workspace, self._private, port=port))
            found = doing.result(120)
        self._reached.clear()
        self._stopped.clear()
        return found


def test_a_server_that_is_started_again_in_the_middle_is_survived(
    tmp_path: Path, label_studio_seed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = workspace_with_media(tmp_path / "w")
    shutil.copytree(label_studio_seed, tmp_path / "private")
    monkeypatch.setattr(importing, "_BATCH_TASKS", 10)
    batches = importing._batches

    with ExitStack() as stack:
        restarted = Restarted(stack, workspace.root, tmp_path / "private")
        studio = stack.enter_context(restarted.server.studio())
        trial = Trial(workspace, restarted.server, studio, "restarted")
        made, renewed = trial.tasks(), trial.tasks(COMMAND)

        def stopping(tasks: Any) -> Iterator[Any]:
            for number, batch in enumerate(batches(tasks)):
                if number == 1:
                    restarted.here()
                yield batch

        with monkeypatch.context() as patch:
            patch.setattr(importing, "_batches", stopping)
            assert restarted.around(lambda: trial.push(made)).made == CLIPS
        assert_whole(trial, made)

        done: list[int] = []

        def told(count: int) -> None:
            done.append(count)
            if sum(done) == CLIPS // 2:
                restarted.here()

        assert restarted.around(lambda: trial.push(renewed, told)).renewed == CLIPS
        assert_whole(trial, renewed)

        by_key = {each.task.key: each for each in renewed}
        for task in trial.there():
            trial.submit(task, Editor(by_key[task.key].task).items, "No change needed")
        read: list[int] = []
        monkeypatch.setattr("d2midi_build.annotate.studio.tasks._PAGE", 10)

        def counted(count: int) -> None:
            read.append(count)
            if len(read) == 10:
                restarted.here()

        found = restarted.around(lambda: trial.pull(on_done=counted))
        assert (len(found.corrections), found.problems, len(read)) == (CLIPS, [], CLIPS)


# ---- lies ----


def test_what_anybody_may_post_is_told_of_each_task_and_never_enters(trial: Trial) -> None:
    tasks = {each.task.key: each for each in trial.tasks()}
    trial.push(list(tasks.values()))
    there = {task.key: task for task in trial.there()}
    keys = sorted(there)
    ada = trial.server.sign_up(EMAIL)

    def items(place: int) -> list[dict[str, Any]]:
        return Editor(tasks[keys[place]].task).items

    def value(**changes: Any) -> Any:
        def spoil(found: list[dict[str, Any]]) -> Any:
            found[0]["value"] |= changes
            return found

        return spoil

    lies: list[tuple[Any, str]] = [
        (value(rectanglelabels=["Kazoo"]), "Kazoo"),
        (value(x=200), "x"),
        (value(width=-3), "-3 wide"),
        (value(x=1e308), "x"),
        (value(rectanglelabels=["Violin", "Drum"]), "2 instruments"),
        (lambda found: [*found, found[0]], "twice"),
        (lambda found: [found[0] | {"value": {}}, *found[1:]], ""),
        (lambda found: [*found, {"id": "x"}], ""),
        (lambda found: [*found, {"type": "choices", "from_name": "nobody", "to_name": "roll", "id": "x",
                                 "value": {"choices": ["a"]}}], ""),
        (lambda found: [each | {"item_index": 77} for each in found], "page"),
        (lambda found: [dict(each, id=f"{each['id']}{copy}") for copy in range(300) for each in found], ""),
    ]  # fmt: skip
    for place, (spoil, _) in enumerate(lies):
        trial.submit(there[keys[place]], spoil(items(place)), cookie=ada)
    spoilt = len(lies)
    trial.submit(there[keys[spoilt]], items(spoilt), "", cookie=ada)  # no verdict
    trial.submit(there[keys[spoilt + 1]], items(spoilt + 1), "Whatever", cookie=ada)
    forged = there[keys[spoilt + 2]]
    trial.submit(forged, items(spoilt + 2), cookie=ada)
    data = forged.data | {"version": "../../../../etc/passwd"}
    trial.api("PATCH", f"/api/tasks/{forged.id}/", {"data": data}, ada)
    deleted = there[keys[spoilt + 3]]
    trial.submit(deleted, items(spoilt + 3), cookie=ada)
    trial.api("DELETE", f"/api/tasks/{deleted.id}/")
    project = trial.studio.find_project(trial.title)
    assert project is not None
    foreign = {"data": {"title": "mine", "rolls": [], "video": "", "about": "<script>alert(1)</script>"}}
    trial.api("POST", f"/api/projects/{project.id}/import", [foreign])
    remark = {"id": "r", "type": "textarea", "from_name": "remark", "to_name": "roll"}
    remark |= {"value": {"text": ["<script>alert(1)</script>\x1b[2J"]}}
    good = keys[spoilt + 4]
    trial.submit(there[good], [*items(spoilt + 4), remark], "No change needed", cookie=ada)

    found = trial.pull()
    assert [line.sheet_id for line in found.corrections] == [tasks[good].task.sheet_id]
    assert [line.by for line in trial.corrections().lines] == [EMAIL]
    assert found.corrections[0].layered == tasks[good].shown
    told = dict(found.problems)
    for key, (_, word) in zip(keys, lies, strict=False):
        assert word in told[key], told[key]
        assert EMAIL in told[key]
        assert len(told[key]) < 10_000
    for key in keys[spoilt : spoilt + 3]:
        assert key in told
    assert "cannot name a file" in told[forged.key]
    assert deleted.key not in told
    [(_, _, said)] = found.remarks
    assert said.startswith("<script>alert(1)</script>")
    assert said.isprintable()
    assert found.n_tasks == CLIPS  # one gone, one too many
