"""``d2midi screen``: see, overrule and measure screening."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from d2midi_build.cli.options import (
    DEFAULT_WORKSPACE,
    JsonOption,
    QuietOption,
    RecipeOption,
    WorkersOption,
    WorkspaceOption,
    login_name,
    to_write,
)

app = typer.Typer(
    no_args_is_help=True,
    help="See what screening says of takes, decide where it cannot, and measure how good it is.",
    rich_markup_mode="markdown",
)


class StatusChoice(StrEnum):
    """Which takes to show."""

    REVIEW = "review"
    ACCEPT = "accept"
    REJECT = "reject"
    DECIDED = "decided"
    ALL = "all"


@app.callback()
def screen() -> None:
    """See what screening says of takes, decide where it cannot, and measure how good it is."""


@app.command("list")
def list_takes(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    status: Annotated[
        StatusChoice,
        typer.Option("--status", help="review: those that need a human eye; decided: those that had one."),
    ] = StatusChoice.REVIEW,
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            help="Write them as a CSV to fill in: column verdict accept, reject or withdraw, column why the reason. "
            "`d2midi screen decide --csv FILE` reads it.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show takes with what screening says of them; by default those it leaves to you.

    Example: `d2midi screen list --csv review.csv`, look at the videos, fill in two columns, then
    `d2midi screen decide --csv review.csv`
    """
    from d2midi_build import manifests
    from d2midi_build.rows import clip_review
    from d2midi_build.screening import decisions
    from d2midi_build.screening.verdicts import Judgement
    from d2midi_build.standing import state
    from d2midi_build.workspace import Workspace

    if sheet:
        to_write(sheet)
    rows = []
    opened = Workspace.open(workspace)
    recipe = manifests.remembered(opened)[1]
    for entry in manifests.videos(state(opened)):
        assert entry.crawl is not None
        about = {"url": entry.entry.url, "title": entry.crawl.facts["info"]["title"]}
        for take in entry.takes:
            decided = take.judgement.verdict is not None
            span = {"start_s": f"{take.start_s:.2f}", "end_s": f"{take.end_s:.2f}"}
            where = {"video": take.video["video"], **span, **about}
            if status in (StatusChoice.ALL, take.decision.status) or (
                status is StatusChoice.DECIDED and decided
            ):
                rows.append(decisions.sheet_row(take.take_id, take.judgement, where))
            elif status is StatusChoice.REVIEW and not decided and take.decision.status == "accept":
                noticed = clip_review(take, recipe)
                if noticed.reasons:
                    rows.append(decisions.sheet_row(take.take_id, Judgement(noticed), where))
    if sheet:
        decisions.write_sheet(sheet, rows)
    if as_json:
        typer.echo(json.dumps({"takes": rows}))
        return
    for row in rows:
        typer.echo(
            f"{row['status']:<7} {row['take_id']} ({row['start_s']}-{row['end_s']} s): {row['explanation'] or 'fine'}"
        )
    typer.echo(f"{len(rows)} takes" + (f" written to {sheet}" if sheet else ""))


