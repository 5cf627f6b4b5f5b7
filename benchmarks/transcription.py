"""How well and how fast transcribers hear music whose notes are known, beside the basic-pitch command.

    python benchmarks/transcription.py                       # everything; see docs/transcription.md
    python benchmarks/transcription.py --pieces 3 --quick    # does it run
    python benchmarks/transcription.py --docs                # and rewrite docs/transcription.md and its plots
    python benchmarks/transcription.py --attack              # how long after its onset a note is heard
    d2midi models add ./mt3; python benchmarks/transcription.py   # with MT3, whose weights are yours

Composed pieces and 30 s of every usable MIDI file below --midi are played with every soundfont; with the first
one also without drums, in a room, through MP3 and at the clock's 10,240 Hz. Fonts and files that a transcriber's
provenance file lists are marked or left out. Same inputs, same scores; only times differ. Where no weights are
registered as mt3, its row holds nothing but the speed of a network of its size with random weights.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import importlib.util
import json
import multiprocessing
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from transcription_peer import PEER, run_peer
from transcription_pieces import (
    DEBIAN_FOLDER,
    DEBIAN_FONTS,
    RATE_HZ,
    SECONDS,
    SEEDS,
    Condition,
    Piece,
    composed_piece,
    midi_pieces,
)
from transcription_report import UNTAUGHT_TOKENS, print_tables, write_docs, write_plots
from transcription_scores import Heard, compare, compare_beats, without_instruments
from transcription_summary import Run, summary

from d2midi_build import registry
from d2midi_build.digests import sha256_file
from d2midi_build.errors import D2midiError, UsageError
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import default_soundfont, synthesise
from d2midi_build.transcribers.base import Transcriber, transcriber

DEFAULT_MIDI: Final = Path(__file__).resolve().parents[2] / "shared" / "data"
DOCS: Final = Path(__file__).resolve().parents[1] / "docs"
PACKAGES: Final = ("basic-pitch", "librosa", "mir-eval", "numpy", "onnxruntime", "scipy", "tinysoundfont")

PRETRAINED: Final = ("basic-pitch", PEER)
"""Trained on recordings, not on soundfonts."""


@dataclass(frozen=True)
class Job:
    """One piece under one condition for some transcribers; the sound is kept at ``wav`` for the command."""

    piece: Piece
    condition: Condition
    transcribers: tuple[str, ...]
    wav: Path | None


@functools.cache
def loaded(name: str) -> tuple[Transcriber, float]:
    """A transcriber that has been called once (on a second of noise), and the CPU seconds that took."""
    start_s = time.process_time()
    made = transcriber(name)
    made.load()
    made.transcribe(np.random.default_rng(0).normal(0, 0.1, RATE_HZ).astype(np.float32), RATE_HZ)
    return made, time.process_time() - start_s


def listen(job: Job) -> tuple[dict[str, Heard], dict[str, float]]:
    """Play a piece and have every transcriber write down what it hears; runs in a worker."""
    sound, rate_hz = job.condition.heard(job.piece)
    truth = job.condition.truth(job.piece)
    if job.wav is not None:
        soundfile.write(job.wav, sound, rate_hz, subtype="FLOAT")
    heard, load_cpu_s = {}, {}
    for name in job.transcribers:
        made, load_cpu_s[name] = loaded(name)
        start_s = time.process_time()
        found = made.transcribe(sound, rate_hz)
        cpu_s = time.process_time() - start_s
        beats = compare_beats(job.piece, truth, sound, rate_hz, found)
        heard[name] = compare(truth, found, cpu_s, beats)
    return heard, load_cpu_s


def run_all(
    pieces: list[Piece], conditions: list[Condition], names: tuple[str, ...], peer: bool, workers: int
) -> Run:
    """Every piece under every condition; results in the order of the pieces, however many workers."""
    made = Run(conditions, pieces)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with (
        tempfile.TemporaryDirectory() as temporary,
        _Mapped(workers) as each,
        Progress(*columns, console=Console(stderr=True), refresh_per_second=2) as progress,
    ):
        steps = len(conditions) * len(pieces) * (2 if peer else 1)
        task = progress.add_task("starting", total=steps)
        for number, condition in enumerate(conditions):
            folder = Path(temporary, str(number))
            folder.mkdir()
            wavs = [folder / f"{i:03d}.wav" if peer else None for i in range(len(pieces))]
            jobs = [Job(piece, condition, names, wav) for piece, wav in zip(pieces, wavs, strict=True)]
            progress.update(task, description=condition.name)
            for heard, load_cpu_s in each(jobs, lambda: progress.advance(task)):
                for name in names:
                    made.heard[condition.name, name].append(heard[name])
                    made.load_cpu_s.setdefault(name, load_cpu_s[name])
            if peer:
                found, cpu_s = run_peer([wav for wav in wavs if wav is not None], folder / "peer")
                made.peer_cpu_s[condition.name] = cpu_s
                made.heard[condition.name, PEER] = [
                    without_instruments(compare(condition.truth(piece), notes))
                    for piece, notes in zip(pieces, found, strict=True)
                ]
                progress.advance(task, len(pieces))
            shutil.rmtree(folder)
        if peer:  # its start: what a second of silence costs
            silence = Path(temporary, "silence.wav")
            soundfile.write(silence, np.zeros(RATE_HZ, np.float32), RATE_HZ)
            made.load_cpu_s[PEER] = run_peer([silence], Path(temporary, "start"))[1]
    return made


Each = Callable[[list[Job], Callable[[], None]], list[tuple[dict[str, Heard], dict[str, float]]]]


class _Mapped:
    """Runs `listen` over jobs, here or in worker processes, and keeps their order."""

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, mp_context=context) if workers > 1 else None

    def __enter__(self) -> Each:
        return self._run

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _run(
        self, jobs: list[Job], advance: Callable[[], None]
    ) -> list[tuple[dict[str, Heard], dict[str, float]]]:
        if self._pool is None:
            results = []
            for job in jobs:
                results.append(listen(job))
                advance()
            return results
        futures = [self._pool.submit(listen, job) for job in jobs]
        for _ in as_completed(futures):
            advance()
        return [future.result() for future in futures]


def provenance_of(name: str, given: Path | None) -> dict[str, Any] | None:
    """What a transcriber was trained on: the file given, else ``provenance.json`` in its folder, else None."""
    if given is None:
        spec = importlib.util.find_spec(f"d2midi_build.transcribers.{name.replace('-', '_')}")
        folders = list(spec.submodule_search_locations or []) if spec else []
        files = [Path(folder, "provenance.json") for folder in folders]
        given = next((file for file in files if file.is_file()), None)
    if given is None:
        return None
    try:
        read: dict[str, Any] = json.loads(given.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{given} is no provenance file: {error}") from error
    return read


def seen_in(provenance: dict[str, Any] | None, name: str, sha256: str) -> str:
    """``"unseen"``, or the role a soundfont had in training; ``"not stated"`` without a provenance file."""
    if name in PRETRAINED:
        return "unseen"
    if provenance is None:
        return "not stated"
    roles = [
        str(row.get("role", "training"))
        for row in provenance.get("soundfonts", [])
        if row["sha256"] == sha256
    ]
    return roles[0] if roles else "unseen"


def fonts_to_play(given: list[Path]) -> tuple[list[Path], list[str]]:
    """Those given, else TimGM6mb and every known Debian font that is there; and what is absent."""
    if given:
        missing = [str(font) for font in given if not font.is_file()]
        if missing:
            raise UsageError(f"no soundfont at {', '.join(missing)}; correct --soundfont")
        return given, []
    known = {DEBIAN_FOLDER / name: package for name, package in DEBIAN_FONTS.items()}
    absent = [
        f"{font.name} (Debian package {package})" for font, package in known.items() if not font.is_file()
    ]
    return [default_soundfont(), *(font for font in known if font.is_file())], absent


def print_attack(font: Path) -> None:
    """When a tenth and half of the first 100 ms' peak are passed, per instrument."""
    print("instrument                 pitch   10 %     50 %  of the first 100 ms' peak, ms after the onset")
    for instrument in INSTRUMENTS:
        for pitch in (36, 38, 42) if instrument.is_drum else (48, 60, 72):
            note = Notes.create([0.5], [1.0], pitch, 100, instrument.program, instrument.is_drum)
            level = np.abs(synthesise(note, RATE_HZ, soundfont=font)).max(axis=1)[RATE_HZ // 2 :]
            peak = level[: RATE_HZ // 10].max()
            tenth, half = (1000 * float(np.argmax(level > part * peak)) / RATE_HZ for part in (0.1, 0.5))
            print(f"{instrument.name:26s} {pitch:4d} {tenth:7.1f} {half:8.1f}")


def benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """Run what was asked for and describe it."""
    mt3 = ("mt3",) if "mt3" in registry.registered() else ()
    names = tuple(options.transcriber or ("embedded", "basic-pitch", *mt3))
    fonts, absent = fonts_to_play(options.soundfont)
    folders = options.midi if options.midi is not None else [DEFAULT_MIDI] if DEFAULT_MIDI.is_dir() else []
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"no folder at {folder}; correct --midi")
    provenance = {name: provenance_of(name, options.training_digests) for name in names}
    trained = {row["sha256"] for known in provenance.values() if known for row in known.get("midi", [])}
    seeds = {
        seed for known in provenance.values() if known for seed in known.get("seeds", {}).get("band", [])
    }
    from_files, left_out = midi_pieces(folders)
    left_out |= {piece.name: "seen in training" for piece in from_files if piece.sha256 in trained}
    from_files = [piece for piece in from_files if piece.sha256 not in trained]
    left_out |= {f"composed {seed}": "seen in training" for seed in SEEDS if seed in seeds}
    pieces = list(_in_turn([composed_piece(seed) for seed in SEEDS if seed not in seeds], from_files))
    pieces = pieces[: options.pieces]
    if not pieces:
        raise UsageError("no piece is left; see --midi and --training-digests")
    first = fonts[0]
    conditions = [Condition(font) for font in fonts]
    if not options.quick:
        conditions += [Condition(first, drums=False), Condition(first, sound="reverb"), Condition(first, sound="mp3"),
                       Condition(first, sound="clip")]  # fmt: skip
    made = run_all(pieces, conditions, names, options.peer, options.workers)
    digests = {font: sha256_file(font) for font in fonts}
    columns = [*names, *([PEER] if options.peer else [])]
    return {
        "command": command_of(options),
        "versions": {"python": platform.python_version()}
        | {package: importlib.metadata.version(package) for package in ("d2midi", *PACKAGES)},
        "models": {name: transcriber(name).model_digests() for name in names},
        "transcribers": {name: transcriber(name).version for name in names},
        "fonts": [
            {"file": font.name, "sha256": digests[font], "absent": False}
            | {"seen": {name: seen_in(provenance.get(name), name, digests[font]) for name in columns}}
            for font in fonts
        ],
        "fonts_absent": absent,
        "seconds": SECONDS,
        "pieces": [
            {
                "name": piece.name,
                "kind": piece.kind,
                "sha256": piece.sha256,
                "pitched_notes": len(piece.notes.pitched()),
                "drum_hits": len(piece.notes.drums()),
                "beats_known": piece.beats_s is not None,
            }
            for piece in pieces
        ],
        "left_out": left_out,
        "instruments": [instrument.name for instrument in INSTRUMENTS],
        "load_cpu_s": made.load_cpu_s,
        "untaught_s_per_cpu_s": {} if mt3 or options.transcriber else {"mt3": untaught_mt3_s_per_cpu_s()},
        "conditions": [
            {
                "name": condition.name,
                "font": condition.font.name,
                "drums": condition.drums,
                "sound": condition.sound,
                "transcribers": {name: summary(made, condition, name) for name in columns},
                "pieces": {
                    name: {
                        piece.name: one.scores
                        for piece, one in zip(pieces, made.heard[condition.name, name], strict=True)
                    }
                    for name in columns
                },
            }
            for condition in conditions
        ],
    }


def untaught_mt3_s_per_cpu_s() -> float:
    """Seconds of sound per CPU second of MT3's bare network, random, `UNTAUGHT_TOKENS` tokens a segment."""
    import mt3 as mt3_cost  # needs PyTorch
    import torch

    torch.set_num_threads(1)
    rows = mt3_cost.measured(mt3_cost.endless("cpu", "float32"), 32, [100, UNTAUGHT_TOKENS], "cpu")
    return 1 / mt3_cost.hours(rows)[str(UNTAUGHT_TOKENS)]


def command_of(options: argparse.Namespace) -> str:
    """The command without what changes no figure; files by their names, since folders differ between machines."""
    words = ["python benchmarks/transcription.py"]
    for flag in ("midi", "soundfont", "transcriber"):
        words += [f"--{flag} {getattr(value, 'name', value)}" for value in getattr(options, flag) or []]
    words += [f"--pieces {options.pieces}"] if options.pieces else []
    words += ["--quick"] if options.quick else []
    words += [] if options.peer else ["--no-peer"]
    return " ".join(words)


def _in_turn(some: list[Piece], others: list[Piece]) -> Iterator[Piece]:
    """One of each kind in turn, so that --pieces takes both."""
    for i in range(max(len(some), len(others))):
        yield from some[i : i + 1]
        yield from others[i : i + 1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, write."""
    said = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--midi", type=Path, action="append", metavar="DIR", help="folder of MIDI files; may be repeated"
    )
    parser.add_argument("--soundfont", type=Path, action="append", default=[], metavar="FILE",
                        help="soundfont to play with; may be repeated; variations use the first")  # fmt: skip
    parser.add_argument("--transcriber", action="append", metavar="NAME", help="may be repeated")
    parser.add_argument("--pieces", type=int, metavar="N", help="the first N pieces only")
    parser.add_argument(
        "--quick", action="store_true", help="no variations, only the plain mix with every font"
    )
    parser.add_argument(
        "--no-peer", dest="peer", action="store_false", help="without the basic-pitch command"
    )
    parser.add_argument("--training-digests", type=Path, metavar="FILE",
                        help="provenance file in place of the transcribers' own")  # fmt: skip
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes; default 1")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout instead of tables")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write results.json and plots there")
    parser.add_argument("--docs", action="store_true", help="rewrite docs/transcription.md and its plots")
    parser.add_argument("--attack", action="store_true", help="print attack times and nothing else")
    options = parser.parse_args(said)
    try:
        if options.attack:
            print_attack(fonts_to_play(options.soundfont)[0][0])
            return 0
        results = benchmark(options)
    except D2midiError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        write_plots(results, options.out)
    if options.docs:
        write_docs(results, DOCS)
    if options.json:
        print(json.dumps(results))
    else:
        print_tables(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
