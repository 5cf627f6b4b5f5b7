"""``d2midi annotate``: notes corrected by people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from d2midi_build.cli.options import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption, login_name

if TYPE_CHECKING:
    from d2midi_build.annotate.corrections import Correction
    from d2midi_build.annotate.edits import Edit

app = typer.Typer(
    no_args_is_help=True,
    help="Have notes corrected by professionals, and see how far that has come.",
    rich_markup_mode="markdown",
)

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


@app.callback()
def annotate() -> None:
    """Have notes corrected by professionals, and see how far that has come."""


@app.command("export-midi")
def export_midi(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Clips (id, the beginning of it, or number in the table) or sheets (whole id).",
            metavar="CLIP|SHEET...",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="Folder for a file per clip or sheet; made if its parent exists.", file_okay=False
        ),
    ] = Path(),
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Write notes as MIDI files to work on in a DAW (Logic, Reaper, ...), corrections so far included.

    One track per instrument, under its name: keep the names. The grid is the music's where its beats are known.
    Play it beside the clip's video, both from the beginning. Files that exist are never replaced.

    Example: `d2midi annotate export-midi yt-abc_00001000 --out songs`, then `d2midi annotate import-midi`
    """
    from d2midi_build.annotate import daw_export
    from d2midi_build.annotate.clips import read_clip
    from d2midi_build.annotate.corrections import Corrections, path_in
    from d2midi_build.errors import UsageError
    from d2midi_build.workspace import Workspace

    opened = Workspace.open(workspace)
    meant = {name: _meant(workspace, name) for name in names}
    written = []
    try:
        out.mkdir(exist_ok=True)
        for clip_id, sheet in dict.fromkeys(meant.values()):
            corrections = Corrections.read(path_in(opened), clip_id)
            data = daw_export.export_midi(read_clip(opened, clip_id), corrections, sheet)
            path = out / (f"{clip_id}.mid" if sheet is None else f"{clip_id}_s{sheet:03d}.mid")
            try:
                with path.open("xb") as file:
                    file.write(data)
            except FileExistsError:
                if path.read_bytes() != data:
                    raise UsageError(
                        f"{path} exists and may hold somebody's work: choose another folder with --out, or move it away"
                    ) from None
            written.append(str(path))
    except OSError as error:
        raise UsageError(
            f"cannot write to {out}: {error.strerror}; choose another folder with --out"
        ) from error
    if as_json:
        typer.echo(json.dumps({"files": written}))
        return
    for name in written:
        typer.echo(name)
    typer.echo("Take it back with: d2midi annotate import-midi FILE --by WHO --reason heard|aligned|pleasant")


