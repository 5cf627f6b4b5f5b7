"""The piano roll: what lies where, to the pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build import clock
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.notes import Notes
from d2midi_build.report.paging import Page
from d2midi_build.report.roll import COLOURS, PLAYHEAD, Box, Roll
from d2midi_build.report.sizes import FULL
from tests.report.clips import some_notes

LEFT = 50
"""First column of the plot."""


def roll_of(notes: Notes, n_frames: int = 600, width: int = 874, height: int = 720) -> Roll:
    return Roll(notes, n_frames, width, height, "clip")


def box_of(roll: Roll, note: int, page: int = 0) -> Box:
    box = roll.box(note, page)
    assert box is not None
    return box


def drawn(roll: Roll, frame: int) -> npt.NDArray[np.uint8]:
    image = np.zeros((roll.height, roll.width, 3), np.uint8)
    roll.draw(frame, image)
    return image


def test_thirty_seconds_make_three_pages_of_ten() -> None:
    roll = roll_of(Notes.empty())
    assert (roll.page_frames, roll.frame_px) == (200, 4)
    assert [roll.page_of(frame) for frame in (0, 199, 200, 599)] == [0, 0, 1, 2]


@pytest.mark.parametrize(
    ("frame", "column"), [(0, LEFT), (1, LEFT + 4), (199, LEFT + 796), (200, LEFT), (450, LEFT + 200)]
)
def test_the_playhead_stands_at_the_frame(frame: int, column: int) -> None:
    roll = roll_of(some_notes())
    assert roll.playhead_column(frame) == column
    image = drawn(roll, frame)
    white = (image[100:600] == PLAYHEAD).all(axis=(0, 2))
    assert np.flatnonzero(white).tolist() == [column]


def test_a_note_starts_under_the_playhead_of_its_frame() -> None:
    notes = Notes.create([clock.frame_time_s(30)], [clock.frame_time_s(40)], [60])
    roll = roll_of(notes)
    assert box_of(roll, 0).left == roll.playhead_column(30) == LEFT + 120
    assert box_of(roll, 0).right == roll.playhead_column(40)


def test_pitch_grows_upwards_by_a_row_per_semitone() -> None:
    roll = roll_of(Notes.create([0, 1, 2], [1, 2, 3], [48, 49, 60]))
    low, next_, octave = (box_of(roll, note) for note in range(3))
    row = low.top - next_.top
    assert row >= 4
    assert low.top - octave.top == 12 * row
    assert low.bottom - low.top == row - 1


def test_drums_have_lanes_of_their_own_below_the_pitches() -> None:
    notes = Notes.create([0, 1, 2, 3], 4.0, [36, 38, 42, 49], is_drum=True)
    roll = roll_of(Notes.concat([notes, Notes.create([3.5], [4], [21])]))
    kick, snare, hat, other, piano = (box_of(roll, note) for note in range(5))
    assert kick.top > snare.top > hat.top > other.top > piano.bottom
    assert {a.top - b.top for a, b in ((kick, snare), (snare, hat), (hat, other))} == {16}


def test_keys_of_one_drum_share_its_lane() -> None:
    roll = roll_of(Notes.create([0, 0.5, 1, 1.5, 2, 2.5], 3.0, [35, 36, 38, 40, 42, 46], is_drum=True))
    tops = [box_of(roll, note).top for note in range(6)]
    assert tops[0::2] == tops[1::2]
    assert len(set(tops)) == 3


def test_a_note_over_a_page_turn_lies_on_both_pages() -> None:
    roll = roll_of(Notes.create([9.5], [11.0], [60]))
    assert (box_of(roll, 0, 0).left, box_of(roll, 0, 0).right) == (LEFT + 760, LEFT + 800)
    assert (box_of(roll, 0, 1).left, box_of(roll, 0, 1).right) == (LEFT, LEFT + 80)
    assert roll.box(0, 2) is None


def test_opacity_is_confidence_and_the_onset_is_solid() -> None:
    roll = roll_of(Notes.create([1, 3, 5], [2, 4, 6], [60, 60, 60], program=32, p_note=[1.0, 0.5, 0.0]))
    page = roll.page(0)
    empty = roll_of(Notes.create([1], [1.01], [60], program=32)).page(0)
    colour = np.array(COLOURS["Acoustic Bass"])
    for note, opacity in enumerate((1.0, 0.625, 0.25)):
        box = box_of(roll, note)
        assert (page[box.top : box.bottom, box.left] == colour).all()
        x = box.left + 10
        expected = empty[box.top, x] * (1 - opacity) + colour * opacity
        assert np.abs(page[box.top, x] - expected).max() <= 0.5


def test_the_legend_names_what_occurs_inside_the_page_and_without_overlap() -> None:
    programs = [instrument.program for instrument in INSTRUMENTS]
    drums = [instrument.is_drum for instrument in INSTRUMENTS]
    notes = Notes.create(np.arange(13) / 10, 2.0, 60, program=programs, is_drum=drums)
    roll = roll_of(notes, width=640)
    assert [name for _, _, name in roll.legend] == [instrument.name for instrument in INSTRUMENTS]
    # Every entry's square is whole: nothing is written over it or beyond the right edge.
    page = roll.page(0)
    for line, x, name in roll.legend:
        assert (page[30 + 20 * line + 4 :, x : x + 11][:11] == COLOURS[name]).all()
    background = page[0, 0]
    assert (page[30 : 30 + 20 * (roll.legend[-1][0] + 1), -4:] == background).all()
    assert [name for _, _, name in roll_of(some_notes()).legend] == [
        "Acoustic Grand Piano", "Acoustic Bass", "Violin", "Drum",
    ]  # fmt: skip


def test_instruments_look_different() -> None:
    colours = np.array([COLOURS[instrument.name] for instrument in INSTRUMENTS], dtype=float)
    apart = np.linalg.norm(colours[:, None] - colours[None], axis=2)
    assert apart[~np.eye(13, dtype=bool)].min() > 60


@settings(max_examples=60, deadline=None)
@given(
    n_frames=st.integers(1, 2500),
    width=st.integers(400, 1200),
    height=st.integers(400, 720),
    low=st.integers(0, 127),
    high=st.integers(0, 127),
    programs=st.integers(1, 12),
)
def test_whatever_the_clip_every_note_lies_in_the_plot(
    n_frames: int, width: int, height: int, low: int, high: int, programs: int
) -> None:
    end_s = clock.frame_time_s(n_frames)
    onset = np.linspace(0, end_s * 0.999, programs + 2)
    program = [0, 0, *(8 * i for i in range(programs))]
    pitch = [low, high, *[(low + high) // 2] * programs]
    notes = Notes.create(onset, end_s, pitch, program=program)
    roll = roll_of(notes, n_frames, width, height)
    last = roll.page_of(n_frames - 1)
    assert roll.playhead_column(roll.page_frames - 1) + roll.frame_px <= width
    assert roll.frame_px >= 4 or n_frames == 0
    legend_bottom = 30 + 20 * (1 + max(line for line, _, _ in roll.legend))
    for note in range(len(notes)):
        boxes = [box for page in range(last + 1) if (box := roll.box(note, page))]
        assert boxes
        for box in boxes:
            assert LEFT <= box.left < box.right <= width
            assert legend_bottom <= box.top < box.bottom <= height - 44
    assert roll.box(0, last + 1) is None


def test_too_small_says_so() -> None:
    with pytest.raises(ValueError, match="too small"):
        roll_of(Notes.empty(), width=300)
    with pytest.raises(ValueError, match="0 frames"):
        roll_of(Notes.empty(), n_frames=0)


def test_pages_may_show_more_than_their_own_frames() -> None:
    pages = [Page(0, 100, 0, 140), Page(100, 200, 60, 200)]
    notes = Notes.create([5.5], [6.0], [60])
    roll = Roll(notes, 200, 640, 480, pages=pages)
    assert (roll.frame_px, roll.page_of(99), roll.page_of(100), roll.page_of(199)) == (4, 0, 1, 1)
    assert roll.playhead_column(100) == LEFT + 160
    assert box_of(roll, 0, 0).left == LEFT + 440
    assert box_of(roll, 0, 1).left == LEFT + 200
    assert roll.box(0, 2) is None


def test_low_rows_can_have_higher_notes_and_a_wide_playhead() -> None:
    sizes = replace(FULL, note=5, playhead=3)
    notes = Notes.create([1.0, 2.0], [1.5, 2.5], [0, 127])
    roll = Roll(notes, 100, 640, 480, sizes=sizes)
    low = Roll(notes, 100, 640, 480)
    for note in (0, 1):
        high, flat = box_of(roll, note), box_of(low, note)
        assert high.bottom - high.top == 5 > flat.bottom - flat.top
        assert high.top <= flat.top < flat.bottom <= high.bottom
    white = (drawn(roll, 30)[260:380] == PLAYHEAD).all(axis=(0, 2))
    column = roll.playhead_column(30)
    assert np.flatnonzero(white).tolist() == [column - 1, column, column + 1]
