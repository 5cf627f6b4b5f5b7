"""Finding transcribers by name."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest

import d2midi_build.transcribers as package
from d2midi_build.errors import PermanentError, UsageError
from d2midi_build.transcribers.base import checked, file_digest, transcriber, transcriber_names


def test_basic_pitch_is_there_by_its_name() -> None:
    assert "basic-pitch" in transcriber_names()
    assert "base" not in transcriber_names()
    assert transcriber("basic-pitch").name == "basic-pitch"


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"use one of: .*basic-pitch"):
        transcriber("ears")


def test_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="loudness"):
        transcriber("basic-pitch", loudness=3)


def test_a_sibling_file_is_all_a_new_one_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "always_middle_c.py").write_text(
        "from d2midi_build.music.notes import Notes\n"
        "from d2midi_build.transcribers.base import Transcriber\n"
        "class AlwaysMiddleC(Transcriber):\n"
        "    name = 'always-middle-c'\n"
        "    version = '1'\n"
        "    def model_digests(self): return {}\n"
        "    def load(self): pass\n"
        "    def transcribe(self, audio, sample_rate_hz): return Notes.create([0.0], [1.0], 60)\n"
        "create = AlwaysMiddleC\n"
    )
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    made = transcriber("always-middle-c")
    assert made.transcribe(np.zeros(10, np.float32), 10).pitch.tolist() == [60]
    sys.modules.pop("d2midi_build.transcribers.always_middle_c")


def test_numbers_that_are_none_are_named_with_their_time() -> None:
    audio = np.zeros((100, 2), np.float32)
    audio[50, 1], audio[60, 0] = np.nan, np.inf
    with pytest.raises(PermanentError, match=r"2 samples .* first at 5\.000 s"):
        checked(audio, 10)


def test_shapes_that_cannot_be() -> None:
    for audio, rate_hz in ((np.zeros((2, 2, 2)), 10), (np.zeros((5, 0)), 10), (np.zeros(5), 0)):
        with pytest.raises(ValueError, match="is not"):
            checked(audio, rate_hz)  # type: ignore[arg-type]


def test_digest_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"model")
    assert file_digest(tmp_path / "m") == hashlib.sha256(b"model").hexdigest()
