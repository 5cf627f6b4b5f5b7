"""Pictures as PNG, in a way that suits drawings: most rows are the one above again, so only differences are packed.

OpenCV packs differences along rows, which takes more than twice as long here.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_UP: Final = 2
"""Filter of a row: what is stored is the difference from the row above (PNG, third edition, 9.2)."""

_COLOUR: Final = 2
_LEVEL: Final = 3


def png(picture: npt.NDArray[np.uint8]) -> bytes:
    """A picture as PNG; the same bytes for the same picture.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint8
        Blue, green, red; at least a pixel.

    Raises
    ------
    ValueError
        If it is no such picture.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise ValueError(f"no picture in three colours: {picture.dtype} of shape {picture.shape}")
    height, width = picture.shape[:2]
    pixels = picture[:, :, ::-1].reshape(height, -1)
    rows = np.empty((height, 1 + pixels.shape[1]), np.uint8)
    rows[:, 0] = _UP
    rows[0, 1:] = pixels[0]
    np.subtract(pixels[1:], pixels[:-1], out=rows[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": zlib.compress(rows.tobytes(), _LEVEL), b"IEND": b""}
    return _SIGNATURE + b"".join(_chunk(name, data) for name, data in chunks.items())


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
