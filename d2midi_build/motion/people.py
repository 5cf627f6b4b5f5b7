"""How many people a picture shows, and whether anything in it moves.

The detector is the one that MediaPipe's own tracker starts from. On a whole wide picture it misses the
second dancer, since it sees 224 x 224 pixels; so it also looks at overlapping squares as high as the
picture, and what two looks saw of one person counts once. docs/decisions/0005-people-detector.md has the
numbers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import cv2
import mediapipe
import numpy as np
import numpy.typing as npt

# Registers the calculator options of the graph below, which protobuf would otherwise drop.
import mediapipe.python.solutions.holistic  # noqa: F401  # isort: skip
from google.protobuf import text_format  # type: ignore[import-untyped]
from mediapipe.framework import calculator_pb2
from mediapipe.python.solution_base import SolutionBase

from d2midi_build.errors import PermanentError
from d2midi_build.motion.chatter import without_chatter

Image = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float64]

SAMPLE_HEIGHT_PX: Final = 360
"""Height of the pictures the figures were measured on; scale to it with area averaging."""

MIN_SCORE: Final = 0.5
"""Detections below do not count; the threshold inside MediaPipe's subgraph."""

MIN_HEIGHT: Final = 0.2
"""Somebody whose body circle is lower than this share of the picture's height does not count."""

_GRAPH: Final = """
input_stream: "image"
output_stream: "detections"
node {
  calculator: "PoseDetectionCpu"
  input_stream: "IMAGE:image"
  output_stream: "DETECTIONS:detections"
}
"""

# Squares overlap by half, so that somebody at the edge of one is in the middle of another.
_OVERLAP = 0.5
# A picture no wider than this many heights is one square already.
_SQUARE = 1.15
# Squares lower than this show nobody; it also keeps a sliver of a picture from having hundreds of them.
_MIN_SQUARE_PX = 64
# A head and shoulders within this share of a square's inner edge are cut: the next square sees them whole.
_CUT = 0.02
# Two looks saw one person if their head-and-shoulder boxes overlap by more than this (share of both
# together, or of the smaller), or hips or shoulders lie closer than this share of the smaller body radius.
_SAME_UNION = 0.2
_SAME_SMALLER = 0.6
_SAME_DISTANCE = 0.3

# Half the width of a body, arms aside, in radii of its circle; and how high another one has to be, as a share
# of the dancer, to be taken for the dancer.
_HALF_WIDTH = 0.45
_RIVAL = 0.5

_MOTION_HEIGHT_PX = 64


class PersonDetector:
    """Finds everybody in single pictures; a worker keeps one. Pictures do not influence each other."""

    def __init__(self) -> None:
        config = calculator_pb2.CalculatorGraphConfig()
        text_format.Parse(_GRAPH, config)
        with without_chatter() as quiet, quiet():
            self._graph = SolutionBase(graph_config=config)
            self._graph.process(
                np.zeros((8, 8, 3), dtype=np.uint8)
            )  # the model is opened with the first picture

    def close(self) -> None:
        """Release the model."""
        self._graph.close()

    def people(self, image: Image) -> FloatArray:
        """Everybody in the picture, in pixels, as the detector has them: nothing is cut off.

        Parameters
        ----------
        image : np.ndarray, shape=(height, width, 3), uint8
            BGR, best ``SAMPLE_HEIGHT_PX`` high.

        Returns
        -------
        np.ndarray, shape=(n, 13)
            Best score first; ``once`` describes the columns. 13 ms of CPU for an upright or square picture,
            50 ms for one of 16:9.

        Raises
        ------
        PermanentError
            If the image is no BGR picture.
        """
        rgb = _rgb(image)
        height, width = rgb.shape[:2]
        looks = [self._look(rgb)]
        for left in square_starts(height, width):
            found = self._look(np.ascontiguousarray(rgb[:, left : left + height]))
            looks.append(_whole(found, left, height, width))
        return once(np.concatenate(looks), MIN_HEIGHT * height)

    def beside(self, painted: Image, known: FloatArray) -> FloatArray:
        """Those who are found only when the people already known are painted over.

        The detector was made for one person and passes over the second one in an upright picture. Leftovers
        of the first one may be found as well, so whoever is found has to be looked at. 13 ms of CPU: one look
        at the whole picture.

        Parameters
        ----------
        painted : np.ndarray, shape=(height, width, 3), uint8
            BGR, as for ``people``, with the known people painted over.
        known : np.ndarray, shape=(n, 13)
            What ``people`` gave before.

        Returns
        -------
        np.ndarray, shape=(m, 13)
            Others, as for ``people``.
        """
        found = once(self._look(_rgb(painted)), MIN_HEIGHT * painted.shape[0])
        others = [row for row in found if not any(_same(row, person) for person in known)]
        return np.array(others, dtype=np.float64).reshape(len(others), 13)

    def detect(self, image: Image) -> FloatArray:
        """``people`` as boxes within the picture.

        Returns
        -------
        np.ndarray, shape=(n, 5)
            x0, y0, x1, y1 in shares of width and height, and a score in 0.5-1, best first. The box is the
            square around the circle that would hold the whole body, hips in the middle, cut by the picture:
            it is wider than the person, and where legs are out of view it reaches the lower edge.
        """
        return _boxes(self.people(image), *image.shape[:2])

    def count(self, image: Image) -> int:
        """How many people the picture (as for ``detect``) shows."""
        return len(self.detect(image))

    def _look(self, rgb: Image) -> FloatArray:
        """Detections in one picture: see ``once`` for the columns; pixels."""
        height, width = rgb.shape[:2]
        detections = self._graph.process(rgb).detections or []
        rows = [_row(detection) for detection in detections]
        return np.array(rows, dtype=np.float64).reshape(len(rows), 13) * _pixel_scale(width, height)


