"""What TensorBoard itself reads of a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from d2midi_build.train.core import Result, train
from tests.train.core import small

ROOT = Path(__file__).parents[3]

Scalars = dict[str, list[tuple[int, float]]]

DIE_AFTER = 7
"""Two updates after a checkpoint."""


def trained(folder: Path, die_after: int | None = None, steps: int = 12) -> Result:
    """A run with a row for each update and a checkpoint for each five."""

    def die(step: int) -> None:
        if step == die_after:
            os.kill(os.getpid(), signal.SIGKILL)

    chosen = small.settings(steps=steps, log_every=1, tensorboard=True)
    return train(small.Noisy(), chosen, folder, progress=lambda now: die(now.step))


def shown(folder: Path) -> Scalars:
    """Steps and values by name, as TensorBoard shows them."""
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    names = events.Tags()["scalars"]
    return {name: [(each.step, each.value) for each in events.Scalars(name)] for name in names}


def logged(folder: Path) -> Scalars:
    """The same of ``log.jsonl``, in the precision of TensorBoard."""
    found: Scalars = {}
    for line in (folder / "log.jsonl").read_text().splitlines():
        row = json.loads(line)
        kind, step = row.pop("kind"), row.pop("step")
        for name, value in row.items():
            found.setdefault(f"{kind}/{name}", []).append((step, float(np.float32(value))))
    return found


def test_tensorboard_shows_what_the_log_says(tmp_path: Path) -> None:
    trained(tmp_path)
    found = shown(tmp_path)
    assert found == logged(tmp_path)
    assert {"train/loss", "train/lr", "train/grad_norm", "evaluation/loss"} <= set(found)
    assert [step for step, _ in found["train/loss"]] == list(range(1, 13))
    assert [step for step, _ in found["evaluation/loss"]] == [5, 10, 12]
    assert found["train/lr"][2][1] == pytest.approx(small.settings().rate(3))


def test_a_run_that_was_killed_shows_each_step_once(tmp_path: Path) -> None:
    program = f"from tests.train.core.test_tensorboard import *; trained(Path({str(tmp_path)!r}), DIE_AFTER)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    # Nothing is lost that was logged when it died.
    assert shown(tmp_path) == logged(tmp_path)
    assert [step for step, _ in shown(tmp_path)["train/loss"]] == list(range(1, DIE_AFTER + 1))
    older(tmp_path)
    assert trained(tmp_path).resumed_from == 5
    assert shown(tmp_path) == logged(tmp_path)
    assert [step for step, _ in shown(tmp_path)["train/loss"]] == list(range(1, 13))


def test_a_run_that_goes_on_and_one_that_starts_again(tmp_path: Path) -> None:
    trained(tmp_path, steps=5)
    older(tmp_path)
    trained(tmp_path, steps=12)
    assert shown(tmp_path) == logged(tmp_path)
    chosen = small.settings(steps=4, log_every=2, tensorboard=True)
    train(small.Line(), chosen, tmp_path, resume=False)
    assert shown(tmp_path) == logged(tmp_path)
    assert [step for step, _ in shown(tmp_path)["train/loss"]] == [2, 4]


def older(folder: Path) -> None:
    """Names of files say the second they were begun, and TensorBoard reads them in that order: make it earlier."""
    for number, path in enumerate(sorted((folder / "tensorboard").iterdir())):
        path.rename(path.with_name(f"events.out.tfevents.{number:010d}.earlier"))
