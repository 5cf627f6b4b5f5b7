"""Six genres that differ as real ones do: in tempo, in which limbs move, in instruments and in drum patterns.

The names are those of the paper (Dance2MIDI, section 3.4). The figures are made up: tempi overlap between genres, so
that no tempo tells a genre, and crowd about each genre's middle, so that music within 4 % of a tempo is found in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from d2midi_build.music.instruments import (
    BRASS,
    CELESTA,
    GUITAR,
    LEAD,
    ORGAN,
    PAD,
    PIANO,
    SAX,
    STRINGS,
    VIOLIN,
    Instrument,
)

Pattern = Mapping[int, tuple[float, ...]]
"""One bar of four beats: when each percussion key (General MIDI) is struck, in beats."""

_BEATS: Final = (0.0, 1.0, 2.0, 3.0)
_OFF_BEATS: Final = (0.5, 1.5, 2.5, 3.5)
_EIGHTHS: Final = tuple(step / 2 for step in range(8))
_SIXTEENTHS: Final = tuple(step / 4 for step in range(16))

_KICK, _STICK, _SNARE, _CLAP, _LOW_TOM, _HAT, _OPEN_HAT = 36, 37, 38, 39, 41, 42, 46
_CRASH, _RIDE, _COWBELL, _CONGA, _SHAKER = 49, 51, 56, 63, 70


@dataclass(frozen=True)
class Genre:
    """What the sources of one genre have in common.

    Attributes
    ----------
    name : str
    tempo_bpm : tuple of float
        Least, most common and largest.
    arms, legs, trunk : float
        How far they move, in shares of what `synthetic.dancer` makes up.
    low, high : tuple of Instrument
        What plays chords and melody; one of each is drawn per song. The bass is everywhere the same.
    drums : tuple of Pattern
        One is drawn per song.
    """

    name: str
    tempo_bpm: tuple[float, float, float]
    arms: float
    legs: float
    trunk: float
    low: tuple[Instrument, ...]
    high: tuple[Instrument, ...]
    drums: tuple[Pattern, ...]


GENRES: Final = (
    Genre(
        "ballet",
        (82.0, 98.0, 116.0),
        arms=1.1,
        legs=0.8,
        trunk=0.5,
        low=(PIANO, STRINGS),
        high=(CELESTA, VIOLIN),
        drums=({_RIDE: _BEATS, _LOW_TOM: (0.0,)}, {_RIDE: (1.0, 2.0, 3.0), _KICK: (0.0,)}),
    ),
    Genre(
        "classical",
        (80.0, 92.0, 112.0),
        arms=0.7,
        legs=0.5,
        trunk=0.7,
        low=(STRINGS,),
        high=(VIOLIN, PIANO),
        drums=({_LOW_TOM: (0.0, 2.0), _CRASH: (0.0,)}, {_LOW_TOM: (0.0, 2.0, 3.0), _STICK: _BEATS}),
    ),
    Genre(
        "hip-hop",
        (82.0, 94.0, 114.0),
        arms=0.9,
        legs=1.0,
        trunk=1.3,
        low=(PIANO, PAD),
        high=(LEAD, SAX),
        drums=(
            {_KICK: (0.0, 0.75, 2.5), _SNARE: (1.0, 3.0), _HAT: _EIGHTHS},
            {_KICK: (0.0, 1.75, 2.25), _CLAP: (1.0, 3.0), _HAT: _SIXTEENTHS},
        ),
    ),
    Genre(
        "house",
        (112.0, 124.0, 140.0),
        arms=0.5,
        legs=1.3,
        trunk=0.8,
        low=(ORGAN, PAD),
        high=(LEAD,),
        drums=(
            {_KICK: _BEATS, _CLAP: (1.0, 3.0), _OPEN_HAT: _OFF_BEATS},
            {_KICK: _BEATS, _SNARE: (1.0, 3.0), _OPEN_HAT: _OFF_BEATS, _HAT: _SIXTEENTHS},
        ),
    ),
    Genre(
        "latin",
        (104.0, 122.0, 150.0),
        arms=0.6,
        legs=1.1,
        trunk=1.5,
        low=(GUITAR, PIANO),
        high=(BRASS, SAX),
        drums=(
            {_KICK: (0.0, 1.5, 2.0, 3.5), _CONGA: (1.0, 3.0, 3.5), _SHAKER: _EIGHTHS},
            {_KICK: (0.0, 2.0), _STICK: (0.0, 1.5, 3.0), _COWBELL: _BEATS, _CONGA: (1.5, 3.5)},
        ),
    ),
    Genre(
        "modern",
        (90.0, 108.0, 128.0),
        arms=1.0,
        legs=0.7,
        trunk=1.0,
        low=(PIANO, GUITAR),
        high=(LEAD, CELESTA),
        drums=(
            {_KICK: (0.0, 2.5), _SNARE: (2.0,), _HAT: _EIGHTHS},
            {_KICK: (0.0, 1.5), _STICK: (1.0, 3.0), _RIDE: _EIGHTHS},
        ),
    ),
)
"""In order of their names."""
