"""How drawn scenes are filmed and edited: a camera that moves, captions, titles, flashes of light."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from d2midi_build.synthetic.anatomy import Array
from d2midi_build.synthetic.render import Image

MARGIN: Final = 1.3
"""A moving camera sees a window of a picture this many times as large in both directions."""

_LYRICS: Final = ("turn around again", "oh the lights go down", "one more time tonight", "la la la la")


def camera_path(move: str, times_s: Array, rng: np.random.Generator) -> Array:
    """Where a moving camera looks.

    Parameters
    ----------
    move : str
        ``drift`` (a few pixels, slowly), ``pan``, ``zoom`` or ``shake`` (held in a hand that walks).
    times_s : np.ndarray, shape=(n,)
        Seconds.
    rng : np.random.Generator
        Directions and phases.

    Returns
    -------
    np.ndarray, shape=(n, 3)
        Shift right and down in shares of the picture's width and height, and magnification (1 or more).

    Raises
    ------
    ValueError
        For an unknown move.
    """
    t = np.asarray(times_s, dtype=np.float64)
    right, down, larger = np.zeros_like(t), np.zeros_like(t), np.ones_like(t)
    phase = rng.uniform(0, 2 * np.pi, 8)
    if move == "drift":
        right = 0.02 * np.sin(2 * np.pi * t / 14 + phase[0])
        down = 0.01 * np.sin(2 * np.pi * t / 17 + phase[1])
    elif move == "pan":
        right = rng.choice([-1, 1]) * 0.13 * np.sin(2 * np.pi * t / 7 + phase[0])
    elif move == "zoom":
        larger = 1.125 - 0.125 * np.cos(2 * np.pi * t / 6 + phase[0])
    elif move == "shake":
        for k, hz in enumerate((0.7, 1.9, 3.3)):
            right += 0.018 / (k + 1) * np.sin(2 * np.pi * hz * t + phase[k])
            down += 0.022 / (k + 1) * np.sin(2 * np.pi * 1.1 * hz * t + phase[k + 3])
    else:
        raise ValueError(f"no camera move {move!r}")
    return np.stack([right, down, larger], axis=1)


def look_through(picture: Image, view: Array, width_px: int, height_px: int) -> Image:
    """Cut the window a moving camera sees out of a picture ``MARGIN`` times as large.

    Parameters
    ----------
    picture : np.ndarray, shape=(>= height_px * MARGIN, >= width_px * MARGIN, 3), uint8
    view : np.ndarray, shape=(3,)
        A row of ``camera_path``.
    width_px, height_px : int
        Of the result.
    """
    scale = float(view[2])
    cx = picture.shape[1] / 2 + view[0] * width_px
    cy = picture.shape[0] / 2 + view[1] * height_px
    matrix = np.array([[scale, 0, width_px / 2 - scale * cx], [0, scale, height_px / 2 - scale * cy]])
    return np.asarray(
        cv2.warpAffine(picture, matrix, (width_px, height_px), flags=cv2.INTER_LINEAR), np.uint8
    )


def _centred(picture: Image, text: str, y: int, size: float, thick: int) -> None:
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, size, thick)
    at = ((picture.shape[1] - width) // 2, y)
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_DUPLEX, size, (20, 20, 30), thick + 5, cv2.LINE_AA)
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_DUPLEX, size, (250, 245, 235), thick, cv2.LINE_AA)


def caption(picture: Image, time_s: float) -> None:
    """Write a line of lyrics over the lower edge, another every 2.5 s; in place."""
    line = _LYRICS[int(time_s / 2.5) % len(_LYRICS)]
    _centred(picture, line, int(0.94 * picture.shape[0]), picture.shape[1] / 520, 2)


def title(picture: Image, time_s: float) -> None:
    """Write big words over the middle; in place."""
    size = picture.shape[1] / 200
    for line, share in (("DANCE", 0.42), ("TONIGHT", 0.72)):
        _centred(picture, line, int(share * picture.shape[0]), size, 6)


def logo(picture: Image, time_s: float) -> None:
    """Put a small mark into the upper right corner; in place."""
    x = picture.shape[1] - 78
    cv2.circle(picture, (x, 24), 9, (240, 60, 90), -1, cv2.LINE_AA)
    cv2.putText(picture, "d-tv", (x + 14, 29), 0, 0.5, (250, 250, 250), 1, cv2.LINE_AA)


def flash(picture: Image, since_s: float) -> Image:
    """Whiten a picture that was hit by a flash some seconds ago: at once, then fading over half a second."""
    share = 0.9 * np.exp(-since_s / 0.12) if since_s >= 0 else 0.0
    return np.asarray(picture * (1 - share) + 255 * share).round().astype(np.uint8)
