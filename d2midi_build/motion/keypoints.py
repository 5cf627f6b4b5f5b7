"""Keypoints of a clip: float32 arrays in memory, 16-bit integers in a table of one row per frame.

A part that was not found in a frame is missing: NaN in the arrays, null in the table, never zeros.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from d2midi_build import clock, tables
from d2midi_build.motion.skeleton import N_BODY, N_FACE, N_HAND

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Part:
    """How one list column holds its points.

    Parameters
    ----------
    shape : tuple of int
        Shape of one frame: (points, coordinates), or (points,) where a point has one number.
    scale_bits : int
        The integer step is ``2 ** -scale_bits``.
    presence : str
        Suffix of the ``present_`` column that says whether this part was found.
    """

    shape: tuple[int, ...]
    scale_bits: int
    presence: str

    @property
    def size(self) -> int:
        """Numbers per frame."""
        return int(np.prod(self.shape))

    @property
    def scale(self) -> float:
        """What an integer step stands for."""
        return float(2.0**-self.scale_bits)


# The steps leave room for what was seen: image coordinates of a half body reach 4.5 (range here +-8),
# world coordinates stay within arm's length (+-4 m), a face lies in or near the picture (+-2).
PARTS: Final[Mapping[str, Part]] = MappingProxyType(
    {
        "body_image": Part((N_BODY, 3), 12, "body"),
        "body_world": Part((N_BODY, 3), 13, "body"),
        "body_visibility": Part((N_BODY,), 14, "body"),
        "left_hand": Part((N_HAND, 3), 13, "left_hand"),
        "right_hand": Part((N_HAND, 3), 13, "right_hand"),
        "face": Part((N_FACE, 3), 14, "face"),
    }
)
"""The list columns in order."""

PRESENCES: Final = ("body", "left_hand", "right_hand", "face")
"""Suffixes of the ``present_`` columns in order."""

_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True)
class Keypoints:
    """Points of one dancer in every frame of a clip of T frames.

    Parameters
    ----------
    body_image : np.ndarray, shape=(T, 33, 3), float32
        x to the right in shares of the width, y down in shares of the height, z (depth from the hips,
        smaller is nearer) in shares of the width.
    body_world : np.ndarray, shape=(T, 33, 3), float32
        Metres from the middle of the hips: x to the right, y down, z away from the camera.
    body_visibility : np.ndarray, shape=(T, 33), float32
        MediaPipe's guess, 0-1, that a point is in the picture and not hidden.
    left_hand, right_hand : np.ndarray, shape=(T, 21, 3), float32
        In the image, as ``body_image``; z from the wrist.
    face : np.ndarray, shape=(T, 478, 3), float32
        In the image, as ``body_image``.
    present_body, present_left_hand, present_right_hand, present_face : np.ndarray, shape=(T,), bool
        Whether the part was found. Points of a part that was not are NaN.

    Raises
    ------
    ValueError
        If a shape or dtype is another one, or NaN and presence disagree.
    """

    body_image: FloatArray
    body_world: FloatArray
    body_visibility: FloatArray
    left_hand: FloatArray
    right_hand: FloatArray
    face: FloatArray
    present_body: BoolArray
    present_left_hand: BoolArray
    present_right_hand: BoolArray
    present_face: BoolArray

    def __post_init__(self) -> None:
        frames = len(self.present_body)
        for name in PRESENCES:
            present = self.present(name)
            if present.shape != (frames,) or present.dtype != np.bool_:
                raise ValueError(f"present_{name} is {present.dtype} {present.shape}, not bool ({frames},)")
        for name, part in PARTS.items():
            points = self.points(name)
            if points.shape != (frames, *part.shape) or points.dtype != np.float32:
                raise ValueError(
                    f"{name} is {points.dtype} {points.shape}, not float32 {(frames, *part.shape)}"
                )
            flat = points.reshape(frames, part.size)
            present = self.present(part.presence)
            if not (np.isfinite(flat).all(axis=1) == present).all():
                raise ValueError(f"{name} and present_{part.presence} disagree on where points are missing")
            if not np.isnan(flat[~present]).all():
                raise ValueError(f"{name} has numbers in frames where present_{part.presence} is false")

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.present_body)

    def points(self, part: str) -> FloatArray:
        """The array called ``part`` (a key of ``PARTS``)."""
        array: FloatArray = getattr(self, part)
        return array

    def present(self, presence: str) -> BoolArray:
        """The presence called ``presence`` (one of ``PRESENCES``)."""
        array: BoolArray = getattr(self, f"present_{presence}")
        return array

    def to_table(self, source_times_s: npt.ArrayLike) -> pa.Table:
        """A row per frame, points as integers.

        Parameters
        ----------
        source_times_s : array_like, shape=(T,)
            Time in the source video of the picture each frame shows, seconds.

        Returns
        -------
        pyarrow.Table
            Columns ``frame``, ``source_time_s``, ``present_*`` and the keys of ``PARTS``. Each of the last
            carries ``scale``, ``max_error`` and ``saturated`` as field metadata: see ``quantisation``.

        Raises
        ------
        ValueError
            If there are not as many times as frames.
        """
        times = np.asarray(source_times_s, dtype=np.float64)
        if times.shape != (len(self),):
            raise ValueError(f"{times.shape} source times for {len(self)} frames")
        fields = [
            pa.field("frame", pa.int32(), nullable=False),
            pa.field("source_time_s", pa.float64(), nullable=False),
        ]
        columns = [pa.array(np.arange(len(self), dtype=np.int32)), pa.array(times)]
        for name in PRESENCES:
            fields.append(pa.field(f"present_{name}", pa.bool_(), nullable=False))
            columns.append(pa.array(self.present(name)))
        for name, part in PARTS.items():
            column, found = _quantise(self.points(name), self.present(part.presence), part)
            fields.append(pa.field(name, column.type, metadata=found.to_metadata()))
            columns.append(column)
        return pa.Table.from_arrays(columns, schema=pa.schema(fields))

    @classmethod
    def from_table(cls, table: pa.Table) -> Keypoints:
        """The inverse of ``to_table``, to within the rounding error.

        Raises
        ------
        KeyError
            If the table lacks a column.
        ValueError
            If a list column is null where its presence is true, or the other way round.
        """
        arrays: dict[str, Any] = {name: part_array(table, name) for name in PARTS}
        for name in PRESENCES:
            arrays[f"present_{name}"] = _present(table, name)
        return cls(**arrays)


@dataclass(frozen=True)
class Quantisation:
    """What became of a part's numbers on the way to integers.

    Parameters
    ----------
    scale : float
        The integers times this are the numbers; a power of two.
    max_error : float
        Largest difference that rounding made, at most ``scale / 2``; clipped numbers are left out.
    saturated : int
        How many numbers lay beyond what 16 bits hold and were clipped.
    """

    scale: float
    max_error: float
    saturated: int

    def to_metadata(self) -> dict[str, str]:
        """As text for a field's metadata; numbers keep every digit."""
        return {
            "scale": repr(self.scale),
            "max_error": repr(self.max_error),
            "saturated": repr(self.saturated),
        }


