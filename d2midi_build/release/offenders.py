"""What does not fit a release, and tables read so that whatever is wrong with them is told, not raised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from d2midi_build.release import format as layout

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_SHOWN: Final = 50

# What reading a table raises that is damaged or is another table than it should be.
_DAMAGE: Final = (pa.ArrowException, OSError, ValueError, KeyError, IndexError, TypeError, MemoryError)


class Book:
    """What does not fit, by gate: all counted, the first 50 kept in words."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._kept: dict[str, list[str]] = {}

    def note(self, gate: str, offender: str) -> None:
        """Note one."""
        self.where(gate, np.ones(1, np.bool_), lambda _: offender)

    def where(self, gate: str, wrong: BoolArray, told: Callable[[int], str]) -> None:
        """Note every row of a mask; ``told`` puts one into words."""
        rows = np.flatnonzero(wrong)
        kept = self._kept.setdefault(gate, [])
        self._counts[gate] += len(rows)
        kept += [told(int(row)) for row in rows[: _SHOWN - len(kept)]]

    def noted(self, gate: str) -> tuple[tuple[str, ...], int]:
        """The first 50 in words, and how many there are."""
        return tuple(self._kept.get(gate, ())), self._counts[gate]


def read_table(
    book: Book, folder: Path, table: str, file: str, columns: Sequence[str] | None = None
) -> pa.Table | None:
    """Some columns of a table whose schema fits; None, and a note, where that cannot be had."""
    with noting(book, file):
        with pq.ParquetFile(folder / file) as parquet:
            if not _fits(book, file, table, parquet.schema_arrow):
                return None
            read = parquet.read(columns=None if columns is None else list(columns))
        read.validate(full=True)
        if _has_nulls(book, file, table, read):
            return None
        _in_order(book, file, table, read)
        return read
    return None


@contextmanager
def noting(book: Book, file: str) -> Iterator[None]:
    """Note a file that cannot be read."""
    try:
        yield
    except FileNotFoundError:
        book.note("schema", f"{file} is missing")
    except _DAMAGE as error:
        what = str(error).partition("\n")[0][:200] or type(error).__name__
        book.note("schema", f"{file} cannot be read as its table: {what}")


def _fits(book: Book, file: str, table: str, there: pa.Schema) -> bool:
    wanted = layout.schema(table).arrow()
    if there.names != wanted.names:
        lacking, more = (
            [n for n in wanted.names if n not in there.names],
            [n for n in there.names if n not in wanted.names],
        )
        what = (
            f"lacks {lacking}, has {more} too many" if lacking or more else "has its columns in another order"
        )
        book.note("schema", f"{file} {what}")
        return False
    wrong = [field for field in wanted if not there.field(field.name).equals(field)]
    for field in wrong:
        book.note(
            "schema", f"{file}, column {field.name}: {_type(there.field(field.name))}, not {_type(field)}"
        )
    return not wrong


def _type(field: pa.Field) -> str:
    return f"{field.type}{'' if field.nullable else ' not null'}"


def _has_nulls(book: Book, file: str, table: str, read: pa.Table) -> bool:
    found = False
    for field in layout.schema(table).arrow():
        if field.name not in read.column_names:
            continue
        column = read.column(field.name)
        nulls = 0 if field.nullable else column.null_count
        if pa.types.is_list(field.type):
            nulls += pc.list_flatten(column).null_count
        if nulls:
            book.note("schema", f"{file}, column {field.name}: {nulls} missing values")
            found = True
    return found


def _in_order(book: Book, file: str, table: str, read: pa.Table) -> None:
    """Whether rows are sorted by their key and no key comes twice."""
    key = layout.schema(table).key
    later, same = np.zeros(max(len(read) - 1, 0), np.bool_), np.ones(max(len(read) - 1, 0), np.bool_)
    for name in key:
        values = ordinals(read.column(name))
        later |= same & (values[1:] > values[:-1])
        same &= values[1:] == values[:-1]
    where = [read.column(name) for name in key]

    def told(row: int) -> str:
        what = "comes twice" if same[row] else f"stands after {key_of(where, row)}"
        return f"{file}: row {key_of(where, row + 1)} {what}"

    book.where("schema", ~later, told)


def key_of(columns: Sequence[pa.ChunkedArray], row: int) -> str:
    """A row's name: its values, joined."""
    return "/".join(str(column[row].as_py()) for column in columns)


def ordinals(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Integers in the order of a column's values."""
    if not pa.types.is_string(column.type):
        values: npt.NDArray[Any] = column.to_numpy()
        return values
    encoded = column.combine_chunks().dictionary_encode()
    if not len(encoded.dictionary):
        return np.zeros(0, np.int64)
    ranks = pc.rank(encoded.dictionary, tiebreaker="dense").to_numpy()
    return np.asarray(ranks[encoded.indices.to_numpy()], dtype=np.int64)


def ints(table: pa.Table, name: str) -> IntArray:
    """A column of integers."""
    return np.asarray(table.column(name).to_numpy(), dtype=np.int64)


def floats(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """A column of numbers."""
    return np.asarray(table.column(name).to_numpy(), dtype=np.float64)


def flags(table: pa.Table, name: str) -> BoolArray:
    """A column of truths."""
    return np.asarray(table.column(name).to_numpy(), dtype=np.bool_)


def places_of(values: pa.ChunkedArray | pa.Array, among: pa.Array | pa.ChunkedArray) -> IntArray:
    """Place of each value among others, -1 where it is none of them."""
    if isinstance(among, pa.ChunkedArray):
        among = among.combine_chunks()
    return np.asarray(pc.fill_null(pc.index_in(values, value_set=among), -1).to_numpy(), dtype=np.int64)


def note_orphans(book: Book, file: str, ids: pa.ChunkedArray, places: IntArray, of: str) -> None:
    """Note clips that a table has and should not."""
    if (places < 0).any():
        for name in pc.unique(ids.filter(pa.array(places < 0))).to_pylist():
            book.note("parents", f"{file}: clip {name!r} is none {of}")
