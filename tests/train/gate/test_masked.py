"""Guessing what is masked of notes: learned where there is something to learn, and never out of nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from d2midi_build.errors import UsageError
from d2midi_build.music.notes import Notes
from d2midi_build.train.gate import masked, quad_task
from d2midi_build.train.gate.heard import Heard
from d2midi_build.train.gate.masked import guesses, masked_records
from d2midi_build.train.gate.quad_task import VALUES, Crop, Masked, QuadTask, blurred, crops, drawn
from d2midi_build.train.gate.records import Record
from d2midi_build.train.models.masked import ATTRIBUTES
from d2midi_build.train.tokens.vocabulary import (
    FIRST_DURATION,
    FIRST_INSTRUMENT,
    FIRST_PITCH,
    FIRST_TRACK,
    MASK,
    VOCABULARY,
)
from tests.train.gate.made_up import clip

BASS = 32
NAMES = [f"masked.{name}" for name in ATTRIBUTES]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def notes(step: Sequence[int], length: Sequence[int], pitch: Sequence[int], program: Sequence[int]) -> Notes:
    """Notes on the grid of 62.5 ms."""
    onset = np.asarray(step) / 16
    return Notes.create(onset, onset + np.asarray(length) / 16, pitch, program=np.asarray(program))


def tunes(split: str, count: int, kind: str = "tune") -> list[Heard]:
    """Clips of 8 s: piano and bass in step, whose pitch and length follow from the place in the measure, or noise."""
    draw = np.random.default_rng(sum(map(ord, split)))
    found = []
    for i in range(count):
        step = np.arange(0, 128, 4)
        if kind == "tune":
            piano = 60 + step % 32 // 4 * 2
            length = 1 + step % 32 // 8
            both = notes([*step, *step], [*length, *length], [*piano, *(piano - 24)], [0] * 32 + [BASS] * 32)
        else:
            both = notes(step, draw.integers(1, 5, 32), draw.integers(40, 90, 32), [0] * 32)
        found.append(clip(f"{split}{i:02d}", split=split, n_frames=160, notes=both))
    return found


@pytest.fixture(scope="module")
def music() -> list[Heard]:
    return [*tunes("train", 6), *tunes("test", 6)]


Run = tuple[Path, list[Record], list[float]]


@pytest.fixture(scope="module")
def run(music: list[Heard], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on tunes: its folder, what it says, and the progress it told."""
    folder, shares = tmp_path_factory.mktemp("masked"), list[float]()
    return folder, masked_records(music, folder, 0, shares.append), shares


def without_seconds(found: Sequence[Record]) -> list[Record]:
    return [replace(each, seconds=0.0) for each in found]


def test_music_that_follows_from_the_rest_is_guessed(run: Run) -> None:
    assert [(each.stage, each.name, each.n, each.verdict) for each in run[1]] == [
        ("D", name, 6, "pass") for name in NAMES
    ]
    for record in run[1]:
        assert record.value is not None and record.threshold is not None and record.ci is not None
        assert record.value > 0.9 and record.value > record.threshold
        assert record.ci[0] <= record.value <= record.ci[1]
        assert record.p == pytest.approx(2**-6)  # all six sources better: the least there is
    event, duration, track, instrument = (each.threshold or 0.0 for each in run[1])
    # Of 16 pitches each is as frequent, of 4 durations, of 2 instruments; what is drawn of them wavers.
    assert (event, duration, track, instrument) == pytest.approx((1 / 16, 1 / 4, 1 / 2, 1 / 2), abs=0.2)


def test_progress_rises_to_one(run: Run) -> None:
    shares = run[2]
    assert len(shares) > 100 and shares == sorted(shares) and shares[0] > 0 and shares[-1] == pytest.approx(1)


def test_the_same_folder_gives_the_same_answer_without_training_again(music: list[Heard], run: Run) -> None:
    shares: list[float] = []
    assert without_seconds(masked_records(music, run[0], 0, shares.append)) == without_seconds(run[1])
    assert len(shares) == 4


def test_a_folder_with_a_run_on_other_music_is_refused(music: list[Heard], run: Run) -> None:
    with pytest.raises(UsageError, match="is of a run with task"):
        masked_records([replace(music[0], notes=tunes("train", 1, "noise")[0].notes), *music[1:]], run[0], 0)


