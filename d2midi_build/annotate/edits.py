"""What people changed in a sheet: laid upon its layers, and read off them again.

A person hands back all notes of a sheet as they want them. Every difference from what they were shown is an edit
with a reason, and the reason decides which layers it reaches:

- ``heard`` reaches ``heard`` and ``final``; ``aligned`` and ``pleasant`` reach ``final`` alone. So a note moved
  to fit the dance keeps the machine's time in ``heard``, one added because it pleases is not in ``heard`` at all,
  and one deleted for that reason stays there.
- A changed note has in ``heard`` the new value of what was changed because it was heard, and the old value of
  everything else. The value counts, not the distance: whoever moves an aligned note because they hear it
  elsewhere says where the recording has it.
- Only adding brings a note into ``heard``: other edits for that reason of a note that is not there leave it out.
- ``moved`` is a new onset, the length kept; ``resized`` another length, at either end. A note whose both ends
  moved by different amounts was moved and resized.

`edits` compares layers, so it needs no diary: machine with heard, where all differences were heard, and heard
with final, where `Layered.reasons` says which were aligned and which pleasant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from d2midi_build import clock
from d2midi_build.annotate.layering import Kind, Layer, Layered, Reason, Row, notes_of
from d2midi_build.music.instruments import instrument_named

ORIGIN: Final[dict[Reason, str]] = {
    "heard": "human/heard",
    "aligned": "human/aligned",
    "pleasant": "human/pleasant",
}
"""Column ``origin`` of a note that a person made or changed: why, never who, since releases hold it."""


@dataclass(frozen=True)
class Edit:
    """One change of one note.

    Attributes
    ----------
    number : int
        The note's, see `layering`.
    kind, reason : str
    before, after : Row or None
        The note in the layer below and in the one that the edit made; None where it is not in it.
    """

    number: int
    kind: Kind
    reason: Reason
    before: Row | None
    after: Row | None


def changes(before: Row, after: Row) -> tuple[Kind, ...]:
    """The kinds of edits that make one note another, in the order of `layering.KINDS`; none where they look equal."""
    (onset, offset), (new_onset, new_offset) = before.span, after.span
    found: list[Kind] = []
    if new_onset != onset and new_offset != offset:
        found.append("moved")
    if new_offset - new_onset != offset - onset:
        found.append("resized")
    if before.pitch != after.pitch:
        found.append("pitch")
    if before.instrument != after.instrument:
        found.append("instrument")
    if before.velocity != after.velocity:
        found.append("velocity")
    return tuple(found)


def edits(layered: Layered) -> list[Edit]:
    """Everything that people changed in a sheet, by note, heard edits first."""
    found = []
    numbers = sorted({*layered.machine, *layered.heard, *layered.final})
    for number in numbers:
        machine, heard, final = (
            layer.get(number) for layer in (layered.machine, layered.heard, layered.final)
        )
        found += [Edit(number, kind, "heard", machine, heard) for kind in _between(machine, heard)]
        for kind in _between(heard, final):
            found.append(Edit(number, kind, layered.reasons.get((number, kind), "pleasant"), heard, final))
    return found


def counts(found: Iterable[Edit]) -> Counter[tuple[Kind, Reason]]:
    """How many edits there are of each kind and reason."""
    return Counter((edit.kind, edit.reason) for edit in found)


def revised(
    shown: Layered,
    left: Mapping[int, Row],
    reason: Reason,
    overrides: Mapping[int, Reason] | None = None,
    tolerance_s: float = 0.0,
) -> Layered:
    """The layers of a sheet after a person has corrected it.

    Parameters
    ----------
    shown : Layered
        What they were shown: its layer ``final``.
    left : mapping of int to Row
        All notes of the sheet as they left them, by the numbers they were shown with; notes they added have negative
        numbers, and one that looks as one deleted before is that one again. Probabilities and origins are not read; of
        a program only the instrument is.
    reason : {"heard", "aligned", "pleasant"}
        Why they changed what they changed.
    overrides : mapping of int to str, optional
        Other reasons of single notes, by the same numbers, deleted ones among them.
    tolerance_s : float, optional
        Onsets and offsets that differ by no more were not touched and keep their exact time. Default is 0: the sample.

    Raises
    ------
    ValueError
        If ``left`` has a number that was not shown or a note that cannot be (see `Notes`), or ``overrides`` one of no
        note at all.
    """
    notes_of(left.values())
    why = dict(overrides or {})
    if unknown := sorted(number for number in left if number >= 0 and number not in shown.final):
        raise ValueError(f"notes {unknown[:5]} were not shown: numbers of added notes are negative")
    if unknown := sorted(number for number in why if number not in left and number not in shown.final):
        raise ValueError(f"there is a reason for notes {unknown[:5]}, but no such notes")
    heard, final, reasons = dict(shown.heard), dict(shown.final), dict(shown.reasons)
    tolerance = round(tolerance_s * clock.SAMPLE_RATE_HZ)

    def note_reason(number: int, kinds: Iterable[Kind], because: Reason) -> None:
        for kind in kinds:
            if because == "heard":
                reasons.pop((number, kind), None)
            else:
                reasons[number, kind] = because

    for number, old in shown.final.items():
        because = why.get(number, reason)
        if number not in left:
            del final[number]
            if because == "heard":
                heard.pop(number, None)
            note_reason(number, ("deleted",), because)
            continue
        new = untouched(old, left[number], tolerance)
        kinds = changes(old, new)
        if not kinds:
            continue
        final[number] = changed(old, old, new, kinds, because)
        if because == "heard" and number in heard:
            heard[number] = changed(heard[number], old, new, kinds, because)
        note_reason(number, kinds, because)
    following = shown.next_number
    for number, new in _added(left):
        because = why.get(number, reason)
        own = _deleted_as(new, shown, final)
        at = following if own is None else own
        following += own is None
        final[at] = _of_dataset(new).snapped()._replace(p_note=1.0, p_instrument=1.0, origin=ORIGIN[because])
        if because == "heard":
            heard[at] = final[at]
        note_reason(at, ("added",), because)
    return joined(Layered(shown.machine, heard, final, reasons))


def _added(left: Mapping[int, Row]) -> list[tuple[int, Row]]:
    """What was added, ordered by what it is, so that numbers do not depend on an editor's order."""
    return sorted(
        ((number, row) for number, row in left.items() if number < 0), key=lambda each: each[1].seen
    )


