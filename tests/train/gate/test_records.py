"""The publish rule: what decides, in which order, and what a report keeps."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from d2midi_build.errors import SchemaError
from d2midi_build.train.gate.records import Decision, Record, Report, decide, enough, timed


def record(stage: Any, verdict: Any = "pass", name: str = "", why: str = "because") -> Record:
    return Record(stage, name or f"tokens.{stage.lower()}", 1.5, 12, (1.0, 2.0), 1.0, verdict, why, 0.1, 0.02)


GOOD = tuple(record(stage) for stage in "ACDEFG")


class FakeRelease:
    name, version, digest = "dances", "1.0.0", "ab" * 32


def report(records: Any = GOOD, **options: Any) -> Report:
    given: Any = FakeRelease()
    return Report.decided(given, records, seeds=(0, 1, 2), settings={"preset": "smoke"}, **options)


def but(stage: str, verdict: Any, **changes: Any) -> Decision:
    return decide(
        [replace(each, verdict=verdict, **changes) if each.stage == stage else each for each in GOOD]
    )


def test_a_release_passes_only_with_all_deciding_stages() -> None:
    assert decide(GOOD).verdict == "pass"
    assert not decide(GOOD).preview_only
    for lacking in "ACDEF":
        found = decide([each for each in GOOD if each.stage != lacking])
        assert found.verdict == "not-testable"
        assert found.preview_only
        assert found.why[-1] == f"Not run: stage {lacking}. Run the whole gate."


@pytest.mark.parametrize("stage", ["A", "C", "D", "E", "F"])
def test_any_deciding_stage_that_fails_fails_the_release_for_its_own_reason(stage: str) -> None:
    found = but(stage, "fail", why="it is wrong")
    assert found.verdict == "fail"
    assert found.why == (f"It is wrong [{stage}, tokens.{stage.lower()}]",)


def test_one_failing_record_among_passing_ones_of_a_stage_fails_it() -> None:
    assert decide([*GOOD, record("F", "fail", "lag.offset_ms")]).verdict == "fail"
    assert decide([*GOOD, record("F", "info", "genre=house")]).verdict == "pass"


def test_a_negative_control_that_fails_or_lacks_makes_the_verdict_invalid() -> None:
    assert but("G", "fail").verdict == "invalid"
    assert decide([each for each in GOOD if each.stage != "G"]).verdict == "invalid"
    both = [replace(each, verdict="fail") if each.stage in "GF" else each for each in GOOD]
    assert decide(both).verdict == "invalid"


def test_what_is_certain_without_statistics_comes_before_the_negative_control() -> None:
    both = [replace(each, verdict="fail") if each.stage in "AG" else each for each in GOOD]
    assert decide(both).verdict == "fail"


def test_of_stage_d_only_tokens_decide() -> None:
    assert decide([*GOOD, record("D", "fail", "style.accuracy")]).verdict == "pass"
    assert decide([*GOOD, record("D", "fail", "tokens.nll")]).verdict == "fail"
    only_style = [replace(each, name="style.accuracy") if each.stage == "D" else each for each in GOOD]
    assert decide(only_style).verdict == "not-testable"


def test_an_explained_association_passes_and_says_so() -> None:
    failing = [replace(each, verdict="fail") if each.stage == "E" else each for each in GOOD]
    found = decide(failing, explained="ballet has no beat")
    assert found.verdict == "pass"
    assert found.why[-1] == "E does not pass, which is explained: ballet has no beat"
    worse = [replace(each, verdict="fail") if each.stage in "EF" else each for each in GOOD]
    assert decide(worse, explained="ballet has no beat").verdict == "fail"
    assert decide(GOOD, explained="needless").why == decide(GOOD).why
    assert decide(failing, explained=" ").verdict == "fail"


def test_info_alone_is_no_stage_that_was_run() -> None:
    assert but("F", "info").verdict == "not-testable"


def test_too_few_test_sources_are_not_testable_and_say_how_many_are_needed() -> None:
    found = enough({f"v{i}": "house" for i in range(5)}, ["house", "ballet"])
    assert (found.verdict, found.value, found.threshold) == ("not-testable", 5, 8)
    assert (
        "5 sources with a genre are in test, 8 are needed: 3 more there, or about 80 sources in all"
        in found.why
    )
    decision = decide([*GOOD, found])
    assert decision.verdict == "not-testable"
    assert "80 sources in all" in decision.why[0]


def test_a_single_genre_is_not_testable_however_many_sources() -> None:
    test = {f"v{i}": "house" for i in range(20)}
    assert "1 genres (all of it is house), 2 are needed" in enough(test, ["house", ""]).why
    assert enough(test, ["house", ""]).verdict == "not-testable"
    assert enough(test, ["house", "latin"]).verdict == "pass"


def test_what_fails_is_told_before_what_cannot_be_tested() -> None:
    mixed = [*GOOD, record("F", "fail", "lag.offset_ms"), record("F", "not-testable", "beat")]
    assert decide(mixed).verdict == "fail"


def test_a_report_survives_json_to_the_last_field() -> None:
    whole = report(
        [*GOOD, record("H", "info", "bhs"), replace(record("B", "info"), ci=None, p=None, value=None)]
    )
    assert Report.from_json(whole.to_json()) == whole
    assert json.loads(whole.to_json())["verdict"] == "pass"
    assert whole.to_json() == Report.from_json(whole.to_json()).to_json()


@pytest.mark.parametrize(
    "change",
    [{"format": 99}, {"verdict": "excellent"}, {"records": [{}]}, {"extra": 1}, {"seeds": None}],
)
def test_what_is_no_report_is_refused_with_a_way_out(change: dict[str, Any]) -> None:
    text = json.dumps(json.loads(report().to_json()) | change)
    with pytest.raises(SchemaError, match=r"Run `d2midi gate` again"):
        Report.from_json(text)


def test_records_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match=r"several are called A tokens\.a"):
        report([*GOOD, GOOD[0]])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"stage": "I"}, "stage is 'I'"),
        ({"verdict": "good"}, "verdict is 'good'"),
        ({"value": float("nan")}, "nan is no finite number"),
        ({"ci": (0.0, float("inf"))}, "inf is no finite number"),
    ],
)
def test_impossible_records_are_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(GOOD[0], **change)


def test_a_timed_record_is_the_one_made_with_its_time() -> None:
    made = timed(lambda: GOOD[0])
    assert replace(made, seconds=0.1) == GOOD[0]
    assert made.seconds >= 0
