"""Pages of a sheet: where on a picture of a piano roll a note lies, and which note a rectangle there means.

Label Studio shows one picture per page, each of 5 s of the sheet with something of its neighbours on either side, and
a note is a rectangle on the picture of the page that owns its onset. What a page shows but does not own is drawn and
cannot be changed there. Times along the picture are linear, so a rectangle that nobody touched says the note's times
to the last bit of a float; one that was moved by hand lies on whole pixels (``snap="pixel"``), 2.5 ms apart.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from d2midi_build import clock
from d2midi_build.annotate.layering import Row
from d2midi_build.annotate.sheets import Sheet
from d2midi_build.annotate.studio.lanes import Lane, drum_lanes, pitch_lanes

PX_PER_S: Final = 400.0
"""Natural pixels of a second: Label Studio snaps to them, so a time set by hand is within 2.5 ms of what was meant."""

DISPLAY_PX: Final = 1000
"""Width at which people see a picture: ``annotation/note_correction.xml`` says so. Sizes below are pixels of the screen
at that width."""

HIGHEST_PX: Final = 600
"""Height that a picture may have on the screen: rows are folded away until it has. 36 rows and 8 drums fit."""

PAGE_S: Final = 5.0

_OVERLAP_FRAMES: Final = clock.FPS // 2
"""What a page shows of its neighbours, at least, where the clip goes on."""

_BOUND_FRAMES: Final = 18
"""What the first and last page show of the sheets beside theirs."""

_SHORTEST_FRAMES: Final = clock.FPS // 2
"""What is left of a sheet is a page of its own if it is longer."""

_LEFT_PX, _RIGHT_PX = 180, 20
"""Natural pixels beside the time shown: for keys and names, and for short notes at the very end."""

_HEADER, _GAP, _FOOT, _FOLD, _MIN_LANE, _MAX_LANE = 24, 4, 2, 10, 12, 20
_INSET_PX: Final = 2.0
"""Between a note's rectangle and the edges of its lane, so that notes in rows beside each other stay apart."""

MIN_WIDTH_PX: Final = 17.0
"""Natural pixels of the narrowest rectangle, 6 on the screen: a drum hit must be big enough to be grabbed."""


