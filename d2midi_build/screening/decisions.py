"""People's verdicts in and out as CSV, checked before anything is written."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast

from d2midi_build.errors import UsageError
from d2midi_build.screening.verdicts import WORDS, Judgement, Verdict, Word

COLUMNS: Final = ("take_id", "verdict", "why")
"""Columns a CSV of verdicts must have; ``by`` may be added, others are ignored."""

SHEET_COLUMNS: Final = (
    *COLUMNS, "by", "status", "reasons", "explanation", "start_s", "end_s", "video", "url", "title",
)  # fmt: skip
"""Columns of the sheet that ``sheet`` makes: the first three are to be filled in."""


@dataclass(frozen=True)
class Known:
    """What may be named: the takes and videos of a workspace."""

    takes: frozenset[str]
    videos: frozenset[str]

    def find(self, name: str) -> str:
        """A take or video by its id or an unmistakable beginning of it.

        Raises
        ------
        UsageError
            If nothing, or more than one thing, is called so.
        """
        if name in self.takes or name in self.videos:
            return name
        begin = [each for each in (*self.videos, *self.takes) if each.startswith(name)]
        videos = [each for each in begin if each in self.videos]
        if name and (len(begin) == 1 or len(videos) == 1):
            return (videos or begin)[0]
        if not begin or not name:
            raise UsageError(f"no take or video is called {name!r}: `d2midi screen list` shows them")
        raise UsageError(
            f"{name!r} begins {len(begin)} names ({', '.join(sorted(begin)[:3])}, ...): write more of it"
        )


def read_verdicts(path: Path, known: Known, by: str) -> list[Verdict]:
    """Read a CSV of verdicts, all or none.

    Parameters
    ----------
    path : Path
        UTF-8, with at least the columns ``COLUMNS``; rows without a verdict are passed over.
    known : Known
        What may be named in the column ``take_id``: takes, or videos for all their takes.
    by : str
        Who decided, where the row does not say so in a column ``by``.

    Raises
    ------
    UsageError
        If the file cannot be read, lacks a column, or a row is wrong; names all wrong rows and what to do.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns, rows = reader.fieldnames or [], [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"cannot read {path} as CSV: {error}. `d2midi screen list --csv FILE` writes one."
        ) from error
    if missing := [column for column in COLUMNS if column not in columns]:
        raise UsageError(
            f"{path} has no column {', '.join(missing)} (it has {', '.join(columns) or 'none'}): "
            "`d2midi screen list --csv FILE` writes a sheet to fill in"
        )
    found, wrong = [], []
    for number, row in rows:
        cells = {name: (row.get(name) or "").strip() for name in (*COLUMNS, "by")}
        if not cells["verdict"]:
            continue
        try:
            found.append(
                verdict(known.find(cells["take_id"]), cells["verdict"], cells["why"], cells["by"] or by)
            )
        except UsageError as error:
            wrong.append(f"line {number}: {error}")
    if wrong:
        raise UsageError(
            f"{path}: nothing was written, since {len(wrong)} rows are wrong: " + "; ".join(wrong[:10])
        )
    return found


def verdict(item: str, word: str, why: str, by: str) -> Verdict:
    """Make a verdict of now.

    Raises
    ------
    UsageError
        If the word is none of ``WORDS``, or a reason is missing.
    """
    plain = word.strip().lower()
    if plain not in WORDS:
        raise UsageError(f"verdict {word!r} of {item} is none of {', '.join(WORDS)}")
    if not why.strip() and plain != "withdraw":
        raise UsageError(f"the verdict on {item} has no reason: give one with --why, or in the column why")
    return Verdict(item, cast(Word, plain), why.strip(), by, datetime.now(UTC).isoformat(timespec="seconds"))


def sheet_row(take_id: str, judgement: Judgement, where: Mapping[str, str]) -> dict[str, str]:
    """A take's row of a CSV to decide in; ``where`` holds the last columns, which tell where to look."""
    verdict, decision = judgement.verdict, judgement.decision
    return {
        "take_id": take_id,
        "verdict": verdict.verdict if verdict else "",
        "why": verdict.why if verdict else "",
        "by": verdict.by if verdict else "",
        "status": decision.status,
        "reasons": "|".join(decision.reasons),
        "explanation": decision.explanation,
        **where,
    }


def write_sheet(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write rows as CSV."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, SHEET_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
