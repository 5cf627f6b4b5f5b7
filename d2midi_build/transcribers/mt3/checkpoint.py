"""Weights of MT3: read from where they lie, checked, written as one file.

Two forms are read: the T5X folders that Magenta published, and d2midi's own safetensors, one file of float32 with what
else a reader has to know. Whatever is wrong is said before a network is made of it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from d2midi_build.errors import UsageError
from d2midi_build.transcribers.mt3 import t5x
from d2midi_build.transcribers.mt3.presets import PRESETS, Dimensions, Preset
from d2midi_build.transcribers.mt3.t5x import READ_ARE, Stored, refuse_strangers
from d2midi_build.transcribers.mt3.vocabulary import Vocabulary
from d2midi_build.workspace import write_whole

FORMAT: Final = "d2midi-mt3"
VERSION: Final = "1"

_FLOATS: Final = ("float32", "bfloat16", "float16", "float64")
_PUBLISHED_HEADS: Final = {(512, 384): 6}
"""Heads by width of the network and of all heads together: a kernel's shape does not say them."""


@dataclass(frozen=True)
class Checkpoint:
    """Weights, and what is known of the model they belong to.

    Attributes
    ----------
    weights : dict of str to np.ndarray
        float32, by T5X's names: ``"decoder/layers_0/self_attention/query/kernel"``. Kernels are (inputs, outputs).
    dimensions : Dimensions
    preset : Preset
    digest : str
        See `digest_of`.
    origin, licence : str
        Where they come from and under which terms, for people; empty where nothing says it, as in T5X folders.
    """

    weights: dict[str, npt.NDArray[np.float32]]
    dimensions: Dimensions
    preset: Preset
    digest: str
    origin: str = ""
    licence: str = ""


def read(path: Path, *, num_heads: int | None = None) -> Checkpoint:
    """Read weights and check all of them.

    Parameters
    ----------
    path : Path
        A T5X folder (the one with the file ``checkpoint`` in it), or a file that `write_safetensors` wrote.
    num_heads : int, optional
        Attention heads of a T5X checkpoint that is not of the published size; nothing in it says them.

    Raises
    ------
    UsageError
        If there is no such checkpoint, it cannot be read, is incomplete, damaged or of another model.
    """
    try:
        stored, said = (t5x.open_arrays(path), {}) if path.is_dir() else _from_file(path)
        layers = _layers(path, stored)
        preset = _preset(path, stored)
        dimensions = _dimensions(path, stored, layers, _heads(path, said, num_heads))
        weights = {name: _float32(path, name, stored[name]) for name in sorted(stored)}
    except OSError as error:
        raise UsageError(
            f"{error.filename or path} cannot be read ({error.strerror or error}): mend its rights, or copy it to "
            "where you may read it"
        ) from error
    digest = digest_of(weights)
    if said and (said.get("digest"), said.get("preset")) != (digest, preset.name):
        raise UsageError(
            f"{path} is damaged: it says it holds {said.get('preset')} {said.get('digest')}, but holds "
            f"{preset.name} {digest}. Copy or convert it again."
        )
    return Checkpoint(weights, dimensions, preset, digest, said.get("origin", ""), said.get("licence", ""))


def write_safetensors(checkpoint: Checkpoint, path: Path) -> None:
    """Write weights as one file, whole or not at all; the same weights give the same bytes.

    Parameters
    ----------
    checkpoint : Checkpoint
    path : Path
        Its folder is made if need be; what lies there is replaced.

    Raises
    ------
    UsageError
        If it cannot be written.
    """
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "preset": checkpoint.preset.name,
        "num_heads": str(checkpoint.dimensions.num_heads),
        "digest": checkpoint.digest,
        "origin": checkpoint.origin,
        "licence": checkpoint.licence,
    }
    # safetensors' own writer puts the metadata in another order each time
    header: dict[str, Any] = {"__metadata__": {key: value for key, value in metadata.items() if value}}
    end = 0
    for name, values in sorted(checkpoint.weights.items()):
        start, end = end, end + values.nbytes
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": [start, end]}
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    arrays = (_little_endian(values).data for _, values in sorted(checkpoint.weights.items()))
    write_whole(path, b"".join((len(head).to_bytes(8, "little"), head, *arrays)))


