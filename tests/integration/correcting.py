"""What correction in Label Studio needs, for tests and for the guide's pictures: a clip, a server, a browser."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from d2midi_build.pipeline import build
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import read_sources
from d2midi_build.synthetic.band import compose, render
from d2midi_build.synthetic.dancer import choreograph
from d2midi_build.synthetic.slate import SLATE_S
from d2midi_build.synthetic.videos import SHAPES, write_video
from tests.integration.label_studio import free_port
from tests.interrupting import interruptible

PASSWORD = "a-long-passw0rd"
WIDTH, HEIGHT = 1440, 900
PATIENCE_MS = 60_000

_RATE_HZ = 44_100
_SEED, _BPM, _SECONDS = 6, 92.0, 32.0
"""A song of which the machine hears some 320 notes in 30 s, few enough for one task."""

_UV = Path(__file__).parents[2] / ".venv-uv" / "bin"
_COMMAND = Path(sys.executable).parent / "d2midi"


def build_workspace(folder: Path) -> Path:
    """A workspace with one clip of a drawn dancer and a played song, built as any other."""
    rng = np.random.default_rng(_SEED)
    song = compose(rng, _BPM, _SECONDS, start_s=SLATE_S)
    dance = choreograph(rng, _BPM, _SECONDS, first_beat_s=SLATE_S, look=_SEED)
    shape = replace(SHAPES["25fps"], size_px=(320, 320))
    write_video(folder / "dance.mp4", shape, [dance], render(song, _RATE_HZ), _RATE_HZ, _SECONDS, rng)
    (folder / "list.txt").write_text("dance.mp4\n")
    build(list(read_sources(folder / "list.txt")), folder / "workspace", Recipe())
    return folder / "workspace"


@dataclass(frozen=True)
class Served:
    """A Label Studio and its Listen page that run for a workspace.

    Attributes
    ----------
    workspace : Path
    url, listen_url, invite_url : str
    admin : str
        E-mail of the first user; the password is `PASSWORD`.
    """

    workspace: Path
    url: str
    listen_url: str
    invite_url: str
    admin: str


@contextmanager
def serving(workspace: Path, home: Path) -> Iterator[Served]:
    """`d2midi annotate serve` in a process of its own, stopped by Ctrl-C.

    Parameters
    ----------
    workspace : Path
    home : Path
        What XDG_DATA_HOME is to be, here and wherever d2midi is to find the server.
    """
    port, listen_port = free_port(), free_port()
    command: list[str | Path] = [_COMMAND, "annotate", "serve", "-w", workspace]
    command += ["--port", str(port), "--listen-port", str(listen_port)]
    environment = os.environ | {
        "XDG_DATA_HOME": str(home),
        "D2MIDI_LABEL_STUDIO_PASSWORD": PASSWORD,
        "PATH": f"{_UV}{os.pathsep}{os.environ['PATH']}",
    }
    environment.pop("D2MIDI_LABEL_STUDIO_USER", None)
    with interruptible():
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    with process:
        try:
            yield _told(process, workspace, f"http://127.0.0.1:{port}")
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()
    assert process.returncode == 0


def _told(process: subprocess.Popen[str], workspace: Path, url: str) -> Served:
    """What the terminal says once the server runs."""
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line.strip())
        if line.startswith("Push tasks"):
            words = {line.partition(": ")[0]: line.partition(": ")[2] for line in said}
            invite = next(text for name, text in words.items() if name.startswith("Annotators sign up"))
            admin = next(text for text in words.values() if text.startswith("log in as "))
            listen = next(line for line in said if line.startswith("The Listen page runs at "))
            return Served(workspace, url, listen.split()[-1], invite, admin.removeprefix("log in as "))
    raise AssertionError("\n".join(said))


@contextmanager
def chromium() -> Iterator[Any]:
    """Debian's Chromium."""
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
    with (
        sync_playwright() as running,
        closing(running.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)) as browser,
    ):
        yield browser


@contextmanager
def window(browser: Any, width: int = WIDTH, height: int = HEIGHT) -> Iterator[Any]:
    """A window of nobody in particular; pages of it may be waited for in spite of their policies."""
    with closing(
        browser.new_context(viewport={"width": width, "height": height}, bypass_csp=True)
    ) as context:
        context.set_default_timeout(PATIENCE_MS)
        yield context


@contextmanager
def seen(context: Any, name: str) -> Iterator[None]:
    """If something goes wrong, keep what the pages of a window showed in the folder $D2MIDI_SCREENSHOTS."""
    try:
        yield
    except BaseException:
        for number, page in enumerate(context.pages):
            shoot(page, f"{name}-{number}")
        raise


def shoot(page: Any, name: str) -> None:
    """Keep what a page shows in the folder $D2MIDI_SCREENSHOTS, if there is one."""
    if folder := os.environ.get("D2MIDI_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def run(home: Path, *arguments: object) -> Any:
    """Run `d2midi ... --json` in a process of its own; its answer."""
    command = [_COMMAND, *map(str, arguments), "--json"]
    done = subprocess.run(
        command, env=os.environ | {"XDG_DATA_HOME": str(home)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def sign_up(context: Any, served: Served, email: str) -> Any:
    """Become an annotator by the invitation; gives a page where they are logged in."""
    return _enter(context, served.invite_url, email)


def log_in(context: Any, served: Served, email: str) -> Any:
    """Log in; gives a page."""
    return _enter(context, f"{served.url}/user/login/", email)


def _enter(context: Any, url: str, email: str) -> Any:
    page = context.new_page()
    page.goto(url)
    page.fill("[name=email]", email)
    page.fill("[name=password]", PASSWORD)
    page.locator("button[type=submit]").click()
    page.wait_for_url(lambda at: "/user/" not in at)
    return page
