"""What is done and what a build would do, from the ledger alone; nothing is run or written."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from d2midi_build import clock, manifests
from d2midi_build.engine.base import Job
from d2midi_build.flow import Flow, SourceNode
from d2midi_build.ledger import Ledger, Record
from d2midi_build.pipeline import Selection
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import Source
from d2midi_build.stages.base import NAMES, stage
from d2midi_build.workspace import Workspace

_UNKNOWN_VIDEO_S = 180.0
"""Length assumed of a video that is not downloaded yet, where the workspace has none to go by."""

_BYTES_PER_S = {
    "crawl": 300_000,
    "resample": 450_000,
    "separate": 120_000,
    "transcribe": 500,
    "opinions": 500,
    "keypoints": 60_000,
    "beats": 100,
}
"""Disk per second of media, measured on ../shared/data and the demo; for plans only."""

_NEXT = {
    "resolve": ("crawl",),
    "crawl": ("filter",),
    "filter": ("resample",),
    "resample": ("separate", "keypoints"),
    "separate": ("transcribe",),
    "transcribe": ("opinions", "beats", "window"),
    "keypoints": ("beats", "window"),
}
"""What waits for a stage's result."""

_CPU_STAGES = ("filter", "resample", "separate", "transcribe", "opinions", "keypoints", "beats")


@dataclass
class StageState:
    """How far one stage has come."""

    name: str
    done: int = 0
    failed: int = 0
    to_do: int = 0
    cpu_s: float = 0.0


