"""What a shard holds as plain arrays: decoded from Parquet, or converted once and mapped into memory.

Parquet is small and made to be sent; its integers have to be decompressed for every window. Converted files are twice
as large and read as fast as memory is copied. Both give the same numbers.

    CACHE/<digest>/mapped/frames/<split>-<shard>/<column>.npy    int16, shape (frames of the shard, numbers per frame)
    CACHE/<digest>/mapped/frames/<split>-<shard>/source_time_s.npy
    CACHE/<digest>/mapped/notes/<split>-<shard>/rows.npy         `NOTE`
    CACHE/<digest>/mapped/beats/<split>-<shard>/rows.npy         `BEAT`
    CACHE/<digest>/mapped/audio/<split>-<shard>/samples.npy      int16, one clip after the other

A folder is made under another name and moved when it is whole.
"""

from __future__ import annotations

import io
import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from d2midi_build.digests import sha256_file
from d2midi_build.errors import SchemaError, UsageError
from d2midi_build.motion.keypoints import PARTS
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.notes import to_samples
from d2midi_build.release.format import FRAMES_PER_ROW_GROUP, LAYERS, table_file
from d2midi_build.release.local import Files, locked
from d2midi_build.tables import to_numpy
from d2midi_build.workspace import sync_path

FloatArray = npt.NDArray[np.float32]
Array = npt.NDArray[Any]

READ: Final = ("frames", "notes", "beats", "audio")
"""Tables that windows are made of."""

NOTE: Final = np.dtype(
    [
        ("onset", np.int32),  # in samples of the one clock, from the clip's beginning
        ("offset", np.int32),
        ("p_note", np.float32),
        ("p_instrument", np.float32),
        ("pitch", np.int8),
        ("velocity", np.int8),
        ("program", np.int8),
        ("instrument", np.int8),  # place among INSTRUMENTS
        ("is_drum", np.bool_),
        ("layers", np.uint8),  # bit k: whether it is in LAYERS[k]
    ]
)
BEAT: Final = np.dtype(
    [
        ("time_s", np.float64),
        ("strength", np.float32),
        ("confidence", np.float32),
        ("position", np.int8),  # 0 for null
        ("musical", np.bool_),
    ]
)

_PLACES: Final = {instrument.name: place for place, instrument in enumerate(INSTRUMENTS)}
_NPY: Final[Any] = np.lib.format
_TIMES: Final = "source_time_s"
_TOGETHER: Final = 300
"""Numbers per frame up to which one thread is as fast as two."""


class Frames(Protocol):
    """The frames of a shard."""

    def copy(self, targets: Mapping[str, FloatArray], first: int) -> None:
        """Write integers, as they are stored, of the frames from ``first`` on into an array per column, (n, size)."""

    def times(self, first: int, n: int) -> npt.NDArray[np.float64]:
        """Times in the video of the pictures that n frames from ``first`` on show, in seconds."""


class Sounds(Protocol):
    """The sound of a shard's clips."""

    def read(self, row: int, before: int, first: int, n: int) -> FloatArray:
        """Samples ``first`` to ``first + n`` of the ``row``-th clip that has sound; those before it have ``before``."""


