"""What was sent to Label Studio for a task, kept on this machine until what came back is read.

A picture tells times to a pixel, and Label Studio keeps neither programs nor probabilities. So what an annotator did
not touch is never read off the picture but taken from here: every note as it was sent, and where its rectangle lay.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from d2midi_build import clock
from d2midi_build.annotate.audit.planting import PlantedError
from d2midi_build.annotate.layering import REASONS, Reason, Row, notes_of
from d2midi_build.annotate.studio.pages import Layout, Rectangle
from d2midi_build.digests import sha256_data
from d2midi_build.errors import UsageError
from d2midi_build.workspace import Workspace, write_whole

FORMAT: Final = 1
"""Of the files; a newer d2midi that writes others counts on."""

MOST_NOTES: Final = 10_000
"""Numbers below this have ids of nine characters, which Label Studio, whose own have ten, never makes."""

_TAG_CHARS: Final = 4

OURS: Final = re.compile(r"n[0-9a-f]{4}[0-9]{4}", re.ASCII)
"""What `region_id` makes."""

_KEY: Final = re.compile(r"[\w][\w.+@=,-]{0,199}")


@dataclass(frozen=True)
class SentNote:
    """A note of a task.

    Attributes
    ----------
    number : int
        In its sheet, see `layering`.
    region : str
        Id of its rectangle, see `region_id`.
    shown : Row or None
        As in `Layered.final` when the task was made; None of one that was only planted.
    sent : Row
        As sent: after bulk commands and planted errors.
    page : int
        From 0.
    place : Rectangle
        Its rectangle, to the last bit.
    """

    number: int
    region: str
    shown: Row | None
    sent: Row
    page: int
    place: Rectangle


@dataclass(frozen=True)
class SentTask:
    """A task as it was sent.

    Attributes
    ----------
    key : str
        ``data.task_key`` in Label Studio; names the file here.
    sheet_id : str
    part : str
        ``"all"``, or of a dense sheet ``"drums"``, ``"bass"`` or ``"rest"``.
    layout : Layout
        Where everything lies on the pictures.
    notes : tuple of SentNote
        By number.
    reason : {"heard", "aligned", "pleasant"}
        Why notes are changed where the annotator says nothing else.
    commands : str
        Applied before sending, see `commands`.
    shown : str
        `Layered.said` of the whole sheet.
    machine : str
        Digest of its machine notes.
    version : str
        Names what is shown: other notes, pictures or beats have another one.
    planted : tuple of PlantedError
        Errors in what was sent, to see whether they are found.
    layers : str
        Digest of the sheet's notes in all layers, with their numbers and reasons; empty of an excerpt.
    context : tuple of Row
        What is only seen and heard: other parts as they were sent, and the sheets around.
    """

    key: str
    sheet_id: str
    part: str
    layout: Layout
    notes: tuple[SentNote, ...]
    reason: Reason
    commands: str
    shown: str
    machine: str
    version: str
    planted: tuple[PlantedError, ...] = ()
    layers: str = ""
    context: tuple[Row, ...] = ()

    @property
    def rows(self) -> dict[int, Row]:
        """The notes as sent, by number."""
        return {note.number: note.sent for note in self.notes}

    @cached_property
    def by_region(self) -> Mapping[str, SentNote]:
        """The notes by the ids of their rectangles."""
        return {note.region: note for note in self.notes}

    @property
    def span_s(self) -> tuple[float, float]:
        """The sheet in seconds of the clip: onsets that belong to it, half-open."""
        return self.layout.pages[0].own_start_s, self.layout.pages[-1].own_end_s

    @property
    def shown_s(self) -> tuple[float, float]:
        """What its pictures show: the sheet and its context."""
        return self.layout.pages[0].start_s, self.layout.pages[-1].end_s

    def holds(self, onset_s: float) -> bool:
        """Whether a note with this onset belongs to the sheet, in whole samples."""
        first, last = map(clock.seconds_to_sample, self.span_s)
        return first <= clock.seconds_to_sample(onset_s) < last

    def data(self) -> dict[str, Any]:
        """As plain data for JSON; `from_data` gives the same task back, to the last bit."""
        return {
            "format": FORMAT,
            "key": self.key,
            "sheet": self.sheet_id,
            "part": self.part,
            "layout": self.layout.data(),
            "notes": [
                [note.number, note.region, note.page, note.place, note.sent, _shown(note)]
                for note in self.notes
            ],
            "reason": self.reason,
            "commands": self.commands,
            "shown": self.shown,
            "machine": self.machine,
            "version": self.version,
            "planted": [error.data() for error in self.planted],
            "layers": self.layers,
            "context": self.context,
        }

    @classmethod
    def from_data(cls, data: Any) -> SentTask:
        """From what `data` made.

        Raises
        ------
        ValueError
            If it is damaged, or of a newer d2midi.
        """
        try:
            if data["format"] != FORMAT:
                raise ValueError(f"it has format {data['format']!r}, this d2midi reads {FORMAT}")
            found = cls(
                key=str(data["key"]),
                sheet_id=str(data["sheet"]),
                part=str(data["part"]),
                layout=Layout.from_data(data["layout"]),
                notes=tuple(map(_note, data["notes"])),
                reason=data["reason"],
                commands=str(data["commands"]),
                shown=str(data["shown"]),
                machine=str(data["machine"]),
                version=str(data["version"]),
                planted=tuple(map(PlantedError.from_data, data["planted"])),
                layers=str(data["layers"]),
                context=tuple(map(_row, data["context"])),
            )
        except (KeyError, TypeError, IndexError, OverflowError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error
        found.check()
        return found

    def check(self) -> None:
        """Whether it can be what it says.

        Raises
        ------
        ValueError
            If its reason is none, a number, id or page cannot be, or notes are outside of their ranges.
        """
        if self.reason not in REASONS:
            raise ValueError(f"reason {self.reason!r} is none of {', '.join(REASONS)}")
        for name, values in (
            ("number", [n.number for n in self.notes]),
            ("id", [n.region for n in self.notes]),
        ):
            if twice := [value for value, n in Counter(values).items() if n > 1]:
                raise ValueError(f"{len(twice)} notes have the {name} of another, {twice[0]} the first")
        if wrong := [n for n in self.notes if not 0 <= n.page < len(self.layout.pages) or n.number < 0]:
            raise ValueError(f"note {wrong[0].number} on page {wrong[0].page} of {len(self.layout.pages)}")
        notes_of(self.context)
        notes_of(note.sent for note in self.notes)
        notes_of(note.shown for note in self.notes if note.shown is not None)


def tag_of(version: str) -> str:
    """What ids of rectangles hold of a task's version."""
    return sha256_data(version)[:_TAG_CHARS]


