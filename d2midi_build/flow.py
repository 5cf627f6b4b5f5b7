"""The data flow: which job follows from which record.

    source -> resolve -> entries -> crawl -> video -> filter -> takes -> resample -> clip
    clip -> separate -> transcribe -> notes -> opinions;  clip -> keypoints -> frames
    clip + notes + frames -> beats;  clip + notes + frames -> window

One walk over this graph serves everything: a build asks for each job's record and runs what has none,
a plan counts them, manifests are made from what the walk found. The walk itself does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from d2midi_build.engine.base import Job
from d2midi_build.groups.repeats import dropped
from d2midi_build.ledger import Record
from d2midi_build.model_digests import digests
from d2midi_build.recipe import Recipe
from d2midi_build.screening.criteria import Decision, decide
from d2midi_build.screening.verdicts import Judgement, Verdicts
from d2midi_build.sources.lists import Source
from d2midi_build.stages.base import MODELS, NAMES, stage
from d2midi_build.stages.opinions import abilities
from d2midi_build.workspace import Workspace

Ask = Callable[[Job], Record | None]
"""Gives a job's record, or None where it has not ended yet."""


@dataclass(frozen=True)
class Entry:
    """One video to fetch: a source that is one, or a member of a playlist.

    ``item`` is stable: the site's own id, or a digest of the address where the site has none. ``place`` is
    its number on a page whose videos have no address of their own.
    """

    item: str
    url: str
    kind: str
    source: Source
    place: int | None = None


@dataclass
class TakeNode:
    """A take and how far it has come; ``records`` maps a stage to its record, ``video`` is where it is cut from."""

    take_id: str
    video_id: str
    start_s: float
    end_s: float
    scores: dict[str, Any]
    judgement: Judgement
    video: dict[str, Any]
    records: dict[str, Record] = field(default_factory=dict)

    @property
    def decision(self) -> Decision:
        """What screening, people and the recipe's rule for repeats come to."""
        return self.judgement.decision

    @property
    def complete(self) -> bool:
        """Whether the last records of both branches say that everything before them went well."""
        last = (self.records.get(name) for name in ("beats", "window"))
        return all(record is not None and record.status == "done" for record in last)


@dataclass
class EntryNode:
    """A video and how far it has come."""

    entry: Entry
    crawl: Record | None = None
    filter: Record | None = None
    takes: list[TakeNode] = field(default_factory=list)

    @property
    def video_id(self) -> str | None:
        """The video's id once it is there."""
        return str(self.crawl.facts["video_id"]) if self.crawl and self.crawl.status == "done" else None


@dataclass
class SourceNode:
    """A source and the videos it turned out to hold."""

    source: Source
    resolve: Record | None = None
    entries: list[EntryNode] = field(default_factory=list)


