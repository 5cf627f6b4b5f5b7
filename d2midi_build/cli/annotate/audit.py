"""``d2midi annotate audit``: how many planted errors people find, and how wrong the machine's notes are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from d2midi_build.cli.annotate.agreement import figures_table
from d2midi_build.cli.options import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from d2midi_build.annotate.audit.report import LabelError, Measured, Recall


def audit(workspace: WorkspaceOption = DEFAULT_WORKSPACE, as_json: JsonOption = False) -> None:
    """Show what audits found: how many planted errors people find, and how wrong the machine's notes are.

    Errors are planted in sheets that people correct, and taken back where they do not find them. How wrong the
    machine's notes are comes from excerpts of 10 s that people wrote down without having seen them: those of people who
    had corrected the same seconds before do not count.

    Example: `d2midi annotate audit`
    """
    import numpy as np

    from d2midi_build.annotate.audit.record import Audits, path_in
    from d2midi_build.annotate.audit.report import audit_of
    from d2midi_build.annotate.corrections import Corrections
    from d2midi_build.annotate.corrections import path_in as corrections_in
    from d2midi_build.workspace import Workspace

    opened = Workspace.open(workspace)
    corrections = Corrections.read(corrections_in(opened))
    found = audit_of(opened, Audits.read(path_in(opened)), corrections, np.random.default_rng(0))
    if as_json:
        typer.echo(json.dumps(found.data()))
        return
    if found.people:
        _print_recall([*found.people, *([found.recall] if len(found.people) > 1 else [])])
    else:
        typer.echo("No errors were planted in what people corrected, so how many they find is not known.")
    _print_label_error(found.label_error)


def _print_recall(people: Iterable[Recall]) -> None:
    from rich.console import Console

    from d2midi_build.annotate.audit.planting import KINDS

    typer.echo("Planted errors that people found, with exact 95 % intervals; by kind, found of planted:")
    table = figures_table("", "tasks", "found", "mended", *KINDS)
    for each in people:
        by_kind = (
            (each.by_kind[kind].k, each.by_kind[kind].n) if kind in each.by_kind else (0, 0) for kind in KINDS
        )
        table.add_row(
            each.by or "all",
            str(each.n_tasks),
            str(each.found),
            str(each.mended),
            *(f"{k}/{n}" if n else "-" for k, n in by_kind),
        )
    Console().print(table)


def _print_label_error(found: LabelError) -> None:
    if found.n_seen:
        typer.echo(
            f"{found.n_seen} excerpts do not count: who wrote them down had corrected the same seconds before, so they "
            "had seen the machine's notes. Give blind excerpts to people, or of clips, that have no corrections yet."
        )
    if found.measured is None:
        typer.echo(f"How wrong the machine's notes are is not known: {found.lacking}.")
        return
    typer.echo(
        f"The machine's notes beside {found.n_excerpts} excerpts of 10 s from {found.n_sources} sources, written down "
        "from scratch; 95 % intervals over sources:"
    )
    _print_measured(found.measured)


def _print_measured(measured: Measured) -> None:
    from rich.console import Console

    from d2midi_build.annotate.comparing import WORDS

    table = figures_table("", "right", "of what sounds", "F1")
    for name, scored in measured.likeness.scores.items():
        shares = ("-" if share is None else f"{share:.0%}" for share in (scored.precision, scored.recall))
        table.add_row(WORDS[name], *shares, scored.f1.told())
    Console().print(table)
    typer.echo(f"right instrument, of pitched notes that match: {measured.likeness.same_instrument.told()}")
    typer.echo(f"missed notes a minute: {measured.missed_per_minute.told('.1f')}")
    typer.echo(f"invented notes a minute: {measured.invented_per_minute.told('.1f')}")
    typer.echo(
        f"onsets of notes that match are off by {measured.onset_median_s.told('.3f')} s (median); 95 % of them by no "
        f"more than {measured.onset_p95_s.told('.3f')} s"
    )
