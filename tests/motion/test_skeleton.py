"""The skeleton against MediaPipe's own lists."""

from __future__ import annotations

import pytest

from d2midi_build.motion import skeleton


def test_names_and_edges_are_mediapipes() -> None:
    holistic = pytest.importorskip("mediapipe.python.solutions.holistic")
    assert tuple(p.name.lower() for p in holistic.PoseLandmark) == skeleton.BODY_NAMES
    assert tuple(p.name.lower() for p in holistic.HandLandmark) == skeleton.HAND_NAMES
    assert len(skeleton.BODY_EDGES) == len(set(skeleton.BODY_EDGES))
    assert set(skeleton.BODY_EDGES) == set(holistic.POSE_CONNECTIONS)
    assert set(skeleton.HAND_EDGES) == set(holistic.HAND_CONNECTIONS)


def test_pairs_are_left_and_right_of_the_same_point() -> None:
    names = skeleton.BODY_NAMES
    for left, right in skeleton.BODY_PAIRS:
        assert "left" in names[left]
        assert names[left].replace("left", "right") == names[right]
    paired = {i for pair in skeleton.BODY_PAIRS for i in pair}
    assert [names[i] for i in range(skeleton.N_BODY) if i not in paired] == ["nose"]
