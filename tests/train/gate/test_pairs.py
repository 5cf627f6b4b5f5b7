"""Which music a dance is held against."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from d2midi_build.train.gate.heard import Heard
from d2midi_build.train.gate.pairs import PARTNERS, Pair, re_paired, real, shuffled
from tests.train.gate.made_up import clip


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def crowd() -> list[Heard]:
    """Of two genres and two splits six clips each: a song and an owner for every two of them."""
    return [
        clip(
            f"{genre}-{split}-{i}",
            genre=genre,
            split=split,
            song=f"{genre}-{split}-song{i // 2}",
            owner=f"{genre}-{split}-owner{(i + 1) // 2}",
            tempo_bpm=100.0 + 8 * i,
        )
        for genre in ("house", "ballet")
        for split in ("train", "test")
        for i in range(6)
    ]


def strangers(one: Heard, other: Heard) -> bool:
    return not any(a == b and a != "" for a, b in zip(one.apart, other.apart, strict=True))


def test_real_pairs_are_the_clips_with_themselves() -> None:
    clips = crowd()
    assert [(pair.dance, pair.music) for pair in real(clips)] == [(each, each) for each in clips]


def test_a_pair_is_as_long_as_its_shorter_part() -> None:
    long, short = clip("a", n_frames=400), clip("b", n_frames=390)
    assert Pair(long, short).n_frames == Pair(short, long).n_frames == 390


@pytest.mark.parametrize("seed", range(20))
def test_shuffled_music_is_a_strangers_of_the_same_genre_and_split(seed: int) -> None:
    clips = crowd()
    pairs = shuffled(clips, rng(seed))
    assert [pair.dance for pair in pairs] == clips
    assert all(strangers(pair.dance, pair.music) for pair in pairs)
    assert all(pair.dance.genre == pair.music.genre for pair in pairs)
    assert all(pair.dance.split == pair.music.split for pair in pairs)


def test_shuffled_music_is_of_any_tempo_and_of_any_stranger() -> None:
    clips = crowd()
    heard = {pair.music.clip_id for seed in range(50) for pair in shuffled(clips, rng(seed))[:1]}
    # The first one's song is also the second's, and nobody else's; it owns itself alone.
    assert heard == {each.clip_id for each in clips[2:6]}


def test_without_a_stranger_in_its_split_music_comes_from_another() -> None:
    clips = [clip("a"), clip("b"), clip("c", split="test"), clip("d", split="test", genre="ballet")]
    pairs = shuffled(clips, rng())
    assert [pair.dance.video_id for pair in pairs] == ["a", "b", "c"]
    assert [pair.music.video_id for pair in pairs[:2]] == ["b", "a"]
    assert pairs[2].music.video_id in ("a", "b")


def test_those_whose_only_company_dances_to_their_song_are_left_out() -> None:
    clips = [clip("a", song="x"), clip("b", song="x"), clip("c", owner="y", genre="ballet")]
    assert shuffled([*clips, replace(clips[2], video_id="d", apart=("d", "", "y"))], rng()) == []
    assert shuffled([], rng()) == []


def test_shuffling_depends_on_the_seed_alone() -> None:
    def names(seed: int) -> list[str]:
        return [pair.music.clip_id for pair in shuffled(crowd(), rng(seed))]

    assert names(1) == names(1) != names(2)


def test_unknown_groups_keep_nobody_apart() -> None:
    pairs = shuffled([clip("a"), clip("b")], rng())
    assert [(pair.dance.video_id, pair.music.video_id) for pair in pairs] == [("a", "b"), ("b", "a")]


def test_other_music_is_neither_of_the_dances_groups_nor_of_the_musics() -> None:
    dance, music = clip("dance", song="s1", owner="o1"), clip("music", song="s2", owner="o2")
    others = [
        clip("dance"), clip("music"), clip("a", song="s1"), clip("b", song="s2"), clip("c", owner="o1"),
        clip("d", owner="o2"), clip("e", song="o1", owner="s2"), clip("f", genre="ballet"), clip("g", split="test"),
    ]  # fmt: skip
    (found,) = re_paired([Pair(dance, music)], others, rng())
    assert {pair.music.video_id for pair in found} == {"e", "g"}
    assert all(pair.dance is dance for pair in found)


def test_other_music_has_the_tempo_of_the_music_that_was_there() -> None:
    dance, music = clip("dance", tempo_bpm=90.0), clip("music", tempo_bpm=120.0)
    tempi = (90.0, 115.2, 124.8, 124.9, 240.0)
    others = [clip(f"at{tempo}", tempo_bpm=tempo) for tempo in tempi]
    (found,) = re_paired([Pair(dance, music)], others, rng())
    assert {pair.music.tempo_bpm for pair in found} == {115.2, 124.8}
    # None within 4 %: the one nearest in ratio; 144 is 1.2 times it, 101 is it 1.19 times.
    (found,) = re_paired(
        [Pair(dance, music)], [clip("fast", tempo_bpm=144.0), clip("slow", tempo_bpm=101.0)], rng()
    )
    assert [pair.music.video_id for pair in found] == ["slow"]
    (found,) = re_paired([Pair(dance, replace(music, tempo_bpm=None))], others, rng(), 9)
    assert len(found) == len(others)


def test_no_music_comes_twice_and_no_more_than_asked_for() -> None:
    clips = [clip(f"v{i}") for i in range(8)]
    for most in (1, PARTNERS, 20):
        for found in re_paired(real(clips), clips, rng(), most):
            names = [pair.music.video_id for pair in found]
            assert len(set(names)) == len(names) == min(most, 7)
            assert found[0].dance.video_id not in names


def test_where_the_genre_has_no_other_source_there_is_no_other_music() -> None:
    clips = [clip("a"), clip("b", genre="ballet"), clip("b", genre="ballet")]
    assert re_paired(real(clips), clips, rng()) == [[], [], []]
    assert re_paired([], clips, rng()) == []


def test_a_dance_of_no_genre_is_held_against_nothing_and_lends_its_music_to_none() -> None:
    clips = [clip("a", genre=""), clip("b", genre=""), clip("c"), clip("d")]
    found = re_paired(real(clips), clips, np.random.default_rng(0))
    assert [[other.music.video_id for other in others] for others in found] == [[], [], ["d"], ["c"]]
