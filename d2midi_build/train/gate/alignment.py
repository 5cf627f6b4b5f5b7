"""Stage F: does the dance tell when the beats of its music are, on sources that were not trained on?

What is compared is what a head gains over knowing only how often beats are (`Gains`): with its own music, and with
other music of the genre and, where there is any, of the tempo. Gains and not losses, since music of a slower tempo has
a lower loss whatever is said of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.train.gate.beat_task import BeatTask, What, crops, events_s, fitted, what_is_known
from d2midi_build.train.gate.breakdown import by_genre, by_seed
from d2midi_build.train.gate.fitting import Progress, part
from d2midi_build.train.gate.heard import Heard
from d2midi_build.train.gate.pairs import Pair, re_paired
from d2midi_build.train.gate.records import Record, Verdict
from d2midi_build.train.gate.statistics import cluster_means, mean_gap, power_told, sign_flip_p
from d2midi_build.train.metrics.beats import beat_f1, count_beats
from d2midi_build.train.models.beats import picked, soft_beats

FloatArray = npt.NDArray[np.float64]

STEPS: Final = 300
LEVEL: Final = 0.01
_TOLERANCE_S: Final = 0.07
SHIFTS_S: Final = (0.25, 0.5)
"""By how much later music is made in the time-shift control: about half a beat, and about a whole one."""
LEAST_LOST: Final = 0.5
"""Share of the gain that the first shift must cost. A head that knows how dense beats are (tempo, breaks in the music),
but not when they are, gains too and loses next to nothing; one that knows when they are loses more than it gained."""
LEAST_SOURCES: Final = math.ceil(-math.log2(LEVEL / 2) - 1e-9)
"""Eight: with fewer no p is small enough after Holm's correction, however good a release is."""


@dataclass(frozen=True, eq=False)
class Gains:
    """What heads know of the music of test pairs, in nats per frame below the base rate's loss.

    Attributes
    ----------
    what : str
        What was to be found: ``"beats"``, or ``"drums"`` where no beats are known.
    sources, genres : tuple of str
        Of each pair: n of them.
    seeds : tuple of int
    own : np.ndarray, shape (n_seeds, n), float64
        With the pair's music.
    others : np.ndarray, shape (n_seeds, n), float64
        Mean over other music of the genre; NaN where there is none.
    shifted : np.ndarray, shape (n_shifts, n_seeds, n), float64
        With the pair's music made later by `SHIFTS_S`.
    prior : float
        Mean loss of the base rate, nats per frame.
    n_train : int
        Train pairs that were learnt from.
    f1, f1_chance : float or None
        F-measure at 70 ms of beats picked from the heads' logits, mean over pairs and seeds; with other music.
    left_out : int
        Test pairs whose music's beats are not known, or whose dance is not seen.
    """

    what: What
    sources: tuple[str, ...]
    genres: tuple[str, ...]
    seeds: tuple[int, ...]
    own: FloatArray
    others: FloatArray
    shifted: FloatArray
    prior: float
    n_train: int
    f1: float | None
    f1_chance: float | None
    left_out: int

    def gaps(self) -> tuple[FloatArray, tuple[str, ...]]:
        """By how much own music is known better than other music: one mean over seeds per source, and their names."""
        return self._by_source(self.own - self.others)

    def over_prior(self) -> tuple[FloatArray, tuple[str, ...]]:
        """The gain with own music, one per source."""
        return self._by_source(self.own)

    def p(self, rng: np.random.Generator) -> float | None:
        """The largest p of gaps, gains and what the first shift costs: all have to hold. None with too few sources."""
        parts = (self.gaps()[0], self.over_prior()[0], self.lost(0)[0])
        if min(map(len, parts)) < LEAST_SOURCES:
            return None
        return max(sign_flip_p(part, rng) for part in parts)

    def lost(self, shift: int) -> tuple[FloatArray, tuple[str, ...]]:
        """What one of the shifts costs, one per source."""
        return self._by_source(self.own - self.shifted[shift] if len(self.own) else self.own)

    def _by_source(self, each: FloatArray) -> tuple[FloatArray, tuple[str, ...]]:
        values = each.mean(axis=0) if len(each) else np.empty(0)
        known = np.isfinite(values)
        return cluster_means(
            values[known], [name for name, fine in zip(self.sources, known, strict=True) if fine]
        )


