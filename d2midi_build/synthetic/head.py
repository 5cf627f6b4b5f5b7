"""The dancer's head: hair, ears and a face whose features are thin strips on the skin.

MediaPipe finds a body without a face, but places it wrongly (facts/pose.md): the face is not decoration.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from d2midi_build.synthetic.anatomy import Array
from d2midi_build.synthetic.dancer import Look
from d2midi_build.synthetic.mesh import Builder, Colour, ellipse, tinted

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


def _hairline(front: Array) -> Array:
    """Height where hair starts, by direction: 1 is the face, -1 the back of the head."""
    return np.where(front > 0.45, 1.690, np.where(front > 0.05, 1.645, np.where(front > -0.5, 1.590, 1.565)))


def add_head(builder: Builder, look: Look) -> None:
    """Add head, hair, ears and face."""
    n = 28
    head = {"head": 1.0}
    angle = 2 * np.pi * np.arange(n) / n
    rings, colours = [], []
    for k, (y, width, front, back) in enumerate(_HEAD):
        c, s = np.sin(angle), np.cos(angle)
        c, s = (np.sign(w) * np.abs(w) ** (2 / 2.3) for w in (c, s))
        top = _HEAD[min(k + 1, len(_HEAD) - 1)][0]
        ring = np.stack([c * width, np.full(n, y), _HEAD_Z + s * np.where(s > 0, front, back)], axis=-1)
        away = ring - np.array([0.0, 1.61, _HEAD_Z])
        thick = np.where(y > _hairline(np.cos(angle)), 0.010, 0.0)[:, None]
        rings.append(ring + thick * away / np.linalg.norm(away, axis=1)[:, None])
        hairy = (y + top) / 2 > _hairline(np.cos(angle + np.pi / n))
        colours.append([tinted(look.hair, 1.0) if h else tinted(look.skin, 1.0) for h in hairy])
    builder.tube(rings, [head] * len(rings), colours)
    _face(builder, look)
    for sign in (1.0, -1.0):
        ear = [
            ellipse(np.array([sign * x, 1.610, -0.008]), np.array([0, h, 0]), np.array([0, 0, 0.55 * h]), 12)
            for x, h in ((0.066, 0.022), (0.075, 0.030), (0.082, 0.028), (0.084, 0.016))
        ]
        builder.tube(ear, [head] * 4, [[tinted(look.skin, 0.9)] * 12] * 4)


def _face(builder: Builder, look: Look) -> None:
    head = {"head": 1.0}
    skin = look.skin
    across = np.linspace(-1.0, 1.0, 7)
    arch = 1 - across**2
    for sign in (1.0, -1.0):
        eye_x = sign * 0.032 + 0.0145 * across
        tilt = 0.001 * across * sign
        socket = _front(sign * 0.032 + 0.021 * across, 1.634 + 0.006 * arch, 0.0008)
        below = _front(sign * 0.032 + 0.021 * across, 1.622 - 0.006 * arch, 0.0008)
        builder.strip(socket, below, head, tinted(skin, 0.82), 0.010)
        upper, lower = 1.626 + tilt + 0.0058 * arch, 1.626 + tilt - 0.0048 * arch
        builder.strip(_front(eye_x, upper), _front(eye_x, lower), head, (236, 234, 230), 0.014, 0.5)
        iris = sign * 0.032 + 0.0056 * across
        round_ = 0.0052 * np.sqrt(np.maximum(arch, 0))
        builder.strip(
            _front(iris, 1.6263 + round_, 0.002),
            _front(iris, 1.6263 - round_, 0.002),
            head,
            (44, 30, 24),
            0.018,
        )
        lid = _front(eye_x, upper + 0.0024, 0.002)
        builder.strip(lid, _front(eye_x, upper - 0.0002, 0.002), head, tinted(skin, 0.38), 0.020)
        builder.strip(
            _front(eye_x, lower, 0.002), _front(eye_x, lower - 0.001, 0.002), head, tinted(skin, 0.68), 0.016
        )
        brow_x = sign * 0.033 + 0.020 * across
        brow = 1.6425 + 0.004 * arch + 0.0005 * sign * across
        builder.strip(
            _front(brow_x, brow + 0.0030, 0.002),
            _front(brow_x, brow - 0.0028, 0.002),
            head,
            tinted(look.hair, 0.95),
            0.014,
        )
    _nose(builder, skin)
    lips_x = 0.025 * across
    bow = 1.5475 + 0.0068 * arch - 0.0022 * np.exp(-((across / 0.22) ** 2))
    under = 1.547 - 0.0095 * arch
    gap = 1.547 - 0.0008 * arch
    builder.strip(_front(lips_x, bow, 0.003), _front(lips_x, gap, 0.003), head, _lips(skin, 0.80), 0.012)
    builder.strip(_front(lips_x, gap, 0.003), _front(lips_x, under, 0.003), head, _lips(skin, 0.92), 0.012)
    builder.strip(
        _front(lips_x, gap + 0.0009, 0.004),
        _front(lips_x, gap - 0.0009, 0.004),
        head,
        tinted(skin, 0.35),
        0.016,
    )
    chin = 0.016 * across
    builder.strip(
        _front(chin, 1.5335, 0.001),
        _front(chin, 1.5305 - 0.001 * arch, 0.001),
        head,
        tinted(skin, 0.86),
        0.010,
    )


def _lips(skin: tuple[int, int, int], factor: float) -> Colour:
    return tinted((skin[0], skin[1] * 0.68, skin[2] * 0.70), factor)


def _nose(builder: Builder, skin: tuple[int, int, int]) -> None:
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
    side, tip = tinted(skin, 0.96), tinted(skin, 1.05)
    builder.face((a, a + 2, a + 5, a + 5), tinted(skin, 0.92), 0.010)
    builder.face((a, a + 7, a + 2, a + 2), side, 0.012)
    builder.face((a, a + 6, a + 3, a + 3), tinted(skin, 0.92), 0.010)
    builder.face((a, a + 3, a + 8, a + 8), side, 0.012)
    builder.face((a, a + 1, a + 7, a + 7), tip, 0.014)
    builder.face((a, a + 8, a + 1, a + 1), tip, 0.014)
    builder.face((a + 1, a + 8, a + 7, a + 7), tip, 0.014)
    builder.face((a + 7, a + 8, a + 3, a + 4), tinted(skin, 0.62), 0.013)
    builder.face((a + 7, a + 4, a + 2, a + 2), tinted(skin, 0.62), 0.013)
    for sign in (1.0, -1.0):
        across = np.linspace(-1, 1, 5)
        hole = np.stack([sign * 0.0075 + 0.0035 * across, 0 * across, np.full(5, z + 0.014)], axis=-1)
        up, down = hole + np.array([0, 1.5795, 0]), hole + np.array([0, 1.576, 0])
        builder.strip(up, down, {"head": 1.0}, tinted(skin, 0.35), 0.020)
