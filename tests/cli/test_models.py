"""``d2midi models`` as whoever brings weights meets it, with real checkpoints of tiny networks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from d2midi_build import registry
from d2midi_build.cli.models import app
from d2midi_build.errors import UsageError
from d2midi_build.transcribers.mt3.checkpoint import (
    Checkpoint,
    digest_of,
    parameter_shapes,
    write_safetensors,
)
from d2midi_build.transcribers.mt3.presets import ISMIR2021, MT3, Dimensions, Preset
from tests.transcribers.mt3.reference import reference

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in an empty folder, of somebody who has registered nothing yet."""
    monkeypatch.setenv("D2MIDI_MODELS", str(tmp_path / "data" / "models.json"))
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, [*map(str, arguments)])


def made(path: Path, seed: int = 0, preset: Preset = MT3, vocab_size: int = 1_536) -> Checkpoint:
    """A tiny network of random weights, written as safetensors."""
    sizes = Dimensions(
        vocab_size, emb_dim=8, num_heads=2, head_dim=4, mlp_dim=8, num_encoder_layers=1, num_decoder_layers=1
    )
    random = np.random.default_rng(seed)
    weights = {
        name: random.normal(size=shape).astype(np.float32) for name, shape in parameter_shapes(sizes).items()
    }
    checkpoint = Checkpoint(weights, sizes, preset, digest_of(weights))
    write_safetensors(checkpoint, path)
    return checkpoint


