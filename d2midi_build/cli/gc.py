"""``d2midi gc``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from d2midi_build.cli.options import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption


def gc(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")] = False,
    unlisted: Annotated[
        bool, typer.Option("--unlisted", help="Also remove what belongs to no source of the last build.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Free the disk of what nothing names any more.

    Goes: what earlier recipes made and the newest records replace, leftovers of killed runs, and partial downloads of
    finished items. Going back to an earlier recipe then means computing again.
    """
    from d2midi_build.garbage import collect
    from d2midi_build.workspace import Workspace

    freed = collect(Workspace.open(workspace), unlisted=unlisted, dry_run=dry_run)
    if as_json:
        typer.echo(
            json.dumps(
                {"folders": freed.folders, "bytes": freed.bytes, "records": freed.records, "dry_run": dry_run}
            )
        )
    else:
        verb = "would free" if dry_run else "freed"
        typer.echo(
            f"{verb} {freed.bytes / 1e6:.1f} MB in {freed.folders} folders, dropped {freed.records} records"
        )
