"""The client and `serve` with a real Label Studio: what it really does, not what the stub says it does."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from d2midi_build.annotate.studio.client import (
    VERSION,
    HumanWork,
    NewTask,
    NotFound,
    Project,
    Studio,
    draft_of,
)
from d2midi_build.annotate.studio.credentials import find
from d2midi_build.annotate.studio.drafts import NotLoggedIn
from d2midi_build.errors import PermanentError, UsageError
from tests.integration.label_studio import PASSWORD, Live, free_port, live

pytestmark = pytest.mark.browser

CONFIG = (
    '<View><HyperText name="link" value="x" clickableLinks="true" inline="true">'
    '<a href="$listen" target="_blank">Listen</a></HyperText>'
    '<RectangleLabels name="note" toName="roll"><Label value="Bass"/><Label value="Drums"/></RectangleLabels>'
    '<Number name="velocity" toName="roll" perRegion="true"/><Image name="roll" valueList="$rolls"/></View>'
)
X = 12.345678901234567


@pytest.fixture(scope="module")
def studio(label_studio: Live) -> Iterator[Studio]:
    with label_studio.studio() as it:
        yield it


@pytest.fixture(scope="module")
def bob(label_studio: Live) -> str:
    """The cookies of a second annotator."""
    return label_studio.sign_up("bob@client.example")


def items(count: int) -> list[dict[str, Any]]:
    """Notes as result items: a rectangle and a velocity each."""
    found = []
    for number in range(count):
        place = {"x": X + number % 50, "y": number % 90 + 0.1, "width": 1 / 3, "height": 1.5, "rotation": 0}
        base = {"id": f"n{number}", "to_name": "roll", "item_index": number % 6, "original_width": 1000}
        base |= {"original_height": 600, "image_rotation": 0}
        labels = {"rectanglelabels": ["Bass"]}
        found.append(base | {"from_name": "note", "type": "rectanglelabels", "value": place | labels})
        found.append(base | {"from_name": "velocity", "type": "number", "value": place | {"number": 80}})
    return found


def new(key: str, count: int = 3, version: str = "v1") -> NewTask:
    data = {
        "task_key": key,
        "rolls": ["/data/local-files/?d=media/roll.png"] * 6,
        "listen": "http://127.0.0.1:9/",
    }
    return NewTask(data, items(count), version)


@contextmanager
def project(studio: Studio, title: str) -> Iterator[Project]:
    made = studio.project(title, CONFIG)
    yield made
    studio.delete_project(made.id)


def save_draft(label_studio: Live, cookie: str, task_id: int, result: list[Any]) -> None:
    with httpx.Client(base_url=label_studio.url, headers={"Cookie": cookie}, trust_env=False) as browser:
        browser.post(
            f"/api/tasks/{task_id}/drafts", json={"result": result, "lead_time": 1.0}
        ).raise_for_status()


def test_both_kinds_of_token_open_it_and_others_do_not(label_studio: Live, studio: Studio) -> None:
    assert studio.whoami() == label_studio.served.admin.email
    token = label_studio.served.admin.token
    made = httpx.post(
        f"{label_studio.url}/api/token/", headers={"Authorization": f"Token {token}"}, trust_env=False
    )
    with Studio.connect(label_studio.url, made.json()["token"]) as again:
        assert again.whoami() == studio.whoami()
    for wrong in ("wrong", made.json()["token"][:-6] + "AAAAAA"):
        with pytest.raises(UsageError, match="does not accept this token"):
            Studio.connect(label_studio.url, wrong)


def test_credentials_of_a_server_on_this_machine_are_found(
    label_studio: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find(label_studio.workspace, data_dir=label_studio.served.private.folder, environment={})
    assert (found.url, found.token, found.source) == (
        label_studio.url,
        label_studio.served.admin.token,
        "serve",
    )


def test_tasks_come_back_as_they_were_sent(studio: Studio) -> None:
    with project(studio, "round trip") as made:
        assert studio.create(made.id, [new(f"k{number}", 40) for number in range(30)]) == 30
        assert studio.create(made.id, [new(f"k{number}", 40) for number in range(31)]) == 1
        tasks = list(studio.tasks(made.id))
        assert [task.key for task in tasks] == [f"k{number}" for number in range(31)]
        assert {(task.versions, task.touched, task.problem) for task in tasks} == {(("v1",), False, "")}
        assert dict(tasks[0].data) == dict(new("k0").data)
        assert [task.key for task in studio.tasks(made.id, with_annotations=False)] == [
            task.key for task in tasks
        ]
        with pytest.raises(NotFound):
            list(studio.tasks(made.id + 10**6))


def test_a_project_is_found_again_and_its_configuration_follows(studio: Studio) -> None:
    with project(studio, "configured") as made:
        assert studio.project("configured", CONFIG) == made == studio.find_project("configured")
        assert studio.find_project("configure") is None
        more = CONFIG.replace('<Label value="Bass"/>', '<Label value="Bass"/><Label value="Organ"/>')
        assert studio.project("configured", more) == made
        assert studio.project("configured", CONFIG) == made
        with pytest.raises(PermanentError, match=r"400: .*'value' is a required property"):
            studio.project("configured", CONFIG.replace(' value="x"', "", 1))


def test_predictions_are_renewed_until_somebody_has_worked(
    label_studio: Live, studio: Studio, bob: str
) -> None:
    with project(studio, "renewed") as made:
        studio.create(made.id, [new("a"), new("b")])
        first, second = studio.tasks(made.id)
        changed = dict(first.data) | {"listen": "http://127.0.0.1:9/new"}
        studio.renew(first, changed, items(5), "v2")
        first, second = studio.tasks(made.id)
        assert (first.versions, second.versions) == (("v2",), ("v1",))
        assert first.data == changed
        save_draft(label_studio, bob, first.id, items(1))
        with pytest.raises(HumanWork):
            studio.renew(first, changed, items(5), "v3")
        assert [(task.n_drafts, task.touched) for task in studio.tasks(made.id)] == [(1, True), (0, False)]


def test_drafts_of_all_are_seen_by_the_token_and_ones_own_by_the_cookie(
    label_studio: Live, studio: Studio, bob: str
) -> None:
    with project(studio, "drafted") as made:
        studio.create(made.id, [new("a", 2)])
        (task,) = studio.tasks(made.id)
        machine = draft_of(label_studio.url, bob, task.id)
        assert (machine.email, machine.result, machine.source) == (
            "bob@client.example",
            items(2),
            "prediction",
        )
        save_draft(label_studio, bob, task.id, items(1))
        assert [(each.email, each.result) for each in studio.drafts(task.id)] == [
            ("bob@client.example", items(1))
        ]
        mine = draft_of(label_studio.url, bob, task.id)
        assert (mine.result, mine.source) == (items(1), "draft")
        ada = label_studio.sign_up("ada@client.example")
        assert draft_of(label_studio.url, ada, task.id).source == "prediction"
        for cookie in ("", "sessionid=made-up"):
            with pytest.raises(NotLoggedIn):
                draft_of(label_studio.url, cookie, task.id)
        with pytest.raises(NotFound):
            draft_of(label_studio.url, bob, task.id + 10**6)


def test_submitted_work_is_read_and_shown(label_studio: Live, studio: Studio, bob: str) -> None:
    with project(studio, "submitted") as made:
        studio.create(made.id, [new("a")])
        (task,) = studio.tasks(made.id)
        with httpx.Client(base_url=label_studio.url, headers={"Cookie": bob}, trust_env=False) as browser:
            path = f"/api/tasks/{task.id}/annotations/"
            browser.post(path, json={"result": items(1), "lead_time": 2.5}).raise_for_status()
            browser.post(
                path, json={"result": [{"value": {"x": 200}}], "was_cancelled": True}
            ).raise_for_status()
        (task,) = studio.tasks(made.id)
        assert task.problem == ""
        assert [each["result"] for each in task.annotations] == [items(1), [{"value": {"x": 200}}]]
        assert [each["was_cancelled"] for each in task.annotations] == [False, True]
        assert {studio.people()[each["completed_by"]] for each in task.annotations} == {"bob@client.example"}
        assert (task.annotations[0]["lead_time"], task.n_annotations, task.n_drafts) == (2.5, 2, 0)
        assert draft_of(label_studio.url, bob, task.id).result == items(1)


def test_copies_are_removed_except_where_somebody_worked(
    label_studio: Live, studio: Studio, bob: str
) -> None:
    with project(studio, "copies") as made:
        studio.create(made.id, [new("a"), new("b")])
        for _ in range(2):  # what a push does whose lookup was too early
            body = [new("a").sent(), new("b").sent()]
            studio._http.call("POST", f"/api/projects/{made.id}/import", body=body)
        first, _, _, touched, *_ = studio.tasks(made.id)
        save_draft(label_studio, bob, touched.id, items(1))
        assert studio.create(made.id, [new("a"), new("b")]) == 0
        assert {(task.key, task.id) for task in studio.tasks(made.id)} == {("a", first.id), ("b", touched.id)}
        studio.delete([first.id, touched.id, first.id])
        assert list(studio.tasks(made.id)) == []


def test_media_are_served_in_ranges_to_those_who_are_logged_in_and_nothing_else_is(
    label_studio: Live, studio: Studio, bob: str
) -> None:
    media = label_studio.served.media
    (media / "sound.bin").write_bytes(bytes(range(200)))
    (media.parent / "secret.txt").write_text("not media")
    with project(studio, "media") as made:
        studio.project("media", CONFIG, storage=media)
        assert studio.project("media", CONFIG, storage=media) == made
        path = "/data/local-files/?d=media/sound.bin"
        with httpx.Client(base_url=label_studio.url, headers={"Cookie": bob}, trust_env=False) as browser:
            part = browser.get(path, headers={"Range": "bytes=10-19"})
            assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
            for other in ("secret.txt", "media/../secret.txt", "../ledger/lock", "/etc/passwd"):
                answer = browser.get("/data/local-files/", params={"d": other})
                assert answer.status_code >= 400
                assert "not media" not in answer.text
        assert httpx.get(label_studio.url + path, trust_env=False).status_code == 401
        with pytest.raises(UsageError, match="does not show the media of this workspace"):
            studio.project("media", CONFIG, storage=media.parent)


def test_it_is_private(label_studio: Live) -> None:
    with httpx.Client(base_url=label_studio.url, trust_env=False) as stranger:
        assert stranger.get("/api/version").json()["release"] == VERSION
        form = stranger.get("/user/signup/").cookies.get("csrftoken", "")
        data = {"csrfmiddlewaretoken": form, "email": "eve@example.org", "password": PASSWORD}
        refused = stranger.post("/user/signup/", data=data, headers={"Referer": label_studio.url})
        assert refused.status_code == 403
        foreign = stranger.get("/api/version", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in foreign.headers
        assert stranger.get("/api/version", headers={"Host": "evil.example"}).status_code == 400
        page = stranger.get("/user/login/").text
        assert "sentry.io" not in page


def test_a_server_that_is_killed_while_tasks_are_pushed_is_waited_for(
    label_studio_seed: Path, tmp_path: Path
) -> None:
    workspace, private, port = tmp_path / "workspace", tmp_path / "private", free_port()
    (workspace / "ledger").mkdir(parents=True)
    tasks = [new(f"k{number}", 100) for number in range(120)]
    n_made: list[int] = []
    waited = threading.Event()
    with live(workspace, private, label_studio_seed, port=port) as first:
        studio = Studio.connect(first.url, first.served.admin.token, on_wait=lambda _words: waited.set())
        made = studio.project("killed", CONFIG)
        pushing = threading.Thread(target=lambda: n_made.append(studio.create(made.id, tasks)))
        pushing.start()
        with first.studio() as watching:
            while not list(watching.tasks(made.id, with_annotations=False)):
                pass
        os.killpg(first.served.process.pid, signal.SIGKILL)
        assert waited.wait(60)
        with pytest.raises(PermanentError, match=r"ended by itself \(exit code -9\)"):
            first.served.check()
    with live(workspace, private, port=port) as second, closing(studio):
        pushing.join(120)
        assert n_made == [120]
        with second.studio() as reading:
            assert sorted(task.key for task in reading.tasks(made.id)) == sorted(task.key for task in tasks)


@pytest.fixture(scope="module")
def page(label_studio: Live, bob: str) -> Iterator[Any]:
    """A page of Debian's Chromium, logged in as the second annotator."""
    playwright = pytest.importorskip("playwright.sync_api")
    options = ["--no-sandbox", "--disable-gpu"]
    with (
        playwright.sync_playwright() as started,
        closing(started.chromium.launch(executable_path="/usr/bin/chromium", args=options)) as chromium,
    ):
        page = chromium.new_page()
        page.goto(f"{label_studio.url}/user/login/")
        page.fill("input[name=email]", "bob@client.example")
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "login" not in url)
        yield page


