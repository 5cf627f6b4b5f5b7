"""Where a release is made, and how it gets to its place: whole or not at all.

.<name>.building/            beside the release
  lock                       one build at a time
  shards/<shard>-<digest>/   shards that are done; kept when a build is stopped, used by the next
  work/, release/            what is in the making: shards, and the release, put together and checked there
  gone/                      what is being deleted
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from d2midi_build.errors import UsageError
from d2midi_build.release import format as layout
from d2midi_build.workspace import sync_path


def place(out: Path) -> Path:
    """The whole path of a release's folder.

    Raises
    ------
    UsageError
        If a finished folder could not be moved there.
    """
    whole = Path(os.path.realpath(out))
    if not whole.name or whole.is_mount() or whole == Path.cwd():
        raise UsageError(
            f"--out {out} must be a folder of its own that does not exist yet, not a root, a mount point or the folder "
            f"you are in: name one inside it, such as {out / '1.0.0'}"
        )
    return whole


def existing(out: Path, digest: str, version: str) -> dict[str, Any] | None:
    """The manifest of the release that is there already; None if nothing is there.

    Raises
    ------
    UsageError
        If something else is there, or files of it are missing or have another size.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    try:
        manifest: dict[str, Any] = json.loads((out / layout.MANIFEST).read_text(encoding="utf-8"))
        same = manifest["made_by"]["inputs"] == digest
        sizes = {file: told["bytes"] for file, told in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{out} exists and is no release: choose another --out") from None
    if not same:
        raise UsageError(
            f"{out} holds release {manifest['version']} made of other contents or as another version, and a "
            f"release is never changed: choose another --out for {version}"
        )
    for file, size in sizes.items():
        if not (out / file).is_file() or (out / file).stat().st_size != size:
            raise UsageError(
                f"{out} is this release, but its {file} is missing or damaged: delete the folder and build again"
            )
    return manifest


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Hold the folder in which the release is made; only finished shards are in it at first.

    Raises
    ------
    UsageError
        If it cannot be written, or another process holds it.
    """
    staging = out.parent / f".{out.name}.building"
    with _locked(staging, out):
        _delete(staging, [staging / "work", staging / "release"])
        for name in ("shards", "work"):
            (staging / name).mkdir(exist_ok=True)
        yield staging


def keep_shards(staging: Path, wanted: Iterable[str]) -> set[str]:
    """Which of the wanted shards are there; others are deleted."""
    names = set(wanted)
    there = {path.name: path for path in (staging / "shards").iterdir()}
    _delete(staging, [path for name, path in there.items() if name not in names])
    return names & there.keys()


def put_in_place(staging: Path, out: Path) -> None:
    """Move the finished release to its place, and delete what was beside it."""
    sync(staging / "release")
    (staging / "release").rename(out)
    sync_path(out.parent)
    _delete(staging, [staging / "shards"])
    # Not on a network file system that keeps an open lock: then an empty folder stays.
    shutil.rmtree(staging, ignore_errors=True)


def sync(folder: Path) -> None:
    """Have everything below a folder on the disk before its name says that it is complete."""
    for path in (*folder.rglob("*"), folder):
        sync_path(path)


def _delete(staging: Path, paths: Iterable[Path]) -> None:
    """Delete folders so that none is ever half there under its own name."""
    gone = staging / "gone"
    shutil.rmtree(gone, ignore_errors=True)
    for path in paths:
        if path.exists():
            gone.mkdir(exist_ok=True)
            path.rename(gone / path.name)
    shutil.rmtree(gone, ignore_errors=True)


@contextmanager
def _locked(staging: Path, out: Path) -> Iterator[IO[str]]:
    while True:
        try:
            staging.mkdir(parents=True, exist_ok=True)
            handle = (staging / "lock").open("a+")
        except OSError as error:
            raise UsageError(
                f"cannot write to {out.parent}: {error.strerror}. Choose another --out"
            ) from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UsageError(
                    f"another process is building {out}: wait for it, or choose another --out"
                ) from None
            if _is_at(handle, staging / "lock"):  # or the build that held it has just deleted it
                yield handle
                return


def _is_at(handle: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False
