"""What people answered in a study, checked; and as a table."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from d2midi_build.annotate.forms import AnsweredTask, AnswersError, Form, Given, cell, newest, stamp
from d2midi_build.annotate.study.design import Stimulus, Study, path_in
from d2midi_build.errors import UsageError
from d2midi_build.workspace import Workspace

QUESTIONS: Final = ("consistency", "noise")
"""What is rated, from 1 to 5; 5 is best for both: 5 of ``noise`` is clean."""

SCALE: Final = ("1", "2", "3", "4", "5")
HEARD: Final = "heard"
"""Name of the box, and its value, by which people say that they listened."""

COLUMNS: Final = (
    "stimulus",
    "place",
    "dance",
    "method",
    "rater",
    *QUESTIONS,
    "rated_at",
    "seconds",
    "remark",
)


@dataclass(frozen=True)
class Rating:
    """What one person answered about one stimulus.

    Attributes
    ----------
    stimulus : Stimulus
    rater : str
        Pseudonym.
    consistency, noise : int
        1-5.
    rated_at : str
        UTC, ISO 8601.
    seconds : float or None
        How long it was open, as Label Studio says.
    remark : str
    """

    stimulus: Stimulus
    rater: str
    consistency: int
    noise: int
    rated_at: str
    seconds: float | None = None
    remark: str = ""


@dataclass(frozen=True)
class Ratings:
    """What tasks say.

    Attributes
    ----------
    ratings : tuple of Rating
        One per person and stimulus, by place and rater.
    problems : tuple of str
        What does not count, and why; each names its task.
    skipped, superseded : int
        Stimuli that somebody passed over, and older answers of a person about the same stimulus.
    unrated, missing : int
        Stimuli without a rating that counts, and those of them whose task is gone.
    """

    ratings: tuple[Rating, ...]
    problems: tuple[str, ...]
    skipped: int
    superseded: int
    unrated: int
    missing: int


def read(tasks: Iterable[AnsweredTask], people: Mapping[int, str], study: Study) -> Ratings:
    """Read what people left in the tasks of a study; a person's newest answer counts, or none of theirs.

    Parameters
    ----------
    tasks : iterable of Task
    people : mapping of int to str
        Email by user id.
    study : Study
    """
    stimuli = {study.key(stimulus): stimulus for stimulus in study.stimuli}
    found: dict[tuple[int, str], Rating] = {}
    problems: list[str] = []
    seen: set[str] = set()
    skipped = superseded = 0
    for task in tasks:
        where = f"task {task.id}"
        if task.problem:
            problems.append(f"{where}: {task.problem}")
        stimulus = stimuli.get(task.key)
        if stimulus is None:
            problems.append(f"{where}: nothing of this study is called {task.key[:80]!r}")
            continue
        if task.key in seen:
            problems.append(f"{where}: there is another task of the same stimulus; only the first counts")
            continue
        seen.add(task.key)
        left = newest(task.annotations, people)
        superseded += left.superseded
        problems += [f"{where}: {problem}" for problem in left.problems]
        for given in left.given:
            if given.skipped:
                skipped += 1
                continue
            rater = study.pseudonym(given.by)
            try:
                found[stimulus.place, rater] = _rating(stimulus, rater, given)
            except AnswersError as error:
                problems += [f"{where}, {rater}: {problem}" for problem in error.problems]
    rated = {place for place, _ in found}
    return Ratings(
        tuple(found[each] for each in sorted(found)),
        tuple(problems),
        skipped,
        superseded,
        len(study.stimuli) - len(rated),
        len(set(stimuli) - seen),
    )


def table(ratings: Iterable[Rating]) -> bytes:
    """Ratings as CSV; the same ratings give the same bytes. Raters go by pseudonyms."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in ratings:
        stimulus = each.stimulus
        seconds = "" if each.seconds is None else f"{each.seconds:.1f}"
        writer.writerow(
            [stimulus.token, stimulus.place, stimulus.dance, stimulus.method, each.rater, each.consistency,
             each.noise, each.rated_at, seconds, cell(each.remark)]
        )  # fmt: skip
    return stream.getvalue().encode()


def keep(workspace: Workspace, name: str, ratings: Iterable[Rating]) -> Path:
    """Write a study's `table` beside the study, readable for its owner only; returns the path.

    Raises
    ------
    UsageError
        If it cannot be written.
    """
    path = path_in(workspace, name).with_name(f"{name}-ratings.csv")
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(table(ratings))
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def _rating(stimulus: Stimulus, rater: str, given: Given) -> Rating:
    form = Form(given.result)
    scores = [form.one_of(question, SCALE) for question in QUESTIONS]
    heard, remark = form.ticked(HEARD, HEARD), form.text("remark")
    form.check()
    if not heard:
        raise AnswersError(["did not say that the sound was heard"])
    consistency, noise = map(int, scores)
    return Rating(stimulus, rater, consistency, noise, stamp(given.at), given.seconds, remark)