def quantisation(schema: pa.Schema) -> dict[str, Quantisation]:
    """What ``Keypoints.to_table`` noted about each list column that the schema has.

    Raises
    ------
    ValueError
        If a list column carries no such notes.
    """
    found: dict[str, Quantisation] = {}
    for name in PARTS:
        if name not in schema.names:
            continue
        notes = schema.field(name).metadata or {}
        if b"scale" not in notes:
            raise ValueError(f"column {name} has no scale in its metadata: not a table of keypoints")
        found[name] = Quantisation(
            float(notes[b"scale"]), float(notes[b"max_error"]), int(notes[b"saturated"])
        )
    return found


def part_array(table: pa.Table, name: str) -> FloatArray:
    """One part of a table of keypoints.

    Parameters
    ----------
    table : pyarrow.Table
        From ``Keypoints.to_table`` or ``read_frames``; other parts may be absent.
    name : str
        A key of ``PARTS``.

    Returns
    -------
    np.ndarray, shape=(T, points, 3) or (T, 33) for the visibility, float32
        NaN where the part is missing.

    Raises
    ------
    KeyError
        If the table has no such column.
    ValueError
        If nulls and the presence column disagree.
    """
    part = PARTS[name]
    present = _present(table, part.presence)
    column = table.column(name).combine_chunks()
    if not np.array_equal(column.is_valid().to_numpy(zero_copy_only=False), present):
        raise ValueError(f"nulls of {name} and present_{part.presence} disagree")
    integers = column.flatten().to_numpy()  # flatten leaves null rows out, of either list type
    points = np.full((table.num_rows, *part.shape), np.nan, dtype=np.float32)
    points[present] = integers.reshape(int(present.sum()), *part.shape) * np.float32(part.scale)
    return points


