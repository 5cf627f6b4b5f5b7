"""Windows of a release, against what pyarrow reads of its files when it reads all of them."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import soundfile

from d2midi_build import tables
from d2midi_build.errors import ReleaseError, SchemaError, UsageError
from d2midi_build.motion.keypoints import PARTS, write_frames
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.notes import Notes
from d2midi_build.release import format as layout
from d2midi_build.release.contents import Clip, Contents
from d2midi_build.release.coordinates import Picture, normalise, smooth, smoothing_kernel
from d2midi_build.release.reader import Release, Window, open_release
from tests.docs.pages import DOCS, blocks
from tests.release import making

SILENT, BODILESS, EDGES = 3, 5, 6
"""Videos by number: without a licence for its sound, without any body, with notes made by hand."""

HAND_MADE = {  # onset, offset, layers; for the window of seconds 3 to 6, which every split has
    "before": (2.5, 3.5, "mhf"),
    "inside": (4.0, 4.5, "mhf"),
    "after": (5.5, 7.0, "mhf"),
    "throughout": (2.25, 8.0, "hf"),
    "until the first frame": (2.5, 3.0, "mhf"),
    "from the first frame": (3.0, 3.25, "mhf"),
    "from the end": (6.0, 6.5, "mhf"),
    "as transcribed": (4.0, 5.0, "m"),
}


def edges(folder: Path, **options: Any) -> Window:
    """The window from second 3 to 6 of the clip whose notes are made by hand."""
    (window,) = [
        each for each in open_release(folder, **options).filter(clip=clip_id(EDGES)) if each.start_frame == 60
    ]
    return window


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of ten clips in several shards; tests must not change it."""
    made = tmp_path_factory.mktemp("made")
    contents = making.contents(made, videos=10)
    clips = list(contents.clips)
    videos = list(contents.videos)
    videos[SILENT] = {**videos[SILENT], "licence": "all rights reserved"}
    clips[SILENT] = replace(clips[SILENT], row={**clips[SILENT].row, "licence": "all rights reserved"})
    _take_bodies_away(clips[BODILESS])
    _write_notes(clips[EDGES])
    chosen = making.recipe(release_shard_mb=1.02, release_least_body_share=0.0)
    built = making.build_of(Contents(tuple(videos), tuple(clips)), made / "release", chosen)
    return built.folder


def _take_bodies_away(clip: Clip) -> None:
    n = clip.row["n_frames"]
    found = making.keypoints(np.random.default_rng(1), n)
    gone = {
        name: np.full((n, *PARTS[name].shape), np.nan, np.float32)
        for name in PARTS
        if name.startswith("body")
    }
    write_frames(
        clip.files["frames"],
        replace(found, **gone, present_body=np.zeros(n, np.bool_)).to_table(np.arange(n) / 20),
    )


def _write_notes(clip: Clip) -> None:
    onset, offset, layers = zip(*HAND_MADE.values(), strict=True)
    pitches = 60 + np.arange(len(onset))
    notes = Notes.create(onset, offset, pitches, program=40, p_note=0.5)
    table = notes.to_table()
    by_pitch = {60 + place: layer for place, layer in enumerate(layers)}
    for layer in layout.LAYERS:
        held = [layer[0] in by_pitch[pitch] for pitch in table.column("pitch").to_pylist()]
        table = table.append_column(f"in_{layer}", pa.array(held))
    tables.write(clip.files["notes"], table)


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The same release, to be spoilt."""
    return Path(shutil.copytree(folder, tmp_path / "release"))


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def clip_id(number: int) -> str:
    return f"vid-{number:03d}_00000000"


class Naive:
    """Whole tables, and windows cut out of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tables = {name: pq.read_table(folder / "data" / name) for name in layout.TABLES}
        self.clips = {row["clip_id"]: row for row in self.tables["clips"].to_pylist()}

    def frames(self, window: Window) -> pa.Table:
        rows = self.tables["frames"]
        frame = rows.column("frame").to_numpy()
        inside = (frame >= window.start_frame) & (frame < window.start_frame + window.n_frames)
        return rows.filter(pc.and_(pc.equal(rows.column("clip_id"), window.clip_id), pa.array(inside)))

    def part(self, frames: pa.Table, name: str) -> npt.NDArray[np.float32]:
        part = PARTS[name]
        flat = np.array(frames.column(name).to_pylist(), dtype=np.int16)
        points = flat.reshape(len(flat), *part.shape).astype(np.float32) * np.float32(part.scale)
        points[~frames.column(f"present_{part.presence}").to_numpy()] = np.nan
        return points

    def points(self, frames: pa.Table) -> npt.NDArray[np.float32]:
        return np.concatenate(
            [self.part(frames, name) for name in ("body_image", "left_hand", "right_hand", "face")], axis=1
        )

    def sound(self, window: Window) -> npt.NDArray[np.float32] | None:
        row = self.tables["audio"].filter(pc.equal(self.tables["audio"].column("clip_id"), window.clip_id))
        if not len(row):
            return None
        whole, _ = soundfile.read(pa.BufferReader(row.column("flac")[0].as_py()), dtype="float32")
        return np.asarray(whole[512 * window.start_frame : 512 * (window.start_frame + window.n_frames)])


