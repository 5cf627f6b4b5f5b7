"""Many videos: where they lie, what is told of each, and that one that fails stops no other."""

from __future__ import annotations

import fcntl
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from d2midi_build.annotate.sheets import Sheet, sheets
from d2midi_build.annotate.studio import rendering
from d2midi_build.annotate.studio.rendering import Rendered, Wanted, places, render_all
from d2midi_build.engine.base import Job, Outcome, Report
from d2midi_build.errors import UsageError, WorkspaceLocked
from d2midi_build.music.notes import Notes
from d2midi_build.workspace import Workspace
from tests.report.clips import make_clip, make_workspace, some_notes


def dying(job: Job, report: Report, state: dict[str, Any]) -> Outcome:
    """As `rendering.run`, but the process dies on one sheet."""
    if job.item == "abc_00001000_s000":
        os.kill(os.getpid(), signal.SIGSEGV)
    return rendering.run(job, report, state)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two clips; the second one's video is damaged."""
    clips = [
        replace(make_clip(20, clip_id=name), keypoints=None) for name in ("abc_00001000", "xyz_00000000")
    ]
    root = make_workspace(tmp_path / "w", *clips)
    (root / "clips" / "xyz_00000000" / "video.mp4").write_bytes(b"no video")
    return Workspace(root)


def sheet_of(clip_id: str) -> Sheet:
    return sheets(clip_id, 20)[0]


def rendered(workspace: Workspace, *wanted: Wanted) -> dict[str, Rendered]:
    told: list[Rendered] = []
    render_all(workspace, wanted, 2, told.append)
    assert len({each.sheet_id for each in told}) == len(told)
    return {each.sheet_id: each for each in told}


def test_each_is_rendered_once_and_what_fails_is_told(workspace: Workspace) -> None:
    whole = Wanted(sheet_of("abc_00001000"), some_notes())
    broken = Wanted(sheet_of("xyz_00000000"), some_notes())
    told = rendered(workspace, whole, broken, whole)
    path, missing, _ = places(workspace, [whole, broken, whole])
    assert told["abc_00001000_s000"] == Rendered("abc_00001000_s000", path)
    assert path.parent == workspace.root / "annotation" / "served" / "media" / "abc_00001000_s000"
    assert path.read_bytes()[4:8] == b"ftyp"
    assert told["xyz_00000000_s000"].path == missing
    assert "ffmpeg failed reading" in told["xyz_00000000_s000"].message
    assert not missing.exists()

    content, changed = path.read_bytes(), path.stat().st_mtime_ns
    assert rendered(workspace, whole) == {
        "abc_00001000_s000": Rendered("abc_00001000_s000", path, fresh=False)
    }
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (content, changed)


def test_a_death_is_told_and_the_others_are_rendered(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "FUNCTION", f"{__name__}:dying")
    video = workspace.root / "clips" / "abc_00001000" / "video.mp4"
    (workspace.root / "clips" / "xyz_00000000" / "video.mp4").write_bytes(video.read_bytes())
    told = rendered(
        workspace, *(Wanted(sheet_of(name), some_notes()) for name in ("abc_00001000", "xyz_00000000"))
    )
    assert "died 2 times" in told["abc_00001000_s000"].message
    assert "SIGSEGV" in told["abc_00001000_s000"].message
    assert not told["abc_00001000_s000"].path.exists()
    assert (told["xyz_00000000_s000"].message, told["xyz_00000000_s000"].path.exists()) == ("", True)


def test_what_a_killed_process_left_goes_and_nothing_else_remains(workspace: Workspace) -> None:
    left = workspace.root / "annotation" / ".rendering" / "0" / "footage.mp4"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half a video")
    rendered(workspace, Wanted(sheet_of("abc_00001000"), some_notes()))
    files = [path for path in (workspace.root / "annotation").rglob("*") if path.is_file()]
    assert sorted(path.suffix for path in files) == [".lock", ".mp4"]
    assert not left.parent.parent.exists()


def test_only_one_process_renders_in_a_workspace(workspace: Workspace) -> None:
    lock = workspace.root / "annotation" / ".rendering.lock"
    lock.parent.mkdir()
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(WorkspaceLocked, match="another process renders"):
            render_all(workspace, [Wanted(sheet_of("abc_00001000"), some_notes())], 1, lambda _: None)


def test_a_place_is_of_all_that_is_seen_and_heard_and_of_nothing_else(workspace: Workspace) -> None:
    sheet, notes = sheet_of("abc_00001000"), some_notes()

    def place(sheet: Sheet, notes: Notes) -> Path:
        return places(workspace, [Wanted(sheet, notes)])[0]

    here = place(sheet, notes)
    elsewhere = Notes.create([5.0], [6.0], [60])
    assert place(sheet, Notes.concat([notes, elsewhere])) == here
    assert place(sheet, notes.where(notes.pitch != 36)) != here
    surer = replace(notes, p_note=notes.p_note * 0.5)
    assert place(sheet, surer) != here
    assert place(replace(sheet, end_frame=19), notes) != here
    with pytest.raises(UsageError, match="has no clip 'nobody'"):
        place(replace(sheet, clip_id="nobody"), notes)
