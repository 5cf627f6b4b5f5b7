"""Building releases: what goes in, what stays out, and that nothing half-made is ever seen."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from d2midi_build import tables
from d2midi_build.digests import sha256_file
from d2midi_build.errors import ReleaseError, UsageError
from d2midi_build.motion.keypoints import PARTS, PRESENCES, Keypoints, read_frames, write_frames
from d2midi_build.music.midi import read_midi
from d2midi_build.music.notes import Notes
from d2midi_build.release import build as building
from d2midi_build.release.contents import Clip, Contents, Removal
from d2midi_build.release.format import MISSING, SCHEMA, SUMS, TABLES, VOCABULARY, schema
from d2midi_build.train.tokens import vocabulary as tokens
from d2midi_build.train.tokens.vocabulary import Vocabulary
from tests.release import making

SMALL_SHARDS = {"release_shard.mb": 0.5}
"""A few hundred frames each."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """Nine clips, three of each length."""
    return making.contents(tmp_path_factory.mktemp("made"), 9)


@pytest.fixture(scope="module")
def built(made: Contents, tmp_path_factory: pytest.TempPathFactory) -> building.Built:
    """A release of several shards that no test changes."""
    return making.build_of(made, tmp_path_factory.mktemp("built") / "1.0.0", sharded())


def sharded(**fields: Any) -> Any:
    return making.recipe(**fields).with_field("release.shard_mb", 0.51)


def whole(folder: Path, table: str) -> pa.Table:
    return pa.concat_tables(pq.read_table(path) for path in sorted(folder.glob(f"data/{table}/*.parquet")))


def with_clip(contents: Contents, number: int, **row: Any) -> Contents:
    """The contents with a clip's row changed."""
    clips = list(contents.clips)
    clips[number] = replace(clips[number], row={**clips[number].row, **row})
    return replace(contents, clips=tuple(clips))


def test_every_table_is_what_its_schema_says(built: building.Built) -> None:
    for table in TABLES:
        for path in built.folder.glob(f"data/{table}/*.parquet"):
            tables.check(f"release/{table}", pq.read_table(path))
    assert {path.parent.name for path in built.folder.glob("data/*/*")} == set(TABLES)
    assert built.manifest["totals"]["clips"] == 9
    assert len(built.manifest["shards"]) == 3
    assert built.manifest["shards"]["train"] > 1, "the fixture must have several shards"


def test_the_sums_name_every_file_and_are_right(built: building.Built) -> None:
    listed = dict(line.split("  ")[::-1] for line in (built.folder / SUMS).read_text().splitlines())
    there = {str(path.relative_to(built.folder)) for path in built.folder.rglob("*") if path.is_file()}
    assert set(listed) == there - {SUMS}
    assert all(sha256_file(built.folder / name) == digest for name, digest in listed.items())


def test_other_folder_and_other_number_of_workers_give_the_same_bytes(
    built: building.Built, tmp_path: Path
) -> None:
    again = making.contents(tmp_path / "elsewhere", 9)
    shuffled = replace(again, clips=again.clips[::-1], videos=again.videos[::-1])
    other = making.build_of(shuffled, tmp_path / "other", sharded(run_workers=7), workers=3)
    assert (other.folder / SUMS).read_text() == (built.folder / SUMS).read_text()


def test_keypoints_are_those_of_the_clip(built: building.Built, made: Contents) -> None:
    frames = whole(built.folder, "frames")
    for clip in made.clips:
        mine = frames.filter(pc.equal(frames.column("clip_id"), clip.clip_id))
        expected = read_frames(clip.files["frames"])
        assert mine.column("frame").to_pylist() == list(range(clip.row["n_frames"]))
        for name in PRESENCES:
            assert mine.column(f"present_{name}").equals(expected.column(f"present_{name}"))
        for name, part in PARTS.items():
            column = expected.column(name).combine_chunks()
            there = column.is_valid().to_numpy(zero_copy_only=False)
            found = mine.column(name).combine_chunks().flatten().to_numpy().reshape(-1, part.size)
            assert np.array_equal(found[there], column.flatten().to_numpy().reshape(-1, part.size))
            assert (found[~there] == MISSING).all()
    assert frames.column("present_left_hand").combine_chunks().true_count < len(frames)


