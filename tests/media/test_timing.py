from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build import clock
from d2midi_build.media.timing import FrameChoice, mean_offset_s


def chosen(times: list[float], start_s: float, end_s: float) -> list[float]:
    take = FrameChoice[float](start_s, end_s, 0.05)
    given_frames = list(take.choose((t, t) for t in times))
    assert given_frames == take.times_s
    return take.times_s


def test_thirty_to_twenty_by_hand() -> None:
    times = [k / 30 for k in range(12)]
    assert chosen(times, 0.0, 0.4) == pytest.approx(
        [0, 2 / 30, 3 / 30, 5 / 30, 6 / 30, 8 / 30, 9 / 30, 11 / 30]
    )


def test_a_take_that_outlasts_the_picture_ends_with_it() -> None:
    assert len(chosen([k / 30 for k in range(45)], 0.0, 100.0)) == 30


def test_rounded_times_lose_no_frame() -> None:
    """Matroska's milliseconds put the last picture at 1.966 where 1.96667 is meant."""
    assert len(chosen([np.floor(1000 * k / 30) / 1000 for k in range(60)], 0.0, 2.0)) == 40


def test_pictures_outside_the_take_are_not_chosen() -> None:
    times = [0.0, 0.09, 0.19, 0.29, 0.31, 0.4]
    assert set(chosen(times, 0.05, 0.3)) == {0.09, 0.19, 0.29}


def test_times_that_do_not_advance_are_skipped() -> None:
    assert chosen([0.0, 0.05, 0.05, 0.04, 0.1, 0.15], 0.0, 0.2) == [0.0, 0.05, 0.1, 0.15]


@settings(deadline=None, max_examples=200)
@given(
    steps=st.lists(st.integers(5, 120), min_size=2, max_size=80),
    start_ms=st.integers(0, 300),
    frames=st.integers(1, 60),
)
def test_every_choice_is_a_neighbour_in_the_take(steps: list[int], start_ms: int, frames: int) -> None:
    times = np.cumsum([0, *steps]) / 1000
    start_s = start_ms / 1000
    end_s = start_s + frames / clock.FPS
    inside = times[(times >= start_s - 1e-4) & (times < end_s - 1e-4)]
    found = chosen(times.tolist(), start_s, end_s)
    assert len(found) <= frames
    assert len(inside) or not found
    for k, time_s in enumerate(found):
        at = start_s + k / clock.FPS
        between = (inside > min(time_s, at)) & (inside < max(time_s, at))
        assert between.sum() <= 1  # a neighbour of the clip frame's time, shifted by the mean error
    assert found == sorted(found)


@pytest.mark.parametrize(
    "fps", [Fraction(30), Fraction(30_000, 1001), Fraction(60), Fraction(25), Fraction(24), Fraction(10)]
)
def test_the_mean_offset_makes_up_for_the_choice(fps: Fraction) -> None:
    times = [float(k / fps) for k in range(int(10 * fps))]
    shown = np.array(chosen(times, 0.0, 9.9))
    shift = mean_offset_s(shown, 0.0)
    residual = shown - shift - np.arange(len(shown)) / clock.FPS
    assert abs(residual.mean()) < 1e-9
    assert np.abs(residual[:-2]).max() <= (0.5 if fps < clock.FPS else 0.9) / fps
    assert shift >= -0.003  # hardly any sound from before the file's beginning is needed


def test_held_pictures_do_not_move_the_sound() -> None:
    """Ten seconds of a frozen picture amid 30 frames/s would move the mean by seconds."""
    times = [k / 30 for k in range(60)] + [12 + k / 30 for k in range(60)]
    shown = np.array(chosen(times, 0.0, 14.0))
    assert mean_offset_s(shown, 0.0) == pytest.approx(1 / 120, abs=0.001)


@pytest.mark.parametrize(
    "fps", [Fraction(30_000, 1001), Fraction(60_000, 1001), Fraction(24_000, 1001), Fraction(30)]
)
@pytest.mark.parametrize("phase_s", [0.0, 0.004, 0.0125, 0.03])
def test_picture_and_sound_do_not_wander(fps: Fraction, phase_s: float) -> None:
    """The nearest frame alone would be 8 ms late in some seconds and 8 ms early in others."""
    times = [float(k / fps) for k in range(int(61 * fps))]
    start_s = 1.0 + phase_s
    shown = np.array(chosen(times, start_s, start_s + 59))
    residual = shown - mean_offset_s(shown, start_s) - start_s - np.arange(len(shown)) / clock.FPS
    seconds = np.convolve(residual, np.full(clock.FPS, 1 / clock.FPS), mode="valid")
    assert np.abs(seconds).max() < 0.003
