"""The tasks of chosen sheets, and of excerpts to write down from scratch, as a workspace has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from d2midi_build import tables
from d2midi_build.annotate.audit.excerpts import excerpts
from d2midi_build.annotate.clips import read_clip
from d2midi_build.annotate.corrections import Corrections, path_in
from d2midi_build.annotate.studio import sent
from d2midi_build.annotate.studio.blind import PART, blind, excerpt_of
from d2midi_build.annotate.studio.preparing import Opened, Prepared, Wishes, prepared
from d2midi_build.annotate.studio.selection import Candidate
from d2midi_build.annotate.studio.sent import SentTask
from d2midi_build.errors import UsageError
from d2midi_build.workspace import Workspace

_ROOM: Final = 3
"""Excerpts that one sent before can stand in the way of: so many overlap it."""

_CLIPS: Final = 8
"""Clips kept open: sheets of one clip are often apart where doubtful ones come first."""


def sheet_tasks(
    workspace: Workspace, chosen: Iterable[Candidate], wishes: Wishes, failed: list[tuple[str, str]]
) -> Iterator[Prepared]:
    """The tasks of sheets, in their order; what cannot be done to a sheet goes to ``failed``, with why.

    Raises
    ------
    D2midiError
        As `read_clip`.
    """
    corrections = Corrections.read(path_in(workspace))
    opened = lru_cache(_CLIPS)(lambda clip_id: Opened.of(read_clip(workspace, clip_id), corrections))
    for each in chosen:
        clip = opened(each.clip_id)
        beats = _kinematic(workspace, each.clip_id) if wishes.kinematic else None
        try:
            yield from prepared(clip, each.sheet.number, wishes, beats)
        except UsageError as error:
            failed.append((each.sheet.sheet_id, str(error)))


def excerpt_tasks(
    workspace: Workspace, candidates: Sequence[Candidate], n: int, seed: int
) -> Iterator[Prepared]:
    """The tasks of ``n`` excerpts of the clips of some sheets, drawn by a seed; fewer if there is no room.

    None overlaps one that was sent before: the same seconds would count twice.
    """
    lengths = {each.clip_id: each.sheet.clip_frames for each in candidates}
    before = [excerpt_of(task) for task in sent_excerpts(workspace)]
    drawn = excerpts(lengths, n + _ROOM * len(before), seed)
    fit = [each for each in drawn if each in before or not any(map(each.overlaps, before))]
    for excerpt in fit[:n]:
        yield blind(excerpt, read_clip(workspace, excerpt.clip_id))


def sent_excerpts(workspace: Workspace) -> list[SentTask]:
    """The excerpts that were sent before."""
    paths = sorted((workspace.annotation / "sent").glob(f"*.{PART}@*.json"))
    return [sent.read(path) for path in paths]


def _kinematic(workspace: Workspace, clip_id: str) -> npt.NDArray[np.float64]:
    rows = tables.read_where(workspace.manifests / "beats.parquet", "clip_id", clip_id)
    found = rows.filter(pc.equal(rows.column("kind"), "kinematic")).sort_by("time_s").column("time_s")
    return np.asarray(found.to_numpy(), dtype=np.float64)
