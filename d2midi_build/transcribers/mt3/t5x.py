"""T5X checkpoints: what is in a folder, without T5X, JAX or a network.

A folder holds a msgpack file ``checkpoint``: nested maps whose leaves are arrays (flax's extension types) or
TensorStore specifications of zarr arrays in folders beside it, ``target.<name with dots>``. Format versions 2 and 3
keep the parameters under ``optimizer/target``, a plain Flax state under ``target``. Adafactor's ``state`` is never
looked at. Read off ``checkpoints.py`` of google-research/t5x cc342d4 and ``serialization.py`` of google/flax.

TensorStore aborts in a process that was forked from one that used it; d2midi spawns its own.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgpack
import numpy as np
import numpy.typing as npt
import tensorstore

from d2midi_build.errors import UsageError

FILE_NAME: Final = "checkpoint"
AGAIN: Final = "download the folder again, `gsutil -m cp -r gs://mt3/checkpoints/mt3 .` (or ismir2021)"

_STRANGERS: Final = (
    ((b"version https://git-lfs",), "a git-lfs pointer, not what it points to: run `git lfs pull`"),
    ((b"<!doctype", b"<html"), "a web page, not what the page offers for download"),
    ((b"<?xml",), "a message of a server, not what was to be downloaded"),
    ((b"model_checkpoint_path",), "part of a TensorFlow checkpoint"),
    ((b"pk\x03\x04",), "a zip archive, as PyTorch's checkpoints are: unpack it if a T5X folder is in it"),
    (
        (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
        "a Python pickle, as PyTorch's older checkpoints are",
    ),
    ((b"\x1f\x8b",), "a gzip archive: unpack it"),
)
"""First bytes, in lower case, of files people take for a checkpoint."""

READ_ARE: Final = (
    "Only T5X folders are read (`gsutil -m cp -r gs://mt3/checkpoints/mt3 .` downloads one) and d2midi's own "
    "safetensors; ports of MT3 to PyTorch are not."
)

_NDARRAY, _NUMPY_SCALAR = 1, 3  # flax's msgpack extension types
_CHUNKED: Final = "__msgpack_chunked_array__"  # flax splits arrays of more than 1 GiB


@dataclass(frozen=True)
class Stored:
    """An array of a checkpoint that may not have been read yet.

    Attributes
    ----------
    shape : tuple of int
    dtype : str
        NumPy's name, or ``"bfloat16"``.
    read : callable
        Its values, of that shape and dtype.
    """

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], npt.NDArray[Any]]


def open_arrays(folder: Path) -> dict[str, Stored]:
    """The parameters of a checkpoint by name (``"decoder/decoder_norm/scale"``); no values are read yet.

    Parameters
    ----------
    folder : Path
        Holds the file ``checkpoint``. Where the arrays were when it was written does not matter (another machine,
        a bucket): they are looked for in this folder.

    Raises
    ------
    UsageError
        If the file is no T5X checkpoint, or an array is missing or cannot be opened; `Stored.read` raises it if an
        array is damaged.
    OSError
        If something may not be read.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        below = [
            p.parent for depth in ("*", "*/*") for p in folder.glob(f"{depth}/{FILE_NAME}") if p.is_file()
        ]
        advice = f"give {' or '.join(map(str, sorted(below)[:3]))}" if below else READ_ARE
        raise UsageError(f"{folder} is no T5X checkpoint, for it holds no file `{FILE_NAME}`: {advice}")
    refuse_strangers(path)
    return {name: _opened(folder, name, leaf) for name, leaf in _leaves(_target(path), "")}


def refuse_strangers(path: Path) -> None:
    """Raise `UsageError` if a file begins as something else that people take for a checkpoint."""
    with path.open("rb") as handle:
        head = handle.read(64).lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    for beginnings, what in _STRANGERS:
        if head.startswith(beginnings):
            raise UsageError(f"{path} is {what}. {READ_ARE}")


