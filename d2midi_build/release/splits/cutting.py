"""Cutting a group that is too much of its genre: which clips go to which split, and which are left out for it."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Final

from d2midi_build.release.splits.placing import FIRST, Clips, Placing, too_much

_REGIONS: Final = 12
"""Regions that a cut may take from a group for one split and genre,"""
_SEEDS: Final = 12
"""beginnings of each that are tried, of three sorts,"""
_CELLS: Final = 5000
"""and size of a group from which a third of them must do."""
_ROUNDS: Final = 4
_WORK: Final = 50_000
"""Rounds of the last improvements, and cells looked at in them, so that 20,000 clips take seconds."""

ENDS: Final = {split: -1 - number for number, split in enumerate(FIRST)}
"""Keys that stand for a split which a clip is joined to already."""


@dataclass(frozen=True)
class Cell:
    """Clips of one genre with the same keys: kept if all those keys get the same split."""

    keys: tuple[int, ...]
    genre: str
    frames: int
    clips: tuple[int, ...]


def as_cells(clips: Clips, group: Sequence[int], held: set[int], ends: Mapping[int, str]) -> list[Cell]:
    """A group with only those keys that matter.

    A key whose clips all have another key as well follows that one wherever it goes: a video of one dancer's.
    """
    keys = {clip: {*clips.keys[clip]} - held for clip in group}
    for clip, split in ends.items():
        keys[clip].add(ENDS[split])
    members: dict[int, list[int]] = {}
    for clip in group:
        for key in sorted(keys[clip]):
            members.setdefault(key, []).append(clip)
    rank = {key: (len(some), -key) for key, some in members.items()}
    following = set()
    for key, some in members.items():
        if key >= 0:
            common = set.intersection(*(keys[clip] for clip in some))
            if any(other < 0 or rank[other] > rank[key] for other in common if other != key):
                following.add(key)
    alike: dict[tuple[tuple[int, ...], str], list[int]] = {}
    for clip in group:
        alike.setdefault((tuple(sorted(keys[clip] - following)), clips.genre[clip]), []).append(clip)
    return [
        Cell(key, genre, sum(clips.frames[clip] for clip in some), tuple(some))
        for (key, genre), some in alike.items()
    ]


def put_cells(placing: Placing, cells: Iterable[Cell], label: Mapping[int, str]) -> list[int]:
    """Place cells whose keys agree; returns the clips of the others."""
    crossing: list[int] = []
    for cell in cells:
        splits = {label[key] for key in cell.keys}
        if len(splits) == 1:
            placing.put(cell.clips, splits.pop())
        else:
            crossing += cell.clips
    return crossing


def _cells_of(cells: Sequence[Cell]) -> dict[int, list[int]]:
    of: dict[int, list[int]] = {}
    for number, cell in enumerate(cells):
        for key in cell.keys:
            of.setdefault(key, []).append(number)
    return of


def spread(cells: Sequence[Cell]) -> dict[int, str]:
    """Splits of keys between clips that are in several: the heaviest links are followed first, the lightest cut."""
    of = _cells_of(cells)
    ends = {key: split for split, key in ENDS.items() if key in of}
    label = dict(ends)
    pull: dict[int, Counter[str]] = {key: Counter() for key in of}
    heap: list[tuple[int, int, str]] = []

    def follow(key: int) -> None:
        for number in of[key]:
            for other in cells[number].keys:
                if other not in label:
                    pull[other][label[key]] += cells[number].frames
                    heapq.heappush(heap, (-pull[other][label[key]], other, label[key]))

    for key in ends:
        follow(key)
    while heap:
        weight, key, split = heapq.heappop(heap)
        if key not in label and pull[key][split] == -weight:
            label[key] = split
            follow(key)
    return label


def cut_giants(clips: Clips, placing: Placing, free: Sequence[list[int]], price: float) -> list[list[int]]:
    """Cut groups that would give the largest split more than its share, where that pays; returns the others."""
    main = max(placing.shares, key=placing.shares.__getitem__)
    whole = []
    for group in sorted(free, key=lambda some: (-clips.frames_of(some).total(), some[0])):
        frames = clips.frames_of(group)
        cells = as_cells(clips, group, set(), {}) if too_much(placing, frames, main) else []
        label = best_cut(cells, placing, frames, main, price) if len(cells) > 1 else None
        if label is None:
            whole.append(group)
        else:
            placing.drop(put_cells(placing, cells, label))
    return whole


def best_cut(
    cells: Sequence[Cell], placing: Placing, frames: Mapping[str, int], main: str, price: float
) -> dict[int, str] | None:
    """Splits of keys; None if no cut is worth what it leaves out.

    In all splits if that pays; else in the main one and that of the others which lacks most, which then stands for
    both: with three dancers and six pieces that keeps 10 of 18 dances, 8 and 2, and all three splits only 6.
    """
    held = [split for split in placing.shares if split != main]
    tried = []
    for splits in [held, *([[_lacking_most(placing, held)]] if len(held) > 1 else [])]:
        shares = {main: placing.shares[main]}
        for split in splits:
            shares[split] = (
                (1 - shares[main]) * placing.shares[split] / sum(placing.shares[each] for each in splits)
            )
        cut = Cut(
            cells, placing, frames, main, shares, price, {key: main for cell in cells for key in cell.keys}
        )
        cut.search(splits)
        tried.append(cut)
        if {*splits} <= {*cut.label.values()}:
            break
    best = tried[-1] if len({*tried[-1].label.values()}) > 1 else tried[0]
    return best.label if len({*best.label.values()}) > 1 else None


def _lacking_most(placing: Placing, splits: Sequence[str]) -> str:
    everything = max(1, placing.total.total())
    return max(splits, key=lambda split: placing.shares[split] - placing.in_all(split) / everything)


class Cut:
    """Search for the keys of a group that go to other splits than the main one.

    What it makes small is frames left out, plus the price times frames above their split's share when all that is
    free besides is placed as well as can be. It begins with given splits and moves regions out of one: a cell's
    keys, or one that a cut has left hanging, and then always the neighbour that costs least for what it brings, up to
    where the sum was smallest.
    """

    def __init__(
        self, cells: Sequence[Cell], placing: Placing, frames: Mapping[str, int], main: str,
        shares: Mapping[str, float], price: float, label: Mapping[int, str],
    ) -> None:  # fmt: skip
        self._cells, self._of = cells, _cells_of(cells)
        self._main, self._shares, self._price = main, shares, price
        self._have = {genre: Counter(placing.have[genre]) for genre in frames}
        self._rest = {
            genre: placing.total[genre] - placing.have[genre].total() - count
            for genre, count in frames.items()
        }
        self._genres = sorted(frames, key=lambda genre: (-frames[genre], genre))
        self.label = dict(label)

    def search(self, splits: Sequence[str]) -> None:
        """Move regions to some splits as long as that makes the sum smaller."""
        for split in splits:
            for genre in self._genres:
                for _ in range(_REGIONS):
                    region = self._best_region(split, genre)
                    if region is None:
                        break
                    self.label |= dict.fromkeys(region, split)
        self._polish([self._main, *splits])

    def _polish(self, splits: Sequence[str]) -> None:
        """Move single keys, and a cell's keys together, wherever that makes the sum smaller."""
        moves: list[tuple[int, ...]] = [(key,) for key in self._of if key >= 0]
        moves += [cell.keys for cell in self._cells if len(cell.keys) > 1 and cell.keys[0] >= 0]
        work = 0
        kept = _Standing(self._cells, self._of, self.label, self._main, splits[-1]).kept
        for _ in range(_ROUNDS):
            better = False
            for keys in moves:
                numbers = list(dict.fromkeys(number for key in keys for number in self._of[key]))
                work += len(numbers)
                if work > _WORK:
                    return
                for split in splits:
                    gain, after = self._gain(keys, split, numbers, kept)
                    if gain > 1e-9:
                        self.label |= dict.fromkeys(keys, split)
                        kept |= after
                        better = True
            if not better:
                return

    def _gain(
        self, keys: Sequence[int], split: str, numbers: Sequence[int], kept: Mapping[str, Counter[str]]
    ) -> tuple[float, dict[str, Counter[str]]]:
        """By how much the sum falls if keys move, which are in some cells; and what of those genres is kept then."""
        after: dict[str, Counter[str]] = {}
        gain = 0.0
        for number in numbers:
            cell = self._cells[number]
            old = {self.label[key] for key in cell.keys}
            new = {split if key in keys else self.label[key] for key in cell.keys}
            if old != new:
                changed = after.setdefault(cell.genre, Counter(kept[cell.genre]))
                if len(old) == 1:
                    changed[min(old)] -= cell.frames
                    gain -= cell.frames
                if len(new) == 1:
                    changed[min(new)] += cell.frames
                    gain += cell.frames
        for genre, changed in after.items():
            gain += self._price * (self._above(genre, kept[genre]) - self._above(genre, changed))
        return gain, after

    def _above(self, genre: str, kept: Mapping[str, int]) -> float:
        """Frames of a genre above their split's share, however well the rest is placed."""
        here = {split: self._have[genre][split] + kept.get(split, 0) for split in self._shares}
        total = sum(here.values()) + self._rest[genre]
        return sum(max(0.0, here[split] - share * total) for split, share in self._shares.items())

    def _best_region(self, split: str, genre: str) -> list[int] | None:
        """Keys to move next from the main split; None if nothing makes the sum smaller."""
        standing = _Standing(self._cells, self._of, self.label, self._main, split)
        kept = standing.kept.get(genre, Counter())
        total = self._have[genre].total() + kept.total() + self._rest[genre]
        wanted = self._shares[split] * total - self._have[genre][split] - kept[split]
        if wanted <= 0 or self._above(genre, kept) <= 0:
            return None
        best, region = self._sum(standing), None
        for seed in standing.seeds(genre, wanted):
            lowest, moved = self._grow(standing, seed, genre, wanted)
            if lowest < best - 1e-9:
                best, region = lowest, moved
        return region

    def _sum(self, standing: _Standing) -> float:
        return standing.lost + self._price * sum(
            self._above(genre, kept) for genre, kept in standing.kept.items()
        )

    def _grow(
        self, standing: _Standing, seed: Sequence[int], genre: str, wanted: float
    ) -> tuple[float, list[int]]:
        """Grow a region from some keys; returns the smallest sum on the way and the keys moved up to there."""
        grown = standing.copy()
        above = {each: self._above(each, kept) for each, kept in grown.kept.items()}
        aim = grown.kept[genre][grown.split] + wanted
        moved: list[int] = []
        lowest, best = float("inf"), 0
        waiting = [*seed]
        while waiting:
            for key in waiting:
                for changed in grown.move(key):
                    above[changed] = self._above(changed, grown.kept[changed])
                moved.append(key)
            total = grown.lost + self._price * sum(above.values())
            if total < lowest:
                lowest, best = total, len(moved)
            if grown.kept[genre][grown.split] >= aim:
                break
            following = grown.cheapest(2 * wanted)
            waiting = [] if following is None else [following]
        return lowest, moved[:best]


