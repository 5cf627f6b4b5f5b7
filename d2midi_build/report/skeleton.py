"""A dancer's keypoints drawn over a picture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from d2midi_build.motion.keypoints import FloatArray, Keypoints
from d2midi_build.motion.skeleton import BODY_EDGES, BODY_NAMES, HAND_EDGES

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

LEFT: Final[Colour] = (255, 190, 40)
"""Blue-green-red of the dancer's left side."""

RIGHT: Final[Colour] = (40, 140, 255)
"""Blue-green-red of the dancer's right side."""

MIDDLE: Final[Colour] = (235, 235, 235)
"""Blue-green-red of edges between the sides."""

FACE: Final[Colour] = (130, 235, 160)
"""Blue-green-red of face points."""

_OUTLINE: Final[Colour] = (40, 40, 40)  # white edges must show on white clothes
_FACE_EVERY: Final = 4
_IRISES: Final = (468, 473)
_HIDDEN_BELOW: Final = 0.5  # MediaPipe's own drawing leaves such points out; here their edges are thin
_SHIFT: Final = 4  # coordinates go to OpenCV in sixteenths of a pixel
_FAR: Final = 3.0  # pictures away from the centre: beyond it only the direction of a line matters
_JOINTS: Final = (*range(11, 17), *range(23, 29))
"""Shoulders to wrists and hips to ankles: the body points that get a dot."""


def draw_skeleton(image: Image, keypoints: Keypoints, frame: int) -> None:
    """Draw the parts found in a frame; a part that was not found is not drawn.

    The dancer's left is blue, right is orange. Body edges to a point that MediaPipe believes hidden
    (visibility below 0.5) are thin. Of the face every fourth point and the irises are drawn.

    Parameters
    ----------
    image : np.ndarray, shape=(height, width, 3), uint8
        Blue, green, red; drawn on in place. May be a part of a larger picture; nothing is drawn outside it.
    keypoints : Keypoints
    frame : int
        Row of the keypoints.
    """
    thick = max(1, round(min(image.shape[:2]) / 220))
    if keypoints.present_face[frame]:
        face = keypoints.face[frame]
        _dots(image, _pixels(image, face[[*range(0, 468, _FACE_EVERY), *_IRISES]]), FACE, 1)
    if keypoints.present_body[frame]:
        points = _pixels(image, keypoints.body_image[frame])
        seen = keypoints.body_visibility[frame] >= _HIDDEN_BELOW
        widths = [thick if seen[a] and seen[b] else 1 for a, b in BODY_EDGES]
        for (a, b), width in zip(BODY_EDGES, widths, strict=True):
            _line(image, points[a], points[b], _OUTLINE, width + 2)
        for (a, b), width in zip(BODY_EDGES, widths, strict=True):
            _line(image, points[a], points[b], _side(a, b), width)
        _dots(image, points[[i for i in _JOINTS if seen[i]]], MIDDLE, thick + 1)
    for name, colour in (("left_hand", LEFT), ("right_hand", RIGHT)):
        if keypoints.present(name)[frame]:
            points = _pixels(image, keypoints.points(name)[frame])
            for a, b in HAND_EDGES:
                _line(image, points[a], points[b], colour, max(1, thick - 1))


def _side(a: int, b: int) -> Colour:
    sides = {BODY_NAMES[i].split("_")[0] for i in (a, b)}
    if sides == {"left"}:
        return LEFT
    return RIGHT if sides == {"right"} else MIDDLE


def _pixels(image: Image, points: FloatArray) -> npt.NDArray[np.int32]:
    """Shares of the picture as OpenCV's fixed-point pixels, shape (n, 2)."""
    height, width = image.shape[:2]
    shares = np.clip(points[:, :2], 0.5 - _FAR, 0.5 + _FAR)
    # A share counts from the picture's edge, a pixel's number from the middle of the first pixel.
    pixels: npt.NDArray[np.int32] = np.rint((shares * (width, height) - 0.5) * 2**_SHIFT).astype(np.int32)
    return pixels


def _line(
    image: Image, a: npt.NDArray[np.int32], b: npt.NDArray[np.int32], colour: Colour, thick: int
) -> None:
    cv2.line(image, (int(a[0]), int(a[1])), (int(b[0]), int(b[1])), colour, thick, cv2.LINE_AA, _SHIFT)


def _dots(image: Image, points: Iterable[npt.NDArray[np.int32]], colour: Colour, radius: int) -> None:
    for x, y in points:
        cv2.circle(image, (int(x), int(y)), radius * 2**_SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)
