"""The dancer's skeleton: bones, proportions, and where each MediaPipe landmark lies in the body.

Metres; rest pose is a T with the palms down, the feet on the floor at y = 0. Axes: x to the dancer's
left (image right when the dancer faces the camera), y up, z forward (towards the camera). Only the left
side is written down; the right side is its mirror.

Segment lengths are those of a stature of 1.73 m, rounded: Drillis and Contini's (Winter, *Biomechanics and
Motor Control of Human Movement*, 4th ed., figure 4.1), for the upper arm de Leva's (J. Biomech. 29, 1996),
who measures between joint centres.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.motion.skeleton import BODY_NAMES

Array = npt.NDArray[np.float64]

FINGERS: Final = ("index", "middle", "ring", "pinky")

_CENTRE: Final[dict[str, tuple[str, tuple[float, float, float]]]] = {
    "pelvis": ("", (0.0, 0.93, 0.0)),
    "spine": ("pelvis", (0.0, 1.05, -0.01)),
    "chest": ("spine", (0.0, 1.20, -0.01)),
    "neck": ("chest", (0.0, 1.46, -0.02)),
    "head": ("neck", (0.0, 1.55, -0.005)),
}

_LEFT: Final[dict[str, tuple[str, tuple[float, float, float]]]] = {
    "clavicle": ("chest", (0.03, 1.42, 0.0)),
    # The skin of the shoulder follows half the arm's swing; the arm's twist grows from none to full.
    "deltoid": ("clavicle", (0.175, 1.408, -0.01)),
    "upper_arm": ("clavicle", (0.175, 1.408, -0.01)),
    "upper_arm_half": ("clavicle", (0.175, 1.408, -0.01)),
    "upper_arm_full": ("clavicle", (0.175, 1.408, -0.01)),
    "forearm": ("upper_arm_full", (0.46, 1.408, -0.01)),
    "wrist": ("forearm", (0.71, 1.408, -0.01)),
    "hand": ("wrist", (0.71, 1.408, -0.01)),
    "index_1": ("hand", (0.800, 1.408, 0.016)),
    "index_2": ("index_1", (0.842, 1.408, 0.019)),
    "index_3": ("index_2", (0.866, 1.408, 0.020)),
    "middle_1": ("hand", (0.802, 1.410, -0.004)),
    "middle_2": ("middle_1", (0.848, 1.410, -0.004)),
    "middle_3": ("middle_2", (0.876, 1.410, -0.004)),
    "ring_1": ("hand", (0.796, 1.409, -0.023)),
    "ring_2": ("ring_1", (0.838, 1.409, -0.027)),
    "ring_3": ("ring_2", (0.864, 1.409, -0.029)),
    "pinky_1": ("hand", (0.788, 1.406, -0.041)),
    "pinky_2": ("pinky_1", (0.820, 1.406, -0.049)),
    "pinky_3": ("pinky_2", (0.838, 1.406, -0.053)),
    "thigh": ("pelvis", (0.095, 0.92, 0.0)),
    "shank": ("thigh", (0.095, 0.495, 0.01)),
    "foot": ("shank", (0.095, 0.085, -0.01)),
    "toe": ("foot", (0.100, 0.030, 0.11)),
}

FINGERTIPS: Final[dict[str, tuple[float, float, float]]] = {
    "index": (0.886, 1.408, 0.021),
    "middle": (0.897, 1.410, -0.004),
    "ring": (0.885, 1.409, -0.031),
    "pinky": (0.856, 1.406, -0.057),
}

THUMB: Final = np.array(
    [(0.735, 1.400, 0.018), (0.767, 1.393, 0.042), (0.795, 1.391, 0.056), (0.819, 1.391, 0.064)]
)
"""Thumb joints CMC, MCP, IP and tip, rest pose; the thumb moves with the hand."""


def _bones() -> tuple[tuple[str, ...], tuple[int, ...], Array]:
    names: list[str] = []
    parents: list[int] = []
    rest: list[tuple[float, float, float]] = []

    def add(name: str, parent: str, at: tuple[float, float, float]) -> None:
        parents.append(names.index(parent) if parent else -1)
        names.append(name)
        rest.append(at)

    for name, (parent, at) in _CENTRE.items():
        add(name, parent, at)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for name, (parent, (x, y, z)) in _LEFT.items():
            add(f"{side}_{name}", parent if parent in _CENTRE else f"{side}_{parent}", (sign * x, y, z))
    return tuple(names), tuple(parents), np.array(rest)


BONES, PARENTS, REST = _bones()
"""Bone names, parent index (-1: root) and joint position in the rest pose, shape (n_bones, 3)."""

BONE: Final[dict[str, int]] = {name: i for i, name in enumerate(BONES)}

# Limb landmarks are the joints the bones turn about (BlazePose's annotators mark joint centres; its 3D
# comes from fits of the GHUM body model); the others are points of the skin.
_LANDMARKS_LEFT: Final[dict[str, tuple[str, tuple[float, float, float]]]] = {
    "eye_inner": ("head", (0.018, 1.625, 0.083)),
    "eye": ("head", (0.032, 1.626, 0.080)),
    "eye_outer": ("head", (0.046, 1.626, 0.071)),
    "ear": ("head", (0.074, 1.610, -0.005)),
    "mouth": ("head", (0.025, 1.547, 0.083)),
    "shoulder": ("left_upper_arm", (0.175, 1.408, -0.01)),
    "elbow": ("left_forearm", (0.46, 1.408, -0.01)),
    "wrist": ("left_hand", (0.71, 1.408, -0.01)),
    "pinky": ("left_hand", (0.788, 1.406, -0.041)),
    "index": ("left_hand", (0.800, 1.408, 0.016)),
    "thumb": ("left_hand", (0.795, 1.391, 0.056)),
    "hip": ("left_thigh", (0.095, 0.92, 0.0)),
    "knee": ("left_shank", (0.095, 0.495, 0.01)),
    "ankle": ("left_foot", (0.095, 0.085, -0.01)),
    "heel": ("left_foot", (0.095, 0.035, -0.060)),
    "foot_index": ("left_toe", (0.100, 0.025, 0.165)),
}
_NOSE: Final = ("head", (0.0, 1.583, 0.108))


def _attach() -> tuple[npt.NDArray[np.int64], Array]:
    bones: list[int] = []
    places: list[tuple[float, float, float]] = []
    for name in BODY_NAMES:
        right = "right" in name
        key = name.replace("left_", "").replace("right_", "").replace("_left", "").replace("_right", "")
        bone, (x, y, z) = _NOSE if key == "nose" else _LANDMARKS_LEFT[key]
        bones.append(BONE[bone.replace("left_", "right_") if right else bone])
        places.append((-x if right else x, y, z))
    return np.array(bones), np.array(places)


LANDMARK_BONES, LANDMARK_REST = _attach()
"""The bone each of the 33 landmarks is fixed to, and its place in the rest pose, shape (33, 3)."""


def _hand(side: str) -> tuple[npt.NDArray[np.int64], Array]:
    sign = np.array([1.0 if side == "left" else -1.0, 1.0, 1.0])
    bones = [BONE[f"{side}_hand"]] * 5
    places = [REST[BONE[f"{side}_hand"]], *(sign * THUMB)]
    for finger in FINGERS:
        joints = [BONE[f"{side}_{finger}_{k}"] for k in (1, 2, 3)]
        bones += [*joints, joints[-1]]
        places += [*REST[joints], sign * FINGERTIPS[finger]]
    return np.array(bones), np.array(places)


HAND_LANDMARKS: Final = {side: _hand(side) for side in ("left", "right")}
"""Per side: bone and rest place of MediaPipe Hands' 21 landmarks, in its order."""


def carry(bones: npt.NDArray[np.int64], places: Array, rotations: Array, positions: Array) -> Array:
    """Move points that are fixed to bones from the rest pose into poses.

    Parameters
    ----------
    bones : np.ndarray, shape=(n,)
        The bone of each point.
    places : np.ndarray, shape=(n, 3)
        The points in the rest pose, metres.
    rotations, positions : np.ndarray, shape=(..., n_bones, 3, 3) and (..., n_bones, 3)
        The poses.

    Returns
    -------
    np.ndarray, shape=(..., n, 3)
        Metres.
    """
    local = places - REST[bones]
    moved: Array = np.einsum("...nij,nj->...ni", rotations[..., bones, :, :], local)
    return moved + positions[..., bones, :]
