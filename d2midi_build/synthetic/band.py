"""A band with known notes: a different song per seed, every note on the beat grid.

Songs are for demos and known-answer tests: bass, chords, a melody and drums over a four-bar
progression, so that beats, tempo, key and notes are all known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.music.instruments import (
    BASS,
    BRASS,
    CELESTA,
    DRUM,
    GUITAR,
    LEAD,
    ORGAN,
    PIANO,
    SAX,
    STRINGS,
    VIOLIN,
    Instrument,
)
from d2midi_build.music.notes import Notes, snap
from d2midi_build.music.synthesis import synthesise

KICK: Final = 36
SNARE: Final = 38
CLOSED_HAT: Final = 42

_BEATS_PER_BAR: Final = 4
_PEAK: Final = 0.8
"""Peak of a rendered song: 2 dB below full scale leaves room for lossy encoders."""

_SCALES: Final = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}

_PROGRESSIONS: Final = {
    # Scale degrees, counted from 0, of the chord in each of four bars.
    "major": ((0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 4, 3), (0, 3, 5, 4)),
    "minor": ((0, 5, 2, 6), (0, 3, 6, 2), (0, 6, 5, 6), (0, 3, 4, 0), (0, 5, 3, 6)),
}

# Patterns of one bar: (beat, length in beats) for pitched parts, beats for drums.
_CHORD_PATTERNS: Final = (
    ((0, 2), (2, 2)),
    ((0, 1), (1, 1), (2, 1), (3, 1)),
    ((0, 1.5), (1.5, 1.5), (3, 1)),
    ((0.5, 0.5), (1.5, 0.5), (2.5, 0.5), (3.5, 0.5)),
)
_SUSTAINED_PATTERNS: Final = (((0, 4),), ((0, 2), (2, 2)))
_BASS_PATTERNS: Final = (
    # (beat, length, step of the chord: 0 root, 2 fifth, 7 octave in scale degrees)
    ((0, 1, 0), (1, 1, 0), (2, 1, 4), (3, 1, 0)),
    ((0, 1.5, 0), (1.5, 0.5, 0), (2, 1.5, 4), (3.5, 0.5, 2)),
    ((0, 0.5, 0), (1, 0.5, 0), (1.5, 0.5, 0), (2, 0.5, 4), (3, 0.5, 0), (3.5, 0.5, 4)),
    ((0, 2, 0), (2, 1, 4), (3, 1, 2)),
)
_MELODY_RHYTHMS: Final = (
    ((0, 1), (1, 0.5), (1.5, 0.5), (2, 1.5), (3.5, 0.5)),
    ((0, 0.5), (0.5, 0.5), (1, 1), (2, 0.5), (2.5, 0.5), (3, 1)),
    ((0, 1.5), (1.5, 0.5), (2, 2)),
    ((0.5, 0.5), (1, 1), (2.5, 0.5), (3, 1)),
    ((0, 1), (1, 1), (2, 1), (3, 1)),
)
_DRUM_PATTERNS: Final = (
    {KICK: (0, 2), SNARE: (1, 3), CLOSED_HAT: tuple(i / 2 for i in range(8))},
    {KICK: (0, 1, 2, 3), SNARE: (1, 3), CLOSED_HAT: (0.5, 1.5, 2.5, 3.5)},
    {KICK: (0, 1.5, 2), SNARE: (1, 3), CLOSED_HAT: tuple(i / 2 for i in range(8))},
    {KICK: (0, 0.5, 2.5), SNARE: (1, 3), CLOSED_HAT: (0, 1, 1.5, 2, 3, 3.5)},
    {KICK: (0, 2.5), SNARE: (1, 3, 3.5), CLOSED_HAT: tuple(i / 2 for i in range(8))},
)
_CHORD_INSTRUMENTS: Final = (PIANO, PIANO, GUITAR, ORGAN, STRINGS)
_SUSTAINED: Final = (ORGAN, STRINGS)
_MELODY_INSTRUMENTS: Final = (VIOLIN, SAX, LEAD, BRASS, CELESTA, PIANO)
_DRUM_LENGTH_S: Final = 0.1


@dataclass(frozen=True)
class Song:
    """A composed song.

    Attributes
    ----------
    notes : Notes
        The truth: every note's onset lies on the grid of eighths, origin ``"synthetic/band"``.
    bpm : float
    beats_s : np.ndarray, shape (n_beats,), float64
        Beat times in seconds on the sample grid; every fourth is the first beat of a bar.
    duration_s : float
        Length of the whole recording, the silence before the first beat included.
    key : str
        E.g. ``"A minor"``.
    """

    notes: Notes
    bpm: float
    beats_s: npt.NDArray[np.float64]
    duration_s: float
    key: str


@dataclass(frozen=True)
class _Part:
    """Notes in beats from the first beat: columns of equal length."""

    instrument: Instrument
    rows: list[tuple[float, float, int, int]]  # beat, length in beats, pitch, velocity


def compose(rng: np.random.Generator, bpm: float, duration_s: float, start_s: float = 2.0) -> Song:
    """Write a song.

    Parameters
    ----------
    rng : np.random.Generator
        Decides key, progression, patterns, instruments and melody: another seed, another song.
    bpm : float
        Beats per minute, positive.
    duration_s : float
        Length of the recording in seconds; the music fills it from ``start_s`` to the end.
    start_s : float, optional
        Time of the first beat. Default is 2 s, so that sound and motion both start from rest.

    Raises
    ------
    ValueError
        If ``bpm`` is not positive or no beat fits.
    """
    if bpm <= 0 or start_s < 0 or duration_s <= start_s:
        raise ValueError(f"no beat fits: bpm {bpm}, start {start_s} s, duration {duration_s} s")
    beat_s = 60.0 / bpm
    n_beats = int(np.ceil((duration_s - start_s) / beat_s - 1e-9))
    n_bars = -(-n_beats // _BEATS_PER_BAR)

    mode = str(rng.choice(list(_SCALES)))
    tonic = int(rng.integers(12))
    scale = _SCALES[mode]
    progressions = _PROGRESSIONS[mode]
    chords = np.resize(progressions[rng.integers(len(progressions))], n_bars)
    parts = [
        _bass(rng, tonic, scale, chords),
        _chords(rng, tonic, scale, chords),
        _melody(rng, tonic, scale, chords),
        _drums(rng, n_bars),
    ]
    notes = Notes.concat([_timed(part, start_s, beat_s, duration_s) for part in parts]).playable()
    names = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    return Song(
        notes=notes,
        bpm=float(bpm),
        beats_s=snap(start_s + beat_s * np.arange(n_beats)),
        duration_s=float(duration_s),
        key=f"{names[tonic]} {mode}",
    )


def render(song: Song, sample_rate_hz: int) -> npt.NDArray[np.float32]:
    """Play a song: float32 of shape ``(n, 2)``, ``duration_s`` long, peak 0.8."""
    sound = synthesise(song.notes, sample_rate_hz, round(song.duration_s * sample_rate_hz))
    peak = float(np.abs(sound).max(initial=0.0))
    return sound * np.float32(_PEAK / peak) if peak > 0 else sound


def _pitch(tonic: int, scale: tuple[int, ...], degree: int, low: int) -> int:
    """The pitch of a scale degree, counted up from the tonic nearest above ``low``."""
    octave, step = divmod(degree, len(scale))
    base = low + (tonic - low) % 12
    return base + 12 * octave + scale[step]


def _velocity(rng: np.random.Generator, loud: int, beat: float) -> int:
    """Louder on the bar, softer between beats, and never quite the same."""
    accent = 8 if beat == 0 else (0 if beat % 1 == 0 else -8)
    return int(np.clip(loud + accent + rng.integers(-4, 5), 1, 127))


def _bass(
    rng: np.random.Generator, tonic: int, scale: tuple[int, ...], chords: npt.NDArray[np.int64]
) -> _Part:
    pattern = _BASS_PATTERNS[rng.integers(len(_BASS_PATTERNS))]
    rows = []
    for bar, chord in enumerate(chords):
        root = _pitch(tonic, scale, int(chord), 0) % 12
        for beat, length, step in pattern:
            shift = _pitch(tonic, scale, int(chord) + step, 0) - _pitch(tonic, scale, int(chord), 0)
            pitch = 28 + (root - 28) % 12 + shift  # E1, a bass's lowest string, and up
            pitch -= 12 if pitch > 43 else 0
            velocity = _velocity(rng, 92, beat)
            rows.append((bar * _BEATS_PER_BAR + beat, 0.9 * length, max(pitch, 28), velocity))
    return _Part(BASS, rows)


def _chords(
    rng: np.random.Generator, tonic: int, scale: tuple[int, ...], chords: npt.NDArray[np.int64]
) -> _Part:
    instrument = _CHORD_INSTRUMENTS[rng.integers(len(_CHORD_INSTRUMENTS))]
    patterns = _SUSTAINED_PATTERNS if instrument in _SUSTAINED else _CHORD_PATTERNS
    pattern = patterns[rng.integers(len(patterns))]
    rows = []
    for bar, chord in enumerate(chords):
        # Close position around middle C, so that chords lead smoothly into each other.
        pitches = sorted(52 + (_pitch(tonic, scale, int(chord) + step, 0) - 52) % 12 for step in (0, 2, 4))
        for beat, length in pattern:
            velocity = _velocity(rng, 78, beat)
            rows += [(bar * _BEATS_PER_BAR + beat, 0.95 * length, pitch, velocity) for pitch in pitches]
    return _Part(instrument, rows)


def _melody(
    rng: np.random.Generator, tonic: int, scale: tuple[int, ...], chords: npt.NDArray[np.int64]
) -> _Part:
    instrument = _MELODY_INSTRUMENTS[rng.integers(len(_MELODY_INSTRUMENTS))]
    rhythms = [_MELODY_RHYTHMS[i] for i in rng.permutation(len(_MELODY_RHYTHMS))[:2]]
    form = (0, 1, 0, 1)  # two one-bar ideas in turn: a listener hears a phrase, not noise
    rows = []
    degree = 7 + int(rng.choice([0, 2, 4]))
    for bar, chord in enumerate(chords):
        for beat, length in rhythms[form[bar % len(form)]]:
            if beat in (0, 2):  # strong beats take the nearest tone of the chord
                tones = [int(chord) + step + 7 * octave for octave in (0, 1, 2) for step in (0, 2, 4)]
                degree = min(tones, key=lambda tone: (abs(tone - degree), tone))
            else:
                degree += int(rng.choice([-2, -1, -1, 1, 1, 2]))
            degree = int(np.clip(degree, 3, 13))
            velocity = _velocity(rng, 92, beat)
            rows.append(
                (bar * _BEATS_PER_BAR + beat, 0.9 * length, _pitch(tonic, scale, degree, 60), velocity)
            )
    # One octave down where the voice would become shrill.
    top = max((row[2] for row in rows), default=0)
    drop = 12 if top > 84 else 0
    return _Part(instrument, [(beat, length, pitch - drop, vel) for beat, length, pitch, vel in rows])


def _drums(rng: np.random.Generator, n_bars: int) -> _Part:
    pattern = _DRUM_PATTERNS[rng.integers(len(_DRUM_PATTERNS))]
    loud = {KICK: 104, SNARE: 100, CLOSED_HAT: 84}
    rows = [
        (bar * _BEATS_PER_BAR + beat, 0.0, key, _velocity(rng, loud[key], beat))
        for bar in range(n_bars)
        for key, beats in pattern.items()
        for beat in beats
    ]
    return _Part(DRUM, rows)


def _timed(part: _Part, start_s: float, beat_s: float, duration_s: float) -> Notes:
    """A part in seconds, without what would start after the end."""
    rows = np.array(part.rows, dtype=np.float64).reshape(-1, 4)
    onset_s = start_s + rows[:, 0] * beat_s
    rows, onset_s = rows[onset_s < duration_s], onset_s[onset_s < duration_s]
    length_s = _DRUM_LENGTH_S if part.instrument.is_drum else rows[:, 1] * beat_s
    return Notes.create(
        onset_s,
        np.minimum(onset_s + length_s, duration_s),
        rows[:, 2].astype(np.int64),
        rows[:, 3].astype(np.int64),
        part.instrument.program,
        part.instrument.is_drum,
        origin="synthetic/band",
    )