def _deleted_as(new: Row, shown: Layered, final: Layer) -> int | None:
    """The number that an added note had when somebody deleted it: it looks as it did then."""
    gone = {n: row for n, row in {**shown.machine, **shown.heard}.items() if n not in {*shown.final, *final}}
    return next((number for number, row in sorted(gone.items()) if row.seen == new.seen), None)


def _between(before: Row | None, after: Row | None) -> tuple[Kind, ...]:
    if before is None or after is None:
        return () if before is after else ("added",) if before is None else ("deleted",)
    return changes(before, after)


def untouched(old: Row, new: Row, tolerance: int) -> Row:
    """The new row with the old one's times where the difference is within so many samples.

    A note both of whose ends moved keeps its length if that changed by no more than twice as much: an editor rounded
    both ends.
    """
    (onset, offset), (new_onset, new_offset) = old.span, new.span
    if abs(new_onset - onset) <= tolerance:
        new_onset = onset
    if abs(new_offset - offset) <= tolerance:
        new_offset = offset
    elif abs((new_offset - new_onset) - (offset - onset)) <= 2 * tolerance:  # both ends were rounded
        new_offset = new_onset + offset - onset
    return new._replace(
        onset_s=clock.sample_to_seconds(new_onset),
        offset_s=clock.sample_to_seconds(max(new_onset, new_offset)),
    )


def changed(row: Row, before: Row, after: Row, kinds: Iterable[Kind], because: Reason) -> Row:
    """A note changed as another, or itself in another layer, was.

    Parameters
    ----------
    row : Row
        What is changed.
    before, after : Row
        What was done, and to what.
    kinds : iterable of str
        Those of `changes` between the two that count here.
    because : str
        Why, for the origin.
    """
    onset, offset = row.span
    length = offset - onset
    (old_onset, _), (new_onset, new_offset) = before.span, after.span
    if "resized" in kinds:
        length = new_offset - new_onset
        if new_onset != old_onset and "moved" not in changes(
            before, after
        ):  # at its beginning: it ends where it did
            onset = max(0, offset - length)
    if "moved" in kinds:
        onset = new_onset
    found = row._replace(
        onset_s=clock.sample_to_seconds(onset),
        offset_s=clock.sample_to_seconds(onset + length),
        pitch=after.pitch if "pitch" in kinds else row.pitch,
        velocity=after.velocity if "velocity" in kinds else row.velocity,
        origin=ORIGIN[because],
    )
    if "instrument" in kinds:
        found = _of_dataset(found._replace(program=after.program, is_drum=after.is_drum))
    return found._replace(p_note=1.0, p_instrument=1.0)


def _of_dataset(row: Row) -> Row:
    """The row with the program of its instrument, which is all that people say of programs."""
    return row._replace(program=instrument_named(row.instrument).program)


def joined(layered: Layered) -> Layered:
    """Rows that look equal in two layers made one, the lower one: an edit taken back leaves no trace."""
    heard = {number: _or_below(row, layered.machine.get(number)) for number, row in layered.heard.items()}
    final = {
        number: _or_below(row, heard.get(number) or layered.machine.get(number))
        for number, row in layered.final.items()
    }
    made = Layered(layered.machine, heard, final)
    used = {
        (edit.number, edit.kind)
        for edit in edits(made)
        if edit.before is not layered.machine.get(edit.number)
    }
    used |= {
        (number, kind)
        for number in {*heard, *final}
        for kind in _between(heard.get(number), final.get(number))
    }
    return Layered(
        layered.machine, heard, final, {each: why for each, why in layered.reasons.items() if each in used}
    )


def _or_below(row: Row, below: Row | None) -> Row:
    return below if below is not None and row.seen == below.seen else row
