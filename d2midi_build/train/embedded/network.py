"""The embedded transcriber's network, in PyTorch; only its ONNX form is used outside training."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from d2midi_build.transcribers.embedded.decode import DRUM_NAMES, INSTRUMENT_CLASSES
from d2midi_build.transcribers.embedded.features import BINS_PER_SEMITONE, N_DRUM_BANDS, N_PITCHES

_STEM: Final = 16
_WIDTH: Final = 40

FRAMES_PER_STEP: Final = 2
"""The network works on steps of two frames (46 ms) and answers for each frame: half the work."""

_OVERTONES: Final = (-12, 0, 12, 19, 24, 28, 31, 34, 36)
"""Semitones from a pitch to half its frequency, itself, and its overtones up to the eighth."""

_TOP: Final = 20
_BOTTOM: Final = 12
_DRUM_WIDTH: Final = 64


class Network(nn.Module):
    """Onsets, sounding pitches, instruments and drum hits.

    Log-frequency spectra are stacked by overtones, joined with basic-pitch's activations and go through
    residual convolutions over time and pitch (about 0.4 s of context). Drums have a smaller branch of
    their own on mel bands.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spectra_norm = nn.BatchNorm2d(2)
        # Two frames and two on either side; three bins of each semitone and one on either side.
        self.stem = nn.Sequential(
            nn.Conv2d(2, _STEM, (6, 5), stride=(2, BINS_PER_SEMITONE), padding=(2, 1), bias=False),
            nn.BatchNorm2d(_STEM),
            nn.ReLU(),
        )
        self.join = nn.Sequential(
            nn.Conv2d(_STEM * len(_OVERTONES) + 2 * FRAMES_PER_STEP, _WIDTH, 1, bias=False),
            nn.BatchNorm2d(_WIDTH),
            nn.ReLU(),
        )
        self.trunk = nn.Sequential(
            _Local(1), _Octaves(), _Local(2), _Local(1), _Octaves(), _Local(4), _Local(1)
        )
        self.notes = nn.Conv2d(_WIDTH, 2 * FRAMES_PER_STEP, 1)
        self.timbre = nn.Sequential(_Local(1), _Local(2), _Local(4), _Octaves(), _Throughout(), _Local(1))
        self.instruments = nn.Conv2d(_WIDTH, len(INSTRUMENT_CLASSES), 1)
        self.drums = _Drums()

    def forward(self, spectra: Tensor, activations: Tensor, drums: Tensor) -> tuple[Tensor, ...]:
        """Logits.

        Parameters
        ----------
        spectra : Tensor, shape (batch, 2, frames, bins)
        activations : Tensor, shape (batch, 2, frames, pitches)
        drums : Tensor, shape (batch, 2 * frames, bands)

        Returns
        -------
        tuple of Tensor
            Onsets and sounding notes, each (batch, frames, pitches); instruments of notes that start there
            (batch, instruments, frames / 2, pitches), several may be right; drum hits (batch, 2 * frames, drums).
        """
        x = self.heard(spectra, activations)
        batch, _, frames, pitches = activations.shape
        notes = self.notes(x).reshape(batch, 2, FRAMES_PER_STEP, -1, pitches).transpose(2, 3)
        notes = notes.reshape(batch, 2, frames, pitches)
        return notes[:, 0], notes[:, 1], self.instruments(self.timbre(x)), self.drums(drums)

    def heard(self, spectra: Tensor, activations: Tensor) -> Tensor:
        """What notes and instruments are told from: shape (batch, width, frames / 2, pitches)."""
        x = self.stem(self.spectra_norm(spectra))
        x = functional.pad(x, (_BOTTOM, _TOP))
        stacked = [x[..., _BOTTOM + up : _BOTTOM + up + N_PITCHES] for up in _OVERTONES]
        batch, _, frames, pitches = activations.shape
        steps = activations.reshape(batch, 2, frames // FRAMES_PER_STEP, FRAMES_PER_STEP, pitches)
        steps = steps.permute(0, 1, 3, 2, 4).flatten(1, 2)
        out: Tensor = self.trunk(self.join(torch.cat([*stacked, steps], dim=1)))
        return out


class _Local(nn.Module):
    """A residual 3 x 3 convolution, spread in time."""

    def __init__(self, spread: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(_WIDTH, _WIDTH, 3, padding=(spread, 1), dilation=(spread, 1), bias=False),
            nn.BatchNorm2d(_WIDTH),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out


class _Octaves(nn.Module):
    """A residual look at what sounds an octave, a twelfth or two octaves away."""

    def __init__(self) -> None:
        super().__init__()
        self.reach = nn.Conv2d(_WIDTH, _WIDTH // 2, 1, bias=False)
        self.layers = nn.Sequential(
            nn.Conv2d(_WIDTH // 2 * 7, _WIDTH, 1, bias=False), nn.BatchNorm2d(_WIDTH), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        narrow = functional.pad(self.reach(x), (24, 24))
        around = [narrow[..., 24 + up : 24 + up + N_PITCHES] for up in (-24, -19, -12, 0, 12, 19, 24)]
        out: Tensor = x + self.layers(torch.cat(around, dim=1))
        return out


class _Throughout(nn.Module):
    """What is heard anywhere in the excerpt, told to every note: bands seldom change their instruments."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2 * _WIDTH, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, _WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        heard = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=3).mean(dim=2)], dim=1)
        out: Tensor = x + self.layers(heard)[:, :, None, None]
        return out


class _Drums(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.bands = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d((1, 2)),
            nn.Conv2d(16, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d((1, 2)),
        )
        self.join = nn.Sequential(
            nn.Conv1d(32 * N_DRUM_BANDS // 4, _DRUM_WIDTH, 1, bias=False),
            nn.BatchNorm1d(_DRUM_WIDTH),
            nn.ReLU(),
        )
        self.times = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(_DRUM_WIDTH, _DRUM_WIDTH, 3, padding=spread, dilation=spread, bias=False),
                nn.BatchNorm1d(_DRUM_WIDTH),
                nn.ReLU(),
                nn.Dropout(0.1),
            )
            for spread in (1, 2, 4, 8)
        )
        self.hits = nn.Conv1d(_DRUM_WIDTH, len(DRUM_NAMES), 1)

    def forward(self, drums: Tensor) -> Tensor:
        x = self.bands(self.norm(drums[:, None]))
        x = self.join(x.permute(0, 1, 3, 2).flatten(1, 2))
        for layer in self.times:
            x = x + layer(x)
        hits: Tensor = self.hits(x)
        return hits.transpose(1, 2)


class Probabilities(nn.Module):
    """The network with probabilities in place of logits: what is exported."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, *seen: Tensor) -> tuple[Any, ...]:
        return tuple(torch.sigmoid(answer) for answer in self.network(*seen))
