from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import ffmpeg
import numpy as np
import pytest
import soundfile

from d2midi_build.errors import PermanentError
from d2midi_build.media import sound_scan
from d2midi_build.media.ffmpeg import DECODE_LOGGER, ffmpeg_exe, file_url, run
from d2midi_build.media.sound_scan import (
    BAND_HZ,
    MONO_HZ,
    SoundScan,
    scan_sound,
)
from tests.media.making import CLICKS_S, click_times_s, clicks, regular, write_media

RATE = 48_000


def scan(path: Path, folder: Path) -> SoundScan:
    found = scan_sound(path, folder)
    assert found is not None
    return found


def video_of(folder: Path, samples: np.ndarray, rate_hz: int = RATE) -> Path:
    """A video whose sound is exactly these samples, shape (n, channels)."""
    soundfile.write(folder / "made.wav", samples, rate_hz, subtype="FLOAT")
    black = ffmpeg.input(f"color=black:size=64x64:rate=5:duration={len(samples) / rate_hz}", f="lavfi")
    path = folder / "made.mkv"
    sound = ffmpeg.input(file_url(folder / "made.wav")).audio
    run(ffmpeg.output(black, sound, file_url(path), acodec="copy"), "making a video")
    return path


def melody(seconds: float) -> np.ndarray:
    """Sound of which no two moments are alike."""
    time_s = np.arange(round(seconds * MONO_HZ)) / MONO_HZ
    hz = 300 + 40 * np.cumsum(np.random.default_rng(1).integers(-3, 4, 400))[(time_s * 8).astype(int)]
    return 0.3 * np.sin(2 * np.pi * np.cumsum(hz) / MONO_HZ)


