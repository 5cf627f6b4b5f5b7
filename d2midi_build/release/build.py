"""Building a release: everything is made beside its place, checked, and moved there in one step.

Nothing under the release's own name exists before it is complete; `release.staging` says what lies beside it meanwhile.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from d2midi_build.digests import sha256_data
from d2midi_build.engine.base import Event, Finished, Job
from d2midi_build.engine.local import LocalEngine
from d2midi_build.errors import ReleaseError, UsageError
from d2midi_build.recipe import Recipe
from d2midi_build.release import shards
from d2midi_build.release.assembly import VERSION, assemble
from d2midi_build.release.contents import FILES, Contents
from d2midi_build.release.format import FORMAT
from d2midi_build.release.gates import Gate, Policy, gates
from d2midi_build.release.planning import BYTES_PER_FRAME, Shard, choose, has_audio, plan_shards
from d2midi_build.release.staging import existing, staged, staging_of, sync
from d2midi_build.workspace import sync_folder

BUILDER: Final = 1
"""Raised whenever the same contents would give other bytes."""

_SEMANTIC: Final = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")

Progress = Callable[[float, float], None]
"""Takes frames done and frames in all."""


@dataclass(frozen=True)
class Built:
    """A release as it was built.

    Attributes
    ----------
    folder : Path
    manifest : dict
        What ``manifest.json`` says.
    split_of : dict
        Split of each clip in it.
    left_out : dict
        Clips that are not in it, and why.
    n_reused : int
        Shards that an earlier build which was stopped had finished.
    existed : bool
        Whether it was there already, complete, with the same contents.
    """

    folder: Path
    manifest: Mapping[str, Any]
    split_of: Mapping[str, str]
    left_out: Mapping[str, str]
    n_reused: int = 0
    existed: bool = False


def build(
    contents: Contents,
    out: Path,
    version: str,
    name: str,
    recipe: Recipe,
    *,
    before: Mapping[str, str],
    workers: int,
    progress: Progress | None = None,
) -> Built:
    """Build a release; go on where an earlier build of the same was stopped.

    Parameters
    ----------
    contents : Contents
    out : Path
        The release's folder; must not exist, unless it is this very release.
    version : str
        Semantic version.
    name : str
        Of the dataset.
    recipe : Recipe
        Its sections ``release`` and ``window``.
    before : dict
        Splits of clips in an earlier release, which they keep.
    workers : int
        Processes; they do not change a byte.
    progress : callable, optional

    Raises
    ------
    UsageError
        If ``out`` is something else, cannot be written, or is being built by somebody else.
    ReleaseError
        If a gate finds something; it names the gates and their offenders. Nothing is visible then.
    """
    if not _SEMANTIC.fullmatch(version):
        raise UsageError(
            f"--version {version!r} is no semantic version: write it as 1.2.3, see https://semver.org"
        )
    chosen = choose(contents, recipe, before)
    planned = plan_shards(chosen.clips, chosen.split_of, recipe)
    plan = {
        "builder": [BUILDER, FORMAT, pa.__version__, VERSION],
        "name": name,
        "version": version,
        "recipe": recipe.published(),
        "videos": sorted((dict(row) for row in contents.videos), key=lambda row: str(row["video_id"])),
        "clips": {
            shard.name: [[dict(clip.row), dict(clip.digests)] for clip in shard.clips] for shard in planned
        },
        "removals": sorted((vars(removal) for removal in contents.removals), key=str),
        "left_out": dict(sorted(Counter(chosen.left_out.values()).items())),
    }
    digest = sha256_data(plan)
    if (there := existing(out, digest, version)) is not None:
        shutil.rmtree(staging_of(out), ignore_errors=True)
        return Built(out, there, chosen.split_of, chosen.left_out, existed=True)
    with staged(out, digest) as staging:
        reused = _make_shards(planned, staging, recipe, workers, progress)
        folder = staging / "release"
        shutil.rmtree(folder, ignore_errors=True)
        manifest = assemble(folder, staging / "shards", planned, contents, recipe, plan | {"digest": digest})
        failed = [gate for gate in gates(folder, policy(recipe)) if not gate.passed]
        if failed:
            raise ReleaseError(_told(failed))
        sync(folder)
        folder.rename(out)
        sync_folder(out.parent)
    return Built(out, manifest, chosen.split_of, chosen.left_out, reused)


def policy(recipe: Recipe) -> Policy:
    """What the recipe demands of a release."""
    section = recipe.release
    return Policy(
        licences=section.licences,
        audio_licences=section.audio_licences,
        least_body_share=section.least_body_share,
        keep_apart=section.keep_apart,
    )


def _make_shards(
    planned: Sequence[Shard], staging: Path, recipe: Recipe, workers: int, progress: Progress | None
) -> int:
    """Make the shards that are not there yet; how many were."""
    total = sum(shard.n_frames for shard in planned)
    done = {
        shard.name: float(shard.n_frames) for shard in planned if (staging / "shards" / shard.name).is_dir()
    }
    missing = [shard for shard in planned if shard.name not in done]
    reused = len(done)
    if missing:
        _check_space(staging, sum(shard.n_frames for shard in missing))
    with LocalEngine(min(workers, len(missing)), 0, staging / "logs", recipe.run.item_timeout_s) as engine:
        for shard in missing:
            engine.submit(_job(shard, staging, recipe))
        while engine.unfinished or missing:
            for event in engine.wait(1.0):
                if isinstance(event, Event):
                    done[event.job.item] = event.share * event.job.cost if event.kind == "progressed" else 0.0
                elif isinstance(event, Finished):
                    _commit(event, staging)
                    done[event.job.item] = event.job.cost
                    missing = [shard for shard in missing if shard.name != event.job.item]
            if progress is not None:
                progress(sum(done.values()), total)
    if progress is not None:
        progress(total, total)
    return reused


def _job(shard: Shard, staging: Path, recipe: Recipe) -> Job:
    work = staging / "work" / shard.name
    work.mkdir(parents=True)
    # Windows of test do not overlap, or figures on them would count the same seconds many times.
    stride = recipe.window.frames if shard.split == "test" else recipe.window.stride
    clips = [
        {
            **{name: clip.row[name] for name in ("clip_id", "n_frames", "n_samples", "width", "height")},
            **{name: str(clip.files[name]) for name in FILES},
            "has_audio": has_audio(clip, recipe),
        }
        for clip in shard.clips
    ]
    return Job(
        stage="release",
        item=shard.name,
        key="",
        function=shards.FUNCTION,
        params={"frames": recipe.window.frames, "stride": stride},
        inputs={"clips": clips},
        out=str(work),
        cost=float(shard.n_frames),
        priority=float(shard.n_frames),
    )


def _commit(finished: Finished, staging: Path) -> None:
    outcome = finished.outcome
    if outcome.status != "done":
        raise ReleaseError(
            f"shard {finished.job.item} cannot be written ({outcome.reason}): {outcome.message}. "
            f"What is done is kept: run the same command again once this is mended.\n{outcome.tool_message}".rstrip()
        )
    work = Path(finished.job.out)
    sync(work)
    work.rename(staging / "shards" / finished.job.item)
    sync_folder(staging / "shards")


def _check_space(folder: Path, n_frames: int) -> None:
    needed, free = n_frames * BYTES_PER_FRAME, shutil.disk_usage(folder).free
    if needed > free:
        raise UsageError(
            f"the release needs about {needed / 1e9:.1f} GB, {folder.parent} has {free / 1e9:.1f} GB free: "
            "make room or choose another --out"
        )


def _told(failed: Sequence[Gate]) -> str:
    """What gates found, in words."""
    lines = []
    for gate in failed:
        lines.append(f"{gate.name}: {gate.meaning}. {gate.n_offenders} do not fit:")
        lines += [f"  {offender}" for offender in gate.offenders[:10]]
        if gate.n_offenders > 10:
            lines.append(f"  ... and {gate.n_offenders - 10} more")
    return "the release is not made, since it did not pass:\n" + "\n".join(lines)
