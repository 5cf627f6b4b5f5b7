"""Beat scores: how well the beats of a piece fit other beats, those of other music or of a dance.

Names. The papers' letters: Bt reference beats, Bg beats of the generated piece, Ba beats found: pairs no further apart
than the tolerance, each beat in one pair at most. "BCS" is Bg/Bt in D2M-GAN, CDCD, DMD and Dance2MIDI (``bcs_ratio``)
and Ba/Bg in LORIS and "Dance-to-Music Generation with Encoder-based Textual Inversion" (``bcs_precision``). "BAS" is
the Beat *Average* Score of Dance2MIDI (``bas_average``) and the Beat *Alignment* Score of AIST++ and Bailando
(``bas_alignment``). Nothing here is called BCS or BAS alone.

Every score is None, not 0 and not NaN, where its denominator is 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

EPSILON_S: Final = 1e-6
"""Times this close are the same: 1.2 - 1.0 is 0.19999999999999996, ticks and milliseconds are rounded."""

DEDUPE_S: Final = 0.03
"""Beats of one piece this close (30 ms) are one: a chord, or a drum under a note."""

SIGMA_S: Final = 0.05
"""Of ``bas_alignment``: 3 frames at 60 frames/s, as in AIST++ and Bailando. (3 frames at 20 would be 150 ms.)"""

TOLERANCES_S: Final = (0.07, 0.1, 0.2)
"""70 ms is MIREX's and mir_eval's, and the number to report first; 200 ms is that of textual inversion's F1."""


def events(
    times_s: npt.ArrayLike, length_s: float = math.inf, dedupe_s: float | None = DEDUPE_S
) -> FloatArray:
    """Times sorted, those outside [0, length_s) left out, and of those too close together the first kept.

    Parameters
    ----------
    times_s : array_like, shape=(n,)
        Seconds from the clip's first frame, in any order.
    length_s : float, optional
        The clip's length. Dance2MIDI's table has a BCS of 5.11 because music longer than the dance was counted whole.
        Default is no end.
    dedupe_s : float or None, optional
        A time within this of the last one kept is dropped. Default is 0.03; None keeps all.

    Returns
    -------
    np.ndarray, shape (m,), float64
        Seconds, ascending.

    Raises
    ------
    ValueError
        If the times are not one row of finite numbers.
    """
    times = np.asarray(times_s, dtype=np.float64)
    if times.ndim != 1 or not np.isfinite(times).all():
        raise ValueError(f"beats must be one row of finite seconds; these have shape {times.shape}")
    times = np.sort(times[(times >= -EPSILON_S) & (times < length_s - EPSILON_S)])
    if dedupe_s is None or len(times) < 2:
        return times
    kept = [float(times[0])]
    for time_s in times[1:].tolist():
        if time_s - kept[-1] > dedupe_s + EPSILON_S:
            kept.append(time_s)
    return np.array(kept, dtype=np.float64)


@dataclass(frozen=True)
class BeatCounts:
    """Beats of the reference (Bt), of the generated piece (Bg), and pairs of them (Ba)."""

    reference: int
    generated: int
    matched: int


def count_beats(reference_s: npt.ArrayLike, generated_s: npt.ArrayLike, tolerance_s: float) -> BeatCounts:
    """Count beats, and the most pairs of beats within the tolerance, each beat in one pair.

    Pairing the earliest with the earliest that it can be paired with gives as many pairs as any way can, because all
    tolerances are equal: as many as `mir_eval.util.match_events` (maximum bipartite matching), in linear time.

    Parameters
    ----------
    reference_s, generated_s : array_like, shape=(n,) and (m,)
        Seconds, in any order; neither cropped nor deduplicated here (see `events`).
    tolerance_s : float
        Inclusive, with an epsilon of 1e-6 s.
    """
    reference = np.sort(np.asarray(reference_s, dtype=np.float64)).tolist()
    generated = np.sort(np.asarray(generated_s, dtype=np.float64)).tolist()
    reach, i, j, matched = tolerance_s + EPSILON_S, 0, 0, 0
    while i < len(reference) and j < len(generated):
        apart = generated[j] - reference[i]
        if abs(apart) <= reach:
            matched, i, j = matched + 1, i + 1, j + 1
        elif apart > 0:
            i += 1
        else:
            j += 1
    return BeatCounts(len(reference), len(generated), matched)


def count_seconds(reference_s: npt.ArrayLike, generated_s: npt.ArrayLike, length_s: float) -> BeatCounts:
    """Count whole seconds of the clip that hold a beat: the papers' way, for comparison with them only.

    LORIS, CDCD and DMD set bin int(t) of ceil(length_s) bins and count bins: "tolerance 1 s" in textual inversion
    means the same whole second, not a distance (.05 and .95 match, .95 and 1.05 do not). At 120 bpm every bin holds a
    beat, so that any music at all scores 1.
    """
    bins = max(math.ceil(length_s - EPSILON_S), 0)
    held = []
    for times_s in (reference_s, generated_s):
        found = np.zeros(bins, dtype=np.bool_)
        found[np.floor(events(times_s, length_s, None) + EPSILON_S).astype(np.int64).clip(0, bins - 1)] = True
        held.append(found)
    return BeatCounts(int(held[0].sum()), int(held[1].sum()), int((held[0] & held[1]).sum()))


def bcs_ratio(counts: BeatCounts) -> float | None:
    """Bg/Bt: beats generated per beat of the reference (Dance2MIDI, section 5.2.1; D2M-GAN, section 4.2; CDCD; DMD).

    0 or more; 1 is best. None without reference beats.
    """
    return counts.generated / counts.reference if counts.reference else None


