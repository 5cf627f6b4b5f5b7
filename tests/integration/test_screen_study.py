"""Screening and a rating study with a real Label Studio, answered in a real browser."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from d2midi_build import manifests
from d2midi_build.annotate.study import design
from d2midi_build.cli.annotate import screen, study
from d2midi_build.pipeline import Summary
from d2midi_build.recipe import Recipe
from d2midi_build.screening.verdicts import Verdicts
from d2midi_build.sources.lists import read_sources
from d2midi_build.standing import refresh
from d2midi_build.workspace import Workspace
from tests.annotate.filled import choice
from tests.annotate.study.making import form
from tests.integration.label_studio import PASSWORD, Live, live

playwright = pytest.importorskip("playwright.sync_api")

pytestmark = pytest.mark.browser

ADA, BOB = "ada@example.org", "bob@example.org"
Page = Any

_PLAYING = "document.querySelector('video') && document.querySelector('video').readyState >= 3"


@dataclass(frozen=True)
class Site:
    """A workspace with its Label Studio, and two people who are logged in."""

    live: Live
    ada: Page
    bob: Page

    @property
    def workspace(self) -> Path:
        return self.live.workspace

    @property
    def url(self) -> str:
        """As annotators reach it."""
        return self.live.served.address.public_url

    def project(self, title: str) -> int:
        with self.live.studio() as studio:
            found = studio.find_project(title)
        assert found is not None
        return found.id

    def tasks(self, title: str) -> dict[str, Any]:
        with self.live.studio() as studio:
            return {task.key: task for task in studio.tasks(self.project(title))}


Run = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium; it may play sound without being clicked."""
    options = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
    with (
        playwright.sync_playwright() as started,
        closing(started.chromium.launch(executable_path="/usr/bin/chromium", args=options)) as chromium,
    ):
        yield chromium


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory,
    built: tuple[Path, Summary],
    browser: Any,
    label_studio_seed: Path,
) -> Iterator[Site]:
    """Two clips, served; ada and bob have signed up by the link that `serve` prints."""
    root = tmp_path_factory.mktemp("screen-study") / "workspace"
    shutil.copytree(built[0], root)
    private = tmp_path_factory.mktemp("private") / "private"
    with live(root, private, label_studio_seed) as served:
        people = []
        for email in (ADA, BOB):
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.goto(served.served.invite_url)
            page.fill("input[name=email]", email)
            page.fill("input[name=password]", PASSWORD)
            page.click("button[type=submit]")
            page.wait_for_url(lambda url: "signup" not in url)
            people.append(page)
        yield Site(served, *people)


