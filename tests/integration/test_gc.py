"""``d2midi gc`` on a real workspace."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from d2midi_build import validation
from d2midi_build.errors import WorkspaceLocked
from d2midi_build.garbage import Freed, collect
from d2midi_build.ledger import Ledger, Record
from d2midi_build.manifests import remember, remembered
from d2midi_build.pipeline import Selection, Summary, build
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import read_sources
from d2midi_build.workspace import Workspace

Build = Callable[..., Summary]


def tree(root: Path) -> dict[str, bytes]:
    """Every file but the logs and what says who holds the lock."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "logs" not in path.parts and path.name != "lock"
    }


def test_nothing_goes_from_a_fresh_workspace(workspace: Path, again: Build) -> None:
    before = tree(workspace)
    assert collect(Workspace.open(workspace)) == Freed(0, 0, 0)
    assert tree(workspace) == before
    assert again().ran == {}


def test_what_an_earlier_recipe_made_goes(workspace: Path, again: Build, recipe: Recipe) -> None:
    before = tree(workspace)
    other = recipe.with_field("window.frames", 61)
    assert again(other).ran == {"window": {"done": 2}}
    freed = collect(Workspace.open(workspace))
    assert (freed.folders, freed.records) == (2, 2)
    assert freed.bytes > 0
    assert again(other).ran == {}, "what the last recipe names stays"
    assert len(list((workspace / "store" / "window").glob("*/*"))) == 2
    assert again(recipe).ran == {"window": {"done": 2}}, "going back computes again"
    collect(Workspace.open(workspace))
    after = tree(workspace)
    del before["ledger/ledger.jsonl"], after["ledger/ledger.jsonl"]  # its new lines carry new times
    assert after == before


def test_a_dry_run_says_the_same_and_removes_nothing(workspace: Path, again: Build, recipe: Recipe) -> None:
    again(recipe.with_field("window.frames", 61))
    before = tree(workspace)
    said = collect(Workspace.open(workspace), dry_run=True)
    assert tree(workspace) == before
    assert collect(Workspace.open(workspace)) == said


def test_leftovers_of_killed_runs_go(workspace: Path) -> None:
    before = tree(workspace)
    for folder in ("tmp/0123", "store/filter/nobody/0123456789abcdef"):
        (workspace / folder).mkdir(parents=True)
        (workspace / folder / "half.bin").write_bytes(b"x" * 1000)
    (workspace / "tmp" / ".write-1").write_bytes(b"")
    freed = collect(Workspace.open(workspace))
    assert (freed.bytes, freed.records) == (2000, 0)
    assert tree(workspace) == before
    assert not (workspace / "store" / "filter" / "nobody").exists()


def test_partial_downloads_stay_until_their_item_has_ended_for_good(workspace: Path) -> None:
    crawls = [record for record in Ledger(workspace / "ledger" / "ledger.jsonl") if record.stage == "crawl"]
    done = next(record.item for record in crawls if record.status == "done")
    gone = next(record.item for record in crawls if record.reason == "permanent")
    with Ledger(workspace / "ledger" / "ledger.jsonl", writable=True) as ledger:
        ledger.append(Record("crawl", "url-busy", "0" * 64, "failed", reason="transient"))
    for item in (done, gone, "url-busy", "url-killed"):
        (workspace / "partial" / item).mkdir()
        (workspace / "partial" / item / "media.part").write_bytes(b"x")
    collect(Workspace.open(workspace))
    assert sorted(path.name for path in (workspace / "partial").iterdir()) == ["url-busy", "url-killed"]
    collect(Workspace.open(workspace), unlisted=True)
    assert list((workspace / "partial").iterdir()) == []


def test_a_source_that_left_the_list_goes_only_if_told(workspace: Path, dances: Path, recipe: Recipe) -> None:
    one = [source for source in read_sources(dances / "list.txt") if source.url == "dance-1.mp4"]
    assert build(one, workspace, recipe).ran == {}
    assert collect(Workspace.open(workspace)) == Freed(0, 0, 0)
    freed = collect(Workspace.open(workspace), unlisted=True)
    assert freed.bytes > 100_000
    assert len(list((workspace / "store" / "crawl").glob("*/*"))) == 1
    assert build(one, workspace, recipe).ran == {}
    assert validation.validate(Workspace.open(workspace), deep=True) == []
    ran = build(
        list(read_sources(dances / "list.txt")), workspace, recipe, Selection(("resolve", "crawl"))
    ).ran
    assert ran == {"crawl": {"done": 1, "failed": 2}}


def test_killed_between_ledger_and_deletion_the_next_one_goes_on(
    workspace: Path, again: Build, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = recipe.with_field("window.frames", 61)
    again(other)
    total = collect(Workspace.open(workspace), dry_run=True)

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", kill)
        with pytest.raises(Killed):
            collect(Workspace.open(workspace))
    assert len(list((workspace / "store" / "window").glob("*/*"))) == 4, "nothing is deleted yet"
    for record in Ledger(workspace / "ledger" / "ledger.jsonl"):
        folder = Workspace(workspace).artefact(record.stage, record.item, record.key)
        assert not record.files or folder.is_dir(), "what the ledger names exists"
    left = collect(Workspace.open(workspace))
    assert asdict(left) == asdict(total) | {"records": 0}
    assert again(other).ran == {}
    assert validation.validate(Workspace.open(workspace), deep=True) == []


def test_a_build_after_such_a_kill_takes_the_place_of_what_was_left(
    workspace: Path, again: Build, recipe: Recipe
) -> None:
    with Ledger(workspace / "ledger" / "ledger.jsonl", writable=True) as ledger:
        ledger.compact([record for record in ledger if record.stage != "window"])
    assert again(recipe).ran == {"window": {"done": 2}}
    assert collect(Workspace.open(workspace)) == Freed(0, 0, 0)


def test_it_waits_for_a_running_build(workspace: Path) -> None:
    with (
        Workspace(workspace).lock(),
        pytest.raises(WorkspaceLocked, match=f"in use by process {os.getpid()}"),
    ):
        collect(Workspace.open(workspace))


def test_what_came_of_a_local_file_that_is_away_stays(workspace: Path, dances: Path) -> None:
    sources, recipe = remembered(Workspace.open(workspace))
    away = [replace(source, path=Path("/unmounted") / source.url) for source in sources]
    remember(Workspace.open(workspace), away, recipe)
    freed = collect(Workspace.open(workspace), unlisted=True)
    assert freed.folders == 0
    assert freed.records == 0
