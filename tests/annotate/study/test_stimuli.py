"""The videos that people rate, and studies on their way to Label Studio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.study import sending, stimuli
from d2midi_build.annotate.study.design import Dance, path_in, read
from d2midi_build.annotate.study.loudness import loudness
from d2midi_build.annotate.study.sending import Asked, designed, push, tasks_of
from d2midi_build.annotate.study.stimuli import music_in, played, recorded, render
from d2midi_build.errors import PermanentError, UsageError
from d2midi_build.media.probe import probe
from d2midi_build.music.midi import write_midi
from d2midi_build.music.notes import Notes
from d2midi_build.workspace import Workspace
from tests.annotate.kept import Kept
from tests.annotate.test_excerpt import flashes_and_beeps, flashing
from tests.annotate.workspaces import write_tables

CLIPS = ("yt-a_00000000", "yt-b_00000000", "yt-c_00000000")


def notes(*onsets_s: float, velocity: int = 100, program: int = 0) -> Notes:
    return Notes.create(
        list(onsets_s),
        [onset_s + 0.3 for onset_s in onsets_s],
        [60] * len(onsets_s),
        [velocity] * len(onsets_s),
        [program] * len(onsets_s),
        [False] * len(onsets_s),
        origin="test",
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Three clips of 4 s that flash and beep at 1 and 3 s, with a note at each."""
    made = write_tables(tmp_path / "w", *(ClipNotes(clip_id, 80, notes(1.0, 3.0)) for clip_id in CLIPS))
    for clip_id in CLIPS:
        folder = made.root / "clips" / clip_id
        folder.mkdir(parents=True)
        flashing(folder / "video.mp4", 4, [1.0, 3.0], "-an", fps=20)
        sound = np.zeros((4 * 44_100, 1), np.float32)
        for start in (44_100, 3 * 44_100):
            sound[start : start + 4410, 0] = 0.5 * np.sin(np.arange(4410) / 7)
        soundfile.write(folder / "original.flac", sound, 44_100)
    return made


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    """Two methods with music for all clips, and one that lacks the last."""
    made = {}
    for number, (method, held) in enumerate({"loud": CLIPS, "soft": CLIPS, "lazy": CLIPS[:2]}.items()):
        folder = tmp_path / method
        folder.mkdir()
        for clip_id in held:
            write_midi(notes(0.5, 1.5, velocity=30 + 45 * number), folder / f"{clip_id}.mid")
        made[method] = str(folder)
    return made


def test_a_stimulus_has_the_dance_s_picture_beside_its_music(workspace: Workspace, tmp_path: Path) -> None:
    clip = workspace.root / "clips" / CLIPS[0]
    for name, dance, at_s in (
        ("whole", Dance("a", CLIPS[0], 0, 80), [1.0, 3.0]),
        ("part", Dance("a_40", CLIPS[0], 40, 30), [1.0]),
    ):
        sound = recorded(clip / "original.flac", dance.length_s, dance.start_s)
        render(clip / "video.mp4", dance, sound, tmp_path / f"{name}.mp4")
        seen, heard = flashes_and_beeps(tmp_path / f"{name}.mp4")
        assert seen == pytest.approx(at_s, abs=0.026) and heard == pytest.approx(at_s, abs=0.012)
        info = probe(tmp_path / f"{name}.mp4")
        assert info.duration_s == pytest.approx(dance.length_s, abs=0.03)
        assert info.video.average_fps == pytest.approx(20)


def test_notes_are_played_from_the_dance_s_beginning() -> None:
    whole = played(notes(1.0, 3.0), 4.0)
    part = played(notes(1.0, 3.0), 1.5, 2.5)
    assert whole.shape == (192_000, 2) and part.shape == (72_000, 2)
    assert np.array_equal(part, whole[120_000:])
    assert not np.abs(whole[:48_000]).max() and np.abs(whole[48_000:50_400]).max() > 0.01


def test_whatever_a_method_wrote_is_played_with_the_dataset_s_programs() -> None:
    assert np.array_equal(played(notes(0.2, program=1), 1.0), played(notes(0.2, program=0), 1.0))


@pytest.mark.parametrize(("rate_hz", "channels"), [(48_000, 1), (44_100, 2), (16_000, 6)])
def test_sound_files_become_stereo_of_the_dance_s_length(tmp_path: Path, rate_hz: int, channels: int) -> None:
    time_s = np.arange(rate_hz) / rate_hz
    soundfile.write(
        tmp_path / "a.wav", np.repeat(np.sin(2000 * time_s)[:, None], channels, axis=1) / 2, rate_hz
    )
    sound = recorded(tmp_path / "a.wav", 1.5, 0.25)
    assert sound.shape == (72_000, 2) and sound.dtype == np.float32
    wanted = np.sin(2000 * (0.25 + np.arange(30_000) / 48_000)) / 2
    assert np.abs(sound[500:30_000] - wanted[500:, None]).max() < 0.01
    assert np.abs(sound[37_000:]).max() < 1e-3


def test_damaged_sound_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    soundfile.write(tmp_path / "b.wav", np.full((100, 1), np.nan, np.float32), 48_000, subtype="FLOAT")
    for name in ("a.wav", "b.wav"):
        with pytest.raises(PermanentError, match="replace it"):
            recorded(tmp_path / name, 1.0)


