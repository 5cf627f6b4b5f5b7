"""The embedded transcriber's networks, in PyTorch; only their ONNX forms are used outside training."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from d2midi_build.transcribers.embedded.decode import (
    CHUNK_FRAMES,
    DRUM_NAMES,
    FRAMES_PER_STEP,
    INSTRUMENT_CLASSES,
)
from d2midi_build.transcribers.embedded.description import n_columns
from d2midi_build.transcribers.embedded.features import BINS_PER_SEMITONE, N_BINS, N_DRUM_BANDS, N_PITCHES

_STEM: Final = 16
_WIDTH: Final = 40

_OVERTONES: Final = (-12, 0, 12, 19, 24, 28, 31, 34, 36)
"""Semitones from a pitch to half its frequency, itself, and its overtones up to the eighth."""

_TOP: Final = 20
_BOTTOM: Final = 12
_DRUM_WIDTH: Final = 64

_NOTE_WIDTH: Final = 128
_NOTE_INNER: Final = 256
_HEADS: Final = 4
_SLOTS: Final = 24
_DROPOUT: Final = 0.25

N_COLUMNS: Final = n_columns(_WIDTH, _WIDTH)
"""Columns of a candidate's description."""

_PITCH_CYCLES: Final = (12.0, 24.0, 48.0)
_TIME_CYCLES_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


class Network(nn.Module):
    """The first network: onsets, sounding pitches and drum hits.

    Log-frequency spectra are stacked by overtones, joined with basic-pitch's activations and go through
    residual convolutions over time and pitch (about 0.4 s of context). Drums have a smaller branch of
    their own on mel bands. The instruments of onsets are learned beside them so that the inner answers, which the
    second network sees, tell instruments apart; what they say themselves is not used.
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
        return *self.noted(x), self.instruments(self.timbre(x)), self.drums(drums)

    def noted(self, heard: Tensor) -> tuple[Tensor, Tensor]:
        """Onsets and sounding notes from what `heard` answers."""
        batch, _, steps, pitches = heard.shape
        notes = self.notes(heard).reshape(batch, 2, FRAMES_PER_STEP, steps, pitches).transpose(2, 3)
        notes = notes.reshape(batch, 2, FRAMES_PER_STEP * steps, pitches)
        return notes[:, 0], notes[:, 1]

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


class Heard(nn.Module):
    """What is exported of the first network: probabilities, and the inner answers the second one sees."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, spectra: Tensor, activations: Tensor, drums: Tensor) -> tuple[Tensor, ...]:
        """Onsets, sounding notes and hits as probabilities, then both inner answers."""
        heard = self.network.heard(spectra, activations)
        onset, frame = self.network.noted(heard)
        hits = self.network.drums(drums)
        return onset.sigmoid(), frame.sigmoid(), hits.sigmoid(), heard, self.network.timbre(heard)


class NoteNetwork(nn.Module):
    """The second network: which candidates are notes, and whose.

    Every candidate is described by a row. All of 20 s tell a few slots what they are like and hear from them what the
    others are like (induced set attention, Lee et al., 2019): as many slots as a band might have sounds, so that the
    work grows with the number of candidates and not with its square.

    Parameters
    ----------
    mean, spread : Tensor, shape (N_COLUMNS,)
        Of the descriptions.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        n = len(mean) + 1 + 2 * len(_PITCH_CYCLES) + 2 * len(_TIME_CYCLES_S)
        self.row = nn.Sequential(
            nn.Linear(n, _NOTE_INNER), nn.ReLU(), nn.Dropout(_DROPOUT), nn.Linear(_NOTE_INNER, _NOTE_WIDTH)
        )
        self.blocks = nn.ModuleList([_Together(), _Together()])
        self.answer = nn.Sequential(
            nn.LayerNorm(_NOTE_WIDTH), nn.Linear(_NOTE_WIDTH, 1 + len(INSTRUMENT_CLASSES))
        )

    def forward(
        self, description: Tensor, time_s: Tensor, pitch: Tensor, absent: Tensor | None = None
    ) -> Tensor:
        """Logits of "is a note" and of each instrument, shape (batch, n, 13).

        Parameters
        ----------
        description : Tensor, shape (batch, n, N_COLUMNS)
        time_s, pitch : Tensor, shape (batch, n)
        absent : Tensor, shape (batch, n), bool, optional
            Rows that only fill up.
        """
        cycles = [2 * torch.pi * pitch / cycle for cycle in _PITCH_CYCLES]
        cycles += [2 * torch.pi * time_s / cycle for cycle in _TIME_CYCLES_S]
        place = [(pitch - 60) / 24, *(torch.sin(c) for c in cycles), *(torch.cos(c) for c in cycles)]
        x = torch.cat([(description - self.mean) / self.spread, torch.stack(place, dim=-1)], dim=-1)
        x = self.row(x)
        for block in self.blocks:
            x = block(x, absent)
        answer: Tensor = self.answer(x)
        return answer


class _Together(nn.Module):
    """Candidates tell slots about themselves, and hear what the slots make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = nn.Parameter(0.5 * torch.randn(1, _SLOTS, _NOTE_WIDTH))
        self.gather, self.tell = _Attention(), _Attention()
        self.norms = nn.ModuleList(nn.LayerNorm(_NOTE_WIDTH) for _ in range(4))
        self.think = nn.Sequential(
            nn.Linear(_NOTE_WIDTH, 2 * _NOTE_WIDTH), nn.ReLU(), nn.Linear(2 * _NOTE_WIDTH, _NOTE_WIDTH)
        )
        self.layers = nn.Sequential(
            nn.Linear(_NOTE_WIDTH, _NOTE_INNER),
            nn.ReLU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(_NOTE_INNER, _NOTE_WIDTH),
        )

    def forward(self, x: Tensor, absent: Tensor | None) -> Tensor:
        seen = self.norms[0](x)
        slots = self.slots.expand(x.shape[0], -1, -1)
        slots = slots + self.gather(slots, seen, absent)
        slots = slots + self.think(self.norms[1](slots))
        x = x + self.tell(seen, self.norms[2](slots), None)
        out: Tensor = x + self.layers(self.norms[3](x))
        return out


