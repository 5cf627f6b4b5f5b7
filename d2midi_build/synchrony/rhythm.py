"""Two curves on the one clock: how much a dancer comes to rest, and how much starts to sound.

Where dance goes with music they rise together, at most a constant time apart; `lag` measures it over many clips.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build import clock
from d2midi_build.motion.kinematic_beats import (
    LONGEST_GAP_S,
    Settings,
    bridged,
    hip_travel,
    joint_speed,
    stretches_seen,
)
from d2midi_build.motion.skeleton import LIMBS, N_BODY
from d2midi_build.music.audio import checked

Float32Array = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]

_TREND_S: Final = 1.0
"""Standard deviation of the Gaussian whose result is taken off the log speed: calm and lively parts count alike."""
_LEAST_STRETCH_S: Final = 2.0
_STILL: Final = 0.1
"""Share of the usual speed that is added before the logarithm: a dancer is never slower than trembling."""

_HOP_S: Final = 0.005
_WINDOW_S: Final = 0.020
_RISE_S: Final = 0.010
_BANDS_HZ: Final = np.geomspace(50.0, 16_000.0, 13)
_FLOOR: Final = 1e-4
_SILENCE: Final = 1e-7
_SMOOTHING_S: Final = 0.040
"""Standard deviation of the Gaussian over onsets: keeps 20 values per second from missing one."""
_EARLY_S: Final = 0.004
"""By how much log energy under a window rises before a sudden attack; 5 ms more before a click, which rises itself,
and as much less before notes (``benchmarks/synchrony.py --part zero``)."""


def motion_rhythm(
    body_world: npt.NDArray[Any],
    present: npt.NDArray[np.bool_],
    body_image: npt.NDArray[Any] | None = None,
) -> Float32Array:
    """How much a dancer comes to rest, frame by frame: peaks are kinematic beats.

    Minus the logarithm of the joints' mean speed (that of `find_kinematic_beats`, plus a tenth of its median), less
    its mean within about a second. A frame's value belongs to the frame's time: the speed is symmetric in time.

    Parameters
    ----------
    body_world : np.ndarray, shape (n_frames, 33, 3)
        MediaPipe's body in metres, hip-centred, on the one clock.
    present : np.ndarray, shape (n_frames,), bool
    body_image : np.ndarray, shape (n_frames, 33, 3), optional
        The body in the picture, 0-1: adds the hips' travel.

    Returns
    -------
    np.ndarray, shape (n_frames,), float32
        Dimensionless, mean about 0; NaN in frames without a body, also those bridged for the speed, and in stretches
        seen for less than 2 s.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    from scipy.ndimage import gaussian_filter1d

    n = len(present)
    if body_world.shape != (n, N_BODY, 3) or (body_image is not None and body_image.shape != (n, N_BODY, 3)):
        raise ValueError(f"body_world of shape {body_world.shape} for {n} frames")
    rhythm = np.full(n, np.nan, dtype=np.float32)
    points = np.asarray(body_world[:, LIMBS], dtype=np.float64)
    if body_image is not None and present.any():
        points = points + hip_travel(body_world, body_image, present)[:, None]
    stretches = [
        stretch
        for stretch in stretches_seen(present, round(LONGEST_GAP_S * clock.FPS))
        if len(stretch) >= _LEAST_STRETCH_S * clock.FPS
    ]
    if not stretches:
        return rhythm
    speeds = [joint_speed(bridged(points[s], present[s]), clock.FPS, Settings()) for s in stretches]
    usual = max(float(np.median(np.concatenate(speeds))), 1e-6)
    for stretch, speed in zip(stretches, speeds, strict=True):
        rest = -np.log(speed / usual + _STILL)
        rhythm[stretch] = rest - gaussian_filter1d(rest, _TREND_S * clock.FPS, mode="nearest")
    rhythm[~present] = np.nan
    return rhythm


def onset_rhythm(audio: npt.NDArray[np.float32], rate_hz: int, n_frames: int) -> Float32Array:
    """How much starts to sound about each frame of the one clock.

    Growth of the log energy of up to 12 bands over 10 ms (spectral flux, half-wave rectified), under Hann windows of
    20 ms every 5 ms, smoothed by a Gaussian of 40 ms and read at the frames' times, frame f at f / 20 s. Clicks, noise
    bursts and notes are within 6 ms of where they sound.

    Parameters
    ----------
    audio : np.ndarray, shape (n,) or (n, channels), float32
        Sample 0 is at frame 0. Finite; channels are averaged. Shorter than the frames: silence.
    rate_hz : int
        Any; bands above half of it hold nothing.
    n_frames : int

    Returns
    -------
    np.ndarray, shape (n_frames,), float32
        Zero or more, per recording on a scale of its own; 0 throughout silence.

    Raises
    ------
    PermanentError
        If a sample is not a finite number.
    """
    from scipy.ndimage import gaussian_filter1d

    samples = checked(audio, rate_hz)
    if n_frames == 0:
        return np.empty(0, np.float32)
    n_hops = round(clock.frame_time_s(n_frames) / _HOP_S) + 1
    energy = _band_energy(samples, rate_hz, n_hops)
    loud = max(float(np.percentile(energy.sum(axis=1), 95)), _SILENCE)
    level = np.log10(energy / loud + _FLOOR)
    reach = round(_RISE_S / _HOP_S / 2)
    flux = np.zeros(n_hops)
    flux[reach:-reach] = np.maximum(level[2 * reach :] - level[: -2 * reach], 0.0).mean(axis=1)
    smooth = gaussian_filter1d(flux, _SMOOTHING_S / _HOP_S, mode="constant")
    times_s = np.arange(n_frames) / clock.FPS - _EARLY_S
    return np.interp(times_s, np.arange(n_hops) * _HOP_S, smooth).astype(np.float32)


def _band_energy(samples: Float32Array, rate_hz: int, n_hops: int) -> FloatArray:
    """Energy of each band under a window centred on each hop: shape (n_hops, n_bands)."""
    from scipy.fft import next_fast_len, rfft

    length = 2 * round(_WINDOW_S * rate_hz / 2) + 1  # odd: its middle is a sample
    size = next_fast_len(length, real=True)
    window = np.hanning(length + 2)[1:-1].astype(np.float32)
    hz = np.fft.rfftfreq(size, 1 / rate_hz)
    member = ((hz[:, None] >= _BANDS_HZ[:-1]) & (hz[:, None] < _BANDS_HZ[1:])).astype(np.float32)
    member = member[:, member.any(axis=0)]
    energy = np.zeros((n_hops, member.shape[1]))
    for first in range(0, n_hops, 2000):  # ten seconds at a time, to bound memory
        centres = np.round(np.arange(first, min(first + 2000, n_hops)) * _HOP_S * rate_hz).astype(np.int64)
        low, high = int(centres[0]) - length // 2, int(centres[-1]) + length // 2 + 1
        piece = samples[max(low, 0) : max(high, 0)]
        mono = piece.mean(axis=1) if piece.ndim == 2 else piece
        padded = np.pad(mono, (max(-low, 0), high - max(low, 0) - len(mono)))
        frames = (
            np.lib.stride_tricks.sliding_window_view(padded, length)[centres - length // 2 - low] * window
        )
        spectrum = rfft(frames, size, axis=1)
        energy[first : first + len(centres)] = (spectrum.real**2 + spectrum.imag**2) @ member
    return energy / float(window.sum()) ** 2
