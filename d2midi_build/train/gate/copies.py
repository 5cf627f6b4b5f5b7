"""The leak probe: the same song or the same dance in two splits, though ids and groups say otherwise.

Music is compared by what is played, whatever the tempo and wherever the clip begins; motion by where the limbs go,
whatever the tracker's noise and wherever the clip begins. Both look at what every clip has, so that a second upload
is found by its music or by its dance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build import clock
from d2midi_build.motion.skeleton import BODY_NAMES, N_BODY
from d2midi_build.music.notes import Notes

FloatArray = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]

MUSIC_ALIKE: Final = 0.25
"""Share of the shorter clip's phrases that both have, from which on they are the same music."""

MOTION_ALIKE: Final = 0.8
"""Correlation of two clips' limbs, from which on they are the same dance."""

LEAST_PHRASES: Final = 16
"""Different phrases below which nothing is said of a clip's music."""

LEAST_OVERLAP_S: Final = 8.0
"""Time that two clips must share for their motion to be compared."""

_CHORDS: Final = 6
"""Successive onsets in a phrase."""

_PER_BEAT: Final = 4
"""Steps per beat: sixteenths."""

_COMMON: Final = 30
"""A phrase of more clips than that is nobody's: scales and vamps."""

_BEAT_S: Final = (0.375, 0.75)
"""Tempo is taken by octaves into 80-160 beats/min: which octave a tracker chose says nothing."""

_DEFAULT_BEAT_S: Final = 60 / clock.TEMPO_BPM

_EVERY: Final = 2
"""Motion is compared at 10 values per second: a copy cut between two of them is 50 ms away at most."""

_LIMBS: Final = tuple(
    BODY_NAMES.index(f"{side}_{joint}")
    for joint in ("elbow", "wrist", "knee", "ankle")
    for side in ("left", "right")
)
_MIRRORED: Final = tuple(place + 1 - 2 * (place % 2) for place in range(len(_LIMBS)))

_TABLE: Final = np.random.default_rng(1234).integers(1, 2**63, size=(3, 4096), dtype=np.uint64) | np.uint64(1)
"""Odd random numbers: of pitches, of steps, of places in a phrase."""


@dataclass(frozen=True)
class Alike:
    """Two clips that have more in common than two clips should.

    Attributes
    ----------
    one, other : str
        Clip ids; ``one`` sorts first.
    splits : tuple of (str, str)
        Their splits, in the same order.
    score : float
        Share of common phrases, or correlation, 0-1.
    lag_s : float or None
        Of motion: by how much later the dance is in ``one`` than in ``other``.
    mirrored : bool
        Of motion: left and right are changed.
    """

    one: str
    other: str
    splits: tuple[str, str]
    score: float
    lag_s: float | None = None
    mirrored: bool = False


def phrases(notes: Notes, beat_s: float | None) -> Hashes:
    """Hashes of the different phrases of a clip: what is struck together, six times in succession, and when.

    Times are sixteenths from the phrase's first onset, so they depend neither on where the clip begins nor on its
    tempo; only the length of a beat is needed, not where beats are. Pitched notes count; drums, whose patterns many
    songs share, do not. Velocity, duration and instrument do not count either: transcriptions differ in them.

    Parameters
    ----------
    notes : Notes
    beat_s : float, optional
        Seconds between beats; None or 0 where unknown: 0.5 s.

    Returns
    -------
    np.ndarray, shape (n,), uint64
        Ascending, each once; none with fewer than six different onsets.
    """
    pitched = notes.where(~notes.is_drum)
    if not len(pitched):
        return np.empty(0, np.uint64)
    step_s = _in_octave(beat_s) / _PER_BEAT
    order = np.argsort(pitched.onset_s, kind="stable")
    onset_s, pitch = pitched.onset_s[order], pitched.pitch[order].astype(np.int64)
    # What starts less than half a step after the onset before it is struck together with it.
    first = np.concatenate([[True], np.diff(onset_s) > step_s / 2])
    chord = np.cumsum(first) - 1
    at_s = onset_s[first]
    if len(at_s) < _CHORDS:
        return np.empty(0, np.uint64)
    struck = np.unique(np.stack([chord, pitch], axis=1), axis=0)
    content = np.zeros(len(at_s), np.uint64)
    np.add.at(content, struck[:, 0], _mixed(_TABLE[0, struck[:, 1]]))
    starts = np.arange(len(at_s) - _CHORDS + 1)[:, None] + np.arange(_CHORDS)
    steps = np.round((at_s[starts] - at_s[starts[:, :1]]) / step_s).astype(np.int64)
    parts = _mixed(content[starts] ^ _TABLE[1, np.minimum(steps, 4095)])
    return np.unique(_mixed((parts * _TABLE[2, :_CHORDS]).sum(axis=1, dtype=np.uint64)))


