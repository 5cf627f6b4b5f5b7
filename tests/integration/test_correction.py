"""Note correction as annotators live it: a real Label Studio, a real browser, and what comes of it in a release."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mido
import pytest

from d2midi_build import open_release, tables
from d2midi_build.annotate.corrections import Correction, Corrections, path_in
from d2midi_build.annotate.edits import edits
from d2midi_build.annotate.layering import Row
from d2midi_build.annotate.sheets import sheets
from d2midi_build.annotate.studio.pages import layout
from d2midi_build.annotate.studio.sent import SentNote
from d2midi_build.clock import SAMPLE_RATE_HZ, seconds_to_sample
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.workspace import Workspace
from tests.annotate.making import row
from tests.integration.correcting import (
    HEIGHT,
    Served,
    build_workspace,
    chromium,
    run,
    seen,
    serving,
    shoot,
    sign_up,
    window,
)
from tests.integration.roll import Box, Roll

playwright = pytest.importorskip("playwright.sync_api")

pytestmark = pytest.mark.browser

ADA, BOB = "ada@example.org", "bob@example.org"
ADDED = row(1.0, 67, 0.8, "Violin")
"""Where nothing plays yet, by an instrument that the song has not."""
FUNDAMENTAL_HZ = 440 * 2 ** ((67 - 69) / 12)
NEAR_S = 0.003
_END = 30 * SAMPLE_RATE_HZ
MOVED_PX, RESIZED_PX = 30, 24
_log = logging.getLogger(__name__)

HOTKEYS = {"Violin": "6", "Piccolo": "0"}


@dataclass(frozen=True)
class Stage:
    """A workspace whose tasks have been pushed to a Label Studio that runs."""

    served: Served
    home: Path
    pushed: dict[str, Any]

    @property
    def workspace(self) -> Path:
        return self.served.workspace

    @property
    def labelling(self) -> str:
        """Where annotators are given one task after the other."""
        return f"{self.pushed['project']['url']}data?labeling=1"

    def d2midi(self, *arguments: object) -> Any:
        return run(self.home, *arguments, "-w", self.workspace)

    def corrections(self) -> Corrections:
        return Corrections.read(path_in(Workspace.open(self.workspace)))


@dataclass(frozen=True)
class Done:
    """What an annotator did, and what was to be seen meanwhile."""

    sheet_id: str
    n_notes: int
    load_s: float
    boxes: dict[str, Box]
    scale: float
    meant: dict[str, tuple[int, Row]]
    tones: dict[str, float | None]
    heard_changes: str


@dataclass(frozen=True)
class Taken:
    """What came back."""

    pulled: dict[str, Any]
    again: dict[str, Any]
    correction: Correction
    same_file: bool


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A clip with notes, served and pushed."""
    folder = tmp_path_factory.mktemp("correction")
    workspace = build_workspace(folder)
    home = folder / "home"
    with serving(workspace, home) as served:
        pushed = run(home, "annotate", "push", "--annotators", 2, "-w", workspace)
        yield Stage(served, home, pushed)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def done(stage: Stage, browser: Any) -> Done:
    """Ada moves, resizes, relabels, softens, deletes and adds a note, listens, and submits."""
    with window(browser) as context, seen(context, "ada"):
        page = sign_up(context, stage.served, ADA)
        begun_s = time.monotonic()
        page.goto(stage.labelling)
        roll = Roll(page, stage.workspace)
        load_s = time.monotonic() - begun_s
        boxes = _boxes(page)
        shoot(page, "opened")
        with context.expect_page() as opened:
            page.get_by_role("link", name="Listen to your draft").click()
        listen = opened.value
        before = _tone(listen, 1.0, 1.8)
        moved, resized, labelled, softer, gone = _free_notes(roll, 5)
        meant = {
            "moved": (moved.number, _shifted(moved.sent, MOVED_PX / roll.scale, MOVED_PX / roll.scale, roll)),
            "resized": (resized.number, _shifted(resized.sent, 0, RESIZED_PX / roll.scale, roll)),
            "instrument": (labelled.number, row(0, 0, instrument="Piccolo")),
            "velocity": (softer.number, softer.sent._replace(velocity=33)),
            "deleted": (gone.number, gone.sent),
            "added": (-1, ADDED),
        }
        page.bring_to_front()
        roll.move(moved.number, MOVED_PX)
        roll.resize(resized.number, RESIZED_PX)
        roll.relabel(labelled.number, HOTKEYS["Piccolo"])
        roll.velocity(softer.number, 33)
        shoot(page, "selected")
        roll.why("pleasant")
        roll.delete(gone.number)
        roll.draw(HOTKEYS["Violin"], ADDED, 0)
        roll.answer("Corrected")
        roll.saved()
        shoot(page, "edited")
        listen.bring_to_front()
        listen.keyboard.press("r")
        listen.wait_for_function(
            "document.querySelector('#legend [data-state=added]')?.innerText === '1 added'"
        )
        tones = {"before": before, "after": _tone(listen, 1.0, 1.8), "elsewhere": _tone(listen, 2.2, 3.0)}
        shoot(listen, "listen")
        counts = listen.locator("#counts").inner_text()
        page.bring_to_front()
        roll.submit()
        shoot(page, "submitted")
        return Done(
            roll.sent.sheet_id,
            len(roll.sent.notes),
            load_s,
            boxes,
            boxes["roll"].width / roll.layout.width_px,
            meant,
            tones,
            counts,
        )


