"""Training of the embedded transcriber: examples, crops, a small run from soundfont to notes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import d2midi_build.train.embedded.fitting as fitting  # noqa: E402
import d2midi_build.train.embedded.training as training  # noqa: E402
from d2midi_build.digests import sha256_file  # noqa: E402
from d2midi_build.errors import UsageError  # noqa: E402
from d2midi_build.music.notes import Notes  # noqa: E402
from d2midi_build.music.synthesis import default_soundfont, synthesise  # noqa: E402
from d2midi_build.synthetic.arrangement import Part, arrange  # noqa: E402
from d2midi_build.train.embedded import fonts  # noqa: E402
from d2midi_build.train.embedded.crops import batches, crop, drum_batches  # noqa: E402
from d2midi_build.train.embedded.data import Example, _played, example, noise  # noqa: E402
from d2midi_build.train.embedded.described import Described, describe_example, stretches  # noqa: E402
from d2midi_build.train.embedded.network import N_COLUMNS, NoteNetwork  # noqa: E402
from d2midi_build.transcribers.embedded import WEIGHTS, Embedded  # noqa: E402
from d2midi_build.transcribers.embedded.decode import CHUNK_FRAMES, FRAMES_PER_STEP, note_peaks  # noqa: E402
from d2midi_build.transcribers.embedded.features import FRAME_S, drum_band_hz  # noqa: E402
from d2midi_build.transcribers.embedded.model import Ear  # noqa: E402


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
        found = note_peaks(drawn["onset"], 2, CHUNK_FRAMES - 2)
        assert len(found.k) and found.strength.min() > 0.88
        assert (drawn["instrument"][:, found.k // FRAMES_PER_STEP, found.row].max(axis=0) > 0.9).all()
    plain = crop(np.random.default_rng(0), made)
    again = crop(np.random.default_rng(0), made)
    assert all(np.array_equal(plain[name], again[name]) for name in plain)


def test_batches_go_on_where_a_run_stopped(examples: list[Path]) -> None:
    whole = batches(examples, 7, 1)
    next(whole), next(whole)
    assert np.array_equal(next(whole)["onset"], next(batches(examples, 7, 1, first=2))["onset"])


def test_drum_batches_go_on_too_and_lose_their_treble_now_and_then(examples: list[Path]) -> None:
    whole = drum_batches(examples, 7, 1)
    drawn = [next(whole) for _ in range(20)]
    again = next(drum_batches(examples, 7, 1, first=3))
    assert np.array_equal(drawn[3]["drums"], again["drums"]) and np.array_equal(
        drawn[3]["hits"], again["hits"]
    )
    dull = [not each["drums"][..., drum_band_hz() > 9_000].any() for each in drawn]
    assert 2 <= sum(dull) <= 12


def test_an_instrument_s_body_changes_its_colour_and_not_its_notes() -> None:
    fonts_ = [default_soundfont()]
    plain, other = example((1, 5), fonts_), example((1, 5), fonts_, other_bodies=True)
    assert np.array_equal(plain.notes, other.notes) and np.array_equal(plain.hits, other.hits)
    assert not np.array_equal(plain.spectra, other.spectra)
    part = Part(Notes.create(np.array([1.0, 2.0]), np.array([1.5, 2.5]), np.array([60, 69]), 100, 0), 0, 0.0)
    for body in (0, 5):
        sound = _played(part, 3 * 44_100, fonts_[0], body)
        for onset_s, pitch in ((1.0, 60), (2.0, 69)):
            first = round(onset_s * 44_100)
            assert (
                np.abs(sound[first - 2_000 : first - 500]).max() < 0.3 * np.abs(sound[first:][:8_000]).max()
            )
            spectrum = np.abs(np.fft.rfft(sound[first : first + 17_640] * np.hanning(17_640)))
            at = round(0.4 * 440 * 2 ** ((pitch - 69) / 12))  # bins of 2.5 Hz
            assert spectrum[at] > 10 * np.median(spectrum[:800]), (body, pitch)


@pytest.mark.parametrize("number", range(3))
def test_noise_has_no_notes(number: int) -> None:
    made = noise((3, number))
    assert not len(made.notes) and not len(made.hits) and made.spectra.max() > 0.2
    again = noise((3, number))
    assert np.array_equal(made.spectra, again.spectra)


@pytest.fixture(scope="module")
def described(examples: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Described]:
    folder = tmp_path_factory.mktemp("described")
    for number in range(len(examples)):
        describe_example(WEIGHTS, examples, 1, number, folder / f"{number}.npz")
    return [Described.load(folder / f"{number}.npz") for number in range(len(examples))]


def test_candidates_are_right_where_there_are_notes(described: list[Described], examples: list[Path]) -> None:
    made = Described.of(Ear(WEIGHTS), Example.load(examples[0]))
    notes = Example.load(examples[0]).notes
    assert made.description.shape == (len(made.frame), N_COLUMNS) and np.isfinite(made.description).all()
    assert 0.3 * len(notes) < made.right.sum() <= len(notes)  # the network hears most of them
    assert (made.plays[made.right].sum(axis=1) >= 1).all()
    for i in np.flatnonzero(made.right)[:20]:
        close = (np.abs(notes[:, 0] - made.frame[i] * FRAME_S) <= 0.05) & (notes[:, 2] == made.pitch[i])
        assert set(notes[close, 3].astype(int)) == set(np.flatnonzero(made.plays[i]))


def test_stretches_go_on_where_a_run_stopped(described: list[Described]) -> None:
    whole = stretches(described, 7, 2)
    drawn = [next(whole) for _ in range(3)][2]
    again = next(stretches(described, 7, 2, first=2))
    assert all(np.array_equal(drawn[name], again[name]) for name in drawn)
    assert drawn["description"].shape == (*drawn["absent"].shape, N_COLUMNS)
    assert not drawn["right"][drawn["absent"]].any() and drawn["time_s"].max() <= 21


class _StoppedError(Exception):
    pass


def test_a_stopped_run_goes_on_to_the_same_weights(
    examples: list[Path], described: list[Described], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(fitting, "_SAVE_EVERY", 1)
    for size in ("_BATCH", "_DRUM_BATCH", "_NOTE_BATCH"):
        monkeypatch.setattr(fitting, size, 1)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    stops = ["everything", "drums", "notes"]

    def stop_after_one(what: str, done: int, total: int) -> None:
        if stops and what.startswith(stops[0]):
            stops.pop(0)
            raise _StoppedError

    def run(folder: Path, progress: fitting.Progress) -> list[torch.nn.Module]:
        first = fitting.train(examples, folder, fitting.Batches(2, 2, 2), "cpu", progress)
        return [first, fitting.train_notes(described, folder, 2, "cpu", progress)]

    whole = run(tmp_path / "a", lambda *_: None)
    for _ in range(3):
        with pytest.raises(_StoppedError):
            run(tmp_path / "b", stop_after_one)
    stopped = run(tmp_path / "b", stop_after_one)
    for one, other in zip(whole, stopped, strict=True):
        for (name, value), (_, again) in zip(
            one.state_dict().items(), other.state_dict().items(), strict=True
        ):
            assert torch.allclose(value.float(), again.float(), rtol=1e-3, atol=1e-5), name


def test_absent_rows_change_nothing(described: list[Described]) -> None:
    network = NoteNetwork(torch.zeros(N_COLUMNS), torch.ones(N_COLUMNS)).eval()
    rows = {name: torch.from_numpy(each) for name, each in next(stretches(described, 3, 2)).items()}
    rows = {name: each[:1, :50] for name, each in rows.items()}
    filled = {name: torch.cat([each, torch.full_like(each, 3)], dim=1) for name, each in rows.items()}
    filled["absent"] = torch.arange(100)[None] >= 50
    with torch.no_grad():
        one = network(rows["description"], rows["time_s"], rows["pitch"], rows["absent"])
        other = network(filled["description"], filled["time_s"], filled["pitch"], filled["absent"])
    assert torch.allclose(one, other[:, :50], atol=1e-4)


@pytest.mark.slow
def test_from_a_soundfont_to_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in ("_BATCH", "_DRUM_BATCH", "_NOTE_BATCH"):
        monkeypatch.setattr(fitting, size, 1)
    told: list[str] = []
    said = training.train_embedded(
        tmp_path / "out",
        tmp_path / "work",
        [default_soundfont()],
        [default_soundfont()],
        lambda what, done, total: told.append(what),
        pieces=2,
        calibration_pieces=2,
        n_batches=fitting.Batches(2, 2, 2),
    )
    assert said == json.loads((tmp_path / "out" / "provenance.json").read_text(encoding="utf-8"))
    assert said["soundfonts"][0]["sha256"] == sha256_file(default_soundfont())
    assert {what.partition(" ")[0] for what in told} == {
        *("examples", "everything", "drums", "noises", "descriptions", "notes"),
    }
    song = arrange(np.random.default_rng(3), 6.0)[0].notes
    # A bad network, but one that runs.
    found = Embedded(tmp_path / "out").transcribe(synthesise(song, 22_050), 22_050)
    assert set(found.origin) <= {"embedded"}


def test_a_work_folder_is_used_for_what_it_was_begun_for(tmp_path: Path) -> None:
    training._begin(tmp_path / "work", "[1000]")
    training._begin(tmp_path / "work", "[1000]")
    with pytest.raises(
        UsageError, match=r"work was begun with other soundfonts, pieces or batches: give another"
    ):
        training._begin(tmp_path / "work", "[500]")


def test_a_file_that_is_no_soundfont_is_named_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "bad.sf2").write_bytes(b"not a soundfont")
    fonts_ = [default_soundfont()], [tmp_path / "bad.sf2"]
    with pytest.raises(UsageError, match=r"bad\.sf2"):
        training.train_embedded(tmp_path / "out", tmp_path / "out" / "work", *fonts_, lambda *_: None)
    assert not (tmp_path / "out").exists()


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
