"""``d2midi annotate login`` and ``logout``: a token for Label Studio in the system's keyring."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from d2midi_build.cli.annotate.options import need_label_studio
from d2midi_build.cli.options import DEFAULT_WORKSPACE, WorkspaceOption

UrlOption = Annotated[
    str,
    typer.Option(
        "--url",
        help="Of Label Studio; default: that of this workspace's `serve`.",
        envvar="LABEL_STUDIO_URL",
        show_default=False,
    ),
]


def login(url: UrlOption = "", workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Keep a token for a Label Studio in the system's keyring, for `push` and `pull`.

    Copy it from Account & Settings in Label Studio; a personal access token or a legacy token will do. It is asked for
    without showing it, or read from a pipe. A Label Studio that `serve` started on this machine needs none.

    Example: `d2midi annotate login --url https://label.example.org`
    """
    from d2midi_build.annotate.studio.client import Studio
    from d2midi_build.annotate.studio.credentials import remember, url_for
    from d2midi_build.errors import UsageError

    need_label_studio()
    where = url_for(workspace, url)
    if sys.stdin.isatty():
        token = typer.prompt(f"Token for {where}", hide_input=True).strip()
    else:
        token = sys.stdin.readline().strip()
    if not token:
        raise UsageError(f"no token was given: copy one from Account & Settings of {where}")
    with Studio.connect(where, token, patience_s=10.0) as studio:
        who = studio.whoami()
    remember(where, token)
    typer.echo(
        f"{where} knows you as {who}; your keyring keeps the token (`d2midi annotate logout` removes it)"
    )


def logout(url: UrlOption = "", workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Remove the token for a Label Studio from the system's keyring.

    Example: `d2midi annotate logout --url https://label.example.org`
    """
    from d2midi_build.annotate.studio.credentials import forget, url_for

    where = url_for(workspace, url)
    typer.echo(f"{where}: the token is removed" if forget(where) else f"{where}: there was no token")
