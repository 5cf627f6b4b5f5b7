"""Finding transcribers by name."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import d2midi_build.transcribers as package
from d2midi_build.errors import UsageError
from d2midi_build.transcribers.base import transcriber, transcriber_names


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
