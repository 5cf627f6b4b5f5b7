"""Reading a release: windows by number, filters, coordinates; see docs/reading.md.

    release = open_release("release").filter(split="train", genre="house")
    window = release[0]
    window.keypoints      # (600, 553, 3) float32
    window.notes.pitch    # of the notes that sound in it

Nothing is read before it is asked for, and nothing but what is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from d2midi_build import clock
from d2midi_build.errors import UsageError
from d2midi_build.release import format as layout
from d2midi_build.release import local
from d2midi_build.release.catalogue import (
    JOINTS,
    BoolArray,
    Catalogue,
    FloatArray,
    IndexArray,
    Removed,
    TimeArray,
    View,
    WindowBeats,
    WindowNotes,
)
from d2midi_build.tables import to_numpy


def open_release(
    location: str | Path,
    *,
    coords: str = "normalised",
    parts: Sequence[str] = tuple(JOINTS),
    layer: str = "final",
    smooth: float | None = None,
    removed: str | Path | Sequence[str | Path] | None = None,
    cache: str | Path | None = None,
    memory_map: bool | None = None,
    converted: Callable[[int, int], None] | None = None,
) -> Release:
    """Open a release; reads its small tables, no frames.

    Parameters
    ----------
    location : str or Path
        Folder or URL of the release. Files behind a URL are fetched when they are first needed, checked and kept.
    coords : str, optional
        ``normalised``, ``image`` or ``world``: see `release.coordinates`.
    parts : sequence of str, optional
        Parts of the keypoints, in the order wanted. Default is all: body, left_hand, right_hand, face.
    layer : str, optional
        Of notes: ``final``, ``heard`` or ``machine``.
    smooth : float, optional
        Standard deviation in seconds of the Gaussian that keypoints are smoothed with. Default is not at all.
    removed : path, URL or sequence of them, optional
        Newer lists of removals (the removed.parquet of a later release), applied with the release's own.
    cache : path, optional
        Where to keep what is fetched or converted. Default is ``d2midi/releases`` below ``$XDG_CACHE_HOME``, else
        ``~/.cache``.
    memory_map : bool, optional
        True: convert everything now, once, to files that are read at the speed of copying memory; twice as large.
        False: read Parquet. Default: what was fetched is converted shard by shard when it is first needed; of a
        folder, what was converted before is used.
    converted : callable, optional
        Told of the progress of ``memory_map=True``: files converted and files in all.

    Raises
    ------
    UsageError
        If there is no release, or an option is none.
    SchemaError
        If the release is damaged, or of a format this version of d2midi does not know.
    """
    view = View.checked(coords, parts, layer, smooth)
    files = local.find(location, cache)
    lists = [removed] if isinstance(removed, str | Path) else list(removed or ())
    catalogue = Catalogue(files, [local.read_removals(each) for each in lists], memory_map)
    if memory_map:
        catalogue.convert(converted or _untold)
    return Release(catalogue, view, np.flatnonzero(catalogue.window_left).astype(np.int64))


@dataclass(frozen=True, eq=False)
class Window:
    """Some frames of a clip with all that belongs to them, each read when it is first asked for and then kept.

    Attributes
    ----------
    clip_id, video_id, split, genre : str
    start_frame, n_frames : int
        Where it lies in its clip.
    """

    clip_id: str
    video_id: str
    split: str
    genre: str
    start_frame: int
    n_frames: int
    _catalogue: Catalogue = field(repr=False)
    _view: View = field(repr=False)
    _clip: int = field(repr=False)

    @cached_property
    def keypoints(self) -> FloatArray:
        """Points, shape (n_frames, joints, 3), in the release's coordinates; NaN where missing."""
        return self._points[0]

    @cached_property
    def missing(self) -> BoolArray:
        """Which points are missing, shape (n_frames, joints)."""
        return np.repeat(self._points[1], self._view.counts, axis=1)

    @cached_property
    def visibility(self) -> FloatArray:
        """How likely each body point is in the picture and not hidden, shape (n_frames, 33); NaN without a body."""
        return self._catalogue.visibility(self._clip, self.start_frame, self.n_frames)

    @cached_property
    def notes(self) -> WindowNotes:
        """Notes of the release's layer that sound in the window."""
        return self._catalogue.notes(self._clip, self.start_frame, self.n_frames, self._view.layer_bit)

    @cached_property
    def beats(self) -> WindowBeats:
        """Musical and kinematic beats in the window."""
        return self._catalogue.beats(self._clip, self.start_frame, self.n_frames)

    @cached_property
    def audio(self) -> FloatArray | None:
        """Sound, shape (512 * n_frames,), -1 to 1; None where the licence kept it out of the release."""
        return self._catalogue.audio(self._clip, self.start_frame, self.n_frames)

    @property
    def frame_times(self) -> TimeArray:
        """Times of the frames in seconds from the window's first frame, shape (n_frames,)."""
        return np.arange(self.n_frames) / clock.FPS

    @cached_property
    def source_times(self) -> TimeArray:
        """Times in the source video of the pictures the frames show, in seconds, shape (n_frames,)."""
        return self._catalogue.source_times(self._clip, self.start_frame, self.n_frames)

    @cached_property
    def _points(self) -> tuple[FloatArray, BoolArray]:
        return self._catalogue.points(self._clip, self.start_frame, self.n_frames, self._view)


