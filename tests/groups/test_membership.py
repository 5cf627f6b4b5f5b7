from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from d2midi_build.groups.membership import KINDS, Member, Pair, aist_name, groups


def member(take_id: str, **about: Any) -> Member:
    known = {
        "video_id": take_id.rpartition("_")[0], "start_s": 0.0, "end_s": 30.0, "performer": "", "channel": "",
        "music": "", "url": f"https://x/{take_id}", "status": "accept", "features": Path(), "key": "k",
    }  # fmt: skip
    return Member(take_id=take_id, **(known | about))


def pair(kind: Any, first: str, second: str) -> Pair:
    return Pair(kind, first, second, "chromaprint", 0.9, 0.0, 12.0)


def together(members: list[Member], pairs: list[Pair], kind: str) -> set[frozenset[str]]:
    found: dict[str, set[str]] = {}
    for row in groups(members, pairs):
        if row["kind"] == kind:
            found.setdefault(row["group_id"], set()).add(row["take_id"])
    return {frozenset(group) for group in found.values()}


def test_names_that_are_equal_join_whatever_their_case() -> None:
    members = [
        member("a_0", music="Billie  Jean"),
        member("b_0", music="billie jean"),
        member("c_0", music="other"),
    ]
    assert together(members, [], "music") == {frozenset({"a_0", "b_0"}), frozenset({"c_0"})}


def test_the_performer_is_the_given_one_or_else_the_channel() -> None:
    members = [
        member("a_0", performer="Ada", channel="compilations"),
        member("b_0", channel="compilations"),
        member("c_0", channel="Compilations"),
        member("d_0"),
    ]
    assert together(members, [], "performer") == {frozenset({"a_0"}), frozenset({"b_0", "c_0"})}


def test_aist_names_tell_music_dancer_and_the_other_cameras() -> None:
    urls = [
        "https://aist/10M/gBR_sBM_c01_d04_mBR0_ch01.mp4",
        "https://aist/10M/gBR_sBM_c09_d04_mBR0_ch01.mp4",  # another camera
        "/data/gBR_sBM_c01_d05_mBR0_ch02.mp4",  # another dancer, the same music
        "/data/gPO_sBM_c01_d04_mPO1_ch02.mp4",  # the same dancer, other music
    ]
    members = [member(f"{name}_0", url=url, channel="AIST") for name, url in zip("abcd", urls, strict=True)]
    assert together(members, [], "video") == {
        frozenset({"a_0", "b_0"}),
        frozenset({"c_0"}),
        frozenset({"d_0"}),
    }
    assert together(members, [], "music") == {frozenset({"a_0", "b_0", "c_0"}), frozenset({"d_0"})}
    assert together(members, [], "performer") == {frozenset({"a_0", "b_0", "d_0"}), frozenset({"c_0"})}
    assert together(members, [], "split") == {frozenset({"a_0", "b_0", "c_0", "d_0"})}


def test_a_split_group_joins_what_any_kind_joins_however_far() -> None:
    members = [
        member("a_0", performer="x"),
        member("b_0", performer="x"),
        member("c_0"),
        member("d_0"),
        member("e_0"),
    ]
    pairs = [pair("music", "b_0", "c_0"), pair("video", "c_0", "d_0"), pair("music", "d_0", "gone_0")]
    assert together(members, pairs, "split") == {frozenset({"a_0", "b_0", "c_0", "d_0"}), frozenset({"e_0"})}
    assert together(members, pairs, "music") == {
        frozenset({"b_0", "c_0"}),
        *map(frozenset, ({"a_0"}, {"d_0"}, {"e_0"})),
    }


def test_takes_of_one_video_are_one_video() -> None:
    assert together([member("a_0"), member("a_9")], [], "video") == {frozenset({"a_0", "a_9"})}


def test_the_order_of_takes_does_not_matter_and_reasons_are_told() -> None:
    members = [member(f"{name}_0", music="m" if name in "ace" else "") for name in "abcdef"]
    pairs = [pair("music", "b_0", "c_0"), pair("video", "d_0", "f_0")]
    rows = {(row["take_id"], row["kind"]): row for row in groups(members, pairs)}
    assert rows["b_0", "music"] == {
        "take_id": "b_0", "kind": "music", "group_id": "a_0", "n_takes": 4,
        "because": ["sounds like c_0 for 12 s (chromaprint, score 0.90)"],
    }  # fmt: skip
    assert rows["a_0", "music"]["because"] == ["music 'm' in the list"]
    for seed in range(5):
        random.Random(seed).shuffle(members)
        again = {(row["take_id"], row["kind"]): row for row in groups(members, pairs)}
        assert again == rows
    assert {kind for _, kind in rows} == {*KINDS} - {"performer"}


def test_what_is_no_aist_name_is_none() -> None:
    assert aist_name("https://x/watch?v=abc") is None
    assert str(aist_name("https://x/gBR_sBM_c01_d04_mBR0_ch01.mp4?token=1")) == "gBR_sBM_c01_d04_mBR0_ch01"
