"""Writing one shard: the frames, notes, beats, MIDI and sound of some clips, one clip after the other.

A shard depends on its clips alone, never on what else is built or by how many workers, so the same clips give the
same bytes.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from d2midi_build import clock, tables
from d2midi_build.digests import sha256_file
from d2midi_build.engine.base import Job, Outcome, Report
from d2midi_build.errors import D2midiError
from d2midi_build.motion.keypoints import PARTS, PRESENCES, Quantisation, quantisation, read_frames
from d2midi_build.motion.skeleton import BODY_NAMES
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.midi import to_midi_bytes
from d2midi_build.music.notes import Notes
from d2midi_build.release.format import FRAMES_PER_ROW_GROUP, LAYERS, MISSING, SHARDED, schema
from d2midi_build.stages.window import lay_windows

FUNCTION: Final = f"{__name__}:run"
FACTS: Final = "facts.json"
WINDOWS: Final = "windows.parquet"

_ROWS_PER_GROUP: Final = 50_000
"""Of notes and beats: small enough that reading one clip's is quick, whole clips only."""

# Level 12 reads faster than lower ones, since there is less to read, and 40 hours are written once.
_ZSTD: Final = {"compression": "zstd", "compression_level": 12}
_HIPS: Final = tuple(BODY_NAMES.index(f"{side}_hip") for side in ("left", "right"))
_SHOULDERS: Final = tuple(BODY_NAMES.index(f"{side}_shoulder") for side in ("left", "right"))


def run(job: Job, report: Report, state: dict[str, Any]) -> Outcome:
    """Write the shard that a job describes; a function of `engine.base.JobFunction`."""
    started, cpu = time.monotonic(), time.process_time()
    try:
        write(job.inputs["clips"], job.params, Path(job.out), report)
    except (D2midiError, OSError, ValueError, KeyError, pa.ArrowException) as error:
        return Outcome("failed", "permanent", str(error), traceback=traceback.format_exc())
    return Outcome("done", cpu_s=time.process_time() - cpu, wall_s=time.monotonic() - started)


def write(clips: Sequence[Mapping[str, Any]], params: Mapping[str, Any], out: Path, report: Report) -> None:
    """Write a shard's files and what was found in its clips.

    Parameters
    ----------
    clips : sequence of dict
        In the shard's order: ``clip_id``, ``n_frames``, ``n_samples``, ``width``, ``height``, ``has_audio``, and a
        path for each of `contents.FILES`.
    params : dict
        ``frames`` and ``stride`` of windows, in frames.
    out : Path
        An empty folder. Gets ``<table>.parquet`` for each sharded table, ``windows.parquet`` and ``facts.json``.
    report : callable
        Takes the share of frames done.

    Raises
    ------
    ValueError
        If a clip's files contradict its row; names the clip.
    """
    quantised = _worst(quantisation(pq.read_schema(clip["frames"])) for clip in clips)
    total, done = sum(clip["n_frames"] for clip in clips), 0
    found, windows = [], []
    with ExitStack() as stack:
        writers = {name: stack.enter_context(_Writer(out, name, quantised)) for name in SHARDED}
        for clip in clips:
            frames = _frames(clip)
            notes = tables.read(Path(clip["notes"]))
            _write_frames(writers["frames"], clip, frames)
            released = _notes(clip, notes)
            writers["notes"].add(released)
            beats = _columns("beats", clip, tables.read(Path(clip["beats"])))
            writers["beats"].add(beats)
            writers["midi"].add(_midi(clip, released))
            if clip["has_audio"]:
                writers["audio"].add(_audio(clip))
            found.append(_facts(clip, frames, released, len(beats)))
            windows.append(_windows(clip, frames, released, params["frames"], params["stride"]))
            done += clip["n_frames"]
            report(done / total)
    pq.write_table(pa.concat_tables(windows), out / WINDOWS, **_ZSTD)
    files = {
        f"{name}.parquet": {
            "bytes": (out / f"{name}.parquet").stat().st_size,
            "rows": writers[name].rows,
            "sha256": sha256_file(out / f"{name}.parquet"),
        }
        for name in SHARDED
        if writers[name].rows or name != "audio"
    }
    facts = {
        "clips": found,
        "files": files,
        "quantisation": {k: v.to_metadata() for k, v in quantised.items()},
    }
    (out / FACTS).write_text(json.dumps(facts), encoding="utf-8")


