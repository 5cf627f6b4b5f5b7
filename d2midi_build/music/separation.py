"""A recording taken apart into stems.

`hpss` needs no weights and parts held from struck sound. `demucs` parts drums, bass, other and vocals
with weights the user has; nothing is ever downloaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build.errors import UsageError
from d2midi_build.music.audio import checked

HPSS_STEMS: Final = ("harmonic", "percussive")
DEMUCS_STEMS: Final = ("drums", "bass", "other", "vocals")

_WINDOW_S: Final = 0.0464
"""librosa's default of 2,048 samples at 44.1 kHz, kept in seconds at other rates."""

_PIECE_S: Final = 60.0
_MARGIN_S: Final = 1.0
"""Three times what a median over 31 frames reaches, so that pieces join without a seam."""


def hpss(audio: npt.NDArray[np.float32], sample_rate_hz: int) -> dict[str, npt.NDArray[np.float32]]:
    """Harmonic and percussive stems (Fitzgerald 2010, librosa's median filters with soft masks).

    Works on a minute at a time, so memory stays bounded by the stems themselves.

    Parameters
    ----------
    audio : np.ndarray, shape (n,) or (n, channels), float32
    sample_rate_hz : int

    Returns
    -------
    dict
        ``"harmonic"`` and ``"percussive"``, each of the shape of ``audio``; their sum is ``audio`` to
        within 1e-5 of full scale.

    Raises
    ------
    PermanentError
        If a sample is not a finite number.
    """
    import librosa

    samples = checked(audio, sample_rate_hz)
    n_fft = 1 << max(5, round(np.log2(_WINDOW_S * sample_rate_hz)))
    stems = {stem: np.zeros_like(samples) for stem in HPSS_STEMS}
    for first, end, start, stop in _pieces(len(samples), sample_rate_hz, n_fft):
        part = samples[start:stop].T
        if part.shape[-1] < n_fft:  # librosa warns of audio shorter than a window
            part = np.pad(part, [(0, 0)] * (part.ndim - 1) + [(0, n_fft - part.shape[-1])])
        spectrum = librosa.stft(part, n_fft=n_fft, pad_mode="constant")
        for stem, masked in zip(HPSS_STEMS, librosa.decompose.hpss(spectrum), strict=True):
            sound = librosa.istft(masked, n_fft=n_fft, length=stop - start)
            stems[stem][first:end] = sound.T[first - start : end - start]
    return stems


