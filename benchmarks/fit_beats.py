"""Fit the rules that tell beats from other frames, and levels apart: ``d2midi_build/music/beat_weights.json``.

    python benchmarks/fit_beats.py --soundfonts DIR                         # the first rule: 15 minutes on one core
    python benchmarks/fit_beats.py --soundfonts DIR --levels [--keep DIR]   # the second, which needs the first: 4

Tuning pieces are `beat_pieces.varied_piece` of other seeds than any benchmark's, each played with one of the
soundfonts in turn (never pretty_midi's TimGM6mb, which the benchmark keeps unseen), with and without drums. The
second rule is fitted on the beginnings of the band's songs, varied pieces and music without a pulse, from true notes
with errors drawn at random (`beat_pieces.misheard`) in place of a transcriber's. Its penalty on large weights is the
one with the least surprise on pieces of seeds left out, and what is printed was measured on those. The shipped rule
was fitted with FluidR3_GM, MuseScore_General_Full, OPL-3_FM_128M, sf_GMbank and sonivox.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from beat_pieces import Piece, band_piece, misheard, pulseless_piece, varied_piece
from scipy.optimize import minimize

from d2midi_build.music.beat_features import FEATURES, FRAMES_PER_S, features
from d2midi_build.music.beat_levels import FEATURES as LEVEL_FEATURES
from d2midi_build.music.beat_levels import described, paths, probabilities
from d2midi_build.music.beat_scores import beat_score, tempo_ratio_error
from d2midi_build.music.beat_search import CLASSES, POSITION, Settings
from d2midi_build.music.beats import LEAST_CONFIDENCE, WEIGHTS, evidence_of
from d2midi_build.music.synthesis import synthesise
from d2midi_build.transcribers.base import transcriber

FRACTIONS = {"half": (0.5,), "third": (1 / 3, 2 / 3), "quarter": (0.25, 0.75)}
L2 = 1e-4
SEEDS = range(60)
LEVEL_SEEDS = range(500, 590)
LEVEL_SECONDS = 24.0
LEVEL_RATE_HZ = 22_050
LEVEL_L2 = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
FOLDS = 5
BINS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.9, 1.0001)
RIGHT = 0.85
"""Beat F from which a path is a right one; of several, those within .03 of the best."""
RATE_HZ = 44_100

FloatArray = npt.NDArray[np.float64]


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


@dataclass(frozen=True, eq=False)
class Compared:
    """A piece's paths: `LEVEL_FEATURES`, beat F, downbeat F and whether at another level, one row or entry each."""

    group: str
    seed: int
    x: FloatArray
    f: FloatArray
    down: FloatArray
    octave: npt.NDArray[np.bool_]


def compared(piece: Piece, soundfont: Path, seed: int) -> Compared:
    """Play the beginning of a piece, hear it with errors, and describe each path through it."""
    rng = np.random.default_rng([seed, 5])
    begun = piece.notes.starting_in(0.0, LEVEL_SECONDS)
    n_samples = round(LEVEL_SECONDS * LEVEL_RATE_HZ)
    sound = synthesise(begun, LEVEL_RATE_HZ, n_samples, soundfont=soundfont).mean(axis=1)
    sound *= np.float32(0.8 / max(float(np.abs(sound).max()), 1e-6))
    if rng.random() < 0.3:
        sound = sound + rng.normal(0, 10 ** rng.uniform(-3.5, -2), n_samples).astype(np.float32)
    notes = misheard(begun, rng) if rng.random() < 0.8 else begun
    found = features(sound, LEVEL_RATE_HZ, notes)
    evidence = evidence_of(found)
    beats_s, downbeats_s = (
        times_s[times_s < LEVEL_SECONDS] for times_s in (piece.beats_s, piece.downbeats_s)
    )
    rows = paths(evidence, Settings())
    answers = [(path.frames / FRAMES_PER_S, POSITION[path.places] == 1) for path in rows]
    pulse = len(beats_s) > 0
    return Compared(
        f"{piece.kind} {'with' if piece.drums else 'without'} drums" if pulse else "pulseless",
        seed,
        np.array([described(found, evidence, path) for path in rows]).reshape(-1, len(LEVEL_FEATURES)),
        np.array([beat_score(beats_s, times_s) if pulse else 0.0 for times_s, _ in answers]),
        np.array([beat_score(downbeats_s, times_s[down]) if pulse else 0.0 for times_s, down in answers]),
        np.array([tempo_ratio_error(beats_s, times_s) for times_s, _ in answers], dtype=np.bool_),
    )


def level_pieces(fonts: list[Path], keep: Path) -> list[Compared]:
    """All pieces of `LEVEL_SEEDS` that have a path; those described before are read again from ``keep``."""
    keep.mkdir(parents=True, exist_ok=True)
    found = []
    for seed, compose in itertools.product(LEVEL_SEEDS, (band_piece, varied_piece, pulseless_piece)):
        whole = compose(seed)
        for piece in (whole, whole.without_drums()) if whole.drums and len(whole.beats_s) else (whole,):
            path = keep / f"{piece.kind}-{seed}{'' if piece.drums else '-no-drums'}.npz"
            if not path.exists():
                columns = vars(compared(piece, fonts[seed % len(fonts)], seed))
                part = path.with_suffix(".part.npz")
                np.savez(part, **columns)
                part.rename(path)
            with np.load(path) as stored:
                columns = {name: stored[name] for name in stored.files}
            if len(columns["x"]):
                found.append(Compared(str(columns.pop("group")), int(columns.pop("seed")), **columns))
    return found