def gains(
    pairs: Sequence[Pair],
    music: Sequence[Heard],
    runs: Path,
    seeds: Sequence[int],
    rng: np.random.Generator,
    *,
    steps: int = STEPS,
    progress: Progress = lambda share: None,
) -> Gains:
    """Train a head per seed on the train pairs and judge it on the test pairs.

    Parameters
    ----------
    pairs : sequence of Pair
    music : sequence of Heard
        Where other music is taken from: the head sees none, so any will do.
    runs : Path
        Folder for the runs; what an earlier call left there is taken up.
    seeds : sequence of int
    rng : np.random.Generator
        Chooses other music.
    steps : int, optional
    progress : callable, optional
        Told the share that is done.
    """
    what = what_is_known([pair.music for pair in pairs])
    fit = [pair for pair in pairs if len(events_s(pair.music, what)) and pair.dance.present.any()]
    train = [pair for pair in fit if pair.dance.split == "train"]
    test = [pair for pair in fit if pair.dance.split == "test"]
    left_out = sum(pair.dance.split == "test" for pair in pairs) - len(test)
    known = [clip for clip in music if len(events_s(clip, what))]
    others = re_paired(test, known, rng)
    judged = _Judge(what, train)
    own, other, shifted = [], [], []
    f1: list[float] = []
    chance: list[float] = []
    for place, seed in enumerate(seeds if train and test else ()):
        task = BeatTask(crops(train, what), what, seed)
        fitted(task, runs / f"beats-{seed}", seed, steps, part(progress, place, len(seeds)))
        logits = [task.logits(pair.dance.features) for pair in test]
        own.append([judged.gain(each, pair) for each, pair in zip(logits, test, strict=True)])
        other.append(
            [_mean([judged.gain(each, q) for q in mine]) for each, mine in zip(logits, others, strict=True)]
        )
        shifted.append(
            [
                [judged.gain(each, pair, by) for each, pair in zip(logits, test, strict=True)]
                for by in SHIFTS_S
            ]
        )
        for each, pair, mine in zip(logits, test, others, strict=True):
            f1 += [judged.f1(each, pair)]
            chance += [judged.f1(each, q) for q in mine]
    n = len(test) if own else 0
    return Gains(
        what,
        tuple(pair.dance.source for pair in test[:n]),
        tuple(pair.dance.genre for pair in test[:n]),
        tuple(seeds),
        np.array(own).reshape(len(own), n),
        np.array(other).reshape(len(own), n),
        np.array(shifted).reshape(len(own), len(SHIFTS_S), n).transpose(1, 0, 2),
        judged.mean_prior(test[:n]),
        len(train),
        _mean(f1) if f1 else None,
        _mean(chance) if chance else None,
        left_out,
    )


def alignment_records(found: Gains, p_adjusted: float | None, rng: np.random.Generator) -> list[Record]:
    """What stage F says of gains.

    ``beats.gap``, ``beats.gain`` and the first shift decide, each by its own p after Holm's correction over E and F;
    the shift also by how much it costs. The rest informs.

    Parameters
    ----------
    found : Gains
    p_adjusted : float or None
        `Gains.p` after the correction.
    rng : np.random.Generator
    """
    (gaps, _), (over, _) = found.gaps(), found.over_prior()
    if p_adjusted is None or not len(gaps):
        return [_not_testable(found), *_told(found, rng)]
    return [
        _tested(
            "beats.gap",
            gaps,
            p_adjusted,
            rng,
            f"dances {{}} the {found.what} of their own music from those of other music of the genre",
            "nats per frame that a head which sees the dance alone knows more of its own music than of other music",
            "Look whether sound and picture belong together, and start together, in every video",
        ),
        _tested(
            "beats.gain",
            over,
            p_adjusted,
            rng,
            f"dances {{}} when the {found.what} of their music are, better than their mean rate does",
            f"nats per frame that the head knows more than who knows the mean rate ({found.prior:.3f})",
            "Look at keypoints, at beats, and at the time between sound and picture",
        ),
        *_shift_records(found, p_adjusted, rng),
        *_told(found, rng),
    ]


def _tested(
    name: str,
    gaps: FloatArray,
    p_adjusted: float,
    rng: np.random.Generator,
    told: str,
    unit: str,
    remedy: str,
) -> Record:
    gap, p = mean_gap(gaps, rng), sign_flip_p(gaps, rng)
    corrected = min(2 * p, p_adjusted)  # F's own is the largest of its three: it must not fail the other two
    passed = corrected < LEVEL
    verdict: Verdict = "pass" if passed else "fail"
    why = (
        f"{told.format('tell' if passed else 'do not tell')} ({gap.n} test sources; value: {unit}; p {p:.2g}, "
        f"corrected for E and F {corrected:.2g}, less than {LEVEL} is needed; {power_told(gap, LEVEL / 2)})"
        + ("" if passed else f". {remedy}")
    )
    return Record("F", name, gap.mean, gap.n, gap.ci, 0.0, verdict, why, 0.0, p)


