"""One update of the weights from one batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from d2midi_build.errors import TrainingError, UsageError
from d2midi_build.train.core.processes import Process, moved
from d2midi_build.train.core.sampling import Piece
from d2midi_build.train.core.settings import Settings
from d2midi_build.train.core.task import Task, Weighted, as_number
from d2midi_build.train.core.watching import Means


@dataclass(frozen=True)
class Update:
    """What an update was.

    Attributes
    ----------
    metrics : dict
        ``loss``, of the whole batch, and what the task says of this process's share.
    weight : float
        Things that the loss is the mean of.
    lr : float
        Learning rate.
    grad_norm : float
        L2 norm of the gradient over all weights, before it was clipped.
    """

    metrics: Mapping[str, float]
    weight: float
    lr: float
    grad_norm: float


class Updater:
    """Adam and what belongs to it.

    Raises
    ------
    UsageError
        If the model has no weight that is trained.
    """

    def __init__(self, task: Task, settings: Settings, here: Process) -> None:
        self._task, self._settings, self._here = task, settings, here
        named = [(name, each) for name, each in task.model.named_parameters() if each.requires_grad]
        if not named:
            raise UsageError("nothing to train: no weight of the model requires a gradient")
        self._names = [name for name, _ in named]
        self._weights = [each for _, each in named]
        self._adam = torch.optim.Adam(self._weights, settings.lr, settings.betas, settings.eps)
        self._scaler = torch.amp.GradScaler("cuda", enabled=here.dtype is torch.float16)

    def state(self) -> dict[str, Any]:
        """State for a checkpoint."""
        return {"optimiser": self._adam.state_dict(), "scaler": self._scaler.state_dict()}

    def load(self, data: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        self._adam.load_state_dict(data["optimiser"])
        if data["scaler"] and self._scaler.is_enabled():
            self._scaler.load_state_dict(data["scaler"])

    def update(self, step: int, pieces: Sequence[Piece]) -> Update:
        """Change the weights by this process's pieces of a batch, together with those of the others.

        Raises
        ------
        TrainingError
            If the loss or its gradient is no number, or the batch has nothing to learn from.
        """
        weights = [self._weight(piece) for piece in pieces]
        mine = torch.tensor([math.fsum(weights)], dtype=torch.float64, device=self._here.device)
        total = float(self._here.total(mine))
        if not total > 0:
            raise TrainingError(
                f"step {step}: the batch has weight {total:g}, so there is nothing to learn from "
                f"({_numbers(pieces)}): leave such examples out"
            )
        lr = self._settings.rate(step)
        for group in self._adam.param_groups:
            group["lr"] = lr
        self._adam.zero_grad(set_to_none=True)
        metrics = self._backward(step, pieces, [weight / total for weight in weights])
        self._here.add_gradients(self._weights)
        self._scaler.unscale_(self._adam)
        norm = self._clipped(step, pieces)
        self._scaler.step(self._adam)
        self._scaler.update()
        return Update(metrics, total, lr, norm)

    def _weight(self, piece: Piece) -> float:
        return (
            float(self._task.weight(piece[1])) if isinstance(self._task, Weighted) else float(len(piece[0]))
        )

    def _backward(self, step: int, pieces: Sequence[Piece], shares: Sequence[float]) -> dict[str, float]:
        """Add up the gradients of the pieces; their metrics, the loss over all processes."""
        here, means, loss, bad = self._here, Means(), 0.0, ""
        for piece, share in zip(pieces, shares, strict=True):
            if share == 0:
                continue
            with torch.autocast(here.device.type, here.dtype, enabled=here.dtype is not torch.float32):
                value, metrics = self._task.loss(moved(piece[1], here.device))
            number = as_number(value)
            loss += share * number
            if not math.isfinite(number):
                bad = _numbers([piece])
                break
            scaled: Any = self._scaler.scale(value * share)
            scaled.backward()
            means.add({name: as_number(each) for name, each in metrics.items()}, share)
        # Added up even when it is no number, so that every process stops and none waits for the others.
        loss = float(here.total(torch.tensor([loss], dtype=torch.float64, device=here.device)))
        if not math.isfinite(loss):
            raise TrainingError(
                f"step {step}: the loss is {loss} ({bad or 'in another process'}): look at these examples; "
                "if they are sound, lower lr or clip_norm"
            )
        return {**means.values(), "loss": loss}

    def _clipped(self, step: int, pieces: Sequence[Piece]) -> float:
        """Norm of the gradient, which is clipped if it is greater than it may be."""
        gradients = [each.grad for each in self._weights if each.grad is not None]
        norm = float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients])))
        if (
            not math.isfinite(norm) and not self._scaler.is_enabled()
        ):  # the scaler skips such an update itself
            names = [
                name
                for name, each in zip(self._names, self._weights, strict=True)
                if each.grad is not None and not bool(torch.isfinite(each.grad).all())
            ]
            raise TrainingError(
                f"step {step}: the gradient of {', '.join(names[:3])} is no number ({_numbers(pieces)}): "
                "look at these examples; if they are sound, lower lr or clip_norm"
            )
        limit = self._settings.clip_norm
        if limit is not None and limit < norm < math.inf:
            for gradient in gradients:
                gradient.mul_(limit / norm)
        return norm


def _numbers(pieces: Sequence[Piece]) -> str:
    numbers = [str(number) for numbers, _ in pieces for number in numbers]
    return f"examples {', '.join(numbers[:32])}{', ...' if len(numbers) > 32 else ''} of the dataset"
