"""The embedded transcriber: peaks, probabilities, chunks, where the weights come from, known songs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import d2midi_build.transcribers.embedded.model as module
from d2midi_build.digests import sha256_file
from d2midi_build.music.notes import Notes
from d2midi_build.music.scores import drum_score, instrument_score, onset_score
from d2midi_build.music.synthesis import default_soundfont, synthesise
from d2midi_build.synthetic.band import compose, render
from d2midi_build.transcribers.embedded import CALIBRATION, NOTE_WEIGHTS, PROVENANCE, WEIGHTS, Embedded
from d2midi_build.transcribers.embedded.decode import (
    DRUM_NAMES,
    INSTRUMENT_CLASSES,
    NOTE_SPREAD,
    Calibration,
    Candidates,
    Peaks,
    drum_class,
    hits,
    note_peaks,
    notes_of,
)
from d2midi_build.transcribers.embedded.description import N_LONG, N_SHORT, SEMITONES, describe
from d2midi_build.transcribers.embedded.features import N_BINS

RULES = Calibration(
    note=[1.0, 0.0],
    drums=[[1.0, 0.0]] * len(DRUM_NAMES),
    instrument=[1.0, 0.0, 0.0],
    usual=0.0,
    least_note=0.5,
    least_instrument=0.5,
    least_drums=[0.5] * len(DRUM_NAMES),
    sustain=0.5,
)


@pytest.fixture(scope="module")
def ours() -> Embedded:
    transcriber = Embedded()
    transcriber.load()
    return transcriber


def _triangle(n: int, at: float, spread: float) -> np.ndarray:  # type: ignore[type-arg]
    return np.maximum(0, 1 - np.abs(np.arange(n) - at) / spread).astype(np.float32)


@pytest.mark.parametrize("at", [10.0, 10.25, 10.5, 10.9])
def test_a_peak_says_where_between_frames_it_lies(at: float) -> None:
    onset = np.zeros((40, 88), np.float32)
    onset[:, 39] = _triangle(40, at, NOTE_SPREAD)
    found = note_peaks(onset, 0, 40)
    assert found.row.tolist() == [39]
    assert found.at[0] == pytest.approx(at, abs=0.06)  # 1.4 ms
    assert 0.88 < found.strength[0] <= 1.0


def test_only_peaks_of_a_chunk_s_own_frames_count() -> None:
    onset = np.zeros((40, 88), np.float32)
    for at in (5, 20, 35):
        onset[:, 10] += _triangle(40, at, NOTE_SPREAD)
    assert note_peaks(onset, 10, 30).at.tolist() == [20.0]


def test_a_description_holds_what_is_around_the_onset() -> None:
    spectra = np.zeros((2, 60, N_BINS), np.float32)
    spectra[1, 20, 3 * (39 + 12) + 1] = 0.8  # the octave, in the short window, at the onset
    spectra[0, 24, 3 * 39 + 2] = 0.6  # the pitch, a third of a semitone sharp, in the long one
    heard = np.zeros((40, 30, 88), np.float32)
    heard[7, 10, 39] = 0.4
    frame = np.zeros((60, 88), np.float32)
    frame[22:, 39] = 0.5
    at = Peaks(
        np.array([20, 59]), np.array([39, 87]), np.array([20.0, 59.0]), np.array([0.9, 0.5], np.float32)
    )
    rows = describe(at, spectra, frame, heard, heard)
    n_semitones = len(SEMITONES)
    short = rows[0, :N_SHORT].reshape(-1, n_semitones)
    assert np.argwhere(short).tolist() == [[2, SEMITONES.index(12)]] and short.max() == np.float32(0.8)
    long = rows[0, N_SHORT : N_SHORT + N_LONG].reshape(-1, n_semitones, 3)
    assert np.argwhere(long).tolist() == [[1, SEMITONES.index(0), 2]]
    inner = rows[0, N_SHORT + N_LONG : N_SHORT + N_LONG + 280].reshape(7, 40)
    assert np.argwhere(inner).tolist() == [[1, 7]]
    assert rows[0, -8:-2] == pytest.approx(np.full(6, 0.5))
    assert np.isfinite(rows[1]).all()  # a pitch and a time at the edge
    assert describe(note_peaks(frame * 0, 0, 60), spectra, frame, heard, heard).shape == (0, rows.shape[1])


def test_hits_are_peaks_too() -> None:
    activation = np.zeros((60, len(DRUM_NAMES)), np.float32)
    activation[:, 1] = _triangle(60, 30.5, 2.0)
    found = hits(activation, activation * 0 + 1.5, 0, 60)
    assert found.drum.tolist() == [1] and found.half[0] == pytest.approx(30.5, abs=0.01)


def _candidates(frames: list[float], strengths: list[float], heard: list[list[float]]) -> Candidates:
    n = len(frames)
    return Candidates(
        np.array(frames, np.float64),
        np.full(n, 60),
        np.zeros(n, np.float32),
        np.array(strengths, np.float32),
        np.array(heard, np.float32).reshape(n, 12),
    )


def test_several_instruments_may_play_one_note_and_one_always_does() -> None:
    both, none = [0.01] * 12, [0.01] * 12
    both[0], both[6], none[4] = 0.9, 0.8, 0.2
    plays, p = RULES.chosen(_candidates([0, 50], [0.9, 0.9], [both, none]), np.array([0.9, 0.9], np.float32))
    assert [np.flatnonzero(row).tolist() for row in plays] == [[0, 6], [4]]
    assert p[0, 0] == pytest.approx(0.9, abs=1e-3) and p[1, 4] == pytest.approx(0.2, abs=1e-3)
    plays, _ = RULES.chosen(_candidates([0], [0.1], [both]), np.array([0.1], np.float32))
    assert not plays.any()


def test_an_instrument_that_plays_throughout_is_preferred() -> None:
    piano, doubtful = [0.01] * 12, [0.01] * 12
    piano[0], doubtful[0], doubtful[1] = 0.9, 0.4, 0.5
    found = _candidates(list(range(10)), [1.0] * 10, [piano] * 9 + [doubtful])
    p_note = np.ones(10, np.float32)
    assert RULES.heard(found, p_note)[9].argmax() == 1
    assert replace(RULES, usual=1.0).heard(found, p_note)[9].argmax() == 0


def test_notes_end_where_they_are_silent_or_start_again() -> None:
    piano = [[0.9] + [0.01] * 11] * 2
    frame = np.zeros((100, 88), np.float16)
    frame[10:60, 39] = 1
    nothing = hits(
        np.zeros((4, len(DRUM_NAMES)), np.float32), np.zeros((4, len(DRUM_NAMES)), np.float32), 0, 4
    )
    notes = notes_of(_candidates([10, 30], [1.0, 1.0], piano), nothing, frame, RULES, 2.0)
    per_frame_s = 512 / 22_050
    assert notes.onset_s == pytest.approx(np.array([10, 30]) * per_frame_s, abs=1e-3)
    assert notes.offset_s == pytest.approx(np.array([30, 60]) * per_frame_s, abs=1e-3)
    assert set(notes.instrument) == {INSTRUMENT_CLASSES[0]}


def test_drum_keys_have_classes() -> None:
    assert [drum_class(key) for key in (35, 36, 38, 40, 42, 46, 45, 49)] == [0, 0, 1, 1, 2, 2, 3, 4]
    assert drum_class(39) == drum_class(56) == -1


def test_the_weights_are_small_and_their_origin_is_written_down() -> None:
    said = json.loads(PROVENANCE.read_text(encoding="utf-8"))
    files = (WEIGHTS, NOTE_WEIGHTS, CALIBRATION)
    assert sum(path.stat().st_size for path in files) < 5_000_000
    assert said["weights"] == {path.name: sha256_file(path) for path in files}
    assert {font["role"] for font in said["soundfonts"]} == {"training", "calibration"}
    assert sha256_file(default_soundfont()) not in {font["sha256"] for font in said["soundfonts"]}
    assert all(font["licence"] and "commercial" not in font["licence"] for font in said["soundfonts"])


@pytest.mark.parametrize("seed", [40, 41])
def test_a_known_song(ours: Embedded, seed: int) -> None:
    song = compose(np.random.default_rng(seed), 112.0, 14.0)
    found = ours.transcribe(render(song, 44_100), 44_100)
    # Far below the means that the benchmark prints, and far above what would do without a network.
    assert onset_score(song.notes, found).f1 > 0.5
    assert instrument_score(song.notes, found).f1 > 0.1
    assert drum_score(song.notes, found).f1 > 0.6
    assert set(found.origin) == {"embedded"}


def test_onsets_are_where_they_are_played(ours: Embedded) -> None:
    onset_s = 0.5 + 0.4371 * np.arange(20)
    truth = Notes.create(onset_s, onset_s + 0.3, 60 + (np.arange(20) * 5) % 12, 100)
    found = ours.transcribe(synthesise(truth, 44_100), 44_100).pitched()
    near = [
        np.abs(found.onset_s[found.pitch == p] - t).min()
        for t, p in zip(truth.onset_s, truth.pitch, strict=True)
    ]
    assert np.median(near) < 0.015


def test_blocks_and_chunks_change_next_to_nothing(ours: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = render(compose(np.random.default_rng(42), 100.0, 26.0), 22_050)
    whole = ours.transcribe(sound, 22_050)
    monkeypatch.setattr(module, "_BLOCK_FRAMES", module.CORE_FRAMES)
    pieces = ours.transcribe(sound, 22_050)
    # basic-pitch's windows of 2 s then start elsewhere.
    assert onset_score(whole, pieces).f1 > 0.95 and drum_score(whole, pieces).f1 > 0.95


def test_the_middle_of_a_recording_is_resampled_as_the_whole_is() -> None:
    librosa = pytest.importorskip("librosa")
    sound = np.random.default_rng(0).standard_normal(44_100 * 8).astype(np.float32)
    whole = librosa.resample(sound, orig_sr=44_100, target_sr=module.RATE_HZ)
    part = module._resampled(sound, 44_100, 70_000, 100_000)
    assert np.abs(part - whole[70_000:100_000]).max() < 1e-3
    end = module._resampled(sound, 44_100, 170_000, 180_000)
    assert (
        np.abs(end[: 176_400 - 170_000] - whole[170_000:]).max() < 1e-3 and not end[176_400 - 170_000 :].any()
    )


def test_the_level_is_of_the_whole_recording(tmp_path: Path) -> None:
    sound = np.tile(np.array([[1.0, 3.0], [5.0, 3.0]], np.float32), (1_500_000, 1))
    assert module.level(sound) == (pytest.approx(3.0), pytest.approx(1.0))
    assert module.level(sound[:0]) == (0.0, 0.0)
