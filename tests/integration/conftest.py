"""A short video with a drawn dancer and a played song, and a workspace built from it once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from d2midi_build.pipeline import Selection, Summary, build
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import read_sources
from d2midi_build.synthetic.band import compose, render
from d2midi_build.synthetic.dancer import choreograph
from d2midi_build.synthetic.slate import SLATE_S
from d2midi_build.synthetic.videos import SHAPES, write_video
from tests.integration.label_studio import label_studio as label_studio
from tests.integration.label_studio import label_studio_seed as label_studio_seed

_RATE_HZ = 44_100
_SECONDS = 6.0

Build = Callable[..., Summary]


def write_dance(path: Path, seed: int, seconds: float = _SECONDS) -> None:
    """A small dance video with music."""
    rng = np.random.default_rng(seed)
    dance = choreograph(rng, 120.0, seconds, first_beat_s=SLATE_S, look=seed)
    song = compose(rng, 120.0, seconds - SLATE_S, start_s=0.0)
    shape = replace(SHAPES["25fps"], size_px=(320, 320))
    write_video(path, shape, [dance], render(song, _RATE_HZ), _RATE_HZ, seconds, rng)


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """The default, with windows that fit a short video."""
    recipe = Recipe().with_field("window.frames", 60).with_field("window.stride", 20)
    return recipe.with_field("filter.silent_review", 0.4)  # the slate is a third of such a short video


@pytest.fixture(scope="session")
def dances(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two dance videos, a file that is none, and a list of them and of one that is missing."""
    folder = tmp_path_factory.mktemp("dances")
    for seed in (1, 2):
        write_dance(folder / f"dance-{seed}.mp4", seed)
    (folder / "broken.mp4").write_bytes(b"this is no video")
    (folder / "list.txt").write_text("dance-1.mp4\ndance-2.mp4\nbroken.mp4\nmissing.mp4\n")
    return folder


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, dances: Path, recipe: Recipe) -> tuple[Path, Summary]:
    """A finished workspace that no test changes, and how its build went."""
    root = tmp_path_factory.mktemp("built") / "workspace"
    return root, build(list(read_sources(dances / "list.txt")), root, recipe)


@pytest.fixture
def workspace(built: tuple[Path, Summary], tmp_path: Path) -> Path:
    """A copy of the finished workspace to change."""
    root = tmp_path / "workspace"
    shutil.copytree(built[0], root)
    return root


@pytest.fixture
def again(workspace: Path, dances: Path, recipe: Recipe) -> Build:
    """Build the copied workspace again."""

    def build_again(changed: Recipe | None = None, selection: Selection | None = None) -> Summary:
        return build(
            list(read_sources(dances / "list.txt")), workspace, changed or recipe, selection or Selection()
        )

    return build_again
