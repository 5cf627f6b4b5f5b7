"""What people left in Label Studio, back as corrections.

Nothing that comes from the server is believed: an annotation that cannot be read whole is told and left out, and stops
no other. Reading again changes nothing: what a person saved at a certain time is kept once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from d2midi_build.annotate.audit import record
from d2midi_build.annotate.audit.record import BlindResult, PlantedResult, Result
from d2midi_build.annotate.corrections import Correction, Corrections, append, path_in, person
from d2midi_build.annotate.edits import Edit, edits
from d2midi_build.annotate.sheets import clip_of_sheet
from d2midi_build.annotate.studio.answers import TOOL, Answer, correction, found_errors
from d2midi_build.annotate.studio.blind import PART, excerpt_of
from d2midi_build.annotate.studio.client import Studio, Task
from d2midi_build.annotate.studio.parts import parts
from d2midi_build.annotate.studio.preparing import kept_layers, kept_task
from d2midi_build.annotate.studio.regions import left
from d2midi_build.errors import PermanentError, UsageError
from d2midi_build.screening.verdicts import Verdict, Verdicts
from d2midi_build.workspace import Workspace

_AHEAD: Final = timedelta(days=1)
"""A server's clock may be ahead by less; a time beyond would count before everything that is said from now on."""

_DROPPED: Final = "dropped while correcting"

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
    changed : dict
        By sheet and author of those: what they changed themselves, without what others had before.
    repeated : int
        Corrections that were there already.
    planted, blind : int
        New results of audits.
    dropped : list of Verdict
        Clips that an annotator says to drop, or drops no more; new ones.
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
    changed: dict[tuple[str, str], tuple[Edit, ...]] = field(default_factory=dict)
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
    titles: Sequence[str],
    *,
    reviewers: Collection[str] = (),
    keep: bool = True,
    on_done: Callable[[int], None] = lambda n: None,
) -> Pulled:
    """Read the answers of projects and keep what is new.

    Parameters
    ----------
    workspace : Workspace
        The one that pushed.
    studio : Studio
    titles : sequence of str
        Of projects; those that there are.
    reviewers : collection of str, optional
        E-mail addresses of those whose corrections settle what others dispute.
    keep : bool, optional
        Whether to keep what is new, or only to tell it.
    on_done : callable, optional
        Is told how many tasks more have been read.

    Raises
    ------
    UsageError
        If there is none of the projects, a reviewer is nobody there, or the workspace's own files are damaged.
    D2midiError
        As `Studio`.
    """
    projects = [project for title in titles if (project := studio.find_project(title)) is not None]
    if not projects:
        raise UsageError(
            f"{studio.url} has no project {titles[0]!r}: `d2midi annotate push` makes it; or give another title with "
            "--project"
        )
    people, found = studio.people(), Pulled()
    if unknown := [each for each in reviewers if person(each) not in map(person, people.values())]:
        raise UsageError(
            f"nobody on {studio.url} is {', '.join(unknown)}; there are {', '.join(people.values())}"
        )
    answers: list[Answer] = []
    for project in projects:
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
    name = "".join(each if each.isprintable() else "?" for each in task.key[:200]) or f"task {task.id}"
    if task.problem:
        found.problems.append((name, task.problem))
    submitted = [each for each in task.annotations if not each["was_cancelled"]]
    found.n_answered += bool(submitted)
    found.n_drafts += bool(task.n_drafts)
    newest: dict[int, Answer | None] = {}
    for each in sorted(submitted, key=lambda each: (str(each["updated_at"]), each["id"])):
        who = each["completed_by"]
        try:
            newest[who] = _answer(workspace, task, each, people)
        except (UsageError, PermanentError, ValueError) as error:
            newest[who] = None  # an older one of theirs is not what they mean any more
            found.problems.append(
                (name, f"what {people.get(who, f'user {who}')} submitted is not used: {error}")
            )
    answers = [answer for answer in newest.values() if answer is not None]
    for answer in answers:
        found.flags += [(name, flag.message) for flag in answer.left.flags]
        if answer.left.remark:
            found.remarks.append((name, answer.by, answer.left.remark))
    return answers


def _answer(
    workspace: Workspace, task: Task, annotation: Mapping[str, Any], people: Mapping[int, str]
) -> Answer:
    """One annotation.

    Raises
    ------
    UsageError, PermanentError, ValueError
        If it cannot be used; says why.
    """
    by = people.get(annotation["completed_by"], "").strip()
    if not by:
        raise UsageError("whoever did has no account any more, so nobody would stand behind it")
    version = task.data.get("version")
    if not task.key or not isinstance(version, str):
        raise UsageError("the task is none of d2midi's")
    sent = kept_task(workspace, task.key, version, annotation.get("result"))
    what = left(annotation.get("result"), sent)
    if not what.verdict:
        raise UsageError("it has no verdict: Corrected, No change needed or Drop clip")
    if sent.part == PART and what.verdict != "drop" and not (what.rows or what.remark):
        raise UsageError("nothing was written down, and no remark says that there is nothing to hear")
    lead = annotation.get("lead_time")
    known = lead is not None and 0 <= lead <= _LONGEST_S
    return Answer(
        sent,
        what,
        by,
        _utc(str(annotation["updated_at"])),
        float(lead) if lead is not None and known else None,
        _changed_by(annotation, people),
    )


def _changed_by(annotation: Mapping[str, Any], people: Mapping[int, str]) -> str:
    """Who else has saved an annotation last: Label Studio keeps its author."""
    who = annotation.get("updated_by")
    if who is None or who == annotation["completed_by"]:
        return ""
    return people.get(who, f"user {who}") if isinstance(who, int) else "somebody"