def tags_in(result: object) -> set[str]:
    """Those in the ids of a result's rectangles that were sent with some version."""
    items = result if isinstance(result, list) else []
    ids = [str(item.get("id", "")) for item in items if isinstance(item, dict)]
    return {each[1 : 1 + _TAG_CHARS] for each in ids if OURS.fullmatch(each)}


def region_id(place: int, version: str) -> str:
    """The id of the rectangle at a place among those of its task: nine characters.

    It holds something of the version, so that a rectangle that an annotator has left from an earlier version of a task
    is not taken for another note.

    Raises
    ------
    ValueError
        If there is no such place: 0 to 9,999.

    >>> region_id(12, "mt3/1")[-4:]
    '0012'
    """
    if not 0 <= place < MOST_NOTES:
        raise ValueError(f"note {place}: a task has places from 0 to {MOST_NOTES - 1}")
    return f"n{tag_of(version)}{place:04d}"


def sent_notes(
    layout: Layout, shown: Mapping[int, Row], sent: Mapping[int, Row], version: str
) -> tuple[SentNote, ...]:
    """The notes of a task, by number.

    Parameters
    ----------
    layout : Layout
        Made for ``sent``.
    shown : mapping of int to Row
        `Layered.final` of the sheet; may hold more than ``sent``.
    sent : mapping of int to Row
        What the task is to show, after bulk commands and planted errors.
    version : str
        ``model_version`` of the prediction; another one for other notes.

    Raises
    ------
    ValueError
        If the layout has no lane for a note, or a number cannot be.
    """
    # Ids go by time, not by number: the number of a note that was planted is the highest.
    ranks = {number: k for k, (_, number) in enumerate(sorted((row.seen, n) for n, row in sent.items()))}
    found = []
    for number, row in sorted(sent.items()):
        page = layout.page_of(row.onset_s)
        region, place = region_id(ranks[number], version), layout.rectangle(row, page)
        found.append(SentNote(number, region, shown.get(number), row, page, place))
    return tuple(found)


def path_in(workspace: Workspace, key: str) -> Path:
    """The file of a task in a workspace.

    Raises
    ------
    UsageError
        If the key cannot name a file.
    """
    if _KEY.fullmatch(key) is None:
        raise UsageError(
            f"task key {key!r} cannot name a file: at most 200 letters, digits and .+@=,-_, not beginning with a mark"
        )
    return workspace.annotation / "sent" / f"{key}.json"


def write(path: Path, sent: SentTask) -> None:
    """Keep a task, all of it or what was there before.

    Raises
    ------
    WorkspaceError
        If it cannot be written.
    """
    text = json.dumps(sent.data(), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    write_whole(path, f"{text}\n".encode())


def read(path: Path) -> SentTask:
    """The task that a file holds.

    Raises
    ------
    UsageError
        If there is none, or it is damaged.
    """
    try:
        return SentTask.from_data(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UsageError(
            f"{path} is not there: what was sent for {path.stem} is needed to read what came back. Pull in the "
            "workspace that pushed it"
        ) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} does not hold what was sent for {path.stem}: {error}. Restore it from a copy; pushing again makes "
            "a new one, but then corrections of the old one cannot be read"
        ) from error


def _shown(note: SentNote) -> Row | int | None:
    """Its row as shown; 0 where it was sent as shown, which nearly all are."""
    return 0 if note.shown == note.sent else note.shown


def _note(data: Any) -> SentNote:
    number, region, page, place, sent, shown = data
    row = _row(sent)
    return SentNote(
        _whole(number),
        str(region),
        None if shown is None else row if shown == 0 else _row(shown),
        row,
        _whole(page),
        Rectangle(*(float(each) for each in place)),
    )


def _row(data: Any) -> Row:
    onset_s, offset_s, pitch, velocity, program, is_drum, p_note, p_instrument, origin = data
    return Row(
        float(onset_s),
        float(offset_s),
        _whole(pitch),
        _whole(velocity),
        _whole(program),
        bool(is_drum),
        float(p_note),
        float(p_instrument),
        str(origin),
    )


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"{value!r} is no whole number")
    return value
