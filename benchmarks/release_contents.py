"""What benchmarks of releases put into them: long clips of realistic keypoints, notes and beats, made once.

Keypoints come from the ``frames`` folder of a workspace (``d2midi demo`` makes one) or from a dancer with known
joints and a tracker's noise (``d2midi_build.synthetic.motion``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from d2midi_build import clock, tables
from d2midi_build.errors import UsageError
from d2midi_build.motion.keypoints import read_frames, write_frames
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.notes import Notes
from d2midi_build.release.contents import Clip, Contents
from d2midi_build.synthetic.dancer import choreograph
from d2midi_build.synthetic.motion import tracked
from d2midi_build.synthetic.render import Camera

GENRES: Final = ("ballet", "classical", "hip-hop", "house", "latin", "modern")
NOTES_PER_S: Final = 8
BEATS_PER_S: Final = 2


@dataclass(frozen=True)
class Files:
    """One clip's files, and its length in frames."""

    n_frames: int
    frames: Path
    notes: Path
    beats: Path


def keypoints(folder: Path | None, lengths: Sequence[int]) -> Iterator[pa.Table]:
    """Tables of keypoints of some lengths in frames.

    Parameters
    ----------
    folder : Path or None
        Of tables of keypoints; chained at random, forwards or backwards, until a clip is long enough.
        None: a dancer is made up for each clip.
    lengths : sequence of int

    Raises
    ------
    UsageError
        If there is no table in the folder.
    """
    rng = np.random.default_rng(0)
    real = [read_frames(path) for path in sorted(folder.glob("*.parquet"))] if folder else []
    if folder and not real:
        raise UsageError(f"no *.parquet in {folder}: give the `frames` folder of a workspace")
    for length in lengths:
        if not real:
            yield _made_up(length, rng)
            continue
        rows: list[pa.Table] = []
        while sum(map(len, rows)) < length:
            chosen = real[int(rng.integers(len(real)))]
            backwards = np.arange(len(chosen))[::-1]
            rows.append(chosen.take(backwards) if rng.random() < 0.5 else chosen)
        yield _numbered(pa.concat_tables(rows).slice(0, length).combine_chunks())


def write(folder: Path, name: str, table: pa.Table, rng: np.random.Generator) -> Files:
    """Write one clip's keypoints, and notes and beats for as long."""
    n_frames = len(table)
    files = Files(n_frames, *(folder / f"{name}.{kind}.parquet" for kind in ("frames", "notes", "beats")))
    write_frames(files.frames, table)
    tables.write(files.notes, _notes(n_frames, rng))
    tables.write(files.beats, _beats(n_frames, rng))
    return files


def contents(clips: Sequence[Files]) -> Contents:
    """A release's contents: a video, a song and a dancer of its own for each clip; no sound, since no licence."""
    made = [_row(number, files) for number, files in enumerate(clips)]
    return Contents(tuple(video for video, _ in made), tuple(clip for _, clip in made))


def clip_id(number: int) -> str:
    """Id of a clip of ``contents``."""
    return f"{_video_id(number)}_00000000"


def number_of(clip: str) -> int:
    """The inverse of ``clip_id``."""
    return int(clip.split("_")[0].removeprefix("file-"), 16)


def _video_id(number: int) -> str:
    return f"file-{number:016x}"


def _row(number: int, files: Files) -> tuple[Mapping[str, Any], Clip]:
    video_id, genre = _video_id(number), GENRES[number % len(GENRES)]
    video = {
        "video_id": video_id, "url": f"https://videos.example/{number}", "site": "example", "site_id": str(number),
        "title": f"Dance {number}", "uploader": f"dancer {number}", "channel": f"channel {number}",
        "upload_date": "20240101", "licence": "", "genre": genre, "performer": "", "music": "",
        "duration_s": clock.frame_time_s(files.n_frames), "width": 640, "height": 640, "fps": 25.0,
        "sha256": f"{number:064x}",
    }  # fmt: skip
    row = {
        "clip_id": clip_id(number), "video_id": video_id, "genre": genre, "licence": "", "source_start_s": 0.0,
        "n_frames": files.n_frames, "n_samples": clock.frames_to_samples(files.n_frames), "width": 640, "height": 640,
        "video_offset_ms": 0.0, "tempo_bpm": 120.0, "metre": 4, "beats_confidence": 0.9, "sync": "synchronised",
        "sync_lag_s": 0.0, "review": [], "music_group": clip_id(number), "performer_group": f"performer {number}",
        "video_group": clip_id(number), "audio_sha256": f"{number:064x}",
        "made_by": '{"keypoints": {"key": "0", "mediapipe": "0.10.21"}}',
    }  # fmt: skip
    paths = {"frames": files.frames, "notes": files.notes, "beats": files.beats, "audio": files.frames}
    return video, Clip(row, paths, {name: f"{number:063x}{place}" for place, name in enumerate(paths)})


def _made_up(n_frames: int, rng: np.random.Generator) -> pa.Table:
    times_s = np.arange(n_frames) / clock.FPS
    dance = choreograph(rng, rng.uniform(70, 110), max(1.0, n_frames / clock.FPS))
    return tracked(dance, times_s, Camera.framing(640, 640), rng).to_table(times_s)


def _numbered(table: pa.Table) -> pa.Table:
    """With frames and times that run on."""
    frame = np.arange(len(table), dtype=np.int32)
    for name, values in (("frame", frame), ("source_time_s", frame / clock.FPS)):
        place = table.column_names.index(name)
        table = table.set_column(place, table.schema.field(name), pa.array(values))
    return table


def _notes(n_frames: int, rng: np.random.Generator) -> pa.Table:
    end_s = clock.frame_time_s(n_frames)
    n = round(end_s * NOTES_PER_S)
    onset_s = rng.uniform(0, end_s - 0.5, n)
    chosen = rng.integers(0, 4, n)
    notes = Notes.create(
        onset_s,
        onset_s + rng.uniform(0.05, 0.5, n),
        rng.integers(36, 84, n),
        rng.integers(30, 110, n),
        program=np.array([INSTRUMENTS[kind].program for kind in range(4)])[chosen],
        p_note=rng.uniform(0.5, 1, n),
        p_instrument=rng.uniform(0.5, 1, n),
        origin="benchmark",
    )
    return notes.to_table()


def _beats(n_frames: int, rng: np.random.Generator) -> pa.Table:
    times_s = np.arange(0.1, clock.frame_time_s(n_frames), 1 / BEATS_PER_S)
    n = len(times_s)
    positions: list[int | None] = [beat % 4 + 1 for beat in range(n)]
    return pa.table(
        {
            "kind": ["kinematic"] * n + ["musical"] * n,
            "beat": pa.array([*range(n), *range(n)], pa.int32()),
            "time_s": np.concatenate([times_s, times_s]),
            "position": pa.array([None] * n + positions, pa.int8()),
            "strength": rng.uniform(0.5, 1, 2 * n).astype(np.float32),
            "confidence": np.full(2 * n, 0.9, dtype=np.float32),
        }
    )
