"""``d2midi validate``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from d2midi_build.cli.options import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption


def validate(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also compare the SHA-256 of every media file.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check every table against its schema and against the others: keys, lengths, windows, notes, files."""
    from d2midi_build import validation
    from d2midi_build.workspace import Workspace

    problems = validation.validate(Workspace.open(workspace), deep=deep)
    if as_json:
        typer.echo(json.dumps({"valid": not problems, "problems": [asdict(problem) for problem in problems]}))
    else:
        for problem in problems:
            typer.echo(f"{problem.where} {problem.row}: {problem.what}")
        typer.echo(f"{len(problems)} problems" if problems else "everything is as the schemas say")
    if problems:
        sys.exit(1)
