"""``d2midi retry``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from d2midi_build.cli.options import (
    DEFAULT_WORKSPACE,
    JsonOption,
    QuietOption,
    WorkersOption,
    WorkspaceOption,
)


class Reason(StrEnum):
    """Kinds of failure."""

    transient = "transient"
    permanent = "permanent"
    policy = "policy"
    crash = "crash"


def retry(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    reason: Annotated[
        list[Reason] | None,
        typer.Option("--reason", help="transient, permanent, policy or crash; may be given again."),
    ] = None,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Try failed items again, and go on with what follows from them.

    A plain `build` leaves failures as they are. Without --reason only transient ones (network, rate limits) are tried.
    """
    from d2midi_build.cli import running
    from d2midi_build.pipeline import Selection

    sources, recipe = running.read_options(workspace, None, None)
    reasons = tuple(each.value for each in reason or [Reason.transient])
    running.run(workspace, sources, recipe, Selection(retry=reasons), workers, quiet=quiet, as_json=as_json)
