"""Excerpts to write down from scratch tell nothing of what the machine heard, and have a row for all of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from d2midi_build.annotate.audit.excerpts import Excerpt
from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.layering import Row
from d2midi_build.annotate.studio.blind import PART, blind, excerpt_of
from d2midi_build.annotate.studio.preparing import data_of, keep, kept_task
from d2midi_build.annotate.studio.regions import left, regions
from d2midi_build.music.instruments import DRUM_CLASSES, INSTRUMENTS
from d2midi_build.music.notes import Notes
from d2midi_build.workspace import Workspace
from tests.annotate.making import band
from tests.annotate.studio.sending import Editor

BEATS_S = np.arange(0.5, 75, 0.5)
CLIP = ClipNotes("yt-a_00000000", 1500, band(75, 8.0), BEATS_S, np.arange(len(BEATS_S)) % 4 + 1)
NOTHING = replace(CLIP, notes=Notes.empty())
EXCERPT = Excerpt("yt-a_00000000", 33, 43)


def test_it_is_the_same_whatever_the_machine_heard() -> None:
    made, deaf = blind(EXCERPT, CLIP), blind(EXCERPT, NOTHING)
    assert made.task == deaf.task
    assert made.task.context == deaf.task.context == ()
    assert len(made.wanted.notes) == 0
    assert made.shown == deaf.shown
    assert [made.draw(page) for page in range(2)] == [deaf.draw(page) for page in range(2)]
    told = json.dumps([data_of(each, each.pictures, "v", "") for each in (made, deaf)])
    assert json.loads(told)[0] == json.loads(told)[1]
    assert regions(made.task) == []


def test_it_is_named_and_found_again_by_its_seconds(tmp_path: Path) -> None:
    made = blind(EXCERPT, CLIP)
    assert (made.task.key, made.task.part) == ("yt-a_00000000@33.blind", PART)
    assert made.task.span_s == (33.0, 43.0)
    workspace = Workspace.create(tmp_path)
    keep(workspace, made)
    assert excerpt_of(kept_task(workspace, made.task.key, made.task.version)) == EXCERPT


def test_excerpts_of_one_sheet_have_pictures_and_videos_of_their_own() -> None:
    one, other = blind(EXCERPT, CLIP), blind(Excerpt("yt-a_00000000", 46, 56), CLIP)
    assert one.task.sheet_id == other.task.sheet_id
    assert not {*one.pictures} & {*other.pictures}
    assert one.wanted.sheet.shown_frames == (620, 900)
    assert other.wanted.sheet.shown_frames == (880, 1160)


def test_other_beats_which_are_drawn_make_another_version() -> None:
    made, later = blind(EXCERPT, CLIP), blind(EXCERPT, replace(CLIP, beats_s=BEATS_S + 0.1))
    assert made.draw(0) != later.draw(0)
    assert made.task.version != later.task.version


def test_there_is_a_row_for_every_pitch_and_drum_and_what_is_drawn_there_is_read() -> None:
    sent = blind(EXCERPT, CLIP).task
    pitches = [each.key for each in sent.layout.lanes if each.kind == "pitch"]
    assert pitches == [*range(84, 27, -1)]
    drums = {key for each in sent.layout.lanes if each.kind == "drum" for key in each.keys}
    assert {keys[0] for keys in DRUM_CLASSES.values()} <= drums
    editor, expected = Editor(sent), list[Row]()
    for number, which in enumerate(INSTRUMENTS):
        at_s, key = 33.5 + 0.7 * number, 38 if which.is_drum else 40 + 3 * number
        lane = next(
            each for each in sent.layout.lanes if key in each.keys and (each.kind == "drum") == which.is_drum
        )
        page = sent.layout.page_of(at_s)
        box = (sent.layout.column(at_s, page), lane.top_px), (120.0, lane.height_px)
        editor.draw(f"drawn{number:05d}", page, *box, which.name)
        expected.append(Row(at_s, 0.0, key, 80, which.program, which.is_drum, 1.0, 1.0, "human/heard"))
    found = sorted(left(editor.items, sent).rows.values())
    assert [row._replace(onset_s=round(row.onset_s, 3), offset_s=0.0) for row in found] == [
        row._replace(onset_s=round(row.onset_s, 3)) for row in expected
    ]
