"""What MT3 hears: sound at 16 kHz in segments, each as the logarithm of its mel spectrogram.

The rules are those of magenta/mt3's ``spectrograms.py``, ``spectral_ops.py`` and notebook.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from d2midi_build.transcribers.mt3.vocabulary import whole_steps

SAMPLE_RATE_HZ: Final = 16_000
HOP: Final = 128
"""Samples of a frame (8 ms), from one spectrum to the next."""

FFT: Final = 2_048
N_MELS: Final = 512

_LOWEST_HZ: Final = 20.0
_HIGHEST_HZ: Final = 7_600.0
_NOTHING: Final = 1e-5
"""Stands for a magnitude of exactly 0, and for nothing else: many real ones are smaller."""

_BLOCK: Final = 1 << 18


class Segment(NamedTuple):
    """Sound the network is given at a time.

    Attributes
    ----------
    samples : np.ndarray, shape=(n_frames * HOP,), float32
        At 16 kHz, with the zeros that fill up the last frame.
    n_frames : int
        Frames it has, fewer than others only in the last segment.
    input_s : float
        Time of its first frame in seconds.
    start_s : float
        The same in `whole_steps`: times of events count from here.
    """

    samples: npt.NDArray[np.float32]
    n_frames: int
    input_s: float
    start_s: float


def resampled(
    audio: npt.NDArray[np.float32], sample_rate_hz: int, block: int = _BLOCK
) -> Iterator[npt.NDArray[np.float32]]:
    """Sound as MT3 is given it: the mean of the channels at 16 kHz, as ``librosa.load`` makes it.

    The samples do not depend on `block`; memory does, and on nothing else.

    Parameters
    ----------
    audio : np.ndarray, shape=(n,) or (n, channels), float32
        May be mapped from a file.
    sample_rate_hz : int
        At 16,000 Hz nothing is changed.
    block : int
        Samples of `audio` read at a time.

    Yields
    ------
    np.ndarray, shape=(any,), float32
        Together ``ceil(n * 16_000 / sample_rate_hz)`` samples.
    """
    mono = (_mono(audio[first : first + block]) for first in range(0, len(audio), block))
    if sample_rate_hz == SAMPLE_RATE_HZ:
        yield from mono
        return
    import soxr

    stream = soxr.ResampleStream(sample_rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32", quality="HQ")
    n_given = 0
    for piece in mono:
        found = stream.resample_chunk(piece)
        n_given += len(found)
        yield found
    rest = stream.resample_chunk(np.empty(0, np.float32), last=True)
    # soxr rounds the length to the nearest, librosa up: it adds a zero where they differ.
    n_samples = math.ceil(len(audio) * (SAMPLE_RATE_HZ / sample_rate_hz))
    yield np.pad(rest, (0, n_samples - n_given - len(rest)))


def _mono(piece: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean of the channels, in memory of its own where `piece` has more than one dimension."""
    return np.asarray(piece.mean(axis=1) if piece.ndim == 2 else piece, dtype=np.float32)


def segments(blocks: Iterable[npt.NDArray[np.float32]], segment_frames: int) -> Iterator[Segment]:
    """Segments of sound, the last one filled up with zeros to whole frames.

    As in MT3 at least one zero is added: sound of a whole number of frames gets a frame of zeros more, even if that
    makes a segment of its own, and no sound at all becomes a segment of one frame.

    Parameters
    ----------
    blocks : iterable of np.ndarray, shape=(any,), float32
        Sound at 16 kHz, cut anywhere.
    segment_frames : int
        Frames of a segment.
    """
    frame = 0
    held = np.zeros(segment_frames * HOP, np.float32)
    n_held = 0
    for block in blocks:
        taken = 0
        while taken < len(block):
            piece = block[taken : taken + len(held) - n_held]
            held[n_held : n_held + len(piece)] = piece
            taken += len(piece)
            n_held += len(piece)
            if n_held == len(held):
                yield _segment(held, frame)
                frame += segment_frames
                held = np.zeros(segment_frames * HOP, np.float32)
                n_held = 0
    n_frames = n_held // HOP + 1
    yield _segment(held[: n_frames * HOP], frame)


def _segment(samples: npt.NDArray[np.float32], frame: int) -> Segment:
    input_s = frame / (SAMPLE_RATE_HZ / HOP)
    return Segment(samples, len(samples) // HOP, input_s, whole_steps(input_s))


class LogMel:
    """Makes the network's input: natural logarithms of magnitudes in 512 mel bands, 125 frames a second.

    A frame is 2048 samples from its time on. Windows that reach past the end of a segment see zeros there, not the
    next segment. Everything is float32 but the making of the mel matrix: the reference's outputs are no nearer to
    spectra in float64, and further from a matrix made in float32.

    Parameters
    ----------
    device : torch.device or str
        Where it is computed and where the result is.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._device = device
        self._window = torch.hann_window(FFT, device=device)
        self._mel = torch.from_numpy(mel_matrix()).to(device)

    def __call__(self, batch: Sequence[Segment], segment_frames: int) -> torch.Tensor:
        """Input of shape (len(batch), segment_frames, N_MELS), float32; 0.0 after a segment's own frames."""
        found = torch.zeros((len(batch), segment_frames, N_MELS), device=self._device)
        for rows, segment in zip(found, batch, strict=True):
            rows[: segment.n_frames] = self._of(segment.samples)
        return found

    def _of(self, samples: npt.NDArray[np.float32]) -> torch.Tensor:
        sound = torch.from_numpy(np.pad(samples, (0, FFT - HOP))).to(self._device)
        magnitudes = torch.fft.rfft(sound.unfold(0, FFT, HOP) * self._window).abs()
        mel = magnitudes @ self._mel
        return torch.where(mel > 0, mel, _NOTHING).log_()


def mel_matrix() -> npt.NDArray[np.float32]:
    """Weights of the FFT's bins in the mel bands, shape (FFT // 2 + 1, N_MELS).

    Triangles of height 1 on HTK's mel scale, evenly spaced between 20 and 7,600 Hz, as
    ``tf.signal.linear_to_mel_weight_matrix`` makes them. The lowest are narrower than the FFT's bins (7.8 Hz): two lie
    between bins and hear nothing.
    """
    bins = _mel(np.linspace(0.0, SAMPLE_RATE_HZ / 2, FFT // 2 + 1))[:, None]
    edges = np.linspace(_mel(_LOWEST_HZ), _mel(_HIGHEST_HZ), N_MELS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    return np.maximum(triangles, 0.0).astype(np.float32)


def _mel(frequency_hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    mel: npt.NDArray[np.float64] = 1127.0 * np.log1p(np.asarray(frequency_hz, np.float64) / 700.0)
    return mel
