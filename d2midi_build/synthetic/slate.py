"""Flash and click: how far sound and picture have drifted apart, to a millisecond, from 20 frames a second.

A patch in the top left corner jumps to white at known instants and fades linearly, so the brightness of
any frame says how long ago the flash was, however coarse the frame rate; a click sounds at the same
instants. The patch is small, so no shot detector takes it for a cut. A white patch beside it tells what
white has become on the way.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
import numpy.typing as npt
import soundfile

from d2midi_build.clock import FPS
from d2midi_build.synthetic.anatomy import Array

SLATE_S: Final = 2.0
"""Music and dance start after this many seconds."""

FLASHES_S: Final = (0.70, 1.02, 1.37, 1.69)
"""Instants of flash and click. The first leaves room for streams that start up to 0.6 s late; the others
fall at other places within a frame."""

_FADE_S: Final = 0.25
_PATCH: Final = 0.06  # of the picture's height
_DARK, _WHITE = 30.0, 230.0  # away from the ends, which limited-range video may clip
_CLICK_HZ: Final = 1800.0
_CLICK_WIDTH_S: Final = 0.0012
_SEARCH_S: Final = 0.3


def click(sample_rate_hz: int) -> Array:
    """The click: a Gaussian tone burst of odd length whose middle sample is the instant, peak 1."""
    half = int(np.ceil(4 * _CLICK_WIDTH_S * sample_rate_hz))
    return _burst(np.arange(-half, half + 1) / sample_rate_hz)


def _burst(time_s: Array) -> Array:
    burst: Array = np.exp(-0.5 * (time_s / _CLICK_WIDTH_S) ** 2) * np.cos(2 * np.pi * _CLICK_HZ * time_s)
    return burst


def with_clicks(audio: Array, sample_rate_hz: int) -> Array:
    """Put the slate's two seconds with clicks before a piece of music.

    Parameters
    ----------
    audio : np.ndarray, shape=(n,) or (n, channels)
        -1 to 1.
    sample_rate_hz : int

    Returns
    -------
    np.ndarray, shape=(n + SLATE_S * sample_rate_hz, ...)
    """
    time_s = np.arange(round(SLATE_S * sample_rate_hz)) / sample_rate_hz
    head = 0.7 * np.sum([_burst(time_s - at) for at in FLASHES_S], axis=0)
    if audio.ndim == 2:
        head = np.repeat(head[:, None], audio.shape[1], axis=1)
    return np.concatenate([head, audio])


def level(time_s: float) -> float:
    """Brightness of the patch at a time: 1 at a flash, 0 when it has faded."""
    since = [time_s - at for at in FLASHES_S if time_s >= at]
    return max(0.0, 1 - since[-1] / _FADE_S) if since else 0.0


def _patches(height_px: int, inner: float = 0.0) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Rows and columns of the flashing and of the white patch, shrunk by ``inner`` of their size."""
    size = _PATCH * height_px
    cut = inner * size
    rows = slice(round(size / 2 + cut), round(1.5 * size - cut))
    return (
        (rows, slice(round(size / 2 + cut), round(1.5 * size - cut))),
        (rows, slice(round(2 * size + cut), round(3 * size - cut))),
    )


def draw(picture: npt.NDArray[np.uint8], time_s: float) -> None:
    """Draw the patches of a time into an RGB picture as it will be displayed."""
    flash, white = _patches(picture.shape[0])
    picture[flash] = round(_DARK + (_WHITE - _DARK) * level(time_s))
    picture[white] = round(_WHITE)


def patch_levels(pictures: npt.NDArray[np.uint8]) -> Array:
    """Read the brightness of the patch from displayed pictures.

    Parameters
    ----------
    pictures : np.ndarray, shape=(n_frames, height, width) or (n_frames, height, width, 3)
        Grey or RGB, at any size, square pixels, upright. At least one frame without a flash.

    Returns
    -------
    np.ndarray, shape=(n_frames,)
        0 to 1.
    """
    height = pictures.shape[1]
    flash, white = (
        pictures[:, rows, columns].reshape(len(pictures), -1).mean(axis=1, dtype=np.float64)
        for rows, columns in _patches(height, inner=0.25)
    )
    dark = flash.min()
    return np.asarray((flash - dark) / np.maximum(white - dark, 1.0))


