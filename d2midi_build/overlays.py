"""Files in which a workspace keeps what people decided: lines of JSON, appended, never made again from anything."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from d2midi_build.errors import WorkspaceError

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


def ignored(told: str) -> None:
    """What becomes of a damaged line that can be done without: a warning."""
    _log.warning("%s: the line is ignored", told)


def read(
    path: Path, decoded: Callable[[dict[str, Any]], _T], damaged: Callable[[str], None] = ignored
) -> Iterator[_T]:
    """What a file holds, in order; nothing if it is not there.

    Parameters
    ----------
    path : Path
    decoded : callable
        Makes of a line what it says. A line at which it raises ``ValueError`` or ``TypeError`` is damaged.
    damaged : callable, optional
        Is told of a damaged line, in words; it may raise.

    Raises
    ------
    WorkspaceError
        If the file cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise WorkspaceError(f"cannot read {path}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield decoded(json.loads(line))
        except (ValueError, TypeError) as error:
            damaged(f"{path} line {number} is damaged ({error})")


def append(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add lines, all or none; on return they are on disk. Two people may do so at once.

    Raises
    ------
    WorkspaceError
        If the file cannot be written.
    """
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b", buffering=0) as handle:  # or closing it would write what is taken back here
            fcntl.flock(handle, fcntl.LOCK_EX)
            size = handle.seek(0, os.SEEK_END)
            if size:
                handle.seek(size - 1)
                torn = handle.read(1) != b"\n"  # a power cut may have left half a line
                lines = "\n" + lines if torn else lines
            try:
                left = memoryview(lines.encode())
                while left:
                    left = left[handle.write(left) :]
                os.fsync(handle.fileno())
            except OSError:
                os.ftruncate(handle.fileno(), size)
                raise
    except OSError as error:
        raise WorkspaceError(f"cannot write {path}: {error.strerror}") from error
