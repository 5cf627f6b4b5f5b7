"""The picture below the notes of a page: keys, lanes, beats, and everything that can be seen but not changed there.

Label Studio draws the notes themselves, as rectangles over the picture. On it are the notes of other pages, parts and
sheets, as hollow ghosts; times that belong to other pages, hatched; and a dashed red frame round each note that the
machine was not sure of or other transcribers did not hear. Sizes in this module are pixels of the screen, of which a
picture's own are a multiple.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from d2midi_build.annotate.layering import Row
from d2midi_build.annotate.studio.lanes import Lane
from d2midi_build.annotate.studio.pages import DISPLAY_PX, Layout
from d2midi_build.annotate.studio.png import png
from d2midi_build.report.roll import COLOURS

__all__ = ["LABEL_COLOURS", "UNSURE", "draw", "png"]

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

LABEL_COLOURS: Final[dict[str, str]] = {
    name: f"#{red:02x}{green:02x}{blue:02x}" for name, (blue, green, red) in COLOURS.items()
}
"""By instrument: the colour of its label, ``#rrggbb``; that of the rolls of previews and reports."""

UNSURE: Final = 0.5
"""Notes whose sureness (`music.opinions.sureness`) is not above it are marked."""

# Blue, green, red.
BACKGROUND: Final[Colour] = (30, 27, 24)
WHITE_ROW: Final[Colour] = (58, 53, 49)
BLACK_ROW: Final[Colour] = (46, 41, 38)
DRUM_ROWS: Final[tuple[Colour, Colour]] = ((60, 52, 46), (52, 45, 40))
FOLD: Final[Colour] = (22, 20, 18)
FOLD_HATCH: Final[Colour] = (58, 54, 50)
ROW_LINE: Final[Colour] = (36, 32, 29)
OCTAVE_LINE: Final[Colour] = (98, 91, 84)
BAR_LINE: Final[Colour] = (165, 156, 148)
BEAT_LINE: Final[Colour] = (104, 97, 90)
HALF_LINE: Final[Colour] = (74, 68, 63)
OWN_EDGE: Final[Colour] = (240, 200, 90)
UNSURE_FRAME: Final[Colour] = (85, 85, 255)
KINEMATIC: Final[Colour] = (120, 230, 120)
_TEXT: Final[Colour] = (230, 230, 230)
_DIM: Final[Colour] = (170, 165, 160)
_WHITE_KEY: Final[Colour] = (228, 228, 228)
_BLACK_KEY: Final[Colour] = (40, 38, 36)
_KEY_LINE: Final[Colour] = (150, 150, 150)
_KEY_TEXT: Final[Colour] = (60, 55, 50)

_BLACK_PITCHES: Final = (1, 3, 6, 8, 10)
_BLACK_LENGTH: Final = 0.6
"""Of a black key, as a part of a white one."""

_GHOST_FILL, _GHOST_EDGE = 0.2, 0.55
"""How much of an instrument's colour a ghost has."""

_VEIL: Final = 0.55
"""How much of its brightness the grid keeps where times belong to other pages."""

_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_FONT_PX: Final = 21.0
"""Height of capitals at scale 1."""


