"""An application is served for as long as its context lasts."""

from __future__ import annotations

import socket

import httpx
import pytest

from d2midi_build.annotate.listen.app import make
from d2midi_build.annotate.listen.serving import serving
from d2midi_build.errors import UsageError
from tests.annotate.listen.staged import Staged


def test_it_answers_at_once_and_no_longer_afterwards() -> None:
    with serving(make(Staged({}, {}))) as url:
        assert url.startswith("http://127.0.0.1:")
        assert httpx.get(f"{url}/task/a", trust_env=False).status_code == 200
        assert httpx.get(f"{url}/task/a/draft?id=7", trust_env=False).status_code == 401
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/task/a", trust_env=False)


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(UsageError, match=f"127.0.0.1:{port}.*choose another port"),
            serving(make(Staged({}, {})), port=port),
        ):
            pass


def test_a_browser_that_keeps_its_connection_open_does_not_hold_it_up() -> None:
    with (
        serving(make(Staged({}, {}))) as url,
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as idle,
    ):
        idle.sendall(b"GET /task/a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert idle.recv(12) == b"HTTP/1.1 200"


def test_what_goes_wrong_inside_comes_out() -> None:
    with pytest.raises(KeyError), serving(make(Staged({}, {}))):
        raise KeyError("inside")
