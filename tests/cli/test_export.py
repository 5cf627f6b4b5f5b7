"""``d2midi export``."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from d2midi_build.cli import main
from tests.report.clips import make_clip, make_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with six notes, and one that was not transcribed."""
    clips = [make_clip(5, clip_id="abc"), replace(make_clip(5, clip_id="xyz"), notes=None)]
    return make_workspace(tmp_path_factory.mktemp("export") / "workspace", *clips)


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["d2midi", "export", *map(str, arguments)])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_json_is_one_object_that_names_files_and_failures(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "notes"
    assert _run(monkeypatch, "--format", "midi", "--out", out, "-w", workspace, "--json") == 1
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert (told["format"], told["out"]) == ("midi", str(out))
    assert told["exported"] == [{"clip_id": "abc", "file": str(out / "abc.mid"), "n_notes": 6}]
    (failed,) = told["failed"]
    assert failed["clip_id"] == "xyz"
    assert "d2midi transcribe" in failed["message"]
    assert said.err == ""


def test_a_person_is_told_how_many(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "abc", "--format", "csv", "--out", tmp_path, "-w", workspace) == 0
    assert capsys.readouterr().out == f"{tmp_path}: 1 of 1 clips, 6 notes\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["abx", "--format", "midi"], "no clip 'abx'"),
        (["--format", "csv", "--programs", "original"], "--programs is for --format midi"),
        (["--format", "abc"], "abc"),
    ],
)
def test_wrong_usage_writes_nothing(
    workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    out = tmp_path / "out"
    assert _run(monkeypatch, *arguments, "--out", out, "-w", workspace) == 2
    assert told in capsys.readouterr().err
    assert not out.exists()
