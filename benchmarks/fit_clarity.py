"""Fit the model of `d2midi_build.music.clarity` on synthetic sound, and say how well it does on more of it.

    python benchmarks/fit_clarity.py [--data ../shared/data] [--examples 900] [--write]     # two minutes

An example is twelve seconds at 11,025 Hz: songs by `synthetic.band` and General MIDI files, with and without drums,
drums alone, with a voice that sings, cut together; talking and babble by `synthetic.speech`, in quiet and in noise;
talking over a song, 10 dB below to 12 dB above it; and what is neither: noise, gusts of it, hum, applause, ticks.
Rooms, microphones, noise and compression are drawn for all kinds alike. All is played with TimGM6mb: how it does on
other sounds is for the recordings of ``benchmarks/clarity.py`` to say.

With ``--write`` the model is fitted to three examples of four and written to ``clarity.json``; the table is of the
fourth, with the model in the package. Same files and versions, same figures. The MIDI files come from ``--data``.
"""

from __future__ import annotations

import argparse
import json
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import transcription_pieces
from scipy.signal import butter, oaconvolve, sosfilt

from d2midi_build.media.sound_scan import MONO_HZ
from d2midi_build.music import clarity
from d2midi_build.music.notes import Notes
from d2midi_build.music.sound_measures import MEASURES, spectrogram, window_measures
from d2midi_build.music.synthesis import synthesise
from d2midi_build.synthetic.band import compose
from d2midi_build.synthetic.singer import sing
from d2midi_build.synthetic.speech import applause, babble, talk

Sound = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float64]

SEED: Final = 40_000
SECONDS: Final = 12.0
N: Final = round(SECONDS * MONO_HZ)
HELD_OUT: Final = 4
MUSIC: Final = ("music", "sung music", "montage", "drums", "mix")
SPEECH: Final = ("speech", "babble")
NEITHER: Final = ("noise", "gusts", "hum", "applause", "ticks")
KINDS: Final = (*MUSIC, *SPEECH, *NEITHER)
SHARES: Final = (0.16, 0.1, 0.06, 0.08, 0.12, 0.15, 0.08, 0.06, 0.06, 0.04, 0.04, 0.05)
DEFAULT_DATA: Final = Path(__file__).resolve().parents[2] / "shared" / "data"


def level(sound: Sound) -> Sound:
    """A root mean square of 1 where it sounds."""
    power = oaconvolve(sound**2, np.ones(1024) / 1024, "same")
    loud = power > 0.02 * max(float(power.max()), 1e-12)
    return np.asarray(sound / (np.sqrt(np.mean(sound[loud] ** 2)) + 1e-9))


def gain(rng: np.random.Generator, low_db: float, high_db: float) -> float:
    """A random gain."""
    return float(10 ** (rng.uniform(low_db, high_db) / 20))


def song(rng: np.random.Generator, pieces: list[Notes], drums_only: bool) -> Sound:
    """A composed song or a piece of a MIDI file, some parts left out."""
    if pieces and rng.random() < 0.4 and not drums_only:
        start_s = float(rng.uniform(0, transcription_pieces.SECONDS - SECONDS))
        notes = pieces[rng.integers(len(pieces))].starting_in(start_s, start_s + SECONDS).shifted(-start_s)
    else:
        notes = compose(rng, float(rng.integers(75, 160)), SECONDS, 0.0).notes
        parts = [notes.drums()] if drums_only or rng.random() < 0.7 else []
        for name in [] if drums_only else np.unique(notes.pitched().instrument):
            part = notes.where(notes.instrument == name)
            program = int(part.program[0]) if rng.random() < 0.3 else int(rng.integers(0, 104))
            if rng.random() < 0.8:
                parts.append(Notes.create(part.onset_s, part.offset_s, part.pitch, part.velocity, program))
        notes = Notes.concat(parts)
    if drums_only and rng.random() < 0.5:  # a kick alone, a kick and a hat
        played = np.unique(notes.pitch)
        notes = notes.where(np.isin(notes.pitch, rng.permutation(played)[: rng.integers(1, len(played) + 1)]))
    if not len(notes):
        return song(rng, pieces, drums_only)
    kit = int(rng.choice([0, 8, 16, 24, 25]))
    sound = level(synthesise(notes, MONO_HZ, N, drum_kit=kit).mean(axis=1).astype(np.float64))
    if rng.random() < 0.5:  # produced music has more below than a soundfont
        low = sosfilt(butter(1, rng.uniform(80, 200), "low", fs=MONO_HZ, output="sos"), sound)
        sound = sound + gain(rng, -3, 12) * low
    return compressed(rng, level(sound))


