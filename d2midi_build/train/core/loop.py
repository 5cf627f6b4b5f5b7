"""The loop that trains: batches in a seeded order, Adam, checkpoints from which a killed run goes on as if it had not
been."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from d2midi_build.errors import UsageError
from d2midi_build.train.core.files import (
    BEST,
    FORMAT,
    LAST,
    MANIFEST,
    Log,
    clear,
    read_checkpoint,
    write_checkpoint,
    write_json,
)
from d2midi_build.train.core.processes import Process, process
from d2midi_build.train.core.sampling import (
    Order,
    Place,
    Share,
    kept_random_state,
    pieces,
    random_state,
    seed_all,
    set_random_state,
)
from d2midi_build.train.core.settings import Settings
from d2midi_build.train.core.task import Described, Judged, Task, as_number
from d2midi_build.train.core.updating import Updater
from d2midi_build.train.core.watching import Means, Pace, Progress, manifest


@dataclass(frozen=True)
class Best:
    """The best checkpoint so far: its step, its value of `Settings.best`, and all its metrics."""

    step: int
    value: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes
    ----------
    folder : Path
        Where its files are (see `d2midi_build.train.core.files`).
    step : int
        Updates done.
    metrics : dict
        Of the last checkpoint; empty in processes other than the first.
    best : Best or None
        None if the metric that decides never was a number, and in processes other than the first.
    resumed_from : int or None
        Step of the checkpoint that this call went on from.
    wall_s : float
        Seconds of training in all calls, up to the checkpoints that were gone on from.
    """

    folder: Path
    step: int
    metrics: Mapping[str, float]
    best: Best | None
    resumed_from: int | None
    wall_s: float

    @property
    def last_weights(self) -> Path:
        """File with the weights of the last step; `load_weights` reads it."""
        return self.folder / LAST

    @property
    def best_weights(self) -> Path:
        """File with the weights of the best checkpoint."""
        return self.folder / BEST


def train(
    task: Task,
    settings: Settings,
    folder: Path,
    *,
    progress: Callable[[Progress], None] | None = None,
    resume: bool = True,
) -> Result:
    """Train a model, or go on where an earlier call with the same folder was interrupted.

    Killed anywhere and called again, it ends on a CPU with the weights, bit by bit, that it would have had, as long as
    what `Task.loss` computes is deterministic there and the number of processes stays the same. Under ``torchrun`` each
    process calls this; the folder has to be one that all of them see, and metrics other than the loss are those of the
    first one's share. The model is left with the weights of the last step.

    Parameters
    ----------
    progress : callable, optional
        Called after every update, in the first process.
    resume : bool, optional
        False removes what an earlier run left in the folder and starts again. Default is True.

    Raises
    ------
    UsageError
        If settings are impossible, or others than those of the run to go on with.
    TrainingError
        If a loss or gradient is no number; it names step and examples, and the last checkpoint stays. If a checkpoint
        cannot be read.
    """
    with process(settings) as here, kept_random_state():
        return _Run(task, settings, folder, here).go(progress, resume)


