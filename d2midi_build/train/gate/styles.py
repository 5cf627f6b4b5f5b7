"""Of stage D: can a small model learn to tell the genre from the dance (facts/baselines.md, section 3.4)?

It informs: a release whose genres cannot be told may still pair dance and music rightly, but its labels are worth a
look.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import cross_entropy

from d2midi_build import clock
from d2midi_build.train.gate.dances import CROP_FRAMES, N_FEATURES
from d2midi_build.train.gate.fitting import Progress, fit
from d2midi_build.train.gate.heard import Heard, sources
from d2midi_build.train.gate.records import LEAST_GENRES, Record, Verdict
from d2midi_build.train.gate.statistics import mean_gap
from d2midi_build.train.models.styles import StyleEncoder

NAME: Final = "style.accuracy"

STEPS: Final = 400

_CROP_S: Final = CROP_FRAMES // clock.FPS
_EVERY: Final = 40
_BATCH: Final = 32
_LR: Final = 5e-3
_ERRORS: Final = 2
"""Standard errors above the best constant guess that are asked for."""


@dataclass(frozen=True, eq=False)
class Crop:
    """Where an example is cut from."""

    clip: Heard
    start: int


class StyleTask:
    """An encoder and the dances it learns from.

    Parameters
    ----------
    clips : sequence of Heard
        Those without genre, and those shorter than a crop, are left out.
    seed : int
        Of the weights it begins with.

    Attributes
    ----------
    genres : tuple of str
        In the order of the logits.
    """

    def __init__(self, clips: Sequence[Heard], seed: int) -> None:
        self.dataset = crops(clips)
        used = list({id(crop.clip): crop.clip for crop in self.dataset}.values())
        self.genres = tuple(sorted({clip.genre for clip in used}))
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.model = StyleEncoder(N_FEATURES, max(len(self.genres), 1))
        self.about: dict[str, Any] = {"model": "style encoder", "genres": self.genres, "data": _digest(used)}

    def collate(self, examples: Sequence[Crop]) -> dict[str, torch.Tensor]:
        """Features (batch, 160, 39) and the genres' numbers (batch,)."""
        numbers = [self.genres.index(crop.clip.genre) for crop in examples]
        return {"features": _stacked(examples), "genres": torch.tensor(numbers)}

    def loss(self, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        """Mean cross entropy in nats, and the share of crops that are told rightly."""
        logits = self.model(batch["features"])
        right = (logits.argmax(dim=1) == batch["genres"]).float().mean()
        return cross_entropy(logits, batch["genres"]), {"accuracy": right}

    def told(self, mine: Sequence[Crop]) -> npt.NDArray[np.float64]:
        """Probabilities of the genres, shape (n_genres,): their mean over crops of a source."""
        self.model.eval()
        device = next(self.model.parameters()).device
        with torch.no_grad():
            logits = self.model(_stacked(mine).to(device))
        return np.asarray(logits.double().softmax(dim=1).mean(dim=0).cpu(), np.float64)


def crops(clips: Sequence[Heard]) -> list[Crop]:
    """Crops of 8 s every 2 s of clips that have a genre, where a body is seen."""
    return [
        Crop(clip, start)
        for clip in clips
        if clip.genre
        for start in range(0, len(clip.features) - CROP_FRAMES + 1, _EVERY)
        if clip.present[start : start + CROP_FRAMES].any()
    ]


def style_records(
    clips: Sequence[Heard], folder: Path, seed: int, progress: Progress = lambda share: None
) -> list[Record]:
    """``style.accuracy``, and it genre by genre.

    The share of test sources whose genre an encoder tells that learned on train, from the mean of the probabilities of
    a source's crops. It passes if that is more than what always guessing the genre that most test sources have would
    give, by two standard errors of that guess (sqrt(p (1 - p) / n)).

    Parameters
    ----------
    clips : sequence of Heard
        Of all splits.
    folder : Path
        Where the run is kept; one that was killed goes on.
    seed : int
    progress : callable, optional
        Told the share that is done, 0-1.

    Returns
    -------
    list of Record
        One, not testable, where there is too little to learn from or to judge by.

    Raises
    ------
    UsageError
        If the folder has a run of other clips.
    """
    begun = perf_counter()
    task = StyleTask([clip for clip in clips if clip.split == "train"], seed)
    held_out = [clip for clip in clips if clip.split == "test"]
    judged = {name: mine for name, mine in _by_source(held_out).items() if mine[0].clip.genre in task.genres}
    genre_of = {name: mine[0].clip.genre for name, mine in judged.items()}
    lacking = _lacking(clips, task.genres, genre_of)
    if lacking:
        return [_record(None, len(judged), None, None, "not-testable", f"not testable: {lacking}", begun)]
    fit(
        task,
        folder,
        seed=seed,
        steps=STEPS,
        batch=_BATCH,
        lr=_LR,
        warmup=STEPS // 5,
        progress=lambda share: progress(0.95 * share),
    )
    hits = {
        name: float(task.genres[int(task.told(mine).argmax())] == genre_of[name])
        for name, mine in judged.items()
    }
    progress(1.0)
    return _judged(hits, genre_of, len(sources(held_out)), seed, begun)


def threshold(genres: Sequence[str]) -> float:
    """The share of the most frequent genre, and two standard errors of it; at least one genre is given.

    >>> round(threshold(["house", "latin", "modern", "ballet"]), 3)  # 1/4 + 2 sqrt(1/4 * 3/4 / 4)
    0.683
    """
    most = max(Counter(genres).values()) / len(genres)
    return most + _ERRORS * math.sqrt(most * (1 - most) / len(genres))


def _judged(
    hits: Mapping[str, float], genre_of: Mapping[str, str], n_test: int, seed: int, begun: float
) -> list[Record]:
    from scipy.stats import binomtest

    found = mean_gap(list(hits.values()), np.random.default_rng([seed, 1]))
    known = Counter(genre_of.values())
    most = max(known.values()) / len(hits)
    least = threshold(list(genre_of.values()))
    right = int(sum(hits.values()))
    rest = f"; {n_test - len(hits)} more have too short clips, or a genre that train has not" * (
        n_test > len(hits)
    )
    why = (
        f"the genre of {right} of {len(hits)} test sources is told from the dance; always guessing the most frequent "
        f"genre is right in {most:.0%}, and {least:.0%} is two standard errors above that{rest}"
    )
    verdict: Verdict = "pass"
    if not found.mean > least:
        verdict = "fail"
        why += ". Look whether the labels are right: genres that are danced alike, or labels mixed up, look like this"
    p = float(binomtest(right, len(hits), most, alternative="greater").pvalue)
    records = [_record(found.mean, len(hits), found.ci, least, verdict, why, begun, p)]
    for genre, n in sorted(known.items()):
        mine = [hit for name, hit in hits.items() if genre_of[name] == genre]
        why = f"of {n} test sources of {genre}, the share whose genre is told from the dance"
        records.append(
            Record("D", f"{NAME} genre={genre}", float(np.mean(mine)), n, None, None, "info", why, 0.0)
        )
    return records


def _lacking(clips: Sequence[Heard], genres: Sequence[str], genre_of: Mapping[str, str]) -> str:
    """What is missing, in words; nothing if all is there."""
    labelled = sorted({clip.genre for clip in clips} - {""})
    if len(labelled) < LEAST_GENRES:
        which = f"all of it is {labelled[0]}" if labelled else "no clip has a label"
        return f"the release has {len(labelled)} genres ({which}), {LEAST_GENRES} are needed"
    if len(genres) < LEAST_GENRES:
        return (
            f"train has {len(genres)} genres with clips of {_CROP_S} s in which a body is seen, "
            f"{LEAST_GENRES} are needed: add sources of others, or longer ones"
        )
    if not genre_of or threshold(list(genre_of.values())) >= 1:
        counts = (
            ", ".join(f"{n} of {genre}" for genre, n in sorted(Counter(genre_of.values()).items())) or "none"
        )
        return (
            f"of test sources with a genre that train has, and clips of {_CROP_S} s in which a body is "
            f"seen, there are too few of different genres ({counts}): even all of them right would not tell. Add some"
        )
    return ""


def _by_source(clips: Sequence[Heard]) -> dict[str, list[Crop]]:
    """Crops by source, of sources that have any."""
    found: dict[str, list[Crop]] = {}
    for crop in crops(sorted(clips, key=lambda clip: clip.clip_id)):
        found.setdefault(crop.clip.source, []).append(crop)
    return found


def _stacked(mine: Sequence[Crop]) -> torch.Tensor:
    """Features, shape (n, 160, 39)."""
    cut = [crop.clip.features[crop.start : crop.start + CROP_FRAMES] for crop in mine]
    return torch.from_numpy(np.stack(cut).astype(np.float32))


def _digest(clips: Sequence[Heard]) -> str:
    """What was learned from, so that a folder with a run of something else is not gone on with."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(f"{clip.clip_id}\n{clip.genre}\n".encode())
        digest.update(np.ascontiguousarray(clip.features).tobytes())
    return digest.hexdigest()


def _record(
    value: float | None,
    n: int,
    ci: tuple[float, float] | None,
    least: float | None,
    verdict: Verdict,
    why: str,
    begun: float,
    p: float | None = None,
) -> Record:
    return Record("D", NAME, value, n, ci, least, verdict, why, round(perf_counter() - begun, 3), p)
