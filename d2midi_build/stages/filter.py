"""Screening: one decode of a video measures what says whether its shots are usable.

The stage measures and stores scores; ``screening.criteria`` holds them against the recipe's thresholds. So a changed
threshold decodes nothing again, and a take's id does not depend on it.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from d2midi_build.errors import PermanentError
from d2midi_build.stages.base import Made, Stage, Work

if TYPE_CHECKING:
    from d2midi_build.media.ffmpeg import Frame
    from d2midi_build.media.loudness import AudioLevels

SCORES = (
    "n_samples",
    "nobody_share",
    "several_share",
    "person_height",
    "change",
    "loudness_db",
    "silent_share",
    "clipped_share",
)
"""What is measured of a take: columns of table ``takes``."""


@cache
def _digests() -> dict[str, str]:
    from d2midi_build.motion.models import PEOPLE_FILES, digests

    return digests(PEOPLE_FILES)


def _models(params: Mapping[str, Any]) -> dict[str, str]:
    return _digests()


@dataclass
class _Samples:
    """Sampled pictures of a video: when, the boxes of the people seen, and the change since the one before."""

    time_s: list[float] = field(default_factory=list)
    people: list[npt.NDArray[np.float64]] = field(default_factory=list)
    change: list[float] = field(default_factory=list)


def _run(work: Work) -> Made:
    from d2midi_build.media.ffmpeg import ffmpeg_version
    from d2midi_build.media.loudness import audio_levels
    from d2midi_build.media.shots import ShotDetector

    video = Path(work.inputs["video"])
    levels = audio_levels(video)
    shots, samples = ShotDetector(), _Samples()
    for time_s, picture in _watch(video, work, samples):
        shots.add(time_s, picture)
    found = shots.shots()
    if not found:
        raise PermanentError(f"{video.name} has no picture that can be decoded: fetch it again")
    (work.out / "samples.json").write_text(
        json.dumps(
            {
                "time_s": samples.time_s,
                "people": [boxes.round(4).tolist() for boxes in samples.people],
                "change": samples.change,
            }
        )
    )
    takes = [
        _scores(shot.start_s, shot.end_s, samples, levels, work.params["filter.silent_below_db"])
        for shot in found
    ]
    made_by = {"ffmpeg": ffmpeg_version(), "scenedetect": importlib.metadata.version("scenedetect")}
    made_by |= {f"model:{name}": digest for name, digest in _digests().items()}
    return Made({"takes": takes, "media_s": found[-1].end_s - found[0].start_s}, made_by)


def _watch(video: Path, work: Work, samples: _Samples) -> Iterator[tuple[float, Frame]]:
    """Decode a video once: every picture is handed on, a few are looked at on the way."""
    from d2midi_build.media.scan import scan_frames
    from d2midi_build.motion.people import PersonDetector, frame_motion

    if "people" not in work.state:
        work.state["people"] = PersonDetector()
    detector, step_s = work.state["people"], 1 / work.params["filter.samples_per_s"]
    duration_s = work.inputs["media"]["duration_s"]
    before = None
    for _, time_s, picture in scan_frames(video, work.params["filter.scan_height"]):
        if before is None or time_s >= samples.time_s[-1] + step_s:
            samples.time_s.append(time_s)
            samples.people.append(detector.detect(picture))
            samples.change.append(0.0 if before is None else float(frame_motion([before, picture])[0]))
            before = picture.copy()
            if duration_s:
                work.report(min(1.0, time_s / duration_s))
        yield time_s, picture


def _scores(
    start_s: float, end_s: float, samples: _Samples, levels: AudioLevels | None, silent_below_db: float
) -> dict[str, Any]:
    """A take's scores: the columns of table ``takes``. Changes across a cut do not count."""
    from d2midi_build.motion.people import people_over_time

    inside = [number for number, time_s in enumerate(samples.time_s) if start_s <= time_s < end_s]
    people = people_over_time([samples.people[number] for number in inside])
    change = [samples.change[number] for number in inside[1:]]
    sound = levels.over(start_s, end_s, silent_below_db) if levels is not None else None
    return {
        "start_s": round(start_s, 6),
        "end_s": round(end_s, 6),
        "n_samples": people.samples,
        "nobody_share": people.share_none if inside else None,
        "several_share": people.share_several if inside else None,
        "person_height": people.main_height if people.share_none < 1 and inside else None,
        "change": float(np.median(change)) if change else None,
        "loudness_db": sound.loudness_db if sound else None,
        "silent_share": sound.silent_share if sound else None,
        "clipped_share": sound.clipped_share if sound else None,
    }


STAGE = Stage(
    name="filter",
    version=2,
    reads=("filter.scan_height", "filter.samples_per_s", "filter.silent_below_db"),
    unit="s",
    cpu_per_unit=0.25,
    run=_run,
    models=_models,
)
