"""A draft as the Listen page draws it: every note, what became of it, and which sound is its instrument's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from d2midi_build.annotate.edits import changes
from d2midi_build.annotate.layering import Row, notes_of
from d2midi_build.annotate.listen.sound import digest
from d2midi_build.annotate.listen.source import Draft, Heard
from d2midi_build.annotate.studio.lanes import DRUM_NAMES
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.report.roll import COLOURS

State = Literal["", "added", "deleted", "changed", "unread"]

CONTEXT: Final = "context"
"""Stands for the instruments of notes that are not the annotator's, which are one sound."""

_NAMES: Final = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")

_LANES: Final = {key: place for place, key in enumerate(DRUM_NAMES)}


@dataclass(frozen=True)
class Score:
    """What a draft holds, ready to be drawn and played.

    Attributes
    ----------
    rows : mapping of int to Row
        Notes that can be played.
    unread : frozenset of int
        Notes of which nobody knows what became.
    problems : tuple of str
        The draft's, and notes that cannot be.
    sounds : mapping of str to tuple of Row
        By instrument, and `CONTEXT`: what sounds together. Instruments without a note are left out.
    """

    rows: Mapping[int, Row]
    unread: frozenset[int]
    problems: tuple[str, ...]
    sounds: Mapping[str, tuple[Row, ...]]


def score(draft: Draft, heard: Heard) -> Score:
    """Sort a draft's notes by instrument; one that cannot be is left out and named among the problems."""
    rows: dict[int, Row] = {}
    unread = {*draft.unread}
    problems = list(draft.problems)
    for number, row in draft.rows.items():
        try:
            notes_of([row])
            rows[number] = row
        except ValueError as error:
            unread.add(number)
            problems.append(f"Note {number} cannot be played: {error}.")
    by_name: dict[str, list[Row]] = defaultdict(list)
    for row in rows.values():
        by_name[row.instrument].append(row)
    sounds = {each.name: tuple(by_name[each.name]) for each in INSTRUMENTS if each.name in by_name}
    if heard.context:
        sounds[CONTEXT] = heard.context
    return Score(rows, frozenset(unread), tuple(problems), sounds)


def described(found: Score, draft: Draft, heard: Heard) -> dict[str, Any]:
    """Plain data for the page, without anything of sounds but their digests. Times are seconds of the clip."""
    span = heard.shown_s
    return {
        "title": heard.title,
        "note": heard.note,
        "saved_at": draft.saved_at,
        "problems": list(found.problems),
        "sheet": {
            "id": heard.sheet.sheet_id,
            "start_s": heard.sheet.start_s,
            "end_s": heard.sheet.end_s,
            "shown_start_s": span[0],
            "shown_end_s": span[1],
        },
        "video_start_s": heard.video_start_s,
        "beats": [list(each) for each in zip(heard.beats_s, heard.positions, strict=False)],
        "instruments": [
            {"name": name, "colour": colour(name), "notes": len(rows), "sound": digest(rows, span)}
            for name, rows in found.sounds.items()
        ],
        # By time: by number, what was planted would come last.
        "notes": sorted(
            [
                *_notes(found, draft.sent),
                *(_note(row, "") | {"own": False} for row in heard.context),
            ],
            key=lambda note: (note["onset_s"], note["pitch"]),
        ),
    }


def colour(instrument: str) -> str:
    """As CSS has it; grey for `CONTEXT`."""
    blue, green, red = COLOURS.get(instrument, (140, 132, 124))
    return f"#{red:02x}{green:02x}{blue:02x}"


def pitch_name(row: Row) -> str:
    """E.g. ``C4`` for middle C, ``Snare`` for percussion key 38."""
    if row.is_drum:
        return DRUM_NAMES.get(row.pitch, f"key {row.pitch}").capitalize()
    return f"{_NAMES[row.pitch % 12]}{row.pitch // 12 - 1}"


def _notes(found: Score, sent: Mapping[int, Row]) -> Iterable[dict[str, Any]]:
    for number, row in found.rows.items():
        before = sent.get(number)
        if before is None:
            yield _note(row, "added")
        elif kinds := changes(before, row):
            yield _note(row, "changed") | {"kinds": list(kinds), "before": _note(before, "")}
        else:
            yield _note(row, "")
    for number in sorted(sent.keys() - found.rows.keys()):
        yield _note(sent[number], "unread" if number in found.unread else "deleted")


def _note(row: Row, state: State) -> dict[str, Any]:
    return {
        "own": True,
        "state": state,
        "onset_s": row.onset_s,
        "offset_s": row.offset_s,
        "pitch": row.pitch,
        "name": pitch_name(row),
        "velocity": row.velocity,
        "instrument": row.instrument,
        "colour": colour(row.instrument),
        "drum": row.is_drum,
        "lane": _LANES.get(row.pitch, len(_LANES) + row.pitch) if row.is_drum else None,
        "sure": row.p_note * row.p_instrument,
    }
