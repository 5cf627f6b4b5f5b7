"""Track body, hands and face in every frame of a clip."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from d2midi_build import clock
from d2midi_build.errors import PermanentError
from d2midi_build.stages.base import Made, Stage, Work


@cache
def _digests() -> dict[str, str]:
    from d2midi_build.motion.models import HOLISTIC_FILES, digests

    return digests(HOLISTIC_FILES)


def _models(params: Mapping[str, Any]) -> dict[str, str]:
    return _digests()


def _run(work: Work) -> Made:
    from d2midi_build.media.clip import clip_frames
    from d2midi_build.motion.holistic import HolisticTracker
    from d2midi_build.motion.keypoints import quantisation, write_frames

    tracker = work.state.setdefault("tracker", None) or HolisticTracker()
    work.state["tracker"] = tracker
    n_frames = work.inputs["n_frames"]
    keypoints = tracker.track(
        clip_frames(Path(work.inputs["video"])), n_frames, lambda done: work.report(done / n_frames)
    )
    if len(keypoints) != n_frames:
        raise PermanentError(
            f"the clip's picture has {len(keypoints)} frames, not {n_frames}: run `d2midi build --refresh resample`"
        )
    made_by = {
        "mediapipe": importlib.metadata.version("mediapipe"),
        "av": importlib.metadata.version("av"),
        **{f"model:{name}": digest for name, digest in _digests().items()},
    }
    table = keypoints.to_table(np.load(work.inputs["timing"]))
    # The file of a clip travels without the manifests, so it says itself what made it.
    about = (table.schema.metadata or {}) | {"made_by": json.dumps(made_by, sort_keys=True)}
    table = table.replace_schema_metadata(about)
    write_frames(work.out / "frames.parquet", table)
    shares = {
        f"{part}_share": float(keypoints.present(part).mean())
        for part in ("body", "left_hand", "right_hand", "face")
    }
    saturated = {name: quantised.saturated for name, quantised in quantisation(table.schema).items()}
    return Made({**shares, "saturated": saturated, "media_s": clock.frame_time_s(n_frames)}, made_by)


STAGE = Stage(name="keypoints", version=1, reads=(), unit="s", cpu_per_unit=1.1, run=_run, models=_models)
