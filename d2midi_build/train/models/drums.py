"""A small decoder of drums: quads one after another, each knowing the dance about the time at which it stands.

Attention over a whole dance has to learn first which frames belong to a token, which takes more updates than a gate
has. Here that is built in: where a quad stands is known from measures and positions before it, so each sees the dance
around its own time. And the position of the next hit is not one of 32 names but a first event: at each step of the
measure to come there is a hit with a chance h, and position p is where the first one is,

    P(p) = h(p) * product over steps s before p of (1 - h(s)),

with h from how well what was played fits the dance at that step, and from how far the step is from here. The measure
ends where no hit is left (a discrete-time hazard model: Singer and Willett, J. Educ. Stat. 18, 1993).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from d2midi_build import clock
from d2midi_build.train.tokens.grammar import Grammar
from d2midi_build.train.tokens.order import KINDS, NOTE, POSITION
from d2midi_build.train.tokens.vocabulary import (
    EOS,
    FIRST_CHORD,
    FIRST_POSITION,
    MEASURE,
    NEW_TRACK,
    PAD,
    STEPS_PER_BAR,
    STEPS_PER_SECOND,
    VOCABULARY,
)

_EVENTS, _DURATIONS, _TRACKS, _INSTRUMENTS = VOCABULARY.sizes
_KEY: Final = 16
_LONGEST_GAP: Final = STEPS_PER_BAR
_SPREAD: Final = 0.3
"""Standard deviation of embeddings to begin with: four of them are added up."""
_SELDOM: Final = -1.5
"""Logit of a hit to begin with: one step in five or six has one."""
_NEVER: Final = -1e4


@dataclass(frozen=True, eq=False)
class Places:
    """Where quads stand, each of shape (batch, n), int64.

    Attributes
    ----------
    begin : torch.Tensor
        First step of the quad's measure, from the crop's beginning.
    step : torch.Tensor
        In the measure, 0-31; -1 where no position has been named.
    gap : torch.Tensor
        Steps since the position before this one, at most 32; 0 where none is named.
    """

    begin: torch.Tensor
    step: torch.Tensor
    gap: torch.Tensor

    @classmethod
    def of(cls, event: torch.Tensor) -> Places:
        """Places of events, shape (batch, n)."""
        kind = torch.as_tensor(KINDS, device=event.device)[event]
        begin = (((event == MEASURE).cumsum(1) - 1) * STEPS_PER_BAR).clamp(min=0)
        named = kind == POSITION
        order = torch.arange(event.shape[1], device=event.device).expand_as(event)
        opener = torch.where(kind == NOTE, 0, order).cummax(1).values
        step = torch.where(named, event - FIRST_POSITION, -1)
        earlier = torch.where(named, begin + step, -_LONGEST_GAP)
        earlier = functional.pad(earlier, (1, 0), value=-_LONGEST_GAP)[:, :-1].cummax(1).values
        gap = torch.where(named, (begin + step - earlier).clamp(max=_LONGEST_GAP), 0)
        return cls(begin, step.gather(1, opener), gap.gather(1, opener))

    def last(self) -> Places:
        """Those of the last quad of each."""
        return Places(self.begin[:, -1:], self.step[:, -1:], self.gap[:, -1:])


class DrumDecoder(nn.Module):
    """Convolutions over the dance, and a causal Transformer over quads.

    Parameters
    ----------
    n_features : int
        Numbers per frame.
    width : int, optional
        Default is 48: 130,000 weights with 39 features.
    layers : int, optional
        Of the Transformer. Default is 2.
    heads : int, optional
        Default is 4.
    dilations : int, optional
        Convolutions over the dance, the i-th (from 0) dilated by 2^i frames. Default is 4: 0.8 s on each side.
    dropout : float, optional
        Default is 0.1.
    """

    def __init__(
        self,
        n_features: int,
        width: int = 48,
        layers: int = 2,
        heads: int = 4,
        dilations: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.read = nn.Conv1d(n_features, width, 3, padding=1)
        self.wider = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=2**place, dilation=2**place) for place in range(dilations)
        )
        sizes = (_EVENTS, _DURATIONS, STEPS_PER_BAR + 1, _LONGEST_GAP + 1)
        self.event, self.duration, self.step, self.gap = (nn.Embedding(size, width) for size in sizes)
        self.here = nn.Linear(width, width)
        self.layers = nn.ModuleList(_Layer(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.next_event = nn.Linear(width, _EVENTS)
        self.go_on = nn.Linear(width, 1)
        self.asked, self.told = nn.Linear(width, _KEY), nn.Linear(width, _KEY + 1)
        self.ahead = nn.Linear(width, STEPS_PER_BAR)
        self.rest_of = nn.Linear(width, _DURATIONS + _TRACKS + _INSTRUMENTS)
        self.length_of = nn.Embedding(_EVENTS, _DURATIONS)
        for each in (self.event, self.duration, self.step, self.gap):
            nn.init.normal_(each.weight, std=_SPREAD)
        nn.init.constant_(self.ahead.bias, _SELDOM)

    def hear(self, features: torch.Tensor) -> torch.Tensor:
        """What the decoder sees of a dance at each step of 62.5 ms.

        Parameters
        ----------
        features : torch.Tensor, shape (batch, n_frames, n_features)

        Returns
        -------
        torch.Tensor, shape (batch, n_frames * 16 // 20, width)
        """
        hidden = torch.relu(self.read(features.transpose(1, 2)))
        for layer in self.wider:
            hidden = hidden + self.dropout(torch.relu(layer(hidden)))
        hidden = hidden.transpose(1, 2)
        n_frames = features.shape[1]
        frame = torch.arange(n_frames * STEPS_PER_SECOND // clock.FPS, device=features.device)
        frame = frame * (clock.FPS / STEPS_PER_SECOND)
        before = frame.floor().long()
        share = (frame - before)[:, None]
        after = (before + 1).clamp(max=n_frames - 1)
        return hidden[:, before] * (1 - share) + hidden[:, after] * share

    def states(self, dance: torch.Tensor, quads: torch.Tensor, places: Places) -> torch.Tensor:
        """What is known after each quad, shape (batch, n, width).

        Parameters
        ----------
        dance : torch.Tensor
            From `hear`.
        quads : torch.Tensor, shape (batch, n, 4), int64
        places : Places
            Of the quads.
        """
        now = (places.begin + places.step.clamp(min=0)).clamp(max=dance.shape[1] - 1)
        seen = dance.gather(1, now[..., None].expand(-1, -1, dance.shape[2]))
        hidden = self.event(quads[..., 0]) + self.duration(quads[..., 1])
        hidden = hidden + self.step(places.step + 1) + self.gap(places.gap) + self.here(seen)
        hidden = self.dropout(hidden)
        for layer in self.layers:
            hidden = layer(hidden)
        found: torch.Tensor = self.norm(hidden)
        return found

    def events(self, dance: torch.Tensor, state: torch.Tensor, places: Places) -> torch.Tensor:
        """Logits of the event after each state, shape (batch, n, 299)."""
        where, nothing_left = self._hits(dance, state, places)
        logits = self.next_event(state)
        columns = [
            logits[..., :EOS],
            logits[..., EOS : EOS + 1] + nothing_left,
            logits[..., EOS + 1 : MEASURE],
            logits[..., MEASURE:FIRST_POSITION] + nothing_left,
            self.go_on(state) + where,
            logits[..., FIRST_CHORD:NEW_TRACK],
            logits[..., NEW_TRACK:] + nothing_left,
        ]
        return torch.cat(columns, dim=-1)

    def rest(
        self, state: torch.Tensor, event: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits of duration, track and instrument of the next quad, whose event is given, shape (batch, n)."""
        duration, track, instrument = self.rest_of(state).split((_DURATIONS, _TRACKS, _INSTRUMENTS), dim=-1)
        return duration + self.length_of(event), track, instrument

    def losses(self, features: torch.Tensor, quads: torch.Tensor) -> torch.Tensor:
        """Nats of each quad but the first, shape (batch, n - 1): those of its attributes together; of PAD 0.

        Parameters
        ----------
        features : torch.Tensor, shape (batch, n_frames, n_features)
        quads : torch.Tensor, shape (batch, n, 4), int64
            PAD after their ends.
        """
        given, wanted = quads[:, :-1], quads[:, 1:]
        places, dance = Places.of(given[..., 0]), self.hear(features)
        state = self.states(dance, given, places)
        logits = (self.events(dance, state, places), *self.rest(state, wanted[..., 0]))
        each = [
            functional.cross_entropy(
                mine.flatten(0, 1), wanted[..., place].flatten(), ignore_index=PAD, reduction="none"
            )
            for place, mine in enumerate(logits)
        ]
        return torch.stack(each).sum(0).view(wanted.shape[:2])

    def _hits(
        self, dance: torch.Tensor, state: torch.Tensor, places: Places
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log chance that the next hit is at each step of the measure, and that there is none: (batch, n, 32 and 1)."""
        told = self.told(dance)
        fits = self.asked(state) @ told[..., :_KEY].transpose(1, 2) / math.sqrt(_KEY) + told[:, None, :, _KEY]
        steps = torch.arange(STEPS_PER_BAR, device=dance.device)
        fits = fits.gather(2, (places.begin[..., None] + steps).clamp(max=dance.shape[1] - 1))
        further = steps - places.step[..., None] - 1
        logit = fits + self.ahead(state).gather(2, further.clamp(min=0))
        logit = logit.masked_fill(further < 0, _NEVER)
        none_here = functional.logsigmoid(-logit)
        none_until = none_here.cumsum(-1)
        return functional.logsigmoid(logit) + none_until - none_here, none_until[..., -1:]


class _Layer(nn.Module):
    """Causal self-attention and a wider layer, each normalised before and added."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.ask, self.answer = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        batch, n, width = hidden.shape
        asked = self.ask(self.norms[0](hidden)).view(batch, n, 3, self.heads, width // self.heads)
        query, key, value = asked.permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        hidden = hidden + self.dropout(self.answer(found.transpose(1, 2).reshape(batch, n, width)))
        further = self.narrow(torch.relu(self.wide(self.norms[1](hidden))))
        after: torch.Tensor = hidden + self.dropout(further)
        return after


@torch.no_grad()
def sample(
    model: DrumDecoder, features: torch.Tensor, grammars: Sequence[Grammar], rng: np.random.Generator
) -> list[npt.NDArray[np.int16]]:
    """Draw music for dances, attribute by attribute among what a grammar allows.

    Parameters
    ----------
    model : DrumDecoder
        In evaluation mode.
    features : torch.Tensor, shape (batch, n_frames, n_features)
        On the model's device.
    grammars : sequence of Grammar
        A fresh one per dance, each with ``max_quads``, else it may never end; left finished.
    rng : np.random.Generator

    Returns
    -------
    list of np.ndarray, shape (n, 4), int16
        Quads with BOS and EOS.
    """
    dance = model.hear(features)
    found: list[list[list[int]]] = [[] for _ in grammars]
    quads = torch.zeros((len(grammars), 0, 4), dtype=torch.int64, device=dance.device)
    while not all(grammar.finished for grammar in grammars):
        column = _next(model, dance, quads, grammars, rng)
        for grammar, mine, quad in zip(grammars, found, column.tolist(), strict=True):
            if not grammar.finished:
                grammar.push(quad)
                mine.append(quad)
        quads = torch.cat([quads, torch.as_tensor(column, device=dance.device)[:, None]], dim=1)
    return [np.array(mine, np.int16).reshape(-1, 4) for mine in found]


def _next(
    model: DrumDecoder,
    dance: torch.Tensor,
    quads: torch.Tensor,
    grammars: Sequence[Grammar],
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """The next quad of each sequence, shape (batch, 4); PAD for those that are finished."""
    chosen = np.full((len(grammars), 4), PAD, np.int64)
    if not quads.shape[1]:  # BOS is the only beginning
        for place, grammar in enumerate(grammars):
            for attribute in range(4):
                allowed = grammar.allowed_next(*chosen[place, :attribute])
                chosen[place, attribute] = allowed.argmax()
        return chosen
    places = Places.of(quads[..., 0])
    state = model.states(dance, quads, places)[:, -1:]
    logits = [model.events(dance, state, places.last())]
    for attribute in range(4):
        weights = logits[attribute][:, 0].double().cpu().numpy()
        for place, grammar in enumerate(grammars):
            if not grammar.finished:
                allowed = grammar.allowed_next(*chosen[place, :attribute])
                chosen[place, attribute] = _drawn(weights[place], allowed, rng)
        if not attribute:
            event = torch.as_tensor(chosen[:, :1], device=dance.device)
            logits += model.rest(state, event)
    return chosen


def _drawn(logits: npt.NDArray[np.float64], allowed: npt.NDArray[np.bool_], rng: np.random.Generator) -> int:
    """One of what is allowed, by softmax."""
    ids = np.flatnonzero(allowed)
    weights = np.exp(logits[ids] - logits[ids].max())
    return int(rng.choice(ids, p=weights / weights.sum()))
