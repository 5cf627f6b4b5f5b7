"""Faults for releases, whose hashes can be made to fit again: what the gates must find by themselves."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import soundfile

from d2midi_build.digests import sha256_file
from d2midi_build.release.format import MANIFEST, MISSING, SUMS, table_file

Change = Callable[[pa.Table], pa.Table]


def edit(folder: Path, file: str, change: Change) -> None:
    """Rewrite a table of a release; its row groups stay where the number of rows does."""
    path = folder / file
    with pq.ParquetFile(path) as parquet:
        table = parquet.read()
        groups = [parquet.metadata.row_group(each).num_rows for each in range(parquet.num_row_groups)]
    new = change(table)
    groups = groups if len(new) == len(table) else [len(new)]
    with pq.ParquetWriter(path, new.schema) as writer:
        first = 0
        for size in groups:
            writer.write_table(new.slice(first, size), row_group_size=max(size, 1))
            first += size


def seal(folder: Path) -> None:
    """Make manifest and ``SHA256SUMS`` agree with the files as they are now."""
    path = folder / MANIFEST
    manifest = json.loads(path.read_text())
    for file in manifest["files"]:
        about = {"bytes": (folder / file).stat().st_size, "sha256": sha256_file(folder / file)}
        try:
            about["rows"] = pq.read_metadata(folder / file).num_rows
        except (pa.ArrowException, OSError):
            about["rows"] = 0
        manifest["files"][file] = about
    path.write_text(json.dumps(manifest))
    sums(folder)


def sums(folder: Path) -> None:
    """Write ``SHA256SUMS`` again."""
    files = sorted(
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != SUMS
    )
    (folder / SUMS).write_text("".join(f"{sha256_file(folder / file)}  {file}\n" for file in files))


def cell(column: str, value: Any, row: int = 0) -> Change:
    """Another value in one row; one that is computed from the old if it is a function."""

    def change(table: pa.Table) -> pa.Table:
        place, field = table.column_names.index(column), table.schema.field(column)
        values = table.column(column).to_pylist()
        values[row] = value(values[row]) if callable(value) else value
        return table.set_column(place, field, pa.array(values, field.type))

    return change


def both(*changes: Change) -> Change:
    """One change after the other."""

    def change(table: pa.Table) -> pa.Table:
        for each in changes:
            table = each(table)
        return table

    return change


def without_first(table: pa.Table) -> pa.Table:
    return table.slice(1)


def first_twice(table: pa.Table) -> pa.Table:
    return table.take(pa.array([0, *range(len(table))]))


def last_pair_swapped(table: pa.Table) -> pa.Table:
    order = list(range(len(table)))
    order[-2:] = reversed(order[-2:])
    return table.take(pa.array(order))


def typed(column: str, kind: pa.DataType) -> Change:
    """A column of another type."""

    def change(table: pa.Table) -> pa.Table:
        place = table.column_names.index(column)
        field = pa.field(column, kind, nullable=table.schema.field(column).nullable)
        return table.set_column(place, field, table.column(column).cast(kind))

    return change


def nullable(column: str) -> Change:
    """A column that may be null and once is."""

    def change(table: pa.Table) -> pa.Table:
        place, field = table.column_names.index(column), table.schema.field(column).with_nullable(True)
        values = [None, *table.column(column).to_pylist()[1:]]
        return table.set_column(place, field, pa.array(values, field.type))

    return change


def number(part: str, row: int, place: int, value: int) -> Change:
    """One number of a part of a frame."""

    def change(table: pa.Table) -> pa.Table:
        at, field = table.column_names.index(part), table.schema.field(part)
        points = table.column(part).combine_chunks().flatten().to_numpy().copy()
        points[row * field.type.list_size + place] = value
        return table.set_column(
            at, field, pa.FixedSizeListArray.from_arrays(pa.array(points), type=field.type)
        )

    return change


def first_where(column: str, value: bool, then: Callable[[int], Change]) -> Change:
    """A change of the first row whose flag is that."""

    def change(table: pa.Table) -> pa.Table:
        return then(pc.index(table.column(column), value).as_py())(table)

    return change


def flac(samples: int, channels: int = 1, rate: int = 10_240) -> bytes:
    """A FLAC file of silence."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((samples, channels)), rate, format="FLAC")
    return buffer.getvalue()


