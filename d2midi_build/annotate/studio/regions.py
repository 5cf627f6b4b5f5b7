"""Notes as the rectangles of Label Studio, and what an annotator left there as notes again.

`regions` is what is sent for a task, `left` reads an annotation or a draft of it. Nothing that comes back is believed:
either all of a result can be used, or none of it and `RegionsError` says what is wrong. How a result is read:

- **Times.** An edge within half a pixel of where it was sent was not touched: Label Studio puts both corners of
  whatever is moved on whole pixels, even when a note is only moved to another row. It keeps its exact time, also of a
  note that is longer than its page or shorter than it is drawn. A note moved as a whole keeps its length. Other edges
  are read off the picture, to the sample. A note that ends beside what the page shows ends where the page does.
- **Where it belongs.** The onset decides, as everywhere: within the sheet any page of it will do, and outside of it is
  a problem, since others correct there; but a note that was sent from there and kept its onset may stay.
- **Row.** The lane that the rectangle means (`Layout.lanes_at`). A note in its old lane keeps its pitch. One that
  covers several rows keeps its pitch too, if its old row is among them: Label Studio resizes a note that is grabbed
  at its middle, so nobody knows what was meant, and it is flagged. If not, its middle counts, flagged as well. A drum
  in a row of pitches, a pitched note in a drum's lane and any note in a fold are problems, unless the number
  ``pitch`` says the key. That number counts before the row, and a flag tells where they differ.
- **Velocity.** A note without one has what it was sent with; a new one the median of its instrument's in the task,
  or 80.
- **Commands** of the annotator are done last, upon what is left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median_low
from typing import Any, Final, Literal, cast

from d2midi_build import clock
from d2midi_build.annotate.edits import ORIGIN
from d2midi_build.annotate.layering import Reason, Row
from d2midi_build.annotate.studio.commands import Command, apply, parse
from d2midi_build.annotate.studio.items import (
    NOISE,
    Problems,
    Region,
    RegionsError,
    Result,
    named,
    read_result,
    rectangle_items,
    remark,
)
from d2midi_build.annotate.studio.lanes import Lane
from d2midi_build.annotate.studio.pages import Rectangle
from d2midi_build.annotate.studio.sent import OURS, SentNote, SentTask
from d2midi_build.music.instruments import DRUM, instrument_named

__all__ = ["Flag", "FlagKind", "Left", "RegionsError", "Verdict", "left", "readable", "regions"]

Verdict = Literal["corrected", "no_change", "drop", ""]

FlagKind = Literal["rows", "pitch"]

DEFAULT_VELOCITY: Final = 80

_VERDICTS: Final[dict[str, Verdict]] = {
    "Corrected": "corrected",
    "No change needed": "no_change",
    "Drop clip": "drop",
    "": "",
}
_MANY: Final = 5
"""So many notes may be deleted by hand, whatever share of a sheet that is."""

_HIGH: Final = 1.5
"""Rows high from which on it is not clear which row is meant; notes drawn by hand are .8-.9 (facts/label-studio.md)."""


@dataclass(frozen=True)
class Flag:
    """Something that can be read, but perhaps was not meant.

    Attributes
    ----------
    kind : {"rows", "pitch"}
        Two or more rows high; the number ``pitch`` says another pitch than the row.
    number : int
        The note's.
    message : str
        In words.
    """

    kind: FlagKind
    number: int
    message: str


@dataclass(frozen=True)
class Left:
    """What an annotator left of a task.

    Attributes
    ----------
    rows : dict of int to Row
        All notes of the task by number; those added are -1, -2, ... in the order of their times.
    drawn : dict of int to Row
        The same before the annotator's commands.
    commands : tuple of Command
    reasons : dict of int to str
        Of single notes where the annotator gave them one.
    reason : {"heard", "aligned", "pleasant"}
        Of all others: what the annotator chose for the task, else what it was sent with.
    flags : tuple of Flag
    verdict : {"corrected", "no_change", "drop", ""}
        Empty if none was given yet.
    remark : str
        Plain text, at most `items.MOST_REMARK` characters; markup in it is text.
    """

    rows: dict[int, Row]
    drawn: dict[int, Row]
    commands: tuple[Command, ...]
    reasons: dict[int, Reason]
    reason: Reason
    flags: tuple[Flag, ...]
    verdict: Verdict
    remark: str


class _Doubt(ValueError):
    """Why a rectangle is no note."""


def regions(sent: SentTask) -> list[dict[str, Any]]:
    """The result of a prediction: the rectangles and velocities of a task's notes, in their order.

    Raises
    ------
    RegionsError
        If the notes would not come back as they are, which must not happen: nobody else checks what is sent.
    """
    found = [
        item
        for note in sorted(sent.notes, key=lambda note: note.region)
        for item in rectangle_items(
            note.region, note.page, note.place, note.sent.instrument, note.sent.velocity, sent.layout
        )
    ]
    if left(found, sent).rows != sent.rows:
        raise RegionsError((f"{sent.key}: its rectangles do not give its notes back",))
    return found


def left(result: object, sent: SentTask) -> Left:
    """What an annotator left, read from a result of an annotation or of a draft.

    Parameters
    ----------
    result : object
        Field ``result`` as Label Studio's API gives it.
    sent : SentTask
        What was sent; its layout is that of the pictures.

    Raises
    ------
    RegionsError
        If anything in it cannot be used; names up to twenty problems.
    """
    problems = Problems()
    read = read_result(result, sent, problems)
    drawn, flags, whys = _notes(read, sent, problems)
    if not problems.n:
        _most_are_there(drawn, sent, problems)
    commands: tuple[Command, ...] = ()
    rows = drawn
    try:
        commands = parse(read.answers.get("commands", ""))
        if not problems.n:
            rows = apply(commands, drawn, shown_s=sent.shown_s)
    except ValueError as error:
        problems.add(f"commands: {error}")
    verdict = _VERDICTS[read.answers.get("verdict", "")]
    if verdict == "no_change" and not problems.n:
        _unchanged(rows, sent, problems)
    problems.raised()
    return Left(
        rows=rows,
        drawn=drawn,
        commands=commands,
        reasons={number: why for number, why in whys.items() if number >= 0 or number in rows},
        reason=_reason(read, sent),
        flags=tuple(flag for flag in flags if flag.number in rows),
        verdict=verdict,
        remark=remark(read.answers.get("remark", "")),
    )


def readable(result: object, sent: SentTask) -> dict[int, Row]:
    """The notes of a result that can be read, by number as in `Left`; of a result that `left` refuses, too.

    For people to hear what they have so far, and for nothing else.
    """
    problems = Problems()
    return _notes(read_result(result, sent, problems), sent, problems)[0]


def _notes(
    read: Result, sent: SentTask, problems: Problems
) -> tuple[dict[int, Row], list[Flag], dict[int, Reason]]:
    """Rows, flags and reasons of the rectangles; what is no note is a problem."""
    reason, velocities = _reason(read, sent), _velocities(sent)
    found: dict[str, tuple[Row, tuple[FlagKind, str] | None]] = {}
    for region, of in read.regions.items():
        note = sent.by_region.get(region)
        try:
            if of.place is None and problems.n:
                continue  # its rectangle was there, and what is wrong with it has been told
            if of.place is None:
                raise _Doubt("its number or choice is there, but not its rectangle")
            if note is None and OURS.fullmatch(region):
                raise _Doubt(
                    "it was not sent with this version of the task: it was left over from an earlier one"
                )
            usual = velocities.get(of.label, DEFAULT_VELOCITY)
            row, flag = _read(of, of.place, note, sent, usual)
            found[region] = row._replace(origin=ORIGIN[of.why or reason]) if note is None else row, flag
        except _Doubt as doubt:
            problems.add(f"note {named(region, of.page, sent)}: {doubt}")
    numbers = _numbers({region: row for region, (row, _) in found.items()}, sent)
    rows = {numbers[region]: row for region, (row, _) in found.items()}
    flags = [Flag(flag[0], numbers[region], flag[1]) for region, (_, flag) in found.items() if flag]
    whys = {numbers[region]: why for region in found if (why := read.regions[region].why) is not None}
    return dict(sorted(rows.items())), sorted(flags, key=lambda flag: flag.number), whys


def _numbers(rows: Mapping[str, Row], sent: SentTask) -> dict[str, int]:
    """The number of each rectangle: as sent, or from -1 down by what was added, whatever order it came in."""
    numbers = {region: note.number for region, note in sent.by_region.items() if region in rows}
    added = sorted((row.seen, region) for region, row in rows.items() if region not in numbers)
    return numbers | {region: -place for place, (_, region) in enumerate(added, 1)}


def _read(
    of: Region, place: Rectangle, note: SentNote | None, sent: SentTask, usual: int
) -> tuple[Row, tuple[FlagKind, str] | None]:
    """The note that a rectangle is, and what to flag about it."""
    label = instrument_named(of.label)
    pitch, flag = _pitch(of, place, note, sent)
    onset_s, offset_s = _times(of, place, note, sent)
    if note is None:
        row = Row(onset_s, offset_s, pitch, usual, label.program, label.is_drum, 1.0, 1.0, "")
    else:
        row = note.sent._replace(onset_s=onset_s, offset_s=offset_s, pitch=pitch)
        if row.instrument != label.name:
            row = row._replace(program=label.program, is_drum=label.is_drum)
    row = row._replace(velocity=of.numbers.get("velocity", row.velocity))
    return row, None if flag is None else (flag[0], f"{row.told()} {flag[1]}")


def _times(of: Region, place: Rectangle, note: SentNote | None, sent: SentTask) -> tuple[float, float]:
    """Onset and offset of a rectangle in seconds, on the sample grid."""
    layout = sent.layout
    pixel = 100.0 / layout.width_px
    was = note.place if note is not None and note.page == of.page else None
    start_stays = was is not None and abs(was.x - place.x) <= pixel / 2 + NOISE
    end_stays = was is not None and abs(was.x + was.width - place.x - place.width) <= pixel / 2 + NOISE
    length_stays = note is not None and abs(note.place.width - place.width) <= pixel + NOISE
    first, last = note.sent.span if note is not None else (0, 0)
    onset = first if start_stays else _onset(place, of.page, sent)
    end_s = min(layout.offset_s(place.x, place.width, of.page), layout.pages[of.page].end_s)
    drawn = max(clock.seconds_to_sample(end_s), onset + 1)
    if end_stays:
        offset = last if last >= onset else drawn
    else:
        offset = onset + last - first if length_stays and not start_stays else drawn
    return clock.sample_to_seconds(onset), clock.sample_to_seconds(offset)


def _onset(place: Rectangle, page: int, sent: SentTask) -> int:
    """The sample at which a rectangle begins that is new or was moved."""
    layout, shown = sent.layout, sent.layout.pages[page]
    onset_s, half_a_pixel = layout.onset_s(place.x, page), 0.5 / layout.px_per_s
    if onset_s < shown.start_s - half_a_pixel:
        raise _Doubt("it begins left of where time begins, over the keys: drag it to the right")
    if onset_s >= shown.end_s:
        raise _Doubt("it begins right of what its page shows: drag it to the left")
    onset_s = max(onset_s, shown.start_s)
    if not sent.holds(onset_s):
        first, last = sent.span_s
        raise _Doubt(
            f"it begins at {onset_s:.3f} s, outside of its sheet of {first:g} to {last:g} s, where others "
            "correct: drag it inside or delete it"
        )
    return clock.seconds_to_sample(onset_s)


def _pitch(
    of: Region, place: Rectangle, note: SentNote | None, sent: SentTask
) -> tuple[int, tuple[FlagKind, str] | None]:
    """The pitch or drum that a rectangle's row or its number means, and what to flag about that."""
    layout, drum, number = sent.layout, of.label == DRUM.name, of.numbers.get("pitch")
    lanes = layout.lanes_at(place.y, place.height)
    if number is not None:
        rows = [lane for lane in lanes if lane.kind == ("drum" if drum else "pitch")]
        differs = bool(rows) and all(lane.key != number for lane in rows)
        return number, ("pitch", f"lies in row {rows[0].name}: its number counts") if differs else None
    home = layout.lane_of(note.sent) if note is not None else None
    if note is not None and of.label == note.sent.instrument and _same_rows(place, note.place):
        return note.sent.pitch, None
    if not lanes:
        raise _Doubt("it lies beside all rows: drag it into one")
    lane = _lane(place, lanes, home, sent)
    if (lane.kind == "drum") != drum:
        where = (
            f"{lane.name!r}, a drum's lane" if lane.kind == "drum" else f"row {lane.name}, which is no drum"
        )
        raise _Doubt(
            f"it is {of.label} and lies in {where}: give it the right instrument, drag it, or fill in its 'pitch'"
        )
    if lane.kind == "fold" and lane != home:
        raise _Doubt(f"the rows {lane.name} are folded away here: fill in its 'pitch', or drag it to a row")
    high = place.height / 100 * layout.height_px / lane.height_px
    words = f"is {high:.1f} rows high and was taken to be in row {lane.name}"
    pitch = note.sent.pitch if note is not None and lane == home else lane.key
    return pitch, ("rows", words) if len(lanes) > 1 or high >= _HIGH else None