def montage(rng: np.random.Generator, songs: list[Sound]) -> Sound:
    """Pieces of songs of one to three seconds, one cut to the next, as videos of several dancers have."""
    parts: list[Sound] = []
    while sum(map(len, parts)) < N:
        length = int(rng.uniform(1, 3) * MONO_HZ)
        first = int(rng.integers(N - length))
        part = songs[rng.integers(len(songs))][first : first + length]
        parts += [part * gain(rng, -6, 0), np.zeros(int(rng.choice([0, 0, rng.uniform(0, 0.1)]) * MONO_HZ))]
    return np.concatenate(parts)[:N]


def compressed(rng: np.random.Generator, sound: Sound) -> Sound:
    """As most songs are: quiet moments raised towards the loud ones, more or less."""
    if rng.random() < 0.4:
        return sound
    length = int(rng.uniform(0.02, 0.2) * MONO_HZ)
    envelope = np.sqrt(oaconvolve(sound**2, np.ones(length) / length, "same").clip(0)) + 0.03
    return level(sound * envelope ** -rng.uniform(0.3, 0.9))


def noise(rng: np.random.Generator) -> Sound:
    """White, pink or brown noise."""
    spectrum = np.fft.rfft(rng.normal(0, 1, N))
    hz = np.fft.rfftfreq(N, 1 / MONO_HZ)
    spectrum *= (hz > 30) / np.maximum(hz, rng.uniform(50, 300)) ** rng.choice([0.0, 0.5, 1.0])
    sound = np.fft.irfft(spectrum, N)
    return level(sound)


def gusts(rng: np.random.Generator) -> Sound:
    """Noise that comes and goes: wind, cars, waves."""
    steps = rng.uniform(0, 1, int(SECONDS * rng.uniform(0.3, 3)) + 2)
    return level(noise(rng) * np.interp(np.linspace(0, 1, N), np.linspace(0, 1, len(steps)), steps) ** 2)


def hum(rng: np.random.Generator) -> Sound:
    """Mains or a machine: harmonics that never change, over noise."""
    time_s = np.arange(N) / MONO_HZ
    base_hz = rng.choice([50.0, 60.0, rng.uniform(80, 400)])
    numbers = np.arange(1, rng.integers(2, 12))
    tones = [
        rng.uniform(0, 1) / k * np.sin(2 * np.pi * k * base_hz * time_s + rng.uniform(0, 6)) for k in numbers
    ]
    return level(np.sum(tones, axis=0)) + gain(rng, -30, 0) * noise(rng)


def ticks(rng: np.random.Generator) -> Sound:
    """A metronome, a click track: short ticks and nothing between."""
    period = int(60 / rng.uniform(60, 180) * MONO_HZ)
    time_s = np.arange(int(0.06 * MONO_HZ)) / MONO_HZ
    tick = np.exp(-time_s / rng.uniform(0.003, 0.02)) * np.sin(2 * np.pi * rng.uniform(600, 3000) * time_s)
    sound = np.zeros(N + len(tick))
    for number, at in enumerate(range(int(rng.integers(period)), N, period)):
        sound[at : at + len(tick)] += (1.0 if number % 4 == 0 else 0.7) * tick
    return level(sound[:N])


def heard(rng: np.random.Generator, sound: Sound) -> Sound:
    """Sound in a room, through a microphone, with the noise of both."""
    if rng.random() < 0.5:
        n = int(rng.uniform(0.1, 1.2) * MONO_HZ)
        tail = rng.normal(0, 1, n) * np.exp(-6 * np.arange(n) / n)
        sound = sound + rng.uniform(0.05, 0.6) * oaconvolve(sound, tail / np.sqrt((tail**2).sum()))[:N]
    if rng.random() < 0.35:
        sound = sosfilt(butter(2, rng.uniform(60, 250), "high", fs=MONO_HZ, output="sos"), sound)
    if rng.random() < 0.25:
        sound = sosfilt(butter(4, rng.uniform(3000, 5000), "low", fs=MONO_HZ, output="sos"), sound)
    quiet = rng.random() < 0.6
    sound = level(sound) + (gain(rng, -70, -30) if quiet else gain(rng, -30, -5)) * noise(rng)
    return np.asarray(sound * gain(rng, -30, 0) / np.abs(sound).max())


