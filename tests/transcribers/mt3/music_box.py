"""Weights that play the same tune in every segment, whatever they hear: MT3 whose answer is known without any data.

The decoder's attention and feed-forward blocks add nothing, so a step's logits depend on the token before alone, and
a kernel that leads from each token to the next is a music box. No token may therefore come twice in a tune.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from d2midi_build import registry
from d2midi_build.registry import Weights
from d2midi_build.transcribers.mt3.checkpoint import Checkpoint, digest_of, write_safetensors
from d2midi_build.transcribers.mt3.presets import MT3, Dimensions
from d2midi_build.transcribers.mt3.vocabulary import EOS, PAD, Vocabulary

DIMENSIONS: Final = Dimensions(
    vocab_size=1_536,
    emb_dim=64,
    num_heads=2,
    head_dim=16,
    mlp_dim=8,
    num_encoder_layers=1,
    num_decoder_layers=1,
)

TUNE: Final = (
    ("tie", 0), ("velocity", 1),
    ("shift", 10), ("program", 0), ("pitch", 60), ("program", 33), ("pitch", 40),
    ("shift", 50), ("drum", 36),
    ("shift", 100), ("drum", 38),
)  # fmt: skip
"""Piano C4 and a bass E2 from 0.1 s of each segment to its end, a kick at 0.5 s and a snare at 1 s."""


def ids_of(tune: Sequence[tuple[str, int]] = TUNE, num_velocity_bins: int = 1) -> list[int]:
    """Model ids of a tune, EOS included."""
    vocabulary = Vocabulary.of(num_velocity_bins)
    indices = np.array([vocabulary.encode(kind, value) for kind, value in tune])
    return [*(int(i) for i in vocabulary.ids_of(indices)), EOS]


def weights(
    tune: Sequence[tuple[str, int]] = TUNE,
    dimensions: Dimensions = DIMENSIONS,
    num_velocity_bins: int = 1,
) -> dict[str, npt.NDArray[np.float32]]:
    """All parameters by their T5X names."""
    rng = np.random.default_rng(0)
    size, joined = dimensions.emb_dim, dimensions.num_heads * dimensions.head_dim
    made: dict[str, npt.NDArray[np.float32]] = {}

    def noise(name: str, *shape: int) -> None:
        made[name] = (0.05 * rng.standard_normal(shape)).astype(np.float32)

    def attention(name: str) -> None:
        for part in ("query", "key", "value"):
            noise(f"{name}/{part}/kernel", size, joined)
        made[f"{name}/out/kernel"] = np.zeros((joined, size), np.float32)

    def feed_forward(name: str) -> None:
        for part in ("wi_0", "wi_1"):
            noise(f"{name}/{part}/kernel", size, dimensions.mlp_dim)
        made[f"{name}/wo/kernel"] = np.zeros((dimensions.mlp_dim, size), np.float32)

    def norm(name: str) -> None:
        made[f"{name}/scale"] = np.ones(size, np.float32)

    noise("encoder/continuous_inputs_projection/kernel", dimensions.input_depth, size)
    norm("encoder/encoder_norm")
    norm("decoder/decoder_norm")
    for layer in range(dimensions.num_encoder_layers):
        name = f"encoder/layers_{layer}"
        norm(f"{name}/pre_attention_layer_norm")
        attention(f"{name}/attention")
        norm(f"{name}/pre_mlp_layer_norm")
        feed_forward(f"{name}/mlp")
    for layer in range(dimensions.num_decoder_layers):
        name = f"decoder/layers_{layer}"
        norm(f"{name}/pre_self_attention_layer_norm")
        attention(f"{name}/self_attention")
        norm(f"{name}/pre_cross_attention_layer_norm")
        attention(f"{name}/encoder_decoder_attention")
        norm(f"{name}/pre_mlp_layer_norm")
        feed_forward(f"{name}/mlp")
    embedding = np.zeros((dimensions.vocab_size, size), np.float32)
    leading = np.zeros((size, dimensions.vocab_size), np.float32)
    row = [PAD, *ids_of(tune, num_velocity_bins)]
    assert len(set(row)) == len(row) <= size
    for place, (here, there) in enumerate(pairwise(row)):
        embedding[here, place] = 50.0  # far above the positions' 1
        leading[place, there] = 5.0
    return made | {"decoder/token_embedder/embedding": embedding, "decoder/logits_dense/kernel": leading}


def write(path: Path, tune: Sequence[tuple[str, int]] = TUNE) -> Checkpoint:
    """Write a music box as a file of safetensors."""
    given = weights(tune)
    checkpoint = Checkpoint(given, DIMENSIONS, MT3, digest_of(given))
    write_safetensors(checkpoint, path)
    return checkpoint


def register(
    folder: Path, patch: pytest.MonkeyPatch, name: str = "mt3", tune: Sequence[tuple[str, int]] = TUNE
) -> Checkpoint:
    """Make a music box in a folder, and a list of models of which it is the only one."""
    path = folder / f"{name}.safetensors"
    made = write(path, tune)
    patch.setenv("D2MIDI_MODELS", str(folder / "models.json"))
    n_parameters = sum(each.size for each in made.weights.values())
    registry.add(Weights(name, made.preset.name, path, made.digest, DIMENSIONS.num_heads, n_parameters))
    return made
