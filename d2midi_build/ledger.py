"""What is done: an append-only file with one writer.

A record says how one stage ended for one item under one key. It is written after what it names is in
place, so that whatever the ledger names exists. A torn last line (a kill or a power cut while writing)
is dropped when the file is next opened for writing, and ignored by readers.

Records of earlier keys stay valid: going back to an earlier recipe finds them again. ``compact`` leaves
only those it is told to keep.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from d2midi_build.errors import WorkspaceError

Status = Literal["done", "failed", "void"]
"""``void``: what an earlier record of the same key names is about to be replaced."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """How a stage ended for an item.

    ``files`` maps each file's name in the artefact folder to its SHA-256. ``facts`` is what later stages
    and the manifests need to know. ``made_by`` holds versions of tools and digests of models.
    ``at`` (UTC) and the seconds are for people; they never reach an artefact or a manifest.
    """

    stage: str
    item: str
    key: str
    status: Status
    reason: str = ""
    message: str = ""
    tool_message: str = ""
    traceback: str = ""
    files: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    made_by: dict[str, str] = field(default_factory=dict)
    cpu_s: float = 0.0
    wall_s: float = 0.0
    at: str = ""

    def used(self, tool: str) -> bool:
        """Whether a tool or transcriber of that name, in whatever version, made it."""
        return any(name.partition(" ")[0] == tool for name in self.made_by)


class Ledger:
    """The records of a workspace.

    Parameters
    ----------
    path : Path
        The file; it need not exist.
    writable : bool
        Open for appending. The caller holds the workspace's lock.
    """

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self.path = path
        self._records: dict[tuple[str, str, str], Record] = {}
        self._torn_at: int | None = None
        self._handle: FileIO | None = None
        self._read()
        if writable:
            try:
                self._handle = path.open("ab", buffering=0)
                if self._torn_at is not None:
                    self._handle.truncate(self._torn_at)
            except OSError as error:
                raise WorkspaceError(f"cannot write the ledger {path}: {error.strerror}") from error

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        """All records, oldest first; of several for one stage, item and key the newest."""
        return iter(self._records.values())

    def find(self, stage: str, item: str, key: str) -> Record | None:
        """The newest record of a stage for an item under a key."""
        return self._records.get((stage, item, key))

    def append(self, record: Record) -> None:
        """Add a record; on return it is on disk.

        Raises
        ------
        WorkspaceError
            If it cannot be written (disk full); what was recorded before stays.
        """
        if self._handle is None:
            raise WorkspaceError(f"the ledger {self.path} is open for reading only")
        line = _encode(record)
        try:
            while line:  # unbuffered, so that a failed write leaves nothing to be written later
                line = line[self._handle.write(line) :]
            os.fsync(self._handle.fileno())
        except OSError as error:
            self.close()  # a half-written line must not be followed by another
            raise WorkspaceError(
                f"cannot write the ledger {self.path}: {error.strerror}. Nothing recorded is lost; "
                "free some disk and run the same command again."
            ) from error
        self._remember(record)

    def compact(self, keep: Iterable[Record]) -> None:
        """Replace the file by one that holds only ``keep``, whole or not at all."""
        kept = list(keep)
        partial = self.path.with_suffix(".new")
        with partial.open("wb") as handle:
            handle.writelines(_encode(record) for record in kept)
            handle.flush()
            os.fsync(handle.fileno())
        self.close()
        partial.replace(self.path)
        self._records.clear()
        for record in kept:
            self._remember(record)
        self._handle = self.path.open("ab", buffering=0)

    def close(self) -> None:
        """Stop writing."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def _remember(self, record: Record) -> None:
        place = (record.stage, record.item, record.key)
        self._records.pop(place, None)  # the newest comes last
        self._records[place] = record

    def _read(self) -> None:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise WorkspaceError(f"cannot read the ledger {self.path}: {error.strerror}") from error
        position = 0
        for number, line in enumerate(data.splitlines(keepends=True), 1):
            if not line.endswith(b"\n"):
                self._torn_at = position
                break
            try:
                self._remember(Record(**json.loads(line)))
            except (ValueError, TypeError) as error:
                # A disk fault in the middle costs the items of that line, which simply run again.
                _log.warning("%s line %d is damaged and ignored: %s", self.path, number, error)
            position += len(line)


def _encode(record: Record) -> bytes:
    text = json.dumps(asdict(record), ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace") + b"\n"
