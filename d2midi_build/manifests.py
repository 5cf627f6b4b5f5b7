"""The workspace's tables, made from what the ledger says.

A manifest is never the truth: it is rebuilt whenever the records behind it change, so a lost one is no
loss. Each carries the digest of those records in its metadata; equal digest, nothing to write.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from d2midi_build import clock, tables
from d2midi_build.digests import sha256_data
from d2midi_build.errors import WorkspaceError
from d2midi_build.flow import EntryNode, SourceNode, TakeNode
from d2midi_build.groups import membership, repeats
from d2midi_build.ledger import Record
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import Source
from d2midi_build.stages.filter import SCORES
from d2midi_build.stages.resample import FACTS as CLIP_FACTS
from d2midi_build.stages.transcribe import decide as transcription_decision
from d2midi_build.workspace import Workspace

NAMES = (
    "sources", "videos", "takes", "groups", "repeats", "clips", "stems", "notes", "beats", "windows",
)  # fmt: skip

_VERSION = 3
"""Raised whenever the same records would give other rows."""

_FOR_PEOPLE = ("at", "cpu_s", "wall_s", "traceback")
"""Fields of records that no table holds."""

_VIEWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "resample": ("clips/{id}/{file}", (".mp4", ".flac")),
    "separate": ("stems/{id}/{file}", (".flac",)),
    "transcribe": ("midi/{id}.mid", (".mid",)),
    "keypoints": ("frames/{id}.parquet", (".parquet",)),
}
"""Where people find the files of a stage: a name below the workspace, and the endings shown there."""

_VIDEO_TIME = "seconds from the video's first frame"
_CLIP_TIME = f"seconds from the clip's first frame; {clock.FPS} frames/s; {clock.SAMPLE_RATE_HZ} samples/s"


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


def publish(workspace: Workspace, sources: Sequence[SourceNode], recipe: Recipe) -> None:
    """Bring manifests and view folders up to date; what is new is compared with everything else for repeats."""
    grouped = members(workspace, sources)
    pairs = repeats.update(workspace.repeats_path, grouped).pairs
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
    for name in NAMES:
        path = workspace.manifests / f"{name}.parquet"
        if tables.metadata(path).get("d2midi_state") != state:
            if name == "groups":
                table = tables.from_rows(name, membership.groups(grouped, pairs))
            elif name == "repeats":
                table = tables.from_rows(name, map(asdict, pairs))
            else:
                table = _table(name, workspace, sources, recipe)
            tables.write(path, table, {"d2midi_state": state})
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
        found[_video_file(entry)] = _artefact(workspace, entry.crawl) / entry.crawl.facts["file"]
        for take in entry.takes:
            for record in take.records.values():
                pattern, suffixes = _VIEWS.get(record.stage, ("", ()))
                for file in record.files:
                    if record.status == "done" and file.endswith(suffixes):
                        found[pattern.format(id=take.take_id, file=file)] = (
                            _artefact(workspace, record) / file
                        )
    return found


def _table(name: str, workspace: Workspace, sources: Sequence[SourceNode], recipe: Recipe) -> pa.Table:
    if name == "notes":
        return _from_artefacts(name, "transcribe", workspace, sources)
    if name == "beats":
        return _from_artefacts(name, "beats", workspace, sources)
    if name == "windows":
        return _from_artefacts(name, "window", workspace, sources)
    rows: Iterable[dict[str, Any]]
    if name == "sources":
        rows = (_source_row(node) for node in sources)
    elif name == "videos":
        rows = (_video_row(entry) for entry in videos(sources))
    elif name == "takes":
        rows = (_take_row(entry, take) for entry in videos(sources) for take in entry.takes)
    elif name == "clips":
        rows = (_clip_row(take, recipe) for take in takes(sources) if take.records)
    else:
        rows = (row for take in takes(sources) for row in _stem_rows(take))
    return tables.from_rows(name, rows)


def _source_row(node: SourceNode) -> dict[str, Any]:
    found = [node.resolve, *(entry.crawl for entry in node.entries)]
    ends = [record for record in found if record is not None]
    failures = [record for record in ends if record.status == "failed"]
    if not ends or (len(ends) < len(found) - (node.resolve is None)):
        status = "waiting"
    elif failures:
        status = "partial" if any(entry.video_id for entry in node.entries) else "failed"
    else:
        status = "done"
    failure = failures[0] if failures else None
    last = ends[-1] if ends else None
    source = node.source
    return {
        "source_id": source.source_id,
        "url": source.url,
        "kind": source.kind,
        "genre": source.genre,
        "performer": source.performer,
        "licence": source.licence,
        "music": source.music,
        "notes": source.notes,
        "origin": source.origin,
        "extra": json.dumps(dict(source.extra), sort_keys=True, ensure_ascii=False),
        "video_ids": sorted({entry.video_id for entry in node.entries if entry.video_id}),
        "status": status,
        "reason": failure.reason if failure else "",
        "message": failure.message if failure else "",
        "tool_message": failure.tool_message if failure else "",
        **_provenance(last),
    }


def _video_row(entry: EntryNode) -> dict[str, Any]:
    assert entry.crawl is not None
    facts, source = entry.crawl.facts, entry.entry.source
    media, info = facts["media"], facts["info"]
    return {
        "video_id": facts["video_id"],
        "source_id": source.source_id,
        "file": _video_file(entry),
        "sha256": facts["sha256"],
        "bytes": facts["bytes"],
        **{name: info[name] for name in ("title", "uploader", "channel", "upload_date", "webpage_url")},
        "licence": source.licence or info["licence"],
        "extractor": info["extractor"],
        "site_id": info["site_id"],
        "genre": source.genre,
        "performer": source.performer,
        "music": source.music,
        **media,
        "n_takes": len(entry.takes),
        **_state(entry.filter),
        **_provenance(entry.crawl),
        "time_base": _VIDEO_TIME,
    }


def _take_row(entry: EntryNode, take: TakeNode) -> dict[str, Any]:
    scores, verdict = take.scores, take.judgement.verdict
    return {
        "take_id": take.take_id,
        "video_id": take.video_id,
        "start_s": take.start_s,
        "end_s": take.end_s,
        "n_frames": clock.whole_frames(take.end_s - take.start_s),
        "status": take.decision.status,
        "reasons": list(take.decision.reasons),
        "explanation": take.decision.explanation,
        "automatic_status": take.judgement.automatic.status,
        "decided_by": verdict.by if verdict else "",
        "decided_at": verdict.at if verdict else "",
        "decided_why": verdict.why if verdict else "",
        **{name: scores[name] for name in SCORES},
        **_provenance(entry.filter),
        "time_base": _VIDEO_TIME,
    }


def _clip_row(take: TakeNode, recipe: Recipe) -> dict[str, Any]:
    clip = take.records["resample"]
    failure = next((record for record in take.records.values() if record.status == "failed"), None)
    facts, files = clip.facts, clip.files
    keypoints, notes, beats, windows = (
        record.facts if (record := take.records.get(name)) and record.status == "done" else {}
        for name in ("keypoints", "transcribe", "beats", "window")
    )
    musical = beats.get("musical", {})
    heard = transcription_decision(notes, recipe)
    return {
        "clip_id": take.take_id,
        "take_id": take.take_id,
        "video_id": take.video_id,
        **{name: facts.get(name, 0) for name in CLIP_FACTS},
        "video_sha256": files.get("video.mp4", ""),
        "audio_sha256": files.get("audio.flac", ""),
        "original_sha256": files.get("original.flac", ""),
        **{
            name: keypoints.get(name)
            for name in ("body_share", "left_hand_share", "right_hand_share", "face_share")
        },
        "n_notes": notes.get("n_notes"),
        "n_sung": notes.get("n_sung"),
        "vocal_share": notes.get("vocal_share"),
        "review": list(heard.reasons),
        "review_explanation": heard.explanation,
        "n_beats": beats.get("n_beats"),
        "tempo_bpm": musical.get("tempo_bpm"),
        "metre": musical.get("metre"),
        "beats_confidence": musical.get("confidence"),
        "beats_method": musical.get("method", ""),
        "beats_reason": musical.get("reason", ""),
        "kinematic_beats_reason": beats.get("kinematic", {}).get("reason", ""),
        "n_windows": windows.get("n_windows"),
        "status": "failed" if failure else "done" if take.complete else "waiting",
        "failed_stage": failure.stage if failure else "",
        "reason": failure.reason if failure else "",
        "message": failure.message if failure else "",
        "stage_key": clip.key,
        "made_by": json.dumps(
            {name: {"key": record.key, **record.made_by} for name, record in take.records.items()},
            sort_keys=True,
        ),
        "time_base": _CLIP_TIME,
    }


def _stem_rows(take: TakeNode) -> Iterator[dict[str, Any]]:
    record = take.records.get("separate")
    for file, digest in (record.files if record else {}).items():
        yield {
            "clip_id": take.take_id,
            "stem": Path(file).stem,
            "file": f"stems/{take.take_id}/{file}",
            "sha256": digest,
            **_provenance(record),
            "time_base": _CLIP_TIME,
        }


def _from_artefacts(name: str, stage: str, workspace: Workspace, sources: Sequence[SourceNode]) -> pa.Table:
    """Join the per-clip tables a stage left, adding the clip's id and what made them."""
    described = tables.schema(name).arrow()
    parts = []
    for take in sorted(takes(sources), key=lambda take: take.take_id):
        record = take.records.get(stage)
        if record is None or record.status != "done":
            continue
        part = tables.read(_artefact(workspace, record) / f"{name}.parquet")
        constant = {"clip_id": take.take_id, **_provenance(record), "time_base": _CLIP_TIME}
        columns = [
            pa.repeat(pa.scalar(constant[field.name], field.type), len(part)) if field.name in constant
            else part.column(field.name).cast(field.type)
            for field in described
        ]  # fmt: skip
        parts.append(pa.table(columns, schema=described))
    table = pa.concat_tables(parts) if parts else described.empty_table()
    tables.check(name, table)
    return table.combine_chunks()


def _state(record: Record | None) -> dict[str, str]:
    if record is None:
        return {"status": "waiting", "reason": "", "message": ""}
    status = "failed" if record.status == "failed" else "done"
    return {"status": status, "reason": record.reason, "message": record.message}


def _provenance(record: Record | None) -> dict[str, str]:
    if record is None:
        return {"stage_key": "", "made_by": "{}"}
    return {"stage_key": record.key, "made_by": json.dumps(record.made_by, sort_keys=True)}


def _video_file(entry: EntryNode) -> str:
    assert entry.crawl is not None
    return f"videos/{entry.video_id}{Path(entry.crawl.facts['file']).suffix}"


def _artefact(workspace: Workspace, record: Record) -> Path:
    return workspace.artefact(record.stage, record.item, record.key)


def counts(records_: Iterable[Record]) -> dict[str, Counter[str]]:
    """Records by stage and status."""
    found: dict[str, Counter[str]] = {}
    for record in records_:
        found.setdefault(record.stage, Counter())[record.status] += 1
    return found
