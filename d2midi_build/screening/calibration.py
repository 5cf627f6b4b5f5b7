"""How good screening is on videos whose truth is known, and which thresholds would suit them.

Intervals are Clopper and Pearson's (Biometrika 26, 1934), 95 %, and take rows for independent: rows of one source are
not quite that, so read them with the number of sources. Thresholds are also tried on sources that they were not
chosen on: each source is left out once, the others choose, it is judged with what they chose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from d2midi_build.recipe import FilterRecipe, Recipe
from d2midi_build.screening.criteria import BEST_FIRST, CRITERIA, Criterion, Status, decide
from d2midi_build.screening.truth import LABELS, Truth

SHORTEST_TAKE_S: Final = 2.0
"""Shorter takes decide nothing about a video that has longer ones."""

_SWEPT: Final = 7
_FALSE_ALARM: Final = 5.0


@dataclass(frozen=True)
class ClipNotes:
    """What later stages say of a clip: reasons for review, and whether the dance goes with the music (table
    ``clips``: ``review`` and ``sync``)."""

    review: tuple[str, ...]
    sync: str


@dataclass(frozen=True)
class Case:
    """A row of a truth table with what was measured.

    ``takes`` are the scores of its takes as ``stages.filter`` stores them; ``clips`` what later stages say of the clips
    made of them, None where none was made; ``cuts_s`` the cuts found in the video; ``frame_s`` the time between its
    pictures.
    """

    truth: Truth
    takes: tuple[Mapping[str, Any], ...]
    clips: tuple[ClipNotes | None, ...] = ()
    cuts_s: tuple[float, ...] = ()
    frame_s: float = 1 / 30

    @property
    def main(self) -> Mapping[str, Any]:
        """The longest take."""
        return max(self.takes, key=lambda take: take["end_s"] - take["start_s"])

    def status(self, recipe: Recipe) -> Status:
        """What screening says of it: the best of its takes, however short they are."""
        whole = _any_length(recipe)
        judged = zip(self.takes, self.clips or [None] * len(self.takes), strict=True)
        long = [(take, clip) for take, clip in judged if take["end_s"] - take["start_s"] >= SHORTEST_TAKE_S]
        found: list[Status] = []
        for take, clip in long or [(self.main, None)]:
            status = decide(take, whole).status
            found.append("review" if status == "accept" and clip is not None and clip.review else status)
        return min(found, key=BEST_FIRST.index)

    @property
    def sync(self) -> str | None:
        """What is said of the synchronisation of its longest clip; None without one."""
        made = [
            (take["end_s"] - take["start_s"], clip.sync)
            for take, clip in zip(self.takes, self.clips, strict=False)
            if clip
        ]
        return max(made)[1] if made else None


@dataclass(frozen=True)
class Share:
    """``k`` of ``n``, with an exact 95 % interval (0-1 where ``n`` is 0)."""

    k: int
    n: int

    @property
    def value(self) -> float | None:
        """The share; None of nothing."""
        return self.k / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's."""
        from scipy.stats import binomtest

        if not self.n:
            return 0.0, 1.0
        found = binomtest(self.k, self.n).proportion_ci(0.95, method="exact")
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        if not self.n:
            return "-"
        low, high = self.interval
        return f"{self.k} of {self.n} ({low:.0%}-{high:.0%})"


@dataclass(frozen=True)
class Sweep:
    """What a threshold would do: shares of bad and of good rows it flags."""

    threshold: float
    bad: Share
    good: Share


@dataclass(frozen=True)
class CriterionResult:
    """How one criterion does on rows labelled for it.

    Attributes
    ----------
    criterion : Criterion
    auc : float or None
        Probability that a bad row has the worse score than a good one (0.5 is chance); None without both.
    recall_review, recall_reject : Share
        Bad rows flagged at all, and rejected.
    false_review, false_reject : Share
        Good rows flagged at all, and rejected.
    precision : Share
        Of the flagged rows with a label, those that are bad.
    held_recall, held_false : Share
        Bad and good rows flagged, with thresholds chosen on the other sources.
    sweep : tuple of Sweep
        A few thresholds between the scores.
    suggested : tuple of float, or None
        Thresholds (review, reject) that all rows would choose; None where a side has no rows.
    """

    criterion: Criterion
    auc: float | None
    recall_review: Share
    recall_reject: Share
    false_review: Share
    false_reject: Share
    precision: Share
    held_recall: Share
    held_false: Share
    sweep: tuple[Sweep, ...]
    suggested: tuple[float, float] | None


