"""A real Label Studio for tests, started by the code of `d2midi annotate serve`.

Its first start takes most of a minute, for its database; so that is done once per session, and every server starts from
a copy of it (`label_studio_seed`). The name of the package's folder of uv is added to the search path, where it is.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from d2midi_build.annotate.studio.client import Studio
from d2midi_build.annotate.studio.private import Private
from d2midi_build.annotate.studio.server import Beside, Served, running
from d2midi_build.workspace import Workspace

PASSWORD = "a-long-passw0rd"
_UV = Path(__file__).parents[2] / ".venv-uv" / "bin"


@dataclass(frozen=True)
class Live:
    """A Label Studio that runs."""

    workspace: Path
    served: Served

    @property
    def url(self) -> str:
        """Where."""
        return self.served.address.url

    def studio(self, patience_s: float = 120.0) -> Studio:
        """As its first user; close it."""
        return Studio.connect(self.url, self.served.admin.token, patience_s=patience_s)

    def sign_up(self, email: str, password: str = PASSWORD) -> str:
        """Make another annotator through the invitation; gives the browser's cookies after that."""
        with httpx.Client(base_url=self.url, trust_env=False) as browser:
            path = self.served.invite_url.removeprefix(self.served.address.public_url)
            form = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get(path).text)
            assert form is not None
            data = {"csrfmiddlewaretoken": form[1], "email": email, "password": password}
            answer = browser.post(path, data=data, headers={"Referer": self.url + path})
            assert answer.status_code == 302, answer.text[:300]
            return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def free_port() -> int:
    """A port that nothing listens at."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def live(
    workspace: Path,
    private: Path,
    seed: Path | None = None,
    *,
    port: int = 0,
    beside: Beside | None = None,
) -> Iterator[Live]:
    """A Label Studio for a workspace, with a private folder that is made from the seed if it is not there."""
    if seed is not None and not private.exists():
        shutil.copytree(seed, private)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{_UV}{os.pathsep}{os.environ['PATH']}")
        for name in ("D2MIDI_LABEL_STUDIO_USER", "D2MIDI_LABEL_STUDIO_PASSWORD"):
            patch.delenv(name, raising=False)
        with running(
            workspace, port=port or free_port(), data_dir=private, beside=beside, say=lambda _line: None
        ) as served:
            yield Live(workspace, served)


@pytest.fixture(scope="session")
def label_studio_seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The private folder of a Label Studio that has started once and holds nothing yet but its first user."""
    folder = tmp_path_factory.mktemp("label-studio")
    workspace = Workspace.create(folder / "workspace").root
    with live(workspace, folder / "private"):
        pass
    private = Private(workspace, folder / "private")
    for path in (private.log, private.folder / "lock"):
        path.unlink()
    return private.folder


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory, label_studio_seed: Path) -> Iterator[Live]:
    """A Label Studio for an empty workspace, shared by all tests: give projects titles of their own."""
    folder = tmp_path_factory.mktemp("studio")
    with live(Workspace.create(folder / "workspace").root, folder / "private", label_studio_seed) as it:
        yield it
