"""The plain ``basic-pitch`` command, which the transcribers are measured beside."""

from __future__ import annotations

import csv
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from d2midi_build.errors import UsageError
from d2midi_build.music.notes import Notes

PEER: Final = "basic-pitch CLI"


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
