"""Building a release: everything is made beside its place, checked, and moved there in one step.

Nothing under the release's own name exists before it is complete; `release.staging` says what lies beside it meanwhile.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from d2midi_build.digests import sha256_data
from d2midi_build.engine.base import Finished, Job
from d2midi_build.engine.local import LocalEngine
from d2midi_build.errors import ReleaseError, UsageError
from d2midi_build.recipe import Recipe
from d2midi_build.release import shards
from d2midi_build.release.assembly import VERSION, Assembled, assemble, tell
from d2midi_build.release.checking import Check, forget_refusal, refuse
from d2midi_build.release.contents import FILES, Contents
from d2midi_build.release.format import FORMAT
from d2midi_build.release.gates import Gate, Policy, gates
from d2midi_build.release.planning import (
    BYTES_PER_FRAME,
    SOUND_BYTES_PER_FRAME,
    Shard,
    check_licences,
    choose,
    has_audio,
    plan_shards,
)
from d2midi_build.release.staging import existing, keep_shards, place, put_in_place, staged, sync
from d2midi_build.workspace import sync_path

_BUILDER: Final = [3, FORMAT, pa.__version__, VERSION]
"""What else the bytes depend on; the number is raised whenever the same contents would give others."""

_SEMANTIC: Final = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?"
)

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
    n_kept : int
        Clips whose split is that of an earlier release, whatever seed and shares the recipe has.
    n_reused : int
        Shards that an earlier build which was stopped had finished.
    existed : bool
        Whether it was there already, complete, with the same contents.
    """

    folder: Path
    manifest: Mapping[str, Any]
    split_of: Mapping[str, str]
    left_out: Mapping[str, str]
    n_kept: int
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
    check: Check | None = None,
    decided: Callable[[Mapping[str, str]], None] = lambda split_of: None,
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
    check : callable, optional
        Looks at the whole release when all gates have passed; what it finds goes into the release, or forbids it. It
        is not part of what the release is made of: where the very release is already, with what a check found, no
        check is made again.
    decided : callable, optional
        Is given the split of each clip, when all gates have passed and before the release is visible.

    Raises
    ------
    UsageError
        If ``out`` is something else, cannot be written, or is being built by somebody else; if it is this release,
        but a check is asked for and none was made.
    ReleaseError
        If a gate finds something; it names the gates and their offenders. If the check does; it names the reasons, and
        the report lies in ``<out>.gate``. Nothing else is visible then.
    """
    if not _SEMANTIC.fullmatch(version):
        raise UsageError(
            f"--version {version!r} is no semantic version: write it as 1.2.3, see https://semver.org"
        )
    out = place(out)
    check_licences(contents, recipe)
    chosen = choose(contents, recipe, before)
    planned = plan_shards(chosen.clips, chosen.split_of, recipe)
    plan = {
        "builder": _BUILDER,
        "name": name,
        "version": version,
        "recipe": recipe.published(),
        "videos": sorted((dict(row) for row in contents.videos), key=lambda row: str(row["video_id"])),
        "clips": {shard.name: _inputs(shard) for shard in planned},
        "removals": sorted((vars(removal) for removal in contents.removals), key=str),
        "left_out": dict(sorted(Counter(chosen.left_out.values()).items())),
        "audit": contents.audit,
        "agreement": contents.agreement,
    }
    digest = sha256_data(plan)
    n_kept = len(before.keys() & chosen.split_of.keys())

    def as_it_is(manifest: Mapping[str, Any]) -> Built:
        if check is not None and manifest.get("gate") is None:
            raise UsageError(
                f"{out} is this release, made without --gate, and a release is never changed: `d2midi gate {out}` "
                "checks it and writes a report of its own. To have the result on the card, choose another --out"
            )
        decided(chosen.split_of)
        return Built(out, manifest, chosen.split_of, chosen.left_out, n_kept, existed=True)

    if (there := existing(out, digest, version)) is not None:
        return as_it_is(there)
    try:
        with staged(out) as staging:
            if (there := existing(out, digest, version)) is not None:  # another process was first
                return as_it_is(there)
            made, reused = _make_shards(planned, staging, recipe, workers, progress)
            assembled = assemble(
                staging / "release", made, planned, contents, recipe, plan | {"digest": digest}
            )
            manifest = tell(assembled)
            failed = [gate for gate in gates(assembled.folder, policy(recipe)) if not gate.passed]
            if failed:
                raise ReleaseError(_told(failed))
            if check is not None:
                manifest = _checked(check, assembled, out)
            decided(chosen.split_of)
            put_in_place(staging, out)
    except OSError as error:
        raise ReleaseError(
            f"the release cannot be written ({error}). What is done is kept beside {out}: run the same command again "
            "once this is mended"
        ) from error
    return Built(out, manifest, chosen.split_of, chosen.left_out, n_kept, reused)


def _checked(check: Check, assembled: Assembled, out: Path) -> dict[str, Any]:
    """Have a release checked and what was found put into it; what its manifest says then."""
    checked = check(assembled.folder)
    if not checked.released:
        raise refuse(checked, out)
    forget_refusal(out)
    return tell(assembled, checked)


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
) -> tuple[dict[str, Path], int]:
    """Folders of all shards by name, made where they were not there yet; and how many were."""
    folders = {shard.name: staging / "shards" / _folder(shard, recipe) for shard in planned}
    there = keep_shards(staging, (folder.name for folder in folders.values()))
    missing = {shard.name: shard for shard in planned if folders[shard.name].name not in there}
    done = {shard.name: 0.0 if shard.name in missing else float(shard.n_frames) for shard in planned}
    total = sum(shard.n_frames for shard in planned)
    _check_space(staging, missing.values(), recipe)
    with LocalEngine(min(workers, len(missing)), 0, staging / "logs", recipe.run.item_timeout_s) as engine:
        for shard in missing.values():
            engine.submit(_job(shard, staging, recipe))
        while missing:
            for event in engine.wait(1.0):
                if isinstance(event, Finished):
                    _commit(event, folders[event.job.item])
                    done[event.job.item] = event.job.cost
                    del missing[event.job.item]
                else:
                    done[event.job.item] = event.share * event.job.cost if event.kind == "progressed" else 0.0
            if progress is not None:
                progress(sum(done.values()), total)
    return folders, len(there)


def _inputs(shard: Shard) -> list[Any]:
    """Everything that a shard's clips depend on."""
    return [[dict(clip.row), dict(clip.digests)] for clip in shard.clips]