def test_all_methods_of_a_dance_are_equally_loud_and_look_alike(
    workspace: Workspace, folders: dict[str, str]
) -> None:
    asked = Asked("trial", folders | {"lazy": "@original", "own": "@notes"}, only=CLIPS[:1])
    made = designed(workspace, asked)
    stimuli.make(workspace, made.study, made.music)
    folder = workspace.root / "annotation" / "served" / "media" / "study" / "trial"
    files = sorted(folder.iterdir())
    assert {path.stem for path in files} == {each.token for each in made.study.stimuli} and len(files) == 4
    levels = []
    for path in files:
        with av.open(str(path)) as container:
            assert set(container.metadata) <= {"major_brand", "minor_version", "compatible_brands"}
            sound = np.concatenate([each.to_ndarray() for each in container.decode(audio=0)], axis=1)
        levels.append(loudness(sound.T) or 0)
    assert max(levels) - min(levels) < 0.3
    for method in ("loud", "soft", "lazy", "own", CLIPS[0]):
        assert not any(method.encode() in path.read_bytes() for path in files)


def test_several_processes_make_the_same_videos_and_none_is_made_twice(
    workspace: Workspace, folders: dict[str, str]
) -> None:
    made = designed(workspace, Asked("trial", {name: folders[name] for name in ("loud", "soft")}))
    done: list[tuple[int, int]] = []
    stimuli.make(workspace, made.study, made.music, 2, lambda n, of: done.append((n, of)))
    files = sorted((workspace.root / "annotation" / "served" / "media" / "study" / "trial").iterdir())
    bytes_of = {path: path.read_bytes() for path in files}
    assert done == [(1, 3), (2, 3), (3, 3)] and len(files) == 6
    files[0].unlink()
    kept = {path: path.stat().st_mtime_ns for path in files[1:]}
    stimuli.make(workspace, made.study, made.music)
    assert {path: path.read_bytes() for path in files} == bytes_of
    assert {path: path.stat().st_mtime_ns for path in files[1:]} == kept


def test_a_dance_that_a_method_lacks_is_left_out_and_told(
    workspace: Workspace, folders: dict[str, str]
) -> None:
    made = designed(workspace, Asked("trial", folders))
    assert [dance.name for dance in made.study.dances] == list(CLIPS[:2])
    assert made.left_out == {CLIPS[2]: ["lazy"]}


def test_a_study_is_designed_once(workspace: Workspace, folders: dict[str, str]) -> None:
    two = {name: folders[name] for name in ("loud", "soft")}
    first = designed(workspace, Asked("trial", two))
    assert not first.known
    again = designed(workspace, Asked("trial", two))
    assert again.known and again.study == first.study == read(workspace, "trial")
    with pytest.raises(UsageError, match="take another name"):
        designed(workspace, Asked("trial", two, seconds=2.0))
    with pytest.raises(UsageError, match="take another name"):
        designed(workspace, Asked("trial", folders))
    write_midi(notes(0.1), Path(two["loud"]) / f"{CLIPS[0]}.mid")
    with pytest.raises(UsageError, match="take another name"):
        designed(workspace, Asked("trial", two))
    assert designed(workspace, Asked("second", two)).study.secret != first.study.secret


def test_so_many_dances_are_drawn_by_the_seed(workspace: Workspace, folders: dict[str, str]) -> None:
    two = {name: folders[name] for name in ("loud", "soft")}
    drawn = {
        tuple(
            dance.name
            for dance in designed(workspace, Asked(f"trial-{seed}", two, most=2, seed=seed)).study.dances
        )
        for seed in range(8)
    }
    assert len(drawn) > 1 and all(len(names) == 2 for names in drawn)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"soft": "nowhere"}, "there is no folder"),
        ({"soft": "@else"}, "it can be a folder"),
        ({"soft": "."}, "there is no file"),
    ],
)
def test_methods_without_music_are_refused(
    workspace: Workspace,
    folders: dict[str, str],
    changed: dict[str, str],
    told: str,
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(UsageError, match=told):
        designed(workspace, Asked("trial", folders | changed))
    assert not path_in(workspace, "trial").exists()


def test_music_of_unknown_clips_or_of_none_in_common_is_refused(
    workspace: Workspace, folders: dict[str, str]
) -> None:
    for method in ("loud", "soft"):
        write_midi(notes(0.1), Path(folders[method]) / "unknown.mid")
    with pytest.raises(UsageError, match="no clip of the workspace is called unknown"):
        designed(workspace, Asked("trial", {name: folders[name] for name in ("loud", "soft")}))
    with pytest.raises(UsageError, match="no dance has music of all 3"):
        designed(workspace, Asked("trial", folders, only=(CLIPS[2],)))


def test_two_files_for_one_dance_are_refused(tmp_path: Path) -> None:
    for name in ("a.mid", "a.wav", ".b.mid", "notes.txt"):
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match="for the same dance"):
        music_in(tmp_path)
    (tmp_path / "a.wav").unlink()
    assert list(music_in(tmp_path)) == ["a"]


def test_tasks_are_sent_once_in_order_and_tell_nothing(workspace: Workspace, folders: dict[str, str]) -> None:
    study = designed(workspace, Asked("trial", {name: folders[name] for name in ("loud", "soft")})).study
    studio = Kept()
    assert push(studio, workspace, study) == ("http://studio/projects/1/", 6)
    assert push(studio, workspace, study)[1] == 0
    assert [task.data for task in studio.there.values()] == tasks_of(study)
    assert (
        studio.storage == workspace.root / "annotation" / "served" / "media"
        and "consistency" in studio.config
    )
    assert [task.data["title"] for task in studio.there.values()][:2] == ["Sample 1 of 6", "Sample 2 of 6"]
    said = repr((studio.there, studio.title))
    assert not any(word in said for word in ("loud", "soft", "yt-", study.secret))
    elsewhere = tasks_of(study, "https://media.example")[0]["video"]
    assert elsewhere == f"https://media.example/study/trial/{study.stimuli[0].token}.mp4"
    assert sending.title_of("trial") == "d2midi study: trial"
