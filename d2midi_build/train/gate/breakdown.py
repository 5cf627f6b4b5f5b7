"""A gap seed by seed and genre by genre: for readers, so that nobody sees means alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from d2midi_build.train.gate.records import Record, Stage
from d2midi_build.train.gate.statistics import cluster_means, mean_gap

FloatArray = npt.NDArray[np.float64]


def by_seed(stage: Stage, name: str, seeds: Sequence[int], values: FloatArray, why: str) -> list[Record]:
    """``NAME seed=...``: the mean of each seed.

    Parameters
    ----------
    stage, name : str
    seeds : sequence of int
        There may be more than rows.
    values : np.ndarray, shape (n_seeds, n)
        NaN where unknown; a row of these alone is left out.
    why : str
    """
    return [
        Record(stage, f"{name} seed={seed}", float(known.mean()), len(known), None, None, "info", why, 0.0)
        for seed, mine in zip(seeds, values, strict=False)
        if len(known := mine[np.isfinite(mine)])
    ]


def by_genre(
    stage: Stage,
    name: str,
    values: FloatArray,
    sources: Sequence[str],
    genres: Sequence[str],
    rng: np.random.Generator,
) -> list[Record]:
    """``NAME genre=...``: the mean over the sources of each genre, with its interval.

    Parameters
    ----------
    stage, name : str
    values : np.ndarray, shape (n,)
        NaN where unknown; a genre of these alone is left out.
    sources, genres : sequence of str
        Of each value.
    rng : np.random.Generator
        Resamples.
    """
    records = []
    for genre in sorted(set(genres)):
        mine = [i for i, each in enumerate(genres) if each == genre and np.isfinite(values[i])]
        if mine:
            gap = mean_gap(cluster_means(values[mine], [sources[i] for i in mine])[0], rng)
            why = f"of {genre or 'no genre'}; where people dance to no beat there is none to find"
            records.append(
                Record(stage, f"{name} genre={genre}", gap.mean, gap.n, gap.ci, None, "info", why, 0.0)
            )
    return records
