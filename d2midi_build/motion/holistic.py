"""Body, hands and face of one dancer with MediaPipe Holistic.

Settings, with the measurements behind them: ``model_complexity=1`` (the wheel holds no other model),
``refine_face_landmarks`` (478 points, and more faces found), no smoothing (it cuts ankle speed by up to
46 %), video mode (a still-image mode is slower and finds other poses), no segmentation.

Nothing here asks for threads: MediaPipe 0.10.21 runs each model on one thread and its scheduler gains
little from a second core. Run one pinned process per core.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from mediapipe.python import packet_getter
from mediapipe.python.solution_base import SolutionBase
from mediapipe.python.solutions.holistic import Holistic

from d2midi_build.errors import PermanentError
from d2midi_build.motion.chatter import without_chatter
from d2midi_build.motion.keypoints import PARTS, FloatArray, Keypoints

Image = npt.NDArray[np.uint8]

# Stream of the graph -> part it fills; the visibility comes with the body in the image.
_STREAMS: Final = {
    "pose_landmarks": "body_image",
    "pose_world_landmarks": "body_world",
    "left_hand_landmarks": "left_hand",
    "right_hand_landmarks": "right_hand",
    "face_landmarks": "face",
}

# Fields of (Normalized)Landmark, float each: x, y, z, visibility, presence. The graph sets the last two
# for the body only. https://github.com/google-ai-edge/mediapipe/blob/v0.10.21/mediapipe/framework/formats/landmark.proto
_FIELD_TAGS: Final = np.array([0x0D, 0x15, 0x1D, 0x25, 0x2D], dtype=np.uint8)
_FIELD_BYTES: Final = 5


class HolisticTracker:
    """Tracks one dancer through clips; a worker keeps one and calls ``track`` for each clip.

    Every clip gets a fresh graph: a graph that has seen other pictures gives other points, and
    resetting one gives the right points but costs as much, since the models are loaded again.
    """

    def track(
        self,
        frames: Iterable[Image],
        n_frames: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> Keypoints:
        """Find the dancer in every frame of a clip.

        Parameters
        ----------
        frames : iterable of np.ndarray, shape=(height, width, 3), uint8
            The clip's pictures in order, RGB, all of one size.
        n_frames : int
            How many there will be, if known; arrays grow beyond it.
        progress : callable, optional
            Called after each frame with the number of frames done.

        Returns
        -------
        Keypoints
            As many frames as there were pictures. The same pictures give the same bits.

        Raises
        ------
        PermanentError
            If a frame is no RGB picture, the size changes, or MediaPipe refuses the clip.
        """
        rows = {name: _missing(n_frames, part.shape) for name, part in PARTS.items()}
        done = 0
        first_shape: tuple[int, ...] = ()
        graph: _Graph | None = None
        with without_chatter() as quiet:
            try:
                for frame in frames:
                    first_shape = first_shape or frame.shape
                    _check_frame(frame, first_shape, done)
                    with quiet():  # the graph opens its models on threads of its own, until its first result
                        graph = graph or _Graph()
                        found = graph.landmarks(frame, done)
                    if done == len(rows["face"]):
                        rows = {name: _longer(array) for name, array in rows.items()}
                    _fill(rows, done, found)
                    done += 1
                    if progress is not None:
                        progress(done)
            finally:
                if graph is not None:
                    with quiet():
                        graph.close()
        return _keypoints({name: array[:done] for name, array in rows.items()})


class _Graph(Holistic):  # type: ignore[misc]
    """Holistic whose results are serialised messages: points as Python objects are slow to read."""

    def __init__(self) -> None:
        self._failed = False
        super().__init__(
            static_image_mode=False,
            model_complexity=1,
            smooth_landmarks=False,
            enable_segmentation=False,
            refine_face_landmarks=True,
        )

    def landmarks(self, frame: Image, index: int) -> dict[str, FloatArray]:
        """Part name -> points with all their fields, for the parts found."""
        try:
            results = SolutionBase.process(self, {"image": np.ascontiguousarray(frame)})
        except (RuntimeError, ValueError) as error:
            self._failed = True
            height, width = frame.shape[:2]
            raise PermanentError(
                f"MediaPipe cannot track frame {index} of {width}x{height} pixels", str(error)
            ) from error
        messages = {part: getattr(results, stream) for stream, part in _STREAMS.items()}
        return {
            part: decode_landmarks(message, PARTS[part].shape[0])
            for part, message in messages.items()
            if message is not None
        }

    def close(self) -> None:
        """Close the graph; one that failed says so again then, and the first error is the one to keep."""
        with contextlib.suppress(*([RuntimeError] if self._failed else [])):
            super().close()

    def _get_packet_content(self, packet_data_type: object, output_packet: Any) -> bytes | None:
        if output_packet.is_empty():
            return None
        message: bytes = packet_getter._packet_getter._get_serialized_proto(output_packet)
        return message


def decode_landmarks(message: bytes, n_points: int) -> FloatArray:
    """Points of a serialised ``NormalizedLandmarkList`` or ``LandmarkList``.

    The wire format of such a list is regular when every point has the same fields: a record per point,
    each field a tag byte and four bytes. That makes it an array, read without a step per point.

    Parameters
    ----------
    message : bytes
        The serialised message.
    n_points : int
        How many points it must hold.

    Returns
    -------
    np.ndarray, shape=(n_points, 3) or (n_points, 5), float32
        x, y, z and, where they are set, visibility and presence.

    Raises
    ------
    ValueError
        If the message is not such a list: another version of MediaPipe.
    """
    wire = np.frombuffer(message, dtype=np.uint8)
    size, rest = divmod(wire.size, n_points)
    n_fields, odd = divmod(size - 2, _FIELD_BYTES)
    if rest or odd or n_fields not in (3, 5):
        raise ValueError(f"{wire.size} bytes are no list of {n_points} landmarks of 3 or 5 numbers")
    records = wire.reshape(n_points, size)
    fields = records[:, 2:].reshape(n_points, n_fields, _FIELD_BYTES)
    regular = (
        (records[:, 0] == 0x0A).all()
        and (records[:, 1] == size - 2).all()
        and (fields[:, :, 0] == _FIELD_TAGS[:n_fields]).all()
    )
    if not regular:
        raise ValueError("a landmark has fields that the others lack")
    return fields[:, :, 1:].copy().view("<f4")[:, :, 0].astype(np.float32, copy=False)


def _check_frame(frame: Image, first_shape: tuple[int, ...], index: int) -> None:
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or frame.size == 0:
        raise PermanentError(f"frame {index} is {frame.dtype} {frame.shape}, not a picture of uint8 RGB")
    if frame.shape != first_shape:
        raise PermanentError(
            f"frame {index} is {frame.shape[1]}x{frame.shape[0]} pixels, the first was "
            f"{first_shape[1]}x{first_shape[0]}; resample the clip to one size"
        )


def _missing(n_frames: int, shape: tuple[int, ...]) -> FloatArray:
    return np.full((n_frames, *shape), np.nan, dtype=np.float32)


def _longer(array: FloatArray) -> FloatArray:
    return np.concatenate([array, _missing(max(64, len(array)), array.shape[1:])])


def _fill(rows: dict[str, FloatArray], index: int, found: dict[str, FloatArray]) -> None:
    for part, values in found.items():
        rows[part][index] = values[:, :3]
    if "body_image" in found:
        rows["body_visibility"][index] = found["body_image"][:, 3]


def _keypoints(rows: dict[str, FloatArray]) -> Keypoints:
    """A part with a number that is none (never seen, but nothing forbids it) counts as missing."""
    complete = {
        name: np.isfinite(rows[name].reshape(len(rows[name]), part.size)).all(axis=1)
        for name, part in PARTS.items()
    }
    present = {part.presence: complete[name] for name, part in PARTS.items()}
    for name, part in PARTS.items():
        present[part.presence] = present[part.presence] & complete[name]
    for name, part in PARTS.items():
        rows[name][~present[part.presence]] = np.nan
    arrays: dict[str, Any] = {**rows, **{f"present_{name}": found for name, found in present.items()}}
    return Keypoints(**arrays)
