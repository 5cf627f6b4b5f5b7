"""What people answer about takes in Label Studio, and the verdicts that follow.

Rules, from answers to a verdict (`screening.verdicts`; it counts as one of `d2midi screen decide` does):

1. A person's newest annotation of a take counts. One that is not filled in properly, or skipped, counts for nothing.
2. Anything bad rejects: a background that is not pure, several dancers or none, a body that is not in view, a dance
   that does not go with the music, noise, talking, or no music.
3. Light clutter, a body partly in view, and a dance that goes with the music loosely are doubts. One doubt is forgiven
   where all else is good, and told in the verdict; with two or more the take stays in review.
4. People agree where their answers come to the same. If they do not, none of it counts, and the conflict is reported
   until they agree or a reviewer is named: then the reviewer's answer counts alone.

What becomes of verdicts that are there already says `screening_pull`. Genre and usable part decide nothing. There is no
overlay for them: they are reported (`screening_pull.record`), and the genre belongs into the list of sources.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from d2midi_build.annotate.excerpt import MOST_S, Excerpt
from d2midi_build.annotate.forms import (
    AnsweredTask,
    AnswersError,
    Form,
    Given,
    newest,
)

GENRES: Final = ("ballet", "classical", "hip-hop", "house", "latin", "modern")
"""The dataset's (Dance2MIDI, section 3.4)."""

QUESTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "background": ("pure", "light clutter", "not pure"),
    "dancers": ("one", "several", "none"),
    "body": ("yes", "partly", "no"),
    "sync": ("synchronised", "loosely", "not synchronised"),
    "music": ("clear", "noisy or talking", "no music"),
    "genre": (*GENRES, "other"),
}
"""Questions and answers of annotation/screening.xml."""

_BAD: Final[Mapping[tuple[str, str], str]] = {
    ("background", "not pure"): "the background is not pure",
    ("dancers", "several"): "several dancers",
    ("dancers", "none"): "no dancer",
    ("body", "no"): "the body is not in view",
    ("sync", "not synchronised"): "the dance does not go with the music",
    ("music", "noisy or talking"): "noise or talking",
    ("music", "no music"): "no music",
}
_DOUBTS: Final[Mapping[tuple[str, str], str]] = {
    ("background", "light clutter"): "light clutter",
    ("body", "partly"): "the body is partly in view",
    ("sync", "loosely"): "the dance goes with the music loosely",
}

KEY: Final = "screen/"
"""Task keys are this and the take's id."""

Outcome = Literal["accept", "reject", "review", "conflict"]


@dataclass(frozen=True)
class Asked:
    """A take that people are asked about, as far as answers need it."""

    take_id: str
    video_id: str
    source_id: str
    url: str
    genre: str
    excerpt: Excerpt


