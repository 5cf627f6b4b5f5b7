"""Probabilities and thresholds from pieces the networks were not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build.train.embedded.data import Example
from d2midi_build.train.embedded.described import TOLERANCE_S, matched, near, played
from d2midi_build.transcribers.embedded.decode import (
    DRUM_NAMES,
    Calibration,
    Candidates,
    Hits,
    logit,
    rivals,
)
from d2midi_build.transcribers.embedded.features import DRUM_HOP, FRAME_S, LOWEST_PITCH, RATE_HZ
from d2midi_build.transcribers.embedded.model import Model

_THRESHOLDS: Final = np.arange(0.1, 0.81, 0.02)
_USUAL: Final = (0.0, 0.25, 0.5)
"""More makes everything the commonest instrument, which pays where the network is unsure."""
_SECOND: Final = (0.5, 0.6, 0.7, 2.0)
"""A further instrument of a note has to be likelier than not. Less would pay in F1 with instruments, by writing what is
unsure twice."""
_SUSTAINS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


def calibrate(
    model: Model, files: Sequence[Path], known: Sequence[Path]
) -> tuple[Calibration, dict[str, float]]:
    """Fit everything in `Calibration` on examples, and score it on the same.

    Rules are logistic regressions over all pieces together; thresholds are those with the best F1.

    Parameters
    ----------
    files : sequence of Path
        Examples with soundfonts that were not learned from.
    known : sequence of Path
        Others, with those that were: an instrument one meets is like one of these more often than the instruments of a
        single other soundfont are, so the rule for instruments is fitted on both.
    """
    pieces = [_Piece(model, Example.load(file)) for file in files]
    further = [_Piece(model, Example.load(file)) for file in known]
    found = Candidates.join([piece.found for piece in pieces])
    right = np.concatenate([piece.right for piece in pieces])
    note = _logistic(logit(found.likely)[:, None], right)
    n_onsets = sum(piece.n_onsets for piece in pieces)

    drums = Hits.join([piece.drums for piece in pieces])
    struck = np.concatenate([piece.struck for piece in pieces])
    rules, least_drums = [], []
    for drum in range(len(DRUM_NAMES)):
        mine = drums.drum == drum
        rule = _logistic(logit(drums.strength[mine])[:, None], struck[mine])
        rules.append(rule)
        n_hits = sum(int((piece.hits[:, 1] == drum).sum()) for piece in pieces)
        p = 1 / (1 + np.exp(-(rule[0] * logit(drums.strength[mine]) + rule[1])))
        least_drums.append(_best(p, struck[mine], n_hits))

    draft = Calibration(note, rules, [1.0, 0.0, 0.0], 0.0, 0.3, 0.5, least_drums, 0.4)
    p_note = [draft.p_note(piece.found) for piece in pieces]
    least_note = _best(np.concatenate(p_note), right, n_onsets)
    usual = max(_USUAL, key=lambda each: _share_right(_with(draft, usual=each), pieces, p_note))
    draft = _with(draft, usual=usual, least_note=least_note)
    rows, labels = [], []
    for piece in (*pieces, *further):
        p = draft.p_note(piece.found)
        told = piece.right & (p >= draft.least_note)
        heard = draft.heard(piece.found, p)[told]
        likely = heard >= np.minimum(heard.max(axis=1, keepdims=True), 0.05)
        rows.append(np.stack([logit(heard[likely]), logit(rivals(heard)[likely])], axis=1))
        labels.append(piece.plays[told][likely])
    draft = _with(draft, instrument=_logistic(np.concatenate(rows), np.concatenate(labels)))
    least_instrument = max(
        _SECOND,
        key=lambda each: _instrument_f1(_with(draft, least_instrument=each), pieces, p_note),
    )
    sustain = max(_SUSTAINS, key=lambda each: sum(piece.ends_right(each) for piece in pieces))
    final = _with(draft, least_instrument=least_instrument, sustain=sustain)
    kept = np.concatenate(p_note) >= final.least_note
    scores = {
        "onset_f1": 2 * float((right & kept).sum()) / (n_onsets + float(kept.sum())),
        "instrument_f1": _instrument_f1(final, pieces, p_note),
    }
    for drum, name in enumerate(DRUM_NAMES):
        kept = (drums.drum == drum) & (final.p_hit(drums) >= final.least_drums[drum])
        n_hits = sum(int((piece.hits[:, 1] == drum).sum()) for piece in pieces)
        scores[f"{name}_f1"] = 2 * float((struck & kept).sum()) / max(n_hits + float(kept.sum()), 1)
    return final, {name: round(score, 4) for name, score in scores.items()}


class _Piece:
    """What the model heard in a piece, beside what is there."""

    def __init__(self, model: Model, example: Example) -> None:
        self.n_frames = example.spectra.shape[1]
        parts = list(model.judged(example.features(), 0, self.n_frames))
        chunks = [chunk for _, together in parts for chunk in together]
        self.found = Candidates.join([found for found, _ in parts])
        self.drums = Hits.join([chunk.drums for chunk in chunks])
        self.frame = np.concatenate([chunk.frame for chunk in chunks])
        self.notes, self.hits = example.notes, example.hits
        onsets = example.onsets()
        self.n_onsets = len(onsets)
        self.right = matched(
            self.found.frame * FRAME_S, self.found.pitch, self.found.likely, onsets[:, 0], onsets[:, 1]
        )
        self.near = near(self.notes, self.found.frame, self.found.pitch)
        self.plays = played(self.notes, self.found.frame, self.found.pitch)
        self.struck = matched(
            self.drums.half * DRUM_HOP / RATE_HZ,
            self.drums.drum,
            self.drums.strength,
            self.hits[:, 0],
            self.hits[:, 1],
        )

    def ends_right(self, sustain: float) -> int:
        """Right notes whose end is right by mir_eval's rule, with this threshold."""
        n = 0
        for i in np.flatnonzero(self.right):
            onset_s, offset_s = self.notes[np.argmax(self.near[i]), :2]
            row = self.found.pitch[i] - LOWEST_PITCH
            first = int(self.found.frame[i]) + 2
            quiet = np.flatnonzero(self.frame[first:, row] < sustain)
            end_s = (first + (quiet[0] if len(quiet) else self.n_frames - first)) * FRAME_S
            n += abs(end_s - offset_s) <= max(TOLERANCE_S, 0.2 * (offset_s - onset_s))
        return n


