"""Do a dancer's kinematic beats keep a fixed place between the musical beats?

A kinematic beat's phase is its place on the grid of musical beats, between two of them by straight line, so that
tempo changes of the music are followed. Phases of a dance that goes with the music crowd together at the beat, at
twice the beat (on- and off-beats) or at half of it; those of another tempo drift through. Tested are therefore the
mean resultant length at each of these frequencies (Rayleigh's test) and where, among the frequencies about them, it
is largest. Circular statistics after Fisher, "Statistical Analysis of Circular Data" (Cambridge, 1993), Holm's
correction after Scand. J. Statist. 6 (1979).

A dance to other music of just the same tempo keeps a fixed place too: only the lag could tell, and any lag is
possible. ``docs/decisions/0009-synchrony.md`` says what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]
Status = Literal["synchronised", "not_synchronised", "unknown"]
Cause = Literal["", "too_few_beats", "other_tempo", "no_fixed_place"]

METHOD: Final = "phase-1"
"""Raised whenever the same beats would give another answer."""

HARMONICS: Final = (0.5, 1.0, 2.0)
"""Frequencies tested, in shares of the musical beat's: every second beat, every beat, every half beat."""

LEAST_KINEMATIC: Final = 5
LEAST_MUSICAL: Final = 8
"""Beats below which nothing is said."""

LEVEL: Final = 0.05

_FREQUENCY: Final = {0.5: "every second beat", 1.0: "the beat", 2.0: "half beats"}
_EXACT: Final = 1e-3
"""Mean square of phasors about their mean (1 % of a cycle) that is none: what is left has a shape, but no size."""
_SEARCH: Final = 0.35
"""How far from each frequency, in shares of it, the dance's own tempo is looked for."""
_BINS_PER_BEAT: Final = 64
_POINTS_PER_CYCLE: Final = 16
_LEAST_DRIFT: Final = 0.15
"""Cycles over the clip that are never called drift: a dancer who keeps time leans on some bars by so much."""
_DRIFT_ERRORS: Final = 3.0
_LOBE: Final = 1.0
"""Cycles over the clip within which a resultant at another frequency is the same peak."""
_OTHER_PEAK: Final = 0.85
"""A peak beyond speaks against the music's tempo if the resultant there is below this share of the peak's."""


@dataclass(frozen=True)
class PhaseTest:
    """Whether a dance keeps time with its music, and how.

    Attributes
    ----------
    status : str
        ``"synchronised"``, ``"not_synchronised"`` or ``"unknown"``; a hint for review, no proof.
    cause : str
        Why not: ``"too_few_beats"``, ``"other_tempo"`` (the dance has a steady one of its own) or
        ``"no_fixed_place"``, which is also what an unsteady dance to its own music gives; else empty.
    p : float or None
        Of uniform phases at the best of `HARMONICS`, after Holm's correction: with independent dance and music as
        small a p as often as that. May be small for a dance that drifts slowly too: see ``drift_beats``.
    harmonic : float or None
        0.5, 1 or 2 times the frequency of the beat: where phases are most concentrated.
    strength : float or None
        Mean resultant length there, 0-1: 1 if every kinematic beat has the same place.
    lag_s : float or None
        Circular mean of that place in seconds; positive: the dance is later than the music. Known modulo
        ``lag_modulo_s`` only, within half of it either way.
    lag_se_s : float or None
        Its standard error.
    lag_modulo_s : float or None
        A musical beat at harmonics 0.5 and 1 (which beats are even is no property of the music), half of one at 2.
    tempo_error : float or None
        The dance's own tempo over the music's, minus 1, where the resultant is largest within 35 %.
    tempo_error_se : float or None
        Its standard error: what this clip can tell.
    drift_beats : float or None
        By how many musical beats the dance falls behind (negative: gets ahead) over the clip at that tempo.
    n_kinematic, n_musical : int
        Beats it rests on: kinematic ones on the grid, and musical ones.
    explanation : str
        All of this in words.
    """

    status: Status
    cause: Cause
    p: float | None
    harmonic: float | None
    strength: float | None
    lag_s: float | None
    lag_se_s: float | None
    lag_modulo_s: float | None
    tempo_error: float | None
    tempo_error_se: float | None
    drift_beats: float | None
    n_kinematic: int
    n_musical: int
    explanation: str


