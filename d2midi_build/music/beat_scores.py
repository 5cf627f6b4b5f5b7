"""How well estimated beats match reference beats."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

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
