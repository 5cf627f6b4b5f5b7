"""What lies behind drawn dancers: walls, clutter, streets, light shows.

A backdrop is made once per shot from a camera and a seeded generator, and then gives a picture for any
time; those that stand still are drawn once. Nothing here looks like a person.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np

from d2midi_build.synthetic.anatomy import Array
from d2midi_build.synthetic.render import Backdrop, Camera, Image

BackdropMaker = Callable[[Camera, np.random.Generator], Backdrop]

_WORDS: Final = ("SALE", "OPEN", "COFFEE", "MUSIC", "CITY 24", "HELLO", "No. 7", "EXIT", "RADIO", "NEW")
_WALL_Z: Final = -1.6


def _still(picture: Image) -> Backdrop:
    return lambda time_s: picture.copy()


def _room(camera: Camera, wall: Array, floor: Array, wall_z: float = _WALL_Z, soft_px: float = 6.0) -> Image:
    """A wall and a floor with soft light; the wall's foot is at ``wall_z`` on the stage (m)."""
    width, height = camera.width_px, camera.height_px
    edge = camera.project(np.array([0.0, 0.0, wall_z]))[1]
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    glow = 1.0 - 0.10 * ((x / width - 0.45) ** 2 + (y / height - 0.35) ** 2)
    depth = np.clip((y - edge) / max(height - edge, 1.0), 0, 1)
    mix = np.clip((y - edge) / soft_px + 0.5, 0, 1)[..., None]
    lit = (
        np.asarray(wall) * glow[..., None] * (1 - mix)
        + np.asarray(floor) * (0.92 + 0.12 * depth)[..., None] * mix
    )
    return np.asarray(np.clip(lit, 0, 255)).round().astype(np.uint8)


def _foot(camera: Camera) -> int:
    """The row at which the wall meets the floor, inside the picture."""
    return int(np.clip(camera.project(np.array([0.0, 0.0, _WALL_Z]))[1], 8, camera.height_px))


def _colour(rng: np.random.Generator, low: int = 20, high: int = 240) -> tuple[int, int, int]:
    r, g, b = (int(v) for v in rng.integers(low, high, 3))
    return r, g, b


def grey_wall(camera: Camera, rng: np.random.Generator) -> Backdrop:
    """Grey, a different one each time."""
    level = rng.uniform(150, 205)
    return _still(_room(camera, np.full(3, level) + rng.uniform(-4, 4, 3), np.full(3, level - 48)))


def white_wall(camera: Camera, rng: np.random.Generator) -> Backdrop:
    """Almost white, the floor as well."""
    return _still(_room(camera, np.full(3, 250.0), np.full(3, rng.uniform(228, 246)), soft_px=20))


def coloured_wall(camera: Camera, rng: np.random.Generator) -> Backdrop:
    """One strong colour, and a floor that is darker."""
    hue, pale, bright = rng.uniform(0, 1), rng.uniform(0.3, 0.65), rng.uniform(150, 220)
    wall = bright * np.array([1 - pale * (0.5 + 0.5 * np.cos(2 * np.pi * (hue + k / 3))) for k in range(3)])
    return _still(_room(camera, wall, wall * 0.7))


def gradient_wall(camera: Camera, rng: np.random.Generator) -> Backdrop:
    """A wall that goes from one soft colour to another, seamless into the floor."""
    top, bottom = rng.uniform(90, 230, 3), rng.uniform(140, 240, 3)
    share = np.linspace(0, 1, camera.height_px)[:, None, None]
    column = top * (1 - share) + bottom * share
    return _still(np.repeat(column, camera.width_px, axis=1).round().astype(np.uint8))


def studio(camera: Camera, rng: np.random.Generator) -> Backdrop:
    """A studio without a visible edge, darker towards the corners."""
    width, height = camera.width_px, camera.height_px
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    radius = np.hypot(x / width - 0.5, (y / height - 0.5) * 0.8)
    base = rng.uniform(195, 235) * np.array([1.0, rng.uniform(0.97, 1.0), rng.uniform(0.94, 1.0)])
    return _still((base * (1.0 - 0.9 * radius**2)[..., None]).round().astype(np.uint8))


def panelled_wall(camera: Camera, rng: np.random.Generator) -> Backdrop:
    """A plain wall of panels: thin dark seams, and a skirting board."""
    picture = grey_wall(camera, rng)(0.0)
    foot, step = _foot(camera), int(rng.integers(60, 90))
    for x in range(int(rng.integers(step)), camera.width_px, step):
        cv2.line(picture, (x, 0), (x, foot), (95, 95, 98), 1, cv2.LINE_AA)
    cv2.line(picture, (0, foot), (camera.width_px, foot), (60, 60, 62), 3)
    return _still(picture)


