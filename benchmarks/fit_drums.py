"""Fit the weights of `d2midi_build.music.drums` and print how well they carry over.

    python benchmarks/fit_drums.py            # fit, print, write d2midi_build/music/drum_weights.json
    python benchmarks/fit_drums.py --check    # also leave out one drum kit at a time (slower)

Training sound: songs by `synthetic.band` (seeds from 5000 on) with eight drum kits (seven of TimGM6mb and
one made of sines and noise), random drum level, colour, velocities, open hats, left-out hits, and
toms, cymbals, claps and rim shots that must not be reported; and songs and single parts without drums.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import librosa
import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from d2midi_build.clock import SAMPLE_RATE_HZ
from d2midi_build.music import drums
from d2midi_build.music.drums import CLOSED_HAT, DRUM_KEYS, KICK, SNARE, drum_features
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.notes import Notes
from d2midi_build.music.scores import drum_score
from d2midi_build.music.synthesis import synthesise
from d2midi_build.synthetic.band import compose

RATE_HZ = 44_100
SECONDS = 20.0
SONGS_PER_KIT = 14
SONGS_WITHOUT = 60
KITS: dict[str, int | None] = {
    "standard": 0,
    "room": 8,
    "power": 16,
    "electronic": 24,
    "tr-808": 25,
    "jazz": 32,
    "brush": 40,
    "sines and noise": None,
}
# Bass drum 2, electric snare, pedal and open hat are kinds of the three.
SAME_DRUM = {35: KICK, 40: SNARE, 44: CLOSED_HAT, 46: CLOSED_HAT}
OTHER_DRUMS = (41, 43, 45, 47, 48, 50, 49, 57, 51, 39, 37, 56, 54, 70)

Audio = npt.NDArray[np.float32]
Song = tuple[Audio, Notes]
Fitted = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def as_three(notes: Notes) -> Notes:
    """The drums among notes, kinds of kick, snare and hat under one key each, the rest left out."""
    hits = notes.drums()
    key = np.array([SAME_DRUM.get(int(pitch), int(pitch)) for pitch in hits.pitch], dtype=np.int64)
    known = np.isin(key, DRUM_KEYS)
    hits = hits.where(known)
    return Notes.create(hits.onset_s, hits.offset_s, key[known], 80, is_drum=True).playable()


def sines_and_noise(hits: Notes, n_samples: int, rng: np.random.Generator) -> Audio:
    """A drum machine of its own: swept sine, tone plus noise, bright noise."""
    sound = np.zeros(n_samples, dtype=np.float32)
    low, sweep, boom = rng.uniform(45, 65), rng.uniform(100, 250), rng.uniform(0.08, 0.3)
    tone, rattle, tick = rng.uniform(160, 240), rng.uniform(0.08, 0.2), rng.uniform(0.02, 0.08)
    length = int(0.4 * RATE_HZ)
    t = np.arange(length) / RATE_HZ
    for onset_s, key, velocity in zip(hits.onset_s, hits.pitch, hits.velocity, strict=True):
        noise = rng.standard_normal(length)
        if key == KICK:
            phase = 2 * np.pi * np.cumsum(low + sweep * np.exp(-t / 0.02)) / RATE_HZ
            hit = np.sin(phase) * np.exp(-t / boom) + 0.3 * noise * np.exp(-t / 0.003)
        elif key == SNARE:
            hit = 0.5 * np.sin(2 * np.pi * tone * t) * np.exp(-t / 0.06) + 0.6 * noise * np.exp(-t / rattle)
        else:
            hit = 0.16 * lfilter([1, -2, 1], [1], noise) * np.exp(-t / tick)
        first = round(onset_s * RATE_HZ)
        end = min(n_samples, first + length)
        sound[first:end] += ((velocity / 127) ** 2 * hit[: end - first]).astype(np.float32)
    return np.stack([sound, sound], axis=1)


def training_song(seed: int, kit: int | None) -> Song:
    """Mono sound and what sounds in it."""
    rng = np.random.default_rng(seed)
    song = compose(rng, float(rng.integers(80, 150)), SECONDS, 0.5)
    n_samples = int(SECONDS * RATE_HZ)
    hits = song.notes.drums()
    key = hits.pitch.astype(np.int64)
    if rng.random() < 0.4:
        key = np.where((key == CLOSED_HAT) & (rng.random(len(key)) < 0.5), 46, key)
    if rng.random() < 0.4:
        key = np.where(key == KICK, 35, key)
    if rng.random() < 0.4:
        key = np.where(key == SNARE, 40, key)
    velocity = np.clip(hits.velocity + rng.integers(-30, 20, len(key)), 30, 127)
    hits = Notes.create(hits.onset_s, hits.offset_s, key, velocity, is_drum=True)
    hits = hits.where(rng.random(len(hits)) < 0.85)
    if rng.random() < 0.7:
        grid_s = np.arange(0.5, SECONDS - 0.5, 30 / song.bpm)
        grid_s = grid_s[rng.random(len(grid_s)) < 0.15]
        pitch, loud = rng.choice(OTHER_DRUMS, len(grid_s)), rng.integers(60, 110, len(grid_s))
        hits = Notes.concat([hits, Notes.create(grid_s, grid_s + 0.1, pitch, loud, is_drum=True)])
    if kit is None:
        hits = as_three(hits)
        drum_sound = 0.5 * sines_and_noise(hits, n_samples, rng)
    else:
        drum_sound = synthesise(hits, RATE_HZ, n_samples, drum_kit=kit)
    gain = 10 ** (rng.uniform(-6, 6) / 20)
    mix = (synthesise(song.notes.pitched(), RATE_HZ, n_samples) + gain * drum_sound).mean(axis=1)
    if rng.random() < 0.5:
        mix = lfilter([1, rng.uniform(-0.3, 0.3)], [1], mix)
    return (mix / np.abs(mix).max() * 0.8).astype(np.float32), as_three(hits)


def song_without_drums(seed: int) -> Song:
    """Mono sound of the pitched parts: together, or one part alone on any of the 12 instruments."""
    rng = np.random.default_rng(seed)
    notes = compose(rng, float(rng.integers(80, 150)), SECONDS, 0.5).notes.pitched()
    if seed % 3:
        part = notes.where(notes.instrument == rng.choice(np.unique(notes.instrument)))
        program = INSTRUMENTS[rng.integers(12)].program
        notes = Notes.create(part.onset_s, part.offset_s, part.pitch, part.velocity, program)
    mix = synthesise(notes, RATE_HZ, int(SECONDS * RATE_HZ)).mean(axis=1)
    return (mix / np.abs(mix).max() * 0.8).astype(np.float32), Notes.empty()


def labelled(song: Song, rate_hz: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Features (n, 96) and, per drum, whether it starts there (n, 3)."""
    times_s, features, _ = drum_features(at_rate(song[0], rate_hz), rate_hz)
    starts = np.zeros((len(times_s), 3), dtype=np.bool_)
    for column, key in enumerate(DRUM_KEYS):
        for onset_s in song[1].onset_s[song[1].pitch == key]:
            away_s = np.abs(times_s - onset_s)
            if len(away_s) and away_s.min() < 0.03:
                starts[np.argmin(away_s), column] = True
    return features, starts


