"""``d2midi annotate status``, ``settle`` and ``withdraw``: what counts of the corrections that were made."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from d2midi_build.cli.annotate.options import ByOption, now
from d2midi_build.cli.options import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption, login_name

if TYPE_CHECKING:
    from d2midi_build.annotate.corrections import Correction


def status(workspace: WorkspaceOption = DEFAULT_WORKSPACE, as_json: JsonOption = False) -> None:
    """Show how far correction has come: sheets corrected, in conflict, out of date; edits by kind and reason.

    Example: `d2midi annotate status`
    """
    from d2midi_build.annotate.summary import edits_data, summary
    from d2midi_build.workspace import Workspace

    found = summary(Workspace.open(workspace))
    if as_json:
        typer.echo(json.dumps(found.data()))
        return
    typer.echo(f"{len(found.corrected)} of {found.n_sheets} sheets corrected")
    for who, count in sorted(found.people.items()):
        typer.echo(f"  {who}: {count}")
    for kind, by_reason in edits_data(found.edits).items():
        typer.echo(f"{kind}: {', '.join(f'{count} {reason}' for reason, count in by_reason.items())}")
    for conflict in found.conflicts:
        typer.echo(f"conflict: {conflict}")
    for sheet, who in found.overruled:
        typer.echo(f"overruled by a reviewer: {sheet}, {who}")
    for sheet in found.stale:
        typer.echo(f"stale: {sheet} was transcribed again after it was corrected; the correction stays")
    for sheet in found.carried:
        typer.echo(f"carried over from the same recording: {sheet}")
    for sheet in found.lost:
        typer.echo(f"not in the workspace any more: {sheet}; its corrections are kept")
    for sheet, slip in found.suspicions:
        typer.echo(f"a slip? {sheet}: {slip.message}")


def settle(
    sheet: Annotated[
        str, typer.Argument(help="A sheet that people dispute.", metavar="SHEET", show_default=False)
    ],
    take: Annotated[str, typer.Option("--take", help="Whose correction counts.", show_default=False)],
    by: ByOption = "",
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Settle a conflict, as a reviewer: one of the corrections counts.

    Example: `d2midi annotate settle yt-abc_00001000_s002 --take ada@example.org --by rita@example.org`
    """
    from d2midi_build.annotate.corrections import Corrections, append, path_in, settlement
    from d2midi_build.workspace import Workspace

    path = path_in(Workspace.open(workspace))
    known = Corrections.read(path)
    ruled = settlement(known.required(sheet, take), by.strip() or login_name(), known.after(now()))
    kept = append(path, [ruled])
    _tell(as_json, kept, f"{sheet}: the correction by {take} counts")


def withdraw(
    sheet: Annotated[
        str, typer.Argument(help="A sheet that you corrected.", metavar="SHEET", show_default=False)
    ],
    by: ByOption = "",
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Take your correction of a sheet back: those of others count, or the machine's notes.

    Example: `d2midi annotate withdraw yt-abc_00001000_s002 --by ada@example.org`
    """
    from d2midi_build.annotate.corrections import Corrections, append, path_in, withdrawal
    from d2midi_build.workspace import Workspace

    path = path_in(Workspace.open(workspace))
    who = by.strip() or login_name()
    known = Corrections.read(path)
    kept = append(path, [withdrawal(known.required(sheet, who), known.after(now()))])
    _tell(as_json, kept, f"{sheet}: the correction by {who} does not count any more")


def _tell(as_json: bool, kept: Iterable[Correction], words: str) -> None:
    count = len(list(kept))
    typer.echo(json.dumps({"kept": count}) if as_json else words if count else "That was so already.")
