"""Probabilities of paths, and which paths are compared."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.music.beat_features import FEATURES as FRAME_FEATURES
from d2midi_build.music.beat_levels import FEATURES, described, paths, probabilities
from d2midi_build.music.beat_search import CLASSES, LONGEST, SHORTEST, Path, Settings, best_path

BAR = ("down", "back", "mid", "back")


def evidence(interval: int, n_frames: int = 3000) -> np.ndarray:
    """Clear beats in bars of four, weak halves between them."""
    found = np.full((n_frames, len(CLASSES)), -4.0, dtype=np.float32)
    found[:, CLASSES.index("half") :] = 0.0  # nothing speaks for or against a part of a beat
    for i, frame in enumerate(range(50, n_frames, interval)):
        found[frame, : CLASSES.index("half")] = 2.0
        found[frame, CLASSES.index(BAR[i % 4])] = 5.0
        if frame + interval // 2 < n_frames:
            found[frame + interval // 2, CLASSES.index("half")] = 1.0
    return found


def test_nothing_has_what_the_paths_leave() -> None:
    assert probabilities(np.array([0.0])) == pytest.approx([0.5])
    assert probabilities(np.array([0.0, 0.0, 0.0])) == pytest.approx([0.25] * 3)
    assert probabilities(np.array([-800.0, 800.0])) == pytest.approx([0.0, 1.0])
    assert probabilities(np.array([-800.0])) == pytest.approx([0.0])
    assert len(probabilities(np.empty(0))) == 0


def test_other_levels_are_compared() -> None:
    found = paths(evidence(50), Settings())
    usual = [round(float(np.median(np.diff(path.frames)))) for path in found]
    assert usual[0] == 50
    assert any(abs(interval - 100) <= 1 for interval in usual)
    assert all(SHORTEST <= interval <= LONGEST for interval in usual)


def test_bounds_of_the_interval_are_kept() -> None:
    gaps = np.diff(best_path(evidence(50), Settings(), 95, 105).frames)
    assert len(gaps) > 20
    assert gaps.min() >= 95
    assert gaps.max() <= 105


def test_one_interval_alone_is_a_search_too() -> None:
    assert set(np.diff(best_path(evidence(50), Settings(), 50, 50).frames)) == {50}


def test_without_beats_there_is_no_path() -> None:
    assert paths(np.full((500, len(CLASSES)), -4.0, dtype=np.float32), Settings()) == []


def test_what_falls_on_beats_is_described() -> None:
    heard = np.zeros((1000, len(FRAME_FEATURES)), dtype=np.float32)
    frames = np.arange(100, 900, 50)
    places = np.arange(len(frames)) % 4
    heard[frames[places == 0], FRAME_FEATURES.index("kick")] = 1.0
    heard[frames[places == 2], FRAME_FEATURES.index("snare")] = 1.0
    values = dict(zip(FEATURES, described(heard, evidence(50, 1000), Path(frames, places)), strict=True))
    assert values["octave"] == pytest.approx(np.log2(120 / 112))
    assert values["kick@down"] == 1
    assert values["snare@mid"] == 1
    assert values["kick@odd"] == values["snare@down"] == values["kick@half"] == 0
    assert values["events"] == pytest.approx(0.5, abs=0.05)
    assert values["empty"] == pytest.approx(0.5)
    assert values["unsteady"] == values["slips"] == values["three"] == 0
