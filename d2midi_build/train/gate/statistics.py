"""Is a gap between real and re-paired more than chance, how sure is it, and how many sources would tell?

The unit is the source: windows and clips of one video are alike, so their gaps are averaged first (`cluster_means`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build.train.metrics.aggregate import Bootstrap

FloatArray = npt.NDArray[np.float64]

EXACT_UP_TO: Final = 14
"""Sources up to which all 2^n signs are tried."""

DRAWS: Final = 20_000
"""Signs drawn for more sources: the least p is 5e-5."""

RESAMPLES: Final = 2000
POWER: Final = 0.8
_MOST_SOURCES: Final = 1_000_000
_AT_ONCE: Final = 2000


def cluster_means(values: npt.ArrayLike, sources: Sequence[str]) -> tuple[FloatArray, tuple[str, ...]]:
    """One mean per source, in order of their names: shape (n_sources,), and the names.

    Raises
    ------
    ValueError
        If there is not one source per value.
    """
    given = np.asarray(values, dtype=np.float64)
    if given.shape != (len(sources),):
        raise ValueError(f"values of shape {given.shape} for {len(sources)} sources")
    names, place = np.unique(np.asarray(sources, dtype=np.str_), return_inverse=True)
    sums = np.bincount(place, given, len(names))
    return np.asarray(sums / np.bincount(place, minlength=len(names))), tuple(str(name) for name in names)


def sign_flip_p(gaps: npt.ArrayLike, rng: np.random.Generator) -> float:
    """One-sided p of the sign-flip permutation test of "the mean gap is no larger than 0".

    If pairing does not matter, each source's gap is as likely to have the other sign. The p value is the share of
    signs whose mean is at least the one observed: exact, all 2^n of them, up to 14 sources; else of 20,000 drawn
    ones, with the observed one counted among them (Phipson and Smyth, 2010), so that it is never 0.

    Parameters
    ----------
    gaps : array_like, shape=(n,)
        One per source, positive where real pairs do better. A 0 counts as any other.
    rng : np.random.Generator
        Used with more than 14 sources.

    Returns
    -------
    float
        2^-n to 1 when exact, 1 / 20,001 to 1 when not.

    Raises
    ------
    ValueError
        Without gaps, or if one is not finite.
    """
    given = _checked(gaps)
    n = len(given)
    # Sums of the same numbers in another order differ in the last bits: such are equal.
    least = given.sum() - 1e-9 * max(float(np.abs(given).sum()), 1e-300)
    if n <= EXACT_UP_TO:
        return float((_signs(n) @ given >= least).mean())
    as_high = sum(
        int((_drawn_signs(rng, min(_AT_ONCE, DRAWS - done), n) @ given >= least).sum())
        for done in range(0, DRAWS, _AT_ONCE)
    )
    return (1 + as_high) / (1 + DRAWS)


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p values that hold for all of them together (Holm, 1979).

    The i-th smallest of m becomes the largest of its ``(m - i + 1) p`` and those before it, at most 1; compare each
    with the level itself.

    Raises
    ------
    ValueError
        If one is not within 0-1.
    """
    for name, value in p.items():
        if not 0 <= value <= 1:
            raise ValueError(f"p of {name} is {value}, allowed is 0-1")
    adjusted: dict[str, float] = {}
    highest = 0.0
    for place, name in enumerate(sorted(p, key=lambda each: (p[each], each))):
        highest = max(highest, min((len(p) - place) * p[name], 1.0))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p}


