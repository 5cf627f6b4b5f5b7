"""``d2midi sources``: write source tables for known datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from d2midi_build.cli.options import to_write

app = typer.Typer(no_args_is_help=True, help="Write a source table from the names of a known dataset.")


@app.callback()
def _sources() -> None:
    """Write a source table from the names of a known dataset."""


@app.command()
def aist(
    where: Annotated[
        Path, typer.Argument(help="A folder of AIST videos, or a text file with a name per line.")
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Table to write: .csv or .parquet.", callback=to_write)
    ] = Path("aist.csv"),
    camera: Annotated[
        list[int] | None,
        typer.Option("--camera", help="Cameras to take, 1 to 10; default: 1, the frontal one."),
    ] = None,
    all_situations: Annotated[
        bool, typer.Option("--all-situations", help="Take group dances, battles, ... too.")
    ] = False,
    ignore: Annotated[
        Path | None, typer.Option("--ignore", help="List of names to leave out.", show_default=False)
    ] = None,
    accept_terms: Annotated[
        bool,
        typer.Option(
            "--accept-terms", help="You have read AIST's terms of use and accept them (needed for URLs)."
        ),
    ] = False,
) -> None:
    """Write a source table of AIST dance videos with genre, performer and music read from their names.

    Example: `d2midi sources aist names.txt --accept-terms --out aist.csv`, then `d2midi build --source aist.csv`.
    """
    from d2midi_build.sources.aist import aist_table
    from d2midi_build.sources.lists import write_sources

    table = aist_table(
        where,
        cameras=camera or (1,),
        solo_only=not all_situations,
        ignore=ignore,
        terms_accepted=accept_terms,
        relative_to=out.parent,
    )
    write_sources(table, out)
    typer.echo(f"wrote {out}: {len(table)} videos; next: d2midi build --source {out}")
