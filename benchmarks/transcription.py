"""How well and how fast transcribers hear music whose notes are known, beside the basic-pitch command.

    python benchmarks/transcription.py                       # everything; see docs/transcription.md
    python benchmarks/transcription.py --pieces 3 --quick    # does it run
    python benchmarks/transcription.py --docs                # and rewrite docs/transcription.md and its plots
    python benchmarks/transcription.py --attack              # how long after its onset a note is heard

Composed pieces and 30 s of every usable MIDI file below --midi are played with every soundfont; with the first
one also without drums, in a room, through MP3 and at the clock's 10,240 Hz. Fonts and files that a transcriber's
provenance file lists are marked or left out. Same inputs, same scores; only times differ.
"""

from __future__ import annotations

import argparse
import csv
import functools
import importlib.metadata
import importlib.util
import json
import multiprocessing
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
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
from transcription_report import print_tables, write_docs, write_plots

from d2midi_build.digests import sha256_file
from d2midi_build.errors import D2midiError, UsageError
from d2midi_build.music.beat_scores import beat_score, tempo_ratio_error
from d2midi_build.music.beats import find_beats
from d2midi_build.music.instruments import DRUM_CLASSES, INSTRUMENTS
from d2midi_build.music.notes import Notes
from d2midi_build.music.reliability import calibration, mean_with_interval
from d2midi_build.music.scores import (
    Score,
    drum_class_score,
    drum_pairs,
    in_drum_classes,
    instrument_confusion,
    instrument_pairs,
    instrument_score,
    multi_instrument_score,
    note_pairs,
    octave_error_rate,
    onset_offset_score,
    onset_score,
)
from d2midi_build.music.synthesis import default_soundfont, synthesise
from d2midi_build.transcribers.base import Transcriber, transcriber

PEER: Final = "basic-pitch CLI"
DEFAULT_MIDI: Final = Path(__file__).resolve().parents[2] / "shared" / "data"
DOCS: Final = Path(__file__).resolve().parents[1] / "docs"
PACKAGES: Final = ("basic-pitch", "librosa", "mir-eval", "numpy", "onnxruntime", "scipy", "tinysoundfont")

POLYPHONY: Final = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 8), (9, 128))
LOWEST: Final = (0, 36, 48, 60, 72, 84)
"""Lowest pitch of each range: below C2, then octaves from C2 to B5, then from C6 on."""

PRETRAINED: Final = ("basic-pitch", PEER)
"""Trained on recordings, not on soundfonts."""

_BIAS_TOLERANCE_S: Final = 0.1
_BOOTSTRAP_SEED: Final = 0

Counts = tuple[int, int, int]
"""Matched, in the reference, estimated."""


@dataclass
class Heard:
    """What one transcriber made of one piece under one condition.

    Attributes
    ----------
    scores : dict of str to float or None
        0-1 each; None where there was nothing to score.
    counts : dict of str to Counts
        By instrument, drum class, polyphony and pitch range, to be added up over pieces.
    confusion : np.ndarray, shape (13, 13), int64
    late_s : dict of str to np.ndarray
        Estimated minus true onset of the pairs within 100 ms, ``"pitched"`` and ``"drums"``.
    trust : dict of str to (np.ndarray, np.ndarray)
        Per kind of probability: the probabilities and whether each came true.
    cpu_s : float
        CPU seconds of the whole call, of all its threads.
    """

    scores: dict[str, float | None]
    counts: dict[str, Counts]
    confusion: npt.NDArray[np.int64]
    late_s: dict[str, npt.NDArray[np.float64]]
    trust: dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]]
    cpu_s: float | None


@dataclass(frozen=True)
class Job:
    """One piece under one condition for some transcribers; the sound is kept at ``wav`` for the command."""

    piece: Piece
    condition: Condition
    transcribers: tuple[str, ...]
    wav: Path | None


@dataclass
class Run:
    """All results of a run."""

    conditions: list[Condition]
    pieces: list[Piece]
    heard: dict[tuple[str, str], list[Heard]] = field(default_factory=lambda: defaultdict(list))
    load_cpu_s: dict[str, float] = field(default_factory=dict)
    peer_cpu_s: dict[str, float] = field(default_factory=dict)


