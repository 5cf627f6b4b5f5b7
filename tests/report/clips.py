"""A workspace with one clip, written by hand with the real writers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soundfile

from d2midi_build import clock, tables
from d2midi_build.motion.keypoints import PARTS, Keypoints, write_frames
from d2midi_build.music.notes import Notes
from d2midi_build.workspace import Workspace

RATE_HZ = 44_100


@dataclass(frozen=True)
class Clip:
    """What a clip is made of; `changes` go into its row of the table.

    `pictures` is (T, height, width, 3) rgb, `sound` is (n, channels).
    """

    clip_id: str
    pictures: npt.NDArray[np.uint8]
    sound: npt.NDArray[np.float32]
    keypoints: Keypoints | None
    notes: Notes | None
    changes: dict[str, Any] = field(default_factory=dict)


def standing(n_frames: int, missing: Sequence[int] = ()) -> Keypoints:
    """A motionless made-up person in the middle of the picture, not found in some frames."""
    rng = np.random.default_rng(5)
    present = np.ones(n_frames, dtype=np.bool_)
    present[list(missing)] = False
    arrays: dict[str, Any] = {}
    for name, part in PARTS.items():
        one = rng.uniform(0.3, 0.7, part.shape).astype(np.float32)
        arrays[name] = np.repeat(one[None], n_frames, axis=0)
        arrays[name][~present] = np.nan
    for presence in ("body", "left_hand", "right_hand", "face"):
        arrays[f"present_{presence}"] = present
    return Keypoints(**arrays)


def ticks(n_frames: int, channels: int = 2) -> npt.NDArray[np.float32]:
    """Noise bursts at irregular times: a sound whose lag can be measured to the sample."""
    n = n_frames * RATE_HZ // clock.FPS
    rng = np.random.default_rng(6)
    sound = np.zeros((n, channels), dtype=np.float32)
    for at in rng.integers(0, n - 2000, max(3, n // 8000)):
        # Smoothed: AAC keeps little of what lies above hearing.
        burst = np.convolve(rng.normal(0, 0.4, 1500), np.ones(6) / 6, "same") * np.exp(-np.arange(1500) / 300)
        sound[at : at + 1500] += burst[:, None].astype(np.float32)
    return np.clip(sound, -0.9, 0.9)


def some_notes() -> Notes:
    """Three instruments and three drums in the first 2.5 s."""
    return Notes.create(
        onset_s=[0.5, 1.0, 1.5, 0.25, 0.75, 1.25],
        offset_s=[0.9, 1.8, 2.5, 0.35, 0.85, 1.35],
        pitch=[60, 45, 76, 36, 38, 42],
        program=[0, 32, 40, 0, 0, 0],
        is_drum=[False, False, False, True, True, True],
        p_note=[1.0, 0.5, 0.0, 1.0, 1.0, 1.0],
        origin="made",
    )


def make_clip(n_frames: int = 60, width: int = 96, height: int = 128, clip_id: str = "abc_00001000") -> Clip:
    """A clip whose frames are grey, each of its own shade."""
    shades = np.random.default_rng(7).permutation(np.linspace(40, 200, n_frames)).astype(np.uint8)
    pictures = np.broadcast_to(shades[:, None, None, None], (n_frames, height, width, 3))
    return Clip(clip_id, pictures, ticks(n_frames), standing(n_frames), some_notes())


def make_workspace(root: Path, *clips: Clip) -> Path:
    """Write clips, keypoints and tables as a build would."""
    Workspace.create(root)
    rows, notes = [], []
    for clip in clips:
        folder = root / "clips" / clip.clip_id
        folder.mkdir(parents=True)
        _write_video(folder / "video.mp4", clip.pictures)
        soundfile.write(folder / "original.flac", clip.sound, RATE_HZ)
        if clip.keypoints is not None:
            (root / "frames").mkdir(exist_ok=True)
            table = clip.keypoints.to_table(np.arange(len(clip.keypoints)) / clock.FPS)
            write_frames(root / "frames" / f"{clip.clip_id}.parquet", table)
        rows.append(_row(clip))
        for number, note in enumerate(clip.notes.to_table().to_pylist() if clip.notes else ()):
            notes.append(note | _constant(clip) | {"note": number, "agreement": None if number % 2 else 0.3})
    tables.write(root / "manifests" / "clips.parquet", tables.from_rows("clips", rows))
    tables.write(root / "manifests" / "notes.parquet", tables.from_rows("notes", notes))
    return root


def _constant(clip: Clip) -> dict[str, Any]:
    return {"clip_id": clip.clip_id, "stage_key": "", "made_by": "{}", "time_base": ""}


def _row(clip: Clip) -> dict[str, Any]:
    described = tables.schema("clips")
    zero: dict[str, Any] = {
        "string": "",
        "int32": 0,
        "int64": 0,
        "float64": 0.0,
        "bool": False,
        "list<string>": [],
    }
    n_frames, height, width, _ = clip.pictures.shape
    found = None if clip.keypoints is None else 1.0
    return (
        {column.name: None if column.nullable else zero[column.type] for column in described.columns}
        | _constant(clip)
        | {
            "n_frames": n_frames,
            "n_samples": clock.frames_to_samples(n_frames),
            "width": width,
            "height": height,
            "original_rate_hz": RATE_HZ,
            "original_channels": clip.sound.shape[1],
            "original_samples": len(clip.sound),
            **{f"{part}_share": found for part in ("body", "left_hand", "right_hand", "face")},
            "n_notes": None if clip.notes is None else len(clip.notes),
        }
        | clip.changes
    )


def _write_video(path: Path, pictures: npt.NDArray[np.uint8]) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=clock.FPS, options={"crf": "10", "threads": "1"})
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")))
        container.mux(stream.encode(None))
