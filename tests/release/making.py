"""Small datasets without rendering, and releases of them: tests share these, never anything in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import soundfile

from d2midi_build import clock, tables
from d2midi_build.digests import sha256_file
from d2midi_build.motion.keypoints import PARTS, PRESENCES, Keypoints, write_frames
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.notes import Notes
from d2midi_build.recipe import Recipe
from d2midi_build.release.build import Built, build
from d2midi_build.release.checking import Check, Checked, Verdict
from d2midi_build.release.contents import Clip, Contents

GENRES = ("ballet", "house")


def recipe(**fields: Any) -> Recipe:
    """Windows of 60 frames every 20, and what else is asked for (`release_seed=1` for `release.seed`)."""
    chosen = Recipe().with_field("window.frames", 60).with_field("window.stride", 20)
    for name, value in fields.items():
        chosen = chosen.with_field(name.replace("_", ".", 1), value)
    return chosen


def contents(
    folder: Path,
    videos: int = 6,
    n_frames: Sequence[int] = (205, 130, 450),
    licence: str = "CC BY 4.0",
    groups: Mapping[int, Mapping[str, str]] | None = None,
) -> Contents:
    """As many videos with one clip each; lengths and genres take turns.

    Parameters
    ----------
    groups : dict, optional
        Of some videos by number: groups (music, performer, video) other than their own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows, clips = [], []
    for number in range(videos):
        clip = a_clip(
            folder, number, n_frames[number % len(n_frames)], licence, (groups or {}).get(number, {})
        )
        clips.append(clip)
        rows.append(
            {
                "video_id": clip.row["video_id"],
                "url": f"https://videos.example/{number}",
                "site": "Example",
                "site_id": str(number),
                **dict.fromkeys(("title", "uploader", "channel", "upload_date", "performer", "music"), ""),
                "licence": licence,
                "genre": clip.row["genre"],
                "duration_s": clock.frame_time_s(clip.row["n_frames"]),
                "width": 640,
                "height": 360,
                "fps": 25.0,
                "sha256": f"{number:064x}",
            }
        )
    return Contents(tuple(rows), tuple(clips))


def a_clip(
    folder: Path,
    number: int,
    n_frames: int,
    licence: str = "CC BY 4.0",
    groups: Mapping[str, str] | None = None,
) -> Clip:
    """A clip with keypoints, notes, beats and sound of its own; left hand and body are missing in places."""
    rng = np.random.default_rng(number)
    video_id, clip_id = f"vid-{number:03d}", f"vid-{number:03d}_00000000"
    files = {
        name: folder / f"{clip_id}.{name}.{'flac' if name == 'audio' else 'parquet'}"
        for name in ("frames", "notes", "beats", "audio")
    }
    write_frames(files["frames"], keypoints(rng, n_frames).to_table(np.arange(n_frames) / clock.FPS))
    tables.write(files["notes"], notes(rng, n_frames).to_table())
    tables.write(files["beats"], beats(n_frames))
    sound = rng.normal(0, 0.1, clock.frames_to_samples(n_frames)).astype(np.float32)
    soundfile.write(files["audio"], sound, clock.SAMPLE_RATE_HZ, subtype="PCM_16")
    digests = {name: sha256_file(path) for name, path in files.items()}
    row = {
        "clip_id": clip_id,
        "video_id": video_id,
        "genre": GENRES[number % 2],
        "licence": licence,
        "source_start_s": 1.5,
        "n_frames": n_frames,
        "n_samples": clock.frames_to_samples(n_frames),
        "width": 640,
        "height": 360,
        "video_offset_ms": 0.5,
        "tempo_bpm": 120.0,
        "metre": 4,
        "beats_confidence": 0.9,
        "sync": "synchronised",
        "sync_lag_s": 0.01,
        "review": [],
        "music_group": clip_id,
        "performer_group": None,
        "video_group": clip_id,
        "audio_sha256": digests["audio"],
        "made_by": "{}",
    }
    row |= {f"{kind}_group": name for kind, name in (groups or {}).items()}
    return Clip(row, files, digests)