def compare(
    truth: Notes,
    found: Notes,
    cpu_s: float | None = None,
    beats: dict[str, float | None] | None = None,
) -> Heard:
    """Every score of one piece."""
    scores: dict[str, float | None] = {
        "onset": _f1(onset_score(truth, found)),
        "onset+offset": _f1(onset_offset_score(truth, found)),
        "instrument": _f1(instrument_score(truth, found)),
        "instrument+drums": _f1(multi_instrument_score(truth, found)),
        "drums": _f1(drum_class_score(truth, found)),
        **{name: _f1(drum_class_score(truth, found, (name,))) for name in DRUM_CLASSES},
        "octave errors": octave_error_rate(truth, found),
        **(beats or {}),
    }
    ours, theirs = truth.pitched(), found.pitched()
    counts = {f"drum/{name}": _counts(drum_class_score(truth, found, (name,))) for name in DRUM_CLASSES}
    for instrument in INSTRUMENTS[:-1]:
        mine, its = (notes.where(notes.instrument == instrument.name) for notes in (ours, theirs))
        counts[f"instrument/{instrument.name}"] = _counts(onset_score(mine, its))
    pairs = note_pairs(ours, theirs)
    counts |= _where_it_fails(ours, theirs, pairs)
    hits, their_hits = in_drum_classes(truth), in_drum_classes(found)
    drums = drum_pairs(hits, their_hits)
    named = instrument_pairs(ours, theirs)
    same = ours.instrument[named[:, 0]] == theirs.instrument[named[:, 1]]
    return Heard(
        scores=scores,
        counts=counts,
        confusion=instrument_confusion(truth, found),
        late_s={
            "pitched": _late_s(ours, theirs, note_pairs(ours, theirs, _BIAS_TOLERANCE_S)),
            "drums": _late_s(hits, their_hits, drum_pairs(hits, their_hits, _BIAS_TOLERANCE_S)),
        },
        trust={
            "p_note, pitched": (theirs.p_note.astype(np.float64), _among(pairs[:, 1], len(theirs))),
            "p_note, drums": (their_hits.p_note.astype(np.float64), _among(drums[:, 1], len(their_hits))),
            "p_instrument": (theirs.p_instrument[named[:, 1]].astype(np.float64), same),
        },
        cpu_s=cpu_s,
    )


def _f1(score: Score) -> float | None:
    """No notes in the reference: no score."""
    return score.f1 if score.n_reference else None


def _counts(score: Score) -> Counts:
    return score.n_matched, score.n_reference, score.n_estimated


