"""Which of several paths of beats is right: the likeliest one, and those at its other metrical levels.

The search explains frames one by one; that a song of 84 bpm is not one of 167 shows in what it cannot see: how many
notes a beat has, where kick, snare, bass and harmony fall. Each path is described by `FEATURES`, a linear rule gives
its score, "none of them" scores 0, and the scores' softmax is the probability of each: it is the confidence, and
falls where two levels are about as good as where nothing beats. ``benchmarks/fit_beats.py --levels`` fits the rule.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.music.beat_features import FEATURES as FRAME_FEATURES
from d2midi_build.music.beat_features import FRAMES_PER_S
from d2midi_build.music.beat_search import (
    LONGEST,
    METRE,
    POSITION,
    SHORTEST,
    Path,
    Settings,
    beat_evidence,
    best_path,
    between_evidence,
    part_evidence,
)

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]

RATIOS: Final = (1 / 3, 1 / 2, 2 / 3, 3 / 4, 4 / 3, 3 / 2, 2.0, 3.0)
"""Intervals of other levels, of those of the likeliest path."""

LEAST_BEATS: Final = 8
"""Fewer beats in a row prove no tempo."""

_SLACK: Final = 1.07
_PLACED: Final = (
    "pitched",
    "bass",
    "long",
    "kick",
    "snare",
    "hat",
    "harmony",
    "bass_moves",
    "flux",
    "low_flux",
)
_PLACES: Final = ("down", "mid", "odd", "half")
_EVENT: Final = 0.3

FEATURES: Final = (
    "octave",
    "octave_squared",
    "beat_gain",
    "second_gain",
    "between_gain",
    "cover",
    "events",
    "events_squared",
    "empty",
    "unsteady",
    "slips",
    "three",
    "drums",
    *(f"{name}@{place}" for name in _PLACED for place in _PLACES),
)
"""What describes a path, in this order."""


def paths(evidence: Float32Array, settings: Settings) -> list[Path]:
    """The likeliest path and the likeliest ones at its other levels, `LEAST_BEATS` beats or more each."""
    first = best_path(evidence, settings)
    if len(first.frames) < LEAST_BEATS:
        return []
    found = [first]
    low, middle, high = np.quantile(np.diff(first.frames), (0.05, 0.5, 0.95))
    high = min(high, 1.6 * middle)  # a pause is no tempo
    for ratio in RATIOS:
        if not SHORTEST <= ratio * middle <= LONGEST:
            continue
        shortest = max(int(ratio * low / _SLACK), SHORTEST)
        longest = min(int(np.ceil(ratio * high * _SLACK)), LONGEST)
        other = best_path(evidence, settings, shortest, longest)
        if len(other.frames) >= LEAST_BEATS:
            found.append(other)
    return found


def described(found: Float32Array, evidence: Float32Array, path: Path) -> FloatArray:
    """`FEATURES` of a path: shape (n_features,), float64.

    Parameters
    ----------
    found : np.ndarray, shape (n_frames, n_frame_features)
        What `beat_features.features` gives.
    evidence : np.ndarray, shape (n_frames, n_classes)
    path : Path
        With two beats or more.
    """
    from scipy.ndimage import maximum_filter1d

    frames, places = path.frames, path.places
    gaps = np.diff(frames)
    usual = float(np.median(gaps))
    joined = gaps <= LONGEST
    seconds = float(gaps[joined].sum()) / FRAMES_PER_S
    gain = beat_evidence(evidence)[frames, places]
    between = between_evidence(part_evidence(evidence), frames[1:][joined], gaps[joined])
    octave = np.log2(60 * FRAMES_PER_S / usual / 112.0)
    column = {name: found[:, i] for i, name in enumerate(FRAME_FEATURES)}
    onsets = column["pitched"] + column["kick"] + column["snare"] + column["hat"]
    wide = maximum_filter1d(onsets, 7)
    events = np.flatnonzero((onsets >= wide) & (onsets > _EVENT))
    events = events[np.diff(events, prepend=-10) > 4]
    inside = events[(events >= frames[0]) & (events <= frames[-1])]
    per_beat = len(inside) / max(seconds * FRAMES_PER_S / usual, 1.0)
    steps = np.abs(np.diff(np.log(gaps[joined]))) if joined.sum() > 2 else np.zeros(1)
    kick_or_snare = column["kick"] + column["snare"]
    follows = np.diff(POSITION[places]) == 1
    follows |= (POSITION[places][1:] == 1) & (POSITION[places][:-1] == METRE[places][:-1])
    values = [
        octave,
        octave**2,
        float(gain.mean()),
        float(gain.sum() + between.sum()) / max(seconds, 1.0),
        float(between.mean()) if len(between) else 0.0,
        seconds * FRAMES_PER_S / len(found),
        per_beat,
        per_beat**2 / 4,
        float((wide[frames] < _EVENT).mean()),
        float(np.mean(np.maximum(steps - 1.5 / usual, 0.0))) * 10,
        float((~follows).mean()) * 10,
        float((METRE[places] == 3).mean()),
        float(kick_or_snare.mean() > 0.01),
    ]
    position = POSITION[places]
    halves = (frames[:-1] + frames[1:])[joined] // 2
    groups = (
        frames[position == 1],
        frames[position == 3],
        frames[(position == 2) | (position == 4)],
        halves,
    )
    for name in _PLACED:
        near = maximum_filter1d(column[name], 5)
        values += [float(near[group].mean()) if len(group) else 0.0 for group in groups]
    return np.array(values)


def probabilities(scores: FloatArray) -> FloatArray:
    """The probability of each path, what is left to 1 being that of none: shape as given."""
    top = max(float(scores.max(initial=0.0)), 0.0)
    part = np.exp(scores - top)
    return np.asarray(part / (part.sum() + np.exp(-top)))