class Flow:
    """The walk for one recipe and one workspace.

    Parameters
    ----------
    workspace : Workspace
        Tells where artefacts lie, what people decided, and which takes repeat others; the last two are read once.
    recipe : Recipe
        What to do.
    runs : collection of str
        Stages that are to run, so that their models must be here.

    Attributes
    ----------
    models : dict
        Digests of models by stage; see `model_digests`.

    Raises
    ------
    UsageError
        If the recipe names a transcriber that does not exist, or a model that is to run and is not here: said here,
        before anything runs.
    """

    def __init__(self, workspace: Workspace, recipe: Recipe, runs: Collection[str] = ()) -> None:
        self._workspace = workspace
        self._recipe = recipe
        self._verdicts = Verdicts(workspace.verdicts_path)
        self._repeats = dropped(workspace, recipe)
        self._cpu_s = {name: stage(name).cpu_s(recipe) for name in NAMES}
        self.models = {name: digests(workspace, stage(name), recipe, runs=name in runs) for name in NAMES}

    def source(self, source: Source, ask: Ask) -> SourceNode:
        """Walk a source and everything that follows from it."""
        node = SourceNode(source)
        node.resolve, entries = self.entries(source, ask)
        node.entries = [self.entry(entry, ask) for entry in entries]
        for entry in node.entries:
            for take in entry.takes:
                self.take(take, ask)
        return node

    def entries(self, source: Source, ask: Ask) -> tuple[Record | None, list[Entry]]:
        """The videos a source holds; a local file is one without asking."""
        if source.kind == "file":
            return None, [Entry(source.source_id, str(source.path), "file", source)]
        address = {"url": source.url}
        record = ask(self._job("resolve", source.source_id, address, address))
        if record is None or record.status != "done":
            return record, []
        return record, [
            Entry(found["item"], found["url"], "url", source, found["place"])
            for found in record.facts["entries"]
        ]

    def entry(self, entry: Entry, ask: Ask) -> EntryNode:
        """Walk a video up to its takes."""
        node = EntryNode(entry)
        depends = {"item": entry.item} if entry.kind == "url" else {"file": _file_state(entry.url)}
        inputs = {"url": entry.url, "kind": entry.kind, "place": entry.place}
        node.crawl = ask(self._job("crawl", entry.item, depends, inputs))
        if node.crawl is None or node.crawl.status != "done":
            return node
        facts = node.crawl.facts
        video = {"video": self._path(node.crawl, facts["file"]), "media": facts["media"]}
        duration_s = facts["media"]["duration_s"] or 1.0
        node.filter = ask(
            self._job("filter", facts["video_id"], {"video": facts["sha256"]}, video, duration_s)
        )
        if node.filter is not None and node.filter.status == "done":
            node.takes = [
                self._take(facts["video_id"], scores, video | {"sha256": facts["sha256"]})
                for scores in node.filter.facts["takes"]
            ]
        return node

    def _take(self, video_id: str, scores: dict[str, Any], video: dict[str, Any]) -> TakeNode:
        take_id = f"{video_id}_{round(scores['start_s'] * 1000):08d}"
        judgement = Judgement(
            decide(scores, self._recipe), self._verdicts.of(take_id, video_id), self._repeats.get(take_id, "")
        )
        return TakeNode(take_id, video_id, scores["start_s"], scores["end_s"], scores, judgement, video)

    def take(self, node: TakeNode, ask: Ask) -> None:
        """Walk what follows from a take: its clip, stems, notes, frames and windows."""
        if not node.decision.goes_on(self._recipe):
            return
        seconds = node.end_s - node.start_s
        span = {"start_s": node.start_s, "end_s": node.end_s}

        def step(name: str, depends: dict[str, Any], inputs: dict[str, Any]) -> Record | None:
            record = ask(self._job(name, node.take_id, depends, inputs, seconds))
            if record is not None:
                node.records[name] = record
            return record if record is not None and record.status == "done" else None

        clip = step("resample", {"video": node.video["sha256"], **span}, node.video | span)
        if clip is None:
            return
        length = {"n_frames": clip.facts["n_frames"]}
        picture = {name: clip.files[name] for name in ("video.mp4", "timing.npy")}
        keypoints = step(
            "keypoints",
            picture,
            length | {"video": self._path(clip, "video.mp4"), "timing": self._path(clip, "timing.npy")},
        )
        audio = "original.flac" if self._recipe.transcribe.audio == "native" else "audio.flac"
        heard: dict[str, Any] = {"audio": clip.files[audio]}
        sound: dict[str, Any] = length | {"audio": self._path(clip, audio)}
        if self._recipe.separate.method != "none":
            stems = step("separate", heard, sound)
            if stems is None:
                return
            heard |= stems.files
            sound["stems"] = {name: self._path(stems, f"{name}.flac") for name in stems.facts["stems"]}
        notes = step("transcribe", heard, sound)
        if notes is None:
            return
        seen, tables = {"notes": notes.files["notes.parquet"]}, {"notes": self._path(notes, "notes.parquet")}
        if self._recipe.transcribe.others:
            able = abilities(notes.facts, self._recipe)
            step("opinions", heard | seen | able, sound | tables | able)
        if keypoints is None:
            return
        seen |= {"frames": keypoints.files["frames.parquet"]}
        tables |= {"frames": self._path(keypoints, "frames.parquet")}
        step(
            "beats",
            length | {"audio": clip.files[audio]} | seen,
            length | {"audio": self._path(clip, audio)} | tables,
        )
        length["n_samples"] = clip.facts["n_samples"]
        step("window", length | seen, length | tables)

    def _job(
        self, name: str, item: str, depends: dict[str, Any], inputs: dict[str, Any], seconds: float = 1.0
    ) -> Job:
        described = stage(name)
        params = described.params(self._recipe)
        if described.brought(params):
            inputs = inputs | {MODELS: self.models[name]}
        return Job(
            stage=name,
            item=item,
            key=described.key(self._recipe, depends, self.models[name]),
            function="d2midi_build.stages.base:run_job",
            params=params,
            inputs=inputs,
            out="",
            cost=seconds if described.unit == "s" else 1.0,
            priority=seconds * sum(self._cpu_s[after] for after in _AFTER.get(name, ())),
            needs=described.needs,
        )

    def _path(self, record: Record, name: str) -> str:
        return str(self._workspace.artefact(record.stage, record.item, record.key) / name)


_AFTER = {
    "filter": ("filter", "resample", "separate", "transcribe", "opinions", "keypoints"),
    "resample": ("resample", "separate", "transcribe", "opinions", "keypoints"),
    "keypoints": ("keypoints", "beats"),
    "separate": ("separate", "transcribe", "opinions"),
    "transcribe": ("transcribe", "opinions", "beats"),
    "opinions": ("opinions",),
}
"""A stage and those that wait for it: items with much work ahead of them start first."""


def _file_state(path: str) -> list[Any]:
    """What tells that a local file has changed, without reading it; empty where it is missing."""
    try:
        state = Path(path).stat()
    except OSError:
        return [path]
    return [path, state.st_size, state.st_mtime_ns]
