"""Teach the network of `d2midi_build.music.vocals` what a voice is, from formulas and soundfonts only.

    python benchmarks/fit_vocals.py --fonts DIR [--examples 1350] [--work DIR]

An example is ten seconds: a song by `synthetic.band` on random programs of one of the training soundfonts of
`train.embedded.fonts` (never TimGM6mb, on which ``benchmarks/vocals.py`` reports), bowed and blown lines with
vibrato and slides, sweeps of a filter, pumping, noise; and in two thirds of them a voice by
`synthetic.singer`, solo or several, sung or spoken, 9 dB below to 9 dB above, with a room of its own.
Same seeds, fonts and versions give the same examples and weights; examples are kept in the work folder, fifty to a
file, and one that ended early goes on there. Writes ``vocals.npz`` and ``vocals.json``,
which says what they were made of and how well they do on the one example in eleven not learned from.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, fftconvolve, lfilter, sosfilt
from sklearn.metrics import roc_auc_score

from d2midi_build import clock
from d2midi_build.digests import sha256_file
from d2midi_build.errors import UsageError
from d2midi_build.music import vocals
from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import synthesise
from d2midi_build.synthetic import band, singer
from d2midi_build.synthetic.band import compose
from d2midi_build.synthetic.singer import sing, strings
from d2midi_build.train.embedded import fonts as soundfonts

Sound = npt.NDArray[np.float64]

RATE_HZ = clock.SAMPLE_RATE_HZ
FRAMES = 10 * clock.FPS
SECONDS = FRAMES / clock.FPS
N = clock.frames_to_samples(FRAMES)
SEED = 20_000
HELD_OUT = 11
"""One example in so many is not learned from; prime to the number of soundfonts, so each has its share."""

CHOIR = (52, 53, 54)


def rms(sound: Sound) -> float:
    """Root mean square, never 0."""
    return float(np.sqrt(np.mean(sound**2)) + 1e-9)


def decibels(rng: np.random.Generator, low: float, high: float) -> float:
    """A random gain."""
    return float(10 ** (rng.uniform(low, high) / 20))


def song(rng: np.random.Generator, font: Path) -> Sound:
    """A song on random programs, choirs among them, some parts left out."""
    notes = compose(rng, float(rng.integers(70, 160)), SECONDS, 0.2).notes
    parts = [notes.drums()] if rng.random() < 0.85 else []
    for name in np.unique(notes.pitched().instrument):
        part = notes.where(notes.instrument == name)
        if rng.random() < 0.15:
            continue
        program = int(part.program[0])
        if rng.random() < 0.8:
            program = int(rng.integers(32, 40)) if program == 32 else int(rng.integers(0, 112))
            if rng.random() < 0.1:
                program = int(rng.choice(CHOIR))
        parts.append(Notes.create(part.onset_s, part.offset_s, part.pitch, part.velocity, program))
    kit = int(rng.choice([0, 8, 16, 24, 25, 32, 40]))
    try:
        sound = synthesise(Notes.concat(parts), RATE_HZ, N, drum_kit=kit, soundfont=font)
    except UsageError:  # a font that is not whole: another song
        return song(rng, font)
    return sound.mean(axis=1).astype(np.float64) / rms(sound.mean(axis=1))


def room(rng: np.random.Generator, sound: Sound) -> Sound:
    """Sound with the noise-like tail of a room."""
    n = int(rng.uniform(0.2, 1.8) * RATE_HZ)
    tail = rng.normal(0, 1, n) * np.exp(-6 * np.arange(n) / n)
    wet = rng.uniform(0.05, 0.6) * fftconvolve(sound, tail / np.sqrt((tail**2).sum()))[: len(sound)]
    return np.asarray(sound + wet)


def sweep(rng: np.random.Generator, sound: Sound) -> Sound:
    """Sound through a band-pass that moves: colour changes as in a voice, pitch does not."""
    centres_hz = np.geomspace(200, 3500, 8)
    bank = [
        sosfilt(butter(1, (hz / 1.4, min(1.4 * hz, 0.47 * RATE_HZ)), "band", fs=RATE_HZ, output="sos"), sound)
        for hz in centres_hz
    ]
    time_s = np.arange(N) / RATE_HZ
    if rng.random() < 0.6:
        place = 3.5 + 3.5 * np.sin(2 * np.pi * rng.uniform(0.1, 6) * time_s + rng.uniform(0, 6))
    else:
        place = rng.uniform(0, 7, int(8 * SECONDS) + 1)[(8 * time_s).astype(np.int64)]
    weights = np.maximum(0, 1 - np.abs(place - np.arange(8)[:, None]) / 1.5)
    moved = (np.stack(bank) * weights).sum(axis=0) + rng.uniform(0, 0.5) * sound
    return np.asarray(moved / rms(moved))


def line(rng: np.random.Generator) -> Sound:
    """One bowed or blown instrument, or a section of them not quite together."""
    if rng.random() < 0.7:
        return strings(rng, SECONDS, RATE_HZ).astype(np.float64)
    seed, players = int(rng.integers(1 << 30)), int(rng.integers(3, 6))
    together = [
        strings(np.random.default_rng(seed + (k if k % 2 else 0)), SECONDS, RATE_HZ) for k in range(players)
    ]
    section = np.sum([rng.uniform(0.5, 1) * each for each in together], axis=0)
    return np.asarray(section / rms(section))


def music(rng: np.random.Generator, font: Path) -> Sound:
    """Everything but a voice."""
    sound = song(rng, font) if rng.random() < 0.8 else np.zeros(N)
    if sound.any() and rng.random() < 0.2:
        sound = sweep(rng, sound)
    if not sound.any() or rng.random() < 0.4:
        added = line(rng)
        if rng.random() < 0.3:
            added = sweep(rng, added)
        sound = sound + decibels(rng, -8, 12) * added
    if rng.random() < 0.25:
        beat = np.arange(N) / RATE_HZ * rng.uniform(1.5, 2.5) % 1
        sound = sound * (1 - 0.9 * rng.random() * np.exp(-4 * beat))
    if rng.random() < 0.5:
        sound = room(rng, sound)
    return np.asarray(sound / rms(sound))


def voice(rng: np.random.Generator, whole: bool) -> tuple[Sound, npt.NDArray[np.bool_]]:
    """A voice or several, root mean square 1 where they sound, and where that is."""
    speech = rng.random() < 0.25
    sound = sing(rng, SECONDS, RATE_HZ, speech).astype(np.float64)
    if not speech and rng.random() < 0.3:
        for _ in range(rng.integers(1, 4)):
            sound = sound + rng.uniform(0.3, 0.9) * sing(rng, SECONDS, RATE_HZ)
    if not whole and rng.random() < 0.75:
        start = int(rng.uniform(-0.2, 0.7) * N)
        mask = np.zeros(N)
        mask[max(start, 0) : start + int(rng.uniform(0.3, 0.7) * N)] = 1
        sound = sound * mask
    level = np.sqrt(np.convolve(sound**2, np.ones(1024) / 1024, "same"))
    sounding = level > 0.12 * max(float(level.max()), 1e-9)
    sound = sound / rms(sound[sounding])
    if rng.random() < 0.3:
        sound = np.tanh(1.5 * sound)
    if rng.random() < 0.6:
        sound = room(rng, sound)
    return sound, sounding


def example(seed: int, fonts: list[Path]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Sound and, per sample, whether a voice sounds."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(["mix", "music", "voice"], p=[0.55, 0.35, 0.1])
    sound, sounding = np.zeros(N), np.zeros(N, dtype=np.bool_)
    if kind != "voice":
        sound = music(rng, fonts[seed % len(fonts)])
    if kind != "music":
        sung, sounding = voice(rng, whole=kind == "voice")
        sound = sound + (decibels(rng, -9, 9) if kind == "mix" else 1) * sung
    if rng.random() < 0.5:
        sound = lfilter([1, rng.uniform(-0.7, 0.7)], [1], sound)
    if rng.random() < 0.2:
        sound = np.tanh(rng.uniform(0.3, 1.5) * sound)
    if rng.random() < 0.2:
        sound = sosfilt(butter(4, rng.uniform(3000, 4800), "low", fs=RATE_HZ, output="sos"), sound)
    sound = sound + rms(sound) * decibels(rng, -70, -28) * rng.normal(0, 1, N)
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32), sounding


def labelled(seed: int, fonts: list[Path]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Features (m, 107) and whether a voice sounds (m,), of every other frame that is not silent."""
    sound, sounding = example(seed, fonts)
    level = np.sqrt(np.mean(sound.reshape(-1, clock.SAMPLES_PER_FRAME) ** 2, axis=1))
    loud = float(np.percentile(level, 95))
    label = sounding.reshape(-1, clock.SAMPLES_PER_FRAME).mean(axis=1) > 0.5
    frames = np.flatnonzero(level > 0.03 * loud)[::2]
    return vocals.features(sound, loud)[frames], label[frames]


