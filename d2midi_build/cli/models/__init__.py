"""``d2midi models``: what transcribers compute with."""

from __future__ import annotations

import typer

from d2midi_build.cli.models import add, convert, listing, train_embedded, verify

app = typer.Typer(
    no_args_is_help=True,
    help="Weights of transcribers: those you bring (MT3's), and those that come with d2midi.\n\n"
    "d2midi downloads none. MT3's lie in Magenta's public bucket: `gsutil -m cp -r gs://mt3/checkpoints/mt3 .`, "
    "then `d2midi models add ./mt3`, then `d2midi build --transcriber mt3`. More: docs/models.md.",
    rich_markup_mode="markdown",
)

_YOURS, _OURS = "Weights that you bring", "Weights that come with d2midi"

app.command("list", rich_help_panel=_YOURS)(listing.listing)
app.command("add", rich_help_panel=_YOURS)(add.add)
app.command("convert", rich_help_panel=_YOURS)(convert.convert)
app.command("verify", rich_help_panel=_YOURS)(verify.verify)
app.command("remove", rich_help_panel=_YOURS)(add.remove)
app.command("train-embedded", rich_help_panel=_OURS)(train_embedded.train_embedded)


@app.callback()
def models() -> None:
    """Weights of transcribers: those you bring, and those that come with d2midi."""
