"""Clips as numbers, what joins them, and which split holds what so far."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

FIRST: Final = ("train", "test", "validation")
"""Who gets something first where there is little, and wins ties."""

LARGE: Final = 0.02
"""Groups with more of a genre are placed first, by size; the rest by hash, so that long videos are in every split."""

_TOGETHER: Final = 0.5
"""Weight of all genres together beside a genre, where it has too few groups to come near its shares by itself."""


@dataclass(frozen=True)
class Item:
    """A clip as splitting sees it.

    Attributes
    ----------
    clip_id, video_id : str
    genre : str
        Each is split by itself; empty where it is not known, which counts as one more.
    n_frames : int
        At least 1.
    groups : dict
        Kind to id of the group; a kind that is missing or empty joins the clip to nothing. Only which ids are equal
        counts, not how they read.
    """

    clip_id: str
    video_id: str
    genre: str
    n_frames: int
    groups: Mapping[str, str]


class Clips:
    """Clips in order of their hashes, and what joins them, all as numbers: so names of groups cannot matter."""

    def __init__(self, items: Iterable[Item], kinds: Sequence[str], seed: int) -> None:
        hashed = sorted(
            items,
            key=lambda item: (
                hashlib.sha256(f"{seed}\n{item.clip_id}".encode()).digest() + item.clip_id.encode()
            ),
        )
        self.ids = [item.clip_id for item in hashed]
        self.all = range(len(hashed))
        self.frames = [item.n_frames for item in hashed]
        self.genre = [item.genre for item in hashed]
        self.keys: list[tuple[int, ...]] = []
        self.clips: list[list[int]] = []
        self.kind: list[str] = []
        numbers: dict[tuple[str, str], int] = {}
        for clip, item in enumerate(hashed):
            named = [(kind, item.groups.get(kind, "")) for kind in dict.fromkeys(kinds)]
            keys = []
            for kind, group in [*named, ("video id", item.video_id)]:
                if not group:
                    continue
                key = numbers.setdefault((kind, group), len(numbers))
                if key == len(self.kind):
                    self.kind.append("video" if kind == "video id" else kind)
                    self.clips.append([])
                self.clips[key].append(clip)
                keys.append(key)
            self.keys.append(tuple(keys))

    def frames_of(self, some: Iterable[int]) -> Counter[str]:
        """Frames of clips per genre."""
        frames: Counter[str] = Counter()
        for clip in some:
            frames[self.genre[clip]] += self.frames[clip]
        return frames


class Placing:
    """What is in which split so far, and who holds which key."""

    def __init__(self, clips: Clips, shares: Mapping[str, float]) -> None:
        self._clips = clips
        self.shares = {split: shares[split] for split in FIRST if shares.get(split, 0) > 0}
        self.split: dict[int, str] = {}
        self.holder: dict[int, str] = {}
        self.have: dict[str, Counter[str]] = {genre: Counter() for genre in sorted({*clips.genre})}
        self.total: Counter[str] = Counter()

    def put(self, some: Iterable[int], split: str) -> None:
        for clip in some:
            self.split[clip] = split
            self.holder |= dict.fromkeys(self._clips.keys[clip], split)
            self.have[self._clips.genre[clip]][split] += self._clips.frames[clip]

    def take(self, some: Iterable[int]) -> None:
        """Take back whole groups."""
        for clip in some:
            self.have[self._clips.genre[clip]][self.split.pop(clip)] -= self._clips.frames[clip]
            for key in self._clips.keys[clip]:
                self.holder.pop(key, None)

    def leads_to(self, clip: int) -> set[str]:
        """Splits that hold a key of a clip."""
        return {self.holder[key] for key in self._clips.keys[clip] if key in self.holder}

    def in_all(self, split: str) -> int:
        """Frames of a split."""
        return sum(each[split] for each in self.have.values())

    def count(self, free: Iterable[int]) -> None:
        """Frames per genre: what is placed, and clips that can still be."""
        self.total = Counter({genre: have.total() for genre, have in self.have.items()})
        self.total.update(self._clips.frames_of(free))

    def drop(self, some: Iterable[int]) -> None:
        """Clips that cannot be placed after all."""
        self.total.subtract(self._clips.frames_of(some))

    def neediest(self, some: Sequence[int]) -> str:
        """Split that is furthest below its share in the genres of some clips, and in all genres together."""
        frames = self._clips.frames_of(some)
        everything, of_some = max(1, self.total.total()), frames.total()

        def lacking(split: str) -> float:
            share = self.shares[split]
            return _TOGETHER * (share - self.in_all(split) / everything) + sum(
                count / of_some * (share - self.have[genre][split] / max(1, self.total[genre]))
                for genre, count in frames.items()
            )

        return max(self.shares, key=lambda split: round(lacking(split), 12))


def too_much(placing: Placing, frames: Mapping[str, int], split: str, allowed: float = 0.0) -> bool:
    """Whether a split would have so much more than its share of a genre if it got a group, and the group is large."""
    return any(
        count > LARGE * placing.total[genre]
        and placing.have[genre][split] + count > (placing.shares[split] + allowed) * placing.total[genre]
        for genre, count in frames.items()
    )


def components(clips: Clips, some: Iterable[int], held: set[int]) -> list[list[int]]:
    """Clips that are joined by keys nobody holds, each group in order of hashes."""
    waiting = dict.fromkeys(some)
    seen = set(held)
    found = []
    while waiting:
        first = next(iter(waiting))
        del waiting[first]
        group = [first]
        for clip in group:  # grows while it is walked
            for key in clips.keys[clip]:
                if key not in seen:
                    seen.add(key)
                    others = [other for other in clips.clips[key] if other in waiting]
                    for other in others:
                        del waiting[other]
                    group += others
        found.append(sorted(group))
    return found
