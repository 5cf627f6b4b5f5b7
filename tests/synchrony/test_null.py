"""The null of other clips knows the phase, which the phase test does not ask for."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.synchrony.null import LEAST_OTHERS, BeatsOf, matched_null
from d2midi_build.synchrony.phase import phase_test

NOTHING = np.empty(0)


def grid(bpm: float, first_s: float = 0.2, seconds: float = 20.0) -> np.ndarray:
    return np.arange(first_s, seconds, 60 / bpm)


def others(bpm: float, n: int = 8, seed: int = 1) -> list[BeatsOf]:
    """Clips within 3 % of a tempo, with a tracker's jitter."""
    rng = np.random.default_rng(seed)
    songs = [grid(bpm * rng.uniform(0.97, 1.03), rng.uniform(0, 0.5)) for _ in range(n)]
    return [BeatsOf(NOTHING, np.sort(song + rng.normal(0, 0.01, len(song)))) for song in songs]


def test_on_the_beat_is_rare_among_random_phases() -> None:
    found = matched_null(BeatsOf(grid(120)[2:-2], grid(120)), others(120), np.random.default_rng(0))
    assert found.score == pytest.approx(1.0) and found.p is not None and found.p < 0.02
    assert found.n_others == 8 and found.n_draws == 1000
    assert "8 other clips" in found.explanation


def test_the_score_is_the_projection_on_the_expected_phase() -> None:
    late = BeatsOf(grid(120)[2:-2] + 0.05, grid(120))  # a tenth of a beat
    found = matched_null(late, others(120), np.random.default_rng(0))
    assert found.score == pytest.approx(np.cos(0.2 * np.pi))
    expected = matched_null(late, others(120), np.random.default_rng(0), expected_lag_s=0.05)
    assert expected.score == pytest.approx(1.0) and expected.p is not None and found.p is not None
    # A random shift is nearer to the beat, or to the off-beat at twice the beat, this often: .2, plus .098 (h = 2).
    assert expected.p < 0.02 < 0.15 < found.p < 0.4


def test_a_fixed_place_off_the_beat_passes_the_phase_test_and_not_this() -> None:
    clip = BeatsOf(grid(120)[2:-2] + 0.125, grid(120))
    assert phase_test(clip.kinematic_s, clip.musical_s).status == "synchronised"
    found = matched_null(clip, others(120), np.random.default_rng(0))
    assert found.p is not None and found.p > 0.4


def test_random_phases_have_uniform_p() -> None:
    rng = np.random.default_rng(7)
    ps = []
    for _ in range(120):
        dance = grid(100)[2:-2] + rng.uniform(0, 0.6) + rng.normal(0, 0.02, len(grid(100)) - 4)
        ps.append(matched_null(BeatsOf(dance, grid(100)), others(100), rng, draws=200).p)
    assert 0.38 < np.mean(np.array(ps, float)) < 0.62
    assert np.mean(np.array(ps, float) < 0.05) <= 0.1


def test_too_few_of_the_tempo_give_no_p() -> None:
    clip = BeatsOf(grid(120)[2:-2], grid(120))
    near, far = others(120, LEAST_OTHERS - 1), others(140, 10)
    short = [BeatsOf(NOTHING, grid(120, seconds=6.0))] * 5
    found = matched_null(clip, near + far + short, np.random.default_rng(0))
    assert found.p is None and found.n_others == LEAST_OTHERS - 1 and "5 are needed" in found.explanation


@pytest.mark.parametrize(("kinematic", "musical"), [(grid(120)[:4], grid(120)), (grid(120), grid(120)[:7])])
def test_a_clip_with_too_few_beats_has_no_p(kinematic: np.ndarray, musical: np.ndarray) -> None:
    found = matched_null(BeatsOf(kinematic, musical), others(120), np.random.default_rng(0))
    assert found.p is None and found.score is None


def test_the_same_seed_gives_the_same_p() -> None:
    clip = BeatsOf(grid(120)[2:-2] + 0.06, grid(120))
    first, second = (matched_null(clip, others(120), np.random.default_rng(4)).p for _ in range(2))
    assert first == second
