"""Notes to and from Standard MIDI Files.

Written files are type 1 at 5,120 ticks per quarter and 120 bpm, so that one tick is one sample of the
one clock and note times survive exactly. Track 0 holds the tempo; then come the instruments in their
order, a track for each of their programs.

Every note keeps its program. The first program of an instrument (the lowest) is on the instrument's own
channel, drums on channel 10. Further programs of an instrument get channels that nobody uses, those with
most notes first. MIDI has 15 channels for pitched notes: programs that find none free share their
instrument's track and channel, with a program change before each note whose program differs.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any, Final

import mido
import numpy as np

from d2midi_build import clock
from d2midi_build.errors import PermanentError
from d2midi_build.music.instruments import DRUM_CHANNEL, INSTRUMENTS
from d2midi_build.music.notes import Notes, to_samples

_TEMPO_US: Final = 60_000_000 // clock.TEMPO_BPM
"""Microseconds per quarter."""

_CHANNELS: Final = {
    instrument.name: DRUM_CHANNEL if instrument.is_drum else place + (place >= DRUM_CHANNEL)
    for place, instrument in enumerate(INSTRUMENTS)
}

# mido's own checks, its struct and text decoding, its tables.
DAMAGE: Final = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    struct.error,
    mido.KeySignatureError,
)
"""What reading a damaged file with mido can raise."""


def to_midi_bytes(notes: Notes) -> bytes:
    """The notes as a Standard MIDI File; the same notes in any order give the same bytes.

    What a channel cannot hold is settled by `Notes.playable` (overlaps, empty notes); probabilities and
    origin are not written. `Notes.as_dataset` before gives a file of the 13 programs only.
    """
    file = mido.MidiFile(type=1, ticks_per_beat=clock.TICKS_PER_QUARTER)
    head = mido.MidiTrack()
    head.append(mido.MetaMessage("set_tempo", tempo=_TEMPO_US, time=0))
    head.append(mido.MetaMessage("time_signature", numerator=4, denominator=4, time=0))
    file.tracks.append(head)
    for name, channel, mine in _tracks(notes):
        file.tracks.append(_track(mine, name, channel))
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def write_midi(notes: Notes, path: Path) -> None:
    """Write `to_midi_bytes` to ``path``."""
    path.write_bytes(to_midi_bytes(notes))


def _tracks(notes: Notes) -> list[tuple[str, int, Notes]]:
    """Name, channel and playable notes of each track, as the module's docstring says."""
    present = [i.name for i in INSTRUMENTS if (notes.instrument == i.name).any()]
    free = [c for c in range(16) if c not in {_CHANNELS[name] for name in present} | {DRUM_CHANNEL}]
    counts = {
        (name, program): int(((notes.instrument == name) & (notes.program == program)).sum())
        for name in present
        for program in np.unique(notes.program[notes.instrument == name])[1:].tolist()
    }
    wanted = sorted(counts, key=lambda each: (-counts[each], each[1]))
    own = dict(zip(wanted, free, strict=False))
    tracks = []
    for name in present:
        mine = notes.where(notes.instrument == name)
        apart = [program for instrument, program in own if instrument == name]
        tracks.append((name, _CHANNELS[name], mine.where(~np.isin(mine.program, apart)).playable()))
        tracks += [
            (f"{name}, program {program}", own[name, program], mine.where(mine.program == program).playable())
            for program in sorted(apart)
        ]
    return tracks


def _track(notes: Notes, name: str, channel: int) -> mido.MidiTrack:
    """One track, its notes playable and in canonical order."""
    onset, offset = to_samples(notes.onset_s), to_samples(notes.offset_s)
    # At equal ticks a note ends before the next begins, or the next would be cut at once.
    ends, starts = enumerate(offset.tolist()), enumerate(onset.tolist())
    events = sorted([(tick, 0, i) for i, tick in ends] + [(tick, 1, i) for i, tick in starts])
    program = int(notes.program[0])
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("track_name", name=name, time=0))
    track.append(mido.Message("program_change", channel=channel, program=program, time=0))
    now = 0
    for tick, begins, i in events:
        if begins and int(notes.program[i]) != program:
            program = int(notes.program[i])
            track.append(mido.Message("program_change", channel=channel, program=program, time=tick - now))
            now = tick
        track.append(
            mido.Message(
                "note_on" if begins else "note_off",
                channel=channel,
                note=int(notes.pitch[i]),
                velocity=int(notes.velocity[i]) if begins else 0,
                time=tick - now,
            )
        )
        now = tick
    return track


