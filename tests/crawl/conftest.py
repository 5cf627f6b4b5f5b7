"""A real web server on loopback that can misbehave, and small real media for it."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from d2midi_build.recipe import CrawlRecipe


@dataclass
class Route:
    """What the server does at one path.

    ``first`` answers are used up before the body is served; ``drop_at[n]`` closes the n-th serving after so
    many bytes; ``hold_after`` waits in the middle of each until the site is closed.
    """

    body: bytes = b""
    kind: str = "video/mp4"
    headers: dict[str, str] = field(default_factory=dict)
    first: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    status: int = 200
    ranges: bool = True
    announce: bool = True
    drop_at: dict[int, int] = field(default_factory=dict)
    served: int = 0
    hold_after: int | None = None


class Site:
    """A server; ``requests`` lists (path, Range header) of every GET."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.release = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                site.requests.append((self.path, self.headers.get("Range")))
                route = site.routes.get(self.path.partition("?")[0])
                if route is None:
                    self.answer(404, b"not here", "text/plain", {})
                elif route.first:
                    status, headers = route.first.pop(0)
                    self.answer(status, b"busy", "text/plain", headers)
                elif route.status != 200:
                    self.answer(route.status, b"no", "text/plain", route.headers)
                else:
                    self.serve(route)

            def answer(self, status: int, body: bytes, kind: str, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {
                    "Content-Type": kind,
                    "Content-Length": str(len(body)),
                    **headers,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def serve(self, route: Route) -> None:
                wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
                body, status = route.body, 200
                headers = {"Content-Type": route.kind, "Connection": "close", **route.headers}
                if wanted and route.ranges:
                    start, stop = int(wanted[1]), int(wanted[2] or len(body) - 1) + 1
                    if start >= len(body):
                        self.answer(416, b"", "text/plain", {"Content-Range": f"bytes */{len(body)}"})
                        return
                    headers["Content-Range"] = f"bytes {start}-{min(stop, len(body)) - 1}/{len(body)}"
                    body, status = body[start:stop], 206
                if route.announce:
                    headers["Content-Length"] = str(len(body))
                self.close_connection = True
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    route.served += 1
                    if route.served in route.drop_at:
                        self.wfile.write(body[: route.drop_at[route.served]])
                        return
                    if route.hold_after is not None:
                        self.wfile.write(body[: route.hold_after])
                        self.wfile.flush()
                        site.release.wait(30)
                        body = body[route.hold_after :]
                    self.wfile.write(body)
                except OSError:  # the client went away, as a killed one does
                    pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """Clients that go away are what some tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def add(self, path: str, body: bytes = b"", kind: str = "video/mp4", **more: Any) -> str:
        """Serve ``body`` at ``path``; returns the URL."""
        self.routes[path] = Route(body, kind, **more)
        return self.url + path

    def ranges(self, path: str) -> list[str | None]:
        """The Range header of each request for ``path``."""
        return [wanted for asked, wanted in self.requests if asked == path]

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    server = Site()
    yield server
    server.close()


@pytest.fixture
def options() -> CrawlRecipe:
    """As little waiting as possible; no proxy from the environment between a test and its server."""
    return CrawlRecipe(
        retries=2, backoff_s=0.01, sleep_requests_s=0, socket_timeout_s=10, proxy="", min_free_bytes=0
    )


def _ffmpeg(arguments: str, folder: Path) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *arguments.split()]
    subprocess.run(command, cwd=folder, check=True, timeout=60, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``noise.mp4`` (some MB, 3 s), its HLS copy, and its picture and sound apart."""
    folder = tmp_path_factory.mktemp("media")
    _ffmpeg(
        "-f lavfi -i testsrc2=size=320x240:rate=25:duration=3,noise=alls=80:allf=t "
        "-f lavfi -i sine=frequency=440:duration=3 -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p "
        "-c:a aac -shortest -threads 1 -bitexact noise.mp4",
        folder,
    )
    _ffmpeg("-i noise.mp4 -c copy -f hls -hls_time 1 -hls_list_size 0 list.m3u8", folder)
    _ffmpeg("-i noise.mp4 -an -c copy picture.mp4", folder)
    _ffmpeg("-i noise.mp4 -vn -c:a libopus -ar 48000 sound.webm", folder)
    return folder
