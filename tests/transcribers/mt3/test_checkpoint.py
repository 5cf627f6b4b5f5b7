"""MT3's weights: the reference's checkpoint, every form T5X may have them in, and what is refused with which words."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
import pickle
import re
import shutil
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt
import pytest
import safetensors
import safetensors.numpy
import tensorstore

from d2midi_build.errors import UsageError
from d2midi_build.transcribers.mt3.checkpoint import (
    Checkpoint,
    digest_of,
    parameter_shapes,
    read,
    write_safetensors,
)
from d2midi_build.transcribers.mt3.presets import ISMIR2021, MT3, Dimensions
from tests.transcribers.mt3.reference import reference

TINY = Dimensions(
    1_536, emb_dim=8, num_heads=2, head_dim=6, mlp_dim=10, num_encoder_layers=2, num_decoder_layers=1
)
BFLOAT16 = tensorstore.bfloat16.numpy_dtype
NORM = "decoder/decoder_norm/scale"
QUERY = "encoder/layers_1/attention/query/kernel"
EMBEDDING = "decoder/token_embedder/embedding"

Weights = dict[str, npt.NDArray[Any]]


def _weights(dimensions: Dimensions = TINY) -> Weights:
    rng = np.random.default_rng(5)
    shapes = parameter_shapes(dimensions)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def _at(name: str) -> str:
    return f"target.{name.replace('/', '.')}"


def _packed(array: npt.NDArray[Any]) -> msgpack.ExtType:
    """An array in the msgpack file, as flax writes it."""
    return msgpack.ExtType(1, msgpack.packb((array.shape, array.dtype.name, array.tobytes())))


def _in_pieces(array: npt.NDArray[Any], size: int) -> dict[str, Any]:
    """An array of more than 1 GiB in the msgpack file, as flax writes it."""
    flat = array.reshape(-1)
    pieces = [_packed(flat[i : i + size]) for i in range(0, flat.size, size)]
    return {
        "__msgpack_chunked_array__": True,
        "shape": {str(i): n for i, n in enumerate(array.shape)},
        "chunks": {str(i): piece for i, piece in enumerate(pieces)},
    }


def _in_zarr(folder: Path, name: str, array: npt.NDArray[Any], path: str, n_chunks: int) -> dict[str, Any]:
    """An array in a zarr folder, and what the msgpack file says of it."""
    metadata = {
        "compressor": {"id": "gzip", "level": 1},
        "shape": list(array.shape),
        "chunks": [math.ceil(n / n_chunks) for n in array.shape],
    }
    place = folder / PurePosixPath(path).name
    specification = {
        "driver": "zarr",
        "dtype": array.dtype.name,
        "kvstore": {"driver": "file", "path": f"{place}/"},
        "metadata": metadata,
    }
    tensorstore.open(specification, create=True).result().write(array).result()
    return specification | {"kvstore": {"driver": "gfile", "path": path}}


def _root(leaves: dict[str, Any], version: int = 3) -> dict[str, Any]:
    """What T5X's file `checkpoint` holds, the optimizer's state included."""
    target: dict[str, Any] = {}
    for name, leaf in leaves.items():
        *above, last = name.split("/")
        tree = target
        for key in above:
            tree = tree.setdefault(key, {})
        tree[last] = leaf
    never_read = {"driver": "zarr", "kvstore": {"driver": "file", "path": "state.not.there"}}
    state = {"step": _packed(np.array(7, np.int32)), "param_states": {"decoder": {"v": never_read}}}
    return {"version": version, "optimizer": {"target": target, "state": state}}


def _write_t5x(
    folder: Path,
    weights: Weights,
    *,
    embedded: Iterable[str] = (),
    n_chunks: int = 1,
    path: Callable[[str], str] = _at,
) -> Path:
    """A checkpoint in the official layout."""
    folder.mkdir(parents=True, exist_ok=True)
    leaves = {
        name: _packed(array) if name in embedded else _in_zarr(folder, name, array, path(name), n_chunks)
        for name, array in weights.items()
    }
    (folder / "checkpoint").write_bytes(msgpack.packb(_root(leaves)))
    return folder


def _embedding_all(path: Path, weights: Weights) -> Path:
    """A checkpoint whose arrays are all in its one file: quick to write."""
    return _write_t5x(path, weights, embedded=weights)


def _assert_same(found: Weights, expected: Weights) -> None:
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert array.dtype == np.float32, name
        assert array.flags.writeable, name  # PyTorch warns of arrays that are not
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.fixture(scope="module")
def t5x(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint; tests that break one take a copy."""
    return _write_t5x(tmp_path_factory.mktemp("t5x") / "mt3", _weights())