def keypoints(rng: np.random.Generator, n_frames: int) -> Keypoints:
    """Points that move smoothly; about a third of the left hands and a few bodies are missing."""
    present = {name: np.ones(n_frames, dtype=np.bool_) for name in PRESENCES}
    present["left_hand"] = np.repeat(rng.random(n_frames // 10 + 1) < 0.7, 10)[:n_frames]
    present["body"][rng.integers(0, n_frames, 3)] = False
    parts = {}
    for name, part in PARTS.items():
        times = np.arange(n_frames)[:, None] / clock.FPS
        phase = rng.uniform(0, 2 * np.pi, part.size)
        moving = 0.5 + 0.2 * np.sin(2 * np.pi * rng.uniform(0.2, 2, part.size) * times + phase)
        points = moving.astype(np.float32).reshape(n_frames, *part.shape)
        points[~present[part.presence]] = np.nan
        parts[name] = points
    return Keypoints(**parts, **{f"present_{name}": there for name, there in present.items()})


def notes(rng: np.random.Generator, n_frames: int) -> Notes:
    """About three notes a second of four instruments, within the clip."""
    n, end_s = max(1, 3 * n_frames // clock.FPS), clock.frame_time_s(n_frames)
    chosen = [INSTRUMENTS[place] for place in rng.choice([0, 4, 5, 12], n)]
    onset_s = rng.uniform(0, end_s - 0.1, n)
    return Notes.create(
        onset_s=onset_s,
        offset_s=np.minimum(onset_s + rng.uniform(0.05, 2.0, n), end_s),
        pitch=rng.integers(36, 84, n),
        velocity=rng.integers(1, 128, n),
        program=np.array([each.program for each in chosen]),
        is_drum=np.array([each.is_drum for each in chosen]),
        p_note=rng.random(n),
        p_instrument=rng.random(n),
        origin="test",
    )


def beats(n_frames: int) -> pa.Table:
    """Two musical beats a second, four to the bar, and a kinematic one every 0.7 s."""
    end_s = clock.frame_time_s(n_frames)
    musical, kinematic = np.arange(0.25, end_s, 0.5), np.arange(0.1, end_s, 0.7)
    count = len(musical) + len(kinematic)
    return pa.table(
        {
            "kind": ["kinematic"] * len(kinematic) + ["musical"] * len(musical),
            "beat": pa.array([*range(len(kinematic)), *range(len(musical))], pa.int32()),
            "time_s": np.concatenate([kinematic, musical]),
            "position": pa.array(
                [None] * len(kinematic) + [1 + each % 4 for each in range(len(musical))], pa.int8()
            ),
            "strength": pa.array([0.5] * count, pa.float32()),
            "confidence": pa.array([0.9] * count, pa.float32()),
        }
    )


def build_of(
    made: Contents,
    out: Path,
    chosen: Recipe | None = None,
    before: Mapping[str, str] | None = None,
    workers: int = 1,
    check: Check | None = None,
) -> Built:
    """Build a release."""
    return build(
        made, out, "1.0.0", "small", chosen or recipe(), before=before or {}, workers=workers, check=check
    )


def checked(verdict: Verdict, *why: str) -> Checked:
    """What a check might find."""
    page = f"<!doctype html><title>{verdict}</title>"
    files = {"gate.json": json.dumps({"verdict": verdict}).encode(), "gate.html": page.encode()}
    return Checked(verdict, why or ("The reason.",), files)


def finds(verdict: Verdict, *why: str) -> Check:
    """A check that finds that in any release."""
    return lambda folder: checked(verdict, *why)


def release(folder: Path, videos: int = 6, chosen: Recipe | None = None, **fields: Any) -> Path:
    """A whole release of `contents`."""
    return build_of(contents(folder / "made", videos, **fields), folder / "release", chosen).folder
