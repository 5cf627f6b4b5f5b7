"""The pages of a roll that a playhead goes through."""

from __future__ import annotations

import math
from dataclasses import dataclass

from d2midi_build import clock


@dataclass(frozen=True)
class Page:
    """A page: it shows frames ``first`` to ``last - 1`` and is seen while ``start`` to ``end - 1`` are played."""

    start: int
    end: int
    first: int
    last: int


def even_pages(n_frames: int, most: int) -> tuple[Page, ...]:
    """Pages that show nothing twice: the whole clip on one, or pages of whole seconds, much the same length each.

    Parameters
    ----------
    n_frames : int
        Length of the clip.
    most : int
        Frames that fit on a page; at least a second's.
    """
    frames = max(n_frames, 1)
    if n_frames > most:
        pages = math.ceil(n_frames / (most // clock.FPS * clock.FPS))
        frames = math.ceil(n_frames / pages / clock.FPS) * clock.FPS
    starts = range(0, n_frames, frames)
    bounds = [(start, min(start + frames, n_frames)) for start in starts]
    return tuple(Page(start, end, start, end) for start, end in bounds)


def overlapping_pages(start: int, end: int, first: int, last: int, own: int, around: int) -> tuple[Page, ...]:
    """Pages of ``own`` frames each with some of what is before and after, each as wide as any other.

    Parameters
    ----------
    start, end : int
        Frames that pages are counted from and end with; the last page may be shorter.
    first, last : int
        Frames that are played, ``start`` and ``end`` among them: those before belong to the first page, those after to
        the last.
    own, around : int
        Frames of a page, and those that it shows on either side where it can.
    """
    starts = list(range(start, end, own)) or [start]
    bounds = list(zip([first, *starts[1:]], [*starts[1:], last], strict=True))
    wide = min(max(own + 2 * around, *(b - a for a, b in bounds)), last - first)
    seen = [max(first, end - wide, min(start - around, last - wide)) for start, end in bounds]
    return tuple(Page(*bound, shown, shown + wide) for bound, shown in zip(bounds, seen, strict=True))
