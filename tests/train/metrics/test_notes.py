"""Note F1: the worked example K, and mir_eval's reference outputs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from d2midi_build.music.notes import Notes
from d2midi_build.train.metrics.notes import note_scores

REFERENCE = Notes.create([0, 0.5, 1], [0.5, 1, 1.5], [60, 62, 64])


def test_notes_by_onset_and_with_offsets() -> None:
    # The second is 60 ms late; the third ends 200 ms early, of which 100 are allowed.
    generated = Notes.create([0.03, 0.56, 1.02], [0.5, 1, 1.3], [60, 62, 64])
    found = note_scores(REFERENCE, generated)
    assert found["note_f1_onset"] == pytest.approx(2 / 3)
    assert found["note_f1_onset_offset"] == pytest.approx(1 / 3)
    assert found["note_f1_instrument"] == pytest.approx(2 / 3)


def test_another_instrument_and_drums_count_with_instruments_only() -> None:
    violin = Notes.create([0, 0.5, 1, 0.2], [0.5, 1, 1.5, 0.3], [60, 62, 64, 36], program=[40, 0, 0, 0],
                          is_drum=[False, False, False, True])  # fmt: skip
    found = note_scores(REFERENCE, violin)
    assert found["note_f1_onset"] == 1.0
    assert found["note_f1_instrument"] == pytest.approx(2 * 2 / 7)


def test_nothing_to_find_is_none_and_nothing_found_is_zero() -> None:
    assert set(note_scores(Notes.empty(), REFERENCE).values()) == {None}
    assert set(note_scores(REFERENCE, Notes.empty()).values()) == {0.0}
    drums = Notes.create([0.0], [0.1], [36], is_drum=True)
    assert note_scores(drums, drums) == {
        "note_f1_onset": None,
        "note_f1_onset_offset": None,
        "note_f1_instrument": 1.0,
    }


@pytest.mark.real_data
@pytest.mark.parametrize("number", range(4))
def test_mir_evals_reference_outputs(shared_data: Path, number: int) -> None:
    folder = shared_data / "mir-evaluation+mir_eval" / "tests" / "data" / "transcription"
    sides = []
    for side in ("ref", "est"):
        onset_s, offset_s, hz = np.loadtxt(folder / f"{side}{number:02d}.txt", comments="#").T
        pitches = np.round(69 + 12 * np.log2(hz / 440)).astype(int)
        sides.append(Notes.create(onset_s, offset_s, pitches))
    expected = json.loads((folder / f"output{number:02d}.json").read_text())
    found = note_scores(*sides)
    assert found["note_f1_onset"] == pytest.approx(expected["F-measure_no_offset"], abs=1e-12)
    assert found["note_f1_onset_offset"] == pytest.approx(expected["F-measure"], abs=1e-12)
