"""Which takes repeat the music or the picture of others, remembered between builds.

Comparing n takes takes n * (n - 1) / 2 comparisons, so only those of takes that are new are made. The file in
the workspace is a memory of that, never the truth: without it everything is compared again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from d2midi_build.groups.membership import Member, Pair, groups
from d2midi_build.screening.criteria import BEST_FIRST

if TYPE_CHECKING:
    from d2midi_build.recipe import Recipe
    from d2midi_build.workspace import Workspace

VERSION = 1
"""Raised whenever the same fingerprints would give other pairs."""

MUSIC_FILE, PICTURE_FILE = "music.npz", "picture.npz"
"""What the stage ``filter`` leaves of a video to compare it by."""


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
    path: Path, members: Sequence[Member], progress: Callable[[int, int], None] = lambda done, total: None
) -> Repeats:
    """Compare what is new, and remember it.

    Parameters
    ----------
    path : Path
        The memory.
    members : sequence of Member
        All takes that may become clips; those that are gone are forgotten.
    progress : callable, optional
        Is told how many comparisons are done, and of how many.
    """
    before = load(path)
    now = {member.take_id: member.key for member in members}
    known = {take for take, key in before.compared.items() if now.get(take) == key}
    kept = [pair for pair in before.pairs if pair.first in known and pair.second in known]
    new = [] if len(known) == len(now) else find_pairs(members, known, progress)
    pairs = tuple(sorted([*kept, *new], key=lambda pair: (pair.kind, pair.first, pair.second)))
    found = Repeats(now, pairs, left_out(members, pairs))
    if found != before:
        _save(path, found)
    return found


def find_pairs(
    members: Sequence[Member], known: set[str], progress: Callable[[int, int], None]
) -> list[Pair]:
    """Compare the takes that are not known with all others."""
    return []


def left_out(members: Sequence[Member], pairs: Sequence[Pair]) -> dict[str, str]:
    """All but one video of each group that shares music or picture: its takes, and the take that stays for them.

    The takes of one video do not repeat each other. The video that stays is the one with the best take: accepted
    before under review, then the longest, then the first by id.
    """
    usable = {member.take_id: member for member in members if member.status != "reject"}
    rows = groups(list(usable.values()), pairs)
    by_group: dict[tuple[str, str], list[Member]] = {}
    for row in rows:
        if row["kind"] in ("music", "video"):
            by_group.setdefault((row["kind"], row["group_id"]), []).append(usable[row["take_id"]])
    out: dict[str, str] = {}
    for _, group in sorted(by_group.items()):
        staying = [member for member in group if member.take_id not in out]
        if len({member.video_id for member in staying}) < 2:
            continue
        best = min(staying, key=_rank)
        out |= {member.take_id: best.take_id for member in staying if member.video_id != best.video_id}
    return out


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
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    partial.replace(path)
