"""Exports read back with other libraries: mido, pretty_midi, pandas, jams, and the standard of MusicXML."""

from __future__ import annotations

import builtins
import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pandas as pd
import pytest

from d2midi_build import clock, tables
from d2midi_build.errors import UsageError
from d2midi_build.music.midi import read_midi
from d2midi_build.music.notes import Notes
from d2midi_build.report.export import SUFFIXES, Format, Programs, chosen_clips, export
from tests.music.test_musicxml import read_score
from tests.report.clips import make_clip, make_workspace

CLIP, SECOND, BARE = "abc_00001000", "kmx_00002000", "zzz_00000000"


def _played() -> Notes:
    """Two pianos at once on one key, a violin and drums, at times that no grid knows."""
    return Notes.create(
        [0.5, 0.75, 1.01, 0.25],
        [2.5, 1.5, 2.02, 0.35],
        [60, 60, 76, 36],
        [100, 90, 80, 70],
        program=[0, 4, 41, 0],
        is_drum=[False, False, False, True],
        p_note=[0.9, 0.5, 0.25, 1.0],
        p_instrument=[0.5, 1.0, 1.0, 1.0],
        origin="made, up",
    )


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips: one with notes and beats, one with neither, one that transcribe failed on."""
    clips = [
        replace(make_clip(60, clip_id=CLIP), notes=_played()),
        replace(make_clip(5, clip_id=SECOND), notes=Notes.empty()),
        replace(
            make_clip(5, clip_id=BARE),
            notes=None,
            changes={"failed_stage": "transcribe", "message": "broken"},
        ),
    ]
    root = make_workspace(tmp_path_factory.mktemp("export") / "workspace", *clips)
    beats = [(0.5, 1), (1.0, 2), (1.5, 3), (2.0, 1)]
    rows = [_beat("musical", number, time_s, place) for number, (time_s, place) in enumerate(beats)]
    rows.append(_beat("kinematic", 0, 0.7, None))
    tables.write(root / "manifests" / "beats.parquet", tables.from_rows("beats", rows))
    return root


def _beat(kind: str, number: int, time_s: float, place: int | None) -> dict[str, Any]:
    sure = {"strength": 0.5, "confidence": 0.75, "stage_key": "", "made_by": "{}", "time_base": ""}
    return {"clip_id": CLIP, "kind": kind, "beat": number, "time_s": time_s, "position": place, **sure}


def _write(
    workspace: Path, out: Path, form: Format, clip_id: str = CLIP, programs: Programs = "dataset"
) -> Path:
    (ended,) = export(workspace, [clip_id], form, out, programs)
    assert ended.message == ""
    assert ended.file == out / f"{clip_id}{SUFFIXES[form]}"
    return ended.file


def test_midi_has_the_programs_of_the_dataset(workspace: Path, tmp_path: Path) -> None:
    import pretty_midi

    song = pretty_midi.PrettyMIDI(str(_write(workspace, tmp_path, "midi")))
    assert [(i.name, i.program, i.is_drum) for i in song.instruments] == [
        ("Acoustic Grand Piano", 0, False), ("Violin", 40, False), ("Drum", 0, True),
    ]  # fmt: skip
    # On one channel the second piano ends the first.
    assert [(n.start, n.end, n.velocity) for n in song.instruments[0].notes] == [
        (0.5, 0.75, 100),
        (0.75, 1.5, 90),
    ]


def test_midi_with_original_programs_is_what_was_transcribed(workspace: Path, tmp_path: Path) -> None:
    path = _write(workspace, tmp_path, "midi", programs="original")
    read, played = read_midi(path), _played()
    for column in ("onset_s", "offset_s", "pitch", "velocity", "program", "is_drum"):
        assert np.array_equal(getattr(read, column), getattr(played, column)), column
    told = {m.program for t in mido.MidiFile(path).tracks for m in t if m.type == "program_change"}
    assert told == {0, 4, 41}


def test_csv_is_the_table_of_notes(workspace: Path, tmp_path: Path) -> None:
    read = pd.read_csv(
        _write(workspace, tmp_path, "csv"), keep_default_na=False, na_values={"agreement": [""]}
    )
    whole = pd.read_parquet(workspace / "manifests" / "notes.parquet")
    mine = whole[whole["clip_id"] == CLIP].reset_index(drop=True)
    assert len(mine) == 4
    pd.testing.assert_frame_equal(read.astype(mine.dtypes.to_dict()), mine, check_exact=True)
    empty = pd.read_csv(_write(workspace, tmp_path, "csv", SECOND))
    assert list(empty.columns) == list(mine.columns)
    assert len(empty) == 0


def test_jams_has_notes_beats_and_where_they_come_from(workspace: Path, tmp_path: Path) -> None:
    import jams

    file = jams.load(str(_write(workspace, tmp_path, "jams")), validate=True, strict=True)
    assert file.file_metadata.duration == clock.frame_time_s(60)
    assert file.sandbox.d2midi["clip_id"] == CLIP
    piano, violin, drum = file.search(namespace="note_midi")
    assert [(o.time, o.duration, o.value) for o in piano.data] == [(0.5, 2.0, 60), (0.75, 0.75, 60)]
    assert piano.sandbox.program == [0, 4]
    assert violin.data[0].confidence == pytest.approx(0.25)
    assert drum.sandbox.is_drum
    (beats,) = file.search(namespace="beat")
    assert [(o.time, o.value) for o in beats.data] == [(0.5, 1), (1.0, 2), (1.5, 3), (2.0, 1)]
    assert {o.confidence for o in beats.data} == {0.75}


def test_musicxml_lies_on_the_beats_that_were_found(workspace: Path, tmp_path: Path) -> None:
    score = read_score(_write(workspace, tmp_path, "musicxml").read_bytes())
    # The grid begins with a beat at 0 s, a sixteenth is 125 ms; a key struck again ends its first note.
    assert score == {
        "Acoustic Grand Piano": {(60, 4, 6), (60, 6, 12)}, "Violin": {(76, 8, 16)}, "Drums": {(65, 2, 4)},
    }  # fmt: skip
    assert b"No rhythm" in _write(workspace, tmp_path, "musicxml", SECOND).read_bytes()


@pytest.mark.parametrize("form", SUFFIXES)
def test_again_gives_the_same_bytes_and_leaves_other_files_alone(
    workspace: Path, tmp_path: Path, form: Format
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    first = _write(workspace, tmp_path, form).read_bytes()
    assert _write(workspace, tmp_path, form).read_bytes() == first
    assert {path.name for path in tmp_path.iterdir()} == {"mine.txt", f"{CLIP}{SUFFIXES[form]}"}


def test_one_bad_clip_does_not_stop_the_rest(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / f"{CLIP}.mid").mkdir()  # nothing can be written there
    ids = [BARE, CLIP, SECOND]
    failed, refused, written = export(workspace, ids, "midi", tmp_path)
    assert "transcribe failed" in failed.message
    assert "broken" in failed.message
    assert "cannot be written" in refused.message
    assert (failed.file, refused.file) == (None, None)
    assert written.file == tmp_path / f"{SECOND}.mid"
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{CLIP}.mid", f"{SECOND}.mid"]


def test_damaged_notes_are_one_clips_failure(workspace: Path, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    clips = [replace(make_clip(5, clip_id=name), notes=_played()) for name in (CLIP, SECOND)]
    make_workspace(root, *clips)
    path = root / "manifests" / "notes.parquet"
    rows = tables.read(path).to_pylist()
    rows[0]["velocity"] = 0
    tables.write(path, tables.from_rows("notes", rows))
    first, second = export(root, [CLIP, SECOND], "csv", tmp_path / "out")
    assert "velocity 0" in first.message
    assert second.file is not None


def test_clips_are_named_as_elsewhere(workspace: Path) -> None:
    assert chosen_clips(workspace, []) == [CLIP, SECOND, BARE]
    assert chosen_clips(workspace, ["2", "kmx", "abc_00001000"]) == [SECOND, CLIP]
    with pytest.raises(UsageError, match=f"Near: {CLIP}"):
        chosen_clips(workspace, ["abc_0000100O"])


@pytest.mark.parametrize("folder", ["midi", "store/x", "manifests"])
def test_folders_of_the_workspace_are_refused(workspace: Path, folder: str) -> None:
    with pytest.raises(UsageError, match="builds keep"):
        export(workspace, [CLIP], "midi", workspace / folder)


def test_where_nothing_can_be_written_is_told_at_once(workspace: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        export(workspace, [CLIP], "midi", tmp_path / "a" / "b")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        export(workspace, [CLIP], "midi", tmp_path / "file")
    export(workspace, [CLIP], "midi", workspace / "exports")  # a new folder of one's own is fine
    (workspace / "exports").rmdir()


@pytest.mark.parametrize(("form", "library"), [("jams", "jams"), ("musicxml", "music21")])
def test_a_missing_library_is_told_with_how_to_install_it(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Format, library: str
) -> None:
    def absent(name: str, package: str | None = None) -> Any:
        if name == library:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return builtins.__import__(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(UsageError, match="uv sync --inexact --extra export"):
        export(workspace, [CLIP], form, tmp_path / "out")
    assert not (tmp_path / "out").exists()
