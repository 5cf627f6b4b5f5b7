"""A plan says what a build then does."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from d2midi_build.pipeline import Selection, Summary, build
from d2midi_build.plan import plan, survey
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import Source, read_sources
from d2midi_build.stages.base import NAMES, stage
from d2midi_build.workspace import Workspace

UNTIL_FILTER = Selection(NAMES[: NAMES.index("filter") + 1])


@pytest.fixture
def good(dances: Path) -> list[Source]:
    return [source for source in read_sources(dances / "list.txt") if source.url.startswith("dance-")]


def counts(ran: dict[str, dict[str, int]]) -> dict[str, int]:
    return {stage: sum(by_status.values()) for stage, by_status in ran.items()}


def test_a_fresh_workspace(
    built: tuple[Path, Summary], good: list[Source], recipe: Recipe, tmp_path: Path
) -> None:
    planned = plan(Workspace(tmp_path / "none"), good, recipe, Selection(), 2)
    ran = {
        stage: by_status["done"] for stage, by_status in built[1].ran.items()
    }  # without the two bad sources
    assert planned.jobs == ran
    assert planned.assumed_videos == 2
    assert planned.wall_s == planned.cpu_s / 2 > 0
    assert not (tmp_path / "none").exists(), "a plan writes nothing"


def test_step_by_step(
    tmp_path: Path, good: list[Source], recipe: Recipe, built: tuple[Path, Summary]
) -> None:
    root = tmp_path / "w"
    planned = plan(Workspace(root), good[:1], recipe, UNTIL_FILTER, 1)
    assert (
        planned.jobs == {"crawl": 1, "filter": 1} == counts(build(good[:1], root, recipe, UNTIL_FILTER).ran)
    )
    rest = plan(Workspace(root), good[:1], recipe, Selection(), 1)
    assert rest.jobs == {"resample": 1, "transcribe": 1, "keypoints": 1, "beats": 1, "window": 1}
    assert rest.assumed_videos == 0
    # Under the length of the two videos (6 s); a guess would be minutes.
    assert 3 < rest.media_s["keypoints"] < 7
    assert plan(Workspace(root), good[:1], recipe, Selection(("window",)), 1).jobs == {}
    assert plan(Workspace(root), good[:1], recipe, Selection(("resample", "window")), 1).jobs == {
        "resample": 1
    }


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("window.frames", 61, {"window": 2}),
        ("beats.least_confidence", 0.7, {"beats": 2}),
        ("transcribe.transcriber", "basic-pitch", {"transcribe": 2, "beats": 2, "window": 2}),
        ("filter.review", "keep", {}),
    ],
)
def test_a_changed_field(
    workspace: Path, good: list[Source], recipe: Recipe, field: str, value: Any, expected: dict[str, int]
) -> None:
    changed = recipe.with_field(field, value)
    assert plan(Workspace(workspace), good, changed, Selection(), 1).jobs == expected
    assert counts(build(good, workspace, changed).ran) == expected


def test_others_listen_after_the_notes_and_are_planned_by_themselves(
    workspace: Path, good: list[Source], recipe: Recipe
) -> None:
    transcribe, opinions = Selection(("transcribe",)), Selection(("opinions",))
    once = plan(Workspace(workspace), good, recipe, replace(transcribe, refresh=("transcribe",)), 1)
    assert plan(Workspace(workspace), good, recipe, opinions, 1).jobs == {}
    other = recipe.with_field("transcribe.others", ("basic-pitch",))
    assert plan(Workspace(workspace), good, other, transcribe, 1).jobs == {}
    planned = plan(Workspace(workspace), good, other, Selection(), 1)
    assert planned.jobs == {"opinions": 2} and planned.media_s == {"opinions": once.media_s["transcribe"]}
    rate = stage("opinions").cpu_s(other)
    assert planned.cpu_s == pytest.approx(planned.media_s["opinions"] * rate)
    assert counts(build(good, workspace, other, opinions).ran) == planned.jobs
    again = replace(opinions, refresh=("opinions",))
    assert plan(Workspace(workspace), good, other, again, 1).cpu_s != pytest.approx(planned.cpu_s)
    both = plan(Workspace(workspace), good, other.with_field("transcribe.vocals", "drop"), Selection(), 1)
    assert both.jobs == {"transcribe": 2, "opinions": 2, "beats": 2, "window": 2}
    none = plan(Workspace(workspace), good, recipe, replace(transcribe, refresh=("transcribe",)), 1)
    assert none.cpu_s == once.cpu_s
    # What one transcriber took is no estimate of another.
    unheard = recipe.with_field("transcribe.transcriber", "basic-pitch")
    rate = stage("transcribe").cpu_s(unheard)
    assert plan(Workspace(workspace), good, unheard, transcribe, 1).cpu_s == pytest.approx(
        once.media_s["transcribe"] * rate
    )


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), {}),
        (Selection(refresh=("window",)), {"window": 2}),
        (Selection(refresh=("transcribe",)), {"transcribe": 2}),
        (Selection(("resolve", "crawl"), retry=("permanent",)), {"crawl": 2}),
    ],
)
def test_refresh_and_retry(
    workspace: Path, dances: Path, recipe: Recipe, selection: Selection, expected: dict[str, int]
) -> None:
    sources = list(read_sources(dances / "list.txt"))
    assert plan(Workspace(workspace), sources, recipe, selection, 1).jobs == expected
    assert counts(build(sources, workspace, recipe, selection).ran) == expected


def test_a_lost_result_is_planned_and_status_says_so(workspace: Path, dances: Path, recipe: Recipe) -> None:
    shutil.rmtree(next((workspace / "store" / "transcribe").glob("*/*")))
    sources = list(read_sources(dances / "list.txt"))
    assert plan(Workspace(workspace), sources, recipe, Selection(), 1).jobs == {"transcribe": 1}
    (state,) = (state for state in survey(Workspace(workspace)).stages if state.name == "transcribe")
    assert (state.done, state.to_do) == (1, 1)


def test_status_counts_what_is_there(built: tuple[Path, Summary]) -> None:
    found = survey(Workspace.open(built[0]))
    states = {state.name: (state.done, state.failed, state.to_do) for state in found.stages}
    assert states == {
        "resolve": (0, 0, 0), "crawl": (2, 2, 0), "filter": (2, 0, 0), "resample": (2, 0, 0),
        "separate": (0, 0, 0), "transcribe": (2, 0, 0), "opinions": (0, 0, 0),
        "keypoints": (2, 0, 0), "beats": (2, 0, 0), "window": (2, 0, 0),
    }  # fmt: skip
    assert found.n_sources == 4
    assert {record.reason for record in found.failures} == {"permanent"}
    assert found.takes == {"accept": 2}
    assert found.n_windows == sum(take.records["window"].facts["n_windows"] for take in _takes(built[1]))


def _takes(summary: Summary) -> list[Any]:
    return [take for node in summary.sources for entry in node.entries for take in entry.takes]
