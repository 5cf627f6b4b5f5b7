"""How well beats are found, ours beside librosa's, on pieces whose beats are known.

    python benchmarks/beats.py [--notes true] [--band N] [--songs N] [--midi DIR] [--keep DIR]

Band songs of seeds no tuning saw and General MIDI songs, played with TimGM6mb, which no tuning heard either, each with
and without drums. Beat F at 70 ms, nothing trimmed; an octave error is a tempo 2, 1/2, 3, 1/3, 3/2 or 2/3 times the
true one. Where ours is unknown its best guess is scored under "forced"; librosa always answers.

The transcriber takes most of the time; with ``--keep`` what it heard is written to a folder and read again by the next
run, which so goes on where the last one stopped. Interrupted, it reports what it has. librosa compiles its beat
trackers in an environment's first run: some 20 s of processor time, minutes on a busy machine.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from beat_pieces import Piece, band_piece, midi_pieces, misheard, pulseless_piece

from d2midi_build.music.beat_scores import beat_score, tempo_ratio_error
from d2midi_build.music.beats import LEAST_CONFIDENCE, find_beats
from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import synthesise
from d2midi_build.transcribers.base import transcriber

RATE_HZ = 44_100
LIBROSA_HZ = 22_050
FIRST_SEED = 9000
BINS = (0.0, 0.3, 0.5, 0.7, 0.9, 1.0001)
RIGHT = 0.9
"""Beat F from which an answer counts as right."""

DEFAULT_TRANSCRIBER = "embedded"

FloatArray = npt.NDArray[np.float64]


def librosa_beats(sound: npt.NDArray[np.float32]) -> dict[str, FloatArray]:
    """Beats in seconds by `librosa.beat.beat_track` and by the maxima of `librosa.beat.plp`, both as they come."""
    import librosa

    mono = librosa.resample(sound, orig_sr=RATE_HZ, target_sr=LIBROSA_HZ, res_type="polyphase")
    envelope = librosa.onset.onset_strength(y=mono, sr=LIBROSA_HZ)
    _, tracked = librosa.beat.beat_track(onset_envelope=envelope, sr=LIBROSA_HZ, units="time")
    pulse = librosa.beat.plp(onset_envelope=envelope, sr=LIBROSA_HZ)
    peaks = np.flatnonzero(librosa.util.localmax(pulse))
    return {
        "librosa beat_track": np.asarray(tracked),
        "librosa plp": np.asarray(librosa.frames_to_time(peaks, sr=LIBROSA_HZ)),
    }


def measured(piece: Piece, hear: Callable[[Piece, npt.NDArray[np.float32]], Notes]) -> list[dict[str, Any]]:
    """One row per method."""
    sound = synthesise(piece.notes, RATE_HZ, round(piece.duration_s * RATE_HZ)).mean(axis=1)
    sound *= np.float32(0.8 / max(float(np.abs(sound).max()), 1e-6))
    notes = hear(piece, sound)
    begun = time.process_time()
    forced = find_beats(sound, RATE_HZ, notes, least_confidence=0.0)
    cpu = (time.process_time() - begun) / piece.duration_s
    known = forced.known and forced.confidence >= LEAST_CONFIDENCE
    nothing = np.empty(0)
    answers = {
        "ours": forced.times_s if known else nothing,
        "ours, forced": forced.times_s,
        **librosa_beats(sound),
    }
    downbeats = {"ours": forced.downbeats_s if known else nothing, "ours, forced": forced.downbeats_s}
    group = f"{piece.kind} {'with' if piece.drums else 'without'} drums"
    return [
        {
            "group": "pulseless" if piece.kind == "pulseless" else group,
            "piece": piece.name,
            "method": method,
            "known": len(times_s) > 0,
            "f": beat_score(piece.beats_s, times_s) if len(piece.beats_s) else float(len(times_s) == 0),
            "down": beat_score(piece.downbeats_s, downbeats[method]) if method in downbeats else float("nan"),
            "octave": tempo_ratio_error(piece.beats_s, times_s),
            "confidence": forced.confidence,
            "cpu": cpu,
        }
        for method, times_s in answers.items()
    ]


def report(rows: list[dict[str, Any]]) -> None:
    """Print both tables."""
    print("| pieces | method | n | unknown | F all | F known | downbeat F known | octave errors of known |")
    print("|---|---|---|---|---|---|---|---|")
    for group in dict.fromkeys(row["group"] for row in rows):
        for method in dict.fromkeys(row["method"] for row in rows):
            chosen = [row for row in rows if row["group"] == group and row["method"] == method]
            known = [row for row in chosen if row["known"]]
            if group == "pulseless":
                print(f"| {group} | {method} | {len(chosen)} | {len(chosen) - len(known)} | | | | |")
                continue
            cells = [f"{np.mean([row[key] for row in known]):.3f}" if known else "" for key in ("f", "down")]
            octaves = sum(row["octave"] for row in known)
            print(
                f"| {group} | {method} | {len(chosen)} | {len(chosen) - len(known)} "
                f"| {np.mean([row['f'] for row in chosen]):.3f} | {cells[0]} | {cells[1].replace('nan', '')} "
                f"| {octaves} of {len(known)} |"
            )
    forced = [row for row in rows if row["method"] == "ours, forced"]
    print(f"\n| confidence | n | right (F >= {RIGHT}) | mean confidence |\n|---|---|---|---|")
    for low, high in itertools.pairwise(BINS):
        inside = [row for row in forced if low <= row["confidence"] < high]
        if inside:
            right = sum(row["f"] >= RIGHT and row["group"] != "pulseless" for row in inside)
            mean = np.mean([row["confidence"] for row in inside])
            print(f"| {low:.1f}-{min(high, 1):.1f} | {len(inside)} | {right} | {mean:.2f} |")
    print(f"\nCPU of find_beats: {np.mean([row['cpu'] for row in forced]):.4f} s per second")
    for row in forced:
        if row["group"] != "pulseless" and row["f"] < RIGHT:
            print(f"  F {row['f']:.2f} confidence {row['confidence']:.2f}: {row['group']}, {row['piece']}")


def main() -> None:
    """Play, hear, track and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--notes", choices=("heard", "true"), default="heard", help="true: with drawn errors")
    parser.add_argument("--transcriber", default=DEFAULT_TRANSCRIBER)
    parser.add_argument("--band", type=int, default=10, help="band songs")
    parser.add_argument("--songs", type=int, default=10, help="excerpts of MIDI songs, at most")
    parser.add_argument("--pulseless", type=int, default=8)
    parser.add_argument("--keep", type=Path, help="folder for what was heard, by models and piece")
    parser.add_argument(
        "--midi", type=Path, default=Path(__file__).parents[2] / "shared" / "data", help="folder of songs"
    )
    options = parser.parse_args()
    hears = transcriber(options.transcriber) if options.notes == "heard" else None

    models = hashlib.sha256(repr(hears and (hears.version, hears.model_digests())).encode()).hexdigest()[:8]

    def hear(piece: Piece, sound: npt.NDArray[np.float32]) -> Notes:
        if hears is None:
            return misheard(piece.notes, np.random.default_rng(len(piece.notes)))
        if options.keep is None:
            return hears.transcribe(sound, RATE_HZ)
        kept = options.keep / f"{models} {piece.name.replace('/', '_')}.parquet"
        if not kept.exists():
            options.keep.mkdir(parents=True, exist_ok=True)
            pq.write_table(hears.transcribe(sound, RATE_HZ).to_table(), kept.with_suffix(".part"))
            kept.with_suffix(".part").rename(kept)
        return Notes.from_table(pq.read_table(kept))

    songs, left_out = midi_pieces(options.midi)
    print(f"{len(songs)} excerpts of MIDI songs; left out:")
    for name, reason in left_out.items():
        print(f"  {name}: {reason}")
    songs = songs[::2] + songs[1::2]  # the first of each song, then the second
    bands = [band_piece(FIRST_SEED + i) for i in range(options.band)]
    pulseless = [pulseless_piece(FIRST_SEED + i) for i in range(options.pulseless)]
    in_turns = itertools.chain(*itertools.zip_longest(bands, songs[: options.songs], pulseless))
    rows = []
    with warnings.catch_warnings(), contextlib.suppress(KeyboardInterrupt):
        warnings.simplefilter("ignore")
        for whole in filter(None, in_turns):
            for piece in (whole, whole.without_drums()) if whole.drums and len(whole.beats_s) else (whole,):
                rows += (found := measured(piece, hear))
                figures = ", ".join(
                    f"{row['method']} {row['f']:.2f}{' octave' * row['octave']}" for row in found
                )
                print(
                    f"{piece.name} ({found[0]['group']}), confidence {found[0]['confidence']:.2f}: {figures}",
                    flush=True,
                )
    report(rows)


if __name__ == "__main__":
    main()
