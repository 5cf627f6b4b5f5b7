"""The one clock: 20 frames and 10,240 samples per second (Dance2MIDI, section 3.2).

Nothing else in the package writes these numbers. Times in tables are seconds from the clip's first
frame; frame, sample and MIDI tick follow from them exactly.
"""

from __future__ import annotations

import math
from typing import Final

FPS: Final = 20
"""Frames per second of every clip."""

SAMPLE_RATE_HZ: Final = 10_240
"""Samples per second of a clip's standard audio."""

SAMPLES_PER_FRAME: Final = SAMPLE_RATE_HZ // FPS
"""512: a frame is a whole number of samples."""

WINDOW_FRAMES: Final = 600
"""Default length of a window (30 s, section 3.4); recipe field ``window.frames``."""

WINDOW_STRIDE: Final = 40
"""Default distance between window starts in frames (section 3.4); recipe field ``window.stride``."""

TEMPO_BPM: Final = 120
"""Nominal tempo of every MIDI file; musical tempo is data of its own."""

TICKS_PER_QUARTER: Final = SAMPLE_RATE_HZ * 60 // TEMPO_BPM
"""5,120 at 120 bpm: one MIDI tick is one sample."""


def frame_time_s(frame: int) -> float:
    """Time of a frame in seconds from the clip's first frame."""
    return frame / FPS


def frames_to_samples(frames: int) -> int:
    """Number of standard samples in ``frames`` frames."""
    return frames * SAMPLES_PER_FRAME


def whole_frames(duration_s: float) -> int:
    """Number of whole frames in ``duration_s`` seconds.

    A duration within a microsecond of a whole frame counts as that frame, so that a duration that
    went through floating point is not cut by one frame.
    """
    return max(0, math.floor(duration_s * FPS + FPS * 1e-6))


def seconds_to_sample(time_s: float) -> int:
    """The sample nearest to ``time_s``; also the MIDI tick."""
    return round(time_s * SAMPLE_RATE_HZ)


def sample_to_seconds(sample: int) -> float:
    """Time of a sample (or MIDI tick) in seconds."""
    return sample / SAMPLE_RATE_HZ


def window_starts(n_frames: int, frames: int = WINDOW_FRAMES, stride: int = WINDOW_STRIDE) -> range:
    """First frames of all windows that lie wholly inside a clip of ``n_frames`` frames.

    >>> list(window_starts(700))
    [0, 40, 80]
    """
    return range(0, n_frames - frames + 1, stride) if n_frames >= frames else range(0)
