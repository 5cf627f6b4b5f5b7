"""Starting and stopping Label Studio, with a stand-in for uvx that starts the stub in another process."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from d2midi_build.annotate.studio.client import VERSION, Studio
from d2midi_build.annotate.studio.credentials import find
from d2midi_build.annotate.studio.private import Address, Admin, Private
from d2midi_build.annotate.studio.process import command, environment, has_ended
from d2midi_build.annotate.studio.server import check_port, media_folder, running
from d2midi_build.errors import PermanentError, UsageError
from tests.interrupting import interruptible

_ROOT = Path(__file__).parents[3]

_UVX = """#!{python}
import json, os, subprocess, sys, threading
sys.path.insert(0, {root!r})
here = {here!r}
if "python" in sys.argv[sys.argv.index("--from") + 2:]:
    sys.exit({installed})
from tests.annotate.studio.stub import Running, Stub
grandchild = subprocess.Popen(["sleep", "1000"])
with open(here + "/started.json", "w") as file:
    json.dump({{"argv": sys.argv[1:], "environment": dict(os.environ), "pids": [os.getpid(), grandchild.pid],
               "fds": sorted(os.listdir("/proc/self/fd"))}}, file)
print("hello from the stub", flush=True)
if {dies}:
    sys.exit("no space left")