@pytest.fixture(scope="module")
def naive(folder: Path) -> Naive:
    return Naive(folder)


@pytest.mark.parametrize("memory_map", [False, True], ids=["parquet", "mapped"])
def test_every_window_is_what_a_full_read_gives(folder: Path, naive: Naive, memory_map: bool) -> None:
    release = open_release(folder, coords="image", memory_map=memory_map)
    assert len(release) == len(naive.tables["windows"]) > 40
    assert sum(release.manifest["shards"].values()) > len(
        release.manifest["shards"]
    )  # several shards in some split
    silent = 0
    for window, row in zip(release, naive.tables["windows"].to_pylist(), strict=True):
        assert (window.clip_id, window.start_frame, window.n_frames) == (
            row["clip_id"],
            row["start_frame"],
            60,
        )
        frames = naive.frames(window)
        assert np.array_equal(window.keypoints, naive.points(frames), equal_nan=True)
        assert np.array_equal(window.missing, np.isnan(window.keypoints).any(axis=-1))
        assert np.array_equal(window.visibility, naive.part(frames, "body_visibility"), equal_nan=True)
        assert np.array_equal(window.source_times, frames.column("source_time_s").to_numpy())
        assert len(window.notes) == row["n_notes"]
        playing = sorted(INSTRUMENTS[place].name for place in set(window.notes.instrument.tolist()))
        assert playing == row["instruments"]
        sound = naive.sound(window)
        if sound is None:
            assert window.audio is None
            silent += 1
        else:
            assert window.audio is not None and np.array_equal(window.audio, sound)
            assert len(sound) == 512 * 60
    assert silent > 0


@pytest.mark.parametrize("memory_map", [False, True], ids=["parquet", "mapped"])
def test_notes_and_beats_of_a_clip_are_the_rows_of_its_tables(
    folder: Path, naive: Naive, memory_map: bool
) -> None:
    release = open_release(folder, memory_map=memory_map)
    for name in naive.clips:
        window = release.clip(name)
        notes, beats = (
            naive.tables[table].filter(pc.equal(naive.tables[table].column("clip_id"), name))
            for table in ("notes", "beats")
        )
        notes = notes.filter(notes.column("in_final"))
        for column in (
            "onset_s",
            "offset_s",
            "pitch",
            "velocity",
            "program",
            "is_drum",
            "p_note",
            "p_instrument",
        ):
            assert np.array_equal(getattr(window.notes, column), notes.column(column).to_numpy()), column
        assert [INSTRUMENTS[place].name for place in window.notes.instrument] == notes.column(
            "instrument"
        ).to_pylist()
        assert not window.notes.starts_before.any() and not window.notes.ends_after.any()
        musical = beats.filter(pc.equal(beats.column("kind"), "musical"))
        kinematic = beats.filter(pc.equal(beats.column("kind"), "kinematic"))
        assert np.array_equal(window.beats.musical_s, musical.column("time_s").to_numpy())
        assert window.beats.position.tolist() == musical.column("position").to_pylist()
        assert np.array_equal(window.beats.kinematic_s, kinematic.column("time_s").to_numpy())


