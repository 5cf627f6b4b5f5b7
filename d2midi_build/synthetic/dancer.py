"""A dancer whose joints are known at every instant.

A dance is a chain of poses, one per beat. Between two beats every joint angle follows a minimum-jerk
profile (Flash and Hogan, J. Neurosci. 5, 1985), so all limbs come to rest on the beat: the beats are the
minima of the joints' speed, which is how dance papers define kinematic beats. It is a function of
continuous time: any frame rate, constant or not, samples the same movement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from d2midi_build.synthetic.anatomy import HAND_LANDMARKS, LANDMARK_BONES, LANDMARK_REST, Array, carry
from d2midi_build.synthetic.kinematics import ARM, AT, FIELDS, posed, rotation_y

# Arm poses in degrees: raise (0 hanging, 90 level, 180 up), reach (0 sideways, 90 forward), elbow flexion,
# swivel of the elbow's plane (0 bends upwards/outwards, 90 forwards), palm (0 prone, 90 thumb leading),
# wrist flexion, finger curl.
_ARM_POSES: Final = np.array(
    [
        (18, 40, 35, 80, 90, 0, 18),  # hanging, relaxed
        (25, 20, 85, 90, 90, 0, 20),  # forearm forward
        (85, 0, 15, 40, 60, 0, 8),  # straight out to the side
        (80, 5, 95, 0, 90, 0, 10),  # goal post
        (150, 5, 25, 0, 90, 0, 8),  # up
        (130, 20, 60, 10, 80, 0, 12),  # up and over
        (62, 50, 85, 15, 80, 0, 15),  # hand before the shoulder
        (48, 15, 110, 60, 60, 0, 25),  # elbow out, hand before the chest
        (60, 10, 30, 20, 60, -5, 10),  # low diagonal
        (110, 15, 35, 10, 80, 0, 8),  # high diagonal
    ],
    dtype=np.float64,
)


@dataclass(frozen=True)
class Look:
    """Colours (RGB, 0-255) of one dancer."""

    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    shirt: tuple[int, int, int]
    trousers: tuple[int, int, int]
    shoes: tuple[int, int, int]


LOOKS: Final = (
    Look((224, 178, 150), (58, 40, 30), (176, 52, 56), (52, 60, 84), (232, 232, 228)),
    Look((198, 146, 116), (30, 24, 22), (60, 110, 160), (60, 58, 58), (40, 40, 44)),
    Look((150, 104, 80), (24, 20, 20), (222, 190, 84), (44, 52, 66), (230, 228, 222)),
    Look((234, 194, 168), (120, 84, 50), (66, 130, 96), (88, 78, 70), (60, 40, 36)),
)


@dataclass(frozen=True, eq=False)
class Dance:
    """One dancer's movement.

    Attributes
    ----------
    beats_s : np.ndarray, shape=(n_beats,)
        Times of the poses: the kinematic beats, seconds.
    keys : np.ndarray, shape=(n_beats, n_fields)
        The pose at each beat.
    sway : np.ndarray, shape=(2, 3)
        Slow sway of the hips along x and z: amplitude (m), period (s), phase (rad).
    yaw_deg : float
        Direction the dancer faces: 0 to the camera, positive to the dancer's left.
    place : tuple of float
        Where the dancer stands on the floor, x and z in metres.
    look : Look
        Colours.
    """

    beats_s: Array
    keys: Array
    sway: Array
    yaw_deg: float
    place: tuple[float, float]
    look: Look

    def pose(self, times_s: Array) -> tuple[Array, Array]:
        """Bone rotations and joint positions at some times.

        Parameters
        ----------
        times_s : np.ndarray, shape=(n,)
            Seconds; before the first and after the last beat the dancer holds the pose.

        Returns
        -------
        rotations, positions : np.ndarray, shape=(n, n_bones, 3, 3) and (n, n_bones, 3)
            From the rest pose to the stage (x right in the image, y up, z to the camera), metres.
        """
        times = np.atleast_1d(np.asarray(times_s, dtype=np.float64))
        rotations, positions = posed(self._angles(times))
        turn = rotation_y(np.full(len(times), self.yaw_deg))
        place = np.array([self.place[0], 0.0, self.place[1]])
        return turn[:, None] @ rotations, np.einsum("nij,nbj->nbi", turn, positions) + place

    def landmarks(self, times_s: Array) -> Array:
        """MediaPipe Pose's 33 landmarks on the stage, shape (n, 33, 3), metres."""
        return carry(LANDMARK_BONES, LANDMARK_REST, *self.pose(times_s))

    def hands(self, times_s: Array) -> Array:
        """MediaPipe Hands' 21 landmarks of the left and right hand, shape (n, 2, 21, 3), metres."""
        pose = self.pose(times_s)
        return np.stack([carry(*HAND_LANDMARKS[side], *pose) for side in ("left", "right")], axis=1)

    def _angles(self, times: Array) -> Array:
        """The fields at some times, shape (n, n_fields)."""
        index = np.clip(np.searchsorted(self.beats_s, times, side="right") - 1, 0, len(self.beats_s) - 2)
        start, end = self.beats_s[index], self.beats_s[index + 1]
        u = np.clip((times - start) / (end - start), 0.0, 1.0)
        eased = (u**3 * (10 - 15 * u + 6 * u**2))[:, None]
        before, after = self.keys[index], self.keys[index + 1]
        fields: Array = before + (after - before) * eased
        # A foot that travels leaves the floor on the way.
        for side in ("left", "right"):
            x, z, lift = (AT[f"{side}_{name}"] for name in ("foot_x", "foot_z", "lift"))
            travel = np.hypot(after[:, x] - before[:, x], after[:, z] - before[:, z])
            fields[:, lift] += 0.25 * travel * np.sin(np.pi * eased[:, 0]) ** 2
        # The hips sway over feet that stay where they are.
        amplitude, period, phase = self.sway.T
        sway = amplitude * np.sin(2 * np.pi * times[:, None] / period + phase)
        fields[:, [AT["hips_x"], AT["hips_z"]]] += sway
        return fields


