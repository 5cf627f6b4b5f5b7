"""``d2midi annotate agreement``, ``audit`` and ``carry`` as people meet them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from d2midi_build import tables
from d2midi_build.annotate.audit.record import BlindResult, PlantedResult
from d2midi_build.annotate.audit.record import append as keep
from d2midi_build.annotate.audit.record import path_in as audits_of
from d2midi_build.annotate.audit.undoing import Outcome
from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.corrections import Correction, Corrections, append, path_in, withdrawal
from d2midi_build.annotate.edits import revised
from d2midi_build.annotate.layering import Layered, Row, rows
from d2midi_build.annotate.layers import sheeted
from d2midi_build.cli.annotate.agreement import agreement
from d2midi_build.cli.annotate.audit import audit
from d2midi_build.cli.annotate.carry import carry
from d2midi_build.errors import WorkspaceLocked
from d2midi_build.workspace import Workspace
from tests.annotate.making import band, later, row
from tests.annotate.workspaces import write_tables

Run = Callable[..., Any]

CLIPS = [ClipNotes(f"v{k}_00000000", 600, band(30, 2, seed=k)) for k in range(5)]
TWIN = ClipNotes("w_00000000", 600, CLIPS[0].notes)
"""Has the same recording as the first, from the same time on."""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Six clips, two of which are known to share their recording."""
    made = write_tables(tmp_path / "w", *CLIPS, TWIN)
    pair: dict[str, Any] = {
        "kind": "music",
        "first": "v0_00000000",
        "second": "w_00000000",
        "how": "chromaprint",
    }
    pair |= {
        "score": 0.9,
        "offset_s": 0.02,
        "overlap_s": 30.0,
        "speed": 1.0,
        "semitones": 0.0,
        "mirrored": None,
    }
    tables.write(made.manifests / "repeats.parquet", tables.from_rows("repeats", [pair]))
    return made


@pytest.fixture
def run(workspace: Workspace) -> Run:
    """Run a command with --json; its answer, or the error that it raises."""
    app = typer.Typer()
    for command in (agreement, audit, carry):
        app.command()(command)

    def ran(*arguments: str, plain: bool = False, columns: int = 200) -> Any:
        given = [*arguments, "-w", str(workspace.root), *([] if plain else ["--json"])]
        result = CliRunner().invoke(app, given, env={"COLUMNS": str(columns)})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout if plain else json.loads(result.stdout)

    return ran


def correction(clip: ClipNotes, by: str, changed: dict[int, Row], shown: Layered | None = None) -> Correction:
    """Of a clip's only sheet."""
    before = shown or sheeted(clip, Corrections())[0].layered
    after = revised(before, {**before.final, **changed}, "heard")
    return Correction(f"{clip.clip_id}_s000", by, "2026", "heard", "midi", before.said, after, lead_s=60.0)


def added(by: str, n: int, clip: ClipNotes = CLIPS[0]) -> Correction:
    return correction(clip, by, {-1 - k: row(1.0 + k, 100) for k in range(n)})


def test_agreement_says_what_it_needs_where_no_two_people_corrected_a_sheet(
    workspace: Workspace, run: Run
) -> None:
    for _ in range(2):
        said = run("agreement", plain=True)
        assert "give the same sheets to two people" in said and "F1" not in said
        assert run("agreement")["sheets"] == 0
        append(path_in(workspace), [added("ada", 1)])
    assert "ada" in run("agreement", plain=True), "how fast she is can be said"


def test_agreement_is_told(workspace: Workspace, run: Run) -> None:
    lines = [each for clip in CLIPS for each in (added("ada", 0, clip), added("bob", 5, clip))]
    upon = correction(CLIPS[0], "eve", {-1: row(9.0, 101)}, lines[0].layered)
    on_from_bob = correction(CLIPS[0], "tim", {-1: row(9.0, 101)}, lines[1].layered)
    append(path_in(workspace), [*lines, upon, on_from_bob])
    found = run("agreement")
    assert (found["sheets"], found["sources"], len(found["pairs"]), len(found["dependent"])) == (5, 5, 5, 1)
    ada_bob = next(each for each in found["pairs"] if (each["first"], each["second"]) == ("ada", "bob"))
    # 60 notes, and five more of bob's, in each of five sheets.
    assert ada_bob["layers"]["heard"]["scores"]["notes"]["f1"]["value"] == pytest.approx(120 / 125)
    # Touched are only notes that were added: of ada and bob 5 in each sheet; in the first, of ada and eve 1, ada and
    # tim 6, bob and eve 6, eve and tim 7, two of which are the same one.
    assert found["touched"]["notes"]["heard"] == {"n": 45, "of": 9 * 60 + 45}
    assert found["touched"]["layers"]["heard"]["scores"]["notes"]["f1"]["value"] == pytest.approx(2 / 45)
    said = run("agreement", plain=True)
    assert "5 sheets of 5 sources were corrected by two or more people" in said
    assert "96% (96%-96%)" in said
    assert "Notes that neither of two touches agree by themselves" in said
    assert "changed, added or deleted (45 of 585 as heard, 45 of 585 final):" in said
    assert "not compared: v0_00000000_s000: bob or tim had seen the other's correction" in said
    assert "60 (60-60)" in said


