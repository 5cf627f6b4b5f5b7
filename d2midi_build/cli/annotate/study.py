"""``d2midi annotate study``: people rate music for dances, without knowing who or what made it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from d2midi_build.cli.annotate.options import MediaOption, TitleOption, UrlOption, access_of, studio_of
from d2midi_build.cli.options import (
    DEFAULT_WORKSPACE,
    JsonOption,
    QuietOption,
    WorkersOption,
    WorkspaceOption,
)

if TYPE_CHECKING:
    from d2midi_build.annotate.study.design import Study
    from d2midi_build.annotate.study.ratings import Ratings
    from d2midi_build.annotate.study.statistics import Score, Summary

app = typer.Typer(
    no_args_is_help=True,
    help="Have people rate music for dances in Label Studio, blinded: consistency and noise, 1 to 5.",
    rich_markup_mode="markdown",
)

NameArgument = Annotated[
    str,
    typer.Argument(help="Name of the study: letters, digits, dot, hyphen, underscore.", show_default=False),
]


@app.callback()
def study() -> None:
    """Have people rate music for dances in Label Studio, blinded: consistency and noise, 1 to 5."""


@app.command("push")
def push(
    name: NameArgument,
    methods: Annotated[
        list[str],
        typer.Option(
            "--method",
            help="A method and where its music is: NAME=FOLDER with MIDI, WAV or FLAC files named <clip_id> or "
            "<clip_id>_<start_frame> (time 0 is the dance's beginning), NAME=@notes for the clips' own notes, "
            "NAME=@original for their own sound. Give it at least twice.",
            metavar="NAME=FOLDER",
            show_default=False,
        ),
    ],
    clips: Annotated[
        list[str] | None,
        typer.Option("--clip", help="Only this clip (whole id). May be given again.", show_default=False),
    ] = None,
    release: Annotated[
        Path | None,
        typer.Option("--release", help="Only clips of this release.", show_default=False, file_okay=False),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="With --release: only clips of this split.", show_default=False),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option("--dances", min=1, help="So many dances at random; default: all.", show_default=False),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=2, max=60, help="The most that is shown of a dance.")
    ] = 30.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of --dances and of the order.")] = 0,
    project: TitleOption = "",
    url: UrlOption = "",
    media: MediaOption = "",
    workers: WorkersOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a video of each dance with each method's music, equally loud, and send them in mixed order.

    Neither tasks nor files tell the method. Only WORKSPACE/annotation/study/NAME.json knows what is what: keep it, and
    keep it from raters. May be stopped and given again; with other music or dances take another name.

    Example: `d2midi annotate study push trial --method ours=out/ours --method cmt=out/cmt --method truth=@notes`
    """
    from d2midi_build.annotate.studio.addresses import LOCAL_MEDIA, stream_of
    from d2midi_build.annotate.study import sending, stimuli
    from d2midi_build.cli.progress import counted
    from d2midi_build.cli.running import stoppable
    from d2midi_build.errors import UsageError
    from d2midi_build.workspace import Workspace

    if split and release is None:
        raise UsageError("--split says which part of a release: give --release, too")
    opened = Workspace.open(workspace)
    only = _only(clips, release, split)
    asked = sending.Asked(name, _methods(methods), only, most, seconds, seed)
    with stoppable(), studio_of(access_of(workspace, url)) as studio:
        made = sending.designed(opened, asked)
        with counted("videos", "dances", quiet=quiet or as_json) as said:
            stimuli.make(opened, made.study, made.music, workers or len(os.sched_getaffinity(0)), said)
        address, new = sending.push(studio, opened, made.study, media.rstrip("/") or LOCAL_MEDIA, project)
    if as_json:
        told = {
            "url": address,
            "dances": len(made.study.dances),
            "stimuli": len(made.study.stimuli),
            "made": new,
            "left_out": {dance: list(lacking) for dance, lacking in made.left_out.items()},
        }
        typer.echo(json.dumps(told))
        return
    for dance, lacking in made.left_out.items():
        typer.echo(f"left out: {dance} has no music of {', '.join(lacking)}")
    typer.echo(
        f"{len(made.study.dances)} dances with {len(made.study.methods)} methods: {new} tasks made, "
        f"{len(made.study.stimuli) - new} as they were"
    )
    typer.echo(f"Rate at {stream_of(address)} (the list of tasks shows what others answered)")


