"""What audits say: how many planted errors people find, and how wrong the machine's notes are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from d2midi_build.annotate.audit.blindness import had_seen
from d2midi_build.annotate.audit.planting import KINDS, ErrorKind
from d2midi_build.annotate.audit.record import Audits, BlindResult, PlantedResult
from d2midi_build.annotate.audit.undoing import Outcome
from d2midi_build.annotate.clips import lengths, read_clip
from d2midi_build.annotate.comparing import Compared, Likeness, compared, likeness
from d2midi_build.annotate.corrections import Corrections, person
from d2midi_build.annotate.figures import Figure, FloatArray, Resampling, ratio
from d2midi_build.music.instruments import DRUM_CLASSES
from d2midi_build.music.notes import Notes
from d2midi_build.screening.calibration import Share
from d2midi_build.workspace import Workspace

LEAST_EXCERPTS: Final = 10
LEAST_SOURCES: Final = 5
"""Of fewer excerpts, or sources, nothing is said: draws of so few sources give intervals that are too narrow."""

_MINUTE_S: Final = 60


@dataclass(frozen=True)
class Recall:
    """How many of the planted errors one person, or all, found; see `undoing`.

    Attributes
    ----------
    by : str
        Empty for all.
    n_tasks : int
    found, mended : Share
        With exact 95 % intervals.
    by_kind : mapping of str to Share
        Errors found, by kind, of kinds that were planted.
    """

    by: str
    n_tasks: int
    found: Share
    mended: Share
    by_kind: Mapping[ErrorKind, Share]

    def data(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "tasks": self.n_tasks,
            "found": _share_data(self.found),
            "mended": _share_data(self.mended),
            "by_kind": {kind: _share_data(share) for kind, share in self.by_kind.items()},
        }


@dataclass(frozen=True)
class Measured:
    """How wrong the machine's notes are, beside what people wrote down.

    Attributes
    ----------
    likeness : Likeness
        The reference is people's: precision is the share of the machine's notes that are right, recall the share of
        what sounds that the machine heard. ``same_instrument`` is how many notes that match have the right instrument.
    missed_per_minute, invented_per_minute : Figure
        Notes that people wrote down and the machine did not hear at that pitch (drums: key) and time, and the reverse.
    onset_median_s, onset_p95_s : Figure
        Median and 95th percentile of how far onsets of notes that match are off, 50 ms at most: those that are farther
        off do not match.
    """

    likeness: Likeness
    missed_per_minute: Figure
    invented_per_minute: Figure
    onset_median_s: Figure
    onset_p95_s: Figure

    def data(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            **self.likeness.data(),
            "missed_per_minute": self.missed_per_minute.data(),
            "invented_per_minute": self.invented_per_minute.data(),
            "onset_median_s": self.onset_median_s.data(),
            "onset_p95_s": self.onset_p95_s.data(),
        }


@dataclass(frozen=True)
class LabelError:
    """How wrong the machine's notes are.

    Attributes
    ----------
    n_excerpts, n_sources : int
        Excerpts that count, and the videos they are of.
    n_seen : int
        Results that do not count, since whoever wrote them down had corrected these seconds before; see `blindness`.
    measured : Measured or None
        None where there are too few excerpts, or sources.
    """

    n_excerpts: int
    n_sources: int
    n_seen: int
    measured: Measured | None

    @property
    def lacking(self) -> str:
        """What lacks to say something; empty if nothing does."""
        if self.measured is not None:
            return ""
        return (
            f"{self.n_excerpts} excerpts from {self.n_sources} sources; "
            f"{LEAST_EXCERPTS} from {LEAST_SOURCES} are needed"
        )

    def data(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "excerpts": self.n_excerpts,
            "sources": self.n_sources,
            "seen_before": self.n_seen,
            "needed": {"excerpts": LEAST_EXCERPTS, "sources": LEAST_SOURCES},
            "measured": None if self.measured is None else self.measured.data(),
        }


@dataclass(frozen=True)
class Audit:
    """All that audits say: ``recall`` of all people together, ``people`` one by one, and the label error."""

    recall: Recall
    people: tuple[Recall, ...]
    label_error: LabelError

    def data(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return self.published() | {"people": [{"by": each.by} | each.data() for each in self.people]}

    def published(self) -> dict[str, Any]:
        """What a release says of it: nobody's name."""
        return {"recall": self.recall.data(), "label_error": self.label_error.data()}


