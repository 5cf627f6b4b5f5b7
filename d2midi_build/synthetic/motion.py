"""Keypoints as a tracker would find them, without pictures: known joints, a tracker's noise and drop-outs.

For benchmarks of storage: what 16-bit integers compress to depends on how far points move from frame to frame,
how they tremble and how often a hand is lost. The figures below were measured on MediaPipe's tracks of drawn
dancers (``d2midi demo``: 3 clips of 40 s); ``benchmarks/release_read.py`` prints both sizes side by side.
It makes no claim on how right a tracker is: ``benchmarks/keypoints.py`` and the demo do that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from d2midi_build.motion.keypoints import PARTS, PRESENCES, BoolArray, Keypoints
from d2midi_build.motion.skeleton import HIPS, N_FACE
from d2midi_build.synthetic.anatomy import BONE, Array, carry
from d2midi_build.synthetic.dancer import Dance
from d2midi_build.synthetic.render import Camera


@dataclass(frozen=True)
class Noise:
    """Standard deviations of a part's trembling per coordinate, in its own unit, independent between frames.

    Parameters
    ----------
    shared : tuple of float
        Of the part as a whole: the tracker crops hands and face anew in every frame.
    own : tuple of float
        Of every point by itself.
    """

    shared: tuple[float, ...]
    own: tuple[float, ...]


# A third difference of white noise has sqrt(20) times its deviation, one of a dance's movement is small.
NOISE: Final[Mapping[str, Noise]] = {
    "body_image": Noise((0.0003, 0.0003, 0.003), (0.0006, 0.0006, 0.0040)),
    "body_world": Noise((0.0010, 0.0010, 0.0020), (0.0015, 0.0015, 0.0030)),
    "left_hand": Noise((0.0020, 0.0020, 0.0004), (0.0004, 0.0004, 0.0003)),
    "right_hand": Noise((0.0020, 0.0020, 0.0004), (0.0004, 0.0004, 0.0003)),
    "face": Noise((0.0006, 0.0004, 0.0), (0.00020, 0.00017, 0.00022)),
}
"""Per list column, measured (see above); the visibility has its own rule."""

PRESENT: Final[Mapping[str, tuple[float, float]]] = {
    "body": (1.0, 0.0),
    "left_hand": (0.94, 0.053),
    "right_hand": (0.94, 0.053),
    "face": (1.0, 0.0),
}
"""Share of frames in which a part is found, and how often per frame that changes, measured (see above)."""

DEPTH_GAIN: Final = 4.5
"""MediaPipe's depth in the image spreads that much farther than the joints do."""


def tracked(dance: Dance, times_s: Array, camera: Camera, rng: np.random.Generator) -> Keypoints:
    """What a tracker would make of a dance.

    Parameters
    ----------
    dance : Dance
        The movement.
    times_s : np.ndarray, shape=(T,)
        Times of the frames, seconds.
    camera : Camera
        Where it is seen from.
    rng : np.random.Generator
        Makes noise and drop-outs.

    Returns
    -------
    Keypoints
        Of T frames.
    """
    rotations, positions = dance.pose(times_s)
    body, hands = dance.landmarks(times_s), dance.hands(times_s)
    head = np.full(N_FACE, BONE["head"])
    face = carry(head, _FACE_REST, rotations, positions)
    hips = body[:, HIPS].mean(axis=1, keepdims=True)
    seen = camera.see(body)
    exact = {
        "body_image": _image(camera, body, hips, DEPTH_GAIN),
        "body_world": seen - camera.see(hips),
        "left_hand": _image(camera, hands[:, 0], hands[:, 0, :1], 1.0),
        "right_hand": _image(camera, hands[:, 1], hands[:, 1, :1], 1.0),
        "face": _image(camera, face, face.mean(axis=1, keepdims=True), 1.0),
    }
    present = {name: _found(len(times_s), *PRESENT[name], rng) for name in PRESENCES}
    columns: dict[str, Any] = {f"present_{name}": there for name, there in present.items()}
    for name, part in PARTS.items():
        there = present[part.presence]
        found = _visibility(len(times_s), body.shape[1], rng) if name == "body_visibility" else exact[name]
        if name in NOISE:
            found = found + _tremble(found.shape, NOISE[name], rng)
        columns[name] = found.astype(np.float32)
        columns[name][~there] = np.nan
    return Keypoints(**columns)


def _face() -> Array:
    """Points spread over the front of the head in the rest pose; most lie near the next in the list."""
    rng, share = np.random.default_rng(0), np.arange(N_FACE) / N_FACE
    scattered = rng.random(N_FACE) < 0.15
    angle = 2 * np.pi * np.where(scattered, rng.random(N_FACE), share)
    radius = np.sqrt(np.where(scattered, rng.random(N_FACE), 101 * share % 1))
    x, y = 0.07 * radius * np.cos(angle), 0.088 * radius * np.sin(angle)
    return np.stack([x, 1.60 + y, 0.095 * np.sqrt(1 - 0.9 * radius**2)], axis=-1)


_FACE_REST: Final = _face()


def _image(camera: Camera, points: Array, origin: Array, gain: float) -> Array:
    """x and y in shares of width and height, z from the origin in shares of the width."""
    seen, start = camera.see(points), camera.see(origin)
    size = np.array([camera.width_px, camera.height_px])
    depth = gain * camera.focal_px / camera.width_px * (seen[..., 2] - start[..., 2]) / start[..., 2]
    return np.concatenate([camera.project(points) / size, depth[..., None]], axis=-1)


def _tremble(shape: tuple[int, ...], noise: Noise, rng: np.random.Generator) -> Array:
    shared = rng.normal(size=(shape[0], 1, shape[-1])) * noise.shared
    trembling: Array = shared + rng.normal(size=shape) * noise.own
    return trembling


def _visibility(n_frames: int, n_points: int, rng: np.random.Generator) -> Array:
    """Near 1, less for some points; it changes slowly and trembles by less than a thousandth."""
    shape = (n_frames, n_points)
    doubt = np.abs(rng.normal(0, 0.004, n_points) + np.cumsum(rng.normal(0, 0.0002, shape), axis=0))
    visible: Array = np.clip(1 - doubt - np.abs(rng.normal(0, 0.1, shape) * doubt), 0.0, 1.0)
    return visible


def _found(n_frames: int, share: float, changes: float, rng: np.random.Generator) -> BoolArray:
    """Whether a part is found in each frame: a chain of two states."""
    if share >= 1.0:
        return np.ones(n_frames, dtype=np.bool_)
    lose, find = changes / 2 / share, changes / 2 / (1 - share)
    chance, found = rng.random(n_frames), np.empty(n_frames, dtype=np.bool_)
    state = bool(rng.random() < share)
    for frame in range(n_frames):
        state = chance[frame] >= lose if state else chance[frame] < find
        found[frame] = state
    return found
