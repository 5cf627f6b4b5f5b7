"""Pictures of pages: what is on them, to the pixel."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2midi_build.annotate.layering import Row, rows
from d2midi_build.annotate.sheets import Sheet, sheets
from d2midi_build.annotate.studio import drawing
from d2midi_build.annotate.studio.drawing import LABEL_COLOURS, draw, png
from d2midi_build.annotate.studio.lanes import DRUM_NAMES, Lane
from d2midi_build.annotate.studio.pages import Layout, layout
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.report.roll import COLOURS
from tests.annotate.making import band, row

SHEET = Sheet("song", 1, 600, 1200, 2000)
"""From 30 to 60 s; its first page owns 30 to 35 s and shows 29.1 to 35.5 s."""

OWN = [row(31.0, 60, 0.5), row(31.0, 72, 0.5), row(34.8, 64, 1.0), row(36.0, 60, 0.5)]
LAID = layout(SHEET, OWN, [])

Picture = npt.NDArray[np.uint8]


def lane(pitch: int, of: Layout = LAID) -> Lane:
    found = of.lane_of(row(31.0, pitch))
    assert found is not None
    return found


def at(picture: Picture, time_s: float, pitch: int, page: int = 0, below_px: int | None = None) -> list[int]:
    """Colour at a time and in the middle of a row, or so many pixels below its top."""
    where = lane(pitch)
    y = where.top_px + (where.height_px // 2 if below_px is None else below_px)
    found: list[int] = picture[y, round(LAID.column(time_s, page))].tolist()
    return found


def mixed(colour: tuple[int, ...], under: tuple[int, ...], much: float) -> list[int]:
    return [round(under[i] * (1 - much) + colour[i] * much) for i in range(3)]


def test_a_picture_has_the_layouts_size_and_its_png_is_the_same_picture() -> None:
    picture = draw(LAID, 0)
    assert picture.shape == (LAID.height_px, LAID.width_px, 3) and picture.dtype == np.uint8
    assert np.array_equal(cv2.imdecode(np.frombuffer(png(picture), np.uint8), cv2.IMREAD_COLOR), picture)


@given(made=st.data())
def test_png_holds_any_picture(made: st.DataObject) -> None:
    shape = (made.draw(st.integers(1, 9)), made.draw(st.integers(1, 9)), 3)
    picture = np.random.default_rng(made.draw(st.integers(0, 99))).integers(0, 256, shape, np.uint8)
    encoded = png(picture)
    assert np.array_equal(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR), picture)
    assert png(np.asfortranarray(picture)) == encoded


def test_what_is_no_picture_is_refused() -> None:
    for wrong in (np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3)), np.zeros((0, 2, 3), np.uint8)):
        with pytest.raises(ValueError, match="no picture in three colours"):
            png(wrong)


def test_the_same_notes_give_the_same_bytes_in_any_order() -> None:
    notes = band()
    sheet = sheets("a", 1200)[0]
    own, beats_s = rows(notes), np.arange(0, 30, 0.5)
    laid = layout(sheet, own, [])
    made = {
        png(
            draw(
                laid,
                2,
                notes=each[:200],
                context=each[200:],
                unsure=each,
                beats_s=beats_s,
                positions=np.arange(60) % 4 + 1,
            )
        )
        for each in (own, own[:200][::-1] + own[200:][::-1])
    }
    assert len(made) == 1


def test_a_pages_own_notes_are_left_to_label_studio() -> None:
    # Notes of this page only: nothing changes. The last of them belongs to the next page and is seen from there.
    assert np.array_equal(draw(LAID, 0, notes=OWN[:3]), draw(LAID, 0))
    second = draw(LAID, 1, notes=OWN)
    assert not np.array_equal(second, draw(LAID, 1))
    assert np.array_equal(second, draw(LAID, 1, notes=[OWN[2]]))


def test_a_ghost_is_hollow_and_has_its_instruments_colour() -> None:
    violin = COLOURS["Violin"]
    picture = draw(LAID, 0, context=[row(31.1, 60, 0.3)])
    filled = mixed(violin, drawing.WHITE_ROW, 0.2)
    edge = mixed(violin, tuple(filled), 0.55)
    assert at(picture, 31.2, 60) == filled
    assert at(picture, 31.1, 60) == at(picture, 31.2, 60, below_px=3) == edge
    # Half open: 0.3 s are 120 columns. Rows beside it are as they were.
    end = round(LAID.column(31.4, 0))
    middle = lane(60).top_px + lane(60).height_px // 2
    assert picture[middle, end - 1].tolist() == edge
    assert tuple(picture[middle, end]) == drawing.WHITE_ROW
    assert tuple(at(picture, 31.2, 61)) == drawing.BLACK_ROW


def test_a_ghost_whose_row_is_folded_away_is_a_strip_in_the_fold() -> None:
    folded = lane(100)
    assert folded.kind == "fold"
    changed = draw(LAID, 0, context=[row(31.1, 100, 0.3)]) != draw(LAID, 0)
    y, x = np.nonzero(changed.any(axis=2))
    assert folded.top_px < y.min() and y.max() < folded.bottom_px - 1
    first, end = (round(LAID.column(each, 0)) for each in (31.1, 31.4))
    assert (x.min(), x.max()) == (first, end - 1)


def test_a_ghost_of_a_drum_without_a_lane_is_left_out() -> None:
    assert np.array_equal(draw(LAID, 0, context=[row(31.0, 70, 0.2, "Drum")]), draw(LAID, 0))


def test_folds_are_hatched() -> None:
    fold = lane(100)
    area = draw(LAID, 0)[fold.top_px : fold.bottom_px, round(LAID.column(31.1, 0)) : LAID.width_px - 400]
    found = {tuple(each) for each in area.reshape(-1, 3).tolist()}
    assert found == {drawing.FOLD, drawing.FOLD_HATCH}


def test_bars_beats_and_halves_have_lines_of_their_own() -> None:
    beats_s, positions = [30.25, 30.75, 31.25, 31.75], [4, 1, 2, 3]
    picture = draw(LAID, 0, beats_s=beats_s, positions=positions)
    for time_s, colour in (
        (30.25, drawing.BEAT_LINE),
        (30.75, drawing.BAR_LINE),
        (31.25, drawing.BEAT_LINE),
        (31.0, drawing.HALF_LINE),
        (30.9, drawing.WHITE_ROW),
        (32.0, drawing.WHITE_ROW),
    ):
        assert tuple(at(picture, time_s, 60)) == colour


def test_without_beats_the_lines_are_seconds() -> None:
    # Also where the music's beats have ended before.
    for beats_s in ([], [1.0, 2.0]):
        picture = draw(LAID, 0, beats_s=beats_s, positions=[1, 2][: len(beats_s)])
        assert tuple(at(picture, 31.0, 60)) == drawing.BEAT_LINE
        assert tuple(at(picture, 31.5, 60)) == drawing.HALF_LINE
        assert tuple(at(picture, 31.25, 60)) == drawing.WHITE_ROW


def test_as_many_positions_as_beats() -> None:
    with pytest.raises(ValueError, match="zip"):
        draw(LAID, 0, beats_s=[31.0, 32.0], positions=[1])


def test_what_belongs_to_other_pages_is_darker_and_parted_by_a_line() -> None:
    picture = draw(LAID, 0)
    dark = [int(each * 0.55) for each in drawing.WHITE_ROW]
    row_px = lane(60).top_px + lane(60).height_px // 2
    own = slice(round(LAID.column(30.0, 0)), round(LAID.column(35.0, 0)))
    before, after = picture[row_px, LAID.left_px : own.start - 2], picture[row_px, own.stop + 2 : -40]
    assert (before.max(axis=0) < picture[row_px, own].max(axis=0)).all()
    assert dark in before.tolist() and dark in after.tolist() and dark not in picture[row_px, own].tolist()
    assert tuple(picture[row_px, own.start]) == tuple(picture[row_px, own.stop]) == drawing.OWN_EDGE


def test_nothing_is_drawn_beyond_the_end_of_a_clip() -> None:
    short = Sheet("song", 0, 0, 40, 40)
    laid = layout(short, [row(1.0)], [])
    picture = draw(laid, 0, context=[row(1.5, 60, 9.0)], beats_s=[0.5, 2.5], positions=[1, 2])
    end = round(laid.column(2.0, 0))
    assert (picture[:, end:] == drawing.BACKGROUND).all()
    assert not (picture[laid.top_px, :end] == drawing.BACKGROUND).all()


@pytest.mark.parametrize("note", [OWN[0], row(31.0, 60, 0.01), row(34.8, 64, 1.0)])
def test_a_doubtful_note_has_a_red_frame_that_its_rectangle_leaves_in_view(note: Row) -> None:
    picture = draw(LAID, 0, unsure=[note])
    red = (picture == drawing.UNSURE_FRAME).all(axis=2)
    assert red.sum() > 100
    assert np.array_equal(red, (picture != draw(LAID, 0)).any(axis=2))
    place = LAID.rectangle(note, 0)
    left, right = (round(each / 100 * LAID.width_px) for each in (place.x, min(place.x + place.width, 100.0)))
    top, bottom = (round(each / 100 * LAID.height_px) for each in (place.y, place.y + place.height))
    assert not red[top:bottom, left:right].any()
    y, x = np.nonzero(red)
    assert top - 9 <= y.min() < top and bottom <= y.max() < bottom + 9
    assert left - 9 <= x.min() < left and right <= x.max() < right + 9


def test_doubtful_notes_of_other_pages_have_no_frame() -> None:
    assert np.array_equal(draw(LAID, 1, unsure=[OWN[2]]), draw(LAID, 1))


def test_beats_of_the_dance_are_drawn_only_if_asked_for() -> None:
    picture = draw(LAID, 0, kinematic_s=[31.3, 99.0])
    green = (picture == drawing.KINEMATIC).all(axis=2)[LAID.top_px + 20 :]
    assert {*np.nonzero(green)[1].tolist()} == {round(LAID.column(31.3, 0)) + by for by in (-1, 0, 1)}
    assert not (draw(LAID, 0) == drawing.KINEMATIC).all(axis=2).any()


def test_keys_are_black_and_white() -> None:
    picture = draw(LAID, 0)
    x = LAID.left_px // 4
    shades = {pitch: int(picture[lane(pitch).top_px + 5, x].max()) for pitch in (60, 61, 62, 63, 64, 65, 66)}
    assert [shade > 128 for shade in shades.values()] == [True, False, True, False, True, True, False]


@pytest.mark.parametrize("key", [*DRUM_NAMES, 127])
def test_names_of_drums_fit_beside_their_lanes(key: int) -> None:
    laid = layout(SHEET, [row(31.0, key, 0.1, "Drum")], [])
    drum = next(each for each in laid.lanes if each.kind == "drum" and each.key == key)
    written = draw(laid, 0)[drum.top_px : drum.bottom_px, : laid.left_px] != drawing.BACKGROUND
    columns = np.nonzero(written.any(axis=(0, 2)))[0]
    assert 4 <= columns.min() < columns.max() < laid.left_px - 4


def test_labels_have_the_colours_of_the_notes() -> None:
    assert [*LABEL_COLOURS] == [instrument.name for instrument in INSTRUMENTS]
    assert LABEL_COLOURS["Acoustic Grand Piano"] == "#58a8ff"  # red 88, green 168, blue 255
    assert len({*LABEL_COLOURS.values()}) == 13
