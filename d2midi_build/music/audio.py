"""Reading audio, and what every function that listens asks of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.errors import PermanentError

_IN_MEMORY: Final = 100_000_000
"""Samples of all channels together (400 MB) up to which a recording is read into memory."""

_PIECE: Final = 4_000_000


def read_sound(path: Path, folder: Path) -> tuple[npt.NDArray[np.float32], int]:
    """Samples of shape ``(n, channels)`` and their rate in Hz.

    Parameters
    ----------
    path : Path
        A file that libsndfile reads: FLAC, WAV.
    folder : Path
        An existing folder with room. A recording of more than about twenty minutes is decoded into an unnamed file
        there and mapped, so that memory stays bounded; the file is gone with the array.

    Raises
    ------
    PermanentError
        If the file cannot be decoded.
    """
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            shape, rate_hz = (file.frames, file.channels), file.samplerate
            if file.frames * file.channels <= _IN_MEMORY:
                return file.read(dtype="float32", always_2d=True), rate_hz
            with tempfile.TemporaryFile(dir=folder) as unnamed:
                sound = np.memmap(unnamed, np.float32, "w+", shape=shape)
            first = 0
            for piece in file.blocks(_PIECE, dtype="float32", always_2d=True):
                sound[first : first + len(piece)] = piece
                first += len(piece)
            return sound, rate_hz
    except soundfile.LibsndfileError as error:
        raise PermanentError(
            f"{path} cannot be read as sound: {str(error).rstrip('.')}. If a build made this file, delete it and run "
            "`d2midi retry --reason permanent`."
        ) from error


def checked(audio: npt.NDArray[np.float32], sample_rate_hz: int) -> npt.NDArray[np.float32]:
    """Audio as float32 of shape ``(n,)`` or ``(n, channels)``, known to be finite.

    Raises
    ------
    PermanentError
        If a sample is not a finite number.
    ValueError
        If the shape or the rate cannot be.
    """
    samples = np.asarray(audio, dtype=np.float32)
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and samples.shape[1] == 0) or sample_rate_hz <= 0:
        raise ValueError(
            f"audio of shape {samples.shape} at {sample_rate_hz} Hz is not (n,) or (n, channels)"
        )
    for first in range(0, len(samples), _PIECE):
        piece = samples[first : first + _PIECE]
        finite = np.isfinite(piece)
        if not finite.all():
            at_s = (first + int(np.argmin(finite.reshape(len(piece), -1).all(axis=1)))) / sample_rate_hz
            raise PermanentError(
                f"the audio holds samples that are not numbers, the first at {at_s:.3f} s. Decode the source "
                "again; if it stays so, the file is damaged."
            )
    return samples


def is_constant(audio: npt.NDArray[np.float32]) -> bool:
    """Whether there is nothing to hear: no samples, silence or an offset.

    Parameters
    ----------
    audio : np.ndarray, shape (n,) or (n, channels), float32
    """
    pieces = (audio[first : first + _PIECE] for first in range(0, len(audio), _PIECE))
    return not any((piece != audio[0]).any() for piece in pieces)
