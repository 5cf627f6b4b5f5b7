"""A sheet is one task until it is too dense for one; then its parts hold each note once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from d2midi_build.annotate.layering import Row, rows
from d2midi_build.annotate.studio.parts import DENSE, PARTS, ROWS, WHOLE, parts
from tests.annotate.making import band, row, some_rows


def numbered(found: list[Row]) -> dict[int, Row]:
    return dict(enumerate(found))


def test_few_notes_in_few_rows_are_one_task() -> None:
    assert parts({}) == {WHOLE: {}}
    most = numbered([row(0.1 * n, 40 + n % ROWS) for n in range(DENSE)])
    assert parts(most) == {WHOLE: most}


def test_one_note_or_one_pitch_too_many_makes_parts() -> None:
    notes = numbered([row(0.1 * n, 60) for n in range(DENSE + 1)])
    assert parts(notes) == {"rest": notes}
    high = numbered([row(0.1 * n, 40 + n) for n in range(ROWS + 1)])
    assert parts(high) == {"rest": high}


def test_drums_count_as_notes_but_not_as_pitches() -> None:
    drums = [row(0.1 * n, 27 + n, instrument="Drum") for n in range(ROWS + 10)]
    assert [*parts(numbered(drums))] == [WHOLE]
    many = numbered([drums[0]] * (DENSE + 1))
    assert parts(many) == {"drums": many, "rest": {}}, "where missed notes can be added"


def test_drums_and_bass_have_parts_of_their_own() -> None:
    notes = numbered(
        [row(0.1 * n, 40, instrument=("Drum", "Acoustic Bass", "Violin")[n % 3]) for n in range(DENSE + 2)]
    )
    found = parts(notes)
    assert [*found] == [*PARTS]
    assert {name: {each.instrument for each in of.values()} for name, of in found.items()} == {
        "drums": {"Drum"},
        "bass": {"Acoustic Bass"},
        "rest": {"Violin"},
    }


@given(some_rows(), st.integers(0, 60))
def test_every_note_is_in_exactly_one_part_with_its_number(few: list[Row], times: int) -> None:
    notes = {7 * number: row for number, row in enumerate(few * times)}
    found = parts(notes)
    together = [item for part in found.values() for item in part.items()]
    assert sorted(together) == sorted(notes.items())


def test_parts_do_not_depend_on_what_people_do_with_single_notes() -> None:
    """Else a correction of one sheet would have its parts change under the people who share it."""
    notes = dict(enumerate(rows(band(30, 20))))
    assert [*parts(notes)] == [*PARTS]
    fewer = {number: row for number, row in notes.items() if number % 50}
    assert [*parts(fewer)] == [*PARTS]
