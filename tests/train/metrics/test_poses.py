"""Dance2Music's correlation: the worked example J, and the edges."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.train.metrics.poses import cosine_similarity, pearson_dm

D = [[1, 0.9, 0.1], [0.9, 1, 0.2], [0.1, 0.2, 1]]


def test_like_poses_with_like_notes_correlate() -> None:
    assert pearson_dm(D, [2, 2, 0]) == pytest.approx(0.99254, abs=5e-6)
    # With M as the paper prints it, a distance, the sign is the other one.
    printed = np.abs(np.subtract.outer([2, 2, 0], [2, 2, 0])) / 4
    assert np.corrcoef(np.ravel(D), printed.ravel())[0, 1] == pytest.approx(-0.99254, abs=5e-6)


def test_each_note_lasts_its_share_of_the_frames() -> None:
    rng = np.random.default_rng(0)
    d, notes = cosine_similarity(rng.normal(size=(60, 4))), rng.integers(0, 5, 10)
    long = np.repeat(notes, 6)
    m = 1 - np.abs(np.subtract.outer(long, long)) / 4
    assert pearson_dm(d, notes) == pytest.approx(np.corrcoef(d.ravel(), m.ravel())[0, 1], abs=1e-12)
    assert pearson_dm(d, notes) == pytest.approx(pearson_dm(d, long), abs=1e-15)


def test_what_does_not_vary_correlates_with_nothing() -> None:
    assert pearson_dm(D, [3, 3, 3]) == 0.0
    assert pearson_dm(np.ones((4, 4)), [0, 1, 2, 3]) == 0.0


def test_more_notes_than_frames_are_refused() -> None:
    for notes in ([0, 1, 2, 3], []):
        with pytest.raises(ValueError, match="do not fit"):
            pearson_dm(D, notes)


def test_cosine_similarity_of_poses() -> None:
    assert cosine_similarity([[1, 0], [2, 0], [0, 3], [0, 0]])[0].tolist() == [1, 1, 0, 0]
    with pytest.raises(ValueError, match="finite"):
        cosine_similarity([[1.0, np.nan]])
