"""Layers of whole clips: corrections laid over the machine's notes, also after those were made again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.corrections import Correction, Corrections
from d2midi_build.annotate.edits import edits, revised
from d2midi_build.annotate.layering import LAYERS, Layered, Reason, Row, notes_of, rows
from d2midi_build.annotate.layers import clip_layers, layers, rebased, sheeted
from d2midi_build.music.notes import Notes
from tests.annotate.making import band, later, row

CLIP = ClipNotes("a", 1300, band(65))  # sheets 0-30, 30-60 and 60-65 s


def corrected(
    clip: ClipNotes, number: int, changed: dict[int, Row | None], reason: Reason = "heard", by: str = "ada"
) -> Correction:
    """A correction of a sheet: notes replaced, added (negative numbers) or deleted (None)."""
    shown = sheeted(clip, Corrections())[number].layered
    left = {n: each for n, each in {**shown.final, **changed}.items() if each is not None}
    return Correction(
        f"a_s{number:03d}", by, "2026", reason, "midi", shown.said, revised(shown, left, reason)
    )


def test_without_corrections_all_layers_are_the_machines() -> None:
    found = clip_layers(CLIP, Corrections())
    assert found.notes == CLIP.notes
    assert all(found.within[name].all() for name in LAYERS)


def test_a_correction_replaces_the_notes_of_its_sheet_and_no_others() -> None:
    shown = sheeted(CLIP, Corrections())[1].layered
    changed = {0: later(shown.final[0], 0.5), 1: None, -1: row(31.0, 72)}
    found = layers(CLIP, Corrections([corrected(CLIP, 1, changed, "pleasant")]))
    assert found["machine"] == found["heard"] == CLIP.notes
    inside = (CLIP.notes.onset_s >= 30) & (CLIP.notes.onset_s < 60)
    rest = [each for n, each in shown.final.items() if n not in (0, 1)]
    expected = [later(shown.final[0], 0.5), row(31.0, 72)]
    assert found["final"].where(
        (found["final"].onset_s < 30) | (found["final"].onset_s >= 60)
    ) == CLIP.notes.where(~inside)
    final = rows(found["final"].starting_in(30, 60))
    assert sorted(each.seen for each in final) == sorted(each.seen for each in [*rest, *expected])
    assert {*rest} <= {*final}, "notes that nobody touched are the same to the last bit"


def test_each_note_is_listed_once_with_the_layers_it_is_in() -> None:
    shown = sheeted(CLIP, Corrections())[0].layered
    moved = later(shown.final[0], 0.5)
    found = clip_layers(CLIP, Corrections([corrected(CLIP, 0, {0: moved}, "aligned")]))
    assert found.notes == found.notes.sorted()
    assert len(found.notes) == len(CLIP.notes) + 1
    apart = np.flatnonzero(~(found.within["machine"] & found.within["heard"] & found.within["final"]))
    flags = [(found.notes.origin[k], *(bool(found.within[name][k]) for name in LAYERS)) for k in apart]
    assert flags == [("made/up", True, True, False), ("human/aligned", False, False, True)]
    table = found.to_table()
    assert Notes.from_table(table) == found.notes
    assert table.column_names[-3:] == ["in_machine", "in_heard", "in_final"]
    assert table.column("in_final").to_pylist() == found.within["final"].tolist()


def test_notes_that_are_equal_are_as_many_as_they_were() -> None:
    twice = Notes.concat([CLIP.notes, CLIP.notes])
    found = layers(ClipNotes("a", 1300, twice), Corrections())
    assert found["final"] == found["machine"] == twice


def test_a_note_moved_over_the_end_of_its_sheet_is_there_once_whoever_corrects_the_next() -> None:
    clip = ClipNotes("a", 1300, notes_of([row(29.9), row(30.5, 62)]))
    over = later(sheeted(clip, Corrections())[0].layered.final[0], 0.3)
    first = corrected(clip, 0, {0: over})
    assert layers(clip, Corrections([first]))["final"].onset_s.round(2).tolist() == [30.2, 30.5]
    second = corrected(clip, 1, {0: row(30.5, 63)}, by="bob")
    for lines in ([first, second], [second, first]):
        final = layers(clip, Corrections(lines))["final"]
        assert final.pitch.tolist() == [60, 63]


def test_a_note_that_sounds_over_the_end_of_its_sheet_stays_whole() -> None:
    clip = ClipNotes("a", 1300, notes_of([row(29.0, 60, 5.0), row(30.5, 62)]))
    found = layers(clip, Corrections([corrected(clip, 1, {0: None})]))
    assert rows(found["final"]) == [row(29.0, 60, 5.0)]


def test_a_correction_survives_a_new_transcription_and_is_flagged() -> None:
    correction = corrected(CLIP, 1, {0: None, -1: row(31.0, 72)})
    again = ClipNotes("a", 1300, band(65, seed=1))
    corrections = Corrections([correction])
    assert [each.stale for each in sheeted(CLIP, corrections)] == [False, False, False]
    assert [each.stale for each in sheeted(again, corrections)] == [False, True, False]
    found = layers(again, corrections)
    assert found["machine"] == again.notes
    assert sorted(each.seen for each in rows(found["final"].starting_in(30, 60))) == sorted(
        each.seen for each in correction.layered.final.values()
    )
    assert found["final"].starting_in(0, 30) == again.notes.starting_in(0, 30)


def test_a_machine_that_is_only_surer_makes_nothing_stale() -> None:
    surer = ClipNotes(
        "a", 1300, notes_of(each._replace(p_note=0.5, origin="new") for each in rows(CLIP.notes))
    )
    corrections = Corrections([corrected(CLIP, 1, {0: None})])
    assert not any(each.stale for each in sheeted(surer, corrections))
    found = clip_layers(surer, corrections)
    assert found.notes == surer.notes, (
        "rows that nobody touched are the machine's, with its new probabilities"
    )
    assert (~found.within["final"]).sum() == 1
    layered = sheeted(surer, corrections)[1].layered
    assert {each.origin for each in layered.final.values()} == {"new"}


def test_what_a_new_transcription_gets_right_by_itself_is_the_machines() -> None:
    clip = ClipNotes("a", 600, notes_of([row(1.0, 60), row(2.0, 62)]))
    fixed = corrected(clip, 0, {0: row(1.0, 61)})
    again = ClipNotes("a", 600, notes_of([row(1.0, 61), row(2.0, 62)]))
    found = clip_layers(again, Corrections([fixed]))
    assert found.notes == again.notes
    assert all(found.within[name].all() for name in LAYERS)


def test_going_on_from_a_stale_correction_makes_one_that_is_not() -> None:
    first = corrected(CLIP, 1, {0: None, -1: row(31.0, 72)})
    again = ClipNotes("a", 1300, band(65, seed=1))
    shown = sheeted(again, Corrections([first]))[1].layered
    left = {**shown.final, -1: row(33.0, 75)}
    second = Correction("a_s001", "bob", "2027", "heard", "midi", shown.said, revised(shown, left, "heard"))
    found = sheeted(again, Corrections([first, second]))[1]
    assert found.standing.applied is second
    assert not found.stale


def test_rebasing_keeps_what_people_left_and_pairs_the_machines_notes() -> None:
    old = Layered.untouched(notes_of([row(1.0, 60), row(2.0, 62), row(3.0, 64)]))
    left = {0: later(old.final[0], 0.25), 1: old.final[1], 2: old.final[2], -1: row(5.0, 70)}
    correction = revised(old, left, "aligned")
    now = notes_of([row(0.25, 80), row(1.01, 60), row(2.0, 62)])
    found = rebased(correction, now)
    assert (found.said, notes_of(found.machine.values())) == (correction.said, now)
    kinds = [(each.number, each.kind, each.reason) for each in edits(found)]
    assert kinds == [
        (0, "deleted", "heard"),  # new since: the correction replaced what there was
        (1, "moved", "heard"),  # by 10 ms, from the machine's new time to the one it had then
        (1, "moved", "aligned"),
        (3, "added", "heard"),  # the machine has lost it
        (4, "added", "aligned"),
    ]


def test_notes_end_with_a_clip_that_became_shorter() -> None:
    long = ClipNotes("a", 1300, notes_of([row(29.0, 60, 2.5), row(61.0), row(62.0)]))
    lines = [corrected(long, 0, {0: row(29.0, 61, 2.5)}), corrected(long, 2, {0: row(61.0, 61)})]
    short = ClipNotes("a", 610, notes_of([row(29.0, 60, 1.5)]))
    final = layers(short, Corrections(lines))["final"]
    assert (final.onset_s.tolist(), final.offset_s.tolist()) == ([29.0], [30.5])


def test_what_a_longer_clip_has_new_is_the_machines() -> None:
    """The last sheet ended at 62 s when it was corrected; nobody has judged what comes then."""
    short = ClipNotes("a", 1240, notes_of([row(60.5, 60), row(61.0, 62)]))
    correction = replace(corrected(short, 2, {0: None, 1: row(61.0, 63), -1: row(61.5, 70)}), end_frame=1240)
    long = ClipNotes(
        "a", 1300, notes_of([row(60.5, 60), row(61.0, 62), row(61.9, 64), row(62.0, 65), row(64, 66)])
    )
    found = sheeted(long, Corrections([correction]))[2]
    assert found.stale
    for layer in (found.layered.heard, found.layered.final):
        assert sorted(each.pitch for each in layer.values()) == [63, 65, 66, 70]
    assert [found.layered.machine[n].pitch for n in range(5)] == [60, 62, 64, 65, 66]
    assert [found.layered.final.get(n) for n in (3, 4)] == [row(62.0, 65), row(64, 66)]
    older = replace(correction, end_frame=None)
    assert layers(long, Corrections([older]))["final"].pitch.tolist() == [63, 70], "lines that do not say so"