def _target(path: Path) -> dict[str, Any]:
    """The tree of parameters."""
    data = path.read_bytes()
    try:
        root = msgpack.unpackb(data)
    except (ValueError, TypeError, OverflowError) as error:
        raise UsageError(
            f"{path} ({len(data):,} bytes) is no msgpack file, or not all of it ({error}): {AGAIN}"
        ) from error
    state = root.get("optimizer", root) if isinstance(root, dict) else None
    target = state.get("target") if isinstance(state, dict) else None
    if not isinstance(target, dict):
        found = ", ".join(map(str, root)) if isinstance(root, dict) else type(root).__name__
        raise UsageError(
            f"{path} is a msgpack file but no T5X checkpoint: expected parameters in optimizer/target or target, "
            f"found {found[:200] or 'nothing'}. {READ_ARE}"
        )
    return target


def _leaves(tree: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and not value.keys() & {"kvstore", _CHUNKED}:
            yield from _leaves(value, f"{name}/")
        else:
            yield name, value


def _opened(folder: Path, name: str, leaf: Any) -> Stored:
    if isinstance(leaf, dict) and _CHUNKED not in leaf:
        return _zarr(folder, name, leaf)
    try:
        array = _embedded(leaf)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{folder / FILE_NAME}: {name} cannot be decoded ({error}): {AGAIN}") from error
    return Stored(array.shape, array.dtype.name, lambda: array)


def _embedded(leaf: Any) -> npt.NDArray[Any]:
    """An array that is in the msgpack file itself."""
    array: npt.NDArray[Any]
    if isinstance(leaf, dict):
        shape = [leaf["shape"][str(i)] for i in range(len(leaf["shape"]))]
        pieces = [_embedded(leaf["chunks"][str(i)]) for i in range(len(leaf["chunks"]))]
        array = np.concatenate(pieces).reshape(shape)
        return array
    if not isinstance(leaf, msgpack.ExtType) or leaf.code not in (_NDARRAY, _NUMPY_SCALAR):
        raise ValueError(f"expected an array or where it lies, found {str(leaf)[:80]!r}")
    shape, dtype, data = msgpack.unpackb(leaf.data)
    # TensorStore knows bfloat16, NumPy does not; the copy can be written to, as PyTorch wants arrays to be
    array = np.frombuffer(data, tensorstore.dtype(dtype).numpy_dtype).reshape(shape).copy()
    return array


def _zarr(folder: Path, name: str, specification: dict[str, Any]) -> Stored:
    """An array in a zarr folder beside the file."""
    driver, kvstore = specification.get("driver"), specification["kvstore"]
    # beside kvstore in TensorStore before 0.1.14; a URL in its place is possible as well
    where = specification.get("path") or (kvstore.get("path") if isinstance(kvstore, dict) else kvstore)
    last = PurePosixPath(where).name if isinstance(where, str) else ""
    if driver != "zarr" or not last:
        raise UsageError(
            f"{folder / FILE_NAME}: {name} is stored as {driver!r} at {where!r}; expected a zarr folder: {AGAIN}"
        )
    place = folder / last
    if "\\" in str(place.absolute()) or not str(place.absolute()).isprintable():
        raise UsageError(
            f"{str(place)!r} has a backslash or unprintable letters in its path, which TensorStore cannot open: move "
            "the checkpoint"
        )
    if not place.is_dir():
        raise UsageError(f"{folder} is not complete: {last}, the folder of {name}, is missing: {AGAIN}")
    wanted = {
        "driver": "zarr",
        "kvstore": {"driver": "file", "path": f"{place.absolute()}/"},
        "fill_missing_data_reads": False,  # a chunk that is not there is an error, not zeros
    }
    try:
        store = tensorstore.open(wanted, open=True, read=True).result()
    except ValueError as error:
        raise _damaged(name, place, error) from error

    def read() -> npt.NDArray[Any]:
        try:
            values: npt.NDArray[Any] = store.read().result()
        except ValueError as error:
            raise _damaged(name, place, error) from error
        return values

    return Stored(tuple(store.shape), store.dtype.name, read)


def _damaged(name: str, place: Path, error: ValueError) -> Exception:
    if str(error).startswith("PERMISSION_DENIED"):
        return PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
    what = str(error).split(" [")[0]  # then come source lines and specifications
    return UsageError(f"{place}: {name} cannot be read ({what}): {AGAIN}")
