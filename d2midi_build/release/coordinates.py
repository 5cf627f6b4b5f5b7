"""Coordinate systems of keypoints, as readers of a release can have them.

``image``
    What is stored. x to the right in shares of the picture's width, y down in shares of its height, z (smaller is
    nearer) in shares of the width; z of the body from the hips, z of a hand from its wrist.

``normalised``
    One isotropic system for all parts, in lengths of the clip's torso, around where the dancer mostly is:

        x' = (x - centre_x) * width / height / torso
        y' = (y - centre_y) / torso
        z' = z * width / height / torso

    with ``centre_x``, ``centre_y`` and ``torso`` of the table of clips: medians over the clip, so travelling over the
    floor and coming nearer stay visible. y points down. There is none (NaN) where a clip's torso is null.

``world``
    Metres from the middle of the hips, x to the right, y down, z away from the camera. The body is MediaPipe's own
    estimate. It has none of hands and face, so they are attached by weak perspective, in each frame by itself. With
    p the body's points in the picture in pixels and w the same points in the world, both less their mean over all 33,

        s = sum(p_x w_x + p_y w_y) / sum(p_x^2 + p_y^2)                  metres per pixel

        hand' = s * (width, height, width) * (hand - its wrist) + body's wrist
        face' = s * (width, height, width) * (face - its nose tip) + body's nose

    This is approximate: it takes the hand and the face to be as far from the camera as the body is on the whole,
    and MediaPipe's depth of them to be to scale. A hand or face without a body in the same frame is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.motion.skeleton import BODY_NAMES, HAND_NAMES

FloatArray = npt.NDArray[np.float32]

SYSTEMS: Final = ("image", "normalised", "world")

ANCHORS: Final = {
    "left_hand": (HAND_NAMES.index("wrist"), BODY_NAMES.index("left_wrist")),
    "right_hand": (HAND_NAMES.index("wrist"), BODY_NAMES.index("right_wrist")),
    "face": (1, BODY_NAMES.index("nose")),  # point 1 of the face mesh is the tip of the nose
}
"""(own point, body point) at which a part is attached to the body."""


@dataclass(frozen=True)
class Picture:
    """How a clip's dancer stands in its picture; columns of the table of clips.

    Attributes
    ----------
    width, height : int
        Pixels.
    centre_x, centre_y, torso : float
        NaN if there is no body.
    """

    width: int
    height: int
    centre_x: float = np.nan
    centre_y: float = np.nan
    torso: float = np.nan


def normalising(picture: Picture) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What to multiply image coordinates with, and then to add; each of shape (3,), for x, y and z."""
    across = picture.width / picture.height / picture.torso
    factor = np.array([across, 1 / picture.torso, across])
    return factor, np.array([-picture.centre_x * across, -picture.centre_y / picture.torso, 0.0])


def normalise(points: FloatArray, picture: Picture) -> FloatArray:
    """Points of shape (..., 3) from ``image`` to ``normalised``."""
    factor, added = normalising(picture)
    return (points * factor + added).astype(np.float32)


def metres_per_pixel(body_world: FloatArray, body_image: FloatArray, picture: Picture) -> FloatArray:
    """Scale of the body in each frame, by least squares.

    Parameters
    ----------
    body_world, body_image : np.ndarray, shape=(T, 33, 3), float32
        The same body in metres and in the picture.

    Returns
    -------
    np.ndarray, shape=(T,), float32
        NaN where there is no body, or one of less than a pixel.
    """
    # Sums of products instead of products of differences: half as many passes over the points.
    n = body_image.shape[1]
    over = np.zeros(len(body_image), dtype=np.float64)
    under = np.zeros(len(body_image), dtype=np.float64)
    for axis, pixels in ((0, picture.width), (1, picture.height)):
        image = body_image[:, :, axis].astype(np.float64) * pixels
        world = body_world[:, :, axis].astype(np.float64)
        total = image.sum(axis=1)
        over += np.einsum("tj,tj->t", image, world) - total * world.sum(axis=1) / n
        under += np.einsum("tj,tj->t", image, image) - total * total / n
    under[under < 1] = np.nan
    return np.asarray(over / under, dtype=np.float32)


