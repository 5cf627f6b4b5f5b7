"""Fits both networks of the embedded transcriber, and goes on where a run was stopped."""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from d2midi_build.train.embedded.crops import batches, drum_batches
from d2midi_build.train.embedded.described import Described, stretches
from d2midi_build.train.embedded.network import Network, NoteNetwork
from d2midi_build.transcribers.embedded.decode import INSTRUMENT_CLASSES

TRAINING_SEED: Final = 20_261_121
"""Decides the first weights and, with the number of a batch, what is drawn for it."""

_RATE: Final = 2e-3
_NOTE_RATE: Final = 1.5e-3
_BATCH: Final = 2
_DRUM_BATCH: Final = 8
_NOTE_BATCH: Final = 8
_SAVE_EVERY: Final = 100

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
"""Numbers from glibc's malloc.h."""


class Batches(NamedTuple):
    """Steps of training: all of the first network, its drums alone, the second network."""

    everything: int
    drums: int
    notes: int


Progress = Callable[[str, int, int], None]
"""Takes what is being done, how many are done and how many there are."""


def train(files: Sequence[Path], work: Path, n_batches: Batches, device: str, progress: Progress) -> Network:
    """Train the first network, or go on from checkpoints: everything, then the drums alone.

    Parameters
    ----------
    files : sequence of Path
        Examples; which crop is drawn in which batch depends on their number and nothing else.
    work : Path
        Folder for checkpoints, written every `_SAVE_EVERY` batches, whole or not at all.
    device : str
        ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    Network
        With the running mean of the weights, on the CPU.
    """
    _keep_memory()
    torch.manual_seed(TRAINING_SEED)
    network = Network().to(device).to(memory_format=torch.channels_last)

    def everything(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        with _half(device):
            answers = network(batch["spectra"], batch["activations"], batch["drums"])
        onset, frame, instrument, hits = (answer.float() for answer in answers)
        return {
            "onset": 60 * functional.binary_cross_entropy_with_logits(onset, batch["onset"]),
            "frame": 5 * functional.binary_cross_entropy_with_logits(frame, batch["frame"]),
            "instrument": 8 * _instrument_loss(instrument, batch),
            "drums": 5 * functional.binary_cross_entropy_with_logits(hits, batch["hits"]),
        }

    drawn = functools.partial(batches, files, TRAINING_SEED, _BATCH)
    _fit("everything", network, everything, drawn, work, n_batches.everything, _RATE, device, progress)

    def drums(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        with _half(device):
            hits = network.drums(batch["drums"])
        return {"drums": 5 * functional.binary_cross_entropy_with_logits(hits.float(), batch["hits"])}

    drawn = functools.partial(drum_batches, files, TRAINING_SEED + 1, _DRUM_BATCH)
    _fit("drums", network.drums, drums, drawn, work, n_batches.drums, _RATE, device, progress)
    return network.to("cpu").to(memory_format=torch.contiguous_format).eval()


def train_notes(
    described: Sequence[Described], work: Path, n_batches: int, device: str, progress: Progress
) -> NoteNetwork:
    """Train the second network, as `train` does the first."""
    _keep_memory()
    torch.manual_seed(TRAINING_SEED)
    some = np.concatenate([each.description for each in described[:: max(1, len(described) // 60)]])
    some = some.astype(np.float32)
    # Columns that hardly vary are not blown up.
    network = NoteNetwork(torch.from_numpy(some.mean(axis=0)), torch.from_numpy(some.std(axis=0) + 0.02))
    network = network.to(device)

    def losses(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        with _half(device):
            answer = network(batch["description"], batch["time_s"], batch["pitch"], batch["absent"]).float()
        there, right = ~batch["absent"], batch["right"] > 0
        per_class = functional.binary_cross_entropy_with_logits(
            answer[..., 1:], batch["plays"], reduction="none"
        )
        return {
            "note": functional.binary_cross_entropy_with_logits(answer[..., 0][there], batch["right"][there]),
            "instrument": per_class[right].sum() / (right.sum() + 20),  # few notes weigh less
        }

    drawn = functools.partial(stretches, described, TRAINING_SEED + 2, _NOTE_BATCH)
    _fit("notes", network, losses, drawn, work, n_batches, _NOTE_RATE, device, progress)
    return network.to("cpu").eval()


def _half(device: str) -> torch.autocast:
    """Half precision on a GPU alone: on some processors (AMD with AVX-512 bfloat16, torch 2.15) PyTorch's gradients of
    dilated convolutions in bfloat16 are not numbers."""
    return torch.autocast(device, torch.bfloat16, enabled=device != "cpu")


def _fit(
    name: str,
    part: nn.Module,
    losses_of: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    drawn: Callable[[int], Iterator[dict[str, npt.NDArray[Any]]]],
    work: Path,
    n_batches: int,
    rate: float,
    device: str,
    progress: Progress,
) -> None:
    """Train ``part`` and leave the running mean of its weights in it."""
    checkpoint = work / f"{name}.pt"
    part.train()
    optimiser = torch.optim.AdamW(part.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=n_batches, pct_start=0.1)
    mean = torch.optim.swa_utils.AveragedModel(part, avg_fn=_running_mean, use_buffers=True)
    kept: dict[str, Any] = {"part": part, "optimiser": optimiser, "schedule": schedule, "mean": mean}
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        for key, each in kept.items():
            each.load_state_dict(state[key])
        torch.set_rng_state(state["chance"])  # dropout on a GPU has its own, which is not kept
        first = state["batch"]
    waiting = drawn(first)
    running: dict[str, float] = {}
    for number in range(first, n_batches):
        losses = losses_of(
            {key: torch.from_numpy(values).to(device) for key, values in next(waiting).items()}
        )
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(part.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        mean.update_parameters(part)
        share = max(0.02, 1 / (number - first + 1))
        for key, loss in losses.items():
            running[key] = running.get(key, 0.0) * (1 - share) + loss.item() * share
        if (number + 1) % _SAVE_EVERY == 0 or number + 1 == n_batches:
            state = {key: each.state_dict() for key, each in kept.items()} | {"batch": number + 1}
            state["chance"] = torch.get_rng_state()
            partial = checkpoint.with_suffix(".partial")
            torch.save(state, partial)
            partial.replace(checkpoint)
        told = ", ".join(f"{key} {value:.3f}" for key, value in running.items())
        progress(f"{name} ({told})", number + 1, n_batches)
    part.load_state_dict(mean.module.state_dict())


def _instrument_loss(answer: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Cross entropy of each instrument, where notes start."""
    starts = batch["starts"][:, None]
    per_class = functional.binary_cross_entropy_with_logits(answer, batch["instrument"], reduction="none")
    loss: Tensor = (per_class * starts).sum() / (starts.sum() * len(INSTRUMENT_CLASSES) + 1)
    return loss


def _keep_memory() -> None:
    """Let malloc keep what is freed: on a virtual machine, giving it back and faulting it in again took three
    quarters of the time. Does nothing without glibc."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        for option, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**30)):
            mallopt(option, value)


def _running_mean(mean: Tensor, value: Tensor, n: Tensor | int) -> Tensor:
    """An exponential mean over 200 batches, over fewer in the beginning."""
    return mean + (value - mean) * max(0.005, 9 / (10 + int(n)))
