"""People's verdicts in a real workspace, through the command line."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from d2midi_build import manifests, tables, validation
from d2midi_build.cli import main
from d2midi_build.engine.base import Job
from d2midi_build.errors import UsageError
from d2midi_build.ledger import Record
from d2midi_build.manifests import remembered
from d2midi_build.pipeline import Selection, Silent, Summary, build
from d2midi_build.recipe import Recipe
from d2midi_build.screening.decisions import verdict
from d2midi_build.screening.truth import read_truth
from d2midi_build.screening.verdicts import Verdicts
from d2midi_build.trial import measure
from d2midi_build.workspace import Workspace

Build = Callable[..., Summary]
Run = Callable[..., Any]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``d2midi screen`` with --json in this process; its answer."""

    def command(*arguments: object) -> Any:
        monkeypatch.setattr(sys, "argv", ["d2midi", "screen", *map(str, arguments), "--json"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return json.loads(capsys.readouterr().out)

    return command


def rows(workspace: Path, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tables.read(workspace / "manifests" / f"{name}.parquet").to_pylist()
    return found


def test_a_rejection_holds_through_builds_and_thresholds_until_it_is_withdrawn(
    workspace: Path, again: Build, recipe: Recipe, run: Run
) -> None:
    first, second = rows(workspace, "takes")
    said = run("decide", first["video_id"], "--reject", "--why", "too dark", "--by", "ada", "-w", workspace)
    assert said == {"decided": 1, "takes": {"accept": 1, "reject": 1}, "published": True}
    take = next(row for row in rows(workspace, "takes") if row["take_id"] == first["take_id"])
    assert (take["status"], take["automatic_status"]) == ("reject", "accept")
    assert (take["decided_by"], take["decided_why"], take["reasons"]) == ("ada", "too dark", ["by_hand"])
    assert [clip["clip_id"] for clip in rows(workspace, "clips")] == [second["take_id"]]
    assert {window["clip_id"] for window in rows(workspace, "windows")} == {second["take_id"]}
    assert validation.validate(Workspace.open(workspace)) == []

    assert again().ran == {}
    assert again(recipe.with_field("filter.several_review", 0.9)).ran == {}
    assert len(rows(workspace, "clips")) == 1
    run("decide", first["video_id"], "--withdraw", "-w", workspace)
    assert len(rows(workspace, "clips")) == 2  # what was made before is still there


def test_what_a_person_accepts_goes_on_with_the_next_build(
    workspace: Path, again: Build, recipe: Recipe, run: Run, tmp_path: Path
) -> None:
    strict = recipe.with_field("filter.silent_review", 0.0)
    assert again(strict).ran == {}
    assert rows(workspace, "clips") == []
    sheet = tmp_path / "review.csv"
    assert len(run("list", "-w", workspace, "--csv", sheet)["takes"]) == 2
    with sheet.open(newline="") as stream:
        asked = list(csv.DictReader(stream))
    assert all("silence" in row["explanation"] for row in asked)
    asked[0] |= {"verdict": "accept", "why": "the silence is the slate"}
    with sheet.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, asked[0])
        writer.writeheader()
        writer.writerows(asked)
    assert run("decide", "--csv", sheet, "-w", workspace)["takes"] == {"accept": 1, "review": 1}
    assert again(strict).ran == {}  # its clip was made under the earlier recipe
    assert [clip["clip_id"] for clip in rows(workspace, "clips")] == [asked[0]["take_id"]]
    decided = run("list", "-w", workspace, "--status", "decided")["takes"]
    assert [row["take_id"] for row in decided] == [asked[0]["take_id"]]


def test_a_running_build_does_not_keep_people_from_deciding(workspace: Path, run: Run) -> None:
    take = rows(workspace, "takes")[0]["take_id"]
    with Workspace.open(workspace).lock():
        said = run("decide", take, "--reject", "--why", "no", "-w", workspace)
    assert (said["published"], said["takes"]) == (False, {"accept": 1, "reject": 1})
    assert {row["decided_by"] for row in rows(workspace, "takes")} == {""}


def test_what_is_decided_while_a_build_runs_is_in_its_tables(workspace: Path, recipe: Recipe) -> None:
    """The verdict comes when the first job of the build has ended."""
    take = rows(workspace, "takes")[0]["take_id"]

    class Decides(Silent):
        def finished(self, job: Job, record: Record) -> None:
            Verdicts(Workspace(workspace).verdicts_path).append([verdict(take, "reject", "no", "ada")])

    sources = remembered(Workspace(workspace))[0]
    build(sources, workspace, recipe, Selection(("window",), refresh=("window",)), listener=Decides())
    (mine,) = [row for row in rows(workspace, "takes") if row["take_id"] == take]
    assert (mine["status"], mine["decided_by"]) == ("reject", "ada")


def test_the_same_sheet_twice_says_nothing_new(workspace: Path, run: Run, tmp_path: Path) -> None:
    take = rows(workspace, "takes")[0]["take_id"]
    (tmp_path / "sheet.csv").write_text(f"take_id,verdict,why\n{take},reject,no\n")
    assert run("decide", "--csv", tmp_path / "sheet.csv", "-w", workspace)["decided"] == 1
    assert run("decide", "--csv", tmp_path / "sheet.csv", "-w", workspace)["decided"] == 0


def test_a_trial_leaves_a_dataset_alone(workspace: Path, dances: Path, tmp_path: Path) -> None:
    lines = [
        "file,source,start_s,end_s,verdict,people,body,background,camera,picture,sound,clipped,cuts_s,remark"
    ]
    (tmp_path / "truth.csv").write_text("\n".join([*lines, "dance-1.mp4,x,,,good,,,,,,,,,"]) + "\n")
    before = (workspace / "sources.json").read_bytes()
    with pytest.raises(UsageError, match="was built from other videos"):
        measure(read_truth(tmp_path / "truth.csv", dances), workspace, Recipe())
    assert (workspace / "sources.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["decide", "nothing", "--accept", "--why", "x"], "no take or video is called 'nothing'"),
        (["decide", "file-", "--accept", "--why", "x"], "begins 4 names"),
        (["decide"], "say which, and what"),
        (["decide", "x", "--accept", "--reject", "--why", "x"], "say which, and what"),
        (["decide", "x", "--csv", "y.csv"], "leave the rest away"),
    ],
)
def test_wrong_words_are_answered_with_the_way_out(
    workspace: Path,
    arguments: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["d2midi", "screen", *arguments, "-w", str(workspace)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
    assert not Workspace(workspace).verdicts_path.exists()


def test_screening_alone_is_a_build_that_stops_there(workspace: Path, again: Build) -> None:
    assert again(selection=Selection(("filter",), refresh=("filter",))).ran == {"filter": {"done": 2}}
    assert {*manifests.NAMES} <= {path.stem for path in (workspace / "manifests").iterdir()}
