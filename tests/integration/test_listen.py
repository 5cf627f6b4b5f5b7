"""The Listen page in a real browser: it shows, plays and follows the draft."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from d2midi_build.annotate.layering import Row, rows
from d2midi_build.annotate.listen.app import make
from d2midi_build.annotate.listen.serving import serving
from d2midi_build.annotate.listen.source import Draft, Heard
from d2midi_build.annotate.sheets import sheets
from d2midi_build.synthetic.band import compose, render
from tests.annotate.listen.staged import LOGIN, Staged, write_sound, write_video
from tests.annotate.making import row
from tests.integration.correcting import PATIENCE_MS

playwright = pytest.importorskip("playwright.sync_api")
playwright.expect.set_options(timeout=PATIENCE_MS)

pytestmark = pytest.mark.browser

RATE = 22_050
ADDED = row(33.0, 93, 0.8, "Piccolo", 110)
FUNDAMENTAL_HZ = 1760.0
READY = "d2midi.state().ready && document.getElementById('cover').hidden"
Page = Any


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    """The last ten seconds of a clip of forty, with two seconds before them."""
    folder = tmp_path_factory.mktemp("listen")
    song = compose(np.random.default_rng(3), 120.0, 40.0, start_s=0.0)
    sheet = sheets("clip", 800)[1]
    return Heard(
        sheet,
        "A dance <b>by Ann</b>",
        write_video(folder / "video.mp4", 40.0),
        write_sound(folder / "original.flac", render(song, RATE), RATE),
        context=tuple(rows(sheet.context_in(song.notes))),
        beats_s=tuple(song.beats_s.tolist()),
        positions=tuple(place % 4 + 1 for place in range(len(song.beats_s))),
        note="hip-hop · 120 bpm",
    )


@pytest.fixture
def source(heard: Heard) -> Staged:
    """One task, nothing changed yet."""
    song = compose(np.random.default_rng(3), 120.0, 40.0, start_s=0.0)
    sent = dict(enumerate(rows(heard.sheet.notes_in(song.notes))))
    return Staged({"task": heard}, {"task": Draft(sent, sent)}, cookie="sessionid=ada")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium."""
    with (
        playwright.sync_playwright() as running,
        closing(
            running.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        ) as chromium,
    ):
        yield chromium


@pytest.fixture
def url(source: Staged) -> Iterator[str]:
    """Where the page is served."""
    with serving(make(source)) as base:
        yield f"{base}/task/task?id=7"


@pytest.fixture
def said() -> list[str]:
    """What the browser complained about."""
    return []


@pytest.fixture
def page(browser: Any, url: str, said: list[str]) -> Iterator[Page]:
    """The page, loaded by somebody who is logged in."""
    with closing(_context(browser)) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(url)
        page.wait_for_function(READY)
        yield page


def _context(browser: Any, logged_in: bool = True, bypass_csp: bool = True) -> Any:
    """A window; waiting for conditions in the page needs its policy to be off."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, bypass_csp=bypass_csp)
    if logged_in:
        _log_in(context)
    return context


def _log_in(context: Any) -> None:
    context.add_cookies([{"name": "sessionid", "value": "ada", "domain": "127.0.0.1", "path": "/"}])


def _state(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("d2midi.state()")
    return found


def _wait(page: Page, condition: str) -> None:
    page.wait_for_function(f"(() => {{ const state = d2midi.state(); return {condition}; }})()")


def _number(page: Page, state: str) -> int:
    """The first note in a state that is seen, by its place among the page's notes."""
    return next(
        number
        for number, note in enumerate(_state(page)["notes"])
        if note["state"] == state and page.evaluate(f"d2midi.place({number})")
    )


def _point(page: Page, number: int) -> tuple[float, float]:
    """Where a note is on the screen."""
    at, box = page.evaluate(f"d2midi.place({number})"), page.locator("#over").bounding_box()
    return box["x"] + at["x"], box["y"] + at["y"]


def _edit(source: Staged, **changed: Any) -> None:
    source.drafts["task"] = replace(source.drafts["task"], **changed)


def _added(source: Staged, note: Row = ADDED) -> dict[int, Row]:
    return {**source.drafts["task"].rows, -1: note}