class Release(Sequence[Window]):
    """Windows of a release: all of them, or those that a filter left. Made by `open_release`.

    A release is picklable; processes it is sent to open the files for themselves.
    """

    def __init__(self, catalogue: Catalogue, view: View, index: IndexArray, filtered: bool = False) -> None:
        self._catalogue = catalogue
        self._view = view
        self._index = index
        self._filtered = filtered

    def __len__(self) -> int:
        """Number of windows."""
        return len(self._index)

    @overload
    def __getitem__(self, index: int) -> Window: ...

    @overload
    def __getitem__(self, index: slice) -> Release: ...

    def __getitem__(self, index: int | slice) -> Window | Release:
        """The window of a number, or a view of a slice.

        Raises
        ------
        IndexError
            If there is no such window.
        """
        if isinstance(index, slice):
            return self.select(np.arange(len(self))[index])
        if not isinstance(index, (int, np.integer)):
            raise TypeError(f"{index!r} is no number: `select` takes several, `filter` takes conditions")
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no window {index}: there are {len(self)}")
        catalogue, row = self._catalogue, self._index[index]
        clip, start = int(catalogue.window_clip[row]), int(catalogue.window_start[row])
        return self._window(clip, start, int(catalogue.window_frames[row]))

    def __iter__(self) -> Iterator[Window]:
        for index in range(len(self)):
            yield self[index]

    def __repr__(self) -> str:
        return f"<Release {self.name} {self.version}: {len(self):,} windows, coords={self.coords!r}>"

    def filter(
        self,
        *,
        split: str | Sequence[str] | None = None,
        genre: str | Sequence[str] | None = None,
        instrument: str | Sequence[str] | None = None,
        clip: str | Sequence[str] | None = None,
        video: str | Sequence[str] | None = None,
        licence: str | Sequence[str] | None = None,
        least_body_share: float | None = None,
        least_notes: int | None = None,
    ) -> Release:
        """The windows that fit all that is asked for; of several values, any. Reads nothing.

        Parameters
        ----------
        split, genre, clip, video, licence : str or sequence of str, optional
            Values of the columns ``split`` and ``genre`` of windows, ``clip_id``, ``video_id`` and ``licence`` of
            their clips.
        instrument : str or sequence of str, optional
            Names of instruments, one of which plays in the window (in layer final).
        least_body_share : float, optional
            Share of frames with a body, 0-1.
        least_notes : int, optional
            Notes that sound in the window (in layer final).

        Raises
        ------
        UsageError
            If nothing in the release has such a value; the message lists what it has.
        """
        keep = np.ones(len(self._index), dtype=np.bool_)
        asked = {"split": split, "genre": genre, "clip_id": clip, "video_id": video, "licence": licence}
        for column, values in asked.items():
            if values is not None:
                keep &= self._catalogue.windows_with(column, _several(values))[self._index]
        if instrument is not None:
            keep &= self._catalogue.windows_playing(_several(instrument))[self._index]
        for column, least in (("body_share", least_body_share), ("n_notes", least_notes)):
            if least is not None:
                keep &= to_numpy(self._catalogue.windows.column(column))[self._index] >= least
        return self.select(keep)

    def select(self, which: npt.ArrayLike) -> Release:
        """The windows that a mask or numbers pick, in their order: for every condition that `filter` lacks."""
        chosen = np.atleast_1d(which)
        if not chosen.size:
            chosen = chosen.astype(np.int64)
        return Release(self._catalogue, self._view, self._index[chosen], filtered=True)

    def clip(self, clip_id: str) -> Window:
        """A whole clip as one window.

        Raises
        ------
        UsageError
            If the release has no such clip, or it was removed.
        """
        place = self._catalogue.place_of(clip_id)
        return self._window(place, 0, int(self._catalogue.clip_frames[place]))

    def table(self, name: str) -> Any:
        """All rows of a table, removed clips left out, as a `pyarrow.dataset.Dataset`; its files are read when it is.

        Raises
        ------
        UsageError
            If no table is called that.
        """
        if name not in layout.TABLES:
            raise UsageError(f"no table is called {name!r}; there are {', '.join(layout.TABLES)}")
        return self._catalogue.dataset(name)

    @property
    def windows(self) -> pa.Table:
        """The table of windows, a row per window of this view in its order."""
        return self._catalogue.windows.take(pa.array(self._index))

    @property
    def clips(self) -> pa.Table:
        """The table of clips: all, windows or not; once filtered, those that windows are of."""
        return self._catalogue.clips.filter(pa.array(self._clips_here))

    @property
    def videos(self) -> pa.Table:
        """The table of videos: all; once filtered, those that windows are of."""
        left = self._catalogue.videos.filter(pa.array(self._catalogue.video_left))
        if not self._filtered:
            return left
        return left.filter(pc.is_in(left.column("video_id"), self.clips.column("video_id").unique()))

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of the joints in order: ``body.left_hip``, ``left_hand.wrist``, ``face.0``..."""
        return self._view.joints

    @property
    def coords(self) -> str:
        """System of coordinates of `Window.keypoints`."""
        return self._view.coords

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What manifest.json holds."""
        return self._catalogue.manifest

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return str(self.manifest["name"])

    @property
    def version(self) -> str:
        """Version of the release."""
        return str(self.manifest["version"])

    @property
    def gate(self) -> Mapping[str, Any] | None:
        """What a check of pairing found: ``verdict``, ``preview``, ``why``; None if pairing was not checked."""
        found: Mapping[str, Any] | None = self.manifest.get("gate")
        return found

    @property
    def preview(self) -> bool:
        """Whether a check found too little in it to tell whether dances and music belong together."""
        return self.gate is not None and bool(self.gate["preview"])

    @property
    def digest(self) -> str:
        """SHA-256 of its SHA256SUMS, which stands for all its files."""
        return self._catalogue.files.digest

    @property
    def removed(self) -> Removed:
        """How much of the release is left out because it was removed."""
        return self._catalogue.removed

    def _window(self, clip: int, start: int, n: int) -> Window:
        return Window(*self._catalogue.names[clip], start, n, self._catalogue, self._view, clip)

    @property
    def _clips_here(self) -> BoolArray:
        if not self._filtered:
            return self._catalogue.clip_left
        here = np.zeros(len(self._catalogue.clip_left), dtype=np.bool_)
        here[self._catalogue.window_clip[self._index]] = True
        return here


def _several(values: str | Sequence[str]) -> list[str]:
    return [values] if isinstance(values, str) else list(values)


def _untold(done: int, total: int) -> None:
    """For progress that nobody asked for."""