def audit(
    audits: Audits, machine: Mapping[str, Notes], corrections: Corrections, rng: np.random.Generator
) -> Audit:
    """What audits say.

    Parameters
    ----------
    audits : Audits
    machine : mapping of str to Notes
        The machine's notes of each clip; excerpts of other clips are left out.
    corrections : Corrections
        Excerpts whose authors had corrected them before are left out as well.
    rng : np.random.Generator
        Draws sources, for intervals.
    """
    by: dict[str, list[PlantedResult]] = defaultdict(list)
    for result in audits.planted:
        by[person(result.by)].append(result)
    return Audit(
        _recall("", audits.planted),
        tuple(_recall(of[-1].by, of) for _, of in sorted(by.items())),
        label_error(audits.blind, machine, corrections, rng),
    )


def audit_of(
    workspace: Workspace, audits: Audits, corrections: Corrections, rng: np.random.Generator
) -> Audit:
    """What audits say beside the notes that the machine of a workspace hears now; parameters as of `audit`.

    Raises
    ------
    D2midiError
        If a table cannot be read.
    """
    known = {*lengths(workspace)} & {each.clip_id for each in audits.blind}
    machine = {clip_id: read_clip(workspace, clip_id).notes for clip_id in sorted(known)}
    return audit(audits, machine, corrections, rng)


def label_error(
    results: Iterable[BlindResult],
    machine: Mapping[str, Notes],
    corrections: Corrections,
    rng: np.random.Generator,
) -> LabelError:
    """How wrong the machine's notes are beside what people wrote down; drums by class. Parameters as of `audit`."""
    there = [each for each in results if each.clip_id in machine]
    known = [each for each in there if not had_seen(each, corrections)]
    n_seen = len(there) - len(known)
    n_sources = len({each.excerpt.source for each in known})
    n_excerpts = len({each.excerpt for each in known})
    if n_excerpts < LEAST_EXCERPTS or n_sources < LEAST_SOURCES:
        return LabelError(n_excerpts, n_sources, n_seen, None)
    found = [
        compared(
            _by_class(each.notes),
            _by_class(machine[each.clip_id].starting_in(each.start_s, each.end_s)),
            each.excerpt.source,
        )
        for each in known
    ]
    minutes = [(each.end_s - each.start_s) / _MINUTE_S for each in known]
    return LabelError(n_excerpts, n_sources, n_seen, _measured(found, minutes, rng))


def _by_class(notes: Notes) -> Notes:
    """Drums by class of sound, the first key standing for each: excerpts offer one row for a class."""
    pitch = notes.pitch.copy()
    for first, *others in DRUM_CLASSES.values():
        pitch[notes.is_drum & np.isin(notes.pitch, others)] = first
    return replace(notes, pitch=pitch).sorted()


def _measured(found: Sequence[Compared], minutes: Sequence[float], rng: np.random.Generator) -> Measured:
    alike = likeness(found, rng)
    resampling = Resampling([each.source for each in found], rng)
    notes = [each.scores["notes"] for each in found]
    missed = [score.n_reference - score.n_matched for score in notes]
    invented = [score.n_estimated - score.n_matched for score in notes]
    return Measured(
        alike,
        resampling.figure(list(zip(missed, minutes, strict=True)), ratio),
        resampling.figure(list(zip(invented, minutes, strict=True)), ratio),
        *(_quantile([each.apart_s for each in found], resampling, share) for share in (0.5, 0.95)),
    )


def _quantile(apart_s: Sequence[FloatArray], resampling: Resampling, share: float) -> Figure:
    """Of how far onsets are off: the smallest that at least this share of the notes does not exceed."""
    off = np.abs(np.concatenate(apart_s))
    order = np.argsort(off, kind="stable")
    source = np.repeat(resampling.source, [len(each) for each in apart_s])[order]
    off = off[order]

    def of(weights: FloatArray) -> float:
        upto = np.cumsum(weights[source])
        if not len(upto) or not upto[-1]:
            return float("nan")
        return float(off[np.searchsorted(upto, share * upto[-1])])

    value = of(np.ones(resampling.n_sources))
    return resampling.between(value, np.array([of(weights) for weights in resampling.draws]))


def _recall(by: str, results: Sequence[PlantedResult]) -> Recall:
    outcomes = [outcome for result in results for outcome in result.outcomes]
    kinds: dict[ErrorKind, list[Outcome]] = {
        kind: [outcome for outcome in outcomes if outcome.kind == kind] for kind in KINDS
    }
    return Recall(
        by,
        len(results),
        Share(sum(outcome.found for outcome in outcomes), len(outcomes)),
        Share(sum(outcome.mended for outcome in outcomes), len(outcomes)),
        {kind: Share(sum(each.found for each in of), len(of)) for kind, of in kinds.items() if of},
    )


def _share_data(share: Share) -> dict[str, Any]:
    low, high = share.interval
    return {"n": share.k, "of": share.n, "value": share.value, "low": low, "high": high}
