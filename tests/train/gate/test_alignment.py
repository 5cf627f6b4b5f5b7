"""Stage F and the beats of stage C on made-up clips whose dances say when the beats are, or do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from d2midi_build.music.notes import Notes
from d2midi_build.train.gate import alignment, overfitting, pairs
from d2midi_build.train.gate.alignment import Gains, alignment_records, gains
from d2midi_build.train.gate.beat_task import CROP_FRAMES, BeatTask, crops, events_s, what_is_known
from d2midi_build.train.gate.dances import N_FEATURES
from d2midi_build.train.gate.heard import Heard, grouped
from d2midi_build.train.gate.pairs import Pair
from d2midi_build.train.gate.records import Record
from d2midi_build.train.models.beats import soft_beats
from tests.train.gate.made_up import clip

STEPS = 40


def beats(number: int, n_frames: int = 400) -> npt.NDArray[np.float64]:
    draw = np.random.default_rng(number)
    every = draw.uniform(0.4, 0.7)
    found = np.arange(draw.uniform(0, every), n_frames / 20, every)
    return np.asarray(found)


def danced(number: int, split: str, genre: str, said: float = 1.0) -> Heard:
    """Joints that are still on beats, and noise elsewhere; ``said`` is how much of that there is."""
    draw = np.random.default_rng((number, 1))
    known = beats(number)
    features = draw.normal(0, 0.3, (400, N_FEATURES)) - said * soft_beats(known, 400)[:, None]
    return clip(
        f"v{number:03d}",
        split=split,
        genre=genre,
        beats_s=known,
        tempo_bpm=60 / float(np.diff(known)[0]),
        features=features.astype(np.float16),
    )


def dataset(said: float = 1.0) -> list[Heard]:
    splits = ["train"] * 12 + ["validation"] * 2 + ["test"] * 10
    return [danced(i, split, ("house", "latin")[i % 2], said) for i, split in enumerate(splits)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Heard], Gains]:
    clips = dataset()
    found = gains(
        pairs.real(clips),
        clips,
        tmp_path_factory.mktemp("runs"),
        (0, 1),
        np.random.default_rng(0),
        steps=STEPS,
    )
    return clips, found


def named(records: list[Record], name: str) -> Record:
    (record,) = [each for each in records if each.name == name]
    return record


def test_dances_that_tell_the_beats_pass(told: tuple[list[Heard], Gains]) -> None:
    _, found = told
    rng = np.random.default_rng(0)
    p = found.p(rng)
    assert p == pytest.approx(2**-10)  # of ten test sources all ten gaps are positive
    records = alignment_records(found, p, rng)
    assert {each.verdict for each in records} == {"pass", "info"}
    assert named(records, "beats.gap").n == 10
    assert (named(records, "beats.f1").value or 0) > 0.8
    assert (named(records, "beats.f1").threshold or 1) < 0.6
    assert [each.name for each in records if "seed" in each.name] == ["beats.gap seed=0", "beats.gap seed=1"]
    assert [each.name for each in records if "genre" in each.name] == [
        "beats.gap genre=house",
        "beats.gap genre=latin",
    ]


def test_dances_that_tell_nothing_fail(tmp_path: Path) -> None:
    clips = dataset(said=0.0)
    rng = np.random.default_rng(0)
    found = gains(pairs.real(clips), clips, tmp_path, (0,), rng, steps=STEPS)
    p = found.p(rng)
    assert p is not None
    assert p > 0.01
    gap = named(alignment_records(found, p, rng), "beats.gap")
    assert gap.verdict == "fail"
    assert "belong together" in gap.why


def test_p_after_the_correction_decides_too(told: tuple[list[Heard], Gains]) -> None:
    """Of ten sources the least p is 2^-10; twice that is below the level, whatever fails beside it."""
    records = alignment_records(told[1], 0.9, np.random.default_rng(0))
    assert named(records, "beats.gap").verdict == "pass"
    mixed = replace(told[1], own=told[1].own * np.where(np.arange(10) < 3, -1, 1))
    assert named(alignment_records(mixed, 0.9, np.random.default_rng(0)), "beats.gain").verdict == "fail"


def test_a_head_that_knows_how_dense_beats_are_but_not_when_fails(told: tuple[list[Heard], Gains]) -> None:
    _, found = told
    rng = np.random.default_rng(0)
    unmoved = replace(found, shifted=np.stack([found.own * 0.9, found.own]))
    p = unmoved.p(rng)
    assert p is not None
    assert p < 0.005
    records = alignment_records(unmoved, p, rng)
    assert named(records, "beats.gap").verdict == named(records, "beats.gain").verdict == "pass"
    assert named(records, "beats.shift_250ms").verdict == "fail"
    assert "not when they are" in named(records, "beats.shift_250ms").why
    by_lot = replace(found, shifted=np.stack([found.own * np.where(np.arange(10) < 5, 3, -3), found.own]))
    assert (by_lot.p(rng) or 0) > 0.01


def test_fewer_than_eight_sources_are_not_testable_however_good_they_are(
    told: tuple[list[Heard], Gains],
) -> None:
    """2^-7 is .0078, and .0156 after Holm's correction."""
    _, found = told
    seven = replace(found, sources=(*found.sources[:7], *[found.sources[6]] * 3))
    assert seven.p(np.random.default_rng(0)) is None
    record = alignment_records(seven, None, np.random.default_rng(0))[0]
    assert record.verdict == "not-testable"
    assert "7 test sources can be compared, 8 are needed" in record.why


