"""Beat scores: the worked examples A, B, C and F of the specification, mir_eval, and the edges."""

from __future__ import annotations

import json
from pathlib import Path

import mir_eval
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2midi_build.train.metrics.beats import (
    BeatCounts,
    at,
    bas_alignment,
    bas_average,
    bcs_precision,
    bcs_ratio,
    beat_f1,
    beat_scores,
    bhs,
    count_beats,
    count_seconds,
    events,
    f1_of_means,
)

REFERENCE, GENERATED = [0.5, 1, 1.5, 2], [0.55, 1.25, 1.9, 2.6]


@pytest.mark.parametrize(
    ("ratio", "hit", "score"),
    [(5.11, 0.29, 0.1532), (1.75, 0.42, 0.4462), (0.68, 0.45, 0.5881), (0.73, 0.53, 0.6467), (4.87, 0.32, 0.1704),
     (1.73, 0.44, 0.4610), (0.70, 0.48, 0.6104), (0.76, 0.61, 0.6983), (0.0, 0.0, 0.1839), (1.0, 1.0, 1.0)],
)  # fmt: skip
def test_bas_average_of_dance2midis_table_2(ratio: float, hit: float, score: float) -> None:
    assert bas_average(ratio, hit) == pytest.approx(score, abs=5e-5)


@pytest.mark.parametrize(
    ("precision", "recall", "f1"),
    [(0.3368, 0.1515, 0.2090), (0.4233, 0.2151, 0.2853), (0.2603, 0.1073, 0.1520), (0.3798, 0.4185, 0.3982),
     (0.4118, 0.3874, 0.3992), (0.4761, 0.4398, 0.4572), (0.0, 0.0, 0.0)],
)  # fmt: skip
def test_f1_of_means_of_textual_inversions_table_1(precision: float, recall: float, f1: float) -> None:
    assert f1_of_means(precision, recall) == pytest.approx(f1, abs=6e-5)


@pytest.mark.parametrize(
    ("tolerance_s", "matched"), [(0.05, 1), (0.07, 1), (0.1, 2), (0.2, 2), (0.25, 3), (1.0, 4)]
)
def test_beats_found_grow_with_the_tolerance(tolerance_s: float, matched: int) -> None:
    assert count_beats(REFERENCE, GENERATED, tolerance_s) == BeatCounts(4, 4, matched)


def test_all_scores_of_one_clip() -> None:
    found = beat_scores(REFERENCE, GENERATED, 3.0, of_motion=True)
    expected = {"bcs_ratio": 1.0, "bhs@200ms": 0.5, "bcs_precision@200ms": 0.5, "beat_f1@200ms": 0.5,
                "bas_average@200ms": 0.75, "bhs@70ms": 0.25, "bas_average@70ms": 0.625}  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert {found[f"paper_1s_bins_{name}"] for name in ("bcs_ratio", "bhs", "bcs_precision", "beat_f1")} == {
        1.0
    }
    assert found["bas_alignment"] == bas_alignment(GENERATED, REFERENCE)
    assert "bas_alignment" not in beat_scores(REFERENCE, GENERATED, 3.0)


def test_a_distance_of_the_tolerance_is_a_hit() -> None:
    assert 1.2 - 1.0 < 0.2 < 1.1 - 0.9  # roundoff goes both ways
    assert count_beats([1.0], [1.2], 0.2).matched == 1
    assert count_beats([0.9], [1.1], 0.2).matched == 1
    assert count_beats([1.0], [1.20001], 0.2).matched == 0


def test_a_beat_is_in_one_pair_only() -> None:
    assert count_beats([1.0], [0.9, 1.1], 0.2) == BeatCounts(1, 2, 1)
    # The nearest pairs (1.0 and 1.05) would leave the others alone.
    assert count_beats([1.0, 1.15], [0.9, 1.05], 0.1).matched == 2


beats = st.lists(st.integers(0, 300), max_size=30, unique=True).map(
    lambda places: np.array(sorted(places), dtype=np.float64) / 50
)


@given(beats, beats, st.sampled_from([0.05, 0.07, 0.1, 0.2, 0.5, 1.0]))
def test_as_many_pairs_as_the_maximum_matching(
    reference: npt.NDArray[np.float64], generated: npt.NDArray[np.float64], tolerance_s: float
) -> None:
    best = len(mir_eval.util.match_events(reference, generated, tolerance_s + 1e-6))
    assert count_beats(reference, generated, tolerance_s).matched == best
    assert count_beats(generated[::-1], reference, tolerance_s).matched == best


def test_no_beats_is_none_not_zero_where_a_denominator_is_zero() -> None:
    nothing, unasked, silent = BeatCounts(0, 0, 0), BeatCounts(0, 3, 0), BeatCounts(3, 0, 0)
    scores = (bcs_ratio, bhs, bcs_precision, beat_f1)
    assert [score(nothing) for score in scores] == [None] * 4
    assert [score(unasked) for score in scores] == [None, None, 0.0, 0.0]
    assert [score(silent) for score in scores] == [0.0, 0.0, 0.0, 0.0]
    assert bas_average(None, None) is None
    assert f1_of_means(0.5, None) is None


