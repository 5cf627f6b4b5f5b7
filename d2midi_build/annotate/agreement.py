"""How far people agree who corrected the same sheets, and how fast they work.

Compared are the newest corrections of any two people in a sheet, each layer by itself. Left out are those carried over
from another clip, a reviewer's settlements (they say what somebody else said), and two of which one was made by
somebody who had seen the other: they agree because one followed the other. Of two people the reference is the one whose
name comes first, so that the precision is the share of the other's notes that the first has, too; F1 is the same either
way but where offsets count, since the reference's lengths decide how far an offset may be off.

Both begin with the machine's notes, so notes that neither of them touches agree by themselves, and two who do nothing
agree fully. `Touched` therefore says the same over the other notes alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final

import numpy as np

from d2midi_build import clock
from d2midi_build.annotate.comparing import Compared, Likeness, compared, likeness
from d2midi_build.annotate.corrections import Correction, Corrections, goes_on, person
from d2midi_build.annotate.edits import edits
from d2midi_build.annotate.figures import Figure, Resampling, ratio
from d2midi_build.annotate.layering import Layer, LayerName, Row, notes_of
from d2midi_build.annotate.sheets import clip_of_sheet

PEOPLES: Final[tuple[LayerName, ...]] = ("heard", "final")
"""The layers that people make."""


@dataclass(frozen=True)
class Touched:
    """How far people agree on notes that at least one of the two changed, added or deleted.

    Attributes
    ----------
    n_sheets : int
        Sheets that both corrected from the same machine's notes: of others nobody can say which note is which.
    n_touched, n_notes : mapping of str to int
        By layer, over all pairs: such notes, what each of the two added counted by itself; and these and all others.
        A note that both deleted counts here, but is in no figure: neither of the two versions has it.
    layers : mapping of str to Likeness, or None
        None where nobody touched anything.
    """

    n_sheets: int
    n_touched: Mapping[LayerName, int]
    n_notes: Mapping[LayerName, int]
    layers: Mapping[LayerName, Likeness] | None

    @property
    def lacking(self) -> str:
        """Why nothing can be said; empty if something can."""
        if self.layers is not None:
            return ""
        if not self.n_sheets:
            return "no two people corrected a sheet from the same machine's notes"
        return "nobody changed, added or deleted a note"

    def data(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "sheets": self.n_sheets,
            "notes": {name: {"n": self.n_touched[name], "of": self.n_notes[name]} for name in PEOPLES},
            "layers": None if self.layers is None else _layers_data(self.layers),
        }


@dataclass(frozen=True)
class PairAgreement:
    """Two people; ``layers`` (all notes) and ``touched`` by layer, ``first`` is the reference."""

    first: str
    second: str
    n_sheets: int
    layers: Mapping[LayerName, Likeness]
    touched: Touched


@dataclass(frozen=True)
class Work:
    """What one person did, in all sheets whether others corrected them or not.

    Attributes
    ----------
    by : str
    n_sheets, n_timed : int
        Sheets they corrected; those of them whose time is known.
    seconds_per_sheet, seconds_per_note : Figure
        Over sheets whose time is known; per note that the machine heard or they left.
    edits_per_sheet : Figure
        Edits from the machine's notes to theirs, those of others that they went on from included.
    """

    by: str
    n_sheets: int
    n_timed: int
    seconds_per_sheet: Figure
    seconds_per_note: Figure
    edits_per_sheet: Figure

    def data(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "by": self.by,
            "sheets": self.n_sheets,
            "timed": self.n_timed,
            "seconds_per_sheet": self.seconds_per_sheet.data(),
            "seconds_per_note": self.seconds_per_note.data(),
            "edits_per_sheet": self.edits_per_sheet.data(),
        }


@dataclass(frozen=True)
class Agreement:
    """How far people agree.

    Attributes
    ----------
    n_sheets, n_sources : int
        Sheets that two or more people corrected independently, and the videos they are of.
    layers : mapping of str to Likeness
        Over all pairs and notes; of no use where there is no sheet.
    touched : Touched
        Over notes that at least one of two people touched.
    pairs : tuple of PairAgreement
    people : tuple of Work
    dependent : tuple of (str, str, str)
        Sheets with two people that were not compared, since one had seen the other's.
    """

    n_sheets: int
    n_sources: int
    layers: Mapping[LayerName, Likeness]
    touched: Touched
    pairs: tuple[PairAgreement, ...]
    people: tuple[Work, ...]
    dependent: tuple[tuple[str, str, str], ...]

    def data(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            **self.published(),
            "pairs": [
                {
                    "first": each.first,
                    "second": each.second,
                    "sheets": each.n_sheets,
                    "layers": _layers_data(each.layers),
                    "touched": each.touched.data(),
                }
                for each in self.pairs
            ],
            "people": [each.data() for each in self.people],
            "dependent": [{"sheet": sheet, "first": a, "second": b} for sheet, a, b in self.dependent],
        }

    def published(self) -> dict[str, Any]:
        """What a release says of it: nobody's name."""
        return {
            "sheets": self.n_sheets,
            "sources": self.n_sources,
            "layers": _layers_data(self.layers),
            "touched": self.touched.data(),
        }