def test_it_loads_by_itself_and_complains_about_nothing(browser: Any, url: str, source: Staged) -> None:
    complaints: list[str] = []
    asked: list[str] = []
    with closing(_context(browser, bypass_csp=False)) as context:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"{request.url} {request.failure}"))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        playwright.expect(page.locator("#cover")).to_be_hidden()
        assert page.title() == "Listen · A dance <b>by Ann</b>"
        assert page.locator("#title").inner_text() == "A dance <b>by Ann</b>"
        assert page.locator("#counts").inner_text() == f"{len(source.drafts['task'].sent)} notes, 0 changes"
        assert page.locator("#saved").inner_text() == "Nothing changed yet"
    origin = url.partition("/task/")[0]
    assert [each for each in asked if not each.startswith(origin)] == []
    assert complaints == []


def test_all_of_it_fits_a_laptops_screen(page: Page, source: Staged, heard: Heard) -> None:
    source.tasks["task"] = replace(heard, title="A very long title " * 20)
    page.keyboard.press("r")
    playwright.expect(page.locator("#title")).to_contain_text("very long")
    width, height = page.evaluate("[document.body.scrollWidth, document.body.scrollHeight]")
    assert (width, height) == (1440, 900)
    for place in ("#video", "#roll", "#map", "#play", "#half", "#loop", "#reload", "#keys", "#balance"):
        playwright.expect(page.locator(place)).to_be_in_viewport(ratio=1)


def test_it_stands_at_the_sheets_beginning(page: Page) -> None:
    state = _state(page)
    assert (state["position"], state["playing"]) == (30.0, False)
    assert page.locator("#time").inner_text() == "0:30.000"
    assert page.locator("#bar").inner_text() == "bar 16 · beat 1"


def test_playing_moves_the_playhead_and_the_video(page: Page) -> None:
    page.keyboard.press("Space")
    _wait(page, "state.position > 31")
    _wait(page, "Math.abs(state.video.time - state.position) < 0.06 && state.position > 31.5")
    page.keyboard.press("Space")
    stopped = _state(page)["position"]
    assert not _state(page)["playing"]
    _wait(page, f"Math.abs(state.video.time - {stopped}) < 0.001")
    assert _state(page)["position"] == stopped


def test_it_plays_to_the_end_and_begins_again(page: Page) -> None:
    page.evaluate(
        "(scrub => { scrub.value = 11.5; scrub.dispatchEvent(new Event('input')); })(document.getElementById('scrub'))"
    )
    assert _state(page)["position"] == 39.5
    page.keyboard.press("Space")
    _wait(page, "!state.playing")
    assert _state(page)["position"] == 40.0
    page.keyboard.press("Space")
    _wait(page, "state.playing && state.position > 28 && state.position < 39")


def test_solo_and_mute_are_heard(page: Page) -> None:
    names = list(page.evaluate("d2midi.levels()"))
    assert names[0] == "original"
    page.locator(".instrument").nth(1).locator(".solo").click()
    levels = page.evaluate("d2midi.levels()")
    assert [name for name in names if levels[name] > 0] == ["original", names[2]]
    page.keyboard.press("0")
    page.keyboard.press("m")
    levels = page.evaluate("d2midi.levels()")
    assert [name for name in names if levels[name] == 0] == [names[2]]
    page.keyboard.press("Space")  # and while it plays
    page.keyboard.press("m")
    page.wait_for_function("Object.values(d2midi.levels()).every((level) => level > 0.1)")


def test_original_notes_or_both(page: Page) -> None:
    def heard() -> tuple[bool, bool]:
        levels = page.evaluate("d2midi.levels()")
        return levels.pop("original") > 1e-6, all(level > 1e-6 for level in levels.values())

    page.keyboard.press("1")
    assert heard() == (True, False)
    page.keyboard.press("3")
    assert heard() == (False, True)
    page.keyboard.press("2")
    assert heard() == (True, True)
    page.get_by_role("button", name="Original").click()
    assert heard() == (True, False)


def test_half_speed_is_half_as_fast_on_the_clock_of_the_sound(page: Page) -> None:
    page.keyboard.press("Space")
    page.keyboard.press("h")
    _wait(page, "state.speed === 0.5 && state.ready")
    _wait(page, f"state.position > {_state(page)['position'] + 0.2}")
    first = _state(page)
    _wait(page, f"state.position > {first['position'] + 1.0}")
    last = _state(page)
    rate = (last["position"] - first["position"]) / (last["clock"] - first["clock"])
    assert rate == pytest.approx(0.5, abs=0.15)
    _wait(
        page, "Math.abs(state.video.time - state.position) < 0.06 && Math.abs(state.video.rate - 0.5) < 0.13"
    )
    page.keyboard.press("h")
    _wait(page, "state.speed === 1")


