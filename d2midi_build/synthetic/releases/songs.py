"""Songs of a genre, longer than the clips they are heard in: notes and beats that are known exactly.

Harmony, bass and melody are `synthetic.band`'s; instruments and drums are the genre's.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.music.instruments import BASS
from d2midi_build.music.notes import Notes, snap
from d2midi_build.synthetic import band
from d2midi_build.synthetic.anatomy import Array
from d2midi_build.synthetic.releases.genres import Genre, Pattern

MARGIN_S: Final = 2.0
"""How much of a song there is before and after the clip: offsets up to this need no other music."""

ORIGIN: Final = "synthetic/releases"

_PLAYED_S: Final = 0.006
"""Standard deviation of a player's onsets about the grid."""
_STEPS: Final = 16
_DRUM_LENGTH_S: Final = 0.1
_MIDDLE: Final = 64
"""Chords of `synthetic.band` lie below, its melodies nearly always above."""


@dataclass(frozen=True, eq=False)
class Song:
    """Music whose time 0 is ``MARGIN_S`` before the clip it was made for.

    Attributes
    ----------
    notes : Notes
    beats_s : np.ndarray, shape (n,), float64
        Seconds; every fourth one from the first is the first of a bar.
    bpm : float
    """

    notes: Notes
    beats_s: Array
    bpm: float

    def heard(self, start_s: float, duration_s: float) -> tuple[Notes, Array, npt.NDArray[np.int8]]:
        """Notes, beats and their positions in the bar (1-4) in a clip that begins at ``start_s``, in its time.

        Notes that began earlier are not in it, and the clip's end cuts those that sound on, as in a transcription.
        """
        notes = self.notes.starting_in(start_s, start_s + duration_s)
        columns = {each.name: getattr(notes, each.name) for each in fields(notes)}
        columns["onset_s"] = np.clip(snap(notes.onset_s - start_s), 0.0, duration_s)
        columns["offset_s"] = np.clip(snap(notes.offset_s - start_s), columns["onset_s"], duration_s)
        beats = snap(self.beats_s - start_s)
        inside = (beats >= 0) & (beats < duration_s)
        positions = np.arange(len(beats)) % 4 + 1
        return Notes(**columns).playable(), beats[inside], positions[inside].astype(np.int8)


def compose(rng: np.random.Generator, genre: Genre, clip_s: float) -> Song:
    """A song for a clip of ``clip_s`` seconds; another state of the generator, another song."""
    bpm = float(rng.triangular(*genre.tempo_bpm))
    duration_s = clip_s + 2 * MARGIN_S
    written = band.compose(rng, bpm, duration_s, start_s=float(rng.uniform(0.0, 60.0 / bpm)))
    pitched = written.notes.pitched()
    low = genre.low[int(rng.integers(len(genre.low)))]
    high = genre.high[int(rng.integers(len(genre.high)))]
    bass = pitched.instrument == BASS.name
    program = np.where(bass, BASS.program, np.where(pitched.pitch < _MIDDLE, low.program, high.program))
    struck_s, key, velocity = _drums(rng, genre, written.beats_s, 60.0 / bpm)
    is_drum = np.repeat([False, True], [len(pitched), len(key)])
    onset_s = np.concatenate([pitched.onset_s, struck_s]) + _PLAYED_S * rng.normal(size=len(is_drum))
    length_s = np.concatenate([pitched.offset_s - pitched.onset_s, np.full(len(key), _DRUM_LENGTH_S)])
    inside = (onset_s >= 0) & (onset_s < duration_s)
    notes = Notes.create(
        onset_s[inside],
        np.minimum(onset_s + length_s, duration_s)[inside],
        np.concatenate([pitched.pitch, key])[inside],
        np.concatenate([pitched.velocity, velocity])[inside],
        np.concatenate([program, np.zeros(len(key))])[inside].astype(np.int64),
        is_drum[inside],
        origin=ORIGIN,
    )
    return Song(notes.playable(), written.beats_s, bpm)


def _drums(
    rng: np.random.Generator, genre: Genre, beats_s: Array, beat_s: float
) -> tuple[Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Onsets, keys and velocities: one pattern with a few hits of the song's own, slips, and fills."""
    pattern: Pattern = genre.drums[int(rng.integers(len(genre.drums)))]
    bars = -(-len(beats_s) // 4)
    onsets, keys, velocities = [], [], []
    for key, beats in pattern.items():
        own = rng.random(_STEPS) < 0.04
        own[[round(4 * beat) for beat in beats]] = True
        hits = np.broadcast_to(own, (bars, _STEPS)) & (rng.random((bars, _STEPS)) >= 0.03)
        hits[7::8, 3 * _STEPS // 4 :] |= rng.random(hits[7::8, 3 * _STEPS // 4 :].shape) < 0.3
        bar, step = np.nonzero(hits)
        onsets.append(beats_s[0] + (4 * bar + step / 4) * beat_s)
        keys.append(np.full(len(bar), key))
        accent = np.where(step == 0, 10, np.where(step % 4 == 0, 4, -8))
        velocities.append(np.clip(92 + accent + rng.integers(-6, 7, len(bar)), 1, 127))
    return np.concatenate(onsets), np.concatenate(keys), np.concatenate(velocities)
