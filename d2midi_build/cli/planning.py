"""``d2midi build --plan``."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import typer

from d2midi_build.pipeline import Selection
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import Source


def print_plan(
    workspace: Path,
    sources: list[Source],
    recipe: Recipe,
    selection: Selection,
    workers: int | None,
    *,
    as_json: bool,
) -> None:
    """Print what a build would run, how long and how much disk it would take."""
    from d2midi_build.plan import plan
    from d2midi_build.stages.base import stage
    from d2midi_build.workspace import Workspace

    workers = workers or recipe.run.workers or len(os.sched_getaffinity(0))
    planned = plan(Workspace(workspace), sources, recipe, selection, workers)
    if as_json:
        typer.echo(json.dumps(asdict(planned) | {"wall_s": planned.wall_s}))
        return
    if not planned.jobs:
        typer.echo("Nothing to do: everything asked for is done.")
        return
    for name, count in planned.jobs.items():
        seconds = planned.media_s.get(name)
        typer.echo(f"  {name:<10} {count:>7} {'items' if stage(name).unit == 'items' else 'clips or videos'}"
                   + (f", {seconds / 3600:.2f} h of media" if seconds else ""))  # fmt: skip
    typer.echo(
        f"About {planned.cpu_s / 3600:.2f} CPU hours, {planned.wall_s / 3600:.2f} h with {workers} workers, downloads "
        f"not counted; about {planned.disk_bytes / 1e9:.2f} GB of disk."
    )
    if planned.assumed_videos:
        typer.echo(f"The length of {planned.assumed_videos} videos is not known yet: their share is a guess.")