@app.command("decide")
def decide(
    item: Annotated[
        str | None,
        typer.Argument(
            help="A take or, for all its takes, a video: id or the beginning of it.",
            metavar="VIDEO|TAKE",
            show_default=False,
        ),
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="It is good: it goes on with the next build.")
    ] = False,
    reject: Annotated[bool, typer.Option("--reject", help="It is not good: it is left out.")] = False,
    withdraw: Annotated[
        bool,
        typer.Option(
            "--withdraw",
            help="Take an earlier verdict back: one on its video, or the automatic one, counts again.",
        ),
    ] = False,
    why: Annotated[str, typer.Option("--why", help="The reason, kept with the verdict.")] = "",
    by: Annotated[
        str,
        typer.Option(
            "--by", help="Who decides; default: your login name.", envvar="D2MIDI_USER", show_default=False
        ),
    ] = "",
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            help="Many at once: a CSV with the columns take_id, verdict, why (and by).",
            show_default=False,
        ),
    ] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Overrule or confirm what screening says of a take or a whole video.

    Your verdict is kept with your name, the time and the reason, and survives re-runs and changed thresholds. A take
    that is shorter than a window, or has no sound, stays out whatever is said. Newly accepted takes go on with the
    next `d2midi build`.

    Example: `d2midi screen decide yt-abc123 --reject --why "two dancers"`
    """
    from collections import Counter

    from d2midi_build import manifests
    from d2midi_build.errors import UsageError
    from d2midi_build.screening import decisions
    from d2midi_build.screening.verdicts import Verdicts
    from d2midi_build.standing import refresh, state
    from d2midi_build.workspace import Workspace

    words = [
        word for word, given in (("accept", accept), ("reject", reject), ("withdraw", withdraw)) if given
    ]
    if sheet is None and (item is None or len(words) != 1):
        raise UsageError(
            "say which, and what: `d2midi screen decide VIDEO --accept --why ...`, or --reject, or --withdraw"
        )
    if sheet is not None and (item is not None or words or why):
        raise UsageError("--csv says which takes, what and why: leave the rest away")
    opened = Workspace.open(workspace)
    who = by or login_name()
    nodes = state(opened)
    known = decisions.Known(
        frozenset(take.take_id for take in manifests.takes(nodes)),
        frozenset(take.video_id for take in manifests.takes(nodes)),
    )
    if sheet is not None:
        new = decisions.read_verdicts(sheet, known, who)
    else:
        new = [decisions.verdict(known.find(item or ""), words[0], why, who)]
    kept = Verdicts(opened.verdicts_path)
    new = [verdict for verdict in new if not kept.says(verdict)]
    kept.append(new)
    nodes, published = refresh(opened)
    later = (
        "" if published else "A build is running: tables show it when that ends, the next build acts on it."
    )
    counts = Counter(take.decision.status for take in manifests.takes(nodes))
    if as_json:
        typer.echo(json.dumps({"decided": len(new), "takes": counts, "published": published}))
        return
    for verdict in new:
        typer.echo(f"{verdict.item}: {verdict.verdict} ({verdict.why})")
    typer.echo(
        f"{len(new)} verdicts kept. Takes now: {', '.join(f'{n} {name}' for name, n in sorted(counts.items()))}"
    )
    typer.echo(later or f"`d2midi build -w {workspace}` goes on with what was accepted.")


@app.command("calibrate")
def calibrate(
    truth: Annotated[
        list[Path],
        typer.Option(
            "--truth",
            help="CSV of what is true of videos, made by looking at them; may be given again, with a --videos each.",
            dir_okay=False,
            show_default=False,
        ),
    ],
    videos: Annotated[
        list[Path],
        typer.Option("--videos", help="Folder that the files of a table are below.", show_default=False),
    ],
    page: Annotated[
        Path | None,
        typer.Option("--page", help="Also write all tables to this Markdown file.", show_default=False),
    ] = None,
    suggested: Annotated[
        Path | None,
        typer.Option(
            "--suggested",
            help="Also write a recipe with the thresholds that all rows would choose.",
            show_default=False,
        ),
    ] = None,
    workspace: Annotated[
        Path,
        typer.Option(
            "-w",
            "--workspace",
            help="Where measurements are kept, so that they are made once.",
            file_okay=False,
        ),
    ] = Path("d2midi-calibration"),
    clips: Annotated[
        bool,
        typer.Option(
            "--clips",
            help="Also make clips of what is accepted, and count what their stages notice; takes much longer.",
        ),
    ] = False,
    recipe: RecipeOption = None,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure how good screening is on videos whose truth you know.

    Runs the stage `filter` over the videos of one or more truth tables and prints how its decision and each criterion
    agree with them: a confusion table with exact intervals, precision and recall, thresholds swept, and the same with
    each source judged by thresholds that only the other sources chose. docs/screening.md explains the columns of a
    truth table.

    Example: `d2midi screen calibrate --truth truth.csv --videos videos/ --page screening.md`
    """
    import shlex
    import sys

    from d2midi_build.cli import running
    from d2midi_build.cli.progress import listener
    from d2midi_build.errors import UsageError
    from d2midi_build.recipe import Recipe
    from d2midi_build.screening import page as pages
    from d2midi_build.screening.calibration import calibrate as held_against
    from d2midi_build.screening.calibration import fitted
    from d2midi_build.screening.truth import read_truth
    from d2midi_build.trial import measure

    if len(truth) != len(videos):
        raise UsageError(
            f"{len(truth)} --truth and {len(videos)} --videos: each table needs the folder of its videos"
        )
    for path in (page, suggested):
        if path:
            to_write(path)
    known = [row for table, folder in zip(truth, videos, strict=True) for row in read_truth(table, folder)]
    chosen = Recipe.load(recipe) if recipe else Recipe()
    with running.stoppable(), listener(quiet=quiet or as_json) as heard:
        cases, unmeasured = measure(known, workspace, chosen, clips=clips, workers=workers, listener=heard)
    if not cases:
        raise UsageError("nothing could be measured: " + "; ".join(unmeasured[:5]))
    found = held_against(cases, chosen, unmeasured)
    command = (
        "d2midi screen calibrate "
        + " ".join(
            f"--truth {shlex.quote(str(table))} --videos {shlex.quote(str(folder))}"
            for table, folder in zip(truth, videos, strict=True)
        )
        + (" --clips" if clips else "")
    )
    text = pages.page(found, chosen, "How good screening is", command)
    if page:
        page.write_text(text, encoding="utf-8")
    if suggested:
        suggested.write_text(fitted(cases, chosen).to_toml(), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(pages.data(found)))
    else:
        from rich.console import Console
        from rich.markdown import Markdown

        console = Console()
        if console.is_terminal:
            console.print(Markdown(text))
        else:
            typer.echo(text)
    if unmeasured:
        sys.exit(1)
