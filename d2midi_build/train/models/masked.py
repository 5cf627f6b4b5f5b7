"""A masked model of quads: from the notes around it to what is masked of a note (BERTGen of Dance2MIDI, section 4.4,
made small)."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from d2midi_build.train.tokens.vocabulary import STEPS_PER_BAR, VOCABULARY

ATTRIBUTES: Final = ("event", "duration", "track", "instrument")

N_PLACES: Final = 2 * STEPS_PER_BAR + 3
"""Values of `Tokens.rel_pos`: 0 to 66."""


class MaskedQuads(nn.Module):
    """An encoder of quads, and a head for each attribute.

    A quad is the sum of what its four ids, its place in its measure and its measure are embedded as. There is no other
    order: notes that start together are a set.

    Parameters
    ----------
    n_bars : int
        Most measures of a sequence.
    width : int, optional
        Default is 64.
    layers, heads : int, optional
        Defaults are 2 and 4.
    dropout : float, optional
        Default is 0.1.
    """

    def __init__(
        self, n_bars: int, width: int = 64, layers: int = 2, heads: int = 4, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.ids = nn.ModuleList(nn.Embedding(size, width) for size in VOCABULARY.sizes)
        self.place = nn.Embedding(N_PLACES, width)
        self.measure = nn.Embedding(n_bars, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        # Nested tensors do not go with norms that come first, and torch warns of it.
        self.encoder = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.told = nn.ModuleList(nn.Linear(width, size) for size in VOCABULARY.sizes)
        for each in (*self.ids, self.place, self.measure):
            nn.init.normal_(each.weight, std=0.02 * width**0.5)

    def forward(
        self, quads: torch.Tensor, place: torch.Tensor, measure: torch.Tensor, absent: torch.Tensor
    ) -> torch.Tensor:
        """What is known of each quad, shape (batch, n, width).

        Parameters
        ----------
        quads : Tensor, shape (batch, n, 4), int64
            Some ids of them MASK.
        place : Tensor, shape (batch, n), int64
            Of each quad in its measure (`Tokens.rel_pos`).
        measure : Tensor, shape (batch, n), int64
            Of each quad in the sequence, from 0.
        absent : Tensor, shape (batch, n), bool
            Where a sequence is shorter than the longest of the batch.
        """
        hidden = self.place(place) + self.measure(measure)
        for attribute, embedding in enumerate(self.ids):
            hidden = hidden + embedding(quads[..., attribute])
        found: torch.Tensor = self.encoder(hidden, src_key_padding_mask=absent)
        return found

    def logits(self, known: torch.Tensor, attribute: int) -> torch.Tensor:
        """Of one attribute, shape (k, size of its table), of k rows of what `forward` answers."""
        found: torch.Tensor = self.told[attribute](known)
        return found
