"""JAMS files as the jams package reads them."""

from __future__ import annotations

import io
import json

import pytest

from d2midi_build.music.jams_file import to_jams
from d2midi_build.music.notes import Notes


def _notes() -> Notes:
    return Notes.create(
        [0.5, 0.5, 0.25, 1.5],
        [1.0, 2.0, 0.5, 1.5],
        [64, 60, 36, 76],
        [90, 80, 100, 70],
        program=[4, 0, 0, 41],
        is_drum=[False, False, True, False],
        p_note=[0.5, 1.0, 0.75, 0.25],
        p_instrument=[0.5, 1.0, 1.0, 1.0],
        origin="heard",
    )


def test_jams_reads_each_instrument_with_what_goes_along() -> None:
    import jams

    file = jams.load(io.StringIO(to_jams(_notes(), 3.0, "clip", {"made_by": "x"})), fmt="jams")
    file.validate(strict=True)
    assert (file.file_metadata.title, file.file_metadata.duration) == ("clip", 3.0)
    assert file.sandbox.d2midi == {"made_by": "x"}
    found = {annotation.sandbox.instrument: annotation for annotation in file.search(namespace="note_midi")}
    assert list(found) == ["Acoustic Grand Piano", "Violin", "Drum"]
    piano = found["Acoustic Grand Piano"]
    intervals, pitches = piano.to_interval_values()
    assert intervals.tolist() == [[0.5, 2.0], [0.5, 1.0]]
    assert pitches == [60, 64]
    assert [each.confidence for each in piano.data] == [1.0, 0.25]
    assert (piano.sandbox.velocity, piano.sandbox.program) == ([80, 90], [0, 4])
    assert (piano.sandbox.p_note, piano.sandbox.p_instrument) == ([1.0, 0.5], [1.0, 0.5])
    assert found["Drum"].sandbox.is_drum
    assert found["Violin"].sandbox.instrument_program == 40
    assert found["Violin"].sandbox.program == [41]
    assert found["Violin"].to_interval_values()[0].tolist() == [[1.5, 1.5]]
    assert not file.search(namespace="beat")


def test_beats_keep_their_place_in_the_bar() -> None:
    import jams

    text = to_jams(
        Notes.empty(), 2.0, "clip", {}, [0.5, 1.0, 1.5], [4, 1, 0], [0.5, 0.75, 0.25], {"metre": 4}
    )
    (beats,) = jams.load(io.StringIO(text), fmt="jams").annotations
    assert (beats.namespace, beats.sandbox.metre) == ("beat", 4)
    assert [(b.time, b.value, b.confidence) for b in beats.data] == [
        (0.5, 4, 0.5), (1.0, 1, 0.75), (1.5, None, 0.25),
    ]  # fmt: skip


def test_the_order_of_notes_does_not_change_the_bytes() -> None:
    notes = _notes()
    assert to_jams(notes, 3.0, "a", {}) == to_jams(notes.where([3, 1, 0, 2]), 3.0, "a", {})  # type: ignore[arg-type]
    assert json.loads(to_jams(notes, 3.0, "a", {}))["annotations"][0]["namespace"] == "note_midi"


def test_a_score_that_jams_would_refuse_is_not_given_out() -> None:
    import jams

    with pytest.raises(jams.exceptions.SchemaError):
        to_jams(_notes(), -1.0, "clip", {})
