"""The dancer is human, keeps the beat, and is where the camera says."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.clock import FPS
from d2midi_build.motion.skeleton import BODY_NAMES
from d2midi_build.synthetic.anatomy import BONE, PARENTS, REST, Array
from d2midi_build.synthetic.dancer import choreograph
from d2midi_build.synthetic.render import Camera, render

TIMES = np.arange(30 * FPS) / FPS
AT = {name: i for i, name in enumerate(BODY_NAMES)}


def _angle_deg(landmarks: Array, a: str, b: str, c: str) -> Array:
    """Angle at b between a and c."""
    u, v = landmarks[:, AT[a]] - landmarks[:, AT[b]], landmarks[:, AT[c]] - landmarks[:, AT[b]]
    cosine = np.sum(u * v, axis=1) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


@pytest.mark.parametrize("seed", range(4))
def test_bones_keep_their_length(seed: int) -> None:
    dance = choreograph(np.random.default_rng(seed), 120, 30, yaw_deg=25)
    _, positions = dance.pose(TIMES)
    for bone, parent in enumerate(PARENTS):
        if parent >= 0:
            length = np.linalg.norm(positions[:, bone] - positions[:, parent], axis=1)
            assert length == pytest.approx(np.linalg.norm(REST[bone] - REST[parent]), abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_joints_stay_within_human_limits(seed: int) -> None:
    landmarks = choreograph(np.random.default_rng(seed), 120, 30).landmarks(TIMES)
    for side in ("left", "right"):
        elbow = 180 - _angle_deg(landmarks, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")
        knee = 180 - _angle_deg(landmarks, f"{side}_hip", f"{side}_knee", f"{side}_ankle")
        assert elbow.min() > 5
        assert elbow.max() < 140
        assert knee.min() >= 0
        assert knee.max() < 130
        assert landmarks[:, AT[f"{side}_heel"], 1].min() > 0  # never through the floor
    assert np.all(landmarks[:, AT["left_ankle"], 0] - landmarks[:, AT["right_ankle"], 0] > 0.1)


def test_it_dances() -> None:
    landmarks = choreograph(np.random.default_rng(1), 120, 30).landmarks(TIMES)
    speed = np.linalg.norm(np.diff(landmarks, axis=0), axis=-1) * FPS
    assert np.percentile(speed[:, AT["left_wrist"]], 90) > 1.0  # m/s
    assert np.percentile(speed[:, AT["left_ankle"]], 95) > 0.3
    hips = landmarks[:, [AT["left_hip"], AT["right_hip"]]].mean(axis=1)
    assert np.ptp(hips[:, 0]) > 0.1  # the root travels
    knee = _angle_deg(landmarks, "left_hip", "left_knee", "left_ankle")
    assert np.ptp(knee) > 30


@pytest.mark.parametrize(("bpm", "first_beat_s"), [(90, 0.0), (120, 2.1), (137.5, 2.3)])
def test_speed_is_least_on_every_beat(bpm: float, first_beat_s: float) -> None:
    dance = choreograph(np.random.default_rng(2), bpm, 20, first_beat_s=first_beat_s)
    assert dance.beats_s[:3] == pytest.approx(first_beat_s + 60 / bpm * np.arange(3))
    grid = np.arange(0, 20, 0.002)
    landmarks = dance.landmarks(grid)
    speed = np.linalg.norm(np.gradient(landmarks, 0.002, axis=0), axis=-1).mean(axis=1)
    for beat in dance.beats_s[1:-3]:
        around = np.abs(grid - beat) < 0.25 * 60 / bpm
        least = grid[around][np.argmin(speed[around])]
        assert least == pytest.approx(beat, abs=0.02)
        assert speed[around].min() < 0.1 * speed[around].max()


def test_it_stands_still_before_the_first_beat() -> None:
    landmarks = choreograph(np.random.default_rng(2), 120, 10, first_beat_s=2.0).landmarks(TIMES[: 2 * FPS])
    assert np.ptp(landmarks, axis=0).max() < 0.05


@pytest.mark.parametrize("yaw", [-60, -20, 45])
def test_yaw_turns_the_whole_dance(yaw: float) -> None:
    straight = choreograph(np.random.default_rng(3), 120, 10).landmarks(TIMES)
    turned = choreograph(np.random.default_rng(3), 120, 10, yaw_deg=yaw).landmarks(TIMES)
    angle = np.radians(yaw)
    x = np.cos(angle) * straight[..., 0] + np.sin(angle) * straight[..., 2]
    z = -np.sin(angle) * straight[..., 0] + np.cos(angle) * straight[..., 2]
    assert turned == pytest.approx(np.stack([x, straight[..., 1], z], axis=-1), abs=1e-9)


def test_any_sampling_shows_the_same_movement() -> None:
    dance = choreograph(np.random.default_rng(4), 120, 10)
    fine = dance.landmarks(np.arange(0, 5, 1 / 60))
    assert dance.landmarks(np.arange(0, 5, 1 / 20)) == pytest.approx(fine[::3], abs=1e-12)


def test_hands_hang_on_the_wrists_and_share_knuckles_with_the_body() -> None:
    dance = choreograph(np.random.default_rng(4), 120, 10)
    landmarks, hands = dance.landmarks(TIMES), dance.hands(TIMES)
    for k, side in enumerate(("left", "right")):
        assert hands[:, k, 0] == pytest.approx(landmarks[:, AT[f"{side}_wrist"]], abs=1e-9)
        assert hands[:, k, 5] == pytest.approx(landmarks[:, AT[f"{side}_index"]], abs=1e-9)
        assert hands[:, k, 17] == pytest.approx(landmarks[:, AT[f"{side}_pinky"]], abs=1e-9)
    middle = np.linalg.norm(hands[:, :, 12] - hands[:, :, 0], axis=-1)
    assert middle.max() < 0.20


def test_projection_by_hand() -> None:
    camera = Camera(640, 480, 500.0, (0.0, 1.0, 4.0), 0.0)
    # 4 m away, 0.8 m left of the dancer's middle and 0.4 m up: 500 * .8 / 4 = 100, 500 * .4 / 4 = 50.
    assert camera.project(np.array([0.8, 1.4, 0.0])) == pytest.approx([420, 190])
    assert camera.see(np.array([0.8, 1.4, 1.0])) == pytest.approx([0.8, -0.4, 3.0])
    # A camera that looks 10 degrees down sees a point 10 degrees below it in the middle.
    down = Camera(640, 480, 500.0, (0.0, 1.0, 4.0), 10.0)
    point = np.array([0.0, 1.0 - np.sin(np.radians(10)), 4.0 - np.cos(np.radians(10))])
    assert down.project(point) == pytest.approx([320, 240])


@pytest.mark.parametrize("yaw", [-60, 0, 60])
def test_the_whole_body_stays_in_the_picture(yaw: float) -> None:
    camera = Camera.framing(640, 640)
    dance = choreograph(np.random.default_rng(6), 120, 30, yaw_deg=yaw)
    joints = np.concatenate(
        [camera.project(dance.landmarks(TIMES)), camera.project(dance.hands(TIMES)[:, 0])], 1
    )
    assert joints.min() > 5
    assert joints.max() < 635


def test_the_picture_shows_the_body_where_the_joints_are() -> None:
    camera = Camera.framing(320, 320)
    dance = choreograph(np.random.default_rng(7), 120, 10, look=0)
    times = np.array([1.0, 2.3, 4.1])
    empty = next(render([], times[:1], camera)).astype(int)
    for picture, joints in zip(
        render([dance], times, camera), camera.project(dance.landmarks(times)), strict=True
    ):
        drawn = np.abs(picture.astype(int) - empty).sum(axis=-1) > 60
        for name in ("left_shoulder", "left_knee", "right_knee", "left_hip", "nose"):
            x, y = joints[AT[name]].astype(int)
            assert drawn[y, x]
        assert 0.03 < drawn.mean() < 0.25


def test_two_dancers_are_both_drawn_and_the_nearer_one_hides_the_other() -> None:
    camera = Camera.framing(320, 320)
    rng = np.random.default_rng(0)
    near = choreograph(rng, 120, 5, place=(0.0, 0.4), look=2)
    far = choreograph(rng, 120, 5, place=(0.0, -0.4), look=1)
    both = next(render([near, far], np.array([0.0]), camera))
    again = next(render([far, near], np.array([0.0]), camera))
    assert np.array_equal(both, again)
    chest = camera.project(near.pose(np.array([0.0]))[1][0, BONE["chest"]]).astype(int)
    red, _, blue = both[chest[1], chest[0]].astype(int)
    assert red > blue + 40  # the yellow shirt, not the blue one


def test_the_same_seed_gives_the_same_frames() -> None:
    camera = Camera.framing(320, 320)

    def draw(seed: int) -> Array:
        dance = choreograph(np.random.default_rng(seed), 120, 5)
        return np.stack(list(render([dance], np.array([0.4, 3.3]), camera)))

    assert np.array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))


def test_impossible_tempo_is_an_error() -> None:
    with pytest.raises(ValueError, match="positive"):
        choreograph(np.random.default_rng(0), 0, 10)