@app.command("import-midi")
def import_midi(
    file: Annotated[
        Path,
        typer.Argument(
            help="A MIDI file that export-midi wrote and a DAW saved.", dir_okay=False, show_default=False
        ),
    ],
    reason: Annotated[
        ReasonChoice,
        typer.Option(
            "--reason",
            help="Why notes were changed: heard (the recording says so), aligned (to the dance) or pleasant. Only what "
            "was heard reaches the layer that music is judged by.",
            show_default=False,
        ),
    ],
    by: ByOption = "",
    clip: Annotated[
        str,
        typer.Option(
            "--clip",
            help="The clip or sheet it is of, should the DAW have dropped that (with --anyway).",
            show_default=False,
        ),
    ] = "",
    checked: Annotated[
        bool,
        typer.Option(
            "--checked", help="You vouch for the sheets without changes, too: they count as corrected."
        ),
    ] = False,
    reviewer: Annotated[
        bool, typer.Option("--reviewer", help="You settle what others dispute: yours counts.")
    ] = False,
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway",
            help="Take a file that does not say what it is of, or whose notes have been made again since: whatever "
            "differs from the notes as they are now counts as changed. Or one that is older than your newest "
            "corrections, or in which most notes have another instrument.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be kept, keep nothing.")
    ] = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Keep what was changed in a DAW as corrections, under your name and with your reason.

    What comes back is compared with what went out: notes that you did not touch keep their exact times. Reading a file
    again adds what is new in it, under the new reason, and takes back what was undone in the DAW.

    Example: `d2midi annotate import-midi song.mid --by ada --reason heard`
    """
    from d2midi_build.annotate import daw_import
    from d2midi_build.annotate.clips import read_clip
    from d2midi_build.annotate.corrections import Corrections, append, path_in
    from d2midi_build.annotate.daw_export import stamp_of
    from d2midi_build.annotate.daw_files import read
    from d2midi_build.errors import UsageError
    from d2midi_build.workspace import Workspace

    opened = Workspace.open(workspace)
    try:
        song = read(file.read_bytes(), str(file))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    stamp = stamp_of(song)
    if stamp is None and not clip:
        raise UsageError(
            f"{file} does not say which clip it is of: the DAW has dropped that. Say it with --clip CLIP --anyway"
        )
    clip_id, sheet = _meant(workspace, clip) if clip else (stamp.clip if stamp else "", None)
    known = read_clip(opened, clip_id)
    before = Corrections.read(path_in(opened), clip_id)
    found = daw_import.import_midi(
        song,
        known,
        before,
        by=by.strip() or login_name(),
        at=_now(),
        reason=reason.value,
        sheet=sheet,
        checked=checked,
        reviewer=reviewer,
        anyway=anyway,
    )
    kept = list(found.corrections) if dry_run else append(path_in(opened), found.corrections)
    after = Corrections([*before.lines, *kept])
    standings = [(each, after.standing(each.sheet_id)) for each in found.corrections]
    conflicts = [standing.told() for _, standing in standings if standing.conflict]
    overruled = [
        (mine.sheet_id, standing.applied.by)
        for mine, standing in standings
        if standing.applied is not None and mine in kept and standing.applied is not mine
    ]
    sheets = [
        _sheet_data(each, found.edits[each.sheet_id], known.n_frames)
        | {"undone": found.undone[each.sheet_id]}
        for each in found.corrections
    ]
    told = {
        "clip": clip_id,
        "notes": found.n_notes,
        "same": found.n_same,
        "unheld": found.n_unheld,
        "tempo": found.tempo,
        "kept": 0 if dry_run else len(kept),
        "sheets": sheets,
        "again": list(found.again),
        "conflicts": conflicts,
        "overruled": [{"sheet": name, "by": who} for name, who in overruled],
    }
    if as_json:
        typer.echo(json.dumps(told))
        return
    if found.tempo == "clip":
        typer.echo("The DAW has replaced the tempo map: notes were read by the one that went out.")
    for one in sheets:
        back = f"{one['undone']} taken back" if one["undone"] else ""
        words = ", ".join(filter(None, (_in_words(one["edits"]), back)))
        typer.echo(f"{one['sheet']}: {words or 'as it was'}")
        for slip in one["suspicions"]:
            typer.echo(f"  a slip? {slip['message']}")
    for name in found.again:
        typer.echo(f"{name}: nothing new, you have corrected it so before")
    for conflict in conflicts:
        typer.echo(f"conflict: {conflict}")
    for name, who in overruled:
        typer.echo(f"overruled: {name}: the correction by {who}, a reviewer, counts, not this one")
    typer.echo(
        f"{found.n_same} of {found.n_notes} notes are as they went out. "
        + (f"{len(kept)} corrections would be kept" if dry_run else f"{len(kept)} corrections kept")
    )


@app.command("status")
def status(workspace: WorkspaceOption = DEFAULT_WORKSPACE, as_json: JsonOption = False) -> None:
    """Show how far correction has come: sheets corrected, in conflict, out of date; edits by kind and reason.

    Example: `d2midi annotate status`
    """
    from d2midi_build.annotate.summary import edits_data, summary
    from d2midi_build.workspace import Workspace

    found = summary(Workspace.open(workspace))
    if as_json:
        typer.echo(json.dumps(found.data()))
        return
    typer.echo(f"{len(found.corrected)} of {found.n_sheets} sheets corrected")
    for who, count in sorted(found.people.items()):
        typer.echo(f"  {who}: {count}")
    for kind, by_reason in edits_data(found.edits).items():
        typer.echo(f"{kind}: {', '.join(f'{count} {reason}' for reason, count in by_reason.items())}")
    for conflict in found.conflicts:
        typer.echo(f"conflict: {conflict}")
    for sheet, who in found.overruled:
        typer.echo(f"overruled by a reviewer: {sheet}, {who}")
    for sheet in found.stale:
        typer.echo(f"stale: {sheet} was transcribed again after it was corrected; the correction stays")
    for sheet in found.carried:
        typer.echo(f"carried over from the same recording: {sheet}")
    for sheet in found.lost:
        typer.echo(f"not in the workspace any more: {sheet}; its corrections are kept")
    for sheet, slip in found.suspicions:
        typer.echo(f"a slip? {sheet}: {slip.message}")


@app.command("settle")
def settle(
    sheet: Annotated[
        str, typer.Argument(help="A sheet that people dispute.", metavar="SHEET", show_default=False)
    ],
    take: Annotated[str, typer.Option("--take", help="Whose correction counts.", show_default=False)],
    by: ByOption = "",
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Settle a conflict, as a reviewer: one of the corrections counts.

    Example: `d2midi annotate settle yt-abc_00001000_s002 --take ada --by rita`
    """
    from d2midi_build.annotate.corrections import Corrections, append, path_in, settlement
    from d2midi_build.workspace import Workspace

    path = path_in(Workspace.open(workspace))
    correction = Corrections.read(path).required(sheet, take)
    kept = append(path, [settlement(correction, by.strip() or login_name(), _now())])
    _tell(as_json, kept, f"{sheet}: the correction by {take} counts")


