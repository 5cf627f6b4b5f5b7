"""Excerpts to write down from scratch: tasks that show time and rows, and nothing that the machine heard."""

from __future__ import annotations

from typing import Final

import numpy as np

from d2midi_build import clock
from d2midi_build.annotate.audit.excerpts import Excerpt
from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.layering import Layered, Row
from d2midi_build.annotate.sheets import SHEET_FRAMES, Sheet, clip_of_sheet
from d2midi_build.annotate.studio.pages import layout
from d2midi_build.annotate.studio.preparing import FORMAT, VERSION_CHARS, Prepared
from d2midi_build.annotate.studio.rendering import Wanted
from d2midi_build.annotate.studio.sent import SentTask
from d2midi_build.digests import sha256_data
from d2midi_build.music.instruments import DRUM_CLASSES, PIANO
from d2midi_build.music.notes import Notes

PART: Final = "blind"

_PITCHES: Final = range(28, 85)
"""Rows to write in: from a bass's lowest string to two octaves above middle C. What lies beyond is said by number."""


def blind(excerpt: Excerpt, clip: ClipNotes) -> Prepared:
    """The task of an excerpt."""
    start, end = excerpt.start_s * clock.FPS, excerpt.end_s * clock.FPS
    sheet = Sheet(clip.clip_id, start // SHEET_FRAMES, start, end, clip.n_frames)
    at = sheet.start_s
    rows = [_row(at, pitch, drum=False) for pitch in _PITCHES]
    rows += [_row(at, keys[0], drum=True) for keys in DRUM_CLASSES.values()]
    drawn = layout(sheet, rows, ())
    beats = [clip.beats_s.tolist(), clip.positions.tolist()]
    version = sha256_data([FORMAT, PART, beats, drawn.data()])[:VERSION_CHARS]
    task = SentTask(
        key=f"{excerpt.excerpt_id}.{PART}",
        sheet_id=sheet.sheet_id,
        part=PART,
        layout=drawn,
        notes=(),
        reason="heard",
        commands="",
        shown="",
        machine="",
        version=version,
    )
    nothing = Layered({}, {}, {})
    return Prepared(task, nothing, Wanted(sheet, Notes.empty()), clip, np.empty(0))


def excerpt_of(task: SentTask) -> Excerpt:
    """The excerpt that a task is of."""
    start_s, end_s = task.span_s
    return Excerpt(clip_of_sheet(task.sheet_id)[0], round(start_s), round(end_s))


def _row(at_s: float, pitch: int, *, drum: bool) -> Row:
    return Row(at_s, at_s + 0.1, pitch, 80, PIANO.program, drum, 1.0, 1.0, "")
