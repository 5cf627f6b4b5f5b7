"""What gates find, and what they let pass."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from d2midi_build import tables
from d2midi_build.digests import sha256_file
from d2midi_build.music.notes import Notes
from d2midi_build.release.contents import Clip
from d2midi_build.release.format import MANIFEST, TABLES, table_file
from d2midi_build.release.gates import MEANINGS, Gate, Policy, gates
from tests.release import making
from tests.release.faults import FAULTS, Fault, cell, edit, flac, number

POLICY = Policy(licences=("cc*",), audio_licences=("CC0*", "CC BY*"), least_body_share=0.5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of eight clips, its train of three shards, the first of two clips; no test changes it."""
    return making.release(tmp_path_factory.mktemp("gates"), 8, making.recipe(release_shard_mb=1.18))


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """One that a test may change."""
    return Path(shutil.copytree(whole, tmp_path / "release"))


def failed(folder: Path, policy: Policy = POLICY) -> dict[str, Gate]:
    return {gate.name: gate for gate in gates(folder, policy) if not gate.passed}


def offenders(folder: Path, gate: str, policy: Policy = POLICY) -> str:
    found = failed(folder, policy)
    return "\n".join(found[gate].offenders) if gate in found else ""


def test_a_release_passes_every_gate_and_all_are_asked(whole: Path) -> None:
    told = gates(whole, POLICY)
    assert [gate.name for gate in told] == list(MEANINGS)
    assert [gate.offenders for gate in told] == [()] * len(MEANINGS)
    assert all(gate.passed for gate in told)


def test_progress_ends_at_one_and_never_falls(whole: Path) -> None:
    told: list[float] = []
    gates(whole, POLICY, report=told.append)
    assert told == sorted(told) and len(told) == 5 and told[-1] == 1.0


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_found_by_its_gate_which_names_item_and_value(fault: Fault, copy: Path) -> None:
    edit(copy, fault.file, fault.change)
    assert fault.says in offenders(copy, fault.gate)


@pytest.mark.parametrize(
    ("fault", "others"),
    [
        ("another genre", set()),
        ("absent with a number", set()),
        ("music", set()),
        ("no velocity", set()),
        ("a note's layer", set()),
        ("a strength", set()),
        ("a frame less", {"coverage"}),  # its shares of frames are others then
    ],
)
def test_a_fault_is_found_by_no_other_gate(fault: str, others: set[str], copy: Path) -> None:
    edit(copy, FAULTS[fault].file, FAULTS[fault].change)
    assert set(failed(copy)) == {FAULTS[fault].gate} | others


def test_all_offenders_are_counted_and_fifty_are_named(copy: Path) -> None:
    def silent(table: pa.Table) -> pa.Table:
        at = table.column_names.index("velocity")
        return table.set_column(at, table.schema.field(at), pa.array([0] * len(table), pa.int8()))

    edit(copy, table_file("notes", "train"), silent)
    gate = failed(copy)["notes"]
    assert gate.n_offenders == 30 + 67 and len(gate.offenders) == 50


@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_is_missing_or_no_table_is_named(table: str, copy: Path) -> None:
    file = table_file(table, "train")
    (copy / file).write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    assert f"{file} cannot be read" in offenders(copy, "schema")
    (copy / file).unlink()
    assert f"{file} is missing" in offenders(copy, "schema")


def test_a_shard_that_no_clip_names_or_the_manifest_does_not_know_is_told(copy: Path) -> None:
    for table in ("frames", "notes", "beats", "midi", "audio"):
        shutil.copy(copy / table_file(table, "train"), copy / table_file(table, "train", 3))
    told = offenders(copy, "parents")
    assert "split train: files of shards 0, 1, 2, 3, manifest.json says 3 shards" in told
    assert "split train: files of shards 0, 1, 2, 3, clips of 0, 1, 2" in told
    assert "data/notes/train-00003.parquet: clip 'vid-000_00000000' is none of shard 3" in told


def test_a_manifest_of_more_shards_than_there_are_is_told(copy: Path) -> None:
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["shards"] = {"train": 10**12, "validation": 1, "test": 1}
    (copy / MANIFEST).write_text(json.dumps(manifest))
    assert "files of shards 0, 1, 2, manifest.json says 100000 shards" in offenders(copy, "parents")


def test_a_folder_without_tables_does_not_pass(tmp_path: Path) -> None:
    assert "no table of any split" in offenders(tmp_path, "schema")
    assert "removed.parquet is missing" in offenders(tmp_path, "schema")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (flac(104_959), "decodes to 104,959 samples, the clip has 104,960"),
        (flac(104_960, channels=2), "FLAC, 2 channels, 10,240 Hz, not FLAC, 1 channels"),
        (flac(104_960, rate=11_025), "FLAC, 1 channels, 11,025 Hz, not FLAC"),
        (b"fLaC", "cannot be decoded"),
        (b"", "cannot be decoded"),
        (flac(104_960)[:-400], "the clip has 104,960"),
    ],
    ids=["short", "stereo", "rate", "head", "empty", "cut"],
)
def test_sound_of_the_right_digest_must_be_the_clips_length(data: bytes, says: str, copy: Path) -> None:
    edit(copy, table_file("audio", "train"), cell("flac", data))
    edit(copy, table_file("clips", "train"), cell("audio_sha256", sha256(data).hexdigest()))
    told = offenders(copy, "samples")
    assert "sound of clip vid-000_00000000: " in told and (says in told or "cannot be decoded" in told)