class Shards:
    """All shards of a release, each opened when it is first asked for.

    Parameters
    ----------
    files : Files
        Where the release is.
    memory_map : bool, optional
        True: convert a shard before its first use. False: read Parquet. Default (None): use what was converted
        before; convert what had to be fetched.
    """

    def __init__(self, files: Files, memory_map: bool | None) -> None:
        self.files = files
        self.memory_map = memory_map
        self._open: dict[tuple[str, str, int], Any] = {}
        self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files, "memory_map": self.memory_map, "_open": {}, "_process": 0}

    def frames(self, split: str, shard: int) -> Frames:
        """Frames of a shard."""
        found: Frames = self._get("frames", split, shard)
        return found

    def notes(self, split: str, shard: int) -> Array:
        """Notes of a shard, of all layers: an array of `NOTE`."""
        found: Array = self._get("notes", split, shard)
        return found

    def beats(self, split: str, shard: int) -> Array:
        """Beats of a shard: an array of `BEAT`."""
        found: Array = self._get("beats", split, shard)
        return found

    def sounds(self, split: str, shard: int) -> Sounds:
        """Sound of a shard; only for shards where a clip has any."""
        found: Sounds = self._get("audio", split, shard)
        return found

    def convert(self, table: str, split: str, shard: int) -> Path:
        """Make sure that a shard's table is there as mapped files; their folder.

        Raises
        ------
        UsageError
            If the cache cannot be written.
        """
        folder = self._folder(table, split, shard)
        if not folder.exists():
            try:
                with locked(folder):
                    if not folder.exists():
                        self._make(table, split, shard, folder)
            except OSError as error:
                raise UsageError(
                    f"{folder} cannot be written ({error}): give another folder as `cache`, or read Parquet with "
                    "memory_map=False"
                ) from error
        return folder

    def _make(self, table: str, split: str, shard: int, folder: Path) -> None:
        source = self.files.path(table_file(table, split, shard))
        partial = folder.with_name(f".{folder.name}.partial")
        # Of a run that was killed: the lock says that nobody is at it.
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        name = table_file(table, split, shard)
        if (
            sha256_file(source) != self.files.sums[name]
        ):  # or all releases with these sums would be read wrongly
            raise SchemaError(f"{source} is not what SHA256SUMS says: it is damaged; fetch the release again")
        try:
            with readable(source):
                _CONVERT[table](source, partial)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)  # it may be what fills the disk
            raise
        for path in (*partial.iterdir(), partial):
            sync_path(path)
        partial.replace(folder)

    def _folder(self, table: str, split: str, shard: int) -> Path:
        return self.files.kept / "mapped" / table / f"{split}-{shard:05d}"

    def _get(self, table: str, split: str, shard: int) -> Any:
        if self._process != os.getpid():  # open files and locks of the parent are none of a child's
            self._open, self._process = {}, os.getpid()
        key = (table, split, shard)
        found = self._open.get(key)
        if found is None:
            found = self._open[key] = self._opened(table, split, shard)
        return found

    def _opened(self, table: str, split: str, shard: int) -> Any:
        folder = self._folder(table, split, shard)
        if self.memory_map or (self.memory_map is None and (folder.exists() or self.files.remote)):
            return _MAPPED[table](self.convert(table, split, shard))
        source = self.files.path(table_file(table, split, shard))
        with readable(source):
            return _PARQUET[table](source)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say what to do about a file of a release that cannot be read.

    Raises
    ------
    SchemaError
        In place of what pyarrow says.
    """
    try:
        yield
    except (pa.ArrowException, KeyError, OSError) as error:
        if (
            getattr(error, "errno", None) is not None
        ):  # of the system, about whatever file; pyarrow's own have none
            raise
        said = " ".join(str(error).split())
        raise SchemaError(
            f"{path} is damaged or no file of a release ({said}): check with `sha256sum -c SHA256SUMS`, fetch it again"
        ) from error


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole Parquet file, or some of its columns."""
    with pq.ParquetFile(path, memory_map=True) as file:
        table = file.read(columns=columns, use_threads=False)
    return table.select(columns) if columns else table


class _ParquetFrames:
    """Frames from row groups of Parquet, in the caller's thread and another one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._metadata = pq.read_metadata(path, memory_map=True)
        rows = [self._metadata.row_group(group).num_rows for group in range(self._metadata.num_row_groups)]
        self._begins = np.concatenate([[0], np.cumsum(rows, dtype=np.int64)])
        self._own = threading.local()

    def copy(self, targets: Mapping[str, FloatArray], first: int) -> None:
        n = len(next(iter(targets.values())))
        if not n:
            return
        low = int(np.searchsorted(self._begins, first, "right")) - 1
        high = int(np.searchsorted(self._begins, first + n, "left"))
        middle = high if sum(PARTS[name].size for name in targets) <= _TOGETHER else (low + high + 1) // 2
        other = _threads().submit(self._copy, targets, first, n, middle, high) if middle < high else None
        try:
            self._copy(targets, first, n, low, middle)
        finally:
            if other is not None:
                other.result()

    def times(self, first: int, n: int) -> npt.NDArray[np.float64]:
        low = int(np.searchsorted(self._begins, first, "right")) - 1
        high = int(np.searchsorted(self._begins, first + n, "left"))
        with readable(self._path):
            table = self._file().read_row_groups(list(range(low, high)), columns=[_TIMES], use_threads=False)
        begin = first - int(self._begins[low])
        times: npt.NDArray[np.float64] = to_numpy(table.column(_TIMES))[begin : begin + n]
        return times

    def _copy(self, targets: Mapping[str, FloatArray], first: int, n: int, low: int, high: int) -> None:
        with readable(self._path):
            table = self._file().read_row_groups(
                list(range(low, high)), columns=list(targets), use_threads=False
            )
        for name, target in targets.items():
            begin = int(self._begins[low]) - first  # of a chunk, in the window
            for chunk in table.column(name).chunks:
                rows = to_numpy(chunk.flatten()).reshape(len(chunk), -1)
                end = min(begin + len(rows), n)
                skipped = max(-begin, 0)
                if skipped < len(rows) and begin + skipped < end:
                    target[begin + skipped : end] = rows[skipped : end - begin]
                begin += len(rows)

    def _file(self) -> pq.ParquetFile:
        file = getattr(self._own, "file", None)
        if file is None:  # one per thread: a file may not be read by two at once
            file = pq.ParquetFile(self._path, metadata=self._metadata, memory_map=True, pre_buffer=False)
            self._own.file = file
        return file


class _MappedFrames:
    """Frames from mapped arrays."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._columns: dict[str, Array] = {}

    def copy(self, targets: Mapping[str, FloatArray], first: int) -> None:
        for name, target in targets.items():
            target[...] = self._column(name)[first : first + len(target)]

    def times(self, first: int, n: int) -> npt.NDArray[np.float64]:
        return np.array(self._column(_TIMES)[first : first + n])

    def _column(self, name: str) -> Array:
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = _map(self._folder / f"{name}.npy")
        return column