def test_who_goes_from_task_to_task_is_shown_the_notes_of_every_version(
    label_studio: Live, studio: Studio, page: Any
) -> None:
    with project(studio, "stream") as made:
        studio.create(made.id, [new("a", 4, "v1")])
        (task,) = studio.tasks(made.id)
        studio.renew(task, task.data, items(6), "v2")
        page.goto(f"{label_studio.url}/projects/{made.id}/data?labeling=1")
        regions = (
            "window.Htx && Htx.annotationStore.selected && Htx.annotationStore.selected.regionStore.regions"
        )
        assert page.wait_for_function(f"({regions} || []).length").json_value() == 6


def test_a_link_in_the_configuration_opens_the_listen_page_with_the_session(
    label_studio: Live, studio: Studio, page: Any
) -> None:
    cookies: list[str] = []

    class Listen(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            cookies.append(self.headers.get("Cookie", ""))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Listen) as listen, project(studio, "linked") as made:
        threading.Thread(target=listen.serve_forever, daemon=True).start()
        task = new("a")
        place = f"http://127.0.0.1:{listen.server_port}/task/a"
        studio.create(made.id, [NewTask(dict(task.data) | {"listen": place}, task.predictions, "v1")])
        (there,) = studio.tasks(made.id)
        page.goto(f"{label_studio.url}/projects/{made.id}/data?task={there.id}")
        with page.context.expect_page() as opened:
            page.get_by_role("link", name="Listen").click()
        opened.value.wait_for_load_state()
        assert opened.value.url == place
        found = draft_of(label_studio.url, cookies[0], there.id)
        assert found.email == "bob@client.example"
        listen.shutdown()
