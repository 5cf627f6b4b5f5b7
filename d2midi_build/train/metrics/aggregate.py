"""From scores of clips to scores of a set: the mean over clips, how sure it is, and how many clips have none.

Clips of one video are alike, so the interval comes from drawing videos, not clips (a cluster bootstrap).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.train.metrics.beats import f1_of_means

FloatArray = npt.NDArray[np.float64]
Values = Sequence[float | None]

RESAMPLES: Final = 1000
COVERAGE: Final = 0.95


@dataclass(frozen=True)
class Mean:
    """A mean over clips.

    Attributes
    ----------
    mean : float or None
        Of the clips that have the score, each with the same weight; None without any.
    low, high : float or None
        Interval that holds 95 % of the means of resampled sources; None with fewer than two sources that have a value:
        nothing is known of how sources differ.
    n, n_none : int
        Clips with the score, and clips without: their denominator is 0, or what it compares is unknown.
    n_sources : int
        Sources of the clips with the score.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    n_none: int
    n_sources: int


class Bootstrap:
    """Draws of sources with replacement, the same for every score of the same clips.

    Parameters
    ----------
    sources : sequence of str
        The source (video id) of each clip.
    rng : np.random.Generator
    resamples : int, optional
        Default is 1000.
    """

    def __init__(self, sources: Sequence[str], rng: np.random.Generator, resamples: int = RESAMPLES) -> None:
        names, self._source = np.unique(np.asarray(sources, dtype=np.str_), return_inverse=True)
        self._n_sources = len(names)
        self._draws = (
            rng.multinomial(len(names), np.full(len(names), 1 / len(names)), resamples).astype(np.float64)
            if len(names)
            else np.empty((0, 0))
        )

    def mean(self, values: Values) -> Mean:
        """Mean of one value per clip, None where it has none.

        Raises
        ------
        ValueError
            If there is not one value per clip.
        """
        given, known = self._columns(values)
        total = float(given[known].mean()) if known.any() else None
        return self._with_interval(total, self._means(given, known), known)

    def f1_of_means(self, precisions: Values, recalls: Values) -> Mean:
        """`beats.f1_of_means` of the means of ``bcs_precision`` and ``bhs``; ``n`` counts clips that have both.

        Each mean is over the clips that have the one score, as if reported by itself.
        """
        both = [self._columns(values) for values in (precisions, recalls)]
        totals = [float(given[known].mean()) if known.any() else None for given, known in both]
        p, r = (self._means(given, known) for given, known in both)
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn = np.where(p + r > 0, 2 * p * r / (p + r), p + r)
        return self._with_interval(f1_of_means(*totals), drawn, both[0][1] & both[1][1])

    def _columns(self, values: Values) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        if len(values) != len(self._source):
            raise ValueError(f"{len(values)} values for {len(self._source)} clips")
        known = np.array([value is not None for value in values], dtype=np.bool_)
        return np.array([0.0 if value is None else value for value in values], dtype=np.float64), known

    def _means(self, given: FloatArray, known: npt.NDArray[np.bool_]) -> FloatArray:
        """Mean of each draw: shape (resamples,), NaN where no source drawn has a value."""
        sums = np.bincount(self._source, np.where(known, given, 0), self._n_sources)
        counts = self._draws @ np.bincount(self._source, known, self._n_sources)
        return np.divide(self._draws @ sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)

    def _with_interval(self, mean: float | None, drawn: FloatArray, known: npt.NDArray[np.bool_]) -> Mean:
        n_sources = len(np.unique(self._source[known]))
        low = high = None
        drawn = drawn[np.isfinite(drawn)]
        if n_sources > 1 and mean is not None and len(drawn):
            rest = (1 - COVERAGE) / 2
            low, high = (float(edge) for edge in np.quantile(drawn, [rest, 1 - rest]))
        return Mean(mean, low, high, int(known.sum()), int((~known).sum()), n_sources)
