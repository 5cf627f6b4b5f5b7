from __future__ import annotations

from pathlib import Path

from d2midi_build.groups.repeats import Repeats, left_out, load
from tests.groups.test_membership import member, pair


def test_of_each_group_the_best_video_stays() -> None:
    members = [
        member("a_0", status="review", end_s=90.0),
        member("b_0", end_s=30.0),
        member("b_9", end_s=12.0),
        member("c_0", end_s=40.0),
        member("d_0"),
        member("e_0", status="reject", end_s=500.0),
    ]
    pairs = [pair("music", "a_0", "b_0"), pair("music", "b_0", "c_0"), pair("video", "c_0", "e_0")]
    # Accepted before under review, then the longest; a video goes with all its takes.
    assert left_out(members, pairs) == {"a_0": "c_0", "b_0": "c_0", "b_9": "c_0"}


def test_a_video_that_only_repeats_one_that_goes_stays() -> None:
    """A and B share music, A and C a picture; C is the best, so A goes, and B is the only one left with its music."""
    members = [member("a_0", end_s=30.0), member("b_0", end_s=20.0), member("c_0", end_s=40.0)]
    pairs = [pair("music", "a_0", "b_0"), pair("video", "a_0", "c_0")]
    assert left_out(members, pairs) == {"a_0": "c_0"}


def test_takes_of_one_video_do_not_repeat_each_other() -> None:
    members = [member("a_0", music="m"), member("a_9", music="m")]
    assert left_out(members, [pair("music", "a_0", "a_9")]) == {}


def test_the_same_performer_is_no_repeat() -> None:
    assert left_out([member("a_0", performer="p"), member("b_0", performer="p")], []) == {}


def test_the_memory_may_be_lost_or_damaged(tmp_path: Path) -> None:
    path = tmp_path / "repeats.json"
    for text in (
        None,
        "",
        "{",
        '{"version": 0, "compared": {}, "pairs": [], "left_out": {}}',
        '{"version": 1}',
    ):
        if text is not None:
            path.write_text(text)
        assert load(path) == Repeats()
