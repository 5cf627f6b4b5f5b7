"""Windows of a release for PyTorch: a dataset, and how windows become a batch.

loader = DataLoader(WindowDataset(release), batch_size=8, shuffle=True, num_workers=2, collate_fn=collate)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

import numpy as np
import torch
from torch.utils.data import Dataset

from d2midi_build.errors import UsageError
from d2midi_build.release.catalogue import WindowNotes
from d2midi_build.release.reader import Release, Window

FIELDS: Final = ("keypoints", "missing", "visibility", "notes", "audio")
"""What an example can hold of a window."""

Example = dict[str, Any]


class WindowDataset(Dataset[Example]):
    """A release as a map-style dataset.

    An example is a dict with ``clip_id``, ``start_frame`` and what is asked for: tensors as in
    `d2midi_build.release.reader.Window`, ``notes`` as a dict of tensors by column, ``audio`` None where there is none.

    Parameters
    ----------
    release : Release
        Or a view of one.
    what : sequence of str, optional
        Of `FIELDS`; what is not asked for is not read. Default is keypoints, missing and notes.

    Raises
    ------
    UsageError
        If something else is asked for.
    """

    def __init__(self, release: Release, what: Sequence[str] = ("keypoints", "missing", "notes")) -> None:
        for name in what:
            if name not in FIELDS:
                raise UsageError(f"what: {name!r} is none of {', '.join(FIELDS)}")
        self.release = release
        self.what = tuple(what)

    def __len__(self) -> int:
        return len(self.release)

    def __getitem__(self, index: int) -> Example:
        window = self.release[index]
        found: Example = {"clip_id": window.clip_id, "start_frame": window.start_frame}
        return found | {name: _tensors(window, name) for name in self.what}


def collate(examples: Sequence[Example]) -> dict[str, Any]:
    """A batch of B examples that hold the same things.

    Returns
    -------
    dict
        ``clip_id`` as a list, ``start_frame`` as int64 of shape (B,), ``keypoints``, ``missing``, ``visibility`` and
        ``audio`` stacked along a new first dimension, ``audio`` None unless all have it. ``notes`` are packed: a
        dict of columns with the notes of one example after those of another, and ``window``, the place in the
        batch of each note's example, all of shape (all notes,).

    Raises
    ------
    UsageError
        If windows differ in length.
    """
    lengths = {
        len(example[name]) for example in examples for name in ("keypoints", "missing") if name in example
    }
    if len(lengths) > 1:
        raise UsageError(
            f"windows of {sorted(lengths)} frames cannot be stacked: filter or cut them to one length"
        )
    batch: dict[str, Any] = {}
    for name in examples[0]:
        values = [example[name] for example in examples]
        if name == "clip_id":
            batch[name] = values
        elif name == "start_frame":
            batch[name] = torch.tensor(values, dtype=torch.int64)
        elif name == "notes":
            batch[name] = _packed(values)
        else:
            batch[name] = None if any(value is None for value in values) else torch.stack(values)
    return batch


def _packed(notes: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    counts = torch.tensor([len(each["onset_s"]) for each in notes], dtype=torch.int64)
    columns = {name: torch.cat([each[name] for each in notes]) for name in notes[0]}
    return {"window": torch.repeat_interleave(torch.arange(len(notes)), counts), **columns}


def _tensors(window: Window, name: str) -> Any:
    value = getattr(window, name)
    if isinstance(value, WindowNotes):
        return {
            column.name: torch.from_numpy(np.asarray(getattr(value, column.name))) for column in fields(value)
        }
    return None if value is None else torch.from_numpy(value)
