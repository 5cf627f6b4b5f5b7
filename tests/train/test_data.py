"""Windows as PyTorch gets them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from d2midi_build.errors import UsageError
from d2midi_build.release.reader import Release, open_release
from d2midi_build.train.data import FIELDS, WindowDataset, collate
from tests.release import making


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """Windows of some clips, their sound among them."""
    folder = tmp_path_factory.mktemp("made")
    return open_release(
        making.release(folder, videos=4, n_frames=(130, 205)), coords="image", cache=folder / "cache"
    )


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The same without sound."""
    folder = tmp_path_factory.mktemp("silent")
    made = making.release(folder, videos=4, n_frames=(130, 205), licence="all rights reserved")
    return open_release(made, coords="image", cache=folder / "cache")


def check(batch: dict[str, Any], release: Release, places: list[int]) -> None:
    """That a batch holds windows of these numbers, in this order."""
    windows = [release[place] for place in places]
    assert batch["clip_id"] == [window.clip_id for window in windows]
    assert batch["start_frame"].tolist() == [window.start_frame for window in windows]
    assert batch["keypoints"].dtype == torch.float32 and batch["missing"].dtype == torch.bool
    for name in ("keypoints", "missing"):
        expected = np.stack([getattr(window, name) for window in windows])
        assert np.array_equal(batch[name].numpy(), expected, equal_nan=True)
    notes = batch["notes"]
    for place, window in enumerate(windows):
        own = notes["window"] == place
        assert np.array_equal(notes["onset_s"][own].numpy(), window.notes.onset_s)
        assert np.array_equal(notes["instrument"][own].numpy(), window.notes.instrument)
        assert np.array_equal(notes["ends_after"][own].numpy(), window.notes.ends_after)
    assert len(notes["window"]) == sum(len(window.notes) for window in windows) > 0


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_gives_every_window_once_in_order(release: Release, workers: int) -> None:
    assert np.isfinite(release[0].keypoints).any()  # files are open before workers are forked off
    loader = DataLoader(WindowDataset(release), batch_size=3, num_workers=workers, collate_fn=collate)
    done = 0
    for batch in loader:
        count = len(batch["clip_id"])
        check(batch, release, list(range(done, done + count)))
        done += count
    assert done == len(release) > 6


def test_an_example_holds_what_was_asked_for_and_no_more(release: Release) -> None:
    example = WindowDataset(release, what=("visibility",))[0]
    assert set(example) == {"clip_id", "start_frame", "visibility"}
    assert np.array_equal(example["visibility"].numpy(), release[0].visibility, equal_nan=True)
    assert set(WindowDataset(release, what=FIELDS)[0]) == {"clip_id", "start_frame", *FIELDS}
    with pytest.raises(UsageError, match="what: 'smell' is none of keypoints"):
        WindowDataset(release, what=("smell",))


def test_sound_is_stacked_if_all_windows_have_it(release: Release, silent: Release) -> None:
    heard, unheard = WindowDataset(release, what=("audio",)), WindowDataset(silent, what=("audio",))
    batch = collate([heard[0], heard[2]])
    assert batch["audio"].shape == (2, 60 * 512)
    assert np.array_equal(batch["audio"][1].numpy(), release[2].audio)
    assert collate([heard[0], unheard[0]])["audio"] is None


def test_windows_of_different_lengths_are_not_stacked(release: Release) -> None:
    examples = [WindowDataset(release)[0], WindowDataset(release)[1]]
    examples[1] = examples[1] | {"keypoints": examples[1]["keypoints"][:50]}
    with pytest.raises(UsageError, match=r"windows of \[50, 60\] frames cannot be stacked"):
        collate(examples)