@dataclass(frozen=True)
class Gap:
    """A mean gap over sources.

    Attributes
    ----------
    mean : float
    low, high : float or None
        95 % interval, by a bootstrap over sources; None with one source.
    n : int
        Sources.
    spread : float or None
        Standard deviation over sources (n - 1); None with one.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    spread: float | None

    @property
    def ci(self) -> tuple[float, float] | None:
        """The interval as records have it."""
        return None if self.low is None or self.high is None else (self.low, self.high)


def mean_gap(gaps: npt.ArrayLike, rng: np.random.Generator) -> Gap:
    """Mean of one gap per source, with its interval.

    Raises
    ------
    ValueError
        As `sign_flip_p`.
    """
    given = _checked(gaps)
    # Named so that their order is the given one.
    names = [f"{place:09d}" for place in range(len(given))]
    found = Bootstrap(names, rng, RESAMPLES).mean(given.tolist())
    spread = float(given.std(ddof=1)) if len(given) > 1 else None
    return Gap(float(given.mean()), found.low, found.high, len(given), spread)


def power(gap: float, spread: float, n: int, alpha: float) -> float:
    """How likely n sources show a true mean gap, 0-1.

    That of the one-sided t test on normal gaps (noncentral t), which the sign-flip test comes close to; 0 where even
    all gaps positive give the sign-flip test no p of ``alpha`` (2^-n is larger).

    Parameters
    ----------
    gap, spread : float
        True mean and standard deviation of the gaps of sources; the spread larger than 0.
    n : int
    alpha : float
        One-sided level.
    """
    from scipy.stats import nct, t

    if not (spread > 0 and 0 < alpha < 1):
        raise ValueError(f"spread is {spread} and alpha {alpha}: needed are more than 0, and between 0 and 1")
    if n < _least_sources(alpha):
        return 0.0
    if gap / spread * math.sqrt(n) > 30:  # beyond what nct computes
        return 1.0
    return float(nct.sf(t.isf(alpha, n - 1), n - 1, gap / spread * math.sqrt(n)))


def smallest_gap(spread: float, n: int, alpha: float, wanted: float = POWER) -> float | None:
    """The true mean gap that n sources would show with a `power` of 80 %; None where they can show none."""
    from scipy.optimize import brentq

    if n < _least_sources(alpha):
        return None
    top = spread
    while power(top, spread, n, alpha) < wanted:
        top *= 2
    return float(brentq(lambda gap: power(gap, spread, n, alpha) - wanted, 0.0, top, xtol=1e-6 * spread))


def sources_needed(gap: float, spread: float, alpha: float, wanted: float = POWER) -> int | None:
    """Fewest sources that would show this gap with a `power` of 80 %; None without a gap, or beyond a million."""
    if gap <= 0:
        return None
    least = _least_sources(alpha)
    if spread <= 0:
        return least
    low, high = least - 1, least
    while power(gap, spread, high, alpha) < wanted:
        low, high = high, 2 * high
        if high > _MOST_SOURCES:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(gap, spread, middle, alpha) >= wanted else (middle, high)
    return high


def power_told(gap: Gap, alpha: float) -> str:
    """In words what so many sources can show at a level, and how many the gap that was seen would take."""
    if gap.spread is None or gap.spread <= 0:
        return f"nothing is known of how its {gap.n} sources differ, so not how many would be needed"
    smallest = smallest_gap(gap.spread, gap.n, alpha)
    shown = (
        f"{gap.n} sources show no gap at a level of {alpha:g}, {_least_sources(alpha)} are needed at least"
        if smallest is None
        else f"with {gap.n} sources a gap of {smallest:.3g} would be detected with {POWER:.0%} (level {alpha:g})"
    )
    needed = sources_needed(gap.mean, gap.spread, alpha)
    if needed is None:
        return f"{shown}; the gap seen is none that more sources would show"
    return f"{shown}; if the gap seen, {gap.mean:.3g}, is real, {needed} sources would show it"


def _least_sources(alpha: float) -> int:
    return max(2, math.ceil(-math.log2(alpha) - 1e-9))


def _checked(gaps: npt.ArrayLike) -> FloatArray:
    given = np.asarray(gaps, dtype=np.float64)
    if given.ndim != 1 or not len(given) or not np.isfinite(given).all():
        raise ValueError(f"needed is one finite gap per source, given are {given!r}")
    return given


@lru_cache(maxsize=2)
def _signs(n: int) -> FloatArray:
    """All signs of n gaps, -1 and 1: shape (2^n, n)."""
    bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    return np.asarray(1.0 - 2.0 * bits)


def _drawn_signs(rng: np.random.Generator, draws: int, n: int) -> npt.NDArray[Any]:
    return 1.0 - 2.0 * rng.integers(2, size=(draws, n))
