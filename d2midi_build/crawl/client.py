"""yt-dlp as this project uses it: silent, self-contained, with typed errors."""

from __future__ import annotations

import contextlib
import email.utils
import functools
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import imageio_ffmpeg
import yt_dlp
import yt_dlp.globals
import yt_dlp.utils
from yt_dlp.networking.exceptions import HTTPError

from d2midi_build.crawl.messages import WARNING_MARK, classify, typed_error
from d2midi_build.errors import ItemError, PolicyError, TransientError
from d2midi_build.media.ffmpeg import die_with_parent
from d2midi_build.recipe import CrawlRecipe

_Result = TypeVar("_Result")

YT_DLP_VERSION: str = yt_dlp.version.__version__
_PREFIX = "media"
_STATE = f"{_PREFIX}.state.json"
_LONGEST_BACKOFF_S = 60.0
_OPT_OUT = re.compile(r"\bno(?:image)?ai\b", re.IGNORECASE)
_BROWSER = re.compile(
    r"(?P<name>[^+:]+)(?:\+(?P<keyring>[^:]+))?(?::(?!:)(?P<profile>.+?))?(?:::(?P<container>.+))?"
)

# A user's plug-ins would change what an address means from machine to machine.
yt_dlp.globals.plugin_dirs.value = []


# Joining and repairing are done by an ffmpeg that yt-dlp starts. It must end with the worker: left alone after a
# kill it would go on writing the very file that the next attempt writes.
yt_dlp.utils.Popen.__init__ = functools.partialmethod(yt_dlp.utils.Popen.__init__, preexec_fn=die_with_parent)


class Refused(yt_dlp.utils.DownloadCancelled):  # type: ignore[misc]
    """Carries one of our own errors through yt-dlp, which lets only its own pass."""

    def __init__(self, error: ItemError) -> None:
        super().__init__(error.message)
        self.error = error


class Changed(yt_dlp.utils.DownloadCancelled):  # type: ignore[misc]
    """What a partial download has cannot be gone on with: begin again."""


class Messages:
    """yt-dlp's logger: keeps its warnings, prints nothing."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def debug(self, message: str) -> None:
        """Progress and chatter."""

    def info(self, message: str) -> None:
        """Progress and chatter."""

    def warning(self, message: str) -> None:
        text = message.removeprefix(WARNING_MARK).strip()
        if text not in self.warnings:
            self.warnings.append(text)

    def error(self, message: str) -> None:
        """Every error is also raised, so nothing is lost here."""


class PartialState:
    """What must still be true for partial files to be worth keeping, in a file beside them.

    Opening it makes the folder fit to go on in: parts of before the last reboot are removed (they are not
    synced while they grow, so after a power cut their tails may be holes; a killed process leaves them
    whole), and fragments are left to be joined afresh (yt-dlp notes a joined fragment only after joining
    it, so a kill between would join it twice).
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _STATE
        boot = Path("/proc/sys/kernel/random/boot_id")
        self._boot = boot.read_text().strip() if boot.is_file() else ""
        self._validators: dict[str, str] = {}
        try:
            stored = json.loads(self._path.read_text())
            usable = stored["boot"] == self._boot
        except (OSError, ValueError, KeyError):
            usable = False
        if usable:
            self._validators = stored["validators"]
        else:
            clear(folder)
        for joining in folder.glob(f"{_PREFIX}*.ytdl"):
            joining.with_suffix(".part").unlink(missing_ok=True)
            joining.unlink()
        self._write()

    def check(self, url: str, validator: str) -> None:
        """Compare a file's ETag or date with the one its download began with; raises ``Changed``."""
        known = self._validators.get(url)
        if known is None:
            self._validators[url] = validator
            self._write()
        elif known != validator:
            raise Changed(f"{url} has changed on the server")

    def _write(self) -> None:
        partial = self._path.with_suffix(".new")
        partial.write_text(json.dumps({"boot": self._boot, "validators": self._validators}))
        partial.replace(self._path)


