"""``d2midi annotate serve``: a Label Studio of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from d2midi_build.cli.annotate.options import need_label_studio
from d2midi_build.cli.options import DEFAULT_WORKSPACE, WorkspaceOption

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Folder for Label Studio's database and passwords, outside the workspace; default: one per workspace in "
        "~/.local/share/d2midi/label-studio, where `push` and `pull` find it without --url and token.",
        file_okay=False,
        show_default=False,
    ),
]


ListenUrlOption = Annotated[
    str,
    typer.Option(
        "--listen-url",
        help="How annotators reach the Listen page, if another web server stands before it: the same host name as "
        "Label Studio.",
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
    listen_port: Annotated[
        int, typer.Option("--listen-port", min=1, max=65535, help="Where the Listen page listens.")
    ] = 8081,
    listen_url: ListenUrlOption = "",
    data: DataOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Start Label Studio for a workspace, in an environment of its own, until Ctrl-C.

    The first start installs it (about 1 GB) and makes a first user: whom, D2MIDI_LABEL_STUDIO_USER and
    D2MIDI_LABEL_STUDIO_PASSWORD say, or else admin@localhost with a random password, which is shown once. Nothing is
    sent to anybody. Whoever can log in sees all projects: one server per group of people who trust each other.

    Example: `d2midi annotate serve`, and in another terminal `d2midi annotate push`
    """
    from d2midi_build.annotate.studio.hearing import listening
    from d2midi_build.annotate.studio.server import check_port, named, reached
    from d2midi_build.annotate.studio.server import serve as run
    from d2midi_build.errors import UsageError
    from d2midi_build.workspace import Workspace

    need_label_studio()
    if port == listen_port:
        raise UsageError(
            f"Label Studio and the Listen page cannot both listen at port {port}: see --listen-port"
        )
    _addresses(public_url, listen_url)
    opened = Workspace.open(workspace)
    check_port(host, listen_port, "--listen-port")
    url, public = f"http://{reached(host)}:{port}", public_url or f"http://{named(host)}:{port}"
    run(
        workspace,
        port=port,
        host=host,
        public_url=public_url,
        data_dir=data,
        beside=lambda: listening(opened, url, public, host=host, port=listen_port, listen_url=listen_url),
        say=typer.echo,
    )


def listen(
    url: Annotated[
        str, typer.Option("--url", help="Address of Label Studio, as annotators open it.", show_default=False)
    ],
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Where the page listens.")] = 8081,
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    listen_url: ListenUrlOption = "",
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
) -> None:
    """Run the Listen page alone, beside a Label Studio that `serve` did not start, until Ctrl-C.

    Annotators must reach it under the same host name as Label Studio: it asks there with their own session.

    Example: `d2midi annotate listen --url https://label.example.org --listen-url https://label.example.org:8443`
    """
    import threading

    from d2midi_build.annotate.studio.hearing import listening
    from d2midi_build.workspace import Workspace

    need_label_studio()
    _addresses(url, listen_url)
    with listening(Workspace.open(workspace), url, url, host=host, port=port, listen_url=listen_url) as where:
        typer.echo(
            f"The Listen page runs at {where}; give this address to `d2midi annotate push --listen`. Ctrl-C stops it."
        )
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            typer.echo("The Listen page is stopped.")


def _addresses(label_studio: str, listen: str) -> None:
    """Check addresses that annotators get: both of one host, or browsers do not give the page their session."""
    from urllib.parse import urlsplit

    from d2midi_build.annotate.studio.transport import checked_url

    hosts = [urlsplit(checked_url(each)).hostname for each in (label_studio, listen) if each]
    if len(set(hosts)) > 1:
        typer.echo(
            f"The Listen page at {hosts[1]} will let nobody in: it must have Label Studio's host name, {hosts[0]}.",
            err=True,
        )
