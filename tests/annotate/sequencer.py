"""What DAWs do to MIDI files between reading and writing them, with mido alone."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import mido

from d2midi_build.annotate.layering import Row
from d2midi_build.annotate.tempo import TempoMap

Event = tuple[int, Any]
"""Absolute tick and message."""


def opened(data: bytes) -> mido.MidiFile:
    """A file from its bytes."""
    return mido.MidiFile(file=io.BytesIO(data))


def saved(file: mido.MidiFile) -> bytes:
    """A file's bytes."""
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def absolute(track: mido.MidiTrack) -> list[Event]:
    """A track's messages by absolute tick."""
    tick, found = 0, []
    for message in track:
        tick += message.time
        found.append((tick, message))
    return found


def relative(events: list[Event]) -> mido.MidiTrack:
    """A track of messages by absolute tick, in their order where ticks are equal."""
    track, now = mido.MidiTrack(), 0
    for tick, message in sorted(events, key=lambda each: each[0]):
        track.append(message.copy(time=tick - now))
        now = tick
    return track


def remade(
    data: bytes, change: Callable[[int, Event], Event | None], ticks_per_quarter: int | None = None
) -> bytes:
    """A file with each event (and its track's number) changed, or dropped where the change is None."""
    file = opened(data)
    made = mido.MidiFile(type=file.type, ticks_per_beat=ticks_per_quarter or file.ticks_per_beat)
    for number, track in enumerate(file.tracks):
        changed = [change(number, event) for event in absolute(track)]
        made.tracks.append(relative([event for event in changed if event is not None]))
    return saved(made)


def coarser(data: bytes, ticks_per_quarter: int, rounded: Callable[[float], float] = round) -> bytes:
    """The file with as many ticks per quarter as a DAW has."""
    scale = ticks_per_quarter / opened(data).ticks_per_beat
    return remade(data, lambda _, event: (int(rounded(event[0] * scale)), event[1]), ticks_per_quarter)


def without(data: bytes, *kinds: str) -> bytes:
    """The file without events of some kinds."""
    return remade(data, lambda _, event: None if event[1].type in kinds else event)


def edited(data: bytes, track: str, change: Callable[[list[Row]], list[Row]], tempo: TempoMap) -> bytes:
    """The file with the notes of a track, as rows in the clip's time, replaced by what a person makes of them."""
    file = opened(data)
    for place, each in enumerate(file.tracks):
        if each.name != track:
            continue
        started: dict[int, tuple[int, int]] = {}
        rows, kept, channel = [], [], 0
        for tick, message in absolute(each):
            if message.type == "note_on":
                started[message.note] = tick, message.velocity
                channel = message.channel
            elif message.type == "note_off":
                onset, velocity = started.pop(message.note)
                start_s, end_s = tempo.to_seconds([onset, tick]).tolist()
                rows.append(Row(start_s, end_s, message.note, velocity, 0, False, 1.0, 1.0, ""))
            else:
                kept.append((tick, message))
                channel = getattr(message, "channel", channel)
        events: list[Event] = []
        for row in change(rows):
            on, off = tempo.to_ticks([row.onset_s, row.offset_s]).tolist()
            note_on = mido.Message("note_on", channel=channel, note=row.pitch, velocity=row.velocity)
            events += [(on, note_on), (off, mido.Message("note_off", channel=channel, note=row.pitch))]
        ends = [event for event in kept if event[1].type == "end_of_track"]
        rest = [event for event in kept if event[1].type != "end_of_track"]
        ordered = sorted(events, key=lambda event: (event[0], event[1].type == "note_on"))
        last = max(event[0] for event in [*ordered, *ends])
        file.tracks[place] = relative([*rest, *ordered, *((last, message) for _, message in ends)])
    return saved(file)
