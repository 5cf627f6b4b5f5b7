"""Learning drums from dances: crops of 8 s of pairs, for the trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from d2midi_build import clock
from d2midi_build.digests import sha256_data
from d2midi_build.music.notes import Notes
from d2midi_build.train.gate.dances import CROP_FRAMES, N_FEATURES, starts
from d2midi_build.train.gate.fitting import Progress, fit
from d2midi_build.train.gate.heard import Heard
from d2midi_build.train.gate.pairs import Pair, one_each
from d2midi_build.train.gate.records import Record, Verdict
from d2midi_build.train.models.drums import DrumDecoder
from d2midi_build.train.tokens.order import Quads
from d2midi_build.train.tokens.quad import encode
from d2midi_build.train.tokens.vocabulary import FRAMES_PER_BAR, PAD

FloatArray = npt.NDArray[np.float64]

BARS: Final = CROP_FRAMES // FRAMES_PER_BAR
"""Nominal bars of a crop."""

MOST_CROPS: Final = 4000
"""`STEPS` updates see 1600."""

STEPS: Final = 200
BATCH: Final = 8
_LR: Final = 5e-3
_WARMUP: Final = 50
_AT_ONCE: Final = 64
"""Crops whose loss is computed together."""

OVERFIT_CROPS: Final = 8
OVERFIT_NATS: Final = 0.3
"""Nats per quad below which crops are known by heart (facts/baselines.md, section 3.4)."""


@dataclass(frozen=True, eq=False)
class Crop:
    """Four bars of drums, and where they are cut from.

    Attributes
    ----------
    pair : Pair
    start : int
        First frame, of dance and music.
    quads : np.ndarray, shape (n, 4), int16
    """

    pair: Pair
    start: int
    quads: Quads

    @property
    def view(self) -> View:
        """What is seen of its dance."""
        return View(self.pair.dance, self.start, self.pair.n_frames)


@dataclass(frozen=True, eq=False)
class View:
    """The 8 s of a dance from a frame on, or less where it ends before."""

    dance: Heard
    start: int
    end: int

    @property
    def features(self) -> npt.NDArray[np.float32]:
        """Shape (160, 39); zeros after the end."""
        found = np.zeros((CROP_FRAMES, N_FEATURES), np.float32)
        mine = self.dance.features[self.start : min(self.start + CROP_FRAMES, self.end)]
        found[: len(mine)] = mine
        return found


def drums_of(music: Heard, start: int, end: int) -> Notes:
    """Drum notes that start in the 8 s from a frame on and before frame ``end``, times from there."""
    last = min(start + CROP_FRAMES, end)
    notes = music.notes.drums().starting_in(clock.frame_time_s(start), clock.frame_time_s(last))
    return notes.shifted(-clock.frame_time_s(start))


def crops(pairs: Sequence[Pair], every: int, most: int = MOST_CROPS) -> list[Crop]:
    """Crops of pairs that have drums, and whose dance is seen.

    Parameters
    ----------
    pairs : sequence of Pair
    every : int
        Frames from one to the next: `CROP_FRAMES` where none may be seen twice.
    most : int, optional
        Where there are more places, so many are taken, evenly spread. Default is 4000.
    """
    places = [(pair, start) for pair in pairs for start in starts(pair.n_frames, every)]
    if len(places) > most:
        places = [places[round(place)] for place in np.linspace(0, len(places) - 1, most)]
    found = []
    for pair, start in places:
        drums = drums_of(pair.music, start, pair.n_frames)
        if len(drums) and pair.dance.present[start : start + CROP_FRAMES].any():
            found.append(Crop(pair, start, encode(drums, BARS).quads))
    return found


def first_crop(pair: Pair) -> Crop | None:
    """The first that has drums, of those that share no frame."""
    return next(iter(crops([pair], CROP_FRAMES)), None)


class DrumTask:
    """A decoder of drums and the crops that it learns from.

    Parameters
    ----------
    dataset : list of Crop
    seed : int
        Of the weights it begins with.
    **model : int or float
        As of `DrumDecoder`: sizes and dropout.
    """

    def __init__(self, dataset: list[Crop], seed: int, **model: Any) -> None:
        self.dataset = dataset
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.model = DrumDecoder(N_FEATURES, **model)
        pairs = [[crop.pair.dance.clip_id, crop.pair.music.clip_id, crop.start] for crop in dataset]
        self.about: dict[str, Any] = {
            "model": "drum decoder",
            "sizes": dict(model),
            "pairs": sha256_data(pairs),
        }

    def collate(self, examples: Sequence[Crop]) -> dict[str, torch.Tensor]:
        """Features (batch, 160, 39), and quads (batch, n, 4) with PAD after their ends."""
        return _batch([crop.view for crop in examples], [crop.quads for crop in examples])

    def weight(self, batch: Mapping[str, torch.Tensor]) -> float:
        """Quads, but for BOS."""
        return float((batch["quads"][:, 1:, 0] != PAD).sum())

    def loss(self, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, Mapping[str, float]]:
        """Mean nats per quad."""
        nats = self.model.losses(batch["features"], batch["quads"])
        return nats.sum() / (batch["quads"][:, 1:, 0] != PAD).sum(), {}

    def nats(self, views: Sequence[View], quads: Sequence[Quads]) -> FloatArray:
        """How surprising music is to who sees a dance: the nats of all its quads together, shape (n,).

        Parameters
        ----------
        views : sequence of View
            Of the dance that is seen with each.
        quads : sequence of np.ndarray, shape (n_i, 4)
        """
        found = np.zeros(len(quads))
        order = np.argsort([len(each) for each in quads], kind="stable")  # so that little is padded
        device = next(self.model.parameters()).device
        self.model.eval()
        with torch.no_grad():
            for begin in range(0, len(order), _AT_ONCE):
                rows = order[begin : begin + _AT_ONCE]
                batch = _batch([views[row] for row in rows], [quads[row] for row in rows])
                nats = self.model.losses(batch["features"].to(device), batch["quads"].to(device))
                found[rows] = nats.sum(1).double().cpu().numpy()
        return found


def fitted(
    task: DrumTask,
    folder: Path,
    seed: int,
    steps: int,
    progress: Progress = lambda share: None,
) -> DrumTask:
    """The task with its decoder trained, or as an earlier run in the folder left it; in evaluation mode."""
    fit(
        task,
        folder,
        seed=seed,
        steps=steps,
        batch=min(BATCH, len(task.dataset)),
        lr=_LR,
        warmup=min(_WARMUP, steps // 4),
        amp="off",
        progress=progress,
    )
    task.model.eval()
    return task


def overfit_tokens(
    pairs: Sequence[Pair],
    runs: Path,
    *,
    steps: int = STEPS,
    progress: Progress = lambda share: None,
    **model: Any,
) -> Record:
    """``overfit.tokens``, stage C: nats per quad of the eight crops that a decoder learnt, without dropout.

    Parameters
    ----------
    pairs : sequence of Pair
        The first crop with drums of each of the first eight train sources is learnt.
    runs : Path
    steps : int, optional
    progress : callable, optional
    **model : int or float
        As of `DrumDecoder`.
    """
    begun = perf_counter()
    learnt = one_each(pairs, "train", OVERFIT_CROPS, first_crop)
    if not learnt:
        why = (
            "not testable: no source of train has drums and a dance; transcribe with drums, or add sources that have "
            "some"
        )
        return Record("C", "overfit.tokens", None, 0, None, OVERFIT_NATS, "not-testable", why, 0.0)
    task = fitted(
        DrumTask(learnt, 0, **{"dropout": 0.0, **model}), runs / "overfit-tokens", 0, steps, progress
    )
    nats = task.nats([crop.view for crop in learnt], [crop.quads for crop in learnt])
    value = float(nats.sum() / sum(len(crop.quads) - 1 for crop in learnt))
    verdict: Verdict = "pass" if value < OVERFIT_NATS else "fail"
    why = (
        f"nats per token of {len(learnt)} crops of 8 s of drums that a small model learnt by heart; less than "
        f"{OVERFIT_NATS} is needed"
    )
    if verdict == "fail":
        why += ": clips contradict each other or hold nothing to learn from. Look at them: " + ", ".join(
            crop.pair.dance.clip_id for crop in learnt
        )
    seconds = round(perf_counter() - begun, 3)
    return Record("C", "overfit.tokens", value, len(learnt), None, OVERFIT_NATS, verdict, why, seconds)


def _batch(views: Sequence[View], quads: Sequence[Quads]) -> dict[str, torch.Tensor]:
    padded = np.full((len(quads), max(map(len, quads)), 4), PAD, np.int64)
    for place, each in enumerate(quads):
        padded[place, : len(each)] = each
    features = np.stack([view.features for view in views])
    return {"features": torch.from_numpy(features), "quads": torch.from_numpy(padded)}
