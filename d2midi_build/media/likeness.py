"""The same pictures twice: a video uploaded again, mirrored, cropped, framed, at another size or frame rate.

What is kept of a video is how much moves where: a map of some 250 cells, ten times a second. Two videos of one
studio, dancer and music differ in it as soon as they show two dances.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build.music.fingerprints.stretch import best_stretch

Picture = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

TICKS_PER_S: Final = 10

LEAST_SHARED_S: Final = 5.0
"""Shorter shared stretches are no copy; what is shorter than 7.5 s may be missed."""

LEAST_SCORE: Final = 0.60
"""From this correlation on two stretches show the same movement. Other dances and videos reached 0.45, changed copies
have 0.63 and more."""

LEAST_OUTLINE: Final = 0.60
"""Windows whose outlines are less alike are not looked at again."""

LEAST_MOTION: Final = 0.05
"""Windows in which less moves are not compared; mean of ``cells`` in grey levels."""

LEAST_VARIETY: Final = 2.0
"""Stretches with fewer different things to see are no evidence: a cut, a flash or a swinging lamp looks alike
everywhere. Participation ratio of the ticks' principal components; the plainest real dance had 2.1 over 5 s."""

_SIDE: Final = 16  # rows times columns of cells is about its square
_FINE: Final = 3  # pixels of a cell to each side
_MOST_CELLS_IN_ROW: Final = 32
_SCALE: Final = 16.0
_NOISE: Final = 1.0  # grey levels that a cell changes by from grain and coding alone

_SLOW: Final = 2  # ticks of an outline's step
_WINDOW: Final = 25  # steps: 5 s
_HOP: Final = 12
_LOOKS: Final = 3
_ROWS: Final = 2048
_ITEMS: Final = 48

_SCALES: Final = 1.1 ** np.arange(-6, 7)
_NUDGES: Final = np.arange(-3, 4)
_MOST_TICKS: Final = 300  # that a transform is fitted on
_MOST_CHANGE: Final = 2.0  # of a tick, against the median: cuts and flashes would drown the rest
_PROMISING: Final = 0.35
_WORTH: Final = 0.35
_LEAST_SEEN: Final = 0.5  # share of each picture's movement that the other has to show


