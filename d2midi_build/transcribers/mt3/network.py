"""MT3's network for inference: the T5 encoder-decoder of magenta/mt3 (``network.py``, ``layers.py``) in PyTorch.

No biases, no scaling of attention by the heads' size, no masks but the causal one: the encoder and the decoder attend
to a segment's padding as well. Positions are fixed sines and cosines. In half precision, mean squares, positions
and logits are float32, as in T5X; what it does besides, rounding the logits to half precision at the end, would only
make ties, and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from d2midi_build.transcribers.mt3.layers import (
    DecoderLayer,
    EncoderLayer,
    Norm,
    Weights,
    attended_once,
    fill,
    weight,
)
from d2midi_build.transcribers.mt3.presets import Dimensions

_N_POSITIONS: Final = 2_048
_MAX_SCALE: Final = 10_000.0

_ROOM: Final = 64
"""Steps by which the decoder's keys and values grow at a time."""


class Network(nn.Module):
    """Encoder and decoder; `load` has to give it weights before anything else.

    Parameters
    ----------
    dimensions : Dimensions
    device : torch.device or str
    dtype : torch.dtype
        What weights and activations are, except for the kernel of the logits, which stays float32.
    """

    positions: Tensor

    def __init__(
        self,
        dimensions: Dimensions,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        sizes = dimensions
        self.dimensions, self.dtype = dimensions, dtype
        self.projection = weight(sizes.input_depth, sizes.emb_dim)
        encoder = nn.ModuleList(EncoderLayer(sizes) for _ in range(sizes.num_encoder_layers))
        self.encoder = cast("Sequence[EncoderLayer]", encoder)
        self.encoder_norm = Norm(sizes.emb_dim)
        self.embedding = weight(sizes.vocab_size, sizes.emb_dim)
        decoder = nn.ModuleList(DecoderLayer(sizes) for _ in range(sizes.num_decoder_layers))
        self.decoder = cast("Sequence[DecoderLayer]", decoder)
        self.decoder_norm = Norm(sizes.emb_dim)
        self.to(device=device, dtype=dtype)
        self.logits_kernel = weight(sizes.emb_dim, sizes.vocab_size, device=device)
        self.register_buffer("positions", _positions(sizes.emb_dim).to(device), persistent=False)

    @property
    def n_parameters(self) -> int:
        """Number of weights."""
        return sum(each.numel() for each in self.parameters())

    @torch.no_grad()
    def load(self, weights: Weights) -> None:
        """Take over weights.

        Parameters
        ----------
        weights : mapping of str to np.ndarray
            By T5X's names (``"decoder/layers_0/mlp/wo/kernel"``), of the shapes that `dimensions` gives them.
        """
        fill(self.projection, weights, "encoder/continuous_inputs_projection/kernel")
        fill(self.encoder_norm.scale, weights, "encoder/encoder_norm/scale")
        fill(self.embedding, weights, "decoder/token_embedder/embedding")
        fill(self.decoder_norm.scale, weights, "decoder/decoder_norm/scale")
        fill(self.logits_kernel, weights, "decoder/logits_dense/kernel")
        for number, layer in enumerate(self.encoder):
            layer.load(weights, f"encoder/layers_{number}")
        for number, decoder_layer in enumerate(self.decoder):
            decoder_layer.load(weights, f"decoder/layers_{number}")

    @torch.inference_mode()
    def encode(self, logmel: Tensor) -> Tensor:
        """What the decoder attends to.

        Parameters
        ----------
        logmel : Tensor, shape (batch, frames, input_depth)
            Natural logarithms of mel magnitudes, 0 in padding; at most 2,048 frames.

        Returns
        -------
        Tensor, shape (batch, frames, emb_dim), of `dtype`
        """
        x = logmel.to(self.projection) @ self.projection
        x = (x + self.positions[: x.shape[1]]).to(self.dtype)
        for layer in self.encoder:
            x = layer(x)
        normed: Tensor = self.encoder_norm(x)
        return normed

    @torch.inference_mode()
    def logits(self, encoded: Tensor, ids: Tensor) -> Tensor:
        """What the decoder says at every step when it is made to choose given ids; nothing is cached.

        Parameters
        ----------
        encoded : Tensor, shape (batch, frames, emb_dim)
        ids : Tensor, shape (batch, n), int64

        Returns
        -------
        Tensor, shape (batch, n, vocab_size), float32
            At ``[:, i]`` what it says after ``ids[:, :i]``.
        """
        x = self._embedded(pad(ids, (1, 0))[:, :-1], self.positions[: ids.shape[1]])
        for layer in self.decoder:
            x = layer(x, layer.attend_back, partial(layer.attend_across, layer.keys_and_values(encoded)))
        return self._said(x)

    def start(self, encoded: Tensor) -> Steps:
        """Begin decoding a batch of segments; ``encoded`` as `encode` gives it."""
        return Steps(self, encoded)

    def _embedded(self, ids: Tensor, positions: Tensor) -> Tensor:
        return (self.embedding[ids] + positions).to(self.dtype)

    def _said(self, x: Tensor) -> Tensor:
        said: Tensor = self.decoder_norm(x).float() @ self.logits_kernel
        return said


class Steps:
    """Decoding of a batch of segments one id at a time, with the keys and values of past steps kept.

    Memory per segment of the published sizes in float32: 6.3 MB for 256 frames, and 25 kB per step.
    """

    @torch.inference_mode()
    def __init__(self, network: Network, encoded: Tensor) -> None:
        self._network = network
        self._n_rows, self._n_done = len(encoded), 0
        self._encoded = [layer.keys_and_values(encoded).contiguous() for layer in network.decoder]
        self._past = [each.new_empty(*each.shape[:3], 0, each.shape[4]) for each in self._encoded]

    @torch.inference_mode()
    def step(self, ids: Tensor) -> Tensor:
        """What the decoder says next.

        Parameters
        ----------
        ids : Tensor, shape (rows,), int64
            The id each row got in the step before, 0 in the first.

        Returns
        -------
        Tensor, shape (rows, vocab_size), float32
        """
        network = self._network
        if self._n_done == self._past[0].shape[3]:
            self._make_room()
        x = network._embedded(ids, network.positions[self._n_done])
        for number, layer in enumerate(network.decoder):
            x = layer(x, partial(self._attend_back, number), partial(self._attend_across, number))
        self._n_done += 1
        return network._said(x)

    @torch.inference_mode()
    def keep(self, places: npt.NDArray[np.intp]) -> None:
        """Go on with some rows only; those that keep their place cost nothing.

        Parameters
        ----------
        places : np.ndarray, shape (rows left,)
            Which row of now is to stand at each place.
        """
        moved = np.flatnonzero(places != np.arange(len(places)))
        if len(moved):
            for cache in (*self._encoded, *self._past):
                cache[:, moved] = cache[:, places[moved]]
        self._n_rows = len(places)

    def _make_room(self) -> None:
        for number, past in enumerate(self._past):  # one layer after the other: never all of it twice
            parts, _, n_heads, n_steps, head_dim = past.shape
            roomier = past.new_empty(parts, self._n_rows, n_heads, n_steps + _ROOM, head_dim)
            roomier[..., :n_steps, :] = past[:, : self._n_rows]
            self._past[number] = roomier

    def _attend_back(self, number: int, queries_keys_values: Tensor) -> Tensor:
        past = self._past[number][:, : self._n_rows]
        n_heads, head_dim = past.shape[2], past.shape[4]
        queries, keys, values = queries_keys_values.view(-1, 3, n_heads, head_dim).unbind(1)
        past[0, :, :, self._n_done] = keys
        past[1, :, :, self._n_done] = values
        return attended_once(queries, past[..., : self._n_done + 1, :])

    def _attend_across(self, number: int, queries: Tensor) -> Tensor:
        return attended_once(queries, self._encoded[number][:, : self._n_rows])


def _positions(emb_dim: int) -> Tensor:
    """Sines, then cosines, of every position; shape (`_N_POSITIONS`, emb_dim), float32."""
    half = emb_dim // 2
    rates = np.exp(np.arange(half) * (-np.log(_MAX_SCALE) / (half - 1)))
    angles = np.arange(_N_POSITIONS)[:, None] * rates
    return torch.from_numpy(np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32))
