"""Audio that cannot be listened to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

import d2midi_build.music.audio as module
from d2midi_build.errors import PermanentError
from d2midi_build.music.audio import checked, read_sound


def test_numbers_that_are_none_are_named_with_their_time() -> None:
    audio = np.zeros((100, 2), np.float32)
    audio[50, 1], audio[60, 0] = np.nan, np.inf
    with pytest.raises(PermanentError, match=r"the first at 5\.000 s"):
        checked(audio, 10)


def test_shapes_that_cannot_be() -> None:
    for audio, rate_hz in ((np.zeros((2, 2, 2)), 10), (np.zeros((5, 0)), 10), (np.zeros(5), 0)):
        with pytest.raises(ValueError, match="is not"):
            checked(audio, rate_hz)  # type: ignore[arg-type]


def test_a_long_recording_is_mapped_and_reads_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, (5000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", sound, 8000, subtype="FLOAT")
    short, rate_hz = read_sound(tmp_path / "a.wav", tmp_path)
    assert rate_hz == 8000
    monkeypatch.setattr(module, "_IN_MEMORY", 100)
    monkeypatch.setattr(module, "_PIECE", 999)
    long, _ = read_sound(tmp_path / "a.wav", tmp_path)
    assert isinstance(long, np.memmap)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]  # nothing to remove
    assert np.array_equal(short, sound) and np.array_equal(long, sound)
    assert np.shares_memory(checked(long, 8000), long)  # not copied into memory


def test_what_is_no_sound_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_text("words")
    with pytest.raises(
        PermanentError, match=r"a\.flac cannot be read as sound: .*d2midi retry --reason permanent"
    ):
        read_sound(tmp_path / "a.flac", tmp_path)
