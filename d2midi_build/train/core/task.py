"""What the trainer asks of a model and its data, and what it says when they do not learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch

Metric = float | torch.Tensor
"""A number, or a tensor that holds one."""


def as_number(metric: Metric) -> float:
    """A metric as a number."""
    return float(metric.detach() if isinstance(metric, torch.Tensor) else metric)


class Examples(Protocol):
    """A map-style dataset. Random numbers it draws are seeded by the place of the example in the run."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class Task(Protocol):
    """A model with the examples it learns from and the loss it learns by.

    Weights made before `train` is called are the caller's: seed before the model is built.
    """

    @property
    def model(self) -> torch.nn.Module:
        """Everything with weights; those with ``requires_grad`` are trained. Moved to the device of the run."""
        ...

    @property
    def dataset(self) -> Examples:
        """What there is to learn from."""
        ...

    def collate(self, examples: Sequence[Any], /) -> Any:
        """A batch of examples: tensors, or dicts, lists and tuples of them, whose tensors go to the device."""
        ...

    def loss(self, batch: Any, /) -> tuple[torch.Tensor, Mapping[str, Metric]]:
        """Mean loss of a batch as a scalar, and what else is to be logged of it.

        Random numbers (dropout, augmentation) come from torch's global generator, whose state is in checkpoints.
        """
        ...


@runtime_checkable
class Weighted(Protocol):
    """A task whose loss is a mean over something else than examples, as tokens that are no padding."""

    def weight(self, batch: Any, /) -> float:
        """How many things the loss of this batch, not yet on the device, is the mean of. 0 skips the batch."""
        ...


@runtime_checkable
class Judged(Protocol):
    """A task that can say how good its model is; otherwise the mean training loss between checkpoints counts."""

    def evaluate(self) -> Mapping[str, Metric]:
        """Metrics, `Settings.best` among them. Called at checkpoints, in the first process only, without gradients
        and with the model in evaluation mode. Random numbers it draws do not change the training."""
        ...


@runtime_checkable
class Described(Protocol):
    """A task that says what it is made of."""

    @property
    def about(self) -> Mapping[str, Any]:
        """Plain data for the manifest, as the digest of the release and the sizes of the model. A run that is taken
        up again must have the same."""
        ...
