"""Kinematic beats: the moments at which a dancer's joints come to rest.

Dance papers take them as local minima of the joints' mean speed (Li et al., "AI Choreographer", ICCV 2021, section
5.2.3; Siyao et al., "Bailando", CVPR 2022, whose ``beat_align_score.py`` smooths the speed with a Gaussian of 5
frames at 60 frames/s, 83 ms). Here everything is in seconds, whatever the frame rate, and what was not seen gives
no beat.

Which minima are beats is read from the smoothed speed, when they are is not: smoothing moves a minimum towards the
slower of the two moves beside it. A move's speed is about a bell whose shape does not depend on its size or duration
(Flash and Hogan, J. Neurosci. 5, 1985), so rest divides the way between two flanks, at equal shares of their own
heights, as the durations of their moves do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build import clock
from d2midi_build.motion.skeleton import HIPS, LIMBS, N_BODY

FloatArray = npt.NDArray[np.float64]

METHOD: Final = "speed-minima-3"
"""Raised whenever the same keypoints would give other beats."""

LONGEST_GAP_S: Final = 0.25
"""Positions are interpolated over gaps up to this; over longer ones nothing is known."""

LEAST_SEEN: Final = 0.5
"""Share of frames with a body below which the clip's kinematic beats are unknown."""

_LEAST_GAP_S: Final = 0.2
_LEAST_SPEED_M_S: Final = 0.05
"""A dancer whose joints' median speed is below this stands: MediaPipe's own trembling is about that."""
_FLANK_POSITION_SIGMA_S: Final = 0.04
_FLANK_SPEED_SIGMA_S: Final = 0.02
"""Standard deviations of the Gaussians behind the speed whose flanks time a beat: less, and trembling moves them."""
_FLANK_LEVELS: Final = np.array([0.2, 0.3, 0.4])
"""Shares of the way from rest to a move's peak: steep there, above the trembling of one who rests."""
_NEAR_S: Final = 0.05
"""The dancer is at rest where that speed is least within this of the minimum of the smoothed speed."""
_MOST_MOVED_S: Final = 0.1
"""How far from its minimum of the smoothed speed a beat can be."""
_ROUNDS: Final = 3
"""Durations of moves follow from the times of beats, and those from durations; a fourth changes next to nothing."""


@dataclass(frozen=True)
class Settings:
    """How speed becomes beats; chosen on synthetic dancers (``docs/decisions/0006-beats.md``).

    Attributes
    ----------
    position_sigma_s, speed_sigma_s : float
        Standard deviations of the Gaussians over positions and over the mean speed, seconds. Keypoints are stored
        raw: smoothing positions takes the trembling out before it becomes speed.
    least_prominence : float
        By how much the speed falls from the lower of its neighbouring maxima to the minimum, in shares of the
        clip's median speed.
    """

    position_sigma_s: float = 0.05
    speed_sigma_s: float = 0.05
    least_prominence: float = 0.15


@dataclass(frozen=True, eq=False)
class KinematicBeats:
    """Beats of a movement, or that none are known.

    Attributes
    ----------
    times_s : np.ndarray, shape (n,), float64
        Seconds from the first frame, ascending, between frames; empty where unknown.
    strengths : np.ndarray, shape (n,), float32
        0-1: depth of the minimum, its prominence over the lower neighbouring maximum.
    confidences : np.ndarray, shape (n,), float32
        0-1: strength times the share of frames within a beat's reach (0.25 s either way) in which a body was seen.
    seen_share : float
        Share of frames with a body.
    method : str
    reason : str
        Why they are unknown; empty where known.
    """

    times_s: FloatArray
    strengths: npt.NDArray[np.float32]
    confidences: npt.NDArray[np.float32]
    seen_share: float
    method: str
    reason: str = ""

    def __len__(self) -> int:
        """Number of beats."""
        return len(self.times_s)

    @property
    def known(self) -> bool:
        """Whether there is an answer."""
        return not self.reason


