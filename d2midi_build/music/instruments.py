"""The 13 instruments of the dataset (Dance2MIDI, section 3.3) and how General MIDI maps to them.

Each instrument stands for one General MIDI family of eight programs, except the drum kit, which is
MIDI channel 10 whatever its program. The families 96-127 have no instrument of their own in the
paper; `instrument_of` maps each of their programs to the one that makes its sound in the most
similar way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DRUM_CHANNEL: Final = 9
"""The drum channel, counted from 0 as MIDI libraries do (users know it as channel 10)."""


@dataclass(frozen=True)
class Instrument:
    """One of the 13 instruments.

    Attributes
    ----------
    name : str
        The General MIDI name; ``"Drum"`` for the drum kit.
    program : int
        General MIDI program counted from 0; 0 for the drum kit, where the channel says what it is.
    is_drum : bool
    """

    name: str
    program: int
    is_drum: bool = False


PIANO: Final = Instrument("Acoustic Grand Piano", 0)
CELESTA: Final = Instrument("Celesta", 8)
ORGAN: Final = Instrument("Drawbar Organ", 16)
GUITAR: Final = Instrument("Acoustic Guitar (nylon)", 24)
BASS: Final = Instrument("Acoustic Bass", 32)
VIOLIN: Final = Instrument("Violin", 40)
STRINGS: Final = Instrument("String Ensemble 1", 48)
BRASS: Final = Instrument("SynthBrass 1", 62)
SAX: Final = Instrument("Soprano Sax", 64)
PICCOLO: Final = Instrument("Piccolo", 72)
LEAD: Final = Instrument("Lead 1 (square)", 80)
PAD: Final = Instrument("Pad 1 (new age)", 88)
DRUM: Final = Instrument("Drum", 0, is_drum=True)

INSTRUMENTS: Final = (
    PIANO,
    CELESTA,
    ORGAN,
    GUITAR,
    BASS,
    VIOLIN,
    STRINGS,
    BRASS,
    SAX,
    PICCOLO,
    LEAD,
    PAD,
    DRUM,
)
"""All 13, in the order of their programs, the drum kit last. The order is part of file formats."""

_BY_NAME: Final = {instrument.name: instrument for instrument in INSTRUMENTS}

_FAMILIES: Final = INSTRUMENTS[:12]
"""Programs 0-95: one instrument per family of eight."""

_BEYOND_FAMILIES: Final = (
    *[PAD] * 8,  # 96-103 synth effects: slow, sustained
    *[GUITAR] * 4,  # 104-107 sitar, banjo, shamisen, koto: plucked strings
    CELESTA,  # 108 kalimba: struck metal
    SAX,  # 109 bagpipe: reed
    VIOLIN,  # 110 fiddle
    SAX,  # 111 shanai: reed
    *[CELESTA] * 8,  # 112-119 percussive (tinkle bell ... reverse cymbal) played at a pitch: struck
    *[PAD] * 8,  # 120-127 sound effects
)


def instrument_named(name: str) -> Instrument:
    """The instrument called ``name``.

    Raises
    ------
    ValueError
        If it is none of the 13; the message lists them.
    """
    if name not in _BY_NAME:
        raise ValueError(f"{name!r} is not an instrument; use one of: {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def instrument_of(program: int, is_drum: bool = False) -> Instrument:
    """The instrument that stands for a General MIDI program.

    Parameters
    ----------
    program : int
        General MIDI program, 0-127.
    is_drum : bool, optional
        Whether the note is on the drum channel; then the program does not matter.

    Raises
    ------
    ValueError
        If ``program`` is outside 0-127.
    """
    if not 0 <= program <= 127:
        raise ValueError(f"program {program} is not a General MIDI program: 0-127")
    if is_drum:
        return DRUM
    return _FAMILIES[program // 8] if program < 96 else _BEYOND_FAMILIES[program - 96]
