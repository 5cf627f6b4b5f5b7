"""The leak probe: copies are found whatever was changed about them, and others are not taken for one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from d2midi_build.motion.skeleton import N_BODY
from d2midi_build.music.notes import Notes
from d2midi_build.synthetic.releases import plan
from d2midi_build.train.gate.copies import Alike, movement, pairs_told, phrases, same_dance, same_music

Floats = npt.NDArray[np.float64]

BEAT_S = 0.6
SPLITS = {"a": "train", "b": "test", "c": "train", "d": "validation"}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def melody(seed: int = 0, bars: int = 30, beat_s: float = BEAT_S, start_s: float = 0.0) -> Notes:
    """Two voices on eighths with rests, and drums that all share."""
    draw = rng(seed)
    step = np.flatnonzero(draw.random(bars * 8) < 0.7)
    high, low = draw.integers(60, 80, len(step)), draw.integers(36, 48, len(step))
    at_s = start_s + step * beat_s / 2
    beat = start_s + np.arange(bars * 4) * beat_s
    onset_s = np.concatenate([at_s, at_s, beat])
    pitch = np.concatenate([high, low, np.full(len(beat), 36)])
    drum = np.concatenate([np.zeros(2 * len(step), bool), np.ones(len(beat), bool)])
    return Notes.create(onset_s, onset_s + 0.1, pitch, is_drum=drum)


def share(one: Notes, other: Notes, beats_s: tuple[float, float] = (BEAT_S, BEAT_S)) -> float:
    found = {"a": phrases(one, beats_s[0]), "b": phrases(other, beats_s[1])}
    pairs, rest = same_music(found, SPLITS)
    return pairs[0].score if pairs else rest


def test_the_same_song_at_another_tempo_and_from_elsewhere_has_the_same_phrases() -> None:
    faster = melody(beat_s=0.5, start_s=0.37)
    np.testing.assert_array_equal(phrases(melody(), 0.6), phrases(faster, 0.5))


def test_a_tempo_taken_twice_as_fast_changes_nothing() -> None:
    np.testing.assert_array_equal(phrases(melody(), 0.6), phrases(melody(), 0.3))
    np.testing.assert_array_equal(phrases(melody(), 0.6), phrases(melody(), 1.2))


def test_a_part_of_a_song_is_found_in_the_whole() -> None:
    whole = melody()
    part = whole.where((whole.onset_s >= 20.03) & (whole.onset_s < 45.0))
    assert share(whole, part) == 1.0


def test_a_copy_transcribed_anew_is_found() -> None:
    song, draw = melody(bars=60), rng(9)
    keep = draw.random(len(song)) > 0.05
    wrong = draw.random(len(song)) < 0.05
    again = Notes.create(
        np.maximum(song.onset_s + draw.normal(0, 0.008, len(song)), 0)[keep],
        song.offset_s[keep] + 0.2,
        np.where(wrong & ~song.is_drum, song.pitch + 1, song.pitch)[keep],
        is_drum=song.is_drum[keep],
    )
    assert share(song, again) > 0.25


def test_other_songs_with_the_same_drums_share_nothing() -> None:
    assert share(melody(1), melody(2)) < 0.02


def test_one_other_pitch_changes_the_phrases_it_is_in_and_no_others() -> None:
    song = melody(bars=40)
    pitch = song.pitch.copy()
    place = int(np.flatnonzero(~song.is_drum & (song.onset_s > 10))[0])
    pitch[place] += 1
    other = Notes.create(song.onset_s, song.offset_s, pitch, is_drum=song.is_drum)
    lost = set(phrases(song, BEAT_S).tolist()) - set(phrases(other, BEAT_S).tolist())
    assert len(lost) == 6


def test_songs_of_one_split_may_repeat() -> None:
    same = phrases(melody(), BEAT_S)
    assert same_music({"a": same, "c": same}, SPLITS) == ([], 0.0)
    pairs, _ = same_music({"a": same, "b": same, "c": same}, SPLITS)
    assert [(pair.one, pair.other, pair.splits, pair.score) for pair in pairs] == [
        ("a", "b", ("train", "test"), 1.0),
        ("b", "c", ("test", "train"), 1.0),
    ]


def test_what_very_many_clips_play_is_nobodys() -> None:
    common = phrases(melody(), BEAT_S)
    clips = {f"clip{i}": common for i in range(31)}
    assert same_music(clips, {name: name for name in clips}) == ([], 0.0)
    del clips["clip0"]
    assert len(same_music(clips, {name: name for name in clips})[0]) == 30 * 29 / 2


def test_a_clip_with_next_to_no_notes_is_not_compared() -> None:
    few = phrases(melody(bars=3), BEAT_S)
    assert 0 < len(few) < 16
    assert same_music({"a": few, "b": few}, SPLITS) == ([], 0.0)
    assert not len(phrases(melody().drums(), BEAT_S))
    assert not len(phrases(Notes.create([], [], []), None))
    assert not len(phrases(Notes.create([0, 1, 2, 3, 4], [1, 2, 3, 4, 5], 60), None))


def dance(seed: int, n: int = 600) -> Floats:
    """Smooth random movement of 33 points about a pose."""
    from scipy.ndimage import gaussian_filter1d

    draw = rng(seed)
    return np.asarray(
        gaussian_filter1d(draw.normal(size=(n, N_BODY, 3)), 6.0, axis=0) + draw.normal(size=(N_BODY, 3))
    )


def correlation(one: Floats, other: Floats) -> tuple[float, Alike | None]:
    pairs, rest = same_dance({"a": movement(one), "b": movement(other)}, SPLITS)
    return (pairs[0].score, pairs[0]) if pairs else (rest, None)


def test_the_same_dance_under_a_trackers_noise_is_found() -> None:
    one = dance(1)
    noise = rng(5).normal(scale=0.5 * one.std(axis=0).mean(), size=one.shape)
    score, found = correlation(one, one + noise)
    assert score > 0.9
    assert found is not None
    assert (found.lag_s, found.mirrored) == (0.0, False)


def test_other_dances_are_not_taken_for_the_same() -> None:
    scores = [correlation(dance(i), dance(i + 1))[0] for i in range(1, 12, 2)]
    assert max(scores) < 0.5


@pytest.mark.parametrize(("cut", "lag_s"), [(100, 5.0), (0, 0.0)])
def test_a_cut_copy_is_found_with_the_time_between(cut: int, lag_s: float) -> None:
    one = dance(2)
    score, found = correlation(one, one[cut : cut + 400])
    assert score > 0.95
    assert found is not None
    assert found.lag_s == lag_s  # at 100 frames of one it is the other's first: later in one


def test_a_copy_that_is_not_cut_at_a_whole_step_is_found_too() -> None:
    (source,) = plan(1, 1, 30.0, 1, 1.0, False)
    one = np.asarray(source.keypoints().body_world, np.float64)
    assert correlation(one, one[101:501])[0] > 0.9


def test_a_mirrored_copy_is_found_and_called_so() -> None:
    one = dance(3)
    from d2midi_build.motion.skeleton import BODY_NAMES

    swapped = [
        BODY_NAMES.index(
            name.replace("left", "?").replace("right", "left").replace("?", "right")
            if "mouth" not in name
            else name
        )
        for name in BODY_NAMES
    ]
    _, found = correlation(one, one[:, swapped] * [-1, 1, 1])
    assert found is not None
    assert found.mirrored
    assert found.score > 0.99


def test_missing_frames_do_not_hide_a_copy() -> None:
    one = dance(4)
    other = one.copy()
    other[100:160] = np.nan
    assert correlation(one, other)[0] > 0.95


def test_size_of_the_body_and_pose_do_not_count() -> None:
    one = dance(5)
    moved = movement(3 * one + rng().normal(size=(N_BODY, 3)))
    np.testing.assert_allclose(moved, movement(one), atol=1e-9)
    assert movement(one).shape == (300, 8, 3)
    assert np.mean(movement(one) ** 2) == pytest.approx(1 / 3)


def test_clips_without_motion_or_too_short_are_not_compared() -> None:
    still, short = np.ones((600, N_BODY, 3)), dance(6, 100)
    nobody = np.full((600, N_BODY, 3), np.nan)
    for body in (still, short, nobody):
        assert correlation(body, body) == (0.0, None)
    with pytest.raises(ValueError, match="body_world has shape"):
        movement(np.zeros((10, 5, 3)))


def test_two_dances_by_one_generator_to_songs_of_one_genre_are_told_apart() -> None:
    clips = {source.clip_id: source for source in plan(1, 8, 20.0, 1, 1.0, False)}
    split_of: dict[str, Any] = {name: name for name in clips}
    moves = {name: movement(source.keypoints().body_world) for name, source in clips.items()}
    pairs, rest = same_dance(moves, split_of)
    assert not pairs
    assert rest < 0.7
    heard = {
        name: phrases(source.song.heard(source.song_start_s, 20.0)[0], 60 / source.song.bpm)
        for name, source in clips.items()
    }
    pairs, rest = same_music(heard, split_of)
    assert not pairs
    assert rest < 0.1


def test_pairs_are_told_the_most_alike_first_and_not_all() -> None:
    pairs = [
        Alike(f"a{i}", f"b{i}", ("train", "test"), 1 - i / 100, 2.0 * (i == 0), i == 0) for i in range(12)
    ]
    told = pairs_told(pairs)
    assert told.startswith("a0 (train) and b0 (test): 1.00, +2.0 s apart, mirrored; a1")
    assert told.endswith("; and 2 more")
