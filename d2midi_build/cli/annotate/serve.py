"""``d2midi annotate serve``: a Label Studio of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from d2midi_build.cli.options import DEFAULT_WORKSPACE, WorkspaceOption

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Folder for Label Studio's database and passwords, outside the workspace; default: one per workspace in "
        "~/.local/share/d2midi/label-studio.",
        file_okay=False,
        show_default=False,
    ),
]


def serve(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Where Label Studio listens.")] = 8080,
    host: Annotated[
        str,
        typer.Option(
            "--host", help="Address to listen at; 0.0.0.0 for others in your network, over plain HTTP."
        ),
    ] = "127.0.0.1",
    public_url: Annotated[
        str,
        typer.Option(
            "--public-url",
            help="How annotators reach it, if another web server stands before it.",
            show_default=False,
        ),
    ] = "",
    data: DataOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Start Label Studio for a workspace, in an environment of its own, until Ctrl-C.

    The first start installs it (about 1 GB) and makes a first user: whom, D2MIDI_LABEL_STUDIO_USER and
    D2MIDI_LABEL_STUDIO_PASSWORD say, or else admin@localhost with a random password, which is shown once. Nothing is
    sent to anybody. Whoever can log in sees all projects: one server per group of people who trust each other.

    Example: `d2midi annotate serve`, and in another terminal `d2midi annotate push`
    """
    from d2midi_build.annotate.studio.server import serve as run

    run(workspace, port=port, host=host, public_url=public_url, data_dir=data, say=typer.echo)
