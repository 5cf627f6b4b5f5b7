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

_OCTAVE: Final = 12


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
    found = _matching(reference, estimated, tolerance_s, offset_ratio)
    return len(found), len(reference), len(estimated)


def _matching(
    reference: Notes, estimated: Notes, tolerance_s: float, offset_ratio: float | None = None
) -> npt.NDArray[np.int64]:
    """The most pairs there can be, shape (m, 2): indices into both, sorted."""
    found: list[tuple[int, int]] = []
    if len(reference) and len(estimated):
        import mir_eval

        found = mir_eval.transcription.match_notes(
            _intervals(reference),
            _hz(reference),
            _intervals(estimated),
            _hz(estimated),
            onset_tolerance=tolerance_s,
            offset_ratio=offset_ratio,
            offset_min_tolerance=tolerance_s,
        )
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 2)


def _intervals(notes: Notes) -> npt.NDArray[np.float64]:
    """Shape (n, 2) in seconds; mir_eval wants every note to last."""
    return np.stack([notes.onset_s, np.maximum(notes.offset_s, notes.onset_s + 1e-4)], axis=1)


def _hz(notes: Notes) -> npt.NDArray[np.float64]:
    return np.asarray(440.0 * 2.0 ** ((notes.pitch.astype(np.float64) - 69) / 12))


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
    found = _matching(reference.where(i), estimated.where(j), tolerance_s)
    return np.stack([i[found[:, 0]], j[found[:, 1]]], axis=1)


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
        wrong += bool((steps == _OCTAVE).any()) and not bool((steps == 0).any())
    return wrong / len(theirs)
