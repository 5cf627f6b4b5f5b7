"""The dancer's surface: built once in the rest pose, coloured, and skinned to the bones of ``anatomy``."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from d2midi_build.synthetic.anatomy import BONE, FINGERS, FINGERTIPS, REST, THUMB, Array
from d2midi_build.synthetic.dancer import Look
from d2midi_build.synthetic.head import add_head
from d2midi_build.synthetic.mesh import Builder, Colour, Surface, Weights, ellipse, tinted


@lru_cache(maxsize=16)
def surface(look: Look) -> Surface:
    """The whole body in the given colours."""
    builder = Builder()
    _trunk(builder, look)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        _arm(builder, look, side, sign)
        _hand(builder, look, side, sign)
        _leg(builder, look, side, sign)
    add_head(builder, look)
    return builder.done()


# Height, half width, half depth, centre depth, and shares of pelvis, spine and chest.
_TRUNK: Final = (
    (0.845, 0.110, 0.075, -0.005, (1.0, 0.0, 0.0)),
    (0.870, 0.160, 0.098, -0.010, (1.0, 0.0, 0.0)),
    (0.910, 0.172, 0.108, -0.012, (1.0, 0.0, 0.0)),
    (0.950, 0.170, 0.108, -0.010, (1.0, 0.0, 0.0)),
    (0.990, 0.164, 0.104, -0.005, (0.8, 0.2, 0.0)),
    (1.030, 0.154, 0.100, -0.002, (0.5, 0.5, 0.0)),
    (1.080, 0.146, 0.098, -0.002, (0.2, 0.8, 0.0)),
    (1.130, 0.146, 0.100, -0.004, (0.0, 0.8, 0.2)),
    (1.180, 0.152, 0.106, -0.006, (0.0, 0.5, 0.5)),
    (1.230, 0.160, 0.112, -0.008, (0.0, 0.2, 0.8)),
    (1.280, 0.166, 0.114, -0.010, (0.0, 0.0, 1.0)),
    (1.330, 0.168, 0.110, -0.012, (0.0, 0.0, 1.0)),
    (1.375, 0.168, 0.100, -0.015, (0.0, 0.0, 1.0)),
    (1.410, 0.165, 0.086, -0.020, (0.0, 0.0, 1.0)),
    (1.435, 0.152, 0.076, -0.022, (0.0, 0.0, 1.0)),
    (1.452, 0.126, 0.070, -0.022, (0.0, 0.0, 1.0)),
    (1.466, 0.100, 0.067, -0.022, (0.0, 0.0, 1.0)),
    (1.478, 0.078, 0.066, -0.022, (0.0, 0.0, 1.0)),
    (1.488, 0.065, 0.064, -0.022, (0.0, 0.0, 1.0)),
)


def _trunk(builder: Builder, look: Look) -> None:
    n = 24
    rings, weights, colours = [], [], []
    for y, width, depth, z, shares in _TRUNK:
        rings.append(ellipse(np.array([0.0, y, z]), np.array([width, 0, 0]), np.array([0, 0, depth]), n, 2.4))
        weights.append({k: s for k, s in zip(("pelvis", "spine", "chest"), shares, strict=True) if s})
        cloth = look.trousers if y < 0.93 else look.shirt
        # A hem and a collar darker than the shirt.
        factor = {0.950: 0.8, 1.478: 0.8}.get(y, 1.0)
        colours.append([tinted(cloth, factor)] * n)
    builder.tube(rings, weights, colours)
    neck = (
        (1.475, 0.056, 0.056, -0.020, {"chest": 0.4, "neck": 0.6}),
        (1.510, 0.053, 0.055, -0.014, {"neck": 0.8, "head": 0.2}),
        (1.545, 0.053, 0.056, -0.010, {"neck": 0.4, "head": 0.6}),
        (1.570, 0.053, 0.056, -0.010, {"head": 1.0}),
    )
    builder.tube(
        [
            ellipse(np.array([0, y, z]), np.array([w, 0, 0]), np.array([0, 0, d]), 16)
            for y, w, d, z, _ in neck
        ],
        [w for *_, w in neck],
        [[tinted(look.skin, 0.86)] * 16] * 4,
    )


def _arm(builder: Builder, look: Look, side: str, sign: float) -> None:
    n = 16
    # Distance from the midline, half height, half depth, shares; the sleeve ends at .30.
    clavicle, deltoid, upper, half, full, fore, wrist, hand = (
        f"{side}_{bone}"
        for bone in (
            "clavicle",
            "deltoid",
            "upper_arm",
            "upper_arm_half",
            "upper_arm_full",
            "forearm",
            "wrist",
            "hand",
        )
    )
    profile: tuple[tuple[float, float, float, Weights], ...] = (
        (0.110, 0.030, 0.045, {clavicle: 1.0}),
        (0.140, 0.038, 0.054, {clavicle: 0.5, deltoid: 0.5}),
        (0.165, 0.044, 0.058, {deltoid: 1.0}),
        (0.190, 0.050, 0.060, {deltoid: 0.5, upper: 0.5}),
        (0.220, 0.055, 0.060, {upper: 1.0}),
        (0.260, 0.056, 0.058, {upper: 0.6, half: 0.4}),
        (0.300, 0.056, 0.058, {half: 1.0}),
        (0.302, 0.047, 0.048, {half: 1.0}),
        (0.350, 0.046, 0.047, {half: 0.6, full: 0.4}),
        (0.400, 0.042, 0.043, {full: 1.0}),
        (0.435, 0.040, 0.041, {full: 0.8, fore: 0.2}),
        (0.460, 0.040, 0.041, {full: 0.5, fore: 0.5}),
        (0.485, 0.041, 0.042, {full: 0.2, fore: 0.8}),
        (0.520, 0.043, 0.044, {fore: 1.0}),
        (0.570, 0.040, 0.041, {fore: 1.0}),
        (0.620, 0.034, 0.036, {fore: 1.0}),
        (0.670, 0.027, 0.031, {fore: 0.4, wrist: 0.6}),
        (0.705, 0.023, 0.029, {wrist: 1.0}),
        (0.725, 0.021, 0.029, {wrist: 0.3, hand: 0.7}),
    )
    height = float(REST[BONE[upper]][1])
    rings = [
        ellipse(np.array([sign * x, height, -0.01]), np.array([0, h, 0]), np.array([0, 0, d]), n)
        for x, h, d, _ in profile
    ]
    colours = []
    for x, *_ in profile:
        colour: Colour = look.shirt if x < 0.30 else look.skin
        colours.append([tinted(colour, 0.78 if x == 0.30 else 1.0)] * n)
    builder.tube(rings, [w for *_, w in profile], colours)


def _hand(builder: Builder, look: Look, side: str, sign: float) -> None:
    mirror = np.array([sign, 1.0, 1.0])
    hand = {f"{side}_hand": 1.0}
    # Palm: distance from the midline, half thickness, half breadth, centre depth.
    palm = (
        (0.712, 0.018, 0.027, -0.010),
        (0.735, 0.018, 0.034, -0.009),
        (0.765, 0.017, 0.040, -0.010),
        (0.790, 0.014, 0.040, -0.012),
        (0.806, 0.010, 0.036, -0.012),
    )
    skin = tinted(look.skin, 0.97)
    builder.tube(
        [
            ellipse(np.array([sign * x, 1.405, z]), np.array([0, t, 0]), np.array([0, 0, b]), 12, 2.6)
            for x, t, b, z in palm
        ],
        [hand] * len(palm),
        [[skin] * 12] * len(palm),
    )
    radius = {"index": 0.0088, "middle": 0.009, "ring": 0.0085, "pinky": 0.0075}
    for finger in FINGERS:
        bones = [f"{side}_{finger}_{k}" for k in (1, 2, 3)]
        joints = np.array([*(REST[BONE[b]] for b in bones), mirror * np.array(FINGERTIPS[finger])])
        shares: list[Weights] = [
            {bones[0]: 1.0},
            {bones[0]: 0.5, bones[1]: 0.5},
            {bones[1]: 0.5, bones[2]: 0.5},
            {bones[2]: 1.0},
        ]
        _finger(builder, joints, shares, radius[finger], tinted(look.skin, 0.93))
    _finger(builder, mirror * THUMB, [hand] * 4, 0.0115, tinted(look.skin, 0.95))


def _finger(builder: Builder, joints: Array, shares: list[Weights], radius: float, colour: Colour) -> None:
    along = joints[-1] - joints[0]
    along /= np.linalg.norm(along)
    up = np.array([0.0, 1.0, 0.0])
    across = np.cross(along, up)
    sizes = (1.1, 1.05, 0.95, 0.8)
    ends = np.concatenate([joints, [joints[-1] + 0.5 * radius * along]])
    rings = [
        ellipse(at, radius * size * up, radius * size * across, 8)
        for at, size in zip(ends, (*sizes, 0.4), strict=True)
    ]
    builder.tube(rings, [*shares, shares[-1]], [[colour] * 8] * 5)


def _leg(builder: Builder, look: Look, side: str, sign: float) -> None:
    n = 16
    thigh, shank, foot, toe = (f"{side}_{b}" for b in ("thigh", "shank", "foot", "toe"))
    # Height, half width, half depth, centre x and z, shares.
    profile: tuple[tuple[float, float, float, float, float, Weights], ...] = (
        (0.955, 0.070, 0.085, 0.095, -0.010, {"pelvis": 0.9, thigh: 0.1}),
        (0.915, 0.086, 0.100, 0.092, -0.010, {"pelvis": 0.6, thigh: 0.4}),
        (0.875, 0.089, 0.100, 0.092, -0.010, {"pelvis": 0.3, thigh: 0.7}),
        (0.830, 0.088, 0.096, 0.093, -0.007, {thigh: 1.0}),
        (0.770, 0.084, 0.090, 0.094, -0.004, {thigh: 1.0}),
        (0.700, 0.078, 0.084, 0.095, 0.000, {thigh: 1.0}),
        (0.630, 0.071, 0.076, 0.095, 0.003, {thigh: 1.0}),
        (0.570, 0.065, 0.069, 0.095, 0.004, {thigh: 1.0}),
        (0.530, 0.062, 0.065, 0.095, 0.006, {thigh: 0.8, shank: 0.2}),
        (0.495, 0.060, 0.064, 0.095, 0.006, {thigh: 0.5, shank: 0.5}),
        (0.460, 0.058, 0.062, 0.095, 0.002, {thigh: 0.2, shank: 0.8}),
        (0.400, 0.058, 0.063, 0.096, -0.008, {shank: 1.0}),
        (0.340, 0.057, 0.062, 0.096, -0.014, {shank: 1.0}),
        (0.260, 0.053, 0.057, 0.096, -0.014, {shank: 1.0}),
        (0.180, 0.049, 0.052, 0.095, -0.012, {shank: 1.0}),
        (0.120, 0.048, 0.052, 0.095, -0.010, {shank: 1.0}),
        (0.095, 0.048, 0.052, 0.095, -0.010, {shank: 1.0}),
    )
    rings = [
        ellipse(np.array([sign * x, y, z]), np.array([w, 0, 0]), np.array([0, 0, d]), n)
        for y, w, d, x, z, _ in profile
    ]
    factors = {0.120: 0.75, 0.530: 0.97}
    colours = [[tinted(look.trousers, factors.get(y, 1.0))] * n for y, *_ in profile]
    builder.tube(rings, [w for *_, w in profile], colours)
    # Shoe: depth z, half width, height, shares; a flat bottom.
    shoe = (
        (-0.072, 0.020, 0.050, {foot: 1.0}),
        (-0.055, 0.034, 0.085, {foot: 1.0}),
        (-0.020, 0.038, 0.105, {foot: 1.0}),
        (0.020, 0.038, 0.098, {foot: 1.0}),
        (0.060, 0.042, 0.075, {foot: 1.0}),
        (0.105, 0.047, 0.058, {foot: 0.6, toe: 0.4}),
        (0.145, 0.044, 0.046, {toe: 1.0}),
        (0.175, 0.030, 0.036, {toe: 1.0}),
        (0.188, 0.012, 0.028, {toe: 1.0}),
    )
    shoe_rings, shoe_colours = [], []
    for z, width, height, _ in shoe:
        middle = np.array([sign * (0.095 + 0.03 * max(z, 0.0)), height / 2, z])
        shoe_rings.append(ellipse(middle, np.array([width, 0, 0]), np.array([0, height / 2, 0]), 14, 2.8))
        low = np.sin(2 * np.pi * (np.arange(14) + 0.5) / 14) < -0.5
        shoe_colours.append([tinted(look.shoes, 0.55 if sole else 1.0) for sole in low])
    builder.tube(shoe_rings, [w for *_, w in shoe], shoe_colours)
