from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from d2midi_build import manifests, tables
from d2midi_build.errors import SchemaError

ROW = {
    "clip_id": "c", "start_frame": 0, "n_frames": 600, "n_notes": 3, "body_share": 1.0,
    "stage_key": "k", "made_by": "{}", "time_base": "t",
}  # fmt: skip


def test_every_manifest_has_a_schema_with_meanings_and_a_key_of_its_own_columns() -> None:
    assert set(manifests.NAMES) | {"frames"} == set(tables.table_names())
    for name in tables.table_names():
        described = tables.schema(name)
        columns = {column.name for column in described.columns}
        assert set(described.key) <= columns
        assert all(column.meaning.endswith(".") for column in described.columns)
        assert len(columns) == len(described.columns)


def test_times_and_sizes_have_units() -> None:
    for name in tables.table_names():
        for column in tables.schema(name).columns:
            if column.name.endswith(("_s", "_ms", "_db", "_hz", "_share")):
                assert column.unit, f"{name}.{column.name}"


def test_rows_are_sorted_by_key_and_the_bytes_are_always_the_same(tmp_path: Path) -> None:
    rows = [ROW | {"start_frame": start} for start in (80, 0, 40)]
    for name, given in (("a", rows), ("b", rows[::-1])):
        tables.write(tmp_path / name, tables.from_rows("windows", given), {"state": "s"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert tables.read(tmp_path / "a").column("start_frame").to_pylist() == [0, 40, 80]
    assert tables.metadata(tmp_path / "a") == {"state": "s"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"extra": 1}, "extra"),
        ({"n_notes": "many"}, "many"),
        ({"n_notes": None}, "n_notes"),
        ({"start_frame": 2**40}, "windows"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(SchemaError, match=says):
        tables.from_rows("windows", [ROW | change])


def test_a_file_that_is_not_the_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(SchemaError, match="not a Parquet file"):
        tables.read(tmp_path / "x.parquet")
    with pytest.raises(SchemaError, match="missing"):
        tables.read(tmp_path / "y.parquet")
    with pytest.raises(SchemaError, match="columns"):
        tables.check("windows", pa.table({"clip_id": ["c"]}))
