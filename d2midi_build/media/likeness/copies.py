"""Which items of a collection show the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.media.likeness.fit import laid_over
from d2midi_build.media.likeness.signature import (
    TICKS_PER_S,
    DoubleArray,
    FloatArray,
    MotionSignature,
    level,
    points,
    smooth,
)

LEAST_SCORE: Final = 0.60
"""From this correlation on two stretches show the same movement. Other dances and videos reached 0.45, changed copies
have 0.63 and more."""

LEAST_OUTLINE: Final = 0.60
"""Windows whose outlines are less alike are not looked at again."""

LEAST_MOTION: Final = 0.05
"""Windows in which less moves are not compared; mean of ``cells`` in grey levels."""

_SLOW: Final = 2  # ticks of an outline's step
_WINDOW: Final = 25  # steps: 5 s
_HOP: Final = 12
_LOOKS: Final = 3
_ROWS: Final = 2048
_ITEMS: Final = 48


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
        matches = [laid_over(items[pair[0]], items[pair[1]], least_score, *place) for place in places]
        best = max(
            (each for each in matches if each is not None), default=None, key=lambda each: each.evidence
        )
        if best is not None:
            found.append(
                Copy(*pair, best.score, best.lag / TICKS_PER_S, best.mirrored, best.ticks / TICKS_PER_S)
            )
    return sorted(found, key=lambda copy: (copy.first, copy.second))


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
    at = points(signature)
    slow = smooth(level(signature))[: steps * _SLOW].reshape(steps, _SLOW, -1).mean(axis=1)
    powers = np.column_stack([np.ones(len(at)), at, at**2, at.prod(axis=1)])
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
    moving = whole[:, 0] / (_WINDOW * len(at)) >= LEAST_MOTION
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
