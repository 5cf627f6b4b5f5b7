"""One run from soundfonts to weights: make examples, train, export, calibrate, write down where they come from."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import multiprocessing
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from d2midi_build.digests import sha256_file
from d2midi_build.errors import D2midiError, UsageError
from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import synthesise
from d2midi_build.train.embedded import N_BATCHES, N_CALIBRATION, N_DRUM_BATCHES, N_NOTE_BATCHES, N_PIECES
from d2midi_build.train.embedded.calibration import calibrate
from d2midi_build.train.embedded.crops import batches, drum_batches
from d2midi_build.train.embedded.data import example, noise
from d2midi_build.train.embedded.described import Described, describe_example, stretches
from d2midi_build.train.embedded.fonts import FONTS
from d2midi_build.train.embedded.network import Heard, Judged, Network, NoteNetwork
from d2midi_build.transcribers.embedded import CALIBRATION, NOTE_WEIGHTS, WEIGHTS
from d2midi_build.transcribers.embedded.decode import CHUNK_FRAMES, INSTRUMENT_CLASSES
from d2midi_build.transcribers.embedded.features import N_BINS, N_DRUM_BANDS, N_PITCHES, RATE_HZ
from d2midi_build.transcribers.embedded.model import Model

TRAINING_SEED: Final = 20_261_121
CALIBRATION_SEED: Final = 20_261_126
KNOWN_SEED: Final = 20_261_127
NOTE_SEED: Final = 20_261_123
NOISE_SEED: Final = 20_261_124
"""First numbers of every piece's seed. Test pieces have seeds of one small number: none is shared."""

_RATE: Final = 2e-3
_NOTE_RATE: Final = 1.5e-3
_BATCH: Final = 2
_DRUM_BATCH: Final = 8
_NOTE_BATCH: Final = 8
_PIECES_PER_NOISE: Final = 25
_SAVE_EVERY: Final = 100

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
"""Numbers from glibc's malloc.h."""


class Batches(NamedTuple):
    """Steps of training: all of the first network, its drums alone, the second network."""

    everything: int
    drums: int
    notes: int


