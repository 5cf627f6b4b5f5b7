"""Tempo maps of MIDI files: where quarters and bars lie in time, so that a DAW's grid is the music's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build import clock

FASTEST_US: Final = 62_500
"""Shortest quarter, in microseconds: 960 bpm, the fastest tempo that Reaper takes (Logic: 990)."""

SLOWEST_US: Final = 12_000_000
"""Longest: 5 bpm, the slowest that Logic takes."""

_MOST_BEATS: Final = 255
"""A time signature of a MIDI file holds no more."""

_NEAR_S: Final = 0.005
"""A tempo change no farther away may be at a note once a DAW has rounded both."""

_US: Final = 1_000_000
_FIXED_US: Final = 60 * _US // clock.TEMPO_BPM


@dataclass(frozen=True, eq=False)
class TempoMap:
    """When each tick of a MIDI file sounds.

    Attributes
    ----------
    ticks_per_quarter : int
    ticks : np.ndarray, shape (k,), int64
        Where each tempo begins, ascending from 0.
    tempo_us : np.ndarray, shape (k,), int64
        Microseconds per quarter from there on.
    bars : tuple of int
        Ticks of downbeats; empty where bars are not known.
    metres : tuple of (int, int)
        Ticks and beats per bar from there on.
    """

    ticks_per_quarter: int
    ticks: npt.NDArray[np.int64]
    tempo_us: npt.NDArray[np.int64]
    bars: tuple[int, ...] = ()
    metres: tuple[tuple[int, int], ...] = ((0, 4),)

    @classmethod
    def fixed(cls) -> TempoMap:
        """120 bpm at 5,120 ticks: a tick is a sample of the one clock."""
        return cls(clock.TICKS_PER_QUARTER, np.zeros(1, np.int64), np.array([_FIXED_US]))

    @classmethod
    def of_beats(cls, beats_s: Sequence[float], positions: Sequence[int]) -> TempoMap:
        """A map whose quarters are the beats of the music and whose bars are its bars.

        Each beat lies within half a microsecond of its time, however many there are, and between them a tick is 1/5,120
        of a beat: a note is moved by at most half of that, 0.1 ms at 60 bpm. Before the first beat come as many
        quarters as its bar lacks, faster or slower to fill the time; beats in the first moments, for which such
        quarters would be too fast, are passed over. The last tempo goes on to the end.

        Parameters
        ----------
        beats_s : sequence of float
            Ascending, in seconds.
        positions : sequence of int
            Place of each in its bar, from 1.

        Returns
        -------
        TempoMap
            `fixed` where there are fewer than two beats, or beats closer or farther apart than DAWs take.
        """
        if len(beats_s) < 2:
            return cls.fixed()
        times_us = np.round(np.asarray(beats_s, dtype=np.float64) * _US).astype(np.int64)
        places = np.asarray(positions, dtype=np.int64)
        metre = _metre(places)
        first, lead = _lead_in(times_us, places, metre)
        times_us, places = times_us[first:], places[first:]
        tempo_us, quarters = np.diff(times_us), lead + np.arange(len(times_us))
        if len(times_us) < 2 or tempo_us.min() < FASTEST_US or tempo_us.max() > SLOWEST_US:
            return cls.fixed()
        ticks = quarters[:-1] * clock.TICKS_PER_QUARTER
        if lead:
            before, rest = divmod(int(times_us[0]), lead)
            # One microsecond more for some of them, so that the first beat is where it should be.
            head = np.full(lead, before) + (np.arange(lead) < rest)
            ticks = np.concatenate([np.arange(lead) * clock.TICKS_PER_QUARTER, ticks])
            tempo_us = np.concatenate([head, tempo_us])
        changed = np.flatnonzero(np.diff(tempo_us, prepend=-1))
        downbeats = quarters[places == 1]
        bars = tuple((downbeats * clock.TICKS_PER_QUARTER).tolist())
        return cls(
            clock.TICKS_PER_QUARTER, ticks[changed], tempo_us[changed], bars, _metres(downbeats, metre)
        )

    def to_ticks(self, times_s: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """The ticks nearest to times in seconds, of any shape."""
        times = np.asarray(times_s, dtype=np.float64)
        starts_s = self._starts_us / _US
        part = np.maximum(np.searchsorted(starts_s, times, "right") - 1, 0)
        ticks = (
            self.ticks[part] + (times - starts_s[part]) * _US / self.tempo_us[part] * self.ticks_per_quarter
        )
        return np.asarray(np.round(ticks), dtype=np.int64)

    def to_seconds(self, ticks: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """When ticks (integers or not, any shape) sound, in seconds."""
        where = np.asarray(ticks, dtype=np.float64)
        part = np.maximum(np.searchsorted(self.ticks, where, "right") - 1, 0)
        within_us = (where - self.ticks[part]) * self.tempo_us[part] / self.ticks_per_quarter
        return np.asarray((self._starts_us[part] + within_us) / _US, dtype=np.float64)

    def tick_s(self, times_s: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """How long ticks last at times in seconds, of any shape; where the tempo changes, the longer of both."""
        times, longest = np.asarray(times_s, dtype=np.float64), np.int64(0)
        for near_s in (-_NEAR_S, 0.0, _NEAR_S):
            part = np.maximum(np.searchsorted(self._starts_us / _US, times + near_s, "right") - 1, 0)
            longest = np.maximum(longest, self.tempo_us[part])
        return np.asarray(longest / self.ticks_per_quarter / _US, dtype=np.float64)

    @property
    def _starts_us(self) -> npt.NDArray[np.float64]:
        """Time at which each tempo begins, in microseconds, shape (k,)."""
        lengths = np.diff(self.ticks) * self.tempo_us[:-1] / self.ticks_per_quarter
        return np.concatenate([[0.0], np.cumsum(lengths)])


def _metre(places: npt.NDArray[np.int64]) -> int:
    """Beats of the first whole bar."""
    downbeats = np.flatnonzero(places == 1)
    return _written(int(downbeats[1] - downbeats[0]) if len(downbeats) > 1 else int(places.max()))


def _written(metre: int) -> int:
    """A metre that a file can hold: 4 where downbeats are too far apart for one."""
    return metre if metre <= _MOST_BEATS else 4


def _lead_in(times_us: npt.NDArray[np.int64], places: npt.NDArray[np.int64], metre: int) -> tuple[int, int]:
    """The first beat that a map can begin with, and how many quarters come before it.

    As many as make its bar whole, or a bar more: whichever tempo is nearest to that of the beats.
    """
    usual_us = float(np.median(np.diff(times_us)))
    for first, (time_us, place) in enumerate(zip(times_us.tolist(), places.tolist(), strict=True)):
        if time_us == 0 and place == 1:
            return first, 0
        least = (place - 1) % metre
        possible = [
            lead
            for lead in range(least, least + metre * (2 + int(time_us / usual_us)), metre)
            if lead and FASTEST_US <= time_us // lead <= SLOWEST_US
        ]
        if possible:
            return first, min(possible, key=lambda lead: abs(np.log(time_us / lead / usual_us)))
    return len(times_us), 0


def _metres(downbeats: npt.NDArray[np.int64], metre: int) -> tuple[tuple[int, int], ...]:
    """Where bars of another length begin."""
    found = [(0, metre)]
    for start, length in zip(downbeats[:-1].tolist(), np.diff(downbeats).tolist(), strict=True):
        if _written(length) != found[-1][1]:
            found.append((start * clock.TICKS_PER_QUARTER, _written(length)))
    return tuple(found)
