"""Fit the rule that tells beats from other frames: ``d2midi_build/music/beat_weights.json``.

    python benchmarks/fit_beats.py --soundfonts DIR     # about 15 minutes on one core

Tuning pieces are `beat_pieces.varied_piece` of other seeds than any benchmark's, each played with one of the
soundfonts in turn (never pretty_midi's TimGM6mb, which the benchmark keeps unseen), with and without drums.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from beat_pieces import Piece, varied_piece
from scipy.optimize import minimize

from d2midi_build.music.beat_features import FEATURES, FRAMES_PER_S, features
from d2midi_build.music.beat_search import CLASSES
from d2midi_build.music.beats import WEIGHTS
from d2midi_build.music.synthesis import synthesise
from d2midi_build.transcribers.base import transcriber

FRACTIONS = {"half": (0.5,), "third": (1 / 3, 2 / 3), "quarter": (0.25, 0.75)}
L2 = 1e-4
SEEDS = range(60)
RATE_HZ = 44_100


def labels(piece: Piece, n_frames: int) -> npt.NDArray[np.int64]:
    """The class of each frame: an index of `CLASSES`, their number for "none", -1 where it is too close to say."""
    found = np.full(n_frames, len(CLASSES))
    beats = piece.beats_s
    parts = ("third",) if "shuffle" in piece.name else ("half", "quarter")
    down = np.isin(beats, piece.downbeats_s)
    metre = 3 if " 3/4" in piece.name else 4
    place = (np.arange(len(beats)) - int(np.argmax(down))) % metre
    names = ("down", "weak", "weak") if metre == 3 else ("down", "back", "mid", "back")
    moments = [(time_s, CLASSES.index(names[p])) for time_s, p in zip(beats, place, strict=True)]
    for first, second in itertools.pairwise(beats):
        moments += [
            (first + share * (second - first), CLASSES.index(part))
            for part in parts
            for share in FRACTIONS[part]
        ]
    frames = np.array([round(time_s * FRAMES_PER_S) for time_s, _ in moments])
    for frame in frames:
        found[max(frame - 5, 0) : frame + 6] = -1
    inside = frames < n_frames
    found[frames[inside]] = np.array([label for _, label in moments])[inside]
    found[: max(round((beats[0] - 0.1) * FRAMES_PER_S), 0)] = len(CLASSES)
    return found


def fit(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.int64], weight: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Multinomial logistic regression against the last class: weights (n_features, n_classes) and biases.

    Biases are those of equal priors, so that the rule's answers are log-likelihood ratios.
    """
    n_classes, n_features = len(CLASSES), x.shape[1]
    mean, std = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = np.concatenate([(x - mean) / std, np.ones((len(x), 1))], axis=1)
    one_hot = np.zeros((len(y), n_classes + 1))
    one_hot[np.arange(len(y)), y] = 1

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        w = flat.reshape(n_features + 1, n_classes)
        logits = np.concatenate([z @ w, np.zeros((len(z), 1))], axis=1)
        logits -= logits.max(axis=1, keepdims=True)
        p = np.exp(logits)
        p /= p.sum(axis=1, keepdims=True)
        value = -(weight * np.log(p[np.arange(len(y)), y] + 1e-12)).sum() / weight.sum()
        gradient = z.T @ ((p - one_hot)[:, :-1] * weight[:, None]) / weight.sum()
        return value + L2 * (w**2).sum(), (gradient + 2 * L2 * w).ravel()

    flat = minimize(loss, np.zeros((n_features + 1) * n_classes), jac=True, method="L-BFGS-B").x
    w = flat.reshape(n_features + 1, n_classes)
    counts = np.array([weight[y == k].sum() for k in range(n_classes + 1)])
    weights = w[:-1] / std[:, None]
    bias = w[-1] - mean @ weights - np.log(counts[:-1] / counts[-1])
    return weights, bias


def main() -> None:
    """Play, transcribe and fit; write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--soundfonts", type=Path, required=True, help="folder of SF2 files")
    parser.add_argument("--transcriber", default="basic-pitch")
    options = parser.parse_args()
    fonts = sorted(path for path in options.soundfonts.glob("*.sf2") if path.stem != "TimGM6mb")
    hears = transcriber(options.transcriber)
    x, y = [], []
    for seed in SEEDS:
        whole = varied_piece(seed)
        for piece in (whole, whole.without_drums()):
            n_samples = round(piece.duration_s * RATE_HZ)
            sound = synthesise(piece.notes, RATE_HZ, n_samples, soundfont=fonts[seed % len(fonts)]).mean(
                axis=1
            )
            sound *= np.float32(0.8 / max(float(np.abs(sound).max()), 1e-6))
            found = features(sound, RATE_HZ, hears.transcribe(sound, RATE_HZ))
            label = labels(piece, len(found))
            x.append(found[label >= 0].astype(np.float64))
            y.append(label[label >= 0])
    label = np.concatenate(y)
    weights, bias = fit(np.concatenate(x), label, np.ones(len(label)))
    stored = {
        "features": FEATURES,
        "classes": CLASSES,
        "weights": np.round(weights, 4).tolist(),
        "bias": np.round(bias, 4).tolist(),
    }
    WEIGHTS.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
