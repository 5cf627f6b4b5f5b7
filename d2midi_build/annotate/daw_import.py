"""What people changed in a DAW, read from a file that `daw_export` made and they worked on.

What comes back is compared with what went out, not with what there is now: notes that nobody touched keep their exact
times although DAWs round them to ticks of their own, and what others corrected meanwhile is not undone.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from d2midi_build import clock
from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.corrections import Correction, Corrections
from d2midi_build.annotate.daw_export import TOOL, Key, Out, Stamp, outgoing, row_of, stamp_of, tempo_digest
from d2midi_build.annotate.daw_files import DawFile
from d2midi_build.annotate.edits import Edit, edits, revised, untouched
from d2midi_build.annotate.layering import Reason, Row
from d2midi_build.annotate.matching import matched
from d2midi_build.annotate.sheets import sheet_numbers
from d2midi_build.annotate.tempo import TempoMap
from d2midi_build.errors import UsageError

_LEAST_FOUND: Final = 0.5
"""A file in which less than this share of a clip's notes is found again is of something else, or not in time."""

_FEW: Final = 8
"""With fewer notes that cannot be told."""


@dataclass(frozen=True)
class Imported:
    """What came of reading a file.

    Attributes
    ----------
    corrections : tuple of Correction
        Of the sheets in which something changed, and of all sheets of the file where that was asked for.
    edits : mapping of str to tuple of Edit
        By sheet: what was changed in this file, without what was corrected before it went out.
    n_notes, n_same : int
        Notes in the file, and those of them that are as they went out.
    n_unheld : int
        Notes that MIDI could not hold, since one of the same pitch and instrument starts with them.
    tempo : str
        ``file`` where its own tempo map counts, ``clip`` where it was read by the map it went out with, since the
        DAW has put another in its place.
    """

    corrections: tuple[Correction, ...]
    edits: Mapping[str, tuple[Edit, ...]]
    n_notes: int
    n_same: int
    n_unheld: int
    tempo: str


def import_midi(
    file: DawFile,
    clip: ClipNotes,
    corrections: Corrections,
    *,
    by: str,
    at: str,
    reason: Reason,
    sheet: int | None = None,
    checked: bool = False,
    reviewer: bool = False,
    anyway: bool = False,
) -> Imported:
    """What a person changed in an exported file, as corrections of its sheets; nothing is kept yet.

    Parameters
    ----------
    file : DawFile
        As `daw_files.read` gives it.
    clip : ClipNotes
    corrections : Corrections
        Those of the clip.
    by, at, reason, reviewer
        As for `Correction`.
    sheet : int, optional
        Of a file that does not say so: that it is only of this sheet.
    checked : bool, optional
        Whether they vouch for the sheets that they left as they were, too.
    anyway : bool, optional
        Take a file that does not say what it is of, or that went out before the notes were made again: what differs
        from the notes as they are now counts as changed. Or one that says what it is of and holds few of its notes.

    Raises
    ------
    UsageError
        If the file is of another clip or of notes that are no more, has too few of the clip's notes, or has notes
        outside of the clip or of its sheet.
    """
    stamp = stamp_of(file)
    out = _went_out(stamp, clip, corrections, sheet, anyway=anyway)
    now = _in_time(file, out, stamp)
    before = {key: row_of(note, out.tempo) for key, note in out.notes.items()}
    keys = dict(enumerate(sorted(before)))
    found = matched({place: before[key] for place, key in keys.items()}, now.notes, now.slack)
    known = {keys[place]: row for place, row in found.items() if place >= 0}
    if len(before) >= _FEW and len(known) < _LEAST_FOUND * len(before) and (not anyway or stamp is None):
        raise UsageError(
            f"only {len(known)} of the {len(before)} notes of {clip.clip_id} are in the file. Is it of another clip or "
            "sheet, or does its music not begin at the beginning, as it went out?"
            + ("" if stamp is None else " If all is as it should be: --anyway")
        )
    left = {key: _as_left(before[key], _shown(out, key), row, now.slack) for key, row in known.items()}
    same = {key for key, row in left.items() if row.seen == _shown(out, key).seen}
    # Who changed a note changed those that went out as the same one, too: they have heard them as one.
    left |= {key: _shown(out, key) for key, there in out.unheld.items() if there in same}
    added = [row for place, row in found.items() if place < 0]
    lists = _by_sheet(left, added, out, clip)
    made, changed = [], {}
    for number, part in out.parts.items():
        after = revised(part.layered, lists[number], reason)
        if checked or after != part.layered:
            name, shown = part.sheet.sheet_id, part.layered
            made.append(Correction(name, by, at, reason, TOOL, shown.said, after, reviewer=reviewer))
            earlier = edits(shown)
            changed[name] = tuple(edit for edit in edits(after) if edit not in earlier)
    return Imported(tuple(made), changed, len(now.notes), len(same), len(out.unheld), now.by)


