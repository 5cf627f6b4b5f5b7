"""Run a build: ask the flow for every record, run what has none, commit, record, go on.

This process is the only writer. Workers compute in private folders; here a finished folder is moved into
the store and only then named by the ledger. Killing anything at any instant loses the items in flight.
"""

from __future__ import annotations

import errno
import logging
import shutil
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np

from d2midi_build import manifests, model_digests
from d2midi_build.crawl.messages import classify, retry_after_s
from d2midi_build.crawl.sites import Outcome as Verdict
from d2midi_build.crawl.sites import SiteGate, site_of
from d2midi_build.engine.base import Engine, Event, Finished, Job
from d2midi_build.engine.local import LocalEngine
from d2midi_build.errors import UsageError, WorkspaceError
from d2midi_build.flow import Entry, Flow, SourceNode, TakeNode
from d2midi_build.groups import repeats
from d2midi_build.ledger import Ledger, Record
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import Source
from d2midi_build.stages.base import NAMES
from d2midi_build.standing import holds, publish
from d2midi_build.workspace import Workspace, disk_is_full

SCREENING = NAMES[: NAMES.index("resample")]
"""The stages of which screening consists: what comes before a take becomes a clip."""

_WAIT_S = 0.5
_NEXT_SPACE_CHECK_S = 5.0
_LONGEST_IDLE_WAIT_S = 60.0
"""A site closed for longer than this ends the run instead of holding it up, when nothing else is left."""

_log = logging.getLogger(__name__)
_Place = tuple[str, str, str]


class Listener(Protocol):
    """Hears how a build goes; the command line draws bars from it."""

    def queued(self, job: Job) -> None:
        """A job will run."""

    def event(self, event: Event) -> None:
        """A job started, went on or was queued again."""

    def finished(self, job: Job, record: Record) -> None:
        """A job ended and is recorded."""

    def compared(self, done: int, total: int) -> None:
        """So many of so many new takes are compared with all others."""


class Silent:
    """A listener that says nothing."""

    def queued(self, job: Job) -> None: ...
    def event(self, event: Event) -> None: ...
    def finished(self, job: Job, record: Record) -> None: ...
    def compared(self, done: int, total: int) -> None: ...


@dataclass(frozen=True)
class Selection:
    """What to run of what has no record.

    Parameters
    ----------
    stages : collection of str
        Only jobs of these stages run.
    refresh : collection of str
        Stages whose records from before this run do not count.
    retry : collection of str
        Reasons (``transient``, ``permanent``, ``policy``, ``crash``) whose failures do not count.
    """

    stages: Collection[str] = NAMES
    refresh: Collection[str] = ()
    retry: Collection[str] = ()

    def __post_init__(self) -> None:
        """Raise ``UsageError`` for a stage that is none."""
        unknown = sorted({*self.stages, *self.refresh} - {*NAMES})
        if unknown:
            raise UsageError(f"no stage is called {', '.join(unknown)}; stages: {', '.join(NAMES)}")
        if idle := sorted({*self.refresh} - {*self.stages}):
            raise UsageError(f"cannot refresh {', '.join(idle)}: --until or --only leaves it out")

    def counts(self, record: Record, workspace: Workspace) -> bool:
        """Whether a record from before this run still holds."""
        if record.stage in self.refresh or (record.status == "failed" and record.reason in self.retry):
            return False
        return holds(record, workspace)


