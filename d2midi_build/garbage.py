"""Free what no record names."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from d2midi_build import manifests
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
    else the newest record of an item and stage stays. With ``unlisted`` only the first remains.

    Raises
    ------
    WorkspaceLocked
        If a build is running.
    """
    with workspace.lock(), Ledger(workspace.ledger_path, writable=True) as ledger:
        sources, recipe = manifests.remembered(workspace)
        flow = Flow(workspace, recipe)
        nodes = [
            flow.source(source, lambda job: ledger.find(job.stage, job.item, job.key)) for source in sources
        ]
        kept = {_place(record): record for record in manifests.records(nodes)}
        if not unlisted:
            served = {(record.stage, record.item) for record in kept.values()}
            newest = {(record.stage, record.item): record for record in ledger}
            kept |= {_place(record): record for where, record in newest.items() if where not in served}
        dropped = [record for record in ledger if _place(record) not in kept]
        named = {workspace.artefact(*_place(record)) for record in kept.values() if record.files}
        doomed = [folder for folder in _artefacts(workspace) if folder not in named]
        unfinished = {
            record.item for record in kept.values() if record.stage == "crawl" and record.status == "failed"
        }
        doomed += [
            folder for folder in (workspace.root / "partial").iterdir() if folder.name not in unfinished
        ]
        freed = Freed(len(doomed), sum(_size(folder) for folder in doomed), len(dropped))
        if not dry_run:
            # The ledger first: a kill in between leaves folders without a name, never names without a folder.
            ledger.compact(record for record in ledger if _place(record) in kept)
            for folder in doomed:
                shutil.rmtree(folder)
            workspace.clear_tmp()
            workspace.publish(manifests.views(workspace, nodes))
    return freed


def _place(record: Record) -> tuple[str, str, str]:
    return record.stage, record.item, record.key


def _artefacts(workspace: Workspace) -> list[Path]:
    return sorted(path for path in (workspace.root / "store").glob("*/*/*") if path.is_dir())


def _size(folder: Path) -> int:
    return sum(
        path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.stat().st_nlink <= 2
    )
