"""What is known of drums without a model: how often quads are, and how often after which."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from d2midi_build.train.gate.drum_task import Crop


class Counted:
    """How often quads are in train, and how often after which.

    A quad has ``(n + 1) / (N + V)``, add-one smoothed over the V quads there are and one for all others; after another
    quad ``(n(a, b) + P(b)) / (n(a) + 1)``: what was seen, and one more time spread as quads are anywhere.
    """

    def __init__(self, train: Sequence[Crop]) -> None:
        self._one: Counter[tuple[int, ...]] = Counter()
        self._two: Counter[tuple[tuple[int, ...], tuple[int, ...]]] = Counter()
        self._before: Counter[tuple[int, ...]] = Counter()
        for crop in train:
            quads = _rows(crop)
            self._one.update(quads[1:])
            self._before.update(quads[:-1])
            self._two.update(pairwise(quads))
        self._total = sum(self._one.values()) + len(self._one) + 1

    def nats(self, crop: Crop) -> tuple[float, float]:
        """Nats of all quads of a crop but BOS: by the unigram, by the bigram."""
        quads, unigram, bigram = _rows(crop), 0.0, 0.0
        for before, quad in pairwise(quads):
            alone = (self._one[quad] + 1) / self._total
            unigram -= math.log(alone)
            bigram -= math.log((self._two[before, quad] + alone) / (self._before[before] + 1))
        return unigram, bigram


def _rows(crop: Crop) -> list[tuple[int, ...]]:
    return [tuple(row) for row in crop.quads.tolist()]
