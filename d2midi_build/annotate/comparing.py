"""How alike two versions of the same seconds are: counts of notes that match, to be added up.

Notes are matched as everywhere in d2midi (`music.scores`, mir_eval's rules): pitched ones by pitch and onset within
50 ms, with the offset within 50 ms or a fifth of the reference's length where it counts, drum hits by key and onset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from d2midi_build.annotate.figures import Figure, FloatArray, Resampling, f1, ratio
from d2midi_build.annotate.figures import kappa as kappa_of
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.notes import Notes
from d2midi_build.music.scores import (
    Score,
    drum_pairs,
    drum_score,
    instrument_confusion,
    instrument_pairs,
    instrument_score,
    onset_offset_score,
    onset_score,
    summed,
)

Measure = Literal["notes", "onset", "onset_offset", "onset_instrument", "onset_offset_instrument", "drums"]

MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)
"""``notes`` is all there is, pitched notes whatever plays them and drums; the four that begin with ``onset`` are of
pitched notes alone."""

WORDS: Final[dict[Measure, str]] = {
    "notes": "all notes: pitch or drum, and onset",
    "onset": "pitched notes: pitch and onset",
    "onset_offset": "... and offset",
    "onset_instrument": "... and instrument",
    "onset_offset_instrument": "... and offset and instrument",
    "drums": "drum hits: key and onset",
}


@dataclass(frozen=True, eq=False)
class Compared:
    """Two versions of the same seconds.

    Attributes
    ----------
    source : str
        What they are of: its video.
    scores : mapping of str to Score
        By measure.
    confusion : np.ndarray, shape (13, 13), int64
        `music.scores.instrument_confusion`.
    apart_s : np.ndarray, shape (m,), float64
        Onset less the reference's onset, of all notes that match by pitch or key.
    """

    source: str
    scores: Mapping[Measure, Score]
    confusion: npt.NDArray[np.int64]
    apart_s: FloatArray


@dataclass(frozen=True)
class Scored:
    """A measure over all that was compared: precision and recall (None of nothing), and F1 with its interval."""

    precision: float | None
    recall: float | None
    f1: Figure

    def data(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1.data()}


@dataclass(frozen=True)
class Likeness:
    """How alike versions are.

    Attributes
    ----------
    scores : mapping of str to Scored
        By measure.
    kappa : Figure
        Cohen's, on the instruments of pitched notes that match by pitch and onset; None where both know one only.
    same_instrument : Figure
        Share of these notes whose instrument is the same.
    """

    scores: Mapping[Measure, Scored]
    kappa: Figure
    same_instrument: Figure

    def data(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "scores": {name: scored.data() for name, scored in self.scores.items()},
            "kappa": self.kappa.data(),
            "same_instrument": self.same_instrument.data(),
        }


def compared(reference: Notes, estimated: Notes, source: str) -> Compared:
    """Compare two versions of the same seconds."""
    onset, drums = onset_score(reference, estimated), drum_score(reference, estimated)
    scores: dict[Measure, Score] = {
        "notes": summed([onset, drums]),
        "onset": onset,
        "onset_offset": onset_offset_score(reference, estimated),
        "onset_instrument": instrument_score(reference, estimated),
        "onset_offset_instrument": _offset_instrument_score(reference, estimated),
        "drums": drums,
    }
    pairs = np.concatenate([instrument_pairs(reference, estimated), drum_pairs(reference, estimated)])
    apart_s = estimated.onset_s[pairs[:, 1]] - reference.onset_s[pairs[:, 0]]
    return Compared(source, scores, instrument_confusion(reference, estimated), apart_s)


def likeness(found: Sequence[Compared], rng: np.random.Generator) -> Likeness:
    """How alike versions are over all that was compared, counts added up."""
    resampling = Resampling([each.source for each in found], rng)
    tables = np.array([each.confusion.ravel() for each in found]).reshape(len(found), len(INSTRUMENTS) ** 2)
    right = [(each.confusion.trace(), each.confusion.sum()) for each in found]
    return Likeness(
        {name: _scored([each.scores[name] for each in found], resampling) for name in MEASURES},
        resampling.figure(tables, kappa_of),
        resampling.figure(np.array(right).reshape(-1, 2), ratio),
    )


def _scored(scores: Sequence[Score], resampling: Resampling) -> Scored:
    counts = np.array([(each.n_matched, each.n_reference, each.n_estimated) for each in scores])
    counts = counts.reshape(-1, 3)
    matched, n_reference, n_estimated = counts.sum(axis=0).tolist()
    return Scored(
        matched / n_estimated if n_estimated else None,
        matched / n_reference if n_reference else None,
        resampling.figure(counts, f1),
    )


def _offset_instrument_score(reference: Notes, estimated: Notes) -> Score:
    def of(notes: Notes, name: str) -> Notes:
        return notes.where(notes.instrument == name)

    names = sorted({*reference.pitched().instrument, *estimated.pitched().instrument})
    return summed([onset_offset_score(of(reference, name), of(estimated, name)) for name in names])