def at_rate(audio: Audio, rate_hz: int) -> Audio:
    """Mono sound at another rate."""
    if rate_hz == RATE_HZ:
        return audio
    return np.asarray(librosa.resample(audio, orig_sr=RATE_HZ, target_sr=rate_hz), dtype=np.float32)


def fit(songs: Sequence[Song], rate_hz: int) -> Fitted:
    """Weights (3, 96) and biases (3,) of logistic regressions on features as they are."""
    parts = [labelled(song, rate_hz) for song in songs]
    features = np.concatenate([part[0] for part in parts])
    starts = np.concatenate([part[1] for part in parts])
    scaler = StandardScaler().fit(features)
    weights, bias = [], []
    for column in range(3):
        model = LogisticRegression(C=0.02, max_iter=500).fit(scaler.transform(features), starts[:, column])
        weights.append(model.coef_[0] / scaler.scale_)
        bias.append(model.intercept_[0] - weights[-1] @ scaler.mean_)
    return np.round(np.array(weights), 4), np.round(np.array(bias), 4)


def report(label: str, songs: Sequence[Song], fitted: Fitted, rate_hz: int) -> None:
    """Print F1 per drum, counts summed over songs (shifted apart so that hits cannot mix)."""
    drums._weights = lambda bandwidth: fitted  # type: ignore[assignment]
    truth, found = [], []
    for i, (audio, hits) in enumerate(songs):
        truth.append(hits.shifted(100.0 * i))
        found.append(drums.detect_drums(at_rate(audio, rate_hz), rate_hz).shifted(100.0 * i))
    scores = [drum_score(Notes.concat(truth), Notes.concat(found), (key,)).f1 for key in DRUM_KEYS]
    print(f"{rate_hz:6d} Hz  {label:34s} kick {scores[0]:.3f}  snare {scores[1]:.3f}  hat {scores[2]:.3f}")


def main() -> None:
    """Fit, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="leave out one drum kit at a time")
    check = parser.parse_args().check
    by_kit = {
        name: [training_song(5000 + 50 * k + i, kit) for i in range(SONGS_PER_KIT)]
        for k, (name, kit) in enumerate(KITS.items())
    }
    silent = [song_without_drums(9000 + i) for i in range(SONGS_WITHOUT)]
    everything = [song for songs in by_kit.values() for song in songs] + silent
    stored = {}
    for bandwidth, rate_hz in (("wide", RATE_HZ), ("narrow", SAMPLE_RATE_HZ)):
        fitted = fit(everything, rate_hz)
        report("training songs", everything, fitted, rate_hz)
        if check:
            for name, songs in by_kit.items():
                others = [song for kit, all_of in by_kit.items() if kit != name for song in all_of]
                report(f"kit left out: {name}", songs, fit(others + silent, rate_hz), rate_hz)
        stored[bandwidth] = {"weights": fitted[0].tolist(), "bias": fitted[1].tolist()}
    drums.WEIGHTS.write_text(json.dumps(stored) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