class _Writer:
    """One Parquet file: tables are gathered into row groups that hold whole clips."""

    def __init__(self, out: Path, name: str, quantised: Mapping[str, Quantisation]) -> None:
        self.rows = 0
        self._schema = schema(name).arrow()
        if name == "frames":
            self._schema = pa.schema(
                [
                    field.with_metadata(quantised[field.name].to_metadata())
                    if field.name in quantised
                    else field
                    for field in self._schema
                ]
            )
        self._per_group = {"frames": FRAMES_PER_ROW_GROUP, "audio": 1}.get(name, _ROWS_PER_GROUP)
        self._gathers = name not in ("frames", "audio")
        self._waiting: list[pa.Table] = []
        self._file = pq.ParquetWriter(
            out / f"{name}.parquet",
            self._schema,
            version="2.6",
            write_page_index=False,
            **_encoding(name),
        )

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
            self._file.close()
            return
        with suppress(OSError):  # what went wrong first is what has to be told
            self._file.close()

    def add(self, table: pa.Table) -> None:
        """Rows of one clip."""
        self.rows += len(table)
        self._waiting.append(table.replace_schema_metadata(None))
        if not self._gathers or sum(map(len, self._waiting)) >= self._per_group:
            self._flush()

    def _flush(self) -> None:
        waiting = [table for table in self._waiting if len(table)]
        if waiting:
            table = pa.concat_tables(waiting).cast(self._schema)
            self._file.write_table(table, row_group_size=len(table) if self._gathers else self._per_group)
        self._waiting = []


def _encoding(name: str) -> dict[str, Any]:
    if name == "audio":  # FLAC is compressed already
        return {"compression": "none", "use_dictionary": ["clip_id"]}
    if name != "frames":
        return _ZSTD
    return {
        **_ZSTD,
        "use_dictionary": ["clip_id"],
        "column_encoding": {f"{part}.list.element": "BYTE_STREAM_SPLIT" for part in PARTS},
        "write_statistics": ["clip_id", "frame"],
    }


def _worst(noted: Iterator[dict[str, Quantisation]]) -> dict[str, Quantisation]:
    """The largest error of each part, and how many numbers were clipped in all."""
    worst = {name: Quantisation(part.scale, 0.0, 0) for name, part in PARTS.items()}
    for notes in noted:
        for name, one in notes.items():
            if one.scale != worst[name].scale:
                raise ValueError(f"{name} has steps of {one.scale}, not {worst[name].scale}: build it again")
            worst[name] = Quantisation(
                one.scale, max(one.max_error, worst[name].max_error), one.saturated + worst[name].saturated
            )
    return worst


def merged(noted: Iterator[dict[str, dict[str, str]]]) -> dict[str, dict[str, float]]:
    """What several shards noted about quantisation, as plain numbers."""
    read = (
        {
            k: Quantisation(float(v["scale"]), float(v["max_error"]), int(v["saturated"]))
            for k, v in one.items()
        }
        for one in noted
    )
    return {
        name: {"scale": one.scale, "max_error": one.max_error, "saturated": one.saturated}
        for name, one in _worst(read).items()
    }


def _frames(clip: Mapping[str, Any]) -> pa.Table:
    frames = read_frames(Path(clip["frames"]))
    if len(frames) != clip["n_frames"]:
        raise ValueError(
            f"clip {clip['clip_id']}: {len(frames)} rows of keypoints for {clip['n_frames']} frames"
        )
    return frames


def _write_frames(writer: _Writer, clip: Mapping[str, Any], frames: pa.Table) -> None:
    wanted = schema("frames").arrow()
    columns: list[Any] = []
    for field in wanted:
        if field.name == "clip_id":
            columns.append(pa.repeat(pa.scalar(clip["clip_id"], pa.string()), len(frames)))
        elif field.name in PARTS:
            columns.append(
                pa.FixedSizeListArray.from_arrays(
                    pa.array(_integers(frames, field.name).reshape(-1)), type=field.type
                )
            )
        else:
            columns.append(frames.column(field.name).combine_chunks())
    writer.add(pa.Table.from_arrays(columns, schema=wanted))


def _integers(frames: pa.Table, name: str) -> npt.NDArray[np.int16]:
    """A part's integers, MISSING where there is none."""
    column = frames.column(name).combine_chunks()
    present = column.is_valid().to_numpy(zero_copy_only=False)
    rows = np.full((len(frames), PARTS[name].size), MISSING, dtype=np.int16)
    # A number clipped at the lowest integer moves by one step, so that no point looks missing.
    rows[present] = np.maximum(column.flatten().to_numpy().reshape(-1, PARTS[name].size), MISSING + 1)
    return rows


def _columns(name: str, clip: Mapping[str, Any], table: pa.Table) -> pa.Table:
    """A clip's rows with the columns of a release's table, the clip's id added."""
    wanted = schema(name).arrow()
    return pa.Table.from_arrays(
        [
            pa.repeat(pa.scalar(clip["clip_id"], pa.string()), len(table))
            if field.name == "clip_id"
            else table.column(field.name).cast(field.type).combine_chunks()
            for field in wanted
        ],
        schema=wanted,
    )


