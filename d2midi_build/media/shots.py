"""Shots: where one uncut piece of picture ends and the next begins.

PySceneDetect's adaptive detector proposes frames that differ from the one before much more than their
neighbours do. Made for films, it also proposes flashes of light and repeated frames followed by a jump,
and at its usual thresholds misses cuts between dancers in one studio. So its content threshold is low
here, and a proposal counts only if the last cut is not too close, the structure of the picture changed (a
bright flash leaves it) and does not come back (a blinding one gives it back), and if either the change is
as large as in films or the spread of brightness or of colours changed (a moving dancer leaves both).
Dissolves and fades are not found.
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

LINES: Final = 180
"""Height in pixels that pictures are judged at; the thresholds hold for it."""

# Measured on ../shared/data at 180 lines (benchmarks/media_shots.py): 35 hard cuts, 29 of them between dancers
# in one white studio, against 16 files' other frames.
_RATIO: Final = 2.8  # cuts at least 3.1; PySceneDetect's default is 3
_CONTENT: Final = 3.0  # cuts at least 3.7; PySceneDetect's default is 15, which finds 6 of the 29
_FILM_CONTENT: Final = 15.0  # PySceneDetect's default
_HISTOGRAM: Final = 0.018  # cuts at least 0.023
_COLOUR: Final = (
    0.004  # another drawn dancer before the same wall at least 0.0077; within shots at most 0.0018
)
_STRUCTURE: Final = 0.72  # cuts at most 0.64; flashes at least 0.81
_SAME_POSE: Final = (
    0.78  # the same for other colours: two drawn dancers in one pose before one wall up to 0.74
)
_RETURN: Final = (
    0.9  # pictures across a cut at most 0.84; the same scene after a flash more, if it moves little
)
_FINE_PX, _COARSE_PX = 2.0, 12.0  # sizes of structure at 180 lines: above noise, below lighting
_AROUND: Final = 2  # frames on either side that a cut is held against; PySceneDetect's default
_SHORTEST_S: Final = (
    0.4  # real shots last at least 1 s; an animated end card changes scene twice within 0.3 s
)
_RATE: Final = 30.0  # only numbers the frames for PySceneDetect; times come from the source


@dataclass(frozen=True)
class Shot:
    """A piece of picture without a cut. ``end_s`` and ``end_frame`` are the next shot's first."""

    start_s: float
    end_s: float
    start_frame: int
    end_frame: int


class ShotDetector:
    """Finds hard cuts in pictures fed one by one.

    Costs 0.2 ms of CPU per picture of 320 x 180; only what PySceneDetect proposes is looked at more closely.
    """

    def __init__(self) -> None:
        self._proposer = AdaptiveDetector(
            _RATIO, min_scene_len=1, window_width=_AROUND, min_content_val=_CONTENT
        )
        self._times_s: list[float] = []
        self._cuts: list[int] = []
        self._pictures: deque[Frame] = deque(maxlen=2 * _AROUND + 1)

    def add(self, time_s: float, image: Frame) -> None:
        """Take in the next picture.

        Parameters
        ----------
        time_s : float
            Its time in seconds.
        image : np.ndarray, shape=(height, width, 3), dtype=uint8
            BGR; all of one size. Best at most ``LINES`` high: higher ones are made smaller first.
        """
        if image.shape[0] > LINES:
            width = max(1, round(image.shape[1] * LINES / image.shape[0]))
            image = np.asarray(cv2.resize(image, (width, LINES), interpolation=cv2.INTER_AREA), np.uint8)
        timecode = FrameTimecode(len(self._times_s), _RATE)
        proposed = self._proposer.process_frame(timecode, image)
        self._times_s.append(time_s)
        self._pictures.append(image)
        for cut in proposed:
            if self._is_cut(cut.frame_num):
                self._cuts.append(cut.frame_num)

    def _is_cut(self, frame: int) -> bool:
        """Judge a proposal from the pictures around it."""
        if self._cuts and self._times_s[frame] - self._times_s[self._cuts[-1]] < _SHORTEST_S:
            return False
        at = frame - len(self._times_s) + len(self._pictures)
        pictures = list(self._pictures)
        structures = [_structure(picture) for picture in pictures]
        before, after = structures[max(0, at - _AROUND) : at], structures[at : at + _AROUND + 1]
        likeness = _likeness(before[-1], after[0])
        if likeness >= _SAME_POSE:
            return False
        if any(_likeness(b, a) >= _RETURN for b in before for a in after):
            return False
        last, first = pictures[at - 1], pictures[at]
        if _colour_change(last, first) >= _COLOUR:
            return True
        other = _content_change(last, first) >= _FILM_CONTENT or _histogram_change(last, first) >= _HISTOGRAM
        return other and likeness < _STRUCTURE

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


def _likeness(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    return float(np.vdot(one, other))


def _content_change(last: Frame, first: Frame) -> float:
    """PySceneDetect's score of a picture: the mean change of hue, saturation and value."""
    hsv = [cv2.cvtColor(image, cv2.COLOR_BGR2HSV) for image in (last, first)]
    return float(np.mean(cv2.absdiff(*hsv)))


def _histogram_change(last: Frame, first: Frame) -> float:
    """1 - the correlation of the histograms of brightness."""
    before, after = (
        cv2.calcHist([cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)], [0], None, [128], [0, 256])
        for image in (last, first)
    )
    return 1 - float(cv2.compareHist(before, after, cv2.HISTCMP_CORREL))


def _colour_change(last: Frame, first: Frame) -> float:
    """1 - Bhattacharyya's coefficient of the histograms of colour: what a dancer in other clothes changes, however
    small in the picture, and one who moves does not."""
    before, after = (
        np.sqrt(cv2.GaussianBlur(each / each.sum(), (0, 0), 1.0))
        for each in (
            cv2.calcHist([cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb)], [1, 2], None, [32, 32], [0, 256, 0, 256])
            for image in (last, first)
        )
    )
    return 1 - float(np.vdot(before, after))


def _structure(image: Frame) -> npt.NDArray[np.float32]:
    """The picture without noise and lighting, as a vector of length 1 (or shorter, if there is none)."""
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.float32)
    scale = grey.shape[0] / LINES
    fine = cv2.GaussianBlur(grey, (0, 0), _FINE_PX * scale) - cv2.GaussianBlur(
        grey, (0, 0), _COARSE_PX * scale
    )
    fine = np.asarray(fine - fine.mean(), np.float32)
    # Half a grey level of structure is none: two black pictures are not alike, but nor is there a cut.
    return np.asarray(fine / (np.sqrt(np.square(fine).sum()) + 1e-3 * np.sqrt(fine.size)), np.float32)