def _lane(place: Rectangle, lanes: tuple[Lane, ...], home: Lane | None, sent: SentTask) -> Lane:
    """Of the lanes that a rectangle covers the one it was sent in, else that of its middle."""
    if home in lanes:
        return home
    middle = sent.layout.lanes_at(place.y + place.height / 2, 0.0)
    return next((lane for lane in middle if lane in lanes), lanes[0])


def _same_rows(one: Rectangle, other: Rectangle) -> bool:
    """Whether nobody moved it up or down."""
    return abs(one.y - other.y) <= NOISE and abs(one.height - other.height) <= NOISE


def _reason(read: Result, sent: SentTask) -> Reason:
    return cast(Reason, read.answers.get("reason")) or sent.reason


def _velocities(sent: SentTask) -> dict[str, int]:
    """The usual velocity of each instrument in the task."""
    found: dict[str, list[int]] = defaultdict(list)
    for note in sent.notes:
        found[note.sent.instrument].append(note.sent.velocity)
    return {instrument: median_low(velocities) for instrument, velocities in found.items()}


def _most_are_there(drawn: Mapping[int, Row], sent: SentTask, problems: Problems) -> None:
    """A problem if most notes are gone: that is how an annotation looks that was begun with nothing in it."""
    gone = len([note for note in sent.notes if note.number not in drawn])
    if gone >= _MANY and gone > len(sent.notes) / 2:
        problems.add(
            f"{gone} of {len(sent.notes)} notes are gone. Was it begun as an empty annotation? Begin with the copy of "
            'what was sent; to delete many notes use commands, as "delete Celesta" or "delete all in 3-8s"'
        )


def _unchanged(rows: Mapping[int, Row], sent: SentTask, problems: Problems) -> None:
    """A problem if anything was changed."""
    was = sent.rows
    differ = [n for n in {**was, **rows} if n not in rows or n not in was or rows[n].seen != was[n].seen]
    if differ:
        first = rows.get(differ[0]) or was[differ[0]]
        problems.add(
            f'the verdict is "No change needed", but {len(differ)} notes were changed, {first.told()} the first: '
            'choose "Corrected", or undo it'
        )
