"""Make the pictures of ``annotation/GUIDE.md`` from the real interface.

    uv run --all-extras python scripts/write_guide_pictures.py

Builds a clip with a drawn dancer, starts Label Studio and the Listen page for it, works in Chromium as an annotator
does, and writes ``annotation/pictures/*.png``. Takes two minutes; the first time Label Studio is installed, too.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from PIL import Image

_ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))  # the hands that work in the browser are those of the tests

from tests.annotate.making import row  # noqa: E402
from tests.integration.correcting import build_workspace, chromium, run, serving, sign_up, window  # noqa: E402
from tests.integration.roll import Box, Roll  # noqa: E402

PICTURES: Final = _ROOT / "annotation" / "pictures"
MOST_BYTES: Final = 150_000
_COLOURS: Final = 256
_WIDEST_PX: Final = 1200
_AROUND_PX: Final = 90


def main() -> None:
    """Write all pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        workspace, home = build_workspace(Path(folder)), Path(folder) / "home"
        with serving(workspace, home) as served, chromium() as browser, window(browser) as context:
            pushed = run(home, "annotate", "push", "-w", workspace)
            page = sign_up(context, served, "ada@example.org")
            page.goto(f"{pushed['project']['url']}data?labeling=1")
            _correct(context, page, Roll(page, workspace))


def _correct(context: Any, page: Any, roll: Roll) -> None:
    """Correct some notes of a task, and write a picture of each step."""
    roll.turn_to(1)
    page.mouse.move(5, 5)
    _write(page, "task")
    certain, doubtful = _sure(roll, True), _sure(roll, False)
    _write(page, "doubtful", _around(roll, doubtful))
    roll.select(certain)
    _write(page, "selected", _around(roll, certain))
    roll.velocity(certain, 100)
    _write(page, "note", _box(page, ".d2m-note"))
    roll.let_go()
    roll.move(certain, 30)
    roll.let_go()
    _write(page, "moved", _around(roll, certain))
    _write(page, "rows", _left(roll, 330))
    added = row(2.0, 67, 0.8, "Violin")
    roll.draw("6", added, 0)
    _write(page, "added", _wider(roll.place(added, 0), roll))
    roll.answer("Corrected")
    _write(page, "desk", _box(page, ".d2m-desk"))
    roll.saved()
    with context.expect_page() as opened:
        page.get_by_role("link", name="Listen to your draft").click()
    opened.value.wait_for_function("window.d2midi?.state().ready")
    opened.value.wait_for_function("document.getElementById('video').readyState >= 2")
    _write(opened.value, "listen")


def _sure(roll: Roll, sure: bool) -> int:
    """A long note of the second page that the machine is, or is not, sure of, with room to its right."""
    for note in roll.sent.notes:
        box = roll.place(note.sent, 1)
        later = [
            each
            for each in roll.sent.notes
            if each.page == 1 and abs(each.place.y - note.place.y) < 1 and each.place.x > note.place.x
        ]
        free = not later or min(each.place.x for each in later) > note.place.x + note.place.width + 5
        probable = note.sent.p_note * note.sent.p_instrument >= 0.5
        if note.page == 1 and not note.sent.is_drum and box.width > 50 and free and probable == sure:
            return note.number
    raise AssertionError("the song has no such note")


def _around(roll: Roll, number: int) -> Box:
    note = roll.note(number)
    return _wider(roll.place(note.sent, note.page), roll)


def _wider(box: Box, roll: Roll) -> Box:
    """A place with something around it, within the roll."""
    whole = roll.picture
    left, top = max(whole.x, box.x - 2 * _AROUND_PX), max(whole.y, box.y - _AROUND_PX)
    right = min(whole.right, box.right + 2 * _AROUND_PX)
    bottom = min(whole.y + whole.height, box.y + box.height + _AROUND_PX)
    return Box(left, top, right - left, bottom - top)


def _left(roll: Roll, width: float) -> Box:
    """The lower left of the roll, with keys, folds and drums."""
    whole = roll.picture
    return Box(whole.x, whole.y + whole.height * 0.45, width, whole.height * 0.55)


def _box(page: Any, place: str) -> Box:
    found = page.locator(place).first.bounding_box()
    return Box(found["x"], found["y"], found["width"], found["height"])


def _write(page: Any, name: str, box: Box | None = None) -> None:
    """Keep what a page shows, or a part of it, as a small file."""
    clip = {"x": box.x, "y": box.y, "width": box.width, "height": box.height} if box else None
    shot = Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")
    if shot.width > _WIDEST_PX:
        shot = shot.resize(
            (_WIDEST_PX, round(shot.height * _WIDEST_PX / shot.width)), Image.Resampling.LANCZOS
        )
    path = PICTURES / f"{name}.png"
    shot.quantize(_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.relative_to(_ROOT)}: {shot.width} x {shot.height}, {size // 1000} kB")
    if size > MOST_BYTES:
        raise SystemExit(f"{path} has {size} bytes, more than {MOST_BYTES}")


if __name__ == "__main__":
    main()
