"""Notes from the events of MT3's segments, as magenta/mt3 reads them; `notes_to_events` is the way back.

Events of a segment come in order of time. ``shift`` says how many steps of 10 ms have passed since the segment began;
shifts that follow one another add up. ``velocity`` and ``program`` hold for all pitches after them, from segment to
segment. ``pitch`` starts a note, or ends one where the velocity is 0. With ties, a segment begins with the programs and
pitches that go on sounding, up to the event ``tie``, which ends all other notes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from d2midi_build.transcribers.mt3.vocabulary import STEPS_PER_S, Vocabulary

_LEAST_S: Final = 0.01
"""Length of drum hits, and of notes that start and end in the same step."""

_FIRST_VELOCITY: Final = 100
"""Velocity of notes before any is said."""

_Key = tuple[int, int]
"""Pitch and program: what tells sounding notes apart."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """What is said of one segment.

    Attributes
    ----------
    start_s : float
        When the segment begins.
    tokens : np.ndarray, shape (n,), integer
        Indices of a `Vocabulary`, without ``EOS``; any other integer counts as an invalid event.
    p : np.ndarray, shape (n,), float32, optional
        Probability the model gave each of them; 1 where nothing is known.
    """

    start_s: float
    tokens: npt.NDArray[np.integer[Any]]
    p: npt.NDArray[np.float32] | None = None


class CodedNote(NamedTuple):
    """A note as events say it.

    ``p_note`` is the probability of the event that started it, ``p_program`` that of the event that had said its
    program: 1 where none had, as for drums.
    """

    onset_s: float
    offset_s: float
    pitch: int
    velocity: int
    program: int
    is_drum: bool
    p_note: float = 1.0
    p_program: float = 1.0


class Decoded(NamedTuple):
    """What the segments of a recording say.

    Attributes
    ----------
    notes : list of CodedNote
        In the reference's order: as they end, the ones that never do last.
    total_s : float
        Latest offset, 0 without notes.
    n_invalid : int
        Tokens that stand for no event, or for one that makes no sense where it is.
    n_dropped : int
        Tokens after a shift beyond the next segment's start, and that shift.
    """

    notes: list[CodedNote]
    total_s: float
    n_invalid: int
    n_dropped: int


class _Sounding(NamedTuple):
    onset_s: float
    velocity: int
    p_note: float
    p_program: float


class Decoder:
    """Reads segments one by one, in order of their start; keeps the notes and one segment.

    Parameters
    ----------
    vocabulary : Vocabulary
    ties : bool
        Whether segments begin with the notes that go on sounding.
    """

    def __init__(self, vocabulary: Vocabulary, ties: bool) -> None:
        self._events = vocabulary.events
        self._velocity_of = [vocabulary.velocity_of_bin(i) for i in range(vocabulary.num_velocity_bins + 1)]
        self._ties = ties
        self._waiting: Tokens | None = None
        self._time_s = 0.0
        self._velocity = _FIRST_VELOCITY
        self._program, self._p_program = 0, 1.0
        self._sounding: dict[_Key, _Sounding] = {}
        self._tied: set[_Key] = set()
        self._in_ties = False
        self._notes: list[CodedNote] = []
        self._n_invalid = self._n_dropped = 0

    def feed(self, segment: Tokens) -> None:
        """Take the next segment; it is read once the one after it says where it has to end.

        Raises
        ------
        ValueError
            If it begins before the one before it.
        """
        if self._waiting is not None:
            if segment.start_s < self._waiting.start_s:
                raise ValueError(
                    f"a segment at {segment.start_s} s after one at {self._waiting.start_s} s: sort them by start"
                )
            self._read(self._waiting, segment.start_s)
        self._waiting = segment

    def finish(self) -> Decoded:
        """Everything said, after the last segment; notes that were never ended end with the last event."""
        if self._waiting is not None:
            self._read(self._waiting, None)
            self._waiting = None
        for note in self._sounding.values():
            self._time_s = max(self._time_s, note.onset_s + _LEAST_S)
        for key in list(self._sounding):
            self._end(key)
        total_s = max((note.offset_s for note in self._notes), default=0.0)
        return Decoded(self._notes, total_s, self._n_invalid, self._n_dropped)

    def _read(self, segment: Tokens, end_s: float | None) -> None:
        self._tied.clear()
        self._in_ties = self._ties
        n_classes = len(self._events)
        time_s, steps = segment.start_s, 0
        tokens: list[int] = segment.tokens.tolist()
        p: Iterable[float] = repeat(1.0, len(tokens)) if segment.p is None else segment.p.tolist()
        for i, (token, p_token) in enumerate(zip(tokens, p, strict=True)):
            if not 0 <= token < n_classes:  # such a token does not part two shifts
                self._n_invalid += 1
                continue
            kind, value = self._events[token]
            if kind == "shift":
                steps += value
                time_s = segment.start_s + steps / STEPS_PER_S
                if end_s and time_s > end_s:  # as in the reference, a next segment at 0 s ends nothing
                    self._n_dropped += len(tokens) - i
                    return
            else:
                steps = 0
                if not self._take(kind, value, time_s, p_token):
                    self._n_invalid += 1

    def _take(self, kind: str, value: int, time_s: float, p: float) -> bool:
        """Act on one event; false if it makes no sense."""
        if time_s < self._time_s:
            return False
        self._time_s = time_s
        if kind == "pitch":
            return self._take_pitch(value, p)
        if kind == "velocity":
            self._velocity = self._velocity_of[value]
        elif kind == "program":
            self._program, self._p_program = value, p
        elif kind == "drum":
            if self._velocity == 0:
                return False
            self._add(CodedNote(time_s, time_s, value, self._velocity, 0, True, p))
        else:
            if not self._in_ties:
                return False
            for key in [key for key in self._sounding if key not in self._tied]:
                self._end(key)
            self._in_ties = False
        return True

    def _take_pitch(self, pitch: int, p: float) -> bool:
        key = pitch, self._program
        sounds = key in self._sounding
        if self._in_ties:
            if not sounds or key in self._tied:
                return False
            self._tied.add(key)
        elif self._velocity == 0:
            if not sounds:
                return False
            self._end(key)
        else:
            if sounds:
                self._end(key)
            self._sounding[key] = _Sounding(self._time_s, self._velocity, p, self._p_program)
        return True

    def _end(self, key: _Key) -> None:
        (pitch, program), (onset_s, velocity, p_note, p_program) = key, self._sounding.pop(key)
        self._add(CodedNote(onset_s, self._time_s, pitch, velocity, program, False, p_note, p_program))

    def _add(self, note: CodedNote) -> None:
        least_s = note.onset_s + _LEAST_S
        self._notes.append(note if note.offset_s >= least_s else note._replace(offset_s=least_s))


def decode(segments: Iterable[Tokens], vocabulary: Vocabulary, ties: bool) -> Decoded:
    """The notes of segments that come in any order; a `Decoder` needs them in order and keeps one at a time."""
    decoder = Decoder(vocabulary, ties)
    for segment in sorted(segments, key=lambda segment: segment.start_s):
        decoder.feed(segment)
    return decoder.finish()
