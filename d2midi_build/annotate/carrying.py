"""A recording that several clips use is corrected once: corrections carried over to the other clips.

Fingerprints say to about 0.1 s where one clip's music lies in another's (table ``repeats``); the notes that the machine
heard in both say it to milliseconds. What people left in the one clip then replaces what the machine heard in the part
of the other that has the same sound. Of a note that the machine heard in both, what people did not change stays as it
is in the other clip. Edits to fit the dance stay behind: the other clip has another dance.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from d2midi_build import clock, tables
from d2midi_build.annotate.clips import ClipNotes, lengths, read_clip
from d2midi_build.annotate.corrections import Correction, Corrections, withdrawal
from d2midi_build.annotate.edits import ORIGIN, changed, changes, joined
from d2midi_build.annotate.layering import Kind, Layered, Reason, Row, rows
from d2midi_build.annotate.layers import Sheeted, sheeted
from d2midi_build.annotate.sheets import Sheet, clip_of_sheet, sheet_numbers
from d2midi_build.workspace import Workspace

TOOL: Final = "carried"

_FASTER: Final = 1e-4
"""Speeds that differ by no more are the same: 3 ms over a sheet."""

_HIGHER: Final = 0.1
"""So are pitches that differ by no more semitones."""

_SEARCH_S: Final = 0.25
"""How far the fingerprints' offset may be off, twice what they are measured to."""

_TOGETHER_S: Final = 0.02
"""Two transcriptions of one recording put a note within so much: two of basic-pitch's frames."""

_LEAST_SHARE: Final = 0.4
_LEAST_NOTES: Final = 10
"""An offset is sure when this share, and number, of the shared part's notes lie together."""

_LEAST_S: Final = 1.0
"""Less of a sheet than this is not worth carrying anything to."""


