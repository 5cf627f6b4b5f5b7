"""What people left in Label Studio, back as corrections.

Nothing that comes from the server is believed: an annotation that cannot be read whole is told and left out, and stops
no other. Reading again changes nothing: what a person saved at a certain time is kept once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from d2midi_build.annotate.audit import record
from d2midi_build.annotate.audit.record import BlindResult, PlantedResult, Result
from d2midi_build.annotate.corrections import Correction, Corrections, append, path_in, person
from d2midi_build.annotate.studio.answers import TOOL, Answer, correction, found_errors
from d2midi_build.annotate.studio.blind import PART, excerpt_of
from d2midi_build.annotate.studio.client import Studio, Task
from d2midi_build.annotate.studio.parts import parts
from d2midi_build.annotate.studio.preparing import kept_layers, kept_task
from d2midi_build.annotate.studio.regions import left
from d2midi_build.errors import PermanentError, UsageError
from d2midi_build.screening.verdicts import Verdict, Verdicts
from d2midi_build.workspace import Workspace

_LONGEST_S: Final = 24 * 3600.0
"""A lead time above a day is a browser that was left open; it says nothing of the work."""


@dataclass
class Pulled:
    """What was read.

    Attributes
    ----------
    n_tasks, n_answered, n_drafts : int
        Tasks of the project; those that somebody submitted; those that somebody has begun.
    corrections : list of Correction
        Those that are new.
    repeated : int
        Corrections that were there already.
    planted, blind : int
        New results of audits.
    dropped : list of Verdict
        Clips that an annotator says to drop, new ones.
    partly : list of (str, str, str)
        Sheets of which a person has submitted some parts only, who, and which are missing: they wait for these, since a
        correction says that somebody stands behind all of a sheet.
    flags : list of (str, str)
        Tasks and what in them may not have been meant.
    remarks : list of (str, str, str)
        Tasks, who, and what they remarked.
    problems : list of (str, str)
        Tasks and why something in them could not be used.
    """

    n_tasks: int = 0
    n_answered: int = 0
    n_drafts: int = 0
    corrections: list[Correction] = field(default_factory=list)
    repeated: int = 0
    planted: int = 0
    blind: int = 0
    dropped: list[Verdict] = field(default_factory=list)
    partly: list[tuple[str, str, str]] = field(default_factory=list)
    flags: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[tuple[str, str, str]] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


def pull(
    workspace: Workspace,
    studio: Studio,
    title: str,
    *,
    reviewers: Collection[str] = (),
    keep: bool = True,
    on_done: Callable[[int], None] = lambda n: None,
) -> Pulled:
    """Read the answers of a project and keep what is new.

    Parameters
    ----------
    workspace : Workspace
        The one that pushed.
    studio : Studio
    title : str
        Of the project.
    reviewers : collection of str, optional
        E-mail addresses of those whose corrections settle what others dispute.
    keep : bool, optional
        Whether to keep what is new, or only to tell it.
    on_done : callable, optional
        Is told how many tasks more have been read.

    Raises
    ------
    UsageError
        If there is no such project, or the workspace's own files are damaged.
    D2midiError
        As `Studio`.
    """
    project = studio.find_project(title)
    if project is None:
        raise UsageError(
            f"{studio.url} has no project {title!r}: `d2midi annotate push` makes it; see --project"
        )
    people, found = studio.people(), Pulled()
    answers: list[Answer] = []
    for task in studio.tasks(project.id):
        found.n_tasks += 1
        answers += _answers(workspace, task, people, found)
        on_done(1)
    _correct(workspace, answers, found, {person(each) for each in reviewers}, keep)
    _audit(workspace, answers, found, keep)
    _drop(workspace, answers, found, keep)
    return found


def _answers(workspace: Workspace, task: Task, people: Mapping[int, str], found: Pulled) -> list[Answer]:
    """The answers of a task, the newest of each person; what is wrong is told."""
    name = task.key or f"task {task.id}"
    if task.problem:
        found.problems.append((name, task.problem))
    submitted = [each for each in task.annotations if not each["was_cancelled"]]
    found.n_answered += bool(submitted)
    found.n_drafts += bool(task.n_drafts)
    newest: dict[str, Answer] = {}
    for each in sorted(submitted, key=lambda each: (str(each["updated_at"]), each["id"])):
        try:
            answer = _answer(workspace, task, each, people)
        except (UsageError, PermanentError, ValueError) as error:
            who = people.get(each["completed_by"], f"user {each['completed_by']}")
            found.problems.append((name, f"what {who} submitted is not used: {error}"))
            continue
        newest[person(answer.by)] = answer
    for answer in newest.values():
        found.flags += [(name, flag.message) for flag in answer.left.flags]
        if answer.left.remark:
            found.remarks.append((name, answer.by, answer.left.remark))
    return list(newest.values())


def _answer(
    workspace: Workspace, task: Task, annotation: Mapping[str, Any], people: Mapping[int, str]
) -> Answer:
    """One annotation.

    Raises
    ------
    UsageError, ValueError
        If it cannot be used; says why.
    """
    by = people.get(annotation["completed_by"], "").strip()
    if not by:
        raise UsageError("whoever did has no account any more, so nobody would stand behind it")
    version = task.data.get("version")
    if not task.key or not isinstance(version, str):
        raise UsageError("the task is none of d2midi's")
    sent = kept_task(workspace, task.key, version)
    what = left(annotation["result"], sent)
    if not what.verdict:
        raise UsageError("it has no verdict: Corrected, No change needed or Drop clip")
    lead = annotation["lead_time"]
    known = lead is not None and 0 <= lead <= _LONGEST_S
    return Answer(sent, what, by, _utc(str(annotation["updated_at"])), float(lead) if known else None)


def _correct(
    workspace: Workspace, answers: Iterable[Answer], found: Pulled, reviewers: Collection[str], keep: bool
) -> None:
    by_sheet: dict[tuple[str, str], dict[tuple[str, str], list[Answer]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for answer in answers:
        if answer.task.part != PART and answer.left.verdict != "drop":
            version = answer.task.shown, answer.task.machine
            by_sheet[answer.task.sheet_id, person(answer.by)][version].append(answer)
    known, new = Corrections.read(path_in(workspace)), list[Correction]()
    for (sheet_id, _), versions in sorted(by_sheet.items()):
        # Parts of one sheet that were sent at different times show different notes: the newest count.
        mine = max(versions.values(), key=lambda each: max(answer.at for answer in each))
        by = mine[0].by
        try:
            shown = kept_layers(workspace, mine[0].task)
            missing = parts(shown.final).keys() - {answer.task.part for answer in mine}
            if missing:
                found.partly.append((sheet_id, by, ", ".join(sorted(missing))))
                continue
            made = correction(shown, mine, reviewer=person(by) in reviewers)
        except (UsageError, ValueError) as error:
            found.problems.append((sheet_id, f"what {by} submitted is not used: {error}"))
            continue
        if any(_is(line, made) for line in known.of(sheet_id)):
            found.repeated += 1
        else:
            new.append(made)
    found.corrections = append(path_in(workspace), new) if keep else new


def _is(line: Correction, new: Correction) -> bool:
    """Whether a correction was read before: the same person's, saved at the same time, for the same role."""
    same = (line.tool, line.at, line.reviewer, line.said) == (TOOL, new.at, new.reviewer, new.said)
    return same and person(line.by) == person(new.by)


