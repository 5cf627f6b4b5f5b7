"""The beat head: its targets, what it sees, and the beats that are picked from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from d2midi_build.train.models.beats import BeatHead, picked, soft_beats


def test_a_beat_is_one_in_its_frame_and_half_beside_it() -> None:
    # 0.26 s is frame 5.2, nearest is 5.
    assert soft_beats([0.26], 8).tolist() == [0, 0, 0, 0, 0.5, 1, 0.5, 0]


def test_neighbours_never_lower_a_beat_and_ends_are_cut() -> None:
    assert soft_beats([0.0, 0.05, 0.2], 5).tolist() == [1, 1, 0.5, 0.5, 1]
    assert soft_beats([-0.05, 0.25, 9.0], 5).tolist() == [0, 0, 0, 0, 0]
    assert soft_beats([], 3).tolist() == [0, 0, 0]


def test_a_head_sees_sixteen_frames_to_each_side_and_no_more() -> None:
    torch.manual_seed(0)
    head = BeatHead(3).eval()
    still = torch.zeros(1, 101, 3)
    moved = still.clone()
    moved[0, 50] = 5.0
    with torch.no_grad():
        changed = (head(moved) - head(still))[0].abs() > 1e-7
    (frames,) = np.nonzero(changed.numpy())
    assert (frames.min(), frames.max()) == (50 - 16, 50 + 16)


def test_a_head_reads_dances_of_any_length() -> None:
    head = BeatHead(4).eval()
    with torch.no_grad():
        assert head(torch.zeros(2, 7, 4)).shape == (2, 7)
        assert head(torch.zeros(1, 1, 4)).shape == (1, 1)


def test_picked_beats_are_peaks_between_frames() -> None:
    logits = np.full(40, -5.0)
    logits[[9, 10, 11]] = 1.0, 3.0, 2.0
    # A parabola through (-1, 1), (0, 3), (1, 2) has its top at 1/6: frame 10.1667.
    assert picked(logits) == pytest.approx([(10 + 1 / 6) / 20])


def test_of_beats_nearer_than_a_quarter_of_a_second_the_higher_is_picked() -> None:
    logits = np.full(40, -5.0)
    logits[10], logits[13], logits[20] = 2.0, 3.0, 1.0
    assert picked(logits) == pytest.approx([13 / 20, 20 / 20], abs=0.01)


def test_low_peaks_are_none_and_ends_can_be_beats() -> None:
    logits = np.array([2.0, -1.0, -3.0, -0.5, -3.0, -2.0, -1.0, 1.0])
    assert picked(logits) == pytest.approx([0.0, 7 / 20])
    assert len(picked(np.full(10, -1.0))) == 0
    assert len(picked([])) == 0
