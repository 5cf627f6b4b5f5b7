"""Pages of a sheet: a note's rectangle says the note, whatever it is, and nothing is without a place."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build import clock
from d2midi_build.annotate.layering import Row, rows
from d2midi_build.annotate.sheets import Sheet, sheets
from d2midi_build.annotate.studio.lanes import DRUM_NAMES, Lane, pitch_name
from d2midi_build.annotate.studio.pages import DISPLAY_PX, HIGHEST_PX, MIN_WIDTH_PX, Layout, layout
from tests.annotate.making import RATE, band, row

MIDDLE = Sheet("song", 1, 600, 1200, 2000)
"""The second sheet of a clip of 100 s: from 30 to 60 s."""


def drum(onset_s: float, key: int = 36, length_s: float = 0.1) -> Row:
    return row(onset_s, key, length_s, "Drum")


def on_screen(px: float, of: Layout) -> float:
    """Pixels of the screen for pixels of the picture."""
    return px * DISPLAY_PX / of.width_px


@st.composite
def played(draw: st.DrawFn) -> tuple[Sheet, list[Row]]:
    """A sheet of some clip and notes that begin in it, many of them at the very bounds of pages."""
    found = draw(st.sampled_from(sheets("song", draw(st.integers(1, 2000)))))
    first, last = map(clock.frames_to_samples, (found.start_frame, found.end_frame))
    bounds = [each + by for each in range(first, last, 5 * RATE) for by in (-1, 0, 1)]
    near = st.sampled_from([each for each in [*bounds, last - 1] if first <= each < last])
    notes = draw(
        st.lists(
            st.tuples(
                st.one_of(st.integers(first, last - 1), near),
                st.integers(0, 40_000),
                st.integers(0, 127),
                st.booleans(),
            ),
            max_size=30,
        )
    )
    return found, [
        Row(onset / RATE, (onset + length) / RATE, pitch, 80, 0, is_drum, 0.5, 0.5, "x")
        for onset, length, pitch, is_drum in notes
    ]


def test_a_sheet_of_30_seconds_has_six_pages_which_all_show_as_much() -> None:
    found = layout(MIDDLE, [], [])
    assert [(page.own_start_s, page.own_end_s) for page in found.pages] == [
        (start, start + 5.0) for start in (30.0, 35.0, 40.0, 45.0, 50.0, 55.0)
    ]
    assert [(page.start_s, page.end_s) for page in found.pages] == [
        *((29.1, 35.5), (34.3, 40.7), (39.3, 45.7), (44.3, 50.7), (49.3, 55.7), (54.5, 60.9))
    ]


def test_a_page_shows_nothing_before_and_after_the_clip_and_more_of_the_other_side_instead() -> None:
    first, last = layout(Sheet("song", 0, 0, 247, 247), [], []).pages[0::2]
    assert (first.start_s, first.end_s, first.own_end_s) == (0.0, 6.4, 5.0)
    assert (last.start_s, last.end_s, last.own_start_s, last.own_end_s) == (5.95, 12.35, 10.0, 12.35)


@pytest.mark.parametrize(
    ("n_frames", "ends_s"),
    [(1, [0.05]), (100, [5.0]), (110, [5.5]), (111, [5.0, 5.55]), (210, [5.0, 10.5])],
)
def test_half_a_second_that_is_left_goes_with_the_page_before(n_frames: int, ends_s: list[float]) -> None:
    found = layout(Sheet("song", 0, 0, n_frames, n_frames), [], [])
    assert [page.own_end_s for page in found.pages] == ends_s


@given(
    n_frames=st.integers(1, 2000),
    number=st.integers(0, 3),
    page_s=st.sampled_from([0.05, 0.3, 1.0, 5.0, 7.77, 40.0]),
)
def test_pages_tile_a_sheet_and_overlap_by_half_a_second(n_frames: int, number: int, page_s: float) -> None:
    every = sheets("song", n_frames)
    sheet = every[min(number, len(every) - 1)]
    pages = layout(sheet, [], [], page_s=page_s).pages
    assert (pages[0].own_start_s, pages[-1].own_end_s) == (sheet.start_s, sheet.end_s)
    assert all(one.own_end_s == other.own_start_s for one, other in pairwise(pages))
    for page in pages:
        end_s = n_frames / 20
        assert 0 <= page.start_s <= max(0.0, page.own_start_s - 0.5) + 1e-9
        assert min(end_s, page.own_end_s + 0.5) - 1e-9 <= page.end_s <= end_s


@settings(deadline=None)
@given(made=played())
def test_every_onset_belongs_to_exactly_one_page(made: tuple[Sheet, list[Row]]) -> None:
    sheet, notes = made
    found = layout(sheet, notes, [])
    for note in notes:
        onset = clock.seconds_to_sample(note.onset_s)
        owners = [
            number
            for number, page in enumerate(found.pages)
            if round(page.own_start_s * RATE) <= onset < round(page.own_end_s * RATE)
        ]
        assert owners == [found.page_of(note.onset_s)]


def test_an_onset_outside_of_the_sheet_belongs_to_the_nearest_page() -> None:
    found = layout(MIDDLE, [], [])
    assert [found.page_of(each) for each in (0.0, 29.9999, 30.0, 60.0, 99.0)] == [0, 0, 0, 5, 5]


@settings(deadline=None)
@given(made=played())
def test_a_rectangle_says_its_note_and_lies_on_the_picture(made: tuple[Sheet, list[Row]]) -> None:
    sheet, notes = made
    found = layout(sheet, notes, [])
    for note in notes:
        page = found.page_of(note.onset_s)
        place = found.rectangle(note, page)
        assert min(place) >= 0 and place.width > 0 and place.height > 0
        assert place.x + place.width <= 100 and place.y + place.height <= 100
        assert found.onset_s(place.x, page) == pytest.approx(note.onset_s, abs=1e-9)
        narrowest_s = MIN_WIDTH_PX / found.px_per_s
        end_s = max(min(note.offset_s, found.pages[page].end_s), note.onset_s + narrowest_s)
        assert found.offset_s(place.x, place.width, page) == pytest.approx(end_s, abs=1e-9)
        (lane,) = found.lanes_at(place.y, place.height)
        assert lane == found.lane_of(note)
        assert (lane.kind, lane.key) == ("drum" if note.is_drum else "pitch", note.pitch)


def test_a_rectangle_as_computed_by_hand() -> None:
    found = layout(MIDDLE, [row(31.0, 60, 0.5), drum(31.0, 36)], [])
    assert (found.left_px, found.width_px, found.px_per_s) == (180, 180 + 6.4 * 400 + 20, 400.0)
    place = found.rectangle(row(31.0, 60, 0.5), 0)
    lane = found.lane_of(row(31.0, 60))
    assert lane is not None
    # The page begins at 29.1 s: 1.9 s after that is pixel 180 + 760, and half a second is 200 pixels.
    assert place.x == pytest.approx(100 * 940 / 2760)
    assert place.width == pytest.approx(100 * 200 / 2760)
    assert place.y == pytest.approx(100 * (lane.top_px + 2) / found.height_px)
    assert place.height == pytest.approx(100 * (lane.height_px - 4) / found.height_px)


def test_a_note_is_cut_where_its_page_ends_and_a_hit_is_wide_enough_to_be_grabbed() -> None:
    found = layout(MIDDLE, [row(34.0, 60, 20.0)], [])
    cut = found.rectangle(row(34.0, 60, 20.0), 0)
    assert found.offset_s(cut.x, cut.width, 0) == pytest.approx(35.5)
    assert cut == found.rectangle(row(34.0, 60, 9.0), 0)
    hit = found.rectangle(drum(34.0, 36, 0.02), 0)
    assert on_screen(hit.width / 100 * found.width_px, found) >= 6


def test_a_note_that_strayed_out_of_its_sheet_lies_at_the_edge() -> None:
    found = layout(MIDDLE, [row(70.0), row(20.0)], [])
    after, before = found.rectangle(row(70.0), 5), found.rectangle(row(20.0), 0)
    assert found.onset_s(after.x, 5) == pytest.approx(60.9)
    assert after.x + after.width <= 100
    assert found.onset_s(before.x, 0) == pytest.approx(29.1)


def test_a_pixel_is_less_than_three_milliseconds() -> None:
    found = layout(MIDDLE, [], [])
    assert 1 / found.px_per_s < 0.003
    # Whole pixels of the picture are whole steps of onset_s, so a snapped edge is off by half of that at most.
    steps = [found.onset_s(100 * px / found.width_px, 0) for px in (180, 181, 580)]
    assert steps == pytest.approx([29.1, 29.1025, 30.1])


@given(
    pitches=st.sets(st.integers(0, 127), max_size=60),
    beside=st.sets(st.integers(0, 127), max_size=20),
    keys=st.sets(st.integers(0, 127), max_size=20),
)
def test_every_pitch_is_in_one_lane_and_every_one_in_use_has_a_row(
    pitches: set[int], beside: set[int], keys: set[int]
) -> None:
    notes = [*(row(31.0, pitch) for pitch in pitches), *(drum(31.0, key) for key in keys)]
    found = layout(MIDDLE, notes, [row(31.0, pitch) for pitch in beside])
    pitched = [lane for lane in found.lanes if lane.kind != "drum"]
    assert Counter(key for lane in pitched for key in lane.keys) == Counter(range(128))
    assert pitches <= {lane.key for lane in pitched if lane.kind == "pitch"}
    assert keys | {36, 38, 42, 46} == {lane.key for lane in found.lanes if lane.kind == "drum"}
    assert [lane.key for lane in pitched] == sorted((lane.key for lane in pitched), reverse=True)
    assert all(one.bottom_px <= other.top_px for one, other in pairwise(found.lanes))
    assert found.top_px == found.lanes[0].top_px and found.lanes[-1].bottom_px <= found.height_px
    thinnest = min(lane.height_px for lane in found.lanes if lane.kind != "fold")
    assert on_screen(thinnest, found) >= 12
    folds = [lane for lane in found.lanes if lane.kind == "fold"]
    assert all(lane.height_px < thinnest and len(lane.keys) >= 2 for lane in folds)


def test_rows_are_folded_that_are_more_than_two_from_one_in_use() -> None:
    found = layout(MIDDLE, [row(31.0, pitch) for pitch in (60, 72, 80)], [])
    pitched = [lane for lane in found.lanes if lane.kind != "drum"]
    # Between 74 and 78 lie three rows: too few to fold.
    assert [lane.name for lane in pitched if lane.kind == "fold"] == ["B5 - G9", "D#4 - A4", "C-1 - A3"]
    assert [lane.key for lane in pitched if lane.kind == "pitch"] == [*range(82, 69, -1), *range(62, 57, -1)]


def test_36_rows_and_8_drums_are_in_view() -> None:
    keys = (36, 38, 42, 46, 49, 51, 45, 39)
    notes = [*(row(31.0, pitch) for pitch in range(40, 76)), *(drum(31.0, key) for key in keys)]
    found = layout(MIDDLE, notes, [])
    assert Counter(lane.kind for lane in found.lanes) == {"pitch": 36, "drum": 8, "fold": 2}
    assert on_screen(found.height_px, found) <= HIGHEST_PX == 600


def test_few_rows_are_higher_and_context_gets_rows_where_there_is_room() -> None:
    few = layout(MIDDLE, [row(31.0, 60)], [row(29.0, 67)])
    assert {lane.key for lane in few.lanes if lane.kind == "pitch"} == set(range(58, 70))
    assert on_screen(few.lanes[1].height_px, few) == pytest.approx(20, abs=0.4)
    many = layout(MIDDLE, [row(31.0, pitch) for pitch in range(40, 70)], [row(29.0, 90), row(29.0, 100)])
    assert {lane.key for lane in many.lanes if lane.kind == "pitch"} == set(range(38, 72))


def test_a_sheet_without_notes_has_rows_to_draw_in() -> None:
    found = layout(MIDDLE, [], [])
    assert {*range(48, 73)} <= {lane.key for lane in found.lanes if lane.kind == "pitch"}


def test_drums_are_sorted_from_kick_to_cymbals_and_known_by_name() -> None:
    found = layout(MIDDLE, [drum(31.0, key) for key in (49, 39, 54, 45, 90)], [])
    assert [lane.name for lane in found.lanes if lane.kind == "drum"] == [
        *("drum 90", "tambourine", "crash", "open hat", "closed hat", "low tom", "clap", "snare", "kick")
    ]
    assert {*DRUM_NAMES} == {*range(35, 82)}
    assert len({*DRUM_NAMES.values()}) == 47


def test_drums_that_only_context_plays_get_lanes_while_there_are_few() -> None:
    few = layout(MIDDLE, [drum(31.0)], [drum(29.0, key) for key in (49, 51)])
    assert {lane.key for lane in few.lanes if lane.kind == "drum"} == {36, 38, 42, 46, 49, 51}
    many = layout(MIDDLE, [drum(31.0)], [drum(29.0, key) for key in (49, 51, 53, 55, 57)])
    assert {lane.key for lane in many.lanes if lane.kind == "drum"} == {36, 38, 42, 46}


def test_lanes_under_a_rectangle() -> None:
    found = layout(MIDDLE, [row(31.0, pitch) for pitch in (60, 61, 72)], [])
    lane = {each.key: each for each in found.lanes if each.kind == "pitch"}

    def keys(top: float, bottom: float) -> list[int]:
        return [
            each.key
            for each in found.lanes_at(100 * top / found.height_px, 100 * (bottom - top) / found.height_px)
        ]

    high = lane[60].height_px
    assert keys(lane[60].top_px + 0.2 * high, lane[60].bottom_px) == [60]  # drawn by hand: 0.8 rows
    assert keys(lane[60].top_px + 0.6 * high, lane[60].bottom_px - 0.1 * high) == [60]  # no middle inside
    assert keys(lane[61].top_px, lane[60].bottom_px) == [61, 60]
    fold = next(each for each in found.lanes if each.kind == "fold" and 66 in each.keys)
    assert keys(fold.top_px + 1, fold.bottom_px - 1) == [fold.key] == [64]
    # The row beside a fold is meant, even if the rectangle covers the fold as well.
    assert keys(fold.top_px, fold.bottom_px + high) == [63]
    assert keys(1.0, found.top_px - 1.0) == []


def test_a_note_that_the_layout_was_not_made_for() -> None:
    found = layout(MIDDLE, [row(31.0, 60)], [])
    folded = found.lane_of(row(31.0, 100))
    assert folded is not None and folded.kind == "fold" and 100 in folded.keys
    assert found.lane_of(drum(31.0, 70)) is None
    with pytest.raises(ValueError, match=r"Drum 70 at 31\.000 s: sheet song_s001 was laid out without it"):
        found.rectangle(drum(31.0, 70), 0)


@settings(deadline=None)
@given(made=played(), page_s=st.sampled_from([5.0, 3.1]))
def test_a_layout_survives_json_to_the_last_bit(made: tuple[Sheet, list[Row]], page_s: float) -> None:
    sheet, notes = made
    found = layout(sheet, notes, [], page_s=page_s)
    again = Layout.from_data(json.loads(json.dumps(found.data())))
    assert again == found
    for note in notes:
        page = found.page_of(note.onset_s)
        assert again.rectangle(note, page) == found.rectangle(note, page)


def test_the_order_of_notes_does_not_matter() -> None:
    notes = rows(band())
    shuffled = [notes[i] for i in np.random.default_rng(0).permutation(len(notes))]
    assert layout(sheets("a", 600)[0], notes, []) == layout(sheets("a", 600)[0], shuffled, [])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pages", []),
        ("pages", [[0, 1, 2]]),
        ("pages", None),
        ("lanes", [["row", 60, 1, 0, 10]]),
        ("lanes", [["pitch", 60, 0, 0, 10]]),
        ("width_px", 0),
        ("height_px", "high"),
        ("px_per_s", -1.0),
    ],
)
def test_damaged_data_is_no_layout(key: str, value: Any) -> None:
    data = layout(MIDDLE, [row(31.0)], []).data()
    with pytest.raises(ValueError, match="no layout of a sheet"):
        Layout.from_data({**data, key: value})
    del data[key]
    with pytest.raises(ValueError, match=f"no layout of a sheet: KeyError: '{key}'"):
        Layout.from_data(data)


def test_pages_shorter_than_a_frame_are_refused() -> None:
    with pytest.raises(ValueError, match=r"pages of 0\.01 s: at least a frame, 0\.05 s"):
        layout(MIDDLE, [], [], page_s=0.01)


def test_pitches_are_named_as_musicians_do() -> None:
    assert [pitch_name(each) for each in (0, 21, 60, 61, 127)] == ["C-1", "A0", "C4", "C#4", "G9"]
    assert Lane("fold", 61, (61, 62, 63), 0, 10).name == "C#4 - D#4"
