"""From the networks' answers to notes: peaks, ends, instruments, and how likely each of them is.

`note_peaks` finds everything that might be a note, the second network judges it (`Candidates`), `Calibration` says
how likely it is one and which instruments play it, `notes_of` keeps what is likelier than a threshold. The numbers of
the calibration are fitted on a soundfont the networks were not trained on, those of instruments on the training ones
too (``d2midi models train-embedded``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.music.instruments import DRUM_CLASSES, INSTRUMENTS, instrument_named
from d2midi_build.music.notes import Notes
from d2midi_build.transcribers.embedded.features import DRUM_HOP, FRAME_S, LOWEST_PITCH, RATE_HZ

Floats = npt.NDArray[np.float32]

INSTRUMENT_CLASSES: Final = tuple(instrument.name for instrument in INSTRUMENTS if not instrument.is_drum)
"""Names of the twelve pitched instruments, in the order of the network's outputs."""

CHUNK_FRAMES: Final = 512
"""The network's input is 11.9 s long, in training and in use."""

FRAMES_PER_STEP: Final = 2
"""Instruments are answered per step of two frames."""

NOTE_SPREAD: Final = 1.5
DRUM_SPREAD: Final = 2.0
"""Onset targets are triangles of this half width (frames; half frames for drums), so that the values beside a peak
say where between two frames the onset lies (as Kong et al., 2021, have it)."""

DRUM_NAMES: Final = tuple(DRUM_CLASSES)
DRUM_KEYS: Final = tuple(keys[0] for keys in DRUM_CLASSES.values())
"""Kick, snare, hat, tom and cymbal in the order of the network's outputs, and the percussion key written for each."""

_LEAST_NOTE: Final = 0.12
_LEAST_HIT: Final = 0.05
"""Weaker peaks are not looked at."""

_DRUM_LENGTH_S: Final = 0.1
_LEAST_LENGTH_S: Final = 0.05
_VELOCITY: Final = 80
"""Velocity of the median note of an instrument in a recording."""


def drum_class(key: int) -> int:
    """The class of a General MIDI percussion key, as an index into `DRUM_NAMES`; -1 for none."""
    return next((place for place, keys in enumerate(DRUM_CLASSES.values()) if key in keys), -1)


@dataclass(frozen=True)
class Peaks:
    """Where onsets are heard in a chunk: columns of shape (n,).

    Attributes
    ----------
    k, row : int64
        Frame of the chunk, and pitch counted from `LOWEST_PITCH`.
    at : float64
        The onset, in frames with fractions.
    strength : float32
        0-1: the onset activation summed over its peak, relative to a certain onset's.
    """

    k: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    at: npt.NDArray[np.float64]
    strength: Floats


@dataclass(frozen=True)
class Candidates:
    """What might be notes: columns of shape (n,), but ``instruments`` of shape (n, 12).

    Attributes
    ----------
    frame : float64
        Onset, in frames with fractions.
    pitch : int64
        MIDI pitch.
    level : float32
        Log magnitude at the pitch after the onset, in bels of amplitude.
    likely : float32
        0-1: how much the second network takes it for a note.
    instruments : float32
        0-1: how much it takes each instrument to play it; several may.
    """

    frame: npt.NDArray[np.float64]
    pitch: npt.NDArray[np.int64]
    level: Floats
    likely: Floats
    instruments: Floats

    @classmethod
    def join(cls, parts: Sequence[Candidates]) -> Candidates:
        """All candidates of several chunks."""
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})


@dataclass(frozen=True)
class Hits:
    """What might be drum hits: columns of shape (n,).

    Attributes
    ----------
    half : float64
        Onset in half frames with fractions.
    drum : int64
        Index into `DRUM_NAMES`.
    strength, level : float32
        As in `Peaks` and `Candidates`.
    """

    half: npt.NDArray[np.float64]
    drum: npt.NDArray[np.int64]
    strength: Floats
    level: Floats

    @classmethod
    def join(cls, parts: Sequence[Hits]) -> Hits:
        """All hits of several chunks."""
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})


