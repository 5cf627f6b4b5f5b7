"""Small tasks of made-up tensors; their randomness is of every kind that a checkpoint has to keep."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from d2midi_build.train.core import Settings

Example = tuple[torch.Tensor, torch.Tensor]


def settings(**fields: Any) -> Settings:
    """Ten updates of four examples on a CPU."""
    chosen: dict[str, Any] = {"steps": 10, "batch": 4, "warmup": 4, "lr": 0.01, "device": "cpu"}
    return Settings(**(chosen | {"checkpoint_every": 5, "log_every": 3} | fields))


class Points:
    """A line through noise: 13 examples of 3 numbers and a target."""

    def __init__(self, n: int = 13) -> None:
        made = torch.Generator().manual_seed(5)
        self.inputs = torch.randn(n, 3, generator=made)
        self.targets = self.inputs @ torch.tensor([1.0, -2.0, 0.5]) + 0.1 * torch.randn(n, generator=made)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> Example:
        return self.inputs[index], self.targets[index]


class Line:
    """A small network without randomness."""

    def __init__(self, n: int = 13) -> None:
        torch.manual_seed(1)
        self.model: torch.nn.Module = torch.nn.Sequential(
            torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
        )
        self.dataset: Any = Points(n)

    def collate(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        return {
            "inputs": torch.stack([each[0] for each in examples]),
            "targets": torch.stack([each[1] for each in examples]),
        }

    def loss(self, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        wrong = self.model(batch["inputs"])[:, 0] - batch["targets"]
        return (wrong**2).mean(), {"absolute": wrong.abs().mean()}


class Broken(Line):
    """One target is no number."""

    def __init__(self, n: int = 13) -> None:
        super().__init__(n)
        self.dataset.targets[6] = torch.nan


class NoisyPoints(Points):
    """Points that Python, NumPy and torch shake."""

    def __getitem__(self, index: int) -> Example:
        inputs, target = super().__getitem__(index)
        noise = random.gauss(0, 0.1) + np.random.normal(0, 0.1)
        return inputs + noise + 0.1 * torch.randn(3), target


class Noisy(Line):
    """Randomness in the examples, in the model and in the loss, running means, and an evaluation that draws too."""

    def __init__(self, n: int = 13) -> None:
        super().__init__(n)
        layers = [
            torch.nn.Linear(3, 8),
            torch.nn.BatchNorm1d(8),
            torch.nn.Dropout(0.3),
            torch.nn.Linear(8, 1),
        ]
        self.model = torch.nn.Sequential(*layers)
        self.dataset = NoisyPoints(n)

    def loss(self, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        shaken = batch["inputs"] * (1 + 0.1 * random.random() + 0.1 * np.random.random())
        return super().loss({**batch, "inputs": shaken})

    def evaluate(self) -> dict[str, float]:
        assert not self.model.training and not torch.is_grad_enabled()
        whole = Points()
        wrong = self.model(whole.inputs)[:, 0] - whole.targets
        return {"loss": float((wrong**2).mean()) + 1e-3 * random.random() + float(torch.rand(1)) * 1e-3}
