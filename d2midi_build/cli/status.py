"""``d2midi status``."""

from __future__ import annotations

import json

import typer

from d2midi_build.cli.options import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption


def status(workspace: WorkspaceOption = DEFAULT_WORKSPACE, as_json: JsonOption = False) -> None:
    """Tell what a workspace holds, what was turned away and why, and what is left to do.

    Reads the ledger, so it can be asked while a build runs.
    """
    from d2midi_build.plan import survey
    from d2midi_build.workspace import Workspace

    found = survey(Workspace.open(workspace))
    if as_json:
        typer.echo(json.dumps(found.to_data()))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table(
        title=f"{escape(str(workspace))}: {found.n_sources} sources, {found.n_windows} windows "
        f"({found.unique_hours:.2f} h of clips)"
    )
    for heading in ("stage", "done", "failed", "to do", "CPU h"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage in found.stages:
        table.add_row(
            stage.name, str(stage.done), str(stage.failed), str(stage.to_do), f"{stage.cpu_s / 3600:.2f}"
        )
    console.print(table)
    for name, counts in sorted(found.agreements.items()):
        console.print(
            f"notes: of {counts['n_asked']} that {name} could have heard, too, it did {counts['n_shared']}; it heard "
            f"{counts['n_alone']} others"
        )
    for verdict, count in sorted(found.takes.items()):
        console.print(f"takes: {count} {verdict}")
    for reason, count in found.reasons.most_common():
        console.print(f"  {count} x {reason}")
    for record in found.failures:
        console.print(
            f"failed: {record.stage} {record.item} ({record.reason}) {record.message}",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )
        if record.tool_message:
            console.print(f"    {record.tool_message.strip()}", highlight=False, soft_wrap=True, markup=False)
