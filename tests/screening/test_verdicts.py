from __future__ import annotations

import json
import logging
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from d2midi_build.screening.criteria import Decision
from d2midi_build.screening.verdicts import Judgement, Verdict, Verdicts

AUTOMATIC = Decision("review", ("background",), "a busy background: .08 (review above .04, reject above .1)")


def verdict(item: str = "v", word: str = "accept", why: str = "seen it", by: str = "ada") -> Verdict:
    return Verdict(item, word, why, by, "2026-11-26T10:00:00+00:00")  # type: ignore[arg-type]


def test_a_take_s_own_verdict_comes_before_its_video_s_and_the_newest_counts(tmp_path: Path) -> None:
    kept = Verdicts(tmp_path / "overlays" / "screening.jsonl")
    kept.append([verdict("v", "reject"), verdict("v_0", "accept")])
    kept.append([verdict("v", "reject", "still no")])
    for verdicts in (kept, Verdicts(kept.path)):
        own, shared = verdicts.of("v_0", "v"), verdicts.of("v_1", "v")
        assert own is not None and own.verdict == "accept"
        assert shared is not None and shared.why == "still no"
        assert verdicts.of("w_0", "w") is None
        assert len(verdicts) == 2


def test_what_is_withdrawn_counts_no_more(tmp_path: Path) -> None:
    kept = Verdicts(tmp_path / "screening.jsonl")
    kept.append([verdict("v", "reject"), verdict("v_0"), verdict("v_0", "withdraw", "")])
    left = kept.of("v_0", "v")
    assert left is not None and left.item == "v"
    kept.append([verdict("v", "withdraw", "")])
    assert kept.of("v_0", "v") is None and len(kept) == 0


def test_a_torn_line_loses_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = Verdicts(tmp_path / "screening.jsonl")
    kept.append([verdict("a"), verdict("b")])
    kept.path.write_bytes(kept.path.read_bytes()[:-9])  # a power cut while writing
    again = Verdicts(kept.path)
    assert again.of("a", "") is not None and again.of("b", "") is None
    again.append([verdict("c")])
    with caplog.at_level(logging.WARNING):
        last = Verdicts(kept.path)
    assert "line 2 is damaged" in caplog.text
    assert [each.item for each in last.items()] == ["a", "c"]


def test_reasons_may_hold_any_character_and_wrong_words_are_damage(tmp_path: Path) -> None:
    kept = Verdicts(tmp_path / "screening.jsonl")
    kept.append([verdict("a", "reject", "pasted\u2028text\x85 and\nlines")])
    with kept.path.open("a") as file:
        file.write('{"item": "b", "verdict": "banana", "why": "", "by": "x", "at": "2026-01-01"}\n')
        file.write('{"item": "c", "verdict": "accept", "why": "", "by": "x", "at": null}\n')
    assert [(each.item, each.why) for each in Verdicts(kept.path).items()] == [
        ("a", "pasted\u2028text\x85 and\nlines")
    ]


def test_what_is_said_already_is_known(tmp_path: Path) -> None:
    kept = Verdicts(tmp_path / "screening.jsonl")
    kept.append([verdict("a")])
    assert kept.says(replace(verdict("a"), at="2027-01-01T00:00:00+00:00"))
    assert not kept.says(verdict("a", by="bob")) and not kept.says(verdict("b"))


def _append(path: Path, name: str) -> None:
    for number in range(20):
        Verdicts(path).append([verdict(f"{name}{number}", why="x" * 500)])


def test_two_people_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "screening.jsonl"
    context = get_context("spawn")
    people = [context.Process(target=_append, args=(path, name)) for name in "ab"]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 40
    assert len(Verdicts(path)) == 40


def test_a_person_overrules_judgement_and_is_named() -> None:
    accepted = Judgement(AUTOMATIC, verdict()).decision
    assert (accepted.status, accepted.reasons) == ("accept", ())
    assert accepted.explanation.startswith("accepted by ada on 2026-11-26: seen it")
    assert AUTOMATIC.explanation in accepted.explanation
    rejected = Judgement(Decision("accept"), verdict(word="reject", why="two dancers")).decision
    assert (rejected.status, rejected.reasons) == ("reject", ("by_hand",))
    assert rejected.explanation == "rejected by ada on 2026-11-26: two dancers"


def test_nobody_overrules_that_there_is_nothing_to_pair() -> None:
    short = Decision("reject", ("too_short", "background"), "90 frames, a window has 600; a busy background")
    decision = Judgement(short, verdict()).decision
    assert (decision.status, decision.reasons) == ("reject", ("too_short",))
    assert "cannot change that" in decision.explanation


def test_a_dropped_repeat_is_rejected_unless_it_was_anyway() -> None:
    repeat = Judgement(Decision("accept"), repeats="w_0")
    assert repeat.by_itself.status == "accept"
    assert (repeat.decision.status, repeat.decision.reasons) == ("reject", ("repeat",))
    assert "w_0" in repeat.decision.explanation
    rejected = Judgement(Decision("reject", ("silent",), "silence"), repeats="w_0").decision
    assert rejected.reasons == ("silent",)
