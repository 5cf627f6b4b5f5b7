"""What `evaluation` scores: windows of a release with their music and dance, and MIDI files named after them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build import clock
from d2midi_build.errors import UsageError
from d2midi_build.music.midi import read_midi
from d2midi_build.music.notes import Notes
from d2midi_build.release.reader import Release, Window
from d2midi_build.train.metrics.chance import Identity
from d2midi_build.train.metrics.pieces import annotated_bars
from d2midi_build.train.metrics.scoring import Beats, Detector, Piece, Rhythm

_LEAST_BEATS: Final = 4
"""A window with fewer has the tempo of its clip."""

MIDI_ENDINGS: Final = (".mid", ".midi")


@dataclass(frozen=True, eq=False)
class Subject:
    """A window (or whole clip) of a release.

    Attributes
    ----------
    clip_id, video_id, split, genre : str
    start_frame, n_frames : int
    identity : Identity
        What it may be paired with.
    music : Piece
        Its notes and annotated beats.
    dance : Beats or None
        Its kinematic beats; None where the clip has none at all: not seen, or not looked for.
    """

    clip_id: str
    video_id: str
    split: str
    genre: str
    start_frame: int
    n_frames: int
    identity: Identity
    music: Piece
    dance: Beats | None

    @property
    def timing(self) -> Timing:
        """What re-paired clips need of it: without its notes, so that many can be kept."""
        return Timing(self.identity, self.music.rhythm, self.dance)


@dataclass(frozen=True, eq=False)
class Timing:
    """When things happen in a subject's music and dance, and what it may be paired with."""

    identity: Identity
    music: Rhythm
    dance: Beats | None


@dataclass(frozen=True, eq=False)
class Named:
    """MIDI files of a folder and what of a release they are named after.

    Attributes
    ----------
    places : dict
        Clip and first frame (None: the whole clip) of each file that fits the view.
    problems : dict
        What is wrong with each file that fits nothing in the release.
    elsewhere : tuple of Path
        Files of clips that are in the release but not in the view: of another split.
    """

    places: Mapping[Path, tuple[str, int | None]]
    problems: Mapping[Path, str]
    elsewhere: tuple[Path, ...]


class Subjects:
    """Makes subjects of the windows of a release's view."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._rows = {row["clip_id"]: row for row in release.clips.to_pylist()}
        windows = release.windows
        columns = [windows.column(name).to_pylist() for name in ("clip_id", "start_frame", "n_frames")]
        self._places = {(clip, start): i for i, (clip, start, _) in enumerate(zip(*columns, strict=True))}
        self._ends = {(clip, start): start + n for clip, start, n in zip(*columns, strict=True)}
        made_by = [json.loads(row["made_by"] or "{}") for row in self._rows.values()]
        about = {"release": release.digest}
        self.musical = Detector("release/beats.musical", about | {"method": _methods(made_by, "musical")})
        self.kinematic = Detector(
            "release/beats.kinematic", about | {"method": _methods(made_by, "kinematic")}
        )

    def apart(self) -> list[tuple[str, int]]:
        """Clip and first frame of windows that share no frame: of each clip the first, the next after its end, ...

        Overlapping windows are the same music many times over: n would not be honest.
        """
        chosen: list[tuple[str, int]] = []
        ends: dict[str, int] = {}
        for clip_id, start in sorted(self._places):
            if start >= ends.get(clip_id, 0):
                chosen.append((clip_id, start))
                ends[clip_id] = self._ends[clip_id, start]
        return chosen

    def read(self, clip_id: str, start_frame: int | None) -> Subject:
        """A window by clip and first frame, or a whole clip (None).

        Raises
        ------
        KeyError
            If the view has none such.
        """
        row, whole = self._rows[clip_id], self._release.clip(clip_id)
        window = whole if start_frame is None else self._release[self._places[clip_id, start_frame]]
        heard, musical, bars, dance = window.beats, None, None, None
        if len(whole.beats.musical_s):
            musical = Beats(heard.musical_s, self.musical)
            bars = annotated_bars(heard.musical_s, heard.position)
        if len(whole.beats.kinematic_s):
            dance = Beats(heard.kinematic_s, self.kinematic)
        # The same music, or a copy of the video, is no other source however it is called.
        apart = (window.video_id, row["music_group"] or "", row["video_group"] or "")
        return Subject(
            clip_id,
            window.video_id,
            window.split,
            window.genre,
            window.start_frame,
            window.n_frames,
            Identity(apart, f"{window.split}/{window.genre}", _tempo_bpm(heard.musical_s, row["tempo_bpm"])),
            Piece(notes_of(window), clock.frame_time_s(window.n_frames), musical, bars),
            dance,
        )


def notes_of(window: Window) -> Notes:
    """Notes that start in a window; those that sound on from before have no onset there and are left out."""
    there = window.notes
    rows = np.flatnonzero(~there.starts_before)
    return Notes.create(
        there.onset_s[rows],
        there.offset_s[rows],
        there.pitch[rows],
        there.velocity[rows],
        np.where(there.is_drum[rows], 0, there.program[rows]),
        there.is_drum[rows],
    )


def midi_files(folder: Path) -> list[Path]:
    """MIDI files of a folder, by name.

    Raises
    ------
    UsageError
        If there is no such folder, or no MIDI file in it.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}: name the folder with the generated MIDI files")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in MIDI_ENDINGS)
    if not found:
        raise UsageError(f"there is no file {' or '.join(f'*{e}' for e in MIDI_ENDINGS)} in {folder}")
    return found


