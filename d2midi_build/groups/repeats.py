"""Which takes repeat the music or the picture of others, remembered between builds.

Comparing n takes takes n * (n - 1) / 2 comparisons, so only those of takes that are new are made. The file in
the workspace is a memory of that, never the truth: without it everything is compared again. Of the pairs found those
are kept that make the groups, the surest first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from d2midi_build.groups.membership import KINDS, Components, Member, Pair, groups
from d2midi_build.screening.criteria import BEST_FIRST

if TYPE_CHECKING:
    from d2midi_build.recipe import Recipe
    from d2midi_build.workspace import Workspace

VERSION = 1
"""Raised whenever the same fingerprints would give other pairs."""

_AT_ONCE = 1000


@dataclass(frozen=True)
class Repeats:
    """Pairs found among takes.

    Attributes
    ----------
    compared : dict
        Takes that were compared with each other, and the key of what was compared.
    pairs : tuple of Pair
        In order of kind, first and second take.
    left_out : dict
        Takes that a recipe with ``groups.repeats = "drop"`` drops, and the one of the same group that stays.
    """

    compared: Mapping[str, str] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


def load(path: Path) -> Repeats:
    """What was found before; nothing if the file is missing, damaged or of another version."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["version"] != VERSION:
            return Repeats()
        return Repeats(raw["compared"], tuple(Pair(**pair) for pair in raw["pairs"]), raw["left_out"])
    except (OSError, ValueError, KeyError, TypeError):
        return Repeats()


def dropped(workspace: Workspace, recipe: Recipe) -> Mapping[str, str]:
    """Takes that repeat another one, where the recipe drops them: which one stays."""
    return load(workspace.repeats_path).left_out if recipe.groups.repeats == "drop" else {}


def update(
    path: Path, members: Sequence[Member], compared: Callable[[int, int], None] | None = None
) -> Repeats:
    """Forget takes that are gone, compare those that are new, and remember both.

    Parameters
    ----------
    path : Path
        The memory; it is written after every few takes, so a kill loses little.
    members : sequence of Member
        All takes that may become clips.
    compared : callable, optional
        Is told how many new takes are compared, and of how many. Without it nothing new is compared.
    """
    before = load(path)
    now = {member.take_id: member for member in members}
    known = _still_known(before, now)
    pairs = _joining(pair for pair in before.pairs if pair.first in known and pair.second in known)
    new = [member for member in members if member.take_id not in known]
    if new and compared is not None:
        from d2midi_build.groups.comparing import Comparison

        comparison = Comparison([now[take] for take in known])
        for start in range(0, len(new), _AT_ONCE):
            some = new[start : start + _AT_ONCE]
            found = comparison.add(some, partial(_tell, compared, start, len(some), len(new)))
            known |= {
                member.take_id: member.key for member in some if member.take_id not in comparison.unreadable
            }
            pairs = _joining([*pairs, *found])
            _save(path, Repeats(known, pairs, {}))
    result = Repeats(known, pairs, left_out(members, pairs))
    if new or result != before:
        _save(path, result)
    return result


def _still_known(before: Repeats, now: Mapping[str, Member]) -> dict[str, str]:
    """Takes that need not be compared with each other again.

    Not those that a take which is gone joined to others: what joined them without it was not kept.
    """
    same = {take: key for take, key in before.compared.items() if take in now and now[take].key == key}
    joined = Components()
    for pair in before.pairs:
        joined.join(pair.first, pair.second)
    torn = {joined.first(take) for take in before.compared if take not in same}
    return {take: key for take, key in same.items() if joined.first(take) not in torn}


def _tell(compared: Callable[[int, int], None], done: int, some: int, total: int, share: float) -> None:
    compared(done + int(share * some), total)


def _joining(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """The pairs that make groups, the surest kept: so n copies of a video are n - 1 pairs, not n * (n - 1) / 2."""
    joined = {kind: Components() for kind in KINDS}
    best_first = sorted(pairs, key=lambda pair: (-pair.score, pair.first, pair.second))
    kept = [pair for pair in best_first if joined[pair.kind].join(pair.first, pair.second)]
    return tuple(sorted(kept, key=lambda pair: (pair.kind, pair.first, pair.second)))


def left_out(members: Sequence[Member], pairs: Sequence[Pair]) -> dict[str, str]:
    """Takes of videos that share music or picture with a better one: which take stays for them.

    The best video comes first: that with the best take, accepted before under review, then the longest, then the first
    by id. A video is left out if a take of it is in a group of music or video with a video that stays; the takes of one
    video do not repeat each other.
    """
    usable = {member.take_id: member for member in members if member.status != "reject"}
    of: dict[str, set[tuple[str, str]]] = {}
    for row in groups(list(usable.values()), pairs):
        if row["kind"] in ("music", "video"):
            of.setdefault(usable[row["take_id"]].video_id, set()).add((row["kind"], row["group_id"]))
    best: dict[str, Member] = {}
    for member in sorted(usable.values(), key=_rank):
        best.setdefault(member.video_id, member)
    staying: dict[tuple[str, str], str] = {}
    gone: dict[str, str] = {}
    for video_id, member in sorted(best.items(), key=lambda each: _rank(each[1])):
        repeated = next((staying[group] for group in sorted(of[video_id]) if group in staying), None)
        if repeated is None:
            staying |= dict.fromkeys(of[video_id], member.take_id)
        else:
            gone[video_id] = repeated
    return {take: gone[member.video_id] for take, member in usable.items() if member.video_id in gone}


def _rank(member: Member) -> tuple[int, float, str]:
    status = [*BEST_FIRST].index(member.status)  # type: ignore[arg-type]
    return status, member.start_s - member.end_s, member.take_id


def _save(path: Path, found: Repeats) -> None:
    data = {
        "version": VERSION,
        "compared": dict(found.compared),
        "pairs": [asdict(pair) for pair in found.pairs],
        "left_out": dict(found.left_out),
    }
    partial = path.with_name(f".{path.name}")  # the workspace's lock is held: nobody else writes it
    partial.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    partial.replace(path)