@dataclass(frozen=True)
class Answers:
    """A person's answers about a take.

    Attributes
    ----------
    by : str
        Email.
    at : datetime
        UTC.
    said : mapping of str to str
        Answer by question of `QUESTIONS`; a genre that is none of the dataset's in the person's own word.
    usable_s : tuple of float, or None
        From and to, in seconds of what was shown; None: all of it.
    remark : str
    """

    by: str
    at: datetime
    said: Mapping[str, str]
    usable_s: tuple[float, float] | None = None
    remark: str = ""

    @property
    def bad(self) -> tuple[str, ...]:
        """What rejects the take, in words."""
        return tuple(_BAD[each] for each in self.said.items() if each in _BAD)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is not as it should be, in words."""
        return tuple(_DOUBTS[each] for each in self.said.items() if each in _DOUBTS)

    @property
    def outcome(self) -> Outcome:
        """What the answers come to by themselves."""
        if self.bad:
            return "reject"
        return "review" if len(self.doubts) > 1 else "accept"


@dataclass(frozen=True)
class Settled:
    """What the answers about a take come to, and since when; ``why`` in words.

    ``by_reviewer``: they do not agree, and a reviewer's counts.
    """

    asked: Asked
    outcome: Outcome
    why: str
    by: str
    at: datetime
    answers: tuple[Answers, ...]
    by_reviewer: bool = False


@dataclass(frozen=True)
class Read:
    """What tasks say.

    Attributes
    ----------
    settled : tuple of Settled
        Takes with an answer that can be read, by id.
    unanswered : int
        Tasks without any.
    skipped : int
        Tasks that somebody passed over.
    problems : tuple of str
        Each names its task and what is wrong; nothing of it is in ``settled``.
    """

    settled: tuple[Settled, ...]
    unanswered: int
    skipped: int
    problems: tuple[str, ...]


def read(
    tasks: Iterable[AnsweredTask], people: Mapping[int, str], takes: Mapping[str, Asked], reviewer: str = ""
) -> Read:
    """Read what people left in tasks of screening.

    Parameters
    ----------
    tasks : iterable of Task
        Those with another kind of key are passed over.
    people : mapping of int to str
        Email by user id.
    takes : mapping of str to Asked
        All takes of the workspace by id.
    reviewer : str, optional
        Email of the person whose answer counts alone where people disagree.
    """
    settled, problems, unanswered, skipped = [], [], 0, 0
    by_take: dict[str, list[AnsweredTask]] = defaultdict(list)
    for task in tasks:
        if not task.key.startswith(KEY):
            if task.problem:
                problems.append(f"task {task.id}: {task.problem}")
            continue
        take_id = task.key.removeprefix(KEY)
        if task.problem:
            problems.append(f"task {task.id} ({take_id}): {task.problem}")
        elif take_id not in takes:
            problems.append(f"task {task.id} ({take_id}): the workspace has no such take any more")
        else:
            by_take[take_id].append(task)
    for take_id, copies in by_take.items():  # two pushes at once may have made a task twice
        where = f"task {copies[0].id} ({take_id})"
        left = newest([each for task in copies for each in task.annotations], people)
        problems += [f"{where}: {problem}" for problem in left.problems]
        answers = []
        for given in left.given:
            if given.skipped:
                skipped += 1
                continue
            try:
                answers.append(answers_of(given, takes[take_id].excerpt.length_s))
            except AnswersError as error:
                problems += [f"{where}, {given.by}: {problem}" for problem in error.problems]
        if answers:
            settled.append(settle(takes[take_id], answers, reviewer))
        elif not left.given:
            unanswered += 1
    return Read(
        tuple(sorted(settled, key=lambda each: each.asked.take_id)), unanswered, skipped, tuple(problems)
    )


def answers_of(given: Given, length_s: float = MOST_S) -> Answers:
    """Answers from an annotation.

    Parameters
    ----------
    given : Given
    length_s : float, optional
        Of what was shown; the usable part must lie within.

    Raises
    ------
    AnswersError
        If anything in it is missing or cannot be.
    """
    form = Form(given.result)
    said = {name: form.one_of(name, allowed) for name, allowed in QUESTIONS.items()}
    other = form.text("genre_other").lower()
    if said["genre"] == "other" and other:
        said["genre"] = other
    start_s, end_s = form.number("usable_from", 0, MOST_S), form.number("usable_to", 0, MOST_S)
    remark = form.text("remark")
    form.check()
    usable_s = None
    if start_s is not None or end_s is not None:
        usable_s = start_s or 0.0, min(length_s if end_s is None else end_s, length_s)
        if usable_s[0] >= usable_s[1]:
            raise AnswersError(
                [f"usable from {usable_s[0]:g} to {usable_s[1]:g} s: nothing of the {length_s:g} s shown"]
            )
    return Answers(given.by, given.at, said, usable_s, remark)


def settle(asked: Asked, answers: Sequence[Answers], reviewer: str = "") -> Settled:
    """What the answers of several people about a take come to (rules 2-4 above).

    Parameters
    ----------
    asked : Asked
    answers : sequence of Answers
        One per person, at least one.
    reviewer : str, optional
    """
    everybody = tuple(sorted(answers, key=lambda each: each.by))
    agreed = len({each.outcome for each in everybody}) == 1
    reviews = tuple(each for each in everybody if each.by.lower() == reviewer.lower())
    counting = reviews if reviews and not agreed else everybody
    at = max(each.at for each in everybody)
    by = ", ".join(each.by for each in counting)
    if len({each.outcome for each in counting}) > 1:
        said = ", ".join(f"{each.by} says {each.outcome}" for each in counting)
        return Settled(asked, "conflict", said, by, at, everybody)
    outcome = counting[0].outcome
    doubts = list(dict.fromkeys(doubt for each in counting for doubt in each.doubts))
    if outcome == "reject":
        why = ", ".join(dict.fromkeys(word for each in counting for word in each.bad))
    elif outcome == "review":
        why = f"in doubt: {', '.join(doubts)}"
    else:
        why = f"good but for {', '.join(doubts)}" if doubts else "all good"
    remarks = "".join(f"; {each.by}: {each.remark}" for each in counting if each.remark)
    return Settled(asked, outcome, why + remarks, by, at, everybody, not agreed)
