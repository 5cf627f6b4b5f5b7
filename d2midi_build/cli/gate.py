"""``d2midi gate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from d2midi_build.cli.options import JsonOption, QuietOption

if TYPE_CHECKING:
    from d2midi_build.train.gate.records import Report


def gate(
    release: Annotated[
        Path, typer.Argument(help="The folder of a release.", metavar="RELEASE", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for the report, gate.json and gate.html; default: RELEASE.gate, beside the release.",
            show_default=False,
        ),
    ] = None,
    explain: Annotated[
        str,
        typer.Option(
            "--explain",
            help="Why the dances need not tell which music of their genre is theirs (stage E), as that people dance to "
            "no beat: then E does not decide, and the report says so.",
            show_default=False,
        ),
    ] = "",
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check that what a release pairs belongs together: small models are trained on it, which takes minutes.

    They have to find the music's beats in the dances of sources that they have not seen, better than in dances paired
    wrong on purpose. The verdict is pass, fail, not-testable (too little is in it: a preview) or invalid (the check
    itself is broken); the exit code is 0 for pass only. What is checked, and what it can find: docs/gate.md.

    Example: `d2midi gate releases/1.0.0`, then open releases/1.0.0.gate/gate.html
    """
    import os

    from d2midi_build.cli.progress import counted
    from d2midi_build.cli.running import stoppable

    needs_training("d2midi gate")
    from d2midi_build.release.checking import report_folder
    from d2midi_build.release.format import GATE, GATE_PAGE
    from d2midi_build.train.gate.run import gate as judged

    whole = Path(os.path.abspath(release))  # noqa: PTH100  (".." is taken away, links stay)
    folder = out or report_folder(whole)
    with stoppable(), counted("gate", "%", quiet=quiet or as_json) as progress:
        report = judged(
            release, folder, explained=explain, progress=lambda what, share: progress(100 * share, 100)
        )
    if as_json:
        typer.echo(report.to_json(), nl=False)
    else:
        _print(report)
        typer.echo(f"All of it: {folder / GATE_PAGE}, {folder / GATE}")
    if report.verdict != "pass":
        sys.exit(1)


def needs_training(what: str) -> None:
    """Say at once that models cannot be trained here, if they cannot.

    Raises
    ------
    UsageError
        If torch is missing.
    """
    from importlib.util import find_spec

    from d2midi_build.errors import UsageError

    if find_spec("torch") is None:
        raise UsageError(
            f"{what} trains small models, which needs the extra `train` (torch is missing): "
            "`uv sync --inexact --extra train` in the checkout"
        )


def _print(report: Report) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from d2midi_build.train.gate.page import VERDICTS, number

    table = Table("stage", "what", "verdict", "value", "bound", "n", "p", box=box.SIMPLE)
    table.columns[1].overflow = "fold"
    for each in sorted(report.records, key=lambda each: each.stage):
        if each.verdict != "info" and (each.stage != "A" or each.verdict != "pass"):
            table.add_row(
                each.stage,
                each.name,
                each.verdict,
                number(each.value),
                number(each.threshold),
                str(each.n),
                number(each.p),
            )
    static = [each for each in report.records if each.stage == "A"]
    passed = sum(each.verdict == "pass" for each in static)
    typer.echo(f"{report.name} {report.version}: {passed} of {len(static)} static checks (A) pass")
    Console().print(table)
    typer.echo(VERDICTS[report.verdict])
    for reason in report.why:
        typer.echo(f"- {reason}")
