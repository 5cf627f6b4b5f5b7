"""Which clips go into a release, in which split, and how each split is cut into shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from d2midi_build.errors import ReleaseError, UsageError
from d2midi_build.recipe import Recipe
from d2midi_build.release import splits
from d2midi_build.release.contents import Clip, Contents
from d2midi_build.release.format import SPLITS
from d2midi_build.release.licences import allowed

BYTES_PER_FRAME: Final = 2_200
"""Of keypoints in a shard, as measured on the demo's dancers; for sizes of shards and the room they need."""

SOUND_BYTES_PER_FRAME: Final = 800
"""Of FLAC at 10,240 samples/s."""


@dataclass(frozen=True)
class Shard:
    """Clips of a split whose frames, notes, beats, MIDI and sound go into files of their own."""

    split: str
    number: int
    clips: tuple[Clip, ...]

    @property
    def name(self) -> str:
        """Also of its files."""
        return f"{self.split}-{self.number:05d}"

    @property
    def n_frames(self) -> int:
        """Frames of all its clips."""
        return sum(clip.row["n_frames"] for clip in self.clips)


@dataclass(frozen=True)
class Chosen:
    """Clips that go in, by id; the split of each; and why others do not."""

    clips: tuple[Clip, ...]
    split_of: Mapping[str, str]
    left_out: Mapping[str, str]


def choose(contents: Contents, recipe: Recipe, before: Mapping[str, str]) -> Chosen:
    """The clips that go in with their splits, and why others do not."""
    left_out = dict(contents.left_out or {})
    usable = []
    for clip in sorted(contents.clips, key=lambda each: each.clip_id):
        if any(removal.covers(clip.row["video_id"], clip.clip_id) for removal in contents.removals):
            left_out[clip.clip_id] = "removed"
        elif clip.row["n_frames"] < recipe.window.frames:
            left_out[clip.clip_id] = "shorter than a window"
        else:
            usable.append(clip)
    if not usable:
        raise UsageError(
            "there is no clip to release"
            + (f": {told(left_out)}" if left_out else "")
            + ". `d2midi status` tells how far the workspace has come"
        )
    section = recipe.release
    found = splits.assign(
        [
            splits.Item(
                clip.clip_id,
                clip.row["video_id"],
                clip.row["genre"],
                clip.row["n_frames"],
                {
                    kind: clip.row[f"{kind}_group"]
                    for kind in ("music", "performer", "video")
                    if clip.row[f"{kind}_group"] is not None
                },
            )
            for clip in usable
        ],
        before,
        seed=section.seed,
        shares={
            "train": round(1 - section.validation_share - section.test_share, 9),
            "validation": section.validation_share,
            "test": section.test_share,
        },
        kinds=section.keep_apart,
        strategy=section.split,
    )
    kept = tuple(clip for clip in usable if clip.clip_id in found.split_of)
    return Chosen(kept, found.split_of, left_out | dict(found.left_out))


def check_licences(contents: Contents, recipe: Recipe) -> None:
    """Say which videos have a licence that the recipe does not allow, before any work is done.

    Raises
    ------
    ReleaseError
        If there is one.
    """
    patterns = recipe.release.licences
    used = {clip.row["video_id"] for clip in contents.clips}
    wrong = [
        f"  {row['video_id']}: {row['licence'] or 'none known'}"
        for row in sorted(contents.videos, key=lambda row: str(row["video_id"]))
        if patterns and row["video_id"] in used and not allowed(row["licence"], patterns)
    ]
    if wrong:
        raise ReleaseError(
            f"the recipe's release.licences ({', '.join(patterns)}) do not allow the licence of {len(wrong)} videos:\n"
            + "\n".join(wrong)
            + "\nTake them out of the list of sources, reject them (`d2midi screen decide VIDEO --reject --why licence`"
            ") and build, or allow the licence in the recipe."
        )


def plan_shards(clips: Iterable[Clip], split_of: Mapping[str, str], recipe: Recipe) -> list[Shard]:
    """Cut each split into shards of about the wanted size, by the clips alone."""
    per_shard = recipe.release.shard_mb * 1e6 / BYTES_PER_FRAME
    planned = []
    for split in SPLITS:
        mine = [clip for clip in clips if split_of[clip.clip_id] == split]
        n_shards = max(1, round(sum(clip.row["n_frames"] for clip in mine) / per_shard))
        share = sum(clip.row["n_frames"] for clip in mine) / n_shards
        bins: list[list[Clip]] = [[] for _ in range(n_shards)]
        before = 0
        for clip in mine:
            bins[min(int((before + clip.row["n_frames"] / 2) / share), n_shards - 1)].append(clip)
            before += clip.row["n_frames"]
        full = [tuple(each) for each in bins if each]
        planned += [Shard(split, number, each) for number, each in enumerate(full)]
    return planned


def has_audio(clip: Clip, recipe: Recipe) -> bool:
    """Whether a clip's sound goes along."""
    return recipe.release.audio == "allowed" and allowed(clip.row["licence"], recipe.release.audio_licences)


def told(left_out: Mapping[str, str]) -> str:
    """How many clips were left out, and why, in words."""
    return ", ".join(f"{count} {reason}" for reason, count in Counter(left_out.values()).most_common())
