"""From the network's answers to notes."""

from __future__ import annotations

from typing import Final

from d2midi_build.music.instruments import INSTRUMENTS

INSTRUMENT_CLASSES: Final = tuple(instrument.name for instrument in INSTRUMENTS if not instrument.is_drum)
"""Names of the twelve pitched instruments, in the order of the network's outputs."""

CHUNK_FRAMES: Final = 512
"""The network's input is 11.9 s long, in training and in use."""

NOTE_SPREAD: Final = 1.5
DRUM_SPREAD: Final = 2.0
"""Onset targets are triangles of this half width (frames; half frames for drums), so that the values beside a peak
say where between two frames the onset lies (as Kong et al., 2021, have it)."""

DRUM_CLASSES: Final = ("kick", "snare", "hat", "tom", "cymbal")
_DRUM_KEYS: Final = ((35, 36), (38, 40), (42, 44, 46), (41, 43, 45, 47, 48, 50), (49, 51, 52, 53, 55, 57, 59))
"""General MIDI percussion keys of each class."""


def drum_class(key: int) -> int:
    """The class of a General MIDI percussion key, as an index into `DRUM_CLASSES`; -1 for none."""
    return next((place for place, keys in enumerate(_DRUM_KEYS) if key in keys), -1)