def test_a_number_clipped_at_the_lowest_is_not_taken_for_missing(tmp_path: Path) -> None:
    clip = making.a_clip(tmp_path, 0, 60)
    points = Keypoints.from_table(read_frames(clip.files["frames"]))
    far = points.face.copy()
    far[:, 0, 0] = -5.0
    table = replace(points, face=far).to_table(np.arange(60) / 20)
    write_frames(clip.files["frames"], table)
    made = making.contents(tmp_path / "rest", 3)
    video = made.videos[0] | {"video_id": "vid-000"}
    one = Contents((video,), (Clip(clip.row, clip.files, clip.digests),))
    built = making.build_of(one, tmp_path / "release")
    face = whole(built.folder, "frames").column("face").combine_chunks().flatten().to_numpy().reshape(60, -1)
    assert (face[:, 0] == MISSING + 1).all()
    described = json.loads((built.folder / SCHEMA).read_text())
    assert described["quantisation"]["face"]["saturated"] == 60


def test_the_schema_tells_the_largest_error_of_all_clips(built: building.Built, made: Contents) -> None:
    told = json.loads((built.folder / SCHEMA).read_text())["quantisation"]["body_world"]
    noted = [
        float(pq.read_schema(clip.files["frames"]).field("body_world").metadata[b"max_error"])
        for clip in made.clips
    ]
    assert told == {"scale": 2.0**-13, "max_error": max(noted), "saturated": 0}
    for path in built.folder.glob("data/frames/*"):
        field = pq.read_schema(path).field("body_world")
        assert float(field.metadata[b"max_error"]) <= max(noted)


def test_row_groups_of_frames_never_cross_a_clip(built: building.Built) -> None:
    for path in built.folder.glob("data/frames/*"):
        file = pq.ParquetFile(path)
        for number in range(file.num_row_groups):
            group = file.read_row_group(number, columns=["clip_id"])
            assert len(group.column("clip_id").unique()) == 1
            assert len(group) <= 200


def test_notes_beats_midi_and_sound_are_those_of_the_clip(built: building.Built, made: Contents) -> None:
    notes, beats, midi, audio = (whole(built.folder, name) for name in ("notes", "beats", "midi", "audio"))
    for clip in made.clips:
        wanted = Notes.from_table(tables.read(clip.files["notes"]))
        mine = notes.filter(pc.equal(notes.column("clip_id"), clip.clip_id))
        assert Notes.from_table(mine) == wanted
        assert all(pc.all(mine.column(f"in_{layer}")).as_py() for layer in ("machine", "heard", "final"))
        own = beats.filter(pc.equal(beats.column("clip_id"), clip.clip_id))
        assert own.column("time_s").equals(tables.read(clip.files["beats"]).column("time_s"))
        (sound,) = audio.filter(pc.equal(audio.column("clip_id"), clip.clip_id)).to_pylist()
        assert sound["flac"] == clip.files["audio"].read_bytes()
        files = midi.filter(pc.equal(midi.column("clip_id"), clip.clip_id)).to_pylist()
        assert [row["layer"] for row in files] == ["final", "heard", "machine"]
        heard = read_midi_bytes(files[0]["midi"])
        assert len(heard) == sum(
            len(wanted.where(wanted.instrument == name).playable()) for name in np.unique(wanted.instrument)
        )


def read_midi_bytes(data: bytes) -> Notes:
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".mid") as file:
        file.write(data)
        file.flush()
        return read_midi(Path(file.name))


def test_layers_come_from_the_notes_that_are_given(tmp_path: Path) -> None:
    made = making.contents(tmp_path / "made", 1)
    clip = made.clips[0]
    notes = tables.read(clip.files["notes"])
    corrected = np.arange(len(notes)) % 2 == 0
    for layer, there in {"machine": ~corrected, "heard": corrected, "final": corrected}.items():
        notes = notes.append_column(f"in_{layer}", pa.array(there))
    tables.write(clip.files["notes"], notes)
    folder = making.build_of(made, tmp_path / "release").folder
    assert whole(folder, "notes").column("in_final").to_numpy().tolist() == corrected.tolist()
    final, heard, machine = (read_midi_bytes(row["midi"]) for row in whole(folder, "midi").to_pylist())
    assert final == heard
    assert len(machine) != len(final) or machine != final


