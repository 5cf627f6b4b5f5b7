"""Separation between clip and notes, through the build: librosa's, and demucs with weights in the official format."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from d2midi_build import validation
from d2midi_build.pipeline import Summary, build
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import read_sources
from d2midi_build.workspace import Workspace
from tests.integration.test_build import rows
from tests.music.test_separation import weights

__all__ = ["weights"]  # a fixture


def check(root: Path, stems: list[str]) -> None:
    """Every clip has its stems, exactly as long as its original sound, and notes heard in them."""
    found = rows(root, "stems")
    clips = {clip["clip_id"]: clip for clip in rows(root, "clips")}
    assert sorted(row["stem"] for row in found) == sorted(stems * len(clips))
    for row in found:
        assert soundfile.info(root / row["file"]).frames == clips[row["clip_id"]]["original_samples"]
    assert validation.validate(Workspace.open(root), deep=True) == []


def test_hpss(workspace: Path, dances: Path, recipe: Recipe) -> None:
    summary = build(
        list(read_sources(dances / "list.txt")), workspace, recipe.with_field("separate.method", "hpss")
    )
    done = {"done": 2}
    assert summary.ran == {"separate": done, "transcribe": done, "beats": done, "window": done}
    check(workspace, ["harmonic", "percussive"])
    drums = [note for note in rows(workspace, "notes") if note["is_drum"]]
    assert len(drums) > 10


def test_demucs_with_the_users_weights(
    workspace: Path, dances: Path, recipe: Recipe, weights: Path, built: tuple[Path, Summary]
) -> None:
    pytest.importorskip("demucs")
    name = next(weights.glob("*.yaml")).stem
    recipe = recipe.with_field("separate.method", "demucs").with_field("separate.demucs_model", name)
    sources = list(read_sources(dances / "list.txt"))
    summary = build(sources, workspace, recipe.with_field("separate.demucs_folder", str(weights)))
    assert summary.ran["separate"] == {"done": 2}
    check(workspace, ["bass", "drums", "other", "vocals"])
    moved = weights.rename(weights.with_name("moved"))
    assert build(sources, workspace, recipe.with_field("separate.demucs_folder", str(moved))).ran == {}
    moved.rename(weights)
