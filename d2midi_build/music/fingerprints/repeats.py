"""Which items of a collection repeat the music of others."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from d2midi_build.music.fingerprints.alignment import (
    Match,
    Place,
    elsewhere,
    match,
    semitones,
    settle,
    steady,
    support,
)
from d2midi_build.music.fingerprints.hashes import Hit, hash_hits
from d2midi_build.music.fingerprints.outlines import (
    FINE_STEP_S,
    SPEEDS,
    STEP_S,
    Outlines,
    outlines,
)
from d2midi_build.music.fingerprints.spectrum import (
    FRAMES_PER_S,
    HOP,
    ITEM_SPAN,
    LEAST_CONTENT,
    RATE_HZ,
    SPAN,
    FloatArray,
    MusicFeatures,
    content,
    contrast,
)

LEAST_SHARED_S: Final = 6.5
"""Shorter shared music is no repeat: a sample or a sound, not a piece."""

SURE_AGREEMENT: Final = 0.90
"""From this share of equal bits on chromaprint decides, if the levels do not contradict. Songs over the same chords
and drums reached .89 over 7 s; re-encoded ones have .94 and more."""

LEAST_SUPPORT: Final = 0.70
"""Correlation of the levels below which chromaprint's hit is doubted."""

LEAST_SCORE: Final = 0.75
"""From this correlation on, over ten seconds and more, the second look says that it is the same recording. Shorter
stretches need 0.02 more for every second that they lack: songs over the same chords and drums reached .73 over 8 s,
.66 over 26 s; changed copies have .83 and more."""

LEAST_OUTLINE: Final = 0.60
"""Windows whose outlines are less alike are not looked at again."""

_SHORT_NEEDS_MORE: Final = 0.02
_LEAST_FRAMES: Final = int(np.ceil((LEAST_SHARED_S * RATE_HZ - SPAN) / HOP)) + 1
_LOOKS: Final = 3
_ROWS: Final = 2048
_ITEMS: Final = 48


@dataclass(frozen=True)
class Repeat:
    """Two items with the same recording in them.

    Attributes
    ----------
    first, second : int
        Items, ``first < second``.
    score : float
        0-1. For ``chromaprint`` the share of equal bits, for ``pitch`` the correlation over what is shared.
    offset_s : float
        Time in the second, from its beginning, at which the first begins: what is at ``t`` in the first is at
        ``offset_s + t / speed`` in the second. To about 0.1 s.
    speed : float
        Of the second against the first, to about 0.003.
    semitones : float
        Pitch of the second above the first, to about 0.15.
    overlap_s : float
        How much of the first is shared, to about a second.
    how : str
        ``chromaprint`` or ``pitch``: which look decided.
    """

    first: int
    second: int
    score: float
    offset_s: float
    speed: float
    semitones: float
    overlap_s: float
    how: Literal["chromaprint", "pitch"]


def find_repeats(
    items: Sequence[MusicFeatures],
    known: Collection[int] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
    least_score: float = LEAST_SCORE,
) -> list[Repeat]:
    """All pairs with at least 6.5 s of the same recording, also at another pitch (2 semitones) or speed (5 %).

    Parameters
    ----------
    items : sequence of MusicFeatures
        Usually takes. Silence, noise, clicks and bare drum loops are in no pair: they hold too little to tell.
    known : collection of int
        Items that were compared with each other before; pairs of two of them are left out.
    progress : callable, optional
        Is told how many items are done, and of how many.
    least_score : float, optional
        Of the second look, for ten seconds and more; lower it to see what nearly was one.

    Returns
    -------
    list of Repeat
        In order of first and second; one per pair. Where music repeats itself exactly, the place is one of several.

    Notes
    -----
    CPU, one core, takes of 30 s: about 13 ms per item, 0.03 ms per pair for outlines, about 4 ms for each pair looked
    at again (below 1 % of pairs among composed songs). So 6,000 new takes need about 25 minutes; one new take among
    6,000 known ones half a minute, since outlines are not kept. All grows with the square of the length.
    A window of 6 s has to lie wholly in what is shared: below 7.5 s a changed copy may be missed.
    """
    fresh = np.ones(len(items), np.bool_)
    fresh[list(known)] = False
    total = int(fresh.sum())
    looker = _Looker(items, least_score)
    sure: dict[tuple[int, int], Repeat] = {}
    found: dict[tuple[int, int], Repeat] = {}
    for pair, hits in hash_hits([item.hashes for item in items], fresh).items():
        repeat = looker.heard(*pair, hits)
        if repeat is not None:
            (sure if repeat.how == "chromaprint" else found)[pair] = repeat
    done = 0
    for candidate, places in _candidates(items, fresh):
        if candidate is None:
            done += 1
            progress(done, total)
        elif candidate not in sure:
            repeat = looker.looked(*candidate, places)
            if repeat is not None:  # better placed than what a weak hit of chromaprint led to
                found[candidate] = repeat
    found |= sure
    return [found[pair] for pair in sorted(found)]


def _candidates(
    items: Sequence[MusicFeatures], fresh: npt.NDArray[np.bool_]
) -> Iterator[tuple[tuple[int, int] | None, list[tuple[int, Place]]]]:
    """Pairs with alike outlines, the most alike windows of each; None after every fresh item."""
    rows = Outlines.concat(
        [outlines(contrast(item.levels), number, STEP_S, 1.0) for number, item in enumerate(items)]
    )
    numbers = np.flatnonzero(fresh)
    for begin in range(0, len(numbers), _ITEMS):
        mine = numbers[begin : begin + _ITEMS]
        maps = {int(number): contrast(items[number].levels) for number in mine}
        columns = Outlines.concat(
            [outlines(each, number, FINE_STEP_S, speed) for number, each in maps.items() for speed in SPEEDS]
        )
        # Fresh rows after the last column are compared when they are columns themselves.
        wanted = rows.where(~fresh[rows.item] | (rows.item < mine[-1]))
        yield from _paired(_alike(wanted, columns, fresh), wanted, columns)
        for _ in mine:
            yield None, []