@pytest.fixture
def broken(t5x: Path, tmp_path: Path) -> Path:
    """A copy of it to break."""
    return shutil.copytree(t5x, tmp_path / "mt3")


@pytest.fixture
def tiny(t5x: Path) -> Checkpoint:
    return read(t5x, num_heads=2)


# The reference


@pytest.mark.real_data
def test_the_reference_s_parameters() -> None:
    model, found = reference().model, read(reference().checkpoint, num_heads=reference().dimensions.num_heads)
    shapes = {name: list(array.shape) for name, array in found.weights.items()}
    assert shapes == model["parameters"]
    assert sum(array.size for array in found.weights.values()) == model["num_parameters"]
    assert found.digest == model["parameter_sha256"]
    assert found.dimensions == reference().dimensions
    assert found.preset.name == reference().preset.name


@pytest.mark.real_data
def test_the_reference_converted_is_the_same_to_the_bit(tmp_path: Path) -> None:
    found = read(reference().checkpoint, num_heads=reference().dimensions.num_heads)
    write_safetensors(found, tmp_path / "mt3.safetensors")
    again = read(tmp_path / "mt3.safetensors")
    _assert_same(again.weights, found.weights)
    assert (again.dimensions, again.preset, again.digest) == (found.dimensions, found.preset, found.digest)


def test_the_published_network_has_189_arrays_of_45_896_704_parameters() -> None:
    shapes = parameter_shapes(Dimensions(1_536))
    assert len(shapes) == 189
    assert sum(math.prod(shape) for shape in shapes.values()) == 45_896_704


# What T5X may write


def test_a_t5x_folder(t5x: Path) -> None:
    found = read(t5x, num_heads=2)
    _assert_same(found.weights, _weights())
    assert found.dimensions == TINY
    assert found.preset == MT3


def test_bfloat16_becomes_float32_exactly(tmp_path: Path) -> None:
    halves = {name: array.astype(BFLOAT16) for name, array in _weights().items()}
    found = read(_write_t5x(tmp_path / "a", halves, embedded=[NORM], n_chunks=3), num_heads=2)
    expected = {name: array.astype(np.float32) for name, array in halves.items()}
    _assert_same(found.weights, expected)
    assert (found.weights[QUERY].view(np.uint32) & 0xFFFF == 0).all()  # bfloat16 is the upper half of float32


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_become_float32(tmp_path: Path, dtype: type) -> None:
    weights: Weights = {name: array.astype(dtype) for name, array in _weights().items()}
    found = read(_embedding_all(tmp_path, weights), num_heads=2)
    _assert_same(found.weights, {name: array.astype(np.float32) for name, array in weights.items()})


def test_several_chunks_that_do_not_divide_the_array(tmp_path: Path) -> None:
    folder = _write_t5x(tmp_path / "a", _weights(), n_chunks=3)
    assert sorted(p.name for p in (folder / _at(QUERY)).glob("[0-9]*")) == [
        f"{i}.{j}" for i in range(3) for j in range(3)
    ]
    _assert_same(read(folder, num_heads=2).weights, _weights())


@pytest.mark.parametrize(
    "path",
    [
        lambda name: f"/cns/ab-d/home/mt3/checkpoint_1000000/{_at(name)}/",
        lambda name: f"gs://mt3/checkpoints/mt3/{_at(name)}",
        lambda name: f"../elsewhere/{_at(name)}",
    ],
)
def test_arrays_are_looked_for_in_the_folder_wherever_they_were(
    tmp_path: Path, path: Callable[[str], str]
) -> None:
    _assert_same(read(_write_t5x(tmp_path / "a", _weights(), path=path), num_heads=2).weights, _weights())


