"""``d2midi models convert``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from d2midi_build.cli.models.options import HeadsOption, read
from d2midi_build.cli.options import JsonOption, to_write


def convert(
    what: Annotated[
        str,
        typer.Argument(
            help="Registered name, or path of a checkpoint.", metavar="NAME|PATH", show_default=False
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="File to write, *.safetensors; must not exist yet.",
            callback=to_write,
            show_default=False,
        ),
    ],
    heads: HeadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write weights as one file in place of some hundreds: quicker to read, easier to copy.

    The parameters stay the same to the bit, so notes made with the file count as made with the folder. Licence and
    origin go into the file if the weights are registered.

    Example: `d2midi models convert mt3 --out mt3.safetensors`, then `d2midi models add mt3.safetensors`
    """
    from d2midi_build import registry
    from d2midi_build.errors import D2midiError, UsageError

    if out.suffix != ".safetensors":
        raise UsageError(f"{out} does not end in .safetensors: name it so")
    if out.exists():
        raise UsageError(f"{out} exists: choose another name, or delete it first")
    known = registry.find(what)
    if isinstance(known, registry.Weights):
        if heads not in (None, known.num_heads):
            raise UsageError(f"{known.name} is registered with {known.num_heads} heads: leave --heads out")
        path, found = known.path, read(known.path, known.num_heads)
        if found.digest != known.digest:
            raise UsageError(
                f"{path} holds other weights than were registered as {known.name}: `d2midi models verify {known.name}`"
            )
        terms: registry.Weights | None = known
    else:
        path, found = known, read(known, heads)
        terms = next((one for one in registry.registered().values() if one.digest == found.digest), None)
    if terms:
        found = replace(found, origin=terms.origin or found.origin, licence=terms.licence or found.licence)
    from d2midi_build.transcribers.mt3.checkpoint import write_safetensors  # was there to read

    write_safetensors(found, out)
    if read(out).digest != found.digest:
        raise D2midiError(
            f"{out} reads back as other weights than were written: check the disk, and delete it"
        )
    before, after = _size(path), _size(out)
    if as_json:
        said = {
            "path": str(path),
            "out": str(out),
            "bytes": before,
            "out_bytes": after,
            "digest": found.digest,
        }
        typer.echo(json.dumps(said))
        return
    typer.echo(f"{path} ({before / 1e6:,.1f} MB) is now also {out} ({after / 1e6:,.1f} MB)")
    typer.echo(f"  read back: the same digest, {found.digest}")


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