def find_kinematic_beats(
    body_world: npt.NDArray[Any],
    present: npt.NDArray[np.bool_],
    fps: float = clock.FPS,
    body_image: npt.NDArray[Any] | None = None,
    settings: Settings | None = None,
) -> KinematicBeats:
    """Local minima of the smoothed mean joint speed.

    The speed of frame t is ``mean_j |x_j(t + 1) - x_j(t - 1)| * fps / 2`` over `LIMBS`, where x are positions in
    metres after a Gaussian; the speed is smoothed by a second Gaussian, and a parabola through a minimum and its
    neighbours gives the time between frames. A minimum at the edge of what was seen is none.

    Parameters
    ----------
    body_world : np.ndarray, shape (n_frames, 33, 3)
        MediaPipe's body in metres, hip-centred. Frames without a body are ignored, whatever they hold.
    present : np.ndarray, shape (n_frames,), bool
        Whether each frame has a body.
    fps : float, optional
        Frames per second. Default is the one clock's.
    body_image : np.ndarray, shape (n_frames, 33, 3), optional
        The body in the picture, 0-1 across its width and height. With it the hips' travel through the picture is
        added, in metres at the dancer's usual distance; world coordinates alone do not hold it. A moving camera's
        travel is in it too.
    settings : Settings, optional

    Returns
    -------
    KinematicBeats
        "Unknown" with less than half of the frames seen, no stretch of a second, or a dancer who stands.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    chosen = settings or Settings()
    n = len(present)
    if body_world.shape != (n, N_BODY, 3):
        raise ValueError(f"body_world of shape {body_world.shape} for {n} frames")
    share = float(present.mean()) if n else 0.0
    if share < LEAST_SEEN:
        return _unknown(f"a body in {share:.0%} of the frames, {LEAST_SEEN:.0%} are needed", share)
    points = np.asarray(body_world[:, LIMBS], dtype=np.float64)
    if body_image is not None:
        points = points + hip_travel(body_world, body_image, present)[:, None]
    stretches = [
        stretch for stretch in stretches_seen(present, round(LONGEST_GAP_S * fps)) if len(stretch) >= fps
    ]
    if not stretches:
        return _unknown("no second in which the body is seen throughout", share)
    speeds = [joint_speed(bridged(points[s], present[s]), fps, chosen) for s in stretches]
    usual = float(np.median(np.concatenate(speeds)))
    if usual < _LEAST_SPEED_M_S:
        return _unknown(f"the dancer stands: median joint speed {usual:.3f} m/s", share)
    times, strengths = [], []
    sharp = replace(chosen, position_sigma_s=_FLANK_POSITION_SIGMA_S, speed_sigma_s=_FLANK_SPEED_SIGMA_S)
    for stretch, speed in zip(stretches, speeds, strict=True):
        frames, strength = _minima(speed, usual, fps, chosen.least_prominence)
        flanks = joint_speed(bridged(points[stretch], present[stretch]), fps, sharp)
        times.append((stretch[0] + _between_flanks(flanks, frames, fps)) / fps)
        strengths.append(strength)
    times_s, strength = np.concatenate(times), np.concatenate(strengths)
    total = np.concatenate([[0], np.cumsum(present)])
    low = np.clip(np.round((times_s - LONGEST_GAP_S) * fps).astype(np.int64), 0, n)
    high = np.clip(np.round((times_s + LONGEST_GAP_S) * fps).astype(np.int64) + 1, 0, n)
    seen = (total[high] - total[low]) / np.maximum(high - low, 1)
    return KinematicBeats(
        times_s, strength.astype(np.float32), (strength * seen).astype(np.float32), share, METHOD
    )


def stretches_seen(present: npt.NDArray[np.bool_], longest_gap: int) -> list[npt.NDArray[np.int64]]:
    """Runs of frames, from seen to seen, with no gap longer than ``longest_gap`` frames."""
    seen = np.flatnonzero(present)
    cuts = np.flatnonzero(np.diff(seen) > longest_gap + 1) + 1
    return [np.arange(part[0], part[-1] + 1) for part in np.split(seen, cuts) if len(part)]


def bridged(points: FloatArray, present: npt.NDArray[np.bool_]) -> FloatArray:
    """Points with gaps bridged by straight lines: shape as given."""
    seen = np.flatnonzero(present)
    flat = points.reshape(len(points), -1)
    frames = np.arange(len(points))
    columns = [np.interp(frames, seen, flat[seen, i]) for i in range(flat.shape[1])]
    return np.stack(columns, axis=1).reshape(points.shape)


def joint_speed(points: FloatArray, fps: float, settings: Settings) -> FloatArray:
    """Smoothed mean speed of the joints in m/s: shape (n,)."""
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(points, settings.position_sigma_s * fps, axis=0, mode="nearest")
    speed = np.linalg.norm(np.gradient(smooth, 1 / fps, axis=0), axis=-1).mean(axis=1)
    return np.asarray(gaussian_filter1d(speed, settings.speed_sigma_s * fps, mode="nearest"))


def _minima(
    speed: FloatArray, usual: float, fps: float, least_prominence: float
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Frames and strengths of minima that are deep enough."""
    from scipy.signal import find_peaks, peak_prominences

    frames, _ = find_peaks(
        -speed, prominence=least_prominence * usual, distance=max(round(_LEAST_GAP_S * fps), 1)
    )
    # The first and last frames of a stretch bound its maxima; find_peaks never gives them as minima themselves.
    prominence = peak_prominences(-speed, frames)[0]
    return frames, np.clip(prominence / (prominence + speed[frames]), 0.0, 1.0)