def test_points_are_judged_in_every_row_of_every_group(copy: Path) -> None:
    file = table_file("frames", "train")
    rows = [0, 199, 200, 204, 205, 654]  # of row groups of 200 and 5, then 200, 200 and 50
    for row in rows:
        edit(copy, file, number("right_hand", row, row % 63, -32768))
    told = offenders(copy, "missing")
    for clip, frame in (("000", 0), ("000", 199), ("000", 200), ("000", 204), ("002", 0), ("002", 449)):
        assert f"clip vid-{clip}_00000000, frame {frame}: 1 of 63 numbers of right_hand are missing" in told
    assert failed(copy)["missing"].n_offenders == len(rows)


def test_the_lowest_integer_but_one_is_a_point(copy: Path) -> None:
    edit(copy, table_file("frames", "train"), number("right_hand", 0, 0, -32767))
    assert not failed(copy)


@pytest.mark.parametrize("kind", ["music", "performer", "video"])
def test_what_is_not_kept_apart_may_be_in_two_splits(kind: str, copy: Path) -> None:
    for split in ("train", "validation"):
        edit(copy, table_file("clips", split), cell(f"{kind}_group", "shared"))
    assert f"{kind}_group 'shared' is in train and validation" in offenders(copy, "leak")
    others = tuple({"music", "performer", "video"} - {kind})
    assert not failed(copy, replace(POLICY, keep_apart=others))
    assert "'dancer_group' is no column" in offenders(copy, "leak", replace(POLICY, keep_apart=("dancer",)))


def test_clips_of_unknown_performers_are_no_group(whole: Path) -> None:
    performers = [
        name
        for split in ("train", "validation", "test")
        for name in pq.read_table(whole / table_file("clips", split)).column("performer_group").to_pylist()
    ]
    assert performers == [None] * 8
    assert not failed(whole, replace(POLICY, keep_apart=("performer",)))


def test_without_patterns_any_licence_may_be_released_but_no_sound(whole: Path) -> None:
    assert not failed(whole, replace(POLICY, licences=()))
    told = failed(whole, replace(POLICY, audio_licences=()))
    assert told["licence"].n_offenders == 8 and set(told) == {"licence"}


def test_an_unknown_licence_must_be_allowed_by_a_pattern_that_fits_nothing(copy: Path) -> None:
    for table in ("clips", "videos"):
        edit(copy, table_file(table, "test"), cell("licence", ""))
    assert failed(copy)["licence"].n_offenders == 3  # the clip, its video and its sound
    leave = ("", "CC*")
    assert not failed(copy, replace(POLICY, licences=leave, audio_licences=leave))


def test_a_release_without_sound_passes(tmp_path: Path) -> None:
    silent = making.release(tmp_path, 3, making.recipe(release_audio="none"))
    assert not list(silent.glob("data/audio/*"))
    assert not failed(silent)


def with_notes(clip: Clip, table: pa.Table) -> Clip:
    tables.write(clip.files["notes"], table)
    return replace(clip, digests=dict(clip.digests) | {"notes": sha256_file(clip.files["notes"])})


def test_layers_that_differ_notes_that_cannot_be_played_and_none_at_all_pass(tmp_path: Path) -> None:
    made = making.contents(tmp_path / "made", 3)
    # Twice one pitch at one time, once more while it sounds, and once of no length; drums of the same key.
    twice = Notes.create(
        [1.0, 1.0, 1.5, 2.0, 1.0], [2.0, 3.0, 4.0, 2.0, 1.1], 60, 80, [0, 3, 0, 0, 0], [False] * 4 + [True]
    ).to_table()
    for layer, which in (
        ("machine", [1, 1, 1, 1, 0]),
        ("heard", [1, 0, 1, 0, 1]),
        ("final", [0, 0, 1, 0, 1]),
    ):
        twice = twice.append_column(f"in_{layer}", pa.array(np.array(which, np.bool_)))
    first, second, third = made.clips
    clips = (with_notes(first, twice), with_notes(second, Notes.empty().to_table()), third)
    folder = making.build_of(replace(made, clips=clips), tmp_path / "release").folder
    counts = {
        row["clip_id"]: row["n_notes"]
        for path in folder.glob("data/clips/*.parquet")
        for row in pq.read_table(path, columns=["clip_id", "n_notes"]).to_pylist()
    }
    assert (counts[first.clip_id], counts[second.clip_id]) == (5, 0)
    assert not failed(folder)


def test_windows_tell_what_sounds_at_any_time_in_them(tmp_path: Path) -> None:
    made = making.contents(tmp_path / "made", 3, n_frames=(130,))
    # Windows are 0-3, 1-4, 2-5 and 3-6 s: the first note ends as the third begins, the second begins as it ends.
    table = Notes.create([1.0, 5.0], [2.0, 6.0], 60, 80, [0, 32]).to_table()
    folder = making.build_of(
        replace(made, clips=(with_notes(made.clips[0], table), *made.clips[1:])), tmp_path / "release"
    ).folder
    [path] = [
        path
        for path in folder.glob("data/windows/*.parquet")
        if made.clips[0].clip_id in pq.read_table(path).column("clip_id").to_pylist()
    ]
    windows = pq.read_table(path)
    wanted = {0: 1, 20: 1, 40: 0, 60: 1}
    for row, start in enumerate(windows.column("start_frame").to_pylist()):
        told = windows.column("n_notes")[row].as_py()
        assert told == wanted[start]
        edit(folder, path.relative_to(folder).as_posix(), cell("n_notes", 1 - told, row))
        assert f"/{start}: n_notes is {1 - told}, {told} final notes sound in it" in offenders(
            folder, "windows"
        )
        edit(folder, path.relative_to(folder).as_posix(), cell("n_notes", told, row))
    assert not failed(folder)
