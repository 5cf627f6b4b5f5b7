"""Truth tables: what somebody who looked at videos says of them, to measure screening by."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from d2midi_build.errors import UsageError
from d2midi_build.sources.lists import VIDEO_SUFFIXES

Quality = Literal["good", "bad", "unclear"]

LABELS: Final[dict[str, tuple[str, ...]]] = {
    "verdict": ("good", "bad", "unclear"),
    "people": ("none", "one", "several"),
    "body": ("full", "part", "none"),
    "background": ("pure", "light", "busy"),
    "camera": ("fixed", "moves"),
    "picture": ("moving", "still"),
    "sound": ("music", "music_speech", "speech", "noise", "silent", "none"),
    "clipped": ("yes", "no"),
    "sync": ("yes", "no"),
}
"""Columns that hold a label, and the labels; empty means that it cannot be said (not for ``verdict``)."""

OPTIONAL: Final = ("sync",)
"""Columns that a table may leave out."""

COLUMNS: Final = ("file", "source", "start_s", "end_s", *LABELS, "cuts_s", "remark")


@dataclass(frozen=True)
class Truth:
    """What is true of a video, or of a range of one; a row of a truth table.

    Attributes
    ----------
    file : Path
        The video.
    name : str
        The file as the table has it, and the range if it is one.
    source : str
        Videos of one source (studio, dataset, generator) are left out together when thresholds are tried.
    start_s, end_s : float or None
        The range, seconds from the first picture; None for the whole video.
    verdict : {"good", "bad", "unclear"}
        What a curator would say, however short the video is.
    labels : dict
        By column of ``LABELS``; "" where it cannot be said.
    cuts_s : tuple of float
        Hard cuts: times of the first picture after each.
    row : str
        Where it stands, for messages.
    """

    file: Path
    name: str
    source: str
    start_s: float | None
    end_s: float | None
    verdict: Quality
    labels: dict[str, str]
    cuts_s: tuple[float, ...]
    row: str


def read_truth(table: Path, videos: Path) -> list[Truth]:
    """Read a truth table.

    Parameters
    ----------
    table : Path
        CSV, UTF-8, with the columns ``COLUMNS`` (but for ``OPTIONAL``); others are ignored.
    videos : Path
        The folder its files are named from.

    Raises
    ------
    UsageError
        If the table cannot be read or lacks columns, or rows have an unknown label, no number where one belongs, or a
        file that is not there: all wrong rows are named, with what to do.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns, rows = reader.fieldnames or [], [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read the truth table {table}: {error}") from error
    if missing := [column for column in COLUMNS if column not in (*columns, *OPTIONAL)]:
        raise UsageError(
            f"{table} lacks the columns {', '.join(missing)}: a truth table has {', '.join(COLUMNS)} "
            "(docs/screening.md says what goes into each)"
        )
    if not videos.is_dir():
        raise UsageError(
            f"{videos} is no folder: --videos names the folder that the files of {table} are below"
        )
    if not rows:
        raise UsageError(f"{table} has no rows")
    found, wrong = [], []
    for number, row in rows:
        try:
            found.append(_truth(row, videos, f"{table.name} line {number}"))
        except ValueError as error:
            wrong.append(f"line {number} ({row['file']}): {error}")
    if wrong:
        shown = "\n  ".join(wrong[:20])
        raise UsageError(f"{table}: {len(wrong)} rows are wrong; mend or delete them:\n  {shown}")
    return found


def _truth(row: dict[str, str], videos: Path, place: str) -> Truth:
    cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
    if not cells["file"] or not cells["source"]:
        raise ValueError("file and source must not be empty")
    file = videos / cells["file"]
    if not file.is_file():
        raise ValueError(f"there is no file {file}")
    if file.suffix.lower() not in VIDEO_SUFFIXES:
        raise ValueError(f"the ending {file.suffix!r} is not that of a video")
    for name, labels in LABELS.items():
        if cells[name] not in labels and (cells[name] or name == "verdict"):
            raise ValueError(f"{name} is {cells[name]!r}, none of {', '.join(labels)}")
    start_s, end_s = _seconds("start_s", cells["start_s"]), _seconds("end_s", cells["end_s"])
    if (start_s is None) != (end_s is None) or (
        start_s is not None and end_s is not None and start_s >= end_s
    ):
        raise ValueError(
            f"start_s {cells['start_s']!r} and end_s {cells['end_s']!r} are no range (both or none)"
        )
    cuts = tuple(
        cut for part in cells["cuts_s"].split(";") if (cut := _seconds("cuts_s", part.strip())) is not None
    )
    return Truth(
        file=file,
        name=cells["file"] + (f" {start_s:g}-{end_s:g} s" if start_s is not None else ""),
        source=cells["source"],
        start_s=start_s,
        end_s=end_s,
        verdict=cast(Quality, cells["verdict"]),
        labels={name: cells[name] for name in LABELS if name != "verdict"},
        cuts_s=cuts,
        row=place,
    )


def _seconds(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError(f"{name} holds {text!r}, which is no number of seconds") from None
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"{name} holds {text!r}, which is no time in seconds from the first picture")
    return seconds
