"""Where somebody sings or speaks, which notes are theirs, and what becomes of those.

Singing has no instrument among the 13 of the dataset, and a transcriber that knows only those hands its
notes to one of them. What tells a voice from instruments is that its lines glide and tremble while its
colour changes: so features of gliding (after the fluctogram of Lehner, Widmer and Sonnleitner, "On the
reduction of false positives in singing voice detection", ICASSP 2014) and of changing colour (their vocal
variance) go into a network with one hidden layer. It learned from formulas only
(`d2midi_build.synthetic.singer`) mixed with songs played from soundfonts: ``benchmarks/fit_vocals.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from d2midi_build import clock
from d2midi_build.digests import sha256_file
from d2midi_build.music.audio import checked
from d2midi_build.music.instruments import LEAD
from d2midi_build.music.notes import Notes

MODEL: Final = Path(__file__).with_name("vocals.npz")

VERSION: Final = 1
"""Raised whenever the same sound may give another share or other notes; part of the stage's key."""

VOICE: Final = "voice"
"""Ends the origin of a note judged to be sung, after a slash."""

Policy = Literal["drop", "lead", "review"]

_Curve = npt.NDArray[np.float32]

_HOP: Final = clock.SAMPLES_PER_FRAME // 2
_ROWS_PER_S: Final = clock.SAMPLE_RATE_HZ / _HOP
"""Two looks per frame of the clip: 40 a second."""

_WINDOW: Final = 1024
"""100 ms: long enough to part partials from 110 Hz on, short enough for a glide to be seen."""

_PER_SEMITONE: Final = 5
_LOWEST: Final = 45
_SEMITONES: Final = 60
"""Bands of a fifth of a semitone from 110 Hz to 3.5 kHz, which every source has, however it was recorded."""

_RANGES: Final = tuple((low * _PER_SEMITONE, (low + 20) * _PER_SEMITONE) for low in (2, 10, 18, 26, 32, 38))
"""Overlapping ranges of 20 semitones in which gliding is measured, as bands (first, end)."""

_FURTHEST: Final = 5
"""Bands a line may glide in 50 ms: a semitone."""

_COLOURS: Final = 20
"""Mel bands from 100 Hz to 4 kHz, of which 13 cepstral coefficients are made."""

_HALF_CONTEXT: Final = round(0.5 * _ROWS_PER_S)
_HALF_SYLLABLE: Final = round(0.2 * _ROWS_PER_S)

_SOUNDING: Final = 0.03
"""A frame at least that loud, beside the clip's loud moments, sounds."""

_SILENCE: Final = 1e-5
"""A clip whose loud moments have less amplitude than this (-100 dB of full scale) is silent."""

_LEAST_SOUND_S: Final = 1.0
"""No share is told of less sound than this."""

_PIECE_FRAMES: Final = 60 * clock.FPS
_MARGIN_FRAMES: Final = 2 * clock.FPS
"""A minute at a time with two seconds on either side, of which features see less than one."""

_EVEN_FRAMES: Final = 11
THRESHOLD: Final = 0.5

SINGABLE: Final = (45, 81)
"""MIDI pitches, A2 to A5, that may be judged sung."""

_LEAST_HEARD: Final = 0.6
SUNG: Final = 0.9
"""A note at least so likely sung counts as sung. High: losing an instrument's note costs more than keeping a voice."""


@dataclass(frozen=True, eq=False)
class Voice:
    """Per frame of a clip, shape ``(n,)`` each.

    Attributes
    ----------
    probability : float32
        How likely somebody sings or speaks, 0-1. Calibrated on synthetic voices, not on people.
    sounding : bool
        Whether the frame is more than silence.
    """

    probability: npt.NDArray[np.float32]
    sounding: npt.NDArray[np.bool_]

    @property
    def heard(self) -> npt.NDArray[np.bool_]:
        """Frames in which a voice is heard, gaps and blips of under 0.3 s evened out."""
        from scipy.ndimage import median_filter

        if not len(self.probability):
            return np.zeros(0, dtype=np.bool_)
        even = median_filter(self.probability, size=_EVEN_FRAMES, mode="nearest")
        return np.asarray((even > THRESHOLD) & self.sounding, dtype=np.bool_)

    @property
    def share(self) -> float | None:
        """Share of the sounding time with a voice, 0-1; None where less than a second sounds at all."""
        n_sounding = int(self.sounding.sum())
        if n_sounding < _LEAST_SOUND_S * clock.FPS:
            return None
        return float(self.heard.sum() / n_sounding)


