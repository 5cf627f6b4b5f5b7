"""Errors planted in a sheet, and what is left of them after people have worked on it: none that they did not find."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.annotate.audit.planting import KINDS, Planted, PlantedError, planted
from d2midi_build.annotate.audit.undoing import undone
from d2midi_build.annotate.edits import revised
from d2midi_build.annotate.layering import Layered, Row, notes_of
from tests.annotate.making import RATE, band, labelled, later, row

SHEET = Layered.untouched(band(30, 8))
ROWS = dict(SHEET.final)

seeds = st.integers(0, 2**32 - 1)
shares = st.sampled_from([0.0, 0.01, 0.05, 0.3, 1.0])


def sheets_of(seed: int) -> dict[int, Row]:
    """A sheet of 1 to 60 notes."""
    rng = np.random.default_rng(seed)
    return dict(Layered.untouched(band(30, float(rng.uniform(0.04, 2)), seed)).final)


def of(number: int, kind: str, true: Row | None, sent: Row | None) -> Planted:
    """One error beside a note that is right."""
    rows = {50: row(9.0, 70)} | ({} if sent is None else {number: sent})
    return Planted(rows, (PlantedError(number, kind, true, sent),))  # type: ignore[arg-type]


@given(seeds, shares)
@settings(deadline=None, max_examples=40)
def test_each_error_is_of_its_kind_and_no_note_has_two(seed: int, share: float) -> None:
    rows = sheets_of(seed)
    found = planted(rows, share, np.random.default_rng(seed))
    wanted = max(1, round(share * len(rows))) if rows and share else 0
    assert len(found.errors) == wanted
    assert len({error.number for error in found.errors}) == wanted
    notes_of(found.rows.values())  # raises where one cannot be
    first = min((each.onset_s for each in rows.values()), default=0)
    last = max((each.onset_s for each in rows.values()), default=0)
    for error in found.errors:
        true, sent = error.true, error.sent
        assert rows.get(error.number) is true
        assert found.rows.get(error.number) is sent
        if error.kind == "added":
            assert true is None and sent is not None and error.number >= len(rows)
            # Never within 0.3 s of one of its pitch and instrument, which it might be taken for.
            assert not any(_alike(sent, each) for each in rows.values())
        elif error.kind == "deleted":
            assert true is not None and sent is None
        else:
            assert true is not None and sent is not None
            changed = {name for name in Row._fields if getattr(true, name) != getattr(sent, name)}
            if error.kind == "onset":
                assert changed == {"onset_s", "offset_s"}
                assert 0.08 <= abs(sent.onset_s - true.onset_s) <= 0.2
                assert sent.span[1] - sent.span[0] == true.span[1] - true.span[0]
                assert first <= sent.onset_s <= last
            elif error.kind == "pitch":
                assert changed == {"pitch"}
                steps = abs(sent.pitch - true.pitch)
                assert true.is_drum or steps in (1, 2, 12)
                assert not true.is_drum or sent.pitch in {
                    each.pitch for each in rows.values() if each.is_drum
                }
            else:
                assert changed == {"program"} and not true.is_drum
                assert sent.instrument in {each.instrument for each in rows.values()} - {true.instrument}
    touched = {error.number for error in found.errors}
    assert {n: each for n, each in found.rows.items() if n not in touched} == {
        n: each for n, each in rows.items() if n not in touched
    }


def _alike(one: Row, other: Row) -> bool:
    same = (one.pitch, one.instrument) == (other.pitch, other.instrument)
    return same and abs(one.onset_s - other.onset_s) < 0.3


@given(seeds, shares)
@settings(deadline=None, max_examples=40)
def test_nothing_planted_survives_where_nobody_touched_it(seed: int, share: float) -> None:
    rows = sheets_of(seed)
    sent = planted(rows, share, np.random.default_rng(seed))
    found = undone(sent, sent.rows)
    assert found.rows == rows
    # Nobody has found an error who changed nothing; but a deletion is all that remains of a note taken out.
    assert not any(found.found.values())


@given(seeds, shares)
@settings(deadline=None, max_examples=40)
def test_when_all_is_mended_exactly_the_truth_comes_out(seed: int, share: float) -> None:
    rows = sheets_of(seed)
    sent = planted(rows, share, np.random.default_rng(seed))
    left = dict(sent.rows)
    for k, error in enumerate(sent.errors):
        if error.true is None:
            del left[error.number]
        else:  # as an editor hands it back: sure of it, under another name
            number = error.number if error.sent is not None else -1 - k
            left[number] = error.true._replace(p_note=1.0, p_instrument=1.0, origin="human/heard")
    found = undone(sent, left)
    assert found.rows == rows
    assert all(outcome.found and outcome.mended for outcome in found.outcomes)


def test_errors_are_of_all_kinds_equally_and_follow_from_the_seed() -> None:
    sent = planted(ROWS, 0.25, np.random.default_rng(3))
    assert len(ROWS) == 240
    assert Counter(error.kind for error in sent.errors) == dict.fromkeys(KINDS, 12)
    assert planted(ROWS, 0.25, np.random.default_rng(3)) == sent
    assert planted(ROWS, 0.25, np.random.default_rng(4)) != sent
    assert planted(ROWS, 0, np.random.default_rng(3)) == Planted(ROWS, ())
    assert planted({}, 0.05, np.random.default_rng(3)) == Planted({}, ())
    with pytest.raises(ValueError, match=r"share is 1.5, allowed is 0-1"):
        planted(ROWS, 1.5, np.random.default_rng(3))


def test_notes_too_many_have_numbers_that_no_note_of_the_sheet_has() -> None:
    sent = planted({3: row(1.0), 4: row(2.0)}, 1.0, np.random.default_rng(0), following=77)
    numbers = [error.number for error in sent.errors if error.kind == "added"]
    assert numbers == list(range(77, 77 + len(numbers)))


def test_errors_go_through_json_unchanged() -> None:
    sent = planted(ROWS, 0.25, np.random.default_rng(3))
    data = json.loads(json.dumps([error.data() for error in sent.errors]))
    assert tuple(PlantedError.from_data(each) for each in data) == sent.errors
    with pytest.raises(ValueError, match="kind 'moved' is none of onset, pitch"):
        PlantedError.from_data(data[0] | {"kind": "moved"})


TRUE = row(2.0, 60)
ONSET = of(7, "onset", TRUE, later(TRUE, 0.15))
EARLY = of(7, "onset", TRUE, later(TRUE, -0.15))
PITCH = of(7, "pitch", TRUE, TRUE._replace(pitch=61))
LABEL = of(7, "instrument", TRUE, labelled(TRUE, "Piccolo"))
KICK = row(2.0, 36, 0.1, "Drum")
GONE = of(7, "deleted", TRUE, None)
MANY = of(90, "added", None, TRUE)


@pytest.mark.parametrize(
    ("sent", "mine", "outcome", "kept"),
    [
        # What is wrong was not touched, but something else was: that stays, the error goes.
        (ONSET, later(TRUE, 0.15)._replace(velocity=99), (False, False), TRUE._replace(velocity=99)),
        # An end that they dragged is where they hear it, unless the note would begin after that.
        (ONSET, later(TRUE, 0.15, 0.3), (False, False), later(TRUE, 0.0, 0.45)),
        (ONSET, later(TRUE, 0.15, -0.15), (False, False), TRUE),
        (EARLY, later(TRUE, -0.15, -0.4), (False, False), later(TRUE, 0.0, -0.4)),
        (ONSET, later(TRUE, 0.155), (False, False), TRUE),
        (PITCH, later(TRUE._replace(pitch=61), 0.5), (False, False), later(TRUE, 0.5)),
        (LABEL, labelled(TRUE, "Piccolo")._replace(pitch=62), (False, False), TRUE._replace(pitch=62)),
        # Mended to within what can be seen: the truth, to the bit. Farther off, it is theirs.
        (ONSET, later(TRUE, 0.008), (True, True), TRUE),
        (ONSET, later(TRUE, 0.04), (True, True), later(TRUE, 0.04)),
        (ONSET, later(TRUE, 0.06), (True, False), later(TRUE, 0.06)),
        (PITCH, TRUE, (True, True), TRUE),
        (PITCH, TRUE._replace(pitch=72), (True, False), TRUE._replace(pitch=72)),
        (LABEL, labelled(TRUE, "Celesta"), (True, False), labelled(TRUE, "Celesta")),
    ],
)  # fmt: skip
def test_an_error_is_found_by_who_changes_what_is_wrong(
    sent: Planted, mine: Row, outcome: tuple[bool, bool], kept: Row
) -> None:
    found = undone(sent, {**sent.rows, 7: mine})
    assert [(each.found, each.mended) for each in found.outcomes] == [outcome]
    assert found.rows == {50: row(9.0, 70), 7: kept}


def test_who_deletes_a_wrong_note_has_found_it_and_mended_it_if_they_put_in_the_right_one() -> None:
    for sent in (ONSET, PITCH, LABEL):
        found = undone(sent, {50: row(9.0, 70)})
        assert [(each.found, each.mended) for each in found.outcomes] == [(True, False)]
        if sent is LABEL:
            assert 7 not in found.rows, "they have judged it: only its instrument was wrong"
        else:
            assert found.rows[7] == TRUE, "they have never seen the true one"
        found = undone(sent, {50: row(9.0, 70), -1: later(TRUE, 0.03), -2: row(4.0)})
        assert [(each.found, each.mended) for each in found.outcomes] == [(True, True)]
        assert found.rows == {50: row(9.0, 70), 7: later(TRUE, 0.03), -2: row(4.0)}
        assert found.reasons({-1: "heard", -2: "pleasant", 50: "aligned"}) == {
            7: "heard",
            -2: "pleasant",
            50: "aligned",
        }


@pytest.mark.parametrize(
    ("true", "mine", "stands"),
    [
        (TRUE, later(TRUE, 0.06), True),
        (TRUE, later(TRUE, -0.2), True),
        (TRUE, later(TRUE, 0.21), False),
        (TRUE, labelled(TRUE, "Piccolo")._replace(pitch=72), True),
        (TRUE, TRUE._replace(pitch=61), False),
        (TRUE, row(2.0, 60, instrument="Drum"), False),
        (KICK, later(KICK, 0.19), True),
        (KICK, later(KICK, 0.04)._replace(pitch=42), True),
        (KICK, later(KICK, 0.06)._replace(pitch=42), False),
        (KICK, later(KICK, 0.06)._replace(pitch=48), False),
        (KICK, row(2.0, 36), False),
    ],
)  # fmt: skip
def test_a_note_that_was_taken_out_comes_back_unless_people_put_one_in_its_place(
    true: Row, mine: Row, stands: bool
) -> None:
    found = undone(of(7, "deleted", true, None), {50: row(9.0, 70), -1: mine})
    assert [(each.found, each.mended) for each in found.outcomes] == [(stands, False)]
    assert found.rows == {50: row(9.0, 70), -1: mine} | ({} if stands else {7: true})
    # It goes for the reason for which theirs came.
    assert found.reasons({-1: "pleasant"}) == {-1: "pleasant"} | ({7: "pleasant"} if stands else {})


def test_a_note_of_the_sheet_that_is_put_where_one_was_taken_out_is_not_doubled() -> None:
    sent = Planted({50: row(9.0, 70), 51: row(3.0, 60)}, GONE.errors)
    found = undone(sent, {50: row(9.0, 70), 51: later(TRUE, 0.02)})
    assert [(each.found, each.mended) for each in found.outcomes] == [(True, True)]
    assert found.rows == {50: row(9.0, 70), 51: later(TRUE, 0.02)}
    assert found.reasons({51: "aligned"}) == {51: "aligned", 7: "aligned"}
    # One that lay there before is another note, though, and a velocity puts no note anywhere.
    sent = Planted({51: later(TRUE, 0.02)}, GONE.errors)
    louder = later(TRUE, 0.02)._replace(velocity=99)
    assert undone(sent, {51: louder}).rows == {51: louder, 7: TRUE}


def test_what_was_made_of_a_note_too_many_may_be_the_one_that_was_missing() -> None:
    sent = Planted({90: row(2.1, 64)}, (*GONE.errors, PlantedError(90, "added", None, row(2.1, 64))))
    found = undone(sent, {90: later(TRUE, 0.03)})
    assert [(each.found, each.mended) for each in found.outcomes] == [(True, True), (True, False)]
    assert found.rows == {7: later(TRUE, 0.03)}
    assert found.reasons({90: "aligned"}) == {7: "aligned"}


def test_who_puts_the_right_note_beside_a_wrong_one_that_stays_does_not_get_it_twice() -> None:
    for sent in (ONSET, PITCH, LABEL):
        found = undone(sent, {**sent.rows, -1: later(TRUE, 0.03)})
        assert [(each.found, each.mended) for each in found.outcomes] == [(False, False)]
        assert found.rows == {50: row(9.0, 70), 7: later(TRUE, 0.03)}
        assert found.reasons({7: "heard", -1: "aligned"}) == {7: "aligned"}


def test_a_note_too_many_goes_unless_people_made_another_of_it() -> None:
    rest = {50: row(9.0, 70), -4: row(1.0)}
    for mine in (TRUE, TRUE._replace(velocity=1), later(TRUE, 0.0, 1.0)):
        found = undone(MANY, {**rest, 90: mine})
        assert [(each.found, each.mended) for each in found.outcomes] == [(False, False)]
        assert found.rows == rest
        assert found.reasons({90: "heard"}) == {}, "a reason of no note would be an error"
    found = undone(MANY, {**rest, 90: TRUE._replace(pitch=64)})
    assert [(each.found, each.mended) for each in found.outcomes] == [(True, False)]
    assert found.rows == {**rest, -5: TRUE._replace(pitch=64)}, "theirs, so it is one they added"
    assert found.reasons({90: "pleasant"}) == {-5: "pleasant"}


def test_two_notes_that_were_taken_out_are_not_both_found_by_one() -> None:
    other = later(TRUE, 0.04)
    sent = Planted({}, (PlantedError(7, "deleted", TRUE, None), PlantedError(8, "deleted", other, None)))
    found = undone(sent, {-1: TRUE})
    assert found.found == {7: True, 8: False}
    assert found.rows == {7: TRUE, 8: other}


@given(seeds)
@settings(deadline=None, max_examples=40)
def test_no_note_is_there_twice_because_an_error_in_it_was_taken_back(seed: int) -> None:
    """People here put in what is missing, or beside what is wrong, more or less right, or make it of other notes."""
    rng = np.random.default_rng(seed)
    sent = planted(ROWS, 0.2, rng)
    left = dict(sent.rows)
    free = sorted({*ROWS} - {error.number for error in sent.errors})
    for k, error in enumerate(sent.errors):
        if error.true is None:
            continue
        near = later(error.true, float(rng.uniform(-0.3, 0.3)) * rng.choice([0.1, 1]))
        draw = rng.random()
        if draw < 0.2:
            left.pop(error.number, None)
        elif draw < 0.5:
            left[-1 - k] = near
        elif draw < 0.6:
            left[-1 - k] = near._replace(velocity=1, pitch=error.true.pitch % 12 + 48)
        elif draw < 0.8:
            left[free[int(rng.integers(len(free)))]] = near
    found = undone(sent, left)
    for error in sent.errors:
        if error.true is not None:
            # What people put there is one of those that are truly there, so the two are never added up.
            true, mine = _passing(ROWS, error.true), _passing(left, error.true)
            assert _passing(found.rows, error.true) <= max(true, true + mine - 1)
    stands = {number for number in found.replaced.values() if number < 0}
    for number, by in found.replaced.items():
        assert number not in found.rows
        assert abs(found.rows[by].onset_s - ROWS[number].onset_s) <= 0.2001
    for error in sent.errors:
        if error.kind == "deleted" and error.number in found.rows and not found.found[error.number]:
            assert error.true is not None
            rest = {n: mine for n, mine in found.rows.items() if n < 0 and n not in stands}
            assert not any(
                not mine.is_drum
                and mine.is_drum == error.true.is_drum
                and (mine.pitch - error.true.pitch) % 12 == 0
                and abs(mine.onset_s - error.true.onset_s) < 0.1999
                for mine in rest.values()
            )


def _passing(rows: Mapping[int, Row], true: Row) -> int:
    """How many notes pass for one: of its pitch and instrument, and within 50 ms."""
    return sum(
        (mine.pitch, mine.instrument) == (true.pitch, true.instrument)
        and abs(mine.span[0] - true.span[0]) <= 0.05 * RATE
        for mine in rows.values()
    )


@given(
    st.integers(-1500, 1500),
    st.integers(-6000, 6000),
    st.sampled_from([-0.2, -0.1, 0.1, 0.2]),
)
def test_an_end_is_where_the_machine_or_people_have_it_and_nowhere_else(
    by: int, longer: int, moved_s: float
) -> None:
    """Samples by which people drag the end of a note whose onset is wrong, unless they drag less than can be seen."""
    wrong = later(TRUE, moved_s)
    sent = of(7, "onset", TRUE, wrong)
    dragged = wrong._replace(offset_s=max(wrong.onset_s, wrong.offset_s + (by + longer) / RATE))
    [_, found] = sorted(undone(sent, {**sent.rows, 7: dragged}).rows.values(), reverse=True)
    assert found.onset_s == TRUE.onset_s
    ends = {TRUE.offset_s, dragged.offset_s}
    if dragged.offset_s <= TRUE.onset_s:  # then only how long it is can have been meant
        ends.add(TRUE.onset_s + dragged.offset_s - dragged.onset_s)
    assert any(found.offset_s == pytest.approx(end, abs=0.6 / RATE) for end in ends)


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_whatever_people_do_the_correction_holds_no_error_that_they_did_not_find(seed: int) -> None:
    """People here touch some notes at random; in the correction, all others are the machine's, to the bit."""
    rng = np.random.default_rng(seed)
    sent = planted(ROWS, 0.1, rng)
    left: dict[int, Row] = {}
    for number, each in sent.rows.items():
        draw = rng.random()
        if draw < 0.7:
            left[number] = each
        elif draw < 0.9:
            left[number] = each._replace(velocity=1 + (each.velocity + 5) % 127)
        elif draw < 0.95:
            left[number] = later(each, 0.25)
    left |= {-1 - k: row(float(rng.integers(0, 29)), 101 + k) for k in range(3)}
    found = undone(sent, left)
    made = revised(SHEET, found.rows, "heard")
    for outcome, error in zip(found.outcomes, sent.errors, strict=True):
        if outcome.found:
            continue
        if error.true is None:
            assert error.sent is not None
            assert error.sent.seen not in {each.seen for each in made.final.values()}
            continue
        if error.number in found.replaced:  # another note was moved to where it is
            assert error.number not in made.final
            continue
        mine, true = made.final[error.number], error.true
        right = {
            "onset": mine.onset_s == true.onset_s,
            "pitch": mine.pitch == true.pitch,
            "instrument": mine.instrument == true.instrument,
            "deleted": mine == true,
        }
        assert right[error.kind]
