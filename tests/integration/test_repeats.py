"""Repeats in a real build: found, grouped, dropped, forbidden, remembered."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import ffmpeg
import pytest

from d2midi_build import tables, validation
from d2midi_build.errors import UsageError
from d2midi_build.media.ffmpeg import run
from d2midi_build.pipeline import Selection, build
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import read_sources
from d2midi_build.workspace import Workspace
from tests.integration.conftest import write_dance

_SCREENING = Selection(("resolve", "crawl", "filter"))
_CLIPS = Selection(("resolve", "crawl", "filter", "resample"))


def rows(root: Path, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tables.read(root / "manifests" / f"{name}.parquet").to_pylist()
    return found


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dance; the same again, mirrored, smaller, compressed and without its first 1.5 s; and another one."""
    folder = tmp_path_factory.mktemp("videos")
    write_dance(folder / "one.mp4", 5, 14.0)
    write_dance(folder / "other.mp4", 6, 12.0)
    source = ffmpeg.input(str(folder / "one.mp4"), ss=1.5)
    picture = source.video.filter("hflip").filter("scale", 240, 240)
    options = {"crf": 30, "preset": "veryfast", "acodec": "aac", "audio_bitrate": "64k", "vcodec": "libx264"}
    run(ffmpeg.output(picture, source.audio, str(folder / "again.mp4"), **options), "making a copy")
    return folder


@pytest.fixture(scope="module")
def screened(videos: Path, tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> Path:
    """A workspace that screened them; no test changes it."""
    root = tmp_path_factory.mktemp("screened") / "workspace"
    build(list(read_sources(videos)), root, recipe, _SCREENING)
    return root


@pytest.fixture
def root(screened: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(screened, tmp_path / "workspace")
    return tmp_path / "workspace"


def takes_of(root: Path) -> dict[str, str]:
    """Takes by the name of their file."""
    video = {row["video_ids"][0]: Path(row["url"]).stem for row in rows(root, "sources")}
    return {video[row["video_id"]]: row["take_id"] for row in rows(root, "takes")}


def test_the_same_music_and_picture_are_found_with_evidence(screened: Path) -> None:
    take = takes_of(screened)
    found = {row["kind"]: row for row in rows(screened, "repeats")}
    assert {*found} == {"music", "video"}
    pair = sorted((take["one"], take["again"]))
    sign = 1 if take["one"] == pair[1] else -1  # what is at 1.5 s in the one begins the other
    for row in found.values():
        assert [row["first"], row["second"]] == pair
        assert row["offset_s"] == pytest.approx(1.5 * sign, abs=0.15)
        assert row["overlap_s"] > 8
    assert found["video"]["mirrored"] is True
    assert found["music"]["speed"] == pytest.approx(1.0, abs=0.01)


def test_groups_hold_what_a_split_must_not_part(screened: Path) -> None:
    take = takes_of(screened)
    group = {(row["take_id"], row["kind"]): row for row in rows(screened, "groups")}
    for kind in ("music", "video", "split"):
        assert group[take["one"], kind]["group_id"] == group[take["again"], kind]["group_id"]
        assert group[take["other"], kind]["n_takes"] == 1
    assert "sounds like" in group[take["one"], "music"]["because"][0]


def test_dropped_repeats_make_no_clip(root: Path, videos: Path, recipe: Recipe) -> None:
    sources = list(read_sources(videos))
    build(sources, root, recipe.with_field("groups.repeats", "drop"), _SCREENING)
    assert sorted(row["status"] for row in rows(root, "takes")) == ["accept", "accept", "reject"]
    summary = build(sources, root, recipe.with_field("groups.repeats", "drop"), _CLIPS)
    take = takes_of(root)
    status = {row["take_id"]: (row["status"], row["reasons"]) for row in rows(root, "takes")}
    assert status[take["one"]] == ("accept", [])  # the longer of the two
    assert status[take["again"]] == ("reject", ["repeat"])
    assert summary.ran == {"resample": {"done": 2}}
    assert validation.validate(Workspace.open(root)) == []
    # The rule is the recipe's: without it the take is back.
    assert build(sources, root, recipe, _CLIPS).ran == {"resample": {"done": 1}}
    assert {row["status"] for row in rows(root, "takes")} == {"accept"}


def test_forbidden_repeats_stop_the_build_before_clips(root: Path, videos: Path, recipe: Recipe) -> None:
    sources, strict = list(read_sources(videos)), recipe.with_field("groups.repeats", "forbid")
    for selection in (_CLIPS, Selection(("resample",))):
        with pytest.raises(UsageError, match="1 takes repeat the music or the picture of another"):
            build(sources, root, strict, selection)
        assert rows(root, "clips") == []
    assert build(list(read_sources(videos / "other.mp4")), root, strict, _CLIPS).ran == {
        "resample": {"done": 1}
    }


def test_only_what_is_new_is_compared_and_the_memory_may_be_lost(
    root: Path, videos: Path, recipe: Recipe
) -> None:
    before = (root / "ledger" / "repeats.json").read_bytes()
    build(list(read_sources(videos)), root, recipe, _SCREENING)
    assert (root / "ledger" / "repeats.json").read_bytes() == before
    # Without the one in the middle nothing is left; when it comes back it is found again.
    build(list(read_sources(videos / "one.mp4")), root, recipe, _SCREENING)
    assert rows(root, "repeats") == []
    build(list(read_sources(videos)), root, recipe, _SCREENING)
    assert len(rows(root, "repeats")) == 2
    (root / "ledger" / "repeats.json").unlink()
    build(list(read_sources(videos)), root, recipe, _SCREENING)
    assert (root / "ledger" / "repeats.json").read_bytes() == before


def test_damaged_fingerprints_are_told_and_stop_nothing(
    root: Path, videos: Path, recipe: Recipe, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "ledger" / "repeats.json").unlink()
    for length, damaged in enumerate(root.glob("store/filter/*/*/music.npz")):
        damaged.write_bytes(damaged.read_bytes()[: 100 * length])  # one of them empty
    assert build(list(read_sources(videos)), root, recipe, _SCREENING).ran == {}
    assert "cannot be read" in caplog.text and "--refresh filter" in caplog.text
    assert rows(root, "repeats") == []
    refreshed = Selection(_SCREENING.stages, refresh=("filter",))
    assert build(list(read_sources(videos)), root, recipe, refreshed).ran == {"filter": {"done": 3}}
    assert len(rows(root, "repeats")) == 2
