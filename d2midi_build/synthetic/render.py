"""Pictures of dancers: a pinhole camera, flat-shaded quads from back to front, a plain room.

The figure is drawn at twice the size and reduced, which smooths the edges; the room is drawn once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from d2midi_build.synthetic.anatomy import BONE, Array
from d2midi_build.synthetic.body import surface
from d2midi_build.synthetic.dancer import Dance
from d2midi_build.synthetic.mesh import Surface

Image = npt.NDArray[np.uint8]
Backdrop = Callable[[float], Image]
"""What is behind the dancers at a time (s): RGB of the camera's size, a new array each."""

_SUPERSAMPLING: Final = 2
_SHIFT: Final = 4  # fractional bits of OpenCV's polygon corners
_LIGHT: Final = np.array([-0.45, 0.65, 0.70]) / np.linalg.norm([-0.45, 0.65, 0.70])
_FILL: Final = np.array([0.75, 0.10, 0.60]) / np.linalg.norm([0.75, 0.10, 0.60])


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks at the stage along -z, without roll.

    Attributes
    ----------
    width_px, height_px : int
        Size of the picture.
    focal_px : float
        Focal length in pixels.
    position_m : tuple of float
        On the stage: x, y up, z towards the camera, metres.
    pitch_deg : float
        Positive looks down.
    """

    width_px: int
    height_px: int
    focal_px: float
    position_m: tuple[float, float, float] = (0.0, 1.15, 4.6)
    pitch_deg: float = 1.5

    @classmethod
    def framing(cls, width_px: int, height_px: int) -> Camera:
        """A camera 4.6 m away that shows 2.55 m of height at the dancer."""
        return cls(width_px, height_px, height_px * 4.6 / 2.55)

    def see(self, points: Array) -> Array:
        """From the stage to the camera's axes (x right, y down, z away), metres, shape (..., 3)."""
        pitch = np.radians(self.pitch_deg)
        x, y, z = np.moveaxis(np.asarray(points) - np.array(self.position_m), -1, 0)
        down = -y * np.cos(pitch) + z * np.sin(pitch)
        away = -z * np.cos(pitch) - y * np.sin(pitch)
        return np.stack([x, down, away], axis=-1)

    def project(self, points: Array) -> Array:
        """From the stage to pixels: (0, 0) is the top left corner of the picture, shape (..., 2)."""
        seen = self.see(points)
        centre = np.array([self.width_px / 2, self.height_px / 2])
        return np.asarray(centre + self.focal_px * seen[..., :2] / seen[..., 2:], dtype=np.float64)


def render(
    dances: Sequence[Dance], times_s: Array, camera: Camera, backdrop: Backdrop | None = None
) -> Iterator[Image]:
    """Pictures at exact times.

    Parameters
    ----------
    dances : sequence of Dance
        The dancers in view; may be empty.
    times_s : np.ndarray, shape=(n,)
        Seconds.
    camera : Camera
        Where from.
    backdrop : callable, optional
        Draws what is behind them. Default is a plain grey room.

    Yields
    ------
    np.ndarray, shape=(height_px, width_px, 3)
        RGB, a new array each.
    """
    poses = [dance.pose(times_s) for dance in dances]
    surfaces = [surface(dance.look) for dance in dances]
    for k in range(len(times_s)):
        picture = _room(camera).copy() if backdrop is None else backdrop(float(times_s[k]))
        frame = [(rotations[k], positions[k]) for rotations, positions in poses]
        _cast_shadows(picture, [positions for _, positions in frame], camera)
        # The farther dancer first.
        for i in sorted(range(len(frame)), key=lambda i: frame[i][1][0, 2]):
            _draw(picture, surfaces[i], surfaces[i].posed(*frame[i]), camera)
        yield picture


@lru_cache(maxsize=8)
def _room(camera: Camera) -> Image:
    """A plain wall and floor with soft light."""
    width, height = camera.width_px, camera.height_px
    edge = camera.project(np.array([0.0, 0.0, -1.6]))[1]
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    glow = 1.0 - 0.10 * ((x / width - 0.45) ** 2 + (y / height - 0.35) ** 2)
    wall = np.array([196.0, 198.0, 200.0]) * glow[..., None]
    depth = np.clip((y - edge) / max(height - edge, 1.0), 0, 1)
    floor = np.array([150.0, 142.0, 134.0]) * (0.92 + 0.12 * depth)[..., None]
    mix = np.clip((y - edge) / 6.0 + 0.5, 0, 1)[..., None]
    return np.asarray(wall * (1 - mix) + floor * mix).round().astype(np.uint8)