def example(rng: np.random.Generator, kind: str, pieces: list[Notes]) -> Sound:
    """Sound of a kind."""
    if kind in ("speech", "babble"):
        talkers = int(rng.integers(2, 6)) if kind == "babble" else 1
        said = talk(rng, SECONDS, MONO_HZ) if talkers == 1 else babble(rng, SECONDS, MONO_HZ, talkers)
        behind = hum(rng) if rng.random() < 0.3 else noise(rng)
        return heard(rng, compressed(rng, level(said.astype(np.float64))) + gain(rng, -50, -8) * behind)
    if kind == "mix":
        said = level(talk(rng, SECONDS, MONO_HZ).astype(np.float64))
        return heard(rng, song(rng, pieces, False) + gain(rng, -10, 12) * said)
    if kind == "sung music":
        voice = compressed(rng, level(sing(rng, SECONDS, MONO_HZ).astype(np.float64)))
        return heard(rng, song(rng, pieces, False) + gain(rng, -6, 6) * voice)
    if kind == "montage":
        return heard(rng, montage(rng, [song(rng, pieces, rng.random() < 0.3) for _ in range(3)]))
    if kind in ("music", "drums"):
        return heard(rng, song(rng, pieces, kind == "drums"))
    if kind == "applause":
        claps_per_s = float(np.exp(rng.uniform(2, 6.5)))
        return heard(rng, applause(rng, SECONDS, MONO_HZ, claps_per_s).astype(np.float64))
    return heard(rng, {"noise": noise, "gusts": gusts, "hum": hum, "ticks": ticks}[kind](rng))


def labelled(number: int, pieces: list[Notes]) -> tuple[str, Rows]:
    """Kind of an example, and the measures of its windows that are not silent, shape (n, 8)."""
    rng = np.random.default_rng(SEED + number)
    kind = str(rng.choice(KINDS, p=SHARES))
    sound = np.round(32767 * example(rng, kind, pieces)).astype(np.int16)
    rows = [row for row in window_measures(spectrogram(sound)) if row is not None]
    return kind, np.array(rows).reshape(-1, len(MEASURES))


def fit(rows: Rows, kinds: npt.NDArray[np.str_]) -> dict[str, Any]:
    """Centre, scale, weights and bias as `clarity.Model` reads them."""
    from sklearn.linear_model import LogisticRegression

    centre, scale = rows.mean(axis=0).round(3), rows.std(axis=0).round(3)
    scaled = np.clip((rows - centre) / scale, -3, 3)
    fitted = LogisticRegression(C=1.0, max_iter=1000).fit(scaled, kinds)
    return {
        "measures": list(MEASURES),
        "kinds": [str(kind) for kind in fitted.classes_],
        "music": list(MUSIC),
        "speech": list(SPEECH),
        "centre": centre.tolist(),
        "scale": scale.tolist(),
        "weights": fitted.coef_.round(3).tolist(),
        "bias": fitted.intercept_.round(3).tolist(),
    }


def judged(rows: Rows) -> npt.NDArray[np.float64]:
    """Shares of windows judged music, speech and neither, and mean likelihoods of the first two."""
    music, speech = clarity.model().likely(rows)
    best = np.argmax([music, speech, 1 - music - speech], axis=0)
    return np.array([*(np.mean(best == number) for number in range(3)), music.mean(), speech.mean()])


def table_of(title: str, rows: dict[str, npt.NDArray[np.float64]]) -> None:
    """Print one table of `judged`."""
    print(f"\n{title:30s}   music  speech neither |  likely music, speech")
    for name, values in rows.items():
        print(f"{name:30s} " + " ".join(f"{value:7.2f}" for value in values))


def main() -> None:
    """Make examples, fit, write, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with MIDI files")
    parser.add_argument("--examples", type=int, default=900)
    parser.add_argument("--write", action="store_true", help="write the weights into the package")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="pretty_midi")
    pieces = [piece.notes for piece in transcription_pieces.midi_pieces([options.data])[0]]
    made = [labelled(number, pieces) for number in range(options.examples)]
    rows = np.concatenate([each for _, each in made])
    kinds = np.repeat([kind for kind, _ in made], [len(each) for _, each in made])
    numbers = np.repeat(np.arange(len(made)), [len(each) for _, each in made])
    held_out = numbers % HELD_OUT == HELD_OUT - 1
    if options.write:
        learned = fit(rows[~held_out], kinds[~held_out])
        learned["made_by"] = f"benchmarks/fit_clarity.py --examples {options.examples} --write"
        learned["recordings"] = f"none: synthetic sound, {len(pieces)} MIDI files played with TimGM6mb"
        learned["versions"] = {name: version(name) for name in ("numpy", "scipy", "scikit-learn")}
        clarity.MODEL.write_text(json.dumps(learned, indent=1) + "\n", encoding="utf-8")
        clarity.model.cache_clear()
    table_of(
        f"{held_out.sum()} windows not learned from",
        {kind: judged(rows[held_out & (kinds == kind)]) for kind in KINDS},
    )


if __name__ == "__main__":
    main()
