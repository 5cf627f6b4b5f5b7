"""Where things lie in a workspace, and how they get there whole or not at all.

    WORKSPACE/
      recipe.toml, sources.json      what the last build was asked for
      models.json                    digests of the weights that the user brought
      ledger/                        what is done: ledger.jsonl, the lock, worker logs
      overlays/                      what people decided: screening.jsonl, corrections.jsonl, removed.jsonl, ...
      annotation/                    what people are asked: served/media/ that tasks show, sent/ to read answers with
      store/<stage>/<item>/<key>/    what a stage made: written elsewhere, moved here, named by the ledger
      partial/                       downloads that can be resumed
      tmp/                           items in flight; emptied when a build starts
      manifests/*.parquet            tables made from the ledger
      videos/, clips/, stems/, frames/, midi/   the same files under names for people (hard links into store/)

Everything below ``manifests/`` and the last line can be deleted and comes back with the next build.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from d2midi_build.errors import WorkspaceError, WorkspaceLocked

_KEY_CHARS = 16
VIEWS = ("videos", "clips", "stems", "frames", "midi")
"""Folders whose files are hard links into the store."""


class Workspace:
    """A folder that holds one dataset in the making.

    Parameters
    ----------
    root : Path
        The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.recipe_path = root / "recipe.toml"
        self.sources_path = root / "sources.json"
        self.models_path = root / "models.json"
        self.ledger_path = root / "ledger" / "ledger.jsonl"
        self.logs = root / "ledger" / "logs"
        self.repeats_path = root / "ledger" / "repeats.json"
        self.verdicts_path = root / "overlays" / "screening.jsonl"
        self.removed_path = root / "overlays" / "removed.jsonl"
        self.splits_path = root / "overlays" / "splits.json"
        self.manifests = root / "manifests"
        self.annotation = root / "annotation"
        self.media = self.annotation / "served" / "media"
        self._lock_path = root / "ledger" / "lock"

    @classmethod
    def create(cls, root: Path) -> Workspace:
        """Open a workspace to build in, making the folder if need be.

        Raises
        ------
        WorkspaceError
            If the folder cannot be made or written, or holds other things.
        """
        workspace = cls(root)
        if root.is_dir() and any(root.iterdir()) and not (root / "ledger").is_dir():
            raise WorkspaceError(f"{root} is not empty and not a workspace: choose another folder with -w")
        try:
            for folder in ("ledger/logs", "store", "partial", "tmp", "manifests"):
                (root / folder).mkdir(parents=True, exist_ok=True)
            probe = root / "tmp" / f".write-{uuid.uuid4().hex}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise WorkspaceError(
                f"cannot write to the workspace {root}: {error.strerror}. "
                "Mend the rights or choose another folder with -w."
            ) from error
        return workspace

    @classmethod
    def open(cls, root: Path) -> Workspace:
        """Open an existing workspace to read.

        Raises
        ------
        WorkspaceError
            If there is none.
        """
        if not (root / "ledger").is_dir():
            raise WorkspaceError(f"{root} is no workspace: `d2midi build` makes one, -w names another")
        return cls(root)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the workspace for writing; the operating system lets go when the process ends, however it ends.

        Raises
        ------
        WorkspaceLocked
            If another process holds it; names it.
        """
        try:
            handle = self._lock_path.open("a+")
        except OSError as error:
            raise WorkspaceError(f"cannot write to the workspace {self.root}: {error.strerror}") from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                handle.seek(0)
                holder = handle.read().strip() or "another process"
                raise WorkspaceLocked(
                    f"{self.root} is in use by {holder}: wait for it, or choose another workspace with -w"
                ) from None
            handle.seek(0)
            handle.truncate()
            handle.write(f"process {os.getpid()} on {socket.gethostname()}")
            handle.flush()
            yield

    def artefact(self, stage: str, item: str, key: str) -> Path:
        """Folder of what a stage made from an item under a key."""
        return Path(self.root, "store", stage, item, key[:_KEY_CHARS])

    def holds(self, stage: str, item: str, key: str, files: Iterable[str]) -> bool:
        """Whether everything a record names is still there."""
        wanted = set(files)
        try:
            with os.scandir(self.artefact(stage, item, key)) as found:
                return wanted <= {entry.name for entry in found}
        except FileNotFoundError:
            return not wanted

    def partial(self, item: str) -> Path:
        """Folder for downloads of an item that survive a kill."""
        return self.root / "partial" / item

    def new_tmp(self) -> Path:
        """A fresh private folder for one attempt at one item."""
        folder = self.root / "tmp" / uuid.uuid4().hex
        folder.mkdir(parents=True)
        return folder

    def clear_tmp(self) -> None:
        """Remove what earlier runs left in flight; call it only while holding the lock."""
        shutil.rmtree(self.root / "tmp", ignore_errors=True)
        (self.root / "tmp").mkdir(parents=True, exist_ok=True)

    def commit(self, tmp: Path, stage: str, item: str, key: str) -> None:
        """Move a finished attempt to its place. Call before the ledger names it, never after.

        What lies there already is from a run that was killed between this and the ledger; it goes.
        """
        place = self.artefact(stage, item, key)
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            place.rename(self.root / "tmp" / uuid.uuid4().hex)
        tmp.rename(place)
        sync_path(place.parent)

    def publish(self, wanted: Mapping[str, Path]) -> None:
        """Make the view folders hold exactly ``wanted``: path below the root to file in the store."""
        for view in VIEWS:
            for path in sorted((self.root / view).rglob("*"), reverse=True):
                relative = str(path.relative_to(self.root))
                if path.is_dir() and not path.is_symlink():
                    with suppress(OSError):
                        path.rmdir()
                elif relative not in wanted:
                    path.unlink()
        made: set[Path] = set()
        for relative, target in wanted.items():
            path = self.root / relative
            if path.parent not in made:
                path.parent.mkdir(parents=True, exist_ok=True)
                made.add(path.parent)
            _link(target, path)

    def free_gb(self) -> float:
        """Free disk in gigabytes where the workspace lies."""
        return shutil.disk_usage(self.root).free / 1e9


def disk_is_full(error: OSError) -> bool:
    """Whether an error says that the disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def link_or_copy(source: Path, target: Path) -> None:
    """Hard-link a file, or copy it where the file system cannot link."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _link(target: Path, path: Path) -> None:
    with suppress(FileNotFoundError):
        if path.samefile(target) or _same_copy(path, target):
            return
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    link_or_copy(target, partial)
    partial.replace(path)


def _same_copy(path: Path, target: Path) -> bool:
    """Whether ``path`` is a copy made where hard links are not possible."""
    here, there = path.stat(), target.stat()
    return (here.st_size, here.st_mtime_ns) == (there.st_size, there.st_mtime_ns)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that its name never holds half of it; its folder is made if need be.

    Raises
    ------
    WorkspaceError
        If it cannot be written.
    """
    partial = path.with_name(f".{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):  # on a full disk it would take what is left
            partial.unlink()
        raise WorkspaceError(f"{path} cannot be written: {error.strerror or error}") from error


def sync_path(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