@dataclass(frozen=True)
class PeopleScores:
    """People over the samples of a stretch of video.

    Parameters
    ----------
    samples : int
        How many pictures were looked at.
    share_none, share_one, share_several : float
        Shares of them with nobody, one person, more than one; 0-1, together 1 (all 0 without samples).
    most : int
        The largest number of people in one picture.
    main_height : float
        Median, over pictures with somebody, of the tallest box's share of the picture's height; 0 if nobody.
    """

    samples: int
    share_none: float
    share_one: float
    share_several: float
    most: int
    main_height: float


def people_over_time(detections: Iterable[FloatArray]) -> PeopleScores:
    """Sum up what ``PersonDetector.detect`` found in one picture after another.

    Parameters
    ----------
    detections : iterable of np.ndarray, shape=(n, 5)
        Boxes per sampled picture.
    """
    boxes = list(detections)
    counts = np.array([len(found) for found in boxes], dtype=np.int64)
    heights = [float((found[:, 3] - found[:, 1]).max()) for found in boxes if len(found)]
    total = max(1, len(boxes))
    return PeopleScores(
        samples=len(boxes),
        share_none=np.count_nonzero(counts == 0) / total,
        share_one=np.count_nonzero(counts == 1) / total,
        share_several=np.count_nonzero(counts > 1) / total,
        most=int(counts.max(initial=0)),
        main_height=float(np.median(heights)) if heights else 0.0,
    )


def frame_motion(samples: Iterable[Image]) -> FloatArray:
    """How much each sampled picture differs from the one before.

    Pictures are averaged down to 64 pixels of height first, so that grain and compression noise vanish
    and movement stays.

    Parameters
    ----------
    samples : iterable of np.ndarray, shape=(height, width, 3), uint8
        Pictures of one size, BGR.

    Returns
    -------
    np.ndarray, shape=(n - 1,)
        Mean absolute difference in grey levels, 0-255: about 0 for a still picture.
    """
    pairs = itertools.pairwise(_small_grey(image) for image in samples)
    changes = [float(np.abs(after - before).mean()) for before, after in pairs]
    return np.array(changes, dtype=np.float64)


def square_starts(height: int, width: int) -> list[int]:
    """Left edges in pixels of the squares, as high as the picture, that cover a wide picture.

    Neighbours overlap by at least half. Upright pictures have none: squares as wide as an upright
    picture cut a dancer in two, and the halves count as people of their own (measured). Pictures lower than 64
    pixels have none either.
    """
    if width <= _SQUARE * height or height < _MIN_SQUARE_PX:
        return []
    steps = math.ceil((width - height) / (height * _OVERLAP))
    return [round(step * (width - height) / steps) for step in range(steps + 1)]


def once(detections: FloatArray, min_height: float) -> FloatArray:
    """Keep the best of the detections that several looks gave of one person.

    Parameters
    ----------
    detections : np.ndarray, shape=(n, 13)
        Score; box of head and shoulders x0, y0, x1, y1; then x, y of the hips' middle, of a point on the
        circle around them that holds the body, of the shoulders' middle, of a point on the circle that
        holds the upper body (MediaPipe's four alignment points); pixels.
    min_height : float
        Bodies with a lower circle are left out; pixels.

    Returns
    -------
    np.ndarray, shape=(m, 13)
        Best score first.
    """
    order = np.argsort(-detections[:, 0], kind="stable")
    kept: list[FloatArray] = []
    for person in detections[order]:
        if 2 * _radius(person) >= min_height and not any(_same(person, other) for other in kept):
            kept.append(person)
    return np.array(kept, dtype=np.float64).reshape(len(kept), 13)


def circles(people: FloatArray) -> FloatArray:
    """The circles that hold whole bodies: x, y of the hips and radius; shape (n, 3), pixels."""
    radius = np.hypot(people[:, 7] - people[:, 5], people[:, 8] - people[:, 6])
    return np.column_stack([people[:, 5], people[:, 6], radius])


