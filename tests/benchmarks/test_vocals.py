"""Whose a note is in the benchmark of singing, and what its mixes are made of, on sounds and notes made by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import vocals as bench

from d2midi_build import clock
from d2midi_build.music.notes import Notes
from d2midi_build.music.vocals import Voice
from d2midi_build.transcribers.base import Transcriber

SONG = Notes.create([0.0, 1.0, 2.0], [1.0, 2.0, 3.0], [60, 62, 64])
ALONE = Notes.create([0.0, 0.5], [0.5, 1.0], [72, 64])


class Finds(Transcriber):
    """Finds the same notes in everything."""

    name = "finds"
    version = "1"

    def __init__(self, notes: Notes) -> None:
        self.notes = notes

    def model_digests(self) -> dict[str, str]:
        return {}

    def load(self) -> None:
        pass

    def transcribe(self, audio: npt.NDArray[np.float32], sample_rate_hz: int) -> Notes:
        return self.notes


def test_a_note_is_among_others_where_one_of_its_pitch_sounds_at_its_middle() -> None:
    notes = Notes.create([0.1, 0.8, 1.5, 0.2], [0.5, 1.4, 1.9, 0.4], [60, 60, 62, 72])
    assert dict(zip(notes.pitch.tolist(), bench.among(notes, SONG).tolist(), strict=True)) == {
        60: False,  # the later one, whose middle is at 1.1
        62: True,
        72: False,
    }
    assert bench.among(notes, SONG).sum() == 2


def test_notes_found_in_a_mix_are_the_songs_the_voices_or_nobodys() -> None:
    found = Notes.create(
        [2.0, 2.5, 2.0, 2.0], [2.5, 3.0, 2.5, 2.5], [72, 64, 50, 38], is_drum=[False] * 3 + [True]
    )
    probability = np.full(3 * clock.FPS, 0.95, np.float32)
    voice = Voice(probability, np.ones(len(probability), np.bool_))
    heard = bench.Heard(probability, voice.heard, voice.heard, np.zeros(1, np.float32), voice, 2.0)
    # 72 is sung as when alone; 64 is the song's as well as the voice's, so the song's; 50, under 72, is nobody's.
    assert bench.whose(heard, SONG, ALONE, Finds(found)).tolist() == [[1, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("level_db", [-6, 6])
def test_the_second_half_of_a_mix_has_the_voice_at_its_level(level_db: float) -> None:
    rng = np.random.default_rng(0)
    song = rng.normal(0, 0.1, 8 * bench.RATE_HZ).astype(np.float32)
    voice = (0.5 * np.sin(np.arange(3 * bench.RATE_HZ) / 7)).astype(np.float32)
    voice[: bench.RATE_HZ] = 0
    heard = bench.mixed(song, voice, level_db)
    assert heard.start_s == pytest.approx(3.0)
    assert len(heard.mix) == 6 * bench.RATE_HZ
    power = [np.mean(heard.mix[a * bench.RATE_HZ : (a + 1) * bench.RATE_HZ] ** 2) for a in (1, 5)]
    assert power[1] / power[0] == pytest.approx(1 + 10 ** (level_db / 10), rel=0.05)
    assert heard.there.tolist() == [False] * 80 + [True] * 40
