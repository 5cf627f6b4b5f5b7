"""Random arrangements for training: more kinds of music, worse composed, than `synthetic.band`.

A network that is to hear any band must not learn one band's habits. So instruments, ranges, rhythms,
densities, levels and timing are drawn widely, and one piece in eight is not music at all but notes at
random, which no harmony explains. Test pieces come from `synthetic.band` and from MIDI files, never from here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.music.notes import Notes

DRUM_KITS: Final = (0, 8, 16, 24, 25, 32, 40)
"""Programs of the drum channel that pieces ask for; a soundfont without one plays its standard kit."""

_FAMILY_RANGES: Final = (
    # Lowest and highest pitch per General MIDI family of eight programs.
    (33, 100),  # pianos
    (52, 103),  # celesta, vibraphone, marimba, bells
    (36, 91),  # organs
    (40, 86),  # guitars
    (26, 60),  # basses
    (36, 98),  # solo strings
    (36, 91),  # string ensembles and choirs
    (38, 86),  # brass
    (42, 88),  # reeds
    (58, 103),  # pipes
    (45, 93),  # synth leads
    (40, 88),  # synth pads
    (40, 88),  # synth effects
    (45, 86),  # ethnic
    (50, 96),  # percussive
)
_POPULAR: Final = (0.17, 0.05, 0.07, 0.22, 0.02, 0.06, 0.14, 0.07, 0.06, 0.05, 0.05, 0.04)
"""Roughly how often bands use a family beside the bass. Parts to learn from are drawn half from it, half evenly."""

_SCALES: Final = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 9, 10),
    (0, 2, 4, 5, 7, 9, 10),
)
_DRUM_LENGTH_S: Final = 0.1

Rows = list[tuple[float, float, int, int]]
"""Onset and length in beats, pitch, velocity."""


@dataclass(frozen=True)
class Part:
    """One instrument's notes.

    Attributes
    ----------
    notes : Notes
        All of one program, or all drums.
    kit : int
        Program of the drum channel; 0 for pitched parts.
    level_db : float
        How loud the part is in the mix.
    """

    notes: Notes
    kit: int
    level_db: float


@dataclass(frozen=True)
class _Frame:
    """What parts have in common: time in beats, harmony, and chance."""

    rng: np.random.Generator
    n_beats: int
    scale: tuple[int, ...]
    tonic: int
    chords: npt.NDArray[np.int64]  # degree of the chord at each beat
    sizes: int  # tones of a chord

    def tone(self, degree: int, base: int) -> int:
        """Pitch of a scale degree counted from the tonic nearest above ``base``."""
        octave, step = divmod(degree, len(self.scale))
        return base + (self.tonic - base) % 12 + 12 * octave + self.scale[step]

    def chord(self, beat: float, low: int, n: int) -> list[int]:
        """``n`` tones of the chord at a beat, upwards from ``low``."""
        degree = int(self.chords[min(int(beat), self.n_beats - 1)])
        classes = {(self.tone(degree + 2 * k, 0)) % 12 for k in range(self.sizes)}
        pitches = [pitch for pitch in range(low, low + 37) if pitch % 12 in classes]
        return pitches[:n]

    def rhythm(self) -> list[tuple[float, float]]:
        """Onsets and lengths in beats that fill the piece: one or two bars, repeated with changes."""
        rng = self.rng
        grid = float(rng.choice([0.25, 0.5, 0.5, 1.0, 1 / 3, 2.0]))
        bars = int(rng.choice([1, 2]))
        steps = max(1, round(4 * bars / grid))
        density = rng.uniform(0.3, 0.95)
        mask = rng.random(steps) < density
        mask[0] |= rng.random() < 0.8
        fill = rng.uniform(0.3, 1.05)  # staccato to legato
        onsets: list[float] = []
        for bar in range(0, self.n_beats + 1, 4 * bars):
            if rng.random() < 0.15:
                mask = rng.random(steps) < density
            onsets += [bar + grid * i for i in np.flatnonzero(mask) if bar + grid * i < self.n_beats]
        gaps = np.diff([*onsets, float(self.n_beats)])
        longest = float(rng.choice([1.0, 2.0, 4.0]))
        return [(onset, float(min(gap, longest)) * fill) for onset, gap in zip(onsets, gaps, strict=True)]


def arrange(rng: np.random.Generator, duration_s: float, usual: bool = False) -> list[Part]:
    """A piece of random music.

    Parameters
    ----------
    rng : np.random.Generator
        Decides everything.
    duration_s : float
        Length of the recording; notes may be cut by its end.
    usual : bool
        Whether instruments are as common as in bands, and nothing is played at random.

    Returns
    -------
    list of Part
        One to nine; drums in three pieces of four.
    """
    bpm = float(np.exp(rng.uniform(np.log(60), np.log(180))))
    n_beats = int(duration_s * bpm / 60) + 1
    scale = _SCALES[rng.integers(len(_SCALES))]
    hold = int(rng.choice([1, 2, 4, 4, 8]))
    degrees = np.repeat(rng.integers(0, 7, n_beats // hold + 1), hold)[:n_beats]
    loop = int(rng.choice([8, 16, 32]))
    frame = _Frame(
        rng,
        n_beats,
        scale,
        int(rng.integers(12)),
        np.resize(degrees[:loop], n_beats),
        int(rng.choice([3, 3, 4, 5])),
    )
    parts: list[tuple[int, Rows]] = []
    even = 0.0 if usual else 0.5
    if rng.random() < 0.125 and not usual:
        for _ in range(int(rng.integers(1, 6))):
            family = _family(rng, even)
            parts.append((_program(rng, family), _scattered(frame, *_FAMILY_RANGES[family])))
    else:
        if rng.random() < 0.8:
            family = 4 if rng.random() < 0.92 else _family(rng, even)
            parts.append((_program(rng, family), _bass(frame)))
        kinds: Sequence[Callable[[_Frame, int, int], Rows]] = (
            _melody,
            _melody,
            _block,
            _block,
            _arpeggio,
            _sustained,
        )
        for _ in range(int(rng.choice([0, 1, 2, 3, 4, 5], p=[0.03, 0.17, 0.25, 0.27, 0.18, 0.1]))):
            family = _family(rng, even)
            rows = kinds[rng.integers(len(kinds))](frame, *_FAMILY_RANGES[family])
            parts.append((_program(rng, family), rows))
            if rng.random() < 0.12:  # another instrument plays along
                step = int(rng.choice([-12, 0, 0, 12]))
                doubled = [(on, length, pitch + step, vel) for on, length, pitch, vel in rows]
                parts.append((_program(rng, _family(rng, even)), doubled))
    late = rng.uniform(0.0, 0.012)
    swing = rng.uniform(0.0, 0.16) if rng.random() < 0.2 else 0.0
    made = [
        Part(_timed(rng, rows, bpm, duration_s, late, swing, program), 0, float(rng.uniform(-14, 0)))
        for program, rows in parts
    ]
    if rng.random() < 0.75:
        drums = _timed(rng, _drums(frame), bpm, duration_s, late, swing, None)
        made.append(Part(drums, int(rng.choice(DRUM_KITS)), float(rng.uniform(-8, 4))))
    return [part for part in made if len(part.notes)]


def _family(rng: np.random.Generator, even: float) -> int:
    """A family, in a share of ``even`` cases whatever bands use."""
    if rng.random() < 0.04:
        return int(rng.integers(12, 15))
    if rng.random() < 1 - even:
        return int(rng.choice(12, p=np.array(_POPULAR) / sum(_POPULAR)))
    return int(rng.integers(12))


def _program(rng: np.random.Generator, family: int) -> int:
    return 8 * family + int(rng.integers(8))


def _velocity(rng: np.random.Generator, loud: float, spread: float) -> int:
    return int(np.clip(loud + spread * rng.standard_normal(), 20, 127))


def _within(pitch: int, low: int, high: int) -> int:
    """The pitch moved by octaves into a range of at least an octave."""
    while pitch < low:
        pitch += 12
    while pitch > high:
        pitch -= 12
    return pitch


def _bass(frame: _Frame) -> Rows:
    rng, rows = frame.rng, []
    low, walks, loud = int(rng.integers(26, 36)), rng.random() < 0.3, rng.uniform(70, 115)
    steps = [0, 0, 0, 4, 7] if not walks else [0, 1, 2, 3, 4, 5, 6]
    for onset, length in frame.rhythm():
        degree = int(frame.chords[min(int(onset), frame.n_beats - 1)]) + int(rng.choice(steps))
        pitch = _within(frame.tone(degree, 24), low, low + 19)
        rows.append((onset, length, pitch, _velocity(rng, loud, 6)))
    return rows


def _block(frame: _Frame, low: int, high: int) -> Rows:
    rng, rows = frame.rng, []
    start = int(rng.integers(low, max(low + 1, high - 24)))
    n, loud, strum = (
        int(rng.integers(2, 6)),
        rng.uniform(55, 105),
        rng.uniform(0, 0.05) * (rng.random() < 0.3),
    )
    for onset, length in frame.rhythm():
        for k, pitch in enumerate(frame.chord(onset, start, n)):
            rows.append((onset + k * strum, length, pitch, _velocity(rng, loud, 5)))
    return rows


def _arpeggio(frame: _Frame, low: int, high: int) -> Rows:
    rng, rows = frame.rng, []
    start, n = int(rng.integers(low, max(low + 1, high - 24))), int(rng.integers(3, 7))
    loud, order = rng.uniform(55, 105), rng.permutation(n) if rng.random() < 0.5 else np.arange(n)
    rings = rng.uniform(0.8, 4.0)
    for i, (onset, length) in enumerate(frame.rhythm()):
        pitches = frame.chord(onset, start, n)
        rows.append((onset, length * rings, pitches[order[i % n] % len(pitches)], _velocity(rng, loud, 7)))
    return rows


def _sustained(frame: _Frame, low: int, high: int) -> Rows:
    rng, rows = frame.rng, []
    start, n = int(rng.integers(low, max(low + 1, high - 24))), int(rng.integers(1, 5))
    loud, hold = rng.uniform(50, 100), int(rng.choice([2, 4, 4, 8]))
    for beat in range(0, frame.n_beats, hold):
        for pitch in frame.chord(beat, start, n):
            rows.append((float(beat), hold * rng.uniform(0.85, 1.0), pitch, _velocity(rng, loud, 5)))
    return rows


def _melody(frame: _Frame, low: int, high: int) -> Rows:
    rng, rows = frame.rng, []
    centre, loud = int(rng.integers(low + 6, max(low + 7, high - 6))), rng.uniform(65, 118)
    degree = 0
    rests = rng.random(frame.n_beats // 4 + 1) < rng.uniform(0, 0.4)
    chromatic = rng.uniform(0, 0.1)
    for onset, length in frame.rhythm():
        degree += int(rng.choice([-4, -2, -1, -1, 0, 1, 1, 2, 4]))
        degree = int(np.clip(degree, -6, 6))
        if rests[int(onset) // 4]:
            continue
        pitch = frame.tone(degree, centre) + int(rng.random() < chromatic)
        rows.append((onset, length, _within(pitch, low, high), _velocity(rng, loud, 8)))
    return rows


def _scattered(frame: _Frame, low: int, high: int) -> Rows:
    rng = frame.rng
    n = int(frame.n_beats * rng.uniform(0.3, 3.0)) + 1
    onset = np.sort(rng.uniform(0, frame.n_beats, n))
    length = np.exp(rng.uniform(np.log(0.1), np.log(4.0), n))
    pitch = rng.integers(low, high + 1, n)
    velocity = rng.integers(35, 125, n)
    return [
        (float(a), float(b), int(c), int(d))
        for a, b, c, d in zip(onset, length, pitch, velocity, strict=True)
    ]


def _drums(frame: _Frame) -> Rows:
    """A pattern of a bar in sixteenths or triplets, with fills, accents and ghost notes."""
    rng, rows = frame.rng, []
    steps = int(rng.choice([8, 16, 16, 16, 12]))
    hat = int(rng.choice([42, 42, 42, 44, 46, 51, 59]))
    keys = {
        int(rng.choice([35, 36, 36])): _hits(rng, steps, (0, steps // 2), rng.uniform(0.05, 0.3)),
        int(rng.choice([38, 38, 40, 37, 39])): _hits(
            rng, steps, (steps // 4, 3 * steps // 4), rng.uniform(0.0, 0.2)
        ),
        hat: np.arange(steps) % int(rng.choice([1, 2, 2, 4])) == int(rng.random() < 0.2),
    }
    if hat == 42 and rng.random() < 0.5:
        keys[46] = rng.random(steps) < 0.08
    if rng.random() < 0.4:  # percussion of some kind
        for key in rng.choice(
            [37, 39, 54, 56, 60, 61, 62, 63, 64, 69, 70, 75, 76, 82], int(rng.integers(1, 4)), replace=False
        ):
            keys[int(key)] = rng.random(steps) < rng.uniform(0.1, 0.5)
    for name in list(keys):
        if rng.random() < 0.06:
            del keys[name]
    loud = {key: rng.uniform(60, 120) for key in keys}
    spread = rng.uniform(2, 16)
    fills = rng.uniform(0, 0.3)
    for bar in range(0, frame.n_beats, 4):
        fill = rng.random() < fills
        for key, hits in keys.items():
            for i in np.flatnonzero(hits):
                if fill and i >= steps // 2 and key != 36:
                    continue
                if rng.random() < 0.97:
                    rows.append((bar + 4 * i / steps, 0.25, key, _velocity(rng, loud[key], spread)))
        if fill:
            for i in range(steps // 2, steps):
                if rng.random() < 0.7:
                    rows.append(
                        (
                            bar + 4 * i / steps,
                            0.25,
                            int(rng.choice([38, 41, 43, 45, 47, 48, 50])),
                            _velocity(rng, 100, 12),
                        )
                    )
        if rng.random() < 0.25:
            rows.append((float(bar), 0.25, int(rng.choice([49, 49, 57, 52, 55])), _velocity(rng, 105, 10)))
    return rows


def _hits(rng: np.random.Generator, steps: int, usual: tuple[int, ...], more: float) -> npt.NDArray[np.bool_]:
    hits = rng.random(steps) < more
    hits[list(usual)] |= rng.random(len(usual)) < 0.85
    return np.asarray(hits)


def _timed(
    rng: np.random.Generator,
    rows: Rows,
    bpm: float,
    duration_s: float,
    late_s: float,
    swing: float,
    program: int | None,
) -> Notes:
    """Rows as notes in seconds, played by people; drums where ``program`` is None."""
    if not rows:
        return Notes.empty()
    table = np.array(rows, dtype=np.float64)
    beat = table[:, 0] + swing * (np.abs(table[:, 0] % 1 - 0.5) < 0.01)
    onset_s = np.maximum(beat * 60 / bpm + late_s * rng.standard_normal(len(table)), 0.0)
    keep = (onset_s < duration_s - 0.05) & (table[:, 2] >= 21) & (table[:, 2] <= 108)
    table, onset_s = table[keep], onset_s[keep]
    length_s = np.maximum(table[:, 1] * 60 / bpm, 0.05) if program is not None else _DRUM_LENGTH_S
    return Notes.create(
        onset_s,
        np.minimum(onset_s + length_s, duration_s),
        table[:, 2].astype(np.int64),
        table[:, 3].astype(np.int64),
        program if program is not None else 0,
        program is None,
        origin="synthetic/arrangement",
    ).playable()