DEFAULT_BATCHES: Final = Batches(N_BATCHES, N_DRUM_BATCHES, N_NOTE_BATCHES)

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
    n_batches: Batches = DEFAULT_BATCHES,
    workers: int = 1,
    device: str = "cpu",
) -> dict[str, Any]:
    """Everything from soundfonts to weights that `Embedded` can be given.

    Parameters
    ----------
    out : Path
        Folder for ``embedded.onnx``, ``notes.onnx``, ``calibration.json`` and ``provenance.json``.
    work : Path
        Folder for examples (2.6 MB each, with what the first network hears in them) and checkpoints; a run
        that was stopped goes on from there.
    fonts, calibration_fonts : sequence of Path
        General MIDI soundfonts to learn from, and others to calibrate with.

    Returns
    -------
    dict
        What ``provenance.json`` says.

    Raises
    ------
    UsageError
        If a file is no soundfont, or ``work`` was begun with other settings.
    """
    started = time.monotonic()
    soundfonts = _named(fonts, "training") + _named(calibration_fonts, "calibration")
    out.mkdir(parents=True, exist_ok=True)
    asked = [
        pieces,
        calibration_pieces,
        list(n_batches),
        [[font["sha256"], font["role"]] for font in soundfonts],
    ]
    _begin(work, json.dumps(asked))
    files = make_examples(work / "training", TRAINING_SEED, pieces, fonts, workers, progress)
    folder = work / "calibration"
    held, known = (
        make_examples(folder, seed, calibration_pieces, fonts_, workers, progress, usual=True)
        for seed, fonts_ in ((CALIBRATION_SEED, calibration_fonts), (KNOWN_SEED, fonts))
    )
    network = train(files, work, n_batches, device, progress)
    export(network, out / "embedded.onnx")
    # Half of what the second network learns from is music the first one does not know, as in use.
    files += make_examples(work / "notes", NOTE_SEED, pieces, fonts, workers, progress, other_bodies=True)
    noises = _files(work / "noise", NOISE_SEED, -(-pieces // _PIECES_PER_NOISE))
    _made("noises", noises, functools.partial(_noise, NOISE_SEED), workers, progress)
    files += noises
    folder = work / f"described-{sha256_file(out / 'embedded.onnx')[:8]}"
    described_files = [folder / file.name for file in files]
    describing = functools.partial(describe_example, out / "embedded.onnx", files, NOTE_SEED)
    _made("descriptions", described_files, describing, workers, progress)
    described = [each for each in map(Described.load, described_files) if len(each.frame)]
    judge = train_notes(described, folder, n_batches.notes, device, progress)
    export_notes(judge, out / "notes.onnx")
    calibration, scores = calibrate(Model(out / "embedded.onnx", out / "notes.onnx"), held, known)
    calibration.save(out / "calibration.json")
    said = {
        "made_by": "d2midi models train-embedded",
        "data": "random arrangements (d2midi_build.synthetic.arrangement); for the second network also with "
        "instruments of other sizes, and noise; for calibration also songs of d2midi_build.synthetic.band with seeds "
        "of their own; see d2midi_build.train.embedded.data",
        "seeds": {
            "training": [TRAINING_SEED, pieces],
            "notes": [NOTE_SEED, pieces],
            "noises": [NOISE_SEED, len(noises)],
            "calibration": [CALIBRATION_SEED, calibration_pieces],
            "calibration with the training fonts": [KNOWN_SEED, calibration_pieces],
        },
        "batches": n_batches._asdict(),
        "parameters": sum(values.numel() for part in (network, judge) for values in part.parameters()),
        "soundfonts": soundfonts,
        "midi": [],
        "calibration_scores": scores,
        "weights": {
            name: sha256_file(out / name) for name in (WEIGHTS.name, NOTE_WEIGHTS.name, CALIBRATION.name)
        },
        "torch": torch.__version__,
        "device": device,
        "minutes_of_last_call": round((time.monotonic() - started) / 60, 1),
    }
    (out / "provenance.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return said


def _begin(work: Path, asked: str) -> None:
    """Note what a work folder is for; what lies there is only used for the same."""
    work.mkdir(parents=True, exist_ok=True)
    settings = work / "settings.json"
    if settings.exists() and settings.read_text(encoding="utf-8") != asked:
        raise UsageError(
            f"{work} was begun with other soundfonts, pieces or batches: give another --out, or remove that folder"
        )
    settings.write_text(asked, encoding="utf-8")


def _named(fonts: Sequence[Path], role: str) -> list[dict[str, str]]:
    """What provenance says of soundfonts, each of which can be played."""
    known = {font.sha256: font for font in FONTS}
    out = []
    for font in fonts:
        synthesise(Notes.create(np.zeros(1), np.full(1, 0.1), 60, 100), RATE_HZ, soundfont=font)
        digest = sha256_file(font)
        out.append(
            {
                "name": font.name,
                "sha256": digest,
                "role": role,
                "licence": known[digest].licence if digest in known else "not known to d2midi",
                "source": known[digest].source if digest in known else "given by the user",
            }
        )
    return out


def make_examples(
    folder: Path,
    seed: int,
    n: int,
    fonts: Sequence[Path],
    workers: int,
    progress: Progress,
    other_bodies: bool = False,
    usual: bool = False,
) -> list[Path]:
    """Make the examples that are not there yet.

    Parameters
    ----------
    folder : Path
        Where they lie, one file each; what an earlier, perhaps killed, run left is used.
    seed : int
        Example ``i`` is made with the seed ``(seed, i)``, whatever the number of workers.
    other_bodies, usual : bool
        As in `example`.
    """
    files = _files(folder, seed, n)
    _made(
        "examples",
        files,
        functools.partial(_example, seed, list(fonts), other_bodies, usual),
        workers,
        progress,
    )
    return files


def _files(folder: Path, seed: int, n: int) -> list[Path]:
    return [folder / f"{seed}-{i:05d}.npz" for i in range(n)]


def _noise(seed: int, number: int, path: Path) -> None:
    noise((seed, number)).save(path)


def _example(
    seed: int, fonts: Sequence[Path], other_bodies: bool, usual: bool, number: int, path: Path
) -> None:
    example((seed, number), fonts, other_bodies, usual).save(path)


def _made(
    what: str, files: Sequence[Path], make: Callable[[int, Path], None], workers: int, progress: Progress
) -> None:
    """Call ``make`` in processes with the number and path of every file that is not there."""
    files[0].parent.mkdir(parents=True, exist_ok=True)
    if all(file.exists() for file in files):
        return
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_make, args=(make, files, worker, workers)) for worker in range(workers)
    ]
    for process in processes:
        process.start()
    try:
        while any(process.is_alive() for process in processes):
            progress(what, sum(file.exists() for file in files), len(files))
            for process in processes:
                process.join(1.0)
    finally:
        for process in processes:
            process.terminate()
            process.join()
    if missing := [file for file in files if not file.exists()]:
        raise D2midiError(
            f"{what}: {len(missing)} of {len(files)} could not be made; the workers' messages say why"
        )


def _make(make: Callable[[int, Path], None], files: Sequence[Path], worker: int, workers: int) -> None:
    for number in range(worker, len(files), workers):
        if not files[number].exists():
            make(number, files[number])


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
    _fit("everything", network, everything, drawn, work, n_batches.everything, _RATE, device, progress)

    def drums(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        with torch.autocast(device, torch.bfloat16):
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
        with torch.autocast(device, torch.bfloat16):
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


def export(network: Network, path: Path) -> None:
    """Write the first network for inputs of one chunk as ONNX."""
    shapes = [
        (1, 2, CHUNK_FRAMES, N_BINS),
        (1, 2, CHUNK_FRAMES, N_PITCHES),
        (1, 2 * CHUNK_FRAMES, N_DRUM_BANDS),
    ]
    _export(
        Heard(network),
        tuple(torch.zeros(shape) for shape in shapes),
        path,
        ["spectra", "activations", "drums"],
        ["onset", "frame", "hits", "heard", "timbre"],
        {},
    )


def export_notes(network: NoteNetwork, path: Path) -> None:
    """Write the second network for any number of candidates as ONNX."""
    inputs = ["description", "time_s", "pitch"]
    _export(
        Judged(network),
        (torch.zeros(5, len(network.mean)), torch.zeros(5), torch.zeros(5)),
        path,
        inputs,
        ["likely", "instruments"],
        {name: {0: "candidates"} for name in (*inputs, "likely", "instruments")},
    )


def _export(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    input_names: list[str],
    output_names: list[str],
    dynamic_axes: dict[str, dict[int, str]],
) -> None:
    partial = path.with_suffix(".partial")
    with warnings.catch_warnings():
        # The exporter that PyTorch now prefers needs onnxscript; this one says so, and that it folds no constants.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            inputs,
            partial,
            input_names=input_names,
            output_names=output_names,
            dynamic_axes=dynamic_axes,
            dynamo=False,
            opset_version=17,
        )
    partial.replace(path)
