"""``d2midi preview``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from d2midi_build.cli.preview import preview
from d2midi_build.errors import UsageError
from tests.report.clips import make_clip, make_workspace

APP = typer.Typer()
APP.command()(preview)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "workspace", make_clip(5))


def test_json_is_one_object_and_the_only_output(workspace: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    result = CliRunner().invoke(APP, ["abc", "--out", str(out), "-w", str(workspace), "--json"])
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told == {"clip_id": "abc_00001000", "out": str(out), "bytes": out.stat().st_size}
    assert result.stderr == ""


def test_a_person_is_told_where_the_video_lies(workspace: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    result = CliRunner().invoke(APP, ["1", "--out", str(out), "-w", str(workspace)])
    assert result.stdout.startswith(f"{out}: abc_00001000, ")


def test_an_unknown_clip_is_wrong_usage(workspace: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    result = CliRunner().invoke(APP, ["xyz", "--out", str(out), "-w", str(workspace)])
    assert isinstance(result.exception, UsageError)
    assert not out.exists()
