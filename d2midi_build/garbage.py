"""Free what no record names."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from d2midi_build import manifests
from d2midi_build.engine.base import Job
from d2midi_build.flow import Flow
from d2midi_build.ledger import Ledger, Record
from d2midi_build.workspace import Workspace


@dataclass(frozen=True)
class Freed:
    """What was removed, or would be: folders of the store and their size, and ledger records."""

    folders: int
    bytes: int
    records: int


def collect(workspace: Workspace, *, unlisted: bool = False, dry_run: bool = False) -> Freed:
    """Remove what nothing names.

    What the last build's recipe and sources need stays, also where an older record serves it; of everything
    else the newest record of an item and stage stays. With ``unlisted`` only the first remains. A partial
    download goes when its item has ended for good.

    Raises
    ------
    WorkspaceLocked
        If a build is running.
    """
    with workspace.lock(), Ledger(workspace.ledger_path, writable=not dry_run) as ledger:
        sources, recipe = manifests.remembered(workspace)
        flow = Flow(workspace, recipe)
        newest = {(record.stage, record.item): record for record in ledger}

        def found(job: Job) -> Record | None:
            record = ledger.find(job.stage, job.item, job.key)
            if record is None and job.inputs.get("kind") == "file":
                # A local file that was moved, touched or lies on a drive that is away: what it gave stays.
                return newest.get((job.stage, job.item))
            return record

        nodes = [flow.source(source, found) for source in sources]
        kept = {_place(record): record for record in manifests.records(nodes)}
        if not unlisted:
            served = {(record.stage, record.item) for record in kept.values()}
            kept |= {_place(record): record for where, record in newest.items() if where not in served}
        dropped = [record for record in ledger if _place(record) not in kept]
        named = {workspace.artefact(*_place(record)) for record in kept.values() if record.files}
        doomed = [folder for folder in sorted(workspace.root.glob("store/*/*/*")) if folder not in named]
        ended = {
            record.item
            for record in kept.values()
            if record.stage == "crawl" and record.reason in ("", "permanent", "policy")
        }
        listed = {entry.entry.item for node in nodes for entry in node.entries}
        doomed += [
            folder
            for folder in sorted(workspace.root.glob("partial/*"))
            if folder.name in ended or (unlisted and folder.name not in listed)
        ]
        doomed += sorted(workspace.root.glob("tmp/*"))
        freed = Freed(len(doomed), sum(_size(folder) for folder in doomed), len(dropped))
        if not dry_run:
            # The ledger first: a kill in between leaves folders without a name, never names without a folder.
            ledger.compact(record for record in ledger if _place(record) in kept)
            for folder in doomed:
                shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
            for item in workspace.root.glob("store/*/*"):
                with suppress(OSError):  # it is not empty
                    item.rmdir()
            workspace.clear_tmp()
            workspace.publish(manifests.views(workspace, nodes))
    return freed


def _place(record: Record) -> tuple[str, str, str]:
    return record.stage, record.item, record.key


def _size(path: Path) -> int:
    """Bytes that come free; a file with more names than the store's and the view's stays under the others."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file() and file.stat().st_nlink <= 2)
