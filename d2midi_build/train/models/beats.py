"""A beat head: from a dance to where the music's beats are, frame by frame.

It sees about 0.8 s of the dance on each side of a frame and nothing of the music, so it cannot go on with a rhythm
that it has heard: what it knows of beats, it knows from the dance (facts/baselines.md, section 3.4).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from d2midi_build import clock

FloatArray = npt.NDArray[np.float64]

_BESIDE: Final = 0.5
"""Of the two frames next to a beat: a beat is known to about a frame (facts/baselines.md, section 1.1)."""

_APART_S: Final = 0.25
"""Beats are further apart than that up to 240 beats/min."""


class BeatHead(nn.Module):
    """Dilated convolutions over time, each added to what comes in.

    Parameters
    ----------
    n_features : int
        Numbers per frame.
    width : int, optional
        Channels. Default is 32: 16,000 weights with 39 features.
    layers : int, optional
        The i-th (from 0) is dilated by 2^i frames. Default is 4: 16 frames on each side.
    dropout : float, optional
        Default is 0.1.
    """

    def __init__(self, n_features: int, width: int = 32, layers: int = 4, dropout: float = 0.1) -> None:
        super().__init__()
        self.read = nn.Conv1d(n_features, width, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=2**layer, dilation=2**layer) for layer in range(layers)
        )
        self.dropout = nn.Dropout(dropout)
        self.told = nn.Conv1d(width, 1, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits, shape (batch, n_frames), of features of shape (batch, n_frames, n_features)."""
        hidden = torch.relu(self.read(features.transpose(1, 2)))
        for layer in self.layers:
            hidden = hidden + self.dropout(torch.relu(layer(hidden)))
        logits: torch.Tensor = self.told(hidden)[:, 0]
        return logits


def soft_beats(beats_s: npt.ArrayLike, n_frames: int) -> npt.NDArray[np.float32]:
    """Targets: 1 in the frame next to a beat, 0.5 in the two beside it, else 0.

    Parameters
    ----------
    beats_s : array_like, shape (n_beats,)
        Seconds; those outside the frames do not count.
    n_frames : int

    Returns
    -------
    np.ndarray, shape (n_frames,), float32
    """
    at = np.round(np.asarray(beats_s, np.float64) * clock.FPS).astype(np.int64)
    targets = np.zeros(n_frames + 2, np.float32)
    at = at[(at >= 0) & (at < n_frames)] + 1
    for beside in (at - 1, at + 1):
        targets[beside] = _BESIDE
    targets[at] = 1.0
    return targets[1:-1]


def picked(logits: npt.ArrayLike, least: float = 0.0) -> FloatArray:
    """Beats that logits say: their peaks, the highest first, at least 0.25 s apart.

    Parameters
    ----------
    logits : array_like, shape (n_frames,)
    least : float, optional
        Lower peaks are none. Default is 0: more likely than not.

    Returns
    -------
    np.ndarray, shape (n,), float64
        Ascending seconds, between frames by a parabola through each peak and its neighbours.
    """
    from scipy.signal import find_peaks

    given = np.asarray(logits, np.float64)
    if not len(given):
        return np.empty(0)
    padded = np.concatenate([[-np.inf], given, [-np.inf]])
    peaks = find_peaks(padded, height=least, distance=round(_APART_S * clock.FPS))[0] - 1
    inner = np.clip(peaks, 1, max(len(given) - 2, 1))
    whole = peaks == inner
    before, here, after = (given[np.clip(inner + step, 0, len(given) - 1)] for step in (-1, 0, 1))
    bend = before - 2 * here + after
    shift = np.where(whole & (bend < 0), (before - after) / np.where(bend < 0, 2 * bend, 1.0), 0.0)
    return np.asarray((peaks + shift) / clock.FPS)