class _Attention(nn.Module):
    """Multi-head attention, written out: exports to plain matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(_NOTE_WIDTH, _NOTE_WIDTH)
        self.key, self.value = nn.Linear(_NOTE_WIDTH, _NOTE_WIDTH), nn.Linear(_NOTE_WIDTH, _NOTE_WIDTH)
        self.out = nn.Linear(_NOTE_WIDTH, _NOTE_WIDTH)

    def forward(self, to: Tensor, of: Tensor, absent: Tensor | None) -> Tensor:
        query, key, value = (
            layer(x).unflatten(2, (_HEADS, _NOTE_WIDTH // _HEADS)).transpose(1, 2)
            for layer, x in ((self.query, to), (self.key, of), (self.value, of))
        )
        weights = query @ key.transpose(2, 3) / (_NOTE_WIDTH // _HEADS) ** 0.5
        if absent is not None:
            weights = weights.masked_fill(absent[:, None, None], -1e4)
        out: Tensor = self.out((weights.softmax(dim=-1) @ value).transpose(1, 2).flatten(2))
        return out


class Judged(nn.Module):
    """What is exported of the second network: probabilities for the candidates of one stretch."""

    def __init__(self, network: NoteNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, description: Tensor, time_s: Tensor, pitch: Tensor) -> tuple[Tensor, Tensor]:
        """Shapes (n,) and (n, 12)."""
        p = self.network(description[None], time_s[None], pitch[None])[0].sigmoid()
        return p[:, 0], p[:, 1:]


def export(network: Network, path: Path) -> None:
    """Write the first network for inputs of one chunk as ONNX."""
    shapes = [
        (1, 2, CHUNK_FRAMES, N_BINS),
        (1, 2, CHUNK_FRAMES, N_PITCHES),
        (1, 2 * CHUNK_FRAMES, N_DRUM_BANDS),
    ]
    _export(
        Heard(network),
        tuple(torch.zeros(shape) for shape in shapes),
        path,
        ["spectra", "activations", "drums"],
        ["onset", "frame", "hits", "heard", "timbre"],
        {},
    )


def export_notes(network: NoteNetwork, path: Path) -> None:
    """Write the second network for any number of candidates as ONNX."""
    inputs = ["description", "time_s", "pitch"]
    _export(
        Judged(network),
        (torch.zeros(5, len(network.mean)), torch.zeros(5), torch.zeros(5)),
        path,
        inputs,
        ["likely", "instruments"],
        {name: {0: "candidates"} for name in (*inputs, "likely", "instruments")},
    )


def _export(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    input_names: list[str],
    output_names: list[str],
    dynamic_axes: dict[str, dict[int, str]],
) -> None:
    partial = path.with_suffix(".partial")
    with warnings.catch_warnings():
        # The exporter that PyTorch now prefers needs onnxscript; this one says so, and that it folds no constants.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            inputs,
            partial,
            input_names=input_names,
            output_names=output_names,
            dynamic_axes=dynamic_axes,
            dynamo=False,
            opset_version=17,
        )
    partial.replace(path)
