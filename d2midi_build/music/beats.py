"""Musical beats, bars and tempo, from a recording and its notes together.

Every 10 ms a recording is described by how much starts there (`beat_features`): spectral flux, and from the notes
pitched, bass, long, kick, snare and hi-hat onsets and changes of harmony. A multinomial logistic rule says how likely
such a frame is a downbeat, another beat of the bar, a part of a beat, or none of these; `beat_search` finds the
likeliest beats and bars, and `beat_levels` whether these or those at another metrical level are right, if any. The
weights of both rules lie in ``beat_weights.json``; ``benchmarks/fit_beats.py`` fits them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.music.audio import checked
from d2midi_build.music.beat_features import FRAMES_PER_S, features
from d2midi_build.music.beat_levels import LEAST_BEATS, described, paths, probabilities
from d2midi_build.music.beat_search import METRE, POSITION, Settings, beat_evidence
from d2midi_build.music.notes import Notes

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]

METHOD: Final = "flux+notes/bar-search-3"
"""Raised whenever the same sound and notes would give other beats."""

WEIGHTS: Final = Path(__file__).with_name("beat_weights.json")

LEAST_CONFIDENCE: Final = 0.6
"""Chosen from the shares that were right (``docs/decisions/0006-beats.md``)."""


@dataclass(frozen=True, eq=False)
class Beats:
    """Beats of a recording, or that none are known.

    Attributes
    ----------
    times_s : np.ndarray, shape (n,), float64
        Beats in seconds from the first sample, ascending; empty where unknown.
    positions : np.ndarray, shape (n,), int8
        Place of each beat in its bar, 1 for a downbeat.
    strengths : np.ndarray, shape (n,), float32
        0-1: how likely the moment is a beat by its own sound, before and after it aside.
    tempo_bpm : float or None
        From the median interval; None where unknown.
    metre : int or None
        Beats per bar of most bars, 3 or 4; None where unknown.
    method : str
        What found them.
    confidence : float
        0-1: probability that these beats are right, rather than those at another level or none at all; fitted, not
        exact (``docs/decisions/0006-beats.md``).
    reason : str
        Why they are unknown; empty where known.
    """

    times_s: FloatArray
    positions: npt.NDArray[np.int8]
    strengths: Float32Array
    tempo_bpm: float | None
    metre: int | None
    method: str
    confidence: float
    reason: str = ""

    def __len__(self) -> int:
        """Number of beats."""
        return len(self.times_s)

    @property
    def known(self) -> bool:
        """Whether there is an answer."""
        return not self.reason

    @property
    def downbeats_s(self) -> FloatArray:
        """First beats of bars, in seconds."""
        downbeats: FloatArray = self.times_s[self.positions == 1]
        return downbeats


def find_beats(
    audio: npt.NDArray[np.float32],
    sample_rate_hz: int,
    notes: Notes,
    least_confidence: float = LEAST_CONFIDENCE,
    settings: Settings | None = None,
) -> Beats:
    """Beats, bars and tempo of a recording.

    Parameters
    ----------
    audio : np.ndarray, shape (n,) or (n, channels), float32
        Samples at any rate, any length, full scale 1.0.
    sample_rate_hz : int
    notes : Notes
        What a transcriber heard in it, in seconds from its first sample; drums help most. May be none.
    least_confidence : float, optional
        Below this the answer is "unknown": no beats, and a reason.
    settings : Settings, optional
        Penalties of the search.

    Raises
    ------
    PermanentError
        If a sample is not a finite number.
    """
    samples = checked(audio, sample_rate_hz)
    if not len(samples):
        return _unknown("no sound", 0.0)
    found = features(samples, sample_rate_hz, notes)
    evidence = evidence_of(found)
    candidates = paths(evidence, settings or Settings())
    if not candidates:
        return _unknown(f"fewer than {LEAST_BEATS} beats in a row", 0.0)
    weights, bias = _level_weights()
    likely = probabilities(
        np.array([described(found, evidence, path) for path in candidates]) @ weights + bias
    )
    path, confidence = candidates[int(likely.argmax())], float(likely.max())
    if confidence < least_confidence:
        return _unknown(f"confidence {confidence:.2f} is below {least_confidence:.2f}", confidence)
    by_itself = beat_evidence(evidence)[path.frames].max(axis=1)
    metres, counts = np.unique(METRE[path.places], return_counts=True)
    return Beats(
        times_s=path.frames / FRAMES_PER_S,
        positions=POSITION[path.places].astype(np.int8),
        strengths=(1.0 / (1.0 + np.exp(-by_itself))).astype(np.float32),
        tempo_bpm=60.0 * FRAMES_PER_S / float(np.median(np.diff(path.frames))),
        metre=int(metres[counts.argmax()]),
        method=METHOD,
        confidence=confidence,
    )


def evidence_of(found: Float32Array) -> Float32Array:
    """Log-likelihood ratio of each class against "none", shape (n_frames, n_classes), from `features`."""
    weights, bias = _weights()
    return np.asarray(found @ weights + bias, dtype=np.float32)


def _unknown(reason: str, confidence: float) -> Beats:
    return Beats(
        times_s=np.empty(0),
        positions=np.empty(0, np.int8),
        strengths=np.empty(0, np.float32),
        tempo_bpm=None,
        metre=None,
        method=METHOD,
        confidence=confidence,
        reason=reason,
    )


@cache
def _weights() -> tuple[Float32Array, Float32Array]:
    """Weights of shape (n_features, n_classes) and biases of shape (n_classes,)."""
    stored = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return np.array(stored["weights"], dtype=np.float32), np.array(stored["bias"], dtype=np.float32)


@cache
def _level_weights() -> tuple[FloatArray, float]:
    """Weights of shape (n_features,) and the bias against "none of them"."""
    stored = json.loads(WEIGHTS.read_text(encoding="utf-8"))["levels"]
    return np.array(stored["weights"], dtype=np.float64), float(stored["bias"])
