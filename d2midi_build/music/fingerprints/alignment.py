"""The second look: two pieces laid over each other, pitch and speed and place fitted, and what they share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import fft

from d2midi_build.music.fingerprints.outlines import WINDOW_S
from d2midi_build.music.fingerprints.spectrum import (
    BINS_PER_SEMITONE,
    FRAMES_PER_S,
    HOP,
    N_BINS,
    SPAN,
    FloatArray,
)
from d2midi_build.stretch import best_stretch

SLOWEST: Final = 0.94
"""Of the second against the first; 1 / 0.94 is the fastest: 5 % and what a guess may be off."""

MOST_BINS: Final = 10
"""Pitch is searched up to 3.3 semitones: two, and what 5 % of speed add to them."""

_SLOP: Final = 12  # frames a window may lie off
_COARSE: Final = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])
_FINE: Final = np.arange(-4, 5) * 0.0025
_FINER: Final = np.arange(-3, 4) * 0.0008
_SHIFTS: Final = np.arange(-4, 5) * 0.25
_AROUND: Final = 120  # frames to each side that speed and place are fitted on: 15 s
_PROMISING: Final = 0.5
_CLEARLY: Final = 0.05
_STEADY: Final = 0.004
_TRUE: Final = (
    0.65  # likeness above which a frame speaks for this place: music nearly repeats itself elsewhere
)
_WORTH: Final = 0.4  # likeness above which a frame speaks for the pair


@dataclass(frozen=True)
class Place:
    """How one piece lies on another: frame ``t`` of the first is frame ``origin + t / speed`` of the second.

    Attributes
    ----------
    origin : float
        Frames.
    speed : float
        Of the second against the first.
    bins : int
        Pitch of the second above the first, thirds of a semitone.
    """

    origin: float
    speed: float
    bins: int

    def inverse(self) -> Place:
        """The same, first and second changed over."""
        return Place(-self.origin * self.speed, 1 / self.speed, -self.bins)


@dataclass(frozen=True)
class Match:
    """What two pieces share at a place.

    Attributes
    ----------
    place : Place
    start, stop : int
        Frames of the first piece.
    score : float
        Correlation of the two contrasts over these frames, -1 to 1.
    """

    place: Place
    start: int
    stop: int
    score: float

    @property
    def standing(self) -> tuple[int, int]:
        """To choose among places: clearly higher score, else length. Music nearly repeats itself, and the repetition
        may reach over more than two takes share."""
        return round(self.score / _CLEARLY), self.stop - self.start

    @property
    def length_s(self) -> float:
        """Seconds of sound that the frames are made of."""
        return (
            ((self.stop - self.start - 1) * HOP + SPAN) * FRAMES_PER_S**-1 / HOP
            if self.stop > self.start
            else 0.0
        )


def settle(first: FloatArray, second: FloatArray, guess: Place, frame: int) -> Place | None:
    """Fit pitch, speed and place around a window for which they are roughly known.

    Parameters
    ----------
    first, second : np.ndarray, shape=(n, 156)
        Contrasts.
    guess : Place
        Its speed may be off by 0.02, its place by 1.5 s; its pitch is not used.
    frame : int
        First frame of the window in ``first``.

    Returns
    -------
    Place or None
        None if the window and its surroundings are not alike at any pitch, place and speed.
    """
    window = first[frame : frame + round(WINDOW_S * FRAMES_PER_S)]
    best, place = -2.0, guess
    speeds = guess.speed + _COARSE
    for speed in speeds[(speeds >= SLOWEST) & (speeds <= 1 / SLOWEST)]:
        centre = frame + len(window) / 2
        origin = guess.origin + centre / guess.speed - centre / speed
        times = origin + (frame - _SLOP + np.arange(len(window) + 2 * _SLOP)) / speed
        likeness = _shifts(window, _at(second, times))
        at, bins = np.unravel_index(int(likeness.argmax()), likeness.shape)
        if likeness[at, bins] > best:
            best = float(likeness[at, bins])
            place = Place(origin + (int(at) - _SLOP) / speed, float(speed), int(bins) - MOST_BINS)
    place = _refined(first, second, place, frame + len(window) // 2) if best >= _PROMISING else place
    within = SLOWEST <= place.speed <= 1 / SLOWEST
    return place if best >= _PROMISING and within else None


def elsewhere(first: FloatArray, second: FloatArray, place: Place) -> Place:
    """The place at which most is shared at this pitch and speed: music repeats itself, and a window may have been
    found in another verse."""
    length = int(len(second) * place.speed)
    moved = _at(_pitched(second, place.bins), np.arange(length) / place.speed)
    size = fft.next_fast_len(len(first) + length, real=True)
    total = np.zeros(size // 2 + 1, np.complex64)
    for bins in range(0, N_BINS, 39):
        part = slice(bins, bins + 39)
        one, other = fft.rfft(first[:, part], size, axis=0), fft.rfft(moved[:, part], size, axis=0)
        total += (other * np.conj(one)).sum(axis=1)
    lags = np.arange(1 - len(first), length)
    start, stop = np.maximum(0, -lags), np.minimum(len(first), length - lags)
    mine, yours = _sums(first), _sums(moved)
    energy = (mine[stop] - mine[start] + yours[stop + lags] - yours[start + lags]) / 2
    lag = int(lags[(fft.irfft(total, size)[lags] - _TRUE * energy).argmax()])
    found = Place(lag / place.speed, place.speed, place.bins)
    return _refined(first, second, found, (max(0, -lag) + min(len(first), length - lag)) // 2)


def match(first: FloatArray, second: FloatArray, place: Place, least: int) -> Match:
    """What is shared at a place: the stretch in which likeness outweighs difference, or the best ``least`` frames
    if that is longer."""
    start = max(0, int(np.ceil(-place.origin * place.speed)))
    stop = min(len(first), int(np.floor((len(second) - 1 - place.origin) * place.speed)) + 1)
    if stop - start < 2:
        return Match(place, 0, 0, 0.0)
    one, other = _laid(first, second, place, start, stop)
    both, mine, yours = (one * other).sum(axis=1), (one**2).sum(axis=1), (other**2).sum(axis=1)
    worth = both - _WORTH * (mine + yours) / 2
    begin, end, _ = best_stretch(worth, least)
    part = slice(begin, end)
    scale = float(np.sqrt(mine[part].sum() * yours[part].sum()))
    score = float(both[part].sum()) / scale if scale > 0 else 0.0
    return Match(place, start + begin, start + end, score)


def _sums(frames: FloatArray) -> npt.NDArray[np.float64]:
    """Energy of all frames before each."""
    return np.concatenate([[0.0], np.cumsum((frames**2).sum(axis=1, dtype=np.float64))])


def steady(first: FloatArray, second: FloatArray, place: Place, start: int, stop: int) -> bool:
    """Whether a place of equal speed is better than those of other speeds."""
    fitted = _refined(first, second, place, (start + min(stop, len(first))) // 2)
    return abs(fitted.speed - place.speed) <= _STEADY


def support(first: FloatArray, second: FloatArray, place: Place, start: int, stop: int) -> float:
    """Correlation of the contrasts over frames ``start`` to ``stop`` of the first, -1 to 1."""
    return _likeness(*_laid(first, second, place, start, min(stop, len(first))))


def semitones(first: FloatArray, second: FloatArray, found: Match) -> float:
    """Pitch of the second above the first over the shared stretch, between bins, in semitones."""
    around = [found.place.bins + step for step in (-1, 0, 1)]
    scores = []
    for bins in around:
        place = Place(found.place.origin, found.place.speed, bins)
        one, other = _laid(first, second, place, found.start, found.stop)
        scores.append(_likeness(one, other))
    low, middle, high = scores
    bend = low - 2 * middle + high
    part = float(np.clip((low - high) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0
    return (found.place.bins + part) / BINS_PER_SEMITONE


def _refined(first: FloatArray, second: FloatArray, place: Place, centre: int) -> Place:
    """Speed to about 0.001 and place to a quarter of a frame, fitted on up to 30 s around a frame."""
    for speeds in (_FINE, _FINER):
        start, stop = max(0, centre - _AROUND), min(len(first), centre + _AROUND)
        pitched = _pitched(second, place.bins)
        best, chosen = -2.0, place
        for near in _near(place, centre, speeds):
            one, other = _laid(first, pitched, Place(near.origin, near.speed, 0), start, stop)
            likeness = _likeness(one, other)
            if likeness > best:
                best, chosen = likeness, near
        place = chosen
    return place


def _near(place: Place, centre: int, speeds: npt.NDArray[np.float64]) -> Iterator[Place]:
    for step in speeds:
        speed = place.speed + float(step)
        origin = place.origin + centre / place.speed - centre / speed
        for shift in _SHIFTS:
            yield Place(origin + float(shift), speed, place.bins)


def _laid(
    first: FloatArray, second: FloatArray, place: Place, start: int, stop: int
) -> tuple[FloatArray, FloatArray]:
    """The same music of both, at the first's pitch and speed, without bins that only one has."""
    low, high = max(0, -place.bins), min(N_BINS, N_BINS - place.bins)
    times = place.origin + np.arange(start, stop) / place.speed
    return first[start:stop, low:high], _at(second[:, low + place.bins : high + place.bins], times)


