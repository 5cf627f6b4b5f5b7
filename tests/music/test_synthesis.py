"""Synthesis: exact onsets, determinism, more programs than channels."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from d2midi_build.errors import UsageError
from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import TAIL_S, default_soundfont, synthesise

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


CHORD = Notes.create([0.0, 0.1, 0.2], [0.5, 0.6, 0.3], [48, 64, 38], 90, [48, 0, 0], [False, False, True])


def _font(at: Path, drop: tuple[int, int] | None = None) -> Path:
    """TimGM6mb with its pianos made into violins, and without the preset (bank, program) ``drop``."""
    data = bytearray(default_soundfont().read_bytes())
    start = data.index(b"phdr") + 8
    size = int.from_bytes(data[start - 4 : start], "little")
    heads = {struct.unpack_from("<HH", data, at + 20)[::-1]: at for at in range(start, start + size - 38, 38)}
    struct.pack_into("<H", data, heads[0, 40] + 20, 0)
    struct.pack_into("<H", data, heads[0, 0] + 20, 40)
    if drop is not None:
        struct.pack_into("<HH", data, heads[drop] + 20, drop[1], 77)  # a bank nobody asks for
    at.write_bytes(data)
    return at


def test_another_soundfont_sounds_by_its_own_presets(tmp_path: Path) -> None:
    swapped = _font(tmp_path / "swapped.sf2")
    piano, violin = (Notes.create([0.0], [0.5], 60, 100, program) for program in (0, 40))
    played = synthesise(piano, RATE_HZ, soundfont=swapped)
    assert np.array_equal(played, synthesise(violin, RATE_HZ))
    assert not np.array_equal(played, synthesise(piano, RATE_HZ))


def test_a_kept_soundfont_remembers_nothing(tmp_path: Path) -> None:
    font = tmp_path / "copy.sf2"
    shutil.copy(default_soundfont(), font)
    fresh = synthesise(CHORD, RATE_HZ, soundfont=font)
    sounding = Notes.create(np.zeros(8), np.full(8, 5.0), np.arange(50, 58), 127, np.arange(8) * 8)
    synthesise(sounding, 22_050, 4410, drum_kit=25, soundfont=font)  # cut off while every voice sounds
    assert np.array_equal(synthesise(CHORD, RATE_HZ, soundfont=font), fresh)
    assert np.array_equal(synthesise(CHORD, RATE_HZ), fresh)


def test_a_replaced_soundfont_is_read_again(tmp_path: Path) -> None:
    font = tmp_path / "font.sf2"
    shutil.copy(default_soundfont(), font)
    before = synthesise(CHORD, RATE_HZ, soundfont=font)
    os.utime(_font(font), ns=(1, 1))
    assert not np.array_equal(synthesise(CHORD, RATE_HZ, soundfont=font), before)


def test_a_missing_kit_is_kit_0_and_a_missing_program_an_error(tmp_path: Path) -> None:
    assert np.array_equal(synthesise(CHORD, RATE_HZ, drum_kit=5), synthesise(CHORD, RATE_HZ))
    with pytest.raises(UsageError, match="no program 48"):
        synthesise(CHORD, RATE_HZ, soundfont=_font(tmp_path / "no-strings.sf2", (0, 48)))
    with pytest.raises(UsageError, match="no drum kit"):
        synthesise(CHORD, RATE_HZ, soundfont=_font(tmp_path / "no-drums.sf2", (128, 0)))


def test_no_soundfont_or_a_broken_one_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.sf2"):
        synthesise(CHORD, RATE_HZ, soundfont=tmp_path / "absent.sf2")
    broken = tmp_path / "broken.sf2"
    broken.write_bytes(default_soundfont().read_bytes()[:100_000])
    with pytest.raises(UsageError, match=r"broken\.sf2 \(100000 bytes\)"):
        synthesise(CHORD, RATE_HZ, soundfont=broken)
