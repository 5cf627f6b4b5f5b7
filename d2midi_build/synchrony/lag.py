"""A constant time between dance and music: found in many clips together, not in one.

One clip's correlation of rest and onsets has a peak at every beat, so its largest tells nothing. Beats of clips of
different tempi lie at different lags, and only the true one is common: the mean curve over clips has its peak there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from d2midi_build import clock

FloatArray = npt.NDArray[np.float64]
Pair = tuple[npt.NDArray[Any], npt.NDArray[Any]]

MAX_LAG_S: Final = 1.0
LEAST_CLIPS: Final = 8
"""Clips with a curve below which nothing is said."""

TOLERANCE_S: Final = 0.08
"""Lags up to this are no offset: dancers lean on the beat by so much, and a frame is 50 ms."""

_NEAR_S: Final = 0.1
"""Peaks this close are the same: other beats of any music are further away."""

_LEAST_SUPPORT: Final = 2 / 3
"""Share of bootstrap samples that have to agree: on synthetic clips wrong peaks reach it in 2 % of the cases."""

_LEAST_SHARED_S: Final = 4.0
_Z_BOUND: Final = 0.999
_BOOTSTRAPS: Final = 500
_DERANGEMENTS: Final = 200
_REMEMBERED: Final = 40_000
_LEVEL: Final = 0.05


@dataclass(frozen=True, eq=False)
class PooledOffset:
    """By how much the dances of several clips are later than their music.

    Attributes
    ----------
    status : str
        ``"ok"``: they belong together, and the offset is no more than `TOLERANCE_S`; ``"offset"``: they belong
        together at another time; ``"unknown"``.
    offset_ms : float or None
        Lag of the mean curve's highest point; positive: the dance is later than the music.
    low_ms, high_ms : float or None
        95 % interval of it, by a bootstrap over clips: of those peaks within 100 ms of it, as ``support`` says.
    support : float or None
        Share of bootstrap samples whose peak is within 100 ms of it: the rest has it a beat or a part of one away.
    peak_r, r_zero : float or None
        Mean correlation (by Fisher's z) there and at lag 0.
    p : float or None
        Share of re-pairings, each clip's motion with another's music, whose mean curve has as high a peak.
    n_clips : int
        Clips with a curve.
    lags_s, curve : np.ndarray, shape (n_lags,), float64
        The mean curve of correlations; NaN where there is no clip.
    explanation : str
    """

    status: Literal["ok", "offset", "unknown"]
    offset_ms: float | None
    low_ms: float | None
    high_ms: float | None
    support: float | None
    peak_r: float | None
    r_zero: float | None
    p: float | None
    n_clips: int
    lags_s: FloatArray
    curve: FloatArray
    explanation: str


def lags(max_lag_s: float = MAX_LAG_S) -> FloatArray:
    """Lags of a curve in seconds, one per frame, 0 in the middle: shape (n_lags,)."""
    reach = round(max_lag_s * clock.FPS)
    return np.arange(-reach, reach + 1) / clock.FPS


def lag_curve(motion: npt.NDArray[Any], onset: npt.NDArray[Any], max_lag_s: float = MAX_LAG_S) -> FloatArray:
    """Correlation of one clip's rhythm of motion with its rhythm of onsets, at every lag.

    At lag L, over the frames where both are known, of ``motion(t)`` with ``onset(t - L)``: a dance that is later than
    its music has its peak at a positive lag. Only frames whose partner lies inside the clip at every lag count, so
    that all lags rest on the same motion.

    Parameters
    ----------
    motion : np.ndarray, shape (n_frames,)
        From `motion_rhythm`; NaN where unknown.
    onset : np.ndarray, shape (n_frames,)
        From `onset_rhythm`.
    max_lag_s : float, optional
        Default is 1 s either way.

    Returns
    -------
    np.ndarray, shape (n_lags,), float64
        At `lags`; all NaN with less than 4 s of shared frames, or where either does not vary.

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    if motion.shape != onset.shape or motion.ndim != 1:
        raise ValueError(f"motion of shape {motion.shape} and onsets of shape {onset.shape}")
    return _curve(np.asarray(motion, np.float64), np.asarray(onset, np.float64), round(max_lag_s * clock.FPS))


def pooled_offset(
    pairs: Sequence[Pair], rng: np.random.Generator, max_lag_s: float = MAX_LAG_S
) -> PooledOffset:
    """The common lag of several clips, of one source or site or of everything.

    The curves are averaged as Fisher's z. "Unknown" are fewer than 8 clips, a peak no higher than those of re-paired
    clips (p of .05), one that fewer than two thirds of the bootstrap samples have, and an interval that holds
    both a lag within `TOLERANCE_S` and one beyond. The lag is searched within ``max_lag_s``; a larger offset is not
    found, and one about a common beat away from nothing (all clips of one tempo) cannot be told from none.

    Parameters
    ----------
    pairs : sequence of (motion, onset)
        Rhythms of each clip, each pair of one length.
    rng : np.random.Generator
        Draws bootstrap samples and re-pairings.
    max_lag_s : float, optional
        Default is 1 s.

    Raises
    ------
    ValueError
        If a pair's lengths differ.
    """
    at_s = lags(max_lag_s)
    curves = [lag_curve(motion, onset, max_lag_s) for motion, onset in pairs]
    usable = [i for i, curve in enumerate(curves) if np.isfinite(curve).all()]
    if len(usable) < LEAST_CLIPS:
        mean = np.tanh(_z([curves[i] for i in usable]).mean(axis=0)) if usable else np.full(len(at_s), np.nan)
        return PooledOffset(
            "unknown", None, None, None, None, None, None, None, len(usable), at_s, mean,
            f"unknown: {len(usable)} clips with both rhythms, {LEAST_CLIPS} are needed",
        )  # fmt: skip
    z = _z([curves[i] for i in usable])
    mean = z.mean(axis=0)
    peak_s, height = _peak(at_s, mean)
    samples = rng.integers(len(z), size=(_BOOTSTRAPS, len(z)))
    peaks = np.array([_peak(at_s, z[sample].mean(axis=0))[0] for sample in samples])
    near = peaks[np.abs(peaks - peak_s) <= _NEAR_S]
    low_s, high_s = np.percentile(near, [2.5, 97.5]) if len(near) else (peak_s, peak_s)
    p = _repaired_p([pairs[i] for i in usable], height, rng, max_lag_s)
    found = {
        "offset_ms": 1000 * peak_s,
        "low_ms": 1000 * float(low_s),
        "high_ms": 1000 * float(high_s),
        "support": len(near) / len(peaks),
        "peak_r": float(np.tanh(height)),
        "r_zero": float(np.tanh(mean[len(mean) // 2])),
        "p": p,
    }
    status, words = _judged(found, len(z))
    return PooledOffset(
        status=status, n_clips=len(z), lags_s=at_s, curve=np.tanh(mean), explanation=words, **found
    )


def _curve(motion: FloatArray, onset: FloatArray, reach: int) -> FloatArray:
    n = len(motion)
    nothing = np.full(2 * reach + 1, np.nan)
    known = np.flatnonzero(np.isfinite(motion[reach : n - reach])) + reach if n > 2 * reach else np.empty(0)
    if len(known) < _LEAST_SHARED_S * clock.FPS:
        return nothing
    moved = motion[known] - motion[known].mean()
    heard = onset[known[None, :].astype(np.int64) - np.arange(-reach, reach + 1)[:, None]]
    heard = heard - heard.mean(axis=1, keepdims=True)
    size = np.sqrt((moved**2).sum() * (heard**2).sum(axis=1))
    if not (np.isfinite(size) & (size > 1e-9)).all():
        return nothing
    return np.asarray(heard @ moved / size)


def _z(curves: Sequence[FloatArray]) -> FloatArray:
    """Fisher's z of correlations: shape (n_clips, n_lags)."""
    return np.arctanh(np.clip(np.stack(list(curves)), -_Z_BOUND, _Z_BOUND))


def _peak(at_s: FloatArray, curve: FloatArray) -> tuple[float, float]:
    """Lag and height of the highest point, between lags by a parabola."""
    i = int(curve.argmax())
    if i in (0, len(curve) - 1):
        return float(at_s[i]), float(curve[i])
    left, here, right = curve[i - 1 : i + 2]
    bend = left - 2 * here + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return float(at_s[i] + shift * (at_s[1] - at_s[0])), float(here - 0.25 * (left - right) * shift)


def _repaired_p(pairs: Sequence[Pair], height: float, rng: np.random.Generator, max_lag_s: float) -> float:
    """Share of re-pairings with a peak as high, this one counted among them.

    Clips of other lengths are paired over what both have.
    """
    at_s = lags(max_lag_s)
    reach = round(max_lag_s * clock.FPS)
    motions = [np.asarray(motion, np.float64) for motion, _ in pairs]
    onsets = [np.asarray(onset, np.float64) for _, onset in pairs]

    def repaired(i: int, j: int) -> FloatArray:
        n = min(len(motions[i]), len(onsets[j]))
        return _curve(motions[i][:n], onsets[j][:n], reach)

    # Few clips meet again and again; many would only fill the memory.
    known = lru_cache(maxsize=_REMEMBERED)(repaired)
    as_high = done = 1
    for _ in range(_DERANGEMENTS):
        drawn = [known(i, j) for i, j in enumerate(_derangement(len(pairs), rng))]
        drawn = [curve for curve in drawn if np.isfinite(curve).all()]
        if len(drawn) < LEAST_CLIPS:
            continue
        # The mean of fewer curves has higher peaks by chance: conservative.
        as_high += _peak(at_s, _z(drawn).mean(axis=0))[1] >= height
        done += 1
    return as_high / done


def _derangement(n: int, rng: np.random.Generator) -> list[int]:
    """A permutation that leaves nothing in its place."""
    while True:
        order = rng.permutation(n)
        if not (order == np.arange(n)).any():
            return [int(i) for i in order]


def _judged(found: dict[str, float], n: int) -> tuple[Literal["ok", "offset", "unknown"], str]:
    side = "later" if found["offset_ms"] >= 0 else "earlier"
    numbers = (
        f"over {n} clips rest and onsets correlate best ({found['peak_r']:.2f}, {found['r_zero']:.2f} at lag 0, p "
        f"{found['p']:.2g}) with the dance {abs(found['offset_ms']):.0f} ms {side} (95 %: {found['low_ms']:.0f} to "
        f"{found['high_ms']:.0f})"
    )
    tolerance_ms = 1000 * TOLERANCE_S
    if found["p"] > _LEVEL:
        return "unknown", f"unknown: {numbers}; music of other clips fits as well"
    if found["support"] < _LEAST_SUPPORT:
        return (
            "unknown",
            f"unknown: {numbers}; only {found['support']:.0%} of the samples of clips have that peak",
        )
    if found["low_ms"] > tolerance_ms or found["high_ms"] < -tolerance_ms:
        return "offset", f"offset: {numbers}"
    if -tolerance_ms <= found["low_ms"] and found["high_ms"] <= tolerance_ms:
        return "ok", f"ok: {numbers}, within {tolerance_ms:.0f} ms"
    return "unknown", f"unknown: {numbers}; the interval is too wide to tell"
