"""``d2midi export``."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from d2midi_build.cli.options import DEFAULT_WORKSPACE, JsonOption, QuietOption, WorkspaceOption


class FormatChoice(StrEnum):
    """What to write; the names of `d2midi_build.report.export.Format`."""

    MIDI = "midi"
    CSV = "csv"
    JAMS = "jams"
    MUSICXML = "musicxml"


class ProgramsChoice(StrEnum):
    """Which programs MIDI files get."""

    DATASET = "dataset"
    ORIGINAL = "original"


def export(
    form: Annotated[
        FormatChoice,
        typer.Option(
            "--format",
            help="midi; csv (the table of notes); jams (notes per instrument, beats); musicxml (a score to read, "
            "approximate). The last two need the extra `export`.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="Folder for a file per clip; files of the same name are replaced.", file_okay=False
        ),
    ],
    clip: Annotated[
        list[str] | None,
        typer.Argument(
            help="Clips: id, the beginning of it, or number in the table (from 1). Default: all.",
            show_default=False,
        ),
    ] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    programs: Annotated[
        ProgramsChoice | None,
        typer.Option(
            "--programs",
            help="Programs in MIDI files: dataset (the 13, default) or original (as transcribed).",
            show_default=False,
        ),
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the notes of clips as MIDI, CSV, JAMS or MusicXML, a file per clip.

    A clip that cannot be written is listed with the reason and does not stop the rest; the exit code is then 1.

    Example: `d2midi export --format jams --out notes`
    """
    from rich.console import Console
    from rich.progress import track

    from d2midi_build.errors import UsageError
    from d2midi_build.report.export import chosen_clips
    from d2midi_build.report.export import export as export_clips

    if programs and form is not FormatChoice.MIDI:
        raise UsageError("--programs is for --format midi: csv and jams hold both, musicxml the 13")
    ids = chosen_clips(workspace, clip or [])
    console = Console(stderr=True)
    hidden = quiet or as_json or not console.is_terminal
    results = export_clips(workspace, ids, form.value, out, programs.value if programs else "dataset")
    ended = list(track(results, "Writing", total=len(ids), console=console, transient=True, disable=hidden))
    written = [each for each in ended if each.file]
    failed = [each for each in ended if not each.file]
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "format": form.value,
                    "out": str(out),
                    "exported": [
                        {"clip_id": each.clip_id, "file": str(each.file), "n_notes": each.n_notes}
                        for each in written
                    ],
                    "failed": [{"clip_id": each.clip_id, "message": each.message} for each in failed],
                }
            )
        )
    else:
        notes = sum(each.n_notes for each in written)
        typer.echo(f"{out}: {len(written)} of {len(ended)} clips, {notes} notes")
        for each in failed:
            typer.echo(f"failed: {each.clip_id}: {each.message}")
    if failed:
        sys.exit(1)
