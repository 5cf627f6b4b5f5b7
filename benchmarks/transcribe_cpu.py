"""CPU seconds that the stages transcribe and beats take per second of sound.

    OMP_NUM_THREADS=1 python benchmarks/transcribe_cpu.py [--seconds 60]

A clip as stage resample leaves it, 44.1 kHz stereo: songs by `synthetic.band` one after the other, a voice by
`synthetic.singer` in every second one, and keypoints that swing. Both stages run on it as in a worker, with the default
recipe, after they have run on a short clip: reading models and importing is not counted, reading the clip and
writing notes, MIDI and beats is. Threads are counted together. Hyper-threads and other work on the machine make CPU
seconds longer, so the least of several rounds is printed, and the middle one.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import soundfile

from d2midi_build import clock
from d2midi_build.motion.keypoints import PARTS, Keypoints, write_frames
from d2midi_build.music.audio import read_sound
from d2midi_build.music.vocals import find_voice
from d2midi_build.recipe import Recipe
from d2midi_build.stages.base import Work, stage
from d2midi_build.synthetic.band import compose, render
from d2midi_build.synthetic.singer import sing

RATE_HZ: Final = 44_100
SONG_S: Final = 15.0
SEED: Final = 30_000
WARM_S: Final = 5.0


def song(number: int) -> npt.NDArray[np.float32]:
    """A song, shape (n, 2), sung if its number is odd."""
    rng = np.random.default_rng(SEED + number)
    sound = render(compose(rng, float(rng.uniform(90, 140)), SONG_S, 0.2), RATE_HZ)
    sound = sound / np.sqrt(np.mean(sound**2))
    if number % 2:
        sound = sound + sing(rng, SONG_S, RATE_HZ)[: len(sound), None]
    return np.asarray(0.5 * sound / np.abs(sound).max(), dtype=np.float32)


def swinging(n_frames: int) -> Keypoints:
    """Every part in every frame, swinging at 2 Hz about the origin."""
    swing = np.sin(2 * np.pi * 2 * np.arange(n_frames) / clock.FPS).astype(np.float32)
    points = {
        name: np.multiply.outer(0.3 * swing, np.ones(part.shape, np.float32)) for name, part in PARTS.items()
    }
    points["body_visibility"] = np.ones_like(points["body_visibility"])
    present = {f"present_{part.presence}": np.ones(n_frames, np.bool_) for part in PARTS.values()}
    return Keypoints(**points, **present)


def clip(folder: Path, seconds: float) -> dict[str, Any]:
    """Inputs of both stages, written to a folder."""
    folder.mkdir()
    n_frames = clock.whole_frames(seconds)
    sound = np.concatenate([song(number) for number in range(int(np.ceil(seconds / SONG_S)))])
    soundfile.write(folder / "audio.flac", sound[: round(seconds * RATE_HZ)], RATE_HZ)
    write_frames(folder / "frames.parquet", swinging(n_frames).to_table(np.arange(n_frames) / clock.FPS))
    return {
        "audio": str(folder / "audio.flac"),
        "frames": str(folder / "frames.parquet"),
        "notes": str(folder / "transcribe" / "notes.parquet"),
        "n_frames": n_frames,
    }


def run(name: str, folder: Path, inputs: dict[str, Any], state: dict[str, Any]) -> None:
    """A stage, as a worker runs it."""
    out, scratch = folder / name, folder / "scratch"
    out.mkdir(exist_ok=True)
    scratch.mkdir(exist_ok=True)
    found = stage(name)
    found.run(Work(found.params(Recipe()), inputs, out, scratch, lambda share: None, state))


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of all threads."""
    begun_s = time.process_time()
    work()
    return time.process_time() - begun_s


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the clip")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    states: dict[str, dict[str, Any]] = {"transcribe": {}, "beats": {}}
    with tempfile.TemporaryDirectory() as made:
        warm, folder = Path(made, "warm"), Path(made, "clip")
        inputs = clip(warm, WARM_S)
        for name, state in states.items():
            run(name, warm, inputs, state)
        inputs = clip(folder, options.seconds)
        sound, rate_hz = read_sound(Path(inputs["audio"]), folder)
        rounds = [
            {name: cpu_s(lambda n=name, s=state: run(n, folder, inputs, s)) for name, state in states.items()}
            | {"find_voice": cpu_s(lambda: find_voice(sound, rate_hz))}
            for _ in range(options.rounds)
        ]
    rows = {name: [each[name] for each in rounds] for name in rounds[0]}
    rows["both stages"] = [each["transcribe"] + each["beats"] for each in rounds]
    print(f"CPU seconds per second of sound, {options.rounds} rounds of {options.seconds:g} s: least, middle")
    for name, taken in rows.items():
        least, middle = min(taken) / options.seconds, statistics.median(taken) / options.seconds
        inside = " (part of transcribe)" if name == "find_voice" else ""
        print(f"  {least:.4f}  {middle:.4f}  {1 / least:6.1f} s of sound per CPU second  {name}{inside}")


if __name__ == "__main__":
    main()
