"""``d2midi annotate screen``: people look at the takes that screening leaves to them."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from d2midi_build.cli.annotate.options import MediaOption, TitleOption, UrlOption, access_of, studio_of
from d2midi_build.cli.options import (
    DEFAULT_WORKSPACE,
    JsonOption,
    QuietOption,
    WorkersOption,
    WorkspaceOption,
)

app = typer.Typer(
    no_args_is_help=True,
    help="Have people decide in Label Studio about takes that screening leaves to them.",
    rich_markup_mode="markdown",
)


@app.callback()
def screen() -> None:
    """Have people decide in Label Studio about takes that screening leaves to them."""


@app.command("push")
def push(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Takes or videos (whole ids); default: all under review.",
            metavar="[TAKE|VIDEO]...",
            show_default=False,
        ),
    ] = None,
    noticed: Annotated[
        bool,
        typer.Option(
            "--noticed",
            help="Also accepted takes of which a later stage noticed that people mostly sing, or that the dance seems "
            "not to go with the music.",
        ),
    ] = False,
    project: TitleOption = "",
    url: UrlOption = "",
    media: MediaOption = "",
    workers: WorkersOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send takes under review to Label Studio: a video of a minute at most, what the machine says, and questions.

    May be stopped and given again: what is there is not made twice, and what people have answered stays.

    Example: `d2midi annotate screen push`, then answer at the address that it prints
    """
    from d2midi_build.annotate import screening_push
    from d2midi_build.annotate.studio.addresses import LOCAL_MEDIA, stream_of
    from d2midi_build.cli.progress import counted
    from d2midi_build.cli.running import stoppable
    from d2midi_build.workspace import Workspace

    opened = Workspace.open(workspace)
    found = screening_push.chosen(screening_push.candidates(opened, noticed=noticed), names or ())
    cores = workers or len(os.sched_getaffinity(0))
    with stoppable(), studio_of(access_of(workspace, url)) as studio:
        with counted("videos", "takes", quiet=quiet or as_json) as said:
            made, failed = screening_push.render(opened, found, cores, said)
        sent = screening_push.push(studio, opened, made, failed, media.rstrip("/") or LOCAL_MEDIA, project)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "url": sent.url,
                    "made": sent.new,
                    "renewed": sent.renewed,
                    "same": sent.known,
                    "failed": failed,
                }
            )
        )
    else:
        for failure in failed:
            typer.echo(f"not sent: {failure}")
        typer.echo(f"{sent.new} tasks made, {sent.renewed} renewed, {sent.known} as they were")
        typer.echo(f"Answer at {stream_of(sent.url)} (the list of tasks shows what others answered)")
    if failed:
        raise typer.Exit(1)


@app.command("pull")
def pull(
    reviewer: Annotated[
        str,
        typer.Option(
            "--reviewer",
            help="E-mail address of the person whose answer counts where people disagree.",
            show_default=False,
        ),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be decided, keep nothing.")
    ] = False,
    project: TitleOption = "",
    url: UrlOption = "",
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Take answers about takes as verdicts, like those of `d2midi screen decide`, each with who gave them and why.

    One bad answer rejects a take, two doubts leave it under review, all else accepts it. Where people disagree
    nothing is decided. All answers, also genre and usable part, are in WORKSPACE/annotation/screening_answers.csv:
    correct the genre in your list of sources by it. A second pull changes nothing.

    Example: `d2midi annotate screen pull --reviewer rita@example.org`
    """
    from d2midi_build.annotate import screening, screening_pull, screening_push
    from d2midi_build.cli.running import stoppable
    from d2midi_build.errors import UsageError
    from d2midi_build.screening.verdicts import Verdicts
    from d2midi_build.standing import refresh
    from d2midi_build.workspace import Workspace

    opened = Workspace.open(workspace)
    takes = screening_push.takes(opened)
    with stoppable(), studio_of(access_of(workspace, url)) as studio:
        title = project or screening_push.title_of(workspace)
        there = studio.find_project(title)
        if there is None:
            raise UsageError(f"{studio.url} has no project {title!r}: `d2midi annotate screen push` makes it")
        found = screening.read(studio.tasks(there.id), studio.people(), takes, reviewer)
    published = True
    new, decided_since = screening_pull.verdicts(found.settled, opened.verdicts_path)
    if not dry_run:
        Verdicts(opened.verdicts_path).append(new)
        screening_pull.keep(opened, found.settled)
        published = not new or refresh(opened)[1]
    conflicts = [each for each in found.settled if each.outcome == "conflict"]
    open_ = [each for each in found.settled if each.outcome == "review"]
    if as_json:
        told = {
            "decided": [
                {"take": each.item, "verdict": each.verdict, "why": each.why, "by": each.by} for each in new
            ],
            "conflicts": [{"take": each.asked.take_id, "message": each.why} for each in conflicts],
            "review": [{"take": each.asked.take_id, "message": each.why} for each in open_],
            "decided_since": [each.asked.take_id for each in decided_since],
            "answered": len(found.settled),
            "unanswered": found.unanswered,
            "skipped": found.skipped,
            "genres_to_correct": screening_pull.genres_to_correct(found.settled),
            "problems": list(found.problems),
        }
        typer.echo(json.dumps(told))
    else:
        for each in new:
            typer.echo(f"{each.verdict:<8} {each.item} by {each.by}: {each.why}")
        for settled in (*conflicts, *open_):
            typer.echo(f"{settled.outcome:<8} {settled.asked.take_id}: {settled.why}")
        for settled in decided_since:
            typer.echo(f"stays    {settled.asked.take_id}: decided by hand since it was answered")
        for problem in found.problems:
            typer.echo(f"not used: {problem}")
        genres = screening_pull.genres_to_correct(found.settled)
        typer.echo(
            f"{len(found.settled)} takes answered, {found.unanswered} not yet; {len(new)} verdicts "
            + ("would be kept" if dry_run else "kept")
        )
        if genres:
            typer.echo(
                f"{genres} takes are of another genre than your list says, by {screening_pull.CSV_NAME} in "
                f"{opened.root / 'annotation'}"
            )
        if not published:
            typer.echo("A build is running: tables show it when that ends, the next build acts on it.")
        elif new and not dry_run:
            typer.echo(f"`d2midi build -w {workspace}` goes on with what was accepted.")
    if found.problems:
        raise typer.Exit(1)