def examples(
    work: Path, fonts: list[Path], first: int, end: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Features (m, 107), labels (m,) and numbers (m,) of examples first to end, kept in a folder."""
    kept = work / f"examples-{first:05d}-{end:05d}.npz"
    if not kept.exists():
        made = [labelled(SEED + number, fonts) for number in range(first, end)]
        partial = kept.with_suffix(".partial.npz")
        np.savez(
            partial,
            told=np.concatenate([told for told, _ in made]),
            labels=np.concatenate([labels for _, labels in made]),
            numbers=np.repeat(np.arange(first, end), [len(labels) for _, labels in made]),
        )
        partial.replace(kept)
        print(kept.name, flush=True)
    with np.load(kept) as part:
        return part["told"], part["labels"], part["numbers"]


def fit(
    told: npt.NDArray[np.float32], labels: npt.NDArray[np.bool_], hidden: int
) -> dict[str, npt.NDArray[np.float32]]:
    """Weights as `vocals` reads them."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(told)
    model = MLPClassifier((hidden,), alpha=3, early_stopping=True, random_state=0, max_iter=60)
    model.fit(np.clip(scaler.transform(told), -5, 5), labels)
    weights = {
        "mean": scaler.mean_,
        "scale": scaler.scale_,
        "hidden": model.coefs_[0],
        "hidden_bias": model.intercepts_[0],
        "out": model.coefs_[1][:, 0],
        "out_bias": model.intercepts_[1],
    }
    return {name: np.asarray(value, dtype=np.float32) for name, value in weights.items()}


def main() -> None:
    """Make examples, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fonts", type=Path, required=True, help="folder of the training soundfonts")
    parser.add_argument("--examples", type=int, default=1350)
    parser.add_argument("--hidden", type=int, default=32, help="units of the hidden layer")
    parser.add_argument("--work", type=Path, default=Path("vocals-work"), help="where examples are kept")
    options = parser.parse_args()
    fonts = soundfonts.find([options.fonts, soundfonts.SYSTEM_FOLDER], "training")
    used = [font for font in soundfonts.FONTS if font.role == "training"]
    code = (__file__, vocals.__file__, singer.__file__, band.__file__)
    made_of = "".join(
        [str(SEED), *(font.sha256 for font in used), *(sha256_file(Path(file)) for file in code)]
    )
    work = options.work / hashlib.sha256(made_of.encode()).hexdigest()[:12]
    work.mkdir(parents=True, exist_ok=True)
    parts = [
        examples(work, fonts, first, min(first + 50, options.examples))
        for first in range(0, options.examples, 50)
    ]
    told, labels, numbers = (np.concatenate(column) for column in zip(*parts, strict=True))
    held_out = numbers % HELD_OUT == HELD_OUT - 1
    np.savez(vocals.MODEL, **fit(told[~held_out], labels[~held_out], options.hidden))
    auc = roc_auc_score(labels[held_out], vocals._network(told[held_out]))
    print(f"{len(labels)} frames; area under the curve on examples not learned from: {auc:.3f}")
    provenance = {
        "made_by": f"benchmarks/fit_vocals.py --examples {options.examples} --hidden {options.hidden}",
        "examples": options.examples,
        "first_seed": SEED,
        "seconds_each": SECONDS,
        "learned_from": f"all but every {HELD_OUT}th",
        "held_out_frame_auc": round(float(auc), 3),
        "recordings": "none: synthetic voices and lines, songs played from the soundfonts below",
        "soundfonts": [
            {"file": font.file, "sha256": font.sha256, "licence": font.licence, "source": font.source}
            for font in used
        ],
        "versions": {name: version(name) for name in ("librosa", "numpy", "scipy", "scikit-learn")},
        "sha256": sha256_file(vocals.MODEL),
    }
    vocals.MODEL.with_suffix(".json").write_text(json.dumps(provenance, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
