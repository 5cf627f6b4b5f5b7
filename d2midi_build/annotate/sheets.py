"""Sheets: the tiles of a clip that people correct.

A sheet is 30 s of a clip, the last one of a clip whatever is left. Sheets overlap nowhere and leave nothing out,
so every note belongs to exactly one: that of its onset. Around a sheet lie 2 s of context, to be seen and heard
but not changed. All bounds are whole frames, and so whole samples: whether a note is inside is decided in
integers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build import clock
from d2midi_build.music.notes import Notes, to_samples

SHEET_FRAMES: Final = 30 * clock.FPS
"""Length of a sheet. Part of its id's meaning: it must never change, whatever a recipe's windows are."""

CONTEXT_FRAMES: Final = 2 * clock.FPS

_SHEET_SAMPLES: Final = clock.frames_to_samples(SHEET_FRAMES)
_ID: Final = re.compile(r"(?P<clip>.+)_s(?P<number>\d{3,})", re.ASCII)


@dataclass(frozen=True)
class Sheet:
    """A tile of a clip.

    Attributes
    ----------
    clip_id : str
    number : int
        From 0 within its clip.
    start_frame, end_frame : int
        Half-open.
    clip_frames : int
        Length of the clip, which context must not leave.
    """

    clip_id: str
    number: int
    start_frame: int
    end_frame: int
    clip_frames: int

    @property
    def sheet_id(self) -> str:
        """Its name: the clip's id and its number, e.g. ``yt-abc_00001000_s002``."""
        return f"{self.clip_id}_s{self.number:03d}"

    @property
    def start_s(self) -> float:
        """Where it begins, in seconds from the clip's first frame."""
        return clock.frame_time_s(self.start_frame)

    @property
    def end_s(self) -> float:
        """Where it ends."""
        return clock.frame_time_s(self.end_frame)

    @property
    def shown_frames(self) -> tuple[int, int]:
        """First and last frame (exclusive) to show: the sheet and its context."""
        first = max(0, self.start_frame - CONTEXT_FRAMES)
        return first, min(self.clip_frames, self.end_frame + CONTEXT_FRAMES)

    def holds(self, onset_s: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether notes with these onsets (seconds, any shape) belong to it."""
        samples = to_samples(onset_s)
        first, last = map(clock.frames_to_samples, (self.start_frame, self.end_frame))
        return np.asarray((samples >= first) & (samples < last), dtype=np.bool_)

    def notes_in(self, notes: Notes) -> Notes:
        """The notes of a clip that belong to it, in canonical order."""
        return notes.where(self.holds(notes.onset_s)).sorted()

    def context_in(self, notes: Notes) -> Notes:
        """The notes of a clip that do not belong to it but sound in it or in its context."""
        first, last = map(clock.frames_to_samples, self.shown_frames)
        sounds = (to_samples(notes.onset_s) < last) & (to_samples(notes.offset_s) > first)
        return notes.where(sounds & ~self.holds(notes.onset_s)).sorted()


def sheets(clip_id: str, n_frames: int) -> list[Sheet]:
    """The sheets of a clip of ``n_frames`` frames, in order; none of an empty clip.

    >>> [sheet.end_frame for sheet in sheets("a", 1300)]
    [600, 1200, 1300]
    """
    return [
        Sheet(clip_id, number, start, min(start + SHEET_FRAMES, n_frames), n_frames)
        for number, start in enumerate(range(0, n_frames, SHEET_FRAMES))
    ]


def sheet_numbers(onset_s: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Number of the sheet that notes with these onsets (seconds, any shape) belong to."""
    return np.asarray(to_samples(onset_s) // _SHEET_SAMPLES, dtype=np.int64)


def clip_of_sheet(sheet_id: str) -> tuple[str, int]:
    """The clip's id and the sheet's number behind a sheet's id.

    Raises
    ------
    ValueError
        If it is no sheet's id.
    """
    found = _ID.fullmatch(sheet_id)
    if found is None:
        raise ValueError(f"{sheet_id!r} is no sheet: a clip's id and its number, as in yt-abc_00001000_s002")
    return found["clip"], int(found["number"])