@pytest.fixture(scope="module")
def taken(stage: Stage, done: Done) -> Taken:
    """What Ada submitted, pulled twice."""
    pulled = stage.d2midi("annotate", "pull")
    path = path_in(Workspace.open(stage.workspace))
    first = path.read_bytes()
    again = stage.d2midi("annotate", "pull")
    [correction] = Corrections.read(path).lines
    return Taken(pulled, again, correction, path.read_bytes() == first)


def test_a_sheet_of_three_hundred_notes_opens(done: Done) -> None:
    _log.info("%d notes are there %.1f s after the address was opened", done.n_notes, done.load_s)
    assert 300 <= done.n_notes <= 400


def test_video_verdict_and_roll_are_in_view_on_a_laptop(done: Done) -> None:
    for name, box in done.boxes.items():
        assert box.x >= 0, name
        assert box.right <= 1440, name
        assert box.y >= 0, name
        assert box.y + box.height <= HEIGHT - 50, name  # the bar with the button to submit


def test_36_rows_and_8_drums_are_12_pixels_high_and_in_view(done: Done) -> None:
    [sheet] = sheets("clip", 600)
    pitched = [row(1.0, pitch) for pitch in range(40, 76)]
    drums = [row(1.0, key, instrument="Drum") for key in (36, 38, 42, 46, 49, 51, 43, 47)]
    full = layout(sheet, [*pitched, *drums], ())
    lanes = [lane for lane in full.lanes if lane.kind != "fold"]
    assert len(lanes) >= 44
    assert min(lane.height_px for lane in lanes) * done.scale >= 12
    assert done.boxes["roll"].y + full.height_px * done.scale <= HEIGHT - 50


def test_the_listen_page_sounds_the_note_that_was_drawn(done: Done) -> None:
    assert done.tones["before"] is None
    assert (done.tones["after"] or 0) > 0.01
    assert (done.tones["elsewhere"] or 0) < 0.0001
    assert done.heard_changes == f"{done.n_notes} notes, 6 changes"


def test_exactly_the_six_changes_come_back_each_with_its_reason(done: Done, taken: Taken) -> None:
    assert (taken.pulled["kept"], taken.pulled["problems"], taken.pulled["flags"]) == (1, [], [])
    assert (taken.correction.by, taken.correction.sheet_id) == (ADA, done.sheet_id)
    found = {(edit.kind, edit.reason, edit.number) for edit in edits(taken.correction.layered)}
    numbers = {kind: number for kind, (number, _) in done.meant.items()}
    numbers["added"] = max(taken.correction.layered.final)
    assert found == {
        (kind, "pleasant" if kind == "velocity" else "heard", number) for kind, number in numbers.items()
    }


def test_what_was_changed_is_what_was_meant_within_3_ms(done: Done, taken: Taken) -> None:
    final = taken.correction.layered.final
    for kind in ("moved", "resized"):
        number, meant = done.meant[kind]
        assert final[number].onset_s == pytest.approx(meant.onset_s, abs=NEAR_S)
        assert final[number].offset_s == pytest.approx(meant.offset_s, abs=NEAR_S)
        assert final[number].seen[2:] == meant.seen[2:]
    assert final[done.meant["resized"][0]].onset_s == done.meant["resized"][1].onset_s
    assert final[done.meant["instrument"][0]].instrument == "Piccolo"
    assert final[done.meant["velocity"][0]].velocity == 33
    assert done.meant["deleted"][0] not in final
    added = final[max(final)]
    assert added.seen[2:] == ADDED.seen[2:]
    assert added.onset_s == pytest.approx(ADDED.onset_s, abs=NEAR_S)
    assert added.offset_s == pytest.approx(ADDED.offset_s, abs=NEAR_S)


def test_all_other_notes_are_the_machines_to_the_bit(done: Done, taken: Taken) -> None:
    layered = taken.correction.layered
    touched = {number for number, _ in done.meant.values()}
    others = {number: each for number, each in layered.machine.items() if number not in touched}
    assert len(others) == done.n_notes - 5
    assert {number: layered.final[number] for number in others} == others


def test_a_second_pull_changes_nothing(taken: Taken) -> None:
    assert (taken.again["kept"], taken.again["repeated"]) == (0, 1)
    assert taken.same_file


