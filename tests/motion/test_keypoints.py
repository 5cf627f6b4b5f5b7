"""Keypoints to integers and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.errors import SchemaError
from d2midi_build.motion.keypoints import (
    PARTS,
    PRESENCES,
    Keypoints,
    part_array,
    quantisation,
    read_frames,
    write_frames,
)


def make_keypoints(n_frames: int, seed: int, spread: float = 1.0, found: float = 0.7) -> Keypoints:
    """Random points, each part found in a random share of the frames."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, Any] = {f"present_{name}": rng.random(n_frames) < found for name in PRESENCES}
    for name, part in PARTS.items():
        points = rng.normal(0.5, spread, (n_frames, *part.shape)).astype(np.float32)
        points[~arrays[f"present_{part.presence}"]] = np.nan
        arrays[name] = points
    return Keypoints(**arrays)


@settings(max_examples=30, deadline=None)
@given(n_frames=st.integers(0, 9), seed=st.integers(0, 2**20), spread=st.sampled_from([1e-6, 0.3, 3.0]))
def test_round_trip_keeps_presence_and_rounds_by_half_a_step(n_frames: int, seed: int, spread: float) -> None:
    before = make_keypoints(n_frames, seed, spread)
    table = before.to_table(np.arange(n_frames) / 7)
    after = Keypoints.from_table(table)
    notes = quantisation(table.schema)
    for name in PRESENCES:
        assert np.array_equal(before.present(name), after.present(name))
    for name, part in PARTS.items():
        x, y = before.points(name).astype(np.float64), after.points(name).astype(np.float64)
        assert np.array_equal(np.isnan(x), np.isnan(y))
        low, high = -32768 * part.scale, 32767 * part.scale
        outside = (x < low - part.scale / 2) | (x > high + part.scale / 2)
        assert notes[name].saturated == np.count_nonzero(outside)
        error = np.abs(x - y)[~np.isnan(x) & ~outside].max(initial=0)
        assert error <= part.scale / 2
        assert error == notes[name].max_error
        assert set(np.unique(y[outside])) <= {low, high}


def test_table_has_the_agreed_columns() -> None:
    table = make_keypoints(3, 0).to_table([0.0, 0.05, 0.1])
    assert [(f.name, str(f.type)) for f in table.schema] == [
        ("frame", "int32"),
        ("source_time_s", "double"),
        ("present_body", "bool"),
        ("present_left_hand", "bool"),
        ("present_right_hand", "bool"),
        ("present_face", "bool"),
        ("body_image", "fixed_size_list<item: int16>[99]"),
        ("body_world", "fixed_size_list<item: int16>[99]"),
        ("body_visibility", "fixed_size_list<item: int16>[33]"),
        ("left_hand", "fixed_size_list<item: int16>[63]"),
        ("right_hand", "fixed_size_list<item: int16>[63]"),
        ("face", "fixed_size_list<item: int16>[1434]"),
    ]


def test_integers_by_hand() -> None:
    keypoints = make_keypoints(1, 0, found=2.0)
    body = keypoints.body_image.copy()
    body[0, 0] = (0.5, -8.0, 9.0)  # 2^11 steps, the lowest integer, beyond the highest
    table = replace(keypoints, body_image=body).to_table([0.0])
    assert table.column("body_image")[0].as_py()[:3] == [2048, -32768, 32767]
    assert quantisation(table.schema)["body_image"].saturated == 1


def test_missing_is_null_in_the_table() -> None:
    table = make_keypoints(40, 1).to_table(np.zeros(40))
    for name, part in PARTS.items():
        valid = table.column(name).combine_chunks().is_valid().to_pylist()
        assert valid == table.column(f"present_{part.presence}").to_pylist()


def test_file_round_trip_encoding_and_bytes(tmp_path: Path) -> None:
    keypoints = make_keypoints(1300, 2)
    table = keypoints.to_table(np.arange(1300) * 0.05)
    write_frames(tmp_path / "a.parquet", table)
    write_frames(tmp_path / "b.parquet", keypoints.to_table(np.arange(1300) * 0.05))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()

    read = read_frames(tmp_path / "a.parquet")
    assert read.equals(table)
    assert quantisation(read.schema) == quantisation(table.schema)
    expected, found = Keypoints.from_table(table), Keypoints.from_table(read)
    assert all(np.array_equal(expected.points(p), found.points(p), equal_nan=True) for p in PARTS)

    metadata = pq.ParquetFile(tmp_path / "a.parquet").metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [600, 600, 100]
    lists = [
        metadata.row_group(0).column(i)
        for i in range(metadata.num_columns)
        if ".list." in metadata.row_group(0).column(i).path_in_schema
    ]
    assert len(lists) == len(PARTS)
    for column in lists:
        assert "BYTE_STREAM_SPLIT" in column.encodings
        assert column.compression == "ZSTD"
        assert not column.has_dictionary_page


def test_read_some_parts(tmp_path: Path) -> None:
    keypoints = make_keypoints(20, 3)
    write_frames(tmp_path / "a.parquet", keypoints.to_table(np.zeros(20)))
    table = read_frames(tmp_path / "a.parquet", ["left_hand"])
    assert "face" not in table.column_names
    assert np.nanmax(np.abs(part_array(table, "left_hand") - keypoints.left_hand)) <= 2**-14
    with pytest.raises(KeyError, match="nose"):
        read_frames(tmp_path / "a.parquet", ["nose"])


def test_a_damaged_or_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"a\.parquet is missing"):
        read_frames(tmp_path / "a.parquet")
    write_frames(tmp_path / "a.parquet", make_keypoints(20, 3).to_table(np.zeros(20)))
    (tmp_path / "a.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:1000])
    with pytest.raises(SchemaError, match=r"a\.parquet is not a Parquet file"):
        read_frames(tmp_path / "a.parquet")


def test_a_slice_of_a_table_is_a_slice_of_the_points() -> None:
    table = make_keypoints(30, 4).to_table(np.zeros(30))
    whole = part_array(table, "right_hand")
    assert np.array_equal(part_array(table.slice(7, 11), "right_hand"), whole[7:18], equal_nan=True)


def test_contradictions_are_refused() -> None:
    keypoints = make_keypoints(5, 5, found=2.0)
    with pytest.raises(ValueError, match="face"):
        replace(keypoints, present_face=np.zeros(5, dtype=bool))
    with pytest.raises(ValueError, match="float64"):
        replace(keypoints, left_hand=keypoints.left_hand.astype(np.float64))
    with pytest.raises(ValueError, match="source times"):
        keypoints.to_table([0.0])
    table = keypoints.to_table(np.zeros(5))
    lied = table.set_column(
        table.column_names.index("present_face"), "present_face", pa.array([False] * 5, pa.bool_())
    )
    with pytest.raises(ValueError, match="face"):
        Keypoints.from_table(lied)
