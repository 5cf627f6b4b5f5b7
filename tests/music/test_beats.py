"""Beats of songs whose beats are known, from true notes and played sound; unknown where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.errors import PermanentError
from d2midi_build.music.beat_scores import beat_score
from d2midi_build.music.beats import LEAST_CONFIDENCE, Beats, find_beats
from d2midi_build.music.notes import Notes
from d2midi_build.synthetic.band import Song, compose, render

RATE_HZ = 22_050
SECONDS = 20.0


def song(bpm: float, seed: int = 3) -> tuple[Song, np.ndarray]:
    made = compose(np.random.default_rng(seed), bpm, SECONDS, start_s=1.0)
    return made, render(made, RATE_HZ)


def clicks(times_s: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Short bursts of noise at some times."""
    sound = np.zeros(round(seconds * RATE_HZ) + 4000, dtype=np.float32)
    for time_s in times_s:
        at = round(time_s * RATE_HZ)
        sound[at : at + 3000] += np.exp(-np.arange(3000) / 800) * rng.normal(0, 0.2, 3000)
    return sound[: round(seconds * RATE_HZ)]


def is_unknown(found: Beats) -> bool:
    return (
        not found.known
        and len(found) == 0
        and found.tempo_bpm is None
        and found.metre is None
        and bool(found.reason)
    )


@pytest.mark.parametrize("bpm", [84.0, 118.0, 152.0])
def test_the_bands_beats_bars_and_tempo(bpm: float) -> None:
    made, sound = song(bpm)
    found = find_beats(sound, RATE_HZ, made.notes)
    assert beat_score(made.beats_s, found.times_s) > 0.95
    assert beat_score(made.beats_s[::4], found.downbeats_s) > 0.9
    assert found.tempo_bpm == pytest.approx(bpm, rel=0.02)
    assert found.metre == 4
    assert LEAST_CONFIDENCE < found.confidence <= 1
    assert set(found.positions) == {1, 2, 3, 4}
    assert ((found.strengths >= 0) & (found.strengths <= 1)).all()


def test_a_changing_tempo_is_followed() -> None:
    """Drum beats go from 100 to 125 bpm in the middle."""
    beats = np.concatenate([np.arange(0.5, 12.4, 0.6), 12.5 + np.arange(0.0, 12.0, 0.48)])
    place = np.arange(len(beats)) % 4
    key = np.where(place % 2 == 0, 36, 38)
    notes = Notes.create(beats, beats + 0.1, key, is_drum=True)
    hats = np.concatenate([beats, (beats[:-1] + beats[1:]) / 2])
    notes = Notes.concat([notes, Notes.create(hats, hats + 0.1, 42, is_drum=True)])
    sound = clicks(beats, 25.0, np.random.default_rng(0))
    found = find_beats(sound, RATE_HZ, notes)
    assert beat_score(beats, found.times_s) > 0.95


def test_a_pause_holds_no_beats() -> None:
    first, second = np.arange(0.5, 10, 0.5), np.arange(20.25, 30, 0.5)
    beats = np.concatenate([first, second])
    key = np.where(np.arange(len(beats)) % 2 == 0, 36, 38)
    found = find_beats(
        clicks(beats, 31.0, np.random.default_rng(0)),
        RATE_HZ,
        Notes.create(beats, beats + 0.1, key, is_drum=True),
    )
    assert beat_score(beats, found.times_s) > 0.95
    assert not ((found.times_s > 11) & (found.times_s < 19)).any()


@pytest.mark.parametrize("seconds", [0.0, 0.0001, 0.1, 3.0])
def test_too_short_is_unknown(seconds: float) -> None:
    n = round(seconds * RATE_HZ)
    assert is_unknown(find_beats(np.ones(n, np.float32), RATE_HZ, Notes.empty()))


def test_silence_and_noise_are_unknown() -> None:
    n = 15 * RATE_HZ
    assert is_unknown(find_beats(np.zeros((n, 2), np.float32), RATE_HZ, Notes.empty()))
    noise = np.random.default_rng(0).normal(0, 0.1, n).astype(np.float32)
    assert is_unknown(find_beats(noise, RATE_HZ, Notes.empty()))


@pytest.mark.parametrize("seed", range(5))
def test_without_a_pulse_it_is_unknown(seed: int) -> None:
    """Onsets of a Poisson process, three a second."""
    rng = np.random.default_rng(seed)
    onset_s = np.cumsum(rng.exponential(1 / 3, 75))
    onset_s = onset_s[onset_s < 20]
    notes = Notes.create(onset_s, onset_s + 0.2, rng.integers(50, 80, len(onset_s)), p_note=0.8)
    assert is_unknown(find_beats(clicks(onset_s, 20.0, rng), RATE_HZ, notes))


def test_a_stricter_user_gets_unknown_with_the_figures() -> None:
    made, sound = song(118.0)
    found = find_beats(sound, RATE_HZ, made.notes, least_confidence=1.0)
    assert is_unknown(found)
    assert "is below 1.00" in found.reason
    assert found.confidence > LEAST_CONFIDENCE


def test_channels_and_level_do_not_matter() -> None:
    made, sound = song(118.0)
    six = np.repeat(sound.mean(axis=1, keepdims=True), 6, axis=1) * np.float32(0.01)
    one = find_beats(sound.mean(axis=1), RATE_HZ, made.notes)
    assert np.array_equal(find_beats(six, RATE_HZ, made.notes).times_s, one.times_s)


@pytest.mark.parametrize("rate_hz", [8_000, 10_240])
def test_low_rates(rate_hz: int) -> None:
    made, _ = song(118.0)
    found = find_beats(render(made, rate_hz), rate_hz, made.notes)
    assert beat_score(made.beats_s, found.times_s) > 0.95


def test_a_sample_that_is_no_number_is_an_error() -> None:
    sound = np.zeros(RATE_HZ, np.float32)
    sound[5] = np.nan
    with pytest.raises(PermanentError, match="not numbers"):
        find_beats(sound, RATE_HZ, Notes.empty())
