"""The default engine: worker processes on this machine, watched one by one.

The pools of the standard library are out: one native crash hangs or breaks them, and MediaPipe and
codecs do crash. Here each worker is a process with a socket; a closed socket is a death. One pinned
process per core also gives MediaPipe its best throughput (its own threads do not).
"""

from __future__ import annotations

import heapq
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from d2midi_build.engine.base import MAX_DEATHS, Engine, Event, Finished, Job, Outcome

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_LOG_TAIL_BYTES = 2000


class LocalEngine(Engine):
    """Run jobs on this machine.

    Parameters
    ----------
    workers : int
        Processes for computing jobs. With one per core each is pinned to its own; fewer float, so that two
        builds beside each other do not share one core.
    network_workers : int
        Processes for jobs that wait for the network.
    logs : Path
        Folder for what workers and native libraries print.
    item_timeout_s : float
        Seconds after which a running job that gets on by less than a hundredth counts as hung.
    """

    def __init__(self, workers: int, network_workers: int, logs: Path, item_timeout_s: float) -> None:
        self._timeout_s = item_timeout_s
        self._queues: dict[bool, list[tuple[float, int, Job]]] = {False: [], True: []}
        self._order = count()
        self._deaths: dict[int, int] = {}
        self._events: list[Event | Finished] = []
        logs.mkdir(parents=True, exist_ok=True)
        cores = sorted(os.sched_getaffinity(0))
        self._slots = [
            _Slot(False, cores[number] if workers == len(cores) else None, logs / f"worker-{number}.log")
            for number in range(workers)
        ] + [_Slot(True, None, logs / f"network-{number}.log") for number in range(network_workers)]

    def submit(self, job: Job) -> None:
        heapq.heappush(self._queues[job.needs.network], (-job.priority, next(self._order), job))

    @property
    def unfinished(self) -> int:
        running = sum(slot.job is not None for slot in self._slots)
        return running + sum(len(queue) for queue in self._queues.values())

    def wait(self, timeout_s: float) -> list[Event | Finished]:
        self._dispatch()
        busy = {slot.connection: slot for slot in self._slots if slot.job is not None and slot.connection}
        if busy and not self._events:
            ready = wait(list(busy), timeout=timeout_s)
            for slot in [slot for connection, slot in busy.items() if connection in ready]:
                self._receive(slot)
        now = time.monotonic()
        for slot in self._slots:
            if slot.job is not None and now - slot.since > self._timeout_s:
                slot.kill()
                self._bury(slot, f"it did not get on for more than {self._timeout_s:.0f} s")
        self._dispatch()
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        for slot in self._slots:
            slot.kill()

    def _dispatch(self) -> None:
        for slot in self._slots:
            queue = self._queues[slot.network]
            if slot.job is None and queue:
                _, number, job = heapq.heappop(queue)
                slot.run(job, number)
                self._events.append(Event(job, "started"))

    def _receive(self, slot: _Slot) -> None:
        assert slot.connection is not None and slot.job is not None
        try:
            kind, value = slot.connection.recv()
        except (EOFError, OSError):
            self._bury(slot, _last_words(slot.kill()))
            return
        if kind == "progress":
            slot.got_on(value)
            self._events.append(Event(slot.job, "progressed", share=value))
        else:
            job, slot.job = slot.job, None
            self._deaths.pop(slot.number, None)
            self._events.append(Finished(job, value))

    def _bury(self, slot: _Slot, cause: str) -> None:
        """Requeue the job of a dead worker, or give it up."""
        assert slot.job is not None
        job, slot.job = slot.job, None
        deaths = self._deaths.get(slot.number, 0) + 1
        self._deaths[slot.number] = deaths
        if deaths < MAX_DEATHS:
            # Keeps its number and so its place in the queue.
            heapq.heappush(self._queues[slot.network], (-job.priority, slot.number, job))
            self._events.append(Event(job, "requeued", message=cause))
        else:
            message = f"the worker died {deaths} times on this item; the last time {cause}"
            outcome = Outcome("failed", reason="crash", message=message, tool_message=slot.log_tail())
            self._events.append(Finished(job, outcome))


@dataclass
class _Slot:
    """A place for one worker process, which is started when first needed and again after a death."""

    network: bool
    cpu: int | None
    log: Path
    process: subprocess.Popen[bytes] | None = None
    connection: Connection[Any, Any] | None = None
    job: Job | None = None
    number: int = -1
    hundredths: int = 0
    since: float = 0.0

    def run(self, job: Job, number: int) -> None:
        if self.process is not None and self.process.poll() is not None:
            self.kill()  # it died while idle, which is not this job's doing
        if self.process is None:
            self._start()
        assert self.connection is not None
        self.job, self.number, self.hundredths, self.since = job, number, 0, time.monotonic()
        with suppress(OSError):  # it died while idle; the closed socket is noticed when its answer is read
            self.connection.send(job)

    def got_on(self, share: float) -> None:
        """Note how far the job has come, where that is far enough from where it was."""
        hundredths = round(share * 100)
        if hundredths > self.hundredths:
            self.hundredths, self.since = hundredths, time.monotonic()

    def kill(self) -> int | None:
        """End the process, if there is one; its exit code, negative for a signal."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None
        if self.process is None:
            return None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        self.process = None
        return code

    def log_tail(self) -> str:
        try:
            return self.log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
        except OSError:
            return ""

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs, self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "d2midi_build.engine.worker", str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # so that what a worker started can be ended with it
                env=os.environ | dict.fromkeys(_ONE_THREAD, "1"),
            )
        self.connection = Connection(ours.detach())
        with suppress(OSError):  # a worker that ends at once is noticed when its answer is read
            self.connection.send({"path": sys.path, "cpu": self.cpu})


def _last_words(code: int | None) -> str:
    if code is not None and code < 0:
        known = -code in set(signal.Signals)
        return f"it was ended by {signal.Signals(-code).name if known else f'signal {-code}'}"
    return f"it ended with exit code {code}"