@app.command("withdraw")
def withdraw(
    sheet: Annotated[
        str, typer.Argument(help="A sheet that you corrected.", metavar="SHEET", show_default=False)
    ],
    by: ByOption = "",
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Take your correction of a sheet back: those of others count, or the machine's notes.

    Example: `d2midi annotate withdraw yt-abc_00001000_s002 --by ada`
    """
    from d2midi_build.annotate.corrections import Corrections, append, path_in, withdrawal
    from d2midi_build.workspace import Workspace

    path = path_in(Workspace.open(workspace))
    who = by.strip() or login_name()
    kept = append(path, [withdrawal(Corrections.read(path).required(sheet, who), _now())])
    _tell(as_json, kept, f"{sheet}: the correction by {who} does not count any more")


def _meant(workspace: Path, name: str) -> tuple[str, int | None]:
    """The clip, and the number of the sheet if one is meant."""
    from d2midi_build.annotate.sheets import clip_of_sheet
    from d2midi_build.report.clips import clip_ids, find_clip

    try:
        clip_id, sheet = clip_of_sheet(name)
    except ValueError:
        return find_clip(workspace, name), None
    return (clip_id, sheet) if clip_id in clip_ids(workspace) else (find_clip(workspace, name), None)


def _sheet_data(correction: Correction, edits: Sequence[Edit], n_frames: int) -> dict[str, Any]:
    from d2midi_build.annotate.edits import counts
    from d2midi_build.annotate.summary import edits_data, suspicion_data, suspicious

    changed = {edit.number for edit in edits}
    slips = [each for each in suspicious(correction, n_frames) if each.number in changed]
    return {
        "sheet": correction.sheet_id,
        "edits": edits_data(counts(edits)),
        "suspicions": [suspicion_data(correction.sheet_id, each) for each in slips],
    }


def _in_words(edits: dict[str, dict[str, int]]) -> str:
    return ", ".join(
        f"{count} {kind} ({reason})"
        for kind, by_reason in edits.items()
        for reason, count in by_reason.items()
    )


def _tell(as_json: bool, kept: Iterable[Correction], words: str) -> None:
    count = len(list(kept))
    typer.echo(json.dumps({"kept": count}) if as_json else words if count else "That was so already.")


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat(timespec="seconds")