def test_one_decode_gives_all_on_the_source_clock(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The picture starts at 0.5 s, the sound at 0.9 s: its clicks are 0.4 s later on the source clock."""
    path = write_media(
        tmp_path / "a.mkv",
        regular(30, 4.0, 0.5),
        clicks(RATE, 0.0, 4.0),
        sound_start_s=0.9,
        sound_codec="flac",
    )
    folder = tmp_path / "scan"
    folder.mkdir()
    with caplog.at_level(logging.DEBUG, DECODE_LOGGER):
        found = scan(path, folder)
    assert caplog.messages == [f"audio {path}"]
    assert list(folder.iterdir()) == []
    np.testing.assert_allclose(
        click_times_s(found.mono / 32768.0, MONO_HZ), np.array(CLICKS_S) + 0.4, atol=0.5 / MONO_HZ
    )
    assert not found.mono.flags.writeable
    assert len(found.fingerprint) == (len(found.mono) - 4096) // 1365 + 1 - 19


def test_mono_is_the_average_of_the_channels(tmp_path: Path) -> None:
    tone = 0.8 * np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)
    left = scan(video_of(tmp_path, np.stack([tone, 0 * tone], axis=1)), tmp_path)
    assert np.abs(left.mono[1000:-1000]).max() / 32768 == pytest.approx(0.4, abs=0.002)
    both = scan(video_of(tmp_path, np.stack([tone, tone], axis=1)), tmp_path)
    assert np.abs(both.mono[1000:-1000]).max() / 32768 == pytest.approx(0.8, abs=0.002)
    opposite = scan(video_of(tmp_path, np.stack([tone, -tone], axis=1)), tmp_path)
    assert np.abs(opposite.mono).max() <= 1
    assert opposite.levels.power.mean() == pytest.approx(0.32, rel=0.01)


def test_fingerprint_moves_with_the_sound(tmp_path: Path) -> None:
    sound = melody(12.0)
    late = np.concatenate([np.zeros(7 * 1365), sound])
    first = scan(video_of(tmp_path, sound[:, None], MONO_HZ), tmp_path)
    moved = scan(video_of(tmp_path, late[:, None], MONO_HZ), tmp_path)
    assert len(set(first.fingerprint.tolist())) > 30
    same = np.mean(moved.fingerprint[7 : 7 + len(first.fingerprint)] == first.fingerprint)
    assert same > 0.95  # the resampler of the samples' format leaves a bit here and there


@pytest.mark.parametrize(("samples", "items"), [(30_030, 0), (30_031, 1), (30_031 + 1365, 2), (50, 0)])
def test_fingerprints_of_short_sound(samples: int, items: int, tmp_path: Path) -> None:
    found = scan(video_of(tmp_path, melody(3.0)[:samples, None], MONO_HZ), tmp_path)
    assert (len(found.mono), len(found.fingerprint)) == (samples, items)


def test_bands_hold_the_power_where_it_is(tmp_path: Path) -> None:
    time_s = np.arange(2 * RATE) / RATE
    tones = 0.5 * np.sin(2 * np.pi * 1130 * time_s) + 0.05 * np.sin(2 * np.pi * 15_130 * time_s)
    bands = scan(video_of(tmp_path, tones[:, None]), tmp_path).bands
    assert bands.power.shape == (2, RATE / 2 / BAND_HZ)
    for row in bands.power:
        assert row[4] == pytest.approx(0.125, rel=0.02)  # 1000-1250 Hz
        assert row[60] == pytest.approx(0.00125, rel=0.02)
        assert np.delete(row, [4, 60]).sum() < 1e-6


def test_a_click_where_blocks_meet_is_not_missed(tmp_path: Path) -> None:
    """A click every 0.5 s lies at the end of a block's window, where that sees nothing."""
    sound = np.zeros(4 * RATE)
    sound[:: RATE // 2] = 0.9
    row = scan(video_of(tmp_path, sound[:, None]), tmp_path).bands.power[2]
    assert row.min() > 0.5 * row.max() > 0


def test_memory_does_not_hold_the_samples(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (90 * RATE, 2)).astype(np.float32)  # 35 MB
    path = video_of(tmp_path, noise)
    del noise
    scan_sound(path, tmp_path)
    tracemalloc.start()
    try:
        found = scan(path, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found.levels.power) == 900
    assert peak < 8e6


def test_no_sound_is_none(tmp_path: Path) -> None:
    assert scan_sound(write_media(tmp_path / "a.mkv", regular(30, 0.5)), tmp_path) is None


def test_sound_that_cannot_be_decoded_counts_as_silence(tmp_path: Path) -> None:
    whole = write_media(tmp_path / "a.mkv", regular(30, 2.0), clicks(RATE, 0.0, 2.0))
    path = tmp_path / "b.mkv"
    damaged = {"c": "copy", "bsf:a": "noise=amount=1"}
    run(ffmpeg.input(file_url(whole)).output(file_url(path), **damaged), "damaging every packet")
    found = scan(path, tmp_path)
    assert (len(found.levels.power), len(found.mono), len(found.fingerprint)) == (0, 0, 0)
    assert found.bands.power.shape[0] == 0


@pytest.fixture
def without_chromaprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An ffmpeg that knows no muxer of that name, as those of some distributions."""
    other = tmp_path / "ffmpeg-plain"
    other.write_text(f'#!/bin/bash\nexec "{ffmpeg_exe()}" "${{@/chromaprint/nosuchmuxer}}"\n')
    other.chmod(0o755)
    monkeypatch.setenv("D2MIDI_FFMPEG", str(other))
    ffmpeg_exe.cache_clear()
    sound_scan.knows_chromaprint.cache_clear()
    yield other
    monkeypatch.undo()
    ffmpeg_exe.cache_clear()
    sound_scan.knows_chromaprint.cache_clear()


def test_an_ffmpeg_without_chromaprint_is_named(tmp_path: Path, without_chromaprint: Path) -> None:
    path = write_media(tmp_path / "a.mkv", regular(30, 1.0), clicks(RATE, 0.0, 1.0))
    with pytest.raises(PermanentError, match=r"ffmpeg-plain.*chromaprint: unset D2MIDI_FFMPEG"):
        scan_sound(path, tmp_path)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "seconds", "items"),
    [
        ("Zulko+moviepy/media/video_with_failing_audio.mp4", 11.23, 69),
        ("Zulko+moviepy/media/no_duration.webm", 4.88, 18),
        ("Zulko+moviepy/media/fire2.mp4", 2.42, 0),
        ("intel-iot-devkit+sample-videos/car-detection.mp4", 30.16, 222),
        ("researchmm+MM-Diffusion/fig/aist++.mp4", 50.91, 390),  # the picture starts at 0.069 s
    ],
)
def test_real_sound(name: str, seconds: float, items: int, shared_data: Path, tmp_path: Path) -> None:
    found = scan(shared_data / name, tmp_path)
    assert len(found.mono) / MONO_HZ == pytest.approx(seconds, abs=0.01)
    assert len(found.levels.power) == int(np.ceil(seconds * 10))
    assert len(found.fingerprint) == items


def test_blocks_lie_on_the_source_clock(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The picture starts at 0.5 s, the sound at 1.2 s: the source clock's 0.7 s."""
    path = write_media(
        tmp_path / "a.mkv",
        regular(30, 2.0, 0.5),
        0.5 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000),
        sound_start_s=1.2,
    )
    with caplog.at_level(logging.DEBUG, DECODE_LOGGER):
        found = scan_sound(path, tmp_path)
    assert caplog.messages == [f"audio {path}"]
    assert found is not None
    assert np.flatnonzero(found.levels.power > 0.01).tolist() == list(range(7, 17))


@pytest.mark.real_data
def test_a_silent_track(shared_data: Path, tmp_path: Path) -> None:
    found = scan_sound(shared_data / "intel-iot-devkit+sample-videos/car-detection.mp4", tmp_path)
    assert found is not None
    over = found.levels.over(0.0, 30.0, -50)
    assert over.loudness_db < -85
    assert over.silent_share == 1.0