def _with_one_thing(thing: str) -> BackdropMaker:
    """A grey wall and one object at the side."""

    def make(camera: Camera, rng: np.random.Generator) -> Backdrop:
        picture = grey_wall(camera, rng)(0.0)
        foot, unit = _foot(camera), camera.focal_px / 6.2  # pixels per metre at the wall
        x = int(camera.width_px * rng.choice([0.26, 0.74]))
        if thing == "door":
            left, right, top = x - int(0.45 * unit), x + int(0.45 * unit), foot - int(2.0 * unit)
            cv2.rectangle(picture, (left, top), (right, foot), (112, 84, 60), -1)
            cv2.rectangle(picture, (left, top), (right, foot), (70, 52, 38), 3)
            cv2.circle(picture, (right - int(0.1 * unit), foot - int(unit)), 3, (200, 190, 120), -1)
        elif thing == "plant":
            pot = np.array([[-0.18, 0.0], [0.18, 0.0], [0.24, 0.38], [-0.24, 0.38]])
            corners = np.round([x, foot + 8] + pot * [unit, -unit]).astype(np.int32)
            for angle in np.radians(rng.uniform(20, 160, 22)):
                length = rng.uniform(0.5, 1.0) * unit
                tip = (x + int(length * np.cos(angle)), foot - int(0.38 * unit + length * np.sin(angle)))
                green = (30, int(rng.integers(90, 160)), 50)
                cv2.line(picture, (x, foot - int(0.3 * unit)), tip, green, 4, cv2.LINE_AA)
            cv2.fillConvexPoly(picture, corners, (150, 80, 56))
        else:  # a tripod with a camera
            top = foot - int(1.3 * unit)
            for dx in (-0.35, 0.05, 0.35):
                cv2.line(picture, (x, top), (x + int(dx * unit), foot + 12), (30, 30, 32), 3, cv2.LINE_AA)
            cv2.rectangle(picture, (x - 12, top - 18), (x + 12, top), (24, 24, 26), -1)
        return _still(picture)

    return make


