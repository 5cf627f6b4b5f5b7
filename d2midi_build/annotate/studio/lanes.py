"""Which lanes a sheet's piano roll has: a row per pitch in use, rows nobody uses folded away, a lane per drum."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Literal

LaneKind = Literal["pitch", "drum", "fold"]

DRUM_NAMES: Final[dict[int, str]] = {
    36: "kick",
    35: "kick 2",
    38: "snare",
    40: "snare 2",
    37: "side stick",
    39: "clap",
    41: "low floor",
    43: "floor tom",
    45: "low tom",
    47: "low-mid tom",
    48: "hi-mid tom",
    50: "high tom",
    42: "closed hat",
    44: "pedal hat",
    46: "open hat",
    51: "ride",
    59: "ride 2",
    53: "ride bell",
    49: "crash",
    57: "crash 2",
    55: "splash",
    52: "china",
    54: "tambourine",
    56: "cowbell",
    70: "maracas",
    69: "cabasa",
    58: "vibraslap",
    60: "high bongo",
    61: "low bongo",
    62: "mute conga",
    63: "open conga",
    64: "low conga",
    65: "high timbale",
    66: "low timbale",
    67: "high agogo",
    68: "low agogo",
    71: "whistle",
    72: "long whistle",
    73: "short guiro",
    74: "long guiro",
    75: "claves",
    76: "hi wood blk",
    77: "lo wood blk",
    78: "mute cuica",
    79: "open cuica",
    80: "mute triang",
    81: "triangle",
}
"""Names of General MIDI's percussion keys, short enough for the left of a lane, from the lowest lane to the highest."""

USUAL_DRUMS: Final = (36, 38, 42, 46)
"""They have a lane even where nobody plays them: they are what a transcriber misses most."""

MOST_DRUMS: Final = 8
"""Lanes of drums beyond which those that only context plays get none."""

_DRUM_ORDER: Final = {key: place for place, key in enumerate(DRUM_NAMES)}
_DEFAULT: Final = range(48, 73)
"""Rows of a sheet in which nobody plays a pitch: C3 to C5."""

_WAYS: Final = ((True, 2, 4), (False, 2, 4), (False, 1, 4), (False, 1, 2), (False, 0, 2))
"""Ways to fold, the most generous first: whether pitches of context keep their rows, how many empty rows stay beside
one in use, how many in a run are worth a fold."""


@dataclass(frozen=True)
class Lane:
    """A row of the picture.

    Attributes
    ----------
    kind : {"pitch", "drum", "fold"}
        A fold is a thin strip that stands for rows which nobody uses.
    key : int
        Pitch, or General MIDI percussion key of a drum; of a fold the lowest pitch in it.
    keys : tuple of int
        All pitches of a fold, ascending; else ``(key,)``.
    top_px, height_px : int
        In natural pixels of the picture.
    """

    kind: LaneKind
    key: int
    keys: tuple[int, ...]
    top_px: int
    height_px: int

    @property
    def bottom_px(self) -> int:
        """The first pixel below it."""
        return self.top_px + self.height_px

    @property
    def name(self) -> str:
        """What stands beside it: ``C4`` (middle C is C4, 60), ``open hat``, ``C#5 - G9``."""
        if self.kind == "drum":
            return DRUM_NAMES.get(self.key, f"drum {self.key}")
        if self.kind == "pitch":
            return pitch_name(self.key)
        return f"{pitch_name(self.key)} - {pitch_name(self.keys[-1])}"

    def data(self) -> list[Any]:
        """As plain data for JSON."""
        return [self.kind, self.key, len(self.keys), self.top_px, self.height_px]

    @classmethod
    def from_data(cls, data: Any) -> Lane:
        """From what `data` made.

        Raises
        ------
        ValueError
            If it is something else.
        """
        match data:
            case ["pitch" | "drum" | "fold" as kind, int(key), int(n), int(top), int(height)] if n > 0:
                return cls(kind, key, tuple(range(key, key + n)), top, height)
        raise ValueError(f"no lane: {data!r}")


def pitch_name(pitch: int) -> str:
    """A pitch as musicians write it; middle C, 60, is C4.

    >>> pitch_name(61)
    'C#4'
    """
    return ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")[
        pitch % 12
    ] + f"{pitch // 12 - 1}"


def drum_lanes(used: Collection[int], context: Collection[int]) -> list[int]:
    """Percussion keys that get a lane, top to bottom: those used, the usual, and of context if few."""
    keys = {*used, *USUAL_DRUMS}
    beside = {*keys, *context}
    return sorted(beside if len(beside) <= MOST_DRUMS else keys, key=_drum_place, reverse=True)


def pitch_lanes(
    used: Collection[int], context: Collection[int], most_px: int, row_px: int, fold_px: int
) -> list[tuple[int, ...]]:
    """Rows and folds, top to bottom, each as its pitches.

    All 128 pitches are in exactly one; every pitch in ``used`` has a row of its own. Rows are folded as
    little as ``most_px`` asks for, and as tightly as possible where even that does not fit.

    Parameters
    ----------
    used, context : collection of int
        Pitches of the notes to correct, and of those only drawn.
    most_px : int
        Height there is.
    row_px, fold_px : int
        Heights of a row and of a fold.

    Returns
    -------
    list of tuple of int
        Ascending pitches; a fold has two or more.
    """
    if not used and not context:
        used = _DEFAULT
    found: list[tuple[int, ...]] = []
    for with_context, margin, shortest in _WAYS:
        kept = {*used, *context} if with_context else {*used}
        found = _folded(kept, margin, shortest)
        if sum(fold_px if len(keys) > 1 else row_px for keys in found) <= most_px:
            break
    return found


def _folded(used: set[int], margin: int, shortest: int) -> list[tuple[int, ...]]:
    near = {pitch + by for pitch in used for by in range(-margin, margin + 1)}
    found: list[tuple[int, ...]] = []
    for kept, run in groupby(range(128), near.__contains__):
        pitches = tuple(run)
        found += [(pitch,) for pitch in pitches] if kept or len(pitches) < shortest else [pitches]
    return found[::-1]


def _drum_place(key: int) -> tuple[int, int]:
    return _DRUM_ORDER.get(key, len(_DRUM_ORDER)), key
