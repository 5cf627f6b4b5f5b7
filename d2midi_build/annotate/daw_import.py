"""What people changed in a DAW, read from a file that `daw_export` made and they worked on.

What comes back is compared with what went out, not with what there is now: notes that nobody touched keep their exact
times although DAWs round them to ticks of their own, and what others corrected meanwhile is not undone. A file that
comes back again is compared with what its author left in it the time before: only what is new has the new reason.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np

from d2midi_build import clock
from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.corrections import Correction, Corrections, withdrawal
from d2midi_build.annotate.daw_export import TOOL, Key, Out, Stamp, outgoing, row_of, stamp_of, tempo_digest
from d2midi_build.annotate.daw_files import DawFile
from d2midi_build.annotate.edits import Edit, changes, edits, revised, untouched
from d2midi_build.annotate.layering import Layered, Reason, Row
from d2midi_build.annotate.layers import Sheeted
from d2midi_build.annotate.matching import matched
from d2midi_build.annotate.sheets import sheet_numbers
from d2midi_build.annotate.tempo import TempoMap
from d2midi_build.errors import UsageError

_LEAST_FOUND: Final = 0.5
"""A file in which less than this share of a clip's notes is found again is of something else, or not in time."""

_FEW: Final = 8
"""With fewer notes that cannot be told."""

_MOST_RELABELLED: Final = 0.5
"""Nobody gives more of a clip's notes another instrument and changes nothing else: tracks have lost their names."""

_K = TypeVar("_K")


