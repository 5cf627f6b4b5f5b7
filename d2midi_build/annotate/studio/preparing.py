"""From sheets to what is sent for them: tasks, their pictures, and what is kept here until they come back."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from glob import escape as glob_escape
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build import clock
from d2midi_build.annotate.audit.planting import Planted, planted
from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.corrections import Corrections
from d2midi_build.annotate.layering import Layer, Layered, Reason, Row, decode, encode, notes_of, rows
from d2midi_build.annotate.layers import Sheeted, clip_layers, sheeted
from d2midi_build.annotate.sheets import Sheet
from d2midi_build.annotate.studio import drawing, sent
from d2midi_build.annotate.studio.commands import apply, parse
from d2midi_build.annotate.studio.footage import near
from d2midi_build.annotate.studio.pages import layout
from d2midi_build.annotate.studio.parts import WHOLE, parts
from d2midi_build.annotate.studio.rendering import Wanted
from d2midi_build.annotate.studio.sent import SentTask, sent_notes
from d2midi_build.digests import sha256_data
from d2midi_build.errors import UsageError
from d2midi_build.music.notes import Notes
from d2midi_build.music.opinions import sureness
from d2midi_build.workspace import Workspace, write_whole

FORMAT: Final = 1
"""Of tasks and their pictures; another one makes new versions of all tasks."""

VERSION_CHARS: Final = 12


@dataclass(frozen=True)
class Wishes:
    """How sheets are sent.

    Attributes
    ----------
    reason : {"heard", "aligned", "pleasant"}
        Why notes are changed where an annotator says nothing else.
    commands : str
        Done to the notes before they are sent, see `commands`.
    plant : float
        Share of notes, 0-1, in which errors are planted to see whether they are found; 0 for none.
    seed : int
        Of planted errors.
    kinematic : bool
        Whether beats of the dance are drawn.
    """

    reason: Reason = "heard"
    commands: str = ""
    plant: float = 0.0
    seed: int = 0
    kinematic: bool = False


@dataclass(frozen=True, eq=False)
class Prepared:
    """A task that can be sent.

    Attributes
    ----------
    task : SentTask
    shown : Layered
        The notes of its sheet that it was made from.
    wanted : Wanted
        What its video shows.
    clip : ClipNotes
    kinematic_s : np.ndarray, shape (k,), float64
        Beats of the dance to draw.
    unsure : frozenset of int
        Numbers of the notes to mark.
    """

    task: SentTask
    shown: Layered
    wanted: Wanted
    clip: ClipNotes
    kinematic_s: npt.NDArray[np.float64]
    unsure: frozenset[int] = frozenset()

    @property
    def pictures(self) -> list[str]:
        """Names of the pictures of its pages, below the folder of media."""
        stem = f"{self.task.sheet_id}/{self.task.part}.{self.task.version}"
        return [f"{stem}.{page}.png" for page in range(len(self.task.layout.pages))]

    def draw(self, page: int) -> bytes:
        """The picture of a page, PNG."""
        return drawing.png(
            drawing.draw(
                self.task.layout,
                page,
                notes=self.task.rows.values(),
                context=self.task.context,
                unsure=[row for number, row in self.task.rows.items() if number in self.unsure],
                beats_s=self.clip.beats_s,
                positions=self.clip.positions,
                kinematic_s=self.kinematic_s,
            )
        )


@dataclass(frozen=True, eq=False)
class Opened:
    """A clip with what counts in it, read once for all its sheets.

    Attributes
    ----------
    clip : ClipNotes
    sheets : tuple of Sheeted
        By number.
    final : Notes
        The clip's layer ``final``.
    """

    clip: ClipNotes
    sheets: tuple[Sheeted, ...]
    final: Notes

    @classmethod
    def of(cls, clip: ClipNotes, corrections: Corrections) -> Opened:
        """Of a clip and the corrections of it."""
        return cls(clip, tuple(sheeted(clip, corrections)), clip_layers(clip, corrections).layer("final"))


def prepared(
    opened: Opened, number: int, wishes: Wishes, kinematic_s: npt.NDArray[np.float64] | None = None
) -> list[Prepared]:
    """The tasks of a sheet, one per part.

    Parameters
    ----------
    opened : Opened
        Its clip: people go on from what counts there.
    number : int
        Of the sheet.
    wishes : Wishes
    kinematic_s : np.ndarray, shape (k,), float64, optional
        Beats of the dance in seconds.

    Raises
    ------
    UsageError
        If commands cannot be done to its notes.
    """
    clip, of = opened.clip, opened.sheets[number]
    beats = np.empty(0) if kinematic_s is None or not wishes.kinematic else kinematic_s
    following, errors = of.layered.next_number, dict[str, Planted]()
    for part, notes in parts(of.layered.final).items():
        errors[part] = _planted(_commanded(notes, of.sheet, wishes), of.sheet, part, wishes, following)
        following = max([following, *(number + 1 for number in errors[part].rows)])
    agreed = _agreed(clip, of)
    own = {row.seen for row in of.layered.final.values()}
    around = [row for row in rows(of.sheet.context_in(opened.final)) if row.seen not in own]
    # What is seen and heard around a part is what others are sent: the truth would tell planted errors.
    sounding = [*around, *(row for each in errors.values() for row in each.rows.values())]
    footage = Wanted(of.sheet, near(of.sheet, notes_of(sounding).sorted()))
    found = []
    for part, planted_in in errors.items():
        others = [row for name, each in errors.items() if name != part for row in each.rows.values()]
        unsure = _unsure(planted_in.rows, agreed)
        by_others = unsure ^ _unsure(planted_in.rows, {})
        task = _task(of, part, planted_in, (*around, *others), clip, wishes, beats, by_others)
        found.append(Prepared(task, of.layered, footage, clip, beats, frozenset(unsure)))
    return found


def _commanded(notes: Layer, sheet: Sheet, wishes: Wishes) -> dict[int, Row]:
    first_s, last_s = map(clock.frame_time_s, sheet.shown_frames)
    try:
        return apply(parse(wishes.commands), notes, shown_s=(first_s, last_s))
    except ValueError as error:
        raise UsageError(f"--command cannot be done in {sheet.sheet_id}: {error}") from error


def _planted(notes: dict[int, Row], sheet: Sheet, part: str, wishes: Wishes, following: int) -> Planted:
    if not wishes.plant:
        return Planted(notes, ())
    own = int(sha256_data([wishes.seed, sheet.sheet_id, part])[:12], 16)
    return planted(notes, wishes.plant, np.random.default_rng(own), following=following)


def _task(
    of: Sheeted,
    part: str,
    errors: Planted,
    context: Sequence[Row],
    clip: ClipNotes,
    wishes: Wishes,
    beats: npt.NDArray[np.float64],
    by_others: Collection[int],
) -> SentTask:
    drawn = layout(of.sheet, errors.rows.values(), context)
    told: list[Any] = [
        FORMAT,
        layers_digest(of.layered),
        part,
        [[number, list(row)] for number, row in sorted(errors.rows.items())],
        [list(row) for row in context],
        [clip.beats_s.tolist(), clip.positions.tolist(), beats.tolist()],
        drawn.data(),
        wishes.reason,
        wishes.commands,
        *([sorted(by_others)] if by_others else []),
    ]
    version = sha256_data(told)[:VERSION_CHARS]
    return SentTask(
        key=f"{of.sheet.sheet_id}.{part}",
        sheet_id=of.sheet.sheet_id,
        part=part,
        layout=drawn,
        notes=sent_notes(drawn, of.layered.final, errors.rows, version),
        reason=wishes.reason,
        commands=wishes.commands,
        shown=of.layered.said,
        machine=of.layered.transcribed,
        version=version,
        planted=errors.errors,
        layers=layers_digest(of.layered),
        context=tuple(context),
    )


def data_of(prepared: Prepared, rolls: Sequence[str], video: str, listen: str) -> dict[str, Any]:
    """What Label Studio keeps of a task.

    Parameters
    ----------
    prepared : Prepared
    rolls, video : sequence of str, str
        Addresses of the pictures of its pages and of its video.
    listen : str
        Address of its Listen page; empty if there is none.
    """
    task = prepared.task
    first_s, last_s = task.span_s
    words = [
        task.sheet_id,
        f"{first_s:g}-{last_s:g} s of the clip",
        f"part: {task.part}" * (task.part != WHOLE),
        f"changes count as {task.reason} unless you say otherwise" * bool(task.notes),
    ]
    told = " &middot; ".join(escape(each) for each in words if each)
    if listen:
        told += f' &middot; <a href="{escape(listen)}" target="_blank">Listen to your draft</a>'
    return {
        "task_key": task.key,
        "version": task.version,
        "title": task.sheet_id,
        "part": task.part,
        "about": told,
        "rolls": list(rolls),
        "video": video,
    }


def keep(workspace: Workspace, prepared: Prepared) -> None:
    """Keep what reading a task's answer needs: the task, and its sheet's notes in all layers.

    Raises
    ------
    WorkspaceError
        If it cannot be written.
    """
    task = prepared.task
    path = _layers_path(workspace, task)
    if not path.exists():
        write_whole(path, json.dumps(encode(prepared.shown)).encode())
    sent.write(sent.path_in(workspace, f"{task.key}@{task.version}"), task)


def kept_task(workspace: Workspace, key: str, version: str, result: object = None) -> SentTask:
    """A task as it was sent.

    Parameters
    ----------
    workspace : Workspace
    key, version : str
        What Label Studio has now.
    result : object, optional
        What an annotator left: if its rectangles are of another version that was sent before, that is the task. Whoever
        had it open while it was brought up to date worked on what they saw.

    Raises
    ------
    UsageError
        If this workspace did not send it, or what it kept is damaged.
    """
    path = sent.path_in(workspace, f"{key}@{version}")
    tags = sent.tags_in(result) - {sent.tag_of(version)}
    if len(tags) == 1:
        others = [each.stem.rpartition("@")[2] for each in path.parent.glob(f"{glob_escape(key)}@*.json")]
        same = [each for each in others if sent.tag_of(each) in tags]
        version = same[0] if len(same) == 1 else version
        path = sent.path_in(workspace, f"{key}@{version}")
    found = sent.read(path)
    if (found.key, found.version) != (key, version):
        raise UsageError(f"what was kept of task {key} is that of {found.key}: restore it from a copy")
    return found


def kept_layers(workspace: Workspace, task: SentTask) -> Layered:
    """The notes of a task's sheet as they were when it was sent.

    Raises
    ------
    UsageError
        If they are missing or damaged.
    """
    path = _layers_path(workspace, task)
    try:
        found = decode(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): restore it from a copy") from error
    except ValueError as error:
        raise UsageError(f"{path} is damaged ({error}): restore it from a copy") from error
    if layers_digest(found) != task.layers:
        raise UsageError(f"{path} does not hold the notes that {task.key} was made from: restore it")
    return found


def layers_digest(layered: Layered) -> str:
    """Of the notes of a sheet in all layers, with numbers and reasons: equal notes under other numbers are others."""
    return sha256_data(encode(layered))[:VERSION_CHARS]


def _layers_path(workspace: Workspace, task: SentTask) -> Path:
    return workspace.annotation / "sent" / f"{task.sheet_id}.{task.layers}.layers.json"


def _agreed(clip: ClipNotes, of: Sheeted) -> dict[int, float]:
    """By number: how far other transcribers agree with the notes that are as the machine wrote them."""
    if clip.agreed is None:
        return {}
    here = of.sheet.holds(clip.notes.onset_s)
    known = dict(zip(rows(clip.notes.where(here)), clip.agreed[here].tolist(), strict=True))
    machine = of.layered.machine
    return {number: known[row] for number, row in of.layered.final.items() if row == machine.get(number)}


def _unsure(sent_rows: Mapping[int, Row], agreed: Mapping[int, float]) -> set[int]:
    """Numbers of the notes that the machine was not sure of, or others did not hear."""
    sure = sureness(
        [row.p_note for row in sent_rows.values()],
        [row.p_instrument for row in sent_rows.values()],
        [agreed.get(number, np.nan) for number in sent_rows],
    )
    return {number for number, each in zip(sent_rows, sure, strict=True) if each <= drawing.UNSURE}
