"""Ids of the network's vocabulary and the events they stand for.

Layout of magenta/mt3 (``vocabularies.build_codec``): three special ids, then the classes of six kinds of event, then
100 ids that mean nothing, padded so that the network's sizes are multiples of 128. An *index* is an id less the
special ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from d2midi_build.errors import UsageError

PAD: Final = 0
EOS: Final = 1
UNK: Final = 2
_N_SPECIAL: Final = 3
_N_EXTRA: Final = 100
_PADDED_TO: Final = 128

INVALID: Final = -2
"""Index of an id that stands for no event, as the reference writes it."""

STEPS_PER_S: Final = 100
MAX_SHIFT: Final = 1_000
"""Steps of one shift at most: 10 s."""

_MAX_MIDI: Final = 127


def whole_steps(time_s: float) -> float:
    """The time from which a segment's events count: that of its first frame, rounded down to 10 ms.

    MT3 rounds in binary, which takes off a whole step too much at times: 30.72 s becomes 30.71, 20.48 stays.
    """
    return time_s - time_s % (1 / STEPS_PER_S)


class EventRange(NamedTuple):
    """One kind of event: its values ``0 ... max_value`` are the indices from ``first`` on."""

    kind: str
    max_value: int
    first: int


@dataclass(frozen=True)
class Vocabulary:
    """Events of a model with `num_velocity_bins` velocities.

    Attributes
    ----------
    num_velocity_bins : int
        Bins above 0; bin 0 means note off.
    ranges : tuple of EventRange
        Kinds of event in order of their indices: ``shift`` (steps of 10 ms), ``pitch``, ``velocity`` (bin), ``tie``
        (its only value is 0), ``program``, ``drum``.
    """

    num_velocity_bins: int
    ranges: tuple[EventRange, ...]

    @classmethod
    def of(cls, num_velocity_bins: int) -> Vocabulary:
        """The vocabulary with bins ``0 ... num_velocity_bins`` of velocity, of which there must be at least one."""
        if num_velocity_bins < 1:
            raise UsageError(
                f"num_velocity_bins is {num_velocity_bins}: a model knows at least 1 velocity bin"
            )
        ranges, first = [], 0
        for kind, max_value in (
            ("shift", MAX_SHIFT),
            ("pitch", _MAX_MIDI),
            ("velocity", num_velocity_bins),
            ("tie", 0),
            ("program", _MAX_MIDI),
            ("drum", _MAX_MIDI),
        ):
            ranges.append(EventRange(kind, max_value, first))
            first += max_value + 1
        return cls(num_velocity_bins, tuple(ranges))

    @cached_property
    def events(self) -> tuple[tuple[str, int], ...]:
        """Kind and value of every index."""
        return tuple((each.kind, value) for each in self.ranges for value in range(each.max_value + 1))

    @property
    def n_classes(self) -> int:
        """Number of indices."""
        return self.ranges[-1].first + self.ranges[-1].max_value + 1

    @property
    def n_ids(self) -> int:
        """Number of ids, special and unused ones included."""
        return _N_SPECIAL + self.n_classes + _N_EXTRA

    @property
    def n_embeddings(self) -> int:
        """Rows of a network's token embedding: ``n_ids`` rounded up to a multiple of 128."""
        return _PADDED_TO * math.ceil(self.n_ids / _PADDED_TO)

    def encode(self, kind: str, value: int) -> int:
        """Index of an event.

        Raises
        ------
        UsageError
            If there is no such kind, or it has no such value.
        """
        for each in self.ranges:
            if each.kind == kind:
                if not 0 <= value <= each.max_value:
                    raise UsageError(f"no event for {kind} {value}: MT3 knows {kind} 0-{each.max_value}")
                return each.first + value
        known = ", ".join(each.kind for each in self.ranges)
        raise UsageError(f"no event is called {kind!r}: MT3 knows {known}")

    def decode(self, index: int) -> tuple[str, int]:
        """Kind and value of an index.

        Raises
        ------
        UsageError
            If no event has that index.
        """
        if not 0 <= index < self.n_classes:
            raise UsageError(f"no event has the index {index}: they are 0-{self.n_classes - 1}")
        return self.events[index]

    def indices_of_ids(self, ids: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int32]:
        """What a network's output stands for: indices up to the first ``EOS``, `INVALID` for ids without event.

        Parameters
        ----------
        ids : np.ndarray, shape (n,), integer
            Any integers.

        Returns
        -------
        np.ndarray, shape (m <= n,), int32
        """
        ids = np.asarray(ids, dtype=np.int64)
        ended = np.flatnonzero(ids == EOS)
        indices = ids[: ended[0] if ended.size else None] - _N_SPECIAL
        return np.where((indices >= 0) & (indices < self.n_classes), indices, INVALID).astype(np.int32)

    def ids_of(self, indices: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int32]:
        """Ids of indices, without an ``EOS``.

        Raises
        ------
        UsageError
            If one of them is the index of no event.
        """
        indices = np.asarray(indices, dtype=np.int64)
        for index in indices[(indices < 0) | (indices >= self.n_classes)]:
            self.decode(int(index))  # says what is wrong
        return (indices + _N_SPECIAL).astype(np.int32)

    def velocity_bin(self, velocity: int) -> int:
        """Bin of a MIDI velocity (0-127), rounded up: no sounding note is bin 0."""
        return math.ceil(self.num_velocity_bins * velocity / _MAX_MIDI)

    def velocity_of_bin(self, velocity_bin: int) -> int:
        """The largest MIDI velocity of a bin; 0 for bin 0."""
        return int(_MAX_MIDI * velocity_bin / self.num_velocity_bins)
