"""What the commands that run a build share: reading their options, running, telling how it went."""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from d2midi_build.pipeline import Selection, Summary
    from d2midi_build.recipe import Recipe
    from d2midi_build.sources.lists import Source

_LISTED = 20
"""Most lines that the summary of a build says about what was turned away."""


def read_options(
    workspace: Path, source: list[str] | None, recipe: Path | None
) -> tuple[list[Source], Recipe]:
    """Sources and recipe as given, else as the workspace remembers them."""
    from d2midi_build.errors import UsageError
    from d2midi_build.manifests import remembered
    from d2midi_build.recipe import Recipe
    from d2midi_build.sources.lists import merge_lists, read_sources
    from d2midi_build.workspace import Workspace

    known = remembered(Workspace(workspace)) if (workspace / "sources.json").exists() else None
    if source:
        listed = merge_lists(read_sources(each) for each in source)
        for warning in listed.warnings:
            typer.echo(f"d2midi: {warning}", err=True)
        sources = list(listed.sources)
    elif known:
        sources = known[0]
    else:
        raise UsageError(
            f"{workspace} has no earlier build to go on with (-w names another workspace). To start one, say what "
            "from: `--source urls.txt` (also a table, a folder, a URL or a video file). `d2midi demo` needs none."
        )
    chosen = Recipe.load(recipe) if recipe else known[1] if known else Recipe()
    return sources, chosen


def run(
    workspace: Path,
    sources: list[Source],
    recipe: Recipe,
    selection: Selection,
    workers: int | None,
    *,
    quiet: bool,
    as_json: bool,
) -> None:
    """Build, show progress, print the summary; ends the process with exit code 1 if anything failed."""
    from d2midi_build.cli.progress import listener
    from d2midi_build.pipeline import build

    check_somebody_is_asked(recipe, selection)
    with stoppable(), listener(quiet=quiet or as_json) as heard:
        summary = build(sources, workspace, recipe, selection, workers=workers, listener=heard)
    if as_json:
        typer.echo(json.dumps(summary_data(summary, workspace)))
    else:
        print_summary(summary, workspace)
        _say_if_none_came_so_far(summary, selection, workspace)
    if summary.failed or summary.waiting:
        sys.exit(1)


def check_somebody_is_asked(recipe: Recipe, selection: Selection) -> None:
    """Raise ``UsageError`` if opinions alone are wanted, or wanted again, of nobody."""
    from d2midi_build.errors import UsageError

    wanted = {*selection.stages} == {"opinions"} or "opinions" in selection.refresh
    if wanted and not recipe.transcribe.others:
        raise UsageError(
            "nobody else is asked: name others with `d2midi build --other NAME`, or in the recipe (`transcribe.others`)"
        )


def _say_if_none_came_so_far(summary: Summary, selection: Selection, workspace: Path) -> None:
    """A stage whose earlier stages are not done has nothing to do; that is no success to keep quiet about."""
    from d2midi_build import manifests

    asked = {*selection.stages}
    if summary.sources and not any(record.stage in asked for record in manifests.records(summary.sources)):
        typer.echo(
            f"Nothing has come as far as {', '.join(selection.stages)}: `d2midi status -w {workspace}` tells what is "
            f"done and what was turned away, `d2midi build -w {workspace}` runs every stage."
        )


@contextmanager
def stoppable() -> Iterator[None]:
    """Make Ctrl-C, and a polite kill, end with a line that says how to go on."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("d2midi: stopped. Nothing done is lost: run the same command again to go on.", err=True)
        raise typer.Exit(130) from None


def summary_data(summary: Summary, workspace: Path) -> dict[str, Any]:
    """A summary as plain data, for ``--json``."""
    from d2midi_build import manifests

    found = list(manifests.records(summary.sources))
    takes = list(manifests.takes(summary.sources))
    return {
        "workspace": str(workspace),
        "ran": summary.ran,
        "sources": len(summary.sources),
        "videos": sum(1 for _ in manifests.videos(summary.sources)),
        "takes": dict(Counter(take.decision.status for take in takes)),
        "rejected_for": dict(Counter(reason for take in takes for reason in take.decision.reasons)),
        "clips": sum(take.complete for take in takes),
        "windows": sum(take.records["window"].facts["n_windows"] for take in takes if take.complete),
        "failed": dict(
            sorted(Counter(record.reason for record in found if record.status == "failed").items())
        ),
        "waiting": summary.waiting,
        "seconds": round(summary.wall_s, 1),
    }


def print_summary(summary: Summary, workspace: Path) -> None:
    """Tell a person what there is, what was turned away and why, and what to do next."""
    from d2midi_build import manifests

    data = summary_data(summary, workspace)
    ran = sum(count for counts in data["ran"].values() for count in counts.values())
    typer.echo(
        f"{data['sources']} sources -> {data['videos']} videos -> {sum(data['takes'].values())} takes "
        f"({', '.join(f'{count} {status}' for status, count in sorted(data['takes'].items())) or 'none'}) -> "
        f"{data['clips']} clips -> {data['windows']} windows   [{ran} jobs in {data['seconds']} s]"
    )
    turned_away = [
        f"  {take.decision.status:<7} {take.take_id}: {take.decision.explanation}"
        for take in manifests.takes(summary.sources)
        if take.decision.reasons
    ] + [
        f"  failed  {record.stage} {record.item} ({record.reason}): {record.message}"
        for record in manifests.records(summary.sources)
        if record.status == "failed"
    ]
    for line in turned_away[:_LISTED]:
        typer.echo(line)
    if len(turned_away) > _LISTED:
        typer.echo(
            f"  ... and {len(turned_away) - _LISTED} more: d2midi status -w {workspace}, "
            "and the tables takes and sources"
        )
    if data["takes"].get("review"):
        typer.echo(
            f"{data['takes']['review']} takes need a human eye: d2midi screen list -w {workspace}, then screen decide"
        )
    if "transient" in data["failed"]:
        typer.echo(f"Try the transient failures again: d2midi retry --reason transient -w {workspace}")
    if summary.waiting:
        typer.echo(
            f"{summary.waiting} downloads wait because their site refused for now: run the same command later."
        )
    look = f"   Look at a clip: d2midi preview CLIP --out clip.mp4 -w {workspace}" if data["clips"] else ""
    typer.echo(f"Tables: {workspace / 'manifests'}{look}")
