"""One run from soundfonts to weights: make examples, train, export, calibrate, write down where they come from."""

from __future__ import annotations

import functools
import json
import multiprocessing
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from d2midi_build.digests import sha256_file
from d2midi_build.errors import D2midiError, UsageError
from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import synthesise
from d2midi_build.train.embedded import N_BATCHES, N_CALIBRATION, N_DRUM_BATCHES, N_NOTE_BATCHES, N_PIECES
from d2midi_build.train.embedded.calibration import calibrate
from d2midi_build.train.embedded.data import example, noise
from d2midi_build.train.embedded.described import Described, describe_example
from d2midi_build.train.embedded.fitting import TRAINING_SEED, Batches, Progress, train, train_notes
from d2midi_build.train.embedded.fonts import FONTS
from d2midi_build.train.embedded.network import export, export_notes
from d2midi_build.transcribers.embedded import CALIBRATION, NOTE_WEIGHTS, WEIGHTS
from d2midi_build.transcribers.embedded.features import RATE_HZ
from d2midi_build.transcribers.embedded.model import Model

CALIBRATION_SEED: Final = 20_261_126
KNOWN_SEED: Final = 20_261_127
NOTE_SEED: Final = 20_261_123
NOISE_SEED: Final = 20_261_124
"""First numbers of every piece's seed. Test pieces have seeds of one small number: none is shared."""

_PIECES_PER_NOISE: Final = 25
DEFAULT_BATCHES: Final = Batches(N_BATCHES, N_DRUM_BATCHES, N_NOTE_BATCHES)


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
