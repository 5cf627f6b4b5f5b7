"""Options and small things that the commands of `d2midi annotate` share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

ByOption = Annotated[
    str,
    typer.Option(
        "--by", help="Who did it; default: your login name.", envvar="D2MIDI_USER", show_default=False
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

    return datetime.now(UTC).isoformat(timespec="seconds")


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
            "`uv sync --extra label-studio`, or `pip install 'd2midi[label-studio]'`"
        )
