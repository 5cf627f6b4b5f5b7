"""A piano roll in pages, with a playhead that is exact to the frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from d2midi_build import clock
from d2midi_build.music.instruments import DRUM, INSTRUMENTS, PATTERN_KEYS
from d2midi_build.music.notes import Notes, to_samples

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

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
_TEXT: Final[Colour] = (225, 225, 225)
_DIM: Final[Colour] = (165, 165, 165)
_BLACK_KEYS: Final = (1, 3, 6, 8, 10)

_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_SCALE: Final = 0.42
_GUTTER, _RIGHT, _HEADER, _LINE, _AXIS, _GAP, _LANE = 50, 20, 30, 20, 24, 6, 16
_MIN_FRAME_PX, _MAX_FRAME_PX, _MAX_ROW_PX, _MIN_NOTE_PX, _MIN_SIDE = 4, 16, 14, 3, 400
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
        Size of a page in pixels; at least 400 x 400.
    title : str, optional
        Shown above.

    Raises
    ------
    ValueError
        If the clip is empty or the size too small.
    """

    def __init__(self, notes: Notes, n_frames: int, width: int, height: int, title: str = "") -> None:
        if n_frames < 1 or width < _MIN_SIDE or height < _MIN_SIDE:
            raise ValueError(f"{n_frames} frames on {width} x {height} pixels: too small for a roll")
        self.notes = notes
        self.n_frames = n_frames
        self.width, self.height = width, height
        self._title = title
        self.legend = _legend(notes, width)
        """Line, first column and instrument of each entry of the legend."""
        self.page_frames, self.frame_px = _pages(n_frames, width - _GUTTER - _RIGHT)

        lanes = [*PATTERN_KEYS]
        if not np.isin(notes.drums().pitch, [key for keys in PATTERN_KEYS.values() for key in keys]).all():
            lanes.append(_OTHER)
        bottom = height - _AXIS - _LINE
        self._lane_top = {lane: bottom - _LANE * (i + 1) for i, lane in enumerate(lanes)}
        self._top = _HEADER + _LINE * (1 + max((row for row, _, _ in self.legend), default=0)) + _GAP
        self._bottom = bottom - _LANE * len(lanes) - _GAP
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
        return frame // self.page_frames

    def playhead_column(self, frame: int) -> int:
        """Column that stands for the instant at which a frame begins, on the frame's page."""
        return _GUTTER + frame % self.page_frames * self.frame_px

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
        start = page * self.page_frames * self.frame_px
        end = min(start + self.page_frames * self.frame_px, self.n_frames * self.frame_px)
        # In whole samples: a time at a frame's beginning falls on the frame's first column, exactly.
        on, off = (
            int(sample) * self.frame_px // clock.SAMPLES_PER_FRAME
            for sample in to_samples([self.notes.onset_s[note], self.notes.offset_s[note]])
        )
        off = max(off, on + _MIN_NOTE_PX)
        if off <= start or on >= end:
            return None
        left, right = _GUTTER + max(on, start) - start, _GUTTER + min(off, end) - start
        pitch = int(self.notes.pitch[note])
        if self.notes.is_drum[note]:
            top = self._lane_top[_lane(pitch)]
            return Box(left, top + 2, right, top + _LANE - 2)
        top = self._pitch_top(pitch)
        return Box(left, top, right, top + max(1, self._row_px - (self._row_px > 2)))

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
        onto[self._top : self._lane_bottom, column - 1 : column + 2] = _SHADOW
        onto[self._top - _GAP : self._lane_bottom + _GAP, column] = PLAYHEAD
        now = f"{clock.frame_time_s(frame):.2f} s   frame {frame} of {self.n_frames}"
        _write(onto, now, self.width - _RIGHT - _text_width(now), 20)

    def page(self, page: int) -> Image:
        """A page without playhead and time, shape (height, width, 3), blue-green-red."""
        image = np.full((self.height, self.width, 3), _BACKGROUND, np.uint8)
        clock_width = _text_width(f"0000.00 s   frame {self.n_frames} of {self.n_frames}")
        _write(image, _shortened(self._title, self.width - _RIGHT - clock_width - 32), 12, 20)
        self._draw_legend(image)
        self._draw_grid(image, page)
        for note in range(len(self.notes)):
            if (box := self.box(note, page)) is not None:
                self._draw_note(image, note, box, page)
        return image

    def _pitch_top(self, pitch: int) -> int:
        return self._top + (self._low + self._rows - 1 - pitch) * self._row_px

    def _draw_legend(self, image: Image) -> None:
        if not self.legend:
            _write(image, "no notes", 12, _HEADER + 14, _DIM)
        for row, x, name in self.legend:
            y = _HEADER + row * _LINE
            image[y + 4 : y + 15, x : x + 11] = COLOURS[name]
            _write(image, _legend_name(name), x + 16, y + 14)
        y = self.height - 7
        _write(image, _CAPTION, _GUTTER, y, _DIM)
        text = "confidence 0"
        x = self.width - _RIGHT - 76 - _text_width(text)
        _write(image, text, x, y, _DIM)
        ramp = np.linspace(_FAINTEST, 1.0, 48)[:, None]
        shades = _BACKGROUND + ramp * (np.array(_TEXT) - _BACKGROUND)
        x += _text_width(text) + 8
        image[y - 10 : y + 1, x : x + 48] = shades.astype(np.uint8)
        _write(image, "1", x + 56, y, _DIM)

    def _draw_grid(self, image: Image, page: int) -> None:
        first = page * self.page_frames
        frames = min(self.page_frames, self.n_frames - first)
        right = _GUTTER + frames * self.frame_px
        for pitch in range(self._low, self._low + self._rows):
            top = self._pitch_top(pitch)
            shade = _BLACK_KEY if pitch % 12 in _BLACK_KEYS else _ROW
            image[top : top + self._row_px, _GUTTER:right] = shade
            if pitch % 12 == 0:
                image[top + self._row_px - 1, _GUTTER:right] = _OCTAVE
                _write_before(image, f"C{pitch // 12 - 1}", top + self._row_px + 1)
        for lane, top in self._lane_top.items():
            image[top + 1 : top + _LANE, _GUTTER:right] = _ROW
            _write_before(image, lane, top + 12)
        half = clock.FPS // 2
        for frame in range(-(-first // half) * half, first + frames + 1, half):
            x = _GUTTER + (frame - first) * self.frame_px
            whole = frame % clock.FPS == 0
            for top, bottom in ((self._top, self._bottom), (self._bottom + _GAP, self._lane_bottom)):
                image[top:bottom, x] = _SECOND if whole else _HALF
            if whole:
                text = f"{frame // clock.FPS} s"
                _write(image, text, x - _text_width(text) // 2, self._lane_bottom + 18, _DIM)

    def _draw_note(self, image: Image, note: int, box: Box, page: int) -> None:
        colour = np.array(COLOURS[str(self.notes.instrument[note])])
        opacity = _FAINTEST + (1 - _FAINTEST) * float(self.notes.confidence[note])
        area = image[box.top : box.bottom, box.left : box.right]
        area[:] = np.rint(area * (1 - opacity) + colour * opacity).astype(np.uint8)
        if self.notes.onset_s[note] >= clock.frame_time_s(page * self.page_frames):
            area[:, 0] = colour


def _lane(key: int) -> str:
    return next((lane for lane, keys in PATTERN_KEYS.items() if key in keys), _OTHER)


def _pages(n_frames: int, plot_px: int) -> tuple[int, int]:
    """Frames per page (the whole clip, or whole seconds, much the same on each page) and columns per frame."""
    fits = plot_px // _MIN_FRAME_PX
    frames = n_frames
    if n_frames > fits:
        second = clock.FPS
        pages = math.ceil(n_frames / (fits // second * second))
        frames = math.ceil(n_frames / pages / second) * second
    return frames, min(_MAX_FRAME_PX, plot_px // frames)


def _octaves(notes: Notes) -> tuple[int, int]:
    """Whole octaves, two or more, that hold all pitched notes: the first pitch and the one after the last."""
    pitch = notes.pitched().pitch
    low, high = (int(pitch.min()), int(pitch.max())) if len(pitch) else (48, 71)
    low, high = low // 12 * 12, math.ceil((high + 1) / 12) * 12
    if high - low < 24:
        low, high = (low - 12, high) if low >= 60 else (low, high + 12)
    return low, min(high, 128)


def _legend(notes: Notes, width: int) -> list[tuple[int, int, str]]:
    """Line, first column and instrument of each entry, in the order of the instruments."""
    present = [instrument.name for instrument in INSTRUMENTS if instrument.name in set(notes.instrument)]
    entries: list[tuple[int, int, str]] = []
    row, x = 0, 12
    for name in present:
        needed = 16 + _text_width(_legend_name(name)) + 18
        if x + needed > width and x > 12:
            row, x = row + 1, 12
        entries.append((row, x, name))
        x += needed
    return entries


def _legend_name(name: str) -> str:
    return "Drums" if name == DRUM.name else name


def _text_width(text: str) -> int:
    (width, _), _ = cv2.getTextSize(text, _FONT, _SCALE, 1)
    return int(width)


def _shortened(text: str, width: int) -> str:
    """The text, or its beginning with dots, that fits into a width."""
    if _text_width(text) <= width:
        return text
    kept = next((n for n in range(len(text), 0, -1) if _text_width(text[:n] + "...") <= width), 0)
    return text[:kept] + "..."


def _write(image: Image, text: str, x: int, y: int, colour: Colour = _TEXT) -> None:
    cv2.putText(image, text, (x, y), _FONT, _SCALE, colour, 1, cv2.LINE_AA)


def _write_before(image: Image, text: str, y: int) -> None:
    """Text that ends before the plot, in the gutter."""
    _write(image, text, _GUTTER - 8 - _text_width(text), y, _DIM)
