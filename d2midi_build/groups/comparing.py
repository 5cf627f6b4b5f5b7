"""Compare takes by the fingerprints that the stage ``filter`` left."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from threadpoolctl import threadpool_limits

from d2midi_build.groups.membership import Member, Pair
from d2midi_build.media.likeness import Copy, MotionSignature, find_copies
from d2midi_build.music.fingerprints import MusicFeatures, Repeat, find_repeats
from d2midi_build.stages.filter import MUSIC_FILE, PICTURE_FILE

_log = logging.getLogger(__name__)


class Comparison:
    """Takes that are compared with all those before them.

    Parameters
    ----------
    compared : sequence of Member
        Takes that were compared with each other before.

    Attributes
    ----------
    unreadable : set of str
        Takes whose fingerprints cannot be read: they are compared with nothing, and a warning is logged.
    """

    def __init__(self, compared: Sequence[Member]) -> None:
        self.unreadable: set[str] = set()
        self._takes: list[str] = []
        self._music: list[MusicFeatures] = []
        self._motion: list[MotionSignature] = []
        self._load(compared)

    def add(self, new: Sequence[Member], progress: Callable[[float], None]) -> list[Pair]:
        """Compare takes with each other and with all that are here already; they stay.

        Parameters
        ----------
        new : sequence of Member
        progress : callable
            Is told the share done, 0-1.
        """
        known = range(len(self._takes))
        self._load(new)
        # Many small products: several threads cost several times the CPU time here, and save no time.
        with threadpool_limits(1, "blas"):
            return self._compared(known, progress)

    def _compared(self, known: Collection[int], progress: Callable[[float], None]) -> list[Pair]:
        repeats = find_repeats(self._music, known, lambda done, total: progress(0.5 * done / max(total, 1)))
        copies = find_copies(
            self._motion, known, lambda done, total: progress(0.5 + 0.5 * done / max(total, 1))
        )
        return [*map(self._music_pair, repeats), *map(self._video_pair, copies)]

    # Pairs name the smaller id first. The other way round, what is at 0 in the second is at -offset in the first,
    # in the first one's seconds.

    def _music_pair(self, found: Repeat) -> Pair:
        first, second = self._takes[found.first], self._takes[found.second]
        offset_s, speed, semitones = found.offset_s, found.speed, found.semitones
        if second < first:
            first, second = second, first
            offset_s, speed, semitones = -offset_s * speed, 1 / speed, -semitones
        score, overlap_s = round(found.score, 4), round(found.overlap_s, 3)
        return Pair(
            "music",
            first,
            second,
            found.how,
            score,
            round(offset_s, 3) + 0.0,
            overlap_s,
            round(speed, 4),
            round(semitones, 2) + 0.0,
        )

    def _video_pair(self, found: Copy) -> Pair:
        first, second = self._takes[found.first], self._takes[found.second]
        offset_s = found.offset_s
        if second < first:
            first, second, offset_s = second, first, -offset_s
        score, overlap_s = round(found.score, 4), round(found.overlap_s, 3)
        return Pair(
            "video",
            first,
            second,
            "motion",
            score,
            round(offset_s, 3) + 0.0,
            overlap_s,
            mirrored=found.mirrored,
        )

    def _load(self, members: Sequence[Member]) -> None:
        at: Path | None = None
        video: tuple[MusicFeatures, MotionSignature] | None = None
        for member in members:
            try:
                if video is None or member.features != at:  # takes of one video follow each other
                    video = _fingerprints(member.features)
                    at = member.features
            except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
                self.unreadable.add(member.take_id)
                _log.warning(
                    "%s is compared with nothing: its fingerprints in %s cannot be read (%s). `d2midi build --refresh "
                    "filter` makes them again",
                    member.take_id,
                    member.features,
                    error,
                )
                continue
            mine = video[0].between(member.start_s, member.end_s)
            moves = video[1].between(member.start_s, member.end_s)
            self._takes.append(member.take_id)
            # Copies: a part would keep the whole video's arrays in memory.
            self._music.append(replace(mine, levels=mine.levels.copy(), hashes=mine.hashes.copy()))
            self._motion.append(replace(moves, cells=moves.cells.copy()))


def _fingerprints(folder: Path) -> tuple[MusicFeatures, MotionSignature]:
    """What the stage ``filter`` left of a video."""
    return (
        MusicFeatures.from_arrays(_arrays(folder / MUSIC_FILE)),
        MotionSignature.from_arrays(_arrays(folder / PICTURE_FILE)),
    )


def _arrays(path: Path) -> dict[str, Any]:
    with path.open("rb") as handle, np.load(handle) as file:
        return {name: file[name] for name in file.files}
