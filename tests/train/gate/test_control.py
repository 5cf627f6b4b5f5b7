"""Stage G: a control that passes once is chance, twice it is a broken check."""

from __future__ import annotations

from d2midi_build.train.gate.control import Round, control_records

LEVELS = {"alignment": 0.01, "association": 0.05}


def controlled(*rounds: Round) -> tuple[list[str], list[int]]:
    asked: list[int] = []

    def judge(number: int) -> Round:
        asked.append(number)
        return rounds[number]

    return [each.verdict for each in control_records(judge, LEVELS)], asked


def test_a_control_that_finds_nothing_is_asked_once() -> None:
    assert controlled({"alignment": 0.4, "association": 0.06}) == (["pass", "pass"], [0])
    assert controlled({"alignment": 0.01, "association": 0.05})[1] == [0]


def test_one_that_passes_by_chance_is_repeated_and_forgiven() -> None:
    nothing = {"alignment": 0.5, "association": 0.5}
    found = controlled({"alignment": 0.5, "association": 0.04}, nothing, nothing)
    assert found == (["pass", "pass"], [0, 1, 2])


def test_one_that_passes_again_breaks_the_check_for_its_stage() -> None:
    by_chance = {"alignment": 0.009, "association": 0.2}
    found = controlled(by_chance, {"alignment": 0.3, "association": 0.01}, by_chance)
    assert found[0] == ["fail", "pass"]


def test_the_p_values_are_told() -> None:
    rounds = iter(
        [
            {"alignment": 0.001, "association": 0.5},
            {"alignment": 0.002, "association": 0.5},
            {"alignment": 0.9, "association": 0.5},
        ]
    )
    record = control_records(lambda number: next(rounds), LEVELS)[0]
    assert "in 2 of 3 controls (0.001, 0.002, 0.9)" in record.why
    assert record.p == 0.001


def test_nothing_to_compare_is_not_testable() -> None:
    assert controlled({"alignment": None, "association": None}) == (["not-testable", "not-testable"], [0])
