"""What can be wrong with a release whose files are all in order: one thing each, all else as in the good one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal, get_args

import numpy as np

from d2midi_build.errors import UsageError
from d2midi_build.synthetic.releases.sources import Source

Sabotage = Literal["swapped", "offset-per-source", "offset-constant", "genre-constant", "leak", "noise"]

SABOTAGES: Final[tuple[Sabotage, ...]] = get_args(Sabotage)

OFFSET_S: Final = 0.2
"""Of ``offset-constant``: every dance is that much later than its music."""

OFFSETS_S: Final = (0.15, 1.5)
"""Of ``offset-per-source``: least and largest, of either sign."""


def spoiled(sources: Sequence[Source], kind: Sabotage, rng: np.random.Generator) -> tuple[Source, ...]:
    """Sources with one thing wrong.

    Parameters
    ----------
    sources : sequence of Source
    kind : Sabotage
        ``swapped``: each dance has the music of another source of its genre, beats and music group with it.
        ``offset-per-source``: each dance is later or earlier than its music by a time of its own, 0.15-1.5 s; where
        that is about a whole number of beats, its beats still agree.
        ``offset-constant``: each dance is 0.2 s later than its music.
        ``genre-constant``: all have the first source's label.
        ``noise``: smooth noise of the same spectrum stands in for the keypoints.
        ``leak`` needs splits: `leaked`.
    rng : np.random.Generator

    Raises
    ------
    UsageError
        If a genre has one source only and music is to be swapped, or the sabotage is another one.
    """
    if kind not in _HOW:
        raise UsageError(f"there is no sabotage {kind!r}: use one of {', '.join(SABOTAGES)}")
    return _HOW[kind](tuple(sources), rng)


def leaked(
    sources: Sequence[Source], split_of: Mapping[str, str]
) -> tuple[tuple[Source, ...], dict[str, str]]:
    """Sources with a copy of every test clip for train, and the split of each clip.

    A copy is what a second upload of the same video is: the same dance, the same notes, a tracker's noise of its own,
    another id, and groups that do not tell.

    Parameters
    ----------
    sources : sequence of Source
    split_of : dict
        Split of each clip of the good release.

    Returns
    -------
    sources : tuple of Source
        The given ones, then the copies.
    split_of : dict
        The same with the copies: what `release.build` takes as ``before``.
    """
    kept = [source for source in sources if split_of[source.clip_id] == "test"]
    copies = tuple(
        replace(source, video_id=name, music_group=name, tracker=(*source.tracker, 1))
        for source, name in zip(kept, _names(len(sources), len(kept)), strict=True)
    )
    return (*sources, *copies), dict(split_of) | {copy.clip_id: "train" for copy in copies}


def _names(first: int, n: int) -> list[str]:
    return [f"syn-{number:05d}" for number in range(first, first + n)]


def _swapped(sources: tuple[Source, ...], rng: np.random.Generator) -> tuple[Source, ...]:
    found = list(sources)
    for genre in sorted({source.genre for source in sources}):
        mine = [place for place, source in enumerate(sources) if source.genre == genre]
        if len(mine) < 2:
            raise UsageError(f"music cannot be swapped within {genre}: it has one source, make more sources")
        # A cycle through all of them: nobody keeps their own.
        order = rng.permutation(mine).tolist()
        for place, giver in zip(order, [*order[1:], order[0]], strict=True):
            found[place] = replace(
                sources[place], song=sources[giver].song, music_group=sources[giver].music_group
            )
    return tuple(found)


def _offset_per_source(sources: tuple[Source, ...], rng: np.random.Generator) -> tuple[Source, ...]:
    size, sign = rng.uniform(*OFFSETS_S, len(sources)), rng.choice([-1.0, 1.0], len(sources))
    return tuple(map(_late, sources, (size * sign).tolist()))


def _offset_constant(sources: tuple[Source, ...], rng: np.random.Generator) -> tuple[Source, ...]:
    return tuple(_late(source, OFFSET_S) for source in sources)


def _genre_constant(sources: tuple[Source, ...], rng: np.random.Generator) -> tuple[Source, ...]:
    return tuple(replace(source, genre=sources[0].genre) for source in sources)


def _noise(sources: tuple[Source, ...], rng: np.random.Generator) -> tuple[Source, ...]:
    return tuple(replace(source, noise=True) for source in sources)


def _late(source: Source, by_s: float) -> Source:
    """The dance that much later than the music: the clip begins later in its song."""
    return replace(source, song_start_s=source.song_start_s + by_s)


_HOW: Final[Mapping[str, Callable[[tuple[Source, ...], np.random.Generator], tuple[Source, ...]]]] = {
    "swapped": _swapped,
    "offset-per-source": _offset_per_source,
    "offset-constant": _offset_constant,
    "genre-constant": _genre_constant,
    "noise": _noise,
}
