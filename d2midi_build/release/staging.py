"""Where a release is made, and how it gets to its place: whole or not at all.

.<name>.building/           beside the release; a lock, the plan, and what is done
  plan.json                 digest of everything the release depends on
  shards/<split>-<shard>/   shards that are done; kept when a build is killed, used by the next
  work/                     shards in the making
  release/                  the release, put together and checked here
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from d2midi_build.errors import UsageError
from d2midi_build.release import format as layout
from d2midi_build.workspace import sync_folder


def staging_of(out: Path) -> Path:
    return out.parent / f".{out.name}.building"


def existing(out: Path, digest: str, version: str) -> dict[str, Any] | None:
    """The manifest of the release that is there already; None if nothing is there."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    try:
        manifest: dict[str, Any] = json.loads((out / layout.MANIFEST).read_text(encoding="utf-8"))
        same = manifest["made_by"]["inputs"] == digest
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{out} exists and is no release: choose another --out") from None
    if not same:
        raise UsageError(
            f"{out} holds release {manifest['version']} with other contents, and a release is never changed: "
            f"choose another --out for {version}"
        )
    return manifest


@contextmanager
def staged(out: Path, digest: str) -> Iterator[Path]:
    """Hold the folder in which the release is made; it is removed once the release is in its place."""
    staging = staging_of(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir(exist_ok=True)
        handle = (staging / "lock").open("a+")
    except OSError as error:
        raise UsageError(f"cannot write to {out.parent}: {error.strerror}. Choose another --out") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"another process is building {out}: wait for it, or choose another --out"
            ) from None
        plan = staging / "plan.json"
        if not plan.exists() or plan.read_text(encoding="utf-8") != digest:
            for path in staging.iterdir():
                if path.name != "lock":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            (staging / "shards").mkdir()
            plan.write_text(digest, encoding="utf-8")
        shutil.rmtree(staging / "work", ignore_errors=True)
        (staging / "shards").mkdir(exist_ok=True)
        yield staging
        shutil.rmtree(staging)


def sync(folder: Path) -> None:
    """Have everything below a folder on the disk before its name says that it is complete."""
    for path in folder.rglob("*"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    sync_folder(folder)