@dataclass
class Survey:
    """How far a workspace has come under its recipe; ``agreements`` counts notes by other transcriber."""

    stages: list[StageState]
    n_sources: int
    n_windows: int = 0
    unique_hours: float = 0.0
    agreements: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    takes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[Record] = field(default_factory=list)

    def to_data(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        return {
            "sources": self.n_sources,
            "windows": self.n_windows,
            "unique_hours": self.unique_hours,
            "stages": {
                state.name: {"done": state.done, "failed": state.failed, "to_do": state.to_do}
                for state in self.stages
            },
            "agreements": {name: dict(counts) for name, counts in self.agreements.items()},
            "takes": dict(self.takes),
            "reasons": dict(self.reasons),
            "failures": [
                {
                    name: getattr(record, name)
                    for name in ("stage", "item", "reason", "message", "tool_message")
                }
                for record in self.failures
            ],
        }


@dataclass(frozen=True)
class Plan:
    """What a build would run: known jobs, and an estimate of what follows from them.

    ``assumed_videos`` counts the videos whose length is a guess because they are not downloaded yet.
    """

    jobs: dict[str, int]
    media_s: dict[str, float]
    cpu_s: float
    workers: int
    disk_bytes: int
    assumed_videos: int

    @property
    def wall_s(self) -> float:
        """Estimated duration with all workers busy, without downloads."""
        return self.cpu_s / self.workers


def survey(workspace: Workspace) -> Survey:
    """How far a workspace has come under the recipe and sources it was last built with."""
    sources, recipe = manifests.remembered(workspace)
    ledger = Ledger(workspace.ledger_path)
    nodes, new, again = _walk(workspace, ledger, sources, recipe, Selection())
    states = {name: StageState(name) for name in NAMES}
    found = Survey(list(states.values()), len(sources))
    for record in manifests.records(nodes):
        state = states[record.stage]
        state.cpu_s += record.cpu_s
        if record.status == "failed":
            state.failed += 1
            found.failures.append(record)
        else:
            state.done += 1
            for name, counts in record.facts.get("others", {}).items():
                found.agreements[name].update(counts)
    for job in new + again:
        states[job.stage].to_do += 1
    for job in again:  # its result is lost
        states[job.stage].done -= 1
    for take in manifests.takes(nodes):
        found.takes[take.decision.status] += 1
        found.reasons.update(take.decision.reasons)
        if take.complete:
            found.n_windows += take.records["window"].facts["n_windows"]
            found.unique_hours += take.records["resample"].facts["n_frames"] / clock.FPS / 3600
    return found


def plan(
    workspace: Workspace, sources: Sequence[Source], recipe: Recipe, selection: Selection, workers: int
) -> Plan:
    """What a build would run.

    Work that follows from work not done yet is estimated: each video one take, each take usable, and each
    result another than an earlier recipe gave.
    """
    ledger = Ledger(workspace.ledger_path)
    nodes, new, again = _walk(workspace, ledger, sources, recipe, selection, selection.stages)
    lengths = [
        entry.crawl.facts["media"]["duration_s"] or 0.0 for entry in manifests.videos(nodes) if entry.crawl
    ]
    typical_s = sum(lengths) / len(lengths) if lengths else _UNKNOWN_VIDEO_S
    ahead: dict[tuple[str, str], float] = {}
    for jobs_, follow in ((again, False), (new, True)):
        for job in jobs_:
            seconds = typical_s if job.stage in ("resolve", "crawl") else job.cost
            for name in _following(job.stage, recipe, selection) if follow else [job.stage]:
                ahead[name, job.item] = seconds
    jobs = Counter(name for name, _ in ahead)
    media_s: defaultdict[str, float] = defaultdict(float)
    for (name, _), seconds in ahead.items():
        if name == "crawl" or name in _CPU_STAGES:
            media_s[name] += seconds
    rates = _rates(ledger, recipe)
    return Plan(
        jobs={name: jobs[name] for name in NAMES if jobs[name]},
        media_s=dict(media_s),
        cpu_s=sum(media_s[name] * rates[name] for name in media_s if name in _CPU_STAGES),
        workers=workers,
        disk_bytes=round(sum(media_s[name] * _BYTES_PER_S.get(name, 0) for name in media_s)),
        assumed_videos=sum(job.stage in ("resolve", "crawl") for job in new),
    )


def _following(name: str, recipe: Recipe, selection: Selection) -> list[str]:
    """A stage and those that a build would run after it."""
    found = [name]
    for each in found:
        for after in _NEXT.get(each, ()):
            if after == "separate" and recipe.separate.method == "none":
                after = "transcribe"
            if after == "opinions" and not recipe.transcribe.others:
                continue
            if after in selection.stages and after not in found:
                found.append(after)
    return found


def _walk(
    workspace: Workspace,
    ledger: Ledger,
    sources: Sequence[Source],
    recipe: Recipe,
    selection: Selection,
    runs: Collection[str] = (),
) -> tuple[list[SourceNode], list[Job], list[Job]]:
    """The state of all sources; the jobs that could run now, and of those done once, the ones to run again.

    What runs again is taken to give the same, so that nothing else runs because of it.
    """
    new: dict[tuple[str, str, str], Job] = {}
    again: dict[tuple[str, str, str], Job] = {}

    def ask(job: Job) -> Record | None:
        record = ledger.find(job.stage, job.item, job.key)
        if record is not None and selection.counts(record, workspace):
            return record
        if job.stage not in selection.stages:
            return None
        if record is None or record.status == "failed":
            new[job.stage, job.item, job.key] = job
            return None
        again[job.stage, job.item, job.key] = job
        return record

    flow = Flow(workspace, recipe, runs)
    nodes = [flow.source(source, ask) for source in sources]
    return nodes, list(new.values()), list(again.values())


def _rates(ledger: Ledger, recipe: Recipe) -> dict[str, float]:
    """Processor seconds per second of media: what this workspace has seen, else the stages' own figures.

    What other transcribers took says nothing of the recipe's.
    """
    rates = {name: stage(name).cpu_s(recipe) for name in _CPU_STAGES}
    spent: defaultdict[str, float] = defaultdict(float)
    media: defaultdict[str, float] = defaultdict(float)
    for record in ledger:
        seconds = record.facts.get("media_s")
        if record.status == "done" and seconds and record.stage in rates and _alike(record, recipe):
            spent[record.stage] += record.cpu_s
            media[record.stage] += seconds
    return rates | {name: spent[name] / media[name] for name in media}


def _alike(record: Record, recipe: Recipe) -> bool:
    """Whether those listened that the recipe names, where somebody did."""
    if record.stage == "transcribe":
        return record.used(recipe.transcribe.transcriber)
    return record.stage != "opinions" or {*record.facts["others"]} == {*recipe.transcribe.others}
