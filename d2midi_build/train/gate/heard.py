"""Clips of a release as the gate sees them: what was heard, and how the body moved.

Layer ``heard``: notes of ``final`` may have been moved to fit the dance, and would fit it because of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build import clock
from d2midi_build.music.notes import Notes
from d2midi_build.release.reader import Release, open_release
from d2midi_build.synchrony.rhythm import motion_rhythm
from d2midi_build.train.gate.copies import movement
from d2midi_build.train.gate.dances import Float16Array, features
from d2midi_build.train.metrics.subjects import notes_of

Float32Array = npt.NDArray[np.float32]

LAYER: Final = "heard"

PARTS: Final = ("body", "left_hand", "right_hand", "face")

_HOP_S: Final = 0.005
_SMOOTHING_S: Final = 0.040
"""As of `synchrony.rhythm.onset_rhythm`: a note counts as what its sound would."""

_STILL: Final = 0.1
"""Metres per second of the limbs' mean below which a body is still."""


@dataclass(frozen=True, eq=False)
class Heard:
    """A whole clip.

    Attributes
    ----------
    clip_id, video_id, source, split, genre : str
        ``source`` is what is counted: its video, or the first of all that share music or picture with it (`grouped`).
    n_frames : int
    apart : tuple of str
        Its video, group of music and group of videos: a clip with one of these is no other music.
    notes : Notes
        Those of layer ``heard``.
    tempo_bpm : float or None
        60 over the median interval of its musical beats, else the release's tempo.
    missing : dict
        Share of frames without each part, 0-1.
    confidence : float or None
        Mean visibility of the body's points, 0-1; None without a body.
    still : float or None
        Share of frames in which the body moves less than 0.1 m/s; None without a body.
    movement : np.ndarray, shape (n_frames // 2, 8, 3), float64
        From `copies.movement`.
    motion, onset : np.ndarray, shape (n_frames,), float32
        `synchrony.motion_rhythm`, and `note_rhythm` of the notes.
    beats_s : np.ndarray, shape (n_beats,), float64
        Musical beats, ascending seconds; empty where none were found.
    present : np.ndarray, shape (n_frames,), bool
        Frames with a body.
    features : np.ndarray, shape (n_frames, 39), float16
        From `dances.features`: what models see of the dance.
    finite : bool
        Whether every number that is not missing is finite.
    """

    clip_id: str
    video_id: str
    source: str
    split: str
    genre: str
    n_frames: int
    apart: tuple[str, ...]
    notes: Notes
    tempo_bpm: float | None
    missing: dict[str, float]
    confidence: float | None
    still: float | None
    movement: npt.NDArray[np.float64]
    motion: Float32Array
    onset: Float32Array
    beats_s: npt.NDArray[np.float64]
    present: npt.NDArray[np.bool_]
    features: Float16Array
    finite: bool


def read(folder: str | Path, told: Callable[[int, int], None] | None = None) -> tuple[Release, list[Heard]]:
    """Open a release in layer ``heard`` and read all its clips, one after the other.

    Parameters
    ----------
    folder : str or Path
        Or a URL, as of `open_release`.
    told : callable, optional
        Told of clips read and clips in all.

    Returns
    -------
    release : Release
        Bodies in metres.
    clips : list of Heard
        By clip id; about 190 bytes per frame and 150 per note.
    """
    world = open_release(folder, coords="world", parts=("body",), layer=LAYER)
    image = open_release(folder, coords="image", parts=("body",), layer=LAYER)
    rows = sorted(world.clips.to_pylist(), key=lambda row: str(row["clip_id"]))
    clips = []
    for done, row in enumerate(rows, start=1):
        clips.append(_read(world, image, row))
        if told is not None:
            told(done, len(rows))
    return world, grouped(clips)