def main_person(people: FloatArray, height: int) -> int:
    """Which of the people is the dancer: high in the picture and surely seen.

    The score times how much of the picture's height the body circle covers *inside* the picture: what the
    detector makes of a fist or a face has a circle many pictures high.

    Parameters
    ----------
    people : np.ndarray, shape=(n, 13)
        At least one.
    height : int
        Of the picture, pixels.
    """
    _, y, radius = circles(people).T
    covered = np.minimum(y + radius, height) - np.maximum(y - radius, 0)
    return int(np.argmax(people[:, 0] * covered))


def apart(people: FloatArray, main: int) -> FloatArray:
    """How far everybody's hips are to the left or right of the dancer's, in widths of the two bodies.

    A body reaches 0.45 radii of its circle to each side (a quarter of its height), without the arms: below 1
    two bodies overlap in the picture, or one is above the other.

    Parameters
    ----------
    people : np.ndarray, shape=(n, 13)
    main : int
        Row of the dancer.

    Returns
    -------
    np.ndarray, shape=(n,)
        0 and more; 0 for the dancer.
    """
    x, _, radius = circles(people).T
    distances: FloatArray = np.abs(x - x[main]) / (_HALF_WIDTH * (radius + radius[main]))
    return distances


def nearest_other(people: FloatArray, main: int) -> float | None:
    """How far the nearest rival of the dancer is, as ``apart`` says; below 1 a tracker could go over to it.

    No rival is who is less than half as high as the dancer (MediaPipe's tracker looks at a square of the
    dancer's size, in which so small a person is no candidate), or whose body lies above or below the dancer's.

    Parameters
    ----------
    people : np.ndarray, shape=(n, 13)
    main : int
        Row of the dancer.

    Returns
    -------
    float or None
        None if there is no rival.
    """
    _, y, radius = circles(people).T
    rivals = (np.abs(y - y[main]) < radius + radius[main]) & (radius >= _RIVAL * radius[main])
    rivals[main] = False
    return float(apart(people, main)[rivals].min()) if rivals.any() else None


def _rgb(image: Image) -> Image:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise PermanentError(f"an image is {image.dtype} {image.shape}, not a picture of uint8 BGR")
    return np.ascontiguousarray(image[:, :, ::-1])


def _row(detection: Any) -> list[float]:
    box = detection.location_data.relative_bounding_box
    points = [number for point in detection.location_data.relative_keypoints for number in (point.x, point.y)]
    return [detection.score[0], box.xmin, box.ymin, box.xmin + box.width, box.ymin + box.height, *points]


def _pixel_scale(width: int, height: int) -> FloatArray:
    return np.array([1.0] + [float(width), float(height)] * 6)


def _whole(found: FloatArray, left: int, size: int, width: int) -> FloatArray:
    """What a square saw, moved to its place, without those whom its inner edges cut."""
    margin = _CUT * size
    keep = np.ones(len(found), dtype=np.bool_)
    if left > 0:
        keep &= (found[:, 1] >= margin) & (found[:, 5] > 0)
    if left + size < width:
        keep &= (found[:, 3] <= size - margin) & (found[:, 5] < size)
    placed: FloatArray = found[keep] + np.array([0.0] + [float(left), 0.0] * 6)
    return placed


def _radius(person: FloatArray) -> float:
    return math.hypot(person[7] - person[5], person[8] - person[6])


def _same(first: FloatArray, second: FloatArray) -> bool:
    overlap = math.prod(
        max(0.0, min(first[3 + axis], second[3 + axis]) - max(first[1 + axis], second[1 + axis]))
        for axis in (0, 1)
    )
    areas = [(person[3] - person[1]) * (person[4] - person[2]) for person in (first, second)]
    if overlap > _SAME_UNION * (sum(areas) - overlap) or overlap > _SAME_SMALLER * min(areas):
        return True
    nearest = min(
        math.hypot(first[at] - second[at], first[at + 1] - second[at + 1])
        for at in (5, 9)  # hips, shoulders
    )
    return bool(nearest < _SAME_DISTANCE * min(_radius(first), _radius(second)))


def _boxes(people: FloatArray, height: int, width: int) -> FloatArray:
    x, y, radius = circles(people).T
    corners = np.column_stack(
        [(x - radius) / width, (y - radius) / height, (x + radius) / width, (y + radius) / height]
    )
    return np.column_stack([np.clip(corners, 0.0, 1.0), people[:, 0]])


def _small_grey(image: Image) -> npt.NDArray[np.float32]:
    height, width = image.shape[:2]
    # Averages of grain must not be rounded to whole grey levels again, hence float.
    grey: npt.NDArray[Any] = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    if height > _MOTION_HEIGHT_PX:
        size = (max(1, round(width * _MOTION_HEIGHT_PX / height)), _MOTION_HEIGHT_PX)
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return grey
