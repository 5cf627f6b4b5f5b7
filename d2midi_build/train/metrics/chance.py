"""Which other clips to compare a clip with, to know what its scores would be by chance.

A beat score says nothing alone: metronomes of any tempo and phase have F1 0.76 at 200 ms. Its chance level is the score
of the same pieces against the dances (or the music) of other sources, of the same genre, because genre alone predicts
much of the music, and of the same tempo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

TEMPO_WITHIN: Final = 0.04
"""Tempi this close, in shares of the clip's own, are the same."""

DERANGEMENTS: Final = 8


@dataclass(frozen=True)
class Identity:
    """What decides which clips may be paired.

    Attributes
    ----------
    apart : tuple of str
        Source (video), and what else must differ, as the music: clips of which any place is equal are never paired.
        Empty where not known. All clips have the same places.
    stratum : str
        Clips are paired only within it: the genre.
    tempo_bpm : float or None
    """

    apart: tuple[str, ...]
    stratum: str
    tempo_bpm: float | None


@dataclass(frozen=True)
class RePairing:
    """Whom each clip is paired with.

    Attributes
    ----------
    partners : tuple of tuple of int
        Numbers of the other clips, for each clip; none where its genre has no other source. The r-th partners of all
        clips are one derangement; a clip with fewer partners than there are derangements takes part in fewer.
    tempo_matched : tuple of bool
        Whether a clip's partners have its tempo within 4 %; else it has one, the nearest in tempo.
    """

    partners: tuple[tuple[int, ...], ...]
    tempo_matched: tuple[bool, ...]

    @property
    def n_derangements(self) -> int:
        """Partners of the clip that has most."""
        return max(map(len, self.partners), default=0)

    @property
    def n_pairs(self) -> int:
        """Pairs in all."""
        return sum(map(len, self.partners))


def re_pair(
    clips: Sequence[Identity],
    others: Sequence[Identity],
    rng: np.random.Generator,
    most: int = DERANGEMENTS,
) -> RePairing:
    """Partners for clips: of the same stratum, of another source, of the same tempo where there are any.

    Parameters
    ----------
    clips, others : sequence of Identity
        Clips may be among the others.
    rng : np.random.Generator
    most : int, optional
        Partners of a clip, different ones, drawn at random among those of its tempo. With none within 4 % it gets the
        one whose tempo is nearest in ratio (drawn among equals); where tempi are unknown any will do. Default is 8.
    """
    names = np.array([each.apart for each in others], dtype=np.str_)
    tempo = np.log([each.tempo_bpm or np.nan for each in others])
    strata: dict[str, npt.NDArray[np.int64]] = {}
    for stratum in {each.stratum for each in others}:
        strata[stratum] = np.flatnonzero([each.stratum == stratum for each in others])
    nobody = np.empty(0, np.int64)
    partners, matched = [], []
    for clip in clips:
        here = strata.get(clip.stratum, nobody)
        if len(here):
            here = here[~((names[here] == np.array(clip.apart)) & (names[here] != "")).any(axis=1)]
        distance = np.abs(tempo[here] - np.log(clip.tempo_bpm or np.nan))
        close = here[np.abs(np.exp(tempo[here]) / (clip.tempo_bpm or np.nan) - 1) <= TEMPO_WITHIN + 1e-9]
        matched.append(len(close) > 0)
        if len(close):
            chosen = rng.permutation(close)[:most]
        elif np.isfinite(distance).any():
            chosen = rng.permutation(here[distance <= np.nanmin(distance) + 1e-12])[:1]
        else:
            chosen = rng.permutation(here)[:most]
        partners.append(tuple(int(place) for place in chosen))
    return RePairing(tuple(partners), tuple(matched))