class Client(yt_dlp.YoutubeDL):  # type: ignore[misc]
    """yt-dlp, also reading the headers that it ignores: opt-outs, and what tells a changed file."""

    def __init__(self, parameters: dict[str, Any], options: CrawlRecipe, state: PartialState | None) -> None:
        self._honour_opt_out = options.honour_opt_out
        self._state = state
        self._responses: list[Any] = []
        super().__init__(parameters)

    def urlopen(self, req: Any) -> Any:
        try:
            response = super().urlopen(req)
        except HTTPError as error:
            self._responses.append(error.response)
            if error.status == 416:
                # A part as long as the whole: killed before its renaming, or the file has shrunk. yt-dlp
                # would now ask for the whole file, but sends the same Range again (2026.10.26).
                raise Changed(f"{error.response.url} ends where its part ends") from error
            raise
        self._responses.append(response)
        self._look_at(response.url, response.headers)
        return response

    def close(self) -> None:
        """Also close the connections that yt-dlp leaves to the garbage collector."""
        for response in self._responses:
            response.close()
        super().close()

    def _look_at(self, url: str, headers: Any) -> None:
        robots = ", ".join(headers.get_all("X-Robots-Tag") or [])
        reserved = (headers.get("TDM-Reservation") or "").strip() == "1"
        if self._honour_opt_out and (reserved or _OPT_OUT.search(robots)):
            said = f"TDM-Reservation: 1\nX-Robots-Tag: {robots}" if reserved else f"X-Robots-Tag: {robots}"
            raise Refused(
                PolicyError(
                    f"{url}: the server opts out of use for machine learning (crawl.honour_opt_out)", said
                )
            )
        kind = (headers.get("Content-Type") or "").partition("/")[0].lower()
        validator = headers.get("ETag") or headers.get("Last-Modified")
        if self._state and validator and kind in ("video", "audio"):
            self._state.check(url, validator)


@contextlib.contextmanager
def open_client(
    what: str, options: CrawlRecipe, folder: Path | None = None, **parameters: Any
) -> Iterator[Client]:
    """Open yt-dlp for one item; inside, its errors become ours.

    Parameters
    ----------
    what : str
        The item's URL, for messages.
    options : CrawlRecipe
    folder : Path, optional
        Where downloads go; without it nothing can be downloaded.
    **parameters
        More of yt-dlp's own parameters.

    Raises
    ------
    TransientError, PermanentError, PolicyError
        Whatever yt-dlp raised, with its message, the server's Retry-After and the warnings in
        ``tool_message``.
    """
    messages = Messages()
    try:
        with Client(
            _parameters(options, folder, messages) | parameters,
            options,
            PartialState(folder) if folder else None,
        ) as client:
            yield client
    except Changed:
        raise
    except Refused as refused:
        raise refused.error from None
    except (yt_dlp.utils.YoutubeDLError, OSError) as error:
        wait_s = _retry_after_s(error)
        said = [str(error).strip() + (f" (Retry-After: {wait_s:.0f} s)" if wait_s is not None else "")]
        raise typed_error(
            what, "\n".join(said + [WARNING_MARK + text for text in messages.warnings])
        ) from error


def backoff_s(options: CrawlRecipe, n: int) -> float:
    """Seconds to wait before retry ``n``, from 0."""
    return float(min(options.backoff_s * 2**n, _LONGEST_BACKOFF_S))


def with_retries(options: CrawlRecipe, once: Callable[[], _Result]) -> _Result:
    """Try again, with growing waits, what a second try may help (within a transfer yt-dlp does it)."""
    for n in range(options.retries):
        try:
            return once()
        except TransientError as error:
            if not classify(error.tool_message).again or "Giving up after" in error.tool_message:
                raise
        time.sleep(backoff_s(options, n))
    return once()


