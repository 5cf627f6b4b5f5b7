"""``d2midi demo``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from d2midi_build.cli.options import JsonOption, QuietOption, WorkersOption

if TYPE_CHECKING:
    from d2midi_build.demo import Result


def demo(
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder for the videos, the list and the workspace.", file_okay=False),
    ] = Path("d2midi-demo"),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed: other dances and songs.")] = 0,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Build a dataset from videos with known dances and songs, offline, and compare it with the truth.

    Draws a dancer and plays a band, serves the videos on this machine, fetches them with yt-dlp like any others and
    runs every stage. Takes a few minutes. Exit code 0 when every source ended as it should.
    """
    from d2midi_build.cli.progress import listener
    from d2midi_build.cli.running import stoppable
    from d2midi_build.demo import run

    if not (quiet or as_json):
        typer.echo(f"Drawing and playing the videos in {out}/web ...", err=True)
    with stoppable(), listener(quiet=quiet or as_json) as heard:
        result = run(out, seed, workers, heard)
    if as_json:
        typer.echo(json.dumps(asdict(result)))
    else:
        _print(result, out)
    if result.unexpected:
        sys.exit(1)


def _print(result: Result, out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 110)
    table = Table(title="What was built against what was drawn and played")
    columns = (
        "clip",
        "yaw",
        "windows",
        "PCK@0.1",
        "PA-MPJPE cm",
        "lag ms",
        "swaps",
        "A/V ms",
        "onset F1",
        "+instr.",
        "drum F1",
        "beat F",
    )
    for heading in columns:
        table.add_column(heading, justify="left" if heading == "clip" else "right")
    for clip in result.clips:
        table.add_row(
            clip.name, f"{clip.yaw_deg:.0f}", str(clip.windows), f"{clip.pck:.3f}", f"{clip.pa_mpjpe_cm:.1f}",
            f"{clip.motion_lag_ms:+.1f}", f"{clip.left_right_swaps:.1%}", f"{clip.av_offset_ms:+.1f}",
            f"{clip.onset_f1:.2f}", f"{clip.instrument_f1:.2f}", f"{clip.drum_f1:.2f}", f"{clip.beat_f1:.2f}",
        )  # fmt: skip
    console.print(table)
    for name, ending in result.endings.items():
        console.print(f"  {name:<15} {ending}")
    for line in result.unexpected:
        console.print(f"NOT AS IT SHOULD BE  {line}")
    console.print(
        f"{result.windows} windows in {result.seconds:.0f} s. Tables: {out}/workspace/manifests\n"
        f"Look at a clip: d2midi preview CLIP --out clip.mp4 -w {out}/workspace",
        highlight=False,
    )