def shelves(camera: Camera, rng: np.random.Generator) -> Backdrop:
    """Shelves full of books and boxes."""
    picture = grey_wall(camera, rng)(0.0)
    foot, width = _foot(camera), camera.width_px
    row = max(foot // 5, 24)
    for bottom in range(row, foot + 1, row):
        x = 0
        while x < width:
            w, h = int(rng.integers(6, 26)), int(rng.uniform(0.5, 0.92) * row)
            cv2.rectangle(picture, (x, bottom - h), (x + w, bottom - 4), _colour(rng), -1)
            x += w + int(rng.integers(0, 6)) + (int(rng.integers(20, 60)) if rng.random() < 0.06 else 0)
        cv2.rectangle(picture, (0, bottom - 4), (width, bottom), (96, 70, 48), -1)
    return _still(picture)


def posters(camera: Camera, rng: np.random.Generator) -> Backdrop:
    """A wall hung with pictures and signs, and boxes before it."""
    picture = coloured_wall(camera, rng)(0.0)
    foot, width = _foot(camera), camera.width_px
    for _ in range(34):
        x, y = int(rng.integers(-20, width)), int(rng.integers(-20, max(foot - 30, 1)))
        w, h = int(rng.integers(40, 130)), int(rng.integers(30, 100))
        cv2.rectangle(picture, (x, y), (x + w, min(y + h, foot)), _colour(rng), -1)
        cv2.rectangle(picture, (x, y), (x + w, min(y + h, foot)), _colour(rng, 0, 90), 2)
        word = str(rng.choice(_WORDS))
        cv2.putText(
            picture, word, (x + 6, y + h // 2), 0, rng.uniform(0.5, 0.9), _colour(rng), 2, cv2.LINE_AA
        )
    for _ in range(9):
        x, w, h = int(rng.integers(0, width)), int(rng.integers(30, 80)), int(rng.integers(20, 60))
        cv2.rectangle(picture, (x, foot - h), (x + w, foot + 10), _colour(rng, 40, 180), -1)
    return _still(picture)


def brick(camera: Camera, rng: np.random.Generator) -> Backdrop:
    """A brick wall: one texture all over, nothing in it."""
    picture = grey_wall(camera, rng)(0.0)
    foot, w, h = _foot(camera), 38, 15
    for k, y in enumerate(range(-h, foot, h)):
        for x in range(-w + (k % 2) * w // 2, camera.width_px, w):
            shade = rng.normal(0, 12)
            colour = tuple(float(np.clip(c + shade, 0, 255)) for c in (158, 82, 62))
            cv2.rectangle(picture, (x + 2, y + 2), (x + w - 1, min(y + h, foot) - 1), colour, -1)
    return _still(picture)


def checkerboard(camera: Camera, rng: np.random.Generator) -> Backdrop:
    """Squares of two colours over wall and floor."""
    y, x = np.mgrid[0 : camera.height_px, 0 : camera.width_px]
    size = int(rng.integers(34, 50))
    odd = ((x // size + y // size) % 2)[..., None]
    return _still(np.where(odd, _colour(rng, 0, 90), _colour(rng, 160, 250)).astype(np.uint8))


def street(camera: Camera, rng: np.random.Generator) -> Backdrop:
    """Houses, and cars that pass."""
    width, foot = camera.width_px, _foot(camera)
    base = _room(camera, np.array([150.0, 185.0, 225.0]), np.array([104.0, 104.0, 108.0]))
    x = 0
    while x < width:
        w, top = int(rng.integers(60, 130)), int(rng.uniform(0.02, 0.35) * foot)
        cv2.rectangle(base, (x, top), (x + w, foot), _colour(rng, 70, 200), -1)
        for wy in range(top + 10, foot - 30, 26):
            for wx in range(x + 8, x + w - 14, 22):
                lit = (240, 220, 150) if rng.random() < 0.4 else (50, 60, 80)
                cv2.rectangle(base, (wx, wy), (wx + 11, wy + 14), lit, -1)
        x += w
    cars = [(rng.uniform(0, 1), rng.choice([-1, 1]) * rng.uniform(90, 240), _colour(rng)) for _ in range(6)]

    def at(time_s: float) -> Image:
        picture = base.copy()
        for start, speed, colour in cars:
            left = int((start * (width + 160) + speed * time_s) % (width + 160)) - 160
            cv2.rectangle(picture, (left, foot - 26), (left + 120, foot), colour, -1)
            cv2.rectangle(picture, (left + 24, foot - 46), (left + 92, foot - 26), colour, -1)
            cv2.rectangle(picture, (left + 32, foot - 42), (left + 84, foot - 28), (190, 215, 230), -1)
            for wheel in (left + 26, left + 94):
                cv2.circle(picture, (wheel, foot), 11, (20, 20, 22), -1)
        return picture

    return at


def light_show(camera: Camera, rng: np.random.Generator) -> Backdrop:
    """A dark hall with coloured beams that swing and spots that pulse."""
    width, height = camera.width_px, camera.height_px
    base = _room(camera, np.full(3, 46.0), np.full(3, 62.0))
    beams = [
        (rng.uniform(0, width), rng.uniform(0.5, 1.6), rng.uniform(0, 6), _colour(rng, 60, 255))
        for _ in range(7)
    ]

    def at(time_s: float) -> Image:
        light = np.zeros_like(base)
        for x, hz, phase, colour in beams:
            angle = 0.7 * np.sin(2 * np.pi * hz * time_s / 2 + phase)
            pulse = 0.55 + 0.45 * np.sin(2 * np.pi * hz * time_s + phase)
            foot = [(x + height * np.tan(angle) + d, height) for d in (-46, 46)]
            corners = np.array([(x - 4, 0), (x + 4, 0), foot[1], foot[0]])
            beam = np.zeros_like(base)
            cv2.fillConvexPoly(beam, corners.round().astype(np.int32), [pulse * c for c in colour])
            cv2.add(light, beam, dst=light)
        return np.asarray(cv2.add(base, cv2.blur(light, (15, 15))), np.uint8)

    return at


def video_wall(camera: Camera, rng: np.random.Generator) -> Backdrop:
    """Screens side by side, each with a moving pattern."""
    base = _room(camera, np.full(3, 30.0), np.full(3, 90.0))
    foot, width = _foot(camera), camera.width_px
    cols, rows = 5, 3
    waves = rng.uniform(-1, 1, (cols * rows, 5)) * [0.22, 0.22, 7.0, 3.0, 3.0]
    w, h = width // cols - 6, foot // rows - 6
    y, x = np.mgrid[0:h:2, 0:w:2].astype(np.float64)

    def at(time_s: float) -> Image:
        picture = base.copy()
        for k, (kx, ky, omega, p1, p2) in enumerate(waves):
            phase = kx * x + ky * y + omega * time_s
            tint = np.stack([np.sin(phase), np.sin(phase + p1), np.sin(phase + p2)], axis=-1)
            screen = cv2.resize((128 + 110 * tint).astype(np.uint8), (w, h))
            top, left = (k // cols) * (h + 6) + 3, (k % cols) * (w + 6) + 3
            picture[top : top + h, left : left + w] = screen
        return picture

    return at


def end_card(camera: Camera, rng: np.random.Generator) -> Backdrop:
    """A still card with a name on it."""
    picture = np.full((camera.height_px, camera.width_px, 3), 16, np.uint8)
    cv2.circle(picture, (camera.width_px // 2, int(0.38 * camera.height_px)), 30, _colour(rng, 120, 250), -1)
    cv2.putText(
        picture,
        "FOLLOW",
        (camera.width_px // 2 - 74, int(0.68 * camera.height_px)),
        0,
        1.2,
        (240,) * 3,
        3,
        cv2.LINE_AA,
    )
    return _still(picture)


BACKDROPS: Final[dict[str, BackdropMaker]] = {
    "grey": grey_wall,
    "white": white_wall,
    "coloured": coloured_wall,
    "gradient": gradient_wall,
    "studio": studio,
    "panels": panelled_wall,
    **{thing: _with_one_thing(thing) for thing in ("door", "plant", "tripod")},
    "shelves": shelves,
    "posters": posters,
    "brick": brick,
    "checkerboard": checkerboard,
    "street": street,
    "light-show": light_show,
    "video-wall": video_wall,
    "end-card": end_card,
}
"""Makers of backdrops; up to ``panels`` they are what dance studios have."""
