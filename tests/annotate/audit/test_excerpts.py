"""Excerpts for people to write down: where they lie, and that each source has the same chance."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from d2midi_build.annotate.audit.excerpts import Excerpt, excerpts

CLIPS = {"a_00000000": 3000, "a_00200000": 700, "b_00000000": 650, "c_00000000": 210, "d_00000000": 199}


@given(
    st.dictionaries(
        st.sampled_from([f"{v}_{k:08d}" for v in "abcd" for k in range(3)]), st.integers(0, 1500)
    ),
    st.integers(0, 40),
    st.integers(0, 99),
)
def test_they_lie_inside_sheets_and_never_overlap(clips: dict[str, int], n: int, seed: int) -> None:
    found = excerpts(clips, n, seed)
    assert len(found) <= n
    for each in found:
        assert each.end_s - each.start_s == 10
        assert each.start_s >= 0 and 20 * each.end_s <= clips[each.clip_id]
        assert each.start_s // 30 == (each.end_s - 1) // 30, "one sheet"
    seconds = [(each.clip_id, second) for each in found for second in range(each.start_s, each.end_s)]
    assert len(seconds) == len({*seconds})
    assert found == excerpts(dict(reversed(clips.items())), n, seed), "the order of clips does not count"
    assert excerpts(clips, n + 5, seed)[:n] == found


def test_every_source_comes_once_before_any_comes_again() -> None:
    found = excerpts(CLIPS, 5, 1)
    assert sorted(each.source for each in found[:3]) == ["a", "b", "c"], "d is shorter than an excerpt"
    assert sorted(each.source for each in found[3:]) == ["a", "b"], "c has but one"
    every = excerpts(CLIPS, 1000, 1)
    assert Counter(each.source for each in every)["c"] == 1
    assert {each.source for each in excerpts(CLIPS, 1, 0)} | {
        excerpts(CLIPS, 1, k)[0].source for k in range(20)
    } == {
        "a",
        "b",
        "c",
    }
    assert excerpts(CLIPS, 5, 1) != excerpts(CLIPS, 5, 2)


def test_how_long_a_source_is_does_not_count() -> None:
    first = Counter(excerpts({"a_0": 20_000, "b_0": 220}, 1, seed)[0].source for seed in range(400))
    # Half of 400, give or take 4 standard deviations.
    assert 160 <= first["a"] <= 240


def test_they_have_names() -> None:
    assert Excerpt("yt-abc_00001000", 20, 30).excerpt_id == "yt-abc_00001000@20"
    assert Excerpt("yt-abc_00001000", 20, 30).source == "yt-abc"