def offsets(pairs: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Where each clip's beginning lies in the others that have its recording.

    Parameters
    ----------
    pairs : iterable of mapping
        Rows of table ``repeats``; those of another kind than music, speed or pitch are left out.

    Returns
    -------
    dict
        By clip, then by other clip: seconds from the other's first frame, negative where it begins before. The
        table names one pair per new member of a group, so offsets are added up along chains.
    """
    beside: dict[str, dict[str, float]] = defaultdict(dict)
    for pair in pairs:
        same = pair["kind"] == "music" and abs(pair["speed"] - 1) <= _FASTER
        if same and abs(pair["semitones"]) <= _HIGHER:
            beside[pair["first"]][pair["second"]] = pair["offset_s"]
            beside[pair["second"]][pair["first"]] = -pair["offset_s"]
    found: dict[str, dict[str, float]] = {}
    for clip in sorted(beside):
        here, waiting = {clip: 0.0}, deque([clip])
        while waiting:
            near = waiting.popleft()
            for other, offset_s in sorted(beside[near].items()):
                if other not in here:
                    here[other] = here[near] + offset_s
                    waiting.append(other)
        found[clip] = {other: offset_s for other, offset_s in here.items() if other != clip}
    return found


def settled_offset(source: ClipNotes, target: ClipNotes, offset_s: float) -> float | None:
    """The offset to the sample, from the notes that the machine heard in both clips.

    The median over notes of one pitch and instrument that lie together at the offset, near the given one, at which
    most do.

    Returns
    -------
    float or None
        None where too few notes lie together to be sure.
    """
    there: dict[tuple[int, str], list[float]] = defaultdict(list)
    for row in rows(target.notes.sorted()):
        there[row.pitch, row.instrument].append(row.onset_s)
    end_s = clock.frame_time_s(target.n_frames)
    shared = [row for row in rows(source.notes) if 0 <= row.onset_s + offset_s < end_s]
    apart = []
    for row in shared:
        onsets, at = there[row.pitch, row.instrument], row.onset_s + offset_s
        near = onsets[bisect_left(onsets, at - _SEARCH_S) : bisect_right(onsets, at + _SEARCH_S)]
        apart += [onset - at for onset in near]
    if not apart:
        return None
    ordered = np.sort(np.array(apart))
    within = np.searchsorted(ordered, ordered + _TOGETHER_S, "right") - np.arange(len(ordered))
    first = int(within.argmax())
    most = int(within[first])
    if most < max(_LEAST_NOTES, _LEAST_SHARE * len(shared)):
        return None
    exact_s = offset_s + float(np.median(ordered[first : first + most]))
    return clock.sample_to_seconds(clock.seconds_to_sample(exact_s))


def carried(
    source: ClipNotes, target: ClipNotes, offset_s: float, corrections: Corrections, at: str
) -> list[Correction]:
    """The corrections of a clip as corrections of another's sheets.

    Parameters
    ----------
    source, target : ClipNotes
    offset_s : float
        Where the source's first frame lies in the target, exactly: see `settled_offset`.
    corrections : Corrections
        Of the source; those that were carried to it are not carried on.
    at : str
        When, UTC, ISO 8601.

    Returns
    -------
    list of Correction
        One for each sheet of the target of which a second or more was corrected in the source. It names the sheets it
        comes from, and the person whose sheet it has most of.
    """
    return [correction for _, correction in _with_lengths(source, target, offset_s, corrections, at)]


def _with_lengths(
    source: ClipNotes, target: ClipNotes, offset_s: float, corrections: Corrections, at: str
) -> list[tuple[float, Correction]]:
    """As `carried`, with how many seconds of each sheet were corrected in the source."""
    parts = [
        each
        for each in sheeted(source, corrections)
        if each.standing.applied is not None and not each.standing.applied.carried_from
    ]
    machine = [Layered.untouched(sheet.notes_in(target.notes)) for sheet in target.sheets()]
    upon = _placed(parts, target, machine, offset_s)
    found = []
    for sheet, shown, notes in zip(target.sheets(), machine, upon, strict=True):
        of = [(each, _common(each.sheet, sheet, offset_s)) for each in parts]
        of = [(each, span) for each, span in of if span[1] > span[0]]
        length_s = sum(end_s - start_s for _, (start_s, end_s) in of)
        if length_s >= _LEAST_S:
            layered = _laid(shown, notes, [span for _, span in of], sheet)
            found.append((length_s, _correction(layered, shown.said, of, sheet, at)))
    return found


def carry_over(workspace: Workspace, corrections: Corrections, at: str) -> list[Correction]:
    """All corrections of a workspace carried to the other clips of the same recordings; nothing is kept yet.

    A sheet that people corrected themselves gets none. Where several clips could give, the one does that shares most of
    the sheet. What was carried earlier and has nothing to come from any more is withdrawn.

    Raises
    ------
    D2midiError
        If a table cannot be read.
    """
    pairs = tables.read(workspace.manifests / "repeats.parquet").to_pylist()
    known = lengths(workspace)
    sources = {clip_of_sheet(sheet_id)[0] for sheet_id in corrections.sheet_ids()} & set(known)
    found: dict[str, tuple[float, Correction]] = {}
    for source_id, others in offsets(pairs).items():
        for target_id in sorted(set(others) & set(known)) if source_id in sources else ():
            source, target = read_clip(workspace, source_id), read_clip(workspace, target_id)
            offset_s = settled_offset(source, target, others[target_id])
            if offset_s is None:
                continue
            for length_s, each in _with_lengths(source, target, offset_s, corrections, at):
                if length_s > found.get(each.sheet_id, (0.0, None))[0]:
                    found[each.sheet_id] = length_s, each
    new = []
    for sheet_id in sorted({*found, *corrections.sheet_ids()}):
        standing = corrections.standing(sheet_id)
        if standing.conflict or (standing.applied is not None and not standing.applied.carried_from):
            continue
        if sheet_id in found:
            new.append(found[sheet_id][1])
        elif standing.applied is not None and clip_of_sheet(sheet_id)[0] in known:
            new.append(withdrawal(standing.applied, at))
    return new


def _common(source: Sheet, target: Sheet, offset_s: float) -> tuple[float, float]:
    """What two sheets share, in the target's time."""
    return max(source.start_s + offset_s, target.start_s), min(source.end_s + offset_s, target.end_s)


def _placed(
    parts: Sequence[Sheeted], target: ClipNotes, machine: Sequence[Layered], offset_s: float
) -> list[list[tuple[int | None, _Note]]]:
    """The corrected notes by sheet of the target, each with the number of what the machine heard of it there.

    Nearest first come, those that the source's machine heard before those that people added; a note that the target's
    machine did not hear has no number and is in the sheet of its onset.
    """
    end_s = clock.frame_time_s(target.n_frames)
    free: dict[tuple[int, str], list[tuple[float, int, int]]] = defaultdict(list)
    for place, shown in enumerate(machine):
        for number, row in shown.machine.items():
            free[row.pitch, row.instrument].append((row.onset_s, place, number))
    found: list[list[tuple[int | None, _Note]]] = [[] for _ in machine]
    notes = [note for part in parts for note in _notes(part.layered, offset_s, end_s)]
    for note in sorted(notes, key=lambda note: (note.machine is None, note.onset_s, note.first)):
        there = free[note.first.pitch, note.first.instrument]
        near = min(there, key=lambda each: abs(each[0] - note.onset_s), default=None)
        if near is not None and abs(near[0] - note.onset_s) <= _TOGETHER_S:
            there.remove(near)
            found[near[1]].append((near[2], note))
        elif 0 <= note.onset_s < end_s:
            found[int(sheet_numbers(note.onset_s))].append((None, note))
    return found


def _laid(
    shown: Layered,
    notes: Sequence[tuple[int | None, _Note]],
    spans: Sequence[tuple[float, float]],
    sheet: Sheet,
) -> Layered:
    """The layers of a sheet with corrected notes in place of the machine's, in the spans that were corrected."""
    start_s, end_s = min(start for start, _ in spans), max(end for _, end in spans)
    # At the bounds of what was corrected, another transcription may have put a note on the other side.
    start_s += _TOGETHER_S if start_s > sheet.start_s else 0.0
    end_s -= _TOGETHER_S if end_s < sheet.end_s else 0.0
    heard = {
        number: row
        for number, row in shown.machine.items()
        if not start_s <= row.onset_s < end_s or not any(a <= row.onset_s < b for a, b in spans)
    }
    final, reasons = dict(heard), dict[tuple[int, Kind], Reason]()
    following = shown.next_number
    for own, note in notes:
        number = following if own is None else own
        following += own is None
        was_heard, pleases, kinds = note.upon(None if own is None else shown.machine[own])
        for layer, row in ((heard, was_heard), (final, pleases)):
            layer.pop(number, None)
            if row is not None:
                layer[number] = row
        reasons |= {(number, kind): "pleasant" for kind in kinds}
    return joined(Layered(shown.machine, heard, final, reasons))


def _correction(
    layered: Layered, shown: str, of: Sequence[tuple[Sheeted, tuple[float, float]]], sheet: Sheet, at: str
) -> Correction:
    largest = max(of, key=lambda each: each[1][1] - each[1][0])[0].standing.applied
    assert largest is not None
    names = ",".join(part.sheet.sheet_id for part, _ in of)
    return Correction(
        sheet.sheet_id,
        largest.by,
        at,
        largest.reason,
        TOOL,
        shown,
        layered,
        carried_from=names,
        end_frame=sheet.end_frame,
    )


@dataclass(frozen=True)
class _Note:
    """A note through the layers of its own clip, in the time of another.

    ``onset_s`` is that of `first`, even where the other clip has not begun yet or has ended; ``pleasing`` are the
    kinds of edits that please.
    """

    onset_s: float
    machine: Row | None
    heard: Row | None
    final: Row | None
    pleasing: frozenset[Kind]

    @property
    def first(self) -> Row:
        """As it was to begin with."""
        found = self.machine or self.heard or self.final
        assert found is not None
        return found

    def upon(self, mine: Row | None) -> tuple[Row | None, Row | None, tuple[Kind, ...]]:
        """The note in layers heard and final of the other clip, whose machine heard ``mine``, and how they differ."""
        heard = self.heard and self._heard_upon(self.heard, mine)
        if self.final is None:
            return (heard, None, ("deleted",)) if "deleted" in self.pleasing else (heard, heard, ())
        if heard is None or self.heard is None:
            return (None, self.final, ("added",)) if "added" in self.pleasing else (None, None, ())
        kept = tuple(kind for kind in changes(self.heard, self.final) if kind in self.pleasing)
        return heard, changed(heard, self.heard, self.final, kept, "pleasant") if kept else heard, kept

    def _heard_upon(self, heard: Row, mine: Row | None) -> Row:
        if mine is None:
            return heard._replace(p_note=1.0, p_instrument=1.0, origin=ORIGIN["heard"])
        if self.machine is None:  # added there, but here the machine heard it by itself
            return mine
        kinds = changes(self.machine, heard)
        return changed(mine, self.machine, heard, kinds, "heard") if kinds else mine


def _notes(layered: Layered, offset_s: float, end_s: float) -> list[_Note]:
    """The notes of a corrected sheet in another clip's time, where that ends at ``end_s``."""
    pleasing: dict[int, set[Kind]] = defaultdict(set)
    for (number, kind), reason in layered.reasons.items():
        if reason == "pleasant":
            pleasing[number].add(kind)

    def there(row: Row | None) -> Row | None:
        if row is None:
            return None
        onset_s, offset = np.clip([row.onset_s + offset_s, row.offset_s + offset_s], 0.0, end_s).tolist()
        return row._replace(onset_s=onset_s, offset_s=offset).snapped()

    found = []
    for number in {*layered.machine, *layered.heard, *layered.final}:
        versions = [layer.get(number) for layer in (layered.machine, layered.heard, layered.final)]
        first = next(row for row in versions if row is not None)
        machine, heard, final = map(there, versions)
        found.append(_Note(first.onset_s + offset_s, machine, heard, final, frozenset(pleasing[number])))
    return found
