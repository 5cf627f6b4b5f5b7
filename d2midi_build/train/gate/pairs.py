"""Dances with music: as the release pairs them, with other music of their genre, and paired wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from d2midi_build.train.gate.heard import Heard
from d2midi_build.train.metrics.chance import Identity, re_pair

Chosen = TypeVar("Chosen")

PARTNERS: Final = 4
"""Other pieces of music that a dance is held against."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A dance and music: of the same clip in a release.

    Attributes
    ----------
    dance : Heard
        Decides source, split and genre.
    music : Heard
    """

    dance: Heard
    music: Heard

    @property
    def n_frames(self) -> int:
        """Frames that both have."""
        return min(self.dance.n_frames, self.music.n_frames)


def one_each(
    pairs: Sequence[Pair], split: str, most: int, choose: Callable[[Pair], Chosen | None]
) -> list[Chosen]:
    """Something of each of the first sources of a split: what is chosen of its first pair that has any."""
    found: dict[str, Chosen] = {}
    for pair in pairs:
        if pair.dance.split == split and pair.dance.source not in found and len(found) < most:
            chosen = choose(pair)
            if chosen is not None:
                found[pair.dance.source] = chosen
    return list(found.values())


def real(clips: Sequence[Heard]) -> list[Pair]:
    """Each clip's dance with its own music."""
    return [Pair(clip, clip) for clip in clips]


def shuffled(clips: Sequence[Heard], rng: np.random.Generator, in_split: bool = True) -> list[Pair]:
    """Each dance with music of another source of its genre, whatever the tempo.

    What a release is whose files were mixed up within genres. A dance whose genre has no other source is left out.

    Parameters
    ----------
    clips : sequence of Heard
    rng : np.random.Generator
    in_split : bool, optional
        Music of the dance's own split where there is any: with two sources of a genre in test there is one way only.
        Default is yes.
    """
    near, far = (
        re_pair(mine, mine, rng, 1)
        for mine in ([_whole(clip, kept) for clip in clips] for kept in (in_split, False))
    )
    return [
        Pair(clip, clips[(here or anywhere)[0]])
        for clip, here, anywhere in zip(clips, near.partners, far.partners, strict=True)
        if here or anywhere
    ]


def re_paired(
    pairs: Sequence[Pair], music: Sequence[Heard], rng: np.random.Generator, most: int = PARTNERS
) -> list[list[Pair]]:
    """Each pair's dance with other music of its genre, of its music's tempo where there is any.

    Parameters
    ----------
    pairs : sequence of Pair
    music : sequence of Heard
        Where other music is taken from.
    rng : np.random.Generator
    most : int, optional
        Default is 4.

    Returns
    -------
    list of list of Pair
        For each pair; none where its genre is unknown or has no other source.
    """
    labelled = [each for each in music if each.genre]  # others may be of any genre
    candidates = [Identity((*each.apart, *each.apart), each.genre, each.tempo_bpm) for each in labelled]
    wanted = [
        Identity((*pair.dance.apart, *pair.music.apart), pair.dance.genre, pair.music.tempo_bpm)
        for pair in pairs
    ]
    found = re_pair(wanted, candidates, rng, most)
    return [
        [Pair(pair.dance, labelled[place]) for place in partners]
        for pair, partners in zip(pairs, found.partners, strict=True)
    ]


def _whole(clip: Heard, in_split: bool) -> Identity:
    """A clip that any music of its genre fits, whatever the tempo."""
    return Identity(clip.apart, f"{clip.split}/{clip.genre}" if in_split else clip.genre, None)
