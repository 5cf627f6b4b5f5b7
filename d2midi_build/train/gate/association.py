"""Stages E and D of the drum decoder: does the dance tell which drums belong to it, and can drums be learnt at all?

E holds the drums of held-out sources fixed and looks how surprising they are to a decoder that sees their own dance,
and to one that sees another dance of the genre and, where there is one, of the tempo. With the drums fixed nothing else
differs: other drums with the same dance would be easier or harder to guess whatever is danced, which hides the gap
(of 12 sources of a synthetic release whose pairs are wrong gaps have a standard deviation of 0.25 nats that way, and of
0.005 this way). Genre and tempo alone tell much of the drums: hence other dances of the same.

E shows association and no alignment: a dance of the right tempo and phase at a wrong time helps too (F asks that).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build.train.gate.breakdown import by_genre, by_seed
from d2midi_build.train.gate.counting import Counted
from d2midi_build.train.gate.dances import CROP_FRAMES, starts
from d2midi_build.train.gate.drum_task import (
    STEPS,
    Crop,
    DrumTask,
    View,
    crops,
    fitted,
)
from d2midi_build.train.gate.fitting import Progress, part
from d2midi_build.train.gate.heard import Heard
from d2midi_build.train.gate.pairs import Pair, re_paired
from d2midi_build.train.gate.records import Record, Verdict
from d2midi_build.train.gate.statistics import mean_gap, power_told, sign_flip_p
from d2midi_build.train.tokens.vocabulary import FRAMES_PER_BAR

FloatArray = npt.NDArray[np.float64]

LEVEL: Final = 0.05
_OF_SEED: Final = "of the model of one seed"

MARGIN: Final = 0.05
"""Nats per quad by which a decoder has to be better than a bigram (facts/baselines.md, section 3.4)."""


@dataclass(frozen=True, eq=False)
class Association:
    """How surprising the drums of held-out sources are, in nats per quad; n sources with drums.

    Attributes
    ----------
    sources, genres : tuple of str
        Of each source, sorted.
    seeds : tuple of int
        Of the decoders; none where there was nothing to learn from.
    own : np.ndarray, shape (n_seeds, n), float64
        To a decoder that sees their own dance.
    others : np.ndarray, shape (n_seeds, n), float64
        Mean over other dances; NaN where there is none.
    unigram, bigram : np.ndarray, shape (n,), float64
        To who knows only how often quads are, and how often after which.
    n_train : int
        Sources with drums that were learnt from.
    left_out : int
        Held-out sources without drums, or whose dance is not seen.
    first : DrumTask or None
        The decoder of the first seed.
    seconds : float
        All of it took.
    """

    sources: tuple[str, ...]
    genres: tuple[str, ...]
    seeds: tuple[int, ...]
    own: FloatArray
    others: FloatArray
    unigram: FloatArray
    bigram: FloatArray
    n_train: int
    left_out: int
    first: DrumTask | None
    seconds: float

    def gaps(self) -> FloatArray:
        """By how much other dances are worse, mean over seeds, of the sources that have any."""
        if not self.seeds:
            return np.empty(0)
        gap = (self.others - self.own).mean(axis=0)
        return np.asarray(gap[np.isfinite(gap)])

    def p(self, rng: np.random.Generator) -> float | None:
        """One-sided p of "no gap", by `sign_flip_p` over sources; None without gaps."""
        gaps = self.gaps()
        return sign_flip_p(gaps, rng) if len(gaps) else None


def association(
    pairs: Sequence[Pair],
    music: Sequence[Heard],
    runs: Path,
    *,
    seeds: Sequence[int],
    rng: np.random.Generator,
    steps: int = STEPS,
    progress: Progress = lambda share: None,
    **model: Any,
) -> Association:
    """Train a decoder per seed on the train pairs and judge it on the test pairs.

    Parameters
    ----------
    pairs : sequence of Pair
    music : sequence of Heard
        All clips. Other dances are those of validation and test: one that a decoder has learnt would mislead it to the
        drums it was learnt with.
    runs : Path
        Folder for the runs; what an earlier call left there is taken up.
    seeds : sequence of int
    rng : np.random.Generator
        Chooses other dances.
    steps : int, optional
    progress : callable, optional
        Told the share that is done.
    **model : int or float
        As of `DrumDecoder`.
    """
    begun = perf_counter()
    train = crops([pair for pair in pairs if pair.dance.split == "train"], FRAMES_PER_BAR)
    held = [pair for pair in pairs if pair.dance.split == "test"]
    test = crops(held, CROP_FRAMES)
    names = sorted({crop.pair.dance.source for crop in test})
    genre_of = {pair.dance.source: pair.dance.genre for pair in held}
    judged = _Judge(test, names, _other_dances(held, music, rng))
    own, others = [], []
    first = None
    for place, seed in enumerate(seeds if train and test else ()):
        task = DrumTask(train, seed, **model)
        fitted(task, runs / f"drums-{seed}", seed, steps, part(progress, place, len(seeds)))
        own.append(judged.own(task))
        others.append(judged.others(task))
        first = first or task
    known = Counted(train)
    return Association(
        sources=tuple(names),
        genres=tuple(genre_of[name] for name in names),
        seeds=tuple(seeds) if own else (),
        own=np.array(own).reshape(len(own), len(names)),
        others=np.array(others).reshape(len(own), len(names)),
        unigram=judged.mean([known.nats(crop)[0] for crop in test]),
        bigram=judged.mean([known.nats(crop)[1] for crop in test]),
        n_train=len({crop.pair.dance.source for crop in train}),
        left_out=len(genre_of) - len(names),
        first=first,
        seconds=perf_counter() - begun,
    )


def association_records(
    found: Association, p_adjusted: float | None, rng: np.random.Generator
) -> list[Record]:
    """What stage E says: ``drums.gap`` decides, the rest informs.

    Parameters
    ----------
    found : Association
    p_adjusted : float or None
        `Association.p` after Holm's correction over E and F.
    rng : np.random.Generator
    """
    gaps = found.gaps()
    if p_adjusted is None or not len(gaps):
        return [Record("E", "drums.gap", None, 0, None, 0.0, "not-testable", _why_not(found), 0.0)]
    gap, p = mean_gap(gaps, rng), sign_flip_p(gaps, rng)
    verdict: Verdict = "pass" if p_adjusted < LEVEL else "fail"
    does = "tell" if verdict == "pass" else "do not tell"
    why = (
        f"dances {does} which drums of their genre are theirs ({gap.n} held-out sources; value: nats per token that "
        "drums surprise a small model less that sees their own dance than one that sees another dance of the genre; "
        f"p {p:.2g}, corrected for E and F {p_adjusted:.2g}, less than {LEVEL} is needed; {power_told(gap, LEVEL / 2)})"
    )
    if verdict == "fail":
        why += (
            ". Look whether sound and picture belong together in every video; or explain it (--explain), where people "
            "dance to no beat"
        )
    records = [
        Record("E", "drums.gap", gap.mean, gap.n, gap.ci, 0.0, verdict, why, round(found.seconds, 3), p)
    ]
    records += by_seed("E", "drums.gap", found.seeds, found.others - found.own, _OF_SEED)
    each = (found.others - found.own).mean(axis=0)
    records += by_genre("E", "drums.gap", each, found.sources, found.genres, rng)
    if n := found.left_out + int((~np.isfinite(each)).sum()):
        why = (
            "held-out sources without drums, whose dance is nowhere seen, or whose genre has no other held-out source: "
            "they are not compared"
        )
        records.append(Record("E", "drums.left_out", n, n, None, None, "info", why, 0.0))
    return records


def tokens_records(found: Association, rng: np.random.Generator) -> list[Record]:
    """What stage D says of tokens: ``tokens.nll`` decides, by `MARGIN` below the bigram; the rest informs."""
    if not found.seeds:
        return [Record("D", "tokens.nll", None, 0, None, None, "not-testable", _why_not(found), 0.0)]
    nats = mean_gap(found.own.mean(axis=0), rng)
    unigram, bigram = float(found.unigram.mean()), float(found.bigram.mean())
    threshold = bigram - MARGIN
    verdict: Verdict = "pass" if nats.mean < threshold else "fail"
    why = (
        f"nats per token of the drums of {nats.n} held-out sources, to a small model that learnt from {found.n_train} "
        f"others; less than {threshold:.3f} is needed: who knows only which token often follows which has {bigram:.3f}"
    )
    if verdict == "fail":
        why += (
            ". Drums of one source teach nothing about those of another: look whether they were transcribed as drums, "
            "and alike, everywhere; or add sources"
        )
    n = nats.n
    return [
        Record("D", "tokens.nll", nats.mean, n, nats.ci, threshold, verdict, why, 0.0),
        *by_seed("D", "tokens.nll", found.seeds, found.own, _OF_SEED),
        Record(
            "D", "bigram.nll", bigram, n, None, None, "info", "the same, knowing the token before only", 0.0
        ),
        Record("D", "unigram.nll", unigram, n, None, None, "info", "the same, knowing no token before", 0.0),
    ]


class _Judge:
    """Nats per quad of sources, their quads weighing the same."""

    def __init__(self, test: Sequence[Crop], names: Sequence[str], dances: dict[int, list[Heard]]) -> None:
        self._test = test
        at = {name: place for place, name in enumerate(names)}
        self._source = np.array([at[crop.pair.dance.source] for crop in test], np.int64)
        self._length = np.array([len(crop.quads) - 1 for crop in test], np.float64)
        self._n = len(names)
        other = [
            (place, dance, start)
            for place, crop in enumerate(test)
            for dance in dances[id(crop.pair)]
            if (start := _start_in(dance, crop)) is not None
        ]
        self._of = np.array([place for place, _, _ in other], np.int64)
        self._views = [View(dance, start, dance.n_frames) for _, dance, start in other]

    def own(self, task: DrumTask) -> FloatArray:
        """To who sees the drums' own dance, shape (n,)."""
        return self.mean(task.nats([crop.view for crop in self._test], [crop.quads for crop in self._test]))

    def others(self, task: DrumTask) -> FloatArray:
        """To who sees other dances, shape (n,); NaN where there is none."""
        return self.mean(task.nats(self._views, [self._test[place].quads for place in self._of]), self._of)

    def mean(self, nats: npt.ArrayLike, of: npt.NDArray[np.int64] | None = None) -> FloatArray:
        """Per quad, of each source, from the nats of its crops, or of the crops ``of``."""
        rows = np.arange(len(self._test)) if of is None else of
        sums = np.bincount(self._source[rows], np.asarray(nats, np.float64), self._n)
        counts = np.bincount(self._source[rows], self._length[rows], self._n)
        return np.asarray(np.divide(sums, counts, out=np.full(self._n, np.nan), where=counts > 0))


