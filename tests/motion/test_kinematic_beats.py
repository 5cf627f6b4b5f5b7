"""Kinematic beats of dancers whose beats are known, with everything that can be missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from d2midi_build.motion.kinematic_beats import find_kinematic_beats
from d2midi_build.music.beat_scores import beat_score
from d2midi_build.synthetic.dancer import choreograph

FPS = 20
SECONDS = 16
HIPS = [23, 24]


def danced(seed: int, bpm: float, noise_m: float = 0.0, fps: float = FPS) -> tuple[np.ndarray, np.ndarray]:
    """Hip-centred joints (n, 33, 3) and the beats one can see: those between two movements."""
    rng = np.random.default_rng(seed)
    dance = choreograph(rng, bpm, SECONDS, first_beat_s=1.0)
    points = dance.landmarks(np.arange(round(SECONDS * fps)) / fps)
    points = points - points[:, HIPS].mean(axis=1, keepdims=True)
    beats = dance.beats_s
    return points + rng.normal(0, noise_m, points.shape), beats[(beats > 1.2) & (beats < SECONDS - 0.3)]


def all_seen(points: np.ndarray) -> np.ndarray:
    return np.ones(len(points), dtype=np.bool_)


@pytest.mark.parametrize("noise_m", [0.0, 0.01, 0.02])
@pytest.mark.parametrize("bpm", [80.0, 110.0, 140.0])
def test_a_dancers_poses_are_the_beats(bpm: float, noise_m: float) -> None:
    points, beats = danced(3, bpm, noise_m)
    found = find_kinematic_beats(points, all_seen(points))
    seen = found.times_s[(found.times_s > 1.1) & (found.times_s < beats[-1] + 0.15)]
    assert beat_score(beats, seen) > 0.95
    assert found.known and ((found.strengths > 0) & (found.strengths <= 1)).all()


def test_seconds_not_frames() -> None:
    for fps in (20.0, 60.0):
        points, beats = danced(5, 100.0, fps=fps)
        found = find_kinematic_beats(points, all_seen(points), fps)
        nearest = np.abs(found.times_s[:, None] - beats).min(axis=0)
        assert nearest.max() < 0.06, fps


@pytest.mark.parametrize("noise_m", [0.0, 0.005])
@pytest.mark.parametrize("fps", [20.0, 60.0])
def test_rest_between_a_quick_and_a_slow_move_is_where_it_is(fps: float, noise_m: float) -> None:
    # The minimum of the smoothed speed alone lies 70 ms towards the slow move.
    rng = np.random.default_rng(4)
    dance = choreograph(rng, 100.0, SECONDS)
    beats = 1.0 + np.cumsum(np.tile([0.35, 0.9], 10))
    dance = replace(dance, beats_s=beats, keys=dance.keys[: len(beats)])
    points = dance.landmarks(np.arange(round(SECONDS * fps)) / fps)
    points = points - points[:, HIPS].mean(axis=1, keepdims=True) + rng.normal(0, noise_m, points.shape)
    found = find_kinematic_beats(points, all_seen(points), fps)
    inner = beats[1:-1]
    late = found.times_s[np.abs(found.times_s[:, None] - inner).argmin(axis=0)] - inner
    towards_slow = late * np.where(np.arange(len(inner)) % 2, 1.0, -1.0)
    assert abs(towards_slow.mean()) < 0.035 and np.abs(late).mean() < 0.035
    assert (np.diff(found.times_s) > 0).all()


def test_a_gap_holds_no_beat_and_those_beside_it_stay() -> None:
    points, _ = danced(7, 100.0)
    whole = find_kinematic_beats(points, all_seen(points))
    present = all_seen(points)
    present[6 * FPS : 8 * FPS] = False
    points[~present] = np.nan
    found = find_kinematic_beats(points, present)
    inside = (found.times_s > 6.0 - 1 / FPS) & (found.times_s < 8.0)
    assert not inside.any()
    before, after = whole.times_s[whole.times_s < 5.5], whole.times_s[whole.times_s > 8.5]
    for time_s in (*before, *after):
        assert np.abs(found.times_s - time_s).min() < 0.03


def test_a_short_gap_is_bridged_with_less_confidence() -> None:
    points, beats = danced(9, 100.0)
    whole = find_kinematic_beats(points, all_seen(points))
    beat_s = float(beats[6])
    present = all_seen(points)
    middle = round(beat_s * FPS) + 3
    present[middle : middle + 4] = False  # 0.2 s
    points[~present] = np.nan
    found = find_kinematic_beats(points, present)
    near, near_whole = (int(np.abs(each.times_s - beat_s).argmin()) for each in (found, whole))
    assert abs(found.times_s[near] - beat_s) < 0.07
    assert found.confidences[near] < found.strengths[near]
    assert whole.confidences[near_whole] == whole.strengths[near_whole]


def test_too_little_seen_is_unknown() -> None:
    points, _ = danced(1, 100.0)
    present = all_seen(points)
    present[: round(0.6 * len(points))] = False
    found = find_kinematic_beats(points, present)
    assert not found.known and len(found) == 0
    assert "40% of the frames" in found.reason


def test_a_flickering_body_is_unknown() -> None:
    points, _ = danced(1, 100.0)
    present = (np.arange(len(points)) // 10) % 2 == 0  # half a second on, half a second off
    assert "no second" in find_kinematic_beats(points, present).reason


def test_one_who_stands_has_no_beats() -> None:
    points, _ = danced(1, 100.0)
    still = np.repeat(points[:1], len(points), axis=0) + np.random.default_rng(0).normal(
        0, 0.001, points.shape
    )
    assert "stands" in find_kinematic_beats(still, all_seen(still)).reason


def test_travel_through_the_picture_counts() -> None:
    """A body that glides without moving its limbs: hip-centred it stands, in the picture it stops every second."""
    points, _ = danced(1, 100.0)
    still = np.repeat(points[:1], len(points), axis=0) * np.array([1.0, -1.0, 1.0])
    t = np.arange(len(points)) / FPS
    glide_m = 0.3 * np.sin(np.pi * t) / np.pi  # speed 0 at 0.5, 1.5, 2.5, ... s
    metre = np.array([0.2, 0.36])  # a metre in shares of the width and of the height: a picture of 16:9
    image = still * np.array([*metre, 0.2]) + np.array([0.5, 0.5, 0.0])
    image[..., 0] += (glide_m * metre[0])[:, None]
    assert not find_kinematic_beats(still, all_seen(still)).known
    found = find_kinematic_beats(still, all_seen(still), body_image=image)
    assert np.allclose(found.times_s, np.arange(0.5, SECONDS, 1.0), atol=0.03)


def test_nothing_at_all() -> None:
    found = find_kinematic_beats(np.empty((0, 33, 3)), np.empty(0, np.bool_))
    assert not found.known


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match="33, 3"):
        find_kinematic_beats(np.zeros((4, 33, 3)), np.ones(5, np.bool_))