def test_a_relative_path(t5x: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(t5x.parent)
    assert read(Path("mt3"), num_heads=2).digest == digest_of(_weights())


def test_the_path_beside_kvstore(broken: Path) -> None:
    """As TensorStore before 0.1.14 wrote it."""

    def older(leaf: Any) -> Any:
        if "kvstore" not in leaf:
            return {key: older(value) for key, value in leaf.items()}
        bucket = {"driver": "gcs", "bucket": "t5x-dummy-bucket"}
        return leaf | {"path": leaf["kvstore"]["path"], "kvstore": bucket}

    root = msgpack.unpackb((broken / "checkpoint").read_bytes())
    root["optimizer"]["target"] = older(root["optimizer"]["target"])
    (broken / "checkpoint").write_bytes(msgpack.packb(root))
    _assert_same(read(broken, num_heads=2).weights, _weights())


def test_arrays_in_the_file_itself_whole_or_in_pieces(tmp_path: Path) -> None:
    leaves: dict[str, Any] = {name: _packed(array) for name, array in _weights().items()}
    leaves[QUERY] = _in_pieces(_weights()[QUERY], 40)
    (tmp_path / "checkpoint").write_bytes(msgpack.packb(_root(leaves)))
    _assert_same(read(tmp_path, num_heads=2).weights, _weights())


def test_a_plain_flax_state_has_no_optimizer(tmp_path: Path) -> None:
    state = _root({name: _packed(array) for name, array in _weights().items()})["optimizer"]
    (tmp_path / "checkpoint").write_bytes(msgpack.packb(state))
    _assert_same(read(tmp_path, num_heads=2).weights, _weights())


def test_more_than_ten_layers(tmp_path: Path) -> None:
    dimensions = replace(TINY, num_encoder_layers=11)
    folder = _embedding_all(tmp_path, _weights(dimensions))
    assert read(folder, num_heads=2).dimensions == dimensions


# Heads and presets


def test_the_published_size_needs_no_number_of_heads(tmp_path: Path) -> None:
    dimensions = Dimensions(1_536, mlp_dim=4, num_encoder_layers=1, num_decoder_layers=1)
    folder = _embedding_all(tmp_path, _weights(dimensions))
    assert read(folder).dimensions == read(folder, num_heads=6).dimensions
    assert (read(folder).dimensions.num_heads, read(folder).dimensions.head_dim) == (6, 64)
    with pytest.raises(
        UsageError, match="published size, which has 6 heads, not 8"
    ):  # would be another network
        read(folder, num_heads=8)


def test_a_vocabulary_with_127_velocities_is_ismir2021_s(tmp_path: Path) -> None:
    folder = _embedding_all(tmp_path, _weights(replace(TINY, vocab_size=1_664)))
    assert read(folder, num_heads=2).preset == ISMIR2021


@pytest.mark.parametrize(
    ("num_heads", "said"),
    [
        (None, "nothing in it says how many attention heads it has: give num_heads (`d2midi models add PATH"),
        (5, "5 heads cannot share a width of 12 evenly"),
        (0, "0 heads cannot share a width of 12 evenly"),
    ],
)
def test_heads_that_cannot_be(t5x: Path, num_heads: int | None, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        read(t5x, num_heads=num_heads)


# The digest


def test_the_digest_is_that_of_sorted_names_each_followed_by_its_values() -> None:
    weights = {"b/kernel": np.array([[1.0, 2.0]], np.float32), "a/scale": np.array([0.5], np.float32)}
    by_hand = b"a/scale" + bytes.fromhex("0000003f") + b"b/kernel" + bytes.fromhex("0000803f00000040")
    assert digest_of(weights) == hashlib.sha256(by_hand).hexdigest()


def test_the_digest_does_not_ask_how_an_array_lies_in_memory() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert digest_of({"a": array}) == digest_of({"a": np.asfortranarray(array)})
    assert digest_of({"a": array}) == digest_of({"a": array.astype(">f4")})


# safetensors


def test_safetensors_are_what_other_programs_read(tiny: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "new" / "mt3.safetensors"
    write_safetensors(replace(tiny, origin="gs://mt3/checkpoints/mt3", licence="Apache-2.0"), path)
    _assert_same(safetensors.numpy.load_file(path), tiny.weights)
    with safetensors.safe_open(path, framework="numpy") as file:
        assert file.metadata() == {
            "format": "d2midi-mt3",
            "version": "1",
            "preset": "mt3",
            "num_heads": "2",
            "digest": tiny.digest,
            "origin": "gs://mt3/checkpoints/mt3",
            "licence": "Apache-2.0",
        }
    assert [p.name for p in path.parent.iterdir()] == ["mt3.safetensors"]


def test_safetensors_know_their_heads(tiny: Checkpoint, tmp_path: Path) -> None:
    write_safetensors(tiny, tmp_path / "a.safetensors")
    for num_heads in (None, 2):
        again = read(tmp_path / "a.safetensors", num_heads=num_heads)
        assert (again.dimensions, again.preset, again.digest) == (TINY, MT3, tiny.digest)
        _assert_same(again.weights, tiny.weights)


def test_the_same_weights_give_the_same_bytes(tiny: Checkpoint, tmp_path: Path) -> None:
    write_safetensors(tiny, tmp_path / "a.safetensors")
    reordered = replace(tiny, weights=dict(reversed(tiny.weights.items())))
    write_safetensors(reordered, tmp_path / "b.safetensors")
    write_safetensors(read(tmp_path / "a.safetensors"), tmp_path / "c.safetensors")
    data = (tmp_path / "a.safetensors").read_bytes()
    assert data == (tmp_path / "b.safetensors").read_bytes() == (tmp_path / "c.safetensors").read_bytes()
    # the same in every process: what is written does not depend on the seed of Python's hashes
    assert list(_header(data)["__metadata__"]) == ["format", "version", "preset", "num_heads", "digest"]


def test_what_cannot_be_written_leaves_the_old_file(
    tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"old")

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UsageError, match=r"a\.safetensors cannot be written: No space left on device"):
        write_safetensors(tiny, tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == b"old"


def _header(data: bytes) -> Any:
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def _with_header(data: bytes, header: Any) -> bytes:
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + data[8 + int.from_bytes(data[:8], "little") :]


def _saying(**metadata: str) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        header = _header(data)
        header["__metadata__"] |= metadata
        return _with_header(data, header)

    return change


def _renamed(data: bytes) -> bytes:
    header = _header(data)
    header["decoder.norm.weight"] = header.pop(NORM)
    return _with_header(data, header)


def _a_bit_flipped(data: bytes) -> bytes:
    return data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]


def _as_float16(data: bytes) -> bytes:
    halves = {name: array.astype(np.float16) for name, array in safetensors.numpy.load(data).items()}
    return safetensors.numpy.save(halves, _header(data)["__metadata__"])


def _of_pytorch(data: bytes) -> bytes:
    return safetensors.numpy.save({"lm_head.weight": np.zeros((2, 2), np.float32)}, {"format": "pt"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[:-100], ["is damaged or not whole", "copy or convert it again"]),
        (lambda data: data[:500], ["is damaged or not whole"]),
        (lambda data: data[:8], ["is no checkpoint of MT3", "gsutil"]),
        (_a_bit_flipped, ["is damaged", "it says it holds mt3", "Copy or convert it again"]),
        (_saying(digest="0" * 64), ["is damaged", f"it says it holds mt3 {'0' * 64}"]),
        (_saying(preset="ismir2021"), ["is damaged", "it says it holds ismir2021"]),
        (_saying(num_heads="six"), ["num_heads is 'six'", "Convert it again"]),
        (_saying(num_heads="5"), ["5 heads cannot share a width of 12 evenly"]),
        (_saying(version="2"), ["'d2midi-mt3', version '2'; expected 'd2midi-mt3', version '1'"]),
        (_saying(format="pt"), ["says it is 'pt'", "expected 'd2midi-mt3'", "ports of MT3 to PyTorch"]),
        (_of_pytorch, ["says it is 'pt', version None"]),
        (_renamed, [f"missing are {NORM}; unknown are decoder.norm.weight"]),
        (_as_float16, ["is of F16; expected one of float32"]),
    ],
)
def test_broken_safetensors(
    tiny: Checkpoint, tmp_path: Path, change: Callable[[bytes], bytes], said: list[str]
) -> None:
    path = tmp_path / "mt3.safetensors"
    write_safetensors(tiny, path)
    path.write_bytes(change(path.read_bytes()))
    _assert_refused(path, ["mt3.safetensors", *said])


def test_safetensors_with_other_heads_than_asked_for(tiny: Checkpoint, tmp_path: Path) -> None:
    write_safetensors(tiny, tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match="says its network has 2 heads, not 4: leave num_heads"):
        read(tmp_path / "a.safetensors", num_heads=4)


# What is no checkpoint


def _assert_refused(path: Path, said: list[str], num_heads: int | None = None) -> None:
    with pytest.raises(UsageError) as caught:
        read(path, num_heads=num_heads)
    for words in said:
        assert words in str(caught.value)
    assert len(str(caught.value)) < 900


def test_nothing_there(tmp_path: Path) -> None:
    _assert_refused(tmp_path / "mt3", [f"there is no checkpoint at {tmp_path / 'mt3'}", "gsutil"])


def test_the_folder_above_is_told_of_the_folder_below(t5x: Path, tmp_path: Path) -> None:
    _assert_refused(t5x.parent, ["holds no file `checkpoint`", f"give {t5x}"])
    _assert_refused(t5x.parent.parent, [f"give {t5x}"])
    for name in ("mt3", "ismir2021"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "checkpoint").touch()
    _assert_refused(tmp_path, [f"give {tmp_path / 'ismir2021'} or {tmp_path / 'mt3'}"])


def test_a_folder_of_other_things(tmp_path: Path) -> None:
    (tmp_path / "model.pth").touch()
    _assert_refused(tmp_path, ["holds no file `checkpoint`", "Only T5X folders are read", "PyTorch"])


def test_the_file_in_the_folder_is_told_of_the_folder(t5x: Path) -> None:
    _assert_refused(t5x / "checkpoint", [f"give its folder, {t5x}"])


STRANGERS = {
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
    "page": (b"\r\n <!DOCTYPE html><html><title>Sign in</title>", "is a web page"),
    "server": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is a message of a server"),
    "tensorflow": (b'model_checkpoint_path: "model.ckpt-1"', "part of a TensorFlow checkpoint"),
    "pickle": (pickle.dumps({"a": 1}, 2), "is a Python pickle"),
    "later pickle": (pickle.dumps({"a": 1}), "is a Python pickle"),
    "gzip": (gzip.compress(b"weights"), "is a gzip archive: unpack it"),
}


@pytest.mark.parametrize(("data", "said"), STRANGERS.values(), ids=STRANGERS)
def test_a_file_of_another_kind_is_called_by_its_name(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "mt3.ckpt"
    path.write_bytes(data)
    _assert_refused(path, [str(path), said, "Only T5X folders are read"])
    (tmp_path / "checkpoint").write_bytes(data)
    _assert_refused(tmp_path, [str(tmp_path / "checkpoint"), said])


def test_a_pytorch_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mt3.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"weights")
    _assert_refused(
        tmp_path / "mt3.pth", ["is a zip archive, as PyTorch's", "ports of MT3 to PyTorch are not"]
    )


@pytest.mark.parametrize("data", [b"", b"{", bytes(range(256)), b"RIFF\0\0\0\0WAVE"])
def test_a_file_of_nobody_knows_what(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "mt3.bin").write_bytes(data)
    _assert_refused(tmp_path / "mt3.bin", ["is no checkpoint of MT3"])


# Broken T5X


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_a_checkpoint_file_cut_short(broken: Path, keep: int) -> None:
    path = broken / "checkpoint"
    path.write_bytes(path.read_bytes()[:keep])
    _assert_refused(broken, [str(path), "is no msgpack file, or not all of it", "gsutil"], 2)


def test_bytes_that_are_no_msgpack(broken: Path) -> None:
    (broken / "checkpoint").write_bytes(b"\xc1\xc1 what is this")
    _assert_refused(broken, ["is no msgpack file", "(15 bytes)"], 2)


@pytest.mark.parametrize(
    ("root", "found"),
    [
        ([1, 2], "found list"),
        ({}, "found nothing"),
        ({"params": {"dense": 1}}, "found params"),
        ({"version": 3, "optimizer": {"state": {}}}, "found version, optimizer"),
        ({"version": 3, "optimizer": 5}, "found version, optimizer"),
        ({"target": "PLACEHOLDER://target"}, "found target"),
    ],
)
def test_msgpack_of_something_else(tmp_path: Path, root: Any, found: str) -> None:
    (tmp_path / "checkpoint").write_bytes(msgpack.packb(root))
    _assert_refused(tmp_path, ["is a msgpack file but no T5X checkpoint", found])


@pytest.mark.parametrize(
    "leaf",
    [
        "PLACEHOLDER://target.decoder.decoder_norm.scale",
        None,
        msgpack.ExtType(1, b"\xc1"),
        msgpack.ExtType(1, msgpack.packb(((8,), "float32", b"\0" * 31))),
        msgpack.ExtType(1, msgpack.packb(((9,), "float32", b"\0" * 32))),
        msgpack.ExtType(1, msgpack.packb(((8,), "float33", b"\0" * 32))),
        msgpack.ExtType(2, msgpack.packb((0.0, 1.0))),
        {"__msgpack_chunked_array__": True, "shape": {"0": 8}, "chunks": {}},
        {"__msgpack_chunked_array__": True},
    ],
)
def test_an_entry_that_is_no_array(tmp_path: Path, leaf: Any) -> None:
    leaves: dict[str, Any] = {name: _packed(array) for name, array in _weights().items()}
    (tmp_path / "checkpoint").write_bytes(msgpack.packb(_root(leaves | {NORM: leaf})))
    _assert_refused(tmp_path, [f"{NORM} cannot be decoded"], 2)


@pytest.mark.parametrize(
    "leaf",
    [
        {"driver": "zarr", "kvstore": None},
        {"driver": "zarr", "kvstore": {"driver": "file"}},
        {"driver": "zarr3", "kvstore": {"driver": "file", "path": _at(NORM)}},
        {"kvstore": {"driver": "file", "path": 5}},
    ],
)
def test_an_array_that_is_stored_otherwise(broken: Path, leaf: Any) -> None:
    root = msgpack.unpackb((broken / "checkpoint").read_bytes())
    root["optimizer"]["target"]["decoder"]["decoder_norm"]["scale"] = leaf
    (broken / "checkpoint").write_bytes(msgpack.packb(root))
    _assert_refused(broken, [f"{NORM} is stored as", "expected a zarr folder"], 2)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        (".zarray", None, "does not exist"),
        (".zarray", lambda data: data[:30], "Invalid JSON"),
        ("0.0", None, "chunk {0, 0} stored at"),
        ("0.0", lambda data: b"", "truncated"),
        ("0.0", lambda data: data[:-20], "truncated"),
        ("0.0", lambda data: data[:200] + bytes(len(data) - 200), "incorrect data check"),
        ("0.0", lambda data: data[:99] + bytes([data[99] ^ 16]) + data[100:], "incorrect data check"),
        ("0.0", lambda data: gzip.compress(gzip.decompress(data)[4:]), "Not enough data"),
        ("0.0", lambda data: gzip.compress(gzip.decompress(data) + b"more"), "End of data expected"),
        ("0.0", lambda data: b"<!DOCTYPE html>" + data, "incorrect header check"),
    ],
)
def test_a_damaged_download(
    broken: Path, file: str, change: Callable[[bytes], bytes] | None, said: str
) -> None:
    path = broken / _at(QUERY) / file
    if change:
        path.write_bytes(change(path.read_bytes()))
    else:
        path.unlink()
    _assert_refused(broken, [f"{path.parent}: {QUERY} cannot be read", said, "download the folder again"], 2)


