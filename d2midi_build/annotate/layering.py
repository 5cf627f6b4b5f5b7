"""The notes of a sheet in three layers, each note with a number that it keeps from layer to layer.

``machine`` is as transcribed, ``heard`` what the recording says, ``final`` also fits the dance and pleases. The
machine's notes of a sheet are numbered from 0 in canonical order; together with the digest of all of them that
names a note for good. A note that people add gets the next free number. What happened to a note is then a
comparison of its rows in two layers.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress
from operator import le
from sys import intern
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from d2midi_build import clock
from d2midi_build.digests import sha256_data
from d2midi_build.music.instruments import instrument_of
from d2midi_build.music.notes import Notes

LayerName = Literal["machine", "heard", "final"]

LAYERS: Final[tuple[LayerName, ...]] = get_args(LayerName)
"""In the order in which one is made from the other."""

Reason = Literal["heard", "aligned", "pleasant"]
"""Why a note was changed: the recording says so, the dance asks for it, or it pleases more."""

REASONS: Final[tuple[Reason, ...]] = get_args(Reason)

Kind = Literal["added", "deleted", "moved", "resized", "pitch", "instrument", "velocity"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_TYPES: Final[dict[str, set[type]]] = {
    "number": {int},
    "layers": {int},
    "onset_s": {float, int},
    "offset_s": {float, int},
    "pitch": {int},
    "velocity": {int},
    "program": {int},
    "is_drum": {bool},
    "p_note": {float, int},
    "p_instrument": {float, int},
    "origin": {str},
}
"""What each column of `encode` may hold."""


class Row(NamedTuple):
    """One note; the columns of `Notes` but ``instrument``, which its program says."""

    onset_s: float
    offset_s: float
    pitch: int
    velocity: int
    program: int
    is_drum: bool
    p_note: float
    p_instrument: float
    origin: str

    @property
    def instrument(self) -> str:
        """One of the 13 names."""
        return instrument_of(self.program, self.is_drum).name

    @property
    def span(self) -> tuple[int, int]:
        """Onset and offset as samples of the one clock."""
        return clock.seconds_to_sample(self.onset_s), clock.seconds_to_sample(self.offset_s)

    @property
    def seen(self) -> tuple[int, int, int, int, str]:
        """What a person sees and hears of it: onset and offset in samples, pitch, velocity, instrument."""
        return (*self.span, self.pitch, self.velocity, self.instrument)

    def snapped(self) -> Row:
        """With its times on the sample grid of the one clock, to the bit."""
        onset_s, offset_s = map(clock.sample_to_seconds, self.span)
        return self._replace(onset_s=onset_s, offset_s=offset_s)

    def told(self) -> str:
        """In words."""
        return f"{self.instrument} {self.pitch} at {self.onset_s:.3f} s"


Layer: TypeAlias = Mapping[int, Row]
"""Notes by their number."""


@dataclass(frozen=True)
class Layered:
    """The notes of a sheet in all layers.

    Attributes
    ----------
    machine, heard, final : mapping of int to Row
        A number stands for one note in all three, wherever it is.
    reasons : mapping
        By number and kind of edit: why ``final`` differs there from ``heard``, ``aligned`` or ``pleasant``.
    """

    machine: Layer
    heard: Layer
    final: Layer
    reasons: Mapping[tuple[int, Kind], Reason] = field(default_factory=dict)

    @classmethod
    def untouched(cls, machine: Notes) -> Layered:
        """The machine's notes of a sheet, which nobody has changed."""
        layer = dict(enumerate(rows(machine.sorted())))
        return cls(layer, layer, layer)

    def layer(self, name: LayerName) -> Layer:
        """One of the three."""
        found: Layer = getattr(self, name)
        return found

    @property
    def next_number(self) -> int:
        """The first number that no note has had here."""
        return 1 + max((number for name in LAYERS for number in self.layer(name)), default=-1)

    @cached_property
    def said(self) -> str:
        """Digest of what people left: layers heard and final."""
        return sha256_data([_seen(self.heard.values()), _seen(self.final.values())])

    @cached_property
    def transcribed(self) -> str:
        """Digest of what the machine said: `digest` of its notes."""
        return sha256_data(_seen(self.machine.values()))


