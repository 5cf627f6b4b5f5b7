"""Runs the networks over recordings of any length in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.transcribers.base import one_thread_session
from d2midi_build.transcribers.basic_pitch import PitchModel
from d2midi_build.transcribers.embedded.decode import (
    CHUNK_FRAMES,
    INSTRUMENT_CLASSES,
    Candidates,
    Floats,
    Hits,
    Peaks,
    hits,
    note_peaks,
)
from d2midi_build.transcribers.embedded.description import describe
from d2midi_build.transcribers.embedded.features import (
    BINS_PER_SEMITONE,
    FRAME_S,
    HOP,
    LOWEST_PITCH,
    N_DRUM_BANDS,
    N_PITCHES,
    RATE_HZ,
    Features,
    features,
    frames_of,
)

MARGIN_FRAMES: Final = 32
"""Frames on either side of a chunk that are heard but not answered for."""

CORE_FRAMES: Final = CHUNK_FRAMES - 2 * MARGIN_FRAMES
_TOGETHER_FRAMES: Final = 2 * CORE_FRAMES
"""Candidates of 21 s are judged together, about what the second network was trained on."""

_BLOCK_FRAMES: Final = 4 * _TOGETHER_FRAMES
"""Sound is resampled and analysed 83 s at a time."""

_CONTEXT_FRAMES: Final = MARGIN_FRAMES + 16
_PIECE: Final = 1_000_000

SILENT_RMS: Final = 1e-5
"""Below -100 dB of full scale there is nothing to hear: the dither of 16 bits at most."""

_LEVEL_BANDS: Final = ((0, 8), (4, 40), (40, N_DRUM_BANDS), (2, 24), (30, N_DRUM_BANDS))
"""Mel bands whose energy is the level of kick, snare, hat, tom and cymbal."""


@dataclass(frozen=True)
class Heard:
    """What the network heard in a recording.

    Attributes
    ----------
    found : Candidates
    drums : Hits
    frame : np.ndarray, shape (frames, pitches), float16
        Activation of sounding notes.
    """

    found: Candidates
    drums: Hits
    frame: npt.NDArray[np.float16]


@dataclass(frozen=True)
class Chunk:
    """What the first network heard in a part of the features it was given, whose frames are counted.

    Attributes
    ----------
    begin, core : int
        The frame in which the peaks' frames begin, and the first it answers for.
    peaks : Peaks
    description : np.ndarray, shape (n, columns)
        Of each peak, by `describe`.
    level : np.ndarray, shape (n,)
        As in `Candidates`.
    drums : Hits
        In half frames.
    frame : np.ndarray, shape (frames, pitches)
        How much sounds, from ``core`` on.
    """

    begin: int
    core: int
    peaks: Peaks
    description: Floats
    level: Floats
    drums: Hits
    frame: Floats


class Ear:
    """The first network, which hears everything that might be a note.

    Parameters
    ----------
    weights : Path
        ``embedded.onnx``.
    """

    def __init__(self, weights: Path) -> None:
        self._session = one_thread_session(weights)

    def chunks(self, seen: Features, first: int, end: int) -> Iterator[Chunk]:
        """What is heard in frames ``first`` to ``end``, in parts of at most `CORE_FRAMES`."""
        n_frames = seen.spectra.shape[1]
        for core in range(first, end, CORE_FRAMES):
            begin = core - MARGIN_FRAMES
            cut, until = max(0, begin), min(begin + CHUNK_FRAMES, n_frames)
            before, after = cut - begin, begin + CHUNK_FRAMES - until
            spectra = np.pad(seen.spectra[:, cut:until], ((0, 0), (before, after), (0, 0)))
            activations = np.pad(seen.activations[:, cut:until], ((0, 0), (before, after), (0, 0)))
            drums = np.pad(seen.drums[2 * cut : 2 * until], ((2 * before, 2 * after), (0, 0)))
            onset, frame, hit, heard, timbre = (
                answer[0]
                for answer in self._session.run(
                    None, {"spectra": spectra[None], "activations": activations[None], "drums": drums[None]}
                )
            )
            last = MARGIN_FRAMES + min(CORE_FRAMES, end - core)
            peaks = note_peaks(onset, MARGIN_FRAMES, last)
            after_onset = np.clip(peaks.k + np.arange(1, 4)[:, None], 0, CHUNK_FRAMES - 1)
            strong = spectra[1, :, : N_PITCHES * BINS_PER_SEMITONE]
            strong = strong.reshape(CHUNK_FRAMES, N_PITCHES, BINS_PER_SEMITONE).max(axis=2)
            loud = np.stack([2 * drums[:, low:high].max(axis=1) for low, high in _LEVEL_BANDS], axis=1)
            struck = hits(hit, loud, 2 * MARGIN_FRAMES, 2 * last)
            yield Chunk(
                begin,
                core,
                peaks,
                describe(peaks, spectra, frame, heard, timbre),
                2 * strong[after_onset, peaks.row].max(axis=0),
                replace(struck, half=struck.half + 2 * begin),
                frame[MARGIN_FRAMES:last],
            )


class Model:
    """basic-pitch's network and our two, read once.

    Parameters
    ----------
    weights, note_weights : Path
        ``embedded.onnx`` and ``notes.onnx``.
    """

    def __init__(self, weights: Path, note_weights: Path) -> None:
        self._ear = Ear(weights)
        self._judge = one_thread_session(note_weights)
        self._pitch = PitchModel()

    def hear(self, audio: npt.NDArray[np.float32], sample_rate_hz: int) -> Heard | None:
        """Everything that might be a note in a recording of shape (n,) or (n, channels); None for silence."""
        mean, rms = level(audio)
        if rms < SILENT_RMS:
            return None
        n_frames = frames_of(-(-len(audio) * RATE_HZ // sample_rate_hz))
        parts, frame = [], np.zeros((n_frames, N_PITCHES), np.float16)
        for first in range(0, n_frames, _BLOCK_FRAMES):
            end = min(first + _BLOCK_FRAMES, n_frames)
            start, stop = max(0, first - _CONTEXT_FRAMES), min(end + _CONTEXT_FRAMES, n_frames)
            sound = _resampled(audio, sample_rate_hz, start * HOP, stop * HOP, mean)
            note, onset, times_s = self._pitch.activations(sound)
            seen = features(sound, note, onset, times_s, rms)
            for found, chunks in self.judged(seen, first - start, end - start):
                drums = Hits.join([chunk.drums for chunk in chunks])
                parts.append(
                    (
                        replace(found, frame=found.frame + start),
                        replace(drums, half=drums.half + 2 * start),
                    )
                )
                for chunk in chunks:
                    at = start + chunk.core
                    frame[at : at + len(chunk.frame)] = chunk.frame
        return Heard(
            Candidates.join([part[0] for part in parts]), Hits.join([part[1] for part in parts]), frame
        )

    def judged(self, seen: Features, first: int, end: int) -> Iterator[tuple[Candidates, list[Chunk]]]:
        """Candidates of frames ``first`` to ``end``, those of `_TOGETHER_FRAMES` at a time, and their chunks."""
        for start in range(first, end, _TOGETHER_FRAMES):
            chunks = list(self._ear.chunks(seen, start, min(start + _TOGETHER_FRAMES, end)))
            frame = np.concatenate([chunk.peaks.at + chunk.begin for chunk in chunks])
            pitch = np.concatenate([chunk.peaks.row + LOWEST_PITCH for chunk in chunks])
            likely, instruments = np.zeros(0, np.float32), np.zeros((0, len(INSTRUMENT_CLASSES)), np.float32)
            if len(frame):
                likely, instruments = self._judge.run(
                    None,
                    {
                        "description": np.concatenate([chunk.description for chunk in chunks]),
                        "time_s": ((frame - start) * FRAME_S).astype(np.float32),
                        "pitch": pitch.astype(np.float32),
                    },
                )
            level = np.concatenate([chunk.level for chunk in chunks])
            yield Candidates(frame, pitch, level, likely, instruments), chunks


def level(audio: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Mean and root mean square about it of a recording's channels' mean, read in pieces."""
    total = squares = 0.0
    for first in range(0, len(audio), _PIECE):
        sound = _mono(audio[first : first + _PIECE]).astype(np.float64)
        total, squares = total + float(sound.sum()), squares + float((sound**2).sum())
    mean = total / max(len(audio), 1)
    return mean, float(np.sqrt(max(squares / max(len(audio), 1) - mean**2, 0.0)))


def _mono(audio: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return audio.mean(axis=1) if audio.ndim == 2 else audio


def _resampled(
    audio: npt.NDArray[np.float32],
    sample_rate_hz: int,
    start: int,
    stop: int,
    mean: float = 0.0,
) -> npt.NDArray[np.float32]:
    """Samples ``start`` to ``stop`` at `RATE_HZ` of a recording at another rate, less its mean."""
    import librosa

    # Whole seconds, where samples of both rates coincide, and one more on either side for the filter.
    first_s, last_s = max(0, start // RATE_HZ - 1), -(-stop // RATE_HZ) + 1
    sound = _mono(np.asarray(audio[first_s * sample_rate_hz : last_s * sample_rate_hz], dtype=np.float32))
    if sample_rate_hz != RATE_HZ:
        sound = librosa.resample(sound, orig_sr=sample_rate_hz, target_sr=RATE_HZ)
    sound = sound[start - first_s * RATE_HZ : stop - first_s * RATE_HZ] - np.float32(mean)
    return np.pad(sound, (0, stop - start - len(sound)))
