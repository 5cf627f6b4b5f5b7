"""basic-pitch 0.4.0 (Bittner et al., ICASSP 2022): pitches, neither instruments nor drums.

As a transcriber it is the plain program, for comparison; the transcriber ``embedded`` listens to its activations.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from d2midi_build.digests import sha256_file
from d2midi_build.engine.base import Report
from d2midi_build.errors import UsageError
from d2midi_build.music.audio import checked, is_constant
from d2midi_build.music.instruments import PIANO
from d2midi_build.music.notes import Notes
from d2midi_build.transcribers.base import Transcriber, one_thread_session

_OVERLAP_FRAMES: Final = 30
"""Overlap of the model's windows, as basic_pitch.inference.run_inference has it."""

_PIECE_FRAMES: Final = 25_839
_MARGIN_FRAMES: Final = 861
"""Notes are read off five minutes of activations at a time, with ten seconds on either side: basic-pitch's
search takes time with the square of the length and copies everything several times."""

_KNOWN_LOG: Final = ("Coremltools is not", "tflite-runtime is not", "Tensorflow is not")
_KNOWN_WARNINGS: Final = ("pkg_resources is deprecated", "Deprecated call to `pkg_resources")


@dataclass(frozen=True)
class Settings:
    """How notes are read off the model's activations; the defaults are basic-pitch's own.

    Attributes
    ----------
    onset_threshold, frame_threshold : float
        Least activation of a note's start, and of its continuation.
    minimum_frames : int
        Notes of at most so many frames of 11.6 ms are dropped.
    melodia : bool
        Whether energy without an onset is made into notes as well.
    """

    onset_threshold: float = 0.5
    frame_threshold: float = 0.3
    minimum_frames: int = 11
    melodia: bool = True


def create(**options: Any) -> BasicPitch:
    """The transcriber with fields of `Settings` as options."""
    return BasicPitch(Settings(**options))


class BasicPitch(Transcriber):
    """The plain program: pitches, no instruments, no drums.

    Every note is called piano, because the tables need a name; its origin says that nobody knows.
    ``p_note`` is the mean frame activation (basic-pitch's "amplitude") and not calibrated; ``p_instrument`` is 0.
    ``velocity`` is 127 times the activation, as basic-pitch writes it: a degree of certainty more than of loudness.
    As the program itself, it does not listen to the last 0.7 % of a recording (0.2 s of 30 s, over a minute of three
    hours), and its times run 15 millionths late (9 ms after ten minutes).
    """

    name: ClassVar[str] = "basic-pitch"
    version: ClassVar[str] = "2"
    names_instruments = False
    hears_drums = False

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._model: PitchModel | None = None

    def model_digests(self) -> dict[str, str]:
        """SHA-256 of the model."""
        path = model_file()
        return {path.name: sha256_file(path)}

    def load(self) -> None:
        """Import basic-pitch and read its model (3-6 s of CPU, once)."""
        if self._model is None:
            self._model = PitchModel()

    def transcribe(
        self, audio: npt.NDArray[np.float32], sample_rate_hz: int, progress: Report | None = None
    ) -> Notes:
        """Pitched notes; see `Transcriber.transcribe`."""
        audio = checked(audio, sample_rate_hz)
        if is_constant(audio):
            return Notes.empty()
        self.load()
        assert self._model is not None
        mono = audio.mean(axis=1) if audio.ndim == 2 else audio
        events = self._model.events(mono, sample_rate_hz, self.settings)
        if not events:
            return Notes.empty()
        onset_s, offset_s, pitch, activation = np.array(events, dtype=np.float64).T
        p_note = np.clip(activation, 0.0, 1.0)
        return Notes.create(
            onset_s,
            np.maximum(offset_s, onset_s),
            pitch.astype(np.int64),
            np.clip(np.round(127 * p_note), 1, 127).astype(np.int64),
            PIANO.program,
            p_note=p_note,
            p_instrument=0.0,
            origin="basic-pitch/instrument-unknown",
        )


