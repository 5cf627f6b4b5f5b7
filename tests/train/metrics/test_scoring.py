"""All scores of a clip as a dict, without torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from d2midi_build.music.notes import Notes
from d2midi_build.train.metrics.beats import DEDUPE_S
from d2midi_build.train.metrics.scoring import ONSETS, Beats, Detector, Piece, score, sides

SEEN = Detector("speed-minima-3", {"least_prominence": 0.15})


def _metronome(bpm: float, phase_s: float = 0.0, length_s: float = 30.0) -> Notes:
    onset_s = np.arange(phase_s, length_s, 60 / bpm)
    return Notes.create(onset_s, onset_s + 0.1, 60)


def test_a_piece_that_is_its_reference_scores_one() -> None:
    piece = Piece(_metronome(120), 30.0)
    found = score(piece, Piece(_metronome(120), 30.0), Beats(np.arange(0, 30, 0.5), SEEN))
    for comparison in ("onsets_vs_reference", "onsets_vs_dance"):
        for name in ("bcs_ratio", "bhs@70ms", "bcs_precision@100ms", "beat_f1@200ms", "bas_average@70ms"):
            assert found[f"{comparison}.{name}"] == 1.0
    assert found["onsets_vs_dance.bas_alignment"] == pytest.approx(1.0)
    assert found["note_f1_onset_offset"] == 1.0
    assert (found["phe_1"], found["gs_q64@nominal"]) == (0.0, 1.0)
    assert not {name for name in found if name.startswith("beats_")}  # none are annotated


def test_annotated_beats_have_names_of_their_own() -> None:
    beats = Beats(np.arange(0, 30, 0.5), Detector("annotated", {}))
    bars = np.stack([np.arange(0, 28, 2.0), np.arange(2, 30, 2.0)], axis=1)
    piece = Piece(_metronome(240), 30.0, beats, bars)
    found = score(piece, dance=Beats(np.arange(0, 30, 0.5), SEEN))
    assert found["beats_vs_dance.beat_f1@70ms"] == 1.0
    assert found["onsets_vs_dance.bcs_ratio"] == 2.0
    assert found["gs_q32@annotated"] == 1.0
    assert not {name for name in found if "_vs_reference" in name or name.startswith("note_f1")}


def test_a_chord_is_one_onset_and_what_is_beyond_the_clip_does_not_count() -> None:
    onset_s = np.concatenate([np.arange(0, 20, 0.5) + late for late in (0.0, 0.01, 0.02)])
    piece = Piece(Notes.create(onset_s, onset_s + 20, np.repeat([60, 64, 67], 40)), 10.0)
    assert piece.rhythm.onsets.times_s == pytest.approx(np.arange(0, 10, 0.5))
    assert piece.rhythm.onsets.detector == ONSETS
    assert ONSETS.data()["parameters"]["dedupe_s"] == DEDUPE_S
    assert len(piece.cropped) == 60 and piece.cropped.offset_s.max() == 10.0
    whole = Piece(Notes.create(np.arange(0, 10, 0.5), np.arange(0, 10, 0.5) + 9.0, 60), 10.0)
    assert score(piece, whole)["onsets_vs_reference.bcs_ratio"] == 1.0


def test_drums_are_rhythm_and_no_pitches() -> None:
    times_s = np.arange(0, 30, 0.5)
    drums = Piece(Notes.create(times_s, times_s + 0.1, 36 + np.arange(60) % 12, is_drum=True), 30.0)
    found = score(drums)
    assert found["phe_1"] is None and found["phe_4"] is None
    assert found["gs_q64@nominal"] == 1.0
    assert score(Piece(Notes.empty(), 30.0))["empty_bar_share@nominal"] == 1.0


def test_only_beats_of_the_same_kind_are_compared() -> None:
    beats = Beats(np.arange(0, 30, 0.5), SEEN)
    annotated, bare = Piece(_metronome(60), 30.0, beats).rhythm, Piece(_metronome(90), 30.0).rhythm
    assert sides("beats_vs_reference", bare, annotated, None) is None
    assert sides("beats_vs_reference", annotated, annotated, None) == (beats, beats)
    assert sides("onsets_vs_reference", bare, annotated, None) == (bare.onsets, annotated.onsets)
    assert sides("onsets_vs_dance", bare, None, None) is None


def test_scoring_imports_no_torch() -> None:
    code = (
        "import sys\n"
        "import d2midi_build.cli.evaluate, d2midi_build.train.metrics.evaluation\n"
        "from d2midi_build.music.notes import Notes\n"
        "from d2midi_build.train.metrics import Piece, fad, pearson_dm, score\n"
        "piece = Piece(Notes.create([0, 1], [1, 2], [60, 62]), 4.0)\n"
        "assert score(piece, piece)['note_f1_onset'] == 1.0\n"
        "fad([[0.0], [1.0]], [[0.0], [1.0]], 'any')\n"
        "print(sorted({'torch', 'librosa', 'tensorflow', 'pandas'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
