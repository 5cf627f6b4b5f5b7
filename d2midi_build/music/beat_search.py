"""The likeliest beats and bars, given what every frame of a recording looks like.

Dynamic programming over beats: a semi-Markov version of the bar pointer model (Whiteley, Cemgil and Godsill, ISMIR
2006; Krebs, Böck and Widmer, ISMIR 2013 and 2015), in which a state is the last interval and the place in the bar.
Every frame of a beat is explained, those between beats as well, so tempi an octave apart compete on equal terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.music.beat_features import FRAMES_PER_S

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

MIN_BPM: Final = 50.0
MAX_BPM: Final = 220.0

CLASSES: Final = ("down", "back", "mid", "weak", "half", "third", "quarter")
"""What a frame may be: the bar's first beat; 2 and 4, and 3, of four; 2 and 3 of three; parts of a beat; or none."""

_BAR: Final = ("down", "back", "mid", "back", "down", "weak", "weak")
"""The class of each place: a bar of four, then a bar of three."""
_BEFORE: Final = np.array([3, 0, 1, 2, 6, 4, 5])
_DOWN: Final = np.array([0, 4])
_N_PLACES: Final = len(_BAR)
POSITION: Final = np.array([1, 2, 3, 4, 1, 2, 3])
METRE: Final = np.array([4, 4, 4, 4, 3, 3, 3])
"""Position in the bar, and beats per bar, of each place."""

SHORTEST: Final = round(60 * FRAMES_PER_S / MAX_BPM)
LONGEST: Final = round(60 * FRAMES_PER_S / MIN_BPM)
"""The intervals between beats that are thought of, in frames."""

_SHIFTS: Final = tuple(range(-3, 4))
_KEPT_FRAMES: Final = 120 * FRAMES_PER_S
"""What is older than a minute when this many frames are kept is decided and forgotten: memory is bounded."""

_IMPOSSIBLE: Final = np.float32(-1e9)


@dataclass(frozen=True)
class Settings:
    """Penalties, in nats, chosen on the tuning pieces of ``benchmarks/fit_beats.py``.

    Attributes
    ----------
    tempo : float
        Per unit of change of the interval's logarithm from beat to beat, but for one frame of rounding.
    jump : float
        For a beat after which the tempo is any other.
    slip : float
        For a bar that ends early, and for another metre.
    start : float
        For beats to begin, at first or again.
    octave, centre_bpm : float
        Per second and squared octave between the tempo and the centre, in beats per minute.
    """

    tempo: float = 40.0
    jump: float = 12.0
    slip: float = 8.0
    start: float = 10.0
    octave: float = 1.5
    centre_bpm: float = 112.0


@dataclass(frozen=True, eq=False)
class Path:
    """Beats in order: their frames, and their places in a bar (indices of `POSITION` and `METRE`), shape (n,)."""

    frames: IntArray
    places: IntArray


def best_path(
    evidence: Float32Array, settings: Settings, shortest: int = SHORTEST, longest: int = LONGEST
) -> Path:
    """The likeliest beats.

    Parameters
    ----------
    evidence : np.ndarray, shape (n_frames, n_classes), float32
        Log-likelihood ratio of each of `CLASSES` against "none", per frame.
    settings : Settings
    shortest, longest : int, optional
        Bounds of the intervals between beats, in frames, within `SHORTEST` and `LONGEST`, which are the default.

    Returns
    -------
    Path
        Empty where no beats are likelier than none at all.
    """
    return _Search(evidence, settings, np.arange(shortest, longest + 1)).run()


def beat_evidence(evidence: Float32Array) -> Float32Array:
    """The columns of ``evidence`` in the order of places in a bar: shape (n_frames, 7)."""
    return evidence[:, [CLASSES.index(name) for name in _BAR]]


def part_evidence(evidence: Float32Array) -> Float32Array:
    """The columns of ``evidence`` for the half, a third and a quarter of a beat: shape (n_frames, 3)."""
    return evidence[:, [CLASSES.index(name) for name in ("half", "third", "quarter")]]


State = tuple[int, int, int]
"""Frame of a beat, index of the interval before it, place in the bar; frame -1 where there was none yet."""


