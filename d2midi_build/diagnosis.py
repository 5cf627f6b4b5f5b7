"""What on this machine a build depends on, and whether it works."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from d2midi_build.errors import D2midiError

_OLD_DAYS = 90
_LITTLE_GB = 5.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at: ``ok``, ``warning`` (works, but) or ``error`` (will fail), and what to do."""

    name: str
    state: Literal["ok", "warning", "error"]
    text: str


def diagnose(folder: Path) -> list[Finding]:
    """Look at everything a build in ``folder`` depends on; opens each model, downloads nothing."""
    return [
        _python(),
        _ffmpeg(),
        _yt_dlp(),
        _javascript(),
        _models("keypoints", "mediapipe"),
        _models("filter", "screening"),
        _models("transcribe", "transcriber"),
        _transcribers(),
        _demucs(),
        _mt3(),
        _disk(folder),
        Finding(
            "offline",
            "ok",
            "every stage but crawl works without a network: ffmpeg and all default models are installed with d2midi",
        ),
    ]


def _python() -> Finding:
    version = f"d2midi {importlib.metadata.version('d2midi')}, Python {platform.python_version()}"
    usual = sys.platform == "linux" and (3, 11) <= sys.version_info[:2] <= (3, 12)
    return Finding(
        "python",
        "ok" if usual else "warning",
        f"{version} on {platform.platform()}"
        + ("" if usual else ": only Linux with Python 3.11 and 3.12 is tested"),
    )


def _ffmpeg() -> Finding:
    from d2midi_build.media.ffmpeg import ffmpeg_exe, ffmpeg_version
    from d2midi_build.media.sound_scan import knows_chromaprint

    try:
        if not knows_chromaprint():
            text = f"{ffmpeg_exe()} has no chromaprint muxer, which screening needs: unset D2MIDI_FFMPEG"
            return Finding("ffmpeg", "error", text)
        return Finding("ffmpeg", "ok", f"{ffmpeg_version()} with chromaprint at {ffmpeg_exe()}")
    except (D2midiError, OSError) as error:
        return Finding("ffmpeg", "error", f"does not run: {error}. Install d2midi again.")


def _yt_dlp() -> Finding:
    version = importlib.metadata.version("yt-dlp")
    year, month, day = (int(part) for part in version.split(".")[:3])
    age = (date.today() - date(year, month, day)).days
    if age > _OLD_DAYS:
        return Finding(
            "yt-dlp",
            "warning",
            f"{version} is {age} days old; sites change: uv lock --upgrade-package yt-dlp",
        )
    return Finding("yt-dlp", "ok", f"{version}, {age} days old")


def _javascript() -> Finding:
    for name in ("deno", "node", "bun", "qjs"):
        if path := shutil.which(name):
            return Finding("javascript", "ok", f"{name} at {path}")
    return Finding(
        "javascript",
        "warning",
        "no deno, node or bun: yt-dlp needs one for some sites (YouTube); others work",
    )


def _models(stage_name: str, what: str) -> Finding:
    from d2midi_build.recipe import Recipe
    from d2midi_build.stages.base import stage

    described = stage(stage_name)
    try:
        digests = described.models(described.params(Recipe()))
    except (D2midiError, OSError, ImportError) as error:
        return Finding(what, "error", f"model files are missing ({error}): install d2midi again")
    return Finding(what, "ok", f"{len(digests)} model files")


def _transcribers() -> Finding:
    from d2midi_build.transcribers.base import transcriber_names

    return Finding("transcribers", "ok", ", ".join(transcriber_names()))


def _demucs() -> Finding:
    if importlib.util.find_spec("demucs") is None:
        return Finding(
            "demucs", "ok", 'not installed; only `separate.method = "demucs"` needs it (extra `demucs`)'
        )
    return Finding("demucs", "ok", importlib.metadata.version("demucs") + "; weights are yours to bring")


def _mt3() -> Finding:
    from d2midi_build import registry

    try:
        known = registry.registered().values()
    except D2midiError as error:
        return Finding("mt3", "warning", str(error))
    needed = ("torch", "tensorstore", "msgpack", "safetensors")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        text = f"{', '.join(missing)} not installed; only the transcriber `mt3` needs it (extra `mt3`)"
        return Finding("mt3", "ok", text)
    if gone := [f"{weights.name} ({weights.path})" for weights in known if not weights.there()]:
        return Finding("mt3", "warning", f"weights are gone, or not to be seen by you: {', '.join(gone)}")
    names = ", ".join(weights.name for weights in known)
    return Finding(
        "mt3", "ok", f"weights: {names}" if names else "no weights yet: docs/models.md says where from"
    )


def _disk(folder: Path) -> Finding:
    place = folder
    while not place.exists():
        place = place.absolute().parent
    free_gb = shutil.disk_usage(place).free / 1e9
    return Finding("disk", "ok" if free_gb > _LITTLE_GB else "warning", f"{free_gb:.1f} GB free at {place}")
