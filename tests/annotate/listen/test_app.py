"""The Listen page's server lets in whom Label Studio lets in, and nobody else."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

from d2midi_build.annotate.listen import app as listen_app
from d2midi_build.annotate.listen.app import GAIN_HEADER, make
from d2midi_build.annotate.listen.source import Draft, Heard
from d2midi_build.annotate.sheets import sheets
from d2midi_build.errors import TransientError
from tests.annotate.listen.staged import COOKIE, LOGIN, Staged, write_sound
from tests.annotate.making import row

RATE = 22_050
SENT = {0: row(0.5, 60), 1: row(1.0, 45, instrument="Acoustic Bass"), 2: row(2.0, 36, 0.1, "Drum")}
MEDIA = ("video", "original/1.flac", "original/0.5.flac")
STATIC = Path(listen_app.__file__).parent / "static"


@pytest.fixture
def source(tmp_path: Path) -> Staged:
    """Two tasks of the same sheet."""
    (tmp_path / "video.mp4").write_bytes(bytes(range(256)) * 40)
    sound = np.random.default_rng(0).uniform(-0.3, 0.3, (4 * RATE, 2)).astype(np.float32)
    original = write_sound(tmp_path / "original.flac", sound, RATE)
    heard = Heard(sheets("clip", 80)[0], "A song", tmp_path / "video.mp4", original)
    other = Draft({0: row(0.5, 72)}, {0: row(0.5, 72)})
    return Staged({"a": heard, "b": heard}, {"a": Draft(SENT, SENT), "b": other})


def _client(source: Staged, cookie: str = COOKIE, **options: Any) -> TestClient:
    return TestClient(
        make(source, **options),
        base_url="http://127.0.0.1:8091",
        headers={"cookie": cookie} if cookie else {},
        raise_server_exceptions=False,
    )


def _sounds(client: TestClient, task: str = "a") -> dict[str, str]:
    """Addresses of the sounds of a draft, by instrument."""
    data = client.get(f"/task/{task}/draft?id=7").json()
    return {each["name"]: f"/task/{task}/notes/{each['sound']}/1.flac?id=7" for each in data["instruments"]}


def test_a_draft_and_all_it_names_is_sent_to_who_is_logged_in(source: Staged) -> None:
    client = _client(source)
    data = client.get("/task/a/draft?id=7")
    assert data.status_code == 200
    assert data.headers["cache-control"] == "no-store"
    assert len(data.json()["notes"]) == 3
    assert data.json()["original"] is True
    sounds = _sounds(client)
    assert list(sounds) == ["Acoustic Bass", "Violin", "Drum"]
    for address in sounds.values():
        answer = client.get(address)
        samples, rate_hz = soundfile.read(io.BytesIO(answer.content))
        assert len(samples) == 4 * rate_hz
        assert 0 < float(answer.headers[GAIN_HEADER]) < 1
        assert answer.headers["cache-control"] == "no-store"
    for path in MEDIA:
        assert client.get(f"/task/a/{path}?id=7").status_code == 200


def test_a_stranger_gets_the_empty_page_and_nothing_else(source: Staged) -> None:
    known = _client(source)
    sounds = [*_sounds(known).values()]
    stranger = TestClient(known.app, base_url="http://127.0.0.1:8091")
    assert b"A song" not in stranger.get("/task/a?id=7").content
    for address in (*sounds, "/task/a/draft?id=7", *(f"/task/a/{path}?id=7" for path in MEDIA)):
        answer = stranger.get(address)
        assert answer.status_code == 401
        assert answer.json()["login"] == LOGIN
        assert len(answer.content) < 200
    forged = stranger.get("/task/a/draft?id=7", headers={"cookie": "sessionid=eve"})
    assert forged.status_code == 401


def test_sounds_of_another_task_are_not_to_be_had_through_ones_own(source: Staged) -> None:
    client = _client(source)
    own, other = _sounds(client, "a"), _sounds(client, "b")
    stolen = other["Violin"].replace("/task/b/", "/task/a/")
    assert client.get(other["Violin"]).status_code == client.get(own["Violin"]).status_code == 200
    assert client.get(stolen).status_code == 404


def test_label_studio_is_asked_once_for_a_draft_and_its_media(source: Staged) -> None:
    client = _client(source)
    for address in (*_sounds(client).values(), "/task/a/video?id=7"):
        assert client.get(address).status_code == 200
    assert source.asked == ["a"]
    client.get("/task/a/draft?id=7")
    assert source.asked == ["a", "a"]


def test_who_logged_out_gets_no_more_media(source: Staged) -> None:
    client = _client(source, let_in_s=0.0)
    sounds = _sounds(client)
    assert client.get(sounds["Violin"]).status_code == 200
    source.cookie = "sessionid=other"
    for address in (*sounds.values(), "/task/a/video?id=7", "/task/a/original/1.flac?id=7"):
        assert client.get(address).status_code == 401


def test_a_refused_draft_ends_the_visit(source: Staged) -> None:
    client = _client(source)
    sounds = _sounds(client)
    source.cookie = "sessionid=other"
    assert client.get("/task/a/draft?id=7").status_code == 401
    assert client.get(sounds["Violin"]).status_code == 401


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/task/c/draft?id=7", "no task c"),
        ("/task/a/draft?id=8", "with the id 8"),
        ("/task/a/draft?id=x", "'x' is no task's id"),
        ("/task/a/draft?id=-1", "'-1' is no task's id"),
        ("/task/a/draft?id=" + "9" * 30, "is no task's id"),
        ("/task/a/notes/0000/1.flac?id=7", "of a draft that has gone"),
        ("/task/a/original/0.7.flac?id=7", "no speed '0.7'"),
        ("/task/a/original/nan.flac?id=7", "no speed 'nan'"),
    ],
)
def test_what_is_not_there_is_said(source: Staged, path: str, said: str) -> None:
    answer = _client(source).get(path)
    assert answer.status_code == 404
    assert answer.json()["kind"] == "unknown"
    assert said in answer.json()["message"]


def test_the_id_need_not_be_in_the_address(source: Staged) -> None:
    client = _client(source)
    assert client.get("/task/a/draft").json() == client.get("/task/a/draft?id=7").json()
    assert client.get("/task/a/draft?id=").status_code == 200


def test_paths_do_not_lead_out_of_the_pages_own_files(source: Staged) -> None:
    client = _client(source)
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"):
        assert client.get(path).status_code == 404


def test_a_video_is_sent_in_ranges(source: Staged) -> None:
    answer = _client(source).get("/task/a/video?id=7", headers={"range": "bytes=256-259"})
    assert answer.status_code == 206
    assert answer.content == bytes([0, 1, 2, 3])
    assert answer.headers["content-type"] == "video/mp4"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8091", "", "[::2]:8091"])
def test_foreign_names_are_refused(source: Staged, host: str) -> None:
    for path in ("/task/a?id=7", "/task/a/draft?id=7", "/static/listen.js"):
        answer = _client(source).get(path, headers={"host": host})
        assert answer.status_code == 400
        assert "localhost" in answer.text
    assert source.asked == []


@pytest.mark.parametrize("host", ["localhost:8091", "127.0.0.1", "LOCALHOST", "[::1]:8091"])
def test_the_loopbacks_names_are_known(source: Staged, host: str) -> None:
    assert _client(source).get("/task/a/draft?id=7", headers={"host": host}).status_code == 200


def test_a_server_may_have_a_name_of_its_own(source: Staged) -> None:
    client = _client(source, hosts=("studio.example",))
    assert client.get("/task/a/draft?id=7", headers={"host": "studio.example:8091"}).status_code == 200
    assert client.get("/task/a/draft?id=7").status_code == 400


def test_no_other_site_may_read_or_embed_anything(source: Staged) -> None:
    client = _client(source)
    for path in ("/task/a?id=7", "/task/a/draft?id=7", "/task/a/video?id=7", "/static/listen.js", "/nothing"):
        headers = client.get(path, headers={"origin": "http://localhost:8090"}).headers
        assert "access-control-allow-origin" not in headers
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]


def test_the_page_needs_nothing_from_elsewhere() -> None:
    for file in STATIC.iterdir():
        found = re.findall(r"(?:https?:)?//[\w.-]+\.\w+", file.read_text())
        assert [each for each in found if not each.endswith("//www.w3.org")] == [], file


def test_every_file_the_page_names_is_served(source: Staged) -> None:
    client = _client(source, cookie="")
    page = client.get("/task/a?id=7")
    assert page.headers["content-type"].startswith("text/html")
    named = re.findall(r"\.\./(static/[\w.]+)", page.text)
    named += [
        f"static/{name}" for name in re.findall(r'from "\./([\w.]+)"', (STATIC / "listen.js").read_text())
    ]
    assert len(named) == 7
    for path in named:
        answer = client.get(f"/{path}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].split(";")[0] in (
            "text/javascript",
            "text/css",
            "image/svg+xml",
        )


def test_a_broken_draft_tells_its_problems_and_sends_the_rest(source: Staged) -> None:
    source.drafts["a"] = Draft({n: SENT[n] for n in (0, 2)}, SENT, ("Note 1 has x = 200.",), unread=(1,))
    client = _client(source)
    data = client.get("/task/a/draft?id=7").json()
    assert data["problems"] == ["Note 1 has x = 200."]
    assert [client.get(address).status_code for address in _sounds(client).values()] == [200, 200]


def test_notes_play_without_the_recording(source: Staged) -> None:
    source.tasks["a"].original.unlink()
    client = _client(source)
    data = client.get("/task/a/draft?id=7").json()
    assert data["original"] is False
    assert "original.flac" in data["problems"][0]
    assert client.get(_sounds(client)["Violin"]).status_code == 200


def test_a_video_that_is_missing_is_told(source: Staged) -> None:
    source.tasks["a"].video.unlink()
    answer = _client(source).get("/task/a/video?id=7")
    assert answer.status_code == 404
    assert "video.mp4" in answer.json()["message"]


def test_a_studio_that_does_not_answer_is_told(source: Staged) -> None:
    source.fails = TransientError("Label Studio does not answer; is it running?")
    answer = _client(source).get("/task/a/draft?id=7")
    assert (answer.status_code, answer.json()["kind"]) == (503, "later")
    assert answer.json()["message"] == "Label Studio does not answer; is it running?"


def test_a_bug_is_logged_and_not_shown(source: Staged, caplog: pytest.LogCaptureFixture) -> None:
    source.fails = KeyError("a secret")
    answer = _client(source).get("/task/a/draft?id=7")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "listening to /task/a/draft failed" in caplog.text


def test_loudness_stays_when_notes_are_deleted(source: Staged) -> None:
    client = _client(source)
    before = client.get("/task/a/draft?id=7").json()["loudness"]
    source.drafts["a"] = Draft({0: SENT[0]}, SENT)
    assert client.get("/task/a/draft?id=7").json()["loudness"] == before
    assert before["notes"] > 0


def test_an_empty_task_can_be_listened_to(source: Staged) -> None:
    source.drafts["a"] = Draft({}, {})
    data = _client(source).get("/task/a/draft?id=7").json()
    assert (data["notes"], data["instruments"], data["loudness"]["notes"]) == ([], [], 1.0)


def test_the_context_is_one_sound(source: Staged) -> None:
    source.tasks["a"] = replace(source.tasks["a"], context=(row(0.0, 70), row(3.0, 36, 0.1, "Drum")))
    client = _client(source)
    answer = client.get(_sounds(client)["context"])
    samples, rate_hz = soundfile.read(io.BytesIO(answer.content))
    assert np.abs(samples[: rate_hz // 2]).max() > 0 < np.abs(samples[3 * rate_hz :]).max()


def test_only_reading_is_allowed(source: Staged) -> None:
    client = _client(source)
    for path in ("/task/a?id=7", "/task/a/draft?id=7", "/task/a/video?id=7"):
        assert client.post(path).status_code == client.delete(path).status_code == 405