@dataclass(frozen=True)
class _Sheet:
    """A sheet as two people left it, by layer: all notes, and those touched with how many there are and of how many.

    Nothing is known of what was touched where they began with different notes of the machine.
    """

    sheet_id: str
    notes: Mapping[LayerName, Compared]
    touched: Mapping[LayerName, Compared] = field(default_factory=dict)
    counts: Mapping[LayerName, tuple[int, int]] = field(default_factory=dict)


def agreement(corrections: Corrections, rng: np.random.Generator) -> Agreement:
    """How far people agree, and how fast they work.

    Parameters
    ----------
    corrections : Corrections
    rng : np.random.Generator
        Draws sources, for intervals.
    """
    found: dict[tuple[str, str], list[_Sheet]] = defaultdict(list)
    dependent, sheet_ids = [], set()
    work: dict[str, list[Correction]] = defaultdict(list)
    for sheet_id in corrections.sheet_ids():
        own = _own(corrections.current(sheet_id))
        seen = _seen(corrections.of(sheet_id))
        for each in own:
            work[person(each.by)].append(each)
        for one, other in combinations(own, 2):
            pair = person(one.by), person(other.by)
            if pair[1] in seen[pair[0]] or pair[0] in seen[pair[1]]:
                dependent.append((sheet_id, one.by, other.by))
                continue
            found[pair].append(_sheet(one, other))
            sheet_ids.add(sheet_id)
    names = {who: lines[-1].by for who, lines in work.items()}
    every = [each for compared_sheets in found.values() for each in compared_sheets]
    return Agreement(
        len(sheet_ids),
        len({source_of(sheet_id) for sheet_id in sheet_ids}),
        _likeness([each.notes for each in every], rng),
        _touched(every, rng),
        tuple(
            PairAgreement(
                names[a],
                names[b],
                len(sheets),
                _likeness([each.notes for each in sheets], rng),
                _touched(sheets, rng),
            )
            for (a, b), sheets in sorted(found.items())
        ),
        tuple(_work(names[who], work[who], rng) for who in sorted(work)),
        tuple(dependent),
    )


def source_of(sheet_id: str) -> str:
    """The video that a sheet is of: sheets of one are alike."""
    return clip_of_sheet(sheet_id)[0].rpartition("_")[0]


def _own(lines: Sequence[Correction]) -> list[Correction]:
    """Those in which people say what they themselves heard, by name."""
    own = [line for line in lines if not line.carried_from and line.tool != "settle"]
    return sorted(own, key=lambda line: person(line.by))


def _seen(lines: Sequence[Correction]) -> dict[str, set[str]]:
    """Whose work each person had before them when they corrected a sheet, at any time and by however many hands."""
    upon: list[set[str]] = []
    found: dict[str, set[str]] = defaultdict(set)
    for place, line in enumerate(lines):
        earlier = [
            (k, each) for k, each in enumerate(lines[:place]) if not each.withdrawn and goes_on(line, each)
        ]
        mine = [(k, each) for k, each in earlier if person(each.by) == person(line.by)]
        of = {who for k, each in mine or earlier for who in {person(each.by), *upon[k]}}
        upon.append(of)
        found[person(line.by)] |= of
    return found


