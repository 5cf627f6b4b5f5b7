"""The 13 instruments of the dataset (Dance2MIDI, section 3.3) and how General MIDI maps to them.

Each instrument stands for one General MIDI family of eight programs, except the drum kit, which is
MIDI channel 10 whatever its program. Inside a family there are no exceptions, as in MT3's classes
("midi_class", which the paper's list follows), even where another instrument would be closer (pizzicato is among
the violins). The families 96-127 have no instrument of their own in the paper; `instrument_of` maps
each of their programs to the one that makes its sound in the most similar way. None goes to the drum
kit: a pitch there is the name of a drum. All 128 with reasons: docs/reference/instruments.md, which is
written from here.
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

DRUM_CLASSES: Final[dict[str, tuple[int, ...]]] = {
    "kick": (36, 35),
    "snare": (38, 40),
    "hat": (42, 44, 46),
    "tom": (45, 41, 43, 47, 48, 50),
    "cymbal": (49, 51, 52, 53, 55, 57, 59),
}
"""General MIDI percussion keys per class of sound; the first stands for the class. Sticks, claps, cowbell,
tambourine, shakers and hand drums are in none."""

PATTERN_KEYS: Final[dict[str, tuple[int, ...]]] = {
    "kick": DRUM_CLASSES["kick"],
    "snare": (*DRUM_CLASSES["snare"], 37, 39),
    "hat": DRUM_CLASSES["hat"],
}
"""Percussion keys by their part in a drum pattern: side stick (37) and clap (39) sound unlike a snare, but take its
place on the backbeat."""

_BY_NAME: Final = {instrument.name: instrument for instrument in INSTRUMENTS}

_FAMILIES: Final = INSTRUMENTS[:12]
"""Programs 0-95: one instrument per family of eight."""

_BEYOND_FAMILIES: Final = (
    (PAD, "a slow synth texture, pad-like"),  # 96 rain
    (PAD, "a slow synth texture, pad-like"),  # 97 soundtrack
    (CELESTA, "a struck, bell-like synth: nothing sustains"),  # 98 crystal
    (PAD, "a plucked attack, but what sounds on is a pad"),  # 99 atmosphere
    (PAD, "a bright sustained synth"),  # 100 brightness
    (PAD, "a slow synth texture, pad-like"),  # 101 goblins
    (PAD, "a slow synth texture, pad-like"),  # 102 echoes
    (PAD, "a slow synth texture, pad-like"),  # 103 sci-fi
    (GUITAR, "a plucked string"),  # 104 sitar
    (GUITAR, "a plucked string"),  # 105 banjo
    (GUITAR, "a plucked string"),  # 106 shamisen
    (GUITAR, "a plucked string"),  # 107 koto
    (CELESTA, "metal tongues, plucked: they ring like struck metal"),  # 108 kalimba
    (SAX, "a reed"),  # 109 bagpipe
    (VIOLIN, "a violin by another name"),  # 110 fiddle
    (SAX, "a reed"),  # 111 shanai
    (CELESTA, "struck metal"),  # 112 tinkle bell
    (CELESTA, "struck metal"),  # 113 agogo
    (CELESTA, "struck metal"),  # 114 steel drums
    (CELESTA, "struck, and played at a pitch: its pitches are no keys of the drum kit"),  # 115 woodblock
    (CELESTA, "struck, and played at a pitch: its pitches are no keys of the drum kit"),  # 116 taiko drum
    (CELESTA, "struck, and played at a pitch: its pitches are no keys of the drum kit"),  # 117 melodic tom
    (CELESTA, "struck, and played at a pitch: its pitches are no keys of the drum kit"),  # 118 synth drum
    (PAD, "a noise that swells; nothing is struck"),  # 119 reverse cymbal
    *[(PAD, "a noise without a pitch; no instrument is like it")] * 8,  # 120-127 sound effects
)
"""Programs 96-127: the instrument whose sound is made in the most similar way, and why."""

_MISFITS: Final = {
    15: "zither-like strings, struck: between this and guitar",
    22: "free reeds: closer to the organ than to any wind of the 13",
    23: "free reeds: closer to the organ than to any wind of the 13",
    45: "plucked: sounds more like a guitar",
    46: "plucked: sounds more like a guitar",
    47: "a drum with a pitch: like none of the 13",
    55: "a sample of a whole orchestra",
}
"""Programs below 96 that their family's instrument resembles least; the family decides all the same."""

FAMILY_REASON: Final = "its family"
"""Why a program below 96 has its instrument."""


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
    return _FAMILIES[program // 8] if program < 96 else _BEYOND_FAMILIES[program - 96][0]


def mapping_reason(program: int) -> str:
    """Why a General MIDI program, 0-127, has the instrument that `instrument_of` gives it.

    Raises
    ------
    ValueError
        If ``program`` is outside 0-127.
    """
    instrument_of(program)
    if program >= 96:
        return _BEYOND_FAMILIES[program - 96][1]
    return f"{FAMILY_REASON} ({_MISFITS[program]})" if program in _MISFITS else FAMILY_REASON
