"""``d2midi annotate agreement``: how far people agree who corrected the same sheets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

from d2midi_build.cli.options import DEFAULT_WORKSPACE, JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from d2midi_build.annotate.agreement import Agreement, Touched
    from d2midi_build.annotate.comparing import Likeness
    from d2midi_build.annotate.layering import LayerName


def agreement(workspace: WorkspaceOption = DEFAULT_WORKSPACE, as_json: JsonOption = False) -> None:
    """Show how far people agree who corrected the same sheets without seeing each other's work, and how fast they are.

    F1 of notes (onset within 50 ms and pitch; with offset, with instrument; drums by key) and Cohen's kappa on
    instruments, of what they heard and of the final notes, with 95 % intervals over sources. Since all begin with the
    machine's notes, those that nobody touches agree by themselves, so the same is told of the touched ones alone.

    Example: `d2midi annotate agreement`
    """
    import numpy as np

    from d2midi_build.annotate.agreement import agreement as measured
    from d2midi_build.annotate.corrections import Corrections, path_in
    from d2midi_build.workspace import Workspace

    found = measured(Corrections.read(path_in(Workspace.open(workspace))), np.random.default_rng(0))
    if as_json:
        typer.echo(json.dumps(found.data()))
    else:
        _print(found)


def _print(found: Agreement) -> None:
    from rich.console import Console

    console = Console()
    if found.n_sheets:
        typer.echo(
            f"{found.n_sheets} sheets of {found.n_sources} sources were corrected by two or more people who had not "
            "seen each other's work. F1 over all notes, 95 % intervals:"
        )
        console.print(_likeness(found.layers))
        _print_touched(found.touched, console)
        if len(found.pairs) > 1:
            console.print(_pairs(found))
    else:
        typer.echo(
            "No sheet was corrected by two people who had not seen each other's work, so nothing can be said of how "
            "far they agree: give the same sheets to two people."
        )
    for sheet, first, second in found.dependent:
        typer.echo(f"not compared: {sheet}: {first} or {second} had seen the other's correction")
    if found.people:
        typer.echo("Work, by person (seconds are as the tool measured them; - where it did not):")
        console.print(_people(found))


def _print_touched(found: Touched, console: Console) -> None:
    typer.echo(
        "Notes that neither of two touches agree by themselves, since both begin with the machine's notes."
    )
    if found.layers is None:
        typer.echo(f"How far they agree on the others is not known: {found.lacking}.")
        return
    heard, final = (f"{found.n_touched[name]} of {found.n_notes[name]}" for name in ("heard", "final"))
    typer.echo(
        f"F1 over the notes that one of the two at least changed, added or deleted ({heard} as heard, {final} final):"
    )
    console.print(_likeness(found.layers))


def _likeness(layers: Mapping[LayerName, Likeness]) -> Table:
    from d2midi_build.annotate.comparing import WORDS

    table = figures_table("", *("as heard" if name == "heard" else name for name in layers))
    for measure, words in WORDS.items():
        table.add_row(words, *(alike.scores[measure].f1.told() for alike in layers.values()))
    table.add_row(
        "same instrument, of notes that match", *(alike.same_instrument.told() for alike in layers.values())
    )
    table.add_row(
        "Cohen's kappa on these instruments", *(alike.kappa.told(".2f") for alike in layers.values())
    )
    return table


def _pairs(found: Agreement) -> Table:
    from d2midi_build.annotate.agreement import PEOPLES

    table = figures_table(
        "people",
        "sheets",
        "all notes, as heard",
        "final",
        "touched notes, as heard",
        "final",
        "kappa, as heard",
    )
    for pair in found.pairs:
        touched = pair.touched.layers
        table.add_row(
            f"{pair.first}, {pair.second}",
            str(pair.n_sheets),
            *(pair.layers[name].scores["notes"].f1.told() for name in PEOPLES),
            *("-" if touched is None else touched[name].scores["notes"].f1.told() for name in PEOPLES),
            pair.layers["heard"].kappa.told(".2f"),
        )
    return table


def _people(found: Agreement) -> Table:
    table = figures_table("", "sheets", "timed", "s per sheet", "s per note", "edits per sheet")
    for each in found.people:
        table.add_row(
            each.by,
            str(each.n_sheets),
            str(each.n_timed),
            each.seconds_per_sheet.told(".0f"),
            each.seconds_per_note.told(".1f"),
            each.edits_per_sheet.told(".1f"),
        )
    return table


def figures_table(*columns: str) -> Table:
    """A table whose first column is words, often names, and all others are figures."""
    from rich.table import Column, Table

    # Folded, or names of people would be cut in a narrow terminal.
    first, *others = columns
    return Table(
        Column(first, overflow="fold"), *(Column(each, overflow="fold", justify="right") for each in others)
    )
