"""``d2midi annotate`` as a professional with a DAW meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from d2midi_build.annotate.clips import ClipNotes, lengths, read_clip
from d2midi_build.annotate.corrections import Corrections, path_in
from d2midi_build.annotate.layers import layers
from d2midi_build.annotate.tempo import TempoMap
from d2midi_build.cli.annotate import app
from d2midi_build.errors import UsageError
from d2midi_build.workspace import Workspace
from tests.annotate.making import band, later, row
from tests.annotate.sequencer import coarser, edited, without
from tests.annotate.workspaces import write_tables

CLIP = ClipNotes("yt-abc_00001000", 1300, band(65, 5), np.arange(0.5, 64, 0.5), np.arange(127) % 4 + 1)
OTHER = ClipNotes("yt-abc_00090000", 700, band(35, 5, seed=2))
TEMPO = TempoMap.of_beats(CLIP.beats_s.tolist(), CLIP.positions.tolist())

Run = Callable[..., Any]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with two clips and one that waits to be transcribed."""
    return write_tables(tmp_path / "w", CLIP, OTHER, waiting=("yt-xyz_00000000",))


@pytest.fixture
def run(workspace: Workspace) -> Run:
    """Run a command with --json; its answer, or the error that it raises."""

    def command(*arguments: object, plain: bool = False) -> Any:
        given = [*map(str, arguments), "-w", str(workspace.root), *([] if plain else ["--json"])]
        result = CliRunner().invoke(app, given, catch_exceptions=True)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout if plain else json.loads(result.stdout)

    return command


def test_clips_are_read_as_they_were_written(workspace: Workspace) -> None:
    clip = read_clip(workspace, CLIP.clip_id)
    assert (clip.n_frames, clip.notes) == (CLIP.n_frames, CLIP.notes)
    assert clip.beats_s.tolist() == CLIP.beats_s.tolist(), "the musical beats, not the kinematic ones"
    assert clip.positions.tolist() == CLIP.positions.tolist()
    assert lengths(workspace) == {CLIP.clip_id: 1300, OTHER.clip_id: 700}
    with pytest.raises(UsageError, match="no notes yet: run `d2midi transcribe"):
        read_clip(workspace, "yt-xyz_00000000")
    with pytest.raises(UsageError, match="has no clip 'nothing'"):
        read_clip(workspace, "nothing")