def match_names(files: Sequence[Path], release: Release, view: Release) -> Named:
    """Which window or clip each MIDI file is named after: ``<clip_id>.mid`` or ``<clip_id>_<start_frame>.mid``.

    Parameters
    ----------
    files : sequence of Path
    release, view : Release
        Everything, and the windows to be scored.
    """
    known = _starts(release)
    wanted = set(view.windows.column("clip_id").to_pylist())
    places: dict[Path, tuple[str, int | None]] = {}
    problems, elsewhere = {}, []
    for path in files:
        clip_id, _, start = path.stem.rpartition("_")
        if path.stem in known:  # ids of clips end in _<milliseconds> themselves
            place: tuple[str, int | None] = path.stem, None
        elif clip_id in known and start.isdecimal():
            if int(start) not in known[clip_id]:
                begins = ", ".join(map(str, sorted(known[clip_id])[:5])) or "none"
                problems[path] = (
                    f"clip {clip_id} has no window that begins at frame {start}; there are {begins}..."
                )
                continue
            place = clip_id, int(start)
        else:
            problems[path] = (
                f"no clip of the release is called {path.stem}. Name files <clip_id>.mid or <clip_id>_<start_frame>.mid"
            )
            continue
        if place in places.values():
            problems[path] = f"another file is of the same music: {place[0]}. Remove one of them"
        elif place[0] in wanted:
            places[path] = place
        else:
            elsewhere.append(path)
    return Named(places, problems, tuple(elsewhere))


def read_piece(path: Path, length_s: float) -> Piece:
    """A generated piece from a MIDI file; its beats are its onsets.

    Raises
    ------
    PermanentError
        If the file is damaged; the message says what to do.
    """
    return Piece(read_midi(path), length_s)


def _starts(release: Release) -> dict[str, set[int]]:
    windows = release.windows
    starts: dict[str, set[int]] = {clip_id: set() for clip_id in release.clips.column("clip_id").to_pylist()}
    columns = (windows.column(name).to_pylist() for name in ("clip_id", "start_frame"))
    for clip_id, start in zip(*columns, strict=True):
        starts[clip_id].add(start)
    return starts


def _methods(made_by: Sequence[Mapping[str, Any]], kind: str) -> str:
    """The methods that found beats in these clips, as their stage wrote them down."""
    found = {str(_within(each.get("beats"), kind)) for each in made_by} - {"None"}
    return ", ".join(sorted(found)) or "not recorded"


def _within(data: Any, key: str) -> Any:
    """The value of a key at any depth."""
    if not isinstance(data, Mapping):
        return None
    if key in data:
        return data[key]
    return next((found for each in data.values() if (found := _within(each, key)) is not None), None)


def _tempo_bpm(beats_s: npt.NDArray[np.float64], of_clip: float | None) -> float | None:
    if len(beats_s) >= _LEAST_BEATS:
        return float(60 / np.median(np.diff(beats_s)))
    return of_clip
