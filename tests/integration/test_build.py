"""The main job from local files to windows, with real ffmpeg, MediaPipe and the default transcriber."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mido
import pyarrow.parquet as pq
import pytest
import soundfile

from d2midi_build import clock, tables, validation
from d2midi_build.errors import WorkspaceError
from d2midi_build.flow import Flow
from d2midi_build.ledger import Ledger
from d2midi_build.manifests import NAMES, remembered
from d2midi_build.pipeline import Selection, Summary, build
from d2midi_build.recipe import Recipe, field_names
from d2midi_build.sources.lists import read_sources
from d2midi_build.workspace import Workspace

Build = Callable[..., Summary]


def rows(root: Path, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tables.read(root / "manifests" / f"{table}.parquet").to_pylist()
    return found


def digests(root: Path) -> dict[str, str]:
    """SHA-256 of everything that has to be the same in every run."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("manifests", "frames", "midi", "clips")
        for path in sorted((root / folder).rglob("*"))
        if path.is_file()
    }


def test_good_videos_become_windows_and_bad_ones_typed_failures(built: tuple[Path, Summary]) -> None:
    root, summary = built
    by_name = {row["url"]: row for row in rows(root, "sources")}
    assert {name: row["status"] for name, row in by_name.items()} == {
        "dance-1.mp4": "done", "dance-2.mp4": "done", "broken.mp4": "failed", "missing.mp4": "failed",
    }  # fmt: skip
    assert by_name["broken.mp4"]["reason"] == by_name["missing.mp4"]["reason"] == "permanent"
    assert "no such file" in by_name["missing.mp4"]["message"]
    assert summary.failed == 2
    clips = rows(root, "clips")
    assert [clip["status"] for clip in clips] == ["done", "done"]
    assert all(clip["n_windows"] == len(clock.window_starts(clip["n_frames"], 60, 20)) >= 2 for clip in clips)
    assert len(rows(root, "windows")) == sum(clip["n_windows"] for clip in clips)


def test_the_workspace_is_valid_to_the_last_byte(built: tuple[Path, Summary]) -> None:
    assert validation.validate(Workspace.open(built[0]), deep=True) == []


def test_picture_sound_frames_and_notes_of_a_clip_agree(built: tuple[Path, Summary]) -> None:
    root, _ = built
    for clip in rows(root, "clips"):
        folder = root / "clips" / clip["clip_id"]
        n_frames = clip["n_frames"]
        assert soundfile.info(folder / "audio.flac").frames == n_frames * 512 == clip["n_samples"]
        original = soundfile.info(folder / "original.flac")
        assert original.frames == round(n_frames / 20 * original.samplerate)
        assert pq.read_metadata(root / "frames" / f"{clip['clip_id']}.parquet").num_rows == n_frames
        midi = mido.MidiFile(root / "midi" / f"{clip['clip_id']}.mid")
        assert midi.ticks_per_beat == 5120
        assert midi.length <= n_frames / 20 + 1e-9


def test_every_row_says_what_made_it(built: tuple[Path, Summary]) -> None:
    root, _ = built
    for table, expected in (
        ("videos", "{}"), ("takes", "model:"), ("clips", "ffmpeg"), ("clips", "mediapipe"),
        ("clips", "nmp.onnx"), ("notes", "nmp.onnx"), ("windows", "pyarrow"), ("beats", "beat_weights.json"),
    ):  # fmt: skip
        for row in rows(root, table):
            assert len(row["stage_key"]) == 64
            assert expected in row["made_by"], table


def test_a_second_build_does_nothing_and_changes_no_byte(workspace: Path, again: Build) -> None:
    before = digests(workspace)
    assert again().ran == {}
    assert digests(workspace) == before


def test_lost_manifests_and_views_come_back_the_same(workspace: Path, again: Build) -> None:
    before = digests(workspace)
    for path in [*(workspace / "manifests").iterdir(), *(workspace / "midi").iterdir()]:
        path.unlink()
    assert again().ran == {}
    assert digests(workspace) == before


def test_a_lost_result_is_made_again(workspace: Path, again: Build) -> None:
    before = digests(workspace)
    folder = next((workspace / "store" / "transcribe").glob("*/*"))
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert again().ran == {"transcribe": {"done": 1}}
    assert digests(workspace) == before


def test_a_result_that_lost_one_file_is_made_again(workspace: Path, again: Build) -> None:
    before = digests(workspace)
    next((workspace / "store" / "resample").rglob("original.flac")).unlink()
    assert again().ran == {"resample": {"done": 1}}
    assert digests(workspace) == before


def test_a_build_that_cannot_start_leaves_the_tables_alone(
    workspace: Path, dances: Path, recipe: Recipe, tmp_path: Path
) -> None:
    before = digests(workspace)
    new = tmp_path / "a-new.mp4"  # sorts first, so that the walk comes to it before the others
    new.write_bytes((dances / "dance-1.mp4").read_bytes() + b"x")
    sources = [*read_sources(new), *read_sources(dances / "list.txt")]
    with pytest.raises(WorkspaceError, match="min_free_gb"):
        build(sources, workspace, recipe.with_field("run.min_free_gb", 1e6))
    after = digests(workspace)
    assert {name for name in before if after.get(name) != before[name]} <= {
        f"manifests/{name}.parquet" for name in NAMES
    }
    assert len(rows(workspace, "clips")) == 2


