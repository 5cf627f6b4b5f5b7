"""Which note became which, where notes come back without numbers (from a DAW, which keeps none).

Notes that look equal are the same, in order. The rest are paired one to one so that the sum of costs is least,
where leaving a pair apart (one deleted, one added) costs `LIMIT`. What an edit costs says how likely people make
it together with others on one note:

- onset: 1 per half second; more than a second apart is not the same note;
- length: 0.5 times the difference over the longer of both;
- pitch: 0.5, and 1/24 for each semitone (an octave costs 1); drums, whose pitches are names: 0.75;
- instrument: 0.75; from or to the drum kit 1, whatever the pitches;
- velocity: 0.1 times the difference over 127, to decide between equals.

So a note that was moved by a beat, transposed by an octave or relabelled is found again, also with two of these
at once; one that was moved a second and transposed is a new note.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.annotate.layering import Row

LIMIT: Final = 2.0
"""Cost above which two notes are not the same."""

_FARTHEST_S: Final = 1.0
_TINY: Final = 1e-9
"""Added to every cost: the search takes a cost of 0 for no pair."""

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def matched(
    before: Mapping[int, Row], after: list[Row], tolerance: Mapping[int, int] | None = None
) -> dict[int, Row]:
    """Numbers for notes that lost theirs.

    Parameters
    ----------
    before : mapping of int to Row
        The notes as they were, by number.
    after : list of Row
        The notes as they are now, in any order.
    tolerance : mapping of int to int, optional
        By number: onsets and offsets that differ by no more samples are equal. Default is 0 for all.

    Returns
    -------
    dict
        All of ``after`` by number; what is new has negative numbers.
    """
    numbers = sorted(before, key=lambda number: (before[number].seen, number))
    ordered = sorted(after, key=lambda row: row.seen)
    allowed = [tolerance[number] if tolerance else 0 for number in numbers]
    found = _equal([before[number] for number in numbers], ordered, allowed)
    equal = set(found.values())
    old = [i for i in range(len(numbers)) if i not in found]
    new = [j for j in range(len(ordered)) if j not in equal]
    pairs = _cheapest([before[numbers[i]] for i in old], [ordered[j] for j in new])
    found |= {old[i]: new[j] for i, j in pairs}
    named = {numbers[i]: ordered[j] for i, j in found.items()}
    taken = set(found.values())
    rest = [row for j, row in enumerate(ordered) if j not in taken]
    return named | {-1 - k: row for k, row in enumerate(rest)}


def _equal(before: list[Row], after: list[Row], tolerance: list[int]) -> dict[int, int]:
    """Pairs of notes that look equal, both sorted by onset: each the nearest that is left."""
    waiting: dict[tuple[int, int, str], list[int]] = defaultdict(list)
    for j, row in enumerate(after):
        waiting[row.pitch, row.velocity, row.instrument].append(j)
    found: dict[int, int] = {}
    for i, row in enumerate(before):
        same = waiting[row.pitch, row.velocity, row.instrument]
        near = [j for j in same if max(_apart(row, after[j])) <= tolerance[i]]
        if near:
            found[i] = min(near, key=lambda j: sum(_apart(row, after[j])))
            same.remove(found[i])
    return found


def _apart(one: Row, other: Row) -> tuple[int, int]:
    (onset, offset), (other_onset, other_offset) = one.span, other.span
    return abs(onset - other_onset), abs(offset - other_offset)


def _cheapest(before: list[Row], after: list[Row]) -> list[tuple[int, int]]:
    """The pairs with the least sum of costs, those that cost less than `LIMIT` only.

    Only pairs near in time are looked at, so a whole clip takes no more memory than its notes have neighbours. Each
    note of ``before`` may also be paired with nothing, at the price of `LIMIT`; that makes it an assignment problem,
    solved as scipy's `min_weight_full_bipartite_matching` does (Jonker and Volgenant, 1987, sparse).
    """
    if not before or not after:
        return []
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    i, j = _near(before, after)
    cost = costs([before[k] for k in i.tolist()], [after[k] for k in j.tolist()])
    i, j, cost = i[cost < LIMIT], j[cost < LIMIT], cost[cost < LIMIT]
    n, m = len(before), len(after)
    alone = np.arange(n)
    graph = csr_array(
        (
            np.concatenate([cost + _TINY, np.full(n, LIMIT)]),
            (np.concatenate([i, alone]), np.concatenate([j, m + alone])),
        ),
        shape=(n, m + n),
    )
    rows, columns = min_weight_full_bipartite_matching(graph)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if column < m]


def _near(before: list[Row], after: list[Row]) -> tuple[IntArray, IntArray]:
    """Indices of all pairs whose onsets are near enough; ``after`` is sorted by onset."""
    onsets = np.array([row.onset_s for row in after])
    mine = np.array([row.onset_s for row in before])
    first = np.searchsorted(onsets, mine - _FARTHEST_S, "left")
    last = np.searchsorted(onsets, mine + _FARTHEST_S, "right")
    i = np.repeat(np.arange(len(before)), last - first)
    j = np.concatenate([np.arange(*bounds) for bounds in zip(first, last, strict=True)])
    return i.astype(np.int64), j.astype(np.int64)


def costs(before: list[Row], after: list[Row]) -> FloatArray:
    """Cost of each of ``n`` pairs, shape (n,), as the module's docstring says."""
    if not before:
        return np.empty(0)

    def columns(rows: list[Row]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.str_]]:
        numbers = [(r.onset_s, r.offset_s - r.onset_s, r.pitch, r.velocity, r.is_drum) for r in rows]
        return np.array(numbers, dtype=np.float64).T, np.array([r.instrument for r in rows])

    (onset, length, pitch, velocity, drum), instrument = columns(before)
    (onset2, length2, pitch2, velocity2, drum2), instrument2 = columns(after)
    apart_s = np.abs(onset - onset2)
    steps = np.abs(pitch - pitch2)
    both_drums, crossed = (drum + drum2) == 2, drum != drum2
    pitches = np.where(both_drums, 0.75, 0.5 + steps / 24) * (steps > 0) * ~crossed
    labels = np.where(crossed, 1.0, 0.75 * (instrument != instrument2))
    longer = np.maximum(np.maximum(length, length2), _TINY)
    found = apart_s / 0.5 + 0.5 * np.abs(length - length2) / longer + pitches + labels
    found = found + 0.1 * np.abs(velocity - velocity2) / 127
    return np.where(apart_s > _FARTHEST_S, LIMIT, found)