def read_midi(path: Path, origin: str = "midi") -> Notes:
    """Notes of any Standard MIDI File of type 0 or 1, times by its tempo map, probabilities 1.

    A note has the program that its own track last set on its channel, else the one that any track of
    its port did: files with more parts than channels share channels between tracks, and a player's rule,
    the newest program wins, would give them each other's. A second note-on of a sounding pitch in the same
    track and channel ends the first note; a note without an end lasts until the end of the file. Pedals,
    pitch bends, banks and sysex are not read: channel 10 alone is the drum kit. A well-formed file without
    notes gives no notes.

    Raises
    ------
    PermanentError
        If the file is not MIDI, is damaged, is of type 2 (independent songs), or counts time in
        SMPTE frames.
    """
    data = path.read_bytes()
    try:
        file = mido.MidiFile(file=io.BytesIO(data))
    except DAMAGE as error:
        raise PermanentError(
            f"{path.name} cannot be read as a MIDI file ({len(data)} bytes). Replace or remove it.",
            f"{type(error).__name__}: {error}",
        ) from error
    if file.ticks_per_beat < 0:
        raise PermanentError(
            f"{path.name} counts time in SMPTE frames (division {file.ticks_per_beat}), not in ticks per quarter. "
            "Save it again from a sequencer as type 1."
        )
    if file.type not in (0, 1) or not file.tracks or file.ticks_per_beat <= 0:
        raise PermanentError(
            f"{path.name} is a MIDI file of type {file.type} with {len(file.tracks)} tracks and "
            f"{file.ticks_per_beat} ticks per quarter; only type 0 or 1 with tracks and a positive "
            "number of ticks can be read. Save it again from a sequencer as type 1."
        )
    return _notes(file, origin)


def _notes(file: mido.MidiFile, origin: str) -> Notes:
    time_s, tempo_us = 0.0, 500_000  # 120 bpm until the file says otherwise (SMF 1.0)
    port = dict.fromkeys(range(len(file.tracks)), 0)
    own_program: dict[tuple[int, int], int] = {}
    last_program: dict[tuple[int, int], int] = {}
    sounding: dict[tuple[int, int, int], tuple[float, int, int]] = {}
    rows: list[tuple[float, float, int, int, int, bool]] = []

    def end(track: int, channel: int, pitch: int) -> bool:
        started = sounding.pop((track, channel, pitch), None)
        if started is not None:
            onset_s, velocity, used = started
            rows.append((onset_s, time_s, pitch, velocity, used, channel == DRUM_CHANNEL))
        return started is not None

    def end_elsewhere(track: int, channel: int, pitch: int) -> None:
        for other, *key in list(sounding):
            if key == [channel, pitch] and port[other] == port[track]:
                end(other, channel, pitch)
                return

    # The tempo changes at its own tick, so seconds are added up from tick differences since the last
    # change: adding per message would gather rounding errors.
    since_tick, since_s = 0, 0.0
    for tick, track, message in _in_order(file):
        time_s = since_s + (tick - since_tick) * tempo_us / (1e6 * file.ticks_per_beat)
        if message.type == "set_tempo":
            since_tick, since_s, tempo_us = tick, time_s, message.tempo
        elif message.type == "midi_port":
            port[track] = message.port
        elif message.type == "program_change":
            own_program[track, message.channel] = message.program
            last_program[port[track], message.channel] = message.program
        elif message.type == "note_on" and message.velocity > 0:
            end(track, message.channel, message.note)
            program = own_program.get(
                (track, message.channel), last_program.get((port[track], message.channel), 0)
            )
            sounding[track, message.channel, message.note] = (time_s, message.velocity, program)
        elif message.type in ("note_on", "note_off") and not end(track, message.channel, message.note):
            end_elsewhere(track, message.channel, message.note)
    for key in list(sounding):
        end(*key)
    if not rows:
        return Notes.empty()
    starts_s, ends_s, pitches, velocities, programs, drums = map(np.array, zip(*rows, strict=True))
    return Notes.create(starts_s, ends_s, pitches, velocities, programs, drums, origin=origin)


def _in_order(file: mido.MidiFile) -> list[tuple[int, int, Any]]:
    """Tick, track and message of everything, by time; at one tick in the order of the tracks."""
    found = []
    for number, track in enumerate(file.tracks):
        tick = 0
        for message in track:
            tick += message.time
            found.append((tick, number, message))
    return sorted(found, key=lambda each: each[0])