@dataclass(frozen=True, eq=False)
class MotionSignature:
    """How much moves where, ten times a second.

    Attributes
    ----------
    cells : np.ndarray, shape=(n, rows, columns), uint8
        Row ``i`` is the change from ``i`` to ``i + 1`` tenths of a second after the beginning: the square root of the
        mean absolute difference in grey levels above 1, times 16. About 150 kB a minute, less when compressed.
    aspect : float
        Width of the picture over its height.
    """

    cells: npt.NDArray[np.uint8]
    aspect: float

    def between(self, start_s: float, end_s: float) -> MotionSignature:
        """A part of it, times in seconds from its own beginning, to a tenth of a second."""
        first = max(0, round(start_s * TICKS_PER_S))
        return MotionSignature(self.cells[first : max(first, int(end_s * TICKS_PER_S + 1e-6))], self.aspect)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For ``np.savez_compressed``."""
        return {"cells": self.cells, "aspect": np.array(self.aspect)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> MotionSignature:
        """From what ``to_arrays`` gave."""
        return cls(arrays["cells"], float(arrays["aspect"]))


class MotionCollector:
    """Makes a ``MotionSignature`` of pictures given one after another.

    About 0.24 ms of CPU per picture of 360 lines (``benchmarks/repeats.py`` prints it).
    """

    def __init__(self) -> None:
        self._rows = self._columns = 0
        self._aspect = 1.0
        self._before: tuple[float, FloatArray] | None = None
        self._last: FloatArray | None = None
        self._cells: list[npt.NDArray[np.uint8]] = []

    def add(self, time_s: float, picture: Picture) -> None:
        """Take a picture.

        Parameters
        ----------
        time_s : float
            On the source clock, not before the last one's. What lies before 0 is passed over.
        picture : np.ndarray, shape=(height, width, 3), uint8
            BGR, of the first one's shape.
        """
        import cv2

        if not self._rows:
            height, width = picture.shape[:2]
            self._aspect = width / height
            self._rows, self._columns = _grid(self._aspect)
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        size = (self._columns * _FINE, self._rows * _FINE)
        small: FloatArray = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        while (due_s := (len(self._cells) + (self._last is not None)) / TICKS_PER_S) <= time_s:
            self._tick(self._picture_at(due_s, time_s, small))
        self._before = (time_s, small)

    def finish(self) -> MotionSignature:
        """The signature of all pictures so far."""
        cells = np.array(self._cells, np.uint8).reshape(len(self._cells), self._rows, self._columns)
        return MotionSignature(cells, self._aspect)

    def _picture_at(self, due_s: float, time_s: float, small: FloatArray) -> FloatArray:
        """Between the last picture and this one: so that frame rates do not matter."""
        if self._before is None or time_s <= self._before[0]:
            return small
        before_s, before = self._before
        share = np.float32((due_s - before_s) / (time_s - before_s))
        return before + (small - before) * share

    def _tick(self, picture: FloatArray) -> None:
        if self._last is not None:
            change = np.abs(picture - self._last).reshape(self._rows, _FINE, self._columns, _FINE)
            level = np.sqrt(np.maximum(0, change.mean(axis=(1, 3)) - _NOISE)) * _SCALE
            self._cells.append(np.minimum(level + 0.5, 255).astype(np.uint8))
        self._last = picture


@dataclass(frozen=True)
class Copy:
    """Two items that show the same.

    Attributes
    ----------
    first, second : int
        Items, ``first < second``.
    score : float
        0-1: correlation of the movement over what is shared.
    offset_s : float
        Time in the second, from its beginning, at which the first begins; to about 0.1 s.
    mirrored : bool
    overlap_s : float
        How much of the first is shared.
    """

    first: int
    second: int
    score: float
    offset_s: float
    mirrored: bool
    overlap_s: float


def find_copies(
    items: Sequence[MotionSignature],
    known: Collection[int] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
    least_score: float = LEAST_SCORE,
) -> list[Copy]:
    """All pairs that show the same for at least 5 s.

    Parameters
    ----------
    items : sequence of MotionSignature
        Usually takes. Still pictures are in no pair.
    known : collection of int
        Items that were compared with each other before; pairs of two of them are left out.
    progress : callable, optional
        Is told how many items are done, and of how many.
    least_score : float, optional
        Lower it to see what nearly was a copy.

    Returns
    -------
    list of Copy
        In order of first and second, one per pair.

    Notes
    -----
    CPU, one core, takes of 30 s: 0.01 ms per pair for outlines and some 15 ms for each pair looked at again (3 % of
    pairs of videos that have nothing in common). So 6,000 new takes need about two hours, one new take among 6,000
    known ones about half a minute.
    """
    fresh = np.ones(len(items), np.bool_)
    fresh[list(known)] = False
    total, done = int(fresh.sum()), 0
    found = []
    for pair, places in _candidates(items, fresh):
        if pair is None:
            done += 1
            progress(done, total)
            continue
        matches = [_laid_over(items[pair[0]], items[pair[1]], least_score, *place) for place in places]
        best = max(
            (each for each in matches if each is not None), default=None, key=lambda each: each.evidence
        )
        if best is not None:
            found.append(
                Copy(*pair, best.score, best.lag / TICKS_PER_S, best.mirrored, best.ticks / TICKS_PER_S)
            )
    return sorted(found, key=lambda copy: (copy.first, copy.second))


def _grid(aspect: float) -> tuple[int, int]:
    """Rows and columns of about square cells."""
    rows = int(np.clip(round(_SIDE / np.sqrt(aspect)), 4, _MOST_CELLS_IN_ROW))
    return rows, int(np.clip(round(_SIDE * np.sqrt(aspect)), 4, _MOST_CELLS_IN_ROW))


def _points(signature: MotionSignature) -> DoubleArray:
    """Centres of the cells, x and y, in heights of the picture; shape (rows * columns, 2)."""
    rows, columns = signature.cells.shape[1:]
    y, x = np.mgrid[0:rows, 0:columns]
    return np.column_stack([(x.ravel() + 0.5) / columns * signature.aspect, (y.ravel() + 0.5) / rows])


def _level(signature: MotionSignature) -> FloatArray:
    """Cells as numbers, flat, cuts and flashes damped; shape (n, rows * columns)."""
    level = signature.cells.reshape(len(signature.cells), -1).astype(np.float32) / np.float32(_SCALE)
    size = np.sqrt((level**2).sum(axis=1, keepdims=True))
    if not len(level) or not (size > 0).any():
        return level
    most = np.float32(_MOST_CHANGE * np.median(size[size > 0]))
    damped: FloatArray = level * np.minimum(1, most / np.maximum(size, 1e-9))
    return damped


def _smooth(series: FloatArray) -> FloatArray:
    """Over three ticks: two uploads do not change at the same instants."""
    padded = np.pad(series, ((1, 1), (0, 0)), mode="edge")
    smooth: FloatArray = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / np.float32(4)
    return smooth


@dataclass(frozen=True, eq=False)
class _Outlines:
    """Windows of items: rows of length 1, the last columns of which change sign in a mirror."""

    numbers: FloatArray
    item: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]


def _outlines(signature: MotionSignature, item: int, hop: int) -> _Outlines:
    """Moments of the movement over 5 s: how much, how high, how far apart, how far to the right. They do not
    depend on size and place of the picture's content."""
    steps = len(signature.cells) // _SLOW
    starts = np.arange(0, max(0, steps - _WINDOW + 1), hop)
    if not len(starts):
        return _Outlines(np.zeros((0, 6 * _WINDOW), np.float32), starts, starts)
    points = _points(signature)
    slow = _smooth(_level(signature))[: steps * _SLOW].reshape(steps, _SLOW, -1).mean(axis=1)
    powers = np.column_stack([np.ones(len(points)), points, points**2, points.prod(axis=1)])
    moments = np.lib.stride_tricks.sliding_window_view(slow.astype(np.float64) @ powers, _WINDOW, axis=0)[
        starts
    ]
    mass, mx, my, mxx, myy, mxy = np.moveaxis(moments, 1, 0)
    whole = np.maximum(mass.sum(axis=1, keepdims=True), 1e-9)
    x, y = mx.sum(axis=1, keepdims=True) / whole, my.sum(axis=1, keepdims=True) / whole
    curves = np.stack(
        [
            mass,
            my - y * mass,
            mxx - 2 * x * mx + x**2 * mass,
            myy - 2 * y * my + y**2 * mass,
            mx - x * mass,
            mxy - x * my - y * mx + x * y * mass,
        ],
        axis=1,
    )
    curves -= curves.mean(axis=2, keepdims=True)
    length = np.linalg.norm(curves, axis=2, keepdims=True) * np.sqrt(curves.shape[1])
    numbers = np.divide(curves, length, out=np.zeros_like(curves), where=length > 1e-9)
    moving = whole[:, 0] / (_WINDOW * len(points)) >= LEAST_MOTION
    flat = numbers.reshape(len(starts), -1).astype(np.float32)[moving]
    return _Outlines(flat, np.full(int(moving.sum()), item), starts[moving])


