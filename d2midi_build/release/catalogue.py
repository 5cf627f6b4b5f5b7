"""What all views of a release share: its small tables, where each clip's rows lie, and how a window is put together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from d2midi_build import clock
from d2midi_build.errors import SchemaError, UsageError
from d2midi_build.motion.keypoints import PARTS
from d2midi_build.motion.skeleton import BODY_NAMES, HAND_NAMES, N_FACE
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.release import format as layout
from d2midi_build.release import local
from d2midi_build.release.coordinates import (
    SYSTEMS,
    Picture,
    attach,
    metres_per_pixel,
    normalising,
    smooth,
    smoothing_kernel,
    to_pixels,
)
from d2midi_build.release.stored import READ, Shards, read_parquet, readable
from d2midi_build.tables import to_numpy

_LOG = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float32]
TimeArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IndexArray = npt.NDArray[np.int64]

JOINTS: Final[Mapping[str, tuple[str, ...]]] = {
    "body": BODY_NAMES,
    "left_hand": HAND_NAMES,
    "right_hand": HAND_NAMES,
    "face": tuple(map(str, range(N_FACE))),
}
"""Names of the points of each part that can be asked for."""


@dataclass(frozen=True)
class Removed:
    """How much is left out because it must not be used any more."""

    videos: int
    clips: int
    windows: int


@dataclass(frozen=True, eq=False)
class WindowNotes:
    """The notes of one layer that sound in a window, by onset; columns of shape (n,).

    Attributes
    ----------
    onset_s, offset_s : float64
        Seconds from the window's first frame, cut at its edges, on the 10,240 Hz grid.
    starts_before, ends_after : bool
        Whether the note was cut at the window's beginning or end.
    pitch, velocity, program : int8
    instrument : int8
        Place among the 13 `d2midi_build.music.instruments.INSTRUMENTS`.
    is_drum : bool
    p_note, p_instrument : float32
        0-1: how likely there is such a note, and that its instrument is right.
    """

    onset_s: TimeArray
    offset_s: TimeArray
    starts_before: BoolArray
    ends_after: BoolArray
    pitch: npt.NDArray[np.int8]
    velocity: npt.NDArray[np.int8]
    program: npt.NDArray[np.int8]
    instrument: npt.NDArray[np.int8]
    is_drum: BoolArray
    p_note: FloatArray
    p_instrument: FloatArray

    def __len__(self) -> int:
        return len(self.onset_s)


@dataclass(frozen=True, eq=False)
class WindowBeats:
    """The beats of a window; times in seconds from its first frame.

    Attributes
    ----------
    musical_s : float64, shape (n,)
    position : int8, shape (n,)
        Place of each musical beat in its bar, 1 for a downbeat; 0 where unknown.
    musical_confidence : float32, shape (n,)
    kinematic_s : float64, shape (m,)
    kinematic_strength, kinematic_confidence : float32, shape (m,)
    """

    musical_s: TimeArray
    position: npt.NDArray[np.int8]
    musical_confidence: FloatArray
    kinematic_s: TimeArray
    kinematic_strength: FloatArray
    kinematic_confidence: FloatArray


@dataclass(frozen=True)
class View:
    """How windows are asked for."""

    coords: str
    parts: tuple[str, ...]
    layer: str
    deviation_s: float | None

    @classmethod
    def checked(cls, coords: str, parts: Sequence[str], layer: str, deviation_s: float | None) -> View:
        given = (parts,) if isinstance(parts, str) else tuple(parts)
        for what, values, known in (
            ("coords", (coords,), SYSTEMS),
            ("parts", given, tuple(JOINTS)),
            ("layer", (layer,), layout.LAYERS),
        ):
            for value in values:
                if value not in known:
                    raise UsageError(f"{what}: {value!r} is none of {', '.join(known)}")
        if not given or len(set(given)) < len(given):
            raise UsageError(f"parts: name each part once, and at least one, of {', '.join(JOINTS)}")
        if deviation_s is not None and not 0 < deviation_s < 10:
            raise UsageError(f"smooth: {deviation_s} s is no standard deviation between 0 and 10 s")
        return cls(coords, given, layer, deviation_s)

    @cached_property
    def joints(self) -> tuple[str, ...]:
        return tuple(f"{part}.{name}" for part in self.parts for name in JOINTS[part])

    @cached_property
    def counts(self) -> IndexArray:
        """Joints of each part."""
        return np.array([len(JOINTS[part]) for part in self.parts])

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Numbers per frame of each part."""
        return tuple(3 * int(count) for count in self.counts)

    @cached_property
    def begins(self) -> IndexArray:
        """Where the numbers of each part begin."""
        return np.cumsum((0, *self.sizes))[:-1]

    @cached_property
    def columns(self) -> dict[str, slice]:
        """Column of table frames for each part, and where its numbers go."""
        system = "body_world" if self.coords == "world" else "body_image"
        names = [system if part == "body" else part for part in self.parts]
        return {
            name: slice(int(begin), int(begin) + size)
            for name, begin, size in zip(names, self.begins, self.sizes, strict=True)
        }

    @cached_property
    def steps(self) -> FloatArray:
        """What an integer of each place of a frame stands for, shape (joints, 3)."""
        each = [
            np.full((size // 3, 3), PARTS[name].scale)
            for name, size in zip(self.columns, self.sizes, strict=True)
        ]
        return np.asarray(np.concatenate(each), dtype=np.float32)

    @cached_property
    def of_body(self) -> BoolArray:
        """Which joints are the body's, shape (joints, 1)."""
        return np.repeat([part == "body" for part in self.parts], self.counts)[:, np.newaxis]

    @cached_property
    def kernel(self) -> FloatArray | None:
        """Weights of the smoothing."""
        return None if self.deviation_s is None else smoothing_kernel(self.deviation_s * clock.FPS)

    @cached_property
    def layer_bit(self) -> int:
        return 1 << layout.LAYERS.index(self.layer)


def _is_one_of(column: pa.Array | pa.ChunkedArray, values: Sequence[str]) -> BoolArray:
    """Which rows hold one of a few values."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = whole.dictionary_encode()  # comparing with a value of Python's would import pandas
    wanted = np.array([value in values for value in encoded.dictionary.to_pylist()], dtype=np.bool_)
    found: BoolArray = wanted[to_numpy(encoded.indices)]
    return found


class Catalogue:
    """What all views of a release share: its small tables, where each clip's rows lie, and its shards."""

    def __init__(self, files: local.Files, newer: Sequence[pa.Table], memory_map: bool | None) -> None:
        self.files = files
        self.manifest: Mapping[str, Any] = layout.parse_manifest(
            files.path(layout.MANIFEST).read_bytes(), files.location
        )
        self.shards = Shards(files, memory_map)
        self.windows, self.videos, self.clips = (self._whole(name) for name in layout.WHOLE)
        self.clip_ids: list[str] = self.clips.column("clip_id").to_pylist()
        self.clip_frames: IndexArray = to_numpy(self.clips.column("n_frames")).astype(np.int64)
        self.window_clip: IndexArray = self._clip_of_windows()
        self.window_start: npt.NDArray[np.int32] = to_numpy(self.windows.column("start_frame"))
        self.window_frames: npt.NDArray[np.int32] = to_numpy(self.windows.column("n_frames"))
        self._describe_clips()
        self._remove([self._own_removals(), *newer])

    def _whole(self, name: str) -> pa.Table:
        found = []
        for split in self.manifest["shards"]:
            path = self.files.path(layout.table_file(name, split))
            with readable(path):
                wanted = layout.schema(name).arrow()
                found.append(read_parquet(path, wanted.names).cast(wanted))
        if not found:
            return layout.schema(name).arrow().empty_table()
        return pa.concat_tables(found).combine_chunks()

    def _clip_of_windows(self) -> IndexArray:
        places = pc.index_in(self.windows.column("clip_id"), value_set=self.clips.column("clip_id"))
        if places.null_count:
            raise SchemaError(
                f"{self.files.location}: {places.null_count} windows are of clips it does not have"
            )
        found: IndexArray = to_numpy(places).astype(np.int64)
        return found

    def _describe_clips(self) -> None:
        """Columns of the table of clips as windows need them, and where the rows of each clip begin in its shard."""
        columns = {
            name: self.clips.column(name).to_pylist()
            for name in ("video_id", "split", "genre", "shard", "has_audio")
        }
        self.names: list[tuple[str, str, str, str]] = list(
            zip(self.clip_ids, *(columns[name] for name in ("video_id", "split", "genre")), strict=True)
        )
        self._shard = list(zip(columns["split"], columns["shard"], strict=True))
        self._has_audio: list[bool] = columns["has_audio"]
        placed = [
            self.clips.column(name).to_pylist()
            for name in ("width", "height", "centre_x", "centre_y", "torso")
        ]
        self._pictures = [
            Picture(width, height, *(np.nan if number is None else number for number in body))
            for width, height, *body in zip(*placed, strict=True)
        ]
        self._begins: dict[str, IndexArray] = {}
        order = sorted(range(len(self.clip_ids)), key=lambda clip: (self._shard[clip], self.clip_ids[clip]))
        has_audio = np.array(self._has_audio, dtype=np.int64)
        counts = {
            "frames": self.clip_frames,
            "notes": to_numpy(self.clips.column("n_notes")),
            "beats": to_numpy(self.clips.column("n_beats")),
            "sounds": has_audio,
            "samples": to_numpy(self.clips.column("n_samples")) * has_audio,
        }
        self._counts = counts
        for name, count in counts.items():
            begins, total = np.zeros(len(order), dtype=np.int64), 0
            for number, clip in enumerate(order):
                if number and self._shard[clip] != self._shard[order[number - 1]]:
                    total = 0
                begins[clip] = total
                total += int(count[clip])
            self._begins[name] = begins

    def _own_removals(self) -> pa.Table:
        path = self.files.path(layout.REMOVED)
        with readable(path):
            return read_parquet(path)

    def _remove(self, lists: Sequence[pa.Table]) -> None:
        """Find out which videos, clips and windows are left."""
        gone: set[tuple[str, str]] = set()
        for removals in lists:
            if not {"video_id", "clip_id"} <= set(removals.column_names):
                raise UsageError(
                    f"a list of removals has the columns {removals.column_names}; it needs video_id and clip_id"
                )
            gone.update(
                zip(*(removals.column(name).to_pylist() for name in ("video_id", "clip_id")), strict=True)
            )
        self.video_left: BoolArray = np.array(
            [(video, "") not in gone for video in self.videos.column("video_id").to_pylist()], dtype=np.bool_
        )
        self.clip_left: BoolArray = np.array(
            [not {(video, ""), (video, clip)} & gone for clip, video, _, _ in self.names], dtype=np.bool_
        )
        self.window_left: BoolArray = self.clip_left[self.window_clip]
        self.removed = Removed(
            *(int((~left).sum()) for left in (self.video_left, self.clip_left, self.window_left))
        )
        if self.removed.clips or self.removed.videos:
            _LOG.info("%s: %s left out because they were removed", self.files.location, self.removed)

    def place_of(self, clip_id: str) -> int:
        """Row of a clip that is not removed."""
        try:
            place = self.clip_ids.index(clip_id)
        except ValueError:
            raise UsageError(f"there is no clip {clip_id!r} in {self.files.location}") from None
        if not self.clip_left[place]:
            raise UsageError(f"clip {clip_id!r} was removed and must not be used any more")
        return place

    def windows_with(self, column: str, values: Sequence[str]) -> BoolArray:
        """Which windows have one of the values in a column of theirs or of their clips."""
        own = column in self.windows.column_names
        held = (self.windows if own else self.clips).column(column)
        _known(column, values, held.unique().to_pylist())
        found = _is_one_of(held, values)
        return found if own else found[self.window_clip]

    def windows_playing(self, names: Sequence[str]) -> BoolArray:
        """In which windows one of the instruments plays."""
        lists = self.windows.column("instruments").combine_chunks()
        _known("instrument", names, [instrument.name for instrument in INSTRUMENTS])
        found = np.zeros(len(self.windows), dtype=np.bool_)
        found[to_numpy(pc.list_parent_indices(lists))[_is_one_of(lists.flatten(), names)]] = True
        return found

    def dataset(self, name: str) -> Any:
        """A table as a dataset over its files, without the rows of what was removed."""
        import pyarrow.dataset

        paths = []
        for split, count in self.manifest["shards"].items():
            shards = range(int(count)) if name in layout.SHARDED else range(1)
            files = [layout.table_file(name, split, shard) for shard in shards]
            # Only sound may have no file: a shard where no licence allows it.
            paths += [self.files.path(file) for file in files if name != "audio" or self.files.has(file)]
        found = pyarrow.dataset.dataset(
            [str(path) for path in paths], schema=layout.schema(name).arrow(), format="parquet"
        )
        key, left, ids = (
            ("video_id", self.video_left, self.videos.column("video_id"))
            if name == "videos"
            else ("clip_id", self.clip_left, self.clips.column("clip_id"))
        )
        gone = ids.filter(pa.array(~left))
        return found.filter(~pc.field(key).isin(gone.combine_chunks())) if len(gone) else found

    def convert(self, told: Callable[[int, int], None]) -> None:
        """Convert all shards, telling how many files are done."""
        wanted = [
            (table, split, shard)
            for split, count in self.manifest["shards"].items()
            for shard in range(int(count))
            for table in READ
            if table != "audio" or self.files.has(layout.table_file(table, split, shard))
        ]
        for done, (table, split, shard) in enumerate(wanted):
            told(done, len(wanted))
            self.shards.convert(table, split, shard)
        told(len(wanted), len(wanted))

    def points(self, clip: int, start: int, n: int, view: View) -> tuple[FloatArray, BoolArray]:
        """Points of some frames of a clip, shape (n, joints, 3), and which parts are missing, shape (n, parts)."""
        kernel = view.kernel
        if kernel is None:
            points, missing = self._raw_points(clip, start, n, view)
        else:
            reach = len(kernel) - 1
            first = max(0, start - reach)
            end = min(int(self.clip_frames[clip]), start + n + reach)
            points, missing = self._raw_points(clip, first, end - first, view)
            wanted = slice(start - first, start - first + n)
            points, missing = smooth(points, missing, view.sizes, kernel)[wanted], missing[wanted]
        return points.reshape(n, -1, 3), missing

    def _raw_points(self, clip: int, first: int, n: int, view: View) -> tuple[FloatArray, BoolArray]:
        """The same before smoothing, shape (n, 3 * joints)."""
        points = np.empty((n, 3 * len(view.joints)), dtype=np.float32)
        targets = {name: points[:, place] for name, place in view.columns.items()}
        frames = self.shards.frames(*self._shard[clip])
        begin = int(self._begins["frames"][clip]) + first
        picture = self._pictures[clip]
        attaching = view.coords == "world" and view.parts != ("body",)
        if attaching:
            body = {
                name: np.empty((n, PARTS[name].size), dtype=np.float32)
                for name in ("body_world", "body_image")
            }
            frames.copy({**body, **targets}, begin)
            if "body_world" in targets:
                body["body_world"][...] = targets["body_world"]
        else:
            frames.copy(targets, begin)
        missing: BoolArray = points[:, view.begins] == layout.MISSING
        if view.coords == "normalised":
            factor, added = (each.astype(np.float32) for each in normalising(picture))
            points *= (view.steps * factor).reshape(-1)
            points += np.tile(added, len(view.joints))
            if np.isnan(picture.torso):
                missing[...] = True
        elif attaching:
            scales = np.where(view.of_body, 1.0, to_pixels(picture))
            points *= (view.steps * scales.astype(np.float32)).reshape(-1)
        else:
            points *= view.steps.reshape(-1)
        if attaching:
            alone = _attach(targets, body, picture)
            for part, name in enumerate(targets):
                if name != "body_world":
                    missing[:, part] |= alone
        if missing.any():
            for part, target in enumerate(targets.values()):
                target[missing[:, part]] = np.nan
        return points, missing

    def visibility(self, clip: int, start: int, n: int) -> FloatArray:
        found = np.empty((n, PARTS["body_visibility"].size), dtype=np.float32)
        self.shards.frames(*self._shard[clip]).copy(
            {"body_visibility": found}, int(self._begins["frames"][clip]) + start
        )
        missing = found[:, 0] == layout.MISSING
        found *= np.float32(PARTS["body_visibility"].scale)
        found[missing] = np.nan
        return found

    def source_times(self, clip: int, start: int, n: int) -> TimeArray:
        return self.shards.frames(*self._shard[clip]).times(int(self._begins["frames"][clip]) + start, n)

    def notes(self, clip: int, start: int, n: int, layer_bit: int) -> WindowNotes:
        rows = self._rows("notes", clip, self.shards.notes(*self._shard[clip]))
        begin, end = clock.frames_to_samples(start), clock.frames_to_samples(start + n)
        onset, offset = rows["onset"], rows["offset"]
        chosen = rows[(onset < end) & (offset > begin) & ((rows["layers"] & layer_bit) != 0)]
        onset, offset = chosen["onset"], chosen["offset"]
        return WindowNotes(
            onset_s=(np.maximum(onset, begin) - begin) / clock.SAMPLE_RATE_HZ,
            offset_s=(np.minimum(offset, end) - begin) / clock.SAMPLE_RATE_HZ,
            starts_before=onset < begin,
            ends_after=offset > end,
            **{
                name: chosen[name].copy()
                for name in (
                    "pitch",
                    "velocity",
                    "program",
                    "instrument",
                    "is_drum",
                    "p_note",
                    "p_instrument",
                )
            },
        )

    def beats(self, clip: int, start: int, n: int) -> WindowBeats:
        rows = self._rows("beats", clip, self.shards.beats(*self._shard[clip]))
        begin_s, end_s = clock.frame_time_s(start), clock.frame_time_s(start + n)
        inside = rows[(rows["time_s"] >= begin_s) & (rows["time_s"] < end_s)]
        musical, kinematic = inside[inside["musical"]], inside[~inside["musical"]]
        return WindowBeats(
            musical_s=musical["time_s"] - begin_s,
            position=musical["position"].copy(),
            musical_confidence=musical["confidence"].copy(),
            kinematic_s=kinematic["time_s"] - begin_s,
            kinematic_strength=kinematic["strength"].copy(),
            kinematic_confidence=kinematic["confidence"].copy(),
        )

    def audio(self, clip: int, start: int, n: int) -> FloatArray | None:
        if not self._has_audio[clip]:
            return None
        return self.shards.sounds(*self._shard[clip]).read(
            int(self._begins["sounds"][clip]),
            int(self._begins["samples"][clip]),
            clock.frames_to_samples(start),
            clock.frames_to_samples(n),
        )

    def _rows(self, table: str, clip: int, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        begin = int(self._begins[table][clip])
        return rows[begin : begin + int(self._counts[table][clip])]


def _attach(targets: Mapping[str, FloatArray], body: Mapping[str, FloatArray], picture: Picture) -> BoolArray:
    """Attach hands and face to the body; in which frames there is none that they can be attached to."""
    without = body["body_world"][:, 0] == layout.MISSING
    world, image = (
        (body[name] * np.float32(PARTS[name].scale)).reshape(len(body[name]), -1, 3)
        for name in ("body_world", "body_image")
    )
    scale = metres_per_pixel(world, image, picture)
    for name, target in targets.items():
        if name != "body_world":
            attach(target.reshape(len(target), -1, 3), name, world, scale)
    return np.asarray(without | np.isnan(scale))


def _known(what: str, values: Sequence[str], there: Sequence[str]) -> None:
    for value in values:
        if value not in there:
            if set(there) <= {""}:
                raise UsageError(f"{what}: {value!r} is not in this release, which knows of no {what} at all")
            listed = sorted(there)
            more = f" and {len(listed) - 20:,} more" if len(listed) > 20 else ""
            raise UsageError(f"{what}: {value!r} is none of {', '.join(map(repr, listed[:20]))}{more}")