class _Standing:
    """Cells as they stand between the main split and another: what moving a key would bring and lose.

    Attributes
    ----------
    lost : int
        Frames of cells whose keys are in several splits.
    kept : dict
        Genre to split to frames.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        of: Mapping[int, Sequence[int]],
        label: Mapping[int, str],
        main: str,
        split: str,
    ) -> None:
        self._cells, self._of, self._main, self.split = cells, of, main, split
        self.lost = 0
        self.kept: dict[str, Counter[str]] = {}
        self._there = {key for key in of if label[key] == split}
        self._missing = [0] * len(
            cells
        )  # keys of a cell that are still in the main split; -1: it cannot be kept
        self._brings = dict.fromkeys(of, 0)  # frames that move with a key,
        self._wins = dict.fromkeys(of, 0)  # those of them that were lost,
        self._loses = dict.fromkeys(of, 0)  # and frames in the main split that its move would lose
        self._heap: list[tuple[float, int]] = []
        for number, cell in enumerate(cells):
            kept = self.kept.setdefault(cell.genre, Counter())
            splits = {label[key] for key in cell.keys}
            missing = [key for key in cell.keys if label[key] == main]
            self._missing[number] = len(missing) if splits <= {main, split} else -1
            if len(splits) == 1:
                kept[label[cell.keys[0]]] += cell.frames
            else:
                self.lost += cell.frames
            if self._missing[number] == 1:
                self._brings[missing[0]] += cell.frames
                self._wins[missing[0]] += cell.frames if len(cell.keys) > 1 else 0
            elif self._missing[number] == len(cell.keys):
                for key in missing:
                    self._loses[key] += cell.frames

    def copy(self) -> _Standing:
        other = copy(self)
        other.kept = {genre: Counter(kept) for genre, kept in self.kept.items()}
        other._there, other._missing, other._heap = self._there.copy(), self._missing.copy(), []
        other._brings, other._wins, other._loses = self._brings.copy(), self._wins.copy(), self._loses.copy()
        return other

    def seeds(self, genre: str, most: float) -> list[tuple[int, ...]]:
        """Keys to begin a region with, bringing at most some frames: the cheapest, and some by hash."""
        count = _SEEDS if len(self._cells) < _CELLS else _SEEDS // 3
        cells = [
            cell
            for cell, missing in zip(self._cells, self._missing, strict=True)
            if cell.genre == genre
            and missing == len(cell.keys) > 1
            and cell.frames <= most
            and cell.keys[0] >= 0  # ends come first and never move
        ]
        alone = {
            key: None
            for cell, missing in zip(self._cells, self._missing, strict=True)
            if cell.genre == genre and missing == 1
            for key in cell.keys
            if key >= 0 and key not in self._there and self._brings[key] <= most
        }

        def cost(cell: Cell) -> float:
            loses = sum(self._loses[key] - cell.frames - self._wins[key] for key in cell.keys)
            return loses / (cell.frames + sum(self._brings[key] for key in cell.keys))

        cheapest: list[tuple[int, ...]] = [(key,) for key in heapq.nsmallest(count, alone, key=self._cost)]
        cheapest += [cell.keys for cell in heapq.nsmallest(count, cells, key=cost)]
        return list(dict.fromkeys([*cheapest, *(cell.keys for cell in cells[:count])]))

    def move(self, key: int) -> set[str]:
        """Move a key from the main split to the other; returns the genres of which frames moved or were lost."""
        changed: set[str] = set()
        self._there.add(key)
        for number in self._of[key]:
            cell, missing = self._cells[number], self._missing[number]
            if missing < 0:
                continue
            changed.add(cell.genre)
            self._missing[number] = missing - 1
            if missing == len(cell.keys):
                self.kept[cell.genre][self._main] -= cell.frames
                self.lost += cell.frames
                if missing > 1:
                    for other in cell.keys:
                        self._loses[other] -= cell.frames
            if missing == 1:
                self.kept[cell.genre][self.split] += cell.frames
                self.lost -= cell.frames
                continue
            here = [other for other in cell.keys if other not in self._there]
            if missing == 2:
                self._brings[here[0]] += cell.frames
                self._wins[here[0]] += cell.frames
            for other in here:
                if self._brings[other]:
                    heapq.heappush(self._heap, (self._cost(other), other))
        return changed

    def cheapest(self, most: float) -> int | None:
        """The neighbour of what was moved that costs least for each frame it brings, if it brings at most some."""
        while self._heap:
            cost, key = heapq.heappop(self._heap)
            if key >= 0 and key not in self._there and cost == self._cost(key) and self._brings[key] <= most:
                return key
        return None

    def _cost(self, key: int) -> float:
        """Frames lost per frame that moves; -1 if all that moves was lost before and nothing new is."""
        return (self._loses[key] - self._wins[key]) / self._brings[key]
