"""Every note of a draft is drawn as what became of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from d2midi_build.annotate.layering import Row
from d2midi_build.annotate.listen.score import CONTEXT, colour, described, pitch_name, score
from d2midi_build.annotate.listen.source import Draft, Heard
from d2midi_build.annotate.sheets import sheets
from d2midi_build.music.instruments import INSTRUMENTS
from tests.annotate.making import labelled, later, row

HEARD = Heard(sheets("clip", 1200)[1], "A song", Path("v"), Path("o"), beats_s=(30.0, 30.5), positions=(1, 2))
SENT = {
    0: row(30.0, 60),
    1: row(31.0, 62),
    2: row(32.0, 36, 0.1, "Drum"),
    3: row(33.0, 64, instrument="Piccolo"),
}


def _states(draft: Draft) -> dict[tuple[float, int], str]:
    data = described(score(draft, HEARD), draft, HEARD)
    return {(note["onset_s"], note["pitch"]): note["state"] for note in data["notes"]}


def test_what_became_of_each_note() -> None:
    rows = {0: SENT[0], 1: later(SENT[1], 0.5)._replace(velocity=90), 3: SENT[3], -1: row(35.0, 70)}
    draft = Draft(rows, SENT)
    assert _states(draft) == {
        (30.0, 60): "",
        (31.5, 62): "changed",
        (33.0, 64): "",
        (35.0, 70): "added",
        (32.0, 36): "deleted",
    }
    changed = next(
        n for n in described(score(draft, HEARD), draft, HEARD)["notes"] if n["state"] == "changed"
    )
    assert changed["kinds"] == ["moved", "velocity"]
    assert (changed["before"]["onset_s"], changed["before"]["velocity"]) == (31.0, 80)


def test_a_note_that_cannot_be_read_is_neither_deleted_nor_played() -> None:
    draft = Draft({n: SENT[n] for n in (0, 2, 3)}, SENT, ("Note 1 is broken.",), unread=(1,))
    found = score(draft, HEARD)
    assert _states(draft)[31.0, 62] == "unread"
    assert found.problems == ("Note 1 is broken.",)
    assert found.sounds["Violin"] == (SENT[0],)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pitch": 200},
        {"velocity": 0},
        {"onset_s": float("nan")},
        {"onset_s": 40.0},
        {"offset_s": float("inf")},
    ],
)
def test_a_note_that_cannot_be_is_a_problem_and_the_rest_plays(wrong: dict[str, Any]) -> None:
    draft = Draft({**SENT, 1: SENT[1]._replace(**wrong)}, SENT)
    found = score(draft, HEARD)
    assert found.problems[0].startswith("Note 1 cannot be played: ")
    assert sorted(found.rows) == [0, 2, 3]
    assert _states(draft)[31.0, 62] == "unread"


def test_instruments_stand_in_their_order_and_the_context_last() -> None:
    heard = replace(HEARD, context=(row(29.0, 50, instrument="Acoustic Bass"), row(61.0, 50)))
    draft = Draft(SENT, SENT)
    data = described(score(draft, heard), draft, heard)
    assert [(each["name"], each["notes"]) for each in data["instruments"]] == [
        ("Violin", 2),
        ("Piccolo", 1),
        ("Drum", 1),
        (CONTEXT, 2),
    ]
    assert [note["onset_s"] for note in data["notes"] if not note["own"]] == [29.0, 61.0]


def test_only_the_changed_instruments_sound_has_another_digest() -> None:
    def sounds(rows: dict[int, Row]) -> dict[str, str]:
        draft = Draft(rows, SENT)
        data = described(score(draft, HEARD), draft, HEARD)
        return {each["name"]: each["sound"] for each in data["instruments"]}

    before, after = sounds(SENT), sounds({**SENT, 3: SENT[3]._replace(pitch=65)})
    assert {name for name in before if before[name] != after[name]} == {"Piccolo"}
    moved = sounds({**SENT, 3: labelled(SENT[3], "Violin")})
    assert set(moved) == {"Violin", "Drum"}
    assert moved["Violin"] != before["Violin"]


def test_the_sheet_is_told_with_its_context() -> None:
    draft = Draft(SENT, SENT, saved_at="2026-11-26T15:00:00Z")
    data = described(score(draft, HEARD), draft, HEARD)
    assert data["sheet"] == {
        "id": "clip_s001",
        "start_s": 30.0,
        "end_s": 60.0,
        "shown_start_s": 28.0,
        "shown_end_s": 60.0,
    }
    assert data["beats"] == [[30.0, 1], [30.5, 2]]
    assert data["saved_at"] == "2026-11-26T15:00:00Z"


@pytest.mark.parametrize(
    ("pitch", "instrument", "name"),
    [
        (60, "Violin", "C4"),
        (21, "Violin", "A0"),
        (70, "Violin", "B♭4"),
        (38, "Drum", "Snare"),
        (3, "Drum", "Key 3"),
    ],
)
def test_names_of_pitches(pitch: int, instrument: str, name: str) -> None:
    assert pitch_name(row(0.0, pitch, instrument=instrument)) == name


def test_each_instrument_has_a_colour_of_its_own() -> None:
    assert len({colour(each.name) for each in INSTRUMENTS} | {colour(CONTEXT)}) == 14
    assert colour("Acoustic Grand Piano") == "#58a8ff"