def test_the_dancer_is_placed_by_the_median_of_hips_and_shoulders(tmp_path: Path) -> None:
    clip = making.a_clip(tmp_path, 0, 60)
    points = Keypoints.from_table(read_frames(clip.files["frames"]))
    body = np.full((60, 33, 3), 0.25, np.float32)
    body[:, [23, 24], 0] = [0.5, 0.75]  # middle at 0.625
    body[:, [23, 24], 1] = 0.75
    body[:, [11, 12], 0] = [
        0.375,
        0.5,
    ]  # middle at 0.4375: 0.1875 of the width is 1/3 of the height to the left
    body[:, [11, 12], 1] = 0.5
    body[:5] += 0.125  # does not move the median
    body[~points.present_body] = np.nan
    write_frames(clip.files["frames"], replace(points, body_image=body).to_table(np.arange(60) / 20))
    made = making.contents(tmp_path / "rest", 1)
    folder = making.build_of(replace(made, clips=(clip,)), tmp_path / "release").folder
    (row,) = whole(folder, "clips").to_pylist()
    assert (row["centre_x"], row["centre_y"]) == (0.625, 0.75)
    assert row["torso"] == pytest.approx(np.hypot(0.1875 * 640 / 360, 0.25))
    assert row["body_share"] == pytest.approx(points.present_body.mean())


def test_windows_of_test_do_not_overlap(built: building.Built, made: Contents) -> None:
    n_frames = {clip.clip_id: clip.row["n_frames"] for clip in made.clips}
    starts: dict[tuple[str, str], list[int]] = {}
    for row in whole(built.folder, "windows").to_pylist():
        starts.setdefault((row["split"], row["clip_id"]), []).append(row["start_frame"])
    assert {split for split, _ in starts} == {"train", "validation", "test"}
    for (split, clip_id), found in starts.items():
        stride = 60 if split == "test" else 20
        assert found == list(range(0, n_frames[clip_id] - 60 + 1, stride))


def test_a_window_knows_the_instruments_that_sound_in_it(built: building.Built) -> None:
    notes = whole(built.folder, "notes").to_pylist()
    for window in whole(built.folder, "windows").to_pylist():
        start_s, end_s = window["start_frame"] / 20, (window["start_frame"] + 60) / 20
        sounding = [
            note
            for note in notes
            if note["clip_id"] == window["clip_id"] and note["onset_s"] < end_s and note["offset_s"] > start_s
        ]
        assert window["n_notes"] == len(sounding)
        assert window["instruments"] == sorted({note["instrument"] for note in sounding})


def test_both_counts_of_hours_are_told(built: building.Built, made: Contents) -> None:
    totals = built.manifest["totals"]
    assert totals["unique_hours"] == pytest.approx(sum(clip.row["n_frames"] for clip in made.clips) / 72_000)
    assert totals["window_hours"] == pytest.approx(len(whole(built.folder, "windows")) * 60 / 72_000)
    assert totals["window_hours"] > totals["unique_hours"]
    card = (built.folder / "README.md").read_text()
    assert f"| all | 9 | 9 | {totals['windows']} |" in card


def test_nothing_tells_where_or_by_whom_it_was_built(made: Contents, tmp_path: Path) -> None:
    chosen = making.recipe(
        crawl_cookies=Path("/home/someone/cookies.txt"), crawl_proxy="http://me:word@proxy"
    )
    folder = making.build_of(made, tmp_path / "secret-place", chosen).folder
    for path in folder.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        for private in (b"secret-place", str(tmp_path).encode(), b"cookies.txt", b"me:word"):
            assert private not in data, path
        assert len(socket.gethostname()) < 4 or socket.gethostname().encode() not in data


