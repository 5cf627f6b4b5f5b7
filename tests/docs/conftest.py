"""The workspace that the tutorial leads to, built once."""

from __future__ import annotations

from pathlib import Path

import pytest

from d2midi_build import manifests
from d2midi_build.pipeline import build
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import read_sources
from tests.docs.pages import DOCS, blocks
from tests.integration.conftest import write_dance

TUTORIAL = DOCS / "tutorial.md"


def titled(title: str) -> str:
    """The tutorial's block of that title."""
    (text,) = [
        block.text
        for language in ("toml", "csv", "text")
        for block in blocks(TUTORIAL, language)
        if block.title == title
    ]
    return text


@pytest.fixture(scope="session")
def tutorial_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where somebody stands who followed the tutorial: its list, its recipe, its workspace.

    The list's local files are a dance, one that is too short and one that is no video; its addresses are left out.
    """
    folder = tmp_path_factory.mktemp("tutorial")
    (folder / "dances").mkdir()
    write_dance(folder / "dances" / "studio.mp4", 1)
    write_dance(folder / "dances" / "teaser.mp4", 2, seconds=2.5)
    (folder / "dances" / "phone.mp4").write_bytes(b"this is no video")
    for name in ("dances.csv", "recipe.toml"):
        (folder / name).write_text(titled(name))
    local = [source for source in read_sources(folder / "dances.csv") if source.kind == "file"]
    summary = build(local, folder / "d2midi-workspace", Recipe.load(folder / "recipe.toml"))
    failed = [record.message for record in manifests.records(summary.sources) if record.status == "failed"]
    assert len(failed) == 1, failed
    return folder