def _folder(shard: Shard, recipe: Recipe) -> str:
    """Name of a finished shard: another one wherever a byte of it might be."""
    digest = sha256_data([_BUILDER, _inputs(shard), _windows(shard, recipe), _sounds(shard, recipe)])
    return f"{shard.name}-{digest[:16]}"


def _windows(shard: Shard, recipe: Recipe) -> dict[str, int]:
    # Windows of test do not overlap, or figures on them would count the same seconds many times.
    stride = recipe.window.frames if shard.split == "test" else recipe.window.stride
    return {"frames": recipe.window.frames, "stride": stride}


def _sounds(shard: Shard, recipe: Recipe) -> list[bool]:
    return [has_audio(clip, recipe) for clip in shard.clips]


def _job(shard: Shard, staging: Path, recipe: Recipe) -> Job:
    work = staging / "work" / shard.name
    work.mkdir()
    clips = [
        {
            **{name: clip.row[name] for name in ("clip_id", "n_frames", "n_samples", "width", "height")},
            **{name: str(clip.files[name]) for name in FILES},
            "has_audio": sounds,
        }
        for clip, sounds in zip(shard.clips, _sounds(shard, recipe), strict=True)
    ]
    return Job(
        stage="release",
        item=shard.name,
        key="",
        function=shards.FUNCTION,
        params=_windows(shard, recipe),
        inputs={"clips": clips},
        out=str(work),
        cost=float(shard.n_frames),
        priority=float(shard.n_frames),
    )


def _commit(finished: Finished, folder: Path) -> None:
    outcome = finished.outcome
    if outcome.status != "done":
        raise ReleaseError(
            f"shard {finished.job.item} cannot be written ({outcome.reason}): {outcome.message}. "
            f"What is done is kept: run the same command again once this is mended.\n{outcome.tool_message}".rstrip()
        )
    work = Path(finished.job.out)
    sync(work)
    work.rename(folder)
    sync_path(folder.parent)


def _check_space(folder: Path, missing: Iterable[Shard], recipe: Recipe) -> None:
    needed = sum(
        clip.row["n_frames"] * (BYTES_PER_FRAME + sounds * SOUND_BYTES_PER_FRAME)
        for shard in missing
        for clip, sounds in zip(shard.clips, _sounds(shard, recipe), strict=True)
    )
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UsageError(
            f"the release needs about {needed / 1e6:,.0f} MB, {folder.parent} has {free / 1e6:,.0f} MB free: "
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
    lines.append(
        "Take what does not fit out of the list of sources, or reject it (`d2midi screen decide ... --reject`), or "
        "change section [release] of the recipe; then build again: finished shards are used again."
    )
    return "the release is not made, since it did not pass:\n" + "\n".join(lines)