@dataclass
class Summary:
    """How a build went.

    ``ran`` counts the jobs of this run by stage and status; ``waiting`` the jobs left for another run
    (their site is closed for now); ``sources`` is the state of everything asked for.
    """

    ran: dict[str, dict[str, int]] = field(default_factory=dict)
    waiting: int = 0
    wall_s: float = 0.0
    sources: list[SourceNode] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Failures among everything asked for, of this run or an earlier one."""
        return sum(record.status == "failed" for record in manifests.records(self.sources))


def build(
    sources: Sequence[Source],
    root: Path,
    recipe: Recipe,
    selection: Selection = Selection(),
    *,
    workers: int | None = None,
    listener: Listener | None = None,
    make_engine: Callable[[Workspace, Recipe], Engine] | None = None,
) -> Summary:
    """Turn sources into windows, as far as ``selection`` says.

    Parameters
    ----------
    sources : sequence of Source
        From ``sources.lists.read_sources``.
    root : Path
        The workspace's folder.
    recipe : Recipe
        What to do.
    selection : Selection
        Which stages run, and which old records do not count.
    workers : int, optional
        Processes of this run, instead of the recipe's ``run.workers``; not remembered.
    listener : Listener, optional
        Hears what happens.
    make_engine : callable, optional
        Makes the engine when the first job has to run; the local one by default.

    Raises
    ------
    WorkspaceError
        If the workspace cannot be used, is in use, or its disk is full. What is done stays done.
    KeyboardInterrupt
        On Ctrl-C, after the manifests were brought up to date.
    """
    started = time.monotonic()
    # Says what the recipe names and is not there, before the workspace remembers it.
    Flow(Workspace(root), recipe, selection.stages)
    workspace = Workspace.create(root)
    with workspace.lock(), _disk_trouble_told(workspace):
        workspace.clear_tmp()
        manifests.remember(workspace, sources, recipe)
        model_digests.remember(workspace, recipe, selection.stages)
        with Ledger(workspace.ledger_path, writable=True) as ledger:
            if workers is not None:
                recipe = recipe.with_field("run.workers", workers)
            ran: dict[str, dict[str, int]] = {}
            heard = listener or Silent()
            for part in _parts(selection, recipe):
                run = _Run(workspace, ledger, recipe, sources, part, heard, make_engine or _local, ran)
                compared = None  # comparing takes long: not on the way out of a run that was stopped
                try:
                    run.go()
                    compared = heard.compared
                finally:
                    run.stop()
                    nodes = publish(workspace, sources, recipe, ledger, compared)
                _check_repeats(workspace, recipe)
    return Summary(ran, run.waiting, time.monotonic() - started, nodes)


def _parts(selection: Selection, recipe: Recipe) -> Iterator[Selection]:
    """The runs of a build: where repeats do not simply stay, what is screened is compared before anything goes on,
    also if nothing is left to screen."""
    parts = [NAMES] if recipe.groups.repeats == "group" else [SCREENING, NAMES[len(SCREENING) :]]
    for part in parts:
        stages = [name for name in part if name in selection.stages]
        if stages or part is SCREENING:
            yield replace(
                selection, stages=stages, refresh=[name for name in selection.refresh if name in part]
            )


def _check_repeats(workspace: Workspace, recipe: Recipe) -> None:
    """Raise ``UsageError`` if takes repeat others and the recipe forbids it."""
    out = repeats.load(workspace.repeats_path).left_out
    if out and recipe.groups.repeats == "forbid":
        listed = ", ".join(f"{take} repeats {other}" for take, other in sorted(out.items())[:10])
        raise UsageError(
            f"{len(out)} takes repeat the music or the picture of another, and groups.repeats is forbid: "
            f"{listed}{', ...' if len(out) > 10 else ''}. Tables groups and repeats say why. Take videos off the list, "
            "turn takes away with `d2midi screen decide TAKE --reject --why ...`, or set groups.repeats to drop or "
            "group. Nothing done is lost."
        )


@contextmanager
def _disk_trouble_told(workspace: Workspace) -> Iterator[None]:
    """Turn what the file system says to this process into words with a way out."""
    try:
        yield
    except OSError as error:
        if not (disk_is_full(error) or error.errno == errno.EROFS):
            raise
        raise WorkspaceError(
            f"cannot write to {workspace.root}: {error.strerror} ({workspace.free_gb():.1f} GB free). Nothing done is "
            "lost: mend that and run the same command again."
        ) from error


class _Run:
    """One build in progress."""

    def __init__(
        self,
        workspace: Workspace,
        ledger: Ledger,
        recipe: Recipe,
        sources: Sequence[Source],
        selection: Selection,
        listener: Listener,
        make_engine: Callable[[Workspace, Recipe], Engine],
        ran: dict[str, dict[str, int]],
    ) -> None:
        self._workspace, self._ledger, self._recipe = workspace, ledger, recipe
        self._sources, self._selection, self._listener = sources, selection, listener
        self._flow = Flow(workspace, recipe, selection.stages)
        self._make_engine = make_engine
        self._engine: Engine | None = None
        # The order of starts never reaches a result, so any seed will do.
        self._gate = SiteGate(recipe.crawl, np.random.default_rng(0), time.monotonic)
        self._at_gate: dict[str, deque[Job]] = {}
        self._pending: dict[_Place, dict[str, Callable[[], None]]] = {}
        self._fresh: set[_Place] = set()
        self._walking: tuple[str, Callable[[], None]] = ("", lambda: None)
        self._space_checked = 0.0
        self._ran = ran
        self.waiting = 0

    def go(self) -> None:
        """Run until nothing is left to do."""
        for source in self._sources:
            self._walk_source(source)
        while self._at_gate or (self._engine is not None and self._engine.unfinished):
            wait_s = self._open_gate()
            if self._engine is None or not self._engine.unfinished:
                if wait_s > _LONGEST_IDLE_WAIT_S and all(self._gate.closed(site) for site in self._at_gate):
                    self.waiting = sum(len(jobs) for jobs in self._at_gate.values())
                    return
                time.sleep(min(wait_s, _WAIT_S))
                continue
            for event in self._engine.wait(min(max(wait_s, 0.01), _WAIT_S)):
                if isinstance(event, Finished):
                    self._finish(event)
                else:
                    self._listener.event(event)
            self._check_space()

    def stop(self) -> None:
        """End the workers and drop what was in flight."""
        if self._engine is not None:
            self._engine.close()
        self._workspace.clear_tmp()

    # A finished job makes only the part of the graph that waited for it be walked again: a source, a video
    # or a take. Each walk is named, so that one that waits for two jobs is not walked twice for each.

    def _walk_source(self, source: Source) -> None:
        self._walking = (f"source {source.source_id}", lambda: self._walk_source(source))
        _, entries = self._flow.entries(source, self._ask)
        for entry in entries:
            self._walk_entry(entry)

    def _walk_entry(self, entry: Entry) -> None:
        name = f"entry {entry.source.source_id} {entry.item}"
        self._walking = (name, lambda: self._walk_entry(entry))
        node = self._flow.entry(entry, self._ask)
        for take in node.takes:
            self._walk_take(name, take)

    def _walk_take(self, entry: str, take: TakeNode) -> None:
        self._walking = (f"{entry} {take.take_id}", lambda: self._walk_take(entry, take))
        self._flow.take(take, self._ask)

    def _ask(self, job: Job) -> Record | None:
        place = (job.stage, job.item, job.key)
        record = self._ledger.find(*place)
        if record is not None and (place in self._fresh or self._selection.counts(record, self._workspace)):
            return record
        if place in self._pending:
            self._pending[place].update([self._walking])
        elif job.stage in self._selection.stages:
            self._pending[place] = dict([self._walking])
            self._listener.queued(job)
            if job.needs.network and job.inputs.get("kind") != "file":
                self._at_gate.setdefault(site_of(job.inputs["url"]), deque()).append(job)
            else:
                self._submit(job)
        return None

    def _submit(self, job: Job) -> None:
        if self._engine is None:
            self._check_space()
            self._engine = self._make_engine(self._workspace, self._recipe)
        out, scratch = self._workspace.new_tmp(), self._workspace.partial(job.item)
        self._engine.submit(replace(job, out=str(out), scratch=str(scratch)))

    def _open_gate(self) -> float:
        """Submit the downloads whose site is ready; seconds until the next one may be."""
        wait_s = float("inf")
        for site, jobs in list(self._at_gate.items()):
            while jobs and (wait := self._gate.ready_at(site) - time.monotonic()) <= 0:
                self._gate.started(site)
                self._submit(jobs.popleft())
            if jobs:
                wait_s = min(wait_s, wait)
            else:
                del self._at_gate[site]
        return wait_s

    def _finish(self, end: Finished) -> None:
        job, outcome = end.job, end.outcome
        if outcome.disk_full:
            raise WorkspaceError(
                f"the disk is full at {self._workspace.root} ({self._workspace.free_gb():.1f} GB free) while running "
                f"{job.stage} on {job.item}. Nothing done is lost: free some disk and run the same command again."
            )
        if job.needs.network and job.inputs.get("kind") != "file":
            verdict: Verdict = "other"
            if outcome.status == "done":
                verdict = "ok" if outcome.facts.get("asked", True) else "unasked"
            elif classify(outcome.tool_message).blocked:
                verdict = "blocked"
            self._gate.finished(site_of(job.inputs["url"]), verdict, retry_after_s(outcome.tool_message))
        ended = {name: value for name, value in vars(outcome).items() if name != "disk_full"}
        at = datetime.now(UTC).isoformat(timespec="seconds")
        record = Record(job.stage, job.item, job.key, at=at, **ended)
        out = Path(job.out)
        earlier = self._ledger.find(job.stage, job.item, job.key)
        if earlier is not None and earlier.status == "done":
            # Its files are about to be replaced: a kill in between must not leave it describing the new ones.
            self._ledger.append(replace(earlier, status="void"))
        if outcome.files:
            self._workspace.commit(out, job.stage, job.item, job.key)
        else:
            shutil.rmtree(out, ignore_errors=True)
        self._ledger.append(record)
        if job.stage == "crawl" and outcome.reason in ("", "permanent", "policy"):  # nothing to go on from
            shutil.rmtree(job.scratch, ignore_errors=True)
        place = (job.stage, job.item, job.key)
        self._fresh.add(place)
        counts = self._ran.setdefault(job.stage, {})
        counts[outcome.status] = counts.get(outcome.status, 0) + 1
        self._listener.finished(job, record)
        for walk in self._pending.pop(place).values():
            walk()

    def _check_space(self) -> None:
        now = time.monotonic()
        if now - self._space_checked < _NEXT_SPACE_CHECK_S:
            return
        self._space_checked = now
        with suppress(OSError):
            free_gb = self._workspace.free_gb()
            if free_gb < self._recipe.run.min_free_gb:
                raise WorkspaceError(
                    f"only {free_gb:.1f} GB free at {self._workspace.root}, the recipe wants run.min_free_gb = "
                    f"{self._recipe.run.min_free_gb}. Nothing done is lost: free some disk (`d2midi gc` helps) and run "
                    "the same command again."
                )


def _local(workspace: Workspace, recipe: Recipe) -> Engine:
    import os

    workers = recipe.run.workers or len(os.sched_getaffinity(0))
    return LocalEngine(workers, recipe.crawl.parallel, workspace.logs, recipe.run.item_timeout_s)
