"""What may come next, so that every sequence sampled under it is music.

grammar = Grammar(n_bars=15)
while not grammar.finished:
    quad = []
    for logits in heads:                                  # event, duration, track, instrument, in this order
        allowed = grammar.allowed_next(*quad)
        quad.append(sample(where(allowed, logits, -inf)))
    grammar.push(quad)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.errors import UsageError
from d2midi_build.music.instruments import INSTRUMENTS, Instrument
from d2midi_build.train.tokens.grid import MAX_BARS
from d2midi_build.train.tokens.vocabulary import (
    BOS,
    DRUMS,
    EOS,
    FIRST_CHORD,
    FIRST_INSTRUMENT,
    FIRST_PITCH,
    FIRST_POSITION,
    FIRST_TRACK,
    MAX_TRACKS,
    MEASURE,
    NEW_TRACK,
    PAD,
    VOCABULARY,
)

BoolArray = npt.NDArray[np.bool_]

_ATTRIBUTES: Final = ("event", "duration", "track", "instrument")
_PITCHES: Final = range(FIRST_PITCH, MEASURE)
_POSITIONS: Final = range(FIRST_POSITION, FIRST_CHORD)
_CHORDS: Final = range(FIRST_CHORD, NEW_TRACK)


class Grammar:
    """The order of `quad.encode`, followed quad by quad; one object for each sequence.

    A sequence is BOS, measures and EOS. In a measure tracks have rising numbers, in a track positions rise, and at a
    position no pitch comes twice (pitches may be in any order). A track keeps its instrument. The drum kit is
    track 0 or not there, as `encode` writes it.

    Parameters
    ----------
    instruments : sequence of Instrument, optional
        Instruments that new tracks may get. Default is the 13 of the dataset. None allows all 129.
    n_bars : int, optional
        EOS comes after exactly so many measures. Default is after any number.
    max_quads : int, optional
        Longest sequence, BOS and EOS counted: what leaves no room to end well is not allowed. Default is any
        length.

    Raises
    ------
    UsageError
        If there is no instrument, or ``n_bars`` measures do not fit ``max_quads``.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument] | None = INSTRUMENTS,
        n_bars: int | None = None,
        max_quads: int | None = None,
    ) -> None:
        numbers = range(DRUMS + 1) if instruments is None else [_number(each) for each in instruments]
        if not numbers:
            raise UsageError("instruments: none is given; name at least one, or None for all")
        least = 2 + 2 * (n_bars or 0)
        if max_quads is not None and max_quads < least:
            raise UsageError(f"max_quads is {max_quads}; {n_bars or 0} empty measures alone take {least}")
        if n_bars is not None and not 0 <= n_bars <= MAX_BARS:
            raise UsageError(f"n_bars is {n_bars}; allowed is 0 to {MAX_BARS:,}")
        self._of_first = _mask(3, [FIRST_INSTRUMENT + number for number in numbers])
        self._of_others = self._of_first.copy()
        self._of_others[FIRST_INSTRUMENT + DRUMS] = False
        self._n_bars, self._max_quads = n_bars, max_quads
        self._count, self._bars, self._last = 0, 0, -1
        self._instrument: dict[int, int] = {}
        self._measure_track, self._block_track, self._step = -1, -1, -1
        self._here: set[int] = set()

    @property
    def finished(self) -> bool:
        """Whether EOS was pushed."""
        return self._last == EOS

    @property
    def n_bars(self) -> int:
        """Measures begun so far."""
        return self._bars

    @property
    def place(self) -> tuple[int, int]:
        """``measure_pos`` and ``rel_pos`` (`quad.Tokens`) of the quad pushed last; (0, 0) before any."""
        if self._last in (-1, BOS):
            return 0, 0
        if self._last == EOS:
            return 3 * self._bars + 1, 0
        if self._last == MEASURE:
            return 3 * self._bars - 2, 0
        if self._last in _CHORDS:
            return 3 * self._bars - 1, 0
        if self._last == NEW_TRACK:
            return 3 * self._bars, 1
        return 3 * self._bars, 2 * self._step + (4 if self._last in _PITCHES else 3)

    def allowed_next(self, *chosen: int) -> BoolArray:
        """Which ids the next quad's next attribute may have, shape (size of its table,); at least one.

        Parameters
        ----------
        *chosen : int
            The ids chosen for this quad so far: none for its event, then event, duration, track.

        Raises
        ------
        UsageError
            If the sequence is finished, or what was chosen is not allowed.
        """
        if self.finished:
            raise UsageError("this sequence has its EOS; nothing may follow")
        allowed = self._events()
        for attribute, number in enumerate(chosen):
            if not 0 <= number < len(allowed) or not allowed[number]:
                raise UsageError(
                    f"{_ATTRIBUTES[attribute]} {number} is not allowed as quad {self._count}; allowed_next says what is"
                )
            allowed = self._attribute(attribute + 1, chosen[: attribute + 1])
        return allowed

    def push(self, quad: Sequence[int] | npt.NDArray[np.int16]) -> None:
        """Take a quad as the next one.

        Raises
        ------
        UsageError
            If it is not allowed here.
        """
        event, duration, track, instrument = (int(number) for number in quad)
        if (
            not 0 <= instrument < VOCABULARY.sizes[3]
            or not self.allowed_next(event, duration, track)[instrument]
        ):
            raise UsageError(
                f"instrument {instrument} is not allowed as quad {self._count} with track {track}"
            )
        self._count += 1
        self._last = event
        if event == MEASURE:
            self._bars += 1
            self._measure_track, self._block_track = -1, -1
        elif event == NEW_TRACK:
            self._measure_track = self._block_track
            self._block_track, self._step = -1, -1
        elif event in _POSITIONS:
            self._step = event - FIRST_POSITION
            self._here = set()
        elif event in _PITCHES:
            self._here.add(event)
            self._block_track = track - FIRST_TRACK
            self._instrument[self._block_track] = instrument

    def extend(self, quads: Iterable[Sequence[int]] | npt.NDArray[np.int16]) -> None:
        """Push quads one after another: a beginning that is given.

        Raises
        ------
        UsageError
            As `push`; those before stay pushed.
        """
        for quad in quads:
            self.push(quad)

    def _events(self) -> BoolArray:
        allowed = np.zeros(VOCABULARY.sizes[0], dtype=np.bool_)
        if self._last == -1:
            allowed[BOS] = True
        elif self._last == MEASURE:
            allowed[_slice(_CHORDS)] = True
        elif self._last in _POSITIONS:
            allowed[_slice(_PITCHES)] = True
        elif self._last == NEW_TRACK:
            allowed[_slice(_POSITIONS)] = True
        else:
            self._between(allowed)
        return allowed

    def _between(self, allowed: BoolArray) -> None:
        """After BOS, a chord or a note, where there is a choice."""
        complete = self._bars == self._n_bars
        allowed[EOS] = self._n_bars is None or complete
        allowed[MEASURE] = not complete and self._bars < MAX_BARS and self._fits(2, further_bars=1)
        if self._last == BOS:
            return
        allowed[NEW_TRACK] = bool(self._tracks().any()) and self._fits(3)
        if self._last in _PITCHES:
            allowed[FIRST_POSITION + self._step + 1 : FIRST_CHORD] = self._fits(2)
            allowed[_slice(_PITCHES)] = self._fits(1)
            allowed[list(self._here)] = False

    def _fits(self, quads: int, further_bars: int = 0) -> bool:
        """Whether so many more quads, the measures still missing after them and EOS fit the longest sequence."""
        if self._max_quads is None:
            return True
        missing = max(0, (self._n_bars or 0) - self._bars - further_bars)
        return self._count + quads + 2 * missing + 1 <= self._max_quads

    def _tracks(self) -> BoolArray:
        """Tracks whose notes may come after those of the last one in this measure, shape (44,)."""
        after = max(self._measure_track, self._block_track) + 1
        allowed = np.zeros(VOCABULARY.sizes[2], dtype=np.bool_)
        allowed[FIRST_TRACK + after : FIRST_TRACK + MAX_TRACKS] = self._of_others.any()
        if after == 0:
            allowed[FIRST_TRACK] = True
        allowed[[FIRST_TRACK + track for track in self._instrument if track >= after]] = True
        return allowed

    def _attribute(self, attribute: int, chosen: tuple[int, ...]) -> BoolArray:
        event = chosen[0]
        if event in (BOS, EOS):
            return _mask(attribute, [event])
        if event not in _PITCHES:
            return _mask(attribute, [PAD])
        if attribute == 1:
            return _mask(1, range(FIRST_TRACK, VOCABULARY.sizes[1]))
        if attribute == 2:
            opened = self._block_track >= 0
            return _mask(2, [FIRST_TRACK + self._block_track]) if opened else self._tracks()
        track = chosen[2] - FIRST_TRACK
        if track in self._instrument:
            return _mask(3, [self._instrument[track]])
        return (self._of_others if track else self._of_first).copy()


def _number(instrument: Instrument) -> int:
    return DRUMS if instrument.is_drum else instrument.program


def _mask(attribute: int, numbers: Sequence[int]) -> BoolArray:
    mask = np.zeros(VOCABULARY.sizes[attribute], dtype=np.bool_)
    mask[list(numbers)] = True
    return mask


def _slice(numbers: range) -> slice:
    return slice(numbers.start, numbers.stop)
