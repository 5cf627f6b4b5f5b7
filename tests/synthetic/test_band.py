"""The band: every note on the grid, another song per seed, sane sound."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.clock import SAMPLE_RATE_HZ
from d2midi_build.synthetic.band import CLOSED_HAT, KICK, SNARE, compose, render


@pytest.mark.parametrize("seed", range(8))
def test_every_onset_lies_on_the_grid_of_eighths(seed: int) -> None:
    song = compose(np.random.default_rng(seed), 117.0, 20.0)
    eighths = (song.notes.onset_s - 2.0) / (30 / 117.0)
    assert np.abs(eighths - np.round(eighths)).max() < 117 / 30 / SAMPLE_RATE_HZ
    assert song.notes.onset_s.min() >= 2.0
    assert song.notes.offset_s.max() <= 20.0


def test_beats_are_evenly_spaced_from_the_start() -> None:
    song = compose(np.random.default_rng(0), 120.0, 10.0, start_s=1.0)
    assert song.beats_s == pytest.approx(1.0 + 0.5 * np.arange(18))


def test_a_full_band_plays() -> None:
    song = compose(np.random.default_rng(3), 100.0, 20.0)
    assert set(song.notes.drums().pitch) == {KICK, SNARE, CLOSED_HAT}
    names = set(song.notes.pitched().instrument)
    assert "Acoustic Bass" in names
    assert len(names) == 3
    bass = song.notes.where(song.notes.instrument == "Acoustic Bass")
    others = song.notes.pitched().where(song.notes.pitched().instrument != "Acoustic Bass")
    assert bass.pitch.max() < others.pitch.min()


def test_notes_stay_in_the_key() -> None:
    for seed in range(8):
        song = compose(np.random.default_rng(seed), 120.0, 30.0)
        assert len(np.unique(song.notes.pitched().pitch % 12)) <= 7


def test_another_seed_is_another_song_and_the_same_seed_the_same() -> None:
    songs = [compose(np.random.default_rng(seed), 120.0, 20.0).notes for seed in (*range(12), 0)]
    assert songs[0] == songs[-1]
    assert len({song.to_table().to_pandas().to_csv() for song in songs}) == 12


def test_render_has_the_right_length_no_clipping_and_silence_before_the_first_beat() -> None:
    song = compose(np.random.default_rng(1), 128.0, 8.0)
    sound = render(song, 44_100)
    assert sound.shape == (8 * 44_100, 2)
    assert np.abs(sound).max() == pytest.approx(0.8)
    assert not sound[: 2 * 44_100].any()
    assert np.sqrt(np.mean(sound[2 * 44_100 :] ** 2)) > 0.05
    assert np.array_equal(sound, render(song, 44_100))


@pytest.mark.parametrize(("bpm", "duration_s"), [(0, 10), (120, 2), (-1, 10)])
def test_no_room_for_a_beat(bpm: float, duration_s: float) -> None:
    with pytest.raises(ValueError, match="no beat fits"):
        compose(np.random.default_rng(0), bpm, duration_s)