@dataclass(frozen=True)
class _Tone:
    """Phases at one frequency: resultant, effective number, p before correction."""

    harmonic: float
    mean: complex
    spread: float  # circular dispersion in cycles (standard deviation of one phase)
    n: float
    p: float


@dataclass(frozen=True)
class _Peak:
    """The largest resultant about a harmonic: how many cycles over the clip away, with a standard error."""

    harmonic: float
    cycles: float
    resultant: float
    error: float


def phase_test(
    kinematic_times_s: npt.NDArray[Any],
    musical_times_s: npt.NDArray[Any],
    *,
    level: float = LEVEL,
) -> PhaseTest:
    """Test whether kinematic beats keep a fixed place on the grid of musical beats.

    Synchronised is a dance whose phases are not uniform (``p < level``) and do not drift: the resultant is largest
    at the music's frequency, within three standard errors and at least 0.15 cycles over the clip. Successive beats
    depend on each other, so their number is divided by the inflation that their phases' serial correlation (about
    the mean, lag 1) gives a mean: ``Re((1 + r) / (1 - r))``, exact for independent intervals.

    Parameters
    ----------
    kinematic_times_s : np.ndarray, shape (n,)
        Seconds, ascending. Those more than half a beat before the first or after the last musical beat are left out.
    musical_times_s : np.ndarray, shape (m,)
        Seconds, strictly ascending. An interval of about k median intervals counts as k beats.
    level : float, optional
        Default is 0.05.

    Returns
    -------
    PhaseTest
        "Unknown" with fewer than 5 kinematic or 8 musical beats.

    Raises
    ------
    ValueError
        If times do not ascend or are not finite.
    """
    kinematic, musical = _times(kinematic_times_s, "kinematic"), _times(musical_times_s, "musical")
    if len(musical) > 1 and not (np.diff(musical) > 0).all():
        raise ValueError("musical times must ascend strictly")
    if len(musical) < LEAST_MUSICAL:
        return _unknown(
            len(kinematic), len(musical), f"{len(musical)} musical beats, {LEAST_MUSICAL} are needed"
        )
    beat_s = float(np.median(np.diff(musical)))
    places = beat_places(kinematic, musical)
    places = places[np.isfinite(places)]
    if len(places) < LEAST_KINEMATIC:
        return _unknown(
            len(places),
            len(musical),
            f"{len(places)} kinematic beats in the music, {LEAST_KINEMATIC} are needed",
        )
    tones = [_tone(places, harmonic) for harmonic in HARMONICS]
    least = min(tone.p for tone in tones)
    best = next(tone for tone in tones if tone.p <= least * (1 + 1e-6))  # of equals the slowest
    p = _holm([tone.p for tone in tones])[tones.index(best)]
    span = float(np.ptp(places))
    own = _own_frequency(places, best)
    drifts = _drifts(own, abs(best.mean))
    together = p < level and not drifts
    if p >= level:  # nothing at the music's frequencies: at which others?
        own = max((_own_frequency(places, tone) for tone in tones), key=lambda peak: round(peak.resultant, 3))
        drifts = _stands_out(places, own, level)
    modulo_s = beat_s / max(best.harmonic, 1.0)
    lag_s = float(np.angle(best.mean)) / (2 * np.pi * best.harmonic) * beat_s
    lag_s = (lag_s + modulo_s / 2) % modulo_s - modulo_s / 2
    found = PhaseTest(
        status="synchronised" if together else "not_synchronised",
        cause="" if together else "other_tempo" if drifts else "no_fixed_place",
        p=p,
        harmonic=best.harmonic,
        strength=abs(best.mean),
        lag_s=lag_s,
        lag_se_s=best.spread / np.sqrt(best.n) / best.harmonic * beat_s,
        lag_modulo_s=modulo_s,
        tempo_error=own.cycles / (own.harmonic * span),
        tempo_error_se=own.error / (own.harmonic * span),
        drift_beats=-own.cycles / own.harmonic,
        n_kinematic=len(places),
        n_musical=len(musical),
        explanation="",
    )
    return _explained(found, beat_s)


