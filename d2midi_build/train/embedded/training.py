"""One run from soundfonts to weights: make examples, train, export, calibrate, write down where they come from."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from d2midi_build.digests import sha256_file
from d2midi_build.errors import D2midiError
from d2midi_build.train.embedded.calibration import calibrate
from d2midi_build.train.embedded.crops import batches
from d2midi_build.train.embedded.data import example
from d2midi_build.train.embedded.fonts import FONTS
from d2midi_build.train.embedded.network import Network, Probabilities
from d2midi_build.transcribers.embedded.decode import CHUNK_FRAMES, INSTRUMENT_CLASSES
from d2midi_build.transcribers.embedded.features import N_BINS, N_DRUM_BANDS, N_PITCHES
from d2midi_build.transcribers.embedded.model import Model

TRAINING_SEED: Final = 20_261_121
CALIBRATION_SEED: Final = 20_261_122
"""First numbers of every piece's seed. Test pieces have seeds of one small number: none is shared."""

N_PIECES: Final = 1000
N_CALIBRATION: Final = 60
N_BATCHES: Final = 1100
N_INSTRUMENT_BATCHES: Final = 350

_RATE: Final = 2e-3
_BATCH: Final = 2
_SAVE_EVERY: Final = 100

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
"""Numbers from glibc's malloc.h."""

Progress = Callable[[str, int, int], None]
"""Takes what is being done, how many are done and how many there are."""