def draw(
    layout: Layout,
    page: int,
    *,
    notes: Iterable[Row] = (),
    context: Iterable[Row] = (),
    unsure: Iterable[Row] = (),
    beats_s: Sequence[float] | npt.NDArray[np.float64] = (),
    positions: Sequence[int] | npt.NDArray[np.int64] = (),
    kinematic_s: Sequence[float] | npt.NDArray[np.float64] = (),
) -> Image:
    """Draw a page.

    Parameters
    ----------
    layout : Layout
    page : int
    notes : iterable of Row, optional
        What can be changed on some page of the sheet. Those of this page are left out, those of others are ghosts.
    context : iterable of Row, optional
        What cannot be changed on any: notes of other parts and of the sheets beside it. Ghosts, too.
    unsure : iterable of Row, optional
        Notes to mark; of other pages' notes none is.
    beats_s, positions : array_like, shape (n,), optional
        Musical beats of the clip in seconds, ascending, and their places in the bar, from 1. Bars are numbered from the
        clip's first. Without beats the lines are seconds.
    kinematic_s : array_like, shape (k,), optional
        Beats of the dance in seconds.

    Returns
    -------
    np.ndarray, shape (layout.height_px, layout.width_px, 3), uint8
        Blue, green, red.

    Raises
    ------
    ValueError
        If there are not as many positions as beats.
    """
    canvas = _Canvas(layout, page)
    canvas.rows()
    canvas.grid(np.asarray(beats_s, np.float64), np.asarray(positions, np.int64))
    canvas.folds()
    canvas.veil()
    canvas.ghosts([*context, *(row for row in notes if layout.page_of(row.onset_s) != page)])
    canvas.frames(row for row in unsure if layout.page_of(row.onset_s) == page)
    canvas.kinematic(np.asarray(kinematic_s, np.float64))
    canvas.gutter()
    return canvas.image


@dataclass(frozen=True)
class _Beat:
    """A line of the grid: when, what it is called, its colour."""

    time_s: float
    name: str
    colour: Colour