def test_midi_files_and_a_rebuilt_release_show_them(
    stage: Stage, done: Done, taken: Taken, tmp_path: Path
) -> None:
    clip_id = done.sheet_id.rpartition("_s")[0]
    stage.d2midi("annotate", "export-midi", clip_id, "--out", tmp_path / "songs")
    [path] = (tmp_path / "songs").iterdir()
    tracks = {track.name: track for track in mido.MidiFile(path).tracks}
    assert [note.note for note in _beginnings(tracks["Violin"])] == [ADDED.pitch]
    assert len([note for track in tracks.values() for note in _beginnings(track)]) == _count(stage)

    stage.d2midi("release", "build", "--version", "1.0.0", "--out", tmp_path / "release")
    run(stage.home, "release", "verify", tmp_path / "release")
    shown = {}
    for name in ("machine", "heard", "final"):
        release = open_release(tmp_path / "release", parts=("body",), layer=name)
        shown[name] = sorted(each for each in _seen(release.clip(clip_id).notes) if each[0] < _END)
        first = [each.notes for each in release if each.start_frame <= 20]
        assert first
        for notes in first:
            played = {instrument for *_, instrument in _seen(notes)}
            assert ("Violin" in played) == (name != "machine")
    layered = taken.correction.layered
    assert shown == {name: sorted(each.seen for each in layered.layer(name).values()) for name in shown}
    assert shown["heard"] != shown["final"], "the velocity was changed because it pleases"
    assert shown["machine"] != shown["heard"]


def test_a_second_annotator_who_disagrees_is_a_conflict_until_it_is_settled(
    stage: Stage, done: Done, taken: Taken, browser: Any
) -> None:
    number, _ = done.meant["moved"]
    with window(browser) as context, seen(context, "bob"):
        page = sign_up(context, stage.served, BOB)
        page.goto(stage.labelling)
        roll = Roll(page, stage.workspace)
        assert roll.sent.sheet_id == done.sheet_id
        assert roll.region(number)["x"] == roll.note(number).place.x, "nobody is shown another's work"
        roll.delete(number)
        roll.heighten(done.meant["resized"][0])
        roll.answer("Corrected")
        roll.submit()
    pulled = stage.d2midi("annotate", "pull")
    assert (pulled["kept"], pulled["repeated"], pulled["problems"]) == (1, 1, [])
    [flag] = pulled["flags"]
    assert "rows high" in flag["message"]
    [conflict] = pulled["conflicts"]
    assert ADA in conflict
    assert BOB in conflict
    standing = stage.corrections().standing(done.sheet_id)
    assert (standing.conflict, standing.applied) == (True, None)
    stage.d2midi("annotate", "settle", done.sheet_id, "--take", ADA, "--by", "rita")
    applied = stage.corrections().standing(done.sheet_id).applied
    assert applied is not None
    assert applied.layered.final == taken.correction.layered.final
    assert stage.d2midi("annotate", "pull")["kept"] == 0


def _seen(notes: Any) -> list[tuple[int, int, int, int, str]]:
    """The notes of a release as `Row.seen` has them."""
    columns = (notes.onset_s, notes.offset_s, notes.pitch, notes.velocity, notes.instrument)
    return [
        (seconds_to_sample(start), seconds_to_sample(end), pitch, velocity, INSTRUMENTS[place].name)
        for start, end, pitch, velocity, place in zip(*(each.tolist() for each in columns), strict=True)
    ]


def _beginnings(track: Any) -> list[Any]:
    return [message for message in track if message.type == "note_on" and message.velocity]


def _count(stage: Stage) -> int:
    """Notes of the clip once six changes are made: one more, one fewer."""
    return len(tables.read(Workspace.open(stage.workspace).manifests / "notes.parquet", ["note"]))


def _boxes(page: Any) -> dict[str, Box]:
    """Where the things lie that are always needed."""
    places = {
        "roll": ".konvajs-content",
        "video": ".d2m-desk .lsf-video",
        "verdict": ".d2m-verdict",
        "reason": ".d2m-reason",
        "remark": ".d2m-remark",
        "labels": ".lsf-labels",
    }
    found = {name: page.locator(place).first.bounding_box() for name, place in places.items()}
    return {name: Box(box["x"], box["y"], box["width"], box["height"]) for name, box in found.items()}


def _tone(listen: Any, start_s: float, end_s: float) -> float | None:
    """How loud the added note's fundamental is in what the Listen page plays, once it has loaded."""
    listen.wait_for_function("window.d2midi?.state().ready")
    found = listen.evaluate(f"d2midi.tone('Violin', {FUNDAMENTAL_HZ}, {start_s}, {end_s})")
    return None if found is None else float(found)


def _free_notes(roll: Roll, count: int) -> list[SentNote]:
    """Pitched notes of the second page that are easy to grab and have room to their right."""
    found = []
    for note in roll.sent.notes:
        if note.page != 1 or note.sent.is_drum or roll.place(note.sent, 1).width < 40:
            continue
        last = note.place.x + note.place.width + 5
        beside = [
            other
            for other in roll.sent.notes
            if other.page == 1 and other is not note and abs(other.place.y - note.place.y) < note.place.height
        ]
        if last < 90 and all(
            other.place.x + other.place.width < note.place.x - 1 or other.place.x > last for other in beside
        ):
            found.append(note)
    assert len(found) >= count
    return found[:count]


def _shifted(of: Row, start_px: float, end_px: float, roll: Roll) -> Row:
    """A note whose edges were dragged by pixels of the picture."""
    per_s = roll.layout.px_per_s
    return of._replace(onset_s=of.onset_s + start_px / per_s, offset_s=of.offset_s + end_px / per_s)
