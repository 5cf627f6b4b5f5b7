"""The command ``d2midi``: one file per command; each parses, calls and prints.

Modules here import only typer at the top, so that ``d2midi --help`` answers at once.
"""

from __future__ import annotations

import sys

import typer

from d2midi_build.cli import (
    annotate,
    build,
    demo,
    doctor,
    evaluate,
    export,
    gate,
    gc,
    models,
    preview,
    recipe,
    release,
    retry,
    screen,
    sources,
    stages,
    status,
    validate,
)

app = typer.Typer(
    name="d2midi",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Turn dance videos into a dataset of paired 3D motion and multi-instrument MIDI.\n\n"
    "Start with `d2midi demo` (works offline), then `d2midi build --source urls.txt`.",
    epilog="Exit codes: 0 fine, 1 something failed, 2 wrong usage.",
)

_MAIN, _STAGES, _CARE = "The main job", "One stage at a time", "Looking after a workspace"

app.command("build", rich_help_panel=_MAIN)(build.build)
app.command("demo", rich_help_panel=_MAIN)(demo.demo)
app.command("status", rich_help_panel=_MAIN)(status.status)
app.add_typer(screen.app, name="screen", rich_help_panel=_MAIN)
app.add_typer(annotate.app, name="annotate", rich_help_panel=_MAIN)
app.command("preview", rich_help_panel=_MAIN)(preview.preview)
app.command("export", rich_help_panel=_MAIN)(export.export)
app.add_typer(release.app, name="release", rich_help_panel=_MAIN)
app.command("gate", rich_help_panel=_MAIN)(gate.gate)
app.command("evaluate", rich_help_panel=_MAIN)(evaluate.evaluate)
app.add_typer(recipe.app, name="recipe", rich_help_panel=_MAIN)
app.add_typer(sources.app, name="sources", rich_help_panel=_MAIN)
for _name, _command in stages.COMMANDS.items():
    app.command(_name, rich_help_panel=_STAGES)(_command)
app.command("retry", rich_help_panel=_CARE)(retry.retry)
app.command("validate", rich_help_panel=_CARE)(validate.validate)
app.command("gc", rich_help_panel=_CARE)(gc.gc)
app.command("doctor", rich_help_panel=_CARE)(doctor.doctor)
app.add_typer(models.app, name="models", rich_help_panel=_CARE)


def main() -> None:
    """Run the command line; d2midi's own errors become one line on stderr and exit code 2 or 1."""
    from d2midi_build.errors import D2midiError, UsageError

    try:
        app()
    except UsageError as error:
        print(f"d2midi: {error}", file=sys.stderr)
        sys.exit(2)
    except D2midiError as error:
        print(f"d2midi: {error}", file=sys.stderr)
        sys.exit(1)