def clear(folder: Path, keep: Path | None = None) -> None:
    """Remove what downloads left in a folder."""
    for path in folder.glob(f"{_PREFIX}*"):
        if path != keep:
            path.unlink()


def _parameters(options: CrawlRecipe, folder: Path | None, messages: Messages) -> dict[str, Any]:
    wait: Callable[..., float] = lambda n: backoff_s(options, n)  # noqa: E731
    parameters: dict[str, Any] = {
        # What to fetch. Standard range and H.264 where the site offers a choice of equals: they decode
        # fastest.
        "format": options.format,
        "format_sort": [f"res:{options.resolution_px}", "hdr:SDR", "fps", "vcodec:h264"],
        "noplaylist": True,
        "merge_output_format": "mp4/mkv",
        "geo_bypass": False,
        # How.
        "retries": options.retries,
        "fragment_retries": options.retries,
        "extractor_retries": options.retries,
        "file_access_retries": options.retries,
        "retry_sleep_functions": {"http": wait, "fragment": wait, "file_access": wait, "extractor": wait},
        "socket_timeout": options.socket_timeout_s,
        "sleep_interval_requests": options.sleep_requests_s,
        "ratelimit": options.rate_limit_bytes_s,
        "proxy": options.proxy,
        "js_runtimes": {"deno": {}, "node": {}, "bun": {}, "quickjs": {}},
        "continuedl": True,
        # A missing fragment is a failure, not a jump in the dance.
        "skip_unavailable_fragments": False,
        "keep_fragments": True,
        "hls_prefer_native": True,
        "ffmpeg_location": imageio_ffmpeg.get_ffmpeg_exe(),
        # Without -bitexact a Matroska file gets a random id. "force": also when a kill came before the
        # repair.
        "postprocessor_args": {"default": ["-bitexact"]},
        "fixup": "force",
        # Silent, and nothing outside the folder.
        "quiet": True,
        "noprogress": True,
        "logger": messages,
        "color": {"stdout": "no_color", "stderr": "no_color"},
        "cachedir": False,
        "updatetime": False,
        "overwrites": None,
        "trim_file_name": 100,
    }
    if folder is not None:
        parameters["paths"] = {"home": str(folder.absolute())}
        # The format is part of the name: the rest of another format must not be appended to this one's
        # beginning.
        parameters["outtmpl"] = {"default": f"{_PREFIX}-%(format_id)s.%(ext)s"}
    if options.cookies is not None:
        try:
            # As text: a file would be written back.
            parameters["cookiefile"] = io.StringIO(options.cookies.read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise TransientError(
                f"{options.cookies}: the cookies file cannot be read; mend crawl.cookies, then retry",
                str(error),
            ) from error
    if options.cookies_from_browser is not None:
        match = _BROWSER.fullmatch(options.cookies_from_browser)
        if match is None:
            raise TransientError(
                f"crawl.cookies_from_browser = '{options.cookies_from_browser}' is not "
                "BROWSER[+KEYRING][:PROFILE][::CONTAINER]; mend it, then retry"
            )
        keyring = match["keyring"]
        parameters["cookiesfrombrowser"] = (
            match["name"].lower(), match["profile"], keyring.upper() if keyring else None, match["container"],
        )  # fmt: skip
    return parameters


def _retry_after_s(error: BaseException) -> float | None:
    """The server's Retry-After (seconds or a date), from the HTTP error somewhere below."""
    seen: set[int] = set()
    below: list[object] = [error]
    while below:
        each = below.pop()
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        headers = getattr(getattr(each, "response", None), "headers", None)
        said = headers.get("Retry-After") if headers is not None else None
        if said:
            if said.strip().isdigit():
                return float(said)
            with contextlib.suppress(ValueError):
                return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
        below += [each.__cause__, each.__context__, getattr(each, "cause", None)]
        below += list(getattr(each, "exc_info", None) or ())
    return None