def test_bas_average_rewards_silence_and_the_ratio_can_exceed_one() -> None:
    found = beat_scores(REFERENCE, [], 3.0)
    assert found["bas_average@70ms"] == pytest.approx(0.1839, abs=5e-5)
    assert bcs_ratio(BeatCounts(2, 7, 0)) == 3.5


def test_bas_alignment_by_hand() -> None:
    # Frames at 60 frames/s; sigma 3 of them is 50 ms: distances of 0, 2 and 6 frames.
    music, motion = np.array([10, 20, 30]) / 60, np.array([36, 10, 22]) / 60
    assert bas_alignment(music, motion) == pytest.approx(0.64536, abs=5e-6)
    assert bas_alignment(music, []) is None
    assert bas_alignment([], motion) is None
    # It averages over the music's beats: more motion beats do no harm, more music beats do.
    assert bas_alignment([1.0], [1.0, 2.0]) == 1.0
    assert bas_alignment([1.0, 2.0], [1.0]) == pytest.approx(0.5)


def test_the_same_whole_second_is_not_a_distance() -> None:
    assert count_seconds([0.95], [1.05], 2.0).matched == 0
    assert count_seconds([0.05], [0.95], 2.0).matched == 1
    assert count_seconds([0.05, 0.5], [0.95], 2.0) == BeatCounts(1, 1, 1)
    assert count_seconds([2.2], [2.4, 2.6], 2.5) == BeatCounts(
        1, 1, 1
    )  # the last, shorter bin; 2.6 is outside
    assert count_seconds([0.9999999999], [1.0], 2.0).matched == 1
    assert count_seconds([], [], 0.0) == BeatCounts(0, 0, 0)


@pytest.mark.parametrize(("tolerance_s", "f1"), [(0.07, 0.28), (0.1, 0.4), (0.2, 0.8)])
def test_what_a_metronome_of_random_phase_gets(tolerance_s: float, f1: float) -> None:
    # The chance that a phase is within the tolerance: twice the tolerance in a period of half a second.
    reference = np.arange(0, 300, 0.5)
    found = [
        beat_scores(reference, reference + phase, 300.0, (tolerance_s,))
        for phase in (np.arange(100) + 0.5) / 200
    ]
    mean = np.mean([each[at("beat_f1", tolerance_s)] or 0.0 for each in found])
    assert mean == pytest.approx(f1, abs=0.005)
    assert all(each["paper_1s_bins_beat_f1"] == 1.0 for each in found)  # which is why bins of 1 s say nothing


def test_events_are_cropped_sorted_and_apart() -> None:
    assert events([3.0, 1.0, -0.5, 0.0, 30.0, 29.99], 30.0).tolist() == [0.0, 1.0, 3.0, 29.99]
    assert events([30 - 1e-9, -1e-9], 30.0).tolist() == [-1e-9]  # roundoff does not move a beat over an edge
    assert events([1.0, 1.03, 1.04]).tolist() == [
        1.0,
        1.04,
    ]  # 30 ms after the last one kept is still the same
    assert events([1.0, 1.0, 1.02], dedupe_s=None).tolist() == [1.0, 1.0, 1.02]
    assert events([]).shape == (0,)


def test_music_longer_than_the_dance_is_cropped_before_counting() -> None:
    # Uncropped, the ratio would be 3: how a BCS of 5.11 came into Dance2MIDI's table.
    assert beat_scores(np.arange(0, 10, 0.5), np.arange(0, 30, 0.5), 10.0)["bcs_ratio"] == 1.0


@pytest.mark.parametrize("times_s", [[[1.0, 2.0]], [1.0, np.nan], [np.inf]])
def test_beats_that_are_none_are_refused(times_s: list[float]) -> None:
    with pytest.raises(ValueError, match="one row of finite seconds"):
        events(times_s)


@pytest.mark.real_data
@pytest.mark.parametrize("number", range(4))
def test_mir_evals_reference_outputs(shared_data: Path, number: int) -> None:
    folder = shared_data / "mir-evaluation+mir_eval" / "tests" / "data"
    for kind, from_s, tolerance_s in (("beat", 5.0, 0.07), ("onset", 0.0, 0.05)):
        # mir_eval's evaluation of beats drops the first five seconds.
        reference, estimated = (
            np.loadtxt(folder / kind / f"{side}{number:02d}.txt", comments="#", ndmin=1)
            for side in ("ref", "est")
        )
        counts = count_beats(
            events(reference[reference >= from_s]), events(estimated[estimated >= from_s]), tolerance_s
        )
        expected = json.loads((folder / kind / f"output{number:02d}.json").read_text())
        assert beat_f1(counts) == pytest.approx(expected["F-measure"], abs=1e-12)
        if kind == "onset":
            assert bcs_precision(counts) == pytest.approx(expected["Precision"], abs=1e-12)
            assert bhs(counts) == pytest.approx(expected["Recall"], abs=1e-12)