def _audit(workspace: Workspace, answers: Iterable[Answer], found: Pulled, keep: bool) -> None:
    results: list[Result] = []
    for answer in answers:
        if answer.left.verdict == "drop":
            continue  # nobody has looked for errors, or written down anything
        if answer.task.part == PART:
            excerpt = excerpt_of(answer.task)
            rows = tuple(row for _, row in sorted(answer.left.rows.items()))
            span = excerpt.clip_id, excerpt.start_s, excerpt.end_s
            results.append(BlindResult(*span, answer.by, answer.at, rows))
        elif (result := found_errors(answer)) is not None:
            results.append(result)
    kept = record.append(record.path_in(workspace), results) if keep else results
    found.planted = sum(isinstance(each, PlantedResult) for each in kept)
    found.blind = len(kept) - found.planted


def _drop(workspace: Workspace, answers: Iterable[Answer], found: Pulled, keep: bool) -> None:
    """Clips to drop become verdicts on their takes, unless somebody has decided about one since."""
    verdicts = Verdicts(workspace.verdicts_path)
    new: dict[str, Verdict] = {}
    for answer in sorted(answers, key=lambda answer: answer.at):
        if answer.left.verdict != "drop":
            continue
        clip_id = answer.task.sheet_id.rpartition("_s")[0]
        since = verdicts.newest(clip_id)
        if since is None or datetime.fromisoformat(since.at) < datetime.fromisoformat(answer.at):
            why = f"dropped while correcting {answer.task.sheet_id}: {answer.left.remark}".rstrip(": ")
            new[clip_id] = Verdict(clip_id, "reject", why, answer.by, answer.at)
    found.dropped = list(new.values())
    if keep and new:
        verdicts.append(found.dropped)


def _utc(time: str) -> str:
    """A server's time as times are kept here: ISO 8601, UTC."""
    try:
        read = datetime.fromisoformat(time)
    except ValueError as error:
        raise UsageError(f"its time {time[:40]!r} is none") from error
    if read.tzinfo is None:
        raise UsageError(f"its time {time[:40]!r} has no zone")
    return read.astimezone(UTC).isoformat()
