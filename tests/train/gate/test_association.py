"""Stages C, D and E of the drum decoder, on dances of which every hit shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from d2midi_build.music.notes import Notes
from d2midi_build.recipe import Recipe
from d2midi_build.synthetic.releases import release
from d2midi_build.train.gate import heard
from d2midi_build.train.gate.association import (
    Association,
    association,
    association_records,
    tokens_records,
)
from d2midi_build.train.gate.counting import Counted
from d2midi_build.train.gate.drum_task import CROP_FRAMES, DrumTask, crops, drums_of, overfit_tokens
from d2midi_build.train.gate.heard import Heard
from d2midi_build.train.gate.pairs import Pair, real, shuffled
from d2midi_build.train.gate.records import Record
from tests.train.gate.made_up import clip

TINY: dict[str, Any] = {"width": 16, "layers": 1, "heads": 2}
GENRES = ("house", "latin")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def danced(number: int, split: str, genre: str = "house", n_frames: int = 320) -> Heard:
    """Hits at random, at each of which a joint moves."""
    at = np.sort(rng(number).choice(n_frames // 5, n_frames // 20, replace=False)) * 0.25
    clip_ = clip(f"v{number:03d}", split=split, genre=genre, n_frames=n_frames)
    features = np.zeros_like(clip_.features)
    features[np.round(at * 20).astype(int), 0] = 1.0
    return replace(clip_, notes=Notes.create(at, at + 0.1, 36, is_drum=True), features=features)


def clips() -> list[Heard]:
    splits = ("train",) * 8 + ("validation", "test", "test")
    return [danced(i, splits[i % 11], GENRES[i // 11 % 2]) for i in range(44)]


def learn(pairs: Sequence[Pair], music: Sequence[Heard], runs: Path, **options: Any) -> Association:
    return association(pairs, music, runs, **({"seeds": (0,), "steps": 60} | TINY | options))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Association:
    given = clips()
    return learn(real(given), given, tmp_path_factory.mktemp("runs"), rng=rng())


def named(records: list[Record], name: str) -> Record:
    (record,) = [each for each in records if each.name == name]
    return record


def made(own: Any, others: Any, bigram: float = 2.0, **changes: Any) -> Association:
    """What decoders might have found of sources."""
    own, others = np.array(own, float), np.array(others, float)
    n = own.shape[1]
    given: dict[str, Any] = {
        "sources": tuple(f"v{i}" for i in range(n)),
        "genres": tuple(GENRES[i % 2] for i in range(n)),
        "seeds": tuple(range(len(own))),
        "own": own,
        "others": others,
        "unigram": np.full(n, 3.0),
        "bigram": np.full(n, bigram),
        "n_train": 10,
        "left_out": 0,
        "first": None,
        "seconds": 1.0,
    }
    return Association(**(given | changes))


def test_drums_surprise_less_with_their_own_dance_than_with_others(found: Association) -> None:
    assert found.sources == tuple(f"v{i:03d}" for i in range(44) if i % 11 in (9, 10))
    assert (found.n_train, found.left_out) == (32, 0)
    assert found.gaps().min() > 0.1
    p = found.p(rng())
    assert p == 2**-8
    record = named(association_records(found, p, rng()), "drums.gap")
    assert (record.verdict, record.n) == ("pass", 8)


def test_on_music_mixed_up_within_genres_there_is_no_gap(found: Association, tmp_path: Path) -> None:
    given = clips()
    wrong = learn(shuffled(given, rng(3)), given, tmp_path, rng=rng())
    assert abs(wrong.gaps().mean()) < 0.1 * found.gaps().mean()


def test_a_run_that_was_made_is_taken_up_and_says_the_same(tmp_path: Path) -> None:
    given, told = clips()[:22], list[float]()
    short = partial(learn, real(given), given, tmp_path, steps=5, progress=told.append)
    first = short(rng=rng(), seeds=(0, 1))
    assert told[-1] == 1.0
    assert len(told) == 10
    told.clear()
    again = short(rng=rng(), seeds=(0, 1))
    assert not told
    np.testing.assert_array_equal(first.own, again.own)
    np.testing.assert_array_equal(first.others, again.others)


def test_a_seed_gives_the_same_numbers_on_a_synthetic_release(tmp_path: Path) -> None:
    small = Recipe().with_field("window.frames", 200).with_field("window.stride", 40)
    built = release(tmp_path / "made", tmp_path / "release", 3, sources=12, seconds=20.0, recipe=small)
    _, given = heard.read(built.folder)
    one, other = (learn(real(given), given, tmp_path / run, rng=rng(), steps=3) for run in ("one", "two"))
    np.testing.assert_array_equal(one.own, other.own)
    np.testing.assert_array_equal(one.others, other.others)
    assert len(one.sources) == sum(each.split == "test" for each in given)
    assert (one.bigram < one.unigram).all()


def test_other_dances_are_of_the_genre_held_out_and_of_no_common_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = clips()
    asked: list[tuple[Heard, Heard]] = []
    known = {crop.quads.tobytes(): crop for crop in crops(real(given), CROP_FRAMES)}

    def nats(self: DrumTask, views: Any, quads: Any) -> Any:
        for view, each in zip(views, quads, strict=True):
            asked.append((known[each.tobytes()].pair.dance, view.dance))
        return np.ones(len(quads))

    monkeypatch.setattr(DrumTask, "nats", nats)
    learn(real(given), given, tmp_path, rng=rng(), steps=1)
    own = [(music, dance) for music, dance in asked if music is dance]
    others = [(music, dance) for music, dance in asked if music is not dance]
    assert len(own) == 16
    assert len(others) == 4 * 16
    assert all(music.genre == dance.genre and dance.split != "train" for music, dance in others)


def test_a_genre_with_no_other_held_out_source_is_not_held_against_what_was_learnt(tmp_path: Path) -> None:
    given = [danced(i, "test" if i == 0 else "train") for i in range(4)]
    alone = learn(real(given), given, tmp_path, rng=rng(), steps=1)
    assert np.isnan(alone.others).all()
    assert alone.p(rng()) is None


def test_gaps_are_means_over_seeds_of_the_sources_that_have_others() -> None:
    it = made([[1.0, 2.0, 1.0], [1.0, 1.0, 1.0]], [[2.0, 2.5, np.nan], [4.0, 1.5, np.nan]])
    assert it.gaps().tolist() == [2.0, 0.5]
    assert it.p(rng()) == 0.25
    records = association_records(it, 0.25, rng())
    assert named(records, "drums.gap").value == 1.25
    assert named(records, "drums.gap").verdict == "fail"
    assert "Look whether sound and picture belong together" in named(records, "drums.gap").why
    assert named(records, "drums.gap seed=0").value == 0.75
    assert named(records, "drums.gap seed=1").value == 1.75
    assert named(records, "drums.gap genre=house").value == 2.0
    assert {each.verdict for each in records[1:]} == {"info"}


@pytest.mark.parametrize(("p", "verdict"), [(0.049, "pass"), (0.05, "fail")])
def test_the_corrected_p_decides(p: float, verdict: str) -> None:
    it = made([[1.0] * 8], [[2.0] * 8])
    assert named(association_records(it, p, rng()), "drums.gap").verdict == verdict


@pytest.mark.parametrize(("nats", "verdict"), [(1.94, "pass"), (1.96, "fail")])
def test_tokens_have_to_be_a_margin_below_the_bigram(nats: float, verdict: str) -> None:
    records = tokens_records(made([[nats, nats]], [[2.0, 2.0]]), rng())
    record = named(records, "tokens.nll")
    assert (record.value, record.threshold, record.verdict) == (nats, pytest.approx(1.95), verdict)
    assert named(records, "bigram.nll").value == 2.0
    assert named(records, "unigram.nll").value == 3.0
    assert ("transcribed as drums" in record.why) == (verdict == "fail")


def test_without_drums_everything_is_not_testable_and_says_where_they_lack(tmp_path: Path) -> None:
    def without(*splits: str) -> list[Heard]:
        return [
            replace(each, notes=Notes.create([], [], [])) if each.split in splits else each
            for each in clips()
        ]

    for splits, told in (
        (("train",), "no source of train has drums"),
        (("test",), "no source of the held-out splits has drums"),
        (
            ("train", "validation", "test"),
            "no source of train has drums and a dance, and no source of the held-out",
        ),
    ):
        given = without(*splits)
        it = learn(real(given), given, tmp_path, rng=rng(), steps=1)
        assert it.p(rng()) is None
        for (record,) in (association_records(it, it.p(rng()), rng()), tokens_records(it, rng())):
            assert record.verdict == "not-testable"
            assert told in record.why
            assert "add sources" in record.why
    record = overfit_tokens(real(without("train")), tmp_path)
    assert record.verdict == "not-testable"
    assert "no source of train has drums" in record.why


def test_a_source_alone_in_its_genre_is_not_compared_and_that_is_said(tmp_path: Path) -> None:
    given = [danced(0, "test", "latin"), *(danced(i, "train") for i in range(1, 4))]
    it = learn(real(given), given, tmp_path, rng=rng(), steps=1)
    (record,) = association_records(it, it.p(rng()), rng())
    assert record.verdict == "not-testable"
    assert "of 1 held-out sources with drums none has another source of its genre" in record.why
    assert len(tokens_records(it, rng())) == 4


def test_held_out_sources_without_drums_are_counted(tmp_path: Path) -> None:
    given = clips()
    given[9] = replace(given[9], notes=Notes.create([], [], []))
    given[10] = replace(given[10], present=np.zeros(320, np.bool_))
    it = learn(real(given), given, tmp_path, rng=rng(), steps=1)
    assert it.left_out == 2
    assert named(association_records(it, 0.5, rng()), "drums.left_out").value == 2


def test_a_bigram_by_hand() -> None:
    """One crop of no hit but one, and one of two: quads BOS (m HNA NT p0 n) (m HNA)x3 EOS."""
    times = (np.array([0.0]), np.array([0.0, 2.0]))
    one, two = (
        crops(real([replace(clip("v"), notes=Notes.create(at, at + 0.1, 36, is_drum=True))]), CROP_FRAMES)[0]
        for at in times
    )
    # One: 12 quads after BOS: m and HNA 4 times, NT, p0, n and EOS once: V = 6, P = (n + 1) / (12 + 7).
    known = Counted([one])
    unigram, bigram = known.nats(one)
    alone = {4: 5 / 19, 1: 2 / 19}
    assert unigram == pytest.approx(-8 * np.log(alone[4]) - 4 * np.log(alone[1]))
    after = [
        (1 + alone[4]) / 2,  # BOS m
        *[(4 + alone[4]) / 5] * 4,  # m HNA
        (1 + alone[1]) / 5,  # HNA NT
        *[(2 + alone[4]) / 5] * 2,  # HNA m
        (1 + alone[1]) / 5,  # HNA EOS
        *[(1 + alone[1]) / 2] * 2,  # NT p0, p0 n
        (1 + alone[4]) / 2,  # n m
    ]
    assert bigram == pytest.approx(-np.log(after).sum())
    assert known.nats(two)[1] > bigram


def test_crops_end_with_the_shorter_of_dance_and_music() -> None:
    long, short = danced(0, "test", n_frames=320), danced(1, "test", n_frames=200)
    assert [crop.start for crop in crops([Pair(long, long)], 40)] == [0, 40, 80, 120, 160]
    assert [crop.start for crop in crops([Pair(short, long)], 40)] == [0, 40]
    tiny = danced(2, "test", n_frames=100)
    (crop,) = crops([Pair(tiny, long)], 40)
    assert drums_of(long, 0, 100).onset_s.max() < 5.0
    assert not crop.view.features[100:].any()
    assert crop.view.features[:100].any()


def test_of_very_many_crops_some_of_all_clips_are_taken() -> None:
    given = real([danced(i, "train") for i in range(4)])
    assert len(crops(given, 40)) == 20
    chosen = crops(given, 40, most=8)
    assert len(chosen) == 8
    assert {crop.pair.dance.video_id for crop in chosen} == {pair.dance.video_id for pair in given}


def test_eight_crops_are_learnt_by_heart_and_too_few_updates_fail(tmp_path: Path) -> None:
    given = real(clips())
    learnt = overfit_tokens(given, tmp_path / "many", steps=120, width=32, layers=1)
    assert (learnt.verdict, learnt.n, learnt.threshold) == ("pass", 8, 0.3)
    record = overfit_tokens(given, tmp_path / "few", steps=2, **TINY)
    assert record.verdict == "fail"
    assert given[0].dance.clip_id in record.why
