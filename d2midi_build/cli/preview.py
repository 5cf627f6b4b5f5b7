"""``d2midi preview``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from d2midi_build.cli.options import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption, to_write


def preview(
    clip: Annotated[
        str, typer.Argument(help="A clip's id, the beginning of it, or its number in the table (from 1).")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", help="The video to write (.mp4); replaced if it exists.", callback=to_write),
    ],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Make one video of a clip to watch and listen to.

    The dance with its skeleton, a piano roll with a playhead, the original sound on the left and the notes on
    the right.
    """
    from rich.console import Console
    from rich.progress import Progress

    from d2midi_build.report.clips import find_clip
    from d2midi_build.report.preview import render_preview

    clip_id = find_clip(workspace, clip)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=as_json or not console.is_terminal) as bar:
        task = bar.add_task(clip_id, total=1.0)
        render_preview(workspace, clip_id, out, progress=lambda share: bar.update(task, completed=share))
    size = out.stat().st_size
    if as_json:
        typer.echo(json.dumps({"clip_id": clip_id, "out": str(out), "bytes": size}))
    else:
        typer.echo(f"{out}: {clip_id}, {size / 1e6:.1f} MB")