def fit_levels(pieces: list[Compared], l2: float) -> tuple[FloatArray, float]:
    """Conditional logistic regression over each piece's paths and "none of them", which scores 0."""
    x = np.concatenate([piece.x for piece in pieces])
    owner = np.repeat(np.arange(len(pieces)), [len(piece.x) for piece in pieces])
    right = np.concatenate([rights(piece) for piece in pieces])
    none = np.bincount(owner, right, len(pieces)) == 0
    mean, std = x.mean(axis=0), x.std(axis=0) + 1e-6
    z = np.concatenate([(x - mean) / std, np.ones((len(x), 1))], axis=1)

    def loss(w: FloatArray) -> tuple[float, FloatArray]:
        s = z @ w
        top = np.zeros(len(pieces))
        np.maximum.at(top, owner, s)
        part = np.exp(s - top[owner])
        total = np.bincount(owner, part, len(pieces)) + np.exp(-top)
        hit = np.bincount(owner, part * right, len(pieces)) + none * np.exp(-top)
        gradient = z.T @ (part / total[owner] - part * right / hit[owner]) / len(pieces)
        shrunk = np.append(w[:-1], 0.0)
        value = float(np.log(total / hit).mean() + l2 * shrunk @ shrunk)
        return value, np.asarray(gradient + 2 * l2 * shrunk)

    w = minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B").x
    weights = w[:-1] / std
    return weights, float(w[-1] - mean @ weights)


def rights(piece: Compared) -> npt.NDArray[np.bool_]:
    """Which paths are right ones."""
    return np.asarray((piece.f >= RIGHT) & (piece.f >= piece.f.max() - 0.03))


def held_out(pieces: list[Compared], l2: float) -> list[FloatArray]:
    """Each path's probability by a rule that was fitted on pieces of other seeds."""
    found: list[FloatArray] = [np.empty(0)] * len(pieces)
    for fold in range(FOLDS):
        inside = [i for i, piece in enumerate(pieces) if piece.seed % FOLDS == fold]
        weights, bias = fit_levels([piece for piece in pieces if piece.seed % FOLDS != fold], l2)
        for i in inside:
            found[i] = probabilities(pieces[i].x @ weights + bias)
    return found


def surprise(pieces: list[Compared], found: list[FloatArray]) -> float:
    """Mean negative logarithm of the probability given to the right paths, or to none of them, in nats."""
    given = [
        p[rights(piece)].sum() if rights(piece).any() else 1.0 - p.sum()
        for piece, p in zip(pieces, found, strict=True)
    ]
    return float(-np.log(np.maximum(given, 1e-9)).mean())


def report(pieces: list[Compared], found: list[FloatArray]) -> None:
    """Print how good the paths are that were chosen, and what their probability is worth."""
    print("| pieces | n | F | downbeat F | octave errors | unknown | F known | octave errors of known |")
    print("|---|---|---|---|---|---|---|---|")
    chosen = [int(p.argmax()) for p in found]
    rows = [
        (piece.group, p[i], piece.f[i], piece.down[i], piece.octave[i])
        for piece, p, i in zip(pieces, found, chosen, strict=True)
    ]
    for group in sorted({piece.group for piece in pieces}):
        mine = np.array([row[1:] for row in rows if row[0] == group], dtype=np.float64)
        known = mine[mine[:, 0] >= LEAST_CONFIDENCE]
        cells = [*mine[:, 1:].mean(axis=0), 1 - len(known) / len(mine)]
        cells += [known[:, 1].mean(), known[:, 3].mean()] if len(known) else [float("nan")] * 2
        print(f"| {group} | {len(mine)} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")
    print(f"\n| probability | n | share with F of {RIGHT} | mean probability |\n|---|---|---|---|")
    p, f = (np.array([row[i] for row in rows]) for i in (1, 2))
    for low, high in itertools.pairwise(BINS):
        inside = (p >= low) & (p < high)
        if inside.any():
            share, mean = (f[inside] >= RIGHT).mean(), p[inside].mean()
            print(f"| {low}-{min(high, 1)} | {inside.sum()} | {share:.2f} | {mean:.2f} |")


def write_levels(fonts: list[Path], keep: Path) -> None:
    """Fit the rule that tells levels apart, say how good it is on pieces it has not seen, add it to the weights."""
    pieces = level_pieces(fonts, keep)
    stored = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    if "levels" in stored:
        before = [
            probabilities(piece.x @ np.array(stored["levels"]["weights"]) + stored["levels"]["bias"])
            for piece in pieces
        ]
        print(f"the weights there are: {surprise(pieces, before):.4f} nats")
        report(pieces, before)
    by_l2 = {l2: held_out(pieces, l2) for l2 in LEVEL_L2}
    losses = {l2: surprise(pieces, found) for l2, found in by_l2.items()}
    best = min(losses, key=lambda l2: losses[l2])
    print("\nheld out, by penalty: " + ", ".join(f"{l2:g} {nats:.4f}" for l2, nats in losses.items()))
    report(pieces, by_l2[best])
    weights, bias = fit_levels(pieces, best)
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
    parser.add_argument(
        "--keep",
        type=Path,
        default=Path(tempfile.gettempdir()) / "d2midi-beat-levels",
        help="folder for what --levels has found, piece by piece; empty it when the first rule or a feature changes",
    )
    parser.add_argument("--levels", action="store_true", help="fit the rule that tells levels apart")
    options = parser.parse_args()
    fonts = sorted(path for path in options.soundfonts.glob("*.sf2") if path.stem != "TimGM6mb")
    if options.levels:
        write_levels(fonts, options.keep)
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
