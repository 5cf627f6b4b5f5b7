"""Write the generated pages of the docs: tables from ``schemas/``, the recipe, the command line.

    uv run --all-extras python scripts/write_reference.py [--check]

With ``--check`` nothing is written; exit code 1 if a page is not up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import typer.main

from d2midi_build.cli import app
from d2midi_build.recipe import Recipe
from d2midi_build.tables import schema, table_names

DOCS = Path(__file__).resolve().parent.parent / "docs" / "reference"
_NOTE = "<!-- Written by scripts/write_reference.py; change what it reads instead. -->\n\n"


def tables_page() -> str:
    """Every table with its columns."""
    lines = ["# Tables\n"]
    for name in table_names():
        described = schema(name)
        lines += [
            f"## {name}\n",
            f"{described.title}. Key: {', '.join(f'`{column}`' for column in described.key)}.\n",
        ]
        lines += ["| column | type | unit | meaning |", "|---|---|---|---|"]
        for column in described.columns:
            kind = column.type + (", may be null" if column.nullable else "")
            lines.append(f"| `{column.name}` | {kind} | {column.unit} | {column.meaning} |")
        lines.append("")
    return "\n".join(lines)


def recipe_page() -> str:
    """The default recipe."""
    return (
        "# The recipe\n\n`d2midi recipe init` writes this file; name only what you change and give it to "
        f"`d2midi build --recipe`.\n\n```toml\n{Recipe().to_toml().strip()}\n```\n"
    )


def commands_page() -> str:
    """Every command with its options."""
    root = typer.main.get_command(app)
    return "# Commands\n\n" + "\n".join(_commands(root, "d2midi"))


def _commands(command: click.Command, name: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for child, each in command.commands.items():
            yield from _commands(each, f"{name} {child}")
        return
    yield f"## {name}\n\n{(command.help or '').strip()}\n"
    yield "| option | meaning | default |\n|---|---|---|"
    for parameter in command.params:
        if parameter.name == "help":
            continue
        names = ", ".join(f"`{each}`" for each in parameter.opts) if parameter.opts else f"`{parameter.name}`"
        default = "" if parameter.default in (None, False, ()) else f"`{parameter.default}`"
        yield f"| {names} | {getattr(parameter, 'help', '') or ''} | {default} |"
    yield ""


def main() -> int:
    """Write or check every page."""
    stale = []
    for name, text in (
        ("tables.md", tables_page()),
        ("recipe.md", recipe_page()),
        ("commands.md", commands_page()),
    ):
        path, whole = DOCS / name, _NOTE + text.rstrip() + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != whole:
            stale.append(name)
            if "--check" not in sys.argv:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(whole, encoding="utf-8")
    if stale and "--check" in sys.argv:
        print(
            f"not up to date: {', '.join(stale)}; run uv run --all-extras python scripts/write_reference.py"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
