"""Runs that are killed, and runs of several processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from d2midi_build.train.core import load_weights, train
from d2midi_build.train.core.sampling import Order
from tests.train.core import small

ROOT = Path(__file__).parents[3]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether weights are the same, bit by bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def rows(folder: Path) -> list[dict[str, Any]]:
    """The log without what depends on the clock."""
    lines = (folder / "log.jsonl").read_text().splitlines()
    clock = ("wall_s", "examples_per_s")
    return [{name: value for name, value in json.loads(line).items() if name not in clock} for line in lines]


def seeded(seed: int) -> list[tuple[str, int]]:
    """Five places to die at, further and further on."""
    rng = np.random.default_rng(seed)
    return [("update", int(step)) for step in np.sort(rng.choice(np.arange(1, 20), 5, replace=False))]


KILLED = {
    "untouched": [],
    "updates": [("update", 1), ("update", 3), ("update", 5), ("update", 19)],
    "checkpoints": [("best", 5), ("last", 5), ("last", 10), ("last", 20)],
    "seed 1": seeded(1),
    "seed 2": seeded(2),
}
"""Where runs die, one after another in one folder; one more is let be."""
TOGETHER = {
    "two": ("Line", [{"batch": 8, "accumulate": 2}]),
    "whole": ("Noisy", [{"steps": 10}]),
    "broken": ("Broken", [{}]),
    "parts": ("Noisy", [{"steps": 5}, {"steps": 10}]),
}
"""Runs of two processes, one after another in one folder."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run for each plan. One Python starts them all: importing torch takes the longest."""
    folder = tmp_path_factory.mktemp("runs")
    plans = json.dumps({"killed": KILLED, "together": TOGETHER})
    command = [sys.executable, "-m", "tests.train.core.children", str(folder), plans]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    codes = {name: [-signal.SIGKILL] * len(plan) + [0] for name, plan in KILLED.items()}
    codes |= {name: [0, 0] * len(plan) for name, (_, plan) in TOGETHER.items()}
    assert json.loads(done.stdout) == codes, done.stderr
    return folder


@pytest.mark.parametrize("name", [name for name in KILLED if name != "untouched"])
def test_a_run_killed_anywhere_ends_with_the_same_bits(runs: Path, name: str) -> None:
    killed, untouched = runs / name, runs / "untouched"
    for file in ("last.pt", "best.pt"):
        assert same(load_weights(killed / file), load_weights(untouched / file))
    assert rows(killed) == rows(untouched)
    one, other = (json.loads((folder / "run.json").read_text()) for folder in (killed, untouched))
    assert one["status"] == "finished" and one["step"] == 20
    assert all(one[field] == other[field] for field in ("settings", "metrics", "best", "model"))


def test_two_processes_learn_what_one_does(runs: Path, tmp_path: Path) -> None:
    train(small.Line(), small.settings(batch=8), tmp_path)
    one, two = (load_weights(folder / "last.pt") for folder in (tmp_path, runs / "two"))
    assert all(torch.allclose(one[name], two[name], rtol=0, atol=1e-6) for name in one)
    losses = [[row["loss"] for row in rows(folder) if "loss" in row] for folder in (tmp_path, runs / "two")]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    assert json.loads((runs / "two" / "run.json").read_text())["device"]["processes"] == 2


def test_two_processes_go_on_with_random_numbers_of_their_own(runs: Path) -> None:
    assert same(load_weights(runs / "whole" / "last.pt"), load_weights(runs / "parts" / "last.pt"))
    first, second = torch.load(runs / "whole" / "last.pt", weights_only=True)["random"]
    assert not torch.equal(first["torch"], second["torch"]) and first["python"] != second["python"]


def test_a_loss_that_is_no_number_stops_both_processes(runs: Path) -> None:
    place = next(place for place in range(13) if Order(13, 0)[place] == 6)
    step, rank = place // 4 + 1, place % 4 // 2
    numbers = ", ".join(str(Order(13, 0)[each]) for each in (place // 2 * 2, place // 2 * 2 + 1))
    errors = [(runs / f"broken.error{each}").read_text() for each in (rank, 1 - rank)]
    assert f"step {step}: the loss is nan (examples {numbers} of the dataset)" in errors[0]
    assert f"step {step}: the loss is nan (in another process)" in errors[1]


@pytest.mark.slow
def test_torchrun_starts_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\nfrom d2midi_build.train.core import train\n"
        "from tests.train.core import small\n"
        f"train(small.Line(), small.settings(), Path({str(tmp_path / 'run')!r}))\n"
        "names = [each.read_text() for each in Path('/proc/self/task').glob('*/comm')]\n"
        "assert not any('gloo' in name for name in names), names\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*command, str(script)], cwd=ROOT, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (manifest["status"], manifest["step"], manifest["device"]["processes"]) == ("finished", 10, 2)
