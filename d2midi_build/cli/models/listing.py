"""``d2midi models list``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from d2midi_build.cli.options import JsonOption

if TYPE_CHECKING:
    from d2midi_build.registry import Weights


def listing(as_json: JsonOption = False) -> None:
    """Show the weights that come with d2midi and those you registered, and whether their files are there.

    Only looks whether something lies there: `d2midi models verify` reads it.

    Example: `d2midi models list`
    """
    from d2midi_build import registry

    ours, yours = _bundled(), [_told(weights) for weights in registry.registered().values()]
    if as_json:
        typer.echo(json.dumps({"registry": str(registry.place()), "models": [*ours, *yours]}))
        return
    for model in [*ours, *yours]:
        typer.echo(f"{model['state']:<8} {model['name']:<16} {model['text']}")
    if not yours:
        typer.echo(
            "\nNo weights of yours are registered. MT3's: gsutil -m cp -r "
            f"{registry.BUCKET}/mt3 ., then d2midi models add ./mt3"
        )


def _bundled() -> list[dict[str, Any]]:
    """The transcribers whose weights are part of an installation."""
    from d2midi_build.errors import UsageError
    from d2midi_build.transcribers import embedded
    from d2midi_build.transcribers.basic_pitch import model_file

    no_pitches = ""
    try:
        model_file()
    except UsageError as error:
        no_pitches = str(error)
    files = (embedded.WEIGHTS, embedded.NOTE_WEIGHTS, embedded.CALIBRATION)
    lost = ", ".join(path.name for path in files if not path.is_file())
    no_notes = f"d2midi brings no {lost} here; install d2midi again" if lost else no_pitches
    models = (
        ("basic-pitch", "pitches; comes with basic-pitch 0.4.0, Apache-2.0", no_pitches),
        ("embedded", "pitches, instruments and drums; comes with d2midi, the default", no_notes),
    )
    return [
        {"name": name, "bundled": True, "state": "missing" if wrong else "ok", "text": wrong or text}
        for name, text, wrong in models
    ]


def _told(weights: Weights) -> dict[str, Any]:
    terms = weights.licence or "licence not said"
    text = f"{weights.kind}, {weights.n_parameters:,} parameters, digest {weights.digest[:12]}, {terms}, {weights.path}"
    state = "there" if weights.there() else "missing"
    return {**weights.data(), "bundled": False, "state": state, "text": text}