class _Canvas:
    """A picture in the making."""

    def __init__(self, layout: Layout, page: int) -> None:
        self.layout, self.page, self.shown = layout, page, layout.pages[page]
        self.scale = layout.width_px / DISPLAY_PX
        self.image = np.full((layout.height_px, layout.width_px, 3), BACKGROUND, np.uint8)
        self.left, self.right = layout.left_px, self.column(self.shown.end_s)
        self.bottom = layout.lanes[-1].bottom_px

    def px(self, display: float) -> int:
        """Natural pixels for pixels of the screen, rounded up: a thinner line would vanish when it is shown."""
        return math.ceil(display * self.scale)

    def column(self, time_s: float) -> int:
        return round(self.layout.column(time_s, self.page))

    def rows(self) -> None:
        """Lanes as stripes, with a line below each, a brighter one below each C and above the first drum."""
        drums = [lane for lane in self.layout.lanes if lane.kind == "drum"]
        for lane in self.layout.lanes:
            area = self.image[lane.top_px : lane.bottom_px, self.left : self.right]
            if lane.kind == "drum":
                area[:] = DRUM_ROWS[drums.index(lane) % 2]
            else:
                area[:] = BLACK_ROW if _is_black(lane.key) else WHITE_ROW
            area[-self.px(0.8) :] = OCTAVE_LINE if lane.kind == "pitch" and lane.key % 12 == 0 else ROW_LINE

    def grid(self, beats_s: npt.NDArray[np.float64], positions: npt.NDArray[np.int64]) -> None:
        """Lines of bars and beats with their names above; of seconds where there are none."""
        lines = [each for each in _beats(beats_s, positions) if self._seen(each.time_s)]
        for middle in _between(beats_s):
            self._line(middle, HALF_LINE, 0.8)
        if not lines:
            for half in range(math.ceil(self.shown.start_s * 2), math.floor(self.shown.end_s * 2) + 1):
                self._line(half / 2, BEAT_LINE if half % 2 == 0 else HALF_LINE, 1)
        for line in lines:
            self._line(line.time_s, line.colour, 1.5 if line.colour == BAR_LINE else 1)
        self._times(lines)

    def folds(self) -> None:
        """Hatched strips."""
        step = self.px(6)
        for lane in self.layout.lanes:
            if lane.kind == "fold":
                area = self.image[lane.top_px : lane.bottom_px, self.left : self.right]
                area[:] = FOLD
                area[_hatching(area, step, step // 3)] = FOLD_HATCH

    def veil(self) -> None:
        """Darken and hatch what belongs to other pages, and say so above."""
        own = self.column(self.shown.own_start_s), self.column(self.shown.own_end_s)
        before = f"page {self.page}" if self.page else "sheet before"
        after = f"page {self.page + 2}" if self.page + 1 < len(self.layout.pages) else "sheet after"
        for first, last, name in ((self.left, own[0], before), (own[1], self.right, after)):
            if last <= first:
                continue
            area = self.image[self.layout.top_px : self.bottom, first:last]
            area[:] = (area * _VEIL).astype(np.uint8)
            hatch = _hatching(area, self.px(14), self.px(1))
            area[hatch] = (area[hatch] * 0.6).astype(np.uint8)
            edge = last if first == self.left else first
            self.image[: self.bottom, edge - 1 : edge + 2] = OWN_EDGE
            self._text(name, first + self.px(4), 9, 7, _DIM)

    def ghosts(self, rows: Iterable[Row]) -> None:
        """Notes that cannot be changed here: hollow, and thin where their row is folded away."""
        for row in sorted(rows, key=lambda each: each.seen):
            lane = self.layout.lane_of(row)
            left, right = max(self.left, self.column(row.onset_s)), min(self.right, self.column(row.offset_s))
            if lane is None or left >= self.right or right <= self.left:
                continue
            inset = self.px(1) if lane.kind != "fold" else lane.height_px // 3
            area = self.image[
                lane.top_px + inset : lane.bottom_px - inset, left : max(right, left + self.px(2))
            ]
            colour, edge = np.array(COLOURS[row.instrument]), self.px(1)
            _tint(area, colour, _GHOST_FILL)
            for side in (area[:edge], area[-edge:], area[edge:-edge, :edge], area[edge:-edge, -edge:]):
                _tint(side, colour, _GHOST_EDGE)

    def frames(self, rows: Iterable[Row]) -> None:
        """Dashed frames round notes of this page; a note's rectangle leaves them in view."""
        thick = self.px(1.6)
        out = thick + self.px(0.8)
        for row in rows:
            found = self.layout.rectangle(row, self.page)
            left = int(found.x / 100 * self.layout.width_px) - out
            right = round((found.x + found.width) / 100 * self.layout.width_px) + out
            top = int(found.y / 100 * self.layout.height_px) - out
            bottom = round((found.y + found.height) / 100 * self.layout.height_px) + out
            left, right = max(left, self.left), min(right, self.layout.width_px)
            dash = np.arange(max(right - left, bottom - top)) // self.px(5) % 2 == 0
            for y in (top, bottom - thick):
                self.image[y : y + thick, left:right][:, dash[: right - left]] = UNSURE_FRAME
            for x in (left, right - thick):
                self.image[top:bottom, x : x + thick][dash[: bottom - top]] = UNSURE_FRAME

    def kinematic(self, times_s: npt.NDArray[np.float64]) -> None:
        """Dotted lines with a head, for beats of the dance."""
        rows = np.arange(self.layout.top_px, self.bottom)
        rows = rows[rows // self.px(3) % 2 == 0]
        for x in map(self.column, filter(self._seen, times_s.tolist())):
            self.image[rows, x - 1 : x + 2] = KINEMATIC
            side, top = self.px(4), self.layout.top_px
            head = np.array([[x - side, top - side], [x + side, top - side], [x, top + side]])
            cv2.fillPoly(self.image, [head], KINEMATIC, cv2.LINE_AA)

    def gutter(self) -> None:
        """Keys, names of drums, and which pitches folds hide."""
        for lane in self.layout.lanes:
            if lane.kind == "pitch":
                self._key(lane)
        for lane in self.layout.lanes:
            middle = (lane.top_px + lane.height_px / 2) / self.scale
            if lane.kind == "fold":
                self._text_before(lane.name, middle, 6, _DIM)
            elif lane.kind == "drum":
                self._text_before(lane.name, middle, 8, _TEXT)
            elif lane.key % 12 == 0:
                self._text_before(lane.name, middle, 8, _KEY_TEXT)
        self._text(f"page {self.page + 1}/{len(self.layout.pages)}", self.px(4), 9, 7.5, _TEXT)

    def _key(self, lane: Lane) -> None:
        first = self.px(4)
        area = self.image[lane.top_px : lane.bottom_px, first : self.left - self.px(1)]
        area[:] = _WHITE_KEY
        line = self.px(0.8)
        if _is_black(lane.key):
            middle = lane.height_px // 2
            area[middle : middle + line] = _KEY_LINE
            area[:, : round(area.shape[1] * _BLACK_LENGTH)] = _BLACK_KEY
        elif not _is_black(lane.key - 1):
            area[-line:] = _KEY_LINE

    def _times(self, lines: list[_Beat]) -> None:
        """Names of beats in the first line above the lanes, seconds in the second; only of this page's own time."""
        low, high = self.column(self.shown.own_start_s), self.column(self.shown.own_end_s)
        free = low
        for line in lines:
            x = self.column(line.time_s)
            size, colour = (8.0, _TEXT) if line.colour == BAR_LINE else (7.0, _DIM)
            width = self._width(line.name, size)
            if free <= x and x + self.px(3) + width < high:
                self._text(line.name, x + self.px(3), 6, size, colour)
                free = x + self.px(3) + width
        top = self.layout.top_px
        for second in range(int(self.shown.own_start_s), int(self.shown.own_end_s) + 1):
            x = self.column(second)
            name = f"{second} s"
            if low <= x and x + self.px(3) + self._width(name, 7) < high:
                self.image[top - self.px(9) : top, x : x + self.px(1)] = _DIM
                self._text(name, x + self.px(3), 17, 7, _DIM)

    def _line(self, time_s: float, colour: Colour, thick: float) -> None:
        if self._seen(time_s):
            width = self.px(thick)
            first = self.column(time_s) - width // 2
            self.image[self.layout.top_px : self.bottom, first : first + width] = colour

    def _seen(self, time_s: float) -> bool:
        return self.shown.start_s <= time_s <= self.shown.end_s

    def _width(self, text: str, size: float) -> int:
        (width, _), _ = cv2.getTextSize(text, _FONT, size * self.scale / _FONT_PX, self._weight)
        return int(width)

    @property
    def _weight(self) -> int:
        return max(1, round(self.scale * 0.9))

    def _text(self, text: str, x: int, middle: float, size: float, colour: Colour) -> None:
        """Text from a natural column, with its capitals' middle and size in pixels of the screen."""
        y = round((middle + size / 2) * self.scale)
        scale = size * self.scale / _FONT_PX
        cv2.putText(self.image, text, (x, y), _FONT, scale, colour, self._weight, cv2.LINE_AA)

    def _text_before(self, text: str, middle: float, size: float, colour: Colour) -> None:
        """Text that ends where time begins, smaller if it would not fit."""
        room = self.left - 2 * self.px(4)
        size *= min(1.0, room / self._width(text, size))
        self._text(text, self.left - self.px(4) - self._width(text, size), middle, size, colour)


def _is_black(pitch: int) -> bool:
    return pitch % 12 in _BLACK_PITCHES


def _beats(beats_s: npt.NDArray[np.float64], positions: npt.NDArray[np.int64]) -> Iterator[_Beat]:
    """Beats with their names: ``12`` is bar 12, ``12.3`` its third beat; what comes before bar 1 is in bar 0."""
    bars = np.cumsum(positions == 1).tolist()
    for time_s, place, bar in zip(beats_s.tolist(), positions.tolist(), bars, strict=True):
        yield _Beat(time_s, str(bar), BAR_LINE) if place == 1 else _Beat(time_s, f"{bar}.{place}", BEAT_LINE)


def _between(beats_s: npt.NDArray[np.float64]) -> list[float]:
    middles: list[float] = ((beats_s[1:] + beats_s[:-1]) / 2).tolist()
    return middles


def _hatching(area: Image, step: int, thick: int) -> npt.NDArray[np.bool_]:
    """Diagonal stripes, as a mask of an area."""
    height, width = area.shape[:2]
    return np.asarray((np.arange(height)[:, None] + np.arange(width)) % step < thick, dtype=np.bool_)


def _tint(area: Image, colour: npt.NDArray[np.int64], much: float) -> None:
    area[:] = np.rint(area * (1 - much) + colour * much).astype(np.uint8)