def test_agreement_of_people_who_did_nothing_is_told_for_what_it_is(workspace: Workspace, run: Run) -> None:
    append(path_in(workspace), [added("ada", 0), added("bob", 0)])
    said = run("agreement", plain=True)
    assert "100%" in said
    assert "How far they agree on the others is not known: nobody changed, added or deleted a note." in said


def test_names_are_whole_however_narrow_the_terminal(workspace: Workspace, run: Run) -> None:
    names = [f"{name}.with.a.long.name@conservatory.example.org" for name in ("ada", "bob", "eve")]
    append(path_in(workspace), [added(name, k) for k, name in enumerate(names)])
    outcomes = (Outcome(1, "onset", True, True), Outcome(2, "added", False, False))
    keep(
        audits_of(workspace),
        [PlantedResult("v0_00000000_s000", "all", name, "2026", outcomes) for name in names],
    )
    for command in ("agreement", "audit"):
        for columns in (60, 100):
            said = run(command, plain=True, columns=columns)
            assert "…" not in said, (command, columns)


def test_audit_says_what_is_not_known(run: Run) -> None:
    said = run("audit", plain=True)
    assert "how many they find is not known" in said
    assert "is not known: 0 excerpts from 0 sources; 10 from 5 are needed." in said
    assert run("audit")["label_error"]["measured"] is None


def test_audit_is_told(workspace: Workspace, run: Run) -> None:
    outcomes = (Outcome(1, "onset", True, True), Outcome(2, "added", False, False))
    blind = [
        BlindResult(
            clip.clip_id,
            at,
            at + 10,
            "ada",
            "2026-01-01T00:00:00+00:00",
            tuple(rows(clip.notes.starting_in(at, at + 10))),
        )
        for clip in CLIPS
        for at in (0, 15)
    ]
    gone = replace(blind[0], clip_id="gone_00000000")
    first = replace(blind[0], rows=(*blind[0].rows, row(1.0, 101), row(2.0, 101), row(3.0, 101)))
    keep(
        audits_of(workspace),
        [
            PlantedResult("v0_00000000_s000", "all", "ada", "2026", outcomes),
            PlantedResult("v0_00000000_s000", "all", "bob", "2026", outcomes[:1]),
            first,
            *blind[1:],
            gone,
        ],
    )
    found = run("audit")
    assert (found["recall"]["found"]["n"], found["recall"]["found"]["of"]) == (2, 3)
    assert found["label_error"]["excerpts"] == 10
    # Three notes in 100 s that the machine has not.
    assert found["label_error"]["measured"]["missed_per_minute"]["value"] == pytest.approx(1.8)
    said = run("audit", plain=True)
    assert "1 of 2 (1%-99%)" in said and "2 of 3 (9%-99%)" in said
    assert "missed notes a minute: 1.8 (0.0-" in said
    assert "invented notes a minute: 0.0 (0.0-0.0)" in said
    append(path_in(workspace), [replace(added("ada", 0), at="2025-01-01T00:00:00+00:00")])
    said = run("audit", plain=True)
    assert "2 excerpts do not count: who wrote them down had corrected the same seconds before" in said
    assert "is not known: 8 excerpts from 4 sources; 10 from 5 are needed." in said


def test_corrections_are_carried_over_once_and_taken_back(workspace: Workspace, run: Run) -> None:
    path = path_in(workspace)
    assert "Nothing to carry over" in run("carry", plain=True)
    first = added("ada", 2)
    append(path, [first])
    before = path.read_bytes()
    tried = run("carry", "--dry-run")
    assert (tried["kept"], len(tried["carried"])) == (0, 1)
    assert path.read_bytes() == before
    assert "Nothing was kept" in run("carry", "--dry-run", plain=True)
    said = run("carry")
    assert said == tried | {"kept": 1}
    assert said["carried"][0] == {
        "sheet": "w_00000000_s000",
        "from": ["v0_00000000_s000"],
        "by": "ada",
        "edits": {"added": {"heard": 2}},
        "suspicions": [],
    }
    assert Corrections.read(path).standing("w_00000000_s000").applied is not None
    assert run("carry") == {"kept": 0, "carried": [], "taken_back": []}
    append(path, [withdrawal(first, "2027")])
    assert "w_00000000_s000: what was carried over is taken back" in run("carry", plain=True)
    assert Corrections.read(path).standing("w_00000000_s000").applied is None


def test_what_looks_like_a_slip_is_told_of_what_was_carried_as_well(workspace: Workspace, run: Run) -> None:
    append(path_in(workspace), [correction(CLIPS[0], "ada", {-1: row(1.0, 20, instrument="Drum")})])
    said = run("carry", plain=True)
    assert "w_00000000_s000 from v0_00000000_s000 by ada: 1 added (heard)" in said
    assert "a slip?" in said


def test_a_workspace_in_use_is_left_alone(workspace: Workspace, run: Run) -> None:
    append(path_in(workspace), [correction(CLIPS[0], "ada", {0: later(rows(CLIPS[0].notes)[0], 0.3)})])
    with workspace.lock(), pytest.raises(WorkspaceLocked):
        run("carry")