def beat_places(
    times_s: npt.NDArray[Any], musical_times_s: npt.NDArray[Any], reach: float = 0.5
) -> FloatArray:
    """Where moments lie on the grid of musical beats: shape as given, in beats from the first one.

    2.25 is a quarter of the way from the third to the fourth beat. Up to ``reach`` beats outside, the median
    interval goes on; beyond that, NaN.

    Parameters
    ----------
    times_s : np.ndarray, any shape
        Seconds.
    musical_times_s : np.ndarray, shape (m,)
        At least two, ascending strictly, seconds; an interval of about k median intervals counts as k beats.
    reach : float, optional
        Default is half a beat.
    """
    musical = np.asarray(musical_times_s, dtype=np.float64)
    intervals = np.diff(musical)
    beat_s = float(np.median(intervals))
    numbers = np.concatenate([[0.0], np.cumsum(np.maximum(np.round(intervals / beat_s), 1.0))])
    grid = np.concatenate([[musical[0] - reach * beat_s], musical, [musical[-1] + reach * beat_s]])
    places = np.interp(
        times_s,
        grid,
        np.concatenate([[-reach], numbers, [numbers[-1] + reach]]),
        left=np.nan,
        right=np.nan,
    )
    return np.asarray(places, dtype=np.float64)


def rayleigh_p(resultant: float, n: float) -> float:
    """Probability of at least this mean resultant length from ``n`` uniform phases.

    The approximation of textbooks of biostatistics; within .003 of simulated values from n = 5 on.
    """
    total = n * resultant
    return float(np.clip(np.exp(np.sqrt(1 + 4 * n + 4 * (n * n - total * total)) - (1 + 2 * n)), 0.0, 1.0))


def _times(given: npt.NDArray[Any], kind: str) -> FloatArray:
    times = np.asarray(given, dtype=np.float64)
    if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise ValueError(f"{kind} times must be finite, ascend and have shape (n,), got shape {times.shape}")
    return times


def _tone(places: FloatArray, harmonic: float) -> _Tone:
    phasors = np.exp(2j * np.pi * harmonic * places)
    mean = complex(phasors.mean())
    n = len(places) / _inflation(phasors - mean)
    return _Tone(harmonic, mean, _spread(places, harmonic), n, rayleigh_p(abs(mean), n))


def _inflation(about_mean: ComplexArray) -> float:
    """By how much serial correlation widens the mean of phasors, at least 1.

    Half a standard error of a correlation is taken off first: in white phases it would only cost power.
    """
    power = float((np.abs(about_mean) ** 2).mean())
    if power <= _EXACT:
        return 1.0
    r = complex((about_mean[1:] * about_mean[:-1].conj()).sum()) / (len(about_mean) * power)
    size = max(abs(r) - 0.5 / np.sqrt(len(about_mean)), 0.0)
    r = min(size, 0.95) * r / max(abs(r), 1e-12)
    return max(float(((1 + r) / (1 - r)).real), 1.0)


def _spread(places: FloatArray, frequency: float) -> float:
    """Circular dispersion's root in cycles: Fisher's equation 2.28, the standard deviation of close phases."""
    first = complex(np.exp(2j * np.pi * frequency * places).mean())
    second = complex(np.exp(4j * np.pi * frequency * places).mean())
    about = (second * np.exp(-2j * np.angle(first))).real
    return float(np.sqrt(max(1.0 - about, 0.0) / 2) / max(abs(first), 1e-6) / (2 * np.pi))


def _holm(ps: list[float]) -> list[float]:
    """Adjusted p-values in the order given."""
    order = np.argsort(ps, kind="stable")
    steps = np.maximum.accumulate([min(1.0, (len(ps) - i) * ps[which]) for i, which in enumerate(order)])
    adjusted = np.empty(len(ps))
    adjusted[order] = steps
    return [float(p) for p in adjusted]


