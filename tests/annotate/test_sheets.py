"""Sheets: they tile a clip, and every note is in exactly one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build import clock
from d2midi_build.annotate.sheets import CONTEXT_FRAMES, clip_of_sheet, sheet_numbers, sheets
from d2midi_build.music.notes import Notes


def test_a_clip_of_65_seconds_has_two_whole_sheets_and_a_short_one() -> None:
    found = sheets("yt-abc_00001000", 1300)
    assert [(each.start_frame, each.end_frame) for each in found] == [(0, 600), (600, 1200), (1200, 1300)]
    assert [each.sheet_id for each in found] == [f"yt-abc_00001000_s00{k}" for k in range(3)]
    assert [(each.start_s, each.end_s) for each in found] == [(0, 30), (30, 60), (60, 65)]
    assert [each.shown_frames for each in found] == [(0, 640), (560, 1240), (1160, 1300)]


@given(n_frames=st.integers(0, 5000))
def test_sheets_tile_a_clip(n_frames: int) -> None:
    found = sheets("a", n_frames)
    frames = [frame for each in found for frame in range(each.start_frame, each.end_frame)]
    assert frames == list(range(n_frames))
    for each in found:
        first, last = each.shown_frames
        assert each.start_frame - first == min(CONTEXT_FRAMES, each.start_frame)
        assert last - each.end_frame == min(CONTEXT_FRAMES, n_frames - each.end_frame)


@st.composite
def clips(draw: st.DrawFn) -> tuple[int, Notes]:
    """A clip's length in frames, and notes that start in it, many of them at the very bounds of sheets."""
    n_frames = draw(st.integers(1, 2000))
    end = clock.frames_to_samples(n_frames)
    bounds = [clock.frames_to_samples(frame) + by for frame in range(0, n_frames, 600) for by in (-1, 0, 1)]
    near = st.sampled_from([each for each in bounds if 0 <= each < end])
    onset = draw(st.lists(st.one_of(st.integers(0, end - 1), near), min_size=1, max_size=30))
    length = draw(st.lists(st.integers(0, 700_000), min_size=len(onset), max_size=len(onset)))
    onset_s = np.array(onset) / clock.SAMPLE_RATE_HZ
    return n_frames, Notes.create(onset_s, onset_s + np.array(length) / clock.SAMPLE_RATE_HZ, 60)


@settings(deadline=None)
@given(clip=clips())
def test_every_note_belongs_to_exactly_one_sheet(clip: tuple[int, Notes]) -> None:
    n_frames, notes = clip
    found = sheets("a", n_frames)
    held = np.stack([each.holds(notes.onset_s) for each in found])
    assert (held.sum(axis=0) == 1).all()
    assert (held.argmax(axis=0) == sheet_numbers(notes.onset_s)).all()
    assert Notes.concat([each.notes_in(notes) for each in found]) == notes


@settings(deadline=None)
@given(clip=clips())
def test_context_is_what_else_sounds_there(clip: tuple[int, Notes]) -> None:
    n_frames, notes = clip
    for each in sheets("a", n_frames):
        first, last = (clock.frame_time_s(frame) for frame in each.shown_frames)
        shown = Notes.concat([each.notes_in(notes), each.context_in(notes)])
        sounding = (notes.onset_s < last) & (notes.offset_s > first)
        # A note of no length of the sheet belongs to it, though nothing of it sounds.
        assert shown == notes.where(sounding | each.holds(notes.onset_s))


def test_ids_tell_clip_and_number() -> None:
    assert clip_of_sheet("yt-a_s001_00001000_s012") == ("yt-a_s001_00001000", 12)
    assert clip_of_sheet("a_s1000") == ("a", 1000)
    for wrong in ("a", "a_s1", "_s001", "a_s001 ", "a_s٠٠١"):
        with pytest.raises(ValueError, match="is no sheet"):
            clip_of_sheet(wrong)
