"""The process that is Label Studio: how it is started, what it is told, and how it is stopped whole."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from d2midi_build.annotate.studio.client import VERSION
from d2midi_build.annotate.studio.private import Admin, Private
from d2midi_build.annotate.studio.transport import is_loopback
from d2midi_build.errors import UsageError

_PASSED_ON: Final = re.compile(
    "PATH|HOME|USER|LOGNAME|LANG(UAGE)?|TZ|TMPDIR|LD_LIBRARY_PATH|XDG_(CACHE|DATA|CONFIG)_HOME|(UV|LC)_.*|"
    "SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|(HTTP|HTTPS|ALL|NO)_PROXY"
)
"""In capitals or not."""

_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_STOP_S: Final = 10.0
_LOOK_S: Final = 0.05
_LOG_BYTES: Final = 20_000_000


def environment(
    given: Mapping[str, str],
    private: Private,
    admin: Admin,
    document_root: Path,
    host: str,
    public_url: str = "",
) -> dict[str, str]:
    """What Label Studio is told: offline, private, no sign-up without the link, no other site's scripts."""
    told = {name: value for name, value in given.items() if _PASSED_ON.fullmatch(name.upper())}
    hosts = [*_LOOPBACK] if is_loopback(host) else ["*"]
    if public_url:
        parts = urlsplit(public_url)
        hosts.append(parts.hostname or "")
        told["LABEL_STUDIO_HOST"] = public_url
        told["CSRF_TRUSTED_ORIGINS"] = f"{parts.scheme}://{parts.netloc}"
    return told | {
        "LABEL_STUDIO_BASE_DATA_DIR": str(private.data),
        "LABEL_STUDIO_USERNAME": admin.email,
        "LABEL_STUDIO_PASSWORD": admin.password,
        "LABEL_STUDIO_USER_TOKEN": admin.token,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(document_root),
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_CORS_ALLOW_ALL_ORIGINS": "false",
        "LABEL_STUDIO_ALLOWED_HOSTS": ",".join(hosts),
        "LABEL_STUDIO_DEBUG": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "PYTHONUNBUFFERED": "1",
    }


def command(host: str, port: int, say: Callable[[str], None]) -> list[str]:
    """What starts Label Studio; says so if it must be installed first.

    Raises
    ------
    UsageError
        If uv is not here.
    """
    package = f"label-studio=={VERSION}"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    run = [*_uvx(), "--python", python, "--from", package]
    offline = subprocess.run([*run, "--offline", "python", "-c", ""], capture_output=True, check=False)
    if offline.returncode != 0:
        say(
            f"Installing Label Studio {VERSION} into an environment of its own: about 1 GB, once, some minutes."
        )
    more = ["--offline"] if offline.returncode == 0 else []
    start = ["start", "--no-browser", "--log-level", "WARNING", "--internal-host", host, "--port", str(port)]
    return [*run, *more, "label-studio", *start]


def _uvx() -> list[str]:
    """The command ``uvx``, however uv was installed.

    Raises
    ------
    UsageError
        If it was not.
    """
    beside = Path(sys.executable).parent
    if found := shutil.which("uvx") or shutil.which("uvx", path=beside):
        return [found]
    if found := shutil.which("uv") or shutil.which("uv", path=beside):
        return [found, "tool", "run"]
    raise UsageError(
        "Label Studio runs through uv, which is not here: install it with `pip install uv` or as "
        "https://docs.astral.sh/uv/getting-started/installation says"
    )


@contextmanager
def label_studio(
    command: list[str], settings: Mapping[str, str], log: Path, lock: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Label Studio in a process group of its own, which ends with the context; it holds the lock, too."""
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as out:
        process = subprocess.Popen(
            command,
            env=dict(settings),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[lock],
            cwd=log.parent,
        )
    try:
        yield process
    finally:
        stop(process)


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process has ended, without collecting it: until then nobody else gets its number."""
    if process.returncode is not None:
        return True
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def stop(process: subprocess.Popen[bytes]) -> int:
    """End a process group, by force if it does not go, and give the leader's exit code.

    A second Ctrl-C does not leave it behind.
    """
    if process.returncode is not None:
        return process.returncode
    before = {}
    with suppress(ValueError):  # not in the main thread
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        os.killpg(process.pid, signal.SIGTERM)
        _wait(lambda: has_ended(process), _STOP_S)
        os.killpg(process.pid, signal.SIGKILL)
        _wait(lambda: not _others(process.pid), _STOP_S)
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(is_so: Callable[[], bool], longest_s: float) -> None:
    end_s = time.monotonic() + longest_s
    while not is_so() and time.monotonic() < end_s:
        time.sleep(_LOOK_S)


def _others(leader: int) -> bool:
    """Whether others of a process group still run."""
    for found in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = found.read_text().rpartition(")")
        except OSError:  # it has ended meanwhile
            continue
        state, _, group = rest.split()[:3]
        if int(group) == leader and state not in "ZX" and name.partition(" ")[0] != str(leader):
            return True
    return False
