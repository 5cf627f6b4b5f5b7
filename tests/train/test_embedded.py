"""Training of the embedded transcriber: examples, crops, a small run from soundfont to notes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import d2midi_build.train.embedded.training as training  # noqa: E402
from d2midi_build.digests import sha256_file  # noqa: E402
from d2midi_build.errors import UsageError  # noqa: E402
from d2midi_build.music.synthesis import default_soundfont, synthesise  # noqa: E402
from d2midi_build.synthetic.arrangement import arrange  # noqa: E402
from d2midi_build.train.embedded import fonts  # noqa: E402
from d2midi_build.train.embedded.crops import batches, crop  # noqa: E402
from d2midi_build.train.embedded.data import Example, example  # noqa: E402
from d2midi_build.transcribers.embedded import Embedded  # noqa: E402
from d2midi_build.transcribers.embedded.decode import CHUNK_FRAMES, candidates  # noqa: E402
from d2midi_build.transcribers.embedded.features import FRAME_S  # noqa: E402


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("examples")
    files = [folder / f"{i}.npz" for i in range(2)]
    for i, file in enumerate(files):
        example((1, i), [default_soundfont()]).save(file)
    return files


def test_arrangements_are_the_seed_s_and_playable() -> None:
    kinds, drums = set(), 0
    for seed in range(60):
        parts = arrange(np.random.default_rng(seed), 12.0)
        again = arrange(np.random.default_rng(seed), 12.0)
        assert [part.notes for part in parts] == [part.notes for part in again]
        for part in parts:
            assert part.notes.offset_s.max() <= 12.0 and part.notes.pitch.min() >= 21
            assert part.notes.pitch.max() <= 108 and len(set(part.notes.is_drum)) == 1
            kinds |= set(part.notes.pitched().instrument)
            drums += bool(part.notes.is_drum[0])
    assert len(kinds) == 12 and 30 < drums < 60


def test_an_example_holds_what_is_played(examples: list[Path]) -> None:
    made = Example.load(examples[0])
    assert made.spectra.shape[1] == made.activations.shape[1] == len(made.drums) // 2 >= 2 * CHUNK_FRAMES
    assert len(made.notes) + len(made.hits) > 20
    again = example((1, 0), [default_soundfont()])
    assert np.array_equal(made.notes, again.notes) and np.array_equal(made.spectra, again.spectra)


def test_targets_decode_to_the_notes_they_were_made_of(examples: list[Path]) -> None:
    made = Example.load(examples[1])
    for seed in range(4):
        drawn = crop(np.random.default_rng(seed), made)
        instrument = drawn["instrument"]
        found = candidates(drawn["onset"], drawn["frame"], instrument, drawn["onset"], 2, CHUNK_FRAMES - 2)
        assert len(found.frame) and found.strength.min() > 0.88
        assert (found.instruments.max(axis=1) > 0.9).all()
    plain = crop(np.random.default_rng(0), made)
    again = crop(np.random.default_rng(0), made)
    assert all(np.array_equal(plain[name], again[name]) for name in plain)


def test_batches_go_on_where_a_run_stopped(examples: list[Path]) -> None:
    whole = batches(examples, 7, 1)
    next(whole), next(whole)
    assert np.array_equal(next(whole)["onset"], next(batches(examples, 7, 1, first=2))["onset"])


class _StoppedError(Exception):
    pass


def test_a_stopped_run_goes_on_to_the_same_weights(
    examples: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(training, "_SAVE_EVERY", 1)
    monkeypatch.setattr(training, "_BATCH", 1)

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    stops = ["training", "instruments"]

    def stop_after_one(what: str, done: int, total: int) -> None:
        if stops and what.startswith(stops[0]):
            stops.pop(0)
            raise _StoppedError

    whole = training.train(examples, tmp_path / "a", 2, 2, "cpu", lambda *_: None)
    for _ in range(2):
        with pytest.raises(_StoppedError):
            training.train(examples, tmp_path / "b", 2, 2, "cpu", stop_after_one)
    stopped = training.train(examples, tmp_path / "b", 2, 2, "cpu", lambda *_: None)
    for (name, one), (_, other) in zip(whole.state_dict().items(), stopped.state_dict().items(), strict=True):
        assert torch.allclose(one.float(), other.float(), rtol=1e-3, atol=1e-5), name


@pytest.mark.slow
def test_from_a_soundfont_to_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_BATCH", 1)
    told: list[str] = []
    said = training.train_embedded(
        tmp_path / "out",
        tmp_path / "work",
        [default_soundfont()],
        [default_soundfont()],
        lambda what, done, total: told.append(what),
        pieces=2,
        calibration_pieces=2,
        n_batches=2,
        n_instrument_batches=2,
    )
    assert said == json.loads((tmp_path / "out" / "provenance.json").read_text(encoding="utf-8"))
    assert said["soundfonts"][0]["sha256"] == sha256_file(default_soundfont())
    assert {what.partition(" ")[0] for what in told} == {"examples", "training", "instruments"}
    song = arrange(np.random.default_rng(3), 6.0)[0].notes
    Embedded(tmp_path / "out").transcribe(
        synthesise(song, 22_050), 22_050
    )  # a bad network, but one that runs


def test_missing_and_wrong_soundfonts_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sonivox.sf2").write_bytes(b"another")
    with pytest.raises(UsageError, match=r"another version; it comes from: npm package"):
        fonts.find([tmp_path], "calibration")
    with pytest.raises(UsageError, match=r"FluidR3_GM.sf2 is missing; it comes from: Debian package"):
        fonts.find([tmp_path], "training")
    mine = fonts.Font("a.sf2", sha256_file(tmp_path / "sonivox.sf2"), "calibration", "MIT", "here")
    (tmp_path / "sonivox.sf2").rename(tmp_path / "a.sf2")
    monkeypatch.setattr(fonts, "FONTS", (mine,))
    assert fonts.find([tmp_path], "calibration") == [tmp_path / "a.sf2"]


def test_no_soundfont_is_for_both_and_the_demo_s_is_for_neither() -> None:
    roles = {font.sha256: font.role for font in fonts.FONTS}
    assert len(roles) == len(fonts.FONTS) and sha256_file(default_soundfont()) not in roles


def test_frames_are_short_enough_for_onsets() -> None:
    assert FRAME_S < 0.025
