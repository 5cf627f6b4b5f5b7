"""How quiet the picture is around the people in it.

All is measured at about 65,000 pixels (256 x 256, in the picture's own shape) outside the people's dilated
masks. A plain studio wall has few edges, few colours and no motion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

_PIXELS: Final = 256 * 256
_MARGIN: Final = (
    0.03  # a mask's edge is off by a few pixels, and shadows lie beside people; share of the root area
)
_LEAST: Final = 0.1  # with less background than this share of the picture nothing is said
_SIGMA_PX: Final = 1.0
_CANNY: Final = (40, 80)  # 3 x 3 Sobel of grey levels; after the blur, film grain stays below
_DIRECTIONS: Final = 12
_LEAST_EDGE_PX: Final = 20  # directions of fewer pixels are chance
_COLOURS: Final = 3  # a wall, a floor and black bars, say
_EVERY: Final = 17  # pixels; every 17th of the background says its colours well enough
_ROUNDS: Final = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 10, 1.0)
# What clutter is held against: values between plain backgrounds and busy ones, measured on the real files.
_BUSY_EDGES: Final = 0.03
_BUSY_COLOURS: Final = 9.0


@dataclass(frozen=True)
class Background:
    """A picture made small, and where nobody is in it; comparable with another of the same video."""

    picture: Image
    free: Mask

    @property
    def visible(self) -> bool:
        """Whether there is enough of it to say something."""
        return float(self.free.mean()) >= _LEAST


def background(image: Image, people: Mask) -> Background:
    """The background of a picture.

    Parameters
    ----------
    image : np.ndarray, shape=(height, width, 3), uint8
        BGR.
    people : np.ndarray, shape=(height, width), bool
        Where people are.
    """
    height, width = image.shape[:2]
    scale = min(1.0, math.sqrt(_PIXELS / (height * width)))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    taken = cv2.resize(people.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    reach = 2 * max(1, round(_MARGIN * math.sqrt(size[0] * size[1]))) + 1
    taken = cv2.dilate(taken, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return Background(picture, taken == 0)


def edge_density(seen: Background) -> float | None:
    """How much of the background are edges in all directions, 0-1; None if too little is visible. 1 ms.

    The share of pixels on an edge (Canny), times how evenly the edges' directions are spread (entropy over its
    maximum). The joints of a panelled wall, a skirting board and black bars go one or two ways, so they count
    little; furniture, trees, crowds and letters go all ways.
    """
    if not seen.visible:
        return None
    grey = cv2.GaussianBlur(cv2.cvtColor(seen.picture, cv2.COLOR_BGR2GRAY), (0, 0), _SIGMA_PX)
    edges = (cv2.Canny(grey, *_CANNY) > 0) & seen.free
    n_edges = np.count_nonzero(edges)
    if n_edges < _LEAST_EDGE_PX:
        return 0.0
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *order)[edges] for order in ((1, 0), (0, 1)))
    # Half a turn is the same direction; bins lie around the horizontal and the vertical, not beside them.
    turned = np.arctan2(down, across) / np.pi * _DIRECTIONS
    counts = np.bincount(np.rint(turned).astype(np.int64) % _DIRECTIONS, minlength=_DIRECTIONS)
    shares = counts[counts > 0] / n_edges
    evenness = (shares * np.log(1 / shares)).sum() / math.log(_DIRECTIONS)
    return float(n_edges / np.count_nonzero(seen.free) * evenness)


def colour_variety(seen: Background) -> float | None:
    """How far the background's colours are from any three, in CIE L*a*b*; 0 and more. 2 ms.

    The root mean square of the distances to the nearest of three colours fitted to them (k-means). A wall and
    a floor are two; their plain spread would be large. None if too little is visible.
    """
    if not seen.visible:
        return None
    lab = cv2.cvtColor(seen.picture.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)
    colours = lab[seen.free][::_EVERY]
    if len(colours) <= _COLOURS:
        return None
    cv2.setRNGSeed(0)  # the first guesses are random
    squares, _, _ = cv2.kmeans(colours, _COLOURS, np.empty(0, np.int32), _ROUNDS, 1, cv2.KMEANS_PP_CENTERS)
    return math.sqrt(squares / len(colours))


def clutter(edges: float, colours: float) -> float:
    """One number for how busy a background is: 0 if it has no edges or no more than three colours.

    The geometric mean of ``edge_density`` over 0.03 and ``colour_variety`` over 9. Both have to be high: a
    strong gradient has colours without edges, a line drawing edges without colours. Of the real files, plain
    backgrounds have up to 0.9 and busy ones from 1.1.
    """
    return math.sqrt(edges / _BUSY_EDGES * colours / _BUSY_COLOURS)


def background_motion(before: Background, now: Background) -> float | None:
    """How much the background changed between two samples: mean absolute difference in grey levels, 0-255.

    A change of all the picture's brightness does not count. None if the part that is background in both is
    too small, or the sizes differ.
    """
    if before.picture.shape != now.picture.shape:
        return None
    free = before.free & now.free
    if free.mean() < _LEAST:
        return None
    greys = [
        cv2.GaussianBlur(cv2.cvtColor(seen.picture, cv2.COLOR_BGR2GRAY), (0, 0), 2 * _SIGMA_PX)
        for seen in (before, now)
    ]
    change = (greys[1].astype(np.float32) - greys[0])[free]
    return float(np.abs(change - np.median(change)).mean())
