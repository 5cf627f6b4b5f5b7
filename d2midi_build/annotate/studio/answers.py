"""What people answered in the tasks of a sheet, put together: a correction, or what became of an audit.

A dense sheet has several tasks. A person's answers to all of them make one correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from d2midi_build import clock
from d2midi_build.annotate.audit.planting import Planted
from d2midi_build.annotate.audit.record import PlantedResult
from d2midi_build.annotate.audit.undoing import Undone, undone
from d2midi_build.annotate.corrections import Correction
from d2midi_build.annotate.edits import revised
from d2midi_build.annotate.layering import Layered, Reason, Row
from d2midi_build.annotate.studio.commands import apply
from d2midi_build.annotate.studio.parts import parts
from d2midi_build.annotate.studio.regions import Left
from d2midi_build.annotate.studio.sent import SentTask

TOOL: Final = "label-studio"


@dataclass(frozen=True)
class Answer:
    """What a person submitted for a task.

    Attributes
    ----------
    task : SentTask
    left : Left
    by, at : str
        E-mail address, and when they saved it: UTC, ISO 8601.
    lead_s : float or None
        Seconds that they worked on it.
    changed_by : str
        Who else has saved it since; empty if nobody.
    """

    task: SentTask
    left: Left
    by: str
    at: str
    lead_s: float | None = None
    changed_by: str = ""


def correction(shown: Layered, answers: Sequence[Answer], *, reviewer: bool = False) -> Correction:
    """The correction that a person's answers to the tasks of one sheet, all of the same notes, make.

    Parameters
    ----------
    shown : Layered
        The sheet's notes that the tasks were made from.
    answers : sequence of Answer
        One for each part of the sheet; none with the verdict to drop the clip.
    reviewer : bool, optional
        Whether they settle what others dispute.

    Raises
    ------
    ValueError
        If there are none, they are not of one person and one sheet, or commands cannot be done to notes that come back
        where planted errors were not found.
    """
    first, of_part = answers[0], parts(shown.final)
    if len({(each.by, each.task.sheet_id, each.task.layers) for each in answers}) != 1:
        raise ValueError("answers of several people, sheets or versions make no correction")
    if sorted(each.task.part for each in answers) != sorted(of_part):
        raise ValueError(f"answers to other parts than {', '.join(of_part)} make no correction")
    rows, reasons, free = dict[int, Row](), dict[int, Reason](), -1
    reason = first.left.reason
    for each in answers:
        left, given = _without_planted(each)
        names = {number: number for number in {*left, *given, *of_part[each.task.part]}}
        for number in sorted(number for number in left if number < 0):
            names[number], free = free, free - 1
        rows |= {names[number]: row for number, row in left.items()}
        usual = {} if each.left.reason == reason else dict.fromkeys(names, each.left.reason)
        reasons |= {names[number]: why for number, why in {**usual, **given}.items()}
    sent = {number: row for each in answers for number, row in _as_meant(each.task).items()}
    base = revised(shown, sent, first.task.reason)  # commands of who sent it have the task's reason
    known = {*rows, *base.final}
    leads = [each.lead_s for each in answers if each.lead_s is not None]
    return Correction(
        first.task.sheet_id,
        first.by,
        max(each.at for each in answers),
        reason,
        TOOL,
        first.task.shown,
        revised(base, rows, reason, {number: why for number, why in reasons.items() if number in known}),
        reviewer=reviewer,
        end_frame=clock.whole_frames(first.task.span_s[1]),
        lead_s=sum(leads) if len(leads) == len(answers) else None,
    )


def found_errors(answer: Answer) -> PlantedResult | None:
    """What became of the errors planted in a task; None where there were none."""
    if not answer.task.planted:
        return None
    outcomes = _undone(answer).outcomes
    task = answer.task
    return PlantedResult(task.sheet_id, task.part, answer.by, answer.at, outcomes, version=task.version)


def _as_meant(task: SentTask) -> dict[int, Row]:
    """The notes of a task as they were sent, without planted errors."""
    rows = task.rows
    for error in task.planted:
        rows.pop(error.number, None)
        if error.true is not None:
            rows[error.number] = error.true
    return rows


def _without_planted(answer: Answer) -> tuple[dict[int, Row], dict[int, Reason]]:
    """The notes as left, and reasons of single ones, without planted errors that were not found."""
    if not answer.task.planted:
        return answer.left.rows, answer.left.reasons
    found = _undone(answer)
    rows = apply(answer.left.commands, found.rows, shown_s=answer.task.shown_s)
    return rows, found.reasons(answer.left.reasons)


def _undone(answer: Answer) -> Undone:
    """Commands come after: one that shifts everything finds no error."""
    return undone(Planted(answer.task.rows, answer.task.planted), answer.left.drawn)
