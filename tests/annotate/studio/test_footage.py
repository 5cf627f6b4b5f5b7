"""The video of a sheet: decoded again and compared with the clip; its roll; pages that overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import correlate

from d2midi_build import clock
from d2midi_build.annotate.sheets import Sheet
from d2midi_build.annotate.studio.footage import SIZE, SheetRoll, render_footage
from d2midi_build.errors import PermanentError, UsageError
from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import synthesise
from d2midi_build.report.paging import overlapping_pages
from d2midi_build.workspace import Workspace
from tests.report.clips import RATE_HZ, Clip, make_clip, make_workspace

N_FRAMES = 160
SHEET = Sheet("abc_00001000", 1, 70, 110, N_FRAMES)
FIRST, LAST = 30, 150
"""Of what is shown: 2 s on either side."""


def played() -> Notes:
    """Notes in the sheet, in its context, sounding into it from before, and elsewhere."""
    return Notes.create(
        onset_s=[0.2, 2.0, 4.0, 5.0, 6.5, 7.8],
        offset_s=[3.0, 2.4, 4.5, 5.3, 6.9, 7.9],
        pitch=[48, 64, 67, 72, 60, 62],
        program=[48, 0, 0, 40, 0, 0],
    )


@dataclass(frozen=True)
class Filmed:
    """A clip, the footage of its sheet, and that decoded: frames (T, height, width, 3) rgb, sound (n, 2)."""

    clip: Clip
    workspace: Workspace
    path: Path
    shares: list[float]
    frames: npt.NDArray[np.uint8]
    sound: npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filmed]:
    root = tmp_path_factory.mktemp("footage")
    clip = replace(make_clip(N_FRAMES), keypoints=None)
    workspace = Workspace(make_workspace(root / "workspace", clip))
    out, shares = root / "sheet.mp4", []
    render_footage(workspace, SHEET, played(), out, progress=shares.append)
    with av.open(str(out)) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    with av.open(str(out)) as container:
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1).T
    yield Filmed(clip, workspace, out, shares, frames, sound)


def lag(reference: npt.NDArray[np.float32], heard: npt.NDArray[np.float32]) -> tuple[int, float]:
    """By how many samples `heard` is late, and the correlation there."""
    n = min(len(reference), len(heard))
    a, b = reference[:n].astype(np.float64), heard[:n].astype(np.float64)
    products = correlate(b, a, mode="full", method="fft")
    best = int(np.argmax(np.abs(products)))
    return best - (n - 1), float(products[best] / (np.linalg.norm(a) * np.linalg.norm(b)))


def test_it_shows_the_frames_of_the_sheet_and_two_seconds_around(filmed: Filmed) -> None:
    assert filmed.frames.shape == (LAST - FIRST, SIZE[1], SIZE[0], 3)
    # Every frame of the clip has its own shade of grey, in no order: one frame off is far off.
    shown = filmed.frames[:, 100:260, 50:200].mean(axis=(1, 2, 3))
    given = filmed.clip.pictures[FIRST:LAST, 0, 0, 0].astype(float)
    assert np.abs(shown - given).max() < 5
    assert filmed.shares == sorted(filmed.shares)
    assert filmed.shares[-1] == 1.0


def test_a_player_can_start_at_once_and_seek_to_each_second(filmed: Filmed) -> None:
    with av.open(str(filmed.path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec.name, video.pix_fmt, video.average_rate) == ("h264", "yuv420p", clock.FPS)
        assert (audio.codec.name, audio.layout.name, audio.rate) == ("aac", "stereo", RATE_HZ)
        packets = [packet for packet in container.demux(video=0) if packet.pts is not None]
        times = [float(packet.pts * packet.time_base) for packet in packets]
        keys = {time for time, packet in zip(times, packets, strict=True) if packet.is_keyframe}
    assert times[0] == 0
    assert keys >= set(range((LAST - FIRST) // clock.FPS))
    content = filmed.path.read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")


def test_left_is_the_original_and_right_the_notes_of_the_same_seconds(filmed: Filmed) -> None:
    first, last = FIRST * RATE_HZ // clock.FPS, LAST * RATE_HZ // clock.FPS
    assert last - first <= len(filmed.sound) < last - first + 1024
    late, alike = lag(filmed.clip.sound[first:last].mean(axis=1), filmed.sound[:, 0])
    assert (late, alike > 0.95) == (0, True)
    whole = synthesise(played(), RATE_HZ, N_FRAMES * RATE_HZ // clock.FPS).mean(axis=1)
    late, alike = lag(whole[first:last], filmed.sound[:, 1])
    assert (late, alike > 0.95) == (0, True)


def test_a_note_that_began_earlier_is_heard_from_the_first_sample(filmed: Filmed) -> None:
    # From 1.5 s to 2 s only the strings sound, which began at 0.2 s.
    assert np.abs(filmed.sound[: RATE_HZ // 4, 1]).max() > 0.02


def test_the_playhead_moves_with_the_frames(filmed: Filmed) -> None:
    width = filmed.clip.pictures.shape[2] * SIZE[1] // filmed.clip.pictures.shape[1]
    roll = SheetRoll(SHEET, played(), SIZE[0] - width, SIZE[1])
    for frame in (FIRST, 69, 70, 100, LAST - 1):
        rows = filmed.frames[frame - FIRST, 60:250, width:].mean(axis=(0, 2))
        assert abs(int(np.argmax(rows)) - roll.playhead_column(frame)) <= 1


def test_same_notes_same_bytes_whatever_the_clip_has_elsewhere(filmed: Filmed, tmp_path: Path) -> None:
    out = tmp_path / "again.mp4"
    out.write_bytes(b"something old")
    notes = played()
    near = notes.where(notes.onset_s < 7.5)
    assert len(near) < len(notes)
    render_footage(filmed.workspace, SHEET, near, out)
    assert out.read_bytes() == filmed.path.read_bytes()
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("frames", "message"),
    [(100, "video.mp4 has 100 frames, the table of clips says 160"), (0, "ffmpeg failed reading")],
)
def test_a_video_that_ends_too_early_leaves_nothing(
    filmed: Filmed, tmp_path: Path, frames: int, message: str
) -> None:
    workspace = make_workspace(tmp_path / "w", filmed.clip)
    video = workspace / "clips" / SHEET.clip_id / "video.mp4"
    shorter = replace(filmed.clip, pictures=filmed.clip.pictures[:frames])
    if frames:
        other = make_workspace(tmp_path / "shorter", shorter)
        video.write_bytes((other / "clips" / SHEET.clip_id / "video.mp4").read_bytes())
    else:
        video.write_bytes(b"no video")
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(PermanentError, match=message):
        render_footage(Workspace(workspace), SHEET, played(), place / "x.mp4")
    assert list(place.iterdir()) == []


def test_a_sheet_of_a_clip_that_has_changed_is_refused(filmed: Filmed, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="of a clip of 200 frames, which has 160 now: select"):
        render_footage(filmed.workspace, replace(SHEET, clip_frames=200), played(), tmp_path / "x.mp4")
    with pytest.raises(PermanentError, match="refused writing"):
        render_footage(filmed.workspace, SHEET, played(), tmp_path / "nowhere" / "x.mp4")


def test_pages_count_as_the_editor_does_and_context_is_told() -> None:
    sheet = Sheet("abc_00001000", 2, 1200, 1800, 2400)
    roll = SheetRoll(sheet, Notes.empty(), 336, 360)
    told = {frame: roll.told(frame) for frame in (1160, 1199, 1200, 1299, 1300, 1799, 1800, 1839)}
    assert told == {
        1160: "context   58.00 s",
        1199: "context   59.95 s",
        1200: "page 1   60.00 s",
        1299: "page 1   64.95 s",
        1300: "page 2   65.00 s",
        1799: "page 6   89.95 s",
        1800: "context   90.00 s",
        1839: "context   91.95 s",
    }
    assert (len(roll.pages), roll.frame_px) == (6, 2)


def test_what_is_not_the_sheet_is_dimmed_to_the_column() -> None:
    sheet = Sheet("abc_00001000", 2, 1200, 1800, 2400)
    notes = Notes.create([59.0, 62.0], [61.0, 63.0], [60, 60])
    roll = SheetRoll(sheet, notes, 336, 360)
    box = roll.box(0, 0)
    assert box is not None
    row = roll.page(0)[box.top].astype(int).sum(axis=1)
    begins = roll.playhead_column(1200)
    assert row[begins + 2] == 255 + 168 + 88  # a sure piano note in its own colour
    assert row[begins - 2] == pytest.approx(0.4 * row[begins + 2], abs=2)


@given(
    start=st.integers(0, 300),
    length=st.integers(1, 700),
    before=st.integers(0, 40),
    after=st.integers(0, 40),
    own=st.integers(20, 120),
    around=st.integers(0, 40),
)
def test_pages_follow_each_other_show_their_frames_and_are_equally_wide(
    start: int, length: int, before: int, after: int, own: int, around: int
) -> None:
    first, last, end = max(0, start - before), start + length + after, start + length
    pages = overlapping_pages(start, end, first, last, own, around)
    assert [pages[0].start, *(page.end for page in pages)] == [*(page.start for page in pages), last]
    assert pages[0].start == first
    assert [page.start for page in pages[1:]] == list(range(start, end, own))[1:]
    for page in pages:
        assert first <= page.first <= page.start < page.end <= page.last <= last
    for page in pages[:-1]:
        assert page.first <= max(first, page.start - around)
    assert len({page.last - page.first for page in pages}) == 1


@pytest.mark.parametrize("frames", [1, 30, 100, 101, 599, 600])
def test_every_sheet_fits_beside_the_widest_picture(frames: int) -> None:
    sheet = Sheet("abc_00001000", 1, 600, 600 + frames, 600 + frames + (40 if frames == 600 else 0))
    roll = SheetRoll(sheet, Notes.empty(), 336, 360)
    assert roll.frame_px >= 2
    last = sheet.shown_frames[1] - 1
    assert roll.playhead_column(last) + roll.frame_px <= 336
