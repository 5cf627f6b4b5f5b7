"""``d2midi annotate push`` and ``pull``: notes corrected in Label Studio."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from d2midi_build.cli.annotate.options import (
    MediaOption,
    ReasonChoice,
    TitleOption,
    UrlOption,
    access_of,
    in_words,
    studio_of,
)
from d2midi_build.cli.options import (
    DEFAULT_WORKSPACE,
    JsonOption,
    QuietOption,
    WorkersOption,
    WorkspaceOption,
)

if TYPE_CHECKING:
    from d2midi_build.annotate.corrections import Corrections
    from d2midi_build.annotate.studio.pull import Pulled
    from d2midi_build.annotate.studio.push import Pushed
    from d2midi_build.workspace import Workspace


def push(
    clips: Annotated[
        list[str] | None,
        typer.Argument(
            help="Clips (id, the beginning of it, or number in the table); default: all that have notes.",
            metavar="[CLIP]...",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="Only sheets of this split of the last release.", show_default=False),
    ] = None,
    genre: Annotated[str | None, typer.Option("--genre", help="Only this genre.", show_default=False)] = None,
    below: Annotated[
        float | None,
        typer.Option(
            "--below",
            help="Only sheets of which the machine is less sure than this (0-1); the least sure come first.",
            show_default=False,
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            min=1,
            help="So many sheets at random, spread over sources and genres.",
            show_default=False,
        ),
    ] = None,
    uncorrected: Annotated[
        bool, typer.Option("--uncorrected", help="Leave out sheets in which a correction counts already.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="No more than so many sheets.", show_default=False)
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", help="Of --sample, --blind and --plant.", show_default=True)
    ] = 0,
    reason: Annotated[
        ReasonChoice,
        typer.Option(
            "--reason", help="Why notes are changed where the annotator says nothing else.", show_default=True
        ),
    ] = ReasonChoice.HEARD,
    commands: Annotated[
        list[str] | None,
        typer.Option(
            "--command",
            help="Done to the notes before they are sent, e.g. 'octave Acoustic Bass -1' or 'shift all +20ms'; "
            "counts as the annotator's change once they submit. May be given again.",
            show_default=False,
        ),
    ] = None,
    plant: Annotated[
        float,
        typer.Option(
            "--plant",
            min=0,
            max=1,
            help="Plant errors in this share of the notes (.05 is usual) to learn how many such errors are found. What "
            "nobody finds is taken back when pulled.",
            show_default=True,
        ),
    ] = 0.0,
    blind: Annotated[
        int | None,
        typer.Option(
            "--blind",
            min=1,
            help="Instead of sheets, so many excerpts of 10 s to write down from scratch: they tell how often the "
            "machine is wrong.",
            show_default=False,
        ),
    ] = None,
    kinematic: Annotated[
        bool, typer.Option("--kinematic-beats", help="Draw the beats of the dance into the roll, too.")
    ] = False,
    project: TitleOption = "",
    url: UrlOption = "",
    media: MediaOption = "",
    listen: Annotated[
        str,
        typer.Option(
            "--listen",
            help="Address of the Listen page; default: that of `annotate serve`.",
            show_default=False,
        ),
    ] = "",
    people: Annotated[
        int,
        typer.Option(
            "--annotators",
            min=1,
            max=50,
            help="How many people correct each task, who are not shown each other's work: 2 tell how far people agree.",
        ),
    ] = 1,
    workers: WorkersOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send sheets (30 s of a clip each) to Label Studio, where annotators correct their notes.

    May be stopped and given again: what is there is not made twice, and a task that somebody works on is never touched.

    Example: `d2midi annotate push --below 0.6 --limit 50`
    """
    from d2midi_build.annotate.studio.addresses import LOCAL_MEDIA
    from d2midi_build.annotate.studio.choosing import excerpt_tasks, sheet_tasks
    from d2midi_build.annotate.studio.commands import parse
    from d2midi_build.annotate.studio.preparing import Wishes
    from d2midi_build.annotate.studio.push import Places, push, titles
    from d2midi_build.annotate.studio.selection import candidates, select
    from d2midi_build.annotate.studio.transport import checked_url
    from d2midi_build.cli.progress import counted
    from d2midi_build.cli.running import stoppable
    from d2midi_build.errors import UsageError
    from d2midi_build.report.clips import find_clip
    from d2midi_build.workspace import Workspace

    opened = Workspace.open(workspace)
    try:
        parse("\n".join(commands or ()))
    except ValueError as error:
        raise UsageError(f"--command: {error}") from error
    wishes = Wishes(reason.value, "\n".join(commands or ()), plant, seed, kinematic)
    if blind and (plant or commands or kinematic):
        raise UsageError(
            "--blind shows nothing of the machine's, so --plant, --command and --kinematic-beats do not go with it"
        )
    chosen = select(
        [each for each in candidates(opened) if not (uncorrected and each.corrected)],
        split=split,
        genre=genre,
        below=below,
        sample=sample,
        seed=seed,
        limit=limit,
        clips=[find_clip(workspace, name) for name in clips or ()],
    )
    if not chosen:
        raise UsageError(
            "no sheet is left by these options; `d2midi annotate push --help` says what each leaves out"
        )
    failed: list[tuple[str, str]] = []
    tasks = (
        excerpt_tasks(opened, chosen, blind, seed) if blind else sheet_tasks(opened, chosen, wishes, failed)
    )
    usual = titles(opened)["blind" if blind else "planted" if plant else "notes"]
    access = access_of(workspace, url)
    where = Places(media.rstrip("/") or LOCAL_MEDIA, checked_url(listen) if listen else access.listen_url)
    with stoppable(), studio_of(access) as studio, counted("push", "sheets", quiet=quiet or as_json) as say:
        done = 0

        def on_done(count: int) -> None:
            nonlocal done
            done += count
            say(done, max(done, blind or len(chosen)))

        found = push(
            opened,
            studio,
            project or usual,
            tasks,
            where,
            workers=workers or len(os.sched_getaffinity(0)),
            people=people,
            on_done=on_done,
        )
    found.failed += failed
    if as_json:
        typer.echo(json.dumps(_pushed(found)))
    else:
        _tell_pushed(found)
    if found.failed:
        raise typer.Exit(1)


