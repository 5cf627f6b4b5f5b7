"""Training the gate's small models: to the last step, which is the only checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from d2midi_build.train import core
from d2midi_build.train.core.settings import Amp

Progress = Callable[[float], None]
"""Takes the share that is done, 0-1."""


def fit(
    task: core.Task,
    folder: Path,
    *,
    seed: int,
    steps: int,
    batch: int,
    lr: float,
    warmup: int,
    amp: Amp = "auto",
    progress: Progress = lambda share: None,
) -> None:
    """Train the model of a task, or take up what an earlier run left in the folder.

    Parameters and errors are those of `core.Settings` and `core.train`.
    """
    settings = core.Settings(
        steps=steps,
        batch=batch,
        lr=lr,
        warmup=max(warmup, 1),
        seed=seed,
        amp=amp,
        checkpoint_every=steps,
        log_every=steps,
    )
    core.train(task, settings, folder, progress=lambda now: progress(now.step / now.steps))


def part(progress: Progress, place: int, count: int) -> Progress:
    """Progress of one of some trainings."""
    return lambda share: progress((place + share) / count)
