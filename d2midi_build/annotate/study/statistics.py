"""What follows from ratings: means with intervals, how far raters agree, and which methods differ."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from d2midi_build.annotate.study.ratings import QUESTIONS, Rating

FloatArray = npt.NDArray[np.float64]
Question = Literal["consistency", "noise"]

DRAWS: Final = 5000
LEVEL: Final = 0.95
_EXACT_UP_TO: Final = 200


@dataclass(frozen=True)
class Score:
    """How a method was rated.

    Attributes
    ----------
    method, question : str
    mean : float
        Of all its ratings, 1-5.
    spread : float or None
        Their standard deviation (n - 1); None with one.
    low, high : float or None
        95 % interval of the mean (`interval`); None with fewer than `LEAST` dances or raters.
    n_ratings, n_raters, n_dances : int
    """

    method: str
    question: str
    mean: float
    spread: float | None
    low: float | None
    high: float | None
    n_ratings: int
    n_raters: int
    n_dances: int


@dataclass(frozen=True)
class Comparison:
    """Whether people rate one method higher than another, on the same dances.

    Attributes
    ----------
    one, other, question : str
    difference : float
        Mean over dances of ``one`` minus ``other``, by the people who rated both.
    n_dances : int
    p, p_holm : float
        Two-sided, of Wilcoxon's signed-rank test over dances; and adjusted for all pairs of methods of this question
        (Holm, 1979).
    """

    one: str
    other: str
    question: str
    difference: float
    n_dances: int
    p: float
    p_holm: float


@dataclass(frozen=True)
class Agreement:
    """How far raters agree: Krippendorff's alpha, None where it is not defined, over so many stimuli with two or
    more raters.
    """

    question: str
    alpha: float | None
    n_stimuli: int


@dataclass(frozen=True)
class Summary:
    """All of it; scores by question and method, in the order of the study."""

    scores: tuple[Score, ...]
    comparisons: tuple[Comparison, ...]
    agreement: tuple[Agreement, ...]


def summarise(ratings: Sequence[Rating], methods: Sequence[str], rng: np.random.Generator) -> Summary:
    """What ratings say of methods.

    Parameters
    ----------
    ratings : sequence of Rating
    methods : sequence of str
        In the order to report; those without a rating are left out.
    rng : np.random.Generator
        Of the intervals.
    """
    scores: list[Score] = []
    comparisons: list[Comparison] = []
    for question in QUESTIONS:
        cubes = {method: _cube(ratings, method, question) for method in methods}
        cubes = {method: cube for method, cube in cubes.items() if np.isfinite(cube).any()}
        scores += [_score(method, question, cube, rng) for method, cube in cubes.items()]
        comparisons += _comparisons(question, cubes)
    agreement = [_agreement(ratings, question) for question in QUESTIONS]
    return Summary(tuple(scores), tuple(comparisons), tuple(agreement))


LEAST: Final = 5
"""Dances and raters of which an interval is told: 95 % intervals of 5 and 5 cover 91 %, of 3 and 2 only 80 %."""


def interval(values: FloatArray, rng: np.random.Generator, draws: int = DRAWS) -> tuple[float, float] | None:
    """95 % interval of the mean of ratings, by a bootstrap over dances and raters.

    Ratings of one dance are alike, and so are those of one person. Dances and raters are therefore drawn with
    replacement, independently of each other, and a rating weighs the product of how often its dance and its rater were
    drawn (Owen, 2007, the pigeonhole bootstrap; a little too wide rather than too narrow):
    ``sum(d_i r_j x_ij) / sum(d_i r_j)``. Of one dance, or one rater, nothing is known of how others would differ: only
    the other is drawn then.

    Parameters
    ----------
    values : np.ndarray, shape (n_dances, n_raters), float64
        NaN where somebody did not rate a dance. Rows or columns without a rating are left out.
    rng : np.random.Generator
    draws : int, optional
        Default is 5000.

    Returns
    -------
    tuple of float, or None
        The 2.5th and 97.5th percentile; None with one dance and one rater.
    """
    given = values[np.isfinite(values).any(axis=1)][:, np.isfinite(values).any(axis=0)]
    if max(given.shape, default=0) < 2:
        return None
    dances, raters = (_weights(n, rng, draws) for n in given.shape)
    known = np.isfinite(given)
    sums = np.einsum("bd,dr,br->b", dances, np.where(known, given, 0.0), raters, optimize=True)
    counts = np.einsum("bd,dr,br->b", dances, known.astype(np.float64), raters, optimize=True)
    means = sums[counts > 0] / counts[counts > 0]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def krippendorff_alpha(units: Iterable[Sequence[int]]) -> float | None:
    """Krippendorff's alpha for ranks: 1 where raters agree on everything, 0 where as chance would.

    After Krippendorff, "Computing Krippendorff's alpha-reliability" (2011): with coincidences ``o_ck`` (pairs of values
    within a unit, each unit's weighing ``1 / (m - 1)``), their margins ``n_c`` and total ``n``,
    ``alpha = 1 - (n - 1) sum(o_ck d_ck) / sum(n_c n_k d_ck)``, where
    ``d_ck = (sum of n_g for g from c to k, less half of n_c and of n_k)^2``.

    Parameters
    ----------
    units : iterable of sequence of int
        The values given to each unit. Units with fewer than two do not count.

    Returns
    -------
    float or None
        None without a unit that counts, or where all values are the same.
    """
    counting = [list(unit) for unit in units if len(unit) > 1]
    ranks = sorted({value for unit in counting for value in unit})
    if len(ranks) < 2:
        return None
    place = {value: number for number, value in enumerate(ranks)}
    coincidences = np.zeros((len(ranks), len(ranks)))
    for unit in counting:
        for one, other in itertools.permutations(unit, 2):
            coincidences[place[one], place[other]] += 1 / (len(unit) - 1)
    margins = coincidences.sum(axis=1)
    below = np.cumsum(margins) - margins / 2
    distance = np.square(below[:, None] - below[None, :])
    expected = float((np.outer(margins, margins) * distance).sum())
    observed = float((coincidences * distance).sum())
    return 1 - (float(margins.sum()) - 1) * observed / expected


def signed_rank_p(differences: FloatArray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test that differences lie about 0; zeros say nothing and are left out.

    Exact up to 200 differences, whether or not some are equally large (then their ranks are averaged, and the p is that
    of all signs given these ranks); beyond, SciPy's normal approximation. 1 without a difference.
    """
    from scipy.stats import rankdata, wilcoxon

    # Means of the same few ratings differ in their last bits: those are equal.
    rounded = np.round(differences, 9)
    telling = rounded[rounded != 0]
    if len(telling) > _EXACT_UP_TO:
        return float(wilcoxon(telling).pvalue)
    ranks = np.rint(2 * rankdata(np.abs(telling))).astype(
        np.int64
    )  # averaged ranks are halves: count in halves
    likely = np.ones(1)
    for rank in ranks:
        with_it = np.concatenate([np.zeros(rank), likely])
        likely = (with_it + np.pad(likely, (0, rank))) / 2
    sum_up = int(ranks[telling > 0].sum())
    return float(min(1.0, 2 * min(likely[: sum_up + 1].sum(), likely[sum_up:].sum())))


def _cube(ratings: Sequence[Rating], method: str, question: Question | str) -> FloatArray:
    """A method's ratings: shape (n_dances, n_raters), the same dances and raters for all methods, NaN for none."""
    dances = sorted({each.stimulus.dance for each in ratings})
    raters = sorted({each.rater for each in ratings})
    row, column = ({name: number for number, name in enumerate(names)} for names in (dances, raters))
    values = np.full((len(dances), len(raters)), np.nan)
    for each in ratings:
        if each.stimulus.method == method:
            values[row[each.stimulus.dance], column[each.rater]] = getattr(each, question)
    return values


def _score(method: str, question: str, values: FloatArray, rng: np.random.Generator) -> Score:
    known = np.isfinite(values)
    given = values[known]
    rated = known[known.any(axis=1)][:, known.any(axis=0)].shape
    low, high = (interval(values, rng) if min(rated) >= LEAST else None) or (None, None)
    return Score(
        method,
        question,
        float(given.mean()),
        float(given.std(ddof=1)) if len(given) > 1 else None,
        low,
        high,
        len(given),
        int(known.any(axis=0).sum()),
        int(known.any(axis=1).sum()),
    )


def _comparisons(question: str, cubes: dict[str, FloatArray]) -> list[Comparison]:
    from d2midi_build.train.gate.statistics import holm

    found = {}
    for one, other in itertools.combinations(cubes, 2):
        gaps = cubes[one] - cubes[other]
        both = np.isfinite(gaps).any(axis=1)
        if both.any():
            by_dance = np.nanmean(gaps[both], axis=1)
            found[one, other] = (float(by_dance.mean()), len(by_dance), signed_rank_p(by_dance))
    names = {pair: " ".join(pair) for pair in found}
    adjusted = holm({names[pair]: p for pair, (_, _, p) in found.items()})
    return [
        Comparison(*pair, question, difference, n, p, adjusted[names[pair]])
        for pair, (difference, n, p) in found.items()
    ]


def _agreement(ratings: Sequence[Rating], question: str) -> Agreement:
    units: dict[str, list[int]] = {}
    for each in ratings:
        units.setdefault(each.stimulus.token, []).append(getattr(each, question))
    several = [unit for unit in units.values() if len(unit) > 1]
    return Agreement(question, krippendorff_alpha(several), len(several))


def _weights(n: int, rng: np.random.Generator, draws: int) -> FloatArray:
    """How often each of n is drawn: shape (draws, n); once each if there is one."""
    return rng.multinomial(n, np.full(n, 1 / n), draws).astype(np.float64)
