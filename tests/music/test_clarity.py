from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from d2midi_build.media.loudness import block_levels
from d2midi_build.media.sound_scan import BAND_HZ, MONO_HZ, BandPower, SoundScan, scan_sound
from d2midi_build.music import clarity as subject
from d2midi_build.music.clarity import SoundScores, bandwidth_hz, clarity, hear
from d2midi_build.music.sound_measures import (
    bars,
    bass,
    dips,
    held,
    local_lines,
    octaves,
    pulse,
    spectrogram,
    standing_out,
    syllables,
)
from d2midi_build.music.synthesis import synthesise
from d2midi_build.synthetic.band import compose, render
from d2midi_build.synthetic.singer import sing
from d2midi_build.synthetic.speech import applause, babble, talk

SECONDS = 12.0
N = round(SECONDS * MONO_HZ)
TIME_S = np.arange(N) / MONO_HZ


def scan_of(sound: np.ndarray) -> SoundScan:
    """A scan as the decode of mono sound at 11,025 Hz would leave it, its greatest sample 0.5."""
    sound = (0.5 * sound / max(float(np.abs(sound).max(initial=0)), 1e-9)).astype(np.float32)
    power = np.full((int(SECONDS), 22), 1e-3, dtype=np.float32)
    return SoundScan(
        levels=block_levels([sound[:, None]], MONO_HZ),
        bands=BandPower(power, MONO_HZ),
        mono=np.round(32767 * sound).astype(np.int16),
        fingerprint=np.zeros(0, dtype=np.uint32),
    )


def scores_of(sound: np.ndarray) -> SoundScores:
    return clarity(hear(scan_of(sound)), 0.0, len(sound) / MONO_HZ)


def white() -> np.ndarray:
    return np.random.default_rng(3).normal(0, 1, N)


