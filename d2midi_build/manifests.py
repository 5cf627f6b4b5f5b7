"""The workspace's tables, made from what the ledger says.

A manifest is never the truth: it is rebuilt whenever the records behind it change, so a lost one is no
loss. Each carries the digest of those records in its metadata; equal digest, nothing to write.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa

from d2midi_build import rows, tables
from d2midi_build.digests import sha256_data
from d2midi_build.errors import WorkspaceError
from d2midi_build.flow import EntryNode, SourceNode, TakeNode
from d2midi_build.groups import membership
from d2midi_build.ledger import Record
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import Source
from d2midi_build.stages import beats as beats_stage
from d2midi_build.stages import opinions as opinions_stage
from d2midi_build.workspace import Workspace

if TYPE_CHECKING:
    from d2midi_build.synchrony.together import Clip

NAMES = (
    "sources", "videos", "takes", "groups", "repeats", "clips", "offsets", "stems", "notes",
    "opinions", "beats", "windows",
)  # fmt: skip

_VERSION = 5
"""Raised whenever the same records would give other rows."""

OTHERS = "d2midi_others"
"""Metadata of each table: how many other transcribers its recipe names, of which some may have heard nothing."""

_FOR_PEOPLE = ("at", "cpu_s", "wall_s", "traceback")
"""Fields of records that no table holds."""

_VIEWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "resample": ("clips/{id}/{file}", (".mp4", ".flac")),
    "separate": ("stems/{id}/{file}", (".flac",)),
    "transcribe": ("midi/{id}.mid", (".mid",)),
    "keypoints": ("frames/{id}.parquet", (".parquet",)),
}
"""Where people find the files of a stage: a name below the workspace, and the endings shown there."""


def remember(workspace: Workspace, sources: Sequence[Source], recipe: Recipe) -> None:
    """Keep what a build was asked for, so that later commands need not be told again."""
    listed = [asdict(source) | {"path": str(source.path or "")} for source in sources]
    for path, text in (
        (workspace.sources_path, json.dumps(listed, ensure_ascii=False, indent=1, default=dict)),
        (workspace.recipe_path, recipe.to_toml()),
    ):
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            partial = path.with_name(f".{path.name}")
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)


def remembered(workspace: Workspace) -> tuple[list[Source], Recipe]:
    """The sources and the recipe of the last build.

    Raises
    ------
    WorkspaceError
        If there was none.
    """
    try:
        raw = json.loads(workspace.sources_path.read_text(encoding="utf-8"))
        recipe = Recipe.load(workspace.recipe_path)
    except (FileNotFoundError, ValueError) as error:
        raise WorkspaceError(
            f"{workspace.root} does not say what it was built from: run "
            f"`d2midi build --source LIST -w {workspace.root}`"
        ) from error
    return [
        Source(**(source | {"path": Path(source["path"]) if source["path"] else None})) for source in raw
    ], recipe


def publish(
    workspace: Workspace,
    sources: Sequence[SourceNode],
    recipe: Recipe,
    pairs: Sequence[membership.Pair],
) -> None:
    """Bring manifests and view folders up to date; ``pairs`` are the takes found to repeat others."""
    found = sorted(records(sources), key=lambda record: (record.stage, record.item, record.key))
    state = sha256_data(
        [
            _VERSION,
            recipe.model_dump(mode="json", exclude={"run"}),
            [asdict(node.source) | {"path": ""} for node in sources],
            [
                asdict(take.judgement)
                for take in takes(sources)
                if take.judgement.verdict or take.judgement.repeats
            ],
            [asdict(pair) for pair in pairs],
            [
                {name: value for name, value in vars(record).items() if name not in _FOR_PEOPLE}
                for record in found
            ],
        ]
    )
    stale = [name for name in NAMES if tables.metadata(_path(workspace, name)).get("d2midi_state") != state]
    if stale:
        groups = membership.groups(members(workspace, sources), pairs)
        music = {row["take_id"]: row["group_id"] for row in groups if row["kind"] == "music"}
        sync_state = _sync_state(sources, music)
        made = _tables(workspace, sources, recipe, groups, pairs, music, sync_state)
        others = str(len(recipe.transcribe.others))
        meta = {"d2midi_state": state, "d2midi_sync": sync_state, OTHERS: others}
        # What these take over from each other's earlier tables must be read before either is replaced.
        leaning = {name: made[name]() for name in stale if name in ("clips", "offsets")}
        for name in stale:
            tables.write(_path(workspace, name), leaning[name] if name in leaning else made[name](), meta)
    workspace.publish(views(workspace, sources))


def records(sources: Iterable[SourceNode]) -> Iterator[Record]:
    """Every record behind the nodes, each once."""
    seen: set[tuple[str, str, str]] = set()
    for source in sources:
        found = [source.resolve]
        for entry in source.entries:
            found += [entry.crawl, entry.filter]
            found += [record for take in entry.takes for record in take.records.values()]
        for record in found:
            if record is not None and (record.stage, record.item, record.key) not in seen:
                seen.add((record.stage, record.item, record.key))
                yield record


def videos(sources: Iterable[SourceNode]) -> Iterator[EntryNode]:
    """Every downloaded video once: under the first source of the list that gave it."""
    seen: set[str] = set()
    for source in sources:
        for entry in source.entries:
            if entry.video_id is not None and entry.video_id not in seen:
                seen.add(entry.video_id)
                yield entry


def takes(sources: Iterable[SourceNode]) -> Iterator[TakeNode]:
    """Every take once."""
    for entry in videos(sources):
        yield from entry.takes


def members(workspace: Workspace, sources: Iterable[SourceNode]) -> list[membership.Member]:
    """The takes that grouping looks at: those that may become clips, whatever the rule for repeats says."""
    found = []
    for entry in videos(sources):
        for take in entry.takes:
            decision = take.judgement.by_itself
            if decision.status == "reject" or entry.filter is None or entry.crawl is None:
                continue
            source, info = entry.entry.source, entry.crawl.facts["info"]
            found.append(
                membership.Member(
                    take_id=take.take_id,
                    video_id=take.video_id,
                    start_s=take.start_s,
                    end_s=take.end_s,
                    performer=source.performer,
                    channel=info["channel"] or info["uploader"],
                    music=source.music,
                    url=entry.entry.url,
                    status=decision.status,
                    features=_artefact(workspace, entry.filter),
                    key=f"{entry.filter.key} {take.start_s} {take.end_s}",
                )
            )
    return found


def views(workspace: Workspace, sources: Sequence[SourceNode]) -> dict[str, Path]:
    """Names for people (below the workspace) and the files in the store they stand for."""
    found: dict[str, Path] = {}
    for entry in videos(sources):
        assert entry.crawl is not None
        found[rows.video_file(entry)] = _artefact(workspace, entry.crawl) / entry.crawl.facts["file"]
        for take in entry.takes:
            for record in take.records.values():
                pattern, suffixes = _VIEWS.get(record.stage, ("", ()))
                for file in record.files:
                    if record.status == "done" and file.endswith(suffixes):
                        found[pattern.format(id=take.take_id, file=file)] = (
                            _artefact(workspace, record) / file
                        )
    return found


def _tables(
    workspace: Workspace,
    sources: Sequence[SourceNode],
    recipe: Recipe,
    groups: Sequence[dict[str, Any]],
    pairs: Sequence[membership.Pair],
    music: Mapping[str, str],
    sync_state: str,
) -> dict[str, Callable[[], pa.Table]]:
    """What makes each table."""

    @cache
    def beating() -> list[Clip]:
        return list(_beating(workspace, sources, music))

    def earlier(name: str) -> list[dict[str, Any]] | None:
        """The rows of an earlier table that rests on the same beats and groups of music."""
        path = _path(workspace, name)
        same = tables.metadata(path).get("d2midi_sync") == sync_state
        return tables.read(path).to_pylist() if same else None

    @cache
    def offset_rows() -> list[dict[str, Any]]:
        from d2midi_build.synchrony.together import offsets

        known = earlier("offsets")
        return offsets(beating()) if known is None else known

    def clip_rows() -> Iterator[dict[str, Any]]:
        from d2midi_build.synchrony.together import expected_lags, null_tests

        known = earlier("clips")
        if known is None:
            tests = null_tests(beating(), expected_lags(beating(), offset_rows()))
            null_p = {clip_id: test.p for clip_id, test in tests.items()}
        else:
            null_p = {row["clip_id"]: row["sync_null_p"] for row in known}
        for take in takes(sources):
            if take.records:
                yield rows.clip_row(take, recipe, null_p.get(take.take_id))

    entries = list(videos(sources))
    from_rows: dict[str, Callable[[], Iterable[dict[str, Any]]]] = {
        "sources": lambda: map(rows.source_row, sources),
        "videos": lambda: map(rows.video_row, entries),
        "takes": lambda: (rows.take_row(entry, take) for entry in entries for take in entry.takes),
        "groups": lambda: groups,
        "repeats": lambda: map(asdict, pairs),
        "clips": clip_rows,
        "offsets": offset_rows,
        "stems": lambda: (row for entry in entries for take in entry.takes for row in rows.stem_rows(take)),
    }
    from_artefacts = {"notes": "transcribe", "opinions": "opinions", "beats": "beats", "windows": "window"}
    return {name: partial(_from_rows, name, made) for name, made in from_rows.items()} | {
        name: partial(_from_artefacts, name, stage, workspace, sources)
        for name, stage in from_artefacts.items()
    }


def _sync_state(sources: Iterable[SourceNode], music: Mapping[str, str]) -> str:
    """Digest of what synchronisation over clips rests on: beats, and the group of music of each take."""
    beats = [
        (take.take_id, take.records["beats"].key, music.get(take.take_id), entry.entry.url)
        for entry in videos(sources)
        for take in entry.takes
        if "beats" in take.records
    ]
    return sha256_data([_VERSION, *beats])


def _from_rows(name: str, made: Callable[[], Iterable[dict[str, Any]]]) -> pa.Table:
    return tables.from_rows(name, made())


def _beating(workspace: Workspace, sources: Iterable[SourceNode], music: Mapping[str, str]) -> Iterator[Clip]:
    """The clips with beats, as synchronisation sees them; ``music`` is the music group of each take."""
    import numpy as np

    from d2midi_build.synchrony.null import BeatsOf
    from d2midi_build.synchrony.together import Clip

    for entry in videos(sources):
        url, source = urlsplit(entry.entry.url), entry.entry.source.source_id
        site = (url.hostname or "") if entry.entry.kind == "url" else "local files"
        for take in entry.takes:
            record = take.records.get("beats")
            if record is None or record.status != "done":
                continue
            folder = _artefact(workspace, record)
            beats = tables.read(folder / "beats.parquet", columns=["kind", "time_s"])
            kinds, times_s = (beats.column(name).to_numpy() for name in ("kind", "time_s"))
            yield Clip(
                take.take_id,
                music.get(take.take_id, take.take_id),
                BeatsOf(times_s[kinds == "kinematic"], times_s[kinds == "musical"]),
                np.load(folder / beats_stage.RHYTHM_FILE),
                (("all", ""), ("site", site), ("source", source)),
            )


def _from_artefacts(name: str, stage: str, workspace: Workspace, sources: Sequence[SourceNode]) -> pa.Table:
    """Join the per-clip tables a stage left, adding the clip's id and what made them."""
    described = tables.schema(name).arrow()
    parts = []
    for take in sorted(takes(sources), key=lambda take: take.take_id):
        record = take.records.get(stage)
        if record is None or record.status != "done":
            continue
        part = tables.read(_artefact(workspace, record) / f"{name}.parquet")
        if name == "notes":
            part = part.append_column("agreement", _agreement(workspace, take, len(part)))
        constant = {"clip_id": take.take_id, **rows.provenance(record), "time_base": rows.CLIP_TIME}
        columns = [
            pa.repeat(pa.scalar(constant[field.name], field.type), len(part)) if field.name in constant
            else part.column(field.name).cast(field.type)
            for field in described
        ]  # fmt: skip
        parts.append(pa.table(columns, schema=described))
    table = pa.concat_tables(parts) if parts else described.empty_table()
    tables.check(name, table)
    return table.combine_chunks()


def _agreement(workspace: Workspace, take: TakeNode, n_notes: int) -> pa.ChunkedArray | pa.Array:
    """What other transcribers say of each note of a take; null where none was asked."""
    record = take.records.get("opinions")
    if record is None or record.status != "done":
        return pa.nulls(n_notes, pa.float32())
    return tables.read(_artefact(workspace, record) / opinions_stage.AGREEMENT_FILE).column("agreement")


def _path(workspace: Workspace, name: str) -> Path:
    return workspace.manifests / f"{name}.parquet"


def _artefact(workspace: Workspace, record: Record) -> Path:
    return workspace.artefact(record.stage, record.item, record.key)


def counts(records_: Iterable[Record]) -> dict[str, Counter[str]]:
    """Records by stage and status."""
    found: dict[str, Counter[str]] = {}
    for record in records_:
        found.setdefault(record.stage, Counter())[record.status] += 1
    return found