def test_cameras_on_one_dance_are_one_source(told: tuple[list[Heard], Gains]) -> None:
    clips, _ = told
    of_dances = [replace(each, apart=(each.video_id, "", f"dance{i // 8}")) for i, each in enumerate(clips)]
    assert {each.source for each in grouped(of_dances)} == {"v000", "v008", "v016"}
    chain = grouped([clip("a", song="s"), clip("b", song="s", owner="o"), clip("c", owner="o"), clip("d")])
    assert [each.source for each in chain] == ["a", "a", "a", "d"]


def test_a_finished_run_is_taken_up_and_says_the_same(tmp_path: Path) -> None:
    clips = dataset()

    def once() -> Gains:
        return gains(pairs.real(clips), clips, tmp_path, (0,), np.random.default_rng(0), steps=10)

    first, written = once(), (tmp_path / "beats-0" / "last.pt").stat().st_mtime_ns
    again = once()
    assert np.array_equal(first.own, again.own)
    assert np.array_equal(first.others, again.others)
    assert (tmp_path / "beats-0" / "last.pt").stat().st_mtime_ns == written


def test_gains_by_hand(tmp_path: Path) -> None:
    """A head that says the base rate gains nothing, whatever the tempo of the music it is held against."""
    clips = dataset()
    judge = alignment._Judge("beats", pairs.real([each for each in clips if each.split == "train"]))
    rate = np.mean([soft_beats(each.beats_s, 400).mean() for each in clips if each.split == "train"])
    prior = float(np.log(rate / (1 - rate)))
    fast, slow = clip("a", beats_s=np.arange(0, 20, 0.3)), clip("b", beats_s=np.arange(0, 20, 0.9))
    for music in (fast, slow):
        assert judge.gain(np.full(400, prior), Pair(clips[0], music)) == pytest.approx(0.0, abs=1e-6)
    # Certain and right in every frame: all of the prior's loss is gained.
    target = soft_beats(fast.beats_s, 400) == 1
    sure = np.where(target, 50.0, -50.0)
    half = (soft_beats(fast.beats_s, 400) == 0.5).mean()
    gained = judge.gain(sure, Pair(clips[0], fast))
    loss = np.mean(np.logaddexp(0, prior) - prior * soft_beats(fast.beats_s, 400))
    assert gained == pytest.approx(loss - 25 * half, rel=1e-5)


