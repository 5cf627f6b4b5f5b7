"""Tasks as they were sent, and hands that drag their rectangles as Label Studio lets them, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from d2midi_build.annotate.layering import Layered, Row
from d2midi_build.annotate.sheets import sheets
from d2midi_build.annotate.studio.pages import layout
from d2midi_build.annotate.studio.regions import regions
from d2midi_build.annotate.studio.sent import SentTask, sent_notes

Items = list[dict[str, Any]]


def task(
    sent: Mapping[int, Row], shown: Mapping[int, Row] | None = None, number: int = 0, frames: int = 1800
) -> SentTask:
    """A task of all notes of a sheet, by default of the first of a clip of 90 s."""
    shown = sent if shown is None else shown
    laid = layout(sheets("a", frames)[number], sent.values(), [])
    layered = Layered(shown, shown, shown)
    return SentTask(
        key=f"{laid.sheet_id}.all",
        sheet_id=laid.sheet_id,
        part="all",
        layout=laid,
        notes=sent_notes(laid, shown, sent, "made/1"),
        reason="heard",
        commands="",
        shown=layered.said,
        machine=layered.transcribed,
        version="made/1",
    )


class Editor:
    """The editor of a task: its items, and what hands do to them. Pixels are natural ones."""

    def __init__(self, sent: SentTask) -> None:
        self.sent = sent
        self.items: Items = regions(sent)

    def item(self, number: int, name: str = "note") -> dict[str, Any]:
        """An item of a note that was sent."""
        [region] = [note.region for note in self.sent.notes if note.number == number]
        return next(each for each in self.items if (each["id"], each["from_name"]) == (region, name))

    def drag(self, number: int, right: float = 0.0, down: float = 0.0) -> None:
        """Move a rectangle by pixels; both of its corners snap to the grid, whatever was moved."""
        self.stretch(number, left=right, right=right, top=down, bottom=down)

    def stretch(
        self, number: int, *, left: float = 0.0, right: float = 0.0, top: float = 0.0, bottom: float = 0.0
    ) -> None:
        """Move edges of a rectangle by pixels."""
        value = self.item(number)["value"]
        x, width = _snapped(value["x"], value["width"], left, right, self.sent.layout.width_px)
        y, height = _snapped(value["y"], value["height"], top, bottom, self.sent.layout.height_px)
        for each in self.items:
            if each["id"] == self.item(number)["id"]:
                each["value"] |= {"x": x, "y": y, "width": width, "height": height}

    def drop(self, number: int) -> None:
        """Delete a note."""
        region = self.item(number)["id"]
        self.items = [each for each in self.items if each["id"] != region]

    def label(self, number: int, instrument: str) -> None:
        """Give a note another instrument."""
        self.item(number)["value"]["rectanglelabels"] = [instrument]

    def fill(self, number: int, name: str, value: int | None) -> None:
        """Fill in one of a note's numbers."""
        item = self.item(number)
        self.items = [
            each for each in self.items if (each["id"], each["from_name"]) != (item["id"], name)
        ] + [{**item, "from_name": name, "type": "number", "value": _shape(item) | {"number": value}}]

    def why(self, number: int, reason: str) -> None:
        """Say why a note was changed."""
        item = self.item(number)
        self.items.append(
            {**item, "from_name": "why", "type": "choices", "value": _shape(item) | {"choices": [reason]}}
        )

    def draw(
        self,
        region: str,
        page: int,
        at_px: tuple[float, float],
        size_px: tuple[float, float],
        instrument: str = "Violin",
    ) -> dict[str, Any]:
        """Draw a new rectangle, which has no velocity."""
        laid = self.sent.layout
        x, width = (100 * each / laid.width_px for each in (at_px[0], size_px[0]))
        y, height = (100 * each / laid.height_px for each in (at_px[1], size_px[1]))
        item = {
            "original_width": laid.width_px,
            "original_height": laid.height_px,
            "image_rotation": 0,
            "item_index": page,
            "value": {
                "x": x,
                "y": y,
                "width": width,
                "height": height,
                "rotation": 0,
                "rectanglelabels": [instrument],
            },
            "id": region,
            "from_name": "note",
            "to_name": "roll",
            "type": "rectanglelabels",
            "origin": "manual",
        }
        self.items.append(item)
        return item

    def answer(self, name: str, value: str) -> None:
        """Answer a question about the whole task."""
        kind, key = ("textarea", "text") if name in ("commands", "remark") else ("choices", "choices")
        self.items.append(
            {
                "value": {key: [value]},
                "id": f"an{name[:8]:_<8}",
                "from_name": name,
                "to_name": "roll",
                "type": kind,
                "origin": "manual",
            }
        )


def _shape(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item["value"][name] for name in ("x", "y", "width", "height", "rotation")}


def _snapped(start: float, length: float, by: float, end_by: float, size: int) -> tuple[float, float]:
    """As `RectRegion.setPosition` of Label Studio computes it."""
    pixel = 100 / size
    first, last = (
        round((each + by_px * pixel) / pixel) * pixel
        for each, by_px in ((start, by), (start + length, end_by))
    )
    return first, last - first