@dataclass(frozen=True)
class Confusion:
    """Verdicts against what screening says, ``counts[verdict][status]``, and the rows that went wrong."""

    counts: Mapping[str, Mapping[str, int]]
    wrong: tuple[str, ...]

    def share(self, verdict: str, status: str) -> Share:
        """How many of a verdict's rows got a status."""
        row = self.counts[verdict]
        return Share(row[status], sum(row.values()))

    @property
    def review(self) -> Share:
        """How many of all rows are left to people."""
        return Share(
            sum(row["review"] for row in self.counts.values()),
            sum(sum(row.values()) for row in self.counts.values()),
        )


@dataclass(frozen=True)
class Cuts:
    """Hard cuts: how many of the known were found within two frames, and those found where none is."""

    found: Share
    invented: tuple[str, ...]


@dataclass(frozen=True)
class Calibration:
    """The whole result; ``synchrony[label][status]`` counts clips by what is true and what is said of them,
    ``unmeasured`` are rows whose video could not be screened, with why."""

    n_sources: int
    n_rows: int
    decision: Confusion
    held_out: Confusion
    criteria: tuple[CriterionResult, ...]
    cuts: Cuts
    synchrony: Mapping[str, Mapping[str, int]]
    unmeasured: tuple[str, ...] = field(default=())


def calibrate(cases: Sequence[Case], recipe: Recipe, unmeasured: Iterable[str] = ()) -> Calibration:
    """Measure screening on cases with known truth.

    Parameters
    ----------
    cases : sequence of Case
    recipe : Recipe
        Its thresholds are measured, and tried against those that other sources would choose.
    unmeasured : iterable of str
        What could not be measured; passed on.
    """
    chosen: dict[str, Recipe] = {}
    for source in sorted({case.truth.source for case in cases}):
        chosen[source] = fitted([case for case in cases if case.truth.source != source], recipe)
    return Calibration(
        n_sources=len(chosen),
        n_rows=len(cases),
        decision=_confusion(cases, [recipe] * len(cases)),
        held_out=_confusion(cases, [chosen[case.truth.source] for case in cases]),
        criteria=tuple(_criterion(criterion, cases, recipe, chosen) for criterion in CRITERIA),
        cuts=_cuts(cases),
        synchrony=_synchrony(cases),
        unmeasured=tuple(unmeasured),
    )


def fitted(cases: Sequence[Case], recipe: Recipe) -> Recipe:
    """The recipe with the thresholds that cases would choose; a criterion without bad or good rows keeps its own."""
    limits: dict[str, float] = {}
    for criterion in CRITERIA:
        bad, good = _labelled(criterion, cases)
        suggestion = suggest(criterion, [value for _, value in bad], [value for _, value in good])
        if suggestion:
            for name, value in zip(("review", "reject"), suggestion, strict=True):
                limits[f"{criterion.name}_{name}"] = _allowed(f"{criterion.name}_{name}", value)
    return recipe.model_copy(update={"filter": recipe.filter.model_copy(update=limits)})


def _allowed(name: str, value: float) -> float:
    """The nearest value that the recipe's field takes."""
    for rule in FilterRecipe.model_fields[name].metadata:
        value = max(value, getattr(rule, "ge", value))
        value = min(value, getattr(rule, "le", value))
    return value


def suggest(criterion: Criterion, bad: Sequence[float], good: Sequence[float]) -> tuple[float, float] | None:
    """Thresholds for review and rejection from scores of bad and good rows; None without both.

    The threshold for review is the one at which the share of bad rows it flags, less five times that of good rows, is
    largest (Youden's index, Cancer 3, 1950, with a weight: there are many criteria, and each false alarm costs
    somebody's time); the one for rejection flags no good row. Between the two scores that a threshold parts, review
    lies a third of the way from the better to the worse, rejection two thirds: where one gap parts all bad from all
    good rows, its middle third is for a human.
    """
    if not bad or not good:
        return None
    sign = 1.0 if criterion.bad == "above" else -1.0
    bads, goods = np.sort(sign * np.array(bad)), np.sort(sign * np.array(good))
    scores = np.unique([*bads, *goods])
    gain = [(bads > at).mean() - _FALSE_ALARM * (goods > at).mean() for at in scores]
    best = int(np.argmax(gain))
    review = scores[best] + (scores[best + 1] - scores[best]) / 3 if best + 1 < len(scores) else scores[best]
    worst_good, beyond = goods[-1], bads[bads > goods[-1]]
    reject = worst_good + (beyond[0] - worst_good) * 2 / 3 if len(beyond) else worst_good
    return sign * float(review), sign * float(max(review, reject))