def test_a_loop_drawn_in_the_roll_wraps(page: Page) -> None:
    box = page.locator("#over").bounding_box()
    page.mouse.move(box["x"] + 400, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 430, box["y"] + 100)
    page.mouse.move(box["x"] + 470, box["y"] + 120)
    page.mouse.up()
    first, last = (end + 28 for end in _state(page)["loop"])
    assert 0.3 < last - first < 1.5
    page.keyboard.press("Space")
    page.wait_for_function(
        "(() => { const now = d2midi.state().position; const back = now < (window.was ?? 0) - 0.05;"
        " window.was = now; window.most = Math.max(window.most ?? 0, now); return back; })()",
        polling=20,
    )
    assert page.evaluate("window.most") < last
    assert first <= _state(page)["position"] < last
    page.keyboard.press("l")
    assert _state(page)["loop"] is None


def test_a_click_goes_there(page: Page) -> None:
    box = page.locator("#over").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 200)
    first = _state(page)
    assert 33 < first["position"] < 36
    page.mouse.click(box["x"] + 300, page.locator("#map").bounding_box()["y"] + 20)
    assert _state(page)["position"] < first["position"]


@pytest.mark.parametrize(
    ("keys", "changed", "value"),
    [
        ("ArrowRight", "position", 31.0),
        ("ArrowLeft", "position", 29.0),
        (".", "position", 30.05),
        (",", "position", 29.95),
        ("ArrowRight Home", "position", 30.0),
        ("l", "loop", [1.75, 11.75]),
        ("ArrowRight [ ArrowRight ]", "loop", [3.0, 4.0]),
        ("l l", "loop", None),
        ("a", "balance", 1),
        ("<", "balance", 0.4),
        ("> >", "balance", 0.7),
        ("ArrowDown", "chosen", 1),
        ("ArrowDown ArrowUp ArrowUp", "chosen", 0),
        ("f", "follow", False),
        ("PageDown", "view", [2.0, 10]),
        ("+", "view", [1.8, 8]),
    ],
)
def test_keys(page: Page, keys: str, changed: str, value: object) -> None:
    for key in keys.split():
        page.keyboard.press(key)
    assert _state(page)[changed] == pytest.approx(value)


def test_space_plays_whatever_was_clicked_last(page: Page) -> None:
    page.get_by_role("button", name="Follow").click()
    page.keyboard.press("Space")
    assert (_state(page)["playing"], _state(page)["follow"]) == (True, False)


def test_every_key_is_listed(page: Page) -> None:
    page.keyboard.press("?")
    listed = page.locator("#help kbd").all_inner_texts()
    for key in ("Space", "←", "R", "H", "L", "S", "M", "?", "Shift N"):
        assert key in listed
    page.keyboard.press("Escape")
    playwright.expect(page.locator("#help")).to_be_hidden()


def test_a_reload_shows_and_sounds_the_added_note_and_plays_on(
    page: Page, source: Staged, said: list[str]
) -> None:
    tone = f"d2midi.tone('Piccolo', {FUNDAMENTAL_HZ}, 33.1, 33.7)"
    assert page.evaluate(tone) is None
    page.keyboard.press("Space")
    _wait(page, "state.position > 30.2")
    _edit(source, rows=_added(source), saved_at="2026-11-26T15:00:00Z")
    page.keyboard.press("r")
    page.wait_for_function(f"{tone} > 0.01")
    assert page.evaluate(f"d2midi.tone('Piccolo', {FUNDAMENTAL_HZ}, 32.1, 32.7)") == 0
    state = _state(page)
    assert (state["playing"], state["position"] > 30.2) == (True, True)
    assert page.locator("#legend [data-state=added]").inner_text() == "1 added"
    assert page.locator("#saved").inner_text().startswith("Draft saved ")
    _wait(page, "state.position > 31.5")
    assert said == []


