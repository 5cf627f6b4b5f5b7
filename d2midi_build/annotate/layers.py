"""The layers of whole clips: the machine's notes with corrections laid over them.

A correction replaces the machine's notes of its sheet, whatever the machine says by now; that it was made from other
notes is told (`Sheeted.stale`). A note belongs to the sheet of its onset as it was shown: one that a person moved over
the end of their sheet is still their sheet's, and no other's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from d2midi_build import clock
from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.corrections import Corrections, Standing
from d2midi_build.annotate.layering import LAYERS, Layer, Layered, LayerName, Row, digest, notes_of, rows
from d2midi_build.annotate.matching import matched
from d2midi_build.annotate.sheets import Sheet
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.notes import Notes

_PLACES: Final = {instrument.name: place for place, instrument in enumerate(INSTRUMENTS)}


@dataclass(frozen=True)
class Sheeted:
    """A sheet of a clip with what counts in it.

    Attributes
    ----------
    sheet : Sheet
    standing : Standing
    stale : bool
        Whether the correction that counts was made from other notes of the machine than there are now.
    layered : Layered
        Its notes: those of the correction that counts, else the machine's. Layer ``machine`` is always what the machine
        says now, so who goes on from here makes a correction that is not stale.
    """

    sheet: Sheet
    standing: Standing
    stale: bool
    layered: Layered


@dataclass(frozen=True, eq=False)
class ClipLayers:
    """The notes of a clip in all layers.

    Attributes
    ----------
    notes : Notes
        In canonical order; a note that is the same in several layers once.
    within : mapping of str to np.ndarray, shape (n,), bool
        By layer: which of the notes it holds.
    """

    notes: Notes
    within: Mapping[LayerName, npt.NDArray[np.bool_]]

    def layer(self, name: LayerName) -> Notes:
        """The notes of a layer."""
        return self.notes.where(self.within[name])

    def to_table(self) -> pa.Table:
        """The notes as a table with the columns ``in_machine``, ``in_heard``, ``in_final``, as releases take them."""
        table = self.notes.to_table()
        for name in LAYERS:
            table = table.append_column(f"in_{name}", pa.array(self.within[name]))
        return table


def sheeted(clip: ClipNotes, corrections: Corrections) -> list[Sheeted]:
    """The sheets of a clip with what counts in each, in order."""
    found = []
    for sheet in clip.sheets():
        now = sheet.notes_in(clip.notes)
        standing = corrections.standing(sheet.sheet_id)
        applied = standing.applied
        if applied is None:
            found.append(Sheeted(sheet, standing, False, Layered.untouched(now)))
        else:
            stale = applied.machine != digest(now)
            layered = (
                rebased(applied.layered, now, applied.end_frame) if stale else _renewed(applied.layered, now)
            )
            found.append(Sheeted(sheet, standing, stale, layered))
    return found


def clip_layers(clip: ClipNotes, corrections: Corrections) -> ClipLayers:
    """The notes of a clip in all layers, each once, with the layers it is in.

    Layer ``machine`` is what the machine says now. A corrected note that looks as a note of the machine does (times,
    pitch, velocity, instrument) is that note, its probabilities, program and origin included. Notes are cut at the
    clip's end, should the clip have become shorter since.
    """
    sheet_ids = {sheet.sheet_id for sheet in clip.sheets()}
    if sheet_ids.isdisjoint(corrections.sheet_ids()):
        return ClipLayers(clip.notes.sorted(), dict.fromkeys(LAYERS, np.ones(len(clip.notes), np.bool_)))
    bits: dict[tuple[Row, int], int] = {}
    end_s = clock.frame_time_s(clip.n_frames)
    for each in sheeted(clip, corrections):
        now = rows(each.sheet.notes_in(clip.notes))
        for bit, name in enumerate(LAYERS):
            layer = now if name == "machine" else _as_now(each.layered.layer(name), now, end_s)
            counted: dict[Row, int] = defaultdict(int)
            for row in layer:
                key = row, counted[row]
                counted[row] += 1
                bits[key] = bits.get(key, 0) | 1 << bit
    ordered = sorted(bits, key=lambda key: _place(key[0]))
    flags = np.array([bits[key] for key in ordered], dtype=np.uint8)
    within = {name: (flags >> bit & 1).astype(np.bool_) for bit, name in enumerate(LAYERS)}
    return ClipLayers(notes_of(row for row, _ in ordered), within)


def layers(clip: ClipNotes, corrections: Corrections) -> dict[LayerName, Notes]:
    """The notes of a clip by layer: ``machine``, ``heard`` and ``final``; see `clip_layers`."""
    found = clip_layers(clip, corrections)
    return {name: found.layer(name) for name in LAYERS}


def rebased(layered: Layered, now: Notes, end_frame: int | None = None) -> Layered:
    """The layers of a correction upon other notes of the machine than it was made from.

    ``heard`` and ``final`` stay. Notes of the machine then and now are paired as `matching` does; where the machine
    has lost a note, what people left of it counts as added, and notes that are new count as deleted. But where the
    sheet ended at ``end_frame`` when it was corrected, nobody has judged the machine's notes from there on: they stay.
    """
    machine = dict(enumerate(rows(now.sorted())))
    end = None if end_frame is None else clock.frames_to_samples(end_frame)
    later = {number: row for number, row in machine.items() if end is not None and row.span[0] >= end}
    judged = {number: row for number, row in machine.items() if number not in later}
    places: dict[Row, list[int]] = defaultdict(list)
    for number, row in judged.items():
        places[row].append(number)
    paired = matched(layered.machine, list(judged.values()))
    renamed = {number: places[row].pop() for number, row in sorted(paired.items()) if number >= 0}
    others = sorted({*layered.heard, *layered.final} - {*renamed})
    renamed |= {number: len(machine) + place for place, number in enumerate(others)}
    heard, final = (
        {renamed[number]: row for number, row in layer.items()} | later
        for layer in (layered.heard, layered.final)
    )
    reasons = {
        (renamed[number], kind): reason
        for (number, kind), reason in layered.reasons.items()
        if number in renamed
    }
    return Layered(machine, heard, final, reasons)


def _renewed(layered: Layered, now: Notes) -> Layered:
    """The layers of a correction with the machine's notes as they are now: the same to see, but not as sure."""
    numbers = sorted(layered.machine, key=lambda number: _looks(layered.machine[number]))
    current = dict(zip(numbers, sorted(rows(now), key=_looks), strict=True))

    def renewed(layer: Layer) -> Layer:
        return {n: current[n] if row == layered.machine.get(n) else row for n, row in layer.items()}

    return replace(layered, machine=current, heard=renewed(layered.heard), final=renewed(layered.final))


def _looks(row: Row) -> tuple[Any, ...]:
    return (*row.seen, row.program)


def _as_now(layer: Layer, now: list[Row], end_s: float) -> list[Row]:
    """The rows of a layer, each the machine's own where it looks like one, cut at the clip's end."""
    waiting: dict[Any, list[Row]] = defaultdict(list)
    for row in reversed(now):
        waiting[row.seen].append(row)
    found = []
    for row in layer.values():
        if row.onset_s < end_s:
            cut = row._replace(offset_s=min(row.offset_s, end_s))
            same = waiting[cut.seen]
            found.append(same.pop() if same else cut)
    return found


def _place(row: Row) -> tuple[Any, ...]:
    """Sorts as `Notes.sorted` does."""
    return (
        row.onset_s,
        _PLACES[row.instrument],
        row.pitch,
        row.offset_s,
        row.velocity,
        row.program,
        row.p_note,
        row.p_instrument,
        row.origin,
    )
