"""From a pose's numbers to bones: forward kinematics for trunk and arms, inverse for the legs."""

from __future__ import annotations

from typing import Final

import numpy as np

from d2midi_build.synthetic.anatomy import BONE, BONES, FINGERS, PARENTS, REST, Array

ARM: Final = ("raise", "reach", "elbow", "swivel", "palm", "wrist", "curl")
_LEG: Final = ("foot_x", "foot_z", "lift", "turn")
_TRUNK: Final = (
    "hips_x",
    "hips_z",
    "crouch",
    "hips_yaw",
    "hips_roll",
    "hips_pitch",
    "chest_yaw",
    "chest_roll",
    "chest_pitch",
    "head_yaw",
    "head_pitch",
    "head_roll",
)
FIELDS: Final = (*_TRUNK, *(f"{side}_{name}" for side in ("left", "right") for name in (*ARM, *_LEG)))
"""What a pose is made of: metres (feet, hips, crouch, lift) and degrees (the rest)."""

AT: Final = {name: i for i, name in enumerate(FIELDS)}


_THIGH_M: Final = float(np.linalg.norm(REST[BONE["left_shank"]] - REST[BONE["left_thigh"]]))
_SHANK_M: Final = float(np.linalg.norm(REST[BONE["left_foot"]] - REST[BONE["left_shank"]]))
_REACH: Final = 0.985 * (_THIGH_M + _SHANK_M)  # a leg that stands is never quite straight
_ANKLE_M: Final = float(REST[BONE["left_foot"]][1])
_MIRROR: Final = np.diag([-1.0, 1.0, 1.0])


def posed(fields: Array) -> tuple[Array, Array]:
    """Bones of poses: forward kinematics for the trunk and arms, two-bone inverse for the legs.

    Parameters
    ----------
    fields : np.ndarray, shape=(n, n_fields)
        In the order of ``FIELDS``.

    Returns
    -------
    rotations, positions : np.ndarray, shape=(n, n_bones, 3, 3) and (n, n_bones, 3)
        A dancer at the origin who faces z, metres.
    """
    n = len(fields)
    rotations = np.broadcast_to(np.eye(3), (n, len(BONES), 3, 3)).copy()
    positions = np.zeros((n, len(BONES), 3))

    def get(name: str) -> Array:
        return fields[:, AT[name]]

    ankles = {}
    for side in ("left", "right"):
        ankles[side] = np.stack(
            [get(f"{side}_foot_x"), _ANKLE_M + get(f"{side}_lift"), get(f"{side}_foot_z")], axis=-1
        )
    turn = _euler(get("hips_yaw"), get("hips_pitch"), get("hips_roll"))
    hips = np.stack([get("hips_x"), np.zeros(n), get("hips_z")], axis=-1)
    tops = []
    for side in ("left", "right"):
        socket = np.einsum("nij,j->ni", turn, REST[BONE[f"{side}_thigh"]] - REST[0])
        flat = hips[:, [0, 2]] + socket[:, [0, 2]] - ankles[side][:, [0, 2]]
        rise = np.sqrt(np.maximum(_REACH**2 - np.sum(flat**2, axis=1), 0.05))
        tops.append(ankles[side][:, 1] + rise - socket[:, 1])
    # A smooth minimum (1 cm wide) of what the two legs can reach: a hard one would jerk.
    low = -0.01 * np.logaddexp(-tops[0] / 0.01, -tops[1] / 0.01)
    hips[:, 1] = low - get("crouch")
    positions[:, 0], rotations[:, 0] = hips, turn
    bend = _euler(get("chest_yaw") / 2, get("chest_pitch") / 2, get("chest_roll") / 2)
    look = _euler(get("head_yaw") / 2, get("head_pitch") / 2, get("head_roll") / 2)
    for name, local in (("spine", bend), ("chest", bend), ("neck", look), ("head", look)):
        _place(rotations, positions, BONE[name], rotations[:, PARENTS[BONE[name]]] @ local)
    for side in ("left", "right"):
        _arm(rotations, positions, side, {name: get(f"{side}_{name}") for name in ARM})
        forward = turn @ rotation_y(get(f"{side}_turn"))
        _leg(rotations, positions, side, ankles[side], forward, get(f"{side}_turn"), get(f"{side}_lift"))
    return rotations, positions


def _place(rotations: Array, positions: Array, bone: int, rotation: Array) -> None:
    """Hang a bone on its parent with the given rotation on the stage."""
    parent = PARENTS[bone]
    rotations[:, bone] = rotation
    offset = REST[bone] - REST[parent]
    positions[:, bone] = positions[:, parent] + np.einsum("nij,j->ni", rotations[:, parent], offset)