@dataclass(frozen=True)
class Imported:
    """What came of reading a file.

    Attributes
    ----------
    corrections : tuple of Correction
        Of the sheets in which something changed, and of all sheets of the file where that was asked for.
    again : tuple of str
        Sheets of which the file says what its author's corrections have said before.
    edits : mapping of str to tuple of Edit
        By sheet: what was changed in this file, without what was corrected before it went out or came back.
    undone : mapping of str to int
        By sheet: how many earlier edits were taken back.
    n_notes, n_same : int
        Notes in the file, and those of them that are as they went out.
    n_unheld : int
        Notes that MIDI could not hold, since one of the same pitch and instrument starts with them.
    tempo : str
        ``file`` where its own tempo map counts, ``clip`` where it was read by the map it went out with, since the
        DAW has put another in its place.
    """

    corrections: tuple[Correction, ...]
    again: tuple[str, ...]
    edits: Mapping[str, tuple[Edit, ...]]
    undone: Mapping[str, int]
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
        from the notes as they are now counts as changed. Or one that says what it is of and holds few of its notes or
        most with another instrument, or that is older than its author's newest corrections and replaces them.

    Raises
    ------
    UsageError
        If the file is of another clip or of notes that are no more, has too few of the clip's notes or too many with
        another instrument, has notes outside of the clip or of its sheet, or is older than its author's newest work.
    """
    stamp = stamp_of(file)
    then, out = _went_out(stamp, clip, corrections, sheet, anyway=anyway)
    bases = {number: _base(corrections, part, by) for number, part in out.parts.items()}
    upon = {n: part.layered if (base := bases[n]) is None else base.layered for n, part in out.parts.items()}
    now = _in_time(file, out, stamp)
    went_out = {key: row_of(note, out.tempo) for key, note in out.notes.items()}
    before = _expected(out, upon, went_out)
    keys, slack = dict(enumerate(sorted(before))), now.slack(before)
    places = {key: place for place, key in keys.items()}
    found = matched(
        {place: before[key] for place, key in keys.items()},
        now.notes,
        {places[key]: n for key, n in slack.items()},
    )
    known = {keys[place]: row for place, row in found.items() if place >= 0}
    if len(before) >= _FEW and len(known) < _LEAST_FOUND * len(before) and (not anyway or stamp is None):
        raise UsageError(
            f"only {len(known)} of the {len(before)} notes of {clip.clip_id} are in the file. Is it of another clip or "
            "sheet, or does its music not begin at the beginning, as it went out?"
            + ("" if stamp is None else " If all is as it should be: --anyway")
        )
    left = {key: _as_left(before[key], _row(upon, key), row, slack[key]) for key, row in known.items()}
    for key in (
        left.keys() & went_out.keys()
    ):  # times that were put back are those that went out, to the sample
        first = _as_left(went_out[key], _shown(out, key), known[key], slack[key])
        if left[key].span != _row(upon, key).span and first.span == _shown(out, key).span:
            left[key] = left[key]._replace(onset_s=first.onset_s, offset_s=first.offset_s)
    relabelled = {key for key, row in left.items() if changes(_row(upon, key), row) == ("instrument",)}
    # Drums too, and without them: DAWs know them by their channel, whatever becomes of names.
    for those in (before.keys(), {key for key, row in before.items() if not row.is_drum}):
        count = len(relabelled & those)
        if len(those) >= _FEW and count > _MOST_RELABELLED * len(those) and not anyway:
            raise UsageError(
                f"{count} notes of {clip.clip_id}, most that there are, have another instrument in the file, and "
                "nothing else is new in them: have tracks lost their names? Name them as they went out, or, if "
                "you mean it: --anyway"
            )
    same = {key for key, row in left.items() if row.seen == _row(upon, key).seen}
    as_out = {key for key, row in left.items() if key in went_out and row.seen == _shown(out, key).seen}
    added = _put_back([row for place, row in found.items() if place < 0], out, upon, went_out, now)
    # Who changed a note changed those that went out as the same one, too: they have heard them as one.
    for key, there in out.unheld.items():
        if key[1] not in upon[key[0]].final:
            added += [_shown(out, key)] if there in as_out else []
        elif there in same:
            left[key] = _row(upon, key)
    lists = _by_sheet(left, added, out, clip)
    made = list[Correction]()
    changed, undone = dict[str, tuple[Edit, ...]](), dict[str, int]()
    again: list[str] = []
    older: list[str] = []
    for number, part in out.parts.items():
        name, shown, base = part.sheet.sheet_id, part.layered.said, bases[number]
        after = revised(upon[number], lists[number], reason)
        mine = corrections.since_withdrawal(name, by)
        if after == upon[number] and (not checked if base is None else base.reviewer or not reviewer):
            again += [name] if base is not None else []
            continue
        newer = (
            bool(mine) and mine[-1] is not base and not mine[-1].carried_from and mine[-1] not in then.lines
        )
        if newer and not anyway:
            known_before = any((line.shown, line.said) == (shown, after.said) for line in mine)
            (again if known_before else older).append(name)
            continue
        if (
            base is not None
            and after == part.layered
            and not (checked or reviewer)
            and not then.since_withdrawal(name, by)
        ):
            # All is as it went out, and they had said nothing before: nothing is left that they say.
            made.append(withdrawal(base, at))
            changed[name], undone[name] = (), len({(e.number, e.kind) for e in edits(upon[number])})
            continue
        made.append(
            Correction(
                name, by, at, reason, TOOL, shown, after, reviewer=reviewer, end_frame=part.sheet.end_frame
            )
        )
        earlier, current = edits(upon[number]), edits(after)
        changed[name] = tuple(edit for edit in current if edit not in earlier)
        undone[name] = len({(e.number, e.kind) for e in earlier} - {(e.number, e.kind) for e in current})
    if older:
        raise UsageError(
            f"{by} has corrected {', '.join(older)} since this file went out, from another file, which this one would "
            "replace: export again and repeat there what is new here. If this file is what should count: --anyway"
        )
    return Imported(
        tuple(made), tuple(again), changed, undone, len(now.notes), len(as_out), len(out.unheld), now.by
    )


def _base(corrections: Corrections, part: Sheeted, by: str) -> Correction | None:
    """What the author left in a sheet when a file of the same notes came back before."""
    for line in reversed(corrections.since_withdrawal(part.sheet.sheet_id, by)):
        if (line.shown, line.tool) == (part.layered.said, TOOL) and line.machine == part.layered.transcribed:
            return line
    return None


def _expected(out: Out, upon: Mapping[int, Layered], went_out: Mapping[Key, Row]) -> dict[Key, Row]:
    """What the file holds if nothing is new in it: what went out, changed as it was when it came back before."""
    found = {}
    for number, layered in upon.items():
        for note, row in layered.final.items():
            key = number, note
            if key in went_out:
                found[key] = _as_left(_shown(out, key), went_out[key], row, 0)
            elif key not in out.unheld:
                found[key] = row
    return found


def _put_back(
    added: Iterable[Row], out: Out, upon: Mapping[int, Layered], went_out: Mapping[Key, Row], now: _Read
) -> list[Row]:
    """Added notes; one that is where a deleted one was, but for ticks, with that one's exact times."""
    gone: dict[Key, tuple[Row, Row]] = {}
    for number, layered in upon.items():
        shown = out.parts[number].layered.final
        for note, row in {**layered.machine, **layered.heard, **shown}.items():
            if note not in layered.final:
                gone[number, note] = went_out.get((number, note), row), row
    slack = now.slack({key: there for key, (there, _) in gone.items()})
    there_was: dict[tuple[int, int, str], list[Key]] = defaultdict(list)
    for key, (there, _) in gone.items():
        there_was[there.pitch, there.velocity, there.instrument].append(key)
    found = []
    for row in added:
        own = there_was[row.pitch, row.velocity, row.instrument]
        near = [key for key in own if untouched(gone[key][0], row, slack[key]).span == gone[key][0].span]
        if near:
            own.remove(near[0])
        found.append(gone[near[0]][1] if near else row)
    return found


