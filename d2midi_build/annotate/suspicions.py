"""Edits that are more likely slips of the hand than corrections: reported, never refused."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final, Literal

from d2midi_build.annotate.edits import Edit, edits
from d2midi_build.annotate.layering import Layered
from d2midi_build.annotate.sheets import Sheet
from d2midi_build.music.instruments import DRUM

SuspicionKind = Literal["two_rows", "drum_on_pitch", "pitch_on_drum", "no_drum_key", "overlap", "strayed"]

_DRUM_KEYS: Final = range(27, 88)
"""Percussion keys of General MIDI 2."""


@dataclass(frozen=True)
class Suspicion:
    """What looks like a slip, the note's number in its sheet, and why in words."""

    kind: SuspicionKind
    number: int
    message: str


def suspicions(layered: Layered, sheet: Sheet) -> list[Suspicion]:
    """What looks like slips in a corrected sheet, by kind and note.

    - ``two_rows``: only the pitch changed, by exactly two rows. In Label Studio a note that is grabbed at its centre is
      resized instead of moved and becomes two rows high.
    - ``drum_on_pitch``, ``pitch_on_drum``: a pitched note was labelled as drum or a drum as pitched and stayed in its
      row, where that pitch or key means something else.
    - ``no_drum_key``: a drum that a person made or changed has a key that names no drum.
    - ``overlap``: a note that a person made or changed sounds together with one of the same pitch and instrument: MIDI
      cuts the earlier one, or drops one of two that start together.
    - ``strayed``: a note starts outside of its sheet, where others correct.
    """
    found: list[Suspicion] = []
    by_number: dict[int, list[Edit]] = defaultdict(list)
    for edit in edits(layered):
        by_number[edit.number].append(edit)
    for number, made in by_number.items():
        found += _slips(number, made)
    found += _overlaps(layered, set(by_number))
    for number in sorted(by_number):
        row = layered.final.get(number)
        if row is not None and not sheet.holds(row.onset_s):
            span = f"{sheet.start_s:g} to {sheet.end_s:g} s"
            found.append(Suspicion("strayed", number, f"{row.told()} starts outside of its sheet, {span}"))
    return sorted(found, key=lambda each: (each.kind, each.number))


def _slips(number: int, made: list[Edit]) -> list[Suspicion]:
    found = []
    kinds = {edit.kind for edit in made}
    for edit in made:
        before, after = edit.before, edit.after
        if before is None or after is None:
            continue
        stayed = kinds == {"pitch"} and not after.is_drum
        if stayed and edit.kind == "pitch" and abs(after.pitch - before.pitch) == 2:
            words = f"{after.told()} was {before.pitch}: exactly two rows away, with nothing else changed"
            found.append(Suspicion("two_rows", number, words))
        if edit.kind == "instrument" and before.pitch == after.pitch and before.is_drum != after.is_drum:
            if after.is_drum:
                words = f"{after.told()} was a note of {before.instrument} and stayed in the row of its pitch"
                found.append(Suspicion("drum_on_pitch", number, words))
            else:
                words = f"{after.told()} was a drum and stayed in the drum's lane"
                found.append(Suspicion("pitch_on_drum", number, words))
    last = made[-1].after
    if last is not None and last.is_drum and last.pitch not in _DRUM_KEYS:
        words = f"{last.told()}: key {last.pitch} is no drum"
        found.append(Suspicion("no_drum_key", number, words))
    return found


def _overlaps(layered: Layered, touched: set[int]) -> list[Suspicion]:
    """Touched notes that sound together with another of their pitch and instrument, in layer final."""
    sounding: dict[tuple[str, int], list[tuple[int, int, int]]] = defaultdict(list)
    for number, row in layered.final.items():
        onset, offset = row.span
        key = DRUM.name if row.is_drum else row.instrument
        sounding[key, row.pitch].append((onset, max(offset, onset + 1), number))
    found = []
    for spans in sounding.values():
        spans.sort()
        for place, (_, offset, number) in enumerate(spans):
            for onset2, _, other in spans[place + 1 :]:
                if onset2 >= offset:
                    break
                mine = next((each for each in (other, number) if each in touched), None)
                if mine is not None:
                    one, two = layered.final[number], layered.final[other]
                    words = f"{two.told()} begins while {one.told()} sounds: MIDI holds a pitch once"
                    found.append(Suspicion("overlap", mine, words))
    return found