def _joined(parts: list[_Outlines]) -> _Outlines:
    return _Outlines(
        np.concatenate([part.numbers for part in parts] or [np.zeros((0, 6 * _WINDOW), np.float32)]),
        np.concatenate([part.item for part in parts] or [np.zeros(0, np.int64)]),
        np.concatenate([part.step for part in parts] or [np.zeros(0, np.int64)]),
    )


def _candidates(
    items: Sequence[MotionSignature], fresh: npt.NDArray[np.bool_]
) -> Iterator[tuple[tuple[int, int] | None, list[tuple[int, int, bool]]]]:
    """Pairs with alike outlines: for their most alike windows the first one's middle, the lag (ticks) and whether
    one is mirrored. None after every fresh item."""
    rows = _joined([_outlines(each, number, _HOP) for number, each in enumerate(items)])
    numbers = np.flatnonzero(fresh)
    for begin in range(0, len(numbers), _ITEMS):
        mine = numbers[begin : begin + _ITEMS]
        columns = _joined([_outlines(items[number], int(number), 1) for number in mine])
        # Fresh rows after the last column are compared when they are columns themselves.
        wanted = np.flatnonzero(~fresh[rows.item] | (rows.item < mine[-1]))
        alike = [
            _alike(rows, wanted[start : start + _ROWS], columns, mirrored, fresh)
            for start in range(0, len(wanted), _ROWS)
            for mirrored in (False, True)
        ]
        yield from _paired(np.concatenate([*alike, np.zeros((0, 5))]), rows, columns)
        for _ in mine:
            yield None, []


def _alike(
    rows: _Outlines,
    block: npt.NDArray[np.int64],
    columns: _Outlines,
    mirrored: bool,
    fresh: npt.NDArray[np.bool_],
) -> DoubleArray:
    """Both items, row and column of alike windows, and how alike, negative if mirrored; shape (n, 5)."""
    mirror = np.repeat(np.array([1, 1, 1, 1, -1, -1], np.float32), _WINDOW)
    likeness = (rows.numbers[block] * mirror if mirrored else rows.numbers[block]) @ columns.numbers.T
    row, column = np.nonzero(likeness >= LEAST_OUTLINE)
    one, other = rows.item[block[row]], columns.item[column]
    keep = (one < other) | (~fresh[one] & (one != other))
    row, column = row[keep], column[keep]
    value = likeness[row, column] * (-1 if mirrored else 1)
    return np.column_stack([one[keep], other[keep], block[row], column, value]).astype(np.float64)


