"""A style encoder: from a dance to its genre (the style branch of Dance2MIDI, section 4.1, made small)."""

from __future__ import annotations

import torch
from torch import nn


class StyleEncoder(nn.Module):
    """Two convolutions over time, each of every second frame, and the mean of what they find.

    Parameters
    ----------
    n_features : int
        Numbers per frame.
    n_genres : int
    width : int, optional
        Channels. Default is 48: 21,000 weights with 39 features.
    dropout : float, optional
        Of what is said of the whole crop. Default is 0.3.
    """

    def __init__(self, n_features: int, n_genres: int, width: int = 48, dropout: float = 0.3) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(n_features, width, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv1d(width, width, 5, stride=2, padding=2),
            nn.ReLU(),
        )
        self.dropout = nn.Dropout(dropout)
        self.told = nn.Linear(width, n_genres)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits, shape (batch, n_genres), of features of shape (batch, n_frames, n_features)."""
        style = self.layers(features.transpose(1, 2)).mean(dim=2)
        logits: torch.Tensor = self.told(self.dropout(style))
        return logits
