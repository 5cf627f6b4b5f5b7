"""``d2midi annotate carry``: corrections carried over to other clips of the same recording."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from d2midi_build.cli.annotate.options import now
from d2midi_build.cli.options import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from d2midi_build.annotate.corrections import Correction


def carry(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be carried over, keep nothing.")
    ] = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Carry corrections over to the other clips that have the same recording, as far as the sound is the same.

    What was heard or pleases comes along, what fits the dance stays behind. Sheets that people corrected themselves are
    left alone. What was carried over is flagged, by `d2midi annotate status`, too, and taken back by this command when
    what it came from is withdrawn. Run it after `d2midi build` has compared the sound of clips, and again when there
    are new corrections.

    Example: `d2midi annotate carry --dry-run`, then `d2midi annotate carry`
    """
    from d2midi_build.annotate.carrying import carry_over
    from d2midi_build.annotate.clips import lengths
    from d2midi_build.annotate.corrections import Corrections, append, news, path_in
    from d2midi_build.workspace import Workspace

    opened = Workspace.open(workspace)
    with opened.lock():
        path = path_in(opened)
        known = Corrections.read(path)
        found = news(known, carry_over(opened, known, now()))
        if not dry_run:
            found = append(path, found)
        frames = lengths(opened)
    told = {
        "kept": 0 if dry_run else len(found),
        "carried": [_data(each, frames) for each in found if not each.withdrawn],
        "taken_back": [{"sheet": each.sheet_id, "by": each.by} for each in found if each.withdrawn],
    }
    if as_json:
        typer.echo(json.dumps(told))
    else:
        _print(told, dry_run=dry_run)


def _data(correction: Correction, frames: dict[str, int]) -> dict[str, Any]:
    from d2midi_build.annotate.edits import counts, edits
    from d2midi_build.annotate.sheets import clip_of_sheet
    from d2midi_build.annotate.summary import edits_data, suspicion_data, suspicious

    slips = suspicious(correction, frames[clip_of_sheet(correction.sheet_id)[0]])
    return {
        "sheet": correction.sheet_id,
        "from": correction.carried_from.split(","),
        "by": correction.by,
        "edits": edits_data(counts(edits(correction.layered))),
        "suspicions": [suspicion_data(correction.sheet_id, each) for each in slips],
    }


def _print(told: dict[str, Any], *, dry_run: bool) -> None:
    for each in told["carried"]:
        edits = ", ".join(
            f"{count} {kind} ({reason})" for kind, by in each["edits"].items() for reason, count in by.items()
        )
        typer.echo(
            f"{each['sheet']} from {', '.join(each['from'])} by {each['by']}: {edits or 'as the machine heard it'}"
        )
        for slip in each["suspicions"]:
            typer.echo(f"  a slip? {slip['message']}")
    for each in told["taken_back"]:
        typer.echo(
            f"{each['sheet']}: what was carried over is taken back, since there is nothing any more that it comes from"
        )
    if not told["carried"] and not told["taken_back"]:
        typer.echo("Nothing to carry over that is not there already.")
    elif dry_run:
        typer.echo("Nothing was kept (--dry-run).")