def test_the_seed_decides_all(music: list[Heard], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masked, "STEPS", 10)
    found = {
        name: masked_records(music, tmp_path / name, seed)
        for name, seed in (("once", 3), ("again", 3), ("o", 4))
    }
    weights = {
        name: torch.load(tmp_path / name / "last.pt", weights_only=True)["model"]["place.weight"]
        for name in found
    }
    assert torch.equal(weights["once"], weights["again"]) and not torch.equal(weights["once"], weights["o"])
    assert without_seconds(found["once"]) == without_seconds(found["again"])


def test_pitches_and_durations_drawn_by_lot_are_not_guessed(tmp_path: Path) -> None:
    noise = [*tunes("train", 6, "noise"), *tunes("test", 6, "noise")]
    event, duration, track, instrument = masked_records(noise, tmp_path, 0)
    assert (event.verdict, duration.verdict) == ("fail", "fail")
    assert "always guessing the most frequent value of train" in event.why
    # One instrument plays: nothing is to be guessed of it.
    assert (track.verdict, instrument.verdict) == ("not-testable", "not-testable")
    assert "all notes of train have the same instrument, Y0" in instrument.why


def test_crops_are_two_measures_each_with_their_places() -> None:
    # Piano in measures 0, 1 and 4; of 5.5 measures the last whole two are 4 and 5, which is none.
    some = notes([0, 5, 40, 130], [1, 2, 3, 4], [60, 61, 62, 63], [0, 0, 0, 0])
    (found,) = crops(clip("a", n_frames=220, notes=some))
    where = found.notes
    assert found.quads[where].tolist() == [
        [FIRST_PITCH + pitch, FIRST_DURATION + length, FIRST_TRACK, FIRST_INSTRUMENT]
        for pitch, length in ((60, 1), (61, 2), (62, 3))
    ]
    assert found.place[where].tolist() == [4, 14, 20]  # 2 s + 4
    assert found.measure[where].tolist() == [0, 0, 1] and set(found.measure.tolist()) == {0, 1}
    assert [VOCABULARY.event[number] for number in found.quads[found.measure == 1, 0]] == [
        "m32", "HNA", "NT", "p8", "n62",
    ]  # fmt: skip
    assert crops(clip("a", n_frames=79, notes=some)) == []
    assert len(crops(clip("a", n_frames=240, notes=some))) == 2


def test_notes_beyond_the_last_frame_are_no_error() -> None:
    late = notes([0, 1000], [1, 1], [60, 60], [0, 0])
    (found,) = crops(clip("a", n_frames=100, notes=late))
    assert len(found.notes) == 1


def crowded() -> Crop:
    """40 notes in the first measure, 4 in the second."""
    step = [*range(20), *range(20), 32, 40, 50, 56]
    return crops(clip("a", n_frames=80, notes=notes(step, [1] * 44, [60] * 20 + [72] * 24, [0] * 44)))[0]


def test_of_each_measure_fifteen_in_a_hundred_notes_are_drawn_and_at_least_one() -> None:
    crop = crowded()
    for seed in range(10):
        at = drawn(crop, np.random.default_rng(seed))
        assert set(at) <= set(crop.notes.tolist()) and len(set(at)) == len(at)
        assert np.bincount(crop.measure[at]).tolist() == [6, 1]
    firsts = {int(drawn(crop, np.random.default_rng(seed))[0]) for seed in range(50)}
    assert len(firsts) > 5


@pytest.mark.parametrize("attribute", range(4))
def test_eight_in_ten_become_mask_one_any_value_one_stays(attribute: int) -> None:
    crop, rng = crowded(), np.random.default_rng(0)
    found = [blurred(crop, attribute, rng) for _ in range(600)]
    given, wanted = (np.concatenate([getattr(each, name) for each in found]) for name in ("given", "wanted"))
    masks, same = given == MASK, given == wanted
    any_value = ~masks & ~same
    assert masks.mean() == pytest.approx(0.8, abs=0.03)
    chance = 1 / len(VALUES[attribute])
    assert same.mean() == pytest.approx(0.1 + 0.1 * chance, abs=0.03)
    assert any_value.mean() == pytest.approx(0.1 * (1 - chance), abs=0.03)
    assert set(given[any_value]) <= set(VALUES[attribute]) and len(set(given[any_value])) > 20