def note_peaks(onset: Floats, first: int, end: int) -> Peaks:
    """Peaks of onset activation, shape (frames, pitches), in frames ``first`` to ``end`` of a chunk."""
    k, row, strength, at = _peaks(onset, NOTE_SPREAD, _LEAST_NOTE, first, end)
    return Peaks(k, row, at, strength)


def hits(activation: Floats, level: Floats, first: int, end: int) -> Hits:
    """Peaks of drum activation in half frames ``first`` to ``end``; ``level`` has the same shape (halves, drums)."""
    k, drum, strength, at = _peaks(activation, DRUM_SPREAD, _LEAST_HIT, first, end)
    after = np.clip(k + np.arange(0, 4)[:, None], 0, len(level) - 1)
    return Hits(at, drum, strength, level[after, drum].max(axis=0))


def _peaks(
    values: Floats, spread: float, least: float, first: int, end: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats, npt.NDArray[np.float64]]:
    """Row, column, strength and exact place of the local maxima in rows ``first`` to ``end``."""
    reach = int(np.ceil(spread))
    padded = np.pad(values, ((reach, reach), (0, 0)))
    around = np.stack([padded[i : i + len(values)] for i in range(2 * reach + 1)])
    here = around[reach]
    peak = (here > around[reach - 1]) & (here >= around[reach + 1]) & (here >= around.max(axis=0))
    strength = around.sum(axis=0) / spread
    peak &= strength > least
    peak[:first] = peak[end:] = False
    k, column = np.nonzero(peak)
    near = around[:, k, column]
    at = k + (near * np.arange(-reach, reach + 1)[:, None]).sum(axis=0) / near.sum(axis=0)
    return k, column, np.minimum(strength[k, column], 1.0), at.astype(np.float64)


@dataclass(frozen=True)
class Calibration:
    """Logistic rules from what the network says to probabilities, and the thresholds that scored best.

    Attributes
    ----------
    note : list of float
        Weight of the logit of ``likely``, and the bias.
    drums : list of list of float
        Weight of the logit of strength, and bias, per drum class.
    instrument : list of float
        Weights of the logit of the instrument's own answer and of the best other one's, and the bias.
    usual : float
        How much an instrument that is often heard in the recording is preferred (exponent, 0 for not at all).
    least_note, least_instrument : float
        Notes below this probability are left out; further instruments of a note below the other.
    least_drums : list of float
        The same per drum class.
    sustain : float
        A note ends where its frame activation falls below this.
    """

    note: list[float]
    drums: list[list[float]]
    instrument: list[float]
    usual: float
    least_note: float
    least_instrument: float
    least_drums: list[float]
    sustain: float

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read it."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def p_note(self, found: Candidates) -> Floats:
        """How likely each candidate is a note."""
        weight, bias = self.note
        return _sigmoid(weight * logit(found.likely) + bias)

    def p_hit(self, found: Hits) -> Floats:
        """How likely each hit is one."""
        weight, bias = np.array(self.drums).reshape(-1, 2)[found.drum].T
        return _sigmoid(weight * logit(found.strength) + bias)

    def heard(self, found: Candidates, p_note: Floats) -> Floats:
        """``found.instruments`` with instruments of the whole recording preferred, shape (n, 12)."""
        if not len(found.frame) or not self.usual:
            return found.instruments
        share = np.full(len(INSTRUMENT_CLASSES), 1.0)
        for _ in range(5):
            told = found.instruments * share
            told = told / (told.sum(axis=1, keepdims=True) + 1e-9) * p_note[:, None]
            mass = told.sum(axis=0) + 0.5
            share = (mass / mass.max()) ** self.usual
        odds = np.exp(logit(found.instruments)) * share
        return np.asarray(odds / (1 + odds), dtype=np.float32)

    def p_instrument(self, heard: Floats) -> Floats:
        """How likely each instrument plays the note, shape (n, 12)."""
        own, rival, bias = self.instrument
        return _sigmoid(own * logit(heard) + rival * logit(rivals(heard)) + bias)

    def chosen(self, found: Candidates, p_note: Floats) -> tuple[npt.NDArray[np.bool_], Floats]:
        """Which instruments play which candidates, and how likely each does; both of shape (n, 12).

        Of a candidate that is likely enough a note, the likeliest instrument plays, and others as
        likely as `least_instrument`.
        """
        heard = self.heard(found, p_note)
        p = self.p_instrument(heard)
        plays = p >= self.least_instrument
        if len(heard):
            plays[np.arange(len(heard)), heard.argmax(axis=1)] = True
        return plays & (p_note >= self.least_note)[:, None], p