def _shift_records(found: Gains, p_adjusted: float, rng: np.random.Generator) -> list[Record]:
    """Music made later: half a beat must cost what was gained, a whole one need not, since beats then meet beats."""
    least = LEAST_LOST * float(found.over_prior()[0].mean())
    records = []
    for place, by_s in enumerate(SHIFTS_S):
        gap, p = mean_gap(found.lost(place)[0], rng), sign_flip_p(found.lost(place)[0], rng)
        enough = gap.mean >= least and min(2 * p, p_adjusted) < LEVEL
        verdict: Verdict = "info" if place else "pass" if enough else "fail"
        why = f"nats per frame that are lost when the music is made {1000 * by_s:.0f} ms later"
        if verdict == "fail":
            why = (
                f"dances may tell how dense {found.what} are, but not when they are: music that is made "
                f"{1000 * by_s:.0f} ms later fits nearly as well (value: nats per frame that are lost; at least "
                f"{LEAST_LOST:g} of the gain, with a p below {LEVEL}, is needed). Look at the time between sound and "
                "picture in every video"
            )
        records.append(
            Record(
                "F",
                f"beats.shift_{1000 * by_s:.0f}ms",
                gap.mean,
                gap.n,
                gap.ci,
                None if place else max(least, 0.0),
                verdict,
                why,
                0.0,
                p,
            )
        )
    return records


def _told(found: Gains, rng: np.random.Generator) -> list[Record]:
    """Each seed, each genre, and how good the picked beats are."""
    each = found.own - found.others
    records = by_seed("F", "beats.gap", found.seeds, each, "of one seed's head")
    if len(each):
        records += by_genre("F", "beats.gap", each.mean(axis=0), found.sources, found.genres, rng)
    if found.f1 is not None and found.f1_chance is not None:
        n = len(set(found.sources))
        why = f"F-measure at 70 ms of {found.what} picked from the head; {found.f1_chance:.3f} against other music"
        records.append(Record("F", "beats.f1", found.f1, n, None, found.f1_chance, "info", why, 0.0))
    if found.left_out:
        why = f"test clips whose music has no {found.what}, or whose dance is nowhere seen: they are not compared"
        records.append(
            Record("F", "beats.left_out", found.left_out, found.left_out, None, None, "info", why, 0.0)
        )
    return records


def _not_testable(found: Gains) -> Record:
    n = len(found.gaps()[0])
    whole = f"{n} test sources can be compared, {LEAST_SOURCES} are needed"
    if not found.n_train:
        whole = f"no source of train has both {found.what} and a dance that is seen"
    why = (
        f"not testable: {whole}. A source counts whose {found.what} are known, whose dance is seen, and whose genre "
        "has another source; videos that share music or picture are one. Add sources, or look at beats and keypoints"
    )
    return Record("F", "beats.gap", None, n, None, LEAST_SOURCES, "not-testable", why, 0.0)


class _Judge:
    """Losses and gains of frames with a body, against the base rate of train."""

    def __init__(self, what: What, train: Sequence[Pair]) -> None:
        self._what = what
        total = sum(float(self._targets(pair)[seen].sum()) for pair in train for seen in [_seen(pair)])
        frames = sum(int(_seen(pair).sum()) for pair in train)
        rate = min(max(total / max(frames, 1), 1e-6), 1 - 1e-6)
        self._prior = float(np.log(rate / (1 - rate)))

    def gain(self, logits: FloatArray, pair: Pair, later_s: float = 0.0) -> float:
        """How far below the base rate's loss."""
        seen, targets = _seen(pair), self._targets(pair, later_s)
        if not seen.any():
            return float("nan")  # nothing of both is there to compare
        each = self._loss(np.full(len(targets), self._prior), targets) - self._loss(
            logits[: len(targets)], targets
        )
        return float(each[seen].mean())

    def mean_prior(self, pairs: Sequence[Pair]) -> float:
        """Mean loss of the base rate over pairs."""
        losses = [
            self._loss(np.full(pair.n_frames, self._prior), self._targets(pair)).mean() for pair in pairs
        ]
        return float(np.mean(losses)) if losses else 0.0

    def f1(self, logits: FloatArray, pair: Pair) -> float:
        """F-measure at 70 ms of the beats picked from logits."""
        found = picked(logits[: pair.n_frames], self._prior)
        return float(beat_f1(count_beats(events_s(pair.music, self._what), found, _TOLERANCE_S)) or 0.0)

    def _targets(self, pair: Pair, later_s: float = 0.0) -> FloatArray:
        return soft_beats(events_s(pair.music, self._what) + later_s, pair.n_frames).astype(np.float64)

    @staticmethod
    def _loss(logits: FloatArray, targets: FloatArray) -> FloatArray:
        """Binary cross entropy of each frame, nats."""
        return np.asarray(np.logaddexp(0.0, logits) - logits * targets)


def _seen(pair: Pair) -> npt.NDArray[np.bool_]:
    return pair.dance.present[: pair.n_frames]


def _mean(values: Sequence[float]) -> float:
    """Of those that are known."""
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
