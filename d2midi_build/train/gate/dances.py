"""What the gate's models see of a dance: how joints move, frame by frame, and nothing of where or who.

Joints in the picture, since a picture knows what a hip-centred body does not: that the whole body rises and falls.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build import clock
from d2midi_build.motion.kinematic_beats import bridged
from d2midi_build.motion.skeleton import BODY_NAMES

Float16Array = npt.NDArray[np.float16]

_SIDES: Final = ("left", "right")
_AT: Final = {name: place for place, name in enumerate(BODY_NAMES)}
_SHOULDERS: Final = [_AT[f"{side}_shoulder"] for side in _SIDES]
_HIPS: Final = [_AT[f"{side}_hip"] for side in _SIDES]
JOINTS: Final = (
    _AT["nose"],
    *(
        _AT[f"{side}_{joint}"]
        for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        for side in _SIDES
    ),
)
"""Thirteen of the body's points: the others are hands, feet and faces, which these say nearly all of."""

CROP_FRAMES: Final = 8 * clock.FPS
"""What models see at a time: 8 s, four nominal bars."""

N_FEATURES: Final = 3 * len(JOINTS)
"""Of each joint its velocity, across and down, and its speed."""

_SMOOTH: Final = (0.25, 0.5, 0.25)
_TYPICAL: Final = 3.0
"""Torso lengths per second of a limb that moves: what features are divided by."""
_MOST: Final = 4.0
"""A tracker that loses a limb for a frame makes it faster than any limb is: features are cut there."""


def features(body_image: npt.NDArray[Any], present: npt.NDArray[np.bool_], aspect: float) -> Float16Array:
    """Velocities and speeds of thirteen joints, in torso lengths per second, a third of them.

    Parameters
    ----------
    body_image : np.ndarray, shape (n_frames, 33, 2 or 3)
        Of the picture, across and down as shares of its width and height; NaN where missing.
    present : np.ndarray, shape (n_frames,), bool
        Frames with a body; the others, and those in which a joint is no number, are bridged by straight lines.
    aspect : float
        The picture's width over its height.

    Returns
    -------
    np.ndarray, shape (n_frames, 39), float16
        Between -4 and 4; all zeros without two frames with a body, or with a body of no size.
    """
    nothing = np.zeros((len(body_image), N_FEATURES), np.float16)
    flat = np.asarray(body_image[..., :2], np.float64) * (aspect, 1.0)
    seen = flat[:, (*_SHOULDERS, *_HIPS, *JOINTS)]
    known = present & np.isfinite(seen).all(axis=(1, 2))
    if known.sum() < 2:
        return nothing
    points = bridged(seen, known)
    torso = float(np.median(np.linalg.norm(points[:, :2].mean(axis=1) - points[:, 2:4].mean(axis=1), axis=1)))
    if not torso > 0:
        return nothing
    velocity = _smoothed(np.gradient(points[:, 4:], axis=0)) * (clock.FPS / torso / _TYPICAL)
    speed = np.linalg.norm(velocity, axis=2)
    every = np.concatenate([velocity.reshape(len(velocity), -1), speed], axis=1)
    return np.asarray(np.clip(every, -_MOST, _MOST), np.float16)


def starts(n_frames: int, every: int) -> range:
    """First frames of crops; a clip of less than 8 s is one."""
    return range(0, max(n_frames - CROP_FRAMES, 0) + 1, every)


def _smoothed(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Binomial over three frames, the ends repeated."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    parts = [weight * padded[at : at + len(values)] for at, weight in enumerate(_SMOOTH)]
    return np.asarray(np.sum(parts, axis=0))