def digest_of(weights: Mapping[str, npt.NDArray[np.float32]]) -> str:
    """Hex SHA-256 of names and float32 values: the same weights have the same in whatever form they lie.

    Names in sorted order, each followed by its array's bytes (little-endian, row by row).
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(_little_endian(weights[name]).data)
    return digest.hexdigest()


def parameter_shapes(dimensions: Dimensions) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all parameters of a network, as T5X has them (``network.py`` of magenta/mt3)."""
    emb, mlp, vocab = dimensions.emb_dim, dimensions.mlp_dim, dimensions.vocab_size
    joined = dimensions.num_heads * dimensions.head_dim
    shapes: dict[str, tuple[int, ...]] = {
        "decoder/decoder_norm/scale": (emb,),
        "decoder/logits_dense/kernel": (emb, vocab),
        "decoder/token_embedder/embedding": (vocab, emb),
        "encoder/continuous_inputs_projection/kernel": (dimensions.input_depth, emb),
        "encoder/encoder_norm/scale": (emb,),
    }
    encoder = {"pre_attention_layer_norm": "attention"}
    decoder = {
        "pre_self_attention_layer_norm": "self_attention",
        "pre_cross_attention_layer_norm": "encoder_decoder_attention",
    }
    for stack, layers, attentions in (
        ("encoder", dimensions.num_encoder_layers, encoder),
        ("decoder", dimensions.num_decoder_layers, decoder),
    ):
        for layer in (f"{stack}/layers_{i}" for i in range(layers)):
            for norm, attention in attentions.items():
                shapes[f"{layer}/{norm}/scale"] = (emb,)
                for kernel in ("query", "key", "value"):
                    shapes[f"{layer}/{attention}/{kernel}/kernel"] = (emb, joined)
                shapes[f"{layer}/{attention}/out/kernel"] = (joined, emb)
            shapes[f"{layer}/pre_mlp_layer_norm/scale"] = (emb,)
            shapes[f"{layer}/mlp/wi_0/kernel"] = shapes[f"{layer}/mlp/wi_1/kernel"] = (emb, mlp)
            shapes[f"{layer}/mlp/wo/kernel"] = (mlp, emb)
    return shapes


def _from_file(path: Path) -> tuple[dict[str, Stored], dict[str, str]]:
    """Arrays and metadata of a file of safetensors."""
    if not path.is_file():
        raise UsageError(f"there is no checkpoint at {path}. {READ_ARE}")
    if path.name == t5x.FILE_NAME:
        raise UsageError(f"{path} is only part of a T5X checkpoint: give its folder, {path.parent}")
    with path.open("rb") as handle:
        handle.seek(8)
        header_is_next = handle.read(1) == b"{"
    if not header_is_next:
        refuse_strangers(path)
        raise UsageError(f"{path} is no checkpoint of MT3. {READ_ARE}")
    try:
        file: Any = safe_open(path, framework="numpy")
        said = file.metadata() or {}
        if (said.get("format"), said.get("version")) != (FORMAT, VERSION):
            raise UsageError(
                f"{path} says it is {said.get('format')!r}, version {said.get('version')!r}; expected {FORMAT!r}, "
                f"version {VERSION!r}. {READ_ARE}"
            )
        return {name: _of_safetensors(file, name) for name in file.keys()}, said  # noqa: SIM118
    except SafetensorError as error:
        raise UsageError(f"{path} is damaged or not whole ({error}): copy or convert it again") from error


def _of_safetensors(file: Any, name: str) -> Stored:
    array = file.get_slice(name)
    dtype = {"F32": "float32"}.get(array.get_dtype(), array.get_dtype())
    return Stored(tuple(array.get_shape()), dtype, lambda: file.get_tensor(name))


