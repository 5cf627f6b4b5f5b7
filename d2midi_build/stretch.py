"""Where a series speaks for something."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def best_stretch(
    worth: npt.NDArray[np.float32] | npt.NDArray[np.float64], least: int = 0
) -> tuple[int, int, float]:
    """The stretch with the largest sum (Bentley, CACM 27, 1984), no shorter than ``least`` if the series is not.

    Parameters
    ----------
    worth : np.ndarray, shape=(n,)
        Above 0 what speaks for, below 0 what speaks against.
    least : int, optional
        If the stretch is shorter, the best one of this length takes its place.

    Returns
    -------
    int, int
        Its first index and the one after its last.
    float
        The largest sum, whatever ``least``; 0 if nothing speaks for.
    """
    sums = np.concatenate([[0.0], np.cumsum(worth, dtype=np.float64)])
    end = int((sums - np.minimum.accumulate(sums)).argmax())
    begin = int(sums[: end + 1].argmin())
    total = float(sums[end] - sums[begin])
    if end - begin < least:
        length = min(least, len(worth))
        begin = int((sums[length:] - sums[: len(sums) - length]).argmax())
        end = begin + length
    return begin, end, total
