"""Scores in an embedding: the worked examples G and H, scipy's square root, and the edges."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from d2midi_build.train.metrics.embeddings import fad, frechet_distance, genre_acc, genre_kld


def test_distance_of_two_gaussians_on_a_line() -> None:
    # N(0, 1) and N(1, 4): 1 + 1 + 4 - 2 * 2.
    assert frechet_distance([0.0], [[1.0]], [1.0], [[4.0]]) == pytest.approx(2.0, abs=1e-12)


def test_the_square_root_is_scipys() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(200, 8)) @ rng.normal(size=(8, 8)), rng.normal(1, 2, (150, 8))
    s1, s2 = np.cov(a.T), np.cov(b.T)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s1 + s2 - 2 * scipy.linalg.sqrtm(s1 @ s2).real)
    assert frechet_distance(a.mean(0), s1, b.mean(0), s2) == pytest.approx(expected, rel=1e-9)
    found = fad(a, b, "vggish")
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert (found.n_reference, found.n_generated, found.dimensions) == (200, 150, 8)
    assert (found.embedding, found.singular) == ("vggish", False)


def test_few_pieces_in_many_dimensions_are_singular_and_still_exact() -> None:
    rng = np.random.default_rng(2)
    a = rng.normal(size=(5, 128))
    assert fad(a, a, "clap").value == pytest.approx(0.0, abs=1e-9)
    moved = fad(a, a + 0.5, "clap")
    assert moved.value == pytest.approx(128 * 0.25, rel=1e-9)
    assert moved.singular
    b = rng.normal(size=(4, 128))
    direct = frechet_distance(a.mean(0), np.cov(a.T), b.mean(0), np.cov(b.T))
    assert fad(a, b, "clap").value == pytest.approx(direct, rel=1e-6)
    assert fad(a, b, "clap").value == pytest.approx(fad(b, a, "clap").value, rel=1e-12)


@pytest.mark.parametrize("wrong", [np.zeros((1, 3)), np.zeros((4, 2)), np.zeros(3), np.full((4, 3), np.nan)])
def test_embeddings_that_do_not_fit_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="embedding"):
        fad(np.eye(3), wrong, "any")


def test_means_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="covariance"):
        frechet_distance([0.0, 1.0], np.eye(2), [0.0], [[1.0]])


def test_genre_kld_by_hand() -> None:
    assert genre_kld([[0.7, 0.3]], [0]) == pytest.approx(0.35667, abs=5e-6)
    assert genre_kld([[0.7, 0.3], [0.8, 0.2]], [0, 1]) == pytest.approx(0.98306, abs=1e-5)
    assert genre_kld([[1.0, 0.0]], [1]) == pytest.approx(-np.log(1e-12))
    assert genre_kld(np.empty((0, 6)), []) is None
    with pytest.raises(ValueError, match="sum to 1"):
        genre_kld([[0.7, 0.7]], [0])
    with pytest.raises(ValueError, match="do not fit"):
        genre_kld([[0.7, 0.3]], [2])


def test_the_nearest_reference_gives_the_genre() -> None:
    reference, genres = [[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]], ["house", "ballet", "house"]
    assert genre_acc(
        reference, genres, [[0.1, 0.0], [0.9, 0.0], [4.0, 4.0]], ["house", "house", "house"]
    ) == (pytest.approx(2 / 3))
    # Halfway between a house and a ballet: half.
    assert genre_acc(reference, genres, [[0.5, 0.0]], ["house"]) == 0.5
    assert genre_acc(reference, genres, [], []) is None
    assert genre_acc([], [], [[0.5, 0.0]], ["house"]) is None
    with pytest.raises(ValueError, match="one genre per embedding"):
        genre_acc(reference, genres, [[0.5, 0.0]], [])
