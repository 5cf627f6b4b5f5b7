"""Whether the camera moves: corners of the background, followed from one picture to the next."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from d2midi_build.motion.background import Background

Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]

_CORNERS: Final = 120
_QUALITY: Final = 0.02
_APART_PX: Final = 6
_LEAST: Final = 12  # corners that must agree; fewer are a poster on a plain wall, or the dancer's shadow
_AGREE: Final = 0.5  # share of the corners followed that must
_PIXEL: Final = 0.75  # how far a corner may be from where the movement puts it
_THERE_AND_BACK_PX: Final = 0.5
_WINDOW: Final = (15, 15)
_LEVELS: Final = 3


def camera_motion(before: Background, now: Background, elapsed_s: float) -> float | None:
    """Speed of the picture as a whole, in picture heights per second.

    Corners of the background are followed (Lucas-Kanade, there and back), and the similarity (shift, zoom,
    roll) that most of them agree on is fitted (RANSAC). The speed is the root mean square, over the picture, of
    what it does to a point. 3 ms of CPU.

    Parameters
    ----------
    before, now : Background
        Of two pictures.
    elapsed_s : float
        Time between them; at best about 0.1 s. The error is some 0.1 pixels of ``Background.picture``
        over it.

    Returns
    -------
    float or None
        0 for a camera that stands still. None if nothing can be said: a wall without corners, or corners
        that do not move together, as across a cut.
    """
    if elapsed_s <= 0 or before.picture.shape != now.picture.shape:
        return None
    first, second = (
        np.asarray(cv2.cvtColor(seen.picture, cv2.COLOR_BGR2GRAY), np.uint8) for seen in (now, before)
    )
    corners = cv2.goodFeaturesToTrack(first, _CORNERS, _QUALITY, _APART_PX, mask=now.free.astype(np.uint8))
    if corners is None or len(corners) < _LEAST:
        return None
    points = np.asarray(corners, np.float32)
    there, found = _follow(first, second, points)
    back, found_back = _follow(second, first, there)
    kept = found & found_back & (np.abs(back - points).max(axis=(1, 2)) < _THERE_AND_BACK_PX)
    if np.count_nonzero(kept) < _LEAST:
        return None
    cv2.setRNGSeed(0)
    fitted, agree = cv2.estimateAffinePartial2D(
        points[kept], there[kept], method=cv2.RANSAC, ransacReprojThreshold=_PIXEL
    )
    if fitted is None or agree.sum() < max(_LEAST, _AGREE * np.count_nonzero(kept)):
        return None
    height, width = first.shape
    return _moved(np.asarray(fitted, np.float64), width, height) / height / elapsed_s


def _follow(first: Image, second: Image, corners: Points) -> tuple[Points, npt.NDArray[np.bool_]]:
    """Where corners of one picture are in another, and whether they were found."""
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        first, second, corners, np.empty_like(corners), winSize=_WINDOW, maxLevel=_LEVELS
    )
    return np.asarray(there, np.float32), found.ravel() == 1


def _moved(similarity: npt.NDArray[np.float64], width: int, height: int) -> float:
    """Root mean square of the distance by which the points of a picture move, in pixels."""
    x, y = np.meshgrid(np.linspace(0, width, 5), np.linspace(0, height, 5))
    points = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    return float(np.sqrt(np.square(similarity @ points - points[:2]).sum(axis=0).mean()))
