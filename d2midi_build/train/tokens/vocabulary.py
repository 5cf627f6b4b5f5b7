"""The four tables of ids that quads are written with.

A token is a quad of ids: event, duration, track, instrument (Dance2MIDI, section 4.2). Every table begins with
the four specials; what a quad does not need of a table (only notes have a duration, a track and an instrument)
is its PAD, so that a loss that ignores PAD does not count it.

============  =========  ==============================================================================
table         ids        meaning
============  =========  ==============================================================================
all           0-3        PAD, BOS, EOS, MASK
event         4-131      note of MIDI pitch ``id - 4``
event         132        ``m32``: a measure of 32 steps begins
event         133-164    ``p0``-``p31``: place in the measure, in steps
event         165-297    chord of the measure: ``H<root>:<quality>``, and ``HNA`` where there is none
event         298        ``NT``: the notes of another track follow
duration      4-35       1-32 steps
track         4-43       tracks 0-39
instrument    4-131      General MIDI program ``id - 4``
instrument    132        the drum kit
============  =========  ==============================================================================

Ids never change within a version. Version 1 is the only one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from d2midi_build import clock
from d2midi_build.digests import sha256_data
from d2midi_build.errors import SchemaError

FORMAT: Final = "d2midi quads"
VERSION: Final = 1

STEPS_PER_SECOND: Final = 16
"""A step is 62.5 ms: a 1/32 note at the nominal 120 bpm, 640 samples."""

STEPS_PER_BAR: Final = 32
"""A nominal measure of four quarters: 2.000 s, 40 frames."""

SAMPLES_PER_STEP: Final = clock.SAMPLE_RATE_HZ // STEPS_PER_SECOND
FRAMES_PER_BAR: Final = clock.FPS * STEPS_PER_BAR // STEPS_PER_SECOND

VELOCITY: Final = 90
"""Velocities are not written; every note that is read has this one (as in the code that comes with the paper)."""

SPECIALS: Final = ("PAD", "BOS", "EOS", "MASK")
PAD: Final = 0
BOS: Final = 1
EOS: Final = 2
MASK: Final = 3

ROOTS: Final = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

QUALITIES: Final[dict[str, tuple[int, ...]]] = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
}
"""Qualities of chords, as semitones above the root; the order is that of their ids."""

MAX_DURATION: Final = 32
MAX_TRACKS: Final = 40
DRUMS: Final = 128
"""The drum kit among the instruments 0-128."""

FIRST_PITCH: Final = len(SPECIALS)
MEASURE: Final = FIRST_PITCH + 128
FIRST_POSITION: Final = MEASURE + 1
FIRST_CHORD: Final = FIRST_POSITION + STEPS_PER_BAR
NO_CHORD: Final = FIRST_CHORD + len(ROOTS) * len(QUALITIES)
NEW_TRACK: Final = NO_CHORD + 1
FIRST_DURATION: Final = len(SPECIALS) - 1
"""``FIRST_DURATION + steps`` is the id of a duration: 1 step has id 4."""
FIRST_TRACK: Final = len(SPECIALS)
FIRST_INSTRUMENT: Final = len(SPECIALS)


@dataclass(frozen=True)
class Vocabulary:
    """Names of all ids, by table; the place of a name is its id.

    Attributes
    ----------
    event, duration, track, instrument : tuple of str
        299, 36, 44 and 133 names.
    """

    event: tuple[str, ...]
    duration: tuple[str, ...]
    track: tuple[str, ...]
    instrument: tuple[str, ...]

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Sizes of the four tables."""
        return len(self.event), len(self.duration), len(self.track), len(self.instrument)

    @property
    def digest(self) -> str:
        """SHA-256 of all that `to_json` writes but itself."""
        return sha256_data(self._content())

    def to_json(self) -> str:
        """The tables with format, version, grid and digest; the same text each time."""
        return json.dumps({**self._content(), "digest": self.digest}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """The vocabulary that `to_json` wrote.

        Raises
        ------
        SchemaError
            If it is none, is damaged, or has other ids than this version of d2midi.
        """
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            raise SchemaError(
                f"this vocabulary is not JSON ({error}). Take it from the release again."
            ) from error
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise SchemaError(f"this is no vocabulary of quads: it has no field format that says {FORMAT!r}")
        if found.get("version") != VERSION:
            raise SchemaError(
                f"this vocabulary has version {found.get('version')!r}, this d2midi knows version {VERSION}. "
                "Use the d2midi that wrote it, or make the tokens again."
            )
        said = found.pop("digest", None)
        if said != sha256_data(found):
            raise SchemaError(
                f"this vocabulary is not what its digest {said!r} says. Take it from the release again."
            )
        if said != VOCABULARY.digest:
            raise SchemaError(
                f"this vocabulary of version {VERSION} has other ids than version {VERSION} of this d2midi "
                f"(digest {said}, not {VOCABULARY.digest}). Make the tokens again."
            )
        return VOCABULARY

    def spell(self, quad: Any) -> str:
        """A quad in words, for people: ``(n60, R4, T1, Y0)``; what it does not need is ``-``."""
        names = []
        for place, (table, number) in enumerate(zip(self._tables().values(), quad, strict=True)):
            known = 0 <= int(number) < len(table)
            name = table[int(number)] if known else f"{int(number)}?"
            names.append("-" if place and number == PAD else name)
        return f"({', '.join(names)})"

    def _tables(self) -> dict[str, tuple[str, ...]]:
        return {
            "event": self.event,
            "duration": self.duration,
            "track": self.track,
            "instrument": self.instrument,
        }

    def _content(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "grid": {
                "steps_per_second": STEPS_PER_SECOND,
                "steps_per_measure": STEPS_PER_BAR,
                "velocity_of_decoded_notes": VELOCITY,
            },
            "tables": {name: list(table) for name, table in self._tables().items()},
        }


def _standard() -> Vocabulary:
    chords = [f"H{root}:{quality}" for root in ROOTS for quality in QUALITIES]
    positions = [f"p{step}" for step in range(STEPS_PER_BAR)]
    pitches = [f"n{pitch}" for pitch in range(128)]
    return Vocabulary(
        event=(*SPECIALS, *pitches, f"m{STEPS_PER_BAR}", *positions, *chords, "HNA", "NT"),
        duration=(*SPECIALS, *(f"R{steps}" for steps in range(1, MAX_DURATION + 1))),
        track=(*SPECIALS, *(f"T{track}" for track in range(MAX_TRACKS))),
        instrument=(*SPECIALS, *(f"Y{program}" for program in range(DRUMS + 1))),
    )


VOCABULARY: Final = _standard()
"""The vocabulary of this version."""
