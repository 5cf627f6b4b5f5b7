"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WorkspaceOption = Annotated[
    Path,
    typer.Option(
        "-w", "--workspace", help="Folder of the dataset in the making.", show_default=True, file_okay=False
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")
]
QuietOption = Annotated[bool, typer.Option("-q", "--quiet", help="No progress, only the result.")]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Worker processes; default: one per core.", show_default=False),
]
RecipeOption = Annotated[
    Path | None,
    typer.Option(
        "--recipe",
        help="TOML recipe; default: the workspace's last one, else the paper's figures.",
        show_default=False,
    ),
]
SourceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        help="urls.txt, a CSV or Parquet table, a folder, a URL or a video file; may be given again. "
        "Default: what the workspace was last built from.",
        show_default=False,
    ),
]


def to_write(path: Path) -> Path:
    """Check a file that a command will write at its end, before its work is done."""
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder; name a file")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}; make it first")
    return path


def login_name() -> str:
    """Who runs the command.

    Raises
    ------
    UsageError
        If the machine does not know.
    """
    import getpass

    from d2midi_build.errors import UsageError

    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise UsageError("your login name is not known here: say who decides with --by") from error


DEFAULT_WORKSPACE = Path("d2midi-workspace")