class Rectangle(NamedTuple):
    """A rectangle in percent of the picture, as Label Studio wants it: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Page:
    """A page, in seconds of the clip.

    Attributes
    ----------
    start_s, end_s : float
        What is shown, context included.
    own_start_s, own_end_s : float
        Onsets that belong to it, half-open.
    """

    start_s: float
    end_s: float
    own_start_s: float
    own_end_s: float


@dataclass(frozen=True)
class Layout:
    """Where everything lies on the pictures of a sheet, which are all of one size.

    Attributes
    ----------
    sheet_id : str
    pages : tuple of Page
        In time; together they own the sheet.
    lanes : tuple of Lane
        Top to bottom: pitches and folds, all 128 in exactly one of them, then drums.
    left_px, top_px : int
        Where time and lanes begin; keys and names lie to the left, the time axis above.
    width_px, height_px : int
        Natural size of a picture.
    px_per_s : float
    """

    sheet_id: str
    pages: tuple[Page, ...]
    lanes: tuple[Lane, ...]
    left_px: int
    top_px: int
    width_px: int
    height_px: int
    px_per_s: float

    def page_of(self, onset_s: float) -> int:
        """The page that owns an onset, in whole samples; the nearest one of an onset outside of the sheet."""
        return max(0, bisect_right(self._first_samples, clock.seconds_to_sample(onset_s)) - 1)

    def lane_of(self, row: Row) -> Lane | None:
        """The lane a note lies in: a fold if its pitch has no row, None if it is a drum without a lane."""
        return self._lane_of.get((row.is_drum, row.pitch))

    def column(self, time_s: float, page: int) -> float:
        """The natural pixel that stands for a time, not rounded; may be outside of the picture."""
        return self.left_px + (time_s - self.pages[page].start_s) * self.px_per_s

    def rectangle(self, row: Row, page: int) -> Rectangle:
        """Where a note lies on a page.

        From its onset to its offset, cut where the page ends, and at least `MIN_WIDTH_PX` wide. The same note and page
        always give the same numbers, so edges that compare equal were not touched.

        Raises
        ------
        ValueError
            If it is a drum without a lane.
        """
        lane = self.lane_of(row)
        if lane is None:
            raise ValueError(
                f"{row.told()}: sheet {self.sheet_id} was laid out without it, and has no lane for it"
            )
        shown = self.pages[page]
        first, last = self.left_px, self.column(shown.end_s, page)
        left = min(max(self.column(row.onset_s, page), first), last)
        right = max(min(self.column(row.offset_s, page), last), left + MIN_WIDTH_PX)
        return Rectangle(
            100.0 * left / self.width_px,
            100.0 * (lane.top_px + _INSET_PX) / self.height_px,
            100.0 * (right - left) / self.width_px,
            100.0 * (lane.height_px - 2 * _INSET_PX) / self.height_px,
        )

    def onset_s(self, x: float, page: int) -> float:
        """Time of a rectangle's left edge (percent of the picture), not rounded."""
        return self.pages[page].start_s + (x / 100.0 * self.width_px - self.left_px) / self.px_per_s

    def offset_s(self, x: float, width: float, page: int) -> float:
        """Time of a rectangle's right edge (percent of the picture), not rounded."""
        return self.onset_s(x + width, page)

    def lanes_at(self, y: float, height: float) -> tuple[Lane, ...]:
        """The lanes that a rectangle means, top to bottom (percent of the picture).

        Rows and drums whose middle lies inside of it; if there are none, folds whose middle does; else the one lane its
        own middle lies in. None if it lies beside all lanes.
        """
        top, bottom = (each / 100.0 * self.height_px for each in (y, y + height))
        inside = [each for each in self.lanes if top <= each.top_px + each.height_px / 2 <= bottom]
        found = [each for each in inside if each.kind != "fold"] or inside
        middle = (top + bottom) / 2
        return tuple(found or (each for each in self.lanes if each.top_px <= middle < each.bottom_px))

    def data(self) -> dict[str, Any]:
        """As plain data for JSON; `from_data` gives the same layout back."""
        return {
            "sheet_id": self.sheet_id,
            "pages": [[each.start_s, each.end_s, each.own_start_s, each.own_end_s] for each in self.pages],
            "lanes": [each.data() for each in self.lanes],
            "left_px": self.left_px,
            "top_px": self.top_px,
            "width_px": self.width_px,
            "height_px": self.height_px,
            "px_per_s": self.px_per_s,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Layout:
        """From what `data` made.

        Raises
        ------
        ValueError
            If it is something else.
        """
        try:
            found = cls(
                sheet_id=str(data["sheet_id"]),
                pages=tuple(Page(*map(float, each)) for each in data["pages"]),
                lanes=tuple(map(Lane.from_data, data["lanes"])),
                left_px=int(data["left_px"]),
                top_px=int(data["top_px"]),
                width_px=int(data["width_px"]),
                height_px=int(data["height_px"]),
                px_per_s=float(data["px_per_s"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no layout of a sheet: {type(error).__name__}: {error}") from error
        if not found.pages or min(found.width_px, found.height_px, found.px_per_s) <= 0:
            raise ValueError(
                f"no layout of a sheet: {len(found.pages)} pages of {found.width_px} x {found.height_px}"
            )
        return found

    @cached_property
    def _first_samples(self) -> list[int]:
        return [clock.seconds_to_sample(page.own_start_s) for page in self.pages]

    @cached_property
    def _lane_of(self) -> dict[tuple[bool, int], Lane]:
        return {(lane.kind == "drum", key): lane for lane in self.lanes for key in lane.keys}


def layout(sheet: Sheet, notes: Iterable[Row], context: Iterable[Row], *, page_s: float = PAGE_S) -> Layout:
    """Lay the notes of a sheet, or of a part of them, out on pages.

    Parameters
    ----------
    sheet : Sheet
    notes : iterable of Row
        What can be changed: every pitch and drum of them gets a lane. Give them as they are sent.
    context : iterable of Row
        What is only drawn: notes of other parts and of the sheets beside it. Gets lanes where there is room.
    page_s : float, optional
        Length of a page in seconds, at least a frame. Default 5; the last page has what is left, and takes a rest of
        half a second or less with it.

    Raises
    ------
    ValueError
        If a page is shorter than a frame.
    """
    frames = clock.whole_frames(page_s)
    if frames < 1:
        raise ValueError(f"pages of {page_s} s: at least a frame, {1 / clock.FPS} s")
    notes, context = list(notes), list(context)
    shown = frames + _OVERLAP_FRAMES + _BOUND_FRAMES
    width = _LEFT_PX + math.ceil(shown / clock.FPS * PX_PER_S) + _RIGHT_PX
    scale = width / DISPLAY_PX
    top, gap, foot = (_natural(each, scale) for each in (_HEADER, _GAP, _FOOT))
    lanes = _lanes(notes, context, top, gap, scale)
    return Layout(
        sheet_id=sheet.sheet_id,
        pages=tuple(_pages(sheet, frames, shown)),
        lanes=lanes,
        left_px=_LEFT_PX,
        top_px=top,
        width_px=width,
        height_px=lanes[-1].bottom_px + foot,
        px_per_s=PX_PER_S,
    )


def _pages(sheet: Sheet, frames: int, shown: int) -> list[Page]:
    """Pages that all show the same length, as far as the clip goes."""
    rest = min(_SHORTEST_FRAMES, frames - 1)
    starts = range(sheet.start_frame, max(sheet.start_frame + 1, sheet.end_frame - rest), frames)
    return [
        _page(sheet, start, sheet.end_frame if start == starts[-1] else start + frames, shown)
        for start in starts
    ]


def _page(sheet: Sheet, own: int, own_end: int, shown: int) -> Page:
    spare = shown - (own_end - own)
    at_bound = min(_BOUND_FRAMES, spare - _OVERLAP_FRAMES)
    first_page, last_page = own == sheet.start_frame, own_end == sheet.end_frame
    if first_page == last_page:
        start = own - spare // 2
    elif first_page:
        start = own - at_bound
    else:
        start = own_end + at_bound - shown
    low, high = sheet.shown_frames
    start = max(low, min(start, high - shown))
    end = min(high, start + shown)
    return Page(*map(clock.frame_time_s, (start, end, own, own_end)))


def _lanes(
    notes: Collection[Row], context: Collection[Row], top: int, gap: int, scale: float
) -> tuple[Lane, ...]:
    """All lanes, as high as there is room for."""
    fold, low, high = _natural(_FOLD, scale), math.ceil(_MIN_LANE * scale), math.floor(_MAX_LANE * scale)
    keys = drum_lanes(_pitches(notes, drums=True), _pitches(context, drums=True))
    most = math.floor((HIGHEST_PX - _HEADER - _GAP - _FOOT) * scale)
    rows = pitch_lanes(
        _pitches(notes), _pitches(context), most_px=most - low * len(keys), row_px=low, fold_px=fold
    )
    folds = sum(len(each) > 1 for each in rows)
    lane = max(low, min(high, (most - fold * folds) // (len(rows) - folds + len(keys))))
    found = []
    for each in rows:
        height = fold if len(each) > 1 else lane
        found.append(Lane("fold" if len(each) > 1 else "pitch", each[0], each, top, height))
        top += height
    top += gap
    for key in keys:
        found.append(Lane("drum", key, (key,), top, lane))
        top += lane
    return tuple(found)


def _pitches(rows: Iterable[Row], *, drums: bool = False) -> set[int]:
    return {row.pitch for row in rows if row.is_drum == drums}


def _natural(display: float, scale: float) -> int:
    """Pixels of the picture for pixels of the screen."""
    return round(display * scale)
