"""``d2midi models train-embedded``."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from d2midi_build.cli.options import JsonOption, QuietOption
from d2midi_build.train.embedded import N_BATCHES, N_CALIBRATION, N_DRUM_BATCHES, N_NOTE_BATCHES, N_PIECES


class Device(StrEnum):
    """What can train."""

    CPU = "cpu"
    CUDA = "cuda"


def train_embedded(
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder for the weights, calibration and provenance.", file_okay=False),
    ] = Path("embedded-weights"),
    soundfonts: Annotated[
        list[Path] | None,
        typer.Option(
            "--soundfonts",
            help="Folder to look for the soundfonts in, beside /usr/share/sounds/sf2; may be given again. "
            "A missing one is answered with where it comes from.",
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    learn: Annotated[
        list[Path] | None,
        typer.Option(
            "--learn",
            help="Learn from these soundfont files, not the usual ones; may be given again.",
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    calibrate: Annotated[
        list[Path] | None,
        typer.Option(
            "--calibrate",
            help="Calibrate with these; must be others.",
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    pieces: Annotated[int, typer.Option("--pieces", min=1, help="Pieces of 24 s to learn from.")] = N_PIECES,
    batches: Annotated[
        int, typer.Option("--batches", min=1, help="Steps of training of the first network.")
    ] = N_BATCHES,
    drum_batches: Annotated[
        int, typer.Option("--drum-batches", min=1, help="Steps for its drums alone after that.")
    ] = N_DRUM_BATCHES,
    note_batches: Annotated[
        int,
        typer.Option("--note-batches", min=1, help="Steps of the second network, which tells instruments."),
    ] = N_NOTE_BATCHES,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that make pieces.")] = 2,
    device: Annotated[Device, typer.Option("--device", help="What trains.")] = Device.CPU,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train the default transcriber's networks from nothing.

    Composes and plays random music with several soundfonts, trains two networks on it, calibrates the probabilities
    with others, and writes ONNX weights with a file that says where they come from. Three to five hours
    on two cores, 5 GB of disk and 6 GB of memory; needs the extra `train`. What is made on the way lies in OUT/work; a
    run that was stopped goes on from there.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from d2midi_build.digests import sha256_file
    from d2midi_build.errors import UsageError
    from d2midi_build.train.embedded.fonts import SYSTEM_FOLDER, find

    folders = [*(soundfonts or []), SYSTEM_FOLDER]
    fonts = learn or find(folders, "training")
    others = calibrate or find(folders, "calibration")
    learned = {sha256_file(font) for font in fonts}
    if both := [font for font in others if sha256_file(font) in learned]:
        raise UsageError(f"{both[0]} is given to learn from and to calibrate with: use another one")
    try:
        import torch

        from d2midi_build.train.embedded.fitting import Batches
        from d2midi_build.train.embedded.training import train_embedded
    except ImportError as error:
        raise UsageError(
            f"training needs the extra `train` ({error.name} is missing): uv sync --inexact --extra train"
        ) from error
    if device is Device.CUDA and not torch.cuda.is_available():
        raise UsageError("PyTorch finds no CUDA device here: use --device cpu")
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=quiet or as_json or not console.is_terminal
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def progress(what: str, done: int, total: int) -> None:
            kind = what.partition(" ")[0]
            if kind not in tasks:
                tasks[kind] = bar.add_task(what, total=total)
            bar.update(tasks[kind], completed=done, total=total, description=what)

        said = train_embedded(
            out,
            out / "work",
            fonts,
            others,
            progress,
            pieces,
            max(2, pieces * N_CALIBRATION // N_PIECES),
            Batches(batches, drum_batches, note_batches),
            workers,
            device.value,
        )
    if as_json:
        typer.echo(json.dumps(said))
        return
    typer.echo(f"{out}: {said['parameters']:,} weights, {said['minutes_of_last_call']} min")
    for name, score in said["calibration_scores"].items():
        typer.echo(f"  {name} {score:.3f} (pieces it was calibrated on)")
