"""How much moves where in a video, ten times a second: what is kept of its picture to compare it by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

TICKS_PER_S: Final = 10

_SIDE: Final = 16  # rows times columns of cells is about its square
_FINE: Final = 3  # pixels of a cell to each side
_MOST_CELLS_IN_ROW: Final = 32
_SCALE: Final = 16.0
_NOISE: Final = 1.0  # grey levels that a cell changes by from grain and coding alone
_MOST_CHANGE: Final = 2.0  # of a tick, against the median: cuts and flashes would drown the rest


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


def points(signature: MotionSignature) -> DoubleArray:
    """Centres of the cells, x and y, in heights of the picture; shape (rows * columns, 2)."""
    rows, columns = signature.cells.shape[1:]
    y, x = np.mgrid[0:rows, 0:columns]
    return np.column_stack([(x.ravel() + 0.5) / columns * signature.aspect, (y.ravel() + 0.5) / rows])


def level(signature: MotionSignature) -> FloatArray:
    """Cells as numbers, flat, cuts and flashes damped; shape (n, rows * columns)."""
    cells = signature.cells.reshape(len(signature.cells), -1).astype(np.float32) / np.float32(_SCALE)
    size = np.sqrt((cells**2).sum(axis=1, keepdims=True))
    if not len(cells) or not (size > 0).any():
        return cells
    most = np.float32(_MOST_CHANGE * np.median(size[size > 0]))
    damped: FloatArray = cells * np.minimum(1, most / np.maximum(size, 1e-9))
    return damped


def smooth(series: FloatArray) -> FloatArray:
    """Over three ticks: two uploads do not change at the same instants."""
    padded = np.pad(series, ((1, 1), (0, 0)), mode="edge")
    smoothed: FloatArray = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / np.float32(4)
    return smoothed


def _grid(aspect: float) -> tuple[int, int]:
    """Rows and columns of about square cells."""
    rows = int(np.clip(round(_SIDE / np.sqrt(aspect)), 4, _MOST_CELLS_IN_ROW))
    return rows, int(np.clip(round(_SIDE * np.sqrt(aspect)), 4, _MOST_CELLS_IN_ROW))
