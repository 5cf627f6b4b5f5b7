"""A piano roll in pages, with a playhead that is exact to the frame."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from d2midi_build import clock
from d2midi_build.music.instruments import DRUM, INSTRUMENTS, PATTERN_KEYS
from d2midi_build.music.notes import Notes, to_samples
from d2midi_build.report.letters import DIM, TEXT, Colour, Image, Letters
from d2midi_build.report.paging import Page, even_pages
from d2midi_build.report.sizes import FULL, Sizes

COLOURS: Final[dict[str, Colour]] = dict(
    zip(
        (instrument.name for instrument in INSTRUMENTS),
        (
            (255, 168, 88),  # piano: blue
            (240, 240, 130),  # celesta: pale cyan
            (75, 105, 170),  # organ: brown
            (70, 205, 120),  # guitar: green
            (70, 90, 245),  # bass: red
            (235, 115, 190),  # violin: violet
            (195, 150, 255),  # strings: pink
            (40, 165, 255),  # brass: orange
            (180, 70, 255),  # sax: magenta
            (190, 200, 40),  # piccolo: teal
            (70, 235, 235),  # lead: yellow
            (150, 175, 150),  # pad: grey green
            (215, 215, 215),  # drums: light grey
        ),
        strict=True,
    )
)
"""Blue-green-red of each of the 13 instruments."""

PLAYHEAD: Final[Colour] = (255, 255, 255)
_SHADOW: Final[Colour] = (0, 0, 0)

_FAINTEST: Final = 0.25
"""Opacity of a note of confidence 0; that of confidence 1 is 1."""

_OTHER: Final = "other"
"""Lane above those of `PATTERN_KEYS`, for all other percussion."""

_BACKGROUND: Final[Colour] = (30, 27, 24)
_ROW: Final[Colour] = (52, 47, 43)
_BLACK_KEY: Final[Colour] = (38, 34, 31)
_OCTAVE: Final[Colour] = (84, 78, 72)
_SECOND: Final[Colour] = (88, 82, 76)
_HALF: Final[Colour] = (58, 53, 49)
_BLACK_KEYS: Final = (1, 3, 6, 8, 10)

_MIN_FRAME_PX, _MAX_FRAME_PX, _MAX_ROW_PX, _MIN_NOTE_PX, _APART = 4, 16, 14, 3, 6
_CAPTION: Final = "sound: left = original, right = notes"


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: columns ``left`` to ``right - 1``, rows ``top`` to ``bottom - 1``."""

    left: int
    top: int
    right: int
    bottom: int


