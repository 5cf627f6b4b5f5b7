"""Curves over lags, and the offset that many clips have in common."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build import clock
from d2midi_build.synchrony.lag import LEAST_CLIPS, PooledOffset, lag_curve, lags, pooled_offset

N = 20 * clock.FPS


def bumps(times_s: np.ndarray) -> np.ndarray:
    at_s = np.arange(N) / clock.FPS
    return np.exp(-0.5 * ((at_s[:, None] - times_s) / 0.07) ** 2).sum(axis=1)


def clip(rng: np.random.Generator, late_s: float, noise: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Rhythms of a steady song and of a dance to it, late by so much, with jitter and noise."""
    grid = np.arange(-1.0, 21.0, 60 / rng.uniform(70, 160)) + rng.uniform(0, 0.5)
    motion = bumps(grid + late_s + rng.normal(0, 0.03, len(grid)))
    return motion + rng.normal(0, noise * motion.std(), N), bumps(grid)


def pooled(late_s: float, n: int = 16, seed: int = 0, noise: float = 0.6) -> PooledOffset:
    rng = np.random.default_rng(seed)
    return pooled_offset([clip(rng, late_s, noise) for _ in range(n)], rng)


def test_lags_are_frames() -> None:
    assert lags(0.1) == pytest.approx([-0.1, -0.05, 0.0, 0.05, 0.1])


def test_a_delayed_copy_has_a_correlation_of_one_at_its_delay() -> None:
    onset = np.random.default_rng(0).normal(size=N)
    motion = np.roll(onset, 3)  # 150 ms later
    curve = lag_curve(motion, onset)
    assert lags()[int(curve.argmax())] == pytest.approx(0.15) and curve.max() == pytest.approx(1.0)
    assert np.sort(curve)[-2] < 0.3


def test_a_curve_is_pearsons_correlation_over_what_is_known() -> None:
    rng = np.random.default_rng(1)
    motion, onset = rng.normal(size=200), rng.normal(size=200)
    motion[50:70] = np.nan
    known = np.array([t for t in range(20, 180) if not 50 <= t < 70])
    curve = lag_curve(motion, onset)
    for shift in (-20, -3, 0, 7, 20):
        expected = np.corrcoef(motion[known], onset[known - shift])[0, 1]
        assert curve[20 + shift] == pytest.approx(expected)


def test_scale_and_level_do_not_matter() -> None:
    motion, onset = clip(np.random.default_rng(2), 0.0)
    assert lag_curve(3 * motion - 5, 7 * onset + 1) == pytest.approx(lag_curve(motion, onset))


@pytest.mark.parametrize("kind", ["short", "unseen", "silent"])
def test_no_curve_without_movement_or_sound(kind: str) -> None:
    motion, onset = clip(np.random.default_rng(2), 0.0)
    if kind == "short":
        motion, onset = motion[:100], onset[:100]
    if kind == "unseen":
        motion[70:] = np.nan
    if kind == "silent":
        onset[:] = 0.0
    assert np.isnan(lag_curve(motion, onset)).all()


def test_lengths_have_to_agree() -> None:
    with pytest.raises(ValueError, match="shape"):
        lag_curve(np.zeros(100), np.zeros(101))


@pytest.mark.parametrize("late_s", [0.2, -0.35, 0.525])
def test_a_common_offset_is_found_to_a_few_milliseconds(late_s: float) -> None:
    found = pooled(late_s)
    assert found.status == "offset" and found.offset_ms == pytest.approx(1000 * late_s, abs=15)
    assert (
        found.low_ms is not None
        and found.high_ms is not None
        and found.low_ms <= 1000 * late_s <= found.high_ms
    )
    assert found.p is not None and found.p < 0.05
    assert f"{abs(found.offset_ms):.0f} ms {'later' if late_s > 0 else 'earlier'}" in found.explanation


@pytest.mark.parametrize("late_s", [0.0, 0.04])
def test_no_offset_is_ok(late_s: float) -> None:
    found = pooled(late_s)
    assert found.status == "ok" and found.offset_ms == pytest.approx(1000 * late_s, abs=15)
    assert found.peak_r is not None and found.r_zero is not None and found.peak_r >= found.r_zero > 0.3


def test_music_of_other_clips_has_no_offset() -> None:
    claimed = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        pairs = [clip(rng, 0.0) for _ in range(10)]
        turned = [(pairs[i][0], pairs[(i + 1) % 10][1]) for i in range(10)]
        claimed += pooled_offset(turned, rng).status != "unknown"
    assert claimed <= 3


def test_clips_of_one_tempo_do_not_say_which_beat() -> None:
    rng = np.random.default_rng(5)
    grids = [np.arange(-1.0, 21.0, 0.5) + rng.uniform(0, 0.5) for _ in range(12)]
    pairs = [(bumps(grid + rng.normal(0, 0.03, len(grid))), bumps(grid)) for grid in grids]
    found = pooled_offset(pairs, rng)
    assert found.status == "unknown" and found.support is not None and found.support < 2 / 3


def test_too_few_clips_are_unknown() -> None:
    found = pooled(0.2, n=LEAST_CLIPS - 1)
    assert found.status == "unknown" and found.offset_ms is None and "7 clips" in found.explanation
    assert np.isfinite(found.curve).all()
    nothing = pooled_offset([], np.random.default_rng(0))
    assert nothing.n_clips == 0 and np.isnan(nothing.curve).all()


def test_clips_without_a_curve_do_not_count() -> None:
    rng = np.random.default_rng(0)
    pairs = [clip(rng, 0.2) for _ in range(16)]
    still = (np.full(N, np.nan), pairs[0][1])
    assert pooled_offset([*pairs, still, (pairs[0][0][:50], pairs[0][1][:50])], rng).n_clips == 16


def test_the_same_seed_gives_the_same_answer_and_lengths_may_differ() -> None:
    def answer() -> PooledOffset:
        rng = np.random.default_rng(3)
        pairs = [clip(rng, 0.1) for _ in range(9)]
        return pooled_offset([(m[: 400 - 9 * i], o[: 400 - 9 * i]) for i, (m, o) in enumerate(pairs)], rng)

    first, second = answer(), answer()
    assert (first.offset_ms, first.low_ms, first.p) == (second.offset_ms, second.low_ms, second.p)
