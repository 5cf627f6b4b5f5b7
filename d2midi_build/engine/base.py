"""The contract between the pipeline and whatever runs its jobs.

An engine takes jobs, runs each in a process that is not the caller's, and hands back one ``Finished``
per job, in any order. It knows nothing of stages: a job names the function that runs it. Results travel
as files in the job's private folder and as an ``Outcome``; commits and the ledger are the caller's.

Every engine keeps these promises, which ``tests/engine/conformance.py`` checks:

- a job whose process dies is run again, and after its second death ends as ``failed``, reason ``crash``;
- no other job is lost or run twice to an end because of it;
- a job that does not get on within its time limit counts as dead;
- jobs with a higher priority start first; network jobs never take a processor's place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from d2midi_build.ledger import Status

MAX_DEATHS = 2
"""Deaths of a worker on one job before the job is given up."""


@dataclass(frozen=True)
class Needs:
    """What a job needs of a machine.

    ``network`` jobs wait more than they compute and run beside the others. ``gpu`` and ``memory_gb``
    tell a cluster engine where a job fits; the local engine has one machine and does not place by them.
    """

    network: bool = False
    gpu: float = 0.0
    memory_gb: float = 1.0


@dataclass(frozen=True)
class Job:
    """One stage for one item.

    Parameters
    ----------
    stage, item, key : str
        What the ledger will call it.
    function : str
        ``"module:name"`` of a function ``(job, report, state) -> Outcome``. ``report`` is a
        ``Callable[[float], None]`` that takes the share done; ``state`` is a dictionary that lives as
        long as the worker, for models.
    params : dict
        The recipe fields the stage reads, and no others.
    inputs : dict
        Paths and facts from earlier stages; plain data.
    out, scratch : str
        A private empty folder for results, and one that survives attempts (partial downloads).
    cost : float
        Size for progress, in the stage's unit (seconds of media, or items).
    priority : float
        Higher starts first.
    """

    stage: str
    item: str
    key: str
    function: str
    params: dict[str, Any]
    inputs: dict[str, Any]
    out: str
    scratch: str = ""
    cost: float = 1.0
    priority: float = 0.0
    needs: Needs = field(default_factory=Needs)


@dataclass(frozen=True)
class Outcome:
    """How a job ended; the fields are those of ``ledger.Record``.

    ``disk_full`` says that no later job can succeed either, so the run should stop.
    """

    status: Status
    reason: str = ""
    message: str = ""
    tool_message: str = ""
    traceback: str = ""
    files: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    made_by: dict[str, str] = field(default_factory=dict)
    cpu_s: float = 0.0
    wall_s: float = 0.0
    disk_full: bool = False


@dataclass(frozen=True)
class Event:
    """Something that happened to a job."""

    job: Job
    kind: Literal["started", "progressed", "requeued"]
    share: float = 0.0
    message: str = ""


@dataclass(frozen=True)
class Finished:
    """A job's end. ``started`` to ``finished`` is what the caller may show as rate."""

    job: Job
    outcome: Outcome


Report = Callable[[float], None]
JobFunction = Callable[[Job, Report, dict[str, Any]], Outcome]


class Engine(ABC):
    """Runs jobs. Use as a context manager: leaving it ends every worker at once."""

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Queue a job."""

    @abstractmethod
    def wait(self, timeout_s: float) -> list[Event | Finished]:
        """What happened since the last call; returns early as soon as something did."""

    @property
    @abstractmethod
    def unfinished(self) -> int:
        """Number of jobs queued or running."""

    @abstractmethod
    def close(self) -> None:
        """End every worker at once; jobs in flight are lost."""

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
