"""Which clips train, validate and test: 8:1:1 of every genre's frames, without parting what belongs together.

Clips with the same music, the same performer or the same picture, and clips of one video, are all in one split. What
tells that is a set of keys per clip, one a kind; a key is held by one split, so a clip whose keys are held by two
can be in neither and is left out. Clips of an earlier release stay where they were. Decision 12 says why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from d2midi_build.errors import UsageError
from d2midi_build.release.format import SPLITS
from d2midi_build.release.splits.cutting import ENDS, Cell, Cut, as_cells, cut_giants, put_cells, spread
from d2midi_build.release.splits.placing import FIRST, LARGE, Clips, Item, Placing, components, too_much

__all__ = ["KINDS", "PRICE", "SHARES", "Assignment", "Item", "Leak", "Strategy", "assign", "leaks"]

Strategy = Literal["drop-crossing", "whole"]

KINDS: Final = ("music", "performer", "video")

SHARES: Final[Mapping[str, float]] = MappingProxyType({"train": 0.8, "validation": 0.1, "test": 0.1})

PRICE: Final = 2.5
"""Frames that may be left out for one frame less in a split above its share: half a genre for its held-out 20 %."""

_SWOLLEN: Final = 0.1
"""How far above its share of a genre a split may get by taking all new clips that are joined to it."""


@dataclass(frozen=True)
class Assignment:
    """Splits of the clips that are kept, and why the others are not; every clip is in one of the two.

    Attributes
    ----------
    split_of : dict
        Clip to split, in order of clips.
    left_out : dict
        Clip to reason, in words that name no clip or group, so that reasons can be counted.
    """

    split_of: Mapping[str, str]
    left_out: Mapping[str, str]


@dataclass(frozen=True)
class Leak:
    """A group in more than one split: its clips by split. ``kind`` is ``video_id`` for clips of one video."""

    kind: str
    group: str
    clips: Mapping[str, tuple[str, ...]]


def assign(
    items: Iterable[Item],
    before: Mapping[str, str] | None = None,
    *,
    seed: int = 0,
    shares: Mapping[str, float] = SHARES,
    kinds: Sequence[str] = KINDS,
    strategy: Strategy = "drop-crossing",
    price: float = PRICE,
) -> Assignment:
    """Put clips into splits.

    Parameters
    ----------
    items : iterable of Item
        All clips of the release, in any order.
    before : mapping, optional
        Clip to split in earlier releases; where they differ, in the latest. Clips that are no items are ignored.
    seed : int
        With the clips' ids it decides whatever the rules leave open. Default is 0.
    shares : mapping
        Share of each genre's frames wanted per split; must add up to 1. Default is 8:1:1.
    kinds : sequence of str
        Kinds of groups that are not parted, besides clips of one video. Default is music, performer and video.
    strategy : str
        What is done with joined new clips that make up more of a genre than the largest split may have, or are
        joined to a split that would get 10 points more than its share: ``drop-crossing`` (default) leaves out clips in
        order to cut them where that pays, ``whole`` does not. With both, clips are left out between groups that are
        already in two splits.
    price : float
        How many frames may be left out by a cut for each frame less that is above its split's share. Default is 2.5.

    Returns
    -------
    Assignment
        The same for the same clips, groups, seed and options, whatever the order of clips and names of groups.

    Raises
    ------
    UsageError
        A clip is there twice or has no frames, a split is unknown, or shares do not add up to 1.
    """
    before = before or {}
    items = list(items)
    _check(items, before, shares)
    clips = Clips(items, kinds, seed)
    placing = Placing(clips, shares)
    _keep_earlier(clips, placing, before)
    price = price if strategy == "drop-crossing" else 0
    free = _join_earlier(clips, placing, before, price)
    if price:
        free = cut_giants(clips, placing, free, price)
    whole = _place_whole(clips, placing, free)
    _fill_empty(clips, placing, whole)
    _second_chance(clips, placing, (clip for clip in clips.all if clips.ids[clip] not in before))
    order = sorted(clips.all, key=clips.ids.__getitem__)
    return Assignment(
        {clips.ids[clip]: placing.split[clip] for clip in order if clip in placing.split},
        {
            clips.ids[clip]: _reason(clips, placing, clip, before.get(clips.ids[clip]))
            for clip in order
            if clip not in placing.split
        },
    )


def leaks(items: Iterable[Item], split_of: Mapping[str, str], kinds: Sequence[str] = KINDS) -> list[Leak]:
    """Groups and videos that are in two splits or more; empty if nothing leaks.

    Looks at one group after the other and shares no code with `assign`, so that it can judge it. Clips that are not
    in ``split_of`` are ignored.
    """
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for item in items:
        split = split_of.get(item.clip_id)
        if split is None:
            continue
        named = [(kind, item.groups.get(kind, "")) for kind in kinds] + [("video_id", item.video_id)]
        for kind, group in named:
            if group:
                found.setdefault((kind, group), {}).setdefault(split, []).append(item.clip_id)
    return [
        Leak(kind, group, {split: tuple(sorted(clips)) for split, clips in sorted(by_split.items())})
        for (kind, group), by_split in sorted(found.items())
        if len(by_split) > 1
    ]


def _check(items: Sequence[Item], before: Mapping[str, str], shares: Mapping[str, float]) -> None:
    unknown = sorted({*shares, *before.values()} - {*SPLITS})
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no split; there are {', '.join(SPLITS)}.")
    if any(share < 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-6:
        told = ", ".join(f"{split} {share:g}" for split, share in shares.items())
        raise UsageError(f"Shares of splits must be at least 0 and add up to 1; they are {told}.")
    seen: set[str] = set()
    for item in items:
        if item.clip_id in seen:
            raise UsageError(f"Clip {item.clip_id} is there twice; give each clip once.")
        if item.n_frames < 1:
            raise UsageError(f"Clip {item.clip_id} has {item.n_frames} frames; leave it out.")
        seen.add(item.clip_id)


def _largest_first(clips: Clips, some: Iterable[int]) -> list[int]:
    return sorted(some, key=lambda clip: (-clips.frames[clip], clip))


def _keep_earlier(clips: Clips, placing: Placing, before: Mapping[str, str]) -> None:
    """Place clips of earlier releases; in a group that is in two splits by now, the split with most frames stays."""
    staying = {clip: before[clips.ids[clip]] for clip in clips.all if clips.ids[clip] in before}
    parted: list[tuple[int, int]] = []
    for key, members in enumerate(clips.clips):
        earlier = [clip for clip in members if clip in staying]
        if len({staying[clip] for clip in earlier}) > 1:
            parted.append((-sum(clips.frames[clip] for clip in earlier), key))
    gone: dict[int, str] = {}
    for _, key in sorted(parted):
        frames: Counter[str] = Counter()
        for clip in clips.clips[key]:
            if clip in staying:
                frames[staying[clip]] += clips.frames[clip]
        most = max(FIRST, key=frames.__getitem__)
        for clip in clips.clips[key]:
            if staying.get(clip, most) != most:
                gone[clip] = staying.pop(clip)
    for clip, split in staying.items():
        placing.put([clip], split)
    for clip in _largest_first(clips, gone):  # what they lost to may have been left out itself
        if placing.leads_to(clip) <= {gone[clip]}:
            placing.put([clip], gone[clip])


def _join_earlier(clips: Clips, placing: Placing, before: Mapping[str, str], price: float) -> list[list[int]]:
    """Place new clips that are joined to earlier ones; returns the groups that are not."""
    new = [clip for clip in clips.all if clips.ids[clip] not in before]
    leads = {clip: placing.leads_to(clip) for clip in new}
    possible = [clip for clip in new if len(leads[clip]) < 2]
    placing.count(possible)
    held = {*placing.holder}
    free = []
    for group in components(clips, possible, held):
        ends = {clip: next(iter(leads[clip])) for clip in group if leads[clip]}
        if not ends:
            free.append(group)
            continue
        cells = as_cells(clips, group, held, ends)
        label = spread(cells)
        if price and any(key not in ENDS.values() for key in label):
            label = _relieved(cells, placing, clips.frames_of(group), label, price)
        placing.drop(put_cells(placing, cells, label))
    return free


def _relieved(
    cells: Sequence[Cell], placing: Placing, frames: Mapping[str, int], label: dict[int, str], price: float
) -> dict[int, str]:
    """The same splits of keys, but for what a split has too much of: cut off where that pays."""
    for main in sorted({*label.values()} & {*placing.shares}):
        if too_much(placing, frames, main, _SWOLLEN):
            cut = Cut(cells, placing, frames, main, placing.shares, price, label)
            cut.search([split for split in placing.shares if split != main])
            label = cut.label
    return label


def _place_whole(clips: Clips, placing: Placing, free: Sequence[list[int]]) -> list[list[int]]:
    """Place groups as they are, large ones first; returns them."""

    def rank(group: list[int]) -> tuple[int, int]:
        frames = clips.frames_of(group)
        large = any(count > LARGE * placing.total[genre] for genre, count in frames.items())
        return -frames.total() if large else 0, group[0]

    ordered = sorted(free, key=rank)
    for group in ordered:
        placing.put(group, placing.neediest(group))
    return ordered


def _fill_empty(clips: Clips, placing: Placing, whole: Sequence[list[int]]) -> None:
    """Give each split that has nothing the smallest group of a split that has more than it."""

    def frames(group: list[int]) -> int:
        return clips.frames_of(group).total()

    for split in placing.shares:
        if placing.in_all(split):
            continue
        spare = [group for group in whole if placing.in_all(placing.split[group[0]]) > frames(group)]
        if spare:
            smallest = min(spare, key=lambda group: (frames(group), group[0]))
            placing.take(smallest)
            placing.put(smallest, split)


def _second_chance(clips: Clips, placing: Placing, some: Iterable[int]) -> None:
    """Place clips that were left out and, now that all else is placed, are joined to no more than one split."""
    for clip in _largest_first(clips, some):
        if clip not in placing.split:
            splits = placing.leads_to(clip)
            if len(splits) < 2:
                placing.put([clip], splits.pop() if splits else placing.neediest([clip]))


def _reason(clips: Clips, placing: Placing, clip: int, was: str | None) -> str:
    """Why a clip is left out: with which splits it shares what."""
    shared: dict[str, dict[str, None]] = {split: {} for split in SPLITS if split != was}
    for key in clips.keys[clip]:
        split = placing.holder.get(key)
        if split in shared:
            shared[split][clips.kind[key]] = None
    told = " and ".join(f"its {' and '.join(kinds)} with {split}" for split, kinds in shared.items() if kinds)
    return f"was in {was}, but shares {told}" if was else f"shares {told}"