def test_coming_back_to_the_window_reads_the_draft(page: Page, source: Staged) -> None:
    page.keyboard.press("ArrowRight")
    _edit(source, rows=_added(source))
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    playwright.expect(page.locator("#legend [data-state=added]")).to_have_text("1 added")
    assert _state(page)["position"] == 31.0


def test_a_draft_that_is_saved_only_after_coming_back_is_read_all_the_same(
    page: Page, source: Staged
) -> None:
    with page.expect_response("**/draft?id=7"):
        page.evaluate("window.dispatchEvent(new Event('focus'))")
    _edit(source, rows=_added(source))
    playwright.expect(page.locator("#legend [data-state=added]")).to_have_text("1 added")


def test_pointing_at_a_note_tells_what_it_was(page: Page, source: Staged) -> None:
    sent = source.drafts["task"].sent
    number = next(n for n, each in sent.items() if each.instrument == "Acoustic Bass" and each.onset_s > 31)
    left = {**sent, number: sent[number]._replace(pitch=sent[number].pitch + 2, velocity=33)}
    _edit(source, rows=left)
    page.keyboard.press("r")
    playwright.expect(page.locator("#legend [data-state=changed]")).to_have_text("1 changed")
    page.mouse.move(*_point(page, _number(page, "changed")))
    told = page.locator("#tip").inner_text()
    assert "Acoustic Bass" in told
    assert f"pitch {sent[number].pitch + 2}" in told
    assert f"velocity {sent[number].velocity}" in told.splitlines()[-1]


def test_next_change_goes_to_what_was_changed(page: Page, source: Staged) -> None:
    rows_left = {n: each for n, each in _added(source).items() if n != 30}
    _edit(source, rows=rows_left)
    page.keyboard.press("r")
    playwright.expect(page.locator("#legend [data-state=deleted]")).to_have_text("1 deleted")
    starts = sorted([ADDED.onset_s, source.drafts["task"].sent[30].onset_s])
    for start in starts:
        page.keyboard.press("n")
        assert _state(page)["position"] == pytest.approx(start)
    page.keyboard.press("Shift+N")
    assert _state(page)["position"] == pytest.approx(starts[0])


def test_what_cannot_be_read_is_listed_as_text_and_the_rest_plays(page: Page, source: Staged) -> None:
    sent = source.drafts["task"].sent
    problem = "Note 3: <img src=x onerror=alert(1)> is no label."
    _edit(source, rows={n: each for n, each in sent.items() if n != 3}, problems=(problem,), unread=(3,))
    page.keyboard.press("r")
    playwright.expect(page.locator("#problems li")).to_have_text(problem)
    assert page.locator("#problems img").count() == 0
    playwright.expect(page.locator("#legend [data-state=unread]")).to_have_text("1 not readable")
    page.keyboard.press("Space")
    _wait(page, "state.position > 30.3")


def test_who_is_not_logged_in_is_sent_to_log_in_and_may_come_back(browser: Any, url: str) -> None:
    with closing(_context(browser, logged_in=False)) as context:
        page = context.new_page()
        page.goto(url)
        link = page.get_by_role("link", name="Log in to Label Studio")
        assert link.get_attribute("href") == LOGIN
        assert "apart" not in page.locator("#cover-text").inner_text()
        assert _state(page)["notes"] == []
        assert page.locator("#video").get_attribute("src") is None
        _log_in(context)
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        page.wait_for_function(READY)


def test_a_page_at_another_name_says_that_logins_are_kept_apart(browser: Any, url: str) -> None:
    with closing(_context(browser)) as context:
        page = context.new_page()
        page.goto(url.replace("127.0.0.1", "localhost"))
        text = page.locator("#cover-text")
        playwright.expect(text).to_contain_text("logins of 127.0.0.1 and localhost apart")


def test_who_logs_out_meanwhile_hears_no_more(page: Page) -> None:
    page.keyboard.press("Space")
    page.context.clear_cookies()
    page.keyboard.press("r")
    playwright.expect(page.locator("#cover-title")).to_have_text("Not logged in")
    assert not _state(page)["playing"]


def test_an_unknown_task_is_told(browser: Any, url: str) -> None:
    with closing(_context(browser)) as context:
        page = context.new_page()
        page.goto(url.replace("id=7", "id=8"))
        playwright.expect(page.locator("#cover-title")).to_have_text("Not here")
        assert "id 8" in page.locator("#cover-text").inner_text()