def _paired(
    alike: DoubleArray, rows: _Outlines, columns: _Outlines
) -> Iterator[tuple[tuple[int, int], list[tuple[int, int, bool]]]]:
    """The most alike windows of each pair of items, at different lags."""
    alike = alike[np.lexsort((alike[:, 3], alike[:, 2], -np.abs(alike[:, 4]), alike[:, 1], alike[:, 0]))]
    begins = np.flatnonzero((np.diff(alike[:, :2], axis=0, prepend=-1) != 0).any(axis=1))
    for begin, end in itertools.pairwise([*begins, len(alike)]):
        one, other = int(alike[begin, 0]), int(alike[begin, 1])
        places: list[tuple[int, int, bool]] = []
        for _, _, row, column, value in alike[begin:end]:
            here, there = int(rows.step[int(row)]) * _SLOW, int(columns.step[int(column)]) * _SLOW
            here, there = (here, there) if one < other else (there, here)
            place = (here + _WINDOW * _SLOW // 2, there - here, bool(value < 0))
            if all(abs(place[1] - lag) > _SLOW * 2 or place[2] != turned for _, lag, turned in places):
                places.append(place)
            if len(places) == _LOOKS:
                break
        yield (min(one, other), max(one, other)), places


@dataclass(frozen=True)
class _Laid:
    """What a second look found: ``evidence`` chooses among several."""

    evidence: float
    score: float
    lag: float
    mirrored: bool
    ticks: int


def _laid_over(
    first: MotionSignature, second: MotionSignature, least_score: float, middle: int, lag: int, mirrored: bool
) -> _Laid | None:
    """Fit size and place of the second's picture to the first's around a tick, and see how long they agree."""
    one, other = _smooth(_level(first)), _smooth(_level(second))
    points, others = _points(first), _points(second)
    if mirrored:
        others = others * (-1, 1)
    fits: dict[int, _Fit] = {}
    for near in sorted(range(lag - 2, lag + 3), key=lambda each: abs(each - lag)):
        start, stop = _shared(one, other, near)
        start, stop = max(start, middle - _MOST_TICKS // 2), min(stop, middle + _MOST_TICKS // 2)
        if stop - start < LEAST_SHARED_S * TICKS_PER_S - 5:
            continue
        fits[near] = _Fit(one[start:stop], other[start + near : stop + near], points, others)
        if near == lag:
            scale, shift, likeness = fits[near].search()
            if likeness < _PROMISING:
                return None
    if lag not in fits:
        return None
    refined = {near: fit.refine(scale, shift) for near, fit in fits.items()}
    near = max(refined, key=lambda each: refined[each][2])
    scale, shift, _ = refined[near]
    weights = _weights(points * scale + shift, others, second)
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


def _agreement(one: FloatArray, other: FloatArray, lag: float, mirrored: bool) -> _Laid:
    """How long two series of cells agree at a lag in ticks, which may be between two."""
    whole = int(np.floor(lag))
    part = np.float32(lag - whole)
    between = other[:-1] * (1 - part) + other[1:] * part
    start, stop = _shared(one, between, whole)
    mine, yours = one[start:stop], between[start + whole : stop + whole]
    if len(mine) < 2:
        return _Laid(0.0, 0.0, lag, mirrored, 0)
    mine, yours = _where(mine), _where(yours)
    both, own, their = (mine * yours).sum(axis=1), (mine**2).sum(axis=1), (yours**2).sum(axis=1)
    # Brightness and contrast may differ: the same scale for both.
    gain = np.sqrt(own.sum() / max(float(their.sum()), 1e-9))
    worth = both * gain - _WORTH * (own + their * gain**2) / 2
    begin, end, evidence = best_stretch(worth, int(LEAST_SHARED_S * TICKS_PER_S))
    size = float(np.sqrt(own[begin:end].sum() * their[begin:end].sum()))
    telling = _variety(mine[begin:end]) >= LEAST_VARIETY
    score = float(both[begin:end].sum()) / size if size > 0 and telling else 0.0
    return _Laid(evidence / max(float(own.sum()), 1e-9), score, lag, mirrored, end - begin)


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