def bhs(counts: BeatCounts) -> float | None:
    """Ba/Bt: share of the reference's beats that are found, "beats hit score" in all papers; a recall.

    0-1. None without reference beats.
    """
    return counts.matched / counts.reference if counts.reference else None


def bcs_precision(counts: BeatCounts) -> float | None:
    """Ba/Bg: share of the generated beats that are right (LORIS ``beats_scores.py``; textual inversion, section 4.2).

    0-1. With no generated beats 0, as LORIS has it, if there was something to find, else None.
    """
    if counts.generated:
        return counts.matched / counts.generated
    return 0.0 if counts.reference else None


def beat_f1(counts: BeatCounts) -> float | None:
    """2 P R / (P + R) = 2 Ba / (Bt + Bg) of one clip: `mir_eval.beat.f_measure`, but nothing is trimmed.

    (mir_eval's evaluation drops the first 5 s unless ``min_beat_time=0``.) 0-1. 0 where nothing matches; None without
    any beats.
    """
    total = counts.reference + counts.generated
    return 2 * counts.matched / total if total else None


def f1_of_means(mean_precision: float | None, mean_recall: float | None) -> float | None:
    """Harmonic mean of a mean ``bcs_precision`` and a mean ``bhs`` over clips: F1 in textual inversion's Table 1.

    Not the mean of the clips' F1. 0 where both are 0; None where one is None.
    """
    if mean_precision is None or mean_recall is None:
        return None
    total = mean_precision + mean_recall
    return 2 * mean_precision * mean_recall / total if total else 0.0


def bas_average(ratio: float | None, hit: float | None) -> float | None:
    """0.5 (exp(-abs(bcs_ratio - 1)) + bhs): Beat Average Score (Dance2MIDI, equation 2), for comparison only.

    Equation 2 leaves ``bcs_ratio`` = 1 undefined; both its limits are 0.5 (1 + bhs). It rewards silence: without any
    beat it is 0.18, more than published systems got. Never choose models by it. None where one of the two is None.
    """
    if ratio is None or hit is None:
        return None
    return 0.5 * (math.exp(-abs(ratio - 1)) + hit)


def bas_alignment(music_s: npt.ArrayLike, motion_s: npt.ArrayLike, sigma_s: float = SIGMA_S) -> float | None:
    """Mean over music beats of exp(-d^2 / (2 sigma^2)), d to the nearest motion beat: Beat Alignment Score.

    As Bailando's ``beat_align_score.py`` and DMD average it, over music beats; AIST++'s original averages over motion
    beats.

    Parameters
    ----------
    music_s, motion_s : array_like, shape=(n,) and (m,)
        Seconds, in any order.
    sigma_s : float, optional
        Default is 0.05 (3 frames at 60 frames/s).

    Returns
    -------
    float or None
        0-1; None without music beats or without motion beats.
    """
    music, motion = (np.sort(np.asarray(times, dtype=np.float64)) for times in (music_s, motion_s))
    if not len(music) or not len(motion):
        return None
    after = np.searchsorted(motion, music)
    nearest = np.minimum(
        np.abs(music - motion[np.maximum(after - 1, 0)]),
        np.abs(music - motion[np.minimum(after, len(motion) - 1)]),
    )
    return float(np.exp(-(nearest**2) / (2 * sigma_s**2)).mean())


def at(name: str, tolerance_s: float) -> str:
    """The name of a score at a tolerance: ``beat_f1@70ms``."""
    return f"{name}@{tolerance_s * 1000:g}ms"


PAPER_BINS: Final = "paper_1s_bins_"
"""What names of scores over 1-s bins begin with."""


def beat_scores(
    reference_s: npt.ArrayLike,
    generated_s: npt.ArrayLike,
    length_s: float,
    tolerances_s: tuple[float, ...] = TOLERANCES_S,
    of_motion: bool = False,
) -> dict[str, float | None]:
    """All beat scores of one clip by name; beats are cropped to it and deduplicated first.

    Parameters
    ----------
    reference_s, generated_s : array_like, shape=(n,) and (m,)
        Seconds from the clip's first frame.
    length_s : float
    tolerances_s : tuple of float, optional
    of_motion : bool, optional
        Whether the reference is a dance's beats: then ``bas_alignment`` is among the scores.

    Returns
    -------
    dict of str to float or None
        ``bcs_ratio``; ``bhs``, ``bcs_precision``, ``beat_f1`` and ``bas_average`` at each tolerance (`at`);
        ``bas_alignment`` if asked for; and bcs_ratio, bhs, bcs_precision and beat_f1 over 1-s bins (`PAPER_BINS`).
    """
    reference, generated = events(reference_s, length_s), events(generated_s, length_s)
    found: dict[str, float | None] = {"bcs_ratio": bcs_ratio(BeatCounts(len(reference), len(generated), 0))}
    for tolerance_s in tolerances_s:
        counts = count_beats(reference, generated, tolerance_s)
        found[at("bhs", tolerance_s)] = bhs(counts)
        found[at("bcs_precision", tolerance_s)] = bcs_precision(counts)
        found[at("beat_f1", tolerance_s)] = beat_f1(counts)
        found[at("bas_average", tolerance_s)] = bas_average(bcs_ratio(counts), bhs(counts))
    if of_motion:
        found["bas_alignment"] = bas_alignment(generated, reference)
    seconds = count_seconds(reference, generated, length_s)
    for score in (bcs_ratio, bhs, bcs_precision, beat_f1):
        found[PAPER_BINS + score.__name__] = score(seconds)
    return found
