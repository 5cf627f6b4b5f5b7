"""What was sent: kept and read back to the last bit, and nothing damaged is taken for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.annotate.layering import Row
from d2midi_build.annotate.studio.sent import (
    MOST_NOTES,
    OURS,
    SentTask,
    path_in,
    read,
    region_id,
    sent_notes,
    write,
)
from d2midi_build.errors import UsageError, WorkspaceError
from d2midi_build.workspace import Workspace
from tests.annotate.making import later, row, some_rows
from tests.annotate.studio.sending import task

SENT = task(
    {0: row(1.001, 60), 1: later(row(2.0, 64), 0.1), 7: row(8.0, 36, instrument="Drum")},
    {0: row(1.001, 60), 1: row(2.0, 64)},
)


@settings(deadline=None)
@given(some_rows(), st.floats(0, 1, width=32))
def test_a_task_survives_its_file_to_the_last_bit(rows: list[Row], p_note: float) -> None:
    sent = task({number: each._replace(p_note=p_note, origin="ünï/1") for number, each in enumerate(rows)})
    assert SentTask.from_data(json.loads(json.dumps(sent.data()))) == sent


def test_it_is_written_whole_and_the_same_task_makes_the_same_bytes(tmp_path: Path) -> None:
    path = path_in(Workspace(tmp_path), SENT.key)
    assert path == tmp_path / "annotation" / "sent" / "a_s000.all.json"
    write(path, SENT)
    first = path.read_bytes()
    assert read(path) == SENT
    write(path, read(path))
    assert path.read_bytes() == first and [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_task_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write(path, SENT)
    before = path.read_bytes()
    (tmp_path / ".a.json").mkdir()
    with pytest.raises(WorkspaceError, match="cannot be written"):
        write(path, replace(SENT, version="made/2"))
    assert path.read_bytes() == before


def test_notes_have_what_was_shown_what_was_sent_and_where_it_lies() -> None:
    first, second, planted = SENT.notes
    assert (first.shown, first.sent) == (row(1.001, 60), row(1.001, 60))
    assert (second.shown, second.sent) == (row(2.0, 64), later(row(2.0, 64), 0.1))
    assert planted.shown is None and planted.page == 1
    assert [note.place for note in SENT.notes] == [
        SENT.layout.rectangle(note.sent, note.page) for note in SENT.notes
    ]
    assert SENT.rows == {note.number: note.sent for note in SENT.notes}
    assert SENT.by_region[second.region] is second


def test_a_sheet_holds_onsets_up_to_its_end_in_whole_samples() -> None:
    second = task({0: row(31.0)}, number=1)
    assert (second.span_s, second.shown_s[0] < 30) == ((30.0, 60.0), True)
    assert second.holds(30.0) and second.holds(60.0 - 1 / 10240)
    assert not second.holds(60.0) and not second.holds(30.0 - 1 / 10240)


@settings(deadline=None)
@given(st.integers(0, MOST_NOTES - 1), st.integers(0, MOST_NOTES - 1))
def test_ids_tell_notes_apart_and_are_never_label_studios_own(one: int, other: int) -> None:
    assert (region_id(one, "v") == region_id(other, "v")) == (one == other)
    assert len(region_id(one, "v")) == 9 and OURS.fullmatch(region_id(one, "v"))


def test_ids_tell_versions_apart() -> None:
    assert len({region_id(0, version) for version in ("made/1", "made/2", "other/1", "")}) == 4


@pytest.mark.parametrize("place", [-1, MOST_NOTES])
def test_places_without_an_id_are_refused(place: int) -> None:
    with pytest.raises(ValueError, match=f"note {place}: "):
        region_id(place, "v")


def test_ids_go_by_time_and_not_by_number() -> None:
    """The number of a note that was planted is the highest."""
    sent = sent_notes(SENT.layout, {}, {7: row(3.0, 60), 3: row(1.0, 62), 9: row(2.0, 60)}, "v")
    assert {note.number: note.region[-4:] for note in sent} == {3: "0000", 9: "0001", 7: "0002"}


@pytest.mark.parametrize("key", ["", "../a", "a/b", ".a", "a b", "a\n", "x" * 201, "a\\b", "a:b"])
def test_a_key_that_cannot_name_a_file_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(UsageError, match="cannot name a file"):
        path_in(Workspace(tmp_path), key)


def test_a_file_that_is_not_there_says_where_to_pull(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.json is not there: .* Pull in the workspace that pushed it"):
        read(tmp_path / "a.json")


def _spoilt(**fields: Any) -> str:
    return json.dumps(SENT.data() | fields)


def _note(**fields: Any) -> str:
    names = ["number", "region", "page", "place", "sent", "shown"]
    first = [fields.get(name, value) for name, value in zip(names, SENT.data()["notes"][0], strict=True)]
    return _spoilt(notes=[first, *SENT.data()["notes"][1:]])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Expecting value"),
        (json.dumps(SENT.data())[:-20], "does not hold what was sent"),
        ("[]", "TypeError"),
        ("[" * 100_000, "does not hold"),
        ("{}", "KeyError: 'format'"),
        (_spoilt(format=2), "it has format 2, this d2midi reads 1"),
        (_spoilt(reason="bored"), "reason 'bored' is none of heard, aligned, pleasant"),
        (_spoilt(layout={}), "no layout"),
        (_spoilt(notes=[[1, 2]]), "not enough values"),
        (_note(number=1), "1 notes have the number of another, 1 the first"),
        (_note(number=-1), "note -1 on page 0"),
        (_note(number=True), "True is no whole number"),
        (_note(region=SENT.notes[1].region), "1 notes have the id of another"),
        (_note(page=6), "note 0 on page 6 of 6"),
        (_note(sent=[2.0, 1.0, 60, 80, 40, False, 0.5, 0.5, "x"]), "must not end before it starts"),
        (_note(sent=[1.0, 2.0, 60, 0, 40, False, 0.5, 0.5, "x"]), "velocity 0 means note-off"),
        (_note(sent=[1.0, 2.0, 60.5, 80, 40, False, 0.5, 0.5, "x"]), "60.5 is no whole number"),
        (_note(place=[1.0, 2.0, 3.0]), "TypeError"),
    ],
)
def test_a_damaged_file_is_refused_and_says_what_to_do(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a_s000.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="Restore it from a copy") as caught:
        read(path)
    assert words in str(caught.value)
