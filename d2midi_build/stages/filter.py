"""Screening: one decode of a video's picture and one of its sound measure what says whether its shots are usable.

The stage measures and stores scores; ``screening.criteria`` holds them against the recipe's thresholds. So a changed
threshold decodes nothing again, and a take's id does not depend on it. What takes are compared by to find
repeats is kept as well: fingerprints of the whole video.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build.errors import PermanentError
from d2midi_build.stages.base import Made, Stage, Work

if TYPE_CHECKING:
    from d2midi_build.media.likeness import MotionSignature
    from d2midi_build.media.loudness import AudioLevels
    from d2midi_build.media.scan import ScannedPicture
    from d2midi_build.media.shots import Shot
    from d2midi_build.motion.looks import Look
    from d2midi_build.music.clarity import Heard

SCORES: Final = (
    "n_samples", "nobody_share", "several_share", "overlap_share", "person_height", "whole_share", "completeness",
    "clutter", "edges", "colours", "background_motion", "camera_motion", "change", "loudness_db", "silent_share",
    "clipped_share", "bandwidth_hz", "noise_db", "music", "speech", "music_share", "speech_share", "neither_share",
)  # fmt: skip
"""What is measured of a take: columns of table ``takes``."""

MUSIC_FILE: Final = "music.npz"
PICTURE_FILE: Final = "picture.npz"
"""What a video's sound and picture are compared with others by: ``MusicFeatures`` and ``MotionSignature``."""

_CLARITY: Final = Path(__file__).parents[1] / "music" / "clarity.json"
"""``music.clarity.MODEL``, named without importing it: a build that has nothing to do needs its digest only."""

_BEFORE_S: Final = 0.1
"""How much earlier the picture is that the camera's motion at a sample is measured from."""


@dataclass
class _Samples:
    """Sampled pictures of a video: when, what they show, and the change since the one before."""

    time_s: list[float] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    change: list[float] = field(default_factory=list)


@cache
def _digests() -> dict[str, str]:
    from d2midi_build.digests import sha256_file
    from d2midi_build.motion.models import LOOKS_FILES, digests

    return digests(LOOKS_FILES) | {_CLARITY.name: sha256_file(_CLARITY)}


def _models(params: Mapping[str, Any]) -> dict[str, str]:
    return _digests()


def _run(work: Work) -> Made:
    from d2midi_build.media.ffmpeg import ffmpeg_version
    from d2midi_build.media.sound_scan import scan_sound
    from d2midi_build.music.clarity import hear
    from d2midi_build.music.fingerprints import music_features

    video = Path(work.inputs["video"])
    sound = scan_sound(video, work.out)
    heard = hear(sound) if sound else None
    shots, samples, signature = _watch(video, work)
    if not shots:
        raise PermanentError(f"{video.name} has no picture that can be decoded: fetch it again")
    (work.out / "samples.json").write_text(
        json.dumps(
            {
                "time_s": samples.time_s,
                "looks": [asdict(look) for look in samples.looks],
                "change": samples.change,
            }
        )
    )
    nothing = np.empty(0, np.int16), np.empty(0, np.uint32)
    features = music_features(*(sound.mono, sound.fingerprint) if sound else nothing)
    np.savez_compressed(work.out / MUSIC_FILE, **features.to_arrays())
    np.savez_compressed(work.out / PICTURE_FILE, **signature.to_arrays())
    levels, silent_below_db = sound.levels if sound else None, work.params["filter.silent_below_db"]
    takes = [
        _span(shot) | _seen(shot, samples) | _heard(shot, levels, heard, silent_below_db) for shot in shots
    ]
    made_by = {"ffmpeg": ffmpeg_version(), "scenedetect": importlib.metadata.version("scenedetect")}
    made_by |= {"mediapipe": importlib.metadata.version("mediapipe")}
    made_by |= {f"model:{name}": digest for name, digest in _digests().items()}
    return Made({"takes": takes, "media_s": shots[-1].end_s - shots[0].start_s}, made_by)


