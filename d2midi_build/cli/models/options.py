"""What the commands of ``d2midi models`` share: options, and reading a checkpoint."""

from __future__ import annotations

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


def read(path: Path, num_heads: int | None = None) -> Checkpoint:
    """All of a checkpoint, checked; raises `UsageError` as `checkpoint.read`, or if the extra `mt3` is missing."""
    from d2midi_build.transcribers.mt3 import extra

    with extra():
        from d2midi_build.transcribers.mt3 import checkpoint

        return checkpoint.read(path, num_heads=num_heads)
