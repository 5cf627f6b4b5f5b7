"""How well estimated notes match reference notes, by mir_eval's definitions.

A note counts as found when its onset lies within the tolerance of a reference note of the same pitch;
each reference note is used once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.music.instruments import DRUM_CLASSES, INSTRUMENTS
from d2midi_build.music.notes import Notes

ONSET_TOLERANCE_S: Final = 0.05
"""50 ms, the tolerance of MIREX and mir_eval."""


@dataclass(frozen=True)
class Score:
    """Precision, recall and F1 (0-1) and the counts behind them.

    With nothing to find and nothing found there is no mistake: all three are 1.
    """

    precision: float
    recall: float
    f1: float
    n_reference: int
    n_estimated: int
    n_matched: int = 0


def onset_score(reference: Notes, estimated: Notes, tolerance_s: float = ONSET_TOLERANCE_S) -> Score:
    """Pitched notes by pitch and onset, whatever the instrument."""
    return _score(reference.pitched(), estimated.pitched(), tolerance_s, offset_ratio=None)


def onset_offset_score(reference: Notes, estimated: Notes, tolerance_s: float = ONSET_TOLERANCE_S) -> Score:
    """Pitched notes by pitch, onset and offset.

    The offset may be off by ``tolerance_s`` or a fifth of the reference note's length, whichever is more.
    """
    return _score(reference.pitched(), estimated.pitched(), tolerance_s, offset_ratio=0.2)


def instrument_score(reference: Notes, estimated: Notes, tolerance_s: float = ONSET_TOLERANCE_S) -> Score:
    """Pitched notes by instrument, pitch and onset: counts summed over the instruments."""
    return _summed(
        [
            _matches(_of(reference, name), _of(estimated, name), tolerance_s, None)
            for name in sorted({*reference.pitched().instrument, *estimated.pitched().instrument})
        ]
    )


def drum_score(
    reference: Notes,
    estimated: Notes,
    keys: tuple[int, ...] | None = None,
    tolerance_s: float = ONSET_TOLERANCE_S,
) -> Score:
    """Drum hits by percussion key and onset.

    Parameters
    ----------
    reference, estimated : Notes
        Pitched notes among them are ignored.
    keys : tuple of int, optional
        General MIDI percussion keys to score, counts summed; by default all.
    tolerance_s : float, optional
        Default is 0.05 (50 ms).
    """
    ours, theirs = reference.drums(), estimated.drums()
    if keys is not None:
        ours, theirs = ours.where(np.isin(ours.pitch, keys)), theirs.where(np.isin(theirs.pitch, keys))
    return _score(ours, theirs, tolerance_s, offset_ratio=None)


def _of(notes: Notes, instrument: str) -> Notes:
    return notes.where(notes.instrument == instrument)


def _score(reference: Notes, estimated: Notes, tolerance_s: float, offset_ratio: float | None) -> Score:
    return _summed([_matches(reference, estimated, tolerance_s, offset_ratio)])


def _summed(counts: list[tuple[int, int, int]]) -> Score:
    matched, n_reference, n_estimated = (sum(count[i] for count in counts) for i in range(3))
    if not n_reference and not n_estimated:
        return Score(1.0, 1.0, 1.0, 0, 0)
    precision = matched / n_estimated if n_estimated else 0.0
    recall = matched / n_reference if n_reference else 0.0
    f1 = 2 * matched / (n_reference + n_estimated)
    return Score(precision, recall, f1, n_reference, n_estimated, matched)


def _matches(
    reference: Notes, estimated: Notes, tolerance_s: float, offset_ratio: float | None
) -> tuple[int, int, int]:
    """Matched, reference and estimated counts."""
    if not len(reference) or not len(estimated):
        return 0, len(reference), len(estimated)
    import mir_eval

    pairs = mir_eval.transcription.match_notes(
        _intervals(reference),
        _hz(reference),
        _intervals(estimated),
        _hz(estimated),
        onset_tolerance=tolerance_s,
        offset_ratio=offset_ratio,
        offset_min_tolerance=tolerance_s,
    )
    return len(pairs), len(reference), len(estimated)


def _intervals(notes: Notes) -> npt.NDArray[np.float64]:
    """Shape (n, 2) in seconds; mir_eval wants every note to last."""
    return np.stack([notes.onset_s, np.maximum(notes.offset_s, notes.onset_s + 1e-4)], axis=1)


def _hz(notes: Notes) -> npt.NDArray[np.float64]:
    return np.asarray(440.0 * 2.0 ** ((notes.pitch.astype(np.float64) - 69) / 12))


BEAT_TOLERANCE_S: Final = 0.07
"""70 ms, the tolerance of MIREX and mir_eval for beats."""

_TEMPO_RATIOS: Final = (2.0, 1 / 2, 3.0, 1 / 3, 3 / 2, 2 / 3)


def beat_score(
    reference_s: npt.ArrayLike, estimated_s: npt.ArrayLike, tolerance_s: float = BEAT_TOLERANCE_S
) -> float:
    """F-measure of beat times (Dixon, 2007; `mir_eval.beat.f_measure`), nothing trimmed.

    Parameters
    ----------
    reference_s, estimated_s : array_like, shape=(n,) and (m,)
        Beat times in seconds, ascending.
    tolerance_s : float, optional
        Default is 0.07 (70 ms).

    Returns
    -------
    float
        0-1. With nothing to find and nothing found there is no mistake: 1.
    """
    reference, estimated = (np.asarray(times, dtype=np.float64) for times in (reference_s, estimated_s))
    if not len(reference) or not len(estimated):
        return float(len(reference) == len(estimated))
    import mir_eval

    return float(mir_eval.beat.f_measure(reference, estimated, f_measure_threshold=tolerance_s))


def tempo_ratio_error(
    reference_s: npt.ArrayLike, estimated_s: npt.ArrayLike, tolerance: float = 0.04
) -> bool:
    """Whether beats go at another metrical level: an "octave error".

    Tempo is taken from the median interval between beats, so a gap or a few extra beats do not count.

    Parameters
    ----------
    reference_s, estimated_s : array_like, shape=(n,) and (m,)
        Beat times in seconds, ascending.
    tolerance : float, optional
        Relative. Default is 0.04, as in MIREX's tempo task.

    Returns
    -------
    bool
        True where the estimated tempo is 2, 1/2, 3, 1/3, 3/2 or 2/3 of the reference within the tolerance; False with
        fewer than two beats on either side.
    """
    reference, estimated = (np.asarray(times, dtype=np.float64) for times in (reference_s, estimated_s))
    if len(reference) < 2 or len(estimated) < 2:
        return False
    ratio = float(np.median(np.diff(reference)) / np.median(np.diff(estimated)))
    return any(abs(ratio / known - 1.0) <= tolerance for known in _TEMPO_RATIOS)


OCTAVE: Final = 12


def in_drum_classes(notes: Notes, classes: Sequence[str] = tuple(DRUM_CLASSES)) -> Notes:
    """Drum hits of some classes under the key that stands for each; hits of one class at one time are one.

    Raises
    ------
    KeyError
        If a class is not in `DRUM_CLASSES`.
    """
    stands_for = {key: DRUM_CLASSES[name][0] for name in classes for key in DRUM_CLASSES[name]}
    hits = notes.drums()
    hits = hits.where(np.isin(hits.pitch, list(stands_for)))
    return Notes.create(
        hits.onset_s,
        hits.offset_s,
        np.array([stands_for[int(key)] for key in hits.pitch], dtype=np.int64),
        hits.velocity,
        is_drum=True,
        p_note=hits.p_note,
        p_instrument=hits.p_instrument,
        origin=hits.origin,
    ).playable()


def drum_class_score(
    reference: Notes,
    estimated: Notes,
    classes: Sequence[str] = ("kick", "snare", "hat"),
    tolerance_s: float = ONSET_TOLERANCE_S,
) -> Score:
    """Drum hits by class and onset, counts summed over the classes.

    Reference hits of other classes are not asked for, but a hit reported in their place is a false alarm.
    """
    return drum_score(
        in_drum_classes(reference, classes), in_drum_classes(estimated, classes), tolerance_s=tolerance_s
    )


def multi_instrument_score(
    reference: Notes, estimated: Notes, tolerance_s: float = ONSET_TOLERANCE_S
) -> Score:
    """All notes by what plays them: pitched ones by instrument, pitch and onset, drums by class and onset.

    As MT3's multi-instrument onset F1 (Gardner et al., ICLR 2022) with the 13 instruments for programs and the
    five `DRUM_CLASSES` for percussion keys; counts are summed.
    """
    return summed(
        [
            instrument_score(reference, estimated, tolerance_s),
            drum_class_score(reference, estimated, tuple(DRUM_CLASSES), tolerance_s),
        ]
    )


def summed(scores: Sequence[Score]) -> Score:
    """One score from the counts of several."""
    return _summed([(score.n_matched, score.n_reference, score.n_estimated) for score in scores])


def note_pairs(
    reference: Notes, estimated: Notes, tolerance_s: float = ONSET_TOLERANCE_S
) -> npt.NDArray[np.int64]:
    """Which pitched note is which, by pitch and onset: the most pairs there can be.

    Returns
    -------
    np.ndarray, shape (m, 2), int64
        Indices into ``reference`` and ``estimated``, sorted; every note is in one pair at most.
    """
    return _pairs(reference, estimated, ~reference.is_drum, ~estimated.is_drum, tolerance_s)


def drum_pairs(
    reference: Notes, estimated: Notes, tolerance_s: float = ONSET_TOLERANCE_S
) -> npt.NDArray[np.int64]:
    """As `note_pairs` for drum hits, by key: give it what `in_drum_classes` made."""
    return _pairs(reference, estimated, reference.is_drum, estimated.is_drum, tolerance_s)


def instrument_pairs(
    reference: Notes, estimated: Notes, tolerance_s: float = ONSET_TOLERANCE_S
) -> npt.NDArray[np.int64]:
    """As `note_pairs`, but notes of the same instrument find each other first.

    Where two instruments play one pitch together, pitch and onset alone would pair them at random.
    """
    pairs = [np.empty((0, 2), np.int64)]
    free = ~reference.is_drum, ~estimated.is_drum
    for name in sorted({*reference.instrument} & {*estimated.instrument}):
        same = free[0] & (reference.instrument == name), free[1] & (estimated.instrument == name)
        pairs.append(_pairs(reference, estimated, *same, tolerance_s))
    mine = np.concatenate(pairs)
    free[0][mine[:, 0]], free[1][mine[:, 1]] = False, False
    rest = _pairs(reference, estimated, *free, tolerance_s)
    both = np.concatenate([mine, rest])
    return np.asarray(both[np.lexsort((both[:, 1], both[:, 0]))], dtype=np.int64)


def _pairs(
    reference: Notes,
    estimated: Notes,
    of_reference: npt.NDArray[np.bool_],
    of_estimated: npt.NDArray[np.bool_],
    tolerance_s: float,
) -> npt.NDArray[np.int64]:
    """Pairs among the notes that the masks leave, as indices into the whole."""
    i, j = np.flatnonzero(of_reference), np.flatnonzero(of_estimated)
    if not len(i) or not len(j):
        return np.empty((0, 2), np.int64)
    import mir_eval

    ours, theirs = reference.where(i), estimated.where(j)
    found = mir_eval.transcription.match_notes(
        _intervals(ours),
        _hz(ours),
        _intervals(theirs),
        _hz(theirs),
        onset_tolerance=tolerance_s,
        offset_ratio=None,
    )
    if not found:
        return np.empty((0, 2), np.int64)
    place = np.array(sorted(found), dtype=np.int64)
    return np.stack([i[place[:, 0]], j[place[:, 1]]], axis=1)


def instrument_confusion(
    reference: Notes, estimated: Notes, tolerance_s: float = ONSET_TOLERANCE_S
) -> npt.NDArray[np.int64]:
    """How often a found note of one instrument was called another.

    Returns
    -------
    np.ndarray, shape (13, 13), int64
        Counts of `instrument_pairs`; row: instrument of the reference, column: what it was called, both in the
        order of `INSTRUMENTS`. The drum kit's row and column are 0.
    """
    place = {instrument.name: i for i, instrument in enumerate(INSTRUMENTS)}
    counts = np.zeros((len(INSTRUMENTS), len(INSTRUMENTS)), np.int64)
    for i, j in instrument_pairs(reference, estimated, tolerance_s):
        counts[place[str(reference.instrument[i])], place[str(estimated.instrument[j])]] += 1
    return counts


def octave_error_rate(
    reference: Notes, estimated: Notes, tolerance_s: float = ONSET_TOLERANCE_S
) -> float | None:
    """Share of the estimated pitched notes that are an octave off.

    Such a note starts with a reference note one octave above or below it, and with none at its own pitch.

    Returns
    -------
    float or None
        0-1; None without estimated pitched notes.
    """
    ours, theirs = reference.pitched(), estimated.pitched()
    if not len(theirs):
        return None
    wrong = 0
    for onset_s, pitch in zip(theirs.onset_s, theirs.pitch.astype(np.int64), strict=True):
        # mir_eval rounds distances to 0.1 ms before it compares; so does this.
        together = np.round(np.abs(ours.onset_s - onset_s), 4) <= tolerance_s
        steps = np.abs(ours.pitch[together].astype(np.int64) - pitch)
        wrong += bool((steps == OCTAVE).any()) and not bool((steps == 0).any())
    return wrong / len(theirs)


@dataclass(frozen=True, eq=False)
class Calibration:
    """How often what was given a probability came true.

    Attributes
    ----------
    error : float or None
        Expected calibration error (Naeini et al., AAAI 2015): the mean distance of probability and share, weighted
        by the bins' counts; None without any estimate.
    mean, share : np.ndarray, shape (n_bins,), float64
        Mean probability and share that came true in each of the equal bins of 0-1; NaN where a bin is empty.
    n : np.ndarray, shape (n_bins,), int64
        Estimates per bin.
    """

    error: float | None
    mean: npt.NDArray[np.float64]
    share: npt.NDArray[np.float64]
    n: npt.NDArray[np.int64]


def calibration(probability: npt.ArrayLike, right: npt.ArrayLike, n_bins: int = 10) -> Calibration:
    """Compare probabilities with what came true.

    Parameters
    ----------
    probability : array_like, shape (n,)
        0-1.
    right : array_like of bool, shape (n,)
    n_bins : int, optional
        Default is 10. A probability on an edge counts in the bin above it, 1 in the last.

    Raises
    ------
    ValueError
        If the shapes differ or a probability is outside 0-1.
    """
    p, true = np.asarray(probability, dtype=np.float64), np.asarray(right, dtype=np.bool_)
    if p.shape != true.shape or p.ndim != 1:
        raise ValueError(f"probability has shape {p.shape}, right has {true.shape}; both must be (n,)")
    if len(p) and not (p.min() >= 0 and p.max() <= 1):
        raise ValueError(f"probability goes from {p.min()} to {p.max()}, allowed is 0-1")
    # The rounding keeps 0.3 (as float32, say) in the bin that begins with 0.3.
    place = np.minimum(np.floor(np.round(p * n_bins, 5)).astype(np.int64), n_bins - 1)
    n = np.bincount(place, minlength=n_bins)
    with np.errstate(invalid="ignore"):  # 0/0 in an empty bin
        mean = np.bincount(place, p, n_bins) / n
        share = np.bincount(place, true, n_bins) / n
    error = float(np.nansum(n * np.abs(mean - share)) / len(p)) if len(p) else None
    return Calibration(error, mean, share, n.astype(np.int64))


@dataclass(frozen=True)
class Mean:
    """A mean over pieces with the interval that resampling the pieces gives; None without any piece."""

    value: float | None
    low: float | None
    high: float | None
    n: int


def mean_with_interval(
    values: Sequence[float | None], rng: np.random.Generator, level: float = 0.95, n_draws: int = 2000
) -> Mean:
    """Mean and percentile bootstrap interval (Efron, 1979) of one value per piece.

    Parameters
    ----------
    values : sequence of float or None
        Pieces that have no value are left out; ``n`` of the result counts the others.
    rng : np.random.Generator
    level : float, optional
        Default is 0.95.
    n_draws : int, optional
        Default is 2000.
    """
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    if not len(known):
        return Mean(None, None, None, 0)
    draws = known[rng.integers(len(known), size=(n_draws, len(known)))].mean(axis=1)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Mean(float(known.mean()), float(low), float(high), len(known))
