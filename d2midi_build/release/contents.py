"""What goes into a release, wherever it comes from: rows about videos and clips, and the files that hold the rest.

``release.workspace`` makes it from a workspace; tests and simulations make their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FILES: Final = ("frames", "notes", "beats", "audio")
"""What a clip has as files: `motion.keypoints` frames, a table of notes, one of beats, FLAC at 10,240 Hz."""

GIVEN: Final = (
    "clip_id", "video_id", "genre", "licence", "source_start_s", "n_frames", "n_samples", "width", "height",
    "video_offset_ms", "tempo_bpm", "metre", "beats_confidence", "sync", "sync_lag_s", "review", "music_group",
    "performer_group", "video_group", "audio_sha256", "made_by",
)  # fmt: skip
"""Columns of a release's table of clips that are known beforehand; the rest are found in the files."""


@dataclass(frozen=True)
class Clip:
    """A clip on its way into a release.

    Attributes
    ----------
    row : dict
        The columns ``GIVEN``, as ``schemas/release/clips.json`` describes them.
    files : dict
        Path of each of ``FILES``. The notes may have the columns ``in_machine``, ``in_heard`` and ``in_final``;
        without them every note is in every layer.
    digests : dict
        SHA-256 of each of ``FILES``: what the release's bytes depend on.
    """

    row: Mapping[str, Any]
    files: Mapping[str, Path]
    digests: Mapping[str, str]

    @property
    def clip_id(self) -> str:
        """The clip's id."""
        return str(self.row["clip_id"])


@dataclass(frozen=True)
class Removal:
    """Something that must not be used any more; a row of table ``removed``.

    Attributes
    ----------
    video_id, clip_id : str
        The clip, or all of the video where ``clip_id`` is empty.
    reason : str
    date : str
        YYYY-MM-DD.
    """

    video_id: str
    clip_id: str
    reason: str
    date: str

    def covers(self, video_id: str, clip_id: str) -> bool:
        """Whether it means this clip."""
        return self.video_id == video_id and self.clip_id in ("", clip_id)


@dataclass(frozen=True)
class Contents:
    """Everything a release may hold.

    Attributes
    ----------
    videos : tuple of dict
        Columns of ``schemas/release/videos.json`` but ``split`` and ``n_clips``.
    clips : tuple of Clip
        In any order.
    removals : tuple of Removal
    left_out : dict
        What is missing from the start, as clip ids and why.
    audit, agreement : dict or None
        How right the notes are, as the manifest says it, see `quality.section`; None where it was not measured.
    """

    videos: tuple[Mapping[str, Any], ...]
    clips: tuple[Clip, ...]
    removals: tuple[Removal, ...] = ()
    left_out: Mapping[str, str] | None = None
    audit: Mapping[str, Any] | None = None
    agreement: Mapping[str, Any] | None = None
