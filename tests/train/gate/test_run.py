"""The whole gate on small synthetic releases, as a user runs it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from d2midi_build.cli import app
from d2midi_build.errors import UsageError
from d2midi_build.recipe import Recipe
from d2midi_build.release.build import build
from d2midi_build.release.reader import open_release
from d2midi_build.release.verify import verify
from d2midi_build.synthetic.releases import Sabotage, contents, release
from d2midi_build.train.gate import (
    alignment,
    association,
    drum_task,
    heard,
    masked,
    overfitting,
    run,
    static,
    styles,
)
from d2midi_build.train.gate.records import Report, decide

SMALL = (
    Recipe()
    .with_field("window.frames", 200)
    .with_field("window.stride", 40)
    .with_field("release.test_share", 0.34)
    .with_field("release.validation_share", 0.16)
)
"""Two test sources of each genre from six sources each."""


def made(folder: Path, sources: int, sabotage: Sabotage | None = None, seed: int = 5) -> Path:
    built = release(
        folder / "made",
        folder / "release",
        seed,
        sources=sources,
        seconds=20.0,
        sabotage=sabotage,
        recipe=SMALL,
    )
    return built.folder


def gate(*arguments: Any) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["gate", *map(str, arguments)])
    return found.exit_code, found.output


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("few"), 12)


@pytest.mark.slow
def test_a_good_release_passes_with_a_report_for_programs_and_for_people(tmp_path: Path) -> None:
    folder = made(tmp_path, 36)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code, told = gate(folder)
    assert code == 0, told
    assert "Passed" in told
    report = Report.from_json((tmp_path / "release.gate" / "gate.json").read_text())
    assert report.verdict == "pass"
    assert report.digest == open_release(folder).digest
    stages = {each.stage for each in report.records}
    assert stages == set("ABCDEFGH")
    page = (tmp_path / "release.gate" / "gate.html").read_text()
    assert "Passed: what is paired in this release belongs together" in page
    assert sorted(path.name for path in (tmp_path / "release.gate").iterdir()) == [
        ".lock",
        "gate.html",
        "gate.json",
    ]
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_release_whose_music_was_swapped_within_genres_fails_for_that(tmp_path: Path) -> None:
    code, told = gate(made(tmp_path, 36, "swapped"), "--json")
    assert code == 1
    report = Report.from_json(told)
    assert report.verdict == "fail"
    failed = {each.name for each in report.records if each.verdict == "fail"}
    assert {"beats.gap", "beats.gain", "drums.gap"} <= failed
    assert not {
        name for name in failed if name.startswith(("release.", "leak.", "tokens.", "overfit.", "control."))
    }
    assert "belong together" in report.why[0]


def test_a_leak_fails_before_anything_is_trained(tmp_path: Path) -> None:
    code, told = gate(made(tmp_path, 12, "leak"), "--json")
    assert code == 1
    report = Report.from_json(told)
    assert report.verdict == "fail"
    assert "are the same song" in report.why[0]
    assert not [each for each in report.records if each.stage == "E"]


@pytest.mark.slow
def test_too_few_sources_are_a_preview_with_how_many_are_needed_and_go_on_the_card(tmp_path: Path) -> None:
    recipe = SMALL.with_field("release.test_share", 0.2)
    found = contents(tmp_path / "made", 5, sources=18, seconds=20.0, recipe=recipe)
    built = build(
        found.contents,
        tmp_path / "release",
        "1.0.0",
        "synthetic",
        recipe,
        before={},
        workers=1,
        check=run.check,
    )
    opened = open_release(built.folder)
    assert opened.preview
    assert opened.gate is not None
    assert opened.gate["verdict"] == "not-testable"
    assert "8 are needed: 4 more there" in opened.gate["why"][0]
    card = (built.folder / "README.md").read_text()
    assert "Preview" in card
    assert "8 are needed: 4 more there" in card
    assert verify(built.folder).ok
    report = Report.from_json((built.folder / "gate.json").read_text())
    assert {each.seconds for each in report.records} == {0.0}
    assert not [each for each in report.records if each.stage in "EG"]
    assert [each.name for each in report.records if each.stage == "H" and each.verdict == "pass"]
    assert not (tmp_path / ".release.building").exists()


def test_a_release_is_not_written_to_and_one_report_is_written_at_a_time(few: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="inside the release"):
        run.gate(few, few / "report")
    with run._held(tmp_path), pytest.raises(UsageError, match="another process writes a report"):
        run.gate(few, tmp_path)


def test_what_is_no_release_is_told_with_a_way_out(tmp_path: Path) -> None:
    code, _ = gate(tmp_path / "nothing")
    assert code != 0
    with pytest.raises(UsageError, match="is no release"):
        run.gate(tmp_path, tmp_path.parent / "out")


def test_a_release_of_another_format_names_both_versions(few: Path, tmp_path: Path) -> None:
    from d2midi_build.errors import ReleaseError

    copy = Path(shutil.copytree(few, tmp_path / "release"))
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"format": "9.0"}))
    with pytest.raises(ReleaseError, match=r"has format 9\.0, this d2midi reads 1\.x"):
        run.gate(copy, tmp_path / "out")


def test_what_others_keep_where_the_report_goes_stays(tmp_path: Path) -> None:
    folder = made(tmp_path, 12, "leak")
    mine = tmp_path / "project" / "runs" / "mine"
    mine.mkdir(parents=True)
    (mine / "weights.pt").write_text("months of work")
    (tmp_path / "project" / "gate.html").write_text("of an earlier run")
    run.gate(folder, tmp_path / "project")
    assert (mine / "weights.pt").read_text() == "months of work"
    assert "Failed" in (tmp_path / "project" / "gate.html").read_text()


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that learn next to nothing, in no time."""
    for module in (association, alignment, overfitting, drum_task, styles, masked):
        if hasattr(module, "STEPS"):
            monkeypatch.setattr(module, "STEPS", 3)
    for name in ("association", "gains"):
        module = association if name == "association" else alignment
        monkeypatch.setattr(module, name, partial(getattr(module, name), steps=3))
    monkeypatch.setattr(overfitting, "overfit_beats", partial(overfitting.overfit_beats, steps=3))
    monkeypatch.setattr(drum_task, "overfit_tokens", partial(drum_task.overfit_tokens, steps=3))