def write_frames(path: Path, table: pa.Table) -> None:
    """Write a table of keypoints as Parquet; the same table gives the same bytes.

    Row groups are as long as the default window. Splitting 16-bit integers into byte streams before
    zstd, without a dictionary, made the smallest files that still read a window in milliseconds.
    """
    pq.write_table(
        with_plain_lists(table),
        path,
        row_group_size=clock.WINDOW_FRAMES,
        compression="zstd",
        use_dictionary=False,
        column_encoding={f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in PARTS},
        write_page_index=False,
    )


def read_frames(path: Path, parts: Sequence[str] | None = None) -> pa.Table:
    """Read a table of keypoints, whole or with some list columns only.

    Parameters
    ----------
    path : Path
        A file from ``write_frames``.
    parts : sequence of str, optional
        Keys of ``PARTS``. Default is all. Reading fewer is faster: the face is two thirds of a file.

    Returns
    -------
    pyarrow.Table
        All other columns and the parts asked for, as ``Keypoints.to_table`` made them; give it to
        ``part_array`` or ``Keypoints.from_table``.

    Raises
    ------
    KeyError
        If a part is unknown.
    SchemaError
        If the file is missing or damaged.
    """
    wanted = list(PARTS if parts is None else parts)
    for name in wanted:
        if name not in PARTS:
            raise KeyError(f"no part called {name!r}; there are {', '.join(PARTS)}")
    columns = ["frame", "source_time_s", *(f"present_{name}" for name in PRESENCES), *wanted]
    with tables.reading(path), pq.ParquetFile(path) as file:
        return _with_fixed_lists(file.read(columns=columns))


def with_plain_lists(table: pa.Table) -> pa.Table:
    """A table of keypoints as it must go into a Parquet file: ``list<int16>`` columns.

    pyarrow before 26 writes a ``fixed_size_list`` that has nulls and then cannot read it
    (https://github.com/apache/arrow/issues/35692). Parquet itself knows no fixed size: the stored
    pages are the same. ``part_array`` and ``Keypoints.from_table`` take either type.
    """
    for name in _parts_of(table):
        index = table.column_names.index(name)
        column = table.column(name).combine_chunks()
        sizes = np.where(column.is_valid().to_numpy(zero_copy_only=False), PARTS[name].size, 0)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        plain = pa.ListArray.from_arrays(pa.array(offsets), column.flatten(), mask=column.is_null())
        table = table.set_column(index, table.schema.field(name).with_type(plain.type), plain)
    return table


def _with_fixed_lists(table: pa.Table) -> pa.Table:
    for name in _parts_of(table):
        index = table.column_names.index(name)
        column = table.column(name).combine_chunks()
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        fixed = _fixed_lists(column.flatten().to_numpy(), valid, PARTS[name].size)
        table = table.set_column(index, table.schema.field(name).with_type(fixed.type), fixed)
    return table


def _parts_of(table: pa.Table) -> list[str]:
    return [name for name in PARTS if name in table.column_names]


def _fixed_lists(integers: npt.NDArray[np.int16], present: BoolArray, size: int) -> pa.Array:
    """Rows of ``size`` integers, where present; null elsewhere."""
    rows = np.zeros((len(present), size), dtype=np.int16)
    rows[present] = integers.reshape(int(present.sum()), size)
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), size, mask=pa.array(~present))


def _present(table: pa.Table, name: str) -> BoolArray:
    found: BoolArray = table.column(f"present_{name}").combine_chunks().to_numpy(zero_copy_only=False)
    return found


def _quantise(points: FloatArray, present: BoolArray, part: Part) -> tuple[pa.Array, Quantisation]:
    # Multiplying by a power of two and taking the fraction are exact in float32.
    steps = points.reshape(len(points), part.size)[present] * np.float32(2**part.scale_bits)
    rounded = np.rint(steps)
    within = (rounded >= _INT16.min) & (rounded <= _INT16.max)
    error = np.abs(steps - rounded, out=np.zeros_like(steps), where=within).max(initial=0.0)
    integers = np.clip(rounded, _INT16.min, _INT16.max).astype(np.int16)
    saturated = int(within.size - np.count_nonzero(within))
    notes = Quantisation(part.scale, float(error) * part.scale, saturated)
    return _fixed_lists(integers, present, part.size), notes