def test_from_the_workspace_to_the_daw_and_back(workspace: Workspace, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "songs"
    said = run("export-midi", "yt-abc_00001", "--out", out)
    song = out / "yt-abc_00001000.mid"
    assert said == {"files": [str(song)]}

    def change(notes: list[Any]) -> list[Any]:
        return [later(notes[0], 0.2), notes[1]._replace(pitch=notes[1].pitch + 2), *notes[2:], row(62.0, 100)]

    song.write_bytes(edited(coarser(song.read_bytes(), 960), "Violin", change, TEMPO_960))
    tried = run("import-midi", song, "--by", "ada", "--reason", "heard", "--dry-run")
    assert (tried["kept"], len(tried["sheets"]), path_in(workspace).exists()) == (0, 2, False)
    said = run("import-midi", song, "--by", "ada", "--reason", "heard")
    assert (said["clip"], said["kept"], said["conflicts"], said["tempo"]) == (CLIP.clip_id, 2, [], "file")
    assert [(each["sheet"][-4:], each["edits"]) for each in said["sheets"]] == [
        ("s000", {"moved": {"heard": 1}, "pitch": {"heard": 1}}),
        ("s002", {"added": {"heard": 1}}),
    ]
    assert [slip["kind"] for each in said["sheets"] for slip in each["suspicions"]] == ["two_rows"]
    assert said["same"] == said["notes"] - 3
    assert run("import-midi", song, "--by", "ada", "--reason", "heard")["kept"] == 0, (
        "a second time changes nothing"
    )
    final = layers(CLIP, Corrections.read(path_in(workspace)))["final"]
    assert len(final) == len(CLIP.notes) + 1

    status = run("status")
    assert status["sheets"] == 3 + 2
    assert status["corrected"] == ["yt-abc_00001000_s000", "yt-abc_00001000_s002"]
    assert status["edits"] == {"added": {"heard": 1}, "moved": {"heard": 1}, "pitch": {"heard": 1}}
    assert (status["people"], status["stale"], status["conflicts"]) == ({"ada": 2}, [], [])
    words = run("status", plain=True)
    assert words.startswith("2 of 5 sheets corrected\n  ada: 2\n")
    assert "a slip? yt-abc_00001000_s000: Violin" in words


def test_who_takes_everything_back_says_nothing_any_more(
    workspace: Workspace, run: Run, tmp_path: Path
) -> None:
    """Or an import that was undone would still dispute what others say."""
    run("export-midi", CLIP.clip_id, "--out", tmp_path)
    song = tmp_path / f"{CLIP.clip_id}.mid"
    as_it_was = song.read_bytes()
    song.write_bytes(edited(as_it_was, "Violin", lambda notes: notes[1:], TEMPO))
    run("import-midi", song, "--by", "ada", "--reason", "heard")
    song.write_bytes(as_it_was)
    [sheet] = run("import-midi", song, "--by", "ada", "--reason", "heard")["sheets"]
    assert (sheet["undone"], sheet["edits"]) == (1, {})
    assert Corrections.read(path_in(workspace)).current(sheet["sheet"]) == []
    assert run("status")["corrected"] == []
    assert run("import-midi", song, "--by", "ada", "--reason", "heard")["kept"] == 0


def test_taking_an_edit_back_leaves_what_they_had_said_before(
    workspace: Workspace, run: Run, tmp_path: Path
) -> None:
    run("export-midi", CLIP.clip_id, "--out", tmp_path / "1")
    song = tmp_path / "1" / f"{CLIP.clip_id}.mid"
    song.write_bytes(edited(song.read_bytes(), "Violin", lambda notes: notes[1:], TEMPO))
    run("import-midi", song, "--by", "ada", "--reason", "heard")
    run("export-midi", CLIP.clip_id, "--out", tmp_path / "2")
    song = tmp_path / "2" / f"{CLIP.clip_id}.mid"
    as_it_was = song.read_bytes()
    song.write_bytes(edited(as_it_was, "Violin", lambda notes: notes[1:], TEMPO))
    run("import-midi", song, "--by", "ada", "--reason", "heard")
    song.write_bytes(as_it_was)
    run("import-midi", song, "--by", "ada", "--reason", "heard")
    assert run("status")["edits"] == {"deleted": {"heard": 1}}


def test_one_person_has_one_name_in_a_daw_and_in_label_studio(run: Run, tmp_path: Path) -> None:
    """Under two they would be in conflict with themselves."""
    run("export-midi", CLIP.clip_id, "--out", tmp_path)
    song = tmp_path / f"{CLIP.clip_id}.mid"
    song.write_bytes(edited(song.read_bytes(), "Violin", lambda notes: notes[1:], TEMPO))
    run("import-midi", song, "--by", "ada@example.org", "--reason", "heard")
    with pytest.raises(UsageError, match=r"if that is you, say --by ada@example\.org"):
        run("import-midi", song, "--by", "Ada", "--reason", "heard")


TEMPO_960 = TempoMap(960, TEMPO.ticks * 960 // 5120, TEMPO.tempo_us)


def test_what_has_been_corrected_goes_out_corrected(run: Run, tmp_path: Path) -> None:
    run("export-midi", CLIP.clip_id, "--out", tmp_path / "1")
    song = tmp_path / "1" / f"{CLIP.clip_id}.mid"
    song.write_bytes(edited(song.read_bytes(), "Violin", lambda notes: notes[1:], TEMPO))
    run("import-midi", song, "--by", "ada", "--reason", "heard")
    run("export-midi", CLIP.clip_id, "--out", tmp_path / "2")
    song = tmp_path / "2" / f"{CLIP.clip_id}.mid"
    song.write_bytes(
        edited(song.read_bytes(), "Violin", lambda notes: [later(notes[0], 0.1), *notes[1:]], TEMPO)
    )
    said = run("import-midi", song, "--by", "bob", "--reason", "aligned")
    assert said["sheets"][0]["edits"] == {"moved": {"aligned": 1}}, "what he did, not what was done before"
    status = run("status")
    assert status["edits"] == {"deleted": {"heard": 1}, "moved": {"aligned": 1}}
    assert (status["people"], status["conflicts"]) == ({"bob": 1}, [])


def test_the_same_file_comes_back_for_another_reason_and_then_undone(run: Run, tmp_path: Path) -> None:
    run("export-midi", CLIP.clip_id, "--out", tmp_path)
    song = tmp_path / f"{CLIP.clip_id}.mid"
    data = song.read_bytes()
    song.write_bytes(edited(data, "Violin", lambda notes: notes[1:], TEMPO))
    assert run("import-midi", song, "--by", "Ada", "--reason", "heard")["kept"] == 1
    song.write_bytes(
        edited(song.read_bytes(), "Violin", lambda notes: [later(notes[0], 0.1), *notes[1:]], TEMPO)
    )
    said = run("import-midi", song, "--by", " ada", "--reason", "aligned")
    assert (said["kept"], said["sheets"][0]["edits"]) == (1, {"moved": {"aligned": 1}})
    assert run("status")["edits"] == {"deleted": {"heard": 1}, "moved": {"aligned": 1}}
    assert run("import-midi", song, "--by", "ada", "--reason", "aligned")["again"] == [f"{CLIP.clip_id}_s000"]
    words = run("import-midi", song, "--by", "ada", "--reason", "heard", plain=True)
    assert f"{CLIP.clip_id}_s000: nothing new, you have corrected it so before\n" in words
    song.write_bytes(data)
    words = run("import-midi", song, "--by", "ada", "--reason", "heard", plain=True)
    assert f"{CLIP.clip_id}_s000: 2 taken back\n" in words
    assert run("status")["edits"] == {}


def test_who_is_overruled_by_a_reviewer_is_told(run: Run, tmp_path: Path) -> None:
    run("export-midi", CLIP.clip_id, "--out", tmp_path)
    song = tmp_path / f"{CLIP.clip_id}.mid"
    data, sheet = song.read_bytes(), f"{CLIP.clip_id}_s000"
    song.write_bytes(edited(data, "Violin", lambda notes: notes[1:], TEMPO))
    assert run("import-midi", song, "--by", "rita", "--reason", "heard", "--reviewer")["overruled"] == []
    song.write_bytes(edited(data, "Violin", lambda notes: notes[2:], TEMPO))
    tried = run("import-midi", song, "--by", "ada", "--reason", "heard", "--dry-run")
    said = run("import-midi", song, "--by", "ada", "--reason", "heard")
    assert (said["kept"], said["conflicts"]) == (1, [])
    assert tried["overruled"] == said["overruled"] == [{"sheet": sheet, "by": "rita"}]
    song.write_bytes(edited(data, "Violin", lambda notes: notes[3:], TEMPO))
    words = run("import-midi", song, "--by", "ada", "--reason", "heard", plain=True)
    assert f"overruled: {sheet}: the correction by rita, a reviewer, counts, not this one\n" in words


def test_disputes_are_told_and_settled(workspace: Workspace, run: Run, tmp_path: Path) -> None:
    run("export-midi", CLIP.clip_id, "--out", tmp_path)
    data = (tmp_path / f"{CLIP.clip_id}.mid").read_bytes()
    for who, kept in (("ada", slice(1, None)), ("bob", slice(2, None))):
        song = tmp_path / f"{who}.mid"
        song.write_bytes(edited(data, "Violin", lambda notes, kept=kept: notes[kept], TEMPO))  # type: ignore[misc]
        said = run("import-midi", song, "--by", who, "--reason", "heard")
    sheet = f"{CLIP.clip_id}_s000"
    assert said["conflicts"][0].startswith(f"{sheet}: ada (")
    status = run("status")
    assert (status["corrected"], len(status["conflicts"]), status["edits"]) == ([], 1, {})
    assert layers(CLIP, Corrections.read(path_in(workspace)))["final"] == CLIP.notes

    with pytest.raises(UsageError, match=r"zoe has no correction of .*; corrected by: ada, bob"):
        run("settle", sheet, "--take", "zoe", "--by", "rita")
    assert run("settle", sheet, "--take", "bob", "--by", "rita") == {"kept": 1}
    assert run("settle", sheet, "--take", "bob", "--by", "rita") == {"kept": 0}
    status = run("status")
    assert (status["corrected"], status["conflicts"], status["edits"]) == (
        [sheet],
        [],
        {"deleted": {"heard": 2}},
    )
    assert status["overruled"] == [{"sheet": sheet, "by": "ada"}]
    assert run("withdraw", sheet, "--by", "rita") == {"kept": 1}
    assert run("withdraw", sheet, "--by", "ada") == {"kept": 1}
    with pytest.raises(UsageError, match="ada has no correction of"):
        run("withdraw", sheet, "--by", "ada")
    assert run("status")["people"] == {"bob": 1}


def test_a_new_transcription_and_clips_that_are_gone_are_told(
    workspace: Workspace, run: Run, tmp_path: Path
) -> None:
    run("export-midi", CLIP.clip_id, "--out", tmp_path)
    song = tmp_path / f"{CLIP.clip_id}.mid"
    song.write_bytes(edited(song.read_bytes(), "Violin", lambda notes: notes[1:], TEMPO))
    run("import-midi", song, "--by", "ada", "--reason", "heard")
    write_tables(workspace.root, ClipNotes(CLIP.clip_id, 1300, band(65, 5, seed=7)), OTHER)
    status = run("status")
    assert (status["stale"], status["corrected"]) == ([f"{CLIP.clip_id}_s000"], [f"{CLIP.clip_id}_s000"])
    write_tables(workspace.root, OTHER)
    status = run("status")
    assert (status["lost"], status["corrected"], status["sheets"]) == ([f"{CLIP.clip_id}_s000"], [], 2)


def test_somebodys_work_is_never_written_over(run: Run, tmp_path: Path) -> None:
    run("export-midi", CLIP.clip_id, "--out", tmp_path)
    run("export-midi", CLIP.clip_id, "--out", tmp_path)
    song = tmp_path / f"{CLIP.clip_id}.mid"
    work = edited(song.read_bytes(), "Violin", lambda notes: notes[1:], TEMPO)
    song.write_bytes(work)
    with pytest.raises(UsageError, match="exists and may hold somebody's work"):
        run("export-midi", CLIP.clip_id, "--out", tmp_path)
    assert song.read_bytes() == work


def test_sheets_go_out_by_their_names(run: Run, tmp_path: Path) -> None:
    run("export-midi", f"{CLIP.clip_id}_s001", OTHER.clip_id, "--out", tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.mid")) == [
        f"{CLIP.clip_id}_s001.mid",
        f"{OTHER.clip_id}.mid",
    ]
    bare = tmp_path / "bare.mid"
    bare.write_bytes(
        without((tmp_path / f"{CLIP.clip_id}_s001.mid").read_bytes(), "text", "marker", "track_name")
    )
    with pytest.raises(UsageError, match="Say it with --clip CLIP --anyway"):
        run("import-midi", bare, "--by", "ada", "--reason", "heard")
    said = run(
        "import-midi", bare, "--by", "ada", "--reason", "heard", "--clip", f"{CLIP.clip_id}_s001", "--anyway"
    )
    assert (said["kept"], said["same"]) == (0, said["notes"])


def test_who_vouches_for_everything_says_checked(run: Run, tmp_path: Path) -> None:
    run("export-midi", OTHER.clip_id, "--out", tmp_path)
    song = tmp_path / f"{OTHER.clip_id}.mid"
    assert run("import-midi", song, "--by", "ada", "--reason", "heard")["kept"] == 0
    assert run("import-midi", song, "--by", "ada", "--reason", "heard", "--checked")["kept"] == 2
    assert run("import-midi", song, "--by", "ada", "--reason", "aligned", "--checked")["kept"] == 0
    status = run("status")
    assert (len(status["corrected"]), status["edits"]) == (2, {})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("export-midi", "nothing"), "has no clip 'nothing'"),
        (("export-midi", f"{CLIP.clip_id}_s007"), "has no sheet 7: it has 3"),
        (("export-midi", "yt-xyz"), "has no notes yet"),
        (("import-midi", "missing.mid", "--reason", "heard"), "cannot read missing.mid"),
    ],
)
def test_wrong_names_are_told(arguments: tuple[str, ...], words: str, run: Run, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out") if arguments[0] == "export-midi" else ("--by", "ada")
    with pytest.raises(UsageError, match=words):
        run(*arguments, *out)
