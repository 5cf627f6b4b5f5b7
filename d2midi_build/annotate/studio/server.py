"""A Label Studio of our own for a workspace: pinned, private, offline, stopped whole.

It runs through ``uvx`` in an environment of its own, since its pins (NumPy 2) conflict with MediaPipe's, and sees
nothing of this process's environment but what it needs: no stray ``LABEL_STUDIO_*`` or ``HOST`` changes it.
Its built-in web server and SQLite are for a few people who trust each other: whoever can log in sees all its projects
and media (docs/correcting.md has the setting for more).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from d2midi_build.annotate.studio.client import VERSION, Studio
from d2midi_build.annotate.studio.private import Address, Admin, Private
from d2midi_build.annotate.studio.process import command, environment, has_ended, label_studio, stop
from d2midi_build.annotate.studio.transport import is_loopback
from d2midi_build.errors import D2midiError, PermanentError, TransientError, UsageError
from d2midi_build.workspace import Workspace

USER_VARIABLE: Final = "D2MIDI_LABEL_STUDIO_USER"
PASSWORD_VARIABLE: Final = "D2MIDI_LABEL_STUDIO_PASSWORD"
PORT: Final = 8080

_LOOK_S: Final = 0.25
_TELL_S: Final = 15.0
_TAIL_LINES: Final = 15

Say = Callable[[str], None]
Beside = Callable[[], AbstractContextManager[str]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """A Label Studio that runs.

    Attributes
    ----------
    address : Address
    admin : Admin
    private : Private
    media : Path
        Folder whose files it shows; give it to `Studio.project` as ``storage``.
    invite_url : str
        Where annotators sign up.
    process : Popen
    """

    address: Address
    admin: Admin
    private: Private
    media: Path
    invite_url: str = field(repr=False)
    process: subprocess.Popen[bytes]

    def check(self) -> None:
        """See that it still runs.

        Raises
        ------
        PermanentError
            If it has ended; with the end of its log.
        """
        if has_ended(self.process):
            raise _died(self.process, self.private.log)


def media_folder(workspace: Path) -> Path:
    """Where a workspace's media for annotators lie: below the root of local files, which itself is never shown."""
    return Workspace(workspace.resolve()).media


def serve(
    workspace: Path,
    *,
    port: int = PORT,
    host: str = "127.0.0.1",
    public_url: str = "",
    data_dir: Path | None = None,
    beside: Beside | None = None,
    say: Say,
) -> None:
    """Run Label Studio until Ctrl-C or SIGTERM; call it from the main thread.

    Parameters
    ----------
    workspace : Path
    port : int
    host : str
        Address to listen at.
    public_url : str, optional
        How annotators reach it, if not by ``host`` and ``port``.
    data_dir : Path, optional
        The private folder; default `Private`'s.
    beside : callable, optional
        Starts the Listen page for as long as its context lasts, and gives its URL as annotators reach it.
    say : callable
        Takes lines for the terminal.

    Raises
    ------
    UsageError
        If the workspace, port or private folder cannot be used, a server for it runs already, or there is no ``uvx``.
    PermanentError
        If Label Studio ends by itself.
    """
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with running(
            workspace, port=port, host=host, public_url=public_url, data_dir=data_dir, beside=beside, say=say
        ) as served:
            while True:
                served.check()
                time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        say("Label Studio is stopped; all work is kept.")
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def running(
    workspace: Path,
    *,
    port: int,
    host: str = "127.0.0.1",
    public_url: str = "",
    data_dir: Path | None = None,
    beside: Beside | None = None,
    say: Say,
) -> Iterator[Served]:
    """A Label Studio for as long as the context lasts; see `serve`."""
    root = Workspace.open(workspace).root
    private = Private(root, data_dir)
    private.make()
    media = media_folder(root)
    media.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        lock = stack.enter_context(private.lock())
        private.forget()
        check_port(host, port)
        admin, is_new = private.admin(
            os.environ.get(USER_VARIABLE, ""), os.environ.get(PASSWORD_VARIABLE, "")
        )
        if not is_loopback(host):
            say(
                f"Anybody who reaches {host}:{port} can try to log in, over plain HTTP, and whoever is let in sees all "
                "projects and media: one server per group of people who trust each other, in a network you trust."
            )
        settings = environment(os.environ, private, admin, media.parent, host, public_url)
        process = stack.enter_context(label_studio(command(host, port, say), settings, private.log, lock))
        url = f"http://{reached(host)}:{port}"
        public = public_url.rstrip("/") or f"http://{named(host)}:{port}"
        invite_path = _ready(process, url, admin, private.log, say)
        listen_url = stack.enter_context(beside()) if beside is not None else ""
        address = Address(url, public, listen_url, os.getpid(), process.pid)
        stack.enter_context(private.told(address))
        served = Served(address, admin, private, media, public + invite_path, process)
        _welcome(served, is_new, say)
        yield served


def check_port(host: str, port: int, option: str = "--port") -> None:
    """See that nothing listens there: Label Studio would silently take the next port.

    Raises
    ------
    UsageError
        If something does, or the address is not this machine's.
    """
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(place)
    except OSError as error:
        raise UsageError(
            f"cannot serve at {host}:{port} ({error}): stop what runs there, or choose another with {option} "
            "(the address: --host)"
        ) from error


def _ready(process: subprocess.Popen[bytes], url: str, admin: Admin, log: Path, say: Say) -> str:
    """Wait until Label Studio answers to its first user; gives the path of its invitation.

    Raises
    ------
    PermanentError
        If it ends instead, or another program answers.
    """
    say(f"Starting Label Studio {VERSION} ...")
    begun_s = told_s = time.monotonic()
    while True:
        if has_ended(process):
            raise _died(process, log)
        try:
            with Studio.connect(url, admin.token, patience_s=0.0) as studio:
                return studio.invite_url().removeprefix(url)
        except TransientError:
            pass
        except D2midiError as error:
            raise PermanentError(
                f"what answers at {url} is not the Label Studio that was started here: {error}"
            ) from error
        if time.monotonic() - told_s > _TELL_S:
            told_s = time.monotonic()
            say(f"... still starting, {told_s - begun_s:.0f} s; its log is {log}")
        time.sleep(_LOOK_S)


def _died(process: subprocess.Popen[bytes], log: Path) -> PermanentError:
    code = stop(process)
    try:
        lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        lines = []
    tail = "\n".join(lines)
    return PermanentError(
        f"Label Studio has ended by itself (exit code {code}). The end of its log, {log}:\n{tail}",
        tail,
    )


def reached(host: str) -> str:
    """The name by which this machine reaches a server that listens at an address."""
    if host in ("0.0.0.0", "::", ""):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def named(host: str) -> str:
    """The name by which others reach it."""
    return socket.gethostname() if host in ("0.0.0.0", "::", "") else reached(host)


def _welcome(served: Served, is_new: bool, say: Say) -> None:
    address, admin = served.address, served.admin
    say(f"Label Studio runs at {address.public_url}: log in as {admin.email}")
    if is_new and not os.environ.get(PASSWORD_VARIABLE):
        say(
            f"  with the password {admin.password} (shown this once; it stays in {served.private.admin_path})"
        )
    else:
        say(f"  with the password in {served.private.admin_path}")
    say(f"Annotators sign up with this link, give it to nobody else: {served.invite_url}")
    if address.listen_url:
        say(f"The Listen page runs at {address.listen_url}")
    say("Push tasks with `d2midi annotate push` in another terminal. Ctrl-C stops this.")