def retimed(data: bytes) -> bytes:
    """A MIDI file whose first note starts a sample later."""
    file = mido.MidiFile(file=io.BytesIO(data))
    next(message for message in file.tracks[1] if message.type == "note_on").time += 1
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


@dataclass(frozen=True)
class Fault:
    """A change of one table, the gate that must find it, and what that must say."""

    gate: str
    table: str
    change: Change
    says: str
    split: str = "train"

    @property
    def file(self) -> str:
        return "removed.parquet" if self.table == "removed" else table_file(self.table, self.split)


NAN = float("nan")
FAULTS = {
    # schema
    "another type": Fault(
        "schema", "windows", typed("start_frame", pa.int64()), "start_frame: int64 not null"
    ),
    "float pitches": Fault(
        "schema", "notes", typed("pitch", pa.float32()), "column pitch: float not null, not int8"
    ),
    "no column": Fault("schema", "beats", lambda t: t.drop_columns(["strength"]), "lacks ['strength']"),
    "a column more": Fault(
        "schema", "clips", lambda t: t.append_column("more", t.column("genre")), "has ['more'] too many"
    ),
    "columns swapped": Fault(
        "schema", "videos", lambda t: t.select(t.column_names[::-1]), "in another order"
    ),
    "a null": Fault("schema", "clips", nullable("genre"), "column genre: string, not string not null"),
    "a null in a list": Fault("schema", "clips", cell("review", [None]), "column review: 1 missing values"),
    "rows swapped": Fault("schema", "notes", last_pair_swapped, "stands after"),
    "beats swapped": Fault("schema", "beats", last_pair_swapped, "stands after"),
    "frames swapped": Fault("schema", "frames", last_pair_swapped, "stands after"),
    "a window twice": Fault("schema", "windows", first_twice, "vid-000_00000000/0 comes twice"),
    "a video twice": Fault("schema", "videos", first_twice, "vid-000 comes twice"),
    "another removed": Fault(
        "schema", "removed", typed("date", pa.large_string()), "column date: large_string"
    ),
    # missing
    "absent with a number": Fault(
        "missing",
        "frames",
        first_where("present_left_hand", False, lambda row: number("left_hand", row, 62, 5)),
        "62 of 63 numbers of left_hand are missing, present is False",
    ),
    "present without one": Fault(
        "missing",
        "frames",
        first_where("present_face", True, lambda row: number("face", row, 1433, MISSING)),
        "1 of 1434 numbers of face are missing, present is True",
    ),
    # windows
    "beyond its clip": Fault(
        "windows", "windows", cell("n_frames", 5_000), "vid-000_00000000/0: 5000 frames, its clip"
    ),
    "before its clip": Fault("windows", "windows", cell("start_frame", -1), "vid-000_00000000/-1: 60 frames"),
    "no length": Fault("windows", "windows", cell("n_frames", 0), "vid-000_00000000/0: 0 frames"),
    "overflowing": Fault("windows", "windows", cell("start_frame", 2**31 - 1, -1), "/2147483647: 60 frames"),
    "another genre": Fault(
        "windows", "windows", cell("genre", "waltz"), "genre 'waltz', its clip has 'ballet'"
    ),
    "a window's split": Fault(
        "windows", "windows", cell("split", "test"), "vid-000_00000000/0 says split 'test'"
    ),
    "overlapping": Fault("windows", "windows", cell("start_frame", 59, 1), "/59: shares frames", "test"),
    "a window's notes": Fault(
        "windows", "windows", cell("n_notes", lambda n: n + 1), "final notes sound in it"
    ),
    "a window's instruments": Fault(
        "windows", "windows", cell("instruments", ["Celesta"]), "are ['Celesta'], its"
    ),
    "a window's order": Fault(
        "windows", "windows", cell("instruments", lambda names: names[::-1]), "instruments are"
    ),
    "a window's body": Fault(
        "windows", "windows", cell("body_share", 0.25), "body_share is 0.2500, its frames say"
    ),
    "a window's NaN": Fault("windows", "windows", cell("body_share", NAN), "body_share is nan"),
    # samples
    "samples": Fault(
        "samples", "clips", cell("n_samples", 5_119), "vid-000_00000000: 5,119 samples for 205 frames"
    ),
    "another sound": Fault(
        "samples", "clips", cell("audio_sha256", "0" * 64), "the clip says 000000000000..."
    ),
    "no sound": Fault("samples", "audio", without_first, "has_audio is True, but its sound is not"),
    "a rate": Fault("samples", "audio", cell("sample_rate_hz", 44_100), "104,960 samples at 44,100 Hz"),
    "a length": Fault(
        "samples", "audio", cell("n_samples", 7), "7 samples at 10,240 Hz, the clip has 104,960"
    ),
    "other bytes": Fault(
        "samples", "audio", cell("flac", flac(512)), "sound of clip vid-000_00000000: SHA-256"
    ),
    # frames
    "a frame less": Fault("frames", "frames", without_first, "vid-000_00000000: 204 rows for 205 frames"),
    "another number": Fault("frames", "frames", cell("frame", 7), "frame 7 stands where 0 should"),
    "clips in one row group": Fault(
        "frames", "frames", lambda t: t.slice(0, len(t) - 1), "begins within a row group"
    ),
    "no frames": Fault("frames", "clips", cell("n_frames", -3), "vid-000_00000000: -3 frames"),
    "far too many": Fault(
        "frames", "clips", cell("n_frames", 2**31 - 1), "205 rows for 2,147,483,647 frames"
    ),
    # notes
    "after the end": Fault("notes", "notes", cell("offset_s", 10.3), "to 10.3 s, its clip has 10.25 s"),
    "ends first": Fault("notes", "notes", cell("onset_s", 10.0), "note vid-000_00000000/0: 10.0 to "),
    "no time": Fault("notes", "notes", cell("onset_s", NAN), "note vid-000_00000000/0: nan to"),
    "no number": Fault("notes", "notes", cell("offset_s", float("inf")), "to inf s"),
    "between samples": Fault(
        "notes", "notes", cell("offset_s", 10.00001), "is not a whole number of samples"
    ),
    "a pitch": Fault("notes", "notes", cell("pitch", -1), "note vid-000_00000000/0: pitch -1"),
    "no velocity": Fault("notes", "notes", cell("velocity", 0), "velocity 0"),
    "a program": Fault("notes", "notes", cell("program", -1), "program -1"),
    "an instrument": Fault("notes", "notes", cell("instrument", "Kazoo"), "instrument 'Kazoo' of program"),
    "a probability": Fault("notes", "notes", cell("p_note", 1.5), "p_note 1.5"),
    "no probability": Fault("notes", "notes", cell("p_instrument", NAN), "p_instrument nan"),
    "in no layer": Fault(
        "notes",
        "notes",
        both(*(cell(f"in_{layer}", False) for layer in ("machine", "heard", "final"))),
        "note vid-000_00000000/0: in none of the layers",
    ),
    "a note less": Fault("notes", "notes", without_first, "n_notes is 30, there are 29"),
    "its instruments": Fault(
        "notes", "clips", cell("instruments", ["Drum", "Violin"]), "are ['Drum', 'Violin'], its"
    ),
    "an unknown one": Fault(
        "notes", "clips", cell("instruments", lambda names: ["Kazoo", *names[1:]]), "['Kazoo',"
    ),
    # beats
    "a kind": Fault("beats", "beats", cell("kind", "magical"), "kind 'magical' is neither"),
    "after the clip": Fault("beats", "beats", cell("time_s", 10.25, 14), "10.25 s, its clip has 10.25 s"),
    "no time of a beat": Fault("beats", "beats", cell("time_s", NAN), "nan s"),
    "before the last": Fault(
        "beats", "beats", cell("time_s", 0.05, 1), "0.05 s, the beat before it is at 0.1 s"
    ),
    "a beat's number": Fault("beats", "beats", cell("beat", 99, 14), "/99: stands where number 14 should"),
    "a beat less": Fault("beats", "beats", without_first, "n_beats is 35, there are 34"),
    "no position": Fault("beats", "beats", cell("position", None, 20), "position None of a musical beat"),
    "a kinematic position": Fault("beats", "beats", cell("position", 1), "position 1 of a kinematic beat"),
    "position 0": Fault("beats", "beats", cell("position", 0, 20), "position 0 of a musical beat"),
    "a strength": Fault("beats", "beats", cell("strength", -0.5), "strength -0.5"),
    # midi
    "no layer": Fault("midi", "midi", without_first, "vid-000_00000000: layer final has no file"),
    "a layer": Fault("midi", "midi", cell("layer", "draft"), "layer 'draft' is none"),
    "no MIDI": Fault("midi", "midi", cell("midi", b"RIFF"), "layer final: the MIDI file cannot be read"),
    "empty MIDI": Fault("midi", "midi", cell("midi", b""), "layer final: the MIDI file cannot be read"),
    "a tick later": Fault("midi", "midi", cell("midi", retimed, 2), "layer machine: "),
    "a note's layer": Fault(
        "midi", "notes", cell("in_heard", False), "layer heard: 30 notes in the MIDI file, 29"
    ),
    "a note's pitch": Fault(
        "midi", "notes", cell("pitch", lambda p: p + 1), "30 playable ones in the table, 29 in both"
    ),
    # licence
    "a licence": Fault(
        "licence", "clips", cell("licence", "all rights reserved"), "'all rights reserved' is not allowed"
    ),
    "a video's licence": Fault(
        "licence", "videos", cell("licence", ""), "video vid-000: licence '' is not allowed"
    ),
    "its video's licence": Fault(
        "licence", "clips", cell("licence", "CC0"), "'CC0', its video has 'CC BY 4.0'"
    ),
    "sound without leave": Fault(
        "licence", "clips", cell("licence", "CC NC"), "has sound, which its licence 'CC NC'"
    ),
    "sound that is denied": Fault("licence", "clips", cell("has_audio", False), "though has_audio is False"),
    # leak: train has the first video
    "music": Fault(
        "leak", "clips", cell("music_group", "vid-000_00000000"), "music_group 'vid-000_00000000'", "test"
    ),
    "picture": Fault(
        "leak", "clips", cell("video_group", "vid-000_00000000"), "video_group 'vid-000_00", "test"
    ),
    "a video": Fault(
        "leak", "clips", cell("video_id", "vid-000"), "video_id 'vid-000' is in train and test", "test"
    ),
    "a clip": Fault(
        "leak", "clips", cell("clip_id", "vid-000_00000000"), "clip_id 'vid-000_00000000' is", "test"
    ),
    # coverage
    "hardly a body": Fault(
        "coverage", "clips", cell("body_share", 0.2), "a body in 20.0% of its frames, asked"
    ),
    "no share": Fault("coverage", "clips", cell("body_share", NAN), "a body in nan% of its frames"),
    "another share": Fault(
        "coverage", "clips", cell("face_share", 0.5), "face_share is 0.5000, its frames say 1.0000"
    ),
    "no window": Fault(
        "coverage",
        "windows",
        lambda t: t.filter(pc.not_equal(t.column("clip_id"), "vid-000_00000000")),
        "clip vid-000_00000000: no window",
    ),
    # parents
    "no video": Fault("parents", "videos", without_first, "its video vid-000 is not in the split's videos"),
    "n_clips": Fault(
        "parents", "videos", cell("n_clips", 2), "video vid-000: n_clips is 2, the release has 1"
    ),
    "a clip's split": Fault("parents", "clips", cell("split", "test"), "vid-000_00000000 says split 'test'"),
    "a video's split": Fault("parents", "videos", cell("split", "none"), "vid-000 says split 'none'"),
    "another shard": Fault(
        "parents", "clips", cell("shard", 1), "clip 'vid-000_00000000' is none of shard 0"
    ),
    "no such shard": Fault("parents", "clips", cell("shard", 77), "clips of 0, 1, 2, 77"),
    "orphan note": Fault(
        "parents", "notes", cell("clip_id", "a"), "data/notes/train-00000.parquet: clip 'a' is none"
    ),
    "orphan frame": Fault(
        "parents", "frames", cell("clip_id", "a"), "data/frames/train-00000.parquet: clip 'a'"
    ),
    "orphan beat": Fault(
        "parents", "beats", cell("clip_id", "a"), "data/beats/train-00000.parquet: clip 'a'"
    ),
    "orphan MIDI": Fault("parents", "midi", cell("clip_id", "a"), "data/midi/train-00000.parquet: clip 'a'"),
    "orphan sound": Fault(
        "parents", "audio", cell("clip_id", "a"), "data/audio/train-00000.parquet: clip 'a'"
    ),
    "orphan window": Fault(
        "parents", "windows", cell("clip_id", "a"), "data/windows/train-00000.parquet: clip 'a'"
    ),
}
