"""Pieces whose beats are known: composed in many metres, feels and tempi, and General MIDI songs.

`synthetic.band` knows four beats to the bar, straight eighths and a constant tempo. Beats are lost elsewhere: in
waltzes, shuffles, half-time drums, syncopation, players who are not machines, and tempi that drift or change.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from d2midi_build.music.notes import Notes
from d2midi_build.synthetic.band import compose

SECONDS = 40.0
FAMILIES = ("steady", "drift", "change")
EXCERPT_FROM_S = 20.0
"""General MIDI songs are heard from here on, and in their middle: beginnings are often free of the rhythm section."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Notes with their beats.

    ``beats_s`` and ``downbeats_s`` are seconds; ``kind`` names the collection, ``drums`` says whether it has any.
    """

    name: str
    kind: str
    notes: Notes
    beats_s: npt.NDArray[np.float64]
    downbeats_s: npt.NDArray[np.float64]
    duration_s: float

    def without_drums(self) -> Piece:
        """The same with its pitched notes alone."""
        return replace(self, name=f"{self.name} -drums", notes=self.notes.pitched())

    @property
    def drums(self) -> bool:
        """Whether drums play."""
        return bool(self.notes.is_drum.any())


def band_piece(seed: int) -> Piece:
    """A song of the synthetic band at 70 to 160 bpm."""
    rng = np.random.default_rng(seed)
    song = compose(rng, float(rng.uniform(70, 160)), SECONDS, start_s=float(rng.uniform(0.2, 2.0)))
    return Piece(f"band {seed}", "band", song.notes, song.beats_s, song.beats_s[::4], SECONDS)


# Per bar of four: (kick, snare, hat), in beats. Half-time, disco, rock, funk, breaks, train beat, ride, one drop.
_EIGHTHS = tuple(i / 2 for i in range(8))
_SIXTEENTHS = tuple(i / 4 for i in range(16))
_FOUR = (
    ((0, 2), (1, 3), _EIGHTHS),
    ((0, 1, 2, 3), (1, 3), (0.5, 1.5, 2.5, 3.5)),
    ((0, 1, 2, 3), (), (0.5, 1.5, 2.5, 3.5)),
    ((0, 1.75, 2.5), (1, 3), _SIXTEENTHS),
    ((0, 0.75, 2.5), (1, 3, 3.75), _EIGHTHS),
    ((0, 2.5), (2,), _EIGHTHS),
    ((0, 1.5), (2,), _SIXTEENTHS),
    ((0, 1.5, 3), (1, 3), _EIGHTHS),
    ((0, 0.5, 2.5), (1, 1.75, 2.25, 3), _EIGHTHS),
    ((0, 2), (1, 3), (0, 1, 2, 3)),
    ((2,), (2,), _EIGHTHS),
    ((0, 1.5, 2), (1, 3), (0, 1, 1.5, 2, 3, 3.5)),
    ((), (1, 3), (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5)),
    ((0, 3.5), (1, 3), _SIXTEENTHS),
)
_THREE = (((0,), (1, 2), (0, 1, 2)), ((0,), (2,), (0, 0.5, 1, 1.5, 2, 2.5)), ((0, 1.5), (1, 2), ()))
_COMPING = {
    4: (((0, 4),), ((0, 2), (2, 2)), ((0, 1), (1, 1), (2, 1), (3, 1)), ((0, 1.5), (1.5, 1.5), (3, 1)),
        ((0.5, 0.5), (1.5, 0.5), (2.5, 0.5), (3.5, 0.5)), tuple((i / 2, 0.5) for i in range(8)),
        ((0, 0.75), (0.75, 0.75), (1.5, 1), (2.5, 1), (3.5, 0.5)), ((1, 0.5), (3, 0.5))),
    3: (((0, 3),), ((1, 1), (2, 1)), ((0, 1), (1, 1), (2, 1)), tuple((i / 2, 0.5) for i in range(6))),
}  # fmt: skip
_BASSES = {
    4: (((0, 4),), ((0, 2), (2, 2)), ((0, 1), (1, 1), (2, 1), (3, 1)), ((0, 1.5), (1.5, 0.5), (2, 1.5), (3.5, 0.5)),
        tuple((i / 2, 0.5) for i in range(8)), ((0, 0.75), (0.75, 0.75), (1.5, 2.5)), ((0, 1), (2.5, 0.5), (3, 1))),
    3: (((0, 3),), ((0, 1), (2, 1)), ((0, 1), (1, 1), (2, 1))),
}  # fmt: skip
_CHORD_PROGRAMS = (0, 4, 16, 24, 26, 29, 48, 88)
_MELODY_PROGRAMS = (0, 40, 56, 64, 72, 73, 80, 8, 11)
_SHUFFLE = {0.25: 0.25, 0.5: 2 / 3, 0.75: 0.83}


def varied_piece(seed: int) -> Piece:
    """A piece of another kind per seed: metre, feel, tempo, drums, density and players' freedom are drawn."""
    rng = np.random.default_rng([seed, 77])
    metre = 3 if rng.random() < 0.15 else 4
    bpm = float(np.clip(rng.lognormal(np.log(112), 0.28), 60, 190))
    family = str(rng.choice(FAMILIES, p=[0.6, 0.25, 0.15]))
    start_s = float(rng.uniform(0.1, 1.5))
    n_beats = int(SECONDS * bpm * 1.4 / 60)
    n_bars = n_beats // metre + 1
    beat_time = _tempo_map(rng, family, bpm, n_bars * metre + 1, start_s)
    shuffle = rng.random() < 0.15
    jitter_s = float(rng.choice([0.0, 0.005, 0.012]))
    scale = (0, 2, 4, 5, 7, 9, 11) if rng.random() < 0.5 else (0, 2, 3, 5, 7, 8, 10)
    tonic = int(rng.integers(12))
    loop = [int(degree) for degree in rng.integers(0, 7, int(rng.choice([2, 4, 4, 8])))]
    bars_per_chord = int(rng.choice([1, 1, 1, 2]))
    drums = (_FOUR if metre == 4 else _THREE)[int(rng.integers(len(_FOUR if metre == 4 else _THREE)))]
    comping = _COMPING[metre][int(rng.integers(len(_COMPING[metre])))]
    bass = _BASSES[metre][int(rng.integers(len(_BASSES[metre])))]
    chord_program, melody_program = int(rng.choice(_CHORD_PROGRAMS)), int(rng.choice(_MELODY_PROGRAMS))
    has_bass, has_melody, has_chords = rng.random() < 0.9, rng.random() < 0.8, rng.random() < 0.9
    cells = [_melody_cell(rng, metre) for _ in range(3)]
    rows: list[tuple[float, float, int, int, int, bool]] = []  # beat, length, pitch, velocity, program, drum

    def pitch(degree: int, low: int) -> int:
        octave, step = divmod(degree, 7)
        return low + (tonic - low) % 12 + 12 * octave + scale[step]

    tone = 8
    for bar in range(n_bars):
        first, chord = bar * metre, loop[bar // bars_per_chord % len(loop)]
        if has_bass or not has_chords:
            rows += [(first + b, 0.9 * n, pitch(chord, 28), 95, 33, False) for b, n in bass]
        if has_chords:
            rows += [
                (first + b, 0.9 * n, pitch(chord + step, 52), 78, chord_program, False)
                for b, n in comping
                for step in (0, 2, 4)
            ]
        if has_melody:
            for b, n in cells[(0, 1, 0, 2)[bar % 4]]:
                tone = int(np.clip(tone + rng.integers(-2, 3), 3, 14))
                rows.append((first + b, 0.9 * n, pitch(tone, 60), 92, melody_program, False))
        for key, beats, velocity in zip((36, 38, 42), drums, (108, 102, 80), strict=True):
            rows += [(first + b, 0.2, key, velocity - 12 * (b % 1 != 0), 0, True) for b in beats]
        if bar % 8 == 7:
            rows += [(first + metre - 1 + b, 0.2, 45, 96, 0, True) for b in (0, 0.25, 0.5, 0.75)]
        if bar % 8 == 0:
            rows.append((first, 1.0, 49, 100, 0, True))

    beat = np.array([row[0] for row in rows])
    if shuffle:
        beat = np.floor(beat) + np.array([_SHUFFLE.get(round(float(part), 2), part) for part in beat % 1])
    onset_s = beat_time(beat) + rng.normal(0, jitter_s or 1e-9, len(beat))
    length_s = beat_time(beat + np.array([row[1] for row in rows])) - beat_time(beat)
    keep = (onset_s >= 0) & (onset_s < SECONDS - 0.1)
    columns = [np.array([row[i] for row in rows])[keep] for i in (2, 3, 4, 5)]
    velocity = np.clip(columns[1] + rng.integers(-8, 9, int(keep.sum())), 1, 127)
    notes = Notes.create(
        onset_s[keep], np.minimum(onset_s + length_s, SECONDS)[keep], np.clip(columns[0], 0, 127), velocity,
        columns[2], columns[3],
    ).playable()  # fmt: skip
    beats_s = beat_time(np.arange(n_bars * metre, dtype=np.float64))
    inside = beats_s < SECONDS
    name = f"varied {seed} {family} {metre}/4{' shuffle' if shuffle else ''} {bpm:.0f}"
    return Piece(name, "varied", notes, beats_s[inside], beats_s[::metre][inside[::metre]], SECONDS)


def _melody_cell(rng: np.random.Generator, metre: int) -> list[tuple[float, float]]:
    """One bar's rhythm: strong places are likelier."""
    weights = {0.0: 0.75, 0.5: 0.4, 0.25: 0.08, 0.75: 0.12}
    starts = [i / 4 for i in range(4 * metre) if rng.random() < weights[i / 4 % 1]] or [0.0]
    return [(b, n - b) for b, n in zip(starts, [*starts[1:], float(metre)], strict=True)]


class _TempoMap:
    """Seconds of a beat number, fractions between beats linear."""

    def __init__(self, times_s: npt.NDArray[np.float64]) -> None:
        self._times_s = times_s

    def __call__(self, beat: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(np.interp(beat, np.arange(len(self._times_s)), self._times_s))


def _tempo_map(rng: np.random.Generator, family: str, bpm: float, n: int, start_s: float) -> _TempoMap:
    """Steady; drifting by up to 5 %; or changing once by 10 to 30 %."""
    local = np.full(n, bpm)
    if family == "drift":
        place = np.arange(n) / n
        local *= 1 + 0.05 * np.sin(2 * np.pi * (place * rng.uniform(0.7, 3) + rng.random()))
    if family == "change":
        at = int(n / 1.4 * rng.uniform(0.35, 0.65))
        local[at:] *= float(rng.choice([0.75, 0.85, 1.12, 1.3]))
    return _TempoMap(start_s + np.concatenate([[0.0], np.cumsum(60.0 / local)[:-1]]))


def misheard(notes: Notes, rng: np.random.Generator) -> Notes:
    """Notes as a transcriber might hear them: some missed, late or short, some that never were, with probabilities."""
    missed, wrong, drums_missed = rng.uniform(0, 0.35), rng.uniform(0, 0.35), rng.uniform(0, 0.3)
    dropped = rng.random(len(notes)) < np.where(notes.is_drum, drums_missed, missed)
    for keys in ((35, 36), (37, 38, 39, 40), (42, 44, 46)):
        if rng.random() < 0.07:
            dropped |= notes.is_drum & np.isin(notes.pitch, keys)
    heard = notes.where(~dropped)
    n = len(heard)
    onset_s = np.maximum(heard.onset_s + rng.normal(0, rng.uniform(0, 0.018), n), 0)
    length_s = (heard.offset_s - heard.onset_s) * rng.uniform(0.3, 1.1, n)
    # Ghosts: half of them an octave or a fifth beside a note, at its time; the others anywhere.
    n_ghosts = rng.binomial(n, wrong)
    source = rng.integers(0, max(n, 1), n_ghosts)
    anywhere = rng.random(n_ghosts) < 0.5
    end_s = float(notes.offset_s.max()) if len(notes) else 1.0
    ghost_s = np.where(anywhere, rng.uniform(0, end_s, n_ghosts), onset_s[source] if n else 0.0)
    ghost_pitch = heard.pitch[source] + np.where(
        heard.is_drum[source], 0, rng.choice([-12, 12, 19, 7], n_ghosts)
    )
    trust = rng.uniform(1, 6)
    return Notes.create(
        np.concatenate([onset_s, ghost_s]),
        np.concatenate([onset_s + length_s + 0.03, ghost_s + rng.uniform(0.05, 0.5, n_ghosts)]),
        np.clip(np.concatenate([heard.pitch, ghost_pitch]), 0, 127),
        np.concatenate([heard.velocity, heard.velocity[source]]),
        np.concatenate([heard.program, heard.program[source]]),
        np.concatenate([heard.is_drum, heard.is_drum[source]]),
        p_note=np.concatenate([rng.beta(trust + 1, 1.2, n), rng.beta(2, trust, n_ghosts)]),
    ).sorted()


PULSELESS = ("poisson", "rubato", "pads", "shots")


def pulseless_piece(seed: int) -> Piece:
    """Music without beats: onsets of a Poisson process, every interval another, long sounds, or random drums."""
    rng = np.random.default_rng([seed, 99])
    kind = PULSELESS[seed % len(PULSELESS)]
    program = int(rng.choice(_CHORD_PROGRAMS))
    rate = {"pads": 0.4}.get(kind, float(rng.uniform(1, 7)))
    n = round(SECONDS * rate * 1.5) + 5
    if kind == "rubato":
        gaps = 1 / rate * np.exp(rng.normal(0, rng.uniform(0.25, 0.6), n)) * rng.choice([1, 1, 2, 0.5], n)
    else:
        gaps = rng.exponential(1 / rate, n)
    onset_s = 0.2 + np.cumsum(gaps)
    length = 1.2 if kind != "pads" else 6.0
    voices = int(rng.integers(1, 4))
    pitch = rng.integers(38, 84, (voices, n))
    drum = np.full(n, kind == "shots") | (rng.random(n) < float(rng.choice([0.0, 0.3])))
    pitch[:, drum] = rng.choice([36, 38, 42], int(drum.sum()))
    keep = onset_s < SECONDS - 0.2
    column = np.tile(keep, voices)
    onsets = np.tile(onset_s, voices)[column]
    notes = Notes.create(
        onsets, np.minimum(onsets + rng.uniform(0.2, length, len(onsets)), SECONDS), pitch.ravel()[column],
        rng.integers(60, 110, len(onsets)), program, np.tile(drum, voices)[column],
    ).playable()  # fmt: skip
    return Piece(f"{kind} {seed}", "pulseless", notes, np.empty(0), np.empty(0), SECONDS)


def midi_pieces(folder: Path) -> tuple[list[Piece], dict[str, str]]:
    """General MIDI songs below a folder with a credible tempo map, and why the others were left out.

    A file is used if it is readable, has 200 notes and 60 s, drums and a pitched part, only metres over 4 (where
    pretty_midi's beat is the quarter), at least 85 % of its onsets within 15 ms of a quarter's fourths or sixths, and
    a quarter of them on its beats (a sixth would be by chance).
    """
    found: list[Piece] = []
    left_out: dict[str, str] = {}
    for path in sorted(folder.rglob("*.mid")):
        pieces = _excerpts(path)
        if isinstance(pieces, str):
            left_out[path.name] = pieces
        else:
            found += pieces
    return found, left_out


def _excerpts(path: Path) -> list[Piece] | str:
    import pretty_midi

    from d2midi_build.errors import PermanentError
    from d2midi_build.music.midi import read_midi

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            midi = pretty_midi.PrettyMIDI(str(path))
        notes = read_midi(path)
    except (PermanentError, OSError, ValueError, KeyError, EOFError, IndexError) as error:
        return f"unreadable ({type(error).__name__})"
    if len(notes) < 200 or notes.onset_s.max() < 60:
        return "fewer than 200 notes or 60 s"
    if not notes.is_drum.any() or notes.is_drum.all():
        return "no drums, or nothing else"
    if any(signature.denominator != 4 for signature in midi.time_signature_changes):
        return "a metre not over 4"
    onset_s = np.sort(notes.onset_s)
    beat = np.array([midi.time_to_tick(time_s) for time_s in onset_s]) / midi.resolution
    beats_s, downbeats_s = midi.get_beats(), midi.get_downbeats()
    beat_s = float(np.median(np.diff(beats_s)))
    off = np.minimum(*(np.abs(beat * parts - np.round(beat * parts)) / parts for parts in (4, 6)))
    if (on_grid := float(np.mean(off * beat_s <= 0.015))) < 0.85:
        return f"only {on_grid:.0%} of the onsets on the grid"
    if (on_beats := float(np.mean(np.abs(beat - np.round(beat)) <= 1 / 12))) < 0.25:
        return f"only {on_beats:.0%} of the onsets on the beats"
    middle_s = (float(notes.onset_s.max()) - SECONDS) / 2
    return [
        Piece(
            f"{path.stem} {start_s:.0f}s",
            "midi",
            notes.starting_in(start_s, start_s + SECONDS).shifted(-start_s).playable(),
            beats_s[(beats_s >= start_s) & (beats_s < start_s + SECONDS)] - start_s,
            downbeats_s[(downbeats_s >= start_s) & (downbeats_s < start_s + SECONDS)] - start_s,
            SECONDS,
        )
        for start_s in (EXCERPT_FROM_S, middle_s)
    ]