def same_music(
    clips: Mapping[str, Hashes], split_of: Mapping[str, str], alike: float = MUSIC_ALIKE
) -> tuple[list[Alike], float]:
    """Pairs of clips of different splits that share phrases, and the largest share of any pair that is below.

    Parameters
    ----------
    clips : dict
        `phrases` by clip id; those with fewer than 16 are left out.
    split_of : dict
    alike : float, optional
        Least share, of the clip with fewer phrases. Default is a quarter: a copy whose notes were transcribed anew
        keeps that much when one note in five is another, different songs of one genre share next to nothing.

    Returns
    -------
    pairs : list of Alike
        The most alike first.
    rest : float
        0-1: how far below the bound all others are.
    """
    names = sorted(name for name, found in clips.items() if len(found) >= LEAST_PHRASES)
    if not names:
        return [], 0.0
    sizes = np.array([len(clips[name]) for name in names])
    splits = np.array([split_of[name] for name in names])
    every = np.concatenate([clips[name] for name in names])
    owner = np.repeat(np.arange(len(names)), sizes)
    order = np.argsort(every, kind="stable")
    owner = owner[order]
    edges = np.flatnonzero(np.concatenate([[True], np.diff(every[order]) != 0, [True]]))
    shared: dict[tuple[int, int], int] = {}
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if 2 <= end - begin <= _COMMON:
            members = owner[begin:end].tolist()  # ascending, as the sort is stable
            for place, one in enumerate(members):
                for other in members[place + 1 :]:
                    if splits[one] != splits[other]:
                        shared[one, other] = shared.get((one, other), 0) + 1
    scores = {pair: count / min(sizes[pair[0]], sizes[pair[1]]) for pair, count in shared.items()}
    found = [
        Alike(names[one], names[other], (str(splits[one]), str(splits[other])), float(score))
        for (one, other), score in scores.items()
        if score >= alike
    ]
    rest = max((float(score) for score in scores.values() if score < alike), default=0.0)
    return sorted(found, key=lambda each: (-each.score, each.one, each.other)), rest


def movement(body_world: npt.NDArray[Any]) -> FloatArray:
    """A clip's limbs at 10 values per second, for `same_dance`.

    Elbows, wrists, knees and ankles from the middle of the hips, means of two frames, less the clip's mean pose; all of
    one size.

    Parameters
    ----------
    body_world : np.ndarray, shape (n_frames, 33, 3)
        Hip-centred, in any unit; NaN where missing.

    Returns
    -------
    np.ndarray, shape (n, 8, 3), float64
        0 where there is no body, and everywhere without any motion.

    Raises
    ------
    ValueError
        If the shape is another.
    """
    if body_world.ndim != 3 or body_world.shape[1:] != (N_BODY, 3):
        raise ValueError(f"body_world has shape {body_world.shape}, needed is (n_frames, {N_BODY}, 3)")
    n = len(body_world) // _EVERY
    points = np.asarray(body_world[: n * _EVERY, _LIMBS], np.float64).reshape(n, _EVERY, len(_LIMBS), 3)
    known = np.isfinite(points)
    count = known.sum(axis=1)
    means = np.where(known, points, 0.0).sum(axis=1) / np.maximum(count, 1)
    seen = count.all(axis=(1, 2))
    if not seen.any():
        return np.zeros_like(means)
    means = (means - means[seen].mean(axis=0)) * seen[:, None, None]
    size = np.sqrt((means**2).sum() / (seen.sum() * len(_LIMBS)))
    return np.asarray(means / size if size > 1e-9 else np.zeros_like(means))