def _pieces(n_samples: int, sample_rate_hz: int, n_fft: int) -> Iterator[tuple[int, int, int, int]]:
    """Samples to keep (first, end) and samples to work on for them (start, stop).

    All but the last stop lie on whole windows, so that every piece sees the frames the whole would.
    """
    piece = round(_PIECE_S * sample_rate_hz / n_fft) * n_fft
    margin = -(-round(_MARGIN_S * sample_rate_hz) // n_fft) * n_fft
    for first in range(0, n_samples, piece):
        end = min(n_samples, first + piece)
        yield first, end, max(0, first - margin), min(n_samples, end + margin)


def demucs(
    audio: npt.NDArray[np.float32], sample_rate_hz: int, model: str, folder: Path
) -> dict[str, npt.NDArray[np.float32]]:
    """Stems by a demucs model whose weights the user has.

    The model stays in memory for the next call. It runs on the CPU without random shifts, so the same
    audio gives the same stems.

    Parameters
    ----------
    audio : np.ndarray, shape (n,) or (n, channels), float32
        More than two channels are averaged to one, as the models want stereo.
    sample_rate_hz : int
        Resampled to the model's rate and back.
    model : str
        Signature (``SIGNATURE-CHECKSUM.th`` or ``SIGNATURE.th``) or name of a bag (``NAME.yaml``) in
        ``folder``.
    folder : Path
        Where the weights lie. They are pickles, which can run code when loaded: use only weights whose
        origin you trust.

    Returns
    -------
    dict
        One float32 array of the shape ``(n, 2)`` per source of the model, usually `DEMUCS_STEMS`.

    Raises
    ------
    UsageError
        If demucs is not installed, the folder or model does not exist or the weights do not match
        their checksum.
    PermanentError
        If a sample is not a finite number.
    """
    import librosa

    samples = checked(audio, sample_rate_hz)
    network, apply_model = _demucs_model(model, folder)
    import torch

    n_samples = len(samples)
    if samples.ndim == 1 or samples.shape[1] != 2:
        mono = samples if samples.ndim == 1 else samples.mean(axis=1)
        samples = np.stack([mono, mono], axis=1)
    rate_hz = int(network.samplerate)
    mix = torch.from_numpy(
        np.ascontiguousarray(librosa.resample(samples.T, orig_sr=sample_rate_hz, target_sr=rate_hz))
    )
    # Level is brought to what the models were trained on and back, as demucs.separate does it.
    mean, std = mix.mean(), mix.mean(0).std()
    if not torch.isfinite(std) or std == 0:
        return {name: np.zeros((n_samples, 2), dtype=np.float32) for name in network.sources}
    with torch.no_grad():
        stems = apply_model(network, ((mix - mean) / std)[None], shifts=0, split=True, device="cpu")[0]
    stems = (stems * std + mean).numpy()
    return {
        name: _fitted(librosa.resample(stem, orig_sr=rate_hz, target_sr=sample_rate_hz).T, n_samples)
        for name, stem in zip(network.sources, stems, strict=True)
    }


def demucs_files(model: str, folder: Path) -> list[Path]:
    """The files of a model in the user's folder, sorted: the bag's list and its weights.

    Raises
    ------
    UsageError
        If the folder or one of the files does not exist.
    """
    if not folder.is_dir():
        raise UsageError(
            f"no folder {folder} with demucs weights; put the .th files (and the .yaml of a bag) there"
        )
    weights = {path.stem.rsplit("-", 1)[0]: path for path in sorted(folder.glob("*.th"))}
    if model in weights:
        return [weights[model]]
    bag = folder / f"{model}.yaml"
    if not bag.is_file():
        there = sorted([*weights, *(path.stem for path in folder.glob("*.yaml"))])
        raise UsageError(f"no demucs model {model!r} in {folder}; there is: {', '.join(there) or 'nothing'}")
    import yaml

    signatures = [str(signature) for signature in yaml.safe_load(bag.read_text(encoding="utf-8"))["models"]]
    missing = [signature for signature in signatures if signature not in weights]
    if missing:
        raise UsageError(f"{bag.name} needs weights that are not in {folder}: {', '.join(missing)}")
    return sorted([bag, *(weights[signature] for signature in signatures)])


@lru_cache(maxsize=1)
def _demucs_model(model: str, folder: Path) -> tuple[Any, Any]:
    """The model and the function that applies it; kept for the worker's next item."""
    demucs_files(model, folder)
    try:
        from demucs.apply import apply_model
        from demucs.pretrained import get_model
        from demucs.repo import ModelLoadingError
    except ImportError as error:
        raise UsageError(
            f"demucs cannot be imported ({error}); install d2midi with the extra 'demucs', or set the "
            "separation to 'none' or 'hpss'"
        ) from error
    try:
        return get_model(model, repo=folder), apply_model
    except ModelLoadingError as error:
        raise UsageError(f"demucs refused {model!r} in {folder}: {error}. Copy the weights again.") from error


def _fitted(sound: npt.NDArray[np.float32], n_samples: int) -> npt.NDArray[np.float32]:
    """Sound of shape (m, channels) cut or padded to ``n_samples``: resampling may round its length."""
    fitted = np.zeros((n_samples, sound.shape[1]), dtype=np.float32)
    fitted[: min(n_samples, len(sound))] = sound[:n_samples]
    return fitted