def pull(
    reviewers: Annotated[
        list[str] | None,
        typer.Option(
            "--reviewer",
            help="E-mail address of somebody whose corrections settle what others dispute. May be given again.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be kept, keep nothing.")
    ] = False,
    project: TitleOption = "",
    url: UrlOption = "",
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take what annotators submitted in Label Studio as corrections, each under its author's name.

    Notes that nobody touched keep their exact times. What cannot be read whole is told and left out. A second pull
    changes nothing. Drafts that were not submitted are not read. Exit code 1 if something was not used.

    Example: `d2midi annotate pull --reviewer rita@example.org`
    """
    from d2midi_build.annotate.corrections import Corrections, path_in
    from d2midi_build.annotate.studio.pull import pull
    from d2midi_build.annotate.studio.push import titles
    from d2midi_build.cli.progress import counted
    from d2midi_build.cli.running import stoppable
    from d2midi_build.workspace import Workspace

    opened = Workspace.open(workspace)
    with (
        stoppable(),
        studio_of(access_of(workspace, url)) as studio,
        counted("pull", "tasks", quiet=quiet or as_json) as say,
    ):
        done = 0

        def on_done(count: int) -> None:
            nonlocal done
            done += count
            say(done, 0)

        found = pull(
            opened,
            studio,
            [project] if project else list(titles(opened).values()),
            reviewers=reviewers or (),
            keep=not dry_run,
            on_done=on_done,
        )
    lines = Corrections.read(path_in(opened)).lines
    after = Corrections([*lines, *found.corrections]) if dry_run else Corrections(lines)
    told = _pulled(opened, found, after)
    if as_json:
        typer.echo(json.dumps(told))
    else:
        _tell_pulled(told, dry_run=dry_run)
    if found.problems:
        raise typer.Exit(1)


def _pushed(found: Pushed) -> dict[str, Any]:
    return {
        "project": {"id": found.project.id, "title": found.project.title, "url": found.project.url},
        "made": found.made,
        "renewed": found.renewed,
        "same": found.same,
        "kept": found.kept,
        "failed": [{"sheet": sheet, "message": message} for sheet, message in found.failed],
    }


def _tell_pushed(found: Pushed) -> None:
    from d2midi_build.annotate.studio.addresses import stream_of

    for sheet, message in found.failed:
        typer.echo(f"not sent: {sheet}: {message}")
    for key in found.kept:
        typer.echo(
            f"left alone, since somebody has worked on it: {key} (what would be sent now is another version)"
        )
    typer.echo(f"{found.made} tasks made, {found.renewed} renewed, {found.same} as they were")
    typer.echo(f"Annotate at {stream_of(found.project.url)} (the list of tasks shows what others answered)")


def _pulled(workspace: Workspace, found: Pulled, after: Corrections) -> dict[str, Any]:
    from d2midi_build.annotate.clips import lengths
    from d2midi_build.annotate.edits import counts
    from d2midi_build.annotate.sheets import clip_of_sheet
    from d2midi_build.annotate.summary import edits_data, suspicion_data, suspicious

    frames = lengths(workspace)
    sheets = []
    for each in found.corrections:
        n_frames = frames.get(clip_of_sheet(each.sheet_id)[0])
        slips = suspicious(each, n_frames) if n_frames is not None else []
        sheets.append(
            {
                "sheet": each.sheet_id,
                "by": each.by,
                "edits": edits_data(counts(found.changed[each.sheet_id, each.by])),
                "suspicions": [suspicion_data(each.sheet_id, slip) for slip in slips],
            }
        )
    return {
        "tasks": found.n_tasks,
        "answered": found.n_answered,
        "drafts": found.n_drafts,
        "kept": len(found.corrections),
        "repeated": found.repeated,
        "sheets": sheets,
        "conflicts": [standing.told() for standing in after.disputed()],
        "partly": [{"sheet": name, "by": by, "missing": missing} for name, by, missing in found.partly],
        "flags": [{"task": name, "message": message} for name, message in found.flags],
        "remarks": [{"task": name, "by": by, "remark": remark} for name, by, remark in found.remarks],
        "dropped": [{"clip": each.item, "by": each.by} for each in found.dropped],
        "planted": found.planted,
        "blind": found.blind,
        "problems": [{"task": name, "message": message} for name, message in found.problems],
    }


def _tell_pulled(told: dict[str, Any], *, dry_run: bool) -> None:
    for sheet in told["sheets"]:
        words = in_words(sheet["edits"]) or "as it was"
        typer.echo(f"{sheet['sheet']} by {sheet['by']}: {words}")
        for slip in sheet["suspicions"]:
            typer.echo(f"  a slip? {slip['message']}")
    for each in told["flags"]:
        typer.echo(f"a slip? {each['task']}: {each['message']}")
    for each in told["remarks"]:
        typer.echo(f"{each['task']}: {each['by']} remarks: {each['remark']}")
    for each in told["partly"]:
        typer.echo(
            f"{each['sheet']}: {each['by']} has not submitted all of it yet, missing: {each['missing']}"
        )
    for each in told["dropped"]:
        typer.echo(f"to be dropped, says {each['by']}: {each['clip']} (the next `d2midi build` rejects it)")
    for conflict in told["conflicts"]:
        typer.echo(f"conflict: {conflict}")
    for each in told["problems"]:
        typer.echo(f"not used: {each['task']}: {each['message']}")
    if told["planted"] or told["blind"]:
        typer.echo(
            f"audits: {told['planted']} tasks with planted errors, {told['blind']} excerpts: `d2midi annotate audit`"
        )
    typer.echo(
        f"{told['answered']} of {told['tasks']} tasks submitted, {told['drafts']} begun. "
        + (f"{told['kept']} corrections would be kept" if dry_run else f"{told['kept']} corrections kept")
        + (f", {told['repeated']} were there already" if told["repeated"] else "")
    )