def test_groups_stay_together_and_what_joins_splits_is_counted(tmp_path: Path) -> None:
    same = {number: {"music": "one song"} for number in (0, 2, 4)}
    made = making.contents(tmp_path / "made", 12, groups=same)
    first = making.build_of(made, tmp_path / "first")
    ids = [clip.clip_id for clip in made.clips]
    assert len({first.split_of[ids[number]] for number in (0, 2, 4)}) == 1
    train = next(clip for clip in ids if first.split_of[clip] == "train")
    test = next(clip for clip in ids if first.split_of[clip] == "test")
    crossing = making.a_clip(tmp_path / "made", 12, 205, groups={"music": train, "performer": "dancer"})
    rows = {clip.clip_id: clip for clip in made.clips}
    known = replace(rows[test], row={**rows[test].row, "performer_group": "dancer"})
    grown = replace(
        made,
        clips=(*(known if clip.clip_id == test else clip for clip in _music(made, train)), crossing),
        videos=(*made.videos, made.videos[0] | {"video_id": crossing.row["video_id"]}),
    )
    second = making.build_of(grown, tmp_path / "second", before=first.split_of)
    assert second.split_of == first.split_of
    assert set(second.left_out) == {crossing.clip_id}
    assert sum(second.manifest["left_out"].values()) == 1


def _music(made: Contents, clip_id: str) -> list[Clip]:
    """The clips, with one of them in the group of music that is called by it."""
    return [
        replace(clip, row={**clip.row, "music_group": clip_id}) if clip.clip_id == clip_id else clip
        for clip in made.clips
    ]


def test_what_was_removed_is_left_out_and_named(made: Contents, tmp_path: Path) -> None:
    gone = (
        Removal("vid-001", "", "takedown", "2026-11-26"),
        Removal("vid-002", "vid-002_00000000", "by hand", "2026-11-26"),
    )
    built = making.build_of(replace(made, removals=gone), tmp_path / "release")
    assert {"vid-001", "vid-002"}.isdisjoint(whole(built.folder, "clips").column("video_id").to_pylist())
    assert built.manifest["left_out"] == {"removed": 2}
    assert pq.read_table(built.folder / "removed.parquet").column("reason").to_pylist() == [
        "takedown",
        "by hand",
    ]


def test_a_clip_without_a_window_is_left_out(tmp_path: Path) -> None:
    made = making.contents(tmp_path / "made", 3, n_frames=(59, 60, 61))
    built = making.build_of(made, tmp_path / "release")
    assert built.left_out == {"vid-000_00000000": "shorter than a window"}


