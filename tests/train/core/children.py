"""Processes that train and die. ``python -m tests.train.core.children FOLDER PLANS``

torch is imported once, with what Adam imports late, on one thread, and each process is forked off before it
computed anything.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch._dynamo
import torch.distributed as dist

from d2midi_build.train.core import Progress, TrainingError, train
from tests.train.core import small


def forked(work: Callable[[], object]) -> int:
    """Start a process that does something; its id."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    return child


def ended(child: int) -> int:
    """How a process ended: 0, or minus the signal's number."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def until(folder: Path, where: str, at: int) -> None:
    """Train, and die after update ``at``, or when its ``best`` or ``last`` checkpoint has no name yet."""
    reached = 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def progress(now: Progress) -> None:
        nonlocal reached
        reached = now.step
        if where == "update" and now.step == at:
            die()

    move = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if target.name == f"{where}.pt" and reached == at - 1:
            die()
        return move(self, target)

    Path.replace = replace  # type: ignore[method-assign, assignment]
    train(small.Noisy(), small.settings(steps=20), folder, progress=progress)


def killed(folder: Path, plan: list[list[Any]]) -> list[int]:
    """Runs in one folder, each killed somewhere, and one that is let be."""
    codes = [ended(forked(lambda kill=kill: until(folder, *kill))) for kill in plan]
    return [*codes, ended(forked(lambda: until(folder, "never", 0)))]


def together(folder: Path, task: str, runs: list[dict[str, Any]]) -> list[int]:
    """Two processes in one folder, one pair after another for each dict of settings."""

    def work(rank: int, number: int) -> None:
        meeting = f"file://{folder}.meeting{number}"
        dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
        made: small.Line = getattr(small, task)()
        if rank:
            torch.nn.init.zeros_(next(made.model.parameters()))  # the first process's weights count
        try:
            train(made, small.settings(**runs[number]), folder)
        except TrainingError as error:
            folder.with_name(f"{folder.name}.error{rank}").write_text(str(error))
        dist.destroy_process_group()

    codes = []
    for number in range(len(runs)):
        children = [forked(lambda rank=rank, number=number: work(rank, number)) for rank in (0, 1)]
        codes += [ended(child) for child in children]
    return codes


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, plans = Path(sys.argv[1]), json.loads(sys.argv[2])
    found = {name: killed(folder / name, plan) for name, plan in plans["killed"].items()}
    found |= {name: together(folder / name, *plan) for name, plan in plans["together"].items()}
    sys.stdout.write(json.dumps(found))
