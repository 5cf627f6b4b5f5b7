"""``d2midi annotate``: notes corrected by people."""

from __future__ import annotations

import typer

from d2midi_build.cli.annotate import (
    agreement,
    audit,
    carry,
    login,
    midi,
    screen,
    serve,
    state,
    studio,
    study,
)

app = typer.Typer(
    no_args_is_help=True,
    help="Have notes corrected by professionals, and see how far that has come.",
    rich_markup_mode="markdown",
)

_STUDIO, _DAW, _STATE = "In Label Studio", "In a DAW", "What counts"

app.command("serve", rich_help_panel=_STUDIO)(serve.serve)
app.command("push", rich_help_panel=_STUDIO)(studio.push)
app.command("pull", rich_help_panel=_STUDIO)(studio.pull)
app.command("listen", rich_help_panel=_STUDIO)(serve.listen)
app.command("login", rich_help_panel=_STUDIO)(login.login)
app.command("logout", rich_help_panel=_STUDIO)(login.logout)
app.add_typer(screen.app, name="screen", rich_help_panel=_STUDIO)
app.add_typer(study.app, name="study", rich_help_panel=_STUDIO)
app.command("export-midi", rich_help_panel=_DAW)(midi.export_midi)
app.command("import-midi", rich_help_panel=_DAW)(midi.import_midi)
app.command("status", rich_help_panel=_STATE)(state.status)
app.command("agreement", rich_help_panel=_STATE)(agreement.agreement)
app.command("audit", rich_help_panel=_STATE)(audit.audit)
app.command("carry", rich_help_panel=_STATE)(carry.carry)
app.command("settle", rich_help_panel=_STATE)(state.settle)
app.command("withdraw", rich_help_panel=_STATE)(state.withdraw)


@app.callback()
def annotate() -> None:
    """Have notes corrected by professionals, and see how far that has come."""
