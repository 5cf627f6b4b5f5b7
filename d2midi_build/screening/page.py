"""A calibration as Markdown, for the docs, and as plain data, for scripts."""

from __future__ import annotations

from typing import Any

from d2midi_build.recipe import Recipe
from d2midi_build.screening.calibration import Calibration, Confusion, CriterionResult, Share
from d2midi_build.screening.criteria import BEST_FIRST


def page(found: Calibration, recipe: Recipe, title: str, command: str) -> str:
    """The Markdown page.

    Parameters
    ----------
    found : Calibration
    recipe : Recipe
        Whose thresholds were measured.
    title : str
    command : str
        What prints this page.
    """
    lines = [
        f"# {title}",
        "",
        f"<!-- Written by `{command}`. -->",
        "",
        f"{found.n_rows} labelled videos or parts of videos from {found.n_sources} sources, measured by `{command}`.",
        "Intervals are exact (Clopper-Pearson), 95 %, with rows taken as independent; length plays no part.",
        "",
        "## The decision",
        "",
        *_confusion(found.decision, "with the recipe's thresholds"),
        *_confusion(found.held_out, "each source judged with thresholds that only the others chose"),
        "## Hard cuts",
        "",
        f"Found within two frames: {found.cuts.found}. Found where there is none: "
        f"{', '.join(found.cuts.invented) or 'none'}.",
        "",
        *_synchrony(found),
        "## Criteria",
        "",
        "*Bad* rows carry a label that the criterion should catch, *good* ones the label it should leave alone; rows "
        "with neither are not counted here. *Held out* is flagged with thresholds that only other sources chose.",
        "",
        "| criterion | score | thresholds: review, reject | AUC | bad flagged | bad rejected | good flagged | "
        "good rejected | precision | held out: bad flagged | held out: good flagged | all rows would choose |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        *(_criterion(result, recipe) for result in found.criteria),
        "",
        "## Thresholds swept",
        "",
        "Share of bad and of good rows that lie beyond a threshold.",
        "",
        "| criterion | threshold | bad | good |",
        "|---|---|---|---|",
    ]
    for result in found.criteria:
        form = result.criterion.form
        for at in result.sweep:
            lines.append(
                f"| {result.criterion.reason} | {result.criterion.bad} {at.threshold:{form}} | {at.bad} | {at.good} |"
            )
    if found.unmeasured:
        lines += ["", "## Not measured", "", *(f"- {each}" for each in found.unmeasured)]
    return "\n".join(lines) + "\n"


def data(found: Calibration) -> dict[str, Any]:
    """Plain data: counts, shares with intervals, suggestions."""

    def share(value: Share) -> dict[str, Any]:
        return {"k": value.k, "n": value.n, "interval": [round(edge, 4) for edge in value.interval]}

    def confusion(value: Confusion) -> dict[str, Any]:
        return {
            "counts": {verdict: dict(row) for verdict, row in value.counts.items()},
            "bad_accepted": share(value.share("bad", "accept")),
            "good_rejected": share(value.share("good", "reject")),
            "review": share(value.review),
            "wrong": list(value.wrong),
        }

    return {
        "rows": found.n_rows,
        "sources": found.n_sources,
        "decision": confusion(found.decision),
        "held_out": confusion(found.held_out),
        "cuts": {"found": share(found.cuts.found), "invented": list(found.cuts.invented)},
        "criteria": {
            result.criterion.name: {
                "auc": result.auc,
                "bad_flagged": share(result.recall_review),
                "bad_rejected": share(result.recall_reject),
                "good_flagged": share(result.false_review),
                "good_rejected": share(result.false_reject),
                "precision": share(result.precision),
                "held_out_bad_flagged": share(result.held_recall),
                "held_out_good_flagged": share(result.held_false),
                "suggested": result.suggested,
            }
            for result in found.criteria
        },
        "synchrony": {label: dict(row) for label, row in found.synchrony.items()},
        "unmeasured": list(found.unmeasured),
    }


def _confusion(found: Confusion, how: str) -> list[str]:
    lines = [
        f"**{how[0].upper()}{how[1:]}**",
        "",
        f"| truth | {' | '.join(BEST_FIRST)} |",
        f"|---|{'---|' * len(BEST_FIRST)}",
        *(
            f"| {verdict} | {' | '.join(str(found.share(verdict, status)) for status in BEST_FIRST)} |"
            for verdict in found.counts
        ),
        "",
        f"Bad and accepted: {found.share('bad', 'accept')}. Good and rejected: {found.share('good', 'reject')}. "
        f"Left to people: {found.review}.",
        "",
    ]
    return lines + ([*(f"- {each}" for each in found.wrong), ""] if found.wrong else [])


def _synchrony(found: Calibration) -> list[str]:
    if not any(sum(row.values()) for row in found.synchrony.values()):
        return []
    said = list(next(iter(found.synchrony.values())))
    return [
        "## Does the dance go with the music?",
        "",
        f"| truth | {' | '.join(each.replace('_', ' ') for each in said)} |",
        f"|---|{'---|' * len(said)}",
        *(
            f"| {label} | {' | '.join(str(Share(row[each], sum(row.values()))) for each in said)} |"
            for label, row in found.synchrony.items()
        ),
        "",
    ]


def _criterion(result: CriterionResult, recipe: Recipe) -> str:
    criterion = result.criterion
    form = criterion.form
    limits = ", ".join(f"{value:{form}}" for value in criterion.thresholds(recipe.filter))
    suggested = ", ".join(f"{value:{form}}" for value in result.suggested) if result.suggested else "-"
    cells = (
        criterion.reason,
        f"`{criterion.score}`, bad {criterion.bad}",
        limits,
        "-" if result.auc is None else f"{result.auc:.3f}",
        result.recall_review,
        result.recall_reject,
        result.false_review,
        result.false_reject,
        result.precision,
        result.held_recall,
        result.held_false,
        suggested,
    )
    return f"| {' | '.join(map(str, cells))} |"
