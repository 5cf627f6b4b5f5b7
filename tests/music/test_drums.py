"""Drum hits on sound whose hits are known."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.clock import SAMPLE_RATE_HZ
from d2midi_build.music.drums import DRUM_KEYS, KICK, SNARE, detect_drums
from d2midi_build.music.notes import Notes
from d2midi_build.music.scores import drum_score
from d2midi_build.music.synthesis import synthesise
from d2midi_build.synthetic.band import compose, render


def _solo() -> Notes:
    """Kick, snare and hat in turn, half a second apart, hats also alone in between."""
    onset_s = 0.5 + 0.25 * np.arange(16)
    return Notes.create(onset_s, onset_s + 0.1, [36, 42, 38, 42] * 4, 100, is_drum=True)


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 96_000])
def test_drums_alone_are_all_found_at_studio_rates(rate_hz: int) -> None:
    truth = _solo()
    found = detect_drums(synthesise(truth, rate_hz), rate_hz)
    assert drum_score(truth, found).f1 == 1.0
    assert set(found.origin) == {"drum-bands"}
    assert found.confidence.min() >= 0.5


def test_onsets_lie_within_ten_milliseconds() -> None:
    truth = _solo()
    found = detect_drums(synthesise(truth, 44_100), 44_100)
    assert drum_score(truth, found, tolerance_s=0.011).f1 == 1.0


@pytest.mark.parametrize("seed", [20, 21, 22])
def test_drums_in_a_band_that_was_not_trained_on(seed: int) -> None:
    song = compose(np.random.default_rng(seed), 118.0, 14.0)
    found = detect_drums(render(song, 44_100), 44_100)
    assert all(drum_score(song.notes, found, (key,)).f1 > 0.8 for key in DRUM_KEYS)


def test_the_clip_rate_keeps_kick_and_snare() -> None:
    song = compose(np.random.default_rng(23), 110.0, 14.0)
    found = detect_drums(render(song, SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    assert drum_score(song.notes, found, (KICK, SNARE)).f1 > 0.8


def test_level_becomes_velocity() -> None:
    onset_s = 0.5 + 0.5 * np.arange(6)
    truth = Notes.create(onset_s, onset_s + 0.1, KICK, [110, 70, 110, 70, 110, 70], is_drum=True)
    found = detect_drums(synthesise(truth, 44_100), 44_100)
    assert len(found) == 6
    assert found.velocity[::2].min() > found.velocity[1::2].max() + 10


def test_scaling_the_sound_changes_nothing() -> None:
    sound = synthesise(_solo(), 44_100)
    loud, soft = detect_drums(sound, 44_100), detect_drums(sound / 8, 44_100)
    assert np.array_equal(loud.onset_s, soft.onset_s)
    assert np.array_equal(loud.pitch, soft.pitch)


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(44_100, np.float32),
        np.zeros((0,), np.float32),
        np.zeros((1, 2), np.float32),
        np.random.default_rng(0).normal(0, 1e-5, 44_100).astype(np.float32),
    ],
    ids=["silence", "nothing", "one sample", "noise at -100 dB"],
)
def test_nothing_is_found_in_nothing(sound: np.ndarray) -> None:
    assert len(detect_drums(sound, 44_100)) == 0


@pytest.mark.parametrize("program", [0, 24, 32, 48, 80])
def test_notes_of_one_instrument_are_not_drums(program: int) -> None:
    onset_s = 0.5 + 0.5 * np.arange(8)
    scale = Notes.create(onset_s, onset_s + 0.4, [48, 50, 52, 53, 55, 57, 59, 60], 90, program)
    assert len(detect_drums(synthesise(scale, 44_100), 44_100)) <= 1
