"""What the clips of a workspace say together: of each dance against other clips' music, of sites and sources as wholes.

Both rest on samples of the clips, drawn by the clip's or the scope's name: the same clips give the same answers,
and hardly any of the cost grows with the square of their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build.digests import sha256_data
from d2midi_build.synchrony.lag import LEAST_CLIPS, PooledOffset, pooled_offset
from d2midi_build.synchrony.null import WITHIN, BeatsOf, NullTest, matched_null
from d2midi_build.synchrony.phase import LEAST_MUSICAL

MOST_OTHERS: Final = 40
"""Other clips of the same tempo that a dance is held against."""

MOST_CLIPS: Final = 200
"""Clips whose curves are pooled for one scope."""


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip as synchronisation sees it.

    Attributes
    ----------
    clip_id : str
    music : str
        Its group of music: only clips of others serve as other music.
    beats : BeatsOf
        Beats in seconds.
    rhythm : np.ndarray, shape (2, n_frames), float32
        ``rhythm.motion_rhythm`` and ``rhythm.onset_rhythm``.
    scopes : tuple of (str, str)
        What it is part of, from wide to narrow: kind (all, site, source) and name.
    """

    clip_id: str
    music: str
    beats: BeatsOf
    rhythm: npt.NDArray[np.float32]
    scopes: tuple[tuple[str, str], ...]


def null_tests(clips: Sequence[Clip], expected_lag_s: Mapping[str, float]) -> dict[str, NullTest]:
    """``matched_null`` for every clip, by its id; ``expected_lag_s`` holds the known lag of some, 0 is the others'."""
    enough = [clip for clip in clips if len(clip.beats.musical_s) >= LEAST_MUSICAL]
    beat_s = np.array([np.median(np.diff(clip.beats.musical_s)) for clip in enough])
    music = np.array([clip.music for clip in enough])
    found = {}
    for clip in clips:
        rng = _rng(clip.clip_id)
        others: list[BeatsOf] = []
        if len(clip.beats.musical_s) >= LEAST_MUSICAL:
            own_s = float(np.median(np.diff(clip.beats.musical_s)))
            near = np.flatnonzero((np.abs(beat_s / own_s - 1) <= WITHIN) & (music != clip.music))
            others = [enough[i].beats for i in rng.permutation(near)[:MOST_OTHERS]]
        found[clip.clip_id] = matched_null(clip.beats, others, rng, expected_lag_s.get(clip.clip_id, 0.0))
    return found


def expected_lags(clips: Sequence[Clip], offsets: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The lag to expect of each clip in seconds: that of the narrowest scope it is part of whose lag is known."""
    known = {
        (row["scope"], row["name"]): row["offset_ms"] / 1000
        for row in offsets
        if row["status"] in ("ok", "offset")
    }
    # A clip's scopes go from wide to narrow; the last one known counts.
    return {clip.clip_id: known[scope] for clip in clips for scope in clip.scopes if scope in known}


def offsets(clips: Sequence[Clip]) -> list[dict[str, Any]]:
    """Rows of table ``offsets``: one for all clips, and one per site and source with enough of them."""
    by_scope: dict[tuple[str, str], list[Clip]] = {("all", ""): []}
    for clip in sorted(clips, key=lambda clip: clip.clip_id):
        for scope in clip.scopes:
            by_scope.setdefault(scope, []).append(clip)
    rows = []
    for (kind, name), members in sorted(by_scope.items()):
        if kind != "all" and len(members) < LEAST_CLIPS:
            continue
        rng = _rng(f"{kind} {name}")
        picked = rng.permutation(len(members))[:MOST_CLIPS]
        found = pooled_offset([(members[i].rhythm[0], members[i].rhythm[1]) for i in picked], rng)
        rows.append({"scope": kind, "name": name, **_row(found)})
    return rows


def _row(found: PooledOffset) -> dict[str, Any]:
    names = (
        "status",
        "n_clips",
        "offset_ms",
        "low_ms",
        "high_ms",
        "support",
        "peak_r",
        "r_zero",
        "p",
        "explanation",
    )
    return {name: getattr(found, name) for name in names}


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng(int(sha256_data([name])[:16], 16))
