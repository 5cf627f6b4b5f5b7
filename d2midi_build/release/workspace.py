"""From a workspace to a release: what it holds, what was removed from it, and which splits it was given before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from d2midi_build import manifests, overlays, tables
from d2midi_build.errors import UsageError
from d2midi_build.flow import SourceNode, TakeNode
from d2midi_build.ledger import Ledger
from d2midi_build.recipe import Recipe
from d2midi_build.release.build import Built, Progress, build
from d2midi_build.release.contents import GIVEN, Clip, Contents, Removal
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
) -> Built:
    """Build a release of all complete clips of a workspace, which is held meanwhile.

    Parameters
    ----------
    workspace : Workspace
    out, version, workers, progress
        As for `release.build.build`.
    recipe : Recipe, optional
        Its section ``release`` counts. Default: the recipe the workspace was last built with.
    before : dict, optional
        Splits of clips in an earlier release, besides those that the workspace remembers.
    new_splits : bool
        Forget all earlier splits. Who trained on an earlier release may then have seen what is test in this one.

    Raises
    ------
    UsageError, ReleaseError
        As `release.build.build`.
    """
    with workspace.lock():
        sources, remembered = manifests.remembered(workspace)
        chosen = remembered if recipe is None else remembered.model_copy(update={"release": recipe.release})
        nodes = publish(
            workspace, sources, remembered, Ledger(workspace.ledger_path), lambda done, total: None
        )
        known = {} if new_splits else {**splits(workspace), **(before or {})}
        built = build(
            contents(workspace, nodes),
            out,
            version,
            chosen.release.name,
            chosen,
            before=known,
            workers=workers,
            progress=progress,
        )
        _remember(workspace, known | dict(built.split_of))
    return built


def contents(workspace: Workspace, nodes: list[SourceNode]) -> Contents:
    """Everything of a workspace that is complete and accepted.

    Parameters
    ----------
    workspace : Workspace
        Its tables must be up to date with ``nodes``.
    nodes : list of SourceNode
        How far everything has come.
    """
    rows = {name: _rows(workspace, name) for name in ("videos", "clips", "groups")}
    groups: dict[str, dict[str, str]] = {}
    for row in rows["groups"]:
        groups.setdefault(row["take_id"], {})[f"{row['kind']}_group"] = row["group_id"]
    videos = {row["video_id"]: row for row in rows["videos"]}
    clip_rows = {row["clip_id"]: row for row in rows["clips"]}
    clips, left_out = [], {}
    for take in manifests.takes(nodes):
        if take.complete and take.take_id in clip_rows:
            video = videos[take.video_id]
            known = clip_rows[take.take_id] | {
                "genre": video["genre"],
                "licence": video["licence"],
                "performer_group": None,
                **groups[take.take_id],
            }
            clips.append(_clip(workspace, take, {name: known[name] for name in GIVEN}))
        elif take.records:
            left_out[take.take_id] = "not complete"
    return Contents(
        tuple(_video(row) for row in videos.values()), tuple(clips), tuple(removals(workspace)), left_out
    )


def removals(workspace: Workspace) -> list[Removal]:
    """What must not be used any more, by item."""
    newest: dict[tuple[str, str], _Decision] = {}
    for decision in overlays.read(workspace.removed_path, lambda data: _Decision(**data)):
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
        Id of a video or clip that the workspace knows, or its beginning.
    date : str
        YYYY-MM-DD.

    Raises
    ------
    UsageError
        If it is not known, or several begin so.
    """
    known = {row["video_id"]: (row["video_id"], "") for row in _rows(workspace, "videos")}
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
        known: dict[str, str] = json.loads(workspace.splits_path.read_text(encoding="utf-8"))["splits"]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
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


def _remember(workspace: Workspace, known: Mapping[str, str]) -> None:
    path = workspace.splits_path
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f".{path.name}")  # the workspace's lock is held: nobody else writes it
    partial.write_text(json.dumps({"splits": dict(sorted(known.items()))}, indent=1), encoding="utf-8")
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


def _video(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a release says of a video: nothing about where its builder keeps it."""
    local = row["extractor"] == "file"
    kept = (
        "video_id", "site_id", "title", "uploader", "channel", "upload_date", "licence", "genre", "performer",
        "music", "duration_s", "width", "height", "fps", "sha256",
    )  # fmt: skip
    return {
        **{name: row[name] for name in kept},
        "url": "" if local else row["webpage_url"],
        "site": row["extractor"],
    }
