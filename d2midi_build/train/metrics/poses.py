"""The score of Dance2Music (Aggarwal and Parikh, 2021): like poses should have like notes."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

NOTES: Final = 5
"""Dance2Music's notes C4 D4 E4 G4 A4, numbered 0-4."""


def pearson_dm(similarity: npt.ArrayLike, notes: npt.ArrayLike, n_notes: int = NOTES) -> float:
    """Pearson correlation of the similarity of poses D and of notes M = 1 - abs(a - b) / 4, over the whole clip.

    M is stretched to the size of D, nearest neighbour. The paper prints M = abs(a - b) / 4, a distance, which would
    give unlike notes to like poses; the authors' code (gunagg/Dance2Music) has the sign of this.

    Parameters
    ----------
    similarity : array_like, shape=(n, n)
        D, of every frame to every frame: `cosine_similarity`.
    notes : array_like, shape=(m,), 1 <= m <= n
        Numbers of the notes, each lasting n / m frames.
    n_notes : int, optional
        Size of the scale. Default is 5.

    Returns
    -------
    float
        -1 to 1; 0 where D or M does not vary, as in the authors' code.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    d, played = np.asarray(similarity, dtype=np.float64), np.asarray(notes, dtype=np.float64)
    if d.ndim != 2 or d.shape[0] != d.shape[1] or played.ndim != 1 or not 1 <= len(played) <= len(d):
        raise ValueError(f"a similarity of shape {d.shape} and notes of shape {played.shape} do not fit")
    stretched = played[np.arange(len(d)) * len(played) // len(d)]
    m = 1 - np.abs(stretched[:, None] - stretched[None]) / (n_notes - 1)
    ours, theirs = d - d.mean(), m - m.mean()
    scale = np.sqrt((ours**2).sum() * (theirs**2).sum())
    # Means of equal numbers are off by roundoff, which is no variation.
    if np.ptp(d) < 1e-12 or np.ptp(m) < 1e-12:
        return 0.0
    return float(np.clip((ours * theirs).sum() / scale, -1, 1))


def cosine_similarity(poses: npt.ArrayLike) -> FloatArray:
    """Cosine similarity of every frame to every frame: shape (n, n), 0 beside a pose of zeros.

    Parameters
    ----------
    poses : array_like, shape=(n, numbers)
        Coordinates of a pose per frame, finite. Raw picture coordinates are dominated by where the torso is: subtract
        the hips first unless the paper's own numbers are wanted.

    Raises
    ------
    ValueError
        If the shape is another or a coordinate is not finite.
    """
    given = np.asarray(poses, dtype=np.float64)
    if given.ndim != 2 or not np.isfinite(given).all():
        raise ValueError(f"poses of shape {given.shape}: give a row of finite numbers per frame")
    length = np.linalg.norm(given, axis=1, keepdims=True)
    unit = np.divide(given, length, out=np.zeros_like(given), where=length > 0)
    return np.asarray(unit @ unit.T, dtype=np.float64)
