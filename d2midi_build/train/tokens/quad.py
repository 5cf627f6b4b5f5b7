"""Notes as quads (event, duration, track, instrument) and back (Dance2MIDI, section 4.2; docs/decisions/0013).

    tokens = encode(notes, n_bars=bars_of(n_frames))
    tokens.quads                 # (n, 4) int16: ids of vocabulary.VOCABULARY
    decode(tokens) == grid(notes, n_bars=bars_of(n_frames))
    tokens.frames(80, 600)       # the window that starts at frame 80

**Order.** BOS; then for each measure, empty ones too, ``m32``, its chord, and for each track that plays in it
``NT`` and, step by step, ``p<step>`` and the notes that start there, by pitch; then EOS. Track 0 is the drum kit
if there is one; then come instruments by their number of notes in the whole clip, most first, equals by
program. Each instrument is one track.

**Long notes** are cut into pieces of 32 steps and a rest. A piece of 32 steps goes on in the piece of its track and
pitch that starts where it ends, **or one step before that**. A note ending with a full piece whose
pitch is struck again at once would so swallow the next note: a further piece of one step, on its own last step, closes
it (notes on the grid never overlap, so nothing else looks like that). Hence every note on the grid comes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from d2midi_build.errors import UsageError
from d2midi_build.music.notes import Notes
from d2midi_build.train.tokens.chords import chords
from d2midi_build.train.tokens.grid import MAX_BARS, Steps, to_steps
from d2midi_build.train.tokens.order import CHORD, KINDS, NOTE, POSITION, TRACK, Quads, check
from d2midi_build.train.tokens.vocabulary import (
    BOS,
    DRUMS,
    EOS,
    FIRST_DURATION,
    FIRST_INSTRUMENT,
    FIRST_PITCH,
    FIRST_POSITION,
    FIRST_TRACK,
    FRAMES_PER_BAR,
    MAX_DURATION,
    MAX_TRACKS,
    MEASURE,
    NEW_TRACK,
    PAD,
    STEPS_PER_BAR,
    VOCABULARY,
)

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tokens:
    """A sequence of n quads, with their places for relative encodings.

    Attributes
    ----------
    quads : int16, shape (n, 4)
        Ids of event, duration, track, instrument; not writeable.

    Raises
    ------
    UsageError
        If the shape is another, an id is in no table, or there are more than 10,000 measures. Whether quads make
        sense is `decode`'s affair.
    """

    quads: Quads

    def __post_init__(self) -> None:
        quads = np.array(self.quads)
        if quads.ndim != 2 or quads.shape[1] != 4:
            raise UsageError(
                f"quads have shape {quads.shape}; needed is (n, 4): event, duration, track, instrument"
            )
        wrong = ((quads < 0) | (quads >= np.array(VOCABULARY.sizes))).any(axis=1)
        if wrong.any():
            row = int(wrong.argmax())
            raise UsageError(f"quad {row} is {quads[row].tolist()}; the tables have {VOCABULARY.sizes} ids")
        if (bars := int((quads[:, 0] == MEASURE).sum())) > MAX_BARS:
            raise UsageError(f"there are {bars:,} measures; at most {MAX_BARS:,} have places. Cut the music.")
        quads = quads.astype(np.int16)
        quads.flags.writeable = False
        object.__setattr__(self, "quads", quads)

    def __len__(self) -> int:
        return len(self.quads)

    def __eq__(self, other: object) -> bool:
        """Whether both are the same quads."""
        return np.array_equal(self.quads, other.quads) if isinstance(other, Tokens) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    @property
    def n_bars(self) -> int:
        """Number of measures."""
        return int((self.quads[:, 0] == MEASURE).sum())

    @cached_property
    def measure(self) -> Quads:
        """Measure of each quad from 0, shape (n,); -1 for BOS and PAD, `n_bars` for EOS."""
        event = self.quads[:, 0]
        inside = np.cumsum(event == MEASURE) - 1
        return np.select([event == PAD, event == EOS], [-1, self.n_bars], inside).astype(np.int16)

    @cached_property
    def measure_pos(self) -> Quads:
        """Place of each quad among the parts of measures, shape (n,), as in SymphonyNet.

        Of the i-th measure (from 1) 3i - 2 for its ``m32``, 3i - 1 for its chord, 3i for the rest; 0 for BOS and PAD,
        and for EOS what another ``m32`` there would have.
        """
        event = self.quads[:, 0]
        part = np.where((event == MEASURE) | (event == EOS), 1, np.where(KINDS[event] == CHORD, 2, 3))
        return np.where(self.measure < 0, 0, 3 * self.measure + part).astype(np.int16)

    @cached_property
    def rel_pos(self) -> Quads:
        """Place of each quad in its measure, shape (n,): the same for all notes that start at one step.

        2s + 3 for ``p<s>``, 2s + 4 for the notes there, of whatever track; 1 for ``NT``; 0 for the rest. (SymphonyNet's
        scheme: odd for positions, even for notes. That notes of several tracks share it is our reading.)
        """
        event = self.quads[:, 0].astype(np.int64)
        kind = KINDS[event]
        place = 2 * (_last(event, kind == POSITION) - FIRST_POSITION) + 3
        choices = [place, place + 1, np.ones_like(place)]
        return np.select([kind == POSITION, kind == NOTE, kind == TRACK], choices, 0).astype(np.int16)

    def bars(self, first: int, count: int) -> Tokens:
        """The quads of some measures as they are, between BOS and EOS.

        Tracks keep their numbers. Notes that began earlier are missing (of one of 32 steps or more, pieces that start
        here are notes of their own); notes that last longer keep their duration, and `decode` ends them with the
        last measure.

        Raises
        ------
        UsageError
            If there are no such measures.
        """
        if first < 0 or count < 0 or first + count > self.n_bars:
            raise UsageError(
                f"measures {first} to {first + count} are asked for; there are {self.n_bars}, from 0"
            )
        inside = (self.measure >= first) & (self.measure < first + count)
        return Tokens(np.concatenate([_all(BOS), self.quads[inside], _all(EOS)]))

    def frames(self, start_frame: int, n_frames: int) -> Tokens:
        """The quads of a window of the clip, as `bars`.

        Raises
        ------
        UsageError
            If the window does not begin and end on lines of measures (multiples of 40 frames), or is not in the clip.
        """
        for name, value in (("start_frame", start_frame), ("n_frames", n_frames)):
            if value % FRAMES_PER_BAR:
                raise UsageError(
                    f"{name} is {value}, no multiple of {FRAMES_PER_BAR} frames: measures cannot be cut. Choose such "
                    "windows, or encode the window's own notes."
                )
        return self.bars(start_frame // FRAMES_PER_BAR, n_frames // FRAMES_PER_BAR)


def encode(notes: Notes, n_bars: int | None = None) -> Tokens:
    """Notes as quads; they are put on the grid (`grid.grid`) on the way. Velocities are lost.

    Parameters
    ----------
    notes : Notes
        Of a whole clip, times from its first frame. Each program is an instrument; ``notes.as_dataset()`` before leaves
        the 13 of the dataset.
    n_bars : int, optional
        Number of measures; `bars_of` a clip's frames. Default is as many as the notes need.

    Raises
    ------
    UsageError
        As `to_steps`, or if there are more than 40 instruments.
    """
    steps, _ = to_steps(notes, n_bars)
    bars = n_bars if n_bars is not None else -(-int(steps.offset.max(initial=0)) // STEPS_PER_BAR)
    track = _tracks(steps.instrument)
    pitched = steps.instrument != DRUMS
    found = chords(steps.onset[pitched], steps.offset[pitched], steps.pitch[pitched], bars)
    which, onset, duration = _pieces(steps)
    bar, step = onset // STEPS_PER_BAR, onset % STEPS_PER_BAR
    track, pitch, instrument = track[which], steps.pitch[which], steps.instrument[which]

    # What opens a group goes before it: measure and chord as tracks -2 and -1, NT as step -1, a position as pitch -1.
    every = np.arange(bars)
    block = np.unique(bar * MAX_TRACKS + track)
    place = np.unique((bar * MAX_TRACKS + track) * STEPS_PER_BAR + step)
    place_step, place_block = place % STEPS_PER_BAR, place // STEPS_PER_BAR
    rows = [
        _rows(every, -2, -1, -1, MEASURE),
        _rows(every, -1, -1, -1, found),
        _rows(block // MAX_TRACKS, block % MAX_TRACKS, -1, -1, NEW_TRACK),
        _rows(
            place_block // MAX_TRACKS, place_block % MAX_TRACKS, place_step, -1, FIRST_POSITION + place_step
        ),
        _rows(bar, track, step, pitch, FIRST_PITCH + pitch),
    ]
    bar_key, track_key, step_key, pitch_key, event = np.concatenate(rows, axis=1)
    quads = np.full((len(event), 4), PAD, dtype=np.int16)
    quads[:, 0] = event
    quads[len(event) - len(which) :, 1] = FIRST_DURATION + duration
    quads[len(event) - len(which) :, 2] = FIRST_TRACK + track
    quads[len(event) - len(which) :, 3] = FIRST_INSTRUMENT + instrument
    order = np.lexsort((pitch_key, step_key, track_key, bar_key))
    return Tokens(np.concatenate([_all(BOS), quads[order], _all(EOS)]))


def decode(tokens: Tokens) -> Notes:
    """The notes that quads say, of velocity 90, in canonical order; all on the grid, none beyond the last measure.

    Whatever `Grammar` lets through can be read, and each beginning of it. Positions, tracks and pitches may be in any
    order. What no keyboard can play is settled as on the grid: of several notes of one track, pitch and step the
    longest stays; a note that overlaps the next of its instrument and pitch is cut (unless it is a piece that goes on).

    Raises
    ------
    UsageError
        If a quad cannot stand where it does; the message names it.
    """
    check(tokens.quads)
    event = tokens.quads[:, 0].astype(np.int64)
    step = tokens.measure * STEPS_PER_BAR + _last(event, KINDS[event] == POSITION) - FIRST_POSITION
    sounds = KINDS[event] == NOTE
    duration = tokens.quads[sounds, 1].astype(np.int64) - FIRST_DURATION
    track = tokens.quads[sounds, 2].astype(np.int64) - FIRST_TRACK
    instrument = tokens.quads[sounds, 3].astype(np.int64) - FIRST_INSTRUMENT
    onset, pitch = step[sounds], event[sounds] - FIRST_PITCH

    order = np.lexsort((-duration, onset, pitch, track))
    onset, duration, pitch, instrument = onset[order], duration[order], pitch[order], instrument[order]
    key = track[order] * 128 + pitch
    longest = np.ones(len(key), dtype=np.bool_)
    longest[1:] = (key[1:] != key[:-1]) | (onset[1:] != onset[:-1])
    onset, duration, key = onset[longest], duration[longest], key[longest]
    distance = onset[1:] - onset[:-1]
    goes_on = (key[1:] == key[:-1]) & (duration[:-1] == MAX_DURATION) & (distance >= MAX_DURATION - 1)
    goes_on &= distance <= MAX_DURATION
    begins, finishes = np.ones(len(key), dtype=np.bool_), np.ones(len(key), dtype=np.bool_)
    begins[1:], finishes[:-1] = ~goes_on, ~goes_on
    offset = np.minimum((onset + duration)[finishes], tokens.n_bars * STEPS_PER_BAR)
    found = Steps(onset[begins], offset, pitch[longest][begins], instrument[longest][begins])
    return found.settled()[0].to_notes()


def _tracks(instrument: IntArray) -> IntArray:
    """Track of each note, shape (n,)."""
    present, which, counts = np.unique(instrument, return_inverse=True, return_counts=True)
    if len(present) > MAX_TRACKS:
        raise UsageError(
            f"the notes have {len(present)} instruments; tokens have {MAX_TRACKS} tracks. "
            "notes.as_dataset() leaves 13 of them."
        )
    track = np.empty(len(present), dtype=np.int64)
    track[np.lexsort((present, -counts, present != DRUMS))] = np.arange(len(present))
    return track[which]


def _pieces(steps: Steps) -> tuple[IntArray, IntArray, IntArray]:
    """Which note each piece is of, its onset and its duration; see the module's docstring."""
    length = steps.offset - steps.onset
    count = -(-length // MAX_DURATION)
    which = np.repeat(np.arange(len(length)), count)
    before = (np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)) * MAX_DURATION
    onset, duration = steps.onset[which] + before, np.minimum(length[which] - before, MAX_DURATION)
    key = steps.instrument * 128 + steps.pitch
    again = np.zeros(len(key), dtype=np.bool_)
    again[:-1] = (key[1:] == key[:-1]) & (steps.onset[1:] == steps.offset[:-1])
    closed = np.flatnonzero(again & (length % MAX_DURATION == 0))
    return (
        np.concatenate([which, closed]),
        np.concatenate([onset, steps.offset[closed] - 1]),
        np.concatenate([duration, np.ones_like(closed)]),
    )


def _rows(*columns: npt.ArrayLike) -> IntArray:
    """Columns or constants as one array, shape (columns, n)."""
    rows: IntArray = np.stack(np.broadcast_arrays(*columns)).astype(np.int64)
    return rows


def _all(special: int) -> Quads:
    return np.full((1, 4), special, dtype=np.int16)


def _last(event: IntArray, which: npt.NDArray[np.bool_]) -> IntArray:
    """Of each row the event of the last row up to it that ``which`` marks, shape (n,); the first row's before any."""
    if not len(event):
        return event
    row: IntArray = np.maximum.accumulate(np.where(which, np.arange(len(event)), 0))
    return event[row]
