"""A trial of screening: the stage ``filter`` over the videos of truth tables, run as a build runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from d2midi_build.errors import UsageError
from d2midi_build.flow import EntryNode, TakeNode
from d2midi_build.manifests import remembered
from d2midi_build.pipeline import SCREENING, Listener, Selection, build
from d2midi_build.recipe import Recipe
from d2midi_build.rows import clip_review
from d2midi_build.screening.calibration import Case, ClipNotes
from d2midi_build.screening.truth import Truth
from d2midi_build.sources.lists import merge_lists, read_sources
from d2midi_build.stages.base import NAMES
from d2midi_build.workspace import Workspace

_CLIPS = tuple(name for name in NAMES if name != "window")


def measure(
    truths: Sequence[Truth],
    workspace: Path,
    recipe: Recipe,
    *,
    clips: bool = False,
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
    clips : bool
        Also make clips of what is accepted, and look at what their stages say; costs as much as a build.
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
    _only_of_trials(workspace, files)
    sources = list(merge_lists(read_sources(file) for file in files))
    selection = Selection(_CLIPS if clips else SCREENING)
    # Length and repeats are no faults of a video.
    any_length = recipe.with_field("window.frames", 1).with_field("groups.repeats", "group")
    summary = build(sources, workspace, any_length, selection, workers=workers, listener=listener)
    entries = {
        Path(entry.entry.url).resolve(): entry for source in summary.sources for entry in source.entries
    }
    cases, unmeasured = [], []
    for truth in truths:
        entry = entries.get(truth.file.resolve())
        takes = [take for take in entry.takes if _belongs(take, truth)] if entry else []
        if entry and takes:
            cuts_s = tuple(take.start_s for take in entry.takes[1:])
            scores, notes = (take.scores for take in takes), (_notes(take, recipe) for take in takes)
            cases.append(Case(truth, tuple(scores), tuple(notes), cuts_s, 1 / _fps(entry)))
        else:
            unmeasured.append(f"{truth.row} ({truth.name}): {_why(entry)}")
    return cases, unmeasured


def _notes(take: TakeNode, recipe: Recipe) -> ClipNotes | None:
    beats = take.records.get("beats")
    if beats is None or beats.status != "done":
        return None
    return ClipNotes(clip_review(take, recipe).reasons, beats.facts["synchrony"]["status"])


def _belongs(take: TakeNode, truth: Truth) -> bool:
    """Whether at least half of the take lies in the row's range."""
    if truth.start_s is None or truth.end_s is None:
        return True
    shared_s = min(take.end_s, truth.end_s) - max(take.start_s, truth.start_s)
    return 2 * shared_s >= take.end_s - take.start_s


def _fps(entry: EntryNode) -> float:
    assert entry.crawl is not None
    return float(entry.crawl.facts["media"]["fps"] or 30.0)


def _only_of_trials(workspace: Path, files: Sequence[Path]) -> None:
    """Raise ``UsageError`` if a workspace holds anything else: a trial replaces what it was built from."""
    opened = Workspace(workspace)
    if not opened.sources_path.exists():
        return
    known = {source.path for source in remembered(opened)[0]}
    if known - {*files}:
        raise UsageError(
            f"{workspace} was built from other videos than those of the truth tables: name another folder with -w, or "
            "leave it away"
        )


def _why(entry: EntryNode | None) -> str:
    for record in (entry.crawl, entry.filter) if entry else ():
        if record is not None and record.status == "failed":
            return f"{record.message.rstrip('.')}. Take the row out of the table, or mend the file."
    return "no shot lies in its range by half or more: correct start_s and end_s, or judge the whole shot"
