"""Which part of the dancer a picture shows.

Tracked points cannot say: MediaPipe draws legs under a half body and is sure of them. Two things can, and both
have to agree. The detector's circle around a body, hips in the middle, is drawn as large as the whole body
would be, also where the picture ends; and the mask of the person shows what is really there. The mask is the
selfie segmentation model in MediaPipe's wheel, which was made for upper bodies before a phone but follows whole
bodies well when it is shown nothing but the body's surroundings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

from d2midi_build.motion.chatter import without_chatter
from d2midi_build.motion.people import circles

Image = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

WHOLE_COMPLETENESS: Final = 0.77
"""A body is whole in view from this completeness on (and a narrow cut): whole dancers 0.8-1.0 with few
exceptions, people from the waist up at most 0.76, faces 0.2 (real files)."""

WHOLE_CUT: Final = 0.37
"""A body is whole in view if the picture's lower edge cuts no more than this: feet on the edge up to 0.34, cut
at the shins 0.4, at the waist 0.45 and more, a face 1."""

_UNTOUCHED_COMPLETENESS: Final = 0.65
"""Where the edge does not touch the mask: with raised arms the circle is larger, the mask fills 0.7 of it and more."""

_TOUCHED: Final = 0.15
_TOUCHED_COMPLETENESS: Final = 0.95
"""Where the edge cuts more than feet's breadth, the circle has to lie in the picture: dancers whose feet stand on the
edge 0.97-1.0 (animate-x ``dance_3``), drawn ones whose feet lie below it 0.63-0.92."""

_MODEL_PX: Final = 256
_AROUND: Final = 1.15  # a body may reach a little over its circle
_SURE: Final = 0.5
_LEAST_PX: Final = 8  # a cut-out smaller than this shows nothing
_EDGE: Final = (
    0.02  # a mask that comes this close to the picture's edge, as a share of its height, touches it
)
_NOISE: Final = 0.01  # rows with fewer pixels of mask, as a share of the width, are not the body
_TRUNK: Final = (0.3, 0.9)  # half axes in radii of the body's circle
_REACH: Final = (0.7, 1.05)
_EMPTY: Final = 0.02  # a mask that fills less of the visible square around the circle shows nobody


class PersonMask:
    """Finds the pixels of a person; a worker keeps one. Pictures do not influence each other."""

    def __init__(self) -> None:
        with without_chatter() as quiet, quiet():
            self._graph = SelfieSegmentation(model_selection=0)
            self._graph.process(np.zeros((8, 8, 3), dtype=np.uint8))  # opens the model

    def close(self) -> None:
        """Release the model."""
        self._graph.close()

    def mask(self, image: Image, person: FloatArray) -> Mask:
        """Where the person is in the picture.

        Others who stand in the same surroundings are in the mask as well. 5 ms of CPU.

        Parameters
        ----------
        image : np.ndarray, shape=(height, width, 3), uint8
            BGR.
        person : np.ndarray, shape=(13,)
            A row of ``people.PersonDetector.people``.

        Returns
        -------
        np.ndarray, shape=(height, width), bool
        """
        height, width = image.shape[:2]
        found = np.zeros((height, width), dtype=np.bool_)
        ((x, y, radius),) = circles(person[None])
        left, top = (int(max(0, at - _AROUND * radius)) for at in (x, y))
        # Head and shoulders are surely part of it, wherever the circle lies.
        left, top = min(left, int(max(0, person[1]))), min(top, int(max(0, person[2])))
        right, bottom = int(min(width, x + _AROUND * radius)), int(min(height, y + _AROUND * radius))
        if right - left < _LEAST_PX or bottom - top < _LEAST_PX:
            return found
        cut = cv2.resize(image[top:bottom, left:right], (_MODEL_PX, _MODEL_PX), interpolation=cv2.INTER_AREA)
        mask = self._graph.process(np.ascontiguousarray(cut[:, :, ::-1])).segmentation_mask
        found[top:bottom, left:right] = (
            cv2.resize(mask, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR) > _SURE
        )
        return found


def region(person: FloatArray, mask: Mask) -> Mask:
    """The part of a mask that belongs to the person: what hangs together with the trunk, within arm's reach.

    Parameters
    ----------
    person : np.ndarray, shape=(13,)
        A row of ``people.PersonDetector.people``.
    mask : np.ndarray, shape=(height, width), bool

    Returns
    -------
    np.ndarray, shape=(height, width), bool
    """
    _, labels = cv2.connectedComponents(mask.astype(np.uint8))
    trunk = outlines(person[None], mask.shape, *_TRUNK) & mask
    return np.isin(labels, np.unique(labels[trunk])) & outlines(person[None], mask.shape, *_REACH)


def outlines(people: FloatArray, shape: tuple[int, ...], across: float = 0.5, down: float = 1.05) -> Mask:
    """Upright ellipses about the hips of people.

    Parameters
    ----------
    people : np.ndarray, shape=(n, 13)
    shape : tuple of int
        Height and width of the picture.
    across, down : float
        Half axes in radii of the body's circle. By default they hold a standing body without its arms.

    Returns
    -------
    np.ndarray, shape=(height, width), bool
    """
    drawn = np.zeros(shape[:2], dtype=np.uint8)
    for x, y, radius in circles(people):
        axes = (max(1, round(across * radius)), max(1, round(down * radius)))
        cv2.ellipse(drawn, (round(x), round(y)), axes, 0, 0, 360, (1,), -1)
    return np.asarray(drawn > 0)


@dataclass(frozen=True)
class BodyView:
    """What a picture shows of a body.

    Attributes
    ----------
    height : float
        How large the whole body is as a share of the picture's height, also of what lies outside: the diameter
        of its circle, raised arms included. 0.2 and more; a face that fills the picture has 4 or 5.
    completeness : float
        How much of the body's height is in view, 0-1: the smaller of the share of the circle's height within
        the picture and the mask's extent over the circle's. 0 if there is no mask: what the detector saw is
        no person.
    cut : float
        How broadly the picture's lower edge cuts the mask: pixels at the edge over the root of the mask's
        area. 0 if it does not; 0.1-0.35 for feet, 0.45-0.9 for a waist or chest, 1 for a face.
    """

    height: float
    completeness: float
    cut: float

    @property
    def whole(self) -> bool:
        """Whether the whole body is in view; feet that just leave the picture do no harm."""
        if self.cut == 0:
            return self.completeness >= _UNTOUCHED_COMPLETENESS
        least = WHOLE_COMPLETENESS if self.cut <= _TOUCHED else _TOUCHED_COMPLETENESS
        return self.completeness >= least and self.cut <= WHOLE_CUT


def body_view(person: FloatArray, mask: Mask) -> BodyView:
    """What a picture shows of a person.

    Parameters
    ----------
    person : np.ndarray, shape=(13,)
        A row of ``people.PersonDetector.people``.
    mask : np.ndarray, shape=(height, width), bool
        What ``PersonMask.mask`` gave for it.
    """
    height, width = mask.shape
    ((x, y, radius),) = circles(person[None])
    visible = [
        max(0.0, min(at + radius, end) - max(at - radius, 0.0)) for at, end in ((x, width), (y, height))
    ]
    area = int(np.count_nonzero(mask))
    tall = 2 * radius / height
    if area <= _EMPTY * visible[0] * visible[1]:
        return BodyView(tall, 0.0, 0.0)
    rows = np.flatnonzero(mask.sum(axis=1) >= max(2, _NOISE * width))
    columns = np.flatnonzero(mask.sum(axis=0) >= max(2, _NOISE * height))
    band = max(2, round(_EDGE * height))
    cut = float(np.count_nonzero(mask[-band:].any(axis=0)) / np.sqrt(area))
    extent = rows[-1] + 1 - rows[0] if len(rows) else 0
    if len(columns) and not mask[-band:].any() and not mask[:band].any():
        # Who lies or does the splits is wide; but width says nothing of somebody cut by the picture.
        extent = max(extent, columns[-1] + 1 - columns[0])
    return BodyView(tall, float(min(1.0, visible[1] / (2 * radius), extent / (2 * radius))), cut)