def _arm(rotations: Array, positions: Array, side: str, angles: dict[str, Array]) -> None:
    """Place one arm and hand, from angles seen as a left arm and mirrored for the right."""
    chest = rotations[:, BONE["chest"]]
    lift, reach = np.radians(angles["raise"]), np.radians(angles["reach"])
    elbow, swivel = np.radians(angles["elbow"]), np.radians(angles["swivel"])
    zero = np.zeros_like(lift)
    outward = np.stack([np.cos(reach), zero, np.sin(reach)], axis=-1)
    up = np.array([0.0, 1.0, 0.0])
    along = np.sin(lift)[:, None] * outward - np.cos(lift)[:, None] * up
    raising = np.cos(lift)[:, None] * outward + np.sin(lift)[:, None] * up
    forward = np.stack([-np.sin(reach), zero, np.cos(reach)], axis=-1)
    bend = np.cos(swivel)[:, None] * raising + np.sin(swivel)[:, None] * forward
    hinge = np.cross(along, bend)
    lower = np.cos(elbow)[:, None] * along + np.sin(elbow)[:, None] * bend
    over = -np.sin(elbow)[:, None] * along + np.cos(elbow)[:, None] * bend
    fore = np.stack([lower, over, hinge], axis=-1)
    palm = -angles["palm"]
    # Scapulohumeral rhythm: above 40 degrees the shoulder blade does about a fifth of the lift.
    shrug = 0.2 * np.maximum(angles["raise"] - 40.0, 0.0) * np.cos(reach) ** 2
    swing = _swing(along)
    twist = np.degrees(
        np.arctan2(np.sum(bend * swing[:, :, 2], axis=1), np.sum(bend * swing[:, :, 1], axis=1))
    )
    halfway = along + np.array([1.0, 0.0, 0.0])
    local = {
        "clavicle": _rotation_z(shrug),
        "deltoid": _swing(halfway / np.linalg.norm(halfway, axis=1)[:, None]),
        "upper_arm": swing,
        "upper_arm_half": swing @ _rotation_x(twist / 2),
        "upper_arm_full": swing @ _rotation_x(twist),
        "forearm": fore,
        "wrist": fore @ _rotation_x(palm / 2),
        "hand": fore @ _rotation_x(palm) @ _rotation_z(-angles["wrist"]),
    }
    for name, rotation in local.items():
        seen = rotation if side == "left" else _MIRROR @ rotation @ _MIRROR
        _place(rotations, positions, BONE[f"{side}_{name}"], chest @ seen)
    curl = _rotation_z(-angles["curl"] if side == "left" else angles["curl"])
    for finger in FINGERS:
        for joint in (1, 2, 3):
            bone = BONE[f"{side}_{finger}_{joint}"]
            _place(rotations, positions, bone, rotations[:, PARENTS[bone]] @ curl)


def _leg(
    rotations: Array,
    positions: Array,
    side: str,
    ankle: Array,
    forward: Array,
    turn: Array,
    lift: Array,
) -> None:
    """Place one leg so that its ankle is where the step wants it; the knee points where the foot does."""
    thigh, shank, foot, toe = (BONE[f"{side}_{name}"] for name in ("thigh", "shank", "foot", "toe"))
    _place(rotations, positions, thigh, rotations[:, 0])
    hip = positions[:, thigh]
    span = ankle - hip
    distance = np.minimum(np.linalg.norm(span, axis=1), 0.9995 * (_THIGH_M + _SHANK_M))
    down = span / np.linalg.norm(span, axis=1)[:, None]
    pole = forward[:, :, 2]
    pole = pole - np.sum(pole * down, axis=1)[:, None] * down
    pole /= np.linalg.norm(pole, axis=1)[:, None]
    cosine = (distance**2 + _THIGH_M**2 - _SHANK_M**2) / (2 * distance * _THIGH_M)
    sine = np.sqrt(np.maximum(1 - cosine**2, 0.0))
    knee = hip + _THIGH_M * (cosine[:, None] * down + sine[:, None] * pole)
    ends = hip + distance[:, None] * down
    for bone, start, end in ((thigh, hip, knee), (shank, knee, ends)):
        y = (start - end) / np.linalg.norm(start - end, axis=1)[:, None]
        z = pole - np.sum(pole * y, axis=1)[:, None] * y
        z /= np.linalg.norm(z, axis=1)[:, None]
        rotations[:, bone] = np.stack([np.cross(y, z), y, z], axis=-1)
    positions[:, shank], positions[:, foot] = knee, ends
    # A foot in the air points its toes down.
    rotations[:, foot] = rotation_y(turn) @ _rotation_x(90.0 * np.minimum(lift, 0.3))
    _place(rotations, positions, toe, rotations[:, foot])


def _swing(along: Array) -> Array:
    """The smallest rotations that take the x axis to ``along`` (n, 3): Rodrigues' formula."""
    zero = np.zeros(len(along))
    _, y, z = along.T
    cross = np.stack(
        [
            np.stack([zero, -y, -z], axis=-1),
            np.stack([y, zero, zero], axis=-1),
            np.stack([z, zero, zero], axis=-1),
        ],
        axis=1,
    )
    rotation: Array = np.eye(3) + cross + cross @ cross / (1 + along[:, 0])[:, None, None]
    return rotation


def _rotation_x(degrees: Array) -> Array:
    """Rotations about x, shape (n, 3, 3)."""
    return _rotation(degrees, 1, 2)


def rotation_y(degrees: Array) -> Array:
    """Rotations about y: positive turns the front (z) to the left (x)."""
    return _rotation(degrees, 2, 0)


def _rotation_z(degrees: Array) -> Array:
    """Rotations about z: positive turns the left (x) up (y)."""
    return _rotation(degrees, 0, 1)


def _rotation(degrees: Array, a: int, b: int) -> Array:
    angle = np.radians(degrees)
    rotation = np.broadcast_to(np.eye(3), (*angle.shape, 3, 3)).copy()
    rotation[..., a, a] = rotation[..., b, b] = np.cos(angle)
    rotation[..., b, a] = np.sin(angle)
    rotation[..., a, b] = -np.sin(angle)
    return rotation


def _euler(yaw: Array, pitch: Array, roll: Array) -> Array:
    """Yaw to the left, then pitch forwards, then roll to the left side up, degrees."""
    return rotation_y(yaw) @ _rotation_x(pitch) @ _rotation_z(roll)
