"""MIDI files as DAWs exchange them: a track per instrument, a tempo map, markers, and texts that say what a file is of.

Unlike `music.midi`, which reads any file as a player would, this goes by the names of tracks: DAWs rename channels and
drop programs, but keep names.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import mido
import numpy as np

from d2midi_build.annotate.tempo import TempoMap
from d2midi_build.errors import UsageError
from d2midi_build.music.instruments import (
    DRUM,
    DRUM_CHANNEL,
    INSTRUMENTS,
    Instrument,
    instrument_of,
)
from d2midi_build.music.midi import DAMAGE

_TEXTS: Final = ("text", "track_name", "marker", "cue_marker", "lyrics", "copyright", "instrument_name")
_DRUM_NAMES: Final = ("drums", "drum kit", "drumkit")
_CHANNELS: Final = {
    instrument.name: DRUM_CHANNEL if instrument.is_drum else place + (place >= DRUM_CHANNEL)
    for place, instrument in enumerate(INSTRUMENTS)
}


@dataclass(frozen=True)
class Played:
    """A note of a MIDI file: onset and offset in ticks, pitch, velocity, one of the 13 instruments."""

    onset: int
    offset: int
    pitch: int
    velocity: int
    instrument: Instrument


@dataclass(frozen=True)
class DawFile:
    """What a MIDI file holds.

    Attributes
    ----------
    notes : tuple of Played
    tempo : TempoMap
        Its own.
    texts : tuple of str
        Of all its events that hold text.
    """

    notes: tuple[Played, ...]
    tempo: TempoMap
    texts: tuple[str, ...]


def write(
    notes: Iterable[Played], tempo: TempoMap, title: str, text: str, markers: Sequence[tuple[int, str]]
) -> bytes:
    """A Standard MIDI File of type 1: a head with tempo and markers, then a track for each of the 13 instruments.

    Instruments without notes have an empty track too, so that whoever needs one finds it under its name.

    Parameters
    ----------
    notes : iterable of Played
        No two of one instrument and pitch may overlap, and each lasts at least a tick.
    tempo : TempoMap
    title : str
        Name of the first track, which DAWs show as the song's.
    text : str
        Kept as a text event of the first track.
    markers : sequence of (int, str)
        Ticks and words. Words and texts must be Latin-1.
    """
    file = mido.MidiFile(type=1, ticks_per_beat=tempo.ticks_per_quarter)
    meta = [(0, 0, mido.MetaMessage("track_name", name=title)), (0, 1, mido.MetaMessage("text", text=text))]
    meta += [
        (int(tick), 2, mido.MetaMessage("set_tempo", tempo=int(us)))
        for tick, us in zip(tempo.ticks, tempo.tempo_us, strict=True)
    ]
    meta += [
        (tick, 3, mido.MetaMessage("time_signature", numerator=metre, denominator=4))
        for tick, metre in tempo.metres
    ]
    meta += [(tick, 4, mido.MetaMessage("marker", text=words)) for tick, words in markers]
    file.tracks.append(_track(meta))
    by_instrument: dict[str, list[Played]] = {instrument.name: [] for instrument in INSTRUMENTS}
    for note in notes:
        by_instrument[note.instrument.name].append(note)
    for instrument in INSTRUMENTS:
        channel = _CHANNELS[instrument.name]
        named = mido.MetaMessage("track_name", name=instrument.name)
        program = mido.Message("program_change", channel=channel, program=instrument.program)
        events: list[tuple[int, int, Any]] = [(0, -2, named), (0, -1, program)]
        for note in by_instrument[instrument.name]:
            on = mido.Message("note_on", channel=channel, note=note.pitch, velocity=note.velocity)
            off = mido.Message("note_off", channel=channel, note=note.pitch, velocity=0)
            # At equal ticks a note ends before the next begins, or the next would be cut at once.
            events += [(note.onset, 1, on), (note.offset, 0, off)]
        file.tracks.append(_track(events))
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def _track(events: list[tuple[int, int, Any]]) -> mido.MidiTrack:
    track, now = mido.MidiTrack(), 0
    for tick, _, message in sorted(events, key=lambda each: (each[0], each[1], getattr(each[2], "note", 0))):
        track.append(message.copy(time=tick - now))
        now = tick
    return track


def read(data: bytes, name: str) -> DawFile:
    """What a MIDI file of type 0 or 1 holds; ``name`` is what errors call it.

    A track's name says its instrument, if it is one of the 13 or begins with one ("Violin 2"); otherwise channel 10 is
    the drum kit and the program that the track set says it. A second note-on of a sounding pitch ends the first note,
    whose own note-off may come later: where a key has as many note-offs as note-ons, it is not that of the second. A
    note without an end lasts until its track ends. Pedals and pitch bends are not read.

    Raises
    ------
    UsageError
        If it cannot be read, counts time in SMPTE frames, or a track with notes names no instrument.
    """
    try:
        file = mido.MidiFile(file=io.BytesIO(data))
        tempo = _tempo(file)
    except DAMAGE as error:
        raise UsageError(
            f"{name} cannot be read as a MIDI file ({str(error) or type(error).__name__}): export it from the DAW "
            "again, as MIDI type 1"
        ) from error
    if file.type not in (0, 1) or file.ticks_per_beat <= 0:
        raise UsageError(
            f"{name} is a MIDI file of type {file.type} with division {file.ticks_per_beat}: export it from the DAW "
            "again as type 1 with time in ticks per quarter, not SMPTE"
        )
    notes = [note for number, track in enumerate(file.tracks) for note in _notes(track, number, name)]
    texts = (
        str(getattr(message, "text", None) or getattr(message, "name", ""))
        for track in file.tracks
        for message in track
        if message.is_meta and message.type in _TEXTS
    )
    return DawFile(tuple(notes), tempo, tuple(texts))


def _tempo(file: mido.MidiFile) -> TempoMap:
    """A file's own tempo map; 120 bpm until it says otherwise (SMF 1.0). The last of several at one tick counts."""
    changes = {0: 500_000}
    for track in file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "set_tempo" and message.tempo > 0:
                changes[tick] = message.tempo
    ticks = sorted(changes)
    per_quarter = max(1, file.ticks_per_beat)
    return TempoMap(per_quarter, np.array(ticks), np.array([changes[tick] for tick in ticks]))


