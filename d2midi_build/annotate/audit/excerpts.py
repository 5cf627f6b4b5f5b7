"""Excerpts that people write down from scratch, without having seen what the machine heard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from d2midi_build import clock
from d2midi_build.annotate.sheets import sheets

LENGTH_S: Final = 10
"""Of an excerpt: long enough to find one's way in the music, short enough to write down every note of it."""


@dataclass(frozen=True, order=True)
class Excerpt:
    """Whole seconds of a clip, half-open, inside one sheet."""

    clip_id: str
    start_s: int
    end_s: int

    @property
    def excerpt_id(self) -> str:
        """Its name, e.g. ``yt-abc_00001000@20``."""
        return f"{self.clip_id}@{self.start_s}"

    def overlaps(self, other: Excerpt) -> bool:
        """Whether they have seconds in common."""
        return self.clip_id == other.clip_id and self.start_s < other.end_s and other.start_s < self.end_s

    @property
    def source(self) -> str:
        """The video it is of."""
        return self.clip_id.rpartition("_")[0]


def excerpts(candidates: Mapping[str, int], n: int, seed: int) -> list[Excerpt]:
    """Draw excerpts.

    Parameters
    ----------
    candidates : mapping of str to int
        Clips, and how many frames they have.
    n : int
        How many.
    seed : int

    Returns
    -------
    list of Excerpt
        Fewer where the clips have no more. All sources come once, in random order, before any comes again, and within a
        source each span that overlaps none drawn before is equally likely: how much music a source has does not count.
        The first of a larger ``n`` are those of a smaller one.
    """
    rng = np.random.default_rng(seed)
    free: dict[str, list[Excerpt]] = {}
    for clip_id, n_frames in sorted(candidates.items()):
        for each in _spans(clip_id, n_frames):
            free.setdefault(each.source, []).append(each)
    found: list[Excerpt] = []
    while len(found) < n and free:
        for source in rng.permutation(sorted(free)).tolist():
            drawn = free[source][int(rng.integers(len(free[source])))]
            found.append(drawn)
            free[source] = [each for each in free[source] if not each.overlaps(drawn)]
            if not free[source]:
                del free[source]
    return found[:n]


def _spans(clip_id: str, n_frames: int) -> list[Excerpt]:
    found = []
    for sheet in sheets(clip_id, n_frames):
        first, last = sheet.start_frame // clock.FPS, sheet.end_frame // clock.FPS
        found += [Excerpt(clip_id, at, at + LENGTH_S) for at in range(first, last - LENGTH_S + 1)]
    return found