def _own_frequency(places: FloatArray, tone: _Tone) -> _Peak:
    """Where about a harmonic the resultant is largest.

    A line through n phases over the clip has a slope whose standard error is sqrt(12 / n) of one phase's spread,
    in cycles over the clip.
    """
    span = float(np.ptp(places))
    coarse = np.bincount(np.round((places - places.min()) * _BINS_PER_BEAT).astype(np.int64))
    size = int(2 ** np.ceil(np.log2(max(len(coarse), span * _BINS_PER_BEAT) * _POINTS_PER_CYCLE)))
    heights = np.abs(np.fft.rfft(coarse, size))
    frequencies = np.arange(len(heights)) * _BINS_PER_BEAT / size
    near = np.flatnonzero(np.abs(frequencies / tone.harmonic - 1.0) <= _SEARCH)
    top = frequencies[near[np.argmax(heights[near])]]
    fine = top + np.linspace(-1.0, 1.0, 65) * (_BINS_PER_BEAT / size)
    resultants = np.abs(np.exp(2j * np.pi * fine[:, None] * places).mean(axis=1))
    at = int(resultants.argmax())
    error = _spread(places, float(fine[at])) * np.sqrt(12.0 / tone.n)
    cycles = float((fine[at] - tone.harmonic) * span)
    return _Peak(tone.harmonic, cycles, float(resultants[at]), float(error))


def _drifts(own: _Peak, here: float) -> bool:
    """Whether the largest resultant says that a dance with this one at the music's frequency has another tempo."""
    if abs(own.cycles) <= _LOBE:
        return abs(own.cycles) > max(_LEAST_DRIFT, _DRIFT_ERRORS * own.error)
    return here < _OTHER_PEAK * own.resultant


def _stands_out(places: FloatArray, own: _Peak, level: float) -> bool:
    """Whether a peak beside the music's frequency is more than the highest of so many by chance.

    The bands hold about one independent frequency per cycle over the clip.
    """
    span = float(np.ptp(places))
    tone = _tone(places, own.harmonic + own.cycles / span)
    searched = max(2 * _SEARCH * sum(HARMONICS) * span, 1.0)
    return abs(own.cycles) > max(_LEAST_DRIFT, _DRIFT_ERRORS * own.error) and searched * tone.p < level


def _unknown(n_kinematic: int, n_musical: int, reason: str) -> PhaseTest:
    nothing = (None,) * 9
    return PhaseTest("unknown", "too_few_beats", *nothing, n_kinematic, n_musical, f"unknown: {reason}")


def _explained(found: PhaseTest, beat_s: float) -> PhaseTest:
    """The same with its numbers in words."""
    assert found.harmonic is not None and found.p is not None and found.lag_s is not None
    assert found.lag_modulo_s is not None and found.lag_se_s is not None
    assert (
        found.tempo_error is not None and found.tempo_error_se is not None and found.drift_beats is not None
    )
    numbers = (
        f"{found.n_kinematic} kinematic beats against music at {60 / beat_s:.1f} bpm: strength {found.strength:.2f} at "
        f"{_FREQUENCY[found.harmonic]}, p {found.p:.2g}"
    )
    if found.status == "synchronised":
        side = "late" if found.lag_s >= 0 else "early"
        words = (
            f"synchronised: {numbers}; the dance is {abs(found.lag_s) * 1000:.0f} ms {side} "
            f"(+-{found.lag_se_s * 1000:.0f}), modulo {found.lag_modulo_s * 1000:.0f} ms"
        )
    elif found.cause == "other_tempo":
        pace = "faster" if found.tempo_error > 0 else "slower"
        words = (
            f"not synchronised: {numbers}; the dance's own tempo is {abs(found.tempo_error):.1%} {pace} "
            f"(+-{found.tempo_error_se:.1%}) than the music's, {abs(found.drift_beats):.1f} beats over the clip"
        )
    else:
        words = f"not synchronised: {numbers}; no fixed place on the beat, and no tempo of its own near it"
    return replace(found, explanation=words)
