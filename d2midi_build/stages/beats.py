"""Find a clip's beats, musical ones in its sound and notes, kinematic ones in its keypoints, and whether they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d2midi_build import clock, tables
from d2midi_build.recipe import Recipe
from d2midi_build.screening.criteria import Decision
from d2midi_build.stages.base import Made, Stage, Work

if TYPE_CHECKING:
    import pyarrow as pa

    from d2midi_build.motion.kinematic_beats import KinematicBeats
    from d2midi_build.music.beats import Beats


RHYTHM_FILE = "rhythm.npy"
"""What is pooled over clips: float32, shape (2, n_frames), rhythm of motion and of onsets."""


def decide(facts: Mapping[str, Any], recipe: Recipe) -> Decision:
    """Hold a clip's synchronisation against the recipe's thresholds.

    Parameters
    ----------
    facts : mapping
        ``synchrony``: the fields of ``synchrony.phase.PhaseTest``.
    recipe : Recipe
        Section ``beats``.

    Returns
    -------
    Decision
        ``review`` with the reason ``not_synchronised`` or ``lag`` where a human should look, else ``accept``; nothing
        is rejected, since how far this can be trusted on real dances is not known.
    """
    found = facts.get("synchrony")
    if not recipe.beats.review or found is None:
        return Decision("accept")
    if found["status"] == "not_synchronised":
        return Decision("review", ("not_synchronised",), found["explanation"])
    if found["status"] == "synchronised":
        # A lag is known within half of its modulus: beyond a third it may be of either sign.
        limit_s = min(recipe.beats.lag_review_above_s, found["lag_modulo_s"] / 3)
        if abs(found["lag_s"]) > limit_s:
            words = f"the dance is {found['lag_s']:+.2f} s off the beat (review beyond {limit_s:.2f} s)"
            return Decision("review", ("lag",), words)
    return Decision("accept")


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
    from d2midi_build.synchrony.phase import METHOD, phase_test
    from d2midi_build.synchrony.rhythm import motion_rhythm, onset_rhythm

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
    motion = motion_rhythm(keypoints.body_world, keypoints.present_body, keypoints.body_image)
    np.save(work.out / RHYTHM_FILE, np.stack([motion, onset_rhythm(audio, rate_hz, work.inputs["n_frames"])]))
    kinds, times_s = (table.column(name).to_numpy(zero_copy_only=False) for name in ("kind", "time_s"))
    in_time = phase_test(times_s[kinds == "kinematic"], times_s[kinds == "musical"])
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
        "synchrony": asdict(in_time),
        "media_s": end_s,
    }
    made_by = {"musical": musical.method, "kinematic": kinematic.method, "synchrony": METHOD}
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
    version=4,
    reads=("beats.least_confidence", "beats.least_prominence"),
    unit="s",
    cpu_per_unit=0.01,
    run=_run,
    models=_models,
)
