"""From answers about takes to the workspace: verdicts, and a table of all that was answered.

A verdict from Label Studio says so at the end of its reason. How it meets those that are there:

1. What came of answers earlier gives way to what comes of them now; where that is a conflict or review, it is
   withdrawn.
2. A reviewer's verdict is withdrawn for a conflict only if somebody has answered since.
3. Whoever decided without Label Studio (`d2midi screen decide`), about the take or its video, at the time of the newest
   answer or later, knew better: that stays, and is told.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from d2midi_build.annotate.forms import cell, stamp
from d2midi_build.annotate.screening import QUESTIONS, Answers, Settled
from d2midi_build.errors import UsageError
from d2midi_build.screening.verdicts import Verdict, Verdicts, Word
from d2midi_build.workspace import Workspace

COLUMNS: Final = (
    "take_id", "video_id", "source_id", "url", "by", "at", "says", "settled", *QUESTIONS, "listed_genre",
    "genre_differs", "usable_from_s", "usable_to_s", "remark",
)  # fmt: skip
"""Of the CSV of all answers; usable_* are seconds in the video."""

CSV_NAME: Final = "screening_answers.csv"

_MARK: Final = " (Label Studio)"
_REVIEWER: Final = " (Label Studio, reviewer)"


def verdicts(settled: Iterable[Settled], path: Path) -> tuple[list[Verdict], list[Settled]]:
    """The verdicts to add, and takes about which somebody has decided since they were answered.

    Parameters
    ----------
    settled : iterable of Settled
    path : Path
        The workspace's verdicts so far; it need not exist.

    Raises
    ------
    WorkspaceError
        If they cannot be read.
    """
    known = Verdicts(path)
    new, decided_since = [], []
    for each in settled:
        made = _verdict(each)
        own, shared = known.newest(each.asked.take_id), known.newest(each.asked.video_id)
        if own is not None and _says(own, made):
            continue
        others = [verdict for verdict in (own, shared) if verdict is not None and not _answered(verdict)]
        if any(not _older(verdict, made) for verdict in others):
            decided_since.append(each)
        elif made.verdict != "withdraw" or (own is not None and _gives_way(own, made)):
            new.append(made)
    return new, decided_since


def record(settled: Iterable[Settled]) -> bytes:
    """All answers as CSV, one line per person and take; the same answers give the same bytes."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for each in settled:
        for answers in each.answers:
            writer.writerow({name: cell(value) for name, value in _row(each, answers).items()})
    return stream.getvalue().encode()


def keep(workspace: Workspace, settled: Iterable[Settled]) -> Path:
    """Write `record` to ``annotation/screening_answers.csv``; returns the path.

    Raises
    ------
    UsageError
        If it cannot be written.
    """
    path = workspace.annotation / CSV_NAME
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(exist_ok=True)
        partial.write_bytes(record(settled))
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def genres_to_correct(settled: Iterable[Settled]) -> int:
    """Takes for which somebody gave another genre than the list of sources."""
    return sum(any(_row(each, answers)["genre_differs"] for answers in each.answers) for each in settled)


def _verdict(settled: Settled) -> Verdict:
    words: dict[str, Word] = {"accept": "accept", "reject": "reject"}
    mark = _REVIEWER if settled.by_reviewer else _MARK
    return Verdict(
        item=settled.asked.take_id,
        verdict=words.get(settled.outcome, "withdraw"),
        why=settled.why + mark,
        by=settled.by,
        at=stamp(settled.at),
    )


def _says(known: Verdict, made: Verdict) -> bool:
    return (known.verdict, known.why, known.by) == (made.verdict, made.why, made.by)


def _answered(verdict: Verdict) -> bool:
    """Whether a verdict came from Label Studio."""
    return verdict.why.endswith((_MARK, _REVIEWER))


def _older(verdict: Verdict, made: Verdict) -> bool:
    """Whether a verdict is older; one whose time cannot be read is not."""
    try:
        at = datetime.fromisoformat(verdict.at)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)) < datetime.fromisoformat(made.at)
    except (ValueError, OverflowError):
        return False


def _gives_way(own: Verdict, withdrawal: Verdict) -> bool:
    """Whether a take's verdict is one that answers can take back, and these do."""
    if own.verdict == "withdraw" or not _answered(own):
        return False
    return not own.why.endswith(_REVIEWER) or _older(own, withdrawal)


def _row(settled: Settled, answers: Answers) -> dict[str, str]:
    asked, usable = settled.asked, answers.usable_s
    spans = (
        ("", "") if usable is None else tuple(f"{asked.excerpt.source_s(time_s):.2f}" for time_s in usable)
    )
    differs = answers.said["genre"].lower() != asked.genre.strip().lower()
    return {
        "take_id": asked.take_id,
        "video_id": asked.video_id,
        "source_id": asked.source_id,
        "url": asked.url,
        "by": answers.by,
        "at": stamp(answers.at),
        "says": answers.outcome,
        "settled": settled.outcome,
        **answers.said,
        "listed_genre": asked.genre,
        "genre_differs": "yes" if differs else "",
        "usable_from_s": spans[0],
        "usable_to_s": spans[1],
        "remark": answers.remark,
    }
