"""``d2midi models add`` and ``remove``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from d2midi_build.cli.models.options import HeadsOption, read
from d2midi_build.cli.options import JsonOption


def add(
    path: Annotated[
        Path,
        typer.Argument(
            help="Folder of a T5X checkpoint, which holds a file `checkpoint`; or a file that `d2midi models convert` "
            "wrote.",
            metavar="PATH",
            show_default=False,
        ),
    ],
    name: Annotated[
        str,
        typer.Option(
            "--name",
            help="What recipes call it (mt3.model); default: its kind, mt3 or ismir2021.",
            show_default=False,
        ),
    ] = "",
    licence: Annotated[
        str,
        typer.Option(
            "--licence",
            help="Terms you have the weights under, such as Apache-2.0; kept as you say it.",
            show_default=False,
        ),
    ] = "",
    origin: Annotated[
        str,
        typer.Option("--origin", help="URL the weights came from, to be kept with them.", show_default=False),
    ] = "",
    heads: HeadsOption = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let these weights take the name from others that have it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Register weights of MT3 under a name. Reads and checks all of them; they stay where they are.

    The same weights at another place: the name then stands for that place. Other weights do not take a name without
    --replace.

    Example: `gsutil -m cp -r gs://mt3/checkpoints/mt3 .`, then
    `d2midi models add ./mt3 --origin gs://mt3/checkpoints/mt3`
    """
    from datetime import UTC, datetime

    from d2midi_build import registry

    found = read(path, heads)
    kept = registry.add(
        registry.Weights(
            name=name or found.preset.name,
            kind=found.preset.name,
            path=path.resolve(),
            digest=found.digest,
            num_heads=found.dimensions.num_heads,
            n_parameters=sum(array.size for array in found.weights.values()),
            licence=licence.strip() or found.licence,
            origin=origin.strip() or found.origin,
            added=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        ),
        replace=replace,
    )
    if as_json:
        typer.echo(json.dumps(kept.data()))
        return
    typer.echo(f"{kept.name}: kind {kept.kind}, {kept.n_parameters:,} parameters, {kept.num_heads} heads")
    typer.echo(f"  digest   {kept.digest}")
    typer.echo(f"  path     {kept.path}")
    typer.echo(f"  licence  {kept.licence or 'not said (--licence)'}")
    typer.echo(f"  origin   {kept.origin or 'not said (--origin)'}")
    more = "" if kept.name == "mt3" else f', with a recipe that says [mt3] model = "{kept.name}"'
    typer.echo(f"Use it: d2midi build --transcriber mt3{more}")


def remove(
    name: Annotated[
        str, typer.Argument(help="Name of registered weights.", metavar="NAME", show_default=False)
    ],
    as_json: JsonOption = False,
) -> None:
    """Forget registered weights. Their files stay where they are.

    Example: `d2midi models remove mt3`
    """
    from d2midi_build import registry

    gone = registry.remove(name)
    typer.echo(json.dumps(gone.data()) if as_json else f"{gone.name} is forgotten; {gone.path} is untouched")
