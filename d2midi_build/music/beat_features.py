"""What starts in every hundredth of a second of a recording: for finding beats."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build.music.instruments import BASS, PATTERN_KEYS
from d2midi_build.music.notes import Notes

FloatArray = npt.NDArray[np.float64]

FRAMES_PER_S: Final = 100
"""Frames of the analysis per second: beats are found to 10 ms."""

FEATURES: Final = (
    "flux",
    "low_flux",
    "mid_flux",
    "high_flux",
    "pitched",
    "bass",
    "long",
    "kick",
    "snare",
    "hat",
    "harmony",
    "bass_moves",
)
"""What describes a frame, in this order."""

_BANDS_HZ: Final = np.geomspace(40.0, 16_000.0, 25)
_RANGES_HZ: Final = ((0.0, 160.0), (160.0, 2_500.0), (2_500.0, 20_000.0))
_WINDOW_S: Final = 0.0464
_FLOOR: Final = 1e-4
_SILENCE: Final = 1e-7


def features(audio: npt.NDArray[np.float32], sample_rate_hz: int, notes: Notes) -> npt.NDArray[np.float32]:
    """What starts in every frame: shape (n_frames, n_features), `FRAMES_PER_S` per second.

    Parameters
    ----------
    audio : np.ndarray, shape (n,) or (n, channels), float32
        Finite samples; channels are averaged.
    sample_rate_hz : int
    notes : Notes
        What was transcribed from it; may be none.
    """
    n_frames = int(np.ceil(len(audio) * FRAMES_PER_S / sample_rate_hz)) + 1
    found = np.zeros((n_frames, len(FEATURES)), dtype=np.float32)
    found[:, :4] = _flux(audio, sample_rate_hz, n_frames)
    found[:, 4:] = _note_onsets(notes, n_frames)
    return found


def _flux(audio: npt.NDArray[np.float32], sample_rate_hz: int, n_frames: int) -> npt.NDArray[np.float32]:
    """Growth of log energy, of all bands and of three ranges, over its mean within 4 s: shape (n_frames, 4)."""
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    energy = _band_energy(audio, sample_rate_hz, n_frames)
    loud = max(float(np.percentile(energy.sum(axis=1), 95)), _SILENCE)
    level = np.log10(energy / np.float32(loud) + np.float32(_FLOOR))
    growth = np.zeros_like(level)
    growth[2:] = np.maximum(level[2:] - level[:-2], 0.0)
    centre = np.sqrt(_BANDS_HZ[1:] * _BANDS_HZ[:-1])
    columns = [growth.mean(axis=1)]
    columns += [growth[:, (low <= centre) & (centre < high)].mean(axis=1) for low, high in _RANGES_HZ]
    flux = np.stack(columns, axis=1)
    mean = uniform_filter1d(flux, 8 * FRAMES_PER_S + 1, axis=0, mode="nearest")
    # A quarter of the mean over everything keeps the hiss between pieces from being blown up.
    floor = 0.25 * flux.mean(axis=0) + 1e-4
    return np.asarray(np.log1p(maximum_filter1d(flux, 3, axis=0) / np.maximum(mean, floor)), dtype=np.float32)


def _band_energy(
    audio: npt.NDArray[np.float32], sample_rate_hz: int, n_frames: int
) -> npt.NDArray[np.float32]:
    """Energy of 24 bands: shape (n_frames, 24). Bands over the recording's bandwidth hold nothing."""
    from scipy.fft import next_fast_len, rfft

    length = max(round(_WINDOW_S * sample_rate_hz), 16)
    size = next_fast_len(length, real=True)
    window = np.hanning(length).astype(np.float32)
    hz = np.fft.rfftfreq(size, 1 / sample_rate_hz)
    member = ((hz[:, None] >= _BANDS_HZ[:-1]) & (hz[:, None] < _BANDS_HZ[1:])).astype(np.float32)
    for band in np.flatnonzero(~member.any(axis=0)):  # narrower than a bin: take the nearest one
        if _BANDS_HZ[band] < sample_rate_hz / 2:
            member[np.argmin(np.abs(hz - np.sqrt(_BANDS_HZ[band] * _BANDS_HZ[band + 1]))), band] = 1.0
    member /= np.maximum(member.sum(axis=0), 1.0)
    energy = np.zeros((n_frames, len(_BANDS_HZ) - 1), dtype=np.float32)
    for first in range(0, n_frames, 1000):  # ten seconds at a time, to bound memory
        last = min(first + 1000, n_frames)
        starts = (
            np.round(np.arange(first, last) * (sample_rate_hz / FRAMES_PER_S)).astype(np.int64) - length // 2
        )
        low, high = int(starts[0]), int(starts[-1]) + length
        piece = audio[max(low, 0) : min(high, len(audio))]
        mono = piece.mean(axis=1) if piece.ndim == 2 else piece
        padded = np.pad(mono, (max(-low, 0), max(high - max(len(audio), 0), 0)))[: high - low]
        frames = np.lib.stride_tricks.sliding_window_view(padded, length)[starts - low] * window
        spectrum = rfft(frames, size, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        energy[first:last] = power @ member / np.float32(window.sum()) ** 2
    return energy


def _note_onsets(notes: Notes, n_frames: int) -> npt.NDArray[np.float32]:
    """What the notes say starts in each frame: shape (n_frames, 8)."""
    found = np.zeros((n_frames, 8), dtype=np.float32)
    frame = np.round(notes.onset_s * FRAMES_PER_S).astype(np.int64)
    inside = frame < n_frames
    notes, frame = notes.where(inside), frame[inside]
    if not len(notes):
        return found
    p = notes.p_note.astype(np.float64)
    pitched = ~notes.is_drum
    bass = pitched & ((notes.instrument == BASS.name) | (notes.pitch < 45))
    length = np.minimum(notes.offset_s - notes.onset_s, 1.0)

    def summed(which: npt.NDArray[np.bool_], weight: FloatArray) -> npt.NDArray[np.float64]:
        hits: FloatArray = np.bincount(frame[which], weight[which], n_frames).astype(np.float64)
        return _smeared(hits)

    found[:, 0] = np.sqrt(summed(pitched, p))
    found[:, 1] = np.minimum(summed(bass, p), 1.0)
    found[:, 2] = np.sqrt(summed(pitched, p * length))
    for column, keys in enumerate(PATTERN_KEYS.values(), 3):
        found[:, column] = np.minimum(summed(notes.is_drum & np.isin(notes.pitch, keys), p), 1.0)
    found[:, 6] = _harmony_changes(notes.where(pitched), n_frames) * np.minimum(found[:, 0], 1.0)
    moved = np.zeros(len(notes))
    low = np.flatnonzero(bass)
    low = low[np.argsort(notes.onset_s[low], kind="stable")]
    moved[low[1:]] = notes.pitch[low[1:]] % 12 != notes.pitch[low[:-1]] % 12
    found[:, 7] = np.minimum(summed(bass, p * moved), 1.0)
    return found


def _smeared(hits: FloatArray) -> FloatArray:
    """Hits as triangles that reach 40 ms to either side: notes are early or late by that."""
    return np.convolve(hits, 1.0 - np.abs(np.arange(-4, 5)) / 5, mode="same")[: len(hits)]


def _harmony_changes(notes: Notes, n_frames: int) -> npt.NDArray[np.float32]:
    """How much the pitch classes of the next 0.6 s differ from those of the last: 1 - cosine, shape (n_frames,)."""
    reach = round(0.6 * FRAMES_PER_S)
    steps = np.zeros((n_frames + 2 * reach + 1, 12), dtype=np.float32)
    start = np.round(notes.onset_s * FRAMES_PER_S).astype(np.int64)
    # A note fades: half a second of it counts at most.
    end = np.minimum(np.round(notes.offset_s * FRAMES_PER_S).astype(np.int64), start + 50)
    end = np.maximum(end, start + 1)
    for frame, sign in ((start, 1.0), (end, -1.0)):
        np.add.at(steps, (np.minimum(frame, n_frames) + reach, notes.pitch % 12), sign * notes.p_note)
    total = np.concatenate([np.zeros((1, 12), np.float32), np.cumsum(np.cumsum(steps, axis=0), axis=0)])
    here = np.arange(n_frames) + reach
    # 30 ms early, so that the onset itself belongs to what comes.
    after = total[here - 3 + reach] - total[here - 3]
    before = total[here - 3] - total[here - 3 - reach]
    norm = np.linalg.norm(after, axis=1) * np.linalg.norm(before, axis=1)
    change = 1.0 - (after * before).sum(axis=1) / np.maximum(norm, 1e-6)
    return np.where(norm > 1e-6, change, 0.0).astype(np.float32)