def _notes(clip: Mapping[str, Any], notes: pa.Table) -> pa.Table:
    numbers = pa.array(np.arange(len(notes), dtype=np.int32))
    notes = notes.drop_columns(["note"]) if "note" in notes.column_names else notes
    notes = notes.append_column("note", numbers)
    for layer in LAYERS:
        if f"in_{layer}" not in notes.column_names:
            notes = notes.append_column(f"in_{layer}", pa.array(np.ones(len(notes), dtype=np.bool_)))
    return _columns("notes", clip, notes)


def _midi(clip: Mapping[str, Any], notes: pa.Table) -> pa.Table:
    everything, made = Notes.from_table(notes), dict[bytes, bytes]()
    files = []
    for layer in sorted(LAYERS):
        mask = _layer(notes, layer)
        if mask.tobytes() not in made:  # layers are equal until people correct notes
            made[mask.tobytes()] = to_midi_bytes(everything.where(mask).as_dataset())
        files.append(made[mask.tobytes()])
    return pa.table(
        {"clip_id": [clip["clip_id"]] * len(LAYERS), "layer": sorted(LAYERS), "midi": files},
        schema=schema("midi").arrow(),
    )


def _audio(clip: Mapping[str, Any]) -> pa.Table:
    return pa.table(
        {
            "clip_id": [clip["clip_id"]],
            "sample_rate_hz": [clock.SAMPLE_RATE_HZ],
            "n_samples": [clip["n_samples"]],
            "flac": [Path(clip["audio"]).read_bytes()],
        },
        schema=schema("audio").arrow(),
    )


def _facts(clip: Mapping[str, Any], frames: pa.Table, notes: pa.Table, n_beats: int) -> dict[str, Any]:
    """Columns of the table of clips that are found in its files."""
    final = notes.column("instrument").filter(notes.column("in_final"))
    return {
        "clip_id": clip["clip_id"],
        **_placement(frames, clip["width"] / clip["height"]),
        **{
            f"{name}_share": float(np.mean(frames.column(f"present_{name}").to_numpy()))
            if len(frames)
            else 0.0
            for name in PRESENCES
        },
        "n_notes": len(notes),
        "instruments": sorted(final.unique().to_pylist()),
        "n_beats": n_beats,
    }


def _placement(frames: pa.Table, aspect: float) -> dict[str, float | None]:
    """Where the dancer stands in the picture and how large they are: medians over the frames with a body."""
    present = frames.column("present_body").to_numpy()
    if not present.any():
        return {"centre_x": None, "centre_y": None, "torso": None}
    body = _integers(frames, "body_image")[present].reshape(-1, *PARTS["body_image"].shape)
    points = body[..., :2].astype(np.float64) * PARTS["body_image"].scale
    hips, shoulders = points[:, _HIPS].mean(axis=1), points[:, _SHOULDERS].mean(axis=1)
    torso = float(np.median(np.hypot(*((shoulders - hips) * [aspect, 1.0]).T)))
    centre_x, centre_y = np.median(hips, axis=0).tolist()
    return {"centre_x": centre_x, "centre_y": centre_y, "torso": torso or None}


def _windows(
    clip: Mapping[str, Any], frames: pa.Table, notes: pa.Table, length: int, stride: int
) -> pa.Table:
    """The clip's windows: start, length, notes that sound in each, their instruments, share with a body."""
    final = notes.filter(notes.column("in_final"))
    onset_s, offset_s = (final.column(name).to_numpy() for name in ("onset_s", "offset_s"))
    body = frames.column("present_body").to_numpy()
    laid = lay_windows(body, onset_s, offset_s, length, stride)
    instrument = np.array(final.column("instrument").to_pylist(), dtype=np.str_)
    names = sorted(each.name for each in INSTRUMENTS if (instrument == each.name).any())
    sounding = [
        lay_windows(body, onset_s[instrument == name], offset_s[instrument == name], length, stride)
        .column("n_notes")
        .to_numpy()
        > 0
        for name in names
    ]
    heard = [
        [name for name, there in zip(names, sounding, strict=True) if there[row]] for row in range(len(laid))
    ]
    return pa.table(
        {
            "clip_id": pa.repeat(pa.scalar(clip["clip_id"], pa.string()), len(laid)),
            **{name: laid.column(name) for name in laid.column_names},
            "instruments": pa.array(heard, pa.list_(pa.string())),
        }
    )


def _layer(notes: pa.Table, layer: str) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = notes.column(f"in_{layer}").to_numpy()
    return found
