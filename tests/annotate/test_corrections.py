"""The store of corrections: what is kept, what survives damage, and which of several counts."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from d2midi_build.annotate.corrections import (
    Correction,
    Corrections,
    agree,
    append,
    settlement,
    withdrawal,
)
from d2midi_build.annotate.edits import revised
from d2midi_build.annotate.layering import Layered, Row, notes_of
from tests.annotate.making import band, later, row

SHEET = "yt-abc_00001000_s000"
SHOWN = Layered.untouched(notes_of([row(1.0), row(2.0, 62), row(3.0, 64)]))


def made(by: str, changed: dict[int, Row], shown: Layered = SHOWN, **fields: object) -> Correction:
    """A correction by somebody who changed some notes."""
    left = {**shown.final, **changed}
    correction = Correction(
        SHEET, by, "2026-01-02T03:04:05+00:00", "heard", "midi", shown.said, revised(shown, left, "heard")
    )
    return replace(correction, **fields)  # type: ignore[arg-type]


def moved(by_s: float) -> dict[int, Row]:
    """Note 0 moved."""
    return {0: later(SHOWN.final[0], by_s)}


def counting(*lines: Correction) -> str | None:
    """Whose correction counts; None where none does, "conflict" where people dispute it."""
    standing = Corrections(lines).standing(SHEET)
    assert not (standing.conflict and standing.applied)
    return "conflict" if standing.conflict else standing.applied and standing.applied.by


def test_they_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "overlays" / "corrections.jsonl"
    shown = Layered.untouched(band())
    left = {number: later(each, 0.013) if number % 3 else each for number, each in shown.final.items()}
    first = Correction(
        SHEET,
        "Zoë",
        "2026-01-02T03:04:05+00:00",
        "aligned",
        "midi",
        shown.said,
        revised(shown, left, "aligned"),
    )
    second = made("bob", moved(0.5), reviewer=True, carried_from="other_00000000_s001")
    assert append(path, [first]) == [first]
    assert append(path, [second]) == [second]
    assert Corrections.read(path).lines == (first, second)
    assert Corrections.read(path, "yt-abc_00001000").lines == (first, second)
    assert Corrections.read(path, "yt-abc").lines == ()


def test_saying_it_again_adds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "corrections.jsonl"
    once = made("ada", moved(0.5))
    append(path, [once])
    before = path.read_bytes()
    assert append(path, [replace(once, at="2027-01-01T00:00:00+00:00", tool="label-studio")]) == []
    assert path.read_bytes() == before
    assert append(path, [withdrawal(made("bob", {}), "2027")]) == [], "there is nothing of theirs to withdraw"
    back = withdrawal(once, "2027-01-01T00:00:00+00:00")
    assert append(path, [back]) == [back]
    assert append(path, [replace(back, at="2028")]) == []
    assert append(path, [once]) == [once], "after a withdrawal it is new again"


def test_a_torn_line_costs_nothing_but_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "corrections.jsonl"
    append(path, [made("ada", moved(0.5))])
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    assert [each.by for each in Corrections.read(path).lines] == ["ada"]
    assert "line 2 is damaged" in caplog.text
    append(path, [made("bob", moved(0.25))])
    assert [each.by for each in Corrections.read(path).lines] == ["ada", "bob"]


@pytest.mark.parametrize(
    "changed",
    [
        {"machine": "0" * 64},
        {"reason": "boring"},
        {"sheet": "yt-abc"},
        {"notes": {}},
        {"notes": []},
    ],
)
def test_a_line_that_cannot_be_is_ignored(
    changed: dict[str, object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "corrections.jsonl"
    append(path, [made("ada", moved(0.5)), made("bob", moved(0.5))])
    first, second = path.read_text().splitlines()
    path.write_text(json.dumps(json.loads(first) | changed) + "\n" + second + "\n")
    assert [each.by for each in Corrections.read(path).lines] == ["bob"]
    assert "line 1 is damaged" in caplog.text


def _write(path: Path, by: str) -> None:
    for k in range(10):
        append(path, [made(by, moved((1 + k) / 10))])


def test_two_processes_may_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "corrections.jsonl"
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write, args=(path, by)) for by in ("ada", "bob")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    lines = Corrections.read(path).lines
    assert sorted(each.by for each in lines) == ["ada"] * 10 + ["bob"] * 10


def test_the_newest_of_a_person_counts() -> None:
    assert counting() is None
    assert counting(made("ada", moved(0.5))) == "ada"
    lines = made("ada", moved(0.5)), made("ada", moved(0.25))
    assert Corrections(lines).standing(SHEET).applied is lines[1]
    assert counting(*lines, withdrawal(lines[1], "2027")) is None, "an older one does not come back"


def test_independent_corrections_that_differ_count_neither_in_whatever_order() -> None:
    ada, bob = made("ada", moved(0.5)), made("bob", moved(0.25))
    assert counting(ada, bob) == counting(bob, ada) == "conflict"
    told = Corrections([ada, bob]).standing(SHEET).told()
    assert told.startswith(f"{SHEET}: ada (2026-01-02) and bob (2026-01-02) disagree")
    assert counting(ada, bob, withdrawal(ada, "2027")) == "bob"


def test_who_says_that_nothing_needs_changing_disagrees_with_who_changed_something() -> None:
    assert counting(made("ada", {}), made("bob", moved(0.5))) == "conflict"
    assert counting(made("bob", moved(0.5)), made("ada", {})) == "conflict"
    assert counting(made("ada", {}), made("bob", {})) == "bob"


def test_going_on_from_somebodys_work_is_no_conflict() -> None:
    ada = made("ada", moved(0.5))
    bob = made("bob", {1: row(2.0, 70)}, ada.layered)
    assert counting(ada, bob) == "bob"
    cleo = made("cleo", {2: row(3.0, 71)}, bob.layered)
    assert counting(ada, bob, cleo) == "cleo"
    # Ada changes her mind after Bob went on: now they disagree, and Bob, who took from her, is not replaced by it.
    assert counting(ada, bob, made("ada", moved(0.1))) == "conflict"
    back = made("ada", moved(0.1), bob.layered)
    assert counting(ada, bob, back) == "ada"


def test_a_reviewer_settles_it() -> None:
    ada, bob = made("ada", moved(0.5)), made("bob", moved(0.25))
    ruled = settlement(bob, "rita", "2027")
    for lines in ([ada, bob, ruled], [ruled, ada, bob]):
        standing = Corrections(lines).standing(SHEET)
        assert standing.applied is ruled
        assert [each.by for each in standing.others] == ["ada"], "overruled, and told so"
    later_one = made("carl", moved(0.75), ruled.layered)
    assert counting(ada, bob, ruled, later_one) == "rita"
    assert counting(ada, bob, ruled, withdrawal(ruled, "2028")) == "conflict"


def test_what_was_carried_over_gives_way_to_work_on_the_sheet_itself() -> None:
    carried = made("ada", moved(0.5), carried_from="other_00000000_s000")
    assert counting(carried) == "ada"
    assert counting(made("bob", moved(0.1)), carried) == "bob"


def test_small_differences_are_agreement() -> None:
    ada = made("ada", moved(0.5)).layered
    assert agree(ada, made("bob", moved(0.509)).layered)
    assert not agree(ada, made("bob", moved(0.511)).layered)
    note = later(SHOWN.final[0], 0.5)
    assert agree(ada, made("bob", {0: note._replace(velocity=note.velocity + 8)}).layered)
    assert not agree(ada, made("bob", {0: note._replace(velocity=note.velocity + 9)}).layered)
    assert not agree(ada, made("bob", {0: note._replace(pitch=61)}).layered)
    assert agree(ada, made("bob", {0: later(note, 0, 0.049)}).layered)
    assert not agree(ada, made("bob", {0: later(note, 0, 0.051)}).layered)
    assert not agree(ada, made("bob", {**moved(0.5), -1: row(9.0)}).layered)
    aligned = revised(SHOWN, {**SHOWN.final, **moved(0.5)}, "aligned")
    assert not agree(ada, aligned), "the same final notes, heard otherwise"


def test_earlier_states_can_be_looked_at() -> None:
    lines = made("ada", moved(0.5)), made("bob", moved(0.25))
    assert [len(each.lines) for each in Corrections(lines).earlier()] == [1, 0]
