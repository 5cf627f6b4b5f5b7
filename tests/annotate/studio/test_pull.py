"""What people submit becomes corrections: theirs, whole, once, and nothing else of what a server says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from d2midi_build.annotate.audit.excerpts import Excerpt
from d2midi_build.annotate.audit.record import Audits
from d2midi_build.annotate.audit.record import path_in as audits_path
from d2midi_build.annotate.clips import ClipNotes, read_clip
from d2midi_build.annotate.corrections import Corrections, append, path_in, withdrawal
from d2midi_build.annotate.edits import edits
from d2midi_build.annotate.layering import rows
from d2midi_build.annotate.studio.blind import blind
from d2midi_build.annotate.studio.client import Studio
from d2midi_build.annotate.studio.preparing import Opened, Prepared, Wishes, keep, prepared
from d2midi_build.annotate.studio.pull import Pulled, pull
from d2midi_build.annotate.studio.regions import regions
from d2midi_build.errors import UsageError
from d2midi_build.screening.decisions import verdict
from d2midi_build.screening.verdicts import Verdicts
from d2midi_build.workspace import Workspace
from tests.annotate.making import band
from tests.annotate.studio.sending import Editor
from tests.annotate.studio.shelf import Shelf
from tests.annotate.workspaces import write_tables

SHEET = "yt-a_00000000_s001"


_USUAL = Wishes()


class Trial:
    """A workspace, a server that holds its tasks, and what a pull finds."""

    def __init__(self, root: Path, wishes: Wishes = _USUAL, per_s: float = 4.0) -> None:
        beats_s = np.arange(0.5, 75, 0.5)
        positions = np.arange(len(beats_s)) % 4 + 1
        notes = band(75, per_s)
        if per_s < 10:  # few enough rows for one task
            low = np.where(notes.is_drum, notes.pitch, 48 + notes.pitch % 24)
            notes = replace(notes, pitch=low.astype(notes.pitch.dtype))
        clip = ClipNotes("yt-a_00000000", 1500, notes, beats_s, positions)
        self.workspace = write_tables(root, clip)
        self.shelf = Shelf()
        self.clip = read_clip(self.workspace, "yt-a_00000000")
        self.tasks = list(prepared(Opened.of(self.clip, self.corrections()), 1, wishes))
        self.told = [self.add(each) for each in self.tasks]

    def add(self, task: Prepared) -> dict[str, Any]:
        keep(self.workspace, task)
        return self.shelf.add(task)

    def editor(self, place: int = 0) -> Editor:
        return Editor(self.tasks[place].task)

    def pull(self, *reviewers: str, keep: bool = True) -> Pulled:
        return pull(self.workspace, cast(Studio, self.shelf), ["notes"], reviewers=reviewers, keep=keep)

    def corrections(self) -> Corrections:
        return Corrections.read(path_in(self.workspace))


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def test_an_untouched_task_is_a_correction_that_changes_nothing_to_the_bit(trial: Trial) -> None:
    trial.shelf.submit(trial.told[0], trial.editor().items, "No change needed")
    [made] = trial.pull().corrections
    assert (made.sheet_id, made.by, made.lead_s) == (SHEET, "ada@example.org", 60.5)
    assert made.layered.final == made.layered.machine == trial.tasks[0].shown.machine
    assert (made.shown, made.end_frame) == (made.said, 1200)


def test_every_kind_of_edit_comes_out_and_nothing_else(trial: Trial) -> None:
    editor = trial.editor()
    shown = trial.tasks[0].shown.final
    pitched = [n for n, row in shown.items() if not row.is_drum and row.span[1] - row.span[0] > 3000]
    moved, resized, labelled, louder, gone = pitched[:5]
    editor.drag(moved, right=40)
    editor.stretch(resized, right=60)
    editor.label(labelled, "Piccolo" if shown[labelled].instrument != "Piccolo" else "Violin")
    editor.fill(louder, "velocity", 127)
    editor.drop(gone)
    trial.shelf.submit(trial.told[0], editor.items)
    [made] = trial.pull().corrections
    found = {(edit.number, edit.kind, edit.reason) for edit in edits(made.layered)}
    kinds = {moved: "moved", resized: "resized", labelled: "instrument", louder: "velocity", gone: "deleted"}
    assert found == {(number, kind, "heard") for number, kind in kinds.items()}
    assert made.layered.final[moved].onset_s == pytest.approx(shown[moved].onset_s + 0.1, abs=0.003)
    untouched = {n: row for n, row in made.layered.final.items() if n not in kinds}
    assert untouched == {n: shown[n] for n in untouched}


def test_a_second_pull_changes_nothing(trial: Trial) -> None:
    editor = trial.editor()
    editor.drop(0)
    trial.shelf.submit(trial.told[0], editor.items)
    trial.pull()
    before = path_in(trial.workspace).read_bytes()
    again = trial.pull()
    assert (again.corrections, again.repeated) == ([], 1)
    assert path_in(trial.workspace).read_bytes() == before


def test_a_dry_run_keeps_nothing(trial: Trial) -> None:
    trial.shelf.submit(trial.told[0], trial.editor().items)
    assert len(trial.pull(keep=False).corrections) == 1
    assert not path_in(trial.workspace).exists()


def test_the_newest_submission_of_a_person_counts_and_skipped_ones_do_not(trial: Trial) -> None:
    first, second = trial.editor(), trial.editor()
    first.drop(0)
    second.drop(1)
    trial.shelf.submit(trial.told[0], first.items)
    trial.shelf.submit(trial.told[0], second.items)
    trial.shelf.submit(trial.told[0], first.items)["was_cancelled"] = True
    [made] = trial.pull().corrections
    assert 0 in made.layered.final
    assert 1 not in made.layered.final


def test_two_people_are_a_conflict_until_a_reviewer_says_so(trial: Trial) -> None:
    for by, number in ((1, 0), (2, 1)):
        editor = trial.editor()
        editor.drop(number)
        trial.shelf.submit(trial.told[0], editor.items, by=by)
    trial.pull()
    assert trial.corrections().standing(SHEET).conflict
    trial.pull("BOB@example.org")
    applied = trial.corrections().standing(SHEET).applied
    assert applied is not None
    assert (applied.by, applied.reviewer) == ("bob@example.org", True)


def test_a_reason_of_the_task_and_of_single_notes_decide_the_layer(trial: Trial) -> None:
    editor = trial.editor()
    editor.drag(0, right=40)
    editor.drag(1, right=40)
    editor.why(1, "heard")
    trial.shelf.submit(trial.told[0], editor.items, reason="aligned")
    [made] = trial.pull().corrections
    assert {(e.number, e.kind, e.reason) for e in edits(made.layered)} == {
        (0, "moved", "aligned"),
        (1, "moved", "heard"),
    }
    assert made.layered.heard[0] == made.layered.machine[0]
    assert made.layered.heard[1] == made.layered.final[1] != made.layered.machine[1]


@pytest.fixture
def parted(tmp_path: Path) -> Iterator[Trial]:
    """A dense sheet: drums, bass and rest are tasks of their own."""
    trial = Trial(tmp_path, per_s=20.0)
    assert [each.task.part for each in trial.tasks] == ["drums", "bass", "rest"]
    yield trial


def test_parts_make_one_correction_once_all_are_submitted(parted: Trial) -> None:
    drums, rest = parted.editor(0), parted.editor(2)
    drum, note = drums.sent.notes[0].number, rest.sent.notes[0].number
    drums.drop(drum)
    rest.drop(note)
    lane = rest.sent.layout.lane_of(rest.sent.notes[0].sent)
    assert lane is not None
    rest.draw("added00001", 2, (900, lane.top_px), (100, lane.height_px))
    parted.shelf.submit(parted.told[0], drums.items, reason="aligned")
    parted.shelf.submit(parted.told[2], rest.items)
    found = parted.pull()
    assert found.corrections == []
    assert found.partly == [(SHEET, "ada@example.org", "bass")]
    parted.shelf.submit(parted.told[1], parted.editor(1).items, "No change needed")
    found = parted.pull()
    assert (found.partly, found.problems) == ([], [])
    [made] = found.corrections
    changed = [(edit.number, edit.kind, edit.reason) for edit in edits(made.layered)]
    new = max(made.layered.final)
    assert sorted(changed) == sorted(
        [(drum, "deleted", "aligned"), (note, "deleted", "heard"), (new, "added", "heard")]
    )
    assert made.lead_s == 181.5


def test_planted_errors_that_nobody_found_do_not_enter_and_are_counted(tmp_path: Path) -> None:
    trial = Trial(tmp_path, Wishes(plant=0.1, seed=4))
    errors = {each.kind: each for each in trial.tasks[0].task.planted}
    editor = trial.editor()
    assert trial.tasks[0].task.rows != trial.tasks[0].shown.final
    editor.drop(errors["added"].number)
    trial.shelf.submit(trial.told[0], editor.items)
    found = trial.pull()
    [made] = found.corrections
    assert made.said == made.shown
    [result] = Audits.read(audits_path(trial.workspace)).planted
    assert {each.number for each in result.outcomes if each.found} == {errors["added"].number}
    assert len(result.outcomes) == len(trial.tasks[0].task.planted)


def test_what_commands_did_before_sending_counts_once_submitted(tmp_path: Path) -> None:
    trial = Trial(tmp_path, Wishes(commands="delete Violin; octave Acoustic Grand Piano +1"))
    trial.shelf.submit(trial.told[0], trial.editor().items)
    [made] = trial.pull().corrections
    shown = trial.tasks[0].shown.final
    gone = {n for n, row in shown.items() if row.instrument == "Violin"}
    higher = {n for n, row in shown.items() if row.instrument == "Acoustic Grand Piano"}
    assert gone and higher
    found = {(edit.number, edit.kind) for edit in edits(made.layered)}
    assert found == {(n, "deleted") for n in gone} | {(n, "pitch") for n in higher}


def test_excerpts_written_down_from_scratch_are_kept_apart(trial: Trial) -> None:
    task = blind(Excerpt("yt-a_00000000", 33, 43), trial.clip)
    told = trial.add(task)
    assert regions(task.task) == []
    laid = task.task.layout
    lane = next(each for each in laid.lanes if each.key == 60 and each.kind == "pitch")
    editor = Editor(task.task)
    editor.draw("drawn00001", 0, (laid.column(35.0, 0), lane.top_px), (400, lane.height_px))
    trial.shelf.submit(told, editor.items)
    found = trial.pull()
    assert (found.blind, found.corrections, found.problems) == (1, [], [])
    [result] = Audits.read(audits_path(trial.workspace)).blind
    [row] = result.rows
    assert (row.instrument, row.pitch, row.velocity) == ("Violin", 60, 80)
    assert row.onset_s == pytest.approx(35.0, abs=0.001)
    assert (result.start_s, result.end_s, result.by) == (33, 43, "ada@example.org")
    assert trial.pull().blind == 0


def test_a_clip_to_drop_is_a_verdict_that_a_later_one_overrules(trial: Trial) -> None:
    trial.shelf.submit(trial.told[0], trial.editor().items, "Drop clip", remark="two dancers")
    found = trial.pull()
    assert found.corrections == []
    [dropped] = found.dropped
    assert (dropped.item, dropped.verdict, dropped.by) == ("yt-a_00000000", "reject", "ada@example.org")
    assert dropped.why.endswith("two dancers")
    assert trial.pull().dropped == []
    verdicts = Verdicts(trial.workspace.verdicts_path)
    verdicts.append([verdict("yt-a_00000000", "accept", "one and her shadow", "lead")])
    assert trial.pull().dropped == []
    found_now = Verdicts(trial.workspace.verdicts_path).of("yt-a_00000000", "yt-a")
    assert found_now is not None
    assert found_now.verdict == "accept"


def _twice(task: dict[str, Any]) -> None:
    task["annotations"][0]["result"].append(task["annotations"][0]["result"][0])


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda t: t["annotations"][0]["result"][0]["value"].update(x=200), "x"),
        (lambda t: t["annotations"][0]["result"][0]["value"].update(width=-3), "-3 wide"),
        (lambda t: t["annotations"][0]["result"][0]["value"].update(rectanglelabels=["Kazoo"]), "Kazoo"),
        (lambda t: t["annotations"][0]["result"][0]["value"].pop("y"), "y"),
        (lambda t: t["annotations"][0]["result"].pop(), "verdict"),
        (_twice, "twice"),
        (lambda t: t["annotations"][0].update(result="<b>no list</b>"), "list"),
        (lambda t: t["annotations"][0].update(completed_by=77), "no account"),
        (lambda t: t["annotations"][0].update(completed_by=None), "completed_by"),
        (lambda t: t["annotations"][0].update(updated_at="yesterday"), "time"),
        (lambda t: t["data"].update(version="../../etc"), "cannot name a file"),
        (lambda t: t["data"].update(version="../x"), "cannot name a file"),
        (lambda t: t["data"].update(task_key="yt-b_00000000_s000.all"), "is not there"),
        (lambda t: t["data"].pop("version"), "none of d2midi's"),
        (lambda t: t.update(annotations=None), "annotations"),
        (lambda t: t.update(data=[]), "data"),
    ],
)  # fmt: skip
def test_damaged_answers_are_told_and_stop_no_other(trial: Trial, spoil: Any, told: str) -> None:
    [other] = prepared(Opened.of(trial.clip, trial.corrections()), 0, Wishes())
    trial.shelf.submit(trial.told[0], trial.editor().items)
    spoil(trial.told[0])
    trial.shelf.submit(trial.add(other), Editor(other.task).items, by=2)
    found = trial.pull()
    assert [each.sheet_id for each in found.corrections] == ["yt-a_00000000_s000"]
    message = found.problems[0][1]
    assert told in message
    json.dumps(message).encode("ascii")


def test_a_task_that_was_made_anew_meanwhile_is_read_by_what_was_shown(trial: Trial) -> None:
    """The sheet was transcribed again and pushed, but this person works on the task of before."""
    editor = trial.editor()
    editor.drop(0)
    [newer] = prepared(Opened.of(trial.clip, trial.corrections()), 1, Wishes(commands="delete Violin"))
    keep(trial.workspace, newer)
    assert newer.task.version != trial.tasks[0].task.version
    trial.shelf.submit(trial.told[0], editor.items)
    [made] = trial.pull().corrections
    assert [(edit.number, edit.kind) for edit in edits(made.layered)] == [(0, "deleted")]


def test_a_project_that_is_not_there_is_told(trial: Trial) -> None:
    with pytest.raises(UsageError, match="annotate push"):
        pull(trial.workspace, cast(Studio, trial.shelf), ["other"])


def test_lost_notes_of_what_was_sent_are_told(trial: Trial) -> None:
    trial.shelf.submit(trial.told[0], trial.editor().items)
    for path in (trial.workspace.root / "annotation" / "sent").glob("*.layers.json"):
        path.write_text("{}")
    found = trial.pull()
    assert found.corrections == []
    [(sheet, message)] = found.problems
    assert sheet == SHEET
    assert "damaged" in message
    assert isinstance(Workspace.open(trial.workspace.root), Workspace)


def test_commands_of_an_annotator_find_no_planted_errors(tmp_path: Path) -> None:
    trial = Trial(tmp_path, Wishes(plant=0.1, seed=4))
    trial.shelf.submit(trial.told[0], trial.editor().items, commands="shift all +20ms")
    [made] = trial.pull().corrections
    shown = trial.tasks[0].shown.final
    assert made.layered.final.keys() == shown.keys()
    assert {row.span[0] - shown[n].span[0] for n, row in made.layered.final.items()} == {205}
    assert {edit.kind for edit in edits(made.layered)} == {"moved"}
    [result] = Audits.read(audits_path(trial.workspace)).planted
    assert not any(each.found for each in result.outcomes)


# ---- what a reviewer of this code found ----


def test_a_settlement_outlives_pulls_that_name_no_reviewer(trial: Trial) -> None:
    for by, number in ((1, 0), (2, 1)):
        editor = trial.editor()
        editor.drop(number)
        trial.shelf.submit(trial.told[0], editor.items, by=by)
    trial.pull("bob@example.org")
    before = path_in(trial.workspace).read_bytes()
    for reviewers in ((), ("bob@example.org",), ()):
        assert trial.pull(*reviewers).corrections == []
    assert path_in(trial.workspace).read_bytes() == before
    assert not trial.corrections().standing(SHEET).conflict


def test_what_was_withdrawn_does_not_come_back_by_a_star(trial: Trial) -> None:
    """Label Studio saves an answer anew when somebody marks it."""
    editor = trial.editor()
    editor.drop(0)
    annotation = trial.shelf.submit(trial.told[0], editor.items)
    [made] = trial.pull().corrections
    append(path_in(trial.workspace), [withdrawal(made, "2026-11-26T14:00:00+00:00")])
    annotation["updated_at"] = "2026-11-26T15:00:00.5Z"
    assert trial.pull("ada@example.org").corrections == []
    assert trial.corrections().standing(SHEET).applied is None


def test_going_back_to_an_earlier_answer_is_news(trial: Trial) -> None:
    for number in (0, 1, 0):
        editor = trial.editor()
        editor.drop(number)
        trial.shelf.submit(trial.told[0], editor.items)
        assert len(trial.pull().corrections) == 1
    applied = trial.corrections().standing(SHEET).applied
    assert applied is not None
    assert 0 not in applied.layered.final


def test_an_annotation_that_was_begun_empty_deletes_nothing(trial: Trial) -> None:
    trial.shelf.submit(trial.told[0], [])
    found = trial.pull()
    assert found.corrections == []
    assert "empty annotation" in found.problems[0][1]
    trial.shelf.submit(trial.told[0], trial.editor().items, commands="delete all in 30-60s")
    [made] = trial.pull().corrections
    assert made.layered.final == {}


def test_an_answer_that_somebody_else_changed_is_nobodys(trial: Trial) -> None:
    trial.shelf.submit(trial.told[0], trial.editor().items)["updated_by"] = 3
    found = trial.pull()
    assert found.corrections == []
    assert "rita@example.org has changed it since" in found.problems[0][1]


def test_a_star_by_somebody_else_takes_nothing_away(trial: Trial) -> None:
    annotation = trial.shelf.submit(trial.told[0], trial.editor().items)
    assert len(trial.pull().corrections) == 1
    annotation["updated_by"] = 3
    annotation["updated_at"] = "2026-11-26T14:00:00Z"
    found = trial.pull()
    assert (found.corrections, found.repeated, found.problems) == ([], 1, [])


@pytest.mark.parametrize("field", ["result", "lead_time", "updated_by"])
@pytest.mark.parametrize("value", ["missing", {"a": 1}, ["x"]])
def test_odd_or_missing_fields_stop_no_other(trial: Trial, field: str, value: Any) -> None:
    annotation = trial.shelf.submit(trial.told[0], trial.editor().items)
    [other] = prepared(Opened.of(trial.clip, trial.corrections()), 0, Wishes())
    trial.shelf.submit(trial.add(other), Editor(other.task).items, by=2)
    if value == "missing":
        annotation.pop(field, None)
    else:
        annotation[field] = value
    assert "yt-a_00000000_s000" in [each.sheet_id for each in trial.pull().corrections]


def test_a_time_in_the_future_is_refused(trial: Trial) -> None:
    """It would count before everything that anybody says from now on."""
    trial.shelf.submit(trial.told[0], trial.editor().items)["updated_at"] = "2926-01-01T00:00:00Z"
    found = trial.pull()
    assert (found.corrections, len(found.problems)) == ([], 1)


def test_what_was_dropped_in_one_project_is_not_taken_back_by_another_sheet(trial: Trial) -> None:
    trial.shelf.submit(trial.told[0], trial.editor().items, "Drop clip")
    trial.pull()
    [other] = prepared(Opened.of(trial.clip, trial.corrections()), 0, Wishes())
    told = trial.add(other)
    trial.shelf.told = [told]  # as of another project
    trial.shelf.submit(told, Editor(other.task).items)
    assert trial.pull().dropped == []


def test_a_dispute_about_dropping_ends_when_somebody_decides(trial: Trial) -> None:
    trial.shelf.submit(trial.told[0], trial.editor().items, "Drop clip", by=1)
    trial.shelf.submit(trial.told[0], trial.editor().items, by=2)
    assert len(trial.pull().problems) == 1
    Verdicts(trial.workspace.verdicts_path).append([verdict("yt-a_00000000", "accept", "fine", "lead")])
    assert trial.pull().problems == []


def test_work_on_a_task_that_was_renewed_meanwhile_is_read_by_what_was_seen(trial: Trial) -> None:
    """It was open, without a draft yet, when push brought it up to date."""
    editor = trial.editor()
    editor.drop(0)
    [newer] = prepared(Opened.of(trial.clip, trial.corrections()), 1, Wishes(commands="delete Violin"))
    keep(trial.workspace, newer)
    trial.told[0]["data"]["version"] = newer.task.version
    trial.shelf.submit(trial.told[0], editor.items)
    found = trial.pull()
    assert found.problems == []
    [made] = found.corrections
    assert [(edit.number, edit.kind) for edit in edits(made.layered)] == [(0, "deleted")]


def test_of_two_copies_of_a_task_the_newest_answer_counts(trial: Trial) -> None:
    copy = trial.shelf.add(trial.tasks[0])
    for number, told in ((0, trial.told[0]), (1, copy)):
        editor = trial.editor()
        editor.drop(number)
        trial.shelf.submit(told, editor.items)
    [made] = trial.pull().corrections
    assert {edit.number for edit in edits(made.layered)} == {1}


def test_commands_of_the_lead_keep_the_leads_reason(tmp_path: Path) -> None:
    trial = Trial(tmp_path, Wishes(commands="octave Acoustic Grand Piano +1"))
    editor = trial.editor()
    drum = next(n for n, row in trial.tasks[0].task.rows.items() if row.is_drum)
    editor.drag(drum, right=40)
    trial.shelf.submit(trial.told[0], editor.items, reason="aligned")
    [made] = trial.pull().corrections
    reasons = {(edit.kind, edit.reason) for edit in edits(made.layered)}
    assert reasons == {("pitch", "heard"), ("moved", "aligned")}


def test_who_would_drop_what_another_corrects_drops_nothing(trial: Trial) -> None:
    trial.shelf.submit(trial.told[0], trial.editor().items, "Drop clip", by=1)
    trial.shelf.submit(trial.told[0], trial.editor().items, by=2)
    found = trial.pull()
    assert found.dropped == []
    assert "ada@example.org would drop it, bob@example.org did not" in found.problems[0][1]


def test_whoever_answers_otherwise_later_drops_no_more(trial: Trial) -> None:
    trial.shelf.submit(trial.told[0], trial.editor().items, "Drop clip")
    trial.pull()
    trial.shelf.submit(trial.told[0], trial.editor().items)
    assert [each.verdict for each in trial.pull().dropped] == ["withdraw"]
    assert Verdicts(trial.workspace.verdicts_path).of("yt-a_00000000", "yt-a") is None
    assert trial.pull().dropped == []


def test_an_excerpt_in_which_nothing_was_written_down_says_nothing(trial: Trial) -> None:
    told = trial.add(blind(Excerpt("yt-a_00000000", 33, 43), trial.clip))
    trial.shelf.submit(told, [], "No change needed")
    assert trial.pull().blind == 0
    trial.shelf.submit(told, [], remark="silence")
    assert trial.pull().blind == 1


def test_a_reviewer_whom_nobody_knows_is_told(trial: Trial) -> None:
    with pytest.raises(UsageError, match=r"nobody on .* is adda@example\.org"):
        trial.pull("adda@example.org")


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", ""])
def test_odd_times_are_told(trial: Trial, at: str) -> None:
    trial.shelf.submit(trial.told[0], trial.editor().items)["updated_at"] = at
    found = trial.pull()
    assert (found.corrections, len(found.problems)) == ([], 1)


def test_video_and_surroundings_are_as_sent_and_not_as_they_are(tmp_path: Path) -> None:
    """Or whoever looks and listens finds the planted errors without having to know better."""
    clip = Trial(tmp_path, per_s=20.0).clip
    opened = Opened.of(clip, Corrections())
    plain, spoilt = (prepared(opened, 1, wishes) for wishes in (Wishes(), Wishes(plant=0.1)))
    sent = {row.seen for each in spoilt for row in each.task.rows.values()}
    shown = [row for row in rows(spoilt[0].wanted.notes) if opened.sheets[1].sheet.holds(row.onset_s)]
    assert {row.seen for row in shown} == {row for row in sent if 30 <= row[0] / 10240 < 60}
    assert rows(spoilt[0].wanted.notes) != rows(plain[0].wanted.notes)
    missing = {
        each.true.seen
        for task in spoilt
        for each in task.task.planted
        if each.kind == "deleted" and each.true
    }
    assert missing
    for each in spoilt:
        assert not missing & {row.seen for row in each.task.context}


def test_what_others_changed_before_is_not_said_of_who_goes_on_from_it(trial: Trial) -> None:
    editor = trial.editor()
    editor.drop(0)
    trial.shelf.submit(trial.told[0], editor.items)
    trial.pull()
    [task] = prepared(Opened.of(trial.clip, trial.corrections()), 1, _USUAL)
    editor = Editor(task.task)
    editor.drop(1)
    trial.shelf.submit(trial.add(task), editor.items, by=2)
    found = trial.pull()
    [made] = found.corrections
    assert {edit.number for edit in edits(made.layered)} == {0, 1}
    assert [edit.number for edit in found.changed[SHEET, "bob@example.org"]] == [1]
