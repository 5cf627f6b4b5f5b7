"""How right the notes of a release are, on its card and in its manifest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from d2midi_build.annotate.audit import record
from d2midi_build.annotate.audit.record import BlindResult, PlantedResult
from d2midi_build.annotate.audit.undoing import Outcome
from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.corrections import Correction, Corrections, append, path_in
from d2midi_build.annotate.edits import revised
from d2midi_build.annotate.layering import Layered, rows
from d2midi_build.release.quality import measured, section
from d2midi_build.release.verify import verify
from d2midi_build.workspace import Workspace
from tests.annotate.making import band, row
from tests.annotate.workspaces import write_tables
from tests.release.making import build_of, contents

CLIPS = [ClipNotes(f"v{k}_00000000", 600, band(30, 2, seed=k)) for k in range(6)]
NAMES = {clip.clip_id for clip in CLIPS[:5]}
"""Those in the release: all but the last."""


AT, LATER = "2026-01-02T03:04:05+00:00", "2026-01-03T03:04:05+00:00"


def audited(root: Path) -> Workspace:
    """A workspace in which ada and bob corrected all clips, found planted errors, and wrote down excerpts."""
    workspace = write_tables(root, *CLIPS)
    for clip in CLIPS:
        shown = Layered.untouched(clip.sheets()[0].notes_in(clip.notes))
        sheet = f"{clip.clip_id}_s000"
        lines = [
            Correction(sheet, by, LATER, "heard", "midi", shown.said, revised(shown, left, "heard"))
            for by, left in (("ada", shown.final), ("bob", {**shown.final, -1: row(1.0, 101)}))
        ]
        append(path_in(workspace), lines)
        right = (Outcome(1, "onset", True, True), Outcome(2, "added", clip is not CLIPS[0], False))
        blind = [
            BlindResult(
                clip.clip_id, at, at + 10, "ada", AT, tuple(rows(clip.notes.starting_in(at, at + 10)))
            )
            for at in (0, 10)
        ]
        record.append(record.path_in(workspace), [PlantedResult(sheet, "all", "bob", "2026", right), *blind])
    return workspace


def told(
    workspace: Workspace, names: set[str] = NAMES
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    return measured(workspace, Corrections.read(path_in(workspace)), names)


def test_only_clips_of_the_release_count_and_nobody_is_named(tmp_path: Path) -> None:
    audit, agreement = told(audited(tmp_path / "w"))
    assert audit is not None and agreement is not None
    assert (agreement["sheets"], audit["label_error"]["excerpts"], audit["recall"]["tasks"]) == (5, 10, 5)
    assert (audit["recall"]["found"]["n"], audit["recall"]["found"]["of"]) == (9, 10)
    assert agreement["layers"]["heard"]["scores"]["notes"]["f1"]["value"] == 120 / 121
    assert not {"ada", "bob"} & {*json.dumps([audit, agreement]).replace('"', " ").split()}
    assert told(audited(tmp_path / "again")) == (audit, agreement)
    assert told(write_tables(tmp_path / "new", *CLIPS)) == (None, None)
    assert told(audited(tmp_path / "other"), {"else_00000000"}) == (None, None)


def test_the_card_has_the_figures_or_says_that_there_are_none(tmp_path: Path) -> None:
    audit, agreement = told(audited(tmp_path / "w"))
    text = "\n".join(section(audit, agreement))
    assert "10 excerpts of 10 s from 5 sources were written down from scratch" in text
    assert "missed 0.0 (0.0-0.0) notes a minute" in text
    assert "9 of 10, 90% (55%-100%); 5 were mended as well." in text
    assert "5 such pieces from 5 sources. Cohen's kappa on instruments of notes that match: 1.00" in text
    assert "| | machine against people, F1 | annotators, as heard, F1 | annotators, final, F1 | " in text
    assert "| all notes: pitch or drum, and onset within 50 ms | 100% (100%-100%) | 99% (99%-99%) |" in text
    # What ada has and bob, too, agrees by itself: 60 notes; bob's note, which ada has not, is all that was touched.
    assert "One of the two at least changed, added or deleted 5 of 305 notes as heard, 5 of 305 final" in text
    assert "on these alone kappa is - as heard, - final." in text
    assert "| annotators, final, F1 | notes touched, as heard, F1 | notes touched, final, F1 |" in text
    assert text.count(" | 0% (0%-0%) | 0% (0%-0%) |") == 5, "there are no drums among them"
    few, _ = told(audited(tmp_path / "few"), {"v0_00000000"})
    text = "\n".join(section(few, None))
    assert "not measured: 2 excerpts of 10 s from 1 sources; 10 from 5 are needed." in text
    assert "1 of 2, 50% (1%-99%)" in text
    assert text.count("not measured") == 2 and "|" not in text
    assert "\n".join(section(None, None)).count("not measured.") == 3


def test_the_card_says_what_cannot_be_said_of_notes_that_people_touched(tmp_path: Path) -> None:
    _, agreement = told(audited(tmp_path / "w"))
    assert agreement is not None
    nothing = {"sheets": 5, "notes": agreement["touched"]["notes"], "layers": None}
    text = "\n".join(section(None, agreement | {"touched": nothing}))
    assert "Nobody touched a note, so how far they agree on the others is not known." in text
    assert "notes touched" not in text
    text = "\n".join(section(None, agreement | {"touched": nothing | {"sheets": 0}}))
    assert "No two began with the same notes of the machine" in text


def test_the_card_says_how_many_excerpts_were_not_written_down_blind(tmp_path: Path) -> None:
    workspace = audited(tmp_path / "w")
    first, *_ = Corrections.read(path_in(workspace)).lines
    earlier = replace(first, at="2026-01-01T00:00:00+00:00")
    audit, _ = measured(workspace, Corrections([earlier, replace(earlier, by="bob")]), NAMES)
    assert audit is not None
    assert (audit["label_error"]["excerpts"], audit["label_error"]["seen_before"]) == (8, 2)
    text = "\n".join(section(audit, None))
    assert (
        "8 excerpts of 10 s from 4 sources; 10 from 5 are needed. 2 more do not count: who wrote them down"
        in text
    )


def test_a_release_says_it_and_is_another_one_when_it_changes(tmp_path: Path) -> None:
    made = contents(tmp_path / "made", 3, (200, 200, 200))
    plain = build_of(made, tmp_path / "plain")
    assert (plain.manifest["audit"], plain.manifest["agreement"]) == (None, None)
    assert (plain.folder / "README.md").read_text().count("not measured.") == 3
    audit, agreement = told(audited(tmp_path / "w"))
    better = build_of(replace(made, audit=audit, agreement=agreement), tmp_path / "better")
    assert json.loads((better.folder / "manifest.json").read_text())["audit"] == json.loads(json.dumps(audit))
    assert "9 of 10, 90%" in (better.folder / "README.md").read_text()
    assert better.manifest["made_by"]["inputs"] != plain.manifest["made_by"]["inputs"]
    assert verify(better.folder).ok
    again = build_of(replace(made, audit=audit, agreement=agreement), tmp_path / "better")
    assert again.existed


def test_figures_are_plain_numbers(tmp_path: Path) -> None:
    def types(data: Any) -> set[type]:
        if isinstance(data, dict):
            return set().union(*map(types, data.values()))
        return set().union(*map(types, data)) if isinstance(data, list) else {type(data)}

    found = told(audited(tmp_path / "w"))
    assert types(list(found)) <= {int, float, type(None)}
    assert np.float64 not in types(list(found))