def choreograph(
    rng: np.random.Generator,
    bpm: float,
    duration_s: float,
    yaw_deg: float = 0.0,
    *,
    first_beat_s: float = 0.0,
    place: tuple[float, float] = (0.0, 0.0),
    look: int = 0,
) -> Dance:
    """Make up a dance.

    Parameters
    ----------
    rng : np.random.Generator
        Chooses the poses.
    bpm : float
        Beats per minute; one pose per beat, one every second beat above 150 bpm.
    duration_s : float
        Beats are made up to this time, seconds.
    yaw_deg : float
        Direction the dancer faces, degrees; 0 faces the camera, positive turns to the dancer's left.
    first_beat_s : float
        Time of the first beat; until then the dancer stands still. Default is 0.
    place : tuple of float
        x and z on the floor, metres.
    look : int
        Which of the ``LOOKS``, modulo their number.

    Returns
    -------
    Dance

    Raises
    ------
    ValueError
        If bpm or duration is not positive.
    """
    if bpm <= 0 or duration_s <= 0:
        raise ValueError(f"bpm and duration must be positive, got {bpm} and {duration_s}")
    step_s = 60.0 / bpm * (2 if bpm > 150 else 1)
    n_beats = max(2, int(np.ceil((duration_s - first_beat_s) / step_s)) + 2)
    keys = np.stack([*_keys(rng, n_beats)])
    sway = np.array(
        [(0.012, rng.uniform(5, 8), rng.uniform(0, 6)), (0.012, rng.uniform(5, 8), rng.uniform(0, 6))]
    )
    beats = first_beat_s + step_s * np.arange(n_beats)
    return Dance(beats, keys, sway, float(yaw_deg), place, LOOKS[look % len(LOOKS)])


def _keys(rng: np.random.Generator, n_beats: int) -> list[Array]:
    """A pose per beat; the first one is standing at ease."""
    feet = {"left": np.array([0.14, 0.02]), "right": np.array([-0.14, 0.0])}
    keys = [_key(rng, feet, {"left": 0, "right": 0}, "", 0)]
    arms = {"left": 0, "right": 0}
    step = str(rng.choice(["left", "right"]))
    for beat in range(1, n_beats):
        both = rng.random() < 0.4
        for side in ("left", "right"):
            other = [i for i in range(len(_ARM_POSES)) if i != arms[side]]
            arms[side] = int(rng.choice(other))
        if both:
            arms["right"] = arms["left"]
        raised = ""
        if rng.random() < 0.75:
            step = "right" if step == "left" else "left"
            if rng.random() < 0.2:
                raised = step
            sign = 1.0 if step == "left" else -1.0
            feet[step] = np.array([sign * rng.uniform(0.10, 0.32), rng.uniform(-0.12, 0.16)])
        keys.append(_key(rng, feet, arms, raised, beat))
    return keys


def _key(
    rng: np.random.Generator, feet: dict[str, Array], arms: dict[str, int], raised: str, beat: int
) -> Array:
    """One pose: where the feet are, which arm poses, how the trunk goes with them."""
    key = np.zeros(len(FIELDS))
    moving = 1.0 if beat else 0.0
    for side, sign in (("left", 1.0), ("right", -1.0)):
        arm = _ARM_POSES[arms[side]] + moving * rng.normal(0, (8, 8, 10, 8, 8, 4, 4))
        arm[0] = np.clip(arm[0], 8, 165)
        arm[2] = np.clip(arm[2], 8, 125)
        arm[6] = np.clip(arm[6], 4, 40)
        for name, value in zip(ARM, arm, strict=True):
            key[AT[f"{side}_{name}"]] = value
        key[AT[f"{side}_foot_x"]], key[AT[f"{side}_foot_z"]] = feet[side]
        key[AT[f"{side}_turn"]] = sign * (14.0 + moving * rng.uniform(-4, 12))
        key[AT[f"{side}_lift"]] = rng.uniform(0.12, 0.28) if raised == side else 0.0
    middle = (feet["left"] + feet["right"]) / 2
    # Weight goes to the standing foot when the other is in the air.
    weight = {"left": feet["right"], "right": feet["left"]}.get(raised, middle)
    share = 0.6 if raised else 0.0
    shift = moving * rng.uniform(-0.05, 0.05)
    hips = middle + share * (weight - middle)
    values = {
        "hips_x": hips[0] + shift,
        "hips_z": hips[1] * 0.5,
        "crouch": 0.01 + moving * rng.uniform(0.01, 0.15),
        "hips_yaw": moving * rng.normal(0, 8),
        "hips_roll": moving * (-60.0 * shift + rng.normal(0, 3)),
        "hips_pitch": moving * rng.normal(3, 3),
        "chest_yaw": moving * rng.normal(0, 9),
        "chest_roll": moving * rng.normal(0, 6),
        "chest_pitch": 2.0 + moving * rng.normal(2, 4),
        "head_yaw": moving * rng.normal(0, 10),
        "head_pitch": moving * rng.normal(2, 5),
        "head_roll": moving * rng.normal(0, 5),
    }
    for name, value in values.items():
        key[AT[name]] = value
    return key