def _went_out(
    stamp: Stamp | None, clip: ClipNotes, corrections: Corrections, sheet: int | None, *, anyway: bool
) -> Out:
    """What the file held when it went out, corrections of that time included."""
    if stamp is None:
        if not anyway:
            raise UsageError(
                "the file does not say which clip it is of: the DAW has dropped that. If you are sure that it is of "
                f"{clip.clip_id}: --clip {clip.clip_id} --anyway"
            )
        return outgoing(clip, corrections, sheet)
    if stamp.clip != clip.clip_id:
        raise UsageError(
            f"the file is of clip {stamp.clip}, not of {clip.clip_id}: --clip {stamp.clip}, or no --clip"
        )
    for then in (corrections, *corrections.earlier()):
        out = outgoing(clip, then, stamp.sheet)
        if out.stamp(clip.clip_id, stamp.sheet).shown == stamp.shown:
            return out
    if not anyway:
        raise UsageError(
            f"the machine's notes of {clip.clip_id} have been made again since the file went out, so what you changed "
            "cannot be told from what the machine did. Export it again and repeat your changes, or, to count whatever "
            "differs from the notes as they are now as yours: --anyway"
        )
    return outgoing(clip, corrections, stamp.sheet)


@dataclass(frozen=True)
class _Read:
    """A file's notes in the clip's time, by some tempo map, and how many samples its ticks are long at most."""

    notes: list[Row]
    slack: int
    by: str

    def shared(self, before: Iterable[Row]) -> int:
        """How many notes that went out are where they were."""
        onsets: dict[tuple[int, str], list[int]] = defaultdict(list)
        for row in self.notes:
            onsets[row.pitch, row.instrument].append(row.span[0])
        for each in onsets.values():
            each.sort()
        count = 0
        for row in before:
            there, onset = onsets[row.pitch, row.instrument], row.span[0]
            place = bisect_left(there, onset - self.slack)
            count += place < len(there) and there[place] <= onset + self.slack
        return count


def _in_time(file: DawFile, out: Out, stamp: Stamp | None) -> _Read:
    """When the file's notes are.

    DAWs may replace the tempo map by their own, and then either keep where notes lie among the beats, or where they
    lie in time. So both are tried, its own map and the one it went out with, and the one with which more notes are
    where they were counts; its own if they are as many.
    """
    own = _read(file, file.tempo, 1.0, "file")
    if stamp is not None and stamp.tempo != tempo_digest(out.tempo):
        # The beats have been made again since, and with them what rounded the times that went out.
        return replace(own, slack=own.slack + math.ceil(out.tempo.longest_tick_s * clock.SAMPLE_RATE_HZ))
    given = _read(file, out.tempo, out.tempo.ticks_per_quarter / file.tempo.ticks_per_quarter, "clip")
    before = [row_of(note, out.tempo) for note in out.notes.values()]
    return given if given.shared(before) > own.shared(before) else own


def _read(file: DawFile, tempo: TempoMap, scale: float, by: str) -> _Read:
    """By a map that has ``scale`` ticks for each of the file's."""
    slack = math.ceil(tempo.longest_tick_s * scale * clock.SAMPLE_RATE_HZ) + 1
    return _Read([row_of(note, tempo, scale) for note in file.notes], slack, by)


def _shown(out: Out, key: Key) -> Row:
    return out.parts[key[0]].layered.final[key[1]]


def _as_left(went_out: Row, shown: Row, came_back: Row, slack: int) -> Row:
    """A note that was shown, with what was changed between its going out and coming back."""
    back = untouched(went_out, came_back, slack)
    (onset, offset), (then_onset, then_offset), (now_onset, now_offset) = shown.span, went_out.span, back.span
    onset_now = onset if now_onset == then_onset else now_onset
    if now_offset - now_onset == then_offset - then_onset:
        offset_now = onset_now + offset - onset
    else:
        offset_now = offset if now_offset == then_offset else now_offset
    left = shown._replace(
        onset_s=clock.sample_to_seconds(onset_now),
        offset_s=clock.sample_to_seconds(offset_now),
        pitch=back.pitch,
        velocity=back.velocity,
    )
    if back.instrument != went_out.instrument:
        left = left._replace(program=back.program, is_drum=back.is_drum)
    return left


def _by_sheet(
    left: Mapping[Key, Row], added: Iterable[Row], out: Out, clip: ClipNotes
) -> dict[int, dict[int, Row]]:
    """All notes by sheet and number, cut at the clip's end; added ones have negative numbers."""
    end_s = clock.frame_time_s(clip.n_frames)
    found: dict[int, dict[int, Row]] = {number: {} for number in out.parts}
    for (number, note), row in left.items():
        found[number][note] = _inside(row, end_s, clip.clip_id)
    for place, row in enumerate(added, 1):
        number = int(sheet_numbers(row.onset_s))
        cut = _inside(row, end_s, clip.clip_id)
        if number not in found:
            raise UsageError(
                f"{row.told()} was added outside of the sheet that the file is of ({', '.join(_names(out))}): "
                "export the whole clip to work there"
            )
        found[number][-place] = cut
    return found


def _inside(row: Row, end_s: float, clip_id: str) -> Row:
    if row.onset_s >= end_s:
        raise UsageError(f"{row.told()} starts after the end of {clip_id} ({end_s:g} s): move or delete it")
    return row._replace(offset_s=min(row.offset_s, end_s))


def _names(out: Out) -> list[str]:
    return [part.sheet.sheet_id for part in out.parts.values()]
