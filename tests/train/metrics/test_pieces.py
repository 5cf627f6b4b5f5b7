"""Pitch classes and grooves: the worked examples D and E, and bars."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.train.metrics.pieces import (
    annotated_bars,
    empty_bar_share,
    gs,
    nominal_bars,
    pattern_similarity,
    patterns,
    phe_k,
    pitch_entropy,
)


@pytest.mark.parametrize(
    ("pitches", "bits"),
    [([60], 0.0), ([60, 72, 48], 0.0), ([60, 64, 67], 1.58496), ([60, 60, 64, 67], 1.5),
     ([60, 62, 64, 67, 69], 2.32193), (list(range(60, 72)), 3.58496)],
)  # fmt: skip
def test_entropy_of_pitch_classes(pitches: list[int], bits: float) -> None:
    assert pitch_entropy(pitches) == pytest.approx(bits, abs=5e-6)


def test_no_notes_have_no_entropy() -> None:
    assert pitch_entropy([]) is None
    assert phe_k([], [], nominal_bars(30), 1) is None


def test_phe_is_the_mean_over_windows_that_hold_notes() -> None:
    onset_s, pitches = [0.0, 1.0, 4.0, 5.0, 5.5], [60, 64, 60, 64, 67]  # bars of 2 s: {C E}, {}, {C E G}
    bars = nominal_bars(6.0)
    assert phe_k(onset_s, pitches, bars, 1) == pytest.approx((1 + np.log2(3)) / 2)
    # Two windows of two bars, hop one: {C E} and {C E G}.
    assert phe_k(onset_s, pitches, bars, 2) == pytest.approx((1 + np.log2(3)) / 2)
    assert phe_k(onset_s, pitches, bars, 3) == pytest.approx(1.52193, abs=5e-6)  # {C C E E G}
    assert [phe_k(onset_s, pitches, bars, k) for k in (4, 5, 9)] == [None] * 3


def _bars(*cells: list[int], q: int = 64) -> np.ndarray:
    """Patterns with these cells filled."""
    return np.array([[place in each for place in range(q)] for each in cells])


def test_how_alike_two_bars_are() -> None:
    a, b = [0, 16, 32, 48], [0, 16, 32, 56]
    assert pattern_similarity(_bars(a, b)) == 0.96875
    assert pattern_similarity(_bars([0, 4, 8, 12], [0, 4, 8, 14], q=16)) == 0.875
    assert pattern_similarity(_bars([], a)) == 0.9375
    assert pattern_similarity(_bars([], [])) == 1.0
    assert pattern_similarity(_bars(a)) is None


def test_all_pairs_of_bars_are_not_neighbours_only() -> None:
    a, b = [0, 16, 32, 48], [0, 16, 32, 56]
    four = _bars(a, a, b, [])
    assert pattern_similarity(four) == pytest.approx(0.95833, abs=5e-6)
    # What MusPy's groove_consistency is: other numbers from the same bars.
    neighbours = [pattern_similarity(four[i : i + 2]) for i in range(3)]
    assert np.mean(np.array(neighbours, dtype=np.float64)) == 0.96875


def test_gs_leaves_empty_bars_out_and_says_how_many() -> None:
    onset_s = np.concatenate([2 * bar + np.array([0, 0.5, 1, 1.5]) for bar in (0, 1)] + [[4, 4.5, 5, 5.75]])
    bars = nominal_bars(9.0)
    assert len(bars) == 4
    assert gs(onset_s, bars) == pytest.approx((1 + 2 * 0.96875) / 3)
    assert empty_bar_share(onset_s, bars) == 0.25
    assert gs([0.0], bars) is None
    assert gs([], bars) is None and empty_bar_share([], bars) == 1.0
    assert empty_bar_share([], np.empty((0, 2))) is None


def test_notes_of_a_grid_of_32_cannot_fill_every_other_cell_of_64() -> None:
    rng = np.random.default_rng(0)
    onset_s = rng.integers(0, 480, 300) * 2 / 32
    found = patterns(onset_s, nominal_bars(30), 64)
    assert not found[:, 1::2].any()
    assert found[:, ::2].tolist() == patterns(onset_s, nominal_bars(30), 32).tolist()
    assert 0.5 <= (gs(onset_s, nominal_bars(30)) or 0.0) < 1.0


def test_an_onset_counts_to_the_nearest_cell_even_before_the_bar() -> None:
    # 5 ms early for the second bar is its first cell, not the first bar's last.
    found = patterns([1.995, 0.51], nominal_bars(4.0), 64)
    assert [np.flatnonzero(bar).tolist() for bar in found] == [[16], [0]]


def test_nominal_bars_are_whole() -> None:
    assert nominal_bars(30.0).tolist() == [[2.0 * bar, 2.0 * bar + 2] for bar in range(15)]
    assert len(nominal_bars(29.95)) == 14
    assert nominal_bars(1.9).shape == (0, 2)
    assert len(nominal_bars(6 - 1e-9)) == 3


def test_annotated_bars_go_from_downbeat_to_downbeat() -> None:
    beats_s = 0.3 + np.arange(11) * 0.4
    bars = annotated_bars(beats_s, [3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1])
    assert bars == pytest.approx(np.array([[1.1, 2.7], [2.7, 4.3]]))
    # A waltz has bars of three, and where a beat is missing there is no bar.
    assert annotated_bars(np.arange(9), [1, 2, 3, 1, 3, 1, 2, 3, 1]).tolist() == [[0, 3], [5, 8]]
    # Of unknown positions every fourth beat begins a bar.
    assert annotated_bars(np.arange(10), [0] * 10).tolist() == [[0, 4], [4, 8]]
    assert annotated_bars([], []).shape == annotated_bars([1.0], [1]).shape == (0, 2)
    with pytest.raises(ValueError, match="one position per beat"):
        annotated_bars([1.0, 2.0], [1])


def test_the_same_groove_at_another_tempo_is_seen_in_annotated_bars_only() -> None:
    beats_s = np.arange(0, 30, 60 / 97)
    position = 1 + np.arange(len(beats_s)) % 4
    onset_s = beats_s[(position == 1) | (position == 3)]
    assert gs(onset_s, annotated_bars(beats_s, position)) == 1.0
    assert (gs(onset_s, nominal_bars(30)) or 1.0) < 0.99
