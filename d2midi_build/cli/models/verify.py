"""``d2midi models verify``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from d2midi_build.cli.models.options import read
from d2midi_build.cli.options import JsonOption

if TYPE_CHECKING:
    from d2midi_build.registry import Weights


def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Registered weights to look at; default: all.", metavar="[NAME]...", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read registered weights again, all of them, and say whether they still are what was registered.

    Each is ok, missing (nothing lies there), changed (other weights lie there) or broken (what lies there cannot be
    read). The exit code is 0 only if all are ok.

    Example: `d2midi models verify mt3`
    """
    from d2midi_build import registry
    from d2midi_build.transcribers.mt3 import extra

    with extra():  # without it nothing would be known to be broken
        import d2midi_build.transcribers.mt3.checkpoint  # noqa: F401
    asked = [registry.required(name) for name in names] if names else list(registry.registered().values())
    found = {weights.name: _looked_at(weights) for weights in asked}
    if as_json:
        models = [{"name": name, "state": state, "text": text} for name, (state, text) in found.items()]
        typer.echo(json.dumps({"models": models}))
    else:
        for name, (state, text) in found.items():
            typer.echo(f"{state:<8} {name:<16} {text}")
        if not found:
            typer.echo("No weights are registered: d2midi models add does that")
    if any(state != "ok" for state, _ in found.values()):
        sys.exit(1)


def _looked_at(weights: Weights) -> tuple[str, str]:
    """State, and what there is to say."""
    from d2midi_build.errors import UsageError

    if not weights.there():
        return "missing", f"nothing lies at {weights.path}: `d2midi models add PATH --name {weights.name}`"
    try:
        found = read(weights.path, weights.num_heads)
    except UsageError as error:
        return "broken", str(error)
    if (found.digest, found.preset.name) != (weights.digest, weights.kind):
        return "changed", (
            f"{weights.path} holds other weights, digest {found.digest[:12]} and not {weights.digest[:12]}: bring the "
            f"old ones back, or `d2midi models add {weights.path} --name {weights.name} --replace`"
        )
    return "ok", f"{weights.n_parameters:,} parameters, digest {weights.digest[:12]}"
