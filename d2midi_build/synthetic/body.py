"""The dancer's surface: a mesh of quads with a colour each, skinned to the bones of ``anatomy``.

Everything is built once, in the rest pose. Rings of points make tubes (trunk, limbs, fingers, head); the
features of the face are thin strips that lie on the head. MediaPipe finds a body without a face, but
places it wrongly (facts/pose.md), so the face is not decoration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.synthetic.anatomy import BONE, FINGERS, FINGERTIPS, REST, THUMB, Array
from d2midi_build.synthetic.dancer import Look

Colour = tuple[float, float, float]
Weights = dict[str, float]


@dataclass(frozen=True, eq=False)
class Surface:
    """A skinned mesh.

    Attributes
    ----------
    vertices : np.ndarray, shape=(n_vertices, 3)
        Rest pose, metres.
    bones, weights : np.ndarray, shape=(n_vertices, 2)
        The two bones that move each vertex, and their shares, which sum to 1.
    faces : np.ndarray, shape=(n_faces, 4)
        Vertex indices, counter-clockwise seen from outside.
    colours : np.ndarray, shape=(n_faces, 3)
        RGB, 0-255.
    lifts : np.ndarray, shape=(n_faces,)
        Metres by which a face counts as nearer to the camera when faces are ordered.
    flat : np.ndarray, shape=(n_faces,)
        How much of the shading a face ignores (0 none, 1 all).
    """

    vertices: Array
    bones: npt.NDArray[np.int64]
    weights: Array
    faces: npt.NDArray[np.int64]
    colours: Array
    lifts: Array
    flat: Array

    def posed(self, rotations: Array, positions: Array) -> Array:
        """Vertices of one pose by linear blend skinning, shape (n_vertices, 3), metres."""
        moved = np.zeros_like(self.vertices)
        for k in range(2):
            bones = self.bones[:, k]
            local = self.vertices - REST[bones]
            placed = np.einsum("nij,nj->ni", rotations[bones], local) + positions[bones]
            moved += self.weights[:, k, None] * placed
        return moved


@dataclass
class _Builder:
    vertices: list[Array] = field(default_factory=list)
    bones: list[tuple[int, int]] = field(default_factory=list)
    weights: list[tuple[float, float]] = field(default_factory=list)
    faces: list[tuple[int, int, int, int]] = field(default_factory=list)
    colours: list[Colour] = field(default_factory=list)
    lifts: list[float] = field(default_factory=list)
    flat: list[float] = field(default_factory=list)

    def points(self, points: Array, weights: Weights) -> int:
        """Add points moved by the same bones; gives the first one's index."""
        first = len(self.vertices)
        names = sorted(weights, key=lambda name: -weights[name])[:2]
        names += names[:1] * (2 - len(names))
        shares = (weights[names[0]], weights[names[1]] if names[1] != names[0] else 0.0)
        for point in points:
            self.vertices.append(point)
            self.bones.append((BONE[names[0]], BONE[names[1]]))
            self.weights.append((shares[0] / sum(shares), shares[1] / sum(shares)))
        return first

    def face(
        self, corners: tuple[int, int, int, int], colour: Colour, lift: float = 0.0, flat: float = 0.0
    ) -> None:
        self.faces.append(corners)
        self.colours.append(colour)
        self.lifts.append(lift)
        self.flat.append(flat)

    def tube(
        self, rings: list[Array], weights: list[Weights], colours: list[list[Colour]], lift: float = 0.0
    ) -> None:
        """Join rings of equally many points, and close both ends."""
        n = len(rings[0])
        firsts = [self.points(ring, w) for ring, w in zip(rings, weights, strict=True)]
        # Rings may turn either way about their axis; faces must look outwards.
        axis = rings[-1].mean(axis=0) - rings[0].mean(axis=0)
        ring = rings[len(rings) // 2]
        a, b = ring[0] - ring.mean(axis=0), ring[n // 4] - ring.mean(axis=0)
        outwards = float(np.dot(np.cross(a, b), axis)) > 0
        for k in range(len(rings) - 1):
            for i in range(n):
                j = (i + 1) % n
                corners = (firsts[k] + i, firsts[k] + j, firsts[k + 1] + j, firsts[k + 1] + i)
                self.face(corners if outwards else corners[::-1], colours[k][i], lift)
        for k, end in ((0, firsts[0]), (len(rings) - 1, firsts[-1])):
            middle = self.points(rings[k].mean(axis=0)[None], weights[k])
            colour = colours[0 if k == 0 else -1][0]
            for i in range(n):
                j = (i + 1) % n
                forwards = (middle, end + i, end + j, end + j)
                backwards = (middle, end + j, end + i, end + i)
                self.face(forwards if (k > 0) == outwards else backwards, colour, lift)

    def strip(
        self, upper: Array, lower: Array, weights: Weights, colour: Colour, lift: float, flat: float = 0.3
    ) -> None:
        """A band between two lines of points that run to the dancer's left as x grows."""
        a, b = self.points(upper, weights), self.points(lower, weights)
        for i in range(len(upper) - 1):
            self.face((a + i, b + i, b + i + 1, a + i + 1), colour, lift, flat)

    def done(self) -> Surface:
        return Surface(
            np.array(self.vertices),
            np.array(self.bones),
            np.array(self.weights),
            np.array(self.faces),
            np.array(self.colours, dtype=np.float64),
            np.array(self.lifts),
            np.array(self.flat),
        )


def _ellipse(centre: Array, u: Array, v: Array, n: int, power: float = 2.0) -> Array:
    """Points of a superellipse around ``centre`` with half-axes u and v, shape (n, 3)."""
    angle = 2 * np.pi * np.arange(n) / n
    c, s = np.cos(angle), np.sin(angle)
    c, s = (np.sign(w) * np.abs(w) ** (2 / power) for w in (c, s))
    ring: Array = centre + c[:, None] * u + s[:, None] * v
    return ring


def _tinted(colour: tuple[int, int, int] | Colour, factor: float) -> Colour:
    r, g, b = (float(np.clip(c * factor, 0, 255)) for c in colour)
    return (r, g, b)


@lru_cache(maxsize=16)
def surface(look: Look) -> Surface:
    """The whole body in the given colours."""
    builder = _Builder()
    _trunk(builder, look)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        _arm(builder, look, side, sign)
        _hand(builder, look, side, sign)
        _leg(builder, look, side, sign)
    _head(builder, look)
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
    (1.280, 0.168, 0.114, -0.010, (0.0, 0.0, 1.0)),
    (1.330, 0.172, 0.110, -0.012, (0.0, 0.0, 1.0)),
    (1.375, 0.168, 0.100, -0.015, (0.0, 0.0, 1.0)),
    (1.410, 0.152, 0.086, -0.020, (0.0, 0.0, 1.0)),
    (1.440, 0.120, 0.070, -0.025, (0.0, 0.0, 1.0)),
    (1.462, 0.080, 0.058, -0.028, (0.0, 0.0, 1.0)),
    (1.478, 0.058, 0.052, -0.026, (0.0, 0.0, 1.0)),
)


def _trunk(builder: _Builder, look: Look) -> None:
    n = 24
    rings, weights, colours = [], [], []
    for y, width, depth, z, shares in _TRUNK:
        rings.append(
            _ellipse(np.array([0.0, y, z]), np.array([width, 0, 0]), np.array([0, 0, depth]), n, 2.4)
        )
        weights.append({k: s for k, s in zip(("pelvis", "spine", "chest"), shares, strict=True) if s})
        cloth = look.trousers if y < 0.93 else look.shirt
        # A hem darker than the shirt, and folds at the waist.
        factor = {0.950: 0.8, 1.080: 0.95}.get(y, 1.0)
        colours.append([_tinted(cloth, factor)] * n)
    builder.tube(rings, weights, colours)
    neck = (
        (1.440, 0.062, 0.058, -0.024, {"chest": 1.0}),
        (1.475, 0.056, 0.056, -0.020, {"chest": 0.4, "neck": 0.6}),
        (1.510, 0.053, 0.055, -0.014, {"neck": 0.8, "head": 0.2}),
        (1.545, 0.053, 0.056, -0.010, {"neck": 0.4, "head": 0.6}),
        (1.570, 0.053, 0.056, -0.010, {"head": 1.0}),
    )
    builder.tube(
        [_ellipse(np.array([0, y, z]), np.array([w, 0, 0]), np.array([0, 0, d]), 16) for y, w, d, z, _ in neck],
        [w for *_, w in neck],
        [[_tinted(look.skin, 0.86)] * 16] * 5,
        lift=0.004,
    )


def _arm(builder: _Builder, look: Look, side: str, sign: float) -> None:
    n = 14
    # Distance from the midline, half height, half depth, shares; sleeve to .30.
    upper, fore, wrist, clavicle = (f"{side}_{b}" for b in ("upper_arm", "forearm", "wrist", "clavicle"))
    profile: tuple[tuple[float, float, float, Weights], ...] = (
        (0.115, 0.040, 0.050, {clavicle: 1.0}),
        (0.140, 0.054, 0.060, {clavicle: 0.6, upper: 0.4}),
        (0.165, 0.061, 0.064, {clavicle: 0.3, upper: 0.7}),
        (0.195, 0.062, 0.064, {upper: 1.0}),
        (0.225, 0.060, 0.062, {upper: 1.0}),
        (0.260, 0.058, 0.060, {upper: 1.0}),
        (0.300, 0.057, 0.059, {upper: 1.0}),
        (0.302, 0.047, 0.048, {upper: 1.0}),
        (0.350, 0.046, 0.047, {upper: 1.0}),
        (0.400, 0.042, 0.043, {upper: 1.0}),
        (0.435, 0.040, 0.041, {upper: 0.8, fore: 0.2}),
        (0.460, 0.040, 0.041, {upper: 0.5, fore: 0.5}),
        (0.485, 0.041, 0.042, {upper: 0.2, fore: 0.8}),
        (0.520, 0.043, 0.044, {fore: 1.0}),
        (0.570, 0.040, 0.041, {fore: 1.0}),
        (0.620, 0.034, 0.036, {fore: 1.0}),
        (0.670, 0.027, 0.031, {fore: 0.4, wrist: 0.6}),
        (0.705, 0.023, 0.029, {wrist: 1.0}),
        (0.725, 0.021, 0.029, {wrist: 0.3, f"{side}_hand": 0.7}),
    )
    rings = [
        _ellipse(np.array([sign * x, 1.42, -0.01]), np.array([0, h, 0]), np.array([0, 0, d]), n)
        for x, h, d, _ in profile
    ]
    colours = []
    for x, *_ in profile:
        colour: Colour = look.shirt if x < 0.30 else look.skin
        colours.append([_tinted(colour, 0.78 if x == 0.30 else 1.0)] * n)
    builder.tube(rings, [w for *_, w in profile], colours)


def _hand(builder: _Builder, look: Look, side: str, sign: float) -> None:
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
    skin = _tinted(look.skin, 0.97)
    builder.tube(
        [
            _ellipse(np.array([sign * x, 1.417, z]), np.array([0, t, 0]), np.array([0, 0, b]), 12, 2.6)
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
        _finger(builder, joints, shares, radius[finger], _tinted(look.skin, 0.93))
    _finger(builder, mirror * THUMB, [hand] * 4, 0.0115, _tinted(look.skin, 0.95))


def _finger(builder: _Builder, joints: Array, shares: list[Weights], radius: float, colour: Colour) -> None:
    along = joints[-1] - joints[0]
    along /= np.linalg.norm(along)
    up = np.array([0.0, 1.0, 0.0])
    across = np.cross(along, up)
    sizes = (1.1, 1.05, 0.95, 0.8)
    ends = np.concatenate([joints, [joints[-1] + 0.5 * radius * along]])
    rings = [
        _ellipse(at, radius * size * up, radius * size * across, 8)
        for at, size in zip(ends, (*sizes, 0.4), strict=True)
    ]
    builder.tube(rings, [*shares, shares[-1]], [[colour] * 8] * 5)


def _leg(builder: _Builder, look: Look, side: str, sign: float) -> None:
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
        _ellipse(np.array([sign * x, y, z]), np.array([w, 0, 0]), np.array([0, 0, d]), n)
        for y, w, d, x, z, _ in profile
    ]
    factors = {0.120: 0.75, 0.530: 0.97}
    colours = [[_tinted(look.trousers, factors.get(y, 1.0))] * n for y, *_ in profile]
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
        shoe_rings.append(_ellipse(middle, np.array([width, 0, 0]), np.array([0, height / 2, 0]), 14, 2.8))
        low = np.sin(2 * np.pi * (np.arange(14) + 0.5) / 14) < -0.5
        shoe_colours.append([_tinted(look.shoes, 0.55 if sole else 1.0) for sole in low])
    builder.tube(shoe_rings, [w for *_, w in shoe], shoe_colours)


# Height, half width, depth to the front and to the back of the head's axis (z = -.005).
_HEAD: Final = (
    (1.508, 0.020, 0.076, 0.010),
    (1.516, 0.036, 0.084, 0.020),
    (1.530, 0.050, 0.087, 0.040),
    (1.548, 0.059, 0.088, 0.062),
    (1.568, 0.064, 0.087, 0.075),
    (1.590, 0.068, 0.087, 0.085),
    (1.612, 0.071, 0.087, 0.092),
    (1.632, 0.073, 0.088, 0.096),
    (1.652, 0.074, 0.090, 0.098),
    (1.672, 0.074, 0.089, 0.098),
    (1.692, 0.071, 0.084, 0.094),
    (1.710, 0.063, 0.073, 0.084),
    (1.725, 0.047, 0.054, 0.063),
    (1.735, 0.022, 0.026, 0.032),
)
_HEAD_Z: Final = -0.005


def _front(x: Array | float, y: Array | float, out: float = 0.0015) -> Array:
    """The point of the face in front of (x, y), ``out`` metres above the skin."""
    x, y = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
    rows = np.array(_HEAD)
    width, depth = np.interp(y, rows[:, 0], rows[:, 1]), np.interp(y, rows[:, 0], rows[:, 2])
    z = _HEAD_Z + (depth + out) * np.maximum(1 - np.abs(x / width) ** 2.3, 0.0) ** (1 / 2.3)
    return np.stack([x, y, z], axis=-1)


def _head(builder: _Builder, look: Look) -> None:
    n = 28
    head = {"head": 1.0}
    angle = 2 * np.pi * np.arange(n) / n
    rings, colours = [], []
    for k, (y, width, front, back) in enumerate(_HEAD):
        c, s = np.sin(angle), np.cos(angle)
        c, s = (np.sign(w) * np.abs(w) ** (2 / 2.3) for w in (c, s))
        top = _HEAD[min(k + 1, len(_HEAD) - 1)][0]
        middle = (y + top) / 2
        towards = np.cos(angle + np.pi / n)
        # Hair: above the forehead in front, lower and lower towards the nape.
        line = np.where(towards > 0.55, 1.690, np.where(towards > -0.05, 1.640, 1.555))
        hairy = middle > line
        thick = np.where(middle > line - 0.01, 0.010, 0.0)[:, None]
        ring = np.stack([c * width, np.full(n, y), _HEAD_Z + s * np.where(s > 0, front, back)], axis=-1)
        away = ring - np.array([0.0, 1.61, _HEAD_Z])
        ring = ring + thick * away / np.linalg.norm(away, axis=1)[:, None]
        rings.append(ring)
        colours.append([_tinted(look.hair, 1.0) if h else _tinted(look.skin, 1.0) for h in hairy])
    builder.tube(rings, [head] * len(rings), colours)
    _face(builder, look)
    for sign in (1.0, -1.0):
        ear = [
            _ellipse(
                np.array([sign * x, 1.610, -0.008]), np.array([0, h, 0]), np.array([0, 0, 0.55 * h]), 12
            )
            for x, h in ((0.066, 0.022), (0.075, 0.030), (0.082, 0.028), (0.084, 0.016))
        ]
        builder.tube(ear, [head] * 4, [[_tinted(look.skin, 0.9)] * 12] * 4)


def _face(builder: _Builder, look: Look) -> None:
    head = {"head": 1.0}
    skin = look.skin
    across = np.linspace(-1.0, 1.0, 7)
    arch = 1 - across**2
    for sign in (1.0, -1.0):
        eye_x = sign * 0.032 + 0.0145 * across
        tilt = 0.001 * across * sign
        socket = _front(sign * 0.032 + 0.021 * across, 1.634 + 0.006 * arch, 0.0008)
        below = _front(sign * 0.032 + 0.021 * across, 1.622 - 0.006 * arch, 0.0008)
        builder.strip(socket, below, head, _tinted(skin, 0.82), 0.010)
        upper, lower = 1.626 + tilt + 0.0058 * arch, 1.626 + tilt - 0.0048 * arch
        builder.strip(_front(eye_x, upper), _front(eye_x, lower), head, (236, 234, 230), 0.014, 0.5)
        iris = sign * 0.032 + 0.0056 * across
        round_ = 0.0052 * np.sqrt(np.maximum(arch, 0))
        builder.strip(
            _front(iris, 1.6263 + round_, 0.002), _front(iris, 1.6263 - round_, 0.002), head, (44, 30, 24), 0.018
        )
        lid = _front(eye_x, upper + 0.0024, 0.002)
        builder.strip(lid, _front(eye_x, upper - 0.0002, 0.002), head, _tinted(skin, 0.38), 0.020)
        builder.strip(
            _front(eye_x, lower, 0.002), _front(eye_x, lower - 0.001, 0.002), head, _tinted(skin, 0.68), 0.016
        )
        brow_x = sign * 0.033 + 0.020 * across
        brow = 1.6425 + 0.004 * arch - 0.0025 * sign * across
        builder.strip(
            _front(brow_x, brow + 0.0030, 0.002),
            _front(brow_x, brow - 0.0028, 0.002),
            head,
            _tinted(look.hair, 0.95),
            0.014,
        )
    _nose(builder, skin)
    lips_x = 0.025 * across
    bow = 1.5475 + 0.0068 * arch - 0.0022 * np.exp(-((across / 0.22) ** 2))
    under = 1.547 - 0.0095 * arch
    gap = 1.547 - 0.0008 * arch
    builder.strip(
        _front(lips_x, bow, 0.003), _front(lips_x, gap, 0.003), head, _lips(skin, 0.80), 0.012
    )
    builder.strip(
        _front(lips_x, gap, 0.003), _front(lips_x, under, 0.003), head, _lips(skin, 0.92), 0.012
    )
    builder.strip(
        _front(lips_x, gap + 0.0009, 0.004), _front(lips_x, gap - 0.0009, 0.004), head, _tinted(skin, 0.35), 0.016
    )
    chin = 0.016 * across
    builder.strip(
        _front(chin, 1.5335, 0.001), _front(chin, 1.5305 - 0.001 * arch, 0.001), head, _tinted(skin, 0.86), 0.010
    )


def _lips(skin: tuple[int, int, int], factor: float) -> Colour:
    return _tinted((skin[0], skin[1] * 0.68, skin[2] * 0.70), factor)


def _nose(builder: _Builder, skin: tuple[int, int, int]) -> None:
    z = float(_front(0.0, 1.60)[2])
    points = np.array(
        [
            (0.0, 1.634, z + 0.000),  # root
            (0.0, 1.588, z + 0.020),  # tip
            (0.0155, 1.580, z + 0.002),  # left wing
            (-0.0155, 1.580, z + 0.002),
            (0.0, 1.574, z + 0.006),  # base
            (0.009, 1.630, z - 0.001),  # beside the root
            (-0.009, 1.630, z - 0.001),
            (0.006, 1.582, z + 0.019),  # tip, both sides
            (-0.006, 1.582, z + 0.019),
        ]
    )
    a = builder.points(points, {"head": 1.0})
    side, tip = _tinted(skin, 0.96), _tinted(skin, 1.05)
    builder.face((a, a + 2, a + 5, a + 5), _tinted(skin, 0.92), 0.010)
    builder.face((a, a + 7, a + 2, a + 2), side, 0.012)
    builder.face((a, a + 6, a + 3, a + 3), _tinted(skin, 0.92), 0.010)
    builder.face((a, a + 3, a + 8, a + 8), side, 0.012)
    builder.face((a, a + 1, a + 7, a + 7), tip, 0.014)
    builder.face((a, a + 8, a + 1, a + 1), tip, 0.014)
    builder.face((a + 1, a + 8, a + 7, a + 7), tip, 0.014)
    builder.face((a + 7, a + 8, a + 3, a + 4), _tinted(skin, 0.62), 0.013)
    builder.face((a + 7, a + 4, a + 2, a + 2), _tinted(skin, 0.62), 0.013)
    for sign in (1.0, -1.0):
        across = np.linspace(-1, 1, 5)
        hole = np.stack([sign * 0.0075 + 0.0035 * across, 0 * across, np.full(5, z + 0.014)], axis=-1)
        up, down = hole + [0, 1.5795, 0], hole + [0, 1.576, 0]
        builder.strip(up, down, {"head": 1.0}, _tinted(skin, 0.35), 0.020)