def test_an_array_that_was_not_downloaded(broken: Path) -> None:
    shutil.rmtree(broken / _at(QUERY))
    said = [f"{broken} is not complete", f"{_at(QUERY)}, the folder of {QUERY}, is missing", "gsutil"]
    _assert_refused(broken, said, 2)


def test_a_missing_chunk_of_several_is_not_zeros(tmp_path: Path) -> None:
    folder = _write_t5x(tmp_path / "a", _weights(), n_chunks=2)
    (folder / _at(QUERY) / "1.0").unlink()
    _assert_refused(folder, [QUERY, "chunk {1, 0}", "is missing"], 2)


def test_a_size_that_no_memory_holds_is_refused_before_it_is_read(broken: Path) -> None:
    path = broken / _at("encoder/layers_0/mlp/wi_0/kernel") / ".zarray"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shape": [8, 10**12]}))
    _assert_refused(broken, ["has the shape (8, 10)", "expected (8, 1000000000000)"], 2)


# Other networks


def test_parameters_that_are_missing(tmp_path: Path) -> None:
    weights = {name: array for name, array in _weights().items() if "logits_dense" not in name}
    said = ["missing are decoder/logits_dense/kernel; unknown are none"]
    _assert_refused(_embedding_all(tmp_path, weights), said, 2)