def _sheet(one: Correction, other: Correction) -> _Sheet:
    """Two people's notes of a sheet, as far as it went when the first of them saw it."""
    ends = [each.end_frame for each in (one, other) if each.end_frame is not None]
    end_s = clock.frame_time_s(min(ends)) if len({*ends}) > 1 else np.inf
    source = source_of(one.sheet_id)

    def notes(correction: Correction, name: LayerName) -> Layer:
        rows = correction.layered.layer(name).items()
        return {number: row for number, row in rows if row.onset_s < end_s}

    left = {name: (notes(one, name), notes(other, name)) for name in PEOPLES}
    every = {name: _compared(layers, source) for name, layers in left.items()}
    if one.machine != other.machine:
        return _Sheet(one.sheet_id, every)
    machine = notes(one, "machine")
    found = {name: _only_touched(layers, machine) for name, layers in left.items()}
    return _Sheet(
        one.sheet_id,
        every,
        {name: _compared(layers, source) for name, (layers, _) in found.items()},
        {name: counts for name, (_, counts) in found.items()},
    )


def _only_touched(layers: tuple[Layer, Layer], machine: Layer) -> tuple[tuple[Layer, Layer], tuple[int, int]]:
    """Of two layers what was added, and notes that one of them at least has otherwise than the machine, or not at all.

    Also how many notes that are, and of how many. One that both deleted is among them, but in neither layer.
    """
    kept = {n for n, row in machine.items() if all(_same(layer.get(n), row) for layer in layers)}
    one, other = ({n: row for n, row in layer.items() if n not in kept} for layer in layers)
    n_added = sum(n not in machine for layer in layers for n in layer)
    return (one, other), (len(machine) - len(kept) + n_added, len(machine) + n_added)


def _same(mine: Row | None, row: Row) -> bool:
    return mine == row or (mine is not None and mine.seen == row.seen)


def _compared(layers: tuple[Layer, Layer], source: str) -> Compared:
    reference, estimated = (notes_of(layer.values()) for layer in layers)
    return compared(reference, estimated, source)


def _likeness(
    found: Sequence[Mapping[LayerName, Compared]], rng: np.random.Generator
) -> dict[LayerName, Likeness]:
    return {name: likeness([each[name] for each in found], rng) for name in PEOPLES}


def _touched(sheets: Sequence[_Sheet], rng: np.random.Generator) -> Touched:
    known = [each for each in sheets if each.counts]
    n_touched, n_notes = (
        {name: sum(each.counts[name][place] for each in known) for name in PEOPLES} for place in range(2)
    )
    layers = _likeness([each.touched for each in known], rng) if any(n_touched.values()) else None
    return Touched(len({each.sheet_id for each in known}), n_touched, n_notes, layers)


def _layers_data(layers: Mapping[LayerName, Likeness]) -> dict[str, Any]:
    return {name: alike.data() for name, alike in layers.items()}


def _work(by: str, lines: Sequence[Correction], rng: np.random.Generator) -> Work:
    timed = [line for line in lines if line.lead_s is not None]
    leads = [line.lead_s or 0.0 for line in timed]
    judged = [len({*line.layered.machine, *line.layered.final}) for line in timed]
    of_timed = Resampling([source_of(line.sheet_id) for line in timed], rng)
    of_all = Resampling([source_of(line.sheet_id) for line in lines], rng)
    changed = [(len(edits(line.layered)), 1) for line in lines]
    return Work(
        by,
        len(lines),
        len(timed),
        of_timed.figure(np.array([(lead, 1) for lead in leads]).reshape(-1, 2), ratio),
        of_timed.figure(np.array(list(zip(leads, judged, strict=True))).reshape(-1, 2), ratio),
        of_all.figure(np.array(changed).reshape(-1, 2), ratio),
    )
