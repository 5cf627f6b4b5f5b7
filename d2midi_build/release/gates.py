"""What must hold of a release before anything of it is visible, and again whenever it is verified.

The tables are judged by themselves, not by what made them: nothing here uses the code that writes a release. Big
tables are read a shard at a time, and of ``frames`` only a few row groups at a time with the points in them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from d2midi_build import clock
from d2midi_build.release import format as layout
from d2midi_build.release.licences import allowed
from d2midi_build.release.offenders import (
    Book,
    BoolArray,
    IntArray,
    flags,
    floats,
    ints,
    key_of,
    note_orphans,
    places_of,
    read_table,
)
from d2midi_build.release.shard_gates import Shard, judge

MEANINGS: Final = {
    "schema": "every table has exactly the columns, types and order that its schema says, and no key twice",
    "missing": "a part of a frame is missing in all its numbers where present_* is false, and in none elsewhere",
    "windows": "windows lie inside their clips and tell what is in them; those of test share no frame",
    "samples": "a clip has 512 samples per frame, and its sound is as long as told and has the SHA-256 told",
    "frames": "a clip has a row for each frame, numbered from 0, in row groups of its own",
    "notes": "notes lie inside their clips, on the sample grid, with possible values, and as many as told",
    "beats": "beats lie inside their clips, one after the other, and as many as told",
    "midi": "a clip has a MIDI file for each layer, with the notes of that layer",
    "licence": "licences are among those that the release allows, and of sound among those that allow passing it on",
    "leak": "no video, and nothing else that is kept apart, is in two splits",
    "coverage": "a clip has a body in enough of its frames, and at least one window",
    "parents": "every row belongs to a clip of its split and shard, and every clip to a video",
}
"""Name of each gate and what it asks, in order."""

_NAME: Final = re.compile(r"^(?P<split>[a-z]+)-(?P<shard>\d{5})\.parquet$")


@dataclass(frozen=True)
class Policy:
    """What a release allows: the recipe's section ``release``, or the same in a manifest.

    Attributes
    ----------
    licences : tuple of str
        Patterns as of `fnmatch`, upper and lower case the same; empty: any licence, also an unknown one.
    audio_licences : tuple of str
        The same for clips whose sound is in the release; empty: none allows it.
    least_body_share : float
        Least share of a clip's frames with a body, 0-1.
    keep_apart : tuple of str
        ``music``, ``performer``, ``video``: what no two splits may share.
    """

    licences: tuple[str, ...] = ()
    audio_licences: tuple[str, ...] = ()
    least_body_share: float = 0.0
    keep_apart: tuple[str, ...] = ("music", "performer", "video")


@dataclass(frozen=True)
class Gate:
    """One thing that must hold, and what does not fit it.

    Attributes
    ----------
    name, meaning : str
    offenders : tuple of str
        The first 50, each with the item's name and its wrong value.
    n_offenders : int
        How many there are.
    """

    name: str
    meaning: str
    offenders: tuple[str, ...]
    n_offenders: int

    @property
    def passed(self) -> bool:
        """Whether everything fits."""
        return not self.n_offenders


def gates(folder: Path, policy: Policy, *, report: Callable[[float], None] | None = None) -> list[Gate]:
    """Judge a folder in the layout of a release.

    Parameters
    ----------
    folder : Path
    policy : Policy
    report : callable, optional
        Is told the share done, 0-1.

    Returns
    -------
    list of Gate
        All of ``MEANINGS``, in its order. Whatever is wrong with the files is told there: nothing is raised for it.
        A table that cannot be read does not fit ``schema``, and what it should hold is missing elsewhere.
    """
    book, found = Book(), _found(folder)
    whole = {split: {table: _whole(book, folder, table, split) for table in layout.WHOLE} for split in found}
    read_table(book, folder, "removed", layout.REMOVED)
    _shards_told(book, folder, found, {split: tables["clips"] for split, tables in whole.items()})
    for split, tables in whole.items():
        _own_split(book, split, tables)
        _families(book, tables["videos"], tables["clips"])
        _samples(book, tables["clips"])
        _licences(book, tables["videos"], tables["clips"], policy)
        _windows(book, split, tables["windows"], tables["clips"])
        _coverage(book, tables["windows"], tables["clips"], policy)
    shards = [(split, number) for split, numbers in found.items() for number in sorted(numbers)]
    for done, (split, number) in enumerate(shards, start=1):
        judge(book, folder, Shard.of(split, number, whole[split]))
        if report is not None:
            report(done / len(shards))
    _leaks(book, whole, policy)
    return [Gate(name, meaning, *book.noted(name)) for name, meaning in MEANINGS.items()]


def _found(folder: Path) -> dict[str, set[int]]:
    """Splits that have files, and the numbers of their shards."""
    found: dict[str, set[int]] = {}
    for table in layout.TABLES:
        for path in (folder / "data" / table).glob("*.parquet"):
            match = _NAME.match(path.name)
            if match and match["split"] in layout.SPLITS:
                shards = found.setdefault(match["split"], set())
                shards |= {int(match["shard"])} if table in layout.SHARDED else set()
    return {split: found[split] for split in layout.SPLITS if split in found}


def _shards_told(book: Book, folder: Path, found: dict[str, set[int]], clips: dict[str, pa.Table]) -> None:
    """Whether the shards of clips, of files and of the manifest are the same."""
    told = _manifest_shards(folder)
    if not found:
        book.note("schema", "data: no table of any split is there")
    for split in sorted({*found, *(told or {})}):
        there = found.get(split, set())
        if told is not None and there != set(range(told.get(split, 0))):
            book.note(
                "parents",
                f"split {split}: files of shards {_numbers(there)}, {layout.MANIFEST} says {told.get(split, 0)} shards",
            )
        named = set(ints(clips[split], "shard").tolist()) if split in clips else set()
        if named != there:
            book.note(
                "parents", f"split {split}: files of shards {_numbers(there)}, clips of {_numbers(named)}"
            )


def _manifest_shards(folder: Path) -> dict[str, int] | None:
    """Number of shards by split as the manifest has it; None without a manifest, which `verify` tells."""
    try:
        told = json.loads((folder / layout.MANIFEST).read_text(encoding="utf-8"))["shards"]
        # Nobody has more shards than that, and a wrong number must not fill the memory.
        return {str(split): min(int(number), 100_000) for split, number in told.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _numbers(numbers: set[int]) -> str:
    return (
        ", ".join(str(number) for number in sorted(numbers)[:10]) + (", ..." if len(numbers) > 10 else "")
        or "none"
    )


def _whole(book: Book, folder: Path, table: str, split: str) -> pa.Table:
    """A table of one file per split; without rows if it cannot be read."""
    read = read_table(book, folder, table, layout.table_file(table, split))
    return layout.schema(table).arrow().empty_table() if read is None else read


def _differ(one: pa.ChunkedArray, other: pa.ChunkedArray, places: IntArray) -> BoolArray:
    """Rows whose value is not that of the row of ``other`` they belong to; rows that belong to none are left out."""
    known = places >= 0
    if not len(other):
        return np.zeros(len(places), np.bool_)
    taken = other.take(pa.array(np.maximum(places, 0)))
    return known & np.asarray(pc.not_equal(one, taken).to_numpy(), dtype=np.bool_)


def _own_split(book: Book, split: str, tables: dict[str, pa.Table]) -> None:
    for table, read in tables.items():
        names = [read.column(name) for name in layout.schema(table).key]
        said = read.column("split")
        other = np.asarray(pc.not_equal(said, split).to_numpy(), dtype=np.bool_)
        gate = "windows" if table == "windows" else "parents"
        book.where(
            gate,
            other,
            lambda row, table=table, names=names, said=said: (  # type: ignore[misc]
                f"{layout.table_file(table, split)}: {key_of(names, row)} says split {said[row].as_py()!r}"
            ),
        )


def _families(book: Book, videos: pa.Table, clips: pa.Table) -> None:
    """Clips and their videos."""
    ids, parents = clips.column("clip_id"), places_of(clips.column("video_id"), videos.column("video_id"))
    book.where(
        "parents",
        parents < 0,
        lambda row: (
            f"clip {ids[row]}: its video {clips.column('video_id')[row]} is not in the split's videos"
        ),
    )
    told, there = ints(videos, "n_clips"), np.bincount(parents[parents >= 0], minlength=len(videos))
    book.where(
        "parents",
        (told != there) | (there == 0),
        lambda row: (
            f"video {videos.column('video_id')[row]}: n_clips is {told[row]}, the release has {there[row]}"
        ),
    )


def _samples(book: Book, clips: pa.Table) -> None:
    ids, n_frames, n_samples = clips.column("clip_id"), ints(clips, "n_frames"), ints(clips, "n_samples")
    book.where(
        "samples",
        n_samples != n_frames * clock.SAMPLES_PER_FRAME,
        lambda row: f"clip {ids[row]}: {n_samples[row]:,} samples for {n_frames[row]:,} frames",
    )
    book.where("frames", n_frames < 1, lambda row: f"clip {ids[row]}: {n_frames[row]:,} frames")


def _licences(book: Book, videos: pa.Table, clips: pa.Table, policy: Policy) -> None:
    ids, licences = clips.column("clip_id"), clips.column("licence")
    known = sorted(set(licences.to_pylist()) | set(videos.column("licence").to_pylist()))
    refused = [name for name in known if policy.licences and not allowed(name, policy.licences)]
    silent = [name for name in known if not allowed(name, policy.audio_licences)]
    book.where(
        "licence",
        _among(licences, refused),
        lambda row: f"clip {ids[row]}: licence {licences[row].as_py()!r} is not allowed in the release",
    )
    book.where(
        "licence",
        _among(videos.column("licence"), refused),
        lambda row: (
            f"video {videos.column('video_id')[row]}: licence "
            f"{videos.column('licence')[row].as_py()!r} is not allowed in the release"
        ),
    )
    book.where(
        "licence",
        _among(licences, silent) & flags(clips, "has_audio"),
        lambda row: f"clip {ids[row]}: has sound, which its licence {licences[row].as_py()!r} does not allow",
    )
    parents = places_of(clips.column("video_id"), videos.column("video_id"))
    book.where(
        "licence",
        _differ(licences, videos.column("licence"), parents),
        lambda row: (
            f"clip {ids[row]}: licence {licences[row].as_py()!r}, its video has "
            f"{videos.column('licence')[int(parents[row])].as_py()!r}"
        ),
    )


def _among(column: pa.ChunkedArray, names: Sequence[str]) -> BoolArray:
    return np.asarray(pc.is_in(column, value_set=pa.array(names, pa.string())).to_numpy(), dtype=np.bool_)


def _windows(book: Book, split: str, windows: pa.Table, clips: pa.Table) -> None:
    ids, start, length = windows.column("clip_id"), ints(windows, "start_frame"), ints(windows, "n_frames")
    places = places_of(ids, clips.column("clip_id"))
    note_orphans(book, layout.table_file("windows", split), ids, places, f"of split {split}")
    whole = np.append(ints(clips, "n_frames"), 0)[places]

    def named(row: int) -> str:
        return f"window {ids[row]}/{start[row]}"

    book.where(
        "windows",
        (places >= 0) & ((start < 0) | (length < 1) | (start + length > whole)),
        lambda row: f"{named(row)}: {length[row]} frames, its clip has {whole[row]}",
    )
    genre = windows.column("genre")
    book.where(
        "windows",
        _differ(genre, clips.column("genre"), places),
        lambda row: (
            f"{named(row)}: genre {genre[row].as_py()!r}, its clip has "
            f"{clips.column('genre')[int(places[row])].as_py()!r}"
        ),
    )
    if split == "test" and len(windows):
        order = np.lexsort((start, places))
        first, second = order[:-1], order[1:]
        overlap = np.zeros(len(windows), np.bool_)
        overlap[second] = (places[first] == places[second]) & (start[first] + length[first] > start[second])
        book.where("windows", overlap, lambda row: f"{named(row)}: shares frames with the one before it")


def _coverage(book: Book, windows: pa.Table, clips: pa.Table, policy: Policy) -> None:
    ids, share = clips.column("clip_id"), floats(clips, "body_share")
    book.where(
        "coverage",
        ~(share >= policy.least_body_share),
        lambda row: (
            f"clip {ids[row]}: a body in {share[row]:.1%} of its frames, asked are "
            f"{policy.least_body_share:.1%}"
        ),
    )
    seen = np.bincount(places_of(windows.column("clip_id"), ids) + 1, minlength=len(clips) + 1)[1:]
    book.where("coverage", seen == 0, lambda row: f"clip {ids[row]}: no window")


def _leaks(book: Book, whole: dict[str, dict[str, pa.Table]], policy: Policy) -> None:
    for column in ("clip_id", "video_id", *(f"{kind}_group" for kind in policy.keep_apart)):
        if column not in layout.schema("clips").arrow().names:
            book.note(
                "leak", f"{column!r} is no column of the clips: what is to be kept apart cannot be told"
            )
            continue
        pairs = pa.concat_tables(
            [
                pa.table({"value": tables["clips"].column(column)}).append_column(
                    "split", pa.repeat(pa.scalar(split), len(tables["clips"]))
                )
                for split, tables in whole.items()
            ]
            or [pa.table({"value": pa.array([], pa.string()), "split": pa.array([], pa.string())})]
        )
        pairs = pairs.filter(pc.is_valid(pairs.column("value"))).group_by(["value", "split"]).aggregate([])
        shared = pairs.group_by("value").aggregate([("split", "list"), ("split", "count")])
        shared = shared.filter(pc.greater(shared.column("split_count"), 1)).sort_by("value")
        for row in shared.to_pylist():
            splits = " and ".join(split for split in layout.SPLITS if split in row["split_list"])
            book.note("leak", f"{column} {row['value']!r} is in {splits}")
