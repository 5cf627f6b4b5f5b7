"""Requests to Label Studio that outlive a restart of the server, and say what was wrong without telling the token.

What may pass by itself is tried again for as long as patience lasts: connections refused, reset or torn, timeouts, and
the answers 429, 502, 503 and 504 (RFC 9110 and 6585: too many requests, a gateway that waits for its server). So is a
500 that says that the database is locked, which is how SQLite turns away one of two writers. All other answers of 4xx
and 5xx are final.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from d2midi_build.errors import PermanentError, TransientError, UsageError

if TYPE_CHECKING:
    import httpx

_BUSY: Final = frozenset({429, 502, 503, 504})
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 5.0
_CONNECT_S: Final = 10.0
_READ_S: Final = 120.0
"""An import of 8 MB takes about a second."""

_WORDS_CHARS: Final = 300
_LOGIN_WORDS: Final = "https://labelstud.io/guide/access_tokens"


class NotFound(PermanentError):
    """Label Studio has no such thing (404)."""


class Busy(TransientError):
    """One attempt failed in a way that may pass.

    Attributes
    ----------
    after_s : float or None
        How long the server asks to be left alone.
    """

    after_s: float | None = None


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server that does not answer.

    Attributes
    ----------
    total_s : float
        Seconds from the first failure of a piece of work until it is given up.
    on_wait : callable or None
        Called with words before each pause.
    sleep, now : callable
        What waits, and what tells seconds.
    """

    total_s: float = 120.0
    on_wait: Callable[[str], None] | None = None
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic


@dataclass
class Waiting:
    """The pauses of one piece of work: doubling, until patience is at its end."""

    patience: Patience
    _since_s: float | None = None
    _pause_s: float = _FIRST_PAUSE_S

    def pause(self, trouble: Busy) -> None:
        """Wait a little.

        Raises
        ------
        TransientError
            If patience is at its end.
        """
        now = self.patience.now()
        self._since_s = now if self._since_s is None else self._since_s
        left_s = self.patience.total_s - (now - self._since_s)
        pause_s = max(self._pause_s, trouble.after_s or 0.0)
        if pause_s > left_s:
            raise TransientError(
                f"{trouble.message}; given up after {self.patience.total_s:.0f} s. Is Label Studio running "
                "(`d2midi annotate serve`)? What was done stays done: run the command again",
                trouble.tool_message,
            )
        if self.patience.on_wait is not None:
            self.patience.on_wait(f"{trouble.message}; trying again for {left_s:.0f} s")
        self.patience.sleep(pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)


@dataclass
class _Login:
    """How a request says who asks: a legacy token, a personal access token or a browser's cookies.

    A personal access token is a JWT of type "refresh" that buys access tokens, which last 300 s (tried with 1.23.2).
    """

    token: str = field(default="", repr=False)
    cookie: str = field(default="", repr=False)
    access: str = field(default="", repr=False)

    @property
    def personal(self) -> bool:
        return self.token.count(".") == 2

    def headers(self) -> dict[str, str]:
        if self.cookie:
            return {"Cookie": self.cookie}
        if self.personal:
            return {"Authorization": f"Bearer {self.access}"} if self.access else {}
        return {"Authorization": f"Token {self.token}"} if self.token else {}


