"""Learning beats from dances: crops of 8 s of pairs, for the trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from d2midi_build.digests import sha256_data
from d2midi_build.train.gate.dances import CROP_FRAMES, N_FEATURES, starts
from d2midi_build.train.gate.fitting import Progress, fit
from d2midi_build.train.gate.heard import Heard
from d2midi_build.train.gate.pairs import Pair
from d2midi_build.train.models.beats import BeatHead, soft_beats

FloatArray = npt.NDArray[np.float64]

_EVERY: Final = 40
_BATCH: Final = 32
_LR: Final = 4e-3

What = Literal["beats", "drums"]
"""What is to be found in the music: its beats, or the onsets of its drums where nobody knows its beats."""


def what_is_known(clips: Sequence[Heard]) -> What:
    """Beats, unless more clips have drums and fewer than half have beats."""
    beats = sum(len(clip.beats_s) > 0 for clip in clips)
    drums = sum(bool(clip.notes.is_drum.any()) for clip in clips)
    return "beats" if 2 * beats >= len(clips) or beats >= drums else "drums"


def events_s(clip: Heard, what: What) -> FloatArray:
    """Seconds of what is to be found; empty where it is not known of a clip."""
    return clip.beats_s if what == "beats" else np.unique(clip.notes.where(clip.notes.is_drum).onset_s)


@dataclass(frozen=True, eq=False)
class Crop:
    """Where an example is cut from."""

    pair: Pair
    start: int


class BeatTask:
    """A head and the crops it learns from.

    Parameters
    ----------
    dataset : list of Crop
    what : str
    seed : int
        Of the weights it begins with.
    dropout : float, optional
        Default is 0.1.
    """

    def __init__(self, dataset: list[Crop], what: What, seed: int, dropout: float = 0.1) -> None:
        self.what = what
        self.dataset = dataset
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.model = BeatHead(N_FEATURES, dropout=dropout)
        names = [[crop.pair.dance.clip_id, crop.pair.music.clip_id, crop.start] for crop in self.dataset]
        self.about: dict[str, Any] = {"model": "beat head", "of": what, "crops": sha256_data(names)}

    def collate(self, examples: Sequence[Crop]) -> dict[str, torch.Tensor]:
        """Features (batch, 160, 39), targets and whether a body is seen (batch, 160); zeros beyond a pair's end."""
        n = len(examples)
        features = np.zeros((n, CROP_FRAMES, N_FEATURES), np.float32)
        targets, seen = (np.zeros((n, CROP_FRAMES), np.float32) for _ in range(2))
        for place, crop in enumerate(examples):
            pair, end = crop.pair, min(crop.start + CROP_FRAMES, crop.pair.n_frames)
            length = end - crop.start
            features[place, :length] = pair.dance.features[crop.start : end]
            targets[place, :length] = soft_beats(events_s(pair.music, self.what), pair.n_frames)[
                crop.start : end
            ]
            seen[place, :length] = pair.dance.present[crop.start : end]
        found = {"features": features, "targets": targets, "seen": seen}
        return {name: torch.from_numpy(values) for name, values in found.items()}

    def weight(self, batch: Mapping[str, torch.Tensor]) -> float:
        """Frames with a body."""
        return float(batch["seen"].sum())

    def loss(self, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, Mapping[str, float]]:
        """Mean cross entropy, in nats, of frames with a body."""
        logits = self.model(batch["features"])
        each = binary_cross_entropy_with_logits(logits, batch["targets"], reduction="none")
        return (each * batch["seen"]).sum() / batch["seen"].sum(), {}

    def logits(self, features: npt.NDArray[Any]) -> FloatArray:
        """What the head says of a whole dance, shape (n_frames,), from its features (n_frames, 39)."""
        device = next(self.model.parameters()).device
        self.model.eval()
        with torch.no_grad():
            given = torch.from_numpy(features.astype(np.float32))[None].to(device)
            return np.asarray(self.model(given)[0].cpu(), np.float64)


def crops(pairs: Sequence[Pair], what: What) -> list[Crop]:
    """Crops of 8 s every 2 s of pairs whose music's events are known and whose dance is seen; of a shorter one all."""
    found = []
    for pair in pairs:
        if not len(events_s(pair.music, what)):
            continue
        for start in starts(pair.n_frames, _EVERY):
            if pair.dance.present[start : min(start + CROP_FRAMES, pair.n_frames)].any():
                found.append(Crop(pair, start))
    return found


def fitted(
    task: BeatTask, folder: Path, seed: int, steps: int, progress: Progress = lambda share: None
) -> BeatTask:
    """The task with its head trained, or as an earlier run in the folder left it."""
    batch = min(_BATCH, len(task.dataset))
    fit(task, folder, seed=seed, steps=steps, batch=batch, lr=_LR, warmup=steps // 5, progress=progress)
    return task
