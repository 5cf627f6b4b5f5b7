"""Genre from the dance: learned where there is something to learn, and never out of nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from d2midi_build.errors import UsageError
from d2midi_build.train.gate import styles
from d2midi_build.train.gate.dances import N_FEATURES
from d2midi_build.train.gate.heard import Heard
from d2midi_build.train.gate.records import Record
from d2midi_build.train.gate.styles import StyleTask, crops, style_records, threshold
from tests.train.gate.made_up import clip

GENRES = ("ballet", "house", "latin")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def dances(split: str, count: int, labels: str = "right") -> list[Heard]:
    """Sources of three kinds, that move a third of the joints most, with the genre of the kind or with any genre."""
    draw = np.random.default_rng(sum(map(ord, split)))
    found = []
    for i in range(count):
        features = draw.normal(0, 0.3, (240, N_FEATURES))
        features[:, 13 * (i % 3) : 13 * (i % 3 + 1)] *= 3
        genre = GENRES[i % 3] if labels == "right" else GENRES[i // 3 % 3]
        name = f"{split}{i:02d}"
        found.append(clip(name, split=split, genre=genre, n_frames=240, features=features.astype(np.float16)))
    return found


@pytest.fixture(scope="module")
def right() -> list[Heard]:
    return [*dances("train", 18), *dances("test", 18)]


@pytest.fixture(scope="module")
def told(
    right: list[Heard], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Record], list[float]]:
    """A run on dances that can be told: its folder, what it says, and the progress it told."""
    folder, shares = tmp_path_factory.mktemp("styles"), list[float]()
    return folder, style_records(right, folder, 0, shares.append), shares


def without_seconds(found: Sequence[Record]) -> list[Record]:
    return [replace(each, seconds=0.0) for each in found]


def test_genres_that_are_danced_differently_are_told(told: tuple[Path, list[Record], list[float]]) -> None:
    first, *rest = told[1]
    assert (first.stage, first.name, first.verdict, first.n) == ("D", "style.accuracy", "pass", 18)
    assert first.value is not None and first.value > 0.9
    # 1/3 + 2 sqrt(1/3 * 2/3 / 18), by hand.
    assert first.threshold == pytest.approx(1 / 3 + 2 / 9)
    assert first.ci is not None and first.ci[0] <= first.value <= first.ci[1]
    assert first.p is not None and first.p < 1e-5
    assert [(each.name, each.n, each.verdict) for each in rest] == [
        (f"style.accuracy genre={genre}", 6, "info") for genre in GENRES
    ]
    assert np.mean([each.value for each in rest if each.value is not None]) == pytest.approx(first.value)


def test_progress_rises_to_one(told: tuple[Path, list[Record], list[float]]) -> None:
    shares = told[2]
    assert len(shares) > 100 and shares == sorted(shares) and shares[0] > 0 and shares[-1] == 1.0


def test_the_same_folder_gives_the_same_answer_without_training_again(
    right: list[Heard], told: tuple[Path, list[Record], list[float]]
) -> None:
    shares: list[float] = []
    assert without_seconds(style_records(right, told[0], 0, shares.append)) == without_seconds(told[1])
    assert shares == [1.0]


def test_a_folder_with_a_run_on_other_dances_is_refused(
    right: list[Heard], told: tuple[Path, list[Record], list[float]]
) -> None:
    other = [replace(right[0], features=right[1].features), *right[1:]]
    with pytest.raises(UsageError, match="is of a run with task"):
        style_records(other, told[0], 0)


def test_the_seed_decides_all(
    right: list[Heard],
    told: tuple[Path, list[Record], list[float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(styles, "STEPS", 20)
    seeds = {"once": 3, "again": 3, "other": 4}
    weights = {}
    for name, seed in seeds.items():
        style_records(right, tmp_path / name, seed)
        weights[name] = torch.load(tmp_path / name / "last.pt", weights_only=True)["model"]["told.weight"]
    assert torch.equal(weights["once"], weights["again"])
    assert not torch.equal(weights["once"], weights["other"])
    one, other = (without_seconds(style_records(right, tmp_path / name, 3)) for name in ("once", "again"))
    assert one == other


def test_labels_that_have_nothing_to_do_with_the_dance_fail(tmp_path: Path) -> None:
    mixed = [*dances("train", 18, "any"), *dances("test", 18, "any")]
    first = style_records(mixed, tmp_path, 0)[0]
    assert first.verdict == "fail"
    assert first.value is not None and first.value < 0.5
    assert "labels mixed up" in first.why


def test_a_source_is_told_by_all_its_crops_and_counts_once(right: list[Heard]) -> None:
    task = StyleTask(right[:18], 0)
    mine = crops([right[0]])
    assert task.told(mine).sum() == pytest.approx(1)
    each = [task.told([crop]) for crop in mine]
    assert task.told(mine) == pytest.approx(np.mean(each, axis=0), abs=1e-6)


def test_crops_are_counted_by_hand() -> None:
    def starts(**fields: object) -> list[int]:
        return [crop.start for crop in crops([clip("a", **fields)])]  # type: ignore[arg-type]

    assert starts(n_frames=240) == [0, 40, 80]
    assert starts(n_frames=160) == starts(n_frames=199) == [0]
    assert starts(n_frames=159) == starts(n_frames=400, genre="") == []
    seen = np.zeros(400, np.bool_)
    seen[0] = seen[399] = True
    assert starts(n_frames=400, present=seen) == [0, 240]


def test_two_standard_errors_above_the_most_frequent() -> None:
    assert threshold(["a"] * 6 + ["b"] * 3) == pytest.approx(2 / 3 + 2 * np.sqrt(2 / 81))
    assert threshold(["a"] * 9) == 1.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"genre": ""}, "0 genres (no clip has a label), 2 are needed"),
        ({"genre": "house"}, "1 genres (all of it is house), 2 are needed"),
        ({"features": np.zeros((100, N_FEATURES), np.float16)}, "train has 0 genres with clips of 8 s"),
        ({"present": np.zeros(240, np.bool_)}, "train has 0 genres with clips of 8 s in which a body is seen"),
        ({"split": "train"}, "too few of different genres (none)"),
        ({"split": "test"}, "train has 0 genres"),
    ],
)  # fmt: skip
def test_too_little_is_not_testable_and_says_why(
    tmp_path: Path, right: list[Heard], change: dict[str, object], words: str
) -> None:
    (found,) = style_records([replace(each, **change) for each in right], tmp_path, 0)  # type: ignore[arg-type]
    assert (found.name, found.verdict, found.value) == ("style.accuracy", "not-testable", None)
    assert words in found.why


def test_no_clips_at_all_are_not_testable(tmp_path: Path) -> None:
    assert style_records([], tmp_path, 0)[0].verdict == "not-testable"


def test_so_few_test_sources_that_all_right_would_not_tell(tmp_path: Path, right: list[Heard]) -> None:
    (found,) = style_records([*right[:18], *right[18:20]], tmp_path, 0)
    assert found.verdict == "not-testable"
    assert "too few of different genres (1 of ballet, 1 of house)" in found.why


def test_a_genre_that_train_has_not_is_left_out_and_told(
    tmp_path: Path, right: list[Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(styles, "STEPS", 5)
    strange = replace(right[-1], genre="tango")
    first, *rest = style_records([*right[:-1], strange], tmp_path, 0)
    assert first.n == 17 and "1 more have too short clips, or a genre that train has not" in first.why
    assert not any("tango" in each.name for each in rest)
