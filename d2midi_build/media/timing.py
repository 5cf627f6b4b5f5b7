"""Which source frame each clip frame shows, and how far that moves the picture."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from d2midi_build import clock

T = TypeVar("T")

_TIE_S: Final = 0.0015
"""Two source frames this close to equally near are a tie (Matroska rounds times to a millisecond)."""

_SAME_INSTANT_S: Final = 1e-4
"""Times this close are the same: they went through different time bases."""

_SETTLED_FRAMES: Final = clock.FPS // 2
"""Clip frames that set the mean error."""

_HELD: Final = 0.6
"""A clip frame shows a held picture if it is farther from its source frame than this share of a frame
interval, and farther than a clip frame: quick sources may have the farther neighbour chosen."""


class FrameChoice(Generic[T]):
    """Chooses, while a stream runs, the source frame that every clip frame of a take shows.

    It is the nearest one, the later of two equally near. That errs by half a frame interval either way, and
    where source and clip beat slowly (29.97 frames/s against 20) the mean error would wander by a quarter
    of an interval within seconds, 8 ms. So once the first half second has set the mean error, which the
    sound can be shifted by, the farther neighbour is taken now and then to keep it there. Frames outside
    the take are never shown, even if they are nearer: they belong to another shot.

    Parameters
    ----------
    start_s, end_s : float
        The take on the source clock, in seconds.
    last_interval_s : float
        How long a last frame is shown if it is the only one.

    Attributes
    ----------
    times_s : list of float
        Source time of every clip frame given so far.
    """

    def __init__(self, start_s: float, end_s: float, last_interval_s: float) -> None:
        self.start_s = start_s
        self.end_s = end_s
        self.times_s: list[float] = []
        self._last_interval_s = last_interval_s
        self._first_errors_s: list[float] = []
        self._shift_s = 0.0
        self._owed_s = 0.0

    def choose(self, frames: Iterable[tuple[float, T]]) -> Iterator[T]:
        """Yield a frame per clip frame.

        Parameters
        ----------
        frames : iterable of (float, T)
            Source time in seconds and frame, in order. A frame that does not come after the one before
            is skipped. Reading stops at the first one at or after the end of the take.
        """
        n_chosen = 0
        waiting: deque[tuple[float, T]] = deque()  # chosen, but the take may end before they are over
        last: tuple[float, T] | None = None
        seen: list[float] = []
        for time_s, frame in frames:
            if time_s >= self.end_s - _SAME_INSTANT_S:
                break
            if time_s < self.start_s - _SAME_INSTANT_S or (last is not None and time_s <= last[0]):
                continue
            if last is not None:
                later = False
                while self._target(n_chosen) <= time_s:
                    later = later or self._takes_later(last[0], time_s, self._target(n_chosen))
                    waiting.append((time_s, frame) if later else last)
                    n_chosen += 1
            last = (time_s, frame)
            seen.append(time_s)
            while waiting and self.start_s + clock.frame_time_s(len(self.times_s) + 1) <= time_s:
                yield self._give(waiting)
        if last is None:
            return
        while len(self.times_s) + len(waiting) < self._n_frames(seen):
            waiting.append(last)
        while waiting and len(self.times_s) < self._n_frames(seen):
            yield self._give(waiting)

    def _takes_later(self, earlier_s: float, later_s: float, target_s: float) -> bool:
        """Whether the later neighbour is to be shown at ``target_s``."""
        nearer_later = bool(later_s - target_s <= target_s - earlier_s + _TIE_S)
        # Farther neighbours only of quick sources: a slow one would stumble. A target before the first frame has one.
        if later_s - earlier_s >= 1 / clock.FPS or earlier_s > target_s:
            self._owed_s = 0.0
            return nearer_later and earlier_s <= target_s
        errors_s = [time_s - target_s for time_s in (earlier_s, later_s)]
        if len(self._first_errors_s) < _SETTLED_FRAMES:
            self._first_errors_s.append(errors_s[nearer_later])
            if len(self._first_errors_s) == _SETTLED_FRAMES:
                self._shift_s = sum(self._first_errors_s) / _SETTLED_FRAMES
            return nearer_later
        earlier, later = (abs(error_s + self._owed_s / 2) for error_s in errors_s)
        takes_later = bool(later <= earlier + _TIE_S)
        self._owed_s += errors_s[takes_later]
        return takes_later

    def _target(self, frame: int) -> float:
        return self.start_s + self._shift_s + clock.frame_time_s(frame)

    def _give(self, waiting: deque[tuple[float, T]]) -> T:
        time_s, frame = waiting.popleft()
        self.times_s.append(time_s)
        return frame

    def _n_frames(self, seen: list[float]) -> int:
        """Whole frames of the take: to its end, or to where the picture ends if that is half a frame or more before."""
        interval_s = frame_interval_s(np.array(seen), self._last_interval_s)
        picture_end_s = seen[-1] + interval_s
        end_s = self.end_s if picture_end_s + interval_s / 2 >= self.end_s else picture_end_s
        return clock.whole_frames(end_s - self.start_s)


def frame_interval_s(times_s: npt.NDArray[np.float64], otherwise_s: float) -> float:
    """Median distance of frames in seconds; ``otherwise_s`` with fewer than two.

    Parameters
    ----------
    times_s : np.ndarray, shape=(n,)
        Increasing.
    otherwise_s : float
    """
    return float(np.median(np.diff(times_s))) if len(times_s) > 1 else otherwise_s


def mean_offset_s(times_s: npt.NDArray[np.float64], start_s: float) -> float:
    """Mean of (source time shown - time of the frame), in seconds, over frames that are not held pictures.

    A picture held over a gap, or a slow source's last one, says nothing about synchrony.

    Parameters
    ----------
    times_s : np.ndarray, shape=(n_frames,)
        Source time of each clip frame.
    start_s : float
        Source time of the clip's beginning.

    Returns
    -------
    float
        0.0 if every picture is held.
    """
    offsets = times_s - start_s - np.arange(len(times_s)) / clock.FPS
    interval_s = frame_interval_s(np.unique(times_s), np.inf)
    near = offsets[np.abs(offsets) <= max(_HELD * interval_s, 1 / clock.FPS)]
    return float(near.mean()) if len(near) else 0.0
