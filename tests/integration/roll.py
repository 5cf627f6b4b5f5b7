"""The roll of a task in a real browser: hands that take its notes as annotators do, with mouse and keys only.

Places come from the task as it was sent and from where the picture lies on the screen. The page's own state is read to
wait for what it is about to do, never to do it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from d2midi_build.annotate.layering import Row
from d2midi_build.annotate.studio.pages import Layout
from d2midi_build.annotate.studio.preparing import kept_task
from d2midi_build.annotate.studio.sent import SentNote, SentTask
from d2midi_build.workspace import Workspace

Page = Any

SELECTED = "window.Htx.annotationStore.selected"
_READY = (
    "window.Htx?.annotationStore?.selected?.names?.get('roll')?.imageIsLoaded"
    f" && {SELECTED}.regionStore.regions.length"
)
_TASK = "window.Htx?.task?.dataObj"


@dataclass(frozen=True)
class Box:
    """A rectangle on the screen, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    def at(self, across: float, down: float = 0.5) -> tuple[float, float]:
        """A point inside, by shares of its width and height."""
        return self.x + across * self.width, self.y + down * self.height


class Roll:
    """The roll of the task that is open in a page of a browser.

    Parameters
    ----------
    page : Page
    workspace : Path
        The one that pushed it.
    """

    def __init__(self, page: Page, workspace: Path) -> None:
        page.wait_for_function(_TASK)
        data = page.evaluate(_TASK)
        self.page = page
        self.sent: SentTask = kept_task(Workspace.open(workspace), data["task_key"], data["version"])
        page.wait_for_function(f"{_READY} >= {len(self.sent.notes)}")

    @property
    def layout(self) -> Layout:
        return self.sent.layout

    @property
    def picture(self) -> Box:
        """Where the picture lies on the screen."""
        found = self.page.locator(".konvajs-content").first.bounding_box()
        return Box(found["x"], found["y"], found["width"], found["height"])

    @property
    def scale(self) -> float:
        """Pixels of the screen for a pixel of the picture."""
        return self.picture.width / self.layout.width_px

    def note(self, number: int) -> SentNote:
        """A note as it was sent."""
        return next(each for each in self.sent.notes if each.number == number)

    def place(self, row: Row, page: int) -> Box:
        """Where a note lies on the screen."""
        return self._on_screen(*self.layout.rectangle(row, page))

    def _on_screen(self, x: float, y: float, width: float, height: float) -> Box:
        """Of percents of the picture."""
        at = self.picture
        across, down = at.width / 100, at.height / 100
        return Box(at.x + x * across, at.y + y * down, width * across, height * down)

    def turn_to(self, page: int) -> None:
        """Show a page, by the buttons above the picture."""
        while (shown := self.shown_page()) != page:
            way = "right" if shown < page else "left"
            arrow = f".lsf-pagination__btn_arrow-{way}:not(.lsf-pagination__btn_arrow-{way}-double)"
            self.page.locator(arrow).click()
            self.page.wait_for_function(f"{SELECTED}.names.get('roll').currentImage !== {shown}")
        self.page.wait_for_function(f"{SELECTED}.names.get('roll').imageIsLoaded")

    def shown_page(self) -> int:
        return int(self.page.evaluate(f"{SELECTED}.names.get('roll').currentImage"))

    def select(self, number: int) -> Box:
        """Click at a note, beside its middle; gives where it lies."""
        note = self.note(number)
        self.turn_to(note.page)
        box = self.place(note.sent, note.page)
        if self.page.evaluate(f"{self._region(note.region)}.selected"):
            return box  # another click would let it go
        self.page.mouse.click(*box.at(0.25))
        self.page.wait_for_function(f"{self._region(note.region)}?.selected")
        return box

    def let_go(self) -> None:
        """Select nothing."""
        if self.page.evaluate(f"{SELECTED}.selectionSize"):
            beside_fields = {"x": 200, "y": 12}
            self.page.locator(".d2m-reason").click(position=beside_fields)  # Esc in a field lets nothing go
            self.page.keyboard.press("Escape")
        self.page.wait_for_function(f"{SELECTED}.selectionSize === 0")

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press at a point, move on in steps, let go at another."""
        self.page.mouse.move(*start)
        self.page.mouse.down()
        for step in range(1, 9):
            self.page.mouse.move(*(a + (b - a) * step / 8 for a, b in zip(start, end, strict=True)))
        self.page.mouse.up()

    def move(self, number: int, right_px: float, rows_down: int = 0) -> None:
        """Drag a note, grabbed beside its middle."""
        box = self.select(number)
        grabbed = box.at(0.25)
        down = rows_down * (self.layout.lane_of(self.note(number).sent) or self.layout.lanes[0]).height_px
        self.drag(grabbed, (grabbed[0] + right_px, grabbed[1] + down * self.scale))
        self.changed(number)

    def resize(self, number: int, right_px: float) -> None:
        """Drag a note's right handle."""
        box = self.select(number)
        self.drag((box.right, box.at(0)[1]), (box.right + right_px, box.at(0)[1]))
        self.changed(number)

    def heighten(self, number: int) -> None:
        """Drag the handle in the middle of a note's lower edge down by a row: what happens by mistake."""
        box = self.select(number)
        lane = self.layout.lane_of(self.note(number).sent) or self.layout.lanes[0]
        grabbed = box.at(0.5, 1.0)
        self.drag(grabbed, (grabbed[0], grabbed[1] + lane.height_px * self.scale))
        was = self.note(number).place.height
        now = self._region(self.note(number).region)
        self.page.wait_for_function(f"{now}.height > {was} * 1.5")

    def relabel(self, number: int, hotkey: str) -> None:
        """Give a note another instrument."""
        self.select(number)
        self.page.keyboard.press(hotkey)

    def velocity(self, number: int, value: int) -> None:
        """Fill in a note's velocity."""
        self.select(number)
        field = self.page.locator(".d2m-note input[type=number]").first
        field.fill(str(value))

    def delete(self, number: int) -> None:
        """Delete a note by Backspace."""
        self.select(number)
        self.page.keyboard.press("Backspace")
        self.page.wait_for_function(f"!{self._region(self.note(number).region)}")

    def draw(self, hotkey: str, row: Row, page: int) -> None:
        """Draw a new note."""
        self.turn_to(page)
        self.let_go()
        box = self.place(row, page)
        self.page.keyboard.press(hotkey)
        count = self.count()
        self.drag(box.at(0, 0.1), box.at(1, 0.9))
        self.page.wait_for_function(f"{SELECTED}.regionStore.regions.length === {count + 1}")

    def why(self, reason: str) -> None:
        """Choose why the selected note was changed."""
        self.page.locator(".d2m-why").get_by_role("button").click()
        self.page.get_by_role("option", name=reason).click()

    def answer(self, verdict: str) -> None:
        """Choose the verdict."""
        self.page.locator(".d2m-verdict .lsf-choice", has_text=verdict).get_by_role("checkbox").click()

    def saved(self) -> None:
        """Wait until Label Studio has the draft as it is on the screen."""
        self.page.wait_for_function(
            f"""(() => {{
                const it = {SELECTED};
                const shown = it.serializeAnnotation({{ fast: true }});
                const same = JSON.stringify(it.versions.draft) === JSON.stringify(shown);
                return same && it.draftSaved && !it.isDraftSaving;
            }})()"""
        )

    def submit(self) -> None:
        """Submit, and wait until that is done."""
        with self.page.expect_response(
            lambda answer: "/annotations" in answer.url and answer.request.method == "POST"
        ) as sent:
            self.page.get_by_role("button", name="Submit current annotation").click()
        assert sent.value.ok

    def count(self) -> int:
        return int(self.page.evaluate(f"{SELECTED}.regionStore.regions.length"))

    def changed(self, number: int) -> None:
        """Wait until a note lies elsewhere than where it was sent."""
        note = self.note(number)
        was = f"{note.place.x}, {note.place.width}, {note.place.y}"
        now = self._region(note.region)
        self.page.wait_for_function(
            f"(([x, width, y]) => {{ const now = {now}; return Math.abs(now.x - x) + Math.abs(now.width - width)"
            f" + Math.abs(now.y - y) > 0.01; }})([{was}])"
        )

    def region(self, number: int) -> dict[str, Any]:
        """Where the page has a note, in percent of the picture."""
        now = self._region(self.note(number).region)
        found: dict[str, Any] = self.page.evaluate(
            f"(({{x, y, width, height, labels}}) => ({{x, y, width, height, labels: [...labels]}}))({now})"
        )
        return found

    def _region(self, region: str) -> str:
        return f"{SELECTED}.regionStore.regions.find((each) => each.cleanId === '{region}')"
