"""What the pieces of a run come to together: means with intervals, counts added up, curves."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from transcription_peer import PEER
from transcription_pieces import SECONDS, Condition, Piece
from transcription_scores import Counts, Heard

from d2midi_build.music.reliability import calibration, mean_with_interval

_BOOTSTRAP_SEED: Final = 0


@dataclass
class Run:
    """All results of a run."""

    conditions: list[Condition]
    pieces: list[Piece]
    heard: dict[tuple[str, str], list[Heard]] = field(default_factory=lambda: defaultdict(list))
    load_cpu_s: dict[str, float] = field(default_factory=dict)
    peer_cpu_s: dict[str, float] = field(default_factory=dict)


def summary(made: Run, condition: Condition, name: str) -> dict[str, Any]:
    """What a table, a plot or a reader of the JSON wants to know of one transcriber under one condition."""
    heard = made.heard[condition.name, name]
    peers = made.heard.get((condition.name, PEER))
    scores = {key: _mean([one.scores.get(key) for one in heard]) for key in heard[0].scores}
    if peers and name != PEER:
        scores["onset over peer"] = _mean([
            None if one.scores["onset"] is None or peer.scores["onset"] is None
            else one.scores["onset"] - peer.scores["onset"]
            for one, peer in zip(heard, peers, strict=True)
        ])  # fmt: skip
    seconds = SECONDS * len(heard)
    if name == PEER:
        cpu_s = made.peer_cpu_s[condition.name]
        speed = {"s_per_cpu_s": seconds / max(cpu_s - made.load_cpu_s[PEER], 1e-3),
                 "s_per_cpu_s_with_start": seconds / cpu_s}  # fmt: skip
    else:
        speed = {"s_per_cpu_s": seconds / max(sum(one.cpu_s or 0.0 for one in heard), 1e-3)}
    return {
        "scores": scores,
        "pooled": {key: _pooled([one.counts[key] for one in heard]) for key in heard[0].counts},
        "confusion": np.sum([one.confusion for one in heard], axis=0).tolist(),
        "false_drum_hits_per_minute": _false_hits(heard) / (seconds / 60),
        "onset_error_ms": {kind: _spread([one.late_s[kind] for one in heard]) for kind in heard[0].late_s},
        "calibration": {kind: _curve([one.trust[kind] for one in heard]) for kind in heard[0].trust},
        "speed": speed,
    }


def _mean(values: list[float | None]) -> dict[str, Any]:
    return asdict(mean_with_interval(values, np.random.default_rng(_BOOTSTRAP_SEED)))


def _pooled(counts: list[Counts]) -> dict[str, Any]:
    matched, n_reference, n_estimated = (sum(count[i] for count in counts) for i in range(3))
    both = n_reference + n_estimated
    return {
        "f1": 2 * matched / both if both else None,
        "precision": matched / n_estimated if n_estimated else None,
        "recall": matched / n_reference if n_reference else None,
        "n_reference": n_reference,
        "n_estimated": n_estimated,
        "n_pieces": sum(count[1] > 0 for count in counts),
    }


def _false_hits(heard: list[Heard]) -> int:
    """Kick, snare and hat hits that are none."""
    return sum(
        one.counts[f"drum/{name}"][2] - one.counts[f"drum/{name}"][0]
        for one in heard
        for name in ("kick", "snare", "hat")
    )


def _spread(parts: list[npt.NDArray[np.float64]]) -> dict[str, Any]:
    """Median and quartiles in milliseconds."""
    late_ms = 1000 * np.concatenate(parts)
    if not len(late_ms):
        return {"median": None, "quartiles": None, "n": 0}
    low, median, high = np.quantile(late_ms, [0.25, 0.5, 0.75])
    return {"median": float(median), "quartiles": [float(low), float(high)], "n": len(late_ms)}


def _curve(parts: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]]) -> dict[str, Any]:
    p, right = (np.concatenate([part[i] for part in parts]) for i in range(2))
    made = calibration(p, right)
    return {
        "error": made.error,
        "mean": [None if np.isnan(x) else float(x) for x in made.mean],
        "share": [None if np.isnan(x) else float(x) for x in made.share],
        "n": made.n.tolist(),
    }