def test_a_t5_for_text(tmp_path: Path) -> None:
    weights = _weights() | {
        "encoder/relpos_bias/rel_embedding": np.zeros((2, 32), np.float32),
        "decoder/relpos_bias/rel_embedding": np.zeros((2, 32), np.float32),
        "token_embedder/embedding": np.zeros((32_128, 8), np.float32),
    }
    for name in (EMBEDDING, "encoder/continuous_inputs_projection/kernel"):
        del weights[name]
    said = [
        "does not hold MT3's parameters",
        f"missing are {EMBEDDING}, encoder/continuous_inputs_projection/kernel;",
        "unknown are decoder/relpos_bias/rel_embedding, encoder/relpos_bias/rel_embedding, token_embedder",
    ]
    _assert_refused(_embedding_all(tmp_path, weights), said, 2)


def test_a_long_list_of_parameters_is_cut(tmp_path: Path) -> None:
    only = {"dense/kernel": np.zeros((2, 2), np.float32)}
    n_missing = len(parameter_shapes(replace(TINY, num_encoder_layers=1))) - 3
    _assert_refused(_embedding_all(tmp_path, only), [f"and {n_missing} more", "unknown are dense/kernel"])


def test_a_layer_that_is_missing_between_others(tmp_path: Path) -> None:
    weights = {name: array for name, array in _weights().items() if "encoder/layers_0/" not in name}
    said = ["missing are encoder/layers_0/", "unknown are encoder/layers_1/"]
    _assert_refused(_embedding_all(tmp_path, weights), said, 2)