def told(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, (result.output, result.exception)
    return json.loads(result.stdout)


def refused(result: Result) -> str:
    assert isinstance(result.exception, UsageError), (result.output, result.exception)
    assert len(str(result.exception).splitlines()) == 1
    return str(result.exception)


def metadata(path: Path) -> dict[str, str]:
    """What a file of safetensors says of itself, read without its library."""
    data = path.read_bytes()
    head: dict[str, Any] = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    found: dict[str, str] = head["__metadata__"]
    return found


def test_weights_are_added_found_and_forgotten(run: Run, tmp_path: Path) -> None:
    checkpoint = made(tmp_path / "w.safetensors")
    added = told(
        run("add", "w.safetensors", "--licence", "CC0-1.0", "--origin", "https://example.org", "--json")
    )
    assert added["added"].endswith("Z")
    del added["added"]
    assert added == {
        "name": "mt3",
        "kind": "mt3",
        "path": str(tmp_path / "w.safetensors"),
        "digest": checkpoint.digest,
        "num_heads": 2,
        # embedding and logits, the sound's projection, two last norms, then a layer of the encoder and of the decoder:
        # norms, four kernels per attention, three of the MLP; all 8 wide
        "n_parameters": 2 * 1_536 * 8
        + 512 * 8
        + 2 * 8
        + (2 * 8 + 4 * 64 + 3 * 64)
        + (3 * 8 + 8 * 64 + 3 * 64),
        "licence": "CC0-1.0",
        "origin": "https://example.org",
    }
    found = registry.find("mt3")
    assert isinstance(found, registry.Weights)
    assert (found.path, found.digest) == (tmp_path / "w.safetensors", checkpoint.digest)
    said = run("remove", "mt3").stdout
    assert "forgotten" in said
    assert registry.registered() == {}
    assert (tmp_path / "w.safetensors").is_file()
    assert "no model 'mt3'" in refused(run("remove", "mt3"))


def test_what_was_added_is_told_to_people(run: Run, tmp_path: Path) -> None:
    checkpoint = made(tmp_path / "w.safetensors")
    said = run("add", "w.safetensors").stdout
    assert "mt3: kind mt3, " in said
    assert checkpoint.digest in said
    assert "not said (--licence)" in said
    assert said.rstrip().endswith("Use it: d2midi build --transcriber mt3")
    said = run("add", "w.safetensors", "--name", "mine", "--licence", "Apache-2.0").stdout
    assert 'model = "mine"' in said
    assert "Apache-2.0" in said


def test_the_kind_is_the_name_unless_another_is_given(run: Run, tmp_path: Path) -> None:
    made(tmp_path / "w.safetensors", preset=ISMIR2021, vocab_size=1_664)
    assert told(run("add", "w.safetensors", "--json"))["name"] == "ismir2021"
    assert told(run("add", "w.safetensors", "--name", "piano", "--json"))["kind"] == "ismir2021"
    assert list(registry.registered()) == ["ismir2021", "piano"]
    assert "cannot be the name" in refused(run("add", "w.safetensors", "--name", "a/b"))


def test_a_name_is_not_given_to_other_weights_unasked(run: Run, tmp_path: Path) -> None:
    first = made(tmp_path / "w.safetensors")
    other = made(tmp_path / "other.safetensors", seed=1)
    run("add", "w.safetensors", "--licence", "CC0-1.0")
    assert "--replace" in refused(run("add", "other.safetensors"))
    assert registry.required("mt3").digest == first.digest
    (tmp_path / "moved").mkdir()
    (tmp_path / "w.safetensors").rename(tmp_path / "moved" / "w.safetensors")
    again = told(run("add", "moved/w.safetensors", "--json"))  # the same weights at another place
    assert again["path"] == str(tmp_path / "moved" / "w.safetensors")
    assert again["licence"] == "CC0-1.0"
    replaced = told(run("add", "other.safetensors", "--replace", "--json"))
    assert (replaced["digest"], replaced["licence"]) == (other.digest, "")


def test_what_is_no_checkpoint_is_refused_and_not_registered(run: Run, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>Not found</html>")
    (tmp_path / "folder").mkdir()
    made(tmp_path / "cut.safetensors")
    cut = (tmp_path / "cut.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(cut[:-1])
    for name in ("page.html", "folder", "cut.safetensors", "none"):
        assert name in refused(run("add", name))
        assert name in refused(run("convert", f"./{name}", "--out", "out.safetensors"))
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "out.safetensors").exists()


def test_the_list_has_what_comes_along_and_what_was_added(run: Run, tmp_path: Path) -> None:
    said = run("list").stdout
    assert "gsutil -m cp -r gs://mt3/checkpoints/mt3 ." in said
    made(tmp_path / "w.safetensors")
    run("add", "w.safetensors")
    run("add", "w.safetensors", "--name", "b")
    listed = told(run("list", "--json"))
    assert listed["registry"] == str(tmp_path / "data" / "models.json")
    assert [(model["name"], model["bundled"], model["state"]) for model in listed["models"]] == [
        ("basic-pitch", True, "ok"),
        ("embedded", True, "ok"),
        ("b", False, "there"),
        ("mt3", False, "there"),
    ]
    assert registry.required("mt3").data().items() <= listed["models"][-1].items()
    (tmp_path / "w.safetensors").unlink()
    lines = run("list").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ok", "basic-pitch"],
        ["ok", "embedded"],
        ["missing", "b"],
        ["missing", "mt3"],
    ]


def test_the_list_tells_what_an_installation_lacks(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from d2midi_build.transcribers import embedded

    monkeypatch.setattr(embedded, "NOTE_WEIGHTS", tmp_path / "notes.onnx")
    states = {model["name"]: model for model in told(run("list", "--json"))["models"]}
    assert states["embedded"]["state"] == "missing"
    assert "notes.onnx" in states["embedded"]["text"]
    assert states["basic-pitch"]["state"] == "ok"


def test_verify_reads_everything_again(run: Run, tmp_path: Path) -> None:
    for number, name in enumerate(("broken", "changed", "gone", "whole")):
        made(tmp_path / f"{name}.safetensors", seed=number)
        run("add", f"{name}.safetensors", "--name", name)
    assert {model["state"] for model in told(run("verify", "--json"))["models"]} == {"ok"}
    damaged = bytearray((tmp_path / "broken.safetensors").read_bytes())
    damaged[-1] ^= 1  # one bit of one weight
    (tmp_path / "broken.safetensors").write_bytes(damaged)
    made(tmp_path / "changed.safetensors", seed=9)
    (tmp_path / "gone.safetensors").unlink()
    states = {model["name"]: model["state"] for model in told(run("verify", "--json"), code=1)["models"]}
    assert states == {"broken": "broken", "changed": "changed", "gone": "missing", "whole": "ok"}
    said = run("verify", "gone", "whole")
    assert said.exit_code == 1
    assert [line.split()[:2] for line in said.stdout.splitlines()] == [["missing", "gone"], ["ok", "whole"]]
    assert run("verify", "whole").exit_code == 0
    assert "no model 'nobody'" in refused(run("verify", "whole", "nobody"))


def test_nothing_to_verify_is_no_failure(run: Run) -> None:
    assert told(run("verify", "--json")) == {"models": []}
    assert "d2midi models add" in run("verify").stdout


def test_a_converted_file_has_the_same_weights_and_their_terms(run: Run, tmp_path: Path) -> None:
    checkpoint = made(tmp_path / "w.safetensors")
    assert run("convert", "./w.safetensors", "--out", "bare.safetensors").exit_code == 0
    assert not {"licence", "origin"} & metadata(tmp_path / "bare.safetensors").keys()
    run("add", "w.safetensors", "--licence", "CC0-1.0", "--origin", "https://example.org")
    terms = {"licence": "CC0-1.0", "origin": "https://example.org"}
    for what, out in (("mt3", "by-name.safetensors"), ("./w.safetensors", "by-digest.safetensors")):
        said = told(run("convert", what, "--out", out, "--json"))
        assert said == {
            "path": str(tmp_path / "w.safetensors") if what == "mt3" else "w.safetensors",
            "out": out,
            "bytes": (tmp_path / "w.safetensors").stat().st_size,
            "out_bytes": (tmp_path / out).stat().st_size,
            "digest": checkpoint.digest,
        }
        assert terms.items() <= metadata(tmp_path / out).items()
    assert checkpoint.digest in run("convert", "mt3", "--out", "again.safetensors").stdout
    run("remove", "mt3")  # on another machine
    run("add", "w.safetensors", "--name", "without-terms")
    assert run("convert", "./by-name.safetensors", "--out", "copy.safetensors").exit_code == 0
    assert terms.items() <= metadata(tmp_path / "copy.safetensors").items()
    assert terms.items() <= told(run("add", "copy.safetensors", "--json")).items()
    assert told(run("add", "copy.safetensors", "--licence", "other", "--json"))["licence"] == "other"
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "by-name.safetensors").read_bytes()


def test_conversion_writes_over_nothing(run: Run, tmp_path: Path) -> None:
    made(tmp_path / "w.safetensors")
    run("add", "w.safetensors")
    before = (tmp_path / "w.safetensors").read_bytes()
    assert "exists" in refused(run("convert", "mt3", "--out", "w.safetensors"))
    assert ".safetensors" in refused(run("convert", "mt3", "--out", "weights.bin"))
    assert "with 2 heads" in refused(run("convert", "mt3", "--out", "out.safetensors", "--heads", 4))
    assert (tmp_path / "w.safetensors").read_bytes() == before
    made(
        tmp_path / "w.safetensors", seed=1
    )  # other weights than were registered: whose terms would be written?
    assert "d2midi models verify mt3" in refused(run("convert", "mt3", "--out", "out.safetensors"))
    assert "gsutil" in refused(run("convert", "nothing", "--out", "out.safetensors"))
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("package", ["safetensors", "tensorstore", "msgpack"])
def test_without_the_extra_the_way_out_is_named(tmp_path: Path, package: str) -> None:
    """In a process of its own, where the package cannot be imported."""
    leaf = {"driver": "zarr", "kvstore": {"driver": "gfile", "path": "target.kernel"}}
    (tmp_path / "mt3" / "target.kernel").mkdir(parents=True)
    (tmp_path / "mt3" / "checkpoint").write_bytes(msgpack.packb({"optimizer": {"target": {"kernel": leaf}}}))
    code = f"import sys; sys.modules[{package!r}] = None\nfrom d2midi_build.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code, "models", "add", "mt3"],
        cwd=tmp_path,
        env={"D2MIDI_MODELS": str(tmp_path / "models.json"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert f"needs the extra `mt3` ({package} is missing): uv sync --inexact --extra mt3" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "models.json").exists()


@pytest.mark.real_data
def test_a_checkpoint_that_t5x_wrote_is_added_converted_and_verified(run: Run, tmp_path: Path) -> None:
    given = reference()
    heads = given.dimensions.num_heads
    added = told(run("add", given.checkpoint, "--heads", heads, "--name", "reference", "--json"))
    assert added["digest"] == given.model["parameter_sha256"]
    assert added["n_parameters"] == given.model["num_parameters"]
    assert (added["kind"], added["num_heads"]) == (given.preset.name, heads)
    said = told(run("convert", "reference", "--out", "reference.safetensors", "--json"))
    assert said["digest"] == added["digest"]
    assert 0 <= said["out_bytes"] - 4 * added["n_parameters"] < 100_000  # float32, and a header
    again = told(
        run("add", "reference.safetensors", "--name", "reference", "--json")
    )  # says its heads itself
    assert again == added | {"path": str(tmp_path / "reference.safetensors")}
    assert told(run("verify", "--json"))["models"][0]["state"] == "ok"
