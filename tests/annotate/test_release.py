"""Corrected notes in a release: its gates pass, and each layer is read back as corrected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from d2midi_build import open_release, tables
from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.corrections import Correction, Corrections
from d2midi_build.annotate.edits import revised
from d2midi_build.annotate.layering import LAYERS, Reason
from d2midi_build.annotate.layers import clip_layers, layers, sheeted
from d2midi_build.digests import sha256_file
from d2midi_build.music.notes import Notes
from d2midi_build.release.verify import verify
from tests.annotate.making import later, row
from tests.release.making import build_of, contents


def test_a_release_holds_the_layers_that_people_left(tmp_path: Path) -> None:
    made = contents(tmp_path / "made", 3, (200, 200, 200))
    clip = made.clips[0]
    notes = ClipNotes(clip.clip_id, 200, Notes.from_table(tables.read(clip.files["notes"])))
    shown = sheeted(notes, Corrections())[0].layered
    left = dict(shown.final)
    left[0], left[1] = left[0]._replace(velocity=127), later(left[1], 0.2)
    left[-1] = row(0.5, 100, 0.2, "Piccolo")
    del left[2]
    why: dict[int, Reason] = {1: "aligned", 2: "pleasant"}
    after = revised(shown, left, "heard", why)
    corrections = Corrections(
        [Correction(f"{clip.clip_id}_s000", "ada", "2026", "heard", "midi", shown.said, after)]
    )
    path = tmp_path / "corrected.parquet"
    tables.write(path, clip_layers(notes, corrections).to_table())
    corrected = replace(
        clip,
        files={**clip.files, "notes": path},
        digests={**clip.digests, "notes": sha256_file(path)},
    )
    out = build_of(replace(made, clips=(corrected, *made.clips[1:])), tmp_path / "release").folder
    found = verify(out)
    assert found.ok, [gate for gate in found.gates if not gate.passed]
    wanted = layers(notes, corrections)
    assert len({len(wanted[name]) for name in LAYERS}) > 1
    for name in LAYERS:
        release = open_release(out, parts=("body",), layer=name)
        windows = [window for window in release if window.clip_id == clip.clip_id]
        assert windows
        for window in windows:
            start_s = window.start_frame / 20
            sounding = wanted[name].sounding_in(start_s, start_s + window.n_frames / 20)
            assert window.notes.pitch.tolist() == sounding.pitch.tolist()
            assert window.notes.velocity.tolist() == sounding.velocity.tolist()
            cut_s = np.maximum(sounding.onset_s - start_s, 0.0)
            assert window.notes.onset_s == pytest.approx(cut_s, abs=1e-9)
