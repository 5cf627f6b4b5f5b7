"""Fit the rules that tell beats from other frames, and levels apart: ``d2midi_build/music/beat_weights.json``.

    python benchmarks/fit_beats.py --soundfonts DIR             # the first rule: about 15 minutes on one core
    python benchmarks/fit_beats.py --soundfonts DIR --levels    # the second, which needs the first: about 10

Tuning pieces are `beat_pieces.varied_piece` of other seeds than any benchmark's, each played with one of the
soundfonts in turn (never pretty_midi's TimGM6mb, which the benchmark keeps unseen), with and without drums. The
second rule is fitted on the band's songs, varied pieces and music without a pulse, from true notes with errors drawn
at random (`beat_pieces.misheard`) in place of a transcriber's.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from beat_pieces import Piece, band_piece, misheard, pulseless_piece, varied_piece
from scipy.optimize import minimize

from d2midi_build.music.beat_features import FEATURES, FRAMES_PER_S, features
from d2midi_build.music.beat_levels import FEATURES as LEVEL_FEATURES
from d2midi_build.music.beat_levels import described, paths
from d2midi_build.music.beat_scores import beat_score
from d2midi_build.music.beat_search import CLASSES, Settings
from d2midi_build.music.beats import WEIGHTS, evidence_of
from d2midi_build.music.synthesis import synthesise
from d2midi_build.transcribers.base import transcriber

FRACTIONS = {"half": (0.5,), "third": (1 / 3, 2 / 3), "quarter": (0.25, 0.75)}
L2 = 1e-4
SEEDS = range(60)
LEVEL_SEEDS = range(500, 640)
LEVEL_FRAMES = 2400
LEVEL_RATE_HZ = 22_050
LEVEL_L2 = 1e-2
RIGHT = 0.85
"""Beat F from which a path is a right one; of several, those within .03 of the best."""
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


def candidates(piece: Piece, soundfont: Path, seed: int) -> list[tuple[npt.NDArray[np.float64], float]]:
    """`LEVEL_FEATURES` and beat F of each path through a piece."""
    rng = np.random.default_rng([seed, 5])
    n_samples = round(piece.duration_s * LEVEL_RATE_HZ)
    sound = synthesise(piece.notes, LEVEL_RATE_HZ, n_samples, soundfont=soundfont).mean(axis=1)
    sound *= np.float32(0.8 / max(float(np.abs(sound).max()), 1e-6))
    if rng.random() < 0.3:
        sound = sound + rng.normal(0, 10 ** rng.uniform(-3.5, -2), n_samples).astype(np.float32)
    notes = misheard(piece.notes, rng) if rng.random() < 0.8 else piece.notes
    found = features(sound, LEVEL_RATE_HZ, notes)[:LEVEL_FRAMES]
    evidence = evidence_of(found)
    beats_s = piece.beats_s[piece.beats_s < LEVEL_FRAMES / FRAMES_PER_S]
    return [
        (
            described(found, evidence, path),
            beat_score(beats_s, path.frames / FRAMES_PER_S) if len(beats_s) else 0.0,
        )
        for path in paths(evidence, Settings())
    ]


def fit_levels(
    pieces: list[list[tuple[npt.NDArray[np.float64], float]]],
) -> tuple[npt.NDArray[np.float64], float]:
    """Conditional logistic regression over each piece's paths and "none of them", which scores 0."""
    x = np.array([description for piece in pieces for description, _ in piece])
    owner = np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])
    score = np.array([f for piece in pieces for _, f in piece])
    best = np.array([max(f for _, f in piece) for piece in pieces])
    right = (score >= RIGHT) & (score >= best[owner] - 0.03)
    none = np.bincount(owner, right, len(pieces)) == 0
    mean, std = x.mean(axis=0), x.std(axis=0) + 1e-6
    z = np.concatenate([(x - mean) / std, np.ones((len(x), 1))], axis=1)

    def loss(w: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        s = z @ w
        top = np.zeros(len(pieces))
        np.maximum.at(top, owner, s)
        part = np.exp(s - top[owner])
        total = np.bincount(owner, part, len(pieces)) + np.exp(-top)
        hit = np.bincount(owner, part * right, len(pieces)) + none * np.exp(-top)
        gradient = z.T @ (part / total[owner] - part * right / hit[owner]) / len(pieces)
        shrunk = np.append(w[:-1], 0.0)
        value = float(np.log(total / hit).mean() + LEVEL_L2 * shrunk @ shrunk)
        return value, np.asarray(gradient + 2 * LEVEL_L2 * shrunk)

    w = minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B").x
    weights = w[:-1] / std
    return weights, float(w[-1] - mean @ weights)


def write_levels(fonts: list[Path]) -> None:
    """Fit the rule that tells levels apart and add it to the weights."""
    tuned = []
    for seed, compose in itertools.product(LEVEL_SEEDS, (band_piece, varied_piece, pulseless_piece)):
        whole = compose(seed)
        for piece in (whole, whole.without_drums()) if len(whole.beats_s) else (whole,):
            if found := candidates(piece, fonts[seed % len(fonts)], seed):
                tuned.append(found)
    weights, bias = fit_levels(tuned)
    stored = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    stored["levels"] = {
        "features": LEVEL_FEATURES,
        "weights": np.round(weights, 4).tolist(),
        "bias": round(bias, 4),
    }
    WEIGHTS.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Play, transcribe and fit; write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--soundfonts", type=Path, required=True, help="folder of SF2 files")
    parser.add_argument("--transcriber", default="basic-pitch")
    parser.add_argument("--levels", action="store_true", help="fit the rule that tells levels apart")
    options = parser.parse_args()
    fonts = sorted(path for path in options.soundfonts.glob("*.sf2") if path.stem != "TimGM6mb")
    if options.levels:
        write_levels(fonts)
        return
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
    stored = json.loads(WEIGHTS.read_text(encoding="utf-8")) | {
        "features": FEATURES,
        "classes": CLASSES,
        "weights": np.round(weights, 4).tolist(),
        "bias": np.round(bias, 4).tolist(),
    }
    WEIGHTS.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
