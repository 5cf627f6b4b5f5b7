"""Stage H: what is drawn is music, and its scores are those of the metrics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from d2midi_build.music.notes import Notes
from d2midi_build.train.gate.drum_task import CROP_FRAMES, DrumTask, crops
from d2midi_build.train.gate.generation import (
    BEATS,
    NOTES,
    against,
    drawn,
    generation_records,
    notes_said,
)
from d2midi_build.train.gate.heard import Heard
from d2midi_build.train.gate.pairs import real
from d2midi_build.train.tokens.quad import encode
from tests.train.gate.made_up import clip

NAMES = ["generation.valid", *BEATS, *NOTES, "empty_bar_share@nominal"]


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has learnt nothing would go on to the longest sequence."""
    monkeypatch.setattr("d2midi_build.train.gate.generation.MOST_QUADS", 80)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def beaten(number: int, split: str = "test", late_s: float = 0.0) -> Heard:
    """A drum on every beat, each half a second."""
    at = np.arange(40) * 0.5 + late_s
    notes = Notes.create(at, at + 0.1, 36, is_drum=True)
    return replace(clip(f"v{number}", split=split), notes=notes, beats_s=at)


def task(clips: list[Heard]) -> DrumTask:
    return DrumTask(crops(real(clips), CROP_FRAMES), 0, width=16, layers=1, heads=2)


def test_all_that_is_drawn_is_valid_and_every_score_has_its_chance_level() -> None:
    clips = [beaten(i) for i in range(10)]
    records = generation_records(task(clips), real(clips), clips, rng())
    bars = "gs_q32@nominal"  # of pieces with less than two bars that have onsets there is none
    assert [each.name for each in records if each.name != bars] == NAMES
    assert (records[0].verdict, records[0].value, records[0].n) == ("pass", 1.0, 8)
    for record in records[1:]:
        assert record.stage == "H"
        assert record.verdict == "info"
        assert record.threshold is not None
        assert record.n == 8 or record.name == bars


def test_the_same_generator_draws_the_same_and_another_other_drums() -> None:
    clips = [beaten(i) for i in range(2)]
    model, chosen = task(clips), crops(real(clips), CROP_FRAMES)
    first, again, other = (drawn(model, chosen, rng(seed)) for seed in (1, 1, 2))
    for one, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.quads, same.quads)
    assert any(not np.array_equal(one.quads, two.quads) for one, two in zip(first, other, strict=True))


def test_drums_on_the_beat_have_f1_of_1_and_between_beats_of_0() -> None:
    music = beaten(0)
    right = Notes.create(np.arange(16) * 0.5, np.arange(16) * 0.5 + 0.1, 36, is_drum=True)
    found = against(right, music, 160, 400)
    assert found["beat_f1@70ms"] == found["bhs@70ms"] == found["bcs_ratio"] == 1.0
    assert found["note_f1_instrument"] == 1.0
    assert found["onsets_vs_reference.beat_f1@70ms"] == 1.0
    between = against(right.shifted(0.25), music, 160, 400)
    assert between["beat_f1@70ms"] == between["note_f1_instrument"] == 0.0
    half = against(right.where(np.arange(16) % 2 == 0), music, 0, 400)
    assert half["bhs@70ms"] == half["bcs_ratio"] == 0.5
    assert half["bcs_precision@70ms"] == 1.0


def test_music_without_beats_is_scored_against_its_drums_alone() -> None:
    clips = [replace(beaten(i), beats_s=np.zeros(0)) for i in range(3)]
    names = [each.name for each in generation_records(task(clips), real(clips), clips, rng())]
    assert [name for name in names if not name.startswith("gs")] == [
        name for name in NAMES if name not in BEATS
    ]


def test_what_the_grammar_does_not_allow_is_no_music() -> None:
    hit = Notes.create([0.5], [0.6], 36, is_drum=True)
    quads = encode(hit, 4).quads
    assert notes_said(quads) is not None
    assert notes_said(encode(hit, 3).quads) is None  # a measure too few
    assert notes_said(quads[:-1]) is None  # no end
    assert notes_said(encode(Notes.create([0.5], [0.6], 60), 4).quads) is None  # a piano


def test_invalid_drums_fail_with_the_clip_named(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = [beaten(i) for i in range(2)]
    monkeypatch.setattr("d2midi_build.train.gate.generation.notes_said", lambda quads: None)
    (record,) = generation_records(task(clips), real(clips), clips, rng())
    assert (record.verdict, record.value) == ("fail", 0.0)
    assert "v0_00000000, v1_00000000" in record.why


def test_without_a_model_or_drums_nothing_is_drawn(tmp_path: Path) -> None:
    silent = [replace(beaten(i), notes=Notes.create([], [], [])) for i in range(2)]
    model = task([beaten(0)])
    for records in (
        generation_records(None, real([beaten(0)]), [beaten(0)], rng()),
        generation_records(model, real(silent), silent, rng()),
    ):
        assert [each.verdict for each in records] == ["not-testable"]
        assert "transcribe with drums" in records[0].why
