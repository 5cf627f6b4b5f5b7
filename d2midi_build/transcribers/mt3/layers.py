"""The layers of MT3's network, with weights as T5X names them and of the shapes that T5X gives them.

Kernels that are applied to the same input lie side by side, as one matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from d2midi_build.transcribers.mt3.presets import Dimensions

_EPSILON: Final = 1e-6

Weights = Mapping[str, npt.NDArray[np.float32]]
"""Arrays by T5X's names, ``"decoder/layers_0/mlp/wo/kernel"``."""


class EncoderLayer(nn.Module):
    """Attention of all frames to all, then the feed-forward block; shape (batch, frames, emb_dim) in and out."""

    def __init__(self, sizes: Dimensions) -> None:
        super().__init__()
        joined = sizes.num_heads * sizes.head_dim
        self._n_heads = sizes.num_heads
        self.attention_norm = Norm(sizes.emb_dim)
        self.query_key_value = weight(sizes.emb_dim, 3 * joined)
        self.out = weight(joined, sizes.emb_dim)
        self.mlp = _Mlp(sizes)

    def load(self, weights: Weights, path: str) -> None:
        fill(self.attention_norm.scale, weights, f"{path}/pre_attention_layer_norm/scale")
        fill(self.query_key_value, weights, *_kernels(f"{path}/attention", "query", "key", "value"))
        fill(self.out, weights, f"{path}/attention/out/kernel")
        self.mlp.load(weights, path)

    def forward(self, x: Tensor) -> Tensor:
        queries, keys, values = _heads(self.attention_norm(x) @ self.query_key_value, 3, self._n_heads)
        x = x + _attended(queries, keys, values) @ self.out
        mixed: Tensor = x + self.mlp(x)
        return mixed


class DecoderLayer(nn.Module):
    """Attention to what was said, to what was heard, then the feed-forward block.

    Whether many steps are taken at once or one after the other with what came before kept is the caller's affair, who
    says how to attend.
    """

    def __init__(self, sizes: Dimensions) -> None:
        super().__init__()
        joined = sizes.num_heads * sizes.head_dim
        self._n_heads = sizes.num_heads
        self.self_norm = Norm(sizes.emb_dim)
        self.self_query_key_value = weight(sizes.emb_dim, 3 * joined)
        self.self_out = weight(joined, sizes.emb_dim)
        self.cross_norm = Norm(sizes.emb_dim)
        self.cross_query = weight(sizes.emb_dim, joined)
        self.cross_key_value = weight(sizes.emb_dim, 2 * joined)
        self.cross_out = weight(joined, sizes.emb_dim)
        self.mlp = _Mlp(sizes)

    def load(self, weights: Weights, path: str) -> None:
        own, cross = f"{path}/self_attention", f"{path}/encoder_decoder_attention"
        fill(self.self_norm.scale, weights, f"{path}/pre_self_attention_layer_norm/scale")
        fill(self.self_query_key_value, weights, *_kernels(own, "query", "key", "value"))
        fill(self.self_out, weights, f"{own}/out/kernel")
        fill(self.cross_norm.scale, weights, f"{path}/pre_cross_attention_layer_norm/scale")
        fill(self.cross_query, weights, f"{cross}/query/kernel")
        fill(self.cross_key_value, weights, *_kernels(cross, "key", "value"))
        fill(self.cross_out, weights, f"{cross}/out/kernel")
        self.mlp.load(weights, path)

    def forward(
        self, x: Tensor, attend_back: Callable[[Tensor], Tensor], attend_across: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """``attend_back`` gets queries, keys and values side by side, ``attend_across`` queries."""
        x = x + attend_back(self.self_norm(x) @ self.self_query_key_value) @ self.self_out
        x = x + attend_across(self.cross_norm(x) @ self.cross_query) @ self.cross_out
        mixed: Tensor = x + self.mlp(x)
        return mixed

    def keys_and_values(self, encoded: Tensor) -> Tensor:
        """Those of the encoder's output, shape (2, batch, heads, frames, head_dim)."""
        return _heads(encoded @ self.cross_key_value, 2, self._n_heads)

    def attend_back(self, queries_keys_values: Tensor) -> Tensor:
        queries, keys, values = _heads(queries_keys_values, 3, self._n_heads)
        return _attended(queries, keys, values, is_causal=True)

    def attend_across(self, keys_and_values: Tensor, queries: Tensor) -> Tensor:
        keys, values = keys_and_values
        return _attended(_heads(queries, 1, self._n_heads)[0], keys, values)


class _Mlp(nn.Module):
    """Gated GELU behind a norm."""

    def __init__(self, sizes: Dimensions) -> None:
        super().__init__()
        self.norm = Norm(sizes.emb_dim)
        self.inside = weight(sizes.emb_dim, 2 * sizes.mlp_dim)
        self.out = weight(sizes.mlp_dim, sizes.emb_dim)

    def load(self, weights: Weights, path: str) -> None:
        fill(self.norm.scale, weights, f"{path}/pre_mlp_layer_norm/scale")
        fill(self.inside, weights, *_kernels(f"{path}/mlp", "wi_0", "wi_1"))
        fill(self.out, weights, f"{path}/mlp/wo/kernel")

    def forward(self, x: Tensor) -> Tensor:
        gate, value = (self.norm(x) @ self.inside).chunk(2, dim=-1)
        gated: Tensor = gelu(gate, approximate="tanh") * value
        return gated @ self.out


class Norm(nn.Module):
    """Division by the root of the mean square over the last axis."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = weight(size)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        normed = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + _EPSILON)
        return normed.to(x.dtype) * self.scale


def weight(*shape: int, device: torch.device | str = "cpu") -> nn.Parameter:
    """A parameter without values yet, never trained."""
    return nn.Parameter(torch.empty(shape, device=device), requires_grad=False)


def _kernels(path: str, *names: str) -> list[str]:
    return [f"{path}/{name}/kernel" for name in names]


def fill(weight: nn.Parameter, weights: Weights, *names: str) -> None:
    """Fill a weight with arrays side by side."""
    weight.copy_(torch.from_numpy(np.concatenate([weights[name] for name in names], axis=-1)))


def _heads(joined: Tensor, n_parts: int, n_heads: int) -> Tensor:
    """Shape (batch, n, parts * heads * head_dim) as (parts, batch, heads, n, head_dim)."""
    return joined.view(*joined.shape[:2], n_parts, n_heads, -1).permute(2, 0, 3, 1, 4)


def _attended(queries: Tensor, keys: Tensor, values: Tensor, is_causal: bool = False) -> Tensor:
    """Attention of many queries, shape (batch, heads, n, head_dim) each, to shape (batch, n, heads * head_dim)."""
    mixed = scaled_dot_product_attention(queries, keys, values, is_causal=is_causal, scale=1.0)
    return mixed.transpose(1, 2).flatten(2)


def attended_once(queries: Tensor, keys_and_values: Tensor) -> Tensor:
    """Attention of one query per row; on one thread a third faster than `scaled_dot_product_attention`.

    Parameters
    ----------
    queries : Tensor, shape (rows, heads * head_dim) or (rows, heads, head_dim)
    keys_and_values : Tensor, shape (2, rows, heads, n, head_dim)

    Returns
    -------
    Tensor, shape (rows, heads * head_dim)
    """
    keys, values = keys_and_values.flatten(1, 2)
    weights = torch.bmm(queries.reshape(len(keys), 1, -1), keys.transpose(1, 2)).softmax(-1)
    return torch.bmm(weights, values).view(len(queries), -1)
