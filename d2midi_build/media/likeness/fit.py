"""Lay the movement of one video over another's: at which size, place and time they agree, and how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from d2midi_build.media.likeness.signature import (
    TICKS_PER_S,
    DoubleArray,
    FloatArray,
    MotionSignature,
    level,
    points,
    smooth,
)
from d2midi_build.stretch import best_stretch

LEAST_SHARED_S: Final = 5.0
"""Shorter shared stretches are no copy; what is shorter than 7.5 s may be missed."""

LEAST_VARIETY: Final = 2.0
"""Stretches with fewer different things to see are no evidence: a cut, a flash or a swinging lamp looks alike
everywhere. Participation ratio of the ticks' principal components; the plainest real dance had 2.1 over 5 s."""

_SCALES: Final = 1.1 ** np.arange(-6, 7)
_NUDGES: Final = np.arange(-3, 4)
_MOST_TICKS: Final = 300  # that a transform is fitted on
_PROMISING: Final = 0.35
_WORTH: Final = 0.35
_LEAST_SEEN: Final = 0.5  # share of each picture's movement that the other has to show


@dataclass(frozen=True)
class Laid:
    """What a second look found, lag and length in ticks; ``evidence`` chooses among several."""

    evidence: float
    score: float
    lag: float
    mirrored: bool
    ticks: int


