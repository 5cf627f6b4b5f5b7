"""``d2midi recipe show`` and ``d2midi recipe init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from d2midi_build.cli.options import JsonOption, to_write

app = typer.Typer(no_args_is_help=True, help="Show or write the recipe: every knob of a build.")


@app.command()
def show(
    recipe: Annotated[
        Path | None, typer.Argument(help="A recipe file; default: the defaults.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a recipe with every field, its value and what it means."""
    from d2midi_build.recipe import Recipe

    chosen = Recipe.load(recipe) if recipe else Recipe()
    typer.echo(chosen.model_dump_json() if as_json else chosen.to_toml(), nl=as_json)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="File to write.", callback=to_write)] = Path("recipe.toml"),
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
) -> None:
    """Write the default recipe to a file to change and give to `d2midi build --recipe`."""
    from d2midi_build.errors import UsageError
    from d2midi_build.recipe import Recipe

    if path.exists() and not force:
        raise UsageError(f"{path} exists: choose another name, or --force to write over it")
    path.write_text(Recipe().to_toml(), encoding="utf-8")
    typer.echo(f"wrote {path}; change it and run: d2midi build --source urls.txt --recipe {path}")
