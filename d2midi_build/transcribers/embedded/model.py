"""Runs the network over recordings of any length in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.transcribers.basic_pitch import PitchModel
from d2midi_build.transcribers.embedded.decode import (
    CHUNK_FRAMES,
    Candidates,
    Hits,
    candidates,
    hits,
)
from d2midi_build.transcribers.embedded.features import (
    BINS_PER_SEMITONE,
    HOP,
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
_BLOCK_FRAMES: Final = 8 * CORE_FRAMES
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


class Model:
    """basic-pitch's network and ours, read once.

    Parameters
    ----------
    weights : Path
        The ONNX file.
    """

    def __init__(self, weights: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # One thread: workers are the parallelism, and sums come out in the same order everywhere.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(weights), options, providers=["CPUExecutionProvider"]
        )
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
            sound = _resampled(audio, sample_rate_hz, start * HOP, stop * HOP) - np.float32(mean)
            note, onset, times_s = self._pitch.activations(sound)
            seen = features(sound, note, onset, times_s, rms)
            for found, drums, at, sounding in self.chunks(seen, first - start, end - start):
                parts.append(moved(found, drums, start))
                frame[start + at : start + at + len(sounding)] = sounding
        return Heard(
            Candidates.join([part[0] for part in parts]), Hits.join([part[1] for part in parts]), frame
        )

    def chunks(
        self, seen: Features, first: int, end: int
    ) -> Iterator[tuple[Candidates, Hits, int, npt.NDArray[np.float32]]]:
        """Candidates and hits that start in frames ``first`` to ``end``, and from which frame what sounds."""
        n_frames = seen.spectra.shape[1]
        for core in range(first, end, CORE_FRAMES):
            begin = core - MARGIN_FRAMES
            cut, until = max(0, begin), min(begin + CHUNK_FRAMES, n_frames)
            before, after = cut - begin, begin + CHUNK_FRAMES - until
            spectra = np.pad(seen.spectra[:, cut:until], ((0, 0), (before, after), (0, 0)))
            activations = np.pad(seen.activations[:, cut:until], ((0, 0), (before, after), (0, 0)))
            drums = np.pad(seen.drums[2 * cut : 2 * until], ((2 * before, 2 * after), (0, 0)))
            onset, frame, instrument, hit = (
                answer[0]
                for answer in self._session.run(
                    None, {"spectra": spectra[None], "activations": activations[None], "drums": drums[None]}
                )
            )
            last = MARGIN_FRAMES + min(CORE_FRAMES, end - core)
            strong = 2 * spectra[1, :, : N_PITCHES * BINS_PER_SEMITONE]
            strong = strong.reshape(CHUNK_FRAMES, N_PITCHES, BINS_PER_SEMITONE).max(axis=2)
            loud = np.stack([2 * drums[:, low:high].max(axis=1) for low, high in _LEVEL_BANDS], axis=1)
            found = candidates(onset, frame, instrument, strong, MARGIN_FRAMES, last)
            struck = hits(hit, loud, 2 * MARGIN_FRAMES, 2 * last)
            yield (*moved(found, struck, begin), core, frame[MARGIN_FRAMES:last])


def moved(found: Candidates, drums: Hits, frames: int) -> tuple[Candidates, Hits]:
    """Both with times counted from so many frames earlier."""
    return replace(found, frame=found.frame + frames), replace(drums, half=drums.half + 2 * frames)


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
    audio: npt.NDArray[np.float32], sample_rate_hz: int, start: int, stop: int
) -> npt.NDArray[np.float32]:
    """Samples ``start`` to ``stop`` at `RATE_HZ` of a recording at another rate."""
    import librosa

    # Whole seconds, where samples of both rates coincide, and one more on either side for the filter.
    first_s, last_s = max(0, start // RATE_HZ - 1), -(-stop // RATE_HZ) + 1
    sound = _mono(np.asarray(audio[first_s * sample_rate_hz : last_s * sample_rate_hz], dtype=np.float32))
    if sample_rate_hz != RATE_HZ:
        sound = librosa.resample(sound, orig_sr=sample_rate_hz, target_sr=RATE_HZ)
    sound = sound[start - first_s * RATE_HZ : stop - first_s * RATE_HZ]
    return np.pad(sound, (0, stop - start - len(sound)))
