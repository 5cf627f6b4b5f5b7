"""Scores of sets of pieces in somebody's embedding or by somebody's classifier.

The same formula with another network gives other numbers: every result carries the network's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

LEAST_P: Final = 1e-12
"""Probabilities below count as this: one sure mistake must not make the mean infinite."""


@dataclass(frozen=True)
class FrechetDistance:
    """A Fréchet distance and what it rests on.

    Attributes
    ----------
    value : float
        0 or more; 0 is best.
    embedding : str
    n_reference, n_generated : int
        Pieces (or segments) on each side.
    dimensions : int
    singular : bool
        Whether one side has too few pieces for a covariance of full rank: the distance is then biased, and only
        comparable with one from as many pieces.
    """

    value: float
    embedding: str
    n_reference: int
    n_generated: int
    dimensions: int
    singular: bool


def frechet_distance(
    mean_1: npt.ArrayLike, covariance_1: npt.ArrayLike, mean_2: npt.ArrayLike, covariance_2: npt.ArrayLike
) -> float:
    """Squared Fréchet distance of two Gaussians: abs(m1 - m2)^2 + tr(S1 + S2 - 2 sqrt(S1 S2)).

    With S = A A^T, tr sqrt(S1 S2) is the sum of the singular values of A1^T A2: no root of a product that is
    symmetric only in theory (Dowson and Landau, 1982).

    Parameters
    ----------
    mean_1, mean_2 : array_like, shape=(d,)
    covariance_1, covariance_2 : array_like, shape=(d, d)
        Symmetric; singular ones will do.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    means = [np.atleast_1d(np.asarray(mean, dtype=np.float64)) for mean in (mean_1, mean_2)]
    factors = []
    for mean, covariance in zip(means, (covariance_1, covariance_2), strict=True):
        matrix = np.atleast_2d(np.asarray(covariance, dtype=np.float64))
        if matrix.shape != (len(mean), len(mean)) or len(mean) != len(means[0]):
            raise ValueError(f"means of {[len(m) for m in means]} and a covariance of shape {matrix.shape}")
        values, vectors = np.linalg.eigh(matrix)
        factors.append(vectors * np.sqrt(np.maximum(values, 0)))
    return _distance(means[0], factors[0], means[1], factors[1])


def fad(reference: npt.ArrayLike, generated: npt.ArrayLike, embedding: str) -> FrechetDistance:
    """Fréchet audio distance of two sets of embeddings (Kilgour et al., 2019), covariances over n - 1.

    Parameters
    ----------
    reference, generated : array_like, shape=(n, d) and (m, d)
        An embedding per piece or segment.
    embedding : str
        Name and version of the network that made them.

    Raises
    ------
    ValueError
        If shapes do not fit, values are not finite, or a side has fewer than two.
    """
    sets = [np.asarray(each, dtype=np.float64) for each in (reference, generated)]
    for each in sets:
        if each.ndim != 2 or each.shape[1] != sets[0].shape[1] or len(each) < 2:
            raise ValueError(
                f"embeddings of shapes {sets[0].shape} and {sets[1].shape}: two or more of equal size"
            )
        if not np.isfinite(each).all():
            raise ValueError("an embedding is not finite")
    means = [each.mean(axis=0) for each in sets]
    factors = [(each - mean).T / np.sqrt(len(each) - 1) for each, mean in zip(sets, means, strict=True)]
    dimensions = sets[0].shape[1]
    value = _distance(means[0], _narrow(factors[0]), means[1], _narrow(factors[1]))
    singular = min(map(len, sets)) <= dimensions
    return FrechetDistance(value, embedding, len(sets[0]), len(sets[1]), dimensions, singular)


def _narrow(factor: FloatArray) -> FloatArray:
    """A factor of the same covariance with no more columns than rows."""
    if factor.shape[1] <= factor.shape[0]:
        return factor
    triangle: FloatArray = np.linalg.qr(factor.T).R
    return triangle.T


def _distance(mean_1: FloatArray, factor_1: FloatArray, mean_2: FloatArray, factor_2: FloatArray) -> float:
    shared = np.linalg.svd(factor_1.T @ factor_2, compute_uv=False).sum()
    spread = (factor_1**2).sum() + (factor_2**2).sum() - 2 * shared
    return float(max(((mean_1 - mean_2) ** 2).sum() + spread, 0.0))


def genre_acc(
    reference: npt.ArrayLike,
    reference_genres: Sequence[str],
    generated: npt.ArrayLike,
    dance_genres: Sequence[str],
) -> float | None:
    """Share of generated pieces whose nearest reference segment has the dance's genre (D2M-GAN, section 4.2: S_c/S_t).

    Nearest by Euclidean distance (D2M-GAN: in VGGish's space). Where several are equally near, the piece counts by the
    share of them that have the genre.

    Parameters
    ----------
    reference, generated : array_like, shape=(n, d) and (m, d)
    reference_genres, dance_genres : sequence of str, n and m

    Returns
    -------
    float or None
        0-1; None without generated pieces or without reference.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    known, asked = np.asarray(reference, dtype=np.float64), np.asarray(generated, dtype=np.float64)
    if len(known) != len(reference_genres) or len(asked) != len(dance_genres):
        raise ValueError("give one genre per embedding")
    if not len(known) or not len(asked):
        return None
    if known.ndim != 2 or asked.ndim != 2 or known.shape[1] != asked.shape[1]:
        raise ValueError(f"embeddings of shapes {known.shape} and {asked.shape} do not fit")
    genres = np.asarray(reference_genres)
    right = []
    for each, genre in zip(asked, dance_genres, strict=True):
        distance = np.linalg.norm(known - each, axis=1)
        nearest = genres[distance <= distance.min() * (1 + 1e-12)]
        right.append(float((nearest == genre).mean()))
    return float(np.mean(right))


def genre_kld(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> float | None:
    """Mean over clips of KL(label, p) = -ln p(label) (textual inversion, with MS-SincResNet; DMD ``genre.py``).

    Parameters
    ----------
    probabilities : array_like, shape=(n, genres)
        A classifier's answer for each generated piece, rows summing to 1; clipped at 1e-12.
    labels : array_like, shape=(n,)
        Number of each dance's genre.

    Returns
    -------
    float or None
        Nats, 0 or more; None without pieces.

    Raises
    ------
    ValueError
        If shapes do not fit, or rows are no probabilities.
    """
    p, label = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if not len(p) and not len(label):
        return None
    if p.ndim != 2 or label.shape != (len(p),) or not ((label >= 0) & (label < p.shape[1])).all():
        raise ValueError(f"probabilities of shape {p.shape} and labels of shape {label.shape} do not fit")
    if not ((p >= 0).all() and np.allclose(p.sum(axis=1), 1, atol=1e-3)):
        raise ValueError("probabilities must be 0 or more and sum to 1 for each piece")
    return float(-np.log(np.maximum(p[np.arange(len(p)), label], LEAST_P)).mean())