class _Run:
    """A run under way."""

    def __init__(self, task: Task, settings: Settings, folder: Path, here: Process) -> None:
        self.task, self.settings, self.folder, self.here = task, settings, folder, here
        self.n_examples = len(task.dataset)
        if not self.n_examples:
            raise UsageError("nothing to train on: the dataset has no examples")
        share = Share(settings.share(here.count), settings.accumulate, here.rank, here.count)
        self.share = share
        self.about = json.loads(json.dumps(dict(task.about) if isinstance(task, Described) else {}))
        self.model = task.model.to(here.device)
        self.updater = Updater(task, settings, here)
        self.step, self.wall_before_s = 0, 0.0
        self.since_log, self.since_checkpoint = Means(), Means()
        self.metrics: dict[str, float] = {}
        self.best: Best | None = None

    def go(self, progress: Callable[[Progress], None] | None, resume: bool) -> Result:
        if self.here.writes:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not resume:
                clear(self.folder)
        self.here.gathered(None)  # nobody looks for a checkpoint before this
        self.started_s = time.perf_counter()
        resumed_from = self._restore()
        if self.here.writes:
            log = Log(self.folder, self.step if resumed_from is not None else -1, self.settings.tensorboard)
        else:
            log = None
        try:
            if resumed_from is None:
                self._keep(
                    self.here.gathered(random_state())
                )  # whatever made these weights need not make them again
            if self.step < self.settings.steps:
                self._loop(log, progress)
        finally:
            if log is not None:
                log.close()
        self.model.zero_grad(set_to_none=True)
        if self.here.writes:
            self._describe("finished")
        return Result(self.folder, self.step, self.metrics, self.best, resumed_from, self._wall_s())

    def _loop(self, log: Log | None, progress: Callable[[Progress], None] | None) -> None:
        settings = self.settings
        self.model.train()
        taken = self._pieces()
        pace = Pace(time.perf_counter())
        while self.step < settings.steps:
            step = self.step + 1
            batch = [next(taken) for _ in range(settings.accumulate)]
            done = self.updater.update(step, batch)
            self.step = step
            per_s = pace.tick(time.perf_counter())
            for means in (self.since_log, self.since_checkpoint):
                means.add(done.metrics, done.weight)
            if log is not None and (step % settings.log_every == 0 or step == settings.steps):
                rates = {"lr": done.lr, "grad_norm": done.grad_norm, "epoch": self._epoch()}
                speeds = {"examples_per_s": per_s * settings.batch, "wall_s": self._wall_s()}
                log.row("train", step, {**self.since_log.take(), **rates, **speeds})
            if step % settings.checkpoint_every == 0 or step == settings.steps:
                self._checkpoint(log)
            if progress is not None and self.here.writes:
                left_s = (settings.steps - step) / per_s
                speed = (per_s, per_s * settings.batch, left_s)
                metrics = dict(done.metrics)
                loss = metrics.pop("loss")
                progress(Progress(step, settings.steps, self._epoch(), loss, metrics, done.lr, *speed))

    def _pieces(self) -> Iterator[Any]:
        order = Order(self.n_examples, self.settings.seed)
        updates = range(self.step, self.settings.steps)
        pinned = self.here.device.type == "cuda"
        task, workers = self.task, self.settings.workers
        return pieces(task.dataset, task.collate, order, self.share, updates, workers, pinned)

    def _checkpoint(self, log: Log | None) -> None:
        states = self.here.gathered(random_state())
        if log is None:
            return
        self.metrics = self.since_checkpoint.take()
        if isinstance(self.task, Judged):
            self.metrics = self._evaluated(self.task)
            log.row("evaluation", self.step, self.metrics)
        name = self.settings.best
        if name not in self.metrics:
            raise UsageError(
                f"settings: best = {name!r} is no metric of this task: it has {', '.join(self.metrics)}"
            )
        value = self.metrics[name]
        sign = 1 if self.settings.best_is == "lowest" else -1
        # The best is written first: killed between the two, the run goes on from before it and writes it again.
        if math.isfinite(value) and (self.best is None or sign * value < sign * self.best.value):
            self.best = Best(self.step, value, self.metrics)
            weights = {"model": self.model.state_dict(), "step": self.step, "metrics": self.metrics}
            write_checkpoint(self.folder / BEST, {"format": FORMAT, **weights})
        self._keep(states)
        self._describe("running")

    def _evaluated(self, task: Judged) -> dict[str, float]:
        modes = {module: module.training for module in self.model.modules()}
        gpus = [self.here.device] if self.here.device.type == "cuda" else []
        self.model.eval()
        try:
            with kept_random_state(), torch.random.fork_rng(gpus), torch.no_grad():
                return {name: as_number(value) for name, value in task.evaluate().items()}
        finally:
            for module, training in modes.items():
                module.training = training

    def _keep(self, states: list[dict[str, Any]]) -> None:
        """Write the checkpoint to go on from, with the random states of all processes."""
        if not self.here.writes:
            return
        place = Place.after(self.step * self.settings.batch, self.settings.seed, self.n_examples)
        best = self.best
        write_checkpoint(
            self.folder / LAST,
            {
                "format": FORMAT,
                "step": self.step,
                "model": self.model.state_dict(),
                **self.updater.state(),
                "sampler": place.as_data(),
                "random": states,
                "since_log": self.since_log.sums,
                "since_checkpoint": self.since_checkpoint.sums,
                "metrics": self.metrics,
                "best": None if best is None else {**vars(best), "metrics": dict(best.metrics)},
                "settings": self.settings.as_data(),
                "about": json.dumps(self.about, sort_keys=True),
                "wall_s": self._wall_s(),
            },
        )

    def _restore(self) -> int | None:
        """Take up the last checkpoint if there is one; the step it is of."""
        path = self.folder / LAST
        data = read_checkpoint(path) if path.exists() else None
        found = self.here.gathered(None if data is None else data["step"])
        if len(set(found)) > 1:
            raise UsageError(
                f"{self.folder}: processes see checkpoints of steps {found}: use a folder they share"
            )
        seed_all(self.settings.seed, self.here.rank, 1)
        if self.here.device.type == "cuda":
            torch.cuda.manual_seed(torch.initial_seed())
        if data is None:
            self.here.same_weights(self.model)
            return None
        self._check_same(path, data)
        try:
            self.model.load_state_dict(data["model"])
            self.updater.load(data)
        except (RuntimeError, ValueError) as error:
            raise UsageError(
                f"{path} is of another model ({error}): use another folder, or resume=False"
            ) from error
        if len(data["random"]) == self.here.count:  # otherwise the run goes on, but not as it would have
            set_random_state(data["random"][self.here.rank])
        else:
            seed_all(self.settings.seed, self.here.rank, 1, data["step"])
        self.step, self.wall_before_s = data["step"], data["wall_s"]
        self.since_log, self.since_checkpoint = Means(data["since_log"]), Means(data["since_checkpoint"])
        self.metrics = data["metrics"]
        self.best = None if data["best"] is None else Best(**data["best"])
        return self.step

    def _check_same(self, path: Path, data: Mapping[str, Any]) -> None:
        different = self.settings.differences(data["settings"])
        if json.loads(data["about"]) != self.about:
            different.append(f"task = {data['about']}, not {json.dumps(self.about, sort_keys=True)}")
        if data["sampler"]["n_examples"] != self.n_examples:
            different.append(f"{data['sampler']['n_examples']} examples, not {self.n_examples}")
        if data["step"] > self.settings.steps:
            different.append(f"step {data['step']} reached, more than steps = {self.settings.steps}")
        if different:
            raise UsageError(
                f"{path} is of a run with {'; '.join(different)}: use another folder, or resume=False"
            )

    def _describe(self, status: str) -> None:
        reached = {
            "status": status,
            "step": self.step,
            "metrics": self.metrics,
            "best": None if self.best is None else vars(self.best),
            "wall_s": self._wall_s(),
        }
        data = manifest(self.settings, self.about, self.here, self.model, reached)
        write_json(self.folder / MANIFEST, data)

    def _epoch(self) -> float:
        return self.step * self.settings.batch / self.n_examples

    def _wall_s(self) -> float:
        return self.wall_before_s + time.perf_counter() - self.started_s