def _cast_shadows(picture: Image, positions: Sequence[Array], camera: Camera) -> None:
    """Darken the floor under the dancers with soft ellipses."""
    scale = 4
    mask = np.zeros((camera.height_px // scale, camera.width_px // scale), np.uint8)
    for joints in positions:
        blobs = [(0, 0.30, 60)] + [
            (BONE[f"{s}_{b}"], 0.13, 120) for s in ("left", "right") for b in ("toe", "foot")
        ]
        for bone, radius, strength in blobs:
            at = joints[bone] * np.array([1.0, 0.0, 1.0])
            corners = camera.project(at + radius * np.array([[-1, 0, 0], [1, 0, 0], [0, 0, -1], [0, 0, 1]]))
            centre, axes = (
                corners.mean(axis=0) / scale,
                (corners[1, 0] - corners[0, 0], corners[3, 1] - corners[2, 1]),
            )
            fade = strength / (1 + 8 * max(joints[bone, 1] - 0.08, 0.0) * (bone != 0))
            blob = np.zeros_like(mask)
            size = (max(int(axes[0] / 2 / scale), 1), max(int(axes[1] / 2 / scale), 1))
            cv2.ellipse(blob, (int(centre[0]), int(centre[1])), size, 0, 0, 360, (float(fade),), -1)
            np.maximum(mask, blob, out=mask)
    top = int(0.6 * mask.shape[0])
    soft = cv2.GaussianBlur(mask[top:], (0, 0), 2.0)
    full = cv2.resize(soft, (camera.width_px, camera.height_px - top * scale), interpolation=cv2.INTER_LINEAR)
    rows = picture[top * scale :]
    kept = cv2.cvtColor(255 - full, cv2.COLOR_GRAY2RGB)
    cv2.multiply(rows, kept, dst=rows, scale=1 / 255)


def _draw(picture: Image, body: Surface, vertices: Array, camera: Camera) -> None:
    """Draw one dancer over the picture."""
    pixels = camera.project(vertices)
    height, width = picture.shape[:2]
    left, top = np.maximum(np.floor(pixels.min(axis=0)).astype(int) - 2, 0)
    right, bottom = np.minimum(np.ceil(pixels.max(axis=0)).astype(int) + 2, (width, height))
    if right <= left or bottom <= top:
        return
    corners = pixels[body.faces]
    a, b = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
    # Pixel y points down: an outward face is clockwise there.
    visible = np.flatnonzero(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] < 0)
    quads = vertices[body.faces[visible]]
    normals = np.cross(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1])
    normals /= np.linalg.norm(normals, axis=1)[:, None] + 1e-12
    shade = 0.52 + 0.46 * np.maximum(normals @ _LIGHT, 0) + 0.16 * np.maximum(normals @ _FILL, 0)
    flat = body.flat[visible]
    shade = shade * (1 - flat) + 0.95 * flat
    colours = np.minimum(body.colours[visible] * shade[:, None], 255.0)
    distance = np.linalg.norm(quads.mean(axis=1) - np.array(camera.position_m), axis=1) - body.lifts[visible]
    order = np.argsort(-distance, kind="stable")
    k = _SUPERSAMPLING
    canvas = cv2.resize(
        picture[top:bottom, left:right],
        ((right - left) * k, (bottom - top) * k),
        interpolation=cv2.INTER_NEAREST,
    )
    # OpenCV's integer coordinates are pixel centres.
    placed = ((corners[visible] - (left, top)) * k - 0.5) * (1 << _SHIFT)
    points = np.round(placed).astype(np.int32)[order]
    for quad, colour in zip(points, colours[order].tolist(), strict=True):
        cv2.fillConvexPoly(canvas, quad, colour, cv2.LINE_8, _SHIFT)
    smooth = cv2.GaussianBlur(canvas, (3, 3), 0.8)
    picture[top:bottom, left:right] = cv2.resize(
        smooth, (right - left, bottom - top), interpolation=cv2.INTER_AREA
    )
