"""How well estimated notes match reference notes, by mir_eval's definitions.

Every function takes `Notes` and gives a `Score`. A note counts as found when its onset lies
within the tolerance of a reference note of the same pitch; each reference note is used once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

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
    return Score(precision, recall, f1, n_reference, n_estimated)


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