def _went_out(
    stamp: Stamp | None, clip: ClipNotes, corrections: Corrections, sheet: int | None, *, anyway: bool
) -> tuple[Corrections, Out]:
    """The corrections that there were when the file went out, and what it held then."""
    if stamp is None:
        if not anyway:
            raise UsageError(
                "the file does not say which clip it is of: the DAW has dropped that. If you are sure that it is of "
                f"{clip.clip_id}: --clip {clip.clip_id} --anyway"
            )
        return corrections, outgoing(clip, corrections, sheet)
    if stamp.clip != clip.clip_id:
        raise UsageError(
            f"the file is of clip {stamp.clip}, not of {clip.clip_id}: --clip {stamp.clip}, or no --clip"
        )
    for then in (corrections, *corrections.earlier()):
        out = outgoing(clip, then, stamp.sheet)
        if out.stamp(clip.clip_id, stamp.sheet).shown == stamp.shown:
            return then, out
    if not anyway:
        raise UsageError(
            f"the machine's notes of {clip.clip_id} have been made again since the file went out, so what you changed "
            "cannot be told from what the machine did. Export it again and repeat your changes, or, to count whatever "
            "differs from the notes as they are now as yours: --anyway"
        )
    return corrections, outgoing(clip, corrections, stamp.sheet)


@dataclass(frozen=True)
class _Read:
    """A file's notes in the clip's time, and the tempo maps that rounded them with how many ticks of each one is."""

    notes: list[Row]
    tempi: tuple[tuple[TempoMap, float], ...]
    by: str

    def slack(self, before: Mapping[_K, Row]) -> dict[_K, int]:
        """How many samples apart each note may be and still be where it was: a tick there, and a sample."""
        if not before:
            return {}
        times_s = np.array([(row.onset_s, row.offset_s) for row in before.values()])
        ticks_s = sum(tempo.tick_s(times_s).max(1) * scale for tempo, scale in self.tempi)
        return dict(
            zip(before, (np.ceil(ticks_s * clock.SAMPLE_RATE_HZ) + 1).astype(int).tolist(), strict=True)
        )

    def shared(self, before: Mapping[_K, Row]) -> int:
        """How many notes that went out are where they were."""
        onsets: dict[tuple[int, str], list[int]] = defaultdict(list)
        for row in self.notes:
            onsets[row.pitch, row.instrument].append(row.span[0])
        for each in onsets.values():
            each.sort()
        count, slack = 0, self.slack(before)
        for key, row in before.items():
            there, onset = onsets[row.pitch, row.instrument], row.span[0]
            place = bisect_left(there, onset - slack[key])
            count += place < len(there) and there[place] <= onset + slack[key]
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
        return replace(own, tempi=(*own.tempi, (out.tempo, 1.0)))
    given = _read(file, out.tempo, out.tempo.ticks_per_quarter / file.tempo.ticks_per_quarter, "clip")
    before = {key: row_of(note, out.tempo) for key, note in out.notes.items()}
    return given if given.shared(before) > own.shared(before) else own


def _read(file: DawFile, tempo: TempoMap, scale: float, by: str) -> _Read:
    """By a map that has ``scale`` ticks for each of the file's."""
    return _Read([row_of(note, tempo, scale) for note in file.notes], ((tempo, scale),), by)


def _row(upon: Mapping[int, Layered], key: Key) -> Row:
    return upon[key[0]].final[key[1]]


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
