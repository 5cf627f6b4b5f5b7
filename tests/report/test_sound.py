"""Left and right: levels, peaks, and times that stay."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from d2midi_build.report.sound import PEAK, level, side_by_side

RATE_HZ = 8000


def tone(amplitude: float, n: int = RATE_HZ, hz: float = 440.0) -> npt.NDArray[np.float32]:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(n) / RATE_HZ)).astype(np.float32)


def test_channels_are_averaged_and_the_right_is_brought_to_the_left() -> None:
    left = np.stack([tone(0.4), tone(0.2)], axis=1)
    both = side_by_side(left, tone(0.05, hz=330), RATE_HZ)
    assert both.shape == (RATE_HZ, 2)
    np.testing.assert_allclose(both[:, 0], tone(0.3), atol=1e-6)
    np.testing.assert_allclose(both[:, 1], tone(0.3, hz=330), rtol=0.02, atol=1e-3)


def test_nothing_clips_and_the_balance_stays() -> None:
    peaky = np.zeros(RATE_HZ, np.float32)
    peaky[::400] = 0.5
    both = side_by_side(tone(0.9), peaky, RATE_HZ)
    assert np.abs(both).max() == pytest.approx(PEAK)
    assert level(both[:, 0], RATE_HZ) == pytest.approx(level(both[:, 1], RATE_HZ), rel=1e-3)


def test_one_note_in_long_silence_counts_by_its_own_level() -> None:
    lonely = np.zeros(20 * RATE_HZ, np.float32)
    lonely[: RATE_HZ // 2] = tone(0.3, RATE_HZ // 2)
    assert level(lonely, RATE_HZ) == pytest.approx(0.3 / np.sqrt(2), rel=0.01)


@pytest.mark.parametrize("silent", ["left", "right", "both"])
def test_silence_stays_silence(silent: str) -> None:
    left, right = tone(0.3), tone(0.1)
    if silent in ("left", "both"):
        left[:] = 0
    if silent in ("right", "both"):
        right[:] = 0
    both = side_by_side(left, right, RATE_HZ)
    np.testing.assert_allclose(both, np.stack([left, right], axis=1), atol=1e-7)


def test_no_samples_at_all() -> None:
    nothing = np.zeros(0, np.float32)
    assert side_by_side(nothing, nothing, RATE_HZ).shape == (0, 2)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="8000 samples on the left, 7999"):
        side_by_side(tone(0.1), tone(0.1)[:-1], RATE_HZ)
