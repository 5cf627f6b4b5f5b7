"""The soundfonts the embedded transcriber is trained and calibrated with, and where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from d2midi_build.digests import sha256_file
from d2midi_build.errors import UsageError

Role = Literal["training", "calibration"]

SYSTEM_FOLDER: Final = Path("/usr/share/sounds/sf2")
"""Where Debian's packages put soundfonts."""


@dataclass(frozen=True)
class Font:
    """A soundfont.

    Attributes
    ----------
    file, sha256 : str
        Name and digest of the file.
    role : str
        What it is for. None is for both, and none is one that tests or the demo play.
    licence : str
        As its package states it.
    source : str
        Where to get it.
    """

    file: str
    sha256: str
    role: Role
    licence: str
    source: str


FONTS: Final = (
    Font(
        "FluidR3_GM.sf2",
        "74594e8f4250680adf590507a306655a299935343583256f3b722c48a1bc1cb0",
        "training",
        "MIT",
        "Debian package fluid-soundfont-gm",
    ),
    Font(
        "MuseScore_General_Full.sf2",
        "59287cbb0f424ec76d1bc269eee40dfe0b02252588d72eb016b5d2382e710a8f",
        "training",
        "MIT",
        "Debian package musescore-general-soundfont-lossless",
    ),
    Font(
        "OPL-3_FM_128M.sf2",
        "39bff96eee3dcfbce9665e3968701b894ca2136c7d0bd580281b2bbf59e80392",
        "training",
        "CC-BY-SA-4.0",
        "Debian package opl3-soundfont",
    ),
    Font(
        "sf_GMbank.sf2",
        "9f39fc53bd3a1a69f13cb486838944eded358b3b6e8afbd6c1c2c33675b2034b",
        "training",
        "public domain",
        "Debian package csound-soundfont",
    ),
    Font(
        "sonivox.sf2",
        "4978cf37e7164206f2d22dc4fdf4020ffe040787210bf781e31bdc79961f59ef",
        "calibration",
        "Apache-2.0",
        "npm package @coderline/alphatab 1.8.4, dist/soundfont/sonivox.sf2",
    ),
)
"""In training order. Fonts that forbid commercial use were left out: their terms might pass to the weights."""


def find(folders: Sequence[Path], role: Role) -> list[Path]:
    """Files of the fonts of a role, in their order.

    Raises
    ------
    UsageError
        If one is in none of the folders, or is another version; says where each missing one comes from.
    """
    found, wrong = [], []
    for font in (font for font in FONTS if font.role == role):
        files = [folder / font.file for folder in folders if (folder / font.file).is_file()]
        same = [file for file in files if sha256_file(file) == font.sha256]
        if same:
            found.append(same[0])
        elif files:
            wrong.append(f"{files[0]} is another version; it comes from: {font.source}")
        else:
            wrong.append(f"{font.file} is missing; it comes from: {font.source}")
    if wrong:
        raise UsageError(
            "training needs these soundfonts, in a folder given with --soundfonts or in "
            f"{SYSTEM_FOLDER}:\n  " + "\n  ".join(wrong)
        )
    return found
