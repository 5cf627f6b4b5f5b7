"""What is seen of a run while it goes on and after it: progress, means between rows of the log, the manifest."""

from __future__ import annotations

import hashlib
import platform
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

import d2midi_build
from d2midi_build.train.core.files import FORMAT
from d2midi_build.train.core.processes import Process
from d2midi_build.train.core.settings import Settings

_RATE_OVER: Final = 50
"""Updates that a rate is taken over."""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    step, steps : int
        Updates done, of how many.
    epoch : float
        Times that all examples were seen.
    loss : float
        Of the last update's batch.
    metrics : dict
        Of the same, by name.
    lr : float
        Learning rate of the last update.
    steps_per_s, examples_per_s : float
        Rates over the last 50 updates.
    eta_s : float
        Seconds left at this rate.
    """

    step: int
    steps: int
    epoch: float
    loss: float
    metrics: Mapping[str, float]
    lr: float
    steps_per_s: float
    examples_per_s: float
    eta_s: float


class Pace:
    """Updates per second, from the times at which the last ones ended."""

    def __init__(self, now_s: float) -> None:
        self._times_s = deque([now_s], maxlen=_RATE_OVER + 1)

    def tick(self, now_s: float) -> float:
        """One more update has ended; the rate in updates per second."""
        self._times_s.append(now_s)
        return (len(self._times_s) - 1) / max(now_s - self._times_s[0], 1e-9)


@dataclass
class Means:
    """Weighted means of metrics since they were last taken. Part of a checkpoint, so rows of the log do not depend on
    where a run was interrupted."""

    sums: dict[str, list[float]] = field(default_factory=dict)

    def add(self, metrics: Mapping[str, float], weight: float) -> None:
        """Add values that are each the mean of ``weight`` things."""
        for name, value in metrics.items():
            total = self.sums.setdefault(name, [0.0, 0.0])
            total[0] += value * weight
            total[1] += weight

    def values(self) -> dict[str, float]:
        """The means."""
        return {name: total / weight for name, (total, weight) in self.sums.items()}

    def take(self) -> dict[str, float]:
        """The means, and begin anew."""
        values = self.values()
        self.sums = {}
        return values


def manifest(
    settings: Settings,
    about: Mapping[str, Any],
    here: Process,
    model: torch.nn.Module,
    reached: Mapping[str, Any],
) -> dict[str, Any]:
    """What a run was, as ``run.json`` says it; ``reached`` are the fields that change while it goes on."""
    name = torch.cuda.get_device_name(here.device) if here.device.type == "cuda" else platform.machine()
    counts = [(each.numel(), each.requires_grad) for each in model.parameters()]
    return {
        "format": FORMAT,
        "task": about,
        "settings": settings.as_data(),
        "versions": {
            "d2midi": metadata.version("d2midi"),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "code": code_version(),
        "device": {
            "type": here.device.type,
            "name": name,
            "processes": here.count,
            "precision": str(here.dtype).removeprefix("torch."),
        },
        "model": {
            "weights": sum(number for number, _ in counts),
            "trained": sum(number for number, trained in counts if trained),
        },
        **reached,
    }


@cache
def code_version() -> str:
    """SHA-256 over the package's Python files, names and bytes: the code that ran, with or without a repository."""
    root = Path(d2midi_build.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return digest.hexdigest()