def _between_flanks(speed: FloatArray, frames: npt.NDArray[np.int64], fps: float) -> FloatArray:
    """When the dancer rests, in frames, for each minimum of the smoothed speed.

    The move before the first minimum and the one after the last are taken as twice as long as from rest to peak.
    """
    if not len(frames):
        return np.empty(0)
    reach = round(_NEAR_S * fps)
    near = np.clip(frames[:, None] + np.arange(-reach, reach + 1), 0, len(speed) - 1)
    rests = near[np.arange(len(near)), speed[near].argmin(axis=1)]
    ends = [0, *rests.tolist(), len(speed) - 1]
    peaks = np.array([a + int(speed[a : b + 1].argmax()) for a, b in pairwise(ends)])
    falls = np.array([m - _climb(speed[a : m + 1][::-1]) for a, m in zip(peaks[:-1], rests, strict=True)])
    rises = np.array([m + _climb(speed[m : b + 1]) for m, b in zip(rests, peaks[1:], strict=True)])
    most = _MOST_MOVED_S * fps
    times: FloatArray = rests.astype(np.float64)
    for _ in range(_ROUNDS):
        first, last = 2 * max(times[0] - peaks[0], 1.0), 2 * max(peaks[-1] - times[-1], 1.0)
        lasts = np.maximum(np.concatenate([[first], np.diff(times), [last]]), 1.0)
        share = (lasts[:-1] / (lasts[:-1] + lasts[1:]))[:, None]
        times = np.clip(((1 - share) * falls + share * rises).mean(axis=1), frames - most, frames + most)
    return times


def _climb(flank: FloatArray) -> FloatArray:
    """How many frames from rest a flank, from rest to peak, first reaches `_FLANK_LEVELS` of its height."""
    climbed = np.maximum.accumulate(flank)
    heights = climbed[0] + _FLANK_LEVELS * (climbed[-1] - climbed[0])
    return np.asarray(np.interp(heights, climbed, np.arange(len(flank))), dtype=np.float64)


def hip_travel(
    body_world: npt.NDArray[Any], body_image: npt.NDArray[Any], present: npt.NDArray[np.bool_]
) -> FloatArray:
    """Where the hips' middle is in the picture, in metres at the dancer's usual distance: shape (n, 3), z 0.

    How many metres the picture is wide and high there is fitted (least squares, each axis by itself) to where the
    limbs are from the hips, in the picture and in metres, over all frames.
    """
    hips = np.asarray(body_image[:, HIPS, :2], dtype=np.float64).mean(axis=1)
    seen = np.asarray(body_image[present][:, LIMBS, :2], dtype=np.float64) - hips[present][:, None]
    world = np.asarray(body_world[present][:, LIMBS, :2], dtype=np.float64)
    metres = (seen * world).sum(axis=(0, 1)) / np.maximum((seen**2).sum(axis=(0, 1)), 1e-12)
    return np.pad(hips * metres, ((0, 0), (0, 1)))


def _unknown(reason: str, share: float) -> KinematicBeats:
    nothing = np.empty(0, np.float32)
    return KinematicBeats(np.empty(0), nothing, nothing, share, METHOD, reason)
