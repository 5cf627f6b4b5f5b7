"""Tasks of a workspace: in the order in which sheets were chosen, from its own notes, beats and corrections."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.corrections import Corrections, append, path_in
from d2midi_build.annotate.studio import choosing
from d2midi_build.annotate.studio.answers import Answer, correction
from d2midi_build.annotate.studio.blind import excerpt_of
from d2midi_build.annotate.studio.choosing import excerpt_tasks, sent_excerpts, sheet_tasks
from d2midi_build.annotate.studio.preparing import Opened, Wishes, keep, prepared
from d2midi_build.annotate.studio.regions import left
from d2midi_build.annotate.studio.selection import candidates
from d2midi_build.workspace import Workspace
from tests.annotate.studio.pushing import clip, workspace_of
from tests.annotate.studio.sending import Editor

CLIPS = [clip("a", 75, 3.0), clip("b", 25, 3.0, 1), clip("c", 45, 3.0, 2)]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace_of(tmp_path_factory.mktemp("w"), *CLIPS)


def sheet_ids(workspace: Workspace, order: Callable[[str], object]) -> list[str]:
    chosen = sorted(candidates(workspace), key=lambda each: order(each.sheet.sheet_id))
    found = [each.task.sheet_id for each in sheet_tasks(workspace, chosen, Wishes(), [])]
    return list(dict.fromkeys(found))


def test_tasks_come_in_the_order_of_their_sheets(workspace: Workspace) -> None:
    known = [sheet.sheet_id for each in CLIPS for sheet in each.sheets()]
    assert len(known) == 6
    assert sheet_ids(workspace, lambda name: name) == known
    assert sheet_ids(workspace, lambda name: name[::-1]) == sorted(known, key=lambda name: name[::-1])


def test_a_clip_is_read_once_and_sheets_of_others_are_not_read(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, seen = choosing.read_clip, list[str]()

    def counted(workspace: Workspace, clip_id: str) -> ClipNotes:
        seen.append(clip_id)
        return read(workspace, clip_id)

    monkeypatch.setattr(choosing, "read_clip", counted)
    chosen = sorted(candidates(workspace), key=lambda each: each.sheet.sheet_id[::-1])
    list(sheet_tasks(workspace, [each for each in chosen if each.clip_id != CLIPS[1].clip_id], Wishes(), []))
    assert sorted(seen) == [CLIPS[0].clip_id, CLIPS[2].clip_id]


def test_they_are_those_of_the_clip_as_its_tables_say(workspace: Workspace) -> None:
    [first, *_] = [each for each in candidates(workspace) if each.clip_id == CLIPS[0].clip_id]
    [made, *_] = sheet_tasks(workspace, [first], Wishes(), [])
    [own, *_] = prepared(Opened.of(CLIPS[0], Corrections([])), 0, Wishes())
    assert made.task == own.task


def test_beats_of_the_dance_are_drawn_where_asked_for_and_they_alone(workspace: Workspace) -> None:
    [first, *_] = candidates(workspace)
    [plain, *_] = sheet_tasks(workspace, [first], Wishes(), [])
    [danced, *_] = sheet_tasks(workspace, [first], Wishes(kinematic=True), [])
    assert plain.kinematic_s.tolist() == []
    # The kinematic beats of such workspaces lie 0.2 s behind the musical ones.
    assert np.allclose(danced.kinematic_s, CLIPS[0].beats_s + 0.2, atol=1e-9)
    assert danced.clip.beats_s.tolist() == CLIPS[0].beats_s.tolist()


def test_people_go_on_from_what_counts(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, *CLIPS)
    [first, *_] = candidates(workspace)
    before = list(sheet_tasks(workspace, [first], Wishes(), []))
    answers = []
    for each in before:
        editor = Editor(each.task)
        editor.drop(each.task.notes[0].number)
        answers.append(
            Answer(each.task, left(editor.items, each.task), "ada@example.org", "2026-11-26T12:00:00+00:00")
        )
    append(path_in(workspace), [correction(before[0].shown, answers)])
    after = list(sheet_tasks(workspace, [first], Wishes(), []))
    for old, new in zip(before, after, strict=True):
        assert {*old.task.rows} - {*new.task.rows} == {old.task.notes[0].number}
        assert old.task.version != new.task.version


def test_excerpts_are_drawn_by_the_seed_of_the_clips_of_the_sheets(workspace: Workspace) -> None:
    chosen = [each for each in candidates(workspace) if each.clip_id != CLIPS[1].clip_id]
    one, same, other = (
        [each.task.key for each in excerpt_tasks(workspace, chosen, 5, seed)] for seed in (1, 1, 2)
    )
    assert len({*one}) == 5
    assert one == same != other
    assert {key.partition("@")[0] for key in one} == {CLIPS[0].clip_id, CLIPS[2].clip_id}


def test_excerpts_go_around_those_that_were_sent_before(workspace: Workspace) -> None:
    """The same seconds would count twice."""
    known = candidates(workspace)
    for task in excerpt_tasks(workspace, known, 2, seed=1):
        keep(workspace, task)
    before = [excerpt_of(each) for each in sent_excerpts(workspace)]
    assert len(before) == 2
    again = [excerpt_of(each.task) for each in excerpt_tasks(workspace, known, 50, seed=2)]
    assert again
    for each in again:
        assert each in before or not any(each.overlaps(other) for other in before)