def laid_over(
    first: MotionSignature, second: MotionSignature, least_score: float, middle: int, lag: int, mirrored: bool
) -> Laid | None:
    """Fit size and place of the second's picture to the first's around a tick, and see how long they agree."""
    one, other = smooth(level(first)), smooth(level(second))
    places, others = points(first), points(second)
    if mirrored:
        others = others * (-1, 1)
    fits: dict[int, _Fit] = {}
    for near in sorted(range(lag - 2, lag + 3), key=lambda each: abs(each - lag)):
        start, stop = _shared(one, other, near)
        start, stop = max(start, middle - _MOST_TICKS // 2), min(stop, middle + _MOST_TICKS // 2)
        if stop - start < LEAST_SHARED_S * TICKS_PER_S - 5:
            continue
        fits[near] = _Fit(one[start:stop], other[start + near : stop + near], places, others)
        if near == lag:
            scale, shift, likeness = fits[near].search()
            if likeness < _PROMISING:
                return None
    if lag not in fits:
        return None
    refined = {near: fit.refine(scale, shift) for near, fit in fits.items()}
    near = max(refined, key=lambda each: refined[each][2])
    scale, shift, _ = refined[near]
    weights = _weights(places * scale + shift, others, second)
    seen = weights.sum(axis=1) > 0.5
    moved = other @ weights.T.astype(np.float32)
    found = [
        _agreement(one[:, seen], moved[:, seen], near + part, mirrored)
        for part in (-0.5, -0.25, 0.0, 0.25, 0.5)
    ]
    laid = max(found, key=lambda each: each.evidence)
    if laid.score < least_score or laid.ticks < LEAST_SHARED_S * TICKS_PER_S - 1:
        return None
    return laid


def _shared(one: FloatArray, other: FloatArray, lag: int) -> tuple[int, int]:
    return max(0, -lag), min(len(one), len(other) - lag)


def _agreement(one: FloatArray, other: FloatArray, lag: float, mirrored: bool) -> Laid:
    """How long two series of cells agree at a lag in ticks, which may be between two."""
    whole = int(np.floor(lag))
    part = np.float32(lag - whole)
    between = other[:-1] * (1 - part) + other[1:] * part
    start, stop = _shared(one, between, whole)
    mine, yours = one[start:stop], between[start + whole : stop + whole]
    if len(mine) < 2:
        return Laid(0.0, 0.0, lag, mirrored, 0)
    mine, yours = _where(mine), _where(yours)
    both, own, their = (mine * yours).sum(axis=1), (mine**2).sum(axis=1), (yours**2).sum(axis=1)
    # Brightness and contrast may differ: the same scale for both.
    gain = np.sqrt(own.sum() / max(float(their.sum()), 1e-9))
    worth = both * gain - _WORTH * (own + their * gain**2) / 2
    begin, end, evidence = best_stretch(worth, int(LEAST_SHARED_S * TICKS_PER_S))
    size = float(np.sqrt(own[begin:end].sum() * their[begin:end].sum()))
    telling = _variety(mine[begin:end]) >= LEAST_VARIETY
    score = float(both[begin:end].sum()) / size if size > 0 and telling else 0.0
    return Laid(evidence / max(float(own.sum()), 1e-9), score, lag, mirrored, end - begin)


def _where(series: FloatArray) -> FloatArray:
    """Where something moves, without how much: dancers of one beat, cuts, flashes and zooms agree in the latter.

    Takes out the mean over time, and of every tick its multiples of that mean and of an even change.
    """
    usual = series.mean(axis=0)
    patterns = np.linalg.qr(np.column_stack([np.ones_like(usual), usual]))[0].astype(np.float32)
    left = series - usual
    without: FloatArray = left - (left @ patterns) @ patterns.T
    return without


def _variety(series: FloatArray) -> float:
    gram = (series @ series.T).astype(np.float64)
    squares = float((gram**2).sum())
    return float(np.trace(gram)) ** 2 / squares if squares > 0 else 0.0


class _Fit:
    """Two series of cells at one lag; finds the size and place at which they agree best.

    All products of cells are taken once; every transform then only picks from them.
    """

    def __init__(self, one: FloatArray, other: FloatArray, points: DoubleArray, others: DoubleArray) -> None:
        self._points, self._others = points, others
        self._centres = tuple(
            (at * series.sum(axis=0)[:, None]).sum(axis=0) / max(float(series.sum()), 1e-9)
            for at, series in ((points, one), (others, other))
        )
        one, other = _where(one), _where(other)
        self._cross = (one.T @ other).astype(np.float64)
        self._own, self._their = (
            (one**2).sum(axis=0, dtype=np.float64),
            (other**2).sum(axis=0, dtype=np.float64),
        )
        self._left, self._top = others.min(axis=0)
        self._columns = len(np.unique(others[:, 0]))
        self._rows = len(others) // self._columns
        self._pitch = np.array(
            [np.ptp(others[:, 0]) / (self._columns - 1), np.ptp(others[:, 1]) / (self._rows - 1)]
        )
        self._turned = others[0, 0] > others[-1, 0]

    def search(self) -> tuple[float, DoubleArray, float]:
        """Scale and shift (a point ``p`` of the first is at ``scale * p + shift`` of the second), and likeness."""
        nudges = np.array([(x, y) for x in _NUDGES for y in _NUDGES]) * self._pitch
        return self._among(
            [(s, self._centres[1] - s * self._centres[0] + nudge) for s in _SCALES for nudge in nudges]
        )

    def refine(self, scale: float, shift: DoubleArray) -> tuple[float, DoubleArray, float]:
        """The same, near a scale and shift that are about right."""
        likeness = -1.0
        middle = self._centres[0]
        for finer in (0.5, 0.25):
            steps = [np.array((x, y)) * finer * self._pitch for x in (-1, 0, 1) for y in (-1, 0, 1)]
            scales = scale * 1.1 ** (np.array([-1, 0, 1]) * finer)
            tried = [(s, scale * middle + shift - s * middle + step) for s in scales for step in steps]
            scale, shift, likeness = self._among(tried)
        return scale, shift, likeness

    def _among(self, tried: list[tuple[float, DoubleArray]]) -> tuple[float, DoubleArray, float]:
        scales = np.array([scale for scale, _ in tried])[:, None, None]
        shifts = np.array([shift for _, shift in tried])[:, None, :]
        at = (self._points * scales + shifts - (self._left, self._top)) / self._pitch
        column, row = np.rint(at[..., 0]).astype(np.int64), np.rint(at[..., 1]).astype(np.int64)
        inside = (column >= 0) & (column < self._columns) & (row >= 0) & (row < self._rows)
        if self._turned:
            column = self._columns - 1 - column
        cell = np.where(inside, row * self._columns + column, 0)
        both = (self._cross[np.arange(len(self._points)), cell] * inside).sum(axis=1)
        own = (self._own * inside).sum(axis=1)
        their = (self._their[cell] * inside).sum(axis=1)
        # One cell may stand for several of the other's: what is seen of the second is counted in its own cells.
        seen = their * scales[:, 0, 0] ** 2
        size = np.sqrt(own * their)
        enough = (own >= _LEAST_SEEN * self._own.sum()) & (seen >= _LEAST_SEEN * self._their.sum())
        likeness = np.divide(both, size, out=np.full(len(both), -1.0), where=enough & (size > 1e-9))
        at_best = int(likeness.argmax())
        return float(scales[at_best, 0, 0]), shifts[at_best, 0], float(likeness[at_best])


def _weights(places: DoubleArray, others: DoubleArray, second: MotionSignature) -> DoubleArray:
    """Shares of the second's cells, bilinear, that make its picture at places; shape (len(places), n cells)."""
    rows, columns = second.cells.shape[1:]
    pitch = np.array([second.aspect / columns, 1 / rows])
    distance = np.abs(places[:, None, :] - others[None, :, :]) / pitch
    weights: DoubleArray = np.maximum(0, 1 - distance).prod(axis=2)
    return weights
