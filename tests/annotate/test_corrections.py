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
from d2midi_build.errors import UsageError
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
    second = made("bob", moved(0.5), reviewer=True, carried_from="other_00000000_s001", end_frame=480)
    assert append(path, [first]) == [first]
    assert append(path, [second]) == [second]
    assert Corrections.read(path).lines == (first, second)
    assert Corrections.read(path, "yt-abc_00001000").lines == (first, second)
    assert Corrections.read(path, "yt-abc").lines == ()
    older = path.read_text().replace(', "end_frame": 480', "").replace(', "end_frame": null', "")
    assert "end_frame" not in older
    path.write_text(older)
    assert Corrections.read(path).lines == (first, replace(second, end_frame=None))


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
        {"end_frame": "x"},
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


def test_who_needs_all_corrections_is_told_of_damage_but_not_of_a_power_cut(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "corrections.jsonl"
    assert Corrections.read(path, strictly=True).lines == ()
    append(path, [made("ada", moved(0.5))])
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:100])
    assert len(Corrections.read(path, strictly=True).lines) == 1
    assert "line 2 is damaged" in caplog.text
    for data, line in ((whole + whole[:100] + b"\n", 2), (whole[:100] + b"\n" + whole[:100], 1)):
        path.write_bytes(data)
        with pytest.raises(
            UsageError, match=f"line {line} is damaged .*: mend or delete it, since what it correct"
        ):
            Corrections.read(path, strictly=True)


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


def test_who_was_shown_only_the_machines_notes_goes_on_from_nobody() -> None:
    """Bob put back what Ada had changed, so what he left is the machine's notes; Cleo never saw his work."""
    ada = made("ada", moved(0.5))
    bob = made("bob", moved(0.0), ada.layered)
    assert bob.said == SHOWN.said
    cleo = made("cleo", {1: row(2.0, 70)})
    assert counting(ada, bob) == "bob"
    assert counting(ada, bob, cleo) == "conflict"


def test_names_are_the_same_however_they_are_written(tmp_path: Path) -> None:
    first, second = made("Ada", moved(0.5)), made(" ada", moved(0.25))
    assert counting(first, second) == " ada"
    assert counting(first, second, withdrawal(replace(second, by="ADA"), "2027")) is None
    assert Corrections([first]).required(SHEET, "ada ") is first
    path = tmp_path / "corrections.jsonl"
    append(path, [first])
    assert append(path, [replace(first, by="ada")]) == []


def test_lines_count_until_they_are_withdrawn() -> None:
    first, second = made("ada", moved(0.5)), replace(made("ada", moved(0.25)), at="2027-01-02")
    lines = [first, made("bob", moved(0.1)), withdrawal(first, "2027"), second, replace(first, at="2028")]
    assert Corrections(lines).since_withdrawal(SHEET, "ada") == [second, lines[-1]]
    assert Corrections(lines[:3]).since_withdrawal(SHEET, "ada") == []


def test_what_was_saved_last_counts_in_whatever_order_it_was_read() -> None:
    """An older answer in Label Studio may be pulled after a newer file of a DAW was imported."""
    older, newer = made("ada", moved(0.5)), replace(made("ada", moved(0.25)), at="2027")
    for lines in ((older, newer), (newer, older)):
        assert Corrections(lines).standing(SHEET).applied is newer


def test_what_was_carried_over_under_a_name_hides_nothing_that_its_author_says() -> None:
    own, carried = (
        made("ada", moved(0.5)),
        replace(made("ada", moved(0.25)), at="2027", carried_from="b_s000"),
    )
    for lines in ((own, carried), (carried, own)):
        known = Corrections(lines)
        assert known.standing(SHEET).applied is own
        assert known.required(SHEET, "ada") is own
    back = withdrawal(carried, "2028")
    assert Corrections([own, carried, back]).standing(SHEET).applied is own
    assert Corrections([carried, back]).standing(SHEET).applied is None


def test_what_is_said_now_is_after_all_that_was_said_whatever_clocks_say() -> None:
    ahead = replace(made("ada", moved(0.5)), at="2027-01-01T00:00:00.5+00:00")
    known = Corrections([ahead])
    assert known.after("2026-12-31T00:00:00.000001+00:00") == "2027-01-01T00:00:00.500001+00:00"
    assert known.after("2027-01-02T00:00:00.000001+00:00") == "2027-01-02T00:00:00.000001+00:00"
    assert Corrections().after("2026") == "2026"
    assert counting(ahead, withdrawal(ahead, known.after("2026-01-01T00:00:00.000001+00:00"))) is None


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
