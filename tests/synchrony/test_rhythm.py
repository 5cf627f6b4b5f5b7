"""Envelopes have their bumps where things happen: a zero offset measures as zero."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build import clock
from d2midi_build.errors import PermanentError
from d2midi_build.synchrony.lag import lag_curve, lags
from d2midi_build.synchrony.rhythm import motion_rhythm, onset_rhythm
from d2midi_build.synthetic.dancer import Dance, choreograph
from d2midi_build.synthetic.slate import click

HIPS = [23, 24]
SECONDS = 16
N = SECONDS * clock.FPS


def beats(seed: int = 0) -> np.ndarray:
    """Irregular moments, so that only the true lag fits, off the frames."""
    times = np.cumsum(np.random.default_rng(seed).uniform(0.45, 0.9, 40))
    return times[times < SECONDS - 0.5]


def clicks(times_s: np.ndarray, rate_hz: int, loud: float = 1.0) -> np.ndarray:
    sound = np.zeros(SECONDS * rate_hz, np.float32)
    for time_s in times_s:
        event = loud * click(rate_hz)
        first = round(time_s * rate_hz) - len(event) // 2
        sound[first : first + len(event)] += event
    return sound


def body(times_s: np.ndarray) -> np.ndarray:
    """Hip-centred joints of a dancer with poses at these moments: shape (N, 33, 3)."""
    drawn = choreograph(np.random.default_rng(4), 60.0, len(times_s) + 1.0)
    dance = Dance(times_s, drawn.keys[: len(times_s)], drawn.sway, 0.0, (0.0, 0.0), drawn.look)
    points = dance.landmarks(np.arange(N) / clock.FPS)
    return points - points[:, HIPS].mean(axis=1, keepdims=True)


def lag_ms(rhythm: np.ndarray, times_s: np.ndarray) -> float:
    """By how much the bumps of a rhythm are later than these moments, to 1 ms."""
    at_s = np.arange(len(rhythm)) / clock.FPS
    shifts = np.arange(-0.1, 0.1005, 0.001)
    fits = [
        np.corrcoef(np.exp(-0.5 * ((at_s[:, None] - times_s - s) / 0.06) ** 2).sum(axis=1), rhythm)[0, 1]
        for s in shifts
    ]
    return 1000 * float(shifts[int(np.argmax(fits))])


@pytest.mark.parametrize("rate_hz", [8_000, clock.SAMPLE_RATE_HZ, 44_100])
@pytest.mark.parametrize("loud", [1.0, 0.01])
def test_clicks_are_where_they_sound_at_any_rate_and_level(rate_hz: int, loud: float) -> None:
    rhythm = onset_rhythm(clicks(beats(), rate_hz, loud), rate_hz, N)
    assert rhythm.shape == (N,) and rhythm.dtype == np.float32
    assert abs(lag_ms(rhythm, beats())) <= 8


def test_sudden_noise_is_where_it_starts() -> None:
    rng, rate_hz = np.random.default_rng(0), 22_050
    sound = np.zeros((SECONDS * rate_hz, 2), np.float32)
    at = np.arange(round(0.08 * rate_hz)) / rate_hz
    for time_s in beats():
        first = round(time_s * rate_hz)
        sound[first : first + len(at)] += (np.exp(-at / 0.02) * rng.normal(0, 0.3, len(at)))[:, None]
    assert abs(lag_ms(onset_rhythm(sound, rate_hz, N), beats())) <= 4


def test_a_click_on_a_frame_is_largest_there() -> None:
    rhythm = onset_rhythm(clicks(np.array([3.0]), 22_050), 22_050, N)
    assert int(rhythm.argmax()) == 3 * clock.FPS


def test_silence_and_what_lies_beyond_the_sound_are_zero() -> None:
    assert not onset_rhythm(np.zeros(10_240, np.float32), 10_240, 20).any()
    rhythm = onset_rhythm(clicks(np.array([1.0]), 10_240)[: 2 * 10_240], 10_240, N)
    assert rhythm[15:25].max() > 0 and not rhythm[60:].any()
    assert onset_rhythm(np.empty(0, np.float32), 10_240, 5).tolist() == [0.0] * 5
    assert onset_rhythm(np.empty(0, np.float32), 10_240, 0).shape == (0,)


def test_sound_that_is_no_number_is_refused() -> None:
    with pytest.raises(PermanentError):
        onset_rhythm(np.full(10_240, np.nan, np.float32), 10_240, 20)


def test_a_dancer_rests_on_the_beat() -> None:
    points = body(beats())
    rhythm = motion_rhythm(points, np.ones(N, np.bool_))
    assert rhythm.dtype == np.float32 and np.isfinite(rhythm).all()
    inner = beats()[1:-1]
    assert abs(lag_ms(rhythm, inner)) <= 8


def test_size_of_the_dancer_does_not_matter() -> None:
    points, seen = body(beats()), np.ones(N, np.bool_)
    assert motion_rhythm(2 * points, seen) == pytest.approx(motion_rhythm(points, seen), abs=1e-4)


def test_what_was_not_seen_is_nan_and_the_rest_stays() -> None:
    points, seen = body(beats()), np.ones(N, np.bool_)
    whole = motion_rhythm(points, seen)
    gone = seen.copy()
    gone[100:103] = gone[200:260] = False
    rhythm = motion_rhythm(np.where(gone[:, None, None], points, np.nan), gone)
    assert np.array_equal(np.isnan(rhythm), ~gone)
    assert np.corrcoef(rhythm[20:90], whole[20:90])[0, 1] > 0.99


def test_too_short_to_tell_is_nan() -> None:
    points, seen = body(beats()), np.zeros(N, np.bool_)
    assert np.isnan(motion_rhythm(points, seen, points)).all()
    seen[10:40] = True  # 1.5 s
    assert np.isnan(motion_rhythm(points, seen)).all()


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="body_world"):
        motion_rhythm(np.zeros((10, 33, 3)), np.ones(11, np.bool_))


@pytest.mark.parametrize("late_s", [0.0, 0.2, -0.15])
def test_a_dancer_against_clicks_has_the_lag_it_was_given(late_s: float) -> None:
    times = beats(2)
    motion = motion_rhythm(body(times + late_s), np.ones(N, np.bool_))
    curve = lag_curve(motion, onset_rhythm(clicks(times, 22_050), 22_050, N))
    assert lags()[int(curve.argmax())] == pytest.approx(late_s, abs=0.001)