def _correct(
    workspace: Workspace, answers: Iterable[Answer], found: Pulled, reviewers: Collection[str], keep: bool
) -> None:
    by_sheet: dict[tuple[str, str], dict[str, dict[str, Answer]]] = defaultdict(lambda: defaultdict(dict))
    for answer in sorted(answers, key=lambda answer: answer.at):
        if answer.task.part != PART and answer.left.verdict != "drop":
            task = answer.task  # of copies of a task that one person answered, the newest answer counts
            by_sheet[task.sheet_id, person(answer.by)][task.layers][task.part] = answer
    known, new = Corrections.read(path_in(workspace)), list[Correction]()
    for (sheet_id, _), versions in sorted(by_sheet.items()):
        # Parts of one sheet that were sent at different times show different notes: the newest count.
        mine = list(
            max(versions.values(), key=lambda each: max(answer.at for answer in each.values())).values()
        )
        by = mine[0].by
        try:
            shown = kept_layers(workspace, mine[0].task)
            missing = parts(shown.final).keys() - {answer.task.part for answer in mine}
            if missing:
                found.partly.append((sheet_id, by, ", ".join(sorted(missing))))
                continue
            made = correction(shown, mine, reviewer=person(by) in reviewers)
        except (UsageError, PermanentError, ValueError) as error:
            found.problems.append((sheet_id, f"what {by} submitted is not used: {error}"))
            continue
        others = sorted({answer.changed_by for answer in mine if answer.changed_by})
        if not _is_new(made, known):
            found.repeated += 1  # whoever saved it again has changed nothing: a star, say
        elif others:
            why = f"{' and '.join(others)} has changed it since, so it is nobody's: each submits their own"
            found.problems.append((sheet_id, f"what {by} submitted is not used: {why}"))
        else:
            new.append(made)
            before = edits(shown)
            found.changed[sheet_id, made.by] = tuple(e for e in edits(made.layered) if e not in before)
    found.corrections = append(path_in(workspace), new) if keep else new


def _is_new(made: Correction, known: Corrections) -> bool:
    """Whether a person says something that their last answer did not, or is a reviewer only now.

    Not when they saved it: Label Studio saves an answer anew when somebody marks it with a star.
    """
    mine = [line for line in known.of(made.sheet_id) if person(line.by) == person(made.by)]
    answers = [line for line in mine if line.tool == TOOL]
    if not answers:
        return True
    last = answers[-1]
    if (last.shown, last.said, last.reason) == (made.shown, made.said, made.reason):
        return made.reviewer and not last.reviewer and mine[-1] is last
    return not any((line.at, line.said) == (made.at, made.said) for line in answers)


def _audit(workspace: Workspace, answers: Iterable[Answer], found: Pulled, keep: bool) -> None:
    results: list[Result] = []
    for answer in answers:
        if answer.left.verdict == "drop" or answer.changed_by:
            continue  # nobody has looked for errors or written down anything, or somebody else has
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


def _drop(workspace: Workspace, answers: Sequence[Answer], found: Pulled, keep: bool) -> None:
    """Clips to drop become verdicts on their takes, unless somebody has decided about one since or corrects it.

    Whoever answers otherwise afterwards takes their verdict back.
    """
    verdicts = Verdicts(workspace.verdicts_path)
    by_clip: dict[str, list[Answer]] = defaultdict(list)
    for answer in sorted(answers, key=lambda answer: answer.at):
        if answer.task.part != PART and not answer.changed_by:
            by_clip[clip_of_sheet(answer.task.sheet_id)[0]].append(answer)
    for clip_id, of_clip in sorted(by_clip.items()):
        since = verdicts.newest(clip_id)
        if since is not None and not _before(since, of_clip[-1].at):
            continue  # somebody has decided since all of this was said
        drops = [answer for answer in of_clip if answer.left.verdict == "drop"]
        others = sorted(
            {each.by for each in of_clip if each.left.verdict != "drop"} - {each.by for each in drops}
        )
        if drops and others:
            who = " and ".join(sorted({each.by for each in drops}))
            found.problems.append(
                (clip_id, f"{who} would drop it, {' and '.join(others)} did not: see `d2midi screen decide`")
            )
        elif drops:
            last = drops[-1]
            if since is None or _before(since, last.at):
                why = f"{_DROPPED} {last.task.sheet_id}: {last.left.remark}".rstrip(": ")
                found.dropped.append(Verdict(clip_id, "reject", why, last.by, last.at))
        elif since is not None and since.verdict == "reject":
            otherwise = [
                each
                for each in of_clip
                if person(each.by) == person(since.by)
                and since.why.startswith(f"{_DROPPED} {each.task.sheet_id}")
                and _before(since, each.at)
            ]
            if otherwise:
                found.dropped.append(replace(since, verdict="withdraw", at=otherwise[-1].at))
    if keep and found.dropped:
        verdicts.append(found.dropped)


def _before(verdict: Verdict, at: str) -> bool:
    """Whether a verdict is older; one whose time cannot be read is not."""
    try:
        return _time(verdict.at) < _time(at)
    except (ValueError, OverflowError):
        return False


def _utc(told: str) -> str:
    """A server's time as times are kept here: ISO 8601, UTC."""
    try:
        read = _time(told)
        if read > datetime.now(UTC) + _AHEAD:
            raise ValueError("in the future")
    except (ValueError, OverflowError) as error:
        raise UsageError(f"its time {told[:40]!r} cannot be: {error}") from error
    return read.isoformat()


def _time(told: str) -> datetime:
    """UTC where none is said."""
    read = datetime.fromisoformat(told)
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
