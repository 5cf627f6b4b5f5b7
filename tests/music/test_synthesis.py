"""Synthesis: exact onsets, determinism, more programs than channels."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import TAIL_S, synthesise

RATE_HZ = 44_100


@pytest.mark.parametrize("sample", [0, 1, 63, 64, 5000, 22_051])
def test_onset_is_exact_to_the_sample(sample: int) -> None:
    # The square lead has no attack: its first sample is already loud.
    notes = Notes.create([0.0], [0.2], 60, 100, 80)
    late = sample / RATE_HZ
    moved = Notes(**{**vars(notes), "onset_s": notes.onset_s + late, "offset_s": notes.offset_s + late})
    sound = np.abs(synthesise(moved, RATE_HZ, RATE_HZ)).max(axis=1)
    assert int(np.argmax(sound > 0)) == sample


def test_pitch_is_concert_pitch() -> None:
    sound = synthesise(Notes.create([0.0], [2.0], 69, 100, 80), RATE_HZ, 2 * RATE_HZ).mean(axis=1)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    low = spectrum[: 600 * 2]  # half a hertz per bin
    assert abs(np.argmax(low) / 2 - 440) < 3


def test_same_notes_same_samples() -> None:
    notes = Notes.create(
        [0.0, 0.1, 0.1], [0.5, 0.6, 0.2], [40, 60, 42], 90, [32, 48, 0], [False, False, True]
    )
    assert np.array_equal(synthesise(notes, RATE_HZ), synthesise(notes, RATE_HZ))


def test_length_is_what_was_asked_for_or_the_notes_and_a_tail() -> None:
    notes = Notes.create([0.0], [0.5], 60)
    assert synthesise(notes, 8000, 100).shape == (100, 2)
    assert len(synthesise(notes, 8000)) == 8000 * (0.5 + TAIL_S)
    assert synthesise(Notes.empty(), 8000).shape == (0, 2)
    assert not synthesise(Notes.empty(), 8000, 10).any()


def test_twenty_programs_all_sound() -> None:
    programs = np.arange(0, 80, 4)
    notes = Notes.create(np.arange(20) * 0.2, np.arange(20) * 0.2 + 0.15, 60, 100, programs)
    sound = np.abs(synthesise(notes, 16_000)).max(axis=1)
    assert all(sound[int(t * 16_000) : int((t + 0.15) * 16_000)].max() > 0.005 for t in notes.onset_s)


def test_drums_sound_unlike_the_same_piano_keys() -> None:
    drum = synthesise(Notes.create([0.0], [0.1], 42, 100, 0, True), RATE_HZ, RATE_HZ // 4)[:, 0]
    spectrum = np.abs(np.fft.rfft(drum))
    hz = np.fft.rfftfreq(len(drum), 1 / RATE_HZ)
    assert (spectrum * hz).sum() / spectrum.sum() > 3000  # a hi-hat is bright
