"""Check a workspace against its schemas and against itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from d2midi_build import clock, manifests, tables
from d2midi_build.digests import sha256_file
from d2midi_build.errors import SchemaError
from d2midi_build.ledger import Ledger
from d2midi_build.workspace import Workspace

_MEDIA = {"video.mp4": "video_sha256", "audio.flac": "audio_sha256", "original.flac": "original_sha256"}


@dataclass(frozen=True)
class Problem:
    """Something wrong: in which table or file, at which row, and what."""

    where: str
    row: str
    what: str


def validate(workspace: Workspace, *, deep: bool = False) -> list[Problem]:
    """Everything wrong with a workspace's tables and files; empty if nothing is.

    Parameters
    ----------
    workspace : Workspace
    deep : bool
        Also read every file that the ledger names, the media and the tables behind the manifests, and compare
        its SHA-256 with the one it had when it was made.
    """
    found: dict[str, pa.Table] = {}
    problems: list[Problem] = []
    for name in manifests.NAMES:
        try:
            table = tables.read(workspace.manifests / f"{name}.parquet")
            tables.check(name, table)
            found[name] = table
            problems += _repeated_keys(name, table)
        except SchemaError as error:
            problems.append(Problem(name, "", str(error)))
    if len(found) < len(manifests.NAMES):
        return problems
    problems += _missing_parents(found)
    problems += _counts(found)
    problems += _groups(found["groups"], found["clips"])
    problems += _clips(found["clips"])
    problems += _notes(found["notes"], found["clips"])
    problems += _beats(found["beats"], found["clips"])
    problems += _windows(found["windows"], found["clips"])
    problems += _files(workspace, found)
    if deep:
        problems += _changed(workspace, found)
    return problems


def _repeated_keys(name: str, table: pa.Table) -> Iterator[Problem]:
    key = list(tables.schema(name).key)
    counts = table.group_by(key).aggregate([([], "count_all")])
    for row in counts.filter(pc.greater(counts.column("count_all"), 1)).to_pylist():
        yield Problem(
            name, "/".join(str(row[column]) for column in key), f"{row['count_all']} rows with this key"
        )


def _missing_parents(found: dict[str, pa.Table]) -> Iterator[Problem]:
    for child, parent, column, key in (
        ("videos", "sources", "source_id", "source_id"),
        ("takes", "videos", "video_id", "video_id"),
        ("groups", "takes", "take_id", "take_id"),
        ("groups", "takes", "group_id", "take_id"),
        ("repeats", "takes", "first", "take_id"),
        ("repeats", "takes", "second", "take_id"),
        ("clips", "takes", "take_id", "take_id"),
        ("stems", "clips", "clip_id", "clip_id"),
        ("notes", "clips", "clip_id", "clip_id"),
        ("opinions", "clips", "clip_id", "clip_id"),
        ("beats", "clips", "clip_id", "clip_id"),
        ("windows", "clips", "clip_id", "clip_id"),
    ):
        known = set(found[parent].column(key).to_pylist())
        for value in sorted(set(pc.unique(found[child].column(column)).to_pylist()) - known):
            yield Problem(child, value, f"{column} is not in table {parent}")


def _counts(found: dict[str, pa.Table]) -> Iterator[Problem]:
    """Rows that another table says there are."""
    for parent, child, column in (
        ("videos", "takes", "video_id"),
        ("clips", "notes", "clip_id"),
        ("clips", "beats", "clip_id"),
        ("clips", "windows", "clip_id"),
    ):
        there = Counter(found[child].column(column).to_pylist())
        for row in found[parent].select([column, f"n_{child}"]).to_pylist():
            said, name = row[f"n_{child}"] or 0, row[column]
            if said != there[name]:
                yield Problem(parent, name, f"n_{child} is {said}, table {child} has {there[name]}")


def _groups(groups: pa.Table, clips: pa.Table) -> Iterator[Problem]:
    """Sizes, that a split parts no group, and that every clip can be put into a split."""
    rows = groups.select(["take_id", "kind", "group_id", "n_takes"]).to_pylist()
    sizes = Counter((row["kind"], row["group_id"]) for row in rows)
    split = {row["take_id"]: row["group_id"] for row in rows if row["kind"] == "split"}
    for row in rows:
        name, there = f"{row['take_id']}/{row['kind']}", sizes[row["kind"], row["group_id"]]
        if row["n_takes"] != there:
            yield Problem("groups", name, f"n_takes is {row['n_takes']}, the group has {there}")
        if split.get(row["take_id"]) != split.get(row["group_id"]):
            yield Problem(
                "groups", name, f"kind split parts it from {row['group_id']}, the first of its group"
            )
    for clip_id in sorted(set(clips.column("clip_id").to_pylist()) - set(split)):
        yield Problem("groups", clip_id, "the clip is in no group of kind split")


def _clips(clips: pa.Table) -> Iterator[Problem]:
    for clip in clips.select(["clip_id", "n_frames", "n_samples"]).to_pylist():
        if clip["n_samples"] != clock.frames_to_samples(clip["n_frames"]):
            yield Problem(
                "clips", clip["clip_id"], f"{clip['n_samples']} samples for {clip['n_frames']} frames"
            )


def _notes(notes: pa.Table, clips: pa.Table) -> Iterator[Problem]:
    end_s = {
        clip["clip_id"]: clock.frame_time_s(clip["n_frames"])
        for clip in clips.select(["clip_id", "n_frames"]).to_pylist()
    }
    columns = [notes.column(name).to_pylist() for name in ("clip_id", "note", "onset_s", "offset_s", "pitch")]
    for clip_id, note, onset_s, offset_s, pitch in zip(*columns, strict=True):
        row = f"{clip_id}/{note}"
        if not 0 <= onset_s <= offset_s <= end_s.get(clip_id, offset_s):
            yield Problem(
                "notes", row, f"{onset_s} to {offset_s} s is not inside its clip of {end_s.get(clip_id)} s"
            )
        if pitch < 0:
            yield Problem("notes", row, f"pitch {pitch} is not 0 to 127")


def _beats(beats: pa.Table, clips: pa.Table) -> Iterator[Problem]:
    end_s = {
        clip["clip_id"]: clock.frame_time_s(clip["n_frames"])
        for clip in clips.select(["clip_id", "n_frames"]).to_pylist()
    }
    columns = [beats.column(name).to_pylist() for name in ("clip_id", "kind", "beat", "time_s", "position")]
    before: dict[tuple[str, str], float] = {}
    for clip_id, kind, beat, time_s, position in zip(*columns, strict=True):
        row = f"{clip_id}/{kind}/{beat}"
        if kind not in ("musical", "kinematic"):
            yield Problem("beats", row, f"kind {kind!r} is neither musical nor kinematic")
        if not 0 <= time_s < end_s.get(clip_id, time_s + 1):
            yield Problem("beats", row, f"{time_s} s is not inside its clip of {end_s.get(clip_id)} s")
        if time_s <= before.get((clip_id, kind), -1.0):
            yield Problem("beats", row, f"{time_s} s is not after the beat before it")
        if (position is None) == (kind == "musical") or (position is not None and position < 1):
            yield Problem("beats", row, f"position {position} of a {kind} beat")
        before[clip_id, kind] = time_s


def _windows(windows: pa.Table, clips: pa.Table) -> Iterator[Problem]:
    n_frames = dict(zip(*(clips.column(name).to_pylist() for name in ("clip_id", "n_frames")), strict=True))
    columns = [windows.column(name).to_pylist() for name in ("clip_id", "start_frame", "n_frames")]
    for clip_id, start, length in zip(*columns, strict=True):
        whole = n_frames.get(clip_id, start + length)
        if not 0 <= start <= whole - length:
            yield Problem(
                "windows", f"{clip_id}/{start}", f"{length} frames reach beyond its clip of {whole} frames"
            )


def _files(workspace: Workspace, found: dict[str, pa.Table]) -> Iterator[Problem]:
    """Files that a row speaks of."""
    wanted = [
        (row["file"], row["video_id"]) for row in found["videos"].select(["file", "video_id"]).to_pylist()
    ]
    wanted += [
        (row["file"], row["clip_id"]) for row in found["stems"].select(["file", "clip_id"]).to_pylist()
    ]
    for clip in found["clips"].select(["clip_id", "n_frames", "status"]).to_pylist():
        name = clip["clip_id"]
        if clip["status"] != "done":
            continue
        wanted += [(f"clips/{name}/{file}", name) for file in _MEDIA] + [(f"midi/{name}.mid", name)]
        path = workspace.root / "frames" / f"{name}.parquet"
        try:
            with pq.ParquetFile(path) as frames:
                tables.check("frames", frames.schema_arrow.empty_table())
                n_rows = frames.metadata.num_rows
            if n_rows != clip["n_frames"]:
                yield Problem(_below(workspace, path), name, f"{n_rows} rows for {clip['n_frames']} frames")
        except FileNotFoundError:
            wanted.append((_below(workspace, path), name))
        except (OSError, pa.ArrowInvalid, SchemaError) as error:
            yield Problem(_below(workspace, path), name, str(error))
    for file, row in wanted:
        if not (workspace.root / file).is_file():
            yield Problem(file, row, "missing: `d2midi build` links it again from the store")


def _changed(workspace: Workspace, found: dict[str, pa.Table]) -> Iterator[Problem]:
    """Files whose bytes are not those that were made."""
    digests: dict[tuple[int, int], str] = {}

    def digest(path: Path) -> str:
        state = path.stat()
        place = (state.st_dev, state.st_ino)  # a file in the store and its name for people are read once
        if place not in digests:
            digests[place] = sha256_file(path)
        return digests[place]

    for record in Ledger(workspace.ledger_path):
        folder = workspace.artefact(record.stage, record.item, record.key)
        for file, made in record.files.items() if folder.is_dir() else ():
            there = (folder / file).is_file()
            if not there or digest(folder / file) != made:
                yield Problem(
                    _below(workspace, folder / file),
                    record.item,
                    f"{'changed since it was made (sha256 differs)' if there else 'missing'}: delete the folder "
                    f"{_below(workspace, folder)} and run `d2midi build`",
                )
    for clip in found["clips"].to_pylist():
        for file, column in _MEDIA.items():
            path = workspace.root / "clips" / clip["clip_id"] / file
            if path.is_file() and digest(path) != clip[column]:
                yield Problem(_below(workspace, path), clip["clip_id"], f"{column} in table clips differs")


def _below(workspace: Workspace, path: Path) -> str:
    return str(path.relative_to(workspace.root))