def find_voice(audio: npt.NDArray[np.float32], sample_rate_hz: int) -> Voice:
    """Listen for a voice.

    Parameters
    ----------
    audio : np.ndarray, shape (n,) or (n, channels), float32
        Any rate from 8 kHz on, any length, any level; channels are averaged.
    sample_rate_hz : int

    Raises
    ------
    PermanentError
        If a sample is not a finite number.
    """
    sound = _standard(audio, sample_rate_hz)
    n_frames = len(sound) // clock.SAMPLES_PER_FRAME
    level = np.zeros(n_frames, dtype=np.float32)
    for first, end, start, stop in _pieces(n_frames):
        level[first:end] = _levels(_cut(sound, start, stop))[first - start : end - start]
    loud = float(np.percentile(level, 95)) if n_frames else 0.0
    probability = np.zeros(n_frames, dtype=np.float32)
    if loud < _SILENCE:
        return Voice(probability, np.zeros(n_frames, dtype=np.bool_))
    for first, end, start, stop in _pieces(n_frames):
        heard = _network(features(_cut(sound, start, stop), loud))
        probability[first:end] = heard[first - start : end - start]
    return Voice(probability, level > _SOUNDING * loud)


def model_digests() -> dict[str, str]:
    """SHA-256 of the network's file by its name."""
    return {MODEL.name: sha256_file(MODEL)}


