"""Learning music by guessing what is masked of it: crops of two measures, for the trainer.

Of a crop one attribute is masked, event, duration, track or instrument, in 15 % of the notes of each of its measures:
of those 80 % become MASK, 10 % any value, 10 % stay as they are (Devlin et al., 2019, and Dance2MIDI, section 4.4,
which masks one type of attribute across different measures and does not say how many).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import cross_entropy

from d2midi_build import clock
from d2midi_build.train.gate.heard import Heard
from d2midi_build.train.models.masked import ATTRIBUTES, MaskedQuads
from d2midi_build.train.tokens.grid import MAX_BARS, bars_of
from d2midi_build.train.tokens.order import KINDS, NOTE
from d2midi_build.train.tokens.quad import encode
from d2midi_build.train.tokens.vocabulary import (
    FIRST_DURATION,
    FIRST_INSTRUMENT,
    FIRST_PITCH,
    FIRST_TRACK,
    FRAMES_PER_BAR,
    MASK,
    MEASURE,
    VOCABULARY,
)

IntArray = npt.NDArray[np.int64]

BARS: Final = 2
"""Nominal measures of a crop: 4 s."""

MOST_QUADS: Final = 256
"""Of a crop; what comes after is cut off."""

RATE: Final = 0.15
_TO_MASK, _TO_ANY = 0.8, 0.1

VALUES: Final = (
    range(FIRST_PITCH, MEASURE),
    range(FIRST_DURATION + 1, VOCABULARY.sizes[1]),
    range(FIRST_TRACK, VOCABULARY.sizes[2]),
    range(FIRST_INSTRUMENT, VOCABULARY.sizes[3]),
)
"""Ids that notes have, by attribute."""


@dataclass(frozen=True, eq=False)
class Crop:
    """Two measures of a clip.

    Attributes
    ----------
    quads : np.ndarray, shape (n, 4), int64
    place, measure : np.ndarray, shape (n,), int64
        `Tokens.rel_pos`, and the measure in the crop.
    notes : np.ndarray, shape (n_notes,), int64
        Which quads are notes; at least one is.
    """

    quads: IntArray
    place: IntArray
    measure: IntArray
    notes: IntArray


@dataclass(frozen=True, eq=False)
class Masked:
    """A crop with one attribute masked in some notes.

    Attributes
    ----------
    crop : Crop
    attribute : int
        Its number in `ATTRIBUTES`.
    at : np.ndarray, shape (n_masked,), int64
        Which quads; at least one.
    given : np.ndarray, shape (n_masked,), int64
        What the model sees instead.
    """

    crop: Crop
    attribute: int
    at: IntArray
    given: IntArray

    @property
    def wanted(self) -> IntArray:
        """What is masked, shape (n_masked,)."""
        wanted: IntArray = self.crop.quads[self.at, self.attribute]
        return wanted


def crops(clip: Heard) -> list[Crop]:
    """Every two measures of a clip that have notes, one after the other; a last measure alone is left out."""
    n_bars = min(bars_of(clip.n_frames), MAX_BARS)
    ends_s = n_bars * FRAMES_PER_BAR / clock.FPS
    tokens = encode(clip.notes.starting_in(0.0, ends_s).as_dataset(), n_bars)
    found = []
    for first in range(0, clip.n_frames // FRAMES_PER_BAR - BARS + 1, BARS):
        inside = np.flatnonzero((tokens.measure >= first) & (tokens.measure < first + BARS))[:MOST_QUADS]
        quads = tokens.quads[inside].astype(np.int64)
        notes = np.flatnonzero(KINDS[quads[:, 0]] == NOTE)
        if len(notes):
            place, measure = tokens.rel_pos[inside], tokens.measure[inside] - first
            found.append(Crop(quads, place.astype(np.int64), measure.astype(np.int64), notes))
    return found


def drawn(crop: Crop, rng: np.random.Generator) -> IntArray:
    """Notes to mask: of each measure 15 %, rounded, at least one."""
    measure = crop.measure[crop.notes]
    chosen = [
        rng.permutation(mine)[: max(round(RATE * len(mine)), 1)]
        for mine in (crop.notes[measure == bar] for bar in range(BARS))
        if len(mine)
    ]
    return np.sort(np.concatenate(chosen))


def masked(crop: Crop, attribute: int, rng: np.random.Generator) -> Masked:
    """One attribute of some notes is MASK: what a model is judged by."""
    at = drawn(crop, rng)
    return Masked(crop, attribute, at, np.full(len(at), MASK))


def blurred(crop: Crop, attribute: int, rng: np.random.Generator) -> Masked:
    """One attribute of some notes is MASK, any value or as it was: what a model learns from."""
    at = drawn(crop, rng)
    values = VALUES[attribute]
    how = rng.random(len(at))
    kept_or_any = np.where(
        how < _TO_MASK + _TO_ANY,
        rng.integers(values.start, values.stop, len(at)),
        crop.quads[at, attribute],
    )
    return Masked(crop, attribute, at, np.where(how < _TO_MASK, MASK, kept_or_any))


class Blurred:
    """Crops, masked anew each time."""

    def __init__(self, given: Sequence[Crop]) -> None:
        self.crops = given

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: int, /) -> Masked:
        # The trainer has seeded torch by the example's place in the run.
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        return blurred(self.crops[index], int(rng.integers(len(ATTRIBUTES))), rng)


class QuadTask:
    """A masked model and the crops it learns from.

    Parameters
    ----------
    given : sequence of Crop
    seed : int
        Of the weights it begins with.
    """

    def __init__(self, given: Sequence[Crop], seed: int) -> None:
        self.dataset = Blurred(given)
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.model = MaskedQuads(BARS)
        self.about: dict[str, Any] = {"model": "masked quads", "data": _digest(given)}

    def collate(self, examples: Sequence[Masked]) -> dict[str, torch.Tensor]:
        """Quads (batch, n, 4), places, measures and absence (batch, n); of what is masked, all of shape (k,), the row
        among batch x n, the attribute and the id that is wanted."""
        longest = max(len(each.crop.quads) for each in examples)
        quads = np.zeros((len(examples), longest, 4), np.int64)
        place, measure = (np.zeros((len(examples), longest), np.int64) for _ in range(2))
        absent = np.ones((len(examples), longest), np.bool_)
        for row, each in enumerate(examples):
            n = len(each.crop.quads)
            quads[row, :n], place[row, :n], measure[row, :n] = (
                each.crop.quads,
                each.crop.place,
                each.crop.measure,
            )
            quads[row, each.at, each.attribute] = each.given
            absent[row, :n] = False
        rows = np.concatenate([row * longest + each.at for row, each in enumerate(examples)])
        attribute = np.concatenate([np.full(len(each.at), each.attribute) for each in examples])
        wanted = np.concatenate([each.wanted for each in examples])
        found = {"quads": quads, "place": place, "measure": measure, "absent": absent}
        found |= {"rows": rows, "attribute": attribute, "wanted": wanted}
        return {name: torch.from_numpy(values) for name, values in found.items()}

    def weight(self, batch: Mapping[str, torch.Tensor]) -> float:
        """Values that are masked."""
        return float(len(batch["rows"]))

    def loss(self, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        """Mean cross entropy, in nats, of the masked values, and of each attribute's."""
        known = self._known(batch)
        sums, losses = [], {}
        for number, name in enumerate(ATTRIBUTES):
            mine = batch["attribute"] == number
            if bool(mine.any()):
                logits = self.model.logits(known[mine], number)
                sums.append(cross_entropy(logits, batch["wanted"][mine], reduction="sum"))
                losses[name] = sums[-1] / mine.sum()
        return torch.stack(sums).sum() / len(batch["rows"]), losses

    def guessed(self, examples: Sequence[Masked]) -> list[npt.NDArray[np.bool_]]:
        """Of each example which masked values the model guesses rightly, by its most likely one."""
        device = next(self.model.parameters()).device
        batch = {name: each.to(device) for name, each in self.collate(examples).items()}
        self.model.eval()
        with torch.no_grad():
            known = self._known(batch)
            right = torch.zeros(len(batch["rows"]), dtype=torch.bool, device=device)
            for number in range(len(ATTRIBUTES)):
                mine = batch["attribute"] == number
                if bool(mine.any()):
                    best = self.model.logits(known[mine], number).argmax(dim=1)
                    right[mine] = best == batch["wanted"][mine]
        ends = np.cumsum([len(each.at) for each in examples])[:-1]
        return np.split(right.cpu().numpy(), ends)

    def _known(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What the model knows of the quads with something masked, shape (k, width)."""
        every = self.model(batch["quads"], batch["place"], batch["measure"], batch["absent"])
        found: torch.Tensor = every.flatten(0, 1)[batch["rows"]]
        return found


def _digest(given: Sequence[Crop]) -> str:
    """What was learned from, so that a folder with a run of something else is not gone on with."""
    digest = hashlib.sha256()
    for crop in given:
        digest.update(np.ascontiguousarray(crop.quads.astype(np.int16)).tobytes() + b"\n")
    return digest.hexdigest()