def test_a_stopped_gate_goes_on_and_says_the_same(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    whole = run.gate(few, tmp_path / "whole", seeds=(0,))

    class Stop(Exception):
        pass

    def stop(what: str, share: float) -> None:
        if what == "D: genres":
            raise Stop

    with pytest.raises(Stop):
        run.gate(few, tmp_path / "out", seeds=(0,), progress=stop)
    (kept,) = (tmp_path / "out" / ".gate-runs").iterdir()
    assert {"drums-0", "overfit-beats", "overfit-tokens"} <= {path.name for path in kept.iterdir()}
    assert not (tmp_path / "out" / "gate.json").exists()
    written = {path: path.stat().st_mtime_ns for path in kept.rglob("last.pt")}
    seen: list[int] = []

    def look(what: str, share: float) -> None:
        if what == "H: generation" and not seen:
            seen.extend(path.stat().st_mtime_ns for path in written)

    again = run.gate(few, tmp_path / "out", seeds=(0,), progress=look)
    assert seen == list(written.values())
    assert [replace(each, seconds=0.0) for each in again.records] == [
        replace(each, seconds=0.0) for each in whole.records
    ]
    assert not (tmp_path / "out" / ".gate-runs").exists()


@pytest.mark.slow
def test_a_check_that_finds_what_is_not_there_is_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control is given the real pairs, as a check would be whose mixing up does not work."""
    folder = made(tmp_path, 36)
    _, clips = heard.read(folder)
    monkeypatch.setattr(run.pairs, "shuffled", lambda clips, rng, in_split: run.pairs.real(clips))
    records = run.trained_records(clips, tmp_path / "runs", np.random.default_rng(0), informing=False)
    control = [each for each in records if each.stage == "G"]
    assert {each.verdict for each in control} == {"fail"}
    assert decide([*static.clip_records(clips), *records]).verdict == "invalid"


def test_runs_of_other_releases_or_code_are_not_taken_up(tmp_path: Path) -> None:
    first = run._kept(tmp_path, {"release": "a", "code": "1"})
    (first / "beats-0").mkdir()
    assert run._kept(tmp_path, {"release": "a", "code": "1"}) == first
    assert (first / "beats-0").exists()
    other = run._kept(tmp_path, {"release": "a", "code": "2"})
    assert other != first
    assert not first.exists()


def test_sources_are_drawn_by_split_where_there_are_more_than_models_take(
    few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, clips = heard.read(few)
    assert run.drawn(clips, np.random.default_rng(0)) == clips
    monkeypatch.setattr(run, "MOST_TRAIN", 3)
    monkeypatch.setattr(run, "MOST_TEST", 1)
    kept = run.drawn(clips, np.random.default_rng(0))
    counts = {split: sum(clip.split == split for clip in kept) for split in ("train", "validation", "test")}
    assert counts == {"train": 3, "validation": 1, "test": 1}
    assert kept == run.drawn(clips, np.random.default_rng(0))
