"""Loudness against ITU-R BS.1770's own figures and ffmpeg's meter."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from d2midi_build.annotate.study.loudness import RATE_HZ, FloatArray, equally_loud, loudness
from d2midi_build.media.ffmpeg import ffmpeg_exe


def tone(hz: float, level: float, seconds: float = 3.0, channels: int = 1) -> FloatArray:
    wave = level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def noise(seconds: float, level: float, seed: int = 0) -> FloatArray:
    return (level * np.random.default_rng(seed).standard_normal((round(seconds * RATE_HZ), 2))).astype(
        np.float32
    )


def test_a_full_tone_of_997_hz_in_one_channel_is_at_minus_3_01() -> None:
    assert loudness(tone(997, 1.0)) == pytest.approx(-3.01, abs=0.02)


def test_two_channels_are_3_db_louder_and_half_the_level_6_db_less() -> None:
    one = loudness(tone(997, 0.5)) or 0
    assert (loudness(tone(997, 0.5, channels=2)) or 0) - one == pytest.approx(3.01, abs=0.01)
    assert one - (loudness(tone(997, 0.25)) or 0) == pytest.approx(6.02, abs=0.01)


def test_low_tones_count_for_less_and_high_ones_for_more() -> None:
    middle = loudness(tone(997, 0.5)) or 0
    assert (loudness(tone(30, 0.5)) or 0) < middle - 5
    assert (loudness(tone(6000, 0.5)) or 0) == pytest.approx(middle + 3.3, abs=0.3)


def test_pauses_do_not_make_music_softer() -> None:
    with_pause = np.concatenate(
        [tone(997, 0.5, 4), np.zeros((8 * RATE_HZ, 1), np.float32), tone(997, 0.5, 4)]
    )
    assert loudness(with_pause) == pytest.approx(loudness(tone(997, 0.5)) or 0, abs=0.2)


def test_silence_has_no_loudness_and_short_sounds_have_one() -> None:
    assert loudness(np.zeros((RATE_HZ, 2), np.float32)) is None
    assert loudness(np.zeros((0, 2), np.float32)) is None
    assert loudness(tone(997, 0.5, 0.1)) is not None


def test_ffmpeg_s_meter_says_the_same(tmp_path: Path) -> None:
    swelling = noise(12, 0.1) * np.linspace(0.02, 1, 12 * RATE_HZ, dtype=np.float32)[:, None]
    wavfile.write(tmp_path / "a.wav", RATE_HZ, swelling)
    command = [
        ffmpeg_exe(),
        "-hide_banner",
        "-nostdin",
        "-i",
        str(tmp_path / "a.wav"),
        "-af",
        "ebur128",
        "-f",
        "null",
        "-",
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    told = float(re.findall(r"I:\s+(-?[\d.]+) LUFS", said)[-1])
    assert loudness(swelling) == pytest.approx(told, abs=0.11)


def test_sounds_become_equally_loud_and_none_is_clipped() -> None:
    sounds = [noise(2, 0.01), tone(200, 0.9, channels=2), np.zeros((100, 2), np.float32)]
    made = equally_loud(sounds)
    levels = [loudness(sound) for sound in made]
    assert levels[0] == pytest.approx(-20, abs=0.01) and levels[1] == pytest.approx(-20, abs=0.01)
    assert levels[2] is None and np.array_equal(made[2], sounds[2])


def test_a_spiky_sound_takes_the_others_down_with_it() -> None:
    spiky = noise(2, 0.001)
    spiky[5000] = 1.0
    made = equally_loud([spiky, tone(997, 0.5, channels=2)])
    assert max(float(np.abs(sound).max()) for sound in made) == pytest.approx(0.9, abs=1e-4)
    assert loudness(made[0]) == pytest.approx(loudness(made[1]) or 0, abs=0.01)
    assert (loudness(made[0]) or 0) < -20
