"""A constant time between dance and music, over all sources together (facts/baselines.md, section 3.4, point 6).

Of stage F, but without training: one offset of the same size in every source is what a learned head adapts to when it
is in train and test alike, and what `synchrony.lag.pooled_offset` finds and tells in milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build import clock
from d2midi_build.synchrony.lag import LEAST_CLIPS, MAX_LAG_S, PooledOffset, lag_curve, pooled_offset
from d2midi_build.train.gate.heard import Heard, sources
from d2midi_build.train.gate.records import Record, Verdict
from d2midi_build.train.gate.statistics import mean_gap, power_told, sign_flip_p
from d2midi_build.train.metrics.chance import Identity, re_pair

FloatArray = npt.NDArray[np.float64]

LEAST_OFFSET_MS: Final = 100.0
"""Two frames: dancers lean on the beat by less than that."""

MOST_SOURCES: Final = 400
"""Drawn by the generator where there are more: their interval is a few milliseconds wide by then."""

_LEVEL: Final = 0.01
_LEAST_SUPPORT: Final = 0.9
"""Share of bootstrap samples that must have the peak. Of synthetic releases whose sources all have offsets of their own
(12, 24 and 120 sources, 360 draws) 27 would be told a constant one with two thirds, 1 with this; of those with one
constant offset every draw of 12 sources and more has it."""
_Z_BOUND: Final = 0.999


@dataclass(frozen=True, eq=False)
class Lag:
    """What the lag curve says.

    Attributes
    ----------
    records : tuple of Record
        ``lag.offset_ms``, ``lag.r_zero`` and ``lag.r_zero_gap``, stage F.
    lags_s, curve : np.ndarray, shape (n_lags,), float64
        Pooled correlation of rest and onsets with the dance that much later; NaN where there is no source.
    """

    records: tuple[Record, ...]
    lags_s: FloatArray
    curve: FloatArray

    def data(self) -> dict[str, Any]:
        """The curve as plain data, for ``settings`` of a report; `page` draws it. None where it is not known."""
        return {
            "lags_s": [round(float(lag), 6) for lag in self.lags_s],
            "r": [round(float(r), 6) if np.isfinite(r) else None for r in self.curve],
        }


def lag_records(clips: Sequence[Heard], rng: np.random.Generator) -> Lag:
    """Pool the curves of all sources, and hold lag 0 against music of other sources of the genre.

    A source's clips are joined first, so that sources and not clips are drawn, re-paired and counted.

    Parameters
    ----------
    clips : sequence of Heard
        Of all splits: a constant offset is in all of them.
    rng : np.random.Generator
    """
    begun = perf_counter()
    names = sources(clips)
    if len(names) > MOST_SOURCES:
        names = sorted(names[i] for i in rng.permutation(len(names))[:MOST_SOURCES])
    mine: dict[str, list[Heard]] = {name: [] for name in names}
    for clip in clips:
        if clip.source in mine:
            mine[clip.source].append(clip)
    pairs = [joined(mine[name]) for name in names]
    found = pooled_offset(pairs, rng)
    at_zero = at_zero_records([mine[name][0] for name in names], pairs, found, rng)
    seconds = round(perf_counter() - begun, 3)
    return Lag((replace(offset_record(found), seconds=seconds), *at_zero), found.lags_s, found.curve)


def joined(clips: Sequence[Heard]) -> tuple[FloatArray, FloatArray]:
    """Rhythms of motion and onsets of a source's clips, one after the other.

    Of motion the first and last second of each clip is unknown, so that no frame meets another clip's music at any lag.
    """
    reach = round(MAX_LAG_S * clock.FPS)
    motions, onsets = [], []
    for clip in clips:
        motion = np.array(clip.motion, dtype=np.float64)
        motion[:reach] = motion[max(len(motion) - reach, 0) :] = np.nan
        motions.append(motion)
        onsets.append(np.asarray(clip.onset, dtype=np.float64))
    return np.concatenate(motions), np.concatenate(onsets)


def offset_record(found: PooledOffset) -> Record:
    """``lag.offset_ms``: failed where all sources together are off by at least 100 ms.

    That takes a peak that re-paired music does not give (p of .01), that nine tenths of the bootstrap samples have, and
    an interval without 0. A release without any common lag is not failed here: then nothing is constant, and the beat
    head tells whether dance and music go together at all.
    """
    if found.offset_ms is None or found.low_ms is None or found.high_ms is None:
        why = (
            f"not testable: {found.n_clips} sources have both rhythms for 4 s and more, {LEAST_CLIPS} are needed: "
            f"{LEAST_CLIPS - found.n_clips} more"
        )
        return Record(
            "F", "lag.offset_ms", None, found.n_clips, None, LEAST_OFFSET_MS, "not-testable", why, 0.0
        )
    ci = (found.low_ms, found.high_ms)
    sure = (found.p or 0.0) <= _LEVEL and (found.support or 0.0) >= _LEAST_SUPPORT
    verdict: Verdict
    if not sure:
        verdict, why = "info", f"no common lag, so no constant offset is seen: {found.explanation}"
    elif abs(found.offset_ms) >= LEAST_OFFSET_MS and (ci[0] > 0 or ci[1] < 0):
        side = "later" if found.offset_ms > 0 else "earlier"
        verdict = "fail"
        why = (
            f"in all sources together the dance is {abs(found.offset_ms):.0f} ms {side} than the music (95 %: "
            f"{ci[0]:.0f} to {ci[1]:.0f} ms): correct the time between sound and picture by that, and build again"
        )
    else:
        verdict = "pass"
        why = f"no constant offset of {LEAST_OFFSET_MS:.0f} ms or more: {found.explanation}"
    return Record(
        "F", "lag.offset_ms", found.offset_ms, found.n_clips, ci, LEAST_OFFSET_MS, verdict, why, 0.0, found.p
    )


def at_zero_records(
    firsts: Sequence[Heard],
    pairs: Sequence[tuple[FloatArray, FloatArray]],
    found: PooledOffset,
    rng: np.random.Generator,
) -> list[Record]:
    """``lag.r_zero`` and by how much it is above music of other sources of the genre, where possible of the tempo.

    The gap is of Fisher's z; its p by `statistics.sign_flip_p` over sources. It informs: the beat head decides.

    Parameters
    ----------
    firsts : sequence of Heard
        A clip of each source.
    pairs : sequence of (motion, onset)
        Of each source, in the same order.
    found : PooledOffset
    rng : np.random.Generator
    """
    identities = [Identity(clip.apart, clip.genre, clip.tempo_bpm) for clip in firsts]
    gaps = []
    for own, partners in enumerate(re_pair(identities, identities, rng).partners):
        real = _z_at_zero(pairs[own][0], pairs[own][1])
        others = [_z_at_zero(pairs[own][0], pairs[other][1]) for other in partners]
        known = [each for each in others if each is not None]
        if real is not None and known:
            gaps.append(real - float(np.mean(known)))
    zero = Record(
        "F",
        "lag.r_zero",
        found.r_zero,
        found.n_clips,
        None,
        None,
        "info",
        "correlation of rest and onsets at lag 0, over all sources",
        0.0,
    )
    if not gaps:
        return [zero]
    gap = mean_gap(gaps, rng)
    why = (
        "by how much rest and onsets agree better (Fisher's z, at lag 0) than with music of other sources of the "
        f"genre, over {gap.n} sources; {power_told(gap, _LEVEL)}"
    )
    p = sign_flip_p(gaps, rng)
    return [zero, Record("F", "lag.r_zero_gap", gap.mean, gap.n, gap.ci, 0.0, "info", why, 0.0, p)]


def _z_at_zero(motion: FloatArray, onset: FloatArray) -> float | None:
    n = min(len(motion), len(onset))
    curve = lag_curve(motion[:n], onset[:n])
    if not np.isfinite(curve).all():
        return None
    return float(np.arctanh(np.clip(curve[len(curve) // 2], -_Z_BOUND, _Z_BOUND)))
