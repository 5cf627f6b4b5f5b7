"""Tasks from sheets: what makes another version, what is kept of them, and what a server is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.corrections import Correction, Corrections
from d2midi_build.annotate.edits import revised
from d2midi_build.annotate.layers import sheeted
from d2midi_build.annotate.studio import sent
from d2midi_build.annotate.studio.preparing import (
    Opened,
    Prepared,
    Wishes,
    data_of,
    keep,
    kept_layers,
    kept_task,
    prepared,
)
from d2midi_build.annotate.studio.regions import regions
from d2midi_build.errors import UsageError, WorkspaceError
from d2midi_build.music.notes import Notes
from d2midi_build.workspace import Workspace
from tests.annotate.making import band

BEATS_S = np.arange(0.5, 75, 0.5)
POSITIONS = np.arange(len(BEATS_S)) % 4 + 1
KINEMATIC_S = np.arange(0.7, 75, 0.5)
USUAL = Wishes()
_COLUMNS = (
    "onset_s",
    "offset_s",
    "pitch",
    "velocity",
    "program",
    "is_drum",
    "p_note",
    "p_instrument",
    "origin",
)


def sparse(seed: int = 0) -> Notes:
    """Few enough pitches for one task a sheet."""
    notes = band(75, 4.0, seed)
    low = np.where(notes.is_drum, notes.pitch, 48 + notes.pitch % 24)
    return replace(notes, pitch=low.astype(notes.pitch.dtype))


CLIP = ClipNotes("yt-a_00000000", 1500, sparse(), BEATS_S, POSITIONS)
DENSE = replace(CLIP, notes=band(75, 20.0))


def tasks(
    clip: ClipNotes = CLIP, number: int = 1, wishes: Wishes = USUAL, corrections: Corrections | None = None
) -> list[Prepared]:
    return prepared(Opened.of(clip, corrections or Corrections([])), number, wishes, KINEMATIC_S)


def task(
    clip: ClipNotes = CLIP, number: int = 1, wishes: Wishes = USUAL, corrections: Corrections | None = None
) -> Prepared:
    [found] = tasks(clip, number, wishes, corrections)
    return found


def changed(where: Callable[[Notes], Any], **columns: Callable[[Any], Any]) -> ClipNotes:
    """The clip with one note, the first of those where that holds, changed in some columns."""
    at = int(np.flatnonzero(where(CLIP.notes))[0])
    values = {name: getattr(CLIP.notes, name).copy() for name in _COLUMNS}
    for name, change in columns.items():
        values[name][at] = change(values[name][at])
    return replace(CLIP, notes=Notes.create(**values))


def in_sheet(notes: Notes) -> Any:
    return (notes.onset_s > 40) & (notes.onset_s < 50) & ~notes.is_drum


def in_context(notes: Notes) -> Any:
    return (notes.onset_s > 60.1) & (notes.onset_s < 61.5)


def far_away(notes: Notes) -> Any:
    return notes.onset_s > 70


def dropped(sheet: int) -> Corrections:
    """A correction of a sheet that deletes its first note."""
    of = sheeted(CLIP, Corrections([]))[sheet]
    left = {number: row for number, row in of.layered.final.items() if number}
    made = revised(of.layered, left, "heard")
    at = "2026-11-26T12:00:00+00:00"
    return Corrections(
        [Correction(of.sheet.sheet_id, "ada@example.org", at, "heard", "test", of.layered.said, made)]
    )


# ---- versions ----


def test_the_same_sheet_has_the_same_version_and_record() -> None:
    assert task().task.data() == task().task.data()
    assert task().pictures == task().pictures
    assert task().draw(2) == task().draw(2)


@pytest.mark.parametrize(
    "other",
    [
        lambda: task(changed(in_sheet, pitch=lambda p: p + 1)),
        lambda: task(changed(in_sheet, velocity=lambda v: v - 1)),
        lambda: task(changed(in_sheet, offset_s=lambda t: t + 0.01)),
        lambda: task(changed(in_sheet, p_note=lambda p: p / 2)),
        lambda: task(changed(in_sheet, program=lambda p: (p + 8) % 128)),
        lambda: task(changed(in_context, pitch=lambda p: p + 1)),
        lambda: task(replace(CLIP, beats_s=BEATS_S + 0.1)),
        lambda: task(replace(CLIP, positions=POSITIONS % 3 + 1)),
        lambda: task(replace(CLIP, n_frames=1200)),
        lambda: task(wishes=Wishes(reason="aligned")),
        lambda: task(wishes=Wishes(commands="shift all +20ms")),
        lambda: task(wishes=Wishes(plant=0.05)),
        lambda: task(wishes=Wishes(kinematic=True)),
        lambda: task(corrections=dropped(1)),
        lambda: task(replace(CLIP, clip_id="yt-b_00000000")),
        lambda: task(number=0),
    ],
)
def test_whatever_is_shown_makes_another_version(other: Callable[[], Prepared]) -> None:
    assert other().task.version != task().task.version
    assert not {*other().pictures} & {*task().pictures}


@pytest.mark.parametrize(
    "other",
    [
        lambda: task(changed(far_away, pitch=lambda p: p + 1)),
        lambda: task(corrections=dropped(0)),
        lambda: task(wishes=Wishes(seed=7)),
        lambda: next(iter(prepared(Opened.of(CLIP, Corrections([])), 1, USUAL))),  # no beats of the dance
        lambda: prepared(Opened.of(CLIP, Corrections([])), 1, USUAL)[0],
    ],
)
def test_nothing_else_makes_another_version(other: Callable[[], Prepared]) -> None:
    assert other().task.version == task().task.version
    assert other().draw(0) == task().draw(0)


# ---- doubt ----


def agreeing(agreed: float, clip: ClipNotes = CLIP) -> ClipNotes:
    """The clip, heard by others: all of its notes but that with number 3 of sheet 1."""
    here = np.flatnonzero(clip.sheets()[1].holds(clip.notes.onset_s))
    found = np.full(len(clip.notes), 1.0, np.float32)
    found[here[3]] = agreed
    return replace(clip, agreed=found)


_ONE = np.ones(len(CLIP.notes), np.float32)
SURE = replace(CLIP, notes=replace(CLIP.notes, p_note=_ONE, p_instrument=_ONE))


def test_a_note_that_nobody_else_heard_is_framed() -> None:
    assert task(SURE).unsure == frozenset()
    assert task(agreeing(1.0, SURE)).unsure == task(agreeing(0.5, SURE)).unsure == frozenset()
    assert task(agreeing(np.nan, SURE)).unsure == frozenset()
    doubted = task(agreeing(0.0, SURE))
    assert doubted.unsure == {3}
    page = doubted.task.layout.page_of(doubted.task.rows[3].onset_s)
    assert doubted.draw(page) != task(SURE).draw(page)
    assert doubted.task.version != task(SURE).task.version  # its picture is another one
    assert task(agreeing(1.0, SURE)).task.version == task(SURE).task.version


def test_what_others_heard_says_nothing_of_a_note_that_a_person_changed() -> None:
    clip = agreeing(0.0, SURE)
    of = sheeted(clip, Corrections([]))[1]
    moved = {
        n: row._replace(velocity=row.velocity % 127 + 1) if n == 3 else row
        for n, row in of.layered.final.items()
    }
    made = revised(of.layered, moved, "heard")
    at = "2026-11-26T12:00:00+00:00"
    by = Correction(of.sheet.sheet_id, "ada@example.org", at, "heard", "test", of.layered.said, made)
    assert task(clip, corrections=Corrections([by])).unsure == frozenset()
    assert task(clip, wishes=Wishes(commands="shift all +20ms")).unsure == {3}


def test_planted_errors_are_drawn_by_seed_and_differ_between_sheets_and_parts() -> None:
    one, same, other = (task(wishes=Wishes(plant=0.1, seed=seed)).task for seed in (1, 1, 2))
    assert one == same
    assert one.planted != other.planted
    first, second = (
        [(error.number, error.kind) for error in task(number=number, wishes=Wishes(plant=0.1)).task.planted]
        for number in (0, 1)
    )
    assert first != second
    parts = [each.task for each in tasks(DENSE, wishes=Wishes(plant=0.1))]
    added = [error.number for part in parts for error in part.planted if error.kind == "added"]
    assert len(set(added)) == len(added) > 1
    assert min(added) >= len(CLIP.sheets()[1].notes_in(DENSE.notes))


# ---- what is kept ----


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "w")


@pytest.mark.parametrize("wishes", [USUAL, Wishes("pleasant", "delete Violin", 0.1, 3, True)])
@pytest.mark.parametrize("clip", [CLIP, DENSE])
def test_what_was_sent_and_its_notes_are_kept_to_the_bit(
    workspace: Workspace, clip: ClipNotes, wishes: Wishes
) -> None:
    for each in tasks(clip, wishes=wishes, corrections=dropped(1) if clip is CLIP else None):
        keep(workspace, each)
        found = kept_task(workspace, each.task.key, each.task.version)
        assert found == each.task
        assert kept_layers(workspace, found) == each.shown


def test_versions_of_a_task_are_kept_beside_each_other_and_parts_share_their_notes(
    workspace: Workspace,
) -> None:
    old, new = task(), task(wishes=Wishes(commands="delete Violin"))
    for each in [old, new, *tasks(DENSE)]:
        keep(workspace, each)
    assert kept_task(workspace, old.task.key, old.task.version) == old.task
    assert kept_task(workspace, new.task.key, new.task.version) == new.task
    folder = workspace.root / "annotation" / "sent"
    assert len(list(folder.glob("*.layers.json"))) == 2
    assert len(list(folder.glob("*@*.json"))) == 5
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: path.unlink(), "is not there"),
        (lambda path: path.write_text(path.read_text()[:-40]), "Restore it"),
        (lambda path: path.write_text("[" * 100_000), "Restore it"),
        (lambda path: path.write_text("{}"), "Restore it"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "Restore it"),
    ],
)
def test_a_damaged_record_is_refused(
    workspace: Workspace, spoil: Callable[[Path], object], told: str
) -> None:
    one = task()
    keep(workspace, one)
    spoil(sent.path_in(workspace, f"{one.task.key}@{one.task.version}"))
    with pytest.raises(UsageError, match=told):
        kept_task(workspace, one.task.key, one.task.version)


def test_a_record_of_another_task_is_refused(workspace: Workspace) -> None:
    one, other = task(), task(number=0)
    keep(workspace, one)
    keep(workspace, other)
    path = sent.path_in(workspace, f"{one.task.key}@{one.task.version}")
    path.write_bytes(sent.path_in(workspace, f"{other.task.key}@{other.task.version}").read_bytes())
    with pytest.raises(UsageError, match=r"is that of yt-a_00000000_s000\.all"):
        kept_task(workspace, one.task.key, one.task.version)


@pytest.mark.parametrize("version", ["../x", "a/b", "a\0b", "", "x" * 300])
def test_a_version_that_leaves_the_folder_is_refused(workspace: Workspace, version: str) -> None:
    with pytest.raises(UsageError):
        kept_task(workspace, "yt-a_00000000_s001.all", version)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path, _: path.unlink(), "cannot be read"),
        (lambda path, _: path.write_text("{}"), "damaged"),
        (lambda path, other: path.write_bytes(other.read_bytes()), "does not hold the notes"),
    ],
)
def test_damaged_or_foreign_notes_are_refused(
    workspace: Workspace, spoil: Callable[[Path, Path], object], told: str
) -> None:
    one, other = task(), task(number=0)
    keep(workspace, one)
    keep(workspace, other)
    folder = workspace.root / "annotation" / "sent"
    [path], [foreign] = (list(folder.glob(f"*s00{n}.*.layers.json")) for n in (1, 0))
    spoil(path, foreign)
    with pytest.raises(UsageError, match=told):
        kept_layers(workspace, one.task)


def test_a_folder_that_cannot_be_written_is_told(workspace: Workspace) -> None:
    (workspace.root / "annotation").write_text("no folder")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        keep(workspace, task())


# ---- what a server is told ----


def test_markup_in_ids_is_text_and_links_cannot_be_left() -> None:
    evil = 'yt-<script>"&x_00000000'
    made = task(replace(CLIP, clip_id=evil))
    listen = 'http://127.0.0.1:9/"><script>/'
    data = data_of(made, ["a.png"], "v.mp4", listen)
    assert "<script" not in data["about"]
    assert "yt-&lt;script&gt;&quot;&amp;x_00000000" in data["about"]
    _, link = data["about"].split("href=")
    assert link.count('"') == 4  # of href and of target
    assert data["task_key"] == f"{evil}_s001.all"


def test_a_task_says_its_part_and_links_only_where_there_is_something_to_hear() -> None:
    parts = [data_of(each, [], "v.mp4", "http://127.0.0.1:9/?a=1&b") for each in tasks(DENSE)]
    assert [data["part"] for data in parts] == ["drums", "bass", "rest"]
    assert "part: bass" in parts[1]["about"]
    assert 'href="http://127.0.0.1:9/?a=1&amp;b"' in parts[1]["about"]
    whole = data_of(task(), [], "v.mp4", "")
    assert "part" not in whole["about"] and "href" not in whole["about"]
    assert "30-60 s of the clip" in whole["about"]


def test_planted_errors_are_in_no_data_and_no_name() -> None:
    made = task(wishes=Wishes(plant=0.1))
    errors = made.task.planted
    assert errors
    told = json.dumps(
        [data_of(made, made.pictures, "v.mp4", "http://127.0.0.1:9"), regions(made.task), made.pictures]
    ).lower()
    for word in ("plant", "error", "true", "wrong", "audit", *(error.kind for error in errors)):
        assert word not in told, word
    plain = data_of(task(), task().pictures, "v.mp4", "http://127.0.0.1:9")
    mine = data_of(made, made.pictures, "v.mp4", "http://127.0.0.1:9")
    assert {name for name in mine if mine[name] != plain[name]} == {"version", "rolls"}


def test_parts_share_the_video_and_show_but_do_not_hold_each_others_notes() -> None:
    parts = tasks(DENSE)
    sheet = DENSE.sheets()[1]
    held = [row for each in parts for row in each.task.rows.values()]
    assert len(held) == len(sheet.notes_in(DENSE.notes))
    assert len({id(each.wanted) for each in parts}) == 1
    for each in parts:
        others = [row for other in parts if other is not each for row in other.task.rows.values()]
        assert {*others} <= {*each.task.context}
        assert not {*each.task.rows.values()} & {*each.task.context}


def test_commands_that_cannot_be_done_say_in_which_sheet() -> None:
    with pytest.raises(UsageError, match=r"--command cannot be done in yt-a_00000000_s001: .*shove"):
        task(wishes=Wishes(commands="shove all"))
    with pytest.raises(UsageError, match=r"--command cannot be done in yt-a_00000000_s001"):
        task(wishes=Wishes(commands="\n".join(["octave Violin +1"] * 8)))


def test_media_lie_below_the_folder_that_a_server_may_show(workspace: Workspace) -> None:
    assert workspace.media.parent == workspace.root / "annotation" / "served"
    assert all(name.startswith("yt-a_00000000_s001/all.") for name in task().pictures)
