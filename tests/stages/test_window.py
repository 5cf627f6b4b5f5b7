from __future__ import annotations

import numpy as np

from d2midi_build.stages.window import lay_windows


def test_windows_count_the_notes_that_sound_in_them() -> None:
    body = np.ones(200, bool)
    body[:60] = False
    onset_s = np.array([0.0, 1.9, 5.9, 6.0, 9.9])
    offset_s = np.array([2.0, 2.0, 6.5, 7.0, 10.0])
    windows = lay_windows(body, onset_s, offset_s, frames=120, stride=40)
    assert windows.column("start_frame").to_pylist() == [0, 40, 80]
    # [0, 6): all but those at 6.0 and 9.9; [2, 8): the first two end exactly at its start; [4, 10): the last three.
    assert windows.column("n_notes").to_pylist() == [3, 2, 3]
    assert windows.column("body_share").to_pylist() == [0.5, 100 / 120, 1.0]


def test_a_clip_shorter_than_a_window_has_none() -> None:
    assert len(lay_windows(np.ones(599, bool), np.zeros(0), np.zeros(0), frames=600, stride=40)) == 0
