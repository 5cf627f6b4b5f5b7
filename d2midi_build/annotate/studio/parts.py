"""Parts of a sheet: what one task holds.

A browser becomes slow with many hundred rectangles, and nobody reads a roll of sixty rows. So a dense sheet is sent as
several tasks (drums, bass, all the rest), which show each other's notes but do not let them be changed.
"""

from __future__ import annotations

from typing import Final

from d2midi_build.annotate.layering import Layer, Row
from d2midi_build.music.instruments import BASS

DENSE: Final = 400
"""Notes of a sheet above which it is sent in parts: Label Studio needs 5-12 s to open 300 (facts/label-studio.md)."""

ROWS: Final = 36
"""Pitches of a sheet above which it is sent in parts: as many rows are in view at 1440 x 900."""

WHOLE: Final = "all"
PARTS: Final = ("drums", "bass", "rest")
"""Names of parts, in the order in which they are sent."""


def parts(notes: Layer) -> dict[str, Layer]:
    """The notes of a sheet by part: all in one, or where that is dense those parts that have notes.

    The part ``rest`` is always there where there are parts: what the machine has missed can be added in it.
    """
    pitches = {row.pitch for row in notes.values() if not row.is_drum}
    if len(notes) <= DENSE and len(pitches) <= ROWS:
        return {WHOLE: notes}
    found: dict[str, dict[int, Row]] = {name: {} for name in PARTS}
    for number, row in notes.items():
        found[_part(row)][number] = row
    return {name: rows for name, rows in found.items() if rows or name == "rest"}


def _part(row: Row) -> str:
    if row.is_drum:
        return "drums"
    return "bass" if row.instrument == BASS.name else "rest"