def _layers(path: Path, stored: Mapping[str, Stored]) -> tuple[int, int]:
    """Numbers of encoder and decoder layers, if names, dtypes and ranks are those of MT3."""
    encoder, decoder = (
        len({found[1] for name in stored if (found := re.match(rf"{stack}/layers_(\d+)/", name))})
        for stack in ("encoder", "decoder")
    )
    least = Dimensions(0, num_encoder_layers=max(encoder, 1), num_decoder_layers=max(decoder, 1))
    expected = parameter_shapes(least)
    missing, unknown = sorted(expected.keys() - stored.keys()), sorted(stored.keys() - expected.keys())
    if missing or unknown:
        raise UsageError(
            f"{path} does not hold MT3's parameters: missing are {_some(missing)}; unknown are {_some(unknown)}. "
            f"{READ_ARE}"
        )
    for name, array in stored.items():
        if array.dtype not in _FLOATS:
            raise UsageError(f"{path}: {name} is of {array.dtype}; expected one of {', '.join(_FLOATS)}")
        if len(array.shape) != len(expected[name]):
            raise _wrong_shape(path, name, array.shape, f"{len(expected[name])} axes")
    return encoder, decoder


def _preset(path: Path, stored: Mapping[str, Stored]) -> Preset:
    vocab_size = stored["decoder/token_embedder/embedding"].shape[0]
    known = {Vocabulary.of(preset.num_velocity_bins).n_embeddings: preset for preset in PRESETS.values()}
    if vocab_size not in known:
        expected = " or ".join(f"{size:,} ({preset.name})" for size, preset in known.items())
        raise UsageError(f"{path} has a vocabulary of {vocab_size:,}; expected {expected}. {READ_ARE}")
    return known[vocab_size]


def _heads(path: Path, said: Mapping[str, str], given: int | None) -> int | None:
    """The number of heads that the file or the caller says."""
    if not said:
        return given
    in_file = said.get("num_heads", "")
    if not in_file.isdecimal():
        raise UsageError(f"{path} is damaged: it says num_heads is {in_file!r}. Convert it again.")
    if given not in (None, int(in_file)):
        raise UsageError(
            f"{path} says its network has {in_file} heads, not {given}: leave num_heads (--heads) out, or, if they are "
            "registered otherwise, add them anew with --replace"
        )
    return int(in_file)


def _dimensions(
    path: Path, stored: Mapping[str, Stored], layers: tuple[int, int], num_heads: int | None
) -> Dimensions:
    """The sizes that all shapes agree on."""
    vocab_size, emb_dim = stored["decoder/token_embedder/embedding"].shape
    joined = stored["encoder/layers_0/attention/query/kernel"].shape[1]
    published = _PUBLISHED_HEADS.get((emb_dim, joined))
    if published and num_heads not in (None, published):
        raise UsageError(
            f"{path} is of the published size, which has {published} heads, not {num_heads}: leave num_heads "
            "(--heads) out"
        )
    num_heads = published if num_heads is None else num_heads
    if num_heads is None:
        raise UsageError(
            f"{path} is not of the published size (width {emb_dim}, all heads together {joined}; expected 512 and "
            "384), and nothing in it says how many attention heads it has: give num_heads (`d2midi models "
            "add PATH --heads N`)"
        )
    if num_heads < 1 or joined % num_heads:
        raise UsageError(
            f"{path}: {num_heads} heads cannot share a width of {joined} evenly: give another num_heads (--heads)"
        )
    dimensions = Dimensions(
        vocab_size=vocab_size,
        emb_dim=emb_dim,
        num_heads=num_heads,
        head_dim=joined // num_heads,
        mlp_dim=stored["encoder/layers_0/mlp/wi_0/kernel"].shape[1],
        num_encoder_layers=layers[0],
        num_decoder_layers=layers[1],
    )
    for name, shape in parameter_shapes(dimensions).items():
        if stored[name].shape != shape:
            raise _wrong_shape(path, name, stored[name].shape, str(shape))
    return dimensions


def _wrong_shape(path: Path, name: str, shape: tuple[int, ...], expected: str) -> UsageError:
    return UsageError(f"{path}: {name} has the shape {shape}; expected {expected}. {READ_ARE}")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (", ".join(names[:3]) or "none") + more


def _float32(path: Path, name: str, stored: Stored) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is found below
        values = np.ascontiguousarray(stored.read(), np.float32)
    n_bad = values.size - np.count_nonzero(np.isfinite(values))
    if n_bad:
        raise UsageError(
            f"{path}: {name} holds {n_bad:,} of {values.size:,} values that are NaN or infinite, so no network can "
            "be made of it: train or download it again"
        )
    return values


def _little_endian(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(values, "<f4")
