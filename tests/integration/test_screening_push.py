"""Which takes of a real workspace people are asked about, and what they are told."""

from __future__ import annotations

from pathlib import Path

from d2midi_build import manifests
from d2midi_build.annotate.screening_push import candidates, takes
from d2midi_build.recipe import Recipe
from d2midi_build.screening.verdicts import Verdict, Verdicts
from d2midi_build.sources.lists import read_sources
from d2midi_build.workspace import Workspace


def screened(workspace: Path, dances: Path, recipe: Recipe) -> Workspace:
    opened = Workspace(workspace)
    manifests.remember(opened, list(read_sources(dances / "list.txt")), recipe)
    return opened


def test_only_takes_under_review_are_asked_about_with_the_machine_s_reasons(
    workspace: Path, dances: Path, recipe: Recipe
) -> None:
    assert candidates(screened(workspace, dances, recipe)) == []
    opened = screened(workspace, dances, recipe.with_field("filter.background_review", 0.0))
    found = candidates(opened)
    assert {each.asked.take_id for each in found} == set(takes(opened)) and len(found) == 2
    for each in found:
        assert each.machine.startswith("Why you are asked: clutter of the background")
        assert "licence: not known" in each.about and str(dances) not in repr(each.data())
        assert each.video.is_file() and each.asked.url in ("dance-1.mp4", "dance-2.mp4")
    Verdicts(opened.verdicts_path).append(
        [Verdict(found[0].asked.take_id, "accept", "fine", "ada", "2026-11-26T10:00:00+00:00")]
    )
    assert [each.asked.take_id for each in candidates(opened)] == [found[1].asked.take_id]


def test_clips_of_which_a_later_stage_noticed_something_are_asked_about_on_demand(
    workspace: Path, dances: Path, recipe: Recipe
) -> None:
    opened = screened(workspace, dances, recipe.with_field("beats.lag_review_above_s", 0.0))
    assert candidates(opened) == []
    noticed = candidates(opened, noticed=True)
    assert len(noticed) == 2 and all("the dance is" in each.machine for each in noticed), noticed
