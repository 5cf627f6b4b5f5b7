"""How far correction has come: what is corrected, disputed, out of date, and what looks like a slip."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from d2midi_build.annotate.clips import lengths, read_clip
from d2midi_build.annotate.corrections import Correction, Corrections, path_in
from d2midi_build.annotate.edits import counts, edits
from d2midi_build.annotate.layering import KINDS, REASONS, Kind, Reason
from d2midi_build.annotate.layers import sheeted
from d2midi_build.annotate.sheets import Sheet, clip_of_sheet, sheets
from d2midi_build.annotate.suspicions import Suspicion, suspicions
from d2midi_build.workspace import Workspace


@dataclass(frozen=True)
class Summary:
    """The corrections of a workspace.

    Attributes
    ----------
    n_sheets : int
        Of all clips with notes.
    corrected, stale, carried : tuple of str
        Sheets in which a correction counts; those of them whose machine's notes have changed since; those that were
        carried over from another clip.
    conflicts : tuple of str
        Disputes that nobody has settled, in words.
    overruled : tuple of (str, str)
        Sheets and people whose correction a reviewer's has overruled.
    lost : tuple of str
        Corrected sheets that the workspace has no more; their corrections are kept.
    edits : Counter
        Edits that count, by kind and reason.
    people : Counter
        Sheets whose correction that counts is theirs.
    suspicions : tuple of (str, Suspicion)
        By sheet.
    """

    n_sheets: int
    corrected: tuple[str, ...]
    stale: tuple[str, ...]
    carried: tuple[str, ...]
    conflicts: tuple[str, ...]
    overruled: tuple[tuple[str, str], ...]
    lost: tuple[str, ...]
    edits: Counter[tuple[Kind, Reason]]
    people: Counter[str]
    suspicions: tuple[tuple[str, Suspicion], ...]

    def data(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "sheets": self.n_sheets,
            "corrected": list(self.corrected),
            "stale": list(self.stale),
            "carried": list(self.carried),
            "conflicts": list(self.conflicts),
            "overruled": [{"sheet": sheet, "by": by} for sheet, by in self.overruled],
            "lost": list(self.lost),
            "edits": edits_data(self.edits),
            "people": dict(sorted(self.people.items())),
            "suspicions": [suspicion_data(sheet, each) for sheet, each in self.suspicions],
        }


def edits_data(found: Counter[tuple[Kind, Reason]]) -> dict[str, dict[str, int]]:
    """Numbers of edits by kind and reason, those that there are, in the order of kinds and reasons."""
    return {
        kind: {reason: found[kind, reason] for reason in REASONS if found[kind, reason]}
        for kind in KINDS
        if any(found[kind, reason] for reason in REASONS)
    }


def suspicion_data(sheet_id: str, found: Suspicion) -> dict[str, Any]:
    """As plain data for JSON."""
    return {"sheet": sheet_id, "kind": found.kind, "note": found.number, "message": found.message}


def suspicious(correction: Correction, n_frames: int) -> list[Suspicion]:
    """What looks like slips in a correction of a clip of ``n_frames`` frames."""
    sheet = _sheets(correction.sheet_id, n_frames).get(correction.sheet_id)
    return suspicions(correction.layered, sheet) if sheet else []


def summary(workspace: Workspace) -> Summary:
    """How far the correction of a workspace has come.

    Raises
    ------
    D2midiError
        If a table or the file of corrections cannot be read.
    """
    corrections, frames = Corrections.read(path_in(workspace)), lengths(workspace)
    by_clip: dict[str, list[str]] = defaultdict(list)
    for sheet_id in corrections.sheet_ids():
        by_clip[clip_of_sheet(sheet_id)[0]].append(sheet_id)
    corrected, stale, carried, conflicts, lost = [], [], [], [], []
    overruled: list[tuple[str, str]] = []
    made: Counter[tuple[Kind, Reason]] = Counter()
    people: Counter[str] = Counter()
    slips: list[tuple[str, Suspicion]] = []
    for clip_id, sheet_ids in sorted(by_clip.items()):
        if clip_id not in frames:
            lost += sheet_ids
            continue
        found = {each.sheet.sheet_id: each for each in sheeted(read_clip(workspace, clip_id), corrections)}
        lost += [sheet_id for sheet_id in sheet_ids if sheet_id not in found]
        for sheet_id, each in found.items():
            applied = each.standing.applied
            if each.standing.conflict:
                conflicts.append(each.standing.told())
            if applied is None:
                continue
            corrected.append(sheet_id)
            people[applied.by] += 1
            made += counts(edits(applied.layered))
            slips += [(sheet_id, slip) for slip in suspicions(applied.layered, each.sheet)]
            overruled += [(sheet_id, other.by) for other in each.standing.others]
            if each.stale:
                stale.append(sheet_id)
            if applied.carried_from:
                carried.append(sheet_id)
    return Summary(
        sum(len(sheets(clip_id, n)) for clip_id, n in frames.items()),
        tuple(corrected),
        tuple(stale),
        tuple(carried),
        tuple(conflicts),
        tuple(overruled),
        tuple(lost),
        made,
        people,
        tuple(slips),
    )


def _sheets(sheet_id: str, n_frames: int) -> dict[str, Sheet]:
    return {sheet.sheet_id: sheet for sheet in sheets(clip_of_sheet(sheet_id)[0], n_frames)}