def features(sound: npt.NDArray[np.float32], loud: float) -> _Curve:
    """What the network is told of every frame.

    Parameters
    ----------
    sound : np.ndarray, shape (n,), float32
        Mono at 10,240 Hz.
    loud : float
        Amplitude of the recording's loud moments, as `find_voice` measures it.

    Returns
    -------
    np.ndarray, shape (n // 512, 107), float32
        Means and spreads over a second: how far lines glide, how much gliding explains beyond standing
        still, how alike successive moments are, per range, of the whole and of what does not stand
        still; then cepstral coefficients, their changes, and their spread over 0.4 s.
    """
    rows = 2 * (len(sound) // clock.SAMPLES_PER_FRAME)
    if rows == 0:
        return np.zeros((0, N_FEATURES), dtype=np.float32)
    lines, cepstrum = _seen(sound, rows, loud)
    moving = np.maximum(lines - _standing(lines), 0)
    glide, gain, glide_of_moving, gain_of_moving = *_gliding(lines), *_gliding(moving)
    together = [np.abs(each.mean(axis=1, keepdims=True)) for each in (glide_of_moving, glide)]
    unsteady = np.stack(
        [moving[:, a:b].sum(axis=1) / (lines[:, a:b].sum(axis=1) + 1e-3) for a, b in _RANGES], axis=1
    )
    gliding = np.concatenate(
        [np.abs(glide), gain, np.abs(glide_of_moving), gain_of_moving, *together, unsteady], axis=1
    )
    mean, spread = _over(gliding, _HALF_CONTEXT)
    _, restless = _over(np.concatenate([glide, glide_of_moving], axis=1), _HALF_CONTEXT)
    colour, changing = _over(cepstrum, _HALF_CONTEXT)
    _, jumping = _over(np.diff(cepstrum, axis=0, prepend=cepstrum[:1]), _HALF_CONTEXT)
    _, syllables = _over(cepstrum[:, 1:6], _HALF_SYLLABLE)
    told = [mean, restless, spread[:, -8:], changing, jumping, syllables, colour[:, 1:]]
    return np.asarray(np.concatenate(told, axis=1)[::2], dtype=np.float32)


N_FEATURES: Final = 107


def _seen(sound: npt.NDArray[np.float32], rows: int, loud: float) -> tuple[_Curve, _Curve]:
    """Lines, shape (rows, 300), in decades over a hundredth of the loud moments; cepstrum (rows, 13)."""
    import librosa
    from scipy.fft import dct

    n_fft = 2 * _WINDOW
    amplitude = np.abs(librosa.stft(sound, n_fft=n_fft, hop_length=_HOP, win_length=_WINDOW)).T[:rows]
    amplitude *= 2 / (_WINDOW * loud)  # the window's samples add up to half its length
    pitch = _LOWEST + np.arange(_SEMITONES * _PER_SEMITONE) / _PER_SEMITONE
    place = librosa.midi_to_hz(pitch) * n_fft / clock.SAMPLE_RATE_HZ
    below = place.astype(np.int64)
    part = (place - below).astype(np.float32)
    bands = amplitude[:, below] * (1 - part) + amplitude[:, below + 1] * part
    lines = np.maximum(np.log10(2.5 * bands + 1e-2) + 2, 0)
    mel = librosa.filters.mel(
        sr=clock.SAMPLE_RATE_HZ, n_fft=n_fft, n_mels=_COLOURS, fmin=100, fmax=4000, htk=True, norm=None
    )
    cepstrum = dct(np.log10(amplitude @ mel.T + 1e-3), axis=1, norm="ortho")[:, :13]
    return lines.astype(np.float32), cepstrum.astype(np.float32)


def _standing(lines: _Curve) -> _Curve:
    """What is as strong 0.2 s before and after: the median of the three moments."""
    padded = np.pad(lines, ((_HALF_SYLLABLE, _HALF_SYLLABLE), (0, 0)), mode="edge")
    before, after = padded[: -2 * _HALF_SYLLABLE], padded[2 * _HALF_SYLLABLE :]
    return np.asarray(np.maximum(np.minimum(before, lines), np.minimum(np.maximum(before, lines), after)))


def _gliding(lines: _Curve) -> tuple[_Curve, _Curve]:
    """How far lines moved in 50 ms, in semitones per range, and how sure that is.

    Returns
    -------
    glide : np.ndarray, shape (rows, 6)
        The shift at which the moment before looks most like this one, weighed by how alike they then are.
    gain : np.ndarray, shape (rows, 12)
        How much more alike they are than without a shift; how alike they are.
    """
    glides, gains, likenesses = [], [], []
    for first, end in _RANGES:
        bell = np.bartlett(end - first + 2)[1:-1].astype(np.float32)
        now, size = _centred(lines[2:, first:end] * bell)
        alike = np.zeros((len(lines), 2 * _FURTHEST + 1), dtype=np.float32)
        for shift in range(-_FURTHEST, _FURTHEST + 1):
            before, before_size = _centred(lines[:-2, first + shift : end + shift] * bell)
            alike[2:, shift + _FURTHEST] = (now * before).sum(axis=1) / (size * before_size)
        best = alike.max(axis=1)
        shift = (_FURTHEST - alike.argmax(axis=1)) / _PER_SEMITONE
        shift[:2] = 0
        glides.append(shift * np.maximum(2 * best - 1, 0))
        gains.append(best - alike[:, _FURTHEST])
        likenesses.append(best)
    return np.stack(glides, axis=1), np.stack(gains + likenesses, axis=1)


def _centred(rows: _Curve) -> tuple[_Curve, _Curve]:
    """Rows less their mean, and their lengths."""
    less = rows - rows.mean(axis=1, keepdims=True)
    return less, np.sqrt((less * less).sum(axis=1)) + np.float32(1e-6)


def _over(curves: _Curve, half: int) -> tuple[_Curve, _Curve]:
    """Mean and spread of each column over ``half`` rows to each side."""
    from scipy.ndimage import uniform_filter1d

    wide = curves.astype(np.float64)  # the difference of two large sums
    mean = uniform_filter1d(wide, 2 * half + 1, axis=0, mode="nearest")
    square = uniform_filter1d(wide * wide, 2 * half + 1, axis=0, mode="nearest")
    return mean.astype(np.float32), np.sqrt(np.maximum(square - mean * mean, 0)).astype(np.float32)


def sung(notes: Notes, voice: Voice) -> npt.NDArray[np.float32]:
    """How likely each note is sung: the mean probability of a voice while it sounds, shape (n,), 0-1.

    0 for drums, for notes outside `SINGABLE`, for notes in less than `_LEAST_HEARD` of whose time a voice is
    heard, and for those under a higher one that could be sung for more than half of their time: a voice is one
    line, and mostly the highest.
    """
    likely = np.zeros(len(notes), dtype=np.float32)
    heard = voice.heard
    low, high = SINGABLE
    could = np.flatnonzero(~notes.is_drum & (notes.pitch >= low) & (notes.pitch <= high))
    could = could[np.argsort(notes.onset_s[could], kind="stable")]
    onset_s, offset_s, pitch = notes.onset_s[could], notes.offset_s[could], notes.pitch[could]
    length_s = offset_s - onset_s
    longest_s = length_s.max(initial=0.0)
    for k, i in enumerate(could):
        first = int(onset_s[k] * clock.FPS)
        end = max(first + 1, int(np.ceil(offset_s[k] * clock.FPS)))
        if first >= len(heard) or heard[first:end].mean() < _LEAST_HEARD:
            continue
        near = slice(*np.searchsorted(onset_s, (onset_s[k] - longest_s, offset_s[k])))
        overlap_s = np.minimum(offset_s[near], offset_s[k]) - np.maximum(onset_s[near], onset_s[k])
        above = pitch[near] > pitch[k]
        if (above & (overlap_s > max(0.5 * length_s[k], 1e-6))).any():
            continue
        likely[i] = voice.probability[first:end].mean()
    return likely


def count(likely: npt.NDArray[np.float32]) -> int:
    """How many notes are taken to be sung."""
    return int((likely >= SUNG).sum())


def apply(notes: Notes, likely: npt.NDArray[np.float32], policy: Policy) -> Notes:
    """Notes under a policy for singing.

    Parameters
    ----------
    notes : Notes
    likely : np.ndarray, shape (n,)
        As `sung` gives it. A note is taken to be sung from `SUNG` on.
    policy : "drop", "lead" or "review"
        ``drop`` leaves sung notes out. ``lead`` hands them to Lead 1 (square), ends their origin with ``/voice``
        and says as ``p_instrument`` how likely they are sung. ``review`` keeps every note and its instrument
        and only ends the origin of sung ones with ``/voice``: what is sung is judged too poorly to change
        notes unasked.

    Returns
    -------
    Notes
        In canonical order.
    """
    is_sung = likely >= SUNG
    if policy == "drop":
        return notes.where(~is_sung).sorted()
    origin = np.array(
        [f"{each}/{VOICE}" if theirs else each for each, theirs in zip(notes.origin, is_sung, strict=True)]
    )
    if policy == "review":
        return replace(notes, origin=origin).sorted() if len(notes) else notes
    moved = Notes.create(
        notes.onset_s[is_sung],
        notes.offset_s[is_sung],
        notes.pitch[is_sung],
        notes.velocity[is_sung],
        LEAD.program,
        p_note=notes.p_note[is_sung],
        p_instrument=likely[is_sung],
        origin=origin[is_sung] if is_sung.any() else "",
    )
    return Notes.concat([notes.where(~is_sung), moved])


def _standard(audio: npt.NDArray[np.float32], sample_rate_hz: int) -> npt.NDArray[np.float32]:
    """Mono at the clip's rate without offset, whole frames."""
    import librosa

    sound = checked(audio, sample_rate_hz)
    mono = sound.mean(axis=1) if sound.ndim == 2 else sound
    if len(mono):  # before resampling, or an offset rings at both ends
        mono = mono - mono.mean()
    if sample_rate_hz != clock.SAMPLE_RATE_HZ and len(mono):
        mono = librosa.resample(mono, orig_sr=sample_rate_hz, target_sr=clock.SAMPLE_RATE_HZ)
    whole = len(mono) // clock.SAMPLES_PER_FRAME * clock.SAMPLES_PER_FRAME
    return np.asarray(mono[:whole], dtype=np.float32)


def _levels(sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Root mean square per frame."""
    frames = sound.reshape(-1, clock.SAMPLES_PER_FRAME)
    return np.asarray(np.sqrt(np.mean(frames * frames, axis=1)), dtype=np.float32)


def _pieces(n_frames: int) -> Iterator[tuple[int, int, int, int]]:
    """Frames that count (first, end), and frames to look at for them (start, stop)."""
    for first in range(0, n_frames, _PIECE_FRAMES):
        end = min(first + _PIECE_FRAMES, n_frames)
        yield first, end, max(0, first - _MARGIN_FRAMES), min(n_frames, end + _MARGIN_FRAMES)


def _cut(sound: npt.NDArray[np.float32], start: int, stop: int) -> npt.NDArray[np.float32]:
    """The samples of frames ``[start, stop)``."""
    return sound[clock.frames_to_samples(start) : clock.frames_to_samples(stop)]


def _network(told: _Curve) -> _Curve:
    """Probability of a voice per frame, shape (n,), from features of shape (n, 107)."""
    weights = _weights()
    scaled = np.clip((told - weights["mean"]) / weights["scale"], -5, 5)
    hidden = np.maximum(scaled @ weights["hidden"] + weights["hidden_bias"], 0)
    logit = hidden @ weights["out"] + weights["out_bias"]
    return np.asarray(1 / (1 + np.exp(-logit)), dtype=np.float32)


@cache
def _weights() -> dict[str, npt.NDArray[np.float32]]:
    with np.load(MODEL, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