def same_dance(
    clips: Mapping[str, FloatArray], split_of: Mapping[str, str], alike: float = MOTION_ALIKE
) -> tuple[list[Alike], float]:
    """Pairs of clips of different splits whose limbs go the same way, at whatever lag, mirrored or not.

    The correlation at each lag is over the frames that both clips then have, if those are at least 8 s. Every pair of
    clips of different splits is compared: time grows with their product (7,000 pairs of 60 s in about a second), memory
    with their number (125 kB a clip of 60 s, all as much as the longest).

    Parameters
    ----------
    clips : dict
        `movement` by clip id; shorter ones than 8 s are left out.
    split_of : dict
    alike : float, optional
        Least correlation. Default is 0.8.

    Returns
    -------
    pairs : list of Alike
        The most alike first.
    rest : float
        The largest correlation of any other pair.
    """
    from scipy.fft import next_fast_len

    least = round(LEAST_OVERLAP_S * clock.FPS / _EVERY)
    names = sorted(name for name, found in clips.items() if len(found) >= least and found.any())
    if not names:
        return [], 0.0
    longest = max(len(clips[name]) for name in names)
    size = int(next_fast_len(2 * longest - 1, real=True))
    spectra = {name: _Spectrum.of(clips[name], size) for name in names}
    found, rest = [], 0.0
    for place, one in enumerate(names):
        mine = spectra[one]
        looking_glass = _Spectrum.of(_mirrored(clips[one]), size)
        for other in names[place + 1 :]:
            if split_of[one] == split_of[other]:
                continue
            theirs = spectra[other]
            score, lag, mirrored = max(
                (*each.best(theirs, least), each is looking_glass) for each in (mine, looking_glass)
            )
            if score >= alike:
                lag_s = lag * _EVERY / clock.FPS
                splits = (split_of[one], split_of[other])
                found.append(Alike(one, other, splits, score, lag_s, mirrored))
            else:
                rest = max(rest, score)
    return sorted(found, key=lambda each: (-each.score, each.one, each.other)), rest


@dataclass(frozen=True, eq=False)
class _Spectrum:
    """Transforms of a clip's limbs (n_bins, 24) and of their square and presence (n_bins,)."""

    limbs: npt.NDArray[np.complex64]
    energy: npt.NDArray[np.complex64]
    seen: npt.NDArray[np.complex64]
    size: int

    @classmethod
    def of(cls, movement: FloatArray, size: int) -> _Spectrum:
        flat = movement.reshape(len(movement), -1)
        energy = (flat**2).sum(axis=1)
        return cls(
            np.fft.rfft(flat, size, axis=0).astype(np.complex64),
            np.fft.rfft(energy, size).astype(np.complex64),
            np.fft.rfft((energy > 0).astype(np.float64), size).astype(np.complex64),
            size,
        )

    def best(self, other: _Spectrum, least: int) -> tuple[float, int]:
        """Highest correlation over lags at which both have that many values, and its lag."""
        products = np.stack(
            [
                np.einsum("fd,fd->f", self.limbs, other.limbs.conj()),
                self.energy * other.seen.conj(),
                self.seen * other.energy.conj(),
                self.seen * other.seen.conj(),
            ]
        )
        cross, mine, theirs, shared = np.fft.irfft(products, self.size, axis=1)
        fits = (shared > least - 0.5) & (mine > 1e-3) & (theirs > 1e-3)
        if not fits.any():
            return 0.0, 0
        scores = np.where(fits, cross / np.sqrt(np.where(fits, mine * theirs, 1.0)), -1.0)
        at = int(scores.argmax())
        return float(min(scores[at], 1.0)), at if at < (self.size + 1) // 2 else at - self.size


def _mirrored(movement: FloatArray) -> FloatArray:
    return np.asarray(movement[:, _MIRRORED] * np.array([-1.0, 1.0, 1.0]))


def _in_octave(beat_s: float | None) -> float:
    """The length of a beat, halved or doubled into 80-160 beats/min."""
    if not beat_s or not np.isfinite(beat_s) or beat_s <= 0:
        return _DEFAULT_BEAT_S
    low, high = _BEAT_S
    while beat_s >= high:
        beat_s /= 2
    while beat_s < low:
        beat_s *= 2
    return float(beat_s)


def _mixed(values: Hashes) -> Hashes:
    """Bits of numbers spread over all 64, as in splitmix64 (Steele, Lea and Flood, 2014); sums wrap."""
    with np.errstate(over="ignore"):
        mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), np.uint64)


def pairs_told(pairs: Sequence[Alike], most: int = 10) -> str:
    """The pairs in words, the most alike first."""
    told = [
        f"{each.one} ({each.splits[0]}) and {each.other} ({each.splits[1]}): {each.score:.2f}"
        + (f", {each.lag_s:+.1f} s apart" if each.lag_s else "")
        + (", mirrored" if each.mirrored else "")
        for each in pairs[:most]
    ]
    return "; ".join(told) + (f"; and {len(pairs) - most} more" if len(pairs) > most else "")