class Transport:
    """Requests to one Label Studio.

    Parameters
    ----------
    url : str
        Where it is, e.g. ``https://label.example.org/studio``.
    token : str
        A legacy or personal access token; empty with ``cookie``.
    cookie : str
        The header ``Cookie`` of a browser that is logged in.
    patience : Patience

    Raises
    ------
    UsageError
        If that is no URL of a web server, or it holds a password; or the token has characters that none has.
    """

    def __init__(
        self, url: str, token: str = "", *, cookie: str = "", patience: Patience | None = None
    ) -> None:
        self.url = checked_url(url)
        self.patience = patience or Patience()
        if not re.fullmatch(r"[\x21-\x7e]*", token) or not re.fullmatch(r"[\x20-\x7e]*", cookie):
            raise UsageError(f"that is no token of Label Studio: copy it again ({_LOGIN_WORDS})")
        self._login = _Login(token, cookie)
        self._client = _client(self.url)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def waiting(self) -> Waiting:
        """Fresh patience for a piece of work."""
        return Waiting(self.patience)

    def call(
        self, method: str, path: str, *, params: Mapping[str, str | int] | None = None, body: object = None
    ) -> Any:
        """One request that may be sent twice without harm, tried until patience ends; returns the answer's JSON.

        Raises
        ------
        NotFound
            If there is no such thing.
        UsageError
            If Label Studio does not accept the token, or another server answers.
        PermanentError
            If it refuses.
        TransientError
            If it does not answer in time.
        """
        waiting = self.waiting()
        while True:
            try:
                return self.once(method, path, params=params, body=body)
            except Busy as trouble:
                waiting.pause(trouble)

    def once(
        self, method: str, path: str, *, params: Mapping[str, str | int] | None = None, body: object = None
    ) -> Any:
        """The same, tried once. Whether the server did it is unknown after `Busy`.

        Raises
        ------
        Busy
            If trying again may help.
        """
        if self._login.personal and not self._login.access:
            self._refresh()
        answer = self._send(method, path, params, body)
        if answer.status_code == 401 and self._login.personal:
            self._refresh()
            answer = self._send(method, path, params, body)
        return self._read(answer)

    def _refresh(self) -> None:
        self._login.access = ""
        answer = self._send("POST", "/api/token/refresh/", None, {"refresh": self._login.token})
        found = self._read(answer)
        access = found.get("access") if isinstance(found, dict) else None
        if not isinstance(access, str) or not re.fullmatch(r"[\x21-\x7e]+", access):
            raise UsageError(f"{self.url} gave no access for the token: is it a Label Studio?")
        self._login.access = access

    def _send(
        self, method: str, path: str, params: Mapping[str, str | int] | None, body: object
    ) -> httpx.Response:
        import httpx

        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        headers = self._login.headers() | ({"Content-Type": "application/json"} if content else {})
        try:
            return self._client.request(
                method, self.url + path, params=params, content=content, headers=headers
            )
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol) as error:
            raise PermanentError(f"{self.url} cannot be asked that: {self._hidden(str(error))}") from error
        except httpx.RequestError as error:
            if why := _hopeless(error):
                raise UsageError(f"{self.url}: {why}") from error
            raise Busy(
                f"{self.url} does not answer ({type(error).__name__})", self._hidden(str(error))
            ) from error

    def _read(self, answer: httpx.Response) -> Any:
        asked = f"{answer.request.method} {str(answer.request.url).partition('?')[0]}: {answer.status_code}"
        status = answer.status_code
        if 300 <= status < 400:
            place = answer.headers.get("location", "")
            raise UsageError(f"{asked}, go to {_cut(place)}: give that server's URL, https if it says so")
        if status < 400:
            return self._json(answer, asked)
        words = _words(self._hidden(answer.text))
        if status in _BUSY or (status == 500 and "database is locked" in answer.text):
            busy = Busy(f"{asked}: {words}", words)
            busy.after_s = _after_s(answer.headers.get("retry-after", ""))
            raise busy
        if status in (401, 403):
            raise UsageError(
                f"{asked}: {words}. Label Studio does not accept this token here: copy a token from Account & "
                "Settings, and give it with LABEL_STUDIO_API_KEY or `d2midi annotate login`"
            )
        refused = NotFound if status == 404 else PermanentError
        raise refused(f"{asked}: {words}", words)

    def _json(self, answer: httpx.Response, asked: str) -> Any:
        if not answer.content:
            return None
        try:
            return json.loads(answer.content)
        except (ValueError, RecursionError) as error:
            raise PermanentError(
                f"{asked}, but the answer is no JSON: {_words(self._hidden(answer.text))}. Is {self.url} Label Studio?"
            ) from error

    def _hidden(self, words: str) -> str:
        for secret in (self._login.token, self._login.access, self._login.cookie):
            words = words.replace(secret, "***") if secret else words
        return words


def checked_url(url: str) -> str:
    """The URL of a web server, without slash at the end.

    Raises
    ------
    UsageError
        If it is none, or holds a password, query or fragment.
    """
    url = url.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (raises for what is no port)
    except ValueError as error:
        raise UsageError(f"{_cut(url)} is no URL ({error}): say e.g. http://127.0.0.1:8080") from error
    if parts.username is not None or parts.password is not None:
        raise UsageError("the URL of Label Studio holds a name or password: leave it out, use a token")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(f"{_cut(url)} is no URL of a server: say e.g. http://127.0.0.1:8080")
    return url


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _client(url: str) -> httpx.Client:
    """Certificates are checked; proxies come from the environment, except for this machine itself."""
    import httpx

    parts = urlsplit(url)
    here = is_loopback(parts.hostname or "")
    trusts_nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading the system's certificates takes 0.1 s
    return httpx.Client(
        timeout=httpx.Timeout(_READ_S, connect=_CONNECT_S),
        trust_env=not here,
        verify=trusts_nobody if here and parts.scheme == "http" else True,
        headers={"Accept": "application/json", "User-Agent": "d2midi"},
    )


def _hopeless(error: Exception) -> str:
    """Why trying again will not help; empty if it may."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message}): SSL_CERT_FILE names your own"
        if isinstance(cause, ssl.SSLError):
            return f"it does not speak TLS as asked ({cause.reason}): is it http, not https?"
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
            return "there is no such host"
    return ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _after_s(header: str) -> float | None:
    """Seconds of ``Retry-After``; its other form, a date, is taken as none."""
    return float(header) if re.fullmatch(r"\d{1,4}", header.strip()) else None


def _words(text: str) -> str:
    """What a server says in an answer that is no success, in one line."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        title = re.search(r"<title>([^<]*)</title>", text)
        return _cut(title.group(1) if title else re.sub(r"<[^>]*>", " ", text[:5000]))
    if isinstance(found, dict):
        said = [found[key] for key in ("detail", "validation_errors") if found.get(key)]
        return _cut(" ".join(each if isinstance(each, str) else json.dumps(each) for each in said) or text)
    return _cut(text)


def _cut(text: str) -> str:
    words = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "?" for letter in words)[:_WORDS_CHARS]
