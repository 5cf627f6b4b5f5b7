"""``d2midi annotate export-midi`` and ``import-midi``: notes corrected in a DAW."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from d2midi_build.cli.annotate.options import ByOption, ReasonChoice, in_words, meant, now
from d2midi_build.cli.options import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption, login_name

if TYPE_CHECKING:
    from d2midi_build.annotate.corrections import Correction
    from d2midi_build.annotate.edits import Edit


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
    wanted = [meant(workspace, name) for name in names]
    written = []
    try:
        out.mkdir(exist_ok=True)
        for clip_id, sheet in dict.fromkeys(wanted):
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

    Example: `d2midi annotate import-midi song.mid --by ada@example.org --reason heard`
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
    clip_id, sheet = meant(workspace, clip) if clip else (stamp.clip if stamp else "", None)
    known = read_clip(opened, clip_id)
    before = Corrections.read(path_in(opened), clip_id)
    who = by.strip() or login_name()
    if same := [line.by for line in before.lines if line.by.casefold().startswith(f"{who.casefold()}@")]:
        raise UsageError(
            f"{same[0]} has corrected this clip in Label Studio: if that is you, say --by {same[0]}"
        )
    found = daw_import.import_midi(
        song,
        known,
        before,
        by=who,
        at=before.after(now()),
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
        words = ", ".join(filter(None, (in_words(one["edits"]), back)))
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
