"""Training on windows of a release."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from d2midi_build.release.reader import open_release
from d2midi_build.train.core import load_weights, train
from d2midi_build.train.data import WindowDataset, collate
from tests.release import making
from tests.train.core import small


class Counting:
    """Guesses how many notes a window has from where its body is."""

    def __init__(self, path: Path, cache: Path) -> None:
        torch.manual_seed(0)
        release = open_release(path, coords="image", cache=cache)
        self.model: torch.nn.Module = torch.nn.Linear(3, 1)
        self.dataset = WindowDataset(release)
        self.about: Mapping[str, Any] = {"release": release.digest}
        self.collate = collate

    def loss(self, batch: Mapping[str, Any]) -> tuple[torch.Tensor, dict[str, float]]:
        middle = torch.nan_to_num(batch["keypoints"]).flatten(1, -2).mean(1)
        counts = torch.bincount(batch["notes"]["window"], minlength=len(middle)).float()
        return ((self.model(middle)[:, 0] - counts) ** 2).mean(), {"notes": counts.mean()}  # type: ignore[dict-item]


def test_a_run_on_a_release_learns_goes_on_and_names_it(tmp_path: Path) -> None:
    path = making.release(tmp_path, videos=4, n_frames=(130, 205))
    task = Counting(path, tmp_path / "cache")
    train(task, small.settings(steps=4, lr=0.1), tmp_path / "parts")
    parts = train(Counting(path, tmp_path / "cache"), small.settings(steps=30, lr=0.1), tmp_path / "parts")
    train(Counting(path, tmp_path / "cache"), small.settings(steps=30, lr=0.1), tmp_path / "whole")
    one, other = (load_weights(tmp_path / name / "last.pt") for name in ("parts", "whole"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    first = torch.load(tmp_path / "parts" / "best.pt", weights_only=True)
    assert parts.best is not None and first["step"] == parts.best.step > 5
    assert task.about["release"] in (tmp_path / "whole" / "run.json").read_text()
