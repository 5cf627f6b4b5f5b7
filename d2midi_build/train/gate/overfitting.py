"""Stage C: can small models learn eight clips by heart? Where they cannot, code or tensors are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from d2midi_build import clock
from d2midi_build.train.gate.beat_task import (
    BeatTask,
    Crop,
    FloatArray,
    What,
    crops,
    events_s,
    fitted,
    what_is_known,
)
from d2midi_build.train.gate.dances import CROP_FRAMES
from d2midi_build.train.gate.fitting import Progress
from d2midi_build.train.gate.pairs import Pair, one_each
from d2midi_build.train.gate.records import Record, Verdict
from d2midi_build.train.metrics.beats import beat_f1, count_beats
from d2midi_build.train.models.beats import picked

CLIPS: Final = 8
STEPS: Final = 200
LEAST_F1: Final = 0.9
LEAST_BEATS: Final = 4
LEAST_SEEN: Final = 0.9
"""Share of a crop's frames that have a body."""
_TOLERANCE_S: Final = 0.07


def overfit_beats(
    pairs: Sequence[Pair],
    runs: Path,
    *,
    steps: int = STEPS,
    progress: Progress = lambda share: None,
) -> Record:
    """``overfit.beats``: F-measure at 70 ms of beats that a head gives on the eight crops that it learnt.

    Parameters
    ----------
    pairs : sequence of Pair
        Of each of the first eight train sources the first crop with enough beats and body is learnt, without dropout.
    runs : Path
    steps : int, optional
    progress : callable, optional
    """
    what = what_is_known([pair.music for pair in pairs])
    chosen = one_each(
        pairs,
        "train",
        CLIPS,
        lambda pair: next((crop for crop in crops([pair], what) if _is_full(crop, what)), None),
    )
    if not chosen:
        why = (
            f"not testable: no train clip has 8 s with {LEAST_BEATS} {what} and a dance that is seen; look at beats "
            "and keypoints of the release"
        )
        return Record("C", "overfit.beats", None, 0, None, LEAST_F1, "not-testable", why, 0.0)
    task = BeatTask(chosen, what, 0, dropout=0.0)
    fitted(task, runs / "overfit-beats", 0, steps, progress)
    scores = [_f1(task, crop) for crop in chosen]
    value = float(np.mean(scores))
    passed: Verdict = "pass" if value > LEAST_F1 else "fail"
    why = (
        f"F-measure at 70 ms on the {len(scores)} crops of 8 s that a small head learnt by heart; more than {LEAST_F1} "
        "is needed"
    )
    if passed == "fail":
        why += ": clips contradict each other or hold nothing to learn from. Look at them: " + ", ".join(
            crop.pair.dance.clip_id for crop in chosen
        )
    return Record("C", "overfit.beats", value, len(scores), None, LEAST_F1, passed, why, 0.0)


def _bounds(crop: Crop) -> tuple[int, int]:
    return crop.start, min(crop.start + CROP_FRAMES, crop.pair.n_frames)


def _seen_beats(crop: Crop, what: What) -> FloatArray:
    """Beats of a crop in frames with a body: others are not learnt."""
    begin, end = _bounds(crop)
    frames = np.floor(events_s(crop.pair.music, what) * clock.FPS).astype(np.int64)
    inside = (frames >= begin) & (frames < end)
    seen = crop.pair.dance.present[np.clip(frames, 0, end - 1)]
    return np.asarray(events_s(crop.pair.music, what)[inside & seen])


def _is_full(crop: Crop, what: What) -> bool:
    begin, end = _bounds(crop)
    seen = crop.pair.dance.present[begin:end].mean() >= LEAST_SEEN
    return bool(seen) and len(_seen_beats(crop, what)) >= LEAST_BEATS


def _f1(task: BeatTask, crop: Crop) -> float:
    begin, end = _bounds(crop)
    logits = task.logits(crop.pair.dance.features[begin:end])
    found = picked(logits) + clock.frame_time_s(begin)
    frames = np.clip(np.floor(found * clock.FPS).astype(np.int64), begin, end - 1)
    found = found[crop.pair.dance.present[frames]]
    return float(beat_f1(count_beats(_seen_beats(crop, task.what), found, _TOLERANCE_S)) or 0.0)