def _notes(track: mido.MidiTrack, number: int, file: str) -> list[Played]:
    named = str(getattr(track, "name", "")).strip()
    own = _named(named)
    programs: dict[int, int] = {}
    sounding: dict[tuple[int, int], tuple[int, int, Instrument]] = {}
    owed: Counter[tuple[int, int]] = Counter()  # note-offs still to come of notes that another has ended
    unpaired = _unpaired(track)
    found: list[Played] = []
    tick = 0

    def end(key: tuple[int, int]) -> None:
        onset, velocity, instrument = sounding.pop(key)
        found.append(Played(onset, tick, key[1], velocity, instrument))

    for message in track:
        tick += message.time
        if message.type == "program_change":
            programs[message.channel] = message.program
        elif message.type in ("note_on", "note_off"):
            key = message.channel, message.note
            begins = message.type == "note_on" and message.velocity > 0
            if owed[key] and not begins:
                owed[key] -= 1
                continue
            if key in sounding:
                end(key)
                owed[key] += begins and not unpaired[key]
            if begins:
                instrument = own or _by_channel(message.channel, programs)
                if instrument is None:
                    raise UsageError(_unknown(file, number, named))
                sounding[key] = tick, message.velocity, instrument
    for key in list(sounding):
        end(key)
    return found


def _unpaired(track: mido.MidiTrack) -> Counter[tuple[int, int]]:
    """By key: how many more note-ons than note-offs there are."""
    found: Counter[tuple[int, int]] = Counter()
    for message in track:
        if message.type in ("note_on", "note_off"):
            begins = message.type == "note_on" and message.velocity > 0
            found[message.channel, message.note] += 1 if begins else -1
    return found


def _named(track: str) -> Instrument | None:
    """The instrument that a track's name says: its name, or its name and something after it."""
    folded = track.casefold()
    if folded in _DRUM_NAMES:
        return DRUM
    for instrument in INSTRUMENTS:
        begin = instrument.name.casefold()
        if folded.startswith(begin) and not folded[len(begin) : len(begin) + 1].isalnum():
            return instrument
    return None


def _by_channel(channel: int, programs: Mapping[int, int]) -> Instrument | None:
    if channel == DRUM_CHANNEL:
        return DRUM
    return instrument_of(programs[channel]) if channel in programs else None


def _unknown(file: str, number: int, track: str) -> str:
    which = f"{number + 1} ({track!r})" if track else f"{number + 1}, which has no name,"
    names = ", ".join(instrument.name for instrument in INSTRUMENTS)
    return (
        f"{file}: track {which} has notes, but names none of the 13 instruments and sets no program. Name the track "
        f"after one of them in the DAW and export again: {names}"
    )
