"""Text on pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

TEXT: Final[Colour] = (225, 225, 225)
"""Blue-green-red of text."""

DIM: Final[Colour] = (165, 165, 165)
"""Blue-green-red of text beside the point."""

_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Letters:
    """Letters of one size: 1 makes capitals of 21 rows."""

    scale: float

    def width(self, text: str) -> int:
        """Columns that a text takes."""
        (width, _), _ = cv2.getTextSize(text, _FONT, self.scale, 1)
        return int(width)

    def shortened(self, text: str, width: int) -> str:
        """The text, or its beginning with dots, that fits into a width."""
        if self.width(text) <= width:
            return text
        kept = next((n for n in range(len(text), 0, -1) if self.width(text[:n] + "...") <= width), 0)
        return text[:kept] + "..."

    def write(self, image: Image, text: str, x: int, y: int, colour: Colour = TEXT) -> None:
        """Write a text onto a picture, of shape (height, width, 3), from column ``x`` on the baseline ``y``."""
        cv2.putText(image, text, (x, y), _FONT, self.scale, colour, 1, cv2.LINE_AA)

    def write_before(self, image: Image, text: str, x: int, y: int) -> None:
        """Write a dim text that ends before column ``x``."""
        self.write(image, text, x - self.width(text), y, DIM)
