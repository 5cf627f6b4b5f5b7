"""Requests to Label Studio: what is tried again and what is not, and what errors say and keep to themselves."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

import pytest

from d2midi_build.annotate.studio.transport import NotFound, Patience, Transport, checked_url, is_loopback
from d2midi_build.errors import PermanentError, TransientError, UsageError
from tests.annotate.studio.stub import PERSONAL, TOKEN, Fault, Running, running


@dataclass
class Clock:
    """Time that passes only by waiting."""

    now_s: float = 0.0
    pauses: list[float] = field(default_factory=list)
    then: Callable[[], None] | None = None
    told: list[str] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now_s += seconds
        if self.then:
            self.then()

    def patience(self, total_s: float = 120.0) -> Patience:
        return Patience(total_s, self.told.append, self.sleep, lambda: self.now_s)


@pytest.fixture
def server() -> Iterator[Running]:
    with running() as it:
        yield it


@pytest.fixture
def clock() -> Clock:
    return Clock()


Transports = Callable[..., Transport]


@pytest.fixture
def transport(clock: Clock) -> Iterator[Transports]:
    """Makes transports that are closed in the end."""
    with ExitStack() as stack:

        def make(server: Running | str, token: str = TOKEN, total_s: float = 120.0) -> Transport:
            url = server if isinstance(server, str) else server.stub.url
            return stack.enter_context(closing(Transport(url, token, patience=clock.patience(total_s))))

        yield make


@pytest.mark.parametrize("how", [429, 502, 503, 504, "before", "after"])
def test_what_may_pass_is_tried_again(
    transport: Transports, server: Running, clock: Clock, how: int | str
) -> None:
    server.stub.faults.append(Fault("GET /api/users", how, times=3))
    assert transport(server).call("GET", "/api/users") == server.stub.users
    assert clock.pauses == [0.25, 0.5, 1.0]
    assert len(clock.told) == 3
    assert server.stub.url in clock.told[0]


@pytest.mark.parametrize("how", [400, 403, 404, 409, 500])
def test_what_the_server_refuses_is_not_tried_again(
    transport: Transports, server: Running, clock: Clock, how: int
) -> None:
    server.stub.faults.append(Fault("GET /api/users", how, times=9))
    with pytest.raises((PermanentError, UsageError), match=rf"GET .*/api/users: {how}: try later"):
        transport(server).call("GET", "/api/users")
    assert server.stub.count_seen("GET /api/users") == 1
    assert clock.pauses == []


def test_a_locked_database_is_tried_again(transport: Transports, server: Running) -> None:
    server.stub.faults.append(Fault("GET /api/users", 500, words="OperationalError: database is locked"))
    assert transport(server).call("GET", "/api/users") == server.stub.users


def test_a_server_that_starts_again_is_waited_for(
    transport: Transports, server: Running, clock: Clock
) -> None:
    http = transport(server)
    assert http.call("GET", "/api/users") == server.stub.users
    server.stop()
    clock.then = lambda: server.start() if len(clock.pauses) == 4 else None
    assert http.call("GET", "/api/users") == server.stub.users
    assert clock.pauses == [0.25, 0.5, 1.0, 2.0]


def test_patience_ends_without_waiting_past_it(transport: Transports, server: Running, clock: Clock) -> None:
    server.stop()
    with pytest.raises(
        TransientError, match=r"given up after 10 s\. Is Label Studio running .*run the command again"
    ):
        transport(server, total_s=10.0).call("GET", "/api/users")
    assert clock.pauses == [0.25, 0.5, 1.0, 2.0, 4.0]


def test_pauses_grow_to_five_seconds(transport: Transports, server: Running, clock: Clock) -> None:
    server.stop()
    with pytest.raises(TransientError):
        transport(server, total_s=30.0).call("GET", "/api/users")
    assert max(clock.pauses) == 5.0
    assert sum(clock.pauses) <= 30.0


def test_a_server_is_left_alone_as_long_as_it_asks(
    transport: Transports, server: Running, clock: Clock
) -> None:
    server.stub.faults.append(Fault("GET /api/users", 429, headers={"Retry-After": "7"}))
    transport(server).call("GET", "/api/users")
    assert clock.pauses == [7.0]


def test_one_that_asks_for_more_than_patience_is_given_up(
    transport: Transports, server: Running, clock: Clock
) -> None:
    server.stub.faults.append(Fault("GET /api/users", 503, headers={"Retry-After": "3600"}))
    with pytest.raises(TransientError):
        transport(server).call("GET", "/api/users")
    assert clock.pauses == []


def test_a_date_to_wait_until_is_taken_as_none(transport: Transports, server: Running, clock: Clock) -> None:
    server.stub.faults.append(
        Fault("GET /api/users", 503, headers={"Retry-After": "Fri, 27 Nov 2026 10:00:00 GMT"})
    )
    transport(server).call("GET", "/api/users")
    assert clock.pauses == [0.25]


def test_a_legacy_token_is_sent_as_it_is(transport: Transports, server: Running) -> None:
    transport(server).call("GET", "/api/users")
    assert server.stub.headers[-1]["Authorization"] == f"Token {TOKEN}"


def test_a_personal_token_buys_access_once(transport: Transports, server: Running) -> None:
    http = transport(server, PERSONAL)
    http.call("GET", "/api/users")
    http.call("GET", "/api/users")
    assert server.stub.seen == ["POST /api/token/refresh/", "GET /api/users", "GET /api/users"]
    assert [each.get("Authorization") for each in server.stub.headers] == [None, *["Bearer access.0.x"] * 2]


def test_access_that_has_ended_is_bought_again(transport: Transports, server: Running) -> None:
    http = transport(server, PERSONAL)
    http.call("GET", "/api/users")
    server.stub.access.append("another.one.x")  # the first is not good any more
    assert http.call("GET", "/api/users") == server.stub.users
    assert server.stub.count_seen("POST /api/token/refresh/") == 2


@pytest.mark.parametrize("token", ["wrong", "no.such.token"])
def test_a_wrong_token_is_said_to_be_wrong(
    transport: Transports, server: Running, clock: Clock, token: str
) -> None:
    with pytest.raises(UsageError, match="does not accept this token here: copy a token") as caught:
        transport(server, token).call("GET", "/api/users")
    assert token not in str(caught.value)
    assert clock.pauses == []


def test_tokens_do_not_get_into_errors_even_if_the_server_says_them(
    transport: Transports, server: Running
) -> None:
    words = f"you said {TOKEN} " + "x" * 280 + TOKEN
    server.stub.faults.append(Fault("GET /api/users", 400, words=words))
    with pytest.raises(PermanentError) as caught:
        transport(server).call("GET", "/api/users")
    said = str(caught.value) + caught.value.tool_message
    assert "you said ***" in said
    assert not any(TOKEN[start : start + 8] in said for start in range(len(TOKEN) - 8))


def test_words_of_a_server_are_cut_and_printable(transport: Transports, server: Running) -> None:
    server.stub.faults.append(Fault("GET /api/users", 400, words="a\x1b[31m\n" + "b" * 900))
    with pytest.raises(PermanentError) as caught:
        transport(server).call("GET", "/api/users")
    assert len(caught.value.tool_message) == 300
    assert caught.value.tool_message.startswith("a?[31m b")


def test_a_page_for_people_is_told_by_its_title(transport: Transports, server: Running) -> None:
    page = "<html><head><title>Uh oh</title></head><body>" + "<svg/>" * 999
    server.stub.faults.append(Fault("GET /api/users", page))
    with pytest.raises(PermanentError, match=r"no JSON: Uh oh\. Is http.* Label Studio\?"):
        transport(server).call("GET", "/api/users")


@pytest.mark.parametrize("text", ["", "[1,", "[" * 100_000])
def test_an_answer_that_is_no_json_is_no_crash(transport: Transports, server: Running, text: str) -> None:
    server.stub.faults.append(Fault("GET /api/users", text))
    if not text:
        assert transport(server).call("GET", "/api/users") is None
    else:
        with pytest.raises(PermanentError, match="no JSON"):
            transport(server).call("GET", "/api/users")


def test_a_redirect_is_not_followed_with_the_token(transport: Transports, server: Running) -> None:
    server.stub.faults.append(
        Fault("GET /api/users", 302, headers={"Location": "https://elsewhere.example/x"})
    )
    with pytest.raises(UsageError, match=r"302, go to https://elsewhere\.example/x: give that server's URL"):
        transport(server).call("GET", "/api/users")
    assert server.stub.seen == ["GET /api/users"]


def test_what_is_not_there_is_its_own_error(transport: Transports, server: Running) -> None:
    with pytest.raises(NotFound, match="404: No Task matches the given query"):
        transport(server).call("GET", "/api/tasks/77/")


def test_https_asked_of_a_plain_server_says_so_at_once(
    transport: Transports, server: Running, clock: Clock
) -> None:
    with pytest.raises(UsageError, match="is it http, not https"):
        transport(server.stub.url.replace("http:", "https:")).call("GET", "/api/users")
    assert clock.pauses == []


def test_a_host_that_does_not_exist_says_so_at_once(
    transport: Transports, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_args: object, **_named: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UsageError, match="there is no such host"):
        transport("http://nowhere.invalid").call("GET", "/api/users")
    assert clock.pauses == []


def test_proxies_are_not_asked_about_this_machine(
    transport: Transports, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert transport(server).call("GET", "/api/users") == server.stub.users


def test_proxies_of_the_environment_are_asked_about_other_machines(
    transport: Transports, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, server.stub.url)
    http = transport("http://studio.example.org")
    assert http.call("GET", "/api/users") == server.stub.users  # the stub took the proxy's place


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "ü"])
def test_what_is_no_token_is_not_sent(token: str) -> None:
    with pytest.raises(UsageError, match="no token of Label Studio"):
        Transport("http://127.0.0.1:1", token)


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8080", "ftp://host", "http://", "http://host:port", "http://host/?a=b", "http://[::1"],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"http://127\.0\.0\.1:8080"):
        checked_url(url)


def test_a_password_in_a_url_is_refused_without_repeating_it() -> None:
    with pytest.raises(UsageError) as caught:
        checked_url("https://ada:s3cret@host")
    assert "s3cret" not in str(caught.value)


def test_a_url_may_have_a_folder_but_no_slash_at_its_end() -> None:
    assert checked_url(" https://host:8443/studio/ ") == "https://host:8443/studio"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("a.b", False),
    ],
)
def test_loopback_is_told_from_other_hosts(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_numbers_that_json_lacks_are_not_sent(transport: Transports, server: Running) -> None:
    with pytest.raises(ValueError, match="JSON"):
        transport(server).call("POST", "/api/predictions/", body={"score": float("nan")})
    assert server.stub.seen == []