def _late_s(truth: Notes, found: Notes, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.asarray(found.onset_s[pairs[:, 1]] - truth.onset_s[pairs[:, 0]], dtype=np.float64)


def _among(places: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.bool_]:
    return np.isin(np.arange(n), places)


def _where_it_fails(ours: Notes, theirs: Notes, pairs: npt.NDArray[np.int64]) -> dict[str, Counts]:
    """Counts by polyphony, which is that of the reference, and by pitch range."""
    voices, their_voices = _voices(ours, ours.onset_s), _voices(ours, theirs.onset_s)
    their_voices[pairs[:, 1]] = voices[pairs[:, 0]]  # a pair counts in one place
    counts = {}
    for least, most in POLYPHONY:
        here, there = (voices >= least) & (voices <= most), (their_voices >= least) & (their_voices <= most)
        counts[f"polyphony/{_span(least, most)}"] = _in(here, there, pairs)
    for low, high in zip(LOWEST, (*LOWEST[1:], 128), strict=True):
        here, there = (ours.pitch >= low) & (ours.pitch < high), (theirs.pitch >= low) & (theirs.pitch < high)
        counts[f"pitch/{low}-{high - 1}"] = _in(here, there, pairs)
    return counts


def _voices(ours: Notes, at_s: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """How many reference notes sound at some times, at least 1."""
    started = np.searchsorted(np.sort(ours.onset_s), at_s, side="right")
    ended = np.searchsorted(np.sort(ours.offset_s), at_s, side="right")
    return np.maximum(started - ended, 1)


def _span(least: int, most: int) -> str:
    return f"{least}+" if most == 128 else (str(least) if least == most else f"{least}-{most}")


def _in(here: npt.NDArray[np.bool_], there: npt.NDArray[np.bool_], pairs: npt.NDArray[np.int64]) -> Counts:
    return int(here[pairs[:, 0]].sum()), int(here.sum()), int(there.sum())


def compare_beats(
    piece: Piece, truth: Notes, sound: npt.NDArray[np.float32], rate_hz: int, found: Notes
) -> dict[str, float | None]:
    """Scores of the beats that are found with a transcriber's notes; an "unknown" finds none.

    Where drums are in the mix, pieces without a drum part are left to the condition without drums.
    """
    names = ("beats", "downbeats", "tempo errors", "unknown")
    if (
        piece.beats_s is None
        or piece.downbeats_s is None
        or (len(piece.notes.drums()) == 0 and truth is piece.notes)
    ):
        return dict.fromkeys(names)
    beats = find_beats(sound, rate_hz, found)
    known = bool(len(beats.times_s))
    values = (
        beat_score(piece.beats_s, beats.times_s),
        beat_score(piece.downbeats_s, beats.downbeats_s),
        float(tempo_ratio_error(piece.beats_s, beats.times_s)) if known else None,
        float(not known),
    )
    return dict(zip(names, values, strict=True))


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


def peer_command() -> Path:
    """The console script of basic-pitch beside this Python.

    Raises
    ------
    UsageError
        If there is none.
    """
    beside = Path(sys.executable).with_name("basic-pitch")
    found = str(beside) if beside.is_file() else shutil.which("basic-pitch")
    if found is None:
        raise UsageError(
            "no basic-pitch command beside this Python; install basic-pitch 0.4.0 or use --no-peer"
        )
    return Path(found)


def run_peer(wavs: Sequence[Path], folder: Path) -> tuple[list[Notes], float]:
    """Notes that the basic-pitch command writes for WAV files with its own settings, and its CPU seconds."""
    folder.mkdir()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [peer_command(), folder, *wavs, "--save-note-events"], capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    notes = []
    for wav in wavs:
        events = folder / f"{wav.stem}_basic_pitch.csv"
        if done.returncode or not events.is_file():
            raise UsageError(
                f"basic-pitch failed on {wav.name}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            )
        notes.append(read_events(events))
    return notes, cpu_s


def read_events(path: Path) -> Notes:
    """Notes of basic-pitch's CSV file: no instrument, so all are piano; its velocity is 127 times its certainty."""
    with path.open(newline="", encoding="utf-8") as handle:
        rows = [row[:4] for row in csv.reader(handle)][1:]
    if not rows:
        return Notes.empty()
    onset_s, offset_s, pitch, velocity = np.array(rows, dtype=np.float64).T
    return Notes.create(
        onset_s,
        offset_s,
        pitch.astype(np.int64),
        np.clip(velocity, 1, 127).astype(np.int64),
        p_note=np.clip(velocity / 127, 0, 1),
        origin=PEER,
    )


def without_instruments(heard: Heard) -> Heard:
    """The same of a transcriber that names no instruments: its p_instrument says nothing."""
    nothing = np.empty(0), np.empty(0, np.bool_)
    return replace(heard, trust=heard.trust | {"p_instrument": nothing})


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


def summary(made: Run, condition: Condition, name: str) -> dict[str, Any]:
    """What a table, a plot or a reader of the JSON wants to know of one transcriber under one condition."""
    heard = made.heard[condition.name, name]
    peers = made.heard.get((condition.name, PEER))
    scores = {key: _mean([one.scores.get(key) for one in heard]) for key in heard[0].scores}
    if peers and name != PEER:
        scores["onset over peer"] = _mean([
            None if one.scores["onset"] is None or peer.scores["onset"] is None
            else one.scores["onset"] - peer.scores["onset"]
            for one, peer in zip(heard, peers, strict=True)
        ])  # fmt: skip
    seconds = SECONDS * len(heard)
    if name == PEER:
        cpu_s = made.peer_cpu_s[condition.name]
        speed = {"s_per_cpu_s": seconds / max(cpu_s - made.load_cpu_s[PEER], 1e-3),
                 "s_per_cpu_s_with_start": seconds / cpu_s}  # fmt: skip
    else:
        speed = {"s_per_cpu_s": seconds / max(sum(one.cpu_s or 0.0 for one in heard), 1e-3)}
    return {
        "scores": scores,
        "pooled": {key: _pooled([one.counts[key] for one in heard]) for key in heard[0].counts},
        "confusion": np.sum([one.confusion for one in heard], axis=0).tolist(),
        "false_drum_hits_per_minute": _false_hits(heard) / (seconds / 60),
        "onset_error_ms": {kind: _spread([one.late_s[kind] for one in heard]) for kind in heard[0].late_s},
        "calibration": {kind: _curve([one.trust[kind] for one in heard]) for kind in heard[0].trust},
        "speed": speed,
    }


def _mean(values: list[float | None]) -> dict[str, Any]:
    return asdict(mean_with_interval(values, np.random.default_rng(_BOOTSTRAP_SEED)))


def _pooled(counts: list[Counts]) -> dict[str, Any]:
    matched, n_reference, n_estimated = (sum(count[i] for count in counts) for i in range(3))
    both = n_reference + n_estimated
    return {
        "f1": 2 * matched / both if both else None,
        "precision": matched / n_estimated if n_estimated else None,
        "recall": matched / n_reference if n_reference else None,
        "n_reference": n_reference,
        "n_estimated": n_estimated,
        "n_pieces": sum(count[1] > 0 for count in counts),
    }


def _false_hits(heard: list[Heard]) -> int:
    """Kick, snare and hat hits that are none."""
    return sum(
        one.counts[f"drum/{name}"][2] - one.counts[f"drum/{name}"][0]
        for one in heard
        for name in ("kick", "snare", "hat")
    )


def _spread(parts: list[npt.NDArray[np.float64]]) -> dict[str, Any]:
    """Median and quartiles in milliseconds."""
    late_ms = 1000 * np.concatenate(parts)
    if not len(late_ms):
        return {"median": None, "quartiles": None, "n": 0}
    low, median, high = np.quantile(late_ms, [0.25, 0.5, 0.75])
    return {"median": float(median), "quartiles": [float(low), float(high)], "n": len(late_ms)}


def _curve(parts: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]]) -> dict[str, Any]:
    p, right = (np.concatenate([part[i] for part in parts]) for i in range(2))
    made = calibration(p, right)
    return {
        "error": made.error,
        "mean": [None if np.isnan(x) else float(x) for x in made.mean],
        "share": [None if np.isnan(x) else float(x) for x in made.share],
        "n": made.n.tolist(),
    }


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
    names = tuple(options.transcriber or ("embedded", "basic-pitch"))
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