def note_rhythm(notes: Notes, n_frames: int) -> Float32Array:
    """How many notes start about each frame: their onsets smoothed by a Gaussian of 40 ms.

    Exact in time, unlike the rhythm of a recording: frame f's value is that at f / 20 s.

    Returns
    -------
    np.ndarray, shape (n_frames,), float32
        Zero or more.
    """
    from scipy.ndimage import gaussian_filter1d

    per_frame = round(1 / clock.FPS / _HOP_S)
    hops = np.round(notes.onset_s / _HOP_S).astype(np.int64)
    n_hops = max(n_frames * per_frame, 1)
    counts = np.bincount(hops[hops < n_hops], minlength=n_hops).astype(np.float64)
    smooth = gaussian_filter1d(counts, _SMOOTHING_S / _HOP_S, mode="constant")
    return np.asarray(smooth[::per_frame][:n_frames], dtype=np.float32)


def sources(clips: Sequence[Heard]) -> list[str]:
    """The sources of clips, each once, sorted."""
    return sorted({clip.source for clip in clips})


def grouped(clips: Sequence[Heard]) -> list[Heard]:
    """The clips with one source for all videos that share music or picture, directly or through others.

    Nine cameras on one dance are one dance: counted as nine, chance would look like proof.
    """
    first: dict[tuple[int, str], int] = {}
    leader = list(range(len(clips)))

    def root(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    for place, clip in enumerate(clips):
        for kind, name in enumerate(clip.apart):
            if name:
                one, other = root(first.setdefault((kind, name), place)), root(place)
                leader[max(one, other)] = min(one, other)
    return [replace(clip, source=clips[root(place)].video_id) for place, clip in enumerate(clips)]


def assembled(
    *,
    row: Mapping[str, Any],
    split: str,
    body_world: npt.NDArray[Any],
    body_image: npt.NDArray[Any],
    visibility: npt.NDArray[Any],
    notes: Notes,
    beats_s: npt.ArrayLike,
) -> Heard:
    """A clip from what is known of it.

    Parameters
    ----------
    row : dict
        ``clip_id``, ``video_id``, ``genre``, ``music_group``, ``video_group``, ``tempo_bpm``, ``width``, ``height``,
        and ``body_share`` and the like, as in table ``clips`` of a release.
    split : str
    body_world, body_image : np.ndarray, shape (n_frames, 33, 3)
        Metres, and shares of the picture; NaN where missing.
    visibility : np.ndarray, shape (n_frames, 33)
    notes : Notes
    beats_s : array_like, shape (n_beats,)
        Musical beats.
    """
    missing = np.isnan(body_world).any(axis=2)
    present = ~missing.any(axis=1)
    beats = np.asarray(beats_s, np.float64)
    seen = visibility[present]
    return Heard(
        clip_id=row["clip_id"],
        video_id=row["video_id"],
        source=row["video_id"],
        split=split,
        genre=row["genre"],
        n_frames=len(body_world),
        apart=(row["video_id"], row["music_group"] or "", row["video_group"] or ""),
        notes=notes,
        tempo_bpm=60 / float(np.median(np.diff(beats))) if len(beats) > 1 else row["tempo_bpm"],
        missing={part: 1 - float(row[f"{part}_share"]) for part in PARTS},
        confidence=float(seen.mean()) if len(seen) else None,
        still=_still(body_world, present),
        movement=movement(body_world),
        motion=motion_rhythm(body_world, present, body_image),
        onset=note_rhythm(notes, len(body_world)),
        beats_s=beats,
        present=present,
        features=features(body_image, present, row["width"] / row["height"]),
        finite=bool(np.isfinite(body_world[~missing]).all()),
    )


def _read(world: Release, image: Release, row: dict[str, Any]) -> Heard:
    whole = world.clip(row["clip_id"])
    return assembled(
        row=row,
        split=whole.split,
        body_world=np.asarray(whole.keypoints),
        body_image=np.asarray(image.clip(row["clip_id"]).keypoints),
        visibility=whole.visibility,
        notes=notes_of(whole),
        beats_s=whole.beats.musical_s,
    )


def _still(body: npt.NDArray[Any], present: npt.NDArray[np.bool_]) -> float | None:
    """Share of steps between frames with a body in which its points move less than 0.1 m/s on average."""
    both = present[1:] & present[:-1]
    if not both.any():
        return None
    steps = np.linalg.norm(np.diff(body, axis=0)[both], axis=2).mean(axis=1)
    return float((steps * clock.FPS < _STILL).mean())