def train_embedded(
    out: Path,
    work: Path,
    fonts: Sequence[Path],
    calibration_fonts: Sequence[Path],
    progress: Progress,
    pieces: int = N_PIECES,
    calibration_pieces: int = N_CALIBRATION,
    n_batches: int = N_BATCHES,
    n_instrument_batches: int = N_INSTRUMENT_BATCHES,
    workers: int = 1,
    device: str = "cpu",
) -> dict[str, Any]:
    """Everything from soundfonts to weights that `Embedded` can be given.

    Parameters
    ----------
    out : Path
        Folder for ``embedded.onnx``, ``calibration.json`` and ``provenance.json``.
    work : Path
        Folder for examples (1.7 MB each) and the checkpoint; a run that was stopped goes on from there.
    fonts, calibration_fonts : sequence of Path
        General MIDI soundfonts to learn from, and others to calibrate with.

    Returns
    -------
    dict
        What ``provenance.json`` says.
    """
    started = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    files = make_examples(work / "training", TRAINING_SEED, pieces, fonts, workers, progress)
    held = make_examples(
        work / "calibration", CALIBRATION_SEED, calibration_pieces, calibration_fonts, workers, progress
    )
    network = train(files, work, n_batches, n_instrument_batches, device, progress)
    export(network, out / "embedded.onnx")
    calibration, scores = calibrate(Model(out / "embedded.onnx"), held)
    calibration.save(out / "calibration.json")
    known = {font.sha256: font for font in FONTS}
    said = {
        "made_by": "d2midi models train-embedded",
        "data": "random arrangements (d2midi_build.synthetic.arrangement), see d2midi_build.train.embedded.data",
        "seeds": {"training": [TRAINING_SEED, pieces], "calibration": [CALIBRATION_SEED, calibration_pieces]},
        "batches": {"everything": n_batches, "instruments": n_instrument_batches},
        "parameters": sum(values.numel() for values in network.parameters()),
        "soundfonts": [
            {
                "name": font.name,
                "sha256": digest,
                "role": role,
                "licence": known[digest].licence if digest in known else "not known to d2midi",
                "source": known[digest].source if digest in known else "given by the user",
            }
            for role, files_ in (("training", fonts), ("calibration", calibration_fonts))
            for font, digest in ((font, sha256_file(font)) for font in files_)
        ],
        "calibration_scores": scores,
        "weights": {name: sha256_file(out / name) for name in ("embedded.onnx", "calibration.json")},
        "torch": torch.__version__,
        "device": device,
        "minutes": round((time.monotonic() - started) / 60, 1),
    }
    (out / "provenance.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return said


def make_examples(
    folder: Path, seed: int, n: int, fonts: Sequence[Path], workers: int, progress: Progress
) -> list[Path]:
    """Make the examples that are not there yet.

    Parameters
    ----------
    folder : Path
        Where they lie, one file each; what an earlier, perhaps killed, run left is used.
    seed : int
        Example ``i`` is made with the seed ``(seed, i)``, whatever the number of workers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{seed}-{i:05d}.npz" for i in range(n)]
    if all(file.exists() for file in files):
        return files
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_make, args=(seed, files, [str(font) for font in fonts], worker, workers))
        for worker in range(workers)
    ]
    for process in processes:
        process.start()
    try:
        while any(process.is_alive() for process in processes):
            progress("examples", sum(file.exists() for file in files), n)
            for process in processes:
                process.join(1.0)
    finally:
        for process in processes:
            process.terminate()
            process.join()
    if missing := [file for file in files if not file.exists()]:
        raise D2midiError(f"{len(missing)} of {n} examples could not be made; the workers' messages say why")
    return files


def _make(seed: int, files: Sequence[Path], fonts: Sequence[str], worker: int, workers: int) -> None:
    for i in range(worker, len(files), workers):
        if not files[i].exists():
            example((seed, i), [Path(font) for font in fonts]).save(files[i])


def train(
    files: Sequence[Path],
    work: Path,
    n_batches: int,
    n_instrument_batches: int,
    device: str,
    progress: Progress,
) -> Network:
    """Train the network, or go on from checkpoints: everything first, then the instruments alone.

    Instruments take longest to learn, and alone a batch costs a third.

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
        with torch.autocast(device, torch.bfloat16):
            answers = network(batch["spectra"], batch["activations"], batch["drums"])
        onset, frame, instrument, hits = (answer.float() for answer in answers)
        return {
            "onset": 60 * functional.binary_cross_entropy_with_logits(onset, batch["onset"]),
            "frame": 5 * functional.binary_cross_entropy_with_logits(frame, batch["frame"]),
            "instrument": 8 * _instrument_loss(instrument, batch),
            "drums": 5 * functional.binary_cross_entropy_with_logits(hits, batch["hits"]),
        }

    drawn = functools.partial(batches, files, TRAINING_SEED, _BATCH)
    _fit(network, everything, drawn, work / "everything.pt", n_batches, device, progress)

    network.eval()
    instruments = nn.ModuleList([network.timbre, network.instruments])

    def alone(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        with torch.autocast(device, torch.bfloat16):
            with torch.no_grad():
                heard = network.heard(batch["spectra"], batch["activations"])
            answer = network.instruments(network.timbre(heard))
        return {"instrument": 8 * _instrument_loss(answer.float(), batch)}

    drawn = functools.partial(batches, files, TRAINING_SEED + 1, 2 * _BATCH)
    _fit(instruments, alone, drawn, work / "instruments.pt", n_instrument_batches, device, progress)
    return network.to("cpu").to(memory_format=torch.contiguous_format).eval()


def _fit(
    part: nn.Module,
    losses_of: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    drawn: Callable[[int], Iterator[dict[str, npt.NDArray[np.float32]]]],
    checkpoint: Path,
    n_batches: int,
    device: str,
    progress: Progress,
) -> None:
    """Train ``part`` and leave the running mean of its weights in it."""
    part.train()
    optimiser = torch.optim.AdamW(part.parameters(), lr=_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=n_batches, pct_start=0.1)
    mean = torch.optim.swa_utils.AveragedModel(part, avg_fn=_running_mean, use_buffers=True)
    kept: dict[str, Any] = {"part": part, "optimiser": optimiser, "schedule": schedule, "mean": mean}
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        for name, each in kept.items():
            each.load_state_dict(state[name])
        torch.set_rng_state(state["chance"])  # dropout on a GPU has its own, which is not kept
        first = state["batch"]
    waiting = drawn(first)
    running: dict[str, float] = {}
    for number in range(first, n_batches):
        losses = losses_of(
            {name: torch.from_numpy(values).to(device) for name, values in next(waiting).items()}
        )
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(part.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        mean.update_parameters(part)
        share = max(0.02, 1 / (number - first + 1))
        for name, loss in losses.items():
            running[name] = running.get(name, 0.0) * (1 - share) + loss.item() * share
        if (number + 1) % _SAVE_EVERY == 0 or number + 1 == n_batches:
            state = {name: each.state_dict() for name, each in kept.items()} | {"batch": number + 1}
            state["chance"] = torch.get_rng_state()
            partial = checkpoint.with_suffix(".partial")
            torch.save(state, partial)
            partial.replace(checkpoint)
        told = ", ".join(f"{name} {value:.3f}" for name, value in running.items())
        progress(f"training ({told})" if len(losses) > 1 else f"instruments ({told})", number + 1, n_batches)
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


def export(network: Network, path: Path) -> None:
    """Write the network with probabilities as answers, for inputs of one chunk, as ONNX."""
    shapes = [
        (1, 2, CHUNK_FRAMES, N_BINS),
        (1, 2, CHUNK_FRAMES, N_PITCHES),
        (1, 2 * CHUNK_FRAMES, N_DRUM_BANDS),
    ]
    partial = path.with_suffix(".partial")
    torch.onnx.export(
        Probabilities(network).eval(),
        tuple(torch.zeros(shape) for shape in shapes),
        partial,
        input_names=["spectra", "activations", "drums"],
        output_names=["onset", "frame", "instrument", "hits"],
        dynamo=False,
        opset_version=17,
    )
    partial.replace(path)
