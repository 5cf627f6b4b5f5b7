"""Options and small things that the commands of `d2midi annotate` share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from d2midi_build.annotate.studio.client import Studio
    from d2midi_build.annotate.studio.credentials import Credentials

ByOption = Annotated[
    str,
    typer.Option(
        "--by", help="Who did it; default: your login name.", envvar="D2MIDI_USER", show_default=False
    ),
]


UrlOption = Annotated[
    str,
    typer.Option(
        "--url",
        help="Address of Label Studio. Default: $LABEL_STUDIO_URL, else the one that `annotate serve` runs for this "
        "workspace. Its token is taken from $LABEL_STUDIO_API_KEY, the keyring (`annotate login`), or that server.",
        show_default=False,
    ),
]
TitleOption = Annotated[
    str,
    typer.Option(
        "--project",
        help="Title of the project in Label Studio, if the usual one is taken by another workspace.",
        show_default=False,
    ),
]
MediaOption = Annotated[
    str,
    typer.Option(
        "--media",
        help="Address under which the server shows WORKSPACE/annotation/served/media. Default: the server that "
        "`annotate serve` runs shows it.",
        show_default=False,
    ),
]


class ReasonChoice(StrEnum):
    """Why notes were changed; the names of `d2midi_build.annotate.layering.Reason`."""

    HEARD = "heard"
    ALIGNED = "aligned"
    PLEASANT = "pleasant"


def meant(workspace: Path, name: str) -> tuple[str, int | None]:
    """The clip, and the number of the sheet if one is meant."""
    from d2midi_build.annotate.sheets import clip_of_sheet
    from d2midi_build.report.clips import clip_ids, find_clip

    try:
        clip_id, sheet = clip_of_sheet(name)
    except ValueError:
        return find_clip(workspace, name), None
    return (clip_id, sheet) if clip_id in clip_ids(workspace) else (find_clip(workspace, name), None)


def now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat(timespec="microseconds")


def in_words(edits: dict[str, dict[str, int]]) -> str:
    """Numbers of edits by kind and reason, as `summary.edits_data` gives them."""
    return ", ".join(
        f"{count} {kind} ({reason})"
        for kind, by_reason in edits.items()
        for reason, count in by_reason.items()
    )


def need_label_studio() -> None:
    """See that what talks to Label Studio is installed.

    Raises
    ------
    UsageError
        If it is not.
    """
    from importlib.util import find_spec

    from d2midi_build.errors import UsageError

    missing = [name for name in ("httpx", "starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"working with Label Studio needs the extra `label-studio` ({', '.join(missing)} missing): "
            "`uv sync --inexact --extra label-studio` in the checkout"
        )


def studio_of(access: Credentials) -> Studio:
    """The Label Studio that is meant, logged in to."""
    from d2midi_build.annotate.studio.client import Studio

    return Studio.connect(access.url, access.token, on_wait=lambda words: typer.echo(words, err=True))


def access_of(workspace: Path, url: str) -> Credentials:
    """Where it is, and a token."""
    from d2midi_build.annotate.studio.credentials import find

    need_label_studio()
    return find(workspace, url=url)
