"""What a stage is, and how a worker runs one.

A stage is a pure function from an item and its inputs to files in a folder of its own, plus facts for
the ledger. It sees the recipe fields it declares and no others, so a field cannot change a result
without changing the key.
"""

from __future__ import annotations

import importlib
import os
import resource
import shutil
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from d2midi_build.digests import sha256_data, sha256_file
from d2midi_build.engine.base import Job, Needs, Outcome, Report
from d2midi_build.errors import ItemError, UsageError
from d2midi_build.recipe import Recipe
from d2midi_build.workspace import disk_is_full

NAMES = (
    "resolve", "crawl", "filter", "resample", "separate", "transcribe", "opinions", "keypoints", "beats", "window",
)  # fmt: skip
"""All stages in the order data flows; each is the module of that name with a ``STAGE``."""

MODELS = "models"
"""The input that holds what `Stage.digests` gave, where a model is brought."""

FULL_DISK = "No space left on device"
_HARDLY_ANY_BYTES = 1_000_000


@dataclass(frozen=True)
class Work:
    """What a stage's function is given.

    Parameters
    ----------
    params : dict
        Values of the recipe fields the stage reads, named ``"section.field"``.
    inputs : dict
        Paths and facts from earlier stages.
    out : Path
        An empty folder; every file left in it becomes part of the artefact.
    scratch : Path
        A folder that survives failed and killed attempts (partial downloads); may not exist yet.
    report : callable
        Takes the share done, 0 to 1.
    state : dict
        Lives as long as the worker: models are loaded into it once.
    """

    params: Mapping[str, Any]
    inputs: Mapping[str, Any]
    out: Path
    scratch: Path
    report: Report
    state: dict[str, Any]


@dataclass(frozen=True)
class Made:
    """What a stage's function returns when the item went well."""

    facts: dict[str, Any]
    made_by: dict[str, str] = field(default_factory=dict)


Read = Callable[[], dict[str, str]]
"""Reads the digests of a model."""


@dataclass(frozen=True)
class Stage:
    """The declaration of a stage.

    Parameters
    ----------
    name : str
        Its name in the ledger and on the command line.
    version : int
        Raised whenever the same inputs would give another result.
    reads : tuple of str
        Recipe fields that change its result, named ``"section.field"``.
    unit : str
        What its cost counts: ``"s"`` (of media) or ``"items"``.
    cpu_per_unit : float or callable
        Processor seconds per unit, measured; for plans and for starting long items first. Callable where it depends on
        the fields given; see `cpu_s`.
    run : callable
        ``Work -> Made``; raises ``ItemError`` for an item that cannot be processed.
    models : callable
        From the fields given to digests of the model files used; part of the key.
    brought : callable
        The same for models that the user brings, by what the recipe calls each: a function that reads its digests, and
        raises ``UsageError`` where it is not here. They are remembered with the workspace (`model_digests`).
    hints : tuple of str
        Recipe fields passed on that are no part of the key: how, not what (timeouts, proxies), or where
        models lie, whose digests are.
    needs : Needs
        What it asks of the machine.
    """

    name: str
    version: int
    reads: tuple[str, ...]
    unit: str
    cpu_per_unit: float | Callable[[Mapping[str, Any]], float]
    run: Callable[[Work], Made]
    models: Callable[[Mapping[str, Any]], dict[str, str]] = field(default=lambda params: {})
    brought: Callable[[Mapping[str, Any]], dict[str, Read]] = field(default=lambda params: {})
    hints: tuple[str, ...] = ()
    needs: Needs = field(default_factory=Needs)

    def params(self, recipe: Recipe) -> dict[str, Any]:
        """Values of the fields a job is given."""
        return {name: recipe.field(name) for name in self.reads + self.hints}

    def cpu_s(self, recipe: Recipe) -> float:
        """Processor seconds per unit under a recipe."""
        known = self.cpu_per_unit
        return known(self.params(recipe)) if callable(known) else known

    def digests(
        self,
        params: Mapping[str, Any],
        look: Callable[[str, Read], dict[str, str]] = lambda name, read: read(),
    ) -> dict[str, str]:
        """Digests of all models; ``look`` may know those of a brought one without reading them."""
        found = dict(self.models(params))
        for name, read in self.brought(params).items():
            found |= look(name, read)
        return found

    def key(self, recipe: Recipe, depends: Mapping[str, Any], models: Mapping[str, str] | None = None) -> str:
        """Digest of everything the result depends on.

        Parameters
        ----------
        recipe : Recipe
            Only the fields in ``reads`` count.
        depends : dict
            Digests of inputs and the facts that enter the result; plain data.
        models : dict, optional
            What `digests` gave, if it was asked before.
        """
        read = {name: recipe.field(name) for name in self.reads}
        models = self.digests(self.params(recipe)) if models is None else dict(models)
        return sha256_data([self.name, self.version, read, dict(depends), models])


@cache
def stage(name: str) -> Stage:
    """A stage by its name; imports its module and nothing heavy."""
    found: Stage = importlib.import_module(f"d2midi_build.stages.{name}").STAGE
    return found


def run_job(job: Job, report: Report, state: dict[str, Any]) -> Outcome:
    """Run a job in a worker; never raises.

    This is the item boundary: whatever goes wrong in an item ends here, with its traceback kept.
    """
    started, cpu = time.monotonic(), _cpu_s()
    work = Work(job.params, job.inputs, Path(job.out), Path(job.scratch), report, state)
    try:
        _empty(work.out)  # an attempt whose worker died may have left files
        _check_models(job)
        made = stage(job.stage).run(work)
        files = _seal(work.out)
        outcome = Outcome("done", files=files, facts=made.facts, made_by=made.made_by)
    except ItemError as error:
        outcome = Outcome(
            "failed",
            reason=error.reason,
            message=error.message,
            tool_message=error.tool_message,
            disk_full=FULL_DISK in error.tool_message,
        )
    except Exception as error:
        # Libraries hide a full disk behind errors of their own, so the disk itself is asked as well.
        full = (isinstance(error, OSError) and disk_is_full(error)) or _no_room(work.out)
        outcome = Outcome(
            "failed",
            # what the user can mend may go well once it is
            reason="transient" if full or isinstance(error, (MemoryError, UsageError)) else "permanent",
            message=f"{type(error).__name__}: {error}",
            traceback=traceback.format_exc(),
            disk_full=full,
        )
    return replace(outcome, cpu_s=round(_cpu_s() - cpu, 3), wall_s=round(time.monotonic() - started, 3))


def _check_models(job: Job) -> None:
    """Raise ``UsageError`` if a brought model is not the one that the job's key tells of."""
    expected = job.inputs.get(MODELS)
    if expected is not None and stage(job.stage).digests(job.params) != expected:
        raise UsageError(
            f"the models of {job.stage} were exchanged while a build ran: build again, with `d2midi retry --reason "
            "transient`"
        )


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _no_room(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _HARDLY_ANY_BYTES
    except OSError:
        return False


def _seal(folder: Path) -> dict[str, str]:
    """Digests of all files in a folder, each safely on disk."""
    digests = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        digests[str(path.relative_to(folder))] = sha256_file(path)
    return digests


def _cpu_s() -> float:
    """Processor seconds of this process and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