stub = Stub(token=os.environ["LABEL_STUDIO_USER_TOKEN"] if {ours} else "another")
Running(stub, int(sys.argv[sys.argv.index("--port") + 1])).start()
threading.Event().wait()
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("D2MIDI_LABEL_STUDIO_USER", "D2MIDI_LABEL_STUDIO_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "workspace" / "ledger").mkdir(parents=True)
    return tmp_path / "workspace"


def stand_in(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    installed: bool = True,
    dies: bool = False,
    ours: bool = True,
) -> None:
    """Put a uvx in the way."""
    (folder / "bin").mkdir()
    path = folder / "bin" / "uvx"
    more = {"installed": 0 if installed else 2, "dies": dies, "ours": ours}
    path.write_text(_UVX.format(python=sys.executable, root=str(_ROOT), here=str(folder), **more))
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")


def started(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "started.json").read_text())
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def lives(process: int) -> bool:
    """Whether it is there, and not only waiting for its parent to notice that it has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_runs_as_long_as_the_context_and_ends_whole(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch)
    port, said = free_port(), list[str]()
    with running(workspace, port=port, say=said.append) as served:
        pids = started(tmp_path)["pids"]
        assert isinstance(pids, list) and all(map(lives, pids))
        assert served.address.url == f"http://127.0.0.1:{port}"
        assert served.media.is_dir()
        assert served.invite_url == f"http://127.0.0.1:{port}/user/signup/?token=abc"
        found = find(workspace, environment={})
        with Studio.connect(found.url, found.token, patience_s=0.0) as studio:
            assert studio.people() != {}
        served.check()
    assert not any(map(lives, pids))
    assert Private(workspace).address() is None
    with Private(workspace).lock():
        pass
    log = Private(workspace).log
    assert "hello from the stub" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_the_password_is_said_at_the_first_start_only(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch)
    texts = []
    for _ in range(2):
        said = list[str]()
        with running(workspace, port=free_port(), say=said.append) as served:
            password, token, place = served.admin.password, served.admin.token, served.private.admin_path
        texts.append("\n".join(said))
    assert [password in text for text in texts] == [True, False]
    assert [str(place) in text for text in texts] == [True, True]
    assert [token in text for text in texts] == [False, False]


def test_it_is_the_pinned_one_from_what_is_here_already(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch)
    said = list[str]()
    found = command("127.0.0.1", 8123, said.append)
    assert found[0] == str(tmp_path / "bin" / "uvx")
    assert found[found.index("--from") + 1] == f"label-studio=={VERSION}"
    assert "--offline" in found
    assert found[-4:] == ["--internal-host", "127.0.0.1", "--port", "8123"]
    assert said == []


def test_an_installation_is_announced(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, installed=False)
    said = list[str]()
    assert "--offline" not in command("127.0.0.1", 8123, said.append)
    assert "about 1 GB" in said[0]


def test_without_uv_it_says_how_to_install_it(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(UsageError, match="pip install uv"):
        command("127.0.0.1", 8123, print)


def test_uv_without_uvx_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\nexit 0\n")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "elsewhere" / "python"))
    assert command("127.0.0.1", 8123, print)[:3] == [str(uv), "tool", "run"]


def test_it_is_told_what_keeps_it_private_and_nothing_of_ours(tmp_path: Path) -> None:
    given = {
        "PATH": "/bin",
        "https_proxy": "http://proxy",
        "UV_CACHE_DIR": "/cache",
        "LABEL_STUDIO_API_KEY": "mine",
        "HOST": "pod-7",
        "DJANGO_DB": "default",
        "POSTGRE_PASSWORD": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }
    private = Private(tmp_path / "w", tmp_path / "p")
    told = environment(
        given, private, Admin("a@b", "password", "token"), tmp_path / "w" / "annotation", "127.0.0.1"
    )
    assert {name for name in given if name in told} == {"PATH", "https_proxy", "UV_CACHE_DIR"}
    assert told["SENTRY_DSN"] == told["FRONTEND_SENTRY_DSN"] == ""
    for name in ("COLLECT_ANALYTICS", "LATEST_VERSION_CHECK", "LABEL_STUDIO_CORS_ALLOW_ALL_ORIGINS"):
        assert told[name] == "false"
    assert told["LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK"] == "true"
    assert told["LABEL_STUDIO_BASE_DATA_DIR"] == str(tmp_path / "p" / "data")
    assert told["LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"] == str(tmp_path / "w" / "annotation")
    assert told["LABEL_STUDIO_ALLOWED_HOSTS"] == "127.0.0.1,localhost,[::1]"


def test_behind_another_web_server_it_is_told_of_that(tmp_path: Path) -> None:
    private = Private(tmp_path / "w", tmp_path / "p")
    told = environment(
        {}, private, Admin("a", "b", "c"), tmp_path, "127.0.0.1", "https://label.example.org/studio"
    )
    assert told["LABEL_STUDIO_ALLOWED_HOSTS"] == "127.0.0.1,localhost,[::1],label.example.org"
    assert told["LABEL_STUDIO_HOST"] == "https://label.example.org/studio"
    assert told["CSRF_TRUSTED_ORIGINS"] == "https://label.example.org"


def test_media_lie_strictly_below_the_root_of_local_files(workspace: Path) -> None:
    assert media_folder(workspace).parent == workspace / "annotation" / "served"
    assert not (workspace / "annotation" / "sent").is_relative_to(media_folder(workspace).parent)


def test_one_that_ends_at_once_is_told_with_the_end_of_its_log(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, dies=True)
    with (
        pytest.raises(
            PermanentError, match=r"ended by itself \(exit code 1\)(.|\n)*hello(.|\n)*no space left"
        ),
        running(workspace, port=free_port(), say=lambda _line: None),
    ):
        pass
    pids = started(tmp_path)["pids"]
    assert isinstance(pids, list) and not any(map(lives, pids))


def test_one_that_ends_later_is_told_too(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch)
    with running(workspace, port=free_port(), say=lambda _line: None) as served:
        os.kill(served.process.pid, signal.SIGKILL)
        while not has_ended(served.process):
            pass
        with pytest.raises(PermanentError, match=r"exit code -9\)(.|\n)*hello from the stub"):
            served.check()


def test_another_server_at_the_place_is_not_taken_for_ours(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, ours=False)
    with (
        pytest.raises(PermanentError, match="is not the Label Studio that was started here"),
        running(workspace, port=free_port(), say=lambda _line: None),
    ):
        pass


def test_a_port_in_use_is_refused_before_anything_starts(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(
                UsageError, match=rf"cannot serve at 127\.0\.0\.1:{port} .*choose another with --port"
            ),
            running(workspace, port=port, say=lambda _line: None),
        ):
            pass
    assert not (tmp_path / "started.json").exists()


def test_an_address_that_is_not_this_machines_is_refused() -> None:
    with pytest.raises(UsageError, match=r"cannot serve at 203\.0\.113\.7:8080"):
        check_port("203.0.113.7", 8080)


def test_a_second_server_of_the_workspace_is_told_where_the_first_runs(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch)
    port = free_port()
    with (
        running(workspace, port=port, say=lambda _line: None),
        pytest.raises(UsageError, match=rf"runs already at http://127\.0\.0\.1:{port}"),
        running(workspace, port=free_port(), say=lambda _line: None),
    ):
        pass


def test_a_folder_that_is_no_workspace_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="is no workspace"),
        running(tmp_path, port=1, say=lambda _line: None),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_runs_beside_it_starts_after_it_and_ends_before_it(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch)
    ended = list[bool]()

    @contextmanager
    def beside() -> Iterator[str]:
        pids = started(tmp_path)["pids"]
        assert isinstance(pids, list)
        yield "http://127.0.0.1:9/listen"
        ended.append(all(map(lives, pids)))

    said = list[str]()
    with running(workspace, port=free_port(), beside=beside, say=said.append):
        assert find(workspace, environment={}).listen_url == "http://127.0.0.1:9/listen"
    assert ended == [True]
    assert any("http://127.0.0.1:9/listen" in line for line in said)


def test_others_in_the_network_are_warned_of(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch)
    said = list[str]()
    with running(workspace, port=free_port(), host="0.0.0.0", say=said.append) as served:
        assert served.address.url.startswith("http://127.0.0.1:")
        assert served.address.public_url.startswith(f"http://{socket.gethostname()}:")
    assert "one server per group of people who trust each other" in said[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_stop_it_whole_and_in_peace(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    stand_in(tmp_path, monkeypatch)
    code = (
        "import sys, pathlib; from d2midi_build.annotate.studio.server import serve; "
        f"serve(pathlib.Path({str(workspace)!r}), port={free_port()}, say=lambda line: print(line, flush=True))"
    )
    with interruptible():
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=_ROOT)
    with process:
        assert process.stdout is not None
        lines = iter(process.stdout)
        assert any("Ctrl-C stops this" in line for line in lines)
        process.send_signal(number)
        assert list(lines) == ["Label Studio is stopped; all work is kept.\n"]
    assert process.returncode == 0
    pids = started(tmp_path)["pids"]
    assert isinstance(pids, list) and not any(map(lives, pids))


def test_one_whose_starter_was_killed_keeps_the_lock_and_says_how_to_end_it(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch)
    code = (
        "import sys, pathlib; from d2midi_build.annotate.studio.server import serve; "
        f"serve(pathlib.Path({str(workspace)!r}), port={free_port()}, say=lambda line: print(line, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=_ROOT
    ) as process:
        assert process.stdout is not None
        assert any("Ctrl-C stops this" in line for line in process.stdout)
        process.kill()
    address = Private(workspace).address()
    assert isinstance(address, Address)
    try:
        with (
            pytest.raises(UsageError, match=rf"still runs at .*stop it with `kill -- -{address.group}`"),
            running(workspace, port=free_port(), say=lambda _line: None),
        ):
            pass
    finally:
        os.killpg(address.group, signal.SIGKILL)
