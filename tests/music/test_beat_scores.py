"""Beat scores on hand-counted cases."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.music.beat_scores import beat_score, tempo_ratio_error


def test_beats_match_within_70_ms() -> None:
    # Of four beats three are met (60, 0, 69 ms away), of four answers three are right: F = 3 / 4.
    assert beat_score([1.0, 2.0, 3.0, 4.0], [1.06, 2.0, 3.08, 3.931]) == pytest.approx(0.75)
    # Nothing is trimmed: the first seconds count (mir_eval's own evaluation drops five).
    assert beat_score([0.5, 1.0], [1.0]) == pytest.approx(2 / 3)


def test_no_beats() -> None:
    assert beat_score([], []) == 1.0
    assert beat_score([1.0], []) == 0.0
    assert beat_score([], [1.0]) == 0.0


@pytest.mark.parametrize(
    ("bpm", "wrong"), [(120, False), (60, True), (240, True), (80, True), (180, True), (40, True), (360, True),
                       (118, False), (62, True), (63, False), (100, False)],
)  # fmt: skip
def test_tempo_at_another_level(bpm: float, wrong: bool) -> None:
    true_s = np.arange(60) * 0.5
    assert tempo_ratio_error(true_s, np.arange(40) * 60 / bpm) is wrong


def test_no_level_without_two_beats() -> None:
    assert not tempo_ratio_error([1.0], [1.0, 2.0])
    assert not tempo_ratio_error([1.0, 2.0], [])
