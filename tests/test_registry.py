"""The list of weights that users brought."""

from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import pytest

from d2midi_build import registry
from d2midi_build.errors import UsageError
from d2midi_build.registry import Weights

MT3 = Weights("mt3", "mt3", Path("/weights/mt3"), "a" * 64, 6, 45_896_704, added="2026-11-26T19:00:00Z")
OTHER = replace(MT3, digest="b" * 64, path=Path("/weights/other"), added="2026-12-01T08:00:00Z")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "data" / "models.json"
    monkeypatch.setenv("D2MIDI_MODELS", str(path))
    return path


def test_what_is_registered_is_read_back(place: Path) -> None:
    assert registry.registered() == {}
    assert not place.parent.exists()  # looking makes nothing
    first = replace(MT3, name="z", licence="CC-BY-4.0", origin="https://example.org/ü")
    assert registry.add(first) == first
    assert registry.add(MT3) == MT3
    assert registry.registered() == {"mt3": MT3, "z": first}
    assert list(registry.registered()) == ["mt3", "z"]
    assert registry.required("z") == first
    assert {path.name for path in place.parent.iterdir()} == {"models.json", ".models.json.lock"}


def test_the_list_lies_in_the_users_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("D2MIDI_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    registry.add(MT3)
    assert (tmp_path / "xdg" / "d2midi" / "models.json").is_file()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for none in ("", "relative"):  # the XDG specification: relative paths are to be ignored
        monkeypatch.setenv("XDG_DATA_HOME", none)
        assert registry.place() == tmp_path / "home" / ".local" / "share" / "d2midi" / "models.json"


def test_the_same_weights_again_change_their_place_and_keep_what_is_known(place: Path) -> None:
    registry.add(replace(MT3, licence="Apache-2.0", origin="gs://mt3"))
    before = place.read_bytes()
    registry.add(replace(MT3, added="2027-01-01T00:00:00Z"))
    assert place.read_bytes() == before
    moved = registry.add(replace(MT3, path=Path("/elsewhere"), licence="other", added="2027-01-01T00:00:00Z"))
    assert moved == replace(MT3, path=Path("/elsewhere"), licence="other", origin="gs://mt3")
    assert registry.registered() == {"mt3": moved}


@pytest.mark.parametrize(
    "other",
    [OTHER, replace(MT3, num_heads=8), replace(MT3, kind="ismir2021")],
    ids=["digest", "heads", "kind"],
)
def test_other_weights_do_not_take_a_name_unasked(place: Path, other: Weights) -> None:
    registry.add(replace(MT3, licence="Apache-2.0"))
    before = place.read_bytes()
    with pytest.raises(UsageError, match=r"mt3 is taken by other weights .*/weights/mt3.*--name.*--replace"):
        registry.add(other)
    assert place.read_bytes() == before
    assert registry.add(other, replace=True) == other  # the old licence is not the new weights'
    assert registry.registered() == {"mt3": other}


def test_weights_are_forgotten_and_their_files_stay(tmp_path: Path, place: Path) -> None:
    with pytest.raises(UsageError, match=r"no model 'mt3' is registered .*d2midi models add"):
        registry.remove("mt3")
    assert not place.parent.exists()
    file = tmp_path / "mt3.safetensors"
    file.write_bytes(b"weights")
    registry.add(replace(MT3, path=file))
    registry.add(replace(OTHER, name="other"))
    assert registry.remove("mt3").path == file
    assert file.read_bytes() == b"weights"
    assert list(registry.registered()) == ["other"]
    with pytest.raises(UsageError, match=r"no model 'mt3' is registered \(registered are other\)"):
        registry.remove("mt3")


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "../mt3", "a b", "ü", "x" * 65, "mt3\n"])
def test_a_name_is_never_a_path(place: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a model"):
        registry.add(replace(MT3, name=name))
    assert not place.exists()


def test_weights_are_found_by_name_before_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mt3").mkdir()
    (tmp_path / "one.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match="neither a registered name nor a path"):
        registry.find("mt3")  # whatever lies here by that name
    assert registry.find("one.safetensors") == Path("one.safetensors")
    kept = registry.add(replace(MT3, path=tmp_path / "one.safetensors"))
    assert registry.find("mt3") == kept
    assert registry.find("./mt3") == Path("mt3")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert registry.find("~/one.safetensors") == tmp_path / "one.safetensors"


@pytest.mark.parametrize("name", ["mt3", "ismir2021", "none/mt3", "", "x" * 5_000, "a\0b"])
def test_what_is_not_found_is_told_with_the_way_out(name: str) -> None:
    which = "ismir2021" if name == "ismir2021" else "mt3"
    with pytest.raises(UsageError, match="none are registered") as caught:
        registry.find(name)
    assert f"gsutil -m cp -r gs://mt3/checkpoints/{which} .`" in str(caught.value)
    assert f"`d2midi models add ./{which}`" in str(caught.value)
    registry.add(replace(MT3, name="mine"))
    with pytest.raises(UsageError, match="registered are mine"):
        registry.find(name)


def test_registered_weights_that_are_gone_are_told(tmp_path: Path) -> None:
    registry.add(replace(MT3, path=tmp_path / "gone"))
    with pytest.raises(UsageError, match=r"not at .*gone any more.*`d2midi models add PATH --name mt3`"):
        registry.find("mt3")


LIST = {"format": "d2midi-models", "version": 1, "models": [MT3.data()]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no list of models"),
        (b"{", "no list of models"),
        (b'{"format": "d2midi-models", "version": 1, "models": [', "no list of models"),
        (b"\xff\xfe", "no list of models"),
        (b"[" * 100_000, "no list of models"),
        (b"[]", '"format": "d2midi-models"'),
        (b'{"version": 1}', '"format": "d2midi-models"'),
        (json.dumps(LIST | {"version": 2}).encode(), "version 2, and this d2midi reads 1: update d2midi"),
        (json.dumps(LIST | {"version": None}).encode(), "version None"),
        (json.dumps({"format": "d2midi-models", "version": 1}).encode(), "damaged: 'models'"),
        (json.dumps(LIST | {"models": {"mt3": {}}}).encode(), "damaged"),
        (json.dumps(LIST | {"models": [MT3.data() | {"num_heads": "6"}]}).encode(), "num_heads is '6'"),
        (
            json.dumps(LIST | {"models": [MT3.data() | {"n_parameters": True}]}).encode(),
            "n_parameters is True",
        ),
        (json.dumps(LIST | {"models": [{"name": "mt3"}]}).encode(), "damaged: 'kind'"),
        (json.dumps(LIST | {"models": None}).encode(), "damaged"),
    ],
)
def test_a_list_that_is_none_is_told_and_never_written_over(place: Path, content: bytes, words: str) -> None:
    place.parent.mkdir()
    place.write_bytes(content)
    for action in (registry.registered, lambda: registry.add(MT3), lambda: registry.remove("mt3")):
        with pytest.raises(UsageError) as caught:
            action()
        assert str(place) in str(caught.value)
        assert words in str(caught.value)
        assert "D2MIDI_MODELS" in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
    assert place.read_bytes() == content


def test_a_list_that_cannot_be_read_or_written_is_told(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.mkdir(parents=True)
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        registry.registered()
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("D2MIDI_MODELS", str(tmp_path / "file" / "models.json"))
    with pytest.raises(UsageError, match=r"cannot be changed: .*D2MIDI_MODELS"):
        registry.add(MT3)


def test_a_write_that_fails_leaves_the_list_as_it_was(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.add(MT3)
    before = place.read_bytes()

    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UsageError, match="No space left on device"):
        registry.add(replace(OTHER, name="other"))
    assert place.read_bytes() == before


def _add_some(first: int) -> None:
    for number in range(first, first + 10):
        registry.add(replace(MT3, name=f"m{number:03}"))


def test_several_processes_add_at_once() -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add_some, args=(first,)) for first in (0, 10, 20, 30)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    assert list(registry.registered()) == [f"m{number:03}" for number in range(40)]


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("D2MIDI_MODELS")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(UsageError, match=r"no home folder .*D2MIDI_MODELS"):
        registry.registered()


def test_somebody_who_is_not_there_is_no_path() -> None:
    with pytest.raises(UsageError, match="no weights '~nobody-of-that-name/mt3'"):
        registry.find("~nobody-of-that-name/mt3")


def test_a_link_to_a_list_stays_a_link(place: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    registry.add(MT3)
    place.rename(real)
    place.symlink_to(real)
    registry.remove(MT3.name)
    assert place.is_symlink()
    assert json.loads(real.read_text())["models"] == []


def test_others_may_lock_what_they_share(place: Path) -> None:
    before = os.umask(0o077)
    try:
        registry.add(MT3)
    finally:
        os.umask(before)
    assert place.with_name(f".{place.name}.lock").stat().st_mode & 0o777 == 0o666


def test_a_file_system_without_locks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(UsageError, match=r"cannot be changed: Function not implemented \(.*\.lock\)"):
        registry.add(MT3)
