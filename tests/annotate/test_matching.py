"""Notes that lost their numbers are found again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.optimize import linear_sum_assignment

from d2midi_build.annotate.layering import Row, rows
from d2midi_build.annotate.matching import LIMIT, costs, matched
from tests.annotate.making import band, labelled, later, row, some_rows


def test_costs_are_those_of_the_docstring() -> None:
    one = row(1.0, 60, 0.5, "Violin", 80)
    kick = row(1.0, 36, 0.1, "Drum", 100)
    pairs = [
        (one, one, 0.0),
        (one, later(one, 0.25), 0.5),
        (one, later(one, 0.0, 0.5), 0.25),  # twice as long
        (one, one._replace(pitch=72), 1.0),
        (one, one._replace(pitch=62), 0.5 + 2 / 24),
        (one, labelled(one, "Piccolo"), 0.75),
        (one, one._replace(velocity=127), 0.1 * 47 / 127),
        (one, labelled(one._replace(pitch=40), "Drum"), 1.0),  # the row means nothing there
        (kick, kick._replace(pitch=38), 0.75),
        (one, later(one, 1.2), LIMIT),
    ]
    found = costs([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    assert found == pytest.approx([pair[2] for pair in pairs], abs=1e-3)


def test_notes_that_look_equal_are_the_same_however_near_others_are() -> None:
    """Repeated notes, the first deleted: the second must not become it."""
    before = {k: row(1.0 + k / 8, 42, 0.05, "Drum") for k in range(8)}
    after = [each for k, each in before.items() if k != 3]
    assert matched(before, after) == {k: each for k, each in before.items() if k != 3}


def test_moved_transposed_and_relabelled_notes_are_found_and_new_ones_are_new() -> None:
    before = dict(enumerate(rows(band(30))))
    after = dict(before)
    after[10] = later(after[10], 0.4)
    after[20] = after[20]._replace(pitch=after[20].pitch + 12)
    after[30] = labelled(after[30], "Celesta")
    after[40] = later(after[40], 0.0, 0.3)
    del after[50]
    after[-1] = row(15.03, 100, 0.02, "Piccolo")
    shuffled = list(after.values())
    np.random.default_rng(1).shuffle(shuffled)  # type: ignore[arg-type]
    assert matched(before, [Row(*each) for each in shuffled]) == after


def test_a_whole_clip_shifted_is_moved_note_by_note() -> None:
    before = dict(enumerate(rows(band(300))))
    shifted = {number: later(each, 0.05) for number, each in before.items()}
    found = matched(before, list(shifted.values()))
    right = sum(found[number] == shifted[number] for number in before)
    assert right == len(before) == 3000


@settings(deadline=None)
@given(before=some_rows(), after=some_rows())
def test_no_other_pairing_is_cheaper(before: list[Row], after: list[Row]) -> None:
    """Against scipy's dense assignment over everything that does not look equal."""
    found = matched(dict(enumerate(before)), after)
    assert sorted(found.values()) == sorted(after)
    assert {number for number in found if number >= 0} <= set(range(len(before)))
    pairs = [(before[number], each) for number, each in found.items() if number >= 0]
    rest = [(one, other) for one, other in pairs if one.seen != other.seen]
    ours = costs([one for one, _ in rest], [other for _, other in rest])
    assert (ours < LIMIT).all()
    equal = [one.seen for one, other in pairs if one.seen == other.seen]
    old, new = _without(before, equal), _without(after, equal)
    table = np.array([[*costs([one] * len(new), new)] for one in old]).reshape(len(old), len(new))
    table = np.minimum(np.hstack([table, np.full((len(old), len(old)), LIMIT)]), LIMIT)
    least = table[linear_sum_assignment(table)].sum()
    assert ours.sum() + LIMIT * (len(old) - len(rest)) == pytest.approx(least, abs=1e-6)


def _without(found: list[Row], seen: list[tuple[int, int, int, int, str]]) -> list[Row]:
    left, taken = [], list(seen)
    for each in found:
        if each.seen in taken:
            taken.remove(each.seen)
        else:
            left.append(each)
    return left


def test_rounded_times_are_equal_within_the_tolerance() -> None:
    before = dict(enumerate(rows(band(20))))
    rng = np.random.default_rng(2)
    after = [
        later(each, by / 10240)
        for each, by in zip(before.values(), rng.integers(-5, 6, len(before)), strict=True)
    ]
    found = matched(before, after, dict.fromkeys(before, 5))
    assert [found[number] for number in before] == after


def test_nothing_to_match() -> None:
    assert matched({}, []) == {}
    assert matched({3: row(1.0)}, []) == {}
    assert matched({}, [row(1.0), row(0.5)]) == {-1: row(0.5), -2: row(1.0)}
