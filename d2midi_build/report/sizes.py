"""How large the parts of a roll are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Sizes:
    """Sizes of a roll, in pixels.

    Attributes
    ----------
    least : (int, int)
        Width and height below which a roll cannot be read.
    gutter, right : int
        Columns at the left of the plot and at its right.
    header, line, caption, axis, gap, lane : int
        Rows: of the line of title and time, of a line of the legend and of the caption (0: there are none), of the
        axis, between parts, of a lane of drums.
    note : int
        The least rows of a note; it covers neighbouring rows where rows are lower.
    playhead : int
        Columns of the playhead; odd, the middle one is exact.
    text, clock : float
        Sizes of letters and of the time, as OpenCV counts: 1 makes capitals of 21 rows.
    """

    least: tuple[int, int]
    gutter: int
    right: int
    header: int
    line: int
    caption: int
    axis: int
    gap: int
    lane: int
    note: int
    playhead: int
    text: float
    clock: float


FULL: Final = Sizes((400, 400), 50, 20, 30, 20, 20, 24, 6, 16, 1, 1, 0.42, 0.42)
"""Of a roll that is looked at in its own size: with legend, caption and scale of confidence."""