def test_a_workspace_without_clips_gives_no_release(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no clip to release"):
        making.build_of(Contents((), ()), tmp_path / "release")


@pytest.mark.parametrize("audio", ["none", "allowed"])
def test_sound_is_left_out_where_the_licence_or_the_recipe_forbids_it(tmp_path: Path, audio: str) -> None:
    made = with_clip(making.contents(tmp_path / "made", 4), 1, licence="all rights reserved")
    videos = [
        row | {"licence": "all rights reserved"} if row["video_id"] == "vid-001" else row
        for row in made.videos
    ]
    made = replace(made, videos=tuple(videos))
    folder = making.build_of(made, tmp_path / "release", making.recipe(release_audio=audio)).folder
    there = sorted(path.name for path in folder.glob("data/audio/*"))
    rows = {row["clip_id"]: row["has_audio"] for row in whole(folder, "clips").to_pylist()}
    if audio == "none":
        assert not there
        assert not any(rows.values())
    else:
        assert "vid-001_00000000" not in whole(folder, "audio").column("clip_id").to_pylist()
        assert [each for each, has in rows.items() if not has] == ["vid-001_00000000"]


def test_a_gate_that_fails_names_its_offenders_and_nothing_is_visible(made: Contents, tmp_path: Path) -> None:
    chosen = making.recipe(release_least_body_share=1.0)
    with pytest.raises(ReleaseError, match=r"(?s)coverage.*vid-000.*build again"):
        making.build_of(made, tmp_path / "release", chosen)
    assert not (tmp_path / "release").exists()
    built = making.build_of(made, tmp_path / "release", making.recipe(release_licences=("cc by*",)))
    assert built.n_reused == sum(built.manifest["shards"].values())
    assert built.manifest["totals"]["clips"] == 9
    assert [path.name for path in tmp_path.iterdir()] == ["release"]


def test_a_file_that_contradicts_its_row_is_told(made: Contents, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"vid-000_00000000: 205 rows of keypoints for 206 frames"):
        making.build_of(with_clip(made, 0, n_frames=206), tmp_path / "release")
    assert not (tmp_path / "release").exists()


def test_a_release_that_is_there_is_never_changed(made: Contents, tmp_path: Path) -> None:
    first = making.build_of(made, tmp_path / "release")
    times = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    again = making.build_of(made, tmp_path / "release")
    assert again.existed
    assert again.manifest == first.manifest
    with pytest.raises(UsageError, match=r"holds release 1\.0\.0 made of other contents"):
        making.build_of(with_clip(made, 0, genre="tango"), tmp_path / "release")
    assert times == {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="exists and is no release"):
        making.build_of(made, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_a_place_that_cannot_be_moved_to_is_refused_at_once(made: Contents, tmp_path: Path) -> None:
    for out in (Path("/"), Path(), Path("/proc")):
        with pytest.raises(UsageError, match="must be a folder of its own"):
            making.build_of(made, out)
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "dangling").symlink_to(tmp_path / "later")
    for name, real in (("link", "empty"), ("dangling", "later")):
        assert making.build_of(made, tmp_path / name).folder == tmp_path / real
        assert (tmp_path / name / SUMS).exists()


def test_a_release_that_lost_a_file_is_not_taken_for_whole(made: Contents, tmp_path: Path) -> None:
    folder = making.build_of(made, tmp_path / "release").folder
    next((folder / "data/notes").iterdir()).unlink()
    with pytest.raises(UsageError, match="missing or damaged: delete the folder"):
        making.build_of(made, tmp_path / "release")


def test_files_are_copied_where_links_cannot_be_made(
    made: Contents, built: building.Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    again = making.build_of(made, tmp_path / "release", sharded())
    assert (again.folder / SUMS).read_text() == (built.folder / SUMS).read_text()


def test_a_disk_that_fills_up_is_told_and_what_is_done_is_kept(
    made: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(ReleaseError, match="No space left on device"):
        patched.setattr(tables, "write", full)
        making.build_of(made, tmp_path / "release", sharded())
    assert making.build_of(made, tmp_path / "release", sharded()).n_reused > 1


def test_splits_are_decided_before_the_release_is_visible(made: Contents, tmp_path: Path) -> None:
    seen: list[bool] = []
    building.build(
        made, tmp_path / "release", "1.0.0", "small", making.recipe(), before={}, workers=1,
        decided=lambda split_of: seen.append((tmp_path / "release").exists()),
    )  # fmt: skip
    assert seen == [False]


def test_a_licence_that_the_recipe_does_not_allow_is_told_before_any_work(
    made: Contents, tmp_path: Path
) -> None:
    with pytest.raises(ReleaseError, match=r"(?s)do not allow the licence of 9 videos.*vid-008: CC BY 4\.0"):
        making.build_of(made, tmp_path / "release", making.recipe(release_licences=("CC0*",)))
    assert not list(tmp_path.iterdir())


def test_the_card_says_what_the_recipe_has_to_say(made: Contents, tmp_path: Path) -> None:
    said = {
        "about": "Dances of a village.",
        "contact": "mail@village.example",
        "licence": "cc-by-4.0",
        "citation": "X 2026",
    }
    chosen = making.recipe(**{f"release_{name}": text for name, text in said.items()})
    odd = with_clip(made, 0, genre="a|b\n# c")
    card = (making.build_of(odd, tmp_path / "release", chosen).folder / "README.md").read_text()
    assert card.startswith('---\nlicense: "cc-by-4.0"\npretty_name: ')
    assert all(text in card for text in said.values())
    assert "| a\\|b # c | 1 |" in card
    assert "| audio | 9 |" in card


@pytest.mark.parametrize("version", ["01.0.0", "1", "1.0", "v1.0.0", "1.0.0 "])
def test_a_version_must_be_semantic(made: Contents, tmp_path: Path, version: str) -> None:
    with pytest.raises(UsageError, match="semantic version"):
        building.build(made, tmp_path / "r", version, "small", making.recipe(), before={}, workers=1)


def test_finished_shards_are_used_by_the_next_build(
    made: Contents, built: building.Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(building, "assemble", stopped)
        making.build_of(made, tmp_path / "release", sharded())
    assert not (tmp_path / "release").exists()
    again = making.build_of(made, tmp_path / "release", sharded())
    assert again.n_reused == sum(built.manifest["shards"].values())
    assert (again.folder / SUMS).read_text() == (built.folder / SUMS).read_text()


def test_shards_of_other_contents_are_not_used(
    made: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, pytest.raises(ZeroDivisionError):
        patched.setattr(building, "assemble", lambda *_: 1 / 0)
        making.build_of(made, tmp_path / "release", sharded())
    again = making.build_of(with_clip(made, 0, genre="tango"), tmp_path / "release", sharded())
    assert again.n_reused == sum(again.manifest["shards"].values()) - 1, (
        "all but the one with the changed clip"
    )


_BUILD = """
import sys
from pathlib import Path
from tests.release import making
made = making.contents(Path(sys.argv[1]) / "made", 9)
print("begins", flush=True)
making.build_of(made, Path(sys.argv[1]) / "release", making.recipe().with_field("release.shard_mb", 0.51), workers=2)
"""


def killed_build(folder: Path, after_s: float) -> bool:
    """Run a build and kill everything of it some time after it began; whether it had ended by then."""
    process = subprocess.Popen(
        [sys.executable, "-c", _BUILD, str(folder)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"begins\n"
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    process.stdout.close()
    return process.returncode == 0


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_anywhere_nothing_half_made_is_visible(
    built: building.Built, tmp_path: Path, kills: int
) -> None:
    random_s = random.Random(kills)
    started = time.monotonic()
    making.build_of(
        making.contents(tmp_path / "timed", 9), tmp_path / "timed" / "release", sharded(), workers=2
    )
    takes_s = time.monotonic() - started
    for number in range(kills):
        folder = tmp_path / str(number)
        folder.mkdir()
        while not killed_build(folder, random_s.uniform(0, takes_s)):
            assert not (folder / "release").exists() or sums(folder / "release") == sums(built.folder)
            if random_s.random() < 0.5:
                killed_build(folder, 600)
                break
        assert sums(folder / "release") == sums(built.folder)
        assert not list(folder.glob(".release*"))


def sums(folder: Path) -> dict[str, str]:
    """The digests a release lists, after checking that they are right."""
    listed = dict(line.split("  ")[::-1] for line in (folder / SUMS).read_text().splitlines())
    assert all(sha256_file(folder / name) == digest for name, digest in listed.items())
    return listed


def test_the_vocabulary_in_a_release_is_that_of_the_tokens(built: building.Built) -> None:
    text = (built.folder / VOCABULARY).read_text(encoding="utf-8")
    assert Vocabulary.from_json(text) is tokens.VOCABULARY
    assert text == tokens.VOCABULARY.to_json(), (
        "schemas/tokens/vocabulary.json is another one. If ids were to change, write it anew: python -c 'from "
        "d2midi_build.train.tokens.vocabulary import VOCABULARY; print(VOCABULARY.to_json(), end=str())' "
        "> schemas/tokens/vocabulary.json, and raise _BUILDER in release/build.py"
    )


def test_making_and_reading_releases_needs_nothing_of_training() -> None:
    code = (
        "import sys\nimport d2midi_build.release.verify, d2midi_build.release.workspace\n"
        "print([name for name in sys.modules if name.startswith(('d2midi_build.train', 'torch'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_schemas_of_releases_are_described() -> None:
    for table in (*TABLES, "removed"):
        described = schema(table)
        assert described.name == f"release/{table}"
        assert all(column.meaning.endswith(".") for column in described.columns), table