@pytest.fixture
def run(site: Site, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one of the commands with --json; its answer, and whether it was content."""
    monkeypatch.setenv("LABEL_STUDIO_URL", site.live.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", site.live.served.admin.token)

    def command(app: typer.Typer, *words: object, content: bool = True) -> Any:
        done = CliRunner().invoke(
            app, [*map(str, words), "-w", str(site.workspace), "--json"], catch_exceptions=False
        )
        assert (done.exit_code == 0) is content, done.output
        return json.loads(done.stdout)

    return command


def submit(page: Page, site: Site, task: int, result: list[dict[str, Any]]) -> None:
    """Send an answer as the browser's page does."""
    sent = page.evaluate(
        """([url, result]) => fetch(url, {method: "POST", body: JSON.stringify({result}),
           headers: {"Content-Type": "application/json"}}).then(answer => answer.status)""",
        [f"{site.url}/api/tasks/{task}/annotations/", result],
    )
    assert sent == 201


def answer(page: Page, site: Site, project: int, keys: str) -> dict[str, Any]:
    """Watch the first task of the stream, answer it by keyboard and submit; what was played."""
    page.goto(f"{site.url}/projects/{project}/data?labeling=1")
    page.wait_for_selector(".d2m")
    page.wait_for_function(_PLAYING)
    page.evaluate("document.querySelector('video').play()")
    page.wait_for_function("document.querySelector('video').currentTime > 0.3")
    page.evaluate("document.querySelector('video').pause()")
    played: dict[str, Any] = page.evaluate(
        """(() => { const video = document.querySelector("video");
           return {length_s: video.duration, heard: video.webkitAudioDecodedByteCount, width: video.videoWidth}; })()"""
    )
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_function(f"document.querySelectorAll('.d2m input:checked').length === {len(keys)}")
    boxes = page.eval_on_selector_all(
        ".d2m input[type=checkbox]", "all => all.map(one => one.getBoundingClientRect().bottom)"
    )
    assert max(boxes) < 900 - 60, "every question is in view, above the bar with the button"
    with page.expect_response(
        lambda told: "/annotations" in told.url and told.request.method == "POST"
    ) as kept:
        page.click("button:has-text('Submit')")
    assert kept.value.status == 201
    return played


def restart(workspace: Path, dances: Path, recipe: Recipe) -> None:
    """Screen both takes by another recipe, nobody having said anything about them."""
    manifests.remember(Workspace(workspace), list(read_sources(dances / "list.txt"))[:2], recipe)
    Workspace(workspace).verdicts_path.unlink(missing_ok=True)
    refresh(Workspace(workspace))


def test_takes_are_answered_in_the_browser_and_become_verdicts_once(
    site: Site, run: Run, recipe: Recipe, dances: Path
) -> None:
    restart(site.workspace, dances, recipe.with_field("filter.background_review", 0.0))
    sent = run(screen.app, "push")
    assert (sent["made"], sent["failed"]) == (2, [])
    assert run(screen.app, "push")["made"] == 0
    title = "d2midi screening: workspace"
    played = answer(site.ada, site, site.project(title), "1qazr7")
    assert played["heard"] > 0 and played["length_s"] == pytest.approx(6.0, abs=0.1)
    first, second = site.tasks(title).values()
    assert len(first.annotations) == 1 and not second.annotations

    told = run(screen.app, "pull")
    take = first.key.removeprefix("screen/")
    assert [(each["take"], each["verdict"], each["by"]) for each in told["decided"]] == [
        (take, "accept", ADA)
    ]
    overlay = (site.workspace / "overlays" / "screening.jsonl").read_bytes()
    answers = (site.workspace / "annotation" / "screening_answers.csv").read_bytes()
    assert run(screen.app, "pull")["decided"] == []
    assert (site.workspace / "overlays" / "screening.jsonl").read_bytes() == overlay
    assert (site.workspace / "annotation" / "screening_answers.csv").read_bytes() == answers
    (row,) = csv.DictReader(answers.decode().splitlines())
    assert (row["genre"], row["by"], row["says"]) == ("house", ADA, "accept")

    good = {
        "background": "pure",
        "dancers": "one",
        "body": "yes",
        "sync": "synchronised",
        "music": "clear",
        "genre": "latin",
    }
    submit(site.bob, site, first.id, [choice(*each) for each in (good | {"body": "no"}).items()])
    submit(site.bob, site, second.id, [choice(*each) for each in (good | {"genre": "polka"}).items()])
    told = run(screen.app, "pull", content=False)
    assert [each["take"] for each in told["conflicts"]] == [take]
    assert [each["verdict"] for each in told["decided"]] == ["withdraw"]
    assert len(told["problems"]) == 1 and "'polka'" in told["problems"][0]
    assert Verdicts(site.workspace / "overlays" / "screening.jsonl").of(take, "") is None

    told = run(screen.app, "pull", "--reviewer", BOB, content=False)
    assert [(each["verdict"], each["by"]) for each in told["decided"]] == [("reject", BOB)]
    assert run(screen.app, "pull", content=False)["decided"] == []


def test_a_study_is_rated_blind_and_what_follows_is_told(
    site: Site, run: Run, recipe: Recipe, dances: Path
) -> None:
    restart(site.workspace, dances, recipe)
    asked = ("push", "trial", "--method", "machine=@notes", "--method", "truth=@original", "--seconds", "4")
    sent = run(study.app, *asked)
    assert (sent["dances"], sent["made"]) == (2, 4)
    assert run(study.app, *asked)["made"] == 0
    known = design.read(Workspace(site.workspace), "trial")
    assert known is not None
    title = "d2midi study: trial"
    tasks = site.tasks(title)
    assert [tasks[known.key(each)].data["title"] for each in known.stimuli] == [
        f"Sample {n} of 4" for n in (1, 2, 3, 4)
    ]
    assert not any(word in repr(tasks) for word in ("machine", "truth", "@original", known.secret))

    played = answer(site.ada, site, site.project(title), "4rh")
    assert played["heard"] > 0 and played["length_s"] == pytest.approx(4.0, abs=0.1)
    assert run(study.app, "pull", "trial")["ratings"] == 1

    scores = {"machine": ("2", "3"), "truth": ("5", "5")}
    for number, stimulus in enumerate(known.stimuli):
        task = tasks[known.key(stimulus)].id
        consistency, noise = scores[stimulus.method]
        submit(site.bob, site, task, form(consistency, noise))
        if number:  # the first she has rated in the browser
            submit(site.ada, site, task, form("9" if number == 1 else consistency, noise))
    told = run(study.app, "pull", "trial", content=False)
    assert (told["ratings"], told["raters"], told["unrated"]) == (7, 2, 0)
    assert len(told["problems"]) == 1 and "consistency is ['9']" in told["problems"][0]
    by_ada = {1: 4} | {
        each.place: int(scores[each.method][0]) for each in known.stimuli[2:]
    }  # her second was hostile
    for method, (by_bob, _) in scores.items():
        given = [
            by_ada[each.place] for each in known.stimuli if each.method == method and each.place in by_ada
        ]
        given += [int(by_bob)] * 2
        found = next(
            each for each in told["scores"] if each["method"] == method and each["question"] == "consistency"
        )
        assert found["mean"] == pytest.approx(sum(given) / len(given)) and found["n_ratings"] == len(given)
    kept = (site.workspace / "annotation" / "study" / "trial-ratings.csv").read_bytes()
    assert len(kept.decode().splitlines()) == 8 and b"example.org" not in kept
    run(study.app, "pull", "trial", content=False)
    assert (site.workspace / "annotation" / "study" / "trial-ratings.csv").read_bytes() == kept
