"""Find a clip's beats: musical ones in its sound and notes, kinematic ones in its keypoints."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d2midi_build import clock, tables
from d2midi_build.stages.base import Made, Stage, Work

if TYPE_CHECKING:
    import pyarrow as pa

    from d2midi_build.motion.kinematic_beats import KinematicBeats
    from d2midi_build.music.beats import Beats


@cache
def _digests() -> dict[str, str]:
    from d2midi_build.digests import sha256_file
    from d2midi_build.music.beats import WEIGHTS

    return {WEIGHTS.name: sha256_file(WEIGHTS)}


def _models(params: Mapping[str, Any]) -> dict[str, str]:
    return _digests()


def _run(work: Work) -> Made:
    import numpy as np

    from d2midi_build.motion.keypoints import Keypoints, read_frames
    from d2midi_build.motion.kinematic_beats import Settings, find_kinematic_beats
    from d2midi_build.music.audio import read_sound
    from d2midi_build.music.beats import find_beats
    from d2midi_build.music.notes import Notes

    audio, rate_hz = read_sound(Path(work.inputs["audio"]), work.out)
    notes = Notes.from_table(tables.read(Path(work.inputs["notes"])))
    musical = find_beats(audio, rate_hz, notes, work.params["beats.least_confidence"])
    end_s = clock.frame_time_s(work.inputs["n_frames"])
    keypoints = Keypoints.from_table(read_frames(Path(work.inputs["frames"])))
    kinematic = find_kinematic_beats(
        keypoints.body_world,
        keypoints.present_body,
        body_image=keypoints.body_image,
        settings=Settings(least_prominence=work.params["beats.least_prominence"]),
    )
    table = _table(musical, kinematic, end_s)
    tables.write(work.out / "beats.parquet", table)
    kinds = np.array(table.column("kind").to_pylist())
    facts = {
        "n_beats": len(table),
        "musical": {
            "status": "known" if musical.known else "unknown",
            "reason": musical.reason,
            "method": musical.method,
            "confidence": musical.confidence,
            "tempo_bpm": musical.tempo_bpm,
            "metre": musical.metre,
            "n_beats": int((kinds == "musical").sum()),
        },
        "kinematic": {
            "status": "known" if kinematic.known else "unknown",
            "reason": kinematic.reason,
            "method": kinematic.method,
            "n_beats": int((kinds == "kinematic").sum()),
        },
        "media_s": end_s,
    }
    made_by = {"musical": musical.method, "kinematic": kinematic.method}
    return Made(facts, made_by | {f"model:{name}": digest for name, digest in _digests().items()})


def _table(musical: Beats, kinematic: KinematicBeats, end_s: float) -> pa.Table:
    """Both kinds, those inside the clip: kinematic first, as the key sorts them."""
    import numpy as np
    import pyarrow as pa

    parts = []
    for kind, times_s, position, strength, confidence in (
        ("kinematic", kinematic.times_s, None, kinematic.strengths, kinematic.confidences),
        (
            "musical",
            musical.times_s,
            musical.positions,
            musical.strengths,
            np.full(len(musical), musical.confidence, np.float32),
        ),
    ):
        inside = (times_s >= 0) & (times_s < end_s)
        n = int(inside.sum())
        parts.append(
            pa.table(
                {
                    "kind": pa.array([kind] * n, pa.string()),
                    "beat": pa.array(range(n), pa.int32()),
                    "time_s": pa.array(times_s[inside], pa.float64()),
                    "position": pa.nulls(n, pa.int8()) if position is None else pa.array(position[inside]),
                    "strength": pa.array(strength[inside], pa.float32()),
                    "confidence": pa.array(confidence[inside], pa.float32()),
                }
            )
        )
    return pa.concat_tables(parts).combine_chunks()


STAGE = Stage(
    name="beats",
    version=2,
    reads=("beats.least_confidence", "beats.least_prominence"),
    unit="s",
    cpu_per_unit=0.01,
    run=_run,
    models=_models,
)
