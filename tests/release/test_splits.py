from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.errors import UsageError
from d2midi_build.release.splits import SHARES, Assignment, Item, Leak, assign, leaks

SPLITS = ("train", "validation", "test")


def clip(name: str, n_frames: int = 600, genre: str = "house", video: str = "", **groups: str) -> Item:
    return Item(name, video or f"video of {name}", genre, n_frames, groups)


def frames(items: Sequence[Item], split_of: Mapping[str, str]) -> dict[str, Counter[str]]:
    """Frames by genre and split."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        if item.clip_id in split_of:
            found[item.genre][split_of[item.clip_id]] += item.n_frames
    return found


def parted(items: Sequence[Item], split_of: Mapping[str, str]) -> set[tuple[str, str]]:
    """Pairs of kept clips in different splits that share anything, found pair by pair."""
    kept = [item for item in items if item.clip_id in split_of]
    return {
        (one.clip_id, other.clip_id)
        for one, other in combinations(kept, 2)
        if split_of[one.clip_id] != split_of[other.clip_id]
        and (
            one.video_id == other.video_id
            or any(group and other.groups.get(kind) == group for kind, group in one.groups.items())
        )
    }


def a_random_dataset(seed: int, videos: int, shared: float = 0.2) -> list[Item]:
    """One or two takes a video, channels of up to 20 videos, and some music that many use."""
    draw = random.Random(seed)
    items = []
    for number in range(videos):
        for take in range(draw.choice((1, 1, 2))):
            common = draw.random() < shared
            items.append(
                clip(
                    f"{number:04d}_{take}", draw.randint(600, 3600), draw.choice(("house", "latin", "modern")),
                    video=f"v{number}", performer=f"c{number // draw.choice((1, 1, 2, 20))}",
                    music=f"hit{draw.randrange(max(2, videos // 20))}" if common else f"{number}_{take}",
                )
            )  # fmt: skip
    return items


# A clip in an earlier release


def test_an_earlier_clip_stays_where_it_was() -> None:
    items = [clip(name) for name in "abcdef"]
    before = {"a": "test", "b": "test", "c": "test", "d": "validation"}
    split_of = assign(items, before).split_of
    assert {name: split_of[name] for name in before} == before


def test_where_two_earlier_splits_turn_out_to_share_the_one_with_most_frames_stays() -> None:
    items = [
        clip("a", 500, music="m"), clip("b", 500, music="m"), clip("c", 900, music="m"), clip("d", 100), clip("e", 100),
    ]  # fmt: skip
    before = {"a": "train", "b": "train", "c": "test", "d": "test", "e": "validation"}
    found = assign(items, before)
    assert found.split_of == {"a": "train", "b": "train", "d": "test", "e": "validation"}
    assert found.left_out == {"c": "was in test, but shares its music with train"}


def test_an_earlier_clip_is_not_left_out_for_one_that_is_left_out_itself() -> None:
    # b loses to a, so c, which had only b against it, may stay.
    items = [
        clip("a", 900, music="m"),
        clip("b", 400, music="m", performer="p"),
        clip("c", 300, performer="p"),
    ]
    found = assign(items, {"a": "train", "b": "test", "c": "validation"})
    assert found.split_of == {"a": "train", "c": "validation"}
    assert found.left_out == {
        "b": "was in test, but shares its music with train and its performer with validation"
    }


def test_an_earlier_clip_comes_back_when_what_beat_it_is_beaten() -> None:
    # b has most of performer p, so c and e go; a has most of music m, so b goes too; then nothing is against c.
    items = [
        clip("a", 700, music="m"), clip("b", 600, music="m", performer="p"), clip("c", 500, performer="p"),
        clip("e", 450, performer="p"),
    ]  # fmt: skip
    found = assign(items, {"a": "train", "b": "test", "c": "validation", "e": "train"})
    assert found.split_of == {"a": "train", "c": "validation"}
    assert found.left_out["e"] == "was in train, but shares its performer with validation"


# New clips


def test_a_new_clip_goes_where_its_links_lead_even_over_other_new_clips() -> None:
    items = [
        clip("old", music="m"), clip("new", music="m", performer="p"), clip("far", performer="p", video="v"),
        clip("farther", video="v"),
        *(clip(f"alone{n}") for n in range(20)),
    ]  # fmt: skip
    split_of = assign(items, {"old": "validation"} | {f"alone{n}": "train" for n in range(20)}).split_of
    assert [split_of[name] for name in ("new", "far", "farther")] == ["validation"] * 3


def test_a_new_clip_that_joins_two_splits_is_left_out_and_the_reason_says_with_what() -> None:
    items = [clip("a", music="m"), clip("b", performer="p"), clip("new", music="m", performer="p")]
    found = assign(items, {"a": "train", "b": "test"})
    assert found.split_of == {"a": "train", "b": "test"}
    assert found.left_out == {"new": "shares its music with train and its performer with test"}


def test_a_clip_that_is_left_out_joins_nothing() -> None:
    # The new clip would join d to both; without it d is free, and validation has nothing yet.
    items = [
        clip("a", music="m"), clip("b", performer="p"), clip("new", music="m", performer="p", video="v"),
        clip("d", video="v"),
    ]  # fmt: skip
    found = assign(items, {"a": "train", "b": "test"})
    assert found.split_of["d"] == "validation"
    assert {*found.left_out} == {"new"}


def test_of_new_clips_between_two_splits_the_shortest_link_is_cut() -> None:
    items = [
        clip("a", 5000, music="1"),
        clip("long", 900, music="1", performer="2"),
        clip("short", 200, performer="2", music="3"),
        clip("longer", 950, music="3", performer="4"),
        clip("b", 700, performer="4"),
    ]
    found = assign(items, {"a": "train", "b": "test"}, strategy="whole")
    assert found.split_of == {"a": "train", "long": "train", "longer": "test", "b": "test"}
    assert found.left_out == {"short": "shares its performer with train and its music with test"}


def test_takes_of_a_video_are_in_one_split_but_one_may_be_left_out_alone() -> None:
    items = [
        clip("a", music="1"),
        clip("b", music="2"),
        clip("v_0", video="v"),
        clip("v_1", video="v", music="1"),
    ]
    before = {"a": "train", "b": "test", "v_0": "test"}
    found = assign(items, before)
    assert found.split_of == before
    assert found.left_out == {"v_1": "shares its music with train and its video with test"}


def test_a_new_clip_without_links_goes_where_its_genre_lacks_most() -> None:
    items = [
        *(clip(f"h{n}", genre="house") for n in range(10)), clip("new house", genre="house"),
        *(clip(f"l{n}", genre="latin") for n in range(10)), clip("new latin", genre="latin"),
    ]  # fmt: skip
    before = {f"h{n}": "train" for n in range(9)} | {"h9": "validation"}
    before |= {f"l{n}": "train" for n in range(9)} | {"l9": "test"}
    split_of = assign(items, before).split_of
    assert (split_of["new house"], split_of["new latin"]) == ("test", "validation")


def test_clips_without_a_known_genre_are_split_like_a_genre() -> None:
    items = [clip(f"{genre}{n}", genre=genre) for genre in ("", "house") for n in range(40)]
    for have in frames(items, assign(items).split_of).values():
        assert have == {"train": 32 * 600, "validation": 4 * 600, "test": 4 * 600}


def test_what_grows_on_a_held_out_clip_is_cut_off_before_it_fills_that_split() -> None:
    # Dances 0-19, each with music of the one before: all would follow the first into test.
    chain = [clip(f"c{n:02d}", music=f"m{n - n % 2}", performer=f"p{n - (n + 1) % 2}") for n in range(20)]
    others = [clip(f"o{n}") for n in range(20)]
    before = {"c00": "test"} | {f"o{n}": "train" for n in range(18)} | {"o18": "validation", "o19": "test"}
    found = assign([*chain, *others], before)
    have = frames([*chain, *others], found.split_of)["house"]
    assert len(found.left_out) <= 3
    assert have["test"] <= 5 * 600
    filled = frames([*chain, *others], assign([*chain, *others], before, strategy="whole").split_of)["house"]
    assert filled["test"] == 21 * 600


# A first release


def test_each_genre_is_within_two_points_of_its_shares_where_clips_are_alone() -> None:
    draw = random.Random(0)
    items = [
        clip(f"{genre}{n}", draw.randint(600, 6000), genre)
        for genre in ("ballet", "hip-hop", "house", "latin")
        for n in range(120)
    ]
    found = assign(items)
    assert not found.left_out
    for have in frames(items, found.split_of).values():
        for split, share in SHARES.items():
            assert have[split] / have.total() == pytest.approx(share, abs=0.02)


def test_long_clips_are_in_every_split() -> None:
    draw = random.Random(1)
    items = [clip(f"c{n}", draw.choice((600, 6000))) for n in range(300)]
    split_of = assign(items).split_of
    for split in SPLITS:
        some = [item.n_frames for item in items if split_of[item.clip_id] == split]
        assert 0.3 < sum(each == 6000 for each in some) / len(some) < 0.7


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, {"train"}), (2, {"train", "test"}), (3, {*SPLITS}), (4, {*SPLITS})],
)
def test_few_clips_fill_train_first_then_test_then_validation(count: int, expected: set[str]) -> None:
    for seed in range(5):
        assert {*assign([clip(f"c{n}") for n in range(count)], seed=seed).split_of.values()} == expected


def test_a_split_without_a_share_stays_empty() -> None:
    items = [clip(f"c{n}") for n in range(50)]
    split_of = assign(items, shares={"train": 0.9, "test": 0.1, "validation": 0}).split_of
    assert Counter(split_of.values()) == {"train": 45, "test": 5}


def test_kinds_that_are_not_asked_for_join_nothing_but_clips_of_a_video_always() -> None:
    items = [clip(f"c{n}", performer="p", video=f"v{n // 2}") for n in range(20)]
    assert {*assign(items).split_of.values()} == {"train"}
    by_music = assign(items, kinds=("music",))
    assert {*by_music.split_of.values()} == {*SPLITS}
    assert leaks(items, by_music.split_of, ("music",)) == []
    assert [leak.kind for leak in leaks(items, by_music.split_of)] == ["performer"]


def test_one_video_stays_whole_in_train_however_much_of_its_genre_it_is() -> None:
    items = [clip(f"c{n}", video="v", music=f"m{n}", genre="ballet") for n in range(10)]
    found = assign([*items, *(clip(f"o{n}") for n in range(20))])
    assert {found.split_of[item.clip_id] for item in items} == {"train"}


def test_a_chain_that_is_all_of_a_genre_is_cut_at_few_clips() -> None:
    chain = [clip(f"c{n:03d}", music=f"m{n - n % 2}", performer=f"p{n - (n + 1) % 2}") for n in range(100)]
    found = assign(chain)
    assert 2 <= len(found.left_out) <= 4
    have = frames(chain, found.split_of)["house"]
    for split, share in SHARES.items():
        assert have[split] / have.total() == pytest.approx(share, abs=0.02)
    assert {*assign(chain, strategy="whole").split_of.values()} == {"train"}
    assert not assign(chain, strategy="whole").left_out


def aist(genres: int = 10) -> list[Item]:
    """Each genre has three dancers, who dance to each of its six pieces three times."""
    return [
        clip(
            f"{genre}-{dancer}-{piece}-{take}", genre=str(genre),
            music=f"{genre}-{piece}", performer=f"{genre}-{dancer}",
        )
        for genre in range(genres)
        for dancer in range(3)
        for piece in range(6)
        for take in range(3)
    ]  # fmt: skip


def test_three_dancers_and_six_pieces_are_cut_in_two_and_test_and_validation_take_turns() -> None:
    # Two dancers and four pieces train, the third dances the other two: 8 and 2 of 18. Three splits would keep 6.
    items = aist()
    found = assign(items)
    assert len(found.split_of) == 10 * 3 * 10
    by_genre = frames(items, found.split_of)
    assert all(have["train"] == 24 * 600 and have.total() == 30 * 600 for have in by_genre.values())
    assert sum((have for have in by_genre.values()), Counter()) == {
        "train": 240 * 600, "validation": 30 * 600, "test": 30 * 600,
    }  # fmt: skip


def test_two_crowds_joined_by_one_clip_are_parted_there() -> None:
    dancer = [clip(f"d{n}", performer="p", music=f"m{n}") for n in range(8)]
    piece = [clip(f"m{n}", performer=f"p{n}", music="m") for n in range(2)]
    found = assign([*dancer, *piece, clip("both", performer="p", music="m")])
    assert {*found.left_out} == {"both"}
    assert {found.split_of[item.clip_id] for item in dancer} == {"train"}
    assert {found.split_of[item.clip_id] for item in piece} == {"test"}


def test_genres_with_few_clips_make_up_for_each_other() -> None:
    items = [clip(f"{genre}{n}", genre=genre) for genre in "abcdefghij" for n in range(5)]
    split_of = assign(items).split_of
    assert Counter(split_of.values()) == {"train": 40, "validation": 5, "test": 5}
    assert all(have["train"] == 4 * 600 for have in frames(items, split_of).values())


def test_the_price_says_how_much_a_cut_may_leave_out() -> None:
    # Whole, 20 % of 18 dances are in the wrong split: 3.6 at the price of 2 are less than the 8 that a cut leaves out.
    assert {*assign(aist(1), price=2).split_of.values()} == {"train"}
    assert not assign(aist(1), price=2).left_out
    assert {*assign(aist(1), price=2.5).split_of.values()} == {"train", "test"}


def test_a_genre_whose_clips_are_joined_to_another_is_weighed_with_both() -> None:
    # One channel dances all latin and a tenth of house; only 20 % of latin would be too much in test.
    channel = [clip(f"c{n}", genre="latin", performer="p") for n in range(5)] + [clip("c5", performer="p")]
    house = [clip(f"h{n}") for n in range(50)]
    found = assign([*channel, *house])
    assert {found.split_of[item.clip_id] for item in channel} == {"train"}
    have = frames([*channel, *house], found.split_of)["house"]
    assert have["test"] + have["validation"] == pytest.approx(0.2 * 51 * 600, abs=1300)


# The leak test


def test_leaks_names_the_group_and_its_clips_by_split() -> None:
    items = [
        clip("a", music="m"), clip("b", music="m"), clip("c", music="m"), clip("d", video="v"), clip("e", video="v"),
        clip("f", music="m"),
    ]  # fmt: skip
    split_of = {"a": "train", "c": "test", "b": "train", "d": "train", "e": "validation"}
    assert leaks(items, split_of) == [
        Leak("music", "m", {"test": ("c",), "train": ("a", "b")}),
        Leak("video_id", "v", {"train": ("d",), "validation": ("e",)}),
    ]


def test_an_unknown_performer_is_not_the_same_as_another() -> None:
    items = [clip("a", performer=""), clip("b", performer=""), clip("c")]
    assert leaks(items, {"a": "train", "b": "test", "c": "validation"}) == []
    assert {*assign(items).split_of.values()} == {*SPLITS}


# What was asked for


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"shares": {"train": 0.8, "test": 0.1}}, "add up to 1; they are train 0.8, test 0.1"),
        ({"shares": {"train": 1.1, "test": -0.1}}, "at least 0"),
        ({"shares": {"train": 0.9, "dev": 0.1}}, "'dev' is no split; there are train, validation, test"),
        ({"before": {"a": "eval"}}, "'eval' is no split"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        assign([clip("a")], **wrong)


def test_a_clip_twice_or_without_frames_is_refused() -> None:
    with pytest.raises(UsageError, match="Clip a is there twice"):
        assign([clip("a"), clip("a")])
    with pytest.raises(UsageError, match="Clip b has 0 frames"):
        assign([clip("a"), clip("b", 0)])


def test_no_clips_give_no_splits() -> None:
    assert assign([]) == Assignment({}, {})


# Properties


def _named(kind: str) -> st.SearchStrategy[str]:
    return st.integers(0, 7).map(lambda number: f"{kind}{number}" if number else "")


@st.composite
def datasets(draw: st.DrawFn) -> list[Item]:
    drawn = draw(
        st.lists(
            st.tuples(
                st.integers(0, 12), st.sampled_from(("", "house", "latin")), st.integers(1, 9),
                _named("m"), _named("p"), _named("c"),
            ),
            max_size=30,
        )
    )  # fmt: skip
    return [
        Item(f"c{n}", f"v{video}", genre, length, {"music": music, "performer": performer, "video": copies})
        for n, (video, genre, length, music, performer, copies) in enumerate(drawn)
    ]


@settings(max_examples=150, deadline=None)
@given(items=datasets(), seed=st.integers(0, 3), cut=st.booleans())
def test_nothing_leaks_and_every_clip_is_kept_or_told_why_not(
    items: list[Item], seed: int, cut: bool
) -> None:
    found = assign(items, seed=seed, strategy="drop-crossing" if cut else "whole")
    assert not parted(items, found.split_of)
    assert leaks(items, found.split_of) == []
    assert {*found.split_of} | {*found.left_out} == {item.clip_id for item in items}
    assert not {*found.split_of} & {*found.left_out}
    assert all(reason.startswith("shares its ") and " with " in reason for reason in found.left_out.values())
    if not cut:
        assert not found.left_out


@settings(max_examples=80, deadline=None)
@given(items=datasets(), data=st.data())
def test_neither_order_nor_names_of_groups_matter(items: list[Item], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(items))
    names = data.draw(st.permutations(range(30)))
    renamed = [
        replace(
            item,
            video_id=f"x{names[int(item.video_id[1:])]}",
            groups={
                kind: f"{names[int(group[1:])]}" if group else ""
                for kind, group in reversed(item.groups.items())
            },
        )
        for item in shuffled
    ]
    before = {item.clip_id: data.draw(st.sampled_from(SPLITS)) for item in items[: len(items) // 3]}
    assert assign(renamed, before) == assign(items, before)


@settings(max_examples=100, deadline=None)
@given(items=datasets(), first=st.integers(0, 30), cut=st.booleans())
def test_a_release_that_grows_keeps_every_earlier_split(items: list[Item], first: int, cut: bool) -> None:
    how: Any = "drop-crossing" if cut else "whole"
    earlier = assign(items[:first], strategy=how).split_of
    found = assign(items, earlier, strategy=how)
    assert {name: found.split_of.get(name) for name in earlier} == dict(earlier)
    assert not parted(items, found.split_of)
    assert {*found.split_of} | {*found.left_out} == {item.clip_id for item in items}
    assert assign(items, found.split_of, strategy=how) == found  # and the same again if nothing is new


@settings(max_examples=100, deadline=None)
@given(items=datasets(), data=st.data())
def test_earlier_splits_that_leak_by_now_are_mended_by_leaving_out(
    items: list[Item], data: st.DataObject
) -> None:
    before = {item.clip_id: data.draw(st.sampled_from(SPLITS)) for item in items[::2]}
    found = assign(items, before)
    assert not parted(items, found.split_of)
    assert all(found.split_of.get(name, split) == split for name, split in before.items())
    for name, reason in found.left_out.items():  # nothing is left out that could stay
        links = {
            found.split_of[other.clip_id]
            for item in items
            if item.clip_id == name
            for other in items
            if other.clip_id in found.split_of and parted([item, other], {name: "x", other.clip_id: "y"})
        }
        assert links - {before.get(name)} if name in before else len(links) > 1, reason


@pytest.mark.parametrize("seed", range(3))
def test_ten_steps_of_growth_leave_out_little_and_keep_the_shares(seed: int) -> None:
    items = a_random_dataset(seed, 400)
    done: dict[str, str] = {}
    for step in range(1, 11):
        some = [item for item in items if int(item.clip_id[:4]) < 40 * step]
        found = assign(some, done, seed=seed)
        assert {name: found.split_of[name] for name in done} == done
        assert not parted(some, found.split_of)
        done = dict(found.split_of)
    lost = sum(item.n_frames for item in items if item.clip_id in found.left_out)
    assert lost < 0.1 * sum(item.n_frames for item in items)
    have = sum(frames(items, found.split_of).values(), Counter())
    for split, share in SHARES.items():
        assert have[split] / have.total() == pytest.approx(share, abs=0.05)


def test_the_splits_of_a_seed_are_these() -> None:
    # Whoever changes this gives up that a release can be made again.
    split_of = assign([clip(f"c{n}") for n in range(10)], seed=7).split_of
    assert {split: [name for name in split_of if split_of[name] == split] for split in ("validation", "test")} == {
        "validation": ["c1"], "test": ["c8"],
    }  # fmt: skip