def _pitched(second: FloatArray, bins: int) -> FloatArray:
    """``second`` moved down by ``bins``; what is not known is 0."""
    moved = np.zeros_like(second)
    low, high = max(0, -bins), min(N_BINS, N_BINS - bins)
    moved[:, low:high] = second[:, low + bins : high + bins]
    return moved


def _at(frames: FloatArray, times: npt.NDArray[np.float64]) -> FloatArray:
    """Frames at fractional times; 0 outside."""
    whole = np.floor(times).astype(np.int64)
    part = (times - whole).astype(np.float32)[:, None]
    inside = ((whole >= 0) & (whole < len(frames)))[:, None]
    here = np.clip(whole, 0, len(frames) - 1)
    after = np.minimum(here + 1, len(frames) - 1)
    found: FloatArray = (frames[here] * (1 - part) + frames[after] * part) * inside
    return found


def _likeness(one: FloatArray, other: FloatArray) -> float:
    scale = float(np.sqrt(np.vdot(one, one) * np.vdot(other, other)))
    return float(np.vdot(one, other)) / scale if scale > 0 else 0.0


def _shifts(window: FloatArray, around: FloatArray) -> npt.NDArray[np.float64]:
    """Correlation of a window with every place in a longer stretch and every shift of pitch.

    Returns
    -------
    np.ndarray, shape=(len(around) - len(window) + 1, 2 * MOST_BINS + 1)
        -1 to 1, over the bins that both have.
    """
    length, places = len(window), len(around) - len(window) + 1
    shape = (fft.next_fast_len(len(around), real=True), fft.next_fast_len(N_BINS + MOST_BINS, real=True))
    spectrum = fft.rfft2(around, shape) * np.conj(fft.rfft2(window, shape))
    product = fft.irfft2(spectrum, shape)[:places]
    product = np.concatenate([product[:, -MOST_BINS:], product[:, : MOST_BINS + 1]], axis=1)
    mine = np.concatenate([[0.0], np.cumsum((window**2).sum(axis=0, dtype=np.float64))])
    over_time = np.concatenate([np.zeros((1, N_BINS)), np.cumsum(around**2, axis=0, dtype=np.float64)])
    yours = np.cumsum(over_time[length:] - over_time[:-length], axis=1)
    yours = np.concatenate([np.zeros((places, 1)), yours], axis=1)
    bins = np.arange(-MOST_BINS, MOST_BINS + 1)
    low, high = np.maximum(0, bins), np.minimum(N_BINS, N_BINS + bins)
    scale = np.sqrt((mine[high - bins] - mine[low - bins]) * np.maximum(0, yours[:, high] - yours[:, low]))
    return np.divide(product, scale, out=np.full(product.shape, -1.0), where=scale > 1e-3)
