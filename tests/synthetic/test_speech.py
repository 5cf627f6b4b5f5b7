from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.synthetic.speech import applause, babble, talk

RATE = 11_025


@pytest.mark.parametrize("rate_hz", [8_000, RATE, 44_100])
def test_talk_has_its_length_and_pauses(rate_hz: int) -> None:
    sound = talk(np.random.default_rng(2), 20.0, rate_hz)
    assert sound.shape == (20 * rate_hz,)
    assert sound.dtype == np.float32
    block = rate_hz // 10
    sound = sound[: len(sound) // block * block]
    level = np.sqrt(np.mean(sound.reshape(-1, block) ** 2, axis=1))
    assert 0.1 < np.mean(level < 0.1 * np.percentile(level, 90)) < 0.6
    assert np.sqrt(np.mean(sound[np.repeat(level > 0.3, block)] ** 2)) == pytest.approx(1, abs=0.3)


def test_many_talkers_leave_no_pauses() -> None:
    sound = babble(np.random.default_rng(2), 10.0, RATE, 6)
    level = np.sqrt(np.mean(sound[: len(sound) // 1000 * 1000].reshape(-1, 1000) ** 2, axis=1))
    assert np.mean(level < 0.1) < 0.05
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(1, abs=1e-3)


def test_claps_can_be_counted() -> None:
    sound = applause(np.random.default_rng(2), 30.0, RATE, 2.0)
    loud = np.abs(sound) > 0.3 * np.abs(sound).max()
    starts = np.flatnonzero(np.diff(np.flatnonzero(loud)) > 0.05 * RATE)
    assert 15 < len(starts) + 1 < 80  # 60 are expected; some are faint, some fall together
    spectrum = np.abs(np.fft.rfft(sound)) ** 2
    hz = np.fft.rfftfreq(len(sound), 1 / RATE)
    assert spectrum[(hz > 500) & (hz < 4000)].sum() > 0.8 * spectrum.sum()


def test_same_seed_same_sound() -> None:
    first, again = (talk(np.random.default_rng(9), 3.0, RATE) for _ in range(2))
    np.testing.assert_array_equal(first, again)
