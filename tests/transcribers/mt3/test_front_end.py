"""MT3's front end: segments, resampling and log-mel against the reference, hand-computed numbers and properties."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Iterator

import librosa
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.transcribers.mt3.front_end import (
    FFT,
    HOP,
    N_MELS,
    SAMPLE_RATE_HZ,
    LogMel,
    Segment,
    mel_matrix,
    resampled,
    segments,
)
from d2midi_build.transcribers.mt3.presets import ISMIR2021, MT3, Preset
from tests.transcribers.mt3.reference import reference

LOG_NOTHING = math.log(1e-5)


def _noise(*shape: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(7).normal(0.0, 0.2, shape).astype(np.float32)


def _logmel(found: list[Segment], segment_frames: int) -> npt.NDArray[np.float32]:
    result: npt.NDArray[np.float32] = LogMel()(found, segment_frames).numpy()
    return result


@pytest.mark.real_data
def test_log_mel_of_the_reference() -> None:
    segment_frames = reference().preset.segment_frames
    found = list(segments([reference().array("audio")], segment_frames))
    ours, theirs = _logmel(found, segment_frames), reference().array("logmel")
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype == np.float32
    own = np.arange(segment_frames) < np.array([segment.n_frames for segment in found])[:, None]
    difference = np.abs(ours - theirs)[own]
    assert difference.max() < 5e-3  # 8.2e-4 measured
    assert difference.mean() < 1e-4  # 1.5e-5 measured
    assert not ours[~own].any()
    assert not theirs[~own].any()


@pytest.mark.real_data
def test_bands_between_two_bins_are_empty_in_the_reference_too() -> None:
    first = reference().array("logmel")[0, :1]
    assert np.abs(first[:, ~mel_matrix().any(axis=0)] - LOG_NOTHING).max() < 2e-6


@pytest.mark.real_data
def test_segments_of_the_reference() -> None:
    expected = reference().json("segments")
    found = list(segments([reference().array("audio")], reference().preset.segment_frames))
    assert expected["sample_rate"] == SAMPLE_RATE_HZ
    assert expected["hop"] == HOP
    assert sum(len(segment.samples) for segment in found) == expected["n_padded_samples"]
    assert sum(segment.n_frames for segment in found) == expected["n_frames"]
    assert [(s.n_frames, s.input_s, s.start_s) for s in found] == [
        (s["frames"], s["input_time"], s["start_time"]) for s in expected["segments"]
    ]


@pytest.mark.parametrize("preset", [MT3, ISMIR2021], ids=lambda preset: preset.name)
@pytest.mark.parametrize(
    ("n_samples", "n_frames"),
    [(0, 1), (1, 1), (127, 1), (128, 2), (129, 2), (1_600, 13), (32_768, 257), (65_536, 513), (65_535, 512)],
)
def test_lengths(preset: Preset, n_samples: int, n_frames: int) -> None:
    found = list(segments([_noise(n_samples)], preset.segment_frames))
    assert sum(segment.n_frames for segment in found) == n_frames
    assert len(found) == math.ceil(n_frames / preset.segment_frames)
    assert all(segment.n_frames == preset.segment_frames for segment in found[:-1])
    result = _logmel(found, preset.segment_frames)
    assert result.shape == (len(found), preset.segment_frames, N_MELS)
    assert np.isfinite(result).all()
    assert (result[-1, : found[-1].n_frames] != 0).all(axis=1).all()
    assert not result[-1, found[-1].n_frames :].any()


def test_starts_are_rounded_down_in_binary() -> None:
    starts = [s.start_s for s in segments([np.zeros(20 * 256 * HOP, np.float32)], 256)]
    # 6.144 s: the reference says 6.140000000000001, the next number above 6.14.
    assert starts[:4] == [0.0, 2.04, 4.09, np.nextafter(6.14, 7.0)]
    # 30.72 % 0.01 is just below 0.01 in binary, so a whole step is lost; 20.48 and 40.96 keep theirs.
    assert starts[10] == 20.48
    assert starts[15] == pytest.approx(30.71, abs=1e-12)
    assert starts[20] == 40.96


@settings(deadline=None, max_examples=50)
@given(
    n_samples=st.integers(0, 2_000),
    cuts=st.lists(st.integers(0, 2_000), max_size=8),
    segment_frames=st.integers(1, 5),
)
def test_segments_do_not_depend_on_blocks(n_samples: int, cuts: list[int], segment_frames: int) -> None:
    sound = _noise(n_samples)
    found = list(segments(np.split(sound, sorted(min(cut, n_samples) for cut in cuts)), segment_frames))
    n_frames = n_samples // HOP + 1
    whole = np.concatenate([segment.samples for segment in found])
    assert np.array_equal(whole, np.pad(sound, (0, n_frames * HOP - n_samples)))
    assert [s.n_frames for s in found] == [len(s.samples) // HOP for s in found]
    assert [s.input_s for s in found] == [i * segment_frames / 125 for i in range(len(found))]
    assert len(found) == math.ceil(n_frames / segment_frames)


def test_segments_keep_their_samples_while_later_ones_are_made() -> None:
    sound = _noise(3 * 4 * HOP)
    kept = list(segments([sound], 4))
    assert all(not np.shares_memory(segment.samples, sound) for segment in kept)
    assert np.array_equal(kept[0].samples, sound[: 4 * HOP])


def test_three_hours_are_never_held() -> None:
    block = _noise(1_000_000)
    tracemalloc.start()
    try:
        count = sum(1 for _ in segments((block for _ in range(173)), MT3.segment_frames))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == math.ceil((173_000_000 // HOP + 1) / MT3.segment_frames)
    assert peak < 1_000_000


def test_the_end_of_a_segment_does_not_hear_the_next() -> None:
    quiet = np.zeros(2 * 16 * HOP, np.float32)
    loud = quiet.copy()
    loud[16 * HOP :] = _noise(16 * HOP)
    first = _logmel(list(segments([quiet], 16)), 16)[0]
    assert np.array_equal(_logmel(list(segments([loud], 16)), 16)[0], first)


def test_a_segment_is_the_same_in_any_batch() -> None:
    found = list(segments([_noise(40 * HOP + 5)], 16))
    together = _logmel(found, 16)
    assert all(np.array_equal(_logmel([s], 16)[0], rows) for s, rows in zip(found, together, strict=True))
    assert LogMel()([], 16).shape == (0, 16, N_MELS)


def test_silence_is_the_logarithm_of_a_hundred_thousandth() -> None:
    found = _logmel(list(segments([np.zeros(1_600, np.float32)], 16)), 16)
    assert (found[0, :13] == np.float32(LOG_NOTHING)).all()
    assert not found[0, 13:].any()


def test_quiet_sound_is_not_clipped() -> None:
    sound = _noise(16 * HOP)
    loud, quiet = (_logmel(list(segments([s], 16)), 16)[0, :16] for s in (sound, sound * 2.0**-40))
    heard = loud != np.float32(LOG_NOTHING)
    assert np.abs(loud - quiet - 40 * math.log(2))[heard].max() < 1e-4
    assert quiet.min() < LOG_NOTHING


def test_one_sample_is_an_impulse_under_the_window() -> None:
    # Hann's window is 0 at its first sample and sin(pi n / 2048)^2 at the others: the impulse is heard by no frame at
    # 0, and a spectrum of one sample is flat: every band has its weights' sum times the window there.
    at = 128
    sound = np.zeros(at + 1, np.float32)
    sound[at] = 0.5
    found = _logmel(list(segments([sound], 2)), 2)[0]
    magnitude = 0.5 * math.sin(math.pi * at / FFT) ** 2
    weights = mel_matrix().sum(axis=0, dtype=np.float64)
    heard = weights > 0
    assert np.allclose(found[0, heard], np.log(magnitude * weights[heard]), atol=1e-4)
    assert (found[1] == np.float32(LOG_NOTHING)).all()


def test_a_tone_in_one_bin() -> None:
    # Amplitude 0.5 at 1,000 Hz is bin 128 exactly: with a periodic Hann window of 2048 it gives 0.5 * 1024 / 2 = 256
    # there, 128 in the bins beside it and nothing elsewhere.
    seconds = np.arange(64 * HOP) / SAMPLE_RATE_HZ
    tone = (0.5 * np.sin(2 * np.pi * 1_000 * seconds)).astype(np.float32)
    found = np.exp(_logmel(list(segments([tone], 64)), 64)[0, 40])
    expected = np.array([128.0, 256.0, 128.0]) @ mel_matrix()[127:130]
    assert np.abs(found - expected).max() < 1e-2
    assert expected.max() > 200


def test_mel_matrix_by_hand() -> None:
    matrix = mel_matrix()
    assert matrix.shape == (1_025, 512)
    assert matrix.dtype == np.float32
    # 20 Hz is mel 31.7486, 7,600 Hz is 2786.9926: edges are 5.370846 apart. 1,000 Hz (bin 128) is mel 999.9907,
    # edge number 180.2774, so it lies between the centres of bands 179 and 180.
    assert np.flatnonzero(matrix[128]).tolist() == [179, 180]
    assert matrix[128, 179:181] == pytest.approx([0.7226, 0.2774], abs=1e-4)
    # Bins are 7.8125 Hz apart: 3 is the first above 20 Hz, 972 the last below 7,600 Hz.
    assert np.flatnonzero(matrix.any(axis=1))[[0, -1]].tolist() == [3, 972]
    # Between the first and the last centre two triangles share every bin.
    assert np.abs(matrix[4:968].sum(axis=1, dtype=np.float64) - 1).max() < 1e-6
    assert np.flatnonzero(~matrix.any(axis=0)).tolist() == [1, 10]


RATES_HZ = [8_000, 11_025, 15_999, 22_050, 32_000, 44_056, 44_100, 48_000, 96_000, 192_000]


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("seconds", [0.0001, 0.1, 1.0371])
def test_resampled_as_librosa_does(rate_hz: int, seconds: float) -> None:
    sound = _noise(math.ceil(seconds * rate_hz), 2)
    expected = librosa.resample(librosa.to_mono(sound.T), orig_sr=rate_hz, target_sr=16_000)
    found = np.concatenate(list(resampled(sound, rate_hz)))
    assert found.dtype == np.float32
    assert len(found) == len(expected)
    assert np.abs(found - expected).max() < 1e-6


@settings(deadline=None, max_examples=30)
@given(
    rate_hz=st.sampled_from(RATES_HZ),
    n_samples=st.integers(0, 5_000),
    block=st.integers(1, 6_000),
)
def test_resampled_does_not_depend_on_blocks(rate_hz: int, n_samples: int, block: int) -> None:
    sound = _noise(n_samples)
    found = np.concatenate(list(resampled(sound, rate_hz, block)))
    assert np.array_equal(found, np.concatenate(list(resampled(sound, rate_hz))))
    assert len(found) == math.ceil(n_samples * (16_000 / rate_hz))


def test_sound_at_16_khz_is_untouched() -> None:
    sound = _noise(1_000)
    assert np.array_equal(np.concatenate(list(resampled(sound, 16_000, 300))), sound)
    stereo = np.stack([sound, -0.5 * sound], axis=1)
    assert np.array_equal(np.concatenate(list(resampled(stereo, 16_000, 300))), sound / 4)
    assert [s.n_frames for s in segments(resampled(sound[:0], 16_000), 256)] == [1]


def test_resampling_holds_no_more_than_a_block() -> None:
    ten_minutes = np.broadcast_to(np.float32(0.1), (600 * 48_000, 2))
    tracemalloc.start()
    try:
        lengths = _lengths(resampled(ten_minutes, 48_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(lengths) == 600 * 16_000
    assert max(lengths) < 200_000
    assert peak < 10_000_000


def _lengths(blocks: Iterator[npt.NDArray[np.float32]]) -> list[int]:
    return [len(block) for block in blocks]