def test_only_what_is_masked_is_hidden_from_the_model() -> None:
    short, long = crops(tunes("x", 1)[0])[0], crowded()
    rng = np.random.default_rng(0)
    examples = [quad_task.masked(short, 0, rng), quad_task.masked(long, 3, rng)]
    task = QuadTask([short, long], 0)
    batch = {name: each.numpy() for name, each in task.collate(examples).items()}
    n = len(long.quads), len(short.quads)
    assert batch["quads"].shape == (2, max(n), 4) and batch["absent"].sum() == abs(n[0] - n[1])
    for row, (crop, example) in enumerate(zip((short, long), examples, strict=True)):
        seen = batch["quads"][row, : len(crop.quads)]
        different = np.argwhere(seen != crop.quads)
        assert different.tolist() == [[at, example.attribute] for at in example.at]
        assert (seen[example.at, example.attribute] == MASK).all()
    flat = batch["quads"].reshape(-1, 4)[batch["rows"], batch["attribute"]]
    assert (flat == MASK).all()
    assert batch["wanted"].tolist() == [*examples[0].wanted, *examples[1].wanted]
    assert task.weight(task.collate(examples)) == len(batch["wanted"])


def lost(task: QuadTask, examples: Sequence[Masked]) -> tuple[float, dict[str, float]]:
    """The loss of a batch, and of attributes."""
    task.model.eval()
    with torch.no_grad():
        loss, parts = task.loss(task.collate(examples))
    return float(loss), {name: float(value) for name, value in parts.items()}


def test_the_loss_is_the_mean_over_masked_values() -> None:
    crop, rng = crowded(), np.random.default_rng(0)
    examples = [quad_task.masked(crop, attribute, rng) for attribute in (0, 1, 1)]
    task = QuadTask([crop], 0)
    each = [lost(task, [example])[0] for example in examples]
    together, parts = lost(task, examples)
    assert together == pytest.approx(np.mean(each), rel=1e-5)
    assert parts == {
        "event": pytest.approx(each[0], rel=1e-5),
        "duration": pytest.approx((each[1] + each[2]) / 2, rel=1e-5),
    }


def test_absent_quads_change_nothing() -> None:
    short, long = crops(tunes("x", 1)[0])[0], crowded()
    task = QuadTask([short], 0)
    examples = [quad_task.masked(crop, 0, np.random.default_rng(0)) for crop in (short, long)]
    assert len(short.quads) != len(long.quads)
    alone = [lost(task, [each])[0] for each in examples]
    n = [len(each.at) for each in examples]
    assert lost(task, examples)[0] == pytest.approx(np.average(alone, weights=n), rel=1e-5)


class Knowing(QuadTask):
    """Guesses the first masked value of every example and no other."""

    def guessed(self, examples: Sequence[Masked]) -> list[np.ndarray]:
        return [np.arange(len(each.at)) == 0 for each in examples]


def test_shares_are_of_a_source_over_all_its_crops() -> None:
    mine = crops(tunes("x", 1)[0])
    found = guesses(Knowing([crowded()], 0), 1, {"one": mine, "other": [crowded()]}, np.random.default_rng(0))
    # Of the tune 2 of 16 notes in each of 2 measures of 2 crops; of the other 6 and 1.
    assert found.model == pytest.approx([2 / 8, 1 / 7])
    assert VOCABULARY.duration[found.constant_id] == "R1" and found.constant[1] == 1.0
    assert 0 <= found.constant[0] < 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"notes": Notes.create([], [], [])}, "train has no clip of 4 s with notes"),
        ({"n_frames": 79}, "train has no clip of 4 s with notes"),
        ({"split": "test"}, "train has no clip of 4 s with notes"),
        ({"split": "train"}, "0 test sources have a clip of 4 s with notes, 5 are needed: 5 more"),
        ({"source": "one"}, "1 test sources have a clip of 4 s with notes, 5 are needed: 4 more"),
    ],
)
def test_too_little_is_not_testable_and_says_why(
    tmp_path: Path, music: list[Heard], change: dict[str, object], words: str
) -> None:
    found = masked_records([replace(each, **change) for each in music], tmp_path, 0)  # type: ignore[arg-type]
    assert [(each.name, each.verdict, each.value) for each in found] == [
        (name, "not-testable", None) for name in NAMES
    ]
    assert all(words in each.why for each in found)


def test_no_clips_at_all_are_not_testable(tmp_path: Path) -> None:
    assert {each.verdict for each in masked_records([], tmp_path, 0)} == {"not-testable"}
