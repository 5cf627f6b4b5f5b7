"""``d2midi annotate login`` and ``logout``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from d2midi_build.annotate.studio import credentials
from d2midi_build.cli.annotate.login import login, logout
from d2midi_build.errors import UsageError
from tests.annotate.studio.stub import EMAIL, TOKEN, Running, running

app = typer.Typer()
app.command("login")(login)
app.command("logout")(logout)


@pytest.fixture
def server() -> Iterator[Running]:
    with running() as it:
        yield it


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """What the keyring keeps."""
    found: dict[str, str] = {}
    monkeypatch.delenv("LABEL_STUDIO_URL", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(credentials, "remember", found.__setitem__)
    monkeypatch.setattr(credentials, "forget", lambda url: found.pop(url, None) is not None)
    return found


def test_a_token_that_works_is_kept_and_not_shown(
    server: Running, kept: dict[str, str], tmp_path: Path
) -> None:
    arguments = ["login", "--url", server.stub.url, "-w", str(tmp_path)]
    done = CliRunner().invoke(app, arguments, input=f"{TOKEN}\n")
    assert done.exit_code == 0
    assert EMAIL in done.output
    assert TOKEN not in done.output
    assert kept == {server.stub.url: TOKEN}
    for said in ("the token is removed", "there was no token"):
        assert said in CliRunner().invoke(app, ["logout", *arguments[1:]]).output
    assert kept == {}


def test_a_token_that_does_not_work_is_not_kept(
    server: Running, kept: dict[str, str], tmp_path: Path
) -> None:
    arguments = ["login", "--url", server.stub.url, "-w", str(tmp_path)]
    done = CliRunner().invoke(app, arguments, input="wrong\n")
    assert isinstance(done.exception, UsageError)
    assert kept == {}


def test_without_a_url_it_asks_which(kept: dict[str, str], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["login", "-w", str(tmp_path)], input="x\n")
    assert isinstance(done.exception, UsageError)
    assert "which Label Studio" in str(done.exception)
