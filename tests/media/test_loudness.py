from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.media.loudness import FLOOR_DB, block_levels, clipped_samples

RATE = 44_100


def sine(amplitude: float, seconds: float, hz: float = 441.0, rate_hz: int = RATE) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(
        np.float32
    )[:, None]


def test_levels_of_a_sine() -> None:
    levels = block_levels(iter([sine(0.5, 2.0)]), RATE)
    assert len(levels.power) == 20
    over = levels.over(0.0, 2.0, -50)
    assert over.loudness_db == pytest.approx(20 * np.log10(0.5) - 10 * np.log10(2), abs=0.01)
    assert over.peak_db == pytest.approx(-6.02, abs=0.01)
    assert (over.silent_share, over.clipped_share) == (0.0, 0.0)


@pytest.mark.parametrize("rate_hz", [8000, 11_025, RATE])
def test_parts_of_any_length_give_the_same(rate_hz: int) -> None:
    samples = sine(0.9, 3.25, rate_hz=rate_hz)
    cuts = np.sort(np.random.default_rng(4).integers(0, len(samples), 40))
    whole, parted = (
        block_levels(iter([samples]), rate_hz),
        block_levels(iter(np.split(samples, cuts)), rate_hz),
    )
    assert len(whole.power) == 33
    np.testing.assert_array_equal(whole.power, parted.power)


def test_silence_and_what_lies_outside() -> None:
    levels = block_levels(iter([sine(0.5, 1.0), np.zeros((RATE, 1), np.float32)]), RATE)
    assert levels.over(0.0, 2.0, -50).silent_share == 0.5
    assert levels.over(0.5, 2.5, -50).silent_share == 0.75
    assert levels.over(1.0, 2.0, -50).loudness_db == FLOOR_DB
    assert levels.over(5.0, 6.0, -50).silent_share == 1.0
    empty = block_levels(iter([]), RATE)
    assert empty.over(0.0, 1.0, -50).silent_share == 1.0


def test_clipped_runs_by_hand() -> None:
    mono = np.array([0, 1, 1, 0.5, 1, 1, 1, 0, -1, -1, -1, -1], np.float32)[:, None]
    assert clipped_samples(mono) == 7
    # Two channels: the end of one and the beginning of the next are no run.
    assert clipped_samples(np.array([[0, 1], [0, 1], [1, 0], [1, 0]], np.float32)) == 0


def test_clipping_is_told_from_loudness() -> None:
    clean, clipped = sine(0.99, 1.0), np.clip(sine(2.0, 1.0), -1, 1)
    assert block_levels(iter([clean]), RATE).over(0, 1, -50).clipped_share == 0.0
    # |2 sin| > 0.999 for 2/3 of the time
    assert block_levels(iter([clipped]), RATE).over(0, 1, -50).clipped_share == pytest.approx(2 / 3, abs=0.02)