def _any_length(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"window": recipe.window.model_copy(update={"frames": 1})})


def _labelled(
    criterion: Criterion, cases: Sequence[Case]
) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """Sources and scores of the rows labelled bad, and good, for a criterion."""
    sides: tuple[list[tuple[str, float]], list[tuple[str, float]]] = ([], [])
    for case in cases:
        value, label = case.main[criterion.score], case.truth.labels.get(criterion.truth)
        if value is not None:
            for side, labels in zip(sides, (criterion.bad_labels, criterion.good_labels), strict=True):
                if label in labels:
                    side.append((case.truth.source, float(value)))
    return sides


def _criterion(
    criterion: Criterion, cases: Sequence[Case], recipe: Recipe, chosen: Mapping[str, Recipe]
) -> CriterionResult:
    bad, good = _labelled(criterion, cases)
    review, reject = criterion.thresholds(recipe.filter)

    def flagged(rows: list[tuple[str, float]], threshold: float) -> Share:
        return Share(sum(criterion.beyond(value, threshold) for _, value in rows), len(rows))

    def held(rows: list[tuple[str, float]]) -> Share:
        caught = (
            criterion.beyond(value, criterion.thresholds(chosen[source].filter)[0]) for source, value in rows
        )
        return Share(sum(caught), len(rows))

    recall, false = flagged(bad, review), flagged(good, review)
    values = np.unique([value for _, value in [*bad, *good]])
    between = (values[1:] + values[:-1]) / 2
    picked = (
        between[np.unique(np.linspace(0, len(between) - 1, _SWEPT).round().astype(int))]
        if len(between)
        else []
    )
    return CriterionResult(
        criterion=criterion,
        auc=_auc(criterion, [value for _, value in bad], [value for _, value in good]),
        recall_review=recall,
        recall_reject=flagged(bad, reject),
        false_review=false,
        false_reject=flagged(good, reject),
        precision=Share(recall.k, recall.k + false.k),
        held_recall=held(bad),
        held_false=held(good),
        sweep=tuple(Sweep(float(at), flagged(bad, float(at)), flagged(good, float(at))) for at in picked),
        suggested=suggest(criterion, [value for _, value in bad], [value for _, value in good]),
    )


def _auc(criterion: Criterion, bad: Sequence[float], good: Sequence[float]) -> float | None:
    if not bad or not good:
        return None
    sign = 1 if criterion.bad == "above" else -1
    difference = sign * np.subtract.outer(np.array(bad), np.array(good))
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def _confusion(cases: Sequence[Case], recipes: Sequence[Recipe]) -> Confusion:
    counts: dict[str, dict[str, int]] = {
        verdict: dict.fromkeys(BEST_FIRST, 0) for verdict in ("good", "unclear", "bad")
    }
    wrong = []
    for case, recipe in zip(cases, recipes, strict=True):
        status = case.status(recipe)
        counts[case.truth.verdict][status] += 1
        if (case.truth.verdict, status) in (("good", "reject"), ("bad", "accept")):
            why = decide(case.main, _any_length(recipe)).explanation
            wrong.append(
                f"{case.truth.name}: {case.truth.verdict}, but {status}" + (f" ({why})" if why else "")
            )
    return Confusion(counts, tuple(wrong))


def _synchrony(cases: Sequence[Case]) -> dict[str, dict[str, int]]:
    counts = {
        label: dict.fromkeys(("synchronised", "not_synchronised", "unknown"), 0) for label in LABELS["sync"]
    }
    for case in cases:
        label, said = case.truth.labels["sync"], case.sync
        if label and said:
            counts[label][said] += 1
    return counts


def _cuts(cases: Sequence[Case]) -> Cuts:
    """A cut at which a range begins belongs to it, one at which it ends does not."""
    found = known = 0
    invented = []
    for case in cases:
        truth, within_s = case.truth, 2 * case.frame_s + 1e-6
        begin_s, end_s = (truth.start_s or 0.0) - within_s, (truth.end_s or np.inf) - within_s
        left = [at for at in case.cuts_s if begin_s <= at < end_s]
        for cut_s in truth.cuts_s:
            known += 1
            near = min(left, key=lambda at: abs(at - cut_s), default=None)
            if near is not None and abs(near - cut_s) <= within_s:
                left.remove(near)
                found += 1
        invented += [
            f"{truth.name} at {at:.2f} s"
            for at in left
            if truth.start_s is None or at > begin_s + 2 * within_s
        ]
    return Cuts(Share(found, known), tuple(invented))
