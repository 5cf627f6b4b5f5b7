"""From a workspace to a release: what it holds, what was removed from it, and which splits it was given before."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from d2midi_build import manifests, overlays, tables
from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.corrections import Corrections, path_in
from d2midi_build.annotate.layers import clip_layers
from d2midi_build.annotate.sheets import sheets
from d2midi_build.digests import sha256_file
from d2midi_build.errors import UsageError
from d2midi_build.flow import SourceNode, TakeNode
from d2midi_build.ledger import Ledger
from d2midi_build.music.notes import Notes
from d2midi_build.recipe import Recipe
from d2midi_build.release.build import Built, Progress, build
from d2midi_build.release.checking import Check
from d2midi_build.release.contents import GIVEN, Clip, Contents, Removal
from d2midi_build.release.quality import measured
from d2midi_build.release.reader import open_release
from d2midi_build.standing import publish
from d2midi_build.workspace import Workspace

_FILES: Final = {
    "frames": ("keypoints", "frames.parquet"),
    "notes": ("transcribe", "notes.parquet"),
    "beats": ("beats", "beats.parquet"),
    "audio": ("resample", "audio.flac"),
}
"""The stage and the file that each of `contents.FILES` comes from."""


def build_from(
    workspace: Workspace,
    out: Path,
    version: str,
    recipe: Recipe | None = None,
    *,
    before: Mapping[str, str] | None = None,
    new_splits: bool = False,
    workers: int,
    progress: Progress | None = None,
    check: Check | None = None,
) -> Built:
    """Build a release of all complete clips of a workspace, which is held meanwhile.

    Parameters
    ----------
    workspace : Workspace
    out, version, workers, progress, check
        As for `release.build.build`.
    recipe : Recipe, optional
        Its section ``release`` counts. Default: the recipe the workspace was last built with.
    before : dict, optional
        Splits of clips in an earlier release of another workspace, besides those that this one remembers.
    new_splits : bool
        Forget all earlier splits. Who trained on an earlier release may then have seen what is test in this one.

    Raises
    ------
    UsageError, ReleaseError
        As `release.build.build`.
    """
    with workspace.lock(), ExitStack() as stack:
        sources, remembered = manifests.remembered(workspace)
        known = _known_splits(workspace, before, new_splits=new_splits)
        chosen = remembered if recipe is None else remembered.model_copy(update={"release": recipe.release})
        nodes = publish(
            workspace, sources, remembered, Ledger(workspace.ledger_path), lambda done, total: None
        )
        return build(
            contents(workspace, nodes, _released(workspace) | set(before or {}), stack),
            out,
            version,
            chosen.release.name,
            chosen,
            before=known,
            workers=workers,
            progress=progress,
            check=check,
            decided=lambda split_of: _remember(workspace, known | dict(split_of)),
        )


def _known_splits(
    workspace: Workspace, before: Mapping[str, str] | None, *, new_splits: bool
) -> dict[str, str]:
    if new_splits:
        if before is not None:
            raise UsageError("--previous says which splits to keep, --new-splits keeps none: one of them")
        return {}
    try:
        own, other = splits(workspace), before or {}
    except UsageError:
        if before is None:
            raise
        return dict(before)
    contrary = sum(own[clip] != split for clip, split in other.items() if clip in own)
    if contrary:
        raise UsageError(
            f"--previous has {contrary} clips in other splits than releases of this workspace had: leave it away, or "
            f"move {workspace.splits_path} away to follow it"
        )
    return {**own, **other}


def contents(
    workspace: Workspace, nodes: list[SourceNode], released: AbstractSet[str], stack: ExitStack
) -> Contents:
    """Everything of a workspace that is complete and accepted.

    Parameters
    ----------
    workspace : Workspace
        Its tables must be up to date with ``nodes``.
    nodes : list of SourceNode
        How far everything has come.
    released : set of str
        Clips of earlier releases: of their removal, and of no other, readers are told.
    stack : ExitStack
        What it closes last: the folder of corrected notes goes with it.

    Raises
    ------
    UsageError
        If a line of the removals or of the corrections cannot be understood.
    """
    rows = {name: _rows(workspace, name) for name in ("videos", "clips", "groups")}
    removed = removals(workspace)
    groups: dict[str, dict[str, str]] = {}
    for row in rows["groups"]:
        groups.setdefault(row["take_id"], {})[f"{row['kind']}_group"] = row["group_id"]
    videos = {row["video_id"]: row for row in rows["videos"]}
    clip_rows = {row["clip_id"]: row for row in rows["clips"]}
    corrections = Corrections.read(path_in(workspace), strictly=True)
    folder: Path | None = None
    clips, left_out = [], {}
    for take in manifests.takes(nodes):
        if any(removal.covers(take.video_id, take.take_id) for removal in removed):
            left_out[take.take_id] = "removed"
        elif take.complete and take.take_id in clip_rows:
            video = videos[take.video_id]
            known = clip_rows[take.take_id] | {
                "genre": video["genre"],
                "licence": video["licence"],
                "performer_group": None,
                **groups[take.take_id],
            }
            clip = _clip(workspace, take, {name: known[name] for name in GIVEN})
            if _is_corrected(clip, corrections):
                if folder is None:
                    folder = workspace.new_tmp()
                    stack.callback(shutil.rmtree, folder, ignore_errors=True)
                clip = _corrected(clip, corrections, folder)
            clips.append(clip)
        elif take.records:
            left_out[take.take_id] = "not complete"
    audited, agreed = measured(workspace, corrections, {clip.clip_id for clip in clips})
    public = [each for each in removed if any(each.covers(_video_of(clip), clip) for clip in released)]
    return Contents(
        tuple(_video(row) for row in videos.values()),
        tuple(clips),
        tuple(public),
        left_out,
        audited,
        agreed,
    )


def removals(workspace: Workspace) -> list[Removal]:
    """What must not be used any more, by item.

    Raises
    ------
    UsageError
        If a line of the file cannot be understood: what it removes would be published.
    """
    newest: dict[tuple[str, str], _Decision] = {}
    for decision in overlays.read(workspace.removed_path, _decision, _not_ignored):
        newest[decision.video_id, decision.clip_id] = decision
    return [
        Removal(decision.video_id, decision.clip_id, decision.reason, decision.date)
        for _, decision in sorted(newest.items())
        if not decision.withdrawn
    ]


def remove(
    workspace: Workspace, item: str, *, reason: str, by: str, date: str, withdrawn: bool = False
) -> Removal:
    """Decide that a video or a clip must not be used any more, or take that back.

    Parameters
    ----------
    item : str
        Id of a video or clip that the workspace knows or that was in a release of it, or its beginning.
    date : str
        YYYY-MM-DD.

    Raises
    ------
    UsageError
        If it is not known, or several begin so; if there is no reason, or nothing to withdraw.
    """
    if not withdrawn and not reason.strip():
        raise UsageError("--why must say why: readers are told")
    known = {}
    for clip in _released(workspace):  # it may be gone from the list, and still be in a release
        known[_video_of(clip)] = (_video_of(clip), "")
        known[clip] = (_video_of(clip), clip)
    known |= {row["video_id"]: (row["video_id"], "") for row in _rows(workspace, "videos")}
    known |= {row["clip_id"]: (row["video_id"], row["clip_id"]) for row in _rows(workspace, "clips")}
    found = [item] if item in known else [each for each in known if each.startswith(item)]
    # A video's id is the beginning of its clips': whoever names that much means the video.
    found = [each for each in found if not known[each][1]] or found
    if len(found) != 1:
        told = (
            ", ".join(sorted(found)[:5])
            or f"none: tables videos and clips in {workspace.manifests} list them"
        )
        raise UsageError(f"{item!r} must name one video or clip; it names {told}")
    video_id, clip_id = known[found[0]]
    now = removals(workspace)
    if withdrawn and not any((each.video_id, each.clip_id) == (video_id, clip_id) for each in now):
        listed = ", ".join(each.clip_id or each.video_id for each in now) or "nothing"
        raise UsageError(f"{found[0]} was not removed, so that cannot be taken back; removed: {listed}")
    overlays.append(
        workspace.removed_path, [asdict(_Decision(video_id, clip_id, reason, date, by, withdrawn))]
    )
    return Removal(video_id, clip_id, reason, date)


def splits(workspace: Workspace) -> dict[str, str]:
    """The splits that clips were given in releases of this workspace; nothing if there was none.

    Raises
    ------
    UsageError
        If the file is damaged.
    """
    try:
        known: dict[str, str] = dict(_memory(workspace)["splits"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{workspace.splits_path}, which says what was in which split, is damaged ({error}): bring it back from a "
            "backup, name an earlier release with --previous, or begin anew with --new-splits"
        ) from error
    return known


def splits_of(release: str) -> dict[str, str]:
    """The splits of the clips of a release, by its folder or URL; raises as `release.reader.open_release`."""
    clips = open_release(release).clips
    return dict(zip(*(clips.column(name).to_pylist() for name in ("clip_id", "split")), strict=True))


@dataclass(frozen=True)
class _Decision:
    video_id: str
    clip_id: str
    reason: str
    date: str
    by: str
    withdrawn: bool = False


def _decision(data: dict[str, Any]) -> _Decision:
    """Of a line; a newer d2midi may have written more into it."""
    return _Decision(**{field.name: data[field.name] for field in fields(_Decision) if field.name in data})


def _not_ignored(told: str) -> None:
    raise UsageError(f"{told}: mend or delete it, since what it removes would be in the release")


def _video_of(clip_id: str) -> str:
    return clip_id.rpartition("_")[0]


def _memory(workspace: Workspace) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(workspace.splits_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"splits": {}, "earlier": []}
    return found


def _released(workspace: Workspace) -> set[str]:
    """Clips that are in some release, as far as the workspace knows."""
    try:
        memory = _memory(workspace)
        return {*memory["splits"], *memory.get("earlier", [])}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _remember(workspace: Workspace, known: Mapping[str, str]) -> None:
    """Keep which split each clip has, and which clips had one before ``--new-splits``."""
    path = workspace.splits_path
    path.parent.mkdir(exist_ok=True)
    data = {"splits": dict(sorted(known.items())), "earlier": sorted(_released(workspace) - known.keys())}
    partial = path.with_name(f".{path.name}")  # the workspace's lock is held: nobody else writes it
    with partial.open("w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _rows(workspace: Workspace, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tables.read(workspace.manifests / f"{name}.parquet").to_pylist()
    return rows


def _clip(workspace: Workspace, take: TakeNode, row: Mapping[str, Any]) -> Clip:
    files, digests = {}, {}
    for name, (stage, file) in _FILES.items():
        record = take.records[stage]
        files[name] = workspace.artefact(record.stage, record.item, record.key) / file
        digests[name] = record.files[file]
    return Clip(row, files, digests)


def _is_corrected(clip: Clip, corrections: Corrections) -> bool:
    """Whether people have corrected any of its sheets."""
    corrected = {*corrections.sheet_ids()}
    return any(sheet.sheet_id in corrected for sheet in sheets(clip.clip_id, clip.row["n_frames"]))


def _corrected(clip: Clip, corrections: Corrections, folder: Path) -> Clip:
    """The clip with its notes in all layers."""
    machine = Notes.from_table(tables.read(clip.files["notes"]))
    path = folder / f"{clip.clip_id}.notes.parquet"
    tables.write(
        path, clip_layers(ClipNotes(clip.clip_id, clip.row["n_frames"], machine), corrections).to_table()
    )
    return Clip(clip.row, {**clip.files, "notes": path}, {**clip.digests, "notes": sha256_file(path)})


def _video(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a release says of a video: nothing about where its builder keeps it, or what they call the file."""
    url = public_address(row["webpage_url"])
    of_site = ("site_id", "title", "uploader", "channel", "upload_date")
    kept = (
        "video_id",
        "licence",
        "genre",
        "performer",
        "music",
        "duration_s",
        "width",
        "height",
        "fps",
        "sha256",
    )
    return {
        **{name: row[name] if url else "" for name in of_site},
        **{name: row[name] for name in kept},
        "url": url,
        "site": row["extractor"] if url else "file",
    }


def public_address(url: str) -> str:
    """An address without a login; empty if it is none that others can reach."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        public = ipaddress.ip_address(host).is_global
    except ValueError:
        public = "." in host and not host.endswith((".local", ".lan", ".internal", ".localhost"))
    if parts.scheme not in ("http", "https") or not public:
        return ""
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=f"[{host}]{port}" if ":" in host else f"{host}{port}").geturl()