def _other_dances(
    pairs: Sequence[Pair], music: Sequence[Heard], rng: np.random.Generator
) -> dict[int, list[Heard]]:
    """Other dances for each pair (its `id`): of the genre, and of the tempo where there are any."""
    others = re_paired(pairs, [clip for clip in music if clip.split != "train"], rng)
    return {id(pair): [other.music for other in mine] for pair, mine in zip(pairs, others, strict=True)}


def _start_in(dance: Heard, crop: Crop) -> int | None:
    """Where another dance is cut: at the crop's own place, from the first on again where it is shorter; None where it
    is not seen there."""
    places = starts(dance.n_frames, CROP_FRAMES)
    start = places[crop.start // CROP_FRAMES % len(places)]
    return start if dance.present[start : start + CROP_FRAMES].any() else None


def _why_not(found: Association) -> str:
    if not found.n_train or not found.sources:
        lacking = [
            f"no source of {split} has drums and a dance"
            for split, there in (("train", found.n_train), ("the held-out splits", len(found.sources)))
            if not there
        ]
        return (
            f"not testable: {', and '.join(lacking)}. Transcribe with drums, or add sources that have some: eight in "
            "test, of at least two genres, take about 80 sources when split 8:1:1"
        )
    return (
        f"not testable: of {len(found.sources)} held-out sources with drums none has another source of its genre; at "
        "least two sources per genre are needed"
    )