def test_notes_are_cut_at_the_edges_of_a_window_and_say_so(folder: Path) -> None:
    window = edges(folder)
    notes = window.notes
    names = list(HAND_MADE)
    found = {
        names[pitch - 60]: (onset, offset, before, after)
        for pitch, onset, offset, before, after in zip(
            notes.pitch, notes.onset_s, notes.offset_s, notes.starts_before, notes.ends_after, strict=True
        )
    }
    assert found == {
        "before": (0.0, 0.5, True, False),
        "inside": (1.0, 1.5, False, False),
        "after": (2.5, 3.0, False, True),
        "throughout": (0.0, 3.0, True, True),
        "from the first frame": (0.0, 0.25, False, False),
    }
    assert set(notes.program) == {40} and set(notes.instrument) == {5} and set(notes.p_note) == {0.5}


def test_layers_hold_different_notes(folder: Path) -> None:
    pitches = {layer: set(edges(folder, layer=layer).notes.pitch - 60) for layer in layout.LAYERS}
    assert pitches["final"] == pitches["heard"] == {0, 1, 2, 3, 5}
    assert pitches["machine"] == {0, 1, 2, 5, 7}


def test_beats_of_a_window_are_told_from_its_first_frame(folder: Path) -> None:
    window = edges(folder)  # beats of the clip at .25, .75...; .1, .8...
    assert window.beats.musical_s == pytest.approx([0.25, 0.75, 1.25, 1.75, 2.25, 2.75])
    assert window.beats.position.tolist() == [3, 4, 1, 2, 3, 4]
    assert window.beats.kinematic_s == pytest.approx([0.6, 1.3, 2.0, 2.7])
    assert window.beats.kinematic_strength.tolist() == [0.5] * 4
    assert window.frame_times[[0, 1, -1]] == pytest.approx([0, 0.05, 2.95])


def test_parts_come_in_the_order_that_was_asked_for(folder: Path) -> None:
    whole = open_release(folder)
    some = open_release(folder, parts=("right_hand", "body"))
    assert some.joints[:2] == ("right_hand.wrist", "right_hand.thumb_cmc")
    assert len(whole.joints) == len(set(whole.joints)) == 553 and whole.joints[-1] == "face.477"
    places = [whole.joints.index(name) for name in some.joints]
    assert np.array_equal(some[3].keypoints, whole[3].keypoints[:, places], equal_nan=True)
    assert np.array_equal(some[3].missing, whole[3].missing[:, places])


@pytest.mark.parametrize("memory_map", [False, True], ids=["parquet", "mapped"])
def test_normalised_points_follow_the_formula(folder: Path, naive: Naive, memory_map: bool) -> None:
    release = open_release(folder, memory_map=memory_map)
    for window in release[::7]:
        row = naive.clips[window.clip_id]
        if row["torso"] is None:
            assert window.missing.all() and np.isnan(window.keypoints).all()
            continue
        picture = Picture(*(row[name] for name in ("width", "height", "centre_x", "centre_y", "torso")))
        expected = normalise(naive.points(naive.frames(window)), picture)
        assert np.allclose(window.keypoints, expected, rtol=0, atol=2e-5, equal_nan=True)
        assert np.array_equal(window.missing, np.isnan(expected).any(axis=-1))


@pytest.mark.parametrize("memory_map", [False, True], ids=["parquet", "mapped"])
def test_world_points_are_the_body_in_metres_with_the_rest_attached(
    folder: Path, naive: Naive, memory_map: bool
) -> None:
    release = open_release(folder, coords="world", memory_map=memory_map)
    for window in release[::7]:
        frames = naive.frames(window)
        body, image = naive.part(frames, "body_world"), naive.part(frames, "body_image")
        assert np.array_equal(window.keypoints[:, :33], body, equal_nan=True)
        pixels, metres = image[..., :2] * [640, 360], body[..., :2].astype(np.float64)
        pixels, metres = (each - each.mean(axis=1, keepdims=True) for each in (pixels, metres))
        scale = (pixels * metres).sum(axis=(1, 2)) / (pixels**2).sum(axis=(1, 2))
        begin = 33
        for name, own, wrist in (("left_hand", 0, 15), ("right_hand", 0, 16), ("face", 1, 0)):
            points = naive.part(frames, name)
            expected = (points - points[:, [own]]) * [640, 360, 640] * scale[:, None, None] + body[:, [wrist]]
            found = window.keypoints[:, begin : begin + points.shape[1]]
            assert np.allclose(found, expected, rtol=0, atol=2e-5, equal_nan=True)
            begin += points.shape[1]
        assert np.array_equal(window.missing, np.isnan(window.keypoints).any(axis=-1))
    alone = open_release(folder, coords="world", parts=("face",), memory_map=memory_map)
    assert np.array_equal(alone[0].keypoints, release[0].keypoints[:, -478:], equal_nan=True)


