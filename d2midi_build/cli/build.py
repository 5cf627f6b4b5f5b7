"""``d2midi build``."""

from __future__ import annotations

from typing import Annotated

import typer

from d2midi_build.cli.options import (
    DEFAULT_WORKSPACE,
    JsonOption,
    QuietOption,
    RecipeOption,
    SourceOption,
    WorkersOption,
    WorkspaceOption,
)


def build(
    source: SourceOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    recipe: RecipeOption = None,
    until: Annotated[
        str | None, typer.Option("--until", help="Last stage to run.", show_default=False)
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Run only this stage; may be given again.")
    ] = None,
    refresh: Annotated[
        list[str] | None,
        typer.Option("--refresh", help="Run this stage again although it is done; may be given again."),
    ] = None,
    transcriber: Annotated[
        str | None,
        typer.Option(
            "--transcriber",
            help="embedded, basic-pitch or mt3; overrides `transcribe.transcriber` of the recipe.",
        ),
    ] = None,
    other: Annotated[
        list[str] | None,
        typer.Option(
            "--other",
            help="A further transcriber, whose agreement is told; may be given again. Overrides `transcribe.others`; "
            "`none` asks nobody.",
        ),
    ] = None,
    workers: WorkersOption = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would run, how long and how much disk; run nothing.")
    ] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Turn a list of dance videos into windows of motion and notes.

    Runs every stage for every source; what is done already is not done again, so the same command goes on after
    an interruption, a crash or a power cut. Sources that cannot be used are listed with the reason.

    Examples:

    - `d2midi build --source urls.txt`

    - `d2midi build --source dances/ --until filter` (download and screen only)

    - `d2midi build --source urls.txt --plan`

    - `d2midi build --source urls.txt --transcriber mt3 --other embedded`
    """
    from d2midi_build.cli import running
    from d2midi_build.errors import UsageError
    from d2midi_build.pipeline import Selection
    from d2midi_build.stages.base import NAMES

    sources, chosen = running.read_options(workspace, source, recipe)
    if transcriber is not None:
        chosen = chosen.with_field("transcribe.transcriber", transcriber)
    if other:
        if "none" in other and len(other) > 1:
            raise UsageError("--other none asks nobody: leave it out, or the others")
        chosen = chosen.with_field("transcribe.others", () if other == ["none"] else tuple(other))
    names: tuple[str, ...] = NAMES
    if until is not None:
        if only:
            raise UsageError("--until and --only exclude each other: give one of them")
        if until not in NAMES:
            raise UsageError(f"no stage is called {until}; stages: {', '.join(NAMES)}")
        names = NAMES[: NAMES.index(until) + 1]
    selection = Selection(tuple(only) if only else names, tuple(refresh or ()))
    if plan:
        from d2midi_build.cli.planning import print_plan

        running.check_somebody_is_asked(chosen, selection)
        print_plan(workspace, sources, chosen, selection, workers, as_json=as_json)
        return
    running.run(workspace, sources, chosen, selection, workers, quiet=quiet, as_json=as_json)