def measure_av_offset_ms(
    levels: Array,
    audio: Array,
    sample_rate_hz: int,
    times_s: Array | None = None,
    audio_start_s: float = 0.0,
) -> float:
    """Sound minus picture, from a finished clip.

    Parameters
    ----------
    levels : np.ndarray, shape=(n_frames,)
        From ``patch_levels``; the frames around the slate are enough.
    audio : np.ndarray, shape=(n,) or (n, channels)
        The clip's sound.
    sample_rate_hz : int
    times_s : np.ndarray, shape=(n_frames,), optional
        When each frame is shown. Default is the clock's 20 fps from 0.
    audio_start_s : float
        Time of the first sample. Default is 0.

    Returns
    -------
    float
        Milliseconds; positive: the sound comes after the picture. The picture's time is the mean over the
        frames of all flashes: a resampler that picks the nearest source frame errs by half a frame either
        way in single frames.

    Raises
    ------
    ValueError
        If fewer than two flashes are seen, or a click is missing.
    """
    times = np.arange(len(levels)) / FPS if times_s is None else np.asarray(times_s, dtype=np.float64)
    # Encoders let the last, faint steps of a fade slip.
    lit = np.flatnonzero((levels > 0.15) & (levels < 0.99))
    flashed = times[lit] - (1 - levels[lit]) * _FADE_S
    # Frames of one flash agree within a frame or so; flashes are farther apart than that.
    groups = np.split(flashed, np.flatnonzero(np.diff(flashed) > 0.2) + 1) if len(lit) else []
    groups = [group for group in groups if len(group) >= 3]
    if len(groups) < 2:
        raise ValueError(
            f"the slate shows {len(groups)} of {len(FLASHES_S)} flashes: is the head of the clip cut off?"
        )
    mono = audio.mean(axis=1) if audio.ndim == 2 else audio
    clicks = _click_times_s(mono, sample_rate_hz, [float(np.mean(g)) - audio_start_s for g in groups])
    differences = [at + audio_start_s - group for at, group in zip(clicks, groups, strict=True)]
    return float(1000 * np.mean(np.concatenate(differences)))


def _click_times_s(audio: Array, sample_rate_hz: int, flashes_s: list[float]) -> list[float]:
    """Times of the clicks that belong to the flashes: matched filter, parabola through each peak.

    All flashes together first say roughly where the clicks are, so that a click is never matched with
    its neighbour's flash.
    """
    template = click(sample_rate_hz)
    width = round(2 * _SEARCH_S * sample_rate_hz)
    starts = [round((at - _SEARCH_S) * sample_rate_hz) for at in flashes_s]
    before = max(0, -min(starts))
    padded = np.pad(audio, (before, max(0, max(starts) + width - len(audio))))
    matches = [np.correlate(padded[before + s : before + s + width], template, mode="same") for s in starts]
    loudest = max(float(match.max()) for match in matches)
    # Flash times are good to some milliseconds only: compare envelopes that are wider than that.
    smooth = np.hanning(round(0.03 * sample_rate_hz))
    together = np.sum([np.convolve(np.abs(match), smooth, mode="same") for match in matches], axis=0)
    rough = int(np.argmax(together))
    near = round(0.04 * sample_rate_hz)
    low, high = max(rough - near, 1), min(rough + near, width - 1)
    times = []
    for start, match, flash_s in zip(starts, matches, flashes_s, strict=True):
        peak = low + int(np.argmax(match[low:high]))
        floor = max(0.3 * loudest, 0.02 * float(np.sum(template**2)))
        if match[peak] < floor or not 0 < peak < width - 1:
            raise ValueError(f"no click within {_SEARCH_S} s of the flash at {flash_s:.2f} s of the sound")
        a, b, c = match[peak - 1 : peak + 2]
        times.append(float((start + peak + 0.5 * (a - c) / (a - 2 * b + c)) / sample_rate_hz))
    return times


def clip_av_offset_ms(video: Path, audio: Path) -> float:
    """Sound minus picture of a clip on the one clock.

    Parameters
    ----------
    video, audio : Path
        A video and an audio file that start together at 0, e.g. mp4 and flac.

    Returns
    -------
    float
        Milliseconds; see ``measure_av_offset_ms``.

    Raises
    ------
    ValueError
        See ``measure_av_offset_ms``.
    """
    pictures, times = [], []
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if frame.time is None or frame.time > SLATE_S + 1:
                break
            pictures.append(frame.to_ndarray(format="gray"))
            times.append(frame.time)
    samples, sample_rate_hz = soundfile.read(audio, dtype="float64")
    levels = patch_levels(np.stack(pictures))
    return measure_av_offset_ms(levels, samples, sample_rate_hz, np.array(times))


def source_av_offset_ms(path: Path) -> float:
    """Sound minus picture of one file as its own timestamps place them: what a perfect player would do.

    Parameters
    ----------
    path : Path
        Any container with a slate. Rotation and pixel aspect are honoured.

    Returns
    -------
    float
        Milliseconds.

    Raises
    ------
    ValueError
        See ``measure_av_offset_ms``.
    """
    pictures, times = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time is None or frame.time > SLATE_S + 1:
                break
            aspect = container.streams.video[0].sample_aspect_ratio or Fraction(1)
            picture: Any = np.rot90(frame.to_ndarray(format="gray"), round(frame.rotation / 90) % 4)
            size = (round(picture.shape[1] * float(aspect)), picture.shape[0])
            pictures.append(cv2.resize(picture, size) if aspect != 1 else picture)
            times.append(frame.time)
    samples: list[Array] = []
    start_s, sample_rate_hz = 0.0, 0
    with av.open(str(path)) as container:
        for sound in container.decode(audio=0):
            at_s = sound.time or 0.0
            if not samples:
                start_s, sample_rate_hz = at_s, sound.sample_rate
            samples.append(sound.to_ndarray().astype(np.float64))
            if at_s > SLATE_S + 1:
                break
    audio = np.concatenate(samples, axis=1).mean(axis=0)
    levels = patch_levels(np.stack(pictures))
    return measure_av_offset_ms(levels, audio, sample_rate_hz, np.array(times), start_s)