def between_evidence(parts: Float32Array, frames: IntArray, intervals: IntArray) -> Float32Array:
    """Evidence of what lies in the intervals that end at frames, straight or in thirds: shapes broadcast.

    Parameters
    ----------
    parts : np.ndarray, shape (n_frames, 3)
        What `part_evidence` gives; ``frames - intervals`` must not be negative.
    frames, intervals : np.ndarray
        Ends and lengths in frames.
    """

    def at(share: float, column: int) -> Float32Array:
        found: Float32Array = parts[frames - np.round(intervals * share).astype(np.int64), column]
        return found

    straight = at(0.5, 0) + at(0.25, 2) + at(0.75, 2)
    return np.asarray(np.maximum(straight, at(1 / 3, 1) + at(2 / 3, 1)))


class _Search:
    """One recording's search; see `best_path`.

    Scores are kept and where they came from is worked out again on the way back, for the beats on it alone: so a
    frame costs few passes over its states, and those run over intervals, which lie side by side.
    """

    def __init__(self, evidence: Float32Array, settings: Settings, intervals: IntArray) -> None:
        self._n = len(evidence)
        self._intervals = intervals
        self._longest = int(intervals[-1])
        # Frames solved at once: no beat depends on another less than the shortest interval before it.
        self._block = int(intervals[0])
        self._kept_blocks = _KEPT_FRAMES // self._block
        self._jump, self._slip, self._start = (
            np.float32(penalty) for penalty in (settings.jump, settings.slip, settings.start)
        )
        self._beat = np.ascontiguousarray(beat_evidence(evidence).T)
        self._parts = np.pad(part_evidence(evidence), ((self._longest, 0), (0, 0)))
        octaves = np.log2(60.0 * FRAMES_PER_S / self._intervals / settings.centre_bpm)
        self._prior = (-settings.octave * octaves**2 * self._intervals / FRAMES_PER_S).astype(np.float32)
        self._bend = _bend(settings.tempo, intervals)
        # What has been decided, in pieces; and per block kept its scores, of shape (7, frames, intervals), and the
        # score and state after which beats may begin in it.
        self._beats: list[list[tuple[int, int]]] = []
        self._decided = -1
        self._dropped = 0
        self._scores: list[Float32Array] = []
        self._rested: list[tuple[np.float32, State]] = []

    def run(self) -> Path:
        """Go through all blocks, then trace the best path back."""
        # The last frames' scores, already carried over to the interval that comes next.
        ready = np.full((_N_PLACES, self._longest + self._block, len(self._intervals)), _IMPOSSIBLE)
        # [place, k, i] is the score on which frame k of a block builds with interval i: that many frames before it.
        by_place, by_frame, by_interval = ready.strides
        earlier = np.lib.stride_tricks.as_strided(
            ready[:, self._longest - self._block :],
            (_N_PLACES, self._block, len(self._intervals)),
            (by_place, by_frame, by_interval - by_frame),
            writeable=False,
        )
        spare = np.empty((_N_PLACES, self._block, len(self._intervals)), np.float32)
        best, best_state = np.float32(0.0), (-1, 0, 0)
        # Beats may begin again after the longest interval; sooner, one hit would count as an end and as a start.
        ended = [(best, best_state)] * (self._longest // self._block + 2)
        for first in range(0, self._n, self._block):
            n = min(self._block, self._n - first)
            now = self._next_places(earlier[:, :n])
            now += self._between(np.arange(first, first + n)) + self._prior
            np.maximum(now, ended[0][0] - self._start + self._prior, out=now)
            now += self._beat[:, first : first + n, None]
            self._scores.append(now)
            self._rested.append(ended[0])
            in_order = now.transpose(1, 2, 0)
            top = np.unravel_index(int(in_order.argmax()), in_order.shape)
            if in_order[top] > best:
                best, best_state = in_order[top], (first + int(top[0]), int(top[1]), int(top[2]))
            ended = [*ended[1:], (best, best_state)]
            self._carry_over(now, ready[:, self._longest : self._longest + n], spare[:, :n])
            ready[:, : self._longest] = ready[:, self._block :]
            if len(self._scores) >= self._kept_blocks:
                self._decide(best_state, first - self._kept_blocks * self._block // 2)
        self._decide(best_state, self._n)
        beats = [beat for piece in self._beats for beat in piece]
        found = np.array(beats, dtype=np.int64).reshape(-1, 2)
        return Path(found[:, 0], found[:, 1])

    def _next_places(self, score: Float32Array) -> Float32Array:
        """Scores on coming to each place from the one before it, or to a downbeat from any: shape as given."""
        reached: Float32Array = score[_BEFORE]
        slipped = score.max(axis=0) - self._slip
        for place in _DOWN:
            np.maximum(reached[place], slipped, out=reached[place])
        return reached

    def _between(self, frames: IntArray) -> Float32Array:
        """Evidence of what lies between two beats, the second at ``frames``: shape (n, n_intervals)."""
        return between_evidence(self._parts, (frames + self._longest)[:, None], self._intervals)

    def _carry_over(self, score: Float32Array, ready: Float32Array, spare: Float32Array) -> None:
        """Put each next interval's best score after a change of tempo into ``ready``; all of one shape."""
        ready[...] = score.max(axis=2, keepdims=True) - self._jump
        for row, shift in self._shifts():
            to = slice(max(-shift, 0), len(self._intervals) - max(shift, 0))
            source = slice(max(shift, 0), len(self._intervals) - max(-shift, 0))
            np.add(score[:, :, source], self._bend[row, to], out=spare[:, :, to])
            np.maximum(ready[:, :, to], spare[:, :, to], out=ready[:, :, to])

    def _shifts(self) -> list[tuple[int, int]]:
        """Rows of the bend and their changes of the interval, those there is room for."""
        return [(row, shift) for row, shift in enumerate(_SHIFTS) if abs(shift) < len(self._intervals)]

    def _before(self, state: State) -> State:
        """The state of the beat before; as `_next_places` and `_carry_over`, for one state."""
        frame, interval, place = state
        rested, rested_state = self._rested[frame // self._block - self._dropped]
        source = frame - int(self._intervals[interval])
        if source < 0:
            return rested_state
        score = self._scores[source // self._block - self._dropped][:, source % self._block]
        origins = [score.argmax(axis=1)]
        values = [score.max(axis=1) - self._jump]
        for row, shift in self._shifts():
            if 0 <= interval + shift < len(self._intervals):
                origins.append(np.full(_N_PLACES, interval + shift))
                values.append(score[:, interval + shift] + self._bend[row, interval])
        ready = np.max(values, axis=0)
        previous = int(_BEFORE[place])
        reached = ready[previous]
        if place in _DOWN and ready.max() - self._slip > reached:
            previous = int(ready.argmax())
            reached = ready[previous] - self._slip
        reached += (self._between(np.array([frame]))[0] + self._prior)[interval]
        if rested - self._start + self._prior[interval] > reached:
            return rested_state
        return source, int(origins[int(np.argmax([value[previous] for value in values]))][previous]), previous

    def _decide(self, state: State, until: int) -> None:
        """Trace back from a state; keep the beats up to frame ``until`` and forget how they came about."""
        piece = []
        while state[0] > self._decided:
            if state[0] <= until:
                piece.append((state[0], state[2]))
            state = self._before(state)
        self._beats.append(piece[::-1])
        self._decided = max(until, self._decided)
        drop = max((self._decided - self._longest) // self._block - self._dropped, 0)
        del self._scores[:drop], self._rested[:drop]
        self._dropped += drop


def _bend(penalty: float, intervals: IntArray) -> Float32Array:
    """Gain (at most 0) of coming to an interval from one ``_SHIFTS`` longer: shape (n_shifts, n_intervals)."""
    gain = np.full((len(_SHIFTS), len(intervals)), _IMPOSSIBLE, np.float32)
    for row, shift in enumerate(_SHIFTS):
        source = intervals + shift
        valid = (source >= intervals[0]) & (source <= intervals[-1])
        change = np.abs(np.log(np.maximum(source, 1) / intervals)) - 1.0 / intervals
        gain[row, valid] = -penalty * np.maximum(change[valid], 0.0)
    return gain
