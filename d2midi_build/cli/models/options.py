"""What the commands of ``d2midi models`` share: options, and reading a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from d2midi_build.transcribers.mt3.checkpoint import Checkpoint

HeadsOption = Annotated[
    int | None,
    typer.Option(
        "--heads",
        min=1,
        help="Attention heads of a network of another size than Magenta's, which has 6: a T5X checkpoint does not "
        "say them.",
        show_default=False,
    ),
]


@contextmanager
def extra_mt3() -> Iterator[None]:
    """Turn a missing package into a `UsageError` that names the extra which brings it."""
    from d2midi_build.errors import UsageError

    try:
        yield
    except ImportError as error:
        raise UsageError(
            f"weights of MT3 are read with the extra `mt3` ({error.name} is missing): uv sync --extra mt3, or "
            "pip install 'd2midi[mt3]'"
        ) from error


def read(path: Path, num_heads: int | None = None) -> Checkpoint:
    """All of a checkpoint, checked; raises `UsageError` as `checkpoint.read`, or if the extra `mt3` is missing."""
    with extra_mt3():
        from d2midi_build.transcribers.mt3 import checkpoint

        return checkpoint.read(path, num_heads=num_heads)


def terms_in(path: Path) -> tuple[str, str]:
    """Licence and origin that a file of `d2midi models convert` says; empty where it says none, as a folder does."""
    if path.is_dir():
        return "", ""
    with extra_mt3():
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as file:
            said = file.metadata() or {}
    return said.get("licence", ""), said.get("origin", "")