class _ParquetSounds:
    """Sound from FLAC files in Parquet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._metadata = pq.read_metadata(path, memory_map=True)
        rows = [self._metadata.row_group(group).num_rows for group in range(self._metadata.num_row_groups)]
        self._begins = np.concatenate([[0], np.cumsum(rows, dtype=np.int64)])
        self._own = threading.local()

    def read(self, row: int, before: int, first: int, n: int) -> FloatArray:
        import soundfile

        group = int(np.searchsorted(self._begins, row, "right")) - 1
        with readable(self._path):
            table = self._file().read_row_group(group, columns=["flac"], use_threads=False)
        flac = table.column("flac")[row - int(self._begins[group])].as_buffer()
        try:
            sound: FloatArray
            sound, _ = soundfile.read(io.BytesIO(flac), frames=n, start=first, dtype="float32")
        except soundfile.LibsndfileError as error:
            raise SchemaError(f"{self._path}, row {row}: its sound cannot be decoded ({error})") from error
        return sound

    def _file(self) -> pq.ParquetFile:
        file = getattr(self._own, "file", None)
        if file is None:
            file = pq.ParquetFile(self._path, metadata=self._metadata, memory_map=True, pre_buffer=False)
            self._own.file = file
        return file


class _MappedSounds:
    """Sound from a mapped array."""

    def __init__(self, folder: Path) -> None:
        self._samples = _map(folder / "samples.npy")

    def read(self, row: int, before: int, first: int, n: int) -> FloatArray:
        sound = self._samples[before + first : before + first + n].astype(np.float32)
        sound *= np.float32(2.0**-15)
        return sound


def _read_notes(path: Path) -> Array:
    names = [
        "onset_s",
        "offset_s",
        "pitch",
        "velocity",
        "program",
        "instrument",
        "is_drum",
        "p_note",
        "p_instrument",
    ]
    table = read_parquet(path, [*names, *(f"in_{layer}" for layer in LAYERS)])
    rows = np.empty(len(table), NOTE)
    rows["onset"] = to_samples(to_numpy(table.column("onset_s")))
    rows["offset"] = to_samples(to_numpy(table.column("offset_s")))
    for name in ("pitch", "velocity", "program", "is_drum", "p_note", "p_instrument"):
        rows[name] = to_numpy(table.column(name))
    encoded = table.column("instrument").combine_chunks().dictionary_encode()
    played = encoded.dictionary.to_pylist()
    if odd := set(played) - set(_PLACES):
        raise SchemaError(f"{path}: {min(odd)!r} is none of the 13 instruments")
    rows["instrument"] = np.array([_PLACES[name] for name in played], np.int8)[to_numpy(encoded.indices)]
    rows["layers"] = 0
    for bit, layer in enumerate(LAYERS):
        rows["layers"] |= to_numpy(table.column(f"in_{layer}")).astype(np.uint8) << bit
    return rows


def _read_beats(path: Path) -> Array:
    columns = ["kind", "time_s", "position", "strength", "confidence"]
    table = read_parquet(path, columns)
    rows = np.empty(len(table), BEAT)
    for name in ("time_s", "strength", "confidence"):
        rows[name] = to_numpy(table.column(name))
    rows["position"] = to_numpy(pc.fill_null(table.column("position"), pa.scalar(0, pa.int8())))
    rows["musical"] = to_numpy(pc.equal(table.column("kind"), pa.scalar("musical")))
    return rows


def _convert_frames(source: Path, folder: Path) -> None:
    kinds: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
        name: (np.dtype(np.int16), (part.size,)) for name, part in PARTS.items()
    }
    kinds[_TIMES] = (np.dtype(np.float64), ())
    with ExitStack() as stack:
        file = stack.enter_context(pq.ParquetFile(source, memory_map=True))
        writers = {
            name: stack.enter_context(_npy(folder / f"{name}.npy", dtype, (file.metadata.num_rows, *shape)))
            for name, (dtype, shape) in kinds.items()
        }
        for batch in file.iter_batches(FRAMES_PER_ROW_GROUP, columns=list(kinds), use_threads=False):
            for name, writer in writers.items():
                column = batch.column(name)
                flat = column if name == _TIMES else column.flatten()
                writer.write(np.ascontiguousarray(to_numpy(flat)).data)


def _convert_notes(source: Path, folder: Path) -> None:
    _save(folder / "rows.npy", _read_notes(source))


def _convert_beats(source: Path, folder: Path) -> None:
    _save(folder / "rows.npy", _read_beats(source))


def _convert_sound(source: Path, folder: Path) -> None:
    import soundfile

    with pq.ParquetFile(source, memory_map=True) as file:
        lengths = to_numpy(file.read(columns=["n_samples"]).column("n_samples"))
        with _npy(folder / "samples.npy", np.dtype(np.int16), (int(lengths.sum()),)) as out:
            row = 0
            for batch in file.iter_batches(batch_size=8, columns=["flac"], use_threads=False):
                for flac in batch.column("flac"):
                    sound, _ = soundfile.read(io.BytesIO(flac.as_buffer()), dtype="int16")
                    if sound.shape != (lengths[row],):
                        raise SchemaError(
                            f"{source}, row {row}: sound of shape {sound.shape}, not ({lengths[row]},)"
                        )
                    out.write(sound.data)
                    row += 1


def _npy(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> BinaryIO:
    """A .npy file, its header written. Written, not mapped: on a full disk a mapping kills the process."""
    file = path.open("wb")
    described = _NPY.dtype_to_descr(dtype)
    _NPY.write_array_header_1_0(file, {"descr": described, "fortran_order": False, "shape": shape})
    return file


def _save(path: Path, rows: Array) -> None:
    np.save(path, rows)


def _load_rows(folder: Path) -> Array:
    return _map(folder / "rows.npy")


def _map(path: Path) -> Array:
    try:
        with path.open("rb") as file:
            _NPY.read_magic(file)
            shape, _, _ = _NPY.read_array_header_1_0(file)
        mapped = np.load(path, mmap_mode="r" if all(shape) else None)  # nothing cannot be mapped
    except ValueError as error:
        raise SchemaError(
            f"{path} is damaged ({error}): delete the folder {path.parent}, it is made again"
        ) from error
    return np.asarray(mapped)  # plain: slicing a np.memmap costs microseconds more


_PARQUET: Final[Mapping[str, Any]] = {
    "frames": _ParquetFrames,
    "notes": _read_notes,
    "beats": _read_beats,
    "audio": _ParquetSounds,
}
_MAPPED: Final[Mapping[str, Any]] = {
    "frames": _MappedFrames,
    "notes": _load_rows,
    "beats": _load_rows,
    "audio": _MappedSounds,
}
_CONVERT: Final[Mapping[str, Any]] = {
    "frames": _convert_frames,
    "notes": _convert_notes,
    "beats": _convert_beats,
    "audio": _convert_sound,
}

_pool: tuple[int, ThreadPoolExecutor] | None = None


def _threads() -> ThreadPoolExecutor:
    """The thread that helps reading, one per process; a child of fork needs its own."""
    global _pool
    if _pool is None or _pool[0] != os.getpid():
        _pool = (os.getpid(), ThreadPoolExecutor(1, "d2midi-read"))
    return _pool[1]
