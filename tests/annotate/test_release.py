"""Corrected notes in a release: its gates pass, each layer is read back as corrected, and no file is left over."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from d2midi_build import open_release, tables
from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.corrections import Correction, Corrections, append, path_in
from d2midi_build.annotate.edits import revised
from d2midi_build.annotate.layering import LAYERS, Layered, Reason
from d2midi_build.annotate.layers import clip_layers, layers, sheeted
from d2midi_build.digests import sha256_file
from d2midi_build.errors import UsageError
from d2midi_build.music.notes import Notes
from d2midi_build.release import workspace as releasing
from d2midi_build.release.contents import Clip
from d2midi_build.release.verify import verify
from d2midi_build.workspace import Workspace
from tests.annotate.making import later, row
from tests.annotate.workspaces import _row
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


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Workspace, Clip]:
    """A workspace with a clip that is complete, as far as a release asks."""
    clip = contents(tmp_path / "made", 1, (200,)).clips[0]
    workspace = Workspace.create(tmp_path / "w")
    video_id = str(clip.row["video_id"])
    tables_of = {
        "videos": [_row("videos", video_id=video_id, webpage_url="")],
        "clips": [{**clip.row}],
        "groups": [{"take_id": clip.clip_id, "kind": kind, "group_id": "g"} for kind in ("music", "video")],
    }
    take = SimpleNamespace(video_id=video_id, take_id=clip.clip_id, complete=True, records={})
    monkeypatch.setattr(releasing.manifests, "takes", lambda nodes: [take])
    monkeypatch.setattr(releasing, "_rows", lambda workspace, name: tables_of[name])
    monkeypatch.setattr(releasing, "_clip", lambda workspace, take, row: clip)
    return workspace, clip


def test_the_folder_of_corrected_notes_is_there_while_a_release_is_built_and_no_longer(
    waiting: tuple[Workspace, Clip],
) -> None:
    workspace, clip = waiting
    tmp = workspace.root / "tmp"
    with ExitStack() as stack:
        assert releasing.contents(workspace, [], set(), stack).clips == (clip,)
        assert not [*tmp.glob("*")], "nobody has corrected anything"
    shown = Layered.untouched(Notes.from_table(tables.read(clip.files["notes"])))
    after = revised(shown, {**shown.final, 0: later(shown.final[0], 0.2)}, "heard")
    line = Correction(f"{clip.clip_id}_s000", "ada", "2026", "heard", "midi", shown.said, after)
    append(path_in(workspace), [line])
    with ExitStack() as stack:
        (found,) = releasing.contents(workspace, [], set(), stack).clips
        assert found.files["notes"].parent.parent == tmp
        assert found.digests["notes"] == sha256_file(found.files["notes"]) != clip.digests["notes"]
    assert not [*tmp.glob("*")]


def test_a_damaged_correction_stops_a_release(waiting: tuple[Workspace, Clip]) -> None:
    workspace, clip = waiting
    path = path_in(workspace)
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"sheet": "a"}\n')
    with (
        ExitStack() as stack,
        pytest.raises(UsageError, match=r"corrections\.jsonl line 1 is damaged .*: mend or"),
    ):
        releasing.contents(workspace, [], set(), stack)
    path.write_text('{"sheet": "a')  # a power cut
    with ExitStack() as stack:
        assert releasing.contents(workspace, [], set(), stack).clips == (clip,)
