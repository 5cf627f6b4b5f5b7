"""The video of a sheet that people watch beside its notes: dance, roll with playhead, both sounds.

Label Studio shows no playhead over a picture, and its players drift apart by up to a quarter of a second
(facts/label-studio.md); one video of everything cannot. It shows the sheet with its context of 2 s on either side
and counts pages as the editor does: 5 s of the sheet each.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from d2midi_build import clock
from d2midi_build.annotate.sheets import Sheet
from d2midi_build.errors import UsageError
from d2midi_build.media.ffmpeg import Frame, os_error
from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import TAIL_S
from d2midi_build.report.clips import clip_of
from d2midi_build.report.film import film, fitted, fresh_file
from d2midi_build.report.letters import Image
from d2midi_build.report.paging import Page, overlapping_pages
from d2midi_build.report.roll import Box, Roll
from d2midi_build.report.sizes import Sizes
from d2midi_build.workspace import Workspace

SIZE: Final = (976, 360)
"""Width and height of the canvas: flat, since it lies above the notes that people edit."""

PAGE_FRAMES: Final = 5 * clock.FPS

VERSION: Final = 1
"""Another one wherever the same input would look or sound different."""

_PICTURE: Final = (640, 360)
_AROUND_FRAMES: Final = clock.FPS
_SIZES: Final = Sizes(
    (336, 240),
    gutter=52,
    right=4,
    header=32,
    line=0,
    caption=0,
    axis=24,
    gap=4,
    lane=18,
    note=4,
    playhead=3,
    text=0.5,
    clock=0.65,
)
"""Large letters and lines: the video is shown at little more than half its size."""

_DIMMED: Final = 0.4


class SheetRoll(Roll):
    """The roll of a sheet: pages of 5 s with some of what is around, what is not the sheet's dimmed.

    Parameters
    ----------
    sheet : Sheet
    notes : Notes
        Seconds from the clip's first frame; those that sound elsewhere are left out.
    width, height : int
        Of a page, in pixels.
    """

    def __init__(self, sheet: Sheet, notes: Notes, width: int, height: int) -> None:
        first, last = sheet.shown_frames
        pages = overlapping_pages(
            sheet.start_frame, sheet.end_frame, first, last, PAGE_FRAMES, _AROUND_FRAMES
        )
        seen = notes.sounding_in(clock.frame_time_s(first), clock.frame_time_s(last))
        super().__init__(seen, sheet.clip_frames, width, height, pages=pages, sizes=_SIZES)
        self.sheet = sheet

    def told(self, frame: int) -> str:
        """Page of the editor, or that it is context, and the time in the clip."""
        inside = self.sheet.start_frame <= frame < self.sheet.end_frame
        where = f"page {self.page_of(frame) + 1}" if inside else "context"
        return f"{where}   {clock.frame_time_s(frame):.2f} s"

    def page(self, page: int) -> Image:
        """A page without playhead and time, shape (height, width, 3), blue-green-red; context dimmed."""
        image = super().page(page)
        left, right = (
            self.sizes.gutter + (frame - self.pages[page].first) * self.frame_px
            for frame in self._inside(self.pages[page])
        )
        for columns in (slice(self.sizes.gutter, left), slice(right, self.width)):
            outside = image[self.sizes.header :, columns]
            outside[:] = np.rint(outside * _DIMMED)
        return image

    def _inside(self, page: Page) -> tuple[int, int]:
        """The frames of a page that are the sheet's."""
        bounds = self.sheet.start_frame, self.sheet.end_frame
        first, last = (min(max(bound, page.first), page.last) for bound in bounds)
        return first, last


def near(sheet: Sheet, notes: Notes) -> Notes:
    """The notes of a clip that are seen or heard in a sheet's video, in canonical order."""
    first_s, last_s = map(clock.frame_time_s, sheet.shown_frames)
    return notes.sounding_in(first_s - TAIL_S, last_s).sorted()


def render_footage(
    workspace: Workspace,
    sheet: Sheet,
    notes: Notes,
    out: Path,
    *,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Write the video of a sheet and its context (H.264, AAC, MP4).

    Left on the canvas is the dance, right the roll. Left in the sound is the original, right the notes; see
    `report.film.film`.

    Parameters
    ----------
    workspace : Workspace
    sheet : Sheet
    notes : Notes
        What is shown and heard, in seconds from the clip's first frame; those that neither sound in the sheet nor in
        its context are left out.
    out : Path
        Replaced if it exists, and only once the new file is whole; its folder must exist.
    progress : callable, optional
        Is told now and then which share (0-1) is done.

    Raises
    ------
    UsageError
        If there is no such clip, it has no media yet, or has another length than the sheet says.
    PermanentError
        If a file of the clip is missing or damaged, or ``out`` cannot be written.
    TransientError
        If the disk is full.
    """
    clip = clip_of(workspace.root, sheet.clip_id, ("resample",))
    if sheet.clip_frames != clip["n_frames"]:
        raise UsageError(
            f"sheet {sheet.sheet_id} is of a clip of {sheet.clip_frames} frames, which has {clip['n_frames']} now: "
            "select the sheets again"
        )
    picture = _picture(clip["width"], clip["height"])
    box = Box(picture.right, 0, *SIZE)
    notes = near(sheet, notes)
    roll = SheetRoll(sheet, notes, box.right - box.left, box.bottom)

    def draw(canvas: Frame, place: Frame, frame: int) -> None:
        roll.draw(frame, canvas[:, box.left :])

    media = workspace.root / "clips" / sheet.clip_id
    try:
        folder = tempfile.TemporaryDirectory(dir=out.parent, prefix=".footage-")
    except OSError as error:
        raise os_error(error, f"writing {out}") from error
    with fresh_file(out, folder) as partial:
        film(media, clip, sheet.shown_frames, notes, SIZE, picture, draw, partial, progress)


def _picture(width: int, height: int) -> Box:
    """Where a clip's picture lies: at the left, in the middle of the height."""
    w, h = fitted(width, height, *_PICTURE)
    top = (SIZE[1] - h) // 2
    return Box(0, top, w, top + h)
