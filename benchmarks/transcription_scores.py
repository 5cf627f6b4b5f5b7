"""Every score of one piece: what was heard against what was played."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from transcription_pieces import Piece

from d2midi_build.music.beat_scores import beat_score, tempo_ratio_error
from d2midi_build.music.beats import find_beats
from d2midi_build.music.instruments import DRUM_CLASSES, INSTRUMENTS
from d2midi_build.music.notes import Notes
from d2midi_build.music.scores import (
    Score,
    drum_class_score,
    drum_pairs,
    in_drum_classes,
    instrument_confusion,
    instrument_pairs,
    instrument_score,
    multi_instrument_score,
    note_pairs,
    octave_error_rate,
    onset_offset_score,
    onset_score,
)

POLYPHONY: Final = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 8), (9, 128))
LOWEST: Final = (0, 36, 48, 60, 72, 84)
"""Lowest pitch of each range: below C2, then octaves from C2 to B5, then from C6 on."""

_BIAS_TOLERANCE_S: Final = 0.1

Counts = tuple[int, int, int]
"""Matched, in the reference, estimated."""


@dataclass
class Heard:
    """What one transcriber made of one piece under one condition.

    Attributes
    ----------
    scores : dict of str to float or None
        0-1 each; None where there was nothing to score.
    counts : dict of str to Counts
        By instrument, drum class, polyphony and pitch range, to be added up over pieces.
    confusion : np.ndarray, shape (13, 13), int64
    late_s : dict of str to np.ndarray
        Estimated minus true onset of the pairs within 100 ms, ``"pitched"`` and ``"drums"``.
    trust : dict of str to (np.ndarray, np.ndarray)
        Per kind of probability: the probabilities and whether each came true.
    cpu_s : float
        CPU seconds of the whole call, of all its threads.
    """

    scores: dict[str, float | None]
    counts: dict[str, Counts]
    confusion: npt.NDArray[np.int64]
    late_s: dict[str, npt.NDArray[np.float64]]
    trust: dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]]
    cpu_s: float | None


def compare(
    truth: Notes,
    found: Notes,
    cpu_s: float | None = None,
    beats: dict[str, float | None] | None = None,
) -> Heard:
    """Every score of one piece."""
    scores: dict[str, float | None] = {
        "onset": _f1(onset_score(truth, found)),
        "onset+offset": _f1(onset_offset_score(truth, found)),
        "instrument": _f1(instrument_score(truth, found)),
        "instrument+drums": _f1(multi_instrument_score(truth, found)),
        "drums": _f1(drum_class_score(truth, found)),
        **{name: _f1(drum_class_score(truth, found, (name,))) for name in DRUM_CLASSES},
        "octave errors": octave_error_rate(truth, found),
        **(beats or {}),
    }
    ours, theirs = truth.pitched(), found.pitched()
    counts = {f"drum/{name}": _counts(drum_class_score(truth, found, (name,))) for name in DRUM_CLASSES}
    for instrument in INSTRUMENTS[:-1]:
        mine, its = (notes.where(notes.instrument == instrument.name) for notes in (ours, theirs))
        counts[f"instrument/{instrument.name}"] = _counts(onset_score(mine, its))
    pairs = note_pairs(ours, theirs)
    counts |= _where_it_fails(ours, theirs, pairs)
    hits, their_hits = in_drum_classes(truth), in_drum_classes(found)
    drums = drum_pairs(hits, their_hits)
    named = instrument_pairs(ours, theirs)
    same = ours.instrument[named[:, 0]] == theirs.instrument[named[:, 1]]
    return Heard(
        scores=scores,
        counts=counts,
        confusion=instrument_confusion(truth, found),
        late_s={
            "pitched": _late_s(ours, theirs, note_pairs(ours, theirs, _BIAS_TOLERANCE_S)),
            "drums": _late_s(hits, their_hits, drum_pairs(hits, their_hits, _BIAS_TOLERANCE_S)),
        },
        trust={
            "p_note, pitched": (theirs.p_note.astype(np.float64), _among(pairs[:, 1], len(theirs))),
            "p_note, drums": (their_hits.p_note.astype(np.float64), _among(drums[:, 1], len(their_hits))),
            "p_instrument": (theirs.p_instrument[named[:, 1]].astype(np.float64), same),
        },
        cpu_s=cpu_s,
    )


def _f1(score: Score) -> float | None:
    """No notes in the reference: no score."""
    return score.f1 if score.n_reference else None


def _counts(score: Score) -> Counts:
    return score.n_matched, score.n_reference, score.n_estimated


def _late_s(truth: Notes, found: Notes, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.asarray(found.onset_s[pairs[:, 1]] - truth.onset_s[pairs[:, 0]], dtype=np.float64)


def _among(places: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.bool_]:
    return np.isin(np.arange(n), places)


def _where_it_fails(ours: Notes, theirs: Notes, pairs: npt.NDArray[np.int64]) -> dict[str, Counts]:
    """Counts by polyphony, which is that of the reference, and by pitch range."""
    voices, their_voices = _voices(ours, ours.onset_s), _voices(ours, theirs.onset_s)
    their_voices[pairs[:, 1]] = voices[pairs[:, 0]]  # a pair counts in one place
    counts = {}
    for least, most in POLYPHONY:
        here, there = (voices >= least) & (voices <= most), (their_voices >= least) & (their_voices <= most)
        counts[f"polyphony/{_span(least, most)}"] = _in(here, there, pairs)
    for low, high in zip(LOWEST, (*LOWEST[1:], 128), strict=True):
        here, there = (ours.pitch >= low) & (ours.pitch < high), (theirs.pitch >= low) & (theirs.pitch < high)
        counts[f"pitch/{low}-{high - 1}"] = _in(here, there, pairs)
    return counts


def _voices(ours: Notes, at_s: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """How many reference notes sound at some times, at least 1."""
    started = np.searchsorted(np.sort(ours.onset_s), at_s, side="right")
    ended = np.searchsorted(np.sort(ours.offset_s), at_s, side="right")
    return np.maximum(started - ended, 1)


def _span(least: int, most: int) -> str:
    return f"{least}+" if most == 128 else (str(least) if least == most else f"{least}-{most}")


def _in(here: npt.NDArray[np.bool_], there: npt.NDArray[np.bool_], pairs: npt.NDArray[np.int64]) -> Counts:
    return int(here[pairs[:, 0]].sum()), int(here.sum()), int(there.sum())


def compare_beats(
    piece: Piece, truth: Notes, sound: npt.NDArray[np.float32], rate_hz: int, found: Notes
) -> dict[str, float | None]:
    """Scores of the beats that are found with a transcriber's notes; an "unknown" finds none.

    Where drums are in the mix, pieces without a drum part are left to the condition without drums.
    """
    names = ("beats", "downbeats", "tempo errors", "unknown")
    if (
        piece.beats_s is None
        or piece.downbeats_s is None
        or (len(piece.notes.drums()) == 0 and truth is piece.notes)
    ):
        return dict.fromkeys(names)
    beats = find_beats(sound, rate_hz, found)
    known = bool(len(beats.times_s))
    values = (
        beat_score(piece.beats_s, beats.times_s),
        beat_score(piece.downbeats_s, beats.downbeats_s),
        float(tempo_ratio_error(piece.beats_s, beats.times_s)) if known else None,
        float(not known),
    )
    return dict(zip(names, values, strict=True))


def without_instruments(heard: Heard) -> Heard:
    """The same of a transcriber that names no instruments: its p_instrument says nothing."""
    nothing = np.empty(0), np.empty(0, np.bool_)
    return replace(heard, trust=heard.trust | {"p_instrument": nothing})
