"""``d2midi annotate study`` and ``screen`` as people meet them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.study import design
from d2midi_build.cli.annotate import screen, study
from d2midi_build.errors import UsageError
from d2midi_build.music.midi import write_midi
from d2midi_build.music.notes import Notes
from d2midi_build.release.reader import open_release
from d2midi_build.workspace import Workspace
from tests.annotate.filled import annotation
from tests.annotate.kept import Kept
from tests.annotate.making import band
from tests.annotate.study.making import form
from tests.annotate.test_excerpt import flashing
from tests.annotate.workspaces import write_tables
from tests.release import making

CLIPS = ("yt-a_00000000", "yt-b_00000000")

Run = Callable[..., Any]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two clips of 2 s."""
    made = write_tables(tmp_path / "w", *(ClipNotes(clip_id, 40, band(2)) for clip_id in CLIPS))
    for clip_id in CLIPS:
        (made.root / "clips" / clip_id).mkdir(parents=True)
        flashing(made.root / "clips" / clip_id / "video.mp4", 2, [1.0], "-an", fps=20)
    return made


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A method's folder."""
    folder = tmp_path / "ours"
    folder.mkdir()
    for clip_id in CLIPS:
        write_midi(band(2, seed=1), folder / f"{clip_id}.mid")
    return folder


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Kept:
    """The Label Studio that commands reach."""
    kept = Kept()
    for module in (screen, study):
        monkeypatch.setattr(module, "studio_of", lambda access: kept)
        monkeypatch.setattr(module, "access_of", lambda workspace, url: None)
    return kept


@pytest.fixture
def run(workspace: Workspace) -> Run:
    """Run a command; what it printed, as JSON unless it is to be read by people."""

    def command(app: typer.Typer, *words: object, plain: bool = False, code: int = 0) -> Any:
        given = [*map(str, words), "-w", str(workspace.root), *([] if plain else ["--json"])]
        done = CliRunner().invoke(app, given)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, done.output
        return done.stdout if plain else json.loads(done.stdout)

    return command


def rate(studio: Kept, workspace: Workspace, scores: dict[str, str]) -> None:
    """Ada and Bob rate everything alike by its method; Cy gives a 9 to the first."""
    known = design.read(workspace, "trial")
    assert known is not None
    for stimulus in known.stimuli:
        for user in (1, 2):
            studio.leave(known.key(stimulus), annotation(user, form(scores[stimulus.method], "3")))
    studio.leave(known.key(known.stimuli[0]), annotation(3, form("9")))


def test_a_study_is_sent_rated_and_told(workspace: Workspace, music: Path, studio: Kept, run: Run) -> None:
    words = ("push", "trial", "--method", f"ours={music}", "--method", "truth=@notes")
    told = run(study.app, *words)
    assert told == {
        "url": "http://studio/projects/1/", "dances": 2, "stimuli": 4, "made": 4, "left_out": {},
    }  # fmt: skip
    said = run(study.app, *words, plain=True)
    assert "0 tasks made, 4 as they were" in said
    assert "http://studio/projects/1/data?labeling=1" in said, "where nobody sees what others answered"

    rate(studio, workspace, {"ours": "2", "truth": "4"})
    told = run(study.app, "pull", "trial", code=1)
    assert (told["ratings"], told["raters"], told["unrated"], len(told["problems"])) == (8, 2, 0, 1)
    means = {(each["method"], each["question"]): each["mean"] for each in told["scores"]}
    assert means == {
        ("ours", "consistency"): 2, ("truth", "consistency"): 4, ("ours", "noise"): 3, ("truth", "noise"): 3,
    }  # fmt: skip
    assert told["comparisons"][0]["difference"] == -2 and told["comparisons"][0]["p"] == 0.5
    assert [each["alpha"] for each in told["agreement"]] == [1, None]
    said = run(study.app, "pull", "trial", plain=True, code=1)
    assert "2.00 (sd 0.00)" in said and "not used: task" in said and "alpha not defined" in said
    assert "8 ratings by 2 people; 0 of 4 stimuli have none" in said


def test_a_project_may_have_another_title(music: Path, studio: Kept, run: Run) -> None:
    run(
        study.app,
        "push",
        "trial",
        "--method",
        f"ours={music}",
        "--method",
        "truth=@notes",
        "--project",
        "Spring",
    )
    assert studio.title == "Spring" and run(study.app, "pull", "trial", "--project", "Spring")["unrated"] == 4
    with pytest.raises(UsageError, match="push it again"):
        run(study.app, "pull", "trial")


def test_what_a_method_lacks_is_told(workspace: Workspace, music: Path, studio: Kept, run: Run) -> None:
    (music / f"{CLIPS[1]}.mid").unlink()
    words = ("push", "trial", "--method", f"ours={music}", "--method", "truth=@notes")
    with pytest.raises(UsageError, match="no dance has music"):
        run(study.app, *words, "--clip", CLIPS[1])
    write_midi(Notes.empty(), music / f"{CLIPS[1]}_20.mid")
    other = music.parent / "other"
    other.mkdir()
    write_midi(Notes.empty(), other / f"{CLIPS[0]}.mid")
    said = run(study.app, *words, "--method", f"other={other}", plain=True)
    assert f"left out: {CLIPS[1]}_20 has no music of other" in said and "1 dances with 3 methods" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--method", "ours"), "write NAME=FOLDER"),
        (("--method", "ours=@notes", "--method", "ours=@original"), "another method is called ours"),
        (("--method", "ours=@notes"), "at least twice"),
        (("--method", "a=@notes", "--method", "b=@notes", "--split", "test"), "give --release, too"),
    ],
)
def test_what_cannot_be_is_refused(studio: Kept, run: Run, words: tuple[str, ...], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        run(study.app, "push", "trial", *words)
    assert not studio.there


def test_a_release_s_split_says_which_clips(
    tmp_path: Path, studio: Kept, run: Run, workspace: Workspace
) -> None:
    folder = making.release(tmp_path / "made", videos=6)
    release = open_release(folder)
    clips = release.clips.column("clip_id").to_pylist()
    held = sorted(set(release.filter(split="test").windows.column("clip_id").to_pylist()))
    assert 0 < len(held) < len(clips)
    write_tables(workspace.root, *(ClipNotes(clip_id, 40, band(2)) for clip_id in clips))
    for clip_id in held:  # the others have no picture to show
        (workspace.root / "clips" / clip_id).mkdir(parents=True)
        flashing(workspace.root / "clips" / clip_id / "video.mp4", 2, [1.0], "-an", fps=20)
    words = (
        "push",
        "trial",
        "--method",
        "a=@notes",
        "--method",
        "b=@notes",
        "--release",
        folder,
        "--split",
        "test",
    )
    assert run(study.app, *words)["dances"] == len(held)


def test_pulling_what_was_never_sent_is_refused(workspace: Workspace, studio: Kept, run: Run) -> None:
    with pytest.raises(UsageError, match="has no study 'trial'"):
        run(study.app, "pull", "trial")
