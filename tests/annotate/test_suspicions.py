"""Slips of the hand are seen, corrections are not taken for slips."""

from __future__ import annotations

import pytest

from d2midi_build.annotate.edits import revised
from d2midi_build.annotate.layering import Layered, Row, notes_of
from d2midi_build.annotate.sheets import sheets
from d2midi_build.annotate.suspicions import suspicions
from tests.annotate.making import labelled, later, row

SHEET = sheets("a", 700)[0]
SHOWN = Layered.untouched(
    notes_of(
        [row(1.0, 60), row(2.0, 62), row(3.0, 36, 0.1, "Drum"), row(4.0, 64), row(4.25, 64, 0.1, "Piccolo")]
    )
)


def _found(changed: dict[int, Row]) -> list[tuple[str, int]]:
    layered = revised(SHOWN, {**SHOWN.final, **changed}, "heard")
    return [(each.kind, each.number) for each in suspicions(layered, SHEET)]


NOTE, DRUM = SHOWN.final[0], SHOWN.final[2]


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, []),
        ({0: NOTE._replace(pitch=62)}, [("two_rows", 0)]),
        ({0: NOTE._replace(pitch=58)}, [("two_rows", 0)]),
        ({0: NOTE._replace(pitch=61)}, []),
        ({0: later(NOTE._replace(pitch=62), 0.1)}, []),  # a drag, not a slip
        ({2: DRUM._replace(pitch=38)}, []),  # in the drums' lanes two rows up is the snare
        ({0: labelled(NOTE, "Drum")}, [("drum_on_pitch", 0)]),
        ({0: labelled(NOTE._replace(pitch=38), "Drum")}, []),
        ({2: labelled(DRUM, "Acoustic Bass")}, [("pitch_on_drum", 2)]),
        ({0: labelled(NOTE._replace(pitch=100), "Drum")}, [("no_drum_key", 0)]),
        ({-1: row(1.25, 60)}, [("overlap", 5)]),
        ({-1: row(1.25, 60, instrument="Piccolo")}, []),
        ({-1: row(1.5, 60)}, []),  # where the other ends
        ({0: later(NOTE, 28.9)}, []),
        ({0: later(NOTE, 29.0)}, [("strayed", 0)]),
        ({-1: row(31.0, 60)}, [("strayed", 5)]),
    ],
)
def test_slips(changed: dict[int, Row], found: list[tuple[str, int]]) -> None:
    assert _found(changed) == found


def test_overlaps_that_were_there_before_are_not_the_persons() -> None:
    shown = Layered.untouched(notes_of([row(1.0, 60), row(1.2, 60), row(5.0, 70)]))
    left = dict(shown.final)
    left[2] = later(left[2], 0.1)
    assert suspicions(revised(shown, left, "heard"), SHEET) == []


def test_they_say_what_and_where() -> None:
    layered = revised(SHOWN, {**SHOWN.final, 0: NOTE._replace(pitch=62)}, "heard")
    assert [each.message for each in suspicions(layered, SHEET)] == [
        "Violin 62 at 1.000 s was 60: exactly two rows away, with nothing else changed"
    ]