def _logistic(rows: npt.NDArray[Any], labels: npt.NDArray[np.bool_]) -> list[float]:
    """Weights and, last, the bias."""
    from sklearn.linear_model import LogisticRegression

    if (
        labels.all() or not labels.any()
    ):  # nothing to tell apart: how often, with half an observation of each kind
        return [0.0] * rows.shape[1] + [
            round(float(np.log((labels.sum() + 0.5) / ((~labels).sum() + 0.5))), 5)
        ]
    fitted = LogisticRegression(C=100.0).fit(rows, labels)
    return [round(float(value), 5) for value in (*fitted.coef_[0], fitted.intercept_[0])]


def _best(p: npt.NDArray[Any], right: npt.NDArray[np.bool_], n_true: int) -> float:
    """The threshold with the best F1."""
    scores = [
        2 * (right & (p >= least)).sum() / (n_true + (p >= least).sum() + 1e-9) for least in _THRESHOLDS
    ]
    return round(float(_THRESHOLDS[int(np.argmax(scores))]), 3)


def _share_right(
    calibration: Calibration, pieces: Sequence[_Piece], p_note: Sequence[npt.NDArray[Any]]
) -> float:
    right = total = 0
    for piece, p in zip(pieces, p_note, strict=True):
        heard = calibration.heard(piece.found, p)
        best = piece.plays[np.arange(len(heard)), heard.argmax(axis=1)] if len(heard) else np.zeros(0, bool)
        right, total = right + int(best[piece.right].sum()), total + int(piece.right.sum())
    return right / max(total, 1)


def _instrument_f1(
    calibration: Calibration, pieces: Sequence[_Piece], p_note: Sequence[npt.NDArray[Any]]
) -> float:
    matched = told = true = 0
    for piece, p in zip(pieces, p_note, strict=True):
        chosen = calibration.chosen(piece.found, p)[0]
        matched, told = (
            matched + int((chosen & piece.plays & piece.right[:, None]).sum()),
            told + int(chosen.sum()),
        )
        true += len(piece.notes)
    return 2 * matched / max(told + true, 1)


def _with(calibration: Calibration, **changes: Any) -> Calibration:
    return Calibration(**(vars(calibration) | changes))