class Roll:
    """The notes of a clip as pages of a piano roll.

    Above: title and time, then a legend of the instruments that occur. In the middle pitches, with the name
    of each C (middle C, 60, is C4), and a lane each for kick, snare, hat and, if there are any, other drums.
    Below: seconds. A note's colour says the instrument, its opacity how likely it is right (p_note times
    p_instrument; a scale below says so), a solid first column its onset.

    Parameters
    ----------
    notes : Notes
        Seconds from the clip's first frame.
    n_frames : int
        Length of the clip, at least 1.
    width, height : int
        Size of a page in pixels; at least 400 x 400, or the least of ``sizes``.
    title : str, optional
        Shown above.
    pages : sequence of Page, optional
        In order, one after another. Default: `even_pages`, as many as the width asks for.
    sizes : Sizes, optional

    Raises
    ------
    ValueError
        If the clip is empty or the size too small.
    """

    def __init__(
        self,
        notes: Notes,
        n_frames: int,
        width: int,
        height: int,
        title: str = "",
        pages: Sequence[Page] = (),
        sizes: Sizes = FULL,
    ) -> None:
        plot_px = width - sizes.gutter - sizes.right
        self.pages = tuple(pages) or even_pages(n_frames, plot_px // _MIN_FRAME_PX)
        self.page_frames = max((page.last - page.first for page in self.pages), default=1)
        """The most frames that a page shows."""
        self.frame_px = min(_MAX_FRAME_PX, plot_px // self.page_frames)
        if n_frames < 1 or width < sizes.least[0] or height < sizes.least[1] or self.frame_px < 1:
            raise ValueError(f"{n_frames} frames on {width} x {height} pixels: too small for a roll")
        self.notes = notes
        self.n_frames = n_frames
        self.width, self.height = width, height
        self.sizes = sizes
        self._title = title
        self._letters = Letters(sizes.text)
        self._clock = Letters(sizes.clock)
        self.legend = _legend(notes, width, self._letters) if sizes.line else []
        """Line, first column and instrument of each entry of the legend."""

        lanes = [*PATTERN_KEYS]
        if not np.isin(notes.drums().pitch, [key for keys in PATTERN_KEYS.values() for key in keys]).all():
            lanes.append(_OTHER)
        bottom = height - sizes.axis - sizes.caption
        self._lane_top = {lane: bottom - sizes.lane * (i + 1) for i, lane in enumerate(lanes)}
        lines = 1 + max((row for row, _, _ in self.legend), default=0)
        self._top = sizes.header + sizes.line * lines + sizes.gap
        self._bottom = bottom - sizes.lane * len(lanes) - sizes.gap
        low, high = _octaves(notes)
        self._row_px = max(1, min(_MAX_ROW_PX, (self._bottom - self._top) // (high - low)))
        rows = min(128, (self._bottom - self._top) // self._row_px)
        self._low = max(0, min(low - (rows - (high - low)) // 2, 128 - rows))
        self._rows = rows
        self._top = self._bottom - rows * self._row_px
        self._lane_bottom = bottom

        self._shown = -1
        self._page = np.empty((0, 0, 3), np.uint8)

    def page_of(self, frame: int) -> int:
        """Number of the page that shows a frame, from 0."""
        return max(0, bisect_right(self.pages, frame, key=lambda page: page.start) - 1)

    def playhead_column(self, frame: int) -> int:
        """Column that stands for the instant at which a frame begins, on the frame's page."""
        return self.sizes.gutter + (frame - self.pages[self.page_of(frame)].first) * self.frame_px

    def told(self, frame: int) -> str:
        """What is written above while a frame is played."""
        return f"{clock.frame_time_s(frame):.2f} s   frame {frame} of {self.n_frames}"

    def box(self, note: int, page: int) -> Box | None:
        """Where a note lies on a page; None if it does not sound there.

        From the column that holds the onset up to the one that holds the offset, which is left out; at least 3
        columns, fewer where the page ends.

        Parameters
        ----------
        note : int
            Row of ``notes``.
        page : int
        """
        if not 0 <= page < len(self.pages):
            return None
        start, end = self.pages[page].first * self.frame_px, self.pages[page].last * self.frame_px
        # In whole samples: a time at a frame's beginning falls on the frame's first column, exactly.
        on, off = (
            int(sample) * self.frame_px // clock.SAMPLES_PER_FRAME
            for sample in to_samples([self.notes.onset_s[note], self.notes.offset_s[note]])
        )
        off = max(off, on + _MIN_NOTE_PX)
        if off <= start or on >= end:
            return None
        left, right = (self.sizes.gutter + column - start for column in (max(on, start), min(off, end)))
        pitch = int(self.notes.pitch[note])
        if self.notes.is_drum[note]:
            top = self._lane_top[_lane(pitch)]
            return Box(left, top + 2, right, top + self.sizes.lane - 2)
        rows = max(self.sizes.note, self._row_px - (self._row_px > 2))
        top = self._pitch_top(pitch) - max(0, rows - self._row_px) // 2
        return Box(left, top, right, top + rows)

    def draw(self, frame: int, onto: Image) -> None:
        """Draw the page of a frame with the playhead.

        Parameters
        ----------
        frame : int
        onto : np.ndarray, shape=(height, width, 3), uint8
            Blue, green, red; overwritten.
        """
        page = self.page_of(frame)
        if page != self._shown:
            self._page, self._shown = self.page(page), page
        onto[:] = self._page
        column = self.playhead_column(frame)
        # A dark column on either side keeps the line apart from light notes.
        aside = self.sizes.playhead // 2
        onto[self._top : self._lane_bottom, column - aside - 1 : column + aside + 2] = _SHADOW
        gap = self.sizes.gap
        onto[self._top - gap : self._lane_bottom + gap, column - aside : column + aside + 1] = PLAYHEAD
        now = self.told(frame)
        self._clock.write(onto, now, self.width - self.sizes.right - self._clock.width(now), self._baseline)

    def page(self, page: int) -> Image:
        """A page without playhead and time, shape (height, width, 3), blue-green-red."""
        image = np.full((self.height, self.width, 3), _BACKGROUND, np.uint8)
        if self._title:
            clock_width = self._clock.width(f"0000.00 s   frame {self.n_frames} of {self.n_frames}")
            room = self.width - self.sizes.right - clock_width - 32
            self._letters.write(image, self._letters.shortened(self._title, room), 12, self._baseline)
        if self.sizes.line:
            self._draw_legend(image)
        if self.sizes.caption:
            self._draw_caption(image)
        self._draw_grid(image, page)
        for note in range(len(self.notes)):
            if (box := self.box(note, page)) is not None:
                self._draw_note(image, note, box, page)
        return image

    def _pitch_top(self, pitch: int) -> int:
        return self._top + (self._low + self._rows - 1 - pitch) * self._row_px

    @property
    def _baseline(self) -> int:
        return self.sizes.header * 2 // 3

    def _draw_legend(self, image: Image) -> None:
        if not self.legend:
            self._letters.write(image, "no notes", 12, self.sizes.header + 14, DIM)
        for row, x, name in self.legend:
            y = self.sizes.header + row * self.sizes.line
            image[y + 4 : y + 15, x : x + 11] = COLOURS[name]
            self._letters.write(image, _legend_name(name), x + 16, y + 14)

    def _draw_caption(self, image: Image) -> None:
        """What is on the left and on the right, and a scale of confidence."""
        y, write = self.height - 7, self._letters.write
        write(image, _CAPTION, self.sizes.gutter, y, DIM)
        text = "confidence 0"
        x = self.width - self.sizes.right - 76 - self._letters.width(text)
        write(image, text, x, y, DIM)
        ramp = np.linspace(_FAINTEST, 1.0, 48)[:, None]
        shades = _BACKGROUND + ramp * (np.array(TEXT) - _BACKGROUND)
        x += self._letters.width(text) + 8
        image[y - 10 : y + 1, x : x + 48] = shades.astype(np.uint8)
        write(image, "1", x + 56, y, DIM)

    def _draw_grid(self, image: Image, page: int) -> None:
        gutter, gap, lane_px = self.sizes.gutter, self.sizes.gap, self.sizes.lane
        first, last = self.pages[page].first, self.pages[page].last
        right = gutter + (last - first) * self.frame_px
        for pitch in range(self._low, self._low + self._rows):
            top = self._pitch_top(pitch)
            shade = _BLACK_KEY if pitch % 12 in _BLACK_KEYS else _ROW
            image[top : top + self._row_px, gutter:right] = shade
            if pitch % 12 == 0:
                image[top + self._row_px - 1, gutter:right] = _OCTAVE
                self._letters.write_before(image, f"C{pitch // 12 - 1}", gutter - 8, top + self._row_px + 1)
        for lane, top in self._lane_top.items():
            image[top + 1 : top + lane_px, gutter:right] = _ROW
            self._letters.write_before(image, lane, gutter - 8, top + lane_px - 4)
        half, free = clock.FPS // 2, 0
        for frame in range(-(-first // half) * half, last + 1, half):
            x = gutter + (frame - first) * self.frame_px
            whole = frame % clock.FPS == 0
            for top, bottom in ((self._top, self._bottom), (self._bottom + gap, self._lane_bottom)):
                image[top:bottom, x] = _SECOND if whole else _HALF
            if whole:
                text = f"{frame // clock.FPS} s"
                room = self._letters.width(text)
                if free <= x - room // 2 <= self.width - room:
                    self._letters.write(image, text, x - room // 2, self._lane_bottom + 18, DIM)
                    free = x + room // 2 + _APART

    def _draw_note(self, image: Image, note: int, box: Box, page: int) -> None:
        colour = np.array(COLOURS[str(self.notes.instrument[note])])
        opacity = _FAINTEST + (1 - _FAINTEST) * float(self.notes.confidence[note])
        area = image[box.top : box.bottom, box.left : box.right]
        area[:] = np.rint(area * (1 - opacity) + colour * opacity).astype(np.uint8)
        if self.notes.onset_s[note] >= clock.frame_time_s(self.pages[page].first):
            area[:, 0] = colour


def _lane(key: int) -> str:
    return next((lane for lane, keys in PATTERN_KEYS.items() if key in keys), _OTHER)


def _octaves(notes: Notes) -> tuple[int, int]:
    """Whole octaves, two or more, that hold all pitched notes: the first pitch and the one after the last."""
    pitch = notes.pitched().pitch
    low, high = (int(pitch.min()), int(pitch.max())) if len(pitch) else (48, 71)
    low, high = low // 12 * 12, math.ceil((high + 1) / 12) * 12
    if high - low < 24:
        low, high = (low - 12, high) if low >= 60 else (low, high + 12)
    return low, min(high, 128)


def _legend(notes: Notes, width: int, letters: Letters) -> list[tuple[int, int, str]]:
    """Line, first column and instrument of each entry, in the order of the instruments."""
    present = [instrument.name for instrument in INSTRUMENTS if instrument.name in set(notes.instrument)]
    entries: list[tuple[int, int, str]] = []
    row, x = 0, 12
    for name in present:
        needed = 16 + letters.width(_legend_name(name)) + 18
        if x + needed > width and x > 12:
            row, x = row + 1, 12
        entries.append((row, x, name))
        x += needed
    return entries


def _legend_name(name: str) -> str:
    return "Drums" if name == DRUM.name else name