def rows(notes: Notes) -> list[Row]:
    """Notes as rows, in their order."""
    columns = [getattr(notes, name).tolist() for name in Row._fields]
    return [Row(*row) for row in zip(*columns, strict=True)]


def notes_of(found: Iterable[Row]) -> Notes:
    """Rows as notes, in their order.

    Raises
    ------
    ValueError
        If a value is outside its range, as `Notes`.
    """
    found = list(found)
    if not found:
        return Notes.empty()
    columns: dict[str, Any] = dict(zip(Row._fields, map(np.array, zip(*found, strict=True)), strict=True))
    return Notes(**columns, instrument=np.array([row.instrument for row in found]))


def digest(notes: Notes) -> str:
    """SHA-256 of what people see of notes, in any order: not of how sure the machine was of them."""
    return sha256_data(_seen(rows(notes)))


def _seen(found: Iterable[Row]) -> list[tuple[Any, ...]]:
    return sorted((*row.seen, row.program) for row in found)


def encode(layered: Layered) -> dict[str, Any]:
    """As plain data for JSON: columns of notes, a row for notes that are equal in several layers."""
    where: dict[tuple[int, Row], int] = {}
    for bit, name in enumerate(LAYERS):
        for number, row in layered.layer(name).items():
            where[number, row] = where.get((number, row), 0) | 1 << bit
    ordered = sorted(where)
    return {
        "number": [number for number, _ in ordered],
        "layers": [where[each] for each in ordered],
        **{name: [getattr(row, name) for _, row in ordered] for name in Row._fields},
        "reasons": [[number, kind, reason] for (number, kind), reason in sorted(layered.reasons.items())],
    }


def decode(data: Mapping[str, Any]) -> Layered:
    """From what `encode` made.

    Raises
    ------
    ValueError
        If it is damaged, or holds what cannot be notes.
    """
    try:
        columns = _columns(data)
        layers: tuple[dict[int, Row], ...] = tuple({} for _ in LAYERS)
        found = list(map(Row, *(columns[name] for name in Row._fields)))
        for number, bits, row in zip(columns["number"], columns["layers"], found, strict=True):
            for bit, layer in enumerate(layers):
                if bits >> bit & 1:
                    if number in layer:
                        raise ValueError(f"note {number} twice in layer {LAYERS[bit]}")
                    layer[number] = row
        reasons = {(number, kind): reason for number, kind, reason in data["reasons"]}
        if wrong := [each for each in reasons if each[1] not in KINDS] + [
            *({*reasons.values()} - {*REASONS})
        ]:
            raise ValueError(f"unknown kinds of edits or reasons: {wrong}")
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    machine, heard, final = layers
    return Layered(machine, heard, final, reasons)


def _columns(data: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The columns of `encode`, each value of its type and within the range that `Notes` demands.

    Arrays are not made: that is what reading thousands of corrections spent most of its time on.
    """
    columns: dict[str, list[Any]] = {name: data[name] for name in _TYPES}
    for name, column in columns.items():
        if not isinstance(column, list) or len(column) != len(columns["number"]):
            raise ValueError(f"{name} is no column of as many values as there are numbers")
        if wrong := {*map(type, column)} - _TYPES[name]:
            raise ValueError(f"{name} holds {', '.join(sorted(each.__name__ for each in wrong))}")
    if not columns["number"]:
        return columns
    for name, least in (("pitch", 0), ("velocity", 1), ("program", 0)):
        low, high = min(columns[name]), max(columns[name])
        if low < least or high > 127:
            raise ValueError(f"{name} goes from {low} to {high}, allowed is {least}-127")
    for name in ("onset_s", "offset_s"):
        columns[name] = list(map(float, columns[name]))
        if not math.isfinite(sum(columns[name])):
            raise ValueError(f"{name} must be finite")
    if min(columns["onset_s"]) < 0 or not all(map(le, columns["onset_s"], columns["offset_s"])):
        raise ValueError("a note must start at 0 s or later and must not end before it starts")
    for name in ("p_note", "p_instrument"):
        if not all(0 <= p <= 1 for p in columns[name]):
            raise ValueError(f"{name} must be within 0-1")
        columns[name] = array("f", columns[name]).tolist()  # single precision, as `Notes` has it
    if any(compress(columns["program"], columns["is_drum"])):
        raise ValueError("drums have program 0")
    columns["origin"] = list(map(intern, columns["origin"]))
    return columns
