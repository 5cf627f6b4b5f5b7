"""One process or several: who this is, on which device, and what they add up together.

Gradients are added here and not by ``DistributedDataParallel``, because a task calls its model itself, perhaps several
parts of it, and the wrapper has to be called instead of the model.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.distributed as dist

from d2midi_build.errors import UsageError
from d2midi_build.train.core.settings import Settings


@dataclass(frozen=True)
class Process:
    """This process.

    Attributes
    ----------
    rank, count : int
        Which of how many. Only rank 0 writes.
    device : torch.device
        What it computes on.
    dtype : torch.dtype
        What it computes in where precision may be reduced: bfloat16, float16 or float32.
    """

    rank: int
    count: int
    device: torch.device
    dtype: torch.dtype

    @property
    def writes(self) -> bool:
        """Whether this process keeps checkpoints, logs and the manifest."""
        return self.rank == 0

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """Sum of a tensor over all processes, in place."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def gathered(self, value: Any) -> list[Any]:
        """The values of all processes, by rank."""
        values: list[Any] = [value]
        if self.count > 1:
            values = [None] * self.count
            dist.all_gather_object(values, value)
        return values

    def same_weights(self, model: torch.nn.Module) -> None:
        """Give all processes the weights and buffers of the first."""
        if self.count > 1:
            for tensor in model.state_dict().values():
                if isinstance(tensor, torch.Tensor):
                    dist.broadcast(tensor, 0)

    def add_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Make each gradient the sum over all processes; one that no process has stays None."""
        if self.count == 1:
            return
        has = torch.tensor([float(each.grad is not None) for each in parameters], device=self.device)
        flat = [
            torch.zeros_like(each).flatten() if each.grad is None else each.grad.flatten()
            for each in parameters
        ]
        added = self.total(torch.cat([has, *flat]))
        start = len(parameters)
        for parameter, some in zip(parameters, added[:start].tolist(), strict=True):
            part = added[start : start + parameter.numel()]
            parameter.grad = part.view_as(parameter) if some else None
            start += parameter.numel()


@contextmanager
def process(settings: Settings) -> Iterator[Process]:
    """This process as ``torchrun`` started it, or the only one; joins the others where that has not been done.

    Raises
    ------
    UsageError
        If a GPU is asked for and there is none.
    """
    gpu = torch.cuda.is_available() and settings.device != "cpu"
    if settings.device == "cuda" and not gpu:
        raise UsageError("settings: device = 'cuda', but torch sees no GPU: use 'auto' or 'cpu'")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    launched = os.environ.keys() >= {"RANK", "WORLD_SIZE", "MASTER_ADDR"}
    joins = launched and dist.is_available() and not dist.is_initialized()
    if joins:
        # Its functions take the group there is when it is imported as their default and never let go of it. Adam
        # imports it at its first step: the group's threads would then outlive the group, and abort a process that ends.
        importlib.import_module("torch.distributed.nn.functional")
        dist.init_process_group("nccl" if gpu else "gloo")
    try:
        together = dist.is_available() and dist.is_initialized()
        rank, count = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
        yield Process(rank, count, device, _precision(settings, gpu))
    finally:
        if joins:
            dist.destroy_process_group()


def moved(batch: Any, device: torch.device) -> Any:
    """A batch with its tensors, however deep in dicts, lists and tuples, on a device."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {name: moved(value, device) for name, value in batch.items()}
    if isinstance(batch, list):
        return [moved(value, device) for value in batch]
    if isinstance(batch, tuple):
        parts = [moved(value, device) for value in batch]
        return cast(Any, type(batch))(*parts) if hasattr(batch, "_fields") else tuple(parts)
    return batch


def _precision(settings: Settings, gpu: bool) -> torch.dtype:
    if not gpu or settings.amp == "off":
        return torch.float32
    if settings.amp == "auto":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.bfloat16 if settings.amp == "bf16" else torch.float16
