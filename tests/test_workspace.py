from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from d2midi_build.errors import WorkspaceError, WorkspaceLocked
from d2midi_build.workspace import Workspace, write_whole


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(WorkspaceError, match="not empty"):
        Workspace.create(tmp_path)


def test_no_workspace_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="d2midi build"):
        Workspace.open(tmp_path)


@pytest.mark.skipif(
    os.geteuid() == 0 and not Path("/proc/self/ns/user").exists(), reason="root writes anywhere"
)
def test_a_read_only_place_is_said_clearly() -> None:
    with pytest.raises(WorkspaceError, match="cannot write"):
        Workspace.create(Path("/proc/d2midi"))


def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    script = (
        "import sys; from pathlib import Path; from d2midi_build.workspace import Workspace\n"
        "with Workspace(Path(sys.argv[1])).lock():\n    print('held', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(workspace.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(WorkspaceLocked, match=f"process {holder.pid}"), workspace.lock():
            pass
        holder.kill()
    with workspace.lock():  # a killed holder holds nothing
        pass


def test_commit_replaces_what_a_killed_run_left(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    for text in ("half", "whole"):
        tmp = workspace.new_tmp()
        (tmp / "file").write_text(text)
        workspace.commit(tmp, "stage", "item", "k" * 64)
    assert (workspace.artefact("stage", "item", "k" * 64) / "file").read_text() == "whole"


def test_views_hold_exactly_what_is_wanted(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    stored = [tmp_path / name for name in ("one", "two")]
    for path in stored:
        path.write_text(path.name)
    workspace.publish({"clips/a/x": stored[0], "midi/a.mid": stored[0]})
    assert (workspace.root / "clips/a/x").samefile(stored[0])
    workspace.publish({"midi/a.mid": stored[1]})
    assert (workspace.root / "midi/a.mid").read_text() == "two"
    assert not (workspace.root / "clips/a").exists()


def test_what_cannot_be_written_whole_is_not_written_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk the half would take what is left."""

    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "file").write_text("before")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WorkspaceError, match="file cannot be written: No space left"):
        write_whole(tmp_path / "file", b"after")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "before"