@app.command("pull")
def pull(
    name: NameArgument,
    project: TitleOption = "",
    url: UrlOption = "",
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Take ratings, write them to WORKSPACE/annotation/study/NAME-ratings.csv, and tell what follows from them.

    Per method the mean of all ratings, from 5 dances and 5 raters on with a 95 % interval (both resampled), how far
    raters agree (Krippendorff's alpha), and which methods differ (Wilcoxon's signed ranks over dances, Holm's
    adjustment). 5 is best for both questions. Of each person the newest answer counts; raters go by pseudonyms.

    Example: `d2midi annotate study pull trial`
    """
    import numpy as np

    from d2midi_build.annotate.study import design, ratings, sending
    from d2midi_build.annotate.study.statistics import summarise
    from d2midi_build.cli.running import stoppable
    from d2midi_build.errors import UsageError
    from d2midi_build.workspace import Workspace

    opened = Workspace.open(workspace)
    known = design.read(opened, name)
    if known is None:
        raise UsageError(f"{workspace} has no study {name!r}: `d2midi annotate study push` makes one")
    with stoppable(), studio_of(access_of(workspace, url)) as studio:
        there = studio.find_project(project or sending.title_of(name))
        if there is None:
            raise UsageError(f"{studio.url} has no project of the study {name!r}: push it again")
        found = ratings.read(studio.tasks(there.id), studio.people(), known)
    path = ratings.keep(opened, name, found.ratings)
    summary = summarise(found.ratings, list(known.methods), np.random.default_rng(known.seed))
    if as_json:
        typer.echo(json.dumps(_data(known, found, summary, path)))
    else:
        _tell(known, found, summary, path)
    if found.problems:
        raise typer.Exit(1)


def _methods(given: list[str]) -> dict[str, str]:
    from d2midi_build.errors import UsageError

    methods: dict[str, str] = {}
    for each in given:
        method, equals, where = each.partition("=")
        if not (method and equals and where):
            raise UsageError(f"--method {each}: write NAME=FOLDER, NAME=@notes or NAME=@original")
        if method in methods:
            raise UsageError(f"--method {each}: another method is called {method}")
        methods[method] = where
    return methods


def _only(clips: list[str] | None, release: Path | None, split: str | None) -> tuple[str, ...] | None:
    """The clips that may be shown; None: all."""
    if release is None:
        return tuple(clips) if clips else None
    from d2midi_build.release.reader import open_release

    opened = open_release(release)
    chosen = opened if split is None else opened.filter(split=split)
    held = sorted(set(chosen.windows.column("clip_id").to_pylist()))
    return tuple(each for each in held if not clips or each in clips)


def _data(known: Study, found: Ratings, summary: Summary, path: Path) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "study": known.name,
        "ratings": len(found.ratings),
        "raters": len({each.rater for each in found.ratings}),
        "stimuli": len(known.stimuli),
        "unrated": found.unrated,
        "missing": found.missing,
        "skipped": found.skipped,
        "superseded": found.superseded,
        "scores": [asdict(score) for score in summary.scores],
        "comparisons": [asdict(comparison) for comparison in summary.comparisons],
        "agreement": [asdict(agreement) for agreement in summary.agreement],
        "problems": list(found.problems),
        "csv": str(path),
    }


def _tell(known: Study, found: Ratings, summary: Summary, path: Path) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    scores = Table("", "consistency", "95 %", "noise", "95 %", "ratings", box=box.SIMPLE)
    scores.columns[5].justify = "right"
    for method in known.methods:
        mine = {score.question: score for score in summary.scores if score.method == method}
        if mine:
            one, other = mine["consistency"], mine["noise"]
            scores.add_row(method, *_mean(one), *_mean(other), str(one.n_ratings))
    if summary.scores:
        console.print(scores)
    pairs = Table("", "question", "difference", "p", "p (Holm)", "dances", box=box.SIMPLE)
    for each in summary.comparisons:
        pairs.add_row(
            f"{each.one} - {each.other}", each.question, f"{each.difference:+.2f}", f"{each.p:.3g}",
            f"{each.p_holm:.3g}", str(each.n_dances),
        )  # fmt: skip
    if summary.comparisons:
        console.print(pairs)
    for agreement in summary.agreement:
        alpha = "not defined" if agreement.alpha is None else f"{agreement.alpha:.2f}"
        typer.echo(
            f"agreement on {agreement.question}: alpha {alpha} over {agreement.n_stimuli} stimuli that several rated"
        )
    for problem in found.problems:
        typer.echo(f"not used: {problem}")
    typer.echo(
        f"{len(found.ratings)} ratings by {len({each.rater for each in found.ratings})} people; {found.unrated} of "
        f"{len(known.stimuli)} stimuli have none. 5 is best. All in {path}"
    )


def _mean(score: Score) -> tuple[str, str]:
    spread = "" if score.spread is None else f" (sd {score.spread:.2f})"
    interval = "" if score.low is None else f"{score.low:.2f}-{score.high:.2f}"
    return f"{score.mean:.2f}{spread}", interval
