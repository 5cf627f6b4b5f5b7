"""A trial of screening: the stage ``filter`` over the videos of truth tables, run as a build runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from d2midi_build.flow import EntryNode
from d2midi_build.pipeline import Listener, Selection, build
from d2midi_build.recipe import Recipe
from d2midi_build.screening.calibration import Case
from d2midi_build.screening.truth import Truth
from d2midi_build.sources.lists import merge_lists, read_sources

_STAGES = ("resolve", "crawl", "filter")


def measure(
    truths: Sequence[Truth],
    workspace: Path,
    recipe: Recipe,
    *,
    workers: int | None = None,
    listener: Listener | None = None,
) -> tuple[list[Case], list[str]]:
    """Screen every video of truth tables; what a workspace has already is not done again.

    Parameters
    ----------
    truths : sequence of Truth
    workspace : Path
        Where to keep what is measured.
    recipe : Recipe
        How to measure.
    workers : int, optional
        Processes; one per core by default.
    listener : Listener, optional
        Hears how it goes.

    Returns
    -------
    cases : list of Case
        In the order of ``truths``, without those that could not be measured.
    unmeasured : list of str
        Those, and why.
    """
    files = sorted({truth.file.resolve() for truth in truths})
    sources = list(merge_lists(read_sources(file) for file in files))
    summary = build(sources, workspace, recipe, Selection(_STAGES), workers=workers, listener=listener)
    entries = {
        Path(entry.entry.url).resolve(): entry for source in summary.sources for entry in source.entries
    }
    cases, unmeasured = [], []
    for truth in truths:
        entry = entries[truth.file.resolve()]
        takes = [
            take.scores
            for take in entry.takes
            if truth.start_s is None or truth.end_s is None
            or truth.start_s <= (take.start_s + take.end_s) / 2 < truth.end_s
        ]  # fmt: skip
        if takes:
            cuts_s = tuple(take.start_s for take in entry.takes[1:])
            cases.append(Case(truth, tuple(takes), cuts_s, 1 / _fps(entry)))
        else:
            unmeasured.append(f"{truth.row} ({truth.name}): {_why(entry)}")
    return cases, unmeasured


def _fps(entry: EntryNode) -> float:
    assert entry.crawl is not None
    return float(entry.crawl.facts["media"]["fps"] or 30.0)


def _why(entry: EntryNode) -> str:
    for record in (entry.crawl, entry.filter):
        if record is not None and record.status == "failed":
            return f"{record.message} Take the row out of the table, or mend the file."
    return "no shot lies in its range: correct start_s and end_s"