class PitchModel:
    """The ONNX model and basic-pitch's own functions around it; reading it takes 3-6 s of CPU."""

    def __init__(self) -> None:
        with _known_noise_silenced():
            import basic_pitch.inference as inference
            import basic_pitch.note_creation as note_creation
        self._inference: ModuleType = inference
        self._note_creation: ModuleType = note_creation
        self._session = one_thread_session(model_file())

    def events(
        self, mono: npt.NDArray[np.float32], sample_rate_hz: int, settings: Settings
    ) -> list[tuple[float, float, int, float]]:
        """Onset, offset (s), pitch and amplitude (0-1) of each note, as basic_pitch.predict finds them."""
        frames, onsets, times_s = self.activations(self._resampled(mono, sample_rate_hz))
        found = []
        for first, end, start, stop in _pieces(len(frames)):
            for i, j, pitch, activation in self._notes(frames[start:stop], onsets[start:stop], settings):
                if first <= i + start < end:
                    onset_s, offset_s = float(times_s[i + start]), float(times_s[j + start])
                    found.append((onset_s, offset_s, int(pitch), float(activation)))
        return found

    def _notes(
        self, frames: npt.NDArray[np.float32], onsets: npt.NDArray[np.float32], settings: Settings
    ) -> list[tuple[int, int, int, float]]:
        """First and last frame, pitch and mean activation of each note."""
        if max(frames.max(), onsets.max()) < settings.frame_threshold:
            return []
        with np.errstate(invalid="ignore"):  # no change between any frames: 0/0 in get_infered_onsets
            events: list[tuple[int, int, int, float]] = self._note_creation.output_to_notes_polyphonic(
                frames,
                onsets,
                onset_thresh=settings.onset_threshold,
                frame_thresh=settings.frame_threshold,
                min_note_len=settings.minimum_frames,
                infer_onsets=True,
                max_freq=None,
                min_freq=None,
                melodia_trick=settings.melodia,
            )
        return events

    def _resampled(self, mono: npt.NDArray[np.float32], sample_rate_hz: int) -> npt.NDArray[np.float32]:
        import librosa

        rate_hz = self._inference.AUDIO_SAMPLE_RATE
        return np.asarray(librosa.resample(mono, orig_sr=sample_rate_hz, target_sr=rate_hz), dtype=np.float32)

    def activations(
        self, audio: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        """Frame and onset activations of mono sound at 22,050 Hz, each of shape (frames, 88), and the frames' times."""
        overlap = _OVERLAP_FRAMES * self._inference.FFT_HOP
        padded = np.concatenate([np.zeros(overlap // 2, np.float32), audio])
        frames, onsets = [], []
        for window, _ in self._inference.window_audio_file(padded, self._inference.AUDIO_N_SAMPLES - overlap):
            note, onset = self._session.run(
                ["StatefulPartitionedCall:1", "StatefulPartitionedCall:2"],
                {"serving_default_input_2:0": window[None]},
            )
            frames.append(note)
            onsets.append(onset)
        note = self._inference.unwrap_output(np.concatenate(frames), len(audio), _OVERLAP_FRAMES)
        onset = self._inference.unwrap_output(np.concatenate(onsets), len(audio), _OVERLAP_FRAMES)
        return note, onset, self._note_creation.model_frames_to_time(len(note))


def _pieces(n_frames: int) -> Iterator[tuple[int, int, int, int]]:
    """Frames whose onsets count (first, end), and frames to look at for them (start, stop)."""
    first = 0
    while first < n_frames:
        end = first + _PIECE_FRAMES
        if end + _MARGIN_FRAMES >= n_frames:  # a short rest goes with the piece before it
            end = n_frames
        yield first, end, max(0, first - _MARGIN_FRAMES), min(n_frames, end + _MARGIN_FRAMES)
        first = end


def model_file() -> Path:
    """The ONNX model in basic-pitch's package, found without importing it.

    Raises
    ------
    UsageError
        If basic-pitch is missing or brings no ONNX model.
    """
    spec = importlib.util.find_spec("basic_pitch")
    for folder in list(spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "saved_models" / "icassp_2022" / "nmp.onnx"
        if path.is_file():
            return path
    raise UsageError("basic-pitch brings no nmp.onnx here; install basic-pitch 0.4.0")


@contextlib.contextmanager
def _known_noise_silenced() -> Iterator[None]:
    """Silence what importing basic-pitch is known to say, and nothing else.

    It logs three missing backends to the root logger, for which `logging` would also install a
    handler; resampy warns about pkg_resources.
    """
    root, quiet = logging.getLogger(), logging.NullHandler()

    def unknown(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(_KNOWN_LOG)

    root.addFilter(unknown)
    root.addHandler(quiet)
    try:
        with warnings.catch_warnings():
            for message in _KNOWN_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        root.removeFilter(unknown)
        root.removeHandler(quiet)
