"""Events from notes: what magenta/mt3 trains a model to say of each segment. `codec` reads them back."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, Literal

import numpy as np

from d2midi_build.errors import UsageError
from d2midi_build.transcribers.mt3.codec import CodedNote, Tokens
from d2midi_build.transcribers.mt3.vocabulary import MAX_SHIFT, STEPS_PER_S, Vocabulary, whole_steps

_FRAMES_PER_S: Final = 125

Granularity = Literal["full", "midi_class", "flat"]
_Event = tuple[str, int]
_Change = tuple[int, int, CodedNote]
"""Step, velocity bin (0 ends the note) and note."""


def encode(
    notes: Sequence[CodedNote],
    n_frames: int,
    segment_frames: int,
    vocabulary: Vocabulary,
    ties: bool,
    granularity: Granularity = "full",
) -> list[Tokens]:
    """What is to be said of each segment of a recording with these notes.

    As in the reference, the last segment says whatever comes after the last frame as well, and a segment that begins
    after the step of the last event of all lists the notes that sounded just before that step.

    Parameters
    ----------
    notes : sequence of CodedNote
        In any order. Times are rounded to 10 ms; offsets of drums are not said. Events cannot tell overlapping notes of
        the same pitch and program apart: see `trimmed`.
    n_frames, segment_frames : int
        Frames of 8 ms of the recording, and of a segment.
    vocabulary : Vocabulary
    ties : bool
        Whether segments begin with the notes that go on sounding.
    granularity : {"full", "midi_class", "flat"}
        Say programs as they are, the first one of each group of eight instead, or none.

    Returns
    -------
    list of Tokens
        One for each segment, without ``EOS``.

    Raises
    ------
    UsageError
        If events cannot say a note: its time runs backwards or starts below 0, or its pitch, program or velocity is
        none of MIDI's.
    """
    for note in notes:
        _check(note, vocabulary)
    changes = _changes(notes, vocabulary)
    steps = [step for step, _, _ in changes]
    first_frames = range(0, n_frames, segment_frames)
    starts = [frame * STEPS_PER_S // _FRAMES_PER_S for frame in first_frames]
    ends = [*(bisect_left(steps, start) for start in starts[1:]), len(changes)]
    sounding: set[tuple[int, int]] = set()
    n_followed = first = 0
    segments = []
    for frame, start, end in zip(first_frames, starts, ends, strict=False):
        said: list[_Event] = []
        if ties:
            n_before = bisect_left(steps, min([start, *steps[-1:]]))
            _follow(sounding, changes[n_followed:n_before])
            n_followed = n_before
            for program, pitch in sorted(sounding):
                said += [("program", program), ("pitch", pitch)]
            said.append(("tie", 0))
        said += _events(changes[first:end], start)
        first = end
        indices = [vocabulary.encode(*event) for event in _without_repeats(_as_coarse(said, granularity))]
        segments.append(Tokens(whole_steps(frame / _FRAMES_PER_S), np.array(indices, dtype=np.int32)))
    return segments


def trimmed(notes: Sequence[CodedNote]) -> list[CodedNote]:
    """The notes, cut where the next one of their pitch and program starts; those with nothing left are gone."""
    alike: defaultdict[tuple[int, int, bool], list[int]] = defaultdict(list)
    for i in sorted(range(len(notes)), key=lambda i: notes[i].onset_s):
        alike[notes[i].pitch, notes[i].program, notes[i].is_drum].append(i)
    cut = list(notes)
    for those in alike.values():
        for i, after in pairwise(those):
            cut[i] = notes[i]._replace(offset_s=min(notes[i].offset_s, notes[after].onset_s))
    return [note for note in cut if note.onset_s < note.offset_s]


def _check(note: CodedNote, vocabulary: Vocabulary) -> None:
    if not 0 <= note.onset_s < note.offset_s < math.inf:
        raise UsageError(f"no events for {note}: it has to start at 0 s or later and to end after that")
    if not 1 <= note.velocity <= 127:
        raise UsageError(f"no events for {note}: its velocity has to be 1-127")
    try:
        vocabulary.encode("drum" if note.is_drum else "pitch", note.pitch)
        vocabulary.encode("program", note.program)
    except UsageError as error:
        raise UsageError(f"no events for {note}: {error}") from error


def _changes(notes: Sequence[CodedNote], vocabulary: Vocabulary) -> list[_Change]:
    """Offsets and onsets by time; at the same time offsets first, drums last, otherwise by program and pitch."""
    ordered = sorted(notes, key=lambda note: (note.is_drum, note.program, note.pitch))
    timed = [(note.offset_s, 0, note) for note in ordered if not note.is_drum]
    timed += [(note.onset_s, vocabulary.velocity_bin(note.velocity), note) for note in ordered]
    timed.sort(key=lambda each: each[0])
    return [(round(time_s * STEPS_PER_S), velocity_bin, note) for time_s, velocity_bin, note in timed]


def _follow(sounding: set[tuple[int, int]], changes: Iterable[_Change]) -> None:
    """Bring the programs and pitches that sound up to date."""
    for _, velocity_bin, note in changes:
        if not note.is_drum:
            key = note.program, note.pitch
            if velocity_bin:
                sounding.add(key)
            else:
                sounding.discard(key)


def _events(changes: Iterable[_Change], start: int) -> Iterator[_Event]:
    """Events of a segment that begins at the step ``start``; every shift is counted from there."""
    now = start
    for step, velocity_bin, note in changes:
        if step > now:
            n_full, rest = divmod(step - start, MAX_SHIFT)
            yield from [("shift", MAX_SHIFT)] * n_full
            if rest:
                yield "shift", rest
            now = step
        if not note.is_drum:
            yield "program", note.program
        yield "velocity", velocity_bin
        yield ("drum" if note.is_drum else "pitch"), note.pitch


def _as_coarse(events: Iterable[_Event], granularity: Granularity) -> Iterator[_Event]:
    for kind, value in events:
        if kind != "program" or granularity == "full":
            yield kind, value
        elif granularity == "midi_class":
            yield kind, value - value % 8


def _without_repeats(events: Iterable[_Event]) -> Iterator[_Event]:
    """Without velocities and programs that hold already; none does where a segment begins."""
    holds: dict[str, int] = {}
    for kind, value in events:
        if kind in ("velocity", "program"):
            if holds.get(kind) == value:
                continue
            holds[kind] = value
        yield kind, value
