"""Manifests in and out, as ``schemas/*.json`` describe them.

A schema file gives a table's columns, their Arrow types, units and meanings, its key and its order.
Tables are written so that the same rows give the same bytes: sorted, no timestamps, no pandas metadata.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from d2midi_build.errors import SchemaError
from d2midi_build.resources import resource

_LIST = re.compile(r"^list<(?P<value>\w+)>$")
_FIXED = re.compile(r"^fixed_size_list<(?P<value>\w+)>\[(?P<size>\d+)\]$")


@dataclass(frozen=True)
class Column:
    """One column of a table: its name, Arrow type as text, unit, meaning, and whether it may be null."""

    name: str
    type: str
    meaning: str
    unit: str = ""
    nullable: bool = False

    def arrow(self) -> pa.Field:
        """The column as an Arrow field."""
        return pa.field(self.name, _arrow_type(self.type), nullable=self.nullable)


@dataclass(frozen=True)
class Schema:
    """A table's description, read from ``schemas/<name>.json``."""

    name: str
    title: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    def arrow(self) -> pa.Schema:
        """The whole table as an Arrow schema."""
        return pa.schema([column.arrow() for column in self.columns])


@cache
def schema(name: str) -> Schema:
    """The schema of a table: of a workspace, or, called ``release/<table>``, of a release.

    Raises
    ------
    KeyError
        If no such table is described.
    """
    try:
        raw = json.loads(resource(f"schemas/{name}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KeyError(f"no table is called {name!r}; tables: {', '.join(table_names())}") from None
    return Schema(
        name=raw["table"],
        title=raw["title"],
        key=tuple(raw["key"]),
        columns=tuple(Column(**column) for column in raw["columns"]),
    )


def table_names() -> list[str]:
    """Names of all tables of a workspace, sorted; those of a release are in `release.format`."""
    return sorted(path.stem for path in resource("schemas").glob("*.json"))


def from_rows(name: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Build a table from dictionaries, sorted by its key.

    Raises
    ------
    SchemaError
        If a row lacks a column, has one too many, or holds a value that does not fit.
    """
    described = schema(name)
    wanted = [column.name for column in described.columns]
    ordered = sorted(rows, key=lambda row: tuple(row[column] for column in described.key))
    for row in ordered:
        if set(row) != set(wanted):
            extra, missing = sorted(set(row) - set(wanted)), sorted(set(wanted) - set(row))
            raise SchemaError(f"table {name}: unknown columns {extra}, missing columns {missing}")
    try:
        table = pa.Table.from_pylist(ordered, schema=described.arrow())
        table.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SchemaError(f"table {name}: {error}") from error
    check(name, table)
    return table


def check(name: str, table: pa.Table) -> None:
    """Raise ``SchemaError`` if ``table`` is not what ``schemas/<name>.json`` describes."""
    described = schema(name)
    if table.column_names != [column.name for column in described.columns]:
        raise SchemaError(
            f"table {name}: columns {table.column_names}, "
            f"the schema has {[column.name for column in described.columns]}"
        )
    for column in described.columns:
        field = table.schema.field(column.name)
        if field.type != _arrow_type(column.type):
            raise SchemaError(f"table {name}, column {column.name}: {field.type}, not {column.type}")
        nulls = table.column(column.name).null_count
        if nulls and not column.nullable:
            raise SchemaError(f"table {name}, column {column.name}: {nulls} missing values")


def write(path: Path, table: pa.Table, metadata: Mapping[str, str] | None = None) -> None:
    """Write a table as Parquet, whole or not at all.

    The file is written beside its place and moved there, so that a reader never sees half of one.
    """
    if metadata:
        table = table.replace_schema_metadata(dict(metadata))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(table, partial, compression="zstd", version="2.6", store_schema=True)
        with partial.open("rb") as handle:
            os.fsync(handle.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a table (one file).

    Raises
    ------
    SchemaError
        If the file is missing or not Parquet.
    """
    with reading(path), pq.ParquetFile(path) as file:
        return file.read(columns=list(columns) if columns else None)


def read_where(path: Path, column: str, value: str) -> pa.Table:
    """The rows of a table that hold a value, in its order; parts of the file without it are not read.

    Raises
    ------
    SchemaError
        If the file is missing or not Parquet.
    """
    with reading(path):
        return pq.read_table(path, filters=[(column, "=", value)])


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say what to do about a Parquet file that cannot be read.

    Raises
    ------
    SchemaError
        In place of what pyarrow says of a missing or damaged file.
    """
    try:
        yield
    except FileNotFoundError:
        raise SchemaError(f"{path} is missing: `d2midi build` makes it again from the ledger") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise SchemaError(
            f"{path} is not a Parquet file ({error}): delete it and run `d2midi build`"
        ) from error


def to_numpy(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """A column of numbers or truth values without nulls as an array, not copied where it need not be.

    pyarrow's own ``to_numpy`` imports pandas, which takes longer than opening a release.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_boolean(array.type):
        return to_numpy(array.cast(pa.uint8())).view(np.bool_)
    found: npt.NDArray[Any] = np.from_dlpack(array)
    return found


def metadata(path: Path) -> dict[str, str]:
    """Key-value metadata of a Parquet file; empty if it is missing or unreadable."""
    try:
        raw = pq.read_metadata(path).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return {}
    return {key.decode(): value.decode() for key, value in raw.items() if key != b"ARROW:schema"}


@cache
def _arrow_type(text: str) -> pa.DataType:
    if match := _LIST.match(text):
        return pa.list_(pa.type_for_alias(match["value"]))
    if match := _FIXED.match(text):
        # Neither the list nor its elements are ever null, and Parquet is told so: reading is faster for it.
        value = pa.field("element", pa.type_for_alias(match["value"]), nullable=False)
        return pa.list_(value, int(match["size"]))
    return pa.type_for_alias(text)
