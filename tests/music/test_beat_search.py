"""The search over bars, on evidence made by hand."""

from __future__ import annotations

import numpy as np

from d2midi_build.music.beat_search import CLASSES, METRE, POSITION, Settings, best_path


def evidence_at(beats: np.ndarray, n_frames: int, bar: tuple[str, ...]) -> np.ndarray:
    """Beats are clear and their place in the bar is likelier than the others; everything else is none."""
    found = np.full((n_frames, len(CLASSES)), -4.0, dtype=np.float32)
    found[:, [CLASSES.index(name) for name in ("half", "third", "quarter")]] = -1.0
    for i, frame in enumerate(beats):
        found[frame, [CLASSES.index(name) for name in ("down", "back", "mid", "weak")]] = 4.0
        found[frame, CLASSES.index(bar[i % len(bar)])] = 8.0
    return found


FOUR = ("down", "back", "mid", "back")
THREE = ("down", "weak", "weak")


def test_clear_beats_are_found_exactly_with_their_bars() -> None:
    for bar in (FOUR, THREE):
        beats = np.arange(37, 2000, 50)
        path = best_path(evidence_at(beats, 2010, bar), Settings())
        assert np.array_equal(path.frames, beats)
        assert np.array_equal(POSITION[path.places], np.arange(len(beats)) % len(bar) + 1)
        assert set(METRE[path.places]) == {len(bar)}


def test_what_is_decided_early_is_the_same() -> None:
    """Longer than the two minutes that are kept."""
    beats = np.arange(37, 20_000, 47)
    path = best_path(evidence_at(beats, 20_000, FOUR), Settings())
    assert np.array_equal(path.frames, beats)


def test_beats_begin_again_after_a_pause_with_another_tempo() -> None:
    beats = np.concatenate([np.arange(37, 1500, 50), np.arange(2500, 4000, 60)])
    assert np.array_equal(best_path(evidence_at(beats, 4010, FOUR), Settings()).frames, beats)


def test_no_evidence_no_beats() -> None:
    for n_frames in (0, 5, 3000):
        assert len(best_path(evidence_at(np.array([], np.int64), n_frames, FOUR), Settings()).frames) == 0
