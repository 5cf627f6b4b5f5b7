"""How far people agree, by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.annotate.agreement import Agreement, agreement
from d2midi_build.annotate.corrections import Correction, Corrections, append, settlement, withdrawal
from d2midi_build.annotate.edits import revised
from d2midi_build.annotate.layering import Layered, Reason, Row, notes_of
from tests.annotate.making import labelled, later, row

NOTES = [
    row(1.0, 60, 0.5, "Violin"),
    row(2.0, 62, 0.5, "Violin"),
    row(3.0, 64, 0.5, "Piccolo"),
    row(4.0, 65, 0.5, "Piccolo"),
    row(5.0, 36, 0.1, "Drum"),
]
SHOWN = Layered.untouched(notes_of(NOTES))


def made(
    by: str,
    changed: dict[int, Row | None],
    reason: Reason = "heard",
    sheet: str = "yt-abc_00001000_s000",
    shown: Layered = SHOWN,
    lead_s: float | None = None,
) -> Correction:
    """A correction by somebody who changed, added (negative numbers) or deleted (None) notes."""
    left = {n: each for n, each in {**shown.final, **changed}.items() if each is not None}
    layered = revised(shown, left, reason)
    return Correction(sheet, by, "2026", reason, "midi", shown.said, layered, lead_s=lead_s)


def told(*lines: Correction) -> Agreement:
    return agreement(Corrections(lines), np.random.default_rng(0))


ADA = made("ada", {0: later(NOTES[0], 0.2), -1: row(6.0, 70)}, lead_s=120.0)
"""Moves note 0 out of the tolerance and adds a violin."""

BOB = made(
    "bob",
    {
        1: later(NOTES[1], 0.04),  # still the same note
        2: later(NOTES[2], 0.0, 0.3),  # the offset is 0.3 s off, allowed is 0.1 or 0.16
        3: labelled(NOTES[3], "Celesta"),
        4: NOTES[4]._replace(pitch=38),
    },
    lead_s=60.0,
)


def test_notes_are_compared_as_evaluation_does() -> None:
    found = told(ADA, BOB)
    assert (found.n_sheets, found.n_sources, len(found.pairs)) == (1, 1, 1)
    alike = found.layers["final"]
    # ada: 0', 1, 2, 3, the added one; bob: 0, 1', 2', 3': pitched 3 match of 5 and 4.
    assert alike.scores["onset"].f1.value == pytest.approx(2 * 3 / 9)
    assert (alike.scores["onset"].precision, alike.scores["onset"].recall) == (3 / 4, 3 / 5)
    assert alike.scores["onset_offset"].f1.value == pytest.approx(2 * 2 / 9), "without note 2"
    assert alike.scores["onset_instrument"].f1.value == pytest.approx(2 * 2 / 9), "without note 3"
    assert alike.scores["onset_offset_instrument"].f1.value == pytest.approx(2 * 1 / 9)
    assert alike.scores["drums"].f1.value == 0, "kick and snare"
    assert alike.scores["notes"].f1.value == pytest.approx(2 * 3 / 11)
    # Of 3 notes ada says violin, piccolo, piccolo; bob violin, piccolo, celesta: 2/3 observed, 3/9 by chance.
    assert alike.kappa.value == pytest.approx((2 / 3 - 1 / 3) / (1 - 1 / 3))
    assert alike.same_instrument.value == pytest.approx(2 / 3)
    assert alike.kappa.low is None, "one source"


def test_notes_that_nobody_touched_can_be_left_out() -> None:
    moved = later(NOTES[0], 0.2)
    found = told(made("ada", {0: moved, -1: row(6.0, 70)}), made("bob", {0: moved, 1: None}))
    # ada has 0', 1, 2, 3, 4 and one more, bob 0', 2, 3, 4; touched are 0, 1 and the new one.
    assert found.layers["heard"].scores["notes"].f1.value == pytest.approx(2 * 4 / 10)
    touched = found.touched
    assert (touched.n_sheets, touched.n_touched["heard"], touched.n_notes["heard"]) == (1, 3, 6)
    assert touched.layers is not None and touched.lacking == ""
    scored = touched.layers["heard"].scores["notes"]
    assert (scored.precision, scored.recall) == (1, 1 / 3)
    assert scored.f1.value == pytest.approx(2 * 1 / 4)
    assert touched.layers["heard"].scores["drums"].f1.value is None, "neither touched the drum"
    assert found.pairs[0].touched.layers is not None
    assert found.pairs[0].touched.layers["heard"].scores["notes"].f1.value == scored.f1.value
    data = json.loads(json.dumps(found.data()))
    assert data["touched"]["notes"] == {"heard": {"n": 3, "of": 6}, "final": {"n": 3, "of": 6}}
    assert data["pairs"][0]["touched"]["layers"]["final"]["scores"]["notes"]["f1"]["value"] == 0.5


def test_what_is_touched_is_so_in_each_layer_by_itself() -> None:
    moved = later(NOTES[0], 0.2)
    found = told(made("ada", {0: moved}, "aligned"), made("bob", {-1: moved, 0: None}, "aligned")).touched
    assert found.layers is not None
    assert (found.n_touched, found.n_notes) == ({"heard": 0, "final": 2}, {"heard": 5, "final": 6})
    assert found.layers["heard"].scores["notes"].f1.value is None
    assert found.layers["final"].scores["notes"].f1.value == 1, "drawn anew or dragged, it is the same"


def test_two_who_touch_nothing_agree_on_nothing_that_they_touched() -> None:
    found = told(made("ada", {}), made("bob", {}))
    assert found.layers["final"].scores["notes"].f1.value == 1
    assert (found.touched.n_sheets, found.touched.layers) == (1, None)
    assert found.touched.lacking == "nobody changed, added or deleted a note"
    assert found.published()["touched"]["layers"] is None


def test_what_was_touched_is_known_only_of_the_same_notes_of_the_machine() -> None:
    newer = Layered.untouched(notes_of(NOTES[1:]))
    first = made("ada", {0: None})
    found = told(first, made("bob", {0: None}, shown=newer))
    assert found.n_sheets == 1 and found.touched.n_sheets == 0
    assert found.touched.lacking == "no two people corrected a sheet from the same machine's notes"
    both = told(first, made("bob", {0: None}, shown=newer), made("eve", {}))
    assert (both.touched.n_sheets, both.touched.n_touched["final"]) == (1, 1)
    assert [each.touched.n_sheets for each in both.pairs] == [0, 1, 0]


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=15)
def test_untouched_notes_are_what_makes_agreement_high(seed: int) -> None:
    """Counts add up: whatever neither of two touched matches itself, and the rest is what is touched."""
    rng = np.random.default_rng(seed)
    notes = [row(1.0 + k, 40 + k, 0.5) for k in range(20)]  # nothing matches anything but itself
    shown = Layered.untouched(notes_of(notes))

    def anyhow(by: str) -> Correction:
        changed: dict[int, Row | None] = {}
        for k in rng.permutation(20)[: rng.integers(0, 8)].tolist():
            changed[k] = [None, later(notes[k], 0.2), notes[k]._replace(velocity=99)][int(rng.integers(3))]
        changed |= {-1 - k: row(0.5 + float(rng.integers(20)), 90) for k in range(rng.integers(0, 3))}
        return made(by, changed, shown=shown)

    found = told(anyhow("ada"), anyhow("bob"))
    n_kept = found.touched.n_notes["heard"] - found.touched.n_touched["heard"]
    whole = found.layers["heard"].scores["notes"]
    assert whole.f1.value is not None and 0 <= n_kept <= 20
    if found.touched.layers is None:
        assert (n_kept, whole.f1.value) == (20, 1)
        return
    alone = found.touched.layers["heard"].scores["notes"]
    if alone.f1.value is not None:
        assert alone.f1.value <= whole.f1.value + 1e-12


def test_layers_are_compared_by_themselves() -> None:
    found = told(made("ada", {0: later(NOTES[0], 0.2)}, "aligned"), made("bob", {}))
    assert found.layers["heard"].scores["notes"].f1.value == 1
    assert found.layers["final"].scores["notes"].f1.value == pytest.approx(8 / 10)


def test_who_agrees_on_one_instrument_only_has_no_kappa() -> None:
    violins = Layered.untouched(notes_of(NOTES[:2]))
    found = told(made("ada", {}, shown=violins), made("bob", {}, shown=violins))
    assert found.layers["final"].kappa.value is None
    assert found.layers["final"].same_instrument.value == 1


def test_three_people_are_three_pairs_and_sources_give_an_interval() -> None:
    lines = [
        made(by, {0: later(NOTES[0], by_s)}, sheet=f"{video}_00000000_s000")
        for video, far in (("v1", 0.2), ("v2", 0.0), ("v3", 0.0))
        for by, by_s in (("ada", far), ("bob", 0.0), ("eve", 0.0))
    ]
    found = told(*lines)
    assert [(each.first, each.second, each.n_sheets) for each in found.pairs] == [
        ("ada", "bob", 3),
        ("ada", "eve", 3),
        ("bob", "eve", 3),
    ]
    of_all = found.layers["final"].scores["notes"].f1
    assert (of_all.value, of_all.n, of_all.n_sources) == (pytest.approx(43 / 45), 9, 3)
    assert of_all.low is not None and of_all.high == 1
    assert found.pairs[2].layers["final"].scores["notes"].f1.value == 1
    assert told(*lines) == found, "the same seed, the same figures"


def test_who_saw_the_others_work_is_not_compared_with_them() -> None:
    upon = made("bob", {-1: row(9.0, 80)}, shown=ADA.layered)
    found = told(ADA, upon)
    assert (found.n_sheets, found.pairs) == (0, ())
    assert found.dependent == (("yt-abc_00001000_s000", "ada", "bob"),)
    # Nor through a third, nor when they go on from their own later; who saw neither is compared with both.
    third = made("eve", {-1: row(9.5, 80)}, shown=upon.layered)
    again = made("bob", {-1: row(9.9, 80)}, shown=upon.layered)
    alone = made("tim", {})
    found = told(ADA, upon, third, again, alone)
    assert [(each.first, each.second) for each in found.pairs] == [
        ("ada", "tim"),
        ("bob", "tim"),
        ("eve", "tim"),
    ]
    assert len(found.dependent) == 3


def test_what_is_nobodys_own_opinion_is_left_out() -> None:
    sheet = "yt-abc_00001000_s000"
    carried = replace(made("eve", {}), carried_from="other_00000000_s001")
    settled = settlement(ADA, "rita", "2027")
    assert told(ADA, carried, settled).n_sheets == 0
    assert told(ADA, BOB, withdrawal(BOB, "2027")).n_sheets == 0
    assert [each.by for each in told(ADA, carried, settled).people] == ["ada"]
    assert told(ADA, made("Ada ", {}), BOB).pairs[0].n_sheets == 1, (
        "one person, however they spell their name"
    )
    assert told().data()["sheets"] == 0 and sheet not in str(told().data())


def test_a_sheet_that_was_shorter_for_one_is_compared_as_far_as_both_went() -> None:
    short = replace(made("ada", {3: None, 4: None}), end_frame=70)
    assert told(short, replace(made("bob", {}), end_frame=600)).layers["final"].scores["notes"].f1.value == 1


def test_speed_and_edits_are_of_the_newest_of_each_sheet() -> None:
    other = made("ada", {}, sheet="v2_00000000_s000", lead_s=30.0)
    untimed = made("ada", {0: None}, sheet="v3_00000000_s000")
    ada, bob = told(made("ada", {}, lead_s=999.0), ADA, BOB, other, untimed).people
    assert (ada.by, ada.n_sheets, ada.n_timed) == ("ada", 3, 2)
    assert ada.seconds_per_sheet.value == 75
    assert ada.seconds_per_note.value == 150 / (6 + 5)
    assert ada.edits_per_sheet.value == (2 + 0 + 1) / 3
    assert (bob.seconds_per_sheet.value, bob.seconds_per_note.value) == (60, 12)
    assert bob.edits_per_sheet.value == 4


def test_a_release_is_told_no_names() -> None:
    found = told(ADA, BOB)
    assert "ada" in json.dumps(found.data()) and "bob" in json.dumps(found.data())
    assert "ada" not in json.dumps(found.published()) and "bob" not in json.dumps(found.published())
    assert json.loads(json.dumps(found.data()))["layers"]["final"]["kappa"]["value"] == pytest.approx(0.5)


def test_how_long_they_worked_is_kept_and_is_no_news(tmp_path: Path) -> None:
    path = tmp_path / "corrections.jsonl"
    assert append(path, [ADA]) == [ADA]
    assert append(path, [replace(ADA, lead_s=500.0)]) == []
    assert Corrections.read(path).lines == (ADA,)
    assert withdrawal(ADA, "2027").lead_s is None and settlement(ADA, "rita", "2027").lead_s is None
    older = path.read_text().replace(', "lead_s": 120.0', "")
    path.write_text(older)
    assert Corrections.read(path).lines == (replace(ADA, lead_s=None),)
    for wrong in ("-1", "NaN", "1e999", '"long"', "[]"):
        path.write_text(older.replace('"by"', f'"lead_s": {wrong}, "by"'))
        assert Corrections.read(path).lines == ()


def test_notes_of_other_clips_are_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "corrections.jsonl"
    append(path, [ADA, replace(BOB, sheet_id="v2_00000000_s000")])
    first, second = path.read_text().splitlines()
    path.write_text(first.replace('"pitch": [', '"pitch": [999, ') + "\n" + second + "\n")
    assert [each.by for each in Corrections.read(path, "v2_00000000").lines] == ["bob"]
    assert caplog.text == ""
    assert Corrections.read(path, "yt-abc_00001000").lines == ()
    assert "line 1 is damaged" in caplog.text