def rivals(heard: Floats) -> Floats:
    """Of each instrument the answer of the best other one, shape (n, 12) as ``heard``."""
    ranked = np.sort(heard, axis=1)
    return np.where(heard == ranked[:, -1:], ranked[:, -2:-1], ranked[:, -1:])


def logit(p: Floats) -> npt.NDArray[np.float64]:
    """Log odds, kept finite."""
    inside = np.clip(p.astype(np.float64), 1e-4, 1 - 1e-4)
    return np.log(inside / (1 - inside))


def _sigmoid(x: npt.NDArray[np.float64]) -> Floats:
    return (1 / (1 + np.exp(-x))).astype(np.float32)


def notes_of(
    found: Candidates, drums: Hits, frame: npt.NDArray[np.float16], calibration: Calibration, end_s: float
) -> Notes:
    """The notes of a recording.

    Parameters
    ----------
    found, drums
        Everything that might be one, in any order.
    frame : np.ndarray, shape (frames, pitches)
        Activation of sounding notes throughout the recording.
    end_s : float
        Its length.
    """
    p = calibration.p_note(found)
    chosen, p_instrument = calibration.chosen(found, p)
    note, name = np.nonzero(chosen)
    offset_s = _ends(found, chosen.any(axis=1), frame, calibration.sustain) * FRAME_S
    onset_s = np.clip(found.frame * FRAME_S, 0.0, end_s)
    programs = np.array([instrument_named(each).program for each in INSTRUMENT_CLASSES])
    pitched = Notes.create(
        onset_s[note],
        np.clip(np.maximum(offset_s, onset_s + _LEAST_LENGTH_S), 0.0, end_s)[note],
        found.pitch[note],
        _velocities(found.level[note], name),
        programs[name],
        p_note=p[note],
        p_instrument=p_instrument[note, name],
        origin="embedded",
    )
    p_hit = calibration.p_hit(drums)
    sure = np.flatnonzero(p_hit >= np.array(calibration.least_drums)[drums.drum])
    hit_s = np.clip(drums.half[sure] * DRUM_HOP / RATE_HZ, 0.0, end_s)
    hit = Notes.create(
        hit_s,
        np.minimum(hit_s + _DRUM_LENGTH_S, end_s),
        np.array(DRUM_KEYS)[drums.drum[sure]],
        _velocities(drums.level[sure], drums.drum[sure]),
        is_drum=True,
        p_note=p_hit[sure],
        origin="embedded",
    )
    return Notes.concat([pitched, hit])


def _ends(
    found: Candidates, kept: npt.NDArray[np.bool_], frame: npt.NDArray[np.float16], sustain: float
) -> npt.NDArray[np.float64]:
    """Where each candidate ends, in frames: where it is no longer heard, or the pitch starts again."""
    ends = found.frame.astype(np.float64) + 1
    for row in np.unique(found.pitch[kept]) - LOWEST_PITCH:
        mine = np.flatnonzero(kept & (found.pitch == row + LOWEST_PITCH))
        mine = mine[np.argsort(found.frame[mine])]
        silent = np.append(np.flatnonzero(frame[:, row] < sustain), len(frame))
        following = np.append(found.frame[mine[1:]], len(frame))
        # The first frames are often not yet sure of the note.
        quiet = silent[np.minimum(np.searchsorted(silent, found.frame[mine] + 2), len(silent) - 1)]
        ends[mine] = np.minimum(quiet, following)
    return ends


def _velocities(level: Floats, group: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Velocities by level within each instrument: amplitude goes with its square in General MIDI."""
    out = np.full(len(level), _VELOCITY, np.int64)
    for each in np.unique(group):
        mine = group == each
        relative = level[mine] - np.median(level[mine])
        out[mine] = np.clip(np.round(_VELOCITY * 10 ** (relative / 2)), 1, 127)
    return out
