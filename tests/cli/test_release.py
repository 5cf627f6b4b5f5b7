"""``d2midi release``: what it says of a check of pairing. Releases of real workspaces are in tests/integration."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from d2midi_build.cli import main
from d2midi_build.release.build import Built
from d2midi_build.release.checking import Checked, Verdict
from d2midi_build.workspace import Workspace
from tests.release import making


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]
GATE = ("--gate", "--explain", "ballet")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``d2midi release`` in this process."""

    def command(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["d2midi", "release", *map(str, arguments)])
        code: Any = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        said = capsys.readouterr()
        return Ended(int(code), said.out, said.err)

    return command


@pytest.mark.parametrize(
    ("verdict", "line"),
    [
        ("pass", "pairing checked: pass (see gate.html)"),
        (
            "not-testable",
            "pairing checked: not-testable (a preview, too little is in it to tell; see gate.html)",
        ),
        (None, "pairing not checked"),
    ],
)
def test_show_says_in_a_line_whether_pairing_was_checked(
    run: Run, tmp_path: Path, verdict: Verdict | None, line: str
) -> None:
    made = making.contents(tmp_path / "made", 3, n_frames=(60,))
    folder = making.build_of(made, tmp_path / "r", check=making.finds(verdict) if verdict else None).folder
    ended = run("show", folder)
    assert (ended.code, ended.err) == (0, "")
    assert line in ended.out.splitlines()
    said = json.loads(run("show", folder, "--json").out)
    assert (said["gate"] or {}).get("verdict") == verdict


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace, from which three short clips are released all the same."""
    made = making.contents(tmp_path / "made", 3, n_frames=(60,))

    def build_from(workspace: Workspace, out: Path, *_: Any, check: Any, progress: Any, **__: Any) -> Built:
        progress(1, 2)
        return making.build_of(made, out, check=check)

    monkeypatch.setattr("d2midi_build.release.workspace.build_from", build_from)
    Workspace.create(tmp_path / "workspace")
    return tmp_path / "workspace"


def gate_that_finds(verdict: Verdict) -> Any:
    """A stand-in for the module that trains, which takes minutes."""

    def check(folder: Path, *, explained: str, progress: Callable[[str, float], None]) -> Checked:
        assert explained == "ballet"
        for what in ("overfit", "alignment"):
            progress(what, 0.5)
        return making.checked(verdict)

    return SimpleNamespace(check=check)


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_build_with_gate_checks_and_says_what_was_found(
    run: Run, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "d2midi_build.train.gate.run", gate_that_finds("pass"))
    arguments = (
        "build",
        "-w",
        workspace,
        "--version",
        "1.0.0",
        "--out",
        tmp_path / "r",
        "--gate",
        "--explain",
        "ballet",
        *quiet,
    )
    ended = run(*arguments)
    assert (ended.code, ended.err) == (0, "")
    assert "pairing checked: pass (see gate.html)" in ended.out.splitlines()
    again = run(*arguments, "--json")
    assert (json.loads(again.out)["existed"], json.loads(again.out)["gate"]) == (True, "pass")


def test_build_without_gate_checks_nothing(run: Run, workspace: Path, tmp_path: Path) -> None:
    said = json.loads(
        run("build", "-w", workspace, "--version", "1.0.0", "--out", tmp_path / "r", "--json").out
    )
    assert said["gate"] is None


def test_build_with_a_gate_that_fails_says_where_the_report_lies(
    run: Run, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "d2midi_build.train.gate.run", gate_that_finds("fail"))
    ended = run(
        "build",
        "-w",
        workspace,
        "--version",
        "1.0.0",
        "--out",
        tmp_path / "r",
        "--gate",
        "--explain",
        "ballet",
        "--json",
    )
    assert (ended.code, ended.out) == (1, "")
    assert str(tmp_path / "r.gate" / "gate.html") in ended.err and "without --gate" in ended.err
    assert not (tmp_path / "r").exists()


def test_without_torch_a_gate_is_refused_before_anything_is_built(
    run: Run, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    ended = run("build", "-w", workspace, "--version", "1.0.0", "--out", tmp_path / "r", "--gate")
    assert (ended.code, ended.out) == (2, "")
    assert "--extra train" in ended.err
    assert not list(tmp_path.glob("*r*.building"))