def song(seed: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return render(compose(rng, 112, SECONDS, 0.0), MONO_HZ).mean(axis=1).astype(np.float64)


def talking(seed: int = 5) -> np.ndarray:
    return talk(np.random.default_rng(seed), SECONDS, MONO_HZ).astype(np.float64)


def level(sound: np.ndarray) -> np.ndarray:
    return np.asarray(sound / np.sqrt(np.mean(sound**2)))


def ticks() -> np.ndarray:
    sound = np.zeros(N)
    tick = np.sin(2 * np.pi * 1800 * TIME_S[:200]) * np.exp(-TIME_S[:200] / 0.004)
    for at in range(0, N - 200, MONO_HZ // 2):
        sound[at : at + 200] += tick
    return sound


def window(sound: np.ndarray) -> np.ndarray:
    return spectrogram(np.round(16_000 * sound / np.abs(sound).max()).astype(np.int16))[:172]


def test_a_sine_has_its_mean_square_in_its_bins() -> None:
    sine = 0.5 * np.sin(2 * np.pi * 1000 * TIME_S)
    power = spectrogram(np.round(32767 * sine).astype(np.int16))
    assert power.shape == (N // 256, 512)
    hz = np.arange(512) * MONO_HZ / 1024
    near = np.abs(hz - 1000) < 40
    assert power[10, near].sum() == pytest.approx(0.125, rel=0.01)
    assert power[10, ~near].sum() < 1e-5


def test_pieces_of_a_spectrogram_are_the_whole() -> None:
    mono = np.random.default_rng(0).integers(-9000, 9000, 20_000).astype(np.int16)
    whole = spectrogram(mono)
    parts = [spectrogram(mono, first, min(first + 17, 78)) for first in range(0, 78, 17)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert spectrogram(mono[:100]).shape == (0, 512)


def test_lines_stand_still_or_do_not() -> None:
    chord = np.sum([np.sin(2 * np.pi * hz * TIME_S) for hz in (220, 440, 660, 990, 1500)], axis=0)
    gliding = np.sin(2 * np.pi * np.cumsum(600 + 300 * np.sin(2 * np.pi * 0.9 * TIME_S)) / MONO_HZ)
    lines = {
        name: local_lines(window(sound))
        for name, sound in {"chord": chord, "gliding": gliding, "noise": white()}.items()
    }
    assert bars(lines["chord"]) > 4
    assert bars(lines["noise"]) < 1
    assert held(lines["chord"]) > 2 * held(lines["gliding"])
    assert held(lines["noise"]) < 0.8
    assert standing_out(lines["noise"]) < standing_out(local_lines(window(song())))


def test_dips_by_hand() -> None:
    # Amplitudes 1 in three frames of four and 0.1 in one: a mean of 0.775, half of which only the last is under.
    assert dips(np.tile(np.array([1.0, 1.0, 1.0, 0.01]), 10)) == 0.25
    assert dips(np.ones(40)) == 0.0


def test_pulse_of_clicks_of_noise_and_of_nothing() -> None:
    assert pulse(octaves(window(ticks()))) > 0.9
    assert pulse(octaves(window(white()))) < 0.35
    assert pulse(np.zeros((172, 7), dtype=np.float32)) == 0.0


def test_syllables_come_four_times_a_second() -> None:
    def trembling(hz: float) -> float:
        return syllables(octaves(window(white() * (1 + 0.9 * np.sin(2 * np.pi * hz * TIME_S)))))

    assert trembling(4.0) > 0.7
    assert trembling(1.0) < 0.4
    assert trembling(10.0) < 0.4


def test_bass_in_decibels() -> None:
    both = np.sin(2 * np.pi * 50 * TIME_S) + np.sin(2 * np.pi * 500 * TIME_S)
    assert bass(window(both).mean(axis=0)) == pytest.approx(-3, abs=0.1)
    assert bass(window(np.sin(2 * np.pi * 500 * TIME_S)).mean(axis=0)) == -40


def bands(*levels_db: float) -> np.ndarray:
    return np.tile(10 ** (np.array(levels_db) / 10), (4, 1)).astype(np.float32)


def test_bandwidth_by_hand() -> None:
    floor = -110.0
    full = bands(-20, *[-40] * 87)
    assert bandwidth_hz(full, 44_100) == 22_050
    assert bandwidth_hz(bands(-20, *[-40] * 15, *[floor] * 72), 44_100) == 16 * BAND_HZ
    # A whistle far above what else there is does not count, unless it is all there is.
    assert bandwidth_hz(bands(-20, *[-40] * 15, *[floor] * 40, -50, *[floor] * 31), 44_100) == 16 * BAND_HZ
    assert bandwidth_hz(bands(*[floor] * 10, -20, *[floor] * 77), 44_100) == 11 * BAND_HZ
    # Half of the seconds silent: what sounds in the others counts.
    half = full.copy()
    half[2:] = 0
    assert bandwidth_hz(half, 44_100) == 22_050
    assert bandwidth_hz(bands(*[-120] * 88), 44_100) is None
    assert bandwidth_hz(np.zeros((0, 88), dtype=np.float32), 44_100) is None


@pytest.mark.parametrize(("make", "more_db"), [(song, 1), (talking, 8)])
def test_noise_is_bounded(make: Callable[[], np.ndarray], more_db: float) -> None:
    """Music without gaps hides noise 10 dB below it; in the pauses of speech it shows."""
    sound, noise = level(make()), level(white())
    measured = {snr_db: scores_of(sound + noise * 10 ** (-snr_db / 20)).noise_db for snr_db in (0, 10, 60)}
    alone = scores_of(noise).noise_db
    assert alone is not None
    assert alone == pytest.approx(0, abs=1)
    for snr_db, most_db in measured.items():
        assert most_db is not None
        assert most_db > -10 * np.log10(10 ** (snr_db / 10) + 1) - 6  # loud moments beside the mean
    assert measured[0] > -8
    assert measured[10] - measured[60] > more_db


def test_hum_in_pauses_is_found() -> None:
    hum = 0.3 * np.sin(2 * np.pi * 50 * TIME_S)
    quiet, humming = scores_of(level(talking())), scores_of(level(talking()) + hum)
    assert quiet.noise_db is not None
    assert humming.noise_db is not None
    assert quiet.noise_db < -24
    # 13.5 dB below the voice where that sounds, whose loud moments are some 4 dB louder still.
    assert humming.noise_db == pytest.approx(-17, abs=3)


MADE = {
    "song": (song, "music"),
    "another song": (lambda: song(8), "music"),
    "song without drums": (
        lambda: synthesise(
            compose(np.random.default_rng(2), 96, SECONDS, 0.0).notes.pitched(), MONO_HZ, N
        ).mean(axis=1),
        "music",
    ),
    "song with a singer": (
        lambda: level(song(11)) + level(sing(np.random.default_rng(3), SECONDS, MONO_HZ)),
        "music",
    ),
    "talking over a song": (lambda: level(song(12)) + level(talking(4)), "music"),
    "talking": (talking, "speech"),
    "talking in noise": (lambda: level(talking(7)) + 0.1 * white(), "speech"),
    "babble": (lambda: babble(np.random.default_rng(1), SECONDS, MONO_HZ, 4), "speech"),
    "applause": (lambda: applause(np.random.default_rng(1), SECONDS, MONO_HZ, 200), "neither"),
    "noise": (white, "neither"),
    "hum": (lambda: sum(np.sin(2 * np.pi * 50 * k * TIME_S) / k for k in (1, 2, 3, 5)) + 0.01 * white(), "neither"),
    "silence": (lambda: np.zeros(N), "neither"),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_music_speech_or_neither(name: str) -> None:
    make, kind = MADE[name]
    scores = scores_of(make())
    shares = {
        "music": scores.music_share,
        "speech": scores.speech_share,
        "neither": scores.neither_share,
    }
    assert sum(shares.values()) == pytest.approx(1)
    assert shares[kind] >= 0.75, shares


def test_silence_says_nothing() -> None:
    scores = scores_of(np.zeros(N))
    assert (scores.noise_db, scores.music, scores.speech) == (None, None, None)
    assert scores.neither_share == 1.0


def test_speech_for_a_third_shows_in_the_share_and_in_the_take() -> None:
    scan = scan_of(np.concatenate([level(song(5)), level(song(8)), level(talking())]))
    heard = hear(scan)
    whole = clarity(heard, 0.0, 36.0)
    assert whole.speech_share == pytest.approx(1 / 3, abs=0.12)
    assert whole.music_share == pytest.approx(2 / 3, abs=0.12)
    assert clarity(heard, 0.0, 24.0).music_share == 1.0
    assert clarity(heard, 24.0, 36.0).speech_share == 1.0
    short = clarity(heard, 29.0, 31.0)  # no window lies inside: the nearest counts
    assert short.speech_share == 1.0


def test_pieces_of_a_minute_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = scan_of(np.concatenate([song(5), talking(), white()[: N // 2]]))
    whole = hear(scan)
    monkeypatch.setattr(subject, "_PIECE_WINDOWS", 7)
    pieced = hear(scan)
    for field in dataclasses.fields(whole):
        if field.name != "bands":
            np.testing.assert_allclose(getattr(pieced, field.name), getattr(whole, field.name), rtol=1e-4)
    assert len(whole.loud) == int(np.ceil(len(scan.mono) // 256 / 43))


@pytest.mark.parametrize("seconds", [0.0, 0.01, 1.0, 3.0, 4.5])
def test_sound_of_any_length(seconds: float) -> None:
    heard = hear(scan_of(song()[: round(seconds * MONO_HZ)]))
    scores = clarity(heard, 0.0, 10.0)
    assert (scores.music is None) == (seconds < 2)
    assert scores.neither_share == (1.0 if seconds < 2 else 0.0)
    beyond = clarity(heard, 50.0, 60.0)
    assert (beyond.noise_db, beyond.music, beyond.neither_share) == (None, None, 1.0)


def test_levels_do_not_change_what_it_is() -> None:
    scan = scan_of(song())
    quiet = dataclasses.replace(scan, mono=(scan.mono // 8).astype(np.int16))
    assert clarity(hear(quiet), 0, SECONDS).music == pytest.approx(
        clarity(hear(scan), 0, SECONDS).music, abs=0.05
    )


SPEECH = {
    "pytorch+torchcodec/test/resources/nasa_13013.mp4",
    "MooreThreads+Moore-AnimateAnyone/configs/inference/talkinghead_videos/2.mp4",
    "MooreThreads+Moore-AnimateAnyone/configs/inference/talkinghead_videos/3.mp4",
    "iejMac+video2dataset/tests/test_files/test_video.mp4",
    "dmlc+decord/examples/flipping_a_pancake.mkv",
}
MUSIC = {
    "TMElyralab+MusePose/assets/videos/dance.mp4",
    "antgroup+animate-x/data/videos/dance_3.mp4",
    "olincollege+just-dance/test/test.mp4",
    "researchmm+MM-Diffusion/fig/aist++.mp4",
    "google+aichoreographer/assets/gen_results_1.mp4",
    "karthikcsq+FORMulator/dance.mov",
    "MiryalaNarayanaReddy+Multiperson-Pose-detection-and-Segmentation/dance_video.mp4",
}


def real_scores(path: Path) -> SoundScores:
    with tempfile.TemporaryDirectory() as folder:
        scan = scan_sound(path, Path(folder))
    assert scan is not None
    return clarity(hear(scan), 0.0, 1e4)


@pytest.mark.real_data
@pytest.mark.parametrize("name", sorted(SPEECH | MUSIC))
def test_recordings_are_music_or_speech(name: str, shared_data: Path) -> None:
    """Music has .55 and more, speech .27 and less: ``python benchmarks/clarity.py``."""
    scores = real_scores(shared_data / name)
    assert scores.music is not None
    assert scores.speech is not None
    if name in MUSIC:
        assert scores.music > 0.5
        assert scores.music_share > 0.6
    else:
        assert scores.music < 0.33
        assert scores.speech > 0.65
        assert scores.speech_share > 0.8


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "least_hz", "most_hz"),
    [
        ("open-mmlab+mmaction2/tests/data/test.avi", 10_000, 11_000),
        ("researchmm+MM-Diffusion/fig/aist++.mp4", 7_000, 8_000),
        ("antgroup+animate-x/data/videos/dance_3.mp4", 3_500, 4_000),
        ("TMElyralab+MusePose/assets/videos/dance.mp4", 15_000, 17_000),
    ],
)
def test_bandwidth_of_recordings(name: str, least_hz: float, most_hz: float, shared_data: Path) -> None:
    found = real_scores(shared_data / name).bandwidth_hz
    assert found is not None
    assert least_hz <= found <= most_hz