def test_tables_follow_a_record_that_changed_under_its_key(workspace: Path, again: Build) -> None:
    path = Workspace.open(workspace).ledger_path
    with Ledger(path, writable=True) as ledger:
        record = next(each for each in ledger if each.stage == "transcribe")
        ledger.append(replace(record, facts=record.facts | {"n_notes": 12345}))
    assert again().ran == {}
    assert 12345 in [clip["n_notes"] for clip in rows(workspace, "clips")]


FIRST_TO_RUN = {
    "crawl.format": {"crawl"},
    "crawl.resolution_px": {"crawl"},
    "filter.scan_height": {"filter"},
    "filter.samples_per_s": {"filter"},
    "filter.silent_below_db": {"filter"},
    "resample.height": {"resample"},
    "resample.crf": {"resample"},
    "separate.method": {"separate"},
    "transcribe.audio": {"transcribe"},
    "transcribe.transcriber": {"transcribe"},
    "transcribe.others": {"opinions"},
    "transcribe.vocals": {"transcribe"},
    "beats.least_confidence": {"beats"},
    "beats.least_prominence": {"beats"},
    "window.frames": {"window"},
    "window.stride": {"window"},
}
"""The stages that have to run again when a field changes; a field that is not here re-runs nothing (the
stages that follow run only if the result really differs)."""

_OTHER_VALUE: dict[str, Any] = {
    "crawl.format": "b", "separate.method": "hpss", "transcribe.audio": "clip", "transcribe.transcriber": "basic-pitch",
    "transcribe.vocals": "drop", "window.frames": 61, "transcribe.others": ("basic-pitch",),
    "mt3.model": "other", "mt3.decode": "argmax", "mt3.precision": "float16", "mt3.device": "cpu",
    "filter.silent_below_db": -60.0, "separate.demucs_model": "other", "separate.demucs_folder": "/x",
    "release.audio": "none", "release.split": "whole", "release.keep_apart": ("video",),
}  # fmt: skip


def _other(recipe: Recipe, name: str) -> Any:
    value = recipe.field(name)
    if name in _OTHER_VALUE:
        return _OTHER_VALUE[name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1 if isinstance(value, int) else value * 0.9
    if name.startswith("release."):
        return "other" if isinstance(value, str) else ("other",)
    return None


@pytest.mark.parametrize("name", [name for name in field_names() if name != "transcribe.transcriber"])
def test_a_changed_field_re_runs_only_the_stage_that_reads_it(
    built: tuple[Path, Summary], recipe: Recipe, name: str
) -> None:
    other = _other(recipe, name)
    if other is None:
        other = {"filter.review": "keep", "groups.repeats": "drop", "crawl.proxy": "http://x:1",
                 "crawl.cookies_from_browser": "firefox", "crawl.cookies": "/cookies",
                 "crawl.rate_limit_bytes_s": 1000}[name]  # fmt: skip
    workspace = Workspace.open(built[0])
    ledger, (sources, _) = Ledger(workspace.ledger_path), remembered(workspace)
    missing = set()

    def ask(job: Any) -> Any:
        record = ledger.find(job.stage, job.item, job.key)
        if record is None:
            missing.add(job.stage)
        return record

    for source in sources:
        Flow(workspace, recipe.with_field(name, other)).source(source, ask)
    assert missing == FIRST_TO_RUN.get(name, set())


def test_a_changed_picture_leaves_the_notes_alone(workspace: Path, again: Build, recipe: Recipe) -> None:
    ran = again(recipe.with_field("resample.crf", 30)).ran
    done = {"done": 2}
    assert ran == {"resample": done, "keypoints": done, "beats": done, "window": done}
    assert again(recipe).ran == {}  # what the first recipe made is still there


def test_refresh_and_retry_run_what_they_name(workspace: Path, again: Build) -> None:
    assert again(selection=Selection(refresh=("window",))).ran == {"window": {"done": 2}}
    assert again(selection=Selection(retry=("transient",))).ran == {}
    assert again(selection=Selection(retry=("permanent",))).ran == {"crawl": {"failed": 2}}


def test_only_and_until(tmp_path: Path, dances: Path, recipe: Recipe) -> None:
    sources = list(read_sources(dances / "dance-1.mp4"))
    root = tmp_path / "w"
    assert build(sources, root, recipe, Selection(("filter",))).ran == {}
    assert build(sources, root, recipe, Selection(("resolve", "crawl", "filter"))).ran == {
        "crawl": {"done": 1}, "filter": {"done": 1},
    }  # fmt: skip
    assert build(sources, root, recipe, Selection(("resample",))).ran == {"resample": {"done": 1}}
