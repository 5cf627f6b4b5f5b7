"""What goes wrong in real life: kills, crashes, full and read-only disks, two builds at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from d2midi_build import validation
from d2midi_build.engine.base import Job
from d2midi_build.engine.local import LocalEngine
from d2midi_build.errors import WorkspaceError
from d2midi_build.ledger import Ledger
from d2midi_build.pipeline import Selection, Summary, build
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import read_sources
from d2midi_build.workspace import Workspace
from tests.integration.test_build import digests, rows
from tests.interrupting import interruptible


def start(root: Path, dances: Path, recipe: Path) -> subprocess.Popen[bytes]:
    """The command a user would type, in a process group of its own."""
    command = [sys.executable, "-c", "from d2midi_build.cli import main; main()", "build", "--quiet", "--source",
               str(dances / "list.txt"), "--recipe", str(recipe), "-w", str(root)]  # fmt: skip
    with interruptible():
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )


@pytest.fixture
def recipe_file(tmp_path: Path, recipe: Recipe) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml())
    return path


@pytest.mark.slow
def test_killed_at_20_random_moments_it_ends_with_the_same_bytes(
    built: tuple[Path, Summary], tmp_path: Path, dances: Path, recipe_file: Path
) -> None:
    expected = digests(built[0])
    whole_s = built[1].wall_s
    rng = random.Random(1)
    root = tmp_path / "workspace"
    kills = finished = 0
    while kills < 20:
        run = start(root, dances, recipe_file)
        try:
            run.communicate(timeout=rng.uniform(0.3, whole_s / 2))
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
            kills += 1
        else:  # it got through: from the start again
            assert digests(root) == expected
            finished += 1
            shutil.rmtree(root)
    run = start(root, dances, recipe_file)
    _, errors = run.communicate(timeout=600)
    assert run.returncode == 1, errors.decode()  # two of the four sources are broken
    assert digests(root) == expected
    assert validation.validate(Workspace.open(root), deep=True) == []
    assert list((root / "tmp").iterdir()) == []


def test_ctrl_c_ends_cleanly_and_says_how_to_go_on(tmp_path: Path, dances: Path, recipe_file: Path) -> None:
    root = tmp_path / "workspace"
    run = start(root, dances, recipe_file)
    deadline = time.monotonic() + 240
    while not any((root / "store").glob("filter/*/*")):
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGINT)
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 130
    assert "run the same command again" in errors.decode()
    assert "Traceback" not in errors.decode()
    assert rows(root, "videos")  # the manifests show what was done


class _CrashingEngine(LocalEngine):
    """The local engine, whose worker dies of a real SIGSEGV on some jobs."""

    def __init__(self, *arguments: Any, crash_on: str) -> None:
        super().__init__(*arguments)
        self._crash_on = crash_on

    def submit(self, job: Job) -> None:
        if job.stage == self._crash_on and job.item.endswith("_00000000") and not hasattr(self, "_victim"):
            self._victim = job.item
            job = replace(job, function="tests.engine.jobs:square", params={"segfault": True})
        super().submit(job)


def test_an_item_that_crashes_its_worker_is_quarantined_alone(
    tmp_path: Path, dances: Path, recipe: Recipe
) -> None:
    root = tmp_path / "workspace"
    sources = list(read_sources(dances / "list.txt"))
    summary = build(
        sources,
        root,
        recipe,
        make_engine=lambda workspace, _: _CrashingEngine(2, 2, workspace.logs, 600.0, crash_on="transcribe"),
    )
    assert summary.ran["transcribe"] == {"failed": 1, "done": 1}
    states = {clip["status"]: clip for clip in rows(root, "clips")}
    assert set(states) == {"done", "failed"}
    assert (states["failed"]["failed_stage"], states["failed"]["reason"]) == ("transcribe", "crash")
    assert "SIGSEGV" in states["failed"]["message"]
    assert build(sources, root, recipe).ran == {}  # quarantined: not tried again by itself
    mended = build(sources, root, recipe, Selection(retry=("crash",)))
    assert mended.ran == {"transcribe": {"done": 1}, "beats": {"done": 1}, "window": {"done": 1}}


def test_two_builds_at_once_are_refused(workspace: Path, dances: Path, recipe: Recipe) -> None:
    with Workspace(workspace).lock(), pytest.raises(WorkspaceError, match="in use"):
        build(list(read_sources(dances / "list.txt")), workspace, recipe)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_stops_clearly_and_more_room_lets_it_go_on(
    built: tuple[Path, Summary], tmp_path: Path, dances: Path, recipe: Recipe
) -> None:
    recipe = recipe.with_field("run.min_free_gb", 0.0).with_field("crawl.min_free_bytes", 0)
    sources = list(read_sources(dances / "list.txt"))
    disk = tmp_path / "disk"
    sizes = [path.stat().st_size for path in sorted(dances.glob("dance-*.mp4"))]
    with mounted(disk, f"size={sum(sizes) + 150_000}"):
        root = disk / "workspace"
        with pytest.raises(WorkspaceError, match=r"full|No space left") as caught:
            build(sources, root, recipe)
        assert "run the same command again" in str(caught.value)
        done = [record for record in Ledger(root / "ledger" / "ledger.jsonl") if record.status == "done"]
        assert done  # what was done before the disk was full stays done
        ended = list(Ledger(root / "ledger" / "ledger.jsonl"))
        assert not any(record.status == "failed" and record.stage != "crawl" for record in ended)
        subprocess.run(["mount", "-o", "remount,size=500M", str(disk)], check=True)
        build(sources, root, recipe)
        assert digests(root).keys() == digests(built[0]).keys()
        assert validation.validate(Workspace.open(root), deep=True) == []


def test_too_little_room_is_said_before_anything_starts(tmp_path: Path, dances: Path, recipe: Recipe) -> None:
    with pytest.raises(WorkspaceError, match=r"run\.min_free_gb = 1000000"):
        build(
            list(read_sources(dances / "list.txt")), tmp_path / "w", recipe.with_field("run.min_free_gb", 1e6)
        )


def test_a_read_only_workspace_is_said_clearly(
    tmp_path: Path, dances: Path, recipe: Recipe, workspace: Path
) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "size=200M"):
        shutil.copytree(workspace, disk / "workspace")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(WorkspaceError, match="cannot write"):
            build(list(read_sources(dances / "list.txt")), disk / "workspace", recipe)
        assert validation.validate(Workspace.open(disk / "workspace")) == []  # reading works


def test_a_build_prints_one_json_object(workspace: Path, dances: Path, recipe_file: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from d2midi_build.cli import main; main()",
        "build",
        "--json",
        "-w",
        str(workspace),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    data = json.loads(done.stdout)
    assert (data["sources"], data["clips"], data["ran"], data["failed"]) == (4, 2, {}, {"permanent": 2})