def test_frames_without_a_body_do_not_count() -> None:
    clips = dataset()
    judge = alignment._Judge("beats", pairs.real(clips[:4]))
    seen = np.ones(400, np.bool_)
    seen[100:] = False
    half = clip("h", beats_s=clips[0].beats_s, present=seen)
    logits = np.zeros(400)
    wrong = logits.copy()
    wrong[100:] = 99.0
    assert judge.gain(wrong, Pair(half, half)) == judge.gain(logits, Pair(half, half))


def test_music_without_beats_is_left_out_and_counted(tmp_path: Path) -> None:
    clips = dataset()
    clips[-1] = clip("v023", split="test", genre="latin", features=clips[-1].features)
    found = gains(pairs.real(clips), clips, tmp_path, (0,), np.random.default_rng(0), steps=2)
    assert found.left_out == 1
    records = alignment_records(found, 0.5, np.random.default_rng(0))
    assert named(records, "beats.left_out").value == 1


def test_without_any_beats_drums_are_looked_for() -> None:
    struck, key, drum = [1.0, 1.0, 2.0, 3.0], [36, 42, 38, 60], [True, True, True, False]
    drums = Notes.create(struck, [1.1, 1.1, 2.1, 3.5], key, is_drum=drum)
    with_drums = clip("d", notes=drums)
    assert what_is_known([with_drums]) == "drums"
    assert events_s(with_drums, "drums").tolist() == [1.0, 2.0]
    assert what_is_known([with_drums, clip("b", beats_s=np.array([1.0]))]) == "beats"


def test_nothing_to_compare_is_not_testable_and_no_error(tmp_path: Path) -> None:
    clips = [danced(0, "train", "house"), danced(1, "test", "latin")]
    found = gains(pairs.real(clips), clips, tmp_path, (0,), np.random.default_rng(0), steps=2)
    assert found.p(np.random.default_rng(0)) is None
    record = alignment_records(found, None, np.random.default_rng(0))[0]
    assert record.verdict == "not-testable"
    nobody = gains([], [], tmp_path / "none", (0,), np.random.default_rng(0), steps=2)
    assert alignment_records(nobody, nobody.p(np.random.default_rng(0)), np.random.default_rng(0))[0].n == 0


def test_crops_are_eight_seconds_every_two_and_one_of_a_short_clip() -> None:
    long, short = danced(0, "train", "house"), clip("s", n_frames=100, beats_s=np.array([1.0, 2.0]))
    assert [each.start for each in crops(pairs.real([long]), "beats")] == [0, 40, 80, 120, 160, 200, 240]
    assert [each.start for each in crops(pairs.real([short]), "beats")] == [0]
    task = BeatTask(crops(pairs.real([short]), "beats"), "beats", 0)
    batch = task.collate([task.dataset[0]])
    assert batch["features"].shape == (1, CROP_FRAMES, N_FEATURES)
    assert batch["seen"].sum() == 100
    assert batch["targets"][0, :100].numpy() == pytest.approx(soft_beats([1.0, 2.0], 100))


def test_eight_crops_are_learnt_by_heart(tmp_path: Path) -> None:
    record = overfitting.overfit_beats(pairs.real(dataset()), tmp_path, steps=100)
    assert (record.verdict, record.n) == ("pass", 8)
    assert (record.value or 0) > 0.9


def test_what_cannot_be_learnt_by_heart_fails_and_is_named(tmp_path: Path) -> None:
    silent = [
        clip(f"v{i:03d}", beats_s=beats(i), features=np.zeros((400, N_FEATURES), np.float16))
        for i in range(4)
    ]
    record = overfitting.overfit_beats(pairs.real(silent), tmp_path, steps=20)
    assert record.verdict == "fail"
    assert "v000_00000000, v001_00000000" in record.why
    nothing = overfitting.overfit_beats(pairs.real([clip("a")]), tmp_path / "none")
    assert nothing.verdict == "not-testable"
