"""Would a dance fit the music of other clips as well?

`phase.phase_test` asks whether a dance keeps a fixed place between the beats, whatever the place. This asks whether
the place is the expected one, on the beat, against what other music of the same tempo gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build.synchrony.phase import LEAST_KINEMATIC, LEAST_MUSICAL, beat_places

FloatArray = npt.NDArray[np.float64]

WITHIN: Final = 0.04
"""Tempi this close, in shares, are the same."""

LEAST_OTHERS: Final = 5
"""Other clips below which there is no p."""

_DRAWS: Final = 1000
_LEAST_COVERED: Final = 0.75


@dataclass(frozen=True)
class BeatsOf:
    """A clip's beats: ``kinematic_s`` and ``musical_s``, ascending seconds of shapes (n,) and (m,)."""

    kinematic_s: npt.NDArray[Any]
    musical_s: npt.NDArray[Any]


@dataclass(frozen=True)
class NullTest:
    """What `matched_null` found.

    Attributes
    ----------
    p : float or None
        Share of draws, the clip's own music counted among them, that fit as well; None where there are too few.
    score : float or None
        The clip's own fit, -1 to 1 (1: every kinematic beat where it is expected).
    n_others, n_draws : int
        Other clips and draws it rests on.
    explanation : str
    """

    p: float | None
    score: float | None
    n_others: int
    n_draws: int
    explanation: str


def matched_null(
    clip: BeatsOf,
    others: Sequence[BeatsOf],
    rng: np.random.Generator,
    expected_lag_s: float = 0.0,
    draws: int = _DRAWS,
) -> NullTest:
    """Compare a dance's fit to its own music with its fit to that of other clips of the same tempo.

    The fit is the larger of the means of ``cos(2 pi h (place - expected))`` over the kinematic beats, h = 1 and 2:
    a length of resultants projected on the phase of the expected lag. It has to know the phase: on a steady tempo
    any music of that tempo gives resultants as long.

    Each draw takes one of the clips whose tempo (median interval) is within 4 %, scales its beats to this clip's
    tempo, lets the dance begin at a random one of its beats and shifts it by a uniform part of a beat. Scaled,
    because the difference of tempo would otherwise do the telling, and `phase_test` has told that: left are the
    phase and the music's own changes of tempo. So this adds what the phase test cannot: a dance to other music of
    exactly its tempo keeps a fixed place, but seldom the expected one. A dance that is late by a large part of a beat
    fails it and passes the phase test.

    Its floor is ``1 / (draws + 1)`` in name. On steady music it is about twice (at h = 2 four times) the distance
    from the expected lag in beats: a shift drawn at random is as near as often as that. A single clip's p is weak
    evidence; over synchronised clips together they crowd at the small end, over re-paired ones they are uniform.

    Parameters
    ----------
    clip : BeatsOf
    others : sequence of BeatsOf
        All other clips whose music is other music; those of another tempo, with too few beats or too short for three
        quarters of the dance are left out. Only their music is used.
    rng : np.random.Generator
    expected_lag_s : float, optional
        By how much the dance is expected to be late: a source's pooled offset, or 0, the default.
    draws : int, optional

    Returns
    -------
    NullTest
        Without p where fewer than 5 clips match, or the clip has too few beats.
    """
    kinematic = np.asarray(clip.kinematic_s, dtype=np.float64)
    musical = np.asarray(clip.musical_s, dtype=np.float64)
    if len(musical) < LEAST_MUSICAL or len(kinematic) < LEAST_KINEMATIC:
        return NullTest(
            None, None, 0, 0, f"{len(kinematic)} kinematic and {len(musical)} musical beats are too few"
        )
    beat_s = float(np.median(np.diff(musical)))
    places = beat_places(kinematic, musical) - expected_lag_s / beat_s
    if np.isfinite(places).sum() < LEAST_KINEMATIC:
        return NullTest(None, None, 0, 0, "too few kinematic beats in the music")
    score = float(_fit(places[None])[0])
    beats = (kinematic - kinematic[0]) / beat_s
    grids = [grid for other in others if (grid := _scaled(other, beat_s, beats[-1])) is not None]
    if len(grids) < LEAST_OTHERS:
        return NullTest(
            None, score, len(grids), 0, f"{len(grids)} other clips of this tempo, {LEAST_OTHERS} are needed"
        )
    each = -(-draws // len(grids))
    late = expected_lag_s / beat_s
    fits = np.concatenate([_fit(_drawn(beats, grid, each, rng) - late) for grid in grids])
    p = (1 + int((fits >= score - 1e-12).sum())) / (1 + len(fits))
    return NullTest(
        p,
        score,
        len(grids),
        len(fits),
        f"fit {score:.2f} to its own music; {p:.1%} of {len(fits)} draws from {len(grids)} other clips of this tempo "
        "fit as well",
    )


def _fit(places: FloatArray) -> FloatArray:
    """Fit of each row of places, in beats from where they are expected; NaN is left out: shape (n_rows,)."""
    means = [np.nanmean(np.cos(2 * np.pi * harmonic * places), axis=1) for harmonic in (1.0, 2.0)]
    return np.asarray(np.maximum(*means))


def _scaled(other: BeatsOf, beat_s: float, length: float) -> FloatArray | None:
    """Another clip's musical beats in its median intervals from the first, or None if it does not match."""
    musical = np.asarray(other.musical_s, dtype=np.float64)
    if len(musical) < LEAST_MUSICAL:
        return None
    own_s = float(np.median(np.diff(musical)))
    grid: FloatArray = (musical - musical[0]) / own_s
    if abs(own_s / beat_s - 1.0) > WITHIN or grid[-1] < _LEAST_COVERED * length:
        return None
    return grid


def _drawn(beats: FloatArray, grid: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    """Places of a dance, in beats from its first, on another grid from random beginnings: shape (n, n_beats)."""
    room = max(float(grid[-1] - beats[-1]), 1.0)
    start = rng.uniform(0.0, max(np.floor(room), 1.0), size=n)
    return beat_places(start[:, None] + beats, grid)
