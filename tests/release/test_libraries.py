"""That a release is read as it is by those who have no d2midi: datasets, polars, DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from d2midi_build.motion.keypoints import PARTS
from d2midi_build.motion.skeleton import BODY_NAMES
from d2midi_build.release.format import MISSING, SPLITS, TABLES
from tests.release import making

LEFT_WRIST = BODY_NAMES.index("left_wrist")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight clips, those of train in three shards."""
    return making.release(tmp_path_factory.mktemp("libraries"), 8, making.recipe(release_shard_mb=1.18))


def rows(release: Path, table: str, split: str) -> pa.Table:
    """A table of a split as pyarrow reads it, all shards."""
    return pa.concat_tables(
        pq.read_table(path) for path in sorted(release.glob(f"data/{table}/{split}-*.parquet"))
    )


# ---- datasets ----


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """The library, offline and quiet."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    yield datasets
    datasets.enable_progress_bars()


def load(datasets: ModuleType, release: Path, cache: Path, name: str | None = None) -> Any:
    return datasets.load_dataset(str(release), name=name, cache_dir=str(cache))


def test_datasets_loads_windows_if_not_told_otherwise(
    datasets: ModuleType, release: Path, tmp_path: Path
) -> None:
    loaded = load(datasets, release, tmp_path)
    assert list(loaded) == list(SPLITS)
    assert {split: len(loaded[split]) for split in SPLITS} == {
        split: len(rows(release, "windows", split)) for split in SPLITS
    }
    assert loaded["train"][0]["start_frame"] == 0 and loaded["train"][0]["n_frames"] == 60
    assert datasets.get_dataset_config_names(str(release)) == list(TABLES)
    assert datasets.get_dataset_default_config_name(str(release)) == "windows"


@pytest.mark.parametrize("table", TABLES)
def test_datasets_loads_every_table_with_its_values_and_types(
    table: str, datasets: ModuleType, release: Path, tmp_path: Path
) -> None:
    loaded = load(datasets, release, tmp_path, table)
    assert list(loaded) == list(SPLITS)
    for split in SPLITS:
        wanted, told = rows(release, table, split), loaded[split].data.table
        assert told.column_names == wanted.column_names
        for field in wanted.schema:
            column = told.column(field.name)
            if pa.types.is_fixed_size_list(field.type):
                assert (column.type.list_size, column.type.value_type) == (field.type.list_size, pa.int16())
                assert np.array_equal(
                    column.combine_chunks().flatten().to_numpy(),
                    wanted.column(field.name).combine_chunks().flatten().to_numpy(),
                )
            else:
                assert column.type == field.type
                assert column.to_pylist() == wanted.column(field.name).to_pylist()


def test_datasets_streams_a_table(datasets: ModuleType, release: Path, tmp_path: Path) -> None:
    stream = datasets.load_dataset(
        str(release), name="notes", split="train", streaming=True, cache_dir=str(tmp_path)
    )
    wanted = rows(release, "notes", "train")
    assert [row["pitch"] for row in stream] == wanted.column("pitch").to_pylist()


# ---- polars ----


def test_polars_computes_with_a_joint_of_the_frames_it_filters(release: Path) -> None:
    import polars

    lifted = (
        polars.scan_parquet(release / "data/frames/train-*.parquet")
        .filter(polars.col("present_body") & (polars.col("clip_id") == "vid-002_00000000"))
        .select("frame", y=polars.col("body_image").arr.get(3 * LEFT_WRIST + 1) * PARTS["body_image"].scale)
        .collect()
    )
    table = rows(release, "frames", "train")
    mine = np.array(table.column("clip_id").to_pylist()) == "vid-002_00000000"
    mine &= table.column("present_body").to_numpy()
    points = table.column("body_image").combine_chunks().flatten().to_numpy().reshape(len(table), 33, 3)
    assert lifted["frame"].to_list() == table.column("frame").to_numpy()[mine].tolist()
    assert lifted["y"].to_list() == (points[mine, LEFT_WRIST, 1] * 2.0**-12).tolist()
    assert 440 < len(lifted) < 450 and lifted["y"].is_between(0.3 - 1e-3, 0.7 + 1e-3).all()


@pytest.mark.parametrize("table", TABLES)
def test_polars_reads_every_table_with_its_values_and_types(table: str, release: Path) -> None:
    import polars

    kinds = {
        pa.int8(): polars.Int8,
        pa.int32(): polars.Int32,
        pa.int64(): polars.Int64,
        pa.float32(): polars.Float32,
        pa.float64(): polars.Float64,
        pa.bool_(): polars.Boolean,
        pa.string(): polars.String,
        pa.binary(): polars.Binary,
    }
    for split in SPLITS:
        wanted = rows(release, table, split)
        told = polars.read_parquet(release / f"data/{table}/{split}-*.parquet")
        assert told.columns == wanted.column_names and len(told) == len(wanted)
        for field in wanted.schema:
            series = told[field.name]
            if pa.types.is_fixed_size_list(field.type):
                assert series.dtype == polars.Array(polars.Int16, field.type.list_size)
                points = wanted.column(field.name).combine_chunks().flatten().to_numpy()
                assert np.array_equal(series.to_numpy().reshape(-1), points)
            else:
                assert series.dtype == kinds.get(field.type, polars.List(polars.String))
                assert series.to_list() == wanted.column(field.name).to_pylist()


# ---- DuckDB ----


@pytest.fixture
def duckdb(release: Path) -> Iterator[Any]:
    """A connection with a view for each table."""
    import duckdb

    with duckdb.connect() as connection:
        for table in TABLES:
            connection.execute(f"CREATE VIEW {table} AS SELECT * FROM '{release}/data/{table}/*.parquet'")
        yield connection


def test_duckdb_joins_windows_with_their_notes_and_clips(duckdb: Any, release: Path) -> None:
    # What windows say of themselves, found from notes and clips again.
    found = duckdb.execute(
        """
        SELECT w.n_notes, count(n.note), w.split = any_value(c.split), w.genre = any_value(c.genre),
               list_sort(list(DISTINCT n.instrument) FILTER (n.note IS NOT NULL)), w.instruments
        FROM windows w JOIN clips c USING (clip_id)
        LEFT JOIN notes n ON n.clip_id = w.clip_id AND n.in_final
            AND n.onset_s < (w.start_frame + w.n_frames) / 20 AND n.offset_s > w.start_frame / 20
        GROUP BY w.clip_id, w.start_frame, w.n_notes, w.split, w.genre, w.instruments
        """
    ).fetchall()
    assert len(found) == sum(len(rows(release, "windows", split)) for split in SPLITS)
    assert all(
        told == there > 0 and split and genre and names == said
        for told, there, split, genre, names, said in found
    )


@pytest.mark.parametrize("table", TABLES)
def test_duckdb_reads_every_table_with_its_values_and_types(table: str, duckdb: Any, release: Path) -> None:
    kinds = {
        pa.int8(): "TINYINT",
        pa.int32(): "INTEGER",
        pa.int64(): "BIGINT",
        pa.float32(): "FLOAT",
        pa.float64(): "DOUBLE",
        pa.bool_(): "BOOLEAN",
        pa.string(): "VARCHAR",
        pa.binary(): "BLOB",
    }
    told = dict(row[:2] for row in duckdb.execute(f"DESCRIBE {table}").fetchall())
    wanted = rows(release, table, "train")
    for field in wanted.schema:
        # DuckDB has arrays of fixed size, but makes lists of what Parquet holds.
        fixed = pa.types.is_fixed_size_list(field.type)
        assert told[field.name] == ("SMALLINT[]" if fixed else kinds.get(field.type, "VARCHAR[]"))
    read = duckdb.sql(f"FROM '{release}/data/{table}/train-*.parquet'").to_arrow_table()
    for field in wanted.schema:
        there, mine = read.column(field.name).combine_chunks(), wanted.column(field.name).combine_chunks()
        if pa.types.is_fixed_size_list(field.type):
            assert np.array_equal(there.flatten().to_numpy(), mine.flatten().to_numpy())
        else:
            assert there.to_pylist() == mine.to_pylist()


def test_duckdb_leaves_out_what_is_missing(duckdb: Any, release: Path) -> None:
    [[absent, held]] = duckdb.execute(
        f"SELECT count(*), count(*) FILTER (list_min(left_hand) = {MISSING} AND list_max(left_hand) = {MISSING}) "
        "FROM frames WHERE NOT present_left_hand"
    ).fetchall()
    [[holes]] = duckdb.execute(
        f"SELECT count(*) FROM frames WHERE present_left_hand AND list_min(left_hand) = {MISSING}"
    ).fetchall()
    assert absent == held > 100 and holes == 0
