"""Groups of takes: connected components over pairs that were found and names that are equal.

A split of a dataset must not part a group (``split`` joins all three kinds), or test music, dancers or pictures have
been seen in training.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

from d2midi_build.sources.aist import AistName, parse_name

KINDS: Final = ("music", "performer", "video", "split")


@dataclass(frozen=True)
class Member:
    """A take as grouping sees it.

    Attributes
    ----------
    take_id, video_id : str
    start_s, end_s : float
        Where it lies in its video.
    performer, channel, music : str
        As the list or the site names them; empty where they do not.
    url : str
        Of the source; names of the AIST Dance Video Database are read from it.
    status : str
        What screening and people say of the take by itself: accept, review or reject.
    features : Path
        Folder of the files in which the stage ``filter`` left the video's fingerprints.
    key : str
        Changes when the fingerprints do.
    """

    take_id: str
    video_id: str
    start_s: float
    end_s: float
    performer: str
    channel: str
    music: str
    url: str
    status: str
    features: Path
    key: str


@dataclass(frozen=True)
class Pair:
    """Two takes found to share music or picture; a row of table ``repeats``, which says what each field means."""

    kind: Literal["music", "video"]
    first: str
    second: str
    how: str
    score: float
    offset_s: float
    overlap_s: float
    speed: float | None = None
    semitones: float | None = None
    mirrored: bool | None = None

    def told(self, other_than: str) -> str:
        """In words, as seen from one of the two."""
        other = self.second if other_than == self.first else self.first
        what = "sounds like" if self.kind == "music" else "shows what is in"
        return f"{what} {other} for {self.overlap_s:.0f} s ({self.how}, score {self.score:.2f})"


class Components:
    """Sets of takes that are joined, each called by its smallest member (union-find)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def first(self, take: str) -> str:
        """The smallest take of a take's set."""
        root = take
        while (above := self._parent.get(root, root)) != root:
            root = above
        while take != root:
            self._parent[take], take = root, self._parent.get(take, take)
        return root

    def join(self, one: str, other: str) -> bool:
        """Make the sets of two takes one; whether they were two."""
        low, high = sorted((self.first(one), self.first(other)))
        self._parent[high] = low
        return low != high


def groups(members: Sequence[Member], pairs: Iterable[Pair]) -> list[dict[str, Any]]:
    """Rows of table ``groups``: each take once per kind, without the provenance columns.

    Parameters
    ----------
    members : sequence of Member
    pairs : iterable of Pair
        Those of takes that are no members are ignored.

    Returns
    -------
    list of dict
        A take has a row of kind ``performer`` only where its performer or channel is known, of every other kind
        always, alone if need be. A group is called by its first take, so the name of a group may change when takes
        are added; who is in it does not depend on their order.
    """
    joined = {kind: Components() for kind in KINDS}
    why: dict[tuple[str, str], list[str]] = {}

    def join(kind: str, one: str, other: str) -> None:
        joined[kind].join(one, other)
        joined["split"].join(one, other)

    for kind in ("music", "performer", "video"):
        named: dict[str, str] = {}
        for member in members:
            for name, said in _names(kind, member):
                join(kind, member.take_id, named.setdefault(name, member.take_id))
                if said:
                    why.setdefault((kind, member.take_id), []).append(said)
    takes = {member.take_id for member in members}
    for pair in pairs:
        if pair.first in takes and pair.second in takes:
            join(pair.kind, pair.first, pair.second)
            for take in (pair.first, pair.second):
                why.setdefault((pair.kind, take), []).append(pair.told(take))
    rows = []
    for kind in KINDS:
        of = {
            member.take_id: joined[kind].first(member.take_id)
            for member in members
            if kind != "performer" or any(_names(kind, member))
        }
        sizes: dict[str, int] = {}
        for group in of.values():
            sizes[group] = sizes.get(group, 0) + 1
        rows += [
            {
                "take_id": take,
                "kind": kind,
                "group_id": group,
                "n_takes": sizes[group],
                "because": list(dict.fromkeys(why.get((kind, take), []))),
            }
            for take, group in of.items()
        ]
    return rows


def aist_name(url: str) -> AistName | None:
    """The AIST name in the last part of a URL or path; None if it is none."""
    try:
        return parse_name(unquote(Path(urlsplit(url).path).name))
    except ValueError:
        return None


def _names(kind: str, member: Member) -> list[tuple[str, str]]:
    """What makes a member belong to all others with the same: a key, and the reason in words."""
    aist = aist_name(member.url)
    if kind == "music":
        names = [("given", _plain(member.music), f"music {member.music!r} in the list")]
        names += [("aist", aist.music, f"AIST music m{aist.music}")] if aist else []
    elif kind == "performer":
        given = member.performer or (member.channel if not aist else "")
        told = "in the list" if member.performer else "by the channel"
        names = [("given", _plain(given), f"performer {given!r} {told}")]
        names += [("aist", dancer, f"AIST dancer {dancer}") for dancer in aist.dancers] if aist else []
    else:
        names = [("video", member.video_id, "")]
        names += [("aist", aist.dance, f"AIST dance {aist.dance}, filmed by several cameras")] if aist else []
    return [(f"{origin}:{name}", said) for origin, name, said in names if name]


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())
