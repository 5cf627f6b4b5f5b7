"""Progress of a build: a bar per stage with rate and time left, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from d2midi_build.engine.base import Event, Job
from d2midi_build.ledger import Record
from d2midi_build.pipeline import Listener, Silent
from d2midi_build.stages.base import stage

_PLAIN_EVERY_S = 10.0


@contextmanager
def listener(*, quiet: bool) -> Iterator[Listener]:
    """A listener that suits where stderr goes: bars on a terminal, a line now and then elsewhere."""
    console = Console(stderr=True)
    if quiet:
        yield Silent()
    elif console.is_terminal:
        with _progress(console) as progress:
            yield _Bars(progress)
    else:
        yield _Lines(console)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(),
        _Done(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
    )


@contextmanager
def counted(what: str, unit: str, *, quiet: bool) -> Iterator[Callable[[float, float], None]]:
    """Progress of one thing: a function that takes how much is done, and of how much."""
    console = Console(stderr=True)
    if quiet:
        yield lambda done, total: None
        return
    if console.is_terminal:
        with _progress(console) as progress:
            task = progress.add_task(what, unit=unit)
            yield lambda done, total: progress.update(task, total=total, completed=done)
        return
    started = said = time.monotonic()

    def say(done: float, total: float) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= _PLAIN_EVERY_S and 0 < done < total:
            said = now
            left = (now - started) * (total - done) / done
            console.print(
                Text(
                    f"[{now - started:.0f} s] {what} {done:.0f}/{total:.0f} {unit}, about {left:.0f} s left"
                ),
                highlight=False,
                soft_wrap=True,
            )

    yield say


class _Tally:
    """How much of each stage is queued and done, in the stage's unit."""

    def __init__(self) -> None:
        self.total: dict[str, float] = {}
        self.done: dict[str, float] = {}
        self._share: dict[tuple[str, str], float] = {}

    def queued(self, job: Job) -> None:
        self.total[job.stage] = self.total.get(job.stage, 0.0) + job.cost
        self.done.setdefault(job.stage, 0.0)

    def advance(self, job: Job, share: float) -> None:
        before = self._share.get((job.stage, job.item), 0.0)
        self._share[job.stage, job.item] = share
        self.done[job.stage] = self.done.get(job.stage, 0.0) + (share - before) * job.cost

    def finished(self, job: Job) -> None:
        self.advance(job, 1.0)
        del self._share[job.stage, job.item]


class _Bars:
    """Bars on a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tally = _Tally()
        self._tasks: dict[str, TaskID] = {}

    def queued(self, job: Job) -> None:
        self._tally.queued(job)
        if job.stage not in self._tasks:
            self._tasks[job.stage] = self._progress.add_task(
                job.stage, start=False, unit=stage(job.stage).unit
            )
        self._show(job)

    def event(self, event: Event) -> None:
        if event.kind == "started":
            self._progress.start_task(self._tasks[event.job.stage])
        elif event.kind == "requeued":
            self._tally.advance(event.job, 0.0)
            self.note(f"{event.job.stage} {event.job.item}: the worker died ({event.message}); trying again")
        else:
            self._tally.advance(event.job, event.share)
        self._show(event.job)

    def finished(self, job: Job, record: Record) -> None:
        self._tally.finished(job)
        self._show(job)
        if record.status == "failed":
            self.note(f"{job.stage} {job.item} failed ({record.reason}): {record.message}")

    def compared(self, done: int, total: int) -> None:
        if "repeats" not in self._tasks:
            self._tasks["repeats"] = self._progress.add_task("repeats", unit="takes")
        self._progress.update(self._tasks["repeats"], total=total, completed=done)

    def note(self, text: str) -> None:
        self._progress.console.print(Text(text), highlight=False)

    def _show(self, job: Job) -> None:
        self._progress.update(
            self._tasks[job.stage], total=self._tally.total[job.stage], completed=self._tally.done[job.stage]
        )


class _Lines:
    """Plain lines for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tally = _Tally()
        self._started = self._said = time.monotonic()

    def queued(self, job: Job) -> None:
        self._tally.queued(job)

    def event(self, event: Event) -> None:
        if event.kind == "requeued":
            self._tally.advance(event.job, 0.0)
            self.note(f"{event.job.stage} {event.job.item}: the worker died ({event.message}); trying again")
        elif event.kind == "progressed":
            self._tally.advance(event.job, event.share)
        self._say()

    def finished(self, job: Job, record: Record) -> None:
        self._tally.finished(job)
        if record.status == "failed":
            self.note(f"{job.stage} {job.item} failed ({record.reason}): {record.message}")
        self._say()

    def compared(self, done: int, total: int) -> None:
        self._tally.total["repeats"], self._tally.done["repeats"] = total, done
        self._say()

    def note(self, text: str) -> None:
        self._console.print(Text(text), highlight=False, soft_wrap=True)

    def _say(self) -> None:
        now = time.monotonic()
        if now - self._said < _PLAIN_EVERY_S:
            return
        self._said = now
        parts = [
            f"{name} {done:.0f}/{self._tally.total[name]:.0f} {'takes' if name == 'repeats' else stage(name).unit}"
            for name, done in self._tally.done.items()
        ]
        self.note(f"[{now - self._started:.0f} s] " + ", ".join(parts))


class _Done(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.completed:.0f}/{task.total or 0:.0f} {task.fields['unit']}")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} {task.fields['unit']}/s" if speed else "")
