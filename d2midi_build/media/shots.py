"""Shots: where one uncut piece of picture ends and the next begins.

PySceneDetect's adaptive detector proposes frames that differ from the one before much more than their
neighbours do. Made for films, it also proposes flashes of light and repeated frames followed by a jump,
and at its usual thresholds misses cuts between dancers in one studio. So its content threshold is low
here, and a proposal counts only if the structure of the picture changed (a bright flash leaves it) and
does not come back (a blinding one gives it back), and if either the change is as large as in films or the
spread of brightness changed (a moving dancer leaves it). Dissolves and fades are not found.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

from d2midi_build.media.ffmpeg import Frame
from d2midi_build.media.timing import frame_interval_s

# Measured on ../shared/data at 180 lines (benchmarks/media_shots.py): 35 hard cuts, 29 of them between dancers
# in one white studio, against 16 files' other frames.
_LINES: Final = 180
_RATIO: Final = 2.8  # cuts at least 3.1; PySceneDetect's default is 3
_CONTENT: Final = 3.0  # cuts at least 3.7; PySceneDetect's default is 15, which finds 6 of the 29
_FILM_CONTENT: Final = 15.0  # PySceneDetect's default
_HISTOGRAM: Final = 0.025  # cuts at least 0.036; a dancer at 10 frames/s at most 0.021
_STRUCTURE: Final = 0.72  # cuts at most 0.64; flashes at least 0.81
_RETURN: Final = (
    0.9  # pictures across a cut at most 0.84; the same scene after a flash more, if it moves little
)
_FINE_PX, _COARSE_PX = 2.0, 12.0  # sizes of structure at 180 lines: above noise, below lighting
_AROUND: Final = 2  # frames on either side that a cut is held against; PySceneDetect's default
_RATE: Final = 30.0  # only numbers the frames for PySceneDetect; times come from the source


@dataclass(frozen=True)
class Shot:
    """A piece of picture without a cut. ``end_s`` and ``end_frame`` are the next shot's first."""

    start_s: float
    end_s: float
    start_frame: int
    end_frame: int


@dataclass(frozen=True)
class _Look:
    """What is remembered of a picture to judge a proposal."""

    structure: npt.NDArray[np.float32]
    histogram_changed: bool


class ShotDetector:
    """Finds hard cuts in pictures fed one by one."""

    def __init__(self) -> None:
        self._any, self._film = (
            AdaptiveDetector(_RATIO, min_scene_len=1, window_width=_AROUND, min_content_val=content)
            for content in (_CONTENT, _FILM_CONTENT)
        )
        self._times_s: list[float] = []
        self._cuts: list[int] = []
        self._looks: deque[_Look] = deque(maxlen=2 * _AROUND + 1)
        self._histogram: npt.NDArray[np.float32] | None = None

    def add(self, time_s: float, image: Frame) -> None:
        """Take in the next picture.

        Parameters
        ----------
        time_s : float
            Its time in seconds.
        image : np.ndarray, shape=(height, width, 3), dtype=uint8
            BGR; all of one size.
        """
        if image.shape[0] > _LINES:
            width = max(1, round(image.shape[1] * _LINES / image.shape[0]))
            image = np.asarray(cv2.resize(image, (width, _LINES), interpolation=cv2.INTER_AREA), np.uint8)
        timecode = FrameTimecode(len(self._times_s), _RATE)
        proposed = {cut.frame_num for cut in self._any.process_frame(timecode, image)}
        large = {cut.frame_num for cut in self._film.process_frame(timecode, image)}
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        histogram = np.asarray(cv2.calcHist([grey], [0], None, [128], [0, 256]), np.float32)
        changed = self._histogram is not None and (
            1 - cv2.compareHist(self._histogram, histogram, cv2.HISTCMP_CORREL) >= _HISTOGRAM
        )
        self._histogram = histogram
        self._times_s.append(time_s)
        self._looks.append(_Look(_structure(np.asarray(grey, np.float32)), changed))
        self._cuts += [frame for frame in sorted(proposed) if self._is_cut(frame, frame in large)]

    def _is_cut(self, frame: int, large: bool) -> bool:
        """Judge a proposal from the pictures around it."""
        at = frame - len(self._times_s) + len(self._looks)
        looks = list(self._looks)
        before, after = looks[max(0, at - _AROUND) : at], looks[at : at + _AROUND + 1]
        if _likeness(before[-1], after[0]) >= _STRUCTURE:
            return False
        if any(_likeness(b, a) >= _RETURN for b in before for a in after):
            return False
        return large or looks[at].histogram_changed

    def shots(self) -> list[Shot]:
        """The shots of what was fed, in order and without gaps; none if nothing was fed.

        The last one ends a median frame interval after its last picture.
        """
        times = self._times_s
        if not times:
            return []
        end_s = times[-1] + frame_interval_s(np.array(times), 1 / _RATE)
        bounds = [0, *self._cuts, len(times)]
        return [
            Shot(times[start], times[end] if end < len(times) else end_s, start, end)
            for start, end in itertools.pairwise(bounds)
        ]


def _likeness(one: _Look, other: _Look) -> float:
    return float(np.vdot(one.structure, other.structure))


def _structure(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The picture without noise and lighting, as a vector of length 1 (or shorter, if there is none)."""
    scale = grey.shape[0] / _LINES
    fine = cv2.GaussianBlur(grey, (0, 0), _FINE_PX * scale) - cv2.GaussianBlur(
        grey, (0, 0), _COARSE_PX * scale
    )
    fine = np.asarray(fine - fine.mean(), np.float32)
    # Half a grey level of structure is none: two black pictures are not alike, but nor is there a cut.
    return np.asarray(fine / (np.sqrt(np.square(fine).sum()) + 1e-3 * np.sqrt(fine.size)), np.float32)
