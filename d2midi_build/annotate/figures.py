"""Figures over sheets or excerpts with intervals: ratios of sums, not means of ratios.

A sheet of five notes must not weigh as much as one of five hundred, and sheets of one source are alike. So counts are
added up first, and the interval comes from drawing sources, not sheets (a cluster bootstrap, percentiles; Efron, 1979),
as `train.metrics.aggregate` does for means of clips.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

RESAMPLES: Final = 1000
COVERAGE: Final = 0.95

FloatArray = npt.NDArray[np.float64]
Statistic = Callable[[FloatArray], FloatArray]
"""From sums of counts, shape (m, k), to figures, shape (m,): NaN where there is none."""


@dataclass(frozen=True)
class Figure:
    """A figure and how sure it is.

    Attributes
    ----------
    value : float or None
        None where what it is divided by is 0.
    low, high : float or None
        Interval that holds 95 % of the figures of resampled sources; None with fewer than two sources, since nothing is
        known then of how sources differ.
    n, n_sources : int
        Sheets or excerpts behind it, and their sources.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    n_sources: int

    def data(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return asdict(self)

    def told(self, form: str = ".0%") -> str:
        """In words, e.g. ``82% (75%-88%)``; "-" where there is none."""
        if self.value is None:
            return "-"
        if self.low is None or self.high is None:
            return f"{self.value:{form}}"
        return f"{self.value:{form}} ({self.low:{form}}-{self.high:{form}})"


class Resampling:
    """Draws of sources with replacement, the same for every figure of the same sheets.

    Parameters
    ----------
    sources : sequence of str
        The source of each sheet, shape (n,).
    rng : np.random.Generator
    """

    def __init__(self, sources: Sequence[str], rng: np.random.Generator) -> None:
        names, self.source = np.unique(np.asarray(sources, dtype=np.str_), return_inverse=True)
        self.n_sources = len(names)
        self.draws: FloatArray = np.empty((0, 0))
        """How often each draw has each source, shape (1000, n_sources); no draws of fewer than two sources."""
        if self.n_sources > 1:
            equal = np.full(self.n_sources, 1 / self.n_sources)
            self.draws = rng.multinomial(self.n_sources, equal, RESAMPLES).astype(np.float64)

    def figure(self, counts: npt.ArrayLike, statistic: Statistic) -> Figure:
        """A figure of sums of counts.

        Parameters
        ----------
        counts : array_like, shape (n, k)
            A row per sheet.
        statistic : callable
            See `Statistic`.
        """
        given = np.asarray(counts, dtype=np.float64)
        if given.ndim != 2 or len(given) != len(self.source):
            raise ValueError(f"counts have shape {given.shape} for {len(self.source)} sheets")
        sums = np.zeros((self.n_sources, given.shape[1]))
        np.add.at(sums, self.source, given)
        value = float(statistic(sums.sum(axis=0, keepdims=True))[0])
        drawn = statistic(self.draws @ sums) if len(self.draws) else np.empty(0)
        return self.between(value, drawn)

    def between(self, value: float, drawn: FloatArray) -> Figure:
        """A figure with the interval of what draws gave, NaN where a draw gave nothing."""
        low = high = None
        drawn = drawn[np.isfinite(drawn)]
        if np.isfinite(value) and len(drawn):
            rest = (1 - COVERAGE) / 2
            low, high = (float(edge) for edge in np.quantile(drawn, [rest, 1 - rest]))
        known = value if np.isfinite(value) else None
        return Figure(known, low, high, len(self.source), self.n_sources)


def ratio(sums: FloatArray) -> FloatArray:
    """The first column over the second, shape (m,)."""
    return _over(sums[:, 0], sums[:, 1])


def f1(sums: FloatArray) -> FloatArray:
    """F1 of columns matched, of the reference, estimated."""
    return _over(2 * sums[:, 0], sums[:, 1] + sums[:, 2])


def kappa(sums: FloatArray) -> FloatArray:
    """Cohen's kappa (Educational and Psychological Measurement 20, 1960) of flattened square tables, shape (m, k * k).

    (observed - chance) / (1 - chance), where chance is what two people would agree on who use the classes as often as
    these do, but at random. NaN without anything, and where both use one class only: chance is 1 then.
    """
    k = round(sums.shape[1] ** 0.5)
    table = sums.reshape(-1, k, k)
    n = table.sum(axis=(1, 2))
    observed = _over(np.trace(table, axis1=1, axis2=2), n)
    chance = _over((table.sum(axis=1) * table.sum(axis=2)).sum(axis=1), n * n)
    return _over(observed - chance, 1 - chance)


def _over(above: FloatArray, below: FloatArray) -> FloatArray:
    # Of one class only, 1 - chance is 0 to the bit: it is a quotient of equal numbers.
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below != 0)