@pytest.mark.parametrize("coords", ["image", "world"])
def test_a_smoothed_frame_is_the_same_in_every_window(folder: Path, coords: str) -> None:
    release = open_release(folder, coords=coords, smooth=0.1)
    raw = open_release(folder, coords=coords)
    kernel = smoothing_kernel(2.0)
    for name in (clip_id(EDGES), clip_id(0)):
        whole, unsmoothed = release.clip(name), raw.clip(name)
        missing = np.stack([unsmoothed.missing[:, joint] for joint in (0, 33, 54, 75)], axis=1)
        expected = smooth(unsmoothed.keypoints.reshape(len(missing), -1), missing, (99, 63, 63, 1434), kernel)
        assert np.array_equal(whole.keypoints.reshape(expected.shape), expected, equal_nan=True)
        assert np.array_equal(whole.missing, unsmoothed.missing)
        for window in release.filter(clip=name):
            part = whole.keypoints[window.start_frame : window.start_frame + window.n_frames]
            assert np.array_equal(window.keypoints, part, equal_nan=True)
            assert not np.array_equal(window.keypoints, raw.clip(name).keypoints[: len(part)], equal_nan=True)


def test_windows_are_a_sequence(folder: Path) -> None:
    release = open_release(folder)
    assert release[-1].start_frame == release[len(release) - 1].start_frame
    part = release[4:10:2]
    assert isinstance(part, Release) and len(part) == 3
    assert [(w.clip_id, w.start_frame) for w in part] == [
        (release[place].clip_id, release[place].start_frame) for place in (4, 6, 8)
    ]
    for beyond in (len(release), -len(release) - 1):
        with pytest.raises(IndexError, match="there is no window"):
            release[beyond]


def test_filters_leave_the_windows_that_fit_all_of_them(folder: Path, naive: Naive) -> None:
    release = open_release(folder)
    rows = naive.tables["windows"].to_pylist()
    filters: dict[str, Any] = {"split": ["train", "test"], "genre": "house", "instrument": ["Drum", "Violin"]}
    found = release.filter(**filters, least_body_share=0.95, least_notes=9)
    expected = [
        (row["clip_id"], row["start_frame"])
        for row in rows
        if row["split"] != "validation"
        and row["genre"] == "house"
        and {"Drum", "Violin"} & set(row["instruments"])
        and row["body_share"] >= 0.95
        and row["n_notes"] >= 9
    ]
    assert [(w.clip_id, w.start_frame) for w in found] == expected
    assert 0 < len(expected) < len(release.filter(genre="house"))
    assert found.windows.to_pylist() == [
        row for row in rows if (row["clip_id"], row["start_frame"]) in set(expected)
    ]
    assert set(found.clips.column("clip_id").to_pylist()) == {clip for clip, _ in expected}
    assert set(found.videos.column("video_id").to_pylist()) == {clip.split("_")[0] for clip, _ in expected}
    assert len(release.filter(video="vid-006")) == len(release.filter(clip=clip_id(6))) > 0
    loud = release.select(release.windows.column("n_notes").to_numpy() > 9)
    assert len(loud) == sum(row["n_notes"] > 9 for row in rows)
    assert len(release.filter(genre=[])) == len(release.filter(genre=[]).clips) == 0


