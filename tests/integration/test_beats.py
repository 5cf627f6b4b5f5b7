"""The stage beats in a build: rows of both kinds, and a clip whose music has none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from d2midi_build import clock, tables
from d2midi_build.pipeline import Selection, Summary
from d2midi_build.recipe import Recipe
from tests.integration.conftest import Build

_SLATE_S = 2.0


def rows(root: Path, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tables.read(root / "manifests" / f"{name}.parquet").to_pylist()
    return found


def test_rows_and_facts_agree(built: tuple[Path, Summary]) -> None:
    root, _ = built
    for clip in rows(root, "clips"):
        mine = [row for row in rows(root, "beats") if row["clip_id"] == clip["clip_id"]]
        assert clip["n_beats"] == len(mine)
        musical = [row for row in mine if row["kind"] == "musical"]
        assert bool(musical) == (clip["tempo_bpm"] is not None) == (clip["beats_reason"] == "")
        assert clip["beats_method"] and 0 <= clip["beats_confidence"] <= 1
        for row in musical:
            assert 1 <= row["position"] <= clip["metre"]
        for kind in ("musical", "kinematic"):
            assert [row["beat"] for row in mine if row["kind"] == kind] == list(
                range(sum(row["kind"] == kind for row in mine))
            )


def test_the_drawn_dancers_beats_are_seen(built: tuple[Path, Summary]) -> None:
    """Poses are held on every beat of 120 bpm; the beats are half a second apart from the first after the slate."""
    root, _ = built
    for clip in rows(root, "clips"):
        seen = np.array(
            [row["time_s"] for row in rows(root, "beats")
             if row["clip_id"] == clip["clip_id"] and row["kind"] == "kinematic"]
        ) + clip["source_start_s"]  # fmt: skip
        inside = seen[(seen > _SLATE_S + 0.25) & (seen < clip["n_frames"] / clock.FPS - 0.25)]
        off = np.abs((inside - _SLATE_S + 0.25) % 0.5 - 0.25)
        assert len(inside) >= 4
        assert np.median(off) < 0.07


def test_unknown_is_done_with_a_reason(workspace: Path, again: Build, recipe: Recipe) -> None:
    strict = recipe.with_field("beats.least_confidence", 1.0)
    assert again(strict).ran == {"beats": {"done": 2}}
    for clip in rows(workspace, "clips"):
        assert (clip["status"], clip["tempo_bpm"], clip["metre"]) == ("done", None, None)
        assert "below" in clip["beats_reason"] or "fewer than" in clip["beats_reason"]
    assert {row["kind"] for row in rows(workspace, "beats")} == {"kinematic"}


def test_alone(workspace: Path, again: Build) -> None:
    assert again(selection=Selection(refresh=("beats",))).ran == {"beats": {"done": 2}}
