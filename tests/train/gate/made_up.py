"""Clips that nobody danced: what a test does not ask about is nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from d2midi_build.music.notes import Notes
from d2midi_build.train.gate.dances import N_FEATURES
from d2midi_build.train.gate.heard import Heard


def clip(video_id: str, *, n_frames: int = 400, song: str = "", owner: str = "", **fields: Any) -> Heard:
    """A clip in which nothing moves and nothing sounds, of group of music ``song`` and of videos ``owner``."""
    nothing: dict[str, Any] = {
        "clip_id": f"{video_id}_00000000",
        "video_id": video_id,
        "source": video_id,
        "split": "train",
        "genre": "house",
        "n_frames": n_frames,
        "apart": (video_id, song, owner),
        "notes": Notes.create([], [], []),
        "tempo_bpm": 120.0,
        "missing": {},
        "confidence": 1.0,
        "still": 1.0,
        "movement": np.zeros((n_frames // 2, 8, 3)),
        "motion": np.zeros(n_frames, np.float32),
        "onset": np.zeros(n_frames, np.float32),
        "beats_s": np.zeros(0),
        "present": np.ones(n_frames, np.bool_),
        "features": np.zeros((n_frames, N_FEATURES), np.float16),
        "finite": True,
    }
    return Heard(**(nothing | fields))
