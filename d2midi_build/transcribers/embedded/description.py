"""What the second network sees of each candidate: the sound around its onset, at its pitch and its overtones."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build.transcribers.embedded.decode import FRAMES_PER_STEP, Floats, Peaks, logit
from d2midi_build.transcribers.embedded.features import BINS_PER_SEMITONE

SEMITONES: Final = (-12, -5, 0, 7, 12, 19, 24, 28, 31, 34, 36, 38, 40, 42, 43)
"""The pitch, its overtones up to the twelfth, and three places where those of other notes would be."""

_SHORT: Final = (-3, -1, 0, 1, 2, 3, 4, 6, 8, 12, 16, 24)
"""Frames from the onset at which the spectra of the short window are taken."""

_LONG: Final = (-8, 4, 8, 16)
"""The same of the long window."""

_HEARD_STEPS: Final = (-1, 0, 1, 2, 3, 4, 5)
_TIMBRE_STEPS: Final = (0, 1, 2)
_SOUNDING: Final = (2, 5, 10, 20, 40, 60)

N_SHORT: Final = len(SEMITONES) * len(_SHORT)
N_LONG: Final = len(SEMITONES) * len(_LONG) * BINS_PER_SEMITONE
"""The first `N_SHORT` columns are by frame and semitone, the next `N_LONG` by frame, semitone and bin."""


def n_columns(heard: int, timbre: int) -> int:
    """Columns of a description, given the widths of the first network's inner answers."""
    inner = heard * len(_HEARD_STEPS) + timbre * len(_TIMBRE_STEPS)
    return N_SHORT + N_LONG + inner + len(_SOUNDING) + 2


def describe(found: Peaks, spectra: Floats, frame: Floats, heard: Floats, timbre: Floats) -> Floats:
    """One row per candidate.

    Parameters
    ----------
    found : Peaks
        Of a chunk.
    spectra : np.ndarray, shape (2, frames, bins)
        Of that chunk, as in `Features`.
    frame : np.ndarray, shape (frames, pitches)
        How much each pitch sounds.
    heard, timbre : np.ndarray, shape (width, steps, pitches)
        The first network's inner answers.
    """
    k, row = found.k[:, None], found.row[:, None]
    bins = np.arange(BINS_PER_SEMITONE)
    places = ((row + np.array(SEMITONES)) * BINS_PER_SEMITONE)[:, :, None] + bins
    steps = found.k[:, None] // FRAMES_PER_STEP
    after = frame[_inside(found.k[:, None] + np.arange(1, 6), len(frame)), row].mean(axis=1)
    parts: list[npt.NDArray[Any]] = [
        _taken(spectra[1], k + np.array(_SHORT), places).max(axis=3),
        _taken(spectra[0], k + np.array(_LONG), places),
        heard[:, _inside(steps + np.array(_HEARD_STEPS), heard.shape[1]), row].transpose(1, 2, 0),
        timbre[:, _inside(steps + np.array(_TIMBRE_STEPS), timbre.shape[1]), row].transpose(1, 2, 0),
        frame[_inside(k + np.array(_SOUNDING), len(frame)), row],
        logit(found.strength),
        logit(after),
    ]
    rows = [part.reshape(len(k), int(np.prod(part.shape[1:]))) for part in parts]
    return np.asarray(np.concatenate(rows, axis=1), dtype=np.float32)


def _inside(at: npt.NDArray[Any], n: int) -> npt.NDArray[Any]:
    return np.clip(at, 0, n - 1)


def _taken(spectrum: Floats, frames: npt.NDArray[Any], places: npt.NDArray[Any]) -> Floats:
    """``spectrum`` at (n, f) frames and (n, s, b) bins: shape (n, f, s, b), 0 outside."""
    inside = ((frames >= 0) & (frames < len(spectrum)))[:, :, None, None] & (
        (places >= 0) & (places < spectrum.shape[1])
    )[:, None]
    taken = spectrum[
        _inside(frames, len(spectrum))[:, :, None, None], _inside(places, spectrum.shape[1])[:, None]
    ]
    return np.asarray(np.where(inside, taken, 0.0), dtype=np.float32)
