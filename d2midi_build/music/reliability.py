"""How far figures can be relied on: whether probabilities come true, and the intervals of means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Calibration:
    """How often what was given a probability came true.

    Attributes
    ----------
    error : float or None
        Expected calibration error (Naeini et al., AAAI 2015): the mean distance of probability and share, weighted
        by the bins' counts; None without any estimate.
    mean, share : np.ndarray, shape (n_bins,), float64
        Mean probability and share that came true in each of the equal bins of 0-1; NaN where a bin is empty.
    n : np.ndarray, shape (n_bins,), int64
        Estimates per bin.
    """

    error: float | None
    mean: npt.NDArray[np.float64]
    share: npt.NDArray[np.float64]
    n: npt.NDArray[np.int64]


def calibration(probability: npt.ArrayLike, right: npt.ArrayLike, n_bins: int = 10) -> Calibration:
    """Compare probabilities with what came true.

    Parameters
    ----------
    probability : array_like, shape (n,)
        0-1.
    right : array_like of bool, shape (n,)
    n_bins : int, optional
        Default is 10. A probability on an edge counts in the bin above it, 1 in the last.

    Raises
    ------
    ValueError
        If the shapes differ or a probability is outside 0-1.
    """
    p, true = np.asarray(probability, dtype=np.float64), np.asarray(right, dtype=np.bool_)
    if p.shape != true.shape or p.ndim != 1:
        raise ValueError(f"probability has shape {p.shape}, right has {true.shape}; both must be (n,)")
    if len(p) and not (p.min() >= 0 and p.max() <= 1):
        raise ValueError(f"probability goes from {p.min()} to {p.max()}, allowed is 0-1")
    # The rounding keeps 0.3 (as float32, say) in the bin that begins with 0.3.
    place = np.minimum(np.floor(np.round(p * n_bins, 5)).astype(np.int64), n_bins - 1)
    n = np.bincount(place, minlength=n_bins)
    with np.errstate(invalid="ignore"):  # 0/0 in an empty bin
        mean = np.bincount(place, p, n_bins) / n
        share = np.bincount(place, true, n_bins) / n
    error = float(np.nansum(n * np.abs(mean - share)) / len(p)) if len(p) else None
    return Calibration(error, mean, share, n.astype(np.int64))


@dataclass(frozen=True)
class Mean:
    """A mean over pieces with the interval that resampling the pieces gives; None without any piece."""

    value: float | None
    low: float | None
    high: float | None
    n: int


def mean_with_interval(
    values: Sequence[float | None], rng: np.random.Generator, level: float = 0.95, n_draws: int = 2000
) -> Mean:
    """Mean and percentile bootstrap interval (Efron, 1979) of one value per piece.

    Parameters
    ----------
    values : sequence of float or None
        Pieces that have no value are left out; ``n`` of the result counts the others.
    rng : np.random.Generator
    level : float, optional
        Default is 0.95.
    n_draws : int, optional
        Default is 2000.
    """
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    if not len(known):
        return Mean(None, None, None, 0)
    draws = known[rng.integers(len(known), size=(n_draws, len(known)))].mean(axis=1)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Mean(float(known.mean()), float(low), float(high), len(known))
