"""The door for people who work in a DAW: a clip's notes as a MIDI file, which `daw_import` reads back.

The file says which clip it is of and, by a digest, what was in it: as a text, as the song's name and as the first
marker, since DAWs keep one of these or another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from d2midi_build import clock
from d2midi_build.annotate import daw_files
from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.corrections import Corrections
from d2midi_build.annotate.daw_files import DawFile, Played
from d2midi_build.annotate.layering import Row
from d2midi_build.annotate.layers import Sheeted, sheeted
from d2midi_build.annotate.tempo import TempoMap
from d2midi_build.digests import sha256_data
from d2midi_build.errors import UsageError
from d2midi_build.music.instruments import instrument_named
from d2midi_build.music.notes import Notes, to_samples

TOOL: Final = "midi"

_MARK: Final = "d2midi "
_DIGITS: Final = 16
_LONGEST: Final = 1000
"""Characters of a text that may be a stamp."""

Key = tuple[int, int]
"""Number of a sheet and of a note in it."""


@dataclass(frozen=True)
class Stamp:
    """What a file is of: the clip, the sheet's number or None for all, digests of the notes and of the tempo map."""

    clip: str
    sheet: int | None
    shown: str
    tempo: str

    def text(self) -> str:
        """As it stands in the file; ASCII."""
        return _MARK + json.dumps(asdict(self), separators=(",", ":"))


@dataclass(frozen=True)
class Out:
    """What goes out.

    Attributes
    ----------
    parts : mapping of int to Sheeted
        Sheets by number.
    tempo : TempoMap
    notes : mapping of Key to Played
        As the file holds them.
    unheld : mapping of Key to Key
        Notes that MIDI cannot hold, and the note of the same pitch and instrument that starts with them and is there.
    """

    parts: Mapping[int, Sheeted]
    tempo: TempoMap
    notes: Mapping[Key, Played]
    unheld: Mapping[Key, Key]

    def stamp(self, clip_id: str, sheet: int | None) -> Stamp:
        """What a file of it says that it is."""
        said = [[number, part.layered.said] for number, part in sorted(self.parts.items())]
        return Stamp(clip_id, sheet, sha256_data(said)[:_DIGITS], tempo_digest(self.tempo))


def export_midi(clip: ClipNotes, corrections: Corrections, sheet: int | None = None) -> bytes:
    """A clip's notes, corrections included (layer ``final``), as a file for a DAW.

    One track per instrument under its name; quarters and bars where the clip's beats are known, else 120 bpm with a
    tick per sample; markers where sheets begin and for bars. Times are those of the clip, also for a single sheet. With
    beats they are rounded to 1/5,120 of a beat (`TempoMap.of_beats`).

    Parameters
    ----------
    clip : ClipNotes
    corrections : Corrections
        Those of the clip.
    sheet : int, optional
        Only the notes of this sheet. Default: all.

    Raises
    ------
    UsageError
        If the clip has no such sheet.
    """
    out = outgoing(clip, corrections, sheet)
    stamp = out.stamp(clip.clip_id, sheet).text()
    marks = [(0, stamp)]
    for part in out.parts.values():
        begin, end = out.tempo.to_ticks([part.sheet.start_s, part.sheet.end_s]).tolist()
        marks += [
            (begin, f"sheet {part.sheet.number:03d} begins"),
            (end, f"sheet {part.sheet.number:03d} ends"),
        ]
    end = int(out.tempo.to_ticks(clock.frame_time_s(clip.n_frames)))
    marks += [(tick, f"bar {number}") for number, tick in enumerate(out.tempo.bars, 1) if tick < end]
    return daw_files.write(out.notes.values(), out.tempo, stamp, stamp, marks)


def stamp_of(file: DawFile) -> Stamp | None:
    """What a file says that it is of; None where the DAW has dropped that."""
    for text in file.texts:
        start = text.find(_MARK + "{")
        if start < 0:
            continue
        try:
            data, _ = json.JSONDecoder().raw_decode(text[start + len(_MARK) :][:_LONGEST])
            sheet = None if data["sheet"] is None else int(data["sheet"])
            return Stamp(str(data["clip"]), sheet, str(data["shown"]), str(data["tempo"]))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            continue
    return None


def outgoing(clip: ClipNotes, corrections: Corrections, sheet: int | None) -> Out:
    """What a file holds of a clip, or of one of its sheets; raises as `export_midi`."""
    parts = {each.sheet.number: each for each in sheeted(clip, corrections)}
    if sheet is not None:
        if sheet not in parts:
            raise UsageError(f"clip {clip.clip_id} has no sheet {sheet}: it has {len(parts)}, counted from 0")
        parts = {sheet: parts[sheet]}
    tempo = TempoMap.of_beats(clip.beats_s.tolist(), clip.positions.tolist())
    keys = [(number, note) for number, part in parts.items() for note in part.layered.final]
    notes, unheld = _playable([(key, parts[key[0]].layered.final[key[1]]) for key in keys], tempo)
    return Out(parts, tempo, notes, unheld)


def _playable(rows: list[tuple[Key, Row]], tempo: TempoMap) -> tuple[dict[Key, Played], dict[Key, Key]]:
    """What a keyboard per instrument can play of notes, as `Notes.playable` decides it, but in ticks."""
    if not rows:
        return {}, {}
    ticks = tempo.to_ticks([[row.onset_s, row.offset_s] for _, row in rows])
    instruments = [instrument_named(row.instrument) for _, row in rows]
    in_ticks = Notes.create(
        ticks[:, 0] / clock.SAMPLE_RATE_HZ,  # a tick for a sample: `Notes` knows no other grid
        ticks[:, 1] / clock.SAMPLE_RATE_HZ,
        [row.pitch for _, row in rows],
        [row.velocity for _, row in rows],
        [instrument.program for instrument in instruments],
        [instrument.is_drum for instrument in instruments],
        origin=[f"{place:09d}" for place in range(len(rows))],
    ).playable()
    played: dict[Key, Played] = {}
    first: dict[tuple[int, int, str], Key] = {}
    for place, onset_s, offset_s in zip(in_ticks.origin, in_ticks.onset_s, in_ticks.offset_s, strict=True):
        key, row = rows[int(place)]
        onset, offset = map(clock.seconds_to_sample, (onset_s, offset_s))
        played[key] = Played(onset, offset, row.pitch, row.velocity, instruments[int(place)])
        first[onset, row.pitch, row.instrument] = key
    unheld = {
        key: first[int(onset), row.pitch, row.instrument]
        for (key, row), onset in zip(rows, ticks[:, 0], strict=True)
        if key not in played
    }
    return played, unheld


def tempo_digest(tempo: TempoMap) -> str:
    """What tells that a clip's beats have been made again."""
    return sha256_data([tempo.ticks.tolist(), tempo.tempo_us.tolist()])[:_DIGITS]


def row_of(note: Played, tempo: TempoMap, scale: float = 1.0) -> Row:
    """A note of a file in the clip's time, by a map that has ``scale`` ticks for each of the file's."""
    onset, offset = to_samples(tempo.to_seconds([note.onset * scale, note.offset * scale])).tolist()
    return Row(
        clock.sample_to_seconds(onset),
        clock.sample_to_seconds(max(offset, onset + 1)),
        note.pitch,
        note.velocity,
        note.instrument.program,
        note.instrument.is_drum,
        1.0,
        1.0,
        "",
    )