WRONG = {
    "vocabulary": (
        _weights(replace(TINY, vocab_size=32_128)),
        ["has a vocabulary of 32,128; expected 1,536 (mt3) or 1,664 (ismir2021)"],
    ),
    "input depth": (
        _weights(replace(TINY, input_depth=229)),
        ["encoder/continuous_inputs_projection/kernel has the shape (229, 8); expected (512, 8)"],
    ),
    "one kernel": (
        _weights() | {QUERY: np.zeros((12, 8), np.float32)},
        [f"{QUERY} has the shape (12, 8); expected (8, 12)"],
    ),
    "other axes": (
        _weights() | {QUERY: np.zeros((8, 2, 6), np.float32)},
        [f"{QUERY} has the shape (8, 2, 6); expected 2 axes"],
    ),
    "integers": (
        _weights() | {NORM: np.ones(8, np.int32)},
        [f"{NORM} is of int32; expected one of float32, bfloat16, float16, float64"],
    ),
    "bfloat16 as version 2 wrote it": (
        _weights() | {NORM: np.ones(8, np.uint16)},
        [f"{NORM} is of uint16"],
    ),
    "NaN": (
        _weights() | {NORM: np.array([1, np.nan, np.inf, 1, 1, 1, 1, 1], np.float32)},
        [f"{NORM} holds 2 of 8 values that are NaN or infinite"],
    ),
    "too large for float32": (
        _weights() | {NORM: np.full(8, 1e300)},
        [f"{NORM} holds 8 of 8 values that are NaN or infinite"],
    ),
}


@pytest.mark.parametrize(("weights", "said"), WRONG.values(), ids=WRONG)
def test_an_array_that_cannot_be_mt3_s(tmp_path: Path, weights: Weights, said: list[str]) -> None:
    _assert_refused(_embedding_all(tmp_path, weights), [str(tmp_path), *said], 2)


# Rights


@pytest.mark.parametrize("name", [".", "checkpoint", _at(QUERY), f"{_at(QUERY)}/0.0", "mt3.safetensors"])
def test_what_may_not_be_read(broken: Path, tiny: Checkpoint, name: str) -> None:
    write_safetensors(tiny, broken / "mt3.safetensors")
    path = broken / name
    path.chmod(0)
    try:
        if os.access(path, os.R_OK):
            pytest.skip("this user may read everything")
        said = ["cannot be read (Permission denied)", "mend its rights"]
        asked_for = path if path.suffix == ".safetensors" else broken
        _assert_refused(asked_for, [str(path.parent), *said], 2)
    finally:
        path.chmod(0o700)