def _alike(
    rows: Outlines, columns: Outlines, fresh: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray]:
    """Row, column and likeness of windows of two items that have to be compared; each pair of items one way."""
    found: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray]] = []
    for begin in range(0, len(rows.item), _ROWS):
        likeness = rows.numbers[begin : begin + _ROWS] @ columns.numbers.T
        row, column = np.nonzero(likeness >= LEAST_OUTLINE)
        one, other = rows.item[begin + row], columns.item[column]
        keep = (one < other) | (~fresh[one] & (one != other))
        found.append((begin + row[keep], column[keep], likeness[row[keep], column[keep]]))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    rows_found, columns_found, values = zip(*found, strict=True)
    return np.concatenate(rows_found), np.concatenate(columns_found), np.concatenate(values)


def _paired(
    alike: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray], rows: Outlines, columns: Outlines
) -> Iterator[tuple[tuple[int, int], list[tuple[int, Place]]]]:
    """Per pair of items the places that its most alike windows stand for, one per window of the first."""
    row, column, value = alike
    one, other = rows.item[row], columns.item[column]
    order = np.lexsort((row, -value, other, one))
    row, column, one, other = row[order], column[order], one[order], other[order]
    begins = np.flatnonzero((np.diff(one, prepend=-1) != 0) | (np.diff(other, prepend=-1) != 0))
    for begin, end in itertools.pairwise([*begins, len(one)]):
        places: dict[int, tuple[int, Place]] = {}
        for r, c in zip(row[begin:end], column[begin:end], strict=True):
            if len(places) == _LOOKS:
                break
            speed = float(columns.speed[c])
            frame, there = int(rows.frame[r]), int(columns.frame[c])
            place = Place(there - frame / speed, speed, 0)
            if one[begin] > other[begin]:
                frame, place = there, place.inverse()
            places.setdefault(int(r), (frame, place))
        pair = (int(min(one[begin], other[begin])), int(max(one[begin], other[begin])))
        yield pair, list(places.values())


class _Looker:
    """Looks at candidates; keeps the contrasts of the items it looked at last."""

    def __init__(self, items: Sequence[MusicFeatures], least_score: float) -> None:
        self._items, self._least_score = items, least_score
        self._contrast = lru_cache(256)(lambda number: contrast(items[number].levels))

    def heard(self, one: int, other: int, hits: list[Hit]) -> Repeat | None:
        """What chromaprint's hits say: sure alone, else if the second look agrees."""
        first, second = self._contrast(one), self._contrast(other)
        # Music nearly repeats itself: which of the distances it is, the levels know better.
        laid = [match(first, second, Place(hit.lag, 1.0, 0), _LEAST_FRAMES) for hit in hits]
        hit = hits[max(range(len(hits)), key=lambda number: laid[number].standing)]
        place = Place(hit.lag, 1.0, 0)
        length_s = ((hit.stop - hit.start - 1) * HOP + ITEM_SPAN) / RATE_HZ
        stop = hit.stop + (ITEM_SPAN - SPAN) // HOP
        if hit.agreement >= SURE_AGREEMENT and length_s >= LEAST_SHARED_S:
            # Chromaprint also recognises some seconds of what is 2-5 % faster; the second look measures that.
            alike = support(first, second, place, hit.start, stop) >= LEAST_SUPPORT
            if alike and steady(first, second, place, hit.start, stop):
                if content(first[hit.start : stop]) < LEAST_CONTENT:
                    return None
                return self._repeat(one, other, place, hit.agreement, length_s, 0.0, "chromaprint")
        return self.looked(one, other, [((hit.start + hit.stop) // 2, place)])

    def looked(self, one: int, other: int, places: list[tuple[int, Place]]) -> Repeat | None:
        """What the second look says of a pair."""
        best = self.best(one, other, places)
        if best is None or best.length_s < LEAST_SHARED_S or best.score < self._needed(best.length_s):
            return None
        first, second = self._contrast(one), self._contrast(other)
        if content(first[best.start : best.stop]) < LEAST_CONTENT:
            return None
        pitch = semitones(first, second, best)
        return self._repeat(one, other, best.place, best.score, best.length_s, pitch, "pitch")

    def best(self, one: int, other: int, places: list[tuple[int, Place]]) -> Match | None:
        """The place that stands best, near the given ones or where the pieces share most at that speed."""
        first, second = self._contrast(one), self._contrast(other)
        settled = [settle(first, second, guess, frame) for frame, guess in places]
        found = [match(first, second, place, _LEAST_FRAMES) for place in settled if place is not None]
        best = max(found, key=lambda each: each.standing, default=None)
        if best is None:
            return None
        other_verse = match(first, second, elsewhere(first, second, best.place), _LEAST_FRAMES)
        return max(best, other_verse, key=lambda each: each.standing)

    def _needed(self, length_s: float) -> float:
        return self._least_score + _SHORT_NEEDS_MORE * max(0.0, 10.0 - length_s)

    def _repeat(
        self, one: int, other: int, place: Place, score: float, length_s: float, pitch: float,
        how: Literal["chromaprint", "pitch"],
    ) -> Repeat:  # fmt: skip
        lead, there = self._items[one].lead_s, self._items[other].lead_s
        offset_s = place.origin / FRAMES_PER_S + there - lead / place.speed
        return Repeat(one, other, score, offset_s, place.speed, pitch, length_s, how)
