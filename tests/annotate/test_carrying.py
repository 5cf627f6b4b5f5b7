"""Corrections carried to other clips of the same recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from d2midi_build import tables
from d2midi_build.annotate.carrying import carried, carry_over, offsets, settled_offset
from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.corrections import Correction, Corrections, append, path_in, withdrawal
from d2midi_build.annotate.edits import edits, revised
from d2midi_build.annotate.layering import Layered, Reason, Row, notes_of, rows
from d2midi_build.annotate.layers import layers, sheeted
from d2midi_build.annotate.summary import summary
from tests.annotate.making import RATE, band, later, row
from tests.annotate.workspaces import write_tables

NONE = Corrections()
SONG = band(100, 5)


def clip(clip_id: str, start_s: float, seconds: float, seed: int = 0) -> ClipNotes:
    """A clip of the song, its notes as another transcription of it would have them: a few ms off, surer or not."""
    rng = np.random.default_rng(seed)
    found = []
    for each in rows(SONG.starting_in(start_s, start_s + seconds)):
        onset, offset = each.span
        by = round(float(rng.uniform(-0.005, 0.005)) * RATE) - round(start_s * RATE)
        moved = max(0, onset + by) / RATE
        end = min((offset + by) / RATE, seconds)
        if moved < seconds:
            found.append(
                each._replace(onset_s=moved, offset_s=max(moved, end), p_note=float(np.float32(0.5)))
            )
    return ClipNotes(clip_id, round(seconds * 20), notes_of(found).sorted())


SOURCE, TARGET = clip("a_00000000", 0.0, 60.0, 1), clip("b_00000000", 10.0, 70.0, 2)
"""The target begins 10 s into the source: its first sheet shares 10 to 40 s, its second 40 to 60 s."""


def correction(
    of: ClipNotes, number: int, changed: dict[int, Row | None], reason: Reason = "heard", by: str = "ada"
) -> Correction:
    """A correction of a sheet: notes replaced, added (negative numbers) or deleted (None)."""
    shown = sheeted(of, NONE)[number].layered
    left = {n: each for n, each in {**shown.final, **changed}.items() if each is not None}
    sheet = of.sheets()[number].sheet_id
    return Correction(sheet, by, "2026", reason, "midi", shown.said, revised(shown, left, reason))


def test_the_offset_is_found_to_the_millisecond() -> None:
    found = settled_offset(SOURCE, TARGET, -10.1)
    assert found == pytest.approx(-10.0, abs=0.002)
    assert settled_offset(TARGET, SOURCE, 9.95) == pytest.approx(10.0, abs=0.002)
    assert settled_offset(SOURCE, TARGET, -11.0) is None, "not there"
    assert settled_offset(SOURCE, ClipNotes("c", 1400, band(70, 5, seed=9)), -10.0) is None, "another piece"


def test_offsets_add_up_along_chains() -> None:
    def pair(first: str, second: str, offset_s: float, **other: Any) -> dict[str, Any]:
        same = {"kind": "music", "speed": 1.0, "semitones": 0.0}
        return {"first": first, "second": second, "offset_s": offset_s} | same | other

    found = offsets(
        [
            pair("a", "b", 2.0),
            pair("b", "c", -5.0),
            pair("c", "d", 1.0, speed=1.02),
            pair("c", "e", 1.0, semitones=1.0),
            pair("a", "f", 1.0, kind="video", speed=None, semitones=None),
        ]
    )
    assert found == {"a": {"b": 2.0, "c": -3.0}, "b": {"a": -2.0, "c": -5.0}, "c": {"a": 3.0, "b": 5.0}}


def _first(of: ClipNotes, sheet: int, after_s: float) -> tuple[int, Row]:
    layer = sheeted(of, NONE)[sheet].layered.final
    return next((n, each) for n, each in sorted(layer.items()) if each.onset_s >= after_s)


def test_what_was_heard_is_heard_in_the_other_clip() -> None:
    number, note = _first(SOURCE, 0, 15.0)
    gone, lost = _first(SOURCE, 0, 20.0)
    made = correction(
        SOURCE, 0, {number: note._replace(velocity=127, pitch=note.pitch - 1), gone: None, -1: row(12.0, 101)}
    )
    found = carried(SOURCE, TARGET, -10.0, Corrections([made]), "2027")
    assert [(each.sheet_id, each.by, each.carried_from) for each in found] == [
        ("b_00000000_s000", "ada", "a_00000000_s000")
    ]
    assert sorted((edit.kind, edit.reason) for edit in edits(found[0].layered)) == [
        ("added", "heard"),
        ("deleted", "heard"),
        ("pitch", "heard"),
        ("velocity", "heard"),
    ]
    final = layers(TARGET, Corrections(found))["final"]
    machine = set(rows(TARGET.notes))
    changed = [each for each in rows(final) if each not in machine]
    assert len(changed) == 2, "all other notes are the machine's of this clip, to the last bit"
    assert sorted(each.pitch for each in changed) == sorted([101, note.pitch - 1])
    assert changed[0].onset_s == 2.0
    assert changed[1].onset_s == pytest.approx(note.onset_s - 10, abs=0.011)
    assert not any(
        each.pitch == lost.pitch and abs(each.onset_s - lost.onset_s + 10) < 0.01 for each in rows(final)
    )


def test_what_fits_the_dance_stays_behind_and_what_pleases_comes_along() -> None:
    number, note = _first(SOURCE, 0, 15.0)
    moved = correction(SOURCE, 0, {number: later(note, 0.3)}, "aligned")
    found = carried(SOURCE, TARGET, -10.0, Corrections([moved]), "2027")
    assert found[0].layered.final == found[0].layered.machine
    louder = correction(SOURCE, 0, {number: note._replace(velocity=127), -1: row(12.0, 101)}, "pleasant")
    found = carried(SOURCE, TARGET, -10.0, Corrections([louder]), "2027")
    assert sorted((edit.kind, edit.reason) for edit in edits(found[0].layered)) == [
        ("added", "pleasant"),
        ("velocity", "pleasant"),
    ]
    assert found[0].layered.heard == found[0].layered.machine
    # Moved for the dance, and longer because it pleases: the length comes along, the time does not.
    once = revised(sheeted(SOURCE, NONE)[0].layered, _with(number, later(note, 0.3)), "aligned")
    twice = revised(once, {**once.final, number: later(once.final[number], 0.0, 0.5)}, "pleasant")
    both = Correction("a_00000000_s000", "ada", "2026", "aligned", "midi", "", twice)
    found = carried(SOURCE, TARGET, -10.0, Corrections([both]), "2027")
    made = edits(found[0].layered)
    assert [(edit.kind, edit.reason) for edit in made] == [("resized", "pleasant")]
    assert made[0].before is not None and made[0].after is not None
    assert made[0].after.onset_s == made[0].before.onset_s


def _with(number: int, note: Row) -> dict[int, Row]:
    return {**sheeted(SOURCE, NONE)[0].layered.final, number: note}


def test_sheets_of_the_other_clip_are_filled_from_those_they_share() -> None:
    """Source sheets 0-30 and 30-60 s lie at -10 to 20 and 20 to 50 s of the target."""
    lines = [
        correction(SOURCE, 0, {-1: row(25.0, 101)}),
        correction(SOURCE, 1, {-1: row(31.0, 102), -2: row(55.0, 103)}, by="bob"),
    ]
    found = carried(SOURCE, TARGET, -10.0, Corrections(lines), "2027")
    assert [(each.sheet_id[-4:], each.by, each.carried_from) for each in found] == [
        ("s000", "ada", "a_00000000_s000,a_00000000_s001"),
        ("s001", "bob", "a_00000000_s001"),
    ]
    made = layers(TARGET, Corrections(found))
    added = [(each.pitch, each.onset_s) for each in rows(made["final"]) if each.pitch > 100]
    assert added == [(101, 15.0), (102, 21.0), (103, 45.0)]
    assert all(each == each.snapped() for each in rows(made["final"])), "exactly on the sample grid"
    rest = made["final"].where(made["final"].pitch <= 100)
    assert rest == TARGET.notes


def test_notes_that_only_the_other_machine_heard_are_replaced_where_people_corrected() -> None:
    ghosts = [row(5.0, 110, 0.1), row(55.0, 110, 0.1)]
    target = ClipNotes("b_00000000", 1400, notes_of([*rows(TARGET.notes), *ghosts]).sorted())
    lines = [correction(SOURCE, 0, {}), correction(SOURCE, 1, {})]
    final = layers(target, Corrections(carried(SOURCE, target, -10.0, Corrections(lines), "2027")))["final"]
    assert [each.onset_s for each in rows(final) if each.pitch == 110] == [55.0], (
        "beyond 50 s nobody corrected"
    )
    assert len(final) == len(TARGET.notes) + 1
    # And what only the source's machine heard, and people left there, is added.
    _, note = _first(TARGET, 0, 5.0)
    short = ClipNotes("b_00000000", 1400, TARGET.notes.where(np.arange(len(TARGET.notes)) != _place(note)))
    final = layers(short, Corrections(carried(SOURCE, short, -10.0, Corrections(lines), "2027")))["heard"]
    assert len(final) == len(TARGET.notes)


def _place(note: Row) -> int:
    return rows(TARGET.notes).index(note)


def _workspace(root: Path) -> Any:
    workspace = write_tables(root, SOURCE, TARGET)
    pair = {
        "kind": "music",
        "first": SOURCE.clip_id,
        "second": TARGET.clip_id,
        "how": "chromaprint",
        "score": 0.9,
        "offset_s": -9.93,
        "overlap_s": 50.0,
        "speed": 1.0,
        "semitones": 0.0,
        "mirrored": None,
    }
    tables.write(workspace.manifests / "repeats.parquet", tables.from_rows("repeats", [pair]))
    return workspace


def test_a_workspace_is_carried_over_once_and_kept_up_to_date(tmp_path: Path) -> None:
    workspace = _workspace(tmp_path)
    path = path_in(workspace)

    def carry() -> list[Correction]:
        return append(path, carry_over(workspace, Corrections.read(path), "2027"))

    first = correction(SOURCE, 0, {-1: row(25.0, 101)})
    append(path, [first])
    assert [each.sheet_id[-4:] for each in carry()] == ["s000"]
    assert carry() == [], "a second time changes nothing"
    assert summary(workspace).carried == ("b_00000000_s000",)
    append(path, [correction(SOURCE, 0, {-1: row(26.0, 101)})])
    assert len(carry()) == 1
    final = layers(TARGET, Corrections.read(path))["final"]
    assert [each.onset_s for each in rows(final) if each.pitch == 101] == [pytest.approx(16.0, abs=0.002)]
    append(path, [withdrawal(first, "2028")])
    assert [each.withdrawn for each in carry()] == [True]
    assert layers(TARGET, Corrections.read(path))["final"] == TARGET.notes
    assert carry() == []


def test_work_on_the_other_clip_itself_is_left_alone(tmp_path: Path) -> None:
    workspace = _workspace(tmp_path)
    path = path_in(workspace)
    append(
        path,
        [correction(SOURCE, 0, {-1: row(25.0, 101)}), correction(TARGET, 0, {-1: row(3.0, 99)}, by="bob")],
    )
    new = carry_over(workspace, Corrections.read(path), "2027")
    assert [each.sheet_id for each in new] == ["a_00000000_s000", "a_00000000_s001"][1:]
    assert new[0].carried_from == "b_00000000_s000", "what bob did from 30 s on is carried the other way"


def test_a_clip_without_corrections_carries_nothing() -> None:
    assert carried(SOURCE, TARGET, -10.0, NONE, "2027") == []
    assert isinstance(sheeted(TARGET, NONE)[0].layered, Layered)