def to_pixels(picture: Picture) -> npt.NDArray[np.float64]:
    """What to multiply image coordinates with to have pixels; shape (3,), for x, y and z."""
    return np.array([picture.width, picture.height, picture.width], dtype=np.float64)


def attach(points: FloatArray, part: str, body_world: FloatArray, scale: FloatArray) -> None:
    """Turn a hand or the face from pixels into world coordinates, in place.

    Parameters
    ----------
    points : np.ndarray, shape=(T, points, 3), float32
        Image coordinates times `to_pixels`.
    part : str
        A key of `ANCHORS`.
    body_world : np.ndarray, shape=(T, 33, 3), float32
    scale : np.ndarray, shape=(T,), float32
        From `metres_per_pixel`.
    """
    own, on_body = ANCHORS[part]
    flat = points.reshape(len(points), -1)
    flat *= scale[:, np.newaxis]
    shift = body_world[:, on_body] - points[:, own]
    for axis in range(3):  # one at a time: a last dimension of 3 would be all overhead
        points[:, :, axis] += shift[:, axis, np.newaxis]


def smoothing_kernel(deviation_frames: float) -> FloatArray:
    """Weights of a Gaussian at 0, 1, 2... frames from its middle, up to four standard deviations."""
    distance = np.arange(int(np.ceil(4 * deviation_frames)) + 1)
    return np.asarray(np.exp(-0.5 * (distance / deviation_frames) ** 2), dtype=np.float32)


def smooth(
    points: FloatArray, missing: npt.NDArray[np.bool_], sizes: tuple[int, ...], kernel: FloatArray
) -> FloatArray:
    """Points smoothed over time without lag; frames where a part is missing count for nothing and stay missing.

    Parameters
    ----------
    points : np.ndarray, shape=(T, C), float32
        All numbers of each frame, part after part.
    missing : np.ndarray, shape=(T, P), bool
        Whether a part is missing.
    sizes : tuple of int
        Numbers per frame of each part; their sum is C.
    kernel : np.ndarray, shape=(R + 1,), float32
        From `smoothing_kernel`. Frames before the first and after the last count for nothing.

    Returns
    -------
    np.ndarray, shape=(T, C), float32
        In each frame the same, to the bit, whatever lies more than R frames from it.
    """
    frames, reach = len(points), len(kernel) - 1
    padded = np.zeros((frames + 2 * reach, points.shape[1]), dtype=np.float32)
    middle = padded[reach : reach + frames]
    middle[...] = points
    columns = np.cumsum((0, *sizes))
    for part in range(len(sizes)):
        middle[missing[:, part], columns[part] : columns[part + 1]] = 0
    weights = np.zeros((frames + 2 * reach, len(sizes)), dtype=np.float32)
    weights[reach : reach + frames] = ~missing
    smoothed, weight = _correlated(padded, kernel), _correlated(weights, kernel)
    for part in range(len(sizes)):
        columns_of = slice(columns[part], columns[part + 1])
        there = ~missing[:, part]
        if there.all():
            smoothed[:, columns_of] /= weight[:, part, np.newaxis]
        else:
            smoothed[there, columns_of] /= weight[there, part, np.newaxis]
            smoothed[~there, columns_of] = np.nan
    return smoothed


_BLOCK: Final = 32
"""Frames smoothed at a time: what they need stays in the processor's cache."""


def _correlated(padded: FloatArray, kernel: FloatArray) -> FloatArray:
    """Sums of rows around each row, weighted by their distance. The order of adding never depends on the row."""
    reach = len(kernel) - 1
    frames = len(padded) - 2 * reach
    out = np.empty((frames, padded.shape[1]), dtype=np.float32)
    pair = np.empty((min(_BLOCK, frames), padded.shape[1]), dtype=np.float32)
    for first in range(reach, reach + frames, _BLOCK):
        end = min(first + _BLOCK, reach + frames)
        total, two = out[first - reach : end - reach], pair[: end - first]
        np.multiply(padded[first:end], kernel[0], out=total)
        for distance in range(1, reach + 1):
            np.add(
                padded[first - distance : end - distance], padded[first + distance : end + distance], out=two
            )
            two *= kernel[distance]
            total += two
    return out