def _watch(video: Path, work: Work) -> tuple[list[Shot], _Samples, MotionSignature]:
    """Decode a video's picture once: every picture small for shots and signature, a few looked at."""
    from d2midi_build.media.likeness import MotionCollector
    from d2midi_build.media.scan import scan_pictures
    from d2midi_build.media.shots import LINES, ShotDetector
    from d2midi_build.motion.looks import PictureJudge, Seen
    from d2midi_build.motion.people import frame_motion

    if "judge" not in work.state:
        work.state["judge"] = PictureJudge()
    judge: PictureJudge = work.state["judge"]
    shots, signature, samples = ShotDetector(), MotionCollector(), _Samples()
    step_s, duration_s = 1 / work.params["filter.samples_per_s"], work.inputs["media"]["duration_s"]
    recent: deque[ScannedPicture] = deque()
    last: tuple[Seen, npt.NDArray[np.uint8]] | None = None
    for picture in scan_pictures(video, work.params["filter.scan_height"]):
        small = picture.bgr(LINES)
        shots.add(picture.time_s, small)
        signature.add(picture.time_s, small)
        while recent and recent[0].time_s < picture.time_s - _BEFORE_S - 1e-6:
            recent.popleft()
        if last is None or picture.time_s >= samples.time_s[-1] + step_s:
            before = recent[0] if recent else None
            elapsed_s = picture.time_s - before.time_s if before else 0.0
            whole = picture.bgr()
            seen = judge.look(whole, before.bgr() if before else None, elapsed_s, last[0] if last else None)
            samples.time_s.append(picture.time_s)
            samples.looks.append(seen.look)
            samples.change.append(float(frame_motion([last[1], small])[0]) if last else 0.0)
            last = seen, small
            if duration_s:
                work.report(min(1.0, picture.time_s / duration_s))
        recent.append(picture)
    return shots.shots(), samples, signature.finish()


def _span(shot: Shot) -> dict[str, float]:
    return {"start_s": round(shot.start_s, 6), "end_s": round(shot.end_s, 6)}


def _seen(shot: Shot, samples: _Samples) -> dict[str, Any]:
    """What a take's picture scores. Changes across a cut do not count."""
    from d2midi_build.motion.looks import over

    inside = [number for number, time_s in enumerate(samples.time_s) if shot.start_s <= time_s < shot.end_s]
    seen = over([samples.looks[number] for number in inside])
    change = [samples.change[number] for number in inside[1:]]
    return {
        "n_samples": seen.samples,
        "nobody_share": seen.nobody_share,
        "several_share": seen.several_share,
        "overlap_share": seen.overlap_share,
        "person_height": seen.person_height,
        "whole_share": seen.whole_share,
        "completeness": seen.completeness,
        "clutter": seen.clutter,
        "edges": seen.edges,
        "colours": seen.colours,
        "background_motion": seen.motion,
        "camera_motion": seen.camera,
        "change": float(np.median(change)) if change else None,
    }


def _heard(
    shot: Shot, levels: AudioLevels | None, heard: Heard | None, silent_below_db: float
) -> dict[str, Any]:
    """What a take's sound scores."""
    from d2midi_build.music.clarity import clarity

    level = levels.over(shot.start_s, shot.end_s, silent_below_db) if levels is not None else None
    scores = clarity(heard, shot.start_s, shot.end_s) if heard is not None else None
    return {
        "loudness_db": level.loudness_db if level else None,
        "silent_share": level.silent_share if level else None,
        "clipped_share": level.clipped_share if level else None,
        "bandwidth_hz": scores.bandwidth_hz if scores else None,
        "noise_db": scores.noise_db if scores else None,
        "music": scores.music if scores else None,
        "speech": scores.speech if scores else None,
        "music_share": scores.music_share if scores else None,
        "speech_share": scores.speech_share if scores else None,
        "neither_share": scores.neither_share if scores else None,
    }


STAGE = Stage(
    name="filter",
    version=3,
    reads=("filter.scan_height", "filter.samples_per_s", "filter.silent_below_db"),
    unit="s",
    cpu_per_unit=0.15,
    run=_run,
    models=_models,
)