def test_an_unknown_value_is_told_with_those_that_there_are(folder: Path) -> None:
    release = open_release(folder)
    with pytest.raises(UsageError, match="genre: 'tango' is none of 'ballet', 'house'"):
        release.filter(genre=["house", "tango"])
    with pytest.raises(UsageError, match="instrument: 'Kazoo' is none of 'Acoustic Bass'"):
        release.filter(instrument="Kazoo")
    with pytest.raises(UsageError, match="there is no clip 'nobody'"):
        release.clip("nobody")
    with pytest.raises(UsageError, match="no table is called 'songs'; there are windows"):
        release.table("songs")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coords": "polar"}, "coords: 'polar' is none of image, normalised, world"),
        ({"parts": ("body", "tail")}, "parts: 'tail' is none of"),
        ({"parts": ()}, "at least one"),
        ({"parts": ("body", "body")}, "each part once"),
        ({"layer": "best"}, "layer: 'best' is none of machine, heard, final"),
        ({"smooth": -1.0}, "no standard deviation"),
    ],
)
def test_an_option_that_is_none_is_refused(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_release(folder, **options)


def test_a_clip_is_a_window_of_all_its_frames(folder: Path, naive: Naive) -> None:
    clip = open_release(folder, coords="image").clip(clip_id(2))
    assert (clip.start_frame, clip.n_frames) == (0, 450)
    assert np.array_equal(clip.keypoints, naive.points(naive.frames(clip)), equal_nan=True)
    assert clip.audio is not None and len(clip.audio) == 450 * 512


def test_nothing_is_read_that_is_not_asked_for(copy: Path) -> None:
    release = open_release(copy, coords="image")
    for table in ("notes", "beats", "audio", "midi"):
        shutil.rmtree(copy / "data" / table)
    window = release[0]
    assert np.isfinite(window.keypoints).any() and np.isfinite(window.visibility).any()
    with pytest.raises(SchemaError, match="is missing"):
        _ = window.notes


def test_a_damaged_face_is_noticed_by_those_who_read_it_and_by_nobody_else(copy: Path) -> None:
    for path in (copy / "data" / "frames").glob("*.parquet"):
        metadata = pq.read_metadata(path)
        held = bytearray(path.read_bytes())
        for group in range(metadata.num_row_groups):
            row_group = metadata.row_group(group)
            face = next(
                row_group.column(column)
                for column in range(row_group.num_columns)
                if row_group.column(column).path_in_schema.startswith("face")
            )
            begin = face.data_page_offset
            held[begin : begin + face.total_compressed_size] = bytes(face.total_compressed_size)
        path.write_bytes(held)
    assert np.isfinite(open_release(copy, parts=("body", "right_hand"))[0].keypoints).any()
    with pytest.raises(SchemaError, match=r"frames.*damaged.*sha256sum -c"):
        _ = open_release(copy)[0].keypoints


def write_removed(path: Path, *rows: tuple[str, str]) -> Path:
    made = [
        {"video_id": video, "clip_id": clip, "reason": "takedown", "date": "2026-01-01"}
        for video, clip in rows
    ]
    pq.write_table(tables.from_rows("release/removed", made), path)
    return path


def test_what_a_release_says_is_removed_is_in_no_view(copy: Path) -> None:
    before = open_release(copy)
    assert before.removed.windows == 0
    write_removed(copy / layout.REMOVED, ("vid-002", ""), ("vid-006", clip_id(6)))
    release = open_release(copy)
    gone = {clip_id(2), clip_id(6)}
    assert not gone & {window.clip_id for window in release}
    assert release.removed.windows == len(before.filter(clip=sorted(gone))) == len(before) - len(release) > 0
    assert (release.removed.videos, release.removed.clips) == (1, 2)
    for view in (release, release.filter(genre="ballet")):
        assert not gone & set(view.clips.column("clip_id").to_pylist())
        assert "vid-002" not in view.videos.column("video_id").to_pylist()
    assert "vid-006" in release.videos.column("video_id").to_pylist()
    with pytest.raises(UsageError, match="was removed and must not be used"):
        release.clip(clip_id(6))
    for name in layout.TABLES:
        column = "video_id" if name == "videos" else "clip_id"
        held = set(release.table(name).to_table(columns=[column]).column(column).to_pylist())
        assert not held & {*gone, "vid-002"} and len(held) >= 7, name
    for window in release[::9]:  # the rows of clips that are left are still found
        same = before.clip(window.clip_id).keypoints[
            window.start_frame : window.start_frame + window.n_frames
        ]
        assert np.array_equal(window.keypoints, same, equal_nan=True)


def test_newer_lists_of_removals_are_added_to_the_releases_own(copy: Path, tmp_path: Path) -> None:
    write_removed(copy / layout.REMOVED, ("vid-002", ""))
    newer = write_removed(tmp_path / "newer.parquet", ("vid-004", ""), ("vid-999", ""))
    newest = write_removed(tmp_path / "newest.parquet", ("vid-006", clip_id(6)))
    assert open_release(copy).removed.clips == 1
    assert open_release(copy, removed=newer).removed.clips == 2
    assert open_release(copy, removed=[newer, f"file://{newest}"]).removed.clips == 3
    with pytest.raises(UsageError, match=r"nowhere\.parquet cannot be read as a list of removals"):
        open_release(copy, removed=tmp_path / "nowhere.parquet")
    with pytest.raises(UsageError, match="it needs video_id and clip_id"):
        open_release(copy, removed=copy / layout.table_file("notes", "train"))


@pytest.mark.parametrize("name", layout.TABLES)
def test_a_table_is_all_its_files(folder: Path, naive: Naive, name: str) -> None:
    found = open_release(folder).table(name).to_table()
    key = [(column, "ascending") for column in layout.schema(name).key]
    assert found.sort_by(key).equals(naive.tables[name].select(found.column_names).sort_by(key))


@pytest.mark.parametrize("memory_map", [False, True], ids=["parquet", "mapped"])
def test_releases_and_windows_are_pickled_with_their_view(folder: Path, memory_map: bool) -> None:
    release = open_release(folder, parts=("body",), smooth=0.1, memory_map=memory_map).filter(genre="house")[
        3:
    ]
    expected = release[2].keypoints
    again: Release = pickle.loads(pickle.dumps(release))
    assert len(again) == len(release)
    assert np.array_equal(again[2].keypoints, expected, equal_nan=True)
    window: Window = pickle.loads(pickle.dumps(release[2]))
    assert np.array_equal(window.keypoints, expected, equal_nan=True)


def test_a_release_says_what_it_is(folder: Path) -> None:
    release = open_release(folder)
    assert (release.name, release.version) == (
        json.loads((folder / "manifest.json").read_text())["name"],
        "1.0.0",
    )
    assert len(release.digest) == 64 and release.manifest["format"] == layout.FORMAT
    assert repr(release).startswith(f"<Release {release.name} 1.0.0: {len(release)} windows")


def test_what_is_no_release_is_refused_with_a_reason(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        open_release(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"is no release: it has no manifest\.json"):
        open_release(tmp_path / "empty")
    manifest = copy / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text.replace(f'"format": "{layout.FORMAT}"', '"format": "2.0"'))
    with pytest.raises(ReleaseError, match=r"has format 2\.0, this d2midi reads 1\.x"):
        open_release(copy)
    manifest.write_text(text[:50])
    with pytest.raises(ReleaseError, match="is damaged"):
        open_release(copy)
    manifest.write_text(text)
    (copy / layout.table_file("clips", "train")).unlink()
    with pytest.raises(SchemaError, match=r"clips/train-00000\.parquet is missing"):
        open_release(copy)


def test_keypoints_of_the_naive_reader_are_those_that_went_in(naive: Naive) -> None:
    """The reference is one itself: it gives the points that the clip was made of."""
    made = making.keypoints(np.random.default_rng(0), 205)
    frames = naive.tables["frames"].filter(pc.equal(naive.tables["frames"].column("clip_id"), clip_id(0)))
    for name, part in PARTS.items():
        found = naive.part(frames, name)
        assert np.allclose(found, made.points(name), rtol=0, atol=part.scale / 2, equal_nan=True), name


def test_every_block_of_the_page_about_reading_runs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "release").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    names: dict[str, Any] = {}
    for block in blocks(DOCS / "reading.md", "python"):
        exec(compile(block.text, block.name, "exec"), names)
    assert names["left_hip"].shape == (60, 3)
    assert 0 < len(names["house"]) < len(names["train"]) == len(names["windows"])
    assert names["drums"].num_rows == sum(
        names["release"].clip(c).notes.is_drum.sum() for c in names["clips"]["clip_id"]
    )
    assert names["batch"]["keypoints"].shape == (4, 60, 553, 3)
    assert np.array_equal(names["fast"][0].keypoints, names["release"][0].keypoints, equal_nan=True)
    assert "windows left out" in capsys.readouterr().out


def test_opening_filtering_and_reading_import_no_pandas(folder: Path) -> None:
    code = f"""
import sys
from d2midi_build import open_release
window = open_release({str(folder)!r}).filter(genre="ballet", instrument="Drum")[0]
window.keypoints, window.notes, window.audio, window.source_times
print("pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False", "importing pandas takes longer than opening a release"
